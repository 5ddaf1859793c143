// Snapshots: an epoch, a view, and a visible LSN, in this order (rule 4).
//
// The base is taken first and the visible LSN after it, so the LSN is never below what the base
// holds. When nothing new was committed this is a handful of atomic loads; else the log is followed
// first.
#include "base/io.h"
#include "engine/engine.h"

/// A handle of a process that has not yet seen a newer base still reads rightly; it adopts when the
/// log was cut under it, or here, so that segments and runs that nobody needs are given up.
static memdb_status_t refresh(memdb_t *db, memdb_error_t *error) {
    if (!db->control) {
        return MEMDB_OK;
    }
    memdb__view_t *view =
        atomic_load_explicit(&db->view, memory_order_seq_cst); // the caller is pinned
    // Acquire: pairs with the checkpoint's release after its switch.
    if (atomic_load_explicit(&db->control->base_generation, memory_order_acquire) >
        view->generation) {
        return memdb__adopt(db, error);
    }
    return MEMDB_OK;
}

memdb_status_t memdb__snapshot_init(memdb_t *db, memdb_snapshot_t *snapshot, memdb_error_t *error) {
    memdb_status_t status = memdb__usable(db, error);
    if (status) {
        return status;
    }
    snapshot->db = db;
    snapshot->slot = memdb__epoch_pin(&db->epochs);
    if (snapshot->slot == MEMDB__EPOCH_NONE) {
        return memdb__fail(error, MEMDB_BUSY, "snapshot: %u snapshots are open already",
                           MEMDB__EPOCH_SLOTS);
    }
    status = refresh(db, error);
    while (!status) {
        snapshot->sight.view = atomic_load_explicit(
            &db->view, memory_order_seq_cst); // seq_cst: after the pin (see epoch.h)
        uint64_t visible = memdb__visible(db);
        // Acquire: pairs with memdb__apply_frame; the runs hold everything below.
        if (atomic_load_explicit(&db->position, memory_order_acquire) >= visible) {
            if (snapshot->sight.view == atomic_load_explicit(&db->view, memory_order_seq_cst)) {
                snapshot->sight.visible = visible;
                break; // this view was the current one when the delta reached `visible`
            }
            continue;
        }
        status = memdb__follow(db, visible, error);
    }
    if (status) {
        memdb__epoch_unpin(&db->epochs, snapshot->slot);
        return status;
    }
    snapshot->time = memdb__now_us();
    memdb__arena_init(&snapshot->arena);
    return MEMDB_OK;
}

void memdb__snapshot_deinit(memdb_snapshot_t *snapshot) {
    memdb__arena_deinit(&snapshot->arena);
    memdb__epoch_unpin(&snapshot->db->epochs, snapshot->slot);
}

memdb_status_t memdb_snapshot_begin(memdb_t *db, const memdb_snapshot_options_t *options,
                                    memdb_snapshot_t **snapshot_out) {
    memdb_error_t error = {0};
    if (!db || !snapshot_out) {
        return MEMDB_INVALID;
    }
    if (options && options->size < sizeof *options) {
        memdb_status_t status =
            memdb__fail(&error, MEMDB_INVALID, "snapshot: the struct's size is not set");
        return memdb__report(db, status, &error);
    }
    if (options && (options->as_of_lsn || options->as_of_time)) {
        memdb_status_t status = memdb__fail(
            &error, MEMDB_UNSUPPORTED, "snapshot: reading as of an older position comes later");
        return memdb__report(db, status, &error);
    }
    memdb_snapshot_t *snapshot = memdb__allocate_zeroed(1, sizeof *snapshot);
    if (!snapshot) {
        memdb_status_t status = memdb__fail(&error, MEMDB_NOMEM, "snapshot: out of memory");
        return memdb__report(db, status, &error);
    }
    memdb_status_t status = memdb__snapshot_init(db, snapshot, &error);
    if (status) {
        memdb__free(snapshot);
        return memdb__report(db, status, &error);
    }
    *snapshot_out = snapshot;
    return MEMDB_OK;
}

void memdb_snapshot_end(memdb_snapshot_t *snapshot) {
    if (snapshot && !snapshot->txn) {
        memdb__snapshot_deinit(snapshot);
        memdb__free(snapshot);
    }
}

uint64_t memdb_snapshot_lsn(const memdb_snapshot_t *snapshot) {
    return snapshot->sight.visible;
}

int64_t memdb_snapshot_time(const memdb_snapshot_t *snapshot) {
    return snapshot->time;
}
