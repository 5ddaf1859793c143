// See wal_fixture.h.
#include "tests/unit/wal/wal_fixture.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void expect_status(fixture_t *f, memdb_status_t got, memdb_status_t wanted, const char *call,
                   const char *file, int line) {
    if (got != wanted) {
        fprintf(stderr, "%s:%d: %s: %s, wanted %s: %s\n", file, line, call, memdb_status_name(got),
                memdb_status_name(wanted), got ? f->error.message : "");
        _fail(file, line);
    }
}

void fixture_create(fixture_t *f, uint64_t segment_bytes) {
    *f = (fixture_t){.options.segment_bytes = segment_bytes};
    snprintf(f->path, sizeof f->path, "/tmp/memdb-wal-XXXXXX");
    assert_non_null(mkdtemp(f->path));
    memcpy(f->options.database_id, "sixteen bytes id", 16);
    f->directory = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(f->directory >= 0);
    EXPECT_OK(f, memdb__wal_create(f->directory, &f->options, &f->error));
    f->log = openat(f->directory, "log", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static memdb_status_t ignore(void *context, const memdb__frame_t *frame, memdb_error_t *error) {
    (void)context, (void)frame, (void)error;
    return MEMDB_OK;
}

void fixture_open(fixture_t *f, uint64_t from, bool rewrite) {
    EXPECT_OK(f, memdb__wal_recover(f->directory, &f->options, from, 0, past(rewrite), ignore, NULL,
                                    &f->recovery, &f->error));
    memdb__control_start_t start = {
        .end_lsn = f->recovery.end,
        .applied = from,
        .segment_epoch = f->recovery.segment_epoch,
        .next_epoch = f->recovery.next_epoch,
        .last_commit_time = f->recovery.last_commit_time,
    };
    memcpy(start.database_id, f->options.database_id, 16);
    EXPECT_OK(f, memdb__control_create(f->directory, &start, &f->control, &f->error));
    EXPECT_OK(f, memdb__wal_open(f->directory, &f->options, f->control, &f->wal, &f->error));
}

void fixture_close(fixture_t *f) {
    memdb__wal_close(f->wal);
    memdb__control_unmap(f->control);
    f->wal = NULL;
    f->control = NULL;
}

void fixture_destroy(fixture_t *f) {
    char command[128];
    if (f->control != NULL) {
        fixture_close(f);
    }
    close(f->log);
    close(f->directory);
    snprintf(command, sizeof command, "rm -r %s", f->path);
    assert_int_equal(system(command), 0);
}

void fixture_attach(fixture_t *other, const fixture_t *f) {
    *other = *f;
    EXPECT_OK(other, memdb__control_map(f->directory, f->options.database_id, &other->control,
                                        &other->error));
    EXPECT_OK(other, memdb__wal_open(f->directory, &f->options, other->control, &other->wal,
                                     &other->error));
}

size_t payload_size(uint64_t n) {
    uint64_t h = n * UINT64_C(0x9e3779b97f4a7c15) >> 32;
    return 8 + (h % 7 == 0 ? h % 9000 : h % 600);
}

size_t payload_make(uint64_t n, size_t size, uint8_t *out) {
    memcpy(out, &n, 8);
    for (size_t i = 8; i < size; i++) {
        out[i] = (uint8_t)(1 + (n * 31 + i * 7) % 255);
    }
    return size;
}

memdb__frame_t append(fixture_t *f, uint64_t n, bool sync) {
    static _Thread_local uint8_t payload[PAYLOAD_LIMIT];
    memdb__frame_t frame;
    EXPECT_OK(f, memdb__wal_lock(f->wal, &f->error));
    EXPECT_OK(f, memdb__wal_add(f->wal, payload, payload_make(n, payload_size(n), payload), &frame,
                                &f->error));
    EXPECT_OK(f, memdb__wal_write(f->wal, &f->error));
    memdb__wal_unlock(f->wal);
    if (sync) {
        EXPECT_OK(f, memdb__wal_sync(f->wal, frame.end, &f->error));
    }
    return frame;
}

void append_batch(fixture_t *f, uint64_t first, uint64_t count, memdb__frame_t *frames_out) {
    uint8_t payload[PAYLOAD_LIMIT];
    EXPECT_OK(f, memdb__wal_lock(f->wal, &f->error));
    for (uint64_t i = 0; i < count; i++) {
        EXPECT_OK(f, memdb__wal_add(f->wal, payload,
                                    payload_make(first + i, payload_size(first + i), payload),
                                    &frames_out[i], &f->error));
    }
    EXPECT_OK(f, memdb__wal_write(f->wal, &f->error));
    memdb__wal_unlock(f->wal);
    EXPECT_OK(f, memdb__wal_sync(f->wal, frames_out[count - 1].end, &f->error));
}

memdb_status_t see(void *context, const memdb__frame_t *frame, memdb_error_t *error) {
    seen_t *seen = context;
    uint8_t *wanted = malloc(frame->size + 8);
    uint64_t n;
    (void)error;
    assert_true(frame->size >= 8);
    memcpy(&n, frame->payload, 8);
    payload_make(n, frame->size, wanted);
    assert_memory_equal(wanted, frame->payload, frame->size);
    free(wanted);
    assert_true(frame->lsn >= seen->end);
    assert_true(seen->count == 0 || frame->commit_time > seen->time);
    assert_true(seen->count == 0 || n == seen->last + 1);
    seen->first = seen->count == 0 ? n : seen->first;
    seen->last = n;
    seen->count++;
    seen->end = frame->end;
    seen->time = frame->commit_time;
    return MEMDB_OK;
}

memdb_status_t scan(fixture_t *f, uint64_t from, seen_t *seen_out, uint64_t *end_out) {
    *seen_out = (seen_t){0};
    return memdb__wal_scan(f->directory, &f->options, from, see, seen_out, end_out, &f->error);
}

typedef struct names {
    char last[32];
    const char *suffix;
    size_t count;
} names_t;

static memdb_status_t take_name(void *context, const char *name, memdb_error_t *error) {
    names_t *names = context;
    (void)error;
    if (strstr(name, names->suffix) != NULL) {
        snprintf(names->last, sizeof names->last, "%s", name);
        names->count++;
    }
    return MEMDB_OK;
}

void newest_name(fixture_t *f, char name_out[32]) {
    names_t names = {.suffix = ".log"};
    EXPECT_OK(f, memdb__io_list(f->log, take_name, &names, &f->error));
    memcpy(name_out, names.last, 32);
}

size_t file_count(fixture_t *f, const char *suffix) {
    names_t names = {.suffix = suffix};
    EXPECT_OK(f, memdb__io_list(f->log, take_name, &names, &f->error));
    return names.count;
}

uint8_t *file_read(fixture_t *f, const char *name, size_t *size_out) {
    uint8_t *data = NULL;
    EXPECT_OK(f, memdb__io_read_file(f->log, name, 1u << 30, &data, size_out, &f->error));
    return data;
}

void file_write(fixture_t *f, const char *name, const uint8_t *data, size_t size) {
    int fd = openat(f->log, name, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, data, size, 0), (ssize_t)size);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    close(fd);
}

// The faulty I/O table. One process and, while a fault is set, one thread uses it.
static struct {
    fault_kind_t kind;
    unsigned calls;
    uint64_t after, count;
    bool forever;
} fault;

static bool meets(unsigned call) {
    if (fault.kind == FAULT_NONE || (fault.calls & call) == 0) {
        return false;
    }
    uint64_t number = fault.count++;
    if (number != fault.after && !(fault.forever && number > fault.after)) {
        return false;
    }
    if (fault.kind == FAULT_KILL || (fault.kind == FAULT_HALF_KILL && call != CALL_PWRITE)) {
        raise(SIGKILL);
    }
    errno = fault.kind == FAULT_ENOSPC ? ENOSPC : EIO;
    return true;
}

static ssize_t faulty_pwrite(int fd, const void *buffer, size_t size, off_t offset) {
    if (meets(CALL_PWRITE)) {
        if (fault.kind == FAULT_HALF_KILL) {
            fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_DIRECT); // which takes whole blocks only
            ssize_t part = pwrite(fd, buffer, size / 2 + 1, offset);
            raise(part > 0 ? SIGKILL : SIGABRT);
        }
        return -1;
    }
    return pwrite(fd, buffer, size, offset);
}
static ssize_t faulty_pread(int fd, void *buffer, size_t size, off_t offset) {
    return meets(CALL_PREAD) ? -1 : pread(fd, buffer, size, offset);
}
static int faulty_sync_data(int fd) {
    return meets(CALL_SYNC) ? -1 : fdatasync(fd);
}
static int faulty_sync_all(int fd) {
    return meets(CALL_SYNC) ? -1 : fsync(fd);
}
static int faulty_rename(int from_directory, const char *from, int to_directory, const char *to) {
    return meets(CALL_RENAME) ? -1 : renameat(from_directory, from, to_directory, to);
}
static int faulty_open(int directory, const char *name, int flags, mode_t mode) {
    return meets(CALL_OPEN) ? -1 : openat(directory, name, flags, mode);
}
static int faulty_unlink(int directory, const char *name, int flags) {
    return meets(CALL_UNLINK) ? -1 : unlinkat(directory, name, flags);
}
static int faulty_allocate(int fd, off_t offset, off_t size) {
    return meets(CALL_ALLOCATE) ? -1 : memdb__io_real.allocate(fd, offset, size);
}
static int faulty_truncate(int fd, off_t size) {
    return meets(CALL_TRUNCATE) ? -1 : ftruncate(fd, size);
}

