// The xxHash adapter: the only file that includes xxhash.h.
#include "base/checksum.h"

#include "base/memory.h"

#include <string.h>

// Inlined: a short key is hashed without a call, and the state has a known size.
#define XXH_INLINE_ALL
#include <xxhash.h>

struct memdb__hash128_stream {
    XXH3_state_t state; // aligned to 64 bytes, hence the aligned allocation
};

uint64_t memdb__hash64(const void *data, size_t size, uint64_t seed) {
    return XXH3_64bits_withSeed(data, size, seed);
}

static void put_canonical(XXH128_hash_t hash, uint8_t digest_out[16]) {
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, hash);
    memcpy(digest_out, canonical.digest, 16);
}

void memdb__hash128(const void *data, size_t size, uint8_t digest_out[16]) {
    put_canonical(XXH3_128bits(data, size), digest_out);
}

memdb__hash128_stream_t *memdb__hash128_create(void) {
    memdb__hash128_stream_t *stream = memdb__allocate_aligned(sizeof *stream);
    if (stream)
        XXH3_128bits_reset(&stream->state);
    return stream;
}

void memdb__hash128_update(memdb__hash128_stream_t *stream, const void *data, size_t size) {
    XXH3_128bits_update(&stream->state, data, size);
}

void memdb__hash128_digest(const memdb__hash128_stream_t *stream, uint8_t digest_out[16]) {
    put_canonical(XXH3_128bits_digest(&stream->state), digest_out);
}

void memdb__hash128_destroy(memdb__hash128_stream_t *stream) {
    memdb__free_aligned(stream);
}
