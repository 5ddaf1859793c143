// The model of the words tests: all versions of all documents, and BM25 of the live ones by a plain
// walk.
#ifndef MEMDB_TESTS_TEST_LEXICAL_MODEL_H
#define MEMDB_TESTS_TEST_LEXICAL_MODEL_H

#include "index/lexical/lexical_bag.h"
#include "tests/unit/index/test_lexical_fixture.h"

#include <math.h>

#define MODEL_WORDS 80

typedef struct model_document {
    memdb_space_t space;
    uint64_t id, version;
    uint64_t dead_from; // the version that replaced or removed it; UINT64_MAX: none yet
    memdb__buffer_t bag;
    uint16_t counts[MODEL_WORDS]; // of each word of the vocabulary
    uint32_t length;
} model_document_t;

typedef struct model {
    model_document_t *documents;
    size_t count, capacity;
    char words[MODEL_WORDS][16];
} model_t;

static inline void model_init(model_t *model) {
    memset(model, 0, sizeof *model);
    // Stems of themselves, with common beginnings for prefixes.
    static const char *const heads[] = {"ab", "bok", "dun", "gat"};
    for (int i = 0; i < MODEL_WORDS; i++) {
        snprintf(model->words[i], sizeof model->words[i], "%s%dx", heads[i % 4], i);
    }
}

static inline void model_deinit(model_t *model) {
    for (size_t i = 0; i < model->count; i++) {
        memdb__buffer_deinit(&model->documents[i].bag);
    }
    free(model->documents);
}

static inline bool model_sees(const model_document_t *document, uint64_t visible) {
    return document->version <= visible && document->dead_from > visible;
}

/// A new document of random words, some of them very often. The text is at least empty.
static inline model_document_t *model_add(model_t *model, memdb_space_t space, uint64_t id,
                                          uint64_t version, uint64_t *seed) {
    if (model->count == model->capacity) {
        model->capacity = model->capacity ? 2 * model->capacity : 1024;
        model->documents = realloc(model->documents, model->capacity * sizeof *model->documents);
    }
    model_document_t *document = &model->documents[model->count++];
    *document = (model_document_t){space, id, version, UINT64_MAX, {0}, {0}, 0};
    char text[4096];
    size_t size = 0, words = random_next(seed) % (random_next(seed) % 8 ? 14 : 60);
    for (size_t i = 0; i < words; i++) {
        double uniform = (double)(random_next(seed) % 1000000) / 1e6;
        int word = (int)(MODEL_WORDS * uniform * uniform * uniform);
        size_t times = random_next(seed) % 20 ? 1 : 1 + random_next(seed) % 12;
        for (; times && document->length < 250; times--) {
            size += (size_t)snprintf(text + size, sizeof text - size, "%s ", model->words[word]);
            document->counts[word]++;
            document->length++;
        }
    }
    memdb_error_t error;
    must(memdb__bag_encode(MEMDB_TOKENIZER_ENGLISH, text, size, NULL, 0, &document->bag, &error),
         &error);
    return document;
}

typedef struct model_score {
    uint64_t id, version;
    double score, coverage;
} model_score_t;

static inline int compare_model_scores(const void *a, const void *b) {
    const model_score_t *left = a, *right = b;
    if (left->score != right->score) {
        return left->score > right->score ? -1 : 1;
    }
    return (left->id > right->id) - (left->id < right->id);
}

/// Statistics and scores of the live documents of a space for a set of words. Returns how many
/// score above 0 and are accepted; `scores_out` has room for all documents.
static inline size_t model_ask(const model_t *model, memdb_space_t space, uint64_t visible,
                               const bool *asked, bool (*accept)(void *context, uint64_t id),
                               const memdb__words_parameters_t *parameters,
                               model_score_t *scores_out, uint64_t *documents_out,
                               uint64_t *tokens_out) {
    double df[MODEL_WORDS] = {0};
    uint64_t documents = 0, tokens = 0;
    for (size_t i = 0; i < model->count; i++) {
        const model_document_t *document = &model->documents[i];
        if (document->space == space && model_sees(document, visible)) {
            documents++;
            tokens += document->length;
            for (int w = 0; w < MODEL_WORDS; w++) {
                df[w] += document->counts[w] > 0;
            }
        }
    }
    size_t found = 0;
    double idf[MODEL_WORDS], whole = 0;
    double n = (double)documents, average = tokens ? (double)tokens / n : 1;
    for (int w = 0; w < MODEL_WORDS; w++) {
        idf[w] = pow(log(1 + (n - df[w] + 0.5) / (df[w] + 0.5)), parameters->rare);
        whole += asked[w] ? idf[w] : 0;
    }
    for (size_t i = 0; i < model->count; i++) {
        const model_document_t *document = &model->documents[i];
        if (document->space != space || !model_sees(document, visible) ||
            (accept && !accept(NULL, document->id))) {
            continue;
        }
        double score = 0, held = 0, k1 = parameters->k1, b = parameters->b;
        for (int w = 0; w < MODEL_WORDS; w++) {
            double tf = document->counts[w];
            if (asked[w] && tf > 0) {
                score +=
                    idf[w] * tf * (k1 + 1) / (tf + k1 * (1 - b + b * document->length / average));
                held += idf[w];
            }
        }
        if (score > 0) {
            score *= pow(held / whole, parameters->cover);
            scores_out[found++] =
                (model_score_t){document->id, document->version, score, held / whole};
        }
    }
    qsort(scores_out, found, sizeof *scores_out, compare_model_scores);
    *documents_out = documents;
    *tokens_out = tokens;
    return found;
}

#endif
