// A run of the delta: the skip list, and the words and vectors that wait beside it. See run.h.
//
// Invariants: nodes are ordered by (key rising, version falling); a node, its key and its value
// never change once linked; waiting documents are in order of version; `built` versions only rise.
#include "engine/run.h"

#include "base/check.h"
#include "engine/keys.h"

#include <pthread.h>

#define MAX_HEIGHT 16
#define COUNTER_BUCKETS 64

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
    _Atomic(memdb__counter_t *) counters[COUNTER_BUCKETS];
    memdb__waiting_t first_waiting, *last_waiting;
    pthread_mutex_t build; // serialises the building of the lists
    memdb__waiting_t *words_at, *vectors_at;
    _Atomic uint64_t words_built, vectors_built;
    _Atomic(memdb__words_list_t *) words;
    _Atomic(memdb__vector_list_t *) vectors;
};

static const uint8_t *node_key(const memdb__node_t *node) {
    return (const uint8_t *)(node->next + node->height);
}

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
        node->height = height & 127;
        node->key_size = (uint32_t)key_size & 0xFFFFFF;
        for (uint32_t i = 0; i < height; i++) {
            atomic_init(&node->next[i], NULL);
        }
        if (key_size) {
            memcpy((uint8_t *)(node->next + height), key, key_size);
        }
    }
    return node;
}

