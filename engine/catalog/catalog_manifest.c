// The manifest as entries of the catalog's main database.
//
// Key "m" is the head; key "t" and a big-endian number (0, 1, ...) is a tier, oldest first; key "x"
// and a big-endian number is a retired extent. In LMDB's order the head comes first. The head names
// the transaction that wrote it, so that a tree cannot pass for another transaction's.
//
//   head   0 format version u32 (1), 4 reserved u32, then u64 each: 8 transaction id,
//          16 applied_lsn, 24 next_id, 32 next_space, 40 next_segment_id, 48 epoch_floor,
//          56 last_commit_time (i64), 64 count of tiers, 72 count of retired extents,
//          80 named bytes of the arena, 88 its bytes, 96 purged LSN
//   tier   u64 each: 0 first_lsn, 8 last_lsn; 16 sorted, 40 words, 64 vectors, each of
//          segment id, file size, checksum; 88 superseded bytes, 96 dropped blob bytes
//   retired extent  u64 each: 0 extent id, 8 the last generation whose views may name it
//
// The root file of the database tells the format's version to people; here another version is
// damage.
//
// Invariants: tiers are adjacent and not empty; applied_lsn is the last tier's last_lsn, or 0; a
// segment id is used once and is below next_segment_id; an absent segment is all zero; retired
// extents rise by id, below next_segment_id, and are at most MEMDB__MAX_RETIRED.
#include "base/bytes.h"
#include "base/check.h"
#include "base/checksum.h"
#include "engine/catalog/engine_catalog.h"

#include <inttypes.h>
#include <stdlib.h>

#define HEAD_VERSION 1

static_assert(MEMDB__MANIFEST_HEAD_BYTES == 104, "format");
static_assert(MEMDB__MANIFEST_TIER_BYTES == 16 + 3 * 24 + 16, "format");

void memdb__manifest_deinit(memdb__manifest_t *manifest) {
    memdb__free(manifest->tiers);
    memdb__free(manifest->retired);
    *manifest = (memdb__manifest_t){0};
}

