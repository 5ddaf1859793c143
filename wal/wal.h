// The write-ahead log: a byte sequence of checksummed frames, cut into segment files. An LSN is a
// position in it.
//
// The log is the database: every change is first a frame here. Payloads are opaque; a transaction
// is one frame. docs/file_format.md has the bytes; the rules that shape them:
//
// Segment. `log/<epoch, 16 hex digits>.log`: a 4 KiB header (magic, version, database id, epoch,
//   start LSN, capacity, the predecessor's epoch and end, checksum), then the log's bytes from the
//   start LSN on: LSN x is at file offset 4096 + (x - start). Start LSNs are multiples of 4,096. A
//   file under that name always has a whole, synced header: it is made under another name (`new`,
//   or a recycled file renamed to it), filled with zeros ahead of use, synced, renamed, and the
//   directory synced, before its first frame. The segment that owns LSN x is the one of the highest
//   epoch whose start is <= x: bytes of older segments from there on are dead. Frames of the
//   predecessor end at the LSN that the header names; no frame lies from there to the start.
// Batch. Begins on a 4 KiB boundary (so that no acknowledged block is ever rewritten): a header
//   (magic, epoch, its LSN, byte count, frame count, the durable LSN known when it was written, the
//   end of the frame before it, checksum), then frames back to back, zero fill.
// Frame. Header (payload size, commit time, XXH3-64 that covers epoch, LSN, time and payload), then
//   the payload. Its LSN is the position of its header, its end the position after the payload
//   rounded up to 8. A frame that does not fit the segment's remaining space opens a new segment,
//   made large enough for it.
// Leaving a segment. All of it is synced, its successor is published, then its last block gets a
//   closing mark: a batch header without frames, flagged. So only the newest segment can hold
//   unsynced bytes, and a lost successor file is noticed.
// Tail or damage. A bad batch or frame at X is the torn tail, unless a later batch of the same
//   segment carries a durable LSN above X, a successor names an end above X, or the closing mark is
//   there without a successor: then it is damage, and MEMDB_CORRUPT.
// Recovery and repair. End the log at its last whole frame X, sync it, and open a new segment with
//   an epoch never used before and the start X rounded up to 4 KiB. A recovery that rewrites starts
//   it at the block of `from` instead and copies the frames from there on, under the same LSNs.
#ifndef MEMDB_WAL_WAL_H
#define MEMDB_WAL_WAL_H

#include "base/io.h"
#include "wal/control.h"

typedef struct memdb__wal memdb__wal_t;

/// One frame, as a visitor sees it.
typedef struct memdb__frame {
    uint64_t lsn;           // of its header
    uint64_t end;           // LSN after it: a snapshot that sees up to `end` or more sees it
    int64_t commit_time;    // microseconds, rising
    const uint8_t *payload; // lent for the call
    size_t size;
} memdb__frame_t;

typedef memdb_status_t (*memdb__frame_fn)(void *context, const memdb__frame_t *frame,
                                          memdb_error_t *error);

typedef struct memdb__wal_options {
    uint8_t database_id[16];
    uint64_t segment_bytes; // of a log segment; default 64 MiB
    memdb_io_backend_t backend;
    memdb_log_fn log;
    void *log_context;
    uint64_t archive_limit_bytes; // above it the archive is given up (wal/copy.h); 0: no limit
} memdb__wal_options_t;

/// Make the first segment of a new database in `directory`/log (epoch 1, start 0), synced.
memdb_status_t memdb__wal_create(int directory, const memdb__wal_options_t *options,
                                 memdb_error_t *error);

typedef struct memdb__wal_recovery {
    uint64_t end;   // LSN after the last whole frame (>= from)
    uint64_t start; // start LSN of the new segment, where the next frame goes: >= end
    uint64_t segment_epoch, next_epoch;
    int64_t last_commit_time;
    uint64_t frames;
    uint64_t cut_bytes; // of a torn tail
} memdb__wal_recovery_t;

/// Recover, alone: visit every whole frame from LSN `from` (the base's applied LSN) on, in order;
/// sync the log; open a new segment.
///
/// epoch_floor  every epoch used before it was recorded is below it.
/// past         with `failed` the frames above `from` are copied into the fresh segment, which is
///              synced before it counts (rule 8: after a failed sync of an earlier life the page
///              cache lies); those above `unsure` are written again in their place.
/// Errors       MEMDB_CORRUPT  damage in the middle, a missing segment, or a bad header; names file
///                             and offset.
///              MEMDB_FULL     no space for the new segment; nothing is lost.
memdb_status_t memdb__wal_recover(int directory, const memdb__wal_options_t *options, uint64_t from,
                                  uint64_t epoch_floor, memdb__control_past_t past,
                                  memdb__frame_fn visit, void *context,
                                  memdb__wal_recovery_t *recovery_out, memdb_error_t *error);

/// Visit every whole frame from `from` on without changing anything (read-only openers, verify).
/// A writer may append meanwhile; the cut must not pass `from`.
///
/// end_out  after the last one.
memdb_status_t memdb__wal_scan(int directory, const memdb__wal_options_t *options, uint64_t from,
                               memdb__frame_fn visit, void *context, uint64_t *end_out,
                               memdb_error_t *error);

/// Visit every frame from `from` on that is whole, in a log that may be damaged anywhere; nobody
/// has the database open. `lost` is told of each piece that is missing between them or behind them.
/// Dead frames (rule 1) are not visited; commits may be visited that come behind lost ones.
memdb_status_t memdb__wal_salvage(int directory, const uint8_t database_id[16], uint64_t from,
                                  memdb__frame_fn visit, memdb_verify_fn lost, void *context,
                                  memdb_error_t *error);

