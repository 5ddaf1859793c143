// Selection against plain ones: the full ranking is asked for, and folded, diversified, cut into
// pages and filled into a budget once more here, slowly, from texts and vectors as they were put.
#include "tests/lib/database.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEMORIES 240
#define DIMENSION 8
#define WORDS 60
#define ALL 500 // the pool, and more than there are

typedef struct memory {
    uint64_t id;
    bool words[WORDS], has_vector;
    float vector[DIMENSION];
    uint32_t tokens, length;
} memory_t;

typedef struct world {
    uint64_t seed;
    memdb_space_t space;
    memory_t memories[MEMORIES];
} world_t;

static uint32_t draw(world_t *world, uint32_t below) {
    world->seed = world->seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(world->seed >> 33) % below;
}

/// A third of the memories are others with one word changed.
static void draw_words(world_t *world, uint32_t number) {
    memory_t *memory = &world->memories[number];
    if (number && draw(world, 3) == 0) {
        memcpy(memory->words, world->memories[draw(world, number)].words, sizeof memory->words);
        memory->words[draw(world, WORDS)] = true;
        return;
    }
    for (uint32_t i = 0, count = 1 + draw(world, 15); i < count; i++)
        memory->words[draw(world, 1 + draw(world, WORDS))] = true;
}

static void put(world_t *world, memdb_t *db, memdb_txn_t *txn, uint32_t number) {
    memory_t *memory = &world->memories[number];
    char words[WORDS * 8] = "";
    size_t at = 0;
    draw_words(world, number);
    for (uint32_t w = 0; w < WORDS; w++)
        if (memory->words[w])
            at += (size_t)snprintf(words + at, sizeof words - at, "w%u ", w);
    memory->has_vector = draw(world, 3) != 0;
    for (int d = 0; d < DIMENSION; d++)
        memory->vector[d] = draw(world, 2) ? 1 : -1;
    memory->tokens = draw(world, 2) ? 1 + draw(world, 30) : 0;
    memory->length = (uint32_t)at;
    memdb_memory_t in = {.size = sizeof in,
                         .fields = MEMDB_FIELD_TEXT | MEMDB_FIELD_VECTOR |
                                   (memory->tokens ? MEMDB_FIELD_TOKENS : 0u),
                         .text = text(words),
                         .tokens = memory->tokens,
                         .vector = memory->has_vector ? memory->vector : NULL,
                         .dimension = memory->has_vector ? DIMENSION : 0};
    must(db, memdb_put(txn, world->space, &in, &memory->id));
}

static void fill(world_t *world, memdb_t *db) {
    const char *seed = getenv("MEMDB_SEED");
    memdb_space_options_t options = {
        .size = sizeof options, .tokenizer = MEMDB_TOKENIZER_PLAIN, .dimension = DIMENSION};
    memdb_txn_t *txn;
    world->seed = seed ? strtoull(seed, NULL, 0) : 20261125;
    print_message("seed=%llu\n", (unsigned long long)world->seed);
    must(db, memdb_txn_begin(db, &txn));
    must(db, memdb_space_create(txn, text("main"), &options, &world->space));
    for (uint32_t i = 0; i < MEMORIES; i++)
        put(world, db, txn, i);
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_NONE, NULL));
}

static const memory_t *find(const world_t *world, uint64_t id) {
    for (uint32_t i = 0; i < MEMORIES; i++)
        if (world->memories[i].id == id)
            return &world->memories[i];
    fail_msg("no memory %llu", (unsigned long long)id);
    return NULL;
}

static double jaccard(const memory_t *a, const memory_t *b) {
    double shared = 0, all = 0;
    for (int w = 0; w < WORDS; w++) {
        shared += a->words[w] && b->words[w];
        all += a->words[w] || b->words[w];
    }
    return all > 0 ? shared / all : 0;
}

static double like(const memory_t *a, const memory_t *b) {
    double dot = 0;
    if (!a->has_vector || !b->has_vector)
        return jaccard(a, b);
    for (int d = 0; d < DIMENSION; d++)
        dot += a->vector[d] * b->vector[d] / DIMENSION;
    return fmax(dot, 0);
}

// ------------------------------------------------------------------------------ asking

