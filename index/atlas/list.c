// The vectors of one run of the delta: for each space, rows in chunks that double in size.
//
// One writer adds; readers look without a lock. What makes that safe:
//   - A row is written before the space's count is raised over it (release), and a reader takes the
//   count first (acquire);
//     rows below the count never change.
//   - Chunks, spaces and tables are published by a release store of their pointer and live as long
//   as the list. A table that
//     is outgrown stays readable; all outgrown tables together are smaller than the one in use.
//   - Versions do not fall from row to row, so what a snapshot sees of a space is a prefix, found
//   by halving.
//
// Chunk k holds 4 << k rows, so that a space of ten vectors costs twelve rows, and a row's chunk is
// one bit scan away. A given (id, version) is found through a table of row numbers, one slot an id,
// that leads to the newest row of the id; each row links to the one before it of the same id. That
// costs some 8 bytes a row and one or two cache misses, however long the list is; a scan of 100,000
// ids for each of 200 candidates would cost more than the search. Below 33 rows the ids are scanned
// and no table is kept.
#include "index/atlas/atlas_internal.h"

#include <stdatomic.h>
#include <string.h>

#define FIRST_CHUNK_ROWS 4
#define MAX_CHUNKS 28
#define MAX_ROWS ((uint64_t)FIRST_CHUNK_ROWS * ((1u << MAX_CHUNKS) - 1))
#define SCANNED_ROWS 32 // up to here a space has no table
#define FIRST_SPACE_SLOTS 16
#define NO_ROW UINT32_MAX

/// The arrays of a chunk, all in one aligned block.
typedef struct chunk {
    int8_t *codes;
    uint64_t *ids, *versions;
    float *scales, *norms;
    uint32_t *
        previous; // number of the row before of the same id, or NO_ROW; read through the table only
} chunk_t;

typedef struct row_table {
    uint32_t mask;
    _Atomic uint32_t slots[]; // row number + 1; 0: empty
} row_table_t;

struct memdb__list_space {
    memdb_space_t space;
    uint32_t dimension, stride;
    _Atomic size_t count;
    _Atomic(row_table_t *) table;
    _Atomic(chunk_t *) chunks[MAX_CHUNKS];
};

typedef struct space_table {
    uint32_t mask, used;
    _Atomic(memdb__list_space_t *) slots[];
} space_table_t;

struct memdb__vector_list {
    memdb__arena_t arena; // spaces, chunk headers, tables
    _Atomic(space_table_t *) spaces;
    uint64_t newest_version; // writer
    _Atomic size_t row_bytes;
};

// ------------------------------------------------------------------------------ addressing

static uint32_t chunk_of(size_t row) {
    return 63u - (uint32_t)__builtin_clzll(row / FIRST_CHUNK_ROWS + 1);
}

static size_t chunk_start(uint32_t number) {
    return (size_t)FIRST_CHUNK_ROWS * (((size_t)1 << number) - 1);
}

static size_t chunk_capacity(uint32_t number) {
    return (size_t)FIRST_CHUNK_ROWS << number;
}

/// The chunk of `row`, which is published, or belongs to the writer who asks.
static const chunk_t *chunk_at(const memdb__list_space_t *space, uint32_t number) {
    // Acquire: pairs with the release in add_chunk; without it the block's addresses could be read
    // unset.
    return atomic_load_explicit(&space->chunks[number], memory_order_acquire);
}

static uint32_t hash_of(uint64_t value) {
    return (uint32_t)((value * 0x9e3779b97f4a7c15u) >> 32);
}

// ------------------------------------------------------------------------------ life

memdb__vector_list_t *memdb__vector_list_create(void) {
    memdb__vector_list_t *list = memdb__allocate_zeroed(1, sizeof *list);
    if (list)
        memdb__arena_init(&list->arena);
    return list;
}

void memdb__vector_list_destroy(memdb__vector_list_t *list) {
    if (!list)
        return;
    // Relaxed here and below: whoever destroys the list is alone with it.
    space_table_t *spaces = atomic_load_explicit(&list->spaces, memory_order_relaxed);
    for (uint32_t i = 0; spaces && i <= spaces->mask; i++) {
        memdb__list_space_t *space = atomic_load_explicit(&spaces->slots[i], memory_order_relaxed);
        for (uint32_t k = 0; space && k < MAX_CHUNKS; k++) {
            chunk_t *chunk = atomic_load_explicit(&space->chunks[k], memory_order_relaxed);
            if (!chunk)
                break;
            memdb__free_aligned(chunk->codes);
        }
    }
    memdb__arena_deinit(&list->arena);
    memdb__free(list);
}

