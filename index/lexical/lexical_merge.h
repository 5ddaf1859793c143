// What the two files of a merge share: a source, walked space by space and term by term.
#ifndef MEMDB_INDEX_LEXICAL_MERGE_H
#define MEMDB_INDEX_LEXICAL_MERGE_H

#include "index/lexical/lexical_list.h"
#include "index/lexical/lexical_segment.h"
#include "index/lexical/lexical_writer.h"

typedef struct memdb__merge_source {
    const memdb__words_list_t *list;
    const memdb__words_segment_t *segment;
    // the space in hand
    bool present;
    memdb__words_space_t row; // of a segment
    memdb__list_view_t view;  // of a list
    int64_t net_documents, net_tokens;
    memdb__buffer_t map; // u32: new number of each old one; UINT32_MAX: dead
    // the term in hand; NULL: none left
    const uint8_t *term;
    size_t term_size;
    memdb__words_record_t record;
    uint64_t position;     // of the record after it
    memdb__buffer_t terms; // of a list: pointers to its terms in the space, sorted
    size_t next;
    uint32_t visible; // postings of the term in hand, of a list
} memdb__merge_source_t;

typedef struct memdb__merge_document {
    memdb__words_document_t document;
    uint32_t source, number;
} memdb__merge_document_t;

typedef struct memdb__merge {
    memdb__words_writer_t *writer;
    memdb__merge_source_t *sources;
    size_t source_count;
    uint64_t visible;
    memdb__live_fn live;
    void *context;
    memdb_space_t space;
    memdb__buffer_t documents; // memdb__merge_document_t, live ones
    memdb__buffer_t rows;      // memdb__words_document_t, in the new order
    memdb__buffer_t postings;  // memdb__words_posting_t, of the term in hand
} memdb__merge_t;

/// Go to a space and stand on its first term.
memdb_status_t memdb__merge_enter_space(memdb__merge_source_t *source, memdb_space_t space,
                                        uint64_t visible, memdb_error_t *error);
memdb_status_t memdb__merge_next_term(memdb__merge_source_t *source, memdb_error_t *error);
/// Documents added less removed that hold the term.
int64_t memdb__merge_net_df(const memdb__merge_source_t *source);
/// Append the term's live postings under their new numbers; `postings->failed` says that memory ran
/// out.
memdb_status_t memdb__merge_postings(const memdb__merge_source_t *source, memdb__buffer_t *postings,
                                     memdb_error_t *error);
void memdb__merge_source_deinit(memdb__merge_source_t *source);

#endif
