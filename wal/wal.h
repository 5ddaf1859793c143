// The write-ahead log: a byte sequence of checksummed frames, cut into segment files. An LSN is a
// position in it.
//
// The log is the database: every change is first a frame here. Payloads are opaque; a transaction
// is one frame. docs/file_format.md has the bytes; the rules that shape them:
//
// Segment.  `log/<epoch, 16 hex digits>.log`: a 4 KiB header (magic, version, database id, epoch,
// start LSN, checksum),
//   then the log's bytes from the start LSN on: LSN x is at file offset 4096 + (x - start). Start
//   LSNs are multiples of 4,096. A file under that name always has a whole, synced header: it is
//   made under another name (`new`, or a recycled file renamed to it), filled with zeros ahead of
//   use, given its header, synced, renamed, and the directory synced, before its first frame. The
//   segment that owns LSN x is the one of the highest epoch whose start is <= x: bytes of older
//   segments from there on are dead.
// Batch.  Begins on a 4 KiB boundary (so that no acknowledged block is ever rewritten): a header
// (magic, epoch, its LSN,
//   byte count, frame count, the durable LSN known when it was written, checksum), then frames back
//   to back, zero fill.
// Frame.  Header (payload size, commit time, XXH3-64 that covers epoch, LSN, time and payload),
// then the payload.
//   Its LSN is the position of its header, its end the position after the payload rounded up to 8.
//   A frame that does not fit the segment's remaining space opens a new segment, made large enough
//   for it.
// Tail or damage.  A bad batch or frame at X is the torn tail, unless a later whole batch of the
// same chain carries a durable
//   LSN above X, or a segment of a higher epoch starts above X: then it is damage, and
//   MEMDB_CORRUPT. An empty rest of a segment with a successor that starts exactly at X is its end.
//   The last batch of a segment that another one follows is marked "continues", so that a lost
//   successor file is noticed.
// Recovery and repair.  End the log at its last whole frame X, sync it, and open a new segment with
// an epoch never used
//   before and the start X rounded up to 4 KiB. LSNs between are a hole that no frame occupies;
//   readers skip it by the next segment's start.
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
/// sync the log; open a new segment. `epoch_floor`: every epoch used before it was recorded is
/// below it. After a failed sync of an earlier life the surviving frames above `from` are rewritten
/// into the fresh segment and synced (rule 8); as a lone opener cannot know, it may always do so
/// when the log above `from` is small, or use `rewrite`. Errors  MEMDB_CORRUPT  damage in the
/// middle, a missing segment, or a bad header; names file and offset.
memdb_status_t memdb__wal_recover(int directory, const memdb__wal_options_t *options, uint64_t from,
                                  uint64_t epoch_floor, bool rewrite, memdb__frame_fn visit,
                                  void *context, memdb__wal_recovery_t *recovery_out,
                                  memdb_error_t *error);

/// Visit every whole frame from `from` on without changing anything (read-only openers, verify).
/// `end_out`: after the last.
memdb_status_t memdb__wal_scan(int directory, const memdb__wal_options_t *options, uint64_t from,
                               memdb__frame_fn visit, void *context, uint64_t *end_out,
                               memdb_error_t *error);

/// Attach to the log of a database that is open: `control` is mapped and outlives the handle.
/// Thread-safe as each function says.
memdb_status_t memdb__wal_open(int directory, const memdb__wal_options_t *options,
                               memdb__control_t *control, memdb__wal_t **wal_out,
                               memdb_error_t *error);
void memdb__wal_close(memdb__wal_t *wal);

// --- appending: lock, add frames, write, unlock. One thread of the process at a time (the caller
// sees to that).

/// Take the writer mutex. After the death of its owner: repair, then go on (rule 1).
/// Errors  MEMDB_FAILED  control->failed is set.
memdb_status_t memdb__wal_lock(memdb__wal_t *wal, memdb_error_t *error);
void memdb__wal_unlock(memdb__wal_t *wal);
/// Place a frame in the batch being built (in memory) and give its LSN, end and commit time (max of
/// now and the last + 1): known before the write, so that the caller can apply it. Copies the
/// payload. Opens a new segment first where needed.
memdb_status_t memdb__wal_add(memdb__wal_t *wal, const void *payload, size_t size,
                              memdb__frame_t *frame_out, memdb_error_t *error);
/// Bytes of the batch being built.
size_t memdb__wal_batch_bytes(const memdb__wal_t *wal);
/// Write the batch (pwrite or io_uring) and raise control->written to its end. An empty batch does
/// nothing. A failure sets control->failed; it is never retried.
memdb_status_t memdb__wal_write(memdb__wal_t *wal, memdb_error_t *error);

// --- any thread, no lock held

/// Make everything up to `lsn` durable: returns at once when control->durable is there; else takes
/// the sync mutex, syncs every log segment up to the written LSN, oldest first, and raises
/// control->durable. A failure sets control->failed.
memdb_status_t memdb__wal_sync(memdb__wal_t *wal, uint64_t lsn, memdb_error_t *error);

/// Visit the whole frames in [from, to), `to` at most control->written. Reads files with pread;
/// takes no shared lock. One thread at a time a handle. end_out  where it stopped: `to`, or (after
/// a hole) the LSN at which the next frame will be. Errors   MEMDB_NOT_FOUND  the cut has passed
/// `from`: adopt the newer base (rule 19).
memdb_status_t memdb__wal_follow(memdb__wal_t *wal, uint64_t from, uint64_t to,
                                 memdb__frame_fn visit, void *context, uint64_t *end_out,
                                 memdb_error_t *error);

/// Give up log segments that lie wholly below `applied`; one or two are kept for recycling. The
/// caller holds the checkpoint lock.
memdb_status_t memdb__wal_cut(memdb__wal_t *wal, uint64_t applied, memdb_error_t *error);

typedef struct memdb__wal_stats {
    uint64_t batches, syncs, bytes, segments, file_bytes;
} memdb__wal_stats_t;
void memdb__wal_stats(memdb__wal_t *wal, memdb__wal_stats_t *stats_out);

#endif
