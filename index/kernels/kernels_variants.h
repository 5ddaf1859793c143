// The variants behind the dispatch of kernels.h. Each exists only in builds for its architecture,
// and may run only on a CPU that has its instructions; kernels.c decides both.
#ifndef MEMDB_INDEX_KERNELS_KERNELS_VARIANTS_H
#define MEMDB_INDEX_KERNELS_KERNELS_VARIANTS_H

#include "index/kernels/kernels.h"

/// How far ahead of the row in hand a kernel prefetches, in bytes. The product of memory latency
/// and read rate is about 4 KiB, but hardware prefetchers stop at page ends, so more pays: measured
/// from 1 to 24 KiB, 12 and 16 came nearest to the rate of a plain sum. It must stay well below the
/// smallest first-level cache (32 KiB). A prefetch never faults, so the last rows may reach past
/// the array.
#define MEMDB__PREFETCH_BYTES 16384
/// Blocks below this size may come from the first-level cache, where prefetching only takes load
/// slots.
#define MEMDB__PREFETCH_FROM_BYTES 32768

/// Rows that dot_queries takes at a time: with a query, half of the first-level cache.
#define MEMDB__PIECE_BYTES 16384

#define MEMDB__BLOCK_ENTRIES 16
#define MEMDB__LINE_BYTES 64
#define MEMDB__HALF_LANES 32

/// The values that one transform of a rotation takes: the largest power of two within `size`.
static inline size_t memdb__rotation_window(size_t size) {
    size_t window = 32;
    while (2 * window <= size)
        window *= 2;
    return window;
}

/// The kernels of one variant, by the end of their names.
#define MEMDB__DECLARE_DOTS(suffix)                                                                \
    int32_t memdb__dot_##suffix(const int8_t *a, const int8_t *b, size_t size);                    \
    void memdb__dot_rows_##suffix(const int8_t *query, const int8_t *rows, size_t stride,          \
                                  size_t count, int32_t *dots_out);                                \
    void memdb__dot_given_##suffix(const int8_t *query, const int8_t *rows, size_t stride,         \
                                   const uint32_t *numbers, size_t count, int32_t *dots_out)
#define MEMDB__DECLARE_COUNTS(suffix)                                                              \
    void memdb__differ_rows_##suffix(const uint8_t *query, const uint8_t *rows, size_t stride,     \
                                     size_t count, uint32_t *counts_out);                          \
    void memdb__overlap_rows_##suffix(const uint8_t *query, const uint8_t *rows, size_t stride,    \
                                      size_t count, uint32_t *counts_out)
#define MEMDB__DECLARE_OTHERS(suffix)                                                              \
    void memdb__scan_blocks_##suffix(const uint8_t *tables, const uint8_t *codes, size_t lines,    \
                                     size_t stride, size_t blocks, uint16_t *sums_out);            \
    void memdb__rotate_##suffix(float *vector, size_t size, const uint64_t *signs);                \
    float memdb__dot_half_##suffix(const float *query, const uint16_t *row, size_t size)

MEMDB__DECLARE_DOTS(scalar);
MEMDB__DECLARE_COUNTS(scalar);
MEMDB__DECLARE_OTHERS(scalar);

#if defined(__x86_64__)
MEMDB__DECLARE_DOTS(avx2);
MEMDB__DECLARE_COUNTS(avx2);
MEMDB__DECLARE_OTHERS(avx2);
MEMDB__DECLARE_DOTS(avx512);
MEMDB__DECLARE_COUNTS(avx512);
MEMDB__DECLARE_OTHERS(avx512);
#endif

#if defined(__aarch64__)
MEMDB__DECLARE_DOTS(neon);
MEMDB__DECLARE_DOTS(neon_sdot);
MEMDB__DECLARE_COUNTS(neon);
MEMDB__DECLARE_OTHERS(neon);
#endif

#endif
