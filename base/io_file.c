// Whole files and directories, in terms of the helpers of io.c; and the clocks.
//
// Invariant of replace_file: at every moment, also after a crash, `name` is the old file or the
// whole new one. What a crash may leave is the temporary file, which the next replacement of the
// same name overwrites.
#include "base/io.h"
#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DIRECTORY_BUFFER_BYTES 32768

memdb_status_t memdb__io_replace_file(int directory, const char *name, const void *data,
                                      size_t size, memdb_error_t *error) {
    char temporary[NAME_MAX + 8];
    int length = snprintf(temporary, sizeof temporary, "%s.tmp", name);
    if (length < 0 || (size_t)length >= sizeof temporary)
        return memdb__fail(error, MEMDB_INVALID, "%s: name too long", name);
    int fd;
    memdb_status_t status =
        memdb__io_open(directory, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, &fd, error);
    if (status)
        return status;
    status = memdb__io_write(fd, data, size, 0, temporary, error);
    if (!status)
        status = memdb__io_sync_all(fd, temporary, error);
    memdb__io_close(fd);
    if (!status)
        status = memdb__io_rename(directory, temporary, name, error);
    if (status) {
        memdb__io_unlink(directory, temporary, NULL); // the first error is the one to tell
        return status;
    }
    return memdb__io_sync_all(directory, name, error);
}

memdb_status_t memdb__io_read_file(int directory, const char *name, size_t limit,
                                   uint8_t **data_out, size_t *size_out, memdb_error_t *error) {
    int fd;
    memdb_status_t status = memdb__io_open(directory, name, O_RDONLY, &fd, error);
    if (status)
        return status;
    uint8_t *data = NULL;
    uint64_t size;
    status = memdb__io_size(fd, &size, name, error);
    if (status)
        goto close_file;
    if (size > limit) {
        status = memdb__fail(error, MEMDB_CORRUPT, "%s: has %llu bytes, more than %zu", name,
                             (unsigned long long)size, limit);
        goto close_file;
    }
    data = memdb__allocate((size_t)size);
    if (!data) {
        status = memdb__fail(error, MEMDB_NOMEM, "%s: no memory for %llu bytes", name,
                             (unsigned long long)size);
        goto close_file;
    }
    status = memdb__io_read(fd, data, (size_t)size, 0, name, error);
    if (status) {
        memdb__free(data);
        goto close_file;
    }
    *data_out = data;
    *size_out = (size_t)size;
close_file:
    memdb__io_close(fd);
    return status;
}

/// All names of a directory, one after the other with their zero bytes, and how many.
static memdb_status_t collect_names(int fd, memdb__buffer_t *names, size_t *count_out,
                                    memdb_error_t *error) {
    uint8_t *entries = memdb__allocate_aligned(DIRECTORY_BUFFER_BYTES);
    if (!entries)
        return memdb__fail(error, MEMDB_NOMEM, "list: no memory");
    memdb_status_t status = MEMDB_OK;
    size_t count = 0;
    for (;;) {
        ssize_t got = getdents64(fd, entries, DIRECTORY_BUFFER_BYTES);
        if (got < 0)
            status = memdb__fail_errno(error, errno, "list: cannot read the directory");
        if (got <= 0)
            break;
        for (ssize_t at = 0; at < got;) {
            const struct dirent64 *entry = (const void *)(entries + at);
            at += entry->d_reclen;
            if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
                continue;
            memdb__buffer_append(names, entry->d_name, strlen(entry->d_name) + 1);
            count++;
        }
    }
    memdb__free_aligned(entries);
    if (!status && names->failed)
        status = memdb__fail(error, MEMDB_NOMEM, "list: no memory for the names");
    *count_out = count;
    return status;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

memdb_status_t memdb__io_list(int directory,
                              memdb_status_t (*visit)(void *context, const char *name,
                                                      memdb_error_t *error),
                              void *context, memdb_error_t *error) {
    // A descriptor of its own, since the read position belongs to the open file.
    int fd;
    memdb_status_t status = memdb__io_open(directory, ".", O_RDONLY | O_DIRECTORY, &fd, error);
    if (status)
        return status;
    memdb__buffer_t names = {0};
    size_t count = 0;
    status = collect_names(fd, &names, &count, error);
    memdb__io_close(fd);
    const char **sorted = NULL;
    if (!status) {
        sorted = memdb__allocate_zeroed(count, sizeof *sorted);
        if (!sorted)
            status = memdb__fail(error, MEMDB_NOMEM, "list: no memory for %zu names", count);
    }
    if (!status) {
        const char *at = (const char *)names.data;
        for (size_t i = 0; i < count; i++, at += strlen(at) + 1)
            sorted[i] = at;
        if (count)
            qsort(sorted, count, sizeof *sorted, compare_names);
        for (size_t i = 0; i < count && !status; i++)
            status = visit(context, sorted[i], error);
    }
    memdb__free(sorted);
    memdb__buffer_deinit(&names);
    return status;
}

int64_t memdb__now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

uint64_t memdb__monotonic_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

struct timespec memdb__deadline(uint64_t ns) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    ns += (uint64_t)at.tv_nsec;
    at.tv_sec += (time_t)(ns / 1000000000);
    at.tv_nsec = (long)(ns % 1000000000);
    return at;
}

int64_t memdb__coarse_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}
