// The engine through its public functions: what is committed is found, again after reopening, after
// a kill, after a checkpoint, and from a second handle.
#include "tests/lib/database.h"

#include <stdio.h>

static void test_put_is_found_by_key(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space = space_of(fixture->db, "main");
    put_text(fixture->db, space, "k", "the first words");
    assert_string_equal(get_text(fixture->db, space, "k"), "the first words");
    put_text(fixture->db, space, "k", "other words");
    assert_string_equal(get_text(fixture->db, space, "k"), "other words");
    assert_null(get_text(fixture->db, space, "none"));
}

static void test_reopen_finds_all(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space = space_of(fixture->db, "main");
    char key[32];
    for (int i = 0; i < 100; i++) {
        snprintf(key, sizeof key, "key%d", i);
        put_text(fixture->db, space, key, key);
        if (i == 40 || i == 70) {
            must(fixture->db, memdb_checkpoint(fixture->db));
        }
    }
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 100; i++) {
            snprintf(key, sizeof key, "key%d", i);
            assert_string_equal(get_text(fixture->db, space, key), key);
        }
        must(fixture->db, memdb_verify(fixture->db, NULL, NULL));
        fixture_close(fixture);
        fixture_open(fixture, (memdb_options_t){0});
    }
}

static void test_two_handles_see_each_other(void **state) {
    fixture_t *fixture = *state;
    fixture_t other = *fixture;
    fixture_open(&other, (memdb_options_t){0});
    memdb_space_t space = space_of(fixture->db, "main");
    char key[32];
    for (int i = 0; i < 60; i++) {
        snprintf(key, sizeof key, "key%d", i);
        put_text(i % 2 ? fixture->db : other.db, space, key, key);
        assert_string_equal(get_text(i % 2 ? other.db : fixture->db, space, key), key);
        if (i % 20 == 7) {
            must(fixture->db, memdb_checkpoint(i % 3 ? fixture->db : other.db));
        }
    }
    for (int i = 0; i < 60; i++) {
        snprintf(key, sizeof key, "key%d", i);
        assert_string_equal(get_text(other.db, space, key), key);
    }
    fixture_close(&other);
}

static void test_a_kill_loses_nothing_acknowledged(void **state) {
    fixture_t *fixture = *state, killed = {0};
    memdb_space_t space = space_of(fixture->db, "main");
    char key[32];
    for (int i = 0; i < 50; i++) {
        snprintf(key, sizeof key, "key%d", i);
        put_text(fixture->db, space, key, key);
        if (i == 20) {
            must(fixture->db, memdb_checkpoint(fixture->db));
        }
    }
    fixture_copy(fixture, "-killed", killed.path);
    fixture_open(&killed, (memdb_options_t){0});
    for (int i = 0; i < 50; i++) {
        snprintf(key, sizeof key, "key%d", i);
        assert_string_equal(get_text(killed.db, space, key), key);
    }
    put_text(killed.db, space, "after", "more");
    assert_string_equal(get_text(killed.db, space, "after"), "more");
    must(killed.db, memdb_verify(killed.db, NULL, NULL));
    fixture_close(&killed);
}

static void test_first_committer_wins(void **state) {
    fixture_t *fixture = *state;
    memdb_t *db = fixture->db;
    memdb_space_t space = space_of(db, "main");
    uint64_t id = put_text(db, space, "k", "0");
    memdb_txn_t *first, *second;
    memdb_memory_t change = {
        .size = sizeof change, .id = id, .fields = MEMDB_FIELD_TEXT, .text = text("1")};
    must(db, memdb_txn_begin(db, &first));
    must(db, memdb_txn_begin(db, &second));
    must(db, memdb_put(first, space, &change, NULL));
    change.text = text("2");
    must(db, memdb_put(second, space, &change, NULL));
    must(db, memdb_txn_commit(second, MEMDB_DURABILITY_DEFAULT, NULL));
    assert_int_equal(memdb_txn_commit(first, MEMDB_DURABILITY_DEFAULT, NULL), MEMDB_CONFLICT);
    assert_string_equal(get_text(db, space, "k"), "2");
}

static void test_a_new_key_conflicts_with_the_same_new_key(void **state) {
    fixture_t *fixture = *state;
    memdb_t *db = fixture->db;
    memdb_space_t space = space_of(db, "main");
    memdb_txn_t *first, *second;
    memdb_memory_t memory = {.size = sizeof memory,
                             .key = text("same"),
                             .fields = MEMDB_FIELD_TEXT | MEMDB_FIELD_KEY,
                             .text = text("1")};
    must(db, memdb_txn_begin(db, &first));
    must(db, memdb_txn_begin(db, &second));
    must(db, memdb_put(first, space, &memory, NULL));
    must(db, memdb_put(second, space, &memory, NULL));
    must(db, memdb_txn_commit(first, MEMDB_DURABILITY_DEFAULT, NULL));
    assert_int_equal(memdb_txn_commit(second, MEMDB_DURABILITY_DEFAULT, NULL), MEMDB_CONFLICT);
}

