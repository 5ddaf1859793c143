// The root file, and making a database directory. See root.h.
//
// The root is written last, so a directory without one holds either an interrupted creation, which
// nobody was told of and which is begun anew, or a database that lost its root, which is damage.
// The two differ by their log: a creation has no frame.
#include "engine/root.h"

#include "base/bytes.h"
#include "base/checksum.h"
#include "base/memory.h"
#include "engine/catalog/catalog.h"
#include "wal/wal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/random.h>
#include <sys/vfs.h>
#include <unistd.h>

#define LOG_NAME_BYTES 20 // 16 hex digits and ".log"

static const char root_magic[8] = "MEMDBROT";

void memdb__root_encode(const memdb__root_t *root, uint8_t bytes_out[MEMDB__ROOT_BYTES]) {
    memset(bytes_out, 0, MEMDB__ROOT_BYTES);
    memcpy(bytes_out, root_magic, 8);
    memdb__put_u32(bytes_out + 8, MEMDB__ROOT_VERSION);
    memdb__put_u32(bytes_out + 12, (uint32_t)root->durability);
    memcpy(bytes_out + 16, root->database_id, 16);
    memdb__put_u64(bytes_out + 32, (uint64_t)root->created);
    memdb__put_u64(bytes_out + 504, memdb__hash64(bytes_out, 504, 0));
}

memdb_status_t memdb__root_decode(const uint8_t *bytes, size_t size, memdb__root_t *root_out,
                                  memdb_error_t *error) {
    bool whole =
        size == MEMDB__ROOT_BYTES && memdb__get_u64(bytes + 504) == memdb__hash64(bytes, 504, 0);
    if (!whole) {
        return memdb__fail(error, MEMDB_CORRUPT, "root at 0: checksum mismatch");
    }
    if (memcmp(bytes, root_magic, 8) != 0) {
        return memdb__fail(error, MEMDB_NOT_DATABASE, "root: not a memdb root file");
    }
    uint32_t version = memdb__get_u32(bytes + 8);
    if (version != MEMDB__ROOT_VERSION) {
        return memdb__fail(error, MEMDB_VERSION, "root: format version %u, this memdb knows %u",
                           version, MEMDB__ROOT_VERSION);
    }
    uint32_t durability = memdb__get_u32(bytes + 12);
    if (durability < MEMDB_DURABILITY_NONE || durability > MEMDB_DURABILITY_FULL) {
        return memdb__fail(error, MEMDB_CORRUPT, "root at 12: durability %u", durability);
    }
    for (size_t i = 40; i < 504; i++) {
        if (bytes[i]) {
            return memdb__fail(error, MEMDB_CORRUPT, "root at %zu: a reserved byte is not zero", i);
        }
    }
    memcpy(root_out->database_id, bytes + 16, 16);
    root_out->durability = (memdb_durability_t)durability;
    root_out->created = (int64_t)memdb__get_u64(bytes + 32);
    return MEMDB_OK;
}

memdb_status_t memdb__root_read(int directory, memdb__root_t *root_out, memdb_error_t *error) {
    uint8_t *data = NULL;
    size_t size = 0;
    memdb_status_t status = memdb__io_read_file(directory, "root", 1 << 20, &data, &size, error);
    if (status == MEMDB_OK) {
        status = memdb__root_decode(data, size, root_out, error);
        memdb__free(data);
    }
    return status;
}

typedef struct look {
    bool root, ours, foreign, segments;
    int directory;
} look_t;

static memdb_status_t look_at(void *context, const char *name, memdb_error_t *error) {
    (void)error;
    look_t *look = context;
    static const char *const names[] = {"lock",     "control", "control.new", "log",      "catalog",
                                        "segments", "blob",    "root.new",    "root.tmp", "aside"};
    if (strcmp(name, "root") == 0) {
        look->root = true;
        return MEMDB_OK;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            look->ours = true;
            return MEMDB_OK;
        }
    }
    // A replacement that was cut off leaves "root" with a suffix.
    look->foreign |= strncmp(name, "root.", 5) != 0 && strncmp(name, "control.", 8) != 0;
    return MEMDB_OK;
}

static memdb_status_t saw_name(void *context, const char *name, memdb_error_t *error) {
    (void)name;
    (void)error;
    *(bool *)context = true;
    return MEMDB_OK;
}

/// Whether a log file has a byte after its header.
typedef struct log_look {
    int directory;
    bool used;
} log_look_t;

static memdb_status_t look_at_log(void *context, const char *name, memdb_error_t *error) {
    log_look_t *look = context;
    uint8_t block[4096];
    int fd = -1;
    // A segment in the making was never synced: after a power loss it may hold any bytes.
    if (strlen(name) != LOG_NAME_BYTES || strcmp(name + LOG_NAME_BYTES - 4, ".log") != 0) {
        return MEMDB_OK;
    }
    memdb_status_t status = memdb__io_open(look->directory, name, O_RDONLY, &fd, error);
    if (status) {
        return status;
    }
    uint64_t size = 0;
    status = memdb__io_size(fd, &size, name, error);
    if (!status && size >= 8192) {
        status =
            memdb__io_read(fd, block, sizeof block, 4096, name, error); // where the first batch is
        for (size_t i = 0; !status && i < sizeof block; i++) {
            look->used |= block[i] != 0;
        }
    }
    memdb__io_close(fd);
    return status;
}

