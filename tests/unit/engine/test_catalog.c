// The catalog as the engine uses it: create, open, commit, read, share, fork, read only.
#include "tests/unit/engine/catalog_fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

static int setup(void **state) {
    static fixture_t fixture;
    fixture_open(&fixture);
    assert_ok(memdb__catalog_create(fixture.directory, error));
    *state = &fixture;
    return 0;
}

static int teardown(void **state) {
    fixture_close(*state);
    return 0;
}

static void test_catalog_create_holds_an_empty_manifest(void **state) {
    fixture_t *fixture = *state;
    memdb__catalog_t *catalog;
    memdb__manifest_t manifest = {0};
    assert_ok(memdb__catalog_open(fixture->directory, true, false, &catalog, error));
    assert_ok(memdb__catalog_read(catalog, &manifest, error));
    assert_int_equal(manifest.tier_count, 0);
    assert_int_equal(manifest.applied_lsn, 0);
    assert_int_equal(manifest.generation, 1);
    assert_ok(memdb__catalog_verify(catalog, NULL, NULL, error));
    assert_true(memdb__catalog_bytes(catalog) < 1 << 20);
    memdb__manifest_deinit(&manifest);
    memdb__catalog_close(catalog);
    struct stat file;
    assert_int_equal(fstatat(fixture->directory, "catalog/data.mdb", &file, 0), 0);
    assert_int_equal(file.st_mode & 0777, 0600);
}

static void test_catalog_create_after_interrupted_create_works(void **state) {
    fixture_t *fixture = *state;
    memdb__catalog_t *catalog;
    uint8_t junk[5000] = {1, 2, 3};
    store_file(fixture, "catalog/data.mdb", junk, sizeof junk);
    store_file(fixture, "catalog/lock.mdb", junk, sizeof junk);
    assert_ok(memdb__catalog_create(fixture->directory, error));
    assert_ok(memdb__catalog_open(fixture->directory, true, false, &catalog, error));
    memdb__catalog_close(catalog);
}

static void test_catalog_commit_survives_reopen(void **state) {
    fixture_t *fixture = *state;
    static const uint64_t counts[] = {3, 40, 0, 1, 1000, 2, 7000, 100, 12000, 0};
    for (uint64_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        memdb__catalog_t *catalog;
        uint64_t generation = 0;
        assert_ok(memdb__catalog_open(fixture->directory, i % 2, false, &catalog, error));
        commit_manifest(catalog, counts[i], i, &generation);
        assert_int_equal(generation, i + 2);
        expect_manifest(catalog, counts[i], i);
        memdb__catalog_close(catalog);
        assert_ok(memdb__catalog_open(fixture->directory, false, i % 2, &catalog, error));
        expect_manifest(catalog, counts[i], i);
        assert_ok(memdb__catalog_verify(catalog, NULL, NULL, error));
        memdb__catalog_close(catalog);
    }
}

// LMDB's own bookkeeping (splits, merges, free lists in overflow pages) must always pass the walk:
// a false alarm would lose the database as surely as damage.
static void test_catalog_random_commits_always_verify(void **state) {
    fixture_t *fixture = *state;
    uint64_t random = test_seed();
    memdb__catalog_t *catalog;
    assert_ok(memdb__catalog_open(fixture->directory, true, false, &catalog, error));
    for (int i = 0; i < 1500; i++) {
        uint64_t choice = next_random(&random) % 100;
        uint64_t count = next_random(&random) % (choice < 60 ? 60 : choice < 98 ? 1500 : 12000);
        uint64_t salt = next_random(&random) % 5;
        commit_manifest(catalog, count, salt, NULL);
        assert_ok(memdb__catalog_verify(catalog, NULL, NULL, error));
        if (choice % 10 == 0) {
            memdb__catalog_close(catalog);
            assert_ok(
                memdb__catalog_open(fixture->directory, choice % 20 == 0, false, &catalog, error));
            expect_manifest(catalog, count, salt);
        }
    }
    assert_true(memdb__catalog_bytes(catalog) < MEMDB__CATALOG_MAP_BYTES);
    memdb__catalog_close(catalog);
}

