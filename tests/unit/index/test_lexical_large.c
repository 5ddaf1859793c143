// Searches over two chunks of documents, where lists are left out of the accumulators and blocks of
// few postings are not scanned.
//
// Goal: neither loses a document. Method: words whose frequencies fall as those of a language do,
// so that questions mix lists of half the documents with lists of a few; the answer of each search
// is compared with the scores of all documents (memdb__words_score), which come from no scan.
// Random tests print their seed.
#include "tests/unit/index/test_lexical_fixture.h"

#include <math.h>

#define DOCUMENTS 70000u
#define VOCABULARY 20000.0
#define WORDS 10
#define QUESTIONS 48

static uint32_t random_word(uint64_t *seed) {
    double uniform = (double)(random_next(seed) % 1000000) / 1000000;
    return (uint32_t)(pow(VOCABULARY, uniform) - 1);
}

static size_t write_words(uint64_t *seed, size_t count, char *text, size_t size) {
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        used += (size_t)snprintf(text + used, size - used, "k%ux ", random_word(seed));
    }
    return used;
}

static memdb__words_segment_t *make_segment(folder_t *folder, uint64_t *seed) {
    memdb__words_list_t *list = memdb__words_list_create();
    memdb__words_segment_t *segment;
    memdb_error_t error;
    char text[WORDS * 16];
    for (uint64_t id = 1; id <= DOCUMENTS; id++) {
        write_words(seed, 1 + random_next(seed) % WORDS, text, sizeof text);
        add(list, 1, id, id, text);
    }
    memdb__words_source_t source = {.list = list};
    must(write_and_open(folder, &source, 1, UINT64_MAX, live_always, NULL, &segment, &error),
         &error);
    memdb__words_list_destroy(list);
    return segment;
}

static bool most_live(void *context, memdb_space_t space, uint64_t id, uint64_t version) {
    (void)context, (void)space, (void)version;
    return id % 13 != 0;
}

static bool accept_few(void *context, uint64_t id) {
    (void)context;
    return id % 50 == 7;
}

static int falling(const void *a, const void *b) {
    const memdb__words_hit_t *left = a, *right = b;
    if (left->score != right->score) {
        return left->score < right->score ? 1 : -1;
    }
    return (left->id > right->id) - (left->id < right->id);
}

// All documents that a search may give, in the order in which it must.
static size_t rank_all(memdb__words_query_t *query, const memdb__words_search_t *search,
                       memdb__words_hit_t *all) {
    size_t count = 0, found = 0;
    memdb_error_t error;
    for (uint64_t id = 1; id <= DOCUMENTS; id++) {
        if (search->live(NULL, 1, id, id) && (!search->accept || search->accept(NULL, id))) {
            all[count++] = (memdb__words_hit_t){.id = id, .version = id};
        }
    }
    must(memdb__words_score(query, search, all, count, &error), &error);
    qsort(all, count, sizeof *all, falling);
    while (found < count && all[found].score > 0) {
        found++;
    }
    return found;
}

static void ask(const memdb__words_source_t *source, uint64_t *seed, memdb__words_hit_t *all) {
    static const memdb__words_parameters_t covered = {1.2, 0.4, 1.25, 0.25};
    static const size_t sizes[] = {1, 10, 10, 200};
    memdb__words_search_t search = {.space = 1,
                                    .visible = UINT64_MAX,
                                    .sources = source,
                                    .source_count = 1,
                                    .live = random_next(seed) % 2 ? live_always : most_live,
                                    .accept = random_next(seed) % 4 ? NULL : accept_few,
                                    .parameters = random_next(seed) % 2 ? &covered : NULL};
    char text[24 * 16];
    size_t k = sizes[random_next(seed) % 4], count;
    write_words(seed, 1 + random_next(seed) % (random_next(seed) % 4 ? 8 : 24), text, sizeof text);
    memdb__words_query_t *query = query_of(text);
    memdb__words_hit_t hits[200];
    memdb_error_t error;
    must(memdb__words_search(query, &search, hits, k, &count, &error), &error);
    size_t found = rank_all(query, &search, all);
    assert_int_equal(count, found < k ? found : k);
    for (size_t i = 0; i < count; i++) {
        // The order of summing differs, so neighbours within a rounding may stand the other way
        // round.
        assert_true(fabsf(hits[i].score - all[i].score) <= 1e-5f * all[i].score);
    }
    memdb__words_query_destroy(query);
}

static void test_words_searches_of_many_documents_lose_none(void **state) {
    (void)state;
    uint64_t seed = test_seed();
    folder_t folder;
    folder_init(&folder);
    memdb__words_source_t source = {.segment = make_segment(&folder, &seed)};
    memdb__words_hit_t *all = malloc(DOCUMENTS * sizeof *all);
    for (int i = 0; i < QUESTIONS; i++) {
        ask(&source, &seed, all);
    }
    free(all);
    memdb__words_segment_close(source.segment);
    folder_deinit(&folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words_searches_of_many_documents_lose_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
