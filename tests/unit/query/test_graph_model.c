// Goal: walks over links give what plain loops over a list of links give.
// Method: random links of a few types are put, replaced and removed, and memories changed and
// forgotten, with commits, checkpoints, merges, compactions and reopenings in between; a plain
// table is kept beside it, and a copy of it after each commit. After each step every operator is
// asked from random starts, with random types, directions, filters and moments of validity, through
// a snapshot of the present, of an older moment, one that was begun long ago, one of a second
// handle, and inside a transaction that has written; and compared with loops over the table.
#include "engine/engine.h"
#include "engine/graph.h"
#include "tests/unit/query/graph_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define STATES 100

typedef struct world {
    fixture_t *fixture;
    memdb_t *second; // a handle of its own
    memdb_space_t space;
    uint64_t seed;
    state_t now;
    state_t *states;
    size_t count;
    memdb_snapshot_t *held; // NULL: none
    state_t *held_state;
    uint64_t most_tiers;
} world_t;

static uint32_t draw(world_t *world, uint32_t below) {
    world->seed = world->seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(world->seed >> 33) % below;
}

// ------------------------------------------------------------------------------ changes

static int64_t moment(world_t *world) {
    return draw(world, 2) ? MEMDB_TIME_NONE : 1 + draw(world, MOMENTS);
}

/// A text that no two memories share and nothing compresses, so that bases outweigh what is
/// folded later, and several tiers stand.
static void put_memory(world_t *world, memdb_txn_t *txn, size_t a) {
    memory_t *memory = &world->now.memories[a];
    char words[1500];
    for (size_t i = 0; i < sizeof words; i++) {
        words[i] = i % 9 == 8 ? ' ' : (char)('a' + draw(world, 26));
    }
    *memory = (memory_t){.id = memory->live ? memory->id : 0, .live = true};
    memory->wanted = draw(world, 3) > 0;
    memory->expired = draw(world, 5) == 0;
    memory->from = moment(world);
    memory->to = moment(world);
    if (memory->from != MEMDB_TIME_NONE && memory->to != MEMDB_TIME_NONE &&
        memory->to < memory->from) {
        memory->to = memory->from;
    }
    memdb_memory_t put = {.size = sizeof put,
                          .fields = MEMDB_FIELD_TEXT | MEMDB_FIELD_KIND | MEMDB_FIELD_VALID_FROM |
                                    MEMDB_FIELD_VALID_TO | MEMDB_FIELD_EXPIRES,
                          .id = memory->id,
                          .text = {words, draw(world, 4) ? 40 : sizeof words},
                          .kind = text(memory->wanted ? "wanted" : "other"),
                          .valid_from = memory->from,
                          .valid_to = memory->to,
                          .expires = memory->expired ? 1 : MEMDB_TIME_NONE};
    must(world->fixture->db, memdb_put(txn, world->space, &put, &memory->id));
}

static void forget(world_t *world, memdb_txn_t *txn, size_t a) {
    state_t *now = &world->now;
    must(world->fixture->db, memdb_forget(txn, world->space, now->memories[a].id));
    for (size_t i = 0; i < NODES; i++) {
        memset(now->edges[a][i], 0, sizeof now->edges[a][i]);
        memset(now->edges[i][a], 0, sizeof now->edges[i][a]);
    }
    now->memories[a].live = false;
}

static void put_link(world_t *world, memdb_txn_t *txn, size_t a, size_t b, size_t type) {
    edge_t *edge = &world->now.edges[a][b][type];
    *edge = (edge_t){true, (float)draw(world, 8) / 4, MEMDB_TIME_NONE, MEMDB_TIME_NONE};
    if (draw(world, 3) == 0) {
        edge->from = 1 + draw(world, MOMENTS);
        edge->to = edge->from + draw(world, MOMENTS);
    }
    memdb_link_t link = {.size = sizeof link,
                         .space = world->space,
                         .from = world->now.memories[a].id,
                         .to = world->now.memories[b].id,
                         .type = text(graph_types[type]),
                         .weight = (double)edge->weight,
                         .valid_from = edge->from,
                         .valid_to = edge->to};
    must(world->fixture->db, memdb_put_link(txn, &link));
}

