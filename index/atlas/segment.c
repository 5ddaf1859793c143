// A segment of vectors: opening, checking, and finding rows in place.
//
// The directory of spaces is decoded and checked whole when the segment is opened; after that every
// range that it names lies inside its section. The arrays are used through the mapping. They are
// checked once, at first need: a point lookup needs ids and versions of its space and the row
// itself; a scan needs everything of its space. What was checked is remembered a space, so that a
// search costs one load for it.
#include "base/bytes.h"
#include "base/check.h"
#include "index/atlas/atlas_internal.h"
#include "index/kernels/kernels.h"

#include <math.h>
#include <stdatomic.h>

#define CONTAINER_HEADER_BYTES 4096 // where a container's first section begins

enum { KEYS_CHECKED = 1, ROWS_CHECKED = 2 };

struct memdb__vector_segment {
    memdb__container_t *container;
    memdb__rows_t rows; // of the whole segment; count: all rows
    uint64_t codes_size;
    size_t space_count;
    memdb__segment_space_t *spaces;
    _Atomic uint8_t *checked; // flags, one byte a space
};

/// Where `at` lies in the file, for messages: ids are the first section.
static unsigned long long offset_of(const memdb__vector_segment_t *segment, const void *at) {
    return (unsigned long long)((uintptr_t)at - (uintptr_t)segment->rows.ids) +
           CONTAINER_HEADER_BYTES;
}

static memdb_status_t damaged(const memdb__vector_segment_t *segment, const void *at,
                              const char *what, memdb_error_t *error) {
    return memdb__fail(error, MEMDB_CORRUPT, "%s at %llu: %s",
                       memdb__container_name(segment->container), offset_of(segment, at), what);
}

// ------------------------------------------------------------------------------ the directory

void memdb__segment_space_encode(const memdb__segment_space_t *space, uint8_t *at) {
    memset(at, 0, MEMDB__SPACES_ENTRY_BYTES);
    memdb__put_u32(at, space->space);
    memdb__put_u32(at + 4, space->dimension);
    memdb__put_u32(at + 8, space->stride);
    memdb__put_u64(at + 16, space->count);
    memdb__put_u64(at + 24, space->first_row);
    memdb__put_u64(at + 32, space->codes_offset);
}

/// One entry; `before` is the entry before it or NULL. False: not well-formed.
static bool decode_space(const memdb__vector_segment_t *segment, const uint8_t *at,
                         const memdb__segment_space_t *before, memdb__segment_space_t *out) {
    *out = (memdb__segment_space_t){.space = memdb__get_u32(at),
                                    .dimension = memdb__get_u32(at + 4),
                                    .stride = memdb__get_u32(at + 8),
                                    .count = memdb__get_u64(at + 16),
                                    .first_row = memdb__get_u64(at + 24),
                                    .codes_offset = memdb__get_u64(at + 32)};
    uint64_t row = before ? before->first_row + before->count : 0;
    uint64_t offset = before ? before->codes_offset + before->count * before->stride : 0;
    return out->space > (before ? before->space : 0) && out->dimension >= 1 &&
           out->dimension <= MEMDB_MAX_DIMENSION &&
           out->stride == memdb__row_stride(out->dimension) && memdb__get_u32(at + 12) == 0 &&
           memdb__get_u64(at + 40) == 0 && out->first_row == row && out->codes_offset == offset &&
           out->count >= 1 && out->count <= segment->rows.count - row &&
           out->count <= (segment->codes_size - offset) / out->stride;
}

static const void *array(const memdb__vector_segment_t *segment, uint32_t section,
                         uint64_t *size_out) {
    return memdb__container_section(segment->container, section, size_out);
}

