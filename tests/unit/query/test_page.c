// Pages: in a snapshot that is held, and as of the first page's position while others write, they
// are the cuts of one ranking. Where a checkpoint changed the statistics of words, the hits behind
// a page may have another order: still none comes twice, and none is left out. Everything else is
// refused, and says why.
#include "query/query_page.h"
#include "tests/lib/database.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEMORIES 150
#define WORDS 20
#define DIMENSION 4

typedef struct world {
    uint64_t seed;
    memdb_t *db;
    memdb_space_t space;
    uint64_t ids[MEMORIES];
    size_t exact, expired; // rounds as of a position
} world_t;

static uint32_t draw(world_t *world, uint32_t below) {
    world->seed = world->seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(world->seed >> 33) % below;
}

static void say(world_t *world, char *out, size_t size) {
    size_t used = 0;
    out[0] = 0;
    for (uint32_t i = 1 + draw(world, 6); i > 0; i--)
        used += (size_t)snprintf(out + used, size - used, "w%u ", draw(world, WORDS));
}

static void put(world_t *world, memdb_txn_t *txn, uint64_t *id) {
    char words[64];
    float vector[DIMENSION];
    say(world, words, sizeof words);
    for (int d = 0; d < DIMENSION; d++)
        vector[d] = (float)draw(world, 19) - 9.5f;
    memdb_memory_t in = {.size = sizeof in,
                         .id = *id,
                         .fields = MEMDB_FIELD_TEXT | MEMDB_FIELD_VECTOR,
                         .text = text(words),
                         .vector = vector,
                         .dimension = DIMENSION};
    must(world->db, memdb_put(txn, world->space, &in, id));
}

static void change(world_t *world, uint32_t puts) {
    memdb_txn_t *txn;
    must(world->db, memdb_txn_begin(world->db, &txn));
    for (uint32_t i = 0; i < puts; i++)
        put(world, txn, &world->ids[puts == MEMORIES ? i : draw(world, MEMORIES)]);
    must(world->db, memdb_txn_commit(txn, MEMDB_DURABILITY_NONE, NULL));
}

static void begin(world_t *world, memdb_t *db) {
    const char *seed = getenv("MEMDB_SEED");
    *world = (world_t){.seed = seed ? strtoull(seed, NULL, 0) : 20261125, .db = db};
    print_message("seed=%llu\n", (unsigned long long)world->seed);
    world->space = space_of(db, "main");
    change(world, MEMORIES);
}

static void compare(const memdb_result_t *a, const memdb_result_t *b) {
    assert_int_equal(memdb_result_count(a), memdb_result_count(b));
    for (size_t i = 0; i < memdb_result_count(a); i++)
        assert_int_equal(memdb_result_hit(a, i)->id, memdb_result_hit(b, i)->id);
}

/// None of the hits came before.
static void check_new(const memdb_result_t *result, uint64_t *seen, size_t *count) {
    for (size_t i = 0; i < memdb_result_count(result); i++) {
        for (size_t j = 0; j < *count; j++)
            assert_true(seen[j] != memdb_result_hit(result, i)->id);
        seen[(*count)++] = memdb_result_hit(result, i)->id;
    }
}

/// Follow the pages of a query, and compare each with the cut of the ranking that `held` gives.
/// `held` may be the snapshot of all pages; else each is asked as of the first one's position.
/// False: it was refused as expired.
static bool follow(world_t *world, memdb_query_t query, memdb_snapshot_t *held, bool in_held) {
    char page[MEMDB__PAGE_DIGITS + 1] = "";
    uint64_t seen[MEMORIES];
    size_t seen_count = 0, cut_count = 0;
    bool folded = false;
    for (uint32_t skip = 0; skip == 0 || page[0]; skip += query.k) {
        memdb_result_t *result, *cut;
        memdb_snapshot_t *snapshot = held;
        memdb_snapshot_options_t then = {.size = sizeof then};
        if (!in_held && skip) {
            change(world, 5);
            if (draw(world, 8) == 0) {
                must(world->db, memdb_checkpoint(world->db));
                folded = true;
            }
            must(world->db, memdb_page_lsn(text(page), &then.as_of_lsn));
            must(world->db, memdb_snapshot_begin(world->db, &then, &snapshot));
        }
        query.page = text(page);
        memdb_status_t status = memdb_recall(snapshot, &query, &result);
        if (snapshot != held)
            memdb_snapshot_end(snapshot);
        if (status == MEMDB_EXPIRED && !in_held)
            return false;
        must(world->db, status);
        memdb_query_t plain = query;
        plain.page = (memdb_bytes_t){0};
        plain.skip = skip;
        must(world->db, memdb_recall(held, &plain, &cut));
        if (!folded)
            compare(result, cut);
        check_new(result, seen, &seen_count);
        cut_count += memdb_result_count(cut);
        assert_int_equal(memdb_result_page(result) != NULL, memdb_result_count(result) == query.k);
        snprintf(page, sizeof page, "%s",
                 memdb_result_page(result) ? memdb_result_page(result) : "");
        memdb_result_free(result);
        memdb_result_free(cut);
    }
    if (!folded || !query.fold) // less than 200 candidates: all of them
        assert_int_equal(seen_count, cut_count);
    return true;
}