static void test_own_writes_are_seen_and_abort_forgets_them(void **state) {
    fixture_t *fixture = *state;
    memdb_t *db = fixture->db;
    memdb_space_t space = space_of(db, "main");
    memdb_txn_t *txn;
    memdb_memory_t memory = {.size = sizeof memory,
                             .key = text("mine"),
                             .fields = MEMDB_FIELD_TEXT | MEMDB_FIELD_KEY,
                             .text = text("1")},
                   got;
    uint64_t id;
    must(db, memdb_txn_begin(db, &txn));
    must(db, memdb_put(txn, space, &memory, &id));
    memory.text = text("two");
    must(db, memdb_put(txn, space, &memory, NULL));
    must(db, memdb_get_by_key(memdb_txn_snapshot(txn), space, text("mine"), &got));
    assert_int_equal(got.id, id);
    assert_int_equal(got.text.size, 3);
    must(db, memdb_forget(txn, space, id));
    assert_int_equal(memdb_get_by_key(memdb_txn_snapshot(txn), space, text("mine"), &got),
                     MEMDB_NOT_FOUND);
    memdb_txn_abort(txn);
    assert_null(get_text(db, space, "mine"));
}

static void test_links_are_read_out_and_in(void **state) {
    fixture_t *fixture = *state;
    memdb_t *db = fixture->db;
    memdb_space_t space = space_of(db, "main");
    uint64_t a = put_text(db, space, "a", "a"), b = put_text(db, space, "b", "b");
    memdb_txn_t *txn;
    memdb_link_t link = {.size = sizeof link,
                         .space = space,
                         .from = a,
                         .to = b,
                         .type = text("knows"),
                         .weight = .5,
                         .valid_from = MEMDB_TIME_NONE,
                         .valid_to = MEMDB_TIME_NONE};
    must(db, memdb_txn_begin(db, &txn));
    must(db, memdb_put_link(txn, &link));
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_DEFAULT, NULL));
    for (int round = 0; round < 2; round++) {
        memdb_snapshot_t *snapshot;
        memdb_link_cursor_t *cursor;
        memdb_link_t got;
        must(db, memdb_snapshot_begin(db, NULL, &snapshot));
        must(db, memdb_links_open(snapshot, space, b, MEMDB_DIRECTION_BOTH, text(""), &cursor));
        must(db, memdb_links_next(cursor, &got));
        assert_int_equal(got.from, a);
        assert_int_equal(got.to, b);
        assert_true(got.weight == .5);
        assert_int_equal(memdb_links_next(cursor, &got), MEMDB_DONE);
        memdb_links_close(cursor);
        must(db, memdb_links_open(snapshot, space, a, MEMDB_DIRECTION_OUT, text("other"), &cursor));
        assert_int_equal(memdb_links_next(cursor, &got), MEMDB_DONE);
        memdb_links_close(cursor);
        memdb_snapshot_end(snapshot);
        must(db, memdb_checkpoint(db));
    }
    must(db, memdb_txn_begin(db, &txn));
    must(db, memdb_remove_link(txn, space, a, b, text("knows")));
    assert_int_equal(memdb_remove_link(txn, space, a, b, text("knows")), MEMDB_NOT_FOUND);
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_DEFAULT, NULL));
}

static void test_backup_is_a_database(void **state) {
    fixture_t *fixture = *state, copy = {0};
    memdb_space_t space = space_of(fixture->db, "main");
    put_text(fixture->db, space, "k", "kept");
    must(fixture->db, memdb_checkpoint(fixture->db));
    put_text(fixture->db, space, "l", "also");
    snprintf(copy.path, sizeof copy.path, "%.200s-backup", fixture->path);
    must(fixture->db, memdb_backup(fixture->db, copy.path, NULL, NULL));
    put_text(fixture->db, space, "k", "changed");
    for (int round = 0; round < 2; round++) {
        fixture_open(&copy, (memdb_options_t){0});
        assert_string_equal(get_text(copy.db, space, "k"), "kept");
        assert_string_equal(get_text(copy.db, space, "l"), "also");
        put_text(copy.db, space, "n", "new");
        must(copy.db, memdb_verify(copy.db, NULL, NULL));
        fixture_close(&copy);
    }
}

static void test_space_counts_are_exact(void **state) {
    fixture_t *fixture = *state;
    memdb_t *db = fixture->db;
    memdb_space_t space = space_of(db, "main"), other = space_of(db, "other");
    char key[32];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 20; i++) {
            snprintf(key, sizeof key, "key%d", i);
            put_text(db, i % 2 ? space : other, key, "12345");
        }
        memdb_snapshot_t *snapshot;
        memdb_space_info_t info;
        must(db, memdb_snapshot_begin(db, NULL, &snapshot));
        must(db, memdb_space_get_info(snapshot, space, &info));
        memdb_snapshot_end(snapshot);
        assert_int_equal(info.memories, 10);
        assert_int_equal(info.text_bytes, 50);
        must(db, memdb_checkpoint(db));
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_put_is_found_by_key),
        TEST(test_reopen_finds_all),
        TEST(test_two_handles_see_each_other),
        TEST(test_a_kill_loses_nothing_acknowledged),
        TEST(test_first_committer_wins),
        TEST(test_a_new_key_conflicts_with_the_same_new_key),
        TEST(test_own_writes_are_seen_and_abort_forgets_them),
        TEST(test_links_are_read_out_and_in),
        TEST(test_backup_is_a_database),
        TEST(test_space_counts_are_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
