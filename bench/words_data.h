// Sets of documents and questions, and exact answers, for bench/words.c.
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
    char *bytes; // what the lines point into
} words_lines_t;

typedef struct words_set {
    const char *documents_are, *questions_are;
    words_lines_t documents, questions;
} words_set_t;

/// Load a set from files under `folder` (shared/data of README.md): 'A' short sentences and
/// questions about dialogues, 'B' passages and scientific claims, 'C' documents of two or three of
/// A's sentences, with A's questions, 'G' generated ones, which need no folder. At most so many of
/// each. Questions come in a fixed random order, so that the first ones are a fair sample. False:
/// not there.
bool words_set_load(char name, const char *folder, size_t most_documents, size_t most_questions,
                    words_set_t *set_out);
void words_set_free(words_set_t *set);

/// BM25 of all documents in double precision, from bags and nothing else.
typedef struct words_exact words_exact_t;
words_exact_t *words_exact_create(const words_lines_t *documents);
void words_exact_destroy(words_exact_t *exact);
/// Score all documents; gives how many of the top `k` there are, and the score of the last of them.
/// raw: stop words count.
size_t words_exact_ask(words_exact_t *exact, const words_line_t *question, bool raw, size_t k,
                       double *worst_out);
double words_exact_score(const words_exact_t *exact, uint64_t document);

#endif
