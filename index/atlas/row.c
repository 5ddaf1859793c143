// Rows: INT8 codes with a scale, to and from floats and log bytes, and the arithmetic of scores.
//
// A code is round(value / scale) with scale = largest magnitude / 127, so a decoded value is off by
// at most half a scale. Everything up to the rounding is done in double, in one order, so that a
// vector has one encoding on every machine.
#include "base/bytes.h"
#include "index/atlas/atlas_internal.h"
#include "index/kernels/kernels.h"

#include <math.h>
#include <string.h>

#define MAX_CODE 127

static bool valid_dimension(uint32_t dimension) {
    return dimension >= 1 && dimension <= MEMDB_MAX_DIMENSION;
}

memdb_status_t memdb__codes_encode(memdb_metric_t metric, const float *vector, uint32_t dimension,
                                   int8_t *codes_out, float *scale_out, memdb_error_t *error) {
    if (!valid_dimension(dimension))
        return memdb__fail(error, MEMDB_INVALID, "dimension %u is not in 1 to %u", dimension,
                           (unsigned)MEMDB_MAX_DIMENSION);
    double largest = 0, squares = 0;
    for (uint32_t i = 0; i < dimension; i++) {
        double value = vector[i];
        if (!isfinite(value))
            return memdb__fail(error, MEMDB_INVALID, "vector component %u is not finite", i);
        double magnitude = fabs(value);
        largest = magnitude > largest ? magnitude : largest;
        squares += value * value;
    }
    // The square of the smallest float does not vanish in double, so a vector of length 0 is zero.
    double factor = metric == MEMDB_METRIC_COSINE && squares > 0 ? 1 / sqrt(squares) : 1;
    float scale = (float)(largest * factor / MAX_CODE);
    if (!isfinite(scale * MAX_CODE))
        scale = nextafterf(scale, 0); // rounded up at the end of the range: must decode to floats
    *scale_out = scale;
    if (!(scale > 0)) {
        memset(codes_out, 0, dimension); // zero, or too small for a scale
        return MEMDB_OK;
    }
    double inverse = factor / (double)scale;
    for (uint32_t i = 0; i < dimension; i++) {
        double scaled = vector[i] * inverse;
        // The scale is rounded itself, so the largest value may land a little above 127.
        int code = (int)(scaled + (scaled < 0 ? -0.5 : 0.5));
        codes_out[i] = (int8_t)(code > MAX_CODE ? MAX_CODE : code < -MAX_CODE ? -MAX_CODE : code);
    }
    return MEMDB_OK;
}

float memdb__codes_norm(const int8_t *codes, size_t size, float scale) {
    double norm = (double)scale * (double)scale * memdb__kernels()->dot(codes, codes, size);
    return norm < (double)FLT_MAX ? (float)norm : FLT_MAX;
}

memdb_status_t memdb__row_encode(memdb_metric_t metric, const float *vector, uint32_t dimension,
                                 uint8_t *row_out, memdb_error_t *error) {
    float scale;
    memdb_status_t status =
        memdb__codes_encode(metric, vector, dimension, (int8_t *)row_out + 4, &scale, error);
    if (status != MEMDB_OK)
        return status;
    memdb__put_u32(row_out, memdb__float_bits(scale));
    return MEMDB_OK;
}

bool memdb__row_verify(const uint8_t *row, size_t size, uint32_t dimension) {
    if (!valid_dimension(dimension) || size != memdb__row_bytes(dimension))
        return false;
    float scale = memdb__bits_float(memdb__get_u32(row));
    if (!isfinite(scale * MAX_CODE) || signbit(scale))
        return false;
    bool bad = false;
    for (size_t i = 4; i < size; i++)
        bad |= row[i] == 0x80;
    return !bad;
}

void memdb__row_decode(const uint8_t *row, uint32_t dimension, float *vector_out) {
    float scale = memdb__bits_float(memdb__get_u32(row));
    for (uint32_t i = 0; i < dimension; i++)
        vector_out[i] = (float)(int8_t)row[4 + i] * scale;
}

memdb_status_t memdb__coded_query_init(memdb__coded_query_t *query, memdb_metric_t metric,
                                       const float *vector, uint32_t dimension,
                                       memdb_error_t *error) {
    if (metric != MEMDB_METRIC_COSINE && metric != MEMDB_METRIC_DOT && metric != MEMDB_METRIC_L2)
        return memdb__fail(error, MEMDB_INVALID, "metric %d is not known", (int)metric);
    memdb_status_t status =
        memdb__codes_encode(metric, vector, dimension, query->codes, &query->scale, error);
    if (status != MEMDB_OK)
        return memdb__error_context(error, status, "query");
    query->metric = metric;
    query->stride = memdb__row_stride(dimension);
    memset(query->codes + dimension, 0, query->stride - dimension);
    query->norm = memdb__codes_norm(query->codes, query->stride, query->scale);
    return MEMDB_OK;
}

/// Within the finite floats; a NaN fails the first comparison and becomes the lowest.
static inline float hold(float score) {
    score = score > -FLT_MAX ? score : -FLT_MAX;
    return score < FLT_MAX ? score : FLT_MAX;
}

static inline __attribute__((always_inline)) void scores_of(const memdb__coded_query_t *query,
                                                            const int32_t *dots,
                                                            const float *scales, const float *norms,
                                                            size_t count, float *scores_out) {
    float query_scale = query->scale, query_norm = query->norm;
    if (query->metric == MEMDB_METRIC_L2) {
        for (size_t i = 0; i < count; i++) {
            float inner = ((float)dots[i] * scales[i]) * query_scale;
            scores_out[i] = hold((inner + inner) - (norms[i] + query_norm));
        }
    } else {
        for (size_t i = 0; i < count; i++)
            scores_out[i] = hold(((float)dots[i] * scales[i]) * query_scale);
    }
}

#if defined(__x86_64__)
/// The same loops in wider registers. Each lane is the same IEEE operations, so the bits are the
/// same.
__attribute__((target("avx2"))) static void scores_avx2(const memdb__coded_query_t *query,
                                                        const int32_t *dots, const float *scales,
                                                        const float *norms, size_t count,
                                                        float *scores_out) {
    scores_of(query, dots, scales, norms, count, scores_out);
}
#endif

void memdb__scores(const memdb__coded_query_t *query, const int32_t *dots, const float *scales,
                   const float *norms, size_t count, float *scores_out) {
#if defined(__x86_64__)
    if (memdb__kernels()->level != MEMDB__KERNEL_SCALAR && count > 1) {
        scores_avx2(query, dots, scales, norms, count, scores_out);
        return;
    }
#endif
    scores_of(query, dots, scales, norms, count, scores_out);
}
