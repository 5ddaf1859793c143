// Finding moments. See history.h.
//
// Commits rise in time and in the log alike, so what is sorted by time is sorted by LSN too: an LSN
// is found among entries that are keyed by time by halving the time.
#include "engine/history.h"

#define BIAS (UINT64_C(1) << 63)

// ------------------------------------------------------------------------------ entries

bool memdb__moments_encode(memdb__buffer_t *out, const memdb__moment_t *moments, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const memdb__moment_t *moment = &moments[i];
        memdb__buffer_append_varint(out, moment->lsn - (i ? moments[i - 1].end : 0));
        memdb__buffer_append_varint(out, moment->end - moment->lsn);
        memdb__buffer_append_varint(out,
                                    (uint64_t)moment->time - (uint64_t)moments[i ? i - 1 : 0].time);
    }
    return !out->failed;
}

bool memdb__moments_decode(const uint8_t *data, size_t size, int64_t time,
                           memdb__moment_t moments_out[MEMDB__HISTORY_MOMENTS], size_t *count_out) {
    memdb__reader_t reader = memdb__reader(data, size);
    size_t count = 0;
    uint64_t end = 0;
    for (; memdb__reader_left(&reader) && count < MEMDB__HISTORY_MOMENTS; count++) {
        uint64_t gap = memdb__read_varint(&reader), bytes = memdb__read_varint(&reader);
        uint64_t later = memdb__read_varint(&reader);
        // Positions stay below 2^63, so no sum of two of them wraps.
        if (reader.bad || gap >= MEMDB__PRIVATE || end + gap >= MEMDB__PRIVATE || bytes == 0 ||
            bytes >= MEMDB__PRIVATE || end + gap + bytes >= MEMDB__PRIVATE ||
            (later == 0) != (count == 0) || later > (uint64_t)INT64_MAX - (uint64_t)time) {
            return false;
        }
        time = (int64_t)((uint64_t)time + later);
        moments_out[count] = (memdb__moment_t){end + gap, end + gap + bytes, time};
        end += gap + bytes;
    }
    *count_out = count;
    return count && !memdb__reader_left(&reader);
}

static memdb_status_t malformed(memdb_error_t *error) {
    return memdb__fail(error, MEMDB_CORRUPT, "an entry of the history is not well formed");
}

static memdb_status_t decode_entry(const memdb__entry_t *entry,
                                   memdb__moment_t moments[MEMDB__HISTORY_MOMENTS],
                                   size_t *count_out, memdb_error_t *error) {
    int64_t time;
    return memdb__key_parse_history(entry->key, entry->key_size, &time) &&
                   memdb__moments_decode(entry->value, entry->value_size, time, moments, count_out)
               ? MEMDB_OK
               : malformed(error);
}

memdb_status_t memdb__history_floor(const memdb__view_t *view, memdb__moment_t *floor_out,
                                    memdb_error_t *error) {
    memdb__entry_t entry;
    memdb__key_t key;
    if (view->tier_count == 0) {
        *floor_out = (memdb__moment_t){0, 0, INT64_MIN};
        return MEMDB_OK;
    }
    memdb__key_history(&key);
    memdb_status_t status = memdb__sorted_get(view->tiers[view->tier_count - 1]->sorted, key.bytes,
                                              key.size, &entry, error);
    if (status == MEMDB_NOT_FOUND || (!status && entry.value_size != 24)) {
        return malformed(error); // every fold writes it
    }
    if (!status) {
        *floor_out = (memdb__moment_t){memdb__get_u64(entry.value), memdb__get_u64(entry.value + 8),
                                       (int64_t)memdb__get_u64(entry.value + 16)};
    }
    return status;
}

// ------------------------------------------------------------------------------ finding

/// What is looked for: the newest moment that is not above both bounds.
typedef struct wanted {
    uint64_t visible, lsn;
    int64_t time;
} wanted_t;

static bool is_wanted(const wanted_t *wanted, const memdb__moment_t *moment) {
    return moment->end <= wanted->visible && moment->lsn < wanted->lsn &&
           moment->time <= wanted->time;
}

/// The newest wanted one of some moments, which rise. False: none.
static bool newest_of(const wanted_t *wanted, const memdb__moment_t *moments, size_t count,
                      memdb__moment_t *moment_out) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (is_wanted(wanted, &moments[middle])) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low) {
        *moment_out = moments[low - 1];
    }
    return low != 0;
}

/// The moments of the newest entry of a tier whose time is at most `time`. Count 0: none.
static memdb_status_t load_before(memdb__sorted_t *sorted, int64_t time,
                                  memdb__moment_t moments[MEMDB__HISTORY_MOMENTS],
                                  size_t *count_out, memdb_error_t *error) {
    memdb__key_t key;
    memdb__sorted_iterator_t at;
    memdb__key_history_at(&key, time);
    key.bytes[key.size++] = 0; // just behind it
    *count_out = 0;
    memdb_status_t status = memdb__sorted_seek_before(sorted, key.bytes, key.size, &at, error);
    if (status || !at.valid || at.entry.key[0] != MEMDB__KEY_HISTORY || at.entry.key_size == 1) {
        return status;
    }
    return decode_entry(&at.entry, moments, count_out, error);
}

