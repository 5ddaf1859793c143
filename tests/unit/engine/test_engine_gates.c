// Gates: what they refuse, what they let pass, and that two transactions, also of two processes, do
// not pass one gate together; through checkpoints and reopening, and in a database of before.
#include "tests/lib/database.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void set_gates(memdb_t *db, memdb_space_t space, memdb_gates_t gates) {
    memdb_txn_t *txn;
    must(db, memdb_txn_begin(db, &txn));
    must(db, memdb_space_set_gates(txn, space, &gates));
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_DEFAULT, NULL));
}

static memdb_status_t put_in(memdb_txn_t *txn, memdb_space_t space, const char *key,
                             const char *words, uint64_t *id) {
    memdb_memory_t memory = {.size = sizeof memory,
                             .fields = MEMDB_FIELD_TEXT | (key ? MEMDB_FIELD_KEY : 0u),
                             .key = text(key ? key : ""),
                             .text = text(words)};
    return memdb_put(txn, space, &memory, id);
}

static memdb_status_t put(memdb_t *db, memdb_space_t space, const char *key, const char *words) {
    memdb_txn_t *txn;
    must(db, memdb_txn_begin(db, &txn));
    memdb_status_t status = put_in(txn, space, key, words, NULL);
    if (status) {
        memdb_txn_abort(txn);
        return status;
    }
    return memdb_txn_commit(txn, MEMDB_DURABILITY_DEFAULT, NULL);
}

static memdb_space_info_t info_of(memdb_t *db, memdb_space_t space) {
    memdb_snapshot_t *snapshot;
    memdb_space_info_t info;
    must(db, memdb_snapshot_begin(db, NULL, &snapshot));
    must(db, memdb_space_get_info(snapshot, space, &info));
    memdb_snapshot_end(snapshot);
    return info;
}

#define LIKE "the lantern hangs in the old harbour of the town"

static void test_texts_that_are_alike_are_refused_and_named(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space = space_of(fixture->db, "main"), other = space_of(fixture->db, "other");
    char message[512], number[32];
    uint64_t id = put_text(fixture->db, space, "first", LIKE);
    set_gates(fixture->db, space, (memdb_gates_t){.most_alike = .8});
    for (int round = 0; round < 3; round++) {
        assert_int_equal(put(fixture->db, space, NULL, LIKE), MEMDB_REFUSED);
        memdb_last_error(fixture->db, message, sizeof message);
        snprintf(number, sizeof number, "memory %llu", (unsigned long long)id);
        assert_non_null(strstr(message, number));
        assert_int_equal(put(fixture->db, space, NULL,
                             "In the OLD harbour of the town: the "
                             "lantern hangs, hangs!"),
                         MEMDB_REFUSED);
        assert_int_equal(put(fixture->db, space, NULL, LIKE " now"), MEMDB_REFUSED);
        assert_int_equal(put(fixture->db, space, "far", "a lantern is a lamp"), MEMDB_OK);
        assert_int_equal(put(fixture->db, other, NULL, LIKE), MEMDB_OK);
        assert_int_equal(put(fixture->db, space, "first", LIKE " today"), MEMDB_OK); // itself
        assert_int_equal(put(fixture->db, space, "first", LIKE), MEMDB_OK);
        assert_int_equal(put(fixture->db, space, "far", LIKE), MEMDB_REFUSED);
        if (round == 0) {
            must(fixture->db, memdb_checkpoint(fixture->db));
        } else {
            fixture_close(fixture);
            fixture_open(fixture, (memdb_options_t){0});
        }
    }
    assert_true(info_of(fixture->db, space).gates.most_alike == .8);
    set_gates(fixture->db, space, (memdb_gates_t){0});
    assert_int_equal(put(fixture->db, space, NULL, LIKE), MEMDB_OK);
}

static void test_a_transaction_sees_its_own_puts(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space = space_of(fixture->db, "main");
    memdb_txn_t *txn;
    set_gates(fixture->db, space, (memdb_gates_t){.most_alike = 1, .most_memories = 2});
    must(fixture->db, memdb_txn_begin(fixture->db, &txn));
    must(fixture->db, put_in(txn, space, NULL, "granite", NULL));
    assert_int_equal(put_in(txn, space, NULL, "granite", NULL), MEMDB_REFUSED);
    must(fixture->db, put_in(txn, space, NULL, "moss", NULL));
    assert_int_equal(put_in(txn, space, NULL, "fern", NULL), MEMDB_REFUSED);
    must(fixture->db, memdb_txn_commit(txn, MEMDB_DURABILITY_DEFAULT, NULL)); // what passed
    assert_int_equal(info_of(fixture->db, space).memories, 2);
    memdb_stats_t stats = {.size = sizeof stats};
    must(fixture->db, memdb_get_stats(fixture->db, &stats));
    assert_int_equal(stats.refused, 2);
}

