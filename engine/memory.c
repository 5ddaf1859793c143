// Memories: get. What is lent points into the delta or a mapped segment, which the snapshot keeps.
#include "engine/engine.h"

memdb_status_t memdb__check_text(const char *what, memdb_bytes_t text, size_t limit, bool allow_nul,
                                 memdb_error_t *error) {
    if (text.size > limit) {
        return memdb__fail(error, MEMDB_LIMIT, "%s: %zu bytes, the limit is %zu", what, text.size,
                           limit);
    }
    if (text.size && !text.data) {
        return memdb__fail(error, MEMDB_INVALID, "%s: size %zu without data", what, text.size);
    }
    if (!memdb__is_utf8(text.data, text.size)) {
        return memdb__fail(error, MEMDB_INVALID, "%s: not UTF-8", what);
    }
    if (!allow_nul && text.size && memchr(text.data, 0, text.size)) {
        return memdb__fail(error, MEMDB_INVALID, "%s: a zero byte", what);
    }
    return MEMDB_OK;
}

static memdb_status_t get(memdb_snapshot_t *snapshot, memdb_space_t space, uint64_t id,
                          memdb_memory_t *memory_out, memdb_error_t *error) {
    memdb__record_t record;
    uint64_t version = 0;
    memdb_status_t status = memdb__sight_has_space(&snapshot->sight, space, error);
    status = status ? status : memdb__read_record(&snapshot->sight, id, &record, &version, error);
    if (status == MEMDB_NOT_FOUND || (!status && record.space != space)) {
        return memdb__fail(error, MEMDB_NOT_FOUND, "there is no memory %llu in the space",
                           (unsigned long long)id);
    }
    return status ? status : memdb__lend_memory(snapshot, id, &record, version, memory_out, error);
}

static memdb_status_t get_by_key(memdb_snapshot_t *snapshot, memdb_space_t space, memdb_bytes_t key,
                                 memdb_memory_t *memory_out, memdb_error_t *error) {
    memdb__record_t record;
    uint64_t id = 0, version = 0;
    memdb_status_t status = memdb__sight_has_space(&snapshot->sight, space, error);
    status = status
                 ? status
                 : memdb__read_by_key(&snapshot->sight, space, key, &id, &record, &version, error);
    if (status == MEMDB_NOT_FOUND) {
        return memdb__fail(error, MEMDB_NOT_FOUND, "there is no memory with the key \"%.*s\"",
                           (int)(key.size < 100 ? key.size : 100), key.data);
    }
    return status ? status : memdb__lend_memory(snapshot, id, &record, version, memory_out, error);
}

memdb_status_t memdb_get(memdb_snapshot_t *snapshot, memdb_space_t space, uint64_t id,
                         memdb_memory_t *memory_out) {
    memdb_error_t error;
    memdb__error_clear(&error);
    if (!snapshot || !memory_out) {
        return MEMDB_INVALID;
    }
    memdb_status_t status = memdb__snapshot_usable(snapshot, &error);
    status = status ? status : get(snapshot, space, id, memory_out, &error);
    return memdb__report(snapshot->db, status, &error);
}

memdb_status_t memdb_get_by_key(memdb_snapshot_t *snapshot, memdb_space_t space, memdb_bytes_t key,
                                memdb_memory_t *memory_out) {
    memdb_error_t error;
    memdb__error_clear(&error);
    if (!snapshot || !memory_out) {
        return MEMDB_INVALID;
    }
    memdb_status_t status = memdb__snapshot_usable(snapshot, &error);
    status = status ? status : memdb__check_text("key", key, MEMDB_MAX_KEY_BYTES, false, &error);
    status = status ? status : get_by_key(snapshot, space, key, memory_out, &error);
    return memdb__report(snapshot->db, status, &error);
}

static memdb_status_t get_vector(memdb_snapshot_t *snapshot, memdb_space_t space, uint64_t id,
                                 float *vector_out, uint32_t dimension, memdb_error_t *error) {
    memdb__record_t record;
    uint64_t version;
    memdb_status_t status = memdb__sight_has_space(&snapshot->sight, space, error);
    status = status ? status : memdb__read_record(&snapshot->sight, id, &record, &version, error);
    if (status == MEMDB_NOT_FOUND ||
        (!status && (record.space != space || !record.vector_version))) {
        return memdb__fail(error, MEMDB_NOT_FOUND, "memory %llu has no vector",
                           (unsigned long long)id);
    }
    if (!status && record.dimension != dimension) {
        return memdb__fail(error, MEMDB_INVALID, "vector: dimension %u asked, it has %u", dimension,
                           record.dimension);
    }
    memdb__vector_search_t search = {
        .space = space, .dimension = dimension, .visible = memdb__snapshot_visible(snapshot)};
    memdb__vector_source_t *sources = NULL;
    status =
        status ? status : memdb__snapshot_vectors(snapshot, &sources, &search.source_count, error);
    search.sources = sources;
    uint8_t *row =
        status ? NULL : memdb__arena_allocate(&snapshot->arena, memdb__row_bytes(dimension));
    if (!status && !row) {
        return memdb__fail(error, MEMDB_NOMEM, "out of memory");
    }
    status = status ? status : memdb__vector_get(&search, id, record.vector_version, row, error);
    if (status == MEMDB_NOT_FOUND) {
        return memdb__fail(error, MEMDB_CORRUPT, "the vector of memory %llu is in no store",
                           (unsigned long long)id);
    }
    if (!status) {
        memdb__row_decode(row, dimension, vector_out);
    }
    return status;
}

memdb_status_t memdb_get_vector(memdb_snapshot_t *snapshot, memdb_space_t space, uint64_t id,
                                float *vector_out, uint32_t dimension) {
    memdb_error_t error;
    memdb__error_clear(&error);
    if (!snapshot || !vector_out) {
        return MEMDB_INVALID;
    }
    memdb_status_t status = memdb__snapshot_usable(snapshot, &error);
    status = status ? status : get_vector(snapshot, space, id, vector_out, dimension, &error);
    return memdb__report(snapshot->db, status, &error);
}
