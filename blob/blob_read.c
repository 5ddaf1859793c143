// Reading blobs through the mapping of their extent.
//
// Invariants
//   - No byte of the mapping is touched before the file was asked, in the same call, whether it is
//   long enough: a
//     shortened file gives MEMDB_CORRUPT. (A file cut between the two, or a device error under a
//     mapped page, can still raise SIGBUS.)
//   - What a view has read is forgotten in steps, so that a large blob does not fill the memory of
//     the process that streams it.
//   - No byte of a piece is handed out before its checksum was right. A view remembers which pieces
//   were.
#include "base/bytes.h"
#include "base/checksum.h"
#include "blob/blob_extent.h"

#include <inttypes.h>
#include <stdatomic.h>

#define FORGET_BYTES (UINT64_C(8) << 20) // so much of a blob stays in memory

struct memdb__blob_view {
    memdb__blobs_t *blobs;
    memdb__extent_t *extent;
    memdb__extent_mapping_t *mapping;
    memdb__blob_reference_t reference;
    uint8_t hash[16];
    uint64_t touched; // bytes read since the last forgetting
    // A bit a piece: it was checked. Relaxed: the piece itself never changes, so a lost or late bit
    // costs a second check and nothing else.
    _Atomic uint8_t checked[];
};

static uint64_t piece_count(uint64_t size) {
    return (size + MEMDB__PIECE_BYTES - 1) / MEMDB__PIECE_BYTES;
}

static uint64_t piece_offset(const memdb__blob_view_t *view, uint64_t piece) {
    return view->reference.offset + MEMDB__BLOB_HEADER_BYTES + piece * MEMDB__PIECE_STRIDE;
}

static size_t piece_size(const memdb__blob_view_t *view, uint64_t piece) {
    uint64_t left = view->reference.size - piece * MEMDB__PIECE_BYTES;
    return left < MEMDB__PIECE_BYTES ? (size_t)left : MEMDB__PIECE_BYTES;
}

static memdb_status_t damaged(const memdb__blob_view_t *view, uint64_t offset, const char *what,
                              memdb_error_t *error) {
    return memdb__fail(error, MEMDB_CORRUPT, "blob/%016" PRIx64 ".ext at %" PRIu64 ": %s",
                       view->extent->id, offset, what);
}

// A purge wrote over it: only a snapshot that is older than the purge still knows its name.
static memdb_status_t erased(const memdb__blob_reference_t *reference, memdb_error_t *error) {
    return memdb__fail(error, MEMDB_NOT_FOUND,
                       "blob/%016" PRIx64 ".ext at %" PRIu64 ": the blob was erased by a purge",
                       reference->extent_id, reference->offset);
}

const uint8_t *memdb__blob_view_hash(const memdb__blob_view_t *view) {
    return view->hash;
}

memdb_status_t memdb__blob_open(memdb__blobs_t *blobs, const uint8_t reference[32],
                                memdb__blob_view_t **view_out, uint64_t *size_out,
                                memdb_error_t *error) {
    memdb__blob_reference_t decoded;
    memdb__extent_t *extent;
    memdb__extent_mapping_t *mapping;
    memdb_status_t status = memdb__blob_reference_decode(reference, &decoded, error);
    if (status)
        return status;
    status = memdb__extent_acquire(blobs, decoded.extent_id, &extent, error);
    if (status)
        return status;
    uint64_t end = decoded.offset + memdb__blob_footprint(decoded.size);
    status = memdb__extent_map(blobs, extent, end, &mapping, error);
    if (status)
        goto release_extent;
    memdb__blob_view_t *view =
        memdb__allocate_zeroed(1, sizeof *view + (size_t)(piece_count(decoded.size) / 8 + 1));
    if (!view) {
        status = memdb__fail(error, MEMDB_NOMEM, "blob: out of memory");
        goto release_mapping;
    }
    const uint8_t *header = mapping->address + decoded.offset;
    status = blobs->trusts_pieces ? MEMDB_OK // the reference says how much there is
                                  : memdb__blob_header_decode(header, &decoded, view->hash, error);
    if (status && memdb__is_erased(header, decoded.extent_id, decoded.offset))
        status = erased(&decoded, error);
    if (status)
        goto free_view;
    view->blobs = blobs;
    view->extent = extent;
    view->mapping = mapping;
    view->reference = decoded;
    *view_out = view;
    if (size_out)
        *size_out = decoded.size;
    return MEMDB_OK;
free_view:
    memdb__free(view);
release_mapping:
    memdb__extent_unmap(blobs, mapping);
release_extent:
    memdb__extent_release(blobs, extent);
    return status;
}

void memdb__blob_close(memdb__blob_view_t *view) {
    if (!view)
        return;
    memdb__extent_unmap(view->blobs, view->mapping);
    memdb__extent_release(view->blobs, view->extent);
    memdb__free(view);
}

