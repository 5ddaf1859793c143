// What the collector does with extents: listing, copying, unlinking, erasing in place.
//
// Invariants
//   - An extent whose first byte nobody has locked stays so: a writer locks only what it creates.
//   - Erasing keeps the file's size, for others have it mapped. It writes forward, so whoever finds
//     a piece that fits no checksum finds the mark in the place of its header.
#include "base/bytes.h"
#include "blob/blob_extent.h"
#include "blob/copy.h"

#include <errno.h>
#include <fcntl.h>

#define ERASE_BYTES 65536 // written at a time
#define COPY_BYTES 65536

typedef struct each {
    memdb__blobs_t *blobs;
    memdb_status_t (*visit)(void *context, const memdb__extent_info_t *extent,
                            memdb_error_t *error);
    void *context;
} each_t;

// Whether somebody, this process included, has the lock of a living creator on the file.
static memdb_status_t look_for_lock(int fd, const char *name, bool *locked_out,
                                    memdb_error_t *error) {
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
    if (fcntl(fd, F_OFD_GETLK, &range))
        return memdb__fail_errno(error, errno, "blob/%s: lock", name);
    *locked_out = range.l_type != F_UNLCK;
    return MEMDB_OK;
}

static memdb_status_t visit_name(void *context, const char *name, memdb_error_t *error) {
    const each_t *each = context;
    memdb__extent_info_t extent;
    int fd;
    if (!memdb__blob_extent_number(name, &extent.id))
        return MEMDB_OK;
    memdb_status_t status =
        memdb__io_open(each->blobs->directory, name, O_RDONLY | O_NOFOLLOW, &fd, error);
    if (status == MEMDB_NOT_FOUND) // given up by its creator since it was listed
        return MEMDB_OK;
    if (status)
        return memdb__error_context(error, status, "blob");
    status = look_for_lock(fd, name, &extent.locked, error);
    if (!status)
        status = memdb__io_size(fd, &extent.bytes, name, error);
    memdb__io_close(fd);
    return status ? status : each->visit(each->context, &extent, error);
}

memdb_status_t memdb__blobs_each(memdb__blobs_t *blobs,
                                 memdb_status_t (*visit)(void *context,
                                                         const memdb__extent_info_t *extent,
                                                         memdb_error_t *error),
                                 void *context, memdb_error_t *error) {
    each_t each = {blobs, visit, context};
    return blobs->directory < 0 ? MEMDB_OK
                                : memdb__io_list(blobs->directory, visit_name, &each, error);
}

static memdb_status_t copy_content(memdb__blob_view_t *view, uint64_t size,
                                   memdb__blob_stream_t *stream, memdb_error_t *error) {
    uint8_t *buffer = memdb__allocate(COPY_BYTES);
    if (!buffer)
        return memdb__fail(error, MEMDB_NOMEM, "blob: out of memory");
    memdb_status_t status = MEMDB_OK;
    for (uint64_t at = 0; at < size && !status; at += COPY_BYTES) {
        size_t part = size - at < COPY_BYTES ? (size_t)(size - at) : COPY_BYTES;
        status = memdb__blob_read(view, at, buffer, part, error);
        if (!status)
            status = memdb__blob_append(stream, buffer, part, error);
    }
    memdb__free(buffer);
    return status;
}

memdb_status_t memdb__blob_duplicate(memdb__blobs_t *from, const uint8_t reference[32],
                                     memdb__blobs_t *to, uint8_t reference_out[32],
                                     uint8_t hash_out[16], memdb_error_t *error) {
    memdb__blob_view_t *view;
    memdb__blob_stream_t *stream;
    uint64_t size = 0;
    memdb_status_t status = memdb__blob_open(from, reference, &view, &size, error);
    if (status)
        return status;
    status = memdb__blob_begin(to, &stream, error);
    if (status)
        goto close_view;
    status = copy_content(view, size, stream, error);
    if (status) {
        memdb__blob_abandon(stream);
        goto close_view;
    }
    status = memdb__blob_finish(stream, reference_out, NULL, hash_out, error);
    if (!status && memcmp(hash_out, memdb__blob_view_hash(view), 16) != 0) {
        char name[32];
        memdb__blob_file(reference, name);
        status = memdb__fail(error, MEMDB_CORRUPT, "%s at %llu: content hash mismatch", name,
                             (unsigned long long)memdb__get_u64(reference + 8));
    }
close_view:
    memdb__blob_close(view);
    return status;
}

