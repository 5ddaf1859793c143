// Statistics of a handle and its database.
#include "engine/engine.h"
#include "engine/graph.h"
#include "engine/history.h"

#include <fcntl.h>

typedef struct size_sum {
    int directory;
    uint64_t bytes, files;
} size_sum_t;

static memdb_status_t add_size(void *context, const char *name, memdb_error_t *error) {
    size_sum_t *sum = context;
    struct stat about;
    (void)error;
    if (memdb__io()->stat_at(sum->directory, name, &about, 0) == 0 &&
        S_ISREG(about.st_mode)) { // it may be gone again
        // What it occupies: a log segment is a sparse file until it is used.
        sum->bytes += (uint64_t)about.st_blocks * 512;
        sum->files++;
    }
    return MEMDB_OK;
}

static memdb_status_t sum_directory(memdb_t *db, const char *name, uint64_t *bytes_out,
                                    memdb_error_t *error) {
    size_sum_t sum = {.directory = -1};
    memdb_status_t status =
        memdb__io_open(db->directory, name, O_RDONLY | O_DIRECTORY, &sum.directory, error);
    if (status == MEMDB_OK) {
        status = memdb__io_list(sum.directory, add_size, &sum, error);
        memdb__io_close(sum.directory);
    }
    *bytes_out = sum.bytes;
    return status;
}

/// What all files take that hold what was put. A directory that is not there holds nothing.
static memdb_status_t sum_files(memdb_t *db, memdb_stats_t *stats, memdb_error_t *error) {
    static const char *const names[] = {"log", "segments", "blob", "catalog", "aside", "archive"};
    uint64_t bytes[6] = {0};
    for (size_t i = 0; i < 6; i++) {
        memdb_status_t status = sum_directory(db, names[i], &bytes[i], error);
        if (status && (status != MEMDB_NOT_FOUND || i < 2)) {
            return status;
        }
        stats->file_bytes += bytes[i];
    }
    stats->blob_bytes = bytes[2];
    stats->catalog_bytes = bytes[3];
    stats->aside_bytes = bytes[4];
    return MEMDB_OK;
}

memdb_status_t memdb__files_bytes(memdb_t *db, uint64_t *bytes_out, memdb_error_t *error) {
    memdb_stats_t stats = {0};
    memdb_status_t status = sum_files(db, &stats, error);
    *bytes_out = stats.file_bytes;
    return status;
}

static bool add_space(void *context, const memdb_space_info_t *info) {
    memdb_stats_t *stats = context;
    stats->spaces++;
    stats->memories += info->memories;
    return true;
}

/// The entries of a kind, of versions above `above`, that a snapshot sees: a walk over all of them.
static memdb_status_t count_entries(memdb_snapshot_t *snapshot, uint8_t kind, uint64_t above,
                                    uint64_t *count_out, memdb_error_t *error) {
    memdb__merge_t merge;
    memdb_status_t status = memdb__merge_open(&merge, &snapshot->sight, &kind, 1, error);
    while (!status && merge.valid && merge.entry.key[0] == kind) {
        *count_out += !merge.entry.tombstone && merge.entry.version > above;
        status = memdb__merge_next(&merge, error);
    }
    memdb__merge_close(&merge);
    return status;
}

static void fill_from_view(const memdb__view_t *view, memdb_stats_t *stats) {
    stats->tiers = view->tier_count;
    stats->runs = view->run_count;
    for (size_t i = 0; i < view->tier_count; i++) {
        const memdb__tier_name_t *name = &view->tiers[i]->name;
        stats->segments += 1 + (name->words.segment_id != 0) + (name->vectors.segment_id != 0);
        stats->segment_bytes +=
            name->sorted.file_size + name->words.file_size + name->vectors.file_size;
        stats->superseded_bytes += name->superseded_bytes;
    }
    stats->graph_bytes = memdb__view_packed_bytes(view);
    for (size_t i = 0; i < view->run_count; i++) {
        stats->delta_bytes += memdb__run_bytes(view->runs[i]);
    }
}

static void fill_from_control(memdb_t *db, memdb_stats_t *stats) {
    if (!db->control) {
        return;
    }
    memdb__wal_stats_t wal;
    memdb__wal_stats(db->wal, &wal);
    stats->batches = wal.batches;
    stats->syncs = wal.syncs;
    stats->log_bytes_written = wal.bytes;
    stats->log_limit_bytes = db->options.log_limit_bytes;
    stats->delta_limit_bytes = db->options.delta_limit_bytes;
    stats->durable_lsn =
        atomic_load_explicit(&db->control->durable, memory_order_relaxed); // figures, one by one
    stats->written_lsn = atomic_load_explicit(&db->control->written, memory_order_relaxed);
    stats->applied_lsn = atomic_load_explicit(&db->control->applied, memory_order_relaxed);
    stats->log_bytes = memdb__log_above_base(db);
}

