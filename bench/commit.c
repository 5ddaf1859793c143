// Commits a second, and how long each takes: memdb beside SQLite, LMDB and RocksDB.
//
// Three levels. `full` survives power loss: one record a transaction, the case that group commit is
// for; beside it the device's own limit, one 4 KiB write and fdatasync after the other to a file
// that was written before. `os` survives the death of the process, `none` nothing: 100 records a
// transaction. Each store gets a fresh folder for each round; the stores take turns within a round,
// and the middle one of the rounds (by commits a second) is printed, with memdb's rate over it.
//
// usage: commit [--seconds S] [--rounds N] [--threads N,N,...] [--level full|os|none] [--at FOLDER]
#include "bench/stores.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_THREADS 64
#define MOST_ROUNDS 15
#define MOST_STORES 8
#define BATCH 100
#define RAW_FILE_BYTES (64u << 20)
#define RAW_BLOCK_BYTES 4096u

typedef struct setup {
    double seconds;
    unsigned rounds, counts[8], count_count;
    const char *at;
    bool levels[STORE_LEVELS];
} setup_t;

typedef struct figures {
    double rate, p50, p99;
} figures_t;

typedef struct worker {
    const store_api_t *api;
    void *store;
    unsigned number;
    uint32_t batch;
    pthread_barrier_t *start;
    _Atomic bool *stop;
    bench_times_t times;
    double finished;
} worker_t;

static void *work(void *context) {
    worker_t *worker = context;
    void *session = worker->api->begin(worker->store);
    uint64_t next = (uint64_t)worker->number << 40;
    worker->api->put(session, next, worker->batch); // warm
    pthread_barrier_wait(worker->start);
    // relaxed: it only ends the loop
    while (!atomic_load_explicit(worker->stop, memory_order_relaxed)) {
        next += worker->batch;
        uint64_t before = bench_nanoseconds();
        worker->api->put(session, next, worker->batch);
        bench_times_add(&worker->times, bench_nanoseconds() - before);
    }
    worker->finished = bench_seconds();
    worker->api->end(session);
    return NULL;
}

static figures_t summarise(worker_t *workers, unsigned threads, double start) {
    double last = start;
    for (unsigned i = 0; i < threads; i++) {
        last = workers[i].finished > last ? workers[i].finished : last;
        if (i)
            bench_times_merge(&workers[0].times, &workers[i].times);
    }
    const bench_times_t *times = &workers[0].times;
    return (figures_t){(double)times->count / (last - start), bench_times_at(times, 0.5),
                       bench_times_at(times, 0.99)};
}

