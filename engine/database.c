// The life of a handle: open and close.
//
// Opening (rules 1 and 3): gate exclusively; presence exclusively tells whether anybody is there.
// Alone: the log is recovered and a new control file replaces the old one. Not alone: control is
// valid and mapped. Presence is then held shared for life. A handle opened read-only needs neither
// control nor recovery: it reads catalog and log once and sees the database as it was.
#include "base/check.h"
#include "engine/engine.h"
#include "engine/root.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_CHECKPOINT_BYTES (32u << 20)
// A close folds from this part of it on: 4 MiB are replayed in some 10 ms, and a short-lived
// process that writes less leaves the fold to a later one.
#define CLOSE_PART 8
// It merges groups of tiers up to so many checkpoints' worth of log, some seconds' work: larger
// ones are left to who stays.
#define CLOSE_MERGE_CHECKPOINTS 16
#define DEFAULT_LOG_LIMIT (1u << 30)
#define DEFAULT_DELTA_LIMIT (1u << 30)
#define DEFAULT_BUSY_MS 10000
#define DEFAULT_ARCHIVE_LIMIT (1u << 30)

// ------------------------------------------------------------------------------ opening

/// Open the directory, making it where asked for, and its file `lock`.
static memdb_status_t open_directory(memdb_t *db, const char *path, memdb_error_t *error) {
    bool create = (db->options.flags & MEMDB_OPEN_CREATE) && !db->read_only;
    memdb_status_t status =
        memdb__io_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, &db->directory, error);
    if (status == MEMDB_NOT_FOUND && create) {
        status = memdb__io_make_directory(AT_FDCWD, path, error);
        status =
            status ? status
                   : memdb__io_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, &db->directory, error);
    }
    if (status) {
        return status;
    }
    status = memdb__directory_is_local(db->directory, error);
    if (status) {
        return status;
    }
    memdb__directory_state_t state;
    status = memdb__directory_look(db->directory, &state, error);
    if (status) {
        return status;
    }
    if (state == MEMDB__DIRECTORY_FOREIGN) {
        return memdb__fail(
            error, MEMDB_NOT_DATABASE,
            "the directory holds other things than a memdb database; choose an empty or a new one");
    }
    if (state == MEMDB__DIRECTORY_EMPTY && !create) {
        return memdb__fail(error, MEMDB_NOT_DATABASE, "the directory holds no memdb database yet");
    }
    status = memdb__io_open(db->directory, "lock", db->read_only ? O_RDWR : O_RDWR | O_CREAT,
                            &db->lock, error);
    if (status && db->read_only) {
        status = memdb__io_open(db->directory, "lock", O_RDONLY, &db->lock,
                                error); // no locks there: see open_read_only
    }
    return status == MEMDB_NOT_FOUND // only a reader does not make it
               ? memdb__fail(error, MEMDB_CORRUPT, "lock at 0: the file is missing")
               : status;
}

/// What the visitor of recovery remembers besides applying.
typedef struct recovery {
    memdb_t *db;
    memdb__last_ids_t last;
} recovery_t;

static memdb_status_t recover_frame(void *context, const memdb__frame_t *frame,
                                    memdb_error_t *error) {
    recovery_t *recovery = context;
    memdb__payload_note_ids(frame->payload, frame->size, &recovery->last);
    return memdb__apply_frame(recovery->db, frame, error);
}

static memdb__wal_options_t wal_options(const memdb_t *db) {
    memdb__wal_options_t options = {.backend = db->options.io_backend,
                                    .log = db->options.log,
                                    .log_context = db->options.log_context,
                                    .archive_limit_bytes = db->options.archive_limit_bytes};
    memcpy(options.database_id, db->database_id, 16);
    return options;
}

