// Reading through a sight: records, spaces, keys; the sources and callbacks of recall; neighbours
// in a session.
#include "engine/engine.h"

// ------------------------------------------------------------------------------ reading the
// ordered map

static memdb_status_t damaged(memdb_error_t *error, const char *what, uint64_t id) {
    return memdb__fail(error, MEMDB_CORRUPT, "%s %llu is not well formed", what,
                       (unsigned long long)id);
}

memdb_status_t memdb__read_record(const memdb__sight_t *sight, uint64_t id,
                                  memdb__record_t *record_out, uint64_t *version_out,
                                  memdb_error_t *error) {
    memdb__key_t key;
    memdb__entry_t entry;
    memdb__key_record(&key, id);
    memdb_status_t status = memdb__sight_get(sight, key.bytes, key.size, &entry, error);
    if (status) {
        return status;
    }
    if (entry.tombstone) {
        return MEMDB_NOT_FOUND;
    }
    if (!memdb__record_decode(entry.value, entry.value_size, record_out)) {
        return damaged(error, "record", id);
    }
    *version_out = entry.version;
    return MEMDB_OK;
}

#define EXPECT_FAR 12 // records ahead of the one that is read: where it lies is asked for,
#define EXPECT_NEAR 6 // and then the record

static void expect_record(const memdb__sight_t *sight, const uint64_t *ids, size_t stride,
                          size_t number, bool entry) {
    memdb__key_t key;
    memdb__key_record(&key, *(const uint64_t *)((const char *)ids + number * stride));
    if (entry) {
        memdb__sight_expect_entry(sight, key.bytes, key.size);
    } else {
        memdb__sight_expect(sight, key.bytes, key.size);
    }
}

void memdb__expect_records(const memdb__sight_t *sight, const uint64_t *ids, size_t stride,
                           size_t count, size_t at) {
    size_t far = at ? at + EXPECT_FAR : 0, near = at ? at + EXPECT_NEAR : 0;
    for (; far <= at + EXPECT_FAR && far < count; far++) {
        expect_record(sight, ids, stride, far, false);
    }
    for (; near <= at + EXPECT_NEAR && near < count; near++) {
        expect_record(sight, ids, stride, near, true);
    }
}

memdb_status_t memdb__read_space(const memdb__sight_t *sight, memdb_space_t space,
                                 memdb_space_info_t *info_out, memdb_error_t *error) {
    memdb__key_t key;
    memdb__entry_t entry;
    memdb__key_space(&key, space);
    memdb_status_t status = memdb__sight_get(sight, key.bytes, key.size, &entry, error);
    if (status) {
        return status;
    }
    if (entry.tombstone) {
        return MEMDB_NOT_FOUND;
    }
    memdb_space_info_t info = {.space = space};
    if (!memdb__space_decode(entry.value, entry.value_size, &info)) {
        return damaged(error, "space", space);
    }
    *info_out = info;
    return MEMDB_OK;
}

memdb_status_t memdb__find_space(const memdb__sight_t *sight, memdb_bytes_t name,
                                 memdb_space_t *space_out, memdb_error_t *error) {
    memdb__key_t key;
    memdb__entry_t entry;
    memdb__key_name(&key, name);
    memdb_status_t status = memdb__sight_get(sight, key.bytes, key.size, &entry, error);
    if (status) {
        return status;
    }
    if (entry.tombstone) {
        return MEMDB_NOT_FOUND;
    }
    if (entry.value_size != 4) {
        return memdb__fail(error, MEMDB_CORRUPT, "the entry of a space's name is not well formed");
    }
    *space_out = memdb__get_u32(entry.value);
    return MEMDB_OK;
}

memdb_status_t memdb__read_by_key(const memdb__sight_t *sight, memdb_space_t space,
                                  memdb_bytes_t name, uint64_t *id_out, memdb__record_t *record_out,
                                  uint64_t *version_out, memdb_error_t *error) {
    memdb__key_t key;
    memdb__entry_t entry;
    memdb__key_key(&key, space, name);
    memdb_status_t status = memdb__sight_get(sight, key.bytes, key.size, &entry, error);
    if (status || entry.tombstone) {
        return status ? status : MEMDB_NOT_FOUND;
    }
    if (entry.value_size != 8) {
        return memdb__fail(error, MEMDB_CORRUPT, "the entry of a key is not well formed");
    }
    uint64_t id = memdb__get_u64(entry.value);
    status = memdb__read_record(sight, id, record_out, version_out, error);
    if (status) {
        return status;
    }
    if (record_out->space != space ||
        memdb__compare(record_out->key.data, record_out->key.size, name.data, name.size) != 0) {
        return MEMDB_NOT_FOUND; // the entry is stale: the memory has another key by now
    }
    *id_out = id;
    return MEMDB_OK;
}

