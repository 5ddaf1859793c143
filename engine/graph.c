// Reading the links of a node through all sources. See graph.h.
#include "engine/graph.h"

#include "engine/record.h"

#include <stdlib.h>

/// What one source says of one link.
typedef struct item {
    uint64_t other;
    memdb_bytes_t type; // in the packed tier, or in a key of the map
    uint32_t source;    // 0 is the newest
    float weight;
    bool removed; // or it does not hold
} item_t;

static memdb_status_t out_of_memory(memdb_error_t *error) {
    return memdb__fail(error, MEMDB_NOMEM, "links: out of memory");
}

// ------------------------------------------------------------------------------ opening

static bool is_wanted(const memdb__graph_t *graph, memdb_bytes_t type) {
    const memdb__link_choice_t *choice = &graph->choice;
    for (size_t i = 0; i < choice->type_count; i++) {
        if (memdb__compare(choice->types[i].data, choice->types[i].size, type.data, type.size) ==
            0) {
            return true;
        }
    }
    return choice->type_count == 0;
}

/// Which types of a packed tier are wanted.
static bool choose_types(const memdb__graph_t *graph, memdb__graph_tier_t *tier) {
    size_t count = memdb__adjacency_type_count(tier->links);
    bool all = true;
    tier->wanted = graph->choice.type_count ? memdb__allocate(count) : NULL;
    if (!tier->wanted) {
        return !graph->choice.type_count;
    }
    for (size_t i = 0; i < count; i++) {
        tier->wanted[i] = is_wanted(graph, memdb__adjacency_type(tier->links, i));
        all = all && tier->wanted[i];
    }
    if (all) {
        memdb__free(tier->wanted);
        tier->wanted = NULL;
    }
    return true;
}

static memdb_status_t open_tiers(memdb__graph_t *graph, memdb_error_t *error) {
    const memdb__view_t *view = graph->sight->view;
    graph->tiers = memdb__allocate_zeroed(view->tier_count + 1, sizeof *graph->tiers);
    if (!graph->tiers) {
        return out_of_memory(error);
    }
    for (size_t i = view->tier_count; i-- > 0;) {
        // Relaxed: memdb__view_pack has read it before.
        const memdb__packed_t *packed =
            atomic_load_explicit(&view->tiers[i]->links, memory_order_relaxed);
        graph->tiers_forget = graph->tiers_forget || packed->forgotten_count;
        if (packed->links) {
            memdb__graph_tier_t *tier = &graph->tiers[graph->tier_count++];
            tier->links = packed->links;
            if (!choose_types(graph, tier)) {
                return out_of_memory(error);
            }
        }
    }
    return MEMDB_OK;
}

/// Whether all that the tiers hold is visible: packed links have no versions.
static bool sees_tiers(const memdb__sight_t *sight) {
    return sight->visible >= sight->view->applied_lsn;
}

static bool delta_holds(const memdb__sight_t *sight, memdb__run_holds_t what) {
    bool holds = sight->own && memdb__own_holds(sight->own, what);
    for (size_t i = 0; !holds && i < sight->view->run_count; i++) {
        holds = memdb__run_holds(sight->view->runs[i], what);
    }
    return holds;
}

memdb_status_t memdb__graph_open(memdb__graph_t *graph, const memdb__sight_t *sight,
                                 const memdb__link_choice_t *choice, memdb_error_t *error) {
    *graph = (memdb__graph_t){.sight = sight, .choice = *choice};
    memdb_status_t status =
        sees_tiers(sight) ? memdb__view_pack(sight->view, &graph->packed, error) : MEMDB_OK;
    if (!status && graph->packed) {
        status = open_tiers(graph, error);
    }
    if (status) {
        memdb__graph_close(graph);
        return status;
    }
    graph->delta_links = delta_holds(sight, MEMDB__RUN_LINKS);
    graph->delta_forgets = delta_holds(sight, MEMDB__RUN_FORGOTTEN);
    graph->plain = graph->packed && !graph->delta_links && !graph->delta_forgets &&
                   !graph->tiers_forget && graph->tier_count == 1 && !graph->tiers[0].wanted &&
                   memdb__adjacency_is_plain(graph->tiers[0].links);
    return MEMDB_OK;
}

