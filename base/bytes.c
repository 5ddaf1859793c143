// Varints, the reader of hostile bytes, and the UTF-8 check.
//
// Invariant of the reader: `at` never passes `end`; once `bad` is set, nothing moves any more.
#include "base/bytes.h"

size_t memdb__put_varint(uint8_t *at, uint64_t value) {
    size_t size = 0;
    while (value >= 0x80) {
        at[size++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    at[size++] = (uint8_t)value;
    return size;
}

uint64_t memdb__read_long_varint(memdb__reader_t *reader) {
    if (reader->bad)
        return 0;
    uint64_t value = 0;
    const uint8_t *at = reader->at;
    for (unsigned shift = 0; at < reader->end && shift < 64; shift += 7) {
        uint8_t byte = *at++;
        if (shift == 63 && byte > 1) // the tenth byte has room for one bit
            break;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            reader->at = at;
            return value;
        }
    }
    reader->bad = true;
    return 0;
}

/// Length of the well-formed sequence that begins at `p`, or 0. The ranges are table 3-7 of the
/// Unicode standard: only the second byte has limits of its own, which exclude overlong forms,
/// surrogates and what is above U+10FFFF.
static size_t sequence_size(const uint8_t *p, size_t left) {
    uint8_t lead = p[0], low = 0x80, high = 0xbf;
    size_t size;
    if (lead < 0x80)
        return 1;
    if (lead >= 0xc2 && lead <= 0xdf) {
        size = 2;
    } else if (lead >= 0xe0 && lead <= 0xef) {
        size = 3;
        if (lead == 0xe0)
            low = 0xa0;
        if (lead == 0xed)
            high = 0x9f;
    } else if (lead >= 0xf0 && lead <= 0xf4) {
        size = 4;
        if (lead == 0xf0)
            low = 0x90;
        if (lead == 0xf4)
            high = 0x8f;
    } else {
        return 0;
    }
    if (left < size || p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < size; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return size;
}

#define HIGH_BITS 0x8080808080808080u

bool memdb__is_utf8(const void *data, size_t size) {
    const uint8_t *p = data;
    size_t at = 0;
    while (at < size) {
        uint64_t words[4];
        if (size - at >= sizeof words) { // text is mostly ASCII: 32 bytes at a time, or 8
            memcpy(words, p + at, sizeof words);
            if (!((words[0] | words[1] | words[2] | words[3]) & HIGH_BITS)) {
                at += sizeof words;
                continue;
            }
        }
        if (size - at >= sizeof *words) {
            memcpy(words, p + at, sizeof *words);
            if (!(*words & HIGH_BITS)) {
                at += sizeof *words;
                continue;
            }
        }
        size_t step = sequence_size(p + at, size - at);
        if (!step)
            return false;
        at += step;
    }
    return true;
}
