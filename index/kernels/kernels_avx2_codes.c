// Kernels for x86-64 with AVX2, beside the dots: 1-bit codes, the rotation, half floats.
#if defined(__x86_64__)

#include "index/kernels/kernels_rotate.h"

#include <immintrin.h>

#define TARGET __attribute__((target("avx2,f16c,popcnt")))
#define TARGET_INLINE static inline __attribute__((always_inline, target("avx2,f16c,popcnt")))

TARGET_INLINE __m256i load(const uint8_t *at) {
    return _mm256_loadu_si256((const __m256i *)(const void *)at);
}

// ------------------------------------------------------------------------------ 1-bit codes

/// Both lookups of half a line, added in bytes. The tables of its low groups lie at `tables`, those
/// of its high groups a line's worth further.
TARGET_INLINE __m256i look_up(const uint8_t *tables, const uint8_t *codes) {
    const __m256i mask = _mm256_set1_epi8(15);
    __m256i both = load(codes), high = _mm256_and_si256(_mm256_srli_epi16(both, 4), mask);
    return _mm256_add_epi8(_mm256_shuffle_epi8(load(tables), _mm256_and_si256(both, mask)),
                           _mm256_shuffle_epi8(load(tables + MEMDB__LINE_BYTES), high));
}

TARGET_INLINE __m256i look_up_line(const uint8_t *tables, const uint8_t *codes) {
    return _mm256_add_epi8(look_up(tables, codes), look_up(tables + 32, codes + 32));
}

TARGET void memdb__scan_blocks_avx2(const uint8_t *tables, const uint8_t *codes, size_t lines,
                                    size_t stride, size_t blocks, uint16_t *sums_out) {
    for (size_t block = 0; block < blocks; block++) {
        const uint8_t *at = codes + block * stride, *table = tables;
        // 16-bit sums: of whole pairs of bytes, whose upper bytes are junk here, and of upper
        // bytes.
        __m256i pairs = _mm256_setzero_si256(), uppers = pairs;
        size_t line = 0;
        for (; line < lines; line += 2, at += 128, table += 256) {
            __m256i bytes = look_up_line(table, at);
            if (line + 1 < lines)
                bytes = _mm256_add_epi8(bytes, look_up_line(table + 128, at + 64));
            pairs = _mm256_add_epi16(pairs, bytes);
            uppers = _mm256_add_epi16(uppers, _mm256_srli_epi16(bytes, 8));
        }
        __m256i lowers = _mm256_sub_epi16(pairs, _mm256_slli_epi16(uppers, 8));
        __m128i odd =
            _mm_add_epi16(_mm256_castsi256_si128(uppers), _mm256_extracti128_si256(uppers, 1));
        __m128i even =
            _mm_add_epi16(_mm256_castsi256_si128(lowers), _mm256_extracti128_si256(lowers, 1));
        __m128i *out = (__m128i *)(void *)(sums_out + block * MEMDB__BLOCK_ENTRIES);
        _mm_storeu_si128(out, _mm_unpacklo_epi16(even, odd));
        _mm_storeu_si128(out + 1, _mm_unpackhi_epi16(even, odd));
    }
}

/// Set bits of 32 bytes, in four sums: two lookups of four bits a byte.
TARGET_INLINE __m256i count_bits(__m256i bits) {
    const __m256i counts =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    const __m256i mask = _mm256_set1_epi8(15);
    __m256i low = _mm256_shuffle_epi8(counts, _mm256_and_si256(bits, mask));
    __m256i high = _mm256_shuffle_epi8(counts, _mm256_and_si256(_mm256_srli_epi16(bits, 4), mask));
    return _mm256_sad_epu8(_mm256_add_epi8(low, high), _mm256_setzero_si256());
}

TARGET_INLINE uint32_t count_row(const uint8_t *query, const uint8_t *row, size_t size,
                                 bool differ) {
    __m256i sums = _mm256_setzero_si256();
    size_t i = 0;
    for (; i + 32 <= size; i += 32) {
        __m256i a = load(query + i), b = load(row + i);
        sums = _mm256_add_epi64(
            sums, count_bits(differ ? _mm256_xor_si256(a, b) : _mm256_and_si256(a, b)));
    }
    __m128i half = _mm_add_epi64(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    uint64_t count = (uint64_t)_mm_cvtsi128_si64(half) + (uint64_t)_mm_extract_epi64(half, 1);
    for (; i < size; i += 8) {
        uint64_t a, b;
        memcpy(&a, query + i, sizeof a);
        memcpy(&b, row + i, sizeof b);
        count += (uint64_t)__builtin_popcountll(differ ? a ^ b : a & b);
    }
    return (uint32_t)count;
}

TARGET void memdb__differ_rows_avx2(const uint8_t *query, const uint8_t *rows, size_t stride,
                                    size_t count, uint32_t *counts_out) {
    for (size_t row = 0; row < count; row++)
        counts_out[row] = count_row(query, rows + row * stride, stride, true);
}

TARGET void memdb__overlap_rows_avx2(const uint8_t *query, const uint8_t *rows, size_t stride,
                                     size_t count, uint32_t *counts_out) {
    for (size_t row = 0; row < count; row++)
        counts_out[row] = count_row(query, rows + row * stride, stride, false);
}

// ------------------------------------------------------------------------------ floats

TARGET void memdb__rotate_avx2(float *vector, size_t size, const uint64_t *signs) {
    memdb__rotate(vector, size, signs);
}

TARGET float memdb__dot_half_avx2(const float *query, const uint16_t *row, size_t size) {
    __m256 sums[4];
    for (size_t s = 0; s < 4; s++)
        sums[s] = _mm256_setzero_ps();
    for (size_t i = 0; i < size; i += MEMDB__HALF_LANES) {
#pragma GCC unroll 4
        for (size_t s = 0; s < 4; s++) {
            __m128i halves = _mm_loadu_si128((const __m128i *)(const void *)(row + i + s * 8));
            __m256 product =
                _mm256_mul_ps(_mm256_loadu_ps(query + i + s * 8), _mm256_cvtph_ps(halves));
            sums[s] = _mm256_add_ps(sums[s], product);
        }
    }
    __m256 eight = _mm256_add_ps(_mm256_add_ps(sums[0], sums[2]), _mm256_add_ps(sums[1], sums[3]));
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    four = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
}

#endif
