// Attribute indexes: their lists, encoded values, keys, and the entries of a memory. See
// attribute.h.
#include "base/checksum.h"
#include "base/json_scan.h"
#include "engine/attribute/attribute.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define ESCAPE 0x00
#define ESCAPED_ZERO 0xFF
#define END_OF_TEXT 0x01
#define CUT 0x02
#define RESIDUE_ZERO 512u // an integer lies at most half a step of f64 away: 512 at 2^63

static_assert(MEMDB__KEY_MAX_BYTES >= 1 + 4 + 4 + MEMDB__ATTRIBUTE_VALUE_BYTES + 8, "a value fits");

// ------------------------------------------------------------------------------ lists

static bool append_index(memdb__buffer_t *out, const memdb__attribute_index_t *index) {
    memdb__buffer_append_varint(out, index->number);
    memdb__buffer_append_u8(out, index->ready);
    memdb__buffer_append_u8(out, (uint8_t)index->field);
    memdb__buffer_append_varint(out, index->step_count);
    return memdb__buffer_append(out, index->steps.data, index->steps.size);
}

bool memdb__attributes_encode(memdb__buffer_t *out, const memdb__attributes_t *attributes) {
    memdb__buffer_append_varint(out, attributes->next);
    memdb__buffer_append_varint(out, attributes->count);
    for (uint32_t i = 0; i < attributes->count; i++) {
        append_index(out, &attributes->items[i]);
    }
    return !out->failed;
}

static bool read_index(memdb__reader_t *reader, memdb__attribute_index_t *index) {
    uint64_t number = memdb__read_varint(reader);
    uint8_t ready = memdb__read_u8(reader), field = memdb__read_u8(reader);
    uint64_t steps = memdb__read_varint(reader);
    const uint8_t *begin = reader->at;
    bool path = field == MEMDB__ATTRIBUTE_PATH;
    if (number > UINT32_MAX || ready > 1 || field < MEMDB__ATTRIBUTE_KEY ||
        field > MEMDB__ATTRIBUTE_TEXT_HASH || steps > MEMDB__ATTRIBUTE_STEPS ||
        path != (steps > 0)) {
        return false;
    }
    for (uint64_t i = 0; i < steps; i++) {
        size_t size;
        memdb__read_sized(reader, &size);
    }
    *index = (memdb__attribute_index_t){
        .number = (uint32_t)number,
        .ready = ready,
        .field = (memdb__attribute_field_t)field,
        .step_count = (uint32_t)steps,
        .steps = {(const char *)begin, reader->bad ? 0 : (size_t)(reader->at - begin)}};
    return !reader->bad && index->steps.size <= MEMDB__ATTRIBUTE_PATH_BYTES;
}

bool memdb__attributes_decode(const uint8_t *data, size_t size, memdb__attributes_t *out) {
    memdb__reader_t reader = memdb__reader(data, size);
    uint64_t next = memdb__read_varint(&reader), count = memdb__read_varint(&reader);
    if (reader.bad || next > UINT32_MAX || count > MEMDB__ATTRIBUTE_INDEXES) {
        return false;
    }
    out->next = (uint32_t)next;
    out->count = (uint32_t)count;
    for (uint32_t i = 0; i < count; i++) {
        if (!read_index(&reader, &out->items[i]) || out->items[i].number >= next ||
            (i && out->items[i].number <= out->items[i - 1].number)) {
            return false;
        }
    }
    return memdb__reader_left(&reader) == 0;
}

// ------------------------------------------------------------------------------ names

