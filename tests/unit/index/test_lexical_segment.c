// Words segments: large spaces over several chunks, many tiny spaces, tombs and filters, prefixes,
// damage, and every allocation failed once.
#include "tests/unit/index/test_lexical_fixture.h"

#include <math.h>

static size_t ask_space(const memdb__words_source_t *sources, size_t count, memdb_space_t space,
                        const char *text, memdb__live_fn live, bool (*accept)(void *, uint64_t),
                        void *context, memdb__words_hit_t *hits, size_t k) {
    memdb_error_t error;
    memdb__words_search_t search = {space, UINT64_MAX, sources, count, live, accept, context};
    memdb__words_query_t *query = query_of(text);
    size_t found;
    must(memdb__words_search(query, &search, hits, k, &found, &error), &error);
    memdb__words_query_destroy(query);
    return found;
}

#define LARGE_TEXT 256

// Document i of the large space: its words follow from its number.
static void large_text(uint64_t i, char text[LARGE_TEXT]) {
    size_t size = (size_t)snprintf(text, LARGE_TEXT, "zall zmod%llu zwide%llu",
                                   (unsigned long long)(i % 97), (unsigned long long)(i % 20011));
    for (uint64_t f = 0; f < i % 13; f++) {
        size += (size_t)snprintf(text + size, LARGE_TEXT - size, " zfill");
    }
}

static bool live_odd_thousands(void *context, memdb_space_t space, uint64_t id, uint64_t version) {
    (void)context, (void)space, (void)version;
    return id / 1000 % 2 == 1;
}

static bool accept_end(void *context, uint64_t id) {
    (void)context;
    return id > 149900;
}

static double weight(double tf, double length, double average) {
    return tf * 2.2 / (tf + 1.2 * (0.25 + 0.75 * length / average));
}

static void check_large(const memdb__words_source_t *source) {
    const uint64_t n = 150000;
    double tokens = 0, df = 0, all_idf = log(1 + 0.5 / ((double)n + 0.5));
    for (uint64_t i = 0; i < n; i++) {
        tokens += 3 + (double)(i % 13);
        df += i % 97 == 5;
    }
    double average = tokens / (double)n, idf = log(1 + ((double)n - df + 0.5) / (df + 0.5));
    memdb__words_hit_t hits[300];
    // The shortest documents that hold both, by id: i = 5 mod 97 and i = 0 mod 13.
    assert_int_equal(ask_space(source, 1, 1, "zmod5 zall", live_always, NULL, NULL, hits, 300),
                     300);
    uint64_t expected = 0;
    for (size_t h = 0; h < 100; h++, expected++) {
        while (expected % 97 != 5 || expected % 13 != 0) {
            expected++;
        }
        assert_int_equal(hits[h].id, expected + 1);
        assert_true(fabs(hits[h].score - (idf + all_idf) * weight(1, 3, average)) < 1e-4);
    }
    // Half of the documents are dead: the first live one with the term.
    assert_int_equal(ask_space(source, 1, 1, "zmod5", live_odd_thousands, NULL, NULL, hits, 10),
                     10);
    expected = 999;
    while (expected % 97 != 5 || expected % 13 != 0 || (expected + 1) / 1000 % 2 == 0) {
        expected++;
    }
    assert_int_equal(hits[0].id, expected + 1);
    // A filter that takes 100 documents of the last chunk.
    assert_int_equal(ask_space(source, 1, 1, "zall", live_always, accept_end, NULL, hits, 300),
                     100);
    assert_int_equal(ask_space(source, 1, 1, "zall zfill", live_always, accept_end, NULL, hits, 7),
                     7);
    for (size_t h = 0; h < 7; h++) {
        assert_true(hits[h].id > 149900 && (hits[h].id - 1) % 13 > 0);
    }
    // A term with very many equal scores: ties by id, over three chunks.
    assert_int_equal(ask_space(source, 1, 1, "zall", live_always, NULL, NULL, hits, 300), 300);
    for (size_t h = 0; h < 300; h++) {
        assert_int_equal(hits[h].id, 13 * h + 1);
    }
}

