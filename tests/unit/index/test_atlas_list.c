// Goal: a list serves readers beside its writer, is cheap for many small spaces, finds rows among
// many versions, and survives a failed allocation anywhere. Method: one writer and readers that
// check what they must see already; counted bytes; each allocation failed in turn.
#include "tests/unit/index/test_atlas_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

#define DIMENSION 16
#define READERS 3
#define SPACES 5

/// The row that (space, id, version) has: its first code tells it apart.
static void row_of(uint64_t id, uint64_t version, uint8_t *row) {
    const float scale = 0.01f;
    memcpy(row, &scale, 4);
    for (int i = 0; i < DIMENSION; i++)
        row[4 + i] = (uint8_t)((id * 31 + version * 7 + (uint64_t)i * 5) % 100);
}

static memdb_status_t add(memdb__vector_list_t *list, memdb_space_t space, uint64_t id,
                          uint64_t version, memdb_error_t *error) {
    uint8_t row[4 + DIMENSION];
    row_of(id, version, row);
    return memdb__vector_list_add(list, space, DIMENSION, id, version, row, error);
}

static memdb__vector_search_t search_of(const memdb__vector_source_t *source, memdb_space_t space,
                                        uint64_t visible) {
    return (memdb__vector_search_t){.space = space,
                                    .metric = MEMDB_METRIC_DOT,
                                    .dimension = DIMENSION,
                                    .visible = visible,
                                    .sources = source,
                                    .source_count = 1,
                                    .live = every_row};
}

static void check_get(const memdb__vector_search_t *search, uint64_t id, uint64_t version) {
    uint8_t row[4 + DIMENSION], expected[4 + DIMENSION];
    memdb_error_t error;
    assert_ok(memdb__vector_get(search, id, version, row, &error), &error);
    row_of(id, version, expected);
    assert_memory_equal(row, expected, sizeof row);
}

// ------------------------------------------------------------------------------ readers and a
// writer

typedef struct shared {
    memdb__vector_list_t *list;
    _Atomic uint64_t published; // every version up to this was added
    uint64_t last;
    _Atomic int failed;
} shared_t;

/// Version v is of space v % SPACES + 1 and of id v / SPACES % 997, so ids come again.
static memdb_space_t space_of(uint64_t version) {
    return (memdb_space_t)(version % SPACES + 1);
}

static uint64_t id_of(uint64_t version) {
    return version / SPACES % 997;
}

/// Versions up to `visible` that are of `space`.
static uint64_t rows_of(memdb_space_t space, uint64_t visible) {
    uint64_t first = space > 1 ? space - 1 : SPACES; // version 0 is not used
    return visible < first ? 0 : (visible - first) / SPACES + 1;
}

static bool read_once(shared_t *shared, random_t *random) {
    // Acquire: pairs with the writer's release; what was added before can be seen.
    uint64_t visible = atomic_load_explicit(&shared->published, memory_order_acquire);
    if (!visible)
        return true;
    const memdb__vector_source_t source = {.list = shared->list};
    uint64_t version = 1 + random_next(random) % visible;
    memdb__vector_search_t search = search_of(&source, space_of(version), visible);
    uint8_t row[4 + DIMENSION], expected[4 + DIMENSION];
    if (memdb__vector_get(&search, id_of(version), version, row, NULL))
        return false;
    row_of(id_of(version), version, expected);
    if (memcmp(row, expected, sizeof row))
        return false;
    float query[DIMENSION];
    random_vector(random, query, DIMENSION);
    memdb__vector_hit_t hits[20];
    size_t count;
    if (memdb__vector_search(query, &search, hits, 20, &count, NULL))
        return false;
    uint64_t rows = rows_of(search.space, visible);
    if (count != (rows < 20 ? rows : 20))
        return false;
    for (size_t i = 0; i < count; i++)
        if (hits[i].version > visible || id_of(hits[i].version) != hits[i].id)
            return false;
    memdb__vector_hit_t again[20];
    memcpy(again, hits, sizeof hits);
    if (memdb__vector_score(query, &search, again, count, NULL))
        return false;
    for (size_t i = 0; i < count; i++)
        if (again[i].score != hits[i].score)
            return false;
    return true;
}

static void *read_always(void *argument) {
    shared_t *shared = argument;
    random_t random = {(uint64_t)(uintptr_t)&random};
    uint64_t seen = 0;
    while (seen < shared->last) {
        // Acquire: as in read_once.
        seen = atomic_load_explicit(&shared->published, memory_order_acquire);
        if (!read_once(shared, &random))
            // Relaxed: read after the threads are joined.
            atomic_fetch_add_explicit(&shared->failed, 1, memory_order_relaxed);
    }
    return NULL;
}

static void test_atlas_list_serves_readers_beside_its_writer(void **unused) {
    (void)unused;
    shared_t shared = {.list = memdb__vector_list_create(), .last = 20000};
    pthread_t threads[READERS];
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_always, &shared), 0);
    memdb_error_t error;
    for (uint64_t version = 1; version <= shared.last; version++) {
        memdb_status_t status =
            add(shared.list, space_of(version), id_of(version), version, &error);
        // Release: pairs with the readers' acquire.
        atomic_store_explicit(&shared.published, status ? shared.last : version,
                              memory_order_release);
        assert_ok(status, &error);
    }
    for (int i = 0; i < READERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&shared.failed), 0);
    memdb__vector_list_destroy(shared.list);
}

// ------------------------------------------------------------------------------ size and lookup

