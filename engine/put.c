// Memories: put and forget.
//
// A put reads the memory as the transaction sees it, lays the given fields over it, derives what
// the indexes need (bag, row), and encodes one operation. The old text's bag goes along, so that
// word statistics stay exact without any reader ever looking back (rule 17).
#include "base/io.h"
#include "base/json.h"
#include "engine/engine.h"

#include <math.h>

static memdb_status_t check_texts(const memdb_memory_t *memory, memdb_error_t *error) {
    const struct {
        uint32_t field;
        const char *name;
        memdb_bytes_t text;
        size_t limit;
        bool allow_nul;
    } texts[] = {
        {MEMDB_FIELD_KEY, "key", memory->key, MEMDB_MAX_KEY_BYTES, false},
        {MEMDB_FIELD_TEXT, "text", memory->text, MEMDB_MAX_TEXT_BYTES, true},
        {MEMDB_FIELD_KIND, "kind", memory->kind, MEMDB_MAX_NAME_BYTES, false},
        {MEMDB_FIELD_SESSION, "session", memory->session, MEMDB_MAX_NAME_BYTES, false},
        {MEMDB_FIELD_ACTOR, "actor", memory->actor, MEMDB_MAX_NAME_BYTES, false},
        {MEMDB_FIELD_ATTRS, "attrs", memory->attrs, MEMDB_MAX_ATTRS_BYTES, false},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        memdb_status_t status = memory->fields & texts[i].field
                                    ? memdb__check_text(texts[i].name, texts[i].text,
                                                        texts[i].limit, texts[i].allow_nul, error)
                                    : MEMDB_OK;
        if (status) {
            return status;
        }
    }
    return (memory->fields & MEMDB_FIELD_ATTRS) && memory->attrs.size
               ? memdb__json_is_object(memory->attrs.data, memory->attrs.size, error)
               : MEMDB_OK;
}

static memdb_status_t check_memory(const memdb_memory_t *memory, memdb_error_t *error) {
    if (memory->size < sizeof *memory) {
        return memdb__fail(error, MEMDB_INVALID, "put: the struct's size is not set");
    }
    if (memory->fields >= MEMDB_FIELD_BLOBS << 1) {
        return memdb__fail(error, MEMDB_INVALID, "put: fields 0x%x are not known", memory->fields);
    }
    if ((memory->fields & MEMDB_FIELD_IMPORTANCE) && !isfinite(memory->importance)) {
        return memdb__fail(error, MEMDB_INVALID, "importance: not a finite number");
    }
    if ((memory->fields & MEMDB_FIELD_VECTOR) && memory->dimension &&
        (!memory->vector || memory->dimension > MEMDB_MAX_DIMENSION)) {
        return memdb__fail(error, MEMDB_INVALID, "vector: dimension %u, at most %u",
                           memory->dimension, MEMDB_MAX_DIMENSION);
    }
    if ((memory->fields & MEMDB_FIELD_BLOBS) &&
        (memory->blob_count > MEMDB_MAX_BLOBS || (memory->blob_count && !memory->blobs))) {
        return memdb__fail(error, MEMDB_LIMIT, "blobs: %u, at most %u", memory->blob_count,
                           MEMDB_MAX_BLOBS);
    }
    for (uint32_t i = 0; (memory->fields & MEMDB_FIELD_BLOBS) && i < memory->blob_count; i++) {
        memdb_status_t status = memdb__check_text("media_type", memory->blobs[i].media_type,
                                                  MEMDB_MAX_NAME_BYTES, false, error);
        if (status) {
            return status;
        }
    }
    return check_texts(memory, error);
}

// ------------------------------------------------------------------------------ what is there
// already

/// One put under way.
typedef struct put {
    memdb_txn_t *txn;
    const memdb_memory_t *in;
    memdb_space_info_t space;
    uint64_t id;
    bool is_new;
    memdb__record_t old;
    uint64_t old_version;
    memdb__record_t record;    // what will be
    const memdb_blob_t *blobs; // to be written; NULL: those of the old record, as they are
    memdb__operation_t operation;
    bool text_changed;
    float *embedded; // a vector from the space's embedder
} put_t;

