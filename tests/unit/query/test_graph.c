// Walks over links: what is refused, what a limit does, and that no failed allocation is lost.
#include "base/memory.h"
#include "tests/lib/database.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define NODES 300

static uint64_t ids[NODES];

/// A ring with chords, in two tiers and a run; some of it is removed and forgotten again.
static memdb_space_t fill(memdb_t *db) {
    memdb_space_t space = space_of(db, "main");
    for (int part = 0; part < 3; part++) {
        memdb_txn_t *txn;
        must(db, memdb_txn_begin(db, &txn));
        for (int i = 0; !part && i < NODES; i++) {
            memdb_memory_t put = {
                .size = sizeof put, .fields = MEMDB_FIELD_TEXT, .text = text("a node of the ring")};
            must(db, memdb_put(txn, space, &put, &ids[i]));
        }
        for (int i = 0; i < NODES >> (3 * part); i++) {
            char type[16];
            snprintf(type, sizeof type, "t%d", i % 70); // more types than a table has at first
            memdb_link_t link = {.size = sizeof link,
                                 .space = space,
                                 .from = ids[i],
                                 .to = ids[(i + 1 + 5 * part) % NODES],
                                 .type = text(type),
                                 .weight = 1};
            must(db, memdb_put_link(txn, &link));
        }
        if (part == 1) {
            must(db, memdb_forget(txn, space, ids[NODES / 2]));
            must(db, memdb_remove_link(txn, space, ids[3], ids[4], text("t3")));
        }
        must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_NONE, NULL));
        if (part < 2) {
            must(db, memdb_checkpoint(db));
        }
    }
    return space;
}

static memdb_status_t walk(memdb_t *db, memdb_space_t space, size_t *count_out) {
    memdb_filter_t *filter;
    memdb_snapshot_t *snapshot;
    memdb_nodes_t *nodes = NULL, *path = NULL, *ranks = NULL, *spread = NULL, *chosen = NULL;
    memdb_status_t status = memdb_filter_parse(text("kind is null"), NULL, 0, &filter, NULL);
    if (status) {
        return status;
    }
    status = memdb_snapshot_begin(db, NULL, &snapshot);
    if (status) {
        memdb_filter_free(filter);
        return status;
    }
    memdb_graph_options_t options = {
        .size = sizeof options, .direction = MEMDB_DIRECTION_BOTH, .filter = filter, .hops = 100};
    status = memdb_graph_expand(snapshot, space, ids, 2, &options, &nodes);
    if (!status) {
        status = memdb_graph_path(snapshot, space, ids[0], ids[100], &options, &path);
    }
    const memdb_seed_t seeds[] = {{ids[0], 1}, {ids[9], 0}};
    if (!status) {
        options.tolerance = 1e-5;
        status = memdb_graph_rank(snapshot, space, seeds, 2, &options, &ranks);
    }
    if (!status) {
        status = memdb_graph_spread(snapshot, space, seeds, 2, &options, &spread);
    }
    if (!status) {
        options.direction = MEMDB_DIRECTION_OUT;
        options.hops = 20; // a part of the ring is no cycle
        status = memdb_graph_select(snapshot, space, seeds, 1, &options, &chosen);
    }
    *count_out = memdb_nodes_count(nodes) + memdb_nodes_count(path) + memdb_nodes_count(ranks) +
                 memdb_nodes_count(spread) + memdb_nodes_count(chosen);
    memdb_nodes_free(chosen);
    memdb_nodes_free(ranks);
    memdb_nodes_free(spread);
    memdb_nodes_free(nodes);
    memdb_nodes_free(path);
    memdb_snapshot_end(snapshot);
    memdb_filter_free(filter);
    return status;
}

