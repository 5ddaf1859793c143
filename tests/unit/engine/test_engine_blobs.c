// Blobs through the public functions: put whole or as a stream, equal content stored once, read
// back in parts before and after a checkpoint and a reopening; what names no blob, or a damaged
// one, is told; verify finds the damage.
#include "tests/lib/database.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BIG_BYTES (3u << 20)

static char *big;

static void put_named(memdb_t *db, memdb_txn_t *txn, memdb_space_t space, const char *key,
                      memdb_blob_t *blobs, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        blobs[i].media_type = text(i % 2 ? "image/png" : "");
    }
    memdb_memory_t memory = {.size = sizeof memory,
                             .fields = MEMDB_FIELD_KEY | MEMDB_FIELD_BLOBS,
                             .key = text(key),
                             .blobs = blobs,
                             .blob_count = count};
    must(db, memdb_put(txn, space, &memory, NULL));
}

static void stream(memdb_t *db, memdb_txn_t *txn, const char *data, size_t size, size_t step,
                   memdb_blob_t *blob) {
    memdb_blob_writer_t *writer;
    must(db, memdb_blob_writer_open(txn, &writer));
    for (size_t at = 0; at < size; at += step) {
        must(db, memdb_blob_writer_append(writer, data + at, size - at < step ? size - at : step));
    }
    must(db, memdb_blob_writer_append(writer, NULL, 0));
    must(db, memdb_blob_writer_finish(writer, blob));
}

static void check_content(memdb_t *db, memdb_snapshot_t *snapshot, const memdb_blob_t *blob,
                          const char *data, size_t size) {
    memdb_blob_reader_t *reader;
    size_t read = 0;
    char *buffer = malloc(size + 100);
    assert_int_equal(blob->size_bytes, size);
    must(db, memdb_blob_reader_open(snapshot, blob, &reader));
    must(db, memdb_blob_reader_read(reader, 0, buffer, size + 100, &read));
    assert_int_equal(read, size);
    assert_true(size == 0 || memcmp(buffer, data, size) == 0);
    for (size_t at = 0; at < size; at += size / 7 + 1) { // parts that cross the pieces
        must(db, memdb_blob_reader_read(reader, at, buffer, 70000, &read));
        assert_int_equal(read, size - at < 70000 ? size - at : 70000);
        assert_memory_equal(buffer, data + at, read);
    }
    must(db, memdb_blob_reader_read(reader, size, buffer, 10, &read));
    assert_int_equal(read, 0);
    must(db, memdb_blob_reader_read(reader, UINT64_MAX, buffer, 10, &read));
    assert_int_equal(read, 0);
    memdb_blob_reader_close(reader);
    free(buffer);
}

static void test_blobs_are_read_back_after_checkpoint_and_reopening(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space = space_of(fixture->db, "main");
    const size_t sizes[] = {0, 1, 65535, 65536, 65537, BIG_BYTES};
    memdb_blob_t blobs[6];
    memdb_txn_t *txn;
    must(fixture->db, memdb_txn_begin(fixture->db, &txn));
    for (size_t i = 0; i < 6; i++) {
        if (i % 2) {
            stream(fixture->db, txn, big, sizes[i], 10007, &blobs[i]);
        } else {
            must(fixture->db, memdb_blob_put(txn, big, sizes[i], &blobs[i]));
        }
        assert_int_equal(blobs[i].media_type.size, 0);
    }
    put_named(fixture->db, txn, space, "six", blobs, 6);
    check_content(fixture->db, memdb_txn_snapshot(txn), &blobs[5], big,
                  sizes[5]); // before the commit
    must(fixture->db, memdb_txn_commit(txn, MEMDB_DURABILITY_DEFAULT, NULL));
    for (int round = 0; round < 3; round++) {
        memdb_snapshot_t *snapshot;
        memdb_memory_t memory;
        must(fixture->db, memdb_snapshot_begin(fixture->db, NULL, &snapshot));
        must(fixture->db, memdb_get_by_key(snapshot, space, text("six"), &memory));
        assert_int_equal(memory.blob_count, 6);
        for (size_t i = 0; i < 6; i++) {
            assert_memory_equal(memory.blobs[i].reference, blobs[i].reference, 32);
            assert_int_equal(memory.blobs[i].media_type.size, i % 2 ? 9 : 0);
            check_content(fixture->db, snapshot, &memory.blobs[i], big, sizes[i]);
        }
        memdb_snapshot_end(snapshot);
        must(fixture->db, memdb_verify(fixture->db, NULL, NULL));
        must(fixture->db, round == 0 ? memdb_checkpoint(fixture->db) : MEMDB_OK);
        fixture_close(fixture);
        fixture_open(fixture, (memdb_options_t){0});
    }
}

