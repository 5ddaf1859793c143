// See run.h: runs of several threads, and of several processes that are killed.
#include "tests/crash/run_internal.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define WRITING 2 // writers of such a run

// ------------------------------------------------------------------------------ threads

typedef struct thread {
    run_t *run;
    memdb_t *db;
    uint32_t writer, steps;
    choice_t choice;
    content_t content;
    atomic_int *writing;
    bool right;
    char what[400];
} thread_t;

static void *write_in_thread(void *context) {
    thread_t *thread = context;
    for (uint32_t i = 0; i < thread->steps && thread->right; i++) {
        if (choose(&thread->choice, 20) == 0) {
            thread->right = run_abort(thread->db, &thread->choice, thread->what);
        } else {
            thread->right = run_commit(thread->run, thread->db, thread->writer, &thread->content,
                                       &thread->choice, thread->what);
        }
    }
    // Release: pairs with the reader's acquire, and tells nothing but that it is over.
    atomic_fetch_sub_explicit(thread->writing, 1, memory_order_release);
    return NULL;
}

/// Another handle: what it sees in a full database, no power cut takes away. The counts are read
/// here without the history, which the writers carry on meanwhile. `seen` is carried on.
static bool read_counts(memdb_t *db, uint32_t seen[WRITING], char what[400]) {
    memdb_snapshot_t *snapshot;
    memdb_status_t status = memdb_snapshot_begin(db, NULL, &snapshot);
    if (status) {
        return run_failed(what, db, status, "snapshot");
    }
    uint32_t counts[WRITING] = {0};
    for (uint32_t writer = 0; writer < WRITING && !status; writer++) {
        memdb_space_t space;
        memdb_memory_t memory;
        status = memdb_space_find(snapshot, history_space(writer, false), &space);
        status =
            status ? status : memdb_get_by_key(snapshot, space, (memdb_bytes_t){"n", 1}, &memory);
        for (size_t i = 0; !status && i < memory.text.size && memory.text.data[i] != ' '; i++) {
            counts[writer] = counts[writer] * 10 + (uint32_t)(memory.text.data[i] - '0');
        }
        status = status == MEMDB_NOT_FOUND ? MEMDB_OK : status; // no transaction yet
    }
    memdb_snapshot_end(snapshot);
    for (uint32_t writer = 0; writer < WRITING && !status; writer++) {
        if (counts[writer] != seen[writer]) {
            recorder_mark(MARK_KEPT, writer, counts[writer], 0);
        }
        seen[writer] = counts[writer];
    }
    return status == MEMDB_OK || run_failed(what, db, status, "reading");
}

bool run_live_threads(run_t *run, choice_t *choice, uint32_t steps, char what_out[400]) {
    memdb_t *db = NULL, *reader = NULL;
    thread_t threads[WRITING];
    pthread_t ids[WRITING];
    atomic_int writing = WRITING;
    uint32_t seen[WRITING] = {0};
    if (!run_open(run, &db, what_out) || !run_open(run, &reader, what_out)) {
        return false;
    }
    for (uint32_t i = 0; i < WRITING; i++) {
        threads[i] = (thread_t){.run = run,
                                .db = db,
                                .writer = i,
                                .steps = steps / WRITING,
                                .choice = choice_of(choose_bits(choice), i),
                                .writing = &writing,
                                .right = true};
        if (!run_begin(run, db, i, &threads[i].content, what_out)) {
            return false;
        }
    }
    bool right = true;
    for (uint32_t i = 0; i < WRITING; i++) {
        if (pthread_create(&ids[i], NULL, write_in_thread, &threads[i]) != 0) {
            return run_failed(what_out, NULL, MEMDB_NOMEM, "thread");
        }
    }
    while (right && atomic_load_explicit(&writing, memory_order_acquire) > 0) {
        right = read_counts(reader, seen, what_out);
    }
    for (uint32_t i = 0; i < WRITING; i++) {
        pthread_join(ids[i], NULL);
        if (!threads[i].right && right) {
            snprintf(what_out, 400, "%s", threads[i].what);
            right = false;
        }
    }
    return memdb_close(reader) == MEMDB_OK && memdb_close(db) == MEMDB_OK && right;
}

// ------------------------------------------------------------------------------ processes

