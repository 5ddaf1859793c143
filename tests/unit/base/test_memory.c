// Goal: the allocation seam counts and fails as it says; arena and buffer survive failed
// allocations; messages of errors keep their context. Method: cases by hand.
#include "base/bytes.h"
#include "base/memory.h"
#include "base/status.h"
#include "tests/unit/base/base_test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void test_fail_after_fails_exactly_one_allocation(void **state) {
    (void)state;
    uint64_t live = memdb__memory_live(), count = memdb__memory_count();
    memdb__memory_fail_after(1);
    void *first = memdb__allocate(10), *second = memdb__allocate(10), *third = memdb__allocate(0);
    assert_non_null(first);
    assert_null(second);
    assert_non_null(third);
    assert_int_equal(memdb__memory_count() - count, 3);
    assert_int_equal(memdb__memory_live() - live, 2);
    memdb__memory_fail_after(0);
    assert_null(memdb__reallocate(first, 100));
    first = memdb__reallocate(first, 100);
    assert_non_null(first);
    memdb__free(first);
    memdb__free(third);
    memdb__free(NULL);
    assert_null(memdb__allocate_zeroed(SIZE_MAX / 2, 3));
    uint8_t *aligned = memdb__allocate_aligned(65);
    assert_int_equal((uintptr_t)aligned % 64, 0);
    memdb__free_aligned(aligned);
    assert_int_equal(memdb__memory_live(), live);
}

static void test_arena_keeps_objects_apart_and_aligned(void **state) {
    (void)state;
    uint64_t random = test_seed(), live = memdb__memory_live();
    memdb__arena_t arena;
    memdb__arena_init(&arena);
    enum { COUNT = 3000 };
    static uint8_t *objects[COUNT];
    static size_t sizes[COUNT];
    size_t total = 0;
    for (size_t i = 0; i < COUNT; i++) {
        sizes[i] = (size_t)test_below(&random, i % 50 ? 200 : 40000);
        objects[i] = memdb__arena_allocate(&arena, sizes[i]);
        assert_non_null(objects[i]);
        assert_int_equal((uintptr_t)objects[i] % 8, 0);
        memset(objects[i], (int)i, sizes[i]);
        total += sizes[i];
    }
    for (size_t i = 0; i < COUNT; i++)
        for (size_t k = 0; k < sizes[i]; k++)
            assert_int_equal(objects[i][k], (uint8_t)i);
    size_t bytes = atomic_load_explicit(&arena.bytes, memory_order_relaxed);
    assert_true(bytes >= total);
    assert_true(bytes < total * 2 + (1 << 21));
    memdb__memory_fail_after(0);
    assert_null(memdb__arena_allocate(&arena, 4 << 20));
    assert_memory_equal(memdb__arena_copy(&arena, "memory", 7), "memory", 7);
    memdb__memory_fail_after(UINT64_MAX);
    memdb__arena_deinit(&arena);
    assert_int_equal(memdb__memory_live(), live);
}

/// Fill an arena with objects that cannot share a chunk's memory unseen.
static void fill_arena(memdb__arena_t *arena, uint8_t mark) {
    enum { COUNT = 40, SIZE = 1 << 18 }; // ten megabytes: several of the largest chunks
    uint8_t *objects[COUNT];
    memdb__arena_init(arena);
    for (size_t i = 0; i < COUNT; i++) {
        objects[i] = memdb__arena_allocate(arena, SIZE);
        assert_non_null(objects[i]);
        memset(objects[i], (uint8_t)(mark + i), SIZE);
    }
    for (size_t i = 0; i < COUNT; i++)
        for (size_t k = 0; k < SIZE; k += 1000)
            assert_int_equal(objects[i][k], (uint8_t)(mark + i));
}

static void test_arena_large_chunks_are_kept_for_the_next_one(void **state) {
    (void)state;
    uint64_t live = memdb__memory_live();
    memdb__arena_t first, second;
    for (int round = 0; round < 3; round++) {
        fill_arena(&first, 1);
        fill_arena(&second, 101); // beside the other
        memdb__arena_deinit(&first);
        fill_arena(&first, 7); // of what that one gave back
        memdb__arena_deinit(&second);
        memdb__arena_deinit(&first);
        assert_int_equal(memdb__memory_live(), live); // what is kept is nobody's
        memdb__memory_trim();
    }
    fill_arena(&first, 1);
    memdb__arena_deinit(&first);
    fill_arena(&second, 1);
    memdb__arena_deinit(&second);
    // A chunk that is kept fails like any other when a test wants it.
    memdb__arena_init(&first);
    memdb__memory_fail_after(8);
    size_t filled = 0;
    while (memdb__arena_allocate(&first, 4000))
        filled += 4000;
    memdb__memory_fail_after(UINT64_MAX);
    assert_true(filled > 0 && filled < 8 << 20);
    memdb__arena_deinit(&first);
    memdb__memory_trim();
    assert_int_equal(memdb__memory_live(), live);
}

