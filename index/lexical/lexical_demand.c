// Demands: which documents a question admits at all, whatever it ranks them by.
//
// A demand is a list of clauses, and a clause a list of phrases, of which a document must hold one
// (or none, where they are forbidden). A word is a phrase of one word; the last word of a phrase
// may be a prefix, which matches each term that begins with it, and its own stem. Phrases are found
// by going over the document once: of each phrase the places are kept up to which the tokens so far
// match it (the shift-and of Baeza-Yates and Gonnet 1992, with words in the place of characters).
#include "index/lexical/lexical_demand.h"

#include <string.h>

memdb__words_demand_t *memdb__words_demand_create(memdb_tokenizer_kind_t kind) {
    memdb__words_demand_t *demand = memdb__allocate_zeroed(1, sizeof *demand);
    if (demand) {
        demand->kind = kind;
    }
    return demand;
}

void memdb__words_demand_destroy(memdb__words_demand_t *demand) {
    if (demand) {
        memdb__buffer_deinit(&demand->bytes);
        memdb__buffer_deinit(&demand->words);
        memdb__buffer_deinit(&demand->phrases);
        memdb__buffer_deinit(&demand->clauses);
        memdb__free(demand);
    }
}

// ------------------------------------------------------------------------------ making one

typedef struct adding {
    memdb__words_demand_t *demand;
    uint32_t count;
    memdb__query_slice_t last_word; // before stemming
    bool last_dense;
} adding_t;

static bool add_word(void *context, const memdb__token_t *token) {
    adding_t *adding = context;
    memdb__words_demand_t *demand = adding->demand;
    if (token->pair) {
        return true; // its characters are there
    }
    memdb__demand_word_t word = {.term =
                                     memdb__query_keep(&demand->bytes, token->term, token->size)};
    adding->last_word = memdb__query_keep(&demand->bytes, token->word, token->word_size);
    adding->last_dense = token->dense;
    adding->count++;
    return memdb__buffer_append(&demand->words, &word, sizeof word) && !demand->bytes.failed;
}

static memdb_status_t no_memory(memdb_error_t *error) {
    return memdb__fail(error, MEMDB_NOMEM, "no memory for what a question demands");
}

memdb_status_t memdb__words_demand_phrase(memdb__words_demand_t *demand, bool opens, bool forbidden,
                                          bool prefix, const char *text, size_t size,
                                          bool *empty_out, memdb_error_t *error) {
    adding_t adding = {.demand = demand};
    memdb__demand_phrase_t phrase = {.first = memdb__demand_word_count(demand)};
    if (!memdb__tokenize_each(demand->kind, (const uint8_t *)text, size, add_word, &adding) ||
        demand->words.failed || demand->bytes.failed) {
        return no_memory(error);
    }
    if (memdb__demand_word_count(demand) > MEMDB__WORDS_QUERY_WORDS) {
        return memdb__fail(error, MEMDB_LIMIT, "a question demands at most %u words",
                           MEMDB__WORDS_QUERY_WORDS);
    }
    *empty_out = adding.count == 0;
    if (!adding.count) {
        return MEMDB_OK;
    }
    phrase.count = adding.count;
    if (prefix && !adding.last_dense) { // a character of a dense script is a term already
        memdb__demand_word_t *last = &memdb__demand_words(demand)[phrase.first + phrase.count - 1];
        last->stem = last->term;
        last->term = adding.last_word;
        last->prefix = true;
    }
    if (opens) {
        memdb__demand_clause_t clause = {.first = memdb__demand_phrase_count(demand),
                                         .forbidden = forbidden};
        memdb__buffer_append(&demand->clauses, &clause, sizeof clause);
        demand->forbids = demand->forbids || forbidden;
        demand->requires = demand->requires || !forbidden;
    }
    memdb__buffer_append(&demand->phrases, &phrase, sizeof phrase);
    if (demand->clauses.failed || demand->phrases.failed) {
        return no_memory(error);
    }
    memdb__demand_clauses(demand)[memdb__demand_clause_count(demand) - 1].count++;
    return MEMDB_OK;
}

