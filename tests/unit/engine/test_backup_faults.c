// Backups and restores that fail: at each I/O call and each allocation, by kill -9 at each call, on
// a full disk, and with a damaged backup. Whatever happens, the database loses nothing, and the
// same command, asked again, finishes the work; what it made is compared with the kept history.
#include "base/memory.h"
#include "tests/lib/faults.h"
#include "tests/unit/engine/backup_story.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

// ------------------------------------------------------------------------------ the scenes

typedef enum kind { FULL, INCREMENT, AGAIN, RESTORE, KINDS } kind_t;

typedef struct scene {
    fixture_t fixture; // a copy of the prepared database, put in place for each run
    story_t *story;
    char prepared[256], prepared_backup[256], to[256], restored[256];
    kind_t kind;
} scene_t;

static void open_scene(scene_t *scene) {
    fixture_open(&scene->fixture, (memdb_options_t){.no_background = true});
}

/// A database with a base, blobs, log, and (for all but FULL) an earlier backup of it.
static void prepare(scene_t *scene, fixture_t *fixture, kind_t kind) {
    *scene = (scene_t){.story = calloc(1, sizeof(story_t)), .kind = kind};
    fixture_close(fixture);
    remove_tree(fixture->path);
    snprintf(scene->fixture.path, 256, "%.200s", fixture->path);
    snprintf(scene->prepared, 256, "%.200s-prepared", fixture->path);
    snprintf(scene->prepared_backup, 256, "%.200s-prepared-backup", fixture->path);
    snprintf(scene->to, 256, "%.200s-backup", fixture->path);
    snprintf(scene->restored, 256, "%.200s-backup-restored", fixture->path);
    remove_tree(scene->prepared);
    remove_tree(scene->prepared_backup);
    scene->story->seed = kind;
    open_scene(scene);
    for (int i = 0; i < 12; i++) {
        story_commit(scene->story, scene->fixture.db);
    }
    must(scene->fixture.db, memdb_checkpoint(scene->fixture.db));
    for (int i = 0; i < 6; i++) {
        story_commit(scene->story, scene->fixture.db);
    }
    if (kind != FULL) {
        back_up(scene->fixture.db, scene->prepared_backup, 0);
        for (int i = 0; i < 8; i++) {
            story_commit(scene->story, scene->fixture.db);
        }
        must(scene->fixture.db, memdb_checkpoint(scene->fixture.db));
        story_commit(scene->story, scene->fixture.db);
    }
    if (kind == RESTORE) {
        back_up(scene->fixture.db, scene->prepared_backup, 0);
    }
    fixture_close(&scene->fixture);
    assert_int_equal(rename(scene->fixture.path, scene->prepared), 0);
}

/// Put database and backup in place as they were prepared.
static void set_up(scene_t *scene) {
    remove_tree(scene->fixture.path);
    remove_tree(scene->to);
    remove_tree(scene->restored);
    copy_tree(scene->prepared, scene->fixture.path);
    if (scene->kind != FULL) {
        copy_tree(scene->prepared_backup, scene->to);
    }
    if (scene->kind != RESTORE) {
        open_scene(scene);
    }
}

static memdb_status_t run(scene_t *scene) {
    memdb_backup_options_t options = {.size = sizeof options,
                                      .flags = scene->kind == AGAIN ? MEMDB_BACKUP_FULL : 0};
    return scene->kind == RESTORE ? memdb_restore(scene->to, scene->restored, NULL, NULL, NULL)
                                  : memdb_backup(scene->fixture.db, scene->to, &options, NULL);
}

static uint64_t newest(const scene_t *scene) {
    return scene->story->moments[scene->story->count - 1].lsn;
}

