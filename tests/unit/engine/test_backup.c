// Backups, increments and restores, in one process: what they hold, what they refuse, what is kept
// for them. The content is compared with the kept history (backup_story.h) at log positions and
// times. Times come from the frames, not from the clock.
#include "engine/backup/archive.h"
#include "tests/unit/engine/backup_story.h"
#include "wal/wal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct scene {
    fixture_t *fixture;
    story_t *story;
    char to[256]; // of the backups
} scene_t;

static scene_t begin(void **state, uint64_t seed) {
    scene_t scene = {.fixture = *state, .story = calloc(1, sizeof(story_t))};
    scene.story->seed = seed;
    snprintf(scene.to, sizeof scene.to, "%.200s-backup", scene.fixture->path);
    return scene;
}

static void reopen(scene_t *scene, memdb_options_t options) {
    if (scene->fixture->db) {
        fixture_close(scene->fixture);
    }
    fixture_open(scene->fixture, options);
}

static void commits(scene_t *scene, int count) {
    for (int i = 0; i < count; i++) {
        story_commit(scene->story, scene->fixture->db);
    }
}

static uint64_t newest(const scene_t *scene) {
    return scene->story->moments[scene->story->count - 1].lsn;
}

// ------------------------------------------------------------------------------ to any moment

typedef struct times {
    int count;
    struct {
        uint64_t end;
        int64_t time;
    } frames[STORY_MOMENTS * 2];
} times_t;

static memdb_status_t note_time(void *context, const memdb__frame_t *frame, memdb_error_t *error) {
    (void)error;
    times_t *times = context;
    times->frames[times->count].end = frame->end;
    times->frames[times->count++].time = frame->commit_time;
    return MEMDB_OK;
}

/// The commit times of the frames in a backup's log.
static void read_times(const char *path, uint64_t from, times_t *times) {
    memdb__wal_options_t options = {0};
    memdb_error_t error = {0};
    uint64_t end;
    uint8_t root[512];
    int directory = open(path, O_RDONLY | O_DIRECTORY), file = openat(directory, "root", O_RDONLY);
    assert_int_equal(read(file, root, sizeof root), sizeof root);
    memcpy(options.database_id, root + 16, 16);
    times->count = 0;
    if (memdb__wal_scan(directory, &options, from, note_time, times, &end, &error)) {
        fail_msg("%s", error.message);
    }
    close(file);
    close(directory);
}

static void check_a_time(scene_t *scene, const times_t *times, uint64_t base) {
    char to[300];
    int at = (int)story_draw(scene->story, (uint32_t)times->count);
    int64_t time = times->frames[at].time;
    if (at + 1 < times->count) { // in between, as far as there is room
        int64_t room = times->frames[at + 1].time - time;
        time += (int64_t)story_draw(scene->story, (uint32_t)(room < 1000000 ? room : 1000000));
    }
    snprintf(to, sizeof to, "%.200s-restored", scene->to);
    memdb_copied_t copied = restore(scene->to, to, 0, time);
    assert_int_equal(copied.lsn, times->frames[at].end);
    assert_int_equal(copied.base_lsn, base);
    story_check_path(scene->story, to, copied.lsn);
    remove_tree(to);
}

static void test_backups_restore_to_any_lsn_and_time(void **state) {
    scene_t scene = begin(state, story_seed(11));
    times_t *times = calloc(1, sizeof *times);
    uint64_t base = 0;
    bool first = true;
    int rounds = getenv("MEMDB_LONG") ? 200 : 30;
    for (int round = 0; round < rounds; round++) {
        reopen(&scene, (memdb_options_t){.no_background = story_draw(scene.story, 2)});
        commits(&scene, 1 + (int)story_draw(scene.story, 8));
        if (story_draw(scene.story, 3) == 0) {
            must(scene.fixture->db, memdb_checkpoint(scene.fixture->db));
        }
        commits(&scene, (int)story_draw(scene.story, 4));
        if (story_draw(scene.story, 2) == 0) {
            continue;
        }
        memdb_copied_t copied = back_up(scene.fixture->db, scene.to, 0);
        assert_true(copied.lsn >= newest(&scene));
        assert_int_equal(copied.incremental, !first);
        base = first ? copied.base_lsn : base;
        assert_int_equal(copied.base_lsn, base);
        first = false;
        story_check_path(scene.story, scene.to, copied.lsn);
        for (int i = 0; i < 3; i++) {
            uint64_t lsn = base + story_draw(scene.story, (uint32_t)(copied.lsn - base) + 1);
            check_restored(scene.story, scene.to, lsn ? lsn : 1, lsn);
        }
        read_times(scene.to, base, times);
        if (times->count) {
            check_a_time(&scene, times, base);
        }
        check_restored(scene.story, scene.to, 0, copied.lsn);
    }
    free(times);
    free(scene.story);
}

