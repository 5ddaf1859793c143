// Collecting the garbage of the arena, as a part of a fold. See collect.c.
#ifndef MEMDB_ENGINE_COLLECT_H
#define MEMDB_ENGINE_COLLECT_H

#include "engine/engine.h"

/// What is asked of a fold beyond an ordinary checkpoint.
typedef struct memdb__space_work {
    bool whole;        // fold everything, collect whatever is dead, begin a small log
    bool purge;        // and erase what was forgotten so
    uint64_t seal_lsn; // out: up to which the fold went
    memdb_space_report_t report;
} memdb__space_work_t;

typedef struct memdb__collection {
    memdb_t *db;
    memdb__space_work_t *work;
    memdb__manifest_t before;          // what the catalog names when the fold begins
    bool all_tiers;                    // the fold rewrites everything
    bool surveyed;                     // `names` is what the new base will name
    memdb__buffer_t names;             // references (32 bytes), sorted, each once
    uint64_t named_bytes, arena_bytes; // of the arena: named; in all, without what goes
    memdb__buffer_t extents;           // u64 ids, rising: retired by this fold's frame
    memdb__buffer_t moved;             // pairs of references, from and to, sorted by the first
    memdb__buffer_t damaged;           // u64 ids of those that could not be copied, and stay
    memdb__buffer_t erased;            // u64 ids of memories, rising: purge
    memdb__buffer_t record;            // scratch
    memdb__blobs_t *survivors;         // the arena's new extents
} memdb__collection_t;

/// Begin: reads the catalog, unlinks what has waited long enough, decides whether the fold takes
/// all tiers, and chooses extents. The base is the newest, and the checkpoint lock is held. `full`:
/// the tiers alone ask for it. `may`: no merge goes on, so all tiers can be taken.
memdb_status_t memdb__collect_plan(memdb__collection_t *collection, bool full, bool may,
                                   memdb_error_t *error);
/// Append the operation that retires the chosen extents to the payload of the fold's seal. False:
/// out of memory.
bool memdb__collect_encode(const memdb__collection_t *collection, memdb__buffer_t *payload);

struct memdb__fold;
/// After the seal: find out what the new base names, and copy it out of the retired extents;
/// synced.
memdb_status_t memdb__collect_copy(struct memdb__fold *fold, memdb_error_t *error);
/// Whether a purge erases a memory, with all its versions.
bool memdb__collect_erases(const memdb__collection_t *collection, uint64_t id);
/// Whether a purge leaves an entry out.
bool memdb__collect_drops(const memdb__collection_t *collection, const memdb__entry_t *entry);
/// Append an entry to the new tier, with the new places of its blobs; one that leads to a blob that
/// nobody names is left out. Counts what it supersedes in the tiers that stay.
memdb_status_t memdb__collect_append(struct memdb__fold *fold, memdb__sorted_writer_t *writer,
                                     const memdb__entry_t *entry, memdb_error_t *error);
/// Fill in what the new manifest says of the arena. `generation`: of the last base whose views may
/// name what was retired now.
memdb_status_t memdb__collect_name(const memdb__collection_t *collection, uint64_t generation,
                                   memdb__manifest_t *manifest, memdb_error_t *error);
/// After the switch, with the fold's own snapshot ended: unlink what nobody reads any more; a purge
/// erases the rest in place.
memdb_status_t memdb__collect_finish(memdb__collection_t *collection, memdb__manifest_t *manifest,
                                     memdb_error_t *error);
/// Unlink the waiting extents that no view of any process reads; they leave manifest->retired.
memdb_status_t memdb__collect_sweep(memdb_t *db, memdb__manifest_t *manifest, memdb_error_t *error);
/// An arena of its own, so that survivors go to extents of their own.
memdb_status_t memdb__collect_open_arena(memdb_t *db, memdb__blobs_t **blobs_out,
                                         memdb_error_t *error);
void memdb__collect_deinit(memdb__collection_t *collection);

// --- between the files of the collector

#define MEMDB__REFERENCE MEMDB__BLOB_REFERENCE_BYTES
/// References by extent, then offset; the rest only so that different ones differ.
int memdb__collect_by_place(const void *a, const void *b);
/// Whether a rising list of u64 has one.
bool memdb__collect_has(const memdb__buffer_t *ids, uint64_t id);
memdb_status_t memdb__collect_no_memory(memdb_error_t *error);
/// Add what a record's entry names; then sort, keep each once, and add up what they take.
memdb_status_t memdb__collect_add_names(memdb__buffer_t *names, const memdb__entry_t *entry,
                                        memdb_error_t *error);
void memdb__collect_finish_names(memdb__collection_t *collection);

#endif