/// Finish the work as a user would, and look at everything.
static void finish(scene_t *scene) {
    if (scene->kind == RESTORE) {
        char root[300], state[300];
        snprintf(root, sizeof root, "%s/root", scene->restored);
        snprintf(state, sizeof state, "%s/restore", scene->restored);
        if (access(root, F_OK) != 0 || access(state, F_OK) == 0) { // else it was finished
            restore(scene->to, scene->restored, 0, 0);
        }
        story_check_path(scene->story, scene->restored, newest(scene));
        return;
    }
    if (scene->fixture.db) {
        memdb_close(scene->fixture.db); // it may have failed: that is told, and ends with it
        scene->fixture.db = NULL;
    }
    open_scene(scene);
    story_check(scene->story, scene->fixture.db, newest(scene));
    must(scene->fixture.db, memdb_verify(scene->fixture.db, NULL, NULL));
    memdb_copied_t copied = back_up(scene->fixture.db, scene->to, 0);
    assert_true(copied.lsn >= newest(scene));
    story_check_path(scene->story, scene->to, copied.lsn);
    check_restored(scene->story, scene->to, 0, copied.lsn);
    fixture_close(&scene->fixture);
}

/// Whether the older state of an interrupted copy can still be restored (its first one cannot).
static void check_older(scene_t *scene) {
    if (scene->kind == INCREMENT || scene->kind == AGAIN) {
        memdb_copied_t copied = restore(scene->to, scene->restored, 0, 0);
        story_check_path(scene->story, scene->restored, copied.lsn);
        remove_tree(scene->restored);
    }
}

static void clean_up(scene_t *scene) {
    remove_tree(scene->prepared);
    remove_tree(scene->prepared_backup);
    remove_tree(scene->to);
    remove_tree(scene->restored);
    free(scene->story);
}

/// The calls that a run makes.
static long count_calls(scene_t *scene) {
    set_up(scene);
    faults_begin((fault_t){0});
    assert_int_equal(run(scene), MEMDB_OK);
    faults_end();
    long count = faults_count(false);
    finish(scene);
    return count;
}

/// Every call with MEMDB_LONG; else one in `step`, another one with each seed.
static long first_of(long *step) {
    *step = getenv("MEMDB_LONG") ? 1 : *step;
    return (long)(story_seed(1) % (uint64_t)*step);
}

static void fail_each(fixture_t *fixture, kind_t kind, long step) {
    const fault_kind_t kinds[] = {FAULT_TORN, FAULT_FULL};
    scene_t scene;
    long untold = 0;
    prepare(&scene, fixture, kind);
    long count = count_calls(&scene), failed = 0;
    for (long at = first_of(&step); at < count; at += step, failed++) {
        set_up(&scene);
        fault_kind_t wanted = kinds[at / step % 2];
        wanted = faults_knows(at, false, wanted) ? wanted : FAULT_ERROR;
        faults_begin((fault_t){.kind = wanted, .number = at});
        memdb_status_t status = run(&scene);
        faults_end();
        untold += status == MEMDB_OK;
        check_older(&scene);
        finish(&scene);
    }
    printf("%ld of %ld calls failed, %ld did no harm\n", failed, count, untold);
    assert_true(untold * 4 < failed);
    clean_up(&scene);
}

static void test_a_full_copy_goes_on_after_each_failed_call(void **state) {
    fail_each(*state, FULL, 3);
}
static void test_an_increment_goes_on_after_each_failed_call(void **state) {
    fail_each(*state, INCREMENT, 3);
}
static void test_a_new_full_copy_goes_on_after_each_failed_call(void **state) {
    fail_each(*state, AGAIN, 5);
}
static void test_a_restore_goes_on_after_each_failed_call(void **state) {
    fail_each(*state, RESTORE, 9);
}

// ------------------------------------------------------------------------------ killed

/// In a child of its own: open, and be killed at call `at` of the work. False: its threads shared
/// the calls in another way, and it ended before that.
static bool be_killed(scene_t *scene, long at) {
    pid_t child = fork();
    if (child == 0) {
        if (scene->kind != RESTORE) {
            open_scene(scene);
        }
        faults_begin((fault_t){.kind = FAULT_KILL, .number = at});
        run(scene);
        _exit(0);
    }
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFSIGNALED(how) ? WTERMSIG(how) == SIGKILL : WEXITSTATUS(how) == 0);
    return WIFSIGNALED(how);
}

