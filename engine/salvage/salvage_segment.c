// A segment of which nothing is trusted.
//
// Its number is in its name. Where the parts of the file are is said by the footer; where that is
// damaged it follows from the file's size for each of the four numbers of sections that there are,
// and the section table, which is checked against itself, tells which of them is right. With the
// page checksums found so, each page proves itself: its checksum covers segment and page number.
#include "base/checksum.h"
#include "engine/salvage/salvage.h"

#include <fcntl.h>
#include <stdio.h>

/// Which kind has exactly these sections; 0: none.
static memdb__segment_kind_t kind_of(const memdb__rescue_t *rescue) {
    uint32_t present = 0;
    for (uint32_t i = 0; i < MEMDB__CONTAINER_MAX_SECTIONS; i++) {
        present |= rescue->sections[i].offset ? UINT32_C(1) << i : 0;
    }
    // A map has an eighth section where some key has several versions.
    return present == 0x7F || present == 0xFF ? MEMDB__SEGMENT_SORTED
           : present == 0x1FF                 ? MEMDB__SEGMENT_WORDS
           : present == 0x7E                  ? MEMDB__SEGMENT_VECTORS
                                              : (memdb__segment_kind_t)0;
}

/// The section table at the end of the file: as decode_sections in base/container_reader.c demands.
static bool read_sections(memdb__rescue_t *rescue, uint32_t count) {
    uint64_t at = MEMDB__CONTAINER_HEADER_BYTES, end = at + rescue->body_size;
    const uint8_t *entry = rescue->bytes + end + rescue->page_count * 8;
    memset(rescue->sections, 0, sizeof rescue->sections);
    for (uint32_t i = 0; i < count; i++, entry += MEMDB__CONTAINER_SECTION_BYTES) {
        uint32_t number = memdb__get_u32(entry);
        uint64_t offset = memdb__get_u64(entry + 8), size = memdb__get_u64(entry + 16);
        if (number >= MEMDB__CONTAINER_MAX_SECTIONS || memdb__get_u32(entry + 4) || offset != at ||
            size > end - at || rescue->sections[number].offset) {
            return false;
        }
        rescue->sections[number].offset = offset;
        rescue->sections[number].size = size;
        at = memdb__container_align(at + size);
    }
    return at == end && kind_of(rescue);
}

/// Lay out a file with so many sections. False: the sizes cannot be so.
static bool lay_out(memdb__rescue_t *rescue, uint32_t sections) {
    const uint64_t fixed = MEMDB__CONTAINER_HEADER_BYTES + MEMDB__CONTAINER_FOOTER_BYTES;
    uint64_t rest = rescue->size - fixed;
    // Nearly all of the rest are pages with 8 bytes of checksum each; look around that number.
    uint64_t pages = rest / (MEMDB__CONTAINER_PAGE_BYTES + 8);
    for (uint64_t count = pages > 1 ? pages - 1 : 0; count <= pages + 2; count++) {
        uint64_t tail = memdb__container_tail_size(count, sections);
        if (tail <= rest && memdb__container_page_count(rest - tail) == count) {
            rescue->body_size = rest - tail;
            rescue->page_count = count;
            if (read_sections(rescue, sections)) {
                return true;
            }
        }
    }
    return false;
}

static bool find_parts(memdb__rescue_t *rescue) {
    static const uint32_t counts[] = {7, 8, 9, 6}; // of maps, words, vectors
    memdb__container_footer_t footer;
    memdb_error_t ignored = {0};
    const uint8_t *at = rescue->bytes + rescue->size - MEMDB__CONTAINER_FOOTER_BYTES;
    if (memdb__container_decode_footer(at, rescue->size, rescue->segment_id, rescue->name, &footer,
                                       &ignored) == MEMDB_OK) {
        rescue->body_size = footer.body_size;
        rescue->page_count = footer.page_count;
        if (read_sections(rescue, footer.section_count)) {
            return true;
        }
    }
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        if (lay_out(rescue, counts[i])) {
            return true;
        }
    }
    return false;
}

