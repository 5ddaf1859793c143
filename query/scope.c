// The scope of a recall in a space: the session, the query's window, and the windows that the
// question names.
//
// To the planner a scope is ranges of keys, so that a search need read no record outside; the
// records decide in any case, for entries of an index may be stale.
#include "query/query_recall.h"

#include <math.h>
#include <stdlib.h>

// ------------------------------------------------------------------------------ inside or not

int memdb__compare_sessions(const void *a, const void *b) {
    const memdb_bytes_t *left = a, *right = b;
    return memdb__compare(left->data, left->size, right->data, right->size);
}

static bool in_span(const memdb__span_t *span, const memdb__record_t *record) {
    return span->sessions ? bsearch(&record->session, span->sessions, span->session_count,
                                    sizeof *span->sessions, memdb__compare_sessions) != NULL
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

// ------------------------------------------------------------------------------ ranges of keys

/// The entries of a session, or (without one) of the space's times, from one time up to another.
static void set_range(memdb__key_range_t *range, memdb_space_t space, memdb_bytes_t session,
                      int64_t from, int64_t to) {
    if (session.size) {
        memdb__key_session(&range->from, space, session, from, 0);
        memdb__key_session(&range->to, space, session, to, 0);
    } else {
        memdb__key_time(&range->from, space, from, 0);
        memdb__key_time(&range->to, space, to, 0);
    }
    if (to == INT64_MAX) { // open: behind all times
        range->to.size -= 16;
        memdb__key_pass(&range->to);
    }
}

// ------------------------------------------------------------------------------ lists of ids

typedef struct ids {
    uint64_t *items;
    size_t count;
    bool more; // than fit
} ids_t;

/// The ids behind the entries of a range, until there are too many.
static memdb_status_t list_range(memdb__recall_t *recall, memdb_bytes_t session, int64_t from,
                                 int64_t to, ids_t *ids, memdb_error_t *error) {
    memdb__key_range_t range;
    memdb__merge_t merge;
    if (from >= to || ids->more) {
        return MEMDB_OK;
    }
    set_range(&range, recall->space.space, session, from, to);
    memdb_status_t status = memdb__merge_open(&merge, &recall->snapshot->sight, range.from.bytes,
                                              range.from.size, error);
    if (status) {
        return status;
    }
    while (!status && merge.valid &&
           memdb__compare(merge.entry.key, merge.entry.key_size, range.to.bytes, range.to.size) <
               0) {
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

/// What lies in the session, in the query's window and in one of the spans.
static memdb_status_t list_scope(memdb__recall_t *recall, ids_t *ids, memdb_error_t *error) {
    const memdb__recall_gate_t *gate = &recall->gate;
    memdb_status_t status = MEMDB_OK;
    if (!gate->span_count) {
        return list_range(recall, gate->session, gate->from, gate->to, ids, error);
    }
    for (size_t i = 0; !status && i < gate->span_count; i++) {
        const memdb__span_t *span = &gate->spans[i];
        int64_t from = span->from > gate->from ? span->from : gate->from;
        int64_t to = span->to < gate->to ? span->to : gate->to;
        if (!span->sessions) {
            status = list_range(recall, gate->session, from, to, ids, error);
        }
        for (size_t j = 0; !status && span->sessions && j < span->session_count; j++) {
            status = list_range(recall, span->sessions[j], gate->from, gate->to, ids, error);
        }
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

// ------------------------------------------------------------------------------ for the planner

static memdb_status_t visit_session(memdb_space_t space, memdb_bytes_t session,
                                    memdb__plan_visit_fn visit, void *context) {
    memdb__key_range_t range;
    set_range(&range, space, session, INT64_MIN, INT64_MAX);
    return visit(context, &range);
}

static memdb_status_t visit_times(memdb_space_t space, int64_t from, int64_t to,
                                  memdb__plan_visit_fn visit, void *context) {
    memdb__key_range_t range;
    set_range(&range, space, (memdb_bytes_t){0}, from, to);
    return visit(context, &range);
}

bool memdb__recall_scope_has(const memdb__recall_gate_t *gate, memdb__plan_scope_t part) {
    switch (part) {
    case MEMDB__PLAN_SESSION:
        return gate->session.size > 0;
    case MEMDB__PLAN_WINDOW:
        return gate->from != INT64_MIN || gate->to != INT64_MAX;
    case MEMDB__PLAN_DEMAND:
        return gate->demand != NULL;
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
