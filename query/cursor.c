// Cursors over the memories of a space, and traces.
//
// A cursor walks index entries ('T', 'S' or 'K') and reads the record behind each; an entry that
// its record no longer matches is stale and skipped. A position is the last key, so it can be taken
// up in another snapshot or process. A trace is a short list of ids, made at once.
#include "query/query_cursor.h"
#include "query/query_filter.h"
#include "query/query_plan.h"

struct memdb_cursor {
    memdb_snapshot_t *snapshot;
    memdb_space_t space;
    memdb_order_t order;
    const memdb_filter_t *filter; // NULL: every memory
    memdb__plan_sieve_t sieve;    // what is known of those that pass
    int64_t valid_at;             // 0: whenever
    bool unexpired;
    memdb__merge_t merge;
    memdb__key_t prefix, end, position; // end.size 0: none
    bool is_trace;
    uint64_t *ids; // of a trace
    uint32_t id_count, id_next;
};

static void add_biased_time(memdb__key_t *key, int64_t time) {
    memdb__put_be64(key->bytes + key->size, (uint64_t)time ^ (UINT64_C(1) << 63));
    key->size += 8;
}

static memdb_status_t check_options(const memdb_cursor_options_t *options, memdb_error_t *error) {
    if (options->size < sizeof *options || (uint32_t)options->order > MEMDB_ORDER_KEY ||
        options->after.size > MEMDB__KEY_MAX_BYTES) {
        return memdb__fail(
            error, MEMDB_INVALID,
            "cursor: the struct's size is not set, or the order or position is not valid");
    }
    if ((options->session.size && !options->session.data) ||
        (options->prefix.size && !options->prefix.data) ||
        (options->after.size && !options->after.data)) {
        return memdb__fail(error, MEMDB_INVALID, "cursor: a size without data");
    }
    if (options->session.size > MEMDB_MAX_NAME_BYTES ||
        options->prefix.size > MEMDB_MAX_KEY_BYTES) {
        return memdb__fail(error, MEMDB_LIMIT,
                           "cursor: session of %zu bytes (at most %d), prefix of %zu (at most %d)",
                           options->session.size, MEMDB_MAX_NAME_BYTES, options->prefix.size,
                           MEMDB_MAX_KEY_BYTES);
    }
    if ((options->order == MEMDB_ORDER_KEY) && (options->has_from || options->has_to)) {
        return memdb__fail(error, MEMDB_INVALID,
                           "cursor: a range of time needs the order of time or session");
    }
    return MEMDB_OK;
}

/// Where the walk begins; prefix and end are set on the way.
static memdb__key_t place(memdb_cursor_t *cursor, const memdb_cursor_options_t *options) {
    if (cursor->order == MEMDB_ORDER_KEY) {
        memdb__key_key(&cursor->prefix, cursor->space, options->prefix);
    } else if (cursor->order == MEMDB_ORDER_SESSION) {
        memdb__key_session_prefix(&cursor->prefix, cursor->space, options->session);
    } else {
        memdb__key_time_prefix(&cursor->prefix, cursor->space);
    }
    memdb__key_t from = cursor->prefix;
    if (options->has_from) {
        add_biased_time(&from, options->from);
    }
    if (options->has_to && options->to != MEMDB_TIME_NONE) {
        cursor->end = cursor->prefix;
        add_biased_time(&cursor->end, options->to);
    }
    return from;
}

static memdb_status_t open_cursor(memdb_snapshot_t *snapshot, memdb_space_t space,
                                  const memdb_cursor_options_t *options, memdb_cursor_t *cursor,
                                  memdb_error_t *error) {
    memdb_space_info_t info;
    memdb_status_t status = check_options(options, error);
    if (!status &&
        (status = memdb__read_space(&snapshot->sight, space, &info, error)) == MEMDB_NOT_FOUND) {
        return memdb__fail(error, MEMDB_NOT_FOUND, "there is no space %u", space);
    }
    if (status) {
        return status;
    }
    cursor->snapshot = snapshot;
    cursor->space = space;
    cursor->order = options->order;
    cursor->filter = options->filter;
    cursor->valid_at = options->valid_at;
    cursor->unexpired = options->unexpired;
    memdb__key_t from = place(cursor, options);
    const uint8_t *after = (const uint8_t *)options->after.data;
    if (options->after.size) {
        if (options->after.size < cursor->prefix.size ||
            memcmp(after, cursor->prefix.bytes, cursor->prefix.size) != 0) {
            return memdb__fail(error, MEMDB_INVALID,
                               "cursor: the position belongs to another listing");
        }
        if (memdb__compare(after, options->after.size, from.bytes, from.size) > 0) {
            memcpy(from.bytes, after, options->after.size);
            from.size = options->after.size;
        }
        cursor->position = from;
    }
    status = memdb__merge_open(&cursor->merge, &snapshot->sight, from.bytes, from.size, error);
    if (!status && options->after.size && cursor->merge.valid &&
        memdb__compare(cursor->merge.entry.key, cursor->merge.entry.key_size, after,
                       options->after.size) == 0) {
        status =
            memdb__merge_next(&cursor->merge, error); // the one at the position was given already
    }
    return status;
}