static void test_catalog_too_large_manifest_leaves_the_old_one(void **state) {
    fixture_t *fixture = *state;
    memdb__catalog_t *catalog;
    memdb_error_t failure = {0};
    assert_ok(memdb__catalog_open(fixture->directory, true, false, &catalog, error));
    commit_manifest(catalog, 5, 1, NULL);
    memdb__manifest_t large = make_manifest(200000, 2);
    assert_int_equal(memdb__catalog_commit(catalog, &large, NULL, &failure), MEMDB_FULL);
    memdb__manifest_deinit(&large);
    expect_manifest(catalog, 5, 1);
    assert_ok(memdb__catalog_verify(catalog, NULL, NULL, error));
    commit_manifest(catalog, 6, 2, NULL);
    memdb__catalog_close(catalog);
    assert_ok(memdb__catalog_open(fixture->directory, true, false, &catalog, error));
    expect_manifest(catalog, 6, 2);
    memdb__catalog_close(catalog);
}

static void test_catalog_two_opens_share_one_environment(void **state) {
    fixture_t *fixture = *state;
    memdb__catalog_t *a, *b, *reader;
    memdb_error_t failure = {0};
    int other = open(fixture->path, O_RDONLY | O_DIRECTORY);
    assert_ok(memdb__catalog_open(fixture->directory, true, true, &reader, error));
    assert_ok(memdb__catalog_open(fixture->directory, false, false, &a, error));
    assert_ok(memdb__catalog_open(other, false, false, &b, error));
    commit_manifest(a, 3, 1, NULL);
    expect_manifest(b, 3, 1);
    memdb__catalog_close(a);
    commit_manifest(b, 4, 2, NULL);
    expect_manifest(reader, 4, 2);
    memdb__manifest_t manifest = make_manifest(1, 1);
    assert_int_equal(memdb__catalog_commit(reader, &manifest, NULL, &failure), MEMDB_READ_ONLY);
    memdb__manifest_deinit(&manifest);
    memdb__catalog_close(b);
    memdb__catalog_close(reader);
    close(other);
}

typedef struct reader {
    fixture_t *fixture;
    _Atomic bool *done;
    uint64_t reads;
} reader_t;

// Reads through a handle of its own, opened and closed again and again, while another thread
// commits. An open takes no commit between its check and its mapping: the environment is open
// already, and shared.
static void *read_on(void *context) {
    reader_t *reader = context;
    uint64_t last = 0;
    // Acquire, with the release of the committing thread: the last round sees its last commit.
    for (bool more = true; more;) {
        more = !atomic_load_explicit(reader->done, memory_order_acquire);
        memdb__catalog_t *catalog;
        assert_ok(memdb__catalog_open(reader->fixture->directory, false, true, &catalog, error));
        for (int i = 0; i < 5; i++) {
            memdb__manifest_t manifest = {0};
            assert_ok(memdb__catalog_read(catalog, &manifest, error));
            assert_true(manifest.generation >= last);
            assert_int_equal(manifest.tier_count, manifest.generation % 100);
            last = manifest.generation;
            memdb__manifest_deinit(&manifest);
            reader->reads++;
        }
        memdb__catalog_close(catalog);
    }
    assert_int_equal(last, 301);
    return NULL;
}

