// Walking the log from an LSN to its end: opening, repair, read-only openers, verify.
//
// The end of the log is the first place without a whole frame, if that is a torn tail. It is damage
// when a later segment says that the log went on to a higher LSN, when a later batch of the same
// segment carries a durable LSN above it, or when the segment's closing mark says that a successor
// existed. A walk beside a writer may find such proof only because the log grew meanwhile; so it
// looks a second time before it says so.
#include "base/check.h"
#include "wal/wal_reader.h"

#include <inttypes.h>
#include <string.h>

void memdb__wal_walk_deinit(memdb__wal_walk_t *walk) {
    memdb__wal_reader_deinit(&walk->reader);
    memdb__wal_list_free(&walk->list);
}

/// Attach the reader to the segment numbered `index` of the list.
static memdb_status_t enter(memdb__wal_walk_t *walk, size_t index, memdb_error_t *error) {
    memdb__wal_segment_t segment;
    memdb_status_t status = memdb__wal_segment_open(
        walk->reader.log, walk->list.segments[index].header.epoch, false, &segment, error);
    if (status == MEMDB_NOT_FOUND) {
        status = memdb__fail(error, MEMDB_CORRUPT, "%016" PRIx64 ".log vanished while it was read",
                             walk->list.segments[index].header.epoch);
    }
    if (status == MEMDB_OK) {
        memdb__wal_reader_attach(&walk->reader, &segment, walk->end);
    }
    return status;
}

/// Read frames up to `limit`. MEMDB_DONE: reached; MEMDB_CORRUPT with `stopped_out`: no whole frame
/// here.
static memdb_status_t read_frames(memdb__wal_walk_t *walk, uint64_t limit, memdb__frame_fn visit,
                                  void *context, bool *stopped_out, memdb_error_t *error) {
    for (;;) {
        memdb__frame_t frame;
        *stopped_out = false;
        memdb_status_t status = memdb__wal_reader_next(&walk->reader, limit, &frame, error);
        if (status != MEMDB_OK) {
            *stopped_out = status == MEMDB_CORRUPT;
            return status;
        }
        walk->end = frame.end;
        walk->frames++;
        walk->last_commit_time =
            frame.commit_time > walk->last_commit_time ? frame.commit_time : walk->last_commit_time;
        status = visit != NULL ? visit(context, &frame, error) : MEMDB_OK;
        if (status != MEMDB_OK) {
            return status;
        }
    }
}

/// The last segment ends without a whole frame at walk->end: tail or damage? `again_out`: it went
/// on meanwhile; `resume_out`: in this segment, where the reader stands (it still knows what its
/// batch promised).
static memdb_status_t judge(memdb__wal_walk_t *walk, bool *again_out, bool *resume_out,
                            memdb_error_t *error) {
    memdb__wal_reader_t *r = &walk->reader;
    uint64_t torn_end = r->torn_end > r->position ? r->torn_end : 0, proof, written;
    bool marked = false;
    *again_out = *resume_out = false;
    memdb_status_t status = memdb__wal_reader_search(r, &proof, &written, error);
    if (status == MEMDB_OK) {
        status = memdb__wal_segment_is_marked(r->log, &r->segment, &marked, error);
    }
    if (status != MEMDB_OK) {
        return status;
    }
    if (proof != 0) {
        // A second look, on a copy: the walk itself reads the frame.
        memdb__frame_t frame;
        memdb__wal_reader_t second = *r;
        status = memdb__wal_reader_next(&second, memdb__wal_header_limit(&r->segment.header),
                                        &frame, error);
        r->buffer = second.buffer;
        r->buffer_bytes = second.buffer_bytes;
        r->buffered_bytes = 0;
        if (status == MEMDB_CORRUPT || status == MEMDB_DONE) {
            return memdb__fail(error, MEMDB_CORRUPT,
                               "%s at %" PRIu64 ": no whole frame at LSN %" PRIu64
                               ", but the batch at LSN %" PRIu64 " knows that it was durable",
                               r->segment.name, memdb__wal_segment_offset(&r->segment, r->next),
                               walk->end, proof);
        }
        *again_out = *resume_out = status == MEMDB_OK;
        return status;
    }
    if (marked) {
        memdb__wal_list_t list;
        status = memdb__wal_list_read(r->log, &list, error);
        if (status != MEMDB_OK) {
            return status;
        }
        bool grown =
            list.count != 0 && list.segments[list.count - 1].header.epoch > r->segment.header.epoch;
        memdb__wal_list_free(&walk->list);
        walk->list = list;
        *again_out = grown;
        return grown ? MEMDB_OK
                     : memdb__fail(error, MEMDB_CORRUPT,
                                   "the log segment that followed %s is missing", r->segment.name);
    }
    walk->hole = written > torn_end && torn_end != 0 ? true : written > walk->end && torn_end == 0;
    uint64_t last = written > torn_end ? written : torn_end;
    walk->cut_bytes = last > walk->end ? last - walk->end : 0;
    return MEMDB_OK;
}