void fault_install(fault_kind_t kind, unsigned calls, uint64_t after, bool forever) {
    static memdb__io_table_t table;
    table = memdb__io_real;
    table.pwrite = faulty_pwrite;
    table.pread = faulty_pread;
    table.sync_data = faulty_sync_data;
    table.sync_all = faulty_sync_all;
    table.rename_at = faulty_rename;
    table.open_at = faulty_open;
    table.unlink_at = faulty_unlink;
    table.allocate = faulty_allocate;
    table.truncate = faulty_truncate;
    fault.kind = kind;
    fault.calls = calls;
    fault.after = after;
    fault.count = 0;
    fault.forever = forever;
    memdb__io_install(&table);
}

uint64_t fault_count(void) {
    return fault.count;
}

void fault_remove(void) {
    fault.kind = FAULT_NONE;
    memdb__io_install(NULL);
}

uint64_t test_seed(void) {
    const char *text = getenv("MEMDB_SEED");
    uint64_t seed = text != NULL ? strtoull(text, NULL, 0)
                                 : memdb__monotonic_ns() * 2654435761u ^ (uint64_t)getpid();
    printf("seed=%" PRIu64 "\n", seed);
    return seed;
}

uint64_t next_random(uint64_t *state) {
    // SplitMix64 (Steele, Lea, Flood 2014).
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}
