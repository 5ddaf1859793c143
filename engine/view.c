// Views: tiers and runs read as one ordered map. See view.h.
#include "engine/graph.h"

#include <stdio.h>

void memdb__segment_file(uint64_t segment_id, char name_out[32]) {
    snprintf(name_out, 32, "%016llx.seg", (unsigned long long)segment_id);
}

static memdb__segment_identity_t identity_of(const uint8_t database_id[16], uint64_t segment_id,
                                             memdb__segment_kind_t kind) {
    memdb__segment_identity_t identity = {.segment_id = segment_id, .kind = kind};
    memcpy(identity.database_id, database_id, 16);
    return identity;
}

static memdb_status_t open_files(int directory, const uint8_t database_id[16], memdb__tier_t *tier,
                                 memdb_error_t *error) {
    char file[32];
    const memdb__tier_name_t *name = &tier->name;
    memdb__segment_identity_t identity =
        identity_of(database_id, name->sorted.segment_id, MEMDB__SEGMENT_SORTED);
    memdb__segment_file(identity.segment_id, file);
    memdb_status_t status = memdb__sorted_open(directory, file, &identity, name->sorted.file_size,
                                               name->sorted.checksum, &tier->sorted, error);
    if (!status && name->words.segment_id) {
        identity = identity_of(database_id, name->words.segment_id, MEMDB__SEGMENT_WORDS);
        memdb__segment_file(identity.segment_id, file);
        status = memdb__words_segment_open(directory, file, &identity, name->words.file_size,
                                           name->words.checksum, &tier->words, error);
    }
    if (!status && name->vectors.segment_id) {
        identity = identity_of(database_id, name->vectors.segment_id, MEMDB__SEGMENT_VECTORS);
        memdb__segment_file(identity.segment_id, file);
        status = memdb__vector_segment_open(directory, file, &identity, name->vectors.file_size,
                                            name->vectors.checksum, &tier->vectors, error);
    }
    return status;
}

memdb_status_t memdb__tier_open(int segments_directory, const uint8_t database_id[16],
                                const memdb__tier_name_t *name, memdb__tier_t **tier_out,
                                memdb_error_t *error) {
    memdb__tier_t *tier = memdb__allocate_zeroed(1, sizeof *tier);
    if (!tier) {
        return memdb__fail(error, MEMDB_NOMEM, "tier: out of memory");
    }
    atomic_init(&tier->references, 1);
    atomic_init(&tier->links, NULL);
    pthread_mutex_init(&tier->packing, NULL);
    tier->name = *name;
    memdb_status_t status = open_files(segments_directory, database_id, tier, error);
    if (status) {
        memdb__tier_release(tier);
        return status;
    }
    *tier_out = tier;
    return MEMDB_OK;
}

void memdb__tier_retain(memdb__tier_t *tier) {
    atomic_fetch_add_explicit(&tier->references, 1,
                              memory_order_relaxed); // the caller holds one already
}

void memdb__tier_release(memdb__tier_t *tier) {
    // acq_rel: all reads through other references are over before the mappings go.
    if (!tier || atomic_fetch_sub_explicit(&tier->references, 1, memory_order_acq_rel) != 1) {
        return;
    }
    memdb__sorted_close(tier->sorted);
    memdb__words_segment_close(tier->words);
    memdb__vector_segment_close(tier->vectors);
    memdb__packed_destroy(atomic_load_explicit(&tier->links, memory_order_relaxed)); // the last one
    pthread_mutex_destroy(&tier->packing);
    memdb__free(tier);
}

memdb__view_t *memdb__view_create(size_t tier_count, size_t run_count) {
    memdb__view_t *view = memdb__allocate_zeroed(1, sizeof *view);
    if (!view) {
        return NULL;
    }
    view->tier_count = tier_count;
    view->run_count = run_count;
    view->tiers = memdb__allocate_zeroed(tier_count + 1, sizeof *view->tiers);
    view->runs = memdb__allocate_zeroed(run_count + 1, sizeof *view->runs);
    if (!view->tiers || !view->runs) {
        memdb__view_destroy(view);
        return NULL;
    }
    return view;
}

