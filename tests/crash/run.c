// See run.h: runs of one thread, and what all runs share.
#include "tests/crash/run_internal.h"
#include "tests/lib/database.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

const char *run_kind_name(run_kind_t kind) {
    static const char *const names[] = {"full",    "os",        "two handles", "io_uring",
                                        "threads", "processes", "killed"};
    return names[kind];
}

run_t *run_create(run_kind_t kind, uint64_t seed, const char *home) {
    run_t *run = mmap(NULL, sizeof *run, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (run == MAP_FAILED) {
        abort();
    }
    run->kind = kind;
    run->history.seed = seed;
    run->history.full = kind != RUN_OS;
    snprintf(run->home, sizeof run->home, "%s", home);
    return run;
}

void run_destroy(run_t *run) {
    munmap(run, sizeof *run);
}

void run_clear(const char *path) {
    remove_tree(path);
    if (mkdir(path, 0700) != 0) {
        perror(path);
        abort();
    }
}

// ------------------------------------------------------------------------------ a handle

bool run_failed(char what_out[400], memdb_t *db, memdb_status_t status, const char *what) {
    char message[300] = "";
    if (db) {
        memdb_last_error(db, message, sizeof message);
    }
    snprintf(what_out, 400, "%s: %s %s", what, memdb_status_name(status), message);
    return false;
}

bool run_open(const run_t *run, memdb_t **db_out, char what_out[400]) {
    char path[256];
    memdb_error_t error = {0};
    // With so little log a checkpoint, tiers are merged by merges of their own.
    uint64_t checkpoint_bytes = run->history.seed % 4 == 1 ? 4096 : 1 << 20;
    memdb_options_t options = {
        .size = sizeof options,
        .flags = MEMDB_OPEN_CREATE,
        .durability = run->history.full ? MEMDB_DURABILITY_FULL : MEMDB_DURABILITY_OS,
        .io_backend = run->kind == RUN_URING ? MEMDB_IO_URING : MEMDB_IO_AUTO,
        .no_background = run->kind != RUN_THREADS,
        .checkpoint_log_bytes = run->kind == RUN_THREADS ? 128 << 10 : checkpoint_bytes};
    snprintf(path, sizeof path, "%s/db", run->home);
    if (memdb_open(path, &options, db_out, &error)) {
        snprintf(what_out, 400, "%.390s", error.message);
        return false;
    }
    return true;
}

/// How many transactions a writer has, as a new snapshot of this handle sees it.
bool run_count(const run_t *run, memdb_t *db, uint32_t writer, uint32_t *count_out,
               char what_out[400]) {
    memdb_snapshot_t *snapshot;
    what_out[0] = 0;
    memdb_status_t status = memdb_snapshot_begin(db, NULL, &snapshot);
    if (status) {
        return run_failed(what_out, db, status, "snapshot");
    }
    status = history_count(snapshot, &run->history, writer, count_out, what_out);
    memdb_snapshot_end(snapshot);
    return status == MEMDB_OK || (what_out[0] ? false : run_failed(what_out, db, status, "count"));
}

/// The writer goes on in a new life after what is there.
bool run_begin(run_t *run, memdb_t *db, uint32_t writer, content_t *content_out,
               char what_out[400]) {
    uint32_t count;
    if (!run_count(run, db, writer, &count, what_out)) {
        return false;
    }
    history_mark(&run->history, MARK_LIFE, writer, count, 0);
    if (run->history.full) {
        history_mark(&run->history, MARK_KEPT, writer, count, 0);
    }
    history_content(&run->history, writer, count, content_out);
    return true;
}

bool run_commit(run_t *run, memdb_t *db, uint32_t writer, content_t *content, choice_t *choice,
                char what_out[400]) {
    static const memdb_durability_t levels[] = {MEMDB_DURABILITY_FULL, MEMDB_DURABILITY_FULL,
                                                MEMDB_DURABILITY_OS, MEMDB_DURABILITY_NONE};
    memdb_durability_t level = levels[choose(choice, 4)];
    // Without a background thread a lesser commit of a full database is synced at once.
    bool survives =
        level == MEMDB_DURABILITY_FULL || (run->history.full && run->kind != RUN_THREADS);
    memdb_status_t status = history_commit(db, &run->history, writer, content, level, survives);
    return status == MEMDB_OK || run_failed(what_out, db, status, "commit");
}

/// A blob that no memory will name, and a transaction that is not made.
bool run_abort(memdb_t *db, choice_t *choice, char what_out[400]) {
    static const char bytes[3000] = "given up";
    memdb_txn_t *txn;
    memdb_blob_t blob;
    memdb_status_t status = memdb_txn_begin(db, &txn);
    if (!status) {
        status = memdb_blob_put(txn, bytes, 100 + choose(choice, 2900), &blob);
        memdb_txn_abort(txn);
    }
    return status == MEMDB_OK || run_failed(what_out, db, status, "aborted transaction");
}

// ------------------------------------------------------------------------------ one thread

/// One or two handles, each with a writer.
typedef struct hands {
    memdb_t *db[2];
    content_t content[2];
    uint32_t count;
} hands_t;

static bool open_hands(run_t *run, hands_t *hands, char what[400]) {
    for (uint32_t i = 0; i < hands->count; i++) {
        if (!run_open(run, &hands->db[i], what)) {
            return false;
        }
    }
    return true;
}

static bool close_hands(hands_t *hands, char what[400]) {
    for (uint32_t i = 0; i < hands->count; i++) {
        memdb_status_t status = memdb_close(hands->db[i]);
        hands->db[i] = NULL;
        if (status) {
            return run_failed(what, NULL, status, "close");
        }
    }
    return true;
}

/// After a sync or a checkpoint, all that was acknowledged is durable.
static void keep_all(run_t *run, hands_t *hands) {
    for (uint32_t i = 0; i < hands->count; i++) {
        history_mark(&run->history, MARK_KEPT, i, hands->content[i].count, 0);
    }
}

static bool read_other(run_t *run, hands_t *hands, uint32_t reader, char what[400]) {
    uint32_t count, writer = 1 - reader;
    if (!run_count(run, hands->db[reader], writer, &count, what)) {
        return false;
    }
    if (count != hands->content[writer].count) {
        snprintf(what, 400, "a handle sees %u of %u transactions of the other", count,
                 hands->content[writer].count);
        return false;
    }
    history_mark(&run->history, MARK_KEPT, writer, count, 0);
    return true;
}

static bool step(run_t *run, hands_t *hands, choice_t *choice, char what[400]) {
    uint64_t kind = choose(choice, 40);
    uint32_t hand = (uint32_t)choose(choice, hands->count);
    memdb_t *db = hands->db[hand];
    memdb_status_t status = MEMDB_OK;
    if (kind < 5) {
        status = memdb_checkpoint(db);
    } else if (kind < 7) {
        status = memdb_sync(db);
    } else if (kind < 9) {
        return close_hands(hands, what) && open_hands(run, hands, what);
    } else if (kind < 10) {
        return run_abort(db, choice, what);
    } else if (kind < 14 && hands->count == 2) {
        return read_other(run, hands, hand, what);
    } else {
        return run_commit(run, db, hand, &hands->content[hand], choice, what);
    }
    if (status) {
        return run_failed(what, db, status, kind < 5 ? "checkpoint" : "sync");
    }
    keep_all(run, hands);
    return true;
}

static bool live_alone(run_t *run, choice_t *choice, uint32_t steps, char what[400]) {
    hands_t hands = {.count = run->kind == RUN_HANDLES ? 2 : 1};
    bool right = open_hands(run, &hands, what);
    for (uint32_t i = 0; i < hands.count && right; i++) {
        right = run_begin(run, hands.db[i], i, &hands.content[i], what);
    }
    if (right) {
        keep_all(run, &hands); // what an opening found, alone, it has made durable
    }
    for (uint32_t i = 0; i < steps && right; i++) {
        right = step(run, &hands, choice, what);
    }
    return right && close_hands(&hands, what);
}

bool run_live(run_t *run, uint64_t seed, uint32_t steps, trace_t *trace_out, char what_out[400]) {
    choice_t choice = choice_of(seed, 1);
    bool right;
    run->boot++;
    recorder_world(run->boot, seed);
    recorder_begin(run->home);
    switch (run->kind) {
    case RUN_THREADS:
        right = run_live_threads(run, &choice, steps, what_out);
        break;
    case RUN_PROCESSES:
        right = run_live_processes(run, &choice, steps, what_out);
        break;
    case RUN_KILLED:
        right = run_live_killed(run, &choice, what_out) &&
                live_alone(run, &choice, steps / 2, what_out);
        break;
    default:
        right = live_alone(run, &choice, steps, what_out);
    }
    recorder_end(trace_out);
    return right;
}
