// Copying a base: segments, catalog, root; and the frames above it. See copy.h.
//
// A segment gets its name in the copy after all of it is synced, so a file under a segment's name
// is whole, and an interrupted copy goes on with the next one.
#include "engine/backup/copy.h"

#include "base/checksum.h"
#include "engine/root.h"

#include <fcntl.h>
#include <stdio.h>

#define KINDS 3 // files of a tier

typedef struct segment {
    memdb__segment_kind_t kind;
    const memdb__segment_name_t *name;
} segment_t;

static segment_t segment_of(const memdb__manifest_t *manifest, uint64_t number) {
    const memdb__tier_name_t *tier = &manifest->tiers[number / KINDS];
    const segment_t segments[KINDS] = {{MEMDB__SEGMENT_SORTED, &tier->sorted},
                                       {MEMDB__SEGMENT_WORDS, &tier->words},
                                       {MEMDB__SEGMENT_VECTORS, &tier->vectors}};
    return segments[number % KINDS];
}

void memdb__copy_moved(void *context, uint64_t bytes) {
    memdb__copy_t *copy = context;
    copy->done_bytes += bytes;
    if (copy->progress) {
        copy->progress(copy->progress_context, copy->done_bytes,
                       copy->done_bytes > copy->total_bytes ? copy->done_bytes : copy->total_bytes);
    }
}

typedef struct unused {
    const char *state;
    bool unused;
} unused_t;

static memdb_status_t look_at(void *context, const char *name, memdb_error_t *error) {
    (void)error;
    unused_t *look = context;
    size_t size = strlen(look->state);
    bool ours = strcmp(name, "lock") == 0 ||
                (strncmp(name, look->state, size) == 0 && strcmp(name + size, ".tmp") == 0);
    look->unused &= ours;
    return MEMDB_OK;
}

memdb_status_t memdb__copy_is_unused(int directory, const char *state, bool *unused_out,
                                     memdb_error_t *error) {
    unused_t look = {state, true};
    memdb_status_t status = memdb__io_list(directory, look_at, &look, error);
    *unused_out = look.unused;
    return status;
}

// ------------------------------------------------------------------------------ the log

memdb_status_t memdb__copy_begin_log(memdb__copy_t *copy, uint64_t from, uint64_t epoch_floor,
                                     bool whole, bool marked, memdb_error_t *error) {
    memdb__wal_copy_options_t options = {
        .from = from, .epoch_floor = epoch_floor, .whole = whole, .marked = marked};
    memcpy(options.log.database_id, copy->to_id, 16);
    copy->first_time = MEMDB_TIME_NONE;
    return memdb__wal_copy_begin(copy->to, &options, &copy->log, error);
}

memdb_status_t memdb__copy_frame(void *context, const memdb__frame_t *frame, memdb_error_t *error) {
    memdb__copy_t *copy = context;
    memdb__reader_t reader = memdb__reader(frame->payload, frame->size), blobs;
    memdb__operation_t operation;
    memdb__record_t record;
    memdb_blob_t blob;
    while (memdb__operation_decode(&reader, &operation)) {
        if (operation.kind == MEMDB__OPERATION_BLOB) {
            memdb__buffer_append(&copy->needed, operation.reference, sizeof blob.reference);
        }
        if (operation.kind != MEMDB__OPERATION_PUT) {
            continue;
        }
        if (!memdb__record_decode((const uint8_t *)operation.body.data, operation.body.size,
                                  &record)) {
            reader.bad = true;
            break;
        }
        blobs = record.blobs;
        for (uint32_t i = 0; i < record.blob_count && memdb__record_next_blob(&blobs, &blob); i++) {
            memdb__buffer_append(&copy->needed, blob.reference, sizeof blob.reference);
        }
    }
    if (reader.bad) {
        return memdb__fail(error, MEMDB_CORRUPT,
                           "log at %llu: a frame's payload is not well formed",
                           (unsigned long long)frame->lsn);
    }
    if (copy->needed.failed) {
        return memdb__fail(error, MEMDB_NOMEM, "out of memory");
    }
    copy->first_time = copy->first_time == MEMDB_TIME_NONE ? frame->commit_time : copy->first_time;
    copy->last = (memdb__last_frame_t){
        .lsn = frame->lsn,
        .end = frame->end,
        .hash = memdb__hash64(frame->payload, frame->size, frame->lsn),
        .time = frame->commit_time,
    };
    memdb__copy_moved(copy, frame->end - frame->lsn);
    return memdb__wal_copy_frame(copy->log, frame, error);
}

memdb_status_t memdb__copy_finish_log(memdb__copy_t *copy, memdb_error_t *error) {
    uint64_t bytes = 0;
    memdb_status_t status = memdb__wal_copy_finish(copy->log, &bytes, error);
    copy->bytes += bytes;
    copy->files += status == MEMDB_OK;
    return status;
}

// ------------------------------------------------------------------------------ segments

memdb_status_t memdb__copy_hold(memdb__copy_t *copy, memdb_error_t *error) {
    uint64_t count = copy->manifest.tier_count * KINDS;
    int directory = -1;
    copy->held = memdb__allocate((count + 1) * sizeof *copy->held);
    if (!copy->held) {
        return memdb__fail(error, MEMDB_NOMEM, "out of memory");
    }
    for (uint64_t i = 0; i < count; i++) {
        copy->held[i] = -1;
    }
    memdb_status_t status =
        memdb__io_open(copy->from, "segments", O_RDONLY | O_DIRECTORY, &directory, error);
    for (uint64_t i = 0; !status && i < count; i++) {
        segment_t segment = segment_of(&copy->manifest, i);
        char name[32];
        memdb__segment_file(segment.name->segment_id, name);
        status = segment.name->segment_id
                     ? memdb__io_open(directory, name, O_RDONLY, &copy->held[i], error)
                     : MEMDB_OK;
        copy->total_bytes += segment.name->segment_id ? segment.name->file_size : 0;
    }
    memdb__io_close(directory);
    return status;
}

