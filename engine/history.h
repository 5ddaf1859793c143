// History: which older moments can be read, and where in the log a moment of time lies.
//
// A fold keeps, of each key, the versions above a horizon and the newest one at or below it (see
// fold_keep.c), so everything from the horizon on can be read exactly as it was. The horizon of the
// newest fold is the *floor*: the oldest moment that can be read. A commit is known by its frame
// and its commit time; both rise from commit to commit. Runs remember their frames in memory. Tiers
// remember the floor (key 'H' alone) and the commits above it (key 'H' with the time of the first
// of some hundred commits): a few bytes a commit, and none without history.
#ifndef MEMDB_ENGINE_HISTORY_H
#define MEMDB_ENGINE_HISTORY_H

#include "engine/view.h"

/// The commits of one entry.
#define MEMDB__HISTORY_MOMENTS 256

/// Encode `count` moments (1 to MEMDB__HISTORY_MOMENTS), which rise: for each a varint of the bytes
/// between the frame before and it (for the first one: its LSN), a varint of its bytes, and a
/// varint of the time since the one before (for the first: since the time in the key, which is 0).
/// False: out of memory.
bool memdb__moments_encode(memdb__buffer_t *out, const memdb__moment_t *moments, size_t count);
/// The time is that of the key. False: not well formed.
bool memdb__moments_decode(const uint8_t *data, size_t size, int64_t time,
                           memdb__moment_t moments_out[MEMDB__HISTORY_MOMENTS], size_t *count_out);

/// The oldest moment that can be read through a view: its `end` is the horizon of the newest fold.
/// A database that was never folded has its whole history: {0, 0, INT64_MIN}.
memdb_status_t memdb__history_floor(const memdb__view_t *view, memdb__moment_t *floor_out,
                                    memdb_error_t *error);

/// The newest commit whose frame begins below `lsn`, or whose time is at most `time`, of those that
/// end at or below `visible`. MEMDB_EXPIRED, with the oldest that can be read in the message: it is
/// older than the floor. The caller holds db->apply, or the runs of the view are sealed.
memdb_status_t memdb__history_at_lsn(const memdb__view_t *view, uint64_t visible, uint64_t lsn,
                                     memdb__moment_t *moment_out, memdb_error_t *error);
memdb_status_t memdb__history_at_time(const memdb__view_t *view, uint64_t visible, int64_t time,
                                      memdb__moment_t *moment_out, memdb_error_t *error);

/// Call `visit` for each commit that tiers from number `first_tier` on remember, and then for each
/// of the runs that are sealed at or below `sealed`, oldest first.
memdb_status_t memdb__history_each(const memdb__view_t *view, size_t first_tier, uint64_t sealed,
                                   memdb_status_t (*visit)(void *context,
                                                           const memdb__moment_t *moment),
                                   void *context, memdb_error_t *error);

#endif
