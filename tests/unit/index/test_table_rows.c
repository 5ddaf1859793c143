// Goal: the number formats of rows are those of their specifications, and encoding gives the
// nearest value.
// Method: known values; every code of the small formats there and back; random numbers of all
// magnitudes against a search over all codes; errors of scaled groups against half a scale.
#include "index/table/table.h"
#include "tests/unit/index/test_atlas_fixture.h"

#include <float.h>

static memdb__table_format_t format_of(memdb_dtype_t dtype, uint32_t dimension, uint32_t group) {
    memdb__table_format_t format;
    assert_true(memdb__table_format_init(&format, dtype, dimension, group));
    return format;
}

static float any_float(random_t *random) {
    return ldexpf(random_float(random), (int)(random_next(random) % 60) - 40);
}

static void test_table_rows_have_the_bytes_that_are_promised(void **unused) {
    (void)unused;
    static const struct {
        memdb_dtype_t dtype;
        uint32_t dimension, group, bytes;
    } shapes[] = {
        {MEMDB_DTYPE_F32, 64, 0, 256},     {MEMDB_DTYPE_F16, 64, 0, 128},
        {MEMDB_DTYPE_BF16, 3, 0, 6},       {MEMDB_DTYPE_E4M3, 80, 0, 80},
        {MEMDB_DTYPE_E4M3, 256, 32, 264},  {MEMDB_DTYPE_I8, 64, 0, 68},
        {MEMDB_DTYPE_I8, 65, 32, 65 + 12}, {MEMDB_DTYPE_Q4, 64, 32, 40},
        {MEMDB_DTYPE_Q4, 5, 100, 3 + 4},
    };
    memdb__table_format_t format;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        format = format_of(shapes[i].dtype, shapes[i].dimension, shapes[i].group);
        assert_int_equal(format.row_bytes, shapes[i].bytes);
    }
    assert_false(memdb__table_format_init(&format, MEMDB_DTYPE_F32, 64, 32)); // has no scales
    assert_false(memdb__table_format_init(&format, MEMDB_DTYPE_F32, 0, 0));
    assert_false(
        memdb__table_format_init(&format, MEMDB_DTYPE_F32, MEMDB_MAX_TABLE_DIMENSION + 1, 0));
    assert_false(memdb__table_format_init(&format, (memdb_dtype_t)6, 64, 0));
}

/// The number that one code of a format without scales stands for.
static float decode_one(memdb_dtype_t dtype, uint32_t code) {
    memdb__table_format_t format = format_of(dtype, 1, 0);
    const uint8_t bytes[2] = {(uint8_t)code, (uint8_t)(code >> 8)};
    float number;
    memdb__table_row_decode(&format, bytes, &number);
    return number;
}

static uint32_t encode_one(memdb_dtype_t dtype, float number) {
    memdb__table_format_t format = format_of(dtype, 1, 0);
    uint8_t bytes[2] = {0};
    assert_true(memdb__table_row_encode(&format, &number, bytes));
    return bytes[0] | (uint32_t)bytes[1] << 8;
}

static void test_table_row_formats_are_the_specified_ones(void **unused) {
    (void)unused;
    static const struct {
        memdb_dtype_t dtype;
        uint32_t code;
        float number;
    } known[] = {
        {MEMDB_DTYPE_F16, 0x3C00, 1},        {MEMDB_DTYPE_F16, 0xC000, -2},
        {MEMDB_DTYPE_F16, 0x7BFF, 65504},    {MEMDB_DTYPE_F16, 0x0001, 0x1p-24f},
        {MEMDB_DTYPE_F16, 0x0400, 0x1p-14f}, {MEMDB_DTYPE_F16, 0x3555, 0.333251953125f},
        {MEMDB_DTYPE_BF16, 0x3F80, 1},       {MEMDB_DTYPE_BF16, 0xC2F7, -123.5f},
        {MEMDB_DTYPE_E4M3, 0x38, 1},         {MEMDB_DTYPE_E4M3, 0x7E, 448},
        {MEMDB_DTYPE_E4M3, 0xFE, -448},      {MEMDB_DTYPE_E4M3, 0x01, 0x1p-9f},
        {MEMDB_DTYPE_E4M3, 0x08, 0x1p-6f},   {MEMDB_DTYPE_E4M3, 0x3C, 1.5f},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        assert_true(decode_one(known[i].dtype, known[i].code) == known[i].number);
        assert_int_equal(encode_one(known[i].dtype, known[i].number), known[i].code);
    }
    assert_true(isnan(decode_one(MEMDB_DTYPE_E4M3, 0x7F)));
    assert_true(isinf(decode_one(MEMDB_DTYPE_F16, 0x7C00)));
    assert_int_equal(encode_one(MEMDB_DTYPE_F16, 1e9f), 0x7BFF); // the largest that there is
    assert_int_equal(encode_one(MEMDB_DTYPE_BF16, -FLT_MAX), 0xFF7F);
    assert_int_equal(encode_one(MEMDB_DTYPE_E4M3, -1e9f), 0xFE);
    for (uint32_t code = 0; code < 0x10000; code++) {
        static const memdb_dtype_t dtypes[] = {MEMDB_DTYPE_F16, MEMDB_DTYPE_BF16, MEMDB_DTYPE_E4M3};
        for (int i = 0; i < 3 && (i < 2 || code < 0x100); i++) {
            float number = decode_one(dtypes[i], code);
            if (isfinite(number)) {
                assert_int_equal(encode_one(dtypes[i], number), code);
            }
        }
    }
}

