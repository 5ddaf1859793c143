// Reading one segment frame by frame. Every byte is taken as hostile.
//
// Invariants. `position` only rises, over whole frames whose checksum covers epoch and LSN. Sizes
// are compared with the limit before memory is taken for them. A reader that begins in the middle
// of a batch knows neither its end nor its frame count; the next batch's header then tells the end
// of the frame before it, so that no lost frame goes unnoticed.
#include "wal/wal_reader.h"

#include "base/memory.h"

#include <inttypes.h>
#include <string.h>

#define READ_AHEAD_BYTES (256u << 10)
#define KEPT_BUFFER_BYTES (4u << 20) // a larger buffer is given back after its frame

void memdb__wal_reader_init(memdb__wal_reader_t *reader, const memdb__wal_log_t *log) {
    *reader = (memdb__wal_reader_t){.log = log, .segment.fd = -1};
}

void memdb__wal_reader_deinit(memdb__wal_reader_t *reader) {
    memdb__wal_segment_close(&reader->segment);
    memdb__free(reader->buffer);
    reader->buffer = NULL;
}

void memdb__wal_reader_rewind(memdb__wal_reader_t *reader) {
    const memdb__wal_header_t *header = &reader->segment.header;
    // A hole before the segment's first batch belongs to no frame.
    if (reader->position <= header->start) {
        reader->position = header->previous_end;
    }
    reader->next = reader->position < header->start ? header->start : reader->position;
    reader->batch_end = 0;
    reader->batch_frames = 0;
    reader->torn_end = 0;
    reader->buffered_bytes = 0;
}

void memdb__wal_reader_attach(memdb__wal_reader_t *reader, const memdb__wal_segment_t *segment,
                              uint64_t position) {
    if (reader->segment.fd != segment->fd) {
        memdb__wal_segment_close(&reader->segment);
    }
    reader->segment = *segment;
    reader->position = position;
    memdb__wal_reader_rewind(reader);
}

static memdb_status_t bad(const memdb__wal_reader_t *r, uint64_t lsn, memdb_error_t *error,
                          const char *what) {
    return memdb__fail(error, MEMDB_CORRUPT, "%s at %" PRIu64 ": %s at LSN %" PRIu64,
                       r->segment.name, memdb__wal_segment_offset(&r->segment, lsn), what, lsn);
}

/// Read as much as there is, at most `size` bytes.
static memdb_status_t read_some(memdb__wal_reader_t *r, uint64_t lsn, size_t size, size_t *got_out,
                                memdb_error_t *error) {
    memdb_status_t status =
        memdb__io_read(r->segment.fd, r->buffer, size, memdb__wal_segment_offset(&r->segment, lsn),
                       r->segment.name, error);
    if (status != MEMDB_CORRUPT) {
        *got_out = size;
        return status;
    }
    // The file ends before: take what is there.
    uint64_t end, offset = memdb__wal_segment_offset(&r->segment, lsn);
    status = memdb__io_size(r->segment.fd, &end, r->segment.name, error);
    if (status != MEMDB_OK) {
        return status;
    }
    *got_out = end <= offset ? 0 : end - offset < size ? (size_t)(end - offset) : size;
    return memdb__io_read(r->segment.fd, r->buffer, *got_out, offset, r->segment.name, error);
}

/// See that [lsn, lsn + size) is in the buffer; NULL at `at_out`: the file or the limit ends
/// before.
static memdb_status_t fetch(memdb__wal_reader_t *r, uint64_t lsn, uint64_t size, uint64_t limit,
                            const uint8_t **at_out, memdb_error_t *error) {
    *at_out = NULL;
    if (lsn > limit || size > limit - lsn) {
        return MEMDB_OK;
    }
    if (lsn < r->buffered || lsn - r->buffered > r->buffered_bytes ||
        size > r->buffered_bytes - (lsn - r->buffered)) {
        uint64_t want = limit - lsn < READ_AHEAD_BYTES ? limit - lsn : READ_AHEAD_BYTES;
        want = want < size ? size : want;
        if (size > READ_AHEAD_BYTES) {
            // A claimed size is believed only as far as the file has bytes for it.
            uint64_t file_bytes;
            memdb_status_t status =
                memdb__io_size(r->segment.fd, &file_bytes, r->segment.name, error);
            if (status != MEMDB_OK ||
                memdb__wal_segment_offset(&r->segment, lsn) + size > file_bytes) {
                return status;
            }
        }
        if (r->buffer_bytes < want ||
            (r->buffer_bytes > KEPT_BUFFER_BYTES && want <= KEPT_BUFFER_BYTES)) {
            memdb__free(r->buffer);
            r->buffered_bytes = 0;
            r->buffer_bytes = want < READ_AHEAD_BYTES ? READ_AHEAD_BYTES : (size_t)want;
            r->buffer = memdb__allocate(r->buffer_bytes);
            if (r->buffer == NULL) {
                r->buffer_bytes = 0;
                return memdb__fail(error, MEMDB_NOMEM,
                                   "no memory for a log frame of %" PRIu64 " bytes", size);
            }
        }
        r->buffered = lsn;
        r->buffered_bytes = 0;
        memdb_status_t status = read_some(r, lsn, (size_t)want, &r->buffered_bytes, error);
        if (status != MEMDB_OK) {
            r->buffered_bytes = 0;
            return status;
        }
    }
    if (size <= r->buffered_bytes - (lsn - r->buffered)) {
        *at_out = r->buffer + (lsn - r->buffered);
    }
    return MEMDB_OK;
}

