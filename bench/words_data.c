// Documents, questions and an exact answer for bench/words.c.
#include "bench/words_data.h"

#include "index/lexical/lexical_bag.h"
#include "index/lexical/lexical_token.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static char *read_file(const char *folder, const char *name, size_t *size_out) {
    char path[4352];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = folder[0] ? fopen(path, "rb") : NULL;
    if (!file) {
        return NULL;
    }
    fseek(file, 0, SEEK_END);
    *size_out = (size_t)ftell(file);
    rewind(file);
    char *bytes = malloc(*size_out + 1);
    *size_out = fread(bytes, 1, *size_out, file);
    fclose(file);
    return bytes;
}

static void add_line(words_lines_t *lines, const char *text, size_t size) {
    if ((lines->count & (lines->count - 1)) == 0) {
        size_t capacity = lines->count ? 2 * lines->count : 1;
        lines->lines = realloc(lines->lines, capacity * sizeof *lines->lines);
    }
    lines->lines[lines->count++] = (words_line_t){text, size};
}

// Lines of a text file, or the "text" fields of JSON lines (without escapes: lines with one are
// left out).
static bool load(const char *folder, const char *name, bool json, size_t most,
                 words_lines_t *lines) {
    size_t size;
    *lines = (words_lines_t){0};
    lines->bytes = read_file(folder, name, &size);
    if (!lines->bytes) {
        return false;
    }
    const char *end = lines->bytes + size;
    for (const char *at = lines->bytes; at < end && lines->count < most;) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop ? stop : end;
        if (!json) {
            add_line(lines, at, (size_t)(stop - at));
        } else {
            const char *text = memmem(at, (size_t)(stop - at), "\"text\": \"", 9);
            const char *close = text ? memchr(text + 9, '"', (size_t)(stop - text - 9)) : NULL;
            if (close && !memchr(text + 9, '\\', (size_t)(close - text - 9))) {
                add_line(lines, text + 9, (size_t)(close - text - 9));
            }
        }
        at = stop + 1;
    }
    return lines->count > 0;
}

static uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

// Words of a vocabulary of 50,000 whose frequencies fall about as those of a language do.
static void generate(size_t count, size_t least, size_t most, uint64_t seed, words_lines_t *lines) {
    static const char *const syllables[] = {"ba", "ke", "lo", "mi",  "nu", "ra", "se",  "ti",
                                            "vo", "wu", "za", "che", "do", "fi", "gra", "plo"};
    *lines = (words_lines_t){.generated = true};
    size_t room = count * most * 16 + 1, used = 0;
    lines->bytes = malloc(room);
    for (size_t i = 0; i < count; i++) {
        size_t words = least + next_random(&seed) % (most - least + 1), start = used;
        for (size_t w = 0; w < words; w++) {
            double uniform = (double)(next_random(&seed) >> 11) / 9007199254740992.0;
            uint64_t word = (uint64_t)exp(uniform * 10.8) + 15;
            for (; word; word >>= 4) {
                used +=
                    (size_t)snprintf(lines->bytes + used, room - used, "%s", syllables[word & 15]);
            }
            lines->bytes[used++] = ' ';
        }
        add_line(lines, lines->bytes + start, used - start);
    }
}

void words_load(const char *folder, size_t most_documents, size_t most_questions,
                words_lines_t *documents_out, words_lines_t *questions_out) {
    if (load(folder, "bench_minilm384/base.txt", false, most_documents, documents_out)) {
        if (load(folder, "locomo/queries.jsonl", true, most_questions, questions_out)) {
            return;
        }
        words_lines_free(documents_out);
    }
    generate(most_documents, 4, 16, 88172645463325252u, documents_out);
    generate(most_questions < 1000 ? most_questions : 1000, 2, 6, 362436069u, questions_out);
}

void words_lines_free(words_lines_t *lines) {
    free(lines->lines);
    free(lines->bytes);
}

typedef struct match {
    char *at;
    size_t left;
    bool any;
} match_t;

static bool add_match(void *context, const memdb__token_t *token) {
    match_t *match = context;
    if (memdb__is_stop_word(token->word, token->word_size) || match->left < token->word_size + 16) {
        return true;
    }
    int used = snprintf(match->at, match->left, "%s\"%.*s\"", match->any ? " OR " : "",
                        (int)token->word_size, (const char *)token->word);
    match->at += used;
    match->left -= (size_t)used;
    match->any = true;
    return true;
}

void words_match_expression(const words_line_t *question, char *match_out, size_t size) {
    match_t match = {match_out, size, false};
    match_out[0] = 0;
    memdb__tokenize_each(MEMDB_TOKENIZER_PLAIN, (const uint8_t *)question->text, question->size,
                         add_match, &match);
}

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

size_t words_exact_ask(words_exact_t *exact, const words_line_t *question, size_t k,
                       double *worst_out) {
    asked_terms_t asked = {0};
    double n = (double)exact->count, average = exact->tokens / n;
    memdb__tokenize_each(MEMDB_TOKENIZER_ENGLISH, (const uint8_t *)question->text, question->size,
                         add_asked, &asked);
    memset(exact->scores, 0, exact->count * sizeof *exact->scores);
    for (size_t t = 0; t < asked.count; t++) {
        if (asked.stop[t] && asked.content) {
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
