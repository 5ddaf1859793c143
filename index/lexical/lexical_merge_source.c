// A source of a merge: a delta list or a segment, walked space by space and term by term.
#include "index/lexical/lexical_bag.h"
#include "index/lexical/lexical_merge.h"

#include <stdlib.h>

// A list's term with its first 8 bytes as a number, which decides most comparisons.
typedef struct sorted_term {
    uint64_t key;
    const memdb__list_term_t *term;
} sorted_term_t;

static int compare_terms(const void *a, const void *b) {
    const sorted_term_t *left = a, *right = b;
    if (left->key != right->key) {
        return left->key < right->key ? -1 : 1;
    }
    return memdb__compare(left->term->bytes, left->term->size, right->term->bytes,
                          right->term->size);
}

static memdb_status_t sort_list_terms(memdb__merge_source_t *source, memdb_error_t *error) {
    memdb__buffer_clear(&source->terms);
    for (const memdb__list_term_t *term = memdb__list_terms(source->view.space); term;
         term = term->next_in_space) {
        sorted_term_t entry = {memdb__term_key(term->bytes, term->size), term};
        memdb__buffer_append(&source->terms, &entry, sizeof entry);
    }
    if (source->terms.failed) {
        return memdb__fail(error, MEMDB_NOMEM, "no memory to merge words");
    }
    if (source->terms.size) {
        qsort(source->terms.data, source->terms.size / sizeof(sorted_term_t), sizeof(sorted_term_t),
              compare_terms);
    }
    source->next = 0;
    return MEMDB_OK;
}

memdb_status_t memdb__merge_enter_space(memdb__merge_source_t *source, memdb_space_t space,
                                        uint64_t visible, memdb_error_t *error) {
    memdb_status_t status;
    source->term = NULL;
    source->net_documents = source->net_tokens = 0;
    if (source->segment) {
        status = memdb__segment_find_space(source->segment, space, &source->row, &source->present,
                                           error);
        if (status || !source->present) {
            return status;
        }
        source->net_documents = source->row.net_documents;
        source->net_tokens = source->row.net_tokens;
        source->position = source->row.dictionary_begin;
        return memdb__merge_next_term(source, error);
    }
    memdb__list_view(source->list, space, visible, &source->view);
    source->present = source->view.space != NULL;
    if (!source->present) {
        return MEMDB_OK;
    }
    source->net_documents = source->view.net_documents;
    source->net_tokens = source->view.net_tokens;
    status = sort_list_terms(source, error);
    return status ? status : memdb__merge_next_term(source, error);
}

// Sorted terms lie anywhere in memory: those that come soon are fetched while others are written.
static void fetch_ahead(const sorted_term_t *terms, size_t count, size_t next) {
    enum { TERMS = 12, BLOCKS = 6 };
    if (next + TERMS < count) {
        const uint8_t *term = (const uint8_t *)terms[next + TERMS].term;
        __builtin_prefetch(term);
        __builtin_prefetch(term + 64); // its bytes
    }
    if (next + BLOCKS < count) {
        // relaxed: a hint
        __builtin_prefetch(
            atomic_load_explicit(&terms[next + BLOCKS].term->postings.first, memory_order_relaxed));
    }
}

static void next_list_term(memdb__merge_source_t *source) {
    const sorted_term_t *terms = (const sorted_term_t *)source->terms.data;
    size_t count = source->terms.size / sizeof *terms;
    source->term = NULL;
    if (source->next < count) {
        const memdb__list_term_t *term = terms[source->next].term;
        fetch_ahead(terms, count, source->next);
        source->term = term->bytes;
        source->term_size = term->size;
        source->visible = memdb__list_visible_postings(term, &source->view);
        source->next++;
    }
}

