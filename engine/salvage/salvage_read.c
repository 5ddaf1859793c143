// Salvage: what a map, a vector segment and a frame of the log hold.
//
// Of a map, blocks and entries are read one by one, each as far as the pages under it are whole;
// the index (where blocks begin) is used entry by entry too, and where it is damaged a block begins
// at the end of the one before. What is missing between two entries that were read is a hole
// between their keys. Words need not be read: texts are in the records.
#include "base/sorted_format.h"
#include "engine/salvage/salvage.h"

#include <fcntl.h>
#include <stdio.h>

/// One map being read.
typedef struct map {
    memdb__salvage_t *salvage;
    const memdb__rescue_t *rescue;
    uint64_t last_lsn;   // no version in it is above
    uint64_t blocks, at; // of the file: where the blocks begin; where the next one is expected
    uint8_t last_key[MEMDB__KEY_MAX_BYTES];
    size_t last_size;
    bool hole; // something is missing behind last_key
    uint64_t hole_at;
    memdb_error_t *error;
    memdb_status_t status;
} map_t;

// ------------------------------------------------------------------------------ holes

static void break_at(map_t *map, uint64_t offset) {
    if (!map->hole) {
        map->hole = true;
        map->hole_at = offset;
    }
}

/// The ids that keys of this kind may have strictly between two keys. False: none.
static bool ids_between(uint8_t kind, const uint8_t *low, size_t low_size, const uint8_t *high,
                        size_t high_size, uint64_t *first, uint64_t *last) {
    *first = 0;
    *last = UINT64_MAX;
    if ((low_size && low[0] > kind) || (high_size && high[0] < kind)) {
        return false;
    }
    if (low_size >= 9 && low[0] == kind) { // the id of a link may go on with another type
        *first = memdb__get_be64(low + 1) + (kind == MEMDB__KEY_RECORD);
    }
    if (high_size >= 9 && high[0] == kind) {
        *last = memdb__get_be64(high + 1) - (kind == MEMDB__KEY_RECORD);
    }
    return *first <= *last;
}

/// Tell of what is missing between the last key and this one (NULL: the end). Index entries and
/// counters are made anew, so they are no loss.
static void close_hole(map_t *map, const uint8_t *key, size_t size) {
    memdb__salvage_t *salvage = map->salvage;
    uint64_t first, last;
    if (!map->hole) {
        return;
    }
    map->hole = false;
    if (ids_between(MEMDB__KEY_RECORD, map->last_key, map->last_size, key, size, &first, &last)) {
        memdb__salvage_hole_t hole = {
            .first_id = first, .last_id = last, .last_lsn = map->last_lsn, .offset = map->hole_at};
        memcpy(hole.file, map->rescue->name, sizeof hole.file);
        memdb__buffer_append(&salvage->holes, &hole, sizeof hole);
        memdb__salvage_lost(salvage, map->rescue->name, map->hole_at, first, last,
                            (memdb_bytes_t){0}, "memories: damaged pages");
    }
    if (ids_between(MEMDB__KEY_LINK, map->last_key, map->last_size, key, size, &first, &last)) {
        memdb__salvage_lost(salvage, map->rescue->name, map->hole_at, first, last,
                            (memdb_bytes_t){0}, "links from memories: damaged pages");
    }
    if (ids_between(MEMDB__KEY_SPACE, map->last_key, map->last_size, key, size, &first, &last)) {
        memdb__salvage_lost(salvage, map->rescue->name, map->hole_at, 0, 0, (memdb_bytes_t){0},
                            "spaces: damaged pages");
    }
    if (ids_between(MEMDB__KEY_ATTRIBUTES, map->last_key, map->last_size, key, size, &first,
                    &last)) {
        memdb__salvage_lost(salvage, map->rescue->name, map->hole_at, 0, 0, (memdb_bytes_t){0},
                            "lists of attribute indexes, if there were any: damaged pages");
    }
    if (ids_between(MEMDB__KEY_ROW, map->last_key, map->last_size, key, size, &first, &last) ||
        ids_between(MEMDB__KEY_TABLE, map->last_key, map->last_size, key, size, &first, &last)) {
        memdb__salvage_lost(salvage, map->rescue->name, map->hole_at, 0, 0, (memdb_bytes_t){0},
                            "tables and their rows, if there were any: damaged pages");
    }
}

