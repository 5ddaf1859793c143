// graph: the neighbourhood of a memory: breadth first over its links, up to so many hops and so
// many memories.
//
// The answer has the nodes, nearest first and the start as the first one, and the links between
// two of them, but for those that a hop more would follow.
#include "cli/cli_command.h"

#include <stdlib.h>

static const char *const directions[] = {"both", "out", "in", NULL};
static const char *const formats[] = {"text", "dot", "svg", NULL};

static const cli_field_t graph_fields[] = {
    {"space", CLI_FIELD_NAME, false, 1, MEMDB_MAX_NAME_BYTES, NULL},
    {"id", CLI_FIELD_INTEGER, false, 1, 9007199254740992.0, NULL},
    {"key", CLI_FIELD_NAME, false, 1, MEMDB_MAX_KEY_BYTES, NULL},
    {"type", CLI_FIELD_NAME, false, 0, MEMDB_MAX_NAME_BYTES, NULL},
    {"direction", CLI_FIELD_CHOICE, false, 0, 0, directions},
    {"hops", CLI_FIELD_INTEGER, false, 1, 100, NULL},
    {"limit", CLI_FIELD_INTEGER, false, 1, 10000, NULL},
    {"format", CLI_FIELD_CHOICE, false, 0, 0, formats},
    {"filter", CLI_FIELD_TEXT, false, 1, 1 << 20, NULL},
    {"params", CLI_FIELD_PARAMS, false, 0, 0, NULL},
    {"as_of", CLI_FIELD_MOMENT, false, 0, 0, NULL},
    {"valid_at", CLI_FIELD_TIME, false, 0, 0, NULL},
    {NULL, CLI_FIELD_TEXT, false, 0, 0, NULL}};

#define DEFAULT_HOPS 2
#define DEFAULT_LIMIT 50

typedef struct met {
    uint64_t id;
    int64_t hops;
} met_t;

typedef struct around {
    cli_walk_t walk;
    met_t *met; // the nodes, by id in the end
    size_t count;
    int64_t hops;              // how far the walk goes
    int64_t at;                // how far the node is whose links are read
    cli_json_t *nodes, *links; // of the answer
} around_t;

static int compare_met(const void *a, const void *b) {
    const met_t *left = a, *right = b;
    return (left->id > right->id) - (left->id < right->id);
}

static memdb_status_t add_node(around_t *around, uint64_t id, int64_t hops, memdb_error_t *error) {
    const cli_links_t *from = &around->walk.links;
    memdb_memory_t memory = {.size = sizeof memory};
    memdb_status_t status = memdb_get(from->snapshot, from->space, id, &memory);
    if (status != MEMDB_OK)
        return cli_engine(from->session, status, error, "memory %llu", (unsigned long long)id);
    cli_json_t *node = cli_json_new_object();
    bool has_key = memory.fields & MEMDB_FIELD_KEY && memory.key.size;
    bool has_text = memory.fields & MEMDB_FIELD_TEXT;
    cli_set_unsigned(node, "id", id);
    cli_json_set(node, "key", has_key ? cli_bytes_json(memory.key) : cli_json_new_null());
    cli_json_set(node, "hops", cli_json_new_integer(hops));
    cli_json_set(node, "text", cli_bytes_json(has_text ? memory.text : (memdb_bytes_t){0}));
    cli_json_append(around->nodes, node);
    around->met[around->count++] = (met_t){id, hops};
    return MEMDB_OK;
}

static memdb_status_t add_nodes(around_t *around, uint64_t start, size_t count,
                                memdb_error_t *error) {
    around->met = cli_allocate((count + 1) * sizeof *around->met);
    memdb_status_t status = add_node(around, start, 0, error);
    for (size_t i = 0; status == MEMDB_OK && i < count; i++) {
        const memdb_node_t *node = memdb_nodes_at(around->walk.nodes, i);
        status = add_node(around, node->id, (int64_t)node->hops, error);
    }
    if (status == MEMDB_OK)
        qsort(around->met, around->count, sizeof *around->met, compare_met);
    return status;
}

// A link between two of the nodes, from one of which at least the walk went on.
static memdb_status_t take_link(void *context, const memdb_link_t *link, memdb_error_t *error) {
    around_t *around = context;
    bool out = around->walk.links.direction == MEMDB_DIRECTION_OUT;
    met_t other = {.id = out ? link->to : link->from};
    const met_t *met = bsearch(&other, around->met, around->count, sizeof other, compare_met);
    (void)error;
    if (met && (around->at < around->hops || met->hops < around->hops) &&
        cli_walk_follows(&around->walk, link))
        cli_json_append(around->links, cli_link_json(link));
    return MEMDB_OK;
}

// Links are read at one end alone, so each is met once: of a walk both ways, where they go out.
static memdb_status_t add_links(around_t *around, memdb_error_t *error) {
    memdb_status_t status = MEMDB_OK;
    bool both = around->walk.links.direction == MEMDB_DIRECTION_BOTH;
    around->walk.links.direction = both ? MEMDB_DIRECTION_OUT : around->walk.links.direction;
    for (size_t i = 0; status == MEMDB_OK && i < cli_json_count(around->nodes); i++) {
        const cli_json_t *node = cli_json_at(around->nodes, i);
        around->at = cli_json_integer(cli_json_get(node, "hops"));
        if (both || around->at < around->hops)
            status = cli_each_link(&around->walk.links,
                                   (uint64_t)cli_json_integer(cli_json_get(node, "id")), take_link,
                                   around, error);
    }
    return status;
}

static memdb_status_t run_graph(cli_session_t *session, const cli_json_t *request,
                                cli_json_t *answer, memdb_error_t *error) {
    around_t around = {.hops = cli_get_integer(request, "hops", DEFAULT_HOPS),
                       .nodes = cli_json_new_array(),
                       .links = cli_json_new_array()};
    size_t limit = (size_t)cli_get_integer(request, "limit", DEFAULT_LIMIT), count = 0;
    uint64_t start;
    cli_json_set(answer, "nodes", around.nodes);
    cli_json_set(answer, "links", around.links);
    memdb_status_t status =
        cli_walk_begin(session, request, MEMDB_DIRECTION_BOTH, &around.walk, error);
    around.walk.links.what = "links";
    around.walk.options.hops = (uint32_t)around.hops;
    // Beside the start: one too many says that there are more.
    around.walk.options.limit = (uint32_t)limit;
    if (status == MEMDB_OK)
        status = cli_walk_expand(&around.walk, request, &start, error);
    if (status == MEMDB_OK) {
        count = memdb_nodes_count(around.walk.nodes);
        cli_json_set(answer, "cut", cli_json_new_bool(count >= limit));
        status = add_nodes(&around, start, count < limit ? count : limit - 1, error);
    }
    if (status == MEMDB_OK)
        status = add_links(&around, error);
    free(around.met);
    cli_walk_end(&around.walk);
    return status;
}

const cli_op_t cli_graph_op = {"graph", graph_fields, run_graph, false};
