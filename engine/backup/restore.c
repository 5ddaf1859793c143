// Restore: a new database from a backup, or from a database that nobody has open, as of a log
// position or a time.
//
// The base is copied whole, for it cannot be undone; of the log above it, the frames at or below
// the bound. The new database gets an id of its own: its log goes on at positions that the origin
// used otherwise, and an increment of the one must never be added to a backup of the other. Until
// it is verified a state file `restore` says what is being made, so that the same call goes on
// after an interruption. What is left out is still looked at, as far as it is whole, for the ids in
// it.
#include "engine/backup/copy.h"
#include "engine/root.h"

#include <fcntl.h>
#include <stdio.h>

#define STATE "restore"
#define BACKUP_STATE "backup"

typedef struct restore {
    const char *from, *to;
    memdb_restore_options_t options;
    int from_lock, to_lock;
    memdb__copy_t copy;
    memdb__root_t root; // of `from`
    memdb__backup_state_t state;
    uint64_t complete; // `from` is a backup that says it is complete up to here; 0: it is none
    uint64_t end;      // of its log, as far as it was read
    bool past;         // the bound was passed
    memdb__last_ids_t last;
} restore_t;

// ------------------------------------------------------------------------------ both directories

/// See that nobody has `from` open, and keep others from opening it. Its gate is held shared then,
/// so that several may restore from it at once. Where it cannot be written to, presence cannot be
/// asked for: a database that somebody changes nevertheless is noticed by checksums and files that
/// go away.
static memdb_status_t lock_from(restore_t *r, memdb_error_t *error) {
    memdb_status_t status = memdb__io_open(r->copy.from, "lock", O_RDWR, &r->from_lock, error);
    if (status == MEMDB_NOT_FOUND) {
        return MEMDB_OK; // nobody ever had it open
    }
    if (status) {
        status = memdb__io_open(r->copy.from, "lock", O_RDONLY, &r->from_lock, error);
        return status ? status
                      : memdb__lock_acquire(r->from_lock, MEMDB__LOCK_GATE, MEMDB__LOCK_SHARED,
                                            true, error);
    }
    status =
        memdb__lock_acquire(r->from_lock, MEMDB__LOCK_GATE, MEMDB__LOCK_EXCLUSIVE, true, error);
    status = status ? status
                    : memdb__lock_acquire(r->from_lock, MEMDB__LOCK_PRESENCE, MEMDB__LOCK_EXCLUSIVE,
                                          false, error);
    if (status == MEMDB_BUSY) {
        return memdb__fail(error, MEMDB_BUSY,
                           "%s is open; close it, or back it up and restore from the backup",
                           r->from);
    }
    memdb__lock_release(r->from_lock, MEMDB__LOCK_PRESENCE);
    return status;
}

static memdb_status_t read_manifest(restore_t *r, memdb_error_t *error) {
    memdb__catalog_t *catalog = NULL;
    memdb_status_t status = memdb__catalog_open(r->copy.from, true, true, &catalog, error);
    status = status ? status : memdb__catalog_read(catalog, &r->copy.manifest, error);
    memdb__catalog_close(catalog);
    return status;
}

static memdb_status_t open_from(restore_t *r, memdb_error_t *error) {
    memdb__backup_state_t state;
    memdb_status_t status =
        memdb__io_open(AT_FDCWD, r->from, O_RDONLY | O_DIRECTORY, &r->copy.from, error);
    status = status ? status : lock_from(r, error);
    if (status) {
        return status;
    }
    status = memdb__backup_state_read(r->copy.from, BACKUP_STATE, &state, error);
    if (status && status != MEMDB_NOT_FOUND) {
        return status;
    }
    r->complete = status || state.phase == MEMDB__COPY_AGAIN ? 0 : state.last.end;
    bool unfinished = !status && state.phase == MEMDB__COPY_FIRST;
    status = memdb__root_read(r->copy.from, &r->root, error);
    if (status == MEMDB_NOT_FOUND) {
        return memdb__fail(error, MEMDB_NOT_DATABASE,
                           unfinished ? "%s: its first copy was never finished; back up again"
                                      : "%s holds no memdb database",
                           r->from);
    }
    memcpy(r->copy.from_id, r->root.database_id, 16);
    status = status ? status : read_manifest(r, error);
    status = status ? status : memdb__copy_hold(&r->copy, error);
    if (status == MEMDB_NOT_FOUND) {
        status = error->status = MEMDB_CORRUPT; // the catalog names it
    }
    if (!status && r->from_lock >= 0) {
        status =
            memdb__lock_acquire(r->from_lock, MEMDB__LOCK_GATE, MEMDB__LOCK_SHARED, true, error);
    }
    return status;
}

