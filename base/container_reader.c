// Reading a container through a mapping.
//
// Opening reads header, tail and footer, and checks all that they say; pages of the body are
// checked when they are first needed. Invariants: every section lies inside the body; a set bit of
// `checked` means that the page's checksum was right once since the file was opened.
#include "base/bytes.h"
#include "base/check.h"
#include "base/checksum.h"
#include "base/container_format.h"
#include "base/io.h"
#include "base/memory.h"

#include <fcntl.h>
#include <stdatomic.h>

typedef struct section {
    uint64_t offset, size; // in the file; offset 0: absent
} section_t;

struct memdb__container {
    const uint8_t *bytes; // the mapping
    uint64_t body_size, page_count, file_size;
    _Atomic uint64_t *checked; // a bit a page
    const uint8_t *checksums;  // u64 a page, in the tail
    section_t sections[MEMDB__CONTAINER_MAX_SECTIONS];
    memdb__segment_identity_t identity;
    memdb__container_footer_t footer;
    char *name;
};

/// The section table: numbers in range and distinct, each section where the one before ended, the
/// last at the body's end.
static memdb_status_t decode_sections(memdb__container_t *container, memdb_error_t *error) {
    uint64_t at = MEMDB__CONTAINER_HEADER_BYTES;
    uint64_t body_end = at + container->body_size;
    const uint8_t *entry = container->checksums + container->page_count * 8;
    for (uint32_t i = 0; i < container->footer.section_count;
         i++, entry += MEMDB__CONTAINER_SECTION_BYTES) {
        uint32_t number = memdb__get_u32(entry);
        uint64_t offset = memdb__get_u64(entry + 8), size = memdb__get_u64(entry + 16);
        if (number >= MEMDB__CONTAINER_MAX_SECTIONS || memdb__get_u32(entry + 4) || offset != at ||
            size > body_end - at || container->sections[number].offset)
            return memdb__fail(error, MEMDB_CORRUPT, "%s at %llu: section table entry %u is wrong",
                               container->name, (unsigned long long)(entry - container->bytes), i);
        container->sections[number] = (section_t){offset, size};
        at = memdb__container_align(at + size); // the body's end is aligned: never passes it
    }
    if (at != body_end)
        return memdb__fail(error, MEMDB_CORRUPT, "%s at %llu: sections end before the body",
                           container->name, (unsigned long long)at);
    const uint8_t *end = container->bytes + container->file_size - MEMDB__CONTAINER_FOOTER_BYTES;
    for (; entry < end; entry++)
        if (*entry)
            return memdb__fail(error, MEMDB_CORRUPT, "%s at %llu: reserved byte %u",
                               container->name, (unsigned long long)(entry - container->bytes),
                               *entry);
    return MEMDB_OK;
}

/// Everything but the pages.
static memdb_status_t verify_frame(const memdb__container_t *container,
                                   memdb__container_footer_t *footer_out, memdb_error_t *error) {
    memdb_status_t status = memdb__container_verify_header(container->bytes, &container->identity,
                                                           container->name, error);
    if (status)
        return status;
    uint64_t segment_id = container->identity.segment_id;
    uint64_t footer_at = container->file_size - MEMDB__CONTAINER_FOOTER_BYTES;
    memdb__container_footer_t footer;
    status = memdb__container_decode_footer(container->bytes + footer_at, container->file_size,
                                            segment_id, container->name, &footer, error);
    if (status)
        return status;
    uint64_t tail_at = MEMDB__CONTAINER_HEADER_BYTES + footer.body_size;
    if (footer.tail_checksum !=
        memdb__hash64(container->bytes + tail_at, (size_t)(footer_at - tail_at), segment_id))
        return memdb__fail(error, MEMDB_CORRUPT, "%s at %llu: checksum mismatch of the tail",
                           container->name, (unsigned long long)tail_at);
    *footer_out = footer;
    return MEMDB_OK;
}

static memdb_status_t check_frame(memdb__container_t *container, uint64_t checksum,
                                  memdb_error_t *error) {
    memdb_status_t status = verify_frame(container, &container->footer, error);
    if (status)
        return status;
    if (checksum && checksum != container->footer.checksum)
        return memdb__fail(error, MEMDB_CORRUPT,
                           "%s: checksum %016llx where the catalog has %016llx", container->name,
                           (unsigned long long)container->footer.checksum,
                           (unsigned long long)checksum);
    container->body_size = container->footer.body_size;
    container->page_count = container->footer.page_count;
    container->checksums = container->bytes + MEMDB__CONTAINER_HEADER_BYTES + container->body_size;
    return decode_sections(container, error);
}

