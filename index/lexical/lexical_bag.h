// Reading the terms of a bag.
#ifndef MEMDB_INDEX_LEXICAL_BAG_H
#define MEMDB_INDEX_LEXICAL_BAG_H

#include "base/bytes.h"
#include "index/lexical/lexical.h"

/// A document's terms, read one by one. After memdb__bag_open and after each step `bad` says that
/// the bytes are no bag.
typedef struct memdb__bag {
    memdb__reader_t reader;
    uint32_t tokens, terms; // as the head says
    uint32_t left;          // terms not yet read
    uint64_t counted;       // sum of tf so far
    const uint8_t *term;
    uint32_t size, tf;
    bool bad;
} memdb__bag_t;

bool memdb__bag_open(memdb__bag_t *bag, const uint8_t *data, size_t size);
/// The next term into `term`, `size`, `tf`. False at the end, and where the bytes are bad. All of
/// the form is checked: rising terms, sizes, counts, and at the end the sum of tf and that nothing
/// follows.
bool memdb__bag_next(memdb__bag_t *bag);

/// The first 8 bytes of a term as a big-endian number, filled with zeros: it decides most
/// comparisons, and terms of up to 8 bytes with the same number are the same, since none holds a
/// zero. `size` is 1 or more.
static inline uint64_t memdb__term_key(const uint8_t *term, size_t size) {
    if (size >= 8) {
        return memdb__get_be64(term);
    }
    // Loads that overlap, in registers: bytes put together in memory would be waited for.
    if (size >= 4) {
        return (uint64_t)memdb__get_be32(term) << 32 | (uint64_t)memdb__get_be32(term + size - 4)
                                                           << (64 - 8 * size);
    }
    return (uint64_t)term[0] << 56 | (uint64_t)term[size / 2] << (56 - 8 * (size / 2)) |
           (uint64_t)term[size - 1] << (64 - 8 * size);
}

#endif
