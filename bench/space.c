// Space after forgetting: memories with text, vectors and blobs are put, nine of ten are forgotten,
// and the database is compacted while one process reads and another writes.
//
// Printed: what the files take at each step, and how many times that is what the live memories
// take. The live bytes are counted by hand, without any index: text, key, vector codes, blobs.
// For a second measure a fresh database is filled with the live memories alone, and compacted.
//
// usage: space [--memories N] [--at FOLDER]
#include "bench/common.h"
#include "include/memdb.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define DIMENSION 128
#define BLOB_BYTES 4096
#define BATCH 1000
#define MIB 1048576.0

static void must(memdb_t *db, memdb_status_t status, const char *what) {
    if (status) {
        char message[512] = "";
        if (db)
            memdb_last_error(db, message, sizeof message);
        bench_stop(what, *message ? message : memdb_status_text(status));
    }
}

static memdb_t *open_at(const char *path) {
    memdb_options_t options = {
        .size = sizeof options, .flags = MEMDB_OPEN_CREATE, .durability = MEMDB_DURABILITY_OS};
    memdb_t *db;
    memdb_error_t error;
    if (memdb_open(path, &options, &db, &error))
        bench_stop("open", error.message);
    return db;
}

static bool stays(uint64_t number) {
    return number % 10 == 3;
}

/// One memory; every fourth has a blob. Returns what it takes without any index.
static uint64_t put(memdb_t *db, memdb_txn_t *txn, memdb_space_t space, uint64_t number) {
    static float vector[DIMENSION];
    static uint8_t blob_bytes[BLOB_BYTES];
    char key[BENCH_KEY_BYTES + 1];
    memdb_blob_t blob;
    const char *words = bench_text(number);
    bench_key(number, key);
    for (uint64_t i = 0; i < DIMENSION; i++)
        vector[i] = (float)(bench_mix(number * DIMENSION + i) % 2001) - 1000;
    memdb_memory_t memory = {.size = sizeof memory,
                             .fields = MEMDB_FIELD_KEY | MEMDB_FIELD_TEXT | MEMDB_FIELD_VECTOR,
                             .key = {key, BENCH_KEY_BYTES},
                             .text = {words, strlen(words)},
                             .vector = vector,
                             .dimension = DIMENSION};
    uint64_t bytes = BENCH_KEY_BYTES + memory.text.size + DIMENSION;
    if (number % 4 == 0 || number % 40 == 3) {
        for (uint64_t i = 0; i < BLOB_BYTES; i += 8) {
            uint64_t part = bench_mix(number * BLOB_BYTES + i + 1);
            memcpy(blob_bytes + i, &part, 8);
        }
        must(db, memdb_blob_put(txn, blob_bytes, BLOB_BYTES, &blob), "blob");
        blob.media_type = (memdb_bytes_t){0};
        memory.fields |= MEMDB_FIELD_BLOBS;
        memory.blobs = &blob;
        memory.blob_count = 1;
        bytes += BLOB_BYTES;
    }
    must(db, memdb_put(txn, space, &memory, NULL), "put");
    return bytes;
}

/// Put memories [0, count), or only those that stay. Returns what those that stay take.
static uint64_t fill(memdb_t *db, uint64_t count, bool live_only) {
    uint64_t live = 0;
    for (uint64_t from = 0; from < count; from += BATCH) {
        memdb_txn_t *txn;
        memdb_space_t space;
        must(db, memdb_txn_begin(db, &txn), "begin");
        must(db, memdb_space_ensure(txn, (memdb_bytes_t){"main", 4}, &space), "space");
        for (uint64_t i = from; i < from + BATCH && i < count; i++)
            if (stays(i) || !live_only) {
                uint64_t bytes = put(db, txn, space, i);
                live += stays(i) ? bytes : 0;
            }
        must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_OS, NULL), "commit");
    }
    return live;
}

static void forget(memdb_t *db, uint64_t count) {
    for (uint64_t from = 0; from < count; from += BATCH) {
        memdb_txn_t *txn;
        memdb_space_t space;
        must(db, memdb_txn_begin(db, &txn), "begin");
        must(db, memdb_space_ensure(txn, (memdb_bytes_t){"main", 4}, &space), "space");
        for (uint64_t i = from; i < from + BATCH && i < count; i++)
            if (!stays(i)) {
                char key[BENCH_KEY_BYTES + 1];
                memdb_memory_t memory;
                bench_key(i, key);
                must(db,
                     memdb_get_by_key(memdb_txn_snapshot(txn), space,
                                      (memdb_bytes_t){key, BENCH_KEY_BYTES}, &memory),
                     "get");
                must(db, memdb_forget(txn, space, memory.id), "forget");
            }
        must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_OS, NULL), "commit");
    }
}

// ------------------------------------------------------------------------------ other processes

