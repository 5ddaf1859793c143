// Group commit: threads that commit at the same time share one write and one sync; so do processes
// (wal/).
//
// A committer puts a request into the queue; one of those who wait leads (commit_queue.h): under
// the writer mutex it follows the log to its end, checks each request against what others committed
// (first committer wins), gives it a place in the batch, applies it to the delta, writes the batch,
// releases the mutex, syncs if anybody asked for it, and tells the others. Applying before the
// write is safe: nobody sees an LSN that is not written (or durable), and a failed write fails the
// database.
#include "base/io.h"
#include "engine/commit_queue.h"

#define EXPECTED_BYTES 1024 // of a payload, fetched ahead of its turn

// ------------------------------------------------------------------------------ conflicts

/// Whether two commits of this kind of key exclude each other. Index entries and blobs do not: the
/// record behind them does.
static bool is_exclusive(uint8_t kind) {
    return kind == MEMDB__KEY_RECORD || kind == MEMDB__KEY_KEY || kind == MEMDB__KEY_LINK ||
           kind == MEMDB__KEY_NAME || kind == MEMDB__KEY_SPACE || kind == MEMDB__KEY_ATTRIBUTES ||
           kind == MEMDB__KEY_TABLE || kind == MEMDB__KEY_TABLE_NAME || kind == MEMDB__KEY_ROW;
}

static memdb_status_t conflict(memdb_error_t *error, uint8_t kind) {
    const char *what = kind == MEMDB__KEY_RECORD       ? "the memory"
                       : kind == MEMDB__KEY_KEY        ? "the key"
                       : kind == MEMDB__KEY_LINK       ? "the link"
                       : kind == MEMDB__KEY_ATTRIBUTES ? "the list of the space's indexes"
                       : kind == MEMDB__KEY_BLOB       ? "the place of a blob"
                       : kind == MEMDB__KEY_ROW        ? "a row of the table"
                       : kind == MEMDB__KEY_TABLE || kind == MEMDB__KEY_TABLE_NAME ? "the table"
                                                                                   : "the space";
    return memdb__fail(error, MEMDB_CONFLICT,
                       "%s was changed by another commit meanwhile; nothing was written, retry",
                       what);
}

/// The newest version of a key that the transaction wrote or guards. A fold that rewrites the
/// oldest tier (which then reaches above the snapshot) drops what was buried together with its
/// tombstone: a thing that the snapshot saw live and that is nowhere now was buried meanwhile. A
/// key alone tells nothing so: its entry may have been stale, and the record behind it decides.
static memdb_status_t newest(const memdb__view_t *view, const memdb_txn_t *txn, const uint8_t *key,
                             size_t size, uint64_t *version_out, bool *tombstone_out,
                             memdb_error_t *error) {
    uint64_t seen = txn->snapshot.sight.visible;
    memdb_status_t status =
        memdb__view_newest(view, key, size, seen, version_out, tombstone_out, error);
    if (status || *version_out || key[0] == MEMDB__KEY_KEY || view->tier_count == 0 ||
        view->tiers[0]->name.last_lsn <= seen) {
        return status;
    }
    memdb__sight_t sight = {.view = txn->snapshot.sight.view, .visible = seen};
    memdb__entry_t entry;
    status = memdb__sight_get(&sight, key, size, &entry, error);
    if (status == MEMDB_OK && !entry.tombstone) {
        *version_out = UINT64_MAX;
        *tombstone_out = true;
    }
    return status == MEMDB_NOT_FOUND ? MEMDB_OK : status;
}

/// What a request is checked against.
typedef struct check {
    memdb_t *db;
    const memdb_txn_t *txn;
    const memdb__view_t *view;
} check_t;

static memdb_status_t check_entry(void *context, const memdb__entry_t *entry,
                                  memdb_error_t *error) {
    const check_t *check = context;
    if (is_exclusive(entry->key[0])) {
        uint64_t version;
        bool tombstone;
        memdb_status_t status = newest(check->view, check->txn, entry->key, entry->key_size,
                                       &version, &tombstone, error);
        if (status || version > check->txn->snapshot.sight.visible) {
            return status ? status : conflict(error, entry->key[0]);
        }
    }
    // Rule 9: what is named was retired since it was read or stored. What was retired before is
    // stored again by the put itself.
    return memdb__names_retired(check->db, entry) ? conflict(error, MEMDB__KEY_BLOB) : MEMDB_OK;
}

