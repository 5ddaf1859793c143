// Backup while others write: a full copy, and increments to it. The target's side of the files is
// described in backup_state.h and wal/copy.h.
//
// A full copy (rule 18): the archive is on first; the base is pinned by opening its segments; the
// log above it is copied at once, which shows that the cut has not passed that base (else: again
// with a newer one); then segments and blobs at leisure. No lock of the source is held meanwhile.
// The catalog of the target is the switch, as it is in a checkpoint: a new full copy in the place
// of an older one leaves that one whole until then. An increment: the frames from the end of the
// target's log on, from log and archive, become one more segment there, published by a rename after
// their blobs. The target's log itself says how far it goes; the state file is written last and is
// behind it after an interruption. That the source's history is the target's is proved by the
// target's last frame, which the source must have too.
#include "base/checksum.h"
#include "engine/backup/archive.h"
#include "engine/backup/copy.h"
#include "engine/root.h"

#include <fcntl.h>

#define STATE "backup"
#define FULL_TRIES 8 // the base was replaced, or its blobs collected, while it was copied

typedef struct backup {
    memdb_t *db;
    uint32_t flags;
    const char *path;
    int lock; // of the target
    memdb__copy_t copy;
    memdb__backup_state_t state;
    uint64_t *extents; // in the source's archive before `to`
    size_t extent_count;
    uint64_t to;       // copy the log up to here
    uint64_t base_lsn; // of the target
    bool known;        // the target's last frame was met in the source
    bool incremental;
} backup_t;

static memdb__wal_options_t log_options(const uint8_t id[16]) {
    memdb__wal_options_t options = {0};
    memcpy(options.database_id, id, 16);
    return options;
}

// ------------------------------------------------------------------------------ the target

/// Open the target and take its gate: nobody opens it meanwhile, and no other backup writes to it.
static memdb_status_t open_target(backup_t *b, memdb_error_t *error) {
    memdb_status_t status = memdb__io_make_directory(AT_FDCWD, b->path, error);
    status = status ? status
                    : memdb__io_open(AT_FDCWD, b->path, O_RDONLY | O_DIRECTORY, &b->copy.to, error);
    status = status ? status : memdb__directory_sync_parent(b->copy.to, error);
    if (status) {
        return status;
    }
    status = memdb__backup_state_read(b->copy.to, STATE, &b->state, error);
    bool fresh = status == MEMDB_NOT_FOUND, unused = true;
    if (fresh) {
        status = memdb__copy_is_unused(b->copy.to, STATE, &unused, error);
    }
    if (!status && !unused) {
        return memdb__fail(error, MEMDB_EXISTS,
                           "%s is neither empty nor a backup; choose a new directory", b->path);
    }
    status =
        status ? status : memdb__io_open(b->copy.to, "lock", O_RDWR | O_CREAT, &b->lock, error);
    status = status ? status
                    : memdb__lock_acquire(b->lock, MEMDB__LOCK_GATE, MEMDB__LOCK_EXCLUSIVE, false,
                                          error);
    if (status || !fresh) {
        return status ? status : memdb__backup_state_read(b->copy.to, STATE, &b->state, error);
    }
    b->state.phase = MEMDB__COPY_FIRST;
    memcpy(b->state.origin_id, b->db->database_id, 16);
    return memdb__draw_database_id(b->state.own_id, error);
}

/// Refuse a target that this database must not add to.
static memdb_status_t check_target(backup_t *b, memdb_error_t *error) {
    memdb__wal_options_t options = log_options(b->state.own_id);
    memdb__root_t root;
    bool pure = true;
    char name[32];
    if (memcmp(b->state.origin_id, b->db->database_id, 16) != 0) {
        return memdb__fail(error, MEMDB_EXISTS, "%s is a backup of another database", b->path);
    }
    memdb_status_t status = memdb__root_read(b->copy.to, &root, error);
    if (status == MEMDB_NOT_FOUND && b->state.phase == MEMDB__COPY_FIRST) {
        return MEMDB_OK;
    }
    if (status == MEMDB_NOT_FOUND) {
        status = error->status = MEMDB_CORRUPT; // it was there once
    }
    if (!status && memcmp(root.database_id, b->state.own_id, 16) != 0) {
        status = memdb__fail(error, MEMDB_CORRUPT, "root at 16: another id than in %s", STATE);
    }
    status = status ? status : memdb__wal_copy_is_pure(b->copy.to, &options, &pure, name, error);
    if (!status && !pure) {
        return memdb__fail(error, MEMDB_EXISTS,
                           "%s was opened for writing since the last backup to it (log/%s is its "
                           "own): it goes its own way now; choose a new directory",
                           b->path, name);
    }
    if (b->state.phase == MEMDB__COPY_FIRST) {
        b->state.phase = MEMDB__COPY_AGAIN; // it was cut off between the root and the state
    }
    return status ? memdb__error_context(error, status, "the backup in %s", b->path) : MEMDB_OK;
}

