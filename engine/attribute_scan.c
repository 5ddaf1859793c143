// Ranges of values of an attribute index: which memories have one, and about how many.
//
// An id has at most one entry in an index at a time, and a frame that moves it buries the old entry
// and puts the new one. So the sources of a view need not be merged key by key: from the oldest to
// the newest, each takes away the ids whose entries in the range it buries, and adds those that it
// puts. A tier is walked block by block; where history is kept it may hold several versions of a
// key, of which the newest visible one counts.
#include "engine/engine.h"

#define COUNTED 512u // entries of a run that are counted one by one

/// The first key that is behind all keys with this prefix. (A prefix begins with 'V'.)
static void pass(memdb__key_t *key) {
    while (key->bytes[key->size - 1] == 0xFF) {
        key->size--;
    }
    key->bytes[key->size - 1]++;
}

static void bound(memdb__key_t *key, const memdb__attribute_range_t *range,
                  const memdb__attribute_value_t *value) {
    memdb__key_attribute(key, range->space, range->number, value->bytes, value->size, 0);
    key->size -= 8; // without an id
}

static void bounds(const memdb__attribute_range_t *range, memdb__key_t *from, memdb__key_t *to) {
    bound(from, range, &range->from);
    bound(to, range, &range->to);
    if (range->past_from) {
        pass(from);
    }
    if (range->past_to || !range->to.size) {
        pass(to);
    }
}

// ------------------------------------------------------------------------------ ids

typedef struct walk {
    memdb__key_t from, to;
    uint64_t visible;
    memdb__bitmap_t *ids;
    memdb__bitmap_t buried; // by the source in hand
    bool oldest;            // nothing lies below the source: what it buries is not there
    memdb_error_t *error;
} walk_t;

static bool is_past(const walk_t *walk, const memdb__entry_t *entry) {
    return memdb__compare(entry->key, entry->key_size, walk->to.bytes, walk->to.size) >= 0;
}

static memdb_status_t take(walk_t *walk, const memdb__entry_t *entry, memdb__bitmap_t *put) {
    uint64_t id;
    if (!memdb__key_parse_id(entry->key, entry->key_size, &id)) {
        return memdb__fail(walk->error, MEMDB_CORRUPT, "an index entry is not well formed");
    }
    if (entry->tombstone && walk->oldest) {
        return MEMDB_OK;
    }
    return memdb__bitmap_add(entry->tombstone ? &walk->buried : put, id)
               ? MEMDB_OK
               : memdb__fail(walk->error, MEMDB_NOMEM, "ids of an index: out of memory");
}

static bool same_key(const memdb__entry_t *a, const memdb__entry_t *b) {
    return a->key && memdb__compare(a->key, a->key_size, b->key, b->key_size) == 0;
}

static memdb_status_t walk_tier(walk_t *walk, memdb__sorted_t *sorted, memdb__bitmap_t *put) {
    memdb__sorted_iterator_t at;
    memdb__entry_t taken = {0};
    bool versions = memdb__sorted_has_versions(sorted);
    memdb_status_t status =
        memdb__sorted_seek(sorted, walk->from.bytes, walk->from.size, &at, walk->error);
    while (!status && at.valid && !is_past(walk, &at.entry)) {
        if (at.entry.version <= walk->visible && !(versions && same_key(&taken, &at.entry))) {
            taken = at.entry;
            status = take(walk, &at.entry, put);
        }
        status = status ? status : memdb__sorted_next(&at, walk->error);
    }
    return status;
}

static memdb_status_t walk_run(walk_t *walk, const memdb__run_t *run, uint64_t visible,
                               memdb__bitmap_t *put) {
    memdb_status_t status = MEMDB_OK;
    memdb__entry_t entry;
    const memdb__node_t *node = memdb__run_seek(run, walk->from.bytes, walk->from.size, visible);
    for (; !status && node; node = memdb__run_next(node, visible)) {
        memdb__node_entry(node, &entry);
        if (is_past(walk, &entry)) {
            break;
        }
        status = take(walk, &entry, put);
    }
    return status;
}