/// Sizes of all sections agree with the directory's header.
static bool decode_header(memdb__vector_segment_t *segment, const uint8_t *at, uint64_t size) {
    uint64_t ids, versions, scales, norms, codes;
    segment->rows.ids = array(segment, MEMDB__SECTION_IDS, &ids);
    segment->rows.versions = array(segment, MEMDB__SECTION_VERSIONS, &versions);
    segment->rows.scales = array(segment, MEMDB__SECTION_SCALES, &scales);
    segment->rows.norms = array(segment, MEMDB__SECTION_NORMS, &norms);
    segment->rows.codes = array(segment, MEMDB__SECTION_CODES, &codes);
    segment->space_count = memdb__get_u32(at + 4);
    uint64_t count = memdb__get_u64(at + 8);
    segment->rows.count = (size_t)count;
    segment->codes_size = codes;
    return memdb__get_u32(at) == MEMDB__SPACES_VERSION && memdb__get_u64(at + 24) == 0 &&
           (size - MEMDB__SPACES_HEADER_BYTES) / MEMDB__SPACES_ENTRY_BYTES ==
               segment->space_count &&
           (size - MEMDB__SPACES_HEADER_BYTES) % MEMDB__SPACES_ENTRY_BYTES == 0 &&
           memdb__get_u64(at + 16) == codes && count <= SIZE_MAX / 16 && ids == count * 8 &&
           versions == count * 8 && scales == count * 4 && norms == count * 4;
}

static memdb_status_t decode_spaces(memdb__vector_segment_t *segment, memdb_error_t *error) {
    const char *name = memdb__container_name(segment->container);
    uint64_t size;
    const uint8_t *at = array(segment, MEMDB__SECTION_SPACES, &size);
    if (size < MEMDB__SPACES_HEADER_BYTES)
        return memdb__fail(error, MEMDB_CORRUPT, "%s at 0: no directory of spaces", name);
    memdb_status_t status = memdb__container_check(segment->container, at, (size_t)size, error);
    if (status != MEMDB_OK)
        return status;
    if (!decode_header(segment, at, size))
        return memdb__fail(error, MEMDB_CORRUPT, "%s at %llu: directory of spaces is malformed",
                           name, segment->rows.ids ? offset_of(segment, at) : 0ull);
    segment->spaces = memdb__allocate_zeroed(segment->space_count, sizeof *segment->spaces);
    segment->checked = memdb__allocate_zeroed(segment->space_count, sizeof *segment->checked);
    if (!segment->spaces || !segment->checked)
        return memdb__fail(error, MEMDB_NOMEM, "%s: out of memory for %zu spaces", name,
                           segment->space_count);
    uint64_t rows = 0, codes = 0;
    at += MEMDB__SPACES_HEADER_BYTES;
    for (size_t i = 0; i < segment->space_count; i++, at += MEMDB__SPACES_ENTRY_BYTES) {
        memdb__segment_space_t *space = &segment->spaces[i];
        if (!decode_space(segment, at, i ? space - 1 : NULL, space))
            return damaged(segment, at, "entry of a space is malformed", error);
        rows += space->count;
        codes += space->count * space->stride;
    }
    if (rows != segment->rows.count || codes != segment->codes_size)
        return memdb__fail(error, MEMDB_CORRUPT, "%s at 0: rows that belong to no space", name);
    return MEMDB_OK;
}

memdb_status_t memdb__vector_segment_open(int directory, const char *name,
                                          const memdb__segment_identity_t *identity,
                                          uint64_t file_size, uint64_t checksum,
                                          memdb__vector_segment_t **segment_out,
                                          memdb_error_t *error) {
    memdb__vector_segment_t *segment = memdb__allocate_zeroed(1, sizeof *segment);
    if (!segment)
        return memdb__fail(error, MEMDB_NOMEM, "%s: out of memory", name);
    memdb_status_t status = memdb__container_open(directory, name, identity, file_size, checksum,
                                                  &segment->container, error);
    if (status == MEMDB_OK)
        status = decode_spaces(segment, error);
    if (status != MEMDB_OK) {
        memdb__vector_segment_close(segment);
        return status;
    }
    *segment_out = segment;
    return MEMDB_OK;
}

