// What the tests of the vector index share: random numbers, a directory, and sources.
#ifndef MEMDB_TESTS_UNIT_INDEX_TEST_ATLAS_FIXTURE_H
#define MEMDB_TESTS_UNIT_INDEX_TEST_ATLAS_FIXTURE_H

#include "index/atlas/atlas_internal.h"

#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// clang-format off: cmocka.h needs setjmp.h, stdarg.h and stddef.h before it
#include <cmocka.h>
// clang-format on

typedef struct random {
    uint64_t state;
} random_t;

static inline uint32_t random_next(random_t *random) {
    random->state = random->state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random->state >> 33);
}

static inline random_t random_seeded(void) {
    const char *text = getenv("MEMDB_SEED");
    random_t random = {text ? strtoull(text, NULL, 0) : 20240611};
    print_message("seed=%llu\n", (unsigned long long)random.state);
    return random;
}

/// Uniform in [-1, 1).
static inline float random_float(random_t *random) {
    return (float)(random_next(random) % (1u << 24)) / (float)(1u << 23) - 1;
}

/// Roughly normal.
static inline float random_normal(random_t *random) {
    float sum = 0;
    for (int i = 0; i < 6; i++)
        sum += random_float(random);
    return sum * 0.70710678f;
}

static inline void random_vector(random_t *random, float *vector, uint32_t dimension) {
    for (uint32_t i = 0; i < dimension; i++)
        vector[i] = random_float(random);
}

/// A directory of its own for a test; `path` holds 64 bytes.
static inline int directory_create(char *path) {
    const char *base = getenv("TMPDIR");
    snprintf(path, 64, "%.40s/memdb-atlas-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(path));
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static inline void directory_destroy(int fd, const char *path) {
    close(fd);
    rmdir(path);
}

static inline memdb__segment_identity_t identity_of(uint64_t segment_id) {
    return (memdb__segment_identity_t){
        .database_id = {1, 2, 3}, .segment_id = segment_id, .kind = MEMDB__SEGMENT_VECTORS};
}

static inline bool every_row(void *context, memdb_space_t space, uint64_t id, uint64_t version) {
    (void)context, (void)space, (void)id, (void)version;
    return true;
}

static inline bool every_space(void *context, memdb_space_t space) {
    (void)context, (void)space;
    return true;
}

static inline void assert_ok(memdb_status_t status, const memdb_error_t *error) {
    if (status != MEMDB_OK)
        fail_msg("%s: %s", memdb_status_name(status), error->message);
}

#endif
