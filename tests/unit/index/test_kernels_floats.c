// Goal: rotations and half floats are right, and the same bits on every variant.
// Method: the scalar twin against the definition in double precision; each variant against the
// twin, bit for bit, over all sizes, with zeros of both signs, tiny and huge values; a rotation
// keeps lengths and inner products and spreads a single value over all; every half float there and
// back.
#include "tests/unit/index/test_kernels_fixture.h"

#include <math.h>

#define MAX_SIZE 4096

/// In [-1, 1); mode 1 adds zeros of both signs, mode 2 tiny and huge values.
static float value(int mode) {
    float plain = (float)((int)(next() % 65536) - 32768) / 32768;
    switch (mode ? next() % 8 : 8) {
    case 0:
        return mode == 1 ? 0.0f : plain * 0x1p-140f;
    case 1:
        return mode == 1 ? -0.0f : plain * 0x1p100f;
    default:
        return plain;
    }
}

static void fill(float *values, size_t size, int mode) {
    for (size_t i = 0; i < size; i++)
        values[i] = value(mode);
}

static void fill_signs(uint64_t *signs, size_t size) {
    for (size_t i = 0; i < (MEMDB__ROTATION_TRANSFORMS * size + 63) / 64; i++)
        signs[i] = (uint64_t)next() << 33 ^ (uint64_t)next() << 10 ^ next();
}

// ------------------------------------------------------------------------------ rotation

static void check_rotation(const memdb__kernels_t *kernels, size_t size, int mode) {
    // One float past a line: no alignment is asked for.
    float *expected = test_malloc(size * sizeof(float));
    float *block = test_malloc((size + 1) * sizeof(float)), *vector = block + 1;
    uint64_t *signs = test_malloc((MEMDB__ROTATION_TRANSFORMS * size + 63) / 64 * sizeof *signs);
    fill(expected, size, mode);
    memcpy(vector, expected, size * sizeof(float));
    fill_signs(signs, size);
    memdb__rotate_scalar(expected, size, signs);
    kernels->rotate(vector, size, signs);
    if (memcmp(vector, expected, size * sizeof(float)))
        fail_msg("%s: size %zu, mode %d", memdb__kernel_level_name(kernels->level), size, mode);
    test_free(signs);
    test_free(block);
    test_free(expected);
}

static void check_rotations(const memdb__kernels_t *kernels) {
    for (size_t size = 32; size <= MAX_SIZE; size += 32)
        check_rotation(kernels, size, (int)(size / 32 % 3));
}

static void test_kernels_rotate_equals_the_scalar_twin(void **unused) {
    (void)unused;
    each_level(check_rotations);
}

/// The definition, in double: a transform is the matrix of signs (-1)^popcount(row & column).
static void transform_exactly(double *values, size_t size) {
    double *out = test_malloc(size * sizeof *out);
    for (size_t row = 0; row < size; row++) {
        out[row] = 0;
        for (size_t column = 0; column < size; column++)
            out[row] += __builtin_parityll(row & column) ? -values[column] : values[column];
        out[row] /= sqrt((double)size);
    }
    memcpy(values, out, size * sizeof *out);
    test_free(out);
}

static void test_kernels_rotate_is_the_transform_of_its_definition(void **unused) {
    (void)unused;
    const size_t sizes[][2] = {{32, 32}, {96, 64}, {128, 128}, {384, 256}};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        size_t size = sizes[s][0], window = sizes[s][1];
        float vector[384];
        double expected[384];
        uint64_t signs[24];
        fill(vector, size, 0);
        fill_signs(signs, size);
        for (size_t i = 0; i < size; i++)
            expected[i] = (double)vector[i];
        for (size_t t = 0; t < MEMDB__ROTATION_TRANSFORMS; t++) {
            size_t first = t % 2 ? size - window : 0;
            if (t % 2 && window == size)
                continue;
            for (size_t i = first; i < first + window; i++)
                if (signs[(t * size + i) / 64] >> ((t * size + i) % 64) & 1)
                    expected[i] = -expected[i];
            transform_exactly(expected + first, window);
        }
        memdb__rotate_scalar(vector, size, signs);
        for (size_t i = 0; i < size; i++)
            assert_true(fabs((double)vector[i] - expected[i]) < 1e-5);
    }
}

