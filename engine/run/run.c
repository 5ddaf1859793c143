// A run of the delta: its life and its skip list. See run.h.
//
// Invariants: nodes are ordered by (key rising, version falling); a node, its key and its value
// never change once linked.
//
// Ids, times and the places in one session mostly rise, and keys are linked in order, so an
// insertion first tries the place of the last one of its kind (a finger) and goes up only as many
// levels as the distance asks for.
#include "base/check.h"
#include "engine/run/run_internal.h"

#define MAX_HEIGHT MEMDB__RUN_HEIGHT
#define FINGER_LEVELS 4 // a place further away is searched from the top

/// Load a link. Acquire: pairs with the release store in `insert`, so that the node's content is
/// seen whole.
static memdb__node_t *next_of(const memdb__node_t *node, uint32_t level) {
    return atomic_load_explicit(&((memdb__node_t *)node)->next[level], memory_order_acquire);
}

static memdb__node_t *create_node(memdb__run_t *run, const void *key, size_t key_size,
                                  uint32_t height) {
    memdb__node_t *node =
        memdb__arena_allocate(&run->arena, sizeof *node + height * sizeof node->next[0] + key_size);
    if (node) {
        // As a whole: to keep bits of it, fresh memory would be read before it is written, and
        // the kernel would give its page twice.
        *node = (memdb__node_t){.key_size = (uint32_t)key_size & 0xFFFFFF, .height = height & 127};
        for (uint32_t i = 0; i < height; i++) {
            atomic_init(&node->next[i], NULL);
        }
        if (key_size) {
            memcpy((uint8_t *)(node->next + height), key, key_size);
        }
    }
    return node;
}

memdb__run_t *memdb__run_create(uint64_t first_lsn, const memdb__run_t *before) {
    memdb__run_t *run = memdb__allocate_zeroed(1, sizeof *run);
    if (!run) {
        return NULL;
    }
    memdb__arena_init(&run->arena);
    atomic_init(&run->references, 1);
    run->first_lsn = first_lsn;
    run->random = first_lsn * 2 + 0x9E3779B97F4A7C15;
    run->last_waiting = run->words_at = run->vectors_at = &run->first_waiting;
    pthread_mutex_init(&run->build, NULL);
    pthread_mutex_init(&run->ordering, NULL);
    pthread_mutex_init(&run->linking, NULL);
    run->head = create_node(run, NULL, 0, MAX_HEIGHT);
    if (!run->head || (before && !memdb__run_hash_begin_as(run, before))) {
        memdb__run_release(run);
        return NULL;
    }
    return run;
}

void memdb__run_retain(memdb__run_t *run) {
    atomic_fetch_add_explicit(&run->references, 1,
                              memory_order_relaxed); // the caller holds one already
}

void memdb__run_release(memdb__run_t *run) {
    // acq_rel: what other owners did to the run happens before its memory is freed.
    if (!run || atomic_fetch_sub_explicit(&run->references, 1, memory_order_acq_rel) != 1) {
        return;
    }
    memdb__words_list_destroy(atomic_load_explicit(&run->words, memory_order_relaxed));
    memdb__vector_list_destroy(atomic_load_explicit(&run->vectors, memory_order_relaxed));
    pthread_mutex_destroy(&run->build);
    pthread_mutex_destroy(&run->ordering);
    pthread_mutex_destroy(&run->linking);
    memdb__buffer_deinit(&run->moments);
    memdb__arena_deinit(&run->arena);
    memdb__free(run);
}

bool memdb__run_note(memdb__run_t *run, memdb__moment_t moment) {
    return memdb__buffer_append(&run->moments, &moment, sizeof moment);
}

const memdb__moment_t *memdb__run_moments(const memdb__run_t *run, size_t *count_out) {
    *count_out = run->moments.size / sizeof(memdb__moment_t);
    return (const memdb__moment_t *)(const void *)run->moments.data;
}

uint64_t memdb__run_first_lsn(const memdb__run_t *run) {
    return run->first_lsn;
}

uint64_t memdb__run_sealed_lsn(const memdb__run_t *run) {
    return atomic_load_explicit(&run->sealed_lsn,
                                memory_order_acquire); // pairs with memdb__run_seal
}

void memdb__run_seal(memdb__run_t *run, uint64_t lsn) {
    atomic_store_explicit(&run->sealed_lsn, lsn,
                          memory_order_release); // after the last frame was applied
}

size_t memdb__run_bytes(const memdb__run_t *run) {
    size_t bytes = atomic_load_explicit(&((memdb__run_t *)run)->arena.bytes,
                                        memory_order_relaxed); // a figure only
    memdb__words_list_t *words =
        atomic_load_explicit(&((memdb__run_t *)run)->words, memory_order_acquire);
    memdb__vector_list_t *vectors =
        atomic_load_explicit(&((memdb__run_t *)run)->vectors, memory_order_acquire);
    return bytes + (words ? memdb__words_list_bytes(words) : 0) +
           (vectors ? memdb__vector_list_bytes(vectors) : 0);
}

