// Search: finding the space, its terms and its statistics in all sources; expanding prefixes.
//
// Counts are summed with wrapping arithmetic and clamped where they are used: a damaged segment may
// hold any number.
#include "index/lexical/lexical_search.h"

#include <stdlib.h>

// The scratch is one block, cut up from the front by each search. A block that is too small is kept
// until the next search begins, since parts of it are in use.
struct memdb__search_scratch {
    uint8_t *block, *older[40];
    size_t size, used, older_count;
};

#define FIRST_BLOCK_BYTES 16384u

void memdb__search_scratch_destroy(memdb__search_scratch_t *scratch) {
    if (scratch) {
        for (size_t i = 0; i < scratch->older_count; i++) {
            memdb__free_aligned(scratch->older[i]);
        }
        memdb__free_aligned(scratch->block);
        memdb__free(scratch);
    }
}

static bool begin_scratch(memdb__words_query_t *query) {
    if (!query->scratch) {
        query->scratch = memdb__allocate_zeroed(1, sizeof *query->scratch);
        return query->scratch != NULL;
    }
    memdb__search_scratch_t *scratch = query->scratch;
    while (scratch->older_count) {
        memdb__free_aligned(scratch->older[--scratch->older_count]);
    }
    scratch->used = 0;
    return true;
}

void *memdb__search_allocate(memdb__words_query_t *query, size_t size) {
    memdb__search_scratch_t *scratch = query->scratch;
    size = size ? (size + 63) & ~(size_t)63 : 64; // never NULL for nothing
    if (size > scratch->size - scratch->used) {
        size_t grown =
            2 * scratch->size > FIRST_BLOCK_BYTES ? 2 * scratch->size : FIRST_BLOCK_BYTES;
        grown = grown > size ? grown : size;
        uint8_t *block = memdb__allocate_aligned(grown);
        if (!block) {
            return NULL;
        }
        if (scratch->block) { // each is at least twice the one before, so there are less than 40
            scratch->older[scratch->older_count++] = scratch->block;
        }
        scratch->block = block;
        scratch->size = grown;
        scratch->used = 0;
    }
    void *part = scratch->block + scratch->used;
    scratch->used += size;
    return part;
}

static memdb_status_t no_memory(memdb_error_t *error) {
    return memdb__fail(error, MEMDB_NOMEM, "no memory for a search of words");
}