/// Open and map; the descriptor is not needed afterwards.
static memdb_status_t map_file(memdb__container_t *container, int directory, uint64_t file_size,
                               memdb_error_t *error) {
    int fd;
    memdb_status_t status = memdb__io_open(directory, container->name, O_RDONLY, &fd, error);
    if (status)
        return status;
    uint64_t size;
    void *bytes;
    status = memdb__io_size(fd, &size, container->name, error);
    if (status)
        goto close_file;
    if ((file_size && size != file_size) || size > SIZE_MAX / 2 ||
        size < MEMDB__CONTAINER_HEADER_BYTES + MEMDB__CONTAINER_FOOTER_BYTES) {
        status =
            memdb__fail(error, MEMDB_CORRUPT, "%s: has %llu bytes where %llu belong",
                        container->name, (unsigned long long)size, (unsigned long long)file_size);
        goto close_file;
    }
    status = memdb__io_map(fd, (size_t)size, false, &bytes, container->name, error);
    if (status)
        goto close_file;
    container->bytes = bytes;
    container->file_size = size;
close_file:
    memdb__io_close(fd);
    return status;
}

memdb_status_t memdb__container_open(int directory, const char *name,
                                     const memdb__segment_identity_t *identity, uint64_t file_size,
                                     uint64_t checksum, memdb__container_t **container_out,
                                     memdb_error_t *error) {
    memdb__container_t *container = memdb__allocate_zeroed(1, sizeof *container);
    if (!container)
        return memdb__fail(error, MEMDB_NOMEM, "%s: no memory", name);
    container->identity = *identity;
    container->name = memdb__duplicate_string(name);
    memdb_status_t status = container->name
                                ? map_file(container, directory, file_size, error)
                                : memdb__fail(error, MEMDB_NOMEM, "%s: no memory", name);
    if (!status)
        status = check_frame(container, checksum, error);
    if (!status) {
        container->checked =
            memdb__allocate_zeroed((size_t)container->page_count / 64 + 1, sizeof(uint64_t));
        if (!container->checked)
            status = memdb__fail(error, MEMDB_NOMEM, "%s: no memory for %llu pages", name,
                                 (unsigned long long)container->page_count);
    }
    if (status) {
        memdb__container_close(container);
        return status;
    }
    *container_out = container;
    return MEMDB_OK;
}

void memdb__container_close(memdb__container_t *container) {
    if (!container)
        return;
    memdb__io_unmap((void *)container->bytes, (size_t)container->file_size);
    memdb__free(container->checked);
    memdb__free(container->name);
    memdb__free(container);
}

const uint8_t *memdb__container_section(const memdb__container_t *container, uint32_t section,
                                        uint64_t *size_out) {
    if (section >= MEMDB__CONTAINER_MAX_SECTIONS || !container->sections[section].offset) {
        *size_out = 0;
        return NULL;
    }
    *size_out = container->sections[section].size;
    return container->bytes + container->sections[section].offset;
}

static bool page_is_whole(const memdb__container_t *container, uint64_t page) {
    uint64_t at = page * MEMDB__CONTAINER_PAGE_BYTES;
    uint64_t size = container->body_size - at;
    if (size > MEMDB__CONTAINER_PAGE_BYTES)
        size = MEMDB__CONTAINER_PAGE_BYTES;
    uint64_t seed = memdb__container_page_seed(container->identity.segment_id, page);
    return memdb__hash64(container->bytes + MEMDB__CONTAINER_HEADER_BYTES + at, (size_t)size,
                         seed) == memdb__get_u64(container->checksums + page * 8);
}

/// A page that was not checked before: hash it, remember it when it is whole.
static memdb_status_t check_page(memdb__container_t *container, uint64_t page,
                                 memdb_error_t *error) {
    if (!page_is_whole(container, page))
        return memdb__fail(error, MEMDB_CORRUPT, "%s at %llu: checksum mismatch of page %llu",
                           container->name,
                           (unsigned long long)(MEMDB__CONTAINER_HEADER_BYTES +
                                                page * MEMDB__CONTAINER_PAGE_BYTES),
                           (unsigned long long)page);
    // relaxed: the bit publishes no data (the page was in the file before), and setting it twice is
    // the same as once; its partner is the load in memdb__container_check, where a stale 0 costs
    // one more hash
    atomic_fetch_or_explicit(&container->checked[page / 64], UINT64_C(1) << page % 64,
                             memory_order_relaxed);
    return MEMDB_OK;
}

