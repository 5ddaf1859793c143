// Links: typed directed edges between memories of one space, read one hop out and in.
//
// 'L' entries (by source) carry the link; 'I' entries (by target) lead to them. Removing a link
// buries both; an 'I' entry may outlive its link all the same, and is skipped then. Forgetting a
// memory leaves its links, which are skipped because an end is gone, and dropped by the next fold.
#include "base/json.h"
#include "engine/engine.h"

#include <math.h>

static memdb_status_t check_type(memdb_bytes_t type, memdb_error_t *error) {
    if (type.size > MEMDB_MAX_NAME_BYTES) {
        return memdb__fail(error, MEMDB_LIMIT, "link: type of %zu bytes, at most %d", type.size,
                           MEMDB_MAX_NAME_BYTES);
    }
    if (type.size &&
        (!type.data || !memdb__is_utf8(type.data, type.size) || memchr(type.data, 0, type.size))) {
        return memdb__fail(error, MEMDB_INVALID,
                           "link: the type is not UTF-8, or holds a zero byte");
    }
    return MEMDB_OK;
}

static memdb_status_t check_link(const memdb_link_t *link, memdb_error_t *error) {
    if (link->size < sizeof *link || !isfinite(link->weight) ||
        (link->attrs.size && !link->attrs.data)) {
        return memdb__fail(error, MEMDB_INVALID,
                           "link: the struct's size is not set, the weight is not a finite number, "
                           "or attrs have a size without data");
    }
    if (link->attrs.size > MEMDB_MAX_ATTRS_BYTES) {
        return memdb__fail(error, MEMDB_LIMIT, "link: attrs of %zu bytes, at most %u",
                           link->attrs.size, MEMDB_MAX_ATTRS_BYTES);
    }
    memdb_status_t status = check_type(link->type, error);
    if (status) {
        return status;
    }
    if (link->valid_from != MEMDB_TIME_NONE && link->valid_to != MEMDB_TIME_NONE &&
        link->valid_to < link->valid_from) {
        return memdb__fail(error, MEMDB_INVALID, "link: valid_to is before valid_from");
    }
    return link->attrs.size ? memdb__json_is_object(link->attrs.data, link->attrs.size, error)
                            : MEMDB_OK;
}

/// An end must be a live memory of the space, and stay one until the commit.
static memdb_status_t check_end(memdb_txn_t *txn, memdb_space_t space, uint64_t id,
                                memdb_error_t *error) {
    memdb__record_t record;
    uint64_t version;
    memdb__key_t key;
    memdb_status_t status = memdb__read_record(&txn->snapshot.sight, id, &record, &version, error);
    if (status == MEMDB_NOT_FOUND || (!status && record.space != space)) {
        return memdb__fail(error, MEMDB_NOT_FOUND, "link: there is no memory %llu in the space",
                           (unsigned long long)id);
    }
    memdb__key_record(&key, id);
    return status ? status : memdb__txn_guard(txn, &key, false, error);
}

/// The space and both ends must be there, and stay so until the commit.
static memdb_status_t check_ends(memdb_txn_t *txn, memdb_space_t space, uint64_t from, uint64_t to,
                                 memdb_error_t *error) {
    memdb_space_info_t info;
    memdb__key_t key;
    memdb__key_space(&key, space);
    memdb_status_t status = memdb__read_space(&txn->snapshot.sight, space, &info, error);
    if (status == MEMDB_NOT_FOUND) {
        return memdb__fail(error, MEMDB_NOT_FOUND, "link: there is no space %u", space);
    }
    status = status ? status : memdb__txn_guard(txn, &key, false, error);
    status = status ? status : check_end(txn, space, from, error);
    return status ? status : check_end(txn, space, to, error);
}

static bool supersedes(memdb_bytes_t type) {
    static const char name[] = MEMDB_LINK_SUPERSEDES;
    return memdb__compare(type.data, type.size, name, sizeof name - 1) == 0;
}

static memdb_status_t write_link(memdb_txn_t *txn, const memdb_link_t *link, memdb_error_t *error) {
    memdb__buffer_clear(&txn->record);
    if (!memdb__link_encode(&txn->record, link)) {
        return memdb__fail(error, MEMDB_NOMEM, "link: out of memory");
    }
    memdb__operation_t operation = {.kind = MEMDB__OPERATION_LINK,
                                    .id = link->from,
                                    .to = link->to,
                                    .name = link->type,
                                    .body = {(const char *)txn->record.data, txn->record.size}};
    return memdb__txn_operate(txn, &operation, error);
}

static memdb_status_t put_link(memdb_txn_t *txn, const memdb_link_t *given, memdb_error_t *error) {
    memdb_link_t link = *given;
    if (!txn->as_given) { // 0 is "not set" in a caller's struct
        link.valid_from = link.valid_from ? link.valid_from : MEMDB_TIME_NONE;
        link.valid_to = link.valid_to ? link.valid_to : MEMDB_TIME_NONE;
    }
    memdb_status_t status = check_link(&link, error);
    status = status ? status : check_ends(txn, link.space, link.from, link.to, error);
    if (status || txn->as_given || !supersedes(link.type)) {
        return status ? status : write_link(txn, &link, error);
    }
    status = memdb__supersede(txn, &link, error);
    if (!status && (status = write_link(txn, &link, error)) != MEMDB_OK) {
        txn->own.failure = status; // validities without the link that changed them
    }
    return status;
}