/// A commit of something that the history does not know. Whoever commits first after the death of a
/// writer repairs the log, and a frame that the dead one had written whole becomes a commit then.
static bool settle(memdb_t *db, uint32_t writer, char what[400]) {
    memdb_status_t status = MEMDB_CONFLICT;
    while (status == MEMDB_CONFLICT) {
        memdb_txn_t *txn;
        memdb_space_t space;
        memdb_memory_t memory = {
            .size = sizeof memory, .fields = MEMDB_FIELD_KEY, .key = {writer ? "1" : "0", 1}};
        status = memdb_txn_begin(db, &txn);
        if (status) {
            break;
        }
        status = memdb_space_ensure(txn, (memdb_bytes_t){"settle", 6}, &space);
        status = status ? status : memdb_put(txn, space, &memory, NULL);
        if (status) {
            memdb_txn_abort(txn);
        } else {
            status = memdb_txn_commit(txn, MEMDB_DURABILITY_OS, NULL);
        }
    }
    return status == MEMDB_OK || run_failed(what, db, status, "settling");
}

/// The life of one process, which dies at one of its first `most` recorded calls unless it is over
/// before: 0, or it says why not and 1.
static int live_in_process(run_t *run, uint32_t writer, choice_t choice, uint32_t steps,
                           uint32_t most) {
    memdb_t *db;
    content_t content;
    char what[400];
    recorder_die_at(1 + (uint32_t)choose(&choice, most), (recorder_death_t)choose(&choice, 3));
    if (run->kill_at) {
        recorder_die_at(run->kill_at, DEATH_AFTER);
    }
    bool right = run_open(run, &db, what) && settle(db, writer, what) &&
                 run_begin(run, db, writer, &content, what);
    for (uint32_t i = 0; i < steps && right; i++) {
        uint64_t kind = choose(&choice, 16);
        memdb_status_t status = kind == 0 ? memdb_checkpoint(db) : MEMDB_OK;
        if (status) {
            right = run_failed(what, db, status, "checkpoint");
        } else if (kind == 0) {
            history_mark(&run->history, MARK_KEPT, writer, content.count, 0);
        } else {
            right = run_commit(run, db, writer, &content, &choice, what);
        }
    }
    if (right && memdb_close(db) == MEMDB_OK) {
        return 0;
    }
    fprintf(stderr, "process of writer %u: %s\n", writer, what);
    return 1;
}

static bool start_process(run_t *run, uint32_t writer, choice_t *choice, uint32_t steps,
                          uint32_t most, pid_t *id_out) {
    choice_t own = choice_of(choose_bits(choice), writer);
    *id_out = fork();
    if (*id_out == 0) {
        _exit(live_in_process(run, writer, own, steps, most));
    }
    return *id_out > 0;
}

bool run_live_killed(run_t *run, choice_t *choice, char what_out[400]) {
    static const uint32_t most[] = {50, 50, 200}; // a creation makes about fifty
    pid_t id;
    int result;
    if (!start_process(run, 0, choice, 20, most[choose(choice, 3)], &id) ||
        waitpid(id, &result, 0) != id) {
        return run_failed(what_out, NULL, MEMDB_NOMEM, "fork");
    }
    if (WIFEXITED(result) && WEXITSTATUS(result) != 0) {
        snprintf(what_out, 400, "a process failed");
        return false;
    }
    return true;
}

bool run_live_processes(run_t *run, choice_t *choice, uint32_t steps, char what_out[400]) {
    pid_t ids[WRITING] = {0};
    uint32_t begun = 0, living = 0, most = 2 + steps / 12;
    while (begun < most || living) {
        for (uint32_t i = 0; i < WRITING && begun < most; i++) {
            if (ids[i] == 0) {
                if (!start_process(run, i, choice, 12, 80, &ids[i])) {
                    return run_failed(what_out, NULL, MEMDB_NOMEM, "fork");
                }
                begun++;
                living++;
            }
        }
        int result;
        pid_t ended = waitpid(-1, &result, 0);
        for (uint32_t i = 0; i < WRITING; i++) {
            if (ids[i] == ended) {
                ids[i] = 0;
                living--;
            }
        }
        if (ended > 0 && WIFEXITED(result) && WEXITSTATUS(result) != 0) {
            snprintf(what_out, 400, "a process failed");
            return false;
        }
    }
    return true;
}