static void test_quotas_count_what_is_there(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space = space_of(fixture->db, "main");
    set_gates(fixture->db, space, (memdb_gates_t){.most_memories = 3, .most_text_bytes = 20});
    assert_int_equal(put(fixture->db, space, "a", "1234567890"), MEMDB_OK);
    assert_int_equal(put(fixture->db, space, "b", "12345678901"), MEMDB_REFUSED);
    assert_int_equal(put(fixture->db, space, "b", "1234567890"), MEMDB_OK);
    assert_int_equal(put(fixture->db, space, "b", "123456789x"), MEMDB_OK); // no more than before
    assert_int_equal(put(fixture->db, space, "b", "123456789xy"), MEMDB_REFUSED);
    must(fixture->db, memdb_checkpoint(fixture->db));
    assert_int_equal(put(fixture->db, space, "b", "1"), MEMDB_OK);
    assert_int_equal(put(fixture->db, space, "c", "2"), MEMDB_OK);
    assert_int_equal(put(fixture->db, space, "d", "3"), MEMDB_REFUSED);
    assert_int_equal(info_of(fixture->db, space).memories, 3);
}

static void test_new_memories_expire_when_the_space_says(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space = space_of(fixture->db, "main");
    memdb_snapshot_t *snapshot;
    memdb_memory_t memory = {.size = sizeof memory};
    assert_int_equal(put(fixture->db, space, "before", "x"), MEMDB_OK);
    set_gates(fixture->db, space, (memdb_gates_t){.expire_after_us = 3600000000});
    assert_int_equal(put(fixture->db, space, "after", "y"), MEMDB_OK);
    assert_int_equal(put(fixture->db, space, "before", "z"), MEMDB_OK); // it is not new
    must(fixture->db, memdb_snapshot_begin(fixture->db, NULL, &snapshot));
    must(fixture->db, memdb_get_by_key(snapshot, space, text("before"), &memory));
    assert_false(memory.fields & MEMDB_FIELD_EXPIRES);
    must(fixture->db, memdb_get_by_key(snapshot, space, text("after"), &memory));
    assert_true(memory.fields & MEMDB_FIELD_EXPIRES);
    assert_true(llabs(memory.expires - memory.time - 3600000000) < 60000000);
    memdb_snapshot_end(snapshot);
}

static void test_of_two_transactions_at_once_the_second_conflicts(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space = space_of(fixture->db, "main");
    memdb_txn_t *one, *two;
    set_gates(fixture->db, space, (memdb_gates_t){.most_alike = 1});
    must(fixture->db, memdb_txn_begin(fixture->db, &one));
    must(fixture->db, memdb_txn_begin(fixture->db, &two));
    must(fixture->db, put_in(one, space, NULL, LIKE, NULL));
    must(fixture->db, put_in(two, space, NULL, LIKE, NULL));
    must(fixture->db, memdb_txn_commit(one, MEMDB_DURABILITY_DEFAULT, NULL));
    assert_int_equal(memdb_txn_commit(two, MEMDB_DURABILITY_DEFAULT, NULL), MEMDB_CONFLICT);
    assert_int_equal(put(fixture->db, space, NULL, LIKE), MEMDB_REFUSED);
    assert_int_equal(info_of(fixture->db, space).memories, 1);
}

/// Puts each text once, again after a conflict. Returns how many passed the gate.
static int put_all(const char *path, memdb_space_t space) {
    memdb_options_t options = {.size = sizeof options, .durability = MEMDB_DURABILITY_OS};
    memdb_t *db = NULL;
    int passed = 0;
    if (memdb_open(path, &options, &db, NULL)) {
        return 255;
    }
    for (int i = 0; i < 20; i++) {
        char words[64];
        memdb_status_t status = MEMDB_CONFLICT;
        snprintf(words, sizeof words, "number%d of the twenty", i);
        while (status == MEMDB_CONFLICT) {
            status = put(db, space, NULL, words);
        }
        if (status && status != MEMDB_REFUSED) {
            return 254;
        }
        passed += !status;
    }
    return memdb_close(db) ? 253 : passed;
}

static void test_of_four_processes_one_puts_each_text(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space = space_of(fixture->db, "main");
    set_gates(fixture->db, space, (memdb_gates_t){.most_alike = 1});
    fixture_close(fixture);
    pid_t children[4];
    int passed = 0;
    for (int i = 0; i < 4; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            _exit(put_all(fixture->path, space));
        }
    }
    for (int i = 0; i < 4; i++) {
        int how;
        assert_int_equal(waitpid(children[i], &how, 0), children[i]);
        assert_true(WIFEXITED(how) && WEXITSTATUS(how) <= 20);
        passed += WEXITSTATUS(how);
    }
    fixture_open(fixture, (memdb_options_t){0});
    assert_int_equal(passed, 20);
    assert_int_equal(info_of(fixture->db, space).memories, 20);
}

static void test_gates_out_of_range_are_invalid(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space = space_of(fixture->db, "main");
    memdb_txn_t *txn;
    static const memdb_gates_t wrong[] = {
        {.most_alike = 1.1}, {.most_alike = -.1}, {.expire_after_us = -1}};
    must(fixture->db, memdb_txn_begin(fixture->db, &txn));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(memdb_space_set_gates(txn, space, &wrong[i]), MEMDB_INVALID);
    }
    assert_int_equal(memdb_space_set_gates(txn, 999, &(memdb_gates_t){0}), MEMDB_NOT_FOUND);
    memdb_txn_abort(txn);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_texts_that_are_alike_are_refused_and_named),
        TEST(test_a_transaction_sees_its_own_puts),
        TEST(test_quotas_count_what_is_there),
        TEST(test_new_memories_expire_when_the_space_says),
        TEST(test_of_two_transactions_at_once_the_second_conflicts),
        TEST(test_of_four_processes_one_puts_each_text),
        TEST(test_gates_out_of_range_are_invalid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
