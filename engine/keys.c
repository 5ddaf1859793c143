// Keys of the one ordered map: encoding and parsing. See keys.h for the table.
#include "engine/keys.h"

#include "base/bytes.h"

#include <assert.h>

#define ESCAPE 0x00
#define ESCAPED_ZERO 0xFF
#define END_OF_TEXT 0x01

static_assert(MEMDB__KEY_MAX_BYTES >= 1 + 4 + 2 * MEMDB_MAX_NAME_BYTES + 2 + 16, "a session fits");

static void begin(memdb__key_t *key, uint8_t kind) {
    key->bytes[0] = kind;
    key->size = 1;
}

static void add_u32(memdb__key_t *key, uint32_t value) {
    memdb__put_be32(key->bytes + key->size, value);
    key->size += 4;
}

static void add_u64(memdb__key_t *key, uint64_t value) {
    memdb__put_be64(key->bytes + key->size, value);
    key->size += 8;
}

static void add_time(memdb__key_t *key, int64_t time) {
    add_u64(key, (uint64_t)time ^ (UINT64_C(1) << 63));
}

static void add_bytes(memdb__key_t *key, memdb_bytes_t text) {
    if (text.size) {
        memcpy(key->bytes + key->size, text.data, text.size);
    }
    key->size += text.size;
}

static void add_text(memdb__key_t *key, memdb_bytes_t text) {
    uint8_t *at = key->bytes + key->size;
    for (size_t i = 0; i < text.size; i++) {
        *at++ = (uint8_t)text.data[i];
        if (text.data[i] == 0) {
            *at++ = ESCAPED_ZERO;
        }
    }
    *at++ = ESCAPE;
    *at++ = END_OF_TEXT;
    key->size = (size_t)(at - key->bytes);
}

void memdb__key_blob(memdb__key_t *key, const uint8_t hash[16]) {
    begin(key, MEMDB__KEY_BLOB);
    add_bytes(key, (memdb_bytes_t){(const char *)hash, 16});
}

void memdb__key_counters(memdb__key_t *key, memdb_space_t space) {
    begin(key, MEMDB__KEY_COUNTERS);
    add_u32(key, space);
}

void memdb__key_space(memdb__key_t *key, memdb_space_t space) {
    begin(key, MEMDB__KEY_SPACE);
    add_u32(key, space);
}

void memdb__key_name(memdb__key_t *key, memdb_bytes_t name) {
    begin(key, MEMDB__KEY_NAME);
    add_bytes(key, name);
}

void memdb__key_setting(memdb__key_t *key, memdb_bytes_t name) {
    begin(key, MEMDB__KEY_SETTING);
    add_bytes(key, name);
}

void memdb__key_history(memdb__key_t *key) {
    begin(key, MEMDB__KEY_HISTORY);
}

void memdb__key_history_at(memdb__key_t *key, int64_t time) {
    begin(key, MEMDB__KEY_HISTORY);
    add_time(key, time);
}

void memdb__key_record(memdb__key_t *key, uint64_t id) {
    begin(key, MEMDB__KEY_RECORD);
    add_u64(key, id);
}

void memdb__key_erased(memdb__key_t *key, uint64_t id) {
    begin(key, MEMDB__KEY_ERASED);
    add_u64(key, id);
}

void memdb__key_key(memdb__key_t *key, memdb_space_t space, memdb_bytes_t name) {
    memdb__key_key_prefix(key, space);
    add_bytes(key, name);
}

void memdb__key_time(memdb__key_t *key, memdb_space_t space, int64_t time, uint64_t id) {
    memdb__key_time_prefix(key, space);
    add_time(key, time);
    add_u64(key, id);
}

void memdb__key_session(memdb__key_t *key, memdb_space_t space, memdb_bytes_t session, int64_t time,
                        uint64_t id) {
    memdb__key_session_prefix(key, space, session);
    add_time(key, time);
    add_u64(key, id);
}

void memdb__key_table_name(memdb__key_t *key, memdb_bytes_t name) {
    begin(key, MEMDB__KEY_TABLE_NAME);
    add_bytes(key, name);
}

void memdb__key_table(memdb__key_t *key, uint32_t table) {
    begin(key, MEMDB__KEY_TABLE);
    add_u32(key, table);
}

