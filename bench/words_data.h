// Documents, questions and an exact answer for bench/words.c.
#ifndef MEMDB_BENCH_WORDS_DATA_H
#define MEMDB_BENCH_WORDS_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct words_line {
    const char *text;
    size_t size;
} words_line_t;

typedef struct words_lines {
    words_line_t *lines;
    size_t count;
    char *bytes;
    bool generated;
} words_lines_t;

/// From files under `folder` where they are there; else generated.
void words_load(const char *folder, size_t most_documents, size_t most_questions,
                words_lines_t *documents_out, words_lines_t *questions_out);
void words_lines_free(words_lines_t *lines);

/// An FTS5 expression of the question's words without stop words, joined by OR; empty when there
/// are none.
void words_match_expression(const words_line_t *question, char *match_out, size_t size);

/// BM25 of all documents in double precision, from bags and nothing else.
typedef struct words_exact words_exact_t;
words_exact_t *words_exact_create(const words_lines_t *documents);
void words_exact_destroy(words_exact_t *exact);
/// Score all documents; gives how many of the top `k` there are, and the score of the last of them.
size_t words_exact_ask(words_exact_t *exact, const words_line_t *question, size_t k,
                       double *worst_out);
double words_exact_score(const words_exact_t *exact, uint64_t document);

#endif
