// Preparing space ahead of the log's end, beside the writers.
//
// A commit's sync is short only where the blocks that it writes were written before: then no
// metadata goes along. Zeros are written under the writer mutex, where the newest segment is known
// and nobody else writes, and synced outside it.
#include "wal/wal_handle.h"

bool memdb__wal_wants_space(memdb__wal_t *wal) {
    return atomic_load_explicit(&wal->wants_space, memory_order_relaxed); // a hint
}

/// One part, under the writer mutex. done_out: there is enough, or the segment was left.
static memdb_status_t write_part(memdb__wal_t *wal, uint64_t epoch, uint64_t *goal, bool *done_out,
                                 memdb_error_t *error) {
    memdb_status_t status = memdb__wal_lock(wal, error);
    if (status != MEMDB_OK) {
        return status;
    }
    memdb__wal_segment_t *segment = &wal->writer.segment;
    uint64_t most = MEMDB__WAL_BLOCK_BYTES + segment->header.capacity;
    if (*goal == 0) {
        *goal = memdb__wal_segment_offset(segment, wal->writer.lsn) + MEMDB__WAL_FILL_STEP_BYTES;
        *goal = *goal < most ? *goal : most;
    }
    uint64_t end = segment->filled + MEMDB__WAL_FILL_PART_BYTES;
    end = end < *goal ? end : *goal;
    *done_out = segment->header.epoch != epoch || segment->filled >= *goal;
    if (!*done_out) {
        status = memdb__wal_segment_extend(segment, end, error);
        if (status != MEMDB_OK && status != MEMDB_FULL) {
            memdb__wal_fail_database(wal->control, status);
        }
    }
    memdb__wal_unlock(wal);
    return status;
}

memdb_status_t memdb__wal_prepare_space(memdb__wal_t *wal, memdb_error_t *error) {
    // Acquire: pairs with switch_segment; the file is there.
    uint64_t epoch = atomic_load_explicit(&wal->control->segment_epoch, memory_order_acquire);
    memdb__wal_segment_t segment;
    memdb_status_t status = memdb__wal_segment_open(&wal->log, epoch, false, &segment, error);
    if (status != MEMDB_OK) {
        return status == MEMDB_NOT_FOUND ? MEMDB_OK : status; // left and cut meanwhile
    }
    uint64_t goal = 0;
    bool done = false;
    while (status == MEMDB_OK && !done) {
        status = write_part(wal, epoch, &goal, &done, error);
        if (status == MEMDB_OK && !done) {
            status = memdb__wal_sync_file(wal, segment.fd, segment.name, error);
        }
    }
    memdb__wal_segment_close(&segment);
    atomic_store_explicit(&wal->wants_space, false, memory_order_relaxed); // a hint
    return status;
}
