// The archive of the log, and reading a range of log and archive together. See copy.h.
//
// A segment is moved with one rename, log to archive, and never back; so a reader that looks into
// the log first and into the archive then finds each segment that neither trim nor limit removed.
// A file in the archive never changes: what a dead writer may still write to it lies at or above
// the end that the successor's header names, where no reader looks.
#include "base/memory.h"
#include "wal/copy.h"
#include "wal/wal_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#define NAME "archive"

memdb_status_t memdb__archive_open(int directory, int *archive_out, memdb_error_t *error) {
    memdb_status_t status =
        memdb__io_open(directory, NAME, O_RDONLY | O_DIRECTORY, archive_out, error);
    if (status == MEMDB_NOT_FOUND) {
        *archive_out = -1;
        status = MEMDB_OK;
    }
    return status;
}

memdb_status_t memdb__archive_begin(int directory, memdb_error_t *error) {
    memdb_status_t status = memdb__io_make_directory(directory, NAME, error);
    return status == MEMDB_OK ? memdb__io_sync_all(directory, "the database directory", error)
                              : status;
}

static memdb_status_t unlink_one(void *context, const char *name, memdb_error_t *error) {
    return memdb__io_unlink(*(int *)context, name, error);
}

memdb_status_t memdb__archive_end(int directory, memdb_error_t *error) {
    int archive = -1;
    memdb_status_t status = memdb__archive_open(directory, &archive, error);
    if (status != MEMDB_OK || archive < 0) {
        return status;
    }
    status = memdb__io_list(archive, unlink_one, &archive, error);
    memdb__io_close(archive);
    status = status == MEMDB_OK ? memdb__io_remove_directory(directory, NAME, error) : status;
    return status == MEMDB_OK ? memdb__io_sync_all(directory, "the database directory", error)
                              : status;
}

typedef struct tally {
    int archive;
    uint64_t bytes;
} tally_t;

static memdb_status_t tally_one(void *context, const char *name, memdb_error_t *error) {
    (void)error;
    tally_t *tally = context;
    struct stat info;
    if (memdb__io()->stat_at(tally->archive, name, &info, 0) == 0) { // else it was trimmed
        tally->bytes += (uint64_t)info.st_size;
    }
    return MEMDB_OK;
}

memdb_status_t memdb__archive_bytes(int directory, uint64_t *bytes_out, memdb_error_t *error) {
    tally_t tally = {-1, 0};
    memdb_status_t status = memdb__archive_open(directory, &tally.archive, error);
    if (status == MEMDB_OK && tally.archive >= 0) {
        status = memdb__io_list(tally.archive, tally_one, &tally, error);
        memdb__io_close(tally.archive);
    }
    if (status == MEMDB_OK) {
        *bytes_out = tally.bytes;
    }
    return status;
}

// ------------------------------------------------------------------------------ both as one chain

/// Log and archive of a database, open. archive.directory -1: there is none.
typedef struct both {
    memdb__wal_log_t log, archive;
    memdb__wal_list_t list;
} both_t;

static void close_both(both_t *both) {
    memdb__wal_list_free(&both->list);
    memdb__wal_log_deinit(&both->archive);
    memdb__wal_log_deinit(&both->log);
}

static memdb_status_t open_both(both_t *both, int directory, const memdb__wal_options_t *options,
                                memdb_error_t *error) {
    *both = (both_t){0};
    memdb_status_t status = memdb__wal_log_init(&both->log, directory, options, error);
    if (status != MEMDB_OK) {
        return status;
    }
    both->archive = both->log;
    both->archive.directory = -1;
    status = memdb__archive_open(directory, &both->archive.directory, error);
    if (status == MEMDB_OK) {
        const memdb__wal_log_t *archive = both->archive.directory < 0 ? NULL : &both->archive;
        status = memdb__wal_list_read_both(&both->log, archive, &both->list, error);
    }
    if (status != MEMDB_OK) {
        close_both(both);
    }
    return status;
}

