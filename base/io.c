// The I/O seam: the real table, and the helpers that complete and explain system calls.
//
// Invariants: a helper either did the whole transfer or tells an error; EINTR is retried for every
// call but sync and close: after an interrupted sync the kernel may have dropped the error that the
// second one would need to see, and after an interrupted close the descriptor is gone already.
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

// The largest transfer that Linux makes in one call is just below 2 GiB.
#define LARGEST_TRANSFER_BYTES ((size_t)1 << 30)

static int real_open_at(int directory, const char *name, int flags, mode_t mode) {
    return openat(directory, name, flags, mode);
}

static int real_stat(int fd, struct stat *out) {
    return fstat(fd, out);
}

static int real_stat_at(int directory, const char *name, struct stat *out, int flags) {
    return fstatat(directory, name, out, flags);
}

static int real_allocate(int fd, off_t offset, off_t size) {
    return fallocate(fd, 0, offset, size);
}

static void *real_map(int fd, size_t size, int protection) {
    return mmap(NULL, size, protection, MAP_SHARED, fd, 0);
}

const memdb__io_table_t memdb__io_real = {
    .open_at = real_open_at,
    .close = close,
    .pread = pread,
    .pwrite = pwrite,
    .sync_data = fdatasync,
    .sync_all = fsync,
    .truncate = ftruncate,
    .allocate = real_allocate,
    .rename_at = renameat,
    .unlink_at = unlinkat,
    .make_directory_at = mkdirat,
    .stat_at = real_stat_at,
    .stat = real_stat,
    .map = real_map,
    .unmap = munmap,
};

static const memdb__io_table_t *installed = &memdb__io_real;

void memdb__io_install(const memdb__io_table_t *table) {
    installed = table ? table : &memdb__io_real;
}

const memdb__io_table_t *memdb__io(void) {
    return installed;
}

memdb_status_t memdb__io_open(int directory, const char *name, int flags, int *fd_out,
                              memdb_error_t *error) {
    int fd;
    do
        fd = installed->open_at(directory, name, flags | O_CLOEXEC, 0600);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return memdb__fail_errno(error, errno, "%s: cannot open", name);
    *fd_out = fd;
    return MEMDB_OK;
}

void memdb__io_close(int fd) {
    if (fd >= 0)
        installed->close(fd);
}

memdb_status_t memdb__io_read(int fd, void *buffer, size_t size, uint64_t offset, const char *what,
                              memdb_error_t *error) {
    uint8_t *at = buffer;
    while (size) {
        size_t part = size < LARGEST_TRANSFER_BYTES ? size : LARGEST_TRANSFER_BYTES;
        ssize_t got = installed->pread(fd, at, part, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return memdb__fail_errno(error, errno, "%s: cannot read %zu bytes at %llu", what, part,
                                     (unsigned long long)offset);
        if (got == 0)
            return memdb__fail(error, MEMDB_CORRUPT, "%s: ends at %llu, %zu bytes early", what,
                               (unsigned long long)offset, size);
        at += got;
        offset += (uint64_t)got;
        size -= (size_t)got;
    }
    return MEMDB_OK;
}

memdb_status_t memdb__io_write(int fd, const void *buffer, size_t size, uint64_t offset,
                               const char *what, memdb_error_t *error) {
    const uint8_t *at = buffer;
    while (size) {
        size_t part = size < LARGEST_TRANSFER_BYTES ? size : LARGEST_TRANSFER_BYTES;
        ssize_t put = installed->pwrite(fd, at, part, (off_t)offset);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0) // a write of nothing would be repeated for ever
            return memdb__fail_errno(error, put < 0 ? errno : EIO,
                                     "%s: cannot write %zu bytes at %llu", what, part,
                                     (unsigned long long)offset);
        at += put;
        offset += (uint64_t)put;
        size -= (size_t)put;
    }
    return MEMDB_OK;
}

memdb_status_t memdb__io_sync_data(int fd, const char *what, memdb_error_t *error) {
    if (installed->sync_data(fd))
        return memdb__fail_errno(error, errno, "%s: cannot sync", what);
    return MEMDB_OK;
}

memdb_status_t memdb__io_sync_all(int fd, const char *what, memdb_error_t *error) {
    if (installed->sync_all(fd))
        return memdb__fail_errno(error, errno, "%s: cannot sync", what);
    return MEMDB_OK;
}

memdb_status_t memdb__io_size(int fd, uint64_t *size_out, const char *what, memdb_error_t *error) {
    struct stat status;
    if (installed->stat(fd, &status))
        return memdb__fail_errno(error, errno, "%s: cannot tell its size", what);
    *size_out = (uint64_t)status.st_size;
    return MEMDB_OK;
}

memdb_status_t memdb__io_move(int from_directory, const char *from, int to_directory,
                              const char *to, memdb_error_t *error) {
    int result;
    do
        result = installed->rename_at(from_directory, from, to_directory, to);
    while (result && errno == EINTR);
    if (result)
        return memdb__fail_errno(error, errno, "%s: cannot rename to %s", from, to);
    return MEMDB_OK;
}

memdb_status_t memdb__io_rename(int directory, const char *from, const char *to,
                                memdb_error_t *error) {
    return memdb__io_move(directory, from, directory, to, error);
}

static memdb_status_t unlink_name(int directory, const char *name, int flags,
                                  memdb_error_t *error) {
    int result;
    do
        result = installed->unlink_at(directory, name, flags);
    while (result && errno == EINTR);
    if (result && errno != ENOENT)
        return memdb__fail_errno(error, errno, "%s: cannot unlink", name);
    return MEMDB_OK;
}

memdb_status_t memdb__io_unlink(int directory, const char *name, memdb_error_t *error) {
    return unlink_name(directory, name, 0, error);
}

memdb_status_t memdb__io_remove_directory(int directory, const char *name, memdb_error_t *error) {
    return unlink_name(directory, name, AT_REMOVEDIR, error);
}

memdb_status_t memdb__io_make_directory(int directory, const char *name, memdb_error_t *error) {
    int result;
    do
        result = installed->make_directory_at(directory, name, 0700);
    while (result && errno == EINTR);
    if (!result)
        return MEMDB_OK;
    int reason = errno;
    struct stat status;
    if (reason == EEXIST && !installed->stat_at(directory, name, &status, 0) &&
        S_ISDIR(status.st_mode))
        return MEMDB_OK;
    return memdb__fail_errno(error, reason, "%s: cannot make the directory", name);
}

memdb_status_t memdb__io_map(int fd, size_t size, bool writable, void **address_out,
                             const char *what, memdb_error_t *error) {
    void *address = installed->map(fd, size, writable ? PROT_READ | PROT_WRITE : PROT_READ);
    if (address == MAP_FAILED)
        return memdb__fail_errno(error, errno, "%s: cannot map %zu bytes", what, size);
    *address_out = address;
    return MEMDB_OK;
}

void memdb__io_unmap(void *address, size_t size) {
    if (address)
        installed->unmap(address, size);
}

void memdb__io_forget(const void *address, size_t size) {
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t begin = ((uintptr_t)address + page - 1) / page * page;
    uintptr_t end = ((uintptr_t)address + size) / page * page;
    if (end > begin)
        (void)madvise((void *)begin, end - begin, MADV_DONTNEED);
}