static const char *const names[] = {
    [MEMDB__ATTRIBUTE_KEY] = "key",
    [MEMDB__ATTRIBUTE_KIND] = "kind",
    [MEMDB__ATTRIBUTE_SESSION] = "session",
    [MEMDB__ATTRIBUTE_ACTOR] = "actor",
    [MEMDB__ATTRIBUTE_TIME] = "time",
    [MEMDB__ATTRIBUTE_VALID_FROM] = "valid_from",
    [MEMDB__ATTRIBUTE_VALID_TO] = "valid_to",
    [MEMDB__ATTRIBUTE_EXPIRES] = "expires",
    [MEMDB__ATTRIBUTE_IMPORTANCE] = "importance",
    [MEMDB__ATTRIBUTE_TOKENS] = "tokens",
    [MEMDB__ATTRIBUTE_TEXT_HASH] = "text_hash",
};
#define PATH_PREFIX "attr."
#define PATH_PREFIX_BYTES (sizeof PATH_PREFIX - 1)

static bool is_name_byte(char byte) {
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '_' || (unsigned char)byte >= 0x80;
}

/// Read one step into `out`; returns the byte after it, or NULL.
static const char *parse_step(const char *at, const char *end, memdb__buffer_t *out) {
    if (at < end && *at == '"') {
        for (at++; at < end; at++) {
            if (*at == '"' && !(at + 1 < end && at[1] == '"')) {
                return at + 1;
            }
            at += *at == '"';
            memdb__buffer_append(out, at, 1);
        }
        return NULL;
    }
    const char *begin = at;
    while (at < end && is_name_byte(*at)) {
        at++;
    }
    memdb__buffer_append(out, begin, (size_t)(at - begin));
    return at > begin ? at : NULL;
}

static bool parse_path(memdb_bytes_t path, memdb__attribute_index_t *index, memdb__buffer_t *out) {
    const char *at = path.data, *end = path.data + path.size;
    memdb__buffer_t step = {0};
    bool more = true;
    index->field = MEMDB__ATTRIBUTE_PATH;
    while (more) {
        memdb__buffer_clear(&step);
        at = index->step_count < MEMDB__ATTRIBUTE_STEPS ? parse_step(at, end, &step) : NULL;
        index->step_count++;
        memdb__buffer_append_sized(out, step.data, step.size);
        more = at && at < end && *at == '.';
        at = more ? at + 1 : at;
    }
    out->failed |= step.failed;
    memdb__buffer_deinit(&step);
    return at == end;
}

memdb_status_t memdb__attribute_parse(memdb_bytes_t on, memdb__attribute_index_t *index_out,
                                      memdb__buffer_t *steps, memdb_error_t *error) {
    memdb__attribute_index_t index = {0};
    bool fine = false;
    memdb__buffer_clear(steps);
    if (on.size && on.data && on.size <= MEMDB__ATTRIBUTE_PATH_BYTES / 2) {
        for (uint8_t i = MEMDB__ATTRIBUTE_KEY; i <= MEMDB__ATTRIBUTE_TEXT_HASH && !fine; i++) {
            fine = names[i] && memdb__compare(on.data, on.size, names[i], strlen(names[i])) == 0;
            index.field = (memdb__attribute_field_t)i;
        }
        if (!fine && on.size > PATH_PREFIX_BYTES &&
            memcmp(on.data, PATH_PREFIX, PATH_PREFIX_BYTES) == 0) {
            memdb_bytes_t path = {on.data + PATH_PREFIX_BYTES, on.size - PATH_PREFIX_BYTES};
            fine = memdb__is_utf8(path.data, path.size) && parse_path(path, &index, steps);
        }
    }
    if (steps->failed) {
        return memdb__fail(error, MEMDB_NOMEM, "index: out of memory");
    }
    if (!fine) {
        return memdb__fail(error, MEMDB_INVALID,
                           "index: \"%.*s\" is no field that can be indexed, and no path such as "
                           "attr.name",
                           on.data ? (int)(on.size < 200 ? on.size : 200) : 0,
                           on.data ? on.data : "");
    }
    index.steps = (memdb_bytes_t){(const char *)steps->data, steps->size};
    *index_out = index;
    return MEMDB_OK;
}

