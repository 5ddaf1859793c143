// Iterating over a sorted segment, and verifying one.
//
// A position is (block, slot). Two positions hold no entry: after the end (block count, 0) and
// before the beginning (0, BEFORE). Invariant: `valid` is set exactly when `entry` is the decoded
// entry at the position. A failed step leaves the iterator as it was.
#include "base/sorted_format.h"

#define BEFORE UINT32_MAX

static memdb_status_t stand_at_end(memdb__sorted_t *sorted, memdb__sorted_iterator_t *iterator) {
    *iterator = (memdb__sorted_iterator_t){.sorted = sorted, .block = sorted->block_count};
    return MEMDB_OK;
}

static memdb_status_t stand_before(memdb__sorted_t *sorted, memdb__sorted_iterator_t *iterator) {
    *iterator = (memdb__sorted_iterator_t){.sorted = sorted, .slot = BEFORE};
    return MEMDB_OK;
}

static memdb_status_t stand_on(memdb__sorted_t *sorted, const memdb__sorted_block_t *block,
                               uint64_t number, uint32_t slot, memdb__sorted_iterator_t *iterator,
                               memdb_error_t *error) {
    memdb__entry_t entry;
    memdb_status_t status = memdb__sorted_load_entry(sorted, block, slot, &entry, error);
    if (status)
        return status;
    *iterator = (memdb__sorted_iterator_t){
        .sorted = sorted, .block = number, .slot = slot, .valid = true, .entry = entry};
    return MEMDB_OK;
}

/// Stand on the first entry of block `number`, or after the end.
static memdb_status_t stand_on_first(memdb__sorted_t *sorted, uint64_t number,
                                     memdb__sorted_iterator_t *iterator, memdb_error_t *error) {
    if (number >= sorted->block_count)
        return stand_at_end(sorted, iterator);
    memdb__sorted_block_t block;
    memdb_status_t status = memdb__sorted_load_block(sorted, number, &block, error);
    return status ? status : stand_on(sorted, &block, number, 0, iterator, error);
}

/// Stand on the last entry of the block before `number`, or before the beginning.
static memdb_status_t stand_on_last_before(memdb__sorted_t *sorted, uint64_t number,
                                           memdb__sorted_iterator_t *iterator,
                                           memdb_error_t *error) {
    if (number == 0)
        return stand_before(sorted, iterator);
    memdb__sorted_block_t block;
    memdb_status_t status = memdb__sorted_load_block(sorted, number - 1, &block, error);
    return status ? status : stand_on(sorted, &block, number - 1, block.count - 1, iterator, error);
}

memdb_status_t memdb__sorted_seek(memdb__sorted_t *sorted, const void *key, size_t key_size,
                                  memdb__sorted_iterator_t *iterator, memdb_error_t *error) {
    memdb__sorted_place_t place;
    memdb_status_t status =
        memdb__sorted_find_place(sorted, key, key_size, UINT64_MAX, &place, error);
    if (status)
        return status;
    if (place.number == UINT64_MAX || place.slot == place.block.count)
        return stand_on_first(sorted, place.number + 1, iterator, error); // 0 after UINT64_MAX
    return stand_on(sorted, &place.block, place.number, place.slot, iterator, error);
}

memdb_status_t memdb__sorted_seek_before(memdb__sorted_t *sorted, const void *key, size_t key_size,
                                         memdb__sorted_iterator_t *iterator, memdb_error_t *error) {
    memdb__sorted_place_t place;
    memdb_status_t status =
        memdb__sorted_find_place(sorted, key, key_size, UINT64_MAX, &place, error);
    if (status)
        return status;
    if (place.number == UINT64_MAX)
        return stand_before(sorted, iterator);
    if (place.slot == 0)
        return stand_on_last_before(sorted, place.number, iterator, error);
    return stand_on(sorted, &place.block, place.number, place.slot - 1, iterator, error);
}

memdb_status_t memdb__sorted_next(memdb__sorted_iterator_t *iterator, memdb_error_t *error) {
    memdb__sorted_t *sorted = iterator->sorted;
    if (iterator->block >= sorted->block_count)
        return MEMDB_OK;
    if (iterator->slot == BEFORE)
        return stand_on_first(sorted, 0, iterator, error);
    memdb__sorted_block_t block;
    memdb_status_t status = memdb__sorted_load_block(sorted, iterator->block, &block, error);
    if (status)
        return status;
    if (iterator->slot + 1 < block.count)
        return stand_on(sorted, &block, iterator->block, iterator->slot + 1, iterator, error);
    return stand_on_first(sorted, iterator->block + 1, iterator, error);
}

