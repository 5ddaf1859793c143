// Scans over the score accumulators of a chunk, in scalar, AVX2 and AVX-512 forms that give the
// same results.
#ifndef MEMDB_INDEX_LEXICAL_KERNELS_H
#define MEMDB_INDEX_LEXICAL_KERNELS_H

#include <stddef.h>
#include <stdint.h>

typedef enum memdb__words_level {
    MEMDB__WORDS_SCALAR = 0,
    MEMDB__WORDS_AVX2 = 1,
    MEMDB__WORDS_AVX512 = 2,
} memdb__words_level_t;

/// Accumulators are 64-byte aligned and padded with zeros to a multiple of 64 entries; `low` is 1
/// or more.
typedef struct memdb__words_kernels {
    memdb__words_level_t level;
    /// Places from `from` (a multiple of 64) to `count` whose value is in [low, high], rising, into
    /// `places_out`; stops before a group of 64 that might not fit into `room` (64 or more).
    /// Returns where it stopped: `count` at the end.
    uint32_t (*scan8)(const uint8_t *values, uint32_t from, uint32_t count, uint32_t low,
                      uint32_t high, uint16_t *places_out, uint32_t room, uint32_t *found_out);
    uint32_t (*scan16)(const uint16_t *values, uint32_t from, uint32_t count, uint32_t low,
                       uint32_t high, uint16_t *places_out, uint32_t room, uint32_t *found_out);
    /// How many values are `low` or more.
    uint32_t (*count8)(const uint8_t *values, uint32_t count, uint32_t low);
    uint32_t (*count16)(const uint16_t *values, uint32_t count, uint32_t low);
} memdb__words_kernels_t;

/// The best for this CPU.
const memdb__words_kernels_t *memdb__words_kernels(void);
/// A given level, for tests; NULL where the CPU or the build lacks it.
const memdb__words_kernels_t *memdb__words_kernels_at(memdb__words_level_t level);

#endif
