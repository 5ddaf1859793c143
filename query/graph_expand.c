// Neighbourhoods: all that lies within so many links.
#include "query/query_graph.h"

#define ROWS_AHEAD 8 // asked memory for while one is read

/// Meet all that the links of nodes `from`..`end` lead to. `most`: nodes to meet at most.
static memdb_status_t expand_level(memdb__walk_t *walk, size_t from, size_t end, size_t most,
                                   memdb_error_t *error) {
    for (size_t at = from; at < end && at < from + ROWS_AHEAD; at++) {
        memdb__graph_expect(&walk->graph, walk->visited->nodes[at].id);
    }
    for (size_t at = from; at < end && !walk->cut; at++) {
        memdb__graph_links_t links;
        if (at + ROWS_AHEAD < end) {
            memdb__graph_expect(&walk->graph, walk->visited->nodes[at + ROWS_AHEAD].id);
        }
        memdb_status_t status = memdb__walk_links(walk, at, &links, error);
        for (size_t i = 0; !status && i < links.count; i++) {
            size_t number;
            bool is_new;
            status = memdb__walk_meet(walk, at, links.ids[i], &number, &is_new, error);
            if (walk->visited->count == most) {
                return status;
            }
        }
        if (status) {
            return status;
        }
    }
    return MEMDB_OK;
}

static memdb_status_t expand(memdb__walk_t *walk, memdb_nodes_t **nodes_out, memdb_error_t *error) {
    size_t starts = walk->visited->count, from = 0;
    size_t most = walk->options.limit ? starts + walk->options.limit : SIZE_MAX;
    uint32_t hops = walk->options.hops ? walk->options.hops : 1;
    memdb_status_t status = MEMDB_OK;
    for (uint32_t hop = 0; !status && hop < hops && !walk->cut; hop++) {
        size_t end = walk->visited->count;
        if (from == end || end >= most) {
            break;
        }
        status = expand_level(walk, from, end, most, error);
        from = end;
    }
    memdb_nodes_t *nodes = NULL;
    status = status ? status : memdb__walk_nodes(walk, walk->visited->count, &nodes, error);
    if (status) {
        return status;
    }
    for (size_t i = starts; i < walk->visited->count; i++) {
        nodes->items[nodes->count++] = memdb__walk_node(walk, i);
    }
    *nodes_out = nodes;
    return MEMDB_OK;
}

memdb_status_t memdb_graph_expand(memdb_snapshot_t *snapshot, memdb_space_t space,
                                  const uint64_t *starts, size_t start_count,
                                  const memdb_graph_options_t *options, memdb_nodes_t **nodes_out) {
    memdb_error_t error = {0};
    memdb__walk_t walk;
    size_t number;
    if (!snapshot || !nodes_out || (start_count && !starts)) {
        return MEMDB_INVALID;
    }
    memdb_status_t status = memdb__walk_begin(&walk, snapshot, space, options, true, &error);
    if (!status && !start_count) {
        status = memdb__fail(&error, MEMDB_INVALID, "a memory to start from is needed");
    }
    for (size_t i = 0; !status && i < start_count; i++) {
        status = memdb__walk_start(&walk, starts[i], &number, &error);
    }
    status = status ? status : expand(&walk, nodes_out, &error);
    memdb__walk_end(&walk);
    if (status) {
        memdb__error_context(&error, status, "expand");
    }
    return memdb__report(snapshot->db, status, &error);
}
