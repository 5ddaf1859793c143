// The nodes that a walk has met: a table from ids to what the walk knows of each.
//
// Tables are kept for the next walk. Each slot carries the epoch (the number of the walk) that
// filled it, so that beginning anew costs nothing: slots of older epochs are free.
#ifndef MEMDB_INDEX_GRAPH_VISITED_H
#define MEMDB_INDEX_GRAPH_VISITED_H

#include "base/memory.h"

#include <pthread.h>

typedef struct memdb__visit {
    uint64_t id;
    uint32_t via;  // number of the node that led here; its own for a start
    uint32_t hops; // from the nearest start
} memdb__visit_t;

typedef struct memdb__visited_slot {
    uint64_t id;
    uint32_t epoch, number;
} memdb__visited_slot_t;

typedef struct memdb__visited {
    struct memdb__visited *next; // in the pool
    memdb__visited_slot_t *slots;
    size_t mask;
    uint32_t epoch;
    memdb__visit_t *nodes; // numbered in the order in which they were met
    size_t count, capacity;
} memdb__visited_t;

/// Up to this many tables wait for the next walk, none of more nodes than the second figure.
#define MEMDB__VISITED_KEPT 8u
#define MEMDB__VISITED_KEPT_NODES ((size_t)1 << 20)

typedef struct memdb__visited_pool {
    pthread_mutex_t mutex;
    memdb__visited_t *first;
    size_t count;
} memdb__visited_pool_t;

void memdb__visited_pool_init(memdb__visited_pool_t *pool);
void memdb__visited_pool_deinit(memdb__visited_pool_t *pool);
size_t memdb__visited_pool_bytes(memdb__visited_pool_t *pool);

/// An empty table. NULL: out of memory.
memdb__visited_t *memdb__visited_take(memdb__visited_pool_t *pool);
void memdb__visited_give(memdb__visited_pool_t *pool, memdb__visited_t *visited);

/// Room for one more node. False: out of memory, or 2^31 nodes.
bool memdb__visited_grow(memdb__visited_t *visited);

/// Neighbouring ids stay neighbours, so that a walk over memories that were put one after another
/// touches few cache lines; blocks of 4,096 are scattered, so that strides do not pile up.
static inline size_t memdb__visited_place(uint64_t id) {
    return (size_t)(id + (id >> 12) * UINT64_C(0x9E3779B97F4A7C15));
}

/// The number of a node, met now if it was not before; SIZE_MAX: out of memory.
static inline size_t memdb__visited_meet(memdb__visited_t *visited, uint64_t id, bool *new_out) {
    if (visited->count == visited->capacity && !memdb__visited_grow(visited)) {
        return SIZE_MAX;
    }
    size_t place = memdb__visited_place(id) & visited->mask;
    memdb__visited_slot_t *slot = &visited->slots[place];
    while (slot->epoch == visited->epoch && slot->id != id) {
        place = (place + 1) & visited->mask;
        slot = &visited->slots[place];
    }
    *new_out = slot->epoch != visited->epoch;
    if (*new_out) {
        *slot = (memdb__visited_slot_t){id, visited->epoch, (uint32_t)visited->count};
        visited->nodes[visited->count++] = (memdb__visit_t){.id = id};
    }
    return slot->number;
}

/// The number of a node; SIZE_MAX: it was not met.
static inline size_t memdb__visited_find(const memdb__visited_t *visited, uint64_t id) {
    size_t place = memdb__visited_place(id) & visited->mask;
    while (visited->slots[place].epoch == visited->epoch) {
        if (visited->slots[place].id == id) {
            return visited->slots[place].number;
        }
        place = (place + 1) & visited->mask;
    }
    return SIZE_MAX;
}

#endif