bool memdb__view_has_file(const memdb__view_t *view, const char *name) {
    for (size_t i = 0; i < view->tier_count; i++) {
        const memdb__tier_name_t *tier = &view->tiers[i]->name;
        const uint64_t ids[] = {tier->sorted.segment_id, tier->words.segment_id,
                                tier->vectors.segment_id};
        for (size_t j = 0; j < 3; j++) {
            char file[32];
            memdb__segment_file(ids[j], file);
            if (ids[j] && strcmp(file, name) == 0) {
                return true;
            }
        }
    }
    return false;
}

void memdb__view_destroy(void *object) {
    memdb__view_t *view = object;
    if (!view) {
        return;
    }
    for (size_t i = 0; view->tiers && i < view->tier_count; i++) {
        memdb__tier_release(view->tiers[i]);
    }
    for (size_t i = 0; view->runs && i < view->run_count; i++) {
        memdb__run_release(view->runs[i]);
    }
    if (view->pins) {
        memdb__pins_remove(view->pins, view->generation);
    }
    memdb__free(view->tiers);
    memdb__free(view->runs);
    memdb__free(view);
}

void memdb__sight_expect(const memdb__sight_t *sight, const void *key, size_t size) {
    uint64_t hash = memdb__sorted_hash(key, size);
    const memdb__view_t *view = sight->view;
    for (size_t i = view->run_count; i-- > 0;) {
        memdb__run_prefetch(view->runs[i], hash);
    }
    for (size_t i = view->tier_count; i-- > 0;) {
        memdb__sorted_prefetch(view->tiers[i]->sorted, hash);
    }
}

void memdb__sight_expect_entry(const memdb__sight_t *sight, const void *key, size_t size) {
    uint64_t hash = memdb__sorted_hash(key, size);
    const memdb__view_t *view = sight->view;
    for (size_t i = view->tier_count; i-- > 0;) {
        memdb__sorted_prefetch_entry(view->tiers[i]->sorted, hash);
    }
}

memdb_status_t memdb__sight_get(const memdb__sight_t *sight, const void *key, size_t size,
                                memdb__entry_t *entry_out, memdb_error_t *error) {
    uint64_t hash = memdb__sorted_hash(key, size);
    if (sight->own) {
        memdb_status_t status = memdb__own_get(sight->own, key, size, hash, entry_out, error);
        if (status != MEMDB_NOT_FOUND) {
            return status;
        }
    }
    // Most keys are in no run: the tiers' lines come while the runs are asked.
    const memdb__view_t *view = sight->view;
    for (size_t i = view->tier_count; i-- > 0;) {
        memdb__sorted_prefetch(view->tiers[i]->sorted, hash);
    }
    for (size_t i = view->run_count; i-- > 0;) {
        if (memdb__run_get_hashed(view->runs[i], key, size, hash, sight->visible, entry_out)) {
            return MEMDB_OK;
        }
    }
    for (size_t i = view->tier_count; i-- > 0;) {
        memdb_status_t status = memdb__sorted_get_hashed(view->tiers[i]->sorted, key, size, hash,
                                                         sight->visible, entry_out, error);
        if (status != MEMDB_NOT_FOUND) {
            return status;
        }
    }
    return MEMDB_NOT_FOUND;
}

/// Whether the tiers alone say which spaces live: no run has an entry of one, and all that the
/// tiers hold is visible.
static bool spaces_are_in_tiers(const memdb__sight_t *sight) {
    const memdb__view_t *view = sight->view;
    bool in_tiers = sight->visible >= view->applied_lsn &&
                    !(sight->own && memdb__own_holds(sight->own, MEMDB__RUN_SPACES));
    for (size_t i = 0; in_tiers && i < view->run_count; i++) {
        in_tiers = !memdb__run_holds(view->runs[i], MEMDB__RUN_SPACES);
    }
    return in_tiers;
}

