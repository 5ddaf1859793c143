// Tails that recovery cut behind a hole: whole batches that nobody was told of, behind bytes that
// never reached the disk. They are no part of the log any more. A copy is kept for a person to look
// at, in `aside/<LSN at which it begins, 16 hex digits>.tail`: the raw bytes of the segment from
// the log's end on. There are few of them, and none is large; compact and purge remove them.
#include "base/memory.h"
#include "wal/wal_reader.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ASIDE "aside"
#define MOST_FILES 4
#define MOST_BYTES (UINT64_C(16) << 20) // of one; what is beyond is left out
#define COPY_BYTES 65536

typedef struct aside {
    int directory;
    uint64_t count, remove; // files seen; of the oldest, how many go
} aside_t;

static memdb_status_t count_one(void *context, const char *name, memdb_error_t *error) {
    (void)name;
    (void)error;
    ((aside_t *)context)->count++;
    return MEMDB_OK;
}

static memdb_status_t remove_one(void *context, const char *name, memdb_error_t *error) {
    aside_t *aside = context; // names rise with the LSN: the oldest come first
    if (aside->remove == 0) {
        return MEMDB_OK;
    }
    aside->remove--;
    return memdb__io_unlink(aside->directory, name, error);
}

/// Leave at most `most` files.
static memdb_status_t limit_files(int aside_directory, uint64_t most, memdb_error_t *error) {
    aside_t aside = {.directory = aside_directory};
    memdb_status_t status = memdb__io_list(aside_directory, count_one, &aside, error);
    if (status != MEMDB_OK || aside.count <= most) {
        return status;
    }
    aside.remove = aside.count - most;
    status = memdb__io_list(aside_directory, remove_one, &aside, error);
    return status == MEMDB_OK ? memdb__io_sync_all(aside_directory, ASIDE, error) : status;
}

static memdb_status_t open_aside(int directory, bool make, int *aside_out, memdb_error_t *error) {
    memdb_status_t status =
        memdb__io_open(directory, ASIDE, O_RDONLY | O_DIRECTORY, aside_out, error);
    if (status != MEMDB_NOT_FOUND || !make) {
        return status;
    }
    status = memdb__io_make_directory(directory, ASIDE, error);
    if (status == MEMDB_OK) {
        status = memdb__io_sync_all(directory, "database directory", error);
    }
    return status == MEMDB_OK
               ? memdb__io_open(directory, ASIDE, O_RDONLY | O_DIRECTORY, aside_out, error)
               : status;
}

static memdb_status_t copy_tail(int from, uint64_t offset, uint64_t size, int to, const char *name,
                                memdb_error_t *error) {
    uint8_t *buffer = memdb__allocate(COPY_BYTES);
    if (buffer == NULL) {
        return memdb__fail(error, MEMDB_NOMEM, "log: no memory to keep a tail aside");
    }
    memdb_status_t status = MEMDB_OK;
    for (uint64_t at = 0; at < size && status == MEMDB_OK; at += COPY_BYTES) {
        size_t part = size - at < COPY_BYTES ? (size_t)(size - at) : COPY_BYTES;
        status = memdb__io_read(from, buffer, part, offset + at, name, error);
        if (status == MEMDB_OK) {
            status = memdb__io_write(to, buffer, part, at, name, error);
        }
    }
    memdb__free(buffer);
    return status == MEMDB_OK ? memdb__io_sync_all(to, name, error) : status;
}

static memdb_status_t write_tail(int aside_directory, const memdb__wal_walk_t *walk,
                                 memdb_error_t *error) {
    const memdb__wal_segment_t *segment = &walk->reader.segment;
    uint64_t from = walk->end > segment->header.start ? walk->end : segment->header.start;
    uint64_t offset = memdb__wal_segment_offset(segment, from), size = 0;
    char name[MEMDB__WAL_NAME_BYTES];
    int fd;
    memdb_status_t status = memdb__io_size(segment->fd, &size, segment->name, error);
    if (status != MEMDB_OK) {
        return status;
    }
    uint64_t bytes = walk->end + walk->cut_bytes - from;
    bytes = bytes < MOST_BYTES ? bytes : MOST_BYTES;
    bytes = offset + bytes <= size ? bytes : size > offset ? size - offset : 0;
    snprintf(name, sizeof name, "%016" PRIx64 ".tail", from);
    status = memdb__io_open(aside_directory, name, O_WRONLY | O_CREAT | O_TRUNC, &fd, error);
    if (status != MEMDB_OK) {
        return status;
    }
    status = copy_tail(segment->fd, offset, bytes, fd, name, error);
    memdb__io_close(fd);
    if (status == MEMDB_OK) {
        return memdb__io_sync_all(aside_directory, ASIDE, error);
    }
    memdb__io_unlink(aside_directory, name, NULL); // the first error is the one to tell
    return status;
}

memdb_status_t memdb__wal_aside_keep(int directory, const memdb__wal_walk_t *walk, bool *kept_out,
                                     memdb_error_t *error) {
    int aside;
    memdb_status_t status = open_aside(directory, true, &aside, error);
    if (status == MEMDB_OK) {
        status = limit_files(aside, MOST_FILES - 1, error);
        if (status == MEMDB_OK) {
            status = write_tail(aside, walk, error);
        }
        memdb__io_close(aside);
    }
    *kept_out = status == MEMDB_OK;
    return status == MEMDB_FULL ? MEMDB_OK : status;
}

memdb_status_t memdb__wal_aside_remove(int directory, memdb_error_t *error) {
    int aside;
    memdb_status_t status = open_aside(directory, false, &aside, error);
    if (status != MEMDB_OK) {
        return status == MEMDB_NOT_FOUND ? MEMDB_OK : status;
    }
    status = limit_files(aside, 0, error);
    memdb__io_close(aside);
    return status;
}
