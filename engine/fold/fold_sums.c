// What a new tier says of the merged tiers and folded runs as a whole: the sums of the spaces'
// counters, the horizon, and the commits above it. See fold.h.
#include "engine/fold/fold.h"

#include <stdlib.h>

// ------------------------------------------------------------------------------ counters

typedef struct totals {
    int64_t memories, text_bytes;
} totals_t;

/// What the merged tiers and the folded runs count for the space whose counter key is given.
static memdb_status_t sum_counters(memdb__fold_t *fold, memdb_space_t space, totals_t *totals_out,
                                   memdb_error_t *error) {
    const memdb__view_t *view = fold->snapshot.sight.view;
    memdb__key_t key;
    *totals_out = (totals_t){0};
    memdb__key_counters(&key, space);
    for (size_t i = fold->first_tier; i < view->tier_count; i++) {
        memdb__entry_t entry;
        memdb_status_t status =
            memdb__sorted_get(view->tiers[i]->sorted, key.bytes, key.size, &entry, error);
        if (status && status != MEMDB_NOT_FOUND) {
            return status;
        }
        if (!status && entry.value_size == 16) {
            totals_out->memories += (int64_t)memdb__get_u64(entry.value);
            totals_out->text_bytes += (int64_t)memdb__get_u64(entry.value + 8);
        }
    }
    for (size_t i = 0; i < view->run_count; i++) {
        uint64_t sealed = memdb__run_sealed_lsn(view->runs[i]);
        if (sealed && sealed <= fold->tier.last_lsn) {
            int64_t memories, text_bytes;
            memdb__run_counters(view->runs[i], space, &memories, &text_bytes);
            totals_out->memories += memories;
            totals_out->text_bytes += text_bytes;
        }
    }
    return MEMDB_OK;
}

/// The spaces that a source counts, gathered and sorted.
typedef struct spaces {
    memdb__buffer_t ids; // u32, in the machine's order
    memdb_error_t *error;
} spaces_t;

static memdb_status_t add_space(void *context, memdb_space_t space, int64_t memories,
                                int64_t text_bytes) {
    (void)memories;
    (void)text_bytes;
    spaces_t *spaces = context;
    return memdb__buffer_append(&spaces->ids, &space, sizeof space)
               ? MEMDB_OK
               : memdb__fail(spaces->error, MEMDB_NOMEM, "fold: out of memory");
}

static int by_id(const void *a, const void *b) {
    memdb_space_t x = *(const memdb_space_t *)a, y = *(const memdb_space_t *)b;
    return (x > y) - (x < y);
}

static memdb_status_t gather_spaces(memdb__fold_t *fold, spaces_t *spaces, memdb_error_t *error) {
    static const uint8_t first = MEMDB__KEY_COUNTERS;
    const memdb__view_t *view = fold->snapshot.sight.view;
    memdb_status_t status = MEMDB_OK;
    for (size_t i = fold->first_tier; !status && i < view->tier_count; i++) {
        memdb__sorted_iterator_t at;
        status = memdb__sorted_seek(view->tiers[i]->sorted, &first, 1, &at, error);
        while (!status && at.valid && at.entry.key_size == 5 &&
               at.entry.key[0] == MEMDB__KEY_COUNTERS) {
            status = add_space(spaces, memdb__get_be32(at.entry.key + 1), 0, 0);
            status = status ? status : memdb__sorted_next(&at, error);
        }
    }
    for (size_t i = 0; !status && i < view->run_count; i++) {
        status = memdb__run_each_counter(view->runs[i], add_space, spaces);
    }
    if (!status && spaces->ids.size) {
        qsort(spaces->ids.data, spaces->ids.size / sizeof(memdb_space_t), sizeof(memdb_space_t),
              by_id);
    }
    return status;
}

