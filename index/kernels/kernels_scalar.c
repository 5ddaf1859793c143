// The scalar twins: what every variant must equal, bit for bit. They are the oracle of the tests,
// and what runs where no variant does.
#include "base/bytes.h"
#include "index/kernels/kernels_variants.h"

#include <math.h>
#include <string.h>

// ------------------------------------------------------------------------------ INT8 codes

int32_t memdb__dot_scalar(const int8_t *a, const int8_t *b, size_t size) {
    int32_t sum = 0;
    for (size_t i = 0; i < size; i++)
        sum += (int32_t)a[i] * (int32_t)b[i];
    return sum;
}

void memdb__dot_rows_scalar(const int8_t *query, const int8_t *rows, size_t stride, size_t count,
                            int32_t *dots_out) {
    for (size_t i = 0; i < count; i++)
        dots_out[i] = memdb__dot_scalar(query, rows + i * stride, stride);
}

void memdb__dot_given_scalar(const int8_t *query, const int8_t *rows, size_t stride,
                             const uint32_t *numbers, size_t count, int32_t *dots_out) {
    for (size_t i = 0; i < count; i++)
        dots_out[i] = memdb__dot_scalar(query, rows + numbers[i] * stride, stride);
}

// ------------------------------------------------------------------------------ 1-bit codes

void memdb__scan_blocks_scalar(const uint8_t *tables, const uint8_t *codes, size_t lines,
                               size_t stride, size_t blocks, uint16_t *sums_out) {
    for (size_t block = 0; block < blocks; block++) {
        uint16_t *sums = sums_out + block * MEMDB__BLOCK_ENTRIES;
        memset(sums, 0, MEMDB__BLOCK_ENTRIES * sizeof *sums);
        for (size_t byte = 0; byte < lines * MEMDB__LINE_BYTES; byte++) {
            uint8_t code = codes[block * stride + byte];
            size_t line = byte / MEMDB__LINE_BYTES;
            size_t lane = byte % MEMDB__LINE_BYTES / MEMDB__BLOCK_ENTRIES;
            const uint8_t *low = tables + (8 * line + lane) * 16, *high = low + 4 * 16;
            sums[byte % MEMDB__BLOCK_ENTRIES] += (uint16_t)(low[code & 15] + high[code >> 4]);
        }
    }
}

void memdb__differ_rows_scalar(const uint8_t *query, const uint8_t *rows, size_t stride,
                               size_t count, uint32_t *counts_out) {
    for (size_t row = 0; row < count; row++) {
        uint32_t bits = 0;
        for (size_t i = 0; i < stride; i++)
            bits += (uint32_t)__builtin_popcount(query[i] ^ rows[row * stride + i]);
        counts_out[row] = bits;
    }
}

void memdb__overlap_rows_scalar(const uint8_t *query, const uint8_t *rows, size_t stride,
                                size_t count, uint32_t *counts_out) {
    for (size_t row = 0; row < count; row++) {
        uint32_t bits = 0;
        for (size_t i = 0; i < stride; i++)
            bits += (uint32_t)__builtin_popcount(query[i] & rows[row * stride + i]);
        counts_out[row] = bits;
    }
}

// ------------------------------------------------------------------------------ floats

static void transform(float *values, size_t size, const uint64_t *signs, size_t first_sign) {
    for (size_t i = 0; i < size; i++)
        if (signs[(first_sign + i) / 64] >> ((first_sign + i) % 64) & 1)
            values[i] = -values[i];
    for (size_t half = 1; half < size; half *= 2)
        for (size_t i = 0; i < size; i++)
            if (!(i & half)) {
                float a = values[i], b = values[i + half];
                values[i] = a + b;
                values[i + half] = a - b;
            }
    float scale = 1.0f / sqrtf((float)size);
    for (size_t i = 0; i < size; i++)
        values[i] *= scale;
}

void memdb__rotate_scalar(float *vector, size_t size, const uint64_t *signs) {
    size_t window = memdb__rotation_window(size);
    for (size_t t = 0; t < MEMDB__ROTATION_TRANSFORMS; t++) {
        size_t first = t % 2 ? size - window : 0;
        if (t % 2 == 0 || first)
            transform(vector + first, window, signs, t * size + first);
    }
}

float memdb__half_decode(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31,
             mantissa = half & 1023;
    if (exponent == 0) { // zero, or subnormal: a multiple of 2^-24
        float magnitude = (float)mantissa * 0x1p-24f;
        return sign ? -magnitude : magnitude;
    }
    uint32_t wide = exponent == 31 ? 255 : exponent + 112; // infinities and NaNs stay what they are
    return memdb__bits_float(sign | wide << 23 | mantissa << 13);
}

uint16_t memdb__half_encode(float value) {
    uint16_t sign = signbit(value) ? 0x8000 : 0;
    float magnitude = fabsf(value);
    if (isnan(value))
        return sign | 0x7e00;
    if (magnitude >= 65520.0f) // half way from the largest half to the next power of two
        return sign | 0x7c00;
    int step =
        -24; // halves lie 2^step apart: 2^-24 below 2^-14, then 1,024 steps to a power of two
    if (magnitude >= 0x1p-14f) {
        frexpf(magnitude, &step); // magnitude = [0.5, 1) * 2^step
        step -= 11;
    }
    uint32_t steps = (uint32_t)nearbyintf(ldexpf(magnitude, -step));
    // The exponent's field is 1 for 1,024 steps of 2^-24, and 2,048 steps carry into it.
    return (uint16_t)(sign | (((uint32_t)(step + 24) << 10) + steps));
}

float memdb__dot_half_scalar(const float *query, const uint16_t *row, size_t size) {
    float sums[MEMDB__HALF_LANES] = {0};
    for (size_t i = 0; i < size; i++)
        sums[i % MEMDB__HALF_LANES] += query[i] * memdb__half_decode(row[i]);
    for (size_t half = MEMDB__HALF_LANES / 2; half; half /= 2)
        for (size_t i = 0; i < half; i++)
            sums[i] += sums[i + half];
    return sums[0];
}
