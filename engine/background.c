// The background threads of a handle. One folds: checkpoints when asked. One merges large tiers,
// which no checkpoint must wait for. One keeps the log: space ahead of its end, and the bounded
// sync of lesser commits (rule 6), which must not wait for a checkpoint to end.
//
// Each is made when it is first needed, so that a short-lived process pays for none, and sleeps
// until somebody wakes it; only a due sync has a deadline. All they share with others is guarded by
// db->thread_mutex.
#include "base/io.h"
#include "engine/engine.h"

#include <errno.h>
#include <time.h>

static struct timespec after_ms(uint32_t ms) {
    return memdb__deadline(ms * UINT64_C(1000000));
}

/// Run a piece of work without the mutex; a failure is told.
static void unlocked(memdb_t *db, const char *what,
                     memdb_status_t (*work)(memdb_t *db, memdb_error_t *error)) {
    memdb_error_t error = {0};
    pthread_mutex_unlock(&db->thread_mutex);
    if (work(db, &error)) {
        memdb__tell(db, error.status, "%s%s", what, error.message);
    }
    pthread_mutex_lock(&db->thread_mutex);
}

// ------------------------------------------------------------------------------ the folding thread

static memdb_status_t run_checkpoint(memdb_t *db, memdb_error_t *error) {
    memdb_status_t status = memdb__wants_checkpoint(db) ? memdb__checkpoint(db, error) : MEMDB_OK;
    if (!status && memdb__merge_is_due(db)) {
        memdb__background_merge(db);
    }
    return status;
}

static void *fold_in_background(void *context) {
    memdb_t *db = context;
    pthread_mutex_lock(&db->thread_mutex);
    while (!db->thread_stop) {
        if (db->thread_checkpoint) {
            db->thread_checkpoint = false;
            unlocked(db, "", run_checkpoint);
            pthread_cond_broadcast(&db->thread_done);
        } else {
            pthread_cond_wait(&db->fold_thread.wake, &db->thread_mutex);
        }
    }
    pthread_mutex_unlock(&db->thread_mutex);
    return NULL;
}

// ------------------------------------------------------------------------------ the merging thread

static memdb_status_t run_merge(memdb_t *db, memdb_error_t *error) {
    return memdb__merge(db, UINT64_MAX, error);
}

static void *merge_in_background(void *context) {
    memdb_t *db = context;
    pthread_mutex_lock(&db->thread_mutex);
    while (!db->thread_stop) {
        if (db->thread_merge) {
            db->thread_merge = false;
            unlocked(db, "", run_merge);
        } else {
            pthread_cond_wait(&db->merge_thread.wake, &db->thread_mutex);
        }
    }
    pthread_mutex_unlock(&db->thread_mutex);
    return NULL;
}

// ------------------------------------------------------------------------------ the log's thread

static memdb_status_t prepare_space(memdb_t *db, memdb_error_t *error) {
    return memdb__wal_prepare_space(db->wal, error);
}

/// Sync what lesser commits left: in a `full` database at the latest MEMDB__LESSER_SYNC_MS after
/// the first of them.
static memdb_status_t sync_lesser(memdb_t *db, memdb_error_t *error) {
    // Before the sync: a commit that comes now asks again. Release: pairs with the exchange in
    // memdb__background_sync.
    atomic_store_explicit(&db->sync_due, false, memory_order_release);
    memdb_status_t status = memdb__wal_sync(
        db->wal, atomic_load_explicit(&db->control->written, memory_order_acquire), error);
    memdb__epoch_collect(&db->epochs, 64);
    return status;
}

static void *keep_log(void *context) {
    memdb_t *db = context;
    struct timespec sync_at = after_ms(MEMDB__LESSER_SYNC_MS);
    bool due = false;
    pthread_mutex_lock(&db->thread_mutex);
    while (!db->thread_stop) {
        if (db->thread_space) {
            db->thread_space = false;
            unlocked(db, "log: ", prepare_space);
        }
        if (atomic_load_explicit(&db->sync_much, memory_order_relaxed)) { // set under the mutex
            unlocked(db, "sync: ", sync_lesser);
            // After the sync: until then nobody need ask again. Relaxed: a hint.
            atomic_store_explicit(&db->sync_much, false, memory_order_relaxed);
        }
        // Acquire: pairs with the exchange in memdb__background_sync.
        bool was_due = due;
        due = atomic_load_explicit(&db->sync_due, memory_order_acquire);
        if (due && !was_due) {
            sync_at = after_ms(MEMDB__LESSER_SYNC_MS);
        }
        if (db->thread_stop || db->thread_space) {
            continue;
        }
        if (!due) {
            pthread_cond_wait(&db->log_thread.wake, &db->thread_mutex);
        } else if (pthread_cond_timedwait(&db->log_thread.wake, &db->thread_mutex, &sync_at) ==
                   ETIMEDOUT) {
            unlocked(db, "sync: ", sync_lesser);
            due = false;
        }
    }
    pthread_mutex_unlock(&db->thread_mutex);
    return NULL;
}

