// The library as a program uses it, for bench/words.c: everything through memdb.h.
#include "bench/common.h"
#include "bench/words_peers.h"
#include "include/memdb.h"

#include <stdlib.h>

#define BATCH 1000

struct words_library {
    memdb_t *db;
    memdb_space_t space;
    char path[512];
};

static void check(const words_library_t *library, const char *what, memdb_status_t status) {
    char message[512] = "";
    if (status) {
        memdb_last_error(library->db, message, sizeof message);
        words_stop(what, message[0] ? message : memdb_status_name(status));
    }
}

static void open_database(words_library_t *library) {
    memdb_options_t options = {.size = sizeof options, .flags = MEMDB_OPEN_CREATE};
    memdb_error_t error;
    if (memdb_open(library->path, &options, &library->db, &error)) {
        words_stop("open", error.message);
    }
}

words_library_t *words_library_build(const words_lines_t *documents) {
    words_library_t *library = calloc(1, sizeof *library);
    memdb_txn_t *txn = NULL;
    bench_folder_make(bench_at(NULL), "memdb-bench-words", library->path, sizeof library->path);
    open_database(library);
    for (size_t i = 0; i < documents->count; i++) {
        if (!txn) {
            check(library, "begin", memdb_txn_begin(library->db, &txn));
        }
        if (i == 0) {
            check(library, "space",
                  memdb_space_ensure(txn, (memdb_bytes_t){"main", 4}, &library->space));
        }
        memdb_memory_t memory = {.size = sizeof memory,
                                 .fields = MEMDB_FIELD_TEXT,
                                 .text = {documents->lines[i].text, documents->lines[i].size}};
        check(library, "put", memdb_put(txn, library->space, &memory, NULL));
        if (i % BATCH == BATCH - 1 || i + 1 == documents->count) {
            check(library, "commit", memdb_txn_commit(txn, MEMDB_DURABILITY_OS, NULL));
            txn = NULL;
        }
    }
    check(library, "checkpoint", memdb_checkpoint(library->db));
    memdb_close(library->db);
    open_database(library);
    return library;
}

void words_library_close(words_library_t *library) {
    memdb_close(library->db);
    bench_folder_remove(library->path);
    free(library);
}

size_t words_library_ask(words_library_t *library, const words_line_t *question) {
    memdb_snapshot_t *snapshot;
    memdb_result_t *result;
    memdb_query_t query = {.size = sizeof query,
                           .spaces = &library->space,
                           .space_count = 1,
                           .text = {question->text, question->size},
                           .mode = MEMDB_RECALL_WORDS,
                           .k = 10};
    check(library, "snapshot", memdb_snapshot_begin(library->db, NULL, &snapshot));
    check(library, "recall", memdb_recall(snapshot, &query, &result));
    size_t count = memdb_result_count(result);
    memdb_result_free(result);
    memdb_snapshot_end(snapshot);
    return count;
}
