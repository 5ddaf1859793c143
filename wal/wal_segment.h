// Segment files of the log: make, publish, recycle, list, and the chain that they form.
#ifndef MEMDB_WAL_WAL_SEGMENT_H
#define MEMDB_WAL_WAL_SEGMENT_H

#include "wal/wal.h"
#include "wal/wal_format.h"

#define MEMDB__WAL_NAME_BYTES 32
#define MEMDB__WAL_RECYCLE_SLOTS 2 // old segments kept for reuse
#define MEMDB__WAL_FIRST_FILL_BYTES                                                                \
    (1u << 20) // zeros in a new segment: small, so that opening is quick
#define MEMDB__WAL_FILL_STEP_BYTES (4u << 20)   // zeros ahead of the write position, a step
#define MEMDB__WAL_FILL_PART_BYTES (256u << 10) // of those, under one hold of the writer mutex
#define MEMDB__WAL_UNSYNCED_BYTES (8u << 20)    // of lesser batches: then a sync beside them is due

/// What every function on the log's files needs to know.
typedef struct memdb__wal_log {
    int directory; // `log`
    uint8_t database_id[16];
    uint64_t salt;
    uint64_t segment_bytes;
    memdb_log_fn log;
    void *log_context;
} memdb__wal_log_t;

/// Open the directory `log` in `directory`.
memdb_status_t memdb__wal_log_init(memdb__wal_log_t *log, int directory,
                                   const memdb__wal_options_t *options, memdb_error_t *error);
void memdb__wal_log_deinit(memdb__wal_log_t *log);
/// Tell the user's log function, if there is one.
void memdb__wal_tell(const memdb__wal_log_t *log, memdb_status_t severity, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/// An open segment file. `filled`: file offset below which bytes were written before (zeros or
/// better).
typedef struct memdb__wal_segment {
    int fd; // -1: none
    memdb__wal_header_t header;
    uint64_t filled;
    char name[MEMDB__WAL_NAME_BYTES];
} memdb__wal_segment_t;

void memdb__wal_segment_name(uint64_t epoch, char name_out[MEMDB__WAL_NAME_BYTES]);
static inline uint64_t memdb__wal_segment_offset(const memdb__wal_segment_t *segment,
                                                 uint64_t lsn) {
    return MEMDB__WAL_BLOCK_BYTES + (lsn - segment->header.start);
}
/// LSN of the closing mark; frames lie below it.
static inline uint64_t memdb__wal_header_limit(const memdb__wal_header_t *header) {
    return header->start + header->capacity - MEMDB__WAL_BLOCK_BYTES;
}

/// Open the segment of `epoch` for reading (and writing). MEMDB_NOT_FOUND when there is none.
memdb_status_t memdb__wal_segment_open(const memdb__wal_log_t *log, uint64_t epoch, bool writable,
                                       memdb__wal_segment_t *segment_out, memdb_error_t *error);
void memdb__wal_segment_close(memdb__wal_segment_t *segment);

/// Make a segment under the name `new` (a recycled file where one fits), with its header and the
/// first zeros. Errors  MEMDB_FULL  nothing is left behind.
memdb_status_t memdb__wal_segment_make(const memdb__wal_log_t *log,
                                       const memdb__wal_header_t *header,
                                       memdb__wal_segment_t *segment_out, memdb_error_t *error);
/// Sync it, give it its name, sync the directory. On failure the segment is closed and the outcome
/// is unknown.
memdb_status_t memdb__wal_segment_publish(const memdb__wal_log_t *log,
                                          memdb__wal_segment_t *segment, memdb_error_t *error);
/// Mark, synced, that a successor exists. On a full file system it is left out, which the log
/// function is told.
memdb_status_t memdb__wal_segment_mark(const memdb__wal_log_t *log,
                                       const memdb__wal_segment_t *segment, uint64_t end,
                                       memdb_error_t *error);
/// Whether that mark is there.
memdb_status_t memdb__wal_segment_is_marked(const memdb__wal_log_t *log,
                                            const memdb__wal_segment_t *segment, bool *marked_out,
                                            memdb_error_t *error);
/// Write the blocks of the LSNs [from, to) again, as the page cache has them: a sync takes them to
/// the disk then, whatever an earlier one did. Nobody else writes them.
memdb_status_t memdb__wal_segment_write_again(const memdb__wal_segment_t *segment, uint64_t from,
                                              uint64_t to, memdb_error_t *error);
/// See that the file is filled up to the offset `end`, in parts. `failed_out`: a write failed,
/// which must fail the database; without it nothing is lost and nothing was written (MEMDB_FULL).
/// `grown_out`: zeros were written, and not synced.
memdb_status_t memdb__wal_segment_fill(memdb__wal_segment_t *segment, uint64_t end,
                                       bool *failed_out, bool *grown_out, memdb_error_t *error);
/// Write zeros up to the offset `end`, where the file has none yet, without a sync. The caller
/// holds the writer mutex, and the segment is the newest.
memdb_status_t memdb__wal_segment_extend(memdb__wal_segment_t *segment, uint64_t end,
                                         memdb_error_t *error);

/// The headers of all segment files, by rising epoch. `live`: some LSN is its own; else a later
/// segment began at or before it.
typedef struct memdb__wal_listed {
    memdb__wal_header_t header;
    bool live;
    bool archived; // its file is in the archive
} memdb__wal_listed_t;

typedef struct memdb__wal_list {
    memdb__wal_listed_t *segments;
    size_t count;
} memdb__wal_list_t;

/// Errors  MEMDB_CORRUPT  a file under a segment's name has a bad header, or one of another name.
memdb_status_t memdb__wal_list_read(const memdb__wal_log_t *log, memdb__wal_list_t *list_out,
                                    memdb_error_t *error);
/// The same of the log and its archive together, as one chain. `archive` may be NULL.
memdb_status_t memdb__wal_list_read_both(const memdb__wal_log_t *log,
                                         const memdb__wal_log_t *archive,
                                         memdb__wal_list_t *list_out, memdb_error_t *error);
void memdb__wal_list_free(memdb__wal_list_t *list);
/// Number of the live segment in which the frame at or after `lsn` lies.
/// Errors  MEMDB_CORRUPT  no segment, or a missing link of the chain from there on.
memdb_status_t memdb__wal_list_find(const memdb__wal_list_t *list, uint64_t lsn, size_t *index_out,
                                    memdb_error_t *error);
/// The next live one, or `count`.
size_t memdb__wal_list_next(const memdb__wal_list_t *list, size_t index);
/// Header of a segment that follows the last: it starts where `end` is rounded up to (or down, for
/// a rewrite).
void memdb__wal_list_successor(const memdb__wal_list_t *list, const memdb__wal_log_t *log,
                               uint64_t end, bool down, uint64_t epoch,
                               memdb__wal_header_t *header_out);

/// Remove all files `new`, and every file of the log when `all`.
memdb_status_t memdb__wal_remove_leftovers(const memdb__wal_log_t *log, bool all,
                                           memdb_error_t *error);
/// Names of the recycled files.
const char *memdb__wal_recycle_name(unsigned slot);

#endif
