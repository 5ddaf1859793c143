// Backup: a plain consistent copy of the database, as of the last commit before it.
//
// Everything committed is folded into segments first; then, under the checkpoint lock (nothing is
// merged or cut), the segments that the catalog names and the arena's extents are copied, a new
// catalog names them, and a new log begins where the base ends. The root is written last: an
// interrupted backup is no database.
#include "engine/engine.h"
#include "engine/root.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#define COPY_BYTES (1u << 20)

static memdb_status_t copy_bytes(int from, int to, const char *name, memdb_error_t *error) {
    uint64_t size = 0;
    memdb_status_t status = memdb__io_size(from, &size, name, error);
    uint8_t *buffer = status ? NULL : memdb__allocate(COPY_BYTES);
    if (!status && !buffer) {
        status = memdb__fail(error, MEMDB_NOMEM, "backup: out of memory");
    }
    for (uint64_t at = 0; !status && at < size;) {
        size_t part = size - at < COPY_BYTES ? (size_t)(size - at) : COPY_BYTES;
        status = memdb__io_read(from, buffer, part, at, name, error);
        status = status ? status : memdb__io_write(to, buffer, part, at, name, error);
        at += part;
    }
    memdb__free(buffer);
    return status ? status : memdb__io_sync_all(to, name, error);
}

static memdb_status_t copy_file(int from_directory, int to_directory, const char *name,
                                memdb_error_t *error) {
    int from = -1, to = -1;
    memdb_status_t status = memdb__io_open(from_directory, name, O_RDONLY, &from, error);
    status = status ? status
                    : memdb__io_open(to_directory, name, O_WRONLY | O_CREAT | O_EXCL, &to, error);
    status = status ? status : copy_bytes(from, to, name, error);
    memdb__io_close(from);
    memdb__io_close(to);
    return status;
}

typedef struct copy {
    int from, to;
} copy_t;

static memdb_status_t copy_named(void *context, const char *name, memdb_error_t *error) {
    const copy_t *copy = context;
    return copy_file(copy->from, copy->to, name, error);
}

static memdb_status_t copy_segments(memdb_t *db, int target, const memdb__manifest_t *manifest,
                                    memdb_error_t *error) {
    int to = -1;
    memdb_status_t status = memdb__io_make_directory(target, "segments", error);
    status =
        status ? status : memdb__io_open(target, "segments", O_RDONLY | O_DIRECTORY, &to, error);
    for (uint64_t i = 0; !status && i < manifest->tier_count; i++) {
        const memdb__tier_name_t *tier = &manifest->tiers[i];
        const uint64_t ids[] = {tier->sorted.segment_id, tier->words.segment_id,
                                tier->vectors.segment_id};
        for (size_t j = 0; !status && j < 3; j++) {
            char name[32];
            memdb__segment_file(ids[j], name);
            status = ids[j] ? copy_file(db->segments, to, name, error) : MEMDB_OK;
        }
    }
    status = status ? status : memdb__io_sync_all(to, "segments of the backup", error);
    memdb__io_close(to);
    return status;
}

static memdb_status_t copy_blobs(memdb_t *db, int target, memdb_error_t *error) {
    copy_t copy = {-1, -1};
    memdb_status_t status = memdb__io_make_directory(target, "blob", error);
    status =
        status ? status : memdb__io_open(target, "blob", O_RDONLY | O_DIRECTORY, &copy.to, error);
    status = status
                 ? status
                 : memdb__io_open(db->directory, "blob", O_RDONLY | O_DIRECTORY, &copy.from, error);
    status = status ? status : memdb__io_list(copy.from, copy_named, &copy, error);
    status = status ? status : memdb__io_sync_all(copy.to, "blob of the backup", error);
    memdb__io_close(copy.from);
    memdb__io_close(copy.to);
    return status;
}

static memdb_status_t write_catalog(int target, const memdb__manifest_t *manifest,
                                    memdb_error_t *error) {
    memdb__catalog_t *catalog = NULL;
    uint64_t generation;
    memdb_status_t status = memdb__catalog_create(target, error);
    status = status ? status : memdb__catalog_open(target, true, false, &catalog, error);
    status = status ? status : memdb__catalog_commit(catalog, manifest, &generation, error);
    memdb__catalog_close(catalog);
    return status;
}

static memdb_status_t copy_database(memdb_t *db, int target, memdb_error_t *error) {
    memdb__manifest_t manifest = {0};
    memdb__wal_options_t options = {0};
    memcpy(options.database_id, db->database_id, 16);
    memdb_status_t status = memdb__catalog_read(db->catalog, &manifest, error);
    // Above every id in use now: the copy goes on with a history of its own.
    manifest.next_id = atomic_load_explicit(&db->control->next_id, memory_order_relaxed);
    manifest.next_space = atomic_load_explicit(&db->control->next_space, memory_order_relaxed);
    manifest.next_segment_id =
        atomic_load_explicit(&db->control->next_segment_id, memory_order_relaxed);
    status = status ? status : copy_segments(db, target, &manifest, error);
    status = status ? status : copy_blobs(db, target, error);
    status = status ? status : memdb__wal_create(target, &options, error);
    status = status ? status : write_catalog(target, &manifest, error);
    status = status ? status : memdb__io_sync_all(target, "the backup", error);
    memdb__manifest_deinit(&manifest);
    if (status) {
        return status;
    }
    uint8_t bytes[MEMDB__ROOT_BYTES];
    memdb__root_t root = {.durability = db->database_durability, .created = memdb__now_us()};
    memcpy(root.database_id, db->database_id, 16);
    memdb__root_encode(&root, bytes);
    return memdb__io_replace_file(target, "root", bytes, sizeof bytes, error);
}

static memdb_status_t saw(void *context, const char *name, memdb_error_t *error) {
    (void)name;
    (void)error;
    *(bool *)context = true;
    return MEMDB_OK;
}

static memdb_status_t open_target(const char *path, int *target_out, memdb_error_t *error) {
    bool used = false;
    memdb_status_t status = memdb__io_make_directory(AT_FDCWD, path, error);
    status =
        status ? status : memdb__io_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, target_out, error);
    status = status ? status : memdb__io_list(*target_out, saw, &used, error);
    if (!status && used) {
        status = memdb__fail(error, MEMDB_EXISTS, "%s is not empty; choose a new directory", path);
    }
    return status;
}

memdb_status_t memdb_backup(memdb_t *db, const char *path) {
    memdb_error_t error = {0};
    int target = -1;
    if (!db || !path || !*path) {
        return MEMDB_INVALID;
    }
    memdb_status_t status = memdb__writable(db, &error);
    status = status ? status : open_target(path, &target, &error);
    status = status ? status : memdb__checkpoint(db, &error);
    if (!status) {
        pthread_mutex_lock(&db->fold);
        status = memdb__lock_acquire(db->lock, MEMDB__LOCK_CHECKPOINT, MEMDB__LOCK_EXCLUSIVE, true,
                                     &error);
        if (!status) {
            status = copy_database(db, target, &error);
            memdb__lock_release(db->lock, MEMDB__LOCK_CHECKPOINT);
        }
        pthread_mutex_unlock(&db->fold);
    }
    memdb__io_close(target);
    if (status) {
        memdb__error_context(&error, status, "backup");
    }
    return memdb__report(db, status, &error);
}
