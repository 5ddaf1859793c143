// The windows of a question in a space (docs/time.md).
//
// Windows of sessions are counted over the sessions of the space in the order in which they began.
// The index of sessions gives the first memory of each by one seek, and only a question that names
// sessions pays for that.
#include "query/query_recall.h"

#include <stdio.h>
#include <stdlib.h>

// ------------------------------------------------------------------------------ the sessions of a
// space

typedef struct begun {
    memdb_bytes_t name;
    int64_t time; // of its first memory
} begun_t;

typedef struct sessions {
    begun_t *items;
    size_t count, capacity;
} sessions_t;

static int compare_begun(const void *a, const void *b) {
    const begun_t *left = a, *right = b;
    if (left->time != right->time) {
        return left->time < right->time ? -1 : 1;
    }
    return memdb__compare_sessions(&left->name, &right->name);
}

static bool add_session(sessions_t *sessions, memdb__arena_t *arena, memdb_bytes_t name,
                        int64_t time) {
    if (sessions->count == sessions->capacity) {
        size_t capacity = sessions->capacity ? 2 * sessions->capacity : 64;
        begun_t *items = memdb__reallocate(sessions->items, capacity * sizeof *items);
        if (!items) {
            return false;
        }
        sessions->items = items;
        sessions->capacity = capacity;
    }
    char *copy = memdb__arena_copy(arena, name.data, name.size);
    if (!copy) {
        return false;
    }
    sessions->items[sessions->count++] = (begun_t){{copy, name.size}, time};
    return true;
}

/// The first memory at or after `key` that is where its entry says, as long as `prefix` lasts.
/// MEMDB_DONE: there is none.
static memdb_status_t first_entry(memdb__recall_t *recall, const memdb__key_t *key,
                                  const memdb__key_t *prefix, memdb__record_t *record_out,
                                  memdb_error_t *error) {
    memdb__merge_t merge;
    const memdb__sight_t *sight = &recall->snapshot->sight;
    memdb_status_t status = memdb__merge_open(&merge, sight, key->bytes, key->size, error);
    if (status) {
        return status;
    }
    bool found = false;
    while (!status && !found && merge.valid && merge.entry.key_size >= prefix->size &&
           memcmp(merge.entry.key, prefix->bytes, prefix->size) == 0) {
        uint64_t id, version;
        memdb__key_t place;
        status = memdb__stop_check(recall->gate.stop, error);
        if (!status && !merge.entry.tombstone &&
            memdb__key_parse_id(merge.entry.key, merge.entry.key_size, &id)) {
            status = memdb__read_record(sight, id, record_out, &version, error);
            if (!status) {
                memdb__key_session(&place, record_out->space, record_out->session, record_out->time,
                                   id);
                found = memdb__compare(place.bytes, place.size, merge.entry.key,
                                       merge.entry.key_size) == 0;
            }
            status = status == MEMDB_NOT_FOUND ? MEMDB_OK : status;
        }
        status = status || found ? status : memdb__merge_next(&merge, error);
    }
    memdb__merge_close(&merge);
    return status || found ? status : MEMDB_DONE;
}

/// All sessions that have begun by the end of the day of `now`, oldest first.
static memdb_status_t list_sessions(memdb__recall_t *recall, sessions_t *sessions,
                                    memdb_error_t *error) {
    memdb__key_t prefix, at;
    memdb__record_t record;
    int64_t end = memdb__when_end_of_day(recall->now);
    memdb__key_session_prefix(&prefix, recall->space.space, (memdb_bytes_t){0});
    prefix.size = 5; // of the space: all but the end of an empty name
    at = prefix;
    for (;;) {
        memdb_status_t status = first_entry(recall, &at, &prefix, &record, error);
        if (status == MEMDB_DONE) {
            break;
        }
        if (status) {
            return status;
        }
        if (record.session.size && record.time < end &&
            !add_session(sessions, &recall->arena, record.session, record.time)) {
            return memdb__fail(error, MEMDB_NOMEM, "no memory for the sessions of a space");
        }
        memdb__key_session_prefix(&at, recall->space.space, record.session);
        memset(at.bytes + at.size, 0xFF, 17); // behind every time and id of it
        at.size += 17;
    }
    if (sessions->count) {
        qsort(sessions->items, sessions->count, sizeof *sessions->items, compare_begun);
    }
    return MEMDB_OK;
}

