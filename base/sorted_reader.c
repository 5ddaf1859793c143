// Reading a sorted segment: opening, and the search through the blocks.
//
// Opening looks at the sizes of the sections alone, so that it costs the same whatever the size of
// the file. Index, blocks and hash are checked by page when they are touched; whatever they say
// is compared with the size of what it speaks of first. A file whose checksums are right and whose
// entries are not in order cannot crash a reader, but can mislead it: only memdb__sorted_verify
// finds that.
#include "base/memory.h"
#include "base/sorted_format.h"

static memdb_status_t corrupt_index(const memdb__sorted_t *sorted, const char *what,
                                    memdb_error_t *error) {
    memdb__fail(error, MEMDB_CORRUPT, "%s: sorted index: %s",
                memdb__container_name(sorted->container), what);
    return MEMDB_CORRUPT; // said here, so that a compiler sees that what failed is not used
}

/// A section that must have exactly `size` bytes.
static memdb_status_t find_section(const memdb__sorted_t *sorted, uint32_t section, uint64_t size,
                                   const uint8_t **at_out, memdb_error_t *error) {
    uint64_t actual;
    const uint8_t *at = memdb__container_section(sorted->container, section, &actual);
    if (!at || actual != size)
        return memdb__fail(error, MEMDB_CORRUPT, "%s: section %u has %llu bytes where %llu belong",
                           memdb__container_name(sorted->container), section,
                           (unsigned long long)actual, (unsigned long long)size);
    *at_out = at;
    return MEMDB_OK;
}

static memdb_status_t load_meta(memdb__sorted_t *sorted, memdb_error_t *error) {
    const uint8_t *meta = NULL;
    memdb_status_t status =
        find_section(sorted, MEMDB__SORTED_META, MEMDB__SORTED_META_BYTES, &meta, error);
    status = status
                 ? status
                 : memdb__container_check(sorted->container, meta, MEMDB__SORTED_META_BYTES, error);
    if (status)
        return status;
    uint32_t version = memdb__get_u32(meta + 24);
    if (version != MEMDB__SORTED_VERSION)
        return memdb__fail(error, MEMDB_VERSION, "%s: sorted format %u is not known",
                           memdb__container_name(sorted->container), version);
    sorted->entry_count = memdb__get_u64(meta);
    sorted->block_count = memdb__get_u64(meta + 8);
    sorted->hash_lines = memdb__get_u64(meta + 16);
    sorted->common_prefix = memdb__get_u32(meta + 28);
    sorted->hashed = meta + 32;
    // Each block and each line has a place in the file: products with the counts cannot wrap.
    uint64_t most = memdb__container_file_size(sorted->container);
    if (sorted->block_count > most || sorted->hash_lines > most ||
        sorted->entry_count < sorted->block_count || sorted->entry_count > most ||
        (sorted->entry_count == 0) != (sorted->block_count == 0))
        return corrupt_index(sorted, "counts disagree", error);
    return MEMDB_OK;
}

/// Whether `starts` (count + 1 of them) begin at 0, never fall (nor stay, when `strict`) and end at
/// `size`.
static bool starts_are_right(const uint8_t *starts, uint64_t count, uint64_t size, bool strict) {
    if (memdb__get_u64(starts) != 0 || memdb__get_u64(starts + count * 8) != size)
        return false;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t here = memdb__get_u64(starts + i * 8), next = memdb__get_u64(starts + i * 8 + 8);
        if (next < here || (strict && next == here))
            return false;
    }
    return true;
}

/// First entries are in order, share the common prefix, and have the heads that the file says.
static bool first_keys_are_right(const memdb__sorted_t *sorted) {
    const uint8_t *before = NULL;
    size_t before_size = 0, common = sorted->common_prefix;
    for (uint64_t i = 0; i < sorted->block_count; i++) {
        size_t size;
        const uint8_t *key = memdb__sorted_first_key(sorted, i, &size);
        if (size < common || (i && memcmp(key, before, common)))
            return false;
        int order = i ? memdb__compare(before, before_size, key, size) : -1;
        if (order > 0 ||
            (order == 0 && (!sorted->first_versions || memdb__sorted_first_version(sorted, i - 1) <=
                                                           memdb__sorted_first_version(sorted, i))))
            return false;
        if (memdb__get_u64(sorted->heads + i * 8) !=
            memdb__sorted_head(key + common, size - common))
            return false;
        before = key;
        before_size = size;
    }
    return true;
}

