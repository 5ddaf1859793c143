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
//   5  hash         lines of 64 bytes, below
//   6  meta         64 bytes, below
//   7  versions     u64 a block: the version of its first entry. There only when some key has more
//                   than one version: first keys alone would not tell where a version lies
//
// meta
//   0   8   entries
//   8   8   blocks
//   16  8   lines of the hash
//   24  4   version of the sorted format, 1
//   28  4   common prefix: bytes that the first keys of all blocks share
//   32  32  a bit for each first byte of keys that are in the hash: bit (b & 7) of byte b / 8
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
// The hash finds single keys without a search. A line is a cache line of 8 slots, u64 each; a slot
// is 0 (free), or (tag << 40) + 1 + where the entry of the key's newest version begins in section
// 0; the tag is the low 24 bits of the key's hash, whose high bits, scaled, choose the line. A key
// whose line is full has its slot in the next line that is not (the last one is followed by the
// first): a free slot ends the search. Six of eight slots are used, so a key that is there costs
// one line, seldom two, and its entry; a key that is not costs the line alone, since another key's
// tag is equal once in two million lines. Keys with other first bytes are found by halving.
#ifndef MEMDB_BASE_SORTED_FORMAT_H
#define MEMDB_BASE_SORTED_FORMAT_H

#include "base/bytes.h"
#include "base/sorted.h"

enum {
    MEMDB__SORTED_BLOCKS = 0,
    MEMDB__SORTED_STARTS = 1,
    MEMDB__SORTED_KEY_STARTS = 2,
    MEMDB__SORTED_FIRST_KEYS = 3,
    MEMDB__SORTED_HEADS = 4,
    MEMDB__SORTED_HASH = 5,
    MEMDB__SORTED_META = 6,
    MEMDB__SORTED_FIRST_VERSIONS = 7,
};

#define MEMDB__SORTED_VERSION 1
#define MEMDB__SORTED_BLOCK_BYTES 4096 // a block ends before the entry that would make it larger
#define MEMDB__SORTED_META_BYTES 64
#define MEMDB__SORTED_LINE_BYTES 64
#define MEMDB__SORTED_LINE_SLOTS 8
#define MEMDB__SORTED_LINE_KEYS 6 // a line for so many keys
#define MEMDB__SORTED_TAG_SHIFT 40
// Two varints and the version.
#define MEMDB__SORTED_ENTRY_HEAD_BYTES 28

struct memdb__sorted {
    memdb__container_t *container;
    const uint8_t *blocks, *starts, *key_starts, *first_keys, *heads, *hash;
    const uint8_t *first_versions; // NULL: one version a key
    const uint8_t *hashed;         // a bit a first byte
    uint64_t entry_count, block_count, hash_lines;
    uint64_t blocks_size, first_keys_size;
    uint32_t common_prefix; // at most first_keys_size
};

/// A block whose pages were checked and whose offset array fits; its entries are still unknown.
typedef struct memdb__sorted_block {
    const uint8_t *at;
    size_t size;
    uint32_t count;
} memdb__sorted_block_t;

/// Whether keys like this one are in the hash, by the bits of their first bytes.
static inline bool memdb__sorted_is_hashed(const uint8_t *bits, const uint8_t *key, size_t size) {
    return size && bits[key[0] / 8] >> (key[0] & 7) & 1;
}

/// The line where the search for a key begins: the high half of the hash, scaled.
static inline uint64_t memdb__sorted_line(uint64_t hash, uint64_t lines) {
    return (uint64_t)((unsigned __int128)hash * lines >> 64);
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

/// The pages of the index are checked when they are touched. Only for verify, which has checked the
/// whole index: no bound and no page is checked here.
static inline const uint8_t *memdb__sorted_first_key(const memdb__sorted_t *sorted, uint64_t block,
                                                     size_t *size_out) {
    uint64_t start = memdb__get_u64(sorted->key_starts + block * 8);
    *size_out = (size_t)(memdb__get_u64(sorted->key_starts + block * 8 + 8) - start);
    return sorted->first_keys + start;
}

static inline uint64_t memdb__sorted_first_version(const memdb__sorted_t *sorted, uint64_t block) {
    return memdb__get_u64(sorted->first_versions + block * 8);
}

/// Decode the entry at `at`, of which `size` bytes may be read; false when it leaves them.
static inline bool memdb__sorted_decode(const uint8_t *at, size_t size, memdb__entry_t *entry) {
    memdb__reader_t reader = {at, at + size, false};
    uint64_t key_size, value_size;
    if (size >= 11 && at[0] < 0x80 && (at[1] < 0x80 || at[2] < 0x80)) {
        // The common case: the size of the key in a byte, that of the value in one or two.
        key_size = at[0];
        value_size = at[1] < 0x80 ? at[1] : (at[1] & 0x7Fu) | (uint64_t)at[2] << 7;
        reader.at += at[1] < 0x80 ? 2 : 3;
    } else {
        key_size = memdb__read_varint(&reader);
        value_size = memdb__read_varint(&reader);
        if (reader.bad || memdb__reader_left(&reader) < 8)
            return false;
    }
    entry->version = memdb__get_u64(reader.at);
    entry->tombstone = value_size & 1;
    value_size >>= 1;
    uint64_t left = memdb__reader_left(&reader) - 8;
    if (key_size > left || value_size > left - key_size)
        return false;
    entry->key = reader.at + 8;
    entry->key_size = (size_t)key_size;
    entry->value = entry->key + key_size;
    entry->value_size = (size_t)value_size;
    return true;
}

/// Number of the last block that begins at or before the place of (key, version); UINT64_MAX when
/// there is none. With one version a key the version plays no part.
memdb_status_t memdb__sorted_find_block(const memdb__sorted_t *sorted, const uint8_t *key,
                                        size_t key_size, uint64_t version, uint64_t *number_out,
                                        memdb_error_t *error);
/// Where (key, version) belongs: in block `number`, at `slot`, which is the block's count where all
/// its entries lie in front. `number` UINT64_MAX: in front of the first block, and nothing else is
/// set.
typedef struct memdb__sorted_place {
    uint64_t number;
    memdb__sorted_block_t block;
    uint32_t slot;
    bool equal;           // the entry there has the key
    memdb__entry_t entry; // it, if it does
} memdb__sorted_place_t;
memdb_status_t memdb__sorted_find_place(memdb__sorted_t *sorted, const uint8_t *key,
                                        size_t key_size, uint64_t version,
                                        memdb__sorted_place_t *place_out, memdb_error_t *error);
/// Check the whole index: its pages, that starts rise, and that first keys are in order.
memdb_status_t memdb__sorted_check_index(const memdb__sorted_t *sorted, memdb_error_t *error);
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
/// The entry that the hash has for a key that is hashed: its newest version. MEMDB_NOT_FOUND
/// without a message: the segment does not have the key.
memdb_status_t memdb__sorted_hash_find(memdb__sorted_t *sorted, const void *key, size_t key_size,
                                       uint64_t hash, memdb__entry_t *entry_out,
                                       memdb_error_t *error);
/// How many keys the hash holds. Its pages are checked.
memdb_status_t memdb__sorted_hash_count(memdb__sorted_t *sorted, uint64_t *count_out,
                                        memdb_error_t *error);

#endif
