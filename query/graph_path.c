// Shortest paths by number of links, searched from both ends.
//
// Both sides are widened level by level, the smaller frontier first. Every path of at most a + b
// links is known when one side has a levels and the other b; so the first node of the next level
// that the other side knows lies on a shortest one.
#include "query/query_graph.h"

typedef struct search {
    memdb__walk_t sides[2]; // from the one end along the links, from the other against them
    size_t from[2];         // the first node of the frontier
    size_t meeting[2];      // where the sides met; SIZE_MAX: not yet
    uint32_t levels;        // both sides' together
} search_t;

static size_t frontier(const search_t *search, int side) {
    return search->sides[side].visited->count - search->from[side];
}

/// Widen a side by one level, until it meets the other one.
static memdb_status_t widen(search_t *search, int side, memdb_error_t *error) {
    memdb__walk_t *walk = &search->sides[side];
    size_t end = walk->visited->count;
    for (size_t at = search->from[side]; at < end && !walk->cut; at++) {
        memdb__graph_links_t links;
        memdb_status_t status = memdb__walk_links(walk, at, &links, error);
        for (size_t i = 0; !status && i < links.count; i++) {
            size_t number, other;
            bool is_new;
            status = memdb__walk_meet(walk, at, links.ids[i], &number, &is_new, error);
            if (status || !is_new) {
                continue;
            }
            other = memdb__visited_find(search->sides[!side].visited, links.ids[i]);
            if (other != SIZE_MAX) {
                search->meeting[side] = number;
                search->meeting[!side] = other;
                return MEMDB_OK;
            }
        }
        if (status) {
            return status;
        }
    }
    if (walk->cut) {
        return memdb__fail(error, MEMDB_LIMIT, "none was found among %llu nodes and %llu links",
                           (unsigned long long)walk->visited->count,
                           (unsigned long long)walk->links);
    }
    search->from[side] = end;
    search->levels++;
    return MEMDB_OK;
}

static memdb_status_t find_meeting(search_t *search, uint32_t hops, memdb_error_t *error) {
    memdb_status_t status = MEMDB_OK;
    while (!status && search->meeting[0] == SIZE_MAX) {
        if (!frontier(search, 0) || !frontier(search, 1) || search->levels >= hops) {
            return MEMDB_DONE;
        }
        status = widen(search, frontier(search, 1) < frontier(search, 0), error);
    }
    return status;
}

/// The nodes of the one side from the end to the meeting, and of the other from there on.
static memdb_status_t give_path(search_t *search, memdb_nodes_t **nodes_out, memdb_error_t *error) {
    const memdb__visit_t *nodes[2] = {search->sides[0].visited->nodes,
                                      search->sides[1].visited->nodes};
    size_t first = search->meeting[0], second = search->meeting[1];
    uint32_t before = nodes[0][first].hops, links = before + nodes[1][second].hops;
    memdb_nodes_t *path = NULL;
    memdb_status_t status = memdb__walk_nodes(&search->sides[0], (size_t)links + 1, &path, error);
    if (status) {
        return status;
    }
    for (uint32_t hop = before + 1; hop-- > 0; first = nodes[0][first].via) {
        path->items[hop] = (memdb_node_t){.id = nodes[0][first].id, .hops = hop};
    }
    for (uint32_t hop = before + 1; hop <= links; hop++) {
        second = nodes[1][second].via;
        path->items[hop] = (memdb_node_t){.id = nodes[1][second].id, .hops = hop};
    }
    for (uint32_t hop = 1; hop <= links; hop++) {
        path->items[hop].via = path->items[hop - 1].id;
    }
    path->count = (size_t)links + 1;
    path->info.met += search->sides[1].visited->count;
    path->info.links += search->sides[1].links;
    *nodes_out = path;
    return MEMDB_OK;
}

static memdb_status_t find_path(search_t *search, uint64_t from, uint64_t to,
                                const memdb_graph_options_t *options, memdb_nodes_t **nodes_out,
                                memdb_error_t *error) {
    size_t number;
    memdb_status_t status = memdb__walk_start(&search->sides[0], from, &number, error);
    status = status ? status : memdb__walk_start(&search->sides[1], to, &number, error);
    status = status ? status : memdb__walk_excuse(&search->sides[0], to, error);
    status = status ? status : memdb__walk_excuse(&search->sides[1], from, error);
    if (!status && from == to) {
        search->meeting[0] = search->meeting[1] = 0;
    }
    uint32_t hops = options && options->hops ? options->hops : UINT32_MAX;
    status = status ? status : find_meeting(search, hops, error);
    return status ? status : give_path(search, nodes_out, error);
}

memdb_status_t memdb_graph_path(memdb_snapshot_t *snapshot, memdb_space_t space, uint64_t from,
                                uint64_t to, const memdb_graph_options_t *options,
                                memdb_nodes_t **nodes_out) {
    memdb_error_t error = {0};
    search_t search = {.meeting = {SIZE_MAX, SIZE_MAX}};
    if (!snapshot || !nodes_out) {
        return MEMDB_INVALID;
    }
    memdb_status_t status =
        memdb__walk_begin(&search.sides[0], snapshot, space, options, true, &error);
    if (!status) {
        memdb_graph_options_t back = search.sides[0].options;
        back.direction = back.direction == MEMDB_DIRECTION_OUT  ? MEMDB_DIRECTION_IN
                         : back.direction == MEMDB_DIRECTION_IN ? MEMDB_DIRECTION_OUT
                                                                : MEMDB_DIRECTION_BOTH;
        status = memdb__walk_begin(&search.sides[1], snapshot, space, &back, true, &error);
        status = status ? status : find_path(&search, from, to, options, nodes_out, &error);
        memdb__walk_end(&search.sides[1]);
    }
    memdb__walk_end(&search.sides[0]);
    if (status == MEMDB_DONE) {
        return status;
    }
    if (status) {
        memdb__error_context(&error, status, "path");
    }
    return memdb__report(snapshot->db, status, &error);
}