static memdb_status_t note_last(void *context, const memdb__frame_t *frame, memdb_error_t *error) {
    (void)error;
    *(memdb__last_frame_t *)context = (memdb__last_frame_t){
        .lsn = frame->lsn,
        .end = frame->end,
        .hash = memdb__hash64(frame->payload, frame->size, frame->lsn),
        .time = frame->commit_time,
    };
    return MEMDB_OK;
}

/// How far the target's log really goes, and its base.
static memdb_status_t look_at_target(backup_t *b, memdb_error_t *error) {
    memdb__wal_options_t options = log_options(b->state.own_id);
    memdb__catalog_t *catalog = NULL;
    memdb__manifest_t manifest = {0};
    memdb__last_frame_t last = b->state.last;
    uint64_t end = 0, from = last.lsn ? last.lsn : last.end;
    memdb_status_t status = memdb__catalog_open(b->copy.to, true, true, &catalog, error);
    status = status ? status : memdb__catalog_read(catalog, &manifest, error);
    memdb__catalog_close(catalog);
    b->base_lsn = manifest.applied_lsn;
    memdb__manifest_deinit(&manifest);
    status = status ? status
                    : memdb__wal_scan(b->copy.to, &options, from, note_last, &last, &end, error);
    if (!status && end < b->state.last.end) {
        status = memdb__fail(error, MEMDB_CORRUPT,
                             "the log ends at LSN %llu, it was complete up to LSN %llu",
                             (unsigned long long)end, (unsigned long long)b->state.last.end);
    }
    b->state.last = status ? b->state.last : last;
    return status ? memdb__error_context(error, status, "the backup in %s", b->path) : MEMDB_OK;
}

// ------------------------------------------------------------------------------ the source

/// Fix up to where the log is copied: everything that is written by now is made durable first. The
/// extents that are in the archive before are named by no later frame.
static memdb_status_t fix_end(backup_t *b, memdb_error_t *error) {
    memdb_t *db = b->db;
    memdb__free(b->extents);
    b->extents = NULL;
    b->extent_count = 0;
    memdb_status_t status =
        memdb__archive_list_extents(db->directory, &b->extents, &b->extent_count, error);
    // Acquire, both: pair with the writer's and the syncer's raising of the words.
    uint64_t written = atomic_load_explicit(&db->control->written, memory_order_acquire);
    status = status ? status : memdb__wal_sync(db->wal, written, error);
    b->to = atomic_load_explicit(&db->control->durable, memory_order_acquire);
    return status;
}

/// Whether the cut has passed `lsn`, so that what could not be read was given up in good order.
static bool is_cut(const backup_t *b, uint64_t lsn) {
    // Acquire: pairs with the cut, which raises the word before it touches a file.
    return atomic_load_explicit(&b->db->control->applied, memory_order_acquire) > lsn;
}

static uint64_t epoch_floor(const backup_t *b) {
    return atomic_load_explicit(&b->db->control->next_epoch, memory_order_relaxed); // a floor
}

/// Pin the newest base: its segments are held open.
static memdb_status_t pin_base(backup_t *b, memdb_error_t *error) {
    memdb_t *db = b->db;
    for (uint64_t generation = 0;;) {
        memdb_status_t status = memdb__catalog_read(db->catalog, &b->copy.manifest, error);
        status = status ? status : memdb__copy_hold(&b->copy, error);
        if (status != MEMDB_NOT_FOUND) {
            return status;
        }
        if (b->copy.manifest.generation == generation) {
            return error->status = MEMDB_CORRUPT; // the catalog names it, and it is not there
        }
        generation = b->copy.manifest.generation; // replaced meanwhile, or looked at too early
        memdb__copy_release(&b->copy);
    }
}

/// Copy the log above the base, at once.
static memdb_status_t copy_log(backup_t *b, memdb_error_t *error) {
    memdb_t *db = b->db;
    memdb__wal_options_t options = log_options(db->database_id);
    uint64_t from = b->copy.manifest.applied_lsn;
    memdb_status_t status =
        memdb__copy_begin_log(&b->copy, from, epoch_floor(b), true, true, error);
    b->copy.total_bytes += b->to > from ? b->to - from : 0;
    status = status ? status
                    : memdb__wal_range(db->directory, &options, from, b->to, memdb__copy_frame,
                                       &b->copy, error);
    if (status == MEMDB_NOT_FOUND || (status == MEMDB_CORRUPT && is_cut(b, from))) {
        return MEMDB_NOT_FOUND;
    }
    return status ? status : memdb__copy_finish_log(&b->copy, error);
}

