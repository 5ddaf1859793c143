// Epoch-based reclamation. See epoch.h for the idea and its order of steps.
#include "engine/epoch.h"

#include "base/io.h"
#include "base/memory.h"

memdb_status_t memdb__epochs_init(memdb__epochs_t *epochs, memdb_error_t *error) {
    epochs->slots = memdb__allocate_aligned(MEMDB__EPOCH_SLOTS * sizeof *epochs->slots);
    if (!epochs->slots) {
        return memdb__fail(error, MEMDB_NOMEM, "epochs: out of memory");
    }
    for (size_t i = 0; i < MEMDB__EPOCH_SLOTS; i++) {
        atomic_init(&epochs->slots[i].epoch, 0);
        atomic_init(&epochs->slots[i].since, 0);
        atomic_init(&epochs->slots[i].began, 0);
        atomic_init(&epochs->slots[i].lsn, 0);
        epochs->slots[i].kept = NULL;
    }
    atomic_init(&epochs->global, 2);
    atomic_init(&epochs->used, 0);
    atomic_init(&epochs->retired_count, 0);
    atomic_init(&epochs->freed_count, 0);
    epochs->retired = NULL;
    pthread_mutex_init(&epochs->mutex, NULL);
    return MEMDB_OK;
}

void memdb__epochs_deinit(memdb__epochs_t *epochs) {
    if (!epochs->slots) {
        return;
    }
    memdb__epoch_collect(epochs, SIZE_MAX);
    pthread_mutex_destroy(&epochs->mutex);
    for (size_t i = 0; i < MEMDB__EPOCH_SLOTS; i++) {
        memdb__free(epochs->slots[i].kept);
    }
    memdb__free_aligned(epochs->slots);
    epochs->slots = NULL;
}

uint32_t memdb__epoch_pin(memdb__epochs_t *epochs) {
    static _Thread_local uint32_t
        hint; // the slot that this thread had last: no other thread writes its line
    for (uint32_t i = 0; i < MEMDB__EPOCH_SLOTS; i++) {
        uint32_t number = (hint + i) % MEMDB__EPOCH_SLOTS;
        memdb__epoch_slot_t *slot = &epochs->slots[number];
        uint64_t free = 0;
        if (atomic_load_explicit(&slot->epoch, memory_order_relaxed) != 0 ||
            !atomic_compare_exchange_strong_explicit(&slot->epoch, &free, 1, memory_order_acquire,
                                                     memory_order_relaxed)) {
            continue; // acquire: what the slot's last owner did is over
        }
        hint = number;
        uint32_t used = atomic_load_explicit(&epochs->used, memory_order_relaxed);
        while (used <= number &&
               !atomic_compare_exchange_weak_explicit(&epochs->used, &used, number + 1,
                                                      memory_order_seq_cst, memory_order_relaxed)) {
        }
        memdb__epoch_describe(epochs, number, 0, 0, 0); // not the last owner's
        // seq_cst, with the exchange of the pointer and the scan in `oldest_pinned`: either the
        // scan sees this slot, or this reader, which loads the pointer next, sees the new one.
        atomic_store_explicit(&slot->epoch,
                              atomic_load_explicit(&epochs->global, memory_order_seq_cst),
                              memory_order_seq_cst);
        return number;
    }
    return MEMDB__EPOCH_NONE;
}

void memdb__epoch_describe(memdb__epochs_t *epochs, uint32_t slot, int64_t since, int64_t began,
                           uint64_t lsn) {
    memdb__epoch_slot_t *at = &epochs->slots[slot];
    // Relaxed: figures, each good alone. The zeros come before the epoch's store in
    // memdb__epoch_pin, so whoever sees the slot pinned sees them, or what is newer.
    atomic_store_explicit(&at->since, since, memory_order_relaxed);
    atomic_store_explicit(&at->began, began, memory_order_relaxed);
    atomic_store_explicit(&at->lsn, lsn, memory_order_relaxed);
}

void memdb__epoch_unpin(memdb__epochs_t *epochs, uint32_t slot) {
    // Release: all reads of the section come before an object is freed (pairs with the scan's
    // load).
    atomic_store_explicit(&epochs->slots[slot].epoch, 0, memory_order_release);
}

void *memdb__epoch_memory(memdb__epochs_t *epochs, uint32_t slot, size_t size) {
    // Plain: the slot is handed over by the release in memdb__epoch_unpin and the acquire in
    // memdb__epoch_pin.
    memdb__epoch_slot_t *at = &epochs->slots[slot];
    if (!at->kept) {
        at->kept = memdb__allocate_zeroed(1, size);
    }
    return at->kept;
}

