// The bytes of the log: segment header, batch header, frame header. Encode, decode, verify; no
// system calls.
//
// All integers are little-endian. Checksums are XXH3-64; each is seeded with what places the bytes
// (database, epoch, LSN), so that bytes of another database, of an older epoch or of another place
// never verify.
#ifndef MEMDB_WAL_WAL_FORMAT_H
#define MEMDB_WAL_WAL_FORMAT_H

#include "base/status.h"

#define MEMDB__WAL_BLOCK_BYTES 4096u
#define MEMDB__WAL_BATCH_HEADER_BYTES 64u
#define MEMDB__WAL_FRAME_HEADER_BYTES 24u
#define MEMDB__WAL_MAX_PAYLOAD_BYTES                                                               \
    (512u << 20) // of one frame; a transaction's own limit is lower

/// Up to the next multiple of 4 KiB, or of 8.
static inline uint64_t memdb__wal_block_up(uint64_t v) {
    return (v + MEMDB__WAL_BLOCK_BYTES - 1) & ~(uint64_t)(MEMDB__WAL_BLOCK_BYTES - 1);
}
static inline uint64_t memdb__wal_block_down(uint64_t v) {
    return v & ~(uint64_t)(MEMDB__WAL_BLOCK_BYTES - 1);
}
/// The bytes that a frame with a payload of `size` occupies.
static inline uint64_t memdb__wal_frame_bytes(uint64_t size) {
    return MEMDB__WAL_FRAME_HEADER_BYTES + ((size + 7) & ~UINT64_C(7));
}

typedef enum memdb__wal_segment_flags {
    MEMDB__WAL_SEGMENT_AFTER_DEATH =
        1, // its predecessor's writer died, or may have: that file may still receive a late write
    MEMDB__WAL_SEGMENT_COPY = 2, // written whole by a backup: no process ever appended to it
} memdb__wal_segment_flags_t;

/// What a segment's header says.
typedef struct memdb__wal_header {
    uint8_t database_id[16];
    uint64_t epoch;
    uint64_t start;    // LSN at file offset 4096; a multiple of 4096
    uint64_t capacity; // bytes of log that the file may hold, a multiple of 4096; the last block is
                       // for the closing mark
    uint64_t previous_epoch; // of the segment that holds the log before; 0: none
    uint64_t previous_end;   // LSN at which that one ends: no frame lies in [previous_end, start)
    uint32_t flags;
} memdb__wal_header_t;

typedef enum memdb__wal_batch_flags {
    MEMDB__WAL_BATCH_CLOSING =
        1, // no frames: a mark in the segment's last block that a successor exists
} memdb__wal_batch_flags_t;

typedef struct memdb__wal_batch {
    uint32_t flags;
    uint32_t frames;
    uint64_t epoch, lsn;
    uint64_t bytes;        // header and frames, up to the end of the last frame
    uint64_t durable;      // the durable LSN known when it was written
    uint64_t previous_end; // end of the last frame before it: a frame lost in between is noticed
} memdb__wal_batch_t;

/// A seed for all checksums of one database.
uint64_t memdb__wal_salt(const uint8_t database_id[16]);

void memdb__wal_header_encode(const memdb__wal_header_t *header,
                              uint8_t page[MEMDB__WAL_BLOCK_BYTES]);
/// Errors  MEMDB_CORRUPT, MEMDB_VERSION  naming `file`.
memdb_status_t memdb__wal_header_decode(const uint8_t page[MEMDB__WAL_BLOCK_BYTES],
                                        const char *file, memdb__wal_header_t *header_out,
                                        memdb_error_t *error);

void memdb__wal_batch_encode(const memdb__wal_batch_t *batch, uint64_t salt,
                             uint8_t bytes[MEMDB__WAL_BATCH_HEADER_BYTES]);
/// Whether the bytes are the whole batch header that `epoch` has at `lsn`.
bool memdb__wal_batch_decode(const uint8_t bytes[MEMDB__WAL_BATCH_HEADER_BYTES], uint64_t salt,
                             uint64_t epoch, uint64_t lsn, memdb__wal_batch_t *batch_out);

/// Write header, payload and zero fill to `at`: memdb__wal_frame_bytes(size) bytes.
void memdb__wal_frame_encode(uint8_t *at, uint64_t salt, uint64_t epoch, uint64_t lsn,
                             int64_t commit_time, const void *payload, size_t size);
/// Whether a frame begins here at all; and the payload size that it claims (not yet verified).
bool memdb__wal_frame_is(const uint8_t *at);
uint32_t memdb__wal_frame_size(const uint8_t *at);
/// Whether the whole frame at `at` (header and its claimed payload) verifies.
bool memdb__wal_frame_verify(const uint8_t *at, uint64_t salt, uint64_t epoch, uint64_t lsn,
                             int64_t *commit_time_out);

#endif
