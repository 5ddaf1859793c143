// RocksDB behind the benchmarks' interface, through its C API: default options, no compression.
#include "bench/stores.h"

#include <dirent.h>
#include <rocksdb/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define KEPT_LOG_BYTES ((size_t)1 << 30)

typedef struct store {
    char path[1024];
    rocksdb_t *db;
    rocksdb_options_t *options;
    rocksdb_writeoptions_t *write;
    rocksdb_readoptions_t *read;
} store_t;

static void check(char *error) {
    if (error)
        bench_stop("rocksdb", error);
}

static const char *version(void) {
    return MEMDB_ROCKSDB_VERSION;
}

static void *open_store(const char *path, const store_options_t *options) {
    store_t *store = bench_allocate(sizeof *store);
    char *error = NULL;
    snprintf(store->path, sizeof store->path, "%s", path);
    store->options = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(store->options, 1);
    rocksdb_options_set_compression(store->options, rocksdb_no_compression);
    if (options->keep_log)
        rocksdb_options_set_write_buffer_size(store->options, KEPT_LOG_BYTES);
    store->write = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(store->write, options->level == STORE_FULL);
    rocksdb_writeoptions_disable_WAL(store->write, options->level == STORE_NONE);
    store->read = rocksdb_readoptions_create();
    store->db = rocksdb_open(store->options, path, &error);
    check(error);
    return store;
}

static void close_store(void *context) {
    store_t *store = context;
    rocksdb_close(store->db);
    rocksdb_readoptions_destroy(store->read);
    rocksdb_writeoptions_destroy(store->write);
    rocksdb_options_destroy(store->options);
    free(store);
}

static void *begin(void *context) {
    return context; // a database is for all threads
}

static void end(void *context) {
    (void)context;
}

static void put(void *context, uint64_t first, uint32_t count) {
    store_t *store = context;
    char key[BENCH_KEY_BYTES + 1], *error = NULL;
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    for (uint32_t i = 0; i < count; i++) {
        bench_key(first + i, key);
        rocksdb_writebatch_put(batch, key, BENCH_KEY_BYTES, bench_text(first + i),
                               BENCH_TEXT_BYTES);
    }
    rocksdb_write(store->db, store->write, batch, &error);
    check(error);
    rocksdb_writebatch_destroy(batch);
}

static bool get(void *context, uint64_t number) {
    store_t *store = context;
    char key[BENCH_KEY_BYTES + 1], *error = NULL;
    size_t size = 0;
    bench_key(number, key);
    rocksdb_pinnableslice_t *text =
        rocksdb_get_pinned(store->db, store->read, key, BENCH_KEY_BYTES, &error);
    check(error);
    bool fine = text && rocksdb_pinnableslice_value(text, &size) && size == BENCH_TEXT_BYTES;
    if (text)
        rocksdb_pinnableslice_destroy(text);
    return fine;
}

static uint64_t log_bytes(void *context) {
    store_t *store = context;
    uint64_t bytes = 0;
    DIR *folder = opendir(store->path);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        const char *dot = strrchr(entry->d_name, '.');
        struct stat file;
        if (dot && strcmp(dot, ".log") == 0 && !fstatat(dirfd(folder), entry->d_name, &file, 0))
            bytes += (uint64_t)file.st_size;
    }
    if (folder)
        closedir(folder);
    return bytes;
}

const store_api_t store_rocksdb = {
    .name = "RocksDB",
    .one_process = true,
    .settings = {"sync=true", "sync=false", "disableWAL"},
    .version = version,
    .open = open_store,
    .close = close_store,
    .begin = begin,
    .end = end,
    .put = put,
    .get = get,
    .log_bytes = log_bytes,
};