/// The sessions of a window by name. A part of the window that the space has no sessions for is
/// left away; false: nothing is left.
static bool name_sessions(memdb__recall_t *recall, const sessions_t *sessions,
                          const memdb__window_t *window, memdb__span_t *span) {
    int64_t count = (int64_t)sessions->count;
    int64_t first = window->first_session, last = window->last_session;
    first = first < 0 ? count + first : first - 1;
    last = last < 0 ? count + last : last - 1;
    first = first < 0 && last >= 0 ? 0 : first;
    last = last >= count ? count - 1 : last;
    size_t size = first >= 0 && first <= last ? (size_t)(last - first + 1) : 0;
    memdb_bytes_t *names = memdb__arena_allocate(&recall->arena, (size + 1) * sizeof *names);
    if (!names) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        names[i] = sessions->items[(size_t)first + i].name;
    }
    qsort(names, size, sizeof *names, memdb__compare_sessions);
    *span = (memdb__span_t){.sessions = names, .session_count = size};
    return true;
}

static memdb_status_t resolve(memdb__recall_t *recall, sessions_t *sessions, memdb_error_t *error) {
    bool listed = false;
    for (size_t i = 0; i < recall->when.count; i++) {
        const memdb__window_t *window = &recall->when.windows[i];
        memdb__span_t *span = &recall->spans[recall->span_count];
        if (!window->first_session) {
            *span = (memdb__span_t){.from = window->from, .to = window->to, .slack = window->slack};
            recall->span_count++;
            continue;
        }
        if (recall->query->session.size) {
            continue; // the session is given: there is none to count
        }
        memdb_status_t status = listed ? MEMDB_OK : list_sessions(recall, sessions, error);
        if (status) {
            return status;
        }
        listed = true;
        if (sessions->count == 0) {
            continue; // the space knows no sessions: the question means others
        }
        if (!name_sessions(recall, sessions, window, span)) {
            return memdb__fail(error, MEMDB_NOMEM, "no memory for the sessions of a window");
        }
        recall->span_count++;
    }
    return MEMDB_OK;
}

/// "sessions -2 to -1", "open to 2023-05-08T00:00:00Z".
static void print_window(const memdb__window_t *window, char *out, size_t size) {
    char from[MEMDB_TIME_TEXT_BYTES] = "open", to[MEMDB_TIME_TEXT_BYTES] = "open";
    if (window->first_session) {
        snprintf(out, size, "sessions %d to %d", window->first_session, window->last_session);
        return;
    }
    if (window->from != INT64_MIN) {
        memdb_time_print(window->from, from);
    }
    if (window->to != INT64_MAX) {
        memdb_time_print(window->to, to);
    }
    snprintf(out, size, "%s to %s", from, to);
}

/// Say how the question was read; the rows are the windows that the space has.
static void explain(memdb__recall_t *recall) {
    char text[MEMDB__WHEN_WINDOWS * (2 * MEMDB_TIME_TEXT_BYTES + 8)] = "";
    if (!recall->explain || recall->when.count == 0) {
        return;
    }
    for (size_t i = 0, used = 0; i < recall->when.count; i++, used = strlen(text)) {
        char one[2 * MEMDB_TIME_TEXT_BYTES + 8];
        print_window(&recall->when.windows[i], one, sizeof one);
        snprintf(text + used, sizeof text - used, "%s%s", i ? "; " : "", one);
    }
    uint32_t step = memdb__explain_open(recall->explain, "%s the time of the question: %s",
                                        recall->only_windows ? "keep to" : "raise", text);
    memdb__explain_close(recall->explain, step, MEMDB__EXPLAIN_UNKNOWN, recall->span_count);
}

memdb_status_t memdb__recall_scope(memdb__recall_t *recall, memdb_error_t *error) {
    const memdb_query_t *query = recall->query;
    memdb__recall_gate_t *gate = &recall->gate;
    sessions_t sessions = {0};
    if (query->has_window) {
        gate->from = query->window_from;
        gate->to = query->window_to == MEMDB_TIME_NONE ? INT64_MAX : query->window_to;
    }
    memdb_status_t status = resolve(recall, &sessions, error);
    memdb__free(sessions.items);
    recall->only_windows = recall->when.alone && (recall->span_count || query->has_window);
    explain(recall);
    return status;
}

bool memdb__recall_widen(memdb__recall_t *recall) {
    bool wider = false;
    for (size_t i = 0; i < recall->span_count; i++) {
        memdb__span_t *span = &recall->spans[i];
        wider = wider || span->slack;
        span->from -= span->slack;
        span->to += span->slack;
        span->slack = 0;
    }
    return wider;
}
