// Goal: the helpers complete transfers, explain failures and leave nothing behind. Method: the
// faulty table lets each call of a scenario fail in turn.
#include "base/memory.h"
#include "tests/unit/base/base_test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static test_directory_t directory;

static int make_directory(void **state) {
    (void)state;
    test_directory_make(&directory);
    return 0;
}

static int remove_directory(void **state) {
    (void)state;
    memdb__io_install(NULL);
    test_directory_remove(&directory);
    return 0;
}

static void test_io_replace_file_is_old_or_new_after_each_fault(void **state) {
    (void)state;
    memdb_error_t error;
    test_faults_begin(FAULT_NONE, 0);
    assert_int_equal(memdb__io_replace_file(directory.fd, "file", "old", 3, NULL), 0);
    uint64_t calls = test_faults_end();
    assert_int_equal(calls, 5); // open, write, sync, rename, sync of the directory
    for (fault_t fault = FAULT_EIO; fault <= FAULT_EINTR; fault++) {
        for (uint64_t at = 0; at < calls; at++) {
            assert_int_equal(memdb__io_replace_file(directory.fd, "file", "old", 3, NULL), 0);
            test_faults_begin(fault, at);
            memdb_status_t status =
                memdb__io_replace_file(directory.fd, "file", "replaced", 8, &error);
            test_faults_end();
            if (fault == FAULT_EIO)
                assert_int_equal(status, MEMDB_IO);
            else if (fault == FAULT_ENOSPC)
                assert_int_equal(status, MEMDB_FULL);
            else
                assert_int_equal(status, MEMDB_OK);
            size_t size;
            char *data = (char *)test_file_read(&directory, "file", &size);
            assert_true((size == 8 && !memcmp(data, "replaced", 8)) ||
                        (status && size == 3 && !memcmp(data, "old", 3)));
            free(data);
            assert_false(test_file_exists(&directory, "file.tmp"));
        }
    }
}

static void test_io_read_file_fails_without_leak(void **state) {
    (void)state;
    test_file_write(&directory, "file", "0123456789", 10);
    uint64_t live = memdb__memory_live();
    for (fault_t fault = FAULT_EIO; fault <= FAULT_EINTR; fault++) {
        for (uint64_t at = 0; at < 3; at++) { // open, stat, read
            uint8_t *data;
            size_t size;
            test_faults_begin(fault, at);
            memdb_status_t status =
                memdb__io_read_file(directory.fd, "file", 10, &data, &size, NULL);
            assert_true(test_faults_end() >= at + 1);
            assert_true((status == MEMDB_OK) == (fault != FAULT_EIO && fault != FAULT_ENOSPC));
            if (!status) {
                assert_int_equal(size, 10);
                assert_memory_equal(data, "0123456789", 10);
                memdb__free(data);
            }
            assert_int_equal(memdb__memory_live(), live);
        }
    }
    uint8_t *data;
    size_t size;
    memdb_error_t error;
    assert_int_equal(memdb__io_read_file(directory.fd, "file", 9, &data, &size, &error),
                     MEMDB_CORRUPT);
    assert_int_equal(memdb__io_read_file(directory.fd, "none", 9, &data, &size, &error),
                     MEMDB_NOT_FOUND);
    assert_string_equal(error.message, "none: cannot open: No such file or directory");
    memdb__memory_fail_after(0);
    assert_int_equal(memdb__io_read_file(directory.fd, "file", 10, &data, &size, &error),
                     MEMDB_NOMEM);
}

