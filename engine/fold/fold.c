// The checkpoint: folding what is durable and sealed into new segments, and the one switch of the
// catalog.
//
// Steps (each may be the last one before a crash, and the next opening is right):
//   1. seal: a frame that closes the open run at the same LSN in every process, and retires the
//      extents of a collection that begins (collect.c); synced.
//   2. write: one new tier from the runs below that LSN and, so that tiers stay few, from the
//      newest tiers that are small and not much larger than what goes into them; synced with their
//      directory. Nobody names these files yet.
//   3. switch: one synced transaction of the catalog.
//   4. tell: base_generation and applied in the control file, so that others adopt the base; adopt
//   it here.
//   5. cut the log below, and unlink the files of tiers that were merged: other processes have them
//      mapped.
// One process at a time does this (range CHECKPOINT of `lock`), one thread of it (db->fold). Large
// tiers are merged, and the arena is collected, beside it (merge.c), so that the log is cut in time
// however large the base is.
#include "engine/fold/fold.h"

/// Retire extents, seal the open run, and make everything up to there durable. lsn_out: after the
/// seal.
static memdb_status_t seal(memdb_t *db, const memdb__collection_t *retiring, uint64_t *lsn_out,
                           memdb_error_t *error) {
    memdb__buffer_t payload = {0};
    memdb__operation_t operation = {.kind = MEMDB__OPERATION_SEAL};
    if ((retiring && !memdb__collect_encode(retiring, &payload)) ||
        !memdb__operation_encode(&payload, &operation)) {
        memdb__buffer_deinit(&payload);
        return memdb__fail(error, MEMDB_NOMEM, "fold: out of memory");
    }
    memdb__request_t request = {
        .payload = payload.data, .size = payload.size, .durability = MEMDB_DURABILITY_FULL};
    memdb_status_t status = memdb__commit(db, &request, error);
    *lsn_out = request.end;
    memdb__buffer_deinit(&payload);
    return status;
}

/// Files of segments that the catalog does not name: left by a fold or a merge that was cut off.
/// Segments are only made under the checkpoint lock, which the caller holds, and by a merge, which
/// does not go on: so nobody is about to name one.
typedef struct garbage {
    memdb_t *db;
    const memdb__view_t *view;
} garbage_t;

static memdb_status_t unlink_unnamed(void *context, const char *name, memdb_error_t *error) {
    const garbage_t *garbage = context;
    return memdb__view_has_file(garbage->view, name)
               ? MEMDB_OK
               : memdb__io_unlink(garbage->db->segments, name, error);
}

/// Memory of the runs that are sealed at or below an LSN.
static uint64_t run_bytes(const memdb__view_t *view, uint64_t lsn) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < view->run_count; i++) {
        uint64_t sealed = memdb__run_sealed_lsn(view->runs[i]);
        bytes += sealed && sealed <= lsn ? memdb__run_bytes(view->runs[i]) : 0;
    }
    return bytes;
}

/// Take the newest base, decide what is folded, and seal.
static memdb_status_t prepare(memdb__fold_t *fold, bool merging, memdb_error_t *error) {
    memdb_t *db = fold->db;
    memdb_snapshot_t snapshot = {0};
    memdb_status_t status = memdb__adopt(db, error); // another process may have folded before us
    status = status ? status : memdb__snapshot_init(db, &snapshot, error);
    if (status) {
        return status;
    }
    const memdb__view_t *view = snapshot.sight.view;
    // A process that was killed after its switch may have told nobody.
    memdb__fold_tell_base(db, view->applied_lsn, view->generation);
    memdb__snapshot_deinit(&snapshot);
    status = memdb__collect_look(&fold->collection, error);
    status = status ? status : memdb__collect_sweep(db, &fold->collection.before, error);
    status = status ? status : seal(db, fold->retiring, &fold->tier.last_lsn, error);
    status = status ? status : memdb__snapshot_init(db, &fold->snapshot, error);
    if (status) {
        return status;
    }
    fold->snapshot.sight.visible =
        fold->tier.last_lsn; // exactly the seal: later commits stay in the log
    view = fold->snapshot.sight.view;
    // What a collection begins with ends soon: the merge of all tiers comes next.
    fold->first_tier = fold->retiring
                           ? view->tier_count
                           : memdb__merge_along(db, view, run_bytes(view, fold->tier.last_lsn),
                                                merging, fold->collection.arena.extents != 0);
    status = memdb__fold_choose_horizon(fold, error);
    if (status) {
        memdb__snapshot_deinit(&fold->snapshot);
    }
    return status;
}

