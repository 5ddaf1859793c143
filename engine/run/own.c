// What a transaction wrote: its payload, the hashes of its keys, and its private run. See own.h.
//
// Invariant: an operation of the payload that the run lacks is a put, and the hashes of its record
// and of its key are among `hashes`.
#include "engine/run/own.h"

#include "engine/keys.h"

#define FIRST_SLOTS 64

void memdb__own_deinit(memdb__own_t *own) {
    memdb__run_release(own->run);
    memdb__buffer_deinit(&own->payload);
    memdb__free(own->hashes);
    *own = (memdb__own_t){0};
}

static memdb_status_t out_of_memory(memdb_error_t *error) {
    return memdb__fail(error, MEMDB_NOMEM, "transaction: out of memory");
}

// ------------------------------------------------------------------------------ hashes of keys

/// The slot that holds `hash`, or the free one where it belongs.
static uint32_t slot_of(const memdb__own_t *own, uint64_t hash) {
    uint32_t slot = (uint32_t)hash & own->mask;
    while (own->hashes[slot] && own->hashes[slot] != hash) {
        slot = (slot + 1) & own->mask;
    }
    return slot;
}

static uint64_t never_free(uint64_t hash) {
    return hash ? hash : 1;
}

/// Room for two more, at most half full. False: out of memory.
static bool reserve_hashes(memdb__own_t *own) {
    if (own->hashes && own->used + 2 <= own->mask / 2) {
        return true;
    }
    memdb__own_t grown = {.mask = own->hashes ? 2 * own->mask + 1 : FIRST_SLOTS - 1};
    grown.hashes = memdb__allocate_zeroed((size_t)grown.mask + 1, sizeof *grown.hashes);
    if (!grown.hashes) {
        return false;
    }
    for (uint32_t i = 0; own->hashes && i <= own->mask; i++) {
        if (own->hashes[i]) {
            grown.hashes[slot_of(&grown, own->hashes[i])] = own->hashes[i];
        }
    }
    memdb__free(own->hashes);
    own->hashes = grown.hashes;
    own->mask = grown.mask;
    return true;
}

static void note_key(memdb__own_t *own, const memdb__key_t *key) {
    uint64_t hash = never_free(memdb__sorted_hash(key->bytes, key->size));
    uint32_t slot = slot_of(own, hash);
    own->used += own->hashes[slot] == 0;
    own->hashes[slot] = hash;
}

static bool may_hold(const memdb__own_t *own, uint64_t hash) {
    return own->hashes && own->hashes[slot_of(own, never_free(hash))] != 0;
}

// ------------------------------------------------------------------------------ operations

/// The keys of a put whose writing excludes others: its record's and, if it writes one, its own.
static bool keys_of(const memdb__operation_t *put, const memdb__record_t *record,
                    memdb__key_t *record_out, memdb__key_t *key_out) {
    memdb__key_record(record_out, put->id);
    bool keyed = (put->flags & MEMDB__PUT_KEY) && record->key.size;
    if (keyed) {
        memdb__key_key(key_out, record->space, record->key);
    }
    return keyed;
}

/// Apply what the run lacks.
static memdb_status_t apply(memdb__own_t *own, memdb_error_t *error) {
    if (own->failure) {
        return memdb__fail(error, MEMDB_FAILED,
                           "an earlier operation of this transaction failed half-way; abort it");
    }
    if (!own->run && !(own->run = memdb__run_create(MEMDB__PRIVATE, NULL))) {
        return out_of_memory(error);
    }
    if (own->applied < own->operations) {
        own->failure = memdb__run_apply(own->run, own->payload.data + own->applied_bytes,
                                        own->payload.size - own->applied_bytes, MEMDB__PRIVATE,
                                        own->applied, NULL, error);
        own->applied = own->operations;
        own->applied_bytes = own->payload.size;
    }
    return own->failure;
}

static memdb_status_t encode(memdb__own_t *own, const memdb__operation_t *operation,
                             memdb_error_t *error) {
    size_t before = own->payload.size;
    if (!memdb__operation_encode(&own->payload, operation)) {
        own->payload.size = before;
        own->payload.failed = false;
        return out_of_memory(error);
    }
    if (own->payload.size > MEMDB_MAX_TXN_BYTES) {
        own->payload.size = before;
        return memdb__fail(error, MEMDB_LIMIT,
                           "the transaction is larger than %u bytes; commit in smaller parts",
                           MEMDB_MAX_TXN_BYTES);
    }
    own->operations++;
    return MEMDB_OK;
}

