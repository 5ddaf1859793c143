// Gates that compare: copies against a plain model, vectors that are near, texts that were
// recalled; and the list of what was refused.
#include "tests/lib/database.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static memdb_space_t create(memdb_t *db, const char *name, memdb_gates_t gates) {
    memdb_txn_t *txn;
    memdb_space_t space;
    memdb_space_options_t options = {.size = sizeof options, .gates = gates};
    must(db, memdb_txn_begin(db, &txn));
    must(db, memdb_space_create(txn, text(name), &options, &space));
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_OS, NULL));
    return space;
}

static memdb_status_t set_gates(memdb_t *db, memdb_space_t space, memdb_gates_t gates) {
    memdb_txn_t *txn;
    must(db, memdb_txn_begin(db, &txn));
    memdb_status_t status = memdb_space_set_gates(txn, space, &gates);
    if (status) {
        memdb_txn_abort(txn);
        return status;
    }
    return memdb_txn_commit(txn, MEMDB_DURABILITY_OS, NULL);
}

/// A put in a transaction of its own; `vector` has two numbers, or is NULL.
static memdb_status_t put(memdb_t *db, memdb_space_t space, const char *key, const char *words,
                          const float *vector) {
    memdb_txn_t *txn;
    memdb_memory_t memory = {.size = sizeof memory,
                             .fields = MEMDB_FIELD_TEXT | (key ? MEMDB_FIELD_KEY : 0u) |
                                       (vector ? MEMDB_FIELD_VECTOR : 0u),
                             .key = text(key ? key : ""),
                             .text = text(words),
                             .vector = vector,
                             .dimension = vector ? 2 : 0};
    must(db, memdb_txn_begin(db, &txn));
    memdb_status_t status = memdb_put(txn, space, &memory, NULL);
    if (status) {
        memdb_txn_abort(txn);
        return status;
    }
    return memdb_txn_commit(txn, MEMDB_DURABILITY_OS, NULL);
}

static memdb_status_t drop_index(memdb_t *db, memdb_space_t space) {
    memdb_txn_t *txn;
    must(db, memdb_txn_begin(db, &txn));
    memdb_status_t status = memdb_index_drop(txn, space, text("text_hash"));
    if (status) {
        memdb_txn_abort(txn);
        return status;
    }
    return memdb_txn_commit(txn, MEMDB_DURABILITY_OS, NULL);
}

static void recall(memdb_t *db, memdb_space_t space, const char *words) {
    memdb_snapshot_t *snapshot;
    memdb_result_t *result;
    memdb_query_t query = {
        .size = sizeof query, .spaces = &space, .space_count = 1, .text = text(words), .k = 100};
    must(db, memdb_snapshot_begin(db, NULL, &snapshot));
    must(db, memdb_recall(snapshot, &query, &result));
    assert_true(memdb_result_count(result) > 0);
    memdb_result_free(result);
    memdb_snapshot_end(snapshot);
}

// ------------------------------------------------------------------------------ copies

#define KEYS 12
#define TEXTS 16

/// What the space holds, by key: the number of a text; 0: nothing.
typedef struct world {
    fixture_t *fixture;
    memdb_space_t space;
    int texts[KEYS];
    unsigned seed;
} world_t;

static unsigned draw(world_t *world, unsigned below) {
    world->seed = world->seed * 1664525u + 1013904223u;
    return (world->seed >> 10) % below;
}

static void name_of(char out[64], const char *what, int number) {
    snprintf(out, 64, "%s %d of many, some of which are alike", what, number);
}

static void try_put(world_t *world) {
    int key = (int)draw(world, KEYS), wanted = 1 + (int)draw(world, TEXTS);
    char name[64], words[64];
    bool taken = false;
    for (int i = 0; i < KEYS; i++) {
        taken = taken || (i != key && world->texts[i] == wanted);
    }
    name_of(name, "key", key);
    name_of(words, "text", wanted);
    assert_int_equal(put(world->fixture->db, world->space, name, words, NULL),
                     taken ? MEMDB_REFUSED : MEMDB_OK);
    world->texts[key] = taken ? world->texts[key] : wanted;
}