static void test_table_rows_are_encoded_to_the_nearest_value(void **unused) {
    (void)unused;
    random_t random = random_seeded();
    for (int round = 0; round < 20000; round++) {
        float number = any_float(&random);
        // The codes of one sign are in the order of their numbers, so the neighbours decide.
        static const uint32_t largest[] = {
            [MEMDB_DTYPE_F16] = 0x7BFF, [MEMDB_DTYPE_BF16] = 0x7F7F, [MEMDB_DTYPE_E4M3] = 0x7E};
        for (int dtype = MEMDB_DTYPE_F16; dtype <= MEMDB_DTYPE_E4M3; dtype++) {
            uint32_t sign = dtype == MEMDB_DTYPE_E4M3 ? 0x80 : 0x8000;
            uint32_t code = encode_one((memdb_dtype_t)dtype, number), magnitude = code & ~sign;
            double here = fabs((double)decode_one((memdb_dtype_t)dtype, code) - number);
            for (int step = -1; step <= 1; step += 2) {
                uint32_t other = magnitude + (uint32_t)step;
                if ((step < 0 && magnitude == 0) || other > largest[dtype]) {
                    continue;
                }
                double there =
                    fabs((double)decode_one((memdb_dtype_t)dtype, (code & sign) | other) - number);
                assert_true(here < there || (here == there && magnitude % 2 == 0));
            }
        }
    }
}

static void test_table_rows_with_scales_are_right_to_half_a_step(void **unused) {
    (void)unused;
    enum { MOST = 300 };
    float numbers[MOST], decoded[MOST];
    uint8_t row[MOST * 6];
    random_t random = random_seeded();
    for (int round = 0; round < 4000; round++) {
        uint32_t dimension = 1 + random_next(&random) % MOST, group = 1 + random_next(&random) % 64;
        memdb_dtype_t dtype = (memdb_dtype_t)(MEMDB_DTYPE_E4M3 + random_next(&random) % 3);
        memdb__table_format_t format = format_of(dtype, dimension, group);
        for (uint32_t i = 0; i < dimension; i++) {
            numbers[i] = random_next(&random) % 8 ? any_float(&random) : 0;
        }
        assert_true(format.row_bytes <= sizeof row);
        memset(row, 0xA5, sizeof row); // what was there before plays no part
        assert_true(memdb__table_row_encode(&format, numbers, row));
        memdb__table_row_decode(&format, row, decoded);
        for (uint32_t from = 0; from < dimension; from += format.group) {
            float highest = 0, lowest = 0;
            uint32_t to = from + format.group < dimension ? from + format.group : dimension;
            for (uint32_t i = from; i < to; i++) {
                highest = fmaxf(highest, numbers[i]);
                lowest = fminf(lowest, numbers[i]);
            }
            float largest = fmaxf(highest, -lowest);
            for (uint32_t i = from; i < to; i++) {
                float step = dtype == MEMDB_DTYPE_I8 ? largest / 127
                             : dtype == MEMDB_DTYPE_Q4
                                 ? fmaxf(highest / 7, -lowest / 8)
                                 : fmaxf(fabsf(numbers[i]) / 8, largest * 0x1p-14f); // 3 bits
                assert_true(fabsf(decoded[i] - numbers[i]) <= step * 0.5001f);
            }
        }
    }
}

static void test_table_rows_refuse_what_is_not_finite(void **unused) {
    (void)unused;
    uint8_t row[64];
    float numbers[5] = {1, 2, 3, 4, 5};
    for (int dtype = MEMDB_DTYPE_F32; dtype <= MEMDB_DTYPE_Q4; dtype++) {
        memdb__table_format_t format = format_of((memdb_dtype_t)dtype, 5, 0);
        numbers[4] = NAN;
        assert_false(memdb__table_row_encode(&format, numbers, row));
        numbers[4] = -INFINITY;
        assert_false(memdb__table_row_encode(&format, numbers, row));
        numbers[4] = FLT_TRUE_MIN; // alone in the scale that it asks for
        assert_true(memdb__table_row_encode(&format, numbers, row));
    }
    const float tiny[2] = {FLT_TRUE_MIN, -FLT_TRUE_MIN};
    float decoded[2];
    for (int dtype = MEMDB_DTYPE_F32; dtype <= MEMDB_DTYPE_Q4; dtype++) {
        memdb__table_format_t format = format_of((memdb_dtype_t)dtype, 2, 0);
        assert_true(memdb__table_row_encode(&format, tiny, row));
        memdb__table_row_decode(&format, row, decoded);
        assert_true(fabsf(decoded[0]) <= FLT_TRUE_MIN && fabsf(decoded[1]) <= FLT_TRUE_MIN);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_rows_have_the_bytes_that_are_promised),
        cmocka_unit_test(test_table_row_formats_are_the_specified_ones),
        cmocka_unit_test(test_table_rows_are_encoded_to_the_nearest_value),
        cmocka_unit_test(test_table_rows_with_scales_are_right_to_half_a_step),
        cmocka_unit_test(test_table_rows_refuse_what_is_not_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
