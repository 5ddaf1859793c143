// Goal: a sorted segment answers like a sorted array, whatever keys and values are in it, and never
// from damaged bytes. Method: random entries, of one version a key or of several, against a model
// that is an array searched from one end; then damage of each byte, a cut at each length, and each
// allocation failed, one at a time, over a small file.
#include "base/bytes.h"
#include "base/memory.h"
#include "base/sorted_format.h"
#include "tests/unit/base/base_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME "sorted"
#define LARGEST_KEY 40
#define KEY_KINDS 4

static test_directory_t directory;
static const memdb__segment_identity_t identity = {{9}, 3, MEMDB__SEGMENT_SORTED};

/// The model: entries with storage of their own, sorted.
typedef struct model {
    memdb__entry_t *entries;
    size_t count;
} model_t;

static int make_directory(void **state) {
    (void)state;
    test_directory_make(&directory);
    return 0;
}

static int remove_directory(void **state) {
    (void)state;
    test_directory_remove(&directory);
    return 0;
}

/// Kinds of keys: many short ones that are prefixes of each other, numbers, long common prefixes,
/// random bytes. The same again, from KEY_KINDS on, with several versions a key.
static size_t random_key(uint64_t *random, int kind, uint8_t key[LARGEST_KEY]) {
    size_t size = 0;
    switch (kind % KEY_KINDS) {
    case 0:
        size = (size_t)test_below(random, 12);
        for (size_t i = 0; i < size; i++)
            key[i] = "ab\0\xff"[test_below(random, 4)];
        return size;
    case 1:
        memdb__put_be64(key, test_below(random, 8000));
        return 8;
    case 2:
        memset(key, 'p', LARGEST_KEY);
        size = 20 + (size_t)test_below(random, LARGEST_KEY - 20);
        key[size - 1] = (uint8_t)test_random(random);
        return size;
    default:
        size = (size_t)test_below(random, LARGEST_KEY);
        for (size_t i = 0; i < size; i++)
            key[i] = (uint8_t)test_random(random);
        return size;
    }
}

static int compare_entries(const void *a, const void *b) {
    const memdb__entry_t *x = a, *y = b;
    int order = memdb__compare(x->key, x->key_size, y->key, y->key_size);
    return order ? order : (x->version < y->version) - (x->version > y->version);
}

static bool same_key(const memdb__entry_t *a, const memdb__entry_t *b) {
    return memdb__compare(a->key, a->key_size, b->key, b->key_size) == 0;
}

static void make_model(model_t *model, uint64_t *random, size_t count, int kind,
                       size_t value_limit) {
    model->entries = calloc(count + 1, sizeof *model->entries);
    assert_non_null(model->entries);
    for (size_t i = 0; i < count; i++) {
        uint8_t key[LARGEST_KEY];
        memdb__entry_t *entry = &model->entries[i];
        entry->key_size = random_key(random, kind, key);
        if (kind >= KEY_KINDS && i && test_below(random, 3)) { // another version of an earlier key
            const memdb__entry_t *other =
                &model->entries[i - 1 - test_below(random, i < 4 ? i : 4)];
            entry->key_size = other->key_size;
            memcpy(key, other->key, other->key_size);
        }
        // Most values are small, one in 50 may have the limit.
        entry->value_size = (size_t)test_below(
            random, (test_below(random, 50) ? value_limit / 20 : value_limit) + 1);
        entry->version = test_random(random);
        entry->tombstone = test_below(random, 5) == 0;
        uint8_t *data = malloc(entry->key_size + entry->value_size + 1);
        assert_non_null(data);
        memcpy(data, key, entry->key_size);
        memset(data + entry->key_size, (int)test_random(random), entry->value_size);
        entry->key = data;
        entry->value = data + entry->key_size;
    }
    qsort(model->entries, count, sizeof *model->entries, compare_entries);
    model->count = 0;
    for (size_t i = 0; i < count; i++) {
        const memdb__entry_t *last = model->count ? &model->entries[model->count - 1] : NULL;
        if (last && (kind < KEY_KINDS ? same_key(last, &model->entries[i])
                                      : !compare_entries(last, &model->entries[i])))
            free((void *)model->entries[i].key);
        else
            model->entries[model->count++] = model->entries[i];
    }
}

