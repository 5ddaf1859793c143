// The significance of memories that were built on one another, and what of them fits into a budget
// of tokens.
//
// (The idea of a graph-modulated memory, after VimRAG 2026: what counts is how well a memory
// answers, how much was built on it, and how old it is; and what was built on it hands a part of
// its worth back.) Links lead from what was built to what it was built on. So all that hands
// something to a memory stands before it in a topological order (Kahn 1962), and one pass in that
// order is enough. A cycle would have none, and is an error.
#include "query/query_graph.h"
#include "query/query_recall.h"

#include <math.h>
#include <stdlib.h>

/// What the pass knows of each node.
typedef struct place {
    uint32_t waiting; // links in, from nodes that are not done
    uint32_t tokens;
    uint32_t next; // the order: the number of the node that is done at this place
} place_t;

typedef struct dag {
    memdb__walk_t *walk;
    memdb__heat_t *heats;
    place_t *places;
    size_t ordered;
} dag_t;

/// Meet all that the seeds rest on.
static memdb_status_t meet_all(memdb__walk_t *walk, memdb_error_t *error) {
    uint32_t hops = walk->options.hops ? walk->options.hops : UINT32_MAX;
    memdb_status_t status = MEMDB_OK;
    for (size_t at = 0; !status && !walk->cut && at < walk->visited->count; at++) {
        memdb__graph_links_t links;
        if (walk->visited->nodes[at].hops >= hops) {
            break; // they are in order of hops
        }
        status = memdb__walk_links(walk, at, &links, error);
        for (size_t i = 0; !status && i < links.count; i++) {
            size_t number;
            bool is_new;
            status = memdb__walk_meet(walk, at, links.ids[i], &number, &is_new, error);
        }
    }
    if (!status && walk->cut) {
        status = memdb__fail(error, MEMDB_LIMIT, "more than %llu nodes or %llu links",
                             (unsigned long long)walk->options.node_limit,
                             (unsigned long long)walk->options.link_limit);
    }
    return status;
}

/// The links of a node once more: they were counted when it was met.
static memdb_status_t read_again(memdb__walk_t *walk, size_t number, memdb__graph_links_t *links,
                                 memdb_error_t *error) {
    uint64_t counted = walk->links;
    walk->links = 0;
    memdb_status_t status = memdb__walk_links(walk, number, links, error);
    walk->links = counted;
    return status;
}

static memdb_status_t count_links(dag_t *dag, memdb_error_t *error) {
    memdb__walk_t *walk = dag->walk;
    memdb_status_t status = MEMDB_OK;
    for (size_t at = 0; !status && at < walk->visited->count; at++) {
        memdb__graph_links_t links;
        status = read_again(walk, at, &links, error);
        for (size_t i = 0; !status && i < links.count; i++) {
            size_t other = memdb__visited_find(walk->visited, links.ids[i]);
            if (other != SIZE_MAX) {
                dag->places[other].waiting++;
            }
        }
    }
    return status;
}

/// What each memory is worth by itself, and costs.
static memdb_status_t weigh(dag_t *dag, memdb_error_t *error) {
    memdb__walk_t *walk = dag->walk;
    double half_life = (double)walk->options.half_life;
    for (size_t at = 0; at < walk->visited->count; at++) {
        memdb__record_t record;
        uint64_t version;
        memdb_status_t status = memdb__read_record(
            &walk->snapshot->sight, walk->visited->nodes[at].id, &record, &version, error);
        if (status) {
            return status;
        }
        bool timed = half_life > 0 && record.time != MEMDB_TIME_NONE;
        double age = timed ? fmax((double)walk->snapshot->time - (double)record.time, 0) : 0;
        dag->heats[at].score *=
            (1 + log2(1 + (double)dag->places[at].waiting)) * (timed ? exp2(-age / half_life) : 1);
        dag->places[at].tokens = memdb__record_tokens(&record);
    }
    return MEMDB_OK;
}

