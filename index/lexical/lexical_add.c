// Search: the terms' postings of a chunk, and their bounds added into the accumulators of a block.
#include "index/lexical/lexical_search.h"

// Add the postings [from, to) of a term; `start` is the offset of the block's first document.
static void add8(uint8_t *values, const memdb__chunk_term_t *list, uint32_t from, uint32_t to,
                 uint32_t start, const uint8_t *table) {
    for (uint32_t i = from; i < to; i++) {
        uint8_t *value = &values[list->offsets[i] - start];
        uint32_t sum = (uint32_t)*value + table[list->codes[i]];
        *value = (uint8_t)(sum < UINT8_MAX ? sum : UINT8_MAX);
    }
}

static void add16(uint16_t *values, const memdb__chunk_term_t *list, uint32_t from, uint32_t to,
                  uint32_t start, const uint16_t *table) {
    for (uint32_t i = from; i < to; i++) {
        uint16_t *value = &values[list->offsets[i] - start];
        uint32_t sum = (uint32_t)*value + table[list->codes[i]];
        *value = (uint16_t)(sum < UINT16_MAX ? sum : UINT16_MAX);
    }
}

static void add_value(memdb__search_t *search, uint32_t place, size_t entry) {
    if (search->wide) {
        uint16_t *value = (uint16_t *)search->values + place;
        uint32_t sum = (uint32_t)*value + ((const uint16_t *)search->tables)[entry];
        *value = (uint16_t)(sum < UINT16_MAX ? sum : UINT16_MAX);
    } else {
        uint8_t *value = (uint8_t *)search->values + place;
        uint32_t sum = (uint32_t)*value + ((const uint8_t *)search->tables)[entry];
        *value = (uint8_t)(sum < UINT8_MAX ? sum : UINT8_MAX);
    }
}

// Add a delta list's postings of the documents [first, end). Returns whether there were any.
static bool add_list(memdb__search_t *search, const memdb__chunk_term_t *list, uint32_t first,
                     uint32_t end) {
    memdb__list_spans_t spans;
    size_t table = (size_t)list->term * MEMDB__CODE_COUNT;
    bool any = false;
    for (memdb__list_spans_begin(&spans, &list->view->term->postings, list->view->count);
         spans.count; memdb__list_spans_next(&spans)) {
        if ((uint32_t)spans.values[spans.count - 1] < first) {
            continue;
        }
        for (uint32_t i = memdb__list_place(spans.values, spans.count, first); i < spans.count;
             i++) {
            uint64_t value = spans.values[i];
            if ((uint32_t)value >= end) {
                return any;
            }
            add_value(search, (uint32_t)value - first, table + (value >> 56));
            any = true;
        }
    }
    return any;
}

static void take_inline(memdb__chunk_term_t *list, const memdb__words_record_t *record,
                        uint32_t chunk) {
    list->offsets = list->inline_offsets;
    list->codes = list->inline_codes;
    for (uint32_t i = 0; i < record->count; i++) {
        if (record->documents[i] / MEMDB__WORDS_CHUNK == chunk) {
            list->inline_offsets[list->count] = (uint16_t)record->documents[i];
            list->inline_codes[list->count] = record->codes[i];
            list->inline_tf[list->count++] = record->tf[i];
        }
    }
}

memdb_status_t memdb__search_open_chunk(memdb__search_t *search, memdb__search_source_t *source,
                                        uint32_t chunk, memdb_error_t *error) {
    search->chunk_term_count = search->left_out = 0;
    for (uint32_t i = 0; i < search->term_count; i++) {
        memdb__term_view_t *view = &source->views[i];
        memdb__chunk_term_t *list = &search->chunk_terms[search->chunk_term_count];
        list->term = i;
        list->count = list->next = list->from = 0;
        list->left_out = false;
        list->view = view;
        list->offsets = NULL;
        if (view->count == 0) {
            continue;
        }
        if (view->term) {
            list->count = view->count;
        } else if (view->record.runs == 0) {
            take_inline(list, &view->record, chunk);
        } else {
            bool found;
            memdb_status_t status = memdb__view_seek(source, view, chunk, &found, error);
            if (status) {
                return status;
            }
            if (found) {
                list->count = view->run.count;
                list->offsets = view->data.offsets;
                list->codes = view->data.codes;
            }
        }
        search->chunk_term_count += list->count > 0;
    }
    return MEMDB_OK;
}

// First place from `from` on with an offset of at least `limit`.
static uint32_t place_of(const memdb__chunk_term_t *list, uint32_t from, uint32_t limit) {
    uint32_t count = list->count - from;
    const uint16_t *base = list->offsets + from;
    if (count == 0 || list->offsets[list->count - 1] < limit) {
        return list->count;
    }
    while (count > 1) {
        uint32_t half = count / 2;
        base += (size_t)(base[half - 1] < limit) * half;
        count -= half;
    }
    return (uint32_t)(base - list->offsets) + (*base < limit);
}

