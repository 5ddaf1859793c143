// Writing a container, from front to back.
//
// Bytes are gathered in a buffer of whole pages; when it is full, each page is hashed while it is
// still in the cache, and the buffer is written in one call. Invariants: everything before
// `written` (of the body) is in the file, and its pages' checksums are in `checksums`; after a
// failure the writer accepts nothing more, and its file is unlinked.
#include "base/bytes.h"
#include "base/check.h"
#include "base/checksum.h"
#include "base/container_format.h"
#include "base/io.h"
#include "base/memory.h"

#include <fcntl.h>

#define BUFFER_PAGES 16
#define BUFFER_BYTES ((size_t)BUFFER_PAGES * MEMDB__CONTAINER_PAGE_BYTES)
/// Written before a sync on the way: a large file that went to the device at its end alone would
/// keep each commit's sync waiting behind it for as long.
#define SYNC_BYTES (UINT64_C(8) << 20)

typedef struct section {
    uint32_t number;
    uint64_t offset, size; // in the file
} section_t;

struct memdb__container_writer {
    int directory, fd; // the directory is the caller's
    char *name;
    memdb__segment_identity_t identity;
    uint8_t *buffer;
    size_t filled;             // of the buffer
    uint64_t written;          // of the body; a multiple of BUFFER_BYTES until the last flush
    uint64_t synced;           // of those
    memdb__buffer_t checksums; // u64 a page
    section_t sections[MEMDB__CONTAINER_MAX_SECTIONS];
    uint32_t section_count;
    uint32_t section_set; // a bit a number used
    memdb_status_t failed;
};

static void destroy(memdb__container_writer_t *writer) {
    memdb__buffer_deinit(&writer->checksums);
    memdb__free_aligned(writer->buffer);
    memdb__free(writer->name);
    memdb__free(writer);
}

memdb_status_t memdb__container_create(int directory, const char *name,
                                       const memdb__segment_identity_t *identity,
                                       memdb__container_writer_t **writer_out,
                                       memdb_error_t *error) {
    memdb__container_writer_t *writer = memdb__allocate_zeroed(1, sizeof *writer);
    if (!writer)
        return memdb__fail(error, MEMDB_NOMEM, "%s: no memory for a writer", name);
    writer->directory = directory;
    writer->identity = *identity;
    writer->name = memdb__duplicate_string(name);
    writer->buffer = memdb__allocate_aligned(BUFFER_BYTES);
    memdb_status_t status;
    if (!writer->name || !writer->buffer) {
        status = memdb__fail(error, MEMDB_NOMEM, "%s: no memory for a writer", name);
        goto destroy_writer;
    }
    status = memdb__io_open(directory, name, O_WRONLY | O_CREAT | O_EXCL, &writer->fd, error);
    if (status)
        goto destroy_writer;
    memdb__container_encode_header(writer->buffer, identity);
    status =
        memdb__io_write(writer->fd, writer->buffer, MEMDB__CONTAINER_HEADER_BYTES, 0, name, error);
    if (status) {
        memdb__container_abandon(writer);
        return status;
    }
    *writer_out = writer;
    return MEMDB_OK;
destroy_writer:
    destroy(writer);
    return status;
}

/// Hash and write what the buffer holds. Only the last call of a file leaves a page partly filled.
static memdb_status_t flush(memdb__container_writer_t *writer, memdb_error_t *error) {
    uint64_t page = writer->written / MEMDB__CONTAINER_PAGE_BYTES;
    for (size_t at = 0; at < writer->filled; at += MEMDB__CONTAINER_PAGE_BYTES, page++) {
        size_t size = writer->filled - at;
        if (size > MEMDB__CONTAINER_PAGE_BYTES)
            size = MEMDB__CONTAINER_PAGE_BYTES;
        uint64_t seed = memdb__container_page_seed(writer->identity.segment_id, page);
        memdb__buffer_append_u64(&writer->checksums,
                                 memdb__hash64(writer->buffer + at, size, seed));
    }
    if (writer->checksums.failed)
        return writer->failed =
                   memdb__fail(error, MEMDB_NOMEM, "%s: no memory for checksums", writer->name);
    memdb_status_t status =
        memdb__io_write(writer->fd, writer->buffer, writer->filled,
                        MEMDB__CONTAINER_HEADER_BYTES + writer->written, writer->name, error);
    if (status)
        return writer->failed = status;
    writer->written += writer->filled;
    writer->filled = 0;
    if (writer->written - writer->synced >= SYNC_BYTES) {
        writer->synced = writer->written;
        writer->failed = memdb__io_sync_data(writer->fd, writer->name, error);
    }
    return writer->failed;
}

/// Append to the body; NULL data: zero bytes.
static memdb_status_t append(memdb__container_writer_t *writer, const void *data, size_t size,
                             memdb_error_t *error) {
    const uint8_t *at = data;
    while (size) {
        size_t part = BUFFER_BYTES - writer->filled;
        if (part > size)
            part = size;
        if (at) {
            memcpy(writer->buffer + writer->filled, at, part);
            at += part;
        } else {
            memset(writer->buffer + writer->filled, 0, part);
        }
        writer->filled += part;
        size -= part;
        if (writer->filled == BUFFER_BYTES) {
            memdb_status_t status = flush(writer, error);
            if (status)
                return status;
        }
    }
    return MEMDB_OK;
}