memdb_status_t memdb__extent_unlink(memdb__blobs_t *blobs, uint64_t extent_id,
                                    memdb_error_t *error) {
    char name[32];
    memdb__extent_name(extent_id, name);
    return blobs->directory < 0
               ? MEMDB_OK
               : memdb__io_unlink(blobs->directory, MEMDB__EXTENT_FILE(name), error);
}

memdb_status_t memdb__blobs_sync_directory(memdb__blobs_t *blobs, memdb_error_t *error) {
    return blobs->directory < 0 ? MEMDB_OK : memdb__io_sync_all(blobs->directory, "blob", error);
}

// ------------------------------------------------------------------------------ erasing in place

typedef struct erase {
    int fd;
    uint64_t id, size;
    const char *name;
    uint8_t *marks; // ERASE_BYTES
} erase_t;

static memdb_status_t erase_range(erase_t *erase, uint64_t from, uint64_t to,
                                  memdb_error_t *error) {
    while (from < to) {
        size_t part = to - from < ERASE_BYTES ? (size_t)(to - from) : ERASE_BYTES;
        for (size_t at = 0; at < part; at += MEMDB__BLOB_ALIGNMENT)
            memdb__erased_mark(erase->id, from + at, erase->marks + at);
        memdb_status_t status =
            memdb__io_write(erase->fd, erase->marks, part, from, erase->name, error);
        if (status)
            return status;
        from += part;
    }
    return MEMDB_OK;
}

// Blob after blob. Where no header is, the search for the next one goes on at the next multiple of
// 64; a dead blob is skipped as a whole, so that no header that its content imitates counts.
static memdb_status_t erase_dead(erase_t *erase,
                                 bool (*live)(void *context, uint64_t size, uint64_t hash_prefix),
                                 void *context, memdb_error_t *error) {
    uint8_t header[MEMDB__BLOB_HEADER_BYTES];
    uint64_t dead = MEMDB__EXTENT_HEADER_BYTES, at = dead; // [dead, at) is to be erased
    while (at < erase->size) {
        uint64_t size, prefix, end = at + MEMDB__BLOB_ALIGNMENT;
        bool keep = false;
        if (end <= erase->size) {
            memdb_status_t status =
                memdb__io_read(erase->fd, header, sizeof header, at, erase->name, error);
            if (status)
                return status;
            if (memdb__blob_header_parse(header, erase->id, at, &size, &prefix)) {
                end = at + memdb__blob_footprint(size);
                keep = live(context, size, prefix);
            }
        }
        end = end < erase->size ? end : erase->size;
        if (keep) {
            memdb_status_t status = erase_range(erase, dead, at, error);
            if (status)
                return status;
            dead = end;
        }
        at = end;
    }
    return erase_range(erase, dead, at, error);
}

memdb_status_t memdb__extent_erase(memdb__blobs_t *blobs, uint64_t extent_id,
                                   bool (*live)(void *context, uint64_t size, uint64_t hash_prefix),
                                   void *context, memdb_error_t *error) {
    char name[32];
    erase_t erase = {.fd = -1, .id = extent_id, .name = name};
    memdb__extent_name(extent_id, name);
    if (blobs->directory < 0)
        return MEMDB_OK;
    memdb_status_t status = memdb__io_open(blobs->directory, MEMDB__EXTENT_FILE(name),
                                           O_RDWR | O_NOFOLLOW, &erase.fd, error);
    if (status)
        return status == MEMDB_NOT_FOUND ? MEMDB_OK : status;
    erase.marks = memdb__allocate(ERASE_BYTES);
    if (!erase.marks)
        status = memdb__fail(error, MEMDB_NOMEM, "blob: out of memory");
    if (!status)
        status = memdb__io_size(erase.fd, &erase.size, name, error);
    if (!status)
        status = erase_dead(&erase, live, context, error);
    if (!status)
        status = memdb__io_sync_data(erase.fd, name, error);
    memdb__free(erase.marks);
    memdb__io_close(erase.fd);
    return status;
}
