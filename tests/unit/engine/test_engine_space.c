// Space comes back: extents of the arena that are mostly dead are emptied by checkpoints, and all
// that is dead by a compact, while snapshots of any handle or process go on reading what they see,
// and no transaction ever names a blob that is gone.
#include "base/io.h"
#include "tests/unit/engine/blob_story.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

// ------------------------------------------------------------------------------ collecting

static void test_a_checkpoint_collects_mostly_dead_extents(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space = space_of(fixture->db, "main");
    put_many(fixture->db, space, 0, 40);
    reopen(fixture); // the extent is nobody's now
    forget_many(fixture->db, space, 0, 18);
    must(fixture->db, memdb_checkpoint(fixture->db));
    assert_true(stats_of(fixture->db).blob_bytes > 40u * BLOB_BYTES); // more than half is live
    forget_many(fixture->db, space, 18, 32);
    must(fixture->db, memdb_checkpoint(fixture->db));
    must(fixture->db, memdb_checkpoint(fixture->db)); // the first one finds out, at the latest
    memdb_stats_t stats = stats_of(fixture->db);
    assert_true(stats.blob_bytes < 9u * BLOB_BYTES);
    assert_true(stats.blob_named_bytes >= 8u * BLOB_BYTES &&
                stats.blob_named_bytes < 9u * BLOB_BYTES);
    assert_int_equal(extent_files(fixture->path), 1);
    check_many(fixture->db, space, 32, 40);
    must(fixture->db, memdb_verify(fixture->db, NULL, NULL));
    reopen(fixture);
    check_many(fixture->db, space, 32, 40);
    put_one(fixture->db, space, 39); // known by its content, in its new place
    assert_int_equal(extent_files(fixture->path), 1);
}

static void
test_extents_of_living_writers_are_left_by_checkpoints_and_taken_by_compact(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space = space_of(fixture->db, "main");
    memdb_space_report_t report = {.size = sizeof report};
    put_many(fixture->db, space, 0, 20);
    forget_many(fixture->db, space, 1, 20);
    must(fixture->db, memdb_checkpoint(fixture->db));
    assert_true(stats_of(fixture->db).blob_bytes > 20u * BLOB_BYTES);
    must(fixture->db, memdb_compact(fixture->db, &report));
    assert_int_equal(report.extents_collected, 1);
    assert_int_equal(report.extents_waiting, 0);
    assert_true(report.bytes_before > 20u * BLOB_BYTES && report.bytes_after < 3u * BLOB_BYTES);
    assert_true(stats_of(fixture->db).blob_bytes < 2u * BLOB_BYTES);
    check_many(fixture->db, space, 0, 1);
    put_many(fixture->db, space, 20, 25); // into a new extent
    check_many(fixture->db, space, 20, 25);
    must(fixture->db, memdb_verify(fixture->db, NULL, NULL));
}

static void test_many_small_extents_become_one(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space = space_of(fixture->db, "main");
    for (int i = 0; i < 12; i++) {
        reopen(fixture);
        put_one(fixture->db, space, i);
    }
    assert_int_equal(extent_files(fixture->path), 12);
    reopen(fixture);
    must(fixture->db, memdb_checkpoint(fixture->db));
    assert_int_equal(extent_files(fixture->path), 1);
    check_many(fixture->db, space, 0, 12);
}

static void test_what_a_killed_writer_left_unnamed_is_collected(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space = space_of(fixture->db, "main");
    int ends[2];
    char told;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        memdb_t *db = open_again(fixture->path, 0);
        memdb_txn_t *txn;
        must(db, memdb_txn_begin(db, &txn));
        must(db, put_in(db, txn, space, 5));
        assert_int_equal(write(ends[1], "+", 1), 1);
        pause();
    }
    assert_int_equal(read(ends[0], &told, 1), 1);
    must(fixture->db, memdb_checkpoint(fixture->db));
    assert_int_equal(extent_files(fixture->path), 1); // its creator lives
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    must(fixture->db, memdb_compact(fixture->db, NULL));
    assert_int_equal(extent_files(fixture->path), 0);
    close(ends[0]);
    close(ends[1]);
}