static memdb_status_t refuse(const memdb__container_writer_t *writer, memdb_error_t *error) {
    return memdb__fail(error, writer->failed, "%s: an earlier write failed", writer->name);
}

/// End the current section: note its size, fill up to the next multiple of 64.
static memdb_status_t end_section(memdb__container_writer_t *writer, memdb_error_t *error) {
    if (!writer->section_count)
        return MEMDB_OK;
    section_t *section = &writer->sections[writer->section_count - 1];
    section->size = memdb__container_position(writer);
    uint64_t end = section->offset + section->size;
    return append(writer, NULL, (size_t)(memdb__container_align(end) - end), error);
}

memdb_status_t memdb__container_begin(memdb__container_writer_t *writer, uint32_t section,
                                      memdb_error_t *error) {
    if (writer->failed)
        return refuse(writer, error);
    if (section >= MEMDB__CONTAINER_MAX_SECTIONS || writer->section_set >> section & 1)
        return memdb__fail(error, MEMDB_INVALID, "%s: section %u is out of range or begun before",
                           writer->name, section);
    memdb_status_t status = end_section(writer, error);
    if (status)
        return status;
    writer->section_set |= UINT32_C(1) << section;
    writer->sections[writer->section_count++] = (section_t){
        .number = section,
        .offset = MEMDB__CONTAINER_HEADER_BYTES + writer->written + writer->filled,
    };
    return MEMDB_OK;
}

memdb_status_t memdb__container_append(memdb__container_writer_t *writer, const void *data,
                                       size_t size, memdb_error_t *error) {
    if (writer->failed)
        return refuse(writer, error);
    if (!writer->section_count)
        return memdb__fail(error, MEMDB_INVALID, "%s: no section was begun", writer->name);
    return size ? append(writer, data, size, error) : MEMDB_OK;
}

uint64_t memdb__container_position(const memdb__container_writer_t *writer) {
    if (!writer->section_count)
        return 0;
    return MEMDB__CONTAINER_HEADER_BYTES + writer->written + writer->filled -
           writer->sections[writer->section_count - 1].offset;
}

/// Append the section table, the zero bytes and the footer to the page checksums: together they are
/// tail and footer.
static bool encode_tail(memdb__container_writer_t *writer, memdb__container_footer_t *footer) {
    memdb__buffer_t *tail = &writer->checksums;
    for (uint32_t i = 0; i < writer->section_count; i++) {
        const section_t *section = &writer->sections[i];
        memdb__buffer_append_u32(tail, section->number);
        memdb__buffer_append_u32(tail, 0);
        memdb__buffer_append_u64(tail, section->offset);
        memdb__buffer_append_u64(tail, section->size);
    }
    while (tail->size % MEMDB__CONTAINER_ALIGNMENT && memdb__buffer_append_u8(tail, 0))
        ;
    if (!memdb__buffer_reserve(tail, MEMDB__CONTAINER_FOOTER_BYTES))
        return false;
    *footer = (memdb__container_footer_t){
        .file_size = MEMDB__CONTAINER_HEADER_BYTES + writer->written + tail->size +
                     MEMDB__CONTAINER_FOOTER_BYTES,
        .body_size = writer->written,
        .segment_id = writer->identity.segment_id,
        .page_count = memdb__container_page_count(writer->written),
        .section_count = writer->section_count,
        .tail_checksum = memdb__hash64(tail->data, tail->size, writer->identity.segment_id),
    };
    MEMDB_ASSERT(tail->size ==
                 memdb__container_tail_size(footer->page_count, footer->section_count));
    memdb__container_encode_footer(tail->data + tail->size, footer);
    tail->size += MEMDB__CONTAINER_FOOTER_BYTES;
    return true;
}

memdb_status_t memdb__container_finish(memdb__container_writer_t *writer, uint64_t *file_size_out,
                                       uint64_t *checksum_out, memdb_error_t *error) {
    memdb__container_footer_t footer;
    memdb_status_t status = writer->failed ? refuse(writer, error) : end_section(writer, error);
    if (!status && writer->filled)
        status = flush(writer, error);
    if (!status && !encode_tail(writer, &footer))
        status = memdb__fail(error, MEMDB_NOMEM, "%s: no memory for the tail", writer->name);
    if (!status)
        status =
            memdb__io_write(writer->fd, writer->checksums.data, writer->checksums.size,
                            MEMDB__CONTAINER_HEADER_BYTES + writer->written, writer->name, error);
    if (!status)
        status = memdb__io_sync_data(writer->fd, writer->name, error);
    if (status) {
        memdb__container_abandon(writer);
        return status;
    }
    memdb__io_close(writer->fd);
    destroy(writer);
    if (file_size_out)
        *file_size_out = footer.file_size;
    if (checksum_out)
        *checksum_out = footer.checksum;
    return MEMDB_OK;
}

void memdb__container_abandon(memdb__container_writer_t *writer) {
    if (!writer)
        return;
    memdb__io_close(writer->fd);
    // A file that cannot be unlinked is named by nothing, and collected as garbage later.
    memdb__io_unlink(writer->directory, writer->name, NULL);
    destroy(writer);
}
