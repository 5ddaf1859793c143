// Attribute indexes of a space: reading, declaring, dropping and listing them.
//
// The list of a space is one entry ('X'), so two changes of it exclude each other, and a
// transaction that puts or forgets demands that it did not change since its snapshot: whatever
// commits after an index was declared has its entries. attribute_build.c adds those of what was
// there before.
#include "engine/engine.h"

memdb_status_t memdb__read_attributes(const memdb__sight_t *sight, memdb_space_t space,
                                      memdb__attributes_t *attributes_out, memdb_error_t *error) {
    memdb__key_t key;
    memdb__entry_t entry;
    memdb__key_attributes(&key, space);
    memdb_status_t status = memdb__sight_get(sight, key.bytes, key.size, &entry, error);
    if (status == MEMDB_NOT_FOUND || (!status && entry.tombstone)) {
        attributes_out->next = attributes_out->count = 0;
        return MEMDB_OK;
    }
    if (!status && !memdb__attributes_decode(entry.value, entry.value_size, attributes_out)) {
        return memdb__fail(error, MEMDB_CORRUPT,
                           "the list of indexes of space %u is not well formed", space);
    }
    return status;
}

memdb_status_t memdb__txn_attributes(memdb_txn_t *txn, memdb_space_t space,
                                     const memdb__attributes_t **attributes_out,
                                     memdb_error_t *error) {
    memdb_status_t status = MEMDB_OK;
    if (!txn->attributes &&
        !(txn->attributes = memdb__arena_allocate(&txn->snapshot.arena, sizeof *txn->attributes))) {
        return memdb__fail(error, MEMDB_NOMEM, "transaction: out of memory");
    }
    if (txn->attributes_of != space) {
        memdb__key_t key;
        txn->attributes_of = 0; // spaces are numbered from 1
        memdb__key_attributes(&key, space);
        status = memdb__read_attributes(&txn->snapshot.sight, space, txn->attributes, error);
        status = status ? status : memdb__txn_guard(txn, &key, true, error);
        txn->attributes_of = status ? 0 : space;
    }
    *attributes_out = txn->attributes;
    return status;
}

/// The place of an index in a list, or NULL.
memdb__attribute_index_t *memdb__attributes_find(memdb__attributes_t *attributes,
                                                 const memdb__attribute_index_t *index) {
    for (uint32_t i = 0; i < attributes->count; i++) {
        if (memdb__attribute_same(&attributes->items[i], index)) {
            return &attributes->items[i];
        }
    }
    return NULL;
}

memdb_status_t memdb__attributes_write(memdb_txn_t *txn, memdb_space_t space,
                                       const memdb__attributes_t *attributes,
                                       memdb_error_t *error) {
    memdb__buffer_t body = {0};
    memdb__key_t key;
    memdb__key_space(&key, space);
    memdb_status_t status = memdb__attributes_encode(&body, attributes)
                                ? MEMDB_OK
                                : memdb__fail(error, MEMDB_NOMEM, "index: out of memory");
    memdb__operation_t operation = {.kind = MEMDB__OPERATION_INDEXES,
                                    .space = space,
                                    .body = {(const char *)body.data, body.size}};
    status = status ? status : memdb__txn_guard(txn, &key, false, error);
    status = status ? status : memdb__txn_operate(txn, &operation, error);
    memdb__buffer_deinit(&body);
    txn->attributes_of = 0; // to be read anew
    return status;
}

memdb_status_t memdb__attributes_add(memdb__attributes_t *attributes,
                                     memdb__attribute_index_t index, memdb_error_t *error) {
    if (attributes->count == MEMDB__ATTRIBUTE_INDEXES || attributes->next == UINT32_MAX) {
        return memdb__fail(error, MEMDB_LIMIT, "index: a space has at most %u",
                           MEMDB__ATTRIBUTE_INDEXES);
    }
    index.number = attributes->next++;
    attributes->items[attributes->count++] = index;
    return MEMDB_OK;
}

memdb_status_t memdb__attributes_of_text(memdb_txn_t *txn, memdb_space_t space,
                                         const memdb__attribute_index_t **index_out,
                                         memdb_error_t *error) {
    const memdb__attributes_t *attributes;
    const memdb__attribute_index_t hash = {.field = MEMDB__ATTRIBUTE_TEXT_HASH};
    memdb_status_t status = memdb__txn_attributes(txn, space, &attributes, error);
    if (status) {
        return status;
    }
    *index_out = memdb__attributes_find((memdb__attributes_t *)attributes, &hash);
    return *index_out && (*index_out)->ready
               ? MEMDB_OK
               : memdb__fail(error, MEMDB_INVALID,
                             "gates: no_copies needs an index on text_hash that is ready");
}

