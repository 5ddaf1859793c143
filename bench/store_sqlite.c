// SQLite behind the benchmarks' interface: WAL, one connection a thread, BEGIN IMMEDIATE.
#include "bench/stores.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

typedef struct store {
    char path[1024];
    store_options_t options;
    sqlite3 *first; // keeps the WAL index mapped, and knows of creation
} store_t;

typedef struct session {
    sqlite3 *db;
    sqlite3_stmt *begin, *put, *commit, *get;
} session_t;

static void check(sqlite3 *db, int result, int wanted) {
    if (result != wanted)
        bench_stop("sqlite", sqlite3_errmsg(db));
}

static sqlite3 *connect_to(const store_t *store) {
    static const char *const synchronous[STORE_LEVELS] = {
        "PRAGMA synchronous=FULL", "PRAGMA synchronous=NORMAL", "PRAGMA synchronous=OFF"};
    sqlite3 *db;
    check(NULL, sqlite3_open(store->path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 60000);
    check(db, sqlite3_exec(db, "PRAGMA journal_mode=WAL", NULL, NULL, NULL), SQLITE_OK);
    check(db, sqlite3_exec(db, synchronous[store->options.level], NULL, NULL, NULL), SQLITE_OK);
    if (store->options.keep_log)
        sqlite3_wal_autocheckpoint(db, 0);
    return db;
}

static void *open_store(const char *path, const store_options_t *options) {
    store_t *store = bench_allocate(sizeof *store);
    snprintf(store->path, sizeof store->path, "%s/records.db", path);
    store->options = *options;
    store->first = connect_to(store);
    check(store->first,
          sqlite3_exec(store->first,
                       "CREATE TABLE IF NOT EXISTS records(key TEXT PRIMARY KEY, text TEXT) "
                       "WITHOUT ROWID",
                       NULL, NULL, NULL),
          SQLITE_OK);
    return store;
}

static void close_store(void *context) {
    store_t *store = context;
    check(store->first, sqlite3_close(store->first), SQLITE_OK);
    free(store);
}

static void *begin(void *context) {
    session_t *session = bench_allocate(sizeof *session);
    session->db = connect_to(context);
    const struct {
        const char *text;
        sqlite3_stmt **statement;
    } texts[] = {{"BEGIN IMMEDIATE", &session->begin},
                 {"INSERT OR REPLACE INTO records VALUES(?,?)", &session->put},
                 {"COMMIT", &session->commit},
                 {"SELECT text FROM records WHERE key=?", &session->get}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        check(session->db,
              sqlite3_prepare_v2(session->db, texts[i].text, -1, texts[i].statement, NULL),
              SQLITE_OK);
    return session;
}

static void end(void *context) {
    session_t *session = context;
    sqlite3_finalize(session->begin);
    sqlite3_finalize(session->put);
    sqlite3_finalize(session->commit);
    sqlite3_finalize(session->get);
    check(session->db, sqlite3_close(session->db), SQLITE_OK);
    free(session);
}

static void step(session_t *session, sqlite3_stmt *statement) {
    check(session->db, sqlite3_step(statement), SQLITE_DONE);
    sqlite3_reset(statement);
}

static void put(void *context, uint64_t first, uint32_t count) {
    session_t *session = context;
    char key[BENCH_KEY_BYTES + 1];
    step(session, session->begin);
    for (uint32_t i = 0; i < count; i++) {
        bench_key(first + i, key);
        sqlite3_bind_text(session->put, 1, key, BENCH_KEY_BYTES, SQLITE_STATIC);
        sqlite3_bind_text(session->put, 2, bench_text(first + i), BENCH_TEXT_BYTES, SQLITE_STATIC);
        step(session, session->put);
    }
    step(session, session->commit);
}

static bool get(void *context, uint64_t number) {
    session_t *session = context;
    char key[BENCH_KEY_BYTES + 1];
    bench_key(number, key);
    sqlite3_bind_text(session->get, 1, key, BENCH_KEY_BYTES, SQLITE_STATIC);
    int result = sqlite3_step(session->get);
    bool fine = result == SQLITE_ROW && sqlite3_column_bytes(session->get, 0) == BENCH_TEXT_BYTES;
    if (result != SQLITE_ROW)
        check(session->db, result, SQLITE_DONE);
    sqlite3_reset(session->get);
    return fine;
}

static uint64_t log_bytes(void *context) {
    store_t *store = context;
    char path[1040];
    struct stat file;
    snprintf(path, sizeof path, "%s-wal", store->path);
    return stat(path, &file) ? 0 : (uint64_t)file.st_size;
}

const store_api_t store_sqlite = {
    .name = "SQLite",
    .settings = {"WAL, synchronous=FULL, BEGIN IMMEDIATE, a connection a thread",
                 "WAL, synchronous=NORMAL, BEGIN IMMEDIATE, a connection a thread",
                 "WAL, synchronous=OFF, BEGIN IMMEDIATE, a connection a thread"},
    .version = sqlite3_libversion,
    .open = open_store,
    .close = close_store,
    .begin = begin,
    .end = end,
    .put = put,
    .get = get,
    .log_bytes = log_bytes,
};