static memdb_status_t load_index(memdb__sorted_t *sorted, memdb_error_t *error) {
    uint64_t count = sorted->block_count;
    sorted->blocks =
        memdb__container_section(sorted->container, MEMDB__SORTED_BLOCKS, &sorted->blocks_size);
    sorted->first_keys = memdb__container_section(sorted->container, MEMDB__SORTED_FIRST_KEYS,
                                                  &sorted->first_keys_size);
    memdb_status_t status =
        find_section(sorted, MEMDB__SORTED_STARTS, (count + 1) * 8, &sorted->starts, error);
    if (!status)
        status = find_section(sorted, MEMDB__SORTED_KEY_STARTS, (count + 1) * 8,
                              &sorted->key_starts, error);
    if (!status)
        status = find_section(sorted, MEMDB__SORTED_HEADS, count * 8, &sorted->heads, error);
    uint64_t hash_size, versions_size;
    if (!status &&
        memdb__container_section(sorted->container, MEMDB__SORTED_FIRST_VERSIONS, &versions_size))
        status = find_section(sorted, MEMDB__SORTED_FIRST_VERSIONS, count * 8,
                              &sorted->first_versions, error);
    if (status)
        return status;
    sorted->hash = memdb__container_section(sorted->container, MEMDB__SORTED_HASH, &hash_size);
    if (!sorted->blocks || !sorted->first_keys || !sorted->hash ||
        hash_size != sorted->hash_lines * MEMDB__SORTED_LINE_BYTES)
        return corrupt_index(sorted, "a section is missing or has a wrong size", error);
    if (sorted->common_prefix > sorted->first_keys_size)
        return corrupt_index(sorted, "the common prefix is longer than all keys", error);
    return MEMDB_OK;
}

memdb_status_t memdb__sorted_check_index(const memdb__sorted_t *sorted, memdb_error_t *error) {
    uint64_t count = sorted->block_count;
    const struct {
        const uint8_t *at;
        uint64_t size;
    } parts[] = {{sorted->starts, (count + 1) * 8},
                 {sorted->key_starts, (count + 1) * 8},
                 {sorted->first_keys, sorted->first_keys_size},
                 {sorted->heads, count * 8},
                 {sorted->first_versions, sorted->first_versions ? count * 8 : 0}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        memdb_status_t status = parts[i].size
                                    ? memdb__container_check(sorted->container, parts[i].at,
                                                             (size_t)parts[i].size, error)
                                    : MEMDB_OK;
        if (status)
            return status;
    }
    if (!starts_are_right(sorted->starts, count, sorted->blocks_size, true))
        return corrupt_index(sorted, "block starts are wrong", error);
    if (!starts_are_right(sorted->key_starts, count, sorted->first_keys_size, false))
        return corrupt_index(sorted, "key starts are wrong", error);
    if (!first_keys_are_right(sorted))
        return corrupt_index(sorted, "first keys are wrong", error);
    return MEMDB_OK;
}

memdb_status_t memdb__sorted_open(int directory, const char *name,
                                  const memdb__segment_identity_t *identity, uint64_t file_size,
                                  uint64_t checksum, memdb__sorted_t **sorted_out,
                                  memdb_error_t *error) {
    memdb__sorted_t *sorted = memdb__allocate_zeroed(1, sizeof *sorted);
    if (!sorted)
        return memdb__fail(error, MEMDB_NOMEM, "%s: no memory", name);
    memdb_status_t status = memdb__container_open(directory, name, identity, file_size, checksum,
                                                  &sorted->container, error);
    if (!status)
        status = load_meta(sorted, error);
    if (!status)
        status = load_index(sorted, error);
    if (status) {
        memdb__sorted_close(sorted);
        return status;
    }
    *sorted_out = sorted;
    return MEMDB_OK;
}

void memdb__sorted_close(memdb__sorted_t *sorted) {
    if (!sorted)
        return;
    memdb__container_close(sorted->container);
    memdb__free(sorted);
}

uint64_t memdb__sorted_count(const memdb__sorted_t *sorted) {
    return sorted->entry_count;
}

bool memdb__sorted_has_versions(const memdb__sorted_t *sorted) {
    return sorted->first_versions != NULL;
}

memdb__container_t *memdb__sorted_container(memdb__sorted_t *sorted) {
    return sorted->container;
}

