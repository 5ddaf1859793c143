// Filters over many memories, beside SQLite's expressions and json_extract over the same rows.
//
// The same rows stand in a checkpointed database and in a table of SQLite in memory: a kind, a
// time, a text of 100 bytes, attributes of about 190. Each filter is asked by a list, which walks
// all memories in order of time and shows what passes, and by SELECT count(*) with a full scan;
// both must find the same number. Printed: nanoseconds a memory, best of the rounds, and their
// ratio. `id = 0` is what the walk costs without a test that matters. Then one attribute of each
// memory is looked for by the scanner that filters use, and by parsing the attributes with Jansson,
// as a put does. One thread.
//
// usage: filters [--memories N] [--rounds N] [--at FOLDER]
#include "base/json.h"
#include "base/json_scan.h"
#include "bench/common.h"
#include "include/memdb.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct question {
    const char *filter, *sql;
} question_t;

static const question_t questions[] = {
    {"id = 0", "id = 0 + 0 * length(kind)"},
    {"kind = 'fact' and tokens < 10", "kind = 'fact' and tokens < 10"},
    {"time between time 1000 and time 1100", "time between 1000 and 1100"},
    {"text contains 'zebra'", "instr(text, 'zebra') > 0"},
    {"attr.user = 'u7'", "json_extract(attrs, '$.user') = 'u7'"},
    {"attr.place.city in ('c1', 'c2')", "json_extract(attrs, '$.place.city') in ('c1', 'c2')"},
    {"attr.n >= 990 and attr.user != 'u1'",
     "json_extract(attrs, '$.n') >= 990 and json_extract(attrs, '$.user') != 'u1'"},
    {"attr.tags contains 't3'",
     "exists (select 1 from json_each(m.attrs, '$.tags') where value = 't3')"},
};

typedef struct row {
    char kind[8], text[128], attrs[256];
    int64_t time, tokens;
} row_t;

static void make_row(uint64_t number, row_t *row) {
    uint64_t mixed = bench_mix(number);
    snprintf(row->kind, sizeof row->kind, "%s", mixed % 3 ? "note" : "fact");
    snprintf(row->text, sizeof row->text, "%.90s %s", bench_text(number),
             mixed % 500 == 0 ? "zebra" : "horse");
    snprintf(
        row->attrs, sizeof row->attrs,
        "{\"user\": \"u%u\", \"place\": {\"city\": \"c%u\", \"country\": \"Portugal\"}, \"tags\": "
        "[\"red\", \"t%u\"], \"score\": 0.%u, \"note\": \"what was said there, in passing\", "
        "\"n\": %u, \"done\": %s}",
        (unsigned)(mixed >> 8) % 100, (unsigned)(mixed >> 16) % 300, (unsigned)(mixed >> 24) % 50,
        (unsigned)(mixed >> 32) % 1000, (unsigned)(mixed >> 40) % 1000,
        mixed % 2 ? "true" : "false");
    row->time = (int64_t)number + 1;
    row->tokens = (int64_t)((mixed >> 12) % 100);
}

static memdb_bytes_t bytes(const char *text) {
    return (memdb_bytes_t){text, strlen(text)};
}

// ------------------------------------------------------------------------------ memdb

static void check(memdb_t *db, const char *what, memdb_status_t status) {
    char message[512] = "";
    if (status) {
        if (db)
            memdb_last_error(db, message, sizeof message);
        bench_stop(what, message[0] ? message : memdb_status_name(status));
    }
}

