// Copying a log: the archive of what the cut gave up, reading a range of log and archive, and
// writing frames as one whole segment of another log.
//
// Archive. While a database has the directory `archive`, the cut moves log segments there instead
// of recycling or unlinking them, so that an incremental backup finds what was written since the
// one before. Whoever has copied a segment durably trims it. Above its limit the archive is given
// up whole, with its directory: a chain with a hole is of no use, and the next backup copies
// everything and begins a new one.
// Copy. Segments that a backup writes carry a flag in their header and hold frames to the last
// byte; a log of such segments alone was never opened for writing. A segment is published with one
// rename after all of it is synced.
#ifndef MEMDB_WAL_COPY_H
#define MEMDB_WAL_COPY_H

#include "wal/wal.h"

/// Open `directory`/archive; -1: the database keeps none.
memdb_status_t memdb__archive_open(int directory, int *archive_out, memdb_error_t *error);
/// Make it, synced. What is in it stays.
memdb_status_t memdb__archive_begin(int directory, memdb_error_t *error);
/// Remove it with all that it holds. The caller holds the checkpoint lock.
memdb_status_t memdb__archive_end(int directory, memdb_error_t *error);
/// Bytes of its files.
memdb_status_t memdb__archive_bytes(int directory, uint64_t *bytes_out, memdb_error_t *error);
/// Unlink its log segments that end at or below `lsn`, and those that own nothing.
memdb_status_t memdb__archive_trim(int directory, const memdb__wal_options_t *options, uint64_t lsn,
                                   memdb_error_t *error);

/// Visit the whole frames in [from, to) of log and archive, while others append and cut.
///
/// from    the end of a frame, the LSN of one, or in no frame.
/// to      the end of a frame; all below is durable.
/// Errors  MEMDB_NOT_FOUND  log and archive do not reach back to `from`; nothing was visited.
///         MEMDB_CORRUPT    damage, or a file that was cut away meanwhile: the caller compares with
///                          control->applied.
memdb_status_t memdb__wal_range(int directory, const memdb__wal_options_t *options, uint64_t from,
                                uint64_t to, memdb__frame_fn visit, void *context,
                                memdb_error_t *error);

typedef struct memdb__wal_copy memdb__wal_copy_t;

typedef struct memdb__wal_copy_options {
    memdb__wal_options_t log; // of the log that is written
    uint64_t from;            // where the frame before the first ends
    uint64_t epoch_floor;     // the segment's epoch is not below
    bool whole;               // the log is this segment alone: all others go when it is published
    bool marked;              // it carries the flag of a backup
} memdb__wal_copy_options_t;

/// Begin a segment in `directory`/log, which is made where it is missing; nobody else writes there.
/// Unless it is `whole`, it follows the newest one.
memdb_status_t memdb__wal_copy_begin(int directory, const memdb__wal_copy_options_t *options,
                                     memdb__wal_copy_t **copy_out, memdb_error_t *error);
/// Add a frame. A memdb__frame_fn.
memdb_status_t memdb__wal_copy_frame(void *copy, const memdb__frame_t *frame, memdb_error_t *error);
/// All frames are there: complete the header and sync the file. bytes_out: of the file.
memdb_status_t memdb__wal_copy_finish(memdb__wal_copy_t *copy, uint64_t *bytes_out,
                                      memdb_error_t *error);
/// Give it its name, after memdb__wal_copy_finish.
memdb_status_t memdb__wal_copy_publish(memdb__wal_copy_t *copy, memdb_error_t *error);
/// Frees it; what was not published is unlinked.
void memdb__wal_copy_destroy(memdb__wal_copy_t *copy);

/// Whether all segments of a log were written by backups. name_out: else, one that was not.
memdb_status_t memdb__wal_copy_is_pure(int directory, const memdb__wal_options_t *options,
                                       bool *pure_out, char name_out[32], memdb_error_t *error);

#endif
