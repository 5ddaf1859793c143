// Merging large tiers, and collecting the arena, beside checkpoints.
//
// A fold merges small tiers along, up to a limit, so that it ends soon and the log is cut in time.
// Large ones are merged here, and all of them for a collection (collect.c), which begins with a
// fold of its own. A merge reads tiers alone, which never change, so it needs the
// checkpoint lock only twice, for a moment: to choose the tiers, and to switch. Meanwhile folds go
// on; the tiers that they add lie behind the chosen ones, and the switch puts the new tier where
// the chosen ones were.
//
// Who may touch a tier: a merge chooses some of the newest, under the checkpoint lock, and notes
// the LSN where they end in control->merging. While range MERGE of `lock` is held (by a process
// that lives, therefore) no fold of any process merges a tier that begins below that LSN, and none
// takes files that nobody names for garbage; and there is one collection at a time.
//
// What a merge keeps is decided at the horizon of its base. Later folds may raise it, never lower
// it, so whatever they and their readers need is above it, or the newest below it, and is kept. The
// view that it reads through is its own, and holds the tiers alone: a pinned one would keep all
// memory of the delta that is given up while the merge goes on.
#include "engine/fold/fold.h"

#define ALONG_CHECKPOINTS 4 // of the log that makes a checkpoint due

// ------------------------------------------------------------------------------ choosing

uint64_t memdb__merge_along_limit(const memdb_t *db) {
    return ALONG_CHECKPOINTS * db->options.checkpoint_log_bytes;
}

size_t memdb__merge_along(const memdb_t *db, const memdb__view_t *view, uint64_t run_bytes,
                          bool merging, bool arena) {
    // Acquire: pairs with the raise in choose.
    uint64_t above =
        merging ? atomic_load_explicit(&db->control->merging, memory_order_acquire) : 0;
    uint64_t bytes = run_bytes;
    size_t first = view->tier_count, least = arena && first ? 1 : 0;
    for (; first > least; first--) {
        const memdb__tier_name_t *tier = &view->tiers[first - 1]->name;
        uint64_t size = memdb__fold_tier_bytes(tier);
        if (tier->first_lsn < above || size > MEMDB__MERGE_RATIO * bytes ||
            bytes + size > memdb__merge_along_limit(db)) {
            break;
        }
        bytes += size;
    }
    return first;
}

/// From which tier on a merge is due; view->tier_count: none is, or one that the next fold does
/// along, or one of more than `limit_bytes`. A tier that could not be merged in its time counts
/// however small those are that came after it.
static size_t group_of(const memdb_t *db, const memdb__view_t *view, uint64_t limit_bytes) {
    uint64_t above = 0, bytes = 0;
    size_t first = view->tier_count;
    for (size_t i = view->tier_count; i-- > 0;) {
        uint64_t size = memdb__fold_tier_bytes(&view->tiers[i]->name);
        if (above && size <= MEMDB__MERGE_RATIO * above) {
            first = i;
            bytes = above + size;
        }
        above += size;
    }
    return bytes > memdb__merge_along_limit(db) && bytes <= limit_bytes ? first : view->tier_count;
}

bool memdb__merge_is_due(memdb_t *db) {
    // Relaxed: a hint.
    if (atomic_load_explicit(&db->collection_due, memory_order_relaxed)) {
        return true;
    }
    pthread_mutex_lock(&db->apply);
    // Relaxed: the view only changes under db->apply.
    const memdb__view_t *view = atomic_load_explicit(&db->view, memory_order_relaxed);
    bool due = group_of(db, view, UINT64_MAX) < view->tier_count;
    pthread_mutex_unlock(&db->apply);
    return due;
}

/// A view of the tiers of another one.
static memdb__view_t *tiers_of(const memdb__view_t *view) {
    memdb__view_t *tiers = memdb__view_create(view->tier_count, 0);
    for (size_t i = 0; tiers && i < view->tier_count; i++) {
        tiers->tiers[i] = view->tiers[i];
        memdb__tier_retain(tiers->tiers[i]);
    }
    if (tiers) {
        tiers->applied_lsn = view->applied_lsn;
        tiers->generation = view->generation;
    }
    return tiers;
}

static memdb_status_t choose(memdb__fold_t *merge, uint64_t limit_bytes, bool *found_out,
                             memdb_error_t *error) {
    memdb_t *db = merge->db;
    memdb_snapshot_t snapshot = {0};
    memdb_status_t status = memdb__adopt(db, error); // another process may have folded
    status = status ? status : memdb__snapshot_init(db, &snapshot, error);
    if (status) {
        return status;
    }
    const memdb__view_t *view = snapshot.sight.view;
    merge->first_tier = merge->collection.whole ? 0 : group_of(db, view, limit_bytes);
    // What became due for a collection just now is left to the next checkpoint.
    *found_out = merge->first_tier < view->tier_count &&
                 (merge->collection.whole || merge->first_tier || !merge->collection.arena.extents);
    memdb__view_t *tiers = *found_out ? tiers_of(view) : NULL;
    memdb__snapshot_deinit(&snapshot);
    if (!*found_out) {
        return MEMDB_OK;
    }
    if (!tiers) {
        return memdb__fail(error, MEMDB_NOMEM, "merge: out of memory");
    }
    merge->snapshot =
        (memdb_snapshot_t){.db = db, .sight = {.view = tiers, .visible = tiers->applied_lsn}};
    merge->tier.last_lsn = tiers->applied_lsn;
    status = memdb__fold_choose_horizon(merge, error);
    if (!status) {
        db->merging = true;
        memdb__raise(&db->control->merging, tiers->applied_lsn);
    }
    return status;
}

