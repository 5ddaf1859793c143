// Kernels for 64-bit ARM: with the dot product instruction (sdot) where the CPU has it, else by
// widening.
//
// sdot multiplies signed bytes and adds four products to each 32-bit lane, exactly. The widening
// form multiplies to 16 bits (127 * 128 fits) and adds pairs into 32-bit lanes (vpadal), one
// product a 16-bit lane, so nothing saturates.
#if defined(__aarch64__)

#include "index/kernels/kernels_variants.h"

#include <arm_neon.h>
#include <stdbool.h>

#if defined(__clang__)
#define TARGET_SDOT __attribute__((target("dotprod")))
#else
#define TARGET_SDOT __attribute__((target("arch=armv8.2-a+dotprod")))
#endif

/// sum + four products a lane. As assembly, because older compilers offer the intrinsic only where
/// the whole file may use the instruction.
TARGET_SDOT static inline int32x4_t sdot(int32x4_t sum, int8x16_t a, int8x16_t b) {
    __asm__("sdot %0.4s, %1.16b, %2.16b" : "+w"(sum) : "w"(a), "w"(b));
    return sum;
}

static inline int32x4_t add_products(int32x4_t sum, int8x16_t a, int8x16_t b) {
    sum = vpadalq_s16(sum, vmull_s8(vget_low_s8(a), vget_low_s8(b)));
    return vpadalq_s16(sum, vmull_high_s8(a, b));
}

int32_t memdb__dot_neon(const int8_t *a, const int8_t *b, size_t size) {
    int32x4_t sum = vdupq_n_s32(0);
    size_t i = 0;
    for (; i + 16 <= size; i += 16)
        sum = add_products(sum, vld1q_s8(a + i), vld1q_s8(b + i));
    return vaddvq_s32(sum) + memdb__dot_scalar(a + i, b + i, size - i);
}

TARGET_SDOT int32_t memdb__dot_neon_sdot(const int8_t *a, const int8_t *b, size_t size) {
    int32x4_t sum0 = vdupq_n_s32(0), sum1 = sum0;
    size_t i = 0;
    for (; i + 32 <= size; i += 32) {
        sum0 = sdot(sum0, vld1q_s8(a + i), vld1q_s8(b + i));
        sum1 = sdot(sum1, vld1q_s8(a + i + 16), vld1q_s8(b + i + 16));
    }
    for (; i + 16 <= size; i += 16)
        sum0 = sdot(sum0, vld1q_s8(a + i), vld1q_s8(b + i));
    return vaddvq_s32(vaddq_s32(sum0, sum1)) + memdb__dot_scalar(a + i, b + i, size - i);
}

/// One line a step of 16 codes; the four rows are one run of 4 * stride bytes.
static inline void prefetch_step(const int8_t *rows, size_t i) {
    uintptr_t ahead = (uintptr_t)(rows + 4 * i) + MEMDB__PREFETCH_BYTES;
    __builtin_prefetch((const void *)ahead, 0, 3);
}

typedef int32_t (*dot_fn)(const int8_t *a, const int8_t *b, size_t size);
typedef void (*four_fn)(const int8_t *query, const int8_t *const rows[4], size_t stride,
                        bool prefetch, int32_t *dots_out);

static inline void four_rows(const int8_t *query, const int8_t *const rows[4], size_t stride,
                             bool prefetch, int32_t *dots_out) {
    int32x4_t a = vdupq_n_s32(0), b = a, c = a, d = a;
    for (size_t i = 0; i < stride; i += 16) {
        if (prefetch)
            prefetch_step(rows[0], i);
        int8x16_t q = vld1q_s8(query + i);
        a = add_products(a, q, vld1q_s8(rows[0] + i));
        b = add_products(b, q, vld1q_s8(rows[1] + i));
        c = add_products(c, q, vld1q_s8(rows[2] + i));
        d = add_products(d, q, vld1q_s8(rows[3] + i));
    }
    vst1q_s32(dots_out, vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d)));
}

TARGET_SDOT static inline void four_rows_sdot(const int8_t *query, const int8_t *const rows[4],
                                              size_t stride, bool prefetch, int32_t *dots_out) {
    int32x4_t a = vdupq_n_s32(0), b = a, c = a, d = a;
    for (size_t i = 0; i < stride; i += 16) {
        if (prefetch)
            prefetch_step(rows[0], i);
        int8x16_t q = vld1q_s8(query + i);
        a = sdot(a, q, vld1q_s8(rows[0] + i));
        b = sdot(b, q, vld1q_s8(rows[1] + i));
        c = sdot(c, q, vld1q_s8(rows[2] + i));
        d = sdot(d, q, vld1q_s8(rows[3] + i));
    }
    vst1q_s32(dots_out, vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d)));
}

/// All rows, those of `numbers` or else the first ones.
static inline void rows_by(dot_fn dot, four_fn four_rows_of, const int8_t *query,
                           const int8_t *rows, size_t stride, const uint32_t *numbers, size_t count,
                           int32_t *dots_out) {
    bool prefetch = !numbers && count * stride >= MEMDB__PREFETCH_FROM_BYTES;
    size_t row = 0;
    for (; row + 4 <= count; row += 4) {
        const int8_t *four[4];
        for (size_t i = 0; i < 4; i++)
            four[i] = rows + (numbers ? numbers[row + i] : row + i) * stride;
        four_rows_of(query, four, stride, prefetch, dots_out + row);
    }
    for (; row < count; row++)
        dots_out[row] = dot(query, rows + (numbers ? numbers[row] : row) * stride, stride);
}

void memdb__dot_rows_neon(const int8_t *query, const int8_t *rows, size_t stride, size_t count,
                          int32_t *dots_out) {
    rows_by(memdb__dot_neon, four_rows, query, rows, stride, NULL, count, dots_out);
}

void memdb__dot_given_neon(const int8_t *query, const int8_t *rows, size_t stride,
                           const uint32_t *numbers, size_t count, int32_t *dots_out) {
    rows_by(memdb__dot_neon, four_rows, query, rows, stride, numbers, count, dots_out);
}

void memdb__dot_rows_neon_sdot(const int8_t *query, const int8_t *rows, size_t stride, size_t count,
                               int32_t *dots_out) {
    rows_by(memdb__dot_neon_sdot, four_rows_sdot, query, rows, stride, NULL, count, dots_out);
}

void memdb__dot_given_neon_sdot(const int8_t *query, const int8_t *rows, size_t stride,
                                const uint32_t *numbers, size_t count, int32_t *dots_out) {
    rows_by(memdb__dot_neon_sdot, four_rows_sdot, query, rows, stride, numbers, count, dots_out);
}

#endif
