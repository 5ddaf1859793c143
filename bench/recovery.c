// Opening after a crash: memdb beside SQLite, LMDB and RocksDB.
//
// A process of its own writes records until memdb's log, which is never checkpointed, has the
// wanted size, and goes on writing until it is killed (kill -9) in the middle of that. The peers
// are given the same records and the same death. Then this process opens the store, reads the last
// record that the writer knew to be committed, and takes the time of both together. A missing
// record ends the program. Printed is the middle of the rounds, for a MiB of the store's own log
// and for a record too: logs hold different amounts of records, whole pages with SQLite, terms
// beside the text with memdb; LMDB has none.
//
// Peers keep all of their log too, or, with `--peers checkpoint`, checkpoint as they do by
// themselves: that is their best case, and memdb's stays the worst. Above some 64 MiB it is the
// only practical one: SQLite's log would hold a page for each record.
//
// usage: recovery [--mib N,N,...] [--rounds N] [--batch N] [--level full|os]
//                 [--peers keep|checkpoint] [--at FOLDER]
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
#define MIB 1048576.0

typedef struct setup {
    double mib[MOST_SIZES];
    unsigned size_count, rounds, batch;
    store_level_t level;
    bool peers_checkpoint;
    const char *at;
} setup_t;

/// What the writer is to do: write until there are so many records, and so many bytes of log.
typedef struct task {
    uint64_t records, log_bytes;
    unsigned batch;
    store_options_t options;
} task_t;

/// What the writer tells when it is there.
typedef struct told {
    uint64_t records, log_bytes;
} told_t;

// ------------------------------------------------------------------------------ the writer

/// The process that is killed: it never returns.
static void write_for_ever(const char *name, const char *path) {
    const store_api_t *api = NULL;
    task_t task;
    uint64_t next = 0;
    for (size_t i = 0; stores[i]; i++)
        if (strcmp(stores[i]->name, name) == 0)
            api = stores[i];
    if (!api)
        bench_stop("there is no store", name);
    if (read(STDIN_FILENO, &task, sizeof task) != (ssize_t)sizeof task)
        bench_stop("no task", "");
    void *store = api->open(path, &task.options), *session = api->begin(store);
    for (bool told = false;;) {
        api->put(session, next, task.batch);
        next += task.batch;
        if (told || next < task.records)
            continue;
        told_t now = {next, api->log_bytes(store)};
        if (now.log_bytes >= task.log_bytes) {
            told = true;
            if (write(STDOUT_FILENO, &now, sizeof now) != (ssize_t)sizeof now)
                bench_stop("cannot tell", "");
        }
    }
}

