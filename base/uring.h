// The liburing adapter of the log: a write, and the sync behind it, handed to the kernel in one
// call.
//
// What it saves over pwrite and fdatasync is one system call a batch; what the device does is the
// same. It does not go through the table of base/io.h: fault tests of the log run over pwrite.
#ifndef MEMDB_BASE_URING_H
#define MEMDB_BASE_URING_H

#include "base/status.h"

typedef struct memdb__uring memdb__uring_t;

/// Set up a small ring. One thread at a time may use it.
/// Errors  MEMDB_UNSUPPORTED  the kernel has no io_uring, is too old (before 5.6), or forbids it to
/// this process.
memdb_status_t memdb__uring_create(memdb__uring_t **ring_out, memdb_error_t *error);

/// Write `size` bytes of `data` at `offset`, all of them, and with `sync` wait until they are
/// durable as after fdatasync. `size` 0 with `sync` only syncs. `what` names the file in messages.
/// Blocks until the kernel is done with `data`. Errors  MEMDB_IO, MEMDB_FULL  what is in the file
/// is unknown; a failed sync must not be retried. After a failure to
///                               reach the kernel every later call answers MEMDB_FAILED.
memdb_status_t memdb__uring_write(memdb__uring_t *ring, int fd, const void *data, size_t size,
                                  uint64_t offset, bool sync, const char *what,
                                  memdb_error_t *error);

void memdb__uring_destroy(memdb__uring_t *ring); // NULL does nothing

#endif
