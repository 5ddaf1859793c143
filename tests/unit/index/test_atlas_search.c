// Goal: search, score and get answer as the model does, whatever the sources.
// Method: random spaces with updates and deletes in lists that are folded into segments and merged,
// at random moments; the model keeps every version and scores with plain loops over decoded rows,
// in the arithmetic that atlas_internal.h defines, and once more in double precision within a
// bound.
#include "tests/unit/index/test_atlas_fixture.h"

#define SPACES 3
#define IDS 120
#define MAX_VERSIONS 4000
#define MAX_DIMENSION 200
#define MAX_SOURCES 64

typedef struct change {
    memdb_space_t space;
    uint64_t id, version;
    bool deleted;
    uint8_t row[4 + MAX_DIMENSION];
} change_t;

typedef struct model {
    random_t random;
    uint32_t dimensions[SPACES];
    memdb_metric_t metrics[SPACES];
    change_t *changes; // in the order of versions
    size_t count;
    uint64_t version, folded; // newest version; up to which segments hold everything
    uint64_t seen;            // what `live` answers for
    uint64_t filter;          // ids with id % filter == 0 count, or (inverted) are in the set of the others; 0: all
    bool inverted;
    memdb__bitmap_t members;
    memdb__vector_source_t sources[MAX_SOURCES];
    char names[MAX_SOURCES][32];
    size_t source_count;
    uint64_t next_segment;
    int directory;
    char path[64];
} model_t;

static const change_t *model_latest(const model_t *model, memdb_space_t space, uint64_t id,
                                    uint64_t visible) {
    const change_t *latest = NULL;
    for (size_t i = 0; i < model->count; i++) {
        const change_t *change = &model->changes[i];
        if (change->space == space && change->id == id && change->version <= visible)
            latest = change;
    }
    return latest && !latest->deleted ? latest : NULL;
}

static bool model_live(void *context, memdb_space_t space, uint64_t id, uint64_t version) {
    const model_t *model = context;
    const change_t *latest = model_latest(model, space, id, model->seen);
    return latest && latest->version == version;
}

static bool model_space_live(void *context, memdb_space_t space) {
    (void)context;
    return space <= SPACES;
}

// ------------------------------------------------------------------------------ changes

static memdb__vector_list_t *newest_list(model_t *model) {
    size_t last = model->source_count;
    if (last && model->sources[last - 1].list && random_next(&model->random) % 30)
        return model->sources[last - 1].list;
    assert_true(model->source_count < MAX_SOURCES);
    memdb__vector_list_t *list = memdb__vector_list_create();
    assert_non_null(list);
    model->sources[model->source_count++] = (memdb__vector_source_t){.list = list};
    return list;
}

static void change(model_t *model) {
    assert_true(model->count < MAX_VERSIONS);
    change_t *made = &model->changes[model->count];
    memdb_space_t space = 1 + random_next(&model->random) % SPACES;
    // Several changes of one commit share a version, but never of one id.
    bool same_commit = random_next(&model->random) % 3 == 0 && model->version > model->folded;
    uint64_t id = (1 + random_next(&model->random) % IDS) * 7;
    for (size_t i = model->count; same_commit && i-- > 0;)
        if (model->changes[i].version == model->version && model->changes[i].id == id)
            same_commit = false;
    model->version += same_commit ? 0 : 1 + random_next(&model->random) % 100;
    *made = (change_t){.space = space, .id = id, .version = model->version};
    made->deleted = random_next(&model->random) % 5 == 0;
    model->count++;
    if (made->deleted)
        return;
    float vector[MAX_DIMENSION];
    uint32_t dimension = model->dimensions[space - 1];
    random_vector(&model->random, vector, dimension);
    if (random_next(&model->random) % 4 == 0) // equal vectors, for ties
        for (uint32_t i = 0; i < dimension; i++)
            vector[i] = i % 2 ? 1 : -1;
    memdb_error_t error;
    assert_ok(memdb__row_encode(model->metrics[space - 1], vector, dimension, made->row, &error),
              &error);
    assert_ok(memdb__vector_list_add(newest_list(model), space, dimension, id, model->version,
                                     made->row, &error),
              &error);
}

