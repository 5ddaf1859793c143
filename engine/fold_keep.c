// What a fold keeps: live entries, and the sums of the spaces' counters. See fold.h.
//
// Dropping an entry is safe only where it hides nothing: an index entry leads to a record, and is
// checked against it wherever it is read, so an older one that comes to light is as stale as the
// dropped one. A tombstone hides older versions, and stays until nothing older is left.
#include "engine/fold.h"

#include <stdlib.h>

// ------------------------------------------------------------------------------ what is kept

bool memdb__fold_space_live(void *context, memdb_space_t space) {
    memdb__live_t *live = context;
    memdb_space_info_t info;
    memdb_error_t error = {0};
    memdb_status_t status = memdb__read_space(live->sight, space, &info, &error);
    if (status && status != MEMDB_NOT_FOUND && !live->error.status) {
        live->error = error;
    }
    return status != MEMDB_NOT_FOUND; // damage keeps it, and fails the fold through live->error
}

/// Whether an index entry still leads to what it says. Others are kept as they are.
static memdb_status_t is_stale(memdb__fold_t *fold, const memdb__entry_t *entry, bool *stale_out,
                               memdb_error_t *error) {
    const memdb__sight_t *sight = &fold->snapshot.sight;
    memdb__record_t record;
    memdb__key_t key;
    uint64_t id, version;
    uint8_t kind = entry->key[0];
    *stale_out = false;
    if (entry->tombstone ||
        (kind != MEMDB__KEY_KEY && kind != MEMDB__KEY_TIME && kind != MEMDB__KEY_SESSION)) {
        return MEMDB_OK;
    }
    if (kind == MEMDB__KEY_KEY) {
        id = entry->value_size == 8 ? memdb__get_u64(entry->value) : 0;
    } else if (!memdb__key_parse_id(entry->key, entry->key_size, &id)) {
        return memdb__fail(error, MEMDB_CORRUPT, "fold: an index entry is not well formed");
    }
    memdb_status_t status = memdb__read_record(sight, id, &record, &version, error);
    if (status) {
        *stale_out = status == MEMDB_NOT_FOUND;
        return status == MEMDB_NOT_FOUND ? MEMDB_OK : status;
    }
    if (kind == MEMDB__KEY_KEY) {
        memdb__key_key(&key, record.space, record.key);
    } else if (kind == MEMDB__KEY_TIME) {
        memdb__key_time(&key, record.space, record.time, id);
    } else {
        memdb__key_session(&key, record.space, record.session, record.time, id);
    }
    *stale_out = memdb__compare(key.bytes, key.size, entry->key, entry->key_size) != 0;
    return MEMDB_OK;
}

/// A link one of whose ends is gone, or the way back to such a link.
static memdb_status_t is_loose(memdb__fold_t *fold, const memdb__entry_t *entry, bool *loose_out,
                               memdb_error_t *error) {
    const memdb__sight_t *sight = &fold->snapshot.sight;
    uint64_t ends[2], version;
    size_t type_size;
    memdb__record_t record;
    *loose_out = false;
    if (entry->tombstone ||
        (entry->key[0] != MEMDB__KEY_LINK && entry->key[0] != MEMDB__KEY_LINK_IN)) {
        return MEMDB_OK;
    }
    uint8_t *type = memdb__allocate(entry->key_size);
    if (!type) {
        return memdb__fail(error, MEMDB_NOMEM, "fold: out of memory");
    }
    bool fine =
        memdb__key_parse_link(entry->key, entry->key_size, &ends[0], type, &type_size, &ends[1]);
    memdb_status_t status =
        fine ? MEMDB_OK
             : memdb__fail(error, MEMDB_CORRUPT, "fold: a link's key is not well formed");
    for (size_t i = 0; !status && i < 2 && !*loose_out; i++) {
        status = memdb__read_record(sight, ends[i], &record, &version, error);
        *loose_out = status == MEMDB_NOT_FOUND;
        status = status == MEMDB_NOT_FOUND ? MEMDB_OK : status;
    }
    if (!status && !*loose_out && entry->key[0] == MEMDB__KEY_LINK_IN) {
        memdb__key_t key;
        memdb__entry_t link;
        memdb__key_link(&key, ends[1], (memdb_bytes_t){(const char *)type, type_size}, ends[0]);
        status = memdb__sight_get(sight, key.bytes, key.size, &link, error);
        *loose_out = status == MEMDB_NOT_FOUND || (status == MEMDB_OK && link.tombstone);
        status = status == MEMDB_NOT_FOUND ? MEMDB_OK : status;
    }
    memdb__free(type);
    return status;
}

memdb_status_t memdb__fold_is_dropped(memdb__fold_t *fold, const memdb__entry_t *entry,
                                      bool *dropped_out, memdb_error_t *error) {
    if (entry->tombstone && fold->first_tier == 0) {
        *dropped_out = true; // nothing older is left that it hides
        return MEMDB_OK;
    }
    memdb__record_t record;
    if (entry->key[0] == MEMDB__KEY_RECORD && !entry->tombstone) {
        if (!memdb__record_decode(entry->value, entry->value_size, &record)) {
            return memdb__fail(error, MEMDB_CORRUPT, "fold: a record is not well formed");
        }
        *dropped_out = fold->first_tier == 0 && !memdb__fold_space_live(&fold->live, record.space);
        return MEMDB_OK;
    }
    memdb_status_t status = is_stale(fold, entry, dropped_out, error);
    return status || *dropped_out ? status : is_loose(fold, entry, dropped_out, error);
}

