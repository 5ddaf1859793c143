// Salvage: a new database from what is whole of a damaged one.
//
// Steps: find out which database it is (root, or any whole header); read the catalog with the safe
// reader alone, so that nothing in the directory is touched; read maps and rows from the segments
// that it names, or from all of them; read the frames above them from the log; then write the
// newest version of each thing through the ordinary calls. Where the catalog is lost, the base ends
// at the newest version that its maps hold: a checkpoint writes its own LSN into them.
#include "engine/salvage/salvage.h"

#include "base/checksum.h"
#include "engine/catalog/engine_catalog.h"
#include "engine/root.h"

#include <fcntl.h>
#include <stdio.h>

void memdb__salvage_lost(memdb__salvage_t *salvage, const char *file, uint64_t offset,
                         uint64_t first_id, uint64_t last_id, memdb_bytes_t key, const char *format,
                         ...) {
    char what[600];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    memdb_loss_t loss = {.size = sizeof loss,
                         .file = file,
                         .offset = offset,
                         .what = what,
                         .first_id = first_id,
                         .last_id = last_id,
                         .key = key};
    salvage->losses++;
    if (salvage->lost) {
        salvage->lost(salvage->context, &loss);
    }
}

// ------------------------------------------------------------------------------ whose files

typedef struct search {
    memdb__salvage_t *salvage;
    int directory;
    bool found;
} search_t;

/// Headers of segments, of the log and of maps, are alike: magic, the database's id at 16, and the
/// checksum of the block at its end.
static memdb_status_t look_at_header(void *context, const char *name, memdb_error_t *error) {
    search_t *search = context;
    uint8_t block[4096];
    int fd = -1;
    if (search->found || memdb__io_open(search->directory, name, O_RDONLY, &fd, error)) {
        *error = (memdb_error_t){0};
        return MEMDB_OK;
    }
    if (memdb__io_read(fd, block, sizeof block, 0, name, error) == MEMDB_OK &&
        (memcmp(block, "MEMDBLOG", 8) == 0 || memcmp(block, "MEMDBSEG", 8) == 0) &&
        memdb__get_u64(block + 4088) == memdb__hash64(block, 4088, 0)) {
        memcpy(search->salvage->database_id, block + 16, 16);
        search->found = true;
    }
    memdb__io_close(fd);
    *error = (memdb_error_t){0};
    return MEMDB_OK;
}

static memdb_status_t find_identity(memdb__salvage_t *salvage, memdb_error_t *error) {
    static const char *const directories[] = {"log", "segments"};
    memdb__root_t root;
    memdb_error_t why = {0};
    search_t search = {.salvage = salvage, .directory = -1};
    memdb_status_t status = memdb__root_read(salvage->directory, &root, &why);
    if (!status) {
        memcpy(salvage->database_id, root.database_id, 16);
        salvage->durability = root.durability;
        return MEMDB_OK;
    }
    if (status == MEMDB_NOMEM) {
        *error = why;
        return status;
    }
    for (size_t i = 0; i < 2 && !search.found; i++) {
        memdb_error_t ignored = {0};
        if (memdb__io_open(salvage->directory, directories[i], O_RDONLY | O_DIRECTORY,
                           &search.directory, &ignored) == MEMDB_OK) {
            memdb__io_list(search.directory, look_at_header, &search, &ignored);
            memdb__io_close(search.directory);
        }
    }
    if (!search.found) {
        return memdb__fail(error, MEMDB_NOT_DATABASE,
                           "no file of the directory says to which database it belongs");
    }
    memdb__salvage_lost(salvage, "root", 0, 0, 0, (memdb_bytes_t){0},
                        "the database's default durability: %s", why.message);
    return MEMDB_OK;
}

// ------------------------------------------------------------------------------ the catalog

static memdb_status_t read_manifest(memdb__salvage_t *salvage, int catalog, memdb_error_t *error) {
    memdb__catalog_damage_t damage = {0};
    memdb__manifest_builder_t builder;
    uint8_t *data = NULL;
    size_t size = 0;
    uint64_t txnid = 0, hash;
    memdb_status_t status = memdb__catalog_check(catalog, &damage, error);
    status = status ? status
                    : memdb__io_read_file(catalog, "data.mdb", MEMDB__CATALOG_MAP_BYTES, &data,
                                          &size, error);
    if (status) {
        return status;
    }
    memdb__manifest_builder_init(&builder);
    status = memdb__lmdb_walk(data, size, &txnid, memdb__manifest_builder_add, &builder, error);
    status =
        status ? status
               : memdb__manifest_builder_finish(&builder, txnid, &salvage->manifest, &hash, error);
    memdb__manifest_builder_deinit(&builder);
    memdb__free(data);
    return status;
}