/// From the seal to the cut.
static memdb_status_t perform(memdb__fold_t *fold, bool merging, memdb_error_t *error) {
    memdb_t *db = fold->db;
    garbage_t garbage = {db, fold->snapshot.sight.view};
    memdb__space_work_t *work = fold->retiring ? fold->retiring->work : NULL;
    memdb_status_t status =
        merging ? MEMDB_OK : memdb__io_list(db->segments, unlink_unnamed, &garbage, error);
    status = status ? status : memdb__fold_write_tier(fold, error);
    status = status ? status : memdb__fold_switch(fold, error);
    if (status) {
        return status;
    }
    atomic_fetch_add_explicit(&db->checkpoints, 1, memory_order_relaxed); // a figure
    atomic_store_explicit(&db->stored, 0, memory_order_relaxed);          // a hint
    if (work) {
        work->seal_lsn = fold->tier.last_lsn;
    }
    return work ? memdb__wal_cut_all(db->wal, fold->tier.last_lsn, error)
                : memdb__wal_cut(db->wal, fold->tier.last_lsn, error);
}

/// The work under the checkpoint lock.
static memdb_status_t fold_all(memdb_t *db, memdb__collection_t *retiring, memdb_error_t *error) {
    memdb__fold_t fold = {.db = db, .retiring = retiring, .collection = {.db = db}, .error = error};
    bool merging = false;
    memdb_status_t status = memdb__merge_goes_on(db, &merging, error);
    status = status ? status : prepare(&fold, merging, error);
    if (!status) {
        status = perform(&fold, merging, error);
        memdb__snapshot_deinit(&fold.snapshot);
        memdb__epoch_collect(&db->epochs, SIZE_MAX); // our own older views go first
    }
    status = status ? status : memdb__collect_sweep(db, &fold.manifest, error);
    if (!status) {
        // Relaxed: a hint for this handle's threads.
        atomic_store_explicit(&db->collection_due,
                              memdb__collect_is_due(&fold.collection, &fold.manifest),
                              memory_order_relaxed);
    }
    memdb__collect_deinit(&fold.collection);
    memdb__manifest_deinit(&fold.manifest);
    return status;
}

void memdb__checkpoint_unlock(memdb_t *db) {
    if (db->control) {
        memdb__lock_release(db->lock, MEMDB__LOCK_CHECKPOINT);
    }
    pthread_mutex_unlock(&db->fold);
}

memdb_status_t memdb__checkpoint_lock(memdb_t *db, memdb_error_t *error) {
    memdb_status_t status = MEMDB_OK;
    pthread_mutex_lock(&db->fold);
    if (db->control) {
        status = memdb__lock_acquire(db->lock, MEMDB__LOCK_CHECKPOINT, MEMDB__LOCK_EXCLUSIVE, true,
                                     error);
        if (status) {
            pthread_mutex_unlock(&db->fold);
            return status;
        }
        // Relaxed: raised under this lock.
        status = memdb__catalog_settle(
            db->catalog, atomic_load_explicit(&db->control->base_generation, memory_order_relaxed),
            error);
    }
    if (status) {
        memdb__checkpoint_unlock(db);
    }
    return status;
}

memdb_status_t memdb__fold(memdb_t *db, memdb__collection_t *retiring, memdb_error_t *error) {
    memdb__space_work_t *work = retiring ? retiring->work : NULL;
    memdb_status_t status = memdb__writable(db, error);
    status = status ? status : memdb__checkpoint_lock(db, error);
    if (status) {
        return status;
    }
    status = work ? memdb__space_begin(db, work, error) : MEMDB_OK;
    status = status ? status : fold_all(db, retiring, error);
    memdb__checkpoint_unlock(db);
    if (!status) {
        pthread_mutex_lock(&db->thread_mutex);
        pthread_cond_broadcast(&db->thread_done); // writers that wait for room look again
        pthread_mutex_unlock(&db->thread_mutex);
    }
    return status;
}

memdb_status_t memdb__checkpoint(memdb_t *db, memdb_error_t *error) {
    memdb_status_t status = memdb__fold(db, NULL, error);
    return status ? memdb__error_context(error, status, "checkpoint") : MEMDB_OK;
}

memdb_status_t memdb_checkpoint(memdb_t *db) {
    memdb_error_t error = {0};
    if (!db) {
        return MEMDB_INVALID;
    }
    memdb_status_t status = memdb__checkpoint(db, &error);
    status = status ? status : memdb__merge(db, UINT64_MAX, &error);
    return memdb__report(db, status, &error);
}