memdb_status_t memdb__sight_has_space(const memdb__sight_t *sight, memdb_space_t space,
                                      memdb_error_t *error) {
    memdb__view_t *view = (memdb__view_t *)sight->view;
    uint64_t bit = space < 64 && spaces_are_in_tiers(sight) ? UINT64_C(1) << space : 0;
    // Relaxed, and below: what is told of the tiers, which never change, is right alone.
    if (bit & atomic_load_explicit(&view->live_spaces, memory_order_relaxed)) {
        return MEMDB_OK;
    }
    memdb__key_t key;
    memdb__entry_t entry;
    memdb__key_space(&key, space);
    memdb_status_t status = memdb__sight_get(sight, key.bytes, key.size, &entry, error);
    if (status || entry.tombstone) {
        return status ? status : MEMDB_NOT_FOUND;
    }
    if (bit) {
        atomic_fetch_or_explicit(&view->live_spaces, bit, memory_order_relaxed);
    }
    return MEMDB_OK;
}

memdb_status_t memdb__view_newest(const memdb__view_t *view, const void *key, size_t size,
                                  uint64_t above, uint64_t *version_out, bool *tombstone_out,
                                  memdb_error_t *error) {
    memdb__entry_t entry = {0};
    for (size_t i = view->run_count; i-- > 0;) {
        if (memdb__run_get(view->runs[i], key, size, UINT64_MAX, &entry)) {
            *version_out = entry.version;
            *tombstone_out = entry.tombstone;
            return MEMDB_OK;
        }
    }
    *version_out = 0;
    *tombstone_out = false;
    for (size_t i = view->tier_count; i-- > 0 && view->tiers[i]->name.last_lsn > above;) {
        memdb_status_t status = memdb__sorted_get(view->tiers[i]->sorted, key, size, &entry, error);
        if (status == MEMDB_OK) {
            *version_out = entry.version;
            *tombstone_out = entry.tombstone;
        }
        if (status != MEMDB_NOT_FOUND) {
            return status;
        }
    }
    return MEMDB_OK;
}

// ------------------------------------------------------------------------------ walking backwards

/// Keep the greater key of two candidates; of equal keys the first (newer) one.
static void keep_greater(memdb__entry_t *best, bool *found, const memdb__entry_t *candidate) {
    if (!*found ||
        memdb__compare(candidate->key, candidate->key_size, best->key, best->key_size) > 0) {
        *best = *candidate;
        *found = true;
    }
}

/// The greatest key below `key` in a segment that has a visible version. False: none.
static memdb_status_t tier_before(memdb__sorted_t *sorted, const void *key, size_t size,
                                  uint64_t visible, bool *found_out, memdb__entry_t *entry_out,
                                  memdb_error_t *error) {
    memdb__sorted_iterator_t iterator;
    *found_out = false;
    for (;;) {
        memdb_status_t status = memdb__sorted_seek_before(sorted, key, size, &iterator, error);
        if (status || !iterator.valid) {
            return status;
        }
        key = iterator.entry.key;
        size = iterator.entry.key_size;
        *entry_out = iterator.entry;
        *found_out = iterator.entry.version <= visible;
        // It stands on the oldest version: where that is not visible none is.
        if (*found_out && memdb__sorted_has_versions(sorted)) {
            status = memdb__sorted_get_at(sorted, key, size, visible, entry_out, error);
        }
        if (status || *found_out) {
            return status;
        }
    }
}

