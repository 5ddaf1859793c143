// Private to sorted segments: their bytes on disk, and what writer and reader compute alike.
//
// Sections of the container
//   0  blocks       one after the other, without gaps
//   1  starts       u64 (block count + 1): where each block begins in section 0; the last is the
//                   size of that section
//   2  key starts   u64 (block count + 1): where each block's first key begins in section 3; the
//                   last is the size of that section
//   3  first keys   bytes
//   4  heads        u64 a block: the 8 bytes of its first key behind the common prefix, as a
//                   big-endian number in little-endian bytes, filled up with zero. Searching these
//                   alone decides nearly every step.
//   5  filter       lines of 64 bytes
//   6  meta         64 bytes, below
//   7  versions     u64 a block: the version of its first entry. There only when some key has more
//                   than one version: first keys alone would not tell where a version lies
//
// meta
//   0   8   entries
//   8   8   blocks
//   16  8   lines of the filter: 0 without entries
//   24  4   version of the sorted format, 1
//   28  4   common prefix: bytes that the first keys of all blocks share
//   32  32  reserved, zero
//
// block
//   0   4       entries, at least 1
//   4   4 each  where the entry begins in the block
//   .   .       entries, without gaps
//
// entry
//   varint  size of the key
//   varint  size of the value * 2 + tombstone
//   8       version
//   .       key, value
//
// The filter is a Bloom filter of which one key sets bits in one cache line only (Putze, Sanders
// and Singler, "Cache-, hash- and space-efficient Bloom filters", 2007): at 10 bits a key and 7
// probes, about 1.2 % of the absent keys pass instead of 0.8 %, for one cache miss instead of
// seven.
#ifndef MEMDB_BASE_SORTED_FORMAT_H
#define MEMDB_BASE_SORTED_FORMAT_H

#include "base/bytes.h"
#include "base/checksum.h"
#include "base/sorted.h"

enum {
    MEMDB__SORTED_BLOCKS = 0,
    MEMDB__SORTED_STARTS = 1,
    MEMDB__SORTED_KEY_STARTS = 2,
    MEMDB__SORTED_FIRST_KEYS = 3,
    MEMDB__SORTED_HEADS = 4,
    MEMDB__SORTED_FILTER = 5,
    MEMDB__SORTED_META = 6,
    MEMDB__SORTED_FIRST_VERSIONS = 7,
};

#define MEMDB__SORTED_VERSION 1
#define MEMDB__SORTED_BLOCK_BYTES 4096 // a block ends before the entry that would make it larger
#define MEMDB__SORTED_META_BYTES 64
#define MEMDB__SORTED_FILTER_LINE_BYTES 64
#define MEMDB__SORTED_FILTER_BITS_PER_KEY 10
#define MEMDB__SORTED_FILTER_PROBES 7
// Two varints and the version.
#define MEMDB__SORTED_ENTRY_HEAD_BYTES 28

struct memdb__sorted {
    memdb__container_t *container;
    const uint8_t *blocks, *starts, *key_starts, *first_keys, *heads, *filter;
    const uint8_t *first_versions; // NULL: one version a key
    uint64_t entry_count, block_count, filter_lines;
    uint32_t common_prefix;
};

/// A block whose pages were checked and whose offset array fits; its entries are still unknown.
typedef struct memdb__sorted_block {
    const uint8_t *at;
    size_t size;
    uint32_t count;
} memdb__sorted_block_t;

static inline uint64_t memdb__sorted_filter_hash(const void *key, size_t size) {
    return memdb__hash64(key, size, 0);
}

/// The line of a key: the high half of the hash, scaled.
static inline uint64_t memdb__sorted_filter_line(uint64_t hash, uint64_t lines) {
    return (uint64_t)((unsigned __int128)hash * lines >> 64);
}

/// Seven numbers of 9 bits, one a probe. The multiplication brings the low bits, which did not
/// choose the line, up.
static inline uint64_t memdb__sorted_filter_bits(uint64_t hash) {
    return hash * UINT64_C(0xd6e8feb86659fd93);
}

/// Up to 8 bytes as a big-endian number, filled up with zero: a < b as byte strings gives head(a)
/// <= head(b).
static inline uint64_t memdb__sorted_head(const uint8_t *key, size_t size) {
    if (size >= 8)
        return memdb__get_be64(key);
    uint64_t head = 0;
    for (size_t i = 0; i < size; i++)
        head |= (uint64_t)key[i] << (56 - 8 * i);
    return head;
}

static inline const uint8_t *memdb__sorted_first_key(const memdb__sorted_t *sorted, uint64_t block,
                                                     size_t *size_out) {
    uint64_t start = memdb__get_u64(sorted->key_starts + block * 8);
    *size_out = (size_t)(memdb__get_u64(sorted->key_starts + block * 8 + 8) - start);
    return sorted->first_keys + start;
}

static inline uint64_t memdb__sorted_first_version(const memdb__sorted_t *sorted, uint64_t block) {
    return memdb__get_u64(sorted->first_versions + block * 8);
}

/// Number of the last block that begins at or before the place of (key, version); UINT64_MAX when
/// there is none. With one version a key the version plays no part.
uint64_t memdb__sorted_find_block(const memdb__sorted_t *sorted, const uint8_t *key,
                                  size_t key_size, uint64_t version);
/// Check the block's pages and its offset array. `number` is below the block count.
memdb_status_t memdb__sorted_load_block(memdb__sorted_t *sorted, uint64_t number,
                                        memdb__sorted_block_t *block_out, memdb_error_t *error);
/// Decode entry `slot`, which is below the block's count.
memdb_status_t memdb__sorted_load_entry(const memdb__sorted_t *sorted,
                                        const memdb__sorted_block_t *block, uint32_t slot,
                                        memdb__entry_t *entry_out, memdb_error_t *error);
/// The first slot at or behind the place of (key, version) (the block's count when there is none).
/// When its entry has that key, `*equal_out` is set and `*entry_out` is that entry.
memdb_status_t memdb__sorted_search_block(const memdb__sorted_t *sorted,
                                          const memdb__sorted_block_t *block, const uint8_t *key,
                                          size_t key_size, uint64_t version, uint32_t *slot_out,
                                          bool *equal_out, memdb__entry_t *entry_out,
                                          memdb_error_t *error);
/// Whether the filter may know the key; false is certain.
memdb_status_t memdb__sorted_filter_passes(memdb__sorted_t *sorted, const void *key,
                                           size_t key_size, bool *passes_out, memdb_error_t *error);

#endif