static memdb_result_t *ask(const world_t *world, memdb_snapshot_t *snapshot, memdb_query_t query) {
    memdb_result_t *result = NULL;
    query.size = sizeof query;
    query.spaces = &world->space;
    query.space_count = 1;
    assert_int_equal(memdb_recall(snapshot, &query, &result), MEMDB_OK);
    return result;
}

static size_t ranking(const world_t *world, memdb_snapshot_t *snapshot, memdb_query_t query,
                      memdb_hit_t *hits) {
    memdb_result_t *result = ask(world, snapshot, query);
    size_t count = memdb_result_count(result);
    assert_true(count <= ALL);
    for (size_t i = 0; i < count; i++)
        hits[i] = *memdb_result_hit(result, i);
    memdb_result_free(result);
    return count;
}

static void draw_question(world_t *world, char *words, float *vector) {
    snprintf(words, 64, "w%u w%u w%u", draw(world, WORDS), draw(world, WORDS), draw(world, 8));
    for (int d = 0; d < DIMENSION; d++)
        vector[d] = draw(world, 2) ? 1 : -1;
}

// ------------------------------------------------------------------------------ cases

static size_t fold_plainly(const world_t *world, memdb_hit_t *hits, size_t count) {
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        size_t to = 0;
        while (to < kept && jaccard(find(world, hits[to].id), find(world, hits[i].id)) < .8)
            to++;
        if (to < kept)
            hits[to].folded++;
        else
            hits[kept++] = hits[i];
    }
    return kept;
}

static void diversify_plainly(const world_t *world, memdb_hit_t *hits, size_t count, double mmr) {
    static memdb_hit_t rest[ALL];
    double most = hits[0].score, least = hits[count - 1].score;
    memcpy(rest, hits, count * sizeof *rest);
    for (size_t taken = 0; taken < count; taken++) {
        size_t best = count;
        double best_worth = 0;
        for (size_t i = 0; i < count; i++) {
            double likeness = 0, range = most - least;
            for (size_t t = 0; rest[i].id && t < taken; t++)
                likeness = fmax(likeness, like(find(world, rest[i].id), find(world, hits[t].id)));
            double worth =
                (1 - mmr) * (range > 0 ? 1 - (most - rest[i].score) / range : 1) - mmr * likeness;
            if (rest[i].id && (best == count || worth > best_worth + 1e-6)) {
                best = i;
                best_worth = worth;
            }
        }
        hits[taken] = rest[best];
        rest[best].id = 0;
    }
}

static void test_fold_and_mmr_agree_with_plain_ones(void **state) {
    fixture_t *fixture = *state;
    world_t *world = calloc(1, sizeof *world);
    static memdb_hit_t plain[ALL], found[ALL];
    memdb_snapshot_t *snapshot;
    size_t folds = 0, moved = 0;
    fill(world, fixture->db);
    must(fixture->db, memdb_snapshot_begin(fixture->db, NULL, &snapshot));
    for (int round = 0; round < 40; round++) {
        char words[64];
        float vector[DIMENSION];
        draw_question(world, words, vector);
        memdb_query_t query = {.text = text(words), .k = ALL};
        query.vector = round % 2 ? vector : NULL;
        query.dimension = DIMENSION;
        size_t count = ranking(world, snapshot, query, plain);
        query.fold = round % 3 != 0;
        query.mmr = round % 4 ? draw(world, 11) / 10.0 : 0;
        if (query.fold) {
            size_t kept = fold_plainly(world, plain, count);
            folds += count - kept;
            count = kept;
        }
        uint64_t second = count > 1 ? plain[1].id : 0;
        if (query.mmr > 0 && count)
            diversify_plainly(world, plain, count, query.mmr);
        moved += count > 1 && plain[1].id != second;
        assert_int_equal(ranking(world, snapshot, query, found), count);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(found[i].id, plain[i].id);
            assert_int_equal(found[i].folded, plain[i].folded);
        }
    }
    assert_true(folds > 100 && moved > 5);
    memdb_snapshot_end(snapshot);
    free(world);
}