static uint64_t larger(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

typedef struct newest_file {
    uint64_t id;
} newest_file_t;

static memdb_status_t note_file(void *context, const char *name, memdb_error_t *error) {
    (void)error;
    unsigned long long id = 0;
    if (sscanf(name, "%16llx.", &id) == 1 && id > ((newest_file_t *)context)->id) {
        ((newest_file_t *)context)->id = id;
    }
    return MEMDB_OK;
}

/// The largest id of a file of segments or blob, named or not: new names must lie above.
static memdb_status_t newest_file(memdb_t *db, uint64_t *id_out, memdb_error_t *error) {
    newest_file_t newest = {0};
    int blob = -1;
    memdb_status_t status = memdb__io_list(db->segments, note_file, &newest, error);
    if (!status) {
        status = memdb__io_open(db->directory, "blob", O_RDONLY | O_DIRECTORY, &blob, error);
        status = status ? status : memdb__io_list(blob, note_file, &newest, error);
        status = status == MEMDB_NOT_FOUND ? MEMDB_OK : status; // made again when it is needed
        memdb__io_close(blob);
    }
    *id_out = newest.id;
    return status;
}

/// Alone: recover the log above the base and make a new control file.
static memdb_status_t recover(memdb_t *db, const memdb__manifest_t *manifest,
                              memdb_error_t *error) {
    recovery_t recovery = {.db = db};
    memdb__wal_recovery_t found = {0};
    memdb__wal_options_t options = wal_options(db);
    uint64_t last_file = 0;
    memdb_status_t status = newest_file(db, &last_file, error);
    if (!status) {
        memdb__control_past_t past = memdb__control_past(db->directory);
        // Gone until the log is recovered: where a sync of the recovery fails, or the process dies
        // before it can say so, the next opening finds none and writes again what it keeps.
        status = memdb__io_unlink(db->directory, "control", error);
        status = status ? status
                        : memdb__wal_recover(db->directory, &options, manifest->applied_lsn,
                                             manifest->epoch_floor, past, recover_frame, &recovery,
                                             &found, error);
    }
    if (status) {
        return memdb__error_context(error, status, "recover");
    }
    memdb__control_start_t start = {
        .end_lsn = found.end,
        .applied = manifest->applied_lsn,
        .base_generation = manifest->generation,
        .segment_epoch = found.segment_epoch,
        .next_epoch = found.next_epoch,
        .last_commit_time = found.last_commit_time > manifest->last_commit_time
                                ? found.last_commit_time
                                : manifest->last_commit_time,
        .next_segment_id = larger(manifest->next_segment_id, last_file + 1),
        .next_id = larger(manifest->next_id, recovery.last.memory + 1),
        .next_space = larger(manifest->next_space, recovery.last.space + 1),
    };
    memcpy(start.database_id, db->database_id, 16);
    atomic_store_explicit(&db->position, found.end, memory_order_release);
    status = memdb__control_create(db->directory, &start, &db->control, error);
    if (!status && found.frames) {
        memdb__tell(db, MEMDB_OK,
                    "recovered %llu commits from the log (%llu bytes of a torn tail cut)",
                    (unsigned long long)found.frames, (unsigned long long)found.cut_bytes);
    }
    return status;
}

static memdb_status_t open_catalog(memdb_t *db, bool alone, memdb__manifest_t *manifest,
                                   memdb_error_t *error) {
    // Shared: no commit of the catalog runs while its file is checked.
    memdb_status_t status =
        alone ? MEMDB_OK
              : memdb__lock_acquire(db->lock, MEMDB__LOCK_CATALOG, MEMDB__LOCK_SHARED, true, error);
    if (!status) {
        status = memdb__catalog_open(db->directory, alone, db->read_only, &db->catalog, error);
        if (!alone) {
            memdb__lock_release(db->lock, MEMDB__LOCK_CATALOG);
        }
    }
    return status ? status : memdb__catalog_read(db->catalog, manifest, error);
}

static memdb_status_t headless(memdb_error_t *error) {
    return memdb__fail(error, MEMDB_CORRUPT,
                       "root at 0: the file is missing, and the database is not empty");
}

uint64_t memdb__next_extent(void *context) {
    memdb_t *db = context;
    return atomic_fetch_add_explicit(&db->control->next_segment_id, 1,
                                     memory_order_relaxed); // unique is all it needs
}

/// Root, arena, segments, catalog, base, log, control: under the gate.
static memdb_status_t open_files(memdb_t *db, bool alone, memdb_error_t *error) {
    memdb__root_t root;
    memdb__directory_state_t state;
    memdb_status_t status = memdb__directory_look(db->directory, &state, error);
    if (!status && state == MEMDB__DIRECTORY_HEADLESS) {
        return headless(error);
    }
    if (!status && state == MEMDB__DIRECTORY_EMPTY && alone) {
        status = memdb__directory_create(db->directory, db->options.durability, error);
    }
    status = status ? status : memdb__root_read(db->directory, &root, error);
    if (!status && alone) {
        // Who made the root may have been killed between its rename and the sync of its name.
        status = memdb__io_sync_all(db->directory, "the database's directory", error);
    }
    if (status) {
        return status;
    }
    memcpy(db->database_id, root.database_id, 16);
    status = memdb__blobs_open(db->directory, db->database_id, memdb__next_extent, db, false,
                               &db->blobs, error); // frames that are replayed speak of it
    if (status) {
        return status;
    }
    db->database_durability = root.durability;
    db->durability = db->options.durability ? db->options.durability : root.durability;
    memdb__manifest_t manifest = {0};
    status =
        memdb__io_open(db->directory, "segments", O_RDONLY | O_DIRECTORY, &db->segments, error);
    if (!status && !alone) {
        status = memdb__control_map(db->directory, db->database_id, &db->control, error);
    }
    status = status ? status : open_catalog(db, alone, &manifest, error);
    for (int tries = 0; !status; tries++) {
        status = memdb__adopt_locked(db, &manifest, error); // nobody else has the handle yet
        if (status != MEMDB_NOT_FOUND || alone || tries == 8) {
            break;
        }
        memdb__manifest_deinit(&manifest); // a checkpoint of another process replaced it meanwhile
        status = memdb__catalog_read(db->catalog, &manifest, error);
    }
    if (status == MEMDB_NOT_FOUND) {
        status = error->status = MEMDB_CORRUPT; // the catalog names a file that is not there
    }
    if (!status && alone) {
        status = recover(db, &manifest, error);
    }
    memdb__manifest_deinit(&manifest);
    return status;
}

/// Applying frames up to an LSN.
typedef struct bounded {
    memdb_t *db;
    uint64_t end;
} bounded_t;

static memdb_status_t apply_below(void *context, const memdb__frame_t *frame,
                                  memdb_error_t *error) {
    const bounded_t *bounded = context;
    return frame->end <= bounded->end ? memdb__apply_frame(bounded->db, frame, error) : MEMDB_OK;
}

/// How far the log may be read: all that is whole, where nobody has the database open; else as far
/// as its readers see (rule 6). What a writer that died wrote behind that may own nothing.
static memdb_status_t find_bound(memdb_t *db, uint64_t *end_out, memdb_error_t *error) {
    bool open = false;
    memdb_status_t status = memdb__lock_is_held(db->lock, MEMDB__LOCK_PRESENCE, &open, error);
    *end_out = UINT64_MAX;
    return status || !open
               ? status
               : memdb__control_read_end(db->directory, db->database_id,
                                         db->database_durability == MEMDB_DURABILITY_FULL, end_out,
                                         error);
}

/// The base and the log above it as they are now, once.
static memdb_status_t read_base_and_log(memdb_t *db, memdb_error_t *error) {
    memdb__manifest_t manifest = {0};
    memdb__wal_options_t options = wal_options(db);
    uint64_t end = 0;
    bounded_t bounded = {.db = db};
    memdb_status_t status = open_catalog(db, false, &manifest, error);
    status = status ? status : memdb__adopt_locked(db, &manifest, error);
    if (status == MEMDB_NOT_FOUND) { // no checkpoint runs: the catalog names what is not there
        status = error->status = MEMDB_CORRUPT;
    }
    status = status ? status : find_bound(db, &bounded.end, error);
    status = status ? status
                    : memdb__wal_scan(db->directory, &options, manifest.applied_lsn, apply_below,
                                      &bounded, &end, error);
    memdb__manifest_deinit(&manifest);
    memdb__catalog_close(db->catalog);
    db->catalog = NULL;
    return status;
}

/// A read-only handle: everything as it is now, once, without a shared word.
static memdb_status_t open_read_only(memdb_t *db, memdb_error_t *error) {
    memdb__root_t root;
    memdb__directory_state_t state;
    memdb_status_t status = memdb__directory_look(db->directory, &state, error);
    if (!status && state == MEMDB__DIRECTORY_HEADLESS) {
        return headless(error);
    }
    status = status ? status : memdb__root_read(db->directory, &root, error);
    if (status) {
        return status == MEMDB_NOT_FOUND
                   ? memdb__fail(error, MEMDB_NOT_DATABASE, "the directory has no root file")
                   : status;
    }
    memcpy(db->database_id, root.database_id, 16);
    db->database_durability = db->durability = root.durability;
    status = memdb__blobs_open(db->directory, db->database_id, NULL, NULL, true, &db->blobs, error);
    status = status ? status
                    : memdb__io_open(db->directory, "segments", O_RDONLY | O_DIRECTORY,
                                     &db->segments, error);
    // No checkpoint meanwhile: it would unlink segments and cut the log under the reading.
    status = status ? status
                    : memdb__lock_acquire(db->lock, MEMDB__LOCK_CHECKPOINT, MEMDB__LOCK_SHARED,
                                          true, error);
    if (status) {
        return status;
    }
    // Nor an opening that recovers: it unlinks dead segments of the log, and makes LMDB's lock file
    // anew. The gate is taken last here, for a checkpoint may take long and openings should not
    // wait for it; who holds the gate never waits for a checkpoint.
    status = memdb__lock_acquire(db->lock, MEMDB__LOCK_GATE, MEMDB__LOCK_SHARED, true, error);
    if (!status) {
        status = read_base_and_log(db, error);
        memdb__lock_release(db->lock, MEMDB__LOCK_GATE);
    }
    memdb__lock_release(db->lock, MEMDB__LOCK_CHECKPOINT);
    return status;
}

static memdb_status_t open_locked(memdb_t *db, memdb_error_t *error) {
    memdb_status_t status =
        memdb__lock_acquire(db->lock, MEMDB__LOCK_GATE, MEMDB__LOCK_EXCLUSIVE, true, error);
    if (status) {
        return status;
    }
    status =
        memdb__lock_acquire(db->lock, MEMDB__LOCK_PRESENCE, MEMDB__LOCK_EXCLUSIVE, false, error);
    bool alone = status == MEMDB_OK;
    if (alone || status == MEMDB_BUSY) {
        status = open_files(db, alone, error);
        // Converts the exclusive lock where it is held: nobody can be between, the gate is ours.
        status = status ? status
                        : memdb__lock_acquire(db->lock, MEMDB__LOCK_PRESENCE, MEMDB__LOCK_SHARED,
                                              true, error);
    }
    if (!status) {
        memdb__wal_options_t options = wal_options(db);
        status = memdb__wal_open(db->directory, &options, db->control, &db->wal, error);
    }
    if (status) {
        // Before the gate: who comes next must not take this failed opening for somebody who has
        // the database open, and the control file of an earlier life for a living one.
        memdb__lock_release(db->lock, MEMDB__LOCK_PRESENCE);
    }
    memdb__lock_release(db->lock, MEMDB__LOCK_GATE);
    return status;
}

static void set_defaults(memdb_t *db, const memdb_options_t *options) {
    if (options) {
        db->options = *options;
    }
    db->read_only = db->options.flags & MEMDB_OPEN_READ_ONLY;
    db->options.checkpoint_log_bytes = db->options.checkpoint_log_bytes
                                           ? db->options.checkpoint_log_bytes
                                           : DEFAULT_CHECKPOINT_BYTES;
    db->options.log_limit_bytes =
        db->options.log_limit_bytes ? db->options.log_limit_bytes : DEFAULT_LOG_LIMIT;
    if (db->options.checkpoint_log_bytes > db->options.log_limit_bytes) {
        db->options.checkpoint_log_bytes = db->options.log_limit_bytes; // a limit is kept to
    }
    db->options.delta_limit_bytes =
        db->options.delta_limit_bytes ? db->options.delta_limit_bytes : DEFAULT_DELTA_LIMIT;
    db->options.busy_timeout_ms =
        db->options.busy_timeout_ms ? db->options.busy_timeout_ms : DEFAULT_BUSY_MS;
    db->options.archive_limit_bytes =
        db->options.archive_limit_bytes ? db->options.archive_limit_bytes : DEFAULT_ARCHIVE_LIMIT;
    db->directory = db->segments = db->lock = -1;
    memdb__pins_init(&db->pins, &db->lock);
    pthread_mutex_init(&db->apply, NULL);
    pthread_mutex_init(&db->queue, NULL);
    pthread_mutex_init(&db->lease, NULL);
    pthread_mutex_init(&db->merge, NULL);
    pthread_mutex_init(&db->fold, NULL);
    pthread_mutex_init(&db->thread_mutex, NULL);
    pthread_mutex_init(&db->embedders_mutex, NULL);
    memdb__visited_pool_init(&db->visited);
    pthread_mutex_init(&db->error_mutex, NULL);
    memdb__gate_notes_init(&db->gate_notes);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&db->fold_thread.wake, &attributes);
    pthread_cond_init(&db->merge_thread.wake, &attributes);
    pthread_cond_init(&db->log_thread.wake, &attributes);
    pthread_cond_init(&db->thread_done, &attributes);
    pthread_condattr_destroy(&attributes);
}

