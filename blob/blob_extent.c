// The table of open extents: making them, opening them for reading, mapping, and letting go.
//
// Invariants
//   - An own extent keeps its descriptor, and with it its lock, until the arena is closed or
//   memdb__blobs_settle:
//     until then a blob in it may be one that no frame names yet, and the lock is what tells the
//     collector so.
//   - A collector that finds an unlocked file may unlink it; so a new extent counts only once it is
//   locked and still
//     has its name.
//   - A mapping is never replaced under a view: the view holds the old one, new views get the new
//   one.
#include "blob/blob_extent.h"

#include "base/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

#define MAP_STEP                                                                                   \
    (UINT64_C(4)                                                                                   \
     << 20) // mappings reach beyond the file, so that a growing one is not remapped each time
#define CREATE_ATTEMPTS 8

// Whether the lock of the first byte is ours. An open-file-description lock ends with the
// descriptor.
static int lock_first_byte(int fd) {
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
    return fcntl(fd, F_OFD_SETLK, &range);
}

// Make one extent file, locked, with its header. retry_out: another process took it for garbage;
// ask for a new id.
static memdb_status_t create_file(memdb__blobs_t *blobs, uint64_t id, int *fd_out, bool *retry_out,
                                  memdb_error_t *error) {
    uint8_t header[MEMDB__EXTENT_HEADER_BYTES];
    char name[32];
    struct stat file;
    int fd;
    memdb__extent_name(id, name);
    memdb_status_t status = memdb__io_open(blobs->directory, MEMDB__EXTENT_FILE(name),
                                           O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, &fd, error);
    if (status)
        return memdb__error_context(error, status, "blob");
    if (lock_first_byte(fd)) {
        *retry_out = errno == EAGAIN || errno == EACCES;
        status = memdb__fail_errno(error, errno, "%s: lock", name);
        memdb__io_close(fd);
        return status;
    }
    if (memdb__io()->stat(fd, &file))
        status = memdb__fail_errno(error, errno, "%s", name);
    else if (file.st_nlink == 0) {
        *retry_out = true;
        status = memdb__fail(error, MEMDB_IO, "%s: removed while it was made", name);
    }
    if (!status) {
        memdb__extent_header_encode(blobs->database_id, id, header);
        status = memdb__io_write(fd, header, sizeof header, 0, name, error);
    }
    if (status) {
        memdb__io_unlink(blobs->directory, MEMDB__EXTENT_FILE(name),
                         NULL); // the first error is the one to tell
        memdb__io_close(fd);
        return status;
    }
    *fd_out = fd;
    return MEMDB_OK;
}

static memdb_status_t create_extent(memdb__blobs_t *blobs, memdb__extent_t **extent_out,
                                    memdb_error_t *error) {
    memdb__extent_t *extent = memdb__allocate_zeroed(1, sizeof *extent);
    if (!extent)
        return memdb__fail(error, MEMDB_NOMEM, "blob: out of memory");
    memdb_status_t status = MEMDB_OK;
    for (int attempt = 0; attempt < CREATE_ATTEMPTS; attempt++) {
        bool retry = false;
        extent->id = blobs->next_extent_id(blobs->context);
        status = create_file(blobs, extent->id, &extent->fd, &retry, error);
        if (!retry)
            break;
    }
    if (status) {
        memdb__free(extent);
        return status;
    }
    extent->own = extent->taken = extent->dirty = true;
    extent->end = MEMDB__EXTENT_HEADER_BYTES;
    extent->users = 1;
    pthread_mutex_lock(&blobs->table);
    extent->next = blobs->extents;
    blobs->extents = extent;
    blobs->directory_dirty = true;
    pthread_mutex_unlock(&blobs->table);
    *extent_out = extent;
    return MEMDB_OK;
}

memdb_status_t memdb__extent_take(memdb__blobs_t *blobs, memdb__extent_t **extent_out,
                                  memdb_error_t *error) {
    pthread_mutex_lock(&blobs->table);
    memdb__extent_t *extent = blobs->extents;
    while (extent && (!extent->own || extent->taken || extent->end >= MEMDB__EXTENT_BYTES ||
                      memdb__extent_is_retired(blobs, extent->id)))
        extent = extent->next;
    if (extent) {
        extent->taken = true;
        extent->users++;
    }
    pthread_mutex_unlock(&blobs->table);
    if (!extent)
        return create_extent(blobs, extent_out, error);
    *extent_out = extent;
    return MEMDB_OK;
}

void memdb__extent_put_back(memdb__blobs_t *blobs, memdb__extent_t *extent, uint64_t end) {
    pthread_mutex_lock(&blobs->table);
    extent->end = end;
    extent->taken = false;
    pthread_mutex_unlock(&blobs->table);
    memdb__extent_release(blobs, extent);
}

void memdb__extent_written(memdb__blobs_t *blobs, memdb__extent_t *extent) {
    pthread_mutex_lock(&blobs->table);
    extent->dirty = true;
    pthread_mutex_unlock(&blobs->table);
}