void memdb__vector_segment_close(memdb__vector_segment_t *segment) {
    if (!segment)
        return;
    memdb__free((void *)segment->checked);
    memdb__free(segment->spaces);
    memdb__container_close(segment->container);
    memdb__free(segment);
}

memdb__container_t *memdb__vector_segment_container(memdb__vector_segment_t *segment) {
    return segment->container;
}

size_t memdb__segment_space_total(const memdb__vector_segment_t *segment) {
    return segment->space_count;
}

const memdb__segment_space_t *memdb__vector_segment_space_at(const memdb__vector_segment_t *segment,
                                                             size_t number) {
    return &segment->spaces[number];
}

const memdb__segment_space_t *
memdb__vector_segment_find_space(const memdb__vector_segment_t *segment, memdb_space_t space) {
    size_t low = 0, high = segment->space_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (segment->spaces[middle].space < space)
            low = middle + 1;
        else
            high = middle;
    }
    return low < segment->space_count && segment->spaces[low].space == space ? &segment->spaces[low]
                                                                             : NULL;
}

// ------------------------------------------------------------------------------ rows

static memdb__rows_t rows_of(const memdb__vector_segment_t *segment,
                             const memdb__segment_space_t *space, size_t first, size_t count) {
    size_t row = (size_t)space->first_row + first;
    return (memdb__rows_t){.codes =
                               segment->rows.codes + space->codes_offset + first * space->stride,
                           .ids = segment->rows.ids + row,
                           .versions = segment->rows.versions + row,
                           .scales = segment->rows.scales + row,
                           .norms = segment->rows.norms + row,
                           .count = count};
}

static bool has_flag(const memdb__vector_segment_t *segment, const memdb__segment_space_t *space,
                     uint8_t flag) {
    // Relaxed: the flag publishes no data (the file was there before); a stale 0 checks once more.
    return atomic_load_explicit(&segment->checked[space - segment->spaces], memory_order_relaxed) &
           flag;
}

static void set_flag(memdb__vector_segment_t *segment, const memdb__segment_space_t *space,
                     uint8_t flag) {
    // Relaxed: as in has_flag.
    atomic_fetch_or_explicit(&segment->checked[space - segment->spaces], flag,
                             memory_order_relaxed);
}

/// Pages of ids and versions, and that rows rise, without which halving would miss rows.
static memdb_status_t check_keys(memdb__vector_segment_t *segment,
                                 const memdb__segment_space_t *space, memdb_error_t *error) {
    if (has_flag(segment, space, KEYS_CHECKED))
        return MEMDB_OK;
    memdb__rows_t rows = rows_of(segment, space, 0, (size_t)space->count);
    memdb_status_t status =
        memdb__container_check(segment->container, rows.ids, rows.count * 8, error);
    if (status == MEMDB_OK)
        status = memdb__container_check(segment->container, rows.versions, rows.count * 8, error);
    if (status != MEMDB_OK)
        return status;
    for (size_t i = 1; i < rows.count; i++)
        if (rows.ids[i] < rows.ids[i - 1] ||
            (rows.ids[i] == rows.ids[i - 1] && rows.versions[i] <= rows.versions[i - 1]))
            return damaged(segment, &rows.ids[i], "ids do not rise", error);
    set_flag(segment, space, KEYS_CHECKED);
    return MEMDB_OK;
}

/// Pages of the other arrays under `rows`, and that their scales and norms are finite and not
/// negative.
static memdb_status_t check_values(memdb__vector_segment_t *segment,
                                   const memdb__segment_space_t *space, memdb__rows_t rows,
                                   memdb_error_t *error) {
    memdb__container_t *container = segment->container;
    memdb_status_t status;
    if ((status = memdb__container_check(container, rows.scales, rows.count * 4, error)) ||
        (status = memdb__container_check(container, rows.norms, rows.count * 4, error)) ||
        (status = memdb__container_check(container, rows.codes, rows.count * space->stride, error)))
        return status;
    for (size_t i = 0; i < rows.count; i++)
        if (!(rows.scales[i] >= 0 && rows.scales[i] <= FLT_MAX && rows.norms[i] >= 0 &&
              rows.norms[i] <= FLT_MAX))
            return damaged(segment, &rows.scales[i], "scale or norm is out of range", error);
    return MEMDB_OK;
}

