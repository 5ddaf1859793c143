// Goal: a container gives back what was written, tells every damage, and a failed writer leaves
// nothing behind. Method: a small file of four sections; each of its bytes damaged, each length
// cut, each I/O call and each allocation failed, one at a time.
#include "base/bytes.h"
#include "base/checksum.h"
#include "base/container.h"
#include "base/container_format.h"
#include "base/memory.h"
#include "tests/unit/base/base_test.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME "segment"

static test_directory_t directory;
static const memdb__segment_identity_t identity = {
    {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, 77, MEMDB__SEGMENT_WORDS};
static uint8_t pattern[700000];

static int make_directory(void **state) {
    (void)state;
    test_directory_make(&directory);
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = (uint8_t)(i * 31 + i / 251);
    return 0;
}

static int remove_directory(void **state) {
    (void)state;
    test_directory_remove(&directory);
    return 0;
}

/// Sections 3, 0, 31 and 7 with `size`, 0, 65 and 1 bytes.
static memdb_status_t write_container(size_t size, uint64_t *file_size, uint64_t *checksum,
                                      memdb_error_t *error) {
    static const uint32_t numbers[] = {3, 0, 31, 7};
    const size_t sizes[] = {size, 0, 65, 1};
    memdb__container_writer_t *writer;
    memdb_status_t status = memdb__container_create(directory.fd, NAME, &identity, &writer, error);
    if (status)
        return status;
    for (size_t i = 0; i < 4; i++) {
        status = memdb__container_begin(writer, numbers[i], error);
        if (!status) // in two parts of odd sizes
            status = memdb__container_append(writer, pattern + i, sizes[i] / 3, error);
        if (!status)
            status = memdb__container_append(writer, pattern + i + sizes[i] / 3,
                                             sizes[i] - sizes[i] / 3, error);
        if (status) {
            memdb__container_abandon(writer);
            return status;
        }
        assert_int_equal(memdb__container_position(writer), sizes[i]);
    }
    return memdb__container_finish(writer, file_size, checksum, error);
}

static memdb_status_t read_container(size_t size, memdb_error_t *error) {
    static const uint32_t numbers[] = {3, 0, 31, 7};
    const size_t sizes[] = {size, 0, 65, 1};
    memdb__container_t *container;
    memdb_status_t status =
        memdb__container_open(directory.fd, NAME, &identity, 0, 0, &container, error);
    if (status)
        return status;
    for (size_t i = 0; i < 4 && !status; i++) {
        uint64_t actual;
        const uint8_t *at = memdb__container_section(container, numbers[i], &actual);
        assert_non_null(at);
        assert_int_equal(actual, sizes[i]);
        assert_int_equal((uintptr_t)at % 64, 0);
        status = memdb__container_check(container, at, (size_t)actual, error);
        if (!status && actual)
            assert_memory_equal(at, pattern + i, actual);
    }
    memdb__container_close(container);
    return status;
}

static void test_container_round_trips_all_sizes(void **state) {
    (void)state;
    static const size_t sizes[] = {0,     1,      63,     64,     65,     16383,      16384, 16385,
                                   32768, 262143, 262144, 262145, 262080, 16384 - 64, 600000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint64_t file_size, checksum;
        assert_int_equal(write_container(sizes[i], &file_size, &checksum, NULL), MEMDB_OK);
        memdb_error_t error = {0};
        if (read_container(sizes[i], &error))
            fail_msg("%zu: %s", sizes[i], error.message);
        memdb__container_t *container;
        assert_int_equal(memdb__container_open(directory.fd, NAME, &identity, file_size, checksum,
                                               &container, &error),
                         MEMDB_OK);
        assert_int_equal(memdb__container_verify(container, NULL, NULL, &error), MEMDB_OK);
        assert_int_equal(memdb__container_file_size(container), file_size);
        assert_string_equal(memdb__container_name(container), NAME);
        uint64_t size;
        assert_null(memdb__container_section(container, 1, &size));
        assert_null(memdb__container_section(container, 32, &size));
        const uint8_t *at = memdb__container_section(container, 3, &size);
        assert_int_equal(memdb__container_check(container, at, (size_t)file_size, &error),
                         MEMDB_CORRUPT);
        memdb__container_close(container);
        assert_int_equal(memdb__container_open(directory.fd, NAME, &identity, file_size + 1,
                                               checksum, &container, &error),
                         MEMDB_CORRUPT);
        assert_int_equal(memdb__container_open(directory.fd, NAME, &identity, file_size,
                                               checksum ^ 1, &container, &error),
                         MEMDB_CORRUPT);
        unlinkat(directory.fd, NAME, 0);
    }
}

static void test_container_without_sections_is_legal(void **state) {
    (void)state;
    memdb__container_writer_t *writer;
    memdb__container_t *container;
    assert_int_equal(memdb__container_create(directory.fd, NAME, &identity, &writer, NULL), 0);
    assert_int_equal(memdb__container_append(writer, "a", 1, NULL), MEMDB_INVALID);
    assert_int_equal(memdb__container_finish(writer, NULL, NULL, NULL), 0);
    assert_int_equal(memdb__container_open(directory.fd, NAME, &identity, 0, 0, &container, NULL),
                     0);
    assert_int_equal(memdb__container_verify(container, NULL, NULL, NULL), 0);
    memdb__container_close(container);
    // The name is taken now; a second writer neither gets nor removes the file.
    assert_int_equal(memdb__container_create(directory.fd, NAME, &identity, &writer, NULL),
                     MEMDB_EXISTS);
    assert_true(test_file_exists(&directory, NAME));
    unlinkat(directory.fd, NAME, 0);
}

static void test_container_refuses_repeated_sections(void **state) {
    (void)state;
    memdb__container_writer_t *writer;
    assert_int_equal(memdb__container_create(directory.fd, NAME, &identity, &writer, NULL), 0);
    assert_int_equal(memdb__container_begin(writer, 32, NULL), MEMDB_INVALID);
    assert_int_equal(memdb__container_begin(writer, 5, NULL), MEMDB_OK);
    assert_int_equal(memdb__container_begin(writer, 5, NULL), MEMDB_INVALID);
    memdb__container_abandon(writer);
    assert_false(test_file_exists(&directory, NAME));
    memdb__container_abandon(NULL);
    memdb__container_close(NULL);
}

static void test_container_of_another_identity_is_refused(void **state) {
    (void)state;
    assert_int_equal(write_container(100, NULL, NULL, NULL), MEMDB_OK);
    memdb__container_t *container;
    for (int i = 0; i < 3; i++) {
        memdb__segment_identity_t other = identity;
        other.database_id[15] ^= i == 0;
        other.segment_id += i == 1;
        other.kind = i == 2 ? MEMDB__SEGMENT_SORTED : other.kind;
        assert_int_equal(memdb__container_open(directory.fd, NAME, &other, 0, 0, &container, NULL),
                         MEMDB_CORRUPT);
    }
    // A header of a later version, with its checksum, is told apart from damage.
    size_t size;
    uint8_t *file = test_file_read(&directory, NAME, &size);
    memdb__put_u32(file + 8, 2);
    memdb__put_u64(file + 4088, memdb__hash64(file, 4088, 0));
    test_file_write(&directory, NAME, file, size);
    assert_int_equal(memdb__container_open(directory.fd, NAME, &identity, 0, 0, &container, NULL),
                     MEMDB_VERSION);
    free(file);
    unlinkat(directory.fd, NAME, 0);
}

static void count_found(void *context, const char *file, uint64_t offset, const char *what) {
    (void)offset, (void)what;
    assert_string_equal(file, NAME);
    ++*(int *)context;
}

/// Open and verify; the damage must be told by one of them.
static void expect_corrupt(size_t at, size_t size) {
    memdb__container_t *container;
    memdb_error_t error = {0};
    memdb_status_t status =
        memdb__container_open(directory.fd, NAME, &identity, 0, 0, &container, &error);
    if (!status) {
        int found = 0;
        status = memdb__container_verify(container, count_found, &found, &error);
        assert_int_equal(found, 1);
        memdb__container_close(container);
        assert_int_equal(read_container(size, NULL), MEMDB_CORRUPT);
    }
    if (status != MEMDB_CORRUPT || !strstr(error.message, NAME))
        fail_msg("byte %zu: status %d, %s", at, (int)status, error.message);
}

static void test_container_damage_of_any_byte_is_told(void **state) {
    (void)state;
    assert_int_equal(write_container(300, NULL, NULL, NULL), MEMDB_OK);
    size_t size;
    uint8_t *file = test_file_read(&directory, NAME, &size);
    int fd = openat(directory.fd, NAME, O_WRONLY);
    for (size_t at = 0; at < size; at++) {
        for (int kind = 0; kind < 2; kind++) {
            uint8_t damaged = file[at] ^ (kind ? 0xff : (uint8_t)(1u << at % 8));
            assert_int_equal(pwrite(fd, &damaged, 1, (off_t)at), 1);
            expect_corrupt(at, 300);
        }
        assert_int_equal(pwrite(fd, file + at, 1, (off_t)at), 1);
    }
    assert_int_equal(read_container(300, NULL), MEMDB_OK);
    close(fd);
    free(file);
    unlinkat(directory.fd, NAME, 0);
}

static void test_container_cut_at_any_length_is_told(void **state) {
    (void)state;
    assert_int_equal(write_container(300, NULL, NULL, NULL), MEMDB_OK);
    size_t size;
    uint8_t *file = test_file_read(&directory, NAME, &size);
    int fd = openat(directory.fd, NAME, O_WRONLY);
    assert_int_equal(pwrite(fd, "", 1, (off_t)size), 1); // one byte more, too
    expect_corrupt(size + 1, 300);
    for (size_t cut = size; cut-- > 0;) {
        assert_int_equal(ftruncate(fd, (off_t)cut), 0);
        expect_corrupt(cut, 300);
    }
    close(fd);
    free(file);
    unlinkat(directory.fd, NAME, 0);
}

static void test_container_tells_the_bad_page_only(void **state) {
    (void)state;
    assert_int_equal(write_container(100000, NULL, NULL, NULL), MEMDB_OK);
    int fd = openat(directory.fd, NAME, O_WRONLY);
    uint8_t byte = (uint8_t)(pattern[50000] ^ 1);
    assert_int_equal(pwrite(fd, &byte, 1, 4096 + 50000), 1); // page 3
    close(fd);
    memdb__container_t *container;
    memdb_error_t error;
    assert_int_equal(memdb__container_open(directory.fd, NAME, &identity, 0, 0, &container, &error),
                     0);
    uint64_t size;
    const uint8_t *at = memdb__container_section(container, 3, &size);
    assert_int_equal(memdb__container_check(container, at, 3 * 16384, &error), MEMDB_OK);
    assert_int_equal(memdb__container_check(container, at + 4 * 16384, 100, &error), MEMDB_OK);
    for (int again = 0; again < 2; again++)
        assert_int_equal(memdb__container_check(container, at + 4 * 16384 - 1, 2, &error),
                         MEMDB_CORRUPT);
    assert_string_equal(error.message, NAME " at 53248: checksum mismatch of page 3");
    int found = 0;
    assert_int_equal(memdb__container_verify(container, count_found, &found, &error),
                     MEMDB_CORRUPT);
    assert_int_equal(found, 1);
    memdb__container_close(container);
    unlinkat(directory.fd, NAME, 0);
}

static void test_container_faults_are_told_and_leave_nothing(void **state) {
    (void)state;
    uint64_t live = memdb__memory_live();
    test_faults_begin(FAULT_NONE, 0);
    assert_int_equal(write_container(sizeof pattern - 8, NULL, NULL, NULL), MEMDB_OK);
    uint64_t calls = test_faults_end();
    unlinkat(directory.fd, NAME, 0);
    assert_true(calls >= 6); // open, header, three buffers, tail, sync
    for (fault_t fault = FAULT_EIO; fault <= FAULT_EINTR; fault++) {
        for (uint64_t at = 0; at < calls; at++) {
            test_faults_begin(fault, at);
            memdb_status_t status = write_container(sizeof pattern - 8, NULL, NULL, NULL);
            test_faults_end();
            assert_int_equal(status, fault == FAULT_EIO      ? MEMDB_IO
                                     : fault == FAULT_ENOSPC ? MEMDB_FULL
                                                             : MEMDB_OK);
            assert_int_equal(memdb__memory_live(), live);
            assert_int_equal(test_file_exists(&directory, NAME), !status);
            if (!status)
                assert_int_equal(read_container(sizeof pattern - 8, NULL), MEMDB_OK);
            unlinkat(directory.fd, NAME, 0);
        }
    }
}

static void test_container_open_faults_are_told(void **state) {
    (void)state;
    uint64_t live = memdb__memory_live();
    assert_int_equal(write_container(300, NULL, NULL, NULL), MEMDB_OK);
    for (uint64_t at = 0; at < 3; at++) { // open, stat, map
        test_faults_begin(FAULT_EIO, at);
        memdb_status_t status = read_container(300, NULL);
        assert_int_equal(test_faults_end(), at + 1);
        assert_int_equal(status, MEMDB_IO);
        assert_int_equal(memdb__memory_live(), live);
    }
    test_faults_begin(FAULT_EIO, 3);
    assert_int_equal(read_container(300, NULL), MEMDB_OK);
    assert_int_equal(test_faults_end(), 3);
    unlinkat(directory.fd, NAME, 0);
}

static void *check_all_pages(void *argument) {
    memdb__container_t *container = argument;
    uint64_t size;
    const uint8_t *at = memdb__container_section(container, 3, &size);
    intptr_t bad = 0;
    for (size_t i = 0; i + 100 <= size; i += 100)
        bad += memdb__container_check(container, at + i, 100, NULL) || at[i] != pattern[i];
    return (void *)bad;
}

static void test_container_is_checked_by_many_threads(void **state) {
    (void)state;
    assert_int_equal(write_container(sizeof pattern - 8, NULL, NULL, NULL), MEMDB_OK);
    memdb__container_t *container;
    assert_int_equal(memdb__container_open(directory.fd, NAME, &identity, 0, 0, &container, NULL),
                     MEMDB_OK);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, check_all_pages, container), 0);
    for (int i = 0; i < 4; i++) {
        void *bad;
        assert_int_equal(pthread_join(threads[i], &bad), 0);
        assert_null(bad);
    }
    memdb__container_close(container);
    unlinkat(directory.fd, NAME, 0);
}

