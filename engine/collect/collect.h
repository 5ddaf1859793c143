// Collecting the garbage of the arena, as a part of a merge of all tiers. See collect.c.
#ifndef MEMDB_ENGINE_COLLECT_H
#define MEMDB_ENGINE_COLLECT_H

#include "engine/engine.h"

/// What compact and purge ask of a collection: rewrite everything, collect whatever is dead, begin
/// a small log.
typedef struct memdb__space_work {
    bool purge;        // and erase what was forgotten so
    uint64_t seal_lsn; // out: up to which the log was folded before
    memdb_space_report_t report;
} memdb__space_work_t;

/// What the arena takes, without the extents that wait to be unlinked.
typedef struct memdb__arena_size {
    uint64_t extents, bytes;
    uint64_t free_bytes; // of those that nobody has locked
    uint64_t small;      // of those: how many are small
} memdb__arena_size_t;

typedef struct memdb__collection {
    memdb_t *db;
    memdb__space_work_t *work;         // NULL: only what is worth it
    memdb__manifest_t before;          // what the catalog names when it begins
    memdb__arena_size_t arena;         // when it begins
    bool whole;                        // all tiers are rewritten
    bool surveyed;                     // `names` is what the new base will name
    memdb__buffer_t names;             // references (32 bytes), sorted, each once
    uint64_t named_bytes, arena_bytes; // of the arena: named; in all, without what goes
    memdb__buffer_t extents;           // u64 ids, rising: to be emptied
    memdb__buffer_t moved;             // pairs of references, from and to, sorted by the first
    memdb__buffer_t damaged;           // u64 ids of those that could not be copied, and stay
    memdb__buffer_t erased;            // u64 ids of memories, rising: purge
    memdb__buffer_t record;            // scratch
    memdb__blobs_t *survivors;         // the arena's new extents
} memdb__collection_t;

/// Read the catalog, and look how large the arena is.
memdb_status_t memdb__collect_look(memdb__collection_t *collection, memdb_error_t *error);
/// Whether all tiers of `manifest` should be rewritten, as far as can be told without reading them.
bool memdb__collect_is_due(const memdb__collection_t *collection,
                           const memdb__manifest_t *manifest);
/// Look; decide whether all tiers are rewritten (`whole`), unless more than `limit_bytes` would be,
/// and choose extents. Range MERGE of `lock` is held.
memdb_status_t memdb__collect_choose(memdb__collection_t *collection, uint64_t limit_bytes,
                                     memdb_error_t *error);
/// Append the operation that retires the chosen extents to the payload of a fold's seal. False: out
/// of memory.
bool memdb__collect_encode(const memdb__collection_t *collection, memdb__buffer_t *payload);
/// Name the chosen extents in the manifest of the fold that retires them, beside those that still
/// wait in `before`. `retiring` NULL: those alone.
memdb_status_t memdb__collect_list(const memdb__manifest_t *before,
                                   const memdb__collection_t *retiring, memdb__manifest_t *manifest,
                                   memdb_error_t *error);

struct memdb__fold;
/// Of a merge of all tiers: find out what the new base names, and copy it out of the retired
/// extents; synced.
memdb_status_t memdb__collect_copy(struct memdb__fold *merge, memdb_error_t *error);
/// Whether a purge erases a memory, with all its versions.
bool memdb__collect_erases(const memdb__collection_t *collection, uint64_t id);
/// Whether a purge leaves an entry out.
bool memdb__collect_drops(const memdb__collection_t *collection, const memdb__entry_t *entry);
/// Append an entry to the new tier, with the new places of its blobs; one that leads to a blob that
/// nobody names is left out. Counts what it supersedes in the tiers that stay.
memdb_status_t memdb__collect_append(struct memdb__fold *fold, memdb__sorted_writer_t *writer,
                                     const memdb__entry_t *entry, memdb_error_t *error);
/// Fill in what the manifest of a merge of all tiers says of the arena: the emptied extents wait
/// for the views of manifest->generation, the last base that names them.
void memdb__collect_name(const memdb__collection_t *collection, memdb__manifest_t *manifest);
/// After the switch: unlink what nobody reads any more; a purge erases the rest in place.
memdb_status_t memdb__collect_finish(memdb__collection_t *collection, memdb__manifest_t *manifest,
                                     memdb_error_t *error);
/// Unlink the waiting extents that no view of any process reads; they leave manifest->retired.
/// Under the checkpoint lock.
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
/// MEMDB_BUSY: the handle closes, and what was not asked for is given up.
memdb_status_t memdb__collect_goes_on(const memdb_t *db, memdb_error_t *error);
/// Add what a record's entry names; then sort, keep each once, and add up what they take.
memdb_status_t memdb__collect_add_names(memdb__buffer_t *names, const memdb__entry_t *entry,
                                        memdb_error_t *error);
void memdb__collect_finish_names(memdb__collection_t *collection);

#endif
