// Kernels for 64-bit ARM, beside the dots: 1-bit codes, the rotation, half floats.
#if defined(__aarch64__)

#include "index/kernels/kernels_rotate.h"

#include <arm_neon.h>

// ------------------------------------------------------------------------------ 1-bit codes

/// All lookups of a line, added in bytes: eight entries of at most 31.
static inline uint8x16_t look_up_line(const uint8_t *tables, const uint8_t *codes) {
    uint8x16_t bytes = vdupq_n_u8(0);
    for (size_t lane = 0; lane < 4; lane++) {
        uint8x16_t both = vld1q_u8(codes + lane * 16);
        uint8x16_t low = vqtbl1q_u8(vld1q_u8(tables + lane * 16), vandq_u8(both, vdupq_n_u8(15)));
        uint8x16_t high = vqtbl1q_u8(vld1q_u8(tables + 64 + lane * 16), vshrq_n_u8(both, 4));
        bytes = vaddq_u8(bytes, vaddq_u8(low, high));
    }
    return bytes;
}

void memdb__scan_blocks_neon(const uint8_t *tables, const uint8_t *codes, size_t lines,
                             size_t stride, size_t blocks, uint16_t *sums_out) {
    for (size_t block = 0; block < blocks; block++) {
        uint16x8_t low = vdupq_n_u16(0), high = low;
        for (size_t line = 0; line < lines; line++) {
            uint8x16_t bytes =
                look_up_line(tables + line * 128, codes + block * stride + line * 64);
            low = vaddw_u8(low, vget_low_u8(bytes));
            high = vaddw_high_u8(high, bytes);
        }
        vst1q_u16(sums_out + block * MEMDB__BLOCK_ENTRIES, low);
        vst1q_u16(sums_out + block * MEMDB__BLOCK_ENTRIES + 8, high);
    }
}

static inline uint32_t count_row(const uint8_t *query, const uint8_t *row, size_t size,
                                 bool differ) {
    uint32x4_t sums = vdupq_n_u32(0);
    size_t i = 0;
    for (; i + 16 <= size; i += 16) {
        uint8x16_t a = vld1q_u8(query + i), b = vld1q_u8(row + i);
        uint8x16_t counts = vcntq_u8(differ ? veorq_u8(a, b) : vandq_u8(a, b));
        sums = vpadalq_u16(sums, vpaddlq_u8(counts));
    }
    uint32_t count = vaddvq_u32(sums);
    if (i < size) {
        uint8x8_t a = vld1_u8(query + i), b = vld1_u8(row + i);
        count += vaddv_u8(vcnt_u8(differ ? veor_u8(a, b) : vand_u8(a, b)));
    }
    return count;
}

void memdb__differ_rows_neon(const uint8_t *query, const uint8_t *rows, size_t stride, size_t count,
                             uint32_t *counts_out) {
    for (size_t row = 0; row < count; row++)
        counts_out[row] = count_row(query, rows + row * stride, stride, true);
}

void memdb__overlap_rows_neon(const uint8_t *query, const uint8_t *rows, size_t stride,
                              size_t count, uint32_t *counts_out) {
    for (size_t row = 0; row < count; row++)
        counts_out[row] = count_row(query, rows + row * stride, stride, false);
}

// ------------------------------------------------------------------------------ floats

void memdb__rotate_neon(float *vector, size_t size, const uint64_t *signs) {
    memdb__rotate(vector, size, signs);
}

float memdb__dot_half_neon(const float *query, const uint16_t *row, size_t size) {
    float32x4_t sums[8];
    for (size_t s = 0; s < 8; s++)
        sums[s] = vdupq_n_f32(0);
    for (size_t i = 0; i < size; i += MEMDB__HALF_LANES) {
        for (size_t s = 0; s < 8; s++) {
            float16x4_t halves = vreinterpret_f16_u16(vld1_u16(row + i + s * 4));
            float32x4_t product = vmulq_f32(vld1q_f32(query + i + s * 4), vcvt_f32_f16(halves));
            sums[s] = vaddq_f32(sums[s], product);
        }
    }
    for (size_t half = 4; half; half /= 2)
        for (size_t s = 0; s < half; s++)
            sums[s] = vaddq_f32(sums[s], sums[s + half]);
    float32x2_t two = vadd_f32(vget_low_f32(sums[0]), vget_high_f32(sums[0]));
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}

#endif