/// The greatest key below `key` in any source, tombstones included.
static memdb_status_t greatest_below(const memdb__sight_t *sight, const void *key, size_t size,
                                     memdb__entry_t *best, bool *found, memdb_error_t *error) {
    memdb__entry_t entry;
    const memdb__node_t *node;
    *found = false;
    if (sight->own) {
        memdb__run_t *run;
        memdb_status_t status = memdb__own_run(sight->own, &run, error);
        if (status) {
            return status;
        }
        if ((node = memdb__run_before(run, key, size, UINT64_MAX))) {
            memdb__node_entry(node, &entry);
            keep_greater(best, found, &entry);
        }
    }
    for (size_t i = sight->view->run_count; i-- > 0;) {
        if ((node = memdb__run_before(sight->view->runs[i], key, size, sight->visible))) {
            memdb__node_entry(node, &entry);
            keep_greater(best, found, &entry);
        }
    }
    for (size_t i = sight->view->tier_count; i-- > 0;) {
        bool has;
        memdb_status_t status = tier_before(sight->view->tiers[i]->sorted, key, size,
                                            sight->visible, &has, &entry, error);
        if (status) {
            return status;
        }
        if (has) {
            keep_greater(best, found, &entry);
        }
    }
    return MEMDB_OK;
}

memdb_status_t memdb__sight_before(const memdb__sight_t *sight, const void *key, size_t size,
                                   const void *prefix, size_t prefix_size,
                                   memdb__entry_t *entry_out, memdb_error_t *error) {
    for (;;) {
        memdb__entry_t best;
        bool found;
        memdb_status_t status = greatest_below(sight, key, size, &best, &found, error);
        if (status) {
            return status;
        }
        if (!found || best.key_size < prefix_size || memcmp(best.key, prefix, prefix_size) != 0) {
            return MEMDB_NOT_FOUND;
        }
        if (!best.tombstone) {
            *entry_out = best;
            return MEMDB_OK;
        }
        key = best.key;
        size = best.key_size;
    }
}

// ------------------------------------------------------------------------------ walking forwards

static void load_node(memdb__source_t *source) {
    source->valid = source->node != NULL;
    if (source->valid) {
        memdb__node_entry(source->node, &source->entry);
    }
}

static bool same_key(const memdb__entry_t *a, const memdb__entry_t *b) {
    return memdb__compare(a->key, a->key_size, b->key, b->key_size) == 0;
}

/// Take the entry that the segment's iterator stands on, or the next one that is visible.
static memdb_status_t load_segment(memdb__source_t *source, memdb_error_t *error) {
    memdb__sorted_iterator_t *at = &source->segment;
    memdb_status_t status = MEMDB_OK;
    while (!status && at->valid && at->entry.version > source->visible) {
        status = memdb__sorted_next(at, error);
    }
    source->valid = !status && at->valid;
    source->entry = at->entry;
    return status;
}

/// Go on to the next key, or to the next version.
static memdb_status_t step(memdb__source_t *source, bool next_key, memdb_error_t *error) {
    if (source->run) {
        source->node = next_key ? memdb__run_next(source->node, source->visible)
                                : memdb__run_next_version(source->node, source->visible);
        load_node(source);
        return MEMDB_OK;
    }
    memdb__sorted_iterator_t *at = &source->segment;
    bool skips = next_key && memdb__sorted_has_versions(at->sorted);
    memdb_status_t status = memdb__sorted_next(at, error);
    while (skips && !status && at->valid && same_key(&at->entry, &source->entry)) {
        status = memdb__sorted_next(at, error); // older versions of the key that was given
    }
    return status ? status : load_segment(source, error);
}

/// Find the least key; the first source that has it is the newest.
static void choose(memdb__merge_t *merge) {
    merge->valid = false;
    for (size_t i = 0; i < merge->count; i++) {
        memdb__source_t *source = &merge->sources[i];
        if (source->valid &&
            (!merge->valid || memdb__compare(source->entry.key, source->entry.key_size,
                                             merge->entry.key, merge->entry.key_size) < 0)) {
            merge->valid = true;
            merge->current = i;
            merge->entry = source->entry;
        }
    }
}

static void add_run(memdb__merge_t *merge, const memdb__run_t *run, uint64_t visible,
                    const void *key, size_t size) {
    memdb__source_t *source = &merge->sources[merge->count++];
    *source = (memdb__source_t){.run = run, .visible = visible};
    source->node = memdb__run_seek(run, key, size, visible);
    load_node(source);
}