static void test_words_large_space_spans_chunks(void **state) {
    (void)state;
    folder_t folder;
    memdb_error_t error;
    folder_init(&folder);
    memdb__words_source_t source = {.list = memdb__words_list_create()};
    for (uint64_t i = 0; i < 150000; i++) {
        char text[256];
        large_text(i, text);
        add(source.list, 1, i + 1, i + 1, text);
    }
    check_large(&source);
    memdb__words_segment_t *segment, *again;
    must(write_and_open(&folder, &source, 1, UINT64_MAX, live_always, NULL, &segment, &error),
         &error);
    memdb__words_list_destroy(source.list);
    must(memdb__words_segment_verify(segment, NULL, NULL, &error), &error);
    source = (memdb__words_source_t){.segment = segment};
    check_large(&source);
    must(write_and_open(&folder, &source, 1, UINT64_MAX, live_always, NULL, &again, &error),
         &error);
    // A copy of a segment is the same bytes, but for its own number.
    assert_int_equal(memdb__container_file_size(memdb__words_segment_container(segment)),
                     memdb__container_file_size(memdb__words_segment_container(again)));
    memdb__words_segment_close(again);
    memdb__words_segment_close(segment);
    folder_deinit(&folder);
}

static void test_words_many_tiny_spaces_are_small(void **state) {
    (void)state;
    folder_t folder;
    memdb_error_t error;
    folder_init(&folder);
    memdb__words_source_t source = {.list = memdb__words_list_create()};
    for (uint64_t i = 0; i < 20000; i++) {
        char text[128];
        snprintf(text, sizeof text, "common word%llu and my number %llu",
                 (unsigned long long)(i % 7), (unsigned long long)i);
        add(source.list, 1 + (memdb_space_t)(i % 2000), i + 1, i + 1, text);
    }
    for (int pass = 0; pass < 2; pass++) {
        memdb__words_segment_t *segment;
        for (uint64_t i = 0; i < 20000; i += 17) {
            char text[32];
            memdb__words_hit_t hits[20];
            snprintf(text, sizeof text, "number %llu", (unsigned long long)i);
            assert_int_equal(ask_space(&source, 1, 1 + (memdb_space_t)(i % 2000), text, live_always,
                                       NULL, NULL, hits, 20),
                             10);
            assert_int_equal(hits[0].id, i + 1);
        }
        if (pass == 0) {
            must(write_and_open(&folder, &source, 1, UINT64_MAX, live_always, NULL, &segment,
                                &error),
                 &error);
            must(memdb__words_segment_verify(segment, NULL, NULL, &error), &error);
            memdb__words_list_destroy(source.list);
            source = (memdb__words_source_t){.segment = segment};
        }
    }
    uint64_t size = memdb__container_file_size(memdb__words_segment_container(source.segment));
    print_message("%.1f bytes a document in 2,000 spaces of 10\n", (double)size / 20000);
    assert_true(size < 20000 * 100);
    memdb__words_segment_close(source.segment);
    folder_deinit(&folder);
}

static void test_words_prefix_takes_the_most_frequent_terms(void **state) {
    (void)state;
    memdb__words_source_t source = {.list = memdb__words_list_create()};
    memdb__words_hit_t hits[1000];
    uint64_t version = 0;
    for (uint64_t term = 0; term < 100; term++) { // the terms 0 to 63 stand twice
        char text[32];
        snprintf(text, sizeof text, "pre%02llu", (unsigned long long)term);
        for (int times = 0; times < (term < 64 ? 2 : 1); times++) {
            version++;
            add(source.list, 1, version, version, text);
        }
    }
    assert_int_equal(ask_space(&source, 1, 1, "pre*", live_always, NULL, NULL, hits, 1000), 128);
    assert_int_equal(ask_space(&source, 1, 1, "pre9*", live_always, NULL, NULL, hits, 1000), 10);
    assert_int_equal(ask_space(&source, 1, 1, "pre9* pre90", live_always, NULL, NULL, hits, 1000),
                     10);
    assert_int_equal(ask_space(&source, 1, 1, "nothing*", live_always, NULL, NULL, hits, 1000), 0);
    memdb__words_list_destroy(source.list);
}

static void test_words_versions_must_not_fall(void **state) {
    (void)state;
    memdb_error_t error;
    memdb__words_list_t *list = memdb__words_list_create();
    add(list, 1, 1, 5, "a cat");
    assert_int_equal(try_add(list, 1, 2, 4, "a dog", &error), MEMDB_INVALID);
    assert_int_equal(try_remove(list, 1, 4, "a cat", &error), MEMDB_INVALID);
    assert_int_equal(try_remove(list, 1, 5, "a cat", &error), MEMDB_OK);
    memdb__words_list_destroy(list);
}

