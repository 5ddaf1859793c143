// Merging words: lists and segments, oldest first, into one segment.
//
// Space by space: the live documents of all sources are collected, sorted by (id, version) and
// numbered anew; then the terms of all sources are walked in order together, and the postings of
// each are renumbered and written. Documents that are dead leave with their postings; the net
// counts of a space and of its terms are sums over the sources, and stay exact because a death was
// counted by the list that saw it.
#include "index/lexical/lexical_merge.h"

#include "index/lexical/lexical_code.h"

#include <stdlib.h>

static memdb_status_t no_memory(memdb_error_t *error) {
    return memdb__fail(error, MEMDB_NOMEM, "no memory to merge words");
}

static bool add_space(void *context, memdb_space_t space) {
    return memdb__buffer_append(context, &space, sizeof space);
}

static int compare_spaces(const void *a, const void *b) {
    memdb_space_t left = *(const memdb_space_t *)a, right = *(const memdb_space_t *)b;
    return (left > right) - (left < right);
}

// All spaces of the sources, rising, into `spaces`.
static memdb_status_t collect_spaces(const memdb__words_source_t *sources, size_t count,
                                     memdb__buffer_t *spaces, memdb_error_t *error) {
    for (size_t i = 0; i < count; i++) {
        if (sources[i].list) {
            memdb__list_spaces(sources[i].list, add_space, spaces);
            continue;
        }
        for (uint64_t row = 0; row < sources[i].segment->head.spaces; row++) {
            memdb__words_space_t space;
            memdb_status_t status = memdb__segment_space_at(sources[i].segment, row, &space, error);
            if (status) {
                return status;
            }
            add_space(spaces, space.space);
        }
    }
    if (spaces->failed) {
        return no_memory(error);
    }
    memdb_space_t *numbers = (memdb_space_t *)spaces->data;
    size_t found = spaces->size / sizeof *numbers, kept = 0;
    if (found) {
        qsort(numbers, found, sizeof *numbers, compare_spaces);
    }
    for (size_t i = 0; i < found; i++) {
        if (i == 0 || numbers[i] != numbers[i - 1]) {
            numbers[kept++] = numbers[i];
        }
    }
    spaces->size = kept * sizeof *numbers;
    return MEMDB_OK;
}

static int compare_documents(const void *a, const void *b) {
    const memdb__words_document_t *left = &((const memdb__merge_document_t *)a)->document;
    const memdb__words_document_t *right = &((const memdb__merge_document_t *)b)->document;
    if (left->id != right->id) {
        return left->id < right->id ? -1 : 1;
    }
    return (left->version > right->version) - (left->version < right->version);
}

static memdb_status_t add_document(memdb__merge_t *merge, uint32_t source, uint32_t number,
                                   const memdb__words_document_t *document, memdb_error_t *error) {
    if (!merge->live(merge->context, merge->space, document->id, document->version)) {
        return MEMDB_OK;
    }
    memdb__merge_document_t row = {*document, source, number};
    return memdb__buffer_append(&merge->documents, &row, sizeof row) ? MEMDB_OK : no_memory(error);
}

static memdb_status_t collect_documents(memdb__merge_t *merge, uint32_t number,
                                        memdb_error_t *error) {
    memdb__merge_source_t *source = &merge->sources[number];
    uint32_t count = source->segment ? source->row.documents : source->view.documents;
    memdb__buffer_clear(&source->map);
    if (!memdb__buffer_reserve(&source->map, ((size_t)count + 1) * sizeof(uint32_t))) {
        return no_memory(error);
    }
    memset(source->map.data, 0xFF, (size_t)count * sizeof(uint32_t));
    memdb_status_t status = MEMDB_OK;
    for (uint32_t i = 0; i < count && !status; i++) {
        memdb__words_document_t document;
        if (source->segment) {
            status = memdb__segment_document(source->segment, &source->row, i, &document.id,
                                             &document.version, error);
            if (!status) {
                status = memdb__segment_length(source->segment, &source->row, i, &document.length,
                                               error);
            }
        } else {
            const memdb__list_document_t *row = memdb__list_document(source->view.space, i);
            document = (memdb__words_document_t){row->id, row->version, row->length};
        }
        if (!status) {
            status = add_document(merge, number, i, &document, error);
        }
    }
    return status;
}

