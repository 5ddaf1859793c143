// Copying a segment into another database, checked on the way.
//
// The tail is read first: it has the checksums of the pages, which are then checked part by part as
// they are copied, so that what is written is what was checked. Only the header differs in the
// copy: it names the other database.
#include "base/bytes.h"
#include "base/checksum.h"
#include "base/container_format.h"
#include "base/io.h"
#include "base/memory.h"

#include <fcntl.h>

#define COPY_PAGES 64 // a part

typedef struct work {
    const memdb__container_copy_t *copy;
    int to;
    memdb__container_footer_t footer;
    uint8_t *part, *tail; // part: COPY_PAGES pages; tail: with the footer
    size_t tail_size;
} work_t;

/// Read and check the header; write the new one.
static memdb_status_t copy_header(work_t *work, memdb_error_t *error) {
    const memdb__container_copy_t *copy = work->copy;
    memdb__segment_identity_t other = copy->identity;
    memdb_status_t status =
        memdb__io_read(copy->from, work->part, MEMDB__CONTAINER_HEADER_BYTES, 0, copy->name, error);
    if (!status)
        status = memdb__container_verify_header(work->part, &copy->identity, copy->name, error);
    memcpy(other.database_id, copy->database_id, 16);
    memdb__container_encode_header(work->part, &other);
    return status ? status
                  : memdb__io_write(work->to, work->part, MEMDB__CONTAINER_HEADER_BYTES, 0,
                                    copy->name, error);
}

static memdb_status_t read_footer(work_t *work, memdb_error_t *error) {
    const memdb__container_copy_t *copy = work->copy;
    uint8_t footer[MEMDB__CONTAINER_FOOTER_BYTES];
    uint64_t size;
    memdb_status_t status = memdb__io_size(copy->from, &size, copy->name, error);
    if (status)
        return status;
    if (size != copy->file_size || size < MEMDB__CONTAINER_HEADER_BYTES + sizeof footer)
        return memdb__fail(error, MEMDB_CORRUPT, "%s: has %llu bytes where %llu belong", copy->name,
                           (unsigned long long)size, (unsigned long long)copy->file_size);
    status =
        memdb__io_read(copy->from, footer, sizeof footer, size - sizeof footer, copy->name, error);
    if (!status)
        status = memdb__container_decode_footer(footer, size, copy->identity.segment_id, copy->name,
                                                &work->footer, error);
    if (!status && work->footer.checksum != copy->checksum)
        return memdb__fail(
            error, MEMDB_CORRUPT, "%s: checksum %016llx where the catalog has %016llx", copy->name,
            (unsigned long long)work->footer.checksum, (unsigned long long)copy->checksum);
    return status;
}

static memdb_status_t read_tail(work_t *work, memdb_error_t *error) {
    const memdb__container_copy_t *copy = work->copy;
    memdb_status_t status = read_footer(work, error);
    if (status)
        return status;
    uint64_t tail_at = MEMDB__CONTAINER_HEADER_BYTES + work->footer.body_size;
    work->tail_size = (size_t)(copy->file_size - tail_at);
    work->tail = memdb__allocate(work->tail_size);
    if (!work->tail)
        return memdb__fail(error, MEMDB_NOMEM, "%s: no memory", copy->name);
    status = memdb__io_read(copy->from, work->tail, work->tail_size, tail_at, copy->name, error);
    if (!status && work->footer.tail_checksum !=
                       memdb__hash64(work->tail, work->tail_size - MEMDB__CONTAINER_FOOTER_BYTES,
                                     copy->identity.segment_id))
        return memdb__fail(error, MEMDB_CORRUPT, "%s at %llu: checksum mismatch of the tail",
                           copy->name, (unsigned long long)tail_at);
    return status;
}

/// Check the pages of a part of the body that begins at `at`.
static memdb_status_t check_part(const work_t *work, uint64_t at, size_t size,
                                 memdb_error_t *error) {
    const memdb__container_copy_t *copy = work->copy;
    for (size_t in = 0; in < size; in += MEMDB__CONTAINER_PAGE_BYTES) {
        uint64_t page = (at + in) / MEMDB__CONTAINER_PAGE_BYTES;
        size_t left = size - in;
        size_t bytes = left < MEMDB__CONTAINER_PAGE_BYTES ? left : MEMDB__CONTAINER_PAGE_BYTES;
        uint64_t seed = memdb__container_page_seed(copy->identity.segment_id, page);
        if (memdb__get_u64(work->tail + page * 8) != memdb__hash64(work->part + in, bytes, seed))
            return memdb__fail(error, MEMDB_CORRUPT, "%s at %llu: checksum mismatch of page %llu",
                               copy->name,
                               (unsigned long long)(MEMDB__CONTAINER_HEADER_BYTES + at + in),
                               (unsigned long long)page);
    }
    return MEMDB_OK;
}

static memdb_status_t copy_pages(work_t *work, memdb_error_t *error) {
    const memdb__container_copy_t *copy = work->copy;
    const uint64_t size = work->footer.body_size;
    const uint64_t most = (uint64_t)COPY_PAGES * MEMDB__CONTAINER_PAGE_BYTES;
    memdb_status_t status = MEMDB_OK;
    for (uint64_t at = 0; at < size && !status;) {
        size_t part = (size_t)(size - at < most ? size - at : most);
        uint64_t offset = MEMDB__CONTAINER_HEADER_BYTES + at;
        status = memdb__io_read(copy->from, work->part, part, offset, copy->name, error);
        if (!status)
            status = check_part(work, at, part, error);
        if (!status)
            status = memdb__io_write(work->to, work->part, part, offset, copy->name, error);
        if (!status && copy->moved)
            copy->moved(copy->context, part);
        at += part;
    }
    return status;
}

memdb_status_t memdb__container_copy(const memdb__container_copy_t *copy, memdb_error_t *error) {
    work_t work = {.copy = copy, .to = -1};
    work.part = memdb__allocate((size_t)COPY_PAGES * MEMDB__CONTAINER_PAGE_BYTES);
    memdb_status_t status = work.part
                                ? memdb__io_open(copy->directory, copy->to,
                                                 O_WRONLY | O_CREAT | O_TRUNC, &work.to, error)
                                : memdb__fail(error, MEMDB_NOMEM, "%s: no memory", copy->name);
    if (!status)
        status = read_tail(&work, error);
    if (!status)
        status = copy_header(&work, error);
    if (!status)
        status = copy_pages(&work, error);
    if (!status)
        status = memdb__io_write(work.to, work.tail, work.tail_size,
                                 copy->file_size - work.tail_size, copy->name, error);
    if (!status)
        status = memdb__io_sync_all(work.to, copy->name, error);
    memdb__io_close(work.to);
    memdb__free(work.tail);
    memdb__free(work.part);
    return status;
}