/// The newest wanted moment that a tier remembers: its entry is found by halving the time.
static memdb_status_t newest_in_tier(memdb__sorted_t *sorted, const wanted_t *wanted,
                                     memdb__moment_t moments[MEMDB__HISTORY_MOMENTS],
                                     bool *found_out, memdb__moment_t *moment_out,
                                     memdb_error_t *error) {
    uint64_t low = 0, high = (uint64_t)wanted->time ^ BIAS; // biased, as in keys
    size_t count = 0;
    *found_out = false;
    for (uint64_t middle = high;; middle = low == high ? low : low + (high - low - 1) / 2 + 1) {
        memdb_status_t status =
            load_before(sorted, (int64_t)(middle ^ BIAS), moments, &count, error);
        if (status) {
            return status;
        }
        if (count && !is_wanted(wanted, &moments[0])) {
            if (((uint64_t)moments[0].time ^ BIAS) <= low) {
                return MEMDB_OK; // no entry is older
            }
            high = ((uint64_t)moments[0].time ^ BIAS) - 1;
        } else if (middle == high) {
            break;
        } else {
            low = middle;
        }
    }
    *found_out = newest_of(wanted, moments, count, moment_out);
    return MEMDB_OK;
}

static memdb_status_t find(const memdb__view_t *view, const wanted_t *wanted,
                           memdb__moment_t *moment_out, memdb_error_t *error) {
    memdb__moment_t floor, *moments = NULL;
    memdb_status_t status = memdb__history_floor(view, &floor, error);
    if (status) {
        return status;
    }
    bool found = false;
    for (size_t i = view->run_count; !found && i-- > 0;) {
        size_t count;
        const memdb__moment_t *of_run = memdb__run_moments(view->runs[i], &count);
        found = newest_of(wanted, of_run, count, moment_out);
    }
    if (!found && view->tier_count) {
        moments = memdb__allocate(MEMDB__HISTORY_MOMENTS * sizeof *moments);
        if (!moments) {
            return memdb__fail(error, MEMDB_NOMEM, "history: out of memory");
        }
    }
    for (size_t i = view->tier_count; !found && !status && i-- > 0;) {
        status = newest_in_tier(view->tiers[i]->sorted, wanted, moments, &found, moment_out, error);
    }
    memdb__free(moments);
    if (status || (found && moment_out->end >= floor.end)) {
        return status;
    }
    *moment_out = floor;
    return is_wanted(wanted, &floor) ? MEMDB_OK : MEMDB_EXPIRED;
}

static memdb_status_t tell_expired(const memdb__view_t *view, memdb_error_t *error) {
    memdb__moment_t floor;
    memdb_status_t status = memdb__history_floor(view, &floor, error);
    return status ? status
                  : memdb__fail(error, MEMDB_EXPIRED,
                                "history does not reach back so far: the oldest position that can "
                                "be read is %llu, the oldest time %lld",
                                (unsigned long long)floor.end, (long long)floor.time);
}

memdb_status_t memdb__history_at_lsn(const memdb__view_t *view, uint64_t visible, uint64_t lsn,
                                     memdb__moment_t *moment_out, memdb_error_t *error) {
    wanted_t wanted = {.visible = visible, .lsn = lsn, .time = INT64_MAX};
    memdb_status_t status = find(view, &wanted, moment_out, error);
    return status == MEMDB_EXPIRED ? tell_expired(view, error) : status;
}

memdb_status_t memdb__history_at_time(const memdb__view_t *view, uint64_t visible, int64_t time,
                                      memdb__moment_t *moment_out, memdb_error_t *error) {
    wanted_t wanted = {.visible = visible, .lsn = UINT64_MAX, .time = time};
    memdb_status_t status = find(view, &wanted, moment_out, error);
    return status == MEMDB_EXPIRED ? tell_expired(view, error) : status;
}

// ------------------------------------------------------------------------------ walking

static memdb_status_t
each_of_tier(memdb__sorted_t *sorted, memdb__moment_t moments[MEMDB__HISTORY_MOMENTS],
             memdb_status_t (*visit)(void *context, const memdb__moment_t *moment), void *context,
             memdb_error_t *error) {
    static const uint8_t first[2] = {MEMDB__KEY_HISTORY, 0};
    memdb__sorted_iterator_t at;
    memdb_status_t status = memdb__sorted_seek(sorted, first, sizeof first, &at, error);
    while (!status && at.valid && at.entry.key[0] == MEMDB__KEY_HISTORY) {
        size_t count = 0;
        status = decode_entry(&at.entry, moments, &count, error);
        for (size_t i = 0; !status && i < count; i++) {
            status = visit(context, &moments[i]);
        }
        status = status ? status : memdb__sorted_next(&at, error);
    }
    return status;
}

memdb_status_t memdb__history_each(const memdb__view_t *view, size_t first_tier, uint64_t sealed,
                                   memdb_status_t (*visit)(void *context,
                                                           const memdb__moment_t *moment),
                                   void *context, memdb_error_t *error) {
    memdb__moment_t *moments = memdb__allocate(MEMDB__HISTORY_MOMENTS * sizeof *moments);
    memdb_status_t status =
        moments ? MEMDB_OK : memdb__fail(error, MEMDB_NOMEM, "history: out of memory");
    for (size_t i = first_tier; !status && i < view->tier_count; i++) {
        status = each_of_tier(view->tiers[i]->sorted, moments, visit, context, error);
    }
    memdb__free(moments);
    for (size_t i = 0; !status && i < view->run_count; i++) {
        uint64_t lsn = memdb__run_sealed_lsn(view->runs[i]);
        size_t count = 0;
        const memdb__moment_t *of_run =
            lsn && lsn <= sealed ? memdb__run_moments(view->runs[i], &count) : NULL;
        for (size_t j = 0; !status && j < count; j++) {
            status = visit(context, &of_run[j]);
        }
    }
    return status;
}
