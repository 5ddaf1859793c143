// Epoch-based reclamation (Fraser 2004): readers of one process pin an epoch instead of taking a
// lock.
//
// A reader claims a slot (a cache line of its own), stores the global epoch in it, and only then
// loads the pointer that it reads. A writer swaps the pointer, retires the old object under the
// current epoch, and raises the epoch. An object is freed when no slot holds its epoch or an older
// one: such readers began before the swap and may still look at it. Retiring never waits; freeing
// is done by whoever calls memdb__epoch_collect, a bounded number at a time.
#ifndef MEMDB_ENGINE_EPOCH_H
#define MEMDB_ENGINE_EPOCH_H

#include "base/status.h"

#include <pthread.h>
#include <stdatomic.h>

/// Readers at once; more are refused with MEMDB_BUSY.
#define MEMDB__EPOCH_SLOTS 1024
#define MEMDB__EPOCH_NONE UINT32_MAX

typedef struct memdb__epoch_slot {
    _Alignas(64) _Atomic uint64_t epoch; // 0: free; 1: claimed; else the pinned epoch
    // What the reader tells of itself: memdb__epoch_describe. 0 before that.
    _Atomic int64_t since; // real time, microseconds
    _Atomic int64_t began; // monotonic time, microseconds
    _Atomic uint64_t lsn;  // what it reads at
    void *kept;            // the owner's: from memdb__allocate, left to the slot's next owner
} memdb__epoch_slot_t;

typedef struct memdb__retired {
    struct memdb__retired *next;
    uint64_t epoch;
    void (*destroy)(void *object);
    void *object;
} memdb__retired_t;

typedef struct memdb__epochs {
    memdb__epoch_slot_t *slots;
    _Alignas(64) _Atomic uint64_t global; // begins at 2
    _Atomic uint32_t used;                // slots that were ever claimed: collect looks no further
    pthread_mutex_t mutex;                // guards the list of the retired
    memdb__retired_t *retired;
    _Atomic uint64_t retired_count, freed_count;
} memdb__epochs_t;

memdb_status_t memdb__epochs_init(memdb__epochs_t *epochs, memdb_error_t *error);
/// Frees everything retired and the slots' memory. No reader may be pinned.
void memdb__epochs_deinit(memdb__epochs_t *epochs);

/// Pin; returns the slot, or MEMDB__EPOCH_NONE when all are taken. Unpin from any thread.
uint32_t memdb__epoch_pin(memdb__epochs_t *epochs);
/// Tell what the pinned reader is: when it began, and the LSN that it reads at.
void memdb__epoch_describe(memdb__epochs_t *epochs, uint32_t slot, int64_t since, int64_t began,
                           uint64_t lsn);
void memdb__epoch_unpin(memdb__epochs_t *epochs, uint32_t slot);
/// Memory of `size` bytes that belongs to whoever has the slot pinned; it holds what the last owner
/// left, at first zeros. Each caller asks for the same size. NULL: out of memory.
void *memdb__epoch_memory(memdb__epochs_t *epochs, uint32_t slot, size_t size);

/// Hand over an object that no new reader can reach. `node` is the object's own storage for the
/// list. Never waits for readers.
void memdb__epoch_retire(memdb__epochs_t *epochs, memdb__retired_t *node, void *object,
                         void (*destroy)(void *object));
/// Free at most `limit` retired objects that no reader can see any more; returns how many.
size_t memdb__epoch_collect(memdb__epochs_t *epochs, size_t limit);
/// Whether anything retired is not freed yet: two loads.
bool memdb__epoch_pending(memdb__epochs_t *epochs);
/// Readers pinned now, and since when the oldest is (MEMDB_TIME_NONE: none).
uint32_t memdb__epoch_readers(memdb__epochs_t *epochs, int64_t *oldest_out);
/// Call `visit` for each reader that is pinned; one that has not described itself yet has zeros.
void memdb__epoch_each(memdb__epochs_t *epochs,
                       void (*visit)(void *context, int64_t since, int64_t began, uint64_t lsn),
                       void *context);

#endif