static void test_atlas_list_of_many_small_spaces_is_cheap(void **unused) {
    (void)unused;
    enum { MANY = 2000, EACH = 10, WIDTH = 384 };
    memdb__vector_list_t *list = memdb__vector_list_create();
    uint8_t row[4 + WIDTH] = {0};
    memdb_error_t error;
    uint64_t version = 0;
    for (int i = 0; i < EACH; i++)
        for (memdb_space_t space = 1; space <= MANY; space++)
            assert_ok(memdb__vector_list_add(list, space * 977, WIDTH, (uint64_t)i, ++version, row,
                                             &error),
                      &error);
    size_t raw = (size_t)MANY * EACH * (WIDTH + 24), bytes = memdb__vector_list_bytes(list);
    print_message("%zu bytes for %zu of rows\n", bytes, raw);
    assert_true(bytes < raw * 3 / 2);
    memdb__vector_source_t source = {.list = list};
    memdb__vector_search_t search = search_of(&source, 1999 * 977, version);
    search.dimension = WIDTH;
    float query[WIDTH] = {1};
    memdb__vector_hit_t hits[30];
    size_t count;
    assert_ok(memdb__vector_search(query, &search, hits, 30, &count, &error), &error);
    assert_int_equal(count, EACH);
    memdb__vector_list_destroy(list);
}

static void test_atlas_list_finds_every_version(void **unused) {
    (void)unused;
    random_t random = random_seeded();
    for (int ids = 1; ids <= 1000; ids *= 10) {
        enum { ROWS = 3000 };
        static uint64_t id[ROWS];
        memdb__vector_list_t *list = memdb__vector_list_create();
        const memdb__vector_source_t source = {.list = list};
        memdb_error_t error;
        for (uint64_t v = 0; v < ROWS; v++) {
            id[v] = random_next(&random) % (uint32_t)ids * 0x100000001ull;
            assert_ok(add(list, 9, id[v], v * 2, &error), &error);
            uint64_t old = random_next(&random) % (v + 1);
            memdb__vector_search_t search = search_of(&source, 9, v * 2);
            check_get(&search, id[old], old * 2);
            search.visible = old * 2;
            check_get(&search, id[old], old * 2);
            uint8_t row[4 + DIMENSION];
            assert_int_equal(memdb__vector_get(&search, id[old], old * 2 + 1, row, NULL),
                             MEMDB_NOT_FOUND);
            if (old < v) // above what is visible
                assert_int_equal(memdb__vector_get(&search, id[v], v * 2, row, NULL),
                                 MEMDB_NOT_FOUND);
            assert_int_equal(memdb__vector_get(&search, 77, old * 2, row, NULL), MEMDB_NOT_FOUND);
        }
        memdb__vector_list_destroy(list);
    }
}

static void test_atlas_list_refuses_what_breaks_its_order(void **unused) {
    (void)unused;
    memdb__vector_list_t *list = memdb__vector_list_create();
    memdb_error_t error;
    assert_ok(add(list, 1, 5, 10, &error), &error);
    assert_ok(add(list, 1, 6, 10, &error), &error);
    assert_ok(add(list, 2, 5, 10, &error), &error);
    assert_int_equal(add(list, 1, 5, 10, &error), MEMDB_INVALID);
    assert_string_equal(error.message, "id 5 has two vectors of version 10");
    assert_int_equal(add(list, 3, 5, 9, &error), MEMDB_INVALID);
    assert_string_equal(error.message, "vector of id 5: version 9 after 10");
    uint8_t row[4 + DIMENSION];
    row_of(1, 1, row);
    assert_int_equal(memdb__vector_list_add(list, 1, DIMENSION - 1, 8, 11, row, &error),
                     MEMDB_INVALID);
    assert_string_equal(error.message, "space 1 has dimension 16, not 15");
    row[7] = 0x80;
    assert_int_equal(memdb__vector_list_add(list, 1, DIMENSION, 8, 11, row, &error), MEMDB_INVALID);
    assert_string_equal(error.message, "vector of id 8: not a row of dimension 16");
    memdb__vector_list_destroy(list);
}

static void test_atlas_list_survives_each_failed_allocation(void **unused) {
    (void)unused;
    uint64_t live = memdb__memory_live();
    bool failed = true;
    for (uint64_t fail = 0; failed; fail++) {
        memdb__memory_fail_after(fail);
        memdb__vector_list_t *list = memdb__vector_list_create();
        failed = !list;
        if (!list)
            continue;
        const memdb__vector_source_t source = {.list = list};
        for (uint64_t v = 1; v <= 900; v++) {
            memdb_error_t error;
            memdb_space_t space = v < 40 ? (memdb_space_t)v : 1 + (memdb_space_t)v % 3;
            memdb_status_t status = add(list, space, v % 100, v, &error);
            if (status == MEMDB_NOMEM) { // once: the same call succeeds
                failed = true;
                status = add(list, space, v % 100, v, &error);
            }
            assert_ok(status, &error);
            memdb__vector_search_t search = search_of(&source, space, v);
            check_get(&search, v % 100, v);
        }
        memdb__vector_search_t search = search_of(&source, 1, 900);
        const float query[DIMENSION] = {1};
        memdb__vector_hit_t hits[10];
        size_t count = 0;
        if (memdb__vector_search(query, &search, hits, 10, &count, NULL) == MEMDB_NOMEM) {
            failed = true;
            assert_int_equal(count, 0);
        } else {
            assert_int_equal(count, 10);
        }
        memdb__memory_fail_after(UINT64_MAX);
        memdb__vector_list_destroy(list);
        assert_int_equal(memdb__memory_live(), live);
    }
    memdb__memory_fail_after(UINT64_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_atlas_list_serves_readers_beside_its_writer),
        cmocka_unit_test(test_atlas_list_of_many_small_spaces_is_cheap),
        cmocka_unit_test(test_atlas_list_finds_every_version),
        cmocka_unit_test(test_atlas_list_refuses_what_breaks_its_order),
        cmocka_unit_test(test_atlas_list_survives_each_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