// ------------------------------------------------------------------------------ naming what is
// retired

static void test_a_blob_stored_before_a_collection_conflicts_once(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space = space_of(fixture->db, "main");
    memdb_txn_t *txn;
    put_many(fixture->db, space, 0, 4);
    forget_many(fixture->db, space, 0, 3);
    for (int attempt = 0; attempt < 2; attempt++) {
        must(fixture->db, memdb_txn_begin(fixture->db, &txn));
        must(fixture->db, put_in(fixture->db, txn, space, 7));
        if (attempt == 0) {
            must(fixture->db, memdb_compact(fixture->db, NULL));
        }
        assert_int_equal(memdb_txn_commit(txn, MEMDB_DURABILITY_OS, NULL),
                         attempt == 0 ? MEMDB_CONFLICT : MEMDB_OK);
    }
    check_many(fixture->db, space, 7, 8);
    check_many(fixture->db, space, 3, 4);
    must(fixture->db, memdb_compact(fixture->db, NULL));
    check_many(fixture->db, space, 7, 8);
    must(fixture->db, memdb_verify(fixture->db, NULL, NULL));
}

static void test_equal_content_found_before_a_collection_conflicts_once(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space = space_of(fixture->db, "main");
    memdb_t *second = open_again(fixture->path, 0);
    memdb_txn_t *txn;
    put_many(fixture->db, space, 0, 4);
    must(second, memdb_txn_begin(second, &txn));
    must(second, put_in(second, txn, space, 2)); // found by its content: nothing is stored
    forget_many(fixture->db, space, 0, 2);
    must(fixture->db, memdb_compact(fixture->db, NULL));
    assert_int_equal(memdb_txn_commit(txn, MEMDB_DURABILITY_OS, NULL), MEMDB_CONFLICT);
    put_one(second, space, 2);
    check_many(second, space, 2, 4);
    must(second, memdb_close(second));
    must(fixture->db, memdb_compact(fixture->db, NULL));
    check_many(fixture->db, space, 2, 4);
    must(fixture->db, memdb_verify(fixture->db, NULL, NULL));
}

static bool refuse_segments;

static int open_at(int directory, const char *name, int flags, mode_t mode) {
    size_t size = strlen(name);
    if (refuse_segments && (flags & O_CREAT) && size > 4 && strcmp(name + size - 4, ".seg") == 0) {
        errno = ENOSPC;
        return -1;
    }
    return memdb__io_real.open_at(directory, name, flags, mode);
}

/// A fold that fails after its seal leaves extents retired, and named: like the time between the
/// seal and the switch. A change then carries the blob along into another extent.
static void test_a_change_between_seal_and_switch_stores_its_blob_again(void **state) {
    fixture_t *fixture = *state;
    fixture_close(fixture); // no thread of the background may see the table change
    fixture_open(fixture, (memdb_options_t){.no_background = true});
    memdb_space_t space = space_of(fixture->db, "main");
    memdb__io_table_t table = memdb__io_real;
    table.open_at = open_at;
    put_many(fixture->db, space, 0, 6);
    forget_many(fixture->db, space, 0, 2);
    memdb__io_install(&table);
    refuse_segments = true;
    assert_int_equal(memdb_compact(fixture->db, NULL), MEMDB_FULL);
    refuse_segments = false;
    memdb__io_install(NULL);
    check_many(fixture->db, space, 2, 6); // still where they were
    must(fixture->db, change_text(fixture->db, space, "k2"));
    put_one(fixture->db, space, 3); // equal content is not found in a retired extent
    check_many(fixture->db, space, 2, 6);
    must(fixture->db, memdb_verify(fixture->db, NULL, NULL));
    reopen(fixture);
    check_many(fixture->db, space, 2, 6);
    must(fixture->db, memdb_compact(fixture->db, NULL));
    check_many(fixture->db, space, 2, 6);
    assert_true(stats_of(fixture->db).blob_bytes < 5u * BLOB_BYTES);
    must(fixture->db, memdb_verify(fixture->db, NULL, NULL));
}

