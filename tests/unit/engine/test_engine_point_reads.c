// Goal: reading single memories takes no shortcut that shows. What a slot keeps of the last
// snapshot, what a view remembers of spaces, and the hash of the tiers give the answers of a
// search: for new and old snapshots, in transactions, and across checkpoints.
#include "base/memory.h"
#include "engine/engine.h"
#include "tests/lib/database.h"

#include <stdio.h>
#include <string.h>

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

#define MEMORIES 60

static uint64_t count_listed(memdb_t *db, memdb_space_t space, memdb_order_t order,
                             const char *session) {
    memdb_cursor_options_t options = {
        .size = sizeof options, .order = order, .session = text(session)};
    memdb_snapshot_t *snapshot;
    memdb_cursor_t *cursor;
    memdb_memory_t memory;
    uint64_t count = 0;
    must(db, memdb_snapshot_begin(db, NULL, &snapshot));
    must(db, memdb_cursor_open(snapshot, space, &options, &cursor));
    while (memdb_cursor_next(cursor, &memory) == MEMDB_OK) {
        count++;
    }
    memdb_cursor_close(cursor);
    memdb_snapshot_end(snapshot);
    return count;
}

static void found_damage(void *context, const char *file, uint64_t offset, const char *what) {
    (void)context;
    fail_msg("%s at %llu: %s", file, (unsigned long long)offset, what);
}

/// Write each memory once: with a key and a session that follow from `round`.
static void write_round(memdb_t *db, memdb_space_t space, uint64_t *ids, int round) {
    memdb_txn_t *txn;
    must(db, memdb_txn_begin(db, &txn));
    for (int i = 0; i < MEMORIES; i++) {
        char key[16];
        snprintf(key, sizeof key, "%c%d", round && i % 2 == 0 ? 'm' : 'k', i);
        memdb_memory_t memory = {.size = sizeof memory,
                                 .fields = MEMDB_FIELD_KEY | MEMDB_FIELD_SESSION | MEMDB_FIELD_TIME,
                                 .id = ids[i],
                                 .key = text(key),
                                 .session = text(round && i % 3 == 0 ? "other" : "first"),
                                 .time = 1000 * round + i};
        must(db, memdb_put(txn, space, &memory, &ids[i]));
    }
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_DEFAULT, NULL));
    must(db, memdb_checkpoint(db));
}

static void test_a_checkpoint_of_memories_that_were_written_once_lists_them_rightly(void **state) {
    fixture_t *fixture = *state;
    memdb_t *db = fixture->db;
    memdb_space_t space = space_of(db, "main");
    uint64_t ids[MEMORIES] = {0};
    memdb_txn_t *txn;
    write_round(db, space, ids, 0);
    assert_int_equal(count_listed(db, space, MEMDB_ORDER_SESSION, "first"), MEMORIES);
    write_round(db, space, ids, 1); // their old entries lie in the tier that is merged along
    assert_int_equal(look_now(db, space, "k4"), MEMDB_NOT_FOUND);
    must(db, look_now(db, space, "m4"));
    must(db, look_now(db, space, "k5"));
    assert_int_equal(count_listed(db, space, MEMDB_ORDER_KEY, ""), MEMORIES);
    assert_int_equal(count_listed(db, space, MEMDB_ORDER_TIME, ""), MEMORIES);
    assert_int_equal(count_listed(db, space, MEMDB_ORDER_SESSION, "other"), MEMORIES / 3);
    must(db, memdb_txn_begin(db, &txn));
    for (int i = 0; i < MEMORIES; i += 5) {
        must(db, memdb_forget(txn, space, ids[i]));
    }
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_DEFAULT, NULL));
    must(db, memdb_checkpoint(db));
    assert_int_equal(count_listed(db, space, MEMDB_ORDER_KEY, ""), MEMORIES * 4 / 5);
    assert_int_equal(look_now(db, space, "m10"), MEMDB_NOT_FOUND);
    must(db, memdb_verify(db, found_damage, NULL));
}

static uint64_t superseded(memdb_t *db) {
    memdb_stats_t stats = {.size = sizeof stats};
    must(db, memdb_get_stats(db, &stats));
    return stats.superseded_bytes;
}

static void test_what_a_checkpoint_replaces_in_older_tiers_is_counted(void **state) {
    fixture_t *fixture = *state;
    memdb_t *db = fixture->db;
    memdb_space_t space = space_of(db, "main");
    static char words[8000];
    memset(words, 'x', sizeof words - 1);
    for (int i = 0; i < 400; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        put_text(db, space, key, words);
    }
    must(db, memdb_checkpoint(db));
    put_text(db, space, "new", "short"); // its id is above all of the tier
    must(db, memdb_checkpoint(db));
    assert_int_equal(superseded(db), 0);
    put_text(db, space, "k7", "short");
    must(db, memdb_checkpoint(db));
    assert_true(superseded(db) >= sizeof words);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        TEST(test_a_read_allocates_nothing),
        TEST(test_a_snapshot_knows_nothing_of_the_one_before_in_its_slot),
        TEST(test_a_dropped_space_is_gone_for_those_who_began_later),
        TEST(test_a_transaction_sees_the_spaces_that_it_makes),
        TEST(test_a_checkpoint_of_memories_that_were_written_once_lists_them_rightly),
        TEST(test_what_a_checkpoint_replaces_in_older_tiers_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
