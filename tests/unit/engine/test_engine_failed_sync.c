// A failed sync (rule 8): commits are refused from then on, reads see what is durable, and the next
// opening writes the surviving frames again, because after a failed fdatasync the page cache shows
// bytes that the disk may not have.
#include "base/io.h"
#include "tests/lib/database.h"
#include "wal/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int fails; // so many syncs of data from now on fail

static bool fails_now(void) {
    if (fails > 0) {
        fails--;
        errno = EIO;
        return true;
    }
    return false;
}

static int sync_that_fails(int fd) {
    return fails_now() ? -1 : memdb__io_real.sync_data(fd);
}

/// A write that is its own sync: the page cache, or the disk, may have it all the same.
static ssize_t write_that_fails(int fd, const void *buffer, size_t size, off_t offset) {
    ssize_t put = memdb__io_real.pwrite(fd, buffer, size, offset);
    return (fcntl(fd, F_GETFL) & O_DSYNC) && fails_now() ? -1 : put;
}

static bool had_failed(const char *path) {
    int directory = open(path, O_RDONLY | O_DIRECTORY);
    bool failed = memdb__control_past(directory).failed;
    close(directory);
    return failed;
}

static memdb_status_t try_to_put(memdb_t *db, memdb_space_t space, const char *key) {
    memdb_txn_t *txn;
    memdb_memory_t memory = {.size = sizeof memory,
                             .fields = MEMDB_FIELD_KEY | MEMDB_FIELD_TEXT,
                             .key = text(key),
                             .text = text(key)};
    memdb_status_t status = memdb_txn_begin(db, &txn);
    if (status) {
        return status;
    }
    must(db, memdb_put(txn, space, &memory, NULL));
    return memdb_txn_commit(txn, MEMDB_DURABILITY_FULL, NULL);
}

/// All that survived is in the newest segment: the older ones, whose bytes are in doubt, can go.
static void expect_in_newest_segment(const fixture_t *fixture, memdb_space_t space,
                                     const char *first, const char *second) {
    char copy[256], command[700];
    fixture_copy(fixture, "-newest", copy);
    snprintf(command, sizeof command, "cd '%s/log' && ls *.log | head -n -1 | xargs -r rm", copy);
    assert_int_equal(system(command), 0);
    fixture_t newest = {0};
    snprintf(newest.path, sizeof newest.path, "%s", copy);
    fixture_open(&newest, (memdb_options_t){0});
    assert_string_equal(get_text(newest.db, space, first), first);
    assert_string_equal(get_text(newest.db, space, second), second);
    fixture_close(&newest);
}

static void test_failed_sync_refuses_commits_and_is_mended_by_the_next_opening(void **state) {
    fixture_t *fixture = *state;
    fixture_close(fixture); // a sync of the background would take the fault
    fixture_open(fixture, (memdb_options_t){.no_background = true});
    memdb_space_t space = space_of(fixture->db, "main");
    put_text(fixture->db, space, "before", "before");
    fails = 1;
    assert_int_equal(try_to_put(fixture->db, space, "unknown"), MEMDB_IO);
    assert_int_equal(try_to_put(fixture->db, space, "after"), MEMDB_FAILED);
    assert_string_equal(get_text(fixture->db, space, "before"), "before");
    assert_null(get_text(fixture->db, space, "unknown")); // not known to be durable
    fixture_close(fixture);
    assert_true(had_failed(fixture->path));
    fixture_open(fixture, (memdb_options_t){0});
    assert_false(had_failed(fixture->path));
    expect_in_newest_segment(fixture, space, "before", "unknown"); // it survived, whole
    put_text(fixture->db, space, "after", "after");
    must(fixture->db, memdb_verify(fixture->db, NULL, NULL));
}

static void test_a_recovery_whose_sync_failed_is_mended_by_the_next_opening(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space = space_of(fixture->db, "main");
    put_text(fixture->db, space, "one", "one");
    put_text(fixture->db, space, "two", "two");
    fixture_close(fixture);
    assert_false(had_failed(fixture->path));
    fails = 1;
    memdb_t *db;
    memdb_error_t error = {0};
    assert_int_equal(memdb_open(fixture->path, NULL, &db, &error), MEMDB_IO);
    assert_int_equal(fails, 0);
    // The kernel told that one caller, and the next sync of the same file succeeds.
    assert_true(had_failed(fixture->path));
    fixture_open(fixture, (memdb_options_t){0});
    assert_false(had_failed(fixture->path));
    expect_in_newest_segment(fixture, space, "one", "two");
}

static int install(void **state) {
    static memdb__io_table_t table;
    table = memdb__io_real;
    table.sync_data = sync_that_fails;
    table.pwrite = write_that_fails;
    fails = 0;
    memdb__io_install(&table);
    return fixture_setup(state);
}

static int restore(void **state) {
    int result = fixture_teardown(state);
    memdb__io_install(NULL);
    return result;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_failed_sync_refuses_commits_and_is_mended_by_the_next_opening, install, restore),
        cmocka_unit_test_setup_teardown(
            test_a_recovery_whose_sync_failed_is_mended_by_the_next_opening, install, restore),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