memdb__run_t *memdb__run_create(uint64_t first_lsn) {
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
    run->head = create_node(run, NULL, 0, MAX_HEIGHT);
    if (!run->head) {
        memdb__run_release(run);
        return NULL;
    }
    run->head->tombstone = 0;
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
    memdb__arena_deinit(&run->arena);
    memdb__free(run);
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
    int order = memdb__compare(key, size, node_key(node), node->key_size);
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

/// Insert a version of a key. `value` stays where it is (arena, or static).
static bool insert(memdb__run_t *run, const memdb__key_t *key, uint64_t version,
                   const uint8_t *value, size_t value_size, bool tombstone) {
    memdb__node_t *before[MAX_HEIGHT];
    search(run, key->bytes, key->size, version, before);
    uint32_t height = random_height(run);
    memdb__node_t *node = create_node(run, key->bytes, key->size, height);
    if (!node) {
        return false;
    }
    node->version = version;
    node->value = value;
    node->value_size = (uint32_t)value_size;
    node->tombstone = tombstone;
    for (uint32_t level = 0; level < height; level++) {
        atomic_store_explicit(&node->next[level], next_of(before[level], level),
                              memory_order_relaxed); // not linked yet
        atomic_store_explicit(&before[level]->next[level], node,
                              memory_order_release); // pairs with next_of
    }
    return true;
}

static bool insert_copy(memdb__run_t *run, const memdb__key_t *key, uint64_t version,
                        const void *value, size_t size) {
    const uint8_t *copy = memdb__arena_copy(&run->arena, value, size);
    return copy && insert(run, key, version, copy, size, false);
}

void memdb__node_entry(const memdb__node_t *node, memdb__entry_t *entry_out) {
    *entry_out = (memdb__entry_t){node_key(node),   node->key_size, node->value,
                                  node->value_size, node->version,  node->tombstone};
}

bool memdb__run_get(const memdb__run_t *run, const void *key, size_t size, uint64_t visible,
                    memdb__entry_t *entry_out) {
    const memdb__node_t *node = search(run, key, size, visible, NULL);
    if (!node || memdb__compare(key, size, node_key(node), node->key_size) != 0) {
        return false;
    }
    memdb__node_entry(node, entry_out);
    return true;
}

const memdb__node_t *memdb__run_seek(const memdb__run_t *run, const void *key, size_t size,
                                     uint64_t visible) {
    const memdb__node_t *node = search(run, key, size, UINT64_MAX, NULL);
    while (node && node->version > visible) {
        node = next_of(node, 0);
    }
    return node;
}

const memdb__node_t *memdb__run_next(const memdb__node_t *node, uint64_t visible) {
    const memdb__node_t *next = next_of(node, 0);
    while (next &&
           (next->version > visible ||
            memdb__compare(node_key(node), node->key_size, node_key(next), next->key_size) == 0)) {
        next = next_of(next, 0);
    }
    return next;
}

const memdb__node_t *memdb__run_before(const memdb__run_t *run, const void *key, size_t size,
                                       uint64_t visible) {
    memdb__node_t *before[MAX_HEIGHT];
    for (;;) {
        search(run, key, size, UINT64_MAX, before);
        const memdb__node_t *node = before[0];
        if (node == run->head) {
            return NULL;
        }
        // The node in front is the oldest version of its key: go to the newest visible one, or to
        // the key before.
        const memdb__node_t *newest = search(run, node_key(node), node->key_size, visible, NULL);
        if (newest && memdb__compare(node_key(node), node->key_size, node_key(newest),
                                     newest->key_size) == 0) {
            return newest;
        }
        key = node_key(node);
        size = node->key_size;
    }
}

// ------------------------------------------------------------------------------ counters

static memdb__counter_t *find_counter(const memdb__run_t *run, memdb_space_t space) {
    // Acquire: pairs with the release store in `count`.
    memdb__counter_t *counter = atomic_load_explicit(
        &((memdb__run_t *)run)->counters[space % COUNTER_BUCKETS], memory_order_acquire);
    while (counter && counter->space != space) {
        counter = counter->next;
    }
    return counter;
}

static bool count(memdb__run_t *run, memdb_space_t space, int64_t memories, int64_t text_bytes) {
    memdb__counter_t *counter = find_counter(run, space);
    if (!counter) {
        counter = memdb__arena_allocate(&run->arena, sizeof *counter);
        if (!counter) {
            return false;
        }
        _Atomic(memdb__counter_t *) *bucket = &run->counters[space % COUNTER_BUCKETS];
        counter->space = space;
        atomic_init(&counter->memories, 0);
        atomic_init(&counter->text_bytes, 0);
        counter->next = atomic_load_explicit(bucket, memory_order_relaxed); // one writer
        atomic_store_explicit(bucket, counter, memory_order_release); // pairs with find_counter
    }
    atomic_fetch_add_explicit(&counter->memories, memories,
                              memory_order_relaxed); // figures, read one by one
    atomic_fetch_add_explicit(&counter->text_bytes, text_bytes, memory_order_relaxed);
    return true;
}

void memdb__run_counters(const memdb__run_t *run, memdb_space_t space, int64_t *memories_out,
                         int64_t *text_bytes_out) {
    memdb__counter_t *counter = find_counter(run, space);
    *memories_out = counter ? atomic_load_explicit(&counter->memories, memory_order_relaxed) : 0;
    *text_bytes_out =
        counter ? atomic_load_explicit(&counter->text_bytes, memory_order_relaxed) : 0;
}

memdb_status_t memdb__run_each_counter(const memdb__run_t *run,
                                       memdb_status_t (*visit)(void *context, memdb_space_t space,
                                                               int64_t memories,
                                                               int64_t text_bytes),
                                       void *context) {
    for (size_t i = 0; i < COUNTER_BUCKETS; i++) {
        for (memdb__counter_t *counter =
                 atomic_load_explicit(&((memdb__run_t *)run)->counters[i], memory_order_acquire);
             counter; counter = counter->next) {
            memdb_status_t status =
                visit(context, counter->space,
                      atomic_load_explicit(&counter->memories, memory_order_relaxed),
                      atomic_load_explicit(&counter->text_bytes, memory_order_relaxed));
            if (status) {
                return status;
            }
        }
    }
    return MEMDB_OK;
}

// ------------------------------------------------------------------------------ applying
// operations

static bool add_waiting(memdb__run_t *run, int kind, memdb_space_t space, uint64_t id,
                        uint64_t version, memdb_bytes_t data) {
    memdb__waiting_t *waiting = memdb__arena_allocate(&run->arena, sizeof *waiting);
    const uint8_t *copy = waiting ? memdb__arena_copy(&run->arena, data.data, data.size) : NULL;
    if (!copy) {
        return false;
    }
    waiting->kind = kind;
    waiting->space = space;
    waiting->id = id;
    waiting->version = version;
    waiting->data = copy;
    waiting->size = data.size;
    atomic_init(&waiting->next, NULL);
    atomic_store_explicit(&run->last_waiting->next, waiting,
                          memory_order_release); // pairs with the load in `build_lists`
    run->last_waiting = waiting;
    return true;
}

static memdb_status_t out_of_memory(memdb_error_t *error) {
    return memdb__fail(error, MEMDB_NOMEM, "apply: out of memory");
}

static memdb_status_t malformed(memdb_error_t *error, const char *what) {
    return memdb__fail(error, MEMDB_CORRUPT, "apply: a frame's %s is not well formed", what);
}

static memdb_status_t apply_put(memdb__run_t *run, const memdb__operation_t *operation,
                                uint64_t base, uint64_t version, memdb_error_t *error) {
    uint8_t *value = memdb__arena_copy(&run->arena, operation->body.data, operation->body.size);
    if (!value) {
        return out_of_memory(error);
    }
    memdb__record_resolve(value, base);
    memdb__record_t record;
    if (!memdb__record_decode(value, operation->body.size, &record) ||
        record.key.size > MEMDB_MAX_KEY_BYTES || record.session.size > MEMDB_MAX_NAME_BYTES) {
        return malformed(error, "record");
    }
    memdb__key_t key;
    bool fine = true;
    if ((operation->flags & MEMDB__PUT_KEY) && record.key.size) {
        uint8_t id[8];
        memdb__put_u64(id, operation->id);
        memdb__key_key(&key, record.space, record.key);
        fine = insert_copy(run, &key, version, id, sizeof id);
    }
    if (fine && (operation->flags & MEMDB__PUT_PLACE) && record.time != MEMDB_TIME_NONE) {
        memdb__key_time(&key, record.space, record.time, operation->id);
        fine = insert(run, &key, version, NULL, 0, false);
    }
    if (fine && (operation->flags & MEMDB__PUT_PLACE) && record.session.size) {
        memdb__key_session(&key, record.space, record.session, record.time, operation->id);
        fine = insert(run, &key, version, NULL, 0, false);
    }
    if (fine && (operation->flags & MEMDB__PUT_OLD_BAG)) {
        fine =
            memdb__bag_verify((const uint8_t *)operation->old_bag.data, operation->old_bag.size) &&
            add_waiting(run, WAITING_REMOVAL, record.space, operation->id, version,
                        operation->old_bag);
    }
    if (fine && (operation->flags & MEMDB__PUT_BAG)) {
        fine = memdb__bag_verify((const uint8_t *)operation->bag.data, operation->bag.size) &&
               add_waiting(run, WAITING_DOCUMENT, record.space, operation->id, version,
                           operation->bag);
    }
    if (fine && (operation->flags & MEMDB__PUT_ROW)) {
        if (!memdb__row_verify((const uint8_t *)operation->row.data, operation->row.size,
                               record.dimension)) {
            return malformed(error, "vector");
        }
        fine = add_waiting(run, WAITING_ROW, record.space, operation->id, version, operation->row);
    }
    // The record last: an index entry whose record is not there yet is skipped by readers, the
    // other way it would be missed.
    memdb__key_record(&key, operation->id);
    fine = fine &&
           count(run, record.space, operation->flags & MEMDB__PUT_NEW ? 1 : 0,
                 operation->text_difference) &&
           insert(run, &key, version, value, operation->body.size, false);
    return fine ? MEMDB_OK : out_of_memory(error);
}

static memdb_status_t apply_forget(memdb__run_t *run, const memdb__operation_t *operation,
                                   uint64_t version, memdb_error_t *error) {
    memdb__key_t key;
    memdb__key_record(&key, operation->id);
    bool fine = count(run, operation->space, -1, operation->text_difference);
    if (fine && (operation->flags & MEMDB__PUT_OLD_BAG)) {
        if (!memdb__bag_verify((const uint8_t *)operation->old_bag.data, operation->old_bag.size)) {
            return malformed(error, "bag");
        }
        fine = add_waiting(run, WAITING_REMOVAL, operation->space, operation->id, version,
                           operation->old_bag);
    }
    return fine && insert(run, &key, version, NULL, 0, true) ? MEMDB_OK : out_of_memory(error);
}

static memdb_status_t apply_link(memdb__run_t *run, const memdb__operation_t *operation,
                                 uint64_t version, memdb_error_t *error) {
    memdb__key_t key;
    memdb_link_t link;
    if (!memdb__link_decode((const uint8_t *)operation->body.data, operation->body.size, &link)) {
        return malformed(error, "link");
    }
    memdb__key_link_in(&key, operation->id, operation->name, operation->to);
    bool fine = insert(run, &key, version, NULL, 0, false);
    memdb__key_link(&key, operation->id, operation->name, operation->to);
    return fine && insert_copy(run, &key, version, operation->body.data, operation->body.size)
               ? MEMDB_OK
               : out_of_memory(error);
}

static memdb_status_t apply_space(memdb__run_t *run, const memdb__operation_t *operation,
                                  uint64_t version, memdb_error_t *error) {
    memdb__key_t key;
    memdb_space_info_t info;
    if (!memdb__space_decode((const uint8_t *)operation->body.data, operation->body.size, &info) ||
        info.name.size > MEMDB_MAX_NAME_BYTES) {
        return malformed(error, "space");
    }
    uint8_t id[4];
    memdb__put_u32(id, operation->space);
    memdb__key_space(&key, operation->space);
    bool fine = insert_copy(run, &key, version, operation->body.data, operation->body.size);
    memdb__key_name(&key, info.name);
    return fine && insert_copy(run, &key, version, id, sizeof id) ? MEMDB_OK : out_of_memory(error);
}

static memdb_status_t apply_operation(memdb__run_t *run, const memdb__operation_t *operation,
                                      uint64_t base, uint64_t version, memdb_error_t *error) {
    memdb__key_t key;
    uint8_t value[40];
    switch (operation->kind) {
    case MEMDB__OPERATION_PUT:
        return apply_put(run, operation, base, version, error);
    case MEMDB__OPERATION_FORGET:
        return apply_forget(run, operation, version, error);
    case MEMDB__OPERATION_LINK:
        return apply_link(run, operation, version, error);
    case MEMDB__OPERATION_UNLINK:
        memdb__key_link(&key, operation->id, operation->name, operation->to);
        return insert(run, &key, version, NULL, 0, true) ? MEMDB_OK : out_of_memory(error);
    case MEMDB__OPERATION_SPACE:
        return apply_space(run, operation, version, error);
    case MEMDB__OPERATION_DROP:
        memdb__key_name(&key, operation->name);
        if (!insert(run, &key, version, NULL, 0, true)) {
            return out_of_memory(error);
        }
        memdb__key_space(&key, operation->space);
        return insert(run, &key, version, NULL, 0, true) ? MEMDB_OK : out_of_memory(error);
    case MEMDB__OPERATION_BLOB:
        memdb__key_blob(&key, operation->hash);
        memcpy(value, operation->reference, 32);
        memdb__put_u64(value + 32, operation->size);
        return insert_copy(run, &key, version, value, sizeof value) ? MEMDB_OK
                                                                    : out_of_memory(error);
    case MEMDB__OPERATION_SEAL:
        return MEMDB_OK;
    }
    return malformed(error, "operation");
}

memdb_status_t memdb__run_apply(memdb__run_t *run, const uint8_t *payload, size_t size,
                                uint64_t base, uint64_t first, bool *sealed_out,
                                memdb_error_t *error) {
    memdb__reader_t reader = memdb__reader(payload, size);
    memdb__operation_t operation;
    uint64_t version = base + first;
    while (memdb__operation_decode(&reader, &operation)) {
        memdb_status_t status = apply_operation(run, &operation, base, version, error);
        if (status) {
            return status;
        }
        if (operation.kind == MEMDB__OPERATION_SEAL && sealed_out) {
            *sealed_out = true;
        }
        version++;
    }
    if (reader.bad) {
        return malformed(error, "payload");
    }
    // Release: a builder that reads this version finds all waiting entries up to it.
    atomic_store_explicit(&run->applied_version, version, memory_order_release);
    return MEMDB_OK;
}

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
            status = list ? MEMDB_OK : out_of_memory(error);
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
            status = list ? MEMDB_OK : out_of_memory(error);
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