// ------------------------------------------------------------------------------ the two ways

static memdb_status_t write_state(backup_t *b, memdb__copy_phase_t phase, memdb_error_t *error) {
    b->state.phase = phase;
    return memdb__backup_state_write(b->copy.to, STATE, &b->state, error);
}

/// One attempt at a full copy. MEMDB_NOT_FOUND: the base went away under it.
static memdb_status_t copy_everything(backup_t *b, memdb_error_t *error) {
    memdb_t *db = b->db;
    memdb__copy_t *copy = &b->copy;
    bool again = b->state.phase == MEMDB__COPY_AGAIN;
    memdb_status_t status = pin_base(b, error);
    status = status ? status : fix_end(b, error);
    status = status ? status : copy_log(b, error);
    status = status ? status : memdb__copy_segments(copy, error);
    status = status ? status : memdb__copy_note_base(copy, error);
    status = status ? status : memdb__copy_blobs(copy, error);
    if (status) {
        return status;
    }
    // Above every id in use now: the copy may go on with a history of its own.
    const memdb__control_t *control = db->control;
    memdb__manifest_t *manifest = &copy->manifest;
    manifest->next_id = atomic_load_explicit(&control->next_id, memory_order_relaxed);
    manifest->next_space = atomic_load_explicit(&control->next_space, memory_order_relaxed);
    manifest->next_segment_id =
        atomic_load_explicit(&control->next_segment_id, memory_order_relaxed);
    status = memdb__copy_catalog(copy, again, error);
    status = status ? status : memdb__wal_copy_publish(copy->log, error);
    status = status  ? status
             : again ? MEMDB_OK
                     : memdb__copy_root(copy, db->database_durability, error);
    b->base_lsn = manifest->applied_lsn;
    b->state.last = copy->last.lsn ? copy->last
                                   : (memdb__last_frame_t){.end = manifest->applied_lsn,
                                                           .time = manifest->last_commit_time};
    b->state.increments = 0;
    status = status ? status : write_state(b, MEMDB__COPY_COMPLETE, error);
    status = status ? status : memdb__copy_sweep(copy, error);
    return status ? status : memdb__copy_sweep_blobs(copy, error);
}

static memdb_status_t full(backup_t *b, memdb_error_t *error) {
    bool first = b->state.phase == MEMDB__COPY_FIRST;
    memdb_status_t status = write_state(b, first ? MEMDB__COPY_FIRST : MEMDB__COPY_AGAIN, error);
    for (int tries = 1; !status; tries++) {
        status = copy_everything(b, error);
        memdb__copy_release(&b->copy);
        if (status != MEMDB_NOT_FOUND || tries == FULL_TRIES) {
            break;
        }
        status = MEMDB_OK;
    }
    if (status == MEMDB_NOT_FOUND) {
        status = error->status = MEMDB_CORRUPT; // no newer base helps: something is missing
    }
    return status;
}

/// Frames from the target's last one on: that one is compared, the others are copied.
static memdb_status_t add_frame(void *context, const memdb__frame_t *frame, memdb_error_t *error) {
    backup_t *b = context;
    memdb__last_frame_t here;
    if (b->known) {
        return memdb__copy_frame(&b->copy, frame, error);
    }
    note_last(&here, frame, error);
    const memdb__last_frame_t *there = &b->state.last;
    b->known = here.lsn == there->lsn && here.end == there->end && here.hash == there->hash &&
               here.time == there->time;
    return b->known ? MEMDB_OK
                    : memdb__fail(error, MEMDB_EXISTS,
                                  "%s: the commit at LSN %llu is another one there: the database "
                                  "was set back since, and its history is not the backup's; choose "
                                  "a new directory",
                                  b->path, (unsigned long long)there->lsn);
}