static bool no_space(void *context, memdb_space_t space) {
    (void)context;
    return space != 2;
}

static void test_words_dropped_space_leaves_and_empty_segment_opens(void **state) {
    (void)state;
    folder_t folder;
    memdb_error_t error;
    folder_init(&folder);
    memdb__words_source_t source = {.list = memdb__words_list_create()};
    memdb__words_hit_t hits[4];
    add(source.list, 2, 1, 1, "gone");
    memdb__segment_identity_t identity = identity_of(0);
    uint64_t size, checksum;
    must(memdb__words_segment_write(folder.fd, "0.words", &identity, &source, 1, 9, live_always,
                                    no_space, NULL, &size, &checksum, &error),
         &error);
    memdb__words_list_destroy(source.list);
    source = (memdb__words_source_t){0};
    must(memdb__words_segment_open(folder.fd, "0.words", &identity, size, checksum, &source.segment,
                                   &error),
         &error);
    must(memdb__words_segment_verify(source.segment, NULL, NULL, &error), &error);
    assert_int_equal(ask_space(&source, 1, 2, "gone go*", live_always, NULL, NULL, hits, 4), 0);
    assert_int_equal(ask_space(NULL, 0, 2, "gone", live_always, NULL, NULL, hits, 4), 0);
    memdb__words_segment_close(source.segment);
    folder_deinit(&folder);
}

static void count_finding(void *context, const char *file, uint64_t offset, const char *what) {
    (void)file, (void)offset, (void)what;
    ++*(int *)context;
}

// Whatever byte is damaged: the segment does not open, or verify finds it and searches are right or
// fail.
static void test_words_damage_is_found(void **state) {
    (void)state;
    folder_t folder;
    memdb_error_t error;
    uint64_t seed = test_seed(), size, checksum;
    folder_init(&folder);
    memdb__words_source_t source = {.list = memdb__words_list_create()};
    for (uint64_t i = 0; i < 300; i++) {
        char text[128];
        snprintf(text, sizeof text, "red fox number %llu of %llu", (unsigned long long)(i % 10),
                 (unsigned long long)i);
        add(source.list, 1 + (memdb_space_t)(i % 3), i + 1, i + 1, text);
    }
    memdb__segment_identity_t identity = identity_of(0);
    must(memdb__words_segment_write(folder.fd, "0.words", &identity, &source, 1, 999, live_always,
                                    space_always, NULL, &size, &checksum, &error),
         &error);
    memdb__words_list_destroy(source.list);
    int file = openat(folder.fd, "0.words", O_RDWR | O_CLOEXEC);
    assert_true(file >= 0);
    for (int round = 0; round < 400; round++) {
        uint8_t byte, changed;
        off_t at = (off_t)(random_next(&seed) % size);
        assert_int_equal(pread(file, &byte, 1, at), 1);
        changed = byte ^ (uint8_t)(1 << random_next(&seed) % 8);
        assert_int_equal(pwrite(file, &changed, 1, at), 1);
        memdb__words_segment_t *segment;
        memdb_status_t status = memdb__words_segment_open(folder.fd, "0.words", &identity, size,
                                                          checksum, &segment, &error);
        if (!status) {
            int findings = 0;
            assert_int_equal(memdb__words_segment_verify(segment, count_finding, &findings, &error),
                             MEMDB_CORRUPT);
            assert_true(findings > 0);
            memdb__words_source_t damaged = {.segment = segment};
            memdb__words_search_t search = {1, 999, &damaged, 1, live_always};
            memdb__words_query_t *query = query_of("red numb*");
            memdb__words_hit_t hits[5];
            size_t found;
            status = memdb__words_search(query, &search, hits, 5, &found, &error);
            assert_true(status == MEMDB_CORRUPT ||
                        (status == MEMDB_OK && found == 5 && hits[0].id == 1));
            memdb__words_query_destroy(query);
            memdb__words_segment_close(segment);
        } else {
            assert_int_equal(status, MEMDB_CORRUPT);
        }
        assert_int_equal(pwrite(file, &byte, 1, at), 1);
    }
    close(file);
    folder_deinit(&folder);
}

