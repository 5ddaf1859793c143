// Parsing questions.
//
// A question is plain text. A word that ends with a star, outside of quotes that close, is a
// prefix. Everything else goes through the tokenizer of documents, so that both sides agree on what
// a term is.
#include "index/lexical/lexical_query.h"

#include "base/bytes.h"
#include "index/lexical/lexical_token.h"

#include <stdlib.h>

typedef struct parser {
    memdb__words_query_t *query;
    bool failed;
    bool has_last;
    memdb__query_slice_t last_word, last_term; // of the newest token that is no pair
    bool last_dense;
} parser_t;

static const uint8_t *at(const memdb__words_query_t *query, memdb__query_slice_t slice) {
    return query->bytes.data + slice.offset;
}

static bool is_slice(const memdb__words_query_t *query, memdb__query_slice_t slice,
                     const uint8_t *data, size_t size) {
    return slice.size == size && memcmp(at(query, slice), data, size) == 0;
}

static bool take_token(void *context, const memdb__token_t *token) {
    parser_t *parser = context;
    memdb__words_query_t *query = parser->query;
    memdb__query_word_t word = {.term = memdb__query_keep(&query->bytes, token->term, token->size),
                                .stop = !token->dense &&
                                        memdb__is_stop_word(token->word, token->word_size),
                                .pair = token->pair,
                                .weight = 1};
    memdb__buffer_append(&query->words, &word, sizeof word);
    if (!token->pair && !query->bytes.failed) {
        parser->has_last = true;
        parser->last_dense = token->dense;
        parser->last_term = word.term;
        parser->last_word = is_slice(query, word.term, token->word, token->word_size)
                                ? word.term
                                : memdb__query_keep(&query->bytes, token->word, token->word_size);
    }
    parser->failed = query->bytes.failed || query->words.failed;
    return !parser->failed &&
           MEMDB__COUNT_OF(query->words, memdb__query_word_t) < MEMDB__WORDS_QUERY_WORDS;
}

static bool tokenize(parser_t *parser, const uint8_t *text, size_t size) {
    return memdb__tokenize_each(parser->query->kind, text, size, take_token, parser) &&
           !parser->failed;
}

static bool is_blank(uint8_t byte) {
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

// A piece without blanks that ends with a star: its last word is a prefix.
static bool parse_prefix(parser_t *parser, const uint8_t *text, size_t size) {
    memdb__words_query_t *query = parser->query;
    parser->has_last = false;
    if (!tokenize(parser, text, size)) {
        return false;
    }
    if (!parser->has_last || parser->last_dense) {
        return true; // nothing before the star, or a script whose characters are terms already
    }
    // The word is asked for as a prefix, which covers its own term.
    query->words.size -= sizeof(memdb__query_word_t);
    bool stemmed = parser->last_word.offset != parser->last_term.offset;
    memdb__query_prefix_t prefix = {.word = parser->last_word,
                                    .stem =
                                        stemmed ? parser->last_term : (memdb__query_slice_t){0, 0}};
    return memdb__buffer_append(&query->prefixes, &prefix, sizeof prefix);
}

static bool parse_plain(parser_t *parser, const uint8_t *text, size_t size) {
    if (!memchr(text, '*', size)) {
        return tokenize(parser, text, size);
    }
    for (size_t i = 0; i < size;) {
        size_t end = i;
        while (end < size && !is_blank(text[end])) {
            end++;
        }
        size_t stars = end;
        while (stars > i && text[stars - 1] == '*') {
            stars--;
        }
        bool good = stars < end ? parse_prefix(parser, text + i, stars - i)
                                : tokenize(parser, text + i, end - i);
        if (!good) {
            return false;
        }
        i = end + 1;
    }
    return true;
}

size_t memdb__quote_at(const char *text, size_t size) {
    if (text[0] == '"') {
        return 1;
    }
    return size >= 3 &&
                   (memcmp(text, "\xE2\x80\x9C", 3) == 0 || memcmp(text, "\xE2\x80\x9D", 3) == 0)
               ? 3
               : 0;
}

size_t memdb__quote_find(const char *text, size_t from, size_t size) {
    while (from < size && !memdb__quote_at(text + from, size - from)) {
        from++;
    }
    return from;
}

static bool parse(parser_t *parser, const char *text, size_t size) {
    const uint8_t *bytes = (const uint8_t *)text;
    for (size_t i = 0; i < size;) {
        size_t open = memdb__quote_find(text, i, size);
        size_t inside = open < size ? open + memdb__quote_at(text + open, size - open) : size;
        size_t close = memdb__quote_find(text, inside, size);
        if (open < size && close == size) { // a quote that does not close is punctuation
            open = size;
        }
        if (open > i && !parse_plain(parser, bytes + i, open - i)) {
            return false;
        }
        if (open == size) {
            return true;
        }
        if (!tokenize(parser, bytes + inside, close - inside)) {
            return false;
        }
        i = close + memdb__quote_at(text + close, size - close);
    }
    return true;
}

static int compare_words(const void *a, const void *b, void *bytes) {
    const memdb__query_word_t *left = a, *right = b;
    const uint8_t *base = bytes;
    return memdb__compare(base + left->term.offset, left->term.size, base + right->term.offset,
                          right->term.size);
}

static void sort_words(memdb__query_word_t *words, size_t count, uint8_t *bytes) {
    if (count > 24) {
        qsort_r(words, count, sizeof *words, compare_words, bytes);
        return;
    }
    for (size_t i = 1; i < count; i++) {
        memdb__query_word_t moving = words[i];
        size_t place = i;
        for (; place > 0 && compare_words(&words[place - 1], &moving, bytes) > 0; place--) {
            words[place] = words[place - 1];
        }
        words[place] = moving;
    }
}

// Drop stop words, if anything else is asked, and repetitions. A fixed order makes equal documents
// score equally.
static void reduce_words(memdb__words_query_t *query, bool keep_stop_words) {
    memdb__query_word_t *words = MEMDB__ITEMS_OF(query->words, memdb__query_word_t);
    size_t count = MEMDB__COUNT_OF(query->words, memdb__query_word_t), kept = 0;
    bool content = query->prefixes.size > 0 && !keep_stop_words;
    for (size_t i = 0; i < count; i++) {
        content = content || (!words[i].stop && !keep_stop_words);
    }
    for (size_t i = 0; i < count; i++) {
        if (!content || !words[i].stop) {
            words[kept++] = words[i];
        }
    }
    count = kept;
    kept = 0;
    sort_words(words, count, query->bytes.data);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || compare_words(&words[i], &words[i - 1], query->bytes.data) != 0) {
            words[kept++] = words[i];
        }
    }
    query->words.size = kept * sizeof *words;
}

