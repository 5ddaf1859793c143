// Creating the log, and ending it after a crash: recovery by a lone opener, repair after the death
// of a writer.
//
// Both end the log at its last whole frame X, sync what is below, and open a new segment under an
// epoch never used before (rule 1): whatever an older writer may still write falls behind X into a
// segment that owns nothing there. Both may be interrupted anywhere and run again: until the new
// segment has its name, nothing has changed but for synced bytes; after that it is the newest
// segment, empty, and the next run puts another one in its place.
#include "wal/wal_handle.h"
#include "wal/wal_rewrite.h"

#include <inttypes.h>
#include <string.h>

memdb_status_t memdb__wal_create(int directory, const memdb__wal_options_t *options,
                                 memdb_error_t *error) {
    memdb__wal_log_t log;
    memdb_status_t status = memdb__io_make_directory(directory, "log", error);
    if (status == MEMDB_OK) {
        status = memdb__wal_log_init(&log, directory, options, error);
    }
    if (status != MEMDB_OK) {
        return status;
    }
    memdb__wal_header_t header = {.epoch = 1, .capacity = log.segment_bytes};
    memcpy(header.database_id, log.database_id, 16);
    memdb__wal_segment_t segment;
    // Of a creation that did not finish: the caller made sure that no database is here.
    status = memdb__wal_remove_leftovers(&log, true, error);
    if (status == MEMDB_OK) {
        status = memdb__wal_segment_make(&log, &header, &segment, error);
    }
    if (status == MEMDB_OK) {
        status = memdb__wal_segment_publish(&log, &segment, error);
        if (status == MEMDB_OK) {
            memdb__wal_segment_close(&segment);
            status = memdb__io_sync_all(directory, "database directory", error);
        }
    }
    memdb__wal_log_deinit(&log);
    return status == MEMDB_OK ? status : memdb__error_context(error, status, "create the log");
}

memdb_status_t memdb__wal_scan(int directory, const memdb__wal_options_t *options, uint64_t from,
                               memdb__frame_fn visit, void *context, uint64_t *end_out,
                               memdb_error_t *error) {
    memdb__wal_log_t log;
    memdb_status_t status = memdb__wal_log_init(&log, directory, options, error);
    if (status != MEMDB_OK) {
        return status;
    }
    memdb__wal_walk_t walk;
    status = memdb__wal_walk_run(&walk, &log, from, visit, context, error);
    if (status == MEMDB_OK) {
        *end_out = walk.end;
        memdb__wal_walk_deinit(&walk);
    }
    memdb__wal_log_deinit(&log);
    return status;
}

/// Sync every live segment from the one that holds `from` on.
static memdb_status_t sync_live(const memdb__wal_log_t *log, const memdb__wal_list_t *list,
                                uint64_t from, memdb_error_t *error) {
    size_t index;
    memdb_status_t status = memdb__wal_list_find(list, from, &index, error);
    for (; status == MEMDB_OK && index < list->count; index = memdb__wal_list_next(list, index)) {
        memdb__wal_segment_t segment;
        status = memdb__wal_segment_open(log, list->segments[index].header.epoch, false, &segment,
                                         error);
        if (status == MEMDB_OK) {
            status = memdb__io_sync_data(segment.fd, segment.name, error);
            memdb__wal_segment_close(&segment);
        }
    }
    return status;
}

/// Mark the predecessor of a segment that is published, so that the loss of its file is noticed.
static memdb_status_t mark_predecessor(const memdb__wal_log_t *log,
                                       const memdb__wal_header_t *header, memdb_error_t *error) {
    if (header->previous_epoch == 0) {
        return MEMDB_OK;
    }
    memdb__wal_segment_t segment;
    memdb_status_t status =
        memdb__wal_segment_open(log, header->previous_epoch, true, &segment, error);
    if (status != MEMDB_OK) {
        // Cut, perhaps beside this repair by another process: nobody needs what lay in it.
        return status == MEMDB_NOT_FOUND ? MEMDB_OK : status;
    }
    status = memdb__wal_segment_mark(log, &segment, header->previous_end, error);
    memdb__wal_segment_close(&segment);
    return status;
}

/// The highest epoch in the list, and 0.
static uint64_t newest_epoch(const memdb__wal_list_t *list) {
    return list->count ? list->segments[list->count - 1].header.epoch : 0;
}

static memdb_status_t copy_frames(const memdb__wal_log_t *log, memdb__wal_segment_t *fresh,
                                  uint64_t from, uint64_t end, memdb_error_t *error) {
    memdb__wal_rewrite_t rewrite;
    memdb__wal_walk_t walk;
    memdb_status_t status = memdb__wal_rewrite_begin(&rewrite, log, fresh, from, error);
    if (status == MEMDB_OK) {
        status = memdb__wal_walk_run(&walk, log, from, memdb__wal_rewrite_frame, &rewrite, error);
    }
    if (status == MEMDB_OK) {
        memdb__wal_walk_deinit(&walk);
        status = memdb__wal_rewrite_flush(&rewrite, error);
    }
    if (status == MEMDB_OK && rewrite.end != end) {
        status = memdb__fail(error, MEMDB_CORRUPT,
                             "log: ended at LSN %" PRIu64 ", then at %" PRIu64, end, rewrite.end);
    }
    memdb__wal_rewrite_deinit(&rewrite);
    return status;
}