memdb_status_t memdb__sorted_previous(memdb__sorted_iterator_t *iterator, memdb_error_t *error) {
    memdb__sorted_t *sorted = iterator->sorted;
    if (iterator->slot == BEFORE)
        return MEMDB_OK;
    if (iterator->block >= sorted->block_count || iterator->slot == 0)
        return stand_on_last_before(sorted, iterator->block, iterator, error);
    memdb__sorted_block_t block;
    memdb_status_t status = memdb__sorted_load_block(sorted, iterator->block, &block, error);
    if (status)
        return status;
    return stand_on(sorted, &block, iterator->block, iterator->slot - 1, iterator, error);
}

// ------------------------------------------------------------------------------------------------
// ranges

#define SAMPLES 8 // blocks whose entries are counted for an estimate

/// The place of a key as a block, the entries in front of it there, and all of the block's.
typedef struct rank {
    uint64_t block;
    uint32_t before, all;
} rank_t;

static memdb_status_t find_rank(memdb__sorted_t *sorted, const void *key, size_t key_size,
                                rank_t *rank, memdb_error_t *error) {
    memdb__sorted_place_t place;
    memdb_status_t status =
        memdb__sorted_find_place(sorted, key, key_size, UINT64_MAX, &place, error);
    if (status)
        return status;
    bool inside = place.number != UINT64_MAX;
    if (!inside && sorted->block_count) // in front of all
        status = memdb__sorted_load_block(sorted, 0, &place.block, error);
    *rank = (rank_t){.block = inside ? place.number : 0,
                     .before = inside ? place.slot : 0,
                     .all = sorted->block_count && !status ? place.block.count : 0};
    return status;
}

static memdb_status_t find_ranks(memdb__sorted_t *sorted, const void *from, size_t from_size,
                                 const void *to, size_t to_size, rank_t *first, rank_t *last,
                                 memdb_error_t *error) {
    memdb_status_t status = find_rank(sorted, from, from_size, first, error);
    return status ? status : find_rank(sorted, to, to_size, last, error);
}

memdb_status_t memdb__sorted_each(memdb__sorted_t *sorted, const void *from, size_t from_size,
                                  const void *to, size_t to_size, memdb__sorted_visit_fn visit,
                                  void *context, memdb_error_t *error) {
    rank_t first, last;
    memdb_status_t status = find_ranks(sorted, from, from_size, to, to_size, &first, &last, error);
    for (uint64_t number = first.block; !status && number <= last.block; number++) {
        memdb__sorted_block_t block;
        if (number >= sorted->block_count)
            break;
        status = memdb__sorted_load_block(sorted, number, &block, error);
        uint32_t slot = number == first.block ? first.before : 0;
        uint32_t end = status ? 0 : number == last.block ? last.before : block.count;
        for (; !status && slot < end; slot++) {
            memdb__entry_t entry;
            status = memdb__sorted_load_entry(sorted, &block, slot, &entry, error);
            status = status ? status : visit(context, &entry);
        }
    }
    return status;
}

/// The mean number of entries in some of the blocks between two others.
static memdb_status_t sample_blocks(memdb__sorted_t *sorted, uint64_t first, uint64_t count,
                                    double *mean_out, memdb_error_t *error) {
    uint64_t samples = count < SAMPLES ? count : SAMPLES, entries = 0;
    for (uint64_t i = 0; i < samples; i++) {
        memdb__sorted_block_t block;
        memdb_status_t status =
            memdb__sorted_load_block(sorted, first + i * count / samples, &block, error);
        if (status)
            return status;
        entries += block.count;
    }
    *mean_out = samples ? (double)entries / (double)samples : 0;
    return MEMDB_OK;
}

memdb_status_t memdb__sorted_between(memdb__sorted_t *sorted, const void *from, size_t from_size,
                                     const void *to, size_t to_size, uint64_t *count_out,
                                     memdb_error_t *error) {
    rank_t first, last;
    double mean = 0;
    memdb_status_t status = find_ranks(sorted, from, from_size, to, to_size, &first, &last, error);
    if (status)
        return status;
    if (first.block >= last.block) {
        bool some = first.block == last.block && last.before > first.before;
        *count_out = some ? last.before - first.before : 0;
        return MEMDB_OK;
    }
    uint64_t between = last.block - first.block - 1;
    status = sample_blocks(sorted, first.block + 1, between, &mean, error);
    if (!status)
        *count_out = first.all - first.before + (uint64_t)((double)between * mean) + last.before;
    return status;
}

// ------------------------------------------------------------------------------------------------
// verify

/// What a walk over all entries carries along.
typedef struct walk {
    memdb__sorted_t *sorted;
    memdb__entry_t before;    // the entry before, key NULL at the beginning
    uint64_t entries, hashed; // the second: keys that the hash leads to
} walk_t;

