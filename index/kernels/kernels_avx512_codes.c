// Kernels for x86-64 with AVX-512, beside the dots: 1-bit codes, the rotation, half floats.
#if defined(__x86_64__)

#include "index/kernels/kernels_rotate.h"

#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512bw")))
#define TARGET_INLINE static inline __attribute__((always_inline, target("avx512f,avx512bw")))
#define TARGET_COUNTS __attribute__((target("avx512f,avx512bw,avx512vpopcntdq")))
#define TARGET_COUNTS_INLINE                                                                       \
    static inline __attribute__((always_inline, target("avx512f,avx512bw,avx512vpopcntdq")))

// ------------------------------------------------------------------------------ 1-bit codes

/// bytes + both lookups of a line.
TARGET_INLINE __m512i add_line(__m512i bytes, const uint8_t *tables, const uint8_t *codes,
                               size_t line) {
    const __m512i mask = _mm512_set1_epi8(15);
    __m512i both = _mm512_load_si512(codes + line * MEMDB__LINE_BYTES);
    __m512i high = _mm512_and_si512(_mm512_srli_epi16(both, 4), mask);
    __m512i low_table = _mm512_load_si512(tables + line * 2 * MEMDB__LINE_BYTES);
    __m512i high_table = _mm512_load_si512(tables + (line * 2 + 1) * MEMDB__LINE_BYTES);
    bytes = _mm512_add_epi8(bytes, _mm512_shuffle_epi8(low_table, _mm512_and_si512(both, mask)));
    return _mm512_add_epi8(bytes, _mm512_shuffle_epi8(high_table, high));
}

/// The four lanes of 16-bit sums, added.
TARGET_INLINE __m128i add_lanes(__m512i sums) {
    __m256i half =
        _mm256_add_epi16(_mm512_castsi512_si256(sums), _mm512_extracti64x4_epi64(sums, 1));
    return _mm_add_epi16(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

/// Where `lines` is a constant, the loop unrolls.
TARGET_INLINE void scan_lines(const uint8_t *tables, const uint8_t *codes, size_t lines,
                              size_t stride, size_t blocks, uint16_t *sums_out) {
    for (size_t block = 0; block < blocks; block++) {
        const uint8_t *at = codes + block * stride;
        // 16-bit sums: of whole pairs of bytes, whose upper bytes are junk here, and of upper
        // bytes.
        __m512i pairs = _mm512_setzero_si512(), uppers = pairs;
#pragma GCC unroll 6
        for (size_t line = 0; line < lines; line += 4) {
            __m512i bytes = add_line(_mm512_setzero_si512(), tables, at, line);
            if (line + 1 < lines)
                bytes = add_line(bytes, tables, at, line + 1);
            if (line + 2 < lines)
                bytes = add_line(bytes, tables, at, line + 2);
            if (line + 3 < lines)
                bytes = add_line(bytes, tables, at, line + 3);
            pairs = _mm512_add_epi16(pairs, bytes);
            uppers = _mm512_add_epi16(uppers, _mm512_srli_epi16(bytes, 8));
        }
        __m128i odd = add_lanes(uppers);
        __m128i even = add_lanes(_mm512_sub_epi16(pairs, _mm512_slli_epi16(uppers, 8)));
        __m128i *out = (__m128i *)(void *)(sums_out + block * MEMDB__BLOCK_ENTRIES);
        _mm_storeu_si128(out, _mm_unpacklo_epi16(even, odd));
        _mm_storeu_si128(out + 1, _mm_unpackhi_epi16(even, odd));
    }
}

TARGET void memdb__scan_blocks_avx512(const uint8_t *tables, const uint8_t *codes, size_t lines,
                                      size_t stride, size_t blocks, uint16_t *sums_out) {
    switch (lines) {
    case 12: // 384 dimensions
        scan_lines(tables, codes, 12, stride, blocks, sums_out);
        return;
    case 24: // 768 dimensions
        scan_lines(tables, codes, 24, stride, blocks, sums_out);
        return;
    default:
        scan_lines(tables, codes, lines, stride, blocks, sums_out);
    }
}

TARGET_COUNTS_INLINE uint32_t count_row(const uint8_t *query, const uint8_t *row, size_t size,
                                        bool differ) {
    __m512i sums = _mm512_setzero_si512();
    for (size_t i = 0; i < size; i += 64) {
        // Masked words are not read, and add nothing.
        __mmask8 mask = size - i >= 64 ? 0xff : (__mmask8)((1u << (size - i) / 8) - 1);
        __m512i a = _mm512_maskz_loadu_epi64(mask, query + i);
        __m512i b = _mm512_maskz_loadu_epi64(mask, row + i);
        __m512i bits = differ ? _mm512_xor_si512(a, b) : _mm512_and_si512(a, b);
        sums = _mm512_add_epi64(sums, _mm512_popcnt_epi64(bits));
    }
    return (uint32_t)_mm512_reduce_add_epi64(sums);
}

TARGET_COUNTS void memdb__differ_rows_avx512(const uint8_t *query, const uint8_t *rows,
                                             size_t stride, size_t count, uint32_t *counts_out) {
    for (size_t row = 0; row < count; row++)
        counts_out[row] = count_row(query, rows + row * stride, stride, true);
}

TARGET_COUNTS void memdb__overlap_rows_avx512(const uint8_t *query, const uint8_t *rows,
                                              size_t stride, size_t count, uint32_t *counts_out) {
    for (size_t row = 0; row < count; row++)
        counts_out[row] = count_row(query, rows + row * stride, stride, false);
}

// ------------------------------------------------------------------------------ floats

TARGET void memdb__rotate_avx512(float *vector, size_t size, const uint64_t *signs) {
    memdb__rotate(vector, size, signs);
}

TARGET_INLINE __m512 products(const float *query, const uint16_t *row) {
    __m256i halves = _mm256_loadu_si256((const __m256i *)(const void *)row);
    return _mm512_mul_ps(_mm512_loadu_ps(query), _mm512_cvtph_ps(halves));
}

TARGET float memdb__dot_half_avx512(const float *query, const uint16_t *row, size_t size) {
    __m512 low = _mm512_setzero_ps(), high = low;
    for (size_t i = 0; i < size; i += MEMDB__HALF_LANES) {
        low = _mm512_add_ps(low, products(query + i, row + i));
        high = _mm512_add_ps(high, products(query + i + 16, row + i + 16));
    }
    low = _mm512_add_ps(low, high);
    __m256 upper = _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(low), 1));
    __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(low), upper);
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    four = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
}

#endif