/// Whether the header is whole and says that the file belongs elsewhere.
static bool is_foreign(const memdb__rescue_t *rescue, const uint8_t database_id[16]) {
    const size_t checksum_at = MEMDB__CONTAINER_HEADER_BYTES - 8;
    return memdb__get_u64(rescue->bytes + checksum_at) ==
               memdb__hash64(rescue->bytes, checksum_at, 0) &&
           (memcmp(rescue->bytes + 16, database_id, 16) != 0 ||
            memdb__get_u64(rescue->bytes + 32) != rescue->segment_id);
}

bool memdb__rescue_open(int segments, const char *file, const uint8_t database_id[16],
                        memdb__rescue_t *rescue_out, const char **why_out) {
    memdb__rescue_t rescue = {0};
    memdb_error_t ignored = {0};
    unsigned long long id = 0;
    int fd = -1;
    void *bytes = NULL;
    snprintf(rescue.name, sizeof rescue.name, "segments/%.30s", file);
    *why_out = "it cannot be read";
    if (sscanf(file, "%16llx.seg", &id) != 1 ||
        memdb__io_open(segments, file, O_RDONLY, &fd, &ignored) != MEMDB_OK) {
        return false;
    }
    bool fine = memdb__io_size(fd, &rescue.size, file, &ignored) == MEMDB_OK &&
                rescue.size > MEMDB__CONTAINER_HEADER_BYTES + MEMDB__CONTAINER_FOOTER_BYTES &&
                memdb__io_map(fd, (size_t)rescue.size, false, &bytes, file, &ignored) == MEMDB_OK;
    memdb__io_close(fd);
    if (!fine) {
        return false;
    }
    rescue.segment_id = id;
    rescue.bytes = bytes;
    if (is_foreign(&rescue, database_id)) {
        *why_out = "it is a segment of another number or database";
    } else if (!find_parts(&rescue)) {
        *why_out = "its tail, which has the checksums of its pages, is damaged";
    } else {
        rescue.kind = kind_of(&rescue);
        rescue.pages = memdb__allocate_zeroed((size_t)rescue.page_count + 1, 1);
        *why_out = "out of memory";
    }
    if (!rescue.pages) {
        memdb__io_unmap(bytes, (size_t)rescue.size);
        return false;
    }
    *rescue_out = rescue;
    return true;
}

void memdb__rescue_close(memdb__rescue_t *rescue) {
    memdb__free(rescue->pages);
    memdb__io_unmap((void *)rescue->bytes, (size_t)rescue->size);
}

static bool page_is_whole(const memdb__rescue_t *rescue, uint64_t page) {
    if (!rescue->pages[page]) {
        uint64_t at = page * MEMDB__CONTAINER_PAGE_BYTES, left = rescue->body_size - at;
        const uint8_t *body = rescue->bytes + MEMDB__CONTAINER_HEADER_BYTES;
        left = left < MEMDB__CONTAINER_PAGE_BYTES ? left : MEMDB__CONTAINER_PAGE_BYTES;
        uint64_t seed = memdb__container_page_seed(rescue->segment_id, page);
        bool whole = memdb__get_u64(body + rescue->body_size + page * 8) ==
                     memdb__hash64(body + at, (size_t)left, seed);
        rescue->pages[page] = whole ? 1 : 2;
    }
    return rescue->pages[page] == 1;
}

bool memdb__rescue_whole(const memdb__rescue_t *rescue, uint64_t offset, uint64_t size) {
    uint64_t body_end = MEMDB__CONTAINER_HEADER_BYTES + rescue->body_size;
    if (offset < MEMDB__CONTAINER_HEADER_BYTES || offset > body_end || size > body_end - offset) {
        return false;
    }
    uint64_t page = (offset - MEMDB__CONTAINER_HEADER_BYTES) / MEMDB__CONTAINER_PAGE_BYTES;
    uint64_t last = (offset + (size ? size - 1 : 0) - MEMDB__CONTAINER_HEADER_BYTES) /
                    MEMDB__CONTAINER_PAGE_BYTES;
    bool whole = true;
    for (; whole && page <= last && page < rescue->page_count; page++) {
        whole = page_is_whole(rescue, page);
    }
    return whole;
}