static void test_each_failed_allocation_is_an_error(void **state) {
    fixture_t *fixture = *state;
    fixture_close(fixture);
    fixture_open(fixture, (memdb_options_t){.no_background = true});
    memdb_t *db = fixture->db;
    memdb_space_t space = fill(db);
    size_t expected, count, failures = 0;
    must(db, walk(db, space, &expected));
    fixture_close(fixture); // what was packed is gone
    fixture_open(fixture, (memdb_options_t){.no_background = true});
    db = fixture->db;
    for (memdb_status_t status = MEMDB_NOMEM; status; failures++) {
        memdb__memory_fail_after(failures);
        memdb_snapshot_t *snapshot;
        memdb_nodes_t *nodes;
        memdb_graph_options_t options = {
            .size = sizeof options, .direction = MEMDB_DIRECTION_BOTH, .hops = 100};
        status = memdb_snapshot_begin(db, NULL, &snapshot);
        if (!status) {
            status = memdb_graph_expand(snapshot, space, ids, 1, &options, &nodes);
            if (!status) {
                memdb_nodes_free(nodes);
            }
            memdb_snapshot_end(snapshot);
        }
        memdb__memory_fail_after(UINT64_MAX);
        assert_true(!status || status == MEMDB_NOMEM);
    }
    assert_true(failures > 20);
    failures = 0;
    must(db, walk(db, space, &count)); // its tables wait for the next walk
    uint64_t live = memdb__memory_live();
    for (memdb_status_t status = MEMDB_NOMEM; status; failures++) {
        memdb__memory_fail_after(failures);
        status = walk(db, space, &count);
        memdb__memory_fail_after(UINT64_MAX);
        assert_true(!status || status == MEMDB_NOMEM);
        assert_int_equal(memdb__memory_live(), live);
    }
    assert_int_equal(count, expected);
}

static void test_what_is_wrong_is_named(void **state) {
    fixture_t *fixture = *state;
    memdb_t *db = fixture->db;
    memdb_space_t space = fill(db);
    memdb_snapshot_t *snapshot;
    memdb_nodes_t *nodes = NULL;
    char message[256];
    memdb_bytes_t bad = text("\xff");
    const struct {
        memdb_graph_options_t options;
        uint64_t start;
        memdb_space_t space;
        memdb_status_t status;
        const char *word;
    } cases[] = {
        {{.size = 4}, ids[0], space, MEMDB_INVALID, "size"},
        {{.size = sizeof(memdb_graph_options_t), .direction = 7},
         ids[0],
         space,
         MEMDB_INVALID,
         "direction"},
        {{.size = sizeof(memdb_graph_options_t), .type_count = 1},
         ids[0],
         space,
         MEMDB_INVALID,
         "types"},
        {{.size = sizeof(memdb_graph_options_t), .types = &bad, .type_count = 1},
         ids[0],
         space,
         MEMDB_INVALID,
         "types"},
        {{.size = sizeof(memdb_graph_options_t), .restart = 1},
         ids[0],
         space,
         MEMDB_INVALID,
         "restart"},
        {{.size = sizeof(memdb_graph_options_t), .decay = -1},
         ids[0],
         space,
         MEMDB_INVALID,
         "decay"},
        {{.size = sizeof(memdb_graph_options_t), .tolerance = NAN},
         ids[0],
         space,
         MEMDB_INVALID,
         "tolerance"},
        {{.size = sizeof(memdb_graph_options_t)}, 99999, space, MEMDB_NOT_FOUND, "99999"},
        {{.size = sizeof(memdb_graph_options_t)}, ids[NODES / 2], space, MEMDB_NOT_FOUND, "memory"},
        {{.size = sizeof(memdb_graph_options_t)}, ids[0], 77, MEMDB_NOT_FOUND, "space 77"},
    };
    must(db, memdb_snapshot_begin(db, NULL, &snapshot));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(memdb_graph_expand(snapshot, cases[i].space, &cases[i].start, 1,
                                            &cases[i].options, &nodes),
                         cases[i].status);
        memdb_last_error(db, message, sizeof message);
        assert_non_null(strstr(message, cases[i].word));
        assert_int_equal(memdb_graph_path(snapshot, cases[i].space, cases[i].start, ids[1],
                                          &cases[i].options, &nodes),
                         cases[i].status);
    }
    assert_int_equal(memdb_graph_expand(snapshot, space, NULL, 0, NULL, &nodes), MEMDB_INVALID);
    assert_int_equal(
        memdb_graph_rank(snapshot, space, &(memdb_seed_t){ids[0], -1}, 1, NULL, &nodes),
        MEMDB_INVALID);
    assert_int_equal(memdb_graph_spread(snapshot, space, NULL, 0, NULL, &nodes), MEMDB_INVALID);
    assert_null(nodes);
    memdb_snapshot_end(snapshot);
}