/// The blobs of a record, in the snapshot's arena. NULL: out of memory.
static const memdb_blob_t *lend_blobs(memdb_snapshot_t *snapshot, const memdb__record_t *record) {
    memdb_blob_t *blobs =
        memdb__arena_allocate(&snapshot->arena, record->blob_count * sizeof *blobs);
    memdb__reader_t reader = record->blobs;
    for (uint32_t i = 0; blobs && i < record->blob_count; i++) {
        memdb__record_next_blob(&reader, &blobs[i]); // checked when the record was decoded
    }
    return blobs;
}

memdb_status_t memdb__lend_memory(memdb_snapshot_t *snapshot, uint64_t id,
                                  const memdb__record_t *record, uint64_t version,
                                  memdb_memory_t *memory_out, memdb_error_t *error) {
    const memdb_blob_t *blobs = record->blob_count ? lend_blobs(snapshot, record) : NULL;
    if (record->blob_count && !blobs) {
        return memdb__fail(error, MEMDB_NOMEM, "out of memory");
    }
    // Field by field into its place: a struct that is built and then copied costs as much as the
    // rest of a read, since the copy waits for stores of other widths.
    memory_out->size = sizeof *memory_out;
    memory_out->fields = record->fields;
    memory_out->space = record->space;
    memory_out->id = id;
    memory_out->version = version;
    memory_out->key = record->key;
    memory_out->text = record->text;
    memory_out->kind = record->kind;
    memory_out->session = record->session;
    memory_out->actor = record->actor;
    memory_out->time = record->time;
    memory_out->valid_from = record->valid_from;
    memory_out->valid_to = record->valid_to;
    memory_out->expires = record->expires;
    memory_out->importance = record->importance;
    memory_out->tokens = record->tokens;
    memory_out->attrs = record->attrs;
    memory_out->vector = NULL;
    memory_out->dimension = record->dimension;
    memory_out->blobs = blobs;
    memory_out->blob_count = record->blob_count;
    return MEMDB_OK;
}

// ------------------------------------------------------------------------------ for recall

uint64_t memdb__snapshot_visible(const memdb_snapshot_t *snapshot) {
    return snapshot->sight.visible;
}

memdb_status_t memdb__snapshot_words(memdb_snapshot_t *snapshot,
                                     memdb__words_source_t **sources_out, size_t *count_out,
                                     memdb_error_t *error) {
    const memdb__sight_t *sight = &snapshot->sight;
    memdb__words_source_t *sources = memdb__arena_allocate(
        &snapshot->arena, (sight->view->tier_count + sight->view->run_count + 1) * sizeof *sources);
    size_t count = 0;
    memdb_status_t status = sources ? MEMDB_OK : memdb__fail(error, MEMDB_NOMEM, "out of memory");
    for (size_t i = 0; !status && i < sight->view->tier_count; i++) {
        if (sight->view->tiers[i]->words) {
            sources[count++] = (memdb__words_source_t){.segment = sight->view->tiers[i]->words};
        }
    }
    for (size_t i = 0; !status && i < sight->view->run_count; i++) {
        sources[count] = (memdb__words_source_t){0};
        status =
            memdb__run_words(sight->view->runs[i], sight->visible, &sources[count++].list, error);
    }
    memdb__run_t *own = NULL;
    if (!status && sight->own && !(status = memdb__own_run(sight->own, &own, error))) {
        sources[count] = (memdb__words_source_t){.whole = true};
        status = memdb__run_words(own, UINT64_MAX, &sources[count++].list, error);
    }
    *sources_out = sources;
    *count_out = count;
    return status;
}

memdb_status_t memdb__snapshot_vectors(memdb_snapshot_t *snapshot,
                                       memdb__vector_source_t **sources_out, size_t *count_out,
                                       memdb_error_t *error) {
    const memdb__sight_t *sight = &snapshot->sight;
    memdb__vector_source_t *sources = memdb__arena_allocate(
        &snapshot->arena, (sight->view->tier_count + sight->view->run_count + 1) * sizeof *sources);
    size_t count = 0;
    memdb_status_t status = sources ? MEMDB_OK : memdb__fail(error, MEMDB_NOMEM, "out of memory");
    for (size_t i = 0; !status && i < sight->view->tier_count; i++) {
        if (sight->view->tiers[i]->vectors) {
            sources[count++] = (memdb__vector_source_t){.segment = sight->view->tiers[i]->vectors};
        }
    }
    for (size_t i = 0; !status && i < sight->view->run_count; i++) {
        sources[count] = (memdb__vector_source_t){0};
        status =
            memdb__run_vectors(sight->view->runs[i], sight->visible, &sources[count++].list, error);
    }
    memdb__run_t *own = NULL;
    if (!status && sight->own && !(status = memdb__own_run(sight->own, &own, error))) {
        sources[count] = (memdb__vector_source_t){.whole = true};
        status = memdb__run_vectors(own, UINT64_MAX, &sources[count++].list, error);
    }
    *sources_out = sources;
    *count_out = count;
    return status;
}

