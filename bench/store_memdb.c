// memdb behind the benchmarks' interface: one put with a key and a text a record, no vector; with
// and without words.
#include "bench/stores.h"
#include "include/memdb.h"

#include <stdlib.h>

#define KEPT_BYTES (UINT64_C(16) << 30) // no back-pressure where no checkpoint makes room

typedef struct store {
    memdb_t *db;
    memdb_space_t space;
    memdb_durability_t durability;
} store_t;

static void check(store_t *store, const char *what, memdb_status_t status) {
    char message[512] = "";
    if (status) {
        memdb_last_error(store->db, message, sizeof message);
        bench_stop(what, message[0] ? message : memdb_status_name(status));
    }
}

static memdb_space_t create_space(store_t *store, memdb_bytes_t name,
                                  memdb_tokenizer_kind_t tokenizer) {
    memdb_txn_t *txn;
    memdb_space_t space;
    memdb_space_options_t options = {.size = sizeof options, .tokenizer = tokenizer};
    check(store, "begin", memdb_txn_begin(store->db, &txn));
    check(store, "space", memdb_space_create(txn, name, &options, &space));
    check(store, "commit", memdb_txn_commit(txn, store->durability, NULL));
    return space;
}

static void *open_with(const char *path, const store_options_t *options,
                       memdb_tokenizer_kind_t tokenizer) {
    static const memdb_durability_t durabilities[STORE_LEVELS] = {
        MEMDB_DURABILITY_FULL, MEMDB_DURABILITY_OS, MEMDB_DURABILITY_NONE};
    store_t *store = bench_allocate(sizeof *store);
    store->durability = durabilities[options->level];
    memdb_options_t open = {.size = sizeof open,
                            .flags = MEMDB_OPEN_CREATE,
                            .durability = store->durability,
                            .no_background = options->keep_log};
    if (options->keep_log)
        open.log_limit_bytes = open.delta_limit_bytes = KEPT_BYTES;
    memdb_error_t error;
    if (memdb_open(path, &open, &store->db, &error))
        bench_stop("memdb", error.message);
    memdb_snapshot_t *snapshot;
    memdb_bytes_t name = {"main", 4};
    check(store, "snapshot", memdb_snapshot_begin(store->db, NULL, &snapshot));
    memdb_status_t status = memdb_space_find(snapshot, name, &store->space);
    memdb_snapshot_end(snapshot);
    if (status == MEMDB_NOT_FOUND)
        store->space = create_space(store, name, tokenizer);
    else
        check(store, "space", status);
    return store;
}

static void *open_store(const char *path, const store_options_t *options) {
    return open_with(path, options, MEMDB_TOKENIZER_NONE);
}

static void *open_store_words(const char *path, const store_options_t *options) {
    return open_with(path, options, MEMDB_TOKENIZER_ENGLISH);
}

static void close_store(void *context) {
    store_t *store = context;
    memdb_status_t status = memdb_close(store->db);
    if (status)
        bench_stop("memdb: close", memdb_status_name(status));
    free(store);
}

static void *begin(void *context) {
    return context; // a handle is for all threads
}

static void end(void *context) {
    (void)context;
}

static void put(void *context, uint64_t first, uint32_t count) {
    store_t *store = context;
    char key[BENCH_KEY_BYTES + 1];
    memdb_txn_t *txn;
    check(store, "begin", memdb_txn_begin(store->db, &txn));
    for (uint32_t i = 0; i < count; i++) {
        bench_key(first + i, key);
        memdb_memory_t memory = {.size = sizeof memory,
                                 .fields = MEMDB_FIELD_KEY | MEMDB_FIELD_TEXT,
                                 .key = {key, BENCH_KEY_BYTES},
                                 .text = {bench_text(first + i), BENCH_TEXT_BYTES}};
        check(store, "put", memdb_put(txn, store->space, &memory, NULL));
    }
    check(store, "commit", memdb_txn_commit(txn, store->durability, NULL));
}

static bool get(void *context, uint64_t number) {
    store_t *store = context;
    char key[BENCH_KEY_BYTES + 1];
    memdb_snapshot_t *snapshot;
    memdb_memory_t memory;
    bench_key(number, key);
    check(store, "snapshot", memdb_snapshot_begin(store->db, NULL, &snapshot));
    memdb_status_t status =
        memdb_get_by_key(snapshot, store->space, (memdb_bytes_t){key, BENCH_KEY_BYTES}, &memory);
    bool fine = !status && memory.text.size == BENCH_TEXT_BYTES;
    memdb_snapshot_end(snapshot);
    if (status != MEMDB_NOT_FOUND)
        check(store, "get", status);
    return fine;
}

static uint64_t log_bytes(void *context) {
    store_t *store = context;
    memdb_stats_t stats = {.size = sizeof stats};
    check(store, "stats", memdb_get_stats(store->db, &stats));
    return stats.log_bytes;
}

#define MEMDB_STORE(shown, opener)                                                                 \
    {                                                                                              \
        .name = shown, .settings = {"durability full", "durability os", "durability none"},        \
        .version = memdb_version, .open = opener, .close = close_store, .begin = begin,            \
        .end = end, .put = put, .get = get, .log_bytes = log_bytes                                 \
    }
const store_api_t store_memdb = MEMDB_STORE("memdb", open_store);
const store_api_t store_memdb_words = MEMDB_STORE("memdb+w", open_store_words);
