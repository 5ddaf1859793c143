// The words and vectors of a run: built from what waits, when the first query needs them (rule 13).
//
// Invariants: waiting documents are in order of version; `built` versions only rise.
#include "engine/run/run_internal.h"

// ------------------------------------------------------------------------------ words and vectors

static memdb_status_t build_one(memdb__run_t *run, bool words, const memdb__waiting_t *waiting,
                                memdb_error_t *error) {
    if (words && waiting->kind == WAITING_DOCUMENT) {
        return memdb__words_list_add(atomic_load_explicit(&run->words, memory_order_relaxed),
                                     waiting->space, waiting->id, waiting->version, waiting->data,
                                     waiting->size, error);
    }
    if (words && waiting->kind == WAITING_REMOVAL) {
        return memdb__words_list_remove(atomic_load_explicit(&run->words, memory_order_relaxed),
                                        waiting->space, waiting->version, waiting->data,
                                        waiting->size, error);
    }
    if (!words && waiting->kind == WAITING_ROW) {
        return memdb__vector_list_add(atomic_load_explicit(&run->vectors, memory_order_relaxed),
                                      waiting->space, (uint32_t)(waiting->size - 4), waiting->id,
                                      waiting->version, waiting->data, error);
    }
    return MEMDB_OK;
}

/// Feed what waits into the list; the caller holds `build`.
static memdb_status_t build_lists(memdb__run_t *run, bool words, memdb_error_t *error) {
    uint64_t reach = atomic_load_explicit(&run->applied_version,
                                          memory_order_acquire); // pairs with memdb__run_apply
    memdb__waiting_t **at = words ? &run->words_at : &run->vectors_at;
    memdb__waiting_t *next;
    while ((next = atomic_load_explicit(&(*at)->next, memory_order_acquire)) &&
           next->version <= reach) { // pairs with add_waiting
        memdb_status_t status = build_one(run, words, next, error);
        if (status) {
            return status;
        }
        *at = next;
    }
    // Release: who reads `built` without the mutex finds the list's content.
    atomic_store_explicit(words ? &run->words_built : &run->vectors_built, reach,
                          memory_order_release);
    return MEMDB_OK;
}

/// The version up to which a list must be built for a query at `visible`.
static uint64_t needed(memdb__run_t *run, uint64_t visible) {
    uint64_t applied = atomic_load_explicit(&run->applied_version,
                                            memory_order_acquire); // pairs with memdb__run_apply
    return applied < visible ? applied : visible;
}

memdb_status_t memdb__run_words(memdb__run_t *run, uint64_t visible, memdb__words_list_t **list_out,
                                memdb_error_t *error) {
    memdb_status_t status = MEMDB_OK;
    if (!atomic_load_explicit(&run->words, memory_order_acquire) ||
        atomic_load_explicit(&run->words_built, memory_order_acquire) < needed(run, visible)) {
        pthread_mutex_lock(&run->build);
        if (!atomic_load_explicit(&run->words,
                                  memory_order_relaxed)) { // only changed under the mutex
            memdb__words_list_t *list = memdb__words_list_create();
            status = list ? MEMDB_OK : memdb__fail(error, MEMDB_NOMEM, "run: out of memory");
            atomic_store_explicit(&run->words, list,
                                  memory_order_release); // pairs with the load above
        }
        if (!status) {
            status = build_lists(run, true, error);
        }
        pthread_mutex_unlock(&run->build);
    }
    *list_out = atomic_load_explicit(&run->words, memory_order_acquire);
    return status;
}

memdb_status_t memdb__run_vectors(memdb__run_t *run, uint64_t visible,
                                  memdb__vector_list_t **list_out, memdb_error_t *error) {
    memdb_status_t status = MEMDB_OK;
    if (!atomic_load_explicit(&run->vectors, memory_order_acquire) ||
        atomic_load_explicit(&run->vectors_built, memory_order_acquire) < needed(run, visible)) {
        pthread_mutex_lock(&run->build);
        if (!atomic_load_explicit(&run->vectors,
                                  memory_order_relaxed)) { // only changed under the mutex
            memdb__vector_list_t *list = memdb__vector_list_create();
            status = list ? MEMDB_OK : memdb__fail(error, MEMDB_NOMEM, "run: out of memory");
            atomic_store_explicit(&run->vectors, list,
                                  memory_order_release); // pairs with the load above
        }
        if (!status) {
            status = build_lists(run, false, error);
        }
        pthread_mutex_unlock(&run->build);
    }
    *list_out = atomic_load_explicit(&run->vectors, memory_order_acquire);
    return status;
}
