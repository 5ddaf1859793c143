// Values of the ordered map: records of memories, links, spaces, and the operations of a frame.
//
// A record's text_version and vector_version name the document and the row that are its own in the
// words and vector stores. Inside a frame the log position is not known yet: there a version with
// the top bit set is an operation number, relative to the frame. Applying a frame at `base`
// resolves it: base + number. A transaction's private run uses base = 1 << 63, which leaves it as
// it is; so one function applies both, and private versions are above all others.
#ifndef MEMDB_ENGINE_RECORD_H
#define MEMDB_ENGINE_RECORD_H

#include "base/bytes.h"
#include "base/memory.h"
#include "base/status.h"

#define MEMDB__PRIVATE (UINT64_C(1) << 63)

/// A decoded record; pointers go into the encoded bytes.
typedef struct memdb__record {
    memdb_space_t space;
    uint32_t fields;         // memdb_fields_t; VECTOR and BLOBS as present
    uint64_t text_version;   // 0: no document
    uint64_t vector_version; // 0: no row
    uint32_t dimension;
    memdb_bytes_t key, text, kind, session, actor, attrs;
    int64_t time, valid_from, valid_to, expires;
    double importance;
    uint32_t tokens;
    uint32_t blob_count;
    memdb__reader_t blobs; // the encoded list, checked
} memdb__record_t;

/// Record encoding: 0 space u32, 4 fields u32, 8 text_version u64, 16 vector_version u64, then what
/// `fields` names, in the order of its bits: sized bytes, i64, f64 (as u64), u32; for VECTOR the
/// dimension u32; for BLOBS a varint count, then reference[32], size u64, sized media type.
bool memdb__record_encode(memdb__buffer_t *out, const memdb__record_t *record,
                          const memdb_blob_t *blobs);
bool memdb__record_decode(const uint8_t *data, size_t size, memdb__record_t *record_out);
/// Replace relative versions in an encoded record, in place.
void memdb__record_resolve(uint8_t *data, uint64_t base);
/// The next blob of record->blobs (a copy of that reader).
bool memdb__record_next_blob(memdb__reader_t *blobs, memdb_blob_t *blob_out);

/// Link encoding: space u32, weight f64, valid_from i64, valid_to i64, sized attrs.
bool memdb__link_encode(memdb__buffer_t *out, const memdb_link_t *link);
bool memdb__link_decode(const uint8_t *data, size_t size,
                        memdb_link_t *link_out); // space, weight, validity, attrs

/// Space encoding: dimension u32, metric u8, tokenizer u8, sized name.
bool memdb__space_encode(memdb__buffer_t *out, const memdb_space_info_t *info);
/// Whether the gates are in range.
bool memdb__gates_valid(const memdb_gates_t *gates);
bool memdb__space_decode(const uint8_t *data, size_t size, memdb_space_info_t *info_out);

// ------------------------------------------------------------------------------ operations of a
// frame

typedef enum memdb__operation_kind {
    MEMDB__OPERATION_PUT = 1,
    MEMDB__OPERATION_FORGET = 2,
    MEMDB__OPERATION_LINK = 3,
    MEMDB__OPERATION_UNLINK = 4,
    MEMDB__OPERATION_SPACE = 5,
    MEMDB__OPERATION_DROP = 6,
    MEMDB__OPERATION_BLOB = 7,
    MEMDB__OPERATION_SEAL = 8,
    MEMDB__OPERATION_RETIRE = 9,
    MEMDB__OPERATION_SETTING = 10,
    MEMDB__OPERATION_ENTRIES = 11,
    MEMDB__OPERATION_INDEXES = 12,
    MEMDB__OPERATION_TABLE = 13,
    MEMDB__OPERATION_DROP_TABLE = 14,
    MEMDB__OPERATION_ROWS = 15,
} memdb__operation_kind_t;

#define MEMDB__SETTING_NAME_BYTES 64

typedef enum memdb__put_flags {
    MEMDB__PUT_NEW = 1,       // counts as one more memory
    MEMDB__PUT_KEY = 2,       // the key entry is new or other
    MEMDB__PUT_PLACE = 4,     // session or time are new or other
    MEMDB__PUT_BAG = 8,       // a new document
    MEMDB__PUT_OLD_BAG = 16,  // the old document's bag, to be taken out of the statistics
    MEMDB__PUT_ROW = 32,      // a new vector row
    MEMDB__FORGET_ERASE = 64, // of a forget: its bytes leave the files at the next purge
    MEMDB__PUT_ENTRIES = 128, // entries of attribute indexes are put or buried, of a forget too
} memdb__put_flags_t;
#define MEMDB__FORGET_FLAGS (MEMDB__PUT_OLD_BAG | MEMDB__FORGET_ERASE | MEMDB__PUT_ENTRIES)

/// One operation, as encoded in a frame's payload: kind u8, then
///   PUT     id varint, flags u8, text bytes difference svarint, sized record, [sized bag], [sized
///           old bag], [sized row], [sized entries]
///   FORGET  id varint, space u32, flags u8, svarint, [sized old bag], [sized entries]
///   LINK    from, to varint, sized type, sized link      UNLINK  from, to varint, sized type
///   SPACE   space u32, sized descriptor                  DROP    space u32, sized name
///   BLOB    hash[16], reference[32], size u64            SEAL    nothing
///   SETTING sized name, value varint; settings have a frame of their own
///   RETIRE  sized extent ids, u64 each: no later frame names a blob in them
///   ENTRIES id varint, space u32, sized entries: of a memory that was there before its index
///   INDEXES space u32, sized list
///   TABLE   table u32, sized description                 DROP_TABLE  table u32, sized name
///   ROWS    table u32, sized row numbers, u64 each, sized rows, all of one size
/// Entries and lists of attribute indexes: attribute.h.
/// The operation's version is base + its number in the frame, from 0.
typedef struct memdb__operation {
    memdb__operation_kind_t kind;
    uint8_t flags;
    uint64_t id, to;
    memdb_space_t space; // or table
    int64_t text_difference;
    memdb_bytes_t body; // record, link, descriptor, extent ids, list of indexes, row numbers
    memdb_bytes_t bag, old_bag, row, entries; // row: of a table, all of them
    memdb_bytes_t name;                       // link type, or name of a space or setting
    const uint8_t *hash, *reference;
    uint64_t size; // of a blob; the value of a setting
} memdb__operation_t;

bool memdb__operation_encode(memdb__buffer_t *out, const memdb__operation_t *operation);
/// Read the next operation of a payload; false at the end, and with reader->bad set on hostile
/// bytes. Bodies are not decoded.
bool memdb__operation_decode(memdb__reader_t *reader, memdb__operation_t *operation_out);

/// The highest id of a memory, and number of a space or table, that was given out.
typedef struct memdb__last_ids {
    uint64_t memory;
    uint32_t space;
} memdb__last_ids_t;
/// Raise them to what a payload gives out.
void memdb__payload_note_ids(const uint8_t *payload, size_t size, memdb__last_ids_t *last);

#endif