/// A node is done: what it is worth is known. Hand its part on, and see who is next.
static memdb_status_t finish(dag_t *dag, size_t number, memdb_error_t *error) {
    memdb__walk_t *walk = dag->walk;
    memdb__graph_links_t links;
    double total = 0;
    memdb_status_t status = read_again(walk, number, &links, error);
    for (size_t i = 0; !status && i < links.count; i++) {
        bool met = memdb__visited_find(walk->visited, links.ids[i]) != SIZE_MAX;
        total += met && links.weights[i] > 0 ? (double)links.weights[i] : 0;
    }
    double part = total > 0 ? walk->options.decay * dag->heats[number].score / total : 0;
    for (size_t i = 0; !status && i < links.count; i++) {
        size_t other = memdb__visited_find(walk->visited, links.ids[i]);
        if (other == SIZE_MAX) {
            continue; // beyond the hops
        }
        dag->heats[other].score += links.weights[i] > 0 ? part * (double)links.weights[i] : 0;
        if (--dag->places[other].waiting == 0) {
            dag->places[dag->ordered++].next = (uint32_t)other;
        }
    }
    return status;
}

static memdb_status_t pass(dag_t *dag, memdb_error_t *error) {
    const memdb__visited_t *visited = dag->walk->visited;
    memdb_status_t status = MEMDB_OK;
    for (size_t i = 0; i < visited->count; i++) {
        if (dag->places[i].waiting == 0) {
            dag->places[dag->ordered++].next = (uint32_t)i;
        }
    }
    for (size_t i = 0; !status && i < dag->ordered; i++) {
        status = finish(dag, dag->places[i].next, error);
    }
    if (status || dag->ordered == visited->count) {
        return status;
    }
    size_t on = 0; // what still waits is on a cycle, or behind one
    while (dag->places[on].waiting == 0) {
        on++;
    }
    return memdb__fail(error, MEMDB_INVALID,
                       "the links make a cycle: memory %llu is on one, or one leads to it",
                       (unsigned long long)visited->nodes[on].id);
}

/// Keep the most significant ones that fit, one after the other.
static void keep_fitting(const dag_t *dag, memdb_nodes_t *nodes) {
    const memdb_graph_options_t *options = &dag->walk->options;
    uint64_t left = options->token_budget ? options->token_budget : UINT64_MAX;
    size_t kept = 0;
    for (size_t i = 0; i < nodes->count && (!options->limit || kept < options->limit); i++) {
        memdb_node_t node = nodes->items[i];
        node.tokens = dag->places[memdb__visited_find(dag->walk->visited, node.id)].tokens;
        if (node.tokens <= left) {
            left -= node.tokens;
            nodes->items[kept++] = node;
        }
    }
    nodes->count = kept;
}

static memdb_status_t choose(memdb__walk_t *walk, memdb_nodes_t **nodes_out, memdb_error_t *error) {
    dag_t dag = {.walk = walk};
    memdb_nodes_t *nodes = NULL;
    memdb_status_t status = meet_all(walk, error);
    if (status) {
        return status;
    }
    dag.heats = memdb__walk_heats(walk);
    dag.places = memdb__allocate_zeroed(walk->visited->count, sizeof *dag.places);
    status = dag.heats && dag.places ? MEMDB_OK : memdb__walk_no_memory(error);
    status = status ? status : count_links(&dag, error);
    status = status ? status : weigh(&dag, error);
    status = status ? status : pass(&dag, error);
    status = status ? status : memdb__walk_ranked(walk, SIZE_MAX, &nodes, error);
    if (!status) {
        keep_fitting(&dag, nodes);
        *nodes_out = nodes;
    }
    memdb__free(dag.places);
    return status;
}

memdb_status_t memdb_graph_select(memdb_snapshot_t *snapshot, memdb_space_t space,
                                  const memdb_seed_t *seeds, size_t seed_count,
                                  const memdb_graph_options_t *options, memdb_nodes_t **nodes_out) {
    return memdb__walk_from(snapshot, space, seeds, seed_count, options, "select", choose,
                            nodes_out);
}
