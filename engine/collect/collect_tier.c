// Collecting the arena, in the new tier: what a purge leaves out, the new places of blobs, and what
// an entry replaces in the tiers that stay. See collect.c.
#include "engine/fold/fold.h"

#include <stdlib.h>

bool memdb__collect_erases(const memdb__collection_t *c, uint64_t id) {
    return memdb__collect_has(&c->erased, id);
}

bool memdb__collect_drops(const memdb__collection_t *c, const memdb__entry_t *entry) {
    uint64_t id, last;
    uint8_t type[MEMDB__KEY_MAX_BYTES];
    size_t type_size;
    if (entry->key[0] == MEMDB__KEY_ERASED) {
        return entry->version <= c->before.purged_lsn; // the mark of one that is gone
    }
    if (!c->erased.size) {
        return false;
    }
    switch (entry->key[0]) {
    case MEMDB__KEY_RECORD:
    case MEMDB__KEY_SESSION:
    case MEMDB__KEY_TIME:
    case MEMDB__KEY_ATTRIBUTE:
        return memdb__key_parse_id(entry->key, entry->key_size, &id) &&
               memdb__collect_erases(c, id);
    case MEMDB__KEY_KEY:
        return entry->value_size == 8 && memdb__collect_erases(c, memdb__get_u64(entry->value));
    case MEMDB__KEY_LINK:
    case MEMDB__KEY_LINK_IN:
        return entry->key_size <= sizeof type &&
               memdb__key_parse_link(entry->key, entry->key_size, &id, type, &type_size, &last) &&
               (memdb__collect_erases(c, id) || memdb__collect_erases(c, last));
    default:
        return false;
    }
}

/// Whether an extent was emptied by this fold.
static bool is_emptied(const memdb__collection_t *c, uint64_t extent_id) {
    return memdb__collect_has(&c->extents, extent_id) &&
           !memdb__collect_has(&c->damaged, extent_id);
}

/// The place of a blob in the new base. NULL: it is nowhere, which for a named one is impossible.
static const uint8_t *place_of(const memdb__collection_t *c, const uint8_t *reference) {
    if (!is_emptied(c, memdb__get_u64(reference))) {
        return reference;
    }
    const uint8_t *pair =
        c->moved.size ? bsearch(reference, c->moved.data, c->moved.size / (2 * MEMDB__REFERENCE),
                                2 * MEMDB__REFERENCE, memdb__collect_by_place)
                      : NULL;
    return pair ? pair + MEMDB__REFERENCE : NULL;
}

static memdb_status_t move_record(memdb__collection_t *c, memdb__entry_t *entry,
                                  memdb_error_t *error) {
    memdb__record_t record;
    memdb_blob_t blob;
    memdb__buffer_clear(&c->record);
    if (!memdb__buffer_append(&c->record, entry->value, entry->value_size)) {
        return memdb__collect_no_memory(error);
    }
    if (!memdb__record_decode(c->record.data, c->record.size, &record)) {
        return memdb__fail(error, MEMDB_CORRUPT, "fold: a record is not well formed");
    }
    for (uint32_t i = 0; i < record.blob_count; i++) {
        uint8_t *reference = c->record.data + (record.blobs.at - c->record.data);
        memdb__record_next_blob(&record.blobs, &blob);
        const uint8_t *place = place_of(c, blob.reference);
        if (!place) {
            return memdb__fail(error, MEMDB_CORRUPT,
                               "fold: a record names a blob that was not copied");
        }
        memcpy(reference, place, MEMDB__REFERENCE);
    }
    entry->value = c->record.data;
    entry->value_size = c->record.size;
    return MEMDB_OK;
}