static memdb_status_t lease_id(memdb_t *db, uint64_t *id_out) {
    pthread_mutex_lock(&db->lease);
    if (db->lease_next == db->lease_end) {
        // Unique is all that it needs: recovery starts above everything that is in base and log
        // (rule 16).
        db->lease_next =
            atomic_fetch_add_explicit(&db->control->next_id, MEMDB__LEASE, memory_order_relaxed);
        db->lease_end = db->lease_next + MEMDB__LEASE;
    }
    *id_out = db->lease_next++;
    pthread_mutex_unlock(&db->lease);
    return MEMDB_OK;
}

/// Find the memory that the put names, or take a new id.
static memdb_status_t resolve(put_t *put, memdb_error_t *error) {
    const memdb__sight_t *sight = &put->txn->snapshot.sight;
    const memdb_memory_t *in = put->in;
    uint64_t keyed = 0;
    if ((in->fields & MEMDB_FIELD_KEY) && in->key.size) {
        memdb_status_t status = memdb__read_by_key(sight, put->space.space, in->key, &keyed,
                                                   &put->old, &put->old_version, error);
        if (status && status != MEMDB_NOT_FOUND) {
            return status;
        }
    }
    if (in->id && keyed && keyed != in->id) {
        return memdb__fail(error, MEMDB_EXISTS, "put: the key belongs to memory %llu, not %llu",
                           (unsigned long long)keyed, (unsigned long long)in->id);
    }
    put->id = in->id ? in->id : keyed;
    if (!put->id) {
        put->is_new = true;
        return lease_id(put->txn->snapshot.db, &put->id);
    }
    if (keyed) {
        return MEMDB_OK; // its record was read along
    }
    memdb_status_t status = memdb__read_record(sight, put->id, &put->old, &put->old_version, error);
    if (status == MEMDB_NOT_FOUND || (!status && put->old.space != put->space.space)) {
        return memdb__fail(error, MEMDB_NOT_FOUND, "put: there is no memory %llu in the space",
                           (unsigned long long)put->id);
    }
    return status;
}

static bool same(memdb_bytes_t a, memdb_bytes_t b) {
    return memdb__compare(a.data, a.size, b.data, b.size) == 0;
}

