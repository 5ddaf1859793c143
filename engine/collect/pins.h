// Pins: which bases the views of this process still read, told to the other processes.
//
// A view names blobs by references that its base, and the log above it, give; they are looked up by
// name when a blob is opened. So an extent that a fold emptied may be unlinked only when no view of
// an older base is left in any process. A handle holds, for each generation of which it has a view,
// a shared lock on one byte of the file `lock`: byte 2^32 + generation. The lock is taken when a
// base is adopted and given back when the last view of it is reclaimed; the kernel gives it back
// for a process that dies. Taking it is not enough: a base that was replaced before the lock was
// there is not adopted (see memdb__adopt_locked).
#ifndef MEMDB_ENGINE_PINS_H
#define MEMDB_ENGINE_PINS_H

#include "base/status.h"

#include <pthread.h>
#include <stddef.h>

typedef struct memdb__pin {
    uint64_t generation, views;
} memdb__pin_t;

typedef struct memdb__pins {
    const int *lock; // the handle's descriptor of `lock`; -1 in a forked child
    pthread_mutex_t mutex;
    memdb__pin_t *pins; // from memdb__allocate
    size_t count, capacity;
} memdb__pins_t;

void memdb__pins_init(memdb__pins_t *pins, const int *lock);
void memdb__pins_deinit(memdb__pins_t *pins);

/// One more view of the base `generation`.
memdb_status_t memdb__pins_add(memdb__pins_t *pins, uint64_t generation, memdb_error_t *error);
/// One view fewer. In a forked child it does nothing: the parent's lock is not the child's.
void memdb__pins_remove(memdb__pins_t *pins, uint64_t generation);
/// A generation at or below `generation` that some view of any process reads, UINT64_MAX: none. It
/// is the oldest as far as this handle is concerned; of others the kernel names one.
memdb_status_t memdb__pins_below(memdb__pins_t *pins, uint64_t generation, uint64_t *pinned_out,
                                 memdb_error_t *error);

#endif