static void test_equal_blobs_are_stored_once(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space = space_of(fixture->db, "main");
    memdb_blob_t first, again;
    memdb_stats_t before, after;
    for (int round = 0; round < 4;
         round++) { // in one transaction, another one, after a checkpoint, after reopening
        memdb_txn_t *txn;
        must(fixture->db, memdb_txn_begin(fixture->db, &txn));
        if (round == 0) {
            must(fixture->db, memdb_blob_put(txn, big, 100000, &first));
            put_named(fixture->db, txn, space, "first", &first, 1);
        }
        must(fixture->db, memdb_get_stats(fixture->db, &before));
        must(fixture->db, memdb_blob_put(txn, big, 100000, &again));
        assert_memory_equal(again.reference, first.reference, 32);
        must(fixture->db, memdb_get_stats(fixture->db, &after));
        assert_int_equal(after.blob_bytes, before.blob_bytes);
        stream(fixture->db, txn, big, 100000, 999, &again); // written, then found to be known
        assert_memory_equal(again.reference, first.reference, 32);
        put_named(fixture->db, txn, space, "again", &again, 1);
        must(fixture->db, memdb_txn_commit(txn, MEMDB_DURABILITY_DEFAULT, NULL));
        if (round == 1) {
            must(fixture->db, memdb_checkpoint(fixture->db));
        }
        if (round == 2) {
            fixture_close(fixture);
            fixture_open(fixture, (memdb_options_t){0});
        }
    }
}

static void test_a_blob_of_another_content_has_another_reference(void **state) {
    fixture_t *fixture = *state;
    memdb_txn_t *txn;
    memdb_blob_t a, b, c;
    must(fixture->db, memdb_txn_begin(fixture->db, &txn));
    must(fixture->db, memdb_blob_put(txn, big, 1000, &a));
    must(fixture->db, memdb_blob_put(txn, big, 1001, &b));
    must(fixture->db, memdb_blob_put(txn, big + 1, 1000, &c));
    assert_memory_not_equal(a.reference, b.reference, 32);
    assert_memory_not_equal(a.reference, c.reference, 32);
    memdb_txn_abort(txn);
}

static void test_writers_that_are_given_up_leave_nothing(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space = space_of(fixture->db, "main");
    memdb_txn_t *txn;
    memdb_blob_writer_t *writer;
    memdb_blob_t blob;
    must(fixture->db, memdb_txn_begin(fixture->db, &txn));
    must(fixture->db, memdb_blob_writer_open(txn, &writer));
    must(fixture->db, memdb_blob_writer_append(writer, big, 200000));
    memdb_blob_writer_abort(writer);
    memdb_blob_writer_abort(NULL);
    must(fixture->db, memdb_blob_writer_open(txn, &writer));
    assert_int_equal(memdb_blob_writer_finish(writer, NULL), MEMDB_INVALID);
    assert_int_equal(memdb_blob_put(txn, NULL, 5, &blob), MEMDB_INVALID);
    must(fixture->db, memdb_blob_put(txn, big, 5000, &blob));
    put_named(fixture->db, txn, space, "k", &blob, 1);
    must(fixture->db, memdb_txn_commit(txn, MEMDB_DURABILITY_DEFAULT, NULL));
    must(fixture->db, memdb_verify(fixture->db, NULL, NULL));
}

