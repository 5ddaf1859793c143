// What all walks over links do: options, starts, limits, results. See query_graph.h.
#include "query/query_graph.h"

#include <math.h>

#define DEFAULT_NODES 1000000u
#define DEFAULT_LINKS 10000000u
#define DEFAULT_RESTART .15
#define DEFAULT_TOLERANCE 1e-4
#define DEFAULT_DECAY .5
#define DEFAULT_THRESHOLD .001
#define NODES_CHECKED 1024u // between two looks at whether the snapshot has ended

static memdb_status_t check_options(const memdb_graph_options_t *options, memdb_error_t *error) {
    if (options->size < sizeof *options) {
        return memdb__fail(error, MEMDB_INVALID, "options: the struct's size is not set");
    }
    if ((uint32_t)options->direction > MEMDB_DIRECTION_BOTH) {
        return memdb__fail(error, MEMDB_INVALID, "direction: %d is none", (int)options->direction);
    }
    if (options->type_count && !options->types) {
        return memdb__fail(error, MEMDB_INVALID, "types: a count without types");
    }
    memdb_status_t status = MEMDB_OK;
    for (size_t i = 0; !status && i < options->type_count; i++) {
        status = memdb__check_text("types", options->types[i], MEMDB_MAX_NAME_BYTES, false, error);
    }
    const struct {
        const char *name;
        double value, end;
    } parts[] = {{"restart", options->restart, 1},
                 {"tolerance", options->tolerance, 1},
                 {"decay", options->decay, 1},
                 {"threshold", options->threshold, HUGE_VAL},
                 {"half_life", (double)options->half_life, HUGE_VAL}};
    for (size_t i = 0; !status && i < sizeof parts / sizeof *parts; i++) {
        if (!(parts[i].value >= 0 && parts[i].value < parts[i].end)) {
            status = memdb__fail(error, MEMDB_INVALID, "%s: %g is not in [0, %g)", parts[i].name,
                                 parts[i].value, parts[i].end);
        }
    }
    return status;
}

/// Tables for the nodes that are met, and those that are judged.
static memdb_status_t take_tables(memdb__walk_t *walk, bool judges, memdb_error_t *error) {
    memdb__visited_pool_t *pool = &walk->snapshot->db->visited;
    judges = judges && (walk->options.filter || walk->options.valid_at || walk->options.unexpired);
    walk->visited = memdb__visited_take(pool);
    walk->judged = judges && walk->visited ? memdb__visited_take(pool) : NULL;
    return walk->visited && (walk->judged || !judges)
               ? MEMDB_OK
               : memdb__fail(error, MEMDB_NOMEM, "no memory for a walk");
}

memdb_status_t memdb__walk_begin(memdb__walk_t *walk, memdb_snapshot_t *snapshot,
                                 memdb_space_t space, const memdb_graph_options_t *options,
                                 bool judges, memdb_error_t *error) {
    static const memdb_graph_options_t none = {.size = sizeof none};
    *walk =
        (memdb__walk_t){.snapshot = snapshot, .space = space, .options = options ? *options : none};
    memdb_graph_options_t *own = &walk->options;
    memdb_status_t status = memdb__snapshot_usable(snapshot, error);
    status = status ? status : check_options(own, error);
    own->node_limit = own->node_limit ? own->node_limit : DEFAULT_NODES;
    own->link_limit = own->link_limit ? own->link_limit : DEFAULT_LINKS;
    own->restart = own->restart > 0 ? own->restart : DEFAULT_RESTART;
    own->tolerance = own->tolerance > 0 ? own->tolerance : DEFAULT_TOLERANCE;
    own->decay = own->decay > 0 ? own->decay : DEFAULT_DECAY;
    own->threshold = own->threshold > 0 ? own->threshold : DEFAULT_THRESHOLD;
    if (!status) {
        status = memdb__sight_has_space(&snapshot->sight, space, error);
    }
    if (status == MEMDB_NOT_FOUND) {
        return memdb__fail(error, status, "there is no space %u", space);
    }
    memdb__link_choice_t choice = {.direction = own->direction,
                                   .types = own->types,
                                   .type_count = own->type_count,
                                   .valid_at = own->valid_at ? own->valid_at : MEMDB_TIME_NONE};
    status = status ? status : memdb__graph_open(&walk->graph, &snapshot->sight, &choice, error);
    return status ? status : take_tables(walk, judges, error);
}

