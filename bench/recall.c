// Recall over a whole database: words, vectors and the trace, together and apart.
//
// Memories with a text and a vector of 384 dimensions, in sessions of 20, are put in batches at
// durability `os`, checkpointed, and read again by a handle that was just opened, as an agent would
// find them. Printed: memories put a second, the time to open and the private memory after it, and
// for 500 questions the time of one recall, in the middle and at the 99th percentile: all signals,
// words alone, vectors alone; and each through filters that a half to a thousandth of the memories
// pass, without an index and with one, whether what passes is near the question, far from it, or
// neither; and with the longest word of the question demanded, or forbidden. One thread.
//
// usage: recall [--quick] [--explain] [--indexed] [--memories N] [--questions N] [--data FOLDER]
// [--at FOLDER] FOLDER of --data (or the environment variable MEMDB_SHARED, with /data) may hold
// bench_minilm384; else sentences are generated from a vocabulary with the frequencies of a natural
// one, and vectors around centres. --at: where the database is made; default TMPDIR, or /tmp.
#include "include/memdb.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DIMENSION 384
#define SESSION_MEMORIES 20
#define BATCH 1000
#define VOCABULARY 30000
#define CENTRES 500
#define PLACES 100          // of which each memory is in one
#define PLACE_DIMENSIONS 64 // that decide which is near

typedef struct data {
    size_t memories, questions;
    bool real;
    char *texts, *question_texts; // lines
    uint16_t *halves;             // of the memories, when real
    float *question_vectors;
    uint64_t state; // of the generator
    float places[PLACES][PLACE_DIMENSIONS];
} data_t;

typedef struct bench {
    data_t data;
    char path[512];
    memdb_t *db;
    memdb_space_t space;
    bool indexed; // the space has its indexes from the beginning
    bool explain; // print the plan of the last question of each kind
} bench_t;

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void stop(const char *what, const char *why) {
    fprintf(stderr, "recall: %s: %s\n", what, why);
    exit(1);
}

static void check(memdb_t *db, const char *what, memdb_status_t status) {
    char message[512] = "";
    if (status) {
        if (db)
            memdb_last_error(db, message, sizeof message);
        stop(what, message[0] ? message : memdb_status_name(status));
    }
}

static void *allocate(size_t size) {
    void *block = malloc(size);
    if (!block)
        stop("out of memory", "");
    return block;
}

// ------------------------------------------------------------------------------ data

static uint32_t next_random(data_t *data) {
    data->state = data->state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(data->state >> 33);
}

