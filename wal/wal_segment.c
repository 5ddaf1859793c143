// One segment file: make, publish, mark, fill, open.
//
// Invariants. A file under a segment's name has a whole, synced header. A file is only ever written
// under the name `new` or by the holder of the writer mutex while it is the newest segment (and its
// closing mark right after that). `new` is unlinked before it is made again, so that a late write
// of a dead process falls into a file without a name.
#include "wal/wal_segment.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NEW_NAME "new"

// A pattern of zeros to fill files with; static storage, never written.
static const uint8_t zeros[256 << 10];

static const char *const recycle_names[MEMDB__WAL_RECYCLE_SLOTS] = {"recycle.0", "recycle.1"};

const char *memdb__wal_recycle_name(unsigned slot) {
    return recycle_names[slot];
}

memdb_status_t memdb__wal_log_init(memdb__wal_log_t *log, int directory,
                                   const memdb__wal_options_t *options, memdb_error_t *error) {
    *log = (memdb__wal_log_t){.directory = -1,
                              .segment_bytes = options->segment_bytes,
                              .log = options->log,
                              .log_context = options->log_context};
    if (log->segment_bytes == 0) {
        log->segment_bytes = UINT64_C(64) << 20;
    }
    log->segment_bytes = memdb__wal_block_up(log->segment_bytes);
    if (log->segment_bytes < 4 * MEMDB__WAL_BLOCK_BYTES) {
        log->segment_bytes = 4 * MEMDB__WAL_BLOCK_BYTES;
    }
    memcpy(log->database_id, options->database_id, 16);
    log->salt = memdb__wal_salt(options->database_id);
    return memdb__io_open(directory, "log", O_RDONLY | O_DIRECTORY, &log->directory, error);
}

void memdb__wal_log_deinit(memdb__wal_log_t *log) {
    memdb__io_close(log->directory);
    log->directory = -1;
}

