// Integers to and from bytes, and a cursor that reads hostile bytes safely.
//
// On disk: little-endian fixed-width integers and LEB128 varints. Keys of sorted segments use
// big-endian integers, so that memcmp orders them.
#ifndef MEMDB_BASE_BYTES_H
#define MEMDB_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// One load or store and, where the byte order differs, one swap; memcpy makes any address legal.
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define MEMDB__LITTLE16(v) (v)
#define MEMDB__LITTLE32(v) (v)
#define MEMDB__LITTLE64(v) (v)
#define MEMDB__BIG32(v) __builtin_bswap32(v)
#define MEMDB__BIG64(v) __builtin_bswap64(v)
#else
#define MEMDB__LITTLE16(v) __builtin_bswap16(v)
#define MEMDB__LITTLE32(v) __builtin_bswap32(v)
#define MEMDB__LITTLE64(v) __builtin_bswap64(v)
#define MEMDB__BIG32(v) (v)
#define MEMDB__BIG64(v) (v)
#endif

static inline void memdb__put_u16(void *at, uint16_t v) {
    v = MEMDB__LITTLE16(v);
    memcpy(at, &v, sizeof v);
}
static inline uint16_t memdb__get_u16(const void *at) {
    uint16_t v;
    memcpy(&v, at, sizeof v);
    return MEMDB__LITTLE16(v);
}
static inline void memdb__put_u32(void *at, uint32_t v) {
    v = MEMDB__LITTLE32(v);
    memcpy(at, &v, sizeof v);
}
static inline uint32_t memdb__get_u32(const void *at) {
    uint32_t v;
    memcpy(&v, at, sizeof v);
    return MEMDB__LITTLE32(v);
}
static inline void memdb__put_u64(void *at, uint64_t v) {
    v = MEMDB__LITTLE64(v);
    memcpy(at, &v, sizeof v);
}
static inline uint64_t memdb__get_u64(const void *at) {
    uint64_t v;
    memcpy(&v, at, sizeof v);
    return MEMDB__LITTLE64(v);
}
static inline void memdb__put_be32(void *at, uint32_t v) {
    v = MEMDB__BIG32(v);
    memcpy(at, &v, sizeof v);
}
static inline uint32_t memdb__get_be32(const void *at) {
    uint32_t v;
    memcpy(&v, at, sizeof v);
    return MEMDB__BIG32(v);
}
static inline void memdb__put_be64(void *at, uint64_t v) {
    v = MEMDB__BIG64(v);
    memcpy(at, &v, sizeof v);
}
static inline uint64_t memdb__get_be64(const void *at) {
    uint64_t v;
    memcpy(&v, at, sizeof v);
    return MEMDB__BIG64(v);
}

/// The bits of an IEEE 754 number, and the number of some bits.
static inline uint32_t memdb__float_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}
static inline float memdb__bits_float(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
static inline uint64_t memdb__double_bits(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}
static inline double memdb__bits_double(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/// Encode a LEB128 varint; returns its length, 1 to 10.
size_t memdb__put_varint(uint8_t *at, uint64_t value);

/// Reads from hostile bytes: after any read past the end, or of a varint of more than 64 bits,
/// `bad` is set, and it and all later reads give zero (or an empty slice). Check `bad` once, at the
/// end.
typedef struct memdb__reader {
    const uint8_t *at, *end;
    bool bad;
} memdb__reader_t;

static inline memdb__reader_t memdb__reader(const void *data, size_t size) {
    const uint8_t *p = data;
    return (memdb__reader_t){p, p ? p + size : p, false};
}
static inline size_t memdb__reader_left(const memdb__reader_t *r) {
    return (size_t)(r->end - r->at);
}
/// NULL when bad.
static inline const uint8_t *memdb__read_slice(memdb__reader_t *reader, size_t size) {
    if (reader->bad || size > memdb__reader_left(reader)) {
        reader->bad = true;
        return NULL;
    }
    const uint8_t *at = reader->at;
    if (size) // an empty reader may stand on NULL, to which nothing may be added
        reader->at += size;
    return at;
}
static inline uint8_t memdb__read_u8(memdb__reader_t *reader) {
    const uint8_t *at = memdb__read_slice(reader, 1);
    return at ? *at : 0;
}
static inline uint32_t memdb__read_u32(memdb__reader_t *reader) {
    const uint8_t *at = memdb__read_slice(reader, 4);
    return at ? memdb__get_u32(at) : 0;
}
static inline uint64_t memdb__read_u64(memdb__reader_t *reader) {
    const uint8_t *at = memdb__read_slice(reader, 8);
    return at ? memdb__get_u64(at) : 0;
}
/// A varint of any length; memdb__read_varint decodes those of a byte, which most are, in place.
uint64_t memdb__read_long_varint(memdb__reader_t *reader);
static inline uint64_t memdb__read_varint(memdb__reader_t *reader) {
    if (!reader->bad && reader->at < reader->end && *reader->at < 0x80)
        return *reader->at++;
    return memdb__read_long_varint(reader);
}
/// A varint size, then so many bytes.
static inline const uint8_t *memdb__read_sized(memdb__reader_t *reader, size_t *size_out) {
    uint64_t size = memdb__read_varint(reader);
    *size_out = 0;
    if (reader->bad || size > memdb__reader_left(reader)) {
        reader->bad = true;
        return NULL;
    }
    *size_out = (size_t)size;
    return memdb__read_slice(reader, (size_t)size);
}

/// memcmp over the common length, then by length: <0, 0, >0.
static inline int memdb__compare(const void *a, size_t a_size, const void *b, size_t b_size) {
    size_t common = a_size < b_size ? a_size : b_size;
    int order = common ? memcmp(a, b, common) : 0;
    return order ? order : (a_size > b_size) - (a_size < b_size);
}

/// Whether `data` is well-formed UTF-8 (no surrogates, no overlong forms, up to U+10FFFF).
bool memdb__is_utf8(const void *data, size_t size);

#endif