memdb_status_t memdb_cursor_open(memdb_snapshot_t *snapshot, memdb_space_t space,
                                 const memdb_cursor_options_t *options,
                                 memdb_cursor_t **cursor_out) {
    memdb_error_t error = {0};
    memdb_cursor_options_t defaults = {.size = sizeof defaults};
    if (!snapshot || !cursor_out) {
        return MEMDB_INVALID;
    }
    memdb_status_t status = memdb__snapshot_usable(snapshot, &error);
    memdb_cursor_t *cursor = status ? NULL : memdb__allocate_zeroed(1, sizeof *cursor);
    if (!status && !cursor) {
        status = memdb__fail(&error, MEMDB_NOMEM, "cursor: out of memory");
    }
    status = status ? status
                    : open_cursor(snapshot, space, options ? options : &defaults, cursor, &error);
    if (status) {
        memdb_cursor_close(cursor);
        return memdb__report(snapshot->db, status, &error);
    }
    *cursor_out = cursor;
    return MEMDB_OK;
}

static memdb_status_t gather_trace(memdb_cursor_t *cursor, uint64_t id, uint32_t before,
                                   uint32_t after, memdb_error_t *error) {
    memdb__record_t record;
    memdb_space_info_t info;
    uint64_t version;
    const memdb__sight_t *sight = &cursor->snapshot->sight;
    memdb_status_t status = memdb__read_space(sight, cursor->space, &info, error);
    status = status ? status : memdb__read_record(sight, id, &record, &version, error);
    if (status == MEMDB_NOT_FOUND || (!status && record.space != cursor->space)) {
        return memdb__fail(error, MEMDB_NOT_FOUND, "there is no memory %llu in the space",
                           (unsigned long long)id);
    }
    cursor->ids =
        status ? NULL : memdb__allocate(((size_t)before + after + 1) * sizeof *cursor->ids);
    uint64_t *nearest = status ? NULL : memdb__allocate(((size_t)before + 1) * sizeof *nearest);
    if (!status && (!cursor->ids || !nearest)) {
        status = memdb__fail(error, MEMDB_NOMEM, "trace: out of memory");
    }
    uint32_t before_count = 0, after_count = 0;
    if (!status) {
        status =
            memdb__session_neighbours(sight, id, &record, before, after, nearest, &before_count,
                                      cursor->ids + before + 1, &after_count, error);
    }
    if (!status) {
        for (uint32_t i = 0; i < before_count; i++) {
            cursor->ids[i] = nearest[before_count - 1 - i];
        }
        cursor->ids[before_count] = id;
        memmove(cursor->ids + before_count + 1, cursor->ids + before + 1,
                after_count * sizeof *cursor->ids);
        cursor->id_count = before_count + 1 + after_count;
    }
    memdb__free(nearest);
    return status;
}

memdb_status_t memdb_trace_open(memdb_snapshot_t *snapshot, memdb_space_t space, uint64_t id,
                                uint32_t before, uint32_t after, memdb_cursor_t **cursor_out) {
    memdb_error_t error = {0};
    if (!snapshot || !cursor_out || before > 1000000 || after > 1000000) {
        return MEMDB_INVALID;
    }
    memdb_status_t status = memdb__snapshot_usable(snapshot, &error);
    memdb_cursor_t *cursor = status ? NULL : memdb__allocate_zeroed(1, sizeof *cursor);
    if (!status && !cursor) {
        status = memdb__fail(&error, MEMDB_NOMEM, "trace: out of memory");
    }
    if (!status) {
        cursor->snapshot = snapshot;
        cursor->space = space;
        cursor->is_trace = true;
        status = gather_trace(cursor, id, before, after, &error);
    }
    if (status) {
        memdb_cursor_close(cursor);
        return memdb__report(snapshot->db, status, &error);
    }
    *cursor_out = cursor;
    return MEMDB_OK;
}

/// Whether the entry's record still stands where the entry says.
static bool is_current(const memdb_cursor_t *cursor, const memdb__entry_t *entry,
                       const memdb__record_t *record, uint64_t id) {
    memdb__key_t key;
    if (record->space != cursor->space) {
        return false;
    }
    if (cursor->order == MEMDB_ORDER_KEY) {
        memdb__key_key(&key, record->space, record->key);
    } else if (cursor->order == MEMDB_ORDER_SESSION) {
        memdb__key_session(&key, record->space, record->session, record->time, id);
    } else {
        memdb__key_time(&key, record->space, record->time, id);
    }
    return memdb__compare(key.bytes, key.size, entry->key, entry->key_size) == 0;
}

