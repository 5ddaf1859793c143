// Following the log: applying frames to the delta, adopting a newer base, publishing views.
//
// All of it happens under db->apply. A view is published whole by one exchange; the old one is
// retired to the epochs. Invariants: the last run of the published view is open and holds the
// frames from its first LSN to db->position; runs below it are sealed; every frame above
// view->applied_lsn and below db->position is in exactly one run.
#include "base/check.h"
#include "engine/settings.h"

static memdb_status_t no_memory(memdb_error_t *error) {
    return memdb__fail(error, MEMDB_NOMEM, "follow: out of memory");
}

/// Publish `view`; the old one is freed when no reader can see it.
static void publish(memdb_t *db, memdb__view_t *view) {
    // seq_cst: readers pin before they load this pointer (see epoch.h).
    memdb__view_t *old = atomic_exchange_explicit(&db->view, view, memory_order_seq_cst);
    if (old) {
        memdb__epoch_retire(&db->epochs, &old->retired, old, memdb__view_destroy);
        memdb__epoch_collect(&db->epochs, 16);
    }
}

/// A view with the tiers of `tiers` and the runs of the current view that end above `applied`, plus
/// a new open run if asked.
static memdb_status_t derive(memdb_t *db, memdb__tier_t *const *tiers, size_t tier_count,
                             uint64_t applied, uint64_t generation, uint64_t new_run_at,
                             bool new_run, memdb_error_t *error) {
    memdb__view_t *old =
        atomic_load_explicit(&db->view, memory_order_relaxed); // only changed under db->apply
    size_t kept = 0, first = 0;
    if (old) {
        while (first < old->run_count && memdb__run_sealed_lsn(old->runs[first]) != 0 &&
               memdb__run_sealed_lsn(old->runs[first]) <= applied) {
            first++;
        }
        kept = old->run_count - first;
    }
    memdb__view_t *view = memdb__view_create(tier_count, kept + (new_run ? 1 : 0));
    if (!view) {
        return no_memory(error);
    }
    view->applied_lsn = applied;
    view->generation = generation;
    memdb_status_t status = memdb__pins_add(&db->pins, generation, error);
    if (status) {
        memdb__view_destroy(view);
        return status;
    }
    view->pins = &db->pins;
    for (size_t i = 0; i < tier_count; i++) {
        view->tiers[i] = tiers[i];
        memdb__tier_retain(tiers[i]);
    }
    for (size_t i = 0; i < kept; i++) {
        view->runs[i] = old->runs[first + i];
        memdb__run_retain(view->runs[i]);
    }
    if (new_run) {
        const memdb__run_t *before = old && old->run_count ? old->runs[old->run_count - 1] : NULL;
        view->runs[kept] = memdb__run_create(new_run_at, before);
        if (!view->runs[kept]) {
            memdb__view_destroy(view);
            return no_memory(error);
        }
    }
    publish(db, view);
    return MEMDB_OK;
}

memdb_status_t memdb__apply_frame(void *context, const memdb__frame_t *frame,
                                  memdb_error_t *error) {
    memdb_t *db = context;
    memdb__view_t *view =
        atomic_load_explicit(&db->view, memory_order_relaxed); // only changed under db->apply
    memdb__run_t *run = view->runs[view->run_count - 1];
    bool sealed = false;
    memdb_status_t status =
        memdb__run_apply(run, frame->payload, frame->size, frame->lsn + 1, 0, &sealed, error);
    if (!status &&
        !memdb__run_note(run, (memdb__moment_t){frame->lsn, frame->end, frame->commit_time})) {
        status = no_memory(error);
    }
    if (!status && frame->size && frame->payload[0] == MEMDB__OPERATION_SETTING) {
        status = memdb__settings_refresh(db, error); // settings have a frame of their own
    }
    if (status == MEMDB_OK && sealed) { // extents are retired together with a seal
        status = memdb__collect_note_retired(db, frame->payload, frame->size, error);
    }
    if (status == MEMDB_OK && sealed) {
        memdb__run_seal(run, frame->end);
        status = derive(db, view->tiers, view->tier_count, view->applied_lsn, view->generation,
                        frame->end, true, error);
    }
    if (status) {
        // Part of the frame may be in the run: this handle can never be right again.
        atomic_store_explicit(&db->broken, (uint32_t)status,
                              memory_order_release); // pairs with memdb__usable
        return memdb__error_context(error, status, "log at %llu", (unsigned long long)frame->lsn);
    }
    // Release: who reads this position finds the run's content.
    atomic_store_explicit(&db->position, frame->end, memory_order_release);
    return MEMDB_OK;
}

