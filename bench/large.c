// Large things: what grows with what.
//
//   - a blob of many GiB, streamed in and out at constant memory;
//   - a text of a megabyte, put, got and recalled;
//   - opening, a first read and a first recall of databases of many memories, each in a process of
//     its own: time, and memory.
//
// Memory is the largest resident set that the kernel saw (getrusage): mapped pages count. A figure
// above its limit ends the program, so a small run in the tests keeps them honest.
//
// usage: large [--blob-mib N] [--memories N,N,...] [--dimension N] [--at FOLDER]
//        large --open PATH (used by the program itself)
#include "bench/common.h"
#include "include/memdb.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB 1048576.0
#define BLOB_LIMIT_MIB 64 // resident, while a blob streams
#define PART_BYTES (1u << 20)
#define BATCH 1000
#define TEXT_BYTES 1000000

static double resident_mib(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_maxrss / 1024;
}

/// What is resident now, not at most.
static double resident_now_mib(void) {
    long pages = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%ld %ld", &pages, &resident) != 2)
        bench_stop("statm", "cannot be read");
    fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE) / MIB;
}

static void must(memdb_t *db, memdb_status_t status, const char *what) {
    char message[512] = "";
    if (status && db)
        memdb_last_error(db, message, sizeof message);
    if (status)
        bench_stop(what, *message ? message : memdb_status_text(status));
}

static memdb_t *open_database(const char *path) {
    memdb_t *db;
    memdb_options_t options = {.size = sizeof options, .flags = MEMDB_OPEN_CREATE};
    must(NULL, memdb_open(path, &options, &db, NULL), "open");
    return db;
}

static memdb_bytes_t bytes_of(const char *text) {
    return (memdb_bytes_t){text, strlen(text)};
}

static memdb_space_t space_of(memdb_t *db) {
    memdb_txn_t *txn;
    memdb_space_t space;
    must(db, memdb_txn_begin(db, &txn), "begin");
    must(db, memdb_space_ensure(txn, bytes_of("main"), &space), "space");
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_DEFAULT, NULL), "commit");
    return space;
}

// ------------------------------------------------------------------------------ a blob

/// Part `number` of the blob: no two are equal.
static void fill_part(uint64_t number, uint64_t *part) {
    for (size_t i = 0; i < PART_BYTES / sizeof *part; i++)
        part[i] = bench_mix(number * (PART_BYTES / sizeof *part) + i);
}

static void write_blob(memdb_t *db, memdb_space_t space, uint64_t parts, uint64_t *part) {
    memdb_txn_t *txn;
    memdb_blob_writer_t *writer;
    memdb_blob_t blob;
    must(db, memdb_txn_begin(db, &txn), "begin");
    must(db, memdb_blob_writer_open(txn, &writer), "blob");
    for (uint64_t i = 0; i < parts; i++) {
        fill_part(i, part);
        must(db, memdb_blob_writer_append(writer, part, PART_BYTES), "append");
    }
    must(db, memdb_blob_writer_finish(writer, &blob), "finish");
    memdb_memory_t memory = {.size = sizeof memory,
                             .fields = MEMDB_FIELD_KEY | MEMDB_FIELD_BLOBS,
                             .key = bytes_of("large"),
                             .blobs = &blob,
                             .blob_count = 1};
    must(db, memdb_put(txn, space, &memory, NULL), "put");
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_FULL, NULL), "commit");
}

static void read_blob(memdb_t *db, memdb_space_t space, uint64_t parts, uint64_t *part,
                      uint64_t *read_part) {
    memdb_snapshot_t *snapshot;
    memdb_blob_reader_t *reader;
    memdb_memory_t memory = {.size = sizeof memory};
    must(db, memdb_snapshot_begin(db, NULL, &snapshot), "snapshot");
    must(db, memdb_get_by_key(snapshot, space, bytes_of("large"), &memory), "get");
    must(db, memdb_blob_reader_open(snapshot, &memory.blobs[0], &reader), "reader");
    for (uint64_t i = 0; i < parts; i++) {
        size_t size;
        must(db, memdb_blob_reader_read(reader, i * PART_BYTES, read_part, PART_BYTES, &size),
             "read");
        fill_part(i, part);
        if (size != PART_BYTES || memcmp(part, read_part, PART_BYTES) != 0)
            bench_stop("blob", "another content was read");
    }
    memdb_blob_reader_close(reader);
    memdb_snapshot_end(snapshot);
}