memdb_status_t memdb__merge_next_term(memdb__merge_source_t *source, memdb_error_t *error) {
    if (source->list) {
        next_list_term(source);
        return MEMDB_OK;
    }
    const uint8_t *before = source->term;
    size_t before_size = source->term_size;
    source->term = NULL;
    if (source->position >= source->row.dictionary_end) {
        return MEMDB_OK;
    }
    memdb_status_t status = memdb__segment_record(source->segment, &source->row, source->position,
                                                  &source->record, error);
    if (status) {
        return status;
    }
    if (before &&
        memdb__compare(before, before_size, source->record.term, source->record.term_size) >= 0) {
        return memdb__segment_corrupt(source->segment, MEMDB__WORDS_DICTIONARY, source->position,
                                      "the terms of a space do not rise", error);
    }
    source->position += source->record.size;
    source->term = source->record.term;
    source->term_size = source->record.term_size;
    return MEMDB_OK;
}

static const memdb__list_term_t *list_term(const memdb__merge_source_t *source) {
    return ((const sorted_term_t *)source->terms.data)[source->next - 1].term;
}

int64_t memdb__merge_net_df(const memdb__merge_source_t *source) {
    if (source->segment) {
        return source->record.net_df;
    }
    return (int64_t)source->visible -
           memdb__list_visible_removals(list_term(source), &source->view);
}

// Append a posting, for which there is room.
static void add_posting(const memdb__merge_source_t *source, uint32_t number, uint32_t tf,
                        uint8_t code, memdb__buffer_t *postings) {
    memdb__words_posting_t posting = {((const uint32_t *)source->map.data)[number], tf, code};
    if (posting.document != UINT32_MAX) {
        memcpy(postings->data + postings->size, &posting, sizeof posting);
        postings->size += sizeof posting;
    }
}

static bool make_room(memdb__buffer_t *postings, uint32_t count) {
    return memdb__buffer_reserve(postings, (size_t)count * sizeof(memdb__words_posting_t));
}

static memdb_status_t add_run(const memdb__merge_source_t *source, const memdb__words_run_t *run,
                              memdb__buffer_t *postings, memdb_error_t *error) {
    memdb__words_run_data_t data;
    memdb_status_t status = memdb__segment_run(source->segment, &source->row, run, &data, error);
    if (status || !make_room(postings, run->count)) {
        return status;
    }
    for (uint32_t i = 0; i < run->count; i++) {
        uint32_t tf = memdb__run_tf(run, &data, i);
        if (tf == 0) {
            return memdb__segment_corrupt(source->segment, MEMDB__WORDS_POSTINGS, run->position,
                                          "a posting lacks its count", error);
        }
        add_posting(source, run->chunk * MEMDB__WORDS_CHUNK + data.offsets[i], tf, data.codes[i],
                    postings);
    }
    return MEMDB_OK;
}

static void add_list_postings(const memdb__merge_source_t *source, memdb__buffer_t *postings) {
    memdb__list_spans_t spans;
    for (memdb__list_spans_begin(&spans, &list_term(source)->postings, source->visible);
         spans.count && make_room(postings, spans.count); memdb__list_spans_next(&spans)) {
        for (uint32_t i = 0; i < spans.count; i++) {
            uint64_t value = spans.values[i];
            add_posting(source, (uint32_t)value, (uint32_t)(value >> 32) & 0xFFFFFF,
                        (uint8_t)(value >> 56), postings);
        }
    }
}

memdb_status_t memdb__merge_postings(const memdb__merge_source_t *source, memdb__buffer_t *postings,
                                     memdb_error_t *error) {
    if (source->list) {
        add_list_postings(source, postings);
        return MEMDB_OK;
    }
    const memdb__words_record_t *record = &source->record;
    if (record->runs == 0 && make_room(postings, record->count)) {
        for (uint32_t i = 0; i < record->count; i++) {
            add_posting(source, record->documents[i], record->tf[i], record->codes[i], postings);
        }
    }
    memdb__words_runs_t runs = memdb__words_runs(record);
    memdb__words_run_t run;
    memdb_status_t status = MEMDB_OK;
    while (!status && memdb__words_runs_next(&runs, &run)) {
        status = add_run(source, &run, postings, error);
    }
    return status;
}

void memdb__merge_source_deinit(memdb__merge_source_t *source) {
    memdb__buffer_deinit(&source->map);
    memdb__buffer_deinit(&source->terms);
}
