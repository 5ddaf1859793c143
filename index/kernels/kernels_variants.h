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

int32_t memdb__dot_scalar(const int8_t *a, const int8_t *b, size_t size);
void memdb__dot_rows_scalar(const int8_t *query, const int8_t *rows, size_t stride, size_t count,
                            int32_t *dots_out);

#if defined(__x86_64__)
int32_t memdb__dot_avx2(const int8_t *a, const int8_t *b, size_t size);
void memdb__dot_rows_avx2(const int8_t *query, const int8_t *rows, size_t stride, size_t count,
                          int32_t *dots_out);
int32_t memdb__dot_avx512(const int8_t *a, const int8_t *b, size_t size);
void memdb__dot_rows_avx512(const int8_t *query, const int8_t *rows, size_t stride, size_t count,
                            int32_t *dots_out);
#endif

#if defined(__aarch64__)
int32_t memdb__dot_neon(const int8_t *a, const int8_t *b, size_t size);
void memdb__dot_rows_neon(const int8_t *query, const int8_t *rows, size_t stride, size_t count,
                          int32_t *dots_out);
int32_t memdb__dot_neon_sdot(const int8_t *a, const int8_t *b, size_t size);
void memdb__dot_rows_neon_sdot(const int8_t *query, const int8_t *rows, size_t stride, size_t count,
                               int32_t *dots_out);
#endif

#endif