/// Whether a directory without a root holds anything that a creation would not have made.
static memdb_status_t is_used(int directory, bool *used_out, memdb_error_t *error) {
    int fd = -1;
    memdb_status_t status =
        memdb__io_open(directory, "segments", O_RDONLY | O_DIRECTORY, &fd, error);
    if (status == MEMDB_OK) {
        status = memdb__io_list(fd, saw_name, used_out, error);
        memdb__io_close(fd);
    }
    if (status && status != MEMDB_NOT_FOUND) {
        return status;
    }
    log_look_t look = {.directory = -1};
    status = memdb__io_open(directory, "log", O_RDONLY | O_DIRECTORY, &look.directory, error);
    if (status == MEMDB_OK) {
        status = memdb__io_list(look.directory, look_at_log, &look, error);
        memdb__io_close(look.directory);
    }
    *used_out |= look.used;
    return status == MEMDB_NOT_FOUND ? MEMDB_OK : status;
}

memdb_status_t memdb__directory_look(int directory, memdb__directory_state_t *state_out,
                                     memdb_error_t *error) {
    look_t look = {.directory = directory};
    memdb_status_t status = memdb__io_list(directory, look_at, &look, error);
    bool used = false;
    if (!status && !look.root && look.ours) {
        status = is_used(directory, &used, error);
    }
    if (!status) {
        *state_out = look.root      ? MEMDB__DIRECTORY_DATABASE
                     : used         ? MEMDB__DIRECTORY_HEADLESS
                     : look.foreign ? MEMDB__DIRECTORY_FOREIGN
                                    : MEMDB__DIRECTORY_EMPTY;
    }
    return status;
}

typedef struct remover {
    int directory;
} remover_t;

static memdb_status_t remove_name(void *context, const char *name, memdb_error_t *error) {
    return memdb__io_unlink(((remover_t *)context)->directory, name, error);
}

/// Empty a sub-directory that an interrupted creation left.
static memdb_status_t clear_directory(int directory, const char *name, memdb_error_t *error) {
    remover_t remover = {-1};
    memdb_status_t status =
        memdb__io_open(directory, name, O_RDONLY | O_DIRECTORY, &remover.directory, error);
    if (status) {
        return status == MEMDB_NOT_FOUND ? MEMDB_OK : status;
    }
    status = memdb__io_list(remover.directory, remove_name, &remover, error);
    memdb__io_close(remover.directory);
    return status;
}

memdb_status_t memdb__directory_sync_parent(int directory, memdb_error_t *error) {
    int parent;
    do {
        parent = memdb__io()->open_at(directory, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    } while (parent < 0 && errno == EINTR);
    if (parent < 0 && errno == EACCES) {
        return MEMDB_OK; // see root.h
    }
    if (parent < 0) {
        return memdb__fail_errno(error, errno, "the directory above the database: cannot open");
    }
    memdb_status_t status = memdb__io_sync_all(parent, "the directory above the database", error);
    memdb__io_close(parent);
    return status;
}

memdb_status_t memdb__draw_database_id(uint8_t id_out[16], memdb_error_t *error) {
    ssize_t drawn;
    do {
        drawn = getrandom(id_out, 16, 0); // so few bytes come all at once
    } while (drawn < 0 && errno == EINTR);
    return drawn == 16 ? MEMDB_OK : memdb__fail_errno(error, errno, "random database id");
}

memdb_status_t memdb__directory_create(int directory, memdb_durability_t durability,
                                       memdb_error_t *error) {
    memdb__root_t root = {.durability = durability ? durability : MEMDB_DURABILITY_FULL,
                          .created = memdb__now_us()};
    memdb_status_t status = memdb__draw_database_id(root.database_id, error);
    status = status ? status : clear_directory(directory, "log", error);
    status = status ? status : clear_directory(directory, "catalog", error);
    status = status ? status : memdb__io_make_directory(directory, "segments", error);
    status = status ? status : memdb__io_make_directory(directory, "blob", error);
    status = status ? status : memdb__catalog_create(directory, error);
    memdb__wal_options_t options = {0};
    memcpy(options.database_id, root.database_id, 16);
    status = status ? status : memdb__wal_create(directory, &options, error);
    status = status ? status : memdb__io_sync_all(directory, "the database's directory", error);
    // An earlier creation may have made the directory, so it is never known to have its name.
    status = status ? status : memdb__directory_sync_parent(directory, error);
    if (status) {
        return memdb__error_context(error, status, "create");
    }
    uint8_t bytes[MEMDB__ROOT_BYTES];
    memdb__root_encode(&root, bytes);
    return memdb__io_replace_file(directory, "root", bytes, sizeof bytes, error);
}

memdb_status_t memdb__directory_is_local(int directory, memdb_error_t *error) {
    struct statfs system;
    int result;
    do {
        result = fstatfs(directory, &system);
    } while (result != 0 && errno == EINTR);
    if (result != 0) {
        return memdb__fail_errno(error, errno, "file system");
    }
    static const struct {
        unsigned long magic;
        const char *name;
    } remote[] = {{NFS_SUPER_MAGIC, "NFS"}, {0xFF534D42, "CIFS"}, {0xFE534D42, "SMB2"},
                  {0x517B, "SMB"},          {V9FS_MAGIC, "9P"},   {0x73757245, "Coda"},
                  {0x5346414F, "AFS"},      {0x00C36400, "Ceph"}, {0x65735546, "FUSE"},
                  {0x0BD00BD0, "Lustre"},   {0x47504653, "GPFS"}};
    for (size_t i = 0; i < sizeof remote / sizeof remote[0]; i++) {
        if ((unsigned long)system.f_type == remote[i].magic) {
            return memdb__fail(error, MEMDB_UNSUPPORTED,
                               "the directory is on a network file system (%s): locks and shared "
                               "mappings do not hold there",
                               remote[i].name);
        }
    }
    return MEMDB_OK;
}
