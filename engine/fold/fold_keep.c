// What a fold keeps: this file alone decides. See fold.h.
//
// Without history the horizon is the fold's own LSN; that of a merge is its base's. With history it
// lies below, and everything from there on stays readable as it was: of each key the merge gives
// the versions above the horizon, which are all kept, and the newest at or below it, which is kept
// when a reader at the horizon needs it. What such a reader sees decides for documents and rows
// too: one that is newer than the horizon belongs to a record that is kept, an older one is kept
// when the record at the horizon names it.
//
// Dropping an entry is safe only where it hides nothing: an index entry leads to a record, and is
// checked against it wherever it is read, so an older one that comes to light is as stale as the
// dropped one. (A record that comes to match again after the horizon did so in a commit that wrote
// the entry again.) A tombstone hides older versions, and stays until nothing older is left.
#include "engine/fold/fold.h"
#include "engine/settings.h"

// ------------------------------------------------------------------------------ the horizon

/// The later of a horizon and a moment that history reaches back to; a moment that is not known any
/// more lies before the horizon.
static memdb_status_t raise_horizon(memdb__fold_t *fold, memdb_status_t found,
                                    const memdb__moment_t *moment, memdb_error_t *error) {
    if (found == MEMDB_EXPIRED) {
        *error = (memdb_error_t){0};
        return MEMDB_OK;
    }
    if (!found && moment->end > fold->horizon.end) {
        fold->horizon = *moment;
    }
    return found;
}

/// The horizon by the settings, never below the one before: what was dropped stays dropped.
static memdb_status_t find_horizon(memdb__fold_t *fold, const memdb_settings_t *settings,
                                   memdb_error_t *error) {
    const memdb__view_t *view = fold->snapshot.sight.view;
    uint64_t last = fold->tier.last_lsn;
    memdb__moment_t seal, moment;
    memdb_status_t status = memdb__history_floor(view, &fold->horizon, error);
    status = status ? status : memdb__history_at_lsn(view, last, last, &seal, error);
    if (!status && !settings->history_us && !settings->history_bytes) {
        fold->horizon = seal;
    }
    if (!status && settings->history_us) {
        // By the time of the seal, not by the clock: history is as long as commits say.
        status = memdb__history_at_time(view, last, seal.time - (int64_t)settings->history_us,
                                        &moment, error);
        status = raise_horizon(fold, status, &moment, error);
    }
    if (!status && settings->history_bytes && settings->history_bytes < last) {
        status = memdb__history_at_lsn(view, last, last - settings->history_bytes, &moment, error);
        status = raise_horizon(fold, status, &moment, error);
    }
    return status;
}

memdb_status_t memdb__fold_choose_horizon(memdb__fold_t *fold, memdb_error_t *error) {
    memdb_settings_t settings;
    memdb_status_t status =
        fold->is_merge ? memdb__history_floor(fold->snapshot.sight.view, &fold->horizon, error)
                       : memdb__settings_read(&fold->snapshot.sight, &settings, error);
    if (!status && !fold->is_merge) {
        pthread_mutex_lock(&fold->db->apply); // the open run remembers its frames under it
        status = find_horizon(fold, &settings, error);
        pthread_mutex_unlock(&fold->db->apply);
    }
    fold->at_horizon =
        (memdb__sight_t){.view = fold->snapshot.sight.view, .visible = fold->horizon.end};
    fold->live = (memdb__live_t){.sight = &fold->at_horizon, .now = MEMDB_TIME_NONE};
    return status;
}

bool memdb__fold_is_cancelled(memdb__fold_t *fold) {
    // Relaxed: a flag alone; whoever sets it joins the thread.
    if (fold->is_merge && atomic_load_explicit(&fold->db->closing, memory_order_relaxed) &&
        !fold->live.error.status) {
        memdb__fail(&fold->live.error, MEMDB_BUSY, "merge: given up, since the handle closes");
    }
    return fold->is_merge && fold->live.error.status == MEMDB_BUSY;
}