static void run_blob(const char *at, uint64_t mib) {
    char path[500];
    uint64_t *part = bench_allocate(PART_BYTES), *other = bench_allocate(PART_BYTES);
    bench_folder_make(at, "large-blob", path, sizeof path);
    memdb_t *db = open_database(path);
    memdb_space_t space = space_of(db);
    double started = bench_seconds();
    write_blob(db, space, mib, part);
    double written = bench_seconds(), in = resident_mib();
    read_blob(db, space, mib, part, other);
    double read = bench_seconds(), out = resident_mib();
    must(db, memdb_verify(db, NULL, NULL), "verify");
    double verified = bench_seconds(), all = resident_mib();
    printf("blob of %llu MiB: in %.1f s (%.0f MiB/s), resident %.1f MiB; out %.1f s (%.0f MiB/s), "
           "%.1f MiB; verify %.1f s, %.1f MiB\n",
           (unsigned long long)mib, written - started, (double)mib / (written - started), in,
           read - written, (double)mib / (read - written), out, verified - read, all);
    must(db, memdb_close(db), "close");
    free(part);
    free(other);
    bench_folder_remove(path);
    if (all > BLOB_LIMIT_MIB)
        bench_stop("blob", "more memory than the limit");
}

// ------------------------------------------------------------------------------ a text

static void run_text(const char *at) {
    char path[500], *text = bench_allocate(TEXT_BYTES + 64);
    size_t size = 0;
    for (uint64_t i = 0; size < TEXT_BYTES; i++)
        size += (size_t)snprintf(text + size, 64, "word%llu ",
                                 (unsigned long long)(bench_mix(i) % 20000));
    bench_folder_make(at, "large-text", path, sizeof path);
    memdb_t *db = open_database(path);
    memdb_space_t space = space_of(db);
    memdb_txn_t *txn;
    memdb_snapshot_t *snapshot;
    memdb_result_t *result;
    memdb_memory_t memory = {.size = sizeof memory,
                             .fields = MEMDB_FIELD_KEY | MEMDB_FIELD_TEXT,
                             .key = bytes_of("large"),
                             .text = {text, TEXT_BYTES}};
    double started = bench_seconds();
    must(db, memdb_txn_begin(db, &txn), "begin");
    must(db, memdb_put(txn, space, &memory, NULL), "put");
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_FULL, NULL), "commit");
    double put = bench_seconds();
    must(db, memdb_checkpoint(db), "checkpoint");
    must(db, memdb_snapshot_begin(db, NULL, &snapshot), "snapshot");
    double folded = bench_seconds();
    memdb_query_t query = {.size = sizeof query,
                           .spaces = &space,
                           .space_count = 1,
                           .text = bytes_of("word7 word77 word777")};
    must(db, memdb_recall(snapshot, &query, &result), "recall");
    double recalled = bench_seconds();
    if (memdb_result_count(result) != 1)
        bench_stop("text", "it is not recalled");
    must(db, memdb_get_by_key(snapshot, space, bytes_of("large"), &memory), "get");
    if (memory.text.size != TEXT_BYTES || memcmp(memory.text.data, text, TEXT_BYTES) != 0)
        bench_stop("text", "another text was read");
    printf("text of %d bytes: put and committed %.1f ms, recalled %.2f ms, got %.2f ms\n",
           TEXT_BYTES, (put - started) * 1e3, (recalled - folded) * 1e3,
           (bench_seconds() - recalled) * 1e3);
    memdb_result_free(result);
    memdb_snapshot_end(snapshot);
    must(db, memdb_close(db), "close");
    free(text);
    bench_folder_remove(path);
}

// ------------------------------------------------------------------------------ many memories

static void fill(memdb_t *db, memdb_space_t space, uint64_t count, uint32_t dimension) {
    float vector[MEMDB_MAX_DIMENSION];
    for (uint64_t done = 0; done < count;) {
        memdb_txn_t *txn;
        must(db, memdb_txn_begin(db, &txn), "begin");
        for (uint64_t end = done + BATCH < count ? done + BATCH : count; done < end; done++) {
            char key[BENCH_KEY_BYTES + 1];
            bench_key(done, key);
            memdb_memory_t memory = {.size = sizeof memory,
                                     .fields = MEMDB_FIELD_KEY | MEMDB_FIELD_TEXT,
                                     .key = bytes_of(key),
                                     .text = bytes_of(bench_text(done))};
            for (uint32_t i = 0; i < dimension; i++)
                vector[i] = (float)(bench_mix(done * dimension + i) % 2001) - 1000;
            if (dimension) {
                memory.fields |= MEMDB_FIELD_VECTOR;
                memory.vector = vector;
                memory.dimension = dimension;
            }
            must(db, memdb_put(txn, space, &memory, NULL), "put");
        }
        must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_OS, NULL), "commit");
    }
    must(db, memdb_checkpoint(db), "checkpoint");
}

