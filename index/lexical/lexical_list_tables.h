// What the writer's and the readers' side of a delta list share: its tables and rows.
#ifndef MEMDB_INDEX_LEXICAL_LIST_TABLES_H
#define MEMDB_INDEX_LEXICAL_LIST_TABLES_H

#include "index/lexical/lexical_list.h"

/// An open-addressing hash table of pointers, at most half full. A grown one points to the one
/// before it, which readers may still be probing; all of them live as long as the list.
typedef struct memdb__list_table {
    struct memdb__list_table *older;
    uint64_t mask;
    _Atomic(void *) slots[];
} memdb__list_table_t;

typedef struct memdb__list_removal {
    uint64_t version;
    uint64_t tokens_after; // of this removal and all before it
} memdb__list_removal_t;

/// Rows lie in pieces of 4, 8, 16, ... rows, found by the number of leading zeros: O(1), and no row
/// ever moves.
#define MEMDB__LIST_FIRST_PIECE 4u
#define MEMDB__LIST_PIECES 27u
#define MEMDB__LIST_ROW_LIMIT (MEMDB__LIST_FIRST_PIECE * ((1u << MEMDB__LIST_PIECES) - 1))

struct memdb__list_space {
    memdb_space_t space;
    _Atomic uint32_t document_count, removal_count;
    _Atomic(memdb__list_term_t *) terms;
    _Atomic(void *) documents[MEMDB__LIST_PIECES]; // memdb__list_document_t
    _Atomic(void *) removals[MEMDB__LIST_PIECES];  // memdb__list_removal_t
};

/// A term of the bag in hand.
typedef struct memdb__list_touched {
    const uint8_t *term;
    uint32_t size, tf;
    uint64_t hash;
    memdb__list_sequence_t *sequence; // where its value goes
} memdb__list_touched_t;

struct memdb__words_list {
    memdb__arena_t arena;
    _Atomic(memdb__list_table_t *) terms, spaces;
    _Atomic size_t table_bytes;
    // the writer's
    uint64_t term_count, space_count, newest;
    memdb__list_touched_t *touched;
    size_t touched_capacity;
};

static inline uint32_t memdb__list_piece_of(uint32_t number) {
    return 31u - (uint32_t)__builtin_clz(number / MEMDB__LIST_FIRST_PIECE + 1);
}

static inline void *memdb__list_row(const _Atomic(void *) *pieces, uint32_t number,
                                    size_t row_size) {
    uint32_t piece = memdb__list_piece_of(number);
    uint32_t first = MEMDB__LIST_FIRST_PIECE * ((1u << piece) - 1);
    // relaxed: the count of rows, loaded with acquire, was stored after it
    uint8_t *rows = atomic_load_explicit(&pieces[piece], memory_order_relaxed);
    return rows + (number - first) * row_size;
}

static inline memdb__list_document_t *memdb__list_document_row(const memdb__list_space_t *space,
                                                               uint32_t number) {
    return memdb__list_row(space->documents, number, sizeof(memdb__list_document_t));
}

static inline memdb__list_removal_t *memdb__list_removal_row(const memdb__list_space_t *space,
                                                             uint32_t number) {
    return memdb__list_row(space->removals, number, sizeof(memdb__list_removal_t));
}

/// Replace a table by one of twice the size (or make the first). False: out of memory, nothing
/// changed.
bool memdb__list_table_grow(memdb__words_list_t *list, _Atomic(memdb__list_table_t *) *table,
                            uint64_t (*hash_of)(const void *entry));
/// Insert into a table that has room.
void memdb__list_table_insert(_Atomic(memdb__list_table_t *) *table, uint64_t hash, void *entry);
static inline uint64_t memdb__list_table_capacity(_Atomic(memdb__list_table_t *) *table) {
    // relaxed: for the writer, who alone stores it
    return atomic_load_explicit(table, memory_order_relaxed)->mask + 1;
}
const memdb__list_space_t *memdb__list_find_space(const memdb__words_list_t *list,
                                                  memdb_space_t space);

#endif