static void change_one(world_t *world, memdb_txn_t *txn) {
    state_t *now = &world->now;
    size_t a = draw(world, NODES), b = draw(world, NODES), type = draw(world, TYPES);
    if (!now->memories[a].live || draw(world, 20) == 0) {
        put_memory(world, txn, a);
    } else if (draw(world, 40) == 0) {
        forget(world, txn, a);
    } else if (now->edges[a][b][type].there && draw(world, 2)) {
        must(world->fixture->db, memdb_remove_link(txn, world->space, now->memories[a].id,
                                                   now->memories[b].id, text(graph_types[type])));
        now->edges[a][b][type] = (edge_t){0};
    } else if (now->memories[b].live) {
        put_link(world, txn, a, b, type);
    }
}

// ------------------------------------------------------------------------------ comparing

static bool leads(const ask_t *ask, size_t a, uint64_t id) {
    plain_link_t links[MOST_LINKS];
    for (size_t i = plain_links(ask, a, links); i-- > 0;) {
        if (ask->state->memories[links[i].other].id == id) {
            return true;
        }
    }
    return false;
}

static void compare_expand(world_t *world, memdb_snapshot_t *snapshot, const ask_t *ask,
                           memdb_graph_options_t options) {
    uint32_t hops[NODES], expected = 0;
    const state_t *state = ask->state;
    uint64_t starts[2] = {state->memories[ask->starts[0]].id, state->memories[ask->starts[1]].id};
    memdb_nodes_t *nodes;
    plain_hops(ask, hops);
    options.hops = 1 + draw(world, 4);
    must(world->fixture->db,
         memdb_graph_expand(snapshot, world->space, starts, 2, &options, &nodes));
    for (size_t a = 0; a < NODES; a++) {
        expected += hops[a] > 0 && hops[a] <= options.hops;
    }
    assert_int_equal(memdb_nodes_count(nodes), expected);
    for (uint32_t i = 0, last = 0; i < expected; i++) {
        const memdb_node_t *node = memdb_nodes_at(nodes, i);
        size_t via = plain_find(state, node->via);
        assert_int_equal(node->hops, hops[plain_find(state, node->id)]);
        assert_int_equal(hops[via] + 1, node->hops);
        assert_true(leads(ask, via, node->id) && node->hops >= last);
        last = node->hops;
    }
    memdb_nodes_free(nodes);
    options.limit = 1 + draw(world, 5);
    must(world->fixture->db,
         memdb_graph_expand(snapshot, world->space, starts, 2, &options, &nodes));
    assert_int_equal(memdb_nodes_count(nodes), expected < options.limit ? expected : options.limit);
    memdb_nodes_free(nodes);
}

/// With budgets: nothing that is not there, no more than was allowed, and it says so.
static void compare_budgets(world_t *world, memdb_snapshot_t *snapshot, const ask_t *ask,
                            memdb_graph_options_t options) {
    uint32_t hops[NODES];
    uint64_t start = ask->state->memories[ask->starts[0]].id;
    memdb_nodes_info_t all = {.size = sizeof all}, info = {.size = sizeof info};
    memdb_nodes_t *nodes;
    plain_hops(ask, hops);
    options.hops = 3;
    must(world->fixture->db,
         memdb_graph_expand(snapshot, world->space, &start, 1, &options, &nodes));
    must(world->fixture->db, memdb_nodes_get_info(nodes, &all));
    assert_false(all.cut);
    memdb_nodes_free(nodes);
    options.node_limit = 1 + draw(world, 20);
    options.link_limit = 1 + draw(world, 60);
    must(world->fixture->db,
         memdb_graph_expand(snapshot, world->space, &start, 1, &options, &nodes));
    must(world->fixture->db, memdb_nodes_get_info(nodes, &info));
    assert_true(info.met <= options.node_limit && info.links <= options.link_limit);
    assert_int_equal(info.cut, all.met > options.node_limit || all.links > options.link_limit);
    memdb_nodes_free(nodes);
}

