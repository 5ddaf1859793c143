// Random histories against the model: puts, updates and deletes over several spaces, in lists that
// are folded and merged in random tiers, asked at random versions with filters, prefixes and any
// number of results.
#include "tests/unit/index/test_lexical_model.h"

#define SOURCES_LIMIT 12
#define SPACES 5
#define QUESTION_BYTES 1024

typedef struct source {
    memdb__words_list_t *list;
    memdb__words_segment_t *segment;
    uint64_t last; // newest version in it
} source_t;

typedef struct world {
    model_t model;
    folder_t folder;
    source_t sources[SOURCES_LIMIT]; // oldest first; segments before lists
    size_t source_count;
    uint64_t version, folded; // newest version; newest in a segment
    uint64_t seed;
    uint64_t asked_at; // for the live callback
} world_t;

static bool live(void *context, memdb_space_t space, uint64_t id, uint64_t version) {
    const world_t *world = context;
    for (size_t i = 0; i < world->model.count; i++) {
        const model_document_t *document = &world->model.documents[i];
        if (document->space == space && document->id == id && document->version == version) {
            return model_sees(document, world->asked_at);
        }
    }
    fail_msg("asked for a document that never was");
    return false;
}

static memdb__words_list_t *newest_list(world_t *world) {
    if (world->source_count && world->sources[world->source_count - 1].list) {
        return world->sources[world->source_count - 1].list;
    }
    world->sources[world->source_count] =
        (source_t){memdb__words_list_create(), NULL, world->version};
    return world->sources[world->source_count++].list;
}

static void seal(world_t *world) {
    if (world->source_count < SOURCES_LIMIT - 1) {
        world->sources[world->source_count++] =
            (source_t){memdb__words_list_create(), NULL, world->version};
    }
}

static model_document_t *find_live(world_t *world, memdb_space_t space, uint64_t id) {
    for (size_t i = 0; i < world->model.count; i++) {
        model_document_t *document = &world->model.documents[i];
        if (document->space == space && document->id == id && document->dead_from == UINT64_MAX) {
            return document;
        }
    }
    return NULL;
}

// One put, update or delete, as the engine does it: the old bag leaves, the new one comes, at one
// version.
static void change(world_t *world) {
    memdb_error_t error;
    memdb_space_t space = 1 + (memdb_space_t)(random_next(&world->seed) % SPACES);
    uint64_t ids = space == 1 ? 400 : 12;
    uint64_t id = (random_next(&world->seed) % ids) * (space == 2 ? 0x300000001u : 3) + 1;
    bool forget = random_next(&world->seed) % 5 == 0;
    memdb__words_list_t *list = newest_list(world);
    model_document_t *old = find_live(world, space, id);
    world->version += random_next(&world->seed) % 3 > 0; // several changes may share a version
    if (old && old->version == world->version) {
        world->version++;
    }
    if (old) {
        must(memdb__words_list_remove(list, space, world->version, old->bag.data, old->bag.size,
                                      &error),
             &error);
        old->dead_from = world->version;
    }
    if (!forget) {
        model_document_t *added = model_add(&world->model, space, id, world->version, &world->seed);
        must(memdb__words_list_add(list, space, id, world->version, added->bag.data,
                                   added->bag.size, &error),
             &error);
    }
    world->sources[world->source_count - 1].last = world->version;
}

static void close_source(source_t *source) {
    memdb__words_list_destroy(source->list);
    memdb__words_segment_close(source->segment);
}

// Replace a run of neighbours by one segment: some lists with segments before them, or segments
// alone.
static void merge(world_t *world) {
    size_t segments = 0;
    while (segments < world->source_count && world->sources[segments].segment) {
        segments++;
    }
    seal(world);
    size_t end =
        segments ? 1 + random_next(&world->seed) % world->source_count : world->source_count;
    // Lists are folded oldest first, so a merge that takes lists begins at or before the first of
    // them.
    size_t from = random_next(&world->seed) % ((end < segments ? end : segments) + 1);
    end = end == world->source_count ? end - 1 : end; // the newest list stays
    if (from >= end) {
        return;
    }
    memdb__words_source_t sources[SOURCES_LIMIT];
    uint64_t last = 0;
    for (size_t i = from; i < end; i++) {
        sources[i - from] = (memdb__words_source_t){.list = world->sources[i].list,
                                                    .segment = world->sources[i].segment};
        last = world->sources[i].last > last ? world->sources[i].last : last;
    }
    memdb_error_t error;
    source_t merged = {NULL, NULL, last};
    world->asked_at = last;
    must(write_and_open(&world->folder, sources, end - from, last, live, world, &merged.segment,
                        &error),
         &error);
    must(memdb__words_segment_verify(merged.segment, NULL, NULL, &error), &error);
    for (size_t i = from; i < end; i++) {
        close_source(&world->sources[i]);
    }
    world->sources[from] = merged;
    memmove(&world->sources[from + 1], &world->sources[end],
            (world->source_count - end) * sizeof *world->sources);
    world->source_count -= end - from - 1;
    world->folded = last > world->folded ? last : world->folded;
    world->version++; // the next change has a version of its own
}

static bool accept_some(void *context, uint64_t id) {
    (void)context;
    return id % 7 == 1;
}

static bool accept_few(void *context, uint64_t id) {
    (void)context;
    return id % 60 == 1;
}

