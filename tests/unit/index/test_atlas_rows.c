// Goal: a row holds its vector to half a scale, odd vectors are answered as the contract says,
// hostile rows are refused. Method: random vectors of many magnitudes and dimensions; the limits of
// float one by one.
#include "base/bytes.h"
#include "tests/unit/index/test_atlas_fixture.h"

#include <float.h>

static uint8_t row[4 + MEMDB_MAX_DIMENSION];
static float vector[MEMDB_MAX_DIMENSION], decoded[MEMDB_MAX_DIMENSION];

static float scale_of(const uint8_t *encoded) {
    float scale;
    memcpy(&scale, encoded, sizeof scale);
    return scale;
}

static void test_atlas_row_decodes_to_half_a_scale(void **unused) {
    (void)unused;
    random_t random = random_seeded();
    for (int round = 0; round < 2000; round++) {
        uint32_t dimension = 1 + random_next(&random) % 700;
        float magnitude = ldexpf(1, (int)(random_next(&random) % 240) - 120);
        double length = 0;
        for (uint32_t i = 0; i < dimension; i++) {
            vector[i] = random_float(&random) * magnitude;
            length += (double)vector[i] * vector[i];
        }
        for (int metric = MEMDB_METRIC_COSINE; metric <= MEMDB_METRIC_L2; metric++) {
            memdb_error_t error;
            assert_ok(memdb__row_encode((memdb_metric_t)metric, vector, dimension, row, &error),
                      &error);
            assert_true(memdb__row_verify(row, 4 + dimension, dimension));
            memdb__row_decode(row, dimension, decoded);
            double factor = metric == MEMDB_METRIC_COSINE && length > 0 ? 1 / sqrt(length) : 1;
            for (uint32_t i = 0; i < dimension; i++)
                assert_true(fabs(decoded[i] - vector[i] * factor) <= scale_of(row) * 0.50001);
        }
    }
}

static void test_atlas_row_of_largest_component_uses_the_whole_range(void **unused) {
    (void)unused;
    const float values[3] = {-0.5f, 0.25f, 0.001f};
    assert_int_equal(memdb__row_encode(MEMDB_METRIC_DOT, values, 3, row, NULL), MEMDB_OK);
    assert_int_equal((int8_t)row[4], -127);
    assert_int_equal((int8_t)row[5], 64);
    assert_int_equal((int8_t)row[6], 0);
}

static void test_atlas_row_refuses_what_is_not_finite(void **unused) {
    (void)unused;
    const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};
    memset(vector, 0, sizeof vector);
    for (int i = 0; i < 4; i++) {
        memdb_error_t error = {0};
        vector[5] = bad[i];
        assert_int_equal(memdb__row_encode(MEMDB_METRIC_L2, vector, 8, row, &error), MEMDB_INVALID);
        assert_string_equal(error.message, "vector component 5 is not finite");
    }
    assert_int_equal(memdb__row_encode(MEMDB_METRIC_L2, vector, 0, row, NULL), MEMDB_INVALID);
    assert_int_equal(memdb__row_encode(MEMDB_METRIC_L2, vector, MEMDB_MAX_DIMENSION + 1, row, NULL),
                     MEMDB_INVALID);
}

static void test_atlas_row_of_zero_is_zero(void **unused) {
    (void)unused;
    memset(vector, 0, sizeof vector);
    vector[1] = -0.0f;
    for (int metric = MEMDB_METRIC_COSINE; metric <= MEMDB_METRIC_L2; metric++) {
        memset(row, 0xff, sizeof row);
        assert_int_equal(memdb__row_encode((memdb_metric_t)metric, vector, 9, row, NULL), MEMDB_OK);
        for (int i = 0; i < 4 + 9; i++)
            assert_int_equal(row[i], 0);
    }
}

