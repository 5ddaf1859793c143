// Goal: what a transaction wrote is read back as if it had been applied at once, though it is
// applied only when something asks for it. Method: a transaction of random puts, forgets and
// readings of each kind beside a plain array; and a look at what a transaction keeps that reads
// nothing.
#include "engine/engine.h"
#include "tests/lib/database.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define KEYS 40
#define STEPS 400
#define ROUNDS 60

static void name_of(unsigned number, char name_out[16]) {
    snprintf(name_out, 16, "key-%02u", number);
}

static uint64_t put_in(memdb_txn_t *txn, memdb_space_t space, unsigned number, uint64_t id,
                       const char *words) {
    char name[16];
    uint64_t put;
    name_of(number, name);
    memdb_memory_t memory = {.size = sizeof memory,
                             .fields = MEMDB_FIELD_TEXT | (id ? 0 : MEMDB_FIELD_KEY),
                             .id = id,
                             .key = text(name),
                             .text = text(words)};
    must(txn->snapshot.db, memdb_put(txn, space, &memory, &put));
    return put;
}

static void test_a_transaction_that_only_writes_applies_nothing(void **state) {
    fixture_t *fixture = *state;
    memdb_t *db = fixture->db;
    memdb_space_t space = space_of(db, "main");
    memdb_txn_t *txn;
    memdb_memory_t memory;
    must(db, memdb_txn_begin(db, &txn));
    uint64_t first = put_in(txn, space, 0, 0, "text 0");
    for (unsigned i = 1; i < 3000; i++) { // past several sizes of the table
        char words[24];
        snprintf(words, sizeof words, "text %u", i);
        put_in(txn, space, i, 0, words);
    }
    assert_null(txn->own.run);
    must(db, memdb_get(memdb_txn_snapshot(txn), space, first, &memory));
    assert_non_null(txn->own.run);
    assert_int_equal(txn->own.applied, 3000);
    assert_int_equal(memory.text.size, strlen("text 0"));
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_OS, NULL));
    assert_string_equal(get_text(db, space, "key-2999"), "text 2999");
    must(db, memdb_checkpoint(db)); // walks over all keys
    assert_string_equal(get_text(db, space, "key-1234"), "text 1234");
}

// ------------------------------------------------------------------------------ random work

static uint64_t random_state;

static unsigned draw(void) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(random_state >> 33);
}

typedef struct model {
    uint64_t ids[KEYS]; // 0: it is not there
    unsigned texts[KEYS];
} model_t;

static void check_memory(const model_t *model, unsigned number, const memdb_memory_t *memory) {
    char words[24];
    snprintf(words, sizeof words, "text %u", model->texts[number]);
    assert_int_equal(memory->id, model->ids[number]);
    assert_int_equal(memory->text.size, strlen(words));
    assert_memory_equal(memory->text.data, words, memory->text.size);
}

static void check_get(memdb_snapshot_t *snapshot, memdb_space_t space, const model_t *model,
                      unsigned number, bool by_id) {
    memdb_memory_t memory;
    char name[16];
    name_of(number, name);
    bool there = model->ids[number] != 0;
    memdb_status_t status = by_id && there ? memdb_get(snapshot, space, model->ids[number], &memory)
                                           : memdb_get_by_key(snapshot, space, text(name), &memory);
    assert_int_equal(status, there ? MEMDB_OK : MEMDB_NOT_FOUND);
    if (there) {
        check_memory(model, number, &memory);
    }
}

static void check_walk(memdb_txn_t *txn, memdb_space_t space, const model_t *model) {
    memdb_cursor_t *cursor;
    memdb_memory_t memory;
    memdb_cursor_options_t options = {.size = sizeof options, .order = MEMDB_ORDER_KEY};
    must(txn->snapshot.db, memdb_cursor_open(memdb_txn_snapshot(txn), space, &options, &cursor));
    for (unsigned number = 0; number < KEYS; number++) {
        if (model->ids[number]) {
            must(txn->snapshot.db, memdb_cursor_next(cursor, &memory));
            check_memory(model, number, &memory);
        }
    }
    assert_int_equal(memdb_cursor_next(cursor, &memory), MEMDB_DONE);
    memdb_cursor_close(cursor);
}