static void test_pages_neither_repeat_nor_skip_while_others_write(void **state) {
    fixture_t *fixture = *state;
    world_t *world = calloc(1, sizeof *world);
    static memdb_hit_t whole[ALL], page[ALL];
    memdb_snapshot_t *snapshot;
    fill(world, fixture->db);
    must(fixture->db, memdb_snapshot_begin(fixture->db, NULL, &snapshot));
    for (int round = 0; round < 12; round++) {
        char words[64];
        float vector[DIMENSION];
        draw_question(world, words, vector);
        memdb_query_t query = {.text = text(words), .k = 200, .dimension = DIMENSION};
        query.vector = round % 2 ? vector : NULL;
        query.fold = round % 3 == 1;
        query.mmr = round % 4 == 2 ? .5 : 0;
        query.mode = round == 9   ? MEMDB_RECALL_VECTOR
                     : round == 8 ? MEMDB_RECALL_WORDS
                                  : MEMDB_RECALL_AUTO;
        size_t count = ranking(world, snapshot, query, whole), seen = 0, got;
        query.k = 7;
        do {
            query.skip = (uint32_t)seen;
            got = ranking(world, snapshot, query, page);
            for (size_t i = 0; i < got && seen + i < count; i++)
                assert_int_equal(page[i].id, whole[seen + i].id);
            seen += got;
            put_text(fixture->db, world->space, "later", words);
        } while (got == 7);
        assert_true(seen >= count);
    }
    memdb_snapshot_end(snapshot);
    free(world);
}

static uint32_t cost(const memory_t *memory) {
    return memory->tokens ? memory->tokens : (memory->length + 3) / 4;
}

static void test_a_budget_is_filled_from_the_best_on(void **state) {
    fixture_t *fixture = *state;
    world_t *world = calloc(1, sizeof *world);
    static memdb_hit_t whole[ALL], found[ALL];
    memdb_snapshot_t *snapshot;
    fill(world, fixture->db);
    must(fixture->db, memdb_snapshot_begin(fixture->db, NULL, &snapshot));
    for (int round = 0; round < 40; round++) {
        char words[64];
        float vector[DIMENSION];
        draw_question(world, words, vector);
        memdb_query_t query = {.text = text(words), .k = 200};
        size_t count = ranking(world, snapshot, query, whole), kept = 0;
        query.token_budget = 1 + draw(world, 200);
        query.k = round % 2 ? 0 : 1 + draw(world, 9);
        uint32_t left = query.token_budget, most = query.k ? query.k : 200;
        size_t got = ranking(world, snapshot, query, found);
        for (size_t i = 0; i < count && kept < most; i++) {
            uint32_t price = cost(find(world, whole[i].id));
            if (price <= left) {
                assert_true(kept < got);
                assert_int_equal(found[kept].id, whole[i].id);
                assert_int_equal(found[kept++].tokens, price);
                left -= price;
            }
        }
        assert_int_equal(got, kept);
    }
    memdb_snapshot_end(snapshot);
    free(world);
}

static void refuse(memdb_t *db, memdb_snapshot_t *snapshot, memdb_query_t query, const char *word) {
    memdb_result_t *result = NULL;
    char message[512];
    assert_int_equal(memdb_recall(snapshot, &query, &result), MEMDB_INVALID);
    memdb_last_error(db, message, sizeof message);
    assert_non_null(strstr(message, word));
}

static void test_what_cannot_be_selected_is_refused(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space = space_of(fixture->db, "main");
    memdb_snapshot_t *snapshot;
    must(fixture->db, memdb_snapshot_begin(fixture->db, NULL, &snapshot));
    memdb_query_t query = {
        .size = sizeof query, .spaces = &space, .space_count = 1, .text = text("a")};
    memdb_query_t wrong = query;
    wrong.mmr = 1.5;
    refuse(fixture->db, snapshot, wrong, "mmr");
    wrong.mmr = NAN;
    refuse(fixture->db, snapshot, wrong, "mmr");
    wrong = query;
    wrong.skip = 10001;
    refuse(fixture->db, snapshot, wrong, "skip");
    wrong = query;
    wrong.skip = wrong.token_budget = 1;
    refuse(fixture->db, snapshot, wrong, "token_budget");
    wrong = query;
    wrong.fold = true;
    wrong.k = 501;
    refuse(fixture->db, snapshot, wrong, "fold");
    memdb_snapshot_end(snapshot);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_fold_and_mmr_agree_with_plain_ones),
        TEST(test_pages_neither_repeat_nor_skip_while_others_write),
        TEST(test_a_budget_is_filled_from_the_best_on),
        TEST(test_what_cannot_be_selected_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