static void stand_on(map_t *map, const uint8_t *key, size_t size) {
    close_hole(map, key, size);
    if (size <= sizeof map->last_key) {
        memcpy(map->last_key, key, size);
        map->last_size = size;
    }
}

// ------------------------------------------------------------------------------ entries

static bool counts(uint8_t kind) {
    return kind == MEMDB__KEY_RECORD || kind == MEMDB__KEY_LINK || kind == MEMDB__KEY_SPACE ||
           kind == MEMDB__KEY_ATTRIBUTES || kind == MEMDB__KEY_TABLE || kind == MEMDB__KEY_ROW;
}

static void add_entry(map_t *map, const memdb__entry_t *entry) {
    memdb__salvage_entry_t found = {.key = entry->key,
                                    .key_size = (uint32_t)entry->key_size,
                                    .value = entry->value,
                                    .value_size = (uint32_t)entry->value_size,
                                    .version = entry->version,
                                    .tombstone = entry->tombstone};
    if (!memdb__buffer_append(&map->salvage->entries, &found, sizeof found)) {
        map->status = memdb__fail(map->error, MEMDB_NOMEM, "salvage: out of memory");
    }
}

/// An entry whose key is whole, and whose value is not.
static void lose_value(map_t *map, uint64_t offset, const memdb__entry_t *entry) {
    uint8_t kind = entry->key[0];
    uint64_t id =
        entry->key_size >= 9 && kind != MEMDB__KEY_ROW ? memdb__get_be64(entry->key + 1) : 0;
    memdb_bytes_t key = {0};
    uint64_t value_at = (uint64_t)(entry->value - map->rescue->bytes);
    if (!counts(kind) || entry->tombstone) {
        return;
    }
    if (kind == MEMDB__KEY_RECORD && entry->value_size > 34 &&
        memdb__rescue_whole(map->rescue, value_at, 34)) { // the key is the first field of a record
        memdb__reader_t reader = memdb__reader(entry->value + 24, entry->value_size - 24);
        size_t size = 0;
        const uint8_t *data = memdb__read_sized(&reader, &size);
        bool has = memdb__get_u32(entry->value + 4) & MEMDB_FIELD_KEY;
        if (has && data && memdb__rescue_whole(map->rescue, value_at, 34 + size)) {
            key = (memdb_bytes_t){(const char *)data, size};
        }
    }
    memdb__salvage_lost(map->salvage, map->rescue->name, offset, id, id, key,
                        kind == MEMDB__KEY_RECORD  ? "a memory: damaged pages"
                        : kind == MEMDB__KEY_LINK  ? "a link from a memory: damaged pages"
                        : kind == MEMDB__KEY_SPACE ? "a space: damaged pages"
                        : kind == MEMDB__KEY_TABLE ? "a table: damaged pages"
                        : kind == MEMDB__KEY_ROW   ? "a row of a table: damaged pages"
                                                   : "the indexes of a space: damaged pages");
    if (kind == MEMDB__KEY_RECORD) {
        memdb__salvage_hole_t hole = {
            .first_id = id, .last_id = id, .last_lsn = map->last_lsn, .offset = offset};
        memcpy(hole.file, map->rescue->name, sizeof hole.file);
        memdb__buffer_append(&map->salvage->holes, &hole, sizeof hole);
    }
}

