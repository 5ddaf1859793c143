// What the tests of wal/ share: a log in a fresh directory, payloads that tell their number, damage
// to files, and an I/O table that fails or kills at a chosen call.
#ifndef MEMDB_TESTS_WAL_FIXTURE_H
#define MEMDB_TESTS_WAL_FIXTURE_H

#include "wal/wal.h"

// cmocka wants these four before it.
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

typedef struct fixture {
    char path[64];
    int directory, log;
    memdb__wal_options_t options;
    memdb__wal_recovery_t recovery;
    memdb__control_t *control;
    memdb__wal_t *wal;
    memdb_error_t error;
} fixture_t;

/// Stops the test with the message when `call` is not MEMDB_OK.
#define EXPECT_OK(f, call) expect_status((f), (call), MEMDB_OK, #call, __FILE__, __LINE__)
#define EXPECT(f, status, call) expect_status((f), (call), (status), #call, __FILE__, __LINE__)
void expect_status(fixture_t *f, memdb_status_t got, memdb_status_t wanted, const char *call,
                   const char *file, int line);

/// A new log in a new directory, not open.
void fixture_create(fixture_t *f, uint64_t segment_bytes);
/// Recover from `from`, new control, open.
void fixture_open(fixture_t *f, uint64_t from, bool rewrite);
/// What a recovery is told of the past: that a sync failed, or that nothing is in doubt.
static inline memdb__control_past_t past(bool failed) {
    return (memdb__control_past_t){.failed = failed, .unsure = UINT64_MAX};
}
void fixture_close(fixture_t *f); // the handle; files stay
void fixture_destroy(fixture_t *f);
/// Another handle on the open database, as another process has it.
void fixture_attach(fixture_t *other, const fixture_t *f);

/// Payload number `n`: its size depends on it, its bytes are never zero.
#define PAYLOAD_LIMIT 20000
size_t payload_make(uint64_t n, size_t size, uint8_t *out);
size_t payload_size(uint64_t n);
/// lock, add, write, unlock; and sync. The frame as added.
memdb__frame_t append(fixture_t *f, uint64_t n, bool sync);
/// A batch of several.
void append_batch(fixture_t *f, uint64_t first, uint64_t count, memdb__frame_t *frames_out);

/// Collects the numbers of frames and checks each payload whole.
typedef struct seen {
    uint64_t count, first, last; // numbers rise by one
    uint64_t end;
    int64_t time;
} seen_t;
memdb_status_t see(void *seen, const memdb__frame_t *frame, memdb_error_t *error);
/// Scan the files from `from`; the status goes to the caller.
memdb_status_t scan(fixture_t *f, uint64_t from, seen_t *seen_out, uint64_t *end_out);

/// The newest segment file's name and bytes, and writing them back.
void newest_name(fixture_t *f, char name_out[32]);
uint8_t *file_read(fixture_t *f, const char *name, size_t *size_out);
void file_write(fixture_t *f, const char *name, const uint8_t *data, size_t size);
size_t file_count(fixture_t *f, const char *suffix);

typedef enum fault_kind {
    FAULT_NONE,
    FAULT_KILL,
    FAULT_HALF_KILL,
    FAULT_EIO,
    FAULT_ENOSPC
} fault_kind_t;
typedef enum fault_call {
    CALL_PWRITE = 1,
    CALL_SYNC = 2,
    CALL_RENAME = 4,
    CALL_OPEN = 8,
    CALL_UNLINK = 16,
    CALL_ALLOCATE = 32,
    CALL_TRUNCATE = 64,
    CALL_PREAD = 128,
    CALL_ANY = 255,
} fault_call_t;
/// From now on, call number `after` (0: the next) among `calls` meets the fault; with `forever` all
/// later ones too.
void fault_install(fault_kind_t kind, unsigned calls, uint64_t after, bool forever);
uint64_t fault_count(void); // calls that matched since
void fault_remove(void);

uint64_t test_seed(void); // from MEMDB_SEED, or the clock; printed
uint64_t next_random(uint64_t *state);

#endif