/// Open `to`. done_out: everything but the verification is there.
static memdb_status_t open_to(restore_t *r, bool *done_out, memdb_error_t *error) {
    memdb__backup_state_t *state = &r->state;
    memdb__root_t root;
    bool unused = true;
    *state = (memdb__backup_state_t){.phase = MEMDB__COPY_RESTORE,
                                     .until_lsn = r->options.until_lsn,
                                     .until_time = r->options.until_time};
    memdb_status_t status = memdb__io_make_directory(AT_FDCWD, r->to, error);
    status = status ? status
                    : memdb__io_open(AT_FDCWD, r->to, O_RDONLY | O_DIRECTORY, &r->copy.to, error);
    status = status ? status : memdb__directory_is_local(r->copy.to, error);
    status = status ? status : memdb__directory_sync_parent(r->copy.to, error);
    if (status) {
        return status;
    }
    status = memdb__backup_state_read(r->copy.to, STATE, state, error);
    bool fresh = status == MEMDB_NOT_FOUND;
    status = fresh ? memdb__copy_is_unused(r->copy.to, STATE, &unused, error) : status;
    bool same = fresh ? unused
                      : memcmp(state->origin_id, r->copy.from_id, 16) == 0 &&
                            state->until_lsn == r->options.until_lsn &&
                            state->until_time == r->options.until_time;
    if (!status && !same) {
        return memdb__fail(error, MEMDB_EXISTS,
                           fresh ? "%s is not empty; choose a new directory"
                                 : "%s holds another restore that was interrupted; choose a new "
                                   "directory",
                           r->to);
    }
    status =
        status ? status : memdb__io_open(r->copy.to, "lock", O_RDWR | O_CREAT, &r->to_lock, error);
    status = status ? status
                    : memdb__lock_acquire(r->to_lock, MEMDB__LOCK_GATE, MEMDB__LOCK_EXCLUSIVE,
                                          false, error);
    if (!status && fresh) {
        memcpy(state->origin_id, r->copy.from_id, 16);
        status = memdb__draw_database_id(state->own_id, error);
        status = status ? status : memdb__backup_state_write(r->copy.to, STATE, state, error);
    }
    memcpy(r->copy.to_id, state->own_id, 16);
    if (!status) {
        status = memdb__root_read(r->copy.to, &root, error);
        *done_out = status == MEMDB_OK;
        r->copy.last = status ? r->copy.last : state->last;
        status = status == MEMDB_NOT_FOUND ? MEMDB_OK : status;
    }
    return status;
}

// ------------------------------------------------------------------------------ the log

/// A frame of `from`: copied, or beyond the bound. Ids are noted of all.
static memdb_status_t take_frame(void *context, const memdb__frame_t *frame, memdb_error_t *error) {
    restore_t *r = context;
    memdb__payload_note_ids(frame->payload, frame->size, &r->last);
    r->past |= (r->options.until_lsn && frame->end > r->options.until_lsn) ||
               (r->options.until_time && frame->commit_time > r->options.until_time);
    r->end = frame->end;
    return r->past ? MEMDB_OK : memdb__copy_frame(&r->copy, frame, error);
}

static memdb_status_t copy_log(restore_t *r, memdb_error_t *error) {
    memdb__wal_options_t options = {0};
    uint64_t from = r->copy.manifest.applied_lsn, end = 0;
    memcpy(options.database_id, r->copy.from_id, 16);
    r->end = from;
    memdb_status_t status =
        memdb__copy_begin_log(&r->copy, from, r->copy.manifest.epoch_floor, true, false, error);
    if (status) {
        return status;
    }
    status = memdb__wal_scan(r->copy.from, &options, from, take_frame, r, &end, error);
    if (!status && end < r->complete) {
        status = memdb__fail(error, MEMDB_CORRUPT,
                             "the log ends at LSN %llu, the backup was complete up to LSN %llu",
                             (unsigned long long)end, (unsigned long long)r->complete);
    }
    if (status == MEMDB_CORRUPT && !r->past && r->options.until_lsn &&
        r->options.until_lsn <= r->end) {
        r->past = true; // exactly up to the damage
    }
    if (status == MEMDB_CORRUPT && r->past) {
        status = MEMDB_OK; // damage behind the bound takes nothing away
    } else if (status == MEMDB_CORRUPT) {
        return memdb__error_context(error, status, "the log is whole up to LSN %llu",
                                    (unsigned long long)r->end);
    }
    return status ? status : memdb__copy_finish_log(&r->copy, error);
}

/// The base holds everything up to its own end: an earlier moment is out of reach.
static memdb_status_t check_bounds(const restore_t *r, memdb_error_t *error) {
    const memdb__manifest_t *manifest = &r->copy.manifest;
    uint64_t lsn = r->options.until_lsn;
    int64_t time = r->options.until_time;
    if (lsn && lsn < manifest->applied_lsn) {
        return memdb__fail(error, MEMDB_INVALID,
                           "LSN %llu lies before the full copy, which goes up to LSN %llu",
                           (unsigned long long)lsn, (unsigned long long)manifest->applied_lsn);
    }
    // The base's newest commit is older than the first frame above it, and not newer than what the
    // catalog knew.
    bool reached = r->copy.last.lsn != 0 || time >= manifest->last_commit_time;
    if (time && manifest->applied_lsn && !reached) {
        return memdb__fail(error, MEMDB_INVALID,
                           "the time lies before the full copy, or too near to it to tell: times "
                           "from %lld us on are in reach",
                           (long long)manifest->last_commit_time);
    }
    return MEMDB_OK;
}

