// The queue of commits: a list under a mutex, and a futex for each who waits. See commit_queue.h.
//
// Invariants, under db->queue: at most one thread leads; where nobody leads and somebody waits, one
// of them has a deadline (`gatherer`) or has been called to look. All wakes may be spurious: who
// wakes looks.
#include "engine/commit_queue.h"

#include "base/io.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define GATHER_NS 500000 // nobody waits longer for others

enum { WAITS, CALLED, TOLD }; // states of a request

/// Change the state of a request and wake its thread. Once it is told, the thread may go on and the
/// request be gone: then the wake finds nobody, or somebody who looks again.
static void change_state(memdb__request_t *request, uint32_t state) {
    // Release: pairs with the load in wait_for; everything written to the request is seen.
    atomic_store_explicit(&request->state, state, memory_order_release);
    syscall(SYS_futex, &request->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/// Wait until the request is called or told, or until the deadline (0: there is none).
static uint32_t wait_for(memdb__request_t *request, uint64_t deadline_ns) {
    for (;;) {
        // Acquire: pairs with change_state.
        uint32_t state = atomic_load_explicit(&request->state, memory_order_acquire);
        uint64_t now = deadline_ns ? memdb__monotonic_ns() : 0;
        if (state != WAITS || now > deadline_ns) {
            return state;
        }
        struct timespec left = {.tv_nsec = (long)(deadline_ns - now)}; // below a second
        syscall(SYS_futex, &request->state, FUTEX_WAIT_PRIVATE, WAITS, deadline_ns ? &left : NULL,
                NULL, 0);
    }
}

static void append(memdb_t *db, memdb__request_t *request) {
    if (db->last_request) {
        db->last_request->next = request;
    } else {
        db->first_request = request;
    }
    db->last_request = request;
    request->batch = db->next_batch;
    db->queued++;
}

/// Lead the batch that the request waits for, if nobody leads and it is complete, or this one's
/// deadline has passed.
static bool claim(memdb_t *db, const memdb__request_t *request, bool late) {
    if (db->leading || request->batch != db->next_batch ||
        (!late && db->gather_ns && db->queued < db->expected)) {
        return false;
    }
    db->leading = true;
    db->gatherer = NULL;
    return true;
}

bool memdb__queue_enter(memdb_t *db, memdb__request_t *request) {
    bool late = false;
    pthread_mutex_lock(&db->queue);
    append(db, request);
    while (!claim(db, request, late)) {
        uint64_t deadline_ns = 0;
        if (!db->leading && !db->gatherer && request->batch == db->next_batch) {
            db->gatherer = request;
            deadline_ns = memdb__monotonic_ns() + db->gather_ns;
        }
        pthread_mutex_unlock(&db->queue);
        if (wait_for(request, deadline_ns) == TOLD) {
            return false; // somebody led, so the gatherer is another one by now
        }
        pthread_mutex_lock(&db->queue);
        late = db->gatherer == request;
        if (late) {
            db->gatherer = NULL;
        }
        uint32_t called = CALLED; // once: who is told meanwhile stays so
        // Relaxed: no data goes along.
        atomic_compare_exchange_strong_explicit(&request->state, &called, WAITS,
                                                memory_order_relaxed, memory_order_relaxed);
    }
    pthread_mutex_unlock(&db->queue);
    return true;
}

memdb__request_t *memdb__queue_take(memdb_t *db, uint32_t *count_out) {
    pthread_mutex_lock(&db->queue);
    memdb__request_t *first = db->first_request;
    *count_out = db->queued;
    db->first_request = db->last_request = NULL;
    db->queued = 0;
    db->next_batch++;
    pthread_mutex_unlock(&db->queue);
    return first;
}

void memdb__queue_pass_on(memdb_t *db, uint32_t told, uint64_t took_ns) {
    pthread_mutex_lock(&db->queue);
    db->leading = false;
    // Whoever waits now is not among those who are told.
    db->expected = told + db->queued;
    db->gather_ns = took_ns / 2 < GATHER_NS ? took_ns / 2 : GATHER_NS;
    if (db->first_request) {
        change_state(db->first_request, CALLED);
    }
    pthread_mutex_unlock(&db->queue);
}

void memdb__queue_tell(memdb__request_t *first, const memdb__request_t *own) {
    for (memdb__request_t *request = first, *next; request; request = next) {
        next = request->next; // gone once its thread runs
        if (request != own) {
            change_state(request, TOLD);
        }
    }
}
