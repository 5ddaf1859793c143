// An open log: handle, cut, stats.
//
// The cut gives up segments oldest first, so that what is left is a chain at any time. A file whose
// last writer died is unlinked; others are kept under a recycling name, cut down to what was really
// written, so that a file's size tells how far it was written before. In a database that keeps an
// archive all of them are moved there instead, as they are.
#include "base/memory.h"
#include "wal/copy.h"
#include "wal/wal_handle.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

memdb_status_t memdb__wal_open(int directory, const memdb__wal_options_t *options,
                               memdb__control_t *control, memdb__wal_t **wal_out,
                               memdb_error_t *error) {
    memdb__wal_t *wal = memdb__allocate_zeroed(1, sizeof *wal);
    if (wal == NULL) {
        return memdb__fail(error, MEMDB_NOMEM, "log: no memory for the handle");
    }
    memdb_status_t status = memdb__wal_log_init(&wal->log, directory, options, error);
    if (status != MEMDB_OK) {
        memdb__free(wal);
        return status;
    }
    wal->control = control;
    wal->directory = directory;
    wal->archive_limit = options->archive_limit_bytes ? options->archive_limit_bytes : UINT64_MAX;
    wal->writer.segment.fd = -1;
    wal->writer.through = -1;
    // Relaxed: unique is all it needs. From 1: a new control file names no writer.
    wal->writer.number =
        1 + atomic_fetch_add_explicit(&control->next_writer, 1, memory_order_relaxed);
    wal->synced.fd = -1;
    memdb__wal_reader_init(&wal->follow, &wal->log);
    if (options->backend == MEMDB_IO_URING) {
        status = memdb__uring_create(&wal->ring, error);
        if (status != MEMDB_OK) {
            memdb__wal_close(wal);
            return status;
        }
    }
    *wal_out = wal;
    return MEMDB_OK;
}

void memdb__wal_close(memdb__wal_t *wal) {
    if (wal == NULL) {
        return;
    }
    memdb__wal_writer_deinit(wal);
    memdb__uring_destroy(wal->ring);
    memdb__wal_segment_close(&wal->synced);
    memdb__wal_reader_deinit(&wal->follow);
    memdb__wal_log_deinit(&wal->log);
    memdb__free(wal);
}

/// Keep the file of a segment for reuse. `kept_out` false: all slots are taken.
static memdb_status_t recycle(const memdb__wal_log_t *log, const memdb__wal_header_t *header,
                              uint64_t end, bool *kept_out, memdb_error_t *error) {
    *kept_out = false;
    for (unsigned slot = 0; slot < MEMDB__WAL_RECYCLE_SLOTS; slot++) {
        const char *kept = memdb__wal_recycle_name(slot);
        struct stat info;
        if (memdb__io()->stat_at(log->directory, kept, &info, 0) == 0) {
            continue;
        }
        char name[MEMDB__WAL_NAME_BYTES];
        int fd;
        memdb__wal_segment_name(header->epoch, name);
        memdb_status_t status = memdb__io_open(log->directory, name, O_RDWR, &fd, error);
        if (status != MEMDB_OK) {
            return status;
        }
        // The closing mark may stand behind a hole.
        bool truncated =
            memdb__io()->truncate(fd, (off_t)(MEMDB__WAL_BLOCK_BYTES +
                                              memdb__wal_block_up(end - header->start))) == 0;
        memdb__io_close(fd);
        if (!truncated) {
            return MEMDB_OK;
        }
        status = memdb__io_rename(log->directory, name, kept, error);
        *kept_out = status == MEMDB_OK;
        return status;
    }
    return MEMDB_OK;
}

static memdb_status_t give_up(const memdb__wal_log_t *log, const memdb__wal_header_t *header,
                              const memdb__wal_header_t *successor, bool reuse,
                              memdb_error_t *error) {
    uint64_t used = successor->previous_end - header->start;
    bool kept = false;
    if (reuse && (successor->flags & MEMDB__WAL_SEGMENT_AFTER_DEATH) == 0 &&
        header->capacity == log->segment_bytes && used >= header->capacity / 2) {
        memdb_status_t status = recycle(log, header, successor->previous_end, &kept, error);
        if (status != MEMDB_OK) {
            return status;
        }
    }
    char name[MEMDB__WAL_NAME_BYTES];
    memdb__wal_segment_name(header->epoch, name);
    return kept ? MEMDB_OK : memdb__io_unlink(log->directory, name, error);
}

/// Move a segment to the archive. Both directories are synced by the caller.
static memdb_status_t move(const memdb__wal_log_t *log, const memdb__wal_header_t *header,
                           int archive, memdb_error_t *error) {
    char name[MEMDB__WAL_NAME_BYTES];
    memdb__wal_segment_name(header->epoch, name);
    return memdb__io_move(log->directory, name, archive, name, error);
}