static double inner(const float *a, const float *b, size_t size) {
    double sum = 0;
    for (size_t i = 0; i < size; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

static void test_kernels_rotate_keeps_inner_products_and_spreads_values(void **unused) {
    (void)unused;
    for (size_t size = 32; size <= MAX_SIZE; size = size * 3 / 64 * 32 + 32) {
        float *a = test_malloc(size * sizeof *a), *b = test_malloc(size * sizeof *b);
        uint64_t *signs =
            test_malloc((MEMDB__ROTATION_TRANSFORMS * size + 63) / 64 * sizeof *signs);
        fill(a, size, 0);
        memset(b, 0, size * sizeof *b);
        b[next() % size] = 1;
        double before = inner(a, b, size), squares = inner(a, a, size);
        fill_signs(signs, size);
        memdb__kernels()->rotate(a, size, signs);
        memdb__kernels()->rotate(b, size, signs);
        assert_true(fabs(inner(a, b, size) - before) < 1e-4 * sqrt(squares));
        assert_true(fabs(inner(a, a, size) / squares - 1) < 1e-5);
        // A random unit vector's largest value is near sqrt(2 ln(size) / size).
        double largest = 0;
        for (size_t i = 0; i < size; i++)
            largest = fmax(largest, fabs((double)b[i]));
        assert_true(largest < 3 * sqrt(2 * log((double)size) / (double)size));
        test_free(signs);
        test_free(b);
        test_free(a);
    }
}

// ------------------------------------------------------------------------------ half floats

static void test_half_floats_go_there_and_back(void **unused) {
    (void)unused;
    for (uint32_t half = 0; half < 65536; half++) {
        float decoded = memdb__half_decode((uint16_t)half);
        if (isnan(decoded))
            assert_true(isnan(memdb__half_decode(memdb__half_encode(decoded))));
        else
            assert_int_equal(memdb__half_encode(decoded), half);
    }
}

static void test_half_floats_are_rounded_to_the_nearest(void **unused) {
    (void)unused;
    for (int i = 0; i < 200000; i++) {
        float exact = value(0) * ldexpf(1, (int)(next() % 43) - 27);
        uint16_t half = memdb__half_encode(exact);
        double error = fabs((double)memdb__half_decode(half) - (double)exact);
        // No neighbour is nearer; on a tie the even one was taken.
        for (int step = -1; step <= 1; step += 2) {
            uint16_t other = (uint16_t)(half + step);
            if ((half & 0x7fff) == 0 || (other & 0x7c00) == 0x7c00)
                continue;
            double other_error = fabs((double)memdb__half_decode(other) - (double)exact);
            assert_true(error < other_error || (error == other_error && half % 2 == 0));
        }
    }
    assert_int_equal(memdb__half_encode(65519.0f), 0x7bff);
    assert_int_equal(memdb__half_encode(65520.0f), 0x7c00);
    assert_int_equal(memdb__half_encode(-1e30f), 0xfc00);
    assert_int_equal(memdb__half_encode(-0.0f), 0x8000);
}

static void check_dot_half(const memdb__kernels_t *kernels, size_t size, int mode) {
    float *query = test_malloc(size * sizeof *query);
    uint16_t *row = test_malloc(size * sizeof *row);
    double expected = 0, magnitude = 0;
    fill(query, size, mode == 2 ? 1 : mode);
    for (size_t i = 0; i < size; i++) {
        // Mode 2: any finite half, also those below the normal ones.
        row[i] = mode == 2 ? (uint16_t)((next() % 0x7c00) | (next() & 1) << 15)
                           : memdb__half_encode(value(mode));
        double product = (double)query[i] * (double)memdb__half_decode(row[i]);
        expected += product;
        magnitude += fabs(product);
    }
    float twin = memdb__dot_half_scalar(query, row, size),
          dot = kernels->dot_half(query, row, size);
    assert_memory_equal(&dot, &twin, sizeof dot);
    assert_true(fabs((double)twin - expected) <= 1e-5 * magnitude);
    test_free(row);
    test_free(query);
}

static void check_dot_halves(const memdb__kernels_t *kernels) {
    for (size_t size = 0; size <= MAX_SIZE; size += 32)
        for (int mode = 0; mode < 3; mode++)
            check_dot_half(kernels, size, mode);
}

static void test_kernels_dot_half_equals_the_scalar_twin(void **unused) {
    (void)unused;
    each_level(check_dot_halves);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_kernels_rotate_equals_the_scalar_twin, setup),
        cmocka_unit_test_setup(test_kernels_rotate_is_the_transform_of_its_definition, setup),
        cmocka_unit_test_setup(test_kernels_rotate_keeps_inner_products_and_spreads_values, setup),
        cmocka_unit_test_setup(test_half_floats_go_there_and_back, setup),
        cmocka_unit_test_setup(test_half_floats_are_rounded_to_the_nearest, setup),
        cmocka_unit_test_setup(test_kernels_dot_half_equals_the_scalar_twin, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
