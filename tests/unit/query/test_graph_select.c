// Goal: memdb_graph_select gives what its definition says.
// Method: random graphs, in which links lead from lower numbers to higher ones and sometimes one
// leads back, with random weights, ages, tokens and seeds; what each memory is worth is computed
// once more in order of the numbers, and the budget is filled by hand.
#include "tests/lib/database.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NODES 16
#define DAY_US INT64_C(86400000000)

typedef struct world {
    memdb_t *db;
    memdb_space_t space;
    uint64_t seed;
    uint64_t ids[NODES];
    int64_t ages[NODES]; // in days
    uint32_t tokens[NODES];
    double weights[NODES][NODES]; // of links; -1: none
    int64_t now;
} world_t;

static uint32_t draw(world_t *world, uint32_t below) {
    world->seed = world->seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(world->seed >> 33) % below;
}

static void fill(world_t *world, bool back) {
    memdb_txn_t *txn;
    must(world->db, memdb_txn_begin(world->db, &txn));
    world->now = memdb_snapshot_time(memdb_txn_snapshot(txn));
    for (int i = 0; i < NODES; i++) {
        bool estimated = draw(world, 3) == 0;
        world->ages[i] = (int64_t)draw(world, 5);
        world->tokens[i] = 1 + draw(world, 9);
        memdb_memory_t put = {.size = sizeof put,
                              .fields = MEMDB_FIELD_TEXT | MEMDB_FIELD_TIME |
                                        (estimated ? 0u : MEMDB_FIELD_TOKENS),
                              .text = {"0123456789012345678901234567890123456789",
                                       estimated ? 4 * world->tokens[i] : 40},
                              .time = world->now - world->ages[i] * DAY_US,
                              .tokens = world->tokens[i]};
        must(world->db, memdb_put(txn, world->space, &put, &world->ids[i]));
    }
    for (int i = 0; i < NODES; i++) {
        for (int j = 0; j < NODES; j++) {
            bool there = i < j && draw(world, 4) == 0;
            there = there || (back && i == NODES / 2 && j == NODES / 4);
            world->weights[i][j] = there ? (double)draw(world, 4) : -1;
            memdb_link_t link = {.size = sizeof link,
                                 .space = world->space,
                                 .from = world->ids[i],
                                 .to = world->ids[j],
                                 .weight = world->weights[i][j]};
            if (there) {
                must(world->db, memdb_put_link(txn, &link));
            }
        }
    }
    must(world->db, memdb_txn_commit(txn, MEMDB_DURABILITY_NONE, NULL));
    if (draw(world, 2)) {
        must(world->db, memdb_checkpoint(world->db));
    }
}

// ------------------------------------------------------------------------------ by definition

static void meet(const world_t *world, int node, bool met[NODES]) {
    met[node] = true;
    for (int j = 0; j < NODES; j++) {
        if (world->weights[node][j] >= 0 && !met[j]) {
            meet(world, j, met);
        }
    }
}

static bool reaches(const world_t *world, int from, int to, bool seen[NODES]) {
    seen[from] = true;
    for (int j = 0; j < NODES; j++) {
        if (world->weights[from][j] >= 0 &&
            (j == to || (!seen[j] && reaches(world, j, to, seen)))) {
            return true;
        }
    }
    return false;
}

/// What each memory is worth; false: a cycle is among those that are met.
static bool weigh(const world_t *world, const double seeds[NODES], double half_life, double decay,
                  int64_t now, double scores[NODES]) {
    bool met[NODES] = {0};
    for (int i = 0; i < NODES; i++) {
        if (seeds[i] > 0) {
            meet(world, i, met);
        }
    }
    for (int i = 0; i < NODES; i++) {
        bool seen[NODES] = {0};
        int links_in = 0;
        if (met[i] && reaches(world, i, i, seen)) {
            return false;
        }
        for (int j = 0; j < NODES; j++) {
            links_in += met[j] && world->weights[j][i] >= 0;
        }
        double age = (double)(now - world->now) + (double)(world->ages[i] * DAY_US);
        double kept = half_life > 0 ? exp2(-age / half_life) : 1;
        scores[i] = met[i] ? seeds[i] * (1 + log2(1 + links_in)) * kept : 0;
    }
    for (int i = 0; i < NODES; i++) { // numbers rise along the links
        double total = 0;
        for (int j = 0; j < NODES; j++) {
            total += world->weights[i][j] > 0 ? world->weights[i][j] : 0;
        }
        for (int j = 0; met[i] && total > 0 && j < NODES; j++) {
            scores[j] +=
                world->weights[i][j] > 0 ? decay * scores[i] * world->weights[i][j] / total : 0;
        }
    }
    return true;
}

