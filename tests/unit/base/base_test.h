// What the tests of base/ share: a temporary directory, random numbers with a seed that replays,
// and an I/O table that fails one call in turn.
#ifndef MEMDB_TESTS_UNIT_BASE_BASE_TEST_H
#define MEMDB_TESTS_UNIT_BASE_BASE_TEST_H

#include "base/io.h"

// cmocka.h needs the others before itself.
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
// clang-format on

/// A new directory below TMPDIR or /tmp, and a descriptor of it.
typedef struct test_directory {
    char path[256];
    int fd;
} test_directory_t;
void test_directory_make(test_directory_t *directory);
void test_directory_remove(test_directory_t *directory); // with the files in it
bool test_file_exists(const test_directory_t *directory, const char *name);
/// The whole file, from malloc.
uint8_t *test_file_read(const test_directory_t *directory, const char *name, size_t *size_out);
void test_file_write(const test_directory_t *directory, const char *name, const void *data,
                     size_t size);

/// MEMDB_SEED, or a number of the clock; printed.
uint64_t test_seed(void);
/// xorshift64*; the state must not be 0.
uint64_t test_random(uint64_t *state);
static inline uint64_t test_below(uint64_t *state, uint64_t limit) {
    return test_random(state) % limit;
}

typedef enum fault { FAULT_NONE, FAULT_EIO, FAULT_ENOSPC, FAULT_SHORT, FAULT_EINTR } fault_t;
/// Install a table that counts calls, lets call number `at` fail, and knows open descriptors and
/// mappings. A call that cannot be short (or interrupted) succeeds then. close, unmap and unlink
/// never fail, since nobody could do more.
void test_faults_begin(fault_t fault, uint64_t at);
/// Back to the real table; returns the number of calls that could have failed. Asserts that nothing
/// was left open.
uint64_t test_faults_end(void);

#endif