// ------------------------------------------------------------------------------ counters

typedef struct totals {
    int64_t memories, text_bytes;
} totals_t;

/// What the merged tiers and the folded runs count for the space whose counter key is given.
static memdb_status_t sum_counters(memdb__fold_t *fold, memdb_space_t space, totals_t *totals_out,
                                   memdb_error_t *error) {
    const memdb__view_t *view = fold->snapshot.sight.view;
    memdb__key_t key;
    *totals_out = (totals_t){0};
    memdb__key_counters(&key, space);
    for (size_t i = fold->first_tier; i < view->tier_count; i++) {
        memdb__entry_t entry;
        memdb_status_t status =
            memdb__sorted_get(view->tiers[i]->sorted, key.bytes, key.size, &entry, error);
        if (status && status != MEMDB_NOT_FOUND) {
            return status;
        }
        if (!status && entry.value_size == 16) {
            totals_out->memories += (int64_t)memdb__get_u64(entry.value);
            totals_out->text_bytes += (int64_t)memdb__get_u64(entry.value + 8);
        }
    }
    for (size_t i = 0; i < view->run_count; i++) {
        uint64_t sealed = memdb__run_sealed_lsn(view->runs[i]);
        if (sealed && sealed <= fold->tier.last_lsn) {
            int64_t memories, text_bytes;
            memdb__run_counters(view->runs[i], space, &memories, &text_bytes);
            totals_out->memories += memories;
            totals_out->text_bytes += text_bytes;
        }
    }
    return MEMDB_OK;
}

/// The spaces that a source counts, gathered and sorted.
typedef struct spaces {
    memdb__buffer_t ids; // u32, in the machine's order
    memdb_error_t *error;
} spaces_t;

static memdb_status_t add_space(void *context, memdb_space_t space, int64_t memories,
                                int64_t text_bytes) {
    (void)memories;
    (void)text_bytes;
    spaces_t *spaces = context;
    return memdb__buffer_append(&spaces->ids, &space, sizeof space)
               ? MEMDB_OK
               : memdb__fail(spaces->error, MEMDB_NOMEM, "fold: out of memory");
}

static int by_id(const void *a, const void *b) {
    memdb_space_t x = *(const memdb_space_t *)a, y = *(const memdb_space_t *)b;
    return (x > y) - (x < y);
}

static memdb_status_t gather_spaces(memdb__fold_t *fold, spaces_t *spaces, memdb_error_t *error) {
    static const uint8_t first = MEMDB__KEY_COUNTERS;
    const memdb__view_t *view = fold->snapshot.sight.view;
    memdb_status_t status = MEMDB_OK;
    for (size_t i = fold->first_tier; !status && i < view->tier_count; i++) {
        memdb__sorted_iterator_t at;
        status = memdb__sorted_seek(view->tiers[i]->sorted, &first, 1, &at, error);
        while (!status && at.valid && at.entry.key_size == 5 &&
               at.entry.key[0] == MEMDB__KEY_COUNTERS) {
            status = add_space(spaces, memdb__get_be32(at.entry.key + 1), 0, 0);
            status = status ? status : memdb__sorted_next(&at, error);
        }
    }
    for (size_t i = 0; !status && i < view->run_count; i++) {
        status = memdb__run_each_counter(view->runs[i], add_space, spaces);
    }
    if (!status && spaces->ids.size) {
        qsort(spaces->ids.data, spaces->ids.size / sizeof(memdb_space_t), sizeof(memdb_space_t),
              by_id);
    }
    return status;
}

/// Counters sort between 'B' and 'D': they are written when the walk passes their place.
memdb_status_t memdb__fold_write_counters(memdb__fold_t *fold, memdb__sorted_writer_t *writer,
                                          memdb_error_t *error) {
    spaces_t spaces = {.error = error};
    memdb_status_t status = gather_spaces(fold, &spaces, error);
    const memdb_space_t *ids = (const memdb_space_t *)spaces.ids.data;
    size_t count = spaces.ids.size / sizeof *ids;
    for (size_t i = 0; !status && i < count; i++) {
        if ((i && ids[i] == ids[i - 1]) ||
            (fold->first_tier == 0 && !memdb__fold_space_live(&fold->live, ids[i]))) {
            continue;
        }
        totals_t totals;
        memdb__key_t key;
        uint8_t value[16];
        status = sum_counters(fold, ids[i], &totals, error);
        memdb__put_u64(value, (uint64_t)totals.memories);
        memdb__put_u64(value + 8, (uint64_t)totals.text_bytes);
        memdb__key_counters(&key, ids[i]);
        memdb__entry_t entry = {.key = key.bytes,
                                .key_size = key.size,
                                .value = value,
                                .value_size = sizeof value,
                                .version = fold->tier.last_lsn};
        status = status ? status : memdb__sorted_append(writer, &entry, error);
    }
    memdb__buffer_deinit(&spaces.ids);
    return status;
}
