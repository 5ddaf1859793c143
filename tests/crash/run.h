// Runs: what is recorded. A run opens a database below a directory (new, or what a power cut left),
// commits, checkpoints, closes and opens again, by one or more threads or processes, and ends.
#ifndef MEMDB_TESTS_RUN_H
#define MEMDB_TESTS_RUN_H

#include "tests/crash/choice.h"
#include "tests/crash/history.h"

typedef enum run_kind {
    RUN_FULL,      // one thread, a database of level full
    RUN_OS,        // the same, of level os
    RUN_HANDLES,   // two handles in turn; each reads what the other committed
    RUN_URING,     // one thread, writing by io_uring
    RUN_THREADS,   // two writers and a reader, with the background thread
    RUN_PROCESSES, // two processes, killed at their recorded calls, and begun anew
    RUN_KILLED,    // a process that is killed, often while it creates, and one thread after it
    RUN_KINDS
} run_kind_t;

typedef struct run {
    run_kind_t kind;
    char home[200]; // what is recorded; the database is `db` in it
    uint32_t boot;
    uint32_t kill_at;  // of RUN_KILLED: the recorded call behind which the process dies; 0: any
    history_t history; // as the run knows it
} run_t;

/// A run whose history begins with `seed`, in memory that processes share.
run_t *run_create(run_kind_t kind, uint64_t seed, const char *home);
void run_destroy(run_t *run);
const char *run_kind_name(run_kind_t kind);

/// Record one life of the run, of about so many steps, with choices of its own. A life that fails
/// says why and is false.
bool run_live(run_t *run, uint64_t seed, uint32_t steps, trace_t *trace_out, char what_out[400]);

/// Check the database in a directory against the history, go on with it, and check that.
///
/// thorough    also through a read-only handle first, with a checkpoint, and after a reopening.
/// counts_out  transactions that were there at first.
bool run_check(const char *home, const history_t *history, bool thorough,
               uint32_t counts_out[WRITERS], char what_out[400]);

/// Make `path` an empty directory.
void run_clear(const char *path);

#endif
