// Byte ranges of the file `lock`: open-file-description locks.
//
// They belong to the open file, not to the process: two handles of one process exclude each other
// as two processes do, and closing another descriptor of the same file drops nothing. They end with
// the descriptor, so with the process.
#include "wal/control.h"

#include <errno.h>
#include <fcntl.h>

static int set_range(int fd, memdb__lock_range_t range, short type, bool wait) {
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)range, .l_len = 1};
    int result;
    do {
        result = fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &lock);
    } while (result != 0 && errno == EINTR);
    return result;
}

static const char *range_name(memdb__lock_range_t range) {
    static const char *const names[] = {"gate", "presence", "checkpoint", "catalog"};
    return (unsigned)range < sizeof names / sizeof names[0] ? names[range] : "unknown";
}

memdb_status_t memdb__lock_acquire(int fd, memdb__lock_range_t range, memdb__lock_mode_t mode,
                                   bool wait, memdb_error_t *error) {
    if (set_range(fd, range, mode == MEMDB__LOCK_SHARED ? F_RDLCK : F_WRLCK, wait) == 0) {
        return MEMDB_OK;
    }
    if (!wait && (errno == EAGAIN || errno == EACCES)) {
        return memdb__fail(error, MEMDB_BUSY, "lock: the %s range is held by another handle",
                           range_name(range));
    }
    return memdb__fail_errno(error, errno, "lock: cannot take the %s range", range_name(range));
}

void memdb__lock_release(int fd, memdb__lock_range_t range) {
    set_range(fd, range, F_UNLCK, false);
}

memdb_status_t memdb__lock_is_held(int fd, memdb__lock_range_t range, bool *held_out,
                                   memdb_error_t *error) {
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)range, .l_len = 1};
    if (fcntl(fd, F_OFD_GETLK, &lock) != 0) {
        return memdb__fail_errno(error, errno, "lock: cannot ask for the %s range",
                                 range_name(range));
    }
    *held_out = lock.l_type != F_UNLCK;
    return MEMDB_OK;
}
