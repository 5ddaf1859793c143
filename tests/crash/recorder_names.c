// The functions of the C library that change names, and those that tell time and randomness, as the
// recorder makes them. See recorder.h and recorder_calls.c.
#include "tests/crash/recorder_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

long recorder_leave_with(long result) {
    int reason = errno;
    recorder_leave();
    errno = reason;
    return result;
}

uint32_t recorder_parent_of(int directory, const char *path, const char **name_out) {
    char folder[PATH_MAX];
    struct stat about;
    const char *slash = strrchr(path, '/');
    *name_out = slash ? slash + 1 : path;
    if (strlen(*name_out) >= RECORDER_NAME_BYTES ||
        (slash && (size_t)(slash - path) + 2 > sizeof folder)) {
        return NO_NODE;
    }
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) + 1 : 1,
             slash ? path : ".");
    return fstatat(directory, folder, &about, 0) == 0 ? recorder_find(&about) : NO_NODE;
}

event_t *recorder_append_named(event_kind_t kind, uint32_t node, uint32_t target,
                               const char *name) {
    event_t *event = recorder_append(kind, node, 0);
    event->target = target;
    snprintf(event->name, sizeof event->name, "%s", name);
    return event;
}

// ------------------------------------------------------------------------------ names

static uint32_t node_at(int directory, const char *path) {
    struct stat about;
    return fstatat(directory, path, &about, AT_SYMLINK_NOFOLLOW) == 0 ? recorder_find(&about)
                                                                      : NO_NODE;
}

static int rename_any(int from_directory, const char *from, int to_directory, const char *to,
                      unsigned flags) {
    if (!recorder_enter()) {
        return (int)syscall(SYS_renameat2, from_directory, from, to_directory, to, flags);
    }
    const char *name, *to_name;
    uint32_t parent = recorder_parent_of(from_directory, from, &name);
    uint32_t to_parent = recorder_parent_of(to_directory, to, &to_name);
    uint32_t node = node_at(from_directory, from);
    bool same = node != NO_NODE && node == node_at(to_directory, to); // then nothing happens
    if ((parent == NO_NODE) != (to_parent == NO_NODE) || (parent != NO_NODE && flags > 1)) {
        recorder_give_up("a rename that the recorder does not know");
    }
    recorder_dies(DEATH_BEFORE);
    long result = syscall(SYS_renameat2, from_directory, from, to_directory, to, flags);
    if (result == 0 && parent != NO_NODE && !same) {
        event_t *event = recorder_append_named(EVENT_RENAME, parent, node, name);
        event->to_node = to_parent;
        snprintf(event->to_name, sizeof event->to_name, "%s", to_name);
    }
    recorder_dies(DEATH_AFTER);
    return (int)recorder_leave_with(result);
}

int rename(const char *from, const char *to) {
    return rename_any(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int renameat(int from_directory, const char *from, int to_directory, const char *to) {
    return rename_any(from_directory, from, to_directory, to, 0);
}

int renameat2(int from_directory, const char *from, int to_directory, const char *to,
              unsigned flags) {
    return rename_any(from_directory, from, to_directory, to, flags);
}

static int unlink_any(int directory, const char *path, int flags) {
    if (!recorder_enter()) {
        return (int)syscall(SYS_unlinkat, directory, path, flags);
    }
    const char *name;
    uint32_t parent = recorder_parent_of(directory, path, &name);
    uint32_t node = node_at(directory, path);
    recorder_dies(DEATH_BEFORE);
    long result = syscall(SYS_unlinkat, directory, path, flags);
    if (result == 0 && parent != NO_NODE) {
        recorder_append_named(EVENT_UNLINK, parent, node, name);
    }
    recorder_dies(DEATH_AFTER);
    return (int)recorder_leave_with(result);
}

int unlink(const char *path) {
    return unlink_any(AT_FDCWD, path, 0);
}

int unlinkat(int directory, const char *path, int flags) {
    return unlink_any(directory, path, flags);
}

int rmdir(const char *path) {
    return unlink_any(AT_FDCWD, path, AT_REMOVEDIR);
}

static int make_directory(int directory, const char *path, mode_t mode) {
    if (!recorder_enter()) {
        return (int)syscall(SYS_mkdirat, directory, path, mode);
    }
    const char *name;
    struct stat about;
    uint32_t parent = recorder_parent_of(directory, path, &name);
    recorder_dies(DEATH_BEFORE);
    long result = syscall(SYS_mkdirat, directory, path, mode);
    if (result == 0 && parent != NO_NODE && fstatat(directory, path, &about, 0) == 0) {
        recorder_append_named(EVENT_CREATE, parent, recorder_add(&about), name)->directory = true;
    }
    recorder_dies(DEATH_AFTER);
    return (int)recorder_leave_with(result);
}

int mkdir(const char *path, mode_t mode) {
    return make_directory(AT_FDCWD, path, mode);
}

int mkdirat(int directory, const char *path, mode_t mode) {
    return make_directory(directory, path, mode);
}

static int link_any(int from_directory, const char *from, int to_directory, const char *to,
                    int flags) {
    if (!recorder_enter()) {
        return (int)syscall(SYS_linkat, from_directory, from, to_directory, to, flags);
    }
    const char *name;
    struct stat about;
    uint32_t parent = recorder_parent_of(to_directory, to, &name);
    recorder_dies(DEATH_BEFORE);
    long result = syscall(SYS_linkat, from_directory, from, to_directory, to, flags);
    if (result == 0 && parent != NO_NODE) {
        if (fstatat(to_directory, to, &about, 0) != 0 || recorder_find(&about) == NO_NODE) {
            recorder_give_up("a link to a file that the recorder does not know");
        }
        recorder_append_named(EVENT_LINK, parent, recorder_find(&about), name);
    }
    recorder_dies(DEATH_AFTER);
    return (int)recorder_leave_with(result);
}

int link(const char *from, const char *to) {
    return link_any(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int linkat(int from_directory, const char *from, int to_directory, const char *to, int flags) {
    return link_any(from_directory, from, to_directory, to, flags);
}

// ------------------------------------------------------------------------------ the world

int clock_gettime(clockid_t clock, struct timespec *out) {
    int64_t now;
    if (clock == CLOCK_REALTIME && recorder_next_time(&now)) {
        *out = (struct timespec){now / 1000000, now % 1000000 * 1000};
        return 0;
    }
    return (int)syscall(SYS_clock_gettime, clock, out);
}

ssize_t getrandom(void *buffer, size_t size, unsigned flags) {
    uint64_t bits;
    if (!recorder_next_random(&bits)) {
        return syscall(SYS_getrandom, buffer, size, flags);
    }
    for (size_t i = 0; i < size; i++) {
        ((uint8_t *)buffer)[i] = (uint8_t)((bits * UINT64_C(0xd6e8feb86659fd93)) >> (i * 7 % 57));
    }
    return (ssize_t)size;
}