/// A space without memories: its indexes are ready at once.
memdb_status_t memdb__attributes_create(memdb_txn_t *txn, memdb_space_t space,
                                        const memdb_bytes_t *on, size_t count, bool text,
                                        memdb_error_t *error) {
    memdb__attributes_t attributes = {0};
    memdb__attribute_index_t hash = {.ready = true, .field = MEMDB__ATTRIBUTE_TEXT_HASH};
    memdb__buffer_t steps[MEMDB__ATTRIBUTE_INDEXES] = {0};
    memdb_status_t status = MEMDB_OK;
    if (count > MEMDB__ATTRIBUTE_INDEXES) {
        return memdb__fail(error, MEMDB_LIMIT, "indexes: %zu, a space has at most %u", count,
                           MEMDB__ATTRIBUTE_INDEXES);
    }
    for (size_t i = 0; !status && i < count; i++) {
        memdb__attribute_index_t index;
        status = memdb__attribute_parse(on[i], &index, &steps[i], error);
        if (!status && memdb__attributes_find(&attributes, &index)) {
            status = memdb__fail(error, MEMDB_INVALID, "indexes: \"%.*s\" is named twice",
                                 (int)on[i].size, on[i].data);
        }
        index.ready = true;
        status = status ? status : memdb__attributes_add(&attributes, index, error);
    }
    if (!status && text && !memdb__attributes_find(&attributes, &hash)) {
        status = memdb__attributes_add(&attributes, hash, error);
    }
    if (!status && attributes.count) {
        status = memdb__attributes_write(txn, space, &attributes, error);
    }
    for (size_t i = 0; i < count; i++) {
        memdb__buffer_deinit(&steps[i]);
    }
    return status;
}

// ------------------------------------------------------------------------------ drop, list

static memdb_status_t drop(memdb_txn_t *txn, const memdb_space_info_t *space, memdb_bytes_t on,
                           memdb_error_t *error) {
    memdb__attributes_t attributes;
    memdb__key_t key;
    memdb__attribute_index_t index;
    memdb__buffer_t steps = {0};
    memdb_status_t status = memdb__attribute_parse(on, &index, &steps, error);
    status = status
                 ? status
                 : memdb__read_attributes(&txn->snapshot.sight, space->space, &attributes, error);
    memdb__attribute_index_t *found = status ? NULL : memdb__attributes_find(&attributes, &index);
    if (!status && !found) {
        status = memdb__fail(error, MEMDB_NOT_FOUND, "index: there is none on \"%.*s\"",
                             (int)on.size, on.data);
    }
    if (!status && index.field == MEMDB__ATTRIBUTE_TEXT_HASH) {
        // Nor may the gate be set meanwhile.
        memdb__key_space(&key, space->space);
        status = space->gates.no_copies
                     ? memdb__fail(error, MEMDB_INVALID,
                                   "index: the gate no_copies needs the one on text_hash")
                     : memdb__txn_guard(txn, &key, true, error);
    }
    if (!status) {
        size_t behind = (size_t)(attributes.items + attributes.count - (found + 1));
        memmove(found, found + 1, behind * sizeof *found);
        attributes.count--;
        status = memdb__attributes_write(txn, space->space, &attributes, error);
    }
    memdb__buffer_deinit(&steps);
    return status;
}

memdb_status_t memdb_index_drop(memdb_txn_t *txn, memdb_space_t space, memdb_bytes_t on) {
    memdb_error_t error = {0};
    memdb_space_info_t info;
    if (!txn) {
        return MEMDB_INVALID;
    }
    memdb_status_t status = memdb__snapshot_usable(&txn->snapshot, &error);
    status = status ? status : memdb__read_space(&txn->snapshot.sight, space, &info, &error);
    if (status == MEMDB_NOT_FOUND) {
        status = memdb__fail(&error, MEMDB_NOT_FOUND, "there is no space %u", space);
    }
    status = status ? status : drop(txn, &info, on, &error);
    return memdb__report(txn->snapshot.db, status, &error);
}

static memdb_status_t visit_indexes(memdb_snapshot_t *snapshot, memdb_space_t space,
                                    bool (*visit)(void *context, const memdb_index_info_t *info),
                                    void *context, memdb_error_t *error) {
    memdb__attributes_t attributes;
    memdb__buffer_t on = {0};
    memdb_status_t status = memdb__read_attributes(&snapshot->sight, space, &attributes, error);
    bool more = true;
    for (uint32_t i = 0; !status && more && i < attributes.count; i++) {
        const memdb__attribute_index_t *index = &attributes.items[i];
        const memdb__attribute_value_t any = {0};
        memdb__key_range_t all;
        uint64_t count;
        memdb__key_attribute_prefix(&all.from, space, index->number, &any);
        all.to = all.from;
        memdb__key_pass(&all.to);
        memdb__buffer_clear(&on);
        status = memdb__attribute_print(&on, index)
                     ? memdb__range_estimate(&snapshot->sight, &all, &count, error)
                     : memdb__fail(error, MEMDB_NOMEM, "index: out of memory");
        if (!status) {
            memdb_index_info_t info = {.size = sizeof info,
                                       .on = {(const char *)on.data, on.size},
                                       .ready = index->ready,
                                       .memories = count};
            more = visit(context, &info);
        }
    }
    memdb__buffer_deinit(&on);
    return status;
}

memdb_status_t memdb_index_list(memdb_snapshot_t *snapshot, memdb_space_t space,
                                bool (*visit)(void *context, const memdb_index_info_t *info),
                                void *context) {
    memdb_error_t error = {0};
    memdb_space_info_t info;
    if (!snapshot || !visit) {
        return MEMDB_INVALID;
    }
    memdb_status_t status = memdb__snapshot_usable(snapshot, &error);
    status = status ? status : memdb__read_space(&snapshot->sight, space, &info, &error);
    if (status == MEMDB_NOT_FOUND) {
        status = memdb__fail(&error, MEMDB_NOT_FOUND, "there is no space %u", space);
    }
    status = status ? status : visit_indexes(snapshot, space, visit, context, &error);
    return memdb__report(snapshot->db, status, &error);
}
