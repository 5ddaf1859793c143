// Distance kernels over INT8 codes, behind one dispatch. Each has a scalar twin; all variants are
// equal bit for bit, because they compute the same integer.
#ifndef MEMDB_INDEX_KERNELS_KERNELS_H
#define MEMDB_INDEX_KERNELS_KERNELS_H

#include <stddef.h>
#include <stdint.h>

typedef enum memdb__kernel_level {
    MEMDB__KERNEL_SCALAR = 0,
    MEMDB__KERNEL_AVX2 = 1,
    MEMDB__KERNEL_AVX512_VNNI = 2,
    MEMDB__KERNEL_NEON = 3, // with dot product where the CPU has it
} memdb__kernel_level_t;

typedef struct memdb__kernels {
    memdb__kernel_level_t level;
    /// Sum of a[i] * b[i]. Codes are in [-127, 127]; size up to 4,096, any alignment; rows are
    /// padded with zeros to 64 bytes.
    int32_t (*dot)(const int8_t *a, const int8_t *b, size_t size);
    /// One query against `count` rows `stride` bytes apart (a multiple of 64, rows 64-byte
    /// aligned): the hot loop of the exact scan. `size` is the stride or less; bytes from the
    /// dimension up to the stride are zero in both.
    void (*dot_rows)(const int8_t *query, const int8_t *rows, size_t stride, size_t count,
                     int32_t *dots_out);
} memdb__kernels_t;

/// The best kernels for this CPU (found once).
const memdb__kernels_t *memdb__kernels(void);
/// A given level, for tests and benches; NULL where the CPU or the build lacks it.
const memdb__kernels_t *memdb__kernels_at(memdb__kernel_level_t level);
const char *memdb__kernel_level_name(memdb__kernel_level_t level);

#endif
