// The functions of the C library that change files, as the recorder makes them. See recorder.h.
//
// Each makes the system call itself. What a call changed is found out under the recorder's lock,
// before and after it; a call that failed changed nothing. fsync and its kin only append an event;
// sync_file_range promises nothing and appends none.
#include "base/uring.h"
#include "tests/crash/recorder_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096

// ------------------------------------------------------------------------------ opening

static int open_boot(uint32_t boot) {
    char text[64];
    int size = snprintf(text, sizeof text, "00000000-0000-4000-8000-%012x\n", boot);
    int fd = memfd_create("boot_id", MFD_CLOEXEC);
    if (fd < 0 || syscall(SYS_pwrite64, fd, text, (size_t)size, 0L) != size) {
        recorder_give_up("boot_id");
    }
    return fd;
}

static long open_recorded(int directory, const char *path, int flags, mode_t mode) {
    const char *name;
    struct stat about;
    uint32_t parent = recorder_parent_of(directory, path, &name);
    bool existed = fstatat(directory, path, &about, 0) == 0;
    if (parent != NO_NODE && (flags & (O_CREAT | O_TRUNC))) {
        recorder_dies(DEATH_BEFORE);
    }
    long fd = syscall(SYS_openat, directory, path, flags, mode);
    if (fd < 0 || fstat((int)fd, &about) != 0) {
        return fd;
    }
    uint32_t node = recorder_find(&about);
    if (parent == NO_NODE) {
        if (node != NO_NODE && S_ISREG(about.st_mode)) {
            recorder_forget(node); // a file elsewhere got the number of one that is gone
        }
        return fd;
    }
    if (!existed) {
        recorder_append_named(EVENT_CREATE, parent, recorder_add(&about), name);
    } else if (node != NO_NODE && (flags & O_TRUNC)) {
        recorder_append(EVENT_TRUNCATE, node, 0);
    }
    if (flags & (O_CREAT | O_TRUNC)) {
        recorder_dies(DEATH_AFTER);
    }
    return fd;
}

static int open_any(int directory, const char *path, int flags, mode_t mode) {
    uint32_t boot;
    if (strcmp(path, "/proc/sys/kernel/random/boot_id") == 0 && recorder_boot(&boot)) {
        return open_boot(boot);
    }
    if (!recorder_enter()) {
        return (int)syscall(SYS_openat, directory, path, flags, mode);
    }
    return (int)recorder_leave_with(open_recorded(directory, path, flags, mode));
}

#define MODE_ARGUMENT(mode, last)                                                                  \
    mode_t mode = 0;                                                                               \
    if (flags & (O_CREAT | O_TMPFILE)) {                                                           \
        va_list arguments;                                                                         \
        va_start(arguments, last);                                                                 \
        mode = va_arg(arguments, mode_t);                                                          \
        va_end(arguments);                                                                         \
    }