/// Take the batch header at `lsn` (a multiple of 4096).
static memdb_status_t take_batch(memdb__wal_reader_t *r, uint64_t lsn, uint64_t limit,
                                 memdb_error_t *error) {
    const uint8_t *at;
    memdb_status_t status = fetch(r, lsn, MEMDB__WAL_BATCH_HEADER_BYTES, limit, &at, error);
    if (status != MEMDB_OK) {
        return status;
    }
    memdb__wal_batch_t batch;
    if (at == NULL ||
        !memdb__wal_batch_decode(at, r->log->salt, r->segment.header.epoch, lsn, &batch)) {
        return bad(r, lsn, error, "no batch");
    }
    if (batch.flags != 0 || batch.previous_end != r->position) {
        return bad(r, lsn, error,
                   batch.flags != 0 ? "a closing mark in the wrong place"
                                    : "a batch that follows another frame");
    }
    r->next = lsn + MEMDB__WAL_BATCH_HEADER_BYTES;
    r->batch_end = lsn + batch.bytes;
    r->batch_frames = batch.frames;
    r->torn_end = r->batch_end;
    return MEMDB_OK;
}

static memdb_status_t take_frame(memdb__wal_reader_t *r, uint64_t limit, memdb__frame_t *frame_out,
                                 memdb_error_t *error) {
    const uint8_t *at;
    uint64_t lsn = r->next;
    memdb_status_t status = fetch(r, lsn, MEMDB__WAL_FRAME_HEADER_BYTES, limit, &at, error);
    if (status != MEMDB_OK) {
        return status;
    }
    if (at == NULL || !memdb__wal_frame_is(at)) {
        return bad(r, lsn, error, "no frame");
    }
    uint32_t size = memdb__wal_frame_size(at);
    uint64_t bytes = memdb__wal_frame_bytes(size), end = lsn + bytes;
    bool known = r->batch_end != 0;
    if (size > MEMDB__WAL_MAX_PAYLOAD_BYTES ||
        (known && (end > r->batch_end || (end == r->batch_end) != (r->batch_frames == 1)))) {
        return bad(r, lsn, error, "a frame that does not fit its batch");
    }
    status = fetch(r, lsn, bytes, limit, &at, error);
    if (status != MEMDB_OK) {
        return status;
    }
    int64_t commit_time;
    if (at == NULL ||
        !memdb__wal_frame_verify(at, r->log->salt, r->segment.header.epoch, lsn, &commit_time)) {
        return bad(r, lsn, error,
                   at == NULL ? "a frame that is cut off" : "a frame's checksum mismatch");
    }
    r->position = r->next = end;
    if (known) {
        r->batch_frames--;
    }
    *frame_out = (memdb__frame_t){lsn, end, commit_time, at + MEMDB__WAL_FRAME_HEADER_BYTES, size};
    return MEMDB_OK;
}

memdb_status_t memdb__wal_reader_next(memdb__wal_reader_t *reader, uint64_t limit,
                                      memdb__frame_t *frame_out, memdb_error_t *error) {
    memdb__wal_reader_t *r = reader;
    if (r->position % 8 != 0) {
        return memdb__fail(error, MEMDB_INVALID, "LSN %" PRIu64 " is not the end of a frame",
                           r->position);
    }
    bool in_batch = r->batch_end != 0 && r->next < r->batch_end;
    if (!in_batch && r->next < limit) {
        // Between batches, or in one whose end is not known: a frame may follow here, or the next
        // block's batch.
        // Behind a hole only a batch can begin.
        bool unknown = r->batch_end == 0 && r->next == r->position;
        const uint8_t *at = NULL;
        memdb_status_t status = unknown ? fetch(r, r->next, 8, limit, &at, error) : MEMDB_OK;
        if (status != MEMDB_OK) {
            return status;
        }
        if (at == NULL || !memdb__wal_frame_is(at)) {
            uint64_t lsn = memdb__wal_block_up(r->next);
            if (lsn >= limit) {
                return MEMDB_DONE;
            }
            status = take_batch(r, lsn, limit, error);
            if (status != MEMDB_OK) {
                return status;
            }
        }
    }
    return r->next < limit ? take_frame(r, limit, frame_out, error) : MEMDB_DONE;
}

memdb_status_t memdb__wal_reader_search(memdb__wal_reader_t *reader, uint64_t *proof_out,
                                        uint64_t *written_out, memdb_error_t *error) {
    memdb__wal_reader_t *r = reader;
    uint64_t limit = memdb__wal_header_limit(&r->segment.header), proof = 0, written = 0;
    uint64_t from = memdb__wal_block_up(
        r->position < r->segment.header.start ? r->segment.header.start : r->position);
    for (uint64_t lsn = from; lsn < limit && proof == 0; lsn += MEMDB__WAL_BLOCK_BYTES) {
        const uint8_t *at;
        memdb_status_t status = fetch(r, lsn, MEMDB__WAL_BATCH_HEADER_BYTES, limit, &at, error);
        if (status != MEMDB_OK) {
            return status;
        }
        if (at == NULL) {
            break; // the file ends here
        }
        memdb__wal_batch_t batch;
        if (memdb__wal_batch_decode(at, r->log->salt, r->segment.header.epoch, lsn, &batch)) {
            written = lsn + batch.bytes;
            proof = batch.durable > r->position ? lsn : 0;
        }
    }
    r->buffered_bytes = 0;
    *proof_out = proof;
    *written_out = written;
    return MEMDB_OK;
}