/// Make, fill (for a rewrite) and publish the segment that goes on after `walk`.
static memdb_status_t open_fresh(const memdb__wal_log_t *log, memdb__wal_walk_t *walk,
                                 uint64_t from, bool rewrite, memdb__wal_header_t *header,
                                 memdb_error_t *error) {
    uint64_t need = memdb__wal_block_up(walk->end - header->start) + 2 * MEMDB__WAL_BLOCK_BYTES;
    if (rewrite && need > header->capacity) {
        header->capacity = need;
    }
    memdb__wal_segment_t fresh;
    memdb_status_t status = memdb__wal_segment_make(log, header, &fresh, error);
    if (status == MEMDB_OK && rewrite && walk->frames != 0) {
        status = copy_frames(log, &fresh, from, walk->end, error);
        if (status != MEMDB_OK) {
            memdb__wal_segment_close(&fresh);
        }
    }
    if (status == MEMDB_OK) {
        status = memdb__wal_segment_publish(log, &fresh, error);
    }
    if (status == MEMDB_OK) {
        memdb__wal_segment_close(&fresh);
    }
    return status;
}

/// Unlink segments that own nothing.
static memdb_status_t unlink_dead(const memdb__wal_log_t *log, const memdb__wal_list_t *list,
                                  uint64_t start, memdb_error_t *error) {
    memdb_status_t status = MEMDB_OK;
    for (size_t i = 0; i < list->count && status == MEMDB_OK; i++) {
        if (!list->segments[i].live || list->segments[i].header.start >= start) {
            char name[MEMDB__WAL_NAME_BYTES];
            memdb__wal_segment_name(list->segments[i].header.epoch, name);
            status = memdb__io_unlink(log->directory, name, error);
        }
    }
    return status;
}

/// Write again what lies above `unsure`.
static memdb_status_t write_again(const memdb__wal_log_t *log, const memdb__wal_walk_t *walk,
                                  uint64_t unsure, memdb_error_t *error) {
    size_t index = 0;
    const memdb__wal_list_t *list = &walk->list;
    memdb_status_t status =
        unsure < walk->end ? memdb__wal_list_find(list, unsure, &index, error) : MEMDB_OK;
    for (; !status && unsure < walk->end && index < list->count;
         index = memdb__wal_list_next(list, index)) {
        memdb__wal_segment_t segment;
        status =
            memdb__wal_segment_open(log, list->segments[index].header.epoch, true, &segment, error);
        if (status == MEMDB_OK) {
            status = memdb__wal_segment_write_again(&segment, unsure, walk->end, error);
            memdb__wal_segment_close(&segment);
        }
    }
    return status;
}

static memdb_status_t recover(int directory, const memdb__wal_log_t *log, memdb__wal_walk_t *walk,
                              uint64_t from, uint64_t epoch_floor, memdb__control_past_t past,
                              memdb__wal_header_t *header_out, memdb_error_t *error) {
    uint64_t epoch = newest_epoch(&walk->list) + 1;
    epoch = epoch < epoch_floor ? epoch_floor : epoch;
    memdb_status_t status = write_again(log, walk, past.unsure > from ? past.unsure : from, error);
    status = status ? status : sync_live(log, &walk->list, from, error);
    bool kept = false;
    if (status == MEMDB_OK && walk->hole) {
        status = memdb__wal_aside_keep(directory, walk, &kept, error);
    }
    if (status != MEMDB_OK) {
        return status;
    }
    // Where no frame is at all, `from` may lie in the hole between two segments; the chain is
    // linked at the hole's begin.
    uint64_t end = walk->reader.position;
    bool rewrite = past.failed && walk->frames != 0;
    memdb__wal_list_successor(&walk->list, log, rewrite ? from : end, rewrite, epoch, header_out);
    // Who wrote last may have been killed; a file that may still receive its write is never reused.
    header_out->flags = MEMDB__WAL_SEGMENT_AFTER_DEATH;
    if (walk->cut_bytes != 0) {
        memdb__wal_tell(log, walk->hole ? MEMDB_CORRUPT : MEMDB_OK,
                        "recover: log ends at LSN %" PRIu64 ": cut %" PRIu64
                        " unacknowledged bytes%s",
                        walk->end, walk->cut_bytes,
                        !walk->hole ? ""
                        : kept      ? ", among them whole batches behind a hole: kept in aside/"
                                    : ", among them whole batches behind a hole; their segment is "
                                      "kept until the next cut or opening");
    }
    status = open_fresh(log, walk, from, rewrite, header_out, error);
    if (status == MEMDB_OK) {
        status = mark_predecessor(log, header_out, error);
    }
    // What lies behind a hole and was not kept aside stays until the next cut or opening.
    if (status == MEMDB_OK && (!walk->hole || kept)) {
        status = unlink_dead(log, &walk->list, header_out->start, error);
    }
    return status;
}

