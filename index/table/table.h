// Rows of model tables: how numbers are stored, and how n-grams become rows. Pure functions of
// their arguments; include/memdb_runtime.h describes the formats and the hash.
#ifndef MEMDB_INDEX_TABLE_TABLE_H
#define MEMDB_INDEX_TABLE_TABLE_H

#include "include/memdb_runtime.h"

/// The layout of a row.
typedef struct memdb__table_format {
    memdb_dtype_t dtype;
    uint32_t dimension;
    uint32_t group;        // numbers that share a scale; dimension or less; 0: no scales
    uint32_t scale_offset; // where the scales begin: behind the numbers
    uint32_t row_bytes;
} memdb__table_format_t;

/// False: no such dtype, no dimension, or a group where there are no scales.
bool memdb__table_format_init(memdb__table_format_t *format, memdb_dtype_t dtype,
                              uint32_t dimension, uint32_t scale_group);
/// Any bytes are a row.
void memdb__table_row_decode(const memdb__table_format_t *format, const uint8_t *row, float *out);
/// To the nearest values, as memdb_table_update says. False: a number is not finite; `out` is then
/// written in part.
bool memdb__table_row_encode(const memdb__table_format_t *format, const float *numbers,
                             uint8_t *out);

/// The constants of a hash, ready for use: borrowed from the info that they were made of, but for
/// the reciprocals of the primes.
typedef struct memdb__hasher {
    const memdb_hashing_t *hashing;
    uint64_t *reciprocals; // of each prime; NULL where nothing is hashed
} memdb__hasher_t;

/// How many multipliers there are, and primes, which are as many as offsets. 0 where nothing is
/// hashed.
static inline size_t memdb__multiplier_count(const memdb_hashing_t *hashing) {
    return (size_t)hashing->layers * hashing->max_order;
}
static inline size_t memdb__prime_count(const memdb_hashing_t *hashing) {
    return (size_t)hashing->layers * (hashing->max_order - hashing->min_order + 1) * hashing->heads;
}

/// MEMDB_INVALID or MEMDB_LIMIT with a message: constants that cannot be, for a table of `rows`.
memdb_status_t memdb__hashing_check(const memdb_hashing_t *hashing, uint64_t rows,
                                    memdb_error_t *error);
/// `hashing` was checked. False: out of memory.
bool memdb__hasher_init(memdb__hasher_t *hasher, const memdb_hashing_t *hashing);
void memdb__hasher_deinit(memdb__hasher_t *hasher);
/// As memdb_table_hash.
memdb_status_t memdb__hasher_run(const memdb__hasher_t *hasher, const int32_t *tokens,
                                 const uint8_t *mask, size_t sequences, size_t length,
                                 int32_t *history, uint64_t *rows_out, memdb_error_t *error);

#endif