static void drop_mapping(memdb__extent_mapping_t *mapping) {
    if (mapping && --mapping->users == 0) {
        memdb__io_unmap(mapping->address, (size_t)mapping->size);
        memdb__free(mapping);
    }
}

static void destroy_extent(memdb__extent_t *extent) {
    drop_mapping(extent->mapping);
    memdb__io_close(extent->fd);
    memdb__free(extent);
}

// Close the extent that was idle longest. Under the table's lock.
static void close_idle(memdb__blobs_t *blobs) {
    memdb__extent_t **oldest = NULL;
    for (memdb__extent_t **link = &blobs->extents; *link; link = &(*link)->next)
        if (!(*link)->own && (*link)->users == 0 &&
            (!oldest || (*link)->used_at < (*oldest)->used_at))
            oldest = link;
    if (!oldest)
        return;
    memdb__extent_t *extent = *oldest;
    *oldest = extent->next;
    blobs->idle--;
    destroy_extent(extent);
}

static memdb_status_t open_extent(memdb__blobs_t *blobs, uint64_t id, memdb__extent_t **extent_out,
                                  memdb_error_t *error) {
    uint8_t header[MEMDB__EXTENT_HEADER_BYTES];
    char name[32];
    int fd;
    memdb__extent_name(id, name);
    if (blobs->directory < 0)
        return memdb__fail(error, MEMDB_CORRUPT, "%s is missing", name);
    memdb_status_t status = memdb__io_open(blobs->directory, MEMDB__EXTENT_FILE(name),
                                           O_RDONLY | O_NOFOLLOW, &fd, error);
    if (status == MEMDB_NOT_FOUND)
        return memdb__fail(error, MEMDB_CORRUPT, "%s is missing", name);
    if (status)
        return memdb__error_context(error, status, "blob");
    memdb__extent_t *extent = NULL;
    status = memdb__io_read(fd, header, sizeof header, 0, name, error);
    if (!status && !blobs->trusts_pieces)
        status = memdb__extent_header_decode(header, blobs->database_id, id, error);
    if (!status) {
        extent = memdb__allocate_zeroed(1, sizeof *extent);
        if (!extent)
            status = memdb__fail(error, MEMDB_NOMEM, "blob: out of memory");
    }
    if (status) {
        memdb__io_close(fd);
        return status;
    }
    extent->id = id;
    extent->fd = fd;
    *extent_out = extent;
    return MEMDB_OK;
}

memdb_status_t memdb__extent_acquire(memdb__blobs_t *blobs, uint64_t extent_id,
                                     memdb__extent_t **extent_out, memdb_error_t *error) {
    memdb_status_t status = MEMDB_OK;
    pthread_mutex_lock(&blobs->table);
    memdb__extent_t *extent = blobs->extents;
    while (extent && extent->id != extent_id)
        extent = extent->next;
    if (!extent) {
        status = open_extent(blobs, extent_id, &extent, error);
        if (!status) {
            extent->next = blobs->extents;
            blobs->extents = extent;
        }
    } else if (!extent->own && extent->users == 0) {
        blobs->idle--;
    }
    if (!status) {
        extent->users++;
        *extent_out = extent;
    }
    pthread_mutex_unlock(&blobs->table);
    return status;
}

// Close an extent that nobody uses. Under the table's lock.
static void close_unused(memdb__blobs_t *blobs, memdb__extent_t *extent) {
    memdb__extent_t **link = &blobs->extents;
    while (*link != extent)
        link = &(*link)->next;
    *link = extent->next;
    destroy_extent(extent);
}

void memdb__extent_release(memdb__blobs_t *blobs, memdb__extent_t *extent) {
    pthread_mutex_lock(&blobs->table);
    extent->used_at = ++blobs->tick;
    if (--extent->users == 0) {
        if (memdb__extent_is_retired(blobs, extent->id))
            close_unused(blobs, extent); // it may have no name any more: its space is held by us
        else if (!extent->own && ++blobs->idle > MEMDB__BLOB_IDLE_EXTENTS)
            close_idle(blobs);
    }
    pthread_mutex_unlock(&blobs->table);
}

// ------------------------------------------------------------------------------ retired extents