void memdb__walk_end(memdb__walk_t *walk) {
    memdb__visited_give(&walk->snapshot->db->visited, walk->visited);
    memdb__visited_give(&walk->snapshot->db->visited, walk->judged);
    memdb__buffer_deinit(&walk->ids);
    memdb__buffer_deinit(&walk->weights);
    memdb__buffer_deinit(&walk->heats);
    memdb__graph_close(&walk->graph);
}

// ------------------------------------------------------------------------------ nodes

memdb_status_t memdb__walk_no_memory(memdb_error_t *error) {
    return memdb__fail(error, MEMDB_NOMEM, "no memory for a walk");
}

static memdb_status_t meet(memdb__walk_t *walk, uint64_t id, size_t *number_out, bool *new_out,
                           memdb_error_t *error) {
    *number_out = memdb__visited_meet(walk->visited, id, new_out);
    return *number_out == SIZE_MAX ? memdb__walk_no_memory(error) : MEMDB_OK;
}

/// A memory among those that are judged. NULL: out of memory.
static memdb__visit_t *judge(memdb__walk_t *walk, uint64_t id, bool *new_out,
                             memdb_error_t *error) {
    size_t number = memdb__visited_meet(walk->judged, id, new_out);
    if (number == SIZE_MAX) {
        memdb__fail(error, MEMDB_NOMEM, "no memory for a walk");
        return NULL;
    }
    return &walk->judged->nodes[number];
}

memdb_status_t memdb__walk_excuse(memdb__walk_t *walk, uint64_t id, memdb_error_t *error) {
    bool is_new;
    memdb__visit_t *node = walk->judged ? judge(walk, id, &is_new, error) : NULL;
    if (node) {
        node->hops = 1;
    }
    return node || !walk->judged ? MEMDB_OK : MEMDB_NOMEM;
}

memdb_status_t memdb__walk_start(memdb__walk_t *walk, uint64_t id, size_t *number_out,
                                 memdb_error_t *error) {
    memdb__record_t record;
    uint64_t version;
    bool is_new;
    memdb_status_t status =
        memdb__read_record(&walk->snapshot->sight, id, &record, &version, error);
    if (status == MEMDB_NOT_FOUND || (!status && record.space != walk->space)) {
        return memdb__fail(error, MEMDB_NOT_FOUND, "there is no memory %llu in the space",
                           (unsigned long long)id);
    }
    status = status ? status : meet(walk, id, number_out, &is_new, error);
    if (!status) {
        walk->visited->nodes[*number_out].via = (uint32_t)*number_out;
    }
    return status ? status : memdb__walk_excuse(walk, id, error);
}

// ------------------------------------------------------------------------------ links

static bool is_wanted(const memdb__walk_t *walk, uint64_t id, uint64_t version,
                      const memdb__record_t *record) {
    const memdb_graph_options_t *options = &walk->options;
    return (!options->valid_at ||
            memdb_is_valid(record->valid_from, record->valid_to, options->valid_at)) &&
           (!options->unexpired || record->expires == MEMDB_TIME_NONE ||
            record->expires > walk->snapshot->time) &&
           memdb__filter_passes(options->filter, id, version, record);
}

/// Whether a memory passes, asked once a walk.
static memdb_status_t passes(memdb__walk_t *walk, uint64_t id, bool *passes_out,
                             memdb_error_t *error) {
    bool is_new = false;
    memdb__visit_t *node = judge(walk, id, &is_new, error);
    memdb_status_t status = node ? MEMDB_OK : MEMDB_NOMEM;
    if (is_new) {
        memdb__record_t record;
        uint64_t version;
        status = memdb__read_record(&walk->snapshot->sight, id, &record, &version, error);
        node->hops = !status && is_wanted(walk, id, version, &record);
        status = status == MEMDB_NOT_FOUND ? MEMDB_OK : status;
    }
    *passes_out = !status && node->hops;
    return status;
}

