// Goal: recall at an older moment finds exactly what was there then, by words and by vector.
// Method: random memories of one-word texts and vectors are put, changed and forgotten, with
// checkpoints in between, and a plain copy of the state is kept after each commit; recall at a
// random commit must find exactly the memories of that copy. Only their order may be another:
// ranking uses the statistics of now.
#include "tests/lib/database.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST 60
#define WORDS 5
#define DIMENSION 8
#define STATES 120

typedef struct memory {
    uint64_t id;
    int word; // -1: no text
    bool live, has_vector;
} memory_t;

typedef struct state {
    uint64_t end;
    memory_t memories[MOST];
} state_t;

typedef struct world {
    memdb_t *db;
    memdb_space_t space;
    uint64_t seed, reads;
    memory_t memories[MOST];
    state_t *states;
    size_t count;
} world_t;

static const char *const words[WORDS] = {"lantern", "harbour", "granite", "moss", "ferry"};

static uint32_t draw(world_t *world, uint32_t below) {
    world->seed = world->seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(world->seed >> 33) % below;
}

static void change_one(world_t *world, memdb_txn_t *txn) {
    memory_t *memory = &world->memories[draw(world, MOST)];
    if (memory->live && draw(world, 3) == 0) {
        must(world->db, memdb_forget(txn, world->space, memory->id));
        *memory = (memory_t){0}; // its place is for another memory
        return;
    }
    float vector[DIMENSION];
    for (int i = 0; i < DIMENSION; i++) {
        vector[i] = (float)draw(world, 200) - 99.5f;
    }
    memdb_memory_t put = {.size = sizeof put, .id = memory->id};
    int word = (int)draw(world, WORDS);
    if (!memory->live || draw(world, 2)) {
        put.fields |= MEMDB_FIELD_TEXT;
        put.text = text(words[word]);
        memory->word = word;
    }
    if (draw(world, 2)) {
        put.fields |= MEMDB_FIELD_VECTOR;
        put.vector = vector;
        put.dimension = DIMENSION;
        memory->has_vector = true;
    }
    must(world->db, memdb_put(txn, world->space, &put, &memory->id));
    memory->live = true;
}

static void step(world_t *world) {
    memdb_txn_t *txn;
    must(world->db, memdb_txn_begin(world->db, &txn));
    for (uint32_t i = 1 + draw(world, 6); i > 0; i--) {
        change_one(world, txn);
    }
    if (world->count == STATES) {
        memmove(world->states, world->states + 1, (STATES - 1) * sizeof *world->states);
        world->count--;
    }
    state_t *state = &world->states[world->count++];
    must(world->db, memdb_txn_commit(txn, MEMDB_DURABILITY_OS, &state->end));
    memcpy(state->memories, world->memories, sizeof state->memories);
    if (draw(world, 12) == 0) {
        must(world->db, memdb_checkpoint(world->db));
    }
}

/// The hits are the wanted memories, each once.
static void expect(const memdb_result_t *result, const state_t *state, int word) {
    size_t wanted = 0;
    for (int i = 0; i < MOST; i++) {
        const memory_t *memory = &state->memories[i];
        bool is_wanted = memory->live && (word >= 0 ? memory->word == word : memory->has_vector);
        bool found = false;
        for (size_t h = 0; memory->live && h < memdb_result_count(result); h++) {
            found |= memdb_result_hit(result, h)->id == memory->id;
        }
        assert_int_equal(found, is_wanted);
        wanted += is_wanted;
    }
    assert_int_equal(memdb_result_count(result), wanted);
}

static void check(world_t *world) {
    const state_t *state = &world->states[draw(world, (uint32_t)world->count)];
    memdb_snapshot_options_t options = {.size = sizeof options, .as_of_lsn = state->end};
    memdb_snapshot_t *snapshot;
    memdb_result_t *result;
    must(world->db, memdb_snapshot_begin(world->db, &options, &snapshot));
    for (int word = -1; word < WORDS; word++) {
        static const float ones[DIMENSION] = {1, 1, 1, 1, 1, 1, 1, 1};
        memdb_query_t query = {.size = sizeof query,
                               .spaces = &world->space,
                               .space_count = 1,
                               .k = MOST,
                               .mode = word < 0 ? MEMDB_RECALL_VECTOR : MEMDB_RECALL_WORDS};
        query.text = text(word < 0 ? "" : words[word]);
        query.vector = word < 0 ? ones : NULL;
        query.dimension = word < 0 ? DIMENSION : 0;
        must(world->db, memdb_recall(snapshot, &query, &result));
        expect(result, state, word);
        memdb_result_free(result);
    }
    memdb_snapshot_end(snapshot);
    world->reads++;
}