// A life of words in which every step may run out of memory.
static memdb_status_t live_through(folder_t *folder, memdb_error_t *error) {
    memdb__words_list_t *list = memdb__words_list_create();
    memdb__words_segment_t *segment = NULL;
    memdb__words_query_t *query = NULL;
    memdb_status_t status = list ? MEMDB_OK : MEMDB_NOMEM;
    for (uint64_t i = 1; i <= 40 && !status; i++) {
        char text[128];
        snprintf(text, sizeof text, "the red fox %llu sees fox %llu twice twice",
                 (unsigned long long)(i % 5), (unsigned long long)i);
        status = try_add(list, 1 + (memdb_space_t)(i % 2), i, i, text, error);
        if (!status && i % 4 == 0) {
            status = try_remove(list, 1 + (memdb_space_t)(i % 2), i, text, error);
        }
    }
    memdb__words_source_t sources[2] = {{.list = list}, {0}};
    if (!status) {
        status = write_and_open(folder, sources, 1, 30, live_always, NULL, &segment, error);
    }
    sources[1].segment = segment;
    if (!status) {
        status = memdb__words_segment_verify(segment, NULL, NULL, error);
    }
    if (!status) {
        const char *text = "red \"fox sees\" tw* 3 9 11 13 14 15 16 17 18 19 20 21 22 23 24 25 26";
        status =
            memdb__words_query_create(MEMDB_TOKENIZER_ENGLISH, text, strlen(text), &query, error);
    }
    memdb__words_hit_t hits[8];
    size_t found = 0;
    memdb__words_search_t search = {1, 40, sources, 2, live_always};
    if (!status) {
        status = memdb__words_search(query, &search, hits, 8, &found, error);
    }
    if (!status) {
        assert_int_equal(found, 8);
        status = memdb__words_score(query, &search, hits, 8, error);
    }
    memdb__words_query_destroy(query);
    memdb__words_segment_close(segment);
    memdb__words_list_destroy(list);
    return status;
}

static void test_words_each_failed_allocation_is_reported(void **state) {
    (void)state;
    folder_t folder;
    memdb_error_t error;
    folder_init(&folder);
    must(live_through(&folder, &error), &error); // the thread's stemmer is made here, and stays
    uint64_t blocks = memdb__memory_live(), failures = 0;
    for (uint64_t number = 0;; number++) {
        memdb__memory_fail_after(number);
        memdb_status_t status = live_through(&folder, &error);
        memdb__memory_fail_after(UINT64_MAX);
        assert_int_equal(memdb__memory_live(), blocks);
        if (status == MEMDB_OK) {
            break;
        }
        assert_int_equal(status, MEMDB_NOMEM);
        failures++;
    }
    print_message("%llu allocations failed in turn\n", (unsigned long long)failures);
    assert_true(failures > 20);
    folder_deinit(&folder);
}

// A failed add is as if it had never been: the list goes on, and its answers are right.
static void test_words_list_survives_failed_adds(void **state) {
    (void)state;
    memdb_error_t error;
    memdb__words_source_t source = {.list = memdb__words_list_create()};
    uint64_t version = 0, failed = 0;
    for (uint64_t i = 0; i < 400; i++) {
        char text[128];
        snprintf(text, sizeof text, "fox%llu shared%llu and every", (unsigned long long)i,
                 (unsigned long long)(i % 11));
        version++;
        memdb__memory_fail_after(2 + i % 5);
        memdb_status_t status = try_add(source.list, 1, i + 1, version, text, &error);
        memdb__memory_fail_after(UINT64_MAX);
        if (status) {
            failed++;
            add(source.list, 1, i + 1, version, text);
        }
    }
    memdb__words_hit_t hits[500];
    assert_int_equal(ask_space(&source, 1, 1, "every", live_always, NULL, NULL, hits, 500), 400);
    assert_int_equal(ask_space(&source, 1, 1, "shared3", live_always, NULL, NULL, hits, 500), 37);
    assert_int_equal(ask_space(&source, 1, 1, "fox399", live_always, NULL, NULL, hits, 500), 1);
    print_message("%llu adds failed first\n", (unsigned long long)failed);
    memdb__words_list_destroy(source.list);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words_large_space_spans_chunks),
        cmocka_unit_test(test_words_many_tiny_spaces_are_small),
        cmocka_unit_test(test_words_prefix_takes_the_most_frequent_terms),
        cmocka_unit_test(test_words_versions_must_not_fall),
        cmocka_unit_test(test_words_dropped_space_leaves_and_empty_segment_opens),
        cmocka_unit_test(test_words_damage_is_found),
        cmocka_unit_test(test_words_each_failed_allocation_is_reported),
        cmocka_unit_test(test_words_list_survives_failed_adds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