static void compare_path(world_t *world, memdb_snapshot_t *snapshot, ask_t ask,
                         memdb_graph_options_t options) {
    const state_t *state = ask.state;
    uint32_t hops[NODES];
    size_t start = ask.starts[0], end = ask.starts[1]; // both pass the filter
    memdb_nodes_t *nodes = NULL;
    ask.also = end;
    ask.starts[1] = start;
    plain_hops(&ask, hops);
    options.hops = draw(world, 2) ? 0 : 1 + draw(world, 3);
    memdb_status_t status = memdb_graph_path(snapshot, world->space, state->memories[start].id,
                                             state->memories[end].id, &options, &nodes);
    if (hops[end] == UINT32_MAX || (options.hops && hops[end] > options.hops)) {
        assert_int_equal(status, MEMDB_DONE);
        return;
    }
    must(world->fixture->db, status);
    assert_int_equal(memdb_nodes_count(nodes), hops[end] + 1);
    for (size_t i = 0; i <= hops[end]; i++) {
        const memdb_node_t *node = memdb_nodes_at(nodes, i);
        uint64_t before = i ? memdb_nodes_at(nodes, i - 1)->id : 0;
        assert_true(node->hops == i && node->via == before);
        assert_true(!i || leads(&ask, plain_find(state, before), node->id));
    }
    assert_int_equal(memdb_nodes_at(nodes, 0)->id, state->memories[start].id);
    assert_int_equal(memdb_nodes_at(nodes, hops[end])->id, state->memories[end].id);
    memdb_nodes_free(nodes);
}

static void seed(world_t *world, const ask_t *ask, memdb_seed_t seeds[2], double weights[2]) {
    for (int i = 0; i < 2; i++) {
        seeds[i].id = ask->state->memories[ask->starts[i]].id;
        seeds[i].weight = draw(world, 4);
        weights[i] = seeds[i].weight > 0 ? seeds[i].weight : 1;
    }
}

static void compare_rank(world_t *world, memdb_snapshot_t *snapshot, const ask_t *ask,
                         memdb_graph_options_t options) {
    double exact[NODES], weights[NODES], seed_weights[2], lacks = 0, before = INFINITY;
    memdb_seed_t seeds[2];
    memdb_nodes_t *nodes;
    memdb_nodes_info_t info = {.size = sizeof info};
    seed(world, ask, seeds, seed_weights);
    options.tolerance = draw(world, 2) ? 1e-3 : 1e-6;
    options.restart = .1 + .1 * draw(world, 5);
    plain_rank(ask, seed_weights, options.restart, exact, weights);
    must(world->fixture->db, memdb_graph_rank(snapshot, world->space, seeds, 2, &options, &nodes));
    must(world->fixture->db, memdb_nodes_get_info(nodes, &info));
    for (size_t a = 0; a < NODES; a++) {
        lacks += exact[a];
    }
    for (size_t i = 0; i < memdb_nodes_count(nodes); i++) {
        const memdb_node_t *node = memdb_nodes_at(nodes, i);
        size_t a = plain_find(ask->state, node->id);
        assert_true(node->score <= before && node->score <= exact[a] + 1e-9);
        before = node->score;
        lacks -= node->score;
        exact[a] -= node->score;
    }
    assert_true(fabs(lacks - info.residual) < 1e-9);
    for (size_t a = 0; a < NODES; a++) {
        // Starts pass the filter and are walked from, so links go both ways between all that do.
        assert_true(ask->direction != MEMDB_DIRECTION_BOTH ||
                    exact[a] <= options.tolerance * weights[a] + 1e-9);
    }
    memdb_nodes_free(nodes);
}

