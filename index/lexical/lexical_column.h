// A column: a number for each document, packed in blocks.
//
// Ids and versions rise by about one from document to document, and lengths are alike, so a block
// of numbers is kept as its least and what each has above it, in as many bits as the greatest of
// these needs (frame of reference; Goldstein, Ramakrishnan and Shaft, "Compressing Relations and
// Indexes", 1998). A *rising* column keeps each number less its place in the block, so that numbers
// that rise by one need no bits at all. Any number is found with two loads.
//
//   heads   16 bytes for each block of 128 numbers, the last one filled up:
//           0 u64 least | 8 u48 position of the block's bits behind the heads | 14 u8 bits of a
//           number, 0 to 56, or 64 | 15 zero
//   bits    number i of a block begins at bit i * bits, low bits first; 16 * bits bytes a block
//   8 zero bytes, so that a load of 8 bytes never leaves the section
//
// Arithmetic wraps, so that a column holds any numbers; those of spaces that share a block only
// cost bits.
#ifndef MEMDB_INDEX_LEXICAL_COLUMN_H
#define MEMDB_INDEX_LEXICAL_COLUMN_H

#include "index/lexical/lexical_segment.h"

#define MEMDB__COLUMN_BLOCK 128u
#define MEMDB__COLUMN_HEAD_BYTES 16u
#define MEMDB__COLUMN_END_BYTES 8u

/// A column that is being made; begin with zeros, and release with memdb__column_deinit.
typedef struct memdb__column {
    bool rising;
    uint32_t used; // numbers of the block in hand
    uint64_t block[MEMDB__COLUMN_BLOCK];
    memdb__buffer_t heads, bits; // `failed`: out of memory
} memdb__column_t;

void memdb__column_add(memdb__column_t *column, uint64_t number);
/// Close the last block; the section is the heads and then the bits.
void memdb__column_end(memdb__column_t *column);
void memdb__column_deinit(memdb__column_t *column);

/// Whether a section can be a column of so many numbers.
bool memdb__column_fits(uint64_t size, uint64_t numbers);
/// Number `number`, which there must be, of the column in a section.
memdb_status_t memdb__column_read(const memdb__words_segment_t *segment, uint32_t section,
                                  uint64_t number, bool rising, uint64_t *value_out,
                                  memdb_error_t *error);
/// Check that the blocks adjoin and that all that means nothing is zero; *position_out says where
/// not.
memdb_status_t memdb__column_verify(const memdb__words_segment_t *segment, uint32_t section,
                                    uint64_t *position_out, memdb_error_t *error);

#endif