static void test_an_increment_brings_only_what_is_new(void **state) {
    scene_t scene = begin(state, 2);
    memdb_t *db = scene.fixture->db;
    commits(&scene, 300);
    must(db, memdb_checkpoint(db));
    memdb_copied_t whole = back_up(db, scene.to, 0);
    uint64_t lsn = newest(&scene);
    commits(&scene, 1);
    must(db, memdb_checkpoint(db));
    memdb_copied_t more = back_up(db, scene.to, 0);
    assert_true(!whole.incremental && more.incremental);
    assert_true(whole.base_lsn >= lsn && more.base_lsn == whole.base_lsn);
    assert_true(more.bytes * 5 < whole.bytes);
    assert_true(more.lsn >= newest(&scene));
    memdb_copied_t none = back_up(db, scene.to, 0);
    assert_true(none.incremental && none.bytes == 0 && none.files == 0 && none.lsn == more.lsn);
    check_restored(scene.story, scene.to, 0, more.lsn);
    free(scene.story);
}

// ------------------------------------------------------------------------------ beside checkpoints

typedef struct midst {
    scene_t *scene;
    memdb_t *other;
    int calls, checkpoints;
} midst_t;

/// In the midst of a copy: commits and a checkpoint that merges everything, through another handle.
static void work_on(void *context, uint64_t done, uint64_t total) {
    midst_t *midst = context;
    assert_true(done <= total);
    if (midst->calls++ % 7 == 0 && midst->checkpoints < 12) {
        for (int i = 0; i < 30; i++) {
            story_commit(midst->scene->story, midst->other);
        }
        must(midst->other, memdb_checkpoint(midst->other));
        midst->checkpoints++;
    }
}

static void test_a_checkpoint_in_the_midst_of_a_backup_takes_nothing_away(void **state) {
    scene_t scene = begin(state, 3);
    fixture_t other = {0};
    commits(&scene, 100);
    must(scene.fixture->db, memdb_checkpoint(scene.fixture->db));
    commits(&scene, 40);
    snprintf(other.path, sizeof other.path, "%s", scene.fixture->path);
    fixture_open(&other, (memdb_options_t){.no_background = true});
    for (uint32_t round = 0; round < 4; round++) {
        midst_t midst = {&scene, other.db, 0, 0};
        memdb_copied_t copied = {.size = sizeof copied};
        memdb_backup_options_t options = {.size = sizeof options,
                                          .flags = round == 3
                                                       ? MEMDB_BACKUP_ONCE | MEMDB_BACKUP_FULL
                                                   : round == 2 ? MEMDB_BACKUP_FULL
                                                                : 0,
                                          .progress = work_on,
                                          .progress_context = &midst};
        uint64_t before = newest(&scene);
        must(scene.fixture->db, memdb_backup(scene.fixture->db, scene.to, &options, &copied));
        assert_int_equal(copied.incremental, round == 1);
        assert_true(copied.lsn >= before && midst.checkpoints > 0);
        story_check_path(scene.story, scene.to, copied.lsn);
        check_restored(scene.story, scene.to, 0, copied.lsn);
    }
    fixture_close(&other);
    free(scene.story);
}

// ------------------------------------------------------------------------------ what is refused

