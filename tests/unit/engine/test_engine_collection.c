// A collection beside everything else: checkpoints, commits and openings go on while its blobs are
// on the move, and one that is cut off is done by another.
#include "engine/fold/fold.h"
#include "tests/unit/engine/blob_story.h"

/// A compact up to its switch: extents are retired, and their blobs copied.
static void begin_collection(memdb_t *db, memdb__space_work_t *work, memdb__fold_t *merge) {
    memdb_error_t error = {0};
    bool found = false;
    assert_int_equal(memdb__merge_exclude(db, &error), MEMDB_OK);
    assert_int_equal(memdb__merge_begin(db, work, UINT64_MAX, merge, &found, &error), MEMDB_OK);
    assert_true(found && merge->collection.extents.size > 0);
    assert_int_equal(memdb__merge_write(merge, &error), MEMDB_OK);
}

static void end_collection(memdb_t *db, memdb__fold_t *merge, bool switches) {
    memdb_error_t error = {0};
    if (switches) {
        assert_int_equal(memdb__merge_switch(merge, &error), MEMDB_OK);
    }
    memdb__merge_end(merge);
    memdb__merge_admit(db);
}

static void checkpoint_alone(memdb_t *db) {
    memdb_error_t error = {0};
    assert_int_equal(memdb__checkpoint(db, &error), MEMDB_OK);
}

/// The handle that comes meanwhile never sees the frame that retired the extents: it is cut.
static void test_checkpoints_and_handles_come_and_go_beside_a_collection(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space = space_of(fixture->db, "main");
    memdb__space_work_t work = {0};
    memdb__fold_t merge;
    put_many(fixture->db, space, 0, 8);
    forget_many(fixture->db, space, 0, 2);
    reopen(fixture);
    begin_collection(fixture->db, &work, &merge);
    memdb_t *second = open_again(fixture->path, 0);
    must(second, change_text(second, space, "k2"));
    put_one(second, space, 3);
    put_one(second, space, 9);
    uint64_t applied = stats_of(second).applied_lsn;
    checkpoint_alone(second); // of another handle, and of the one that collects
    put_one(fixture->db, space, 10);
    checkpoint_alone(fixture->db);
    assert_true(stats_of(fixture->db).applied_lsn > applied);
    assert_int_equal(stats_of(fixture->db).log_bytes, 0);
    end_collection(fixture->db, &merge, true);
    check_many(second, space, 2, 8);
    check_many(second, space, 9, 11);
    expect_nothing_waits(fixture, 12);
    check_many(fixture->db, space, 2, 8);
    must(second, memdb_verify(second, NULL, NULL));
    must(second, memdb_close(second));
    reopen(fixture);
    check_many(fixture->db, space, 2, 8);
}

/// One that is given up leaves its extents retired and listed; the next checkpoint takes them.
static void test_a_collection_that_was_cut_off_is_done_by_the_next_checkpoint(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space = space_of(fixture->db, "main");
    memdb__space_work_t work = {0};
    memdb__fold_t merge;
    put_many(fixture->db, space, 0, 8);
    forget_many(fixture->db, space, 0, 2); // far from half of it
    reopen(fixture);
    begin_collection(fixture->db, &work, &merge);
    memdb__fold_unlink_tier(fixture->db, &merge.tier);
    end_collection(fixture->db, &merge, false);
    checkpoint_alone(fixture->db); // takes nothing away
    check_many(fixture->db, space, 2, 8);
    reopen(fixture);
    assert_true(stats_of(fixture->db).extents_waiting > 0);
    check_many(fixture->db, space, 2, 8);
    must(fixture->db, memdb_checkpoint(fixture->db));
    expect_nothing_waits(fixture, 7);
    check_many(fixture->db, space, 2, 8);
    must(fixture->db, memdb_verify(fixture->db, NULL, NULL));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_checkpoints_and_handles_come_and_go_beside_a_collection),
        TEST(test_a_collection_that_was_cut_off_is_done_by_the_next_checkpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