memdb_status_t memdb__own_add(memdb__own_t *own, const memdb__operation_t *operation,
                              memdb_error_t *error) {
    memdb_status_t status = own->failure ? MEMDB_OK : encode(own, operation, error);
    return status ? status : apply(own, error);
}

memdb_status_t memdb__own_put(memdb__own_t *own, const memdb__operation_t *put,
                              const memdb__record_t *record, memdb_error_t *error) {
    memdb__key_t record_key, key;
    if (own->walked || own->failure) {
        return memdb__own_add(own, put, error);
    }
    if (!reserve_hashes(own)) {
        return out_of_memory(error);
    }
    memdb_status_t status = encode(own, put, error);
    if (!status) {
        if (keys_of(put, record, &record_key, &key)) {
            note_key(own, &key);
        }
        note_key(own, &record_key);
    }
    return status;
}

// ------------------------------------------------------------------------------ reading it back

memdb_status_t memdb__own_run(memdb__own_t *own, memdb__run_t **run_out, memdb_error_t *error) {
    memdb_status_t status = apply(own, error);
    if (!status) {
        own->walked = true;
        *run_out = own->run;
    }
    return status;
}

memdb_status_t memdb__own_get(memdb__own_t *own, const void *key, size_t size, uint64_t hash,
                              memdb__entry_t *entry_out, memdb_error_t *error) {
    bool waits = own->applied < own->operations &&
                 (!memdb__run_hash_holds(key, size) || may_hold(own, hash));
    memdb_status_t status = waits || own->failure ? apply(own, error) : MEMDB_OK;
    if (status) {
        return status;
    }
    return own->run && memdb__run_get_hashed(own->run, key, size, hash, UINT64_MAX, entry_out)
               ? MEMDB_OK
               : MEMDB_NOT_FOUND;
}

bool memdb__own_holds(const memdb__own_t *own, memdb__run_holds_t what) {
    return own->run && memdb__run_holds(own->run, what); // no put writes any of it
}

static memdb_status_t visit_puts(memdb__own_t *own,
                                 memdb_status_t (*visit)(void *context, const memdb__entry_t *entry,
                                                         memdb_error_t *error),
                                 void *context, memdb_error_t *error) {
    memdb__reader_t reader = memdb__reader(own->payload.data + own->applied_bytes,
                                           own->payload.size - own->applied_bytes);
    memdb__operation_t put;
    memdb_status_t status = MEMDB_OK;
    while (!status && memdb__operation_decode(&reader, &put)) {
        memdb__record_t record;
        memdb__key_t record_key, key;
        if (!memdb__record_decode((const uint8_t *)put.body.data, put.body.size, &record)) {
            return memdb__fail(error, MEMDB_CORRUPT, "put: the record is not well formed");
        }
        bool keyed = keys_of(&put, &record, &record_key, &key);
        memdb__entry_t entry = {.key = record_key.bytes,
                                .key_size = record_key.size,
                                .value = (const uint8_t *)put.body.data,
                                .value_size = (uint32_t)put.body.size};
        status = visit(context, &entry, error);
        if (!status && keyed) {
            entry = (memdb__entry_t){.key = key.bytes, .key_size = key.size};
            status = visit(context, &entry, error);
        }
    }
    return status;
}

memdb_status_t memdb__own_each(memdb__own_t *own,
                               memdb_status_t (*visit)(void *context, const memdb__entry_t *entry,
                                                       memdb_error_t *error),
                               void *context, memdb_error_t *error) {
    memdb_status_t status = MEMDB_OK;
    const memdb__node_t *node = own->run ? memdb__run_seek(own->run, NULL, 0, UINT64_MAX) : NULL;
    for (; !status && node; node = memdb__run_next(node, UINT64_MAX)) {
        memdb__entry_t entry;
        memdb__node_entry(node, &entry);
        status = visit(context, &entry, error);
    }
    return status ? status : visit_puts(own, visit, context, error);
}