bool memdb__attribute_print(memdb__buffer_t *out, const memdb__attribute_index_t *index) {
    if (index->field != MEMDB__ATTRIBUTE_PATH) {
        return memdb__buffer_append(out, names[index->field], strlen(names[index->field]));
    }
    memdb__reader_t reader = memdb__reader(index->steps.data, index->steps.size);
    memdb__buffer_append(out, "attr", 4);
    for (uint32_t i = 0; i < index->step_count; i++) {
        size_t size = 0;
        const char *step = (const char *)memdb__read_sized(&reader, &size);
        bool plain = size > 0;
        for (size_t j = 0; j < size; j++) {
            plain = plain && is_name_byte(step[j]);
        }
        memdb__buffer_append(out, plain ? "." : ".\"", plain ? 1 : 2);
        for (size_t j = 0; j < size; j++) {
            memdb__buffer_append(out, step + j, 1);
            if (step[j] == '"') {
                memdb__buffer_append(out, "\"", 1);
            }
        }
        memdb__buffer_append(out, "\"", plain ? 0 : 1);
    }
    return !out->failed;
}

bool memdb__attribute_same(const memdb__attribute_index_t *a, const memdb__attribute_index_t *b) {
    return a->field == b->field &&
           memdb__compare(a->steps.data, a->steps.size, b->steps.data, b->steps.size) == 0;
}

// ------------------------------------------------------------------------------ values

static void begin(memdb__attribute_value_t *value, memdb__attribute_type_t type) {
    value->bytes[0] = (uint8_t)type;
    value->size = 1;
}

void memdb__attribute_of_truth(memdb__attribute_value_t *value, bool truth) {
    begin(value, MEMDB__ATTRIBUTE_TRUTH);
    value->bytes[value->size++] = truth;
}

static void add_number(memdb__attribute_value_t *value, double real, uint32_t residue) {
    uint64_t bits = memdb__double_bits(real == 0 ? 0 : real); // not -0
    begin(value, MEMDB__ATTRIBUTE_NUMBER);
    memdb__put_be64(value->bytes + 1, bits >> 63 ? ~bits : bits | UINT64_C(1) << 63);
    value->bytes[9] = (uint8_t)(residue >> 8);
    value->bytes[10] = (uint8_t)residue;
    value->size = 11;
}

void memdb__attribute_of_integer(memdb__attribute_value_t *value, int64_t integer) {
    double real = (double)integer;
    // 2^63 is no int64: what rounds up to it is measured from the largest.
    int64_t rest = real >= 0x1p63 ? integer - INT64_MAX - 1 : integer - (int64_t)real;
    add_number(value, real, (uint32_t)(RESIDUE_ZERO + rest));
}

void memdb__attribute_of_real(memdb__attribute_value_t *value, double real) {
    add_number(value, real, RESIDUE_ZERO);
}

void memdb__attribute_of_time(memdb__attribute_value_t *value, int64_t time) {
    begin(value, MEMDB__ATTRIBUTE_MOMENT);
    memdb__put_be64(value->bytes + 1, (uint64_t)time ^ (UINT64_C(1) << 63));
    value->size = 9;
}

void memdb__attribute_of_text(memdb__attribute_value_t *value, memdb_bytes_t text) {
    bool cut = text.size > MEMDB__ATTRIBUTE_TEXT_BYTES;
    begin(value, MEMDB__ATTRIBUTE_TEXT);
    uint8_t *at = value->bytes + 1;
    for (size_t i = 0; i < (cut ? MEMDB__ATTRIBUTE_TEXT_BYTES : text.size); i++) {
        *at++ = (uint8_t)text.data[i];
        if (text.data[i] == 0) {
            *at++ = ESCAPED_ZERO;
        }
    }
    *at++ = ESCAPE;
    *at++ = cut ? CUT : END_OF_TEXT;
    value->size = (size_t)(at - value->bytes);
}

static bool verify_number(const uint8_t *bytes) {
    uint64_t bits = memdb__get_be64(bytes);
    double real;
    bits = bits >> 63 ? bits & ~(UINT64_C(1) << 63) : ~bits;
    memcpy(&real, &bits, sizeof real);
    uint32_t residue = (uint32_t)bytes[8] << 8 | bytes[9];
    return isfinite(real) && !(real == 0 && bits) && residue <= 2 * RESIDUE_ZERO;
}

