// Writing the tier of a fold or a merge: the three segments that are made of older ones and of
// runs. See fold.h.
#include "engine/fold/fold.h"

static memdb__segment_identity_t new_identity(memdb_t *db, memdb__segment_kind_t kind) {
    memdb__segment_identity_t identity = {.kind = kind};
    memcpy(identity.database_id, db->database_id, 16);
    identity.segment_id = atomic_fetch_add_explicit(&db->control->next_segment_id, 1,
                                                    memory_order_relaxed); // unique is all it needs
    return identity;
}

/// What a fold writes of its own, by kind of key: the entries of merged tiers are summed up, not
/// copied.
static const struct {
    uint8_t kind;
    memdb_status_t (*write)(memdb__fold_t *fold, memdb__sorted_writer_t *writer,
                            memdb_error_t *error);
} summed[] = {
    {MEMDB__KEY_COUNTERS, memdb__fold_write_counters},
    {MEMDB__KEY_HISTORY, memdb__fold_write_history},
};
#define SUMMED_COUNT (sizeof summed / sizeof *summed)

static memdb_status_t copy_entries(memdb__fold_t *fold, memdb__sorted_writer_t *writer,
                                   memdb_error_t *error) {
    memdb__merge_t merge;
    size_t next = 0; // of those that are written once the walk has passed their place
    memdb_status_t status = memdb__merge_open_fold(&merge, &fold->snapshot.sight, fold->horizon.end,
                                                   fold->first_tier, error);
    while (!status && merge.valid && !memdb__fold_is_cancelled(fold)) {
        uint8_t kind = merge.entry.key[0];
        for (; !status && next < SUMMED_COUNT && kind > summed[next].kind; next++) {
            status = summed[next].write(fold, writer, error);
        }
        bool dropped = (next < SUMMED_COUNT && kind == summed[next].kind) ||
                       memdb__collect_drops(&fold->collection, &merge.entry);
        if (!status && !dropped) {
            status = memdb__fold_is_dropped(fold, &merge.entry, &dropped, error);
        }
        if (!status && !dropped) {
            status = memdb__collect_append(fold, writer, &merge.entry, error);
        }
        status = status ? status : memdb__merge_next(&merge, error);
    }
    memdb__merge_close(&merge);
    for (; !status && next < SUMMED_COUNT; next++) {
        status = summed[next].write(fold, writer, error);
    }
    return status;
}

static memdb_status_t write_sorted(memdb__fold_t *fold, memdb_error_t *error) {
    memdb_t *db = fold->db;
    char file[32];
    memdb__sorted_writer_t *writer;
    memdb__segment_identity_t identity = new_identity(db, MEMDB__SEGMENT_SORTED);
    memdb__segment_file(identity.segment_id, file);
    memdb_status_t status = memdb__sorted_create(db->segments, file, &identity, &writer, error);
    if (status) {
        return status;
    }
    memdb__sorted_leave_unhashed(writer, MEMDB__KEYS_WALKED);
    status = memdb__fold_survey(fold, error);
    status = status ? status : copy_entries(fold, writer, error);
    if (status) {
        memdb__sorted_abandon(writer);
        return status;
    }
    status = memdb__sorted_finish(writer, &fold->tier.sorted.file_size, &fold->tier.sorted.checksum,
                                  error);
    fold->tier.sorted.segment_id = status ? 0 : identity.segment_id;
    return status;
}

/// Which runs go into the tier.
static bool is_folded(const memdb__fold_t *fold, const memdb__run_t *run) {
    uint64_t sealed = memdb__run_sealed_lsn(run);
    return sealed != 0 && sealed <= fold->tier.last_lsn;
}

