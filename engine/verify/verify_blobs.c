// Verify: the blobs that memories name, and the files that nothing names.
//
// The references were gathered while the memories were checked. Sorted, each blob is read once,
// whoever names it, and the files from front to back. No lock is held, so a collection may have
// moved a blob and unlinked its extent since the snapshot: what is damaged at the first look is
// looked at again as its memory names it now.
#include "engine/fold/fold.h"
#include "engine/verify/verify.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

static int by_place(const void *a, const void *b) {
    const memdb__verify_blob_t *x = a, *y = b;
    for (size_t at = 0; at < MEMDB__BLOB_REFERENCE_BYTES; at += 8) { // extent, offset, size, hash
        uint64_t p = memdb__get_u64(x->reference + at), q = memdb__get_u64(y->reference + at);
        if (p != q) {
            return p < q ? -1 : 1;
        }
    }
    return 0;
}

/// Sort the references and keep one of each; their bytes are added to the total.
static size_t sort_blobs(memdb__verify_t *verify) {
    memdb__verify_blob_t *blobs = (memdb__verify_blob_t *)verify->blobs.data;
    size_t count = verify->blobs.size / sizeof *blobs, kept = 0;
    if (count) {
        qsort(blobs, count, sizeof *blobs, by_place);
    }
    for (size_t i = 0; i < count; i++) {
        if (!i || by_place(&blobs[i], &blobs[kept - 1]) != 0) {
            blobs[kept++] = blobs[i];
            verify->total += memdb__get_u64(blobs[kept - 1].reference + 16);
        }
    }
    verify->blobs.size = kept * sizeof *blobs;
    return kept;
}

static bool names(const memdb__entry_t *entry, const memdb__verify_blob_t *blob) {
    memdb__record_t record;
    memdb_blob_t named;
    bool found = false;
    if (entry->tombstone || !memdb__record_decode(entry->value, entry->value_size, &record)) {
        return false;
    }
    for (uint32_t i = 0; !found && i < record.blob_count; i++) {
        found = memdb__record_next_blob(&record.blobs, &named) &&
                memcmp(named.reference, blob->reference, sizeof named.reference) == 0;
    }
    return found;
}

/// Whether the memory of a blob still names it, in any version that can be read.
static memdb_status_t is_named(memdb__verify_t *verify, const memdb__verify_blob_t *blob,
                               bool *named_out, memdb_error_t *error) {
    memdb_snapshot_t now = {0};
    memdb__merge_t merge = {0};
    memdb__moment_t floor;
    memdb__key_t key;
    *named_out = false;
    memdb_status_t status = memdb__snapshot_init(verify->db, &now, error);
    if (status) {
        return status;
    }
    memdb__key_record(&key, blob->id);
    status = memdb__history_floor(now.sight.view, &floor, error);
    status = status ? status
                    : memdb__merge_open_retained(&merge, &now.sight, floor.end, key.bytes, key.size,
                                                 error);
    while (!status && merge.valid && merge.entry.key_size == key.size &&
           memcmp(merge.entry.key, key.bytes, key.size) == 0) {
        *named_out |= names(&merge.entry, blob);
        status = memdb__merge_next(&merge, error);
    }
    memdb__merge_close(&merge);
    memdb__snapshot_deinit(&now);
    return status;
}

static memdb_status_t check_blob(memdb__verify_t *verify, size_t number, void *context,
                                 memdb_error_t *error) {
    const memdb__verify_blob_t *blob = &((memdb__verify_blob_t *)context)[number];
    memdb_error_t damage = {0};
    memdb_status_t status = memdb__blob_verify(verify->db->blobs, blob->reference, &damage);
    memdb__verify_progress(verify, memdb__get_u64(blob->reference + 16));
    if (status != MEMDB_CORRUPT && status != MEMDB_NOT_FOUND) {
        *error = damage;
        return status;
    }
    bool named;
    status = is_named(verify, blob, &named, error);
    if (!status && named) {
        char name[32], what[700];
        unsigned long long offset = memdb__get_u64(blob->reference + 8);
        const char *at = strstr(damage.message, ".ext at ");
        if (at) {
            sscanf(at, ".ext at %llu", &offset);
        }
        memdb__blob_file(blob->reference, name);
        snprintf(what, sizeof what, "a blob of memory %llu: %s", (unsigned long long)blob->id,
                 damage.message);
        memdb__verify_found(verify, name, offset, what);
    }
    return status;
}

