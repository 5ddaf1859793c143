// The checkpoint: folding what is durable and sealed into new segments, and the one switch of the
// catalog.
//
// Steps (each may be the last one before a crash, and the next opening is right):
//   1. seal: a frame that closes the open run at the same LSN in every process, and retires extents
//   of the arena that are worth emptying (collect.c); synced.
//   2. write: one new tier from the runs below that LSN and, so that tiers stay few, from the
//   newest tiers that are not
//      much larger than what goes into them; synced with their directory. Nobody names these files
//      yet.
//   3. switch: one synced transaction of the catalog.
//   4. tell: base_generation and applied in the control file, so that others adopt the base; adopt
//   it here.
//   5. cut the log below, and unlink the files of tiers that were merged: other processes have them
//   mapped. Extents that were emptied wait until nobody reads them.
// One process at a time does this (range CHECKPOINT of `lock`), one thread of it (db->fold).
#include "engine/fold.h"

#include <stdio.h>

/// A tier is merged along when it holds at most this many times what is already to be written: so
/// tiers grow at least threefold from one to the older one, there are O(log n) of them, and an
/// entry is rewritten O(log n) times.
#define MERGE_RATIO 3

// ------------------------------------------------------------------------------ writing the tier

static memdb__segment_identity_t new_identity(memdb_t *db, memdb__segment_kind_t kind) {
    memdb__segment_identity_t identity = {.kind = kind};
    memcpy(identity.database_id, db->database_id, 16);
    identity.segment_id = atomic_fetch_add_explicit(&db->control->next_segment_id, 1,
                                                    memory_order_relaxed); // unique is all it needs
    return identity;
}

/// What a fold writes of its own, by kind of key: the entries of merged tiers are summed up, not
/// copied.
static const struct {
    uint8_t kind;
    memdb_status_t (*write)(memdb__fold_t *fold, memdb__sorted_writer_t *writer,
                            memdb_error_t *error);
} summed[] = {
    {MEMDB__KEY_COUNTERS, memdb__fold_write_counters},
    {MEMDB__KEY_HISTORY, memdb__fold_write_history},
};
#define SUMMED_COUNT (sizeof summed / sizeof *summed)

static memdb_status_t copy_entries(memdb__fold_t *fold, memdb__sorted_writer_t *writer,
                                   memdb_error_t *error) {
    memdb__merge_t merge;
    size_t next = 0; // of those that are written once the walk has passed their place
    memdb_status_t status = memdb__merge_open_fold(&merge, &fold->snapshot.sight, fold->horizon.end,
                                                   fold->first_tier, error);
    while (!status && merge.valid) {
        uint8_t kind = merge.entry.key[0];
        for (; !status && next < SUMMED_COUNT && kind > summed[next].kind; next++) {
            status = summed[next].write(fold, writer, error);
        }
        bool dropped = (next < SUMMED_COUNT && kind == summed[next].kind) ||
                       memdb__collect_drops(&fold->collection, &merge.entry);
        if (!status && !dropped) {
            status = memdb__fold_is_dropped(fold, &merge.entry, &dropped, error);
        }
        if (!status && !dropped) {
            status = memdb__collect_append(fold, writer, &merge.entry, error);
        }
        status = status ? status : memdb__merge_next(&merge, error);
    }
    memdb__merge_close(&merge);
    for (; !status && next < SUMMED_COUNT; next++) {
        status = summed[next].write(fold, writer, error);
    }
    return status;
}

static memdb_status_t write_sorted(memdb__fold_t *fold, memdb_error_t *error) {
    memdb_t *db = fold->db;
    char file[32];
    memdb__sorted_writer_t *writer;
    memdb__segment_identity_t identity = new_identity(db, MEMDB__SEGMENT_SORTED);
    memdb__segment_file(identity.segment_id, file);
    memdb_status_t status = memdb__sorted_create(db->segments, file, &identity, &writer, error);
    if (status) {
        return status;
    }
    memdb__sorted_leave_unhashed(writer, MEMDB__KEYS_WALKED);
    status = copy_entries(fold, writer, error);
    if (status) {
        memdb__sorted_abandon(writer);
        return status;
    }
    status = memdb__sorted_finish(writer, &fold->tier.sorted.file_size, &fold->tier.sorted.checksum,
                                  error);
    fold->tier.sorted.segment_id = status ? 0 : identity.segment_id;
    return status;
}