/// Attach to the log of a database that is open: `control` is mapped and outlives the handle, as
/// does `directory`.
/// Thread-safe as each function says.
memdb_status_t memdb__wal_open(int directory, const memdb__wal_options_t *options,
                               memdb__control_t *control, memdb__wal_t **wal_out,
                               memdb_error_t *error);
void memdb__wal_close(memdb__wal_t *wal);

// --- appending: lock, add frames, write, unlock. One thread of the process at a time (the caller
// sees to that).

/// Take the writer mutex. After the death of its owner: repair, then go on (rule 1). A repair that
/// fails for want of space or memory leaves the mutex free, and the next locker repairs.
///
/// Errors  MEMDB_FAILED  control->failed is set.
memdb_status_t memdb__wal_lock(memdb__wal_t *wal, memdb_error_t *error);
void memdb__wal_unlock(memdb__wal_t *wal);
/// Place a frame in the batch being built (in memory) and give its LSN, end and commit time (max of
/// now and the last + 1): known before the write, so that the caller can apply it. Copies the
/// payload. Where the frame does not fit the segment, the batch is written and a new one opened.
///
/// Errors  MEMDB_FULL   no space for the frame: it was not placed, and the database goes on.
///         MEMDB_LIMIT  more than 512 MiB.
///         MEMDB_FAILED, MEMDB_IO  the database is failed.
memdb_status_t memdb__wal_add(memdb__wal_t *wal, const void *payload, size_t size,
                              memdb__frame_t *frame_out, memdb_error_t *error);
/// Bytes of the batch being built.
size_t memdb__wal_batch_bytes(const memdb__wal_t *wal);
/// Write the batch (pwrite or io_uring) and raise control->written to its end. An empty batch does
/// nothing. A failure sets control->failed; it is never retried.
memdb_status_t memdb__wal_write(memdb__wal_t *wal, memdb_error_t *error);
/// The same, and durable by the same write (O_DIRECT|O_DSYNC): one trip to the device instead of
/// two, but nobody can join it. For a writer that nobody writes beside: it falls back to a plain
/// write where the batch before was another handle's, something below is not durable yet, or the
/// file system cannot. The caller syncs as always, which finds nothing to do after a write through.
memdb_status_t memdb__wal_write_through(memdb__wal_t *wal, memdb_error_t *error);

// --- any thread, no lock held

/// Whether the newest segment's prepared space, zeros that were written and synced before use, is
/// getting short.
bool memdb__wal_wants_space(memdb__wal_t *wal);
/// Prepare more of it, a little at a time, so that no append has to: those that come meanwhile wait
/// for one part at the most. Without it memdb__wal_add prepares a whole step when it needs one.
/// Errors  MEMDB_FULL  no space now; appends go on while there is some.
memdb_status_t memdb__wal_prepare_space(memdb__wal_t *wal, memdb_error_t *error);

/// Whether so much was written since the last sync that one beside the writers pays: a checkpoint,
/// and who leaves the segment, would wait for all of it.
bool memdb__wal_wants_sync(const memdb__wal_t *wal);

/// Make everything up to `lsn` durable: returns at once when control->durable is there; else takes
/// the sync mutex, syncs the newest segment (older ones are synced when they are left), and raises
/// control->durable to what was written before. A failure sets control->failed.
///
/// Errors  MEMDB_IO, MEMDB_FULL  this sync failed: nobody knows what is durable until reopened.
///         MEMDB_FAILED          an earlier one did.
memdb_status_t memdb__wal_sync(memdb__wal_t *wal, uint64_t lsn, memdb_error_t *error);

/// Visit the whole frames in [from, to). Reads files with pread; takes no shared lock. One thread
/// at a time a handle.
///
/// from, to  each the end of a frame, or in no frame; `to` at most control->written. No byte at
///           `to` or above is read.
/// end_out   `to`, or `from` where that is larger.
/// Errors    MEMDB_NOT_FOUND  the cut has passed `from`, or where the reading got to: adopt the
///                            newer base (rule 19). Frames before that were visited.
///           MEMDB_CORRUPT    names file and offset.
memdb_status_t memdb__wal_follow(memdb__wal_t *wal, uint64_t from, uint64_t to,
                                 memdb__frame_fn visit, void *context, uint64_t *end_out,
                                 memdb_error_t *error);

/// Give up log segments that lie wholly below `applied`; up to two are kept for recycling, or all
/// move to the archive where the database keeps one (wal/copy.h). Raises control->applied first,
/// for the followers. The caller holds the checkpoint lock.
memdb_status_t memdb__wal_cut(memdb__wal_t *wal, uint64_t applied, memdb_error_t *error);
/// The same, keeping none for reuse.
memdb_status_t memdb__wal_cut_all(memdb__wal_t *wal, uint64_t applied, memdb_error_t *error);

/// Leave the newest segment for a fresh one of `capacity` bytes that was never anything else, and
/// unlink the files that were kept for reuse: what was written so far is then in segments that the
/// next cut can give up. The caller holds the checkpoint lock.
///
/// Errors  MEMDB_FULL  nothing was changed.
memdb_status_t memdb__wal_rotate(memdb__wal_t *wal, uint64_t capacity, memdb_error_t *error);

// --- tails that recovery cut behind a hole, kept for a person to look at (wal_aside.c)

/// Unlink them all; `directory` is the database's.
memdb_status_t memdb__wal_aside_remove(int directory, memdb_error_t *error);

typedef struct memdb__wal_stats {
    uint64_t batches, syncs, bytes, segments, file_bytes;
} memdb__wal_stats_t;
void memdb__wal_stats(memdb__wal_t *wal, memdb__wal_stats_t *stats_out);

#endif