memdb_status_t memdb_put_link(memdb_txn_t *txn, const memdb_link_t *link) {
    memdb_error_t error = {0};
    if (!txn || !link) {
        return MEMDB_INVALID;
    }
    memdb_status_t status = memdb__snapshot_usable(&txn->snapshot, &error);
    status = status ? status : put_link(txn, link, &error);
    return memdb__report(txn->snapshot.db, status, &error);
}

/// The link (from, type, to) as a snapshot sees it.
static memdb_status_t read_link(const memdb__sight_t *sight, uint64_t from, memdb_bytes_t type,
                                uint64_t to, memdb_link_t *link_out, memdb_error_t *error) {
    memdb__key_t key;
    memdb__entry_t entry;
    memdb__key_link(&key, from, type, to);
    memdb_status_t status = memdb__sight_get(sight, key.bytes, key.size, &entry, error);
    if (status || entry.tombstone) {
        return status ? status : MEMDB_NOT_FOUND;
    }
    memdb_link_t link = {
        .size = sizeof link, .from = from, .to = to, .type = type, .version = entry.version};
    if (!memdb__link_decode(entry.value, entry.value_size, &link)) {
        return memdb__fail(error, MEMDB_CORRUPT, "link %llu -> %llu is not well formed",
                           (unsigned long long)from, (unsigned long long)to);
    }
    *link_out = link;
    return MEMDB_OK;
}

static memdb_status_t remove_link(memdb_txn_t *txn, memdb_space_t space, uint64_t from, uint64_t to,
                                  memdb_bytes_t type, memdb_error_t *error) {
    memdb_link_t link;
    memdb_status_t status = check_type(type, error);
    status = status ? status : check_ends(txn, space, from, to, error);
    if (!status) {
        status = read_link(&txn->snapshot.sight, from, type, to, &link, error);
    }
    if (status == MEMDB_NOT_FOUND) {
        return memdb__fail(error, MEMDB_NOT_FOUND, "there is no such link from %llu to %llu",
                           (unsigned long long)from, (unsigned long long)to);
    }
    memdb__operation_t operation = {
        .kind = MEMDB__OPERATION_UNLINK, .id = from, .to = to, .name = type};
    return status ? status : memdb__txn_operate(txn, &operation, error);
}

memdb_status_t memdb_remove_link(memdb_txn_t *txn, memdb_space_t space, uint64_t from, uint64_t to,
                                 memdb_bytes_t type) {
    memdb_error_t error = {0};
    if (!txn) {
        return MEMDB_INVALID;
    }
    memdb_status_t status = memdb__snapshot_usable(&txn->snapshot, &error);
    status = status ? status : remove_link(txn, space, from, to, type, &error);
    return memdb__report(txn->snapshot.db, status, &error);
}

// ------------------------------------------------------------------------------ reading

struct memdb_link_cursor {
    memdb_snapshot_t *snapshot;
    memdb_space_t space;
    uint64_t id;
    memdb_direction_t direction;
    bool in; // walking the links in
    bool open;
    memdb__merge_t merge;
    memdb__key_t prefix;
    size_t type_size; // of a wanted type; 0: any
    char type[MEMDB_MAX_NAME_BYTES];
};

/// Start walking one direction. With a type the prefix holds it, so nothing else is touched.
static memdb_status_t start(memdb_link_cursor_t *cursor, bool in, memdb_error_t *error) {
    cursor->in = in;
    if (cursor->type_size) {
        memdb_bytes_t type = {cursor->type, cursor->type_size};
        if (in) {
            memdb__key_link_in(&cursor->prefix, 0, type, cursor->id);
        } else {
            memdb__key_link(&cursor->prefix, cursor->id, type, 0);
        }
        cursor->prefix.size -= 8; // all but the other end
    } else {
        memdb__key_link_prefix(&cursor->prefix, in, cursor->id);
    }
    memdb_status_t status = memdb__merge_open(&cursor->merge, &cursor->snapshot->sight,
                                              cursor->prefix.bytes, cursor->prefix.size, error);
    cursor->open = status == MEMDB_OK;
    return status;
}

static memdb_status_t is_live(const memdb__sight_t *sight, memdb_space_t space, uint64_t id,
                              bool *live_out, memdb_error_t *error) {
    memdb__record_t record;
    uint64_t version;
    memdb_status_t status = memdb__read_record(sight, id, &record, &version, error);
    *live_out = status == MEMDB_OK && record.space == space;
    return status == MEMDB_NOT_FOUND ? MEMDB_OK : status;
}

