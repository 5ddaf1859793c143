// Finding a question's words in a text.
#include "base/bytes.h"
#include "index/lexical/lexical_query.h"
#include "index/lexical/lexical_token.h"

typedef struct finder {
    const memdb__words_query_t *query;
    bool pairs; // the query has some
    memdb__words_seen_fn seen;
    void *context;
} finder_t;

static int compare(const memdb__words_query_t *query, memdb__query_slice_t slice,
                   const memdb__token_t *token) {
    return memdb__compare(query->bytes.data + slice.offset, slice.size, token->term, token->size);
}

/// Among the terms, which rise. Their count: it is none of them.
static uint32_t find_term(const memdb__words_query_t *query, const memdb__token_t *token) {
    const memdb__query_word_t *words = MEMDB__ITEMS_OF(query->words, memdb__query_word_t);
    uint32_t low = 0, count = (uint32_t)MEMDB__COUNT_OF(query->words, memdb__query_word_t);
    uint32_t high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = compare(query, words[middle].term, token);
        if (order == 0) {
            return middle;
        }
        low = order < 0 ? middle + 1 : low;
        high = order < 0 ? high : middle;
    }
    return count;
}

static bool begins(const memdb__words_query_t *query, const memdb__query_prefix_t *prefix,
                   const memdb__token_t *token) {
    return (token->size >= prefix->word.size &&
            memcmp(token->term, query->bytes.data + prefix->word.offset, prefix->word.size) == 0) ||
           (prefix->stem.size && compare(query, prefix->stem, token) == 0);
}

static bool take_token(void *context, const memdb__token_t *token) {
    const finder_t *finder = context;
    const memdb__words_query_t *query = finder->query;
    const memdb__query_prefix_t *prefixes = MEMDB__ITEMS_OF(query->prefixes, memdb__query_prefix_t);
    uint32_t terms = (uint32_t)MEMDB__COUNT_OF(query->words, memdb__query_word_t);
    uint32_t all = (uint32_t)memdb__words_query_terms(query);
    if (token->dense && !token->pair && finder->pairs) {
        return true;
    }
    uint32_t number = find_term(query, token);
    while (number >= terms && number < all && !begins(query, &prefixes[number - terms], token)) {
        number++;
    }
    return number == all || finder->seen(finder->context, number, token->from, token->to);
}

memdb_status_t memdb__words_query_find(const memdb__words_query_t *query, memdb_bytes_t text,
                                       memdb__words_seen_fn seen, void *context,
                                       memdb_error_t *error) {
    finder_t finder = {.query = query, .seen = seen, .context = context};
    const memdb__query_word_t *words = MEMDB__ITEMS_OF(query->words, memdb__query_word_t);
    for (size_t i = 0; i < MEMDB__COUNT_OF(query->words, memdb__query_word_t); i++) {
        finder.pairs = finder.pairs || words[i].pair;
    }
    return memdb__tokenize_each(query->kind, (const uint8_t *)text.data, text.size, take_token,
                                &finder)
               ? MEMDB_OK
               : memdb__fail(error, MEMDB_NOMEM, "no memory to read a text of %zu bytes",
                             text.size);
}