/// Give what a source has to the whole.
static memdb_status_t settle(walk_t *walk, memdb__bitmap_t *put) {
    memdb__bitmap_subtract(walk->ids, &walk->buried);
    bool fine = memdb__bitmap_or(walk->ids, put);
    memdb__bitmap_deinit(&walk->buried);
    memdb__bitmap_deinit(put);
    return fine ? MEMDB_OK
                : memdb__fail(walk->error, MEMDB_NOMEM, "ids of an index: out of memory");
}

memdb_status_t memdb__attribute_ids(const memdb__sight_t *sight,
                                    const memdb__attribute_range_t *range, memdb__bitmap_t *ids,
                                    memdb_error_t *error) {
    const memdb__view_t *view = sight->view;
    walk_t walk = {.visible = sight->visible, .ids = ids, .oldest = true, .error = error};
    memdb_status_t status = MEMDB_OK;
    size_t sources = view->tier_count + view->run_count + (sight->own != NULL);
    memdb__run_t *own = NULL;
    bounds(range, &walk.from, &walk.to);
    if (sight->own) {
        status = memdb__own_run(sight->own, &own, error);
    }
    for (size_t i = 0; !status && i < sources; i++) {
        memdb__bitmap_t put = {0};
        if (i < view->tier_count) {
            status = walk_tier(&walk, view->tiers[i]->sorted, &put);
        } else if (i < view->tier_count + view->run_count) {
            status = walk_run(&walk, view->runs[i - view->tier_count], sight->visible, &put);
        } else {
            status = walk_run(&walk, own, UINT64_MAX, &put);
        }
        memdb_status_t settled = settle(&walk, &put);
        status = status ? status : settled;
        walk.oldest = false;
    }
    return status;
}

// ------------------------------------------------------------------------------ about how many

static memdb_status_t estimate_run(const memdb__run_t *run, const memdb__key_t *from,
                                   const memdb__key_t *to, uint64_t visible, memdb_space_t space,
                                   int64_t *count) {
    int64_t counted = 0, memories, text_bytes;
    memdb__entry_t entry;
    const memdb__node_t *node = memdb__run_seek(run, from->bytes, from->size, visible);
    for (; node && counted < (int64_t)COUNTED; node = memdb__run_next(node, visible)) {
        memdb__node_entry(node, &entry);
        if (memdb__compare(entry.key, entry.key_size, to->bytes, to->size) >= 0) {
            break;
        }
        counted++;
        *count += entry.tombstone ? -1 : 1;
    }
    if (counted == (int64_t)COUNTED) { // more than that: as many as the run can have
        memdb__run_counters(run, space, &memories, &text_bytes);
        *count += memories > counted ? memories - counted : 0;
    }
    return MEMDB_OK;
}

memdb_status_t memdb__attribute_estimate(const memdb__sight_t *sight,
                                         const memdb__attribute_range_t *range, uint64_t *count_out,
                                         memdb_error_t *error) {
    const memdb__view_t *view = sight->view;
    memdb__key_t from, to;
    int64_t count = 0;
    memdb_status_t status = MEMDB_OK;
    bounds(range, &from, &to);
    for (size_t i = 0; !status && i < view->tier_count; i++) {
        uint64_t between;
        status = memdb__sorted_between(view->tiers[i]->sorted, from.bytes, from.size, to.bytes,
                                       to.size, &between, error);
        count += status ? 0 : (int64_t)between;
    }
    for (size_t i = 0; !status && i < view->run_count; i++) {
        status = estimate_run(view->runs[i], &from, &to, sight->visible, range->space, &count);
    }
    memdb__run_t *own;
    if (!status && sight->own && !(status = memdb__own_run(sight->own, &own, error))) {
        status = estimate_run(own, &from, &to, UINT64_MAX, range->space, &count);
    }
    *count_out = count > 0 ? (uint64_t)count : 0;
    return status;
}
