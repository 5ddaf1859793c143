// Extents that are retired: what a handle knows of them, and giving them up. See collect.c.
#include "engine/backup/archive.h"
#include "engine/fold/fold.h"

#include <stdlib.h>

memdb_status_t memdb__collect_note_retired(memdb_t *db, const uint8_t *payload, size_t size,
                                           memdb_error_t *error) {
    memdb__reader_t reader = memdb__reader(payload, size);
    memdb__operation_t operation;
    memdb_status_t status = MEMDB_OK;
    while (!status && memdb__operation_decode(&reader, &operation)) {
        if (operation.kind != MEMDB__OPERATION_RETIRE) {
            continue;
        }
        for (size_t at = 0; !status && at < operation.body.size; at += 8) {
            uint64_t id = memdb__get_u64(operation.body.data + at);
            status = memdb__blobs_retire(db->blobs, &id, 1, error);
        }
    }
    return status;
}

memdb_status_t memdb__collect_note_base(memdb_t *db, const memdb__manifest_t *manifest,
                                        memdb_error_t *error) {
    memdb_status_t status = MEMDB_OK;
    for (uint64_t i = 0; !status && i < manifest->retired_count; i++) {
        status = memdb__blobs_retire(db->blobs, &manifest->retired[i].extent_id, 1, error);
    }
    return status;
}

memdb_status_t memdb__collect_open_arena(memdb_t *db, memdb__blobs_t **blobs_out,
                                         memdb_error_t *error) {
    return memdb__blobs_open(db->directory, db->database_id, memdb__next_extent, db, false,
                             blobs_out, error);
}

memdb_status_t memdb__collect_list(const memdb__manifest_t *before,
                                   const memdb__collection_t *retiring, memdb__manifest_t *manifest,
                                   memdb_error_t *error) {
    const memdb__buffer_t *extents = retiring ? &retiring->extents : &(memdb__buffer_t){0};
    memdb__free(manifest->retired);
    manifest->retired = memdb__allocate(((size_t)before->retired_count + extents->size / 8 + 1) *
                                        sizeof *manifest->retired);
    if (!manifest->retired) {
        return memdb__collect_no_memory(error);
    }
    // Both lists rise by id. What both have was retired by a collection that was cut off.
    uint64_t at = 0, count = 0;
    for (size_t fresh = 0; at < before->retired_count || fresh < extents->size;) {
        uint64_t id = fresh < extents->size ? memdb__get_u64(extents->data + fresh) : UINT64_MAX;
        bool waits = at < before->retired_count && before->retired[at].extent_id <= id;
        fresh += !waits || before->retired[at].extent_id == id ? 8 : 0;
        manifest->retired[count++] =
            waits ? before->retired[at++] : (memdb__retired_extent_t){id, MEMDB__NAMED_BY_BASE};
    }
    manifest->retired_count = count;
    return MEMDB_OK;
}

static bool is_damaged(const memdb__collection_t *c, uint64_t id) {
    for (size_t at = 0; at < c->damaged.size; at += 8) {
        if (memdb__get_u64(c->damaged.data + at) == id) {
            return true;
        }
    }
    return false;
}

void memdb__collect_name(const memdb__collection_t *c, memdb__manifest_t *manifest) {
    uint64_t count = 0;
    for (uint64_t i = 0; i < manifest->retired_count; i++) {
        memdb__retired_extent_t extent = manifest->retired[i];
        if (extent.generation == MEMDB__NAMED_BY_BASE &&
            memdb__collect_has(&c->extents, extent.extent_id)) {
            extent.generation = manifest->generation;
            if (is_damaged(c, extent.extent_id)) {
                continue;
            }
        }
        manifest->retired[count++] = extent;
    }
    manifest->retired_count = count;
    manifest->named_blob_bytes = c->named_bytes;
    manifest->arena_bytes = c->arena_bytes;
}

/// Unlink an extent, or, for a backup whose log names it, move it to the archive.
static memdb_status_t give_up(memdb_t *db, uint64_t extent_id, memdb_error_t *error) {
    bool kept = false;
    memdb_status_t status = memdb__archive_keep_extent(db->directory, extent_id, &kept, error);
    return status || kept ? status : memdb__extent_unlink(db->blobs, extent_id, error);
}

memdb_status_t memdb__collect_sweep(memdb_t *db, memdb__manifest_t *manifest,
                                    memdb_error_t *error) {
    uint64_t kept = 0, swept = 0;
    memdb_status_t status = MEMDB_OK;
    for (uint64_t i = 0; i < manifest->retired_count; i++) {
        memdb__retired_extent_t extent = manifest->retired[i];
        bool unread = false;
        if (!status && extent.generation != MEMDB__NAMED_BY_BASE) {
            uint64_t pinned;
            status = memdb__pins_below(&db->pins, extent.generation, &pinned, error);
            unread = !status && pinned == UINT64_MAX;
        }
        if (unread) {
            status = give_up(db, extent.extent_id, error);
            swept += !status;
        }
        if (status || !unread) {
            manifest->retired[kept++] = extent;
        }
    }
    manifest->retired_count = kept;
    return status || !swept ? status : memdb__blobs_sync_directory(db->blobs, error);
}

