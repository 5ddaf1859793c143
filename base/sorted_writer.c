// Writing a sorted segment.
//
// Blocks go out as they fill; what describes them (starts, first keys, hashes of the keys) is kept
// in memory until the end: 16 bytes a hashed key, and 24 bytes and a key a block. Invariant:
// `block` and `offsets` hold the current block, whose first key is the last one in `first_keys`.
#include "base/memory.h"
#include "base/sorted_format.h"

struct memdb__sorted_writer {
    memdb__container_writer_t *container;
    memdb__buffer_t block;      // entries of the current block
    memdb__buffer_t offsets;    // u32 an entry: where it begins in `block`
    memdb__buffer_t last_key;   // of all entries so far
    memdb__buffer_t starts;     // u64 a block
    memdb__buffer_t key_starts; // u64 a block
    memdb__buffer_t first_keys;
    memdb__buffer_t first_versions; // u64 a block
    memdb__buffer_t places;         // place_t a hashed key; those from `unplaced` on count from
    size_t unplaced;                // the beginning of the current block's entries
    uint8_t hashed[32];             // a bit a first byte
    uint64_t entry_count, last_version;
    bool has_versions; // some key has more than one
};

/// Where the entry of a hashed key begins in the blocks.
typedef struct place {
    uint64_t hash, at;
} place_t;

static place_t *places_of(const memdb__sorted_writer_t *writer, size_t *count_out) {
    *count_out = writer->places.size / sizeof(place_t);
    return (place_t *)(void *)writer->places.data;
}

static void destroy(memdb__sorted_writer_t *writer) {
    memdb__buffer_deinit(&writer->block);
    memdb__buffer_deinit(&writer->offsets);
    memdb__buffer_deinit(&writer->last_key);
    memdb__buffer_deinit(&writer->starts);
    memdb__buffer_deinit(&writer->key_starts);
    memdb__buffer_deinit(&writer->first_keys);
    memdb__buffer_deinit(&writer->first_versions);
    memdb__buffer_deinit(&writer->places);
    memdb__free(writer);
}

static bool out_of_memory(const memdb__sorted_writer_t *writer) {
    return writer->block.failed || writer->offsets.failed || writer->last_key.failed ||
           writer->starts.failed || writer->key_starts.failed || writer->first_keys.failed ||
           writer->first_versions.failed || writer->places.failed;
}

memdb_status_t memdb__sorted_create(int directory, const char *name,
                                    const memdb__segment_identity_t *identity,
                                    memdb__sorted_writer_t **writer_out, memdb_error_t *error) {
    memdb__sorted_writer_t *writer = memdb__allocate_zeroed(1, sizeof *writer);
    if (!writer)
        return memdb__fail(error, MEMDB_NOMEM, "%s: no memory for a writer", name);
    memset(writer->hashed, 0xFF, sizeof writer->hashed);
    memdb_status_t status =
        memdb__container_create(directory, name, identity, &writer->container, error);
    if (status) {
        destroy(writer);
        return status;
    }
    status = memdb__container_begin(writer->container, MEMDB__SORTED_BLOCKS, error);
    if (status) {
        memdb__sorted_abandon(writer);
        return status;
    }
    *writer_out = writer;
    return MEMDB_OK;
}

void memdb__sorted_leave_unhashed(memdb__sorted_writer_t *writer, const char *first_bytes) {
    for (const uint8_t *at = (const uint8_t *)first_bytes; *at; at++)
        writer->hashed[*at / 8] &= (uint8_t) ~(1u << (*at & 7));
}

static size_t block_count(const memdb__sorted_writer_t *writer) {
    return writer->starts.size / 8;
}

static uint32_t entries_in_block(const memdb__sorted_writer_t *writer) {
    return (uint32_t)(writer->offsets.size / 4);
}

/// Write the current block, if it has entries. The offsets are moved by the size of count and array
/// in front of them.
static memdb_status_t flush_block(memdb__sorted_writer_t *writer, memdb_error_t *error) {
    uint32_t count = entries_in_block(writer);
    if (!count)
        return MEMDB_OK;
    uint32_t shift = 4 + 4 * count;
    for (size_t at = 0; at < writer->offsets.size; at += 4)
        memdb__put_u32(writer->offsets.data + at,
                       memdb__get_u32(writer->offsets.data + at) + shift);
    size_t place_count;
    place_t *places = places_of(writer, &place_count);
    for (; writer->unplaced < place_count; writer->unplaced++)
        places[writer->unplaced].at += memdb__container_position(writer->container) + shift;
    uint8_t head[4];
    memdb__put_u32(head, count);
    memdb_status_t status = memdb__container_append(writer->container, head, sizeof head, error);
    if (!status)
        status = memdb__container_append(writer->container, writer->offsets.data,
                                         writer->offsets.size, error);
    if (!status)
        status = memdb__container_append(writer->container, writer->block.data, writer->block.size,
                                         error);
    memdb__buffer_clear(&writer->block);
    memdb__buffer_clear(&writer->offsets);
    return status;
}