static int compare_ids(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static memdb_status_t check_segment(const memdb__segment_name_t *segment, uint64_t tier,
                                    uint64_t next_segment_id, memdb_error_t *error) {
    if (segment->segment_id == 0) {
        if (segment->file_size || segment->checksum)
            return memdb__fail(error, MEMDB_CORRUPT,
                               "manifest: tier %" PRIu64 ": a size without a segment", tier);
        return MEMDB_OK;
    }
    if (segment->segment_id >= next_segment_id)
        return memdb__fail(error, MEMDB_CORRUPT,
                           "manifest: tier %" PRIu64 ": segment %" PRIu64 " is not below %" PRIu64,
                           tier, segment->segment_id, next_segment_id);
    if (segment->file_size == 0 || segment->file_size > INT64_MAX)
        return memdb__fail(error, MEMDB_CORRUPT,
                           "manifest: tier %" PRIu64 ": segment %" PRIu64 " of %" PRIu64 " bytes",
                           tier, segment->segment_id, segment->file_size);
    return MEMDB_OK;
}

static memdb_status_t check_distinct(const memdb__manifest_t *manifest, memdb_error_t *error) {
    if (manifest->tier_count > SIZE_MAX / 3 / sizeof(uint64_t))
        return memdb__fail(error, MEMDB_LIMIT, "manifest: %" PRIu64 " tiers", manifest->tier_count);
    uint64_t *ids = memdb__allocate((size_t)manifest->tier_count * 3 * sizeof *ids);
    if (!ids)
        return memdb__fail(error, MEMDB_NOMEM, "manifest: out of memory");
    size_t count = 0;
    for (uint64_t i = 0; i < manifest->tier_count; i++) {
        const memdb__tier_name_t *tier = &manifest->tiers[i];
        uint64_t of_tier[3] = {tier->sorted.segment_id, tier->words.segment_id,
                               tier->vectors.segment_id};
        for (int j = 0; j < 3; j++)
            if (of_tier[j])
                ids[count++] = of_tier[j];
    }
    qsort(ids, count, sizeof *ids, compare_ids);
    memdb_status_t status = MEMDB_OK;
    for (size_t i = 1; i < count && !status; i++)
        if (ids[i] == ids[i - 1])
            status = memdb__fail(error, MEMDB_CORRUPT,
                                 "manifest: segment %" PRIu64 " is named twice", ids[i]);
    memdb__free(ids);
    return status;
}

static memdb_status_t check_retired(const memdb__manifest_t *manifest, memdb_error_t *error) {
    uint64_t last = 0;
    if (manifest->retired_count > MEMDB__MAX_RETIRED)
        return memdb__fail(error, MEMDB_CORRUPT, "manifest: %" PRIu64 " retired extents",
                           manifest->retired_count);
    for (uint64_t i = 0; i < manifest->retired_count; i++) {
        uint64_t id = manifest->retired[i].extent_id;
        if (id <= last || id >= manifest->next_segment_id)
            return memdb__fail(error, MEMDB_CORRUPT,
                               "manifest: retired extent %" PRIu64 " after %" PRIu64
                               ", not below %" PRIu64,
                               id, last, manifest->next_segment_id);
        last = id;
    }
    return MEMDB_OK;
}

memdb_status_t memdb__manifest_check(const memdb__manifest_t *manifest, memdb_error_t *error) {
    uint64_t applied = 0;
    for (uint64_t i = 0; i < manifest->tier_count; i++) {
        const memdb__tier_name_t *tier = &manifest->tiers[i];
        if (tier->first_lsn >= tier->last_lsn)
            return memdb__fail(error, MEMDB_CORRUPT,
                               "manifest: tier %" PRIu64 " from %" PRIu64 " to %" PRIu64, i,
                               tier->first_lsn, tier->last_lsn);
        if (i > 0 && tier->first_lsn != applied)
            return memdb__fail(error, MEMDB_CORRUPT,
                               "manifest: tier %" PRIu64 " begins at %" PRIu64
                               ", the one before ends at %" PRIu64,
                               i, tier->first_lsn, applied);
        const memdb__segment_name_t *segments[3] = {&tier->sorted, &tier->words, &tier->vectors};
        for (int j = 0; j < 3; j++) {
            memdb_status_t status = check_segment(segments[j], i, manifest->next_segment_id, error);
            if (status)
                return status;
        }
        applied = tier->last_lsn;
    }
    if (manifest->applied_lsn != applied)
        return memdb__fail(error, MEMDB_CORRUPT,
                           "manifest: applied lsn %" PRIu64 ", the last tier ends at %" PRIu64,
                           manifest->applied_lsn, applied);
    memdb_status_t status = check_retired(manifest, error);
    return status ? status : check_distinct(manifest, error);
}

static void encode_segment(const memdb__segment_name_t *segment, uint8_t *at) {
    memdb__put_u64(at, segment->segment_id);
    memdb__put_u64(at + 8, segment->file_size);
    memdb__put_u64(at + 16, segment->checksum);
}

static void decode_segment(const uint8_t *at, memdb__segment_name_t *segment) {
    segment->segment_id = memdb__get_u64(at);
    segment->file_size = memdb__get_u64(at + 8);
    segment->checksum = memdb__get_u64(at + 16);
}

void memdb__manifest_encode(const memdb__manifest_t *manifest, uint64_t txnid, uint64_t index,
                            memdb__manifest_entry_t *entry_out) {
    memdb__manifest_entry_t entry = {0};
    uint8_t *value = entry.value;
    if (index == 0) {
        entry.key[0] = 'm';
        entry.key_size = 1;
        entry.value_size = MEMDB__MANIFEST_HEAD_BYTES;
        memdb__put_u32(value, HEAD_VERSION);
        memdb__put_u64(value + 8, txnid);
        memdb__put_u64(value + 16, manifest->applied_lsn);
        memdb__put_u64(value + 24, manifest->next_id);
        memdb__put_u64(value + 32, manifest->next_space);
        memdb__put_u64(value + 40, manifest->next_segment_id);
        memdb__put_u64(value + 48, manifest->epoch_floor);
        memdb__put_u64(value + 56, (uint64_t)manifest->last_commit_time);
        memdb__put_u64(value + 64, manifest->tier_count);
        memdb__put_u64(value + 72, manifest->retired_count);
        memdb__put_u64(value + 80, manifest->named_blob_bytes);
        memdb__put_u64(value + 88, manifest->arena_bytes);
        memdb__put_u64(value + 96, manifest->purged_lsn);
    } else if (index > manifest->tier_count) {
        uint64_t number = index - 1 - manifest->tier_count;
        entry.key[0] = 'x';
        memdb__put_be64(entry.key + 1, number);
        entry.key_size = MEMDB__MANIFEST_KEY_BYTES;
        entry.value_size = MEMDB__MANIFEST_RETIRED_BYTES;
        memdb__put_u64(value, manifest->retired[number].extent_id);
        memdb__put_u64(value + 8, manifest->retired[number].generation);
    } else {
        const memdb__tier_name_t *tier = &manifest->tiers[index - 1];
        entry.key[0] = 't';
        memdb__put_be64(entry.key + 1, index - 1);
        entry.key_size = MEMDB__MANIFEST_KEY_BYTES;
        entry.value_size = MEMDB__MANIFEST_TIER_BYTES;
        memdb__put_u64(value, tier->first_lsn);
        memdb__put_u64(value + 8, tier->last_lsn);
        encode_segment(&tier->sorted, value + 16);
        encode_segment(&tier->words, value + 40);
        encode_segment(&tier->vectors, value + 64);
        memdb__put_u64(value + 88, tier->superseded_bytes);
        memdb__put_u64(value + 96, tier->dropped_blob_bytes);
    }
    *entry_out = entry;
}

void memdb__manifest_builder_init(memdb__manifest_builder_t *builder) {
    *builder = (memdb__manifest_builder_t){0};
}

void memdb__manifest_builder_deinit(memdb__manifest_builder_t *builder) {
    memdb__manifest_deinit(&builder->manifest);
    memdb__buffer_deinit(&builder->bytes);
}

static memdb_status_t add_head(memdb__manifest_builder_t *builder, const uint8_t *value,
                               size_t size, memdb_error_t *error) {
    if (size < 4)
        return memdb__fail(error, MEMDB_CORRUPT, MEMDB__CATALOG_DATA ": manifest head of %zu bytes",
                           size);
    if (memdb__get_u32(value) != HEAD_VERSION)
        return memdb__fail(error, MEMDB_CORRUPT, MEMDB__CATALOG_DATA ": manifest version %" PRIu32,
                           memdb__get_u32(value));
    if (size != MEMDB__MANIFEST_HEAD_BYTES || memdb__get_u32(value + 4))
        return memdb__fail(error, MEMDB_CORRUPT,
                           MEMDB__CATALOG_DATA ": the manifest head is damaged");
    memdb__manifest_t *manifest = &builder->manifest;
    builder->head_txnid = memdb__get_u64(value + 8);
    manifest->applied_lsn = memdb__get_u64(value + 16);
    manifest->next_id = memdb__get_u64(value + 24);
    manifest->next_space = memdb__get_u64(value + 32);
    manifest->next_segment_id = memdb__get_u64(value + 40);
    manifest->epoch_floor = memdb__get_u64(value + 48);
    manifest->last_commit_time = (int64_t)memdb__get_u64(value + 56);
    builder->head_tiers = memdb__get_u64(value + 64);
    builder->head_retired = memdb__get_u64(value + 72);
    manifest->named_blob_bytes = memdb__get_u64(value + 80);
    manifest->arena_bytes = memdb__get_u64(value + 88);
    manifest->purged_lsn = memdb__get_u64(value + 96);
    builder->has_head = true;
    return MEMDB_OK;
}

static memdb_status_t add_tier(memdb__manifest_builder_t *builder, const uint8_t *value,
                               memdb_error_t *error) {
    memdb__manifest_t *manifest = &builder->manifest;
    if (manifest->tier_count == builder->capacity) {
        uint64_t capacity = builder->capacity ? 2 * builder->capacity : 16;
        memdb__tier_name_t *tiers =
            memdb__reallocate(manifest->tiers, (size_t)capacity * sizeof *tiers);
        if (!tiers)
            return memdb__fail(error, MEMDB_NOMEM, "manifest: out of memory");
        manifest->tiers = tiers;
        builder->capacity = capacity;
    }
    memdb__tier_name_t *tier = &manifest->tiers[manifest->tier_count++];
    tier->first_lsn = memdb__get_u64(value);
    tier->last_lsn = memdb__get_u64(value + 8);
    decode_segment(value + 16, &tier->sorted);
    decode_segment(value + 40, &tier->words);
    decode_segment(value + 64, &tier->vectors);
    tier->superseded_bytes = memdb__get_u64(value + 88);
    tier->dropped_blob_bytes = memdb__get_u64(value + 96);
    return MEMDB_OK;
}

static memdb_status_t add_retired(memdb__manifest_builder_t *builder, const uint8_t *value,
                                  memdb_error_t *error) {
    memdb__manifest_t *manifest = &builder->manifest;
    if (manifest->retired_count == builder->retired_capacity) {
        uint64_t capacity = builder->retired_capacity ? 2 * builder->retired_capacity : 16;
        memdb__retired_extent_t *retired =
            memdb__reallocate(manifest->retired, (size_t)capacity * sizeof *retired);
        if (!retired)
            return memdb__fail(error, MEMDB_NOMEM, "manifest: out of memory");
        manifest->retired = retired;
        builder->retired_capacity = capacity;
    }
    manifest->retired[manifest->retired_count++] =
        (memdb__retired_extent_t){memdb__get_u64(value), memdb__get_u64(value + 8)};
    return MEMDB_OK;
}

memdb_status_t memdb__manifest_builder_add(void *context, const uint8_t *key, size_t key_size,
                                           const uint8_t *value, size_t value_size,
                                           memdb_error_t *error) {
    memdb__manifest_builder_t *builder = context;
    memdb_status_t status;
    if (!builder->has_head && key_size == 1 && key[0] == 'm') {
        status = add_head(builder, value, value_size, error);
    } else if (builder->has_head && key_size == MEMDB__MANIFEST_KEY_BYTES && key[0] == 't' &&
               memdb__get_be64(key + 1) == builder->manifest.tier_count &&
               value_size == MEMDB__MANIFEST_TIER_BYTES && builder->manifest.retired_count == 0) {
        status = add_tier(builder, value, error);
    } else if (builder->has_head && key_size == MEMDB__MANIFEST_KEY_BYTES && key[0] == 'x' &&
               memdb__get_be64(key + 1) == builder->manifest.retired_count &&
               value_size == MEMDB__MANIFEST_RETIRED_BYTES) {
        status = add_retired(builder, value, error);
    } else {
        status = memdb__fail(
            error, MEMDB_CORRUPT, MEMDB__CATALOG_DATA ": entry %" PRIu64 " is unknown or damaged",
            builder->manifest.tier_count + builder->manifest.retired_count + builder->has_head);
    }
    if (status)
        return status;
    memdb__buffer_append_u32(&builder->bytes, (uint32_t)key_size);
    memdb__buffer_append(&builder->bytes, key, key_size);
    memdb__buffer_append_u32(&builder->bytes, (uint32_t)value_size);
    if (!memdb__buffer_append(&builder->bytes, value, value_size))
        return memdb__fail(error, MEMDB_NOMEM, "manifest: out of memory");
    return MEMDB_OK;
}

memdb_status_t memdb__manifest_builder_finish(memdb__manifest_builder_t *builder, uint64_t txnid,
                                              memdb__manifest_t *manifest_out, uint64_t *hash_out,
                                              memdb_error_t *error) {
    if (builder->bytes.failed)
        return memdb__fail(error, MEMDB_NOMEM, "manifest: out of memory");
    if (!builder->has_head || builder->head_tiers != builder->manifest.tier_count)
        return memdb__fail(error, MEMDB_CORRUPT,
                           MEMDB__CATALOG_DATA ": %" PRIu64 " tiers, the head names %" PRIu64,
                           builder->manifest.tier_count, builder->head_tiers);
    if (builder->head_retired != builder->manifest.retired_count)
        return memdb__fail(error, MEMDB_CORRUPT,
                           MEMDB__CATALOG_DATA ": %" PRIu64
                                               " retired extents, the head names %" PRIu64,
                           builder->manifest.retired_count, builder->head_retired);
    if (builder->head_txnid != txnid)
        return memdb__fail(error, MEMDB_CORRUPT,
                           MEMDB__CATALOG_DATA ": the manifest of transaction %" PRIu64
                                               " stands in for %" PRIu64,
                           builder->head_txnid, txnid);
    memdb_status_t status = memdb__manifest_check(&builder->manifest, error);
    if (status)
        return status == MEMDB_CORRUPT ? memdb__error_context(error, status, MEMDB__CATALOG_DATA)
                                       : status;
    builder->manifest.generation = txnid;
    *hash_out = memdb__hash64(builder->bytes.data, builder->bytes.size, txnid);
    *manifest_out = builder->manifest;
    builder->manifest = (memdb__manifest_t){0};
    return MEMDB_OK;
}
