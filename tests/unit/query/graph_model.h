// A graph as a plain table, and the operators of include/memdb_graph.h as loops over it: the oracle
// of test_graph_model.c.
#ifndef MEMDB_TESTS_UNIT_QUERY_GRAPH_MODEL_H
#define MEMDB_TESTS_UNIT_QUERY_GRAPH_MODEL_H

#include "tests/lib/database.h"

#include <string.h>

#define NODES 40
#define TYPES 3
#define MOMENTS 6 // validities begin and end at 1 to so many
#define MOST_LINKS (2 * TYPES * NODES)

typedef struct memory {
    uint64_t id;
    bool live, wanted, expired;
    int64_t from, to;
} memory_t;

typedef struct edge {
    bool there;
    float weight;
    int64_t from, to;
} edge_t;

typedef struct state {
    uint64_t end; // after its commit
    memory_t memories[NODES];
    edge_t edges[NODES][NODES][TYPES];
} state_t;

typedef struct ask {
    const state_t *state;
    memdb_direction_t direction;
    uint32_t types; // a bit for each
    bool filters, unexpired;
    int64_t valid_at; // 0: whenever
    size_t starts[2]; // perhaps the same
    size_t also;      // one more that passes whatever it is
} ask_t;

typedef struct plain_link {
    size_t other;
    double weight;
} plain_link_t;

extern const char *const graph_types[TYPES];

/// The links that a walk follows from memory `a`. Returns how many.
size_t plain_links(const ask_t *ask, size_t a, plain_link_t links[MOST_LINKS]);
/// How far each memory is from the nearest start; UINT32_MAX: it is not reached.
void plain_hops(const ask_t *ask, uint32_t hops[NODES]);
/// Exact personalised PageRank of two seeds, by iteration. `weights`: of each node's links.
void plain_rank(const ask_t *ask, const double seeds[2], double restart, double ranks[NODES],
                double weights[NODES]);
void plain_spread(const ask_t *ask, const double seeds[2], uint32_t hops, double decay,
                  double threshold, double scores[NODES]);
size_t plain_find(const state_t *state, uint64_t id);

#endif
