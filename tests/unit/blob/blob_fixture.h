// What the tests of the arena share: a database directory that vanishes, and blobs whose content
// follows from a seed.
#ifndef MEMDB_TESTS_BLOB_FIXTURE_H
#define MEMDB_TESTS_BLOB_FIXTURE_H

#include "base/bytes.h"
#include "base/memory.h"
#include "blob/blob_extent.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// cmocka.h wants its C headers before it.
// clang-format off
#include <cmocka.h>
// clang-format on

#define assert_ok(call)                                                                            \
    do {                                                                                           \
        memdb_error_t assert_error = {0};                                                          \
        memdb_error_t *error = &assert_error;                                                      \
        memdb_status_t assert_status = (call);                                                     \
        if (assert_status)                                                                         \
            print_error("%s: %d %s\n", #call, assert_status, assert_error.message);                \
        assert_int_equal(assert_status, MEMDB_OK);                                                 \
    } while (0)

typedef struct fixture {
    char path[64];
    int directory;
    memdb__blobs_t *blobs;
    uint64_t random;
} fixture_t;

typedef struct blob {
    uint8_t reference[32];
    uint64_t size, seed;
} blob_t;

static const uint8_t DATABASE_ID[16] = {1, 2, 3, 4, 5};

static inline uint64_t next_id(void *context) {
    static _Atomic uint64_t last; // relaxed: a counter, nothing is published by it
    (void)context;
    return 0x10 + atomic_fetch_add_explicit(&last, 1, memory_order_relaxed);
}

static inline uint64_t next_random(uint64_t *state) { // splitmix64 (Steele, Lea, Flood)
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

static inline uint8_t content_at(uint64_t seed, uint64_t offset) {
    uint64_t state = seed * 1000003 + offset / 8;
    return (uint8_t)(next_random(&state) >> (offset % 8 * 8));
}

static inline void fill_content(uint64_t seed, uint64_t offset, uint8_t *out, size_t size) {
    for (size_t i = 0; i < size; i++)
        out[i] = content_at(seed, offset + i);
}

static inline void reopen(fixture_t *fixture, bool read_only) {
    memdb__blobs_close(fixture->blobs);
    fixture->blobs = NULL;
    assert_ok(memdb__blobs_open(fixture->directory, DATABASE_ID, next_id, NULL, read_only,
                                &fixture->blobs, error));
}

static inline int setup(void **state) {
    static fixture_t fixture;
    const char *seed = getenv("MEMDB_SEED");
    fixture = (fixture_t){.random = seed ? strtoull(seed, NULL, 0) : 1};
    print_message("seed=%" PRIu64 "\n", fixture.random);
    snprintf(fixture.path, sizeof fixture.path, "%s/memdb-blob-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(fixture.path));
    fixture.directory = open(fixture.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    reopen(&fixture, false);
    *state = &fixture;
    return 0;
}

static inline memdb_status_t remove_extent(void *context, const char *name, memdb_error_t *error) {
    return memdb__io_unlink(*(int *)context, name, error);
}

static inline void remove_extents(fixture_t *fixture) {
    int directory = openat(fixture->directory, "blob", O_RDONLY | O_DIRECTORY);
    if (directory < 0) // never made
        return;
    assert_ok(memdb__io_list(directory, remove_extent, &directory, error));
    close(directory);
}

static inline int teardown(void **state) {
    fixture_t *fixture = *state;
    memdb__blobs_close(fixture->blobs);
    remove_extents(fixture);
    unlinkat(fixture->directory, "blob", AT_REMOVEDIR);
    close(fixture->directory);
    rmdir(fixture->path);
    return 0;
}

static inline memdb_status_t try_write(memdb__blobs_t *blobs, uint64_t size, uint64_t seed,
                                       size_t step, blob_t *blob, memdb_error_t *error) {
    uint8_t part[70000], hash[16];
    memdb__blob_stream_t *stream;
    uint64_t written = 0, told;
    memdb_status_t status = memdb__blob_begin(blobs, &stream, error);
    if (status)
        return status;
    for (; written < size; written += step) {
        step = step < size - written ? step : (size_t)(size - written);
        fill_content(seed, written, part, step);
        status = memdb__blob_append(stream, part, step, error);
        if (status) {
            memdb__blob_abandon(stream);
            return status;
        }
    }
    status = memdb__blob_finish(stream, blob->reference, &told, hash, error);
    if (status)
        return status;
    assert_int_equal(told, size);
    blob->size = size;
    blob->seed = seed;
    return MEMDB_OK;
}

static inline blob_t write_blob(memdb__blobs_t *blobs, uint64_t size, uint64_t seed, size_t step) {
    blob_t blob = {0};
    assert_ok(try_write(blobs, size, seed, step, &blob, error));
    return blob;
}

static inline memdb_status_t try_read(memdb__blobs_t *blobs, const blob_t *blob, uint64_t offset,
                                      size_t size, bool *same_out, memdb_error_t *error) {
    memdb__blob_view_t *view;
    uint64_t told;
    uint8_t *buffer = malloc(size + 1), *expected = malloc(size + 1);
    memdb_status_t status = memdb__blob_open(blobs, blob->reference, &view, &told, error);
    if (!status) {
        assert_int_equal(told, blob->size);
        status = memdb__blob_read(view, offset, buffer, size, error);
        memdb__blob_close(view);
    }
    if (!status) {
        fill_content(blob->seed, offset, expected, size);
        *same_out = memcmp(buffer, expected, size) == 0;
    }
    free(buffer);
    free(expected);
    return status;
}

static inline void expect_blob(memdb__blobs_t *blobs, const blob_t *blob, uint64_t *random) {
    bool same = false;
    assert_ok(try_read(blobs, blob, 0, (size_t)blob->size, &same, error));
    assert_true(same);
    uint64_t offset = next_random(random) % (blob->size + 1);
    assert_ok(try_read(blobs, blob, offset,
                       (size_t)(next_random(random) % (blob->size - offset + 1)), &same, error));
    assert_true(same);
    assert_ok(memdb__blob_verify(blobs, blob->reference, error));
}

#endif
