// Words: top-10 questions, memdb's word index beside SQLite's FTS5, in one process and one run.
//
// Both sides get the same documents and the same questions, one thread, warm. FTS5 has the porter
// tokenizer, one table without content, a prepared statement, OR between the terms, ORDER BY rank
// LIMIT 10. memdb's side counts everything from the text of the question to the ten hits:
// tokenising, search, exact scores. The answers are compared with BM25 computed over all documents
// in double precision. Questions are asked twice: without their stop words, as both sides do best,
// and with them ("raw"). The library call is memdb_recall in the mode `words` on a database with
// the same documents, with its snapshot.
//
// usage: words [--sets ABCG] [--documents N] [--questions N] [--seconds S] [--data FOLDER]
//              [--library N] [--export FOLDER]
// FOLDER (or the environment variable MEMDB_SHARED, with /data) holds what the sets are made of
// (words_data.h); without it there is only G, which is generated. --library: the library is asked
// in sets of up to so many documents. --export: write the sets' documents and questions, a line
// each, for other engines to be asked the same, and do nothing else.
#include "base/memory.h"
#include "bench/words_peers.h"
#include "index/lexical/lexical_query.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TOP 10

double words_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void words_stop(const char *what, const char *why) {
    fprintf(stderr, "words: %s: %s\n", what, why);
    exit(1);
}

typedef struct options {
    size_t documents, questions, library;
    double seconds;
    const char *sets, *export;
    char data[4096];
} options_t;

// ------------------------------------------------------------------------------ memdb's side

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

// Bags are made of a thousand documents at a time, so that the clock costs nothing.
static memdb__words_list_t *build_list(const words_lines_t *documents, built_t *built) {
    enum { BATCH = 1000 };
    memdb_error_t error;
    memdb__buffer_t bags = {0};
    size_t ends[BATCH + 1] = {0};
    memdb__words_list_t *list = memdb__words_list_create();
    for (size_t from = 0; from < documents->count && list; from += BATCH) {
        size_t count = documents->count - from < BATCH ? documents->count - from : BATCH;
        double start = words_seconds();
        memdb__buffer_clear(&bags);
        for (size_t i = 0; i < count; i++) {
            const words_line_t *line = &documents->lines[from + i];
            if (memdb__bag_encode(MEMDB_TOKENIZER_ENGLISH, line->text, line->size, NULL, 0, &bags,
                                  &error)) {
                words_stop("bag", error.message);
            }
            ends[i + 1] = bags.size;
        }
        double middle = words_seconds();
        for (size_t i = 0; i < count; i++) {
            if (memdb__words_list_add(list, 1, from + i + 1, from + i + 1, bags.data + ends[i],
                                      ends[i + 1] - ends[i], &error)) {
                words_stop("add", error.message);
            }
        }
        built->bag_seconds += middle - start;
        built->list_seconds += words_seconds() - middle;
    }
    memdb__buffer_deinit(&bags);
    return list ? list : (words_stop("list", "no memory"), NULL);
}

static built_t build(const words_lines_t *documents, int directory) {
    memdb_error_t error;
    built_t built = {0};
    memdb__segment_identity_t identity = {{1}, 1, MEMDB__SEGMENT_WORDS};
    memdb__words_source_t source = {.list = build_list(documents, &built)};
    uint64_t checksum;
    double start = words_seconds();
    if (memdb__words_segment_write(directory, "words.seg", &identity, &source, 1, UINT64_MAX,
                                   always, always_space, NULL, &built.bytes, &checksum, &error) ||
        memdb__words_segment_open(directory, "words.seg", &identity, built.bytes, checksum,
                                  &built.segment, &error)) {
        words_stop("segment", error.message);
    }
    built.write_seconds = words_seconds() - start;
    memdb__words_list_destroy(source.list);
    return built;
}

typedef struct ours {
    memdb__words_source_t source;
    size_t k;
    bool raw;
} ours_t;

static size_t ask(const words_line_t *question, const ours_t *ours, memdb__words_hit_t *hits) {
    memdb_error_t error;
    memdb__words_query_t *query;
    memdb__words_search_t search = {.space = 1,
                                    .visible = UINT64_MAX,
                                    .sources = &ours->source,
                                    .source_count = 1,
                                    .live = always};
    size_t count = 0;
    if (memdb__words_query_parse(MEMDB_TOKENIZER_ENGLISH, question->text, question->size, ours->raw,
                                 &query, &error) ||
        memdb__words_search(query, &search, hits, ours->k, &count, &error)) {
        words_stop("search", error.message);
    }
    memdb__words_query_destroy(query);
    return count;
}

// ------------------------------------------------------------------------------ measuring

typedef void (*run_fn)(void *context, const words_line_t *question);