static memdb_status_t add_tier(memdb__merge_t *merge, const memdb__tier_t *tier, uint64_t visible,
                               const void *key, size_t size, memdb_error_t *error) {
    memdb__source_t *source = &merge->sources[merge->count++];
    *source = (memdb__source_t){.visible = visible};
    memdb_status_t status = memdb__sorted_seek(tier->sorted, key, size, &source->segment, error);
    return status ? status : load_segment(source, error);
}

static memdb_status_t open_merge(memdb__merge_t *merge, const memdb__sight_t *sight,
                                 uint64_t horizon, bool fold, size_t first_tier, const void *key,
                                 size_t size, memdb_error_t *error) {
    const memdb__view_t *view = sight->view;
    *merge = (memdb__merge_t){.horizon = horizon};
    merge->sources =
        memdb__allocate((view->run_count + view->tier_count + 1) * sizeof *merge->sources);
    if (!merge->sources) {
        return memdb__fail(error, MEMDB_NOMEM, "merge: out of memory");
    }
    memdb_status_t status = MEMDB_OK;
    if (sight->own) {
        memdb__run_t *run;
        status = memdb__own_run(sight->own, &run, error);
        if (!status) {
            add_run(merge, run, UINT64_MAX, key, size);
        }
    }
    for (size_t i = view->run_count; i-- > 0;) {
        uint64_t sealed = memdb__run_sealed_lsn(view->runs[i]);
        if (!fold || (sealed != 0 && sealed <= sight->visible)) {
            add_run(merge, view->runs[i], sight->visible, key, size);
        }
    }
    for (size_t i = view->tier_count; !status && i-- > first_tier;) {
        status = add_tier(merge, view->tiers[i], sight->visible, key, size, error);
    }
    if (status) {
        memdb__merge_close(merge);
        return status;
    }
    choose(merge);
    return MEMDB_OK;
}

memdb_status_t memdb__merge_open(memdb__merge_t *merge, const memdb__sight_t *sight,
                                 const void *key, size_t size, memdb_error_t *error) {
    return open_merge(merge, sight, UINT64_MAX, false, 0, key, size, error);
}

memdb_status_t memdb__merge_open_delta(memdb__merge_t *merge, const memdb__sight_t *sight,
                                       const void *key, size_t size, memdb_error_t *error) {
    return open_merge(merge, sight, UINT64_MAX, false, sight->view->tier_count, key, size, error);
}

memdb_status_t memdb__merge_open_retained(memdb__merge_t *merge, const memdb__sight_t *sight,
                                          uint64_t horizon, const void *key, size_t size,
                                          memdb_error_t *error) {
    return open_merge(merge, sight, horizon, false, 0, key, size, error);
}

memdb_status_t memdb__merge_open_fold(memdb__merge_t *merge, const memdb__sight_t *sight,
                                      uint64_t horizon, size_t first_tier, memdb_error_t *error) {
    return open_merge(merge, sight, horizon, true, first_tier, NULL, 0, error);
}

memdb_status_t memdb__merge_next(memdb__merge_t *merge, memdb_error_t *error) {
    memdb__entry_t done = merge->entry;
    // Above the horizon the next version is wanted; it comes from the same source or an older one,
    // since versions of sources do not interleave. Else all that the sources have of the key is
    // passed over.
    bool next_key = done.version <= merge->horizon;
    size_t end = next_key ? merge->count : merge->current + 1;
    for (size_t i = merge->current; i < end; i++) {
        memdb__source_t *source = &merge->sources[i];
        if (source->valid && same_key(&source->entry, &done)) {
            memdb_status_t status = step(source, next_key, error);
            if (status) {
                merge->valid = false;
                return status;
            }
        }
    }
    choose(merge);
    return MEMDB_OK;
}

void memdb__merge_close(memdb__merge_t *merge) {
    memdb__free(merge->sources);
    merge->sources = NULL;
    merge->valid = false;
}
