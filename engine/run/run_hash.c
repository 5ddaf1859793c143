// The hash beside a run's skip list: from a key to its newest node, for reading single keys.
//
// Open addressing. A slot is a tag (32 bits of the key's hash, never 0) and a node; one thread
// writes, any number read beside it. A slot's node is stored before its tag, so whoever sees the
// tag finds a node; a newer version of the key takes the older one's place, which is reached from
// it through the list (versions of a key are neighbours there, falling). A table that gets half
// full is copied into one of twice the size; readers that have the old one find in it all that they
// may see, since whoever may see a later node has seen the new table first (through the position
// that was published after both). Old tables stay in the run's arena: together they are as large as
// the last.
#include "engine/run/run_internal.h"

#define FIRST_SLOTS 16

/// Tag and node side by side: a key that is there costs one line of the table.
typedef struct slot {
    _Atomic uint32_t tag;
    _Atomic(memdb__node_t *) node;
} slot_t;

struct memdb__run_hash {
    uint32_t mask, used;
    slot_t slots[];
};

static uint32_t tag_of(uint64_t hash) {
    uint32_t tag = (uint32_t)hash;
    return tag ? tag : 1;
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
        atomic_init(&table->slots[i].tag, 0);
        atomic_init(&table->slots[i].node, NULL);
    }
    return table;
}

/// The slot of a key: its own, or the free one where it belongs.
static uint32_t slot_of(const memdb__run_hash_t *table, uint32_t tag, const void *key, size_t size,
                        memdb__node_t **node_out) {
    for (uint32_t slot = tag & table->mask;; slot = (slot + 1) & table->mask) {
        // Acquire: pairs with the release of the tag in `store`; the node is there.
        uint32_t found = atomic_load_explicit(&table->slots[slot].tag, memory_order_acquire);
        *node_out = NULL;
        if (found == 0) {
            return slot;
        }
        if (found == tag) {
            // Acquire: pairs with the release of the node in `store`; its content is there.
            memdb__node_t *node =
                atomic_load_explicit(&table->slots[slot].node, memory_order_acquire);
            if (node->key_size == size && memcmp(memdb__node_key(node), key, size) == 0) {
                *node_out = node;
                return slot;
            }
        }
    }
}

static void store(memdb__run_hash_t *table, uint32_t slot, uint32_t tag, memdb__node_t *node) {
    // Release, both: pair with slot_of.
    atomic_store_explicit(&table->slots[slot].node, node, memory_order_release);
    atomic_store_explicit(&table->slots[slot].tag, tag, memory_order_release);
}

/// A table of twice the size with what this one holds: different keys, so no key is looked at.
static memdb__run_hash_t *grow(memdb__run_t *run, const memdb__run_hash_t *old) {
    memdb__run_hash_t *table = create_table(run, 2 * (old->mask + 1));
    for (uint32_t i = 0; table && i <= old->mask; i++) {
        // Relaxed: written by this thread, or by one that held the same lock before.
        uint32_t tag = atomic_load_explicit(&old->slots[i].tag, memory_order_relaxed);
        if (tag) {
            uint32_t slot = tag & table->mask;
            while (atomic_load_explicit(&table->slots[slot].tag, memory_order_relaxed)) {
                slot = (slot + 1) & table->mask;
            }
            store(table, slot, tag,
                  atomic_load_explicit(&old->slots[i].node, memory_order_relaxed));
            table->used++;
        }
    }
    return table;
}

bool memdb__run_hash_reserve(memdb__run_t *run) {
    // Relaxed: only changed under the lock that the caller holds.
    memdb__run_hash_t *table = atomic_load_explicit(&run->hash, memory_order_relaxed);
    if (table && table->used < table->mask / 2) {
        return true;
    }
    table = table ? grow(run, table) : create_table(run, FIRST_SLOTS);
    if (table) {
        // Release: pairs with memdb__run_hash_find; the table's content is there.
        atomic_store_explicit(&run->hash, table, memory_order_release);
    }
    return table != NULL;
}

void memdb__run_hash_expect(const memdb__run_t *run, uint64_t hash) {
    // Relaxed: only changed under the lock that the caller holds.
    const memdb__run_hash_t *table =
        atomic_load_explicit(&((memdb__run_t *)run)->hash, memory_order_relaxed);
    if (table) {
        __builtin_prefetch(&table->slots[tag_of(hash) & table->mask], 1);
    }
}

void memdb__run_hash_add(memdb__run_t *run, memdb__node_t *node, uint64_t hash) {
    // Relaxed: only changed under the lock that the caller holds.
    memdb__run_hash_t *table = atomic_load_explicit(&run->hash, memory_order_relaxed);
    if (table) {
        memdb__node_t *there;
        const uint8_t *key = memdb__node_key(node);
        uint32_t tag = tag_of(hash);
        uint32_t slot = slot_of(table, tag, key, node->key_size, &there);
        table->used += there == NULL;
        if (there && key[0] == MEMDB__KEY_RECORD) {
            atomic_store_explicit(&run->rewrites, true, memory_order_relaxed); // see rewrites
        }
        store(table, slot, tag, node);
    }
}

void memdb__run_prefetch(const memdb__run_t *run, uint64_t hash) {
    // Acquire: pairs with the release in memdb__run_hash_reserve.
    const memdb__run_hash_t *table =
        atomic_load_explicit(&((memdb__run_t *)run)->hash, memory_order_acquire);
    if (table) {
        __builtin_prefetch(&table->slots[tag_of(hash) & table->mask]);
    }
}

bool memdb__run_hash_find(const memdb__run_t *run, const void *key, size_t size, uint64_t hash,
                          const memdb__node_t **node_out) {
    // Acquire: pairs with the release in memdb__run_hash_reserve.
    memdb__run_hash_t *table =
        atomic_load_explicit(&((memdb__run_t *)run)->hash, memory_order_acquire);
    if (!table || !memdb__run_hash_holds(key, size)) {
        return false;
    }
    memdb__node_t *node;
    slot_of(table, tag_of(hash), key, size, &node);
    *node_out = node;
    return true;
}
