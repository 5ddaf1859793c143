// neighbours, path, rank: what walks over links give.
#include "cli/cli_request.h"

#include <stdlib.h>

memdb_status_t cli_walk_begin(cli_session_t *session, const cli_json_t *request,
                              memdb_direction_t otherwise, cli_walk_t *walk, memdb_error_t *error) {
    *walk = (cli_walk_t){.links = {.session = session,
                                   .direction = cli_get_direction(request, otherwise),
                                   .type = cli_get_bytes(request, "type")}};
    walk->options = (memdb_graph_options_t){.size = sizeof walk->options,
                                            .direction = walk->links.direction,
                                            .types = &walk->links.type,
                                            .type_count = walk->links.type.size != 0,
                                            .valid_at = cli_get_moment(request, "valid_at"),
                                            .unexpired = true};
    memdb_status_t status = cli_get_filter(request, &walk->filter, error);
    walk->options.filter = walk->filter;
    if (status == MEMDB_OK)
        status = cli_read_begin_at(session, request, &walk->links.snapshot, error);
    return status != MEMDB_OK ? status
                              : cli_space_find(session, walk->links.snapshot,
                                               cli_space_name(request), &walk->links.space, error);
}

void cli_walk_end(cli_walk_t *walk) {
    if (walk->links.snapshot)
        cli_read_end(walk->links.session, walk->links.snapshot);
    memdb_nodes_free(walk->nodes);
    memdb_filter_free(walk->filter);
}

memdb_status_t cli_walk_expand(cli_walk_t *walk, const cli_json_t *request, uint64_t *start_out,
                               memdb_error_t *error) {
    const cli_json_t *reference;
    memdb_memory_t memory;
    memdb_status_t status = cli_reference(request, &reference, error);
    if (status == MEMDB_OK)
        status =
            cli_find_memory(walk->links.session, walk->links.snapshot, walk->links.space,
                            cli_json_get(request, "id") ? "id" : "key", reference, &memory, error);
    if (status != MEMDB_OK)
        return status;
    *start_out = memory.id;
    return cli_engine(walk->links.session,
                      memdb_graph_expand(walk->links.snapshot, walk->links.space, &memory.id, 1,
                                         &walk->options, &walk->nodes),
                      error, "links");
}

bool cli_walk_follows(const cli_walk_t *walk, const memdb_link_t *link) {
    return !walk->options.valid_at ||
           memdb_is_valid(link->valid_from, link->valid_to, walk->options.valid_at);
}

// ------------------------------------------------------------------------------ nodes as JSON

// A node's place in the answer, found by its id.
typedef struct place {
    uint64_t id, via;
    cli_json_t *links; // of `via`, as JSON
} place_t;

typedef struct places {
    const cli_walk_t *walk;
    uint64_t via; // whose links are read
    place_t *items;
    size_t count;
} places_t;

static int compare_places(const void *a, const void *b) {
    const place_t *left = a, *right = b;
    return (left->id > right->id) - (left->id < right->id);
}

// Those of the links between a node and the one that led to it first.
static memdb_status_t add_link(void *context, const memdb_link_t *link, memdb_error_t *error) {
    places_t *places = context;
    place_t other = {.id = link->from == places->via ? link->to : link->from};
    const place_t *place =
        bsearch(&other, places->items, places->count, sizeof other, compare_places);
    (void)error;
    if (place && place->via == places->via && cli_walk_follows(places->walk, link))
        cli_json_append(place->links, cli_link_json(link));
    return MEMDB_OK;
}

// {id, key} of a node.
static memdb_status_t node_json(const cli_walk_t *walk, const memdb_node_t *node,
                                cli_json_t **json_out, memdb_error_t *error) {
    memdb_memory_t memory = {.size = sizeof memory};
    memdb_status_t status = memdb_get(walk->links.snapshot, walk->links.space, node->id, &memory);
    if (status != MEMDB_OK)
        return cli_engine(walk->links.session, status, error, "memory %llu",
                          (unsigned long long)node->id);
    bool has_key = memory.fields & MEMDB_FIELD_KEY && memory.key.size;
    *json_out = cli_json_new_object();
    cli_set_unsigned(*json_out, "id", node->id);
    cli_json_set(*json_out, "key", has_key ? cli_bytes_json(memory.key) : cli_json_new_null());
    return MEMDB_OK;
}

static memdb_status_t add_node(const cli_walk_t *walk, const memdb_node_t *node, place_t *place,
                               cli_json_t *nodes, memdb_error_t *error) {
    cli_json_t *json;
    memdb_status_t status = node_json(walk, node, &json, error);
    if (status != MEMDB_OK)
        return status;
    *place = (place_t){node->id, node->via, cli_json_new_array()};
    cli_set_unsigned(json, "hops", node->hops);
    cli_json_set(json, "via", place->links);
    cli_json_append(nodes, json);
    return MEMDB_OK;
}

