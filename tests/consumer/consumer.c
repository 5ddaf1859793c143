// A program that knows the installation alone: it creates a database, commits, reopens, and finds its memory again.
#include <memdb.h>

#include <stdio.h>
#include <string.h>

static int fail(const char *step, memdb_status_t status) {
    fprintf(stderr, "%s: %s\n", step, memdb_status_name(status));
    return 1;
}

static memdb_bytes_t bytes(const char *text) {
    return (memdb_bytes_t){text, strlen(text)};
}

static memdb_status_t write_one(memdb_t *db) {
    memdb_txn_t *txn;
    memdb_status_t status = memdb_txn_begin(db, &txn);
    if (status != MEMDB_OK)
        return status;
    memdb_space_t space;
    memdb_memory_t memory = {.size = sizeof memory, .fields = MEMDB_FIELD_KEY | MEMDB_FIELD_TEXT};
    memory.key = bytes("first");
    memory.text = bytes("the harbour lantern was lit at dusk");
    status = memdb_space_ensure(txn, bytes("main"), &space);
    if (status == MEMDB_OK)
        status = memdb_put(txn, space, &memory, NULL);
    if (status == MEMDB_OK)
        return memdb_txn_commit(txn, MEMDB_DURABILITY_FULL, NULL);
    memdb_txn_abort(txn);
    return status;
}

static memdb_status_t find_one(memdb_t *db) {
    memdb_snapshot_t *snapshot;
    memdb_status_t status = memdb_snapshot_begin(db, NULL, &snapshot);
    if (status != MEMDB_OK)
        return status;
    memdb_space_t space;
    memdb_result_t *result = NULL;
    status = memdb_space_find(snapshot, bytes("main"), &space);
    if (status == MEMDB_OK) {
        memdb_query_t query = {.size = sizeof query, .spaces = &space, .space_count = 1};
        query.text = bytes("who lit the lantern?");
        status = memdb_recall(snapshot, &query, &result);
    }
    if (status == MEMDB_OK && memdb_result_count(result) != 1)
        status = MEMDB_NOT_FOUND;
    memdb_memory_t memory = {.size = sizeof memory};
    if (status == MEMDB_OK)
        status = memdb_get(snapshot, space, memdb_result_hit(result, 0)->id, &memory);
    if (status == MEMDB_OK)
        printf("%.*s\n", (int)memory.text.size, memory.text.data);
    memdb_result_free(result);
    memdb_snapshot_end(snapshot);
    return status;
}

int main(int argc, char **argv) {
    if (argc != 2)
        return 2;
    memdb_t *db;
    memdb_error_t error;
    memdb_options_t options = {.size = sizeof options, .flags = MEMDB_OPEN_CREATE};
    memdb_status_t status = memdb_open(argv[1], &options, &db, &error);
    if (status != MEMDB_OK)
        return fail(error.message, status);
    status = write_one(db);
    if (status != MEMDB_OK)
        return fail("write", status);
    status = memdb_close(db);
    if (status != MEMDB_OK)
        return fail("close", status);
    status = memdb_open(argv[1], NULL, &db, &error);
    if (status != MEMDB_OK)
        return fail(error.message, status);
    status = find_one(db);
    if (status != MEMDB_OK)
        return fail("find", status);
    status = memdb_close(db);
    return status == MEMDB_OK ? 0 : fail("close", status);
}