int open(const char *path, int flags, ...) {
    MODE_ARGUMENT(mode, flags)
    return open_any(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    MODE_ARGUMENT(mode, flags)
    return open_any(AT_FDCWD, path, flags, mode);
}

int openat(int directory, const char *path, int flags, ...) {
    MODE_ARGUMENT(mode, flags)
    return open_any(directory, path, flags, mode);
}

int openat64(int directory, const char *path, int flags, ...) {
    MODE_ARGUMENT(mode, flags)
    return open_any(directory, path, flags, mode);
}

int creat(const char *path, mode_t mode) {
    return open_any(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode);
}

// ------------------------------------------------------------------------------ writing

static bool writes_durably(int fd, int flags) {
    int open_flags = fcntl(fd, F_GETFL);
    return (flags & (RWF_DSYNC | RWF_SYNC)) || (open_flags >= 0 && (open_flags & O_DSYNC));
}

/// The first half of a write, and the end of the process. The kernel looks for a deadly signal
/// between pages alone, so a write ends where a page does.
static _Noreturn void die_half_written(int fd, uint32_t node, const struct iovec *parts,
                                       uint64_t offset) {
    uint64_t end = (offset + parts[0].iov_len / 2) & ~(uint64_t)(PAGE - 1);
    struct iovec half = {parts[0].iov_base, end > offset ? (size_t)(end - offset) : 0};
    long put = syscall(SYS_pwrite64, fd, half.iov_base, half.iov_len, (long)offset);
    if (put > 0) {
        recorder_append_write(node, &half, 1, offset, (uint64_t)put, false);
    }
    recorder_die();
}

/// `offset` below 0: at the descriptor's position.
static ssize_t write_any(int fd, const struct iovec *parts, int count, off_t offset, int flags) {
    uint32_t node;
    if (!recorder_enter()) {
        return syscall(SYS_pwritev2, fd, parts, (long)count, (long)offset, 0L, flags);
    }
    node = recorder_find_open(fd);
    if (node == NO_NODE) {
        recorder_leave_with(0);
        return syscall(SYS_pwritev2, fd, parts, (long)count, (long)offset, 0L, flags);
    }
    off_t at = offset >= 0 ? offset : lseek(fd, 0, SEEK_CUR);
    if (fcntl(fd, F_GETFL) & O_APPEND) {
        struct stat about;
        at = fstat(fd, &about) == 0 ? about.st_size : at;
    }
    recorder_dies(DEATH_BEFORE);
    if (recorder_dies(DEATH_HALF_WRITTEN)) {
        die_half_written(fd, node, parts, (uint64_t)at);
    }
    long put = syscall(SYS_pwritev2, fd, parts, (long)count, (long)offset, 0L, flags);
    if (put > 0) {
        recorder_append_write(node, parts, count, (uint64_t)at, (uint64_t)put,
                              writes_durably(fd, flags));
    }
    recorder_dies(DEATH_AFTER);
    return recorder_leave_with(put);
}

static ssize_t write_one(int fd, const void *buffer, size_t size, off_t offset) {
    struct iovec part = {(void *)(uintptr_t)buffer, size};
    return write_any(fd, &part, 1, offset, 0);
}

ssize_t write(int fd, const void *buffer, size_t size) {
    return write_one(fd, buffer, size, -1);
}

ssize_t pwrite(int fd, const void *buffer, size_t size, off_t offset) {
    return write_one(fd, buffer, size, offset);
}

ssize_t pwrite64(int fd, const void *buffer, size_t size, off_t offset) {
    return write_one(fd, buffer, size, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    return write_any(fd, parts, count, -1, 0);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
    return write_any(fd, parts, count, offset, 0);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t offset) {
    return write_any(fd, parts, count, offset, 0);
}

ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t offset, int flags) {
    return write_any(fd, parts, count, offset, flags);
}

/// Record what lies in a file now, for a call that brought bytes which no buffer here holds.
static void record_back(int fd, uint32_t node, uint64_t offset, size_t size) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int copy = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    struct iovec bytes = {malloc(size), size};
    if (copy < 0 || !bytes.iov_base ||
        pread(copy, bytes.iov_base, size, (off_t)offset) != (ssize_t)size) {
        recorder_give_up("reading back");
    }
    recorder_append_write(node, &bytes, 1, offset, size, writes_durably(fd, 0));
    free(bytes.iov_base);
    syscall(SYS_close, copy);
}

ssize_t copy_file_range(int from, off_t *from_at, int to, off_t *to_at, size_t size,
                        unsigned flags) {
    if (!recorder_enter()) {
        return syscall(SYS_copy_file_range, from, from_at, to, to_at, size, flags);
    }
    uint32_t node = recorder_find_open(to);
    off_t at = to_at ? *to_at : lseek(to, 0, SEEK_CUR);
    recorder_dies(DEATH_BEFORE);
    long put = syscall(SYS_copy_file_range, from, from_at, to, to_at, size, flags);
    if (put > 0 && node != NO_NODE) {
        record_back(to, node, (uint64_t)at, (size_t)put);
    }
    recorder_dies(DEATH_AFTER);
    return recorder_leave_with(put);
}

/// io_uring: around the adapter (linked with --wrap).
memdb_status_t __real_memdb__uring_write(memdb__uring_t *ring, int fd, const void *data,
                                         size_t size, uint64_t offset, bool sync, const char *what,
                                         memdb_error_t *error);
memdb_status_t __wrap_memdb__uring_write(memdb__uring_t *ring, int fd, const void *data,
                                         size_t size, uint64_t offset, bool sync, const char *what,
                                         memdb_error_t *error);

memdb_status_t __wrap_memdb__uring_write(memdb__uring_t *ring, int fd, const void *data,
                                         size_t size, uint64_t offset, bool sync, const char *what,
                                         memdb_error_t *error) {
    if (!recorder_enter()) {
        return __real_memdb__uring_write(ring, fd, data, size, offset, sync, what, error);
    }
    uint32_t node = recorder_find_open(fd);
    struct iovec part = {(void *)(uintptr_t)data, size};
    recorder_dies(DEATH_BEFORE);
    memdb_status_t status =
        __real_memdb__uring_write(ring, fd, data, size, offset, sync, what, error);
    if (status == MEMDB_OK && node != NO_NODE) {
        if (size) {
            recorder_append_write(node, &part, 1, offset, size, writes_durably(fd, 0));
        }
        if (sync) {
            recorder_append(EVENT_SYNC, node, 0);
        }
    }
    recorder_dies(DEATH_AFTER);
    return (memdb_status_t)recorder_leave_with(status);
}

// ------------------------------------------------------------------------------ sizes

static int resize(int fd, off_t size) {
    if (!recorder_enter()) {
        return (int)syscall(SYS_ftruncate, fd, (long)size);
    }
    uint32_t node = recorder_find_open(fd);
    recorder_dies(DEATH_BEFORE);
    long result = syscall(SYS_ftruncate, fd, (long)size);
    if (result == 0 && node != NO_NODE) {
        recorder_append(EVENT_TRUNCATE, node, 0)->size = (uint64_t)size;
    }
    recorder_dies(DEATH_AFTER);
    return (int)recorder_leave_with(result);
}