static void test_io_read_past_the_end_is_corrupt(void **state) {
    (void)state;
    test_file_write(&directory, "file", "0123456789", 10);
    int fd;
    char buffer[16];
    memdb_error_t error;
    assert_int_equal(memdb__io_open(directory.fd, "file", O_RDONLY, &fd, &error), MEMDB_OK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(memdb__io_read(fd, buffer, 8, 4, "file", &error), MEMDB_CORRUPT);
    assert_string_equal(error.message, "file: ends at 10, 2 bytes early");
    assert_int_equal(memdb__io_write(fd, buffer, 1, 0, "file", &error), MEMDB_IO); // read-only
    uint64_t size;
    assert_int_equal(memdb__io_size(fd, &size, "file", &error), MEMDB_OK);
    assert_int_equal(size, 10);
    void *address;
    assert_int_equal(memdb__io_map(fd, 0, false, &address, "file", &error), MEMDB_IO);
    memdb__io_close(fd);
    memdb__io_close(-1);
    memdb__io_unmap(NULL, 0);
}

#define NAMES_BYTES 64

static memdb_status_t note_name(void *context, const char *name, memdb_error_t *error) {
    char *names = context;
    if (!strcmp(name, "stop"))
        return memdb__fail(error, MEMDB_CONFLICT, "stopped");
    size_t size = strlen(names);
    snprintf(names + size, NAMES_BYTES - size, "%s ", name);
    return MEMDB_OK;
}

static void test_io_list_is_sorted_and_stops(void **state) {
    (void)state;
    memdb_error_t error;
    assert_int_equal(memdb__io_make_directory(directory.fd, "list", &error), MEMDB_OK);
    assert_int_equal(memdb__io_make_directory(directory.fd, "list", &error), MEMDB_OK);
    int fd;
    assert_int_equal(memdb__io_open(directory.fd, "list", O_RDONLY | O_DIRECTORY, &fd, &error),
                     MEMDB_OK);
    char names[NAMES_BYTES] = "";
    assert_int_equal(memdb__io_list(fd, note_name, names, &error), MEMDB_OK);
    assert_string_equal(names, "");
    test_directory_t list = {.fd = fd};
    test_file_write(&list, "b", "", 0);
    test_file_write(&list, "c", "", 0);
    test_file_write(&list, "B", "", 0);
    test_file_write(&list, "a10", "", 0);
    test_file_write(&list, "a1", "", 0);
    for (int again = 0; again < 2; again++) { // the caller's descriptor keeps its position
        names[0] = 0;
        assert_int_equal(memdb__io_list(fd, note_name, names, &error), MEMDB_OK);
        assert_string_equal(names, "B a1 a10 b c ");
    }
    test_file_write(&list, "stop", "", 0);
    test_file_write(&list, "z", "", 0);
    names[0] = 0;
    assert_int_equal(memdb__io_list(fd, note_name, names, &error), MEMDB_CONFLICT);
    assert_string_equal(names, "B a1 a10 b c ");
    uint64_t live = memdb__memory_live();
    for (uint64_t n = 0;; n++) {
        names[0] = 0;
        uint64_t count = memdb__memory_count();
        memdb__memory_fail_after(n);
        memdb_status_t status = memdb__io_list(fd, note_name, names, &error);
        memdb__memory_fail_after(UINT64_MAX);
        assert_int_equal(memdb__memory_live(), live);
        if (memdb__memory_count() - count <= n)
            break;
        assert_int_equal(status, MEMDB_NOMEM);
    }
    static const char *const all[] = {"b", "c", "B", "a1", "a10", "stop", "z"};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        assert_int_equal(memdb__io_unlink(fd, all[i], &error), MEMDB_OK);
    assert_int_equal(memdb__io_unlink(fd, "z", &error), MEMDB_OK);
    memdb__io_close(fd);
    test_file_write(&directory, "file", "", 0);
    assert_int_equal(memdb__io_make_directory(directory.fd, "file", &error), MEMDB_EXISTS);
    assert_int_equal(memdb__io_rename(directory.fd, "none", "other", &error), MEMDB_NOT_FOUND);
}

static void test_clocks_run(void **state) {
    (void)state;
    assert_true(memdb__now_us() > INT64_C(1700000000000000));
    uint64_t before = memdb__monotonic_ns();
    assert_true(memdb__monotonic_ns() >= before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_io_replace_file_is_old_or_new_after_each_fault),
        cmocka_unit_test(test_io_read_file_fails_without_leak),
        cmocka_unit_test(test_io_read_past_the_end_is_corrupt),
        cmocka_unit_test(test_io_list_is_sorted_and_stops),
        cmocka_unit_test(test_clocks_run),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
