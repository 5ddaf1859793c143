// Scans over accumulators.
//
// Nearly all values lie below the threshold, so a scan is one comparison a vector and a branch that
// is not taken. All forms share one shape: a mask of 64 places, then its bits.
#include "index/lexical/lexical_kernels.h"

#include <stdatomic.h>
#include <stdbool.h>

#if defined(__x86_64__)
#include <immintrin.h>
#define AVX2 __attribute__((target("avx2,bmi,bmi2,popcnt")))
#define AVX512 __attribute__((target("avx512f,avx512bw,bmi,bmi2,popcnt")))
#endif

static uint64_t mask8_scalar(const uint8_t *values, uint32_t low, uint32_t high) {
    uint8_t greatest = 0; // vectorised: most groups end here
    for (uint32_t i = 0; i < 64; i++) {
        greatest = values[i] > greatest ? values[i] : greatest;
    }
    uint64_t mask = 0;
    if (greatest >= low) {
        for (uint32_t i = 0; i < 64; i++) {
            mask |= (uint64_t)(values[i] >= low && values[i] <= high) << i;
        }
    }
    return mask;
}

static uint64_t mask16_scalar(const uint16_t *values, uint32_t low, uint32_t high) {
    uint16_t greatest = 0;
    for (uint32_t i = 0; i < 64; i++) {
        greatest = values[i] > greatest ? values[i] : greatest;
    }
    uint64_t mask = 0;
    if (greatest >= low) {
        for (uint32_t i = 0; i < 64; i++) {
            mask |= (uint64_t)(values[i] >= low && values[i] <= high) << i;
        }
    }
    return mask;
}

// Whether any of 256 values is `low` or more: most of a scan is this.
static bool any8_scalar(const uint8_t *values, uint32_t low) {
    uint8_t greatest = 0;
    for (uint32_t i = 0; i < 256; i++) {
        greatest = values[i] > greatest ? values[i] : greatest;
    }
    return greatest >= low;
}

static bool any16_scalar(const uint16_t *values, uint32_t low) {
    uint16_t greatest = 0;
    for (uint32_t i = 0; i < 256; i++) {
        greatest = values[i] > greatest ? values[i] : greatest;
    }
    return greatest >= low;
}

// The loops around a mask function. A macro, because each target needs its own inlined copy.
#define DEFINE_SCAN(name, target, type, mask_of, any_of)                                           \
    target static uint32_t scan_##name(const type *values, uint32_t from, uint32_t count,          \
                                       uint32_t low, uint32_t high, uint16_t *places_out,          \
                                       uint32_t room, uint32_t *found_out) {                       \
        uint32_t found = 0, at = from;                                                             \
        for (; at < count && found + 64 <= room; at += 64) {                                       \
            while (at + 256 <= count && !any_of(values + at, low)) {                               \
                at += 256;                                                                         \
            }                                                                                      \
            if (at >= count) {                                                                     \
                break;                                                                             \
            }                                                                                      \
            uint64_t mask = mask_of(values + at, low, high);                                       \
            while (mask) {                                                                         \
                places_out[found++] = (uint16_t)(at + (uint32_t)__builtin_ctzll(mask));            \
                mask &= mask - 1;                                                                  \
            }                                                                                      \
        }                                                                                          \
        *found_out = found;                                                                        \
        return at < count ? at : count;                                                            \
    }                                                                                              \
    target static uint32_t count_##name(const type *values, uint32_t count, uint32_t low) {        \
        uint32_t found = 0;                                                                        \
        for (uint32_t at = 0; at < count; at += 64) {                                              \
            found += (uint32_t)__builtin_popcountll(mask_of(values + at, low, UINT32_MAX));        \
        }                                                                                          \
        return found;                                                                              \
    }

DEFINE_SCAN(scalar8, , uint8_t, mask8_scalar, any8_scalar)
DEFINE_SCAN(scalar16, , uint16_t, mask16_scalar, any16_scalar)

static const memdb__words_kernels_t scalar_kernels = {MEMDB__WORDS_SCALAR, scan_scalar8,
                                                      scan_scalar16, count_scalar8, count_scalar16};

#if defined(__x86_64__)

AVX2 static inline uint32_t half8_avx2(const uint8_t *values, __m256i low, __m256i high) {
    __m256i v = _mm256_load_si256((const __m256i *)(const void *)values);
    __m256i above = _mm256_cmpeq_epi8(_mm256_max_epu8(v, low), v);
    __m256i below = _mm256_cmpeq_epi8(_mm256_min_epu8(v, high), v);
    return (uint32_t)_mm256_movemask_epi8(_mm256_and_si256(above, below));
}

AVX2 static inline uint64_t mask8_avx2(const uint8_t *values, uint32_t low, uint32_t high) {
    __m256i l = _mm256_set1_epi8((char)low);
    __m256i h = _mm256_set1_epi8((char)(high < 255 ? high : 255));
    return half8_avx2(values, l, h) | (uint64_t)half8_avx2(values + 32, l, h) << 32;
}

AVX2 static inline __m256i within16_avx2(const uint16_t *values, __m256i low, __m256i high) {
    __m256i v = _mm256_load_si256((const __m256i *)(const void *)values);
    return _mm256_and_si256(_mm256_cmpeq_epi16(_mm256_max_epu16(v, low), v),
                            _mm256_cmpeq_epi16(_mm256_min_epu16(v, high), v));
}

// Two vectors of 16 lanes give 32 mask bits; packing works by halves of 128 bits, so they are put
// in order again.
AVX2 static inline uint32_t half16_avx2(const uint16_t *values, __m256i low, __m256i high) {
    __m256i packed =
        _mm256_packs_epi16(within16_avx2(values, low, high), within16_avx2(values + 16, low, high));
    return (uint32_t)_mm256_movemask_epi8(_mm256_permute4x64_epi64(packed, 0xD8));
}