static size_t make_question(world_t *world, char text[QUESTION_BYTES], bool *asked) {
    size_t words = 1 + random_next(&world->seed) % (random_next(&world->seed) % 6 ? 5 : 40),
           size = 0;
    memset(asked, 0, MODEL_WORDS * sizeof *asked);
    for (size_t i = 0; i < words; i++) {
        size_t word = random_next(&world->seed) % MODEL_WORDS;
        asked[word] = true;
        size +=
            (size_t)snprintf(text + size, QUESTION_BYTES - size, "%s ", world->model.words[word]);
    }
    if (random_next(&world->seed) % 8 == 0) { // all words that begin with "bok1"
        size += (size_t)snprintf(text + size, QUESTION_BYTES - size, "bok1*");
        for (int w = 0; w < MODEL_WORDS; w++) {
            asked[w] = asked[w] || strncmp(world->model.words[w], "bok1", 4) == 0;
        }
    }
    return size;
}

static void check_hits(const memdb__words_hit_t *hits, size_t count, const model_score_t *expected,
                       size_t expected_count, bool prefix) {
    for (size_t i = 0; i < count; i++) {
        assert_true(fabs(hits[i].score - expected[i].score) < 1e-4);
        assert_true(i == 0 || hits[i - 1].score > hits[i].score ||
                    (hits[i - 1].score == hits[i].score && hits[i - 1].id < hits[i].id));
        size_t at = 0;
        while (at < expected_count && expected[at].id != hits[i].id) {
            at++;
        }
        assert_true(at < expected_count);
        assert_int_equal(expected[at].version, hits[i].version);
        assert_true(fabs(hits[i].score - expected[at].score) < 1e-4);
        assert_true(prefix || fabs(hits[i].coverage - expected[at].coverage) < 1e-4);
    }
}

static void ask(world_t *world) {
    static const size_t sizes[] = {1, 3, 10, 40, 200, 5000};
    static bool (*const filters[])(void *, uint64_t) = {NULL, NULL, accept_some, accept_few};
    char text[QUESTION_BYTES];
    bool asked[MODEL_WORDS];
    memdb__words_source_t sources[SOURCES_LIMIT];
    memdb_error_t error;
    uint64_t span = world->version - world->folded + 1, documents, tokens;
    world->asked_at = world->folded + random_next(&world->seed) % span;
    for (size_t i = 0; i < world->source_count; i++) {
        sources[i] = (memdb__words_source_t){.list = world->sources[i].list,
                                             .segment = world->sources[i].segment};
    }
    // The terms of a prefix that no document holds are not in the model's whole, so such questions
    // go without coverage.
    static const memdb__words_parameters_t tuned = {1.6, 0.3, 1.25, 0},
                                           covered = {1.2, 0.4, 1.25, 0.25};
    size_t size = make_question(world, text, asked), k = sizes[random_next(&world->seed) % 6],
           count;
    bool prefix = strchr(text, '*') != NULL;
    const memdb__words_parameters_t *choices[] = {NULL, &tuned, prefix ? NULL : &covered};
    const memdb__words_parameters_t *given = choices[random_next(&world->seed) % 3];
    const memdb__words_parameters_t *parameters = given ? given : &memdb__words_plain;
    memdb__words_search_t search = {
        .space = 1 + (memdb_space_t)(random_next(&world->seed) % (SPACES + 1)),
        .visible = world->asked_at,
        .sources = sources,
        .source_count = world->source_count,
        .live = live,
        .accept = filters[random_next(&world->seed) % 4],
        .context = world,
        .parameters = given};
    model_score_t *expected = malloc((world->model.count + 1) * sizeof *expected);
    size_t found = model_ask(&world->model, search.space, search.visible, asked, search.accept,
                             parameters, expected, &documents, &tokens);
    memdb__words_query_t *query;
    memdb__words_hit_t *hits = malloc(k * sizeof *hits);
    must(memdb__words_query_create(MEMDB_TOKENIZER_ENGLISH, text, size, &query, &error), &error);
    for (int twice = 0; twice < 2; twice++) {
        must(memdb__words_search(query, &search, hits, k, &count, &error), &error);
        assert_int_equal(count, found < k ? found : k);
        check_hits(hits, count, expected, found, prefix);
    }
    for (size_t i = 0; i < count; i++) { // the same scores for given documents, and 0 for others
        hits[i].version += i % 4 == 3 ? 1u << 30 : 0;
    }
    must(memdb__words_score(query, &search, hits, count, &error), &error);
    for (size_t i = 0; i < count; i++) {
        assert_true(fabs(hits[i].score - (i % 4 == 3 ? 0 : expected[i].score)) < 1e-4);
    }
    memdb__words_totals_t totals;
    must(memdb__words_totals(&search, &totals, &error), &error);
    assert_int_equal(totals.documents, documents);
    assert_int_equal(totals.tokens, tokens);
    memdb__words_query_destroy(query);
    free(hits);
    free(expected);
}

static void test_words_random_histories_equal_the_model(void **state) {
    (void)state;
    uint64_t seed = test_seed();
    for (int round = 0; round < 6; round++) {
        world_t world = {.seed = seed + (uint64_t)round * 7919};
        model_init(&world.model);
        folder_init(&world.folder);
        for (int step = 0; step < 1200; step++) {
            uint64_t what = random_next(&world.seed) % 100;
            if (what < 75) {
                change(&world);
            } else if (what < 78) {
                world.version++;
                seal(&world);
            } else if (what < 82) {
                merge(&world);
            } else {
                ask(&world);
            }
        }
        for (size_t i = 0; i < world.source_count; i++) {
            close_source(&world.sources[i]);
        }
        folder_deinit(&world.folder);
        model_deinit(&world.model);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words_random_histories_equal_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