static bool count_expired(void *context, const memdb_snapshot_info_t *info) {
    *(uint64_t *)context += info->expired;
    return true;
}

static memdb_status_t fill_history(memdb_t *db, const memdb__view_t *view, memdb_stats_t *stats,
                                   memdb_error_t *error) {
    memdb__moment_t oldest;
    memdb_status_t status = memdb__history_floor(view, &oldest, error);
    if (!status) {
        stats->history_lsn = oldest.end;
        stats->history_time = oldest.time; // INT64_MIN: MEMDB_TIME_NONE
        status = memdb_snapshot_list(db, count_expired, &stats->snapshots_expired);
    }
    return status;
}

/// A read-only handle closed the catalog when it was opened: these figures are left out.
static memdb_status_t fill_from_catalog(memdb_t *db, memdb_snapshot_t *snapshot,
                                        memdb_stats_t *stats, memdb_error_t *error) {
    memdb__manifest_t manifest = {0};
    uint64_t bytes;
    memdb_status_t status = memdb__catalog_read(db->catalog, &manifest, error);
    stats->blob_named_bytes = manifest.named_blob_bytes;
    status = status ? status
                    : memdb__collect_waiting(db, &manifest, &stats->extents_waiting, &bytes, error);
    status = status ? status
                    : count_entries(snapshot, MEMDB__KEY_ERASED, manifest.purged_lsn,
                                    &stats->erasures_pending, error);
    memdb__manifest_deinit(&manifest);
    return status;
}

static memdb_status_t fill(memdb_t *db, memdb_snapshot_t *snapshot, memdb_stats_t *stats,
                           memdb_error_t *error) {
    stats->visible_lsn = snapshot->sight.visible;
    fill_from_view(snapshot->sight.view, stats);
    fill_from_control(db, stats);
    stats->graph_bytes += memdb__visited_pool_bytes(&db->visited);
    stats->commits = atomic_load_explicit(&db->commits, memory_order_relaxed);
    stats->refused = atomic_load_explicit(&db->refused, memory_order_relaxed);
    stats->conflicts = atomic_load_explicit(&db->conflicts, memory_order_relaxed);
    stats->checkpoints = atomic_load_explicit(&db->checkpoints, memory_order_relaxed);
    stats->merges = atomic_load_explicit(&db->merges, memory_order_relaxed);
    stats->stalls = atomic_load_explicit(&db->stalls, memory_order_relaxed);
    stats->stalled_us = atomic_load_explicit(&db->stalled_us, memory_order_relaxed);
    stats->payload_bytes = atomic_load_explicit(&db->payload_bytes, memory_order_relaxed);
    stats->segment_bytes_written =
        atomic_load_explicit(&db->segment_bytes_written, memory_order_relaxed);
    stats->views_retired = atomic_load_explicit(&db->epochs.retired_count, memory_order_relaxed);
    stats->views_reclaimed = atomic_load_explicit(&db->epochs.freed_count, memory_order_relaxed);
    stats->snapshots = memdb__epoch_readers(&db->epochs, &stats->oldest_snapshot_time) - 1;
    if (stats->snapshots == 0) {
        stats->oldest_snapshot_time = MEMDB_TIME_NONE;
    } // without this one
    memdb_status_t status = fill_history(db, snapshot->sight.view, stats, error);
    status = status ? status : memdb_space_list(snapshot, add_space, stats);
    status = status ? status : count_entries(snapshot, MEMDB__KEY_LINK, 0, &stats->links, error);
    status = status ? status : sum_files(db, stats, error);
    return status || !db->catalog ? status : fill_from_catalog(db, snapshot, stats, error);
}

memdb_status_t memdb_get_stats(memdb_t *db, memdb_stats_t *stats_out) {
    memdb_error_t error = {0};
    if (!db || !stats_out) {
        return MEMDB_INVALID;
    }
    memdb_stats_t stats = {.size = sizeof stats};
    memdb_snapshot_t snapshot = {0};
    memdb_status_t status = memdb__snapshot_init(db, &snapshot, &error);
    if (!status) {
        status = fill(db, &snapshot, &stats, &error);
        memdb__snapshot_deinit(&snapshot);
    }
    if (status) {
        return memdb__report(db, status, &error);
    }
    *stats_out = stats;
    return MEMDB_OK;
}