/// Lay the given fields over the old record.
static memdb_status_t merge_fields(put_t *put, memdb_error_t *error) {
    const memdb_memory_t *in = put->in;
    memdb__record_t *record = &put->record;
    *record = put->old;
    if (put->is_new) {
        *record = (memdb__record_t){.time = MEMDB_TIME_NONE,
                                    .valid_from = MEMDB_TIME_NONE,
                                    .valid_to = MEMDB_TIME_NONE,
                                    .expires = MEMDB_TIME_NONE};
    }
    record->space = put->space.space;
    const memdb_bytes_t texts_in[] = {in->key,     in->text,  in->kind,
                                      in->session, in->actor, in->attrs};
    memdb_bytes_t *const texts[] = {&record->key,     &record->text,  &record->kind,
                                    &record->session, &record->actor, &record->attrs};
    const int64_t times_in[] = {in->time, in->valid_from, in->valid_to, in->expires};
    int64_t *const times[] = {&record->time, &record->valid_from, &record->valid_to,
                              &record->expires};
    for (uint32_t i = 0; i < 6; i++) {
        uint32_t bit = i < 5 ? 1u << i : MEMDB_FIELD_ATTRS;
        if (in->fields & bit) {
            *texts[i] = texts_in[i];
            record->fields = texts_in[i].size ? record->fields | bit : record->fields & ~bit;
        }
    }
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t bit = MEMDB_FIELD_TIME << i;
        if (in->fields & bit) {
            *times[i] = times_in[i];
            record->fields =
                times_in[i] != MEMDB_TIME_NONE ? record->fields | bit : record->fields & ~bit;
        }
    }
    if (!(record->fields &
          MEMDB_FIELD_TIME)) { // every memory has a time: by default that of the put
        record->time =
            put->is_new || put->old.time == MEMDB_TIME_NONE ? memdb__now_us() : put->old.time;
        record->fields |= MEMDB_FIELD_TIME;
    }
    if (in->fields & MEMDB_FIELD_IMPORTANCE) {
        record->importance = in->importance;
    }
    if (in->fields & MEMDB_FIELD_TOKENS) {
        record->tokens = in->tokens;
    }
    record->fields |= in->fields & (MEMDB_FIELD_IMPORTANCE | MEMDB_FIELD_TOKENS);
    if (in->fields & MEMDB_FIELD_BLOBS) {
        record->blob_count = in->blob_count;
        record->fields = in->blob_count ? record->fields | MEMDB_FIELD_BLOBS
                                        : record->fields & ~(uint32_t)MEMDB_FIELD_BLOBS;
    }
    if (put->is_new && !put->txn->as_given && put->space.gates.expire_after_us &&
        record->expires == MEMDB_TIME_NONE) {
        int64_t now = memdb__now_us(), after = put->space.gates.expire_after_us;
        record->expires = after < INT64_MAX - now ? now + after : INT64_MAX;
        record->fields |= MEMDB_FIELD_EXPIRES;
    }
    if (record->valid_from != MEMDB_TIME_NONE && record->valid_to != MEMDB_TIME_NONE &&
        record->valid_to < record->valid_from) {
        return memdb__fail(error, MEMDB_INVALID, "valid_to is before valid_from");
    }
    return MEMDB_OK;
}

// ------------------------------------------------------------------------------ what the indexes
// need

static memdb_bytes_t bytes_of(const memdb__buffer_t *buffer) {
    return (memdb_bytes_t){(const char *)buffer->data, buffer->size};
}

static memdb_status_t encode_bag(const put_t *put, const memdb__record_t *record,
                                 memdb__buffer_t *bag, memdb_error_t *error) {
    memdb__buffer_clear(bag);
    return memdb__bag_encode(put->space.tokenizer, record->text.data, record->text.size,
                             record->actor.data, record->actor.size, bag, error);
}

/// The document: new when text or actor changed (the actor's name is among the terms).
static memdb_status_t derive_bag(put_t *put, memdb_error_t *error) {
    memdb__record_t *record = &put->record;
    memdb__operation_t *operation = &put->operation;
    memdb_txn_t *txn = put->txn;
    bool had = !put->is_new && put->old.text_version != 0;
    if (!put->is_new && same(put->old.text, record->text) && same(put->old.actor, record->actor)) {
        return MEMDB_OK;
    }
    put->text_changed = true;
    memdb_status_t status = MEMDB_OK;
    if (had) {
        status = encode_bag(put, &put->old, &txn->old_bag, error);
        operation->old_bag = bytes_of(&txn->old_bag);
        operation->flags |= MEMDB__PUT_OLD_BAG;
    }
    record->text_version = 0;
    if (!status && record->text.size && put->space.tokenizer != MEMDB_TOKENIZER_NONE) {
        status = encode_bag(put, record, &txn->bag, error);
        operation->bag = bytes_of(&txn->bag);
        operation->flags |= MEMDB__PUT_BAG;
        record->text_version = MEMDB__PRIVATE | txn->own.operations;
    }
    return status;
}