static told_t write_and_kill(const store_api_t *api, const char *path, const task_t *task) {
    char self[] = "/proc/self/exe";
    int in[2], out[2];
    told_t told;
    fflush(stdout);
    if (pipe(in) != 0 || pipe(out) != 0)
        bench_stop("pipe", strerror(errno));
    pid_t child = fork();
    if (child == 0) {
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        close(in[0]), close(in[1]), close(out[0]), close(out[1]);
        execl(self, "recovery", "--write", api->name, path, (char *)NULL);
        _exit(1);
    }
    close(in[0]);
    close(out[1]);
    if (child < 0 || write(in[1], task, sizeof *task) != (ssize_t)sizeof *task ||
        read(out[0], &told, sizeof told) != (ssize_t)sizeof told)
        bench_stop("the writer failed", api->name);
    close(in[1]);
    close(out[0]);
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

static figures_t measure(const setup_t *setup, const store_api_t *api, const task_t *task) {
    char path[1024];
    bench_folder_make(setup->at, "recovery", path, sizeof path);
    told_t told = write_and_kill(api, path, task);
    double start = bench_seconds();
    void *store = api->open(path, &task->options), *session = api->begin(store);
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

static void print(const char *name, const figures_t *it, double ours) {
    char by_log[32] = "-", ratio[32] = "";
    if (it->mib > 0)
        snprintf(by_log, sizeof by_log, "%.3f", 1e3 * it->seconds / it->mib);
    if (ours > 0)
        snprintf(ratio, sizeof ratio, "%.2f", it->seconds / ours);
    printf("  %8.1f  %-8s %9llu %9.2f %11s %10.2f  %s\n", it->mib, name,
           (unsigned long long)it->records, 1e3 * it->seconds, by_log,
           1e6 * it->seconds / (double)it->records, ratio);
    fflush(stdout);
}

/// memdb is the first of the stores: how many records its log holds is what the others write.
static void compare(const setup_t *setup, double mib) {
    double ours = 0;
    task_t task = {.log_bytes = (uint64_t)(mib * MIB), .batch = setup->batch};
    for (size_t i = 0; stores[i]; i++) {
        bool peer = stores[i] != &store_memdb && stores[i] != &store_memdb_words;
        figures_t rounds[MOST_ROUNDS];
        task.options =
            (store_options_t){.level = setup->level, .keep_log = !peer || !setup->peers_checkpoint};
        for (unsigned round = 0; round < setup->rounds; round++)
            rounds[round] = measure(setup, stores[i], &task);
        qsort(rounds, setup->rounds, sizeof *rounds, by_time);
        figures_t it = rounds[setup->rounds / 2];
        print(stores[i]->name, &it, ours);
        ours = ours > 0 ? ours : it.seconds;
        if (stores[i] == &store_memdb)
            task.records = it.records, task.log_bytes = 0;
    }
}

static void read_sizes(setup_t *setup, const char *value) {
    setup->size_count = 0;
    for (char *after; *value && setup->size_count < MOST_SIZES; value = after) {
        setup->mib[setup->size_count++] = strtod(value, &after);
        if (after == value)
            bench_stop("not a list of sizes", value);
        after += *after == ',';
    }
}

static void read_argument(setup_t *setup, const char *name, const char *value) {
    if (strcmp(name, "--rounds") == 0)
        setup->rounds = (unsigned)strtoul(value, NULL, 10);
    else if (strcmp(name, "--batch") == 0)
        setup->batch = (unsigned)strtoul(value, NULL, 10);
    else if (strcmp(name, "--at") == 0)
        setup->at = value;
    else if (strcmp(name, "--mib") == 0)
        read_sizes(setup, value);
    else if (strcmp(name, "--level") == 0 && strcmp(value, "full") == 0)
        setup->level = STORE_FULL;
    else if (strcmp(name, "--level") == 0 && strcmp(value, "os") == 0)
        setup->level = STORE_OS;
    else if (strcmp(name, "--peers") == 0 && strcmp(value, "keep") == 0)
        setup->peers_checkpoint = false;
    else if (strcmp(name, "--peers") == 0 && strcmp(value, "checkpoint") == 0)
        setup->peers_checkpoint = true;
    else
        bench_stop("unknown argument", name);
}

int main(int count, char **arguments) {
    if (count == 4 && strcmp(arguments[1], "--write") == 0)
        write_for_ever(arguments[2], arguments[3]);
    setup_t setup = {.mib = {1, 8, 64}, .size_count = 3, .rounds = 3, .batch = 256};
    for (int i = 1; i + 1 < count; i += 2)
        read_argument(&setup, arguments[i], arguments[i + 1]);
    if (!setup.rounds || setup.rounds > MOST_ROUNDS || !setup.size_count || !setup.batch)
        bench_stop("nothing to do", "");
    setup.at = bench_at(setup.at);
    bench_describe("Opening and first answer after kill -9 in the middle of writing");
    printf("\ncommits of %u records; memdb without a checkpoint before the kill, its peers %s; "
           "middle of %u rounds\n",
           setup.batch, setup.peers_checkpoint ? "with theirs" : "likewise", setup.rounds);
    stores_describe(setup.level);
    printf("   log MiB  store      records  open, ms  ms/MiB log  us/record  it / memdb\n");
    for (unsigned i = 0; i < setup.size_count; i++)
        compare(&setup, setup.mib[i]);
    return 0;
}
