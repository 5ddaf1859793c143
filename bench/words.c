// Words: top-10 questions over short documents, memdb's word index beside SQLite's FTS5, in one
// process and one run.
//
// Both sides get the same documents and the same questions, one thread, warm. FTS5 has the porter
// tokenizer, one table without content, a prepared statement, OR between the terms, stop words out
// of the query, ORDER BY rank LIMIT 10. memdb's side counts everything from the text of the
// question to the ten hits: tokenising, search, exact scores. The answers are compared with BM25
// computed over all documents in double precision.
//
// usage: words [--documents N] [--questions N] [--data FOLDER]
// FOLDER (or the environment variable MEMDB_SHARED, with /data) may hold bench_minilm384/base.txt
// and locomo/queries.jsonl; else sentences are generated.
#include "base/memory.h"
#include "bench/words_data.h"
#include "index/lexical/lexical.h"

#include <fcntl.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TOP 10

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void die(const char *what, const char *why) {
    fprintf(stderr, "words: %s: %s\n", what, why);
    exit(1);
}

static bool always(void *context, memdb_space_t space, uint64_t id, uint64_t version) {
    (void)context, (void)space, (void)id, (void)version;
    return true;
}

static bool always_space(void *context, memdb_space_t space) {
    (void)context, (void)space;
    return true;
}

typedef struct built {
    memdb__words_segment_t *segment;
    uint64_t bytes;
    double bag_seconds, list_seconds, write_seconds;
} built_t;

static memdb__words_list_t *build_list(const words_lines_t *documents, size_t from,
                                       built_t *built) {
    memdb_error_t error;
    memdb__buffer_t bag = {0};
    memdb__words_list_t *list = memdb__words_list_create();
    for (size_t i = from; i < documents->count && list; i++) {
        double start = seconds();
        memdb__buffer_clear(&bag);
        const words_line_t *line = &documents->lines[i];
        if (memdb__bag_encode(MEMDB_TOKENIZER_ENGLISH, line->text, line->size, NULL, 0, &bag,
                              &error)) {
            die("bag", error.message);
        }
        double middle = seconds();
        if (memdb__words_list_add(list, 1, i + 1, i + 1, bag.data, bag.size, &error)) {
            die("add", error.message);
        }
        built->bag_seconds += middle - start;
        built->list_seconds += seconds() - middle;
    }
    memdb__buffer_deinit(&bag);
    return list ? list : (die("list", "no memory"), NULL);
}

static built_t build(const words_lines_t *documents, int directory) {
    memdb_error_t error;
    built_t built = {0};
    memdb__segment_identity_t identity = {{1}, 1, MEMDB__SEGMENT_WORDS};
    memdb__words_source_t source = {.list = build_list(documents, 0, &built)};
    uint64_t checksum;
    double start = seconds();
    if (memdb__words_segment_write(directory, "words.seg", &identity, &source, 1, UINT64_MAX,
                                   always, always_space, NULL, &built.bytes, &checksum, &error) ||
        memdb__words_segment_open(directory, "words.seg", &identity, built.bytes, checksum,
                                  &built.segment, &error)) {
        die("segment", error.message);
    }
    built.write_seconds = seconds() - start;
    memdb__words_list_destroy(source.list);
    return built;
}

static size_t ask(const words_line_t *question, const memdb__words_source_t *sources,
                  size_t source_count, size_t k, memdb__words_hit_t *hits) {
    memdb_error_t error;
    memdb__words_query_t *query;
    memdb__words_search_t search = {.space = 1,
                                    .visible = UINT64_MAX,
                                    .sources = sources,
                                    .source_count = source_count,
                                    .live = always};
    size_t count = 0;
    if (memdb__words_query_create(MEMDB_TOKENIZER_ENGLISH, question->text, question->size, &query,
                                  &error) ||
        memdb__words_search(query, &search, hits, k, &count, &error)) {
        die("search", error.message);
    }
    memdb__words_query_destroy(query);
    return count;
}

