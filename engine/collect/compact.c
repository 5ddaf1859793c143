// Compact and purge: a collection of everything, with what surrounds it. One mechanism: a purge is
// a compact that also leaves out what was forgotten with erase, and writes over what it may not
// unlink yet.
//
// Order, with range MERGE of `lock` held all the time, and the checkpoint lock but for 3:
//   1. a fresh, small log segment that never was another one: all that was written before the call
//      lies in older ones, and the files that were kept for reuse are unlinked;
//   2. a fold of what the log holds (fold.c), whose cut unlinks every older log segment;
//   3. the merge of all tiers (merge.c, collect.c): one tier, without a tombstone, without an
//      extent that holds anything dead. Commits and checkpoints go on;
//   4. its switch; what older views of other processes still read is waited for, shortly; tails
//      that recovery kept aside are unlinked; a purge ends the log's archive too;
//   5. a purge notes in the catalog how far it went: the marks of what is erased count no more.
#include "base/io.h"
#include "engine/fold/fold.h"
#include "wal/copy.h"

#define SMALL_LOG_BYTES (256u << 10)
#define SWEEPS 50 // attempts to unlink what older views still read, and the time between them
#define SWEEP_NS 5000000

memdb_status_t memdb__space_begin(memdb_t *db, memdb__space_work_t *work, memdb_error_t *error) {
    memdb_status_t status = memdb__files_bytes(db, &work->report.bytes_before, error);
    return status ? status : memdb__wal_rotate(db->wal, SMALL_LOG_BYTES, error);
}

static memdb_status_t count_file(void *context, const char *name, memdb_error_t *error) {
    (void)name;
    (void)error;
    ++*(uint64_t *)context;
    return MEMDB_OK;
}

/// End the log's archive, where there is one: a backup after this copies everything.
static memdb_status_t end_archive(memdb_t *db, uint64_t *removed_out, memdb_error_t *error) {
    int archive = -1;
    memdb_status_t status = memdb__archive_open(db->directory, &archive, error);
    if (status || archive < 0) {
        return status;
    }
    status = memdb__io_list(archive, count_file, removed_out, error);
    memdb__io_close(archive);
    return status ? status : memdb__archive_end(db->directory, error);
}

memdb_status_t memdb__space_end(memdb_t *db, memdb__space_work_t *work, memdb_error_t *error) {
    memdb_status_t status = memdb__wal_aside_remove(db->directory, error);
    if (!status && work->purge) {
        status = end_archive(db, &work->report.archived_files_removed, error);
    }
    // Last of all: until then the marks of what is to be erased stay, and are counted.
    if (!status && work->purge) {
        status = memdb__fold_mark_purged(db, work->seal_lsn, error);
    }
    return status ? status : memdb__files_bytes(db, &work->report.bytes_after, error);
}

/// Unlink the emptied extents that nobody reads any more.
static memdb_status_t sweep(memdb_t *db, memdb_space_report_t *report, memdb_error_t *error) {
    memdb__manifest_t manifest = {0};
    memdb_status_t status = memdb__checkpoint_lock(db, error);
    if (status) {
        return status;
    }
    status = memdb__catalog_read(db->catalog, &manifest, error);
    status = status ? status : memdb__collect_sweep(db, &manifest, error);
    status = status ? status
                    : memdb__collect_waiting(db, &manifest, &report->extents_waiting,
                                             &report->waiting_bytes, error);
    memdb__manifest_deinit(&manifest);
    memdb__checkpoint_unlock(db);
    return status;
}

/// The others turn to the new base with their next snapshot, which is a matter of milliseconds
/// where they work: so it is waited for, but not for long, since they may be idle.
static memdb_status_t wait_for_views(memdb_t *db, memdb_space_report_t *report,
                                     memdb_error_t *error) {
    memdb_status_t status = MEMDB_OK;
    for (int i = 0; !status && i < SWEEPS && report->extents_waiting; i++) {
        struct timespec next = memdb__deadline(SWEEP_NS);
        pthread_mutex_lock(&db->thread_mutex);
        pthread_cond_timedwait(&db->thread_done, &db->thread_mutex, &next);
        pthread_mutex_unlock(&db->thread_mutex);
        memdb__epoch_collect(&db->epochs, SIZE_MAX); // views of this handle
        status = sweep(db, report, error);
    }
    return status;
}

/// The steps, with merges of others kept out.
static memdb_status_t collect_all(memdb_t *db, memdb__space_work_t *work, memdb_error_t *error) {
    memdb__fold_t merge;
    bool found;
    memdb_status_t status = memdb__merge_begin(db, work, UINT64_MAX, &merge, &found, error);
    status = status ? status : memdb__merge_write(&merge, error);
    status = status ? status : memdb__merge_switch(&merge, error);
    memdb__merge_end(&merge);
    status = status ? status : wait_for_views(db, &work->report, error);
    status = status ? status : memdb__checkpoint_lock(db, error);
    if (!status) {
        status = memdb__space_end(db, work, error);
        memdb__checkpoint_unlock(db);
    }
    return status;
}

static memdb_status_t run(memdb_t *db, bool purge, memdb_space_report_t *report_out) {
    memdb_error_t error = {0};
    memdb__space_work_t work = {.purge = purge};
    if (!db || (report_out && report_out->size < sizeof *report_out)) {
        return MEMDB_INVALID;
    }
    memdb_status_t status = memdb__writable(db, &error);
    status = status ? status : memdb__merge_exclude(db, &error);
    if (!status) {
        status = collect_all(db, &work, &error);
        memdb__merge_admit(db);
    }
    if (status) {
        memdb__error_context(&error, status, purge ? "purge" : "compact");
        return memdb__report(db, status, &error);
    }
    if (report_out) {
        work.report.size = sizeof work.report;
        *report_out = work.report;
    }
    return MEMDB_OK;
}

memdb_status_t memdb_compact(memdb_t *db, memdb_space_report_t *report_out) {
    return run(db, false, report_out);
}

memdb_status_t memdb_purge(memdb_t *db, memdb_space_report_t *report_out) {
    return run(db, true, report_out);
}