/// Which runs go into the tier.
static bool is_folded(const memdb__fold_t *fold, const memdb__run_t *run) {
    uint64_t sealed = memdb__run_sealed_lsn(run);
    return sealed != 0 && sealed <= fold->tier.last_lsn;
}

static memdb_status_t write_words(memdb__fold_t *fold, memdb_error_t *error) {
    memdb_t *db = fold->db;
    const memdb__view_t *view = fold->snapshot.sight.view;
    memdb__words_source_t *sources =
        memdb__allocate_zeroed(view->tier_count + view->run_count + 1, sizeof *sources);
    size_t count = 0;
    memdb_status_t status =
        sources ? MEMDB_OK : memdb__fail(error, MEMDB_NOMEM, "fold: out of memory");
    for (size_t i = fold->first_tier; !status && i < view->tier_count; i++) {
        if (view->tiers[i]->words) {
            sources[count++].segment = view->tiers[i]->words;
        }
    }
    for (size_t i = 0; !status && i < view->run_count; i++) {
        if (is_folded(fold, view->runs[i])) {
            status =
                memdb__run_words(view->runs[i], fold->tier.last_lsn, &sources[count++].list, error);
        }
    }
    if (!status && count) {
        char file[32];
        memdb__segment_identity_t identity = new_identity(db, MEMDB__SEGMENT_WORDS);
        memdb__segment_file(identity.segment_id, file);
        status = memdb__words_segment_write(
            db->segments, file, &identity, sources, count, fold->tier.last_lsn,
            memdb__fold_keeps_document, memdb__fold_keeps_space, fold, &fold->tier.words.file_size,
            &fold->tier.words.checksum, error);
        fold->tier.words.segment_id = status ? 0 : identity.segment_id;
    }
    memdb__free(sources);
    return status;
}

static memdb_status_t write_vectors(memdb__fold_t *fold, memdb_error_t *error) {
    memdb_t *db = fold->db;
    const memdb__view_t *view = fold->snapshot.sight.view;
    memdb__vector_source_t *sources =
        memdb__allocate_zeroed(view->tier_count + view->run_count + 1, sizeof *sources);
    size_t count = 0;
    memdb_status_t status =
        sources ? MEMDB_OK : memdb__fail(error, MEMDB_NOMEM, "fold: out of memory");
    for (size_t i = fold->first_tier; !status && i < view->tier_count; i++) {
        if (view->tiers[i]->vectors) {
            sources[count++].segment = view->tiers[i]->vectors;
        }
    }
    for (size_t i = 0; !status && i < view->run_count; i++) {
        if (is_folded(fold, view->runs[i])) {
            status = memdb__run_vectors(view->runs[i], fold->tier.last_lsn, &sources[count++].list,
                                        error);
        }
    }
    if (!status && count) {
        char file[32];
        memdb__segment_identity_t identity = new_identity(db, MEMDB__SEGMENT_VECTORS);
        memdb__segment_file(identity.segment_id, file);
        status = memdb__vector_segment_write(
            db->segments, file, &identity, sources, count, fold->tier.last_lsn,
            memdb__fold_keeps_row, memdb__fold_keeps_space, fold, &fold->tier.vectors.file_size,
            &fold->tier.vectors.checksum, error);
        fold->tier.vectors.segment_id = status ? 0 : identity.segment_id;
    }
    memdb__free(sources);
    return status;
}

static void unlink_tier(memdb_t *db, const memdb__tier_name_t *tier) {
    const uint64_t ids[] = {tier->sorted.segment_id, tier->words.segment_id,
                            tier->vectors.segment_id};
    for (size_t i = 0; i < 3; i++) {
        char file[32];
        memdb_error_t ignored = {0};
        if (ids[i]) {
            memdb__segment_file(ids[i], file);
            memdb__io_unlink(db->segments, file,
                             &ignored); // garbage that stays is unlinked by the next collection
        }
    }
}

static uint64_t tier_bytes(const memdb__tier_name_t *tier) {
    return tier->sorted.file_size + tier->words.file_size + tier->vectors.file_size;
}

/// From which tier on the newest are merged along with the runs up to `last_lsn`.
static size_t choose_tiers(const memdb__view_t *view, uint64_t last_lsn) {
    uint64_t bytes = 0;
    size_t first = view->tier_count;
    for (size_t i = 0; i < view->run_count; i++) {
        uint64_t sealed = memdb__run_sealed_lsn(view->runs[i]);
        bool counts = last_lsn == UINT64_MAX || (sealed && sealed <= last_lsn);
        bytes += counts ? memdb__run_bytes(view->runs[i]) : 0;
    }
    while (first > 0 && tier_bytes(&view->tiers[first - 1]->name) <= MERGE_RATIO * bytes) {
        first--;
        bytes += tier_bytes(&view->tiers[first]->name);
    }
    return first;
}

