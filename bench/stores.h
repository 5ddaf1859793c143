// Five stores behind one small interface, so that commit.c, contention.c and recovery.c ask all of
// them for the same: memdb through its public API, twice, and SQLite, LMDB and RocksDB as peers.
//
// A record is a key of 16 hex digits and a text of 240 bytes, made from its number. `memdb` keeps
// the record as its peers do, in a space without words; `memdb+w` also makes the text findable by
// its words, which none of the peers does here. A store is one database; a session is what one
// thread has of it. Whatever goes wrong ends the program with the store's own message.
#ifndef MEMDB_BENCH_STORES_H
#define MEMDB_BENCH_STORES_H

#include "bench/common.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// What a commit survives: power loss, the death of the process, nothing.
typedef enum store_level { STORE_FULL, STORE_OS, STORE_NONE, STORE_LEVELS } store_level_t;

typedef struct store_options {
    store_level_t level;
    bool keep_log; ///< no checkpoint by itself: the log grows until the store is closed
} store_options_t;

typedef struct store_api {
    const char *name;
    bool one_process;                   ///< a second process cannot open it
    const char *settings[STORE_LEVELS]; ///< how each level is had
    const char *(*version)(void);
    /// Open, or create, in the folder `path`, which exists.
    void *(*open)(const char *path, const store_options_t *options);
    void (*close)(void *store);
    void *(*begin)(void *store);
    void (*end)(void *session);
    /// One transaction that puts records `first` to `first + count - 1`.
    void (*put)(void *session, uint64_t first, uint32_t count);
    /// Read one record through a snapshot of its own.
    bool (*get)(void *session, uint64_t number);
    /// Bytes of log that an opening would replay.
    uint64_t (*log_bytes)(void *store);
} store_api_t;

/// Those that this program was built with; memdb is the first. NULL at the end.
extern const store_api_t *const stores[];
extern const store_api_t store_memdb, store_memdb_words, store_sqlite, store_lmdb, store_rocksdb;

/// One line a store: version, and how the level is had.
void stores_describe(store_level_t level);

#endif