/// Counters sort between 'B' and 'D': they are written when the walk passes their place.
memdb_status_t memdb__fold_write_counters(memdb__fold_t *fold, memdb__sorted_writer_t *writer,
                                          memdb_error_t *error) {
    spaces_t spaces = {.error = error};
    memdb_status_t status = gather_spaces(fold, &spaces, error);
    const memdb_space_t *ids = (const memdb_space_t *)spaces.ids.data;
    size_t count = spaces.ids.size / sizeof *ids;
    for (size_t i = 0; !status && i < count; i++) {
        if ((i && ids[i] == ids[i - 1]) ||
            (fold->first_tier == 0 && !memdb__fold_keeps_space(fold, ids[i]))) {
            continue;
        }
        totals_t totals;
        memdb__key_t key;
        uint8_t value[16];
        status = sum_counters(fold, ids[i], &totals, error);
        memdb__put_u64(value, (uint64_t)totals.memories);
        memdb__put_u64(value + 8, (uint64_t)totals.text_bytes);
        memdb__key_counters(&key, ids[i]);
        memdb__entry_t entry = {.key = key.bytes,
                                .key_size = key.size,
                                .value = value,
                                .value_size = sizeof value,
                                .version = fold->tier.last_lsn};
        status = status ? status : memdb__sorted_append(writer, &entry, error);
    }
    memdb__buffer_deinit(&spaces.ids);
    return status;
}

// ------------------------------------------------------------------------------ history

typedef struct chronicle {
    memdb__fold_t *fold;
    memdb__sorted_writer_t *writer;
    memdb_error_t *error;
    memdb__buffer_t value;
    memdb__moment_t moments[MEMDB__HISTORY_MOMENTS];
    size_t count;
} chronicle_t;

static memdb_status_t append(chronicle_t *chronicle, const memdb__key_t *key, const void *value,
                             size_t size) {
    memdb__entry_t entry = {.key = key->bytes,
                            .key_size = key->size,
                            .value = value,
                            .value_size = size,
                            .version = chronicle->fold->tier.last_lsn};
    return memdb__sorted_append(chronicle->writer, &entry, chronicle->error);
}

/// Write the commits gathered so far as one entry.
static memdb_status_t flush_moments(chronicle_t *chronicle) {
    memdb__key_t key;
    if (!chronicle->count) {
        return MEMDB_OK;
    }
    memdb__buffer_clear(&chronicle->value);
    if (!memdb__moments_encode(&chronicle->value, chronicle->moments, chronicle->count)) {
        return memdb__fail(chronicle->error, MEMDB_NOMEM, "fold: out of memory");
    }
    memdb__key_history_at(&key, chronicle->moments[0].time);
    chronicle->count = 0;
    return append(chronicle, &key, chronicle->value.data, chronicle->value.size);
}

static memdb_status_t take_moment(void *context, const memdb__moment_t *moment) {
    chronicle_t *chronicle = context;
    if (moment->end <= chronicle->fold->horizon.end) {
        return MEMDB_OK;
    }
    chronicle->moments[chronicle->count++] = *moment;
    return chronicle->count == MEMDB__HISTORY_MOMENTS ? flush_moments(chronicle) : MEMDB_OK;
}

/// These entries sort between 'D' and 'I': they are written when the walk passes their place.
memdb_status_t memdb__fold_write_history(memdb__fold_t *fold, memdb__sorted_writer_t *writer,
                                         memdb_error_t *error) {
    uint8_t value[24];
    memdb__key_t key;
    chronicle_t *chronicle = memdb__allocate_zeroed(1, sizeof *chronicle);
    if (!chronicle) {
        return memdb__fail(error, MEMDB_NOMEM, "fold: out of memory");
    }
    *chronicle = (chronicle_t){.fold = fold, .writer = writer, .error = error};
    memdb__put_u64(value, fold->horizon.lsn);
    memdb__put_u64(value + 8, fold->horizon.end);
    memdb__put_u64(value + 16, (uint64_t)fold->horizon.time);
    memdb__key_history(&key);
    memdb_status_t status = append(chronicle, &key, value, sizeof value);
    if (!status && fold->horizon.end < fold->tier.last_lsn) {
        status = memdb__history_each(fold->snapshot.sight.view, fold->first_tier,
                                     fold->tier.last_lsn, take_moment, chronicle, error);
    }
    status = status ? status : flush_moments(chronicle);
    memdb__buffer_deinit(&chronicle->value);
    memdb__free(chronicle);
    return status;
}