/// Release everything of a handle. In a forked child only memory and mappings, which are the
/// child's own copies.
static void destroy(memdb_t *db) {
    bool forked = db->fork_generation != memdb__fork_generation();
    if (!forked) {
        memdb__handle_remove(db);
    }
    memdb__blobs_close(db->blobs);
    memdb__wal_close(db->wal);
    memdb__catalog_close(db->catalog);
    memdb__control_unmap(db->control);
    if (db->epochs.slots) {
        memdb__view_destroy(atomic_load_explicit(&db->view, memory_order_seq_cst));
        memdb__epochs_deinit(&db->epochs);
    }
    memdb__pins_deinit(&db->pins);
    memdb__visited_pool_deinit(&db->visited);
    memdb__gate_notes_deinit(&db->gate_notes);
    while (db->embedders) {
        memdb__embedder_t *next = db->embedders->next;
        memdb__free(db->embedders->name);
        memdb__free(db->embedders);
        db->embedders = next;
    }
    memdb__io_close(db->segments);
    memdb__io_close(db->lock); // ends presence; in a child the parent's descriptor keeps it
    memdb__io_close(db->directory);
    if (!forked) {
        pthread_cond_destroy(&db->fold_thread.wake);
        pthread_cond_destroy(&db->merge_thread.wake);
        pthread_cond_destroy(&db->log_thread.wake);
        pthread_cond_destroy(&db->thread_done);
    }
    memdb__free(db->path);
    memdb__free(db);
}