static void test_catalog_readers_see_whole_commits(void **state) {
    fixture_t *fixture = *state;
    enum { READERS = 3 };
    reader_t readers[READERS];
    pthread_t threads[READERS];
    _Atomic bool done = false;
    memdb__catalog_t *catalog;
    assert_ok(memdb__catalog_open(fixture->directory, true, false, &catalog, error));
    commit_manifest(catalog, 2, 2,
                    NULL); // transaction 2: from here on, as many tiers as the transaction says
    for (int i = 0; i < READERS; i++) {
        readers[i] = (reader_t){fixture, &done, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, read_on, &readers[i]), 0);
    }
    for (uint64_t i = 3; i <= 301; i++)
        commit_manifest(catalog, i % 100, i, NULL);
    atomic_store_explicit(&done, true, memory_order_release); // with the acquire of the readers
    for (int i = 0; i < READERS; i++)
        pthread_join(threads[i], NULL);
    memdb__catalog_close(catalog);
    assert_true(readers[0].reads > 0);
}

static void test_catalog_contradicting_manifest_is_refused(void **state) {
    fixture_t *fixture = *state;
    memdb__catalog_t *catalog;
    memdb_error_t failure = {0};
    assert_ok(memdb__catalog_open(fixture->directory, true, false, &catalog, error));
    for (int i = 0; i < 7; i++) {
        memdb__manifest_t manifest = make_manifest(4, 1);
        switch (i) {
        case 0:
            manifest.applied_lsn++;
            break;
        case 1:
            manifest.tiers[2].first_lsn++;
            break;
        case 2:
            manifest.tiers[3].last_lsn = manifest.tiers[3].first_lsn;
            break;
        case 3:
            manifest.next_segment_id = 3;
            break;
        case 4:
            manifest.tiers[1].sorted.segment_id = manifest.tiers[2].sorted.segment_id;
            break;
        case 5:
            manifest.tiers[0].words.file_size = 1;
            break;
        default:
            manifest.tiers[0].sorted.file_size = 0;
            break;
        }
        assert_int_equal(memdb__manifest_check(&manifest, &failure), MEMDB_CORRUPT);
        assert_int_equal(memdb__catalog_commit(catalog, &manifest, NULL, &failure), MEMDB_INVALID);
        memdb__manifest_deinit(&manifest);
    }
    memdb__catalog_close(catalog);
}

static void test_catalog_missing_file_is_named(void **state) {
    fixture_t *fixture = *state;
    static const char *const names[] = {"catalog/data.mdb", "catalog/companion"};
    for (int i = 0; i < 2; i++) {
        memdb__catalog_t *catalog;
        memdb_error_t failure = {0};
        assert_int_equal(
            renameat(fixture->directory, names[i], fixture->directory, "catalog/aside"), 0);
        assert_int_equal(memdb__catalog_open(fixture->directory, true, false, &catalog, &failure),
                         MEMDB_CORRUPT);
        assert_non_null(strstr(failure.message, names[i]));
        assert_int_equal(
            renameat(fixture->directory, "catalog/aside", fixture->directory, names[i]), 0);
    }
}

static void test_catalog_damaged_lock_file_has_no_effect_when_alone(void **state) {
    fixture_t *fixture = *state;
    uint64_t random = test_seed();
    for (uint64_t i = 0; i < 60; i++) {
        memdb__catalog_t *catalog;
        uint8_t *lock;
        size_t size;
        assert_ok(memdb__catalog_open(fixture->directory, true, false, &catalog, error));
        commit_manifest(catalog, i, i, NULL);
        expect_manifest(catalog, i, i);
        load_file(fixture, "catalog/lock.mdb", &lock, &size);
        memdb__catalog_close(catalog);
        for (size_t j = 0; j < size; j++)
            lock[j] ^= i % 3 == 0 ? (uint8_t)next_random(&random) : i % 3 == 1 ? 0xFF : lock[j];
        store_file(fixture, "catalog/lock.mdb", lock, i % 7 == 0 ? i : size);
        memdb__free(lock);
    }
}

