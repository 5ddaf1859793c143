// The liburing adapter: the only file that includes liburing.h.
//
// A write and its sync are two linked requests: the kernel starts the second when the first has
// written everything, and cancels it when the first failed or was short. A short write is completed
// by a further round. Invariant: between calls no request is in flight and no completion is unread;
// otherwise the ring is `broken`.
#include "base/uring.h"

#include "base/memory.h"

#include <errno.h>
#include <liburing.h>

#define RING_ENTRIES 4
// The length of a request is 32 bits, and Linux writes less than 2 GiB at once.
#define LARGEST_WRITE_BYTES ((size_t)1 << 30)

enum { REQUEST_WRITE = 0, REQUEST_SYNC = 1, REQUESTS = 2 };

struct memdb__uring {
    struct io_uring ring;
    bool broken;
};

/// Whether the kernel knows the two requests that are used here.
static bool knows_requests(struct io_uring *ring) {
    struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
    if (!probe)
        return false;
    bool known = io_uring_opcode_supported(probe, IORING_OP_WRITE) &&
                 io_uring_opcode_supported(probe, IORING_OP_FSYNC);
    io_uring_free_probe(probe);
    return known;
}

memdb_status_t memdb__uring_create(memdb__uring_t **ring_out, memdb_error_t *error) {
    memdb__uring_t *ring = memdb__allocate_zeroed(1, sizeof *ring);
    if (!ring)
        return memdb__fail(error, MEMDB_NOMEM, "io_uring: no memory");
    int result = io_uring_queue_init(RING_ENTRIES, &ring->ring, 0);
    if (result) {
        memdb__free(ring);
        int reason = -result;
        if (reason == ENOMEM || reason == EMFILE || reason == ENFILE)
            return memdb__fail_errno(error, reason, "io_uring: cannot set up");
        memdb__fail_errno(error, reason, "io_uring: the kernel refuses it");
        if (error)
            error->status = MEMDB_UNSUPPORTED;
        return MEMDB_UNSUPPORTED;
    }
    if (!knows_requests(&ring->ring)) {
        memdb__uring_destroy(ring);
        return memdb__fail(error, MEMDB_UNSUPPORTED, "io_uring: the kernel lacks write or fsync");
    }
    *ring_out = ring;
    return MEMDB_OK;
}

void memdb__uring_destroy(memdb__uring_t *ring) {
    if (!ring)
        return;
    io_uring_queue_exit(&ring->ring);
    memdb__free(ring);
}

/// Submit `count` prepared requests and wait for as many completions; results[REQUEST_...] are
/// theirs. Returns 0, or the errno value of a submission that the kernel refused: the ring is
/// broken then, but nothing is in flight.
static int run(memdb__uring_t *ring, unsigned count, int results[REQUESTS]) {
    unsigned submitted = 0, completed = 0;
    int refused = 0;
    while (submitted < count) {
        int result = io_uring_submit_and_wait(&ring->ring, count);
        if (result > 0) {
            submitted += (unsigned)result;
        } else if (result != -EINTR && result != -EAGAIN && result != -EBUSY) {
            refused = result ? -result : EIO;
            break;
        }
    }
    // Whatever was submitted is waited for in any case: the kernel reads the caller's memory until
    // then.
    while (completed < submitted) {
        struct io_uring_cqe *completion;
        int result = io_uring_wait_cqe(&ring->ring, &completion);
        if (result == -EINTR || result == -EAGAIN)
            continue;
        if (result) {
            refused = -result;
            break;
        }
        results[io_uring_cqe_get_data64(completion) == REQUEST_SYNC] = completion->res;
        io_uring_cqe_seen(&ring->ring, completion);
        completed++;
    }
    ring->broken = refused != 0;
    return refused;
}

/// One round: write up to `size` bytes, then, with `sync`, sync if all were written.
static int write_once(memdb__uring_t *ring, int fd, const void *data, size_t size, uint64_t offset,
                      bool sync, int results[REQUESTS]) {
    unsigned count = 0;
    if (size) {
        struct io_uring_sqe *entry = io_uring_get_sqe(&ring->ring);
        io_uring_prep_write(entry, fd, data, (unsigned)size, offset);
        io_uring_sqe_set_data64(entry, REQUEST_WRITE);
        if (sync)
            io_uring_sqe_set_flags(entry, IOSQE_IO_LINK);
        count++;
    }
    if (sync) {
        struct io_uring_sqe *entry = io_uring_get_sqe(&ring->ring);
        io_uring_prep_fsync(entry, fd, IORING_FSYNC_DATASYNC);
        io_uring_sqe_set_data64(entry, REQUEST_SYNC);
        count++;
    }
    return run(ring, count, results);
}

memdb_status_t memdb__uring_write(memdb__uring_t *ring, int fd, const void *data, size_t size,
                                  uint64_t offset, bool sync, const char *what,
                                  memdb_error_t *error) {
    if (ring->broken)
        return memdb__fail(error, MEMDB_FAILED, "%s: io_uring failed before", what);
    const uint8_t *at = data;
    bool synced = !sync;
    while (size || !synced) {
        size_t part = size < LARGEST_WRITE_BYTES ? size : LARGEST_WRITE_BYTES;
        bool last = part == size;
        int results[REQUESTS] = {0, -ECANCELED};
        int refused = write_once(ring, fd, at, part, offset, sync && last, results);
        if (refused)
            return memdb__fail_errno(error, refused, "%s: io_uring: cannot submit", what);
        int put = results[REQUEST_WRITE], sync_result = results[REQUEST_SYNC];
        // Also behind a short write: a second sync could succeed although the first lost pages.
        if (sync_result < 0 && sync_result != -ECANCELED)
            return memdb__fail_errno(error, -sync_result, "%s: io_uring: cannot sync", what);
        if (part && (put == -EINTR || put == -EAGAIN))
            continue;
        if (part && put <= 0) // a write of nothing would be repeated for ever
            return memdb__fail_errno(error, put < 0 ? -put : EIO,
                                     "%s: io_uring: cannot write %zu bytes at %llu", what, part,
                                     (unsigned long long)offset);
        if (part) {
            at += put;
            offset += (uint64_t)put;
            size -= (size_t)put;
        }
        if (size || !sync)
            continue; // a short write cancelled the sync; the next round asks again
        if (sync_result)
            return memdb__fail(error, MEMDB_IO, "%s: io_uring: the sync was cancelled", what);
        synced = true;
    }
    return MEMDB_OK;
}