static bool verify_text(const uint8_t *at, const uint8_t *end) {
    size_t size = 0;
    for (; end - at > 2; size++) {
        if (*at++ == ESCAPE && *at++ != ESCAPED_ZERO) {
            return false;
        }
    }
    return end - at == 2 && at[0] == ESCAPE &&
           (at[1] == END_OF_TEXT ? size <= MEMDB__ATTRIBUTE_TEXT_BYTES
                                 : at[1] == CUT && size == MEMDB__ATTRIBUTE_TEXT_BYTES);
}

bool memdb__attribute_verify(const uint8_t *value, size_t size) {
    switch (size ? value[0] : 0) {
    case MEMDB__ATTRIBUTE_TRUTH:
        return size == 2 && value[1] <= 1;
    case MEMDB__ATTRIBUTE_NUMBER:
        return size == 11 && verify_number(value + 1);
    case MEMDB__ATTRIBUTE_MOMENT:
        return size == 9;
    case MEMDB__ATTRIBUTE_TEXT:
        return size <= MEMDB__ATTRIBUTE_VALUE_BYTES && verify_text(value + 1, value + size);
    case MEMDB__ATTRIBUTE_OTHER:
        return size == 1;
    default:
        return false;
    }
}

static void of_json(memdb__attribute_value_t *value, const memdb__json_t *json) {
    char text[MEMDB__ATTRIBUTE_TEXT_BYTES + 1];
    memdb_bytes_t bytes = json->text;
    switch (json->kind) {
    case MEMDB__JSON_NULL:
        break;
    case MEMDB__JSON_BOOL:
        memdb__attribute_of_truth(value, json->truth);
        break;
    case MEMDB__JSON_INTEGER:
        memdb__attribute_of_integer(value, json->integer);
        break;
    case MEMDB__JSON_REAL:
        memdb__attribute_of_real(value, json->real);
        break;
    case MEMDB__JSON_STRING:
        if (json->escaped) {
            bytes.size = memdb__json_copy(json, text, sizeof text);
            bytes = (memdb_bytes_t){text, bytes.size < sizeof text ? bytes.size : sizeof text};
        }
        memdb__attribute_of_text(value, bytes);
        break;
    default:
        begin(value, MEMDB__ATTRIBUTE_OTHER);
    }
}

static void of_path(memdb__attribute_value_t *value, const memdb__attribute_index_t *index,
                    memdb_bytes_t attrs) {
    memdb_bytes_t steps[MEMDB__ATTRIBUTE_STEPS];
    memdb__reader_t reader = memdb__reader(index->steps.data, index->steps.size);
    memdb__json_t json;
    for (uint32_t i = 0; i < index->step_count; i++) {
        steps[i].data = (const char *)memdb__read_sized(&reader, &steps[i].size);
    }
    if (attrs.size && memdb__json_find(attrs, steps, index->step_count, &json)) {
        of_json(value, &json);
    }
}

void memdb__attribute_of_record(memdb__attribute_value_t *value,
                                const memdb__attribute_index_t *index,
                                const memdb__record_t *record) {
    const memdb_bytes_t texts[] = {record->key, record->kind, record->session, record->actor};
    const int64_t times[] = {record->time, record->valid_from, record->valid_to, record->expires};
    value->size = 0;
    if (index->field <= MEMDB__ATTRIBUTE_ACTOR) {
        memdb_bytes_t text = texts[index->field - MEMDB__ATTRIBUTE_KEY];
        if (text.size) {
            memdb__attribute_of_text(value, text);
        }
    } else if (index->field <= MEMDB__ATTRIBUTE_EXPIRES) {
        int64_t time = times[index->field - MEMDB__ATTRIBUTE_TIME];
        if (time != MEMDB_TIME_NONE) {
            memdb__attribute_of_time(value, time);
        }
    } else if (index->field == MEMDB__ATTRIBUTE_PATH) {
        of_path(value, index, record->attrs);
    } else if (index->field == MEMDB__ATTRIBUTE_TEXT_HASH) {
        if (record->text.size) {
            uint64_t hash = memdb__hash64(record->text.data, record->text.size, 0);
            memdb__attribute_of_integer(value, (int64_t)hash);
        }
    } else if (index->field == MEMDB__ATTRIBUTE_IMPORTANCE) {
        if (record->fields & MEMDB_FIELD_IMPORTANCE) {
            memdb__attribute_of_real(value, record->importance);
        }
    } else if (record->fields & MEMDB_FIELD_TOKENS) {
        memdb__attribute_of_integer(value, record->tokens);
    }
}