AVX2 static inline uint64_t mask16_avx2(const uint16_t *values, uint32_t low, uint32_t high) {
    __m256i l = _mm256_set1_epi16((short)low);
    __m256i h = _mm256_set1_epi16((short)(high < 65535 ? high : 65535));
    return half16_avx2(values, l, h) | (uint64_t)half16_avx2(values + 32, l, h) << 32;
}

AVX2 static inline bool any8_avx2(const uint8_t *values, uint32_t low) {
    const __m256i *at = (const __m256i *)(const void *)values;
    __m256i most = _mm256_max_epu8(_mm256_load_si256(at), _mm256_load_si256(at + 1));
    for (int i = 2; i < 8; i++) {
        most = _mm256_max_epu8(most, _mm256_load_si256(at + i));
    }
    __m256i above = _mm256_cmpeq_epi8(_mm256_max_epu8(most, _mm256_set1_epi8((char)low)), most);
    return _mm256_movemask_epi8(above) != 0;
}

AVX2 static inline bool any16_avx2(const uint16_t *values, uint32_t low) {
    const __m256i *at = (const __m256i *)(const void *)values;
    __m256i most = _mm256_max_epu16(_mm256_load_si256(at), _mm256_load_si256(at + 1));
    for (int i = 2; i < 16; i++) {
        most = _mm256_max_epu16(most, _mm256_load_si256(at + i));
    }
    __m256i above = _mm256_cmpeq_epi16(_mm256_max_epu16(most, _mm256_set1_epi16((short)low)), most);
    return _mm256_movemask_epi8(above) != 0;
}

AVX512 static inline bool any8_avx512(const uint8_t *values, uint32_t low) {
    __m512i a = _mm512_max_epu8(_mm512_load_si512(values), _mm512_load_si512(values + 64));
    __m512i b = _mm512_max_epu8(_mm512_load_si512(values + 128), _mm512_load_si512(values + 192));
    return _mm512_cmpge_epu8_mask(_mm512_max_epu8(a, b), _mm512_set1_epi8((char)low)) != 0;
}

AVX512 static inline bool any16_avx512(const uint16_t *values, uint32_t low) {
    __m512i most = _mm512_load_si512(values);
    for (int i = 1; i < 8; i++) {
        most = _mm512_max_epu16(most, _mm512_load_si512(values + 32 * i));
    }
    return _mm512_cmpge_epu16_mask(most, _mm512_set1_epi16((short)low)) != 0;
}

AVX512 static inline uint64_t mask8_avx512(const uint8_t *values, uint32_t low, uint32_t high) {
    __m512i v = _mm512_load_si512(values);
    return _mm512_cmpge_epu8_mask(v, _mm512_set1_epi8((char)low)) &
           _mm512_cmple_epu8_mask(v, _mm512_set1_epi8((char)(high < 255 ? high : 255)));
}

AVX512 static inline uint64_t mask16_avx512(const uint16_t *values, uint32_t low, uint32_t high) {
    __m512i l = _mm512_set1_epi16((short)low);
    __m512i h = _mm512_set1_epi16((short)(high < 65535 ? high : 65535));
    __m512i first = _mm512_load_si512(values), second = _mm512_load_si512(values + 32);
    uint64_t a = _mm512_cmpge_epu16_mask(first, l) & _mm512_cmple_epu16_mask(first, h);
    uint64_t b = _mm512_cmpge_epu16_mask(second, l) & _mm512_cmple_epu16_mask(second, h);
    return a | b << 32;
}

DEFINE_SCAN(avx2_8, AVX2, uint8_t, mask8_avx2, any8_avx2)
DEFINE_SCAN(avx2_16, AVX2, uint16_t, mask16_avx2, any16_avx2)
DEFINE_SCAN(avx512_8, AVX512, uint8_t, mask8_avx512, any8_avx512)
DEFINE_SCAN(avx512_16, AVX512, uint16_t, mask16_avx512, any16_avx512)

static const memdb__words_kernels_t avx2_kernels = {MEMDB__WORDS_AVX2, scan_avx2_8, scan_avx2_16,
                                                    count_avx2_8, count_avx2_16};
static const memdb__words_kernels_t avx512_kernels = {
    MEMDB__WORDS_AVX512, scan_avx512_8, scan_avx512_16, count_avx512_8, count_avx512_16};

#endif

const memdb__words_kernels_t *memdb__words_kernels_at(memdb__words_level_t level) {
    switch (level) {
    case MEMDB__WORDS_SCALAR:
        return &scalar_kernels;
#if defined(__x86_64__)
    case MEMDB__WORDS_AVX2:
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") ? &avx2_kernels
                                                                                : NULL;
    case MEMDB__WORDS_AVX512:
        return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("bmi2")
                   ? &avx512_kernels
                   : NULL;
#endif
    default:
        return NULL;
    }
}

const memdb__words_kernels_t *memdb__words_kernels(void) {
    static _Atomic(const memdb__words_kernels_t *) best;
    // relaxed: the tables are constants, and every thread finds the same one
    const memdb__words_kernels_t *kernels = atomic_load_explicit(&best, memory_order_relaxed);
    if (kernels) {
        return kernels;
    }
    for (int level = MEMDB__WORDS_AVX512; !kernels; level--) {
        kernels = memdb__words_kernels_at((memdb__words_level_t)level);
    }
    // relaxed: as above
    atomic_store_explicit(&best, kernels, memory_order_relaxed);
    return kernels;
}