// ------------------------------------------------------------------------------ the skip list

/// The order of (key, version falling) against a node: <0 when the searched place is before it.
static int compare(const void *key, size_t size, uint64_t version, const memdb__node_t *node) {
    int order = memdb__compare(key, size, memdb__node_key(node), node->key_size);
    return order ? order : (version < node->version) - (version > node->version);
}

/// The first node at or after (key, version); `before` (may be NULL) gets the node in front of it
/// on each level.
static memdb__node_t *search(const memdb__run_t *run, const void *key, size_t size,
                             uint64_t version, memdb__node_t **before) {
    memdb__node_t *node = run->head;
    memdb__node_t *next = NULL, *known = NULL;
    for (uint32_t level = MAX_HEIGHT; level-- > 0;) {
        while ((next = next_of(node, level)) && next != known &&
               compare(key, size, version, next) > 0) {
            node = next;
        }
        known = next; // already compared: not before the place
        if (before) {
            before[level] = node;
        }
    }
    return next;
}

static uint32_t random_height(memdb__run_t *run) {
    run->random ^= run->random << 13;
    run->random ^= run->random >> 7;
    run->random ^= run->random << 17;
    uint32_t height = 1;
    for (uint64_t bits = run->random; height < MAX_HEIGHT && (bits & 3) == 0; bits >>= 2) {
        height++;
    }
    return height;
}

static memdb__finger_t *finger_of(memdb__run_t *run, uint8_t kind) {
    return kind == MEMDB__KEY_RECORD    ? &run->fingers[0]
           : kind == MEMDB__KEY_TIME    ? &run->fingers[1]
           : kind == MEMDB__KEY_SESSION ? &run->fingers[2]
           : kind == MEMDB__KEY_KEY     ? &run->fingers[3] // sorted: see run_order.c
                                        : NULL;
}

/// Move a finger, whose node lies before the key, forward to the key; right for the lowest `height`
/// levels and all below the first one that reaches it. False: the place is far.
static bool move_finger(memdb__finger_t *finger, const uint8_t *key, size_t size, uint64_t version,
                        uint32_t height) {
    uint32_t top = 0;
    memdb__node_t *next, *node = NULL;
    while ((next = next_of(finger->before[top], top)) && compare(key, size, version, next) > 0) {
        if (++top == FINGER_LEVELS) {
            return false;
        }
    }
    top = top + 1 < height ? height - 1 : top;
    for (uint32_t level = top + 1; level-- > 0;) {
        memdb__node_t *at = node ? node : finger->before[level];
        while ((next = next_of(at, level)) && compare(key, size, version, next) > 0) {
            at = node = next;
        }
        finger->before[level] = at;
    }
    return true;
}

/// The node in front of the key on each of the lowest `height` levels, in `before` or in a finger.
static memdb__node_t **find_place(memdb__run_t *run, const uint8_t *key, size_t size,
                                  uint64_t version, uint32_t height, memdb__node_t **before) {
    memdb__finger_t *finger = finger_of(run, key[0]);
    if (finger && finger->before[0] && compare(key, size, version, finger->before[0]) > 0 &&
        move_finger(finger, key, size, version, height)) {
        return finger->before;
    }
    before = finger ? finger->before : before;
    search(run, key, size, version, before);
    return before;
}

void memdb__run_link(memdb__run_t *run, memdb__node_t *node) {
    memdb__node_t *places[MAX_HEIGHT];
    memdb__node_t **before =
        find_place(run, memdb__node_key(node), node->key_size, node->version, node->height, places);
    for (uint32_t level = 0; level < node->height; level++) {
        atomic_store_explicit(&node->next[level], next_of(before[level], level),
                              memory_order_relaxed); // not linked yet
        atomic_store_explicit(&before[level]->next[level], node,
                              memory_order_release); // pairs with next_of
        before[level] = node;
    }
}

static void note_kind(memdb__run_t *run, uint8_t kind, bool tombstone) {
    uint32_t what = kind == MEMDB__KEY_SPACE                                ? MEMDB__RUN_SPACES
                    : kind == MEMDB__KEY_LINK || kind == MEMDB__KEY_LINK_IN ? MEMDB__RUN_LINKS
                    : kind == MEMDB__KEY_RECORD && tombstone                ? MEMDB__RUN_FORGOTTEN
                                                                            : 0;
    // Relaxed: one writer; see memdb__run_holds.
    uint32_t holds = atomic_load_explicit(&run->holds, memory_order_relaxed);
    if (what & ~holds) {
        atomic_store_explicit(&run->holds, holds | what, memory_order_relaxed);
    }
}

/// Make a node and bring it into the list.
static memdb__node_t *insert_node(memdb__run_t *run, const memdb__key_t *key, uint64_t version,
                                  const uint8_t *value, size_t value_size, bool tombstone) {
    memdb__node_t *node = create_node(run, key->bytes, key->size, random_height(run));
    if (!node) {
        return NULL;
    }
    node->version = version;
    node->value = value;
    node->value_size = (uint32_t)value_size;
    node->tombstone = tombstone;
    note_kind(run, key->bytes[0], tombstone);
    if (key->bytes[0] == MEMDB__KEY_KEY) {
        memdb__run_loosen(run, node);
    } else {
        memdb__run_link(run, node);
    }
    return node;
}

