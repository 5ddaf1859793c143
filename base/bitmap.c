// Sets of ids. See bitmap.h.
#include "base/bitmap.h"

#include <string.h>

#define WORDS MEMDB__BITMAP_CHUNK_WORDS

void memdb__bitmap_deinit(memdb__bitmap_t *bitmap) {
    for (size_t i = 0; i < bitmap->count; i++)
        memdb__free(bitmap->chunks[i].words);
    memdb__free(bitmap->chunks);
    *bitmap = (memdb__bitmap_t){0};
}

/// The first chunk whose number is not below `number`.
static size_t place_of(const memdb__bitmap_t *bitmap, uint64_t number) {
    size_t low = 0, high = bitmap->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (bitmap->chunks[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const uint64_t *memdb__bitmap_find(const memdb__bitmap_t *bitmap, uint64_t number) {
    size_t place = place_of(bitmap, number);
    return place < bitmap->count && bitmap->chunks[place].number == number
               ? bitmap->chunks[place].words
               : NULL;
}

/// The chunk with this number, made when it is not there. NULL: out of memory.
static uint64_t *take_chunk(memdb__bitmap_t *bitmap, uint64_t number) {
    size_t place = place_of(bitmap, number);
    if (place < bitmap->count && bitmap->chunks[place].number == number)
        return bitmap->chunks[place].words;
    if (bitmap->count == bitmap->capacity) {
        size_t capacity = bitmap->capacity ? 2 * bitmap->capacity : 8;
        memdb__bitmap_chunk_t *chunks =
            memdb__reallocate(bitmap->chunks, capacity * sizeof *chunks);
        if (!chunks)
            return NULL;
        bitmap->chunks = chunks;
        bitmap->capacity = capacity;
    }
    uint64_t *words = memdb__allocate_zeroed(WORDS, sizeof *words);
    if (!words)
        return NULL;
    memmove(bitmap->chunks + place + 1, bitmap->chunks + place,
            (bitmap->count - place) * sizeof *bitmap->chunks);
    bitmap->chunks[place] = (memdb__bitmap_chunk_t){number, words};
    bitmap->count++;
    return words;
}

bool memdb__bitmap_add(memdb__bitmap_t *bitmap, uint64_t id) {
    uint64_t *words = take_chunk(bitmap, id / MEMDB__BITMAP_CHUNK_IDS);
    if (words)
        words[id % MEMDB__BITMAP_CHUNK_IDS / 64] |= UINT64_C(1) << (id % 64);
    return words != NULL;
}

bool memdb__bitmap_add_all(memdb__bitmap_t *bitmap, const uint64_t *ids, size_t count) {
    uint64_t chunk = UINT64_MAX, *words = NULL; // of the id before
    for (size_t i = 0; i < count; i++) {
        uint64_t id = ids[i];
        if (id / MEMDB__BITMAP_CHUNK_IDS != chunk) {
            chunk = id / MEMDB__BITMAP_CHUNK_IDS;
            words = take_chunk(bitmap, chunk);
            if (!words)
                return false;
        }
        words[id % MEMDB__BITMAP_CHUNK_IDS / 64] |= UINT64_C(1) << (id % 64);
    }
    return true;
}

void memdb__bitmap_remove(memdb__bitmap_t *bitmap, uint64_t id) {
    size_t place = place_of(bitmap, id / MEMDB__BITMAP_CHUNK_IDS);
    if (place < bitmap->count && bitmap->chunks[place].number == id / MEMDB__BITMAP_CHUNK_IDS)
        bitmap->chunks[place].words[id % MEMDB__BITMAP_CHUNK_IDS / 64] &=
            ~(UINT64_C(1) << (id % 64));
}

uint64_t memdb__bitmap_count(const memdb__bitmap_t *bitmap) {
    uint64_t count = 0;
    for (size_t i = 0; i < bitmap->count; i++)
        for (size_t word = 0; word < WORDS; word++)
            count += (uint64_t)__builtin_popcountll(bitmap->chunks[i].words[word]);
    return count;
}

void memdb__bitmap_list(const memdb__bitmap_t *bitmap, uint64_t *ids) {
    for (size_t i = 0; i < bitmap->count; i++) {
        uint64_t first = bitmap->chunks[i].number * MEMDB__BITMAP_CHUNK_IDS;
        for (size_t word = 0; word < WORDS; word++)
            for (uint64_t bits = bitmap->chunks[i].words[word]; bits; bits &= bits - 1)
                *ids++ = first + word * 64 + (uint64_t)__builtin_ctzll(bits);
    }
}

void memdb__bitmap_and(memdb__bitmap_t *bitmap, const memdb__bitmap_t *other) {
    size_t kept = 0;
    for (size_t i = 0; i < bitmap->count; i++) {
        const uint64_t *words = memdb__bitmap_find(other, bitmap->chunks[i].number);
        for (size_t word = 0; words && word < WORDS; word++)
            bitmap->chunks[i].words[word] &= words[word];
        if (words)
            bitmap->chunks[kept++] = bitmap->chunks[i];
        else
            memdb__free(bitmap->chunks[i].words);
    }
    bitmap->count = kept;
}

void memdb__bitmap_subtract(memdb__bitmap_t *bitmap, const memdb__bitmap_t *other) {
    for (size_t i = 0; i < bitmap->count; i++) {
        const uint64_t *words = memdb__bitmap_find(other, bitmap->chunks[i].number);
        for (size_t word = 0; words && word < WORDS; word++)
            bitmap->chunks[i].words[word] &= ~words[word];
    }
}

bool memdb__bitmap_or(memdb__bitmap_t *bitmap, const memdb__bitmap_t *other) {
    for (size_t i = 0; i < other->count; i++) {
        uint64_t *words = take_chunk(bitmap, other->chunks[i].number);
        if (!words)
            return false;
        for (size_t word = 0; word < WORDS; word++)
            words[word] |= other->chunks[i].words[word];
    }
    return true;
}
