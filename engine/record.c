// Encoding and decoding of the ordered map's values and of a frame's operations. See record.h for
// the layouts. Decoders take hostile bytes: they read through memdb__reader_t, which never passes
// the end.
#include "engine/record.h"

static memdb_bytes_t read_bytes(memdb__reader_t *reader) {
    size_t size = 0;
    const uint8_t *data = memdb__read_sized(reader, &size);
    return (memdb_bytes_t){(const char *)data, size};
}

static uint64_t zigzag(int64_t value) {
    return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
}

static int64_t unzigzag(uint64_t value) {
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

static void append_bytes(memdb__buffer_t *out, memdb_bytes_t bytes) {
    memdb__buffer_append_sized(out, bytes.data, bytes.size);
}

static void append_blobs(memdb__buffer_t *out, const memdb__record_t *record,
                         const memdb_blob_t *blobs) {
    memdb__buffer_append_varint(out, record->blob_count);
    memdb__reader_t kept = record->blobs;
    for (uint32_t i = 0; i < record->blob_count; i++) {
        memdb_blob_t blob;
        if (blobs) {
            blob = blobs[i];
        } else if (!memdb__record_next_blob(&kept, &blob)) {
            out->failed = true;
            return;
        }
        memdb__buffer_append(out, blob.reference, sizeof blob.reference);
        memdb__buffer_append_u64(out, blob.size_bytes);
        append_bytes(out, blob.media_type);
    }
}

bool memdb__record_encode(memdb__buffer_t *out, const memdb__record_t *record,
                          const memdb_blob_t *blobs) {
    memdb__buffer_append_u32(out, record->space);
    memdb__buffer_append_u32(out, record->fields);
    memdb__buffer_append_u64(out, record->text_version);
    memdb__buffer_append_u64(out, record->vector_version);
    const memdb_bytes_t *texts[] = {&record->key, &record->text, &record->kind, &record->session,
                                    &record->actor};
    for (uint32_t i = 0; i < 5; i++) {
        if (record->fields & (1u << i)) {
            append_bytes(out, *texts[i]);
        }
    }
    const int64_t times[] = {record->time, record->valid_from, record->valid_to, record->expires};
    for (uint32_t i = 0; i < 4; i++) {
        if (record->fields & (MEMDB_FIELD_TIME << i)) {
            memdb__buffer_append_u64(out, (uint64_t)times[i]);
        }
    }
    if (record->fields & MEMDB_FIELD_IMPORTANCE) {
        memdb__buffer_append_u64(out, memdb__double_bits(record->importance));
    }
    if (record->fields & MEMDB_FIELD_TOKENS) {
        memdb__buffer_append_u32(out, record->tokens);
    }
    if (record->fields & MEMDB_FIELD_ATTRS) {
        append_bytes(out, record->attrs);
    }
    if (record->fields & MEMDB_FIELD_VECTOR) {
        memdb__buffer_append_u32(out, record->dimension);
    }
    if (record->fields & MEMDB_FIELD_BLOBS) {
        append_blobs(out, record, blobs);
    }
    return !out->failed;
}

bool memdb__record_next_blob(memdb__reader_t *blobs, memdb_blob_t *blob_out) {
    const uint8_t *reference = memdb__read_slice(blobs, sizeof blob_out->reference);
    uint64_t size = memdb__read_u64(blobs);
    memdb_bytes_t media_type = read_bytes(blobs);
    if (blobs->bad || !reference) {
        return false;
    }
    memcpy(blob_out->reference, reference, sizeof blob_out->reference);
    blob_out->size_bytes = size;
    blob_out->media_type = media_type;
    return true;
}

static const memdb__record_t empty = {.time = MEMDB_TIME_NONE,
                                      .valid_from = MEMDB_TIME_NONE,
                                      .valid_to = MEMDB_TIME_NONE,
                                      .expires = MEMDB_TIME_NONE};

bool memdb__record_decode(const uint8_t *data, size_t size, memdb__record_t *record_out) {
    memdb__reader_t reader = memdb__reader(data, size);
    memdb__record_t *record = record_out; // in its place: no copy
    *record = empty;
    record->space = memdb__read_u32(&reader);
    record->fields = memdb__read_u32(&reader);
    record->text_version = memdb__read_u64(&reader);
    record->vector_version = memdb__read_u64(&reader);
    memdb_bytes_t *texts[] = {&record->key, &record->text, &record->kind, &record->session,
                              &record->actor};
    for (uint32_t i = 0; i < 5; i++) {
        if (record->fields & (1u << i)) {
            *texts[i] = read_bytes(&reader);
        }
    }
    int64_t *times[] = {&record->time, &record->valid_from, &record->valid_to, &record->expires};
    for (uint32_t i = 0; i < 4; i++) {
        if (record->fields & (MEMDB_FIELD_TIME << i)) {
            *times[i] = (int64_t)memdb__read_u64(&reader);
        }
    }
    if (record->fields & MEMDB_FIELD_IMPORTANCE) {
        record->importance = memdb__bits_double(memdb__read_u64(&reader));
    }
    if (record->fields & MEMDB_FIELD_TOKENS) {
        record->tokens = memdb__read_u32(&reader);
    }
    if (record->fields & MEMDB_FIELD_ATTRS) {
        record->attrs = read_bytes(&reader);
    }
    if (record->fields & MEMDB_FIELD_VECTOR) {
        record->dimension = memdb__read_u32(&reader);
    }
    if (record->fields & MEMDB_FIELD_BLOBS) {
        uint64_t count = memdb__read_varint(&reader);
        record->blob_count = count <= MEMDB_MAX_BLOBS ? (uint32_t)count : 0;
        reader.bad |= count > MEMDB_MAX_BLOBS;
        record->blobs = reader;
        memdb_blob_t blob;
        for (uint32_t i = 0; i < record->blob_count && memdb__record_next_blob(&reader, &blob);
             i++) {
        }
    }
    if (reader.bad || memdb__reader_left(&reader) || record->fields >= MEMDB_FIELD_BLOBS << 1 ||
        record->dimension > MEMDB_MAX_DIMENSION) {
        return false;
    }
    return true;
}

void memdb__record_resolve(uint8_t *data, uint64_t base) {
    for (size_t at = 8; at <= 16; at += 8) {
        uint64_t version = memdb__get_u64(data + at);
        if (version & MEMDB__PRIVATE) {
            memdb__put_u64(data + at, base + (version & ~MEMDB__PRIVATE));
        }
    }
}

bool memdb__link_encode(memdb__buffer_t *out, const memdb_link_t *link) {
    memdb__buffer_append_u32(out, link->space);
    memdb__buffer_append_u64(out, memdb__double_bits(link->weight));
    memdb__buffer_append_u64(out, (uint64_t)link->valid_from);
    memdb__buffer_append_u64(out, (uint64_t)link->valid_to);
    append_bytes(out, link->attrs);
    return !out->failed;
}

bool memdb__link_decode(const uint8_t *data, size_t size, memdb_link_t *link_out) {
    memdb__reader_t reader = memdb__reader(data, size);
    link_out->space = memdb__read_u32(&reader);
    link_out->weight = memdb__bits_double(memdb__read_u64(&reader));
    link_out->valid_from = (int64_t)memdb__read_u64(&reader);
    link_out->valid_to = (int64_t)memdb__read_u64(&reader);
    link_out->attrs = read_bytes(&reader);
    return !reader.bad && memdb__reader_left(&reader) == 0;
}

#define GATES 8 // tagged fields of a descriptor

bool memdb__space_encode(memdb__buffer_t *out, const memdb_space_info_t *info) {
    memdb__buffer_append_u32(out, info->dimension);
    memdb__buffer_append_u8(out, (uint8_t)info->metric);
    memdb__buffer_append_u8(out, (uint8_t)info->tokenizer);
    append_bytes(out, info->name);
    const memdb_gates_t *gates = &info->gates;
    const uint64_t tagged[GATES] = {memdb__double_bits(gates->most_alike),
                                    gates->most_memories,
                                    gates->most_text_bytes,
                                    (uint64_t)gates->expire_after_us,
                                    gates->no_copies,
                                    gates->no_recalled,
                                    memdb__double_bits(gates->most_near),
                                    memdb__double_bits(gates->near_words)};
    for (uint8_t tag = 0; tag < GATES; tag++) {
        if (tagged[tag]) {
            memdb__buffer_append_u8(out, (uint8_t)(tag + 1));
            memdb__buffer_append_u64(out, tagged[tag]);
        }
    }
    return !out->failed;
}

/// The tagged fields at a descriptor's end: those that are not 0, by rising tag.
static bool read_gates(memdb__reader_t *reader, memdb_gates_t *gates) {
    uint64_t tagged[GATES] = {0};
    for (uint8_t last = 0; memdb__reader_left(reader) && !reader->bad;) {
        uint8_t tag = memdb__read_u8(reader);
        uint64_t value = memdb__read_u64(reader);
        if (tag <= last || tag > GATES || value == 0) {
            return false;
        }
        tagged[tag - 1] = value;
        last = tag;
    }
    *gates = (memdb_gates_t){.most_alike = memdb__bits_double(tagged[0]),
                             .most_memories = tagged[1],
                             .most_text_bytes = tagged[2],
                             .expire_after_us = (int64_t)tagged[3],
                             .no_copies = tagged[4],
                             .no_recalled = tagged[5],
                             .most_near = memdb__bits_double(tagged[6]),
                             .near_words = memdb__bits_double(tagged[7])};
    return !reader->bad && tagged[4] <= 1 && tagged[5] <= 1 && memdb__gates_valid(gates);
}

static bool is_part(double value) {
    return value >= 0 && value <= 1;
}

bool memdb__gates_valid(const memdb_gates_t *gates) {
    return is_part(gates->most_alike) && is_part(gates->most_near) && is_part(gates->near_words) &&
           gates->expire_after_us >= 0;
}

bool memdb__space_decode(const uint8_t *data, size_t size, memdb_space_info_t *info_out) {
    memdb__reader_t reader = memdb__reader(data, size);
    info_out->dimension = memdb__read_u32(&reader);
    uint8_t metric = memdb__read_u8(&reader);
    uint8_t tokenizer = memdb__read_u8(&reader);
    info_out->name = read_bytes(&reader);
    info_out->metric = (memdb_metric_t)metric;
    info_out->tokenizer = (memdb_tokenizer_kind_t)tokenizer;
    return !reader.bad && read_gates(&reader, &info_out->gates) && metric <= MEMDB_METRIC_L2 &&
           tokenizer <= MEMDB_TOKENIZER_NONE && info_out->dimension <= MEMDB_MAX_DIMENSION;
}

static void encode_put(memdb__buffer_t *out, const memdb__operation_t *operation) {
    memdb__buffer_append_varint(out, operation->id);
    memdb__buffer_append_u8(out, operation->flags);
    memdb__buffer_append_varint(out, zigzag(operation->text_difference));
    append_bytes(out, operation->body);
    const memdb_bytes_t *parts[] = {&operation->bag, &operation->old_bag, &operation->row};
    for (uint32_t i = 0; i < 3; i++) {
        if (operation->flags & (MEMDB__PUT_BAG << i)) {
            append_bytes(out, *parts[i]);
        }
    }
    if (operation->flags & MEMDB__PUT_ENTRIES) {
        append_bytes(out, operation->entries);
    }
}

bool memdb__operation_encode(memdb__buffer_t *out, const memdb__operation_t *operation) {
    memdb__buffer_append_u8(out, (uint8_t)operation->kind);
    switch (operation->kind) {
    case MEMDB__OPERATION_PUT:
        encode_put(out, operation);
        break;
    case MEMDB__OPERATION_FORGET:
        memdb__buffer_append_varint(out, operation->id);
        memdb__buffer_append_u32(out, operation->space);
        memdb__buffer_append_u8(out, operation->flags);
        memdb__buffer_append_varint(out, zigzag(operation->text_difference));
        if (operation->flags & MEMDB__PUT_OLD_BAG) {
            append_bytes(out, operation->old_bag);
        }
        if (operation->flags & MEMDB__PUT_ENTRIES) {
            append_bytes(out, operation->entries);
        }
        break;
    case MEMDB__OPERATION_LINK:
    case MEMDB__OPERATION_UNLINK:
        memdb__buffer_append_varint(out, operation->id);
        memdb__buffer_append_varint(out, operation->to);
        append_bytes(out, operation->name);
        if (operation->kind == MEMDB__OPERATION_LINK) {
            append_bytes(out, operation->body);
        }
        break;
    case MEMDB__OPERATION_ENTRIES:
        memdb__buffer_append_varint(out, operation->id);
        memdb__buffer_append_u32(out, operation->space);
        append_bytes(out, operation->entries);
        break;
    case MEMDB__OPERATION_SPACE:
    case MEMDB__OPERATION_INDEXES:
    case MEMDB__OPERATION_TABLE:
    case MEMDB__OPERATION_ROWS:
        memdb__buffer_append_u32(out, operation->space);
        append_bytes(out, operation->body);
        if (operation->kind == MEMDB__OPERATION_ROWS) {
            append_bytes(out, operation->row);
        }
        break;
    case MEMDB__OPERATION_DROP:
    case MEMDB__OPERATION_DROP_TABLE:
        memdb__buffer_append_u32(out, operation->space);
        append_bytes(out, operation->name);
        break;
    case MEMDB__OPERATION_BLOB:
        memdb__buffer_append(out, operation->hash, 16);
        memdb__buffer_append(out, operation->reference, 32);
        memdb__buffer_append_u64(out, operation->size);
        break;
    case MEMDB__OPERATION_RETIRE:
        append_bytes(out, operation->body);
        break;
    case MEMDB__OPERATION_SEAL:
        break;
    case MEMDB__OPERATION_SETTING:
        append_bytes(out, operation->name);
        memdb__buffer_append_varint(out, operation->size);
        break;
    }
    return !out->failed;
}

static void decode_put(memdb__reader_t *reader, memdb__operation_t *operation) {
    operation->id = memdb__read_varint(reader);
    operation->flags = memdb__read_u8(reader);
    operation->text_difference = unzigzag(memdb__read_varint(reader));
    operation->body = read_bytes(reader);
    memdb_bytes_t *parts[] = {&operation->bag, &operation->old_bag, &operation->row};
    for (uint32_t i = 0; i < 3; i++) {
        if (operation->flags & (MEMDB__PUT_BAG << i)) {
            *parts[i] = read_bytes(reader);
        }
    }
    if (operation->flags & MEMDB__PUT_ENTRIES) {
        operation->entries = read_bytes(reader);
    }
    reader->bad |= operation->id == 0 || operation->body.size < 24 ||
                   (operation->flags & MEMDB__FORGET_ERASE) != 0;
}

bool memdb__operation_decode(memdb__reader_t *reader, memdb__operation_t *operation_out) {
    if (reader->bad || memdb__reader_left(reader) == 0) {
        return false;
    }
    memdb__operation_t operation = {.kind = (memdb__operation_kind_t)memdb__read_u8(reader)};
    switch (operation.kind) {
    case MEMDB__OPERATION_PUT:
        decode_put(reader, &operation);
        break;
    case MEMDB__OPERATION_FORGET:
        operation.id = memdb__read_varint(reader);
        operation.space = memdb__read_u32(reader);
        operation.flags = memdb__read_u8(reader);
        operation.text_difference = unzigzag(memdb__read_varint(reader));
        if (operation.flags & MEMDB__PUT_OLD_BAG) {
            operation.old_bag = read_bytes(reader);
        }
        if (operation.flags & MEMDB__PUT_ENTRIES) {
            operation.entries = read_bytes(reader);
        }
        reader->bad |= operation.id == 0 || (operation.flags & ~MEMDB__FORGET_FLAGS) != 0;
        break;
    case MEMDB__OPERATION_ENTRIES:
        operation.id = memdb__read_varint(reader);
        operation.space = memdb__read_u32(reader);
        operation.entries = read_bytes(reader);
        reader->bad |= operation.id == 0;
        break;
    case MEMDB__OPERATION_LINK:
    case MEMDB__OPERATION_UNLINK:
        operation.id = memdb__read_varint(reader);
        operation.to = memdb__read_varint(reader);
        operation.name = read_bytes(reader);
        if (operation.kind == MEMDB__OPERATION_LINK) {
            operation.body = read_bytes(reader);
        }
        reader->bad |= operation.name.size > MEMDB_MAX_NAME_BYTES;
        break;
    case MEMDB__OPERATION_SPACE:
    case MEMDB__OPERATION_INDEXES:
    case MEMDB__OPERATION_TABLE:
        operation.space = memdb__read_u32(reader);
        operation.body = read_bytes(reader);
        break;
    case MEMDB__OPERATION_ROWS:
        operation.space = memdb__read_u32(reader);
        operation.body = read_bytes(reader);
        operation.row = read_bytes(reader);
        reader->bad |= operation.body.size == 0 || operation.body.size % 8 != 0 ||
                       operation.row.size % (operation.body.size / 8) != 0;
        break;
    case MEMDB__OPERATION_DROP:
    case MEMDB__OPERATION_DROP_TABLE:
        operation.space = memdb__read_u32(reader);
        operation.name = read_bytes(reader);
        reader->bad |= operation.name.size > MEMDB_MAX_NAME_BYTES;
        break;
    case MEMDB__OPERATION_BLOB:
        operation.hash = memdb__read_slice(reader, 16);
        operation.reference = memdb__read_slice(reader, 32);
        operation.size = memdb__read_u64(reader);
        break;
    case MEMDB__OPERATION_RETIRE:
        operation.body = read_bytes(reader);
        reader->bad |= operation.body.size % 8 != 0;
        break;
    case MEMDB__OPERATION_SEAL:
        break;
    case MEMDB__OPERATION_SETTING:
        operation.name = read_bytes(reader);
        operation.size = memdb__read_varint(reader);
        reader->bad |= !operation.name.size || operation.name.size > MEMDB__SETTING_NAME_BYTES;
        break;
    default:
        reader->bad = true;
    }
    if (reader->bad) {
        return false;
    }
    *operation_out = operation;
    return true;
}

void memdb__payload_note_ids(const uint8_t *payload, size_t size, memdb__last_ids_t *last) {
    memdb__reader_t reader = memdb__reader(payload, size);
    memdb__operation_t operation;
    while (memdb__operation_decode(&reader, &operation)) {
        if (operation.kind == MEMDB__OPERATION_PUT && operation.id > last->memory) {
            last->memory = operation.id;
        }
        if ((operation.kind == MEMDB__OPERATION_SPACE ||
             operation.kind == MEMDB__OPERATION_TABLE) &&
            operation.space > last->space) {
            last->space = operation.space;
        }
    }
}