static void begin_block(memdb__sorted_writer_t *writer, const memdb__entry_t *entry) {
    memdb__buffer_append_u64(&writer->starts, memdb__container_position(writer->container));
    memdb__buffer_append_u64(&writer->key_starts, writer->first_keys.size);
    memdb__buffer_append(&writer->first_keys, entry->key, entry->key_size);
    memdb__buffer_append_u64(&writer->first_versions, entry->version);
}

memdb_status_t memdb__sorted_append(memdb__sorted_writer_t *writer, const memdb__entry_t *entry,
                                    memdb_error_t *error) {
    if (out_of_memory(writer))
        return memdb__fail(error, MEMDB_NOMEM, "sorted: an earlier append had no memory");
    int order = writer->entry_count ? memdb__compare(writer->last_key.data, writer->last_key.size,
                                                     entry->key, entry->key_size)
                                    : -1;
    if (order > 0 || (order == 0 && entry->version >= writer->last_version))
        return memdb__fail(error, MEMDB_INVALID,
                           "sorted: entry %llu does not follow in order of key and version",
                           (unsigned long long)writer->entry_count);
    // Offsets in a block are u32; half of that leaves room for the array.
    if (entry->key_size > UINT32_MAX / 4 || entry->value_size > UINT32_MAX / 4)
        return memdb__fail(error, MEMDB_LIMIT, "sorted: key of %zu and value of %zu bytes",
                           entry->key_size, entry->value_size);

    uint8_t head[MEMDB__SORTED_ENTRY_HEAD_BYTES];
    size_t head_size = memdb__put_varint(head, entry->key_size);
    head_size +=
        memdb__put_varint(head + head_size, (uint64_t)entry->value_size * 2 + entry->tombstone);
    memdb__put_u64(head + head_size, entry->version);
    head_size += 8;

    size_t size = head_size + entry->key_size + entry->value_size;
    size_t now = 4 + writer->offsets.size + writer->block.size;
    if (now + 4 + size > MEMDB__SORTED_BLOCK_BYTES) {
        memdb_status_t status = flush_block(writer, error);
        if (status)
            return status;
    }
    if (!entries_in_block(writer))
        begin_block(writer, entry);
    memdb__buffer_append_u32(&writer->offsets, (uint32_t)writer->block.size);
    if (order < 0 && memdb__sorted_is_hashed(writer->hashed, entry->key, entry->key_size)) {
        place_t place = {memdb__sorted_hash(entry->key, entry->key_size), writer->block.size};
        memdb__buffer_append(&writer->places, &place, sizeof place);
    }
    memdb__buffer_append(&writer->block, head, head_size);
    memdb__buffer_append(&writer->block, entry->key, entry->key_size);
    memdb__buffer_append(&writer->block, entry->value, entry->value_size);
    if (order < 0) {
        memdb__buffer_clear(&writer->last_key);
        memdb__buffer_append(&writer->last_key, entry->key, entry->key_size);
    }
    writer->has_versions |= order == 0;
    writer->last_version = entry->version;
    if (out_of_memory(writer))
        return memdb__fail(error, MEMDB_NOMEM, "sorted: no memory for entry %llu",
                           (unsigned long long)writer->entry_count);
    writer->entry_count++;
    return MEMDB_OK;
}

/// First key of a block, after the closing entry was appended to key_starts.
static const uint8_t *first_key(const memdb__sorted_writer_t *writer, size_t block,
                                size_t *size_out) {
    uint64_t start = memdb__get_u64(writer->key_starts.data + block * 8);
    *size_out = (size_t)(memdb__get_u64(writer->key_starts.data + block * 8 + 8) - start);
    return writer->first_keys.data + start;
}

/// Bytes that all first keys share: what the first and the last one share, since the keys are
/// sorted.
static uint32_t common_prefix(const memdb__sorted_writer_t *writer, size_t blocks) {
    if (!blocks)
        return 0;
    size_t first_size, last_size, shared = 0;
    const uint8_t *first = first_key(writer, 0, &first_size);
    const uint8_t *last = first_key(writer, blocks - 1, &last_size);
    while (shared < first_size && shared < last_size && first[shared] == last[shared])
        shared++;
    return (uint32_t)shared;
}

static memdb_status_t write_section(memdb__sorted_writer_t *writer, uint32_t section,
                                    const memdb__buffer_t *buffer, memdb_error_t *error) {
    memdb_status_t status = memdb__container_begin(writer->container, section, error);
    return status ? status
                  : memdb__container_append(writer->container, buffer->data, buffer->size, error);
}

/// Put a key's slot into the first line with a free one.
static void fill_slot(uint8_t *hash, uint64_t lines, const place_t *place) {
    uint64_t slot = place->hash << MEMDB__SORTED_TAG_SHIFT | (place->at + 1);
    uint64_t number = memdb__sorted_line(place->hash, lines);
    for (;; number = number + 1 < lines ? number + 1 : 0) {
        uint8_t *line = hash + number * MEMDB__SORTED_LINE_BYTES;
        for (size_t i = 0; i < MEMDB__SORTED_LINE_SLOTS; i++) {
            if (!memdb__get_u64(line + i * 8)) {
                memdb__put_u64(line + i * 8, slot);
                return;
            }
        }
    }
}

