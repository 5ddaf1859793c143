// Appending: lock, add, write, unlock.
//
// Invariants, for the holder of the writer mutex. A batch begins on a 4 KiB boundary at or above
// control->written; what is below was acknowledged, perhaps, and is never written again. A segment
// is left only after all of it is synced, so that at any time only the newest segment can hold
// unsynced bytes; its successor is published before its closing mark is written. Space is filled
// before frames are placed, so a full disk refuses a frame while nothing of it is written; it is
// synced before a batch is written through, and else along with the batches in it.
#include "base/check.h"
#include "base/memory.h"
#include "wal/wal_handle.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#define KEPT_BATCH_BYTES (8u << 20) // a larger batch buffer is given back after its write
// A writer is taken to be alone after so many batches in a row, unless somebody waited for the
// mutex so short a time ago.
#define STREAK_ALONE 2
#define CONTENTION_NS 5000000u

memdb_status_t memdb__wal_fail_database(memdb__control_t *control, memdb_status_t status) {
    uint64_t none = 0;
    // Release: who sees the word also sees written and durable as they were; pairs with
    // check_failed's acquire.
    atomic_compare_exchange_strong_explicit(&control->failed, &none, (uint64_t)status,
                                            memory_order_release, memory_order_relaxed);
    return status;
}

memdb_status_t memdb__wal_check_failed(const memdb__control_t *control, memdb_error_t *error) {
    // Acquire: pairs with fail_database.
    uint64_t failed = atomic_load_explicit(&control->failed, memory_order_acquire);
    if (failed == 0) {
        return MEMDB_OK;
    }
    return memdb__fail(error, MEMDB_FAILED,
                       "log: an earlier write or sync failed (%s); close and reopen",
                       memdb_status_name((memdb_status_t)failed));
}

static void close_segment(memdb__wal_writer_t *w) {
    memdb__io_close(w->through);
    w->through = -1;
    w->unsynced_zeros = false;
    memdb__wal_segment_close(&w->segment);
}

void memdb__wal_writer_deinit(memdb__wal_t *wal) {
    close_segment(&wal->writer);
    memdb__free(wal->writer.allocation);
}

memdb_status_t memdb__wal_writer_attach(memdb__wal_t *wal, memdb_error_t *error) {
    memdb__wal_writer_t *w = &wal->writer;
    // Relaxed: all of these are written under the writer mutex, which is held.
    uint64_t epoch = atomic_load_explicit(&wal->control->segment_epoch, memory_order_relaxed);
    uint64_t written = atomic_load_explicit(&wal->control->written, memory_order_relaxed);
    w->last_commit_time =
        atomic_load_explicit(&wal->control->last_commit_time, memory_order_relaxed);
    w->used = 0;
    w->frames = 0;
    if (atomic_load_explicit(&wal->control->last_writer, memory_order_relaxed) != w->number) {
        w->streak = 0;
    }
    if (w->segment.fd < 0 || w->segment.header.epoch != epoch) {
        close_segment(w);
        memdb_status_t status = memdb__wal_segment_open(&wal->log, epoch, true, &w->segment, error);
        if (status != MEMDB_OK) {
            return status == MEMDB_NOT_FOUND
                       ? memdb__fail(error, MEMDB_CORRUPT,
                                     "%016" PRIx64 ".log, the newest of the log, is missing", epoch)
                       : status;
        }
    }
    uint64_t start = w->segment.header.start;
    w->lsn = memdb__wal_block_up(written) > start ? memdb__wal_block_up(written) : start;
    w->previous_end = w->lsn == start ? w->segment.header.previous_end : written;
    return MEMDB_OK;
}

