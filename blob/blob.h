// The blob arena: append-only extent files of checksummed, deduplicated blobs, read through mmap.
//
// A blob is written to the arena, and synced, before the frame that names it. Its reference (32
// bytes) holds the extent id, the offset, the size and part of the content hash, so that a blob is
// found without an index; the engine's ordered map keeps (content hash -> reference) for
// deduplication.
//
// Extent `blob/<extent id, 16 hex digits>.ext`: 4 KiB header (magic, version, database id, extent
// id, checksum), then blobs, each: header (magic, size, XXH3-128 of the content, checksum of this
// header that covers its address), the content in pieces of 64 KiB, each followed by its XXH3-64
// that covers extent id and offset; zero fill to 64 bytes (blob_format.c). A process appends to an
// extent of its own, on whose first byte it holds a lock (F_OFD_SETLK) as long as it may name blobs
// in it that no frame names yet (rule 9). Extents end near 64 MiB; a larger blob has one of its
// own.
#ifndef MEMDB_BLOB_BLOB_H
#define MEMDB_BLOB_BLOB_H

#include "base/io.h"

#define MEMDB__BLOB_REFERENCE_BYTES 32

typedef struct memdb__blobs memdb__blobs_t;
typedef struct memdb__blob_stream memdb__blob_stream_t;
typedef struct memdb__blob_view memdb__blob_view_t;

/// Attach to the arena of a database (`directory`/blob is created when missing). `next_extent_id`
/// is asked for each new extent. Thread-safe.
memdb_status_t memdb__blobs_open(int directory, const uint8_t database_id[16],
                                 uint64_t (*next_extent_id)(void *context), void *context,
                                 bool read_only, memdb__blobs_t **blobs_out, memdb_error_t *error);
void memdb__blobs_close(memdb__blobs_t *blobs);
/// From now on open blobs though the headers of their extents, or their own, are damaged: pieces
/// are known by their checksums alone. For salvage.
void memdb__blobs_trust_pieces(memdb__blobs_t *blobs);

/// Write one blob, in one call or as a stream at constant memory. hash_out: XXH3-128 of the
/// content.
memdb_status_t memdb__blob_begin(memdb__blobs_t *blobs, memdb__blob_stream_t **stream_out,
                                 memdb_error_t *error);
memdb_status_t memdb__blob_append(memdb__blob_stream_t *stream, const void *data, size_t size,
                                  memdb_error_t *error);
/// Consumes the stream on every path.
memdb_status_t memdb__blob_finish(memdb__blob_stream_t *stream, uint8_t reference_out[32],
                                  uint64_t *size_out, uint8_t hash_out[16], memdb_error_t *error);
void memdb__blob_abandon(memdb__blob_stream_t *stream);
/// Sync everything written so far through this handle (files and directory).
memdb_status_t memdb__blobs_sync(memdb__blobs_t *blobs, memdb_error_t *error);

/// Let go of the extents that are full: of all blobs that were finished so far, and synced, the
/// caller knows that a frame names them or that they were given up. Until then each extent costs a
/// descriptor and keeps its lock.
void memdb__blobs_settle(memdb__blobs_t *blobs);

/// Open a blob for reading; checks its header, not yet its content. MEMDB_CORRUPT names file and
/// offset.
memdb_status_t memdb__blob_open(memdb__blobs_t *blobs, const uint8_t reference[32],
                                memdb__blob_view_t **view_out, uint64_t *size_out,
                                memdb_error_t *error);
/// Copy out [offset, offset + size) after checking the pieces that it touches.
memdb_status_t memdb__blob_read(memdb__blob_view_t *view, uint64_t offset, void *buffer,
                                size_t size, memdb_error_t *error);
void memdb__blob_close(memdb__blob_view_t *view);
/// Check header and every piece of the blob, and its content hash.
memdb_status_t memdb__blob_verify(memdb__blobs_t *blobs, const uint8_t reference[32],
                                  memdb_error_t *error);
/// What a memory names in this handle from now on is in none of these extents: a frame, or the
/// catalog, says that the collector takes them. Blobs in them can still be read; nothing is
/// appended to them any more, and their descriptors are closed as soon as nobody reads.
memdb_status_t memdb__blobs_retire(memdb__blobs_t *blobs, const uint64_t *extent_ids, size_t count,
                                   memdb_error_t *error);
/// Whether the blob lies in one of them.
bool memdb__blobs_is_retired(memdb__blobs_t *blobs, const uint8_t reference[32]);

// --- for the collector, which holds the checkpoint lock (blob_collect.c)

/// One extent file. locked: its creator lives and may have blobs in it that no frame names yet.
typedef struct memdb__extent_info {
    uint64_t id, bytes;
    bool locked;
} memdb__extent_info_t;
/// Call `visit` for each extent file, by rising id.
memdb_status_t memdb__blobs_each(memdb__blobs_t *blobs,
                                 memdb_status_t (*visit)(void *context,
                                                         const memdb__extent_info_t *extent,
                                                         memdb_error_t *error),
                                 void *context, memdb_error_t *error);
/// Copy a blob into another arena of the same directory; it is synced with that arena.
memdb_status_t memdb__blob_duplicate(memdb__blobs_t *from, const uint8_t reference[32],
                                memdb__blobs_t *to, uint8_t reference_out[32], uint8_t hash_out[16],
                                memdb_error_t *error);
/// Unlink an extent; the caller syncs the directory with memdb__blobs_sync_directory. A missing one
/// is no error.
memdb_status_t memdb__extent_unlink(memdb__blobs_t *blobs, uint64_t extent_id,
                                    memdb_error_t *error);
memdb_status_t memdb__blobs_sync_directory(memdb__blobs_t *blobs, memdb_error_t *error);
/// Write marks over everything in an extent but the blobs that `live` wants kept, and sync it. Who
/// reads a blob that was written over gets MEMDB_NOT_FOUND. A missing file is no error.
memdb_status_t memdb__extent_erase(memdb__blobs_t *blobs, uint64_t extent_id,
                                   bool (*live)(void *context, uint64_t size, uint64_t hash_prefix),
                                   void *context, memdb_error_t *error);
/// Bytes that a blob of `size` bytes takes in its extent, and that an extent has before the first.
uint64_t memdb__blob_footprint(uint64_t size);
#define MEMDB__EXTENT_HEADER_BYTES 4096

/// The extent ids present in the directory, bytes on disk.
memdb_status_t memdb__blobs_stat(memdb__blobs_t *blobs, uint64_t *extents_out, uint64_t *bytes_out,
                                 memdb_error_t *error);
/// The file that holds the blob, relative to the database ("blob/<extent id>.ext"), into
/// `name_out`.
void memdb__blob_file(const uint8_t reference[32], char name_out[32]);

#endif
