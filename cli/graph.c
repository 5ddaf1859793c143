// graph: the neighbourhood of a memory: breadth first over its links, up to so many hops and so
// many memories.
//
// The answer has the nodes, nearest first and the start as the first one, and every link that was
// met between two of them.
#include "cli/cli_command.h"

#include <string.h>

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
    {"as_of", CLI_FIELD_MOMENT, false, 0, 0, NULL},
    {NULL, CLI_FIELD_TEXT, false, 0, 0, NULL}};

#define DEFAULT_HOPS 2
#define DEFAULT_LIMIT 50

typedef struct walk {
    cli_links_t from;
    size_t limit;
    uint64_t at;               // whose links are walked
    int64_t hops;              // and how far it is
    bool cut;                  // the limit kept memories out
    cli_json_t *nodes, *links; // of the answer
    cli_json_t *met;           // "12", and "12>13 type": what is in them already
} walk_t;

// Whether it was met before; from now on it was.
static bool meet(walk_t *walk, const cli_buffer_t *name) {
    bool before = cli_json_get(walk->met, name->data) != NULL;
    if (!before)
        cli_json_set(walk->met, name->data, cli_json_new_bool(true));
    return before;
}

static memdb_status_t add_node(walk_t *walk, uint64_t id, int64_t hops, memdb_error_t *error) {
    memdb_memory_t memory = {.size = sizeof memory};
    memdb_status_t status = memdb_get(walk->from.snapshot, walk->from.space, id, &memory);
    if (status != MEMDB_OK)
        return cli_engine(walk->from.session, status, error, "memory %llu", (unsigned long long)id);
    cli_json_t *node = cli_json_new_object();
    bool has_key = memory.fields & MEMDB_FIELD_KEY && memory.key.size;
    bool has_text = memory.fields & MEMDB_FIELD_TEXT;
    cli_set_unsigned(node, "id", id);
    cli_json_set(node, "key", has_key ? cli_bytes_json(memory.key) : cli_json_new_null());
    cli_json_set(node, "hops", cli_json_new_integer(hops));
    cli_json_set(node, "text", cli_bytes_json(has_text ? memory.text : (memdb_bytes_t){0}));
    cli_json_append(walk->nodes, node);
    return MEMDB_OK;
}

// A link whose other end is new brings that too, while there is room. Where both directions are
// walked it is met at either end, and kept once.
static memdb_status_t take_link(void *context, const memdb_link_t *link, memdb_error_t *error) {
    walk_t *walk = context;
    cli_buffer_t name = {0};
    uint64_t other = link->from == walk->at ? link->to : link->from;
    memdb_status_t status = MEMDB_OK;
    cli_buffer_printf(&name, "%llu", (unsigned long long)other);
    bool room = cli_json_count(walk->nodes) < walk->limit;
    bool is_new = !cli_json_get(walk->met, name.data);
    if (is_new && !room) {
        walk->cut = true;
    } else {
        if (is_new)
            status = add_node(walk, other, walk->hops + 1, error);
        meet(walk, &name);
        cli_buffer_clear(&name);
        cli_buffer_printf(&name, "%llu>%llu ", (unsigned long long)link->from,
                          (unsigned long long)link->to);
        cli_buffer_append(&name, link->type.data, link->type.size);
        if (status == MEMDB_OK && !meet(walk, &name))
            cli_json_append(walk->links, cli_link_json(link));
    }
    cli_buffer_free(&name);
    return status;
}

// Breadth first: the nodes are the queue.
static memdb_status_t walk_from(walk_t *walk, uint64_t start, int64_t most_hops,
                                memdb_error_t *error) {
    cli_buffer_t name = {0};
    cli_buffer_printf(&name, "%llu", (unsigned long long)start);
    meet(walk, &name);
    cli_buffer_free(&name);
    memdb_status_t status = add_node(walk, start, 0, error);
    for (size_t i = 0; status == MEMDB_OK && i < cli_json_count(walk->nodes); i++) {
        const cli_json_t *node = cli_json_at(walk->nodes, i);
        walk->at = (uint64_t)cli_json_integer(cli_json_get(node, "id"));
        walk->hops = cli_json_integer(cli_json_get(node, "hops"));
        if (walk->hops < most_hops)
            status = cli_each_link(&walk->from, walk->at, take_link, walk, error);
    }
    return status;
}

static memdb_status_t run_graph(cli_session_t *session, const cli_json_t *request,
                                cli_json_t *answer, memdb_error_t *error) {
    const cli_json_t *reference;
    memdb_memory_t memory;
    walk_t walk = {.from = {.session = session,
                            .direction = cli_get_direction(request, MEMDB_DIRECTION_BOTH),
                            .type = cli_get_bytes(request, "type"),
                            .what = "links"},
                   .limit = (size_t)cli_get_integer(request, "limit", DEFAULT_LIMIT)};
    memdb_status_t status = cli_reference(request, &reference, error);
    if (status == MEMDB_OK)
        status = cli_read_begin_at(session, request, &walk.from.snapshot, error);
    if (status != MEMDB_OK)
        return status;
    walk.nodes = cli_json_new_array();
    walk.links = cli_json_new_array();
    walk.met = cli_json_new_object();
    cli_json_set(answer, "nodes", walk.nodes);
    cli_json_set(answer, "links", walk.links);
    status = cli_space_find(session, walk.from.snapshot, cli_space_name(request), &walk.from.space,
                            error);
    if (status == MEMDB_OK)
        status =
            cli_find_memory(session, walk.from.snapshot, walk.from.space,
                            cli_json_get(request, "id") ? "id" : "key", reference, &memory, error);
    if (status == MEMDB_OK)
        status = walk_from(&walk, memory.id, cli_get_integer(request, "hops", DEFAULT_HOPS), error);
    cli_json_set(answer, "cut", cli_json_new_bool(walk.cut));
    cli_json_free(walk.met);
    cli_read_end(session, walk.from.snapshot);
    return status;
}

const cli_op_t cli_graph_op = {"graph", graph_fields, run_graph, false};