static void test_a_limit_ends_a_path_with_an_error(void **state) {
    fixture_t *fixture = *state;
    memdb_t *db = fixture->db;
    memdb_space_t space = fill(db);
    memdb_snapshot_t *snapshot;
    memdb_nodes_t *nodes = NULL;
    memdb_graph_options_t options = {
        .size = sizeof options, .direction = MEMDB_DIRECTION_BOTH, .node_limit = 10};
    must(db, memdb_snapshot_begin(db, NULL, &snapshot));
    assert_int_equal(memdb_graph_path(snapshot, space, ids[0], ids[100], &options, &nodes),
                     MEMDB_LIMIT);
    options.node_limit = 0;
    must(db, memdb_graph_path(snapshot, space, ids[0], ids[100], &options, &nodes));
    assert_int_equal(memdb_nodes_at(nodes, 0)->id, ids[0]);
    assert_null(memdb_nodes_at(nodes, memdb_nodes_count(nodes)));
    memdb_nodes_free(nodes);
    must(db, memdb_graph_path(snapshot, space, ids[7], ids[7], &options, &nodes));
    assert_int_equal(memdb_nodes_count(nodes), 1);
    memdb_nodes_free(nodes);
    memdb_snapshot_end(snapshot);
}

// ------------------------------------------------------------------------------ beside writers

#define WALKERS 3
#define ROUNDS 60

typedef struct walker {
    pthread_t thread;
    memdb_t *db;
    memdb_space_t space;
    _Atomic bool *ended;
    size_t walks;
    bool fine;
} walker_t;

/// The first 100 links of the ring are never removed, whatever comes and goes beside them.
static void *walk_on(void *context) {
    walker_t *walker = context;
    walker->fine = true;
    for (; walker->fine && !atomic_load(walker->ended); walker->walks++) {
        memdb_snapshot_t *snapshot;
        memdb_nodes_t *nodes = NULL;
        memdb_graph_options_t options = {.size = sizeof options, .hops = 100};
        walker->fine = memdb_snapshot_begin(walker->db, NULL, &snapshot) == MEMDB_OK;
        if (walker->fine) {
            walker->fine =
                memdb_graph_expand(snapshot, walker->space, ids, 1, &options, &nodes) == MEMDB_OK &&
                memdb_nodes_count(nodes) >= 100;
            memdb_nodes_free(nodes);
            memdb_snapshot_end(snapshot);
        }
    }
    return NULL;
}

static void change(memdb_t *db, memdb_space_t space, int round) {
    memdb_txn_t *txn;
    must(db, memdb_txn_begin(db, &txn));
    for (int i = 0; i < 20; i++) {
        memdb_link_t link = {.size = sizeof link,
                             .space = space,
                             .from = ids[(round * 7 + i * 11) % NODES],
                             .to = ids[(round * 13 + i) % NODES],
                             .type = text("more"),
                             .weight = 1};
        must(db, memdb_put_link(txn, &link));
        if (i % 3 == 0) {
            must(db, memdb_remove_link(txn, space, link.from, link.to, link.type));
        }
    }
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_NONE, NULL));
    if (round % 3 == 0) {
        must(db, memdb_checkpoint(db));
    }
}

static void test_walks_go_on_beside_writers_and_checkpoints(void **state) {
    memdb_t *db = ((fixture_t *)*state)->db;
    walker_t walkers[WALKERS] = {0};
    _Atomic bool ended = false;
    memdb_space_t space = space_of(db, "main");
    memdb_txn_t *txn;
    must(db, memdb_txn_begin(db, &txn));
    for (int i = 0; i < NODES; i++) {
        memdb_memory_t put = {.size = sizeof put, .fields = MEMDB_FIELD_TEXT, .text = text("x")};
        must(db, memdb_put(txn, space, &put, &ids[i]));
    }
    for (int i = 0; i < NODES - 1; i++) {
        memdb_link_t link = {
            .size = sizeof link, .space = space, .from = ids[i], .to = ids[i + 1], .weight = 1};
        must(db, memdb_put_link(txn, &link));
    }
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_NONE, NULL));
    for (int i = 0; i < WALKERS; i++) {
        walkers[i] = (walker_t){.db = db, .space = space, .ended = &ended};
        assert_int_equal(pthread_create(&walkers[i].thread, NULL, walk_on, &walkers[i]), 0);
    }
    for (int round = 0; round < ROUNDS; round++) {
        change(db, space, round);
    }
    atomic_store(&ended, true);
    for (int i = 0; i < WALKERS; i++) {
        pthread_join(walkers[i].thread, NULL);
        assert_true(walkers[i].fine && walkers[i].walks > 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_each_failed_allocation_is_an_error, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_what_is_wrong_is_named, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_a_limit_ends_a_path_with_an_error, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_walks_go_on_beside_writers_and_checkpoints,
                                        fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
