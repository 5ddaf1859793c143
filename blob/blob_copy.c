// Copying blobs between databases. See copy.h.
//
// Invariant: `target` has unsynced bytes only while it is open here; it is synced when the copier
// turns to another extent. Reads go through pread, piece by piece, so that a file that is cut short
// under them is an error and no fault.
#include "base/bytes.h"
#include "base/checksum.h"
#include "blob/blob_extent.h"
#include "blob/copy.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct memdb__blob_copier {
    memdb__blob_copier_options_t options;
    uint64_t extent_id; // of both
    int source, target; // -1: none open
    bool dirty, directory_dirty;
    uint8_t piece[MEMDB__PIECE_STRIDE + MEMDB__BLOB_ALIGNMENT];
};

int memdb__blob_compare_references(const void *a, const void *b) {
    const uint8_t *x = a, *y = b;
    for (size_t at = 0; at < MEMDB__BLOB_REFERENCE_BYTES; at += 8) {
        uint64_t left = memdb__get_u64(x + at), right = memdb__get_u64(y + at);
        if (left != right)
            return left < right ? -1 : 1;
    }
    return 0;
}

uint64_t memdb__blob_extent_of(const uint8_t reference[32]) {
    return memdb__get_u64(reference);
}

void memdb__blob_extent_file(uint64_t extent_id, char name_out[32]) {
    char name[32];
    memdb__extent_name(extent_id, name);
    memcpy(name_out, MEMDB__EXTENT_FILE(name), strlen(MEMDB__EXTENT_FILE(name)) + 1);
}

bool memdb__blob_extent_number(const char *name, uint64_t *extent_id_out) {
    if (strspn(name, "0123456789abcdef") != 16 || strcmp(name + 16, ".ext") != 0)
        return false;
    *extent_id_out = strtoull(name, NULL, 16);
    return true;
}

memdb_status_t memdb__blob_copier_create(const memdb__blob_copier_options_t *options,
                                         memdb__blob_copier_t **copier_out, memdb_error_t *error) {
    memdb__blob_copier_t *copier = memdb__allocate_zeroed(1, sizeof *copier);
    if (!copier)
        return memdb__fail(error, MEMDB_NOMEM, "blob: out of memory");
    copier->options = *options;
    copier->source = copier->target = -1;
    *copier_out = copier;
    return MEMDB_OK;
}

static memdb_status_t leave(memdb__blob_copier_t *copier, memdb_error_t *error) {
    char name[32];
    memdb_status_t status = MEMDB_OK;
    memdb__extent_name(copier->extent_id, name);
    if (copier->dirty)
        status = memdb__io_sync_data(copier->target, name, error);
    memdb__io_close(copier->source);
    memdb__io_close(copier->target);
    copier->source = copier->target = -1;
    copier->dirty = false;
    return status;
}

memdb_status_t memdb__blob_copier_sync(memdb__blob_copier_t *copier, memdb_error_t *error) {
    memdb_status_t status = leave(copier, error);
    if (!status && copier->directory_dirty)
        status = memdb__io_sync_all(copier->options.to, "blob of the copy", error);
    copier->directory_dirty = copier->directory_dirty && status;
    return status;
}

void memdb__blob_copier_destroy(memdb__blob_copier_t *copier) {
    if (!copier)
        return;
    memdb__io_close(copier->source);
    memdb__io_close(copier->target);
    memdb__free(copier);
}

static memdb_status_t open_source(memdb__blob_copier_t *copier, memdb_error_t *error) {
    uint8_t header[MEMDB__EXTENT_HEADER_BYTES];
    char name[32];
    const memdb__blob_copier_options_t *o = &copier->options;
    memdb__extent_name(copier->extent_id, name);
    memdb_status_t status = memdb__io_open(o->from, MEMDB__EXTENT_FILE(name), O_RDONLY | O_NOFOLLOW,
                                           &copier->source, error);
    if (status == MEMDB_NOT_FOUND && o->archive >= 0) // moved there since, perhaps
        status = memdb__io_open(o->archive, MEMDB__EXTENT_FILE(name), O_RDONLY | O_NOFOLLOW,
                                &copier->source, error);
    if (!status)
        status = memdb__io_read(copier->source, header, sizeof header, 0, name, error);
    return status ? status
                  : memdb__extent_header_decode(header, o->from_id, copier->extent_id, error);
}

/// Open the extent of the copy, and see that it has its header.
static memdb_status_t open_target(memdb__blob_copier_t *copier, memdb_error_t *error) {
    uint8_t header[MEMDB__EXTENT_HEADER_BYTES];
    uint64_t size;
    char name[32];
    memdb__extent_name(copier->extent_id, name);
    memdb_status_t status = memdb__io_open(copier->options.to, MEMDB__EXTENT_FILE(name),
                                           O_RDWR | O_CREAT | O_NOFOLLOW, &copier->target, error);
    if (!status)
        status = memdb__io_size(copier->target, &size, name, error);
    if (!status && size >= sizeof header) {
        memdb_status_t known =
            memdb__io_read(copier->target, header, sizeof header, 0, name, error);
        if (!known)
            known = memdb__extent_header_decode(header, copier->options.to_id, copier->extent_id,
                                                error);
        if (!known)
            return MEMDB_OK;
    }
    if (status)
        return status;
    copier->dirty = copier->directory_dirty = true;
    memdb__extent_header_encode(copier->options.to_id, copier->extent_id, header);
    return memdb__io_write(copier->target, header, sizeof header, 0, name, error);
}

