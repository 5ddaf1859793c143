// The inside of a vector list, shared by list.c (what the writer does) and list_rows.c (finding and
// reading rows). The invariants are at the head of list.c.
#ifndef MEMDB_INDEX_ATLAS_ATLAS_LIST_H
#define MEMDB_INDEX_ATLAS_ATLAS_LIST_H

#include "index/atlas/atlas_internal.h"

#include <stdatomic.h>

#define MEMDB__FIRST_CHUNK_ROWS 4
#define MEMDB__MAX_CHUNKS 28
#define MEMDB__SCANNED_ROWS 32 // up to here a space has no table
#define MEMDB__NO_ROW UINT32_MAX

/// The arrays of a chunk, all in one aligned block.
typedef struct memdb__list_chunk {
    int8_t *codes;
    uint64_t *ids, *versions;
    float *scales, *norms;
    uint32_t *previous; // number of the row before of the same id, or MEMDB__NO_ROW; read through
                        // the table only
} memdb__list_chunk_t;

typedef struct memdb__row_table {
    uint32_t mask;
    _Atomic uint32_t slots[]; // row number + 1; 0: empty
} memdb__row_table_t;

struct memdb__list_space {
    memdb_space_t space;
    uint32_t dimension, stride;
    _Atomic size_t count;
    _Atomic(memdb__row_table_t *) table;
    _Atomic(memdb__list_chunk_t *) chunks[MEMDB__MAX_CHUNKS];
};

static inline uint32_t memdb__chunk_of(size_t row) {
    return 63u - (uint32_t)__builtin_clzll(row / MEMDB__FIRST_CHUNK_ROWS + 1);
}

static inline size_t memdb__chunk_start(uint32_t number) {
    return (size_t)MEMDB__FIRST_CHUNK_ROWS * (((size_t)1 << number) - 1);
}

static inline size_t memdb__chunk_capacity(uint32_t number) {
    return (size_t)MEMDB__FIRST_CHUNK_ROWS << number;
}

/// The chunk of `row`, which is published, or belongs to the writer who asks.
static inline const memdb__list_chunk_t *memdb__chunk_at(const memdb__list_space_t *space,
                                                         uint32_t number) {
    // Acquire: pairs with the release in add_chunk; without it the block's addresses could be read
    // unset.
    return atomic_load_explicit(&space->chunks[number], memory_order_acquire);
}

static inline uint32_t memdb__list_hash(uint64_t value) {
    return (uint32_t)((value * 0x9e3779b97f4a7c15u) >> 32);
}

/// Writer: make `row` the newest of its id.
void memdb__row_table_put(const memdb__list_space_t *space, memdb__row_table_t *table, uint64_t id,
                          uint32_t row);
/// Writer: publish a table of twice the slots of `old`, or the first one, for the `count` rows of
/// the space. NULL: out of memory.
memdb__row_table_t *memdb__row_table_grow(memdb__arena_t *arena, memdb__list_space_t *space,
                                          memdb__row_table_t *old, size_t count);

#endif