/// The entry at `offset` of the file, in a block that ends at `end` or before. Gives where it ends;
/// 0: not even its key can be read.
static uint64_t read_entry(map_t *map, uint64_t offset, uint64_t end) {
    const memdb__rescue_t *rescue = map->rescue;
    uint64_t head = end - offset < 28 ? end - offset : 28; // two varints and the version
    memdb__entry_t entry;
    while (head > 0 && !memdb__rescue_whole(rescue, offset, head)) {
        head--; // as much of it as lies on whole pages
    }
    memdb__reader_t reader = memdb__reader(rescue->bytes + offset, (size_t)head);
    uint64_t key_size = memdb__read_varint(&reader), value_size = memdb__read_varint(&reader);
    entry.version = memdb__read_u64(&reader);
    entry.tombstone = value_size & 1;
    value_size >>= 1;
    uint64_t key_at = (uint64_t)(reader.at - rescue->bytes);
    if (reader.bad || !key_size || key_size > end - key_at ||
        value_size > end - key_at - key_size || !memdb__rescue_whole(rescue, key_at, key_size)) {
        return 0;
    }
    entry.key = rescue->bytes + key_at;
    entry.key_size = (size_t)key_size;
    entry.value = entry.key + key_size;
    entry.value_size = (size_t)value_size;
    stand_on(map, entry.key, entry.key_size);
    if (entry.version > map->salvage->newest) {
        map->salvage->newest = entry.version;
    }
    if (!memdb__rescue_whole(rescue, offset, key_at - offset + key_size + value_size)) {
        lose_value(map, offset, &entry);
    } else if (counts(entry.key[0])) {
        add_entry(map, &entry);
    }
    return key_at + key_size + value_size;
}

/// A block that begins at map->at and ends at `end`, or (0) where its last entry does. Leaves
/// map->at behind it; 0: not known.
static void read_block(map_t *map, uint64_t end, uint64_t most) {
    const memdb__rescue_t *rescue = map->rescue;
    uint64_t at = map->at, last = 0, limit = end ? end : most;
    map->at = end;
    if (limit - at < 4 || !memdb__rescue_whole(rescue, at, 4)) {
        break_at(map, at);
        return;
    }
    uint32_t count = memdb__get_u32(rescue->bytes + at);
    if (!count || count > (limit - at - 4) / 4) {
        break_at(map, at);
        return;
    }
    for (uint32_t i = 0; i < count && !map->status; i++) {
        uint64_t slot = at + 4 + 4 * (uint64_t)i;
        uint64_t offset = memdb__rescue_whole(rescue, slot, 4)
                              ? at + memdb__get_u32(rescue->bytes + slot)
                              : last; // entries adjoin
        last = offset && offset > at && offset < limit ? read_entry(map, offset, limit) : 0;
        if (!last) {
            break_at(map, offset ? offset : slot);
        }
    }
    map->at = end ? end : last;
}

/// Where block `number` begins, as the index says; 0: damaged.
static uint64_t block_start(const memdb__rescue_t *rescue, uint64_t number, uint64_t size) {
    uint64_t at = rescue->sections[MEMDB__SORTED_STARTS].offset + number * 8;
    if (!memdb__rescue_whole(rescue, at, 8)) {
        return 0;
    }
    uint64_t start = memdb__get_u64(rescue->bytes + at);
    return start <= size ? rescue->sections[MEMDB__SORTED_BLOCKS].offset + start : 0;
}

static void read_map(map_t *map) {
    const memdb__rescue_t *rescue = map->rescue;
    uint64_t size = rescue->sections[MEMDB__SORTED_BLOCKS].size;
    uint64_t most = rescue->sections[MEMDB__SORTED_BLOCKS].offset + size;
    uint64_t starts = rescue->sections[MEMDB__SORTED_STARTS].size / 8;
    for (uint64_t i = 0; i + 1 < starts && !map->status; i++) {
        uint64_t start = block_start(rescue, i, size), end = block_start(rescue, i + 1, size);
        start = start ? start : map->at; // the end of the one before
        if (!start || (end && end <= start)) {
            break_at(map, start ? start : rescue->sections[MEMDB__SORTED_BLOCKS].offset);
            map->at = end;
            continue;
        }
        map->at = start;
        read_block(map, end, most);
    }
    close_hole(map, NULL, 0);
}