static void test_a_killed_backup_or_restore_goes_on(void **state) {
    fixture_t *fixture = *state;
    for (kind_t kind = FULL; kind < KINDS; kind++) {
        scene_t scene;
        if (kind != FULL) {
            fixture_open(fixture, (memdb_options_t){0});
        }
        prepare(&scene, fixture, kind);
        fixture->db = NULL;
        long count = count_calls(&scene), step = 7, rounds = 0, killed = 0;
        for (long at = first_of(&step); at < count; at += step) {
            set_up(&scene);
            if (kind != RESTORE) {
                fixture_close(&scene.fixture);
            }
            killed += be_killed(&scene, at);
            rounds++;
            check_older(&scene);
            finish(&scene);
        }
        printf("killed at one of %ld in %ld calls\n", step, count);
        assert_true(killed * 2 > rounds);
        clean_up(&scene);
        remove_tree(fixture->path);
    }
}

static void test_each_failed_allocation_is_told(void **state) {
    scene_t scene;
    fixture_t *fixture = *state;
    for (kind_t kind = FULL; kind < KINDS; kind++) {
        if (kind != FULL) {
            fixture_open(fixture, (memdb_options_t){0});
        }
        prepare(&scene, fixture, kind);
        fixture->db = NULL;
        set_up(&scene);
        long step = 5;
        uint64_t before = memdb__memory_count(), refused = 0;
        assert_int_equal(run(&scene), MEMDB_OK);
        uint64_t count = memdb__memory_count() - before;
        finish(&scene);
        uint64_t number = (uint64_t)first_of(&step), failed = 0;
        for (; number < count; number += (uint64_t)step, failed++) {
            set_up(&scene);
            uint64_t live = memdb__memory_live();
            memdb__memory_fail_after(number);
            memdb_status_t status = run(&scene);
            memdb__memory_fail_after(UINT64_MAX);
            assert_true(status == MEMDB_OK || status == MEMDB_NOMEM);
            assert_int_equal(memdb__memory_live(), live);
            refused += status == MEMDB_NOMEM;
            finish(&scene);
        }
        printf("%llu of %llu allocations were told\n", (unsigned long long)refused,
               (unsigned long long)failed);
        assert_true(refused > 0);
        clean_up(&scene);
        remove_tree(fixture->path);
    }
}

// ------------------------------------------------------------------------------ damaged

typedef struct file {
    char name[300]; // relative to the backup
    long size;
} file_t;

static size_t list_files(const char *path, const char *folder, file_t *files, size_t count) {
    char name[600];
    struct dirent *entry;
    struct stat info;
    snprintf(name, sizeof name, "%.200s/%.50s", path, folder);
    DIR *directory = opendir(name);
    while (directory && (entry = readdir(directory)) != NULL) {
        snprintf(name, sizeof name, "%.200s/%.50s/%.200s", path, folder, entry->d_name);
        if (stat(name, &info) == 0 && S_ISREG(info.st_mode)) {
            snprintf(files[count].name, sizeof files[count].name, "%.50s/%.200s", folder,
                     entry->d_name);
            files[count++].size = (long)info.st_size;
        }
    }
    closedir(directory);
    return count;
}

