// Delta lists: the writer's side.
//
// One hash table over (space, term), one over spaces. A document's postings are written first and
// its row is published last, by the count of its space; a reader bounds all it reads by that count,
// so it never meets a document that is half there. Everything that can fail (memory, a malformed
// bag) is done before the first posting is written.
//
// Invariants: numbers rise along every sequence; a published value never changes; nothing is freed
// before the list.
#include "index/lexical/lexical_list.h"

#include "base/check.h"
#include "base/checksum.h"
#include "index/lexical/lexical_bag.h"
#include "index/lexical/lexical_code.h"
#include "index/lexical/lexical_list_tables.h"

#include <string.h>

static uint64_t space_hash(memdb_space_t space) {
    return (uint64_t)space * 0x9E3779B97F4A7C15u;
}

memdb__words_list_t *memdb__words_list_create(void) {
    memdb__words_list_t *list = memdb__allocate_zeroed(1, sizeof *list);
    if (!list) {
        return NULL;
    }
    memdb__arena_init(&list->arena);
    if (!memdb__list_table_grow(list, &list->terms, NULL) ||
        !memdb__list_table_grow(list, &list->spaces, NULL)) {
        memdb__words_list_destroy(list);
        return NULL;
    }
    return list;
}

static void destroy_tables(memdb__list_table_t *table) {
    while (table) {
        memdb__list_table_t *older = table->older;
        memdb__free(table);
        table = older;
    }
}

void memdb__words_list_destroy(memdb__words_list_t *list) {
    if (!list) {
        return;
    }
    // relaxed: nobody else uses a list that is destroyed
    destroy_tables(atomic_load_explicit(&list->terms, memory_order_relaxed));
    destroy_tables(atomic_load_explicit(&list->spaces, memory_order_relaxed));
    memdb__free(list->touched);
    memdb__arena_deinit(&list->arena);
    memdb__free(list);
}

size_t memdb__words_list_bytes(const memdb__words_list_t *list) {
    // relaxed: statistics
    return atomic_load_explicit(&list->arena.bytes, memory_order_relaxed) +
           atomic_load_explicit(&list->table_bytes, memory_order_relaxed) + sizeof *list;
}

static uint64_t hash_of_term(const void *entry) {
    return ((const memdb__list_term_t *)entry)->hash;
}

static uint64_t hash_of_space(const void *entry) {
    return space_hash(((const memdb__list_space_t *)entry)->space);
}

static memdb__list_space_t *ensure_space(memdb__words_list_t *list, memdb_space_t space) {
    memdb__list_space_t *found = (memdb__list_space_t *)memdb__list_find_space(list, space);
    if (found) {
        return found;
    }
    if (2 * (list->space_count + 1) > memdb__list_table_capacity(&list->spaces) &&
        !memdb__list_table_grow(list, &list->spaces, hash_of_space)) {
        return NULL;
    }
    memdb__list_space_t *created = memdb__arena_allocate(&list->arena, sizeof *created);
    if (!created) {
        return NULL;
    }
    memset(created, 0, sizeof *created);
    created->space = space;
    memdb__list_table_insert(&list->spaces, space_hash(space), created);
    list->space_count++;
    return created;
}

static memdb__list_term_t *ensure_term(memdb__words_list_t *list, memdb__list_space_t *space,
                                       const uint8_t *term, uint32_t size, uint64_t hash) {
    memdb__list_term_t *found =
        (memdb__list_term_t *)memdb__list_find(list, space->space, term, size, hash);
    if (found) {
        return found;
    }
    if (2 * (list->term_count + 1) > memdb__list_table_capacity(&list->terms) &&
        !memdb__list_table_grow(list, &list->terms, hash_of_term)) {
        return NULL;
    }
    memdb__list_term_t *created = memdb__arena_allocate(&list->arena, sizeof *created + size);
    if (!created) {
        return NULL;
    }
    memset(created, 0, sizeof *created);
    created->hash = hash;
    created->space = space;
    created->size = (uint8_t)size;
    memcpy(created->bytes, term, size);
    // relaxed: only the writer stores it
    created->next_in_space = atomic_load_explicit(&space->terms, memory_order_relaxed);
    // release: a reader that walks the space's terms sees this one whole
    atomic_store_explicit(&space->terms, created, memory_order_release);
    memdb__list_table_insert(&list->terms, hash, created);
    list->term_count++;
    return created;
}

// The capacity of the block that takes value number `count` of a sequence: 2, 4, 8, ...
static uint32_t capacity_at(uint32_t count) {
    return 1u << (31 - __builtin_clz(count + 1));
}

