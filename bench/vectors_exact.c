// The exact scan against the machine's limit.
//
// One run measures, interleaved round by round: how fast one thread can read as many bytes as a
// scan reads (a plain wide sum over them, nothing else), and memdb__vector_search over a segment of
// those bytes. The ratio of the two is what the scan leaves on the table. Rounds alternate so that
// both sides see the same machine; the best round of each counts. With the real vectors (--data
// DIR, or MEMDB_SHARED set: DIR/data/bench_minilm384) also the agreement of the INT8 scan with
// exact float neighbours.
#include "base/io.h"
#include "base/memory.h"
#include "bench/common.h"
#include "index/atlas/atlas.h"
#include "index/kernels/kernels.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DIMENSION 384
#define STRIDE 384
#define NEIGHBOURS 100
#define K 10

typedef struct data {
    size_t rows, queries;
    float *query;        // queries * DIMENSION
    int32_t *neighbours; // queries * NEIGHBOURS, or NULL
    memdb__vector_list_t *list;
} data_t;

static void stop(const char *what, const memdb_error_t *error) {
    fprintf(stderr, "vectors_exact: %s: %s\n", what, error ? error->message : "");
    exit(1);
}

static void *allocate(size_t size) {
    void *block = memdb__allocate_aligned(size);
    if (!block)
        stop("out of memory", NULL);
    return block;
}

// ------------------------------------------------------------------------------ data

/// A whole file, or NULL.
static void *read_whole(const char *directory, const char *name, size_t *size_out) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "rb");
    if (!file)
        return NULL;
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    void *bytes = allocate((size_t)size + 1);
    *size_out = fread(bytes, 1, (size_t)size, file);
    fclose(file);
    return bytes;
}

static void add_row(data_t *data, const float *vector) {
    uint8_t row[4 + DIMENSION];
    memdb_error_t error;
    if (memdb__row_encode(MEMDB_METRIC_COSINE, vector, DIMENSION, row, &error) ||
        memdb__vector_list_add(data->list, 1, DIMENSION, data->rows, data->rows + 1, row, &error))
        stop("add", &error);
    data->rows++;
}

static bool load(data_t *data, const char *directory, size_t limit) {
    size_t base_size, query_size, neighbour_size;
    uint16_t *base = read_whole(directory, "base.f16", &base_size);
    data->query = read_whole(directory, "queries.f32", &query_size);
    data->neighbours = read_whole(directory, "neighbours.i32", &neighbour_size);
    if (!base || !data->query)
        return false;
    data->queries = query_size / (DIMENSION * sizeof(float));
    size_t rows = base_size / (DIMENSION * sizeof(uint16_t));
    if (rows > limit) { // neighbours are those of the whole set
        rows = limit;
        memdb__free_aligned(data->neighbours);
        data->neighbours = NULL;
    }
    for (size_t i = 0; i < rows; i++) {
        float vector[DIMENSION];
        for (size_t d = 0; d < DIMENSION; d++)
            vector[d] = memdb__half_decode(base[i * DIMENSION + d]);
        add_row(data, vector);
    }
    memdb__free_aligned(base);
    return true;
}

static void generate(data_t *data, size_t rows) {
    uint64_t state = 1;
    data->queries = 200;
    data->query = allocate(data->queries * DIMENSION * sizeof(float));
    for (size_t i = 0; i < rows + data->queries; i++) {
        float vector[DIMENSION];
        for (size_t d = 0; d < DIMENSION; d++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            vector[d] = (float)(state >> 40) / (float)(1 << 23) - 1;
        }
        if (i < rows)
            add_row(data, vector);
        else
            memcpy(data->query + (i - rows) * DIMENSION, vector, sizeof vector);
    }
}

static bool every_row(void *context, memdb_space_t space, uint64_t id, uint64_t version) {
    (void)context, (void)space, (void)id, (void)version;
    return true;
}

static bool every_space(void *context, memdb_space_t space) {
    (void)context, (void)space;
    return true;
}

// ------------------------------------------------------------------------------ the runs

typedef struct timing {
    double best, sum; // seconds a pass
    size_t passes;
} timing_t;

