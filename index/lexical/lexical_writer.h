// Writes a words segment: spaces in rising order, each with its documents and then its terms in
// rising order.
//
// A failed call leaves a writer that can only be abandoned. Postings go to the file as they come;
// the rest (a few bytes a document and some 30 a term) is kept in memory until the end.
#ifndef MEMDB_INDEX_LEXICAL_WRITER_H
#define MEMDB_INDEX_LEXICAL_WRITER_H

#include "index/lexical/lexical_format.h"

typedef struct memdb__words_document {
    uint64_t id, version;
    uint32_t length;
} memdb__words_document_t;

typedef struct memdb__words_posting {
    uint32_t document, tf; // the number within the space
    uint8_t code;          // memdb__code_of tf and the document's length
} memdb__words_posting_t;

typedef struct memdb__words_writer memdb__words_writer_t;

memdb_status_t memdb__words_writer_create(int directory, const char *name,
                                          const memdb__segment_identity_t *identity,
                                          memdb__words_writer_t **writer_out, memdb_error_t *error);
/// Documents rise by (id, version).
memdb_status_t memdb__words_writer_begin_space(memdb__words_writer_t *writer, memdb_space_t space,
                                               const memdb__words_document_t *documents,
                                               uint32_t count, memdb_error_t *error);
/// Postings rise by document; there may be none.
memdb_status_t memdb__words_writer_term(memdb__words_writer_t *writer, const uint8_t *term,
                                        size_t size, int64_t net_df,
                                        const memdb__words_posting_t *postings, uint32_t count,
                                        memdb_error_t *error);
/// A space with no documents, terms or counts leaves no trace.
memdb_status_t memdb__words_writer_end_space(memdb__words_writer_t *writer, int64_t net_documents,
                                             int64_t net_tokens, memdb_error_t *error);
/// Consumes the writer on every path.
memdb_status_t memdb__words_writer_finish(memdb__words_writer_t *writer, uint64_t *file_size_out,
                                          uint64_t *checksum_out, memdb_error_t *error);
void memdb__words_writer_abandon(memdb__words_writer_t *writer);

#endif