/// A memory that is not there, or whose space is not, has no links.
static memdb_status_t open_links(memdb_link_cursor_t *cursor, memdb_error_t *error) {
    const memdb__sight_t *sight = &cursor->snapshot->sight;
    memdb_space_info_t info;
    bool live = false;
    memdb_status_t status = memdb__read_space(sight, cursor->space, &info, error);
    status = status ? status : is_live(sight, cursor->space, cursor->id, &live, error);
    if (status == MEMDB_NOT_FOUND || (!status && !live)) {
        return MEMDB_OK; // not open: done at once
    }
    return status ? status : start(cursor, cursor->direction == MEMDB_DIRECTION_IN, error);
}

memdb_status_t memdb_links_open(memdb_snapshot_t *snapshot, memdb_space_t space, uint64_t id,
                                memdb_direction_t direction, memdb_bytes_t type,
                                memdb_link_cursor_t **cursor_out) {
    memdb_error_t error = {0};
    if (!snapshot || !cursor_out) {
        return MEMDB_INVALID;
    }
    memdb_status_t status = memdb__snapshot_usable(snapshot, &error);
    status = status ? status : check_type(type, &error);
    if (!status && (uint32_t)direction > MEMDB_DIRECTION_BOTH) {
        status = memdb__fail(&error, MEMDB_INVALID, "links: direction %d", (int)direction);
    }
    memdb_link_cursor_t *cursor = status ? NULL : memdb__allocate_zeroed(1, sizeof *cursor);
    if (!status && !cursor) {
        status = memdb__fail(&error, MEMDB_NOMEM, "links: out of memory");
    }
    if (!status) {
        cursor->snapshot = snapshot;
        cursor->space = space;
        cursor->id = id;
        cursor->direction = direction;
        cursor->type_size = type.size;
        if (type.size) {
            memcpy(cursor->type, type.data, type.size);
        }
        status = open_links(cursor, &error);
    }
    if (status) {
        memdb__free(cursor);
        return memdb__report(snapshot->db, status, &error);
    }
    *cursor_out = cursor;
    return MEMDB_OK;
}

/// Read the link of the entry that the cursor stands on. MEMDB_NOT_FOUND: skip it.
static memdb_status_t read_current(memdb_link_cursor_t *cursor, memdb_link_t *link_out,
                                   memdb_error_t *error) {
    memdb_snapshot_t *snapshot = cursor->snapshot;
    const memdb__entry_t *entry = &cursor->merge.entry;
    uint8_t *type = memdb__arena_allocate(&snapshot->arena, entry->key_size);
    uint64_t first, last;
    size_t type_size;
    bool live = false;
    if (!type) {
        return memdb__fail(error, MEMDB_NOMEM, "links: out of memory");
    }
    if (!memdb__key_parse_link(entry->key, entry->key_size, &first, type, &type_size, &last)) {
        return memdb__fail(error, MEMDB_CORRUPT, "a link's key is not well formed");
    }
    memdb_status_t status = is_live(&snapshot->sight, cursor->space, last, &live, error);
    if (status || !live) {
        return status ? status : MEMDB_NOT_FOUND;
    }
    memdb_bytes_t name = {(const char *)type, type_size};
    return cursor->in ? read_link(&snapshot->sight, last, name, first, link_out, error)
                      : read_link(&snapshot->sight, first, name, last, link_out, error);
}

static memdb_status_t next(memdb_link_cursor_t *cursor, memdb_link_t *link_out,
                           memdb_error_t *error) {
    for (;;) {
        const memdb__entry_t *entry = &cursor->merge.entry;
        if (!cursor->merge.valid || entry->key_size < cursor->prefix.size ||
            memcmp(entry->key, cursor->prefix.bytes, cursor->prefix.size) != 0) {
            if (cursor->in || cursor->direction != MEMDB_DIRECTION_BOTH) {
                return MEMDB_DONE;
            }
            memdb__merge_close(&cursor->merge);
            cursor->open = false;
            memdb_status_t status = start(cursor, true, error);
            if (status) {
                return status;
            }
            continue;
        }
        memdb_status_t status =
            entry->tombstone ? MEMDB_NOT_FOUND : read_current(cursor, link_out, error);
        memdb_status_t step = status && status != MEMDB_NOT_FOUND
                                  ? MEMDB_OK
                                  : memdb__merge_next(&cursor->merge, error);
        if (status != MEMDB_NOT_FOUND || step) {
            return status && status != MEMDB_NOT_FOUND ? status : step;
        }
    }
}

memdb_status_t memdb_links_next(memdb_link_cursor_t *cursor, memdb_link_t *link_out) {
    memdb_error_t error = {0};
    if (!cursor || !link_out) {
        return MEMDB_INVALID;
    }
    memdb_status_t status = memdb__snapshot_usable(cursor->snapshot, &error);
    if (!status) {
        status = cursor->open ? next(cursor, link_out, &error) : MEMDB_DONE;
    }
    return memdb__report(cursor->snapshot->db, status, &error);
}

void memdb_links_close(memdb_link_cursor_t *cursor) {
    if (cursor) {
        memdb__merge_close(&cursor->merge);
        memdb__free(cursor);
    }
}
