// The rotation for every variant: plain loops over vectors of eight floats, which the compiler
// turns into the registers of the function that they are inlined into. A butterfly is one addition
// and one subtraction, so their width does not show in the result.
#ifndef MEMDB_INDEX_KERNELS_KERNELS_ROTATE_H
#define MEMDB_INDEX_KERNELS_KERNELS_ROTATE_H

#include "index/kernels/kernels_variants.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#define MEMDB__ROTATE_INLINE static inline __attribute__((always_inline))

typedef float memdb__lanes_t __attribute__((vector_size(32), aligned(4), may_alias));

/// Butterflies at distances 1, 2 and 4 within eight values. For a pair (a, b) the lower lane is
/// b + a, the upper a + -b: the swapped values plus the values with their signs.
MEMDB__ROTATE_INLINE void memdb__butterflies_in(memdb__lanes_t *at) {
    const memdb__lanes_t one = {1, -1, 1, -1, 1, -1, 1, -1}, two = {1, 1, -1, -1, 1, 1, -1, -1},
                         four = {1, 1, 1, 1, -1, -1, -1, -1};
    memdb__lanes_t x = *at;
    x = __builtin_shufflevector(x, x, 1, 0, 3, 2, 5, 4, 7, 6) + x * one;
    x = __builtin_shufflevector(x, x, 2, 3, 0, 1, 6, 7, 4, 5) + x * two;
    *at = __builtin_shufflevector(x, x, 4, 5, 6, 7, 0, 1, 2, 3) + x * four;
}

/// Butterflies at distances `half` and 2 * half, in lanes: two steps for one way through memory.
MEMDB__ROTATE_INLINE void memdb__butterflies_two(memdb__lanes_t *lanes, size_t size, size_t half) {
    for (size_t first = 0; first < size; first += 4 * half)
        for (size_t i = first; i < first + half; i++) {
            memdb__lanes_t w = lanes[i], x = lanes[i + half];
            memdb__lanes_t y = lanes[i + 2 * half], z = lanes[i + 3 * half];
            memdb__lanes_t a = w + x, b = w - x, c = y + z, d = y - z;
            lanes[i] = a + c;
            lanes[i + half] = b + d;
            lanes[i + 2 * half] = a - c;
            lanes[i + 3 * half] = b - d;
        }
}

MEMDB__ROTATE_INLINE void memdb__transform(float *values, size_t count, const uint64_t *signs,
                                           size_t first_sign) {
    for (size_t i = 0; i < count; i += 32) {
        uint32_t word = (uint32_t)(signs[(first_sign + i) / 64] >> ((first_sign + i) % 64));
        for (size_t j = 0; j < 32; j++)
            values[i + j] = word >> j & 1 ? -values[i + j] : values[i + j];
    }
    memdb__lanes_t *lanes = (memdb__lanes_t *)(void *)values;
    size_t size = count / 8, half = 1;
    for (size_t i = 0; i < size; i++)
        memdb__butterflies_in(&lanes[i]);
    for (; 4 * half <= size; half *= 4)
        memdb__butterflies_two(lanes, size, half);
    for (size_t i = 0; half < size && i < half; i++) {
        memdb__lanes_t a = lanes[i], b = lanes[i + half];
        lanes[i] = a + b;
        lanes[i + half] = a - b;
    }
    float scale = 1.0f / sqrtf((float)count);
    for (size_t i = 0; i < count; i++)
        values[i] *= scale;
}

MEMDB__ROTATE_INLINE void memdb__rotate(float *vector, size_t size, const uint64_t *signs) {
    size_t window = memdb__rotation_window(size);
    for (size_t t = 0; t < MEMDB__ROTATION_TRANSFORMS; t++) {
        size_t first = t % 2 ? size - window : 0;
        if (t % 2 == 0 || first)
            memdb__transform(vector + first, window, signs, t * size + first);
    }
}

#endif
