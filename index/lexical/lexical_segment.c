// Reading words segments.
//
// Opening checks the head and that the sections have the sizes that it asks for; everything else is
// checked where it is touched: pages by their checksums, and numbers by their ranges, since bytes
// with a right checksum may still be wrong.
#include "index/lexical/lexical_segment.h"

#include "index/lexical/lexical_code.h"
#include "index/lexical/lexical_column.h"
#include "index/lexical/lexical_list.h"

#define CONTAINER_HEADER_BYTES 4096u
#define RECORD_WINDOW_BYTES 256u

uint64_t memdb__segment_offset(const memdb__words_segment_t *segment, uint32_t section,
                               uint64_t position) {
    // The lowest section begins right after the container's header.
    const uint8_t *lowest = segment->sections[section];
    for (uint32_t i = 0; i < MEMDB__WORDS_SECTIONS; i++) {
        if (segment->sections[i] && segment->sections[i] < lowest) {
            lowest = segment->sections[i];
        }
    }
    uint64_t offset = CONTAINER_HEADER_BYTES + position;
    return offset + (lowest ? (uint64_t)(segment->sections[section] - lowest) : 0);
}

memdb_status_t memdb__segment_corrupt(const memdb__words_segment_t *segment, uint32_t section,
                                      uint64_t position, const char *what, memdb_error_t *error) {
    return memdb__fail(error, MEMDB_CORRUPT, "%s at %llu: %s",
                       memdb__container_name(segment->container),
                       (unsigned long long)memdb__segment_offset(segment, section, position), what);
}

memdb_status_t memdb__segment_touch(const memdb__words_segment_t *segment, uint32_t section,
                                    uint64_t position, uint64_t size, memdb_error_t *error) {
    if (position > segment->sizes[section] || size > segment->sizes[section] - position) {
        return memdb__segment_corrupt(segment, section, position, "a range leaves its section",
                                      error);
    }
    return size ? memdb__container_check(segment->container, segment->sections[section] + position,
                                         (size_t)size, error)
                : MEMDB_OK;
}

static bool documents_fit(const memdb__words_segment_t *s) {
    bool good = s->head.documents < UINT64_MAX / 128;
    for (uint32_t i = MEMDB__WORDS_IDS; i <= MEMDB__WORDS_LENGTHS && good; i++) {
        good = s->head.layout == 1
                   ? s->sizes[i] == s->head.documents * memdb__words_width(&s->head, i)
                   : memdb__column_fits(s->sizes[i], s->head.documents);
    }
    return good;
}

static bool sizes_fit(const memdb__words_segment_t *s) {
    const memdb__words_head_t *head = &s->head;
    return documents_fit(s) && head->spaces < UINT64_MAX / 64 && head->buckets > 0 &&
           head->buckets <= (uint64_t)UINT32_MAX + 1 &&
           s->sizes[MEMDB__WORDS_SPACES] == head->spaces * MEMDB__WORDS_SPACE_BYTES &&
           s->sizes[MEMDB__WORDS_DICTIONARY] < UINT32_MAX &&
           s->sizes[MEMDB__WORDS_HASH] == head->buckets * MEMDB__WORDS_BUCKET_BYTES &&
           s->sizes[MEMDB__WORDS_SPARSE] % 4 == 0;
}

memdb_status_t memdb__words_segment_open(int directory, const char *name,
                                         const memdb__segment_identity_t *identity,
                                         uint64_t file_size, uint64_t checksum,
                                         memdb__words_segment_t **segment_out,
                                         memdb_error_t *error) {
    memdb__words_segment_t *segment = memdb__allocate_zeroed(1, sizeof *segment);
    if (!segment) {
        return memdb__fail(error, MEMDB_NOMEM, "%s: no memory", name);
    }
    memdb_status_t status = memdb__container_open(directory, name, identity, file_size, checksum,
                                                  &segment->container, error);
    if (status) {
        goto free_segment;
    }
    for (uint32_t i = 0; i < MEMDB__WORDS_SECTIONS; i++) {
        segment->sections[i] = memdb__container_section(segment->container, i, &segment->sizes[i]);
    }
    uint64_t head_size = segment->sizes[MEMDB__WORDS_HEAD];
    status = memdb__segment_touch(segment, MEMDB__WORDS_HEAD, 0, head_size, error);
    if (status) {
        goto close_container;
    }
    if (!memdb__words_head_decode(segment->sections[MEMDB__WORDS_HEAD], head_size,
                                  &segment->head) ||
        !sizes_fit(segment)) {
        status = memdb__segment_corrupt(segment, MEMDB__WORDS_HEAD, 0,
                                        "the head of a words segment is wrong", error);
        goto close_container;
    }
    *segment_out = segment;
    return MEMDB_OK;
close_container:
    memdb__container_close(segment->container);
free_segment:
    memdb__free(segment);
    return status;
}