void memdb__graph_close(memdb__graph_t *graph) {
    for (size_t i = 0; i < graph->tier_count; i++) {
        memdb__free(graph->tiers[i].wanted);
    }
    memdb__free(graph->tiers);
    memdb__buffer_deinit(&graph->items);
    memdb__buffer_deinit(&graph->ids);
    memdb__buffer_deinit(&graph->weights);
    *graph = (memdb__graph_t){0};
}

bool memdb__graph_is_empty(const memdb__graph_t *graph) {
    return graph->packed && !graph->tier_count && !graph->delta_links;
}

// ------------------------------------------------------------------------------ whether a memory
// is there

/// The end of a link: nothing that was forgotten comes back, so its tombstone anywhere says all.
static memdb_status_t is_gone(const memdb__graph_t *graph, uint64_t id, bool *gone_out,
                              memdb_error_t *error) {
    const memdb__sight_t *sight = graph->sight;
    memdb__key_t key;
    memdb__entry_t entry;
    *gone_out = false;
    if (graph->packed && !graph->delta_forgets && !graph->tiers_forget) {
        return MEMDB_OK;
    }
    memdb__key_record(&key, id);
    if (!graph->packed) {
        memdb_status_t status = memdb__sight_get(sight, key.bytes, key.size, &entry, error);
        *gone_out = status == MEMDB_NOT_FOUND || (!status && entry.tombstone);
        return status == MEMDB_NOT_FOUND ? MEMDB_OK : status;
    }
    for (size_t i = 0; graph->tiers_forget && !*gone_out && i < sight->view->tier_count; i++) {
        const memdb__packed_t *packed =
            atomic_load_explicit(&sight->view->tiers[i]->links, memory_order_relaxed); // as above
        size_t count = packed->forgotten_count;
        *gone_out = memdb__adjacency_place(packed->forgotten, count, id) < count;
    }
    if (graph->delta_forgets && sight->own && sight->own->run && !*gone_out) {
        *gone_out = memdb__run_get(sight->own->run, key.bytes, key.size, UINT64_MAX, &entry) &&
                    entry.tombstone;
    }
    for (size_t i = 0; graph->delta_forgets && !*gone_out && i < sight->view->run_count; i++) {
        *gone_out =
            memdb__run_get(sight->view->runs[i], key.bytes, key.size, sight->visible, &entry) &&
            entry.tombstone;
    }
    return MEMDB_OK;
}

// ------------------------------------------------------------------------------ collecting

static bool holds(const memdb__graph_t *graph, int64_t from, int64_t to) {
    int64_t moment = graph->choice.valid_at;
    return moment == MEMDB_TIME_NONE || memdb_is_valid(from, to, moment);
}

/// The weight of a link, and whether it holds: a link into a memory has these in its entry under
/// the source. An entry that leads to no link is stale.
static memdb_status_t read_weight(const memdb__graph_t *graph, const memdb__entry_t *entry, bool in,
                                  uint64_t id, item_t *item, memdb_error_t *error) {
    memdb__entry_t link_entry = *entry;
    memdb_link_t link;
    memdb_status_t status = MEMDB_OK;
    if (in && !entry->tombstone) {
        memdb__key_t key;
        memdb__key_link(&key, item->other, item->type, id);
        status = memdb__sight_get(graph->sight, key.bytes, key.size, &link_entry, error);
    }
    item->removed = status == MEMDB_NOT_FOUND || (!status && link_entry.tombstone);
    if (item->removed || status) {
        return status == MEMDB_NOT_FOUND ? MEMDB_OK : status;
    }
    if (!memdb__link_decode(link_entry.value, link_entry.value_size, &link)) {
        return memdb__fail(error, MEMDB_CORRUPT, "a link of memory %llu is not well formed",
                           (unsigned long long)id);
    }
    item->weight = (float)link.weight;
    item->removed = !holds(graph, link.valid_from, link.valid_to);
    return MEMDB_OK;
}

