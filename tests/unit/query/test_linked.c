// Goal: the signal graph of recall is what docs/recall.md says it is.
// Method: random texts and links; a recall without the signal gives what was found and how it
// scored, memdb_graph_rank ranks from the best of these and from the query's seeds, and the formula
// is computed once more from both, hit by hit: shares, who enters, and order.
#include "tests/lib/database.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MEMORIES 120
#define BEST 3
#define FLOOR 1e-3
#define ENTER 20
#define RESTART .15

typedef struct world {
    memdb_t *db;
    memdb_space_t space;
    uint64_t seed;
    uint64_t ids[MEMORIES];
} world_t;

static uint32_t draw(world_t *world, uint32_t below) {
    world->seed = world->seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(world->seed >> 33) % below;
}

static void fill(world_t *world, int links) {
    memdb_txn_t *txn;
    must(world->db, memdb_txn_begin(world->db, &txn));
    for (int i = 0; i < MEMORIES; i++) {
        char words[80];
        snprintf(words, sizeof words, "w%u w%u w%u w%u", draw(world, 40), draw(world, 40),
                 draw(world, 40), draw(world, 40));
        memdb_memory_t put = {.size = sizeof put,
                              .fields = MEMDB_FIELD_TEXT | MEMDB_FIELD_KIND,
                              .text = text(words),
                              .kind = text(draw(world, 4) ? "note" : "entity")};
        must(world->db, memdb_put(txn, world->space, &put, &world->ids[i]));
    }
    for (int i = 0; i < links; i++) {
        char type[4];
        snprintf(type, sizeof type, "%u", draw(world, 3));
        memdb_link_t link = {.size = sizeof link,
                             .space = world->space,
                             .from = world->ids[draw(world, MEMORIES)],
                             .to = world->ids[draw(world, MEMORIES)],
                             .type = text(type),
                             .weight = 1 + draw(world, 3)};
        must(world->db, memdb_put_link(txn, &link));
    }
    must(world->db, memdb_txn_commit(txn, MEMDB_DURABILITY_NONE, NULL));
    if (draw(world, 2)) {
        must(world->db, memdb_checkpoint(world->db));
    }
}

static double fused(const memdb_hit_t *hit) {
    return hit->signals[MEMDB_SIGNAL_WORDS] + hit->signals[MEMDB_SIGNAL_FEEDBACK];
}

// ------------------------------------------------------------------------------ the formula

typedef struct plain {
    uint64_t id;
    bool found;
    double rank, before, share; // before: the score without the graph
} plain_t;

static plain_t *plain_of(plain_t *items, size_t count, uint64_t id) {
    for (size_t i = 0; i < count; i++) {
        if (items[i].id == id) {
            return &items[i];
        }
    }
    return NULL;
}

/// The seeds: the best that were found, by score, and those of the query. Returns how many.
static size_t seeds_of(const memdb_result_t *found, const uint64_t *given, size_t given_count,
                       memdb_seed_t *seeds) {
    size_t count = 0;
    for (size_t i = 0; i < memdb_result_count(found) && count < BEST; i++) {
        const memdb_hit_t *hit = memdb_result_hit(found, i);
        if (fused(hit) > 0) {
            seeds[count++] = (memdb_seed_t){hit->id, fused(hit)};
        }
    }
    for (size_t i = 0; i < given_count; i++) {
        seeds[count++] = (memdb_seed_t){given[i], 1};
    }
    return count;
}

static bool has_links(memdb_snapshot_t *snapshot, const world_t *world, uint64_t id) {
    memdb_link_cursor_t *cursor;
    memdb_link_t link = {.size = sizeof link};
    must(world->db, memdb_links_open(snapshot, world->space, id, MEMDB_DIRECTION_BOTH,
                                     (memdb_bytes_t){0}, &cursor));
    bool has = memdb_links_next(cursor, &link) == MEMDB_OK;
    memdb_links_close(cursor);
    return has;
}

