// Reading a sorted segment: opening, and the search through the blocks.
//
// Opening checks and validates the whole index (starts, first keys, heads), so that the search over
// it needs no bounds checks. Blocks are checked when they are touched; whatever a block says is
// compared with its size first. A file whose checksums are right and whose entries are not
// in order cannot crash a reader, but can mislead it: only memdb__sorted_verify finds that.
#include "base/memory.h"
#include "base/sorted_format.h"

static memdb_status_t corrupt_index(const memdb__sorted_t *sorted, const char *what,
                                    memdb_error_t *error) {
    return memdb__fail(error, MEMDB_CORRUPT, "%s: sorted index: %s",
                       memdb__container_name(sorted->container), what);
}

/// A section that must have exactly `size` bytes, checked.
static memdb_status_t load_section(const memdb__sorted_t *sorted, uint32_t section, uint64_t size,
                                   const uint8_t **at_out, memdb_error_t *error) {
    uint64_t actual;
    const uint8_t *at = memdb__container_section(sorted->container, section, &actual);
    if (!at || actual != size)
        return memdb__fail(error, MEMDB_CORRUPT, "%s: section %u has %llu bytes where %llu belong",
                           memdb__container_name(sorted->container), section,
                           (unsigned long long)actual, (unsigned long long)size);
    *at_out = at;
    return memdb__container_check(sorted->container, at, (size_t)size, error);
}

static memdb_status_t load_meta(memdb__sorted_t *sorted, memdb_error_t *error) {
    const uint8_t *meta = NULL;
    memdb_status_t status =
        load_section(sorted, MEMDB__SORTED_META, MEMDB__SORTED_META_BYTES, &meta, error);
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
    uint64_t blocks_size, first_keys_size, count = sorted->block_count;
    sorted->blocks =
        memdb__container_section(sorted->container, MEMDB__SORTED_BLOCKS, &blocks_size);
    sorted->blocks_size = blocks_size;
    memdb__container_section(sorted->container, MEMDB__SORTED_FIRST_KEYS, &first_keys_size);
    memdb_status_t status =
        load_section(sorted, MEMDB__SORTED_STARTS, (count + 1) * 8, &sorted->starts, error);
    if (!status)
        status = load_section(sorted, MEMDB__SORTED_KEY_STARTS, (count + 1) * 8,
                              &sorted->key_starts, error);
    if (!status)
        status = load_section(sorted, MEMDB__SORTED_FIRST_KEYS, first_keys_size,
                              &sorted->first_keys, error);
    if (!status)
        status = load_section(sorted, MEMDB__SORTED_HEADS, count * 8, &sorted->heads, error);
    uint64_t hash_size, versions_size;
    if (!status &&
        memdb__container_section(sorted->container, MEMDB__SORTED_FIRST_VERSIONS, &versions_size))
        status = load_section(sorted, MEMDB__SORTED_FIRST_VERSIONS, count * 8,
                              &sorted->first_versions, error);
    if (status)
        return status;
    sorted->hash = memdb__container_section(sorted->container, MEMDB__SORTED_HASH, &hash_size);
    if (!sorted->blocks || !sorted->hash ||
        hash_size != sorted->hash_lines * MEMDB__SORTED_LINE_BYTES)
        return corrupt_index(sorted, "a section is missing or has a wrong size", error);
    if (!starts_are_right(sorted->starts, count, blocks_size, true))
        return corrupt_index(sorted, "block starts are wrong", error);
    if (!starts_are_right(sorted->key_starts, count, first_keys_size, false))
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

/// How many heads from `from` on are below `head`, or, with `or_equal`, not above it.
static uint64_t bound(const memdb__sorted_t *sorted, uint64_t from, uint64_t head, bool or_equal) {
    const uint8_t *at = sorted->heads + from * 8;
    uint64_t left = sorted->block_count - from;
    // Halving without a branch on the comparison, which no predictor would guess.
    while (left) {
        uint64_t half = left / 2, middle = memdb__get_u64(at + half * 8);
        bool right = or_equal ? middle <= head : middle < head;
        at += right ? (half + 1) * 8 : 0;
        left = right ? left - half - 1 : half;
    }
    return (uint64_t)(at - sorted->heads) / 8;
}

/// Whether block `number` begins at or before the place of (key, version).
static bool begins_before(const memdb__sorted_t *sorted, uint64_t number, const uint8_t *key,
                          size_t key_size, uint64_t version) {
    size_t size;
    const uint8_t *first = memdb__sorted_first_key(sorted, number, &size);
    int order = memdb__compare(first, size, key, key_size);
    return order < 0 || (order == 0 && (!sorted->first_versions ||
                                        memdb__sorted_first_version(sorted, number) >= version));
}

uint64_t memdb__sorted_find_block(const memdb__sorted_t *sorted, const uint8_t *key,
                                  size_t key_size, uint64_t version) {
    if (!sorted->block_count)
        return UINT64_MAX;
    size_t common = sorted->common_prefix;
    size_t shared = key_size < common ? key_size : common;
    int order = shared ? memcmp(key, sorted->first_keys, shared) : 0;
    if (order < 0 || (!order && key_size < common))
        return UINT64_MAX;
    if (order > 0)
        return sorted->block_count - 1;
    // Key may be NULL when it is empty: then common is 0 and nothing is added to it.
    uint64_t head = key_size > common ? memdb__sorted_head(key + common, key_size - common) : 0;
    uint64_t low = bound(sorted, 0, head, false);
    if (low < sorted->block_count && memdb__get_u64(sorted->heads + low * 8) == head) {
        // Of the blocks with this head, those whose first entry is not behind the place.
        uint64_t high = bound(sorted, low, head, true);
        while (low < high) {
            uint64_t middle = low + (high - low) / 2;
            if (begins_before(sorted, middle, key, key_size, version))
                low = middle + 1;
            else
                high = middle;
        }
    }
    return low - 1; // UINT64_MAX for 0
}

static memdb_status_t corrupt_block(const memdb__sorted_t *sorted, const uint8_t *at,
                                    const char *what, memdb_error_t *error) {
    return memdb__fail(error, MEMDB_CORRUPT, "%s at %llu: %s",
                       memdb__container_name(sorted->container),
                       (unsigned long long)memdb__container_offset(sorted->container, at), what);
}

memdb_status_t memdb__sorted_load_block(memdb__sorted_t *sorted, uint64_t number,
                                        memdb__sorted_block_t *block_out, memdb_error_t *error) {
    uint64_t start = memdb__get_u64(sorted->starts + number * 8);
    uint64_t size = memdb__get_u64(sorted->starts + number * 8 + 8) - start;
    const uint8_t *at = sorted->blocks + start;
    memdb_status_t status = memdb__container_check(sorted->container, at, (size_t)size, error);
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
