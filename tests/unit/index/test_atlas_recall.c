// Goal: the exact search over INT8 codes finds the neighbours that floats find: recall@10 of .97 or
// better. Method: generated vectors in clusters of several widths, and the real sentence embeddings
// where MEMDB_SHARED names their folder; the oracle scores floats in double precision.
#include "tests/unit/index/test_atlas_fixture.h"

#define DIMENSION 96
#define ROWS 5000
#define CLUSTERS 50
#define QUERIES 60
#define K 10
#define FLOOR 0.97

typedef struct scored {
    double score;
    uint64_t id;
} scored_t;

static int compare_scored(const void *a, const void *b) {
    const scored_t *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static double float_score(memdb_metric_t metric, const float *a, const float *b) {
    double inner = 0, distance = 0, a_squares = 0, b_squares = 0;
    for (int i = 0; i < DIMENSION; i++) {
        inner += (double)a[i] * b[i];
        distance += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        a_squares += (double)a[i] * a[i];
        b_squares += (double)b[i] * b[i];
    }
    return metric == MEMDB_METRIC_L2    ? -distance
           : metric == MEMDB_METRIC_DOT ? inner
                                        : inner / sqrt(a_squares * b_squares);
}

static double measure(memdb_metric_t metric, random_t *random) {
    static float centre[CLUSTERS][DIMENSION], vectors[ROWS + QUERIES][DIMENSION];
    static scored_t scored[ROWS];
    for (int c = 0; c < CLUSTERS; c++)
        for (int i = 0; i < DIMENSION; i++)
            centre[c][i] = random_normal(random);
    memdb__vector_list_t *list = memdb__vector_list_create();
    memdb_error_t error;
    for (int r = 0; r < ROWS + QUERIES; r++) {
        uint32_t cluster = random_next(random) % CLUSTERS;
        float width = 0.4f + 0.02f * (float)cluster; // nearer than that is below the resolution
        for (int i = 0; i < DIMENSION; i++)
            vectors[r][i] = centre[cluster][i] + width * random_normal(random);
        uint8_t row[4 + DIMENSION];
        if (r >= ROWS)
            continue;
        assert_ok(memdb__row_encode(metric, vectors[r], DIMENSION, row, &error), &error);
        assert_ok(memdb__vector_list_add(list, 1, DIMENSION, (uint64_t)r, (uint64_t)r, row, &error),
                  &error);
    }
    memdb__vector_source_t source = {.list = list};
    memdb__vector_search_t search = {.space = 1,
                                     .metric = metric,
                                     .dimension = DIMENSION,
                                     .visible = UINT64_MAX,
                                     .sources = &source,
                                     .source_count = 1,
                                     .live = every_row};
    size_t found = 0;
    for (int q = 0; q < QUERIES; q++) {
        const float *query = vectors[ROWS + q];
        for (int r = 0; r < ROWS; r++)
            scored[r] = (scored_t){float_score(metric, query, vectors[r]), (uint64_t)r};
        qsort(scored, ROWS, sizeof *scored, compare_scored);
        memdb__vector_hit_t hits[K];
        size_t count;
        assert_ok(memdb__vector_search(query, &search, hits, K, &count, &error), &error);
        for (size_t i = 0; i < count; i++)
            for (int n = 0; n < K; n++)
                found += hits[i].id == scored[n].id;
    }
    memdb__vector_list_destroy(list);
    return (double)found / (QUERIES * K);
}

static void test_atlas_recall_on_clusters_is_above_its_floor(void **unused) {
    (void)unused;
    random_t random = random_seeded();
    const char *names[] = {"cosine", "dot", "l2"};
    for (int metric = MEMDB_METRIC_COSINE; metric <= MEMDB_METRIC_L2; metric++) {
        double recall = measure((memdb_metric_t)metric, &random);
        print_message("recall@%d %s: %.4f\n", K, names[metric], recall);
        assert_true(recall >= FLOOR);
    }
}

// ------------------------------------------------------------------------------ real vectors

enum { REAL_DIMENSION = 384, REAL_NEIGHBOURS = 100, REAL_QUERIES = 200 };

static float half_to_float(uint16_t half) {
    int exponent = half >> 10 & 31, mantissa = half & 1023;
    float magnitude =
        exponent ? ldexpf((float)(1024 + mantissa), exponent - 25) : ldexpf((float)mantissa, -24);
    return half & 0x8000 ? -magnitude : magnitude;
}

static FILE *open_shared(const char *name) {
    const char *shared = getenv("MEMDB_SHARED");
    char path[4096];
    snprintf(path, sizeof path, "%s/data/bench_minilm384/%s", shared ? shared : "", name);
    return shared ? fopen(path, "rb") : NULL;
}

static memdb__vector_list_t *list_of_real(FILE *base) {
    memdb__vector_list_t *list = memdb__vector_list_create();
    uint16_t halves[REAL_DIMENSION];
    memdb_error_t error;
    for (uint64_t id = 0; fread(halves, sizeof halves, 1, base) == 1; id++) {
        float vector[REAL_DIMENSION];
        uint8_t row[4 + REAL_DIMENSION];
        for (int i = 0; i < REAL_DIMENSION; i++)
            vector[i] = half_to_float(halves[i]);
        assert_ok(memdb__row_encode(MEMDB_METRIC_COSINE, vector, REAL_DIMENSION, row, &error),
                  &error);
        assert_ok(memdb__vector_list_add(list, 1, REAL_DIMENSION, id, id, row, &error), &error);
    }
    return list;
}

static void test_atlas_recall_on_real_vectors_is_above_its_floor(void **unused) {
    (void)unused;
    FILE *base = open_shared("base.f16"), *queries = open_shared("queries.f32");
    FILE *neighbours = open_shared("neighbours.i32");
    if (base && queries && neighbours) {
        memdb__vector_source_t source = {.list = list_of_real(base)};
        memdb__vector_search_t search = {.space = 1,
                                         .dimension = REAL_DIMENSION,
                                         .visible = UINT64_MAX,
                                         .sources = &source,
                                         .source_count = 1,
                                         .live = every_row};
        float query[REAL_DIMENSION];
        int32_t exact[REAL_NEIGHBOURS];
        size_t found = 0, asked = 0;
        for (; asked < REAL_QUERIES && fread(query, sizeof query, 1, queries) == 1; asked++) {
            assert_int_equal(fread(exact, sizeof exact, 1, neighbours), 1);
            memdb__vector_hit_t hits[K];
            size_t count;
            memdb_error_t error;
            assert_ok(memdb__vector_search(query, &search, hits, K, &count, &error), &error);
            for (size_t i = 0; i < count; i++)
                for (int n = 0; n < K; n++)
                    found += hits[i].id == (uint64_t)exact[n];
        }
        double recall = (double)found / (double)(asked * K);
        print_message("recall@%d over %zu real queries: %.4f\n", K, asked, recall);
        assert_true(asked > 0 && recall >= FLOOR);
        memdb__vector_list_destroy(source.list);
    }
    bool there = base && queries && neighbours;
    for (int i = 0; i < 3; i++) {
        FILE *file = i == 0 ? base : i == 1 ? queries : neighbours;
        if (file)
            fclose(file);
    }
    if (!there) {
        print_message("no real vectors: set MEMDB_SHARED to the folder that holds "
                      "data/bench_minilm384\n");
        skip();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_atlas_recall_on_clusters_is_above_its_floor),
        cmocka_unit_test(test_atlas_recall_on_real_vectors_is_above_its_floor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