// Make room for one more value.
static bool reserve(memdb__words_list_t *list, memdb__list_sequence_t *sequence) {
    // relaxed: only the writer stores it
    uint32_t count = atomic_load_explicit(&sequence->count, memory_order_relaxed);
    if (count == 0) {
        return true;
    }
    uint32_t capacity = capacity_at(count);
    if (sequence->room > 0) {
        __builtin_prefetch(&sequence->last->values[capacity - sequence->room], 1);
        return true;
    }
    memdb__list_block_t *block =
        memdb__arena_allocate(&list->arena, sizeof *block + capacity * sizeof(uint64_t));
    if (!block) {
        return false;
    }
    atomic_init(&block->next, NULL);
    block->capacity = capacity;
    // release: with the count's release, a reader that counts a value finds its block made
    if (sequence->last) {
        atomic_store_explicit(&sequence->last->next, block, memory_order_release);
    } else {
        atomic_store_explicit(&sequence->first, block, memory_order_release);
    }
    sequence->last = block;
    sequence->room = capacity;
    return true;
}

// Append to a sequence that has room.
static void append(memdb__list_sequence_t *sequence, uint64_t value) {
    // relaxed: only the writer stores it
    uint32_t count = atomic_load_explicit(&sequence->count, memory_order_relaxed);
    if (count == 0) {
        sequence->first_value = value;
    } else {
        sequence->last->values[capacity_at(count) - sequence->room] = value;
        sequence->room--;
    }
    // release: partner of the acquire in memdb__list_count_below; the value is there when it is
    // counted
    atomic_store_explicit(&sequence->count, count + 1, memory_order_release);
}

// Make room for row `number` of a geometric array.
static bool reserve_row(memdb__words_list_t *list, _Atomic(void *) *pieces, uint32_t number,
                        size_t row_size) {
    uint32_t piece = memdb__list_piece_of(number);
    // relaxed: only the writer stores it
    if (atomic_load_explicit(&pieces[piece], memory_order_relaxed)) {
        return true;
    }
    void *rows =
        memdb__arena_allocate(&list->arena, ((size_t)MEMDB__LIST_FIRST_PIECE << piece) * row_size);
    // release: with the release of the count of rows, which is stored later
    atomic_store_explicit(&pieces[piece], rows, memory_order_release);
    return rows != NULL;
}

static memdb__list_sequence_t *ensure_removals(memdb__words_list_t *list,
                                               memdb__list_term_t *term) {
    // relaxed: only the writer stores it
    memdb__list_sequence_t *removals = atomic_load_explicit(&term->removals, memory_order_relaxed);
    if (!removals) {
        removals = memdb__arena_allocate(&list->arena, sizeof *removals);
        if (removals) {
            memset(removals, 0, sizeof *removals);
            // release: a reader that finds it sees it empty, not raw
            atomic_store_explicit(&term->removals, removals, memory_order_release);
        }
    }
    return removals;
}

static bool reserve_touched(memdb__words_list_t *list, size_t number) {
    if (number < list->touched_capacity) {
        return true;
    }
    size_t capacity = number ? 2 * number : 64;
    memdb__list_touched_t *grown = memdb__reallocate(list->touched, capacity * sizeof *grown);
    if (!grown) {
        return false;
    }
    list->touched = grown;
    list->touched_capacity = capacity;
    return true;
}

static memdb_status_t no_memory(memdb_error_t *error) {
    return memdb__fail(error, MEMDB_NOMEM, "no memory for the words of a document");
}

// Read the bag into list->touched, and have the terms come near, which lie anywhere in memory: all
// of them are waited for together.
static memdb_status_t read_bag(memdb__words_list_t *list, memdb_space_t space, memdb__bag_t *bag,
                               memdb_error_t *error) {
    // relaxed: only the writer stores it
    const memdb__list_table_t *table = atomic_load_explicit(&list->terms, memory_order_relaxed);
    for (size_t number = 0; memdb__bag_next(bag); number++) {
        if (!reserve_touched(list, number)) {
            return no_memory(error);
        }
        uint64_t hash = memdb__term_hash(space, bag->term, bag->size);
        list->touched[number] = (memdb__list_touched_t){bag->term, bag->size, bag->tf, hash, NULL};
        __builtin_prefetch((const void *)&table->slots[hash >> 7 & table->mask]);
    }
    if (bag->bad) {
        return memdb__fail(error, MEMDB_CORRUPT, "the term bag of a document is malformed");
    }
    for (size_t i = 0; i < bag->terms; i++) {
        // relaxed: a hint
        const uint8_t *term = atomic_load_explicit(
            &table->slots[list->touched[i].hash >> 7 & table->mask], memory_order_relaxed);
        if (term) {
            __builtin_prefetch(term, 1);
            __builtin_prefetch(term + 64); // its bytes
        }
    }
    return MEMDB_OK;
}

