// The I/O seam: every system call that touches a database file goes through this table.
//
// The real table is the default. Tests install another one that counts, fails or records calls;
// nothing else may replace it, and never while a database is open. EINTR is retried and short
// transfers are completed by the helpers below, not by the table. Descriptors are opened
// close-on-exec.
#ifndef MEMDB_BASE_IO_H
#define MEMDB_BASE_IO_H

#include "base/status.h"

#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

typedef struct memdb__io_table {
    int (*open_at)(int directory, const char *name, int flags, mode_t mode);
    int (*close)(int fd);
    ssize_t (*pread)(int fd, void *buffer, size_t size, off_t offset);
    ssize_t (*pwrite)(int fd, const void *buffer, size_t size, off_t offset);
    int (*sync_data)(int fd); // fdatasync
    int (*sync_all)(int fd);  // fsync: files and directories
    int (*truncate)(int fd, off_t size);
    int (*allocate)(int fd, off_t offset, off_t size); // fallocate
    int (*rename_at)(int from_directory, const char *from, int to_directory, const char *to);
    int (*unlink_at)(int directory, const char *name, int flags);
    int (*make_directory_at)(int directory, const char *name, mode_t mode);
    int (*stat_at)(int directory, const char *name, struct stat *out, int flags);
    int (*stat)(int fd, struct stat *out);
    void *(*map)(int fd, size_t size,
                 int protection); // shared mapping from offset 0; MAP_FAILED on error
    int (*unmap)(void *address, size_t size);
} memdb__io_table_t;

extern const memdb__io_table_t memdb__io_real;
/// Tests: use `table` from now on; NULL: the real one.
void memdb__io_install(const memdb__io_table_t *table);
const memdb__io_table_t *memdb__io(void);

/// All of these give a message that names `what` (a file name, for people), and MEMDB_FULL for a
/// full file system. flags as for open(2); O_CLOEXEC is added. Files are created 0600, directories
/// 0700.
memdb_status_t memdb__io_open(int directory, const char *name, int flags, int *fd_out,
                              memdb_error_t *error);
void memdb__io_close(int fd); // -1 does nothing
/// Exactly `size` bytes; fewer in the file: MEMDB_CORRUPT "... ends at N".
memdb_status_t memdb__io_read(int fd, void *buffer, size_t size, uint64_t offset, const char *what,
                              memdb_error_t *error);
memdb_status_t memdb__io_write(int fd, const void *buffer, size_t size, uint64_t offset,
                               const char *what, memdb_error_t *error);
memdb_status_t memdb__io_sync_data(int fd, const char *what, memdb_error_t *error);
memdb_status_t memdb__io_sync_all(int fd, const char *what, memdb_error_t *error);
memdb_status_t memdb__io_size(int fd, uint64_t *size_out, const char *what, memdb_error_t *error);
memdb_status_t memdb__io_rename(int directory, const char *from, const char *to,
                                memdb_error_t *error);
/// The same from one directory to another.
memdb_status_t memdb__io_move(int from_directory, const char *from, int to_directory,
                              const char *to, memdb_error_t *error);
memdb_status_t memdb__io_unlink(int directory, const char *name,
                                memdb_error_t *error); // a missing file is no error
memdb_status_t memdb__io_remove_directory(int directory, const char *name,
                                          memdb_error_t *error); // an empty one; so here too
memdb_status_t memdb__io_make_directory(int directory, const char *name,
                                        memdb_error_t *error); // an existing one is no error
memdb_status_t memdb__io_map(int fd, size_t size, bool writable, void **address_out,
                             const char *what, memdb_error_t *error);
void memdb__io_unmap(void *address, size_t size);
/// The pages of a mapping that lie wholly in the range need not stay in this process's memory: they
/// are read again when they are touched. Advice, which may be ignored.
void memdb__io_forget(const void *address, size_t size);
/// Write a whole small file durably: temporary name, write, sync, rename, sync the directory.
memdb_status_t memdb__io_replace_file(int directory, const char *name, const void *data,
                                      size_t size, memdb_error_t *error);
/// Read a whole file of at most `limit` bytes into memory from memdb__allocate.
memdb_status_t memdb__io_read_file(int directory, const char *name, size_t limit,
                                   uint8_t **data_out, size_t *size_out, memdb_error_t *error);
/// Call `visit` for each name in a directory, "." and ".." excepted, in byte order; it stops when
/// that fails.
memdb_status_t memdb__io_list(int directory,
                              memdb_status_t (*visit)(void *context, const char *name,
                                                      memdb_error_t *error),
                              void *context, memdb_error_t *error);
/// Real time in microseconds, and monotonic time in nanoseconds.
int64_t memdb__now_us(void);
uint64_t memdb__monotonic_ns(void);
/// The moment of the monotonic clock `ns` from now, for condition variables that wait by it.
struct timespec memdb__deadline(uint64_t ns);
/// Monotonic time in microseconds, right to a few milliseconds and cheaper than a read of a map.
int64_t memdb__coarse_us(void);

#endif
