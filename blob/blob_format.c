// The format of extents and references, version 1. Little-endian.
//
//   extent      `blob/<extent id, 16 hex digits>.ext`: header, then blobs, each at a multiple of 64
//   header      0 magic "MEMDBEXT", 8 format version u32 (1), 12 header size u32 (4096),
//               16 database id (16 bytes), 32 extent id u64, 40 XXH3-64 of bytes 0 to 39 u64,
//               48 zero to 4096
//   blob        header, pieces, zero fill to a multiple of 64
//   its header  0 magic "MEMDBLOB", 8 size u64, 16 XXH3-128 of the content (16 bytes),
//               32 piece size u32 (65536), 36 reserved u32, 40 offset of this header u64,
//               48 reserved u64, 56 XXH3-64 of bytes 0 to 55 u64
//   piece       65536 bytes of content, the last one fewer and at least 1; then their XXH3-64 u64
//   mark        0 magic "MEMDBERA", 8 zero to 56, 56 XXH3-64 of bytes 0 to 55 u64: written over
//   each
//               64 bytes of what a purge erased in place
//   reference   0 extent id u64, 8 offset u64, 16 size u64, 24 first 8 bytes of the content hash
//
// The seed of a checksum is made of extent id and offset in the extent (of the header, of the
// piece), so that bytes which are whole but elsewhere do not pass. Piece i begins at header + 64 +
// i * 65544: any range of a blob is found, and checked, without reading what is before it. The
// checksum follows its piece, so a stream that does not know how long it will be writes strictly
// forward; its blob's header, for which the room was left, is written last, and nothing names the
// blob before.
#include "base/bytes.h"
#include "base/check.h"
#include "base/checksum.h"
#include "blob/blob_extent.h"

#include <inttypes.h>
#include <stdio.h>

#define FORMAT_VERSION 1
#define BLOB_MAGIC UINT64_C(0x424F4C42444D454D)   // "MEMDBLOB"
#define ERASED_MAGIC UINT64_C(0x41524542444D454D) // "MEMDBERA"
enum { EXTENT_HEADER_END = 48 };

static const char EXTENT_MAGIC[8] = {'M', 'E', 'M', 'D', 'B', 'E', 'X', 'T'};

static_assert(MEMDB__EXTENT_HEADER_BYTES % MEMDB__BLOB_ALIGNMENT == 0,
              "the first blob follows the header");
static_assert(MEMDB__BLOB_REFERENCE_BYTES == 32, "four integers");

static uint64_t seed_of(uint64_t extent_id, uint64_t offset) {
    uint8_t address[16];
    memdb__put_u64(address, extent_id);
    memdb__put_u64(address + 8, offset);
    return memdb__hash64(address, sizeof address, 0);
}

uint64_t memdb__piece_checksum(uint64_t extent_id, uint64_t offset, const void *data, size_t size) {
    return memdb__hash64(data, size, seed_of(extent_id, offset));
}

uint64_t memdb__blob_footprint(uint64_t size) {
    uint64_t pieces = (size + MEMDB__PIECE_BYTES - 1) / MEMDB__PIECE_BYTES;
    uint64_t bytes = MEMDB__BLOB_HEADER_BYTES + size + pieces * MEMDB__PIECE_CHECKSUM_BYTES;
    return (bytes + MEMDB__BLOB_ALIGNMENT - 1) / MEMDB__BLOB_ALIGNMENT * MEMDB__BLOB_ALIGNMENT;
}

void memdb__extent_name(uint64_t extent_id, char name_out[32]) {
    snprintf(name_out, 32, "blob/%016" PRIx64 ".ext", extent_id);
}

void memdb__blob_reference_encode(const memdb__blob_reference_t *reference, uint8_t out[32]) {
    memdb__put_u64(out, reference->extent_id);
    memdb__put_u64(out + 8, reference->offset);
    memdb__put_u64(out + 16, reference->size);
    memdb__put_u64(out + 24, reference->hash_prefix);
}

memdb_status_t memdb__blob_reference_decode(const uint8_t bytes[32], memdb__blob_reference_t *out,
                                            memdb_error_t *error) {
    memdb__blob_reference_t reference = {memdb__get_u64(bytes), memdb__get_u64(bytes + 8),
                                         memdb__get_u64(bytes + 16), memdb__get_u64(bytes + 24)};
    if (reference.offset < MEMDB__EXTENT_HEADER_BYTES || reference.offset % MEMDB__BLOB_ALIGNMENT ||
        reference.offset > MEMDB__BLOB_MAX_BYTES || reference.size > MEMDB__BLOB_MAX_BYTES)
        return memdb__fail(error, MEMDB_CORRUPT,
                           "blob/%016" PRIx64 ".ext at %" PRIu64 ": a reference to %" PRIu64
                           " bytes",
                           reference.extent_id, reference.offset, reference.size);
    *out = reference;
    return MEMDB_OK;
}

void memdb__blob_file(const uint8_t reference[32], char name_out[32]) {
    memdb__extent_name(memdb__get_u64(reference), name_out);
}