static memdb_status_t sift(memdb__walk_t *walk, memdb__graph_links_t *links, memdb_error_t *error) {
    size_t count = 0;
    double total = 0;
    memdb__buffer_clear(&walk->ids);
    memdb__buffer_clear(&walk->weights);
    for (size_t i = 0; i < links->count; i++) {
        bool fine = false;
        memdb_status_t status = passes(walk, links->ids[i], &fine, error);
        if (status) {
            return status;
        }
        if (!fine) {
            continue;
        }
        if (!memdb__buffer_append(&walk->ids, &links->ids[i], sizeof *links->ids) ||
            !memdb__buffer_append(&walk->weights, &links->weights[i], sizeof *links->weights)) {
            return memdb__fail(error, MEMDB_NOMEM, "no memory for a walk");
        }
        total += links->weights[i] > 0 ? (double)links->weights[i] : 0;
        count++;
    }
    *links = (memdb__graph_links_t){(const uint64_t *)(void *)walk->ids.data,
                                    (const float *)(void *)walk->weights.data, count, total};
    return MEMDB_OK;
}

memdb_status_t memdb__walk_links(memdb__walk_t *walk, size_t number,
                                 memdb__graph_links_t *links_out, memdb_error_t *error) {
    uint64_t left = walk->options.link_limit - walk->links;
    memdb_status_t status = ++walk->reads % NODES_CHECKED == 0
                                ? memdb__snapshot_usable(walk->snapshot, error)
                                : MEMDB_OK;
    status = status ? status
                    : memdb__graph_links(&walk->graph, walk->visited->nodes[number].id, links_out,
                                         error);
    if (status) {
        return status;
    }
    if (links_out->count > left) {
        links_out->count = (size_t)left;
        walk->cut = true;
    }
    walk->links += links_out->count;
    return walk->judged ? sift(walk, links_out, error) : MEMDB_OK;
}

// ------------------------------------------------------------------------------ results

memdb_node_t memdb__walk_node(const memdb__walk_t *walk, size_t number) {
    const memdb__visit_t *node = &walk->visited->nodes[number];
    return (memdb_node_t){.id = node->id,
                          .via = node->hops ? walk->visited->nodes[node->via].id : 0,
                          .hops = node->hops};
}

memdb_status_t memdb__walk_nodes(const memdb__walk_t *walk, size_t capacity,
                                 memdb_nodes_t **nodes_out, memdb_error_t *error) {
    memdb_nodes_t *nodes = memdb__allocate_zeroed(1, sizeof *nodes);
    memdb_node_t *items = nodes ? memdb__allocate((capacity + 1) * sizeof *items) : NULL;
    if (!items) {
        memdb__free(nodes);
        return memdb__fail(error, MEMDB_NOMEM, "no memory for %zu nodes", capacity);
    }
    nodes->items = items;
    nodes->info =
        (memdb_nodes_info_t){.met = walk->visited->count, .links = walk->links, .cut = walk->cut};
    *nodes_out = nodes;
    return MEMDB_OK;
}

size_t memdb_nodes_count(const memdb_nodes_t *nodes) {
    return nodes ? nodes->count : 0;
}

const memdb_node_t *memdb_nodes_at(const memdb_nodes_t *nodes, size_t number) {
    return nodes && number < nodes->count ? &nodes->items[number] : NULL;
}

memdb_status_t memdb_nodes_get_info(const memdb_nodes_t *nodes, memdb_nodes_info_t *info_out) {
    if (!nodes || !info_out || info_out->size < sizeof *info_out) {
        return MEMDB_INVALID;
    }
    *info_out = nodes->info;
    info_out->size = sizeof *info_out;
    return MEMDB_OK;
}

void memdb_nodes_free(memdb_nodes_t *nodes) {
    if (nodes) {
        memdb__free(nodes->items);
        memdb__free(nodes);
    }
}
