// Delta lists: readers beside the writer see, at each published version, exactly what was there at
// that version.
//
// Document i holds "all" and "mod<i % 7>" and has version i; every third document is removed again
// at version i. So the counts at a version, and with them the scores, follow from the version
// alone.
#include "tests/unit/index/test_lexical_fixture.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>

#define DOCUMENTS 6000u
#define READERS 3

typedef struct shared {
    memdb__words_list_t *list;
    _Atomic uint64_t visible;
    _Atomic uint64_t reads;
} shared_t;

static void text_of(uint64_t i, char text[64]) {
    snprintf(text, 64, "all mod%llu x%llu", (unsigned long long)(i % 7),
             (unsigned long long)(i / 4));
}

static void *write_all(void *context) {
    shared_t *shared = context;
    char text[64];
    memdb_error_t error;
    for (uint64_t i = 1; i <= DOCUMENTS; i++) {
        text_of(i, text);
        if (try_add(shared->list, 1 + (i % 50 == 0), i, i, text, &error) ||
            (i % 3 == 0 && try_remove(shared->list, 1 + (i % 50 == 0), i, text, &error))) {
            abort();
        }
        // release: partner of the acquire in the readers; all of version i is in the list
        atomic_store_explicit(&shared->visible, i, memory_order_release);
    }
    return NULL;
}

static bool live_at(void *context, memdb_space_t space, uint64_t id, uint64_t version) {
    const uint64_t *visible = context;
    (void)space;
    if (version > *visible) {
        abort(); // a document that must not be seen
    }
    return id % 3 != 0;
}

// How many of 1..v are in space 1, live, and (with `modulo` < 7) have that remainder.
static uint64_t count_at(uint64_t v, uint64_t modulo) {
    uint64_t count = 0;
    for (uint64_t i = 1; i <= v; i++) {
        count += i % 50 != 0 && i % 3 != 0 && (modulo == 7 || i % 7 == modulo);
    }
    return count;
}

static void read_once(shared_t *shared, memdb__words_query_t *query, uint64_t modulo) {
    // acquire: partner of the release in write_all
    uint64_t visible = atomic_load_explicit(&shared->visible, memory_order_acquire);
    memdb__words_source_t source = {.list = shared->list};
    memdb__words_search_t search = {.space = 1,
                                    .visible = visible,
                                    .sources = &source,
                                    .source_count = 1,
                                    .live = live_at,
                                    .context = &visible};
    memdb__words_totals_t totals;
    memdb__words_hit_t hits[5];
    size_t count;
    memdb_error_t error;
    double n = (double)count_at(visible, 7), df = (double)count_at(visible, modulo);
    if (memdb__words_totals(&search, &totals, &error) || (double)totals.documents != n ||
        totals.tokens != 3 * totals.documents ||
        memdb__words_search(query, &search, hits, 5, &count, &error) ||
        count != (df < 5 ? (size_t)df : 5)) {
        abort();
    }
    double score = log(1 + (n - df + 0.5) / (df + 0.5)) * 2.2 / (1 + 1.2);
    for (size_t i = 0; i < count; i++) { // all of one length: the lowest ids win
        if (hits[i].id % 7 != modulo || hits[i].version != hits[i].id ||
            fabs(hits[i].score - score) > 1e-4) {
            abort();
        }
    }
}

static void *read_on(void *context) {
    shared_t *shared = context;
    memdb__words_query_t *queries[7];
    for (int i = 0; i < 7; i++) {
        char text[16];
        snprintf(text, sizeof text, "mod%d", i);
        queries[i] = query_of(text);
    }
    uint64_t reads = 0;
    // relaxed: only the end is awaited
    for (; atomic_load_explicit(&shared->visible, memory_order_relaxed) < DOCUMENTS || reads < 7;
         reads++) {
        read_once(shared, queries[reads % 7], reads % 7);
    }
    for (int i = 0; i < 7; i++) {
        memdb__words_query_destroy(queries[i]);
    }
    // relaxed: a sum
    atomic_fetch_add_explicit(&shared->reads, reads, memory_order_relaxed);
    return NULL;
}

static void test_words_list_readers_beside_the_writer_see_their_version(void **state) {
    (void)state;
    shared_t shared = {.list = memdb__words_list_create()};
    pthread_t writer, readers[READERS];
    for (int i = 0; i < READERS; i++) {
        assert_int_equal(pthread_create(&readers[i], NULL, read_on, &shared), 0);
    }
    assert_int_equal(pthread_create(&writer, NULL, write_all, &shared), 0);
    assert_int_equal(pthread_join(writer, NULL), 0);
    for (int i = 0; i < READERS; i++) {
        assert_int_equal(pthread_join(readers[i], NULL), 0);
    }
    print_message("%llu reads\n", (unsigned long long)shared.reads);
    memdb__words_list_destroy(shared.list);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words_list_readers_beside_the_writer_see_their_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