void memdb__extent_header_encode(const uint8_t database_id[16], uint64_t extent_id,
                                 uint8_t out[MEMDB__EXTENT_HEADER_BYTES]) {
    memset(out, 0, MEMDB__EXTENT_HEADER_BYTES);
    memcpy(out, EXTENT_MAGIC, sizeof EXTENT_MAGIC);
    memdb__put_u32(out + 8, FORMAT_VERSION);
    memdb__put_u32(out + 12, MEMDB__EXTENT_HEADER_BYTES);
    memcpy(out + 16, database_id, 16);
    memdb__put_u64(out + 32, extent_id);
    memdb__put_u64(out + 40, memdb__hash64(out, 40, seed_of(extent_id, 0)));
}

memdb_status_t memdb__extent_header_decode(const uint8_t bytes[MEMDB__EXTENT_HEADER_BYTES],
                                           const uint8_t database_id[16], uint64_t extent_id,
                                           memdb_error_t *error) {
    const char *what = NULL;
    if (memcmp(bytes, EXTENT_MAGIC, sizeof EXTENT_MAGIC) != 0)
        what = "not an extent";
    else if (memdb__get_u64(bytes + 40) != memdb__hash64(bytes, 40, seed_of(extent_id, 0)))
        what = "header checksum mismatch";
    else if (memdb__get_u32(bytes + 8) != FORMAT_VERSION)
        return memdb__fail(error, MEMDB_VERSION, "blob/%016" PRIx64 ".ext: format version %" PRIu32,
                           extent_id, memdb__get_u32(bytes + 8));
    else if (memdb__get_u32(bytes + 12) != MEMDB__EXTENT_HEADER_BYTES ||
             memdb__get_u64(bytes + 32) != extent_id)
        what = "the header of another extent";
    else if (memcmp(bytes + 16, database_id, 16) != 0)
        what = "an extent of another database";
    for (size_t i = EXTENT_HEADER_END; i < MEMDB__EXTENT_HEADER_BYTES && !what; i++)
        if (bytes[i])
            what = "reserved bytes are not zero";
    if (what)
        return memdb__fail(error, MEMDB_CORRUPT, "blob/%016" PRIx64 ".ext at 0: %s", extent_id,
                           what);
    return MEMDB_OK;
}

void memdb__blob_header_encode(uint64_t extent_id, uint64_t offset, uint64_t size,
                               const uint8_t hash[16], uint8_t out[MEMDB__BLOB_HEADER_BYTES]) {
    memset(out, 0, MEMDB__BLOB_HEADER_BYTES);
    memdb__put_u64(out, BLOB_MAGIC);
    memdb__put_u64(out + 8, size);
    memcpy(out + 16, hash, 16);
    memdb__put_u32(out + 32, MEMDB__PIECE_BYTES);
    memdb__put_u64(out + 40, offset);
    memdb__put_u64(out + 56, memdb__hash64(out, 56, seed_of(extent_id, offset)));
}

memdb_status_t memdb__blob_header_decode(const uint8_t bytes[MEMDB__BLOB_HEADER_BYTES],
                                         const memdb__blob_reference_t *reference,
                                         uint8_t hash_out[16], memdb_error_t *error) {
    const char *what = NULL;
    uint64_t seed = seed_of(reference->extent_id, reference->offset);
    if (memdb__get_u64(bytes) != BLOB_MAGIC ||
        memdb__get_u64(bytes + 56) != memdb__hash64(bytes, 56, seed))
        what = "not the header of a blob";
    else if (memdb__get_u32(bytes + 32) != MEMDB__PIECE_BYTES || memdb__get_u32(bytes + 36) ||
             memdb__get_u64(bytes + 40) != reference->offset || memdb__get_u64(bytes + 48))
        what = "a blob's header with unknown fields";
    else if (memdb__get_u64(bytes + 8) != reference->size ||
             memdb__get_u64(bytes + 16) != reference->hash_prefix)
        what = "another blob than the reference names";
    if (what)
        return memdb__fail(error, MEMDB_CORRUPT, "blob/%016" PRIx64 ".ext at %" PRIu64 ": %s",
                           reference->extent_id, reference->offset, what);
    memcpy(hash_out, bytes + 16, 16);
    return MEMDB_OK;
}

bool memdb__blob_header_parse(const uint8_t bytes[MEMDB__BLOB_HEADER_BYTES], uint64_t extent_id,
                              uint64_t offset, uint64_t *size_out, uint64_t *hash_prefix_out) {
    memdb__blob_reference_t reference = {extent_id, offset, memdb__get_u64(bytes + 8),
                                         memdb__get_u64(bytes + 16)};
    uint8_t hash[16];
    memdb_error_t ignored = {0};
    *size_out = reference.size;
    *hash_prefix_out = reference.hash_prefix;
    return reference.size <= MEMDB__BLOB_MAX_BYTES &&
           memdb__blob_header_decode(bytes, &reference, hash, &ignored) == MEMDB_OK;
}

void memdb__erased_mark(uint64_t extent_id, uint64_t offset, uint8_t out[MEMDB__BLOB_ALIGNMENT]) {
    memset(out, 0, MEMDB__BLOB_ALIGNMENT);
    memdb__put_u64(out, ERASED_MAGIC);
    memdb__put_u64(out + 56, memdb__hash64(out, 56, seed_of(extent_id, offset)));
}

bool memdb__is_erased(const uint8_t bytes[MEMDB__BLOB_ALIGNMENT], uint64_t extent_id,
                      uint64_t offset) {
    uint8_t mark[MEMDB__BLOB_ALIGNMENT];
    memdb__erased_mark(extent_id, offset, mark);
    return memcmp(bytes, mark, sizeof mark) == 0;
}