static void test_a_change_begun_before_a_collection_conflicts_once(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space = space_of(fixture->db, "main");
    memdb_t *second = open_again(fixture->path, 0);
    memdb_txn_t *txn;
    memdb_memory_t memory = {.size = sizeof memory,
                             .fields = MEMDB_FIELD_KEY | MEMDB_FIELD_TEXT,
                             .key = text("k2"),
                             .text = text("changed")};
    put_many(fixture->db, space, 0, 4);
    must(second, memdb_txn_begin(second, &txn));
    must(second, memdb_put(txn, space, &memory, NULL));
    forget_many(fixture->db, space, 0, 2);
    must(fixture->db, memdb_compact(fixture->db, NULL));
    assert_int_equal(memdb_txn_commit(txn, MEMDB_DURABILITY_OS, NULL), MEMDB_CONFLICT);
    must(second, change_text(second, space, "k2"));
    check_many(second, space, 2, 4);
    must(second, memdb_close(second));
}

// ------------------------------------------------------------------------------ older snapshots

/// `reader` is another handle or the same one; its snapshot is older than the compact.
static void read_on(fixture_t *fixture, memdb_t *reader, memdb_space_t space) {
    memdb_snapshot_t *snapshot;
    memdb_space_report_t report = {.size = sizeof report};
    must(reader, memdb_snapshot_begin(reader, NULL, &snapshot));
    forget_many(fixture->db, space, 0, 6);
    must(fixture->db, memdb_compact(fixture->db, &report));
    assert_true(report.extents_waiting > 0 && report.waiting_bytes > 0);
    for (int i = 0; i < 8; i++) { // also what is forgotten by now
        check_one(reader, snapshot, space, i);
    }
    must(fixture->db, memdb_checkpoint(fixture->db)); // looks again, and leaves it
    check_one(reader, snapshot, space, 0);
    memdb_snapshot_end(snapshot);
}

static void test_an_older_snapshot_of_the_same_handle_reads_on(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space = space_of(fixture->db, "main");
    put_many(fixture->db, space, 0, 8);
    read_on(fixture, fixture->db, space);
    expect_nothing_waits(fixture, 4);
    check_many(fixture->db, space, 6, 8);
}

static void test_an_older_snapshot_of_another_handle_reads_on(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space = space_of(fixture->db, "main");
    memdb_t *second = open_again(fixture->path, 0);
    put_many(fixture->db, space, 0, 8);
    must(fixture->db, memdb_checkpoint(fixture->db));
    read_on(fixture, second, space);
    check_many(second, space, 6,
               8); // its next snapshot sees the new base, and lets go of the old one
    expect_nothing_waits(fixture, 4);
    must(second, memdb_close(second));
}

static void test_a_read_only_handle_reads_on_until_it_is_closed(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space = space_of(fixture->db, "main");
    put_many(fixture->db, space, 0, 8);
    must(fixture->db, memdb_sync(fixture->db)); // it sees what is durable
    memdb_t *second = open_again(fixture->path, MEMDB_OPEN_READ_ONLY);
    read_on(fixture, second, space);
    must(fixture->db, memdb_compact(fixture->db, NULL));
    check_many(second, space, 0, 8); // it sees the moment of its opening for ever
    must(second, memdb_close(second));
    expect_nothing_waits(fixture, 4);
}

static void test_a_killed_reader_holds_nothing_back(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space = space_of(fixture->db, "main");
    int ends[2];
    char told;
    put_many(fixture->db, space, 0, 8);
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        memdb_t *db = open_again(fixture->path, 0);
        memdb_snapshot_t *snapshot;
        must(db, memdb_snapshot_begin(db, NULL, &snapshot));
        assert_int_equal(write(ends[1], "+", 1), 1);
        pause();
    }
    assert_int_equal(read(ends[0], &told, 1), 1);
    forget_many(fixture->db, space, 0, 6);
    must(fixture->db, memdb_compact(fixture->db, NULL));
    assert_true(stats_of(fixture->db).extents_waiting > 0);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    expect_nothing_waits(fixture, 4);
    close(ends[0]);
    close(ends[1]);
}