static memdb_status_t write_words(memdb__fold_t *fold, memdb_error_t *error) {
    memdb_t *db = fold->db;
    const memdb__view_t *view = fold->snapshot.sight.view;
    memdb__words_source_t *sources =
        memdb__allocate_zeroed(view->tier_count + view->run_count + 1, sizeof *sources);
    size_t count = 0;
    memdb_status_t status =
        sources ? MEMDB_OK : memdb__fail(error, MEMDB_NOMEM, "fold: out of memory");
    for (size_t i = fold->first_tier; !status && i < view->tier_count; i++) {
        if (view->tiers[i]->words) {
            sources[count++].segment = view->tiers[i]->words;
        }
    }
    for (size_t i = 0; !status && i < view->run_count; i++) {
        if (is_folded(fold, view->runs[i])) {
            status =
                memdb__run_words(view->runs[i], fold->tier.last_lsn, &sources[count++].list, error);
        }
    }
    if (!status && count) {
        char file[32];
        memdb__segment_identity_t identity = new_identity(db, MEMDB__SEGMENT_WORDS);
        memdb__segment_file(identity.segment_id, file);
        status = memdb__words_segment_write(
            db->segments, file, &identity, sources, count, fold->tier.last_lsn,
            memdb__fold_keeps_document, memdb__fold_keeps_space, fold, &fold->tier.words.file_size,
            &fold->tier.words.checksum, error);
        fold->tier.words.segment_id = status ? 0 : identity.segment_id;
    }
    memdb__free(sources);
    return status;
}

static memdb_status_t write_vectors(memdb__fold_t *fold, memdb_error_t *error) {
    memdb_t *db = fold->db;
    const memdb__view_t *view = fold->snapshot.sight.view;
    memdb__vector_source_t *sources =
        memdb__allocate_zeroed(view->tier_count + view->run_count + 1, sizeof *sources);
    size_t count = 0;
    memdb_status_t status =
        sources ? MEMDB_OK : memdb__fail(error, MEMDB_NOMEM, "fold: out of memory");
    for (size_t i = fold->first_tier; !status && i < view->tier_count; i++) {
        if (view->tiers[i]->vectors) {
            sources[count++].segment = view->tiers[i]->vectors;
        }
    }
    for (size_t i = 0; !status && i < view->run_count; i++) {
        if (is_folded(fold, view->runs[i])) {
            status = memdb__run_vectors(view->runs[i], fold->tier.last_lsn, &sources[count++].list,
                                        error);
        }
    }
    if (!status && count) {
        char file[32];
        memdb__segment_identity_t identity = new_identity(db, MEMDB__SEGMENT_VECTORS);
        memdb__segment_file(identity.segment_id, file);
        status = memdb__vector_segment_write(
            db->segments, file, &identity, sources, count, fold->tier.last_lsn,
            memdb__fold_keeps_row, memdb__fold_keeps_space, fold, &fold->tier.vectors.file_size,
            &fold->tier.vectors.checksum, error);
        fold->tier.vectors.segment_id = status ? 0 : identity.segment_id;
    }
    memdb__free(sources);
    return status;
}

void memdb__fold_unlink_tier(memdb_t *db, const memdb__tier_name_t *tier) {
    const uint64_t ids[] = {tier->sorted.segment_id, tier->words.segment_id,
                            tier->vectors.segment_id};
    for (size_t i = 0; i < 3; i++) {
        char file[32];
        memdb_error_t ignored = {0};
        if (ids[i]) {
            memdb__segment_file(ids[i], file);
            memdb__io_unlink(db->segments, file,
                             &ignored); // garbage that stays is unlinked by the next collection
        }
    }
}

uint64_t memdb__fold_tier_bytes(const memdb__tier_name_t *tier) {
    return tier->sorted.file_size + tier->words.file_size + tier->vectors.file_size;
}

memdb_status_t memdb__fold_write_tier(memdb__fold_t *fold, memdb_error_t *error) {
    const memdb__view_t *view = fold->snapshot.sight.view;
    fold->tier.first_lsn = fold->first_tier < view->tier_count
                               ? view->tiers[fold->first_tier]->name.first_lsn
                               : view->applied_lsn;
    memdb_status_t status = write_sorted(fold, error);
    status = status ? status : write_words(fold, error);
    status = status ? status : write_vectors(fold, error);
    if (!status && fold->live.error.status) {
        *error = fold->live.error; // damage was met while judging what is live
        status = error->status;
    }
    status =
        status ? status : memdb__io_sync_all(fold->db->segments, "the directory segments", error);
    atomic_fetch_add_explicit(&fold->db->segment_bytes_written, memdb__fold_tier_bytes(&fold->tier),
                              memory_order_relaxed); // a figure
    if (status) {
        memdb__fold_unlink_tier(fold->db, &fold->tier);
    }
    return status;
}