static void free_model(model_t *model) {
    for (size_t i = 0; i < model->count; i++)
        free((void *)model->entries[i].key);
    free(model->entries);
}

static memdb_status_t write_sorted(const model_t *model, uint64_t *file_size, uint64_t *checksum,
                                   memdb_error_t *error) {
    memdb__sorted_writer_t *writer;
    memdb_status_t status = memdb__sorted_create(directory.fd, NAME, &identity, &writer, error);
    if (status)
        return status;
    memdb__sorted_leave_unhashed(writer, "ap"); // of some kinds half, of one all
    for (size_t i = 0; i < model->count; i++) {
        status = memdb__sorted_append(writer, &model->entries[i], error);
        if (status) {
            memdb__sorted_abandon(writer);
            return status;
        }
    }
    return memdb__sorted_finish(writer, file_size, checksum, error);
}

static bool same(const memdb__entry_t *a, const memdb__entry_t *b) {
    return !compare_entries(a, b) && a->value_size == b->value_size && a->version == b->version &&
           a->tombstone == b->tombstone && !memcmp(a->value, b->value, a->value_size);
}

/// The number of entries whose key is below `key`.
static size_t count_below(const model_t *model, const uint8_t *key, size_t key_size) {
    size_t count = 0;
    while (count < model->count &&
           memdb__compare(model->entries[count].key, model->entries[count].key_size, key,
                          key_size) < 0)
        count++;
    return count;
}

static void expect_at(const model_t *model, const memdb__sorted_iterator_t *iterator, size_t at) {
    assert_int_equal(iterator->valid, at < model->count); // SIZE_MAX: before the beginning
    if (iterator->valid)
        assert_true(same(&iterator->entry, &model->entries[at]));
}

/// Each version of the key at `at`, if it is there, and what lies between two of them.
static void check_versions(const model_t *model, memdb__sorted_t *sorted, size_t at) {
    const memdb__entry_t *first = &model->entries[at];
    memdb__entry_t entry;
    for (; at < model->count && same_key(first, &model->entries[at]); at++) {
        const memdb__entry_t *here = &model->entries[at];
        assert_int_equal(
            memdb__sorted_get_at(sorted, here->key, here->key_size, here->version, &entry, NULL),
            MEMDB_OK);
        assert_true(same(&entry, here));
        bool older = at + 1 < model->count && same_key(here, here + 1);
        if (here->version > 0) {
            assert_int_equal(memdb__sorted_get_at(sorted, here->key, here->key_size,
                                                  here->version - 1, &entry, NULL),
                             older ? MEMDB_OK : MEMDB_NOT_FOUND);
            assert_true(!older || same(&entry, here + 1));
        }
    }
}

static void check_key(const model_t *model, memdb__sorted_t *sorted, const uint8_t *key,
                      size_t key_size) {
    size_t at = count_below(model, key, key_size);
    bool present = at < model->count && !memdb__compare(model->entries[at].key,
                                                        model->entries[at].key_size, key, key_size);
    memdb__entry_t entry;
    memdb_status_t status = memdb__sorted_get(sorted, key, key_size, &entry, NULL);
    assert_int_equal(status, present ? MEMDB_OK : MEMDB_NOT_FOUND);
    if (present) {
        assert_true(same(&entry, &model->entries[at]));
        check_versions(model, sorted, at);
    }
    memdb__sorted_iterator_t iterator;
    assert_int_equal(memdb__sorted_seek(sorted, key, key_size, &iterator, NULL), 0);
    expect_at(model, &iterator, at);
    assert_int_equal(memdb__sorted_seek_before(sorted, key, key_size, &iterator, NULL), 0);
    expect_at(model, &iterator, at - 1);
}