/// Write the new tier's files; on failure none is left.
static memdb_status_t write_tier(memdb__fold_t *fold, memdb_error_t *error) {
    const memdb__view_t *view = fold->snapshot.sight.view;
    fold->tier.first_lsn = fold->first_tier < view->tier_count
                               ? view->tiers[fold->first_tier]->name.first_lsn
                               : view->applied_lsn;
    memdb_status_t status = write_sorted(fold, error);
    status = status ? status : write_words(fold, error);
    status = status ? status : write_vectors(fold, error);
    if (!status && fold->live.error.status) {
        *error = fold->live.error; // damage was met while judging what is live
        status = error->status;
    }
    status =
        status ? status : memdb__io_sync_all(fold->db->segments, "the directory segments", error);
    atomic_fetch_add_explicit(&fold->db->segment_bytes_written, tier_bytes(&fold->tier),
                              memory_order_relaxed); // a figure
    if (status) {
        unlink_tier(fold->db, &fold->tier);
    }
    return status;
}

// ------------------------------------------------------------------------------ the switch

/// Tell the other processes which base there is. applied first: who sees the generation finds the
/// LSN. Release: the catalog transaction comes before.
static void tell_base(memdb_t *db, uint64_t applied_lsn, uint64_t generation) {
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
    tell_base(db, manifest->applied_lsn, manifest->generation);
    pthread_mutex_lock(&db->apply);
    memdb_status_t status = memdb__adopt_locked(db, manifest, error);
    pthread_mutex_unlock(&db->apply);
    return status;
}

/// What the catalog is to say: the tiers that stay, the new one, and the arena.
static memdb_status_t make_manifest(memdb__fold_t *fold, memdb_error_t *error) {
    const memdb__view_t *view = fold->snapshot.sight.view;
    memdb__control_t *control = fold->db->control;
    memdb__manifest_t *manifest = &fold->manifest;
    *manifest = (memdb__manifest_t){
        .applied_lsn = fold->tier.last_lsn,
        .next_id = atomic_load_explicit(
            &control->next_id,
            memory_order_relaxed), // floors: what is handed out later is in the log
        .next_space = atomic_load_explicit(&control->next_space, memory_order_relaxed),
        .next_segment_id = atomic_load_explicit(&control->next_segment_id, memory_order_relaxed),
        .epoch_floor = atomic_load_explicit(&control->next_epoch, memory_order_relaxed),
        .last_commit_time = atomic_load_explicit(&control->last_commit_time, memory_order_relaxed),
        .tier_count = fold->first_tier + 1,
    };
    manifest->tiers = memdb__allocate(manifest->tier_count * sizeof *manifest->tiers);
    if (!manifest->tiers) {
        return memdb__fail(error, MEMDB_NOMEM, "fold: out of memory");
    }
    for (size_t i = 0; i < fold->first_tier; i++) {
        manifest->tiers[i] = view->tiers[i]->name;
    }
    manifest->tiers[fold->first_tier] = fold->tier;
    return memdb__collect_name(&fold->collection, view->generation, manifest, error);
}

