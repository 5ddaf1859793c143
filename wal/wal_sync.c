// The shared sync: whoever holds the sync mutex syncs for all that wait behind it.
//
// A segment is synced as a whole before a newer one is published (wal_writer.c, wal_recover.c), so
// all that can be unsynced below a written LSN lies in the segment that was the newest when that
// LSN was read, or after it. The epoch is therefore read after the written LSN.
#include "wal/wal_handle.h"

#include <errno.h>
#include <inttypes.h>

static memdb_status_t sync_newest(memdb__wal_t *wal, memdb_error_t *error) {
    memdb__control_t *control = wal->control;
    // Acquire: pairs with the release of memdb__raise in write; all bytes below are in the page
    // cache.
    uint64_t written = atomic_load_explicit(&control->written, memory_order_acquire);
    // Acquire: pairs with switch_segment; all segments before this one are synced.
    uint64_t epoch = atomic_load_explicit(&control->segment_epoch, memory_order_acquire);
    if (wal->synced.fd < 0 || wal->synced.header.epoch != epoch) {
        memdb__wal_segment_close(&wal->synced);
        memdb_status_t status =
            memdb__wal_segment_open(&wal->log, epoch, false, &wal->synced, error);
        if (status != MEMDB_OK) {
            // Gone already: it was left, so synced, and cut; the caller's LSN is looked at again.
            uint64_t now = atomic_load_explicit(&control->segment_epoch, memory_order_acquire);
            return now != epoch ? MEMDB_BUSY : status;
        }
    }
    memdb_status_t status = memdb__io_sync_data(wal->synced.fd, wal->synced.name, error);
    if (status != MEMDB_OK) {
        return memdb__wal_fail_database(control, status == MEMDB_FULL ? MEMDB_FULL : MEMDB_IO);
    }
    memdb__raise(&control->durable, written);
    atomic_fetch_add_explicit(&wal->syncs, 1, memory_order_relaxed);
    return MEMDB_OK;
}

memdb_status_t memdb__wal_sync(memdb__wal_t *wal, uint64_t lsn, memdb_error_t *error) {
    memdb__control_t *control = wal->control;
    // Acquire: pairs with the release of memdb__raise after a sync.
    if (atomic_load_explicit(&control->durable, memory_order_acquire) >= lsn) {
        return MEMDB_OK;
    }
    memdb_status_t status = memdb__wal_check_failed(control, error);
    if (status != MEMDB_OK) {
        return status;
    }
    if (atomic_load_explicit(&control->written, memory_order_acquire) < lsn) {
        return memdb__fail(error, MEMDB_INVALID, "log: LSN %" PRIu64 " is not written", lsn);
    }
    int result = pthread_mutex_lock(&control->sync);
    if (result == EOWNERDEAD) {
        // A dead owner leaves nothing half done: durable is raised after a whole sync only.
        result = pthread_mutex_consistent(&control->sync);
    }
    if (result != 0) {
        return memdb__fail_errno(error, result, "log: cannot take the sync mutex");
    }
    while (status == MEMDB_OK &&
           atomic_load_explicit(&control->durable, memory_order_acquire) < lsn) {
        status = memdb__wal_check_failed(control, error);
        if (status == MEMDB_OK) {
            status = sync_newest(wal, error);
            status = status == MEMDB_BUSY ? MEMDB_OK : status;
        }
    }
    pthread_mutex_unlock(&control->sync);
    return status;
}