// ------------------------------------------------------------------------------ comparing

static int number_of(const world_t *world, uint64_t id) {
    int number = 0;
    while (number < NODES && world->ids[number] != id) {
        number++;
    }
    assert_true(number < NODES);
    return number;
}

static void compare_nodes(const world_t *world, const memdb_nodes_t *nodes, double scores[NODES],
                          uint64_t budget) {
    uint64_t left = budget ? budget : UINT64_MAX;
    size_t at = 0;
    for (;;) { // the best that was not looked at yet
        int best = 0;
        for (int i = 1; i < NODES; i++) {
            best = scores[i] > scores[best] ? i : best;
        }
        if (scores[best] <= 0) {
            break;
        }
        const memdb_node_t *node = memdb_nodes_at(nodes, at);
        int given = node ? number_of(world, node->id) : best;
        // Of equal ones, but for a rounding, any may come first.
        if (node && fabs(scores[given] - scores[best]) < 1e-9) {
            assert_true(fabs(node->score - scores[given]) < 1e-9);
            assert_int_equal(node->tokens, world->tokens[given]);
            assert_true(node->tokens <= left);
            left -= node->tokens;
            scores[given] = 0;
            at++;
        } else {
            assert_true(world->tokens[best] > left);
            scores[best] = 0;
        }
    }
    assert_int_equal(memdb_nodes_count(nodes), at);
}

static void compare(world_t *world, memdb_snapshot_t *snapshot, bool back) {
    double weights[NODES] = {0}, scores[NODES];
    memdb_seed_t seeds[3];
    memdb_nodes_t *nodes = NULL;
    char message[256];
    for (int i = 0; i < 3; i++) {
        int number = (int)draw(world, NODES);
        seeds[i] = (memdb_seed_t){world->ids[number], .37 + draw(world, 1000) / 997.0};
        weights[number] += seeds[i].weight;
    }
    memdb_graph_options_t options = {.size = sizeof options,
                                     .decay = .3 + .1 * draw(world, 5),
                                     .half_life = draw(world, 2) ? 2 * DAY_US : 0,
                                     .token_budget = draw(world, 2) ? 5 + draw(world, 25) : 0};
    bool fine = weigh(world, weights, (double)options.half_life, options.decay,
                      memdb_snapshot_time(snapshot), scores);
    memdb_status_t status = memdb_graph_select(snapshot, world->space, seeds, 3, &options, &nodes);
    if (!fine) {
        assert_int_equal(status, MEMDB_INVALID);
        memdb_last_error(world->db, message, sizeof message);
        assert_non_null(strstr(message, "cycle"));
        return;
    }
    must(world->db, status);
    if (back) { // the numbers are no order of it
        memdb_nodes_free(nodes);
        return;
    }
    compare_nodes(world, nodes, scores, options.token_budget);
    memdb_nodes_free(nodes);
    options.node_limit = 1;
    options.token_budget = 0;
    status = memdb_graph_select(snapshot, world->space, seeds, 1, &options, &nodes);
    assert_true(status == MEMDB_LIMIT || status == MEMDB_OK);
    if (!status) { // a seed that rests on nothing
        assert_int_equal(memdb_nodes_count(nodes), 1);
        memdb_nodes_free(nodes);
    }
}

static void test_select_agrees_with_its_definition(void **state) {
    const char *given = getenv("MEMDB_SEED");
    world_t world = {.db = ((fixture_t *)*state)->db,
                     .seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL)};
    print_message("seed=%llu\n", (unsigned long long)world.seed);
    for (int round = 0; round < 40; round++) {
        char name[16];
        memdb_snapshot_t *snapshot;
        snprintf(name, sizeof name, "s%d", round);
        world.space = space_of(world.db, name);
        bool back = round % 4 == 0;
        fill(&world, back);
        must(world.db, memdb_snapshot_begin(world.db, NULL, &snapshot));
        for (int i = 0; i < 10; i++) {
            compare(&world, snapshot, back);
        }
        memdb_snapshot_end(snapshot);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_select_agrees_with_its_definition, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
