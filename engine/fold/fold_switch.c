// The one switch of the catalog: from one set of tiers to the next. See fold.c and merge.c.
#include "engine/fold/fold.h"

// applied first: who sees the generation finds the LSN. Release: the catalog transaction comes
// before.
void memdb__fold_tell_base(memdb_t *db, uint64_t applied_lsn, uint64_t generation) {
    memdb__raise(&db->control->applied, applied_lsn);
    memdb__raise(&db->control->base_generation, generation);
}

/// The one switch.
static memdb_status_t commit_manifest(memdb_t *db, memdb__manifest_t *manifest,
                                      memdb_error_t *error) {
    memdb_status_t status =
        memdb__lock_acquire(db->lock, MEMDB__LOCK_CATALOG, MEMDB__LOCK_EXCLUSIVE, true, error);
    if (status) {
        return status;
    }
    status = memdb__catalog_commit(db->catalog, manifest, &manifest->generation, error);
    memdb__lock_release(db->lock, MEMDB__LOCK_CATALOG);
    if (status == MEMDB_IO) { // it may have been switched or not: nobody may go on as if it had not
        atomic_store_explicit(&db->control->failed, MEMDB_IO,
                              memory_order_release); // pairs with memdb__writable
    }
    return status;
}

/// Tell of a manifest that was switched to, and adopt it.
static memdb_status_t adopt_own(memdb_t *db, const memdb__manifest_t *manifest,
                                memdb_error_t *error) {
    memdb__fold_tell_base(db, manifest->applied_lsn, manifest->generation);
    pthread_mutex_lock(&db->apply);
    memdb_status_t status = memdb__adopt_locked(db, manifest, error);
    pthread_mutex_unlock(&db->apply);
    return status;
}

/// Put the new tier where those were that it is made of; what others folded meanwhile stays behind
/// it.
static memdb_status_t replace_tiers(const memdb__fold_t *fold, memdb__manifest_t *manifest,
                                    memdb_error_t *error) {
    const memdb__view_t *view = fold->snapshot.sight.view;
    size_t first = fold->first_tier, end = view->tier_count, count = (size_t)manifest->tier_count;
    bool fits = count >= end;
    for (size_t i = first; fits && i < end; i++) {
        fits = manifest->tiers[i].sorted.segment_id == view->tiers[i]->name.sorted.segment_id;
    }
    if (!fits) { // two merged at once, against the locks
        return memdb__fail(error, MEMDB_CORRUPT,
                           "catalog: it does not name the tiers that were "
                           "merged");
    }
    memdb__tier_name_t *tiers =
        memdb__allocate((count - (end - first) + 1) * sizeof *manifest->tiers);
    if (!tiers) {
        return memdb__fail(error, MEMDB_NOMEM, "fold: out of memory");
    }
    tiers[first] = fold->tier;
    if (count) { // the first checkpoint's catalog names none
        memcpy(tiers, manifest->tiers, first * sizeof *tiers);
        memcpy(tiers + first + 1, manifest->tiers + end, (count - end) * sizeof *tiers);
    }
    memdb__free(manifest->tiers);
    manifest->tiers = tiers;
    manifest->tier_count = count - (end - first) + 1;
    manifest->applied_lsn = tiers[manifest->tier_count - 1].last_lsn;
    return MEMDB_OK;
}

/// What the catalog is to say: the tiers that stay, the new one, and the arena.
static memdb_status_t make_manifest(memdb__fold_t *fold, memdb_error_t *error) {
    memdb__control_t *control = fold->db->control;
    memdb__manifest_t *manifest = &fold->manifest;
    memdb_status_t status = memdb__catalog_read(fold->db->catalog, manifest, error);
    status = status ? status : replace_tiers(fold, manifest, error);
    if (status) {
        return status;
    }
    // Floors, relaxed: what is handed out later is in the log.
    manifest->next_id = atomic_load_explicit(&control->next_id, memory_order_relaxed);
    manifest->next_space = atomic_load_explicit(&control->next_space, memory_order_relaxed);
    manifest->next_segment_id =
        atomic_load_explicit(&control->next_segment_id, memory_order_relaxed);
    manifest->epoch_floor = atomic_load_explicit(&control->next_epoch, memory_order_relaxed);
    manifest->last_commit_time =
        atomic_load_explicit(&control->last_commit_time, memory_order_relaxed);
    if (fold->is_merge && fold->collection.whole) {
        memdb__collect_name(&fold->collection, manifest);
    }
    return fold->is_merge
               ? MEMDB_OK
               : memdb__collect_list(&fold->collection.before, fold->retiring, manifest, error);
}

memdb_status_t memdb__fold_switch(memdb__fold_t *fold, memdb_error_t *error) {
    memdb_t *db = fold->db;
    const memdb__view_t *view = fold->snapshot.sight.view;
    memdb_status_t status = make_manifest(fold, error);
    status = status ? status : commit_manifest(db, &fold->manifest, error);
    if (status && status != MEMDB_IO) {
        memdb__fold_unlink_tier(db, &fold->tier);
    }
    status = status ? status : adopt_own(db, &fold->manifest, error);
    for (size_t i = fold->first_tier; !status && i < view->tier_count; i++) {
        memdb__fold_unlink_tier(db, &view->tiers[i]->name);
    }
    if (!status) {
        atomic_fetch_add_explicit(&db->merges, view->tier_count - fold->first_tier,
                                  memory_order_relaxed); // a figure
    }
    return status;
}

memdb_status_t memdb__fold_mark_purged(memdb_t *db, uint64_t lsn, memdb_error_t *error) {
    memdb__manifest_t manifest = {0};
    memdb_status_t status = memdb__catalog_read(db->catalog, &manifest, error);
    manifest.purged_lsn = lsn;
    status = status ? status : commit_manifest(db, &manifest, error);
    status = status ? status : adopt_own(db, &manifest, error);
    memdb__manifest_deinit(&manifest);
    return status;
}
