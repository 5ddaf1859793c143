// Goal: the io_uring adapter writes what pwrite would, tells errors, and stays usable after them.
// Where the kernel refuses io_uring the test is skipped, which ctest shows.
#include "base/memory.h"
#include "base/uring.h"
#include "tests/unit/base/base_test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static test_directory_t directory;
static memdb__uring_t *ring;

static int setup(void **state) {
    (void)state;
    test_directory_make(&directory);
    memdb_error_t error = {0};
    memdb_status_t status = memdb__uring_create(&ring, &error);
    if (status) {
        assert_int_equal(status, MEMDB_UNSUPPORTED);
        print_message("skipped: %s\n", error.message);
        ring = NULL;
    }
    return 0;
}

static int teardown(void **state) {
    (void)state;
    memdb__uring_destroy(ring);
    test_directory_remove(&directory);
    assert_int_equal(memdb__memory_live(), 0);
    return 0;
}

static void test_uring_writes_equal_pwrite(void **state) {
    (void)state;
    if (!ring)
        skip();
    uint64_t random = test_seed();
    int fd = openat(directory.fd, "file", O_RDWR | O_CREAT, 0600);
    enum { FILE_BYTES = 300000 };
    uint8_t *model = calloc(1, FILE_BYTES), *data = malloc(FILE_BYTES);
    assert_non_null(model);
    assert_non_null(data);
    assert_int_equal(ftruncate(fd, FILE_BYTES), 0);
    for (int i = 0; i < 200; i++) {
        size_t offset = (size_t)test_below(&random, FILE_BYTES);
        size_t size = (size_t)test_below(&random, (FILE_BYTES - offset) / (i % 8 + 1) + 1);
        for (size_t k = 0; k < size; k++)
            data[k] = (uint8_t)test_random(&random);
        memcpy(model + offset, data, size);
        assert_int_equal(memdb__uring_write(ring, fd, data, size, offset, i % 3 == 0, "file", NULL),
                         MEMDB_OK);
    }
    assert_int_equal(pread(fd, data, FILE_BYTES, 0), FILE_BYTES);
    assert_memory_equal(data, model, FILE_BYTES);
    free(model);
    free(data);
    close(fd);
}

static void test_uring_errors_are_told_and_do_not_stick(void **state) {
    (void)state;
    if (!ring)
        skip();
    memdb_error_t error = {0};
    for (int sync = 0; sync < 2; sync++) {
        assert_int_equal(memdb__uring_write(ring, -1, "a", 1, 0, sync, "file", &error), MEMDB_IO);
        assert_non_null(strstr(error.message, "file: io_uring: cannot write 1 bytes at 0"));
        int full = open("/dev/full", O_WRONLY);
        if (full >= 0)
            assert_int_equal(memdb__uring_write(ring, full, "a", 1, 0, sync, "full", &error),
                             MEMDB_FULL);
        close(full);
    }
    assert_int_equal(memdb__uring_write(ring, -1, NULL, 0, 0, true, "file", &error), MEMDB_IO);
    int pipes[2]; // a pipe takes bytes but cannot be synced
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(memdb__uring_write(ring, pipes[1], "a", 1, 0, true, "pipe", &error), MEMDB_IO);
    assert_non_null(strstr(error.message, "cannot sync"));
    close(pipes[0]), close(pipes[1]);
    int fd = openat(directory.fd, "other", O_RDWR | O_CREAT, 0600);
    assert_int_equal(memdb__uring_write(ring, fd, "abc", 3, 0, true, "other", &error), MEMDB_OK);
    close(fd);
}

static void test_uring_out_of_memory_is_told(void **state) {
    (void)state;
    memdb__uring_t *other;
    memdb__memory_fail_after(0);
    assert_int_equal(memdb__uring_create(&other, NULL), MEMDB_NOMEM);
    memdb__uring_destroy(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_uring_writes_equal_pwrite),
        cmocka_unit_test(test_uring_errors_are_told_and_do_not_stick),
        cmocka_unit_test(test_uring_out_of_memory_is_told),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
