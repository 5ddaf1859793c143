/// Statuses, times and other small types of every memdb header. Include memdb.h.
#ifndef MEMDB_INCLUDE_MEMDB_TYPES_H
#define MEMDB_INCLUDE_MEMDB_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define MEMDB_API __attribute__((visibility("default")))
#else
#define MEMDB_API
#endif

#define MEMDB_VERSION_MAJOR 0
#define MEMDB_VERSION_MINOR 1
#define MEMDB_VERSION_PATCH 0

/// The status codes: enumerator, value (fixed for ever), text.
#define MEMDB_STATUS_TABLE(X)                                                                      \
    X(MEMDB_OK, 0, "ok")                                                                           \
    X(MEMDB_INVALID, 1, "an argument is not valid")                                                \
    X(MEMDB_NOT_FOUND, 2, "there is no such thing")                                                \
    X(MEMDB_EXISTS, 3, "it exists already")                                                        \
    X(MEMDB_CONFLICT, 4, "another commit changed the same thing; nothing was written, retry")      \
    X(MEMDB_BUSY, 5, "a limit was reached and stayed reached until the deadline; retry later")     \
    X(MEMDB_LIMIT, 6, "larger than the database accepts")                                          \
    X(MEMDB_READ_ONLY, 7, "the database is open for reading only")                                 \
    X(MEMDB_UNSUPPORTED, 8, "this version cannot do that")                                         \
    X(MEMDB_NOT_DATABASE, 9, "the directory holds no memdb database")                              \
    X(MEMDB_VERSION, 10, "the database was written in a format that this version does not know")   \
    X(MEMDB_CORRUPT, 11, "a file of the database is damaged")                                      \
    X(MEMDB_IO, 12, "the operating system refused an operation")                                   \
    X(MEMDB_FULL, 13, "the file system is full")                                                   \
    X(MEMDB_NOMEM, 14, "out of memory")                                                            \
    X(MEMDB_FAILED, 15, "an earlier write or sync failed; close the database and open it again")   \
    X(MEMDB_FORKED, 16, "the handle was opened before fork, in the parent process")                \
    X(MEMDB_DONE, 17, "there is nothing more")                                                     \
    X(MEMDB_EXPIRED, 18, "it is older than what is kept")                                          \
    X(MEMDB_INTERRUPTED, 19, "memdb_interrupt ended it")                                           \
    X(MEMDB_REFUSED, 20, "a gate of the space refused it")

typedef enum memdb_status {
#define MEMDB_STATUS_ENUMERATOR(name, value, text) name = value,
    MEMDB_STATUS_TABLE(MEMDB_STATUS_ENUMERATOR)
#undef MEMDB_STATUS_ENUMERATOR
} memdb_status_t;

/// The enumerator's name ("MEMDB_CONFLICT") and its text. Static storage.
MEMDB_API const char *memdb_status_name(memdb_status_t status);
MEMDB_API const char *memdb_status_text(memdb_status_t status);

/// "0.1.0". Static storage.
MEMDB_API const char *memdb_version(void);

typedef struct memdb memdb_t;
typedef struct memdb_txn memdb_txn_t;
typedef struct memdb_snapshot memdb_snapshot_t;
typedef struct memdb_cursor memdb_cursor_t;
typedef struct memdb_link_cursor memdb_link_cursor_t;
typedef struct memdb_result memdb_result_t;
typedef struct memdb_nodes memdb_nodes_t;
typedef struct memdb_blob_writer memdb_blob_writer_t;
typedef struct memdb_blob_reader memdb_blob_reader_t;

/// Sized bytes; `data` may be NULL when `size` is 0.
typedef struct memdb_bytes {
    const char *data;
    size_t size;
} memdb_bytes_t;

/// Why a call failed that has no handle to ask.
typedef struct memdb_error {
    memdb_status_t status;
    char message[512];
} memdb_error_t;

#define MEMDB_TIME_NONE INT64_MIN

/// Parse an RFC 3339 time: a date ("2023-05-08": midnight), or a date and time with an optional
/// fraction of up to six digits and an optional zone ("Z", "+02:00"; without: UTC). Years 0001 to
/// 9999 in UTC.
///
/// error_out   optional; filled on failure.
MEMDB_API memdb_status_t memdb_time_parse(memdb_bytes_t text, int64_t *time_out,
                                          memdb_error_t *error_out);
/// Longest text: "9999-12-31T23:59:59.999999Z" and the terminator.
#define MEMDB_TIME_TEXT_BYTES 32
/// Print in UTC with Z; the fraction only when it is not zero. A time outside the years 0001 to
/// 9999 is printed as the microseconds themselves.
MEMDB_API void memdb_time_print(int64_t time, char out[MEMDB_TIME_TEXT_BYTES]);

/// How much a commit survives. Commits of all kinds form one history in one order.
typedef enum memdb_durability {
    MEMDB_DURABILITY_DEFAULT = 0, ///< what the database was created with (full unless chosen)
    MEMDB_DURABILITY_NONE = 1,    ///< ordered; may be lost with the process
    MEMDB_DURABILITY_OS = 2,      ///< survives the death of the process (kill -9)
    MEMDB_DURABILITY_FULL = 3     ///< survives power loss
} memdb_durability_t;

typedef enum memdb_metric {
    MEMDB_METRIC_COSINE = 0,
    MEMDB_METRIC_DOT = 1,
    MEMDB_METRIC_L2 = 2
} memdb_metric_t;

#ifdef __cplusplus
}
#endif
#endif