/// Step at random, also over both ends.
static void check_walk(const model_t *model, memdb__sorted_t *sorted, uint64_t *random) {
    memdb__sorted_iterator_t iterator;
    assert_int_equal(memdb__sorted_seek(sorted, NULL, 0, &iterator, NULL), 0);
    int64_t at = 0, count = (int64_t)model->count;
    if (!count)
        assert_false(iterator.valid);
    bool forth = true;
    for (size_t step = 0; step < 3 * model->count + 20; step++) {
        if (test_below(random, 100) == 0)
            forth = !forth;
        if (at == count)
            forth = test_below(random, 4) == 0;
        if (at == -1)
            forth = test_below(random, 4) != 0;
        assert_int_equal(forth ? memdb__sorted_next(&iterator, NULL)
                               : memdb__sorted_previous(&iterator, NULL),
                         0);
        if (forth && at < count)
            at++;
        if (!forth && at >= 0)
            at--;
        expect_at(model, &iterator, (size_t)at);
    }
}

static void check_against_model(const model_t *model, uint64_t *random, int kind) {
    uint64_t file_size, checksum;
    memdb__sorted_t *sorted;
    memdb_error_t error = {0};
    assert_int_equal(write_sorted(model, &file_size, &checksum, &error), 0);
    if (memdb__sorted_open(directory.fd, NAME, &identity, file_size, checksum, &sorted, &error))
        fail_msg("%s", error.message);
    assert_int_equal(memdb__sorted_count(sorted), model->count);
    uint64_t allocations = memdb__memory_count();
    for (size_t i = 0; i < model->count; i++) {
        const memdb__entry_t *entry = &model->entries[i];
        check_key(model, sorted, entry->key, entry->key_size);
    }
    for (int i = 0; i < 1000; i++) {
        uint8_t key[LARGEST_KEY];
        size_t size = random_key(random, i % 2 ? kind : i % KEY_KINDS, key);
        check_key(model, sorted, size ? key : NULL, size);
    }
    check_walk(model, sorted, random);
    assert_int_equal(memdb__memory_count(), allocations); // reading does not allocate
    if (memdb__sorted_verify(sorted, NULL, NULL, &error))
        fail_msg("%s", error.message);
    memdb__sorted_close(sorted);
    unlinkat(directory.fd, NAME, 0);
}

static void test_sorted_answers_like_the_model(void **state) {
    (void)state;
    uint64_t random = test_seed();
    static const size_t counts[] = {0, 1, 2, 50, 3000};
    static const size_t limits[] = {0, 30, 700, 6000, 100000};
    for (int kind = 0; kind < 2 * KEY_KINDS; kind++)
        for (size_t c = 0; c < sizeof counts / sizeof *counts; c++)
            for (size_t v = 0; v < sizeof limits / sizeof *limits; v++) {
                size_t count = limits[v] > 1000 && counts[c] > 500 ? 500 : counts[c];
                model_t model;
                make_model(&model, &random, count, kind, limits[v]);
                check_against_model(&model, &random, kind);
                free_model(&model);
            }
}

static void test_sorted_hash_answers_for_absent_keys_without_a_block(void **state) {
    (void)state;
    enum { COUNT = 20000 };
    memdb__sorted_writer_t *writer;
    assert_int_equal(memdb__sorted_create(directory.fd, NAME, &identity, &writer, NULL), 0);
    uint8_t key[8];
    for (uint64_t i = 0; i < COUNT; i++) {
        memdb__put_be64(key, i * 2);
        memdb__entry_t entry = {key, 8, NULL, 0, i, true};
        assert_int_equal(memdb__sorted_append(writer, &entry, NULL), 0);
    }
    assert_int_equal(memdb__sorted_finish(writer, NULL, NULL, NULL), 0);
    // Damage all blocks: a miss that the hash lets through meets the damage, and is told apart
    // so.
    int fd = openat(directory.fd, NAME, O_RDWR);
    uint8_t bytes[400];
    memset(bytes, 0xa5, sizeof bytes);
    for (off_t page = 0; page < COUNT * 20 / 16384; page++)
        assert_int_equal(pwrite(fd, bytes, sizeof bytes, 4096 + page * 16384), sizeof bytes);
    close(fd);
    memdb__sorted_t *sorted;
    assert_int_equal(memdb__sorted_open(directory.fd, NAME, &identity, 0, 0, &sorted, NULL), 0);
    int passed = 0;
    for (uint64_t i = 0; i < COUNT; i++) {
        memdb__entry_t entry;
        memdb__put_be64(key, i * 2 + 1);
        memdb_status_t status = memdb__sorted_get(sorted, key, 8, &entry, NULL);
        assert_true(status == MEMDB_NOT_FOUND || status == MEMDB_CORRUPT);
        passed += status == MEMDB_CORRUPT;
        memdb__put_be64(key, i * 2); // what is there is never said to be absent
        assert_int_not_equal(memdb__sorted_get(sorted, key, 8, &entry, NULL), MEMDB_NOT_FOUND);
    }
    assert_int_equal(passed, 0); // two equal tags in a line: one in 100 such tests
    memdb__sorted_close(sorted);
    unlinkat(directory.fd, NAME, 0);
}