int ftruncate(int fd, off_t size) {
    return resize(fd, size);
}

int ftruncate64(int fd, off_t size) {
    return resize(fd, size);
}

/// A hole or a range of zeros, as far as the file reaches.
static void append_zeros(int fd, uint32_t node, uint64_t offset, uint64_t size, bool keep_size) {
    struct stat about;
    if (keep_size && fstat(fd, &about) == 0 && offset + size > (uint64_t)about.st_size) {
        size = (uint64_t)about.st_size > offset ? (uint64_t)about.st_size - offset : 0;
    }
    event_t *event = recorder_append(EVENT_WRITE, node, 0);
    event->zeros = true;
    event->offset = offset;
    event->size = size;
}

static int allocate(int fd, int mode, off_t offset, off_t size) {
    if (!recorder_enter()) {
        return (int)syscall(SYS_fallocate, fd, mode, (long)offset, (long)size);
    }
    uint32_t node = recorder_find_open(fd);
    recorder_dies(DEATH_BEFORE);
    long result = syscall(SYS_fallocate, fd, mode, (long)offset, (long)size);
    if (result == 0 && node != NO_NODE) {
        if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) {
            append_zeros(fd, node, (uint64_t)offset, (uint64_t)size, mode & FALLOC_FL_KEEP_SIZE);
        } else if (mode == 0) {
            event_t *event = recorder_append(EVENT_ALLOCATE, node, 0);
            event->offset = (uint64_t)offset;
            event->size = (uint64_t)size;
        } else if (mode != FALLOC_FL_KEEP_SIZE) {
            recorder_give_up("fallocate in a mode that the recorder does not know");
        }
    }
    recorder_dies(DEATH_AFTER);
    return (int)recorder_leave_with(result);
}

int fallocate(int fd, int mode, off_t offset, off_t size) {
    return allocate(fd, mode, offset, size);
}

int fallocate64(int fd, int mode, off_t offset, off_t size) {
    return allocate(fd, mode, offset, size);
}

int posix_fallocate(int fd, off_t offset, off_t size) {
    return allocate(fd, 0, offset, size) == 0 ? 0 : errno;
}

// ------------------------------------------------------------------------------ syncs

/// A sync of what the recorder knows is an event; of anything else it is a sync.
static int sync_any(int fd, long call) {
    if (!recorder_enter()) {
        return (int)syscall(call, fd);
    }
    uint32_t node = recorder_find_open(fd);
    if (node == NO_NODE) {
        recorder_leave_with(0);
        return (int)syscall(call, fd);
    }
    recorder_dies(DEATH_BEFORE);
    recorder_append(EVENT_SYNC, node, 0);
    recorder_dies(DEATH_AFTER);
    return (int)recorder_leave_with(0);
}

int fsync(int fd) {
    return sync_any(fd, SYS_fsync);
}

int fdatasync(int fd) {
    return sync_any(fd, SYS_fdatasync);
}

int syncfs(int fd) {
    if (!recorder_enter()) {
        return (int)syscall(SYS_syncfs, fd);
    }
    if (recorder_find_open(fd) != NO_NODE) {
        recorder_append_sync_of_all();
    }
    return (int)recorder_leave_with(0);
}

int sync_file_range(int fd, off_t offset, off_t size, unsigned flags) {
    return (int)syscall(SYS_sync_file_range, fd, (long)offset, (long)size, flags);
}

int msync(void *address, size_t size, int flags) {
    if (!recorder_enter()) {
        return (int)syscall(SYS_msync, address, size, flags);
    }
    uint32_t node = recorder_find_mapping(address);
    if (node != NO_NODE && (flags & MS_SYNC)) {
        recorder_append(EVENT_SYNC, node, 0);
    }
    return (int)recorder_leave_with(0);
}

void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset) {
    void *mapped = (void *)syscall(SYS_mmap, address, size, protection, flags, fd, (long)offset);
    bool stores = (flags & MAP_TYPE) != MAP_PRIVATE && (protection & PROT_WRITE) && fd >= 0;
    struct stat about;
    if (mapped != MAP_FAILED && stores && recorder_enter()) {
        uint32_t node = recorder_find_open(fd);
        if (node != NO_NODE && fstat(fd, &about) == 0 && about.st_size > offset) {
            uint64_t there = (uint64_t)(about.st_size - offset);
            recorder_add_mapping(node, mapped, there < size ? (size_t)there : size,
                                 (uint64_t)offset);
        }
        recorder_leave_with(0);
    }
    return mapped;
}

void *mmap64(void *address, size_t size, int protection, int flags, int fd, off_t offset) {
    return mmap(address, size, protection, flags, fd, offset);
}

int munmap(void *address, size_t size) {
    if (recorder_enter()) {
        recorder_remove_mapping(address, size);
        recorder_leave_with(0);
    }
    return (int)syscall(SYS_munmap, address, size);
}