/// The oldest pinned epoch; a slot that is claimed but has no epoch yet counts as the oldest of
/// all.
static uint64_t oldest_pinned(memdb__epochs_t *epochs) {
    uint64_t oldest = UINT64_MAX;
    uint32_t used = atomic_load_explicit(
        &epochs->used, memory_order_seq_cst); // seq_cst: pairs with memdb__epoch_pin
    for (uint32_t i = 0; i < used; i++) {
        uint64_t epoch = atomic_load_explicit(
            &epochs->slots[i].epoch, memory_order_seq_cst); // seq_cst: pairs with memdb__epoch_pin
        if (epoch != 0 && epoch < oldest) {
            oldest = epoch;
        }
    }
    return oldest;
}

void memdb__epoch_retire(memdb__epochs_t *epochs, memdb__retired_t *node, void *object,
                         void (*destroy)(void *object)) {
    node->object = object;
    node->destroy = destroy;
    pthread_mutex_lock(&epochs->mutex);
    node->epoch = atomic_fetch_add_explicit(
        &epochs->global, 1,
        memory_order_seq_cst); // readers that pin from now on cannot have the object
    node->next = epochs->retired;
    epochs->retired = node;
    atomic_fetch_add_explicit(&epochs->retired_count, 1, memory_order_relaxed); // a figure only
    pthread_mutex_unlock(&epochs->mutex);
}

size_t memdb__epoch_collect(memdb__epochs_t *epochs, size_t limit) {
    memdb__retired_t *dead = NULL;
    size_t count = 0;
    pthread_mutex_lock(&epochs->mutex);
    // Under the mutex, so after everything in the list was unlinked: a reader that pins behind the
    // scan cannot have it. A scan made before would not know the readers of what was retired since.
    uint64_t oldest = oldest_pinned(epochs);
    for (memdb__retired_t **at = &epochs->retired; *at && count < limit;) {
        memdb__retired_t *node = *at;
        if (node->epoch < oldest) {
            *at = node->next;
            node->next = dead;
            dead = node;
            count++;
        } else {
            at = &node->next;
        }
    }
    pthread_mutex_unlock(&epochs->mutex);
    while (dead) {
        memdb__retired_t *next = dead->next;
        dead->destroy(dead->object); // frees the node too
        dead = next;
    }
    atomic_fetch_add_explicit(&epochs->freed_count, count, memory_order_relaxed); // a figure only
    return count;
}

bool memdb__epoch_pending(memdb__epochs_t *epochs) {
    return atomic_load_explicit(&epochs->retired_count, memory_order_relaxed) !=
           atomic_load_explicit(&epochs->freed_count, memory_order_relaxed); // a hint only
}

typedef struct summary {
    uint32_t readers;
    int64_t oldest;
} summary_t;

static void sum_up(void *context, int64_t since, int64_t began, uint64_t lsn) {
    (void)began;
    (void)lsn;
    summary_t *summary = context;
    summary->readers++;
    if (since && (summary->oldest == MEMDB_TIME_NONE || since < summary->oldest)) {
        summary->oldest = since;
    }
}

uint32_t memdb__epoch_readers(memdb__epochs_t *epochs, int64_t *oldest_out) {
    summary_t summary = {.oldest = MEMDB_TIME_NONE};
    memdb__epoch_each(epochs, sum_up, &summary);
    *oldest_out = summary.oldest;
    return summary.readers;
}

void memdb__epoch_each(memdb__epochs_t *epochs,
                       void (*visit)(void *context, int64_t since, int64_t began, uint64_t lsn),
                       void *context) {
    // seq_cst, both: pair with memdb__epoch_pin. Whoever is not seen here pins later, and finds
    // what was published before.
    uint32_t used = atomic_load_explicit(&epochs->used, memory_order_seq_cst);
    for (uint32_t i = 0; i < used; i++) {
        memdb__epoch_slot_t *slot = &epochs->slots[i];
        uint64_t epoch = atomic_load_explicit(&slot->epoch, memory_order_seq_cst);
        if (epoch == 1) {
            visit(context, 0, 0, 0); // claimed: what is there is the last owner's
        } else if (epoch) {
            visit(context, atomic_load_explicit(&slot->since, memory_order_relaxed),
                  atomic_load_explicit(&slot->began, memory_order_relaxed),
                  atomic_load_explicit(&slot->lsn, memory_order_relaxed)); // see describe
        }
    }
}
