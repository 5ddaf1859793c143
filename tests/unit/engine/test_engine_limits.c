// Goal: snapshots and transactions are known to their handle, and end at the age that the settings
// say: with a clear error at the next call, without a wrong answer, and without taking back what
// they lent. Method: a snapshot is made older in its slot, as if its clock had gone on.
#include "engine/engine.h"
#include "tests/lib/database.h"

static memdb_stats_t stats_of(memdb_t *db) {
    memdb_stats_t stats;
    must(db, memdb_get_stats(db, &stats));
    return stats;
}

/// Make a snapshot older, as if its clock had gone on.
static void age(memdb_t *db, const memdb_snapshot_t *snapshot, int64_t us) {
    atomic_fetch_sub(&db->epochs.slots[snapshot->slot].began, us);
}

#define SECOND_US INT64_C(1000000)

static void test_a_snapshot_beyond_its_limit_ends_and_its_memory_stays(void **state) {
    fixture_t *fixture = *state;
    memdb_t *db = fixture->db;
    memdb_space_t space = space_of(db, "main");
    uint64_t id = put_text(db, space, "k", "some text");
    memdb_settings_t settings = {.size = sizeof settings,
                                 .snapshot_limit_us = 100 * (uint64_t)SECOND_US};
    must(db, memdb_configure(db, &settings));
    memdb_snapshot_t *snapshot;
    memdb_memory_t memory, other;
    memdb_cursor_t *cursor;
    memdb_link_cursor_t *links;
    memdb_space_t found;
    must(db, memdb_snapshot_begin(db, NULL, &snapshot));
    must(db, memdb_get(snapshot, space, id, &memory));
    must(db, memdb_cursor_open(snapshot, space, NULL, &cursor));
    must(db, memdb_links_open(snapshot, space, id, MEMDB_DIRECTION_OUT, text(""), &links));
    age(db, snapshot, 90 * SECOND_US);
    must(db, memdb_get(snapshot, space, id, &memory));
    assert_int_equal(memdb__snapshots_lowest(db), memdb_snapshot_lsn(snapshot));
    age(db, snapshot, 20 * SECOND_US);
    memdb_link_t link;
    float vector[2];
    assert_int_equal(memdb_get(snapshot, space, id, &other), MEMDB_EXPIRED);
    assert_int_equal(memdb_get_by_key(snapshot, space, text("k"), &other), MEMDB_EXPIRED);
    assert_int_equal(memdb_get_vector(snapshot, space, id, vector, 2), MEMDB_EXPIRED);
    assert_int_equal(memdb_cursor_next(cursor, &other), MEMDB_EXPIRED);
    assert_int_equal(memdb_links_next(links, &link), MEMDB_EXPIRED);
    assert_int_equal(memdb_space_find(snapshot, text("main"), &found), MEMDB_EXPIRED);
    assert_int_equal(stats_of(db).snapshots_expired, 1);
    // A call that began in time may still run: the collector waits for it.
    assert_int_equal(memdb__snapshots_lowest(db), memdb_snapshot_lsn(snapshot));
    age(db, snapshot, 100 * SECOND_US);
    assert_int_equal(memdb__snapshots_lowest(db), UINT64_MAX);
    put_text(db, space, "k", "another text");
    must(db, memdb_checkpoint(db));
    must(db, memdb_checkpoint(db));
    assert_memory_equal(memory.text.data, "some text", 9); // lent until the end
    memdb_cursor_close(cursor);
    memdb_links_close(links);
    memdb_snapshot_end(snapshot);
    assert_int_equal(stats_of(db).snapshots_expired, 0);
}