// ------------------------------------------------------------------------------ rows

static void add_rows(memdb__salvage_t *salvage, const memdb__rescue_t *rescue,
                     const uint8_t *space) {
    uint32_t dimension = memdb__get_u32(space + 4), stride = memdb__get_u32(space + 8);
    uint64_t count = memdb__get_u64(space + 16), first = memdb__get_u64(space + 24);
    uint64_t codes = memdb__get_u64(space + 32);
    uint64_t rows = rescue->sections[1].size / 8, bytes = rescue->sections[5].size;
    if (!dimension || dimension > MEMDB_MAX_DIMENSION || stride < dimension ||
        stride > MEMDB_MAX_DIMENSION || count > rows || first > rows - count || codes > bytes ||
        count > (bytes - codes) / stride) {
        return;
    }
    for (uint64_t i = 0; i < count; i++) {
        uint64_t row = first + i;
        uint64_t id = rescue->sections[1].offset + row * 8;
        uint64_t version = rescue->sections[2].offset + row * 8;
        uint64_t scale = rescue->sections[3].offset + row * 4;
        uint64_t code = rescue->sections[5].offset + codes + i * stride;
        if (!memdb__rescue_whole(rescue, id, 8) || !memdb__rescue_whole(rescue, version, 8) ||
            !memdb__rescue_whole(rescue, scale, 4) ||
            !memdb__rescue_whole(rescue, code, dimension)) {
            continue; // the memory that needs it will tell
        }
        memdb__salvage_row_t found = {.id = memdb__get_u64(rescue->bytes + id),
                                      .version = memdb__get_u64(rescue->bytes + version),
                                      .dimension = dimension,
                                      .codes = (const int8_t *)rescue->bytes + code};
        memcpy(&found.scale, rescue->bytes + scale, 4);
        memdb__buffer_append(&salvage->rows, &found, sizeof found);
    }
}

static void read_vectors(memdb__salvage_t *salvage, const memdb__rescue_t *rescue) {
    uint64_t at = rescue->sections[6].offset, size = rescue->sections[6].size;
    for (uint64_t entry = 32; entry + 48 <= size; entry += 48) {
        if (memdb__rescue_whole(rescue, at + entry, 48)) {
            add_rows(salvage, rescue, rescue->bytes + at + entry);
        }
    }
}

// ------------------------------------------------------------------------------ segments

/// A segment that counts: named by the catalog, or, without one, any.
static memdb_status_t read_segment(memdb__salvage_t *salvage, const char *file, uint64_t last_lsn,
                                   memdb__segment_kind_t kind, int segments, memdb_error_t *error) {
    memdb__rescue_t rescue;
    const char *why;
    char name[64];
    if (!memdb__rescue_open(segments, file, salvage->database_id, &rescue, &why)) {
        snprintf(name, sizeof name, "segments/%.30s", file);
        if (kind == MEMDB__SEGMENT_SORTED || !kind) {
            memdb__salvage_hole_t hole = {.last_id = UINT64_MAX, .last_lsn = last_lsn};
            snprintf(hole.file, sizeof hole.file, "%.40s", name);
            memdb__buffer_append(&salvage->holes, &hole, sizeof hole);
            memdb__salvage_lost(salvage, name, 0, 0, UINT64_MAX, (memdb_bytes_t){0},
                                "memories, links and spaces of a segment: %s", why);
        }
        return MEMDB_OK; // words are made anew; a vector that is missing is told with its memory
    }
    memdb__buffer_append(&salvage->rescues, &rescue, sizeof rescue);
    if (salvage->rescues.failed) {
        memdb__rescue_close(&rescue);
        return memdb__fail(error, MEMDB_NOMEM, "salvage: out of memory");
    }
    map_t map = {.salvage = salvage, .rescue = &rescue, .last_lsn = last_lsn, .error = error};
    if (rescue.kind == MEMDB__SEGMENT_SORTED) {
        read_map(&map);
    } else if (rescue.kind == MEMDB__SEGMENT_VECTORS) {
        read_vectors(salvage, &rescue);
    }
    return map.status;
}

