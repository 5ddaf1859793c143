// What the files of a run share: run.c (the skip list), run_hash.c (single keys), run_order.c (keys
// that wait until somebody walks in order), run_apply.c (applying operations, counters) and
// run_lists.c (words and vectors that wait until a query needs them).
#ifndef MEMDB_ENGINE_RUN_INTERNAL_H
#define MEMDB_ENGINE_RUN_INTERNAL_H

#include "engine/keys.h"
#include "engine/run/run.h"

#include <pthread.h>

#define MEMDB__COUNTER_BUCKETS 64
#define MEMDB__RUN_HEIGHT 16 // of the skip list
#define MEMDB__RUN_FINGERS 4

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

typedef struct memdb__run_hash memdb__run_hash_t;

/// Where the last node of a kind was inserted: per level the last node at or before it. Empty at
/// first.
typedef struct memdb__finger {
    memdb__node_t *before[MEMDB__RUN_HEIGHT];
} memdb__finger_t;

struct memdb__run {
    _Atomic uint64_t references;
    uint64_t first_lsn;
    _Atomic uint64_t sealed_lsn;
    memdb__arena_t arena;
    memdb__node_t *head;
    uint64_t random;
    memdb__finger_t fingers[MEMDB__RUN_FINGERS];
    _Atomic(memdb__run_hash_t *) hash; // NULL: no key so far
    _Atomic uint32_t holds;            // of memdb__run_holds_t
    _Atomic bool rewrites;             // some record has several versions, or was forgotten again
    _Atomic(memdb__node_t *) loose;    // nodes of keys that are not in the list yet, newest first
    _Atomic uint64_t loose_count;      // those, and those that are being linked
    pthread_mutex_t ordering;          // one thread at a time links loose nodes
    pthread_mutex_t linking;           // one thread at a time changes the list
    _Atomic uint64_t applied_version;  // all waiting entries up to it are linked
    _Atomic(memdb__counter_t *) counters[MEMDB__COUNTER_BUCKETS];
    memdb__buffer_t moments; // memdb__moment_t: the frames
    memdb__waiting_t first_waiting, *last_waiting;
    pthread_mutex_t build; // serialises the building of the lists
    memdb__waiting_t *words_at, *vectors_at;
    _Atomic uint64_t words_built, vectors_built;
    _Atomic(memdb__words_list_t *) words;
    _Atomic(memdb__vector_list_t *) vectors;
};

static inline const uint8_t *memdb__node_key(const memdb__node_t *node) {
    return (const uint8_t *)(node->next + node->height);
}

/// Make room for one more key. False: out of memory. The first call makes the table, before any key
/// is in the run.
bool memdb__run_hash_reserve(memdb__run_t *run);
/// The same for a run without keys: room for about as many as `before` has, which the caller keeps
/// from changing.
bool memdb__run_hash_begin_as(memdb__run_t *run, const memdb__run_t *before);
/// Have the place of a key with that hash, which will be taken in soon, fetched from memory
/// meanwhile. The caller holds `linking`.
void memdb__run_hash_expect(const memdb__run_t *run, uint64_t hash);
/// Take in the newest version of a key that memdb__run_hash_holds and that is linked already.
void memdb__run_hash_add(memdb__run_t *run, memdb__node_t *node, uint64_t hash);
/// The newest node of a key, NULL for none. False: such keys are in the list alone.
bool memdb__run_hash_find(const memdb__run_t *run, const void *key, size_t size, uint64_t hash,
                          const memdb__node_t **node_out);

/// Insert a version of a key. `value` stays where it is (arena, or static). The caller holds
/// `linking`. False: out of memory.
bool memdb__run_insert(memdb__run_t *run, const memdb__key_t *key, uint64_t version,
                       const uint8_t *value, size_t value_size, bool tombstone);
/// The same for a key that memdb__run_hash_holds, with its hash.
bool memdb__run_insert_hashed(memdb__run_t *run, const memdb__key_t *key, uint64_t hash,
                              uint64_t version, const uint8_t *value, size_t value_size,
                              bool tombstone);
/// Link a node where it belongs. The caller holds `linking`.
void memdb__run_link(memdb__run_t *run, memdb__node_t *node);

/// Keep a node for later: it is found through the hash alone.
void memdb__run_loosen(memdb__run_t *run, memdb__node_t *node);
/// Link all loose nodes, if a walk from `key` on, or a search for it, may meet one.
void memdb__run_order(const memdb__run_t *run, const void *key, size_t size);

#endif