static void compare_spread(world_t *world, memdb_snapshot_t *snapshot, const ask_t *ask,
                           memdb_graph_options_t options) {
    double scores[NODES], weights[2];
    size_t expected = 0;
    memdb_seed_t seeds[2];
    memdb_nodes_t *nodes;
    seed(world, ask, seeds, weights);
    options.hops = 1 + draw(world, 4);
    options.threshold = draw(world, 2) ? .2 : 1e-9;
    plain_spread(ask, weights, options.hops, .5, options.threshold, scores);
    must(world->fixture->db,
         memdb_graph_spread(snapshot, world->space, seeds, 2, &options, &nodes));
    for (size_t a = 0; a < NODES; a++) {
        expected += scores[a] > 0;
    }
    assert_int_equal(memdb_nodes_count(nodes), expected);
    for (size_t i = 0; i < expected; i++) {
        const memdb_node_t *node = memdb_nodes_at(nodes, i);
        double score = scores[plain_find(ask->state, node->id)];
        assert_true(fabs(node->score - score) < 1e-9 * score);
    }
    memdb_nodes_free(nodes);
}

static void ask_all(world_t *world, memdb_snapshot_t *snapshot, const state_t *state) {
    memdb_filter_t *filter = NULL;
    ask_t ask = {.state = state,
                 .direction = (memdb_direction_t)draw(world, 3),
                 .types = 1 + draw(world, (1u << TYPES) - 1),
                 .filters = draw(world, 3) == 0,
                 .unexpired = draw(world, 3) == 0,
                 .valid_at = draw(world, 2) ? 0 : 1 + draw(world, MOMENTS)};
    ask.starts[0] = draw(world, NODES);
    ask.also = ask.starts[1] = draw(world, NODES);
    if (!state->memories[ask.starts[0]].live || !state->memories[ask.starts[1]].live) {
        return;
    }
    memdb_bytes_t types[TYPES];
    memdb_graph_options_t options = {.size = sizeof options,
                                     .direction = ask.direction,
                                     .types = types,
                                     .valid_at = ask.valid_at,
                                     .unexpired = ask.unexpired};
    for (size_t i = 0; i < TYPES && ask.types != (1u << TYPES) - 1; i++) {
        if (ask.types >> i & 1) {
            types[options.type_count++] = text(graph_types[i]);
        }
    }
    if (ask.filters) {
        must(world->fixture->db,
             memdb_filter_parse(text("kind = 'wanted'"), NULL, 0, &filter, NULL));
    }
    options.filter = filter;
    compare_expand(world, snapshot, &ask, options);
    compare_budgets(world, snapshot, &ask, options);
    compare_path(world, snapshot, ask, options);
    compare_rank(world, snapshot, &ask, options);
    compare_spread(world, snapshot, &ask, options);
    memdb_filter_free(filter);
}

// ------------------------------------------------------------------------------ steps

static void commit_some(world_t *world) {
    memdb_t *db = world->fixture->db;
    memdb_txn_t *txn;
    must(db, memdb_txn_begin(db, &txn));
    for (uint32_t i = 1 + draw(world, 40); i > 0; i--) {
        change_one(world, txn);
    }
    if (draw(world, 3) == 0) {
        ask_all(world, memdb_txn_snapshot(txn), &world->now);
    }
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_DEFAULT, &world->now.end));
    if (world->count == STATES) {
        memmove(world->states, world->states + 1, (STATES - 1) * sizeof *world->states);
        world->count--;
    }
    world->states[world->count++] = world->now;
}

/// Now and then no tier may be packed, and all is read through the map.
static void open_both(world_t *world) {
    atomic_store(&memdb__packed_limit, draw(world, 4) ? (size_t)1 << 30 : 0);
    memdb_options_t options = {.size = sizeof options, .no_background = true};
    fixture_open(world->fixture, (memdb_options_t){.no_background = true});
    must(world->fixture->db, memdb_open(world->fixture->path, &options, &world->second, NULL));
}