/// The vector to store: the given one, the embedder's, or none. The first of a space fixes its
/// dimension.
static memdb_status_t choose_vector(put_t *put, const float **vector_out, uint32_t *dimension_out,
                                    memdb_error_t *error) {
    const memdb_memory_t *in = put->in;
    memdb__embedder_t embedder;
    *vector_out = NULL;
    if (in->fields & MEMDB_FIELD_VECTOR) {
        *vector_out = in->dimension ? in->vector : NULL;
        *dimension_out = in->dimension;
        return MEMDB_OK;
    }
    if (!put->text_changed || !put->record.text.size ||
        !memdb__embedder_of(put->txn->snapshot.db, put->space.name, &embedder)) {
        return MEMDB_OK;
    }
    put->embedded = memdb__allocate(embedder.dimension * sizeof(float));
    if (!put->embedded) {
        return memdb__fail(error, MEMDB_NOMEM, "put: out of memory");
    }
    if (!embedder.embed(embedder.context, &put->record.text, 1, put->embedded)) {
        return memdb__fail(error, MEMDB_INVALID, "put: the space's embedder failed");
    }
    *vector_out = put->embedded;
    *dimension_out = embedder.dimension;
    return MEMDB_OK;
}

/// Fix the dimension of a space by its first vector.
static memdb_status_t fix_dimension(put_t *put, uint32_t dimension, memdb_error_t *error) {
    memdb__buffer_t body = {0};
    put->space.dimension = dimension;
    memdb__space_encode(&body, &put->space);
    memdb__operation_t operation = {
        .kind = MEMDB__OPERATION_SPACE, .space = put->space.space, .body = bytes_of(&body)};
    memdb_status_t status = body.failed ? memdb__fail(error, MEMDB_NOMEM, "put: out of memory")
                                        : memdb__txn_operate(put->txn, &operation, error);
    memdb__buffer_deinit(&body);
    return status;
}

static memdb_status_t derive_row(put_t *put, memdb_error_t *error) {
    const float *vector = NULL;
    uint32_t dimension = 0;
    memdb_status_t status = choose_vector(put, &vector, &dimension, error);
    if (status) {
        return status;
    }
    memdb__record_t *record = &put->record;
    if ((put->in->fields & MEMDB_FIELD_VECTOR) && !vector) {
        record->fields &= ~(uint32_t)MEMDB_FIELD_VECTOR;
        record->vector_version = 0;
        record->dimension = 0;
    }
    if (!vector) {
        return MEMDB_OK;
    }
    if (put->space.dimension && put->space.dimension != dimension) {
        return memdb__fail(error, MEMDB_INVALID, "vector: dimension %u, the space has %u",
                           dimension, put->space.dimension);
    }
    memdb__buffer_t *row = &put->txn->row;
    memdb__buffer_clear(row);
    if (!memdb__buffer_reserve(row, memdb__row_bytes(dimension))) {
        return memdb__fail(error, MEMDB_NOMEM, "put: out of memory");
    }
    status = memdb__row_encode(put->space.metric, vector, dimension, row->data, error);
    if (!status && put->txn->given_row) { // coding what was decoded gives another scale
        memcpy(row->data, put->txn->given_row, memdb__row_bytes(dimension));
    }
    if (!status) {
        status = memdb__gate_row(put->txn, &put->space, put->id, record,
                                 put->is_new ? NULL : &put->old, row->data, error);
    }
    if (!status && !put->space.dimension) {
        status = fix_dimension(put, dimension, error);
        if (record->text_version & MEMDB__PRIVATE && put->operation.flags & MEMDB__PUT_BAG) {
            record->text_version =
                MEMDB__PRIVATE | put->txn->own.operations; // this put is now a later operation
        }
    }
    row->size = memdb__row_bytes(dimension);
    put->operation.row = bytes_of(row);
    put->operation.flags |= MEMDB__PUT_ROW;
    record->fields |= MEMDB_FIELD_VECTOR;
    record->dimension = dimension;
    record->vector_version = MEMDB__PRIVATE | put->txn->own.operations;
    return status;
}