/// What a fresh process needs: run as `large --open PATH`.
static int measure_open(const char *path) {
    memdb_t *db;
    memdb_space_t space;
    memdb_snapshot_t *snapshot;
    memdb_result_t *result;
    char key[BENCH_KEY_BYTES + 1];
    memdb_memory_t memory = {.size = sizeof memory};
    memdb_options_t options = {.size = sizeof options};
    double before = resident_now_mib(), started = bench_seconds();
    must(NULL, memdb_open(path, &options, &db, NULL), "open");
    double opened = bench_seconds(), open_mib = resident_now_mib();
    must(db, memdb_snapshot_begin(db, NULL, &snapshot), "snapshot");
    must(db, memdb_space_find(snapshot, bytes_of("main"), &space), "space");
    bench_key(0, key);
    must(db, memdb_get_by_key(snapshot, space, bytes_of(key), &memory), "get");
    double got = bench_seconds(), get_mib = resident_now_mib();
    memdb_query_t query = {.size = sizeof query,
                           .spaces = &space,
                           .space_count = 1,
                           .text = memory.text.size > 30 ? (memdb_bytes_t){memory.text.data, 30}
                                                         : memory.text};
    must(db, memdb_recall(snapshot, &query, &result), "recall");
    if (!memdb_result_count(result))
        bench_stop("recall", "nothing was found");
    printf("  open %.1f ms, %.1f MiB more; first get %.2f ms, %.1f MiB; first recall %.1f ms, "
           "%.1f MiB\n",
           (opened - started) * 1e3, open_mib - before, (got - opened) * 1e3, get_mib - before,
           (bench_seconds() - got) * 1e3, resident_now_mib() - before);
    memdb_result_free(result);
    memdb_snapshot_end(snapshot);
    must(db, memdb_close(db), "close");
    return 0;
}

static void run_memories(const char *at, uint64_t count, uint32_t dimension) {
    char path[500];
    int how;
    bench_folder_make(at, "large-memories", path, sizeof path);
    memdb_t *db = open_database(path);
    double started = bench_seconds();
    fill(db, space_of(db), count, dimension);
    memdb_stats_t stats = {.size = sizeof stats};
    must(db, memdb_get_stats(db, &stats), "stats");
    printf("%llu memories, vectors of %u: written in %.1f s, %.0f bytes each in %llu segments\n",
           (unsigned long long)count, dimension, bench_seconds() - started,
           (double)stats.segment_bytes / (double)count, (unsigned long long)stats.segments);
    must(db, memdb_close(db), "close");
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        execl("/proc/self/exe", "large", "--open", path, (char *)NULL);
        _exit(1);
    }
    if (waitpid(child, &how, 0) != child || how != 0)
        bench_stop("open", "the process that opens failed");
    bench_folder_remove(path);
}

int main(int count, char **words) {
    uint64_t blob_mib = 256;
    uint32_t dimension = 0;
    const char *at = NULL, *memories = "100000";
    for (int i = 1; i + 1 < count; i += 2) {
        if (strcmp(words[i], "--open") == 0)
            return measure_open(words[i + 1]);
        if (strcmp(words[i], "--blob-mib") == 0)
            blob_mib = strtoull(words[i + 1], NULL, 10);
        else if (strcmp(words[i], "--memories") == 0)
            memories = words[i + 1];
        else if (strcmp(words[i], "--dimension") == 0)
            dimension = (uint32_t)strtoul(words[i + 1], NULL, 10);
        else if (strcmp(words[i], "--at") == 0)
            at = words[i + 1];
        else
            bench_stop("there is no option", words[i]);
    }
    if (dimension > MEMDB_MAX_DIMENSION)
        bench_stop("dimension", "too large");
    bench_describe("large things");
    if (blob_mib)
        run_blob(bench_at(at), blob_mib);
    run_text(bench_at(at));
    for (const char *next = memories; *next; next += strspn(next, ",")) {
        char *end;
        uint64_t number = strtoull(next, &end, 10);
        if (end == next)
            bench_stop("not a number", next);
        next = end;
        if (number)
            run_memories(bench_at(at), number, dimension);
    }
    return 0;
}