void memdb__words_segment_close(memdb__words_segment_t *segment) {
    if (segment) {
        memdb__container_close(segment->container);
        memdb__free(segment);
    }
}

memdb__container_t *memdb__words_segment_container(memdb__words_segment_t *segment) {
    return segment->container;
}

memdb_status_t memdb__segment_space_at(const memdb__words_segment_t *segment, uint64_t number,
                                       memdb__words_space_t *space_out, memdb_error_t *error) {
    uint64_t position = number * MEMDB__WORDS_SPACE_BYTES;
    memdb_status_t status = memdb__segment_touch(segment, MEMDB__WORDS_SPACES, position,
                                                 MEMDB__WORDS_SPACE_BYTES, error);
    if (status) {
        return status;
    }
    memdb__words_space_t space;
    bool good =
        memdb__words_space_decode(segment->sections[MEMDB__WORDS_SPACES] + position, &space);
    uint64_t sparse =
        ((uint64_t)space.terms + MEMDB__WORDS_SPARSE_STEP - 1) / MEMDB__WORDS_SPARSE_STEP;
    if (!good || space.first_document > segment->head.documents ||
        space.documents > segment->head.documents - space.first_document ||
        space.dictionary_begin > space.dictionary_end ||
        space.dictionary_end > segment->sizes[MEMDB__WORDS_DICTIONARY] ||
        (space.terms == 0) != (space.dictionary_begin == space.dictionary_end) ||
        space.first_sparse + sparse > segment->sizes[MEMDB__WORDS_SPARSE] / 4) {
        return memdb__segment_corrupt(segment, MEMDB__WORDS_SPACES, position,
                                      "a space has ranges outside the segment", error);
    }
    *space_out = space;
    return MEMDB_OK;
}

memdb_status_t memdb__segment_find_space(const memdb__words_segment_t *segment, memdb_space_t space,
                                         memdb__words_space_t *space_out, bool *found_out,
                                         memdb_error_t *error) {
    const uint8_t *rows = segment->sections[MEMDB__WORDS_SPACES];
    uint64_t low = 0, high = segment->head.spaces;
    *found_out = false;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        memdb_status_t status =
            memdb__segment_touch(segment, MEMDB__WORDS_SPACES, middle * MEMDB__WORDS_SPACE_BYTES,
                                 MEMDB__WORDS_SPACE_BYTES, error);
        if (status) {
            return status;
        }
        memdb_space_t here = memdb__get_u32(rows + middle * MEMDB__WORDS_SPACE_BYTES);
        if (here == space) {
            status = memdb__segment_space_at(segment, middle, space_out, error);
            *found_out = status == MEMDB_OK;
            return status;
        }
        if (here < space) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return MEMDB_OK;
}

memdb_status_t memdb__segment_record(const memdb__words_segment_t *segment,
                                     const memdb__words_space_t *space, uint64_t position,
                                     memdb__words_record_t *record_out, memdb_error_t *error) {
    const uint8_t *dictionary = segment->sections[MEMDB__WORDS_DICTIONARY];
    // Most records are short; only one with many runs needs a second look with a wider window.
    for (uint64_t window = RECORD_WINDOW_BYTES;; window *= 16) {
        uint64_t left = space->dictionary_end - position;
        uint64_t size = left < window ? left : window;
        memdb_status_t status =
            memdb__segment_touch(segment, MEMDB__WORDS_DICTIONARY, position, size, error);
        if (status) {
            return status;
        }
        if (memdb__words_record_decode(dictionary + position, (size_t)size, space->documents,
                                       record_out)) {
            return MEMDB_OK;
        }
        if (size == left) {
            return memdb__segment_corrupt(segment, MEMDB__WORDS_DICTIONARY, position,
                                          "the record of a term is malformed", error);
        }
    }
}

memdb_status_t memdb__segment_find_term(const memdb__words_segment_t *segment,
                                        const memdb__words_space_t *space, const uint8_t *term,
                                        size_t size, uint64_t hash,
                                        memdb__words_record_t *record_out, bool *found_out,
                                        memdb_error_t *error) {
    *found_out = false;
    uint64_t buckets = segment->head.buckets;
    uint64_t bucket = memdb__words_bucket(hash, buckets);
    uint8_t tag = memdb__words_tag(hash);
    for (uint64_t probed = 0; probed < buckets; probed++) {
        uint64_t at = bucket * MEMDB__WORDS_BUCKET_BYTES;
        memdb_status_t status =
            memdb__segment_touch(segment, MEMDB__WORDS_HASH, at, MEMDB__WORDS_BUCKET_BYTES, error);
        if (status) {
            return status;
        }
        const uint8_t *slots = segment->sections[MEMDB__WORDS_HASH] + at;
        const uint8_t *tags = slots + 4 * MEMDB__WORDS_BUCKET_SLOTS;
        for (uint32_t i = 0; i < MEMDB__WORDS_BUCKET_SLOTS; i++) {
            if (tags[i] == 0) {
                return MEMDB_OK;
            }
            uint32_t position = memdb__get_u32(slots + 4 * i);
            if (tags[i] != tag || position < space->dictionary_begin ||
                position >= space->dictionary_end) {
                continue;
            }
            status = memdb__segment_record(segment, space, position, record_out, error);
            if (status) {
                return status;
            }
            if (record_out->term_size == size && memcmp(record_out->term, term, size) == 0) {
                *found_out = true;
                return MEMDB_OK;
            }
        }
        bucket = bucket + 1 < buckets ? bucket + 1 : 0;
    }
    return MEMDB_OK;
}