typedef struct all {
    memdb__salvage_t *salvage;
    int segments;
} all_t;

static memdb_status_t read_any(void *context, const char *name, memdb_error_t *error) {
    const all_t *all = context;
    return read_segment(all->salvage, name, UINT64_MAX, 0, all->segments, error);
}

static memdb_status_t read_named(memdb__salvage_t *salvage, int segments, memdb_error_t *error) {
    memdb_status_t status = MEMDB_OK;
    for (uint64_t i = 0; !status && i < salvage->manifest.tier_count; i++) {
        const memdb__tier_name_t *tier = &salvage->manifest.tiers[i];
        char file[32];
        memdb__segment_file(tier->sorted.segment_id, file);
        status =
            read_segment(salvage, file, tier->last_lsn, MEMDB__SEGMENT_SORTED, segments, error);
        if (!status && tier->vectors.segment_id) {
            memdb__segment_file(tier->vectors.segment_id, file);
            status = read_segment(salvage, file, tier->last_lsn, MEMDB__SEGMENT_VECTORS, segments,
                                  error);
        }
    }
    return status;
}

memdb_status_t memdb__salvage_segments(memdb__salvage_t *salvage, memdb_error_t *error) {
    all_t all = {salvage, -1};
    memdb_status_t status = memdb__io_open(salvage->directory, "segments", O_RDONLY | O_DIRECTORY,
                                           &all.segments, error);
    if (status == MEMDB_NOT_FOUND) {
        memdb__salvage_lost(salvage, "segments", 0, 0, UINT64_MAX, (memdb_bytes_t){0},
                            "memories, links and spaces: the directory is missing");
        *error = (memdb_error_t){0};
        return MEMDB_OK;
    }
    if (!status) {
        status = salvage->has_manifest ? read_named(salvage, all.segments, error)
                                       : memdb__io_list(all.segments, read_any, &all, error);
    }
    memdb__io_close(all.segments);
    return status;
}

// ------------------------------------------------------------------------------ the log

static bool add_logged(memdb__salvage_t *salvage, const memdb__key_t *key, uint64_t version,
                       const uint8_t *value, size_t size, bool tombstone) {
    memdb__salvage_entry_t entry = {.key =
                                        memdb__arena_copy(&salvage->arena, key->bytes, key->size),
                                    .key_size = (uint32_t)key->size,
                                    .value = value,
                                    .value_size = (uint32_t)size,
                                    .version = version,
                                    .tombstone = tombstone};
    return entry.key && memdb__buffer_append(&salvage->entries, &entry, sizeof entry);
}

static const uint8_t *copy_of(memdb__salvage_t *salvage, memdb_bytes_t bytes) {
    return bytes.size ? memdb__arena_copy(&salvage->arena, bytes.data, bytes.size)
                      : (const uint8_t *)"";
}

static bool add_put(memdb__salvage_t *salvage, const memdb__operation_t *operation, uint64_t base,
                    uint64_t version) {
    uint8_t *value = memdb__arena_copy(&salvage->arena, operation->body.data, operation->body.size);
    memdb__key_t key;
    if (!value || operation->body.size < 24) {
        return value != NULL;
    }
    memdb__record_resolve(value, base);
    if (operation->flags & MEMDB__PUT_ROW && operation->row.size > 4) {
        const uint8_t *row =
            memdb__arena_copy(&salvage->arena, operation->row.data, operation->row.size);
        memdb__salvage_row_t found = {.id = operation->id,
                                      .version = version,
                                      .dimension = (uint32_t)(operation->row.size - 4)};
        if (!row) {
            return false;
        }
        memcpy(&found.scale, row, 4);
        found.codes = (const int8_t *)row + 4;
        memdb__buffer_append(&salvage->rows, &found, sizeof found);
    }
    memdb__key_record(&key, operation->id);
    return add_logged(salvage, &key, version, value, operation->body.size, false);
}

