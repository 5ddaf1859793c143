// The plain loops. See graph_model.h.
#include "tests/unit/query/graph_model.h"

const char *const graph_types[TYPES] = {"", "cites", "knows"};

static bool holds(const ask_t *ask, int64_t from, int64_t to) {
    int64_t moment = ask->valid_at;
    return !moment ||
           ((from == MEMDB_TIME_NONE || from <= moment) && (to == MEMDB_TIME_NONE || moment < to));
}

static bool passes(const ask_t *ask, size_t a) {
    const memory_t *memory = &ask->state->memories[a];
    bool fine = (!ask->filters || memory->wanted) && (!ask->unexpired || !memory->expired) &&
                holds(ask, memory->from, memory->to);
    return memory->live && (fine || a == ask->starts[0] || a == ask->starts[1] || a == ask->also);
}

size_t plain_links(const ask_t *ask, size_t a, plain_link_t links[MOST_LINKS]) {
    size_t count = 0;
    for (size_t b = 0; b < NODES; b++) {
        for (int type = 0; type < TYPES && passes(ask, b); type++) {
            const edge_t *out = &ask->state->edges[a][b][type],
                         *in = &ask->state->edges[b][a][type];
            if (!(ask->types >> type & 1)) {
                continue;
            }
            if (ask->direction != MEMDB_DIRECTION_IN && out->there &&
                holds(ask, out->from, out->to)) {
                links[count++] = (plain_link_t){b, (double)out->weight};
            }
            if (ask->direction != MEMDB_DIRECTION_OUT && in->there &&
                holds(ask, in->from, in->to)) {
                links[count++] = (plain_link_t){b, (double)in->weight};
            }
        }
    }
    return count;
}

void plain_hops(const ask_t *ask, uint32_t hops[NODES]) {
    plain_link_t links[MOST_LINKS];
    memset(hops, 0xFF, NODES * sizeof *hops);
    hops[ask->starts[0]] = hops[ask->starts[1]] = 0;
    for (uint32_t hop = 0; hop < NODES; hop++) {
        for (size_t a = 0; a < NODES; a++) {
            size_t count = hops[a] == hop ? plain_links(ask, a, links) : 0;
            for (size_t i = 0; i < count; i++) {
                uint32_t *far = &hops[links[i].other];
                *far = *far < hop + 1 ? *far : hop + 1;
            }
        }
    }
}

size_t plain_find(const state_t *state, uint64_t id) {
    size_t a = 0;
    while (a < NODES && !(state->memories[a].live && state->memories[a].id == id)) {
        a++;
    }
    assert_true(a < NODES);
    return a;
}