memdb_status_t memdb__wal_lock(memdb__wal_t *wal, memdb_error_t *error) {
    memdb__control_t *control = wal->control;
    int result = pthread_mutex_trylock(&control->writer);
    if (result == EBUSY) {
        // Relaxed: a hint for who holds it; a stale one costs a little speed.
        atomic_store_explicit(&control->contended_ns, memdb__monotonic_ns(), memory_order_relaxed);
        result = pthread_mutex_lock(&control->writer);
    }
    if (result == EOWNERDEAD) {
        // Noted first: if the repair fails for want of memory or space, the next owner does it.
        // Relaxed: read and written under the writer mutex.
        atomic_store_explicit(&control->repair_needed, 1, memory_order_relaxed);
        result = pthread_mutex_consistent(&control->writer);
    }
    if (result != 0) {
        return memdb__fail_errno(error, result, "log: cannot take the writer mutex");
    }
    memdb_status_t status = memdb__wal_check_failed(control, error);
    if (status == MEMDB_OK &&
        atomic_load_explicit(&control->repair_needed, memory_order_relaxed) != 0) {
        status = memdb__wal_repair(wal, error);
    }
    if (status == MEMDB_OK) {
        status = memdb__wal_writer_attach(wal, error);
    }
    if (status != MEMDB_OK) {
        pthread_mutex_unlock(&control->writer);
    }
    return status;
}

void memdb__wal_unlock(memdb__wal_t *wal) {
    wal->writer.used = 0;
    wal->writer.frames = 0;
    pthread_mutex_unlock(&wal->control->writer);
}

size_t memdb__wal_batch_bytes(const memdb__wal_t *wal) {
    return wal->writer.used;
}

/// Room for `bytes` in the batch buffer, rounded up to blocks.
static memdb_status_t reserve(memdb__wal_writer_t *w, uint64_t bytes, memdb_error_t *error) {
    uint64_t need = memdb__wal_block_up(bytes);
    if (need <= w->capacity) {
        return MEMDB_OK;
    }
    uint64_t capacity = w->capacity ? w->capacity : 64 << 10;
    while (capacity < need) {
        capacity *= 2;
    }
    uint8_t *allocation = memdb__allocate((size_t)capacity + MEMDB__WAL_BLOCK_BYTES);
    if (allocation == NULL) {
        return memdb__fail(error, MEMDB_NOMEM, "log: no memory for a batch of %" PRIu64 " bytes",
                           bytes);
    }
    uint8_t *buffer = (uint8_t *)(uintptr_t)memdb__wal_block_up((uintptr_t)allocation);
    if (w->used != 0) {
        memcpy(buffer, w->buffer, w->used);
    }
    memdb__free(w->allocation);
    w->allocation = allocation;
    w->buffer = buffer;
    w->capacity = (size_t)capacity;
    return MEMDB_OK;
}

memdb_status_t memdb__wal_switch(memdb__wal_t *wal, uint64_t bytes, uint64_t capacity,
                                 memdb_error_t *error) {
    memdb__wal_writer_t *w = &wal->writer;
    memdb__control_t *control = wal->control;
    // Relaxed: under the writer mutex.
    uint64_t epoch = atomic_load_explicit(&control->next_epoch, memory_order_relaxed);
    atomic_store_explicit(&control->next_epoch, epoch + 1, memory_order_relaxed);
    uint64_t written = w->previous_end, room = memdb__wal_block_up(bytes) + MEMDB__WAL_BLOCK_BYTES;
    memdb__wal_header_t header = {.epoch = epoch, .start = w->lsn, .previous_end = written};
    memcpy(header.database_id, wal->log.database_id, 16);
    header.capacity = room > capacity ? room : capacity;
    // An empty segment is no link of the chain: its successor takes its place.
    bool empty = w->lsn == w->segment.header.start;
    header.previous_epoch = empty ? w->segment.header.previous_epoch : w->segment.header.epoch;
    header.flags = empty ? w->segment.header.flags : 0;
    memdb__wal_segment_t fresh;
    memdb_status_t status = memdb__wal_segment_make(&wal->log, &header, &fresh, error);
    if (status != MEMDB_OK) {
        return status;
    }
    status = memdb__wal_sync_file(wal, w->segment.fd, w->segment.name, error);
    if (status != MEMDB_OK) {
        memdb__wal_segment_close(&fresh);
        return status;
    }
    memdb__raise(&control->durable, atomic_load_explicit(&control->written, memory_order_relaxed));
    status = memdb__wal_segment_publish(&wal->log, &fresh, error);
    if (status == MEMDB_OK && !empty) {
        status = memdb__wal_segment_mark(&wal->log, &w->segment, written, error);
        if (status != MEMDB_OK) {
            memdb__wal_segment_close(&fresh);
        }
    }
    if (status != MEMDB_OK) {
        return memdb__wal_fail_database(control, status);
    }
    close_segment(w);
    w->segment = fresh;
    // Release: who sees the new epoch (acquire, in sync and follow) finds all older segments synced
    // and the new file named.
    atomic_store_explicit(&control->segment_epoch, epoch, memory_order_release);
    return MEMDB_OK;
}