static void test_a_reference_that_names_nothing_is_told(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space = space_of(fixture->db, "main");
    memdb_txn_t *txn;
    memdb_blob_t blob, bad;
    memdb_blob_reader_t *reader = NULL;
    must(fixture->db, memdb_txn_begin(fixture->db, &txn));
    must(fixture->db, memdb_blob_put(txn, big, 5000, &blob));
    put_named(fixture->db, txn, space, "k", &blob, 1);
    for (size_t i = 0; i < 32; i++) {
        bad = blob;
        bad.reference[i] ^= 0x41;
        memdb_status_t status = memdb_blob_reader_open(memdb_txn_snapshot(txn), &bad, &reader);
        assert_true(status == MEMDB_CORRUPT || status == MEMDB_NOT_FOUND ||
                    status == MEMDB_INVALID);
        assert_null(reader);
    }
    bad = blob;
    bad.size_bytes++;
    assert_int_equal(memdb_blob_reader_open(memdb_txn_snapshot(txn), &bad, &reader), MEMDB_CORRUPT);
    must(fixture->db, memdb_txn_commit(txn, MEMDB_DURABILITY_DEFAULT, NULL));
}

static void count_finding(void *context, const char *file, uint64_t offset, const char *what) {
    (void)offset;
    (void)what;
    assert_int_equal(strncmp(file, "blob/", 5), 0);
    assert_null(strstr(file + 5, "blob/"));
    ++*(int *)context;
}

/// Flip one byte in the first extent, at `at` from its end (0: in the middle).
static void damage_extent(const char *path) {
    char name[600] = "";
    snprintf(name, sizeof name, "%s/blob", path);
    DIR *directory = opendir(name);
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (entry->d_name[0] != '.') {
            snprintf(name, sizeof name, "%s/blob/%s", path, entry->d_name);
        }
    }
    closedir(directory);
    int fd = open(name, O_RDWR);
    uint8_t byte;
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, 4096 + 150000), 1);
    byte ^= 4;
    assert_int_equal(pwrite(fd, &byte, 1, 4096 + 150000), 1);
    close(fd);
}

static void test_a_damaged_blob_is_told_and_verify_finds_it(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space = space_of(fixture->db, "main");
    memdb_txn_t *txn;
    memdb_snapshot_t *snapshot;
    memdb_memory_t memory;
    memdb_blob_t blob;
    memdb_blob_reader_t *reader;
    char buffer[200];
    size_t read = 77;
    int findings = 0;
    must(fixture->db, memdb_txn_begin(fixture->db, &txn));
    must(fixture->db, memdb_blob_put(txn, big, 300000, &blob));
    put_named(fixture->db, txn, space, "k", &blob, 1);
    must(fixture->db, memdb_txn_commit(txn, MEMDB_DURABILITY_DEFAULT, NULL));
    fixture_close(fixture);
    damage_extent(fixture->path);
    fixture_open(fixture, (memdb_options_t){0});
    must(fixture->db, memdb_snapshot_begin(fixture->db, NULL, &snapshot));
    must(fixture->db, memdb_get_by_key(snapshot, space, text("k"), &memory));
    must(fixture->db, memdb_blob_reader_open(snapshot, &memory.blobs[0], &reader));
    assert_int_equal(memdb_blob_reader_read(reader, 149900, buffer, sizeof buffer, &read),
                     MEMDB_CORRUPT);
    assert_int_equal(read, 77);
    must(fixture->db,
         memdb_blob_reader_read(reader, 0, buffer, sizeof buffer, &read)); // another piece is whole
    assert_memory_equal(buffer, big, sizeof buffer);
    memdb_blob_reader_close(reader);
    memdb_snapshot_end(snapshot);
    assert_int_equal(memdb_verify(fixture->db, count_finding, &findings), MEMDB_CORRUPT);
    assert_true(findings > 0);
}

int main(void) {
    big = malloc(BIG_BYTES + 16);
    for (size_t i = 0; i < BIG_BYTES + 16; i++) {
        big[i] = (char)(i * 2654435761u >> 13);
    }
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_blobs_are_read_back_after_checkpoint_and_reopening),
        TEST(test_equal_blobs_are_stored_once),
        TEST(test_a_blob_of_another_content_has_another_reference),
        TEST(test_writers_that_are_given_up_leave_nothing),
        TEST(test_a_reference_that_names_nothing_is_told),
        TEST(test_a_damaged_blob_is_told_and_verify_finds_it),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(big);
    return failed;
}