// Find or make the terms of the bag, and make room for one value in each. Nothing that a reader
// counts changes.
static memdb_status_t prepare(memdb__words_list_t *list, memdb__list_space_t *space,
                              memdb__bag_t *bag, bool removal, memdb_error_t *error) {
    memdb_status_t status = read_bag(list, space->space, bag, error);
    for (size_t i = 0; i < bag->terms && !status; i++) {
        memdb__list_touched_t *touched = &list->touched[i];
        memdb__list_term_t *term =
            ensure_term(list, space, touched->term, touched->size, touched->hash);
        if (term) {
            touched->sequence = removal ? ensure_removals(list, term) : &term->postings;
        }
        if (!touched->sequence || !reserve(list, touched->sequence)) {
            status = no_memory(error);
        }
    }
    return status;
}

static memdb_status_t begin(memdb__words_list_t *list, memdb_space_t space, uint64_t version,
                            const uint8_t *data, size_t size, memdb__bag_t *bag,
                            memdb__list_space_t **space_out, memdb_error_t *error) {
    if (version < list->newest) {
        return memdb__fail(error, MEMDB_INVALID, "version %llu of a document comes after %llu",
                           (unsigned long long)version, (unsigned long long)list->newest);
    }
    if (!memdb__bag_open(bag, data, size)) {
        return memdb__fail(error, MEMDB_CORRUPT, "the term bag of a document is malformed");
    }
    *space_out = ensure_space(list, space);
    return *space_out ? MEMDB_OK
                      : memdb__fail(error, MEMDB_NOMEM, "no memory for the words of a space");
}

memdb_status_t memdb__words_list_add(memdb__words_list_t *list, memdb_space_t space, uint64_t id,
                                     uint64_t version, const uint8_t *bag_data, size_t bag_size,
                                     memdb_error_t *error) {
    memdb__bag_t bag;
    memdb__list_space_t *entry;
    memdb_status_t status = begin(list, space, version, bag_data, bag_size, &bag, &entry, error);
    if (status) {
        return status;
    }
    // relaxed: only the writer stores it
    uint32_t number = atomic_load_explicit(&entry->document_count, memory_order_relaxed);
    if (number >= MEMDB__LIST_ROW_LIMIT) {
        return memdb__fail(error, MEMDB_LIMIT, "%u documents of space %u in one run", number,
                           space);
    }
    if (!reserve_row(list, entry->documents, number, sizeof(memdb__list_document_t))) {
        return no_memory(error);
    }
    status = prepare(list, entry, &bag, false, error);
    if (status) {
        return status;
    }
    for (uint32_t i = 0; i < bag.terms; i++) {
        uint32_t tf = list->touched[i].tf;
        append(list->touched[i].sequence,
               memdb__list_posting(number, tf, memdb__code_of(tf, bag.tokens)));
    }
    uint64_t before = number ? memdb__list_document(entry, number - 1)->tokens_after : 0;
    *memdb__list_document_row(entry, number) =
        (memdb__list_document_t){id, version, before + bag.tokens, bag.tokens};
    list->newest = version;
    // release: partner of the acquire in memdb__list_view; publishes the row and the postings
    atomic_store_explicit(&entry->document_count, number + 1, memory_order_release);
    return MEMDB_OK;
}

memdb_status_t memdb__words_list_remove(memdb__words_list_t *list, memdb_space_t space,
                                        uint64_t version, const uint8_t *bag_data, size_t bag_size,
                                        memdb_error_t *error) {
    memdb__bag_t bag;
    memdb__list_space_t *entry;
    memdb_status_t status = begin(list, space, version, bag_data, bag_size, &bag, &entry, error);
    if (status) {
        return status;
    }
    // relaxed: only the writer stores it
    uint32_t number = atomic_load_explicit(&entry->removal_count, memory_order_relaxed);
    if (number >= MEMDB__LIST_ROW_LIMIT) {
        return memdb__fail(error, MEMDB_LIMIT, "%u removals of space %u in one run", number, space);
    }
    if (!reserve_row(list, entry->removals, number, sizeof(memdb__list_removal_t))) {
        return no_memory(error);
    }
    status = prepare(list, entry, &bag, true, error);
    if (status) {
        return status;
    }
    for (uint32_t i = 0; i < bag.terms; i++) {
        append(list->touched[i].sequence, number);
    }
    uint64_t before = number ? memdb__list_removal_row(entry, number - 1)->tokens_after : 0;
    *memdb__list_removal_row(entry, number) = (memdb__list_removal_t){version, before + bag.tokens};
    list->newest = version;
    // release: partner of the acquire in memdb__list_view
    atomic_store_explicit(&entry->removal_count, number + 1, memory_order_release);
    return MEMDB_OK;
}
