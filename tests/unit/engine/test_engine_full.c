// A full file system: a small tmpfs holds the database and a file that takes up room. Writing until
// nothing fits ends with an error that is told; reads go on; nothing acknowledged is lost, also
// after reopening; and with room again writes work again. Needs the right to mount; skipped with a
// message where there is none.
#include "tests/lib/database.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#define TEXT_BYTES 20000

typedef struct disk {
    fixture_t fixture;
    char mount_point[200];
} disk_t;

/// Mount `megabytes` of memory, fill `filler` of them, and open a database on the rest. False:
/// skipped.
static bool set_up(disk_t *disk, const char *megabytes, int filler) {
    char options[64], path[256];
    static char block[1 << 20];
    const char *parent = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    snprintf(disk->mount_point, sizeof disk->mount_point, "%.150s/memdb-full-XXXXXX", parent);
    assert_non_null(mkdtemp(disk->mount_point));
    snprintf(options, sizeof options, "size=%s", megabytes);
    if (mount("memdb-test", disk->mount_point, "tmpfs", 0, options) != 0) {
        print_message("skipped: mount: %s\n", strerror(errno));
        rmdir(disk->mount_point);
        return false;
    }
    snprintf(path, sizeof path, "%s/filler", disk->mount_point);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    for (int i = 0; i < filler; i++) {
        assert_int_equal(write(fd, block, sizeof block), sizeof block);
    }
    close(fd);
    snprintf(disk->fixture.path, sizeof disk->fixture.path, "%s/db", disk->mount_point);
    return true;
}

static void tear_down(disk_t *disk) {
    assert_int_equal(umount(disk->mount_point), 0);
    rmdir(disk->mount_point);
}

static void make_room(disk_t *disk) {
    char path[256];
    snprintf(path, sizeof path, "%s/filler", disk->mount_point);
    assert_int_equal(unlink(path), 0);
}

static void enlarge(disk_t *disk) {
    assert_int_equal(mount("memdb-test", disk->mount_point, "tmpfs", MS_REMOUNT, "size=512m"), 0);
}

static memdb_status_t put_number(memdb_t *db, memdb_space_t space, int number, bool with_blob) {
    static char words[TEXT_BYTES];
    char key[32];
    memdb_txn_t *txn;
    memdb_blob_t blob;
    for (size_t i = 0; i < sizeof words; i++) { // not two alike: equal blobs are stored once
        words[i] = (char)('a' + (i * 7 + (size_t)number * 31 + i * i / 97) % 26);
    }
    memcpy(words, &number, sizeof number);
    snprintf(key, sizeof key, "key%d", number);
    memdb_memory_t memory = {.size = sizeof memory,
                             .fields = MEMDB_FIELD_KEY | MEMDB_FIELD_TEXT,
                             .key = text(key),
                             .text = {words + 8, sizeof words - 8}};
    memdb_status_t status = memdb_txn_begin(db, &txn);
    if (status) {
        return status;
    }
    if (with_blob && (status = memdb_blob_put(txn, words, sizeof words, &blob)) == MEMDB_OK) {
        memory.fields = MEMDB_FIELD_KEY | MEMDB_FIELD_BLOBS;
        memory.blobs = &blob;
        memory.blob_count = 1;
    }
    status = status ? status : memdb_put(txn, space, &memory, NULL);
    if (status) {
        memdb_txn_abort(txn);
        return status;
    }
    return memdb_txn_commit(txn, MEMDB_DURABILITY_FULL, NULL);
}

static void check_all(memdb_t *db, memdb_space_t space, int count) {
    memdb_snapshot_t *snapshot;
    memdb_memory_t memory;
    char key[32];
    must(db, memdb_snapshot_begin(db, NULL, &snapshot));
    for (int i = 0; i < count; i++) {
        snprintf(key, sizeof key, "key%d", i);
        must(db, memdb_get_by_key(snapshot, space, text(key), &memory));
    }
    memdb_snapshot_end(snapshot);
}

static bool is_told(memdb_status_t status) {
    return status == MEMDB_FULL || status == MEMDB_IO || status == MEMDB_FAILED ||
           status == MEMDB_BUSY;
}

