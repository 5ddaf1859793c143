// Copying the blobs that a copied base and copied frames name. See copy.h.
//
// The copied segments are opened in the copy itself: they are checked, and nobody takes them away.
// What a current record names must be there. Older entries, and those that map content to blobs for
// deduplication, may lead to an extent that was collected since: such a blob is left out. The
// extents of a memory that only frames name are there or in the archive. Memory: 32 bytes a blob.
#include "blob/copy.h"
#include "engine/backup/copy.h"

#include <fcntl.h>
#include <stdlib.h>

#define REFERENCE 32

/// Sort the references and leave each once.
static void settle(memdb__buffer_t *references) {
    size_t count = references->size / REFERENCE, kept = 0;
    if (count == 0) {
        return;
    }
    qsort(references->data, count, REFERENCE, memdb__blob_compare_references);
    for (size_t i = 0; i < count; i++) {
        const uint8_t *at = references->data + i * REFERENCE;
        if (kept == 0 || memcmp(references->data + (kept - 1) * REFERENCE, at, REFERENCE) != 0) {
            memmove(references->data + kept++ * REFERENCE, at, REFERENCE);
        }
    }
    references->size = kept * REFERENCE;
}

/// Note the blobs of an entry of the ordered map.
static memdb_status_t note_entry(memdb__buffer_t *references, const memdb__entry_t *entry,
                                 memdb_error_t *error) {
    memdb__record_t record;
    memdb_blob_t blob;
    if (entry->tombstone) {
        return MEMDB_OK;
    }
    if (entry->key[0] == MEMDB__KEY_BLOB) {
        if (entry->value_size < REFERENCE) {
            return memdb__fail(error, MEMDB_CORRUPT, "a blob's entry is not well formed");
        }
        memdb__buffer_append(references, entry->value, REFERENCE);
    } else if (entry->key[0] == MEMDB__KEY_RECORD) {
        if (!memdb__record_decode(entry->value, entry->value_size, &record)) {
            return memdb__fail(error, MEMDB_CORRUPT, "a record is not well formed");
        }
        for (uint32_t i = 0; i < record.blob_count && memdb__record_next_blob(&record.blobs, &blob);
             i++) {
            memdb__buffer_append(references, blob.reference, REFERENCE);
        }
    }
    return references->failed ? memdb__fail(error, MEMDB_NOMEM, "out of memory") : MEMDB_OK;
}

/// All entries of one kind in one segment, current or not.
static memdb_status_t note_segment(memdb__copy_t *copy, memdb__sorted_t *sorted, uint8_t kind,
                                   memdb_error_t *error) {
    memdb__sorted_iterator_t iterator;
    memdb_status_t status = memdb__sorted_seek(sorted, &kind, 1, &iterator, error);
    while (!status && iterator.valid && iterator.entry.key[0] == kind) {
        status = note_entry(&copy->wanted, &iterator.entry, error);
        status = status ? status : memdb__sorted_next(&iterator, error);
    }
    return status;
}

static memdb_status_t note_view(memdb__copy_t *copy, const memdb__view_t *view,
                                memdb_error_t *error) {
    static const uint8_t first = MEMDB__KEY_RECORD;
    memdb__sight_t sight = {.view = view, .visible = copy->manifest.applied_lsn};
    memdb__merge_t merge;
    memdb_status_t status = MEMDB_OK;
    for (size_t i = 0; !status && i < view->tier_count; i++) {
        status = note_segment(copy, view->tiers[i]->sorted, MEMDB__KEY_BLOB, error);
        status =
            status ? status : note_segment(copy, view->tiers[i]->sorted, MEMDB__KEY_RECORD, error);
        settle(&copy->wanted);
    }
    if (status || copy->wanted.size == 0) {
        return status;
    }
    status = memdb__merge_open(&merge, &sight, &first, 1, error);
    while (!status && merge.valid && merge.entry.key[0] == first) {
        status = note_entry(&copy->needed, &merge.entry, error);
        status = status ? status : memdb__merge_next(&merge, error);
    }
    memdb__merge_close(&merge);
    return status;
}

memdb_status_t memdb__copy_note_base(memdb__copy_t *copy, memdb_error_t *error) {
    int segments = -1;
    memdb__view_t *view = memdb__view_create(copy->manifest.tier_count, 0);
    memdb_status_t status =
        view ? memdb__io_open(copy->to, "segments", O_RDONLY | O_DIRECTORY, &segments, error)
             : memdb__fail(error, MEMDB_NOMEM, "out of memory");
    for (size_t i = 0; !status && i < view->tier_count; i++) {
        status = memdb__tier_open(segments, copy->to_id, &copy->manifest.tiers[i], &view->tiers[i],
                                  error);
    }
    status = status ? status : note_view(copy, view, error);
    memdb__view_destroy(view);
    memdb__io_close(segments);
    return status;
}

