// Blob extents in the archive: moved there by the collector, removed by the backup that has their
// blobs. See archive.h.
#include "engine/backup/archive.h"

#include "base/memory.h"
#include "blob/copy.h"
#include "wal/copy.h"

#include <errno.h>
#include <fcntl.h>

memdb_status_t memdb__archive_keep_extent(int directory, uint64_t extent_id, bool *kept_out,
                                          memdb_error_t *error) {
    char name[32];
    int archive = -1, blob = -1;
    bool kept = false;
    memdb__blob_extent_file(extent_id, name);
    memdb_status_t status = memdb__archive_open(directory, &archive, error);
    if (!status && archive >= 0) {
        status = memdb__io_open(directory, "blob", O_RDONLY | O_DIRECTORY, &blob, error);
        status = status ? status : memdb__io_move(blob, name, archive, name, error);
        kept = !status;
        status = status == MEMDB_NOT_FOUND ? MEMDB_OK : status; // gone already
    }
    if (kept) { // the new place first: it may be found in both, but not in none
        status = memdb__io_sync_all(archive, "archive", error);
        status = status ? status : memdb__io_sync_all(blob, "blob", error);
    }
    memdb__io_close(blob);
    memdb__io_close(archive);
    if (!status) {
        *kept_out = kept;
    }
    return status;
}

static memdb_status_t add_number(void *context, const char *name, memdb_error_t *error) {
    uint64_t number;
    if (memdb__blob_extent_number(name, &number) &&
        !memdb__buffer_append(context, &number, sizeof number)) {
        return memdb__fail(error, MEMDB_NOMEM, "archive: out of memory");
    }
    return MEMDB_OK;
}

memdb_status_t memdb__archive_list_extents(int directory, uint64_t **numbers_out, size_t *count_out,
                                           memdb_error_t *error) {
    int archive = -1;
    memdb__buffer_t numbers = {0};
    memdb_status_t status = memdb__archive_open(directory, &archive, error);
    if (!status && archive >= 0) {
        status = memdb__io_list(archive, add_number, &numbers, error);
    }
    memdb__io_close(archive);
    if (status) {
        memdb__buffer_deinit(&numbers);
        return status;
    }
    *numbers_out = (uint64_t *)(void *)numbers.data;
    *count_out = numbers.size / sizeof(uint64_t);
    return MEMDB_OK;
}

memdb_status_t memdb__archive_drop_extents(int directory, const uint64_t *numbers, size_t count,
                                           memdb_error_t *error) {
    int archive = -1;
    memdb_status_t status = memdb__archive_open(directory, &archive, error);
    for (size_t i = 0; !status && archive >= 0 && i < count; i++) {
        char name[32];
        memdb__blob_extent_file(numbers[i], name);
        status = memdb__io_unlink(archive, name, error);
    }
    memdb__io_close(archive);
    return status;
}