static memdb_space_t fill_memdb(memdb_t *db, uint64_t memories) {
    memdb_txn_t *txn = NULL;
    memdb_space_t space;
    memdb_space_options_t options = {.size = sizeof options, .tokenizer = MEMDB_TOKENIZER_NONE};
    check(db, "begin", memdb_txn_begin(db, &txn));
    check(db, "space", memdb_space_create(txn, bytes("main"), &options, &space));
    for (uint64_t i = 0; i < memories; i++) {
        row_t row;
        make_row(i, &row);
        memdb_memory_t memory = {.size = sizeof memory,
                                 .fields = MEMDB_FIELD_KIND | MEMDB_FIELD_TEXT | MEMDB_FIELD_ATTRS |
                                           MEMDB_FIELD_TIME | MEMDB_FIELD_TOKENS,
                                 .kind = bytes(row.kind),
                                 .text = bytes(row.text),
                                 .attrs = bytes(row.attrs),
                                 .time = row.time,
                                 .tokens = (uint32_t)row.tokens};
        check(db, "put", memdb_put(txn, space, &memory, NULL));
        if (i % 1000 == 999) {
            check(db, "commit", memdb_txn_commit(txn, MEMDB_DURABILITY_OS, NULL));
            check(db, "begin", memdb_txn_begin(db, &txn));
        }
    }
    check(db, "commit", memdb_txn_commit(txn, MEMDB_DURABILITY_OS, NULL));
    check(db, "checkpoint", memdb_checkpoint(db));
    return space;
}

static uint64_t ask_memdb(memdb_t *db, memdb_space_t space, const char *text) {
    memdb_filter_t *filter;
    memdb_snapshot_t *snapshot;
    memdb_cursor_t *cursor;
    memdb_error_t error;
    memdb_memory_t memory = {.size = sizeof memory};
    uint64_t count = 0;
    if (memdb_filter_parse(bytes(text), NULL, 0, &filter, &error))
        bench_stop(text, error.message);
    check(db, "snapshot", memdb_snapshot_begin(db, NULL, &snapshot));
    memdb_cursor_options_t options = {.size = sizeof options, .filter = filter};
    check(db, "list", memdb_cursor_open(snapshot, space, &options, &cursor));
    while (memdb_cursor_next(cursor, &memory) == MEMDB_OK)
        count++;
    memdb_cursor_close(cursor);
    memdb_snapshot_end(snapshot);
    memdb_filter_free(filter);
    return count;
}

// ------------------------------------------------------------------------------ SQLite

static sqlite3_stmt *prepare(sqlite3 *db, const char *text) {
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(db, text, -1, &statement, NULL))
        bench_stop(text, sqlite3_errmsg(db));
    return statement;
}

static sqlite3 *fill_sqlite(uint64_t memories) {
    sqlite3 *db;
    if (sqlite3_open(":memory:", &db) ||
        sqlite3_exec(db,
                     "CREATE TABLE m (id INTEGER PRIMARY KEY, kind TEXT, text TEXT, attrs TEXT, "
                     "time INTEGER, tokens INTEGER); BEGIN",
                     NULL, NULL, NULL))
        bench_stop("sqlite", sqlite3_errmsg(db));
    sqlite3_stmt *insert = prepare(db, "INSERT INTO m VALUES (NULL, ?, ?, ?, ?, ?)");
    for (uint64_t i = 0; i < memories; i++) {
        row_t row;
        make_row(i, &row);
        sqlite3_bind_text(insert, 1, row.kind, -1, SQLITE_STATIC);
        sqlite3_bind_text(insert, 2, row.text, -1, SQLITE_STATIC);
        sqlite3_bind_text(insert, 3, row.attrs, -1, SQLITE_STATIC);
        sqlite3_bind_int64(insert, 4, row.time);
        sqlite3_bind_int64(insert, 5, row.tokens);
        if (sqlite3_step(insert) != SQLITE_DONE)
            bench_stop("insert", sqlite3_errmsg(db));
        sqlite3_reset(insert);
    }
    sqlite3_finalize(insert);
    sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    return db;
}

static uint64_t ask_sqlite(sqlite3 *db, const char *condition) {
    char text[512];
    snprintf(text, sizeof text, "SELECT count(*) FROM m WHERE %s", condition);
    sqlite3_stmt *select = prepare(db, text);
    if (sqlite3_step(select) != SQLITE_ROW)
        bench_stop(text, sqlite3_errmsg(db));
    uint64_t count = (uint64_t)sqlite3_column_int64(select, 0);
    sqlite3_finalize(select);
    return count;
}

// ------------------------------------------------------------------------------ one attribute