static void try_forget(world_t *world) {
    int key = (int)draw(world, KEYS);
    char name[64];
    memdb_txn_t *txn;
    memdb_memory_t memory = {.size = sizeof memory};
    name_of(name, "key", key);
    must(world->fixture->db, memdb_txn_begin(world->fixture->db, &txn));
    memdb_status_t status =
        memdb_get_by_key(memdb_txn_snapshot(txn), world->space, text(name), &memory);
    assert_int_equal(status, world->texts[key] ? MEMDB_OK : MEMDB_NOT_FOUND);
    if (!status) {
        must(world->fixture->db, memdb_forget(txn, world->space, memory.id));
    }
    must(world->fixture->db, memdb_txn_commit(txn, MEMDB_DURABILITY_OS, NULL));
    world->texts[key] = 0;
}

static void test_no_text_is_there_twice(void **state) {
    fixture_t *fixture = *state;
    const char *given = getenv("MEMDB_TEST_SEED");
    world_t world = {.fixture = fixture,
                     .space = create(fixture->db, "main", (memdb_gates_t){.no_copies = true}),
                     .seed = given ? (unsigned)strtoul(given, NULL, 10) : 20261125u};
    print_message("seed=%u\n", world.seed);
    for (int step = 0; step < 3000; step++) {
        if (draw(&world, 4)) {
            try_put(&world);
        } else {
            try_forget(&world);
        }
        if (step % 500 == 250) {
            must(fixture->db, memdb_checkpoint(fixture->db));
        } else if (step % 500 == 499) {
            fixture_close(fixture);
            fixture_open(fixture, (memdb_options_t){0});
        }
    }
}

static void test_copies_need_an_index_that_stays(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space = space_of(fixture->db, "main"), other = space_of(fixture->db, "other");
    memdb_gates_t gates = {.no_copies = true};
    put_text(fixture->db, space, "a", "granite");
    put_text(fixture->db, space, "b", "granite");
    assert_int_equal(set_gates(fixture->db, space, gates), MEMDB_INVALID);
    must(fixture->db,
         memdb_index_create(fixture->db, space, text("text_hash"), MEMDB_DURABILITY_OS));
    must(fixture->db, set_gates(fixture->db, space, gates));
    assert_int_equal(drop_index(fixture->db, space), MEMDB_INVALID);
    assert_int_equal(put(fixture->db, space, "c", "granite", NULL), MEMDB_REFUSED);
    assert_int_equal(put(fixture->db, space, "a", "granite", NULL), MEMDB_OK); // as it is
    assert_int_equal(put(fixture->db, space, "c", "Granite", NULL), MEMDB_OK); // other bytes
    assert_int_equal(put(fixture->db, space, "d", "", NULL), MEMDB_OK);
    assert_int_equal(put(fixture->db, space, "e", "", NULL), MEMDB_OK); // no text is no copy
    assert_int_equal(put(fixture->db, other, "c", "granite", NULL), MEMDB_OK);
    must(fixture->db, set_gates(fixture->db, space, (memdb_gates_t){0}));
    must(fixture->db, drop_index(fixture->db, space));
    assert_int_equal(put(fixture->db, space, "f", "granite", NULL), MEMDB_OK);
}

static void test_what_has_expired_is_no_original(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space = create(fixture->db, "main", (memdb_gates_t){.no_copies = true});
    memdb_txn_t *txn;
    memdb_memory_t memory = {.size = sizeof memory,
                             .fields = MEMDB_FIELD_TEXT | MEMDB_FIELD_EXPIRES,
                             .text = text("moss"),
                             .expires = 1};
    must(fixture->db, memdb_txn_begin(fixture->db, &txn));
    must(fixture->db, memdb_put(txn, space, &memory, NULL));
    must(fixture->db, memdb_put(txn, space, &memory, NULL));
    memory.fields = MEMDB_FIELD_TEXT;
    must(fixture->db, memdb_put(txn, space, &memory, NULL));
    assert_int_equal(memdb_put(txn, space, &memory, NULL), MEMDB_REFUSED); // its own put
    must(fixture->db, memdb_txn_commit(txn, MEMDB_DURABILITY_OS, NULL));
}

