// The control file: create, map, check.
//
// Its static part is checksummed and says whose it is: database, boot, pid namespace. Robust
// mutexes name their owner by thread id, which means nothing in another pid namespace or boot; such
// a file is refused, never repaired. The rest is live memory of the processes that have it mapped;
// nothing reads it after they are gone.
#include "wal/control.h"

#include "base/bytes.h"
#include "base/checksum.h"
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>

#define CONTROL_VERSION 2u

static const uint8_t control_magic[8] = {'M', 'E', 'M', 'D', 'B', 'C', 'T', 'L'};

_Static_assert(offsetof(memdb__control_t, static_checksum) == 56, "the static part has no padding");

/// Which kernel, and which numbering of processes, this process lives in.
typedef struct place {
    uint8_t boot_id[16];
    uint64_t pid_namespace;
} place_t;

static int hex_digit(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static memdb_status_t find_place(place_t *place_out, memdb_error_t *error) {
    static const char boot_file[] = "/proc/sys/kernel/random/boot_id";
    char text[36]; // 8-4-4-4-12 hex digits
    int fd;
    memdb_status_t status = memdb__io_open(AT_FDCWD, boot_file, O_RDONLY, &fd, error);
    if (status == MEMDB_OK) {
        status = memdb__io_read(fd, text, sizeof text, 0, boot_file, error);
        memdb__io_close(fd);
    }
    if (status != MEMDB_OK) {
        return status == MEMDB_NOMEM
                   ? status
                   : memdb__fail(error, MEMDB_UNSUPPORTED,
                                 "control: %s cannot be read, so a reboot would not be noticed",
                                 boot_file);
    }
    place_t place = {0};
    unsigned digits = 0;
    for (size_t i = 0; i < sizeof text; i++) {
        int value = hex_digit(text[i]);
        if (value >= 0 && digits < 32) {
            place.boot_id[digits / 2] = (uint8_t)(place.boot_id[digits / 2] << 4 | value);
            digits++;
        }
    }
    struct stat info;
    if (digits != 32 || memdb__io()->stat_at(AT_FDCWD, "/proc/self/ns/pid", &info, 0) != 0) {
        return memdb__fail(error, MEMDB_UNSUPPORTED,
                           "control: this system does not tell its boot id and pid namespace");
    }
    place.pid_namespace = (uint64_t)info.st_ino;
    *place_out = place;
    return MEMDB_OK;
}

static memdb_status_t init_mutex(pthread_mutex_t *mutex, memdb_error_t *error) {
    pthread_mutexattr_t attributes;
    int result = pthread_mutexattr_init(&attributes);
    if (result == 0) {
        result = pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
        if (result == 0) {
            result = pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
        }
        if (result == 0) {
            result = pthread_mutex_init(mutex, &attributes);
        }
        pthread_mutexattr_destroy(&attributes);
    }
    return result == 0 ? MEMDB_OK
                       : memdb__fail_errno(error, result, "control: cannot make a robust mutex");
}

static uint64_t static_checksum(const memdb__control_t *control) {
    return memdb__hash64(control, offsetof(memdb__control_t, static_checksum), 0);
}

static memdb_status_t fill(memdb__control_t *control, const memdb__control_start_t *start,
                           const place_t *place, memdb_error_t *error) {
    memcpy(control->magic, control_magic, 8);
    control->format_version = CONTROL_VERSION;
    memcpy(control->database_id, start->database_id, 16);
    memcpy(control->boot_id, place->boot_id, 16);
    control->pid_namespace = place->pid_namespace;
    control->static_checksum = static_checksum(control);
    // Relaxed, all of them: no other process has the file yet; the rename and the gate publish it.
    atomic_store_explicit(&control->written, start->end_lsn, memory_order_relaxed);
    atomic_store_explicit(&control->segment_epoch, start->segment_epoch, memory_order_relaxed);
    atomic_store_explicit(&control->next_epoch, start->next_epoch, memory_order_relaxed);
    atomic_store_explicit(&control->last_commit_time, start->last_commit_time,
                          memory_order_relaxed);
    atomic_store_explicit(&control->durable, start->end_lsn, memory_order_relaxed);
    atomic_store_explicit(&control->applied, start->applied, memory_order_relaxed);
    atomic_store_explicit(&control->base_generation, start->base_generation, memory_order_relaxed);
    atomic_store_explicit(&control->next_segment_id, start->next_segment_id, memory_order_relaxed);
    atomic_store_explicit(&control->next_id, start->next_id, memory_order_relaxed);
    atomic_store_explicit(&control->next_space, start->next_space, memory_order_relaxed);
    memdb_status_t status = init_mutex(&control->writer, error);
    return status == MEMDB_OK ? init_mutex(&control->sync, error) : status;
}

memdb_status_t memdb__control_create(int directory, const memdb__control_start_t *start,
                                     memdb__control_t **control_out, memdb_error_t *error) {
    static const char aside[] = "control.new";
    static const uint8_t zeros[MEMDB__CONTROL_BYTES];
    place_t place;
    int fd;
    void *address = NULL;
    memdb_status_t status = find_place(&place, error);
    if (status == MEMDB_OK) {
        status = memdb__io_unlink(directory, aside, error);
    }
    if (status == MEMDB_OK) {
        status = memdb__io_open(directory, aside, O_RDWR | O_CREAT | O_EXCL, &fd, error);
    }
    if (status != MEMDB_OK) {
        return status;
    }
    // Written, not only sized: a store into a hole of a full file system would be a signal, not an
    // error.
    status = memdb__io_write(fd, zeros, sizeof zeros, 0, aside, error);
    if (status == MEMDB_OK) {
        status = memdb__io_map(fd, MEMDB__CONTROL_BYTES, true, &address, aside, error);
    }
    memdb__io_close(fd);
    if (status == MEMDB_OK) {
        status = fill(address, start, &place, error);
    }
    if (status == MEMDB_OK) {
        status = memdb__io_rename(directory, aside, "control", error);
    }
    if (status != MEMDB_OK) {
        memdb__io_unmap(address, MEMDB__CONTROL_BYTES);
        memdb__io_unlink(
            directory, aside,
            NULL); // the first error is the one to tell; the next creation removes it too
        return status;
    }
    *control_out = address;
    return MEMDB_OK;
}

static memdb_status_t check(const memdb__control_t *control, const uint8_t database_id[16],
                            const place_t *place, memdb_error_t *error) {
    if (memcmp(control->magic, control_magic, 8) != 0 ||
        control->static_checksum != static_checksum(control)) {
        return memdb__fail(error, MEMDB_CORRUPT, "control at 0: checksum mismatch");
    }
    if (control->format_version != CONTROL_VERSION || control->reserved != 0) {
        return memdb__fail(error, MEMDB_VERSION, "control at 8: format %u, this version knows %u",
                           control->format_version, CONTROL_VERSION);
    }
    if (memcmp(control->database_id, database_id, 16) != 0) {
        return memdb__fail(error, MEMDB_CORRUPT, "control at 16: belongs to another database");
    }
    if (memcmp(control->boot_id, place->boot_id, 16) != 0) {
        return memdb__fail(
            error, MEMDB_UNSUPPORTED,
            "control: the database is open on another machine, or under another kernel");
    }
    if (control->pid_namespace != place->pid_namespace) {
        return memdb__fail(
            error, MEMDB_UNSUPPORTED,
            "control: the database is open in another pid namespace (%llu, here %llu)",
            (unsigned long long)control->pid_namespace, (unsigned long long)place->pid_namespace);
    }
    return MEMDB_OK;
}

memdb__control_past_t memdb__control_past(int directory) {
    static const memdb__control_past_t in_doubt = {.failed = true, .unsure = UINT64_MAX};
    memdb__control_past_t past = {.unsure = UINT64_MAX};
    _Alignas(64) uint8_t bytes[MEMDB__CONTROL_BYTES];
    place_t place;
    int fd;
    if (find_place(&place, NULL) || memdb__io_open(directory, "control", O_RDONLY, &fd, NULL)) {
        return in_doubt;
    }
    memdb_status_t status = memdb__io_read(fd, bytes, sizeof bytes, 0, "control", NULL);
    memdb__io_close(fd);
    const memdb__control_t *control = (const memdb__control_t *)(const void *)bytes;
    if (status || memcmp(control->magic, control_magic, sizeof control_magic) != 0 ||
        control->static_checksum != static_checksum(control)) {
        return in_doubt;
    }
    if (memcmp(control->boot_id, place.boot_id, sizeof place.boot_id) == 0) {
        // A copy of the file, which nobody writes any more.
        uint64_t failed, durable;
        uint32_t syncing;
        memcpy(&failed, bytes + offsetof(memdb__control_t, failed), sizeof failed);
        memcpy(&syncing, bytes + offsetof(memdb__control_t, syncing), sizeof syncing);
        memcpy(&durable, bytes + offsetof(memdb__control_t, durable), sizeof durable);
        past.failed = failed != 0;
        past.unsure = syncing ? durable : UINT64_MAX;
    }
    return past;
}

memdb_status_t memdb__control_read_end(int directory, const uint8_t database_id[16], bool durable,
                                       uint64_t *end_out, memdb_error_t *error) {
    _Alignas(64) uint8_t bytes[MEMDB__CONTROL_BYTES];
    int fd;
    memdb_status_t status = memdb__io_open(directory, "control", O_RDONLY, &fd, error);
    if (status != MEMDB_OK) {
        return status == MEMDB_NOT_FOUND
                   ? memdb__fail(error, MEMDB_CORRUPT,
                                 "control: missing, though the database is open elsewhere")
                   : status;
    }
    status = memdb__io_read(fd, bytes, sizeof bytes, 0, "control", error);
    memdb__io_close(fd);
    const memdb__control_t *control = (const memdb__control_t *)(const void *)bytes;
    if (status == MEMDB_OK &&
        (memcmp(control->magic, control_magic, sizeof control_magic) != 0 ||
         control->static_checksum != static_checksum(control) ||
         memcmp(control->database_id, database_id, sizeof control->database_id) != 0)) {
        status = memdb__fail(error, MEMDB_CORRUPT, "control at 0: checksum mismatch");
    }
    if (status == MEMDB_OK) { // a copy: each word is one that it had
        memcpy(end_out,
               bytes + (durable ? offsetof(memdb__control_t, durable)
                                : offsetof(memdb__control_t, written)),
               sizeof *end_out);
    }
    return status;
}

memdb_status_t memdb__control_map(int directory, const uint8_t database_id[16],
                                  memdb__control_t **control_out, memdb_error_t *error) {
    place_t place;
    int fd;
    uint64_t size;
    void *address = NULL;
    memdb_status_t status = find_place(&place, error);
    if (status == MEMDB_OK) {
        status = memdb__io_open(directory, "control", O_RDWR, &fd, error);
        if (status == MEMDB_NOT_FOUND) {
            status = memdb__fail(error, MEMDB_CORRUPT,
                                 "control: missing, though the database is open elsewhere");
        }
    }
    if (status != MEMDB_OK) {
        return status;
    }
    status = memdb__io_size(fd, &size, "control", error);
    if (status == MEMDB_OK && size != MEMDB__CONTROL_BYTES) {
        status = memdb__fail(error, MEMDB_CORRUPT, "control: %llu bytes instead of %d",
                             (unsigned long long)size, MEMDB__CONTROL_BYTES);
    }
    if (status == MEMDB_OK) {
        status = memdb__io_map(fd, MEMDB__CONTROL_BYTES, true, &address, "control", error);
    }
    memdb__io_close(fd);
    if (status == MEMDB_OK) {
        status = check(address, database_id, &place, error);
    }
    if (status != MEMDB_OK) {
        memdb__io_unmap(address, MEMDB__CONTROL_BYTES);
        return status;
    }
    *control_out = address;
    return MEMDB_OK;
}

void memdb__control_unmap(memdb__control_t *control) {
    memdb__io_unmap(control, MEMDB__CONTROL_BYTES);
}
