// The shared sync: whoever holds the sync mutex syncs for all that wait behind it.
//
// A segment is synced as a whole before a newer one is published (wal_writer.c, wal_recover.c), so
// all that can be unsynced below a written LSN lies in the segment that was the newest when that
// LSN was read, or after it. The epoch is therefore read after the written LSN.
//
// Where several processes commit in a row, a sync that begins at once is for half of them: the
// others have been told a moment ago and are about to write again. So who is about to sync waits,
// half as long as the last sync took and half a millisecond at most, for as many batches as the
// last sync was for and as were written beside it. The waiting is by futex on the count of batches.
// All of it is a hint: a process that dies in the midst costs the others one such wait.
#include "base/io.h"
#include "wal/wal_handle.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define GATHER_NS 500000u
#define LOOK_AGAIN_NS 20000000 // who syncs may die: then nobody tells those who wait

void memdb__wal_count_batch(memdb__control_t *control) {
    // Release: pairs with the load in gather; the batch is written.
    atomic_fetch_add_explicit(&control->batches, 1, memory_order_release);
    // Relaxed: who begins to gather right now reads the count first, or waits in vain for a moment.
    if (atomic_load_explicit(&control->gathering, memory_order_relaxed)) {
        syscall(SYS_futex, &control->batches, FUTEX_WAKE, 1, NULL, NULL, 0);
    }
}

/// Wait for more batches to sync along; the caller holds the sync mutex.
static void gather(memdb__wal_t *wal) {
    memdb__control_t *control = wal->control;
    // Relaxed: written by holders of the sync mutex.
    uint32_t synced = atomic_load_explicit(&control->synced_batches, memory_order_relaxed);
    uint32_t expected = atomic_load_explicit(&control->expected_batches, memory_order_relaxed);
    uint64_t limit = wal->last_sync_ns / 2 < GATHER_NS ? wal->last_sync_ns / 2 : GATHER_NS;
    uint64_t until = memdb__monotonic_ns() + limit, now;
    uint32_t batches;
    atomic_store_explicit(&control->gathering, 1, memory_order_relaxed);
    // Acquire: pairs with memdb__wal_count_batch.
    while ((batches = atomic_load_explicit(&control->batches, memory_order_acquire)) - synced <
               expected &&
           (now = memdb__monotonic_ns()) < until) {
        struct timespec left = {.tv_nsec = (long)(until - now)};
        syscall(SYS_futex, &control->batches, FUTEX_WAIT, batches, &left, NULL, 0);
    }
    atomic_store_explicit(&control->gathering, 0, memory_order_relaxed);
}

static memdb_status_t sync_newest(memdb__wal_t *wal, memdb_error_t *error) {
    memdb__control_t *control = wal->control;
    // Relaxed, here and below: a hint for gather.
    uint32_t batches = atomic_load_explicit(&control->batches, memory_order_relaxed);
    // Acquire: pairs with the release of memdb__raise in write; all bytes below are in the page
    // cache.
    uint64_t written = atomic_load_explicit(&control->written, memory_order_acquire);
    // Acquire: pairs with memdb__wal_switch; all segments before this one are synced.
    uint64_t epoch = atomic_load_explicit(&control->segment_epoch, memory_order_acquire);
    if (wal->synced.fd < 0 || wal->synced.header.epoch != epoch) {
        memdb__wal_segment_close(&wal->synced);
        memdb_status_t status =
            memdb__wal_segment_open(&wal->log, epoch, false, &wal->synced, error);
        if (status != MEMDB_OK) {
            // Gone already: it was left, so synced, and cut; the caller's LSN is looked at again.
            // Else frames that are written cannot be synced, and may be there or not: whoever waits
            // for them is told that the database failed, so it must have.
            uint64_t now = atomic_load_explicit(&control->segment_epoch, memory_order_acquire);
            return now != epoch ? MEMDB_BUSY : memdb__wal_fail_database(control, status);
        }
    }
    uint64_t began = memdb__monotonic_ns();
    memdb_status_t status = memdb__io_sync_data(wal->synced.fd, wal->synced.name, error);
    if (status != MEMDB_OK) {
        return memdb__wal_fail_database(control, status == MEMDB_FULL ? MEMDB_FULL : MEMDB_IO);
    }
    memdb__raise(&control->durable, written);
    wal->last_sync_ns = memdb__monotonic_ns() - began;
    // What this sync was for, and what was written beside it and waits for the next.
    atomic_store_explicit(&control->expected_batches,
                          atomic_load_explicit(&control->batches, memory_order_relaxed) -
                              atomic_load_explicit(&control->synced_batches, memory_order_relaxed),
                          memory_order_relaxed);
    atomic_store_explicit(&control->synced_batches, batches, memory_order_relaxed);
    atomic_fetch_add_explicit(&wal->syncs, 1, memory_order_relaxed);
    return MEMDB_OK;
}

