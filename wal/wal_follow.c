// Following the log: reading what other threads and processes appended, up to an LSN that is
// written.
//
// Nothing is shared but words of the control file. All bytes below `written` are in the page cache
// and stay as they are until the checkpoint cuts them; the cut raises control->applied first, so
// whatever a follower finds wrong with a file is looked at in that light: passed by the cut, or
// damage (rule 19).
#include "wal/wal_handle.h"

#include <inttypes.h>

/// Acquire: pairs with memdb__wal_switch and repair: the file is there. Read after the caller's
/// `to`, so that frames below `to` lie in this segment or an older one.
static uint64_t newest_epoch(const memdb__wal_t *wal) {
    return atomic_load_explicit(&wal->control->segment_epoch, memory_order_acquire);
}

/// Attach the reader to the segment in which the frame at or after `position` lies, from the newest
/// one backwards.
static memdb_status_t find_segment(memdb__wal_t *wal, uint64_t position, memdb_error_t *error) {
    uint64_t newest = newest_epoch(wal), epoch = newest, limit = UINT64_MAX;
    while (epoch != 0) {
        memdb__wal_segment_t segment = wal->follow.segment;
        bool cached = segment.fd >= 0 && segment.header.epoch == epoch;
        if (!cached) {
            memdb_status_t status =
                memdb__wal_segment_open(&wal->log, epoch, false, &segment, error);
            if (status != MEMDB_OK) {
                return status == MEMDB_NOT_FOUND
                           ? memdb__fail(error, MEMDB_CORRUPT, "%016" PRIx64 ".log is missing",
                                         epoch)
                           : status;
            }
        }
        if (segment.header.previous_end <= position) {
            memdb__wal_reader_attach(&wal->follow, &segment, position);
            wal->follow_newest = newest;
            wal->follow_limit = limit;
            return MEMDB_OK;
        }
        limit = segment.header.previous_end;
        epoch = segment.header.previous_epoch;
        if (!cached) {
            memdb__wal_segment_close(&segment);
        }
    }
    return memdb__fail(error, MEMDB_CORRUPT, "log: no segment holds LSN %" PRIu64, position);
}

/// Read on from where the reader is, up to `to` or the end of its segment.
static memdb_status_t follow_segment(memdb__wal_t *wal, uint64_t *position, uint64_t to,
                                     memdb__frame_fn visit, void *context, bool *visited_failed,
                                     memdb_error_t *error) {
    memdb__wal_reader_t *r = &wal->follow;
    uint64_t limit = wal->follow_limit < to ? wal->follow_limit : to;
    for (;;) {
        memdb__frame_t frame;
        memdb_status_t status = memdb__wal_reader_next(r, limit, &frame, error);
        if (status != MEMDB_OK) {
            bool hole = limit <= r->segment.header.start;
            if (status == MEMDB_DONE && r->position < limit && !hole) {
                return memdb__fail(error, MEMDB_CORRUPT,
                                   "%s at %" PRIu64 ": no frame at LSN %" PRIu64, r->segment.name,
                                   memdb__wal_segment_offset(&r->segment, r->position),
                                   r->position);
            }
            return status;
        }
        *position = frame.end;
        status = visit(context, &frame, error);
        if (status != MEMDB_OK) {
            *visited_failed = true;
            return status;
        }
    }
}

/// One attempt from *position on.
static memdb_status_t follow_once(memdb__wal_t *wal, uint64_t *position, uint64_t to,
                                  memdb__frame_fn visit, void *context, bool *visited_failed,
                                  memdb_error_t *error) {
    memdb_status_t status = MEMDB_OK;
    while (status == MEMDB_OK) {
        memdb__wal_reader_t *r = &wal->follow;
        const memdb__wal_header_t *header = &r->segment.header;
        bool at_hand = r->segment.fd >= 0 && wal->follow_newest == newest_epoch(wal) &&
                       *position >= header->previous_end && *position < wal->follow_limit &&
                       (r->position == *position ||
                        (r->position == header->previous_end && *position <= header->start));
        if (!at_hand) {
            status = find_segment(wal, *position, error);
            if (status != MEMDB_OK) {
                return status;
            }
        }
        status = follow_segment(wal, position, to, visit, context, visited_failed, error);
        if (status != MEMDB_DONE) {
            return status;
        }
        if (to <= wal->follow_limit) {
            return MEMDB_OK;
        }
        *position = wal->follow_limit > *position ? wal->follow_limit : *position;
        status = MEMDB_OK;
    }
    return status;
}

memdb_status_t memdb__wal_follow(memdb__wal_t *wal, uint64_t from, uint64_t to,
                                 memdb__frame_fn visit, void *context, uint64_t *end_out,
                                 memdb_error_t *error) {
    memdb__control_t *control = wal->control;
    uint64_t position = from;
    if (from < to && to > atomic_load_explicit(&control->written, memory_order_acquire)) {
        return memdb__fail(error, MEMDB_INVALID, "log: LSN %" PRIu64 " is not written", to);
    }
    memdb_status_t status = MEMDB_OK;
    while (position < to) {
        bool visited_failed = false;
        uint64_t before = position, newest = newest_epoch(wal);
        status = follow_once(wal, &position, to, visit, context, &visited_failed, error);
        if (status == MEMDB_OK) {
            position = to;
            break;
        }
        // A reader that stopped badly begins afresh next time.
        memdb__wal_segment_close(&wal->follow.segment);
        if (visited_failed || status != MEMDB_CORRUPT) {
            return status;
        }
        // Acquire: pairs with the cut, which raises the word before it touches a file.
        if (atomic_load_explicit(&control->applied, memory_order_acquire) > position) {
            return memdb__fail(error, MEMDB_NOT_FOUND, "log: the cut has passed LSN %" PRIu64,
                               position);
        }
        // The newest segment may have been left, cut and recycled in the midst of looking at it.
        if (position == before && newest == newest_epoch(wal)) {
            return status;
        }
    }
    *end_out = position > from ? position : from;
    return MEMDB_OK;
}