typedef struct waiting {
    const memdb__manifest_t *manifest;
    uint64_t at, count, bytes;
} waiting_t;

static memdb_status_t add_waiting(void *context, const memdb__extent_info_t *extent,
                                  memdb_error_t *error) {
    (void)error;
    waiting_t *waiting = context; // both rise by id
    const memdb__manifest_t *manifest = waiting->manifest;
    while (waiting->at < manifest->retired_count &&
           manifest->retired[waiting->at].extent_id < extent->id) {
        waiting->at++;
    }
    if (waiting->at < manifest->retired_count &&
        manifest->retired[waiting->at].extent_id == extent->id) {
        waiting->count++;
        waiting->bytes += extent->bytes;
    }
    return MEMDB_OK;
}

memdb_status_t memdb__collect_waiting(memdb_t *db, const memdb__manifest_t *manifest,
                                      uint64_t *count_out, uint64_t *bytes_out,
                                      memdb_error_t *error) {
    waiting_t waiting = {.manifest = manifest};
    memdb_status_t status = manifest->retired_count
                                ? memdb__blobs_each(db->blobs, add_waiting, &waiting, error)
                                : MEMDB_OK;
    *count_out = waiting.count;
    *bytes_out = waiting.bytes;
    return status;
}

// ------------------------------------------------------------------------------ erasing

/// Whether a blob of this size and hash is named: wherever it lies, its bytes may stay.
typedef struct contents {
    uint8_t *pairs; // size and hash prefix, 16 bytes, sorted
    size_t count;
} contents_t;

static int by_content(const void *a, const void *b) {
    return memcmp(a, b, 16);
}

static bool is_named(void *context, uint64_t size, uint64_t hash_prefix) {
    const contents_t *contents = context;
    uint8_t pair[16];
    memdb__put_u64(pair, size);
    memdb__put_u64(pair + 8, hash_prefix);
    return contents->count && bsearch(pair, contents->pairs, contents->count, 16, by_content);
}

/// Write over what is dead in the extents that could not be unlinked.
static memdb_status_t erase_rest(memdb__collection_t *c, const memdb__manifest_t *manifest,
                                 memdb_error_t *error) {
    contents_t contents = {.count = c->names.size / MEMDB__BLOB_REFERENCE_BYTES};
    if (!manifest->retired_count && !c->damaged.size) {
        return MEMDB_OK;
    }
    contents.pairs = memdb__allocate(contents.count * 16 + 1);
    if (!contents.pairs) {
        return memdb__fail(error, MEMDB_NOMEM, "purge: out of memory");
    }
    for (size_t i = 0; i < contents.count; i++) { // a reference ends with size and hash prefix
        memcpy(contents.pairs + i * 16, c->names.data + i * MEMDB__BLOB_REFERENCE_BYTES + 16, 16);
    }
    qsort(contents.pairs, contents.count, 16, by_content);
    memdb_status_t status = MEMDB_OK;
    for (uint64_t i = 0; !status && i < manifest->retired_count; i++) {
        status = memdb__extent_erase(c->db->blobs, manifest->retired[i].extent_id, is_named,
                                     &contents, error);
    }
    for (size_t at = 0; !status && at < c->damaged.size; at += 8) {
        status = memdb__extent_erase(c->db->blobs, memdb__get_u64(c->damaged.data + at), is_named,
                                     &contents, error);
    }
    memdb__free(contents.pairs);
    return status;
}

memdb_status_t memdb__collect_finish(memdb__collection_t *c, memdb__manifest_t *manifest,
                                     memdb_error_t *error) {
    memdb_status_t status = memdb__collect_sweep(c->db, manifest, error);
    if (!status && c->work) {
        c->work->report.extents_collected = (c->extents.size - c->damaged.size) / 8;
        status = memdb__collect_waiting(c->db, manifest, &c->work->report.extents_waiting,
                                        &c->work->report.waiting_bytes, error);
        c->work->report.memories_erased = c->erased.size / 8;
    }
    return status || !c->work || !c->work->purge ? status : erase_rest(c, manifest, error);
}

void memdb__collect_deinit(memdb__collection_t *c) {
    memdb__manifest_deinit(&c->before);
    memdb__buffer_deinit(&c->names);
    memdb__buffer_deinit(&c->extents);
    memdb__buffer_deinit(&c->moved);
    memdb__buffer_deinit(&c->damaged);
    memdb__buffer_deinit(&c->erased);
    memdb__buffer_deinit(&c->record);
    memdb__blobs_close(c->survivors);
}
