// The arena as a whole: attaching, closing, syncing, counting.
#include "blob/blob_extent.h"
#include "blob/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static memdb_status_t open_directory(memdb__blobs_t *blobs, int directory, memdb_error_t *error) {
    memdb_status_t status =
        memdb__io_open(directory, "blob", O_RDONLY | O_DIRECTORY, &blobs->directory, error);
    if (status != MEMDB_NOT_FOUND)
        return status;
    blobs->directory = -1;
    if (blobs->read_only) // a database without blobs
        return MEMDB_OK;
    status = memdb__io_make_directory(directory, "blob", error);
    if (!status)
        status = memdb__io_sync_all(directory, "the database directory", error);
    if (!status)
        status =
            memdb__io_open(directory, "blob", O_RDONLY | O_DIRECTORY, &blobs->directory, error);
    return status;
}

memdb_status_t memdb__blobs_open(int directory, const uint8_t database_id[16],
                                 uint64_t (*next_extent_id)(void *context), void *context,
                                 bool read_only, memdb__blobs_t **blobs_out, memdb_error_t *error) {
    memdb__blobs_t *blobs = memdb__allocate_zeroed(1, sizeof *blobs);
    if (!blobs)
        return memdb__fail(error, MEMDB_NOMEM, "blob: out of memory");
    memcpy(blobs->database_id, database_id, 16);
    blobs->next_extent_id = next_extent_id;
    blobs->context = context;
    blobs->read_only = read_only;
    memdb_status_t status = open_directory(blobs, directory, error);
    if (status) {
        memdb__free(blobs);
        return status;
    }
    pthread_mutex_init(&blobs->sync, NULL);
    pthread_mutex_init(&blobs->append, NULL);
    pthread_mutex_init(&blobs->table, NULL);
    *blobs_out = blobs;
    return MEMDB_OK;
}

// In a forked child a mutex may be held by a thread that does not exist there, so none is taken
// here; closing a descriptor does not end the parent's lock, which belongs to the open file that
// both share.
void memdb__blobs_close(memdb__blobs_t *blobs) {
    if (!blobs)
        return;
    memdb__extents_destroy(blobs);
    memdb__io_close(blobs->directory);
    memdb__free(blobs->retired);
    memdb__free(blobs);
}

void memdb__blobs_trust_pieces(memdb__blobs_t *blobs) {
    blobs->trusts_pieces = true;
}

static memdb_status_t sync_all(memdb__blobs_t *blobs, memdb_error_t *error) {
    memdb_status_t status = MEMDB_OK;
    char name[32];
    const uint64_t round = ++blobs->round; // each extent once: a busy one is dirty again at once
    for (;;) {
        pthread_mutex_lock(&blobs->table);
        memdb__extent_t *extent = blobs->extents;
        while (extent && (!extent->dirty || extent->round == round))
            extent = extent->next;
        if (extent) { // clean from here on: what is written during the sync makes it dirty again
            extent->dirty = false;
            extent->round = round;
            extent->users++;
        }
        pthread_mutex_unlock(&blobs->table);
        if (!extent)
            break;
        memdb__extent_name(extent->id, name);
        status = memdb__io_sync_data(extent->fd, name, error);
        memdb__extent_release(blobs, extent);
        if (status)
            return status;
    }
    pthread_mutex_lock(&blobs->table);
    bool directory_dirty = blobs->directory_dirty;
    blobs->directory_dirty = false;
    pthread_mutex_unlock(&blobs->table);
    return directory_dirty ? memdb__io_sync_all(blobs->directory, "blob", error) : MEMDB_OK;
}

memdb_status_t memdb__blobs_sync(memdb__blobs_t *blobs, memdb_error_t *error) {
    pthread_mutex_lock(&blobs->sync);
    memdb_status_t status;
    if (blobs->failed) {
        status = memdb__fail(error, MEMDB_FAILED, "blob: an earlier sync failed");
    } else {
        status = sync_all(blobs, error);
        blobs->failed =
            status !=
            MEMDB_OK; // the kernel may have dropped the pages: a second sync would prove nothing
    }
    pthread_mutex_unlock(&blobs->sync);
    return status;
}

typedef struct count {
    memdb__blobs_t *blobs;
    uint64_t extents, bytes;
} count_t;

static memdb_status_t count_extent(void *context, const char *name, memdb_error_t *error) {
    count_t *count = context;
    struct stat file;
    uint64_t id;
    if (!memdb__blob_extent_number(name, &id))
        return MEMDB_OK;
    if (memdb__io()->stat_at(count->blobs->directory, name, &file, AT_SYMLINK_NOFOLLOW)) {
        if (errno == ENOENT) // collected since it was listed
            return MEMDB_OK;
        return memdb__fail_errno(error, errno, "blob/%s", name);
    }
    count->extents++;
    count->bytes += (uint64_t)file.st_size;
    return MEMDB_OK;
}

memdb_status_t memdb__blobs_stat(memdb__blobs_t *blobs, uint64_t *extents_out, uint64_t *bytes_out,
                                 memdb_error_t *error) {
    count_t count = {blobs, 0, 0};
    memdb_status_t status = MEMDB_OK;
    if (blobs->directory >= 0)
        status = memdb__io_list(blobs->directory, count_extent, &count, error);
    if (status)
        return status;
    *extents_out = count.extents;
    *bytes_out = count.bytes;
    return MEMDB_OK;
}