/// The largest id whose record the tiers have that are not merged.
static memdb_status_t find_older_id(memdb__fold_t *fold, memdb_error_t *error) {
    static const uint8_t behind = MEMDB__KEY_RECORD + 1;
    memdb_status_t status = MEMDB_OK;
    for (size_t i = 0; !status && i < fold->first_tier; i++) {
        memdb__sorted_iterator_t last;
        uint64_t id;
        status = memdb__sorted_seek_before(fold->snapshot.sight.view->tiers[i]->sorted, &behind, 1,
                                           &last, error);
        if (!status && last.valid && last.entry.key[0] == MEMDB__KEY_RECORD &&
            memdb__key_parse_id(last.entry.key, last.entry.key_size, &id) && id > fold->older_id) {
            fold->older_id = id;
        }
    }
    return status;
}

memdb_status_t memdb__fold_survey(memdb__fold_t *fold, memdb_error_t *error) {
    const memdb__view_t *view = fold->snapshot.sight.view;
    size_t folded = 0;
    for (size_t i = 0; !fold->is_merge && i < view->run_count; i++) {
        uint64_t sealed = memdb__run_sealed_lsn(view->runs[i]);
        if (sealed && sealed <= fold->tier.last_lsn) {
            fold->alone = view->runs[i];
            folded++;
        }
    }
    if (folded != 1 || memdb__run_rewrites(fold->alone)) {
        fold->alone = NULL;
    }
    return find_older_id(fold, error);
}

// ------------------------------------------------------------------------------ spaces, documents,
// rows

/// The newest descriptor of a space or table that a sight sees, tombstones included.
/// MEMDB_NOT_FOUND: none.
static memdb_status_t find_descriptor(memdb__fold_t *fold, const memdb__sight_t *sight,
                                      const memdb__key_t *key, memdb__entry_t *entry_out) {
    memdb_error_t error = {0};
    memdb_status_t status = memdb__sight_get(sight, key->bytes, key->size, entry_out, &error);
    if (status && status != MEMDB_NOT_FOUND && !fold->live.error.status) {
        fold->live.error = error;
    }
    return status;
}

/// Whether the space or table of a descriptor is kept.
static bool keeps_described(memdb__fold_t *fold, const memdb__key_t *key) {
    memdb__entry_t entry;
    memdb_status_t status = find_descriptor(fold, &fold->at_horizon, key, &entry);
    if (status != MEMDB_NOT_FOUND) {
        return status || !entry.tombstone; // damage keeps it, and fails the fold through live.error
    }
    // Created after the horizon, and dropped again perhaps; or its last trace is gone.
    return find_descriptor(fold, &fold->snapshot.sight, key, &entry) != MEMDB_NOT_FOUND;
}

bool memdb__fold_keeps_space(void *context, memdb_space_t space) {
    memdb__key_t key;
    memdb__key_space(&key, space);
    return keeps_described(context, &key);
}

/// Whether the table of a row is kept; rows come by table.
static bool keeps_table(memdb__fold_t *fold, uint32_t table) {
    if (fold->rows_of != table) {
        memdb__key_t key;
        memdb__key_table(&key, table);
        fold->rows_of = table;
        fold->rows_kept = keeps_described(fold, &key);
    }
    return fold->rows_kept;
}

bool memdb__fold_keeps_document(void *context, memdb_space_t space, uint64_t id, uint64_t version) {
    memdb__fold_t *fold = context;
    return !memdb__fold_is_cancelled(fold) && !memdb__collect_erases(&fold->collection, id) &&
           (version > fold->horizon.end || memdb__document_live(&fold->live, space, id, version));
}

bool memdb__fold_keeps_row(void *context, memdb_space_t space, uint64_t id, uint64_t version) {
    memdb__fold_t *fold = context;
    return !memdb__fold_is_cancelled(fold) && !memdb__collect_erases(&fold->collection, id) &&
           (version > fold->horizon.end || memdb__row_live(&fold->live, space, id, version));
}

// ------------------------------------------------------------------------------ entries