// Nodes that one memory led to stand together, so each one's links are read once.
static memdb_status_t answer_nodes(cli_walk_t *walk, cli_json_t *answer, memdb_error_t *error) {
    size_t count = memdb_nodes_count(walk->nodes);
    places_t places = {
        .walk = walk, .items = cli_allocate((count + 1) * sizeof(place_t)), .count = count};
    cli_json_t *nodes = cli_json_new_array();
    memdb_status_t status = MEMDB_OK;
    cli_json_set(answer, "nodes", nodes);
    for (size_t i = 0; status == MEMDB_OK && i < count; i++)
        status = add_node(walk, memdb_nodes_at(walk->nodes, i), &places.items[i], nodes, error);
    if (status == MEMDB_OK)
        qsort(places.items, count, sizeof *places.items, compare_places);
    for (size_t i = 0; status == MEMDB_OK && i < count; i++) {
        uint64_t via = memdb_nodes_at(walk->nodes, i)->via;
        if (!via || via == places.via)
            continue;
        places.via = via;
        status = cli_each_link(&walk->links, via, add_link, &places, error);
    }
    free(places.items);
    return status;
}

memdb_status_t cli_run_neighbours(cli_session_t *session, const cli_json_t *request,
                                  cli_json_t *answer, memdb_error_t *error) {
    cli_walk_t walk;
    uint64_t start;
    memdb_status_t status = cli_walk_begin(session, request, MEMDB_DIRECTION_OUT, &walk, error);
    walk.links.what = "neighbours";
    walk.options.hops = (uint32_t)cli_get_integer(request, "hops", 1);
    walk.options.limit = (uint32_t)cli_get_integer(request, "limit", 100);
    if (status == MEMDB_OK)
        status = cli_walk_expand(&walk, request, &start, error);
    if (status == MEMDB_OK)
        status = answer_nodes(&walk, answer, error);
    cli_walk_end(&walk);
    return status;
}

memdb_status_t cli_run_path(cli_session_t *session, const cli_json_t *request, cli_json_t *answer,
                            memdb_error_t *error) {
    static const char *const names[] = {"from", "to"};
    cli_walk_t walk;
    uint64_t ends[2] = {0};
    memdb_status_t status = cli_walk_begin(session, request, MEMDB_DIRECTION_OUT, &walk, error);
    walk.links.what = "path";
    walk.options.hops = (uint32_t)cli_get_integer(request, "hops", 0);
    for (int i = 0; status == MEMDB_OK && i < 2; i++) {
        memdb_memory_t memory = {.id = 0};
        status = cli_find_memory(session, walk.links.snapshot, walk.links.space, names[i],
                                 cli_json_get(request, names[i]), &memory, error);
        ends[i] = memory.id;
    }
    if (status == MEMDB_OK) {
        status = memdb_graph_path(walk.links.snapshot, walk.links.space, ends[0], ends[1],
                                  &walk.options, &walk.nodes);
        if (status == MEMDB_DONE) // there is none: no nodes
            status = MEMDB_OK;
        else
            status = cli_engine(session, status, error, "path");
    }
    if (status == MEMDB_OK)
        status = answer_nodes(&walk, answer, error);
    cli_walk_end(&walk);
    return status;
}

memdb_status_t cli_run_rank(cli_session_t *session, const cli_json_t *request, cli_json_t *answer,
                            memdb_error_t *error) {
    cli_walk_t walk;
    uint64_t *ids = NULL;
    size_t count = 0;
    memdb_seed_t seeds[MEMDB_MAX_SEEDS];
    cli_json_t *nodes = cli_json_new_array();
    memdb_nodes_info_t info = {.size = sizeof info};
    cli_json_set(answer, "nodes", nodes);
    memdb_status_t status = cli_walk_begin(session, request, MEMDB_DIRECTION_BOTH, &walk, error);
    const cli_links_t *links = &walk.links;
    walk.options.limit = (uint32_t)cli_get_integer(request, "limit", 100);
    if (status == MEMDB_OK)
        status = cli_find_memories(session, links->snapshot, &links->space, 1, request, "seeds",
                                   &ids, &count, error);
    for (size_t i = 0; i < count; i++)
        seeds[i] = (memdb_seed_t){ids[i], 1};
    if (status == MEMDB_OK)
        status = cli_engine(session,
                            memdb_graph_rank(links->snapshot, links->space, seeds, count,
                                             &walk.options, &walk.nodes),
                            error, "rank");
    for (size_t i = 0; status == MEMDB_OK && i < memdb_nodes_count(walk.nodes); i++) {
        const memdb_node_t *node = memdb_nodes_at(walk.nodes, i);
        cli_json_t *json;
        status = node_json(&walk, node, &json, error);
        if (status == MEMDB_OK) {
            cli_json_set(json, "score", cli_json_new_number(node->score));
            cli_json_append(nodes, json);
        }
    }
    if (status == MEMDB_OK && memdb_nodes_get_info(walk.nodes, &info) == MEMDB_OK)
        cli_json_set(answer, "residual", cli_json_new_number(info.residual));
    free(ids);
    cli_walk_end(&walk);
    return status;
}