size_t memdb__vector_list_bytes(const memdb__vector_list_t *list) {
    // Relaxed: counters of memory, nothing is read through them.
    return sizeof *list + atomic_load_explicit(&list->arena.bytes, memory_order_relaxed) +
           atomic_load_explicit(&list->row_bytes, memory_order_relaxed);
}

// ------------------------------------------------------------------------------ spaces

const memdb__list_space_t *memdb__list_find_space(const memdb__vector_list_t *list,
                                                  memdb_space_t space) {
    // Acquire: pairs with the release in publish_spaces; without it slots could be read before they
    // were set.
    const space_table_t *table = atomic_load_explicit(&list->spaces, memory_order_acquire);
    for (uint32_t slot = hash_of(space); table; slot++) {
        // Acquire: pairs with the release in insert_space; the space's fields come with it.
        const memdb__list_space_t *found =
            atomic_load_explicit(&table->slots[slot & table->mask], memory_order_acquire);
        if (!found || found->space == space)
            return found;
    }
    return NULL;
}

static void insert_space(space_table_t *table, memdb__list_space_t *space) {
    uint32_t slot = hash_of(space->space) & table->mask;
    // Relaxed: only the writer stores to slots.
    while (atomic_load_explicit(&table->slots[slot], memory_order_relaxed))
        slot = (slot + 1) & table->mask;
    // Release: pairs with the acquire in memdb__list_find_space.
    atomic_store_explicit(&table->slots[slot], space, memory_order_release);
    table->used++;
}

/// A table with room for one more space (at most half full); NULL: out of memory.
static space_table_t *reserve_space(memdb__vector_list_t *list) {
    // Relaxed: only the writer stores it.
    space_table_t *old = atomic_load_explicit(&list->spaces, memory_order_relaxed);
    if (old && 2 * (old->used + 1) <= old->mask + 1)
        return old;
    uint32_t slots = old ? 2 * (old->mask + 1) : FIRST_SPACE_SLOTS;
    space_table_t *table =
        memdb__arena_allocate(&list->arena, sizeof *table + slots * sizeof table->slots[0]);
    if (!table)
        return NULL;
    table->mask = slots - 1;
    table->used = 0;
    for (uint32_t i = 0; i < slots; i++)
        atomic_init(&table->slots[i], NULL);
    for (uint32_t i = 0; old && i <= old->mask; i++) {
        memdb__list_space_t *space = atomic_load_explicit(&old->slots[i], memory_order_relaxed);
        if (space)
            insert_space(table, space);
    }
    // Release: pairs with the acquire in memdb__list_find_space; the slots are set before the table
    // is seen.
    atomic_store_explicit(&list->spaces, table, memory_order_release);
    return table;
}

static memdb__list_space_t *add_space(memdb__vector_list_t *list, memdb_space_t number,
                                      uint32_t dimension) {
    space_table_t *table = reserve_space(list);
    memdb__list_space_t *space = table ? memdb__arena_allocate(&list->arena, sizeof *space) : NULL;
    if (!space)
        return NULL;
    space->space = number;
    space->dimension = dimension;
    space->stride = memdb__row_stride(dimension);
    atomic_init(&space->count, 0);
    atomic_init(&space->table, NULL);
    for (uint32_t i = 0; i < MAX_CHUNKS; i++)
        atomic_init(&space->chunks[i], NULL);
    insert_space(table, space);
    return space;
}

memdb_status_t memdb__list_each_space(const memdb__vector_list_t *list,
                                      memdb_status_t (*visit)(void *context, memdb_space_t space,
                                                              memdb_error_t *error),
                                      void *context, memdb_error_t *error) {
    // Acquire here and below: as in memdb__list_find_space.
    const space_table_t *table = atomic_load_explicit(&list->spaces, memory_order_acquire);
    for (uint32_t i = 0; table && i <= table->mask; i++) {
        const memdb__list_space_t *space =
            atomic_load_explicit(&table->slots[i], memory_order_acquire);
        memdb_status_t status = space ? visit(context, space->space, error) : MEMDB_OK;
        if (status != MEMDB_OK)
            return status;
    }
    return MEMDB_OK;
}

// ------------------------------------------------------------------------------ the table of rows

static uint64_t id_of(const memdb__list_space_t *space, size_t row) {
    uint32_t number = chunk_of(row);
    return chunk_at(space, number)->ids[row - chunk_start(number)];
}

