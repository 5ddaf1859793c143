// A view: the base (tiers of segments) and the runs of the delta above it, as one ordered map.
//
// Views are immutable once published; a snapshot reads through one and a visible LSN. Later sources
// win: own writes of a transaction, then runs from the newest, then tiers from the newest.
#ifndef MEMDB_ENGINE_VIEW_H
#define MEMDB_ENGINE_VIEW_H

#include "engine/catalog/catalog.h"
#include "engine/collect/pins.h"
#include "engine/epoch.h"
#include "engine/keys.h"
#include "engine/run/own.h"

typedef struct memdb__packed memdb__packed_t; // graph.h

/// One tier, opened: its files are mapped, so unlinking them does no harm. Shared by views,
/// counted.
typedef struct memdb__tier {
    _Atomic uint64_t references;
    memdb__tier_name_t name;
    memdb__sorted_t *sorted;
    memdb__words_segment_t *words;    // NULL: none
    memdb__vector_segment_t *vectors; // NULL: none
    _Atomic(memdb__packed_t *) links; // NULL: no walk needed them so far; see graph.h
    pthread_mutex_t packing;          // one thread at a time packs them
} memdb__tier_t;

/// The name of a segment's file in the directory `segments`.
void memdb__segment_file(uint64_t segment_id, char name_out[32]);

/// Open the files that `name` lists. Errors: MEMDB_CORRUPT, MEMDB_NOT_FOUND (a file is gone),
/// MEMDB_IO.
memdb_status_t memdb__tier_open(int segments_directory, const uint8_t database_id[16],
                                const memdb__tier_name_t *name, memdb__tier_t **tier_out,
                                memdb_error_t *error);
void memdb__tier_retain(memdb__tier_t *tier);
void memdb__tier_release(memdb__tier_t *tier);

typedef struct memdb__view {
    memdb__retired_t retired; // its place in the list of the retired
    uint64_t applied_lsn;     // all below is in the tiers
    uint64_t generation;      // of the catalog
    memdb__pins_t *pins;      // where the generation is pinned; NULL: nowhere
    size_t tier_count, run_count;
    _Atomic uint64_t live_spaces; // a bit a space below 64 that was found to live in the tiers
    memdb__tier_t **tiers;        // oldest first
    memdb__run_t **runs;          // oldest first; the last one is open
} memdb__view_t;

/// A view with room for the given counts; takes no references yet. NULL: out of memory.
memdb__view_t *memdb__view_create(size_t tier_count, size_t run_count);
/// Releases its references. The form that memdb__epoch_retire wants.
void memdb__view_destroy(void *view);

/// Whether a segment of the view's tiers has this file name.
bool memdb__view_has_file(const memdb__view_t *view, const char *name);

/// What a reader looks through. `own` is what its transaction wrote, or NULL.
typedef struct memdb__sight {
    const memdb__view_t *view;
    memdb__own_t *own;
    uint64_t visible;
} memdb__sight_t;

/// Have the places where a key would be found fetched from memory, for who asks for it soon.
void memdb__sight_expect(const memdb__sight_t *sight, const void *key, size_t size);
/// The same a step further, when what memdb__sight_expect asked for should be there.
void memdb__sight_expect_entry(const memdb__sight_t *sight, const void *key, size_t size);
/// The visible version of a key; a tombstone counts as an entry. MEMDB_NOT_FOUND without a message:
/// none.
memdb_status_t memdb__sight_get(const memdb__sight_t *sight, const void *key, size_t size,
                                memdb__entry_t *entry_out, memdb_error_t *error);
/// Whether a space lives. MEMDB_NOT_FOUND without a message: it does not.
memdb_status_t memdb__sight_has_space(const memdb__sight_t *sight, memdb_space_t space,
                                      memdb_error_t *error);
/// The newest version of a key in runs, and in tiers that reach above `above`; 0: none there.
memdb_status_t memdb__view_newest(const memdb__view_t *view, const void *key, size_t size,
                                  uint64_t above, uint64_t *version_out, bool *tombstone_out,
                                  memdb_error_t *error);
/// The greatest key below `key` that has `prefix` and is no tombstone. MEMDB_NOT_FOUND without a
/// message: none.
memdb_status_t memdb__sight_before(const memdb__sight_t *sight, const void *key, size_t size,
                                   const void *prefix, size_t prefix_size,
                                   memdb__entry_t *entry_out, memdb_error_t *error);

typedef struct memdb__source {
    const memdb__run_t *run; // or NULL: a tier
    const memdb__node_t *node;
    memdb__sorted_iterator_t segment;
    uint64_t visible;
    bool valid;
    memdb__entry_t entry;
} memdb__source_t;

/// A rising walk over all sources. Of each key it gives the visible versions above a horizon,
/// falling, and then the newest one at or below it; as a rule there is no horizon, so that is the
/// newest visible version alone. Tombstones are given too.
typedef struct memdb__merge {
    size_t count;
    memdb__source_t *sources; // newest first; from memdb__allocate
    size_t current;
    bool valid;
    uint64_t horizon; // UINT64_MAX: one version a key
    memdb__entry_t entry;
} memdb__merge_t;

memdb_status_t memdb__merge_open(memdb__merge_t *merge, const memdb__sight_t *sight,
                                 const void *key, size_t size, memdb_error_t *error);
/// The same without the tiers.
memdb_status_t memdb__merge_open_delta(memdb__merge_t *merge, const memdb__sight_t *sight,
                                       const void *key, size_t size, memdb_error_t *error);
/// The same with a horizon: all that readers at or above it can see.
memdb_status_t memdb__merge_open_retained(memdb__merge_t *merge, const memdb__sight_t *sight,
                                          uint64_t horizon, const void *key, size_t size,
                                          memdb_error_t *error);
/// The same over some tiers (from number `first_tier` on) and the runs that are sealed at or below
/// sight->visible: for folding.
memdb_status_t memdb__merge_open_fold(memdb__merge_t *merge, const memdb__sight_t *sight,
                                      uint64_t horizon, size_t first_tier, memdb_error_t *error);
memdb_status_t memdb__merge_next(memdb__merge_t *merge, memdb_error_t *error);
void memdb__merge_close(memdb__merge_t *merge);

#endif
