// Distance kernels behind one dispatch: over INT8 codes, 1-bit codes, half floats, and the random
// rotation that 1-bit codes need. Each has a scalar twin; all variants are equal bit for bit:
// integers are exact, and floats are rounded in one order that every variant keeps.
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

#define MEMDB__ROTATION_TRANSFORMS 4

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
    /// The same for the rows of given numbers, in any order. The caller prefetches.
    void (*dot_given)(const int8_t *query, const int8_t *rows, size_t stride,
                      const uint32_t *numbers, size_t count, int32_t *dots_out);

    /// 1-bit codes of 16 entries a block against a query's tables: sums_out[16 * block + entry] is
    /// the sum over all groups of four bits of tables[16 * group + the bits as a number].
    /// `codes` points at the code lines of the first block, 64-byte aligned; blocks are `stride`
    /// bytes apart. A line has 64 bytes: byte b is of entry b % 16; with lane = b / 16 its low four
    /// bits are group 8 * line + lane, its high ones group 8 * line + 4 + lane. Tables are 64-byte
    /// aligned, their entries 0 to 31: eight fit a byte, so that they are added in bytes before
    /// they are widened. At most 128 lines (4,096 bits), so a sum fits 16 bits.
    void (*scan_blocks)(const uint8_t *tables, const uint8_t *codes, size_t lines, size_t stride,
                        size_t blocks, uint16_t *sums_out);
    /// How many bits differ from the query's, or are set in both, for each of `count` rows of bits,
    /// `stride` bytes apart (a multiple of 8), any alignment.
    void (*differ_rows)(const uint8_t *query, const uint8_t *rows, size_t stride, size_t count,
                        uint32_t *counts_out);
    void (*overlap_rows)(const uint8_t *query, const uint8_t *rows, size_t stride, size_t count,
                         uint32_t *counts_out);

    /// Rotate a vector in place: four Walsh-Hadamard transforms, each after random signs, of the
    /// first window of the vector, the last, the first, the last. `size` is a multiple of 32, up to
    /// 4,096; the window has the largest power of two of values that is not above it, so two
    /// windows cover all and nothing is padded; where one does, the last ones are left out.
    /// Transform t first negates each vector[i] of its window where bit (t * size + i) of `signs`
    /// is set; without signs between them, one transform would undo parts of the other. It is
    /// scaled by 1 / sqrt(window), so lengths stay but for rounding. Butterflies go in the order of
    /// rising distance.
    void (*rotate)(float *vector, size_t size, const uint64_t *signs);
    /// Sum of query[i] * row[i] for a row of IEEE half floats, all finite; size a multiple of 32.
    /// Products and sums are rounded one by one: 32 running sums, of which the upper half is added
    /// to the lower until one is left.
    float (*dot_half)(const float *query, const uint16_t *row, size_t size);
} memdb__kernels_t;

/// The best kernels for this CPU (found once).
const memdb__kernels_t *memdb__kernels(void);
/// A given level, for tests and benches; NULL where the CPU or the build lacks it.
const memdb__kernels_t *memdb__kernels_at(memdb__kernel_level_t level);
const char *memdb__kernel_level_name(memdb__kernel_level_t level);

/// dot_rows for many queries, `stride` bytes apart: dots_out[query * count + row]. Rows are taken
/// in pieces that the first-level cache holds, so each is read once from where it lies.
void memdb__dot_queries(const int8_t *queries, size_t query_count, const int8_t *rows,
                        size_t stride, size_t count, int32_t *dots_out);

/// To the nearest half float, ties to even; beyond the range, infinity.
uint16_t memdb__half_encode(float value);
float memdb__half_decode(uint16_t half);

#endif