// ------------------------------------------------------------------------------ adopting a base

/// Open the manifest's tiers, sharing those that the current view has open.
static memdb_status_t open_tiers(memdb_t *db, const memdb__manifest_t *manifest,
                                 memdb__tier_t **tiers, memdb_error_t *error) {
    memdb__view_t *old =
        atomic_load_explicit(&db->view, memory_order_relaxed); // only changed under db->apply
    for (uint64_t i = 0; i < manifest->tier_count; i++) {
        const memdb__tier_name_t *name = &manifest->tiers[i];
        for (size_t j = 0; old && j < old->tier_count; j++) {
            if (old->tiers[j]->name.sorted.segment_id == name->sorted.segment_id) {
                tiers[i] = old->tiers[j];
                memdb__tier_retain(tiers[i]);
            }
        }
        if (!tiers[i]) {
            memdb_status_t status =
                memdb__tier_open(db->segments, db->database_id, name, &tiers[i], error);
            if (status) {
                return status;
            }
        }
    }
    return MEMDB_OK;
}

/// Publish a view on a base that is pinned.
static memdb_status_t adopt_pinned(memdb_t *db, const memdb__manifest_t *manifest,
                                   memdb_error_t *error) {
    memdb__view_t *old =
        atomic_load_explicit(&db->view, memory_order_relaxed); // only changed under db->apply
    memdb__tier_t **tiers = memdb__allocate_zeroed(manifest->tier_count + 1, sizeof *tiers);
    if (!tiers) {
        return no_memory(error);
    }
    memdb_status_t status = open_tiers(db, manifest, tiers, error);
    uint64_t position =
        atomic_load_explicit(&db->position, memory_order_relaxed); // only changed under db->apply
    if (!status && old && position < manifest->applied_lsn) {
        // The base is ahead of the delta: all runs are in it. The open one is closed, so that it is
        // dropped, and the log is taken up again where the base ends.
        memdb__run_seal(old->runs[old->run_count - 1], manifest->applied_lsn);
    }
    bool new_run = !old || position < manifest->applied_lsn;
    if (!status) {
        status = derive(db, tiers, manifest->tier_count, manifest->applied_lsn,
                        manifest->generation, manifest->applied_lsn, new_run, error);
    }
    if (!status && new_run) {
        atomic_store_explicit(&db->position, manifest->applied_lsn,
                              memory_order_release); // as in memdb__apply_frame
    }
    status = status ? status : memdb__settings_refresh(db, error);
    for (uint64_t i = 0; i < manifest->tier_count; i++) {
        memdb__tier_release(tiers[i]);
    }
    memdb__free(tiers);
    return status;
}

memdb_status_t memdb__adopt_locked(memdb_t *db, const memdb__manifest_t *manifest,
                                   memdb_error_t *error) {
    memdb__view_t *old =
        atomic_load_explicit(&db->view, memory_order_relaxed); // only changed under db->apply
    if (old && manifest->generation <= old->generation) {
        return MEMDB_OK;
    }
    memdb_status_t status = memdb__pins_add(&db->pins, manifest->generation, error);
    if (status) {
        return status;
    }
    // After the pin. Acquire: pairs with the checkpoint's release after its switch; it looks for
    // pins after that, so either it finds this one, or the newer base is found here.
    if (db->control && atomic_load_explicit(&db->control->base_generation, memory_order_acquire) >
                           manifest->generation) {
        status = memdb__fail(error, MEMDB_NOT_FOUND, "base: it was replaced meanwhile");
    }
    status = status ? status : memdb__collect_note_base(db, manifest, error);
    status = status ? status : adopt_pinned(db, manifest, error);
    memdb__pins_remove(&db->pins, manifest->generation); // the view has its own
    return status;
}