static void test_recall_at_an_older_moment_finds_what_was_there(void **given) {
    fixture_t *fixture = *given;
    world_t world = {.db = fixture->db};
    const char *seed = getenv("MEMDB_SEED");
    world.seed = seed ? strtoull(seed, NULL, 0) : 20240911;
    printf("seed=%llu\n", (unsigned long long)world.seed);
    world.states = calloc(STATES, sizeof *world.states);
    assert_non_null(world.states);
    memdb_settings_t settings = {.size = sizeof settings, .history_bytes = UINT64_C(1) << 40};
    must(world.db, memdb_configure(world.db, &settings));
    world.space = space_of(world.db, "main");
    for (int i = 0; i < 400; i++) {
        step(&world);
        check(&world);
    }
    // Nothing is left now, and no word has a document: what was there is found all the same.
    memdb_txn_t *txn;
    must(world.db, memdb_txn_begin(world.db, &txn));
    for (int i = 0; i < MOST; i++) {
        if (world.memories[i].live) {
            must(world.db, memdb_forget(txn, world.space, world.memories[i].id));
        }
    }
    must(world.db, memdb_txn_commit(txn, MEMDB_DURABILITY_OS, NULL));
    for (int i = 0; i < 40; i++) {
        check(&world);
        if (i == 10) {
            must(world.db, memdb_checkpoint(world.db));
        }
    }
    free(world.states);
}

static void test_recall_at_an_older_moment_finds_what_expired_since(void **given) {
    fixture_t *fixture = *given;
    memdb_t *db = fixture->db;
    memdb_space_t space = space_of(db, "main");
    memdb_txn_t *txn;
    memdb_snapshot_t *snapshot;
    memdb_result_t *result;
    memdb_memory_t put = {.size = sizeof put,
                          .fields = MEMDB_FIELD_TEXT | MEMDB_FIELD_EXPIRES,
                          .text = text("lantern"),
                          .expires = 1000};
    must(db, memdb_txn_begin(db, &txn));
    must(db, memdb_put(txn, space, &put, NULL));
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_OS, NULL));
    memdb_query_t query = {.size = sizeof query,
                           .spaces = &space,
                           .space_count = 1,
                           .text = text("lantern"),
                           .mode = MEMDB_RECALL_WORDS};
    must(db, memdb_snapshot_begin(db, NULL, &snapshot));
    must(db, memdb_recall(snapshot, &query, &result));
    assert_int_equal(memdb_result_count(result), 0); // it expired in 1970
    memdb_result_free(result);
    // The time of an older moment is that moment: the commit's, which is later, too.
    uint64_t lsn = memdb_snapshot_lsn(snapshot);
    int64_t now = memdb_snapshot_time(snapshot);
    memdb_snapshot_end(snapshot);
    memdb_snapshot_options_t options = {.size = sizeof options, .as_of_lsn = lsn};
    must(db, memdb_snapshot_begin(db, &options, &snapshot));
    assert_true(memdb_snapshot_time(snapshot) > 1000 && memdb_snapshot_time(snapshot) <= now);
    memdb_snapshot_end(snapshot);
    int64_t soon = now + INT64_C(3600) * 1000000;
    put.expires = soon;
    must(db, memdb_txn_begin(db, &txn));
    must(db, memdb_put(txn, space, &put, NULL));
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_OS, NULL));
    for (int later = 0; later < 2; later++) { // a time ahead is now, but for what has expired then
        options =
            (memdb_snapshot_options_t){.size = sizeof options, .as_of_time = soon - 1 + later};
        must(db, memdb_snapshot_begin(db, &options, &snapshot));
        must(db, memdb_recall(snapshot, &query, &result));
        assert_int_equal(memdb_result_count(result), 1 - later);
        memdb_result_free(result);
        memdb_snapshot_end(snapshot);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_recall_at_an_older_moment_finds_what_was_there,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_recall_at_an_older_moment_finds_what_expired_since,
                                        fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
