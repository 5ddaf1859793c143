// Writing frames into a segment of their own, batch by batch. See wal_rewrite.h.
//
// A frame's checksum covers epoch and database, so frames are encoded again; LSN, commit time and
// payload stay. Frames that followed each other without a gap were one batch and become one again.
// The first may lie in the midst of a batch whose beginning is left out: it is written without a
// batch header, which a reader accepts at the place where it starts.
#include "wal/wal_rewrite.h"

#include <inttypes.h>
#include <string.h>

static memdb_status_t no_memory(memdb_error_t *error) {
    return memdb__fail(error, MEMDB_NOMEM, "log: no memory to rewrite a batch");
}

memdb_status_t memdb__wal_rewrite_begin(memdb__wal_rewrite_t *rewrite, const memdb__wal_log_t *log,
                                        const memdb__wal_segment_t *segment, uint64_t from,
                                        memdb_error_t *error) {
    *rewrite = (memdb__wal_rewrite_t){.log = log,
                                      .segment = segment,
                                      .begin = memdb__wal_block_down(from),
                                      .end = from,
                                      .from = from};
    // The first block may keep a gap before its first frame, where a recycled file has old bytes.
    static const uint8_t zeros[MEMDB__WAL_BLOCK_BYTES];
    return memdb__io_write(segment->fd, zeros, sizeof zeros, MEMDB__WAL_BLOCK_BYTES, segment->name,
                           error);
}

memdb_status_t memdb__wal_rewrite_flush(memdb__wal_rewrite_t *rewrite, memdb_error_t *error) {
    memdb__wal_rewrite_t *r = rewrite;
    if (r->frames == 0) {
        return MEMDB_OK;
    }
    if (r->headed) {
        memdb__wal_batch_t batch = {
            .frames = r->frames,
            .epoch = r->segment->header.epoch,
            .lsn = r->begin,
            .bytes = r->end - r->begin,
            .durable = r->from,
            .previous_end = r->previous_end,
        };
        memdb__wal_batch_encode(&batch, r->log->salt, r->bytes.data);
    }
    size_t used = r->bytes.size, whole = (size_t)memdb__wal_block_up(used);
    if (!memdb__buffer_reserve(&r->bytes, whole - used)) {
        return no_memory(error);
    }
    memset(r->bytes.data + used, 0, whole - used);
    r->written += whole;
    return memdb__io_write(r->segment->fd, r->bytes.data, whole,
                           memdb__wal_segment_offset(r->segment, r->begin), r->segment->name,
                           error);
}

memdb_status_t memdb__wal_rewrite_frame(void *rewrite, const memdb__frame_t *frame,
                                        memdb_error_t *error) {
    memdb__wal_rewrite_t *r = rewrite;
    if (frame->lsn != r->end) {
        // A gap: the frame is the first of its batch, 64 bytes behind the batch's place.
        memdb_status_t status = memdb__wal_rewrite_flush(r, error);
        if (status != MEMDB_OK) {
            return status;
        }
        r->begin = frame->lsn - MEMDB__WAL_BATCH_HEADER_BYTES;
        r->previous_end = r->end;
        r->headed = true;
        r->frames = 0;
        memdb__buffer_clear(&r->bytes);
    }
    size_t at = (size_t)(frame->lsn - r->begin), size = (size_t)(frame->end - r->begin);
    if (!memdb__buffer_reserve(&r->bytes, size - r->bytes.size)) {
        return no_memory(error);
    }
    memset(r->bytes.data + r->bytes.size, 0, at - r->bytes.size);
    memdb__wal_frame_encode(r->bytes.data + at, r->log->salt, r->segment->header.epoch, frame->lsn,
                            frame->commit_time, frame->payload, frame->size);
    r->bytes.size = size;
    r->end = frame->end;
    r->frames++;
    return MEMDB_OK;
}

void memdb__wal_rewrite_deinit(memdb__wal_rewrite_t *rewrite) {
    memdb__buffer_deinit(&rewrite->bytes);
}
