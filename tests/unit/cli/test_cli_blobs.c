// Blobs through the shell: a dump carries them, and loads into a database that has the same bytes;
// a dump whose blobs are not whole is refused and leaves nothing.
#include "tests/lib/database.h"

#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define PIECE 49152u // bytes of a line

static const uint64_t sizes[] = {0, 1, 2, 3, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 3000017};
#define SIZES (sizeof sizes / sizeof *sizes)

/// The byte of blob `number` at a place.
static uint8_t byte_of(size_t number, uint64_t at) {
    return (uint8_t)((at * 2654435761u + number * 97) >> 13);
}

static int shell(const char *database, const char *command, const char *file) {
    char *words[] = {(char *)MEMDB_SHELL, (char *)database, (char *)command, (char *)file, NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int status;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", 1, 0);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", 1, 0);
    assert_int_equal(posix_spawn(&pid, MEMDB_SHELL, &actions, NULL, words, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static memdb_blob_t put_blob(memdb_t *db, memdb_txn_t *txn, size_t number) {
    memdb_blob_t blob;
    uint8_t *data = malloc(sizes[number] + 1);
    for (uint64_t i = 0; i < sizes[number]; i++)
        data[i] = byte_of(number, i);
    must(db, memdb_blob_put(txn, data, sizes[number], &blob));
    blob.media_type = text(number % 2 ? "image/png" : "");
    free(data);
    return blob;
}

/// A memory with all of them, one with the last alone, one with none.
static void fill(memdb_t *db) {
    memdb_space_t space = space_of(db, "main");
    memdb_txn_t *txn;
    memdb_blob_t blobs[SIZES];
    must(db, memdb_txn_begin(db, &txn));
    for (size_t i = 0; i < SIZES; i++)
        blobs[i] = put_blob(db, txn, i);
    memdb_memory_t memory = {.size = sizeof memory,
                             .fields = MEMDB_FIELD_TEXT | MEMDB_FIELD_KEY | MEMDB_FIELD_BLOBS,
                             .key = text("all"),
                             .text = text("all of them"),
                             .blobs = blobs,
                             .blob_count = SIZES};
    must(db, memdb_put(txn, space, &memory, NULL));
    memory.key = text("last");
    memory.blobs = &blobs[SIZES - 1];
    memory.blob_count = 1;
    must(db, memdb_put(txn, space, &memory, NULL));
    memory.key = text("none");
    memory.fields &= ~(uint32_t)MEMDB_FIELD_BLOBS;
    must(db, memdb_put(txn, space, &memory, NULL));
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_OS, NULL));
}

static void check_blob(memdb_t *db, memdb_snapshot_t *snapshot, const memdb_blob_t *blob,
                       size_t number) {
    static uint8_t data[65536];
    memdb_blob_reader_t *reader;
    assert_int_equal(blob->size_bytes, sizes[number]);
    assert_int_equal(blob->media_type.size, number % 2 ? 9 : 0);
    must(db, memdb_blob_reader_open(snapshot, blob, &reader));
    for (uint64_t at = 0; at < sizes[number];) {
        size_t got;
        must(db, memdb_blob_reader_read(reader, at, data, sizeof data, &got));
        for (size_t i = 0; i < got; i++)
            assert_int_equal(data[i], byte_of(number, at + i));
        at += got;
    }
    memdb_blob_reader_close(reader);
}

static void check(const char *path) {
    fixture_t copy = {0};
    snprintf(copy.path, sizeof copy.path, "%s", path);
    fixture_open(&copy, (memdb_options_t){0});
    memdb_space_t space = space_of(copy.db, "main");
    memdb_snapshot_t *snapshot;
    memdb_memory_t memory = {.size = sizeof memory};
    must(copy.db, memdb_snapshot_begin(copy.db, NULL, &snapshot));
    must(copy.db, memdb_get_by_key(snapshot, space, text("all"), &memory));
    assert_int_equal(memory.blob_count, SIZES);
    for (size_t i = 0; i < SIZES; i++)
        check_blob(copy.db, snapshot, &memory.blobs[i], i);
    must(copy.db, memdb_get_by_key(snapshot, space, text("last"), &memory));
    assert_int_equal(memory.blob_count, 1);
    check_blob(copy.db, snapshot, memory.blobs, SIZES - 1);
    must(copy.db, memdb_get_by_key(snapshot, space, text("none"), &memory));
    assert_int_equal(memory.blob_count, 0);
    memdb_snapshot_end(snapshot);
    fixture_close(&copy);
}

static void path_of(char *out, size_t size, const fixture_t *fixture, const char *suffix) {
    snprintf(out, size, "%.200s%s", fixture->path, suffix);
}

static void test_a_dump_carries_blobs(void **state) {
    fixture_t *fixture = *state;
    char file[256], copy[256];
    path_of(file, sizeof file, fixture, ".jsonl");
    path_of(copy, sizeof copy, fixture, "-copy");
    fill(fixture->db);
    fixture_close(fixture);
    assert_int_equal(shell(fixture->path, "dump", file), 0);
    assert_int_equal(shell(copy, "import", file), 0);
    check(copy);
    assert_int_equal(shell(copy, "verify", NULL), 0);
}

// ------------------------------------------------------------------------------ not whole

typedef enum change { DROP, TWICE, SHORTER } change_t;

/// Copy a dump, with line `number` of those that begin with `kind` changed. False: there is none.
static bool copy_changed(const char *from, const char *to, const char *kind, int number,
                         change_t change) {
    FILE *in = fopen(from, "r"), *out = fopen(to, "w");
    char *line = NULL;
    size_t room = 0;
    bool changed = false;
    ssize_t size;
    while ((size = getline(&line, &room, in)) > 0) {
        bool hit = strncmp(line, kind, strlen(kind)) == 0 && number-- == 0;
        changed = changed || hit;
        if (hit && change == SHORTER) // "...xxxx"}}
            memmove(line + size - 8, line + size - 4, 5);
        if (!hit || change != DROP)
            fputs(line, out);
        if (hit && change == TWICE)
            fputs(line, out);
    }
    free(line);
    fclose(in);
    fclose(out);
    return changed;
}

static void test_blobs_that_are_not_whole_are_refused(void **state) {
    static const char *const kinds[] = {"{\"blob\"", "{\"bytes\"", "{\"memory\""};
    fixture_t *fixture = *state;
    char file[256], wrong[256], copy[256];
    path_of(file, sizeof file, fixture, ".jsonl");
    path_of(wrong, sizeof wrong, fixture, "-wrong.jsonl");
    fill(fixture->db);
    fixture_close(fixture);
    assert_int_equal(shell(fixture->path, "dump", file), 0);
    for (size_t kind = 0; kind < 3; kind++) {
        for (int number = 0; number < 12; number += 5) {
            for (change_t change = DROP; change <= (kind == 1 ? SHORTER : TWICE); change++) {
                if (!copy_changed(file, wrong, kinds[kind], number, change))
                    continue;
                path_of(copy, sizeof copy, fixture, "-refused");
                assert_int_equal(shell(copy, "import", wrong), 1);
                fixture_t refused = {0};
                memdb_space_t space;
                memdb_snapshot_t *snapshot;
                snprintf(refused.path, sizeof refused.path, "%s", copy);
                fixture_open(&refused, (memdb_options_t){0});
                must(refused.db, memdb_snapshot_begin(refused.db, NULL, &snapshot));
                assert_int_equal(memdb_space_find(snapshot, text("main"), &space), MEMDB_NOT_FOUND);
                memdb_snapshot_end(snapshot);
                fixture_close(&refused);
                remove_tree(copy);
            }
        }
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_dump_carries_blobs),
        TEST(test_blobs_that_are_not_whole_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