static void run_ours(void *context, const words_line_t *question) {
    memdb__words_hit_t hits[TOP];
    ask(question, context, hits);
}

static void run_fts5(void *context, const words_line_t *question) {
    words_fts5_ask(context, question, false);
}

static void run_fts5_raw(void *context, const words_line_t *question) {
    words_fts5_ask(context, question, true);
}

static void run_library(void *context, const words_line_t *question) {
    words_library_ask(context, question);
}

typedef struct timing {
    double rate, p50, p99;
} timing_t;

static int compare_doubles(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

// Rate from whole rounds without a clock in between, for about `budget` seconds; quantiles from a
// round of single times. Where one round takes much longer than that, the questions asked in four
// times the budget have to do.
static timing_t measure(const words_lines_t *questions, double budget, run_fn run, void *context) {
    double *times = malloc(questions->count * sizeof *times);
    size_t timed = 0, done = 0;
    double start = words_seconds(), end = start;
    for (; timed < questions->count && end - start < 4 * budget; timed++) {
        double before = words_seconds();
        run(context, &questions->lines[timed]);
        end = words_seconds();
        times[timed] = end - before;
    }
    timing_t timing = {(double)timed / (end - start), 0, 0};
    if (timed == questions->count) {
        start = words_seconds();
        for (end = start; end - start < budget; end = words_seconds()) {
            for (size_t i = 0; i < questions->count; i++, done++) {
                run(context, &questions->lines[i]);
            }
        }
        timing.rate = (double)done / (end - start);
    }
    qsort(times, timed, sizeof *times, compare_doubles);
    timing.p50 = 1e6 * times[timed / 2];
    timing.p99 = 1e6 * times[timed * 99 / 100];
    free(times);
    return timing;
}

// Share of the exact top 10 that the index gives, over a sample of the questions. Ties at the end
// count as agreement.
static double agreement(const words_set_t *set, const ours_t *ours) {
    words_exact_t *exact = words_exact_create(&set->documents);
    double right = 0, all = 0;
    size_t sample = 5000000 / set->documents.count + 1;
    sample = sample < 200 ? sample : 200;
    for (size_t i = 0; i < set->questions.count && i < sample; i++) {
        memdb__words_hit_t hits[TOP];
        size_t count = ask(&set->questions.lines[i], ours, hits);
        double worst;
        size_t expected = words_exact_ask(exact, &set->questions.lines[i], ours->raw, TOP, &worst);
        all += (double)expected;
        for (size_t h = 0; h < count; h++) {
            double score = words_exact_score(exact, hits[h].id - 1);
            right += score >= worst - 1e-9 && fabs(score - (double)hits[h].score) < 1e-4;
        }
    }
    words_exact_destroy(exact);
    return all > 0 ? right / all : 1;
}

// ------------------------------------------------------------------------------ a set

static void print_pair(const char *what, timing_t ours, timing_t theirs) {
    printf("  %-20s memdb %8.0f /s, p50 %6.1f, p99 %6.1f us | FTS5 %6.0f /s, p50 %8.1f, p99 %8.1f "
           "us | ratio %.0f\n",
           what, ours.rate, ours.p50, ours.p99, theirs.rate, theirs.p50, theirs.p99,
           ours.rate / theirs.rate);
}

static void compare_builds(const words_set_t *set, const built_t *built, words_fts5_t *fts5) {
    double n = (double)set->documents.count;
    double all = built->bag_seconds + built->list_seconds + built->write_seconds;
    double theirs = words_fts5_seconds(fts5);
    words_fts5_t *bare = words_fts5_build(&set->documents, false);
    printf("  %-20s memdb %8.0f documents/s (bags %.0f, list %.0f, segment %.0f) | FTS5 %.0f, "
           "without positions %.0f | ratio %.2f, %.2f\n",
           "build", n / all, n / built->bag_seconds, n / built->list_seconds,
           n / built->write_seconds, n / theirs, n / words_fts5_seconds(bare), theirs / all,
           words_fts5_seconds(bare) / all);
    printf("  %-20s memdb %8.1f | FTS5 %.1f, without positions and counts %.1f | ratio %.2f, "
           "%.2f\n",
           "bytes a document", (double)built->bytes / n, words_fts5_bytes(fts5) / n,
           words_fts5_bytes(bare) / n, (double)built->bytes / words_fts5_bytes(fts5),
           (double)built->bytes / words_fts5_bytes(bare));
    words_fts5_close(bare);
}

static void compare(const words_set_t *set, const options_t *options, int directory) {
    double budget = options->seconds;
    built_t built = build(&set->documents, directory);
    words_fts5_t *fts5 = words_fts5_build(&set->documents, true);
    ours_t ours = {.source = {.segment = built.segment}, .k = TOP};
    ours_t raw = {.source = {.segment = built.segment}, .k = TOP, .raw = true};
    timing_t search = measure(&set->questions, budget, run_ours, &ours);
    print_pair("questions", search, measure(&set->questions, budget, run_fts5, fts5));
    timing_t long_search = measure(&set->questions, budget, run_ours, &raw);
    print_pair("raw", long_search, measure(&set->questions, budget, run_fts5_raw, fts5));
    compare_builds(set, &built, fts5);
    words_fts5_close(fts5);
    if (set->documents.count <= options->library) {
        words_library_t *library = words_library_build(&set->documents);
        timing_t call = measure(&set->questions, budget, run_library, library);
        printf("  %-20s memdb_recall %.0f /s, p50 %.1f, p99 %.1f us | %.2f of the search's rate\n",
               "library call", call.rate, call.p50, call.p99, call.rate / search.rate);
        words_library_close(library);
    }
    built_t ignored = {0};
    memdb__words_list_t *list = build_list(&set->documents, &ignored);
    ours_t listed = {.source = {.list = list}, .k = TOP};
    timing_t delta = measure(&set->questions, budget, run_ours, &listed);
    printf("  %-20s %.0f /s, p50 %.1f, p99 %.1f us, %.1f bytes a document\n", "all in a list",
           delta.rate, delta.p50, delta.p99,
           (double)memdb__words_list_bytes(list) / (double)set->documents.count);
    printf("  %-20s %.4f, raw %.4f, list %.4f\n", "agreement with BM25", agreement(set, &ours),
           agreement(set, &raw), agreement(set, &listed));
    memdb__words_list_destroy(list);
    memdb__words_segment_close(built.segment);
    unlinkat(directory, "words.seg", 0);
}

static void compare_in_folder(const words_set_t *set, const options_t *options) {
    char folder[] = "/tmp/memdb-bench-words-XXXXXX";
    if (!mkdtemp(folder)) {
        words_stop(folder, "cannot create");
    }
    int directory = open(folder, O_RDONLY | O_DIRECTORY);
    compare(set, options, directory);
    close(directory);
    rmdir(folder);
}

static void export(const char *folder, char set, const char *what, const words_lines_t *lines) {
    char path[4200];
    snprintf(path, sizeof path, "%s/%c.%s", folder, set, what);
    FILE *file = fopen(path, "w");
    if (!file) {
        words_stop(path, "cannot write");
    }
    for (size_t i = 0; i < lines->count; i++) {
        fprintf(file, "%.*s\n", (int)lines->lines[i].size, lines->lines[i].text);
    }
    fclose(file);
}

static void parse(int argc, char **argv, options_t *options) {
    if (getenv("MEMDB_SHARED")) {
        snprintf(options->data, sizeof options->data, "%s/data", getenv("MEMDB_SHARED"));
    }
    for (int i = 1; i < argc; i += 2) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (!strcmp(argv[i], "--documents")) {
            options->documents = strtoull(value, NULL, 10);
        } else if (!strcmp(argv[i], "--questions")) {
            options->questions = strtoull(value, NULL, 10);
        } else if (!strcmp(argv[i], "--library")) {
            options->library = strtoull(value, NULL, 10);
        } else if (!strcmp(argv[i], "--seconds")) {
            options->seconds = strtod(value, NULL);
        } else if (!strcmp(argv[i], "--sets")) {
            options->sets = value;
        } else if (!strcmp(argv[i], "--export")) {
            options->export = value;
        } else if (!strcmp(argv[i], "--data")) {
            snprintf(options->data, sizeof options->data, "%s", value);
        } else {
            words_stop(argv[i], "not known");
        }
    }
}

int main(int argc, char **argv) {
    options_t options = {SIZE_MAX, SIZE_MAX, 200000, 1.0, NULL, NULL, ""};
    parse(argc, argv, &options);
    const char *sets = options.sets ? options.sets : options.data[0] ? "ABC" : "G";
    printf("words: top %d, one thread, beside SQLite %s\n", TOP, words_fts5_version());
    for (const char *name = sets; *name; name++) {
        words_set_t set;
        if (!words_set_load(*name, options.data, options.documents, options.questions, &set)) {
            printf("%c: its files are not there\n", *name);
            continue;
        }
        printf("%c: %zu %s, %zu %s\n", *name, set.documents.count, set.documents_are,
               set.questions.count, set.questions_are);
        fflush(stdout);
        if (options.export) {
            export(options.export, *name, "documents", &set.documents);
            export(options.export, *name, "questions", &set.questions);
        } else {
            compare_in_folder(&set, &options);
        }
        words_set_free(&set);
    }
    return 0;
}
