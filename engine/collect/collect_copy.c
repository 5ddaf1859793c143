// Collecting the arena, in a merge of all tiers: what exactly is named, and copying it out of the
// retired extents. See collect.c.
#include "engine/fold/fold.h"

/// What the new base will name: the merge's own walk, without writing.
static memdb_status_t survey_fold(memdb__fold_t *fold, memdb_error_t *error) {
    memdb__collection_t *c = &fold->collection;
    memdb__merge_t merge;
    memdb__buffer_clear(&c->names);
    memdb_status_t status =
        memdb__merge_open_fold(&merge, &fold->snapshot.sight, fold->horizon.end, 0, error);
    while (!status && merge.valid && merge.entry.key[0] <= MEMDB__KEY_RECORD) {
        bool dropped =
            merge.entry.key[0] != MEMDB__KEY_RECORD || memdb__collect_drops(c, &merge.entry);
        status = memdb__collect_goes_on(c->db, error);
        if (!status && !dropped) {
            status = memdb__fold_is_dropped(fold, &merge.entry, &dropped, error);
        }
        if (!status && !dropped && !merge.entry.tombstone) {
            status = memdb__collect_add_names(&c->names, &merge.entry, error);
        }
        status = status ? status : memdb__merge_next(&merge, error);
    }
    memdb__merge_close(&merge);
    if (!status) {
        memdb__collect_finish_names(c);
        c->surveyed = true;
    }
    return status;
}

/// Copy what is named in one extent, names->data[from, to).
static memdb_status_t copy_extent(memdb__collection_t *c, size_t from, size_t to,
                                  memdb_error_t *error) {
    memdb_status_t status = MEMDB_OK;
    for (size_t at = from; !status && at < to; at += MEMDB__REFERENCE) {
        uint8_t hash[16], pair[2 * MEMDB__REFERENCE];
        memcpy(pair, c->names.data + at, MEMDB__REFERENCE);
        status = memdb__collect_goes_on(c->db, error);
        status = status ? status
                        : memdb__blob_duplicate(c->db->blobs, pair, c->survivors,
                                                pair + MEMDB__REFERENCE, hash, error);
        if (!status && !memdb__buffer_append(&c->moved, pair, sizeof pair)) {
            status = memdb__collect_no_memory(error);
        }
        c->arena_bytes += memdb__blob_footprint(memdb__get_u64(pair + 16));
    }
    return status;
}

/// Copy out of all retired extents. One that is damaged stays as it is, named by the records that
/// name it: the damage is told to whoever reads it, and does not stop the merge.
static memdb_status_t copy_extents(memdb__collection_t *c, memdb_error_t *error) {
    memdb_status_t status = MEMDB_OK;
    for (size_t at = 0, end; !status && at < c->names.size; at = end) {
        uint64_t id = memdb__get_u64(c->names.data + at);
        for (end = at; end < c->names.size && memdb__get_u64(c->names.data + end) == id;) {
            end += MEMDB__REFERENCE;
        }
        if (!memdb__collect_has(&c->extents, id)) {
            continue;
        }
        size_t before = c->moved.size;
        status = copy_extent(c, at, end, error);
        if (status == MEMDB_CORRUPT || status == MEMDB_NOT_FOUND) {
            memdb__tell(c->db, MEMDB_CORRUPT, "collect: an extent stays as it is: %s",
                        error->message);
            *error = (memdb_error_t){0};
            c->moved.size = before;
            status = memdb__buffer_append_u64(&c->damaged, id) ? MEMDB_OK
                                                               : memdb__collect_no_memory(error);
        }
    }
    return status;
}

/// The memories that a purge erases: all that were forgotten so, as far as the tiers go.
static memdb_status_t gather_erased(memdb__fold_t *fold, memdb_error_t *error) {
    static const uint8_t first = MEMDB__KEY_ERASED;
    memdb__collection_t *c = &fold->collection;
    memdb__merge_t merge;
    memdb_status_t status = memdb__merge_open(&merge, &fold->snapshot.sight, &first, 1, error);
    while (!status && merge.valid && merge.entry.key[0] == MEMDB__KEY_ERASED) {
        uint64_t id;
        if (!memdb__key_parse_id(merge.entry.key, merge.entry.key_size, &id)) {
            status = memdb__fail(error, MEMDB_CORRUPT, "collect: a key is not well formed");
        } else if (merge.entry.version > c->before.purged_lsn &&
                   !memdb__buffer_append_u64(&c->erased, id)) {
            status = memdb__collect_no_memory(error);
        }
        status = status ? status : memdb__merge_next(&merge, error);
    }
    memdb__merge_close(&merge);
    return status;
}

memdb_status_t memdb__collect_copy(memdb__fold_t *fold, memdb_error_t *error) {
    memdb__collection_t *c = &fold->collection;
    memdb_status_t status = MEMDB_OK;
    bool purge = c->work && c->work->purge;
    if (purge) {
        status = gather_erased(fold, error);
    }
    if (!status && (c->extents.size || purge)) {
        status = survey_fold(fold, error);
    }
    if (status || !c->extents.size) {
        return status;
    }
    status = memdb__collect_open_arena(c->db, &c->survivors, error);
    status = status ? status : copy_extents(c, error);
    return status ? status : memdb__blobs_sync(c->survivors, error);
}
