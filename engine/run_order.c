// The order of keys in a run, made when somebody asks for it.
//
// A memory's key is read by name far more often than keys are listed, and its place among the
// others is anywhere: finding it costs a dozen cache misses, as much as all else that a put does to
// a run. So the node of a key is only put into the hash, and hung to a stack of loose nodes. Who
// walks over keys, or needs an older version of one, links them first: a prefix listing, a fold.
//
// The thread that applies frames pushes; one thread at a time takes the whole stack and links it,
// a few nodes at a time, so that applying goes on. `loose_count` falls after a node is linked, so
// whoever reads 0 finds in the list all that was loose before.
#include "engine/run_internal.h"

#define LINKED_AT_ONCE 64 // nodes linked under one hold of the list's mutex

void memdb__run_loosen(memdb__run_t *run, memdb__node_t *node) {
    // Relaxed: the push below publishes it, and the position of the delta all that came before.
    atomic_fetch_add_explicit(&run->loose_count, 1, memory_order_relaxed);
    memdb__node_t *top = atomic_load_explicit(&run->loose, memory_order_relaxed);
    do {
        atomic_store_explicit(&node->next[0], top, memory_order_relaxed);
        // Release: pairs with the exchange in link_all; the node's content is there.
    } while (!atomic_compare_exchange_weak_explicit(&run->loose, &top, node, memory_order_release,
                                                    memory_order_relaxed));
}

/// Link everything that is loose; the caller holds `ordering`.
static void link_all(memdb__run_t *run) {
    // Acquire: pairs with the push.
    memdb__node_t *node = atomic_exchange_explicit(&run->loose, NULL, memory_order_acquire);
    while (node) {
        uint64_t linked = 0;
        pthread_mutex_lock(&run->linking);
        for (; node && linked < LINKED_AT_ONCE; linked++) {
            memdb__node_t *next = atomic_load_explicit(&node->next[0], memory_order_relaxed);
            memdb__run_link(run, node);
            node = next;
        }
        pthread_mutex_unlock(&run->linking);
        // Release: pairs with the load in memdb__run_order; the nodes are linked.
        atomic_fetch_sub_explicit(&run->loose_count, linked, memory_order_release);
    }
}

void memdb__run_order(const memdb__run_t *shared, const void *key, size_t size) {
    // Only keys of memories are ever loose. A walk that begins behind them meets none; nor does one
    // over the links into a memory, which ends with them.
    uint8_t kind = size ? *(const uint8_t *)key : 0;
    memdb__run_t *run = (memdb__run_t *)shared;
    if (kind > MEMDB__KEY_KEY || kind == MEMDB__KEY_LINK_IN ||
        // Acquire: pairs with link_all.
        atomic_load_explicit(&run->loose_count, memory_order_acquire) == 0) {
        return;
    }
    pthread_mutex_lock(&run->ordering);
    link_all(run);
    pthread_mutex_unlock(&run->ordering);
}