static void release(model_t *model, size_t first, size_t count) {
    for (size_t i = first; i < first + count; i++) {
        memdb__vector_list_destroy(model->sources[i].list);
        memdb__vector_segment_close(model->sources[i].segment);
        if (model->sources[i].segment)
            unlinkat(model->directory, model->names[i], 0);
    }
}

/// Replace sources [first, first + count) by one segment of what is live now.
static void fold(model_t *model, size_t first, size_t count) {
    memdb_error_t error;
    memdb__segment_identity_t identity = identity_of(++model->next_segment);
    char name[32];
    snprintf(name, sizeof name, "%llu.seg", (unsigned long long)model->next_segment);
    uint64_t size, checksum;
    model->seen = model->version;
    assert_ok(memdb__vector_segment_write(model->directory, name, &identity, model->sources + first,
                                          count, model->version, model_live, model_space_live,
                                          model, &size, &checksum, &error),
              &error);
    memdb__vector_segment_t *segment;
    assert_ok(memdb__vector_segment_open(model->directory, name, &identity, size, checksum,
                                         &segment, &error),
              &error);
    assert_ok(memdb__vector_segment_verify(segment, NULL, NULL, &error), &error);
    release(model, first, count);
    model->sources[first] = (memdb__vector_source_t){.segment = segment};
    memcpy(model->names[first], name, sizeof name);
    size_t after = model->source_count - first - count;
    memmove(&model->sources[first + 1], &model->sources[first + count],
            after * sizeof model->sources[0]);
    memmove(&model->names[first + 1], &model->names[first + count], after * sizeof model->names[0]);
    model->source_count -= count - 1;
    model->folded = model->version;
}

static void maybe_fold(model_t *model) {
    size_t segments = 0;
    while (segments < model->source_count && model->sources[segments].segment)
        segments++;
    size_t lists = model->source_count - segments;
    if (lists > 6)
        fold(model, segments, lists); // dead rows of older segments stay, as after a checkpoint
    else if (segments > 4)
        fold(model, random_next(&model->random) % 2, segments - 1);
}

// ------------------------------------------------------------------------------ checks

static float model_score(const model_t *model, memdb_space_t space, const uint8_t *query,
                         const uint8_t *row) {
    uint32_t dimension = model->dimensions[space - 1];
    int64_t dot = 0, query_squares = 0, row_squares = 0;
    for (uint32_t i = 0; i < dimension; i++) {
        int q = (int8_t)query[4 + i], r = (int8_t)row[4 + i];
        dot += q * r;
        query_squares += q * q;
        row_squares += r * r;
    }
    float query_scale, row_scale;
    memcpy(&query_scale, query, 4);
    memcpy(&row_scale, row, 4);
    float inner = (float)dot * row_scale;
    inner = inner * query_scale;
    if (model->metrics[space - 1] != MEMDB_METRIC_L2)
        return inner;
    float query_norm = (float)((double)query_scale * query_scale * (double)query_squares);
    float row_norm = (float)((double)row_scale * row_scale * (double)row_squares);
    float twice = inner + inner, norms = row_norm + query_norm;
    return twice - norms;
}

static double plain_score(const model_t *model, memdb_space_t space, const uint8_t *query,
                          const uint8_t *row) {
    float a[MAX_DIMENSION], b[MAX_DIMENSION];
    uint32_t dimension = model->dimensions[space - 1];
    memdb__row_decode(query, dimension, a);
    memdb__row_decode(row, dimension, b);
    double inner = 0, distance = 0;
    for (uint32_t i = 0; i < dimension; i++) {
        inner += (double)a[i] * b[i];
        distance += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
    }
    return model->metrics[space - 1] == MEMDB_METRIC_L2 ? -distance : inner;
}