/// Whether the memory holds at the moment that is asked for, and has not expired.
static bool holds(const memdb_cursor_t *cursor, const memdb__record_t *record) {
    return (!cursor->valid_at ||
            memdb_is_valid(record->valid_from, record->valid_to, cursor->valid_at)) &&
           (!cursor->unexpired || record->expires == MEMDB_TIME_NONE ||
            record->expires > cursor->snapshot->time);
}

/// The memory of the entry that the cursor stands on. MEMDB_NOT_FOUND: stale, or filtered out.
static memdb_status_t read_current(memdb_cursor_t *cursor, memdb__found_t *found,
                                   memdb_error_t *error) {
    const memdb__entry_t *entry = &cursor->merge.entry;
    found->id = 0;
    if (entry->tombstone) {
        return MEMDB_NOT_FOUND;
    }
    if (cursor->order == MEMDB_ORDER_KEY) {
        found->id = entry->value_size == 8 ? memdb__get_u64(entry->value) : 0;
    } else if (!memdb__key_parse_id(entry->key, entry->key_size, &found->id)) {
        return memdb__fail(error, MEMDB_CORRUPT, "an index entry is not well formed");
    }
    if (!memdb__plan_sieve_has(&cursor->sieve, cursor->snapshot, found->id)) {
        return MEMDB_NOT_FOUND;
    }
    memdb_status_t status = memdb__read_record(&cursor->snapshot->sight, found->id, &found->record,
                                               &found->version, error);
    bool shown = !status && is_current(cursor, entry, &found->record, found->id) &&
                 holds(cursor, &found->record) &&
                 memdb__filter_passes(cursor->filter, found->id, found->version, &found->record);
    if (!status && !shown) {
        status = memdb__plan_sieve_refused(&cursor->sieve, cursor->snapshot, cursor->space,
                                           cursor->filter, error);
        return status ? status : MEMDB_NOT_FOUND;
    }
    return status;
}

static memdb_status_t next_in_trace(memdb_cursor_t *cursor, memdb__found_t *found,
                                    memdb_error_t *error) {
    if (cursor->id_next == cursor->id_count) {
        return MEMDB_DONE;
    }
    found->id = cursor->ids[cursor->id_next++];
    return memdb__read_record(&cursor->snapshot->sight, found->id, &found->record, &found->version,
                              error);
}

memdb_status_t memdb__cursor_step(memdb_cursor_t *cursor, memdb__found_t *found,
                                  memdb_error_t *error) {
    memdb__merge_t *merge = &cursor->merge;
    if (cursor->is_trace) {
        return next_in_trace(cursor, found, error);
    }
    while (merge->valid && merge->entry.key_size >= cursor->prefix.size &&
           memcmp(merge->entry.key, cursor->prefix.bytes, cursor->prefix.size) == 0) {
        if (cursor->end.size && memdb__compare(merge->entry.key, merge->entry.key_size,
                                               cursor->end.bytes, cursor->end.size) >= 0) {
            return MEMDB_DONE;
        }
        memdb_status_t status = memdb__stop_check(&cursor->snapshot->stop, error);
        status = status ? status : read_current(cursor, found, error);
        if (status && status != MEMDB_NOT_FOUND) {
            return status;
        }
        memcpy(cursor->position.bytes, merge->entry.key, merge->entry.key_size);
        cursor->position.size = merge->entry.key_size;
        memdb_status_t step = memdb__merge_next(merge, error);
        if (step || status == MEMDB_OK) {
            return step;
        }
    }
    return MEMDB_DONE;
}

memdb_status_t memdb_cursor_next(memdb_cursor_t *cursor, memdb_memory_t *memory_out) {
    memdb_error_t error = {0};
    if (!cursor || !memory_out) {
        return MEMDB_INVALID;
    }
    memdb__found_t found;
    memdb_status_t status = memdb__snapshot_usable(cursor->snapshot, &error);
    status = status ? status : memdb__cursor_step(cursor, &found, &error);
    if (!status) {
        status = memdb__lend_memory(cursor->snapshot, found.id, &found.record, found.version,
                                    memory_out, &error);
    }
    return memdb__report(cursor->snapshot->db, status, &error);
}

memdb_bytes_t memdb_cursor_position(const memdb_cursor_t *cursor) {
    return (memdb_bytes_t){(const char *)cursor->position.bytes, cursor->position.size};
}

void memdb_cursor_close(memdb_cursor_t *cursor) {
    if (cursor) {
        memdb__merge_close(&cursor->merge);
        memdb__plan_sieve_deinit(&cursor->sieve);
        memdb__free(cursor->ids);
        memdb__free(cursor);
    }
}