/// See that the segment has, and the file is filled for, a batch of `bytes`.
static memdb_status_t make_room(memdb__wal_t *wal, uint64_t frame_bytes, memdb_error_t *error) {
    memdb__wal_writer_t *w = &wal->writer;
    uint64_t bytes = (w->used ? w->used : MEMDB__WAL_BATCH_HEADER_BYTES) + frame_bytes;
    if (w->lsn + memdb__wal_block_up(bytes) > memdb__wal_header_limit(&w->segment.header)) {
        memdb_status_t status = memdb__wal_write(wal, error);
        // MEMDB_FULL is kept for "the frame was not placed, go on"; a failed write fails the
        // database.
        status = status == MEMDB_FULL ? MEMDB_IO : status;
        bytes = MEMDB__WAL_BATCH_HEADER_BYTES + frame_bytes;
        if (status == MEMDB_OK &&
            w->lsn + memdb__wal_block_up(bytes) > memdb__wal_header_limit(&w->segment.header)) {
            status = memdb__wal_switch(wal, bytes, wal->log.segment_bytes, error);
        }
        if (status != MEMDB_OK) {
            return status;
        }
    }
    bool failed, grown;
    uint64_t end = memdb__wal_segment_offset(&w->segment, w->lsn) + memdb__wal_block_up(bytes);
    memdb_status_t status = memdb__wal_segment_fill(&w->segment, end, &failed, &grown, error);
    w->unsynced_zeros |= grown;
    return failed ? memdb__wal_fail_database(wal->control, status) : status;
}

memdb_status_t memdb__wal_add(memdb__wal_t *wal, const void *payload, size_t size,
                              memdb__frame_t *frame_out, memdb_error_t *error) {
    memdb__wal_writer_t *w = &wal->writer;
    if (size > MEMDB__WAL_MAX_PAYLOAD_BYTES) {
        return memdb__fail(error, MEMDB_LIMIT, "log: a frame of %zu bytes", size);
    }
    memdb_status_t status = memdb__wal_check_failed(wal->control, error);
    uint64_t bytes = memdb__wal_frame_bytes(size);
    if (status == MEMDB_OK) {
        status = make_room(wal, bytes, error);
    }
    size_t at = w->used ? w->used : MEMDB__WAL_BATCH_HEADER_BYTES;
    if (status == MEMDB_OK) {
        status = reserve(w, at + bytes, error);
    }
    if (status != MEMDB_OK) {
        return status;
    }
    int64_t now = memdb__now_us();
    w->last_commit_time = now > w->last_commit_time ? now : w->last_commit_time + 1;
    // Relaxed: under the writer mutex. Stored before the frame can be read, so that no later
    // commit's time is below it.
    atomic_store_explicit(&wal->control->last_commit_time, w->last_commit_time,
                          memory_order_relaxed);
    uint64_t lsn = w->lsn + at;
    memdb__wal_frame_encode(w->buffer + at, wal->log.salt, w->segment.header.epoch, lsn,
                            w->last_commit_time, payload, size);
    w->used = at + (size_t)bytes;
    w->frames++;
    *frame_out = (memdb__frame_t){lsn, lsn + bytes, w->last_commit_time, payload, size};
    return MEMDB_OK;
}

// ------------------------------------------------------------------------------ writing