static figures_t measure(const setup_t *setup, const store_api_t *api, store_level_t level,
                         unsigned threads) {
    char path[1024];
    pthread_t ids[MOST_THREADS];
    pthread_barrier_t start;
    _Atomic bool stop = false;
    store_options_t options = {.level = level};
    bench_folder_make(setup->at, "commit", path, sizeof path);
    void *store = api->open(path, &options);
    worker_t *workers = bench_allocate(threads * sizeof *workers);
    pthread_barrier_init(&start, NULL, threads + 1);
    for (unsigned i = 0; i < threads; i++) {
        workers[i] = (worker_t){.api = api,
                                .store = store,
                                .number = i,
                                .batch = level == STORE_FULL ? 1 : BATCH,
                                .start = &start,
                                .stop = &stop};
        if (pthread_create(&ids[i], NULL, work, &workers[i]))
            bench_stop("cannot start a thread", "");
    }
    pthread_barrier_wait(&start);
    double began = bench_seconds();
    usleep((useconds_t)(setup->seconds * 1e6));
    atomic_store_explicit(&stop, true, memory_order_relaxed);
    for (unsigned i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    figures_t figures = summarise(workers, threads, began);
    pthread_barrier_destroy(&start);
    free(workers);
    api->close(store);
    bench_folder_remove(path);
    return figures;
}

/// The device: a block and its sync, one after the other, to a file that was written before.
static figures_t measure_raw(const setup_t *setup) {
    char folder[1024], path[1040];
    bench_folder_make(setup->at, "commit", folder, sizeof folder);
    snprintf(path, sizeof path, "%s/raw", folder);
    int file = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
    char *block = bench_allocate(1u << 20);
    for (size_t at = 0; file >= 0 && at < RAW_FILE_BYTES; at += 1u << 20)
        if (pwrite(file, block, 1u << 20, (off_t)at) != 1 << 20)
            bench_stop("cannot write", path);
    if (file < 0 || fsync(file) != 0)
        bench_stop("cannot write", path);
    bench_times_t *times = bench_allocate(sizeof *times);
    double start = bench_seconds(), now = start;
    for (size_t at = 0; now - start < setup->seconds;
         at = (at + RAW_BLOCK_BYTES) % RAW_FILE_BYTES) {
        uint64_t before = bench_nanoseconds();
        memset(block, (int)(before & 127), RAW_BLOCK_BYTES);
        if (pwrite(file, block, RAW_BLOCK_BYTES, (off_t)at) != (ssize_t)RAW_BLOCK_BYTES ||
            fdatasync(file) != 0)
            bench_stop("cannot write", path);
        bench_times_add(times, bench_nanoseconds() - before);
        now = bench_seconds();
    }
    figures_t figures = {(double)times->count / (now - start), bench_times_at(times, 0.5),
                         bench_times_at(times, 0.99)};
    close(file);
    free(times);
    free(block);
    bench_folder_remove(folder);
    return figures;
}

static int by_rate(const void *a, const void *b) {
    const figures_t *left = a, *right = b;
    return (left->rate > right->rate) - (left->rate < right->rate);
}

static figures_t middle(figures_t *rounds, unsigned count) {
    qsort(rounds, count, sizeof *rounds, by_rate);
    return rounds[count / 2];
}

static void print_row(unsigned threads, const char *name, figures_t figures, double ours) {
    char rate[32], ratio[32] = "";
    snprintf(rate, sizeof rate, "%.0f", figures.rate);
    if (ours > 0)
        snprintf(ratio, sizeof ratio, "%.2f", ours / figures.rate);
    printf("  %7u  %-8s %11s %9.0f %9.0f  %s\n", threads, name, rate, figures.p50, figures.p99,
           ratio);
}

static void compare(const setup_t *setup, store_level_t level, unsigned threads) {
    figures_t rounds[MOST_STORES][MOST_ROUNDS], raw[MOST_ROUNDS];
    bool with_raw = level == STORE_FULL && threads == setup->counts[0];
    for (unsigned round = 0; round < setup->rounds; round++) {
        for (size_t i = 0; stores[i]; i++)
            rounds[i][round] = measure(setup, stores[i], level, threads);
        if (with_raw)
            raw[round] = measure_raw(setup);
    }
    double ours = 0;
    for (size_t i = 0; stores[i]; i++) {
        figures_t figures = middle(rounds[i], setup->rounds);
        print_row(threads, stores[i]->name, figures, ours);
        ours = i ? ours : figures.rate;
    }
    if (with_raw)
        print_row(1, "(device)", middle(raw, setup->rounds), ours);
    fflush(stdout);
}

static void parse_counts(setup_t *setup, const char *text) {
    setup->count_count = 0;
    while (*text && setup->count_count < sizeof setup->counts / sizeof *setup->counts) {
        char *after;
        unsigned long threads = strtoul(text, &after, 10);
        if (after == text || !threads || threads > MOST_THREADS)
            bench_stop("not a list of thread counts", text);
        setup->counts[setup->count_count++] = (unsigned)threads;
        text = *after == ',' ? after + 1 : after;
    }
}

static void parse_levels(setup_t *setup, const char *name, const char *const *names) {
    bool known = false;
    for (int level = 0; level < STORE_LEVELS; level++) {
        setup->levels[level] = strcmp(name, names[level]) == 0;
        known = known || setup->levels[level];
    }
    if (!known)
        bench_stop("there is no level", name);
}

int main(int count, char **arguments) {
    static const char *const names[STORE_LEVELS] = {"full", "os", "none"};
    setup_t setup = {.seconds = 2,
                     .rounds = 3,
                     .counts = {1, 4, 16},
                     .count_count = 3,
                     .levels = {true, true, true}};
    for (int i = 1; i + 1 < count; i += 2) {
        const char *name = arguments[i], *value = arguments[i + 1];
        if (strcmp(name, "--seconds") == 0)
            setup.seconds = strtod(value, NULL);
        else if (strcmp(name, "--rounds") == 0)
            setup.rounds = (unsigned)strtoul(value, NULL, 10);
        else if (strcmp(name, "--threads") == 0)
            parse_counts(&setup, value);
        else if (strcmp(name, "--level") == 0)
            parse_levels(&setup, value, names);
        else if (strcmp(name, "--at") == 0)
            setup.at = value;
        else
            bench_stop("unknown argument", name);
    }
    if (!setup.rounds || setup.rounds > MOST_ROUNDS || !(setup.seconds > 0) || !setup.count_count)
        bench_stop("nothing to do", "");
    setup.at = bench_at(setup.at);
    bench_describe("Commits of records with a key of 16 and a text of 240 bytes");
    for (int level = 0; level < STORE_LEVELS; level++) {
        if (!setup.levels[level])
            continue;
        printf("\nlevel %s, %d record(s) a commit, middle of %u rounds of %.1f s\n", names[level],
               level == STORE_FULL ? 1 : BATCH, setup.rounds, setup.seconds);
        stores_describe((store_level_t)level);
        printf("  threads  store        commits/s    p50 us    p99 us  memdb / it\n");
        for (unsigned i = 0; i < setup.count_count; i++)
            compare(&setup, (store_level_t)level, setup.counts[i]);
    }
    return 0;
}