/// Types hold no zero byte, so they stand in a key as they are.
static memdb_status_t add_entry(memdb__graph_t *graph, const memdb__entry_t *entry, bool in,
                                memdb_error_t *error) {
    uint8_t scratch[MEMDB__KEY_MAX_BYTES];
    item_t item = {0};
    uint64_t id;
    if (entry->key_size > sizeof scratch ||
        !memdb__key_parse_link(entry->key, entry->key_size, &id, scratch, &item.type.size,
                               &item.other) ||
        item.type.size != entry->key_size - (1 + 8 + 2 + 8)) {
        return memdb__fail(error, MEMDB_CORRUPT, "a link's key is not well formed");
    }
    item.type.data = (const char *)entry->key + 1 + 8;
    if (!is_wanted(graph, item.type)) {
        return MEMDB_OK;
    }
    memdb_status_t status = read_weight(graph, entry, in, id, &item, error);
    return status || memdb__buffer_append(&graph->items, &item, sizeof item) ? status
                                                                             : out_of_memory(error);
}

/// What the map says: all of it, or of its delta alone when the tiers are packed.
static memdb_status_t add_from_map(memdb__graph_t *graph, uint64_t id, bool in,
                                   memdb_error_t *error) {
    memdb__key_t prefix;
    memdb__merge_t merge;
    memdb__key_link_prefix(&prefix, in, id);
    memdb_status_t status =
        graph->packed
            ? memdb__merge_open_delta(&merge, graph->sight, prefix.bytes, prefix.size, error)
            : memdb__merge_open(&merge, graph->sight, prefix.bytes, prefix.size, error);
    if (status) {
        return status;
    }
    while (!status && merge.valid && merge.entry.key_size >= prefix.size &&
           memcmp(merge.entry.key, prefix.bytes, prefix.size) == 0) {
        status = add_entry(graph, &merge.entry, in, error);
        status = status ? status : memdb__merge_next(&merge, error);
    }
    memdb__merge_close(&merge);
    return status;
}

static memdb_status_t add_from_tier(memdb__graph_t *graph, size_t number, uint64_t id, bool in,
                                    memdb_error_t *error) {
    const memdb__graph_tier_t *tier = &graph->tiers[number];
    memdb__adjacency_links_t links;
    memdb__adjacency_find(tier->links, id, in, &links);
    if (!memdb__buffer_reserve(&graph->items, links.count * sizeof(item_t))) {
        return out_of_memory(error);
    }
    for (size_t i = 0; i < links.count; i++) {
        uint32_t type = links.types[i] & ~MEMDB__ADJACENCY_REMOVED;
        if (!tier->wanted || tier->wanted[type]) {
            item_t item = {
                .other = links.others[i],
                .type = memdb__adjacency_type(tier->links, type),
                .source = (uint32_t)number + 1,
                .weight = links.weights[i],
                .removed = (links.types[i] & MEMDB__ADJACENCY_REMOVED) != 0 ||
                           (links.spans && !holds(graph, links.spans[i].from, links.spans[i].to))};
            memdb__buffer_append(&graph->items, &item, sizeof item); // there is room
        }
    }
    return MEMDB_OK;
}

// ------------------------------------------------------------------------------ settling

/// By other end and type, the newest source first.
static int compare_items(const void *a, const void *b) {
    const item_t *left = a, *right = b;
    if (left->other != right->other) {
        return left->other < right->other ? -1 : 1;
    }
    int order =
        memdb__compare(left->type.data, left->type.size, right->type.data, right->type.size);
    return order ? order : (left->source > right->source) - (left->source < right->source);
}

static memdb_status_t give(memdb__graph_t *graph, uint64_t other, float weight,
                           memdb__graph_links_t *links, memdb_error_t *error) {
    if (!memdb__buffer_append(&graph->ids, &other, sizeof other) ||
        !memdb__buffer_append(&graph->weights, &weight, sizeof weight)) {
        return out_of_memory(error);
    }
    links->count++;
    links->total += weight > 0 ? (double)weight : 0;
    return MEMDB_OK;
}