static float half_to_float(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31,
             mantissa = half & 1023, bits;
    if (exponent == 0)
        return (sign ? -1.0f : 1.0f) * ldexpf((float)mantissa, -24);
    bits = sign | (exponent + 112) << 23 | mantissa << 13;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/// A whole file with a zero behind it, or NULL.
static void *read_whole(const char *folder, const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s/bench_minilm384/%s", folder, name);
    FILE *file = fopen(path, "rb");
    if (!file)
        return NULL;
    fseek(file, 0, SEEK_END);
    size_t size = (size_t)ftell(file);
    rewind(file);
    char *bytes = allocate(size + 1);
    if (fread(bytes, 1, size, file) != size)
        stop("cannot read", path);
    bytes[size] = 0;
    fclose(file);
    return bytes;
}

/// A word number with the frequencies of Zipf's law, near enough.
static uint32_t random_word(data_t *data) {
    double u = (next_random(data) + 0.5) / 2147483648.0;
    return (uint32_t)(pow((double)VOCABULARY, u) - 1);
}

static char *generate_lines(data_t *data, size_t count) {
    char *lines = allocate(count * 160 + 1), *at = lines;
    for (size_t i = 0; i < count; i++) {
        uint32_t words = 6 + next_random(data) % 8;
        for (uint32_t w = 0; w < words; w++)
            at += snprintf(at, 16, "%sw%x", w ? " " : "", random_word(data) * 2654435761u);
        *at++ = '\n';
    }
    *at = 0;
    return lines;
}

static void generate_vector(data_t *data, float *vector) {
    uint64_t keep = data->state;
    data->state = next_random(data) % CENTRES;
    for (uint32_t i = 0; i < DIMENSION; i++)
        vector[i] = (float)next_random(data) / 1073741824.0f - 1;
    data->state = keep * 6364136223846793005u + 99;
    for (uint32_t i = 0; i < DIMENSION; i++)
        vector[i] += (float)next_random(data) / 1073741824.0f - 1;
}

static void load_data(data_t *data, const char *folder) {
    data->state = 20240611;
    data->texts = read_whole(folder, "base.txt");
    data->halves = read_whole(folder, "base.f16");
    data->question_texts = read_whole(folder, "queries.txt");
    data->question_vectors = read_whole(folder, "queries.f32");
    data->real = data->texts && data->halves && data->question_texts && data->question_vectors;
    if (data->real)
        return;
    data->texts = generate_lines(data, data->memories);
    data->question_texts = generate_lines(data, data->questions);
    data->question_vectors = allocate(data->questions * DIMENSION * sizeof(float));
    for (size_t i = 0; i < data->questions; i++)
        generate_vector(data, data->question_vectors + i * DIMENSION);
}

static memdb_bytes_t next_line(char **at) {
    if (!**at)
        stop("data", "there are fewer lines than asked for");
    char *end = strchr(*at, '\n');
    size_t size = end ? (size_t)(end - *at) : strlen(*at);
    memdb_bytes_t line = {*at, size};
    *at += size + (end != NULL);
    return line;
}

// ------------------------------------------------------------------------------ writing

/// The place that is nearest to a vector, or the one that is farthest from it.
static uint32_t place_of(const data_t *data, const float *vector, bool farthest) {
    uint32_t best = 0;
    float most = 0;
    for (uint32_t place = 0; place < PLACES; place++) {
        float sum = 0;
        for (uint32_t d = 0; d < PLACE_DIMENSIONS; d++)
            sum += data->places[place][d] * vector[d];
        sum = farthest ? -sum : sum;
        if (place == 0 || sum > most) {
            most = sum;
            best = place;
        }
    }
    return best;
}

/// Below 1000, each as often as the others, whatever the memory says.
static uint32_t share_of(size_t number) {
    return (uint32_t)(number * 2654435761u) / 4294968u;
}

static void create_space(bench_t *bench, memdb_txn_t *txn) {
    static const memdb_bytes_t on[] = {{"attr.share", 10}, {"attr.place", 10}};
    memdb_space_options_t options = {
        .size = sizeof options, .indexes = on, .index_count = bench->indexed ? 2 : 0};
    check(bench->db, "space",
          memdb_space_create(txn, (memdb_bytes_t){"main", 4}, &options, &bench->space));
}

static void put_all(bench_t *bench) {
    data_t *data = &bench->data;
    char *lines = data->texts;
    memdb_txn_t *txn = NULL;
    float vector[DIMENSION];
    for (size_t i = 0; i < data->memories; i++) {
        if (!txn)
            check(bench->db, "begin", memdb_txn_begin(bench->db, &txn));
        if (i == 0)
            create_space(bench, txn);
        for (uint32_t d = 0; data->real && d < DIMENSION; d++)
            vector[d] = half_to_float(data->halves[i * DIMENSION + d]);
        if (!data->real)
            generate_vector(data, vector);
        if (i < PLACES)
            memcpy(data->places[i], vector, sizeof data->places[i]);
        char session[32], attrs[64];
        int attrs_size = snprintf(attrs, sizeof attrs, "{\"share\": %u, \"place\": %u}",
                                  share_of(i), place_of(data, vector, false));
        memdb_memory_t memory = {.size = sizeof memory,
                                 .fields = MEMDB_FIELD_TEXT | MEMDB_FIELD_SESSION |
                                           MEMDB_FIELD_TIME | MEMDB_FIELD_VECTOR |
                                           MEMDB_FIELD_TOKENS | MEMDB_FIELD_ATTRS,
                                 .tokens = share_of(i),
                                 .attrs = {attrs, (size_t)attrs_size},
                                 .text = next_line(&lines),
                                 .time = (int64_t)i * 1000000,
                                 .vector = vector,
                                 .dimension = DIMENSION};
        memory.session.data = session;
        memory.session.size =
            (size_t)snprintf(session, sizeof session, "session-%zu", i / SESSION_MEMORIES);
        check(bench->db, "put", memdb_put(txn, bench->space, &memory, NULL));
        if (i % BATCH == BATCH - 1 || i + 1 == data->memories) {
            check(bench->db, "commit", memdb_txn_commit(txn, MEMDB_DURABILITY_OS, NULL));
            txn = NULL;
        }
    }
}

static void build(bench_t *bench) {
    memdb_options_t options = {.size = sizeof options, .flags = MEMDB_OPEN_CREATE};
    memdb_error_t error;
    if (memdb_open(bench->path, &options, &bench->db, &error))
        stop("open", error.message);
    double start = seconds();
    put_all(bench);
    double put = seconds() - start;
    check(bench->db, "checkpoint", memdb_checkpoint(bench->db));
    double all = seconds() - start;
    printf("put         %.0f memories/s (%.2f s; with the checkpoint %.2f s)\n",
           (double)bench->data.memories / put, put, all);
    check(NULL, "close", memdb_close(bench->db));
    bench->db = NULL;
}

// ------------------------------------------------------------------------------ reading

static long private_kib(void) {
    char line[256];
    long kib = -1;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "RssAnon: %ld", &kib) == 1)
            break;
    if (file)
        fclose(file);
    return kib;
}

