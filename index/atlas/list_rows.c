// Rows of a vector list: the table that leads to a given (id, version), and reading.
#include "index/atlas/atlas_list.h"

// ------------------------------------------------------------------------------ the table of rows

static uint64_t id_of(const memdb__list_space_t *space, size_t row) {
    uint32_t number = memdb__chunk_of(row);
    return memdb__chunk_at(space, number)->ids[row - memdb__chunk_start(number)];
}

static uint32_t *previous_of(const memdb__list_space_t *space, size_t row) {
    uint32_t number = memdb__chunk_of(row);
    return &memdb__chunk_at(space, number)->previous[row - memdb__chunk_start(number)];
}

/// Make `row` the newest of its id.
void memdb__row_table_put(const memdb__list_space_t *space, memdb__row_table_t *table, uint64_t id,
                          uint32_t row) {
    uint32_t slot = memdb__list_hash(id) & table->mask;
    uint32_t held;
    // Relaxed: only the writer stores to slots.
    while ((held = atomic_load_explicit(&table->slots[slot], memory_order_relaxed)) != 0 &&
           id_of(space, held - 1) != id)
        slot = (slot + 1) & table->mask;
    *previous_of(space, row) = held ? held - 1 : MEMDB__NO_ROW;
    // Release: pairs with the acquire in table_newest; the row and its link are set before they can
    // be reached.
    atomic_store_explicit(&table->slots[slot], row + 1, memory_order_release);
}

/// Number of the newest row of `id`, or MEMDB__NO_ROW.
static uint32_t table_newest(const memdb__list_space_t *space, const memdb__row_table_t *table,
                             uint64_t id) {
    for (uint32_t slot = memdb__list_hash(id);; slot++) {
        // Acquire: pairs with the release in memdb__row_table_put.
        uint32_t held =
            atomic_load_explicit(&table->slots[slot & table->mask], memory_order_acquire);
        if (!held)
            return MEMDB__NO_ROW;
        if (id_of(space, held - 1) == id)
            return held - 1;
    }
}

/// Bring `table` up to the `count` rows of the space: a larger one is filled with every id's newest
/// row, whose link is right already; rows that never were in a table are put in order.
memdb__row_table_t *memdb__row_table_grow(memdb__arena_t *arena, memdb__list_space_t *space,
                                          memdb__row_table_t *old, size_t count) {
    uint32_t slots = old ? 2 * (old->mask + 1) : 4 * MEMDB__SCANNED_ROWS;
    memdb__row_table_t *table =
        memdb__arena_allocate(arena, sizeof *table + slots * sizeof table->slots[0]);
    if (!table)
        return NULL;
    table->mask = slots - 1;
    for (uint32_t i = 0; i < slots; i++)
        atomic_init(&table->slots[i], 0);
    for (uint32_t row = 0; !old && row < count; row++)
        memdb__row_table_put(space, table, id_of(space, row), row);
    for (uint32_t i = 0; old && i <= old->mask; i++) {
        uint32_t held = atomic_load_explicit(&old->slots[i], memory_order_relaxed); // own store
        if (!held)
            continue;
        uint32_t slot = memdb__list_hash(id_of(space, held - 1)) & table->mask;
        while (atomic_load_explicit(&table->slots[slot], memory_order_relaxed)) // not yet shared
            slot = (slot + 1) & table->mask;
        atomic_store_explicit(&table->slots[slot], held, memory_order_relaxed); // not yet shared
    }
    // Release: pairs with the acquire in memdb__list_space_find.
    atomic_store_explicit(&space->table, table, memory_order_release);
    return table;
}

// ------------------------------------------------------------------------------ reading

uint32_t memdb__list_space_dimension(const memdb__list_space_t *space) {
    return space->dimension;
}

static uint64_t version_of(const memdb__list_space_t *space, size_t row) {
    uint32_t number = memdb__chunk_of(row);
    return memdb__chunk_at(space, number)->versions[row - memdb__chunk_start(number)];
}

size_t memdb__list_space_count(const memdb__list_space_t *space, uint64_t visible) {
    // Acquire: pairs with the release in memdb__vector_list_add; rows below the count can be read.
    size_t high = atomic_load_explicit(&space->count, memory_order_acquire), low = 0;
    if (high && version_of(space, high - 1) <= visible)
        return high;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (version_of(space, middle) <= visible)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static memdb__rows_t view(const memdb__list_space_t *space, size_t row, size_t rows) {
    uint32_t number = memdb__chunk_of(row);
    const memdb__list_chunk_t *chunk = memdb__chunk_at(space, number);
    size_t at = row - memdb__chunk_start(number);
    return (memdb__rows_t){.codes = chunk->codes + at * space->stride,
                           .ids = chunk->ids + at,
                           .versions = chunk->versions + at,
                           .scales = chunk->scales + at,
                           .norms = chunk->norms + at,
                           .count = rows};
}

memdb__rows_t memdb__list_space_rows(const memdb__list_space_t *space, size_t first, size_t count) {
    uint32_t number = memdb__chunk_of(first);
    size_t end = memdb__chunk_start(number) + memdb__chunk_capacity(number);
    return view(space, first, (end < count ? end : count) - first);
}

bool memdb__list_space_find(const memdb__list_space_t *space, uint64_t id, uint64_t version,
                            memdb__rows_t *row_out) {
    // Acquire: pairs with the release in memdb__row_table_grow.
    const memdb__row_table_t *table = atomic_load_explicit(&space->table, memory_order_acquire);
    if (table) {
        uint32_t row = table_newest(space, table, id);
        while (row != MEMDB__NO_ROW && version_of(space, row) > version)
            row = *previous_of(space, row);
        if (row == MEMDB__NO_ROW || version_of(space, row) != version)
            return false;
        *row_out = view(space, row, 1);
        return true;
    }
    for (size_t row = memdb__list_space_count(space, version); row-- > 0;) {
        if (version_of(space, row) != version)
            return false;
        if (id_of(space, row) == id) {
            *row_out = view(space, row, 1);
            return true;
        }
    }
    return false;
}