/// Write the batch's blocks where they belong, into the page cache.
static memdb_status_t write_blocks(memdb__wal_t *wal, size_t size, memdb_error_t *error) {
    memdb__wal_writer_t *w = &wal->writer;
    uint64_t offset = memdb__wal_segment_offset(&w->segment, w->lsn);
    if (wal->ring == NULL) {
        return memdb__io_write(w->segment.fd, w->buffer, size, offset, w->segment.name, error);
    }
    // Without a sync: others may join this batch's sync, which happens outside the writer mutex.
    return memdb__uring_write(wal->ring, w->segment.fd, w->buffer, size, offset, false,
                              w->segment.name, error);
}

/// Whether a write through makes everything up to the batch's end durable, and hinders nobody.
static bool can_write_through(memdb__wal_t *wal) {
    memdb__wal_writer_t *w = &wal->writer;
    // Relaxed: a hint.
    uint64_t contended = atomic_load_explicit(&wal->control->contended_ns, memory_order_relaxed);
    if (w->cannot_through || w->streak < STREAK_ALONE ||
        (contended != 0 && memdb__monotonic_ns() - contended < CONTENTION_NS) ||
        // Acquire: pairs with memdb__raise after a sync. Only what lies in the page cache alone
        // could be missing below the batch.
        atomic_load_explicit(&wal->control->durable, memory_order_acquire) < w->previous_end) {
        return false;
    }
    if (w->through < 0) {
        do {
            w->through = memdb__io()->open_at(wal->log.directory, w->segment.name,
                                              O_WRONLY | O_DIRECT | O_DSYNC | O_CLOEXEC, 0);
        } while (w->through < 0 && errno == EINTR);
        w->cannot_through = w->through < 0 && errno == EINVAL;
        if (w->through < 0 && !w->cannot_through) {
            memdb_error_t error = {0};
            memdb__fail_errno(&error, errno, "%s: cannot open for direct writes", w->segment.name);
            memdb__wal_tell(&wal->log, error.status, "%s", error.message);
        }
    }
    return w->through >= 0;
}

/// A write through is one trip to the device only where nothing but its blocks must get there:
/// zeros that no sync has met yet are synced first, a whole step of them.
static memdb_status_t sync_zeros(memdb__wal_t *wal, memdb_error_t *error) {
    memdb__wal_writer_t *w = &wal->writer;
    if (!w->unsynced_zeros) {
        return MEMDB_OK;
    }
    uint64_t most = MEMDB__WAL_BLOCK_BYTES + w->segment.header.capacity;
    uint64_t end = w->segment.filled + MEMDB__WAL_FILL_STEP_BYTES;
    memdb_status_t status = memdb__wal_segment_extend(&w->segment, end < most ? end : most, error);
    if (status == MEMDB_OK || status == MEMDB_FULL) { // there is room for this batch
        status = memdb__wal_sync_file(wal, w->segment.fd, w->segment.name, error);
    }
    w->unsynced_zeros = status != MEMDB_OK;
    return status;
}

/// Write the batch's blocks to the device. Some file systems take O_DIRECT at opening and refuse
/// the write: `written_out` false, and nothing was written.
static memdb_status_t write_blocks_through(memdb__wal_t *wal, size_t size, bool *written_out,
                                           memdb_error_t *error) {
    memdb__wal_writer_t *w = &wal->writer;
    uint64_t offset = memdb__wal_segment_offset(&w->segment, w->lsn);
    ssize_t put;
    do {
        put = memdb__io()->pwrite(w->through, w->buffer, size, (off_t)offset);
    } while (put < 0 && errno == EINTR);
    w->cannot_through = put < 0 && errno == EINVAL;
    *written_out = !w->cannot_through;
    if (w->cannot_through || put == (ssize_t)size) {
        return MEMDB_OK;
    }
    if (put <= 0) {
        return memdb__fail_errno(error, put < 0 ? errno : EIO,
                                 "%s: cannot write %zu bytes at %" PRIu64, w->segment.name, size,
                                 offset);
    }
    return memdb__io_write(w->through, w->buffer + put, size - (size_t)put, offset + (uint64_t)put,
                           w->segment.name, error);
}

