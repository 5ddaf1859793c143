// A parsed question, and the scratch memory of its searches.
#ifndef MEMDB_INDEX_LEXICAL_QUERY_H
#define MEMDB_INDEX_LEXICAL_QUERY_H

#include "index/lexical/lexical.h"

/// Bytes in query->bytes.
typedef struct memdb__query_slice {
    uint32_t offset, size;
} memdb__query_slice_t;

/// Append bytes; a failure stays with the buffer.
static inline memdb__query_slice_t memdb__query_keep(memdb__buffer_t *bytes, const uint8_t *data,
                                                     size_t size) {
    memdb__query_slice_t slice = {(uint32_t)bytes->size, (uint32_t)size};
    memdb__buffer_append(bytes, data, size);
    return slice;
}

typedef struct memdb__query_word {
    memdb__query_slice_t term;
    bool stop;
    bool pair;     // of two characters of a dense script
    double weight; // factor of its idf: 1 for a word that a question says
} memdb__query_word_t;

typedef struct memdb__query_prefix {
    memdb__query_slice_t word, stem; // stem: empty where it is the word
} memdb__query_prefix_t;

typedef struct memdb__search_scratch memdb__search_scratch_t;

struct memdb__words_query {
    memdb_tokenizer_kind_t kind;
    memdb__buffer_t bytes;
    memdb__buffer_t words;    // memdb__query_word_t; after parsing: the terms, rising by bytes
    memdb__buffer_t prefixes; // memdb__query_prefix_t
    memdb__search_scratch_t *scratch; // of lexical_search.c; NULL before the first search
};

#define MEMDB__COUNT_OF(buffer, type) ((buffer).size / sizeof(type))
#define MEMDB__ITEMS_OF(buffer, type) ((type *)(void *)(buffer).data)

/// memdb__words_query_create, with a choice: stop words may stay among the terms.
memdb_status_t memdb__words_query_parse(memdb_tokenizer_kind_t kind, const char *text, size_t size,
                                        bool keep_stop_words, memdb__words_query_t **query_out,
                                        memdb_error_t *error);

/// Ask for one more term, unless it is asked for already. False: out of memory.
bool memdb__words_query_add(memdb__words_query_t *query, const uint8_t *term, size_t size);

void memdb__search_scratch_destroy(memdb__search_scratch_t *scratch);

#endif
