// What backup and restore share: copying the base of one database into another, frame by frame its
// log, and the blobs that both name.
//
// The copy is a database of its own, with an id of its own: headers and frames are written anew
// with it, so that a file of one is never taken for a file of the other, however their log
// positions go on. The order, which each caller keeps: the frames of the log into a segment without
// a name; segments; blobs; the catalog, which is the switch; the log's segment by its name; the
// root.
#ifndef MEMDB_ENGINE_COPY_H
#define MEMDB_ENGINE_COPY_H

#include "engine/backup/backup_state.h"
#include "engine/engine.h"
#include "wal/copy.h"

typedef struct memdb__copy {
    int from, to;                   // the directories of both databases
    uint8_t from_id[16], to_id[16]; // their ids
    memdb__manifest_t manifest;     // the base
    int *held;                      // its segments, open: three a tier, -1 for none
    memdb__wal_copy_t *log;         // where frames go
    memdb__last_frame_t last;       // the newest one of them
    int64_t first_time;             // commit time of the oldest; MEMDB_TIME_NONE: there is none
    memdb__buffer_t needed;         // references of blobs that must be copied,
    memdb__buffer_t wanted;         // and of those that are copied where they are there
    memdb_progress_fn progress;
    void *progress_context;
    uint64_t done_bytes, total_bytes;
    uint64_t bytes, files; // written
} memdb__copy_t;

/// Open the segments of copy->manifest, so that no merge takes them away.
/// Errors  MEMDB_NOT_FOUND  one is gone: a newer base replaced it, or it is missing.
memdb_status_t memdb__copy_hold(memdb__copy_t *copy, memdb_error_t *error);
/// Close them, and forget manifest, log and blobs, for another try or for good.
void memdb__copy_release(memdb__copy_t *copy);

/// Write a frame to copy->log and note its blobs. A memdb__frame_fn.
memdb_status_t memdb__copy_frame(void *copy, const memdb__frame_t *frame, memdb_error_t *error);
/// Begin copy->log behind `from`; options for the rest.
memdb_status_t memdb__copy_begin_log(memdb__copy_t *copy, uint64_t from, uint64_t epoch_floor,
                                     bool whole, bool marked, memdb_error_t *error);
/// All frames are there: sync.
memdb_status_t memdb__copy_finish_log(memdb__copy_t *copy, memdb_error_t *error);

/// Copy the segments, checking all; those that an interrupted copy brought whole are left alone.
memdb_status_t memdb__copy_segments(memdb__copy_t *copy, memdb_error_t *error);
/// Note the blobs that the copied base names: current records need them; whatever else is in its
/// segments wants them.
memdb_status_t memdb__copy_note_base(memdb__copy_t *copy, memdb_error_t *error);
/// Copy the blobs noted, checking all.
/// Errors  MEMDB_NOT_FOUND  the extent of a needed one is gone.
memdb_status_t memdb__copy_blobs(memdb__copy_t *copy, memdb_error_t *error);
/// Make the catalog (or replace what it names, where the copy has a root) and sync directories.
memdb_status_t memdb__copy_catalog(memdb__copy_t *copy, bool exists, memdb_error_t *error);
memdb_status_t memdb__copy_root(memdb__copy_t *copy, memdb_durability_t durability,
                                memdb_error_t *error);
/// Unlink segments, and extents, that the copy does not name. The second after memdb__copy_blobs.
memdb_status_t memdb__copy_sweep(memdb__copy_t *copy, memdb_error_t *error);
memdb_status_t memdb__copy_sweep_blobs(memdb__copy_t *copy, memdb_error_t *error);

/// Tell progress.
void memdb__copy_moved(void *copy, uint64_t bytes);
/// Whether `path` holds nothing but `lock` and what an interrupted replacement of `state` left.
memdb_status_t memdb__copy_is_unused(int directory, const char *state, bool *unused_out,
                                     memdb_error_t *error);

#endif
