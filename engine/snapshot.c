// Snapshots: an epoch, a view, and a visible LSN, in this order (rule 4).
//
// The base is taken first and the visible LSN after it, so the LSN is never below what the base
// holds. When nothing new was committed this is a handful of atomic loads; else the log is followed
// first. A snapshot of an older moment is the same one with a lower visible LSN: what it sees is
// still in the view, because folds keep what lies above their horizon (history.h).
//
// A snapshot ends by itself when it is older than the limit (settings.h): calls on it fail from
// then on, and what it holds back need not be kept for it any more. The memory that it lent, and so
// the view, stays until its owner ends it.
#include "base/io.h"
#include "engine/engine.h"
#include "engine/history.h"
#include "engine/settings.h"

/// Whoever looks at other snapshots lets one live so much longer than its own calls do: a call that
/// began in time is over by then.
#define GRACE_US (INT64_C(60) * 1000000)

/// A handle of a process that has not yet seen a newer base still reads rightly; it adopts when the
/// log was cut under it, or here, so that segments and runs that nobody needs are given up.
static memdb_status_t refresh(memdb_t *db, bool *adopted_out, memdb_error_t *error) {
    if (!db->control) {
        return MEMDB_OK;
    }
    memdb__view_t *view =
        atomic_load_explicit(&db->view, memory_order_seq_cst); // the caller is pinned
    // Acquire: pairs with the checkpoint's release after its switch.
    if (atomic_load_explicit(&db->control->base_generation, memory_order_acquire) >
        view->generation) {
        *adopted_out = true;
        return memdb__adopt(db, error);
    }
    return MEMDB_OK;
}

static memdb_status_t pin(memdb_t *db, uint32_t *slot_out, memdb_error_t *error) {
    memdb_status_t status = memdb__usable(db, error);
    if (status) {
        return status;
    }
    *slot_out = memdb__epoch_pin(&db->epochs);
    return *slot_out == MEMDB__EPOCH_NONE
               ? memdb__fail(error, MEMDB_BUSY, "snapshot: %u snapshots are open already",
                             MEMDB__EPOCH_SLOTS)
               : MEMDB_OK;
}

/// The caller has pinned the slot; it is unpinned when this fails.
static memdb_status_t init_pinned(memdb_t *db, uint32_t slot, memdb_snapshot_t *snapshot,
                                  memdb_error_t *error) {
    snapshot->db = db;
    snapshot->slot = slot;
    snapshot->as_of = snapshot->adopted = false;
    snapshot->sight.own = NULL;
    snapshot->stop = memdb__stop_from(&db->interrupts);
    memdb_status_t status = refresh(db, &snapshot->adopted, error);
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
    memdb__epoch_describe(&db->epochs, snapshot->slot, snapshot->time, memdb__coarse_us(),
                          snapshot->sight.visible);
    memdb__arena_init(&snapshot->arena);
    return MEMDB_OK;
}

memdb_status_t memdb__snapshot_init(memdb_t *db, memdb_snapshot_t *snapshot, memdb_error_t *error) {
    uint32_t slot;
    memdb_status_t status = pin(db, &slot, error);
    return status ? status : init_pinned(db, slot, snapshot, error);
}

/// Whether a reader that began then is older than the limit, by more than `grace_us`.
static bool is_expired(memdb_t *db, int64_t began, int64_t grace_us) {
    // Relaxed: a limit alone.
    int64_t limit = atomic_load_explicit(&db->snapshot_limit_us, memory_order_relaxed);
    return began && memdb__coarse_us() - began - grace_us > limit;
}

memdb_status_t memdb__snapshot_usable(const memdb_snapshot_t *snapshot, memdb_error_t *error) {
    memdb_t *db = snapshot->db;
    memdb_status_t status = memdb__usable(db, error);
    // Relaxed: written by the thread that began the snapshot.
    int64_t began = status ? 0
                           : atomic_load_explicit(&db->epochs.slots[snapshot->slot].began,
                                                  memory_order_relaxed);
    if (!status && is_expired(db, began, 0)) {
        int64_t limit = atomic_load_explicit(&db->snapshot_limit_us, memory_order_relaxed);
        return memdb__fail(error, MEMDB_EXPIRED,
                           "the snapshot is older than the limit of %lld us; begin another one",
                           (long long)limit);
    }
    return status ? status : memdb__stop_check(&snapshot->stop, error);
}

void memdb_interrupt(memdb_t *db) {
    if (db) {
        // Relaxed: as in memdb__stop_check.
        atomic_fetch_add_explicit(&db->interrupts, 1, memory_order_relaxed);
    }
}

typedef struct lowest {
    memdb_t *db;
    uint64_t lsn;
} lowest_t;

static void note_lowest(void *context, int64_t since, int64_t began, uint64_t lsn) {
    (void)since;
    lowest_t *lowest = context;
    if (lsn < lowest->lsn && !is_expired(lowest->db, began, GRACE_US)) {
        lowest->lsn = lsn;
    }
}

uint64_t memdb__snapshots_lowest(memdb_t *db) {
    lowest_t lowest = {db, UINT64_MAX};
    memdb__epoch_each(&db->epochs, note_lowest, &lowest);
    return lowest.lsn;
}

typedef struct listing {
    memdb_t *db;
    int64_t now;
    memdb_snapshot_info_t infos[MEMDB__EPOCH_SLOTS];
    size_t count;
} listing_t;

static void list_one(void *context, int64_t since, int64_t began, uint64_t lsn) {
    listing_t *listing = context;
    if (began && listing->count < MEMDB__EPOCH_SLOTS) {
        listing->infos[listing->count++] =
            (memdb_snapshot_info_t){.size = sizeof *listing->infos,
                                    .lsn = lsn,
                                    .began = since,
                                    .age_us = listing->now > began ? listing->now - began : 0,
                                    .expired = is_expired(listing->db, began, 0)};
    }
}

