// Transactions: a snapshot, what was written on top of it (own.h), and what must not change until
// the commit.
#include "engine/engine.h"

memdb_status_t memdb_txn_begin(memdb_t *db, memdb_txn_t **txn_out) {
    memdb_error_t error = {0};
    if (!db || !txn_out) {
        return MEMDB_INVALID;
    }
    memdb_status_t status = memdb__writable(db, &error);
    if (status) {
        return memdb__report(db, status, &error);
    }
    memdb_txn_t *txn = memdb__allocate_zeroed(1, sizeof *txn);
    if (!txn) {
        status = memdb__fail(&error, MEMDB_NOMEM, "transaction: out of memory");
        return memdb__report(db, status, &error);
    }
    status = memdb__snapshot_init(db, &txn->snapshot, &error);
    if (status) {
        memdb__free(txn);
        return memdb__report(db, status, &error);
    }
    txn->snapshot.txn = txn;
    *txn_out = txn;
    return MEMDB_OK;
}

memdb_snapshot_t *memdb_txn_snapshot(memdb_txn_t *txn) {
    return &txn->snapshot;
}

void memdb_txn_abort(memdb_txn_t *txn) {
    if (!txn) {
        return;
    }
    // The last one out: no blob waits for a frame to name it, so full extents need their locks no
    // more (rule 9). Acquire-release: what the others did to the arena comes before.
    if (txn->has_blobs &&
        atomic_fetch_sub_explicit(&txn->snapshot.db->naming, 1, memory_order_acq_rel) == 1) {
        memdb__blobs_settle(txn->snapshot.db->blobs);
    }
    while (txn->guards) {
        memdb__guard_t *next = txn->guards->next;
        memdb__free(txn->guards);
        txn->guards = next;
    }
    memdb__snapshot_deinit(&txn->snapshot);
    // Writers give back what views held, a few at a time; readers never do.
    if (memdb__epoch_pending(&txn->snapshot.db->epochs)) {
        memdb__epoch_collect(&txn->snapshot.db->epochs, 4);
    }
    memdb__own_deinit(&txn->own);
    memdb__buffer_deinit(&txn->record);
    memdb__buffer_deinit(&txn->bag);
    memdb__buffer_deinit(&txn->old_bag);
    memdb__buffer_deinit(&txn->row);
    memdb__buffer_deinit(&txn->entries);
    memdb__free(txn);
}

memdb_status_t memdb__txn_operate(memdb_txn_t *txn, const memdb__operation_t *operation,
                                  memdb_error_t *error) {
    txn->snapshot.sight.own = &txn->own;
    return memdb__own_add(&txn->own, operation, error);
}

memdb_status_t memdb__txn_put(memdb_txn_t *txn, const memdb__operation_t *put,
                              const memdb__record_t *record, memdb_error_t *error) {
    txn->snapshot.sight.own = &txn->own;
    return memdb__own_put(&txn->own, put, record, error);
}

memdb_status_t memdb__txn_guard(memdb_txn_t *txn, const memdb__key_t *key, bool unchanged,
                                memdb_error_t *error) {
    for (memdb__guard_t **place = &txn->guards; *place; place = &(*place)->next) {
        memdb__guard_t *found = *place;
        if (found->unchanged == unchanged && found->key_size == key->size &&
            memcmp(found->key, key->bytes, key->size) == 0) {
            *place = found->next; // to the front: each link guards its space again, and two ends
            found->next = txn->guards;
            txn->guards = found;
            return MEMDB_OK;
        }
        if (key->bytes[0] != MEMDB__KEY_SPACE && key->bytes[0] != MEMDB__KEY_ATTRIBUTES &&
            key->bytes[0] != MEMDB__KEY_TABLE) {
            break; // ends of links: as many as links, not worth the search
        }
    }
    memdb__guard_t *guard = memdb__allocate(sizeof *guard + key->size);
    if (!guard) {
        return memdb__fail(error, MEMDB_NOMEM, "transaction: out of memory");
    }
    guard->key_size = key->size;
    guard->unchanged = unchanged;
    memcpy(guard->key, key->bytes, key->size);
    guard->next = txn->guards;
    txn->guards = guard;
    return MEMDB_OK;
}

static memdb_status_t commit_payload(memdb_txn_t *txn, memdb_durability_t durability, uint64_t *lsn,
                                     memdb_error_t *error) {
    memdb_t *db = txn->snapshot.db;
    memdb_status_t status = memdb__writable(db, error);
    status = status ? status : memdb__snapshot_usable(&txn->snapshot, error);
    if (!status && txn->own.failure) {
        status = memdb__fail(
            error, MEMDB_FAILED,
            "an earlier operation of this transaction failed half-way; nothing was written");
    }
    status = status ? status : memdb__throttle(db, error);
    // A blob is durable before the frame that names it, whatever the frame's own durability: a
    // frame must never name a hole.
    if (!status && txn->has_blobs) {
        status = memdb__blobs_sync(db->blobs, error);
    }
    if (status) {
        return status;
    }
    memdb__request_t request = {.payload = txn->own.payload.data,
                                .size = txn->own.payload.size,
                                .txn = txn,
                                .durability = durability ? durability : db->durability};
    status = memdb__commit(db, &request, error);
    *lsn = request.end;
    return status;
}

memdb_status_t memdb_txn_commit(memdb_txn_t *txn, memdb_durability_t durability,
                                uint64_t *lsn_out) {
    if (!txn) {
        return MEMDB_INVALID;
    }
    memdb_t *db = txn->snapshot.db;
    memdb_error_t error = {0};
    uint64_t lsn = txn->snapshot.sight.visible;
    memdb_status_t status;
    if ((uint32_t)durability > MEMDB_DURABILITY_FULL) {
        status = memdb__fail(&error, MEMDB_INVALID, "commit: durability %d", (int)durability);
    } else if (txn->own.operations) {
        status = commit_payload(txn, durability, &lsn, &error);
    } else {
        status = memdb__snapshot_usable(&txn->snapshot, &error);
    }
    memdb_txn_abort(txn); // frees it; what was committed is in the log
    if (!status && lsn_out) {
        *lsn_out = lsn;
    }
    return memdb__report(db, status, &error);
}

memdb_status_t memdb_sync(memdb_t *db) {
    memdb_error_t error = {0};
    if (!db) {
        return MEMDB_INVALID;
    }
    memdb_status_t status = memdb__writable(db, &error);
    status =
        status ? status
               : memdb__wal_sync(db->wal,
                                 atomic_load_explicit(&db->control->written, memory_order_acquire),
                                 &error);
    return memdb__report(db, status, &error);
}
