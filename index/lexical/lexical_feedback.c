// Feedback: the words that good documents have in common.
//
// What a question means is said more fully by the documents that answer it, so their words are
// looked for too (relevance feedback after Rocchio, 1971, without a judge: the best documents of a
// first ranking are taken for good; the shares are those of Lavrenko and Croft's relevance model,
// 2001). A word's weight is the sum of the documents' shares, each times the saturated count of
// BM25: a word that all of them are full of counts nearly as much as one of the question, one that
// a single document has counts little. So the weights need no factor of their own, and where the
// documents have nothing in common, as short ones often do, feedback keeps quiet by itself.
#include "index/lexical/lexical_search.h"
#include "index/lexical/lexical_token.h"

#include <stdlib.h>

/// A term of one document, then of all.
typedef struct shared_term {
    memdb__query_slice_t term;
    double weight, worth; // worth: weight * idf
} shared_term_t;

typedef struct feedback {
    memdb__words_query_t *query; // being made; its bytes hold the terms
    memdb__buffer_t terms;       // shared_term_t
    memdb__bm25_t bm25;
    uint32_t length; // of the document in hand, in tokens
} feedback_t;

/// The part of a text that counts, cut behind a character.
static size_t part_of(memdb_bytes_t text) {
    size_t size = text.size;
    if (size > MEMDB__WORDS_FEEDBACK_BYTES) {
        size = MEMDB__WORDS_FEEDBACK_BYTES;
        while (size > 0 && ((uint8_t)text.data[size] & 0xC0) == 0x80) {
            size--;
        }
    }
    return size;
}

static int compare_terms(const void *a, const void *b, void *bytes) {
    const shared_term_t *left = a, *right = b;
    const uint8_t *base = bytes;
    return memdb__compare(base + left->term.offset, left->term.size, base + right->term.offset,
                          right->term.size);
}

static int compare_worth(const void *a, const void *b, void *bytes) {
    const shared_term_t *left = a, *right = b;
    if (left->worth != right->worth) {
        return left->worth > right->worth ? -1 : 1;
    }
    return compare_terms(a, b, bytes);
}

static bool asks(const memdb__words_query_t *question, const uint8_t *bytes, size_t size) {
    const memdb__query_word_t *words = MEMDB__ITEMS_OF(question->words, memdb__query_word_t);
    size_t count = MEMDB__COUNT_OF(question->words, memdb__query_word_t);
    for (size_t i = 0; i < count; i++) {
        if (memdb__compare(question->bytes.data + words[i].term.offset, words[i].term.size, bytes,
                           size) == 0) {
            return true;
        }
    }
    return false;
}

/// Bring equal terms together, from number `first` on; their weights add up.
static size_t unite(feedback_t *feedback, size_t first) {
    shared_term_t *terms = MEMDB__ITEMS_OF(feedback->terms, shared_term_t) + first;
    size_t count = MEMDB__COUNT_OF(feedback->terms, shared_term_t) - first, kept = 0;
    uint8_t *bytes = feedback->query->bytes.data;
    if (count) {
        qsort_r(terms, count, sizeof *terms, compare_terms, bytes);
    }
    for (size_t i = 0; i < count; i++) {
        if (kept && compare_terms(&terms[kept - 1], &terms[i], bytes) == 0) {
            terms[kept - 1].weight += terms[i].weight;
        } else {
            terms[kept++] = terms[i];
        }
    }
    feedback->terms.size = (first + kept) * sizeof *terms;
    return kept;
}

/// Leave out the words of the question.
static size_t drop_asked(feedback_t *feedback, const memdb__words_query_t *question) {
    shared_term_t *terms = MEMDB__ITEMS_OF(feedback->terms, shared_term_t);
    size_t count = unite(feedback, 0), kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (!asks(question, feedback->query->bytes.data + terms[i].term.offset,
                  terms[i].term.size)) {
            terms[kept++] = terms[i];
        }
    }
    return kept;
}

static bool take_token(void *context, const memdb__token_t *token) {
    feedback_t *feedback = context;
    memdb__buffer_t *bytes = &feedback->query->bytes;
    feedback->length++;
    if (token->dense || !memdb__is_stop_word(token->word, token->word_size)) {
        shared_term_t term = {{(uint32_t)bytes->size, (uint32_t)token->size}, 1, 0};
        memdb__buffer_append(bytes, token->term, token->size);
        memdb__buffer_append(&feedback->terms, &term, sizeof term);
    }
    return !bytes->failed && !feedback->terms.failed;
}