static void note(timing_t *timing, uint64_t from_ns) {
    double seconds = (double)(memdb__monotonic_ns() - from_ns) * 1e-9;
    timing->best = timing->passes && timing->best < seconds ? timing->best : seconds;
    timing->sum += seconds;
    timing->passes++;
}

static void print_timing(const char *what, const timing_t *timing, double bytes) {
    printf("%-34s best %6.2f GB/s   mean %6.2f GB/s   %7.3f ms a pass\n", what,
           bytes / timing->best * 1e-9, bytes * (double)timing->passes / timing->sum * 1e-9,
           timing->best * 1e3);
}

static void run_search(const memdb__vector_search_t *search, const float *query,
                       memdb__vector_hit_t *hits, size_t *count) {
    memdb_error_t error;
    if (memdb__vector_search(query, search, hits, K, count, &error))
        stop("search", &error);
}

static void measure_scan(const data_t *data, const memdb__vector_search_t *search,
                         const memdb__vector_search_t *listed, const uint8_t *mapped,
                         size_t rounds) {
    size_t bytes = data->rows * STRIDE, count;
    uint8_t *plain = allocate(bytes);
    memcpy(plain, mapped, bytes);
    uint64_t sum = bench_sum(plain, bytes) + bench_sum(mapped, bytes);
    timing_t anonymous = {0}, file = {0}, segment = {0}, list = {0};
    memdb__vector_hit_t hits[K];
    for (size_t round = 0; round < rounds; round++) {
        const float *query = data->query + round % data->queries * DIMENSION;
        uint64_t from = memdb__monotonic_ns();
        sum += bench_sum(plain, bytes);
        note(&anonymous, from);
        from = memdb__monotonic_ns();
        sum += bench_sum(mapped, bytes);
        note(&file, from);
        from = memdb__monotonic_ns();
        run_search(search, query, hits, &count);
        note(&segment, from);
        from = memdb__monotonic_ns();
        run_search(listed, query, hits, &count);
        note(&list, from);
    }
    printf("sum %llx\n", (unsigned long long)sum);
    print_timing("limit: sum of anonymous memory", &anonymous, (double)bytes);
    print_timing("limit: sum of the mapped file", &file, (double)bytes);
    print_timing("exact scan of a segment", &segment, (double)bytes);
    print_timing("exact scan of a list", &list, (double)bytes);
    double limit = anonymous.best < file.best ? anonymous.best : file.best;
    printf("ratio to the higher limit: segment %.3f (to the mapped file's own %.3f), list %.3f\n",
           limit / segment.best, file.best / segment.best, limit / list.best);
    printf("queries/s: %.1f\n", (double)segment.passes / segment.sum);
    memdb__free_aligned(plain);
}

static void measure_recall(const data_t *data, const memdb__vector_search_t *search) {
    if (!data->neighbours) {
        printf("recall: no neighbours to compare with\n");
        return;
    }
    size_t found = 0, total = 0;
    for (size_t q = 0; q < data->queries; q++) {
        memdb__vector_hit_t hits[K];
        size_t count;
        run_search(search, data->query + q * DIMENSION, hits, &count);
        for (size_t i = 0; i < count; i++)
            for (size_t n = 0; n < K; n++)
                found += hits[i].id == (uint64_t)data->neighbours[q * NEIGHBOURS + n];
        total += K;
    }
    printf("recall@%d of INT8 against exact floats: %.4f (%zu queries)\n", K,
           (double)found / (double)total, data->queries);
}

/// Scores of given rows, as a query that has other signals asks for them.
static void measure_given(const data_t *data, const memdb__vector_search_t *search,
                          const char *what) {
    enum { GIVEN = 200 };
    memdb__vector_hit_t hits[GIVEN];
    timing_t timing = {0};
    for (size_t round = 0; round < 200; round++) {
        for (size_t i = 0; i < GIVEN; i++) {
            uint64_t id = ((round * GIVEN + i) * 2654435761u) % data->rows;
            hits[i] = (memdb__vector_hit_t){.id = id, .version = id + 1};
        }
        memdb_error_t error;
        uint64_t from = memdb__monotonic_ns();
        if (memdb__vector_score(data->query, search, hits, GIVEN, &error))
            stop("score", &error);
        note(&timing, from);
    }
    printf("score of %d given rows, %s: %.1f us\n", GIVEN, what,
           timing.sum / (double)timing.passes * 1e6);
}