static void test_a_backup_that_was_opened_for_writing_is_refused(void **state) {
    scene_t scene = begin(state, 4);
    fixture_t copy = {0};
    commits(&scene, 10);
    back_up(scene.fixture->db, scene.to, 0);
    story_check_path(scene.story, scene.to, newest(&scene)); // reading does no harm
    commits(&scene, 10);
    assert_true(back_up(scene.fixture->db, scene.to, 0).incremental);
    snprintf(copy.path, sizeof copy.path, "%s", scene.to);
    fixture_open(&copy, (memdb_options_t){0});
    assert_non_null(
        strstr(refusal(scene.fixture->db, scene.to, MEMDB_EXISTS), "opened for writing"));
    fixture_close(&copy);
    commits(&scene, 1);
    assert_non_null(
        strstr(refusal(scene.fixture->db, scene.to, MEMDB_EXISTS), "opened for writing"));
    free(scene.story);
}

static void test_a_target_of_another_history_is_refused(void **state) {
    scene_t scene = begin(state, 5);
    fixture_t other = {0};
    char old[256];
    commits(&scene, 10);
    must(scene.fixture->db, memdb_sync(scene.fixture->db));
    fixture_copy(scene.fixture, "-old", old); // a file system that is set back later
    commits(&scene, 10);
    back_up(scene.fixture->db, scene.to, 0);
    snprintf(other.path, sizeof other.path, "%s", old);
    fixture_open(&other, (memdb_options_t){0});
    assert_non_null(strstr(refusal(other.db, scene.to, MEMDB_EXISTS), "set back"));
    story_t *branch = calloc(1, sizeof *branch);
    branch->seed = 99;
    for (int i = 0; i < 60; i++) {
        story_commit(branch, other.db);
    }
    assert_non_null(strstr(refusal(other.db, scene.to, MEMDB_EXISTS), "set back"));
    fixture_close(&other);
    free(branch);
    remove_tree(old);
    fixture_open(&other, (memdb_options_t){0});
    assert_non_null(strstr(refusal(other.db, scene.to, MEMDB_EXISTS), "another database"));
    assert_non_null(strstr(refusal(other.db, scene.fixture->path, MEMDB_EXISTS), "neither empty"));
    fixture_close(&other);
    check_restored(scene.story, scene.to, 0, newest(&scene)); // it was left alone
    free(scene.story);
}

static void test_two_backups_to_one_place_exclude_each_other(void **state) {
    scene_t scene = begin(state, 6);
    char name[300];
    commits(&scene, 5);
    back_up(scene.fixture->db, scene.to, 0);
    snprintf(name, sizeof name, "%s/lock", scene.to);
    int lock = open(name, O_RDWR | O_CLOEXEC);
    must(NULL, memdb__lock_acquire(lock, MEMDB__LOCK_GATE, MEMDB__LOCK_EXCLUSIVE, true, NULL));
    refusal(scene.fixture->db, scene.to, MEMDB_BUSY);
    close(lock);
    back_up(scene.fixture->db, scene.to, 0);
    free(scene.story);
}

// ------------------------------------------------------------------------------ the archive

static void note_limit(void *context, memdb_status_t severity, const char *message) {
    (void)message;
    ((int *)context)[severity == MEMDB_LIMIT] += 1;
}

static void test_an_archive_over_its_limit_breaks_the_chain_and_says_so(void **state) {
    scene_t scene = begin(state, 7);
    int told[2] = {0};
    reopen(&scene, (memdb_options_t){.archive_limit_bytes = 600000,
                                     .no_background = true,
                                     .log = note_limit,
                                     .log_context = told});
    memdb_t *db = scene.fixture->db;
    back_up(db, scene.to, 0);
    for (int i = 0; i < 3; i++) {
        commits(&scene, 10);
        must(db, memdb_checkpoint(db));
        assert_true(back_up(db, scene.to, 0).incremental);
    }
    assert_int_equal(told[1], 0);
    // Each opening begins a log segment of a megabyte: two of them are beyond the limit.
    for (int i = 0; i < 3; i++) {
        reopen(&scene, (memdb_options_t){.archive_limit_bytes = 600000,
                                         .no_background = true,
                                         .log = note_limit,
                                         .log_context = told});
        db = scene.fixture->db;
        commits(&scene, 10);
        must(db, memdb_checkpoint(db));
    }
    assert_true(told[1] > 0);
    assert_int_equal(bytes_under(scene.fixture->path, "archive"), 0);
    memdb_copied_t copied = back_up(db, scene.to, 0);
    assert_false(copied.incremental);
    assert_true(copied.base_lsn > 0);
    check_restored(scene.story, scene.to, 0, copied.lsn);
    commits(&scene, 10);
    assert_true(back_up(db, scene.to, 0).incremental); // and a new chain goes on
    check_restored(scene.story, scene.to, 0, newest(&scene));
    free(scene.story);
}

