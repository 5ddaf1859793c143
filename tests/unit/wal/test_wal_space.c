// Space of the log: a fresh small segment on demand, after which a cut leaves nothing of what was
// written before; and tails that recovery cuts behind a hole, which are kept aside, few and small.
#include "base/memory.h"
#include "tests/unit/wal/wal_fixture.h"
#include "wal/wal_segment.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEGMENT (1u << 20)

/// Whether any file of the log holds the payload's first bytes.
static bool log_holds(fixture_t *f, uint64_t n) {
    static uint8_t payload[PAYLOAD_LIMIT];
    char command[200], name[300];
    bool found = false;
    payload_make(n, payload_size(n), payload);
    snprintf(command, sizeof command, "%s/log", f->path);
    DIR *directory = opendir(command);
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory));) {
        size_t size;
        snprintf(name, sizeof name, "%s", entry->d_name);
        if (name[0] != '.') {
            uint8_t *data = file_read(f, name, &size);
            found |= memmem(data, size, payload, payload_size(n)) != NULL;
            memdb__free(data);
        }
    }
    closedir(directory);
    return found;
}

static void test_wal_rotate_and_cut_leave_nothing_of_what_was_written(void **state) {
    (void)state;
    fixture_t f;
    seen_t seen = {0};
    uint64_t end;
    fixture_create(&f, SEGMENT);
    fixture_open(&f, 0, false);
    memdb__frame_t frame = {0};
    for (uint64_t n = 0; n < 300; n++) { // some segments; some are recycled
        frame = append(&f, n, n % 7 == 0);
        if (n % 100 == 99) {
            EXPECT_OK(&f, memdb__wal_sync(f.wal, frame.end, &f.error));
            EXPECT_OK(&f, memdb__wal_cut(f.wal, frame.end, &f.error));
        }
    }
    assert_true(file_count(&f, "recycle.0") == 1);
    assert_true(log_holds(&f, 299));
    EXPECT_OK(&f, memdb__wal_rotate(f.wal, 64 << 10, &f.error));
    assert_int_equal(file_count(&f, "recycle.0"), 0);
    for (uint64_t n = 300; n < 340; n++) { // more than the small segment takes
        append(&f, n, true);
    }
    EXPECT_OK(&f, memdb__wal_cut_all(f.wal, frame.end, &f.error));
    for (uint64_t n = 0; n < 300; n++) { // a few bytes alone may be in any other
        assert_false(payload_size(n) > 16 && log_holds(&f, n));
    }
    for (uint64_t n = 300; n < 340; n++) {
        assert_true(log_holds(&f, n));
    }
    assert_int_equal(scan(&f, frame.end, &seen, &end), MEMDB_OK);
    assert_int_equal(seen.count, 40);
    assert_int_equal(seen.first, 300);
    fixture_close(&f);
    fixture_open(&f, frame.end, false);
    assert_int_equal(f.recovery.frames, 40);
    fixture_destroy(&f);
}

static void test_wal_rotate_twice_keeps_the_chain(void **state) {
    (void)state;
    fixture_t f;
    fixture_create(&f, SEGMENT);
    fixture_open(&f, 0, false);
    uint64_t n = 0;
    for (int round = 0; round < 6; round++) { // also where nothing was written between
        for (int i = 0; i < round % 3; i++) {
            append(&f, n++, true);
        }
        EXPECT_OK(&f, memdb__wal_rotate(f.wal, 64 << 10, &f.error));
    }
    append(&f, n++, true);
    fixture_close(&f);
    fixture_open(&f, 0, false);
    assert_int_equal(f.recovery.frames, n);
    fixture_destroy(&f);
}

static int aside_files(const fixture_t *f, uint64_t *bytes_out) {
    char path[200];
    int count = 0;
    *bytes_out = 0;
    snprintf(path, sizeof path, "%s/aside", f->path);
    DIR *directory = opendir(path);
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        struct stat about;
        if (entry->d_name[0] != '.') {
            assert_int_equal(fstatat(dirfd(directory), entry->d_name, &about, 0), 0);
            *bytes_out += (uint64_t)about.st_size;
            count++;
        }
    }
    if (directory) {
        closedir(directory);
    }
    return count;
}

static void test_wal_tails_behind_a_hole_are_kept_aside_few_and_small(void **state) {
    (void)state;
    fixture_t f;
    uint64_t bytes = 0, n = 0;
    fixture_create(&f, SEGMENT);
    for (int life = 0; life < 7; life++) {
        memdb__frame_t frames[4];
        char name[32];
        size_t size;
        fixture_open(&f, 0, false);
        for (uint64_t i = 0; i < 4; i++) {
            frames[i] = append(&f, n + i, false); // durable stays behind: all of it is tail
        }
        fixture_close(&f);
        newest_name(&f, name);
        uint8_t *data = file_read(&f, name, &size);
        static uint8_t payload[PAYLOAD_LIMIT];
        payload_make(n + 1, payload_size(n + 1), payload);
        uint8_t *at = memmem(data, size, payload, payload_size(n + 1));
        assert_non_null(at);
        *at ^= 1; // the second frame; the third and fourth are whole behind the hole
        file_write(&f, name, data, size);
        memdb__free(data);
        fixture_open(&f, 0, false);
        n++; // the first one stays
        assert_int_equal(f.recovery.frames, n);
        int files = aside_files(&f, &bytes);
        assert_int_equal(files, life < 4 ? life + 1 : 4);
        assert_true(bytes >= payload_size(n + 1) + payload_size(n + 2));
        assert_true(frames[3].end - frames[1].lsn <= bytes);
        fixture_close(&f);
    }
    EXPECT_OK(&f, memdb__wal_aside_remove(f.directory, &f.error));
    assert_int_equal(aside_files(&f, &bytes), 0);
    EXPECT_OK(&f, memdb__wal_aside_remove(f.directory, &f.error));
    fixture_open(&f, 0, false);
    assert_int_equal(f.recovery.frames, n);
    fixture_destroy(&f);
}

static void test_wal_a_torn_tail_without_a_hole_is_not_kept(void **state) {
    (void)state;
    fixture_t f;
    uint64_t bytes;
    char name[32];
    size_t size;
    static uint8_t payload[PAYLOAD_LIMIT];
    fixture_create(&f, SEGMENT);
    fixture_open(&f, 0, false);
    append(&f, 0, false);
    append(&f, 1, false);
    fixture_close(&f);
    newest_name(&f, name);
    uint8_t *data = file_read(&f, name, &size);
    payload_make(1, payload_size(1), payload);
    uint8_t *at = memmem(data, size, payload, payload_size(1));
    assert_non_null(at);
    *at ^= 1;
    file_write(&f, name, data, size);
    memdb__free(data);
    fixture_open(&f, 0, false);
    assert_int_equal(f.recovery.frames, 1);
    assert_int_equal(aside_files(&f, &bytes), 0);
    fixture_destroy(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wal_rotate_and_cut_leave_nothing_of_what_was_written),
        cmocka_unit_test(test_wal_rotate_twice_keeps_the_chain),
        cmocka_unit_test(test_wal_tails_behind_a_hole_are_kept_aside_few_and_small),
        cmocka_unit_test(test_wal_a_torn_tail_without_a_hole_is_not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