void memdb__copy_release(memdb__copy_t *copy) {
    for (uint64_t i = 0; copy->held && i < copy->manifest.tier_count * KINDS; i++) {
        memdb__io_close(copy->held[i]);
    }
    memdb__free(copy->held);
    copy->held = NULL;
    memdb__manifest_deinit(&copy->manifest);
    copy->manifest = (memdb__manifest_t){0};
    memdb__wal_copy_destroy(copy->log);
    copy->log = NULL;
    memdb__buffer_deinit(&copy->needed);
    memdb__buffer_deinit(&copy->wanted);
    copy->done_bytes = copy->total_bytes = 0;
    copy->last = (memdb__last_frame_t){0};
}

static memdb_status_t copy_segment(memdb__copy_t *copy, int directory, uint64_t number,
                                   memdb_error_t *error) {
    segment_t segment = segment_of(&copy->manifest, number);
    char name[32], unnamed[40];
    struct stat there;
    memdb__segment_file(segment.name->segment_id, name);
    snprintf(unnamed, sizeof unnamed, "%s.new", name);
    if (memdb__io()->stat_at(directory, name, &there, 0) == 0 &&
        (uint64_t)there.st_size == segment.name->file_size) {
        memdb__copy_moved(copy, segment.name->file_size);
        return MEMDB_OK;
    }
    memdb__container_copy_t work = {
        .from = copy->held[number],
        .name = name,
        .identity = {.segment_id = segment.name->segment_id, .kind = segment.kind},
        .file_size = segment.name->file_size,
        .checksum = segment.name->checksum,
        .directory = directory,
        .to = unnamed,
        .database_id = copy->to_id,
        .moved = memdb__copy_moved,
        .context = copy,
    };
    memcpy(work.identity.database_id, copy->from_id, 16);
    memdb_status_t status = memdb__container_copy(&work, error);
    status = status ? memdb__error_context(error, status, "segments")
                    : memdb__io_rename(directory, unnamed, name, error);
    if (!status) {
        copy->bytes += segment.name->file_size;
        copy->files++;
    }
    return status;
}

memdb_status_t memdb__copy_segments(memdb__copy_t *copy, memdb_error_t *error) {
    int directory = -1;
    memdb_status_t status = memdb__io_make_directory(copy->to, "segments", error);
    status = status
                 ? status
                 : memdb__io_open(copy->to, "segments", O_RDONLY | O_DIRECTORY, &directory, error);
    for (uint64_t i = 0; !status && i < copy->manifest.tier_count * KINDS; i++) {
        status = copy->held[i] < 0 ? MEMDB_OK : copy_segment(copy, directory, i, error);
    }
    status = status ? status : memdb__io_sync_all(directory, "segments of the copy", error);
    memdb__io_close(directory);
    return status;
}

// ------------------------------------------------------------------------------ catalog and root

memdb_status_t memdb__copy_catalog(memdb__copy_t *copy, bool exists, memdb_error_t *error) {
    memdb__catalog_t *catalog = NULL;
    uint64_t generation;
    copy->manifest.retired_count = 0; // nobody reads older bases of the copy: plain garbage there
    memdb_status_t status = exists ? MEMDB_OK : memdb__catalog_create(copy->to, error);
    status = status ? status : memdb__catalog_open(copy->to, true, false, &catalog, error);
    status = status ? status : memdb__catalog_commit(catalog, &copy->manifest, &generation, error);
    memdb__catalog_close(catalog);
    copy->bytes += MEMDB__ROOT_BYTES;
    copy->files += status == MEMDB_OK;
    return status;
}

memdb_status_t memdb__copy_root(memdb__copy_t *copy, memdb_durability_t durability,
                                memdb_error_t *error) {
    uint8_t bytes[MEMDB__ROOT_BYTES];
    memdb__root_t root = {.durability = durability, .created = memdb__now_us()};
    memcpy(root.database_id, copy->to_id, 16);
    memdb__root_encode(&root, bytes);
    memdb_status_t status = memdb__io_sync_all(copy->to, "the directory of the copy", error);
    status = status ? status : memdb__io_replace_file(copy->to, "root", bytes, sizeof bytes, error);
    if (!status) {
        copy->bytes += sizeof bytes;
        copy->files++;
    }
    return status;
}

// ------------------------------------------------------------------------------ sweeping

typedef struct sweep {
    const memdb__copy_t *copy;
    int directory;
} sweep_t;

static memdb_status_t sweep_segment(void *context, const char *name, memdb_error_t *error) {
    const sweep_t *sweep = context;
    const memdb__manifest_t *manifest = &sweep->copy->manifest;
    for (uint64_t i = 0; i < manifest->tier_count * KINDS; i++) {
        char named[32];
        memdb__segment_file(segment_of(manifest, i).name->segment_id, named);
        if (segment_of(manifest, i).name->segment_id && strcmp(named, name) == 0) {
            return MEMDB_OK;
        }
    }
    return memdb__io_unlink(sweep->directory, name, error);
}

memdb_status_t memdb__copy_sweep(memdb__copy_t *copy, memdb_error_t *error) {
    sweep_t sweep = {copy, -1};
    memdb_status_t status =
        memdb__io_open(copy->to, "segments", O_RDONLY | O_DIRECTORY, &sweep.directory, error);
    status = status ? status : memdb__io_list(sweep.directory, sweep_segment, &sweep, error);
    memdb__io_close(sweep.directory);
    return status;
}
