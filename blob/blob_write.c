// Writing blobs: streams at constant memory.
//
// A stream gathers one piece. A blob that never fills more than that is written at the end, in one
// call, to the extent that all small blobs share, under the append lock. As soon as a second piece
// begins, the stream takes an extent for itself and writes forward, leaving room for the header;
// others do not wait for it. When it is done the extent goes back and may take another blob. So no
// writer ever knows the size ahead, and extents end near 64 MiB unless their last blob is larger.
//
// Invariants
//   - Nothing names a blob before its header is written, and nothing is written behind `end` of an
//   extent but by who
//     has taken it. What a failed or abandoned stream leaves there is cut off, or overwritten by
//     the next blob.
//   - A failed write leaves `end` as it was.
#include "base/bytes.h"
#include "base/checksum.h"
#include "blob/blob_extent.h"

#include <inttypes.h>

struct memdb__blob_stream {
    memdb__blobs_t *blobs;
    memdb__extent_t *extent;   // NULL while the blob is small
    uint64_t offset, position; // of the header, of the next piece
    uint64_t size;
    memdb__hash128_stream_t *hash;
    bool failed;
    size_t filled; // bytes of the piece
    // Room for a small blob as a whole: header, piece, checksum, fill.
    uint8_t bytes[MEMDB__BLOB_HEADER_BYTES + MEMDB__PIECE_STRIDE + MEMDB__BLOB_ALIGNMENT];
};

memdb_status_t memdb__blob_begin(memdb__blobs_t *blobs, memdb__blob_stream_t **stream_out,
                                 memdb_error_t *error) {
    if (blobs->read_only)
        return memdb__fail(error, MEMDB_READ_ONLY, "blob: the arena is open for reading only");
    memdb__blob_stream_t *stream = memdb__allocate(sizeof *stream);
    memdb__hash128_stream_t *hash = memdb__hash128_create();
    if (!stream || !hash) {
        memdb__free(stream);
        memdb__hash128_destroy(hash);
        return memdb__fail(error, MEMDB_NOMEM, "blob: out of memory");
    }
    stream->blobs = blobs;
    stream->extent = NULL;
    stream->offset = stream->position = stream->size = 0;
    stream->hash = hash;
    stream->failed = false;
    stream->filled = 0;
    *stream_out = stream;
    return MEMDB_OK;
}

static void destroy(memdb__blob_stream_t *stream) {
    memdb__hash128_destroy(stream->hash);
    memdb__free(stream);
}

static memdb_status_t write_at(memdb__extent_t *extent, const void *data, size_t size,
                               uint64_t offset, memdb_error_t *error) {
    char name[32];
    memdb__extent_name(extent->id, name);
    return memdb__io_write(extent->fd, data, size, offset, name, error);
}

static uint8_t *piece_of(memdb__blob_stream_t *stream) {
    return stream->bytes + MEMDB__BLOB_HEADER_BYTES;
}

// Put the checksum behind the gathered piece, as it will lie at `offset`, and zeros behind that.
static void seal_piece(memdb__blob_stream_t *stream, uint64_t extent_id, uint64_t offset) {
    uint8_t *piece = piece_of(stream);
    memdb__put_u64(piece + stream->filled,
                   memdb__piece_checksum(extent_id, offset, piece, stream->filled));
    memset(piece + stream->filled + MEMDB__PIECE_CHECKSUM_BYTES, 0, MEMDB__BLOB_ALIGNMENT);
}

// Write the gathered piece; `end`: write up to there (the last piece is written with its fill).
static memdb_status_t write_piece(memdb__blob_stream_t *stream, uint64_t end,
                                  memdb_error_t *error) {
    size_t size = stream->filled + MEMDB__PIECE_CHECKSUM_BYTES;
    seal_piece(stream, stream->extent->id, stream->position);
    if (end)
        size = (size_t)(end - stream->position);
    memdb_status_t status =
        write_at(stream->extent, piece_of(stream), size, stream->position, error);
    stream->position += size;
    stream->filled = 0;
    return status;
}

static memdb_status_t flush(memdb__blob_stream_t *stream, memdb_error_t *error) {
    if (!stream->extent) {
        memdb_status_t status = memdb__extent_take(stream->blobs, &stream->extent, error);
        if (status)
            return status;
        stream->offset = stream->extent->end;
        stream->position = stream->offset + MEMDB__BLOB_HEADER_BYTES;
    }
    return write_piece(stream, 0, error);
}

