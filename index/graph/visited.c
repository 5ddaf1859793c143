// The nodes that a walk has met. See visited.h.
//
// Invariant: at most half of the slots are of the current epoch, so a search ends at a free one.
#include "index/graph/visited.h"

#include <string.h>

#define AT_FIRST 512 // nodes

static void destroy(memdb__visited_t *visited) {
    if (visited) {
        memdb__free(visited->slots);
        memdb__free(visited->nodes);
        memdb__free(visited);
    }
}

void memdb__visited_pool_init(memdb__visited_pool_t *pool) {
    *pool = (memdb__visited_pool_t){0};
    pthread_mutex_init(&pool->mutex, NULL);
}

void memdb__visited_pool_deinit(memdb__visited_pool_t *pool) {
    while (pool->first) {
        memdb__visited_t *next = pool->first->next;
        destroy(pool->first);
        pool->first = next;
    }
    pthread_mutex_destroy(&pool->mutex);
}

static size_t bytes_of(const memdb__visited_t *visited) {
    return visited->capacity * (sizeof *visited->nodes + 2 * sizeof *visited->slots);
}

size_t memdb__visited_pool_bytes(memdb__visited_pool_t *pool) {
    size_t bytes = 0;
    pthread_mutex_lock(&pool->mutex);
    for (const memdb__visited_t *at = pool->first; at; at = at->next) {
        bytes += bytes_of(at);
    }
    pthread_mutex_unlock(&pool->mutex);
    return bytes;
}

/// Give every node of the walk a slot in a larger table.
static bool resize(memdb__visited_t *visited, size_t capacity) {
    memdb__visit_t *nodes = memdb__reallocate(visited->nodes, capacity * sizeof *nodes);
    if (!nodes) {
        return false;
    }
    visited->nodes = nodes;
    memdb__visited_slot_t *slots = memdb__allocate_zeroed(2 * capacity, sizeof *slots);
    if (!slots) {
        return false;
    }
    memdb__free(visited->slots);
    visited->slots = slots;
    visited->mask = 2 * capacity - 1;
    visited->capacity = capacity;
    visited->epoch = 1;
    for (size_t i = 0; i < visited->count; i++) {
        size_t place = memdb__visited_place(nodes[i].id) & visited->mask;
        while (slots[place].epoch) {
            place = (place + 1) & visited->mask;
        }
        slots[place] = (memdb__visited_slot_t){nodes[i].id, 1, (uint32_t)i};
    }
    return true;
}

bool memdb__visited_grow(memdb__visited_t *visited) {
    return visited->capacity < UINT32_MAX / 2 &&
           resize(visited, visited->capacity ? 2 * visited->capacity : AT_FIRST);
}

memdb__visited_t *memdb__visited_take(memdb__visited_pool_t *pool) {
    pthread_mutex_lock(&pool->mutex);
    memdb__visited_t *visited = pool->first;
    if (visited) {
        pool->first = visited->next;
        pool->count--;
    }
    pthread_mutex_unlock(&pool->mutex);
    if (!visited) {
        visited = memdb__allocate_zeroed(1, sizeof *visited);
        if (!visited || !memdb__visited_grow(visited)) {
            destroy(visited);
            return NULL;
        }
        return visited;
    }
    visited->count = 0;
    if (++visited->epoch == 0) { // once in 2^32 walks
        memset(visited->slots, 0, (visited->mask + 1) * sizeof *visited->slots);
        visited->epoch = 1;
    }
    return visited;
}

void memdb__visited_give(memdb__visited_pool_t *pool, memdb__visited_t *visited) {
    bool kept = false;
    if (visited && visited->capacity <= MEMDB__VISITED_KEPT_NODES) {
        pthread_mutex_lock(&pool->mutex);
        kept = pool->count < MEMDB__VISITED_KEPT;
        if (kept) {
            visited->next = pool->first;
            pool->first = visited;
            pool->count++;
        }
        pthread_mutex_unlock(&pool->mutex);
    }
    if (!kept) {
        destroy(visited);
    }
}