static void compare_readers(uint64_t memories, uint32_t rounds) {
    static const memdb_bytes_t path[] = {{"n", 1}};
    row_t *rows = bench_allocate(memories * sizeof *rows);
    double scanned = 0, parsed = 0;
    uint64_t found = 0;
    for (uint64_t i = 0; i < memories; i++)
        make_row(i, &rows[i]);
    for (uint32_t round = 0; round < rounds; round++) {
        double began = bench_seconds();
        for (uint64_t i = 0; i < memories; i++) {
            memdb__json_t value;
            found += memdb__json_find(bytes(rows[i].attrs), path, 1, &value);
        }
        double middle = bench_seconds();
        for (uint64_t i = 0; i < memories; i++) {
            memdb_error_t error;
            found +=
                memdb__json_is_object(rows[i].attrs, strlen(rows[i].attrs), &error) == MEMDB_OK;
        }
        double ended = bench_seconds();
        scanned = round && scanned < middle - began ? scanned : middle - began;
        parsed = round && parsed < ended - middle ? parsed : ended - middle;
    }
    if (found != 2 * memories * rounds)
        bench_stop("attributes", "not all were found");
    printf("\none attribute of %.0f bytes of JSON: scanner %.0f ns, parsed by Jansson %.0f ns, "
           "ratio %.1f\n",
           (double)strlen(rows[0].attrs), 1e9 * scanned / (double)memories,
           1e9 * parsed / (double)memories, parsed / scanned);
    free(rows);
}

static void compare(memdb_t *db, memdb_space_t space, sqlite3 *peer, const question_t *question,
                    uint64_t memories, uint32_t rounds) {
    double own = 0, other = 0;
    uint64_t count = 0;
    for (uint32_t round = 0; round < rounds; round++) {
        double began = bench_seconds();
        count = ask_memdb(db, space, question->filter);
        double middle = bench_seconds();
        uint64_t wanted = ask_sqlite(peer, question->sql);
        double ended = bench_seconds();
        if (count != wanted)
            bench_stop(question->filter, "the two found different numbers");
        own = round && own < middle - began ? own : middle - began;
        other = round && other < ended - middle ? other : ended - middle;
    }
    printf("%-40s %8llu %8.0f %8.0f %8.2f\n", question->filter, (unsigned long long)count,
           1e9 * own / (double)memories, 1e9 * other / (double)memories, other / own);
}

int main(int argc, char **argv) {
    uint64_t memories = 100000;
    uint32_t rounds = 7;
    const char *at = NULL;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--memories"))
            memories = strtoull(argv[i + 1], NULL, 10);
        else if (!strcmp(argv[i], "--rounds"))
            rounds = (uint32_t)strtoul(argv[i + 1], NULL, 10);
        else if (!strcmp(argv[i], "--at"))
            at = argv[i + 1];
        else
            bench_stop("there is no option", argv[i]);
    }
    if (argc % 2 == 0 || !memories || !rounds)
        bench_stop("usage", "filters [--memories N] [--rounds N] [--at FOLDER]");
    char path[512];
    bench_folder_make(bench_at(at), "filters", path, sizeof path);
    memdb_options_t options = {.size = sizeof options, .flags = MEMDB_OPEN_CREATE};
    memdb_error_t error;
    memdb_t *db;
    if (memdb_open(path, &options, &db, &error))
        bench_stop("open", error.message);
    memdb_space_t space = fill_memdb(db, memories);
    sqlite3 *peer = fill_sqlite(memories);
    bench_describe("filters");
    printf("%llu memories, one thread; memdb lists from a checkpointed database, SQLite %s scans a "
           "table in memory\n\n%-40s %8s %8s %8s %8s\n",
           (unsigned long long)memories, sqlite3_libversion(), "nanoseconds a memory", "pass",
           "memdb", "SQLite", "ratio");
    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++)
        compare(db, space, peer, &questions[i], memories, rounds);
    compare_readers(memories, rounds);
    sqlite3_close(peer);
    memdb_close(db);
    bench_folder_remove(path);
    return 0;
}