static uint32_t *previous_of(const memdb__list_space_t *space, size_t row) {
    uint32_t number = chunk_of(row);
    return &chunk_at(space, number)->previous[row - chunk_start(number)];
}

/// Make `row` the newest of its id.
static void table_put(const memdb__list_space_t *space, row_table_t *table, uint64_t id,
                      uint32_t row) {
    uint32_t slot = hash_of(id) & table->mask;
    uint32_t held;
    // Relaxed: only the writer stores to slots.
    while ((held = atomic_load_explicit(&table->slots[slot], memory_order_relaxed)) != 0 &&
           id_of(space, held - 1) != id)
        slot = (slot + 1) & table->mask;
    *previous_of(space, row) = held ? held - 1 : NO_ROW;
    // Release: pairs with the acquire in table_newest; the row and its link are set before they can
    // be reached.
    atomic_store_explicit(&table->slots[slot], row + 1, memory_order_release);
}

/// Number of the newest row of `id`, or NO_ROW.
static uint32_t table_newest(const memdb__list_space_t *space, const row_table_t *table,
                             uint64_t id) {
    for (uint32_t slot = hash_of(id);; slot++) {
        // Acquire: pairs with the release in table_put.
        uint32_t held =
            atomic_load_explicit(&table->slots[slot & table->mask], memory_order_acquire);
        if (!held)
            return NO_ROW;
        if (id_of(space, held - 1) == id)
            return held - 1;
    }
}

/// Bring `table` up to the `count` rows of the space: a larger one is filled with every id's newest
/// row, whose link is right already; rows that never were in a table are put in order.
static row_table_t *grow_table(memdb__vector_list_t *list, memdb__list_space_t *space,
                               row_table_t *old, size_t count) {
    uint32_t slots = old ? 2 * (old->mask + 1) : 4 * SCANNED_ROWS;
    row_table_t *table =
        memdb__arena_allocate(&list->arena, sizeof *table + slots * sizeof table->slots[0]);
    if (!table)
        return NULL;
    table->mask = slots - 1;
    for (uint32_t i = 0; i < slots; i++)
        atomic_init(&table->slots[i], 0);
    for (uint32_t row = 0; !old && row < count; row++)
        table_put(space, table, id_of(space, row), row);
    for (uint32_t i = 0; old && i <= old->mask; i++) {
        uint32_t held = atomic_load_explicit(&old->slots[i], memory_order_relaxed); // own store
        if (!held)
            continue;
        uint32_t slot = hash_of(id_of(space, held - 1)) & table->mask;
        while (atomic_load_explicit(&table->slots[slot], memory_order_relaxed)) // not yet shared
            slot = (slot + 1) & table->mask;
        atomic_store_explicit(&table->slots[slot], held, memory_order_relaxed); // not yet shared
    }
    // Release: pairs with the acquire in memdb__list_space_find.
    atomic_store_explicit(&space->table, table, memory_order_release);
    return table;
}

// ------------------------------------------------------------------------------ adding

static bool add_chunk(memdb__vector_list_t *list, memdb__list_space_t *space, uint32_t number) {
    size_t rows = chunk_capacity(number);
    size_t row_bytes = space->stride + 2 * sizeof(uint64_t) + 2 * sizeof(float) + sizeof(uint32_t);
    chunk_t *chunk = memdb__arena_allocate(&list->arena, sizeof *chunk);
    uint8_t *block = chunk ? memdb__allocate_aligned(rows * row_bytes) : NULL;
    if (!block)
        return false;
    chunk->codes = (int8_t *)block;
    chunk->ids = (uint64_t *)(void *)(block + rows * space->stride);
    chunk->versions = chunk->ids + rows;
    chunk->scales = (float *)(void *)(chunk->versions + rows);
    chunk->norms = chunk->scales + rows;
    chunk->previous = (uint32_t *)(void *)(chunk->norms + rows);
    // Release: pairs with the acquire in chunk_at.
    atomic_store_explicit(&space->chunks[number], chunk, memory_order_release);
    // Relaxed: a counter.
    atomic_fetch_add_explicit(&list->row_bytes, rows * row_bytes, memory_order_relaxed);
    return true;
}

static void write_row(const memdb__list_space_t *space, size_t row, uint64_t id, uint64_t version,
                      const uint8_t *encoded) {
    uint32_t number = chunk_of(row);
    const chunk_t *chunk = chunk_at(space, number);
    size_t at = row - chunk_start(number);
    int8_t *codes = chunk->codes + at * space->stride;
    memcpy(&chunk->scales[at], encoded, sizeof(float)); // little-endian, as the log has it
    memcpy(codes, encoded + sizeof(float), space->dimension);
    memset(codes + space->dimension, 0, space->stride - space->dimension);
    chunk->norms[at] = memdb__codes_norm(codes, space->stride, chunk->scales[at]);
    chunk->ids[at] = id;
    chunk->versions[at] = version;
    chunk->previous[at] = NO_ROW;
}