/// Read the catalog and adopt it. A file that is gone was replaced by a newer base meanwhile: read
/// again.
static memdb_status_t adopt_newest(memdb_t *db, memdb_error_t *error) {
    for (uint64_t last = 0;;) {
        memdb__manifest_t manifest = {0};
        memdb_status_t status = memdb__catalog_read(db->catalog, &manifest, error);
        if (status) {
            return status;
        }
        uint64_t generation = manifest.generation;
        status = memdb__adopt_locked(db, &manifest, error);
        memdb__manifest_deinit(&manifest);
        if (status != MEMDB_NOT_FOUND) {
            return status;
        }
        if (generation == last) {
            error->status = MEMDB_CORRUPT; // the catalog names it, and it is not there
            return MEMDB_CORRUPT;
        }
        last = generation;
    }
}

memdb_status_t memdb__adopt(memdb_t *db, memdb_error_t *error) {
    pthread_mutex_lock(&db->apply);
    memdb_status_t status = adopt_newest(db, error);
    pthread_mutex_unlock(&db->apply);
    return status;
}

// ------------------------------------------------------------------------------ following

memdb_status_t memdb__follow_locked(memdb_t *db, uint64_t lsn, memdb_error_t *error) {
    uint64_t position;
    while ((position = atomic_load_explicit(&db->position, memory_order_relaxed)) <
           lsn) { // only changed under db->apply
        uint64_t end = position;
        memdb_status_t status =
            memdb__wal_follow(db->wal, position, lsn, memdb__apply_frame, db, &end, error);
        if (status == MEMDB_NOT_FOUND) {
            status = adopt_newest(db, error);
            uint64_t now = atomic_load_explicit(&db->position, memory_order_relaxed);
            if (!status && now == position) {
                return memdb__fail(error, MEMDB_CORRUPT,
                                   "follow: the log at %llu is gone, and the base ends below it",
                                   (unsigned long long)position);
            }
        } else if (!status) {
            // Past a hole: where the next frame will be.
            atomic_store_explicit(&db->position, end > lsn ? end : lsn,
                                  memory_order_release); // as in memdb__apply_frame
        }
        if (status) {
            return memdb__error_context(error, status, "follow");
        }
    }
    return MEMDB_OK;
}

memdb_status_t memdb__follow(memdb_t *db, uint64_t lsn, memdb_error_t *error) {
    pthread_mutex_lock(&db->apply);
    memdb_status_t status = memdb__follow_locked(db, lsn, error);
    pthread_mutex_unlock(&db->apply);
    return status;
}

uint64_t memdb__visible(memdb_t *db) {
    if (!db->control) {
        return atomic_load_explicit(&db->position, memory_order_acquire); // fixed at opening
    }
    // Acquire: pairs with the raising of these words by whoever wrote or synced; what lies below
    // can be read from the log.
    uint64_t visible = db->database_durability == MEMDB_DURABILITY_FULL
                           ? atomic_load_explicit(&db->control->durable, memory_order_acquire)
                           : atomic_load_explicit(&db->control->written, memory_order_acquire);
    if (atomic_load_explicit(&db->control->failed, memory_order_acquire)) {
        visible = atomic_load_explicit(&db->control->durable, memory_order_acquire); // rule 8
    }
    uint64_t own = atomic_load_explicit(&db->acknowledged, memory_order_acquire);
    return visible > own ? visible : own;
}
