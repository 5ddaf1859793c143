// Damage to the catalog's files: every byte, every block, every length.
//
// Method: a catalog of 40 tiers after 30 commits; one damage at a time in place; then an open,
// which must either say MEMDB_CORRUPT or give exactly the manifest that was committed last. Where
// it opens, further commits and another open must work as well (a sample of the cases): what LMDB
// reuses must be as whole as what it reads. The same with the files as a crash between the
// companion's record and the commit leaves them. MEMDB_SLOW=1 takes every case.
#include "tests/unit/engine/catalog_fixture.h"

#define TIERS 40
#define SALT 30

typedef struct damage_test {
    fixture_t fixture;
    uint8_t *data, *companion;
    size_t data_size, companion_size;
    uint64_t opened, refused, random;
    bool slow;
} damage_test_t;

static int setup(void **state) {
    static damage_test_t test;
    memdb__catalog_t *catalog;
    test = (damage_test_t){.random = test_seed(), .slow = getenv("MEMDB_SLOW") != NULL};
    fixture_open(&test.fixture);
    assert_ok(memdb__catalog_create(test.fixture.directory, error));
    assert_ok(memdb__catalog_open(test.fixture.directory, true, false, &catalog, error));
    for (uint64_t i = 1; i <= SALT; i++)
        commit_manifest(catalog, i == SALT ? TIERS : 20 + next_random(&test.random) % 60, i, NULL);
    memdb__catalog_close(catalog);
    load_file(&test.fixture, "catalog/data.mdb", &test.data, &test.data_size);
    load_file(&test.fixture, "catalog/companion", &test.companion, &test.companion_size);
    *state = &test;
    return 0;
}

// The same, and then a crash in the next commit after its record was written.
static int setup_crashed(void **state) {
    setup(state);
    damage_test_t *test = *state;
    memdb__companion_encode(SALT + 2, 12345,
                            test->companion + SALT % 2 * MEMDB__COMPANION_SLOT_BYTES);
    store_file(&test->fixture, "catalog/companion", test->companion, test->companion_size);
    return 0;
}

static int teardown(void **state) {
    damage_test_t *test = *state;
    print_message("opened %" PRIu64 ", refused %" PRIu64 "\n", test->opened, test->refused);
    memdb__free(test->data);
    memdb__free(test->companion);
    fixture_close(&test->fixture);
    return 0;
}

static void restore(damage_test_t *test) {
    store_file(&test->fixture, "catalog/data.mdb", test->data, test->data_size);
    store_file(&test->fixture, "catalog/companion", test->companion, test->companion_size);
}

// Open the damaged catalog and judge; `commits`: go on with it. Returns whether it opened.
static bool judge(damage_test_t *test, bool commits, const char *what, size_t at) {
    memdb__catalog_t *catalog;
    memdb_error_t failure = {0};
    memdb_status_t status =
        memdb__catalog_open(test->fixture.directory, true, false, &catalog, &failure);
    if (status) {
        test->refused++;
        if (status != MEMDB_CORRUPT || !strstr(failure.message, "catalog/"))
            fail_msg("%s at %zu: status %d: %s", what, at, status, failure.message);
        return false;
    }
    test->opened++;
    expect_manifest(catalog, TIERS, SALT);
    for (uint64_t i = 0; commits && i < 3; i++)
        commit_manifest(catalog, 10 + i * 40, 100 + i, NULL);
    memdb__catalog_close(catalog);
    if (commits) {
        assert_ok(memdb__catalog_open(test->fixture.directory, false, false, &catalog, error));
        expect_manifest(catalog, 90, 102);
        memdb__catalog_close(catalog);
        restore(test);
    }
    return true;
}

static size_t used_bytes(const damage_test_t *test) {
    memdb__lmdb_meta_t metas[2];
    int newest;
    uint64_t damage;
    assert_ok(memdb__lmdb_metas(test->data, test->data_size, metas, &newest, &damage, error));
    size_t used = (size_t)(metas[newest].last_page + 1) * metas[newest].page_size;
    return used < test->data_size ? used : test->data_size;
}

static void damage_bytes(damage_test_t *test, const char *name, const uint8_t *whole, size_t size,
                         size_t step) {
    int fd = openat(test->fixture.directory, name, O_RDWR);
    assert_true(fd >= 0);
    for (size_t at = 0; at < size; at += step) {
        uint8_t patterns[3] = {(uint8_t)(1u << (next_random(&test->random) % 8)), 0xFF,
                               (uint8_t)(1 + next_random(&test->random) % 255)};
        for (int i = 0; i < 3; i++) {
            uint8_t byte = whole[at] ^ patterns[i];
            assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
            judge(test, next_random(&test->random) % (test->slow ? 4 : 64) == 0, name, at);
        }
        assert_int_equal(pwrite(fd, &whole[at], 1, (off_t)at), 1);
    }
    close(fd);
}

