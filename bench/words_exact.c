// BM25 over all documents in double precision: what the answers of bench/words.c are compared with.
#include "bench/words_data.h"
#include "index/lexical/lexical_bag.h"
#include "index/lexical/lexical_token.h"

#include <math.h>
#include <stdlib.h>

struct words_exact {
    memdb__buffer_t bags;
    size_t *offsets;
    size_t count;
    double tokens;
    double *scores, *sorted;
};

words_exact_t *words_exact_create(const words_lines_t *documents) {
    words_exact_t *exact = calloc(1, sizeof *exact);
    exact->count = documents->count;
    exact->offsets = malloc((documents->count + 1) * sizeof *exact->offsets);
    exact->scores = malloc(documents->count * sizeof *exact->scores);
    exact->sorted = malloc(documents->count * sizeof *exact->sorted);
    for (size_t i = 0; i < documents->count; i++) {
        memdb__bag_t bag;
        exact->offsets[i] = exact->bags.size;
        memdb__bag_encode(MEMDB_TOKENIZER_ENGLISH, documents->lines[i].text,
                          documents->lines[i].size, NULL, 0, &exact->bags, NULL);
        memdb__bag_open(&bag, exact->bags.data + exact->offsets[i],
                        exact->bags.size - exact->offsets[i]);
        exact->tokens += bag.tokens;
    }
    exact->offsets[documents->count] = exact->bags.size;
    return exact;
}

void words_exact_destroy(words_exact_t *exact) {
    memdb__buffer_deinit(&exact->bags);
    free(exact->offsets);
    free(exact->scores);
    free(exact->sorted);
    free(exact);
}

static uint32_t tf_in(const words_exact_t *exact, size_t document, const char *term, size_t size,
                      uint32_t *length_out) {
    memdb__bag_t bag;
    memdb__bag_open(&bag, exact->bags.data + exact->offsets[document],
                    exact->offsets[document + 1] - exact->offsets[document]);
    *length_out = bag.tokens;
    while (memdb__bag_next(&bag)) {
        if (bag.size == size && memcmp(bag.term, term, size) == 0) {
            return bag.tf;
        }
    }
    return 0;
}

typedef struct asked_terms {
    char terms[64][MEMDB__MAX_TERM_BYTES];
    size_t sizes[64], count;
    bool stop[64], content;
} asked_terms_t;

static bool add_asked(void *context, const memdb__token_t *token) {
    asked_terms_t *asked = context;
    for (size_t i = 0; i < asked->count; i++) {
        if (asked->sizes[i] == token->size && !memcmp(asked->terms[i], token->term, token->size)) {
            return true;
        }
    }
    bool stop = memdb__is_stop_word(token->word, token->word_size);
    memcpy(asked->terms[asked->count], token->term, token->size);
    asked->sizes[asked->count] = token->size;
    asked->stop[asked->count] = stop;
    asked->content = asked->content || !stop;
    return ++asked->count < 64;
}

static int falling(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left < right) - (left > right);
}

size_t words_exact_ask(words_exact_t *exact, const words_line_t *question, bool raw, size_t k,
                       double *worst_out) {
    asked_terms_t asked = {0};
    double n = (double)exact->count, average = exact->tokens / n;
    memdb__tokenize_each(MEMDB_TOKENIZER_ENGLISH, (const uint8_t *)question->text, question->size,
                         add_asked, &asked);
    memset(exact->scores, 0, exact->count * sizeof *exact->scores);
    for (size_t t = 0; t < asked.count; t++) {
        if (!raw && asked.stop[t] && asked.content) {
            continue;
        }
        double df = 0;
        uint32_t length;
        for (size_t i = 0; i < exact->count; i++) {
            exact->sorted[i] = tf_in(exact, i, asked.terms[t], asked.sizes[t], &length);
            df += exact->sorted[i] > 0;
        }
        for (size_t i = 0; i < exact->count && df > 0; i++) {
            double tf = exact->sorted[i];
            if (tf > 0) {
                tf_in(exact, i, asked.terms[t], asked.sizes[t], &length);
                exact->scores[i] += log(1 + (n - df + 0.5) / (df + 0.5)) * tf * 2.2 /
                                    (tf + 1.2 * (0.25 + 0.75 * length / average));
            }
        }
    }
    memcpy(exact->sorted, exact->scores, exact->count * sizeof *exact->sorted);
    qsort(exact->sorted, exact->count, sizeof *exact->sorted, falling);
    size_t found = 0;
    while (found < k && found < exact->count && exact->sorted[found] > 0) {
        found++;
    }
    *worst_out = found ? exact->sorted[found - 1] : 0;
    return found;
}

double words_exact_score(const words_exact_t *exact, uint64_t document) {
    return exact->scores[document];
}