// ------------------------------------------------------------------------------ vectors

static void test_vectors_may_not_be_near_where_words_are_shared(void **state) {
    fixture_t *fixture = *state;
    static const float east[] = {1, 0}, almost[] = {3, .3f}, north[] = {0, 2};
    memdb_space_t space =
        create(fixture->db, "main", (memdb_gates_t){.most_near = .9, .near_words = .5});
    assert_int_equal(put(fixture->db, space, "a", "an old lantern", east), MEMDB_OK);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(put(fixture->db, space, NULL, "an old lantern hangs", almost),
                         MEMDB_REFUSED);
        assert_int_equal(put(fixture->db, space, NULL, "an old lantern hangs", NULL), MEMDB_OK);
        assert_int_equal(put(fixture->db, space, "c", "harbour and sea", almost), MEMDB_OK);
        assert_int_equal(put(fixture->db, space, "d", "an old lantern stands", north), MEMDB_OK);
        assert_int_equal(put(fixture->db, space, "a", "an old lantern, an old one", east),
                         MEMDB_OK);
        must(fixture->db, memdb_checkpoint(fixture->db));
    }
    must(fixture->db, set_gates(fixture->db, space, (memdb_gates_t){.most_near = .9}));
    assert_int_equal(put(fixture->db, space, "c", "harbour and sea", almost), MEMDB_OK); // as it is
    assert_int_equal(put(fixture->db, space, "c", "harbour and sea", east), MEMDB_REFUSED);
    assert_int_equal(put(fixture->db, space, "e", "something else", east), MEMDB_REFUSED);
}

/// The cosine decides, whatever the metric.
static void test_nearness_is_an_angle_in_each_metric(void **state) {
    fixture_t *fixture = *state;
    static const float east[] = {1, 0}, far_east[] = {9, .5f}, north[] = {.5f, 1};
    static const char *const names[] = {"cosine", "dot", "l2"};
    for (int metric = MEMDB_METRIC_COSINE; metric <= MEMDB_METRIC_L2; metric++) {
        memdb_txn_t *txn;
        memdb_space_t space;
        memdb_space_options_t options = {
            .size = sizeof options, .metric = (memdb_metric_t)metric, .gates = {.most_near = .9}};
        must(fixture->db, memdb_txn_begin(fixture->db, &txn));
        must(fixture->db, memdb_space_create(txn, text(names[metric]), &options, &space));
        must(fixture->db, memdb_txn_commit(txn, MEMDB_DURABILITY_OS, NULL));
        assert_int_equal(put(fixture->db, space, NULL, "one", east), MEMDB_OK);
        assert_int_equal(put(fixture->db, space, NULL, "two", far_east), MEMDB_REFUSED);
        assert_int_equal(put(fixture->db, space, NULL, "three", north), MEMDB_OK);
    }
}

// ------------------------------------------------------------------------------ recalled texts