static void test_container_out_of_memory_is_told_and_leaves_nothing(void **state) {
    (void)state;
    uint64_t live = memdb__memory_live();
    for (uint64_t n = 0;; n++) {
        uint64_t count = memdb__memory_count();
        memdb__memory_fail_after(n);
        memdb_status_t status = write_container(sizeof pattern - 8, NULL, NULL, NULL);
        bool written = !status;
        if (written)
            status = read_container(sizeof pattern - 8, NULL);
        memdb__memory_fail_after(UINT64_MAX);
        assert_int_equal(memdb__memory_live(), live);
        assert_int_equal(test_file_exists(&directory, NAME), written);
        unlinkat(directory.fd, NAME, 0);
        if (memdb__memory_count() - count <= n) {
            assert_int_equal(status, MEMDB_OK);
            break;
        }
        assert_int_equal(status, MEMDB_NOMEM);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_container_round_trips_all_sizes),
        cmocka_unit_test(test_container_without_sections_is_legal),
        cmocka_unit_test(test_container_refuses_repeated_sections),
        cmocka_unit_test(test_container_of_another_identity_is_refused),
        cmocka_unit_test(test_container_damage_of_any_byte_is_told),
        cmocka_unit_test(test_container_cut_at_any_length_is_told),
        cmocka_unit_test(test_container_tells_the_bad_page_only),
        cmocka_unit_test(test_container_faults_are_told_and_leave_nothing),
        cmocka_unit_test(test_container_open_faults_are_told),
        cmocka_unit_test(test_container_is_checked_by_many_threads),
        cmocka_unit_test(test_container_out_of_memory_is_told_and_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
