// SQLite's FTS5 for bench/words.c.
#include "bench/words_peers.h"
#include "index/lexical/lexical_token.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

struct words_fts5 {
    sqlite3 *db;
    sqlite3_stmt *select;
    double seconds, bytes;
};

static void run(sqlite3 *db, const char *text) {
    if (sqlite3_exec(db, text, NULL, NULL, NULL)) {
        words_stop(text, sqlite3_errmsg(db));
    }
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *text) {
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(db, text, -1, &statement, NULL)) {
        words_stop(text, sqlite3_errmsg(db));
    }
    return statement;
}

static double number(sqlite3 *db, const char *text) {
    sqlite3_stmt *statement = prepare(db, text);
    double value = sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_double(statement, 0) : 0;
    sqlite3_finalize(statement);
    return value;
}

static void insert_all(words_fts5_t *fts5, const words_lines_t *documents) {
    double start = words_seconds();
    run(fts5->db, "BEGIN");
    sqlite3_stmt *insert = prepare(fts5->db, "INSERT INTO t(rowid, x) VALUES(?, ?)");
    for (size_t i = 0; i < documents->count; i++) {
        sqlite3_bind_int64(insert, 1, (sqlite3_int64)i + 1);
        sqlite3_bind_text(insert, 2, documents->lines[i].text, (int)documents->lines[i].size,
                          SQLITE_STATIC);
        if (sqlite3_step(insert) != SQLITE_DONE) {
            words_stop("insert", sqlite3_errmsg(fts5->db));
        }
        sqlite3_reset(insert);
    }
    sqlite3_finalize(insert);
    run(fts5->db, "COMMIT");
    fts5->seconds = words_seconds() - start;
}

words_fts5_t *words_fts5_build(const words_lines_t *documents, bool positions) {
    words_fts5_t *fts5 = calloc(1, sizeof *fts5);
    if (sqlite3_open(":memory:", &fts5->db)) {
        words_stop("sqlite", "cannot open");
    }
    run(fts5->db,
        positions ? "CREATE VIRTUAL TABLE t USING fts5(x, content='', tokenize='porter unicode61')"
                  : "CREATE VIRTUAL TABLE t USING fts5(x, content='', tokenize='porter unicode61', "
                    "detail=none)");
    insert_all(fts5, documents);
    run(fts5->db, "INSERT INTO t(t) VALUES('optimize')");
    run(fts5->db, "VACUUM");
    fts5->bytes = number(fts5->db, "PRAGMA page_count") * number(fts5->db, "PRAGMA page_size");
    fts5->select = prepare(fts5->db, "SELECT rowid FROM t WHERE t MATCH ? ORDER BY rank LIMIT 10");
    return fts5;
}

void words_fts5_close(words_fts5_t *fts5) {
    sqlite3_finalize(fts5->select);
    sqlite3_close(fts5->db);
    free(fts5);
}

double words_fts5_seconds(const words_fts5_t *fts5) {
    return fts5->seconds;
}

double words_fts5_bytes(const words_fts5_t *fts5) {
    return fts5->bytes;
}

const char *words_fts5_version(void) {
    return sqlite3_libversion();
}

typedef struct match {
    char *at;
    size_t left;
    bool any, raw;
} match_t;

static bool add_match(void *context, const memdb__token_t *token) {
    match_t *match = context;
    if ((!match->raw && memdb__is_stop_word(token->word, token->word_size)) ||
        match->left < token->word_size + 16) {
        return true;
    }
    int used = snprintf(match->at, match->left, "%s\"%.*s\"", match->any ? " OR " : "",
                        (int)token->word_size, (const char *)token->word);
    match->at += used;
    match->left -= (size_t)used;
    match->any = true;
    return true;
}

void words_fts5_ask(words_fts5_t *fts5, const words_line_t *question, bool raw) {
    char expression[4096] = "";
    match_t match = {expression, sizeof expression, false, raw};
    memdb__tokenize_each(MEMDB_TOKENIZER_PLAIN, (const uint8_t *)question->text, question->size,
                         add_match, &match);
    if (!match.any) {
        return;
    }
    sqlite3_bind_text(fts5->select, 1, expression, -1, SQLITE_TRANSIENT);
    while (sqlite3_step(fts5->select) == SQLITE_ROW) {
        (void)sqlite3_column_int64(fts5->select, 0);
    }
    sqlite3_reset(fts5->select);
}
