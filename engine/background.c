// The background thread of a handle: checkpoints when asked, the bounded sync of lesser commits
// (rule 6), and reclaiming.
//
// It sleeps until somebody wakes it; only a due sync gives it a deadline.
#include "engine/engine.h"

#include <errno.h>
#include <time.h>

static struct timespec after_ms(uint32_t ms) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_nsec += (long)ms * 1000000;
    at.tv_sec += at.tv_nsec / 1000000000;
    at.tv_nsec %= 1000000000;
    return at;
}

/// Sync what lesser commits left, at the latest MEMDB__LESSER_SYNC_MS after the first of them.
static void sync_lesser(memdb_t *db) {
    memdb_error_t error = {0};
    // Before the sync: a commit that comes now asks again.
    atomic_store_explicit(
        &db->sync_due, false,
        memory_order_release); // pairs with the exchange in memdb__background_sync
    if (memdb__wal_sync(db->wal, atomic_load_explicit(&db->control->written, memory_order_acquire),
                        &error)) {
        memdb__tell(db, error.status, "sync: %s", error.message);
    }
}

static void run_checkpoint(memdb_t *db) {
    memdb_error_t error = {0};
    if (memdb__log_above_base(db) >= db->options.checkpoint_log_bytes &&
        memdb__checkpoint(db, &error)) {
        memdb__tell(db, error.status, "%s", error.message);
    }
}

static void *background(void *context) {
    memdb_t *db = context;
    struct timespec sync_at = after_ms(MEMDB__LESSER_SYNC_MS);
    pthread_mutex_lock(&db->thread_mutex);
    while (!db->thread_stop) {
        if (db->thread_checkpoint) {
            db->thread_checkpoint = false;
            pthread_mutex_unlock(&db->thread_mutex);
            run_checkpoint(db);
            pthread_mutex_lock(&db->thread_mutex);
            pthread_cond_broadcast(&db->thread_done);
            continue;
        }
        if (!atomic_load_explicit(&db->sync_due, memory_order_acquire)) {
            pthread_cond_wait(&db->thread_wake, &db->thread_mutex);
            sync_at = after_ms(MEMDB__LESSER_SYNC_MS);
            continue;
        }
        if (pthread_cond_timedwait(&db->thread_wake, &db->thread_mutex, &sync_at) == ETIMEDOUT) {
            pthread_mutex_unlock(&db->thread_mutex);
            sync_lesser(db);
            memdb__epoch_collect(&db->epochs, 64);
            pthread_mutex_lock(&db->thread_mutex);
        }
    }
    pthread_mutex_unlock(&db->thread_mutex);
    return NULL;
}

/// See that the thread runs; the caller holds thread_mutex. It is made when it is first needed, so
/// that a short-lived process never pays for it. False: the system refuses a thread.
static bool is_running(memdb_t *db) {
    if (!db->has_thread && !db->thread_stop) {
        int failure = pthread_create(&db->thread, NULL, background, db);
        db->has_thread = failure == 0;
        if (failure) {
            memdb_error_t error = {0};
            memdb__fail_errno(&error, failure, "no background thread");
            memdb__tell(db, error.status, "%s", error.message);
        }
    }
    return db->has_thread;
}

void memdb__background_stop(memdb_t *db) {
    pthread_mutex_lock(&db->thread_mutex);
    bool runs = db->has_thread;
    db->thread_stop = true;
    pthread_cond_signal(&db->thread_wake);
    pthread_mutex_unlock(&db->thread_mutex);
    if (runs) {
        pthread_join(db->thread, NULL);
    }
    if (atomic_load_explicit(&db->sync_due,
                             memory_order_acquire)) { // pairs with the exchange below
        sync_lesser(db);
    }
}

void memdb__background_checkpoint(memdb_t *db) {
    if (db->options.no_background) {
        return;
    }
    pthread_mutex_lock(&db->thread_mutex);
    if (!db->thread_checkpoint && is_running(db)) {
        db->thread_checkpoint = true;
        pthread_cond_signal(&db->thread_wake);
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
    bool runs = is_running(db);
    pthread_cond_signal(&db->thread_wake);
    pthread_mutex_unlock(&db->thread_mutex);
    if (!runs) {
        sync_lesser(db); // nobody else will
    }
}