/// The last owner of the sync mutex died with it. It may have been told that a sync failed, and
/// nobody is told again: the next sync would succeed though the disk has not what is not durable
/// yet. Frames that are still whole in the page cache are written again; else the database fails.
static memdb_status_t write_again(memdb__wal_t *wal, memdb_error_t *error) {
    memdb__control_t *control = wal->control;
    // Acquire, all: as in sync_newest.
    uint64_t written = atomic_load_explicit(&control->written, memory_order_acquire);
    uint64_t durable = atomic_load_explicit(&control->durable, memory_order_acquire);
    uint64_t epoch = atomic_load_explicit(&control->segment_epoch, memory_order_acquire);
    memdb__wal_segment_t segment;
    memdb_status_t status = memdb__wal_segment_open(&wal->log, epoch, true, &segment, error);
    if (status != MEMDB_OK) {
        uint64_t now = atomic_load_explicit(&control->segment_epoch, memory_order_acquire);
        return now != epoch ? MEMDB_OK : memdb__wal_fail_database(control, status); // see there
    }
    uint64_t start = segment.header.start;
    status = memdb__wal_segment_write_again(&segment, durable, written, error);
    memdb__wal_reader_t reader;
    memdb__frame_t frame;
    memdb__wal_reader_init(&reader, &wal->log);
    memdb__wal_reader_attach(&reader, &segment, durable > start ? durable : start);
    while (status == MEMDB_OK) {
        status = memdb__wal_reader_next(&reader, written, &frame, error);
    }
    memdb__wal_reader_deinit(&reader);
    return status == MEMDB_DONE ? MEMDB_OK : memdb__wal_fail_database(control, status);
}

/// What pthread_mutex_(try)lock answered, for the sync mutex. On failure it is not held.
static memdb_status_t took_mutex(memdb__wal_t *wal, int result, memdb_error_t *error) {
    memdb__control_t *control = wal->control;
    bool inherited = result == EOWNERDEAD;
    if (inherited) {
        result = pthread_mutex_consistent(&control->sync);
    }
    if (result != 0) {
        return memdb__fail_errno(error, result, "log: cannot take the sync mutex");
    }
    // Relaxed: under the mutex; a recovery reads it when all who wrote it are dead.
    atomic_store_explicit(&control->syncing, 1, memory_order_relaxed);
    memdb_status_t status = memdb__wal_check_failed(control, error); // set by the one before
    status = status == MEMDB_OK && inherited ? write_again(wal, error) : status;
    if (status != MEMDB_OK) {
        memdb__wal_sync_unlock(control);
    }
    return status;
}

memdb_status_t memdb__wal_sync_lock(memdb__wal_t *wal, memdb_error_t *error) {
    return took_mutex(wal, pthread_mutex_lock(&wal->control->sync), error);
}

void memdb__wal_sync_unlock(memdb__control_t *control) {
    atomic_store_explicit(&control->syncing, 0, memory_order_relaxed); // as in took_mutex
    pthread_mutex_unlock(&control->sync);
    // Release: pairs with the load in sync_or_wait; the mutex is free, and durable or failed is
    // set.
    atomic_fetch_add_explicit(&control->syncs, 1, memory_order_release);
    syscall(SYS_futex, &control->syncs, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

memdb_status_t memdb__wal_sync_file(memdb__wal_t *wal, int fd, const char *name,
                                    memdb_error_t *error) {
    memdb_status_t status = memdb__wal_sync_lock(wal, error);
    if (status != MEMDB_OK) {
        return status;
    }
    status = memdb__io_sync_data(fd, name, error);
    if (status != MEMDB_OK) {
        memdb__wal_fail_database(wal->control, status);
    }
    memdb__wal_sync_unlock(wal->control);
    return status;
}

/// Sync, if nobody else does; else wait until somebody has. Nobody queues for the mutex: one sync
/// serves all who wait, and they go on at once instead of one after the other.
static memdb_status_t sync_or_wait(memdb__wal_t *wal, uint64_t lsn, memdb_error_t *error) {
    memdb__control_t *control = wal->control;
    // Acquire: pairs with memdb__wal_sync_unlock. Read before the mutex is tried: a sync that ends
    // in between ends the waiting.
    uint32_t syncs = atomic_load_explicit(&control->syncs, memory_order_acquire);
    int result = pthread_mutex_trylock(&control->sync);
    if (result == EBUSY) {
        struct timespec bound = {.tv_nsec = LOOK_AGAIN_NS};
        if (atomic_load_explicit(&control->durable, memory_order_acquire) < lsn) {
            syscall(SYS_futex, &control->syncs, FUTEX_WAIT, syncs, &bound, NULL, 0);
        }
        return MEMDB_OK;
    }
    memdb_status_t status = took_mutex(wal, result, error);
    if (status != MEMDB_OK) {
        return status;
    }
    if (atomic_load_explicit(&control->durable, memory_order_acquire) < lsn) {
        gather(wal);
        status = sync_newest(wal, error);
        status = status == MEMDB_BUSY ? MEMDB_OK : status;
    }
    memdb__wal_sync_unlock(control);
    return status;
}

bool memdb__wal_wants_sync(const memdb__wal_t *wal) {
    // Relaxed, both: a hint. Durable first: it is never above written.
    uint64_t durable = atomic_load_explicit(&wal->control->durable, memory_order_relaxed);
    uint64_t written = atomic_load_explicit(&wal->control->written, memory_order_relaxed);
    return written > durable && written - durable >= MEMDB__WAL_UNSYNCED_BYTES;
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
    // Acquire, here and below: pairs with the release of memdb__raise after a sync.
    while (status == MEMDB_OK &&
           atomic_load_explicit(&control->durable, memory_order_acquire) < lsn) {
        status = memdb__wal_check_failed(control, error);
        status = status == MEMDB_OK ? sync_or_wait(wal, lsn, error) : status;
    }
    return status;
}
