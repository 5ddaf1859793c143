// Goal: reading single memories takes no shortcut that shows. What a slot keeps of the last
// snapshot, what a view remembers of spaces, and the hash of the tiers give the answers of a
// search: for new and old snapshots, in transactions, and across checkpoints.
#include "base/memory.h"
#include "engine/engine.h"
#include "tests/lib/database.h"

#include <stdio.h>

static memdb_status_t look(memdb_snapshot_t *snapshot, memdb_space_t space, const char *key) {
    memdb_memory_t memory;
    return memdb_get_by_key(snapshot, space, text(key), &memory);
}

static memdb_status_t look_now(memdb_t *db, memdb_space_t space, const char *key) {
    memdb_snapshot_t *snapshot;
    must(db, memdb_snapshot_begin(db, NULL, &snapshot));
    memdb_status_t status = look(snapshot, space, key);
    memdb_snapshot_end(snapshot);
    return status;
}

static void drop(memdb_t *db, const char *name) {
    memdb_txn_t *txn;
    must(db, memdb_txn_begin(db, &txn));
    must(db, memdb_space_drop(txn, text(name)));
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_DEFAULT, NULL));
}

static void test_a_read_allocates_nothing(void **state) {
    fixture_t *fixture = *state;
    memdb_t *db = fixture->db;
    memdb_space_t space = space_of(db, "main");
    put_text(db, space, "k", "of a segment");
    must(db, memdb_checkpoint(db));
    put_text(db, space, "l", "of the delta");
    must(db, look_now(db, space, "k"));
    uint64_t count = memdb__memory_count();
    for (int i = 0; i < 100; i++) {
        must(db, look_now(db, space, "k"));
        must(db, look_now(db, space, "l"));
    }
    assert_int_equal(memdb__memory_count(), count);
}

static void test_a_snapshot_knows_nothing_of_the_one_before_in_its_slot(void **state) {
    fixture_t *fixture = *state;
    memdb_t *db = fixture->db;
    memdb_space_t space = space_of(db, "main");
    put_text(db, space, "k", "old");
    memdb_snapshot_t *older, *snapshot;
    must(db, memdb_snapshot_begin(db, NULL, &snapshot));
    memdb_snapshot_options_t options = {.size = sizeof options,
                                        .as_of_lsn = memdb_snapshot_lsn(snapshot)};
    memdb_snapshot_end(snapshot);
    put_text(db, space, "k", "new");
    must(db, memdb_snapshot_begin(db, &options, &older));
    assert_true(older->as_of);
    memdb_snapshot_end(older);
    must(db, memdb_snapshot_begin(db, NULL, &snapshot));
    assert_ptr_equal(snapshot, older); // this thread's slot again, and its memory
    assert_false(snapshot->as_of);
    memdb_memory_t memory;
    must(db, memdb_get_by_key(snapshot, space, text("k"), &memory));
    assert_memory_equal(memory.text.data, "new", 3);
    memdb_snapshot_end(snapshot);
    options.as_of_lsn = UINT64_MAX; // one that fails leaves the slot free
    assert_int_equal(memdb_snapshot_begin(db, &options, &older), MEMDB_INVALID);
    assert_string_equal(get_text(db, space, "k"), "new");
}

static void test_a_dropped_space_is_gone_for_those_who_began_later(void **state) {
    fixture_t *fixture = *state;
    memdb_t *db = fixture->db;
    for (int checkpoints = 0; checkpoints < 4; checkpoints++) { // before and after the drop
        char name[16];
        snprintf(name, sizeof name, "space %d", checkpoints);
        memdb_space_t space = space_of(db, name);
        put_text(db, space, "k", "v");
        if (checkpoints & 1) {
            must(db, memdb_checkpoint(db));
        }
        must(db, look_now(db, space, "k")); // and the view remembers that the space lives
        memdb_snapshot_t *before;
        must(db, memdb_snapshot_begin(db, NULL, &before));
        memdb_snapshot_options_t options = {.size = sizeof options,
                                            .as_of_lsn = memdb_snapshot_lsn(before)};
        drop(db, name);
        if (checkpoints & 2) {
            must(db, memdb_checkpoint(db));
        }
        assert_int_equal(look_now(db, space, "k"), MEMDB_NOT_FOUND);
        must(db, look(before, space, "k"));
        memdb_snapshot_end(before);
        memdb_snapshot_t *again;
        if (!(checkpoints & 2)) {
            must(db, memdb_snapshot_begin(db, &options, &again));
            must(db, look(again, space, "k"));
            memdb_snapshot_end(again);
        }
        assert_int_equal(look_now(db, space, "k"), MEMDB_NOT_FOUND);
    }
}

static void test_a_transaction_sees_the_spaces_that_it_makes(void **state) {
    fixture_t *fixture = *state;
    memdb_t *db = fixture->db;
    memdb_space_t space = space_of(db, "main"), mine;
    put_text(db, space, "k", "v");
    must(db, memdb_checkpoint(db));
    must(db, look_now(db, space, "k"));
    memdb_txn_t *txn;
    memdb_memory_t memory = {.size = sizeof memory, .fields = MEMDB_FIELD_KEY, .key = text("k")};
    must(db, memdb_txn_begin(db, &txn));
    must(db, memdb_space_create(txn, text("mine"), NULL, &mine));
    must(db, memdb_put(txn, mine, &memory, NULL));
    must(db, look(memdb_txn_snapshot(txn), mine, "k"));
    must(db, look(memdb_txn_snapshot(txn), space, "k"));
    must(db, memdb_space_drop(txn, text("main")));
    assert_int_equal(look(memdb_txn_snapshot(txn), space, "k"), MEMDB_NOT_FOUND);
    must(db, look_now(db, space, "k"));
    assert_int_equal(look_now(db, mine, "k"), MEMDB_NOT_FOUND);
    memdb_txn_abort(txn);
    must(db, look_now(db, space, "k"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        TEST(test_a_read_allocates_nothing),
        TEST(test_a_snapshot_knows_nothing_of_the_one_before_in_its_slot),
        TEST(test_a_dropped_space_is_gone_for_those_who_began_later),
        TEST(test_a_transaction_sees_the_spaces_that_it_makes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
