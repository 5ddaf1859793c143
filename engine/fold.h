// What the files of the checkpoint share: fold.c (its steps), fold_keep.c (what a new tier keeps),
// fold_sums.c (what it says of the merged tiers and runs as a whole) and collect*.c (the arena).
#ifndef MEMDB_ENGINE_FOLD_H
#define MEMDB_ENGINE_FOLD_H

#include "engine/collect.h"
#include "engine/history.h"

typedef struct memdb__fold {
    memdb_t *db;
    memdb_snapshot_t snapshot; // at the seal
    size_t first_tier;         // of those merged
    memdb__moment_t horizon;   // its `end` is the oldest position that the new base can be read at
    memdb__sight_t at_horizon;
    memdb__live_t live;      // at the horizon
    memdb__tier_name_t tier; // what is written
    memdb__collection_t collection;
    memdb__manifest_t manifest; // what was switched to
    memdb_error_t *error;
    // The indexes of one space at the horizon; attributes_of 0: not read.
    memdb_space_t attributes_of;
    memdb__attributes_t attributes;
    bool attributes_live; // the space
} memdb__fold_t;

/// Fold, with `work` or as an ordinary checkpoint (NULL).
memdb_status_t memdb__fold(memdb_t *db, memdb__space_work_t *work, memdb_error_t *error);

/// Note in the catalog that what was forgotten with erase up to `lsn` is erased.
memdb_status_t memdb__fold_mark_purged(memdb_t *db, uint64_t lsn, memdb_error_t *error);

/// What compact and purge do around their fold, under the checkpoint lock (compact.c).
memdb_status_t memdb__space_begin(memdb_t *db, memdb__space_work_t *work, memdb_error_t *error);
memdb_status_t memdb__space_end(memdb_t *db, memdb__space_work_t *work, memdb_error_t *error);

// fold_keep.c: what the new tier keeps.

/// Choose the horizon, by the settings that the fold's snapshot sees, and fill what depends on it.
memdb_status_t memdb__fold_choose_horizon(memdb__fold_t *fold, memdb_error_t *error);
/// Whether an entry is left out of the new tier. Entries above the horizon, and the newest of a key
/// at or below it, are asked about: the merge gives no others.
memdb_status_t memdb__fold_is_dropped(memdb__fold_t *fold, const memdb__entry_t *entry,
                                      bool *dropped_out, memdb_error_t *error);
/// Whether a space, a document or a row is kept: somebody who reads at or above the horizon may see
/// it. The forms that the stores' writers want: context is the fold. Damage that is met is kept in
/// fold->live.error.
bool memdb__fold_keeps_space(void *fold, memdb_space_t space);
bool memdb__fold_keeps_document(void *fold, memdb_space_t space, uint64_t id, uint64_t version);
bool memdb__fold_keeps_row(void *fold, memdb_space_t space, uint64_t id, uint64_t version);

// fold_sums.c: what a fold writes of its own, in place of the merged tiers' entries.
/// Write the sums of what the merged tiers and the folded runs count for each space.
memdb_status_t memdb__fold_write_counters(memdb__fold_t *fold, memdb__sorted_writer_t *writer,
                                          memdb_error_t *error);
/// Write the horizon, and the commits above it.
memdb_status_t memdb__fold_write_history(memdb__fold_t *fold, memdb__sorted_writer_t *writer,
                                         memdb_error_t *error);

#endif