/// A reference must name a blob of the arena, of the stated size: a committed memory never names a
/// hole.
static memdb_status_t check_blobs(const put_t *put, memdb_error_t *error) {
    const memdb_memory_t *in = put->in;
    for (uint32_t i = 0; (in->fields & MEMDB_FIELD_BLOBS) && i < in->blob_count; i++) {
        memdb__blob_view_t *view;
        uint64_t size = 0;
        memdb_status_t status = memdb__blob_open(put->txn->snapshot.db->blobs,
                                                 in->blobs[i].reference, &view, &size, error);
        if (status == MEMDB_OK) {
            memdb__blob_close(view);
        }
        if (status == MEMDB_CORRUPT || status == MEMDB_NOT_FOUND ||
            (!status && size != in->blobs[i].size_bytes)) {
            return memdb__fail(error, MEMDB_INVALID,
                               "blob %u: the reference names no blob of %llu bytes", i,
                               (unsigned long long)in->blobs[i].size_bytes);
        }
        if (status) {
            return status;
        }
    }
    return MEMDB_OK;
}

/// What the space's attribute indexes have of the memory.
static memdb_status_t derive_entries(put_t *put, const memdb__record_t *old,
                                     const memdb__record_t *record, memdb_error_t *error) {
    const memdb__attributes_t *attributes;
    memdb__buffer_t *entries = &put->txn->entries;
    memdb_status_t status = memdb__txn_attributes(put->txn, put->space.space, &attributes, error);
    if (status || !attributes->count) {
        return status;
    }
    memdb__buffer_clear(entries);
    if (!memdb__attribute_encode_entries(entries, attributes, old, record)) {
        return memdb__fail(error, MEMDB_NOMEM, "entries of indexes: out of memory");
    }
    put->operation.entries = bytes_of(entries);
    put->operation.flags |= entries->size ? MEMDB__PUT_ENTRIES : 0;
    return MEMDB_OK;
}

static memdb_status_t perform_put(put_t *put, memdb_error_t *error) {
    memdb_txn_t *txn = put->txn;
    memdb_status_t status = check_blobs(put, error);
    status = status ? status : resolve(put, error);
    status = status ? status : merge_fields(put, error);
    status = status ? status
                    : memdb__gate_put(txn, &put->space, put->id, &put->record,
                                      put->is_new ? NULL : &put->old, error);
    if (!status && put->record.blob_count) {
        put->blobs = put->in->fields & MEMDB_FIELD_BLOBS ? put->in->blobs : NULL;
        status = memdb__renew_blobs(txn, &put->record, put->blobs, &put->blobs, error);
    }
    status = status ? status : derive_bag(put, error);
    status = status ? status : derive_row(put, error);
    status =
        status ? status : derive_entries(put, put->is_new ? NULL : &put->old, &put->record, error);
    if (status) {
        return status;
    }
    memdb__operation_t *operation = &put->operation;
    const memdb__record_t *record = &put->record;
    operation->kind = MEMDB__OPERATION_PUT;
    operation->id = put->id;
    operation->flags |= put->is_new ? MEMDB__PUT_NEW : 0;
    operation->flags |= put->is_new || !same(put->old.key, record->key) ? MEMDB__PUT_KEY : 0;
    operation->flags |=
        put->is_new || !same(put->old.session, record->session) || put->old.time != record->time
            ? MEMDB__PUT_PLACE
            : 0;
    operation->text_difference =
        (int64_t)record->text.size - (put->is_new ? 0 : (int64_t)put->old.text.size);
    memdb__buffer_clear(&txn->record);
    if (!memdb__record_encode(&txn->record, record, put->blobs)) {
        return memdb__fail(error, MEMDB_NOMEM, "put: out of memory");
    }
    operation->body = bytes_of(&txn->record);
    memdb__key_t key;
    memdb__key_space(&key, put->space.space);
    status = memdb__txn_guard(txn, &key, false, error);
    return status ? status : memdb__txn_put(txn, operation, record, error);
}

