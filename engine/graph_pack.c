// Packing the links of a tier. See graph.h.
//
// What is packed is what the tier says of each link and, of the ends of links here and in older
// tiers, which memories it says are forgotten: such links leave the segments at a fold, and until
// then must not be followed. While a tier lives, the tiers below it may be merged into others. A
// merge brings no link that was not there, so what was packed stays right: it names every end that
// there still is, and some perhaps that are there no more. Links in newer tiers need no such look,
// since nothing is linked to a memory after it is forgotten.
#include "engine/graph.h"
#include "engine/record.h"

#include <stdlib.h>

_Atomic size_t memdb__packed_limit = (size_t)1 << 30;

static int compare_ids(const void *a, const void *b) {
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

void memdb__packed_destroy(memdb__packed_t *packed) {
    if (packed) {
        memdb__adjacency_destroy(packed->links);
        memdb__free(packed->forgotten);
        memdb__free(packed);
    }
}

static const memdb__packed_t *packed_of(const memdb__tier_t *tier) {
    // Acquire: pairs with the release store in pack_tier.
    return atomic_load_explicit(&((memdb__tier_t *)tier)->links, memory_order_acquire);
}

size_t memdb__view_packed_bytes(const memdb__view_t *view) {
    size_t bytes = 0;
    for (size_t i = 0; i < view->tier_count; i++) {
        const memdb__packed_t *packed = packed_of(view->tiers[i]);
        if (packed && packed->links) {
            bytes += memdb__adjacency_bytes(packed->links) +
                     packed->forgotten_count * sizeof *packed->forgotten;
        }
    }
    return bytes;
}

// ------------------------------------------------------------------------------ the links

static memdb_status_t add_link(memdb__adjacency_builder_t *builder, const memdb__entry_t *entry,
                               memdb_error_t *error) {
    uint8_t type[MEMDB__KEY_MAX_BYTES];
    uint64_t from, to;
    size_t type_size;
    memdb_link_t link = {.valid_from = MEMDB_TIME_NONE, .valid_to = MEMDB_TIME_NONE};
    if (entry->key_size > sizeof type ||
        !memdb__key_parse_link(entry->key, entry->key_size, &from, type, &type_size, &to) ||
        (!entry->tombstone && !memdb__link_decode(entry->value, entry->value_size, &link))) {
        return memdb__fail(error, MEMDB_CORRUPT, "a link is not well formed");
    }
    memdb__tie_t tie = {{link.valid_from, link.valid_to}, (float)link.weight};
    return memdb__adjacency_add(builder, from, (memdb_bytes_t){(const char *)type, type_size}, to,
                                &tie, entry->tombstone, error);
}

static bool is_link(const memdb__sorted_iterator_t *at) {
    return at->valid && at->entry.key_size && at->entry.key[0] == MEMDB__KEY_LINK;
}

/// The newest version of each link of the tier. `*builder_out` is NULL when it has none, or when
/// they are too many.
static memdb_status_t read_links(const memdb__tier_t *tier, size_t limit, bool *refused_out,
                                 memdb__adjacency_builder_t **builder_out, memdb_error_t *error) {
    static const uint8_t first = MEMDB__KEY_LINK;
    memdb__sorted_iterator_t at;
    memdb__entry_t before = {0};
    *builder_out = NULL;
    memdb_status_t status = memdb__sorted_seek(tier->sorted, &first, 1, &at, error);
    if (status || !is_link(&at)) {
        return status;
    }
    memdb__adjacency_builder_t *builder = memdb__adjacency_builder_create();
    if (!builder) {
        return memdb__fail(error, MEMDB_NOMEM, "links: out of memory");
    }
    while (!status && is_link(&at) && !*refused_out) {
        if (!before.key ||
            memdb__compare(before.key, before.key_size, at.entry.key, at.entry.key_size) != 0) {
            status = add_link(builder, &at.entry, error);
        }
        before = at.entry;
        *refused_out = memdb__adjacency_builder_bytes(builder) > limit;
        status = status ? status : memdb__sorted_next(&at, error);
    }
    if (status || *refused_out) {
        memdb__adjacency_abandon(builder);
        return status;
    }
    *builder_out = builder;
    return MEMDB_OK;
}

// ------------------------------------------------------------------------------ the forgotten

/// Append those of the nodes that the tier forgets. Nodes that it does not know cost a look at its
/// hash.
static memdb_status_t find_forgotten(const memdb__tier_t *tier, const memdb__packed_t *of,
                                     memdb__buffer_t *found, memdb_error_t *error) {
    size_t count = 0;
    const uint64_t *nodes = of->links ? memdb__adjacency_nodes(of->links, &count) : NULL;
    for (size_t i = 0; i < count; i++) {
        memdb__key_t key;
        memdb__entry_t entry;
        memdb__key_record(&key, nodes[i]);
        memdb_status_t status = memdb__sorted_get(tier->sorted, key.bytes, key.size, &entry, error);
        if (status && status != MEMDB_NOT_FOUND) {
            return status;
        }
        if (!status && entry.tombstone && !memdb__buffer_append(found, &nodes[i], sizeof *nodes)) {
            return memdb__fail(error, MEMDB_NOMEM, "links: out of memory");
        }
    }
    return MEMDB_OK;
}

static memdb_status_t note_forgotten(const memdb__view_t *view, size_t number,
                                     memdb__packed_t *packed, memdb_error_t *error) {
    const memdb__tier_t *tier = view->tiers[number];
    memdb__buffer_t found = {0};
    memdb_status_t status = MEMDB_OK;
    for (size_t i = 0; !status && i < number; i++) {
        status = find_forgotten(tier, packed_of(view->tiers[i]), &found, error);
    }
    status = status ? status : find_forgotten(tier, packed, &found, error);
    if (status || !found.size) {
        memdb__buffer_deinit(&found);
        return status;
    }
    uint64_t *ids = (uint64_t *)(void *)found.data;
    size_t count = found.size / sizeof *ids, distinct = 1;
    qsort(ids, count, sizeof *ids, compare_ids);
    for (size_t i = 1; i < count; i++) {
        if (ids[i] != ids[i - 1]) {
            ids[distinct++] = ids[i];
        }
    }
    packed->forgotten = ids;
    packed->forgotten_count = distinct;
    return MEMDB_OK;
}

// ------------------------------------------------------------------------------ tiers

static memdb_status_t build(const memdb__view_t *view, size_t number, memdb__packed_t *packed,
                            memdb_error_t *error) {
    const memdb__tier_t *tier = view->tiers[number];
    memdb__adjacency_builder_t *builder;
    size_t used = memdb__view_packed_bytes(view);
    // Relaxed: a figure alone.
    size_t limit = atomic_load_explicit(&memdb__packed_limit, memory_order_relaxed);
    memdb_status_t status =
        read_links(tier, used < limit ? limit - used : 0, &packed->refused, &builder, error);
    if (!status && builder) {
        status = memdb__adjacency_finish(builder, &packed->links, error);
    }
    return status || packed->refused ? status : note_forgotten(view, number, packed, error);
}

static memdb_status_t pack_tier(const memdb__view_t *view, size_t number, memdb_error_t *error) {
    memdb__tier_t *tier = view->tiers[number];
    memdb_status_t status = MEMDB_OK;
    pthread_mutex_lock(&tier->packing);
    if (!packed_of(tier)) {
        memdb__packed_t *packed = memdb__allocate_zeroed(1, sizeof *packed);
        status = packed ? build(view, number, packed, error)
                        : memdb__fail(error, MEMDB_NOMEM, "links: out of memory");
        if (status) {
            memdb__packed_destroy(packed);
        } else {
            // Release: what was packed is complete for who reads the pointer without the mutex.
            atomic_store_explicit(&tier->links, packed, memory_order_release);
        }
    }
    pthread_mutex_unlock(&tier->packing);
    return status;
}

memdb_status_t memdb__view_pack(const memdb__view_t *view, bool *packed_out, memdb_error_t *error) {
    memdb_status_t status = MEMDB_OK;
    *packed_out = true;
    for (size_t i = 0; !status && *packed_out && i < view->tier_count; i++) {
        status = packed_of(view->tiers[i]) ? MEMDB_OK : pack_tier(view, i, error);
        *packed_out = !status && !packed_of(view->tiers[i])->refused;
    }
    return status;
}
