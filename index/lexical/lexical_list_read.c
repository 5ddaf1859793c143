// Delta lists: tables, and the readers' side.
//
// A reader's visible version was published after the writer had applied everything up to it, so
// every table, block and row that it needs was stored before: it may load an old pointer only where
// it needs nothing newer.
#include "base/bytes.h"
#include "base/checksum.h"
#include "index/lexical/lexical_list_tables.h"

#define FIRST_SLOTS 64u

uint64_t memdb__term_hash(memdb_space_t space, const uint8_t *term, size_t size) {
    return memdb__hash64(term, size, space);
}

static void put(memdb__list_table_t *table, uint64_t hash, void *entry) {
    uint64_t slot = hash >> 7 & table->mask;
    // relaxed: only the writer stores slots
    while (atomic_load_explicit(&table->slots[slot], memory_order_relaxed)) {
        slot = (slot + 1) & table->mask;
    }
    // release: a reader that finds the entry sees it whole
    atomic_store_explicit(&table->slots[slot], entry, memory_order_release);
}

bool memdb__list_table_grow(memdb__words_list_t *list, _Atomic(memdb__list_table_t *) *table,
                            uint64_t (*hash_of)(const void *entry)) {
    // relaxed: only the writer stores it
    memdb__list_table_t *older = atomic_load_explicit(table, memory_order_relaxed);
    uint64_t slots = older ? 2 * (older->mask + 1) : FIRST_SLOTS;
    size_t bytes = sizeof(memdb__list_table_t) + slots * sizeof(_Atomic(void *));
    memdb__list_table_t *grown = memdb__allocate_zeroed(1, bytes);
    if (!grown) {
        return false;
    }
    grown->older = older;
    grown->mask = slots - 1;
    for (uint64_t slot = 0; older && slot <= older->mask; slot++) {
        // relaxed: as above
        void *entry = atomic_load_explicit(&older->slots[slot], memory_order_relaxed);
        if (entry) {
            put(grown, hash_of(entry), entry);
        }
    }
    // relaxed: a statistic
    atomic_fetch_add_explicit(&list->table_bytes, bytes, memory_order_relaxed);
    // release: a reader that loads the new table finds all entries in it
    atomic_store_explicit(table, grown, memory_order_release);
    return true;
}

void memdb__list_table_insert(_Atomic(memdb__list_table_t *) *table, uint64_t hash, void *entry) {
    // relaxed: only the writer stores it
    put(atomic_load_explicit(table, memory_order_relaxed), hash, entry);
}

const memdb__list_space_t *memdb__list_find_space(const memdb__words_list_t *list,
                                                  memdb_space_t space) {
    // acquire: partner of the release in memdb__list_table_grow
    const memdb__list_table_t *table = atomic_load_explicit(&list->spaces, memory_order_acquire);
    uint64_t slot = (uint64_t)space * 0x9E3779B97F4A7C15u >> 7 & table->mask;
    for (;; slot = (slot + 1) & table->mask) {
        // acquire: partner of the release in put
        const memdb__list_space_t *entry =
            atomic_load_explicit(&table->slots[slot], memory_order_acquire);
        if (!entry || entry->space == space) {
            return entry;
        }
    }
}

const memdb__list_term_t *memdb__list_find(const memdb__words_list_t *list, memdb_space_t space,
                                           const uint8_t *term, size_t size, uint64_t hash) {
    // acquire: partner of the release in memdb__list_table_grow
    const memdb__list_table_t *table = atomic_load_explicit(&list->terms, memory_order_acquire);
    for (uint64_t slot = hash >> 7 & table->mask;; slot = (slot + 1) & table->mask) {
        // acquire: partner of the release in put
        const memdb__list_term_t *entry =
            atomic_load_explicit(&table->slots[slot], memory_order_acquire);
        if (!entry) {
            return NULL;
        }
        if (entry->hash == hash && entry->size == size && entry->space->space == space &&
            memcmp(entry->bytes, term, size) == 0) {
            return entry;
        }
    }
}

const memdb__list_document_t *memdb__list_document(const memdb__list_space_t *space,
                                                   uint32_t number) {
    return memdb__list_document_row(space, number);
}

const memdb__list_term_t *memdb__list_terms(const memdb__list_space_t *space) {
    // acquire: partner of the release in ensure_term
    return atomic_load_explicit(&space->terms, memory_order_acquire);
}

void memdb__list_spaces(const memdb__words_list_t *list,
                        bool (*visit)(void *context, memdb_space_t space), void *context) {
    // acquire: partner of the release in memdb__list_table_grow
    const memdb__list_table_t *table = atomic_load_explicit(&list->spaces, memory_order_acquire);
    for (uint64_t slot = 0; slot <= table->mask; slot++) {
        // acquire: partner of the release in put
        const memdb__list_space_t *entry =
            atomic_load_explicit(&table->slots[slot], memory_order_acquire);
        if (entry && !visit(context, entry->space)) {
            return;
        }
    }
}

