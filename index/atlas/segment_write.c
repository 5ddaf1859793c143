// Writing a segment of vectors from lists and segments.
//
// The live rows are gathered as references first, space by space, sorted by (id, version); the
// sections are then written from front to back, one pass over the references each. A reference is
// 24 bytes, some 6 % of a row of 384 codes. A row that two sources hold (an interrupted fold) is
// written once, as the newer source has it.
#include "base/bytes.h"
#include "index/atlas/atlas_internal.h"

#include <stdlib.h>

/// A gathered row: number `row` of part `part`.
typedef struct reference {
    uint64_t id, version;
    uint32_t part, row;
} reference_t;

typedef struct writing {
    memdb__buffer_t spaces;     // memdb_space_t, all that the sources have; then sorted, distinct
    memdb__buffer_t parts;      // memdb__rows_t
    memdb__buffer_t references; // reference_t, in the order of the file
    memdb__buffer_t entries;    // memdb__segment_space_t
    uint64_t codes_size;
    uint64_t visible;
    memdb__row_live_fn live;
    bool (*space_live)(void *context, memdb_space_t space);
    void *context;
} writing_t;

static memdb_status_t no_memory(memdb_error_t *error) {
    return memdb__fail(error, MEMDB_NOMEM, "out of memory for a segment of vectors");
}

static memdb_status_t note_space(void *context, memdb_space_t space, memdb_error_t *error) {
    writing_t *writing = context;
    return memdb__buffer_append(&writing->spaces, &space, sizeof space) ? MEMDB_OK
                                                                        : no_memory(error);
}

