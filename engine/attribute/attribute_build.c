// Making an attribute index of a space that holds memories already.
//
// Three steps, none of which stops readers or writers. First the index is declared, as one that is
// being made: whatever commits from then on has its entries. Then the memories that the space had
// are gone over in order of time, in transactions of their own, and the entries of each are added;
// a memory that another commit changes meanwhile makes its batch conflict, which is then tried
// again with what is there by now. Last the index is called ready, and recall may ask it.
//
// Whoever dies on the way leaves an index that is being made, which costs what an index costs and
// is never asked; the next call goes on with it.
#include "engine/engine.h"

#define BATCH_MEMORIES 1024u // in one transaction
#define TRIES 1000u          // that end in a conflict, one after the other

typedef struct build {
    memdb_t *db;
    memdb_space_t space;
    memdb_durability_t durability;
    memdb__attribute_index_t index;
    memdb__key_t at; // of the last entry of 'T' that was gone over; size 0: none
    uint32_t batch;  // memories of the next transaction
    memdb_error_t *error;
} build_t;

typedef memdb_status_t (*step_fn)(build_t *build, memdb_txn_t *txn);

/// Run a step in transactions until one commits.
static memdb_status_t commit_step(build_t *build, step_fn step) {
    for (uint32_t tries = 1;; tries++) {
        memdb_txn_t *txn = NULL;
        memdb__key_t at = build->at;
        char message[512];
        memdb_status_t status = memdb_txn_begin(build->db, &txn);
        if (status) {
            memdb_last_error(build->db, message, sizeof message);
            return memdb__fail(build->error, status, "%s", message);
        }
        status = step(build, txn);
        if (status) {
            memdb_txn_abort(txn);
            return status;
        }
        status = memdb_txn_commit(txn, build->durability, NULL);
        if (status != MEMDB_CONFLICT || tries == TRIES) {
            memdb_last_error(build->db, message, sizeof message);
            return status ? memdb__fail(build->error, status, "%s", message) : MEMDB_OK;
        }
        build->at = at;
        build->batch = build->batch > 1 ? build->batch / 2 : 1; // fewer memories, fewer conflicts
    }
}

/// The list as the transaction sees it, and the index in it, or NULL.
static memdb_status_t find(build_t *build, memdb_txn_t *txn, memdb__attributes_t *attributes,
                           memdb__attribute_index_t **found_out) {
    memdb_space_info_t info;
    const memdb__sight_t *sight = &txn->snapshot.sight;
    memdb_status_t status = memdb__read_space(sight, build->space, &info, build->error);
    if (status == MEMDB_NOT_FOUND) {
        return memdb__fail(build->error, MEMDB_NOT_FOUND, "there is no space %u", build->space);
    }
    status =
        status ? status : memdb__read_attributes(sight, build->space, attributes, build->error);
    *found_out = status ? NULL : memdb__attributes_find(attributes, &build->index);
    return status;
}

static memdb_status_t declare(build_t *build, memdb_txn_t *txn) {
    memdb__attributes_t attributes;
    memdb__attribute_index_t *found = NULL;
    memdb_status_t status = find(build, txn, &attributes, &found);
    if (!status && found && found->ready) {
        return memdb__fail(build->error, MEMDB_EXISTS, "index: there is one on that already");
    }
    if (status || found) {
        build->index.number = found ? found->number : 0;
        return status;
    }
    build->index.number = attributes.next;
    status = memdb__attributes_add(&attributes, build->index, build->error);
    return status ? status : memdb__attributes_write(txn, build->space, &attributes, build->error);
}

/// Still the index that was declared, and not one that took its place.
static memdb_status_t check_declared(build_t *build, const memdb__attribute_index_t *found) {
    return found && found->number == build->index.number
               ? MEMDB_OK
               : memdb__fail(build->error, MEMDB_CONFLICT,
                             "index: it was dropped while it was made");
}

static memdb_status_t add_memory(build_t *build, memdb_txn_t *txn, uint64_t id,
                                 const memdb__record_t *record) {
    memdb__attributes_t one = {.count = 1, .items = {build->index}};
    memdb__buffer_t *entries = &txn->entries;
    memdb__key_t key;
    memdb__buffer_clear(entries);
    if (!memdb__attribute_encode_entries(entries, &one, NULL, record)) {
        return memdb__fail(build->error, MEMDB_NOMEM, "index: out of memory");
    }
    if (!entries->size) {
        return MEMDB_OK; // it has no value there; if it gets one, that put adds the entry
    }
    memdb__operation_t operation = {.kind = MEMDB__OPERATION_ENTRIES,
                                    .id = id,
                                    .space = build->space,
                                    .entries = {(const char *)entries->data, entries->size}};
    memdb__key_record(&key, id);
    memdb_status_t status = memdb__txn_guard(txn, &key, true, build->error);
    return status ? status : memdb__txn_operate(txn, &operation, build->error);
}

