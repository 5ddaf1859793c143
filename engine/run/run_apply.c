// Applying a frame's operations to a run, and what a run counts of each space. See run.h and
// record.h.
//
// Invariant: an entry's record is inserted after the index entries that lead to it, so a reader may
// find an index entry without its record (and skips it), but never misses a record.
#include "engine/attribute/attribute.h"
#include "engine/run/run_internal.h"
#include "engine/table/description.h"

// ------------------------------------------------------------------------------ counters

static memdb__counter_t *find_counter(const memdb__run_t *run, memdb_space_t space) {
    // Acquire: pairs with the release store in `count`.
    memdb__counter_t *counter = atomic_load_explicit(
        &((memdb__run_t *)run)->counters[space % MEMDB__COUNTER_BUCKETS], memory_order_acquire);
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
        _Atomic(memdb__counter_t *) *bucket = &run->counters[space % MEMDB__COUNTER_BUCKETS];
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
    for (size_t i = 0; i < MEMDB__COUNTER_BUCKETS; i++) {
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

static bool insert_copy(memdb__run_t *run, const memdb__key_t *key, uint64_t version,
                        const void *value, size_t size) {
    const uint8_t *copy = memdb__arena_copy(&run->arena, value, size);
    return copy && memdb__run_insert(run, key, version, copy, size, false);
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

/// Entries of attribute indexes. An id has at most one in an index.
static memdb_status_t apply_entries(memdb__run_t *run, memdb_space_t space, uint64_t id,
                                    memdb_bytes_t entries, uint64_t version, memdb_error_t *error) {
    memdb__reader_t reader = memdb__reader(entries.data, entries.size);
    memdb__attribute_entry_t entry;
    memdb__key_t key;
    while (memdb__attribute_next_entry(&reader, &entry)) {
        memdb__key_attribute(&key, space, entry.number, (const uint8_t *)entry.value.data,
                             entry.value.size, id);
        if (!memdb__run_insert(run, &key, version, NULL, 0, !entry.put)) {
            return out_of_memory(error);
        }
    }
    return reader.bad ? malformed(error, "entry of an index") : MEMDB_OK;
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
    memdb__key_t key, name;
    bool fine = true, named = (operation->flags & MEMDB__PUT_KEY) && record.key.size;
    // What is hashed comes last: its places in a table that no cache holds are fetched meanwhile.
    memdb__key_record(&key, operation->id);
    uint64_t hash = memdb__sorted_hash(key.bytes, key.size), name_hash = 0;
    memdb__run_hash_expect(run, hash);
    if (named) {
        memdb__key_key(&name, record.space, record.key);
        name_hash = memdb__sorted_hash(name.bytes, name.size);
        memdb__run_hash_expect(run, name_hash);
    }
    if (fine && (operation->flags & MEMDB__PUT_PLACE) && record.time != MEMDB_TIME_NONE) {
        memdb__key_time(&key, record.space, record.time, operation->id);
        fine = memdb__run_insert(run, &key, version, NULL, 0, false);
    }
    if (fine && (operation->flags & MEMDB__PUT_PLACE) && record.session.size) {
        memdb__key_session(&key, record.space, record.session, record.time, operation->id);
        fine = memdb__run_insert(run, &key, version, NULL, 0, false);
    }
    if (fine && (operation->flags & MEMDB__PUT_OLD_BAG)) {
        if (!memdb__bag_verify((const uint8_t *)operation->old_bag.data, operation->old_bag.size)) {
            return malformed(error, "bag");
        }
        fine = add_waiting(run, WAITING_REMOVAL, record.space, operation->id, version,
                           operation->old_bag);
    }
    if (fine && (operation->flags & MEMDB__PUT_BAG)) {
        if (!memdb__bag_verify((const uint8_t *)operation->bag.data, operation->bag.size)) {
            return malformed(error, "bag");
        }
        fine = add_waiting(run, WAITING_DOCUMENT, record.space, operation->id, version,
                           operation->bag);
    }
    if (fine && (operation->flags & MEMDB__PUT_ROW)) {
        if (!memdb__row_verify((const uint8_t *)operation->row.data, operation->row.size,
                               record.dimension)) {
            return malformed(error, "vector");
        }
        fine = add_waiting(run, WAITING_ROW, record.space, operation->id, version, operation->row);
    }
    if (fine) {
        memdb_status_t status =
            apply_entries(run, record.space, operation->id, operation->entries, version, error);
        if (status) {
            return status;
        }
    }
    if (fine && named) {
        uint8_t *id = memdb__arena_allocate(&run->arena, 8);
        if (id) {
            memdb__put_u64(id, operation->id);
        }
        fine = id && memdb__run_insert_hashed(run, &name, name_hash, version, id, 8, false);
    }
    // The record last: an index entry whose record is not there yet is skipped by readers, the
    // other way it would be missed.
    memdb__key_record(&key, operation->id);
    fine = fine &&
           count(run, record.space, operation->flags & MEMDB__PUT_NEW ? 1 : 0,
                 operation->text_difference) &&
           memdb__run_insert_hashed(run, &key, hash, version, value, operation->body.size, false);
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
    fine = fine && memdb__run_insert(run, &key, version, NULL, 0, true);
    if (fine && (operation->flags & MEMDB__FORGET_ERASE)) {
        memdb__key_erased(&key, operation->id);
        fine = memdb__run_insert(run, &key, version, NULL, 0, false);
    }
    return fine ? apply_entries(run, operation->space, operation->id, operation->entries, version,
                                error)
                : out_of_memory(error);
}

static memdb_status_t apply_link(memdb__run_t *run, const memdb__operation_t *operation,
                                 uint64_t version, memdb_error_t *error) {
    memdb__key_t key;
    memdb_link_t link;
    if (!memdb__link_decode((const uint8_t *)operation->body.data, operation->body.size, &link)) {
        return malformed(error, "link");
    }
    memdb__key_link_in(&key, operation->id, operation->name, operation->to);
    bool fine = memdb__run_insert(run, &key, version, NULL, 0, false);
    memdb__key_link(&key, operation->id, operation->name, operation->to);
    return fine && insert_copy(run, &key, version, operation->body.data, operation->body.size)
               ? MEMDB_OK
               : out_of_memory(error);
}

/// Both entries are buried, so that what a run says of the links into a memory stands with it.
static memdb_status_t apply_unlink(memdb__run_t *run, const memdb__operation_t *operation,
                                   uint64_t version, memdb_error_t *error) {
    memdb__key_t key;
    memdb__key_link(&key, operation->id, operation->name, operation->to);
    bool fine = memdb__run_insert(run, &key, version, NULL, 0, true);
    memdb__key_link_in(&key, operation->id, operation->name, operation->to);
    return fine && memdb__run_insert(run, &key, version, NULL, 0, true) ? MEMDB_OK
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

static memdb_status_t apply_table(memdb__run_t *run, const memdb__operation_t *operation,
                                  uint64_t version, memdb_error_t *error) {
    memdb__key_t key;
    memdb_bytes_t name;
    uint8_t number[4];
    if (!memdb__table_decode_name((const uint8_t *)operation->body.data, operation->body.size,
                                  &name)) {
        return malformed(error, "table");
    }
    memdb__put_u32(number, operation->space);
    memdb__key_table(&key, operation->space);
    bool fine = insert_copy(run, &key, version, operation->body.data, operation->body.size);
    memdb__key_table_name(&key, name);
    return fine && insert_copy(run, &key, version, number, sizeof number) ? MEMDB_OK
                                                                          : out_of_memory(error);
}

/// Rows of a table: the values stay in one piece.
static memdb_status_t apply_rows(memdb__run_t *run, const memdb__operation_t *operation,
                                 uint64_t version, memdb_error_t *error) {
    size_t count = operation->body.size / 8, each = operation->row.size / count;
    const uint8_t *value = memdb__arena_copy(&run->arena, operation->row.data, operation->row.size);
    if (!value) {
        return out_of_memory(error);
    }
    for (size_t i = 0; i < count; i++, value += each) {
        memdb__key_t key;
        memdb__key_row(&key, operation->space, memdb__get_u64(operation->body.data + 8 * i));
        if (!memdb__run_insert(run, &key, version, value, each, false)) {
            return out_of_memory(error);
        }
    }
    return MEMDB_OK;
}

static memdb_status_t apply_indexes(memdb__run_t *run, const memdb__operation_t *operation,
                                    uint64_t version, memdb_error_t *error) {
    memdb__key_t key;
    memdb__attributes_t attributes;
    if (!memdb__attributes_decode((const uint8_t *)operation->body.data, operation->body.size,
                                  &attributes)) {
        return malformed(error, "list of indexes");
    }
    memdb__key_attributes(&key, operation->space);
    return insert_copy(run, &key, version, operation->body.data, operation->body.size)
               ? MEMDB_OK
               : out_of_memory(error);
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
        return apply_unlink(run, operation, version, error);
    case MEMDB__OPERATION_SPACE:
        return apply_space(run, operation, version, error);
    case MEMDB__OPERATION_DROP:
        memdb__key_name(&key, operation->name);
        if (!memdb__run_insert(run, &key, version, NULL, 0, true)) {
            return out_of_memory(error);
        }
        memdb__key_space(&key, operation->space);
        return memdb__run_insert(run, &key, version, NULL, 0, true) ? MEMDB_OK
                                                                    : out_of_memory(error);
    case MEMDB__OPERATION_BLOB:
        memdb__key_blob(&key, operation->hash);
        memcpy(value, operation->reference, 32);
        memdb__put_u64(value + 32, operation->size);
        return insert_copy(run, &key, version, value, sizeof value) ? MEMDB_OK
                                                                    : out_of_memory(error);
    case MEMDB__OPERATION_SEAL:
    case MEMDB__OPERATION_RETIRE: // the handle's business: memdb__apply_frame
        return MEMDB_OK;
    case MEMDB__OPERATION_ENTRIES:
        return apply_entries(run, operation->space, operation->id, operation->entries, version,
                             error);
    case MEMDB__OPERATION_INDEXES:
        return apply_indexes(run, operation, version, error);
    case MEMDB__OPERATION_TABLE:
        return apply_table(run, operation, version, error);
    case MEMDB__OPERATION_DROP_TABLE:
        memdb__key_table_name(&key, operation->name);
        if (!memdb__run_insert(run, &key, version, NULL, 0, true)) {
            return out_of_memory(error);
        }
        memdb__key_table(&key, operation->space);
        return memdb__run_insert(run, &key, version, NULL, 0, true) ? MEMDB_OK
                                                                    : out_of_memory(error);
    case MEMDB__OPERATION_ROWS:
        return apply_rows(run, operation, version, error);
    case MEMDB__OPERATION_SETTING:
        memdb__key_setting(&key, operation->name);
        memdb__put_u64(value, operation->size);
        return insert_copy(run, &key, version, value, 8) ? MEMDB_OK : out_of_memory(error);
    }
    return malformed(error, "operation");
}

memdb_status_t memdb__run_apply(memdb__run_t *run, const uint8_t *payload, size_t size,
                                uint64_t base, uint64_t first, bool *sealed_out,
                                memdb_error_t *error) {
    memdb__reader_t reader = memdb__reader(payload, size);
    memdb__operation_t operation;
    uint64_t version = base + first;
    memdb_status_t status = MEMDB_OK;
    pthread_mutex_lock(&run->linking);
    while (!status && memdb__operation_decode(&reader, &operation)) {
        status = apply_operation(run, &operation, base, version, error);
        if (!status && operation.kind == MEMDB__OPERATION_SEAL && sealed_out) {
            *sealed_out = true;
        }
        version++;
    }
    pthread_mutex_unlock(&run->linking);
    if (status) {
        return status;
    }
    if (reader.bad) {
        return malformed(error, "payload");
    }
    // Release: a builder that reads this version finds all waiting entries up to it.
    atomic_store_explicit(&run->applied_version, version, memory_order_release);
    return MEMDB_OK;
}
