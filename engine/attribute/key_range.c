// Ranges of keys that end with an id: which ids there are, and about how many.
//
// Values of attribute indexes ('V') are such keys, and so are places in time and in sessions ('T',
// 'S'). An id has at most one entry in an index at a time, and a frame that moves it buries the old
// entry and puts the new one. So the sources of a view need not be merged key by key: from the
// oldest to the newest, each takes away the ids whose entries in the range it buries, and adds
// those that it puts. A tier is walked block by block; where history is kept it may hold several
// versions of a key, of which the newest visible one counts.
#include "engine/engine.h"

#define COUNTED 512 // entries of a run that are counted one by one

void memdb__key_attribute_prefix(memdb__key_t *key, memdb_space_t space, uint32_t number,
                                 const memdb__attribute_value_t *value) {
    memdb__key_attribute(key, space, number, value->bytes, value->size, 0);
    key->size -= 8; // without an id
}

void memdb__key_pass(memdb__key_t *key) {
    while (key->bytes[key->size - 1] == 0xFF) {
        key->size--;
    }
    key->bytes[key->size - 1]++;
}

// ------------------------------------------------------------------------------ ids

#define BURIED (UINT64_C(1) << 63) // beside an id; ids are smaller

typedef struct walk {
    const memdb__key_range_t *range;
    uint64_t visible;
    bool oldest;             // nothing lies below the source: what it buries is not there
    bool buries;             // some source does
    memdb__buffer_t changes; // u64 ids: of each source what it buries, then what it puts
    memdb__buffer_t put;     // by the source in hand
    bool versions;           // a tier: it holds several of some key
    memdb__entry_t taken;    // its last one that counted
    memdb_error_t *error;
} walk_t;

static memdb_status_t no_memory(walk_t *walk) {
    return memdb__fail(walk->error, MEMDB_NOMEM, "ids of an index: out of memory");
}

static memdb_status_t take(walk_t *walk, const memdb__entry_t *entry) {
    uint64_t id;
    if (!memdb__key_parse_id(entry->key, entry->key_size, &id) || id >= BURIED) {
        return memdb__fail(walk->error, MEMDB_CORRUPT, "an index entry is not well formed");
    }
    if (entry->tombstone && walk->oldest) {
        return MEMDB_OK;
    }
    walk->buries = walk->buries || entry->tombstone;
    id |= entry->tombstone ? BURIED : 0;
    return memdb__buffer_append(entry->tombstone ? &walk->changes : &walk->put, &id, sizeof id)
               ? MEMDB_OK
               : no_memory(walk);
}

static bool same_key(const memdb__entry_t *a, const memdb__entry_t *b) {
    return a->key && memdb__compare(a->key, a->key_size, b->key, b->key_size) == 0;
}

/// Of each key the newest visible version counts; it comes first.
static memdb_status_t take_visible(void *context, const memdb__entry_t *entry) {
    walk_t *walk = context;
    if (entry->version > walk->visible || (walk->versions && same_key(&walk->taken, entry))) {
        return MEMDB_OK;
    }
    walk->taken = *entry;
    return take(walk, entry);
}

static memdb_status_t walk_tier(walk_t *walk, memdb__sorted_t *sorted) {
    const memdb__key_range_t *range = walk->range;
    walk->versions = memdb__sorted_has_versions(sorted);
    walk->taken = (memdb__entry_t){0};
    return memdb__sorted_each(sorted, range->from.bytes, range->from.size, range->to.bytes,
                              range->to.size, take_visible, walk, walk->error);
}

static memdb_status_t walk_run(walk_t *walk, const memdb__run_t *run, uint64_t visible) {
    memdb_status_t status = MEMDB_OK;
    memdb__entry_t entry;
    const memdb__node_t *node =
        memdb__run_seek(run, walk->range->from.bytes, walk->range->from.size, visible);
    for (; !status && node; node = memdb__run_next(node, visible)) {
        memdb__node_entry(node, &entry);
        if (memdb__compare(entry.key, entry.key_size, walk->range->to.bytes,
                           walk->range->to.size) >= 0) {
            break;
        }
        status = take(walk, &entry);
    }
    return status;
}

