// Opening after a crash: memdb beside SQLite and RocksDB.
//
// A process of its own writes records, at a level that survives its death, without checkpoints,
// until the log has the wanted size, and goes on writing until it is killed (kill -9) in the middle
// of that. Then this process opens the store, reads the last record that the writer knew to be
// committed, and takes the time of both together. A missing record ends the program. Printed is the
// middle of the rounds, and the time for a MiB of log and for a record: logs hold different amounts
// of records, whole pages with SQLite, terms beside the text with memdb.
//
// usage: recovery [--mib N,N,...] [--rounds N] [--at FOLDER]
#include "bench/stores.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST_ROUNDS 15
#define MOST_SIZES 16
#define BATCH 16
#define MIB 1048576.0

typedef struct setup {
    double mib[MOST_SIZES];
    unsigned size_count, rounds;
    const char *at;
} setup_t;

/// What the writer tells when its log is large enough.
typedef struct told {
    uint64_t records, log_bytes;
} told_t;

// ------------------------------------------------------------------------------ the writer

/// The process that is killed: it never returns.
static void write_for_ever(const char *name, const char *path, const char *bytes) {
    uint64_t wanted = strtoull(bytes, NULL, 10), next = 0;
    const store_api_t *api = NULL;
    for (size_t i = 0; stores[i]; i++)
        if (strcmp(stores[i]->name, name) == 0)
            api = stores[i];
    if (!api)
        bench_stop("there is no store", name);
    store_options_t options = {.level = STORE_OS, .keep_log = true};
    void *store = api->open(path, &options), *session = api->begin(store);
    for (bool told = false;;) {
        api->put(session, next, BATCH);
        next += BATCH;
        told_t now = {next, told ? 0 : api->log_bytes(store)};
        if (!told && now.log_bytes >= wanted) {
            told = true;
            if (write(STDOUT_FILENO, &now, sizeof now) != (ssize_t)sizeof now)
                bench_stop("cannot tell", "");
        }
    }
}

static told_t write_and_kill(const store_api_t *api, const char *path, double mib) {
    char bytes[32], self[] = "/proc/self/exe";
    int ends[2];
    told_t told;
    snprintf(bytes, sizeof bytes, "%.0f", mib * MIB);
    fflush(stdout);
    if (pipe(ends) != 0)
        bench_stop("pipe", strerror(errno));
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        execl(self, "recovery", "--write", api->name, path, bytes, (char *)NULL);
        _exit(1);
    }
    close(ends[1]);
    if (child < 0 || read(ends[0], &told, sizeof told) != (ssize_t)sizeof told)
        bench_stop("the writer failed", api->name);
    close(ends[0]);
    usleep(1000); // well into the next commits
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return told;
}

// ------------------------------------------------------------------------------ opening

typedef struct figures {
    double seconds, mib;
    uint64_t records;
} figures_t;

static figures_t measure(const setup_t *setup, const store_api_t *api, double mib) {
    char path[1024];
    bench_folder_make(setup->at, "recovery", path, sizeof path);
    told_t told = write_and_kill(api, path, mib);
    store_options_t options = {.level = STORE_OS};
    double start = bench_seconds();
    void *store = api->open(path, &options), *session = api->begin(store);
    bool found = api->get(session, told.records - 1);
    double end = bench_seconds();
    if (!found || !api->get(session, 0))
        bench_stop("a committed record was lost by", api->name);
    api->end(session);
    api->close(store);
    bench_folder_remove(path);
    return (figures_t){end - start, (double)told.log_bytes / MIB, told.records};
}

static int by_time(const void *a, const void *b) {
    const figures_t *left = a, *right = b;
    return (left->seconds > right->seconds) - (left->seconds < right->seconds);
}

static void compare(const setup_t *setup, double mib) {
    double ours = 0;
    for (size_t i = 0; stores[i]; i++) {
        if (stores[i] == &store_lmdb)
            continue; // it has no log: nothing to replay
        figures_t rounds[MOST_ROUNDS];
        for (unsigned round = 0; round < setup->rounds; round++)
            rounds[round] = measure(setup, stores[i], mib);
        qsort(rounds, setup->rounds, sizeof *rounds, by_time);
        figures_t it = rounds[setup->rounds / 2];
        char ratio[32] = "";
        if (ours > 0)
            snprintf(ratio, sizeof ratio, "%.2f", it.seconds / ours);
        printf("  %8.1f  %-8s %9llu %9.2f %11.3f %10.2f  %s\n", it.mib, stores[i]->name,
               (unsigned long long)it.records, 1e3 * it.seconds, 1e3 * it.seconds / it.mib,
               1e6 * it.seconds / (double)it.records, ratio);
        fflush(stdout);
        ours = ours > 0 ? ours : it.seconds;
    }
}

int main(int count, char **arguments) {
    if (count == 5 && strcmp(arguments[1], "--write") == 0)
        write_for_ever(arguments[2], arguments[3], arguments[4]);
    setup_t setup = {.mib = {1, 8, 64}, .size_count = 3, .rounds = 3};
    for (int i = 1; i + 1 < count; i += 2) {
        const char *name = arguments[i], *value = arguments[i + 1];
        if (strcmp(name, "--rounds") == 0)
            setup.rounds = (unsigned)strtoul(value, NULL, 10);
        else if (strcmp(name, "--at") == 0)
            setup.at = value;
        else if (strcmp(name, "--mib") == 0) {
            setup.size_count = 0;
            for (char *after; *value && setup.size_count < MOST_SIZES; value = after) {
                setup.mib[setup.size_count++] = strtod(value, &after);
                if (after == value)
                    bench_stop("not a list of sizes", value);
                after += *after == ',';
            }
        } else
            bench_stop("unknown argument", name);
    }
    if (!setup.rounds || setup.rounds > MOST_ROUNDS || !setup.size_count)
        bench_stop("nothing to do", "");
    setup.at = bench_at(setup.at);
    bench_describe("Opening and first answer after kill -9 in the middle of writing");
    printf("\nno checkpoint before the kill; middle of %u rounds\n", setup.rounds);
    stores_describe(STORE_OS);
    printf("   log MiB  store      records  open, ms  ms/MiB log  us/record  it / memdb\n");
    for (unsigned i = 0; i < setup.size_count; i++)
        compare(&setup, setup.mib[i]);
    return 0;
}
