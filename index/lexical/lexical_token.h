// The tokenizer as the folder's files see it: tokens with what queries need to know of them.
#ifndef MEMDB_INDEX_LEXICAL_TOKEN_H
#define MEMDB_INDEX_LEXICAL_TOKEN_H

#include "index/lexical/lexical.h"

typedef struct memdb__token {
    const uint8_t *term; // what the index holds
    size_t size;
    const uint8_t *word; // the folded word before stemming; the term itself for dense scripts
    size_t word_size;
    uint32_t position;
    bool pair;  // a bigram of a dense script: overlaps the unigrams at its position and the next
    bool dense; // of a dense script
    size_t from, to; // the bytes of the text that it stands for, whole characters
} memdb__token_t;

/// Returns false to stop.
typedef bool (*memdb__token_visit_fn)(void *context, const memdb__token_t *token);

/// False: out of memory. The token's bytes are lent for the call.
bool memdb__tokenize_each(memdb_tokenizer_kind_t kind, const uint8_t *text, size_t size,
                          memdb__token_visit_fn visit, void *context);

/// Whether a folded word says so little that questions do better without it.
bool memdb__is_stop_word(const uint8_t *word, size_t size);

#endif