static void flip(const char *path, const char *name, long at) {
    char full[600];
    unsigned char byte;
    snprintf(full, sizeof full, "%.200s/%.300s", path, name);
    int fd = open(full, O_RDWR);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static void test_a_damaged_backup_is_told_with_file_and_offset(void **state) {
    static file_t files[64];
    scene_t scene;
    prepare(&scene, *state, RESTORE);
    ((fixture_t *)*state)->db = NULL;
    set_up(&scene);
    size_t count = list_files(scene.to, "segments", files, 0);
    count = list_files(scene.to, "blob", files, count);
    count = list_files(scene.to, "log", files, count);
    int told = 0, harmless = 0;
    for (int i = 0; i < 300; i++) {
        file_t *file = &files[story_draw(scene.story, (uint32_t)count)];
        long at = (long)story_draw(scene.story, (uint32_t)file->size);
        memdb_error_t error = {0};
        flip(scene.to, file->name, at);
        memdb_status_t status = memdb_restore(scene.to, scene.restored, NULL, NULL, &error);
        const char *base = strchr(file->name, '/') + 1;
        if (status) { // zero fill of the log, and blobs that nothing names, may be hit
            assert_int_equal(status, MEMDB_CORRUPT);
            if (!strstr(error.message, base) && !strstr(error.message, "complete up to LSN")) {
                fail_msg("%s at %ld: %s", file->name, at, error.message);
            }
            told++;
        } else {
            story_check_path(scene.story, scene.restored, newest(&scene));
            harmless++;
        }
        flip(scene.to, file->name, at);
        remove_tree(scene.restored);
    }
    printf("%d damages were told, %d did no harm\n", told, harmless);
    assert_true(told > 100);
    flip(scene.to, "backup", 50);
    memdb_error_t error = {0};
    assert_int_equal(memdb_restore(scene.to, scene.restored, NULL, NULL, &error), MEMDB_CORRUPT);
    assert_non_null(strstr(error.message, "backup at 0"));
    clean_up(&scene);
}

static void test_a_log_damaged_behind_the_bound_takes_nothing_away(void **state) {
    scene_t scene;
    static file_t files[64];
    prepare(&scene, *state, INCREMENT);
    ((fixture_t *)*state)->db = NULL;
    set_up(&scene);
    memdb_copied_t first = restore(scene.to, scene.restored, 0, 0);
    remove_tree(scene.restored);
    back_up(scene.fixture.db, scene.to, 0);
    fixture_close(&scene.fixture);
    size_t count = list_files(scene.to, "log", files, 0), newest_file = 0;
    for (size_t i = 0; i < count; i++) {
        newest_file = strcmp(files[i].name, files[newest_file].name) > 0 ? i : newest_file;
    }
    flip(scene.to, files[newest_file].name, 4096 + 100);
    memdb_error_t error = {0};
    assert_int_equal(memdb_restore(scene.to, scene.restored, NULL, NULL, &error), MEMDB_CORRUPT);
    assert_non_null(strstr(error.message, "whole up to LSN"));
    remove_tree(scene.restored);
    check_restored(scene.story, scene.to, first.lsn, first.lsn);
    clean_up(&scene);
}

// ------------------------------------------------------------------------------ a full disk

static void test_a_target_without_room_is_told_and_goes_on_with_room(void **state) {
    scene_t scene;
    char mount_point[256], to[300];
    prepare(&scene, *state, FULL);
    ((fixture_t *)*state)->db = NULL;
    set_up(&scene);
    snprintf(mount_point, sizeof mount_point, "%.200s-mounted", scene.fixture.path);
    mkdir(mount_point, 0700);
    if (mount("memdb-test", mount_point, "tmpfs", 0, "size=256k") != 0) {
        print_message("skipped: mount: %s\n", strerror(errno));
        rmdir(mount_point);
        fixture_close(&scene.fixture);
        clean_up(&scene);
        return;
    }
    snprintf(to, sizeof to, "%s/copy", mount_point);
    assert_int_equal(memdb_backup(scene.fixture.db, to, NULL, NULL), MEMDB_FULL);
    story_commit(scene.story, scene.fixture.db); // the database does not care
    assert_int_equal(mount("memdb-test", mount_point, "tmpfs", MS_REMOUNT, "size=8m"), 0);
    memdb_copied_t copied = back_up(scene.fixture.db, to, 0);
    story_check_path(scene.story, to, copied.lsn);
    fixture_close(&scene.fixture);
    assert_int_equal(umount(mount_point), 0);
    rmdir(mount_point);
    clean_up(&scene);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)

int main(void) {
    if (access("/dev/shm", W_OK) == 0) {
        setenv("TMPDIR", "/dev/shm", 0);
    } // thousands of syncs: nothing here needs a disk
    const struct CMUnitTest tests[] = {
        TEST(test_a_full_copy_goes_on_after_each_failed_call),
        TEST(test_an_increment_goes_on_after_each_failed_call),
        TEST(test_a_new_full_copy_goes_on_after_each_failed_call),
        TEST(test_a_restore_goes_on_after_each_failed_call),
        TEST(test_a_killed_backup_or_restore_goes_on),
        TEST(test_each_failed_allocation_is_told),
        TEST(test_a_damaged_backup_is_told_with_file_and_offset),
        TEST(test_a_log_damaged_behind_the_bound_takes_nothing_away),
        TEST(test_a_target_without_room_is_told_and_goes_on_with_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
