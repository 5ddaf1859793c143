// Keys of the one ordered map.
//
// Everything but words, vectors and blob bytes lives in one map from byte keys to values; the first
// byte of a key says what it is. Integers are big-endian, so that memcmp orders them; times are
// biased so that negative ones come first; text inside a key is escaped (0x00 -> 0x00 0xFF) and
// ends with 0x00 0x01, so that a prefix sorts before its extensions.
//
//   'B' hash[16]                                  -> blob reference[32], size u64
//   'C' space u32                                 -> counters: svarint memories, svarint text bytes
//   (summed over tiers) 'D' space u32                                 -> descriptor of the space
//   'E' id u64                                    -> nothing: forgotten with erase (see purged_lsn)
//   'H' nothing                                   -> the oldest moment that can be read: history.c
//   'H' time                                      -> the commits from then on: history.c
//   'I' target u64, type text, source u64         -> nothing: the link's value is under 'L'
//   'K' space u32, key bytes to the end           -> id u64
//   'L' source u64, type text, target u64         -> link
//   'M' name bytes to the end                     -> table u32: table/tables.h
//   'N' name bytes to the end                     -> space u32
//   'O' name bytes to the end                     -> value u64 of a setting
//   'P' table u32, row u64                        -> row of a table
//   'R' id u64                                    -> record
//   'S' space u32, session text, time, id u64     -> nothing
//   'T' space u32, time, id u64                   -> nothing
//   'U' table u32                                 -> description of the table
//   'V' space u32, index u32, value, id u64       -> nothing: attribute.h
//   'X' space u32                                 -> attribute indexes of the space: attribute.h
//
// Index entries ('I', 'K', 'S', 'T') are added early and removed late: a reader checks each against
// the record or link that it points to, and the checkpoint drops those that are stale. Those of 'V'
// are exact.
#ifndef MEMDB_ENGINE_KEYS_H
#define MEMDB_ENGINE_KEYS_H

#include "base/memory.h"
#include "include/memdb.h"

enum {
    MEMDB__KEY_BLOB = 'B',
    MEMDB__KEY_COUNTERS = 'C',
    MEMDB__KEY_SPACE = 'D',
    MEMDB__KEY_ERASED = 'E',
    MEMDB__KEY_HISTORY = 'H',
    MEMDB__KEY_LINK_IN = 'I',
    MEMDB__KEY_KEY = 'K',
    MEMDB__KEY_LINK = 'L',
    MEMDB__KEY_TABLE_NAME = 'M',
    MEMDB__KEY_NAME = 'N',
    MEMDB__KEY_SETTING = 'O',
    MEMDB__KEY_ROW = 'P',
    MEMDB__KEY_RECORD = 'R',
    MEMDB__KEY_SESSION = 'S',
    MEMDB__KEY_TIME = 'T',
    MEMDB__KEY_TABLE = 'U',
    MEMDB__KEY_ATTRIBUTE = 'V',
    MEMDB__KEY_ATTRIBUTES = 'X',
};

/// First bytes of the keys that are walked in order and never asked for one by one.
#define MEMDB__KEYS_WALKED "ISTV"

/// The longest key: a session or type of MEMDB_MAX_NAME_BYTES, each byte escaped, or a key of
/// MEMDB_MAX_KEY_BYTES.
#define MEMDB__KEY_MAX_BYTES (MEMDB_MAX_KEY_BYTES + 64)

typedef struct memdb__key {
    size_t size;
    uint8_t bytes[MEMDB__KEY_MAX_BYTES];
} memdb__key_t;

void memdb__key_blob(memdb__key_t *key, const uint8_t hash[16]);
void memdb__key_counters(memdb__key_t *key, memdb_space_t space);
void memdb__key_space(memdb__key_t *key, memdb_space_t space);
void memdb__key_name(memdb__key_t *key, memdb_bytes_t name);
void memdb__key_setting(memdb__key_t *key, memdb_bytes_t name);
void memdb__key_history(memdb__key_t *key);
void memdb__key_history_at(memdb__key_t *key, int64_t time);
void memdb__key_record(memdb__key_t *key, uint64_t id);
void memdb__key_erased(memdb__key_t *key, uint64_t id);
void memdb__key_key(memdb__key_t *key, memdb_space_t space, memdb_bytes_t name);
void memdb__key_time(memdb__key_t *key, memdb_space_t space, int64_t time, uint64_t id);
void memdb__key_session(memdb__key_t *key, memdb_space_t space, memdb_bytes_t session, int64_t time,
                        uint64_t id);
void memdb__key_link(memdb__key_t *key, uint64_t from, memdb_bytes_t type, uint64_t to);
void memdb__key_link_in(memdb__key_t *key, uint64_t from, memdb_bytes_t type, uint64_t to);
void memdb__key_table_name(memdb__key_t *key, memdb_bytes_t name);
void memdb__key_table(memdb__key_t *key, uint32_t table);
void memdb__key_row(memdb__key_t *key, uint32_t table, uint64_t row);

#define MEMDB__ROW_KEY_BYTES 13

/// Prefixes, for scans.
void memdb__key_key_prefix(memdb__key_t *key, memdb_space_t space);
void memdb__key_time_prefix(memdb__key_t *key, memdb_space_t space);
void memdb__key_session_prefix(memdb__key_t *key, memdb_space_t space, memdb_bytes_t session);
void memdb__key_link_prefix(memdb__key_t *key, bool in, uint64_t id);

/// Parts of keys that were read from a segment. False: not well formed.
bool memdb__key_parse_id(const uint8_t *key, size_t size,
                         uint64_t *id_out); // 'R', and the id at the end of 'S', 'T'
bool memdb__key_parse_history(const uint8_t *key, size_t size, int64_t *time_out); // with a time
bool memdb__key_parse_time(const uint8_t *key, size_t size, memdb_space_t *space_out,
                           int64_t *time_out, uint64_t *id_out);
/// 'S': the session is written unescaped into `session` (from the arena or a buffer of key_size
/// bytes).
bool memdb__key_parse_session(const uint8_t *key, size_t size, memdb_space_t *space_out,
                              uint8_t *session, size_t *session_size_out, int64_t *time_out,
                              uint64_t *id_out);
/// 'L' and 'I': first is the id in front, last the one at the end; `type` as above.
bool memdb__key_parse_link(const uint8_t *key, size_t size, uint64_t *first_out, uint8_t *type,
                           size_t *type_size_out, uint64_t *last_out);

#endif