static memdb_status_t open_handle(memdb_t *db, const char *path, memdb_error_t *error) {
    db->path = memdb__duplicate_string(path);
    if (!db->path) {
        return memdb__fail(error, MEMDB_NOMEM, "out of memory");
    }
    memdb_status_t status = memdb__epochs_init(&db->epochs, error);
    status = status ? status : open_directory(db, path, error);
    if (!status) {
        status = db->read_only ? open_read_only(db, error) : open_locked(db, error);
    }
    // Rule 12: a process that opens with much log above the base folds it, so that the next one
    // opens quickly.
    if (!status && !db->read_only && memdb__log_above_base(db) > db->options.checkpoint_log_bytes) {
        memdb__background_checkpoint(db);
    }
    return status;
}

memdb_status_t memdb_open(const char *path, const memdb_options_t *options, memdb_t **db_out,
                          memdb_error_t *error_out) {
    memdb_error_t error = {0};
    memdb_status_t status = MEMDB_INVALID;
    const uint32_t known = MEMDB_OPEN_CREATE | MEMDB_OPEN_READ_ONLY;
    if (!path || !*path || !db_out ||
        (options && (options->size < sizeof *options || (options->flags & ~known) ||
                     (uint32_t)options->durability > MEMDB_DURABILITY_FULL ||
                     (uint32_t)options->io_backend > MEMDB_IO_URING))) {
        status = memdb__fail(&error, MEMDB_INVALID,
                             "open: a path, a place for the handle, and known options with their "
                             "size are needed");
    } else {
        memdb_t *db = memdb__allocate_zeroed(1, sizeof *db);
        if (!db) {
            status = memdb__fail(&error, MEMDB_NOMEM, "open: out of memory");
        } else {
            set_defaults(db, options);
            db->fork_generation = memdb__fork_generation();
            memdb__handle_add(db);
            status = open_handle(db, path, &error);
            if (status == MEMDB_OK) {
                *db_out = db;
                return MEMDB_OK;
            }
            if (error.status != status) {
                memdb__fail(&error, status, "%s", memdb_status_text(status));
            }
            memdb__error_context(&error, status, "open %s", path);
            destroy(db);
        }
    }
    if (error_out) {
        *error_out = error;
    }
    return status;
}