static int compare_spaces(const void *a, const void *b) {
    const memdb_space_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static int compare_references(const void *a, const void *b) {
    const reference_t *x = a, *y = b;
    if (x->id != y->id)
        return x->id < y->id ? -1 : 1;
    if (x->version != y->version)
        return x->version < y->version ? -1 : 1;
    return (x->part > y->part) - (x->part < y->part); // parts are gathered oldest first
}

static memdb_status_t find_spaces(writing_t *writing, const memdb__vector_source_t *sources,
                                  size_t source_count, memdb_error_t *error) {
    for (size_t i = 0; i < source_count; i++) {
        memdb_status_t status = MEMDB_OK;
        if (sources[i].list)
            status = memdb__list_each_space(sources[i].list, note_space, writing, error);
        for (size_t s = 0; sources[i].segment && status == MEMDB_OK &&
                           s < memdb__segment_space_total(sources[i].segment);
             s++)
            status = note_space(
                writing, memdb__vector_segment_space_at(sources[i].segment, s)->space, error);
        if (status != MEMDB_OK)
            return status;
    }
    size_t count = writing->spaces.size / sizeof(memdb_space_t), distinct = 0;
    memdb_space_t *spaces = (memdb_space_t *)(void *)writing->spaces.data;
    if (count)
        qsort(spaces, count, sizeof *spaces, compare_spaces);
    for (size_t i = 0; i < count; i++)
        if (distinct == 0 || spaces[distinct - 1] != spaces[i])
            spaces[distinct++] = spaces[i];
    writing->spaces.size = distinct * sizeof *spaces;
    return MEMDB_OK;
}

/// Take the live rows of one part.
static memdb_status_t gather_part(writing_t *writing, memdb_space_t space,
                                  const memdb__rows_t *rows, memdb_error_t *error) {
    size_t part = writing->parts.size / sizeof *rows;
    if (part > UINT32_MAX || rows->count > UINT32_MAX)
        return memdb__fail(error, MEMDB_LIMIT, "too many vectors for one segment");
    if (!memdb__buffer_append(&writing->parts, rows, sizeof *rows))
        return no_memory(error);
    for (size_t i = 0; i < rows->count; i++) {
        if (!writing->live(writing->context, space, rows->ids[i], rows->versions[i]))
            continue;
        reference_t reference = {rows->ids[i], rows->versions[i], (uint32_t)part, (uint32_t)i};
        if (!memdb__buffer_append(&writing->references, &reference, sizeof reference))
            return no_memory(error);
    }
    return MEMDB_OK;
}

/// The rows of `space` in one source. *dimension is 0 until the first source that has the space.
static memdb_status_t gather_source(writing_t *writing, memdb_space_t space,
                                    const memdb__vector_source_t *source, uint32_t *dimension,
                                    memdb_error_t *error) {
    const memdb__list_space_t *listed =
        source->list ? memdb__vector_list_space(source->list, space) : NULL;
    const memdb__segment_space_t *kept =
        source->segment ? memdb__vector_segment_find_space(source->segment, space) : NULL;
    if (!listed && !kept)
        return MEMDB_OK;
    uint32_t own = listed ? memdb__list_space_dimension(listed) : kept->dimension;
    if (*dimension && own != *dimension)
        return memdb__fail(error, MEMDB_INVALID, "space %u has vectors of dimension %u and %u",
                           space, *dimension, own);
    *dimension = own;
    memdb__rows_t rows;
    memdb_status_t status = MEMDB_OK;
    if (kept) {
        status = memdb__segment_rows(source->segment, kept, &rows, error);
        return status == MEMDB_OK ? gather_part(writing, space, &rows, error) : status;
    }
    size_t count = memdb__list_space_count(listed, writing->visible);
    for (size_t row = 0; row < count && status == MEMDB_OK; row += rows.count) {
        rows = memdb__list_space_rows(listed, row, count);
        status = gather_part(writing, space, &rows, error);
    }
    return status;
}

static memdb_status_t gather_space(writing_t *writing, memdb_space_t space,
                                   const memdb__vector_source_t *sources, size_t source_count,
                                   memdb_error_t *error) {
    size_t first = writing->references.size / sizeof(reference_t);
    uint32_t dimension = 0;
    for (size_t i = 0; i < source_count; i++) {
        memdb_status_t status = gather_source(writing, space, &sources[i], &dimension, error);
        if (status != MEMDB_OK)
            return status;
    }
    size_t count = writing->references.size / sizeof(reference_t) - first, kept = 0;
    if (!count)
        return MEMDB_OK;
    reference_t *references = (reference_t *)(void *)writing->references.data + first;
    qsort(references, count, sizeof *references, compare_references);
    for (size_t i = 0; i < count; i++) {
        bool again = i + 1 < count && references[i + 1].id == references[i].id &&
                     references[i + 1].version == references[i].version;
        if (!again)
            references[kept++] = references[i];
    }
    writing->references.size = (first + kept) * sizeof *references;
    memdb__segment_space_t entry = {.space = space,
                                    .dimension = dimension,
                                    .stride = memdb__row_stride(dimension),
                                    .count = kept,
                                    .first_row = first,
                                    .codes_offset = writing->codes_size};
    writing->codes_size += entry.count * entry.stride;
    return memdb__buffer_append(&writing->entries, &entry, sizeof entry) ? MEMDB_OK
                                                                         : no_memory(error);
}

static memdb_status_t write_array(memdb__container_writer_t *writer, const writing_t *writing,
                                  uint32_t section, memdb_error_t *error) {
    memdb_status_t status = memdb__container_begin(writer, section, error);
    const reference_t *references = (const void *)writing->references.data;
    const memdb__rows_t *parts = (const void *)writing->parts.data;
    const memdb__segment_space_t *entries = (const void *)writing->entries.data;
    size_t entry_count = writing->entries.size / sizeof *entries;
    for (size_t e = 0; e < entry_count; e++) {
        size_t end = (size_t)(entries[e].first_row + entries[e].count);
        for (size_t i = (size_t)entries[e].first_row; i < end && status == MEMDB_OK; i++) {
            const memdb__rows_t *rows = &parts[references[i].part];
            size_t row = references[i].row;
            const void *data = section == MEMDB__SECTION_IDS        ? (const void *)&rows->ids[row]
                               : section == MEMDB__SECTION_VERSIONS ? &rows->versions[row]
                               : section == MEMDB__SECTION_SCALES   ? &rows->scales[row]
                               : section == MEMDB__SECTION_NORMS    ? &rows->norms[row]
                                                                    : (const void *)NULL;
            size_t size = section <= MEMDB__SECTION_VERSIONS ? sizeof(uint64_t) : sizeof(float);
            if (section == MEMDB__SECTION_CODES) {
                data = rows->codes + row * entries[e].stride;
                size = entries[e].stride;
            }
            status = memdb__container_append(writer, data, size, error);
        }
    }
    return status;
}

static memdb_status_t write_directory(memdb__container_writer_t *writer, const writing_t *writing,
                                      memdb_error_t *error) {
    const memdb__segment_space_t *entries = (const void *)writing->entries.data;
    size_t entry_count = writing->entries.size / sizeof *entries;
    uint8_t header[MEMDB__SPACES_HEADER_BYTES] = {0};
    memdb__put_u32(header, MEMDB__SPACES_VERSION);
    memdb__put_u32(header + 4, (uint32_t)entry_count);
    memdb__put_u64(header + 8, writing->references.size / sizeof(reference_t));
    memdb__put_u64(header + 16, writing->codes_size);
    memdb_status_t status = memdb__container_begin(writer, MEMDB__SECTION_SPACES, error);
    if (status == MEMDB_OK)
        status = memdb__container_append(writer, header, sizeof header, error);
    for (size_t i = 0; i < entry_count && status == MEMDB_OK; i++) {
        uint8_t entry[MEMDB__SPACES_ENTRY_BYTES];
        memdb__segment_space_encode(&entries[i], entry);
        status = memdb__container_append(writer, entry, sizeof entry, error);
    }
    return status;
}

static memdb_status_t gather(writing_t *writing, const memdb__vector_source_t *sources,
                             size_t source_count, memdb_error_t *error) {
    memdb_status_t status = find_spaces(writing, sources, source_count, error);
    size_t space_count = writing->spaces.size / sizeof(memdb_space_t);
    const memdb_space_t *spaces = (const void *)writing->spaces.data;
    for (size_t i = 0; i < space_count && status == MEMDB_OK; i++)
        if (writing->space_live(writing->context, spaces[i]))
            status = gather_space(writing, spaces[i], sources, source_count, error);
    return status;
}

memdb_status_t memdb__vector_segment_write(
    int directory, const char *name, const memdb__segment_identity_t *identity,
    const memdb__vector_source_t *sources, size_t source_count, uint64_t visible,
    memdb__row_live_fn live, bool (*space_live)(void *context, memdb_space_t space), void *context,
    uint64_t *file_size_out, uint64_t *checksum_out, memdb_error_t *error) {
    writing_t writing = {
        .visible = visible, .live = live, .space_live = space_live, .context = context};
    memdb__container_writer_t *writer = NULL;
    memdb_status_t status = gather(&writing, sources, source_count, error);
    if (status != MEMDB_OK)
        goto free_buffers;
    status = memdb__container_create(directory, name, identity, &writer, error);
    if (status != MEMDB_OK)
        goto free_buffers;
    for (uint32_t section = MEMDB__SECTION_IDS;
         section <= MEMDB__SECTION_CODES && status == MEMDB_OK; section++)
        status = write_array(writer, &writing, section, error);
    if (status == MEMDB_OK)
        status = write_directory(writer, &writing, error);
    if (status == MEMDB_OK)
        status = memdb__container_finish(writer, file_size_out, checksum_out, error);
    else
        memdb__container_abandon(writer);
free_buffers:
    memdb__buffer_deinit(&writing.entries);
    memdb__buffer_deinit(&writing.references);
    memdb__buffer_deinit(&writing.parts);
    memdb__buffer_deinit(&writing.spaces);
    return status;
}