static void test_catalog_damaged_byte_is_corrupt_or_harmless(void **state) {
    damage_test_t *test = *state;
    size_t step = test->slow ? 1 : 7;
    damage_bytes(test, "catalog/companion", test->companion, test->companion_size, step);
    damage_bytes(test, "catalog/data.mdb", test->data, used_bytes(test), step);
}

// Both meta pages and what a bit in them may do: each single bit, for they have no checksum.
static void test_catalog_damaged_meta_bit_is_corrupt_or_harmless(void **state) {
    damage_test_t *test = *state;
    int fd = openat(test->fixture.directory, "catalog/data.mdb", O_RDWR);
    assert_true(fd >= 0);
    for (size_t bit = 0; bit < 2 * 152 * 8; bit++) {
        size_t at = bit / 8 / 152 * 4096 + bit / 8 % 152;
        uint8_t byte = test->data[at] ^ (uint8_t)(1u << (bit % 8));
        assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
        judge(test, true, "meta", bit);
        assert_int_equal(pwrite(fd, &test->data[at], 1, (off_t)at), 1);
    }
    close(fd);
}

// The newest meta page says that it is the one of two transactions ago, so that the commit between
// seems to be the newest: a lost switch. (A whole old meta page in its place is, byte for byte, a
// crash before the commit.)
static void test_catalog_meta_page_that_poses_as_older_is_corrupt(void **state) {
    damage_test_t *test = *state;
    memdb__catalog_t *catalog;
    uint8_t *data;
    size_t size;
    assert_ok(memdb__catalog_open(test->fixture.directory, true, false, &catalog, error));
    commit_manifest(catalog, TIERS, 31, NULL);
    commit_manifest(catalog, TIERS, 32, NULL);
    memdb__catalog_close(catalog);
    load_file(&test->fixture, "catalog/data.mdb", &data, &size);
    memcpy(data + 4096 + 144, test->data + 4096 + 144, 8);
    store_file(&test->fixture, "catalog/data.mdb", data, size);
    memdb__free(data);
    memdb_error_t failure = {0};
    assert_int_equal(memdb__catalog_open(test->fixture.directory, true, false, &catalog, &failure),
                     MEMDB_CORRUPT);
    assert_non_null(strstr(failure.message, "may be lost"));
}

static void test_catalog_truncated_file_is_corrupt_or_harmless(void **state) {
    damage_test_t *test = *state;
    for (size_t size = 0; size < test->data_size;
         size += size < used_bytes(test) + 8192 ? 512 : 16384) {
        store_file(&test->fixture, "catalog/data.mdb", test->data, size);
        judge(test, true, "data.mdb truncated", size);
    }
    restore(test);
    for (size_t size = 0; size < test->companion_size; size += 512) {
        store_file(&test->fixture, "catalog/companion", test->companion, size);
        assert_false(judge(test, false, "companion truncated", size));
    }
}

static void damage_blocks(damage_test_t *test, const char *name, const uint8_t *whole,
                          size_t size) {
    for (size_t at = 0; at < size; at += 512) {
        for (int kind = 0; kind < 4; kind++) {
            uint8_t block[512] = {0};
            int fd = openat(test->fixture.directory, name, O_RDWR);
            for (size_t i = 0; i < sizeof block && kind == 1; i++)
                block[i] = (uint8_t)next_random(&test->random);
            if (kind >= 2) // another block of the same file
                memcpy(block, whole + next_random(&test->random) % (size / 512) * 512,
                       sizeof block);
            assert_int_equal(pwrite(fd, block, sizeof block, (off_t)at), sizeof block);
            close(fd);
            judge(test, true, name, at);
            restore(test);
        }
    }
}

static void test_catalog_damaged_block_is_corrupt_or_harmless(void **state) {
    damage_test_t *test = *state;
    damage_blocks(test, "catalog/data.mdb", test->data, used_bytes(test));
    damage_blocks(test, "catalog/companion", test->companion, test->companion_size);
}

#define DAMAGE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define DAMAGE_CRASHED(test)                                                                       \
    { #test " (crashed)", test, setup_crashed, teardown, NULL }

int main(void) {
    const struct CMUnitTest tests[] = {
        DAMAGE(test_catalog_damaged_byte_is_corrupt_or_harmless),
        DAMAGE_CRASHED(test_catalog_damaged_byte_is_corrupt_or_harmless),
        DAMAGE(test_catalog_damaged_meta_bit_is_corrupt_or_harmless),
        DAMAGE_CRASHED(test_catalog_damaged_meta_bit_is_corrupt_or_harmless),
        DAMAGE(test_catalog_meta_page_that_poses_as_older_is_corrupt),
        DAMAGE(test_catalog_truncated_file_is_corrupt_or_harmless),
        DAMAGE_CRASHED(test_catalog_truncated_file_is_corrupt_or_harmless),
        DAMAGE(test_catalog_damaged_block_is_corrupt_or_harmless),
        DAMAGE_CRASHED(test_catalog_damaged_block_is_corrupt_or_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