/// How many of the heads in [low, high) lie in front: below `head`, or, with `or_equal`, not above
/// it; counted from the first head of all.
static memdb_status_t bound(const memdb__sorted_t *sorted, uint64_t low, uint64_t high,
                            uint64_t head, bool or_equal, uint64_t *number_out,
                            memdb_error_t *error) {
    // Down to what a page holds, each head's page is checked; then all that is left, at once.
    while (high - low > MEMDB__CONTAINER_PAGE_BYTES / 8) {
        uint64_t middle = low + (high - low) / 2;
        const uint8_t *at = sorted->heads + middle * 8;
        memdb_status_t status = memdb__container_check(sorted->container, at, 8, error);
        if (status)
            return status;
        uint64_t value = memdb__get_u64(at);
        bool right = or_equal ? value <= head : value < head;
        low = right ? middle + 1 : low;
        high = right ? high : middle;
    }
    const uint8_t *at = sorted->heads + low * 8;
    uint64_t left = high - low;
    if (left) {
        memdb_status_t status = memdb__container_check(sorted->container, at, left * 8, error);
        if (status)
            return status;
    }
    // Halving without a branch on the comparison, which no predictor would guess.
    while (left) {
        uint64_t half = left / 2, middle = memdb__get_u64(at + half * 8);
        bool right = or_equal ? middle <= head : middle < head;
        at += right ? (half + 1) * 8 : 0;
        left = right ? left - half - 1 : half;
    }
    *number_out = (uint64_t)(at - sorted->heads) / 8;
    return MEMDB_OK;
}

/// Entry `number` of an array of starts and the one after it, which must not lie below it nor above
/// `most`.
static memdb_status_t load_range(const memdb__sorted_t *sorted, const uint8_t *starts,
                                 uint64_t number, uint64_t most, uint64_t *start_out,
                                 uint64_t *size_out, memdb_error_t *error) {
    const uint8_t *at = starts + number * 8;
    memdb_status_t status = memdb__container_check(sorted->container, at, 16, error);
    if (status)
        return status;
    uint64_t start = memdb__get_u64(at), end = memdb__get_u64(at + 8);
    if (start > end || end > most)
        return corrupt_index(sorted, "a start is wrong", error);
    *start_out = start;
    *size_out = end - start;
    return MEMDB_OK;
}

/// Whether block `number` begins at or before the place of (key, version).
static memdb_status_t begins_before(const memdb__sorted_t *sorted, uint64_t number,
                                    const uint8_t *key, size_t key_size, uint64_t version,
                                    bool *before_out, memdb_error_t *error) {
    uint64_t start, size;
    memdb_status_t status = load_range(sorted, sorted->key_starts, number, sorted->first_keys_size,
                                       &start, &size, error);
    if (!status && size)
        status = memdb__container_check(sorted->container, sorted->first_keys + start, (size_t)size,
                                        error);
    if (status)
        return status;
    int order = memdb__compare(sorted->first_keys + start, (size_t)size, key, key_size);
    if (order == 0 && sorted->first_versions) {
        status = memdb__container_check(sorted->container, sorted->first_versions + number * 8, 8,
                                        error);
        if (status)
            return status;
        order = memdb__sorted_first_version(sorted, number) >= version ? 0 : 1;
    }
    *before_out = order <= 0;
    return MEMDB_OK;
}

/// Of the blocks in [low, high), whose first keys have the same head, how many begin at or before
/// the place of (key, version); counted from the first block of all.
static memdb_status_t bound_by_keys(const memdb__sorted_t *sorted, uint64_t low, uint64_t high,
                                    const uint8_t *key, size_t key_size, uint64_t version,
                                    uint64_t *number_out, memdb_error_t *error) {
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        bool before;
        memdb_status_t status =
            begins_before(sorted, middle, key, key_size, version, &before, error);
        if (status)
            return status;
        low = before ? middle + 1 : low;
        high = before ? high : middle;
    }
    *number_out = low;
    return MEMDB_OK;
}

/// How the key compares with the prefix that all first keys share; a part of it is before it.
static memdb_status_t compare_prefix(const memdb__sorted_t *sorted, const uint8_t *key,
                                     size_t key_size, int *order_out, memdb_error_t *error) {
    size_t common = sorted->common_prefix, shared = key_size < common ? key_size : common;
    memdb_status_t status =
        shared ? memdb__container_check(sorted->container, sorted->first_keys, shared, error)
               : MEMDB_OK;
    if (status)
        return status;
    int order = shared ? memcmp(key, sorted->first_keys, shared) : 0;
    *order_out = !order && key_size < common ? -1 : order;
    return MEMDB_OK;
}

