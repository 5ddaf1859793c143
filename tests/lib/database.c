// Test helper. See database.h.
#include "tests/lib/database.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *at) {
    (void)about;
    (void)kind;
    (void)at;
    return remove(path);
}

void remove_tree(const char *path) {
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int fixture_setup(void **state) {
    fixture_t *fixture = calloc(1, sizeof *fixture);
    const char *parent = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    char root[200];
    snprintf(root, sizeof root, "%s/memdb-test-XXXXXX", parent);
    if (!fixture || !mkdtemp(root)) {
        return 1;
    }
    snprintf(fixture->path, sizeof fixture->path, "%s/db", root);
    *state = fixture;
    fixture_open(fixture, (memdb_options_t){0});
    return 0;
}

int fixture_teardown(void **state) {
    fixture_t *fixture = *state;
    memdb_close(fixture->db);
    *strrchr(fixture->path, '/') = 0;
    remove_tree(fixture->path);
    free(fixture);
    return 0;
}

void fixture_open(fixture_t *fixture, memdb_options_t options) {
    memdb_error_t error = {0};
    options.size = sizeof options;
    options.flags |= MEMDB_OPEN_CREATE;
    if (memdb_open(fixture->path, &options, &fixture->db, &error)) {
        fail_msg("%s", error.message);
    }
}

void fixture_close(fixture_t *fixture) {
    must(fixture->db, memdb_close(fixture->db));
    fixture->db = NULL;
}

void fixture_copy(const fixture_t *fixture, const char *suffix, char path_out[256]) {
    char command[1024];
    snprintf(path_out, 256, "%.*s%s", 200, fixture->path, suffix);
    snprintf(command, sizeof command, "rm -rf '%s' && cp -a '%s' '%s'", path_out, fixture->path, path_out);
    if (system(command) != 0) {
        fail_msg("cannot copy %s", fixture->path);
    }
}

memdb_bytes_t text(const char *terminated) {
    return (memdb_bytes_t){terminated, strlen(terminated)};
}

void assert_ok(memdb_t *db, memdb_status_t status, const char *file, int line) {
    if (status) {
        char message[600] = "";
        if (db) {
            memdb_last_error(db, message, sizeof message);
        }
        print_error("%s:%d: %s: %s\n", file, line, memdb_status_name(status), message);
        fail();
    }
}

memdb_space_t space_of(memdb_t *db, const char *name) {
    memdb_txn_t *txn;
    memdb_space_t space = 0;
    must(db, memdb_txn_begin(db, &txn));
    must(db, memdb_space_ensure(txn, text(name), &space));
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_DEFAULT, NULL));
    return space;
}

uint64_t put_text(memdb_t *db, memdb_space_t space, const char *key, const char *words) {
    memdb_txn_t *txn;
    uint64_t id = 0;
    memdb_memory_t memory = {.size = sizeof memory, .fields = MEMDB_FIELD_KEY | MEMDB_FIELD_TEXT, .key = text(key), .text = text(words)};
    must(db, memdb_txn_begin(db, &txn));
    must(db, memdb_put(txn, space, &memory, &id));
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_DEFAULT, NULL));
    return id;
}

const char *get_text(memdb_t *db, memdb_space_t space, const char *key) {
    static _Thread_local char buffer[65536];
    memdb_snapshot_t *snapshot;
    memdb_memory_t memory;
    must(db, memdb_snapshot_begin(db, NULL, &snapshot));
    memdb_status_t status = memdb_get_by_key(snapshot, space, text(key), &memory);
    if (!status) {
        snprintf(buffer, sizeof buffer, "%.*s", (int)memory.text.size, memory.text.data);
    }
    memdb_snapshot_end(snapshot);
    if (status != MEMDB_NOT_FOUND) {
        must(db, status);
    }
    return status ? NULL : buffer;
}