static memdb_status_t walk_chain(memdb__wal_walk_t *walk, memdb__frame_fn visit, void *context,
                                 memdb_error_t *error) {
    size_t index = 0;
    bool resume = false;
    for (;;) {
        memdb_status_t status =
            resume ? MEMDB_OK : memdb__wal_list_find(&walk->list, walk->end, &index, error);
        if (status == MEMDB_OK && !resume) {
            status = enter(walk, index, error);
        }
        if (status != MEMDB_OK) {
            return status;
        }
        const memdb__wal_header_t *header = &walk->list.segments[index].header;
        size_t next = memdb__wal_list_next(&walk->list, index);
        bool last = next == walk->list.count, stopped = false, again = false;
        uint64_t limit = memdb__wal_header_limit(header);
        if (!last) {
            uint64_t follows = walk->list.segments[next].header.previous_end;
            if (follows > limit) { // no frame lies in a segment's last block: its mark is there
                return memdb__fail(error, MEMDB_CORRUPT,
                                   "%016" PRIx64 ".log follows LSN %" PRIu64 ", but %016" PRIx64
                                   ".log ends at %" PRIu64,
                                   walk->list.segments[next].header.epoch, follows, header->epoch,
                                   limit);
            }
            limit = follows;
        }
        status = read_frames(walk, limit, visit, context, &stopped, error);
        if (status != MEMDB_DONE && !stopped) {
            return status;
        }
        if (!last) {
            if (stopped || walk->end < limit) {
                char name[MEMDB__WAL_NAME_BYTES];
                memdb__wal_segment_name(walk->list.segments[next].header.epoch, name);
                return stopped
                           ? memdb__error_context(error, status, "log goes on in %s", name)
                           : memdb__fail(error, MEMDB_CORRUPT,
                                         "%s ends at LSN %" PRIu64 ", but %s follows LSN %" PRIu64,
                                         walk->reader.segment.name, walk->end, name, limit);
            }
            resume = false;
            continue;
        }
        status = judge(walk, &again, &resume, error);
        if (status != MEMDB_OK || !again) {
            return status;
        }
    }
}

memdb_status_t memdb__wal_walk_run(memdb__wal_walk_t *walk, const memdb__wal_log_t *log,
                                   uint64_t from, memdb__frame_fn visit, void *context,
                                   memdb_error_t *error) {
    *walk = (memdb__wal_walk_t){.end = from, .last_commit_time = INT64_MIN};
    memdb__wal_reader_init(&walk->reader, log);
    memdb_status_t status =
        from % 8 == 0 ? MEMDB_OK
                      : memdb__fail(error, MEMDB_CORRUPT,
                                    "log: LSN %" PRIu64 " is not the end of a frame", from);
    if (status == MEMDB_OK) {
        status = memdb__wal_list_read(log, &walk->list, error);
    }
    if (status == MEMDB_OK) {
        status = walk_chain(walk, visit, context, error);
    }
    if (status != MEMDB_OK) {
        memdb__wal_walk_deinit(walk);
    }
    return status;
}