static void test_a_handle_that_slept_through_collections_finds_everything(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space = space_of(fixture->db, "main");
    put_many(fixture->db, space, 0, 8);
    memdb_t *second = open_again(fixture->path, 0);
    for (int round = 0; round < 3; round++) {
        forget_many(fixture->db, space, round * 2, round * 2 + 2);
        must(fixture->db, memdb_compact(fixture->db, NULL));
    }
    assert_true(stats_of(fixture->db).extents_waiting > 0); // it might begin to read at any time
    check_many(second, space, 6, 8);
    expect_nothing_waits(fixture, 4);
    put_one(second, space, 20);
    check_many(fixture->db, space, 20, 21);
    must(second, memdb_close(second));
}

/// What waits is in the catalog: a process that comes after a crash knows of it.
static void test_what_waits_is_remembered_across_processes(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space = space_of(fixture->db, "main");
    memdb_snapshot_t *snapshot;
    fixture_t copy = {0};
    put_many(fixture->db, space, 0, 8);
    must(fixture->db, memdb_snapshot_begin(fixture->db, NULL, &snapshot));
    forget_many(fixture->db, space, 0, 6);
    must(fixture->db, memdb_compact(fixture->db, NULL));
    fixture_copy(fixture, "-killed", copy.path);
    memdb_snapshot_end(snapshot);
    fixture_open(&copy, (memdb_options_t){.no_background = true});
    assert_true(stats_of(copy.db).extents_waiting > 0);
    check_many(copy.db, space, 6, 8);
    must(copy.db, memdb_checkpoint(copy.db));
    assert_int_equal(stats_of(copy.db).extents_waiting, 0);
    check_many(copy.db, space, 6, 8);
    must(copy.db, memdb_verify(copy.db, NULL, NULL));
    fixture_close(&copy);
}

// ------------------------------------------------------------------------------ damage, tiers

static void damage_first_extent(const char *path) {
    char command[600];
    snprintf(command, sizeof command,
             "f=$(ls %s/blob/*.ext | head -1); printf X | dd of=$f bs=1 seek=150000 conv=notrunc "
             "status=none",
             path);
    assert_int_equal(system(command), 0);
}

static void count_finding(void *context, const char *file, uint64_t offset, const char *what) {
    (void)file;
    (void)offset;
    (void)what;
    ++*(int *)context;
}

static void test_a_damaged_blob_stops_no_checkpoint_and_is_still_told(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space = space_of(fixture->db, "main");
    memdb_space_report_t report = {.size = sizeof report};
    int findings = 0;
    put_many(fixture->db, space, 0, 8); // the first one lies where the damage will be
    forget_many(fixture->db, space, 1, 5);
    reopen(fixture);
    damage_first_extent(fixture->path);
    must(fixture->db, memdb_compact(fixture->db, &report));
    assert_int_equal(report.extents_collected, 0);
    check_many(fixture->db, space, 5, 8);
    assert_int_equal(memdb_verify(fixture->db, count_finding, &findings), MEMDB_CORRUPT);
    assert_int_equal(findings, 1);
    forget_many(fixture->db, space, 0, 1); // without the damaged one it goes
    must(fixture->db, memdb_compact(fixture->db, &report));
    assert_true(report.extents_collected >= 1);
    check_many(fixture->db, space, 5, 8);
    must(fixture->db, memdb_verify(fixture->db, NULL, NULL));
}

static void put_large_text(memdb_t *db, memdb_space_t space, int number) {
    char key[32];
    static char words[20000];
    for (size_t i = 0; i < sizeof words - 1; i++) {
        words[i] = i % 8 == 7 ? ' ' : (char)('a' + (i / 8 + (size_t)number * 7 + i % 8) % 26);
    }
    snprintf(key, sizeof key, "k%d", number);
    put_text(db, space, key, words);
}

