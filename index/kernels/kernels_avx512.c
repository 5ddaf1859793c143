// Kernels for x86-64 with AVX-512 VNNI.
//
// vpdpbusd multiplies unsigned by signed bytes and adds four products to each 32-bit lane without
// saturation. A row's codes are made unsigned by flipping their top bit (r + 128), which adds 128 *
// sum(query) to the result: a constant of the query, found once a call and subtracted. The largest
// lane sum, 255 * 127 * 4,096, is far inside 32 bits, so the integer is exact, also for rows that
// hold -128.
#if defined(__x86_64__)

#include "index/kernels/kernels_variants.h"

#include <immintrin.h>
#include <stdbool.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vnni")))
#define TARGET_INLINE                                                                              \
    static inline __attribute__((always_inline, target("avx512f,avx512bw,avx512vnni")))

TARGET int32_t memdb__dot_avx512(const int8_t *a, const int8_t *b, size_t size) {
    const __m512i flip = _mm512_set1_epi8((char)0x80);
    __m512i sum0 = _mm512_setzero_si512(), sum1 = sum0, offset0 = sum0, offset1 = sum0;
    size_t i = 0;
    for (; i + 128 <= size; i += 128) {
        __m512i a0 = _mm512_loadu_si512(a + i), a1 = _mm512_loadu_si512(a + i + 64);
        __m512i b0 = _mm512_loadu_si512(b + i), b1 = _mm512_loadu_si512(b + i + 64);
        sum0 = _mm512_dpbusd_epi32(sum0, _mm512_xor_si512(b0, flip), a0);
        sum1 = _mm512_dpbusd_epi32(sum1, _mm512_xor_si512(b1, flip), a1);
        offset0 = _mm512_dpbusd_epi32(offset0, flip, a0);
        offset1 = _mm512_dpbusd_epi32(offset1, flip, a1);
    }
    for (; i < size; i += 64) {
        // Masked bytes are not read; they are zero in `a`, so they add nothing to either sum.
        __mmask64 mask = size - i >= 64 ? ~0ull : (1ull << (size - i)) - 1;
        __m512i a0 = _mm512_maskz_loadu_epi8(mask, a + i);
        __m512i b0 = _mm512_maskz_loadu_epi8(mask, b + i);
        sum0 = _mm512_dpbusd_epi32(sum0, _mm512_xor_si512(b0, flip), a0);
        offset0 = _mm512_dpbusd_epi32(offset0, flip, a0);
    }
    __m512i sum = _mm512_add_epi32(sum0, sum1), offset = _mm512_add_epi32(offset0, offset1);
    return _mm512_reduce_add_epi32(_mm512_sub_epi32(sum, offset));
}

/// Four lane sums at once: {sum of a, of b, of c, of d}.
TARGET_INLINE __m128i reduce_four(__m512i a, __m512i b, __m512i c, __m512i d) {
    __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    __m512i abcd = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    __m256i half =
        _mm256_add_epi32(_mm512_castsi512_si256(abcd), _mm512_extracti64x4_epi64(abcd, 1));
    return _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

/// One row against the query, in the two sums that its products alternate between.
TARGET_INLINE void add_row(__m512i sums[2], const __m512i *kept, const int8_t *query,
                           const int8_t *row, size_t lines) {
    const __m512i flip = _mm512_set1_epi8((char)0x80);
#pragma GCC unroll 12
    for (size_t i = 0; i < lines; i++) {
        __m512i codes = _mm512_xor_si512(_mm512_load_si512(row + i * 64), flip);
        __m512i q = kept ? kept[i] : _mm512_loadu_si512(query + i * 64);
        sums[i & 1] = _mm512_dpbusd_epi32(sums[i & 1], codes, q);
    }
}

/// Rows four at a time, those of `numbers` or else the first ones; returns how many are done. They
/// go one after the other, with two sums each: in the order of memory, so that the CPU prefetches
/// as it does for a plain sum, and prefetching here only takes load slots. Where `lines` is a
/// constant, loops unroll and up to 12 lines of the query stay in registers.
TARGET_INLINE size_t rows_of_lines(const int8_t *query, const int8_t *rows, const uint32_t *numbers,
                                   size_t lines, size_t count, bool keep, int32_t *dots_out) {
    const __m512i flip = _mm512_set1_epi8((char)0x80);
    const size_t stride = lines * 64;
    __m512i kept[12], offsets = _mm512_setzero_si512();
    for (size_t i = 0; i < lines; i++) {
        __m512i q = _mm512_loadu_si512(query + i * 64);
        offsets = _mm512_dpbusd_epi32(offsets, flip, q);
        if (keep)
            kept[i] = q;
    }
    __m128i offset = _mm_set1_epi32(_mm512_reduce_add_epi32(offsets));
    size_t row = 0;
    for (; row + 4 <= count; row += 4) {
        __m512i sums[4][2];
#pragma GCC unroll 4
        for (size_t r = 0; r < 4; r++) {
            sums[r][0] = sums[r][1] = _mm512_setzero_si512();
            size_t number = numbers ? numbers[row + r] : row + r;
            add_row(sums[r], keep ? kept : NULL, query, rows + number * stride, lines);
            sums[r][0] = _mm512_add_epi32(sums[r][0], sums[r][1]);
        }
        __m128i dots = reduce_four(sums[0][0], sums[1][0], sums[2][0], sums[3][0]);
        _mm_storeu_si128((__m128i *)(void *)(dots_out + row), _mm_sub_epi32(dots, offset));
    }
    return row;
}

/// The strides of 384, 512 and 768 codes have code of their own.
TARGET_INLINE size_t rows_of_stride(const int8_t *query, const int8_t *rows,
                                    const uint32_t *numbers, size_t stride, size_t count,
                                    int32_t *dots_out) {
    switch (stride) {
    case 384:
        return rows_of_lines(query, rows, numbers, 6, count, true, dots_out);
    case 512:
        return rows_of_lines(query, rows, numbers, 8, count, true, dots_out);
    case 768:
        return rows_of_lines(query, rows, numbers, 12, count, true, dots_out);
    default:
        return rows_of_lines(query, rows, numbers, stride / 64, count, false, dots_out);
    }
}

TARGET void memdb__dot_rows_avx512(const int8_t *query, const int8_t *rows, size_t stride,
                                   size_t count, int32_t *dots_out) {
    size_t i = count < 4 ? 0 : rows_of_stride(query, rows, NULL, stride, count, dots_out);
    for (; i < count; i++)
        dots_out[i] = memdb__dot_avx512(query, rows + i * stride, stride);
}

TARGET void memdb__dot_given_avx512(const int8_t *query, const int8_t *rows, size_t stride,
                                    const uint32_t *numbers, size_t count, int32_t *dots_out) {
    size_t i = count < 4 ? 0 : rows_of_stride(query, rows, numbers, stride, count, dots_out);
    for (; i < count; i++)
        dots_out[i] = memdb__dot_avx512(query, rows + numbers[i] * stride, stride);
}

#endif
