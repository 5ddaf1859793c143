// Point reads beside a writer at full speed: memdb beside SQLite, LMDB and RocksDB.
//
// 1, 4 and 16 threads read records by key, each read through a snapshot of its own, while one
// thread replaces records, one a transaction, as fast as it can, at a level that survives the death
// of the process. All stores are open at once and take short turns (crew.h), each second round in
// the opposite order. Printed for each: reads a second, how long a read takes, and what is left of
// the writer's rate, beside its rate without readers; then the middle of the rounds' ratios of
// p50, reads and writes, and between which two a half of them lies.
//
// usage: contention [--seconds S] [--rounds N] [--records N] [--readers N,N,...] [--at FOLDER]
#include "bench/crew.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_READERS (CREW_WORKERS - 1)
#define LOAD_BATCH 500

typedef struct setup {
    double seconds;
    unsigned rounds;
    uint64_t records;
    unsigned counts[8], count_count;
    const char *at;
} setup_t;

/// The first worker writes, the others read.
static void read_or_write(crew_worker_t *worker) {
    const crew_plan_t *plan = worker->plan;
    worker->state = bench_mix(worker->state + 0x9E3779B97F4A7C15u + worker->number);
    uint64_t number = worker->state % plan->records;
    if (worker->number == 0)
        plan->api->put(worker->session, number, 1);
    else if (!plan->api->get(worker->session, number))
        bench_stop("a record is missing in", plan->api->name);
}

static void load(void *session, const crew_plan_t *plan) {
    for (uint64_t at = 0; at < plan->records; at += LOAD_BATCH) {
        uint64_t left = plan->records - at;
        plan->api->put(session, at, (uint32_t)(left < LOAD_BATCH ? left : LOAD_BATCH));
    }
}

/// What is compared of each round, and the times that are gathered.
enum { P50, READS, WRITES };
enum { READ_TIMES, WRITE_TIMES };

static void measure(crew_side_t *side, double passed) {
    const bench_times_t *writes = crew_times(side->crew, 0);
    bench_times_t reads = {0};
    for (unsigned i = 1; i < side->plan.workers; i++)
        bench_times_merge(&reads, crew_times(side->crew, i));
    bench_times_merge(&side->times[READ_TIMES], &reads);
    bench_times_merge(&side->times[WRITE_TIMES], writes);
    side->figures[P50] = bench_times_at(&reads, 0.5);
    side->figures[READS] = (double)reads.count / passed;
    side->figures[WRITES] = (double)writes->count / passed;
}

static void print_row(const crew_side_t *side) {
    const bench_times_t *reads = &side->times[READ_TIMES];
    char ratios[3][64];
    printf("  %7u  %-8s %9.0f %7.2f %8.2f %9.1f %9.0f %9.1f  %-20s  %-20s  %s\n",
           side->plan.workers - 1, side->plan.api->name, crew_rounds_at(&side->rounds[READS], 0.5),
           crew_rounds_at(&side->rounds[P50], 0.5), bench_times_at(reads, 0.99),
           bench_times_at(reads, 0.999), crew_rounds_at(&side->rounds[WRITES], 0.5),
           bench_times_at(&side->times[WRITE_TIMES], 0.99),
           crew_ratio(side, P50, ratios[P50], sizeof *ratios),
           crew_ratio(side, READS, ratios[READS], sizeof *ratios),
           crew_ratio(side, WRITES, ratios[WRITES], sizeof *ratios));
}

static void compare(const setup_t *setup, unsigned readers) {
    crew_side_t *sides = bench_allocate(CREW_SIDES * sizeof *sides);
    unsigned count = 0;
    for (; stores[count]; count++)
        sides[count].plan = (crew_plan_t){.api = stores[count],
                                          .options = {.level = STORE_OS},
                                          .workers = readers + 1,
                                          .at = setup->at,
                                          .load = load,
                                          .work = read_or_write,
                                          .records = setup->records};
    crew_compare(sides, count, setup->rounds, setup->seconds, measure);
    for (unsigned i = 0; i < count; i++)
        print_row(&sides[i]);
    fflush(stdout);
    free(sides);
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
    setup_t setup = {
        .seconds = 0.2, .rounds = 15, .records = 20000, .counts = {0, 1, 4, 16}, .count_count = 4};
    for (int i = 1; i + 1 < count; i += 2) {
        const char *name = arguments[i], *value = arguments[i + 1];
        if (strcmp(name, "--seconds") == 0)
            setup.seconds = strtod(value, NULL);
        else if (strcmp(name, "--rounds") == 0)
            setup.rounds = (unsigned)strtoul(value, NULL, 10);
        else if (strcmp(name, "--records") == 0)
            setup.records = strtoull(value, NULL, 10);
        else if (strcmp(name, "--readers") == 0)
            parse_counts(&setup, value);
        else if (strcmp(name, "--at") == 0)
            setup.at = value;
        else
            bench_stop("unknown argument", name);
    }
    if (!setup.records || !setup.rounds || setup.rounds > CREW_ROUNDS || !(setup.seconds > 0) ||
        !setup.count_count)
        bench_stop("nothing to do", "");
    setup.at = bench_at(setup.at);
    bench_describe("Point reads beside one writer at full speed");
    printf("\n%llu records, %u rounds of %.2f s each; one record a transaction of the writer\n",
           (unsigned long long)setup.records, setup.rounds, setup.seconds);
    stores_describe(STORE_OS);
    printf("  readers  store      reads/s  p50 us   p99 us  p99.9 us  writes/s write p99  "
           "memdb / it: p50         reads                 writes (half of the rounds)\n");
    for (unsigned i = 0; i < setup.count_count; i++)
        compare(&setup, setup.counts[i]);
    return 0;
}
