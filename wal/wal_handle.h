// What a process keeps of an open log. Each part has its own owner, so that nothing here needs a
// lock of its own.
#ifndef MEMDB_WAL_WAL_HANDLE_H
#define MEMDB_WAL_WAL_HANDLE_H

#include "base/uring.h"
#include "wal/wal_reader.h"

/// The batch being built. Holder of the writer mutex.
typedef struct memdb__wal_writer {
    memdb__wal_segment_t segment; // newest at the last lock; fd -1: none yet
    uint64_t lsn;                 // of the batch being built, or of the next one
    uint64_t previous_end;        // end of the last frame before it
    uint8_t *allocation, *buffer; // page-aligned inside the allocation
    size_t capacity;
    size_t used; // 0: no frame yet
    uint32_t frames;
    int64_t last_commit_time;
    uint64_t number;     // of this handle, in control->last_writer
    uint32_t streak;     // batches since another handle wrote one
    int through;         // the segment once more, O_DIRECT|O_DSYNC; -1: not open
    bool cannot_through; // the file system refuses O_DIRECT
    bool unsynced_zeros; // the segment was filled further, and not synced since
} memdb__wal_writer_t;

struct memdb__wal {
    memdb__wal_log_t log;
    memdb__control_t *control;
    int directory;          // of the database; the caller's
    uint64_t archive_limit; // bytes
    memdb__wal_writer_t writer;
    memdb__uring_t *ring; // holder of the writer mutex; NULL: pwrite

    memdb__wal_segment_t synced; // holder of the sync mutex: the segment to sync
    uint64_t last_sync_ns;       // holder of the sync mutex: how long the last sync took

    memdb__wal_reader_t follow; // the one following thread
    uint64_t follow_newest;     // segment epoch when follow_limit was found
    uint64_t follow_limit; // LSN at which the followed segment ends; UINT64_MAX: it is the newest

    _Atomic bool wants_space; // written by the holder of the writer mutex; a hint

    // Counters for stats: relaxed, since nothing depends on their order.
    _Atomic uint64_t batches, syncs, bytes;
};

/// Set control->failed: from now on nothing is acknowledged. Returns `status`.
memdb_status_t memdb__wal_fail_database(memdb__control_t *control, memdb_status_t status);
/// MEMDB_FAILED when it is set.
memdb_status_t memdb__wal_check_failed(const memdb__control_t *control, memdb_error_t *error);

/// Take the sync mutex, for syncs aside from the shared one; each file of the log is synced under
/// it alone. An error of the disk is told to one of those who sync, once: who syncs next must find
/// `failed` set by the one who was told; where that one died before it could say so, what is not
/// durable yet is written again. Errors  MEMDB_FAILED  it is; the mutex is not held.
memdb_status_t memdb__wal_sync_lock(memdb__wal_t *wal, memdb_error_t *error);
void memdb__wal_sync_unlock(memdb__control_t *control);
/// Sync one file under it. A failure fails the database.
memdb_status_t memdb__wal_sync_file(memdb__wal_t *wal, int fd, const char *name,
                                    memdb_error_t *error);

/// A batch was written: tell who gathers some for a sync.
void memdb__wal_count_batch(memdb__control_t *control);

/// After a death: end the log at its last whole frame and open a new segment. Holder of the writer
/// mutex.
memdb_status_t memdb__wal_repair(memdb__wal_t *wal, memdb_error_t *error);
/// Attach the writer to the newest segment and its end. Holder of the writer mutex.
memdb_status_t memdb__wal_writer_attach(memdb__wal_t *wal, memdb_error_t *error);
void memdb__wal_writer_deinit(memdb__wal_t *wal);
/// Leave the newest segment, which is written and holds no batch being built, for a new one with
/// room for `bytes`, and of `capacity` bytes at least. Holder of the writer mutex.
memdb_status_t memdb__wal_switch(memdb__wal_t *wal, uint64_t bytes, uint64_t capacity,
                                 memdb_error_t *error);

#endif
