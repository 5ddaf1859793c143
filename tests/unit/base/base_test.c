// The shared part of the tests of base/.
#include "tests/unit/base/base_test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

void test_directory_make(test_directory_t *directory) {
    const char *base = getenv("TMPDIR");
    snprintf(directory->path, sizeof directory->path, "%s/memdb-base-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(directory->path));
    directory->fd = open(directory->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(directory->fd >= 0);
}

void test_directory_remove(test_directory_t *directory) {
    DIR *entries = opendir(directory->path);
    assert_non_null(entries);
    for (struct dirent *entry; (entry = readdir(entries));)
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            if (unlinkat(directory->fd, entry->d_name, 0))
                unlinkat(directory->fd, entry->d_name, AT_REMOVEDIR);
    closedir(entries);
    close(directory->fd);
    assert_int_equal(rmdir(directory->path), 0);
}

bool test_file_exists(const test_directory_t *directory, const char *name) {
    return faccessat(directory->fd, name, F_OK, 0) == 0;
}

uint8_t *test_file_read(const test_directory_t *directory, const char *name, size_t *size_out) {
    int fd = openat(directory->fd, name, O_RDONLY);
    assert_true(fd >= 0);
    struct stat status;
    assert_int_equal(fstat(fd, &status), 0);
    uint8_t *data = malloc((size_t)status.st_size + 1);
    assert_non_null(data);
    assert_int_equal(read(fd, data, (size_t)status.st_size), status.st_size);
    close(fd);
    *size_out = (size_t)status.st_size;
    return data;
}

void test_file_write(const test_directory_t *directory, const char *name, const void *data,
                     size_t size) {
    int fd = openat(directory->fd, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), (ssize_t)size);
    close(fd);
}

uint64_t test_seed(void) {
    const char *text = getenv("MEMDB_SEED");
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t seed =
        text ? strtoull(text, NULL, 0) : (uint64_t)now.tv_sec * 1000003u + (uint64_t)now.tv_nsec;
    printf("seed=%llu\n", (unsigned long long)seed);
    return seed ? seed : 1;
}

uint64_t test_random(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

// -------------------------------------------------------------------------------------------
// faulty I/O

static fault_t fault_kind;
static uint64_t fault_at, calls;
static int64_t open_files, mappings;

/// Count a call; whether it is the one that fails, with errno set when it does.
static bool fails(void) {
    bool now = calls++ == fault_at;
    if (!now)
        return false;
    switch (fault_kind) {
    case FAULT_EIO:
        errno = EIO;
        return true;
    case FAULT_ENOSPC:
        errno = ENOSPC;
        return true;
    default:
        return false;
    }
}

/// The same for a transfer, which can also be interrupted or short (then `*size` is smaller).
static bool transfer_fails(size_t *size) {
    if (calls == fault_at && fault_kind == FAULT_EINTR) {
        calls++;
        errno = EINTR;
        return true;
    }
    if (calls == fault_at && fault_kind == FAULT_SHORT && *size > 1)
        *size = *size / 2;
    return fails();
}

static int faulty_open_at(int directory, const char *name, int flags, mode_t mode) {
    if (fails())
        return -1;
    int fd = memdb__io_real.open_at(directory, name, flags, mode);
    open_files += fd >= 0;
    return fd;
}

static int counted_close(int fd) {
    open_files--;
    return memdb__io_real.close(fd);
}

static ssize_t faulty_pread(int fd, void *buffer, size_t size, off_t offset) {
    return transfer_fails(&size) ? -1 : memdb__io_real.pread(fd, buffer, size, offset);
}

static ssize_t faulty_pwrite(int fd, const void *buffer, size_t size, off_t offset) {
    return transfer_fails(&size) ? -1 : memdb__io_real.pwrite(fd, buffer, size, offset);
}

static int faulty_sync_data(int fd) {
    return fails() ? -1 : memdb__io_real.sync_data(fd);
}

static int faulty_sync_all(int fd) {
    return fails() ? -1 : memdb__io_real.sync_all(fd);
}

static int faulty_rename_at(int from_directory, const char *from, int to_directory,
                            const char *to) {
    return fails() ? -1 : memdb__io_real.rename_at(from_directory, from, to_directory, to);
}

static int faulty_stat(int fd, struct stat *out) {
    return fails() ? -1 : memdb__io_real.stat(fd, out);
}

static void *faulty_map(int fd, size_t size, int protection) {
    if (fails())
        return MAP_FAILED;
    void *address = memdb__io_real.map(fd, size, protection);
    mappings += address != MAP_FAILED;
    return address;
}

static int counted_unmap(void *address, size_t size) {
    mappings--;
    return memdb__io_real.unmap(address, size);
}

static memdb__io_table_t faulty;

void test_faults_begin(fault_t fault, uint64_t at) {
    faulty = memdb__io_real;
    faulty.open_at = faulty_open_at;
    faulty.close = counted_close;
    faulty.pread = faulty_pread;
    faulty.pwrite = faulty_pwrite;
    faulty.sync_data = faulty_sync_data;
    faulty.sync_all = faulty_sync_all;
    faulty.rename_at = faulty_rename_at;
    faulty.stat = faulty_stat;
    faulty.map = faulty_map;
    faulty.unmap = counted_unmap;
    fault_kind = fault;
    fault_at = fault == FAULT_NONE ? UINT64_MAX : at;
    calls = 0;
    open_files = mappings = 0;
    memdb__io_install(&faulty);
}

uint64_t test_faults_end(void) {
    memdb__io_install(NULL);
    assert_int_equal(open_files, 0);
    assert_int_equal(mappings, 0);
    return calls;
}