static void test_sorted_refuses_entries_out_of_order(void **state) {
    (void)state;
    memdb__sorted_writer_t *writer;
    memdb__sorted_t *sorted;
    assert_int_equal(memdb__sorted_create(directory.fd, NAME, &identity, &writer, NULL), 0);
    memdb__entry_t entry = {(const uint8_t *)"b", 1, (const uint8_t *)"v", 1, 1, false};
    assert_int_equal(memdb__sorted_append(writer, &entry, NULL), MEMDB_OK);
    assert_int_equal(memdb__sorted_append(writer, &entry, NULL), MEMDB_INVALID);
    entry.key = (const uint8_t *)"a";
    assert_int_equal(memdb__sorted_append(writer, &entry, NULL), MEMDB_INVALID);
    entry.key = (const uint8_t *)"ba", entry.key_size = 2;
    assert_int_equal(memdb__sorted_append(writer, &entry, NULL), MEMDB_OK);
    entry.version = 0; // an older version of the same key
    assert_int_equal(memdb__sorted_append(writer, &entry, NULL), MEMDB_OK);
    entry.version = 2;
    assert_int_equal(memdb__sorted_append(writer, &entry, NULL), MEMDB_INVALID);
    entry.key = (const uint8_t *)"c", entry.value_size = (size_t)1 << 31;
    assert_int_equal(memdb__sorted_append(writer, &entry, NULL), MEMDB_LIMIT);
    assert_int_equal(memdb__sorted_finish(writer, NULL, NULL, NULL), MEMDB_OK);
    assert_int_equal(memdb__sorted_open(directory.fd, NAME, &identity, 0, 0, &sorted, NULL), 0);
    assert_int_equal(memdb__sorted_count(sorted), 3);
    memdb__sorted_close(sorted);
    memdb__sorted_close(NULL);
    memdb__sorted_abandon(NULL);
    unlinkat(directory.fd, NAME, 0);
}

/// A file of three blocks, small enough to damage it everywhere.
static void make_small_model(model_t *model) {
    uint64_t random = 12345;
    make_model(model, &random, 60, KEY_KINDS + 3, 3000);
}

/// Open and read everything: each answer is the model's, or MEMDB_CORRUPT. Returns whether verify
/// was content.
static bool read_all(const model_t *model) {
    memdb__sorted_t *sorted;
    memdb_status_t status = memdb__sorted_open(directory.fd, NAME, &identity, 0, 0, &sorted, NULL);
    if (status) {
        assert_int_equal(status, MEMDB_CORRUPT);
        return false;
    }
    for (size_t i = 0; i < model->count; i++) {
        const memdb__entry_t *expected = &model->entries[i];
        memdb__entry_t entry;
        status = memdb__sorted_get_at(sorted, expected->key, expected->key_size, expected->version,
                                      &entry, NULL);
        assert_true(status == MEMDB_CORRUPT || (!status && same(&entry, expected)));
    }
    memdb__sorted_iterator_t iterator;
    status = memdb__sorted_seek(sorted, NULL, 0, &iterator, NULL);
    size_t count = 0;
    for (; !status && iterator.valid; status = memdb__sorted_next(&iterator, NULL))
        assert_true(same(&iterator.entry, &model->entries[count++]));
    assert_true(status == MEMDB_CORRUPT || (!status && count == model->count));
    status = memdb__sorted_verify(sorted, NULL, NULL, NULL);
    assert_true(!status || status == MEMDB_CORRUPT);
    memdb__sorted_close(sorted);
    return !status;
}