static void close_both(world_t *world) {
    memdb_snapshot_end(world->held);
    world->held = NULL;
    memdb_close(world->second);
    fixture_close(world->fixture);
}

/// Bring the files into another shape, or not.
static void reshape(world_t *world) {
    memdb_t *db = world->fixture->db;
    memdb_error_t error = {0};
    if (draw(world, 3) == 0) {
        must(db, memdb_checkpoint(draw(world, 2) ? db : world->second));
    }
    if (draw(world, 12) == 0) {
        assert_int_equal(memdb__merge(db, UINT64_MAX, &error), MEMDB_OK);
    }
    if (draw(world, 50) == 0) {
        must(db, memdb_compact(db, NULL));
    }
    if (draw(world, 15) == 0) {
        close_both(world);
        open_both(world);
    }
}

static void ask_snapshot(world_t *world, memdb_t *db, uint64_t as_of, const state_t *state,
                         int times) {
    memdb_snapshot_options_t options = {.size = sizeof options, .as_of_lsn = as_of};
    memdb_snapshot_t *snapshot;
    must(db, memdb_snapshot_begin(db, as_of ? &options : NULL, &snapshot));
    for (int i = 0; i < times; i++) {
        ask_all(world, snapshot, state);
    }
    memdb_snapshot_end(snapshot);
}

static void step(world_t *world, bool history) {
    memdb_stats_t stats = {.size = sizeof stats};
    commit_some(world);
    reshape(world);
    must(world->fixture->db, memdb_get_stats(world->fixture->db, &stats));
    world->most_tiers = stats.tiers > world->most_tiers ? stats.tiers : world->most_tiers;
    ask_snapshot(world, world->fixture->db, 0, &world->now, 3);
    ask_snapshot(world, world->second, 0, &world->now, 1);
    if (history) { // without it, only the newest moment can be read for sure
        const state_t *older = &world->states[draw(world, (uint32_t)world->count)];
        ask_snapshot(world, world->fixture->db, older->end, older, 1);
    }
    if (world->held) {
        ask_all(world, world->held, world->held_state);
    }
    if (draw(world, 10) == 0) {
        memdb_snapshot_end(world->held);
        must(world->fixture->db, memdb_snapshot_begin(world->fixture->db, NULL, &world->held));
        *world->held_state = world->now;
    }
}

static void run(fixture_t *fixture, uint64_t seed, int steps, bool history) {
    world_t world = {.fixture = fixture, .seed = seed};
    memdb_settings_t settings = {.size = sizeof settings, .history_bytes = UINT64_C(1) << 40};
    print_message("seed=%llu\n", (unsigned long long)seed);
    fixture_close(fixture);
    open_both(&world);
    if (history) {
        must(fixture->db, memdb_configure(fixture->db, &settings));
    }
    world.space = space_of(fixture->db, "main");
    world.states = calloc(STATES, sizeof *world.states);
    world.held_state = calloc(1, sizeof *world.held_state);
    assert_true(world.states && world.held_state);
    for (int i = 0; i < steps; i++) {
        step(&world, history);
    }
    assert_true(world.most_tiers > 1); // else it did not ask what it is to ask
    must(fixture->db, memdb_verify(fixture->db, NULL, NULL));
    close_both(&world);
    fixture_open(fixture, (memdb_options_t){.no_background = true});
    free(world.states);
    free(world.held_state);
}

static uint64_t seed_of(void) {
    const char *given = getenv("MEMDB_SEED");
    return given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
}

static void test_walks_agree_with_plain_loops(void **state) {
    run(*state, seed_of(), 120, false);
}

static void test_walks_of_older_moments_agree_with_plain_loops(void **state) {
    run(*state, seed_of() + 1, 120, true);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_walks_agree_with_plain_loops, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_walks_of_older_moments_agree_with_plain_loops,
                                        fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
