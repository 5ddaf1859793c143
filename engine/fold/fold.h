// What the files of the checkpoint share: fold.c (its steps), merge.c (tiers merged beside it),
// fold_tier.c (writing a tier), fold_keep.c (what it keeps), fold_sums.c (what it says of the
// merged tiers and runs as a whole), fold_switch.c (the one switch) and collect*.c (the arena, of
// merges of all tiers).
#ifndef MEMDB_ENGINE_FOLD_H
#define MEMDB_ENGINE_FOLD_H

#include "engine/collect/collect.h"
#include "engine/history.h"

/// A new tier in the making: of the runs below a seal and the newest tiers (a fold), or of tiers
/// alone (a merge).
typedef struct memdb__fold {
    memdb_t *db;
    bool is_merge;
    memdb__collection_t *retiring; // of a fold: what it retires extents for; NULL: nothing
    memdb_snapshot_t snapshot;     // at the seal; of a merge: its sight alone, at the base's end
    size_t first_tier;             // of those merged: all from here on
    const memdb__run_t *alone;     // the only run that is folded, if it rewrites no record
    uint64_t older_id;             // no tier before the first has the record of a larger one
    memdb__moment_t horizon; // its `end` is the oldest position that the new base can be read at
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
    uint32_t rows_of;     // the table that was asked about last; 0: none
    bool rows_kept;
} memdb__fold_t;

// fold_tier.c, fold_switch.c: the steps of folds and merges.

uint64_t memdb__fold_tier_bytes(const memdb__tier_name_t *tier);
/// Write the new tier's files, synced with their directory; on failure none is left.
memdb_status_t memdb__fold_write_tier(memdb__fold_t *fold, memdb_error_t *error);
/// Unlink the files of a tier that no catalog names.
void memdb__fold_unlink_tier(memdb_t *db, const memdb__tier_name_t *tier);
/// The one switch, under the checkpoint lock: the new tier in the place of those that it is made
/// of, which are unlinked. On failure the new one is, unless the catalog may name it.
memdb_status_t memdb__fold_switch(memdb__fold_t *fold, memdb_error_t *error);
/// Tell the other processes which base there is.
void memdb__fold_tell_base(memdb_t *db, uint64_t applied_lsn, uint64_t generation);

// merge.c

/// A tier is merged when it holds at most this many times what lies above it: so tiers grow at
/// least threefold from one to the older one, there are O(log n) of them, and an entry is rewritten
/// O(log n) times.
#define MEMDB__MERGE_RATIO 3
/// How much a fold merges along at most: a few seconds' work, while the log's limit leaves room for
/// many.
uint64_t memdb__merge_along_limit(const memdb_t *db);
/// From which tier on a fold of runs of `run_bytes` merges the newest along. `arena`: there is one,
/// and a rewrite of all tiers is left to a collection.
size_t memdb__merge_along(const memdb_t *db, const memdb__view_t *view, uint64_t run_bytes,
                          bool merging, bool arena);
/// Whether a merge goes on in any process. Under the checkpoint lock: then none begins, either.
memdb_status_t memdb__merge_goes_on(memdb_t *db, bool *merging_out, memdb_error_t *error);
/// Keep merges out of all processes; blocks. Before the checkpoint lock is taken.
memdb_status_t memdb__merge_exclude(memdb_t *db, memdb_error_t *error);
void memdb__merge_admit(memdb_t *db);

/// The steps of a merge; memdb__merge takes all of them. After a begin with `found_out` false, or a
/// failed step, there is nothing to do but the end. `work` NULL: what is due is done, if it is at
/// most `limit_bytes`; else all tiers are merged.
memdb_status_t memdb__merge_begin(memdb_t *db, memdb__space_work_t *work, uint64_t limit_bytes,
                                  memdb__fold_t *merge, bool *found_out, memdb_error_t *error);
memdb_status_t memdb__merge_write(memdb__fold_t *merge, memdb_error_t *error);
memdb_status_t memdb__merge_switch(memdb__fold_t *merge, memdb_error_t *error);
void memdb__merge_end(memdb__fold_t *merge);

/// Fold; for a collection that begins, or as an ordinary checkpoint (NULL).
memdb_status_t memdb__fold(memdb_t *db, memdb__collection_t *retiring, memdb_error_t *error);

/// Note in the catalog that what was forgotten with erase up to `lsn` is erased.
memdb_status_t memdb__fold_mark_purged(memdb_t *db, uint64_t lsn, memdb_error_t *error);

/// What compact and purge do before their fold and after all, under the checkpoint lock
/// (compact.c).
memdb_status_t memdb__space_begin(memdb_t *db, memdb__space_work_t *work, memdb_error_t *error);
memdb_status_t memdb__space_end(memdb_t *db, memdb__space_work_t *work, memdb_error_t *error);

// fold_keep.c: what the new tier keeps.

/// Look at what spares the fold looking things up for each entry.
memdb_status_t memdb__fold_survey(memdb__fold_t *fold, memdb_error_t *error);
/// Choose the horizon, by the settings that the fold's snapshot sees (of a merge: the one that its
/// base has), and fill what depends on it.
memdb_status_t memdb__fold_choose_horizon(memdb__fold_t *fold, memdb_error_t *error);
/// Whether an entry is left out of the new tier. Entries above the horizon, and the newest of a key
/// at or below it, are asked about: the merge gives no others.
memdb_status_t memdb__fold_is_dropped(memdb__fold_t *fold, const memdb__entry_t *entry,
                                      bool *dropped_out, memdb_error_t *error);
/// Whether the merge is to be given up: its handle closes.
bool memdb__fold_is_cancelled(memdb__fold_t *fold);
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