memdb_status_t memdb_close(memdb_t *db) {
    if (!db) {
        return MEMDB_OK;
    }
    if (db->fork_generation == memdb__fork_generation()) {
        memdb_error_t error = {0};
        int64_t oldest;
        pthread_mutex_lock(&db->fold); // a checkpoint of the background thread reads too
        uint32_t readers = memdb__epoch_readers(&db->epochs, &oldest) - db->surveys;
        pthread_mutex_unlock(&db->fold);
        if (readers) {
            memdb_status_t status =
                memdb__fail(&error, MEMDB_BUSY, "close: snapshots or transactions are still open");
            return memdb__report(db, status, &error);
        }
        memdb__background_stop(db);
        // Rule 12 again, at the other end; a failure is told, and the log stays as it is.
        if (db->control && memdb__usable(db, &error) == MEMDB_OK &&
            memdb__log_above_base(db) > db->options.checkpoint_log_bytes / CLOSE_PART &&
            (memdb__checkpoint(db, &error) ||
             memdb__merge(db, CLOSE_MERGE_CHECKPOINTS * db->options.checkpoint_log_bytes,
                          &error))) {
            memdb__tell(db, error.status, "close: %s", error.message);
        }
    }
    destroy(db);
    memdb__memory_trim();
    return MEMDB_OK;
}
