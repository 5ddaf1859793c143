// The life cycle of the catalog: creation, opening, sharing, closing, verifying.
//
// Invariants
//   - LMDB maps a file only after memdb__catalog_check accepted it, and one environment a database
//   a process is ever
//     open: LMDB's locks are POSIX locks, which a second descriptor's close would drop.
//     Environments are found by the device and inode of data.mdb, under one mutex, and counted.
//   - A forked child forgets an environment of its parent and never calls LMDB for it. LMDB's
//   memory stays allocated
//     there, and its descriptors open (close-on-exec).
#include "engine/catalog/engine_catalog.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>

typedef struct environment {
    struct environment *next;
    dev_t device;
    ino_t inode;
    uint64_t handles;
    bool foreign;  // belongs to the process that forked this one
    bool writable; // opened so that commits are possible
    int directory, companion;
    memdb__lmdb_t *lmdb;
} environment_t;

struct memdb__catalog {
    environment_t *environment;
    bool read_only;
};

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t registry_once = PTHREAD_ONCE_INIT;
static environment_t *registry; // under registry_lock

static void before_fork(void) {
    pthread_mutex_lock(&registry_lock);
}

static void after_fork_in_parent(void) {
    pthread_mutex_unlock(&registry_lock);
}

static void after_fork_in_child(void) {
    for (environment_t *environment = registry; environment; environment = environment->next)
        environment->foreign = true;
    registry = NULL;
    pthread_mutex_unlock(&registry_lock);
}

