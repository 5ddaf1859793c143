// Kernels for x86-64 with AVX2.
//
// vpmaddubsw multiplies unsigned by signed bytes and adds pairs into saturating 16-bit lanes. With
// the row's magnitude as the unsigned side and the query carrying both signs, a pair is at most 2 *
// 128 * 127 = 32,512 and never saturates; the row may even hold -128 (its magnitude is 128 as an
// unsigned byte), the query may not.
#if defined(__x86_64__)

#include "index/kernels/kernels_variants.h"

#include <immintrin.h>
#include <stdbool.h>

#define TARGET __attribute__((target("avx2")))
#define TARGET_INLINE static inline __attribute__((always_inline, target("avx2")))

/// sum + products of 32 codes, in 8 lanes.
TARGET_INLINE __m256i add_products(__m256i sum, __m256i query, __m256i row) {
    __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(row), _mm256_sign_epi8(query, row));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

TARGET_INLINE __m256i load(const int8_t *at) {
    return _mm256_loadu_si256((const __m256i *)(const void *)at);
}

TARGET_INLINE int32_t reduce(__m256i sum) {
    __m128i half = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    half = _mm_add_epi32(half, _mm_shuffle_epi32(half, _MM_SHUFFLE(1, 0, 3, 2)));
    half = _mm_add_epi32(half, _mm_shuffle_epi32(half, _MM_SHUFFLE(2, 3, 0, 1)));
    return _mm_cvtsi128_si32(half);
}

TARGET int32_t memdb__dot_avx2(const int8_t *a, const int8_t *b, size_t size) {
    __m256i sum0 = _mm256_setzero_si256(), sum1 = sum0;
    size_t i = 0;
    for (; i + 64 <= size; i += 64) {
        sum0 = add_products(sum0, load(a + i), load(b + i));
        sum1 = add_products(sum1, load(a + i + 32), load(b + i + 32));
    }
    for (; i + 32 <= size; i += 32)
        sum0 = add_products(sum0, load(a + i), load(b + i));
    return reduce(_mm256_add_epi32(sum0, sum1)) + memdb__dot_scalar(a + i, b + i, size - i);
}

TARGET_INLINE void four_rows(const int8_t *query, const int8_t *const rows[4], size_t stride,
                             bool prefetch, int32_t *dots_out) {
    __m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;
    for (size_t i = 0; i < stride; i += 32) {
        if (prefetch) {
            // Two lines a step; the four rows are one run of 4 * stride bytes.
            uintptr_t ahead = (uintptr_t)(rows[0] + 4 * i) + MEMDB__PREFETCH_BYTES;
            _mm_prefetch((const char *)ahead, _MM_HINT_T0);
            _mm_prefetch((const char *)(ahead + 64), _MM_HINT_T0);
        }
        __m256i q = load(query + i);
        a = add_products(a, q, load(rows[0] + i));
        b = add_products(b, q, load(rows[1] + i));
        c = add_products(c, q, load(rows[2] + i));
        d = add_products(d, q, load(rows[3] + i));
    }
    // Two rounds of pairwise adds leave, in each half, one lane a row.
    __m256i sums = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
    __m128i dots = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    _mm_storeu_si128((__m128i *)(void *)dots_out, dots);
}

TARGET void memdb__dot_rows_avx2(const int8_t *query, const int8_t *rows, size_t stride,
                                 size_t count, int32_t *dots_out) {
    bool prefetch = count * stride >= MEMDB__PREFETCH_FROM_BYTES;
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        const int8_t *at = rows + i * stride;
        const int8_t *four[4] = {at, at + stride, at + 2 * stride, at + 3 * stride};
        if (prefetch)
            four_rows(query, four, stride, true, dots_out + i);
        else
            four_rows(query, four, stride, false, dots_out + i);
    }
    for (; i < count; i++)
        dots_out[i] = memdb__dot_avx2(query, rows + i * stride, stride);
}

TARGET void memdb__dot_given_avx2(const int8_t *query, const int8_t *rows, size_t stride,
                                  const uint32_t *numbers, size_t count, int32_t *dots_out) {
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        const int8_t *four[4] = {rows + numbers[i] * stride, rows + numbers[i + 1] * stride,
                                 rows + numbers[i + 2] * stride, rows + numbers[i + 3] * stride};
        four_rows(query, four, stride, false, dots_out + i);
    }
    for (; i < count; i++)
        dots_out[i] = memdb__dot_avx2(query, rows + numbers[i] * stride, stride);
}

#endif
