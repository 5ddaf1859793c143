// The kernels beside a plain loop and beside the rate at which one thread can read their bytes.
//
// Every line is one kernel over rows that a cache level holds: nanoseconds a row of the best
// kernel of this CPU, of the plain loop (the scalar twin as the compiler makes it), and of a wide
// sum over the same bytes, which is the limit. The three take turns within a round, and the best
// round of each counts, so a disturbed machine shows in none of them alone.
#include "index/kernels/kernels.h"

#include "base/memory.h"
#include "bench/common.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUERIES 16
#define ROUNDS 7
#define BLOCK_ROWS 16

typedef struct work {
    const memdb__kernels_t *kernels;
    size_t dimension, rows; // rows is a multiple of BLOCK_ROWS
    size_t row_bytes;       // that this kernel reads
    int8_t *memory;         // of the rows, whatever the kernel takes them for
    int8_t *queries;        // also tables and half floats' query
    uint32_t *numbers;      // the rows in a random order
    void *out;
} work_t;

typedef void (*run_fn)(const work_t *work);

static void run_pairs(const work_t *work) {
    int32_t *out = work->out;
    for (size_t i = 0; i < work->rows; i++)
        out[i] =
            work->kernels->dot(work->queries, work->memory + i * work->row_bytes, work->row_bytes);
}

static void run_rows(const work_t *work) {
    work->kernels->dot_rows(work->queries, work->memory, work->row_bytes, work->rows, work->out);
}

static void run_given(const work_t *work) {
    work->kernels->dot_given(work->queries, work->memory, work->row_bytes, work->numbers,
                             work->rows, work->out);
}

/// For the plain loop: a query after the other, each over all rows.
static void run_queries(const work_t *work) {
    if (work->kernels->level != MEMDB__KERNEL_SCALAR) {
        memdb__dot_queries(work->queries, QUERIES, work->memory, work->row_bytes, work->rows,
                           work->out);
        return;
    }
    for (size_t i = 0; i < QUERIES; i++)
        work->kernels->dot_rows(work->queries + i * work->row_bytes, work->memory, work->row_bytes,
                                work->rows, work->out);
}

static void run_blocks(const work_t *work) {
    work->kernels->scan_blocks((const uint8_t *)work->queries, (const uint8_t *)work->memory,
                               work->dimension / 32, work->dimension / 32 * 64,
                               work->rows / BLOCK_ROWS, work->out);
}

static void run_differ(const work_t *work) {
    work->kernels->differ_rows((const uint8_t *)work->queries, (const uint8_t *)work->memory,
                               work->row_bytes, work->rows, work->out);
}

static void run_halves(const work_t *work) {
    float *out = work->out;
    for (size_t i = 0; i < work->rows; i++)
        out[i] = work->kernels->dot_half(
            (const float *)(void *)work->queries,
            (const uint16_t *)(void *)(work->memory + i * work->row_bytes), work->dimension);
}

static void run_rotate(const work_t *work) {
    for (size_t i = 0; i < work->rows; i++)
        work->kernels->rotate((float *)(void *)(work->memory + i * work->row_bytes),
                              work->dimension, (const uint64_t *)(void *)work->queries);
}

static const struct kernel {
    const char *name;
    run_fn run;
    size_t bits;    // of a row's dimension
    size_t per_row; // results a row
} kernels[] = {
    {"int8 dot, pairs", run_pairs, 8, 1},
    {"int8 dot, one against many", run_rows, 8, 1},
    {"int8 dot, given rows", run_given, 8, 1},
    {"int8 dot, 16 against many", run_queries, 8, QUERIES},
    {"1-bit codes, tables", run_blocks, 1, 1},
    {"bits that differ", run_differ, 1, 1},
    {"f16 dot, pairs", run_halves, 16, 1},
    {"rotation", run_rotate, 32, 1},
};

/// Nanoseconds a run of `run`, from as many runs as fill the time.
static double time_of(run_fn run, const work_t *work, double seconds) {
    size_t runs = 0;
    uint64_t from = bench_nanoseconds(), now;
    do {
        run(work);
        runs++;
        now = bench_nanoseconds();
    } while ((double)(now - from) < seconds * 1e9);
    return (double)(now - from) / (double)runs;
}

static void run_sum(const work_t *work) {
    *(uint64_t *)work->out = bench_sum(work->memory, work->rows * work->row_bytes);
}

static void measure(const struct kernel *kernel, work_t *work, size_t bytes, double seconds) {
    work->row_bytes = work->dimension * kernel->bits / 8;
    work->rows = bytes / work->row_bytes / BLOCK_ROWS * BLOCK_ROWS;
    work->rows = work->rows ? work->rows : BLOCK_ROWS;
    double best = 1e18, plain = 1e18, limit = 1e18;
    for (size_t i = 0; i < work->rows; i++)
        work->numbers[i] = (uint32_t)(bench_mix(i) % work->rows);
    for (int round = 0; round < ROUNDS; round++) {
        work->kernels = memdb__kernels();
        double time = time_of(kernel->run, work, seconds);
        best = time < best ? time : best;
        work->kernels = memdb__kernels_at(MEMDB__KERNEL_SCALAR);
        time = time_of(kernel->run, work, seconds);
        plain = time < plain ? time : plain;
        time = time_of(run_sum, work, seconds);
        limit = time < limit ? time : limit;
    }
    double rows = (double)(work->rows * kernel->per_row);
    printf("%4zu  %-28s %8.2f %9.2f %9.2f %8.2f\n", work->dimension, kernel->name, best / rows,
           plain / rows, limit / rows, best / limit);
}

int main(int count, char **arguments) {
    static const struct {
        const char *name;
        size_t bytes;
    } levels[] = {{"first-level cache", 24 << 10},
                  {"second-level cache", 512 << 10},
                  {"third-level cache", 8 << 20},
                  {"memory", 128 << 20}};
    double seconds = 0.01;
    size_t level_count = sizeof levels / sizeof *levels;
    if (count == 2 && !strcmp(arguments[1], "--quick")) {
        seconds = 1e-4;
        level_count = 2;
    } else if (count != 1) {
        return fprintf(stderr, "usage: kernels [--quick]\n"), 2;
    }
    size_t largest = levels[level_count - 1].bytes, results = largest / 48 + BLOCK_ROWS;
    work_t work = {.memory = memdb__allocate_aligned(largest),
                   .queries = memdb__allocate_aligned(QUERIES * 4096),
                   .numbers = bench_allocate(results * sizeof(uint32_t)),
                   .out = bench_allocate(results * QUERIES * sizeof(int32_t))};
    if (!work.memory || !work.queries)
        bench_stop("out of memory", "");
    memset(work.memory, 0x3f, largest); // whole and half floats near 1: a rotation keeps their size
    memset(work.queries, 0x1f, QUERIES * 4096); // the largest entry of a table
    bench_describe(memdb__kernel_level_name(memdb__kernels()->level));
    printf("nanoseconds a row (of 16 queries: a row and query)\n");
    for (size_t level = 0; level < level_count; level++) {
        printf("%s, %zu KiB\n%-34s %8s %9s %9s %8s\n", levels[level].name,
               levels[level].bytes >> 10, "", "kernel", "plain", "read", "of read");
        for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++)
            for (work.dimension = 384; work.dimension <= 768; work.dimension *= 2)
                measure(&kernels[i], &work, levels[level].bytes, seconds);
    }
    free(work.out);
    free(work.numbers);
    memdb__free_aligned(work.queries);
    memdb__free_aligned(work.memory);
    return 0;
}