/// Small checkpoints leave the large tier alone, until what they replace in it outweighs the rest.
static void test_checkpoints_bound_what_tiers_hold_of_the_dead(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space = space_of(fixture->db, "main");
    memdb_txn_t *txn;
    const int count = 200;
    for (int i = 0; i < count; i++) {
        put_large_text(fixture->db, space, i);
    }
    must(fixture->db, memdb_checkpoint(fixture->db));
    uint64_t full = stats_of(fixture->db).segment_bytes, most = 0;
    bool grew = false, fell = false;
    for (int i = 0; i < count * 9 / 10; i++) {
        char key[32];
        memdb_memory_t memory;
        snprintf(key, sizeof key, "k%d", i);
        must(fixture->db, memdb_txn_begin(fixture->db, &txn));
        must(fixture->db, memdb_get_by_key(memdb_txn_snapshot(txn), space, text(key), &memory));
        must(fixture->db, memdb_forget(txn, space, memory.id));
        must(fixture->db, memdb_txn_commit(txn, MEMDB_DURABILITY_OS, NULL));
        if (i % 5 == 4) {
            must(fixture->db, memdb_checkpoint(fixture->db));
            memdb_stats_t stats = stats_of(fixture->db);
            uint64_t live = full * stats.memories / (uint64_t)count;
            uint64_t share = stats.segment_bytes * 100 / (live + 65536);
            most = share > most ? share : most;
            grew |= stats.superseded_bytes > 0 && stats.tiers > 1;
            fell |= grew && stats.tiers == 1;
        }
    }
    assert_true(grew && fell);
    printf("at most %.2f times the live bytes\n", (double)most / 100);
    assert_true(most < 300);
    must(fixture->db, memdb_verify(fixture->db, NULL, NULL));
}

static void test_a_compact_of_a_tenth_is_small(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space = space_of(fixture->db, "main");
    memdb_space_report_t report = {.size = sizeof report};
    put_many(fixture->db, space, 0, 60);
    must(fixture->db, memdb_checkpoint(fixture->db));
    forget_many(fixture->db, space, 0, 54);
    must(fixture->db, memdb_compact(fixture->db, &report));
    uint64_t live = 6u * BLOB_BYTES;
    printf("%llu bytes before, %llu after, %llu live\n", (unsigned long long)report.bytes_before,
           (unsigned long long)report.bytes_after, (unsigned long long)live);
    assert_true(report.bytes_before > 60u * BLOB_BYTES);
    assert_true(report.bytes_after < live * 13 / 10 + (300u << 10)); // catalog and a small log
    memdb_stats_t stats = stats_of(fixture->db);
    assert_int_equal(stats.tiers, 1);
    assert_int_equal(stats.superseded_bytes, 0);
    check_many(fixture->db, space, 54, 60);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_checkpoint_collects_mostly_dead_extents),
        TEST(test_extents_of_living_writers_are_left_by_checkpoints_and_taken_by_compact),
        TEST(test_many_small_extents_become_one),
        TEST(test_what_a_killed_writer_left_unnamed_is_collected),
        TEST(test_a_blob_stored_before_a_collection_conflicts_once),
        TEST(test_equal_content_found_before_a_collection_conflicts_once),
        TEST(test_a_change_between_seal_and_switch_stores_its_blob_again),
        TEST(test_a_change_begun_before_a_collection_conflicts_once),
        TEST(test_an_older_snapshot_of_the_same_handle_reads_on),
        TEST(test_an_older_snapshot_of_another_handle_reads_on),
        TEST(test_a_read_only_handle_reads_on_until_it_is_closed),
        TEST(test_a_killed_reader_holds_nothing_back),
        TEST(test_a_handle_that_slept_through_collections_finds_everything),
        TEST(test_what_waits_is_remembered_across_processes),
        TEST(test_a_damaged_blob_stops_no_checkpoint_and_is_still_told),
        TEST(test_checkpoints_bound_what_tiers_hold_of_the_dead),
        TEST(test_a_compact_of_a_tenth_is_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
