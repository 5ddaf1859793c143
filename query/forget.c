// Forgetting by a filter: the memories that pass are found first, then forgotten one by one.
//
// A transaction must not change what a cursor walks over, so their ids are gathered before the
// first one goes.
#include "query/query_cursor.h"

static memdb_status_t gather(memdb_txn_t *txn, memdb_cursor_t *cursor, memdb__buffer_t *ids,
                             memdb_error_t *error) {
    memdb__found_t found;
    memdb_status_t status = memdb__snapshot_usable(&txn->snapshot, error);
    while (!status && (status = memdb__cursor_step(cursor, &found, error)) == MEMDB_OK) {
        if (!memdb__buffer_append(ids, &found.id, sizeof found.id)) {
            status = memdb__fail(error, MEMDB_NOMEM, "forget: out of memory");
        }
    }
    return status == MEMDB_DONE ? MEMDB_OK : status;
}

memdb_status_t memdb_forget_where(memdb_txn_t *txn, memdb_space_t space,
                                  const memdb_filter_t *filter, bool erase,
                                  uint64_t *forgotten_out) {
    memdb_error_t error = {0};
    memdb_cursor_options_t options = {.size = sizeof options, .filter = filter};
    memdb_cursor_t *cursor = NULL;
    memdb__buffer_t ids = {0};
    if (!txn || !filter) {
        return MEMDB_INVALID;
    }
    // Every memory has a time, so the order of time has them all.
    memdb_status_t status = memdb_cursor_open(memdb_txn_snapshot(txn), space, &options, &cursor);
    if (status) {
        return status; // reported there
    }
    status = memdb__report(txn->snapshot.db, gather(txn, cursor, &ids, &error), &error);
    memdb_cursor_close(cursor);
    size_t count = ids.size / sizeof(uint64_t);
    for (size_t i = 0; !status && i < count; i++) {
        uint64_t id;
        memcpy(&id, ids.data + i * sizeof id, sizeof id);
        status = erase ? memdb_forget_erase(txn, space, id) : memdb_forget(txn, space, id);
    }
    memdb__buffer_deinit(&ids);
    if (!status && forgotten_out) {
        *forgotten_out = count;
    }
    return status;
}