/// `size` more bytes were touched.
static void touch(memdb__blob_view_t *view, uint64_t size) {
    view->touched += size;
    if (view->touched >= FORGET_BYTES) {
        memdb__io_forget(view->mapping->address + view->reference.offset,
                         (size_t)memdb__blob_footprint(view->reference.size));
        view->touched = 0;
    }
}

static memdb_status_t check_piece(memdb__blob_view_t *view, uint64_t piece, memdb_error_t *error) {
    uint64_t offset = piece_offset(view, piece);
    const uint8_t *data = view->mapping->address + offset;
    size_t size = piece_size(view, piece);
    if (memdb__get_u64(data + size) !=
        memdb__piece_checksum(view->extent->id, offset, data, size)) {
        const memdb__blob_reference_t *reference = &view->reference;
        // A purge writes forward, so the header goes first.
        if (memdb__is_erased(view->mapping->address + reference->offset, view->extent->id,
                             reference->offset))
            return erased(reference, error);
        return damaged(view, offset, "checksum mismatch", error);
    }
    return MEMDB_OK;
}

memdb_status_t memdb__blob_read(memdb__blob_view_t *view, uint64_t offset, void *buffer,
                                size_t size, memdb_error_t *error) {
    uint8_t *out = buffer;
    if (offset > view->reference.size || size > view->reference.size - offset)
        return memdb__fail(error, MEMDB_INVALID, "blob: %zu bytes at %" PRIu64 " of %" PRIu64, size,
                           offset, view->reference.size);
    if (size == 0)
        return MEMDB_OK;
    uint64_t last = (offset + size - 1) / MEMDB__PIECE_BYTES;
    memdb_status_t status = memdb__extent_covers(
        view->extent,
        piece_offset(view, last) + piece_size(view, last) + MEMDB__PIECE_CHECKSUM_BYTES, error);
    for (uint64_t piece = offset / MEMDB__PIECE_BYTES; piece <= last && !status; piece++) {
        uint8_t bit = (uint8_t)(1u << (piece % 8));
        uint64_t checked = 0;
        // Relaxed, both: see `checked`.
        if (!(atomic_load_explicit(&view->checked[piece / 8], memory_order_relaxed) & bit)) {
            status = check_piece(view, piece, error);
            if (status)
                break;
            atomic_fetch_or_explicit(&view->checked[piece / 8], bit, memory_order_relaxed);
            checked = MEMDB__PIECE_BYTES;
        }
        size_t from = (size_t)(offset - piece * MEMDB__PIECE_BYTES),
               part = piece_size(view, piece) - from;
        part = part < size ? part : size;
        memcpy(out, view->mapping->address + piece_offset(view, piece) + from, part);
        out += part;
        offset += part;
        size -= part;
        touch(view, checked ? checked : part);
    }
    return status;
}

static memdb_status_t verify_content(memdb__blob_view_t *view, memdb__hash128_stream_t *hash,
                                     memdb_error_t *error) {
    uint64_t size = view->reference.size, count = piece_count(size), end = view->reference.offset;
    uint8_t digest[16];
    memdb_status_t status =
        memdb__extent_covers(view->extent, end + memdb__blob_footprint(size), error);
    if (!status)
        status = memdb__extent_header_decode(view->mapping->address, view->blobs->database_id,
                                             view->extent->id, error);
    for (uint64_t piece = 0; piece < count && !status; piece++) {
        status = check_piece(view, piece, error);
        if (!status)
            memdb__hash128_update(hash, view->mapping->address + piece_offset(view, piece),
                                  piece_size(view, piece));
        touch(view, MEMDB__PIECE_BYTES);
    }
    if (status)
        return status;
    memdb__hash128_digest(hash, digest);
    if (memcmp(digest, view->hash, sizeof digest) != 0)
        return damaged(view, view->reference.offset, "content hash mismatch", error);
    end += memdb__blob_footprint(size);
    for (uint64_t at = view->reference.offset + MEMDB__BLOB_HEADER_BYTES + size +
                       count * MEMDB__PIECE_CHECKSUM_BYTES;
         at < end; at++)
        if (view->mapping->address[at])
            return damaged(view, at, "fill is not zero", error);
    return MEMDB_OK;
}

memdb_status_t memdb__blob_verify(memdb__blobs_t *blobs, const uint8_t reference[32],
                                  memdb_error_t *error) {
    memdb__blob_view_t *view;
    memdb_status_t status = memdb__blob_open(blobs, reference, &view, NULL, error);
    if (status)
        return status;
    memdb__hash128_stream_t *hash = memdb__hash128_create();
    if (hash)
        status = verify_content(view, hash, error);
    else
        status = memdb__fail(error, MEMDB_NOMEM, "blob: out of memory");
    memdb__hash128_destroy(hash);
    memdb__blob_close(view);
    return status;
}