// ------------------------------------------------------------------------------ together

static memdb_status_t build(restore_t *r, memdb_error_t *error) {
    memdb__copy_t *copy = &r->copy;
    memdb__manifest_t *manifest = &copy->manifest;
    memdb_status_t status = copy_log(r, error);
    status = status ? status : check_bounds(r, error);
    status = status ? status : memdb__copy_segments(copy, error);
    status = status ? status : memdb__copy_note_base(copy, error);
    status = status ? status : memdb__copy_blobs(copy, error);
    if (status == MEMDB_NOT_FOUND) {
        status = error->status = MEMDB_CORRUPT; // an extent that a memory needs
    }
    manifest->next_id = manifest->next_id > r->last.memory ? manifest->next_id : r->last.memory + 1;
    manifest->next_space =
        manifest->next_space > r->last.space ? manifest->next_space : r->last.space + 1;
    status = status ? status : memdb__copy_catalog(copy, false, error);
    status = status ? status : memdb__wal_copy_publish(copy->log, error);
    status = status ? status : memdb__copy_sweep(copy, error);
    r->state.last = copy->last;
    status = status ? status : memdb__backup_state_write(copy->to, STATE, &r->state, error);
    return status ? status : memdb__copy_root(copy, r->root.durability, error);
}

typedef struct first_damage {
    char message[400];
} first_damage_t;

static void note_damage(void *context, const char *file, uint64_t offset, const char *what) {
    first_damage_t *first = context;
    if (!first->message[0]) {
        snprintf(first->message, sizeof first->message, "%.100s at %llu: %.200s", file,
                 (unsigned long long)offset, what);
    }
}

/// Open the new database, read all of it, and take the state file away.
static memdb_status_t verify(restore_t *r, memdb_error_t *error) {
    memdb_t *db = NULL;
    first_damage_t first = {0};
    memdb_options_t options = {.size = sizeof options, .no_background = true};
    memdb__io_close(r->to_lock); // its gate: the opening takes it
    r->to_lock = -1;
    memdb_status_t status = memdb_open(r->to, &options, &db, error);
    if (status) {
        return memdb__error_context(error, status, "open what was restored");
    }
    status = memdb_verify(db, note_damage, &first);
    if (status) {
        memdb_last_error(db, error->message, sizeof error->message);
        memdb__error_context(error, status, "what was restored: %s", first.message);
        error->status = status;
    }
    memdb_status_t closed = memdb_close(db);
    status = status ? status : closed;
    // Not synced: should it come back after a power loss, the same call would only verify again.
    return status ? status : memdb__io_unlink(r->copy.to, STATE, error);
}

static memdb_status_t run(restore_t *r, memdb_error_t *error) {
    bool done = false;
    memdb_status_t status = open_from(r, error);
    status = status ? status : open_to(r, &done, error);
    status = status || done ? status : build(r, error);
    return status ? status : verify(r, error);
}

static void give_figures(const restore_t *r, memdb_copied_t *copied_out) {
    const memdb__copy_t *copy = &r->copy;
    copied_out->base_lsn = copy->manifest.applied_lsn;
    copied_out->lsn = copy->last.lsn ? copy->last.end : copy->manifest.applied_lsn;
    copied_out->time = copy->last.lsn ? copy->last.time : copy->manifest.last_commit_time;
    copied_out->bytes = copy->bytes;
    copied_out->files = copy->files;
    copied_out->incremental = false;
}

memdb_status_t memdb_restore(const char *from, const char *to,
                             const memdb_restore_options_t *options, memdb_copied_t *copied_out,
                             memdb_error_t *error_out) {
    memdb_error_t error = {0};
    memdb_status_t status;
    restore_t r = {.from = from, .to = to, .from_lock = -1, .to_lock = -1};
    r.copy.from = r.copy.to = -1;
    if (!from || !*from || !to || !*to || (options && options->size < sizeof *options) ||
        (copied_out && copied_out->size < sizeof *copied_out)) {
        status = memdb__fail(&error, MEMDB_INVALID, "restore: an argument is not valid");
    } else {
        r.options = options ? *options : (memdb_restore_options_t){0};
        r.copy.progress = r.options.progress;
        r.copy.progress_context = r.options.progress_context;
        status = run(&r, &error);
    }
    if (!status && copied_out) {
        give_figures(&r, copied_out);
    }
    memdb__copy_release(&r.copy);
    memdb__io_close(r.from_lock);
    memdb__io_close(r.to_lock);
    memdb__io_close(r.copy.from);
    memdb__io_close(r.copy.to);
    if (status) {
        memdb__error_context(&error, status, "restore");
        error.status = status;
        if (error_out) {
            *error_out = error;
        }
    }
    return status;
}
