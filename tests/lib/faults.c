// Test helper. See faults.h.
#include "tests/lib/faults.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define MOST_CALLS 200000
#define BIT(kind) (1u << (kind))
#define ERROR BIT(FAULT_ERROR)
#define FULL BIT(FAULT_FULL)
#define INTERRUPTED BIT(FAULT_INTERRUPTED)
#define SHORT BIT(FAULT_SHORT)
#define TORN BIT(FAULT_TORN)

extern const char __executable_start, etext; // of the linker: where the program's own code lies

static _Atomic bool armed;
static _Thread_local bool began; // this thread did
static fault_t chosen;
static _Atomic long counts[2];
static unsigned char known[2][MOST_CALLS]; // kinds, by number
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static fault_met_t met;

const char *fault_kind_name(fault_kind_t kind) {
    static const char *const names[FAULT_KINDS] = {"none",  "error", "full",       "interrupted",
                                                   "short", "torn",  "completion", "kill"};
    return names[kind];
}

void faults_begin(fault_t fault) {
    chosen = fault;
    met = (fault_met_t){0};
    began = true;
    atomic_store(&counts[0], 0);
    atomic_store(&counts[1], 0);
    atomic_store(&armed, true);
}

void faults_end(void) {
    atomic_store(&armed, false);
    began = false;
}

long faults_count(bool others) {
    return atomic_load(&counts[others]);
}

bool faults_knows(long number, bool others, fault_kind_t kind) {
    return known[others][number] & BIT(kind);
}

fault_met_t faults_met(void) {
    pthread_mutex_lock(&mutex);
    fault_met_t copy = met;
    pthread_mutex_unlock(&mutex);
    return copy;
}

/// Whether a call comes from a shared library: LMDB.
static bool is_a_library(const void *caller) {
    return (const char *)caller < &__executable_start || (const char *)caller >= &etext;
}

static void note(const char *call, int fd, const char *path, const void *caller) {
    pthread_mutex_lock(&mutex);
    if (!met.call) {
        char link[40];
        met.call = call;
        met.by_a_library = is_a_library(caller);
        met.is_sync = strstr(call, "sync") != NULL;
        met.tail = !began;
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t size = path ? -1 : readlink(link, met.file, sizeof met.file - 1);
        snprintf(met.file + (size < 0 ? 0 : size), size < 0 ? sizeof met.file : 1, "%s",
                 path ? path : "");
    }
    pthread_mutex_unlock(&mutex);
}

fault_kind_t fault_meets(const char *call, unsigned kinds, int fd, const char *path,
                         const void *caller) {
    if (!atomic_load(&armed)) {
        return FAULT_NONE;
    }
    bool others = !began;
    long number = atomic_fetch_add(&counts[others], 1);
    if (chosen.kind == FAULT_NONE && number < MOST_CALLS) {
        known[others][number] = (unsigned char)kinds;
    }
    bool due = chosen.forever ? number >= chosen.number : number == chosen.number;
    if (others == chosen.others && due && chosen.kind == FAULT_KILL) {
        kill(getpid(), SIGKILL);
    }
    if (others != chosen.others || !due || !(kinds & BIT(chosen.kind))) {
        return FAULT_NONE;
    }
    note(call, fd, path, caller);
    errno = chosen.kind == FAULT_FULL ? ENOSPC : chosen.kind == FAULT_INTERRUPTED ? EINTR : EIO;
    return chosen.kind;
}

/// A full disk that lasts refuses what needs more room, and that alone; a single refusal may meet
/// any write (a file system that copies on writing).
static unsigned full_if(bool needs_room) {
    return chosen.forever && !needs_room ? 0 : FULL;
}

static bool is_beyond_the_end(int fd, off_t end) {
    struct stat about;
    return syscall(SYS_fstat, fd, &about) != 0 || end > about.st_size;
}

static bool is_missing(int directory, const char *path) {
    return syscall(SYS_faccessat, directory, path, F_OK) != 0;
}