static void measure(const data_t *data, size_t rounds) {
    char path[] = "/tmp/memdb-bench-XXXXXX";
    if (!mkdtemp(path))
        stop("directory", NULL);
    int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    memdb__segment_identity_t identity = {.segment_id = 1, .kind = MEMDB__SEGMENT_VECTORS};
    memdb__vector_source_t list = {.list = data->list}, kept = {0};
    memdb_error_t error;
    uint64_t size, checksum;
    uint64_t from = memdb__monotonic_ns();
    if (memdb__vector_segment_write(directory, "bench", &identity, &list, 1, UINT64_MAX, every_row,
                                    every_space, NULL, &size, &checksum, &error))
        stop("write", &error);
    printf("segment of %zu rows x %d: %.1f MB, %.1f bytes a row, written in %.0f ms\n", data->rows,
           DIMENSION, (double)size * 1e-6, (double)size / (double)data->rows,
           (double)(memdb__monotonic_ns() - from) * 1e-6);
    if (memdb__vector_segment_open(directory, "bench", &identity, size, checksum, &kept.segment,
                                   &error))
        stop("open", &error);
    unlinkat(directory, "bench", 0);
    close(directory);
    rmdir(path);
    memdb__vector_search_t search = {.space = 1,
                                     .dimension = DIMENSION,
                                     .visible = UINT64_MAX,
                                     .sources = &kept,
                                     .source_count = 1,
                                     .live = every_row};
    memdb__vector_search_t listed = search;
    listed.sources = &list;
    memdb__vector_hit_t hits[K];
    size_t count;
    from = memdb__monotonic_ns();
    run_search(&search, data->query, hits, &count);
    printf("first search, which checks every page: %.1f ms\n",
           (double)(memdb__monotonic_ns() - from) * 1e-6);
    uint64_t codes_size;
    const uint8_t *codes =
        memdb__container_section(memdb__vector_segment_container(kept.segment), 5, &codes_size);
    if (codes_size != data->rows * STRIDE)
        stop("codes have another size", NULL);
    measure_scan(data, &search, &listed, codes, rounds);
    measure_given(data, &search, "segment");
    measure_given(data, &listed, "list");
    measure_recall(data, &search);
    memdb__vector_segment_close(kept.segment);
}

int main(int count, char **arguments) {
    const char *shared = getenv("MEMDB_SHARED");
    char directory[4096] = "";
    size_t rows = 100000, rounds = 100;
    if (shared)
        snprintf(directory, sizeof directory, "%s/data/bench_minilm384", shared);
    for (int i = 1; i < count; i++) {
        if (!strcmp(arguments[i], "--data") && i + 1 < count)
            snprintf(directory, sizeof directory, "%s", arguments[++i]);
        else if (!strcmp(arguments[i], "--rows") && i + 1 < count)
            rows = strtoull(arguments[++i], NULL, 10);
        else if (!strcmp(arguments[i], "--rounds") && i + 1 < count)
            rounds = strtoull(arguments[++i], NULL, 10);
        else {
            fprintf(stderr, "usage: vectors_exact [--data DIR] [--rows N] [--rounds N]\n");
            return 2;
        }
    }
    if (!rows || !rounds)
        return 2;
    printf("memdb %s, %s, kernels %s\n", memdb_version(), __VERSION__,
           memdb__kernel_level_name(memdb__kernels()->level));
    data_t data = {.list = memdb__vector_list_create()};
    if (!data.list)
        stop("out of memory", NULL);
    bool real = directory[0] && load(&data, directory, rows);
    if (!real)
        generate(&data, rows);
    printf("data: %s\n", real ? directory : "generated");
    measure(&data, rounds);
    memdb__vector_list_destroy(data.list);
    memdb__free_aligned(data.query);
    memdb__free_aligned(data.neighbours);
    return 0;
}