// The position that a sparse entry of the space names.
static memdb_status_t sparse_position(const memdb__words_segment_t *segment,
                                      const memdb__words_space_t *space, uint32_t number,
                                      uint64_t *position_out, memdb_error_t *error) {
    uint64_t at = 4 * ((uint64_t)space->first_sparse + number);
    memdb_status_t status = memdb__segment_touch(segment, MEMDB__WORDS_SPARSE, at, 4, error);
    if (status) {
        return status;
    }
    uint32_t position = memdb__get_u32(segment->sections[MEMDB__WORDS_SPARSE] + at);
    if (position < space->dictionary_begin || position >= space->dictionary_end) {
        return memdb__segment_corrupt(segment, MEMDB__WORDS_SPARSE, at,
                                      "an entry points outside its space", error);
    }
    *position_out = position;
    return MEMDB_OK;
}

memdb_status_t memdb__segment_lower_bound(const memdb__words_segment_t *segment,
                                          const memdb__words_space_t *space, const uint8_t *term,
                                          size_t size, uint64_t *position_out,
                                          memdb_error_t *error) {
    memdb__words_record_t record;
    uint64_t position = space->dictionary_begin;
    uint32_t low = 0,
             high = (space->terms + MEMDB__WORDS_SPARSE_STEP - 1) / MEMDB__WORDS_SPARSE_STEP;
    while (low < high) { // the last sparse entry below `term` is low - 1
        uint32_t middle = low + (high - low) / 2;
        uint64_t at = position;
        memdb_status_t status = sparse_position(segment, space, middle, &at, error);
        if (!status) {
            status = memdb__segment_record(segment, space, at, &record, error);
        }
        if (status) {
            return status;
        }
        if (memdb__compare(record.term, record.term_size, term, size) < 0) {
            position = at;
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    while (position < space->dictionary_end) {
        memdb_status_t status = memdb__segment_record(segment, space, position, &record, error);
        if (status) {
            return status;
        }
        if (memdb__compare(record.term, record.term_size, term, size) >= 0) {
            break;
        }
        position += record.size;
    }
    *position_out = position;
    return MEMDB_OK;
}

memdb_status_t memdb__segment_run(const memdb__words_segment_t *segment,
                                  const memdb__words_space_t *space, const memdb__words_run_t *run,
                                  memdb__words_run_data_t *data_out, memdb_error_t *error) {
    uint64_t size = memdb__words_run_bytes(run->count, run->exceptions);
    memdb_status_t status =
        memdb__segment_touch(segment, MEMDB__WORDS_POSTINGS, run->position, size, error);
    if (status) {
        return status;
    }
    const uint8_t *at = segment->sections[MEMDB__WORDS_POSTINGS] + run->position;
    data_out->offsets = (const uint16_t *)at; // positions are even and sections 64-byte aligned
    data_out->codes = at + 2 * (size_t)run->count;
    data_out->exceptions = data_out->codes + run->count;
    // A full chunk takes any offset; else none may pass the last document. The loop is vectorised.
    uint64_t first = (uint64_t)run->chunk * MEMDB__WORDS_CHUNK;
    if (space->documents - first < MEMDB__WORDS_CHUNK) {
        uint16_t largest = 0;
        for (uint32_t i = 0; i < run->count; i++) {
            largest = data_out->offsets[i] > largest ? data_out->offsets[i] : largest;
        }
        if (first + largest >= space->documents) {
            return memdb__segment_corrupt(segment, MEMDB__WORDS_POSTINGS, run->position,
                                          "a posting passes the last document", error);
        }
    }
    return MEMDB_OK;
}

uint32_t memdb__run_tf(const memdb__words_run_t *run, const memdb__words_run_data_t *data,
                       uint32_t place) {
    uint8_t code = data->codes[place];
    if (!memdb__code_needs_tf(code)) {
        return memdb__code_tf(code);
    }
    uint16_t offset = data->offsets[place];
    uint32_t low = 0, high = run->exceptions;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const uint8_t *exception = data->exceptions + (size_t)middle * MEMDB__WORDS_EXCEPTION_BYTES;
        uint16_t here = memdb__get_u16(exception);
        if (here == offset) {
            return memdb__get_u32(exception + 2);
        }
        if (here < offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return 0;
}