/// Of each link what the newest source says, if both ends are there.
static memdb_status_t settle(memdb__graph_t *graph, memdb__graph_links_t *links,
                             memdb_error_t *error) {
    item_t *items = (item_t *)(void *)graph->items.data;
    size_t count = graph->items.size / sizeof *items;
    memdb_status_t status = MEMDB_OK;
    bool sorted = true;
    for (size_t i = 1; i < count; i++) {
        sorted = sorted && compare_items(&items[i - 1], &items[i]) < 0;
    }
    if (!sorted) {
        qsort(items, count, sizeof *items, compare_items);
    }
    for (size_t i = 0; !status && i < count; i++) {
        const item_t *item = &items[i];
        bool same = i && item->other == item[-1].other &&
                    memdb__compare(item->type.data, item->type.size, item[-1].type.data,
                                   item[-1].type.size) == 0;
        bool gone = same || item->removed;
        status = gone ? MEMDB_OK : is_gone(graph, item->other, &gone, error);
        if (!status && !gone) {
            status = give(graph, item->other, item->weight, links, error);
        }
    }
    return status;
}

static memdb_status_t read_direction(memdb__graph_t *graph, uint64_t id, bool in,
                                     memdb__graph_links_t *links, memdb_error_t *error) {
    memdb__buffer_clear(&graph->items);
    memdb_status_t status =
        !graph->packed || graph->delta_links ? add_from_map(graph, id, in, error) : MEMDB_OK;
    for (size_t i = 0; !status && i < graph->tier_count; i++) {
        status = add_from_tier(graph, i, id, in, error);
    }
    return status ? status : settle(graph, links, error);
}

/// All that there is to a plain graph: the packed links of a tier, lent or put side by side.
static memdb_status_t read_plain(memdb__graph_t *graph, uint64_t id,
                                 memdb__graph_links_t *links_out, memdb_error_t *error) {
    const memdb__adjacency_t *tier = graph->tiers[0].links;
    memdb__adjacency_links_t parts[2] = {0};
    memdb__adjacency_find(tier, id, graph->choice.direction == MEMDB_DIRECTION_IN, &parts[0]);
    if (graph->choice.direction == MEMDB_DIRECTION_BOTH) {
        memdb__adjacency_find(tier, id, true, &parts[1]);
    }
    const memdb__adjacency_links_t *part = parts[0].count ? &parts[0] : &parts[1];
    if (!parts[0].count || !parts[1].count) {
        *links_out = (memdb__graph_links_t){part->others, part->weights, part->count, part->total};
        return MEMDB_OK;
    }
    memdb__buffer_clear(&graph->ids);
    memdb__buffer_clear(&graph->weights);
    for (size_t i = 0; i < 2; i++) {
        if (!memdb__buffer_append(&graph->ids, parts[i].others,
                                  parts[i].count * sizeof(uint64_t)) ||
            !memdb__buffer_append(&graph->weights, parts[i].weights,
                                  parts[i].count * sizeof(float))) {
            return out_of_memory(error);
        }
    }
    *links_out = (memdb__graph_links_t){
        (const uint64_t *)(void *)graph->ids.data, (const float *)(void *)graph->weights.data,
        parts[0].count + parts[1].count, parts[0].total + parts[1].total};
    return MEMDB_OK;
}

void memdb__graph_expect(const memdb__graph_t *graph, uint64_t id) {
    for (size_t i = 0; graph->packed && i < graph->tier_count; i++) {
        memdb__adjacency_expect(graph->tiers[i].links, id,
                                graph->choice.direction == MEMDB_DIRECTION_IN);
    }
}

memdb_status_t memdb__graph_links(memdb__graph_t *graph, uint64_t id,
                                  memdb__graph_links_t *links_out, memdb_error_t *error) {
    if (graph->plain) {
        return read_plain(graph, id, links_out, error);
    }
    memdb__graph_links_t links = {0};
    memdb_status_t status = MEMDB_OK;
    memdb__buffer_clear(&graph->ids);
    memdb__buffer_clear(&graph->weights);
    if (graph->choice.direction != MEMDB_DIRECTION_IN) {
        status = read_direction(graph, id, false, &links, error);
    }
    if (!status && graph->choice.direction != MEMDB_DIRECTION_OUT) {
        status = read_direction(graph, id, true, &links, error);
    }
    links.ids = (const uint64_t *)(void *)graph->ids.data;
    links.weights = (const float *)(void *)graph->weights.data;
    *links_out = links;
    return status;
}
