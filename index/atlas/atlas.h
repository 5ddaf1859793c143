// Vectors: INT8 codes with a scale, in lists of the delta and in immutable segments; exact search
// over them. This header is the seam behind which the page-clustered index comes: sources in, best
// live documents out.
//
// A row is one version of a memory's vector: (space, id, version), `dimension` INT8 codes
// (symmetric: value = code * scale, scale = largest magnitude / 127), padded with zeros to a
// multiple of 64 bytes, the scale, and the squared length of the decoded vector. For the metric
// cosine the vector is normalised before it is coded.
//
// Row encoding, as carried in the log: f32 scale, then `dimension` codes (little-endian, no
// padding).
#ifndef MEMDB_INDEX_ATLAS_ATLAS_H
#define MEMDB_INDEX_ATLAS_ATLAS_H

#include "base/bitmap.h"
#include "base/container.h"
#include "base/memory.h"
#include "base/stop.h"

/// Bytes of an encoded row.
static inline size_t memdb__row_bytes(uint32_t dimension) {
    return 4 + (size_t)dimension;
}

/// Encode `dimension` floats into memdb__row_bytes(dimension) bytes. MEMDB_INVALID: a NaN or an
/// infinity, or (cosine) a zero vector is encoded as zeros.
memdb_status_t memdb__row_encode(memdb_metric_t metric, const float *vector, uint32_t dimension,
                                 uint8_t *row_out, memdb_error_t *error);
/// Whether hostile bytes are a well-formed row: a scale >= 0 (not -0) that decodes to finite
/// floats, no code of -128.
bool memdb__row_verify(const uint8_t *row, size_t size, uint32_t dimension);
void memdb__row_decode(const uint8_t *row, uint32_t dimension, float *vector_out);

/// The vectors of one run of the delta. One writer, any number of readers beside it without a lock.
typedef struct memdb__vector_list memdb__vector_list_t;

memdb__vector_list_t *memdb__vector_list_create(void);
void memdb__vector_list_destroy(memdb__vector_list_t *list);
/// Add a row, copied. Versions do not fall from call to call; (space, id, version) names one row.
/// All rows of a space have one dimension and metric. A failure leaves the list as it was.
/// MEMDB_INVALID: a malformed row, another dimension, a version below the last, or a second row of
/// one (id, version).
memdb_status_t memdb__vector_list_add(memdb__vector_list_t *list, memdb_space_t space,
                                      uint32_t dimension, uint64_t id, uint64_t version,
                                      const uint8_t *row, memdb_error_t *error);
size_t memdb__vector_list_bytes(const memdb__vector_list_t *list);

typedef struct memdb__vector_segment memdb__vector_segment_t;

memdb_status_t memdb__vector_segment_open(int directory, const char *name,
                                          const memdb__segment_identity_t *identity,
                                          uint64_t file_size, uint64_t checksum,
                                          memdb__vector_segment_t **segment_out,
                                          memdb_error_t *error);
void memdb__vector_segment_close(memdb__vector_segment_t *segment);
memdb__container_t *memdb__vector_segment_container(memdb__vector_segment_t *segment);
memdb_status_t memdb__vector_segment_verify(memdb__vector_segment_t *segment, memdb_verify_fn found,
                                            void *context, memdb_error_t *error);

/// Whether row (id, version) is what the asker sees.
typedef bool (*memdb__row_live_fn)(void *context, memdb_space_t space, uint64_t id,
                                   uint64_t version);

/// One source; exactly one of the pointers is set. A list counts only up to the query's `visible`
/// version, or `whole` (the own writes of a transaction).
typedef struct memdb__vector_source {
    memdb__vector_list_t *list;
    memdb__vector_segment_t *segment;
    bool whole;
} memdb__vector_source_t;

/// Write one segment from lists and segments (oldest first): live rows of live spaces, by space,
/// then id, then version. Lists are taken up to `visible`. A row that several sources hold is
/// written once. `live` is asked once a row of a source. An empty result still makes a file.
/// MEMDB_INVALID: two sources disagree about a space's dimension.
memdb_status_t memdb__vector_segment_write(
    int directory, const char *name, const memdb__segment_identity_t *identity,
    const memdb__vector_source_t *sources, size_t source_count, uint64_t visible,
    memdb__row_live_fn live, bool (*space_live)(void *context, memdb_space_t space), void *context,
    uint64_t *file_size_out, uint64_t *checksum_out, memdb_error_t *error);

typedef struct memdb__vector_hit {
    uint64_t id, version;
    float score; // larger is better: cosine, dot product, or minus the squared distance
} memdb__vector_hit_t;

typedef struct memdb__vector_search {
    memdb_space_t space;
    memdb_metric_t metric;
    uint32_t dimension;
    uint64_t visible;
    const memdb__vector_source_t *sources;
    size_t source_count;
    memdb__row_live_fn live; // called for promising rows only
    void *context;
    memdb__stop_t stop; // asked once a block of rows
    const memdb__bitmap_t *members; // optional: only rows of these ids; inverted: of all others
    bool inverted;
} memdb__vector_search_t;

/// The best `capacity` live rows for a float query, best first, ties by id. The query is coded as
/// INT8 with a scale of its own (exact search over the codes). The sources hold a row at most once
/// among them. Scores are finite, and the same on every CPU. MEMDB_INVALID: NaN or an infinity in
/// the query, or another dimension than the space's.
memdb_status_t memdb__vector_search(const float *query, const memdb__vector_search_t *search,
                                    memdb__vector_hit_t *hits_out, size_t capacity,
                                    size_t *count_out, memdb_error_t *error);
/// The score of given rows: hits[i].id and .version in, .score out; -INFINITY where the row is not
/// there (`live` is not asked, and `members` do not count). Scores are those of
/// memdb__vector_search, bit for bit. Does not allocate.
memdb_status_t memdb__vector_score(const float *query, const memdb__vector_search_t *search,
                                   memdb__vector_hit_t *hits, size_t count, memdb_error_t *error);
/// Copy the row (id, version) out, encoded. MEMDB_NOT_FOUND.
memdb_status_t memdb__vector_get(const memdb__vector_search_t *search, uint64_t id,
                                 uint64_t version, uint8_t *row_out, memdb_error_t *error);

#endif