static memdb_status_t read_catalog(memdb__salvage_t *salvage, memdb_error_t *error) {
    int catalog = -1;
    memdb_status_t status =
        memdb__io_open(salvage->directory, "catalog", O_RDONLY | O_DIRECTORY, &catalog, error);
    status = status ? status : read_manifest(salvage, catalog, error);
    memdb__io_close(catalog);
    salvage->has_manifest = status == MEMDB_OK;
    if (status == MEMDB_NOMEM) {
        return status;
    }
    if (status) {
        memdb__salvage_lost(salvage, "catalog/data.mdb", 0, 0, 0, (memdb_bytes_t){0},
                            "the names of the segments that count: all that are there are read, "
                            "so what was forgotten may come back from one that did not count, and "
                            "none tells whether one is missing: %s",
                            error->message);
        *error = (memdb_error_t){0};
    }
    return MEMDB_OK;
}

// ------------------------------------------------------------------------------ all of it

/// Nobody has it open now. (Whoever opens it meanwhile gets no harm: nothing is written there.)
static memdb_status_t check_absence(memdb__salvage_t *salvage, memdb_error_t *error) {
    int lock = -1;
    memdb_error_t ignored = {0};
    if (memdb__io_open(salvage->directory, "lock", O_RDWR, &lock, &ignored) != MEMDB_OK) {
        return MEMDB_OK; // lost, or read-only
    }
    memdb_status_t status =
        memdb__lock_acquire(lock, MEMDB__LOCK_PRESENCE, MEMDB__LOCK_EXCLUSIVE, false, &ignored);
    memdb__io_close(lock);
    return status == MEMDB_BUSY
               ? memdb__fail(error, MEMDB_BUSY, "a process has the database open; close it first")
               : MEMDB_OK;
}

static memdb_status_t run(memdb__salvage_t *salvage, const char *to, memdb_error_t *error) {
    memdb_status_t status = check_absence(salvage, error);
    status = status ? status : find_identity(salvage, error);
    status = status ? status : memdb__salvage_target(to, error);
    status = status ? status : read_catalog(salvage, error);
    status = status ? status : memdb__salvage_segments(salvage, error);
    if (!status) {
        salvage->applied = salvage->has_manifest ? salvage->manifest.applied_lsn : salvage->newest;
        status = memdb__salvage_log(salvage, error);
    }
    if (!status && (salvage->entries.failed || salvage->rows.failed || salvage->holes.failed)) {
        status = memdb__fail(error, MEMDB_NOMEM, "out of memory");
    }
    return status ? status : memdb__salvage_write(salvage, to, error);
}

memdb_status_t memdb_salvage(const char *from, const char *to, memdb_salvage_fn lost, void *context,
                             uint64_t *losses_out, memdb_error_t *error_out) {
    memdb_error_t error = {0};
    memdb__salvage_t salvage = {.directory = -1, .lost = lost, .context = context};
    memdb_status_t status = from && *from && to && *to
                                ? MEMDB_OK
                                : memdb__fail(&error, MEMDB_INVALID, "two directories are needed");
    memdb__arena_init(&salvage.arena);
    status =
        status ? status
               : memdb__io_open(AT_FDCWD, from, O_RDONLY | O_DIRECTORY, &salvage.directory, &error);
    status = status ? status : run(&salvage, to, &error);
    memdb__rescue_t *rescues = (memdb__rescue_t *)salvage.rescues.data;
    for (size_t i = 0; i < MEMDB__SALVAGE_COUNT(salvage.rescues, memdb__rescue_t); i++) {
        memdb__rescue_close(&rescues[i]);
    }
    memdb__buffer_deinit(&salvage.rescues);
    memdb__buffer_deinit(&salvage.entries);
    memdb__buffer_deinit(&salvage.rows);
    memdb__buffer_deinit(&salvage.holes);
    memdb__arena_deinit(&salvage.arena);
    memdb__manifest_deinit(&salvage.manifest);
    memdb__io_close(salvage.directory);
    if (status) {
        memdb__error_context(&error, status, "salvage");
        if (error_out) {
            *error_out = error;
        }
    } else if (losses_out) {
        *losses_out = salvage.losses;
    }
    return status;
}