bool memdb__words_demand_requires(const memdb__words_demand_t *demand) {
    return demand && demand->requires;
}

size_t memdb__words_demand_clauses(const memdb__words_demand_t *demand) {
    return demand ? memdb__demand_clause_count(demand) : 0;
}

memdb_status_t memdb__words_demand_require(const memdb__words_demand_t *demand,
                                           memdb__words_query_t *query, memdb_error_t *error) {
    for (uint32_t c = 0; c < memdb__demand_clause_count(demand); c++) {
        const memdb__demand_clause_t *clause = &memdb__demand_clauses(demand)[c];
        const memdb__demand_phrase_t *phrases = memdb__demand_phrases(demand) + clause->first;
        for (uint32_t p = 0; p < clause->count && !clause->forbidden; p++) {
            const memdb__demand_word_t *words = memdb__demand_words(demand) + phrases[p].first;
            for (uint32_t w = 0; w < phrases[p].count; w++) {
                if (!words[w].prefix &&
                    !memdb__words_query_add(query, memdb__demand_bytes(demand, words[w].term),
                                            words[w].term.size)) {
                    return no_memory(error);
                }
            }
        }
    }
    return MEMDB_OK;
}

// ------------------------------------------------------------------------------ matching

static bool is_word(const memdb__words_demand_t *demand, const memdb__demand_word_t *word,
                    const memdb__token_t *token) {
    const uint8_t *term = memdb__demand_bytes(demand, word->term);
    if (!word->prefix) {
        return token->size == word->term.size && memcmp(token->term, term, token->size) == 0;
    }
    return (token->size >= word->term.size && memcmp(token->term, term, word->term.size) == 0) ||
           (token->size == word->stem.size &&
            memcmp(token->term, memdb__demand_bytes(demand, word->stem), token->size) == 0);
}

// The token ends the phrase.
static bool step(const memdb__words_demand_t *demand, const memdb__demand_phrase_t *phrase,
                 const memdb__token_t *token) {
    memdb__demand_word_t *words = memdb__demand_words(demand) + phrase->first;
    for (uint32_t i = phrase->count; i-- > 0;) {
        words[i].reached = (i == 0 || words[i - 1].reached) && is_word(demand, &words[i], token);
    }
    return words[phrase->count - 1].reached;
}

static bool take_token(void *context, const memdb__token_t *token) {
    memdb__words_demand_t *demand = context;
    for (uint32_t c = 0; c < memdb__demand_clause_count(demand) && !token->pair; c++) {
        memdb__demand_clause_t *clause = &memdb__demand_clauses(demand)[c];
        const memdb__demand_phrase_t *phrases = memdb__demand_phrases(demand) + clause->first;
        for (uint32_t p = 0; p < clause->count && !clause->held; p++) {
            clause->held = step(demand, &phrases[p], token);
        }
        if (clause->held && clause->forbidden) {
            return false;
        }
    }
    return true;
}

static bool match(memdb__words_demand_t *demand, memdb_bytes_t text) {
    memdb__demand_word_t *words = memdb__demand_words(demand);
    for (uint32_t i = 0; i < memdb__demand_word_count(demand); i++) {
        words[i].reached = false;
    }
    return memdb__tokenize_each(demand->kind, (const uint8_t *)text.data, text.size, take_token,
                                demand);
}

memdb_status_t memdb__words_demand_meets(memdb__words_demand_t *demand, memdb_bytes_t text,
                                         memdb_bytes_t actor, bool *meets_out,
                                         memdb_error_t *error) {
    memdb__demand_clause_t *clauses = memdb__demand_clauses(demand);
    bool meets = true;
    for (uint32_t i = 0; i < memdb__demand_clause_count(demand); i++) {
        clauses[i].held = false;
    }
    if (!match(demand, text) || !match(demand, actor)) {
        return memdb__fail(error, MEMDB_NOMEM, "no memory to match a text of %zu bytes", text.size);
    }
    for (uint32_t i = 0; i < memdb__demand_clause_count(demand); i++) {
        meets = meets && clauses[i].held != clauses[i].forbidden;
    }
    *meets_out = meets;
    return MEMDB_OK;
}