memdb_status_t memdb__segment_rows(memdb__vector_segment_t *segment,
                                   const memdb__segment_space_t *space, memdb__rows_t *rows_out,
                                   memdb_error_t *error) {
    memdb__rows_t rows = rows_of(segment, space, 0, (size_t)space->count);
    if (!has_flag(segment, space, ROWS_CHECKED)) {
        memdb_status_t status = check_keys(segment, space, error);
        if (status == MEMDB_OK)
            status = check_values(segment, space, rows, error);
        if (status != MEMDB_OK)
            return status;
        set_flag(segment, space, ROWS_CHECKED);
    }
    *rows_out = rows;
    return MEMDB_OK;
}

memdb_status_t memdb__segment_find(memdb__vector_segment_t *segment,
                                   const memdb__segment_space_t *space, uint64_t id,
                                   uint64_t version, memdb__rows_t *row_out, memdb_error_t *error) {
    memdb_status_t status = check_keys(segment, space, error);
    if (status != MEMDB_OK)
        return status;
    memdb__rows_t rows = rows_of(segment, space, 0, (size_t)space->count);
    size_t low = 0, high = rows.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (rows.ids[middle] < id || (rows.ids[middle] == id && rows.versions[middle] < version))
            low = middle + 1;
        else
            high = middle;
    }
    if (low == rows.count || rows.ids[low] != id || rows.versions[low] != version)
        return MEMDB_NOT_FOUND;
    memdb__rows_t row = rows_of(segment, space, low, 1);
    if (!has_flag(segment, space, ROWS_CHECKED)) {
        status = check_values(segment, space, row, error);
        if (status != MEMDB_OK)
            return status;
    }
    *row_out = row;
    return MEMDB_OK;
}

// ------------------------------------------------------------------------------ verifying

/// What is wrong with a row, or NULL. `at_out`: where.
static const char *row_fault(const memdb__rows_t *rows, size_t i,
                             const memdb__segment_space_t *space, const void **at_out) {
    const int8_t *codes = rows->codes + i * space->stride;
    for (uint32_t c = 0; c < space->stride; c++) {
        *at_out = codes + c;
        if (c < space->dimension ? codes[c] == INT8_MIN : codes[c] != 0)
            return c < space->dimension ? "a code of -128" : "padding is not zero";
    }
    *at_out = &rows->norms[i];
    return memdb__codes_norm(codes, space->stride, rows->scales[i]) == rows->norms[i]
               ? NULL
               : "a norm is not that of its codes";
}

memdb_status_t memdb__vector_segment_verify(memdb__vector_segment_t *segment, memdb_verify_fn found,
                                            void *context, memdb_error_t *error) {
    memdb_status_t status = memdb__container_verify(segment->container, found, context, error);
    if (status != MEMDB_OK)
        return status;
    const char *name = memdb__container_name(segment->container);
    memdb_status_t result = MEMDB_OK;
    for (size_t s = 0; s < segment->space_count; s++) {
        const memdb__segment_space_t *space = &segment->spaces[s];
        memdb__rows_t rows;
        status = memdb__segment_rows(segment, space, &rows, error);
        if (status != MEMDB_OK) {
            result = status;
            if (found)
                found(context, name, offset_of(segment, segment->rows.ids + space->first_row),
                      "rows of a space are malformed");
            continue;
        }
        for (size_t i = 0; i < rows.count; i++) {
            const void *at;
            const char *fault = row_fault(&rows, i, space, &at);
            if (!fault)
                continue;
            result = damaged(segment, at, fault, error);
            if (found)
                found(context, name, offset_of(segment, at), fault);
        }
    }
    return result;
}