static void reopen(bench_t *bench, long before_kib) {
    memdb_options_t options = {.size = sizeof options};
    memdb_error_t error;
    double start = seconds();
    if (memdb_open(bench->path, &options, &bench->db, &error))
        stop("open", error.message);
    double opened = seconds() - start;
    memdb_snapshot_t *snapshot;
    check(bench->db, "snapshot", memdb_snapshot_begin(bench->db, NULL, &snapshot));
    check(bench->db, "space",
          memdb_space_find(snapshot, (memdb_bytes_t){"main", 4}, &bench->space));
    memdb_snapshot_end(snapshot);
    printf("open        %.2f ms, private memory %.1f MiB more\n", 1e3 * opened,
           (double)(private_kib() - before_kib) / 1024);
}

static int compare_doubles(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

/// What a question asks through: a filter, which may have the place nearest to the question, or the
/// one farthest from it, as its parameter.
typedef struct asked {
    const char *filter; // NULL: none
    enum { NO_PLACE, NEAREST, FARTHEST } place;
    const char *note;
    char sign; // '+' or '-' before the longest word; 0: a plain question
} asked_t;

/// The question with the sign before its longest word, in `signed_text` of `room` bytes.
static memdb_bytes_t sign_question(memdb_bytes_t text, char sign, char *signed_text, size_t room) {
    size_t longest = 0, most = 0;
    for (size_t at = 0; at < text.size; at++) {
        size_t end = at;
        while (end < text.size && isalnum((unsigned char)text.data[end]))
            end++;
        if (end - at > most && (at == 0 || text.data[at - 1] == ' ')) {
            most = end - at;
            longest = at;
        }
    }
    int size = snprintf(signed_text, room, "%.*s%c%.*s", (int)longest, text.data, sign,
                        (int)(text.size - longest), text.data + longest);
    return (memdb_bytes_t){signed_text, (size_t)size < room ? (size_t)size : room - 1};
}

static memdb_filter_t *parse_filter(const bench_t *bench, const asked_t *asked, size_t question) {
    memdb_filter_t *filter = NULL;
    memdb_value_t place = {.kind = MEMDB_VALUE_INTEGER};
    memdb_error_t error = {0};
    if (!asked->filter)
        return NULL;
    if (asked->place)
        place.integer = place_of(&bench->data, bench->data.question_vectors + question * DIMENSION,
                                 asked->place == FARTHEST);
    if (memdb_filter_parse((memdb_bytes_t){asked->filter, strlen(asked->filter)}, &place,
                           asked->place != NO_PLACE, &filter, &error))
        stop("filter", error.message);
    return filter;
}

/// One question; the time that it took, and the hits.
static double ask(bench_t *bench, memdb_query_t *query, size_t *hits, bool print) {
    memdb_snapshot_t *snapshot;
    memdb_result_t *result;
    double start = seconds();
    check(bench->db, "snapshot", memdb_snapshot_begin(bench->db, NULL, &snapshot));
    check(bench->db, "recall", memdb_recall(snapshot, query, &result));
    memdb_snapshot_end(snapshot);
    double time = seconds() - start;
    const memdb_plan_t *plan = memdb_result_plan(result);
    for (size_t i = 0; print && plan && i < plan->step_count; i++)
        printf("    %*s%-40s about %.0f, %llu rows, %.3f ms\n", 2 * (int)plan->steps[i].depth, "",
               plan->steps[i].what, plan->steps[i].estimated,
               (unsigned long long)plan->steps[i].rows, plan->steps[i].us / 1000);
    *hits += memdb_result_count(result);
    memdb_result_free(result);
    return time;
}

static void ask_all(bench_t *bench, const char *what, memdb_recall_mode_t mode,
                    const asked_t *asked, double *times) {
    data_t *data = &bench->data;
    char *lines = data->question_texts;
    size_t hits = 0, enough = 0;
    for (size_t i = 0; i < data->questions; i++) {
        memdb_filter_t *filter = parse_filter(bench, asked, i);
        memdb_query_t query = {.size = sizeof query,
                               .spaces = &bench->space,
                               .space_count = 1,
                               .text = next_line(&lines),
                               .mode = mode,
                               .filter = filter,
                               .k = 10};
        char signed_text[1024];
        if (asked->sign) {
            query.text = sign_question(query.text, asked->sign, signed_text, sizeof signed_text);
            query.boolean = true;
        }
        if (mode != MEMDB_RECALL_WORDS) {
            query.vector = data->question_vectors + i * DIMENSION;
            query.dimension = DIMENSION;
        }
        size_t found = 0;
        times[i] = ask(bench, &query, &found, false);
        hits += found;
        enough += found == query.k;
        if (bench->explain && i + 1 == data->questions) {
            query.explain = true;
            ask(bench, &query, &found, true);
        }
        memdb_filter_free(filter);
    }
    double first = times[0];
    qsort(times, data->questions, sizeof *times, compare_doubles);
    printf("  %-11s p50 %.3f ms, p99 %.3f ms, first %.3f ms; %.1f hits, k for %.1f %%\n", what,
           1e3 * times[data->questions / 2], 1e3 * times[data->questions * 99 / 100], 1e3 * first,
           (double)hits / (double)data->questions, 100 * (double)enough / (double)data->questions);
}

static void ask_modes(bench_t *bench, const asked_t *asked, double *times) {
    static const char *const names[] = {"all signals", "words", "vectors"};
    printf("%s%s\n", asked->filter ? asked->filter : "no filter", asked->note ? asked->note : "");
    for (int mode = MEMDB_RECALL_AUTO; mode <= MEMDB_RECALL_VECTOR; mode++)
        ask_all(bench, names[mode], (memdb_recall_mode_t)mode, asked, times);
}

/// Through filters on the attributes, before and after there are indexes on them.
static void ask_filtered(bench_t *bench, double *times) {
    static const asked_t all[] = {{"attr.share < 500", NO_PLACE, "", 0},
                                  {"attr.share < 100", NO_PLACE, "", 0},
                                  {"attr.share < 10", NO_PLACE, "", 0},
                                  {"attr.share < 1", NO_PLACE, "", 0},
                                  {"attr.place = ?", NEAREST, "  (the nearest to the question)", 0},
                                  {"attr.place = ?", FARTHEST, "  (the farthest)", 0},
                                  {"attr.share < 500 and attr.place = ?", NEAREST, "", 0}};
    static const char *const on[] = {"attr.share", "attr.place"};
    asked_t field = {"tokens < 500", NO_PLACE, "  (no index)", 0};
    ask_modes(bench, &field, times);
    field.filter = "tokens < 10";
    ask_modes(bench, &field, times);
    for (size_t i = 0; !bench->indexed && i < sizeof on / sizeof *on; i++) {
        double start = seconds();
        check(bench->db, "index",
              memdb_index_create(bench->db, bench->space, (memdb_bytes_t){on[i], strlen(on[i])},
                                 MEMDB_DURABILITY_OS));
        printf("index on %s made in %.2f s\n", on[i], seconds() - start);
    }
    check(bench->db, "checkpoint", memdb_checkpoint(bench->db));
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        ask_modes(bench, &all[i], times);
}

/// The database's files; it holds one level of folders.
static void remove_database(const char *path) {
    char command[1200];
    snprintf(command, sizeof command, "rm -rf '%s'", path);
    if (system(command) != 0)
        stop("cannot remove", path);
}

static void parse(int count, char **arguments, bench_t *bench, const char **folder,
                  const char **at) {
    bench->data.memories = 100000;
    bench->data.questions = 500;
    for (int i = 1; i < count; i++) {
        const char *value = i + 1 < count ? arguments[i + 1] : "";
        if (strcmp(arguments[i], "--explain") == 0) {
            bench->explain = true;
            continue;
        }
        if (strcmp(arguments[i], "--indexed") == 0) {
            bench->indexed = true;
            continue;
        }
        if (strcmp(arguments[i], "--quick") == 0) {
            bench->data.memories = 5000;
            bench->data.questions = 100;
            continue;
        }
        if (strcmp(arguments[i], "--memories") == 0)
            bench->data.memories = strtoull(value, NULL, 10);
        else if (strcmp(arguments[i], "--questions") == 0)
            bench->data.questions = strtoull(value, NULL, 10);
        else if (strcmp(arguments[i], "--data") == 0)
            *folder = value;
        else if (strcmp(arguments[i], "--at") == 0)
            *at = value;
        else
            stop("unknown argument", arguments[i]);
        i++;
    }
    if (!bench->data.memories || !bench->data.questions)
        stop("nothing to do", "");
}

int main(int count, char **arguments) {
    bench_t bench = {0};
    char shared[4096] = "";
    const char *folder = shared, *at = getenv("TMPDIR");
    if (getenv("MEMDB_SHARED"))
        snprintf(shared, sizeof shared, "%s/data", getenv("MEMDB_SHARED"));
    parse(count, arguments, &bench, &folder, &at);
    snprintf(bench.path, sizeof bench.path, "%.400s/memdb-bench-XXXXXX", at ? at : "/tmp");
    if (!mkdtemp(bench.path))
        stop("cannot create", bench.path);
    load_data(&bench.data, folder);
    printf("recall over %zu memories with vectors of %d (%s), in sessions of %d; memdb %s\n",
           bench.data.memories, DIMENSION, bench.data.real ? "real sentences" : "generated",
           SESSION_MEMORIES, memdb_version());
    build(&bench);
    free(bench.data.texts);
    free(bench.data.halves);
    double *times = allocate(bench.data.questions * sizeof *times);
    long before_kib = private_kib();
    reopen(&bench, before_kib);
    ask_modes(&bench, &(asked_t){0}, times);
    ask_modes(&bench, &(asked_t){.note = ", +the longest word", .sign = '+'}, times);
    ask_modes(&bench, &(asked_t){.note = ", -the longest word", .sign = '-'}, times);
    ask_filtered(&bench, times);
    printf("afterwards  private memory %.1f MiB more\n",
           (double)(private_kib() - before_kib) / 1024);
    check(NULL, "close", memdb_close(bench.db));
    remove_database(bench.path);
    free(times);
    free(bench.data.question_texts);
    free(bench.data.question_vectors);
    return 0;
}