static void test_catalog_forked_child_forgets(void **state) {
    fixture_t *fixture = *state;
    memdb__catalog_t *catalog, *other;
    assert_ok(memdb__catalog_open(fixture->directory, true, false, &catalog, error));
    assert_ok(memdb__catalog_open(fixture->directory, false, false, &other, error));
    commit_manifest(catalog, 3, 1, NULL);
    for (int i = 0; i < 3; i++) {
        pid_t child = fork();
        if (child == 0) {
            memdb__manifest_t manifest = {0};
            memdb_error_t failure = {0};
            if (memdb__catalog_read(catalog, &manifest, &failure) != MEMDB_FORKED ||
                memdb__catalog_commit(catalog, &manifest, NULL, &failure) != MEMDB_FORKED ||
                memdb__catalog_verify(catalog, NULL, NULL, &failure) != MEMDB_FORKED)
                _exit(1);
            memdb__catalog_close(catalog);
            memdb__catalog_close(other);
            // An environment of its own, and commits that the parent sees.
            memdb__catalog_t *own;
            if (memdb__catalog_open(fixture->directory, false, false, &own, &failure))
                _exit(2);
            if (memdb__catalog_read(own, &manifest, &failure))
                _exit(3);
            memdb__manifest_t next = make_manifest(manifest.tier_count + 1, 9);
            if (memdb__catalog_commit(own, &next, NULL, &failure))
                _exit(4);
            memdb__catalog_close(own);
            _exit(0);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        expect_manifest(catalog, 4 + (uint64_t)i, 9);
    }
    commit_manifest(other, 2, 2, NULL);
    memdb__catalog_close(catalog);
    memdb__catalog_close(other);
}

// Root ignores permissions, so the child that opens becomes somebody else first.
static void test_catalog_read_only_without_write_permission(void **state) {
    fixture_t *fixture = *state;
    memdb__catalog_t *catalog;
    assert_ok(memdb__catalog_open(fixture->directory, true, false, &catalog, error));
    commit_manifest(catalog, 3, 1, NULL);
    memdb__catalog_close(catalog);
    for (int lock = 0; lock < 2; lock++) {
        if (!lock)
            unlinkat(fixture->directory, "catalog/lock.mdb", 0);
        else
            store_file(fixture, "catalog/lock.mdb", (const uint8_t *)"damaged", 7);
        assert_int_equal(chmod(fixture->path, 0555), 0);
        assert_int_equal(fchmodat(fixture->directory, "catalog", 0555, 0), 0);
        assert_int_equal(fchmodat(fixture->directory, "catalog/data.mdb", 0444, 0), 0);
        assert_int_equal(fchmodat(fixture->directory, "catalog/companion", 0444, 0), 0);
        pid_t child = fork();
        if (child == 0) {
            memdb_error_t failure = {0};
            if (geteuid() == 0 &&
                (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534)))
                _exit(1);
            if (memdb__catalog_open(fixture->directory, true, false, &catalog, &failure) ==
                MEMDB_OK)
                _exit(2);
            if (memdb__catalog_open(fixture->directory, true, true, &catalog, &failure))
                _exit(3);
            memdb__manifest_t manifest = {0};
            if (memdb__catalog_read(catalog, &manifest, &failure) || manifest.tier_count != 3)
                _exit(4);
            if (memdb__catalog_commit(catalog, &manifest, NULL, &failure) != MEMDB_READ_ONLY)
                _exit(5);
            memdb__manifest_deinit(&manifest);
            memdb__catalog_close(catalog);
            _exit(0);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        assert_int_equal(chmod(fixture->path, 0755), 0);
        assert_int_equal(fchmodat(fixture->directory, "catalog", 0755, 0), 0);
        assert_int_equal(fchmodat(fixture->directory, "catalog/data.mdb", 0600, 0), 0);
        assert_int_equal(fchmodat(fixture->directory, "catalog/companion", 0600, 0), 0);
    }
}

/// A year of checkpoints: tiers and retired extents come and go, and the file stays small.
static void test_catalog_stays_small_through_a_years_churn(void **state) {
    (void)state;
    fixture_t fixture;
    memdb__catalog_t *catalog;
    uint64_t random = test_seed(), generation, last = 0;
    fixture_open(&fixture);
    assert_ok(memdb__catalog_create(fixture.directory, error));
    assert_ok(memdb__catalog_open(fixture.directory, true, false, &catalog, error));
    for (int commit = 0; commit < 9000; commit++) { // one an hour
        uint64_t tiers = 1 + next_random(&random) % 12, waiting = next_random(&random) % 300;
        memdb__manifest_t manifest = make_manifest(tiers, next_random(&random) % 1000);
        memdb__free(manifest.retired);
        manifest.retired = memdb__allocate_zeroed(waiting + 1, sizeof *manifest.retired);
        assert_non_null(manifest.retired);
        manifest.retired_count = waiting;
        for (uint64_t i = 0; i < waiting; i++) {
            manifest.retired[i] = (memdb__retired_extent_t){i + 1 + (uint64_t)commit, last};
        }
        manifest.next_segment_id = 1000000;
        assert_ok(memdb__catalog_commit(catalog, &manifest, &generation, error));
        memdb__manifest_deinit(&manifest);
        last = generation;
    }
    struct stat about;
    assert_int_equal(fstatat(fixture.directory, "catalog/data.mdb", &about, 0), 0);
    printf("data.mdb has %lld bytes after %llu transactions\n", (long long)about.st_size,
           (unsigned long long)last);
    assert_true(about.st_size < 1 << 20);
    memdb__catalog_close(catalog);
    assert_ok(memdb__catalog_open(fixture.directory, true, false, &catalog, error));
    memdb__catalog_close(catalog);
    fixture_close(&fixture);
}

static void test_catalog_too_many_retired_extents_are_refused(void **state) {
    (void)state;
    memdb__manifest_t manifest = make_manifest(1, 0);
    memdb__free(manifest.retired);
    manifest.retired = memdb__allocate_zeroed(MEMDB__MAX_RETIRED + 1, sizeof *manifest.retired);
    for (uint64_t i = 0; i <= MEMDB__MAX_RETIRED; i++) {
        manifest.retired[i].extent_id = i + 1;
    }
    manifest.next_segment_id = MEMDB__MAX_RETIRED + 2;
    manifest.retired_count = MEMDB__MAX_RETIRED;
    assert_int_equal(memdb__manifest_check(&manifest, NULL), MEMDB_OK);
    manifest.retired_count++;
    assert_int_equal(memdb__manifest_check(&manifest, NULL), MEMDB_CORRUPT);
    manifest.retired_count = 2;
    manifest.retired[1].extent_id = 1; // twice
    assert_int_equal(memdb__manifest_check(&manifest, NULL), MEMDB_CORRUPT);
    manifest.retired[1].extent_id = manifest.next_segment_id;
    assert_int_equal(memdb__manifest_check(&manifest, NULL), MEMDB_CORRUPT);
    memdb__manifest_deinit(&manifest);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_catalog_stays_small_through_a_years_churn),
        cmocka_unit_test(test_catalog_too_many_retired_extents_are_refused),
        cmocka_unit_test_setup_teardown(test_catalog_create_holds_an_empty_manifest, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_catalog_create_after_interrupted_create_works, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_catalog_commit_survives_reopen, setup, teardown),
        cmocka_unit_test_setup_teardown(test_catalog_random_commits_always_verify, setup, teardown),
        cmocka_unit_test_setup_teardown(test_catalog_too_large_manifest_leaves_the_old_one, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_catalog_two_opens_share_one_environment, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_catalog_readers_see_whole_commits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_catalog_contradicting_manifest_is_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_catalog_missing_file_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(test_catalog_damaged_lock_file_has_no_effect_when_alone,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_catalog_forked_child_forgets, setup, teardown),
        cmocka_unit_test_setup_teardown(test_catalog_read_only_without_write_permission, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