/// Whether sorted references have this one.
static bool has(const memdb__buffer_t *references, const uint8_t *reference) {
    return references->size && bsearch(reference, references->data, references->size / REFERENCE,
                                       REFERENCE, memdb__blob_compare_references);
}

static memdb_status_t copy_all(memdb__copy_t *copy, memdb__blob_copier_t *copier,
                               memdb__buffer_t *references, bool needed, memdb_error_t *error) {
    memdb_status_t status = MEMDB_OK;
    uint64_t last = 0;
    for (size_t at = 0; at < references->size && !status; at += REFERENCE) {
        const uint8_t *reference = references->data + at;
        uint64_t bytes = 0;
        memdb_error_t untold = {0};
        if (!needed && has(&copy->needed, reference)) {
            continue;
        }
        status = memdb__blob_copy(copier, reference, &bytes, needed ? error : &untold);
        if (!needed && (status == MEMDB_NOT_FOUND || status == MEMDB_CORRUPT)) {
            status = MEMDB_OK; // nothing current leads there
        } else if (!needed && status) {
            *error = untold;
        }
        uint64_t extent = memdb__blob_extent_of(reference);
        copy->files += bytes != 0 && extent != last;
        last = bytes ? extent : last;
        copy->bytes += bytes;
        copy->total_bytes += bytes;
        memdb__copy_moved(copy, bytes);
    }
    return status;
}

memdb_status_t memdb__copy_blobs(memdb__copy_t *copy, memdb_error_t *error) {
    memdb__blob_copier_options_t options = {.from = -1, .archive = -1, .to = -1};
    memdb__blob_copier_t *copier = NULL;
    memcpy(options.from_id, copy->from_id, 16);
    memcpy(options.to_id, copy->to_id, 16);
    settle(&copy->needed);
    settle(&copy->wanted);
    memdb_status_t status = memdb__io_make_directory(copy->to, "blob", error);
    if (!status && copy->needed.size + copy->wanted.size == 0) {
        return MEMDB_OK;
    }
    status = status ? status
                    : memdb__io_open(copy->to, "blob", O_RDONLY | O_DIRECTORY, &options.to, error);
    status = status
                 ? status
                 : memdb__io_open(copy->from, "blob", O_RDONLY | O_DIRECTORY, &options.from, error);
    status = status ? status : memdb__archive_open(copy->from, &options.archive, error);
    status = status ? status : memdb__blob_copier_create(&options, &copier, error);
    status = status ? status : copy_all(copy, copier, &copy->needed, true, error);
    status = status ? status : copy_all(copy, copier, &copy->wanted, false, error);
    status = status ? status : memdb__blob_copier_sync(copier, error);
    memdb__blob_copier_destroy(copier);
    memdb__io_close(options.archive);
    memdb__io_close(options.from);
    memdb__io_close(options.to);
    return status;
}

typedef struct sweep {
    const memdb__copy_t *copy;
    int directory;
} sweep_t;

/// Whether sorted references have one into this extent.
static bool has_extent(const memdb__buffer_t *references, uint64_t extent) {
    size_t low = 0, high = references->size / REFERENCE;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        uint64_t at = memdb__blob_extent_of(references->data + middle * REFERENCE);
        if (at == extent) {
            return true;
        }
        low = at < extent ? middle + 1 : low;
        high = at < extent ? high : middle;
    }
    return false;
}

static memdb_status_t sweep_extent(void *context, const char *name, memdb_error_t *error) {
    const sweep_t *sweep = context;
    uint64_t extent;
    bool kept =
        memdb__blob_extent_number(name, &extent) &&
        (has_extent(&sweep->copy->needed, extent) || has_extent(&sweep->copy->wanted, extent));
    return kept ? MEMDB_OK : memdb__io_unlink(sweep->directory, name, error);
}

memdb_status_t memdb__copy_sweep_blobs(memdb__copy_t *copy, memdb_error_t *error) {
    sweep_t sweep = {copy, -1};
    memdb_status_t status =
        memdb__io_open(copy->to, "blob", O_RDONLY | O_DIRECTORY, &sweep.directory, error);
    status = status ? status : memdb__io_list(sweep.directory, sweep_extent, &sweep, error);
    memdb__io_close(sweep.directory);
    return status;
}