/// Whether an index entry still leads to what it says. Others are kept as they are.
static memdb_status_t is_stale(memdb__fold_t *fold, const memdb__entry_t *entry, bool *stale_out,
                               memdb_error_t *error) {
    const memdb__sight_t *sight = &fold->at_horizon;
    memdb__record_t record;
    memdb__entry_t found;
    memdb__key_t key;
    uint64_t id;
    uint8_t kind = entry->key[0];
    *stale_out = false;
    if (entry->tombstone ||
        (kind != MEMDB__KEY_KEY && kind != MEMDB__KEY_TIME && kind != MEMDB__KEY_SESSION)) {
        return MEMDB_OK;
    }
    if (fold->alone && entry->version > memdb__run_first_lsn(fold->alone)) {
        return MEMDB_OK; // nothing that is folded is newer than the put that wrote it
    }
    if (kind == MEMDB__KEY_KEY) {
        id = entry->value_size == 8 ? memdb__get_u64(entry->value) : 0;
    } else if (!memdb__key_parse_id(entry->key, entry->key_size, &id)) {
        return memdb__fail(error, MEMDB_CORRUPT, "fold: an index entry is not well formed");
    }
    memdb__key_record(&key, id);
    memdb_status_t status = memdb__sight_get(sight, key.bytes, key.size, &found, error);
    if (status == MEMDB_NOT_FOUND || (!status && found.tombstone)) {
        *stale_out = true;
        return MEMDB_OK;
    }
    if (status || found.version == entry->version) {
        return status; // one put wrote both: most do, and need not be decoded
    }
    if (!memdb__record_decode(found.value, found.value_size, &record)) {
        return memdb__fail(error, MEMDB_CORRUPT, "fold: record %llu is not well formed",
                           (unsigned long long)id);
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
    const memdb__sight_t *sight = &fold->at_horizon;
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

/// An entry of an attribute index, or a list of them, that nobody can ask any more: the index, or
/// the space, is gone. One with a number that the list has not given out is of a later index.
static memdb_status_t is_orphan(memdb__fold_t *fold, const memdb__entry_t *entry, bool *orphan_out,
                                memdb_error_t *error) {
    memdb_space_t space;
    memdb_bytes_t value;
    uint32_t number;
    uint64_t id;
    bool list = entry->key[0] == MEMDB__KEY_ATTRIBUTES;
    *orphan_out = false;
    if (list ? entry->key_size != 5
             : !memdb__key_parse_attribute(entry->key, entry->key_size, &space, &number, &value,
                                           &id)) {
        return memdb__fail(error, MEMDB_CORRUPT, "fold: an index entry is not well formed");
    }
    space = list ? memdb__get_be32(entry->key + 1) : space;
    if (!list && fold->attributes_of != space) {
        memdb_status_t status =
            memdb__read_attributes(&fold->at_horizon, space, &fold->attributes, error);
        if (status) {
            return status;
        }
        fold->attributes_of = space;
        fold->attributes_live = memdb__fold_keeps_space(fold, space);
    }
    if (list) {
        *orphan_out = !memdb__fold_keeps_space(fold, space);
        return MEMDB_OK;
    }
    bool known = number >= fold->attributes.next;
    for (uint32_t i = 0; !known && i < fold->attributes.count; i++) {
        known = fold->attributes.items[i].number == number;
    }
    *orphan_out = !known || !fold->attributes_live;
    return MEMDB_OK;
}

memdb_status_t memdb__fold_is_dropped(memdb__fold_t *fold, const memdb__entry_t *entry,
                                      bool *dropped_out, memdb_error_t *error) {
    *dropped_out = false;
    if (entry->version > fold->horizon.end) {
        return MEMDB_OK;
    }
    if (entry->tombstone && fold->first_tier == 0) {
        *dropped_out = true; // nothing older is left that it hides
        return MEMDB_OK;
    }
    memdb__record_t record;
    if (entry->key[0] == MEMDB__KEY_RECORD && !entry->tombstone) {
        if (!memdb__record_decode(entry->value, entry->value_size, &record)) {
            return memdb__fail(error, MEMDB_CORRUPT, "fold: a record is not well formed");
        }
        *dropped_out = fold->first_tier == 0 && !memdb__fold_keeps_space(fold, record.space);
        return MEMDB_OK;
    }
    if (entry->key[0] == MEMDB__KEY_ROW) {
        if (entry->key_size != MEMDB__ROW_KEY_BYTES) {
            return memdb__fail(error, MEMDB_CORRUPT, "fold: a row's key is not well formed");
        }
        *dropped_out = fold->first_tier == 0 && !keeps_table(fold, memdb__get_be32(entry->key + 1));
        return MEMDB_OK;
    }
    if (entry->key[0] == MEMDB__KEY_ATTRIBUTE || entry->key[0] == MEMDB__KEY_ATTRIBUTES) {
        return is_orphan(fold, entry, dropped_out, error);
    }
    memdb_status_t status = is_stale(fold, entry, dropped_out, error);
    return status || *dropped_out ? status : is_loose(fold, entry, dropped_out, error);
}
