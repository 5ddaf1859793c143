// Commits a second, and how long each takes: memdb beside SQLite, LMDB and RocksDB.
//
// Three levels. `full` survives power loss: one record a transaction, the case that group commit is
// for; beside it the device's own limit, one 4 KiB write and fdatasync after the other to a file
// that was written before. `os` survives the death of the process, `none` nothing: 100 records a
// transaction. Each store gets a fresh folder for each round; the stores take turns within a round,
// and the middle one of the rounds (by commits a second) is printed, with memdb's rate over it.
//
// After the rows of threads in one process come rows of processes with one thread each ("p"); a
// store that one process has for itself has none.
//
// usage: commit [--seconds S] [--rounds N] [--threads N,N,...] [--processes N,N,...]
//               [--level full|os|none] [--at FOLDER]
#include "bench/stores.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST_THREADS 64
#define MOST_ROUNDS 15
#define MOST_STORES 8
#define BATCH 100
#define RAW_FILE_BYTES (64u << 20)
#define RAW_BLOCK_BYTES 4096u

typedef struct setup {
    double seconds;
    unsigned rounds, counts[8], count_count, processes[8], process_count;
    const char *at;
    bool levels[STORE_LEVELS];
} setup_t;

typedef struct figures {
    double rate, p50, p99, p999;
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
                       bench_times_at(times, 0.99), bench_times_at(times, 0.999)};
}

/// What the threads, or the processes, of one measurement share.
typedef struct stage {
    pthread_barrier_t start;
    _Atomic bool stop;
    worker_t workers[MOST_THREADS];
} stage_t;

