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

/// One step of all walkers: those that end are added to `ranks`. Returns how many go on.
static double step(const ask_t *ask, double restart, const double walkers[NODES],
                   double next[NODES], double ranks[NODES], double weights[NODES]) {
    plain_link_t links[MOST_LINKS];
    double left = 0;
    memset(next, 0, NODES * sizeof *next);
    for (size_t a = 0; a < NODES; a++) {
        size_t count = plain_links(ask, a, links);
        weights[a] = 0;
        for (size_t i = 0; i < count; i++) {
            weights[a] += links[i].weight;
        }
        double ends = weights[a] > 0 ? restart : 1;
        ranks[a] += ends * walkers[a];
        for (size_t i = 0; i < count && ends < 1; i++) {
            double part = (1 - ends) * walkers[a] * links[i].weight / weights[a];
            next[links[i].other] += part;
            left += part;
        }
    }
    return left;
}

void plain_rank(const ask_t *ask, const double seeds[2], double restart, double ranks[NODES],
                double weights[NODES]) {
    double walkers[NODES] = {0}, next[NODES], left = 1;
    memset(ranks, 0, NODES * sizeof *ranks);
    walkers[ask->starts[0]] += seeds[0] / (seeds[0] + seeds[1]);
    walkers[ask->starts[1]] += seeds[1] / (seeds[0] + seeds[1]);
    while (left > 1e-13) {
        left = step(ask, restart, walkers, next, ranks, weights);
        memcpy(walkers, next, sizeof next);
    }
}

void plain_spread(const ask_t *ask, const double seeds[2], uint32_t hops, double decay,
                  double threshold, double scores[NODES]) {
    plain_link_t links[MOST_LINKS];
    uint32_t reached[NODES];
    memset(reached, 0xFF, sizeof reached);
    memset(scores, 0, NODES * sizeof *scores);
    for (int i = 0; i < 2; i++) {
        reached[ask->starts[i]] = 0;
        scores[ask->starts[i]] += seeds[i];
    }
    for (uint32_t hop = 0; hop < hops; hop++) {
        double held[NODES];
        memcpy(held, scores, sizeof held);
        for (size_t a = 0; a < NODES; a++) {
            bool fires = reached[a] == hop && held[a] >= threshold;
            size_t count = fires ? plain_links(ask, a, links) : 0;
            for (size_t i = 0; i < count; i++) {
                size_t other = links[i].other;
                double weight = links[i].weight < 1 ? links[i].weight : 1;
                if (weight > 0) {
                    scores[other] += decay * weight * held[a];
                    reached[other] = reached[other] < hop + 1 ? reached[other] : hop + 1;
                }
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