/// Check a request against everything committed above its snapshot.
static memdb_status_t validate(memdb_t *db, memdb_txn_t *txn, memdb_error_t *error) {
    check_t check = {
        .db = db,
        .txn = txn,
        .view =
            atomic_load_explicit(&db->view, memory_order_relaxed), // only changed under db->apply
    };
    uint64_t seen = txn->snapshot.sight.visible, version;
    bool tombstone;
    // Relaxed: only changed under db->apply, which the leader holds.
    if (atomic_load_explicit(&db->position, memory_order_relaxed) <= seen) {
        return MEMDB_OK; // nobody committed meanwhile
    }
    memdb_status_t status = memdb__own_each(&txn->own, check_entry, &check, error);
    for (const memdb__guard_t *guard = txn->guards; !status && guard; guard = guard->next) {
        status = newest(check.view, txn, guard->key, guard->key_size, &version, &tombstone, error);
        if (!status && version > seen && (tombstone || guard->unchanged)) {
            status = conflict(error, guard->key[0]);
        }
    }
    return status;
}

// ------------------------------------------------------------------------------ the leader

/// Place one request in the batch and in the delta.
static void add_request(memdb_t *db, memdb__request_t *request) {
    memdb__frame_t frame;
    request->status = memdb__usable(db, &request->error);
    if (!request->status && request->txn) {
        request->status = validate(db, request->txn, &request->error);
        request->help = request->status == MEMDB_CONFLICT
                            ? atomic_load_explicit(&db->position, memory_order_relaxed)
                            : 0;
    }
    if (!request->status) {
        request->status =
            memdb__wal_add(db->wal, request->payload, request->size, &frame, &request->error);
    }
    if (request->status) {
        return;
    }
    request->end = frame.end;
    memdb_error_t error = {0};
    frame.payload = request->payload;
    frame.size = request->size;
    if (memdb__apply_frame(db, &frame, &error)) {
        memdb__tell(db, error.status, "%s",
                    error.message); // the frame is in the log; this handle is broken from now on
    }
}

/// Fail all requests that have a place in a batch that was not written.
static void fail_placed(memdb__request_t *from, const memdb_error_t *error) {
    for (memdb__request_t *request = from; request; request = request->next) {
        if (!request->status && request->end) {
            request->status = MEMDB_IO;
            request->error = *error;
            request->error.status = MEMDB_IO;
        }
    }
}

/// memdb__wal_add writes a batch that the segment has no more room for; where that failed, only the
/// request that asked for room was told. False: some request's frame is in no file.
static bool fail_unwritten(memdb_t *db, memdb__request_t *first) {
    // Relaxed: raised under the writer mutex, which is held.
    uint64_t written = atomic_load_explicit(&db->control->written, memory_order_relaxed);
    bool whole = true;
    for (memdb__request_t *request = first; request; request = request->next) {
        if (!request->status && request->end > written) {
            request->status = memdb__fail(&request->error, MEMDB_IO,
                                          "the log could not be written; close the database in "
                                          "every process and open it again");
            whole = false;
        }
    }
    return whole;
}

/// Write what has a place. Where all of it must be durable, it is written through.
static memdb_status_t write_placed(memdb_t *db, const memdb__request_t *first,
                                   memdb_error_t *error) {
    while (first && first->durability == MEMDB_DURABILITY_FULL) {
        first = first->next;
    }
    uint64_t began = memdb__monotonic_ns();
    memdb_status_t status =
        first ? memdb__wal_write(db->wal, error) : memdb__wal_write_through(db->wal, error);
    db->last_write_ns = memdb__monotonic_ns() - began;
    return status;
}

/// Have what the next request is made of fetched: it lies in another processor's cache.
static void expect_request(const memdb__request_t *request) {
    if (!request) {
        return;
    }
    __builtin_prefetch(request->next);
    for (size_t at = 0; at < request->size && at < EXPECTED_BYTES; at += 64) {
        __builtin_prefetch(request->payload + at);
    }
    if (request->txn) {
        __builtin_prefetch(&request->txn->snapshot.sight);
        __builtin_prefetch(&request->txn->own);
        __builtin_prefetch(&request->txn->guards);
    }
}

/// Check, place and apply all requests of `first`; the caller holds the writer mutex. What grows
/// too large is written on the way; `unwritten_out` is the first request that was not.
static memdb_status_t place_batch(memdb_t *db, memdb__request_t *first,
                                  memdb__request_t **unwritten_out, memdb_error_t *error) {
    pthread_mutex_lock(&db->apply);
    uint64_t written = atomic_load_explicit(&db->control->written, memory_order_acquire);
    memdb_status_t status = memdb__follow_locked(db, written, error);
    memdb__request_t *unwritten = first;
    for (memdb__request_t *request = first; request; request = request->next) {
        if (status) {
            request->status = status;
            request->error = *error;
            continue;
        }
        expect_request(request->next);
        add_request(db, request);
        if (memdb__wal_batch_bytes(db->wal) > MEMDB__BATCH_BYTES && request->next) {
            status = memdb__wal_write(db->wal, error);
            if (status) {
                fail_placed(unwritten, error);
            }
            unwritten = request->next;
        }
    }
    pthread_mutex_unlock(&db->apply);
    *unwritten_out = unwritten;
    return status;
}