static void step(memdb_txn_t *txn, memdb_space_t space, model_t *model, unsigned text_number) {
    unsigned number = draw() % KEYS, what = draw() % 100;
    char words[24];
    snprintf(words, sizeof words, "text %u", text_number);
    if (what < 60) {
        uint64_t id = put_in(txn, space, number, what < 20 ? model->ids[number] : 0, words);
        assert_true(!model->ids[number] || model->ids[number] == id);
        model->ids[number] = id;
        model->texts[number] = text_number;
    } else if (what < 70 && model->ids[number]) {
        must(txn->snapshot.db, memdb_forget(txn, space, model->ids[number]));
        model->ids[number] = 0;
    } else if (what < 98) {
        check_get(memdb_txn_snapshot(txn), space, model, number, what % 2);
    } else if (what == 98) {
        memdb_space_info_t info;
        uint64_t count = 0;
        for (unsigned i = 0; i < KEYS; i++) {
            count += model->ids[i] != 0;
        }
        must(txn->snapshot.db, memdb_space_get_info(memdb_txn_snapshot(txn), space, &info));
        assert_int_equal(info.memories, count);
    } else {
        check_walk(txn, space, model);
    }
}

static void test_what_was_written_is_read_back(void **state) {
    fixture_t *fixture = *state;
    memdb_t *db = fixture->db;
    memdb_space_t space = space_of(db, "main");
    const char *given = getenv("MEMDB_SEED");
    random_state = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    printf("seed=%llu\n", (unsigned long long)random_state);
    model_t model = {0};
    unsigned text_number = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        memdb_txn_t *txn;
        model_t before = model;
        must(db, memdb_txn_begin(db, &txn));
        for (int i = (int)(draw() % STEPS); i >= 0; i--) {
            step(txn, space, &model, ++text_number);
        }
        if (draw() % 4) {
            must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_OS, NULL));
        } else {
            memdb_txn_abort(txn);
            model = before;
        }
        if (round % 16 == 15) {
            must(db, memdb_checkpoint(db));
        }
        memdb_snapshot_t *snapshot;
        must(db, memdb_snapshot_begin(db, NULL, &snapshot));
        for (unsigned number = 0; number < KEYS; number++) {
            check_get(snapshot, space, &model, number, number % 2);
        }
        memdb_snapshot_end(snapshot);
    }
}

/// Two transactions of one base; the second meets what the first changed.
static void check_conflict(memdb_t *db, memdb_space_t space, uint64_t id) {
    memdb_txn_t *first, *second;
    must(db, memdb_txn_begin(db, &first));
    must(db, memdb_txn_begin(db, &second));
    put_in(first, space, 1, id, "first");
    for (unsigned i = 2; i < 20; i++) {
        put_in(second, space, i, 0, "beside");
    }
    put_in(second, space, 1, id, "second");
    assert_null(second->own.run);
    must(db, memdb_txn_commit(first, MEMDB_DURABILITY_OS, NULL));
    assert_int_equal(memdb_txn_commit(second, MEMDB_DURABILITY_OS, NULL), MEMDB_CONFLICT);
    assert_string_equal(get_text(db, space, "key-01"), "first");
    assert_null(get_text(db, space, "key-02"));
}

static void test_puts_that_nobody_read_back_conflict(void **state) {
    fixture_t *fixture = *state;
    memdb_t *db = fixture->db;
    memdb_space_t space = space_of(db, "main");
    check_conflict(db, space, 0); // one new key
    check_conflict(db, space, 0); // one memory, by its key
    memdb_snapshot_t *snapshot;
    memdb_memory_t memory;
    must(db, memdb_snapshot_begin(db, NULL, &snapshot));
    must(db, memdb_get_by_key(snapshot, space, text("key-01"), &memory));
    uint64_t id = memory.id;
    memdb_snapshot_end(snapshot);
    check_conflict(db, space, id); // by its id
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_transaction_that_only_writes_applies_nothing,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_what_was_written_is_read_back, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_puts_that_nobody_read_back_conflict, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