// ------------------------------------------------------------------------------ the steps

memdb_status_t memdb__merge_begin(memdb_t *db, memdb__space_work_t *work, uint64_t limit_bytes,
                                  memdb__fold_t *merge, bool *found_out, memdb_error_t *error) {
    memdb__collection_t *collection = &merge->collection;
    *merge = (memdb__fold_t){
        .db = db, .is_merge = true, .collection = {.db = db, .work = work}, .error = error};
    *found_out = false;
    memdb_status_t status = memdb__collect_choose(collection, limit_bytes, error);
    if (!status && (work || collection->extents.size)) {
        status = memdb__fold(db, collection, error);
    }
    status = status ? status : memdb__checkpoint_lock(db, error);
    if (!status) {
        status = choose(merge, limit_bytes, found_out, error);
        memdb__checkpoint_unlock(db);
    }
    return status;
}

memdb_status_t memdb__merge_write(memdb__fold_t *merge, memdb_error_t *error) {
    memdb_status_t status = merge->collection.whole ? memdb__collect_copy(merge, error) : MEMDB_OK;
    return status ? status : memdb__fold_write_tier(merge, error);
}

memdb_status_t memdb__merge_switch(memdb__fold_t *merge, memdb_error_t *error) {
    memdb_t *db = merge->db;
    memdb_status_t status = memdb__checkpoint_lock(db, error);
    if (status) {
        memdb__fold_unlink_tier(db, &merge->tier);
        return status;
    }
    status = memdb__fold_switch(merge, error);
    if (!status && merge->collection.whole) {
        // Relaxed: see memdb__fold.
        atomic_store_explicit(&db->collection_due, false, memory_order_relaxed);
        memdb__epoch_collect(&db->epochs, SIZE_MAX); // our own older views go first
        status = memdb__collect_finish(&merge->collection, &merge->manifest, error);
    }
    memdb__checkpoint_unlock(db);
    return status;
}

void memdb__merge_end(memdb__fold_t *merge) {
    pthread_mutex_lock(&merge->db->fold);
    merge->db->merging = false;
    pthread_mutex_unlock(&merge->db->fold);
    memdb__view_destroy((memdb__view_t *)merge->snapshot.sight.view);
    memdb__collect_deinit(&merge->collection);
    memdb__manifest_deinit(&merge->manifest);
}

// ------------------------------------------------------------------------------ who merges

memdb_status_t memdb__merge_goes_on(memdb_t *db, bool *merging_out, memdb_error_t *error) {
    *merging_out = db->merging;
    return db->merging ? MEMDB_OK
                       : memdb__lock_is_held(db->lock, MEMDB__LOCK_MERGE, merging_out, error);
}

memdb_status_t memdb__merge_exclude(memdb_t *db, memdb_error_t *error) {
    pthread_mutex_lock(&db->merge);
    memdb_status_t status =
        memdb__lock_acquire(db->lock, MEMDB__LOCK_MERGE, MEMDB__LOCK_EXCLUSIVE, true, error);
    if (status) {
        pthread_mutex_unlock(&db->merge);
    }
    return status;
}

void memdb__merge_admit(memdb_t *db) {
    memdb__lock_release(db->lock, MEMDB__LOCK_MERGE);
    pthread_mutex_unlock(&db->merge);
}

static memdb_status_t merge_all(memdb_t *db, uint64_t limit_bytes, memdb_error_t *error) {
    memdb_status_t status;
    bool found, whole;
    do {
        memdb__fold_t merge;
        status = memdb__merge_begin(db, NULL, limit_bytes, &merge, &found, error);
        if (!status && found) {
            status = memdb__merge_write(&merge, error);
            status = status ? status : memdb__merge_switch(&merge, error);
        }
        whole = merge.collection.whole; // what makes one due may stay: a damaged extent
        memdb__merge_end(&merge);
    } while (!status && found && !whole);
    return status;
}

memdb_status_t memdb__merge(memdb_t *db, uint64_t limit_bytes, memdb_error_t *error) {
    memdb_status_t status = memdb__writable(db, error);
    if (status) {
        return status;
    }
    pthread_mutex_lock(&db->merge);
    status = memdb__lock_acquire(db->lock, MEMDB__LOCK_MERGE, MEMDB__LOCK_EXCLUSIVE, false, error);
    bool theirs = status == MEMDB_BUSY; // another process merges
    if (!status) {
        status = merge_all(db, limit_bytes, error);
        memdb__lock_release(db->lock, MEMDB__LOCK_MERGE);
    }
    pthread_mutex_unlock(&db->merge);
    // Relaxed: a flag alone.
    if (theirs ||
        (status == MEMDB_BUSY && atomic_load_explicit(&db->closing, memory_order_relaxed))) {
        *error = (memdb_error_t){0};
        return MEMDB_OK;
    }
    return status ? memdb__error_context(error, status, "merge") : MEMDB_OK;
}
