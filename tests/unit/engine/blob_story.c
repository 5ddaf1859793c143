// See blob_story.h.
#include "tests/unit/engine/blob_story.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint8_t content[BLOB_BYTES], read_back[BLOB_BYTES];

static void fill(uint32_t seed) {
    uint64_t state = (uint64_t)seed << 32;
    for (size_t i = 0; i < BLOB_BYTES; i++) { // splitmix64 (Steele, Lea, Flood)
        uint64_t z = state += UINT64_C(0x9E3779B97F4A7C15);
        z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
        content[i] = (uint8_t)(z >> 27);
    }
}

memdb_status_t put_in(memdb_t *db, memdb_txn_t *txn, memdb_space_t space, int number) {
    char key[32];
    memdb_blob_t blob;
    snprintf(key, sizeof key, "k%d", number);
    fill((uint32_t)number);
    must(db, memdb_blob_put(txn, content, BLOB_BYTES, &blob));
    blob.media_type = text("application/octet-stream");
    memdb_memory_t memory = {.size = sizeof memory,
                             .fields = MEMDB_FIELD_KEY | MEMDB_FIELD_TEXT | MEMDB_FIELD_BLOBS,
                             .key = text(key),
                             .text = text("words of a memory with a blob"),
                             .blobs = &blob,
                             .blob_count = 1};
    return memdb_put(txn, space, &memory, NULL);
}

void put_one(memdb_t *db, memdb_space_t space, int number) {
    memdb_txn_t *txn;
    must(db, memdb_txn_begin(db, &txn));
    must(db, put_in(db, txn, space, number));
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_OS, NULL));
}

void put_many(memdb_t *db, memdb_space_t space, int from, int to) {
    for (int i = from; i < to; i++) {
        put_one(db, space, i);
    }
}

void forget_many(memdb_t *db, memdb_space_t space, int from, int to) {
    memdb_txn_t *txn;
    must(db, memdb_txn_begin(db, &txn));
    for (int i = from; i < to; i++) {
        char key[32];
        memdb_memory_t memory;
        snprintf(key, sizeof key, "k%d", i);
        must(db, memdb_get_by_key(memdb_txn_snapshot(txn), space, text(key), &memory));
        must(db, memdb_forget(txn, space, memory.id));
    }
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_OS, NULL));
}

/// Through a snapshot: the memory is there, with its blob.
void check_one(memdb_t *db, memdb_snapshot_t *snapshot, memdb_space_t space, int number) {
    char key[32];
    memdb_memory_t memory;
    memdb_blob_reader_t *reader;
    size_t size;
    snprintf(key, sizeof key, "k%d", number);
    must(db, memdb_get_by_key(snapshot, space, text(key), &memory));
    assert_int_equal(memory.blob_count, 1);
    must(db, memdb_blob_reader_open(snapshot, &memory.blobs[0], &reader));
    must(db, memdb_blob_reader_read(reader, 0, read_back, BLOB_BYTES, &size));
    memdb_blob_reader_close(reader);
    fill((uint32_t)number);
    assert_int_equal(size, BLOB_BYTES);
    assert_memory_equal(read_back, content, BLOB_BYTES);
}

void check_many(memdb_t *db, memdb_space_t space, int from, int to) {
    memdb_snapshot_t *snapshot;
    must(db, memdb_snapshot_begin(db, NULL, &snapshot));
    for (int i = from; i < to; i++) {
        check_one(db, snapshot, space, i);
    }
    memdb_snapshot_end(snapshot);
}

memdb_stats_t stats_of(memdb_t *db) {
    memdb_stats_t stats = {.size = sizeof stats};
    must(db, memdb_get_stats(db, &stats));
    return stats;
}

int extent_files(const char *path) {
    char name[300];
    int count = 0;
    snprintf(name, sizeof name, "%s/blob", path);
    DIR *directory = opendir(name);
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory));) {
        count += entry->d_name[0] != '.';
    }
    closedir(directory);
    return count;
}

memdb_t *open_again(const char *path, uint32_t flags) {
    memdb_options_t options = {.size = sizeof options, .flags = flags, .no_background = true};
    memdb_t *db;
    must(NULL, memdb_open(path, &options, &db, NULL));
    return db;
}

void reopen(fixture_t *fixture) {
    fixture_close(fixture);
    fixture_open(fixture, (memdb_options_t){.no_background = true});
}

memdb_status_t change_text(memdb_t *db, memdb_space_t space, const char *key) {
    memdb_txn_t *txn;
    memdb_memory_t memory = {.size = sizeof memory,
                             .fields = MEMDB_FIELD_KEY | MEMDB_FIELD_TEXT,
                             .key = text(key),
                             .text = text("changed while its blob is on the move")};
    must(db, memdb_txn_begin(db, &txn));
    must(db, memdb_put(txn, space, &memory, NULL));
    return memdb_txn_commit(txn, MEMDB_DURABILITY_OS, NULL);
}

void expect_nothing_waits(fixture_t *fixture, int most_blobs) {
    must(fixture->db, memdb_checkpoint(fixture->db));
    assert_int_equal(stats_of(fixture->db).extents_waiting, 0);
    assert_true(stats_of(fixture->db).blob_bytes < (unsigned)most_blobs * BLOB_BYTES);
}
