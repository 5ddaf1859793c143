// Point reads beside a writer at full speed: memdb beside SQLite, LMDB and RocksDB.
//
// 1, 4 and 16 threads read records by key, each read through a snapshot of its own, while one
// thread replaces records, one a transaction, as fast as it can, at a level that survives the death
// of the process. Printed for each: reads a second, how long a read takes, and what is left of the
// writer's rate, beside its rate without readers.
//
// usage: contention [--seconds S] [--records N] [--readers N,N,...] [--at FOLDER]
#include "bench/stores.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_READERS 64
#define LOAD_BATCH 500

typedef struct setup {
    double seconds;
    uint64_t records;
    unsigned counts[8], count_count;
    const char *at;
} setup_t;

typedef struct worker {
    const setup_t *setup;
    const store_api_t *api;
    void *store;
    uint64_t state; // of its random numbers
    pthread_barrier_t *start;
    _Atomic bool *stop;
    bench_times_t times;
} worker_t;

static uint64_t next_number(worker_t *worker) {
    worker->state = bench_mix(worker->state + 0x9E3779B97F4A7C15u);
    return worker->state % worker->setup->records;
}

static void *read_records(void *context) {
    worker_t *worker = context;
    void *session = worker->api->begin(worker->store);
    pthread_barrier_wait(worker->start);
    // relaxed: it only ends the loop
    while (!atomic_load_explicit(worker->stop, memory_order_relaxed)) {
        uint64_t number = next_number(worker), before = bench_nanoseconds();
        bool found = worker->api->get(session, number);
        bench_times_add(&worker->times, bench_nanoseconds() - before);
        if (!found)
            bench_stop("a record is missing in", worker->api->name);
    }
    worker->api->end(session);
    return NULL;
}

static void *write_records(void *context) {
    worker_t *worker = context;
    void *session = worker->api->begin(worker->store);
    pthread_barrier_wait(worker->start);
    // relaxed: it only ends the loop
    while (!atomic_load_explicit(worker->stop, memory_order_relaxed)) {
        uint64_t number = next_number(worker), before = bench_nanoseconds();
        worker->api->put(session, number, 1);
        bench_times_add(&worker->times, bench_nanoseconds() - before);
    }
    worker->api->end(session);
    return NULL;
}

static void load(const setup_t *setup, const store_api_t *api, void *store) {
    void *session = api->begin(store);
    for (uint64_t at = 0; at < setup->records; at += LOAD_BATCH) {
        uint64_t left = setup->records - at;
        api->put(session, at, (uint32_t)(left < LOAD_BATCH ? left : LOAD_BATCH));
    }
    api->end(session);
}

typedef struct figures {
    double reads, p50, p99, p999, writes, write_p99;
} figures_t;

static figures_t run(const setup_t *setup, const store_api_t *api, void *store, unsigned readers) {
    pthread_t ids[MOST_READERS + 1];
    pthread_barrier_t start;
    _Atomic bool stop = false;
    worker_t *workers = bench_allocate((readers + 1) * sizeof *workers);
    pthread_barrier_init(&start, NULL, readers + 2);
    for (unsigned i = 0; i <= readers; i++) {
        workers[i] = (worker_t){.setup = setup,
                                .api = api,
                                .store = store,
                                .state = i + 1,
                                .start = &start,
                                .stop = &stop};
        if (pthread_create(&ids[i], NULL, i ? read_records : write_records, &workers[i]))
            bench_stop("cannot start a thread", "");
    }
    pthread_barrier_wait(&start);
    double began = bench_seconds();
    usleep((useconds_t)(setup->seconds * 1e6));
    double passed = bench_seconds() - began;
    atomic_store_explicit(&stop, true, memory_order_relaxed);
    for (unsigned i = 0; i <= readers; i++)
        pthread_join(ids[i], NULL);
    for (unsigned i = 2; i <= readers; i++)
        bench_times_merge(&workers[1].times, &workers[i].times);
    figures_t figures = {.writes = (double)workers[0].times.count / passed,
                         .write_p99 = bench_times_at(&workers[0].times, 0.99)};
    if (readers) {
        const bench_times_t *times = &workers[1].times;
        figures.reads = (double)times->count / passed;
        figures.p50 = bench_times_at(times, 0.5);
        figures.p99 = bench_times_at(times, 0.99);
        figures.p999 = bench_times_at(times, 0.999);
    }
    pthread_barrier_destroy(&start);
    free(workers);
    return figures;
}

static void print_row(unsigned readers, const char *name, figures_t it, const figures_t *ours) {
    char ratio[64] = "";
    if (ours && readers)
        snprintf(ratio, sizeof ratio, "%.2f reads, %.2f writes", ours->reads / it.reads,
                 ours->writes / it.writes);
    else if (ours)
        snprintf(ratio, sizeof ratio, "%.2f writes", ours->writes / it.writes);
    printf("  %7u  %-8s %9.0f %7.2f %8.2f %9.1f %9.0f %9.1f  %s\n", readers, name, it.reads, it.p50,
           it.p99, it.p999, it.writes, it.write_p99, ratio);
    fflush(stdout);
}

static void compare(const setup_t *setup, unsigned readers) {
    figures_t ours = {0};
    store_options_t options = {.level = STORE_OS};
    for (size_t i = 0; stores[i]; i++) {
        char path[1024];
        bench_folder_make(setup->at, "contention", path, sizeof path);
        void *store = stores[i]->open(path, &options);
        load(setup, stores[i], store);
        figures_t figures = run(setup, stores[i], store, readers);
        stores[i]->close(store);
        bench_folder_remove(path);
        print_row(readers, stores[i]->name, figures, i ? &ours : NULL);
        ours = i ? ours : figures;
    }
}

static void parse_counts(setup_t *setup, const char *text) {
    setup->count_count = 0;
    while (*text && setup->count_count < sizeof setup->counts / sizeof *setup->counts) {
        char *after;
        unsigned long readers = strtoul(text, &after, 10);
        if (after == text || readers > MOST_READERS)
            bench_stop("not a list of reader counts", text);
        setup->counts[setup->count_count++] = (unsigned)readers;
        text = *after == ',' ? after + 1 : after;
    }
}

int main(int count, char **arguments) {
    setup_t setup = {.seconds = 3, .records = 20000, .counts = {0, 1, 4, 16}, .count_count = 4};
    for (int i = 1; i + 1 < count; i += 2) {
        const char *name = arguments[i], *value = arguments[i + 1];
        if (strcmp(name, "--seconds") == 0)
            setup.seconds = strtod(value, NULL);
        else if (strcmp(name, "--records") == 0)
            setup.records = strtoull(value, NULL, 10);
        else if (strcmp(name, "--readers") == 0)
            parse_counts(&setup, value);
        else if (strcmp(name, "--at") == 0)
            setup.at = value;
        else
            bench_stop("unknown argument", name);
    }
    if (!setup.records || !(setup.seconds > 0) || !setup.count_count)
        bench_stop("nothing to do", "");
    setup.at = bench_at(setup.at);
    bench_describe("Point reads beside one writer at full speed");
    printf("\n%llu records, %.1f s each; one record a transaction of the writer\n",
           (unsigned long long)setup.records, setup.seconds);
    stores_describe(STORE_OS);
    printf("  readers  store      reads/s  p50 us   p99 us  p99.9 us  writes/s write p99  "
           "memdb / it\n");
    for (unsigned i = 0; i < setup.count_count; i++)
        compare(&setup, setup.counts[i]);
    return 0;
}
