// Reading words segments: the columns by document number.
#include "index/lexical/lexical_column.h"

// Layout 1: the numbers as they are, less a base, in 2, 4 or 8 bytes each.
static memdb_status_t read_plain(const memdb__words_segment_t *segment, uint32_t section,
                                 uint64_t number, uint64_t *value_out, memdb_error_t *error) {
    uint32_t width = memdb__words_width(&segment->head, section);
    uint64_t position = number * width;
    memdb_status_t status = memdb__segment_touch(segment, section, position, width, error);
    if (status) {
        return status;
    }
    const uint8_t *at = segment->sections[section] + position;
    *value_out = width == 2   ? memdb__get_u16(at)
                 : width == 4 ? memdb__get_u32(at)
                              : memdb__get_u64(at);
    return MEMDB_OK;
}

static memdb_status_t read_number(const memdb__words_segment_t *segment,
                                  const memdb__words_space_t *space, uint32_t section,
                                  uint32_t number, uint64_t *value_out, memdb_error_t *error) {
    uint64_t at = space->first_document + number;
    return segment->head.layout == 1
               ? read_plain(segment, section, at, value_out, error)
               : memdb__column_read(segment, section, at, section != MEMDB__WORDS_LENGTHS,
                                    value_out, error);
}

static memdb_status_t read_id(const memdb__words_segment_t *segment,
                              const memdb__words_space_t *space, uint32_t number, uint64_t *id_out,
                              memdb_error_t *error) {
    memdb_status_t status = read_number(segment, space, MEMDB__WORDS_IDS, number, id_out, error);
    if (!status) {
        *id_out += space->base_id;
    }
    return status;
}

static memdb_status_t read_version(const memdb__words_segment_t *segment,
                                   const memdb__words_space_t *space, uint32_t number,
                                   uint64_t *version_out, memdb_error_t *error) {
    memdb_status_t status =
        read_number(segment, space, MEMDB__WORDS_VERSIONS, number, version_out, error);
    if (!status) {
        *version_out += segment->head.base_version;
    }
    return status;
}

memdb_status_t memdb__segment_document(const memdb__words_segment_t *segment,
                                       const memdb__words_space_t *space, uint32_t number,
                                       uint64_t *id_out, uint64_t *version_out,
                                       memdb_error_t *error) {
    memdb_status_t status = read_id(segment, space, number, id_out, error);
    return status ? status : read_version(segment, space, number, version_out, error);
}

memdb_status_t memdb__segment_length(const memdb__words_segment_t *segment,
                                     const memdb__words_space_t *space, uint32_t number,
                                     uint32_t *length_out, memdb_error_t *error) {
    uint64_t length;
    memdb_status_t status =
        read_number(segment, space, MEMDB__WORDS_LENGTHS, number, &length, error);
    if (!status && length > UINT32_MAX) {
        status = memdb__segment_corrupt(segment, MEMDB__WORDS_LENGTHS, 0,
                                        "the length of a document is out of range", error);
    }
    if (!status) {
        *length_out = (uint32_t)length;
    }
    return status;
}

#define AROUND 32 // documents on both sides of the place where one is expected

/// Where document `id` lies if ids are evenly spread, as most are: they are given out one after the
/// other.
static memdb_status_t expect_place(const memdb__words_segment_t *segment,
                                   const memdb__words_space_t *space, uint64_t id,
                                   uint32_t *number_out, memdb_error_t *error) {
    uint64_t first, last;
    memdb_status_t status = read_id(segment, space, 0, &first, error);
    status = status ? status : read_id(segment, space, space->documents - 1, &last, error);
    if (!status) {
        bool inside = id > first && id < last;
        double part = inside ? (double)(id - first) / (double)(last - first) : id >= last;
        *number_out = (uint32_t)(part * (space->documents - 1));
    }
    return status;
}

/// Halving, after a look at both sides of the expected place.
memdb_status_t memdb__segment_locate(const memdb__words_segment_t *segment,
                                     const memdb__words_space_t *space, uint64_t id,
                                     uint64_t version, uint32_t *number_out, memdb_error_t *error) {
    uint32_t low = 0, high = space->documents, place = 0;
    *number_out = UINT32_MAX;
    memdb_status_t status = high ? expect_place(segment, space, id, &place, error) : MEMDB_OK;
    for (uint32_t looks = 0; !status && low < high; looks++) {
        uint32_t middle = low + (high - low) / 2;
        uint32_t probe = looks == 0 ? place - AROUND : place + AROUND;
        if (looks < 2 && probe - low < high - low) { // it lies in [low, high)
            middle = probe;
        }
        uint64_t here;
        status = read_id(segment, space, middle, &here, error);
        uint64_t here_version = version;
        if (!status && here == id) { // versions of one id are neighbours
            status = read_version(segment, space, middle, &here_version, error);
        }
        if (status) {
            return status;
        }
        if (here == id && here_version == version) {
            *number_out = middle;
            return MEMDB_OK;
        }
        if (here < id || (here == id && here_version < version)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return status;
}