static stage_t *stage_make(const store_api_t *api, store_level_t level, unsigned workers) {
    stage_t *stage =
        mmap(NULL, sizeof *stage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_barrierattr_t attributes;
    if (stage == MAP_FAILED)
        bench_stop("out of memory", "");
    pthread_barrierattr_init(&attributes);
    pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_barrier_init(&stage->start, &attributes, workers + 1);
    for (unsigned i = 0; i < workers; i++)
        stage->workers[i] = (worker_t){.api = api,
                                       .number = i,
                                       .batch = level == STORE_FULL ? 1 : BATCH,
                                       .start = &stage->start,
                                       .stop = &stage->stop};
    return stage;
}

static double run_stage(const setup_t *setup, stage_t *stage) {
    pthread_barrier_wait(&stage->start);
    double began = bench_seconds();
    usleep((useconds_t)(setup->seconds * 1e6));
    atomic_store_explicit(&stage->stop, true, memory_order_relaxed);
    return began;
}

static figures_t measure_threads(const setup_t *setup, const store_api_t *api, const char *path,
                                 store_level_t level, unsigned threads) {
    pthread_t ids[MOST_THREADS];
    store_options_t options = {.level = level};
    void *store = api->open(path, &options);
    stage_t *stage = stage_make(api, level, threads);
    for (unsigned i = 0; i < threads; i++) {
        stage->workers[i].store = store;
        if (pthread_create(&ids[i], NULL, work, &stage->workers[i]))
            bench_stop("cannot start a thread", "");
    }
    double began = run_stage(setup, stage);
    for (unsigned i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    figures_t figures = summarise(stage->workers, threads, began);
    api->close(store);
    munmap(stage, sizeof *stage);
    return figures;
}

static void work_alone(const store_api_t *api, const char *path, store_level_t level,
                       worker_t *worker) {
    store_options_t options = {.level = level};
    worker->store = api->open(path, &options);
    work(worker);
    api->close(worker->store);
}

static figures_t measure_processes(const setup_t *setup, const store_api_t *api, const char *path,
                                   store_level_t level, unsigned processes) {
    store_options_t options = {.level = level};
    api->close(api->open(path, &options)); // made before anybody races to make it
    stage_t *stage = stage_make(api, level, processes);
    fflush(stdout);
    for (unsigned i = 0; i < processes; i++) {
        pid_t child = fork();
        if (child < 0)
            bench_stop("cannot start a process", "");
        if (child == 0) {
            work_alone(api, path, level, &stage->workers[i]);
            _exit(0);
        }
    }
    double began = run_stage(setup, stage);
    for (unsigned i = 0; i < processes; i++) {
        int status;
        if (wait(&status) < 0 || status != 0)
            bench_stop("a process failed", api->name);
    }
    figures_t figures = summarise(stage->workers, processes, began);
    munmap(stage, sizeof *stage);
    return figures;
}

static figures_t measure(const setup_t *setup, const store_api_t *api, store_level_t level,
                         unsigned workers, bool processes) {
    char path[1024];
    bench_folder_make(setup->at, "commit", path, sizeof path);
    figures_t figures = processes ? measure_processes(setup, api, path, level, workers)
                                  : measure_threads(setup, api, path, level, workers);
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
                         bench_times_at(times, 0.99), bench_times_at(times, 0.999)};
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

static void print_row(unsigned workers, bool processes, const char *name, figures_t figures,
                      double ours) {
    char rate[32], ratio[32] = "";
    snprintf(rate, sizeof rate, "%.0f", figures.rate);
    if (ours > 0)
        snprintf(ratio, sizeof ratio, "%.2f", ours / figures.rate);
    printf("  %6u%c  %-8s %11s %9.0f %9.0f %9.0f  %s\n", workers, processes ? 'p' : ' ', name, rate,
           figures.p50, figures.p99, figures.p999, ratio);
}

static void compare(const setup_t *setup, store_level_t level, unsigned workers, bool processes) {
    figures_t rounds[MOST_STORES][MOST_ROUNDS], raw[MOST_ROUNDS];
    bool with_raw = level == STORE_FULL && !processes && workers == setup->counts[0];
    for (unsigned round = 0; round < setup->rounds; round++) {
        for (size_t i = 0; stores[i]; i++)
            if (!processes || !stores[i]->one_process)
                rounds[i][round] = measure(setup, stores[i], level, workers, processes);
        if (with_raw)
            raw[round] = measure_raw(setup);
    }
    double ours = 0;
    for (size_t i = 0; stores[i]; i++) {
        if (processes && stores[i]->one_process)
            continue;
        figures_t figures = middle(rounds[i], setup->rounds);
        print_row(workers, processes, stores[i]->name, figures, ours);
        ours = i ? ours : figures.rate;
    }
    if (with_raw)
        print_row(1, false, "(device)", middle(raw, setup->rounds), ours);
    fflush(stdout);
}

static unsigned parse_counts(unsigned counts[8], const char *text) {
    unsigned count = 0;
    while (*text && count < 8) {
        char *after;
        unsigned long threads = strtoul(text, &after, 10);
        if (after == text || !threads || threads > MOST_THREADS)
            bench_stop("not a list of counts", text);
        counts[count++] = (unsigned)threads;
        text = *after == ',' ? after + 1 : after;
    }
    return count;
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
                     .processes = {1, 2, 4},
                     .process_count = 3,
                     .levels = {true, true, true}};
    for (int i = 1; i + 1 < count; i += 2) {
        const char *name = arguments[i], *value = arguments[i + 1];
        if (strcmp(name, "--seconds") == 0)
            setup.seconds = strtod(value, NULL);
        else if (strcmp(name, "--rounds") == 0)
            setup.rounds = (unsigned)strtoul(value, NULL, 10);
        else if (strcmp(name, "--threads") == 0)
            setup.count_count = parse_counts(setup.counts, value);
        else if (strcmp(name, "--processes") == 0)
            setup.process_count = parse_counts(setup.processes, value);
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
        printf("  workers  store        commits/s    p50 us    p99 us  p99.9 us  memdb / it\n");
        for (unsigned i = 0; i < setup.count_count; i++)
            compare(&setup, (store_level_t)level, setup.counts[i], false);
        for (unsigned i = 0; i < setup.process_count; i++)
            compare(&setup, (store_level_t)level, setup.processes[i], true);
    }
    return 0;
}
