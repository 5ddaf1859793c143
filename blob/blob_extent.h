// What the files of the arena share: the format of extents, and the table of those that this
// process has open.
#ifndef MEMDB_BLOB_BLOB_EXTENT_H
#define MEMDB_BLOB_BLOB_EXTENT_H

#include "base/memory.h"
#include "blob/blob.h"

#include <pthread.h>

#define MEMDB__EXTENT_BYTES                                                                        \
    (UINT64_C(64) << 20) // an extent that has reached this takes no more blobs
#define MEMDB__BLOB_HEADER_BYTES 64
#define MEMDB__BLOB_ALIGNMENT 64
#define MEMDB__PIECE_BYTES 65536
#define MEMDB__PIECE_CHECKSUM_BYTES 8
#define MEMDB__PIECE_STRIDE (MEMDB__PIECE_BYTES + MEMDB__PIECE_CHECKSUM_BYTES)
#define MEMDB__BLOB_MAX_BYTES (UINT64_C(1) << 46)
#define MEMDB__BLOB_IDLE_EXTENTS 64 // extents kept open and mapped though nobody reads them

// A decoded reference. It names a blob exactly; all of it is compared with the blob's header.
typedef struct memdb__blob_reference {
    uint64_t extent_id, offset, size, hash_prefix;
} memdb__blob_reference_t;

void memdb__blob_reference_encode(const memdb__blob_reference_t *reference, uint8_t out[32]);
/// MEMDB_CORRUPT for one that no writer made.
memdb_status_t memdb__blob_reference_decode(const uint8_t bytes[32], memdb__blob_reference_t *out,
                                            memdb_error_t *error);
/// "blob/<extent id>.ext"; MEMDB__EXTENT_FILE(name) is the name in the directory.
void memdb__extent_name(uint64_t extent_id, char name_out[32]);
#define MEMDB__EXTENT_FILE(name) ((name) + sizeof "blob/" - 1)

void memdb__extent_header_encode(const uint8_t database_id[16], uint64_t extent_id,
                                 uint8_t out[MEMDB__EXTENT_HEADER_BYTES]);
memdb_status_t memdb__extent_header_decode(const uint8_t bytes[MEMDB__EXTENT_HEADER_BYTES],
                                           const uint8_t database_id[16], uint64_t extent_id,
                                           memdb_error_t *error);
void memdb__blob_header_encode(uint64_t extent_id, uint64_t offset, uint64_t size,
                               const uint8_t hash[16], uint8_t out[MEMDB__BLOB_HEADER_BYTES]);
/// hash_out: of the content. The header must be the one of `reference`.
memdb_status_t memdb__blob_header_decode(const uint8_t bytes[MEMDB__BLOB_HEADER_BYTES],
                                         const memdb__blob_reference_t *reference,
                                         uint8_t hash_out[16], memdb_error_t *error);
/// The checksum of a piece that lies at `offset` of the extent.
uint64_t memdb__piece_checksum(uint64_t extent_id, uint64_t offset, const void *data, size_t size);
/// What the header at `offset` says; false: there is no whole one.
bool memdb__blob_header_parse(const uint8_t bytes[MEMDB__BLOB_HEADER_BYTES], uint64_t extent_id,
                              uint64_t offset, uint64_t *size_out, uint64_t *hash_prefix_out);
/// The mark of an erased place, 64 bytes, and whether `bytes` are one.
void memdb__erased_mark(uint64_t extent_id, uint64_t offset, uint8_t out[MEMDB__BLOB_ALIGNMENT]);
bool memdb__is_erased(const uint8_t bytes[MEMDB__BLOB_ALIGNMENT], uint64_t extent_id,
                      uint64_t offset);

// A mapping of an extent from its beginning. Views hold it; a larger one replaces it when the file
// has grown.
typedef struct memdb__extent_mapping {
    uint8_t *address;
    uint64_t size; // of the mapping; the file may be shorter
    uint64_t users;
} memdb__extent_mapping_t;

typedef struct memdb__extent {
    struct memdb__extent *next;
    uint64_t id;
    int fd;
    bool own;         // created by this handle, which holds the lock on its first byte
    bool taken;       // a stream or the shared writer appends to it
    bool dirty;       // written since the last sync
    uint64_t end;     // own: where the next blob begins
    uint64_t users;   // views, streams, syncs
    uint64_t used_at; // tick of the last use
    uint64_t round;   // of the sync that synced it last
    memdb__extent_mapping_t *mapping;
} memdb__extent_t;

// Lock order: sync, append, table. I/O that may be slow (sync, content) is never done under
// `table`.
struct memdb__blobs {
    int directory; // blob/, -1 when it is missing and the arena is read-only
    bool read_only, trusts_pieces;
    uint8_t database_id[16];
    uint64_t (*next_extent_id)(void *context);
    void *context;
    pthread_mutex_t
        sync; // one sync at a time: a second caller must not find clean what is being synced
    pthread_mutex_t append;  // `shared`
    memdb__extent_t *shared; // takes the small blobs
    pthread_mutex_t table;   // all below, and the fields of extents
    memdb__extent_t *extents;
    uint64_t idle, tick, round;
    bool directory_dirty, failed; // failed: a sync has failed
    uint64_t *retired;            // extent ids, rising; from memdb__allocate
    size_t retired_count, retired_capacity;
};

/// Whether an extent is retired. Under the table's lock.
bool memdb__extent_is_retired(const memdb__blobs_t *blobs, uint64_t extent_id);
/// The content hash in the header of an open view.
const uint8_t *memdb__blob_view_hash(const memdb__blob_view_t *view);

/// Take an own extent with room, or make one. It is `taken` and used; give it back with
/// memdb__extent_put_back.
memdb_status_t memdb__extent_take(memdb__blobs_t *blobs, memdb__extent_t **extent_out,
                                  memdb_error_t *error);
/// end: where the next blob of the extent may begin.
void memdb__extent_put_back(memdb__blobs_t *blobs, memdb__extent_t *extent, uint64_t end);
void memdb__extent_written(memdb__blobs_t *blobs, memdb__extent_t *extent);
/// Find or open an extent for reading.
memdb_status_t memdb__extent_acquire(memdb__blobs_t *blobs, uint64_t extent_id,
                                     memdb__extent_t **extent_out, memdb_error_t *error);
void memdb__extent_release(memdb__blobs_t *blobs, memdb__extent_t *extent);
/// A mapping that covers the first `end` bytes; MEMDB_CORRUPT when the file is shorter. Release it
/// with the extent held.
memdb_status_t memdb__extent_map(memdb__blobs_t *blobs, memdb__extent_t *extent, uint64_t end,
                                 memdb__extent_mapping_t **mapping_out, memdb_error_t *error);
void memdb__extent_unmap(memdb__blobs_t *blobs, memdb__extent_mapping_t *mapping);
/// MEMDB_CORRUPT unless the file has `end` bytes now; asked before each touch of the mapping, which
/// would be SIGBUS.
memdb_status_t memdb__extent_covers(const memdb__extent_t *extent, uint64_t end,
                                    memdb_error_t *error);
/// Close and free all extents; nobody uses any.
void memdb__extents_destroy(memdb__blobs_t *blobs);

#endif