/// Add what is new. MEMDB_NOT_FOUND: the chain is broken.
static memdb_status_t increment(backup_t *b, memdb_error_t *error) {
    memdb_t *db = b->db;
    memdb__copy_t *copy = &b->copy;
    memdb__wal_options_t options = log_options(db->database_id);
    const memdb__last_frame_t last = b->state.last;
    memdb_status_t status = fix_end(b, error);
    if (!status && b->to < last.end) {
        status = memdb__fail(error, MEMDB_EXISTS,
                             "%s goes up to LSN %llu, the database only to LSN %llu: it was set "
                             "back since; choose a new directory",
                             b->path, (unsigned long long)last.end, (unsigned long long)b->to);
    }
    b->known = last.lsn == 0;
    status =
        status ? status : memdb__copy_begin_log(copy, last.end, epoch_floor(b), false, true, error);
    copy->total_bytes = b->to - last.end;
    if (!status) {
        uint64_t from = b->known ? last.end : last.lsn;
        status = memdb__wal_range(db->directory, &options, from, b->to, add_frame, b, error);
        status = status == MEMDB_CORRUPT && is_cut(b, from) ? MEMDB_NOT_FOUND : status;
    }
    if (!status && copy->last.lsn) {
        status = memdb__copy_finish_log(copy, error);
        status = status ? status : memdb__copy_blobs(copy, error);
        status = status ? status : memdb__wal_copy_publish(copy->log, error);
        b->state.last = status ? last : copy->last;
        b->state.increments++;
    }
    memdb__copy_release(copy);
    return status ? status : write_state(b, MEMDB__COPY_COMPLETE, error);
}

/// What the target has durably now, the source's archive need not keep; without further backups it
/// keeps none.
static memdb_status_t settle_archive(backup_t *b, memdb_error_t *error) {
    memdb_t *db = b->db;
    memdb__wal_options_t options = log_options(db->database_id);
    if (b->flags & MEMDB_BACKUP_ONCE) {
        // The cut must not meet a directory that goes away.
        memdb_status_t status = memdb__checkpoint_lock(db, error);
        if (!status) {
            status = memdb__archive_end(db->directory, error);
            memdb__checkpoint_unlock(db);
        }
        return status;
    }
    uint64_t below = b->state.last.lsn ? b->state.last.lsn : b->state.last.end;
    memdb_status_t status = memdb__archive_trim(db->directory, &options, below, error);
    return status ? status
                  : memdb__archive_drop_extents(db->directory, b->extents, b->extent_count, error);
}

static memdb_status_t run(backup_t *b, memdb_error_t *error) {
    memdb_t *db = b->db;
    memdb_status_t status = open_target(b, error);
    memcpy(b->copy.from_id, db->database_id, 16);
    memcpy(b->copy.to_id, b->state.own_id, 16);
    status = status ? status : check_target(b, error);
    if (!status && !(b->flags & MEMDB_BACKUP_ONCE)) {
        status = memdb__archive_begin(db->directory, error);
    }
    b->incremental = b->state.phase == MEMDB__COPY_COMPLETE && !(b->flags & MEMDB_BACKUP_FULL);
    if (!status && b->incremental) {
        status = look_at_target(b, error);
        status = status ? status : increment(b, error);
        if (status == MEMDB_NOT_FOUND) {
            memdb__tell(db, MEMDB_NOT_FOUND,
                        "backup: the log since LSN %llu was given up meanwhile (%s); everything is "
                        "copied once more",
                        (unsigned long long)b->state.last.end, error->message);
            b->incremental = false;
            status = MEMDB_OK;
        }
    }
    if (!status && !b->incremental) {
        status = full(b, error);
    }
    return status ? status : settle_archive(b, error);
}

static void give_figures(const backup_t *b, memdb_copied_t *copied_out) {
    copied_out->lsn = b->state.last.end;
    copied_out->time = b->state.last.time;
    copied_out->base_lsn = b->base_lsn;
    copied_out->bytes = b->copy.bytes;
    copied_out->files = b->copy.files;
    copied_out->incremental = b->incremental;
}

memdb_status_t memdb_backup(memdb_t *db, const char *path, const memdb_backup_options_t *options,
                            memdb_copied_t *copied_out) {
    const uint32_t known = MEMDB_BACKUP_ONCE | MEMDB_BACKUP_FULL;
    memdb_error_t error = {0};
    if (!db || !path || !*path ||
        (options && (options->size < sizeof *options || (options->flags & ~known))) ||
        (copied_out && copied_out->size < sizeof *copied_out)) {
        return MEMDB_INVALID;
    }
    backup_t b = {.db = db, .flags = options ? options->flags : 0, .path = path, .lock = -1};
    b.copy.from = db->directory;
    b.copy.to = -1;
    b.copy.progress = options ? options->progress : NULL;
    b.copy.progress_context = options ? options->progress_context : NULL;
    memdb_status_t status = memdb__writable(db, &error);
    status = status ? status : run(&b, &error);
    memdb__copy_release(&b.copy);
    memdb__free(b.extents);
    memdb__io_close(b.lock); // ends the gate
    memdb__io_close(b.copy.to);
    if (status) {
        memdb__error_context(&error, status, "backup");
    } else if (copied_out) {
        give_figures(&b, copied_out);
    }
    return memdb__report(db, status, &error);
}