memdb_status_t memdb__sorted_find_block(const memdb__sorted_t *sorted, const uint8_t *key,
                                        size_t key_size, uint64_t version, uint64_t *number_out,
                                        memdb_error_t *error) {
    *number_out = UINT64_MAX;
    int order = -1;
    memdb_status_t status =
        sorted->block_count ? compare_prefix(sorted, key, key_size, &order, error) : MEMDB_OK;
    if (status || order < 0)
        return status;
    if (order > 0) {
        *number_out = sorted->block_count - 1;
        return MEMDB_OK;
    }
    // Key may be NULL when it is empty: then common is 0 and nothing is added to it.
    size_t common = sorted->common_prefix;
    uint64_t head = key_size > common ? memdb__sorted_head(key + common, key_size - common) : 0;
    uint64_t low, high;
    status = bound(sorted, 0, sorted->block_count, head, false, &low, error);
    if (!status && low < sorted->block_count) {
        status = memdb__container_check(sorted->container, sorted->heads + low * 8, 8, error);
        if (!status && memdb__get_u64(sorted->heads + low * 8) == head) {
            // Of the blocks with this head, those whose first entry is not behind the place.
            status = bound(sorted, low, sorted->block_count, head, true, &high, error);
            if (!status)
                status = bound_by_keys(sorted, low, high, key, key_size, version, &low, error);
        }
    }
    if (!status)
        *number_out = low - 1; // UINT64_MAX for 0
    return status;
}

static memdb_status_t corrupt_block(const memdb__sorted_t *sorted, const uint8_t *at,
                                    const char *what, memdb_error_t *error) {
    return memdb__fail(error, MEMDB_CORRUPT, "%s at %llu: %s",
                       memdb__container_name(sorted->container),
                       (unsigned long long)memdb__container_offset(sorted->container, at), what);
}

memdb_status_t memdb__sorted_load_block(memdb__sorted_t *sorted, uint64_t number,
                                        memdb__sorted_block_t *block_out, memdb_error_t *error) {
    uint64_t start, size;
    memdb_status_t status =
        load_range(sorted, sorted->starts, number, sorted->blocks_size, &start, &size, error);
    if (status)
        return status;
    const uint8_t *at = sorted->blocks + start;
    status = memdb__container_check(sorted->container, at, (size_t)size, error);
    if (status)
        return status;
    uint32_t count = size >= 4 ? memdb__get_u32(at) : 0;
    if (!count || count > (size - 4) / 4)
        return corrupt_block(sorted, at, "wrong number of entries", error);
    *block_out = (memdb__sorted_block_t){at, (size_t)size, count};
    return MEMDB_OK;
}

/// Decode the entry at `offset` of the block; false when it leaves the block.
static inline bool decode(const memdb__sorted_block_t *block, uint32_t offset,
                          memdb__entry_t *entry) {
    return offset <= block->size &&
           memdb__sorted_decode(block->at + offset, block->size - offset, entry);
}

memdb_status_t memdb__sorted_load_entry(const memdb__sorted_t *sorted,
                                        const memdb__sorted_block_t *block, uint32_t slot,
                                        memdb__entry_t *entry_out, memdb_error_t *error) {
    memdb__entry_t entry;
    if (!decode(block, memdb__get_u32(block->at + 4 + 4 * (size_t)slot), &entry))
        return corrupt_block(sorted, block->at, "an entry leaves its block", error);
    *entry_out = entry;
    return MEMDB_OK;
}

memdb_status_t memdb__sorted_search_block(const memdb__sorted_t *sorted,
                                          const memdb__sorted_block_t *block, const uint8_t *key,
                                          size_t key_size, uint64_t version, uint32_t *slot_out,
                                          bool *equal_out, memdb__entry_t *entry_out,
                                          memdb_error_t *error) {
    uint32_t low = 0, high = block->count;
    memdb__entry_t entry;
    *equal_out = false;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (!decode(block, memdb__get_u32(block->at + 4 + 4 * (size_t)middle), &entry))
            return corrupt_block(sorted, block->at, "an entry leaves its block", error);
        int order = memdb__compare(entry.key, entry.key_size, key, key_size);
        if (order < 0 || (order == 0 && entry.version > version)) {
            low = middle + 1;
            continue;
        }
        high = middle;
        if (order == 0) {
            *entry_out = entry;
            *equal_out = true;
            if (!sorted->first_versions)
                low = high; // no other version of the key stands in front
        }
    }
    *slot_out = low;
    return MEMDB_OK;
}

memdb_status_t memdb__sorted_find_place(memdb__sorted_t *sorted, const uint8_t *key,
                                        size_t key_size, uint64_t version,
                                        memdb__sorted_place_t *place, memdb_error_t *error) {
    memdb_status_t status =
        memdb__sorted_find_block(sorted, key, key_size, version, &place->number, error);
    if (status || place->number == UINT64_MAX)
        return status;
    status = memdb__sorted_load_block(sorted, place->number, &place->block, error);
    return status ? status
                  : memdb__sorted_search_block(sorted, &place->block, key, key_size, version,
                                               &place->slot, &place->equal, &place->entry, error);
}
