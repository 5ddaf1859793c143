// What the files of a run share: run.c (the skip list), run_apply.c (applying operations, counters)
// and run_lists.c (words and vectors that wait until a query needs them).
#ifndef MEMDB_ENGINE_RUN_INTERNAL_H
#define MEMDB_ENGINE_RUN_INTERNAL_H

#include "engine/keys.h"
#include "engine/run.h"

#include <pthread.h>

#define MEMDB__COUNTER_BUCKETS 64

struct memdb__node {
    const uint8_t *value;
    uint64_t version;
    uint32_t value_size;
    uint32_t key_size : 24; // at most MEMDB__KEY_MAX_BYTES
    uint32_t tombstone : 1;
    uint32_t height : 7;
    // Followed by `height` atomic pointers, then the key.
    _Atomic(memdb__node_t *) next[];
};

/// A document or row that no list holds yet.
typedef struct memdb__waiting {
    _Atomic(struct memdb__waiting *) next;
    enum { WAITING_DOCUMENT, WAITING_REMOVAL, WAITING_ROW } kind;
    memdb_space_t space;
    uint64_t id, version;
    const uint8_t *data;
    size_t size;
} memdb__waiting_t;

typedef struct memdb__counter {
    struct memdb__counter *next;
    memdb_space_t space;
    _Atomic int64_t memories, text_bytes;
} memdb__counter_t;

struct memdb__run {
    _Atomic uint64_t references;
    uint64_t first_lsn;
    _Atomic uint64_t sealed_lsn;
    memdb__arena_t arena;
    memdb__node_t *head;
    uint64_t random;
    _Atomic uint64_t applied_version; // all waiting entries up to it are linked
    _Atomic(memdb__counter_t *) counters[MEMDB__COUNTER_BUCKETS];
    memdb__waiting_t first_waiting, *last_waiting;
    pthread_mutex_t build; // serialises the building of the lists
    memdb__waiting_t *words_at, *vectors_at;
    _Atomic uint64_t words_built, vectors_built;
    _Atomic(memdb__words_list_t *) words;
    _Atomic(memdb__vector_list_t *) vectors;
};

/// Insert a version of a key into the skip list. `value` stays where it is (arena, or static).
/// False: out of memory.
bool memdb__run_insert(memdb__run_t *run, const memdb__key_t *key, uint64_t version,
                       const uint8_t *value, size_t value_size, bool tombstone);

#endif
