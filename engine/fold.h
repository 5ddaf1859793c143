// What the files of the checkpoint share: fold.c (its steps) and fold_keep.c (what a new tier
// keeps).
#ifndef MEMDB_ENGINE_FOLD_H
#define MEMDB_ENGINE_FOLD_H

#include "engine/engine.h"

typedef struct memdb__fold {
    memdb_t *db;
    memdb_snapshot_t snapshot; // at the seal
    size_t first_tier;         // of those merged
    memdb__live_t live;
    memdb__tier_name_t tier; // what is written
    memdb_error_t *error;
} memdb__fold_t;

/// Whether a space is live at the seal. The form that the stores' writers want: context is the
/// fold's memdb__live_t.
bool memdb__fold_space_live(void *live, memdb_space_t space);
/// Whether an entry is left out of the new tier: it hides nothing older, or leads to nothing.
memdb_status_t memdb__fold_is_dropped(memdb__fold_t *fold, const memdb__entry_t *entry,
                                      bool *dropped_out, memdb_error_t *error);
/// Write the sums of what the merged tiers and the folded runs count for each space.
memdb_status_t memdb__fold_write_counters(memdb__fold_t *fold, memdb__sorted_writer_t *writer,
                                          memdb_error_t *error);

#endif
