// Whom bench/words.c asks beside the word index itself: SQLite's FTS5, and the library as a program
// uses it.
#ifndef MEMDB_BENCH_WORDS_PEERS_H
#define MEMDB_BENCH_WORDS_PEERS_H

#include "bench/words_data.h"

/// SQLite's FTS5 in memory: one table without content, the porter tokenizer.
typedef struct words_fts5 words_fts5_t;
words_fts5_t *words_fts5_build(const words_lines_t *documents, bool positions);
void words_fts5_close(words_fts5_t *fts5);
double words_fts5_seconds(const words_fts5_t *fts5); // of the build
/// All pages of the database, after it was optimised and vacuumed.
double words_fts5_bytes(const words_fts5_t *fts5);
const char *words_fts5_version(void);
/// A prepared statement, OR between the terms, ORDER BY rank LIMIT 10. raw: with stop words.
void words_fts5_ask(words_fts5_t *fts5, const words_line_t *question, bool raw);

/// A database with a memory for each document, checkpointed and opened again.
typedef struct words_library words_library_t;
words_library_t *words_library_build(const words_lines_t *documents);
void words_library_close(words_library_t *library);
/// A snapshot, recall by words, k = 10, and both given back; gives the number of hits.
size_t words_library_ask(words_library_t *library, const words_line_t *question);

void words_stop(const char *what, const char *why) __attribute__((noreturn));
double words_seconds(void);

#endif