static memdb_status_t enter(memdb__blob_copier_t *copier, uint64_t extent_id,
                            memdb_error_t *error) {
    if (copier->target >= 0 && copier->extent_id == extent_id)
        return MEMDB_OK;
    memdb_status_t status = leave(copier, error);
    copier->extent_id = extent_id;
    if (!status)
        status = open_source(copier, error);
    if (!status)
        status = open_target(copier, error);
    if (status) {
        memdb__io_close(copier->source);
        memdb__io_close(copier->target);
        copier->source = copier->target = -1;
    }
    return status;
}

/// Check a blob piece by piece in `from`, and write it to `to` (-1: only check). The last piece is
/// written with the fill behind it.
static memdb_status_t pass_pieces(memdb__blob_copier_t *copier, int from, int to,
                                  const memdb__blob_reference_t *reference,
                                  memdb__hash128_stream_t *hash, memdb_error_t *error) {
    char name[32];
    uint64_t at = reference->offset + MEMDB__BLOB_HEADER_BYTES, left = reference->size;
    const uint64_t end = reference->offset + memdb__blob_footprint(reference->size);
    memdb_status_t status = MEMDB_OK;
    memdb__extent_name(copier->extent_id, name);
    while (at < end && !status) {
        size_t size = left < MEMDB__PIECE_BYTES ? (size_t)left : MEMDB__PIECE_BYTES;
        left -= size;
        size_t whole = left ? MEMDB__PIECE_STRIDE : (size_t)(end - at);
        size_t used = size ? size + MEMDB__PIECE_CHECKSUM_BYTES : 0;
        status = memdb__io_read(from, copier->piece, whole, at, name, error);
        if (status)
            break;
        if (size && memdb__get_u64(copier->piece + size) !=
                        memdb__piece_checksum(copier->extent_id, at, copier->piece, size))
            return memdb__fail(error, MEMDB_CORRUPT, "%s at %" PRIu64 ": checksum mismatch", name,
                               at);
        for (size_t i = used; i < whole; i++)
            if (copier->piece[i])
                return memdb__fail(error, MEMDB_CORRUPT, "%s at %" PRIu64 ": fill is not zero",
                                   name, at + i);
        memdb__hash128_update(hash, copier->piece, size);
        if (to >= 0)
            status = memdb__io_write(to, copier->piece, whole, at, name, error);
        at += whole;
    }
    return status;
}

/// Check a whole blob in `from`; where `to` is given, write it there, the header last.
static memdb_status_t pass_blob(memdb__blob_copier_t *copier, int from, int to,
                                const memdb__blob_reference_t *reference, memdb_error_t *error) {
    uint8_t header[MEMDB__BLOB_HEADER_BYTES], wanted[16], digest[16];
    char name[32];
    memdb__extent_name(copier->extent_id, name);
    memdb_status_t status =
        memdb__io_read(from, header, sizeof header, reference->offset, name, error);
    if (!status)
        status = memdb__blob_header_decode(header, reference, wanted, error);
    if (status)
        return status;
    memdb__hash128_stream_t *hash = memdb__hash128_create();
    if (!hash)
        return memdb__fail(error, MEMDB_NOMEM, "blob: out of memory");
    status = pass_pieces(copier, from, to, reference, hash, error);
    memdb__hash128_digest(hash, digest);
    memdb__hash128_destroy(hash);
    if (!status && memcmp(digest, wanted, sizeof digest) != 0)
        return memdb__fail(error, MEMDB_CORRUPT, "%s at %" PRIu64 ": content hash mismatch", name,
                           reference->offset);
    if (!status && to >= 0)
        status = memdb__io_write(to, header, sizeof header, reference->offset, name, error);
    return status;
}

memdb_status_t memdb__blob_copy(memdb__blob_copier_t *copier, const uint8_t reference[32],
                                uint64_t *bytes_out, memdb_error_t *error) {
    memdb__blob_reference_t decoded;
    memdb_status_t status = memdb__blob_reference_decode(reference, &decoded, error);
    if (!status)
        status = enter(copier, decoded.extent_id, error);
    if (status)
        return status;
    *bytes_out = 0;
    memdb_error_t ignored = {0}; // anything that is not the whole blob is written again
    uint64_t size;
    uint64_t end = decoded.offset + memdb__blob_footprint(decoded.size);
    status = memdb__io_size(copier->target, &size, "an extent of the copy", error);
    if (status || (size >= end && !pass_blob(copier, copier->target, -1, &decoded, &ignored)))
        return status;
    copier->dirty = true;
    status = pass_blob(copier, copier->source, copier->target, &decoded, error);
    *bytes_out = status ? 0 : memdb__blob_footprint(decoded.size);
    return status;
}