/// What comes to each memory over links. `items` gets those of the ranking that are not there yet,
/// best first. Returns how many there are in all.
static size_t rank_all(memdb_snapshot_t *snapshot, const world_t *world, const memdb_seed_t *seeds,
                       size_t seed_count, plain_t *items, size_t count) {
    memdb_graph_options_t options = {.size = sizeof options, .direction = MEMDB_DIRECTION_BOTH};
    memdb_nodes_t *nodes;
    double total = 0;
    must(world->db, memdb_graph_rank(snapshot, world->space, seeds, seed_count, &options, &nodes));
    for (size_t i = 0; i < memdb_nodes_count(nodes); i++) {
        const memdb_node_t *node = memdb_nodes_at(nodes, i);
        plain_t *item = plain_of(items, count, node->id);
        if (!item) {
            items[count] = (plain_t){.id = node->id};
            item = &items[count++];
        }
        item->rank = node->score;
    }
    memdb_nodes_free(nodes);
    for (size_t i = 0; i < seed_count; i++) {
        total += seeds[i].weight;
    }
    for (size_t i = 0; i < seed_count; i++) {
        plain_t *item = plain_of(items, count, seeds[i].id);
        double ends = has_links(snapshot, world, seeds[i].id) ? RESTART : 1;
        item->rank = item->rank - ends * seeds[i].weight / total;
    }
    for (size_t i = 0; i < count; i++) {
        items[i].rank = items[i].rank > 0 ? items[i].rank : 0;
    }
    return count;
}

static void share_out(plain_t *items, size_t count, double weight) {
    double sum = 0, squares = 0, found = 0;
    for (size_t i = 0; i < count; i++) {
        sum += items[i].found ? log(items[i].rank + FLOOR) : 0;
        found += items[i].found;
    }
    for (size_t i = 0; i < count; i++) {
        double difference = log(items[i].rank + FLOOR) - sum / found;
        squares += items[i].found ? difference * difference : 0;
    }
    for (size_t i = 0; i < count; i++) {
        double z = (log(items[i].rank + FLOOR) - sum / found) / sqrt(squares / found);
        items[i].share = squares / found > 1e-18 ? weight * z : 0;
    }
}

static bool is_note(memdb_snapshot_t *snapshot, const world_t *world, uint64_t id) {
    memdb_memory_t memory = {.size = sizeof memory};
    must(world->db, memdb_get(snapshot, world->space, id, &memory));
    return memory.kind.size == 4;
}

static int by_rank(const void *a, const void *b) {
    const plain_t *left = a, *right = b;
    if (left->rank != right->rank) {
        return left->rank > right->rank ? -1 : 1;
    }
    return (left->id > right->id) - (left->id < right->id);
}

// ------------------------------------------------------------------------------ comparing

static memdb_result_t *ask(memdb_snapshot_t *snapshot, const world_t *world, memdb_query_t query,
                           double weight) {
    memdb_result_t *result;
    query.weights[MEMDB_SIGNAL_GRAPH] = weight;
    must(world->db, memdb_recall(snapshot, &query, &result));
    return result;
}

static void compare(world_t *world, memdb_snapshot_t *snapshot) {
    char words[40];
    uint64_t given[2] = {world->ids[draw(world, MEMORIES)], world->ids[draw(world, MEMORIES)]};
    memdb_filter_t *filter;
    memdb_seed_t seeds[BEST + 2];
    plain_t items[MEMORIES];
    snprintf(words, sizeof words, "w%u w%u w%u", draw(world, 40), draw(world, 40), draw(world, 40));
    must(world->db, memdb_filter_parse(text("kind = 'note'"), NULL, 0, &filter, NULL));
    memdb_query_t query = {.size = sizeof query,
                           .spaces = &world->space,
                           .space_count = 1,
                           .text = text(words),
                           .filter = filter,
                           .k = MEMORIES,
                           .seeds = given,
                           .seed_count = draw(world, 3),
                           .has_weights = true,
                           .weights = {.5, .5, 1, 0, 0, 0, 1}};
    memdb_result_t *found = ask(snapshot, world, query, 0),
                   *linked = ask(snapshot, world, query, .5);
    size_t count = memdb_result_count(found), all, entered = 0;
    for (size_t i = 0; i < count; i++) {
        const memdb_hit_t *hit = memdb_result_hit(found, i);
        items[i] = (plain_t){.id = hit->id, .found = true, .before = hit->score};
        assert_true(hit->signals[MEMDB_SIGNAL_GRAPH] == 0);
    }
    size_t seed_count = seeds_of(found, given, query.seed_count, seeds);
    all = seed_count ? rank_all(snapshot, world, seeds, seed_count, items, count) : count;
    qsort(items + count, all - count, sizeof *items, by_rank);
    share_out(items, all, .5);
    for (size_t i = count; i < all; i++) {
        bool enters =
            entered < ENTER && items[i].rank >= FLOOR && is_note(snapshot, world, items[i].id);
        items[i].share = enters ? items[i].share : NAN;
        entered += enters;
    }
    assert_int_equal(memdb_result_count(linked), count + entered);
    for (size_t i = 0; i < count + entered; i++) {
        const memdb_hit_t *hit = memdb_result_hit(linked, i);
        const plain_t *item = plain_of(items, all, hit->id);
        assert_non_null(item);
        assert_true(fabs(hit->signals[MEMDB_SIGNAL_GRAPH] - item->share) < 1e-6);
        assert_true(!item->found ||
                    fabs(hit->score - hit->signals[MEMDB_SIGNAL_GRAPH] - item->before) < 1e-9);
    }
    memdb_result_free(found);
    memdb_result_free(linked);
    memdb_filter_free(filter);
}