memdb_status_t memdb__verify_blobs(memdb__verify_t *verify, memdb_error_t *error) {
    size_t count = sort_blobs(verify);
    return memdb__verify_parallel(verify, count, check_blob, verify->blobs.data, error);
}

// ------------------------------------------------------------------------------ garbage

typedef struct listing {
    memdb__verify_t *verify;
    const memdb__view_t *view;
    const char *directory;
    int fd;
    uint64_t newest; // a file with a higher id came behind the snapshot
} listing_t;

static void tell_garbage(const listing_t *listing, const char *name) {
    memdb__verify_t *verify = listing->verify;
    struct stat about;
    char path[160];
    if (memdb__io()->stat_at(listing->fd, name, &about, AT_SYMLINK_NOFOLLOW) != 0) {
        return; // it is gone already
    }
    snprintf(path, sizeof path, "%s/%s", listing->directory, name);
    pthread_mutex_lock(&verify->mutex);
    verify->options.garbage(verify->options.context, path, (uint64_t)about.st_size);
    pthread_mutex_unlock(&verify->mutex);
}

static memdb_status_t look_at_segment(void *context, const char *name, memdb_error_t *error) {
    const listing_t *listing = context;
    (void)error;
    if (!memdb__view_has_file(listing->view, name)) {
        tell_garbage(listing, name);
    }
    return MEMDB_OK;
}

/// Whether somebody holds a lock on the file: its creator, who may yet name blobs in it.
static bool is_locked(int directory, const char *name) {
    memdb_error_t ignored = {0};
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
    int fd = -1;
    bool locked = memdb__io_open(directory, name, O_RDWR, &fd, &ignored) != MEMDB_OK ||
                  fcntl(fd, F_OFD_GETLK, &range) != 0 || range.l_type != F_UNLCK;
    memdb__io_close(fd);
    return locked;
}

static memdb_status_t look_at_extent(void *context, const char *name, memdb_error_t *error) {
    const listing_t *listing = context;
    const memdb__verify_blob_t *blobs = (const memdb__verify_blob_t *)listing->verify->blobs.data;
    size_t low = 0, high = listing->verify->blobs.size / sizeof *blobs, count = high;
    unsigned long long id = 0;
    (void)error;
    bool extent = sscanf(name, "%16llx.ext", &id) == 1;
    while (extent && low < high) {
        size_t middle = low + (high - low) / 2;
        if (memdb__get_u64(blobs[middle].reference) < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    bool named = extent && low < count && memdb__get_u64(blobs[low].reference) == id;
    if (!named && !is_locked(listing->fd, name) && (!extent || id < listing->newest)) {
        tell_garbage(listing, name);
    }
    return MEMDB_OK;
}

/// List one directory.
static memdb_status_t look(listing_t *listing, const char *directory,
                           memdb_status_t (*visit)(void *context, const char *name,
                                                   memdb_error_t *error),
                           memdb_error_t *error) {
    listing->directory = directory;
    memdb_status_t status = memdb__io_open(listing->verify->db->directory, directory,
                                           O_RDONLY | O_DIRECTORY, &listing->fd, error);
    status = status ? status : memdb__io_list(listing->fd, visit, listing, error);
    memdb__io_close(listing->fd);
    listing->fd = -1;
    return status == MEMDB_NOT_FOUND ? MEMDB_OK : status;
}

memdb_status_t memdb__verify_garbage(memdb__verify_t *verify, memdb_error_t *error) {
    memdb_snapshot_t now = {0};
    listing_t listing = {.verify = verify, .fd = -1, .newest = verify->newest_file};
    memdb_status_t status = memdb__adopt(verify->db, error);
    status = status ? status : memdb__snapshot_init(verify->db, &now, error);
    if (status) {
        return status;
    }
    listing.view = now.sight.view; // as the catalog is now: nobody folds meanwhile
    bool merging = false;          // then files of a new tier have no name yet
    status = memdb__merge_goes_on(verify->db, &merging, error);
    status = status || merging ? status : look(&listing, "segments", look_at_segment, error);
    status = status ? status : look(&listing, "blob", look_at_extent, error);
    memdb__snapshot_deinit(&now);
    return status;
}
