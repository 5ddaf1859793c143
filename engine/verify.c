// Verify: read and check every byte that counts.
//
// Root, catalog, all segments of the base, the log above it, and every blob that a record names. It
// runs under the checkpoint lock, so that nothing is cut or merged away under it; commits go on.
#include "engine/engine.h"
#include "engine/root.h"

#include <stdio.h>

typedef struct verify {
    memdb_t *db;
    memdb_verify_fn found;
    void *context;
    uint64_t findings;
    const char
        *directory; // of the files being checked: a finding's name is relative to the database
} verify_t;

/// Findings of the stores name a file in their own directory.
static void pass_on(void *context, const char *file, uint64_t offset, const char *what) {
    verify_t *verify = context;
    char name[128];
    snprintf(name, sizeof name, "%s%s%s", verify->directory, *verify->directory ? "/" : "", file);
    verify->findings++;
    if (verify->found) {
        verify->found(verify->context, name, offset, what);
    }
}

/// A check that failed: what it did not tell through `pass_on` is told here. Only damage is a
/// finding.
static memdb_status_t conclude(verify_t *verify, const char *file, memdb_status_t status,
                               uint64_t findings_before, memdb_error_t *error) {
    if (status != MEMDB_CORRUPT && status != MEMDB_NOT_FOUND) {
        return status;
    }
    if (verify->findings == findings_before) {
        pass_on(verify, file, 0, error->message);
    }
    *error = (memdb_error_t){0};
    return MEMDB_OK;
}

static memdb_status_t verify_tier(verify_t *verify, memdb__tier_t *tier, memdb_error_t *error) {
    uint64_t before = verify->findings;
    verify->directory = "segments";
    memdb_status_t status = memdb__sorted_verify(tier->sorted, pass_on, verify, error);
    status = conclude(verify, memdb__container_name(memdb__sorted_container(tier->sorted)), status,
                      before, error);
    if (!status && tier->words) {
        before = verify->findings;
        status = memdb__words_segment_verify(tier->words, pass_on, verify, error);
        status =
            conclude(verify, memdb__container_name(memdb__words_segment_container(tier->words)),
                     status, before, error);
    }
    if (!status && tier->vectors) {
        before = verify->findings;
        status = memdb__vector_segment_verify(tier->vectors, pass_on, verify, error);
        status =
            conclude(verify, memdb__container_name(memdb__vector_segment_container(tier->vectors)),
                     status, before, error);
    }
    return status;
}

static memdb_status_t verify_frame(void *context, const memdb__frame_t *frame,
                                   memdb_error_t *error) {
    (void)context;
    memdb__reader_t reader = memdb__reader(frame->payload, frame->size);
    memdb__operation_t operation;
    while (memdb__operation_decode(&reader, &operation)) {
    }
    return reader.bad ? memdb__fail(error, MEMDB_CORRUPT,
                                    "log at %llu: a frame's payload is not well formed",
                                    (unsigned long long)frame->lsn)
                      : MEMDB_OK;
}

static memdb_status_t verify_log(verify_t *verify, uint64_t applied, memdb_error_t *error) {
    memdb__wal_options_t options = {0};
    uint64_t end, before = verify->findings;
    memcpy(options.database_id, verify->db->database_id, 16);
    verify->directory = "";
    memdb_status_t status = memdb__wal_scan(verify->db->directory, &options, applied, verify_frame,
                                            verify, &end, error);
    return conclude(verify, "log", status, before, error);
}

/// One record: that it decodes, and its blobs.
static memdb_status_t verify_record(verify_t *verify, const memdb__entry_t *entry,
                                    memdb_error_t *error) {
    memdb__record_t record;
    memdb_blob_t blob;
    if (!memdb__record_decode(entry->value, entry->value_size, &record)) {
        pass_on(verify, "records", 0, "a record is not well formed");
        return MEMDB_OK;
    }
    memdb_status_t status = MEMDB_OK;
    for (uint32_t i = 0;
         !status && i < record.blob_count && memdb__record_next_blob(&record.blobs, &blob); i++) {
        char name[32];
        uint64_t before = verify->findings;
        memdb__blob_file(blob.reference, name);
        verify->directory = "";
        status = memdb__blob_verify(verify->db->blobs, blob.reference, error);
        status = conclude(verify, name, status, before, error);
    }
    return status;
}

