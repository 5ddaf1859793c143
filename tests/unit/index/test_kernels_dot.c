// Goal: every kernel of this CPU gives the integer of its scalar twin.
// Method: all sizes up to 4,096 (sampled above 300), all alignments within a line, random codes and
// the extreme ones; rows of all strides and counts around the unrolled steps, in blocks on both
// sides of the prefetch threshold, in their order and in a random one; queries by the piece.
#include "tests/unit/index/test_kernels_fixture.h"

#define MAX_SIZE 4096
#define ROWS 67

/// mode 0: random; 1: all 127; 2: all -127; 3: random signs of 127; 4: mostly zero
static int8_t code(int mode) {
    switch (mode) {
    case 0:
        return (int8_t)((int)(next() % 255) - 127);
    case 1:
        return 127;
    case 2:
        return -127;
    case 3:
        return next() & 1 ? 127 : -127;
    default:
        return next() % 16 ? 0 : (int8_t)((int)(next() % 255) - 127);
    }
}

static void fill(int8_t *at, size_t size, int mode) {
    for (size_t i = 0; i < size; i++)
        at[i] = code(mode);
}

static int32_t naive(const int8_t *a, const int8_t *b, size_t size) {
    int64_t sum = 0;
    for (size_t i = 0; i < size; i++)
        sum += a[i] * b[i];
    return (int32_t)sum;
}

typedef int32_t (*dot_fn)(const int8_t *, const int8_t *, size_t);
typedef void (*dot_rows_fn)(const int8_t *, const int8_t *, size_t, size_t, int32_t *);
typedef void (*dot_given_fn)(const int8_t *, const int8_t *, size_t, const uint32_t *, size_t,
                             int32_t *);

static void check_dot(dot_fn dot, const int8_t *a, const int8_t *b, size_t size) {
    int32_t expected = naive(a, b, size);
    if (dot(a, b, size) != expected)
        fail_msg("size %zu: %d, not %d", size, dot(a, b, size), expected);
}

static void check_dots(dot_fn dot) {
    // The arrays end where the block ends, so that a sanitizer sees a read past them.
    int8_t *a = test_malloc(MAX_SIZE + 64), *b = test_malloc(MAX_SIZE + 64);
    for (size_t size = 0; size <= MAX_SIZE; size += size < 300 ? 1 : 1 + next() % 61) {
        for (int mode = 0; mode < 5; mode++) {
            size_t a_shift = next() % 64, b_shift = next() % 64;
            int8_t *x = a + MAX_SIZE + 64 - size, *y = b + MAX_SIZE + 64 - size;
            fill(x, size, mode);
            fill(y, size, mode == 1 ? 2 : mode);
            check_dot(dot, x, y, size);
            if (size == 0)
                continue;
            memmove(a + a_shift, x, size);
            memmove(b + b_shift, y, size);
            check_dot(dot, a + a_shift, b + b_shift, size);
        }
    }
    for (int mode = 0; mode < 5; mode++) {
        fill(a, MAX_SIZE, mode);
        fill(b, MAX_SIZE, 3);
        check_dot(dot, a, b, MAX_SIZE);
        check_dot(dot, a, a, MAX_SIZE);
    }
    test_free(a);
    test_free(b);
}

static void check_rows(dot_rows_fn dot_rows, dot_given_fn dot_given, size_t stride, size_t count,
                       int mode) {
    size_t bytes = stride * count;
    int8_t *rows = aligned_alloc(64, bytes ? bytes : 64);
    int8_t *query_block = test_malloc(stride + 64);
    int8_t *query = query_block + next() % 64;
    int32_t *dots = test_malloc((count + 1) * sizeof *dots);
    assert_non_null(rows);
    size_t size = stride - next() % 64;
    memset(query, 0, stride);
    fill(query, size, mode);
    for (size_t i = 0; i < count; i++) {
        memset(rows + i * stride, 0, stride);
        fill(rows + i * stride, size, mode == 1 ? 2 : mode);
    }
    dots[count] = 12345;
    dot_rows(query, rows, stride, count, dots);
    for (size_t i = 0; i < count; i++)
        if (dots[i] != naive(query, rows + i * stride, stride))
            fail_msg("stride %zu, row %zu of %zu, mode %d", stride, i, count, mode);
    assert_int_equal(dots[count], 12345);
    uint32_t *numbers = test_malloc((count + 1) * sizeof *numbers);
    for (size_t i = 0; i < count; i++)
        numbers[i] = next() % (uint32_t)count;
    dot_given(query, rows, stride, numbers, count, dots);
    for (size_t i = 0; i < count; i++)
        if (dots[i] != naive(query, rows + numbers[i] * stride, stride))
            fail_msg("stride %zu, given row %u, mode %d", stride, numbers[i], mode);
    assert_int_equal(dots[count], 12345);
    test_free(numbers);
    test_free(dots);
    test_free(query_block);
    free(rows);
}