/// Go through the sources, oldest first.
static memdb_status_t walk_sources(walk_t *walk, const memdb__sight_t *sight) {
    const memdb__view_t *view = sight->view;
    size_t sources = view->tier_count + view->run_count + (sight->own != NULL);
    memdb__run_t *own = NULL;
    memdb_status_t status = sight->own ? memdb__own_run(sight->own, &own, walk->error) : MEMDB_OK;
    for (size_t i = 0; !status && i < sources; i++) {
        size_t run = i - view->tier_count;
        memdb__buffer_clear(&walk->put);
        status = i < view->tier_count    ? walk_tier(walk, view->tiers[i]->sorted)
                 : run < view->run_count ? walk_run(walk, view->runs[run], sight->visible)
                                         : walk_run(walk, own, UINT64_MAX);
        if (!status && !memdb__buffer_append(&walk->changes, walk->put.data, walk->put.size)) {
            status = no_memory(walk);
        }
        walk->oldest = false;
    }
    return status;
}

static memdb_status_t make_changes(walk_t *walk, memdb__bitmap_t *ids) {
    const uint64_t *changes = (const uint64_t *)walk->changes.data;
    size_t count = walk->changes.size / sizeof *changes, i = 0;
    while (i < count) {
        size_t first = i;
        for (; i < count && !(changes[i] & BURIED); i++) {
        }
        if (!memdb__bitmap_add_all(ids, changes + first, i - first)) {
            return no_memory(walk);
        }
        for (; i < count && (changes[i] & BURIED); i++) {
            memdb__bitmap_remove(ids, changes[i] & ~BURIED);
        }
    }
    return MEMDB_OK;
}

memdb_status_t memdb__range_ids(const memdb__sight_t *sight, const memdb__key_range_t *range,
                                memdb__bitmap_t *ids, memdb_error_t *error) {
    walk_t walk = {.range = range, .visible = sight->visible, .oldest = true, .error = error};
    memdb__bitmap_t own = {0}; // what is buried in this range may be in the set by another one
    memdb_status_t status = walk_sources(&walk, sight);
    status = status ? status : make_changes(&walk, walk.buries ? &own : ids);
    if (!status && !memdb__bitmap_or(ids, &own)) {
        status = no_memory(&walk);
    }
    memdb__bitmap_deinit(&own);
    memdb__buffer_deinit(&walk.changes);
    memdb__buffer_deinit(&walk.put);
    return status;
}

// ------------------------------------------------------------------------------ about how many

static void estimate_run(const memdb__run_t *run, const memdb__key_range_t *range, uint64_t visible,
                         int64_t *count) {
    int64_t counted = 0, memories, text_bytes;
    memdb__entry_t entry;
    const memdb__node_t *node = memdb__run_seek(run, range->from.bytes, range->from.size, visible);
    for (; node && counted < COUNTED; node = memdb__run_next(node, visible)) {
        memdb__node_entry(node, &entry);
        if (memdb__compare(entry.key, entry.key_size, range->to.bytes, range->to.size) >= 0) {
            return;
        }
        counted++;
        *count += entry.tombstone ? -1 : 1;
    }
    if (node) { // more than that: as many as the run adds to the space
        memdb__run_counters(run, memdb__get_be32(range->from.bytes + 1), &memories, &text_bytes);
        *count += memories > counted ? memories - counted : 0;
    }
}

memdb_status_t memdb__range_estimate(const memdb__sight_t *sight, const memdb__key_range_t *range,
                                     uint64_t *count_out, memdb_error_t *error) {
    const memdb__view_t *view = sight->view;
    int64_t count = 0;
    for (size_t i = 0; i < view->tier_count; i++) {
        uint64_t between;
        memdb_status_t status =
            memdb__sorted_between(view->tiers[i]->sorted, range->from.bytes, range->from.size,
                                  range->to.bytes, range->to.size, &between, error);
        if (status) {
            return status;
        }
        count += (int64_t)between;
    }
    for (size_t i = 0; i < view->run_count; i++) {
        estimate_run(view->runs[i], range, sight->visible, &count);
    }
    if (sight->own) {
        memdb__run_t *own;
        memdb_status_t status = memdb__own_run(sight->own, &own, error);
        if (status) {
            return status;
        }
        estimate_run(own, range, UINT64_MAX, &count);
    }
    *count_out = count > 0 ? (uint64_t)count : 0;
    return MEMDB_OK;
}