// Number the live documents, fill the maps, and leave the rows for the writer in merge->rows.
static memdb_status_t number_documents(memdb__merge_t *merge, memdb_error_t *error) {
    memdb__merge_document_t *documents = (memdb__merge_document_t *)merge->documents.data;
    size_t count = merge->documents.size / sizeof *documents;
    bool sorted = true;
    for (size_t i = 1; i < count && sorted; i++) {
        sorted = compare_documents(&documents[i - 1], &documents[i]) <= 0;
    }
    if (!sorted) {
        qsort(documents, count, sizeof *documents, compare_documents);
    }
    if (count > UINT32_MAX - MEMDB__WORDS_CHUNK) {
        return memdb__fail(error, MEMDB_LIMIT, "%zu documents in one space of a segment", count);
    }
    memdb__buffer_clear(&merge->rows);
    if (!memdb__buffer_reserve(&merge->rows, count * sizeof(memdb__words_document_t))) {
        return no_memory(error);
    }
    for (size_t i = 0; i < count; i++) {
        uint32_t *map = (uint32_t *)merge->sources[documents[i].source].map.data;
        map[documents[i].number] = (uint32_t)i;
        memdb__buffer_append(&merge->rows, &documents[i].document, sizeof documents[i].document);
    }
    return MEMDB_OK;
}

static int compare_postings(const void *a, const void *b) {
    const memdb__words_posting_t *left = a, *right = b;
    return (left->document > right->document) - (left->document < right->document);
}

// Sources interleave by id, so their postings may; within one posting list no document stands
// twice.
static memdb_status_t sort_postings(memdb__merge_t *merge, memdb_error_t *error) {
    memdb__words_posting_t *postings = (memdb__words_posting_t *)merge->postings.data;
    size_t count = merge->postings.size / sizeof *postings;
    bool sorted = true;
    for (size_t i = 1; i < count && sorted; i++) {
        sorted = postings[i - 1].document < postings[i].document;
    }
    if (sorted) {
        return MEMDB_OK;
    }
    qsort(postings, count, sizeof *postings, compare_postings);
    for (size_t i = 1; i < count; i++) {
        if (postings[i - 1].document == postings[i].document) {
            return memdb__fail(error, MEMDB_CORRUPT, "a term of space %u names one document twice",
                               merge->space);
        }
    }
    return MEMDB_OK;
}

static memdb_status_t write_term(memdb__merge_t *merge, const uint8_t *term, size_t size,
                                 memdb_error_t *error) {
    uint64_t net_df = 0; // wraps where a damaged source says so
    memdb__buffer_clear(&merge->postings);
    uint8_t copy[MEMDB__MAX_TERM_BYTES]; // the source that lent `term` steps on
    memcpy(copy, term, size);
    for (size_t i = 0; i < merge->source_count; i++) {
        memdb__merge_source_t *source = &merge->sources[i];
        if (!source->term || memdb__compare(source->term, source->term_size, copy, size) != 0) {
            continue;
        }
        net_df += (uint64_t)memdb__merge_net_df(source);
        memdb_status_t status = memdb__merge_postings(source, &merge->postings, error);
        if (!status) {
            status = memdb__merge_next_term(source, error);
        }
        if (status) {
            return status;
        }
    }
    size_t count = merge->postings.size / sizeof(memdb__words_posting_t);
    if (merge->postings.failed) {
        return no_memory(error);
    }
    if (count == 0 && net_df == 0) {
        return MEMDB_OK;
    }
    memdb_status_t status = sort_postings(merge, error);
    return status ? status
                  : memdb__words_writer_term(merge->writer, copy, size, (int64_t)net_df,
                                             (const memdb__words_posting_t *)merge->postings.data,
                                             (uint32_t)count, error);
}