/// Give up all segments that end at or below `applied`. archive: -1, or where they go.
static memdb_status_t give_up_all(memdb__wal_t *wal, const memdb__wal_list_t *list, uint64_t newest,
                                  uint64_t applied, int archive, bool reuse, size_t *given_up,
                                  memdb_error_t *error) {
    memdb_status_t status = MEMDB_OK;
    for (size_t i = 0; i < list->count && status == MEMDB_OK; i++) {
        const memdb__wal_header_t *header = &list->segments[i].header;
        if (header->epoch >= newest) {
            break;
        }
        if (!list->segments[i].live) {
            char name[MEMDB__WAL_NAME_BYTES];
            memdb__wal_segment_name(header->epoch, name);
            status = memdb__io_unlink(wal->log.directory, name, error);
            ++*given_up;
            continue;
        }
        size_t next = memdb__wal_list_next(list, i);
        if (next == list->count || list->segments[next].header.previous_end > applied) {
            break;
        }
        status = archive < 0
                     ? give_up(&wal->log, header, &list->segments[next].header, reuse, error)
                     : move(&wal->log, header, archive, error);
        ++*given_up;
    }
    return status;
}

/// Give the archive up when it is larger than its limit.
static memdb_status_t bound_archive(memdb__wal_t *wal, memdb_error_t *error) {
    uint64_t bytes = 0;
    memdb_status_t status = memdb__archive_bytes(wal->directory, &bytes, error);
    if (status == MEMDB_OK && bytes > wal->archive_limit) {
        status = memdb__archive_end(wal->directory, error);
        memdb__wal_tell(&wal->log, MEMDB_LIMIT,
                        "archive: it had grown to %" PRIu64 " bytes, its limit is %" PRIu64
                        "; it is given up, and the next backup copies everything",
                        bytes, wal->archive_limit);
    }
    return status;
}

static memdb_status_t cut(memdb__wal_t *wal, uint64_t applied, bool reuse, memdb_error_t *error) {
    // Before any file is touched: a follower that finds one changed looks here (release in
    // memdb__raise, acquire in follow).
    memdb__raise(&wal->control->applied, applied);
    // Acquire: pairs with memdb__wal_switch. Read before the list: a segment that is being
    // published is not the newest yet, and the one before it is still in use.
    uint64_t newest = atomic_load_explicit(&wal->control->segment_epoch, memory_order_acquire);
    memdb__wal_list_t list;
    memdb_status_t status = memdb__wal_list_read(&wal->log, &list, error);
    if (status != MEMDB_OK) {
        return status;
    }
    size_t given_up = 0;
    int archive = -1;
    status = memdb__archive_open(wal->directory, &archive, error);
    if (status == MEMDB_OK) {
        status = give_up_all(wal, &list, newest, applied, archive, reuse, &given_up, error);
    }
    memdb__wal_list_free(&list);
    if (status == MEMDB_OK && given_up != 0) {
        // The new place first: a segment may be found in both, but not in none.
        status = archive < 0 ? MEMDB_OK : memdb__io_sync_all(archive, "archive", error);
        if (status == MEMDB_OK) {
            status = memdb__io_sync_all(wal->log.directory, "log", error);
        }
    }
    memdb__io_close(archive);
    if (status == MEMDB_OK && archive >= 0) {
        status = bound_archive(wal, error);
    }
    return status == MEMDB_OK ? status : memdb__error_context(error, status, "cut the log");
}

memdb_status_t memdb__wal_cut(memdb__wal_t *wal, uint64_t applied, memdb_error_t *error) {
    return cut(wal, applied, true, error);
}

memdb_status_t memdb__wal_cut_all(memdb__wal_t *wal, uint64_t applied, memdb_error_t *error) {
    return cut(wal, applied, false, error);
}

typedef struct tally {
    const memdb__wal_log_t *log;
    memdb__wal_stats_t *stats;
} tally_t;

static memdb_status_t tally_one(void *context, const char *name, memdb_error_t *error) {
    (void)error;
    tally_t *tally = context;
    struct stat info;
    if (memdb__io()->stat_at(tally->log->directory, name, &info, 0) ==
        0) { // else it was cut meanwhile
        tally->stats->file_bytes += (uint64_t)info.st_size;
        tally->stats->segments += strlen(name) == 20;
    }
    return MEMDB_OK;
}

void memdb__wal_stats(memdb__wal_t *wal, memdb__wal_stats_t *stats_out) {
    // Relaxed: counters.
    memdb__wal_stats_t stats = {
        .batches = atomic_load_explicit(&wal->batches, memory_order_relaxed),
        .syncs = atomic_load_explicit(&wal->syncs, memory_order_relaxed),
        .bytes = atomic_load_explicit(&wal->bytes, memory_order_relaxed),
    };
    tally_t tally = {&wal->log, &stats};
    memdb__io_list(wal->log.directory, tally_one, &tally, NULL);
    *stats_out = stats;
}
