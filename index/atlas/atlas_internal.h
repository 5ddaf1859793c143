// What the files of the vector index share: rows in place, queries, and the arithmetic of a score.
//
// The arithmetic is fixed, so that a score does not depend on the CPU, on the source that a row
// lies in, or on the rows beside it. With the integer dot product of the codes:
//
//   inner = ((float)dot * row scale) * query scale
//   cosine, dot:  inner
//   l2:           (inner + inner) - (row norm + query norm)        norm: squared length of the
//   decoded vector
//
// each operation rounded to float once (the folder is compiled without contraction), and the result
// held within the finite floats; a NaN, which only absurd scales can make, counts as the lowest.
#ifndef MEMDB_INDEX_ATLAS_ATLAS_INTERNAL_H
#define MEMDB_INDEX_ATLAS_ATLAS_INTERNAL_H

#include "index/atlas/atlas.h"

#include <float.h>
#include <stdalign.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the arrays of a vector segment are used in place and are little-endian"
#endif

#define MEMDB__ROW_ALIGNMENT 64

static inline uint32_t memdb__row_stride(uint32_t dimension) {
    return (dimension + MEMDB__ROW_ALIGNMENT - 1) / MEMDB__ROW_ALIGNMENT * MEMDB__ROW_ALIGNMENT;
}

/// Rows of one space that lie side by side: five parallel arrays in a chunk of a list, or in a
/// segment's mapping.
typedef struct memdb__rows {
    const int8_t *codes; // 64-byte aligned, a stride apart
    const uint64_t *ids, *versions;
    const float *scales, *norms;
    size_t count;
} memdb__rows_t;

// ------------------------------------------------------------------------------ rows and queries
// (row.c)

/// Code a vector: `dimension` codes and their scale. MEMDB_INVALID: not finite.
memdb_status_t memdb__codes_encode(memdb_metric_t metric, const float *vector, uint32_t dimension,
                                   int8_t *codes_out, float *scale_out, memdb_error_t *error);
/// The squared length of a decoded vector, at most FLT_MAX. `codes` has `size` bytes.
float memdb__codes_norm(const int8_t *codes, size_t size, float scale);

/// A query, coded as rows are.
typedef struct memdb__coded_query {
    alignas(64) int8_t codes[MEMDB_MAX_DIMENSION];
    uint32_t stride;
    memdb_metric_t metric;
    float scale, norm;
} memdb__coded_query_t;

memdb_status_t memdb__coded_query_init(memdb__coded_query_t *query, memdb_metric_t metric,
                                       const float *vector, uint32_t dimension,
                                       memdb_error_t *error);
/// `dots` to scores, by the arithmetic above.
void memdb__scores(const memdb__coded_query_t *query, const int32_t *dots, const float *scales,
                   const float *norms, size_t count, float *scores_out);

// ------------------------------------------------------------------------------ lists (list.c)

typedef struct memdb__list_space memdb__list_space_t;

/// The list's rows of a space; NULL where it has none.
const memdb__list_space_t *memdb__vector_list_space(const memdb__vector_list_t *list,
                                                    memdb_space_t space);
uint32_t memdb__list_space_dimension(const memdb__list_space_t *space);
/// How many rows have a version up to `visible`.
size_t memdb__list_space_count(const memdb__list_space_t *space, uint64_t visible);
/// The rows from number `first` (< count) to the end of its chunk, none at or above `count`.
memdb__rows_t memdb__list_space_rows(const memdb__list_space_t *space, size_t first, size_t count);
/// Find row (id, version): a view of one row. False: not there.
bool memdb__list_space_find(const memdb__list_space_t *space, uint64_t id, uint64_t version,
                            memdb__rows_t *row_out);
/// Call `visit` for each space of the list, in no order.
memdb_status_t memdb__list_each_space(const memdb__vector_list_t *list,
                                      memdb_status_t (*visit)(void *context, memdb_space_t space,
                                                              memdb_error_t *error),
                                      void *context, memdb_error_t *error);

// ------------------------------------------------------------------------------ segments
// (segment.c)

// Sections of a container of kind MEMDB__SEGMENT_VECTORS, in the order in which they are written.
enum {
    MEMDB__SECTION_IDS = 1,
    MEMDB__SECTION_VERSIONS = 2,
    MEMDB__SECTION_SCALES = 3,
    MEMDB__SECTION_NORMS = 4,
    MEMDB__SECTION_CODES = 5,
    MEMDB__SECTION_SPACES = 6,
};

// The section of spaces: a header of 32 bytes, then an entry of 48 bytes for each space, spaces
// rising.
//
//   header   0  u32  layout version, 1           entry   0  u32  space, not 0
//            4  u32  number of spaces                    4  u32  dimension, 1 to 4,096
//            8  u64  number of rows                      8  u32  stride, the dimension rounded up
//            to 64
//           16  u64  bytes of codes                     12  u32  reserved, 0
//           24  u64  reserved, 0                        16  u64  number of rows, not 0
//                                                       24  u64  first row: the sum of the counts
//                                                       before 32  u64  offset of its codes: the
//                                                       sum of count * stride before 40  u64
//                                                       reserved, 0
//
// Ids and versions are u64, scales and norms f32, one a row; codes are `stride` bytes a row. In a
// space rows rise by (id, version).
#define MEMDB__SPACES_VERSION 1
#define MEMDB__SPACES_HEADER_BYTES 32
#define MEMDB__SPACES_ENTRY_BYTES 48

typedef struct memdb__segment_space {
    memdb_space_t space;
    uint32_t dimension, stride;
    uint64_t count, first_row, codes_offset;
} memdb__segment_space_t;

void memdb__segment_space_encode(const memdb__segment_space_t *space, uint8_t *at);

size_t memdb__segment_space_total(const memdb__vector_segment_t *segment);
const memdb__segment_space_t *memdb__vector_segment_space_at(const memdb__vector_segment_t *segment,
                                                             size_t number);
/// NULL where the segment has no row of the space.
const memdb__segment_space_t *
memdb__vector_segment_find_space(const memdb__vector_segment_t *segment, memdb_space_t space);
/// All rows of a space, checked: pages once, then that rows rise and that scales and norms are
/// finite and not negative.
memdb_status_t memdb__segment_rows(memdb__vector_segment_t *segment,
                                   const memdb__segment_space_t *space, memdb__rows_t *rows_out,
                                   memdb_error_t *error);
/// Find row (id, version): a view of one row, checked. MEMDB_NOT_FOUND without a message.
memdb_status_t memdb__segment_find(memdb__vector_segment_t *segment,
                                   const memdb__segment_space_t *space, uint64_t id,
                                   uint64_t version, memdb__rows_t *row_out, memdb_error_t *error);

#endif