static void check_all_rows(dot_rows_fn dot_rows, dot_given_fn dot_given) {
    for (size_t stride = 64; stride <= MAX_SIZE; stride += 64)
        for (size_t count = 0; count < 10; count++)
            check_rows(dot_rows, dot_given, stride, count, (int)(next() % 5));
    for (int mode = 0; mode < 5; mode++) {
        check_rows(dot_rows, dot_given, 384, 257, mode);
        check_rows(dot_rows, dot_given, 512, 130, mode);
        check_rows(dot_rows, dot_given, 768, 91, mode);
        check_rows(dot_rows, dot_given, MAX_SIZE, ROWS, mode);
        check_rows(dot_rows, dot_given, 64, 1100, mode);
    }
}

static void check_level(const memdb__kernels_t *kernels) {
    check_dots(kernels->dot);
    check_all_rows(kernels->dot_rows, kernels->dot_given);
}

static void test_kernels_dots_equal_the_scalar_twin(void **unused) {
    (void)unused;
    each_level(check_level);
}

#if defined(__aarch64__)
static void test_kernels_neon_without_sdot_equals_the_scalar_twin(void **unused) {
    (void)unused;
    check_dots(memdb__dot_neon);
    check_all_rows(memdb__dot_rows_neon, memdb__dot_given_neon);
}
#endif

static void test_kernels_dot_queries_equals_dot(void **unused) {
    (void)unused;
    enum { QUERIES = 5 };
    const size_t shapes[][2] = {{64, 0}, {64, 1}, {384, 131}, {768, 50}, {MAX_SIZE, 9}};
    for (size_t shape = 0; shape < sizeof shapes / sizeof *shapes; shape++) {
        size_t stride = shapes[shape][0], count = shapes[shape][1];
        int8_t *queries = aligned_alloc(64, QUERIES * stride);
        int8_t *rows = aligned_alloc(64, (count + 1) * stride);
        int32_t *dots = test_malloc(QUERIES * (count + 1) * sizeof *dots);
        assert_true(queries && rows);
        fill(queries, QUERIES * stride, 0);
        fill(rows, count * stride, 0);
        memdb__dot_queries(queries, QUERIES, rows, stride, count, dots);
        for (size_t q = 0; q < QUERIES; q++)
            for (size_t i = 0; i < count; i++)
                assert_int_equal(dots[q * count + i],
                                 naive(queries + q * stride, rows + i * stride, stride));
        test_free(dots);
        free(rows);
        free(queries);
    }
}

static void test_kernels_take_rows_with_minus_128(void **unused) {
    (void)unused;
    int8_t query[256], row[256] __attribute__((aligned(64)));
    for (int level = MEMDB__KERNEL_SCALAR; level <= MEMDB__KERNEL_NEON; level++) {
        const memdb__kernels_t *kernels = memdb__kernels_at((memdb__kernel_level_t)level);
        if (!kernels)
            continue;
        memset(row, 0x80, sizeof row);
        for (int mode = 0; mode < 5; mode++) {
            fill(query, sizeof query, mode);
            int32_t dot;
            kernels->dot_rows(query, row, sizeof row, 1, &dot);
            assert_int_equal(dot, naive(query, row, sizeof row));
            assert_int_equal(kernels->dot(query, row, sizeof row), dot);
        }
    }
}

static void test_kernels_best_is_the_highest_level(void **unused) {
    (void)unused;
    const memdb__kernels_t *best = memdb__kernels();
    assert_ptr_equal(best, memdb__kernels());
    assert_ptr_equal(best, memdb__kernels_at(best->level));
    for (int level = (int)best->level + 1; level <= MEMDB__KERNEL_NEON; level++)
        assert_null(memdb__kernels_at((memdb__kernel_level_t)level));
    print_message("kernels: %s\n", memdb__kernel_level_name(best->level));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_kernels_dots_equal_the_scalar_twin, setup),
#if defined(__aarch64__)
        cmocka_unit_test_setup(test_kernels_neon_without_sdot_equals_the_scalar_twin, setup),
#endif
        cmocka_unit_test_setup(test_kernels_dot_queries_equals_dot, setup),
        cmocka_unit_test_setup(test_kernels_take_rows_with_minus_128, setup),
        cmocka_unit_test(test_kernels_best_is_the_highest_level),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
