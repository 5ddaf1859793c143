// The description of a model table: what it is, apart from its rows.
//
// Description: u64 rows, u32 dimension, u8 dtype, u8 1 for the sum of Adagrad, u32 scale group,
// sized name, u32 layers and, unless it is 0, u32 min_order, u32 max_order, u32 heads, u32 pad, the
// multipliers, primes and offsets (u64 each), u32 token count, the token map (u32 each).
#ifndef MEMDB_ENGINE_TABLE_DESCRIPTION_H
#define MEMDB_ENGINE_TABLE_DESCRIPTION_H

#include "base/memory.h"
#include "index/table/table.h"

#define MEMDB__TABLE_MAX_ROWS (UINT64_C(1) << 40)

/// A decoded description; info points into `memory`.
typedef struct memdb__table_description {
    memdb_table_info_t info;
    memdb__table_format_t format;
    void *memory;
} memdb__table_description_t;

/// Check what a caller gave, and what it makes of a row.
memdb_status_t memdb__table_check(const memdb_table_info_t *info, memdb__table_format_t *format_out,
                                  memdb_error_t *error);
/// The description of a checked info. False: out of memory.
bool memdb__table_encode(memdb__buffer_t *out, const memdb_table_info_t *info);
/// MEMDB_CORRUPT without a message for hostile bytes; MEMDB_NOMEM.
memdb_status_t memdb__table_decode(const uint8_t *data, size_t size,
                                   memdb__table_description_t *description_out);
void memdb__table_description_deinit(memdb__table_description_t *description);
/// The name alone. False: hostile bytes.
bool memdb__table_decode_name(const uint8_t *data, size_t size, memdb_bytes_t *name_out);
/// How many rows there are and what each one's value takes, without the rest. False: hostile bytes.
bool memdb__table_decode_shape(const uint8_t *data, size_t size, uint64_t *rows_out,
                               size_t *value_bytes_out);

/// Bytes of a row's value.
size_t memdb__table_value_bytes(const memdb__table_description_t *description);

#endif