memdb_status_t memdb__vector_list_add(memdb__vector_list_t *list, memdb_space_t space_number,
                                      uint32_t dimension, uint64_t id, uint64_t version,
                                      const uint8_t *row, memdb_error_t *error) {
    if (!memdb__row_verify(row, memdb__row_bytes(dimension), dimension))
        return memdb__fail(error, MEMDB_INVALID, "vector of id %llu: not a row of dimension %u",
                           (unsigned long long)id, dimension);
    if (version < list->newest_version)
        return memdb__fail(error, MEMDB_INVALID, "vector of id %llu: version %llu after %llu",
                           (unsigned long long)id, (unsigned long long)version,
                           (unsigned long long)list->newest_version);
    // The writer's own object: the reader's view of it is const.
    memdb__list_space_t *space =
        (memdb__list_space_t *)(uintptr_t)memdb__list_find_space(list, space_number);
    if (!space && !(space = add_space(list, space_number, dimension)))
        return memdb__fail(error, MEMDB_NOMEM, "out of memory for a space's vectors");
    if (space->dimension != dimension)
        return memdb__fail(error, MEMDB_INVALID, "space %u has dimension %u, not %u", space_number,
                           space->dimension, dimension);
    memdb__rows_t same;
    if (memdb__list_space_find(space, id, version, &same))
        return memdb__fail(error, MEMDB_INVALID, "id %llu has two vectors of version %llu",
                           (unsigned long long)id, (unsigned long long)version);
    // Relaxed here and below: only the writer stores count and table.
    size_t count = atomic_load_explicit(&space->count, memory_order_relaxed);
    if (count >= MAX_ROWS)
        return memdb__fail(error, MEMDB_LIMIT, "space %u has %zu vectors in one run", space_number,
                           count);
    uint32_t number = chunk_of(count);
    if (!chunk_at(space, number) && !add_chunk(list, space, number))
        return memdb__fail(error, MEMDB_NOMEM, "out of memory for a chunk of vectors");
    row_table_t *table = atomic_load_explicit(&space->table, memory_order_relaxed);
    if (count >= SCANNED_ROWS && (!table || 2 * (count + 1) > (size_t)table->mask + 1)) {
        table = grow_table(list, space, table, count);
        if (!table)
            return memdb__fail(error, MEMDB_NOMEM, "out of memory for a table of vectors");
    }
    write_row(space, count, id, version, row);
    if (table)
        table_put(space, table, id, (uint32_t)count);
    // Release: pairs with the acquire in memdb__list_space_count; the row is whole before it
    // counts.
    atomic_store_explicit(&space->count, count + 1, memory_order_release);
    list->newest_version = version;
    return MEMDB_OK;
}

// ------------------------------------------------------------------------------ reading

uint32_t memdb__list_space_dimension(const memdb__list_space_t *space) {
    return space->dimension;
}

static uint64_t version_of(const memdb__list_space_t *space, size_t row) {
    uint32_t number = chunk_of(row);
    return chunk_at(space, number)->versions[row - chunk_start(number)];
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
    uint32_t number = chunk_of(row);
    const chunk_t *chunk = chunk_at(space, number);
    size_t at = row - chunk_start(number);
    return (memdb__rows_t){.codes = chunk->codes + at * space->stride,
                           .ids = chunk->ids + at,
                           .versions = chunk->versions + at,
                           .scales = chunk->scales + at,
                           .norms = chunk->norms + at,
                           .count = rows};
}

memdb__rows_t memdb__list_space_rows(const memdb__list_space_t *space, size_t first, size_t count) {
    uint32_t number = chunk_of(first);
    size_t end = chunk_start(number) + chunk_capacity(number);
    return view(space, first, (end < count ? end : count) - first);
}

bool memdb__list_space_find(const memdb__list_space_t *space, uint64_t id, uint64_t version,
                            memdb__rows_t *row_out) {
    // Acquire: pairs with the release in grow_table.
    const row_table_t *table = atomic_load_explicit(&space->table, memory_order_acquire);
    if (table) {
        uint32_t row = table_newest(space, table, id);
        while (row != NO_ROW && version_of(space, row) > version)
            row = *previous_of(space, row);
        if (row == NO_ROW || version_of(space, row) != version)
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