bool memdb__run_insert_hashed(memdb__run_t *run, const memdb__key_t *key, uint64_t hash,
                              uint64_t version, const uint8_t *value, size_t value_size,
                              bool tombstone) {
    memdb__node_t *node = memdb__run_hash_reserve(run)
                              ? insert_node(run, key, version, value, value_size, tombstone)
                              : NULL;
    if (node) {
        memdb__run_hash_add(run, node, hash);
    }
    return node != NULL;
}

bool memdb__run_insert(memdb__run_t *run, const memdb__key_t *key, uint64_t version,
                       const uint8_t *value, size_t value_size, bool tombstone) {
    return memdb__run_hash_holds(key->bytes, key->size)
               ? memdb__run_insert_hashed(run, key, memdb__sorted_hash(key->bytes, key->size),
                                          version, value, value_size, tombstone)
               : insert_node(run, key, version, value, value_size, tombstone) != NULL;
}

void memdb__node_entry(const memdb__node_t *node, memdb__entry_t *entry_out) {
    *entry_out = (memdb__entry_t){memdb__node_key(node), node->key_size, node->value,
                                  node->value_size,      node->version,  node->tombstone};
}

bool memdb__run_get(const memdb__run_t *run, const void *key, size_t size, uint64_t visible,
                    memdb__entry_t *entry_out) {
    return memdb__run_get_hashed(run, key, size, memdb__sorted_hash(key, size), visible, entry_out);
}

bool memdb__run_holds(const memdb__run_t *run, memdb__run_holds_t what) {
    // Relaxed: set before the position is raised, which the caller has read.
    return atomic_load_explicit(&((memdb__run_t *)run)->holds, memory_order_relaxed) & what;
}

bool memdb__run_rewrites(const memdb__run_t *run) {
    // Relaxed: set before the run was sealed, which the caller has seen.
    return atomic_load_explicit(&((memdb__run_t *)run)->rewrites, memory_order_relaxed);
}

bool memdb__run_get_hashed(const memdb__run_t *run, const void *key, size_t size, uint64_t hash,
                           uint64_t visible, memdb__entry_t *entry_out) {
    const memdb__node_t *node;
    if (memdb__run_hash_find(run, key, size, hash, &node)) {
        if (!node || node->version <= visible) {
            if (node) {
                memdb__node_entry(node, entry_out);
                // What is decoded next: its end is not where its head is.
                __builtin_prefetch(node->value + (node->value_size ? node->value_size - 1 : 0));
            }
            return node != NULL;
        }
    }
    memdb__run_order(run, key, size);
    node = search(run, key, size, visible, NULL);
    if (!node || memdb__compare(key, size, memdb__node_key(node), node->key_size) != 0) {
        return false;
    }
    memdb__node_entry(node, entry_out);
    return true;
}

const memdb__node_t *memdb__run_seek(const memdb__run_t *run, const void *key, size_t size,
                                     uint64_t visible) {
    memdb__run_order(run, key, size);
    const memdb__node_t *node = search(run, key, size, UINT64_MAX, NULL);
    while (node && node->version > visible) {
        node = next_of(node, 0);
    }
    return node;
}

const memdb__node_t *memdb__run_next(const memdb__node_t *node, uint64_t visible) {
    const memdb__node_t *next = next_of(node, 0);
    while (next && (next->version > visible ||
                    memdb__compare(memdb__node_key(node), node->key_size, memdb__node_key(next),
                                   next->key_size) == 0)) {
        next = next_of(next, 0);
    }
    if (next) {
        __builtin_prefetch(next_of(next, 0)); // it may lie anywhere
    }
    return next;
}

const memdb__node_t *memdb__run_next_version(const memdb__node_t *node, uint64_t visible) {
    const memdb__node_t *next = next_of(node, 0);
    while (next && next->version > visible) {
        next = next_of(next, 0);
    }
    return next;
}

const memdb__node_t *memdb__run_before(const memdb__run_t *run, const void *key, size_t size,
                                       uint64_t visible) {
    memdb__node_t *before[MAX_HEIGHT];
    memdb__run_order(run, key, size);
    for (;;) {
        search(run, key, size, UINT64_MAX, before);
        const memdb__node_t *node = before[0];
        if (node == run->head) {
            return NULL;
        }
        // The node in front is the oldest version of its key: go to the newest visible one, or to
        // the key before.
        const memdb__node_t *newest =
            search(run, memdb__node_key(node), node->key_size, visible, NULL);
        if (newest && memdb__compare(memdb__node_key(node), node->key_size, memdb__node_key(newest),
                                     newest->key_size) == 0) {
            return newest;
        }
        key = memdb__node_key(node);
        size = node->key_size;
    }
}