static void test_a_transaction_beyond_its_limit_writes_nothing(void **state) {
    fixture_t *fixture = *state;
    memdb_t *db = fixture->db;
    memdb_space_t space = space_of(db, "main");
    memdb_txn_t *txn;
    memdb_memory_t memory = {
        .size = sizeof memory, .fields = MEMDB_FIELD_KEY, .key = text("never")};
    must(db, memdb_txn_begin(db, &txn));
    must(db, memdb_put(txn, space, &memory, NULL));
    age(db, memdb_txn_snapshot(txn), 3500 * SECOND_US); // one hour is the default
    must(db, memdb_put(txn, space, &memory, NULL));
    age(db, memdb_txn_snapshot(txn), 200 * SECOND_US);
    assert_int_equal(memdb_put(txn, space, &memory, NULL), MEMDB_EXPIRED);
    assert_int_equal(memdb_txn_commit(txn, MEMDB_DURABILITY_DEFAULT, NULL), MEMDB_EXPIRED);
    assert_null(get_text(db, space, "never"));
}

typedef struct listed {
    size_t count, expired;
    uint64_t lowest;
    int64_t oldest_us;
} listed_t;

static bool list_one(void *context, const memdb_snapshot_info_t *info) {
    listed_t *listed = context;
    listed->count++;
    listed->expired += info->expired;
    listed->lowest = info->lsn < listed->lowest ? info->lsn : listed->lowest;
    listed->oldest_us = info->age_us > listed->oldest_us ? info->age_us : listed->oldest_us;
    assert_true(info->began > 0);
    return true;
}

static void test_snapshots_are_listed_with_age_and_position(void **state) {
    fixture_t *fixture = *state;
    memdb_t *db = fixture->db;
    memdb_space_t space = space_of(db, "main");
    memdb_snapshot_t *old, *new;
    memdb_txn_t *txn;
    must(db, memdb_snapshot_begin(db, NULL, &old));
    put_text(db, space, "k", "v");
    must(db, memdb_snapshot_begin(db, NULL, &new));
    must(db, memdb_txn_begin(db, &txn));
    age(db, old, 10 * SECOND_US);
    listed_t listed = {.lowest = UINT64_MAX};
    must(db, memdb_snapshot_list(db, list_one, &listed));
    assert_int_equal(listed.count, 3);
    assert_int_equal(listed.expired, 0);
    assert_int_equal(listed.lowest, memdb_snapshot_lsn(old));
    assert_int_equal(memdb__snapshots_lowest(db), memdb_snapshot_lsn(old));
    assert_true(listed.oldest_us >= 10 * SECOND_US);
    memdb_snapshot_t *past;
    memdb_snapshot_options_t beginning = {.size = sizeof beginning, .as_of_lsn = 1};
    must(db, memdb_snapshot_begin(db, &beginning, &past));
    assert_int_equal(memdb__snapshots_lowest(db), 0);
    memdb_snapshot_end(past);
    memdb_snapshot_end(old);
    assert_int_equal(memdb__snapshots_lowest(db), memdb_snapshot_lsn(new));
    memdb_snapshot_end(new);
    memdb_txn_abort(txn);
    assert_int_equal(memdb__snapshots_lowest(db), UINT64_MAX);
}

static void test_settings_that_are_not_valid_are_refused(void **state) {
    fixture_t *fixture = *state;
    memdb_t *db = fixture->db;
    memdb_settings_t settings = {.size = 4}, got;
    assert_int_equal(memdb_configure(db, &settings), MEMDB_INVALID);
    settings = (memdb_settings_t){.size = sizeof settings, .history_us = UINT64_C(1) << 63};
    assert_int_equal(memdb_configure(db, &settings), MEMDB_INVALID);
    assert_int_equal(memdb_configure(NULL, &settings), MEMDB_INVALID);
    assert_int_equal(memdb_get_settings(db, NULL), MEMDB_INVALID);
    must(db, memdb_get_settings(db, &got));
    assert_int_equal(got.history_us | got.history_bytes | got.snapshot_limit_us, 0);
    uint64_t before = stats_of(db).visible_lsn;
    must(db, memdb_configure(db, &got));
    assert_int_equal(stats_of(db).visible_lsn, before); // nothing differs, nothing is written
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(test_a_snapshot_beyond_its_limit_ends_and_its_memory_stays),
        CASE(test_a_transaction_beyond_its_limit_writes_nothing),
        CASE(test_snapshots_are_listed_with_age_and_position),
        CASE(test_settings_that_are_not_valid_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