// ------------------------------------------------------------------------------ keys

void memdb__key_attributes(memdb__key_t *key, memdb_space_t space) {
    key->bytes[0] = MEMDB__KEY_ATTRIBUTES;
    memdb__put_be32(key->bytes + 1, space);
    key->size = 5;
}

void memdb__key_attribute(memdb__key_t *key, memdb_space_t space, uint32_t number,
                          const uint8_t *value, size_t value_size, uint64_t id) {
    key->bytes[0] = MEMDB__KEY_ATTRIBUTE;
    memdb__put_be32(key->bytes + 1, space);
    memdb__put_be32(key->bytes + 5, number);
    memcpy(key->bytes + 9, value, value_size);
    memdb__put_be64(key->bytes + 9 + value_size, id);
    key->size = 9 + value_size + 8;
}

bool memdb__key_parse_attribute(const uint8_t *key, size_t size, memdb_space_t *space_out,
                                uint32_t *number_out, memdb_bytes_t *value_out, uint64_t *id_out) {
    if (size < 9 + 1 + 8 || key[0] != MEMDB__KEY_ATTRIBUTE ||
        !memdb__attribute_verify(key + 9, size - 17)) {
        return false;
    }
    *space_out = memdb__get_be32(key + 1);
    *number_out = memdb__get_be32(key + 5);
    *value_out = (memdb_bytes_t){(const char *)key + 9, size - 17};
    *id_out = memdb__get_be64(key + size - 8);
    return true;
}

// ------------------------------------------------------------------------------ entries

bool memdb__attribute_next_entry(memdb__reader_t *reader, memdb__attribute_entry_t *entry_out) {
    if (reader->bad || memdb__reader_left(reader) == 0) {
        return false;
    }
    uint64_t number = memdb__read_varint(reader);
    uint8_t put = memdb__read_u8(reader);
    size_t size = 0;
    const uint8_t *value = memdb__read_sized(reader, &size);
    reader->bad |= number > UINT32_MAX || put > 1 || !memdb__attribute_verify(value, size);
    *entry_out = (memdb__attribute_entry_t){(uint32_t)number, put, {(const char *)value, size}};
    return !reader->bad;
}

static void append_entry(memdb__buffer_t *out, uint32_t number, bool put,
                         const memdb__attribute_value_t *value) {
    memdb__buffer_append_varint(out, number);
    memdb__buffer_append_u8(out, put);
    memdb__buffer_append_sized(out, value->bytes, value->size);
}

bool memdb__attribute_encode_entries(memdb__buffer_t *out, const memdb__attributes_t *attributes,
                                     const memdb__record_t *old, const memdb__record_t *record) {
    for (uint32_t i = 0; i < attributes->count; i++) {
        const memdb__attribute_index_t *index = &attributes->items[i];
        memdb__attribute_value_t before = {0}, after = {0};
        if (old) {
            memdb__attribute_of_record(&before, index, old);
        }
        if (record) {
            memdb__attribute_of_record(&after, index, record);
        }
        bool same = memdb__compare(before.bytes, before.size, after.bytes, after.size) == 0;
        if (before.size && !same) {
            append_entry(out, index->number, false, &before);
        }
        if (after.size && (!same || !index->ready)) {
            append_entry(out, index->number, true, &after);
        }
    }
    return !out->failed;
}
