// Sets of ids.
//
// Ids of memories are dense and rising, so a set is a list of chunks of 65,536 bits, of those
// ranges of ids alone in which it has members (the outer shape of Roaring bitmaps, Chambi, Lemire,
// Kaser, Godin 2016; of its inner forms only the plain one, which is the fastest to ask and to
// combine). An id costs a bit and a chunk 8 KiB, so what a set takes is bounded by the ids that
// were given out. Allocations go through base/memory.h and may fail: no member is lost unnoticed.
#ifndef MEMDB_BASE_BITMAP_H
#define MEMDB_BASE_BITMAP_H

#include "base/memory.h"

#define MEMDB__BITMAP_CHUNK_IDS 65536u
#define MEMDB__BITMAP_CHUNK_WORDS (MEMDB__BITMAP_CHUNK_IDS / 64)

typedef struct memdb__bitmap_chunk {
    uint64_t number; // of its first id, by 65,536
    uint64_t *words; // MEMDB__BITMAP_CHUNK_WORDS
} memdb__bitmap_chunk_t;

/// Zeroed storage is the empty set.
typedef struct memdb__bitmap {
    memdb__bitmap_chunk_t *chunks; // rising
    size_t count, capacity;
} memdb__bitmap_t;

void memdb__bitmap_deinit(memdb__bitmap_t *bitmap);
/// False: out of memory, and nothing changed.
bool memdb__bitmap_add(memdb__bitmap_t *bitmap, uint64_t id);
/// The same for many; where it fails, some of them are added.
bool memdb__bitmap_add_all(memdb__bitmap_t *bitmap, const uint64_t *ids, size_t count);
void memdb__bitmap_remove(memdb__bitmap_t *bitmap, uint64_t id);
/// The chunk with this number, or NULL.
const uint64_t *memdb__bitmap_find(const memdb__bitmap_t *bitmap, uint64_t number);
static inline bool memdb__bitmap_has(const memdb__bitmap_t *bitmap, uint64_t id) {
    const uint64_t *words = memdb__bitmap_find(bitmap, id / MEMDB__BITMAP_CHUNK_IDS);
    return words && words[id % MEMDB__BITMAP_CHUNK_IDS / 64] >> (id % 64) & 1;
}
uint64_t memdb__bitmap_count(const memdb__bitmap_t *bitmap);
/// Write the members, rising, to `ids`, which has room for all.
void memdb__bitmap_list(const memdb__bitmap_t *bitmap, uint64_t *ids);

/// bitmap = bitmap and other; bitmap = bitmap and not other.
void memdb__bitmap_and(memdb__bitmap_t *bitmap, const memdb__bitmap_t *other);
void memdb__bitmap_subtract(memdb__bitmap_t *bitmap, const memdb__bitmap_t *other);
/// bitmap = bitmap or other. False: out of memory; the bitmap holds a part of it.
bool memdb__bitmap_or(memdb__bitmap_t *bitmap, const memdb__bitmap_t *other);

#endif
