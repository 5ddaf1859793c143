// The bytes of the log. See wal_format.h; docs/file_format.md has the same tables.
//
// Segment header, one block:
//   offset size
//        0    8  magic "MEMDBLOG"
//        8    4  format version, 1
//       12    4  flags (memdb__wal_segment_flags_t)
//       16   16  database id
//       32    8  epoch, from 1
//       40    8  start LSN
//       48    8  capacity in bytes
//       56    8  epoch of the predecessor, or 0
//       64    8  end of the predecessor
//       72 4016  zero
//     4088    8  XXH3-64 of all above
//
// Batch header, 64 bytes at a multiple of 4096:
//        0    4  magic "MBAT"
//        4    4  flags (memdb__wal_batch_flags_t)
//        8    8  epoch
//       16    8  its own LSN
//       24    8  bytes up to the end of the last frame, this header included
//       32    4  frames
//       36    4  zero
//       40    8  durable LSN
//       48    8  end of the last frame before it
//       56    8  XXH3-64 of all above, seeded with the database's salt
//
// Frame header, 24 bytes at a multiple of 8, then the payload, then zeros up to a multiple of 8:
//        0    4  magic "MFRM"
//        4    4  payload size
//        8    8  XXH3-64 of commit time and payload, seeded with salt, epoch, LSN and size
//       16    8  commit time, microseconds
#include "wal/wal_format.h"

#include "base/bytes.h"
#include "base/checksum.h"

#define FORMAT_VERSION 1u
#define BATCH_MAGIC 0x5441424du // "MBAT"
#define FRAME_MAGIC 0x4d52464du // "MFRM"
#define HEADER_CHECKSUM_AT (MEMDB__WAL_BLOCK_BYTES - 8)
#define HEADER_USED_BYTES 72
#define MAX_LSN (UINT64_C(1) << 62) // no log gets there; sums of positions cannot wrap below it

static const uint8_t segment_magic[8] = {'M', 'E', 'M', 'D', 'B', 'L', 'O', 'G'};

_Static_assert(MEMDB__WAL_BATCH_HEADER_BYTES % 8 == 0,
               "frames of a batch begin on a multiple of 8");
_Static_assert(MEMDB__WAL_FRAME_HEADER_BYTES % 8 == 0, "frame sizes are multiples of 8");

uint64_t memdb__wal_salt(const uint8_t database_id[16]) {
    return memdb__hash64(database_id, 16, 0);
}

void memdb__wal_header_encode(const memdb__wal_header_t *header,
                              uint8_t page[MEMDB__WAL_BLOCK_BYTES]) {
    memset(page, 0, MEMDB__WAL_BLOCK_BYTES);
    memcpy(page, segment_magic, 8);
    memdb__put_u32(page + 8, FORMAT_VERSION);
    memdb__put_u32(page + 12, header->flags);
    memcpy(page + 16, header->database_id, 16);
    memdb__put_u64(page + 32, header->epoch);
    memdb__put_u64(page + 40, header->start);
    memdb__put_u64(page + 48, header->capacity);
    memdb__put_u64(page + 56, header->previous_epoch);
    memdb__put_u64(page + 64, header->previous_end);
    memdb__put_u64(page + HEADER_CHECKSUM_AT, memdb__hash64(page, HEADER_CHECKSUM_AT, 0));
}

static const char *header_fault(const memdb__wal_header_t *h, const uint8_t *page) {
    for (size_t i = HEADER_USED_BYTES; i < HEADER_CHECKSUM_AT; i++) {
        if (page[i] != 0) {
            return "reserved bytes are not zero";
        }
    }
    const uint32_t known = MEMDB__WAL_SEGMENT_AFTER_DEATH | MEMDB__WAL_SEGMENT_COPY;
    if ((h->flags & ~known) != 0) {
        return "unknown flags";
    }
    if (h->epoch == 0 || h->previous_epoch >= h->epoch) {
        return "epochs do not rise";
    }
    if (h->start % MEMDB__WAL_BLOCK_BYTES != 0 || h->start > MAX_LSN || h->previous_end > MAX_LSN ||
        h->previous_end % 8 != 0 ||
        (h->start != memdb__wal_block_up(h->previous_end) &&
         h->start != memdb__wal_block_down(h->previous_end))) {
        return "start and end of the predecessor do not fit";
    }
    if (h->capacity % MEMDB__WAL_BLOCK_BYTES != 0 || h->capacity < 2 * MEMDB__WAL_BLOCK_BYTES ||
        h->capacity > MAX_LSN) {
        return "capacity out of range";
    }
    return NULL;
}

