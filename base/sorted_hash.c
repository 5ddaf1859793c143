// Reading single keys of a sorted segment: through the hash, or by halving.
//
// What a slot says is hostile: where it points to must lie in the section of blocks and be an entry
// with the key that was asked for. So a slot can lose a key, and memdb__sorted_verify finds that,
// but never give another one.
#include "base/sorted_format.h"

#define TAG_MASK ((UINT64_C(1) << (64 - MEMDB__SORTED_TAG_SHIFT)) - 1)
#define PLACE_MASK ((UINT64_C(1) << MEMDB__SORTED_TAG_SHIFT) - 1)

static memdb_status_t corrupt_slot(const memdb__sorted_t *sorted, uint64_t place,
                                   memdb_error_t *error) {
    return memdb__fail(error, MEMDB_CORRUPT, "%s: sorted hash: no entry begins at %llu",
                       memdb__container_name(sorted->container), (unsigned long long)place);
}

/// The entry at `place` of the blocks, its pages checked.
static memdb_status_t load_place(memdb__sorted_t *sorted, uint64_t place, memdb__entry_t *entry,
                                 memdb_error_t *error) {
    if (place >= sorted->blocks_size)
        return corrupt_slot(sorted, place, error);
    const uint8_t *at = sorted->blocks + place;
    size_t left = (size_t)(sorted->blocks_size - place);
    size_t head =
        left < MEMDB__SORTED_ENTRY_HEAD_BYTES ? left : (size_t)MEMDB__SORTED_ENTRY_HEAD_BYTES;
    memdb_status_t status = memdb__container_check(sorted->container, at, head, error);
    if (status)
        return status;
    if (!memdb__sorted_decode(at, left, entry))
        return corrupt_slot(sorted, place, error);
    size_t size = (size_t)(entry->value + entry->value_size - at);
    __builtin_prefetch(at + 64); // what the caller reads next: the value's head, and its end
    __builtin_prefetch(at + size - 1);
    return memdb__container_check(sorted->container, at, size, error);
}

memdb_status_t memdb__sorted_hash_find(memdb__sorted_t *sorted, const void *key, size_t key_size,
                                       uint64_t hash, memdb__entry_t *entry_out,
                                       memdb_error_t *error) {
    uint64_t lines = sorted->hash_lines, number = lines ? memdb__sorted_line(hash, lines) : 0;
    for (uint64_t looked_at = 0; looked_at < lines; looked_at++) {
        const uint8_t *line = sorted->hash + number * MEMDB__SORTED_LINE_BYTES;
        memdb_status_t status =
            memdb__container_check(sorted->container, line, MEMDB__SORTED_LINE_BYTES, error);
        if (status)
            return status;
        for (size_t i = 0; i < MEMDB__SORTED_LINE_SLOTS; i++) {
            uint64_t slot = memdb__get_u64(line + i * 8);
            if (!slot)
                return MEMDB_NOT_FOUND;
            if (slot >> MEMDB__SORTED_TAG_SHIFT != (hash & TAG_MASK))
                continue;
            // Decoded where it is wanted: a copy of what was just written in parts waits for them.
            status = load_place(sorted, (slot - 1) & PLACE_MASK, entry_out, error);
            if (status)
                return status;
            if (entry_out->key_size == key_size && memcmp(entry_out->key, key, key_size) == 0)
                return MEMDB_OK;
        }
        number = number + 1 < lines ? number + 1 : 0;
    }
    return MEMDB_NOT_FOUND;
}

void memdb__sorted_prefetch(const memdb__sorted_t *sorted, uint64_t hash) {
    __builtin_prefetch(sorted->hash +
                       memdb__sorted_line(hash, sorted->hash_lines) * MEMDB__SORTED_LINE_BYTES);
}