static void test_what_was_recalled_is_not_put_back(void **state) {
    fixture_t *fixture = *state;
    memdb_gates_t gates = {.no_recalled = true};
    memdb_space_t space = create(fixture->db, "main", gates);
    memdb_space_t other = create(fixture->db, "other", gates);
    memdb_space_t open = space_of(fixture->db, "open");
    memdb_t *second = NULL;
    memdb_options_t options = {.size = sizeof options};
    assert_int_equal(put(fixture->db, space, "a", "granite and moss", NULL), MEMDB_OK);
    assert_int_equal(put(fixture->db, open, "a", "fern", NULL), MEMDB_OK);
    assert_int_equal(put(fixture->db, other, NULL, "granite and moss", NULL), MEMDB_OK);
    recall(fixture->db, space, "moss");
    recall(fixture->db, open, "fern");
    assert_int_equal(put(fixture->db, space, NULL, "granite and moss", NULL), MEMDB_REFUSED);
    assert_int_equal(put(fixture->db, other, NULL, " granite and moss\n", NULL), MEMDB_REFUSED);
    assert_int_equal(put(fixture->db, space, NULL, "moss and granite", NULL), MEMDB_OK);
    assert_int_equal(put(fixture->db, open, NULL, "granite and moss", NULL), MEMDB_OK);
    assert_int_equal(put(fixture->db, space, NULL, "fern", NULL), MEMDB_OK);
    assert_int_equal(put(fixture->db, space, "a", "granite and moss", NULL), MEMDB_OK); // as it is
    must(NULL, memdb_open(fixture->path, &options, &second, NULL));
    assert_int_equal(put(second, space, NULL, "granite and moss", NULL), MEMDB_OK);
    must(NULL, memdb_close(second));
}

static void test_of_recalled_texts_the_last_1024_are_known(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space = create(fixture->db, "main", (memdb_gates_t){.no_recalled = true});
    memdb_txn_t *txn;
    char words[64];
    must(fixture->db, memdb_txn_begin(fixture->db, &txn));
    for (int i = 0; i < 1025; i++) {
        snprintf(words, sizeof words, "word%d", i);
        memdb_memory_t memory = {
            .size = sizeof memory, .fields = MEMDB_FIELD_TEXT, .text = text(words)};
        must(fixture->db, memdb_put(txn, space, &memory, NULL));
    }
    must(fixture->db, memdb_txn_commit(txn, MEMDB_DURABILITY_OS, NULL));
    for (int i = 0; i < 1025; i++) {
        snprintf(words, sizeof words, "word%d", i);
        recall(fixture->db, space, words);
    }
    assert_int_equal(put(fixture->db, space, NULL, "word1024", NULL), MEMDB_REFUSED);
    assert_int_equal(put(fixture->db, space, NULL, "word1", NULL), MEMDB_REFUSED);
    assert_int_equal(put(fixture->db, space, NULL, "word0", NULL), MEMDB_OK);
}

// ------------------------------------------------------------------------------ the list

typedef struct listed {
    memdb_refusal_t items[MEMDB_MAX_REFUSALS + 1];
    char texts[MEMDB_MAX_REFUSALS + 1][MEMDB_REFUSAL_TEXT_BYTES + 1];
    size_t count, most;
} listed_t;

static bool add(void *context, const memdb_refusal_t *refusal) {
    listed_t *listed = context;
    assert_true(refusal->text.size <= MEMDB_REFUSAL_TEXT_BYTES);
    listed->items[listed->count] = *refusal;
    memcpy(listed->texts[listed->count], refusal->text.data, refusal->text.size);
    listed->texts[listed->count++][refusal->text.size] = 0;
    return listed->count < listed->most;
}

static listed_t list(memdb_t *db, memdb_space_t space, size_t most) {
    listed_t listed = {.most = most};
    must(db, memdb_refusal_list(db, space, add, &listed));
    return listed;
}