#define MEETS(call, kinds, fd, path) fault_meets(call, kinds, fd, path, __builtin_return_address(0))

// ------------------------------------------------------------------------------ files

// Opened for direct writes without O_DIRECT, which tests in memory could not have: the engine walks
// the same way with it.
int openat(int directory, const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, int) : 0;
    va_end(arguments);
    bool creates = flags & O_CREAT && is_missing(directory, path);
    unsigned kinds = ERROR | INTERRUPTED | (flags & O_CREAT ? full_if(creates) : 0);
    return MEETS("openat", kinds, -1, path)
               ? -1
               : (int)syscall(SYS_openat, directory, path, flags & ~O_DIRECT, mode);
}

int open(const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, int) : 0;
    va_end(arguments);
    bool creates = flags & O_CREAT && is_missing(AT_FDCWD, path);
    unsigned kinds = ERROR | INTERRUPTED | (flags & O_CREAT ? full_if(creates) : 0);
    return MEETS("open", kinds, -1, path)
               ? -1
               : (int)syscall(SYS_openat, AT_FDCWD, path, flags & ~O_DIRECT, mode);
}

/// The part of a transfer that is made where it is not made whole: sectors, where there are any.
static size_t half(size_t size) {
    return size >= 1024 ? size / 2 / 512 * 512 : size / 2;
}

/// LMDB takes a short read for damage; no local file system makes one.
ssize_t pread(int fd, void *buffer, size_t size, off_t offset) {
    bool can_be_short = size > 1 && !is_a_library(__builtin_return_address(0));
    fault_kind_t kind = MEETS("pread", ERROR | INTERRUPTED | (can_be_short ? SHORT : 0), fd, NULL);
    if (kind && kind != FAULT_SHORT) {
        return -1;
    }
    return syscall(SYS_pread64, fd, buffer, kind ? half(size) : size, offset);
}

/// Transfers are ended half-way where they have two halves.
static unsigned write_kinds(bool has_halves, int fd, off_t end) {
    return ERROR | INTERRUPTED | full_if(is_beyond_the_end(fd, end)) |
           (has_halves ? SHORT | TORN : 0);
}

ssize_t pwrite(int fd, const void *buffer, size_t size, off_t offset) {
    unsigned kinds = write_kinds(size > 1, fd, offset + (off_t)size);
    fault_kind_t kind = MEETS("pwrite", kinds, fd, NULL);
    if (kind == FAULT_NONE || kind == FAULT_SHORT) {
        return syscall(SYS_pwrite64, fd, buffer, kind ? half(size) : size, offset);
    }
    int error = errno;
    if (kind == FAULT_TORN && syscall(SYS_pwrite64, fd, buffer, half(size), offset) < 0) {
        return -1;
    }
    errno = error;
    return -1;
}

ssize_t write(int fd, const void *buffer, size_t size) {
    fault_kind_t kind = MEETS("write", write_kinds(false, fd, 0), fd, NULL);
    return kind ? -1 : syscall(SYS_write, fd, buffer, size);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    off_t end = lseek(fd, 0, SEEK_CUR);
    for (int i = 0; i < count; i++) {
        end += (off_t)parts[i].iov_len;
    }
    fault_kind_t kind = MEETS("writev", write_kinds(count > 1, fd, end), fd, NULL);
    if (kind == FAULT_NONE || kind == FAULT_SHORT) {
        return syscall(SYS_writev, fd, parts, kind ? count / 2 : count);
    }
    int error = errno;
    if (kind == FAULT_TORN && syscall(SYS_writev, fd, parts, count / 2) < 0) {
        return -1;
    }
    errno = error;
    return -1;
}

int fdatasync(int fd) {
    fault_kind_t kind = MEETS("fdatasync", ERROR | full_if(false) | INTERRUPTED, fd, NULL);
    return kind ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd) {
    fault_kind_t kind = MEETS("fsync", ERROR | full_if(false) | INTERRUPTED, fd, NULL);
    return kind ? -1 : (int)syscall(SYS_fsync, fd);
}