static void test_buffer_failure_is_sticky_until_cleared(void **state) {
    (void)state;
    memdb__buffer_t buffer = {0};
    assert_true(memdb__buffer_append_sized(&buffer, "abc", 3));
    assert_true(memdb__buffer_append_u32(&buffer, 7));
    assert_true(memdb__buffer_append_u64(&buffer, 8));
    assert_true(memdb__buffer_append_u8(&buffer, 9));
    assert_true(memdb__buffer_append(&buffer, NULL, 0));
    assert_int_equal(buffer.size, 17);
    assert_memory_equal(buffer.data, "\3abc\7\0\0\0\10\0\0\0\0\0\0\0\11", 17);
    memdb__memory_fail_after(0);
    assert_false(memdb__buffer_reserve(&buffer, 1000));
    assert_false(memdb__buffer_append_u8(&buffer, 1));
    assert_int_equal(buffer.size, 17);
    assert_true(buffer.failed);
    memdb__buffer_clear(&buffer);
    assert_true(memdb__buffer_append_varint(&buffer, 300));
    assert_memory_equal(buffer.data, "\xac\x02", 2);
    assert_false(memdb__buffer_reserve(&buffer, SIZE_MAX - 1));
    memdb__buffer_deinit(&buffer);
    assert_null(buffer.data);
}

static void test_error_messages_gain_context_and_are_cut(void **state) {
    (void)state;
    memdb_error_t error = {0};
    assert_int_equal(memdb__fail(&error, MEMDB_CORRUPT, "page %d", 7), MEMDB_CORRUPT);
    assert_int_equal(memdb__error_context(&error, MEMDB_CORRUPT, "segment %d", 3), MEMDB_CORRUPT);
    assert_string_equal(error.message, "segment 3: page 7");
    assert_int_equal(memdb__fail_errno(&error, ENOSPC, "a"), MEMDB_FULL);
    assert_string_equal(error.message, "a: No space left on device");
    assert_int_equal(memdb__fail_errno(&error, ENOENT, "a"), MEMDB_NOT_FOUND);
    assert_int_equal(memdb__fail_errno(&error, EEXIST, "a"), MEMDB_EXISTS);
    assert_int_equal(memdb__fail_errno(NULL, ENOMEM, "a"), MEMDB_NOMEM);
    assert_int_equal(memdb__fail_errno(NULL, EBADF, "a"), MEMDB_IO);
    assert_int_equal(memdb__error_context(NULL, MEMDB_CORRUPT, "a"), MEMDB_CORRUPT);
    for (int i = 0; i < 300; i++)
        memdb__error_context(&error, MEMDB_CORRUPT, "context %d", i);
    assert_int_equal(strlen(error.message), sizeof error.message - 1);
    assert_memory_equal(error.message, "context 299: context 298: ", 26);
}

static void test_every_status_has_name_and_text(void **state) {
    (void)state;
    assert_string_equal(memdb_status_name(MEMDB_CONFLICT), "MEMDB_CONFLICT");
    assert_string_equal(memdb_status_text(MEMDB_OK), "ok");
    assert_string_equal(memdb_status_name((memdb_status_t)999), "MEMDB_UNKNOWN");
    assert_non_null(memdb_status_text((memdb_status_t)999));
    char version[32];
    snprintf(version, sizeof version, "%d.%d.%d", MEMDB_VERSION_MAJOR, MEMDB_VERSION_MINOR,
             MEMDB_VERSION_PATCH);
    assert_string_equal(memdb_version(), version);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fail_after_fails_exactly_one_allocation),
        cmocka_unit_test(test_arena_keeps_objects_apart_and_aligned),
        cmocka_unit_test(test_arena_large_chunks_are_kept_for_the_next_one),
        cmocka_unit_test(test_buffer_failure_is_sticky_until_cleared),
        cmocka_unit_test(test_error_messages_gain_context_and_are_cut),
        cmocka_unit_test(test_every_status_has_name_and_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