static bool add_table_rows(memdb__salvage_t *salvage, const memdb__operation_t *operation,
                           uint64_t version) {
    size_t count = operation->body.size / 8, each = operation->row.size / count;
    const uint8_t *value = copy_of(salvage, operation->row);
    bool fine = value != NULL;
    for (size_t i = 0; fine && i < count; i++) {
        memdb__key_t key;
        memdb__key_row(&key, operation->space, memdb__get_u64(operation->body.data + 8 * i));
        fine = add_logged(salvage, &key, version, value + i * each, each, false);
    }
    return fine;
}

static bool add_operation(memdb__salvage_t *salvage, const memdb__operation_t *operation,
                          uint64_t base, uint64_t version) {
    memdb__key_t key;
    const uint8_t *value;
    switch (operation->kind) {
    case MEMDB__OPERATION_PUT:
        return add_put(salvage, operation, base, version);
    case MEMDB__OPERATION_FORGET:
        memdb__key_record(&key, operation->id);
        return add_logged(salvage, &key, version, NULL, 0, true);
    case MEMDB__OPERATION_LINK:
    case MEMDB__OPERATION_UNLINK:
        if (operation->name.size > MEMDB_MAX_NAME_BYTES) {
            return true;
        }
        value = copy_of(salvage, operation->body);
        memdb__key_link(&key, operation->id, operation->name, operation->to);
        return value && add_logged(salvage, &key, version, value, operation->body.size,
                                   operation->kind == MEMDB__OPERATION_UNLINK);
    case MEMDB__OPERATION_SPACE:
    case MEMDB__OPERATION_DROP:
        value = copy_of(salvage, operation->body);
        memdb__key_space(&key, operation->space);
        return value && add_logged(salvage, &key, version, value, operation->body.size,
                                   operation->kind == MEMDB__OPERATION_DROP);
    case MEMDB__OPERATION_INDEXES:
        value = copy_of(salvage, operation->body);
        memdb__key_attributes(&key, operation->space);
        return value && add_logged(salvage, &key, version, value, operation->body.size, false);
    case MEMDB__OPERATION_TABLE:
    case MEMDB__OPERATION_DROP_TABLE:
        value = copy_of(salvage, operation->body);
        memdb__key_table(&key, operation->space);
        return value && add_logged(salvage, &key, version, value, operation->body.size,
                                   operation->kind == MEMDB__OPERATION_DROP_TABLE);
    case MEMDB__OPERATION_ROWS:
        return add_table_rows(salvage, operation, version);
    default:
        return true; // blobs are named by records, entries of indexes are made anew
    }
}

static memdb_status_t read_frame(void *context, const memdb__frame_t *frame, memdb_error_t *error) {
    memdb__salvage_t *salvage = context;
    memdb__reader_t reader = memdb__reader(frame->payload, frame->size);
    memdb__operation_t operation;
    uint64_t base = frame->lsn + 1, version = base; // as memdb__apply_frame counts
    while (memdb__operation_decode(&reader, &operation)) {
        if (!add_operation(salvage, &operation, base, version)) {
            return memdb__fail(error, MEMDB_NOMEM, "salvage: out of memory");
        }
        version++;
    }
    return MEMDB_OK;
}

static void lost_log(void *context, const char *file, uint64_t offset, const char *what) {
    memdb__salvage_lost(context, file, offset, 0, 0, (memdb_bytes_t){0}, "%s", what);
}

memdb_status_t memdb__salvage_log(memdb__salvage_t *salvage, memdb_error_t *error) {
    return memdb__wal_salvage(salvage->directory, salvage->database_id, salvage->applied,
                              read_frame, lost_log, salvage, error);
}
