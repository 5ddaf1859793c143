// The order of keys in a run, made when somebody asks for it.
//
// A memory's key is read by name far more often than keys are listed, and its place among the
// others is anywhere: finding it costs a dozen cache misses, as much as all else that a put does to
// a run. So the node of a key is only put into the hash, and hung to a stack of loose nodes. Who
// walks over keys, or needs an older version of one, links them first: a prefix listing, a fold.
// They are sorted before: each then comes right behind the one before, as far as the list has none
// in between, and no place is searched for.
//
// The thread that applies frames pushes; one thread at a time takes the whole stack and links it,
// a few nodes at a time, so that applying goes on. `loose_count` falls after a node is linked, so
// whoever reads 0 finds in the list all that was loose before.
#include "engine/run/run_internal.h"

#include <stdlib.h>

#define LINKED_AT_ONCE 64 // nodes linked under one hold of the list's mutex
#define FETCHED_AHEAD 8   // nodes whose lines are asked for before they are linked

/// A node and the bytes behind the first of its key, as numbers that order like them. A key that
/// ends before has zeros; the whole key decides then.
typedef struct item {
    uint64_t first, second;
    memdb__node_t *node;
} item_t;

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

static item_t item_of(memdb__node_t *node) {
    uint8_t bytes[16] = {0};
    size_t size = node->key_size - 1u < sizeof bytes ? node->key_size - 1u : sizeof bytes;
    memcpy(bytes, memdb__node_key(node) + 1, size);
    return (item_t){memdb__get_be64(bytes), memdb__get_be64(bytes + 8), node};
}

/// The order of the list: keys rising, versions of one key falling.
static int compare_items(const void *a, const void *b) {
    const item_t *x = a, *y = b;
    if (x->first != y->first) {
        return x->first < y->first ? -1 : 1;
    }
    if (x->second != y->second) {
        return x->second < y->second ? -1 : 1;
    }
    int order = memdb__compare(memdb__node_key(x->node), x->node->key_size,
                               memdb__node_key(y->node), y->node->key_size);
    return order ? order
                 : (x->node->version < y->node->version) - (x->node->version > y->node->version);
}

/// Sort a stack of at most `most` nodes; without memory for it, it stays as it is.
static memdb__node_t *sort(memdb__node_t *top, size_t most) {
    item_t *items = top ? memdb__allocate(most * sizeof *items) : NULL;
    if (!items) {
        return top;
    }
    size_t count = 0;
    for (; top; count++) {
        items[count] = item_of(top);
        // Relaxed, here and below: nobody else has these nodes.
        top = atomic_load_explicit(&top->next[0], memory_order_relaxed);
    }
    qsort(items, count, sizeof *items, compare_items);
    for (size_t i = 0; i < count; i++) {
        __builtin_prefetch(items[i + FETCHED_AHEAD < count ? i + FETCHED_AHEAD : i].node, 1);
        memdb__node_t *next = i + 1 < count ? items[i + 1].node : NULL;
        atomic_store_explicit(&items[i].node->next[0], next, memory_order_relaxed);
    }
    top = items[0].node;
    memdb__free(items);
    return top;
}

/// Link everything that is loose; the caller holds `ordering`.
static void link_all(memdb__run_t *run) {
    // Acquire: pairs with the push.
    memdb__node_t *node = atomic_exchange_explicit(&run->loose, NULL, memory_order_acquire);
    // Relaxed: after the exchange, so each node that was taken is counted.
    node = sort(node, atomic_load_explicit(&run->loose_count, memory_order_relaxed));
    while (node) {
        uint64_t linked = 0;
        pthread_mutex_lock(&run->linking);
        for (; node && linked < LINKED_AT_ONCE; linked++) {
            memdb__node_t *next = atomic_load_explicit(&node->next[0], memory_order_relaxed);
            if (next) {
                __builtin_prefetch(next, 1);
            }
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