static memdb_status_t add_document(feedback_t *feedback, const memdb__words_example_t *document,
                                   memdb_error_t *error) {
    memdb_tokenizer_kind_t kind = feedback->query->kind;
    size_t first = MEMDB__COUNT_OF(feedback->terms, shared_term_t);
    feedback->length = 0;
    if (!memdb__tokenize_each(kind, (const uint8_t *)document->text.data, part_of(document->text),
                              take_token, feedback) ||
        !memdb__tokenize_each(kind, (const uint8_t *)document->actor.data, document->actor.size,
                              take_token, feedback) ||
        feedback->query->bytes.failed || feedback->terms.failed) {
        return memdb__fail(error, MEMDB_NOMEM, "no memory for the words of the best hits");
    }
    size_t count = unite(feedback, first);
    shared_term_t *terms = MEMDB__ITEMS_OF(feedback->terms, shared_term_t) + first;
    double norm = feedback->bm25.a + feedback->bm25.b * feedback->length;
    for (size_t i = 0; i < count; i++) { // from how often it occurs to what that is worth
        terms[i].weight = document->share * terms[i].weight / (terms[i].weight + norm);
    }
    return MEMDB_OK;
}

static bool make_words(memdb__words_query_t *query, const shared_term_t *terms, size_t count) {
    memdb__buffer_clear(&query->words);
    for (size_t i = 0; i < count; i++) {
        memdb__query_word_t word = {.term = terms[i].term, .weight = terms[i].weight};
        memdb__buffer_append(&query->words, &word, sizeof word);
    }
    return !query->words.failed;
}

/// The idf of all words of the question, whether a document holds them or not.
static memdb_status_t worth_of(memdb__words_query_t *question, const memdb__words_search_t *asked,
                               double *worth_out, memdb_error_t *error) {
    memdb__search_t search = {.query = question, .asked = asked};
    memdb_status_t status = memdb__search_resolve(&search, error);
    *worth_out = search.whole;
    return status;
}

/// What was found is not to drown what was asked: all words together are worth at most as much as
/// the question.
static void bound(shared_term_t *terms, size_t count, double worth) {
    double whole = 0;
    for (size_t i = 0; i < count; i++) {
        whole += terms[i].worth;
    }
    for (size_t i = 0; i < count && whole > worth; i++) {
        terms[i].weight *= worth / whole;
    }
}

/// Keep the terms that are worth most, in order of their bytes.
static memdb_status_t choose(feedback_t *feedback, const memdb__words_search_t *asked, size_t count,
                             size_t most, double worth, memdb_error_t *error) {
    memdb__words_query_t *query = feedback->query;
    memdb__search_t search = {.query = query, .asked = asked};
    shared_term_t *terms = MEMDB__ITEMS_OF(feedback->terms, shared_term_t);
    if (!make_words(query, terms, count)) {
        return memdb__fail(error, MEMDB_NOMEM, "no memory for the words of the best hits");
    }
    memdb_status_t status = memdb__search_resolve(&search, error);
    if (status) {
        return status;
    }
    for (size_t i = 0; i < count; i++) {
        terms[i].worth = search.terms[i].idf; // times the weight already
    }
    qsort_r(terms, count, sizeof *terms, compare_worth, query->bytes.data);
    count = count < most ? count : most;
    bound(terms, count, worth);
    qsort_r(terms, count, sizeof *terms, compare_terms, query->bytes.data);
    make_words(query, terms, count); // fewer than before: there is room
    return MEMDB_OK;
}

static memdb_status_t make(feedback_t *feedback, memdb__words_query_t *question,
                           const memdb__words_search_t *asked,
                           const memdb__words_example_t *documents, size_t document_count,
                           size_t most, memdb_error_t *error) {
    memdb__words_totals_t totals;
    memdb_status_t status = memdb__words_totals(asked, &totals, error);
    if (status) {
        return status;
    }
    memdb__bm25_init(&feedback->bm25, asked->parameters, (int64_t)totals.documents,
                     (int64_t)totals.tokens);
    feedback->query->kind = question->kind;
    for (size_t i = 0; i < document_count && !status; i++) {
        status = add_document(feedback, &documents[i], error);
    }
    size_t count = status ? 0 : drop_asked(feedback, question);
    if (count) {
        double worth;
        status = worth_of(question, asked, &worth, error);
        status = status ? status : choose(feedback, asked, count, most, worth, error);
    }
    return status;
}

memdb_status_t memdb__words_feedback(memdb__words_query_t *question,
                                     const memdb__words_search_t *asked,
                                     const memdb__words_example_t *documents, size_t document_count,
                                     size_t most, memdb__words_query_t **query_out,
                                     memdb_error_t *error) {
    feedback_t feedback = {.query = memdb__allocate_zeroed(1, sizeof *feedback.query)};
    if (!feedback.query) {
        return memdb__fail(error, MEMDB_NOMEM, "no memory for the words of the best hits");
    }
    memdb_status_t status =
        make(&feedback, question, asked, documents, document_count, most, error);
    memdb__buffer_deinit(&feedback.terms);
    if (status) {
        memdb__words_query_destroy(feedback.query);
        return status;
    }
    *query_out = feedback.query;
    return MEMDB_OK;
}