// Versions never fall along the rows: count those up to `visible`. The newest rows are seen by most
// readers.
static uint32_t visible_documents(const memdb__list_space_t *space, uint32_t count,
                                  uint64_t visible) {
    if (count == 0 || memdb__list_document_row(space, count - 1)->version <= visible) {
        return count;
    }
    uint32_t low = 0, high = count - 1;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (memdb__list_document_row(space, middle)->version <= visible) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static uint32_t visible_removals(const memdb__list_space_t *space, uint32_t count,
                                 uint64_t visible) {
    if (count == 0 || memdb__list_removal_row(space, count - 1)->version <= visible) {
        return count;
    }
    uint32_t low = 0, high = count - 1;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (memdb__list_removal_row(space, middle)->version <= visible) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

void memdb__list_view(const memdb__words_list_t *list, memdb_space_t space, uint64_t visible,
                      memdb__list_view_t *view_out) {
    *view_out = (memdb__list_view_t){.space = memdb__list_find_space(list, space)};
    const memdb__list_space_t *entry = view_out->space;
    if (!entry) {
        return;
    }
    // acquire: partner of the releases at the end of memdb__words_list_add and _remove
    uint32_t documents = atomic_load_explicit(&entry->document_count, memory_order_acquire);
    uint32_t removals = atomic_load_explicit(&entry->removal_count, memory_order_acquire);
    view_out->documents = visible_documents(entry, documents, visible);
    view_out->removals = visible_removals(entry, removals, visible);
    view_out->net_documents = (int64_t)view_out->documents - view_out->removals;
    if (view_out->documents) {
        view_out->net_tokens +=
            (int64_t)memdb__list_document_row(entry, view_out->documents - 1)->tokens_after;
    }
    if (view_out->removals) {
        view_out->net_tokens -=
            (int64_t)memdb__list_removal_row(entry, view_out->removals - 1)->tokens_after;
    }
}

uint32_t memdb__list_locate(const memdb__list_view_t *view, uint64_t id, uint64_t version) {
    if (!view->space || view->documents == 0) {
        return UINT32_MAX;
    }
    uint32_t end = visible_documents(view->space, view->documents, version);
    uint32_t low = version ? visible_documents(view->space, end, version - 1) : 0;
    // Documents of one version come from one commit, most often with rising ids; else they are
    // looked through.
    uint32_t first = low, high = end;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (memdb__list_document_row(view->space, middle)->id < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low < end && memdb__list_document_row(view->space, low)->id == id) {
        return low;
    }
    for (uint32_t number = first; number < end; number++) {
        if (memdb__list_document_row(view->space, number)->id == id) {
            return number;
        }
    }
    return UINT32_MAX;
}

void memdb__list_spans_begin(memdb__list_spans_t *spans, const memdb__list_sequence_t *sequence,
                             uint32_t limit) {
    *spans = (memdb__list_spans_t){
        .values = &sequence->first_value, .count = limit ? 1 : 0, .left = limit ? limit - 1 : 0};
    // acquire: partner of the release in reserve
    spans->next = atomic_load_explicit(&sequence->first, memory_order_acquire);
}

void memdb__list_spans_next(memdb__list_spans_t *spans) {
    const memdb__list_block_t *block = spans->next;
    if (spans->left == 0) {
        spans->count = 0;
        return;
    }
    spans->values = block->values;
    spans->count = spans->left < block->capacity ? spans->left : block->capacity;
    spans->left -= spans->count;
    // acquire: partner of the release in reserve
    spans->next = atomic_load_explicit(&block->next, memory_order_acquire);
}

uint32_t memdb__list_place(const uint64_t *values, uint32_t count, uint32_t limit) {
    uint32_t low = 0;
    while (low < count) {
        uint32_t middle = low + (count - low) / 2;
        if ((uint32_t)values[middle] < limit) {
            low = middle + 1;
        } else {
            count = middle;
        }
    }
    return low;
}

uint32_t memdb__list_count_below(const memdb__list_sequence_t *sequence, uint32_t limit) {
    // acquire: partner of the release in append; the counted values may be read
    uint32_t count = atomic_load_explicit(&sequence->count, memory_order_acquire);
    memdb__list_spans_t spans;
    uint32_t before = 0;
    for (memdb__list_spans_begin(&spans, sequence, count); spans.count;
         memdb__list_spans_next(&spans)) {
        if ((uint32_t)spans.values[spans.count - 1] >= limit) {
            return before + memdb__list_place(spans.values, spans.count, limit);
        }
        before += spans.count;
    }
    return before;
}

uint32_t memdb__list_visible_postings(const memdb__list_term_t *term,
                                      const memdb__list_view_t *view) {
    return memdb__list_count_below(&term->postings, view->documents);
}

uint32_t memdb__list_visible_removals(const memdb__list_term_t *term,
                                      const memdb__list_view_t *view) {
    // acquire: partner of the release in ensure_removals
    const memdb__list_sequence_t *removals =
        atomic_load_explicit(&term->removals, memory_order_acquire);
    return removals ? memdb__list_count_below(removals, view->removals) : 0;
}

uint32_t memdb__list_tf(const memdb__list_term_t *term, uint32_t count, uint32_t document) {
    memdb__list_spans_t spans;
    for (memdb__list_spans_begin(&spans, &term->postings, count); spans.count;
         memdb__list_spans_next(&spans)) {
        if ((uint32_t)spans.values[spans.count - 1] < document) {
            continue;
        }
        uint32_t at = memdb__list_place(spans.values, spans.count, document);
        uint64_t value = spans.values[at];
        return (uint32_t)value == document ? (uint32_t)(value >> 32) & 0xFFFFFF : 0;
    }
    return 0;
}