bool memdb__extent_is_retired(const memdb__blobs_t *blobs, uint64_t extent_id) {
    size_t low = 0, high = blobs->retired_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (blobs->retired[middle] < extent_id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < blobs->retired_count && blobs->retired[low] == extent_id;
}

bool memdb__blobs_is_retired(memdb__blobs_t *blobs, const uint8_t reference[32]) {
    pthread_mutex_lock(&blobs->table);
    bool retired = memdb__extent_is_retired(blobs, memdb__get_u64(reference));
    pthread_mutex_unlock(&blobs->table);
    return retired;
}

// Under the table's lock. False: out of memory.
static bool add_retired(memdb__blobs_t *blobs, uint64_t extent_id) {
    if (memdb__extent_is_retired(blobs, extent_id))
        return true;
    if (blobs->retired_count == blobs->retired_capacity) {
        size_t capacity = blobs->retired_capacity ? 2 * blobs->retired_capacity : 16;
        uint64_t *grown = memdb__reallocate(blobs->retired, capacity * sizeof *grown);
        if (!grown)
            return false;
        blobs->retired = grown;
        blobs->retired_capacity = capacity;
    }
    size_t at = blobs->retired_count++;
    for (; at && blobs->retired[at - 1] > extent_id; at--)
        blobs->retired[at] = blobs->retired[at - 1];
    blobs->retired[at] = extent_id;
    return true;
}

// Close what is retired and not in use. An own extent too: its lock says that blobs in it may be
// named yet, and they may not.
static void close_retired(memdb__blobs_t *blobs) {
    for (memdb__extent_t **link = &blobs->extents; *link;) {
        memdb__extent_t *extent = *link;
        if (extent->users == 0 && memdb__extent_is_retired(blobs, extent->id)) {
            *link = extent->next;
            blobs->idle -= !extent->own;
            destroy_extent(extent);
        } else {
            link = &extent->next;
        }
    }
}

memdb_status_t memdb__blobs_retire(memdb__blobs_t *blobs, const uint64_t *extent_ids, size_t count,
                                   memdb_error_t *error) {
    bool fine = true;
    pthread_mutex_lock(&blobs->append);
    pthread_mutex_lock(&blobs->table);
    for (size_t i = 0; i < count && fine; i++)
        fine = add_retired(blobs, extent_ids[i]);
    memdb__extent_t *shared = blobs->shared;
    if (shared && memdb__extent_is_retired(blobs, shared->id)) {
        shared->taken = false;
        shared->users--;
        blobs->shared = NULL;
    }
    close_retired(blobs);
    pthread_mutex_unlock(&blobs->table);
    pthread_mutex_unlock(&blobs->append);
    return fine ? MEMDB_OK : memdb__fail(error, MEMDB_NOMEM, "blob: out of memory");
}

memdb_status_t memdb__extent_covers(const memdb__extent_t *extent, uint64_t end,
                                    memdb_error_t *error) {
    char name[32];
    uint64_t size;
    memdb__extent_name(extent->id, name);
    memdb_status_t status = memdb__io_size(extent->fd, &size, name, error);
    if (!status && size < end)
        status = memdb__fail(error, MEMDB_CORRUPT,
                             "%s at %" PRIu64 ": the file ends before %" PRIu64, name, size, end);
    return status;
}

// Replace the extent's mapping by a larger one. Under the table's lock.
static memdb_status_t remap(memdb__extent_t *extent, uint64_t end, memdb_error_t *error) {
    void *address;
    char name[32];
    memdb__extent_name(extent->id, name);
    uint64_t size = (end + MAP_STEP - 1) / MAP_STEP * MAP_STEP;
    memdb__extent_mapping_t *mapping = memdb__allocate_zeroed(1, sizeof *mapping);
    if (!mapping)
        return memdb__fail(error, MEMDB_NOMEM, "blob: out of memory");
    memdb_status_t status = memdb__io_map(extent->fd, (size_t)size, false, &address, name, error);
    if (status) {
        memdb__free(mapping);
        return status;
    }
    *mapping = (memdb__extent_mapping_t){address, size, 1};
    drop_mapping(extent->mapping);
    extent->mapping = mapping;
    return MEMDB_OK;
}

memdb_status_t memdb__extent_map(memdb__blobs_t *blobs, memdb__extent_t *extent, uint64_t end,
                                 memdb__extent_mapping_t **mapping_out, memdb_error_t *error) {
    memdb_status_t status = memdb__extent_covers(extent, end, error);
    if (status)
        return status;
    pthread_mutex_lock(&blobs->table);
    if (!extent->mapping || extent->mapping->size < end)
        status = remap(extent, end, error);
    if (!status) {
        extent->mapping->users++;
        *mapping_out = extent->mapping;
    }
    pthread_mutex_unlock(&blobs->table);
    return status;
}

void memdb__extent_unmap(memdb__blobs_t *blobs, memdb__extent_mapping_t *mapping) {
    pthread_mutex_lock(&blobs->table);
    drop_mapping(mapping);
    pthread_mutex_unlock(&blobs->table);
}

void memdb__blobs_settle(memdb__blobs_t *blobs) {
    pthread_mutex_lock(&blobs->table);
    for (memdb__extent_t **link = &blobs->extents; *link;) {
        memdb__extent_t *extent = *link;
        if (extent->own && !extent->taken && !extent->dirty && extent->users == 0 &&
            extent->end >= MEMDB__EXTENT_BYTES) {
            *link = extent->next;
            destroy_extent(extent);
        } else {
            link = &extent->next;
        }
    }
    pthread_mutex_unlock(&blobs->table);
}

void memdb__extents_destroy(memdb__blobs_t *blobs) {
    while (blobs->extents) {
        memdb__extent_t *next = blobs->extents->next;
        destroy_extent(blobs->extents);
        blobs->extents = next;
    }
}
