// Reading one segment frame by frame, and walking the whole log.
#ifndef MEMDB_WAL_WAL_READER_H
#define MEMDB_WAL_WAL_READER_H

#include "wal/wal_segment.h"

/// A position in one segment, with a read-ahead buffer that is kept between uses.
typedef struct memdb__wal_reader {
    const memdb__wal_log_t *log;
    memdb__wal_segment_t segment; // fd -1: none
    uint64_t position;            // end of the last frame taken (or where reading began)
    uint64_t next;                // where to look for the next one: >= position
    uint64_t batch_end;           // end of the last frame of the batch at `next`; 0: not known
    uint32_t batch_frames;        // of that batch, still to come
    uint64_t torn_end; // after a bad frame: where its batch would have ended; 0: not known
    uint8_t *buffer;
    size_t buffer_bytes;
    uint64_t buffered; // LSN of its first byte
    size_t buffered_bytes;
} memdb__wal_reader_t;

void memdb__wal_reader_init(memdb__wal_reader_t *reader, const memdb__wal_log_t *log);
void memdb__wal_reader_deinit(memdb__wal_reader_t *reader);
/// Go on in `segment` (taken over; the one before is closed) with the first frame at or after
/// `position`, which is the end of a frame.
void memdb__wal_reader_attach(memdb__wal_reader_t *reader, const memdb__wal_segment_t *segment,
                              uint64_t position);
/// Forget what was read ahead, and where the batch ends: look again at `position`.
void memdb__wal_reader_rewind(memdb__wal_reader_t *reader);

/// The next frame, reading no byte at `limit` or above. The payload is lent until the next call.
/// Errors  MEMDB_DONE     `limit` is reached;
///         MEMDB_CORRUPT  no whole frame is here: the tail, or damage; names file and offset.
memdb_status_t memdb__wal_reader_next(memdb__wal_reader_t *reader, uint64_t limit,
                                      memdb__frame_t *frame_out, memdb_error_t *error);

/// Look behind a bad frame for proof that it is damage: a later batch that carries a durable LSN
/// above reader->position. proof_out  its LSN, or 0; written_out: the end of the last batch seen,
/// or 0.
memdb_status_t memdb__wal_reader_search(memdb__wal_reader_t *reader, uint64_t *proof_out,
                                        uint64_t *written_out, memdb_error_t *error);

/// What a walk over the log found. `reader` stays attached to the last segment.
typedef struct memdb__wal_walk {
    memdb__wal_reader_t reader;
    memdb__wal_list_t list;
    uint64_t end;
    int64_t last_commit_time; // INT64_MIN: no frame
    uint64_t frames, cut_bytes;
    bool hole; // whole batches lie behind the end
} memdb__wal_walk_t;

/// Visit (visit may be NULL) every whole frame from `from` on, up to the end of the log by the
/// torn-tail rule. Deinit `walk` after success only.
memdb_status_t memdb__wal_walk_run(memdb__wal_walk_t *walk, const memdb__wal_log_t *log,
                                   uint64_t from, memdb__frame_fn visit, void *context,
                                   memdb_error_t *error);
void memdb__wal_walk_deinit(memdb__wal_walk_t *walk);
/// Copy what a walk that found a hole leaves out into a file of `aside` in the database's
/// directory, as far as there is room for it. kept_out false: the file system has none.
memdb_status_t memdb__wal_aside_keep(int directory, const memdb__wal_walk_t *walk, bool *kept_out,
                                     memdb_error_t *error);

#endif
