// LMDB behind the benchmarks' interface: one environment; a reader renews its transaction.
#include "bench/stores.h"

#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>

#define MAP_BYTES ((size_t)8 << 30)

typedef struct store {
    MDB_env *environment;
    MDB_dbi records;
} store_t;

typedef struct session {
    store_t *store;
    MDB_txn *reader; // reset between reads
} session_t;

static void check(int result) {
    if (result)
        bench_stop("lmdb", mdb_strerror(result));
}

static const char *version(void) {
    static char text[32];
    int major, minor, patch;
    mdb_version(&major, &minor, &patch);
    snprintf(text, sizeof text, "%d.%d.%d", major, minor, patch);
    return text;
}

static void *open_store(const char *path, const store_options_t *options) {
    static const unsigned flags[STORE_LEVELS] = {0, MDB_NOSYNC, MDB_NOSYNC | MDB_WRITEMAP};
    store_t *store = bench_allocate(sizeof *store);
    MDB_txn *txn;
    check(mdb_env_create(&store->environment));
    check(mdb_env_set_mapsize(store->environment, MAP_BYTES));
    check(mdb_env_open(store->environment, path, flags[options->level], 0600));
    check(mdb_txn_begin(store->environment, NULL, 0, &txn));
    check(mdb_dbi_open(txn, NULL, 0, &store->records));
    check(mdb_txn_commit(txn));
    return store;
}

static void close_store(void *context) {
    store_t *store = context;
    mdb_env_close(store->environment);
    free(store);
}

static void *begin(void *context) {
    session_t *session = bench_allocate(sizeof *session);
    session->store = context;
    return session;
}

static void end(void *context) {
    session_t *session = context;
    if (session->reader)
        mdb_txn_abort(session->reader);
    free(session);
}

static void put(void *context, uint64_t first, uint32_t count) {
    session_t *session = context;
    char key[BENCH_KEY_BYTES + 1];
    MDB_txn *txn;
    check(mdb_txn_begin(session->store->environment, NULL, 0, &txn));
    for (uint32_t i = 0; i < count; i++) {
        bench_key(first + i, key);
        MDB_val name = {BENCH_KEY_BYTES, key};
        MDB_val text = {BENCH_TEXT_BYTES, (void *)(uintptr_t)bench_text(first + i)};
        check(mdb_put(txn, session->store->records, &name, &text, 0));
    }
    check(mdb_txn_commit(txn));
}

static bool get(void *context, uint64_t number) {
    session_t *session = context;
    char key[BENCH_KEY_BYTES + 1];
    bench_key(number, key);
    if (session->reader)
        check(mdb_txn_renew(session->reader));
    else
        check(mdb_txn_begin(session->store->environment, NULL, MDB_RDONLY, &session->reader));
    MDB_val name = {BENCH_KEY_BYTES, key}, text = {0};
    int result = mdb_get(session->reader, session->store->records, &name, &text);
    mdb_txn_reset(session->reader);
    if (result != MDB_NOTFOUND)
        check(result);
    return result == 0 && text.mv_size == BENCH_TEXT_BYTES;
}

static uint64_t log_bytes(void *context) {
    (void)context;
    return 0; // it has no log
}

const store_api_t store_lmdb = {
    .name = "LMDB",
    .settings = {"one environment, synced at each commit", "MDB_NOSYNC", "MDB_NOSYNC|MDB_WRITEMAP"},
    .version = version,
    .open = open_store,
    .close = close_store,
    .begin = begin,
    .end = end,
    .put = put,
    .get = get,
    .log_bytes = log_bytes,
};
