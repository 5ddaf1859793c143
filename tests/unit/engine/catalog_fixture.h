// What the tests of the catalog share: a database directory that vanishes, manifests that are easy
// to tell apart, and the catalog's files as bytes.
#ifndef MEMDB_TESTS_CATALOG_FIXTURE_H
#define MEMDB_TESTS_CATALOG_FIXTURE_H

#include "base/memory.h"
#include "engine/catalog/engine_catalog.h"

#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// cmocka.h wants its C headers before it.
// clang-format off
#include <cmocka.h>
// clang-format on

typedef struct fixture {
    char path[64];
    int directory;
} fixture_t;

static inline void fixture_open(fixture_t *fixture) {
    // Memory is enough: what a power loss would do is simulated, and thousands of syncs are not
    // what is tested.
    snprintf(fixture->path, sizeof fixture->path, "%s/memdb-catalog-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(fixture->path));
    fixture->directory = open(fixture->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fixture->directory >= 0);
}

static inline void fixture_close(fixture_t *fixture) {
    static const char *const names[] = {"catalog/data.mdb", "catalog/lock.mdb",
                                        "catalog/companion"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unlinkat(fixture->directory, names[i], 0);
    unlinkat(fixture->directory, "catalog", AT_REMOVEDIR);
    close(fixture->directory);
    rmdir(fixture->path);
}

/// A manifest of `count` tiers; another `salt` gives another manifest. Release with
/// memdb__manifest_deinit.
static inline memdb__manifest_t make_manifest(uint64_t count, uint64_t salt) {
    memdb__manifest_t manifest = {.next_id = 100 + salt,
                                  .next_space = 7,
                                  .epoch_floor = salt,
                                  .last_commit_time = -5,
                                  .tier_count = count,
                                  .retired_count = salt % 4,
                                  .named_blob_bytes = salt * 5,
                                  .arena_bytes = salt * 7,
                                  .purged_lsn = salt * 11};
    manifest.retired = memdb__allocate_zeroed(4, sizeof *manifest.retired);
    assert_non_null(manifest.retired);
    manifest.tiers = memdb__allocate_zeroed(count ? count : 1, sizeof *manifest.tiers);
    assert_non_null(manifest.tiers);
    uint64_t id = 1, lsn = 0;
    for (uint64_t i = 0; i < count; i++) {
        memdb__tier_name_t *tier = &manifest.tiers[i];
        tier->first_lsn = lsn;
        lsn += 4096 * (1 + (salt + i) % 3);
        tier->last_lsn = lsn;
        tier->sorted = (memdb__segment_name_t){id++, 16384 + i, salt * 31 + i};
        tier->superseded_bytes = salt + i;
        tier->dropped_blob_bytes = salt + 2 * i;
        if (i % 2)
            tier->words = (memdb__segment_name_t){id++, 16384 + i, salt * 37 + i};
        if (i % 3 == 0)
            tier->vectors = (memdb__segment_name_t){id++, 16384 + i, salt * 41 + i};
    }
    for (uint64_t i = 0; i < manifest.retired_count; i++)
        manifest.retired[i] = (memdb__retired_extent_t){id++, salt + i};
    manifest.applied_lsn = lsn;
    manifest.next_segment_id = id;
    return manifest;
}

static inline bool same_manifest(const memdb__manifest_t *a, const memdb__manifest_t *b) {
    if (a->tier_count != b->tier_count || a->retired_count != b->retired_count)
        return false;
    for (uint64_t i = 0; i < memdb__manifest_entries(a); i++) {
        memdb__manifest_entry_t x, y;
        memdb__manifest_encode(a, 0, i, &x);
        memdb__manifest_encode(b, 0, i, &y);
        if (memcmp(&x, &y, sizeof x) != 0)
            return false;
    }
    return true;
}

#define assert_ok(call)                                                                            \
    do {                                                                                           \
        memdb_error_t assert_error = {0};                                                          \
        memdb_error_t *error = &assert_error;                                                      \
        memdb_status_t assert_status = (call);                                                     \
        if (assert_status)                                                                         \
            print_error("%s: %d %s\n", #call, assert_status, assert_error.message);                \
        assert_int_equal(assert_status, MEMDB_OK);                                                 \
    } while (0)

static inline void commit_manifest(memdb__catalog_t *catalog, uint64_t count, uint64_t salt,
                                   uint64_t *generation_out) {
    memdb__manifest_t manifest = make_manifest(count, salt);
    assert_ok(memdb__catalog_commit(catalog, &manifest, generation_out, error));
    memdb__manifest_deinit(&manifest);
}

static inline void expect_manifest(memdb__catalog_t *catalog, uint64_t count, uint64_t salt) {
    memdb__manifest_t expected = make_manifest(count, salt), found = {0};
    assert_ok(memdb__catalog_read(catalog, &found, error));
    assert_true(same_manifest(&expected, &found));
    memdb__manifest_deinit(&expected);
    memdb__manifest_deinit(&found);
}

static inline void load_file(const fixture_t *fixture, const char *name, uint8_t **data_out,
                             size_t *size_out) {
    assert_ok(memdb__io_read_file(fixture->directory, name, 64 << 20, data_out, size_out, error));
}

/// Replace a file's bytes in place, as damage does.
static inline void store_file(const fixture_t *fixture, const char *name, const uint8_t *data,
                              size_t size) {
    int fd = openat(fixture->directory, name, O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, data, size, 0), (ssize_t)size);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    close(fd);
}

static inline uint64_t next_random(uint64_t *state) { // splitmix64 (Steele, Lea, Flood)
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

static inline uint64_t test_seed(void) {
    const char *text = getenv("MEMDB_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : 1;
    print_message("seed=%" PRIu64 "\n", seed);
    return seed;
}

#endif