memdb_status_t memdb__blob_append(memdb__blob_stream_t *stream, const void *data, size_t size,
                                  memdb_error_t *error) {
    const uint8_t *at = data;
    if (stream->failed)
        return memdb__fail(error, MEMDB_FAILED, "blob: an earlier append failed");
    if (size > MEMDB__BLOB_MAX_BYTES - stream->size)
        return memdb__fail(error, MEMDB_LIMIT, "blob: larger than %" PRIu64 " bytes",
                           MEMDB__BLOB_MAX_BYTES);
    while (size) {
        if (stream->filled == MEMDB__PIECE_BYTES) { // only now is it known not to be the last one
            memdb_status_t status = flush(stream, error);
            if (status) {
                stream->failed = true;
                return status;
            }
        }
        size_t part = MEMDB__PIECE_BYTES - stream->filled;
        part = part < size ? part : size;
        memcpy(piece_of(stream) + stream->filled, at, part);
        memdb__hash128_update(stream->hash, at, part);
        stream->filled += part;
        stream->size += part;
        at += part;
        size -= part;
    }
    return MEMDB_OK;
}

// Give the stream's extent back as if nothing had been written. The cut saves room and leaves no
// stray content; where it fails, the next blob overwrites the beginning, and no name leads to the
// rest.
static void give_up(memdb__blob_stream_t *stream) {
    if (!stream->extent)
        return;
    (void)memdb__io()->truncate(stream->extent->fd, (off_t)stream->offset);
    memdb__extent_put_back(stream->blobs, stream->extent, stream->offset);
    stream->extent = NULL;
}

static memdb_status_t finish_large(memdb__blob_stream_t *stream, const uint8_t hash[16],
                                   memdb_error_t *error) {
    uint8_t header[MEMDB__BLOB_HEADER_BYTES];
    memdb__extent_t *extent = stream->extent;
    uint64_t end = stream->offset + memdb__blob_footprint(stream->size);
    memdb_status_t status = write_piece(stream, end, error);
    if (status)
        return status;
    memdb__blob_header_encode(extent->id, stream->offset, stream->size, hash, header);
    status = write_at(extent, header, sizeof header, stream->offset, error);
    if (status)
        return status;
    memdb__extent_written(stream->blobs, extent);
    memdb__extent_put_back(stream->blobs, extent, end);
    stream->extent = NULL;
    return MEMDB_OK;
}

// Under the append lock.
static memdb_status_t append_small(memdb__blob_stream_t *stream, const uint8_t hash[16],
                                   uint64_t *extent_id_out, memdb_error_t *error) {
    memdb__blobs_t *blobs = stream->blobs;
    memdb_status_t status;
    if (blobs->shared && blobs->shared->end >= MEMDB__EXTENT_BYTES) {
        memdb__extent_put_back(blobs, blobs->shared, blobs->shared->end);
        blobs->shared = NULL;
    }
    if (!blobs->shared) {
        status = memdb__extent_take(blobs, &blobs->shared, error);
        if (status)
            return status;
    }
    memdb__extent_t *extent = blobs->shared;
    uint64_t size = memdb__blob_footprint(stream->size);
    stream->offset = extent->end;
    memdb__blob_header_encode(extent->id, stream->offset, stream->size, hash, stream->bytes);
    if (stream->filled)
        seal_piece(stream, extent->id, stream->offset + MEMDB__BLOB_HEADER_BYTES);
    status = write_at(extent, stream->bytes, (size_t)size, stream->offset, error);
    if (status)
        return status;
    extent->end += size;
    memdb__extent_written(blobs, extent);
    *extent_id_out = extent->id;
    return MEMDB_OK;
}

memdb_status_t memdb__blob_finish(memdb__blob_stream_t *stream, uint8_t reference_out[32],
                                  uint64_t *size_out, uint8_t hash_out[16], memdb_error_t *error) {
    uint8_t hash[16];
    uint64_t extent_id = 0;
    memdb_status_t status;
    memdb__hash128_digest(stream->hash, hash);
    if (stream->failed) {
        status = memdb__fail(error, MEMDB_FAILED, "blob: an earlier append failed");
    } else if (stream->extent) {
        extent_id = stream->extent->id;
        status = finish_large(stream, hash, error);
    } else {
        pthread_mutex_lock(&stream->blobs->append);
        status = append_small(stream, hash, &extent_id, error);
        pthread_mutex_unlock(&stream->blobs->append);
    }
    if (status) {
        memdb__blob_abandon(stream);
        return status;
    }
    memdb__blob_reference_t reference = {extent_id, stream->offset, stream->size,
                                         memdb__get_u64(hash)};
    memdb__blob_reference_encode(&reference, reference_out);
    if (size_out)
        *size_out = stream->size;
    if (hash_out)
        memcpy(hash_out, hash, sizeof hash);
    destroy(stream);
    return MEMDB_OK;
}

void memdb__blob_abandon(memdb__blob_stream_t *stream) {
    if (!stream)
        return;
    give_up(stream);
    destroy(stream);
}
