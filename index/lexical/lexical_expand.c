// Search: the terms of a prefix.
//
// A prefix asks for the union of its terms, each with a score of its own. The most frequent ones
// are taken, at most MEMDB__WORDS_PREFIX_TERMS: they hold nearly all documents that the prefix
// could find.
#include "index/lexical/lexical_search.h"

#include <stdlib.h>

typedef struct found_term {
    const uint8_t *bytes;
    uint32_t size;
    int64_t df;
} found_term_t;

static bool begins_with(const uint8_t *term, size_t size, const uint8_t *prefix,
                        size_t prefix_size) {
    return size >= prefix_size && memcmp(term, prefix, prefix_size) == 0;
}

static memdb_status_t expand_segment(const memdb__search_source_t *source, const uint8_t *prefix,
                                     size_t size, memdb__buffer_t *found, memdb_error_t *error) {
    uint64_t position;
    memdb_status_t status =
        memdb__segment_lower_bound(source->segment, &source->row, prefix, size, &position, error);
    while (!status && position < source->row.dictionary_end) {
        memdb__words_record_t record;
        status = memdb__segment_record(source->segment, &source->row, position, &record, error);
        if (status || !begins_with(record.term, record.term_size, prefix, size)) {
            break;
        }
        found_term_t term = {record.term, record.term_size, record.net_df};
        memdb__buffer_append(found, &term, sizeof term);
        position += record.size;
    }
    return status;
}

static void expand_list(const memdb__search_source_t *source, const uint8_t *prefix, size_t size,
                        memdb__buffer_t *found) {
    for (const memdb__list_term_t *term = memdb__list_terms(source->view.space); term;
         term = term->next_in_space) {
        if (begins_with(term->bytes, term->size, prefix, size)) {
            found_term_t entry = {term->bytes, term->size,
                                  (int64_t)memdb__list_visible_postings(term, &source->view) -
                                      memdb__list_visible_removals(term, &source->view)};
            memdb__buffer_append(found, &entry, sizeof entry);
        }
    }
}

static int compare_bytes(const void *a, const void *b) {
    const found_term_t *left = a, *right = b;
    return memdb__compare(left->bytes, left->size, right->bytes, right->size);
}

static int compare_frequency(const void *a, const void *b) {
    const found_term_t *left = a, *right = b;
    if (left->df != right->df) {
        return left->df > right->df ? -1 : 1;
    }
    return compare_bytes(a, b);
}

// One entry a term, with its df summed over the sources.
static size_t unite(found_term_t *found, size_t count) {
    size_t kept = 0;
    if (count) {
        qsort(found, count, sizeof *found, compare_bytes);
    }
    for (size_t i = 0; i < count; i++) {
        if (kept && compare_bytes(&found[kept - 1], &found[i]) == 0) {
            found[kept - 1].df = (int64_t)((uint64_t)found[kept - 1].df + (uint64_t)found[i].df);
        } else {
            found[kept++] = found[i];
        }
    }
    return kept;
}

static void add_term(memdb__search_t *search, const uint8_t *bytes, uint32_t size) {
    for (uint32_t i = 0; i < search->term_count; i++) {
        if (search->terms[i].size == size && memcmp(search->terms[i].bytes, bytes, size) == 0) {
            return; // asked for already: a term counts once
        }
    }
    search->terms[search->term_count++] =
        (memdb__search_term_t){.bytes = bytes, .size = size, .weight = 1};
}

static memdb_status_t expand_prefix(memdb__search_t *search, const memdb__query_prefix_t *prefix,
                                    memdb__buffer_t *found, memdb_error_t *error) {
    const uint8_t *bytes = search->query->bytes.data;
    memdb__buffer_clear(found);
    for (uint32_t i = 0; i < search->source_count; i++) {
        const memdb__search_source_t *source = &search->sources[i];
        memdb_status_t status = MEMDB_OK;
        if (source->list) {
            expand_list(source, bytes + prefix->word.offset, prefix->word.size, found);
        } else {
            status = expand_segment(source, bytes + prefix->word.offset, prefix->word.size, found,
                                    error);
        }
        if (status) {
            return status;
        }
    }
    if (found->failed) {
        return memdb__fail(error, MEMDB_NOMEM, "no memory for the terms of a prefix");
    }
    found_term_t *terms = MEMDB__ITEMS_OF(*found, found_term_t);
    size_t count = unite(terms, MEMDB__COUNT_OF(*found, found_term_t));
    if (count > MEMDB__WORDS_PREFIX_TERMS) {
        qsort(terms, count, sizeof *terms, compare_frequency);
        count = MEMDB__WORDS_PREFIX_TERMS;
    }
    for (size_t i = 0; i < count; i++) {
        add_term(search, terms[i].bytes, terms[i].size);
    }
    if (prefix->stem.size) {
        add_term(search, bytes + prefix->stem.offset, prefix->stem.size);
    }
    return MEMDB_OK;
}

static int compare_search_terms(const void *a, const void *b) {
    const memdb__search_term_t *left = a, *right = b;
    return memdb__compare(left->bytes, left->size, right->bytes, right->size);
}

memdb_status_t memdb__search_expand(memdb__search_t *search, memdb_error_t *error) {
    memdb__buffer_t found = {0};
    memdb_status_t status = MEMDB_OK;
    const memdb__query_prefix_t *prefixes =
        MEMDB__ITEMS_OF(search->query->prefixes, memdb__query_prefix_t);
    size_t count = MEMDB__COUNT_OF(search->query->prefixes, memdb__query_prefix_t);
    for (size_t i = 0; i < count && !status; i++) {
        status = expand_prefix(search, &prefixes[i], &found, error);
    }
    memdb__buffer_deinit(&found);
    // The order of summing, which must not depend on the sources.
    qsort(search->terms, search->term_count, sizeof *search->terms, compare_search_terms);
    return status;
}
