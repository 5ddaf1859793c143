// The xxHash adapter: XXH3-64 as checksum of everything durable, XXH3-128 as content identity of
// blobs.
#ifndef MEMDB_BASE_CHECKSUM_H
#define MEMDB_BASE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/// XXH3-64 of the bytes, seeded. A checksum that covers an address passes the address as `seed`.
uint64_t memdb__hash64(const void *data, size_t size, uint64_t seed);

/// XXH3-128 in canonical (big-endian) bytes.
void memdb__hash128(const void *data, size_t size, uint8_t digest_out[16]);

/// A streaming XXH3-128.
typedef struct memdb__hash128_stream memdb__hash128_stream_t;
memdb__hash128_stream_t *memdb__hash128_create(void); // NULL when out of memory
void memdb__hash128_update(memdb__hash128_stream_t *stream, const void *data, size_t size);
void memdb__hash128_digest(const memdb__hash128_stream_t *stream, uint8_t digest_out[16]);
void memdb__hash128_destroy(memdb__hash128_stream_t *stream);

#endif