memdb_status_t memdb__wal_header_decode(const uint8_t page[MEMDB__WAL_BLOCK_BYTES],
                                        const char *file, memdb__wal_header_t *header_out,
                                        memdb_error_t *error) {
    if (memcmp(page, segment_magic, 8) != 0) {
        return memdb__fail(error, MEMDB_CORRUPT, "%s at 0: not a log segment", file);
    }
    if (memdb__get_u64(page + HEADER_CHECKSUM_AT) != memdb__hash64(page, HEADER_CHECKSUM_AT, 0)) {
        return memdb__fail(error, MEMDB_CORRUPT, "%s at 0: checksum mismatch in the segment header",
                           file);
    }
    if (memdb__get_u32(page + 8) != FORMAT_VERSION) {
        return memdb__fail(error, MEMDB_VERSION, "%s at 8: log format %u, this version knows %u",
                           file, memdb__get_u32(page + 8), FORMAT_VERSION);
    }
    memdb__wal_header_t h = {
        .flags = memdb__get_u32(page + 12),
        .epoch = memdb__get_u64(page + 32),
        .start = memdb__get_u64(page + 40),
        .capacity = memdb__get_u64(page + 48),
        .previous_epoch = memdb__get_u64(page + 56),
        .previous_end = memdb__get_u64(page + 64),
    };
    memcpy(h.database_id, page + 16, 16);
    const char *fault = header_fault(&h, page);
    if (fault != NULL) {
        return memdb__fail(error, MEMDB_CORRUPT, "%s at 0: %s in the segment header", file, fault);
    }
    *header_out = h;
    return MEMDB_OK;
}

void memdb__wal_batch_encode(const memdb__wal_batch_t *batch, uint64_t salt,
                             uint8_t bytes[MEMDB__WAL_BATCH_HEADER_BYTES]) {
    memdb__put_u32(bytes, BATCH_MAGIC);
    memdb__put_u32(bytes + 4, batch->flags);
    memdb__put_u64(bytes + 8, batch->epoch);
    memdb__put_u64(bytes + 16, batch->lsn);
    memdb__put_u64(bytes + 24, batch->bytes);
    memdb__put_u32(bytes + 32, batch->frames);
    memdb__put_u32(bytes + 36, 0);
    memdb__put_u64(bytes + 40, batch->durable);
    memdb__put_u64(bytes + 48, batch->previous_end);
    memdb__put_u64(bytes + 56, memdb__hash64(bytes, 56, salt));
}

bool memdb__wal_batch_decode(const uint8_t bytes[MEMDB__WAL_BATCH_HEADER_BYTES], uint64_t salt,
                             uint64_t epoch, uint64_t lsn, memdb__wal_batch_t *batch_out) {
    // The cheap comparisons come first: the search for later batches asks for every block of a
    // segment.
    if (memdb__get_u32(bytes) != BATCH_MAGIC || memdb__get_u64(bytes + 8) != epoch ||
        memdb__get_u64(bytes + 16) != lsn ||
        memdb__get_u64(bytes + 56) != memdb__hash64(bytes, 56, salt)) {
        return false;
    }
    memdb__wal_batch_t b = {
        .flags = memdb__get_u32(bytes + 4),
        .frames = memdb__get_u32(bytes + 32),
        .epoch = epoch,
        .lsn = lsn,
        .bytes = memdb__get_u64(bytes + 24),
        .durable = memdb__get_u64(bytes + 40),
        .previous_end = memdb__get_u64(bytes + 48),
    };
    bool closing = b.flags == MEMDB__WAL_BATCH_CLOSING;
    uint64_t least =
        MEMDB__WAL_BATCH_HEADER_BYTES + (uint64_t)b.frames * MEMDB__WAL_FRAME_HEADER_BYTES;
    if ((b.flags != 0 && !closing) || memdb__get_u32(bytes + 36) != 0 ||
        closing != (b.frames == 0) || b.bytes < least || b.bytes % 8 != 0 || b.bytes > MAX_LSN ||
        (closing && b.bytes != least)) {
        return false;
    }
    *batch_out = b;
    return true;
}

static uint64_t frame_seed(uint64_t salt, uint64_t epoch, uint64_t lsn, uint32_t size) {
    uint8_t place[20];
    memdb__put_u64(place, epoch);
    memdb__put_u64(place + 8, lsn);
    memdb__put_u32(place + 16, size);
    return memdb__hash64(place, sizeof place, salt);
}

void memdb__wal_frame_encode(uint8_t *at, uint64_t salt, uint64_t epoch, uint64_t lsn,
                             int64_t commit_time, const void *payload, size_t size) {
    memdb__put_u32(at, FRAME_MAGIC);
    memdb__put_u32(at + 4, (uint32_t)size);
    memdb__put_u64(at + 16, (uint64_t)commit_time);
    if (size != 0) {
        memcpy(at + MEMDB__WAL_FRAME_HEADER_BYTES, payload, size);
    }
    memset(at + MEMDB__WAL_FRAME_HEADER_BYTES + size, 0, (8 - size % 8) % 8);
    memdb__put_u64(at + 8,
                   memdb__hash64(at + 16, 8 + size, frame_seed(salt, epoch, lsn, (uint32_t)size)));
}

bool memdb__wal_frame_is(const uint8_t *at) {
    return memdb__get_u32(at) == FRAME_MAGIC;
}

uint32_t memdb__wal_frame_size(const uint8_t *at) {
    return memdb__get_u32(at + 4);
}

bool memdb__wal_frame_verify(const uint8_t *at, uint64_t salt, uint64_t epoch, uint64_t lsn,
                             int64_t *commit_time_out) {
    uint32_t size = memdb__get_u32(at + 4);
    if (memdb__get_u32(at) != FRAME_MAGIC ||
        memdb__get_u64(at + 8) !=
            memdb__hash64(at + 16, 8 + (size_t)size, frame_seed(salt, epoch, lsn, size))) {
        return false;
    }
    *commit_time_out = (int64_t)memdb__get_u64(at + 16);
    return true;
}
