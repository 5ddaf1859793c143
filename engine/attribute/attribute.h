// Attribute indexes: which memories of a space have which value in a field, or at a path of their
// attributes.
//
// A space has a list of indexes ('X'), each on one field or path, with a number that is never used
// again in the space. An index has one entry ('V') for each live memory that has a value there. An
// entry's key is the value, in an encoding whose byte order is the order of values, and the id; it
// is put by the frame that puts the memory, and buried by the frame that changes or forgets it. So,
// unlike 'S' and 'T', entries are exact at every position: who walks a range of values at a
// snapshot meets the ids of the memories that have them then, and need not look at any record.
//
//   value encoding: 1 byte type, then
//     0x10 truth      u8 0 or 1
//     0x20 number     f64 as u64 with its sign bit flipped (all bits, when negative), then u16: 512
//                     more than what an integer has above that f64. 0 for -0
//     0x30 time       i64, biased
//     0x40 text       escaped as texts in keys are, and ends with 0x00 0x01; of one that is longer
//                     than MEMDB__ATTRIBUTE_TEXT_BYTES those first bytes, and the end is 0x00 0x02
//     0x50 other      nothing: an array or object
// What is absent or null has no entry. Types do not mix: a range lies within one type.
#ifndef MEMDB_ENGINE_ATTRIBUTE_H
#define MEMDB_ENGINE_ATTRIBUTE_H

#include "base/bitmap.h"
#include "engine/keys.h"
#include "engine/record.h"

#define MEMDB__ATTRIBUTE_INDEXES 32u // of one space
#define MEMDB__ATTRIBUTE_STEPS 32u   // of one path
#define MEMDB__ATTRIBUTE_PATH_BYTES 1024u
#define MEMDB__ATTRIBUTE_TEXT_BYTES 256u
#define MEMDB__ATTRIBUTE_VALUE_BYTES (1 + 2 * MEMDB__ATTRIBUTE_TEXT_BYTES + 2)

/// What an index is on. The numbers are those of the format.
typedef enum memdb__attribute_field {
    MEMDB__ATTRIBUTE_KEY = 1,
    MEMDB__ATTRIBUTE_KIND = 2,
    MEMDB__ATTRIBUTE_SESSION = 3,
    MEMDB__ATTRIBUTE_ACTOR = 4,
    MEMDB__ATTRIBUTE_TIME = 5,
    MEMDB__ATTRIBUTE_VALID_FROM = 6,
    MEMDB__ATTRIBUTE_VALID_TO = 7,
    MEMDB__ATTRIBUTE_EXPIRES = 8,
    MEMDB__ATTRIBUTE_IMPORTANCE = 9,
    MEMDB__ATTRIBUTE_TOKENS = 10,
    MEMDB__ATTRIBUTE_PATH = 11,
    MEMDB__ATTRIBUTE_TEXT_HASH = 12, // XXH3-64 of the text, as an integer: for gates, not filters
} memdb__attribute_field_t;

typedef enum memdb__attribute_type {
    MEMDB__ATTRIBUTE_TRUTH = 0x10,
    MEMDB__ATTRIBUTE_NUMBER = 0x20,
    MEMDB__ATTRIBUTE_MOMENT = 0x30,
    MEMDB__ATTRIBUTE_TEXT = 0x40,
    MEMDB__ATTRIBUTE_OTHER = 0x50,
} memdb__attribute_type_t;

typedef struct memdb__attribute_index {
    uint32_t number;
    bool ready; // it has the entries of all memories; else it is being made
    memdb__attribute_field_t field;
    uint32_t step_count; // of PATH
    memdb_bytes_t steps; // sized texts, one after the other
} memdb__attribute_index_t;

/// The indexes of a space. Paths are lent by what it was decoded from.
typedef struct memdb__attributes {
    uint32_t next; // number of the next index
    uint32_t count;
    memdb__attribute_index_t items[MEMDB__ATTRIBUTE_INDEXES];
} memdb__attributes_t;

/// An encoded value.
typedef struct memdb__attribute_value {
    size_t size; // 0: none
    uint8_t bytes[MEMDB__ATTRIBUTE_VALUE_BYTES];
} memdb__attribute_value_t;

// ------------------------------------------------------------------------------ attribute_format.c

/// List encoding, the value of 'X': varint next, varint count, then for each varint number, u8
/// ready, u8 field, varint steps, sized step each.
bool memdb__attributes_encode(memdb__buffer_t *out, const memdb__attributes_t *attributes);
bool memdb__attributes_decode(const uint8_t *data, size_t size, memdb__attributes_t *out);

/// Parse what an index is to be on: a field's name, or `attr.` and a path, whose steps are names or
/// texts in double quotes (each twice inside). The steps go into `steps`, which `index_out` lends.
memdb_status_t memdb__attribute_parse(memdb_bytes_t on, memdb__attribute_index_t *index_out,
                                      memdb__buffer_t *steps, memdb_error_t *error);
/// Append the text that parses to it.
bool memdb__attribute_print(memdb__buffer_t *out, const memdb__attribute_index_t *index);
bool memdb__attribute_same(const memdb__attribute_index_t *a, const memdb__attribute_index_t *b);

void memdb__attribute_of_truth(memdb__attribute_value_t *value, bool truth);
void memdb__attribute_of_integer(memdb__attribute_value_t *value, int64_t integer);
void memdb__attribute_of_real(memdb__attribute_value_t *value, double real);
void memdb__attribute_of_time(memdb__attribute_value_t *value, int64_t time);
void memdb__attribute_of_text(memdb__attribute_value_t *value, memdb_bytes_t text);
/// Whether bytes of a file or frame are an encoded value.
bool memdb__attribute_verify(const uint8_t *value, size_t size);

/// The value that a memory has for an index; size 0: none.
void memdb__attribute_of_record(memdb__attribute_value_t *value,
                                const memdb__attribute_index_t *index,
                                const memdb__record_t *record);

// Keys: 'X' space u32, and 'V' space u32, number u32, value, id u64.
void memdb__key_attributes(memdb__key_t *key, memdb_space_t space);
void memdb__key_attribute(memdb__key_t *key, memdb_space_t space, uint32_t number,
                          const uint8_t *value, size_t value_size, uint64_t id);
/// Of a whole entry; the value is lent by the key.
bool memdb__key_parse_attribute(const uint8_t *key, size_t size, memdb_space_t *space_out,
                                uint32_t *number_out, memdb_bytes_t *value_out, uint64_t *id_out);

/// Entries as an operation carries them: for each varint number, u8 1 (put) or 0 (buried), sized
/// value.
typedef struct memdb__attribute_entry {
    uint32_t number;
    bool put;
    memdb_bytes_t value;
} memdb__attribute_entry_t;
bool memdb__attribute_next_entry(memdb__reader_t *reader, memdb__attribute_entry_t *entry_out);
/// Append the entries by which a memory goes from `old` to `record` (either may be NULL: it is not
/// there). An index that is being made gets all that the memory has, whether it changed or not.
bool memdb__attribute_encode_entries(memdb__buffer_t *out, const memdb__attributes_t *attributes,
                                     const memdb__record_t *old, const memdb__record_t *record);

#endif