memdb_status_t memdb__words_query_parse(memdb_tokenizer_kind_t kind, const char *text, size_t size,
                                        bool keep_stop_words, memdb__words_query_t **query_out,
                                        memdb_error_t *error) {
    memdb__words_query_t *query = memdb__allocate_zeroed(1, sizeof *query);
    if (query) {
        query->kind = kind;
        parser_t parser = {.query = query};
        if (parse(&parser, text, size)) {
            reduce_words(query, keep_stop_words);
            *query_out = query;
            return MEMDB_OK;
        }
    }
    memdb__words_query_destroy(query);
    return memdb__fail(error, MEMDB_NOMEM, "no memory for a question of %zu bytes", size);
}

memdb_status_t memdb__words_query_create(memdb_tokenizer_kind_t kind, const char *text, size_t size,
                                         memdb__words_query_t **query_out, memdb_error_t *error) {
    return memdb__words_query_parse(kind, text, size, false, query_out, error);
}

void memdb__words_query_destroy(memdb__words_query_t *query) {
    if (!query) {
        return;
    }
    memdb__search_scratch_destroy(query->scratch);
    memdb__buffer_deinit(&query->bytes);
    memdb__buffer_deinit(&query->words);
    memdb__buffer_deinit(&query->prefixes);
    memdb__free(query);
}

size_t memdb__words_query_terms(const memdb__words_query_t *query) {
    return MEMDB__COUNT_OF(query->words, memdb__query_word_t) +
           MEMDB__COUNT_OF(query->prefixes, memdb__query_prefix_t);
}

bool memdb__words_query_add(memdb__words_query_t *query, const uint8_t *term, size_t size) {
    size_t count = MEMDB__COUNT_OF(query->words, memdb__query_word_t);
    for (size_t i = 0; i < count; i++) {
        if (is_slice(query, MEMDB__ITEMS_OF(query->words, memdb__query_word_t)[i].term, term,
                     size)) {
            return true;
        }
    }
    memdb__query_word_t word = {.term = memdb__query_keep(&query->bytes, term, size), .weight = 1};
    if (query->bytes.failed || !memdb__buffer_append(&query->words, &word, sizeof word)) {
        return false;
    }
    sort_words(MEMDB__ITEMS_OF(query->words, memdb__query_word_t), count + 1, query->bytes.data);
    return true;
}