void memdb__sorted_prefetch_entry(const memdb__sorted_t *sorted, uint64_t hash) {
    const uint8_t *line =
        sorted->hash + memdb__sorted_line(hash, sorted->hash_lines) * MEMDB__SORTED_LINE_BYTES;
    for (size_t i = 0; sorted->hash_lines && i < MEMDB__SORTED_LINE_SLOTS; i++) {
        uint64_t slot = memdb__get_u64(line + i * 8), place = (slot - 1) & PLACE_MASK;
        if (slot && slot >> MEMDB__SORTED_TAG_SHIFT == (hash & TAG_MASK) &&
            place < sorted->blocks_size) { // the page is not checked: nothing but time is at stake
            __builtin_prefetch(sorted->blocks + place);
            __builtin_prefetch(sorted->blocks + place + 64);
            return;
        }
    }
}

memdb_status_t memdb__sorted_hash_count(memdb__sorted_t *sorted, uint64_t *count_out,
                                        memdb_error_t *error) {
    size_t size = (size_t)sorted->hash_lines * MEMDB__SORTED_LINE_BYTES;
    memdb_status_t status = memdb__container_check(sorted->container, sorted->hash, size, error);
    *count_out = 0;
    for (size_t at = 0; !status && at < size; at += 8)
        *count_out += memdb__get_u64(sorted->hash + at) != 0;
    return status;
}

/// The first entry of block `number`, if there is one and it has that key: the versions of a key
/// may begin with a block, and then the search ended at the end of the block before.
static memdb_status_t get_first(memdb__sorted_t *sorted, uint64_t number, const void *key,
                                size_t key_size, uint64_t visible, memdb__entry_t *entry_out,
                                memdb_error_t *error) {
    memdb__sorted_block_t block;
    memdb__entry_t entry;
    if (number >= sorted->block_count)
        return MEMDB_NOT_FOUND;
    memdb_status_t status = memdb__sorted_load_block(sorted, number, &block, error);
    if (!status)
        status = memdb__sorted_load_entry(sorted, &block, 0, &entry, error);
    if (status)
        return status;
    if (entry.version > visible || memdb__compare(entry.key, entry.key_size, key, key_size))
        return MEMDB_NOT_FOUND;
    *entry_out = entry;
    return MEMDB_OK;
}

/// The newest version that is at most `visible`, by halving.
static memdb_status_t search_for(memdb__sorted_t *sorted, const void *key, size_t key_size,
                                 uint64_t visible, memdb__entry_t *entry_out,
                                 memdb_error_t *error) {
    memdb__sorted_place_t place;
    memdb_status_t status = memdb__sorted_find_place(sorted, key, key_size, visible, &place, error);
    if (status)
        return status;
    bool before = place.number == UINT64_MAX;
    if (before || !place.equal)
        return sorted->first_versions && (before || place.slot == place.block.count)
                   // UINT64_MAX + 1 is 0: the first block
                   ? get_first(sorted, place.number + 1, key, key_size, visible, entry_out, error)
                   : MEMDB_NOT_FOUND;
    *entry_out = place.entry;
    return MEMDB_OK;
}

memdb_status_t memdb__sorted_get(memdb__sorted_t *sorted, const void *key, size_t key_size,
                                 memdb__entry_t *entry_out, memdb_error_t *error) {
    return memdb__sorted_get_at(sorted, key, key_size, UINT64_MAX, entry_out, error);
}

memdb_status_t memdb__sorted_get_at(memdb__sorted_t *sorted, const void *key, size_t key_size,
                                    uint64_t visible, memdb__entry_t *entry_out,
                                    memdb_error_t *error) {
    return memdb__sorted_get_hashed(sorted, key, key_size, memdb__sorted_hash(key, key_size),
                                    visible, entry_out, error);
}

memdb_status_t memdb__sorted_get_hashed(memdb__sorted_t *sorted, const void *key, size_t key_size,
                                        uint64_t hash, uint64_t visible, memdb__entry_t *entry_out,
                                        memdb_error_t *error) {
    if (!memdb__sorted_is_hashed(sorted->hashed, key, key_size))
        return search_for(sorted, key, key_size, visible, entry_out, error);
    memdb_status_t status = memdb__sorted_hash_find(sorted, key, key_size, hash, entry_out, error);
    if (status)
        return status;
    if (entry_out->version > visible) // an older version may lie behind it
        return sorted->first_versions ? search_for(sorted, key, key_size, visible, entry_out, error)
                                      : MEMDB_NOT_FOUND;
    return MEMDB_OK;
}