/// The delta reaches to the end of what is written: nothing lies between it and our last frame.
static void reach_written(memdb_t *db) {
    pthread_mutex_lock(&db->apply);
    // Relaxed: raised under the writer mutex, which is held. Release: as in memdb__apply_frame.
    atomic_store_explicit(&db->position,
                          atomic_load_explicit(&db->control->written, memory_order_relaxed),
                          memory_order_release);
    pthread_mutex_unlock(&db->apply);
}

/// Under the writer mutex: check, place, apply and write all requests that wait. The disk is
/// written without db->apply, so that readers who adopt a base do not wait for it.
static memdb__request_t *write_batch(memdb_t *db, uint32_t *count_out) {
    memdb_error_t error = {0};
    memdb_status_t status = memdb__wal_lock(db->wal, &error);
    memdb__request_t *first = memdb__queue_take(db, count_out), *unwritten;
    if (status) {
        for (memdb__request_t *request = first; request; request = request->next) {
            request->status = status;
            request->error = error;
        }
        return first;
    }
    status = place_batch(db, first, &unwritten, &error);
    if (!status && (status = write_placed(db, unwritten, &error))) {
        fail_placed(unwritten, &error);
    }
    if (!status && fail_unwritten(db, first)) {
        reach_written(db);
    }
    memdb__wal_unlock(db->wal);
    return first;
}

/// How far the log must be synced before the request may be told; 0: it need not.
static uint64_t needed_sync(const memdb_t *db, const memdb__request_t *request) {
    if (request->status) {
        return request->help; // rule 6: what it met becomes durable before it is told
    }
    bool lesser = request->durability != MEMDB_DURABILITY_FULL;
    if (lesser &&
        (db->database_durability != MEMDB_DURABILITY_FULL || !db->options.no_background)) {
        return 0;
    }
    return request->end; // a lesser one: nobody else would keep the bound of rule 6
}

/// Sync as far as any request of the batch needs it. False: none does.
static bool sync_batch(memdb_t *db, memdb__request_t *first) {
    memdb_error_t error = {0};
    uint64_t needed = 0, end = 0;
    for (const memdb__request_t *request = first; request; request = request->next) {
        uint64_t own = needed_sync(db, request);
        needed = own > needed ? own : needed;
        end = !request->status && request->end > end ? request->end : end;
    }
    if (needed && memdb__wal_sync(db->wal, needed, &error)) {
        fail_placed(first, &error);
        return true;
    }
    if (end) {
        memdb__raise(&db->acknowledged, end);
    }
    if (end > needed && db->database_durability == MEMDB_DURABILITY_FULL) {
        memdb__background_sync(db);
    }
    return needed != 0;
}

/// Take those out of the batch that need no sync.
static memdb__request_t *take_lesser(const memdb_t *db, memdb__request_t **batch) {
    memdb__request_t *lesser = NULL, **end = &lesser;
    for (memdb__request_t **at = batch; *at;) {
        memdb__request_t *request = *at;
        if (needed_sync(db, request)) {
            at = &request->next;
            continue;
        }
        *at = request->next;
        request->next = NULL;
        *end = request;
        end = &request->next;
    }
    return lesser;
}

/// Where commits are mostly lesser ones, none of them waits for a sync that another one asked for:
/// the next batch goes on beside it. Where they are mostly synced, the next batch waits until all
/// that were in this one may be in it again.
static void lead(memdb_t *db, const memdb__request_t *own) {
    uint32_t count;
    memdb__request_t *batch = write_batch(db, &count);
    if (db->durability == MEMDB_DURABILITY_FULL) {
        uint64_t began = memdb__monotonic_ns();
        bool synced = sync_batch(db, batch);
        uint64_t took_ns = db->last_write_ns + memdb__monotonic_ns() - began;
        memdb__queue_pass_on(db, count, synced ? took_ns : 0);
    } else {
        memdb__request_t *lesser = take_lesser(db, &batch);
        sync_batch(db, lesser);
        memdb__queue_pass_on(db, 0, 0);
        memdb__queue_tell(lesser, own);
        sync_batch(db, batch);
    }
    memdb__background_space(db);
    memdb__background_sync_much(db);
    memdb__queue_tell(batch, own);
}

memdb_status_t memdb__commit(memdb_t *db, memdb__request_t *request, memdb_error_t *error) {
    request->next = NULL;
    atomic_init(&request->state, 0);
    request->status = MEMDB_OK;
    request->end = request->help = 0;
    if (memdb__queue_enter(db, request)) {
        lead(db, request);
    }
    if (request->status) {
        *error = request->error;
        atomic_fetch_add_explicit(&db->conflicts, request->status == MEMDB_CONFLICT,
                                  memory_order_relaxed); // figures only
    } else {
        atomic_fetch_add_explicit(&db->commits, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&db->payload_bytes, request->size, memory_order_relaxed);
    }
    return request->status;
}