memdb_status_t memdb__wal_recover(int directory, const memdb__wal_options_t *options, uint64_t from,
                                  uint64_t epoch_floor, memdb__control_past_t past,
                                  memdb__frame_fn visit, void *context,
                                  memdb__wal_recovery_t *recovery_out, memdb_error_t *error) {
    memdb__wal_log_t log;
    memdb_status_t status = memdb__wal_log_init(&log, directory, options, error);
    if (status != MEMDB_OK) {
        return status;
    }
    memdb__wal_walk_t walk;
    status = memdb__wal_remove_leftovers(&log, false, error);
    if (status == MEMDB_OK) {
        status = memdb__wal_walk_run(&walk, &log, from, visit, context, error);
    }
    if (status != MEMDB_OK) {
        memdb__wal_log_deinit(&log);
        return memdb__error_context(error, status, "recover the log");
    }
    memdb__wal_header_t header;
    status = recover(directory, &log, &walk, from, epoch_floor, past, &header, error);
    if (status == MEMDB_OK) {
        uint64_t start = memdb__wal_block_up(walk.end);
        *recovery_out = (memdb__wal_recovery_t){
            .end = walk.end,
            .start = start > header.start ? start : header.start,
            .segment_epoch = header.epoch,
            .next_epoch = header.epoch + 1,
            .last_commit_time = walk.last_commit_time,
            .frames = walk.frames,
            .cut_bytes = walk.cut_bytes,
        };
    }
    memdb__wal_walk_deinit(&walk);
    memdb__wal_log_deinit(&log);
    return status == MEMDB_OK ? status : memdb__error_context(error, status, "recover the log");
}

memdb_status_t memdb__wal_repair(memdb__wal_t *wal, memdb_error_t *error) {
    memdb__control_t *control = wal->control;
    // Relaxed: all but durable are written under the writer mutex, which is held.
    uint64_t written = atomic_load_explicit(&control->written, memory_order_relaxed);
    memdb__wal_walk_t walk;
    memdb_status_t status = memdb__wal_walk_run(&walk, &wal->log, written, NULL, NULL, error);
    if (status != MEMDB_OK) {
        return memdb__error_context(error, status, "repair the log after a writer's death");
    }
    status = memdb__wal_sync_lock(wal, error);
    if (status == MEMDB_OK) {
        // The dead may have been told of a failed sync, of its last batch too.
        uint64_t durable = atomic_load_explicit(&control->durable, memory_order_relaxed);
        status = write_again(&wal->log, &walk, durable, error);
        status = status ? status : sync_live(&wal->log, &walk.list, written, error);
        if (status != MEMDB_OK) {
            memdb__wal_fail_database(control, status);
        }
        memdb__wal_sync_unlock(control);
    }
    if (status != MEMDB_OK) {
        memdb__wal_walk_deinit(&walk);
        return status;
    }
    uint64_t epoch = newest_epoch(&walk.list) + 1,
             next = atomic_load_explicit(&control->next_epoch, memory_order_relaxed);
    epoch = epoch < next ? next : epoch;
    atomic_store_explicit(&control->next_epoch, epoch + 1, memory_order_relaxed);
    memdb__wal_header_t header;
    memdb__wal_list_successor(&walk.list, &wal->log, walk.reader.position, false, epoch, &header);
    header.flags = MEMDB__WAL_SEGMENT_AFTER_DEATH;
    status = open_fresh(&wal->log, &walk, written, false, &header, error);
    if (status == MEMDB_OK) {
        status = mark_predecessor(&wal->log, &header, error);
    }
    if (status == MEMDB_OK) {
        memdb__wal_tell(&wal->log, MEMDB_OK,
                        "repair: a writer died; log ends at LSN %" PRIu64 ", %" PRIu64
                        " of its frames were whole",
                        walk.end, walk.frames);
        int64_t last = atomic_load_explicit(&control->last_commit_time, memory_order_relaxed);
        atomic_store_explicit(&control->last_commit_time,
                              walk.last_commit_time > last ? walk.last_commit_time : last,
                              memory_order_relaxed);
        // Release: who sees the epoch finds its file and all older ones synced; before `written`,
        // so that a syncer that sees the frames of the dead writer also sees that they are synced.
        atomic_store_explicit(&control->segment_epoch, epoch, memory_order_release);
        memdb__raise(&control->written, walk.end);
        memdb__raise(&control->durable, walk.end);
        atomic_store_explicit(&control->repair_needed, 0, memory_order_relaxed);
    } else if (status == MEMDB_IO) {
        memdb__wal_fail_database(control, status);
    }
    memdb__wal_walk_deinit(&walk);
    return status == MEMDB_OK
               ? status
               : memdb__error_context(error, status, "repair the log after a writer's death");
}