/// NULL when the entry is in order and the index says of it what it is.
static const char *verify_place(const walk_t *walk, const memdb__entry_t *entry, uint64_t number,
                                uint32_t slot) {
    const memdb__sorted_t *sorted = walk->sorted;
    if (walk->before.key) {
        int order =
            memdb__compare(walk->before.key, walk->before.key_size, entry->key, entry->key_size);
        if (order > 0 || (order == 0 && !sorted->first_versions))
            return "keys do not rise";
        if (order == 0 && walk->before.version <= entry->version)
            return "versions of a key do not fall";
    }
    if (slot == 0) {
        size_t size;
        const uint8_t *first = memdb__sorted_first_key(sorted, number, &size);
        if (memdb__compare(first, size, entry->key, entry->key_size))
            return "the index has another first key";
        if (sorted->first_versions && memdb__sorted_first_version(sorted, number) != entry->version)
            return "the index has another first version";
    }
    return NULL;
}

/// NULL when the hash leads to the entry, if it is the newest version of a hashed key.
static const char *verify_hash(walk_t *walk, const memdb__entry_t *entry,
                               memdb_status_t *status_out, memdb_error_t *error) {
    memdb__sorted_t *sorted = walk->sorted;
    const memdb__entry_t *before = &walk->before;
    if (!memdb__sorted_is_hashed(sorted->hashed, entry->key, entry->key_size) ||
        (before->key &&
         !memdb__compare(before->key, before->key_size, entry->key, entry->key_size)))
        return NULL;
    memdb__entry_t found;
    memdb_status_t status =
        memdb__sorted_hash_find(sorted, entry->key, entry->key_size,
                                memdb__sorted_hash(entry->key, entry->key_size), &found, error);
    *status_out = status == MEMDB_NOT_FOUND ? MEMDB_OK : status;
    walk->hashed++;
    return status || found.key != entry->key ? "the hash does not lead to a key" : NULL;
}

/// NULL when the block is right, else what is wrong. Reading errors are in `*status_out`.
static const char *verify_block(walk_t *walk, uint64_t number, memdb_status_t *status_out,
                                memdb_error_t *error) {
    memdb__sorted_t *sorted = walk->sorted;
    memdb__sorted_block_t block;
    *status_out = memdb__sorted_load_block(sorted, number, &block, error);
    if (*status_out)
        return "a block does not decode";
    const uint8_t *expected = block.at + 4 + 4 * (size_t)block.count;
    for (uint32_t slot = 0; slot < block.count; slot++) {
        uint32_t offset = memdb__get_u32(block.at + 4 + 4 * (size_t)slot);
        if (offset != (size_t)(expected - block.at))
            return "entries overlap or leave a gap";
        memdb__entry_t entry;
        *status_out = memdb__sorted_load_entry(sorted, &block, slot, &entry, error);
        if (*status_out)
            return "an entry does not decode";
        expected = entry.value + entry.value_size;
        const char *wrong = verify_place(walk, &entry, number, slot);
        if (wrong)
            return wrong;
        wrong = verify_hash(walk, &entry, status_out, error);
        if (wrong)
            return wrong;
        walk->before = entry;
        walk->entries++;
    }
    return expected == block.at + block.size ? NULL : "bytes follow the last entry";
}

memdb_status_t memdb__sorted_verify(memdb__sorted_t *sorted, memdb_verify_fn found, void *context,
                                    memdb_error_t *error) {
    const char *name = memdb__container_name(sorted->container);
    memdb_status_t status = memdb__container_verify(sorted->container, found, context, error);
    if (status)
        return status;
    status = memdb__sorted_check_index(sorted, error);
    if (status) {
        if (found)
            found(context, name, memdb__container_offset(sorted->container, sorted->starts),
                  "the index is wrong");
        return status;
    }
    walk_t walk = {.sorted = sorted};
    const char *wrong = NULL;
    uint64_t number = 0;
    for (; number < sorted->block_count && !wrong; number++)
        wrong = verify_block(&walk, number, &status, error);
    if (!wrong && walk.entries != sorted->entry_count)
        wrong = "the number of entries is another one";
    uint64_t hashed = 0;
    if (!wrong)
        status = memdb__sorted_hash_count(sorted, &hashed, error);
    if (!wrong && (status || walk.hashed != hashed))
        wrong = "the hash leads to what is no key";
    if (!wrong)
        return MEMDB_OK;
    uint64_t start = memdb__get_u64(sorted->starts + (number ? number - 1 : 0) * 8);
    uint64_t offset = memdb__container_offset(sorted->container, sorted->blocks + start);
    if (found)
        found(context, name, offset, wrong);
    return status ? status
                  : memdb__fail(error, MEMDB_CORRUPT, "%s at %llu: %s", name,
                                (unsigned long long)offset, wrong);
}