/// A blob's entry by content: found again only where a record names it.
static memdb_status_t move_content(memdb__collection_t *c, memdb__entry_t *entry, bool *dropped_out,
                                   memdb_error_t *error) {
    if (entry->value_size != 40) {
        return memdb__fail(error, MEMDB_CORRUPT, "fold: a blob's entry is not well formed");
    }
    bool named =
        c->names.size && bsearch(entry->value, c->names.data, c->names.size / MEMDB__REFERENCE,
                                 MEMDB__REFERENCE, memdb__collect_by_place);
    const uint8_t *place = named ? place_of(c, entry->value) : NULL;
    *dropped_out = !place;
    if (place) {
        memdb__buffer_clear(&c->record);
        memdb__buffer_append(&c->record, place, MEMDB__REFERENCE);
        if (!memdb__buffer_append(&c->record, entry->value + MEMDB__REFERENCE, 8)) {
            return memdb__collect_no_memory(error);
        }
        entry->value = c->record.data;
    }
    return MEMDB_OK;
}

/// What a record, and what belongs to it in the other stores, takes, or a link or row; roughly.
static uint64_t weight_of(const memdb__entry_t *entry) {
    memdb__record_t record;
    uint64_t weight = entry->key_size + entry->value_size;
    if (entry->key[0] == MEMDB__KEY_RECORD &&
        memdb__record_decode(entry->value, entry->value_size, &record)) {
        weight += record.dimension ? record.dimension + 24 : 0;
    }
    return weight;
}

/// What an older record names in the arena and its successor does not.
static uint64_t dropped_blobs(const memdb__entry_t *older, const memdb__entry_t *newer) {
    memdb__record_t before, after = {0};
    memdb_blob_t blob, other;
    uint64_t bytes = 0;
    if (!memdb__record_decode(older->value, older->value_size, &before) || !before.blob_count ||
        (!newer->tombstone && !memdb__record_decode(newer->value, newer->value_size, &after))) {
        return 0;
    }
    while (memdb__reader_left(&before.blobs) && memdb__record_next_blob(&before.blobs, &blob)) {
        memdb__reader_t kept = after.blobs;
        bool still = false;
        for (uint32_t i = 0; i < after.blob_count && !still; i++) {
            memdb__record_next_blob(&kept, &other);
            still = memcmp(blob.reference, other.reference, MEMDB__REFERENCE) == 0;
        }
        bytes += still ? 0 : memdb__blob_footprint(blob.size_bytes);
    }
    return bytes;
}

/// Add what an entry replaces in the tiers that are not merged.
static memdb_status_t count_superseded(memdb__fold_t *fold, const memdb__entry_t *entry,
                                       memdb_error_t *error) {
    uint8_t kind = entry->key[0];
    if (kind != MEMDB__KEY_RECORD && kind != MEMDB__KEY_LINK && kind != MEMDB__KEY_ROW) {
        return MEMDB_OK;
    }
    uint64_t id;
    if (kind == MEMDB__KEY_RECORD && memdb__key_parse_id(entry->key, entry->key_size, &id) &&
        id > fold->older_id) {
        return MEMDB_OK;
    }
    for (size_t i = fold->first_tier; i-- > 0;) {
        memdb__entry_t older;
        memdb_status_t status = memdb__sorted_get(fold->snapshot.sight.view->tiers[i]->sorted,
                                                  entry->key, entry->key_size, &older, error);
        if (status == MEMDB_NOT_FOUND) {
            continue;
        }
        if (!status && !older.tombstone) {
            fold->tier.superseded_bytes += weight_of(&older);
            fold->tier.dropped_blob_bytes +=
                kind == MEMDB__KEY_RECORD ? dropped_blobs(&older, entry) : 0;
        }
        return status;
    }
    return MEMDB_OK;
}

memdb_status_t memdb__collect_append(memdb__fold_t *fold, memdb__sorted_writer_t *writer,
                                     const memdb__entry_t *entry, memdb_error_t *error) {
    memdb__collection_t *c = &fold->collection;
    memdb__entry_t moved = *entry;
    bool dropped = false;
    memdb_status_t status = count_superseded(fold, entry, error);
    if (!status && c->surveyed && !entry->tombstone) {
        if (entry->key[0] == MEMDB__KEY_RECORD && c->extents.size) {
            status = move_record(c, &moved, error);
        } else if (entry->key[0] == MEMDB__KEY_BLOB) {
            status = move_content(c, &moved, &dropped, error);
        }
    }
    return status || dropped ? status : memdb__sorted_append(writer, &moved, error);
}