// A document that only has terms which were left out must not matter, and one that has others may
// get less from them than the scan allows for: the smaller the part, the fewer documents are scored
// for nothing. A list is left out where its postings are many beside the documents that are then
// looked up in it.
#define LEFT_OUT_PART 3u // of needed: one in so many
#define LEFT_OUT_POSTINGS 512u

static uint32_t most_of(const memdb__search_t *search, const memdb__chunk_term_t *list) {
    size_t last = (size_t)list->term * MEMDB__CODE_COUNT + MEMDB__CODE_COUNT - 1;
    return search->wide ? ((const uint16_t *)search->tables)[last]
                        : ((const uint8_t *)search->tables)[last];
}

void memdb__search_leave_out(memdb__search_t *search, uint32_t needed) {
    for (;;) {
        memdb__chunk_term_t *longest = NULL;
        for (uint32_t i = 0; i < search->chunk_term_count; i++) {
            memdb__chunk_term_t *list = &search->chunk_terms[i];
            if (!list->left_out && list->offsets && list->count >= LEFT_OUT_POSTINGS &&
                (!longest || list->count > longest->count)) {
                longest = list;
            }
        }
        if (!longest || search->left_out + most_of(search, longest) > needed / LEFT_OUT_PART) {
            return;
        }
        longest->left_out = true;
        search->left_out += most_of(search, longest);
    }
}

static void add_run(memdb__search_t *search, const memdb__chunk_term_t *list, uint32_t start) {
    size_t table = (size_t)list->term * MEMDB__CODE_COUNT;
    if (search->wide) {
        add16(search->values, list, list->from, list->next, start,
              (const uint16_t *)search->tables + table);
    } else {
        add8(search->values, list, list->from, list->next, start,
             (const uint8_t *)search->tables + table);
    }
}

uint32_t memdb__search_open_block(memdb__search_t *search, uint32_t first, uint32_t documents) {
    uint32_t limit = first % MEMDB__WORDS_CHUNK + documents, postings = 0;
    for (uint32_t i = 0; i < search->chunk_term_count; i++) {
        memdb__chunk_term_t *list = &search->chunk_terms[i];
        if (!list->offsets) {
            return UINT32_MAX; // of a delta list: only adding tells
        }
        list->from = list->next;
        list->next = place_of(list, list->from, limit);
        postings += list->left_out ? 0 : list->next - list->from;
    }
    return postings;
}

static void clear(memdb__search_t *search, uint32_t documents) {
    if (!search->is_clear) {
        memset(search->values, 0,
               (((size_t)documents + 63) & ~(size_t)63) * (search->wide ? 2 : 1));
    }
}

bool memdb__search_add_block(memdb__search_t *search, uint32_t first, uint32_t documents) {
    bool any = false;
    clear(search, documents);
    search->is_clear = false;
    for (uint32_t i = 0; i < search->chunk_term_count; i++) {
        memdb__chunk_term_t *list = &search->chunk_terms[i];
        if (!list->offsets) {
            any = add_list(search, list, first, first + documents) || any;
        } else if (!list->left_out) {
            add_run(search, list, first % MEMDB__WORDS_CHUNK);
            any = any || list->next > list->from;
        }
    }
    return any;
}

void memdb__search_add_left_out(memdb__search_t *search, uint32_t first) {
    for (uint32_t i = 0; i < search->chunk_term_count; i++) {
        if (search->chunk_terms[i].left_out) {
            add_run(search, &search->chunk_terms[i], first % MEMDB__WORDS_CHUNK);
        }
    }
}

uint32_t memdb__search_collect(memdb__search_t *search, uint32_t first, uint32_t low) {
    uint32_t found = 0, start = first % MEMDB__WORDS_CHUNK, limit = memdb__search_limit(search);
    if (!search->is_clear) {
        memset(search->values, 0, search->lanes * (search->wide ? 2 : 1));
        search->is_clear = true;
    }
    for (uint32_t i = 0; i < search->chunk_term_count; i++) {
        if (!search->chunk_terms[i].left_out) {
            add_run(search, &search->chunk_terms[i], start);
        }
    }
    for (uint32_t i = 0; i < search->chunk_term_count; i++) {
        const memdb__chunk_term_t *list = &search->chunk_terms[i];
        for (uint32_t p = list->from; !list->left_out && p < list->next; p++) {
            uint32_t place = list->offsets[p] - start, value;
            if (search->wide) {
                uint16_t *at = (uint16_t *)search->values + place;
                value = *at;
                *at = 0;
            } else {
                uint8_t *at = (uint8_t *)search->values + place;
                value = *at;
                *at = 0;
            }
            search->keys[found] = (limit - value) << 16 | place; // kept if it counts
            found += value >= low;
        }
    }
    return found;
}
