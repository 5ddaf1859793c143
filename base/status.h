// Status and error context for the files of the library.
//
// A function that can fail returns memdb_status_t and takes a memdb_error_t * as its last argument,
// in which it leaves the status and a message: lower case, no full stop, with the offending value.
// Callers add context in front: "open: recover: segment 7 at 4096: checksum mismatch". `error` may
// be NULL where the caller does not want it.
#ifndef MEMDB_BASE_STATUS_H
#define MEMDB_BASE_STATUS_H

#include "include/memdb.h"

#include <stdarg.h>

/// Set `error` to `status` and the formatted message; returns `status`, so that a caller writes
/// `return memdb__fail(error, MEMDB_CORRUPT, "page %u: checksum mismatch", page);`.
/// An error that tells nothing yet; the message's rest need not be written.
static inline void memdb__error_clear(memdb_error_t *error) {
    error->status = MEMDB_OK;
    error->message[0] = '\0';
}
memdb_status_t memdb__fail(memdb_error_t *error, memdb_status_t status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/// The same for a failed system call: status from `errno_value` (ENOSPC, EDQUOT: MEMDB_FULL;
/// ENOMEM: MEMDB_NOMEM; ENOENT: MEMDB_NOT_FOUND; EEXIST: MEMDB_EXISTS; else MEMDB_IO), message
/// "<formatted>: <strerror>".
memdb_status_t memdb__fail_errno(memdb_error_t *error, int errno_value, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/// Put context in front of the message: "<formatted>: <message>". Returns `status`, which is that
/// of the failure that the message tells of.
memdb_status_t memdb__error_context(memdb_error_t *error, memdb_status_t status, const char *format,
                                    ...) __attribute__((format(printf, 3, 4)));

#endif
