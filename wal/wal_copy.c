// Writing frames as one whole segment of another log. See copy.h.
//
// Invariants. The file has the name `new` until all of it is synced; a copy that was cut off leaves
// nothing that a reader of the log looks at, and the next one begins it anew. A copy that follows
// others starts at the block behind `from`: a log's durable end is the end of a batch, so the next
// frame lies there or above. A whole one starts in the block of `from`, which may lie in a batch.
#include "base/memory.h"
#include "wal/copy.h"
#include "wal/wal_rewrite.h"

#include <string.h>

#define NEW_NAME "new"

struct memdb__wal_copy {
    memdb__wal_log_t log;
    memdb__wal_segment_t segment;
    memdb__wal_rewrite_t rewrite;
    memdb__wal_list_t before; // the segments that were there
    bool whole, finished, published;
};

/// The header: where the segment starts and what it follows. The capacity is known at the end.
static void plan(memdb__wal_copy_t *copy, const memdb__wal_copy_options_t *options,
                 memdb__wal_header_t *header) {
    const memdb__wal_list_t *list = &copy->before;
    uint64_t newest = list->count ? list->segments[list->count - 1].header.epoch : 0;
    uint64_t epoch = newest + 1 > options->epoch_floor ? newest + 1 : options->epoch_floor;
    memdb__wal_list_successor(list, &copy->log, options->from, options->whole, epoch, header);
    header->previous_epoch = options->whole ? 0 : header->previous_epoch;
    header->capacity = 2 * MEMDB__WAL_BLOCK_BYTES;
    header->flags = options->marked ? MEMDB__WAL_SEGMENT_COPY : 0;
}

memdb_status_t memdb__wal_copy_begin(int directory, const memdb__wal_copy_options_t *options,
                                     memdb__wal_copy_t **copy_out, memdb_error_t *error) {
    memdb__wal_copy_t *copy = memdb__allocate_zeroed(1, sizeof *copy);
    if (copy == NULL) {
        return memdb__fail(error, MEMDB_NOMEM, "log: no memory for a copy");
    }
    copy->log.directory = copy->segment.fd = -1;
    copy->whole = options->whole;
    memdb__wal_header_t header;
    memdb_status_t status = memdb__io_make_directory(directory, "log", error);
    if (status == MEMDB_OK) {
        status = memdb__wal_log_init(&copy->log, directory, &options->log, error);
    }
    if (status == MEMDB_OK) {
        status = memdb__wal_list_read(&copy->log, &copy->before, error);
    }
    if (status == MEMDB_OK) {
        plan(copy, options, &header);
        status = memdb__wal_segment_make(&copy->log, &header, &copy->segment, error);
    }
    if (status == MEMDB_OK) {
        status = memdb__wal_rewrite_begin(&copy->rewrite, &copy->log, &copy->segment, options->from,
                                          error);
    }
    if (status != MEMDB_OK) {
        memdb__wal_copy_destroy(copy);
        return memdb__error_context(error, status, "copy the log");
    }
    *copy_out = copy;
    return MEMDB_OK;
}

memdb_status_t memdb__wal_copy_frame(void *copy, const memdb__frame_t *frame,
                                     memdb_error_t *error) {
    memdb__wal_copy_t *c = copy;
    return memdb__wal_rewrite_frame(&c->rewrite, frame, error);
}

memdb_status_t memdb__wal_copy_finish(memdb__wal_copy_t *copy, uint64_t *bytes_out,
                                      memdb_error_t *error) {
    memdb__wal_header_t *header = &copy->segment.header;
    uint8_t page[MEMDB__WAL_BLOCK_BYTES];
    memdb_status_t status = memdb__wal_rewrite_flush(&copy->rewrite, error);
    uint64_t end = memdb__wal_block_up(copy->rewrite.end);
    if (end > header->start) {
        header->capacity = end - header->start + 2 * MEMDB__WAL_BLOCK_BYTES;
    }
    memdb__wal_header_encode(header, page);
    if (status == MEMDB_OK) {
        status = memdb__io_write(copy->segment.fd, page, sizeof page, 0, copy->segment.name, error);
    }
    if (status == MEMDB_OK) {
        status = memdb__io_sync_all(copy->segment.fd, copy->segment.name, error);
    }
    if (status != MEMDB_OK) {
        return memdb__error_context(error, status, "copy the log");
    }
    copy->finished = true;
    *bytes_out = sizeof page + copy->rewrite.written;
    return MEMDB_OK;
}

/// A mark in the segment before says that this one exists, so that its loss is noticed.
static memdb_status_t mark_predecessor(memdb__wal_copy_t *copy, memdb_error_t *error) {
    const memdb__wal_header_t *header = &copy->segment.header;
    memdb__wal_segment_t before;
    if (header->previous_epoch == 0) {
        return MEMDB_OK;
    }
    memdb_status_t status =
        memdb__wal_segment_open(&copy->log, header->previous_epoch, true, &before, error);
    if (status == MEMDB_OK) {
        status = memdb__wal_segment_mark(&copy->log, &before, header->previous_end, error);
        memdb__wal_segment_close(&before);
    }
    return status;
}

static memdb_status_t unlink_before(memdb__wal_copy_t *copy, memdb_error_t *error) {
    memdb_status_t status = MEMDB_OK;
    for (size_t i = 0; i < copy->before.count && status == MEMDB_OK; i++) {
        char name[MEMDB__WAL_NAME_BYTES];
        memdb__wal_segment_name(copy->before.segments[i].header.epoch, name);
        status = memdb__io_unlink(copy->log.directory, name, error);
    }
    return status;
}

memdb_status_t memdb__wal_copy_publish(memdb__wal_copy_t *copy, memdb_error_t *error) {
    memdb_status_t status = memdb__wal_segment_publish(&copy->log, &copy->segment, error);
    copy->published = true; // or the outcome is unknown: it is not unlinked
    if (status == MEMDB_OK) {
        status = copy->whole ? unlink_before(copy, error) : mark_predecessor(copy, error);
    }
    return status == MEMDB_OK ? status : memdb__error_context(error, status, "copy the log");
}

void memdb__wal_copy_destroy(memdb__wal_copy_t *copy) {
    if (copy == NULL) {
        return;
    }
    if (!copy->published && copy->segment.fd >= 0) {
        memdb__io_unlink(copy->log.directory, NEW_NAME, NULL);
    }
    memdb__wal_rewrite_deinit(&copy->rewrite);
    memdb__wal_segment_close(&copy->segment);
    memdb__wal_list_free(&copy->before);
    memdb__wal_log_deinit(&copy->log);
    memdb__free(copy);
}

memdb_status_t memdb__wal_copy_is_pure(int directory, const memdb__wal_options_t *options,
                                       bool *pure_out, char name_out[32], memdb_error_t *error) {
    memdb__wal_log_t log;
    memdb__wal_list_t list;
    memdb_status_t status = memdb__wal_log_init(&log, directory, options, error);
    if (status != MEMDB_OK) {
        return status;
    }
    status = memdb__wal_list_read(&log, &list, error);
    if (status == MEMDB_OK) {
        *pure_out = true;
        for (size_t i = 0; i < list.count; i++) {
            if ((list.segments[i].header.flags & MEMDB__WAL_SEGMENT_COPY) == 0) {
                *pure_out = false;
                memdb__wal_segment_name(list.segments[i].header.epoch, name_out);
            }
        }
        memdb__wal_list_free(&list);
    }
    memdb__wal_log_deinit(&log);
    return status;
}