static memdb_status_t verify_records(verify_t *verify, const memdb__sight_t *sight,
                                     memdb_error_t *error) {
    static const uint8_t first = MEMDB__KEY_RECORD;
    memdb__merge_t merge;
    verify->directory = "";
    memdb_status_t status = memdb__merge_open(&merge, sight, &first, 1, error);
    while (!status && merge.valid && merge.entry.key[0] == MEMDB__KEY_RECORD) {
        status = merge.entry.tombstone ? MEMDB_OK : verify_record(verify, &merge.entry, error);
        status = status ? status : memdb__merge_next(&merge, error);
    }
    memdb__merge_close(&merge);
    return status;
}

static memdb_status_t verify_all(verify_t *verify, memdb_snapshot_t *snapshot,
                                 memdb_error_t *error) {
    memdb_t *db = verify->db;
    const memdb__view_t *view = snapshot->sight.view;
    memdb__root_t root;
    uint64_t before = verify->findings;
    verify->directory = "";
    memdb_status_t status =
        conclude(verify, "root", memdb__root_read(db->directory, &root, error), before, error);
    if (!status && db->catalog) {
        before = verify->findings;
        verify->directory = "catalog";
        status =
            conclude(verify, "data.mdb", memdb__catalog_verify(db->catalog, pass_on, verify, error),
                     before, error);
    }
    for (size_t i = 0; !status && i < view->tier_count; i++) {
        status = verify_tier(verify, view->tiers[i], error);
    }
    // A read-only handle looks at an old moment; the log of that moment may be cut by now.
    if (!status && db->control) {
        status = verify_log(verify, view->applied_lsn, error);
    }
    if (!status && verify->findings == 0) { // damaged pages would only be found once more
        status = verify_records(verify, &snapshot->sight, error);
    }
    return status;
}

static memdb_status_t verify_locked(verify_t *verify, memdb_error_t *error) {
    memdb_snapshot_t snapshot = {0};
    memdb_status_t status = verify->db->control ? memdb__adopt(verify->db, error) : MEMDB_OK;
    status = status ? status : memdb__snapshot_init(verify->db, &snapshot, error);
    if (!status) {
        status = verify_all(verify, &snapshot, error);
        memdb__snapshot_deinit(&snapshot);
    }
    return status;
}

memdb_status_t memdb_verify(memdb_t *db, memdb_verify_fn found, void *context) {
    memdb_error_t error = {0};
    if (!db) {
        return MEMDB_INVALID;
    }
    verify_t verify = {.db = db, .found = found, .context = context, .directory = ""};
    memdb_status_t status = memdb__usable(db, &error);
    if (!status) {
        pthread_mutex_lock(&db->fold);
        bool lock =
            db->control != NULL; // a read-only handle sees files that were mapped at opening
        status = lock ? memdb__lock_acquire(db->lock, MEMDB__LOCK_CHECKPOINT, MEMDB__LOCK_EXCLUSIVE,
                                            true, &error)
                      : MEMDB_OK;
        if (!status) {
            status = verify_locked(&verify, &error);
            if (lock) {
                memdb__lock_release(db->lock, MEMDB__LOCK_CHECKPOINT);
            }
        }
        pthread_mutex_unlock(&db->fold);
    }
    if (!status && verify.findings) {
        status = memdb__fail(&error, MEMDB_CORRUPT, "verify: %llu findings",
                             (unsigned long long)verify.findings);
    }
    return memdb__report(db, status, &error);
}