/// The key is looked up when all else is checked: until then memory may fetch its places.
static void expect_key(const memdb_txn_t *txn, memdb_space_t space, const memdb_memory_t *in) {
    if (in->size >= sizeof *in && (in->fields & MEMDB_FIELD_KEY) && in->key.data &&
        in->key.size <= MEMDB_MAX_KEY_BYTES) {
        memdb__key_t key;
        memdb__key_key(&key, space, in->key);
        memdb__sight_expect(&txn->snapshot.sight, key.bytes, key.size);
    }
}

memdb_status_t memdb__put(memdb_txn_t *txn, memdb_space_t space, const memdb_memory_t *memory,
                          uint64_t *id_out, memdb_error_t *error) {
    put_t put = {.txn = txn, .in = memory};
    memdb_status_t status = memdb__snapshot_usable(&txn->snapshot, error);
    expect_key(txn, space, memory);
    status = status ? status : check_memory(memory, error);
    if (!status && (status = memdb__read_space(&txn->snapshot.sight, space, &put.space, error)) ==
                       MEMDB_NOT_FOUND) {
        status = memdb__fail(error, MEMDB_NOT_FOUND, "put: there is no space %u", space);
    }
    status = status ? status : perform_put(&put, error);
    memdb__free(put.embedded);
    if (!status && id_out) {
        *id_out = put.id;
    }
    return status;
}

memdb_status_t memdb_put(memdb_txn_t *txn, memdb_space_t space, const memdb_memory_t *memory,
                         uint64_t *id_out) {
    memdb_error_t error = {0};
    if (!txn || !memory) {
        return MEMDB_INVALID;
    }
    return memdb__report(txn->snapshot.db, memdb__put(txn, space, memory, id_out, &error), &error);
}

// ------------------------------------------------------------------------------ forget

static memdb_status_t perform_forget(memdb_txn_t *txn, memdb_space_t space, uint64_t id,
                                     uint8_t flags, memdb_error_t *error) {
    put_t put = {.txn = txn};
    memdb_status_t status = memdb__read_space(&txn->snapshot.sight, space, &put.space, error);
    status = status
                 ? status
                 : memdb__read_record(&txn->snapshot.sight, id, &put.old, &put.old_version, error);
    if (status == MEMDB_NOT_FOUND || (!status && put.old.space != space)) {
        return memdb__fail(error, MEMDB_NOT_FOUND, "forget: there is no memory %llu in the space",
                           (unsigned long long)id);
    }
    memdb__operation_t *operation = &put.operation;
    *operation = (memdb__operation_t){.kind = MEMDB__OPERATION_FORGET,
                                      .id = id,
                                      .space = space,
                                      .flags = flags,
                                      .text_difference = -(int64_t)put.old.text.size};
    if (!status && put.old.text_version) {
        status = encode_bag(&put, &put.old, &txn->old_bag, error);
        operation->old_bag = bytes_of(&txn->old_bag);
        operation->flags |= MEMDB__PUT_OLD_BAG;
    }
    status = status ? status : derive_entries(&put, &put.old, NULL, error);
    memdb__key_t key;
    memdb__key_space(&key, space);
    status = status ? status : memdb__txn_guard(txn, &key, false, error);
    return status ? status : memdb__txn_operate(txn, operation, error);
}

static memdb_status_t forget(memdb_txn_t *txn, memdb_space_t space, uint64_t id, uint8_t flags) {
    memdb_error_t error = {0};
    if (!txn) {
        return MEMDB_INVALID;
    }
    memdb_status_t status = memdb__snapshot_usable(&txn->snapshot, &error);
    status = status ? status : perform_forget(txn, space, id, flags, &error);
    return memdb__report(txn->snapshot.db, status, &error);
}

memdb_status_t memdb_forget(memdb_txn_t *txn, memdb_space_t space, uint64_t id) {
    return forget(txn, space, id, 0);
}

memdb_status_t memdb_forget_erase(memdb_txn_t *txn, memdb_space_t space, uint64_t id) {
    return forget(txn, space, id, MEMDB__FORGET_ERASE);
}