static void test_atlas_row_of_extreme_floats_is_well_formed(void **unused) {
    (void)unused;
    const float extremes[] = {FLT_MAX, -FLT_MAX, FLT_MIN, FLT_TRUE_MIN, 1e-43f, 1e-40f, 1};
    for (size_t a = 0; a < 7; a++)
        for (size_t b = 0; b < 7; b++)
            for (int metric = MEMDB_METRIC_COSINE; metric <= MEMDB_METRIC_L2; metric++) {
                const float pair[2] = {extremes[a], extremes[b]};
                assert_int_equal(memdb__row_encode((memdb_metric_t)metric, pair, 2, row, NULL),
                                 MEMDB_OK);
                assert_true(memdb__row_verify(row, 6, 2));
                memdb__row_decode(row, 2, decoded);
                assert_true(isfinite(decoded[0]) && isfinite(decoded[1]));
                if (metric == MEMDB_METRIC_COSINE)
                    assert_true(fabs(hypot(decoded[0], decoded[1]) - 1) < 0.01);
            }
}

static void test_atlas_row_verify_refuses_hostile_bytes(void **unused) {
    (void)unused;
    const float values[3] = {1, 2, 3};
    assert_int_equal(memdb__row_encode(MEMDB_METRIC_DOT, values, 3, row, NULL), MEMDB_OK);
    assert_true(memdb__row_verify(row, 7, 3));
    assert_false(memdb__row_verify(row, 6, 3));
    assert_false(memdb__row_verify(row, 8, 3));
    assert_false(memdb__row_verify(row, 4, 0));
    assert_false(memdb__row_verify(row, 4 + 5000, 5000));
    row[5] = 0x80;
    assert_false(memdb__row_verify(row, 7, 3));
    row[5] = 1;
    const float bad[] = {NAN, INFINITY, -1, -0.0f};
    for (int i = 0; i < 4; i++) {
        memcpy(row, &bad[i], 4);
        assert_false(memdb__row_verify(row, 7, 3));
    }
}

static void test_atlas_scores_of_a_block_equal_those_of_single_rows(void **unused) {
    (void)unused;
    enum { COUNT = 133 };
    random_t random = random_seeded();
    const float odd[] = {0, FLT_MAX, FLT_TRUE_MIN, INFINITY, NAN, 1e30f, 1e-30f, 1};
    static memdb__coded_query_t query;
    int32_t dots[COUNT];
    float scales[COUNT], norms[COUNT], scores[COUNT], single;
    for (int round = 0; round < 600; round++) {
        query.metric = (memdb_metric_t)(round % 3);
        query.scale = round % 5 ? fabsf(random_float(&random)) : odd[round % 8];
        query.norm = round % 7 ? fabsf(random_float(&random)) : odd[round % 8];
        for (int i = 0; i < COUNT; i++) {
            dots[i] = (int32_t)random_next(&random) % 66064384; // 127 * 127 * 4096
            dots[i] = random_next(&random) % 2 ? -dots[i] : dots[i];
            scales[i] = random_next(&random) % 9 ? fabsf(random_float(&random)) : odd[i % 8];
            norms[i] = random_next(&random) % 9 ? fabsf(random_float(&random)) : odd[i % 8];
        }
        size_t count = 2 + random_next(&random) % (COUNT - 1);
        memdb__scores(&query, dots, scales, norms, count, scores);
        for (size_t i = 0; i < count; i++) {
            memdb__scores(&query, dots + i, scales + i, norms + i, 1, &single);
            assert_memory_equal(&single, &scores[i], sizeof single);
            assert_true(isfinite(single));
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_atlas_row_decodes_to_half_a_scale),
        cmocka_unit_test(test_atlas_row_of_largest_component_uses_the_whole_range),
        cmocka_unit_test(test_atlas_row_refuses_what_is_not_finite),
        cmocka_unit_test(test_atlas_row_of_zero_is_zero),
        cmocka_unit_test(test_atlas_row_of_extreme_floats_is_well_formed),
        cmocka_unit_test(test_atlas_row_verify_refuses_hostile_bytes),
        cmocka_unit_test(test_atlas_scores_of_a_block_equal_those_of_single_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