/// checkpoints: 0 none, else one after so many puts.
static void fill_up(const char *megabytes, int filler, int checkpoints, bool blobs,
                    bool background) {
    disk_t disk = {0};
    memdb_status_t status = MEMDB_OK;
    int count = 0;
    if (!set_up(&disk, megabytes, filler)) {
        return;
    }
    fixture_open(&disk.fixture, (memdb_options_t){.no_background = !background,
                                                  .checkpoint_log_bytes = 1 << 20,
                                                  .busy_timeout_ms = 100});
    memdb_t *db = disk.fixture.db;
    memdb_space_t space = space_of(db, "main");
    memdb_status_t checkpoint = MEMDB_OK;
    while ((status = put_number(db, space, count, blobs)) == MEMDB_OK && count < 20000) {
        count++;
        if (checkpoints && count % checkpoints == 0) {
            checkpoint = memdb_checkpoint(db);
            assert_true(checkpoint == MEMDB_OK || is_told(checkpoint));
        }
    }
    printf("%d acknowledged, then %s; the last checkpoint: %s\n", count, memdb_status_name(status),
           memdb_status_name(checkpoint));
    assert_true(is_told(status));
    check_all(db, space, count);
    for (int i = 0; i < 3; i++) { // still full, still told
        status = put_number(db, space, 30000 + i, blobs);
        assert_true(status == MEMDB_OK || is_told(status));
    }
    bool goes_on = status != MEMDB_FAILED;
    make_room(&disk);
    if (goes_on) { // MEMDB_FULL does not fail the database
        must(db, put_number(db, space, 40000, blobs));
    }
    enlarge(&disk); // a checkpoint may need as much again as there is
    if (goes_on) {
        must(db, memdb_checkpoint(db));
        must(db, put_number(db, space, 40001, blobs));
    }
    for (int round = 0; round < 2; round++) {
        fixture_close(&disk.fixture);
        fixture_open(&disk.fixture, (memdb_options_t){.no_background = true});
        db = disk.fixture.db;
        check_all(db, space, count);
        must(db, memdb_verify(db, NULL, NULL));
        must(db, put_number(db, space, 50000 + round, blobs));
        must(db, memdb_checkpoint(db));
    }
    fixture_close(&disk.fixture);
    tear_down(&disk);
}

static void test_full_disk_without_checkpoints(void **state) {
    (void)state;
    fill_up("40m", 10, 0, false, false);
}

static void test_full_disk_with_checkpoints(void **state) {
    (void)state;
    fill_up("48m", 10, 37, false, false);
}

static void test_full_disk_with_blobs(void **state) {
    (void)state;
    fill_up("48m", 10, 61, true, false);
}

static void test_full_disk_with_the_background_thread(void **state) {
    (void)state;
    fill_up("40m", 10, 0, false, true);
}

/// Full from the start: creation fails, says so, and works when there is room.
static void test_creation_on_a_full_disk_is_told(void **state) {
    (void)state;
    disk_t disk = {0};
    if (!set_up(&disk, "24m", 22)) {
        return;
    }
    memdb_options_t options = {.size = sizeof options, .flags = MEMDB_OPEN_CREATE};
    memdb_error_t error = {0};
    memdb_t *db = NULL;
    memdb_status_t status = memdb_open(disk.fixture.path, &options, &db, &error);
    printf("creation: %s (%s)\n", memdb_status_name(status), error.message);
    assert_true(status == MEMDB_FULL || status == MEMDB_IO);
    make_room(&disk);
    enlarge(&disk);
    fixture_open(&disk.fixture, (memdb_options_t){0});
    put_text(disk.fixture.db, space_of(disk.fixture.db, "main"), "k", "v");
    fixture_close(&disk.fixture);
    tear_down(&disk);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_disk_without_checkpoints),
        cmocka_unit_test(test_full_disk_with_checkpoints),
        cmocka_unit_test(test_full_disk_with_blobs),
        cmocka_unit_test(test_full_disk_with_the_background_thread),
        cmocka_unit_test(test_creation_on_a_full_disk_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