static memdb_status_t switch_base(memdb__fold_t *fold, memdb_error_t *error) {
    memdb_t *db = fold->db;
    memdb__manifest_t *manifest = &fold->manifest;
    memdb_status_t status = make_manifest(fold, error);
    status = status ? status : commit_manifest(db, manifest, error);
    if (status && status != MEMDB_IO) {
        unlink_tier(db, &fold->tier);
    }
    return status ? status : adopt_own(db, manifest, error);
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

/// Retire the chosen extents, seal the open run, and make everything up to there durable. lsn_out:
/// after the seal.
static memdb_status_t seal(memdb_t *db, const memdb__collection_t *collection, uint64_t *lsn_out,
                           memdb_error_t *error) {
    memdb__buffer_t payload = {0};
    memdb__operation_t operation = {.kind = MEMDB__OPERATION_SEAL};
    if (!memdb__collect_encode(collection, &payload) ||
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

/// Files of segments that the catalog does not name: left by a fold that was cut off. Segments are
/// only made under the checkpoint lock, which the caller holds, so nobody is about to name one.
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

/// Take the newest base, decide what is folded, and seal.
static memdb_status_t prepare(memdb__fold_t *fold, memdb_error_t *error) {
    memdb_t *db = fold->db;
    memdb_snapshot_t snapshot = {0};
    memdb_status_t status = memdb__adopt(db, error); // another process may have folded before us
    status = status ? status : memdb__snapshot_init(db, &snapshot, error);
    if (status) {
        return status;
    }
    const memdb__view_t *view = snapshot.sight.view;
    // A process that was killed after its switch may have told nobody.
    tell_base(db, view->applied_lsn, view->generation);
    bool full = choose_tiers(view, UINT64_MAX) == 0;
    memdb__snapshot_deinit(&snapshot);
    status = memdb__collect_plan(&fold->collection, full, error);
    status = status ? status : seal(db, &fold->collection, &fold->tier.last_lsn, error);
    status = status ? status : memdb__snapshot_init(db, &fold->snapshot, error);
    if (status) {
        return status;
    }
    fold->snapshot.sight.visible =
        fold->tier.last_lsn; // exactly the seal: later commits stay in the log
    view = fold->snapshot.sight.view;
    fold->first_tier = fold->collection.all_tiers ? 0 : choose_tiers(view, fold->tier.last_lsn);
    status = memdb__fold_choose_horizon(fold, error);
    if (status) {
        memdb__snapshot_deinit(&fold->snapshot);
    }
    return status;
}

/// From the seal to the cut.
static memdb_status_t perform(memdb__fold_t *fold, memdb_error_t *error) {
    memdb_t *db = fold->db;
    const memdb__view_t *view = fold->snapshot.sight.view;
    garbage_t garbage = {db, view};
    bool whole = fold->collection.work && fold->collection.work->whole;
    memdb_status_t status = memdb__io_list(db->segments, unlink_unnamed, &garbage, error);
    status = status ? status : memdb__collect_copy(fold, error);
    status = status ? status : write_tier(fold, error);
    status = status ? status : switch_base(fold, error);
    if (status) {
        return status;
    }
    for (size_t i = fold->first_tier; i < view->tier_count; i++) {
        unlink_tier(db, &view->tiers[i]->name);
    }
    atomic_fetch_add_explicit(&db->merges, view->tier_count - fold->first_tier,
                              memory_order_relaxed); // figures only
    atomic_fetch_add_explicit(&db->checkpoints, 1, memory_order_relaxed);
    atomic_store_explicit(&db->stored, 0, memory_order_relaxed); // a hint
    if (fold->collection.work) {
        fold->collection.work->seal_lsn = fold->tier.last_lsn;
    }
    return whole ? memdb__wal_cut_all(db->wal, fold->tier.last_lsn, error)
                 : memdb__wal_cut(db->wal, fold->tier.last_lsn, error);
}

/// The work under the checkpoint lock.
static memdb_status_t fold_all(memdb_t *db, memdb__space_work_t *work, memdb_error_t *error) {
    memdb__fold_t fold = {.db = db, .collection = {.db = db, .work = work}, .error = error};
    memdb_status_t status = prepare(&fold, error);
    if (!status) {
        status = perform(&fold, error);
        memdb__snapshot_deinit(&fold.snapshot);
        memdb__epoch_collect(&db->epochs, SIZE_MAX); // our own older views go first
    }
    status = status ? status : memdb__collect_finish(&fold.collection, &fold.manifest, error);
    memdb__collect_deinit(&fold.collection);
    memdb__manifest_deinit(&fold.manifest);
    return status;
}

memdb_status_t memdb__fold(memdb_t *db, memdb__space_work_t *work, memdb_error_t *error) {
    memdb_status_t status = memdb__writable(db, error);
    if (status) {
        return status;
    }
    pthread_mutex_lock(&db->fold);
    status =
        memdb__lock_acquire(db->lock, MEMDB__LOCK_CHECKPOINT, MEMDB__LOCK_EXCLUSIVE, true, error);
    if (!status) {
        status = work ? memdb__space_begin(db, work, error) : MEMDB_OK;
        status = status ? status : fold_all(db, work, error);
        status = status || !work ? status : memdb__space_end(db, work, error);
        memdb__lock_release(db->lock, MEMDB__LOCK_CHECKPOINT);
    }
    pthread_mutex_unlock(&db->fold);
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
    if (!status) {
        pthread_mutex_lock(&db->thread_mutex);
        pthread_cond_broadcast(&db->thread_done); // writers that wait for room look again
        pthread_mutex_unlock(&db->thread_mutex);
    }
    return memdb__report(db, status, &error);
}