static void register_fork_handlers(void) {
    pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

memdb_status_t memdb__catalog_read(memdb__catalog_t *catalog, memdb__manifest_t *manifest_out,
                                   memdb_error_t *error) {
    if (catalog->environment->foreign)
        return memdb__fail(error, MEMDB_FORKED,
                           "catalog: opened before fork, in the parent process");
    return memdb__lmdb_read(catalog->environment->lmdb, manifest_out, error);
}

memdb_status_t memdb__catalog_settle(memdb__catalog_t *catalog, uint64_t told,
                                     memdb_error_t *error) {
    if (catalog->environment->foreign)
        return memdb__fail(error, MEMDB_FORKED,
                           "catalog: opened before fork, in the parent process");
    return memdb__lmdb_settle(catalog->environment->lmdb, told, error);
}

memdb_status_t memdb__catalog_commit(memdb__catalog_t *catalog, const memdb__manifest_t *manifest,
                                     uint64_t *generation_out, memdb_error_t *error) {
    environment_t *environment = catalog->environment;
    if (environment->foreign)
        return memdb__fail(error, MEMDB_FORKED,
                           "catalog: opened before fork, in the parent process");
    if (catalog->read_only || !environment->writable)
        return memdb__fail(error, MEMDB_READ_ONLY, "catalog: open for reading only");
    memdb_status_t status = memdb__manifest_check(manifest, error);
    if (status == MEMDB_CORRUPT) // a caller's manifest is an argument, not a damaged file
        return memdb__fail(error, MEMDB_INVALID,
                           "catalog: the manifest to commit contradicts itself");
    return status ? status
                  : memdb__lmdb_commit(environment->lmdb, environment->companion, manifest,
                                       generation_out, error);
}

static bool is_refused(int code) {
    return code == EACCES || code == EPERM || code == EROFS;
}

static memdb_status_t open_companion(environment_t *environment, bool read_only, bool *writable_out,
                                     memdb_error_t *error) {
    memdb_status_t status =
        memdb__io_open(environment->directory, "companion", O_RDWR, &environment->companion, error);
    *writable_out = status == MEMDB_OK;
    if (status && read_only)
        status = memdb__io_open(environment->directory, "companion", O_RDONLY,
                                &environment->companion, error);
    return status;
}

// As unlinkat: its errno decides.
static int remove_lock_file(const environment_t *environment) {
    int result;
    do
        result = memdb__io()->unlink_at(environment->directory, "lock.mdb", 0);
    while (result && errno == EINTR);
    return result;
}

// Modes in the order of trying. A reader takes part in LMDB's locks wherever it can: without them a
// writer may reuse the pages it reads. Only where lock.mdb cannot be written it does without.
static memdb_status_t open_checked(environment_t *environment, bool alone, bool read_only,
                                   memdb_error_t *error) {
    memdb__catalog_damage_t damage;
    memdb__lmdb_mode_t mode = MEMDB__LMDB_WRITE,
                       last = read_only ? MEMDB__LMDB_READ_UNLOCKED : MEMDB__LMDB_WRITE;
    bool writable, refused = false; // stays so where memory ran out
    memdb_status_t status = memdb__catalog_check(environment->directory, &damage, error);
    if (!status)
        status = open_companion(environment, read_only, &writable, error);
    if (status)
        return status;
    // A lock file that nobody uses holds nothing of worth, and LMDB would believe it.
    if (alone && remove_lock_file(environment) && errno != ENOENT) {
        if (!read_only || !is_refused(errno))
            return memdb__fail_errno(error, errno, "catalog/lock.mdb: remove");
        mode = MEMDB__LMDB_READ_UNLOCKED;
    }
    for (;; mode++) {
        status =
            memdb__lmdb_open(environment->directory, mode, &environment->lmdb, &refused, error);
        if (!status) {
            environment->writable = writable && mode == MEMDB__LMDB_WRITE;
            return MEMDB_OK;
        }
        if (!refused || mode == last)
            return status;
    }
}

static void destroy_environment(environment_t *environment) {
    memdb__lmdb_close(environment->lmdb, environment->foreign);
    memdb__io_close(environment->companion);
    memdb__io_close(environment->directory);
    memdb__free(environment);
}

// The environment of the database, from the registry or new. Under registry_lock.
static memdb_status_t acquire(int directory, bool alone, bool read_only,
                              environment_t **environment_out, memdb_error_t *error) {
    struct stat file;
    if (memdb__io()->stat_at(directory, MEMDB__CATALOG_DATA, &file, 0)) {
        if (errno == ENOENT)
            return memdb__fail(error, MEMDB_CORRUPT, MEMDB__CATALOG_DATA " is missing");
        return memdb__fail_errno(error, errno, MEMDB__CATALOG_DATA);
    }
    for (environment_t *known = registry; known; known = known->next) {
        if (known->device != file.st_dev || known->inode != file.st_ino)
            continue;
        if (!read_only && !known->writable)
            return memdb__fail(error, MEMDB_READ_ONLY,
                               "catalog: this process has it open for reading only");
        known->handles++;
        *environment_out = known;
        return MEMDB_OK;
    }
    environment_t *environment = memdb__allocate_zeroed(1, sizeof *environment);
    if (!environment)
        return memdb__fail(error, MEMDB_NOMEM, "catalog: out of memory");
    environment->device = file.st_dev;
    environment->inode = file.st_ino;
    environment->directory = environment->companion = -1;
    memdb_status_t status = memdb__io_open(directory, "catalog", O_RDONLY | O_DIRECTORY,
                                           &environment->directory, error);
    if (!status)
        status = open_checked(environment, alone, read_only, error);
    if (status) {
        destroy_environment(environment);
        return status;
    }
    environment->handles = 1;
    environment->next = registry;
    registry = environment;
    *environment_out = environment;
    return MEMDB_OK;
}

memdb_status_t memdb__catalog_open(int directory, bool alone, bool read_only,
                                   memdb__catalog_t **catalog_out, memdb_error_t *error) {
    pthread_once(&registry_once, register_fork_handlers);
    memdb__catalog_t *catalog = memdb__allocate_zeroed(1, sizeof *catalog);
    if (!catalog)
        return memdb__fail(error, MEMDB_NOMEM, "catalog: out of memory");
    catalog->read_only = read_only;
    pthread_mutex_lock(&registry_lock);
    memdb_status_t status = acquire(directory, alone, read_only, &catalog->environment, error);
    pthread_mutex_unlock(&registry_lock);
    if (status)
        memdb__free(catalog);
    else
        *catalog_out = catalog;
    return status;
}

void memdb__catalog_close(memdb__catalog_t *catalog) {
    if (!catalog)
        return;
    environment_t *environment = catalog->environment;
    pthread_mutex_lock(&registry_lock);
    if (--environment->handles == 0) {
        for (environment_t **link = &registry; *link; link = &(*link)->next) {
            if (*link == environment) {
                *link = environment->next;
                break;
            }
        }
        destroy_environment(environment);
    }
    pthread_mutex_unlock(&registry_lock);
    memdb__free(catalog);
}

// Remove what a creation that was interrupted left behind: a database begins to exist with its root
// file, later.
static memdb_status_t remove_remains(int catalog_directory, memdb_error_t *error) {
    static const char *const names[] = {"data.mdb", "lock.mdb", "companion"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        memdb_status_t status = memdb__io_unlink(catalog_directory, names[i], error);
        if (status)
            return status;
    }
    return MEMDB_OK;
}

memdb_status_t memdb__catalog_create(int directory, memdb_error_t *error) {
    static const memdb__manifest_t empty = {0};
    memdb__lmdb_t *lmdb = NULL;
    int catalog_directory = -1, companion = -1;
    bool refused;
    memdb_status_t status = memdb__io_make_directory(directory, "catalog", error);
    if (!status)
        status =
            memdb__io_open(directory, "catalog", O_RDONLY | O_DIRECTORY, &catalog_directory, error);
    if (!status)
        status = remove_remains(catalog_directory, error);
    if (!status)
        status = memdb__companion_create(catalog_directory, &companion, error);
    if (!status)
        status = memdb__lmdb_open(catalog_directory, MEMDB__LMDB_WRITE, &lmdb, &refused, error);
    if (!status)
        status = memdb__lmdb_commit(lmdb, companion, &empty, NULL, error);
    memdb__lmdb_close(lmdb, false);
    if (!status)
        status = memdb__io_unlink(catalog_directory, "lock.mdb", error);
    if (!status)
        status = memdb__io_sync_all(companion, MEMDB__CATALOG_COMPANION, error);
    if (!status)
        status = memdb__io_sync_all(catalog_directory, "catalog", error);
    if (!status)
        status = memdb__io_sync_all(directory, "the database directory", error);
    memdb__io_close(companion);
    memdb__io_close(catalog_directory);
    return status;
}

memdb_status_t memdb__catalog_verify(memdb__catalog_t *catalog, memdb_verify_fn found,
                                     void *context, memdb_error_t *error) {
    memdb_error_t finding = {0};
    memdb__catalog_damage_t damage = {MEMDB__CATALOG_DATA, 0};
    if (catalog->environment->foreign)
        return memdb__fail(error, MEMDB_FORKED,
                           "catalog: opened before fork, in the parent process");
    memdb_status_t status =
        memdb__catalog_check(catalog->environment->directory, &damage, &finding);
    if (status == MEMDB_CORRUPT && found)
        found(context, damage.file, damage.offset, finding.message);
    return status ? memdb__fail(error, status, "%s", finding.message) : MEMDB_OK;
}

uint64_t memdb__catalog_bytes(memdb__catalog_t *catalog) {
    static const char *const names[] = {"data.mdb", "companion"};
    uint64_t bytes = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct stat file;
        if (memdb__io()->stat_at(catalog->environment->directory, names[i], &file, 0) == 0)
            bytes += (uint64_t)file.st_size;
    }
    return bytes;
}
