// The hash beside a run's skip list: from a key to its newest node, for reading single keys.
//
// Open addressing, at most half full. A slot is one word: the node's address, and above it a tag,
// 16 other bits of the key's hash than those that say where it belongs; so eight slots share a
// line, and few nodes are looked at in vain. One thread writes, any number read beside it; a newer
// version of the key takes the older one's place, which is reached from it through the list
// (versions of a key are neighbours there, falling). A table that gets half full is copied into one
// of twice the size; readers that have the old one find in it all that they may see, since whoever
// may see a later node has seen the new table first (through the position that was published after
// both). Old tables stay in the run's arena: together they are as large as the last. A run that
// follows another one begins with room for as many keys as that one had, and mostly never grows.
#include "engine/run/run_internal.h"

#define FIRST_SLOTS 16
#define MOST_SLOTS_AT_FIRST (1u << 19) // 4 MiB: what one commit may have to clear
#define ADDRESS_BITS 48                // Linux gives addresses above only to those who ask for them
#define AHEAD 8                        // nodes that are fetched before their keys are hashed

/// 0: free.
typedef _Atomic uint64_t slot_t;

struct memdb__run_hash {
    uint32_t mask, used;
    slot_t slots[];
};

static uint64_t tag_of(uint64_t hash) {
    return hash >> ADDRESS_BITS << ADDRESS_BITS;
}

static uint64_t pack(uint64_t tag, const memdb__node_t *node) {
    return tag | (uintptr_t)node;
}

static memdb__node_t *node_of(uint64_t slot) {
    return (memdb__node_t *)(uintptr_t)(slot & ((UINT64_C(1) << ADDRESS_BITS) - 1));
}

bool memdb__run_hash_holds(const void *key, size_t size) {
    uint8_t kind = size ? *(const uint8_t *)key : 0;
    return kind == MEMDB__KEY_RECORD || kind == MEMDB__KEY_KEY || kind == MEMDB__KEY_SPACE ||
           kind == MEMDB__KEY_NAME || kind == MEMDB__KEY_LINK || kind == MEMDB__KEY_BLOB ||
           kind == MEMDB__KEY_ATTRIBUTES || kind == MEMDB__KEY_ROW || kind == MEMDB__KEY_TABLE ||
           kind == MEMDB__KEY_TABLE_NAME;
}

static memdb__run_hash_t *create_table(memdb__run_t *run, uint32_t slots) {
    memdb__run_hash_t *table =
        memdb__arena_allocate(&run->arena, sizeof *table + (size_t)slots * sizeof *table->slots);
    if (!table) {
        return NULL;
    }
    table->mask = slots - 1;
    table->used = 0;
    for (uint32_t i = 0; i < slots; i++) {
        atomic_init(&table->slots[i], 0);
    }
    return table;
}

/// The slot of a key: its own, or the free one where it belongs.
static uint32_t slot_of(const memdb__run_hash_t *table, uint64_t hash, const void *key, size_t size,
                        memdb__node_t **node_out) {
    for (uint32_t slot = (uint32_t)hash & table->mask;; slot = (slot + 1) & table->mask) {
        // Acquire: pairs with the release in `store`; the node's content is there.
        uint64_t found = atomic_load_explicit(&table->slots[slot], memory_order_acquire);
        memdb__node_t *node = node_of(found);
        if (found == 0) {
            *node_out = NULL;
            return slot;
        }
        if (tag_of(found) == tag_of(hash) && node->key_size == size &&
            memcmp(memdb__node_key(node), key, size) == 0) {
            *node_out = node;
            return slot;
        }
    }
}

static void store(memdb__run_hash_t *table, uint32_t slot, uint64_t hash, memdb__node_t *node) {
    // Release: pairs with slot_of.
    atomic_store_explicit(&table->slots[slot], pack(tag_of(hash), node), memory_order_release);
}