static int compare_doubles(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

typedef struct timing {
    double rate, p50, p99;
} timing_t;

// Rate from whole rounds without a clock in between, for about a second; quantiles from a round of
// single times.
static timing_t measure(const words_lines_t *questions, double budget,
                        void (*run)(void *context, const words_line_t *question), void *context) {
    double *times = malloc(questions->count * sizeof *times);
    for (size_t i = 0; i < questions->count; i++) {
        double start = seconds();
        run(context, &questions->lines[i]);
        times[i] = seconds() - start;
    }
    size_t done = 0;
    double start = seconds(), end = start;
    while (end - start < budget) {
        for (size_t i = 0; i < questions->count && end - start < 4 * budget; i++, done++) {
            run(context, &questions->lines[i]);
            end = done % 64 == 0 ? seconds() : end;
        }
        end = seconds();
    }
    qsort(times, questions->count, sizeof *times, compare_doubles);
    timing_t timing = {(double)done / (end - start), 1e6 * times[questions->count / 2],
                       1e6 * times[questions->count * 99 / 100]};
    free(times);
    return timing;
}

typedef struct ours {
    memdb__words_source_t sources[2];
    size_t source_count, k;
} ours_t;

static void run_ours(void *context, const words_line_t *question) {
    const ours_t *ours = context;
    memdb__words_hit_t hits[1000];
    ask(question, ours->sources, ours->source_count, ours->k, hits);
}

static void sql(sqlite3 *db, const char *text) {
    if (sqlite3_exec(db, text, NULL, NULL, NULL)) {
        die(text, sqlite3_errmsg(db));
    }
}

static sqlite3 *build_fts5(const words_lines_t *documents, double *seconds_out, double *bytes_out) {
    sqlite3 *db;
    sqlite3_stmt *insert;
    if (sqlite3_open(":memory:", &db)) {
        die("sqlite", "cannot open");
    }
    sql(db, "CREATE VIRTUAL TABLE t USING fts5(x, content='', tokenize='porter unicode61')");
    double start = seconds();
    sql(db, "BEGIN");
    if (sqlite3_prepare_v2(db, "INSERT INTO t(rowid, x) VALUES(?, ?)", -1, &insert, NULL)) {
        die("sqlite", sqlite3_errmsg(db));
    }
    for (size_t i = 0; i < documents->count; i++) {
        sqlite3_bind_int64(insert, 1, (sqlite3_int64)i + 1);
        sqlite3_bind_text(insert, 2, documents->lines[i].text, (int)documents->lines[i].size,
                          SQLITE_STATIC);
        if (sqlite3_step(insert) != SQLITE_DONE) {
            die("insert", sqlite3_errmsg(db));
        }
        sqlite3_reset(insert);
    }
    sqlite3_finalize(insert);
    sql(db, "COMMIT");
    *seconds_out = seconds() - start;
    sql(db, "INSERT INTO t(t) VALUES('optimize')");
    sqlite3_stmt *pages;
    sqlite3_prepare_v2(db, "SELECT sum(length(block)) FROM t_data", -1, &pages, NULL);
    *bytes_out = sqlite3_step(pages) == SQLITE_ROW ? sqlite3_column_double(pages, 0) : 0;
    sqlite3_finalize(pages);
    return db;
}

static void run_fts5(void *context, const words_line_t *question) {
    sqlite3_stmt *select = context;
    char match[4096];
    words_match_expression(question, match, sizeof match);
    if (match[0] == 0) {
        return;
    }
    sqlite3_bind_text(select, 1, match, -1, SQLITE_TRANSIENT);
    while (sqlite3_step(select) == SQLITE_ROW) {
        (void)sqlite3_column_int64(select, 0);
    }
    sqlite3_reset(select);
}

// Share of the exact top 10 that the index gives, over a sample of the questions. Ties at the end
// count as agreement.
static double agreement(const words_lines_t *documents, const words_lines_t *questions,
                        const ours_t *ours) {
    words_exact_t *exact = words_exact_create(documents);
    double right = 0, all = 0;
    size_t step = questions->count / 200 + 1;
    for (size_t i = 0; i < questions->count; i += step) {
        memdb__words_hit_t hits[TOP];
        size_t count = ask(&questions->lines[i], ours->sources, ours->source_count, TOP, hits);
        double worst;
        size_t expected = words_exact_ask(exact, &questions->lines[i], TOP, &worst);
        all += (double)expected;
        for (size_t h = 0; h < count; h++) {
            double score = words_exact_score(exact, hits[h].id - 1);
            right += score >= worst - 1e-9 && fabs(score - (double)hits[h].score) < 1e-4;
        }
    }
    words_exact_destroy(exact);
    return all > 0 ? right / all : 1;
}

static void print_row(const char *name, timing_t timing, double bytes, double rate) {
    printf("%-28s %10.0f /s   p50 %8.1f us   p99 %8.1f us", name, timing.rate, timing.p50,
           timing.p99);
    if (bytes > 0) {
        printf("   %6.1f bytes a document   build %8.0f documents/s", bytes, rate);
    }
    printf("\n");
}

static void compare(const words_lines_t *documents, const words_lines_t *questions, double budget,
                    int directory) {
    double n = (double)documents->count, fts_seconds, fts_bytes;
    built_t built = build(documents, directory);
    ours_t ours = {.sources = {{.segment = built.segment}}, .source_count = 1, .k = TOP};
    timing_t timing = measure(questions, budget, run_ours, &ours);
    double all = built.bag_seconds + built.list_seconds + built.write_seconds;
    print_row("memdb, a segment", timing, (double)built.bytes / n, n / all);
    printf("  (build: bags %.0f, list %.0f, segment %.0f documents/s)\n", n / built.bag_seconds,
           n / built.list_seconds, n / built.write_seconds);
    sqlite3 *db = build_fts5(documents, &fts_seconds, &fts_bytes);
    sqlite3_stmt *select;
    if (sqlite3_prepare_v2(db, "SELECT rowid FROM t WHERE t MATCH ? ORDER BY rank LIMIT 10", -1,
                           &select, NULL)) {
        die("sqlite", sqlite3_errmsg(db));
    }
    timing_t theirs = measure(questions, budget, run_fts5, select);
    print_row("SQLite FTS5", theirs, fts_bytes / n, n / fts_seconds);
    printf("ratio %.1f (SQLite %s)\n", timing.rate / theirs.rate, sqlite3_libversion());
    sqlite3_finalize(select);
    sqlite3_close(db);
    ours.k = 200;
    print_row("memdb, top 200", measure(questions, budget, run_ours, &ours), 0, 0);
    ours.k = TOP;
    built_t ignored = {0};
    memdb__words_list_t *list = build_list(documents, 0, &ignored);
    ours_t listed = {.sources = {{.list = list}}, .source_count = 1, .k = TOP};
    print_row("memdb, all in a list", measure(questions, budget, run_ours, &listed), 0, 0);
    printf("  (list: %.1f bytes a document)\n", (double)memdb__words_list_bytes(list) / n);
    printf("agreement with exact BM25: segment %.4f, list %.4f\n",
           agreement(documents, questions, &ours), agreement(documents, questions, &listed));
    memdb__words_list_destroy(list);
    memdb__words_segment_close(built.segment);
}

int main(int argc, char **argv) {
    size_t most_documents = 100000, most_questions = 100000;
    double budget = 1.0;
    char data[4096] = "";
    if (getenv("MEMDB_SHARED")) {
        snprintf(data, sizeof data, "%s/data", getenv("MEMDB_SHARED"));
    }
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--documents")) {
            most_documents = strtoull(argv[i + 1], NULL, 10);
        } else if (!strcmp(argv[i], "--questions")) {
            most_questions = strtoull(argv[i + 1], NULL, 10);
        } else if (!strcmp(argv[i], "--seconds")) {
            budget = strtod(argv[i + 1], NULL);
        } else if (!strcmp(argv[i], "--data")) {
            snprintf(data, sizeof data, "%s", argv[i + 1]);
        } else {
            die(argv[i], "not known");
        }
    }
    words_lines_t documents, questions;
    words_load(data, most_documents, most_questions, &documents, &questions);
    printf("words: %zu documents, %zu questions (%s), top %d, one thread\n", documents.count,
           questions.count, documents.generated ? "generated" : "sentences and LoCoMo questions",
           TOP);
    char folder[] = "/tmp/memdb-bench-words-XXXXXX";
    if (!mkdtemp(folder)) {
        die(folder, "cannot create");
    }
    int directory = open(folder, O_RDONLY | O_DIRECTORY);
    compare(&documents, &questions, budget, directory);
    unlinkat(directory, "words.seg", 0);
    close(directory);
    rmdir(folder);
    words_lines_free(&documents);
    words_lines_free(&questions);
    return 0;
}
