// Walks over links: what the files graph_*.c share.
//
// A walk reads nodes' links through the engine's reader, numbers the nodes as it meets them, and
// honours the limits of its options. docs/graph.md tells what each operator promises.
#ifndef MEMDB_QUERY_GRAPH_H
#define MEMDB_QUERY_GRAPH_H

#include "engine/engine.h"
#include "engine/graph.h"
#include "query/query_filter.h"

struct memdb_nodes {
    memdb_node_t *items;
    size_t count;
    memdb_nodes_info_t info;
};

/// What a node has of what began at the seeds.
typedef struct memdb__heat {
    double score;
    double waiting; // and was not handed on so far
    double total;   // of its links' weights; 0: not known
    bool queued;
} memdb__heat_t;

typedef struct memdb__walk {
    memdb_snapshot_t *snapshot;
    memdb_space_t space;
    memdb_graph_options_t options; // with defaults filled in; hops as given
    memdb__graph_t graph;
    memdb__visited_t *visited;
    memdb__visited_t *judged;     // by filter and times: hops is 1 where it passes; NULL: all pass
    memdb__buffer_t ids, weights; // links that pass the filter
    memdb__buffer_t heats;        // memdb__heat_t of each node, where seeds have weights
    uint64_t links, reads;        // links read, and nodes whose links were
    bool cut;                     // a limit was reached
} memdb__walk_t;

/// Check the options, and open. Release with memdb__walk_end, on failure too.
///
/// judges  memories are asked about filter, validity and expiry; else all are walked through.
memdb_status_t memdb__walk_begin(memdb__walk_t *walk, memdb_snapshot_t *snapshot,
                                 memdb_space_t space, const memdb_graph_options_t *options,
                                 bool judges, memdb_error_t *error);
void memdb__walk_end(memdb__walk_t *walk);
/// Meet a start, at hop 0. Its number is given; it passes the filter.
memdb_status_t memdb__walk_start(memdb__walk_t *walk, uint64_t id, size_t *number_out,
                                 memdb_error_t *error);
/// Let a memory pass the filter whatever it is.
memdb_status_t memdb__walk_excuse(memdb__walk_t *walk, uint64_t id, memdb_error_t *error);
/// A node's links, lent until the next call. Where the limit of links is reached they are cut
/// short, and walk->cut is set.
memdb_status_t memdb__walk_links(memdb__walk_t *walk, size_t number,
                                 memdb__graph_links_t *links_out, memdb_error_t *error);
memdb_status_t memdb__walk_no_memory(memdb_error_t *error);
/// Meet a node through a link of node `via`. SIZE_MAX in *number_out: the limit of nodes was
/// reached, and walk->cut is set.
static inline memdb_status_t memdb__walk_meet(memdb__walk_t *walk, size_t via, uint64_t id,
                                              size_t *number_out, bool *new_out,
                                              memdb_error_t *error) {
    memdb__visited_t *visited = walk->visited;
    if (visited->count >= walk->options.node_limit &&
        (*number_out = memdb__visited_find(visited, id)) == SIZE_MAX) {
        walk->cut = true;
        *new_out = false;
        return MEMDB_OK;
    }
    *number_out = memdb__visited_meet(visited, id, new_out);
    if (*number_out == SIZE_MAX) {
        return memdb__walk_no_memory(error);
    }
    if (*new_out) {
        visited->nodes[*number_out].via = (uint32_t)via;
        visited->nodes[*number_out].hops = visited->nodes[via].hops + 1;
    }
    return MEMDB_OK;
}
/// Number `number` as the node that a caller is given.
memdb_node_t memdb__walk_node(const memdb__walk_t *walk, size_t number);
/// An empty result with room for `capacity` nodes.
memdb_status_t memdb__walk_nodes(const memdb__walk_t *walk, size_t capacity,
                                 memdb_nodes_t **nodes_out, memdb_error_t *error);

// ------------------------------------------------------------------------------ graph_rank.c

/// Heats for all nodes that were met; new ones are 0. The pointer holds until the next call. NULL:
/// out of memory.
memdb__heat_t *memdb__walk_heats(memdb__walk_t *walk);
/// All nodes with a score above 0, the greatest first, at most `limit` of them.
memdb_status_t memdb__walk_ranked(memdb__walk_t *walk, size_t limit, memdb_nodes_t **nodes_out,
                                  memdb_error_t *error);
typedef memdb_status_t (*memdb__walk_fn)(memdb__walk_t *walk, memdb_nodes_t **nodes_out,
                                         memdb_error_t *error);
/// What all operators from seeds do: begin, meet the seeds, `run`, end, report.
memdb_status_t memdb__walk_from(memdb_snapshot_t *snapshot, memdb_space_t space,
                                const memdb_seed_t *seeds, size_t count,
                                const memdb_graph_options_t *options, const char *what,
                                memdb__walk_fn run, memdb_nodes_t **nodes_out);
/// Rank what can be reached from the starts, whose scores are their weights: scores become ranks.
memdb_status_t memdb__walk_rank(memdb__walk_t *walk, double *residual_out, memdb_error_t *error);

#endif