/// Take in what the old table holds: different keys, so none is compared.
static void copy_table(memdb__run_hash_t *table, const memdb__run_hash_t *old) {
    for (uint32_t i = 0; i <= old->mask; i++) {
        // Relaxed, all: written by this thread, or by one that held the same lock before.
        if (i + AHEAD <= old->mask) {
            __builtin_prefetch(
                node_of(atomic_load_explicit(&old->slots[i + AHEAD], memory_order_relaxed)));
        }
        memdb__node_t *node = node_of(atomic_load_explicit(&old->slots[i], memory_order_relaxed));
        if (node) {
            uint64_t hash = memdb__sorted_hash(memdb__node_key(node), node->key_size);
            uint32_t slot = (uint32_t)hash & table->mask;
            while (atomic_load_explicit(&table->slots[slot], memory_order_relaxed)) {
                slot = (slot + 1) & table->mask;
            }
            store(table, slot, hash, node);
        }
    }
    table->used = old->used;
}

/// Whether another key makes no table more than half full.
static bool has_room(const memdb__run_hash_t *table) {
    return table->used < table->mask / 2;
}

static bool publish(memdb__run_t *run, memdb__run_hash_t *table) {
    if (table) {
        // Release: pairs with memdb__run_hash_find; the table's content is there.
        atomic_store_explicit(&run->hash, table, memory_order_release);
    }
    return table != NULL;
}

bool memdb__run_hash_reserve(memdb__run_t *run) {
    // Relaxed: only changed under the lock that the caller holds.
    memdb__run_hash_t *old = atomic_load_explicit(&run->hash, memory_order_relaxed);
    if (old && has_room(old)) {
        return true;
    }
    memdb__run_hash_t *table = create_table(run, old ? 2 * (old->mask + 1) : FIRST_SLOTS);
    if (table && old) {
        copy_table(table, old);
    }
    return publish(run, table);
}

bool memdb__run_hash_begin_as(memdb__run_t *run, const memdb__run_t *before) {
    // Relaxed: the caller holds the lock under which it is changed.
    const memdb__run_hash_t *its =
        atomic_load_explicit(&((memdb__run_t *)before)->hash, memory_order_relaxed);
    uint32_t slots = FIRST_SLOTS;
    while (its && slots < MOST_SLOTS_AT_FIRST && its->used > slots / 2 - 1) {
        slots *= 2;
    }
    return publish(run, create_table(run, slots));
}

void memdb__run_hash_expect(const memdb__run_t *run, uint64_t hash) {
    // Relaxed: only changed under the lock that the caller holds.
    const memdb__run_hash_t *table =
        atomic_load_explicit(&((memdb__run_t *)run)->hash, memory_order_relaxed);
    if (table) {
        __builtin_prefetch(&table->slots[(uint32_t)hash & table->mask], 1);
    }
}

void memdb__run_hash_add(memdb__run_t *run, memdb__node_t *node, uint64_t hash) {
    // Relaxed: only changed under the lock that the caller holds.
    memdb__run_hash_t *table = atomic_load_explicit(&run->hash, memory_order_relaxed);
    if (table) {
        memdb__node_t *there;
        const uint8_t *key = memdb__node_key(node);
        uint32_t slot = slot_of(table, hash, key, node->key_size, &there);
        table->used += there == NULL;
        if (there && key[0] == MEMDB__KEY_RECORD) {
            atomic_store_explicit(&run->rewrites, true, memory_order_relaxed); // see rewrites
        }
        store(table, slot, hash, node);
    }
}

void memdb__run_prefetch(const memdb__run_t *run, uint64_t hash) {
    // Acquire: pairs with the release in `publish`.
    const memdb__run_hash_t *table =
        atomic_load_explicit(&((memdb__run_t *)run)->hash, memory_order_acquire);
    if (table) {
        __builtin_prefetch(&table->slots[(uint32_t)hash & table->mask]);
    }
}

bool memdb__run_hash_find(const memdb__run_t *run, const void *key, size_t size, uint64_t hash,
                          const memdb__node_t **node_out) {
    // Acquire: pairs with the release in `publish`.
    memdb__run_hash_t *table =
        atomic_load_explicit(&((memdb__run_t *)run)->hash, memory_order_acquire);
    if (!table || !memdb__run_hash_holds(key, size)) {
        return false;
    }
    memdb__node_t *node;
    slot_of(table, hash, key, size, &node);
    *node_out = node;
    return true;
}
