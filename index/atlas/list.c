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
#include "index/atlas/atlas_list.h"

#include <string.h>

#define FIRST_SPACE_SLOTS 16
#define MAX_ROWS ((uint64_t)MEMDB__FIRST_CHUNK_ROWS * ((1u << MEMDB__MAX_CHUNKS) - 1))

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
        for (uint32_t k = 0; space && k < MEMDB__MAX_CHUNKS; k++) {
            memdb__list_chunk_t *chunk =
                atomic_load_explicit(&space->chunks[k], memory_order_relaxed);
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

const memdb__list_space_t *memdb__vector_list_space(const memdb__vector_list_t *list,
                                                    memdb_space_t space) {
    // Acquire: pairs with the release in publish_spaces; without it slots could be read before they
    // were set.
    const space_table_t *table = atomic_load_explicit(&list->spaces, memory_order_acquire);
    for (uint32_t slot = memdb__list_hash(space); table; slot++) {
        // Acquire: pairs with the release in insert_space; the space's fields come with it.
        const memdb__list_space_t *found =
            atomic_load_explicit(&table->slots[slot & table->mask], memory_order_acquire);
        if (!found || found->space == space)
            return found;
    }
    return NULL;
}

static void insert_space(space_table_t *table, memdb__list_space_t *space) {
    uint32_t slot = memdb__list_hash(space->space) & table->mask;
    // Relaxed: only the writer stores to slots.
    while (atomic_load_explicit(&table->slots[slot], memory_order_relaxed))
        slot = (slot + 1) & table->mask;
    // Release: pairs with the acquire in memdb__vector_list_space.
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
    // Release: pairs with the acquire in memdb__vector_list_space; the slots are set before the
    // table is seen.
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
    for (uint32_t i = 0; i < MEMDB__MAX_CHUNKS; i++)
        atomic_init(&space->chunks[i], NULL);
    insert_space(table, space);
    return space;
}

memdb_status_t memdb__list_each_space(const memdb__vector_list_t *list,
                                      memdb_status_t (*visit)(void *context, memdb_space_t space,
                                                              memdb_error_t *error),
                                      void *context, memdb_error_t *error) {
    // Acquire here and below: as in memdb__vector_list_space.
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

// ------------------------------------------------------------------------------ adding

static bool add_chunk(memdb__vector_list_t *list, memdb__list_space_t *space, uint32_t number) {
    size_t rows = memdb__chunk_capacity(number);
    size_t row_bytes = space->stride + 2 * sizeof(uint64_t) + 2 * sizeof(float) + sizeof(uint32_t);
    memdb__list_chunk_t *chunk = memdb__arena_allocate(&list->arena, sizeof *chunk);
    uint8_t *block = chunk ? memdb__allocate_aligned(rows * row_bytes) : NULL;
    if (!block)
        return false;
    chunk->codes = (int8_t *)block;
    chunk->ids = (uint64_t *)(void *)(block + rows * space->stride);
    chunk->versions = chunk->ids + rows;
    chunk->scales = (float *)(void *)(chunk->versions + rows);
    chunk->norms = chunk->scales + rows;
    chunk->previous = (uint32_t *)(void *)(chunk->norms + rows);
    // Release: pairs with the acquire in memdb__chunk_at.
    atomic_store_explicit(&space->chunks[number], chunk, memory_order_release);
    // Relaxed: a counter.
    atomic_fetch_add_explicit(&list->row_bytes, rows * row_bytes, memory_order_relaxed);
    return true;
}

static void write_row(const memdb__list_space_t *space, size_t row, uint64_t id, uint64_t version,
                      const uint8_t *encoded) {
    uint32_t number = memdb__chunk_of(row);
    const memdb__list_chunk_t *chunk = memdb__chunk_at(space, number);
    size_t at = row - memdb__chunk_start(number);
    int8_t *codes = chunk->codes + at * space->stride;
    memcpy(&chunk->scales[at], encoded, sizeof(float)); // little-endian, as the log has it
    memcpy(codes, encoded + sizeof(float), space->dimension);
    memset(codes + space->dimension, 0, space->stride - space->dimension);
    chunk->norms[at] = memdb__codes_norm(codes, space->stride, chunk->scales[at]);
    chunk->ids[at] = id;
    chunk->versions[at] = version;
    chunk->previous[at] = MEMDB__NO_ROW;
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
        (memdb__list_space_t *)(uintptr_t)memdb__vector_list_space(list, space_number);
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
    uint32_t number = memdb__chunk_of(count);
    if (!memdb__chunk_at(space, number) && !add_chunk(list, space, number))
        return memdb__fail(error, MEMDB_NOMEM, "out of memory for a chunk of vectors");
    memdb__row_table_t *table = atomic_load_explicit(&space->table, memory_order_relaxed);
    if (count >= MEMDB__SCANNED_ROWS && (!table || 2 * (count + 1) > (size_t)table->mask + 1)) {
        table = memdb__row_table_grow(&list->arena, space, table, count);
        if (!table)
            return memdb__fail(error, MEMDB_NOMEM, "out of memory for a table of vectors");
    }
    write_row(space, count, id, version, row);
    if (table)
        memdb__row_table_put(space, table, id, (uint32_t)count);
    // Release: pairs with the acquire in memdb__list_space_count; the row is whole before it
    // counts.
    atomic_store_explicit(&space->count, count + 1, memory_order_release);
    list->newest_version = version;
    return MEMDB_OK;
}
