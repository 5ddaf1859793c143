// Commits a second, and how long each takes: memdb beside SQLite, LMDB and RocksDB.
//
// Three levels. `full` survives power loss: one record a transaction, the case that group commit is
// for; beside it the device's own limit, one 4 KiB write and fdatasync after the other to a file
// that was written before. `os` survives the death of the process, `none` nothing: 100 records a
// transaction. All stores are open at once and take short turns (crew.h), each second round in the
// opposite order. Printed are the middle rate of the slices, the times of all of them together, and
// memdb's rate over the store's: the middle of the rounds' ratios, and between which two a half of
// them lies.
//
// After the rows of threads in one process come rows of processes with one thread each ("p"); a
// store that one process has for itself has none.
//
// usage: commit [--seconds S] [--rounds N] [--threads N,N,...] [--processes N,N,...]
//               [--level full|os|none] [--at FOLDER]
#include "bench/crew.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_THREADS (CREW_WORKERS - 1)
#define BATCH 100
#define RAW_FILE_BYTES (64u << 20)
#define RAW_BLOCK_BYTES 4096u

typedef struct setup {
    double seconds;
    unsigned rounds, counts[8], count_count, processes[8], process_count;
    const char *at;
    bool levels[STORE_LEVELS];
} setup_t;

// ------------------------------------------------------------------------------ the device

/// A file that was written before, and one block.
typedef struct raw {
    int file;
    char *block;
} raw_t;

static void *raw_open(const char *folder, const store_options_t *options) {
    (void)options;
    char path[1040];
    raw_t *raw = bench_allocate(sizeof *raw);
    snprintf(path, sizeof path, "%s/raw", folder);
    raw->file = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
    raw->block = bench_allocate(1u << 20);
    for (size_t at = 0; raw->file >= 0 && at < RAW_FILE_BYTES; at += 1u << 20)
        if (pwrite(raw->file, raw->block, 1u << 20, (off_t)at) != 1 << 20)
            bench_stop("cannot write", path);
    if (raw->file < 0 || fsync(raw->file) != 0)
        bench_stop("cannot write", path);
    return raw;
}

static void raw_close(void *context) {
    raw_t *raw = context;
    close(raw->file);
    free(raw->block);
    free(raw);
}

static void *raw_begin(void *context) {
    return context;
}

static void raw_end(void *context) {
    (void)context;
}

static void raw_put(void *context, uint64_t first, uint32_t count) {
    raw_t *raw = context;
    off_t at = (off_t)(first * RAW_BLOCK_BYTES % RAW_FILE_BYTES);
    memset(raw->block, (int)((first + count) & 127), RAW_BLOCK_BYTES);
    if (pwrite(raw->file, raw->block, RAW_BLOCK_BYTES, at) != (ssize_t)RAW_BLOCK_BYTES ||
        fdatasync(raw->file) != 0)
        bench_stop("cannot write", "the device");
}

static const store_api_t device = {.name = "(device)",
                                   .one_process = true,
                                   .open = raw_open,
                                   .close = raw_close,
                                   .begin = raw_begin,
                                   .end = raw_end,
                                   .put = raw_put};

// ------------------------------------------------------------------------------ one row

static void commit_records(crew_worker_t *worker) {
    uint64_t first = ((uint64_t)worker->number << 40) + worker->state;
    worker->state += worker->plan->batch;
    worker->plan->api->put(worker->session, first, worker->plan->batch);
}

static void measure(crew_side_t *side, double passed) {
    uint64_t before = side->times[0].count;
    for (unsigned i = 0; i < side->plan.workers; i++)
        bench_times_merge(&side->times[0], crew_times(side->crew, i));
    side->figures[0] = (double)(side->times[0].count - before) / passed;
}

static void print_row(const crew_side_t *side) {
    const bench_times_t *times = &side->times[0];
    char ratio[64];
    printf("  %6u%c  %-8s %11.0f %9.0f %9.0f %9.0f  %s\n", side->plan.workers,
           side->plan.processes ? 'p' : ' ', side->plan.api->name,
           crew_rounds_at(&side->rounds[0], 0.5), bench_times_at(times, 0.5),
           bench_times_at(times, 0.99), bench_times_at(times, 0.999),
           crew_ratio(side, 0, ratio, sizeof ratio));
}

static void compare(const setup_t *setup, store_level_t level, unsigned workers, bool processes) {
    crew_side_t *sides = bench_allocate(CREW_SIDES * sizeof *sides);
    const store_api_t *const alone = workers == 1 && level == STORE_FULL ? &device : NULL;
    unsigned count = 0;
    for (size_t i = 0; i == 0 || stores[i - 1]; i++) {
        const store_api_t *api = stores[i] ? stores[i] : alone;
        if (!api || (processes && api->one_process))
            continue;
        sides[count++].plan = (crew_plan_t){.api = api,
                                            .options = {.level = level},
                                            .workers = workers,
                                            .processes = processes,
                                            .at = setup->at,
                                            .work = commit_records,
                                            .batch = level == STORE_FULL ? 1 : BATCH};
    }
    crew_compare(sides, count, setup->rounds, setup->seconds, measure);
    for (unsigned i = 0; i < count; i++)
        print_row(&sides[i]);
    fflush(stdout);
    free(sides);
}

// ------------------------------------------------------------------------------ arguments

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
    setup_t setup = {.seconds = 0.2,
                     .rounds = 15,
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
    if (!setup.rounds || setup.rounds > CREW_ROUNDS || !(setup.seconds > 0) || !setup.count_count)
        bench_stop("nothing to do", "");
    setup.at = bench_at(setup.at);
    bench_describe("Commits of records with a key of 16 and a text of 240 bytes");
    for (int level = 0; level < STORE_LEVELS; level++) {
        if (!setup.levels[level])
            continue;
        printf("\nlevel %s, %d record(s) a commit, middle of %u rounds of %.2f s\n", names[level],
               level == STORE_FULL ? 1 : BATCH, setup.rounds, setup.seconds);
        stores_describe((store_level_t)level);
        printf("  workers  store        commits/s    p50 us    p99 us  p99.9 us  memdb / it (half "
               "of the rounds)\n");
        for (unsigned i = 0; i < setup.count_count; i++)
            compare(&setup, (store_level_t)level, setup.counts[i], false);
        for (unsigned i = 0; i < setup.process_count; i++)
            compare(&setup, (store_level_t)level, setup.processes[i], true);
    }
    return 0;
}