static void test_pages_are_the_cuts_of_one_ranking_while_others_write(void **state) {
    world_t world;
    begin(&world, ((fixture_t *)*state)->db);
    memdb_settings_t settings = {.size = sizeof settings, .history_bytes = 1u << 30};
    must(world.db, memdb_configure(world.db, &settings));
    for (int round = 0; round < 60; round++) {
        static const float vector[DIMENSION] = {1, -2, 3, .5f};
        char words[64];
        memdb_snapshot_t *held;
        bool in_held = draw(&world, 3) == 0;
        say(&world, words, sizeof words);
        must(world.db, memdb_snapshot_begin(world.db, NULL, &held));
        memdb_query_t query = {.size = sizeof query,
                               .spaces = &world.space,
                               .space_count = 1,
                               .text = text(words),
                               .vector = draw(&world, 2) ? vector : NULL,
                               .dimension = DIMENSION,
                               .k = 3 + draw(&world, 20),
                               .fold = draw(&world, 4) == 0,
                               .mode = draw(&world, 3) ? MEMDB_RECALL_AUTO : MEMDB_RECALL_WORDS};
        bool whole = follow(&world, query, held, in_held);
        world.exact += !in_held && whole;
        world.expired += !whole;
        memdb_snapshot_end(held);
    }
    print_message("as of a position: %zu exact, %zu expired\n", world.exact, world.expired);
    assert_true(world.exact > 10 && world.expired > 0);
}

// ------------------------------------------------------------------------------ refusals

static void refuse(memdb_t *db, memdb_snapshot_t *snapshot, memdb_query_t query,
                   memdb_status_t expected, const char *why) {
    memdb_result_t *result;
    char message[256];
    assert_int_equal(memdb_recall(snapshot, &query, &result), expected);
    memdb_last_error(db, message, sizeof message);
    if (!strstr(message, why))
        fail_msg("'%s' does not say '%s'", message, why);
}

static void test_pages_of_other_queries_and_moments_are_refused(void **state) {
    world_t world;
    memdb_snapshot_t *snapshot, *later;
    memdb_result_t *result;
    char page[MEMDB__PAGE_DIGITS + 1];
    begin(&world, ((fixture_t *)*state)->db);
    memdb_t *db = world.db;
    must(db, memdb_snapshot_begin(db, NULL, &snapshot));
    memdb_query_t query = {.size = sizeof query,
                           .spaces = &world.space,
                           .space_count = 1,
                           .text = text("w1 w2"),
                           .k = 5,
                           .page = text("")};
    must(db, memdb_recall(snapshot, &query, &result));
    snprintf(page, sizeof page, "%s", memdb_result_page(result));
    memdb_result_free(result);
    query.page = text(page);
    must(db, memdb_recall(snapshot, &query, &result));
    memdb_result_free(result);
    memdb_query_t other = query;
    other.text = text("w1 w3");
    refuse(db, snapshot, other, MEMDB_INVALID, "another question");
    other = query;
    other.k = 6;
    refuse(db, snapshot, other, MEMDB_INVALID, "another question");
    other = query;
    assert_int_equal(
        memdb_filter_parse(text("id > 3"), NULL, 0, (memdb_filter_t **)&other.filter, NULL),
        MEMDB_OK);
    refuse(db, snapshot, other, MEMDB_INVALID, "another question");
    memdb_filter_free((memdb_filter_t *)other.filter);
    other = query;
    other.skip = 1;
    refuse(db, snapshot, other, MEMDB_INVALID, "neither skip");
    other = query;
    other.page.size--;
    refuse(db, snapshot, other, MEMDB_INVALID, "damaged");
    for (size_t i = 0; i < MEMDB__PAGE_DIGITS; i++) {
        char damaged[sizeof page];
        memcpy(damaged, page, sizeof page);
        damaged[i] = damaged[i] == '7' ? '8' : '7';
        other.page = text(damaged);
        refuse(db, snapshot, other, MEMDB_INVALID, "damaged");
    }
    change(&world, 1);
    must(db, memdb_snapshot_begin(db, NULL, &later));
    refuse(db, later, query, MEMDB_INVALID, "as of that position");
    memdb_snapshot_end(later);
    memdb_snapshot_end(snapshot);
}

static void test_pages_are_text_and_back(void **state) {
    (void)state;
    char digits[MEMDB__PAGE_DIGITS + 1];
    memdb__page_t page = {1, -2, INT64_MIN, UINT64_MAX, 5, 10000}, read;
    memdb__page_encode(&page, digits);
    assert_true(memdb__page_decode(text(digits), &read));
    char again[sizeof digits];
    memdb__page_encode(&read, again);
    assert_string_equal(again, digits);
    assert_true(read.time == -2 && read.now == INT64_MIN && read.before == 10000);
    page.before = 0;
    memdb__page_encode(&page, digits);
    assert_false(memdb__page_decode(text(digits), &read));
    uint64_t lsn;
    assert_int_equal(memdb_page_lsn(text("a"), &lsn), MEMDB_INVALID);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_pages_are_the_cuts_of_one_ranking_while_others_write),
        TEST(test_pages_of_other_queries_and_moments_are_refused),
        cmocka_unit_test(test_pages_are_text_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
