// Beginning a fresh segment on demand, for compact and purge.
//
// Under the writer mutex nobody makes a segment, so no file that was kept for reuse, and holds old
// frames behind its header, can become one any more once they are unlinked; and the checkpoint
// lock, which the caller holds, sees to it that none is kept meanwhile.
#include "wal/wal_handle.h"

static memdb_status_t unlink_unused(const memdb__wal_log_t *log, memdb_error_t *error) {
    memdb_status_t status = memdb__wal_remove_leftovers(log, false, error);
    for (unsigned slot = 0; slot < MEMDB__WAL_RECYCLE_SLOTS && status == MEMDB_OK; slot++) {
        status = memdb__io_unlink(log->directory, memdb__wal_recycle_name(slot), error);
    }
    return status;
}

memdb_status_t memdb__wal_rotate(memdb__wal_t *wal, uint64_t capacity, memdb_error_t *error) {
    memdb_status_t status = memdb__wal_lock(wal, error);
    if (status != MEMDB_OK) {
        return status;
    }
    status = unlink_unused(&wal->log, error);
    if (status == MEMDB_OK) {
        capacity = memdb__wal_block_up(capacity);
        status = memdb__wal_switch(
            wal, MEMDB__WAL_BATCH_HEADER_BYTES,
            capacity < wal->log.segment_bytes ? capacity : wal->log.segment_bytes, error);
    }
    memdb__wal_unlock(wal);
    return status == MEMDB_OK ? status : memdb__error_context(error, status, "rotate the log");
}