void memdb__wal_tell(const memdb__wal_log_t *log, memdb_status_t severity, const char *format,
                     ...) {
    if (log->log == NULL) {
        return;
    }
    char message[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    log->log(log->log_context, severity, message);
}

void memdb__wal_segment_name(uint64_t epoch, char name_out[MEMDB__WAL_NAME_BYTES]) {
    snprintf(name_out, MEMDB__WAL_NAME_BYTES, "%016" PRIx64 ".log", epoch);
}

static memdb_status_t read_header(const memdb__wal_log_t *log, int fd, const char *name,
                                  memdb__wal_header_t *header_out, memdb_error_t *error) {
    uint8_t page[MEMDB__WAL_BLOCK_BYTES];
    memdb_status_t status = memdb__io_read(fd, page, sizeof page, 0, name, error);
    if (status == MEMDB_OK) {
        status = memdb__wal_header_decode(page, name, header_out, error);
    }
    if (status == MEMDB_OK && memcmp(header_out->database_id, log->database_id, 16) != 0) {
        status = memdb__fail(error, MEMDB_CORRUPT, "%s at 16: belongs to another database", name);
    }
    return status;
}

memdb_status_t memdb__wal_segment_open(const memdb__wal_log_t *log, uint64_t epoch, bool writable,
                                       memdb__wal_segment_t *segment_out, memdb_error_t *error) {
    memdb__wal_segment_t segment = {.fd = -1};
    memdb__wal_segment_name(epoch, segment.name);
    memdb_status_t status = memdb__io_open(log->directory, segment.name,
                                           writable ? O_RDWR : O_RDONLY, &segment.fd, error);
    if (status != MEMDB_OK) {
        return status;
    }
    status = read_header(log, segment.fd, segment.name, &segment.header, error);
    if (status == MEMDB_OK && segment.header.epoch != epoch) {
        status = memdb__fail(error, MEMDB_CORRUPT, "%s at 32: the header names epoch %" PRIu64,
                             segment.name, segment.header.epoch);
    }
    if (status == MEMDB_OK) {
        status = memdb__io_size(segment.fd, &segment.filled, segment.name, error);
    }
    if (status != MEMDB_OK) {
        memdb__io_close(segment.fd);
        return status;
    }
    *segment_out = segment;
    return MEMDB_OK;
}

void memdb__wal_segment_close(memdb__wal_segment_t *segment) {
    memdb__io_close(segment->fd);
    segment->fd = -1;
}

static memdb_status_t write_zeros(memdb__wal_segment_t *segment, uint64_t end,
                                  memdb_error_t *error) {
    while (segment->filled < end) {
        uint64_t left = end - segment->filled;
        size_t part = left < sizeof zeros ? (size_t)left : sizeof zeros;
        memdb_status_t status =
            memdb__io_write(segment->fd, zeros, part, segment->filled, segment->name, error);
        if (status != MEMDB_OK) {
            return status;
        }
        segment->filled += part;
    }
    return MEMDB_OK;
}

/// Take a recycled file as `new`: written before, so that syncs need no metadata. `taken_out`
/// false: there is none.
static memdb_status_t claim_recycled(const memdb__wal_log_t *log, const memdb__wal_header_t *header,
                                     bool *taken_out, memdb_error_t *error) {
    *taken_out = false;
    if (header->capacity != log->segment_bytes) {
        return MEMDB_OK;
    }
    for (unsigned slot = 0; slot < MEMDB__WAL_RECYCLE_SLOTS; slot++) {
        memdb_status_t status =
            memdb__io_rename(log->directory, recycle_names[slot], NEW_NAME, error);
        if (status == MEMDB_NOT_FOUND) {
            continue;
        }
        // The old name must be gone for good before the old header is: a power loss in between
        // would leave a file whose header does not fit its name.
        if (status == MEMDB_OK) {
            status = memdb__io_sync_all(log->directory, "log", error);
        }
        *taken_out = status == MEMDB_OK;
        return status;
    }
    return MEMDB_OK;
}

memdb_status_t memdb__wal_segment_make(const memdb__wal_log_t *log,
                                       const memdb__wal_header_t *header,
                                       memdb__wal_segment_t *segment_out, memdb_error_t *error) {
    memdb__wal_segment_t segment = {.fd = -1, .header = *header, .name = NEW_NAME};
    bool recycled = false;
    memdb_status_t status = memdb__io_unlink(log->directory, NEW_NAME, error);
    if (status == MEMDB_OK) {
        status = claim_recycled(log, header, &recycled, error);
    }
    if (status == MEMDB_OK) {
        status = memdb__io_open(log->directory, NEW_NAME,
                                recycled ? O_RDWR : O_RDWR | O_CREAT | O_EXCL, &segment.fd, error);
    }
    if (status != MEMDB_OK) {
        return status;
    }
    uint8_t page[MEMDB__WAL_BLOCK_BYTES];
    memdb__wal_header_encode(header, page);
    status = memdb__io_write(segment.fd, page, sizeof page, 0, segment.name, error);
    if (status == MEMDB_OK) {
        status = memdb__io_size(segment.fd, &segment.filled, segment.name, error);
    }
    if (status == MEMDB_OK) {
        uint64_t first = header->capacity < MEMDB__WAL_FIRST_FILL_BYTES
                             ? header->capacity
                             : MEMDB__WAL_FIRST_FILL_BYTES;
        status = write_zeros(&segment, MEMDB__WAL_BLOCK_BYTES + first, error);
    }
    if (status != MEMDB_OK) {
        memdb__wal_segment_close(&segment);
        memdb__io_unlink(log->directory, NEW_NAME,
                         NULL); // the first error is the one to tell; opening removes it too
        return status;
    }
    *segment_out = segment;
    return MEMDB_OK;
}

memdb_status_t memdb__wal_segment_publish(const memdb__wal_log_t *log,
                                          memdb__wal_segment_t *segment, memdb_error_t *error) {
    memdb_status_t status = memdb__io_sync_all(segment->fd, segment->name, error);
    if (status == MEMDB_OK) {
        memdb__wal_segment_name(segment->header.epoch, segment->name);
        status = memdb__io_rename(log->directory, NEW_NAME, segment->name, error);
    }
    if (status == MEMDB_OK) {
        status = memdb__io_sync_all(log->directory, "log", error);
    }
    if (status != MEMDB_OK) {
        memdb__wal_segment_close(segment);
    }
    return status;
}

memdb_status_t memdb__wal_segment_mark(const memdb__wal_log_t *log,
                                       const memdb__wal_segment_t *segment, uint64_t end,
                                       memdb_error_t *error) {
    uint8_t block[MEMDB__WAL_BLOCK_BYTES] = {0};
    uint64_t lsn = memdb__wal_header_limit(&segment->header);
    memdb__wal_batch_t batch = {
        .flags = MEMDB__WAL_BATCH_CLOSING,
        .epoch = segment->header.epoch,
        .lsn = lsn,
        .bytes = MEMDB__WAL_BATCH_HEADER_BYTES,
        .durable = end,
        .previous_end = end,
    };
    memdb__wal_batch_encode(&batch, log->salt, block);
    memdb_status_t status =
        memdb__io_write(segment->fd, block, sizeof block, memdb__wal_segment_offset(segment, lsn),
                        segment->name, error);
    if (status == MEMDB_FULL) {
        // The block may be a hole of the file so far. Without the mark the log is as whole as with
        // it: only the later loss of the successor's file would go unnoticed.
        memdb__wal_tell(log, MEMDB_FULL,
                        "%s is left without its closing mark: the file system is full",
                        segment->name);
        return MEMDB_OK;
    }
    return status == MEMDB_OK ? memdb__io_sync_data(segment->fd, segment->name, error) : status;
}

memdb_status_t memdb__wal_segment_is_marked(const memdb__wal_log_t *log,
                                            const memdb__wal_segment_t *segment, bool *marked_out,
                                            memdb_error_t *error) {
    uint8_t bytes[MEMDB__WAL_BATCH_HEADER_BYTES];
    uint64_t size, lsn = memdb__wal_header_limit(&segment->header),
                   offset = memdb__wal_segment_offset(segment, lsn);
    memdb_status_t status = memdb__io_size(segment->fd, &size, segment->name, error);
    if (status != MEMDB_OK) {
        return status;
    }
    bool marked = false;
    if (size >= offset + sizeof bytes) {
        status = memdb__io_read(segment->fd, bytes, sizeof bytes, offset, segment->name, error);
        memdb__wal_batch_t batch;
        marked = status == MEMDB_OK &&
                 memdb__wal_batch_decode(bytes, log->salt, segment->header.epoch, lsn, &batch) &&
                 batch.flags == MEMDB__WAL_BATCH_CLOSING;
    }
    if (status == MEMDB_OK) {
        *marked_out = marked;
    }
    return status;
}

/// Give a large range its blocks without writing it twice. False: the file system cannot, fill it
/// with zeros.
static bool allocate_range(memdb__wal_segment_t *segment, uint64_t end, memdb_status_t *status_out,
                           memdb_error_t *error) {
    int result;
    do {
        result = memdb__io()->allocate(segment->fd, (off_t)segment->filled,
                                       (off_t)(end - segment->filled));
    } while (result != 0 && errno == EINTR);
    if (result != 0 && (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL)) {
        return false;
    }
    if (result == 0) {
        segment->filled = end;
        *status_out = MEMDB_OK;
    } else {
        *status_out = memdb__fail_errno(error, errno, "%s: cannot allocate up to %" PRIu64,
                                        segment->name, end);
    }
    return true;
}

memdb_status_t memdb__wal_segment_extend(memdb__wal_segment_t *segment, uint64_t end,
                                         memdb_error_t *error) {
    memdb_status_t status = memdb__io_size(segment->fd, &segment->filled, segment->name, error);
    return status == MEMDB_OK ? write_zeros(segment, end, error) : status;
}

memdb_status_t memdb__wal_segment_fill(memdb__wal_segment_t *segment, uint64_t end,
                                       bool *failed_out, bool *grown_out, memdb_error_t *error) {
    *failed_out = *grown_out = false;
    if (end <= segment->filled) {
        return MEMDB_OK;
    }
    // Another process may have filled it meanwhile.
    memdb_status_t status = memdb__io_size(segment->fd, &segment->filled, segment->name, error);
    if (status != MEMDB_OK || end <= segment->filled) {
        return status;
    }
    if (end - segment->filled > MEMDB__WAL_FILL_STEP_BYTES &&
        allocate_range(segment, end, &status, error)) {
        *failed_out = status != MEMDB_OK && status != MEMDB_FULL;
        return status;
    }
    uint64_t most = MEMDB__WAL_BLOCK_BYTES + segment->header.capacity;
    uint64_t goal = segment->filled + MEMDB__WAL_FILL_PART_BYTES;
    goal = goal < end ? end : goal;
    status = write_zeros(segment, goal < most ? goal : most, error);
    *failed_out = status != MEMDB_OK && status != MEMDB_FULL;
    *grown_out = status == MEMDB_OK;
    if (status == MEMDB_FULL && segment->filled >= end) {
        status = MEMDB_OK; // not the whole step, but enough for now
    }
    return status;
}

#define AGAIN_BYTES (64u << 10)

memdb_status_t memdb__wal_segment_write_again(const memdb__wal_segment_t *segment, uint64_t from,
                                              uint64_t to, memdb_error_t *error) {
    uint64_t limit = memdb__wal_header_limit(&segment->header);
    // A batch begins with a block: what shares its block with `from` lies below it.
    from = memdb__wal_block_up(from > segment->header.start ? from : segment->header.start);
    to = memdb__wal_block_up(to) < limit ? memdb__wal_block_up(to) : limit;
    uint8_t *bytes = from < to ? memdb__allocate(AGAIN_BYTES) : NULL;
    if (from < to && !bytes) {
        return memdb__fail(error, MEMDB_NOMEM, "log: no memory to write frames again");
    }
    memdb_status_t status = MEMDB_OK;
    while (!status && from < to) {
        size_t size = to - from < AGAIN_BYTES ? (size_t)(to - from) : AGAIN_BYTES;
        uint64_t offset = memdb__wal_segment_offset(segment, from);
        status = memdb__io_read(segment->fd, bytes, size, offset, segment->name, error);
        status = status ? status
                        : memdb__io_write(segment->fd, bytes, size, offset, segment->name, error);
        from += size;
    }
    memdb__free(bytes);
    return status;
}