memdb_status_t memdb__archive_trim(int directory, const memdb__wal_options_t *options, uint64_t lsn,
                                   memdb_error_t *error) {
    both_t both;
    memdb_status_t status = open_both(&both, directory, options, error);
    if (status != MEMDB_OK) {
        return status;
    }
    for (size_t i = 0; i < both.list.count && status == MEMDB_OK; i++) {
        const memdb__wal_listed_t *segment = &both.list.segments[i];
        size_t next = memdb__wal_list_next(&both.list, i);
        bool over = next < both.list.count && both.list.segments[next].header.previous_end <= lsn;
        if (segment->archived && (over || !segment->live)) {
            char name[MEMDB__WAL_NAME_BYTES];
            memdb__wal_segment_name(segment->header.epoch, name);
            status = memdb__io_unlink(both.archive.directory, name, error);
        }
    }
    close_both(&both);
    return status;
}

/// Open a segment of the list, wherever it is by now.
static memdb_status_t open_segment(const both_t *both, uint64_t epoch,
                                   memdb__wal_segment_t *segment_out, memdb_error_t *error) {
    memdb_status_t status = memdb__wal_segment_open(&both->log, epoch, false, segment_out, error);
    if (status == MEMDB_NOT_FOUND && both->archive.directory >= 0) {
        status = memdb__wal_segment_open(&both->archive, epoch, false, segment_out, error);
    }
    if (status == MEMDB_NOT_FOUND) {
        status = memdb__fail(error, MEMDB_CORRUPT, "%016" PRIx64 ".log vanished while it was read",
                             epoch);
    }
    return status;
}

/// Read the frames of the reader's segment up to `limit`, which must be the end of one.
static memdb_status_t read_segment(memdb__wal_reader_t *reader, uint64_t limit,
                                   memdb__frame_fn visit, void *context, memdb_error_t *error) {
    memdb_status_t status;
    memdb__frame_t frame;
    while ((status = memdb__wal_reader_next(reader, limit, &frame, error)) == MEMDB_OK) {
        status = visit(context, &frame, error);
        if (status != MEMDB_OK) {
            return status;
        }
    }
    if (status == MEMDB_DONE) {
        status =
            reader->position >= limit
                ? MEMDB_OK
                : memdb__fail(error, MEMDB_CORRUPT, "%s at %" PRIu64 ": no frame at LSN %" PRIu64,
                              reader->segment.name,
                              memdb__wal_segment_offset(&reader->segment, reader->next),
                              reader->position);
    }
    return status;
}

static memdb_status_t read_range(const both_t *both, uint64_t from, uint64_t to,
                                 memdb__frame_fn visit, void *context, memdb_error_t *error) {
    size_t index;
    memdb__wal_reader_t reader;
    memdb_status_t status = memdb__wal_list_find(&both->list, from, &index, error);
    if (status == MEMDB_CORRUPT) {
        return error != NULL ? (error->status = MEMDB_NOT_FOUND) : MEMDB_NOT_FOUND;
    }
    memdb__wal_reader_init(&reader, &both->log);
    for (uint64_t position = from; status == MEMDB_OK && position < to;) {
        const memdb__wal_header_t *header = &both->list.segments[index].header;
        size_t next = memdb__wal_list_next(&both->list, index);
        uint64_t limit = next < both->list.count ? both->list.segments[next].header.previous_end
                                                 : memdb__wal_header_limit(header);
        memdb__wal_segment_t segment;
        status = open_segment(both, header->epoch, &segment, error);
        if (status == MEMDB_OK && position < limit) {
            memdb__wal_reader_attach(&reader, &segment, position);
            position = limit < to ? limit : to;
            status = read_segment(&reader, position, visit, context, error);
        } else if (status == MEMDB_OK) {
            memdb__wal_segment_close(&segment);
        }
        if (status == MEMDB_OK && position < to && next == both->list.count) {
            status =
                memdb__fail(error, MEMDB_CORRUPT,
                            "log: ends at LSN %" PRIu64 ", %" PRIu64 " was durable", position, to);
        }
        index = next;
    }
    memdb__wal_reader_deinit(&reader);
    return status;
}

memdb_status_t memdb__wal_range(int directory, const memdb__wal_options_t *options, uint64_t from,
                                uint64_t to, memdb__frame_fn visit, void *context,
                                memdb_error_t *error) {
    both_t both;
    if (from >= to) {
        return MEMDB_OK;
    }
    memdb_status_t status = open_both(&both, directory, options, error);
    if (status == MEMDB_OK) {
        status = read_range(&both, from, to, visit, context, error);
        close_both(&both);
    }
    return status;
}
