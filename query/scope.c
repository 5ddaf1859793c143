// The scope of a recall in a space: the session, the query's window, and the windows that the
// question names (docs/time.md).
//
// Windows of sessions are counted over the sessions of the space in the order in which they began.
// The index of sessions gives the first memory of each by one seek, and only a question that names
// sessions pays for that. To the planner a scope is ranges of keys, so that a search need read no
// record outside; the records decide in any case, for entries of an index may be stale.
#include "query/query_recall.h"

#include <math.h>
#include <stdlib.h>

// ------------------------------------------------------------------------------ inside or not

static int compare_bytes(const void *a, const void *b) {
    const memdb_bytes_t *left = a, *right = b;
    return memdb__compare(left->data, left->size, right->data, right->size);
}

static bool in_span(const memdb__span_t *span, const memdb__record_t *record) {
    return span->sessions ? bsearch(&record->session, span->sessions, span->session_count,
                                    sizeof *span->sessions, compare_bytes) != NULL
                          : record->time >= span->from && record->time < span->to;
}

static bool in_spans(const memdb__span_t *spans, size_t count, const memdb__record_t *record) {
    for (size_t i = 0; i < count; i++) {
        if (in_span(&spans[i], record)) {
            return true;
        }
    }
    return false;
}

bool memdb__recall_bounded(const memdb__recall_gate_t *gate) {
    return gate->span_count || gate->from != INT64_MIN || gate->to != INT64_MAX;
}

bool memdb__recall_within(const memdb__recall_gate_t *gate, const memdb__record_t *record) {
    return record->time >= gate->from && (record->time < gate->to || gate->to == INT64_MAX) &&
           (!gate->span_count || in_spans(gate->spans, gate->span_count, record));
}

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
    return compare_bytes(&left->name, &right->name);
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
    qsort(names, size, sizeof *names, compare_bytes);
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

// ------------------------------------------------------------------------------ lists of ids

typedef struct ids {
    uint64_t *items;
    size_t count;
    bool more; // than fit
} ids_t;

/// The ids behind the entries that begin with `prefix`, from `from` on, up to the time `to`.
static memdb_status_t list_entries(memdb__recall_t *recall, const memdb__key_t *from,
                                   const memdb__key_t *prefix, const memdb__key_t *end, ids_t *ids,
                                   memdb_error_t *error) {
    memdb__merge_t merge;
    memdb_status_t status =
        memdb__merge_open(&merge, &recall->snapshot->sight, from->bytes, from->size, error);
    if (status) {
        return status;
    }
    while (!status && merge.valid && merge.entry.key_size >= prefix->size &&
           memcmp(merge.entry.key, prefix->bytes, prefix->size) == 0 &&
           (!end ||
            memdb__compare(merge.entry.key, merge.entry.key_size, end->bytes, end->size) < 0)) {
        ids->more = ids->count == MEMDB__RECALL_IDS;
        if (ids->more) {
            break;
        }
        if (!merge.entry.tombstone &&
            memdb__key_parse_id(merge.entry.key, merge.entry.key_size, &ids->items[ids->count])) {
            ids->count++;
        }
        status = memdb__stop_check(recall->gate.stop, error);
        status = status ? status : memdb__merge_next(&merge, error);
    }
    memdb__merge_close(&merge);
    return status;
}

static memdb_status_t list_session(memdb__recall_t *recall, memdb_bytes_t session, ids_t *ids,
                                   memdb_error_t *error) {
    memdb__key_t prefix;
    memdb__key_session_prefix(&prefix, recall->space.space, session);
    return list_entries(recall, &prefix, &prefix, NULL, ids, error);
}

static memdb_status_t list_times(memdb__recall_t *recall, int64_t from, int64_t to, ids_t *ids,
                                 memdb_error_t *error) {
    memdb__key_t first, prefix, end;
    memdb__key_time_prefix(&prefix, recall->space.space);
    memdb__key_time(&first, recall->space.space, from, 0);
    memdb__key_time(&end, recall->space.space, to, 0);
    return list_entries(recall, &first, &prefix, to == INT64_MAX ? NULL : &end, ids, error);
}

static memdb_status_t list_span(memdb__recall_t *recall, const memdb__span_t *span, ids_t *ids,
                                memdb_error_t *error) {
    if (!span->sessions) {
        return list_times(recall, span->from, span->to, ids, error);
    }
    memdb_status_t status = MEMDB_OK;
    for (size_t i = 0; !status && !ids->more && i < span->session_count; i++) {
        status = list_session(recall, span->sessions[i], ids, error);
    }
    return status;
}