static void test_sorted_damage_of_any_byte_is_told(void **state) {
    (void)state;
    model_t model;
    make_small_model(&model);
    assert_int_equal(write_sorted(&model, NULL, NULL, NULL), 0);
    assert_true(read_all(&model));
    size_t size;
    uint8_t *file = test_file_read(&directory, NAME, &size);
    int fd = openat(directory.fd, NAME, O_WRONLY);
    for (size_t at = 0; at < size; at++) {
        uint8_t damaged = file[at] ^ (uint8_t)(1u << at % 8);
        assert_int_equal(pwrite(fd, &damaged, 1, (off_t)at), 1);
        if (read_all(&model))
            fail_msg("damage of byte %zu was not told", at);
        assert_int_equal(pwrite(fd, file + at, 1, (off_t)at), 1);
    }
    assert_true(read_all(&model));
    for (size_t cut = size; cut-- > 0;) {
        assert_int_equal(ftruncate(fd, (off_t)cut), 0);
        assert_false(read_all(&model));
    }
    close(fd);
    free(file);
    free_model(&model);
    unlinkat(directory.fd, NAME, 0);
}

/// Copy the file, with one byte of its hash changed and all checksums right.
static void copy_with_lie(size_t at, uint8_t change) {
    memdb__container_t *from;
    memdb__container_writer_t *to;
    assert_int_equal(memdb__container_open(directory.fd, NAME, &identity, 0, 0, &from, NULL), 0);
    assert_int_equal(memdb__container_create(directory.fd, "lie", &identity, &to, NULL), 0);
    for (uint32_t i = 0; i <= MEMDB__SORTED_FIRST_VERSIONS; i++) {
        uint64_t size;
        const uint8_t *section = memdb__container_section(from, i, &size);
        if (!section)
            continue;
        uint8_t *copy = malloc(size + 1);
        assert_non_null(copy);
        memcpy(copy, section, size);
        if (i == MEMDB__SORTED_HASH)
            copy[at] ^= change;
        assert_int_equal(memdb__container_begin(to, i, NULL), 0);
        assert_int_equal(memdb__container_append(to, copy, size, NULL), 0);
        free(copy);
    }
    assert_int_equal(memdb__container_finish(to, NULL, NULL, NULL), 0);
    memdb__container_close(from);
}

static void test_sorted_hash_that_lies_gives_no_other_key_and_is_told_by_verify(void **state) {
    (void)state;
    model_t model;
    make_small_model(&model);
    assert_int_equal(write_sorted(&model, NULL, NULL, NULL), 0);
    memdb__sorted_t *sorted;
    assert_int_equal(memdb__sorted_open(directory.fd, NAME, &identity, 0, 0, &sorted, NULL), 0);
    size_t size = (size_t)sorted->hash_lines * MEMDB__SORTED_LINE_BYTES;
    memdb__sorted_close(sorted);
    assert_true(size > 0);
    uint64_t random = 7;
    for (size_t at = 0; at < size; at++) {
        copy_with_lie(at, (uint8_t)(1 + test_below(&random, 255)));
        assert_int_equal(memdb__sorted_open(directory.fd, "lie", &identity, 0, 0, &sorted, NULL),
                         0);
        for (size_t i = 0; i < model.count; i++) {
            const memdb__entry_t *expected = &model.entries[i];
            memdb__entry_t entry;
            memdb_status_t status = memdb__sorted_get_at(sorted, expected->key, expected->key_size,
                                                         expected->version, &entry, NULL);
            assert_true(status == MEMDB_CORRUPT || status == MEMDB_NOT_FOUND ||
                        (!status && same(&entry, expected)));
        }
        assert_int_equal(memdb__sorted_verify(sorted, NULL, NULL, NULL), MEMDB_CORRUPT);
        memdb__sorted_close(sorted);
        unlinkat(directory.fd, "lie", 0);
    }
    free_model(&model);
    unlinkat(directory.fd, NAME, 0);
}

