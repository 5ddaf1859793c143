// What a question demands of a document, as the files of this folder see it.
#ifndef MEMDB_INDEX_LEXICAL_DEMAND_H
#define MEMDB_INDEX_LEXICAL_DEMAND_H

#include "index/lexical/lexical_query.h"
#include "index/lexical/lexical_token.h"

typedef struct memdb__demand_word {
    memdb__query_slice_t term; // of a prefix: as it was written, folded
    memdb__query_slice_t stem; // of a prefix
    bool prefix;
    bool reached; // while matching: the tokens up to here match the phrase up to here
} memdb__demand_word_t;

/// A run of words.
typedef struct memdb__demand_phrase {
    uint32_t first, count;
} memdb__demand_phrase_t;

/// A run of phrases, of which any will do.
typedef struct memdb__demand_clause {
    uint32_t first, count;
    bool forbidden;
    bool held;         // while matching: one of them was found
    uint64_t postings; // of memdb__words_demand_estimate
    bool walked;       // by memdb__words_demand_ids
} memdb__demand_clause_t;

struct memdb__words_demand {
    memdb_tokenizer_kind_t kind;
    bool requires, forbids;
    memdb__buffer_t bytes, words, phrases, clauses;
};

static inline const uint8_t *memdb__demand_bytes(const memdb__words_demand_t *demand,
                                                 memdb__query_slice_t slice) {
    return demand->bytes.data + slice.offset;
}
static inline memdb__demand_word_t *memdb__demand_words(const memdb__words_demand_t *demand) {
    return MEMDB__ITEMS_OF(demand->words, memdb__demand_word_t);
}
static inline uint32_t memdb__demand_word_count(const memdb__words_demand_t *demand) {
    return (uint32_t)MEMDB__COUNT_OF(demand->words, memdb__demand_word_t);
}
static inline memdb__demand_phrase_t *memdb__demand_phrases(const memdb__words_demand_t *demand) {
    return MEMDB__ITEMS_OF(demand->phrases, memdb__demand_phrase_t);
}
static inline uint32_t memdb__demand_phrase_count(const memdb__words_demand_t *demand) {
    return (uint32_t)MEMDB__COUNT_OF(demand->phrases, memdb__demand_phrase_t);
}
static inline memdb__demand_clause_t *memdb__demand_clauses(const memdb__words_demand_t *demand) {
    return MEMDB__ITEMS_OF(demand->clauses, memdb__demand_clause_t);
}
static inline uint32_t memdb__demand_clause_count(const memdb__words_demand_t *demand) {
    return (uint32_t)MEMDB__COUNT_OF(demand->clauses, memdb__demand_clause_t);
}

#endif