static memdb_status_t write_terms(memdb__merge_t *merge, memdb_error_t *error) {
    for (;;) {
        const memdb__merge_source_t *least = NULL;
        for (size_t i = 0; i < merge->source_count; i++) {
            const memdb__merge_source_t *source = &merge->sources[i];
            if (source->term && (!least || memdb__compare(source->term, source->term_size,
                                                          least->term, least->term_size) < 0)) {
                least = source;
            }
        }
        if (!least) {
            return MEMDB_OK;
        }
        memdb_status_t status = write_term(merge, least->term, least->term_size, error);
        if (status) {
            return status;
        }
    }
}

static memdb_status_t write_space(memdb__merge_t *merge, memdb_error_t *error) {
    uint64_t net_documents = 0, net_tokens = 0;
    memdb__buffer_clear(&merge->documents);
    for (size_t i = 0; i < merge->source_count; i++) {
        memdb__merge_source_t *source = &merge->sources[i];
        memdb_status_t status =
            memdb__merge_enter_space(source, merge->space, merge->visible, error);
        if (!status && source->present) {
            status = collect_documents(merge, (uint32_t)i, error);
        }
        if (status) {
            return status;
        }
        net_documents += (uint64_t)source->net_documents;
        net_tokens += (uint64_t)source->net_tokens;
    }
    memdb_status_t status = number_documents(merge, error);
    if (!status) {
        status = memdb__words_writer_begin_space(
            merge->writer, merge->space, (const memdb__words_document_t *)merge->rows.data,
            (uint32_t)(merge->rows.size / sizeof(memdb__words_document_t)), error);
    }
    if (!status) {
        status = write_terms(merge, error);
    }
    return status ? status
                  : memdb__words_writer_end_space(merge->writer, (int64_t)net_documents,
                                                  (int64_t)net_tokens, error);
}

static memdb_status_t write_spaces(memdb__merge_t *merge, const memdb__words_source_t *sources,
                                   bool (*space_live)(void *context, memdb_space_t space),
                                   memdb_error_t *error) {
    memdb__buffer_t spaces = {0};
    memdb_status_t status = collect_spaces(sources, merge->source_count, &spaces, error);
    for (size_t i = 0; i < spaces.size / sizeof(memdb_space_t) && !status; i++) {
        merge->space = ((const memdb_space_t *)spaces.data)[i];
        if (space_live(merge->context, merge->space)) {
            status = write_space(merge, error);
        }
    }
    memdb__buffer_deinit(&spaces);
    return status;
}

memdb_status_t memdb__words_segment_write(int directory, const char *name,
                                          const memdb__segment_identity_t *identity,
                                          const memdb__words_source_t *sources, size_t source_count,
                                          uint64_t visible, memdb__live_fn live,
                                          bool (*space_live)(void *context, memdb_space_t space),
                                          void *context, uint64_t *file_size_out,
                                          uint64_t *checksum_out, memdb_error_t *error) {
    memdb__merge_t merge = {
        .source_count = source_count, .visible = visible, .live = live, .context = context};
    memdb_status_t status =
        memdb__words_writer_create(directory, name, identity, &merge.writer, error);
    if (status) {
        return status;
    }
    merge.sources = memdb__allocate_zeroed(source_count, sizeof *merge.sources);
    status = merge.sources ? MEMDB_OK : no_memory(error);
    for (size_t i = 0; i < source_count && merge.sources; i++) {
        merge.sources[i].list = sources[i].list;
        merge.sources[i].segment = sources[i].segment;
    }
    if (!status) {
        status = write_spaces(&merge, sources, space_live, error);
    }
    if (status) {
        memdb__words_writer_abandon(merge.writer);
    } else {
        status = memdb__words_writer_finish(merge.writer, file_size_out, checksum_out, error);
    }
    for (size_t i = 0; i < source_count && merge.sources; i++) {
        memdb__merge_source_deinit(&merge.sources[i]);
    }
    memdb__free(merge.sources);
    memdb__buffer_deinit(&merge.documents);
    memdb__buffer_deinit(&merge.rows);
    memdb__buffer_deinit(&merge.postings);
    return status;
}
