// Ending long work early: a counter that rises when somebody wants it, and what it was when the
// work began.
#ifndef MEMDB_BASE_STOP_H
#define MEMDB_BASE_STOP_H

#include "base/status.h"

#include <stdatomic.h>

typedef struct memdb__stop {
    const _Atomic uint32_t *calls; // NULL: nobody can end it
    uint32_t before;
} memdb__stop_t;

static inline memdb__stop_t memdb__stop_from(const _Atomic uint32_t *calls) {
    // Relaxed: the number alone counts, here and below; nothing is handed over with it.
    return (memdb__stop_t){calls, atomic_load_explicit(calls, memory_order_relaxed)};
}

/// MEMDB_OK, or MEMDB_INTERRUPTED. Cheap enough to be asked for each record.
static inline memdb_status_t memdb__stop_check(const memdb__stop_t *stop, memdb_error_t *error) {
    return stop->calls && atomic_load_explicit(stop->calls, memory_order_relaxed) != stop->before
               ? memdb__fail(error, MEMDB_INTERRUPTED, "it was interrupted")
               : MEMDB_OK;
}

#endif