static void read_for_ever(const char *path, uint64_t count) {
    memdb_t *db = open_at(path);
    uint8_t bytes[BLOB_BYTES];
    for (uint64_t i = 0;; i++) {
        uint64_t number = bench_mix(i) % count / 10 * 10 + 3;
        memdb_snapshot_t *snapshot;
        memdb_space_t space;
        memdb_memory_t memory;
        char key[BENCH_KEY_BYTES + 1];
        bench_key(number, key);
        must(db, memdb_snapshot_begin(db, NULL, &snapshot), "snapshot");
        must(db, memdb_space_find(snapshot, (memdb_bytes_t){"main", 4}, &space), "space");
        must(db, memdb_get_by_key(snapshot, space, (memdb_bytes_t){key, BENCH_KEY_BYTES}, &memory),
             "read");
        if (memory.blob_count) {
            memdb_blob_reader_t *reader;
            size_t size;
            must(db, memdb_blob_reader_open(snapshot, &memory.blobs[0], &reader), "blob");
            must(db, memdb_blob_reader_read(reader, 0, bytes, sizeof bytes, &size), "blob");
            memdb_blob_reader_close(reader);
        }
        memdb_snapshot_end(snapshot);
        usleep(100);
    }
}

/// Changes one memory that stays again and again, with a blob now and then.
static void write_for_ever(const char *path) {
    memdb_t *db = open_at(path);
    for (uint64_t i = 0;; i++) {
        memdb_txn_t *txn;
        memdb_space_t space;
        must(db, memdb_txn_begin(db, &txn), "begin");
        must(db, memdb_space_ensure(txn, (memdb_bytes_t){"main", 4}, &space), "space");
        put(db, txn, space, i % 10 * 10 + 3);
        memdb_status_t status = memdb_txn_commit(txn, MEMDB_DURABILITY_OS, NULL);
        if (status != MEMDB_CONFLICT)
            must(db, status, "write");
        usleep(2000);
    }
}

static pid_t start(const char *path, uint64_t count, bool writes) {
    pid_t child = fork();
    if (child < 0)
        bench_stop("fork", "refused");
    if (child == 0) {
        if (writes)
            write_for_ever(path);
        read_for_ever(path, count);
    }
    return child;
}

static void end(pid_t child) {
    int ended;
    kill(child, SIGKILL);
    waitpid(child, &ended, 0);
    if (!WIFSIGNALED(ended))
        bench_stop("a process beside", "stopped by itself");
}

// ------------------------------------------------------------------------------ figures

static void tell(const char *what, uint64_t bytes, uint64_t live) {
    printf("%-46s %9.2f MiB  %6.2f times the live bytes\n", what, (double)bytes / MIB,
           (double)bytes / (double)live);
    fflush(stdout);
}

static uint64_t file_bytes(memdb_t *db) {
    memdb_stats_t stats = {.size = sizeof stats};
    must(db, memdb_get_stats(db, &stats), "stats");
    return stats.file_bytes;
}

static void run(const char *path, const char *fresh, uint64_t count) {
    memdb_space_report_t report = {.size = sizeof report};
    memdb_t *db = open_at(path);
    uint64_t live = fill(db, count, false);
    tell("all, checkpointed as it comes", file_bytes(db), live);
    forget(db, count);
    must(db, memdb_checkpoint(db), "checkpoint");
    tell("nine of ten forgotten, checkpoints only", file_bytes(db), live);
    must(db, memdb_close(db), "close"); // before the others are made
    pid_t reader = start(path, count, false), writer = start(path, count, true);
    db = open_at(path);
    sleep(1);
    double began = bench_seconds();
    must(db, memdb_compact(db, &report), "compact");
    double took = bench_seconds() - began;
    tell("compacted beside a reader and a writer", report.bytes_after, live);
    printf("  in %.2f s; %llu extents collected, %llu wait (%.2f MiB)\n", took,
           (unsigned long long)report.extents_collected, (unsigned long long)report.extents_waiting,
           (double)report.waiting_bytes / MIB);
    sleep(1);
    must(db, memdb_compact(db, &report), "compact");
    tell("once more", report.bytes_after, live);
    end(reader);
    end(writer);
    must(db, memdb_verify(db, NULL, NULL), "verify");
    must(db, memdb_compact(db, &report), "compact");
    tell("alone", report.bytes_after, live);
    must(db, memdb_close(db), "close");
    db = open_at(fresh);
    fill(db, count, true);
    must(db, memdb_compact(db, &report), "compact");
    tell("a fresh database of the live memories", report.bytes_after, live);
    must(db, memdb_close(db), "close");
}

int main(int count, char **words) {
    uint64_t memories = 200000;
    const char *at = NULL;
    char path[512], fresh[512];
    for (int i = 1; i < count; i++) {
        if (!strcmp(words[i], "--memories") && i + 1 < count)
            memories = strtoull(words[++i], NULL, 10);
        else if (!strcmp(words[i], "--at") && i + 1 < count)
            at = words[++i];
        else
            bench_stop("usage", "space [--memories N] [--at FOLDER]");
    }
    if (memories < 100)
        bench_stop("usage", "at least 100 memories");
    bench_describe("space");
    bench_folder_make(bench_at(at), "memdb", path, sizeof path);
    bench_folder_make(bench_at(at), "fresh", fresh, sizeof fresh);
    run(path, fresh, memories / 100 * 100);
    bench_folder_remove(path);
    bench_folder_remove(fresh);
    return 0;
}