/// The record of a hit, when the asker of `live` may see it.
static bool read_live(memdb__live_t *live, memdb_space_t space, uint64_t id,
                      memdb__record_t *record) {
    uint64_t version;
    memdb_error_t error = {0};
    memdb_status_t status = memdb__read_record(live->sight, id, record, &version, &error);
    if (status && status != MEMDB_NOT_FOUND && !live->error.status) {
        live->error = error;
    }
    return !status && record->space == space &&
           (live->now == MEMDB_TIME_NONE || record->expires == MEMDB_TIME_NONE ||
            record->expires > live->now);
}

bool memdb__document_live(void *context, memdb_space_t space, uint64_t id, uint64_t version) {
    memdb__record_t record;
    return read_live(context, space, id, &record) && record.text_version == version;
}

bool memdb__row_live(void *context, memdb_space_t space, uint64_t id, uint64_t version) {
    memdb__record_t record;
    return read_live(context, space, id, &record) && record.vector_version == version;
}

// ------------------------------------------------------------------------------ neighbours in a
// session

/// The memory behind an entry of a session. 0: none, because it was forgotten or has another place
/// by now.
static memdb_status_t neighbour_at(const memdb__sight_t *sight, const memdb__entry_t *entry,
                                   uint64_t *id_out, memdb_error_t *error) {
    uint64_t id, version;
    memdb__record_t record;
    memdb__key_t key;
    *id_out = 0;
    if (!memdb__key_parse_id(entry->key, entry->key_size, &id)) {
        return memdb__fail(error, MEMDB_CORRUPT, "an entry of a session is not well formed");
    }
    memdb_status_t status = memdb__read_record(sight, id, &record, &version, error);
    if (status) {
        return status == MEMDB_NOT_FOUND ? MEMDB_OK : status;
    }
    memdb__key_session(&key, record.space, record.session, record.time, id);
    if (memdb__compare(key.bytes, key.size, entry->key, entry->key_size) == 0) {
        *id_out = id;
    }
    return MEMDB_OK;
}

static memdb_status_t walk_back(const memdb__sight_t *sight, const memdb__key_t *from,
                                const memdb__key_t *prefix, uint32_t limit, uint64_t *ids,
                                uint32_t *count, memdb_error_t *error) {
    memdb__key_t at = *from;
    *count = 0;
    while (*count < limit) {
        memdb__entry_t entry;
        memdb_status_t status = memdb__sight_before(sight, at.bytes, at.size, prefix->bytes,
                                                    prefix->size, &entry, error);
        if (status) {
            return status == MEMDB_NOT_FOUND ? MEMDB_OK : status;
        }
        uint64_t id;
        status = neighbour_at(sight, &entry, &id, error);
        if (status) {
            return status;
        }
        if (id) {
            ids[(*count)++] = id;
        }
        memcpy(at.bytes, entry.key, entry.key_size);
        at.size = entry.key_size;
    }
    return MEMDB_OK;
}

static memdb_status_t walk_on(const memdb__sight_t *sight, const memdb__key_t *from,
                              const memdb__key_t *prefix, uint32_t limit, uint64_t *ids,
                              uint32_t *count, memdb_error_t *error) {
    memdb__merge_t merge;
    *count = 0;
    memdb_status_t status = memdb__merge_open(&merge, sight, from->bytes, from->size, error);
    if (status) {
        return status;
    }
    while (!status && merge.valid && *count < limit && merge.entry.key_size >= prefix->size &&
           memcmp(merge.entry.key, prefix->bytes, prefix->size) == 0) {
        bool same =
            memdb__compare(merge.entry.key, merge.entry.key_size, from->bytes, from->size) == 0;
        uint64_t id = 0;
        if (!same && !merge.entry.tombstone) {
            status = neighbour_at(sight, &merge.entry, &id, error);
        }
        if (!status && id) {
            ids[(*count)++] = id;
        }
        status = status ? status : memdb__merge_next(&merge, error);
    }
    memdb__merge_close(&merge);
    return status;
}

memdb_status_t memdb__session_neighbours(const memdb__sight_t *sight, uint64_t id,
                                         const memdb__record_t *record, uint32_t before,
                                         uint32_t after, uint64_t *before_out,
                                         uint32_t *before_count, uint64_t *after_out,
                                         uint32_t *after_count, memdb_error_t *error) {
    memdb__key_t key, prefix;
    *before_count = *after_count = 0;
    if (!record->session.size) {
        return MEMDB_OK;
    }
    memdb__key_session(&key, record->space, record->session, record->time, id);
    memdb__key_session_prefix(&prefix, record->space, record->session);
    memdb_status_t status =
        before ? walk_back(sight, &key, &prefix, before, before_out, before_count, error)
               : MEMDB_OK;
    return status || !after ? status
                            : walk_on(sight, &key, &prefix, after, after_out, after_count, error);
}