/// Give the batch its header and its zeros; returns its size in whole blocks.
static size_t close_batch(memdb__wal_t *wal) {
    memdb__wal_writer_t *w = &wal->writer;
    memdb__wal_batch_t batch = {
        .frames = w->frames,
        .epoch = w->segment.header.epoch,
        .lsn = w->lsn,
        .bytes = w->used,
        // Relaxed: any value that it had is true for ever.
        .durable = atomic_load_explicit(&wal->control->durable, memory_order_relaxed),
        .previous_end = w->previous_end,
    };
    memdb__wal_batch_encode(&batch, wal->log.salt, w->buffer);
    size_t whole = (size_t)memdb__wal_block_up(w->used);
    memset(w->buffer + w->used, 0, whole - w->used);
    return whole;
}

/// Bytes of zeros that lie ahead of the next batch; as many as may ever be wanted at the end of the
/// segment.
static uint64_t prepared(const memdb__wal_writer_t *w) {
    uint64_t most = MEMDB__WAL_BLOCK_BYTES + w->segment.header.capacity;
    uint64_t at = memdb__wal_segment_offset(&w->segment, w->lsn);
    return w->segment.filled >= most ? UINT64_MAX
           : w->segment.filled > at  ? w->segment.filled - at
                                     : 0;
}

/// The batch is written: what others may read, and where the next one goes.
static void publish_batch(memdb__wal_t *wal, uint64_t end, size_t whole, bool through) {
    memdb__wal_writer_t *w = &wal->writer;
    memdb__control_t *control = wal->control;
    w->previous_end = end;
    w->lsn = memdb__wal_block_up(end);
    w->streak++;
    // Relaxed: under the writer mutex.
    atomic_store_explicit(&control->last_writer, w->number, memory_order_relaxed);
    memdb__raise(&control->written, end);
    if (through) {
        memdb__raise(&control->durable, end); // after written, which is never below it
        atomic_fetch_add_explicit(&wal->syncs, 1, memory_order_relaxed);
    }
    memdb__wal_count_batch(control);
    atomic_fetch_add_explicit(&wal->batches, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&wal->bytes, whole, memory_order_relaxed);
}

/// all_durable: all of it will be synced, if it is not written through.
static memdb_status_t write_batch(memdb__wal_t *wal, bool all_durable, memdb_error_t *error) {
    memdb__wal_writer_t *w = &wal->writer;
    bool through = false;
    if (w->used == 0) {
        return MEMDB_OK;
    }
    size_t whole = close_batch(wal);
    memdb_status_t status = memdb__wal_check_failed(wal->control, error);
    if (status == MEMDB_OK) {
        through = all_durable && can_write_through(wal);
        if (through) {
            status = sync_zeros(wal, error);
        }
        if (status == MEMDB_OK && through) {
            status = write_blocks_through(wal, whole, &through, error);
        }
        if (status == MEMDB_OK && !through) {
            status = write_blocks(wal, whole, error);
        }
        if (status != MEMDB_OK) {
            memdb__wal_fail_database(wal->control, status);
        }
    }
    uint64_t end = w->lsn + w->used;
    w->used = 0;
    w->frames = 0;
    if (w->capacity > KEPT_BATCH_BYTES) {
        memdb__free(w->allocation);
        w->allocation = w->buffer = NULL;
        w->capacity = 0;
    }
    if (status == MEMDB_OK) {
        publish_batch(wal, end, whole, through);
        // A hint. Only syncs are shorter over blocks that were written before.
        atomic_store_explicit(&wal->wants_space,
                              all_durable && prepared(w) < MEMDB__WAL_FILL_STEP_BYTES / 2,
                              memory_order_relaxed);
    }
    return status;
}

memdb_status_t memdb__wal_write(memdb__wal_t *wal, memdb_error_t *error) {
    return write_batch(wal, false, error);
}

memdb_status_t memdb__wal_write_through(memdb__wal_t *wal, memdb_error_t *error) {
    return write_batch(wal, true, error);
}