static memdb_status_t write_hash(memdb__sorted_writer_t *writer, uint64_t *lines_out,
                                 memdb_error_t *error) {
    enum { AHEAD = 16 }; // lines are far apart: they are fetched so many keys before
    size_t count;
    const place_t *places = places_of(writer, &count);
    uint64_t lines = (count + MEMDB__SORTED_LINE_KEYS - 1) / MEMDB__SORTED_LINE_KEYS;
    if (count && places[count - 1].at + 1 >= UINT64_C(1) << MEMDB__SORTED_TAG_SHIFT)
        return memdb__fail(error, MEMDB_LIMIT, "sorted: more than 1 TiB of blocks");
    uint8_t *hash = memdb__allocate_zeroed((size_t)lines, MEMDB__SORTED_LINE_BYTES);
    if (!hash)
        return memdb__fail(error, MEMDB_NOMEM, "sorted: no memory for the hash");
    for (size_t i = 0; i < count; i++) {
        if (i + AHEAD < count)
            __builtin_prefetch(hash + memdb__sorted_line(places[i + AHEAD].hash, lines) *
                                          MEMDB__SORTED_LINE_BYTES);
        fill_slot(hash, lines, &places[i]);
    }
    memdb_status_t status = memdb__container_begin(writer->container, MEMDB__SORTED_HASH, error);
    if (!status)
        status = memdb__container_append(writer->container, hash,
                                         (size_t)lines * MEMDB__SORTED_LINE_BYTES, error);
    memdb__free(hash);
    *lines_out = lines;
    return status;
}

/// Everything behind the blocks.
static memdb_status_t write_index(memdb__sorted_writer_t *writer, memdb_error_t *error) {
    size_t blocks = block_count(writer);
    memdb__buffer_append_u64(&writer->starts, memdb__container_position(writer->container));
    memdb__buffer_append_u64(&writer->key_starts, writer->first_keys.size);
    memdb__buffer_clear(&writer->block); // holds the heads now
    if (out_of_memory(writer))
        return memdb__fail(error, MEMDB_NOMEM, "sorted: no memory for the index");
    uint32_t common = common_prefix(writer, blocks);
    for (size_t i = 0; i < blocks; i++) {
        size_t size;
        const uint8_t *key = first_key(writer, i, &size);
        memdb__buffer_append_u64(&writer->block, memdb__sorted_head(key + common, size - common));
    }
    if (out_of_memory(writer))
        return memdb__fail(error, MEMDB_NOMEM, "sorted: no memory for the index");

    uint64_t lines = 0;
    memdb_status_t status = write_section(writer, MEMDB__SORTED_STARTS, &writer->starts, error);
    if (!status)
        status = write_section(writer, MEMDB__SORTED_KEY_STARTS, &writer->key_starts, error);
    if (!status)
        status = write_section(writer, MEMDB__SORTED_FIRST_KEYS, &writer->first_keys, error);
    if (!status)
        status = write_section(writer, MEMDB__SORTED_HEADS, &writer->block, error);
    if (!status && writer->has_versions)
        status =
            write_section(writer, MEMDB__SORTED_FIRST_VERSIONS, &writer->first_versions, error);
    if (!status)
        status = write_hash(writer, &lines, error);
    if (!status)
        status = memdb__container_begin(writer->container, MEMDB__SORTED_META, error);
    if (status)
        return status;
    uint8_t meta[MEMDB__SORTED_META_BYTES] = {0};
    memdb__put_u64(meta, writer->entry_count);
    memdb__put_u64(meta + 8, blocks);
    memdb__put_u64(meta + 16, lines);
    memdb__put_u32(meta + 24, MEMDB__SORTED_VERSION);
    memdb__put_u32(meta + 28, common);
    memcpy(meta + 32, writer->hashed, sizeof writer->hashed);
    return memdb__container_append(writer->container, meta, sizeof meta, error);
}

memdb_status_t memdb__sorted_finish(memdb__sorted_writer_t *writer, uint64_t *file_size_out,
                                    uint64_t *checksum_out, memdb_error_t *error) {
    // The state of the buffers tells whether an append failed: such a file would lack the entry.
    memdb_status_t status =
        out_of_memory(writer)
            ? memdb__fail(error, MEMDB_NOMEM, "sorted: an earlier append had no memory")
            : flush_block(writer, error);
    if (!status)
        status = write_index(writer, error);
    if (status) {
        memdb__sorted_abandon(writer);
        return status;
    }
    status = memdb__container_finish(writer->container, file_size_out, checksum_out, error);
    destroy(writer);
    return status;
}

void memdb__sorted_abandon(memdb__sorted_writer_t *writer) {
    if (!writer)
        return;
    memdb__container_abandon(writer->container);
    destroy(writer);
}