/// What the narrowest of session, windows and the query's window holds.
static memdb_status_t list_scope(memdb__recall_t *recall, ids_t *ids, memdb_error_t *error) {
    const memdb__recall_gate_t *gate = &recall->gate;
    if (gate->session.size) {
        return list_session(recall, gate->session, ids, error);
    }
    if (!gate->span_count) {
        return list_times(recall, gate->from, gate->to, ids, error);
    }
    memdb_status_t status = MEMDB_OK;
    for (size_t i = 0; !status && !ids->more && i < gate->span_count; i++) {
        status = list_span(recall, &gate->spans[i], ids, error);
    }
    return status;
}

memdb_status_t memdb__recall_list(memdb__recall_t *recall, memdb_error_t *error) {
    ids_t ids = {0};
    ids.items = memdb__arena_allocate(&recall->arena, MEMDB__RECALL_IDS * sizeof *ids.items);
    if (!ids.items) {
        return memdb__fail(error, MEMDB_NOMEM, "no memory for the ids of a window");
    }
    memdb_status_t status = list_scope(recall, &ids, error);
    if (!status) {
        recall->listed = ids.items;
        recall->listed_count = ids.count;
    }
    return status;
}

// ------------------------------------------------------------------------------ ranges of keys

static memdb_status_t visit_session(memdb_space_t space, memdb_bytes_t session,
                                    memdb__plan_visit_fn visit, void *context) {
    memdb__key_range_t range;
    memdb__key_session_prefix(&range.from, space, session);
    range.to = range.from;
    memdb__key_pass(&range.to);
    return visit(context, &range);
}

static memdb_status_t visit_times(memdb_space_t space, int64_t from, int64_t to,
                                  memdb__plan_visit_fn visit, void *context) {
    memdb__key_range_t range;
    memdb__key_time(&range.from, space, from, 0);
    if (to == INT64_MAX) {
        memdb__key_time_prefix(&range.to, space);
        memdb__key_pass(&range.to);
    } else {
        memdb__key_time(&range.to, space, to, 0);
    }
    return visit(context, &range);
}

bool memdb__recall_scope_has(const memdb__recall_gate_t *gate, memdb__plan_scope_t part) {
    switch (part) {
    case MEMDB__PLAN_SESSION:
        return gate->session.size > 0;
    case MEMDB__PLAN_WINDOW:
        return gate->from != INT64_MIN || gate->to != INT64_MAX;
    default:
        return gate->span_count > 0;
    }
}

memdb_status_t memdb__recall_scope_each(const memdb__recall_gate_t *gate, memdb_space_t space,
                                        memdb__plan_scope_t part, memdb__plan_visit_fn visit,
                                        void *context) {
    memdb_status_t status = MEMDB_OK;
    if (part == MEMDB__PLAN_SESSION) {
        return visit_session(space, gate->session, visit, context);
    }
    if (part == MEMDB__PLAN_WINDOW) {
        return visit_times(space, gate->from, gate->to, visit, context);
    }
    for (size_t i = 0; !status && i < gate->span_count; i++) {
        const memdb__span_t *span = &gate->spans[i];
        if (!span->sessions) {
            status = visit_times(space, span->from, span->to, visit, context);
        }
        for (size_t j = 0; !status && span->sessions && j < span->session_count; j++) {
            status = visit_session(space, span->sessions[j], visit, context);
        }
    }
    return status;
}

// ------------------------------------------------------------------------------ the signal

/// 1 inside a window, and less in the days after one: what happened is told in the days that
/// follow.
static double nearness(const memdb__span_t *span, const memdb__record_t *record) {
    if (in_span(span, record)) {
        return 1;
    }
    if (span->sessions || record->time < span->to) {
        return 0;
    }
    double after = ((double)record->time - (double)span->to) / (double)MEMDB__RECALL_TOLD_US;
    return after < 1 ? 1 - after : 0;
}

memdb_status_t memdb__recall_time(memdb__recall_t *recall, memdb_error_t *error) {
    memdb__candidates_t *candidates = &recall->candidates;
    memdb_status_t status = MEMDB_OK;
    if (!recall->span_count || recall->only_windows) {
        return MEMDB_OK;
    }
    for (uint32_t i = 0; !status && i < candidates->count; i++) {
        memdb__candidate_t *candidate = &candidates->items[i];
        if (candidate->state == MEMDB__CANDIDATE_REFUSED) {
            continue;
        }
        double most = 0;
        status = memdb__recall_read(recall, candidate, error);
        for (size_t s = 0; !status && candidate->has_record && s < recall->span_count; s++) {
            most = fmax(most, nearness(&recall->spans[s], &candidate->record));
        }
        candidate->shares[MEMDB_SIGNAL_TIME] = recall->weights[MEMDB_SIGNAL_TIME] * most;
    }
    return status;
}
