// A words segment as the folder's files see it: lookups that check what they touch.
//
// Every function that reads the file can give MEMDB_CORRUPT, with file and offset. Pointers live as
// long as the segment.
#ifndef MEMDB_INDEX_LEXICAL_SEGMENT_H
#define MEMDB_INDEX_LEXICAL_SEGMENT_H

#include "index/lexical/lexical_format.h"

struct memdb__words_segment {
    memdb__container_t *container;
    memdb__words_head_t head;
    const uint8_t *sections[MEMDB__WORDS_SECTIONS];
    uint64_t sizes[MEMDB__WORDS_SECTIONS];
};

/// The postings of a run.
typedef struct memdb__words_run_data {
    const uint16_t *offsets;
    const uint8_t *codes;
    const uint8_t *exceptions;
} memdb__words_run_data_t;

/// The place in the file of a place in a section.
uint64_t memdb__segment_offset(const memdb__words_segment_t *segment, uint32_t section,
                               uint64_t position);
/// MEMDB_CORRUPT at a place of a section.
memdb_status_t memdb__segment_corrupt(const memdb__words_segment_t *segment, uint32_t section,
                                      uint64_t position, const char *what, memdb_error_t *error);
/// Check a range of a section: bounds and checksums.
memdb_status_t memdb__segment_touch(const memdb__words_segment_t *segment, uint32_t section,
                                    uint64_t position, uint64_t size, memdb_error_t *error);

/// Row `number` of the spaces, with its ranges verified.
memdb_status_t memdb__segment_space_at(const memdb__words_segment_t *segment, uint64_t number,
                                       memdb__words_space_t *space_out, memdb_error_t *error);
memdb_status_t memdb__segment_find_space(const memdb__words_segment_t *segment, memdb_space_t space,
                                         memdb__words_space_t *space_out, bool *found_out,
                                         memdb_error_t *error);

/// The record at a position of the dictionary, inside the space's part of it.
memdb_status_t memdb__segment_record(const memdb__words_segment_t *segment,
                                     const memdb__words_space_t *space, uint64_t position,
                                     memdb__words_record_t *record_out, memdb_error_t *error);
memdb_status_t memdb__segment_find_term(const memdb__words_segment_t *segment,
                                        const memdb__words_space_t *space, const uint8_t *term,
                                        size_t size, uint64_t hash,
                                        memdb__words_record_t *record_out, bool *found_out,
                                        memdb_error_t *error);
/// Position of the first record of the space that is not below `term`, or of the end of the space's
/// part.
memdb_status_t memdb__segment_lower_bound(const memdb__words_segment_t *segment,
                                          const memdb__words_space_t *space, const uint8_t *term,
                                          size_t size, uint64_t *position_out,
                                          memdb_error_t *error);
/// The postings of a run; `space` says how many documents its chunk may have.
memdb_status_t memdb__segment_run(const memdb__words_segment_t *segment,
                                  const memdb__words_space_t *space, const memdb__words_run_t *run,
                                  memdb__words_run_data_t *data_out, memdb_error_t *error);

memdb_status_t memdb__segment_document(const memdb__words_segment_t *segment,
                                       const memdb__words_space_t *space, uint32_t number,
                                       uint64_t *id_out, uint64_t *version_out,
                                       memdb_error_t *error);
memdb_status_t memdb__segment_length(const memdb__words_segment_t *segment,
                                     const memdb__words_space_t *space, uint32_t number,
                                     uint32_t *length_out, memdb_error_t *error);
/// The number of document (id, version); UINT32_MAX: not there.
memdb_status_t memdb__segment_locate(const memdb__words_segment_t *segment,
                                     const memdb__words_space_t *space, uint64_t id,
                                     uint64_t version, uint32_t *number_out, memdb_error_t *error);

/// Place of `offset` in rising offsets; `count` when it is not there.
static inline uint32_t memdb__find_offset(const uint16_t *offsets, uint32_t count,
                                          uint16_t offset) {
    const uint16_t *base = offsets;
    uint32_t left = count;
    while (left > 1) { // a product, not a branch: the outcome of a comparison is a coin toss
        uint32_t half = left / 2;
        base += (size_t)(base[half - 1] < offset) * half;
        left -= half;
    }
    return count && *base == offset ? (uint32_t)(base - offsets) : count;
}

/// tf of the posting at `place` of a run; 0: the exception is missing, so the segment is damaged.
uint32_t memdb__run_tf(const memdb__words_run_t *run, const memdb__words_run_data_t *data,
                       uint32_t place);

#endif