memdb_status_t memdb_snapshot_list(memdb_t *db,
                                   bool (*visit)(void *context, const memdb_snapshot_info_t *info),
                                   void *context) {
    memdb_error_t error = {0};
    if (!db || !visit) {
        return MEMDB_INVALID;
    }
    memdb_status_t status = memdb__usable(db, &error);
    listing_t *listing = status ? NULL : memdb__allocate(sizeof *listing);
    if (!status && !listing) {
        status = memdb__fail(&error, MEMDB_NOMEM, "snapshots: out of memory");
    }
    if (!status) {
        listing->db = db;
        listing->now = memdb__coarse_us();
        listing->count = 0;
        memdb__epoch_each(&db->epochs, list_one, listing); // the visitor may begin and end others
        for (size_t i = 0; i < listing->count && visit(context, &listing->infos[i]); i++) {
        }
        memdb__free(listing);
    }
    return memdb__report(db, status, &error);
}

/// Lower what the snapshot sees to the moment that is asked for.
static memdb_status_t move_back(memdb_snapshot_t *snapshot, const memdb_snapshot_options_t *options,
                                memdb_error_t *error) {
    memdb_t *db = snapshot->db;
    memdb__moment_t moment;
    uint64_t visible = snapshot->sight.visible;
    if (options->as_of_lsn && options->as_of_time) {
        return memdb__fail(error, MEMDB_INVALID, "snapshot: as of a position or a time, not both");
    }
    if (options->as_of_lsn > visible) {
        return memdb__fail(
            error, MEMDB_INVALID,
            "snapshot: position %llu lies ahead, the newest that can be read is %llu",
            (unsigned long long)options->as_of_lsn, (unsigned long long)visible);
    }
    pthread_mutex_lock(&db->apply); // the open run remembers its frames under it
    memdb_status_t status = options->as_of_lsn
                                ? memdb__history_at_lsn(snapshot->sight.view, visible,
                                                        options->as_of_lsn, &moment, error)
                                : memdb__history_at_time(snapshot->sight.view, visible,
                                                         options->as_of_time, &moment, error);
    pthread_mutex_unlock(&db->apply);
    if (status) {
        return memdb__error_context(error, status, "snapshot");
    }
    snapshot->as_of = true;
    snapshot->sight.visible = moment.end;
    snapshot->time = options->as_of_lsn ? moment.time : options->as_of_time;
    atomic_store_explicit(&db->epochs.slots[snapshot->slot].lsn, moment.end,
                          memory_order_relaxed); // as in memdb__epoch_describe
    return MEMDB_OK;
}

void memdb__snapshot_deinit(memdb_snapshot_t *snapshot) {
    static _Thread_local uint32_t ended;
    memdb__epochs_t *epochs = &snapshot->db->epochs;
    bool adopted = snapshot->adopted; // once it is unpinned, its memory may be another one's
    if (snapshot->arena.chunks) {
        memdb__arena_deinit(&snapshot->arena);
    }
    memdb__epoch_unpin(epochs, snapshot->slot);
    // What a newer base replaced is given up soon in a process that only reads too: until then the
    // collector of another one waits for it. Now and then is enough, and costs readers nothing.
    if (adopted || (++ended % 16 == 0 && memdb__epoch_pending(epochs))) {
        memdb__epoch_collect(epochs, 16);
    }
}

/// A snapshot of now, in the memory of its slot: beginning one allocates only where none was open
/// in the slot before.
static memdb_status_t begin_in_slot(memdb_t *db, memdb_snapshot_t **snapshot_out,
                                    memdb_error_t *error) {
    uint32_t slot;
    memdb_status_t status = pin(db, &slot, error);
    if (status) {
        return status;
    }
    *snapshot_out = memdb__epoch_memory(&db->epochs, slot, sizeof **snapshot_out);
    if (!*snapshot_out) {
        memdb__epoch_unpin(&db->epochs, slot);
        return memdb__fail(error, MEMDB_NOMEM, "snapshot: out of memory");
    }
    return init_pinned(db, slot, *snapshot_out, error);
}

memdb_status_t memdb_snapshot_begin(memdb_t *db, const memdb_snapshot_options_t *options,
                                    memdb_snapshot_t **snapshot_out) {
    memdb_error_t error;
    memdb__error_clear(&error);
    if (!db || !snapshot_out) {
        return MEMDB_INVALID;
    }
    if (options && options->size < sizeof *options) {
        memdb_status_t status =
            memdb__fail(&error, MEMDB_INVALID, "snapshot: the struct's size is not set");
        return memdb__report(db, status, &error);
    }
    memdb_snapshot_t *snapshot;
    memdb_status_t status = begin_in_slot(db, &snapshot, &error);
    if (!status && options && (options->as_of_lsn || options->as_of_time)) {
        status = move_back(snapshot, options, &error);
        if (status) {
            memdb__snapshot_deinit(snapshot);
        }
    }
    if (status) {
        return memdb__report(db, status, &error);
    }
    *snapshot_out = snapshot;
    return MEMDB_OK;
}

void memdb_snapshot_end(memdb_snapshot_t *snapshot) {
    if (snapshot && !snapshot->txn) {
        memdb__snapshot_deinit(snapshot); // its memory stays with the slot
    }
}

uint64_t memdb_snapshot_lsn(const memdb_snapshot_t *snapshot) {
    return snapshot->sight.visible;
}

int64_t memdb_snapshot_time(const memdb_snapshot_t *snapshot) {
    return snapshot->time;
}