static int compare_hits(const void *a, const void *b) {
    const memdb__vector_hit_t *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static size_t model_search(const model_t *model, memdb_space_t space, const uint8_t *query,
                           memdb__vector_hit_t *hits) {
    size_t count = 0;
    for (uint64_t id = 7; id <= IDS * 7; id += 7) {
        const change_t *live = model_latest(model, space, id, model->seen);
        if (!live || (model->filter && id % model->filter != 0))
            continue;
        float score = model_score(model, space, query, live->row);
        double plain = plain_score(model, space, query, live->row);
        assert_true(fabs(score - plain) <= 1e-4 * (1 + fabs(plain)));
        hits[count++] = (memdb__vector_hit_t){id, live->version, score};
    }
    qsort(hits, count, sizeof *hits, compare_hits);
    return count;
}

static memdb__vector_search_t search_of(model_t *model, memdb_space_t space) {
    return (memdb__vector_search_t){.space = space,
                                    .metric = model->metrics[space - 1],
                                    .dimension = model->dimensions[space - 1],
                                    .visible = model->seen,
                                    .sources = model->sources,
                                    .source_count = model->source_count,
                                    .live = model_live,
                                    .members = model->filter ? &model->members : NULL,
                                    .inverted = model->inverted,
                                    .context = model};
}

static void check_rows(const model_t *model, const memdb__vector_search_t *search,
                       const float *query, const memdb__vector_hit_t *expected, size_t count) {
    memdb__vector_hit_t hits[IDS + 1];
    memcpy(hits, expected, count * sizeof *hits);
    hits[count] = (memdb__vector_hit_t){.id = 3, .version = 1};
    for (size_t i = 0; i < count; i++)
        hits[i].score = 99;
    memdb_error_t error;
    assert_ok(memdb__vector_score(query, search, hits, count + 1, &error), &error);
    assert_memory_equal(hits, expected, count * sizeof *hits);
    assert_true(isinf(hits[count].score) && hits[count].score < 0);
    for (size_t i = 0; i < count; i++) {
        uint8_t row[4 + MAX_DIMENSION];
        assert_ok(memdb__vector_get(search, hits[i].id, hits[i].version, row, &error), &error);
        assert_memory_equal(row, model_latest(model, search->space, hits[i].id, model->seen)->row,
                            memdb__row_bytes(search->dimension));
        assert_int_equal(
            memdb__vector_get(search, hits[i].id, hits[i].version + 1000000, row, NULL),
            MEMDB_NOT_FOUND);
    }
}

static void choose_filter(model_t *model) {
    model->filter = random_next(&model->random) % 2 ? 0 : 1 + random_next(&model->random) % 5;
    model->inverted = random_next(&model->random) % 2;
    for (uint64_t id = 7; model->filter && id <= IDS * 7; id += 7)
        if ((id % model->filter == 0) != model->inverted)
            assert_true(memdb__bitmap_add(&model->members, id));
}

static void check(model_t *model) {
    memdb_space_t space = 1 + random_next(&model->random) % SPACES;
    uint32_t dimension = model->dimensions[space - 1];
    uint64_t span = model->version - model->folded;
    model->seen = random_next(&model->random) % 2 && span
                      ? model->folded + random_next(&model->random) % span
                      : model->version;
    choose_filter(model);
    float query[MAX_DIMENSION];
    random_vector(&model->random, query, dimension);
    uint8_t coded[4 + MAX_DIMENSION];
    memdb_error_t error;
    assert_ok(memdb__row_encode(model->metrics[space - 1], query, dimension, coded, &error),
              &error);
    memdb__vector_hit_t expected[IDS], hits[IDS + 2];
    size_t total = model_search(model, space, coded, expected), count = 99;
    size_t capacity = random_next(&model->random) % (IDS + 2);
    memdb__vector_search_t search = search_of(model, space);
    assert_ok(memdb__vector_search(query, &search, hits, capacity, &count, &error), &error);
    assert_int_equal(count, total < capacity ? total : capacity);
    for (size_t i = 0; i < count; i++)
        if (memcmp(&hits[i].score, &expected[i].score, 4) || hits[i].id != expected[i].id ||
            hits[i].version != expected[i].version)
            fail_msg("hit %zu of %zu: id %llu score %.9g, not id %llu score %.9g", i, count,
                     (unsigned long long)hits[i].id, hits[i].score,
                     (unsigned long long)expected[i].id, expected[i].score);
    for (size_t i = 0; i < total; i++) // padding, for the comparison of bytes
        memset((char *)&expected[i] + sizeof expected[i] - 4, 0, 4);
    check_rows(model, &search, query, expected, total);
    memdb__bitmap_deinit(&model->members);
}

static void run_model(random_t *random, int steps) {
    model_t model = {.random = *random};
    model.directory = directory_create(model.path);
    model.changes = calloc(MAX_VERSIONS, sizeof *model.changes);
    assert_non_null(model.changes);
    for (int i = 0; i < SPACES; i++) {
        model.dimensions[i] = 1 + random_next(&model.random) % MAX_DIMENSION;
        model.metrics[i] = (memdb_metric_t)((uint32_t)i % 3);
    }
    for (int step = 0; step < steps; step++) {
        change(&model);
        maybe_fold(&model);
        if (step % 5 == 0)
            check(&model);
    }
    release(&model, 0, model.source_count);
    free(model.changes);
    directory_destroy(model.directory, model.path);
    *random = model.random;
}

static void test_atlas_search_equals_the_model(void **unused) {
    (void)unused;
    random_t random = random_seeded();
    for (int round = 0; round < 3; round++)
        run_model(&random, 1200);
}

// ------------------------------------------------------------------------------ single cases

static void test_atlas_search_refuses_wrong_arguments(void **unused) {
    (void)unused;
    memdb__vector_list_t *list = memdb__vector_list_create();
    const float vector[4] = {1, 0, 0, 0}, bad[4] = {1, NAN, 0, 0};
    uint8_t row[8];
    memdb_error_t error;
    assert_ok(memdb__row_encode(MEMDB_METRIC_COSINE, vector, 4, row, &error), &error);
    assert_ok(memdb__vector_list_add(list, 1, 4, 10, 5, row, &error), &error);
    memdb__vector_source_t source = {.list = list};
    memdb__vector_search_t search = {.space = 1,
                                     .dimension = 4,
                                     .visible = 5,
                                     .sources = &source,
                                     .source_count = 1,
                                     .live = every_row};
    memdb__vector_hit_t hit = {.id = 77};
    size_t count = 7;
    assert_int_equal(memdb__vector_search(bad, &search, &hit, 1, &count, &error), MEMDB_INVALID);
    assert_string_equal(error.message, "query: vector component 1 is not finite");
    search.dimension = 3;
    assert_int_equal(memdb__vector_search(vector, &search, &hit, 1, &count, &error), MEMDB_INVALID);
    assert_string_equal(error.message, "space 1 has dimension 4, not 3");
    assert_int_equal(hit.id, 77);
    assert_int_equal(count, 7);
    search.dimension = 4;
    assert_ok(memdb__vector_search(vector, &search, &hit, 1, &count, &error), &error);
    assert_int_equal(hit.id, 10);
    search.space = 2;
    assert_ok(memdb__vector_search(vector, &search, &hit, 1, &count, &error), &error);
    assert_int_equal(count, 0);
    memdb__vector_list_destroy(list);
}

static void test_atlas_search_of_extreme_rows_returns_them_all(void **unused) {
    (void)unused;
    memdb__vector_list_t *list = memdb__vector_list_create();
    uint8_t row[8];
    memdb_error_t error;
    for (uint64_t id = 0; id < 12; id++) {
        const float vector[4] = {id % 2 ? -3e38f : 3e38f, id % 3 ? 3e38f : 1e-38f, 0, 0};
        assert_ok(memdb__row_encode(MEMDB_METRIC_L2, vector, 4, row, &error), &error);
        assert_ok(memdb__vector_list_add(list, 1, 4, id, id, row, &error), &error);
    }
    memdb__vector_source_t source = {.list = list};
    for (int metric = MEMDB_METRIC_DOT; metric <= MEMDB_METRIC_L2; metric++) {
        memdb__vector_search_t search = {.space = 1,
                                         .metric = (memdb_metric_t)metric,
                                         .dimension = 4,
                                         .visible = 100,
                                         .sources = &source,
                                         .source_count = 1,
                                         .live = every_row};
        const float query[4] = {-3e38f, 3e38f, 1, 2};
        memdb__vector_hit_t hits[20];
        size_t count;
        assert_ok(memdb__vector_search(query, &search, hits, 20, &count, &error), &error);
        assert_int_equal(count, 12);
        for (size_t i = 0; i < count; i++)
            assert_true(isfinite(hits[i].score));
    }
    memdb__vector_list_destroy(list);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_atlas_search_equals_the_model),
        cmocka_unit_test(test_atlas_search_refuses_wrong_arguments),
        cmocka_unit_test(test_atlas_search_of_extreme_rows_returns_them_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