static int64_t add_wrapping(int64_t a, int64_t b) {
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

static memdb_status_t find_spaces(memdb__search_t *search, memdb_error_t *error) {
    const memdb__words_search_t *asked = search->asked;
    size_t bytes = asked->source_count * sizeof *search->sources;
    search->sources = memdb__search_allocate(search->query, bytes);
    if (!search->sources) {
        return no_memory(error);
    }
    for (size_t i = 0; i < asked->source_count; i++) {
        memdb__search_source_t *source = &search->sources[search->source_count];
        *source = (memdb__search_source_t){.list = asked->sources[i].list,
                                           .segment = asked->sources[i].segment};
        bool found;
        if (source->list) {
            memdb__list_view(source->list, asked->space,
                             asked->sources[i].whole ? UINT64_MAX : asked->visible, &source->view);
            found = source->view.space != NULL;
            source->documents = source->view.documents;
            search->net_documents = add_wrapping(search->net_documents, source->view.net_documents);
            search->net_tokens = add_wrapping(search->net_tokens, source->view.net_tokens);
        } else {
            memdb_status_t status = memdb__segment_find_space(source->segment, asked->space,
                                                              &source->row, &found, error);
            if (status) {
                return status;
            }
            if (found) {
                source->documents = source->row.documents;
                search->net_documents =
                    add_wrapping(search->net_documents, source->row.net_documents);
                search->net_tokens = add_wrapping(search->net_tokens, source->row.net_tokens);
            }
        }
        search->source_count += found;
    }
    return MEMDB_OK;
}

static memdb_status_t find_in_list(memdb__search_t *search, memdb__search_source_t *source,
                                   memdb__search_term_t *term, memdb__term_view_t *view) {
    view->term =
        memdb__list_find(source->list, search->asked->space, term->bytes, term->size, term->hash);
    if (view->term) {
        view->count = memdb__list_visible_postings(view->term, &source->view);
        term->df += (int64_t)view->count - memdb__list_visible_removals(view->term, &source->view);
    }
    return MEMDB_OK;
}

static memdb_status_t find_in_segment(memdb__search_source_t *source, memdb__search_term_t *term,
                                      memdb__term_view_t *view, memdb_error_t *error) {
    bool found;
    memdb_status_t status =
        memdb__segment_find_term(source->segment, &source->row, term->bytes, term->size, term->hash,
                                 &view->record, &found, error);
    if (!status && found) {
        view->count = view->record.count;
        term->df = add_wrapping(term->df, view->record.net_df);
    }
    return status;
}

static memdb_status_t find_terms(memdb__search_t *search, memdb_error_t *error) {
    for (uint32_t i = 0; i < search->term_count; i++) {
        search->terms[i].hash =
            memdb__term_hash(search->asked->space, search->terms[i].bytes, search->terms[i].size);
    }
    for (uint32_t s = 0; s < search->source_count; s++) {
        memdb__search_source_t *source = &search->sources[s];
        source->views =
            memdb__search_allocate(search->query, search->term_count * sizeof *source->views);
        if (!source->views) {
            return no_memory(error);
        }
        for (uint32_t i = 0; i < search->term_count; i++) {
            memdb__term_view_t *view = &source->views[i];
            view->count = 0;
            view->term = NULL;
            view->has_run = false;
            memdb_status_t status = source->list
                                        ? find_in_list(search, source, &search->terms[i], view)
                                        : find_in_segment(source, &search->terms[i], view, error);
            if (status) {
                return status;
            }
            search->terms[i].postings += view->count;
            source->postings += view->count;
        }
    }
    return MEMDB_OK;
}

memdb_status_t memdb__search_resolve(memdb__search_t *search, memdb_error_t *error) {
    memdb__words_query_t *query = search->query;
    if (!begin_scratch(query)) {
        return no_memory(error);
    }
    memdb_status_t status = find_spaces(search, error);
    if (status) {
        return status;
    }
    const memdb__query_word_t *words = MEMDB__ITEMS_OF(query->words, memdb__query_word_t);
    size_t count = MEMDB__COUNT_OF(query->words, memdb__query_word_t);
    size_t most = count + MEMDB__COUNT_OF(query->prefixes, memdb__query_prefix_t) *
                              (MEMDB__WORDS_PREFIX_TERMS + 1);
    search->terms = memdb__search_allocate(query, most * sizeof *search->terms);
    if (!search->terms) {
        return no_memory(error);
    }
    for (size_t i = 0; i < count; i++) {
        search->terms[i] = (memdb__search_term_t){.bytes = query->bytes.data + words[i].term.offset,
                                                  .size = words[i].term.size,
                                                  .weight = words[i].weight};
    }
    search->term_count = (uint32_t)count;
    if (query->prefixes.size) {
        status = memdb__search_expand(search, error);
    }
    if (!status) {
        status = find_terms(search, error);
    }
    if (status) {
        return status;
    }
    memdb__bm25_init(&search->bm25, search->asked->parameters, search->net_documents,
                     search->net_tokens);
    for (uint32_t i = 0; i < search->term_count; i++) {
        search->terms[i].idf =
            search->terms[i].weight * memdb__bm25_idf(&search->bm25, search->terms[i].df);
        search->whole += search->terms[i].idf;
    }
    if (search->whole <= 0) {
        search->bm25.cover = 0; // nothing to cover
    }
    return MEMDB_OK;
}

memdb_status_t memdb__view_seek(const memdb__search_source_t *source, memdb__term_view_t *view,
                                uint32_t chunk, bool *found_out, memdb_error_t *error) {
    if (view->has_run && view->run.chunk == chunk) {
        *found_out = true;
        return MEMDB_OK;
    }
    *found_out = false;
    if (!view->has_run || view->run.chunk > chunk) {
        view->runs = memdb__words_runs(&view->record);
    }
    view->has_run = false;
    while (memdb__words_runs_next(&view->runs, &view->run)) {
        if (view->run.chunk >= chunk) {
            memdb_status_t status =
                memdb__segment_run(source->segment, &source->row, &view->run, &view->data, error);
            view->has_run = !status;
            *found_out = !status && view->run.chunk == chunk;
            return status;
        }
    }
    return MEMDB_OK;
}
