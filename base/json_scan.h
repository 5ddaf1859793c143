// Reading JSON where it lies: the value at a path, members, elements, and strings as they stand.
//
// The attributes of a memory were checked when they were put (memdb__json_is_object), so a reader
// only looks for the few places that it wants: no tree is built, nothing is allocated and nothing
// copied. On bytes that are no JSON after all, each function answers "not there"; none reads past
// the end.
#ifndef MEMDB_BASE_JSON_SCAN_H
#define MEMDB_BASE_JSON_SCAN_H

#include "include/memdb.h"

typedef enum memdb__json_kind {
    MEMDB__JSON_NULL = 0, // also: absent
    MEMDB__JSON_BOOL,
    MEMDB__JSON_INTEGER, // written without fraction and exponent, and within int64
    MEMDB__JSON_REAL,
    MEMDB__JSON_STRING,
    MEMDB__JSON_ARRAY,
    MEMDB__JSON_OBJECT,
} memdb__json_kind_t;

/// One value; it lends from the text.
typedef struct memdb__json {
    memdb__json_kind_t kind;
    bool truth;
    bool escaped; // of a string: it holds a backslash, so its bytes are not the text itself
    int64_t integer;
    double real;
    memdb_bytes_t text; // a string without its quotes; an array or object with its brackets
} memdb__json_t;

/// The value of all of `text`.
bool memdb__json_read(memdb_bytes_t text, memdb__json_t *value_out);
/// The value that the member names `steps` lead to, from the object `text` on. False: absent.
bool memdb__json_find(memdb_bytes_t text, const memdb_bytes_t *steps, size_t count,
                      memdb__json_t *value_out);

/// A walk over the members of an object or the elements of an array.
typedef struct memdb__json_walk {
    const char *at, *end;
    bool object;
} memdb__json_walk_t;
memdb__json_walk_t memdb__json_enter(const memdb__json_t *container);
/// Step. name_out: optional; of a member, a string.
bool memdb__json_next(memdb__json_walk_t *walk, memdb__json_t *name_out, memdb__json_t *value_out);

/// Read the number at `at`, in the grammar of JSON. Returns where it ends; NULL: there is none. A
/// byte must follow it within the text.
const char *memdb__json_number(const char *at, const char *end, memdb__json_t *value_out);

/// A string (with its escapes resolved) against plain text: its order by bytes, whether it begins
/// with it, whether it holds it. A part to hold has at most MEMDB__JSON_PART_BYTES.
#define MEMDB__JSON_PART_BYTES 1024
int memdb__json_compare(const memdb__json_t *string, memdb_bytes_t text);
bool memdb__json_starts(const memdb__json_t *string, memdb_bytes_t prefix);
bool memdb__json_holds(const memdb__json_t *string, memdb_bytes_t part);
/// Copy the string, escapes resolved, up to `size` bytes of it; returns how many it has in all.
size_t memdb__json_copy(const memdb__json_t *string, char *out, size_t size);

#endif