static void test_refusals_tell_gate_likeness_and_text(void **state) {
    fixture_t *fixture = *state;
    char longer[128] = "";
    memdb_space_t space =
        create(fixture->db, "main",
               (memdb_gates_t){.no_copies = true, .most_alike = .6, .most_text_bytes = 60});
    uint64_t id = put_text(fixture->db, space, "a", "granite and moss and fern");
    assert_int_equal(put(fixture->db, space, NULL, "granite and moss and fern", NULL),
                     MEMDB_REFUSED);
    assert_int_equal(put(fixture->db, space, NULL, "granite, fern and moss", NULL), MEMDB_REFUSED);
    for (int i = 0; i < 30; i++) { // the 80th byte lies within the 27th character
        memcpy(longer + 3 * (size_t)i, "\xe6\x9c\x88", 3);
    }
    assert_int_equal(put(fixture->db, space, NULL, longer, NULL), MEMDB_REFUSED);
    listed_t listed = list(fixture->db, space, 99);
    assert_int_equal(listed.count, 3);
    assert_int_equal(listed.items[0].gate, MEMDB_GATE_MOST_TEXT_BYTES);
    assert_int_equal(listed.items[0].like, 0);
    assert_int_equal(strlen(listed.texts[0]), 78);
    assert_int_equal(listed.items[1].gate, MEMDB_GATE_MOST_ALIKE);
    assert_true(listed.items[1].likeness == 1);
    assert_string_equal(listed.texts[1], "granite, fern and moss");
    assert_int_equal(listed.items[2].gate, MEMDB_GATE_NO_COPIES);
    assert_int_equal(listed.items[2].like, id);
    assert_int_equal(listed.items[2].like_space, space);
    assert_true(listed.items[2].time > 0 && listed.items[2].size == sizeof listed.items[2]);
    assert_int_equal(list(fixture->db, space, 1).count, 1); // the visitor has enough
    assert_int_equal(list(fixture->db, 77, 9).count, 0);
    assert_int_equal(memdb_refusal_list(fixture->db, space, NULL, NULL), MEMDB_INVALID);
    assert_string_equal(memdb_gate_name(MEMDB_GATE_NO_RECALLED), "no_recalled");
    assert_string_equal(memdb_gate_name((memdb_gate_t)MEMDB_GATE_COUNT), "unknown");
}

static void test_the_last_64_of_the_last_64_spaces_are_kept(void **state) {
    fixture_t *fixture = *state;
    char name[32];
    memdb_space_t spaces[MEMDB_MAX_REFUSALS + 1];
    for (int i = 0; i <= MEMDB_MAX_REFUSALS; i++) {
        snprintf(name, sizeof name, "space%d", i);
        spaces[i] = create(fixture->db, name, (memdb_gates_t){.most_memories = 1});
        put_text(fixture->db, spaces[i], "a", "x");
    }
    for (int i = 0; i <= MEMDB_MAX_REFUSALS; i++) {
        snprintf(name, sizeof name, "text %d", i);
        assert_int_equal(put(fixture->db, spaces[1], NULL, name, NULL), MEMDB_REFUSED);
    }
    listed_t listed = list(fixture->db, spaces[1], 99);
    assert_int_equal(listed.count, MEMDB_MAX_REFUSALS);
    assert_string_equal(listed.texts[0], "text 64");
    assert_string_equal(listed.texts[MEMDB_MAX_REFUSALS - 1], "text 1");
    for (int i = 0; i <= MEMDB_MAX_REFUSALS; i++) {
        assert_int_equal(put(fixture->db, spaces[i], NULL, "y", NULL), MEMDB_REFUSED);
    }
    // The first one gave way to the last; asking for one takes nothing from the others.
    assert_int_equal(list(fixture->db, spaces[0], 99).count, 0);
    assert_int_equal(list(fixture->db, spaces[1], 99).count, MEMDB_MAX_REFUSALS);
    assert_int_equal(list(fixture->db, spaces[2], 99).count, 1);
    assert_int_equal(list(fixture->db, spaces[MEMDB_MAX_REFUSALS], 99).count, 1);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_no_text_is_there_twice),
        TEST(test_copies_need_an_index_that_stays),
        TEST(test_what_has_expired_is_no_original),
        TEST(test_vectors_may_not_be_near_where_words_are_shared),
        TEST(test_nearness_is_an_angle_in_each_metric),
        TEST(test_what_was_recalled_is_not_put_back),
        TEST(test_of_recalled_texts_the_last_1024_are_known),
        TEST(test_refusals_tell_gate_likeness_and_text),
        TEST(test_the_last_64_of_the_last_64_spaces_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