// ------------------------------------------------------------------------------ for the others

/// See that a thread runs; the caller holds thread_mutex. False: the system refuses a thread.
static bool is_running(memdb_t *db, memdb__thread_t *thread, void *(*run)(void *context)) {
    if (!thread->runs && !db->thread_stop) {
        int failure = pthread_create(&thread->id, NULL, run, db);
        thread->runs = failure == 0;
        if (failure) {
            memdb_error_t error = {0};
            memdb__fail_errno(&error, failure, "no background thread");
            memdb__tell(db, error.status, "%s", error.message);
        }
    }
    return thread->runs;
}

void memdb__background_stop(memdb_t *db) {
    memdb__thread_t *threads[] = {&db->fold_thread, &db->merge_thread, &db->log_thread};
    size_t count = sizeof threads / sizeof *threads;
    pthread_mutex_lock(&db->thread_mutex);
    db->thread_stop = true;
    // Relaxed, both: see memdb__fold_is_cancelled.
    atomic_store_explicit(&db->closing, true, memory_order_relaxed);
    for (size_t i = 0; i < count; i++) {
        pthread_cond_signal(&threads[i]->wake);
    }
    pthread_mutex_unlock(&db->thread_mutex);
    for (size_t i = 0; i < count; i++) {
        if (threads[i]->runs) { // set before thread_stop, or never
            pthread_join(threads[i]->id, NULL);
        }
    }
    atomic_store_explicit(&db->closing, false, memory_order_relaxed); // the caller may merge
    // Acquire: pairs with the exchange below.
    if (atomic_load_explicit(&db->sync_due, memory_order_acquire)) {
        pthread_mutex_lock(&db->thread_mutex);
        unlocked(db, "sync: ", sync_lesser);
        pthread_mutex_unlock(&db->thread_mutex);
    }
}

/// Set a flag that a thread looks for, and wake it.
static void ask(memdb_t *db, bool *flag, memdb__thread_t *thread, void *(*run)(void *context)) {
    pthread_mutex_lock(&db->thread_mutex);
    if (!*flag && is_running(db, thread, run)) {
        *flag = true;
        pthread_cond_signal(&thread->wake);
    }
    pthread_mutex_unlock(&db->thread_mutex);
}

void memdb__background_checkpoint(memdb_t *db) {
    if (!db->options.no_background) {
        ask(db, &db->thread_checkpoint, &db->fold_thread, fold_in_background);
    }
}

void memdb__background_merge(memdb_t *db) {
    if (!db->options.no_background) {
        ask(db, &db->thread_merge, &db->merge_thread, merge_in_background);
    }
}

void memdb__background_space(memdb_t *db) {
    if (!db->options.no_background && memdb__wal_wants_space(db->wal)) {
        ask(db, &db->thread_space, &db->log_thread, keep_log);
    }
}

void memdb__background_sync_much(memdb_t *db) {
    // Relaxed, here and below: a hint; the mutex orders what must be.
    if (db->options.no_background || !memdb__wal_wants_sync(db->wal) ||
        atomic_load_explicit(&db->sync_much, memory_order_relaxed)) {
        return;
    }
    pthread_mutex_lock(&db->thread_mutex);
    if (is_running(db, &db->log_thread, keep_log)) {
        atomic_store_explicit(&db->sync_much, true, memory_order_relaxed);
        pthread_cond_signal(&db->log_thread.wake);
    }
    pthread_mutex_unlock(&db->thread_mutex);
}

void memdb__background_sync(memdb_t *db) {
    // Acquire-release: pairs with the store in sync_lesser; only the first of a round wakes the
    // thread.
    if (atomic_exchange_explicit(&db->sync_due, true, memory_order_acq_rel)) {
        return;
    }
    pthread_mutex_lock(&db->thread_mutex);
    if (is_running(db, &db->log_thread, keep_log)) {
        pthread_cond_signal(&db->log_thread.wake);
    } else {
        unlocked(db, "sync: ", sync_lesser); // nobody else will
    }
    pthread_mutex_unlock(&db->thread_mutex);
}