static void test_sorted_faults_are_told_and_leave_nothing(void **state) {
    (void)state;
    model_t model;
    make_small_model(&model);
    uint64_t live = memdb__memory_live();
    test_faults_begin(FAULT_NONE, 0);
    assert_int_equal(write_sorted(&model, NULL, NULL, NULL), 0);
    uint64_t calls = test_faults_end();
    unlinkat(directory.fd, NAME, 0);
    for (fault_t fault = FAULT_EIO; fault <= FAULT_EINTR; fault++)
        for (uint64_t at = 0; at < calls; at++) {
            test_faults_begin(fault, at);
            memdb_status_t status = write_sorted(&model, NULL, NULL, NULL);
            test_faults_end();
            assert_int_equal(status, fault == FAULT_EIO      ? MEMDB_IO
                                     : fault == FAULT_ENOSPC ? MEMDB_FULL
                                                             : MEMDB_OK);
            assert_int_equal(test_file_exists(&directory, NAME), !status);
            if (!status)
                assert_true(read_all(&model));
            assert_int_equal(memdb__memory_live(), live);
            unlinkat(directory.fd, NAME, 0);
        }
    for (uint64_t n = 0;; n++) {
        uint64_t count = memdb__memory_count();
        memdb__sorted_t *sorted = NULL;
        memdb__memory_fail_after(n);
        memdb_status_t status = write_sorted(&model, NULL, NULL, NULL);
        bool written = !status;
        if (written)
            status = memdb__sorted_open(directory.fd, NAME, &identity, 0, 0, &sorted, NULL);
        memdb__memory_fail_after(UINT64_MAX);
        memdb__sorted_close(sorted);
        assert_int_equal(memdb__memory_live(), live);
        assert_int_equal(test_file_exists(&directory, NAME), written);
        unlinkat(directory.fd, NAME, 0);
        if (memdb__memory_count() - count <= n) {
            assert_int_equal(status, MEMDB_OK);
            break;
        }
        assert_int_equal(status, MEMDB_NOMEM);
    }
    free_model(&model);
}

/// A segment whose index has many pages: long keys, each in a block of its own.
static void write_large_index(uint64_t *pages_out) {
    enum { KEYS = 600, KEY_BYTES = 4096 };
    memdb__sorted_writer_t *writer;
    static uint8_t key[KEY_BYTES];
    assert_int_equal(memdb__sorted_create(directory.fd, NAME, &identity, &writer, NULL), 0);
    for (uint64_t i = 0; i < KEYS; i++) {
        memdb__put_be64(key, i);
        memdb__entry_t entry = {key, KEY_BYTES, NULL, 0, i, true};
        assert_int_equal(memdb__sorted_append(writer, &entry, NULL), 0);
    }
    assert_int_equal(memdb__sorted_finish(writer, NULL, NULL, NULL), 0);
    *pages_out = (uint64_t)KEYS * KEY_BYTES / MEMDB__CONTAINER_PAGE_BYTES;
}

static void test_sorted_opening_checks_no_page_of_the_index(void **state) {
    (void)state;
    uint64_t index_pages;
    write_large_index(&index_pages);
    memdb__sorted_t *sorted;
    memdb__sorted_iterator_t iterator;
    assert_int_equal(memdb__sorted_open(directory.fd, NAME, &identity, 0, 0, &sorted, NULL), 0);
    const memdb__container_t *container = memdb__sorted_container(sorted);
    assert_true(memdb__container_pages(container) > 2 * index_pages);
    assert_int_equal(memdb__container_checked(container), 1); // sizes and counts
    uint8_t key[8];
    memdb__put_be64(key, 300);
    assert_int_equal(memdb__sorted_seek(sorted, key, sizeof key, &iterator, NULL), 0);
    assert_true(iterator.valid && iterator.entry.version == 300);
    assert_true(memdb__container_checked(container) < 20); // a search is not a walk
    assert_int_equal(memdb__sorted_verify(sorted, NULL, NULL, NULL), 0);
    memdb__sorted_close(sorted);
    unlinkat(directory.fd, NAME, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sorted_answers_like_the_model),
        cmocka_unit_test(test_sorted_hash_answers_for_absent_keys_without_a_block),
        cmocka_unit_test(test_sorted_refuses_entries_out_of_order),
        cmocka_unit_test(test_sorted_damage_of_any_byte_is_told),
        cmocka_unit_test(test_sorted_hash_that_lies_gives_no_other_key_and_is_told_by_verify),
        cmocka_unit_test(test_sorted_opening_checks_no_page_of_the_index),
        cmocka_unit_test(test_sorted_faults_are_told_and_leave_nothing),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