int ftruncate(int fd, off_t size) {
    fault_kind_t kind =
        MEETS("ftruncate", ERROR | full_if(is_beyond_the_end(fd, size)) | INTERRUPTED, fd, NULL);
    return kind ? -1 : (int)syscall(SYS_ftruncate, fd, size);
}

int fallocate(int fd, int mode, off_t offset, off_t size) {
    fault_kind_t kind = MEETS("fallocate", ERROR | FULL | INTERRUPTED, fd, NULL);
    return kind ? -1 : (int)syscall(SYS_fallocate, fd, mode, offset, size);
}

int renameat(int from_directory, const char *from, int to_directory, const char *to) {
    fault_kind_t kind = MEETS("renameat", ERROR | full_if(false) | INTERRUPTED, -1, to);
    return kind ? -1 : (int)syscall(SYS_renameat, from_directory, from, to_directory, to);
}

int unlinkat(int directory, const char *path, int flags) {
    return MEETS("unlinkat", ERROR | INTERRUPTED, -1, path)
               ? -1
               : (int)syscall(SYS_unlinkat, directory, path, flags);
}

int mkdirat(int directory, const char *path, mode_t mode) {
    return MEETS("mkdirat", ERROR | FULL | INTERRUPTED, -1, path)
               ? -1
               : (int)syscall(SYS_mkdirat, directory, path, mode);
}

int fstat(int fd, struct stat *out) {
    return MEETS("fstat", ERROR, fd, NULL) ? -1 : (int)syscall(SYS_fstat, fd, out);
}

int fstatat(int directory, const char *path, struct stat *out, int flags) {
    return MEETS("fstatat", ERROR, -1, path)
               ? -1
               : (int)syscall(SYS_newfstatat, directory, path, out, flags);
}

int fstatfs(int fd, struct statfs *out) {
    fault_kind_t kind = MEETS("fstatfs", ERROR | INTERRUPTED, fd, NULL);
    return kind ? -1 : (int)syscall(SYS_fstatfs, fd, out);
}

ssize_t getdents64(int fd, void *buffer, size_t size) {
    return MEETS("getdents64", ERROR, fd, NULL) ? -1 : syscall(SYS_getdents64, fd, buffer, size);
}

ssize_t getrandom(void *buffer, size_t size, unsigned flags) {
    fault_kind_t kind = MEETS("getrandom", ERROR | INTERRUPTED, -1, "");
    return kind ? -1 : syscall(SYS_getrandom, buffer, size, flags);
}

/// Locks alone can fail; letting one go cannot.
int fcntl(int fd, int command, ...) {
    va_list arguments;
    va_start(arguments, command);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    bool waits = command == F_SETLKW || command == F_OFD_SETLKW;
    bool locks = (waits || command == F_SETLK || command == F_OFD_SETLK) &&
                 ((struct flock *)argument)->l_type != F_UNLCK;
    if (locks && MEETS("fcntl", ERROR | (waits ? INTERRUPTED : 0), fd, NULL)) {
        errno = errno == EIO ? ENOLCK : errno;
        return -1;
    }
    return (int)syscall(SYS_fcntl, fd, command, argument);
}

// ------------------------------------------------------------------------------ maps, threads

void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset) {
    if (fd >= 0 && MEETS("mmap", ERROR, fd, NULL)) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return (void *)syscall(SYS_mmap, address, size, protection, flags, fd, offset);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                   void *context) {
    static int (*next)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    if (MEETS("pthread_create", ERROR, -1, "")) {
        return EAGAIN;
    }
    if (!next) { // a sanitizer's, or the C library's
        void *found = dlsym(RTLD_NEXT, "pthread_create");
        memcpy(&next, &found, sizeof next);
    }
    return next(thread, attributes, run, context);
}
