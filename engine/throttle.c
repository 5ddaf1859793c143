// Back-pressure: writers start checkpoints, and wait for them, boundedly, at the limits of the log
// above the base and of the delta in memory.
#include "base/io.h"
#include "engine/engine.h"

#include <errno.h>
#include <time.h>

uint64_t memdb__log_above_base(memdb_t *db) {
    uint64_t applied =
        atomic_load_explicit(&db->control->applied, memory_order_relaxed); // a figure
    uint64_t written = atomic_load_explicit(&db->control->written, memory_order_relaxed);
    return written > applied ? written - applied : 0;
}

/// Memory of the delta; the caller holds db->apply. What old snapshots still hold is not in it: no
/// checkpoint gives that back.
static uint64_t sum_delta(memdb_t *db) {
    uint64_t bytes = 0;
    // Relaxed, both: the view only changes under db->apply; the other is a figure.
    memdb__view_t *view = atomic_load_explicit(&db->view, memory_order_relaxed);
    for (size_t i = 0; i < view->run_count; i++) {
        bytes += memdb__run_bytes(view->runs[i]);
    }
    atomic_store_explicit(&db->delta_bytes, bytes, memory_order_relaxed);
    return bytes;
}

/// The same for everybody; while somebody applies frames it is the figure of a moment ago.
static uint64_t recent_delta(memdb_t *db) {
    if (pthread_mutex_trylock(&db->apply) == 0) {
        sum_delta(db);
        pthread_mutex_unlock(&db->apply);
    }
    return atomic_load_explicit(&db->delta_bytes, memory_order_relaxed); // a figure
}

/// Blobs put since the last checkpoint that make one due, however short the log is: the arena's
/// garbage is only looked for there.
#define STORED_DUE_BYTES (UINT64_C(256) << 20)

bool memdb__wants_checkpoint(memdb_t *db) {
    return memdb__log_above_base(db) >= db->options.checkpoint_log_bytes ||
           atomic_load_explicit(&db->stored, memory_order_relaxed) >= STORED_DUE_BYTES || // a hint
           recent_delta(db) >= db->options.delta_limit_bytes / 2;
}

static bool at_limit(memdb_t *db) {
    pthread_mutex_lock(&db->apply);
    uint64_t delta = sum_delta(db);
    pthread_mutex_unlock(&db->apply);
    return memdb__log_above_base(db) >= db->options.log_limit_bytes ||
           delta >= db->options.delta_limit_bytes;
}

/// Wait for checkpoints, until there is room or the deadline has passed.
static void wait_for_room(memdb_t *db) {
    struct timespec deadline = memdb__deadline(db->options.busy_timeout_ms * UINT64_C(1000000));
    int waited = 0;
    uint64_t began = memdb__monotonic_ns();
    pthread_mutex_lock(&db->thread_mutex);
    while (waited != ETIMEDOUT && at_limit(db)) {
        waited = pthread_cond_timedwait(&db->thread_done, &db->thread_mutex, &deadline);
    }
    pthread_mutex_unlock(&db->thread_mutex);
    atomic_fetch_add_explicit(&db->stalls, 1, memory_order_relaxed); // figures only
    atomic_fetch_add_explicit(&db->stalled_us, (memdb__monotonic_ns() - began) / 1000,
                              memory_order_relaxed);
}

memdb_status_t memdb__throttle(memdb_t *db, memdb_error_t *error) {
    if (!memdb__wants_checkpoint(db)) {
        return MEMDB_OK;
    }
    memdb__background_checkpoint(db);
    if (!at_limit(db)) {
        return MEMDB_OK;
    }
    wait_for_room(db);
    if (!at_limit(db)) {
        return MEMDB_OK;
    }
    bool log = memdb__log_above_base(db) >= db->options.log_limit_bytes;
    return memdb__fail(
        error, MEMDB_BUSY,
        "the %s is at its limit of %llu bytes, and no checkpoint made room within %u ms; retry "
        "later",
        log ? "log" : "delta in memory",
        (unsigned long long)(log ? db->options.log_limit_bytes : db->options.delta_limit_bytes),
        db->options.busy_timeout_ms);
}