memdb_status_t memdb__container_check(memdb__container_t *container, const void *at, size_t size,
                                      memdb_error_t *error) {
    uint64_t offset = memdb__container_offset(container, at);
    if (offset > container->file_size || size > container->file_size - offset)
        return memdb__fail(error, MEMDB_CORRUPT, "%s: range of %zu bytes leaves the file",
                           container->name, size);
    uint64_t end = offset + size, body_end = MEMDB__CONTAINER_HEADER_BYTES + container->body_size;
    if (end > body_end) // header and tail were checked when the file was opened
        end = body_end;
    if (offset < MEMDB__CONTAINER_HEADER_BYTES)
        offset = MEMDB__CONTAINER_HEADER_BYTES;
    if (offset >= end)
        return MEMDB_OK;
    uint64_t page = (offset - MEMDB__CONTAINER_HEADER_BYTES) / MEMDB__CONTAINER_PAGE_BYTES;
    uint64_t last = (end - 1 - MEMDB__CONTAINER_HEADER_BYTES) / MEMDB__CONTAINER_PAGE_BYTES;
    for (; page <= last; page++) {
        // relaxed: see check_page
        uint64_t word = atomic_load_explicit(&container->checked[page / 64], memory_order_relaxed);
        if (word >> page % 64 & 1)
            continue;
        memdb_status_t status = check_page(container, page, error);
        if (status)
            return status;
    }
    return MEMDB_OK;
}

/// Offset of the first byte between the sections that is not zero, or 0. The pages are whole, so
/// this finds a writer's bug, or bytes that were made to look right.
static uint64_t find_dirty_gap(const memdb__container_t *container) {
    for (size_t i = 0; i < MEMDB__CONTAINER_MAX_SECTIONS; i++) {
        uint64_t end = container->sections[i].offset + container->sections[i].size;
        for (uint64_t at = end; at < memdb__container_align(end); at++)
            if (container->bytes[at])
                return at;
    }
    return 0;
}

memdb_status_t memdb__container_verify_pages(memdb__container_t *container, uint64_t first,
                                             uint64_t count, memdb_verify_fn found, void *context,
                                             memdb_error_t *error) {
    uint64_t bad = 0;
    for (uint64_t page = first; page < first + count && page < container->page_count; page++) {
        if (page_is_whole(container, page))
            continue;
        uint64_t at = MEMDB__CONTAINER_HEADER_BYTES + page * MEMDB__CONTAINER_PAGE_BYTES;
        if (!bad++)
            memdb__fail(error, MEMDB_CORRUPT, "%s at %llu: checksum mismatch of page %llu",
                        container->name, (unsigned long long)at, (unsigned long long)page);
        if (found)
            found(context, container->name, at, "checksum mismatch of a page");
    }
    return bad ? MEMDB_CORRUPT : MEMDB_OK;
}

memdb_status_t memdb__container_verify(memdb__container_t *container, memdb_verify_fn found,
                                       void *context, memdb_error_t *error) {
    memdb__container_footer_t footer;
    memdb_error_t first = {0}, *told = error ? error : &first;
    memdb_status_t status = verify_frame(container, &footer, told);
    if (status && found)
        found(context, container->name, 0, "header, footer or tail");
    memdb_status_t pages = memdb__container_verify_pages(
        container, 0, container->page_count, found, context, status ? NULL : error);
    status = status || pages ? MEMDB_CORRUPT : MEMDB_OK;
    uint64_t gap = status ? 0 : find_dirty_gap(container);
    if (gap) {
        status = memdb__fail(error, MEMDB_CORRUPT, "%s at %llu: a byte between sections is not zero",
                             container->name, (unsigned long long)gap);
        if (found)
            found(context, container->name, gap, "a byte between sections is not zero");
    }
    return status;
}

uint64_t memdb__container_pages(const memdb__container_t *container) {
    return container->page_count;
}

uint64_t memdb__container_checked(const memdb__container_t *container) {
    uint64_t pages = 0;
    for (uint64_t i = 0; i <= container->page_count / 64; i++)
        // relaxed: see check_page
        pages += (uint64_t)__builtin_popcountll(
            atomic_load_explicit(&container->checked[i], memory_order_relaxed));
    return pages;
}

uint64_t memdb__container_offset(const memdb__container_t *container, const void *at) {
    return (uint64_t)((uintptr_t)at - (uintptr_t)container->bytes);
}

uint64_t memdb__container_file_size(const memdb__container_t *container) {
    return container->file_size;
}

const char *memdb__container_name(const memdb__container_t *container) {
    return container->name;
}