/// Go over one entry of 'T'. Stale ones lead to a memory that has another time, and another entry.
static memdb_status_t take_entry(build_t *build, memdb_txn_t *txn, const memdb__entry_t *entry) {
    memdb__record_t record;
    memdb_space_t space;
    int64_t time;
    uint64_t id, version;
    if (!memdb__key_parse_time(entry->key, entry->key_size, &space, &time, &id)) {
        return memdb__fail(build->error, MEMDB_CORRUPT, "an index entry is not well formed");
    }
    memcpy(build->at.bytes, entry->key, entry->key_size);
    build->at.size = entry->key_size;
    if (entry->tombstone) {
        return MEMDB_OK;
    }
    memdb_status_t status =
        memdb__read_record(&txn->snapshot.sight, id, &record, &version, build->error);
    if (status || record.space != build->space || record.time != time) {
        return status == MEMDB_NOT_FOUND ? MEMDB_OK : status;
    }
    return add_memory(build, txn, id, &record);
}

static memdb_status_t add_batch(build_t *build, memdb_txn_t *txn) {
    memdb__key_t prefix;
    memdb__merge_t merge = {0};
    memdb__attributes_t attributes;
    memdb__attribute_index_t *found = NULL;
    const memdb__attributes_t *guarded;
    memdb__key_time_prefix(&prefix, build->space);
    const memdb__key_t from = build->at.size ? build->at : prefix;
    memdb_status_t status = find(build, txn, &attributes, &found);
    status = status ? status : check_declared(build, found);
    status = status ? status : memdb__txn_attributes(txn, build->space, &guarded, build->error);
    status = status ? status
                    : memdb__merge_open(&merge, &txn->snapshot.sight, from.bytes, from.size,
                                        build->error);
    bool more = false;
    uint32_t taken = 0;
    while (!status && merge.valid && merge.entry.key_size >= prefix.size &&
           memcmp(merge.entry.key, prefix.bytes, prefix.size) == 0) {
        if (memdb__compare(merge.entry.key, merge.entry.key_size, from.bytes, from.size) > 0) {
            more = taken++ == build->batch;
            if (more) {
                break;
            }
            status = take_entry(build, txn, &merge.entry);
        }
        status = status ? status : memdb__merge_next(&merge, build->error);
    }
    memdb__merge_close(&merge);
    build->index.ready = !status && !more; // nothing is left behind this batch
    return status;
}

static memdb_status_t finish(build_t *build, memdb_txn_t *txn) {
    memdb__attributes_t attributes;
    memdb__attribute_index_t *found = NULL;
    memdb_status_t status = find(build, txn, &attributes, &found);
    status = status ? status : check_declared(build, found);
    if (status) {
        return status;
    }
    found->ready = true;
    return memdb__attributes_write(txn, build->space, &attributes, build->error);
}

static memdb_status_t run(build_t *build) {
    memdb_status_t status = commit_step(build, declare);
    while (!status && !build->index.ready) {
        status = commit_step(build, add_batch);
        build->batch = build->batch < BATCH_MEMORIES ? 2 * build->batch : BATCH_MEMORIES;
    }
    return status ? status : commit_step(build, finish);
}

memdb_status_t memdb_index_create(memdb_t *db, memdb_space_t space, memdb_bytes_t on,
                                  memdb_durability_t durability) {
    memdb_error_t error = {0};
    memdb__buffer_t steps = {0};
    if (!db || (uint32_t)durability > MEMDB_DURABILITY_FULL) {
        return MEMDB_INVALID;
    }
    build_t build = {.db = db,
                     .space = space,
                     .durability = durability,
                     .batch = BATCH_MEMORIES,
                     .error = &error};
    memdb_status_t status = memdb__writable(db, &error);
    status = status ? status : memdb__attribute_parse(on, &build.index, &steps, &error);
    status = status ? status : run(&build);
    memdb__buffer_deinit(&steps);
    return memdb__report(db, status, &error);
}
