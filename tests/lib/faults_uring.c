// Test helper: the stand-in for io_uring's submission, for faults.h. A submission is refused or
// interrupted, a write is shortened, or a completion is changed to an error.
#include "tests/lib/faults.h"

#include <dlfcn.h>
#include <errno.h>
#include <liburing.h>
#include <string.h>

#define KINDS                                                                                      \
    (1u << FAULT_ERROR | 1u << FAULT_INTERRUPTED | 1u << FAULT_SHORT | 1u << FAULT_COMPLETION)

static int submit(struct io_uring *ring, unsigned wait_for) {
    static int (*next)(struct io_uring *, unsigned);
    if (!next) {
        void *address = dlsym(RTLD_NEXT, "io_uring_submit_and_wait");
        memcpy(&next, &address, sizeof address);
    }
    return next(ring, wait_for);
}

int io_uring_submit_and_wait(struct io_uring *ring, unsigned wait_for) {
    struct io_uring_sqe *first = &ring->sq.sqes[ring->sq.sqe_head & ring->sq.ring_mask];
    fault_kind_t kind = fault_meets("io_uring_submit_and_wait", KINDS, first->fd, NULL,
                                    __builtin_return_address(0));
    if (kind == FAULT_ERROR || kind == FAULT_INTERRUPTED) {
        return -errno;
    }
    if (kind == FAULT_SHORT && first->opcode == IORING_OP_WRITE && first->len >= 1024) {
        first->len = first->len / 2 / 512 * 512;
    }
    int result = submit(ring, wait_for);
    struct io_uring_cqe *completion;
    if (kind == FAULT_COMPLETION && io_uring_peek_cqe(ring, &completion) == 0) {
        completion->res = -EIO;
    }
    return result;
}