void memdb__key_row(memdb__key_t *key, uint32_t table, uint64_t row) {
    begin(key, MEMDB__KEY_ROW);
    add_u32(key, table);
    add_u64(key, row);
}

void memdb__key_link(memdb__key_t *key, uint64_t from, memdb_bytes_t type, uint64_t to) {
    memdb__key_link_prefix(key, false, from);
    add_text(key, type);
    add_u64(key, to);
}

void memdb__key_link_in(memdb__key_t *key, uint64_t from, memdb_bytes_t type, uint64_t to) {
    memdb__key_link_prefix(key, true, to);
    add_text(key, type);
    add_u64(key, from);
}

void memdb__key_key_prefix(memdb__key_t *key, memdb_space_t space) {
    begin(key, MEMDB__KEY_KEY);
    add_u32(key, space);
}

void memdb__key_time_prefix(memdb__key_t *key, memdb_space_t space) {
    begin(key, MEMDB__KEY_TIME);
    add_u32(key, space);
}

void memdb__key_session_prefix(memdb__key_t *key, memdb_space_t space, memdb_bytes_t session) {
    begin(key, MEMDB__KEY_SESSION);
    add_u32(key, space);
    add_text(key, session);
}

void memdb__key_link_prefix(memdb__key_t *key, bool in, uint64_t id) {
    begin(key, in ? MEMDB__KEY_LINK_IN : MEMDB__KEY_LINK);
    add_u64(key, id);
}

bool memdb__key_parse_id(const uint8_t *key, size_t size, uint64_t *id_out) {
    if (size < 9) {
        return false;
    }
    *id_out = memdb__get_be64(key + size - 8);
    return true;
}

bool memdb__key_parse_history(const uint8_t *key, size_t size, int64_t *time_out) {
    if (size != 1 + 8 || key[0] != MEMDB__KEY_HISTORY) {
        return false;
    }
    *time_out = (int64_t)(memdb__get_be64(key + 1) ^ (UINT64_C(1) << 63));
    return true;
}

bool memdb__key_parse_time(const uint8_t *key, size_t size, memdb_space_t *space_out,
                           int64_t *time_out, uint64_t *id_out) {
    if (size != 1 + 4 + 8 + 8) {
        return false;
    }
    *space_out = memdb__get_be32(key + 1);
    *time_out = (int64_t)(memdb__get_be64(key + 5) ^ (UINT64_C(1) << 63));
    *id_out = memdb__get_be64(key + 13);
    return true;
}

/// Unescape the text at `at` into `out`; returns the byte after it, or NULL.
static const uint8_t *parse_text(const uint8_t *at, const uint8_t *end, uint8_t *out,
                                 size_t *size_out) {
    size_t size = 0;
    while (at < end) {
        uint8_t byte = *at++;
        if (byte != ESCAPE) {
            out[size++] = byte;
        } else if (at < end && *at == ESCAPED_ZERO) {
            out[size++] = 0;
            at++;
        } else if (at < end && *at == END_OF_TEXT) {
            *size_out = size;
            return at + 1;
        } else {
            return NULL;
        }
    }
    return NULL;
}

bool memdb__key_parse_session(const uint8_t *key, size_t size, memdb_space_t *space_out,
                              uint8_t *session, size_t *session_size_out, int64_t *time_out,
                              uint64_t *id_out) {
    if (size < 1 + 4 + 2 + 16) {
        return false;
    }
    const uint8_t *at = parse_text(key + 5, key + size, session, session_size_out);
    if (!at || key + size - at != 16) {
        return false;
    }
    *space_out = memdb__get_be32(key + 1);
    *time_out = (int64_t)(memdb__get_be64(at) ^ (UINT64_C(1) << 63));
    *id_out = memdb__get_be64(at + 8);
    return true;
}

bool memdb__key_parse_link(const uint8_t *key, size_t size, uint64_t *first_out, uint8_t *type,
                           size_t *type_size_out, uint64_t *last_out) {
    if (size < 1 + 8 + 2 + 8) {
        return false;
    }
    const uint8_t *at = parse_text(key + 9, key + size, type, type_size_out);
    if (!at || key + size - at != 8) {
        return false;
    }
    *first_out = memdb__get_be64(key + 1);
    *last_out = memdb__get_be64(at);
    return true;
}