static void test_shares_are_those_of_the_formula(void **state) {
    const char *given = getenv("MEMDB_SEED");
    world_t world = {.db = ((fixture_t *)*state)->db,
                     .seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL)};
    print_message("seed=%llu\n", (unsigned long long)world.seed);
    for (int round = 0; round < 12; round++) {
        char name[16];
        memdb_snapshot_t *snapshot;
        snprintf(name, sizeof name, "s%d", round);
        world.space = space_of(world.db, name);
        fill(&world, round % 3 == 0 ? 30 : 30 << (round % 4));
        must(world.db, memdb_snapshot_begin(world.db, NULL, &snapshot));
        for (int i = 0; i < 15; i++) {
            compare(&world, snapshot);
        }
        memdb_snapshot_end(snapshot);
    }
}

static void test_a_space_without_links_has_no_share(void **state) {
    world_t world = {.db = ((fixture_t *)*state)->db, .seed = 5};
    memdb_snapshot_t *snapshot;
    world.space = space_of(world.db, "linked"); // links elsewhere make no difference
    fill(&world, 50);
    world.space = space_of(world.db, "bare");
    fill(&world, 0);
    must(world.db, memdb_snapshot_begin(world.db, NULL, &snapshot));
    memdb_query_t query = {.size = sizeof query,
                           .spaces = &world.space,
                           .space_count = 1,
                           .text = text("w1 w2 w3"),
                           .seeds = world.ids,
                           .seed_count = 2,
                           .has_weights = true,
                           .weights = {.5, .5, 1, 0, 0, 0, 1}};
    memdb_result_t *without = ask(snapshot, &world, query, 0),
                   *with = ask(snapshot, &world, query, 1);
    assert_int_equal(memdb_result_count(without), memdb_result_count(with));
    for (size_t i = 0; i < memdb_result_count(with); i++) {
        assert_int_equal(memdb_result_hit(with, i)->id, memdb_result_hit(without, i)->id);
        assert_true(memdb_result_hit(with, i)->score == memdb_result_hit(without, i)->score);
    }
    memdb_result_free(without);
    memdb_result_free(with);
    memdb_snapshot_end(snapshot);
}

static void test_seeds_that_are_not_there_are_named(void **state) {
    world_t world = {.db = ((fixture_t *)*state)->db, .seed = 6};
    memdb_snapshot_t *snapshot;
    memdb_result_t *result = NULL;
    char message[256];
    uint64_t wrong = 4242;
    world.space = space_of(world.db, "main");
    fill(&world, 10);
    must(world.db, memdb_snapshot_begin(world.db, NULL, &snapshot));
    memdb_query_t query = {.size = sizeof query,
                           .spaces = &world.space,
                           .space_count = 1,
                           .text = text("w1"),
                           .seeds = &wrong,
                           .seed_count = 1};
    assert_int_equal(memdb_recall(snapshot, &query, &result), MEMDB_NOT_FOUND);
    memdb_last_error(world.db, message, sizeof message);
    assert_non_null(strstr(message, "seeds: there is no memory 4242"));
    query.seed_count = MEMDB_MAX_SEEDS + 1;
    assert_int_equal(memdb_recall(snapshot, &query, &result), MEMDB_INVALID);
    query.seeds = NULL;
    query.seed_count = 1;
    assert_int_equal(memdb_recall(snapshot, &query, &result), MEMDB_INVALID);
    assert_null(result);
    memdb_snapshot_end(snapshot);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_shares_are_those_of_the_formula, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_a_space_without_links_has_no_share, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_seeds_that_are_not_there_are_named, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