static void test_an_archive_ends_with_a_backup_that_is_the_last(void **state) {
    scene_t scene = begin(state, 8);
    char archive[300];
    memdb_t *db = scene.fixture->db;
    snprintf(archive, sizeof archive, "%s/archive", scene.fixture->path);
    commits(&scene, 5);
    back_up(db, scene.to, MEMDB_BACKUP_ONCE);
    assert_int_not_equal(access(archive, F_OK), 0);
    back_up(db, scene.to, 0); // the log still reaches back
    assert_int_equal(access(archive, F_OK), 0);
    commits(&scene, 5);
    memdb_copied_t copied = back_up(db, scene.to, MEMDB_BACKUP_ONCE);
    assert_true(copied.incremental);
    assert_int_not_equal(access(archive, F_OK), 0);
    check_restored(scene.story, scene.to, 0, copied.lsn);
    free(scene.story);
}

/// As the collector does it: the extents of a database that nobody appends to any more.
static int keep_all_extents(const char *path) {
    char name[300];
    int kept_count = 0, directory = open(path, O_RDONLY | O_DIRECTORY);
    for (uint64_t id = 1; id < 200; id++) {
        bool kept = false;
        struct stat info;
        snprintf(name, sizeof name, "blob/%016llx.ext", (unsigned long long)id);
        if (fstatat(directory, name, &info, 0) == 0) {
            must(NULL, memdb__archive_keep_extent(directory, id, &kept, NULL));
            assert_true(kept);
            kept_count++;
        }
        must(NULL, memdb__archive_keep_extent(directory, id, &kept, NULL));
        assert_false(kept); // it is gone
    }
    close(directory);
    return kept_count;
}

static void test_extents_given_up_are_kept_for_the_increment(void **state) {
    scene_t scene = begin(state, 9);
    commits(&scene, 5);
    back_up(scene.fixture->db, scene.to, 0);
    commits(&scene, 60);
    reopen(&scene, (memdb_options_t){0});
    assert_true(keep_all_extents(scene.fixture->path) > 0);
    assert_true(bytes_under(scene.fixture->path, "archive") > 100000);
    memdb_copied_t copied = back_up(scene.fixture->db, scene.to, 0);
    assert_true(copied.incremental && copied.lsn >= newest(&scene));
    assert_int_equal(bytes_under(scene.fixture->path, "archive"), 0);
    check_restored(scene.story, scene.to, 0, copied.lsn);
    free(scene.story);
}

static void test_without_an_archive_extents_are_the_callers(void **state) {
    scene_t scene = begin(state, 10);
    bool kept = true;
    commits(&scene, 5);
    int directory = open(scene.fixture->path, O_RDONLY | O_DIRECTORY);
    must(NULL, memdb__archive_keep_extent(directory, 1, &kept, NULL));
    assert_false(kept);
    close(directory);
    free(scene.story);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)

int main(void) {
    if (access("/dev/shm", W_OK) == 0) {
        setenv("TMPDIR", "/dev/shm", 0);
    }
    const struct CMUnitTest tests[] = {
        TEST(test_backups_restore_to_any_lsn_and_time),
        TEST(test_an_increment_brings_only_what_is_new),
        TEST(test_a_checkpoint_in_the_midst_of_a_backup_takes_nothing_away),
        TEST(test_a_backup_that_was_opened_for_writing_is_refused),
        TEST(test_a_target_of_another_history_is_refused),
        TEST(test_two_backups_to_one_place_exclude_each_other),
        TEST(test_an_archive_over_its_limit_breaks_the_chain_and_says_so),
        TEST(test_an_archive_ends_with_a_backup_that_is_the_last),
        TEST(test_extents_given_up_are_kept_for_the_increment),
        TEST(test_without_an_archive_extents_are_the_callers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
