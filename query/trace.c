// The trace: what stands next to a good memory in its session is likelier to be good.
//
// A dialogue answers in its next turn, and a document goes on in its next passage. Each candidate
// with a score above 0 lends a share of it to those after and before it in the session's order
// (time, then id). Only scores of the fusion are lent, so nothing travels further than
// MEMDB__RECALL_REACH. A neighbour that no search found enters with the score that the fusion would
// have given it, which is often below 0. (Spreading activation over one kind of edge, one step.)
#include "query/query_recall.h"

/// What distance d from a hit gets of it: after it, before it.
static const double AFTER[MEMDB__RECALL_REACH] = {MEMDB__RECALL_NEXT, MEMDB__RECALL_NEAR};
static const double BEFORE[MEMDB__RECALL_REACH] = {MEMDB__RECALL_NEAR, MEMDB__RECALL_NEAR};

static void lend(memdb__recall_t *recall, double score, const uint64_t *ids, uint32_t count,
                 const double *parts) {
    for (uint32_t i = 0; i < count; i++) {
        bool is_new;
        memdb__candidate_t *to = memdb__candidates_take(&recall->candidates, ids[i], &is_new);
        if (is_new) {
            to->state = MEMDB__CANDIDATE_NEIGHBOUR;
        }
        to->shares[MEMDB_SIGNAL_TRACE] += recall->weights[MEMDB_SIGNAL_TRACE] * parts[i] * score;
    }
}

static memdb_status_t lend_from(memdb__recall_t *recall, uint32_t number, memdb_error_t *error) {
    memdb__candidate_t *from = &recall->candidates.items[number];
    double score = memdb__candidate_fused(from);
    uint64_t before[MEMDB__RECALL_REACH], after[MEMDB__RECALL_REACH];
    uint32_t before_count, after_count;
    if (score <= 0) {
        return MEMDB_OK;
    }
    memdb_status_t status = memdb__recall_read(recall, from, error);
    if (status || !from->has_record || !from->record.session.size) {
        return status;
    }
    status = memdb__session_neighbours(&recall->snapshot->sight, from->id, &from->record,
                                       MEMDB__RECALL_REACH, MEMDB__RECALL_REACH, before,
                                       &before_count, after, &after_count, error);
    if (!status) {
        lend(recall, score, after, after_count, AFTER);
        lend(recall, score, before, before_count, BEFORE);
    }
    return status;
}

memdb_status_t memdb__recall_admit(memdb__recall_t *recall, memdb__candidate_t *candidate,
                                   memdb_error_t *error) {
    if (recall->gate.set && !memdb__plan_set_has(recall->gate.set, candidate->id)) {
        candidate->state = MEMDB__CANDIDATE_REFUSED;
        return MEMDB_OK;
    }
    memdb_status_t status = memdb__recall_read(recall, candidate, error);
    if (status || !candidate->has_record ||
        !memdb__recall_shows(&recall->gate, recall->space.space, candidate->id, candidate->version,
                             &candidate->record)) {
        candidate->state = MEMDB__CANDIDATE_REFUSED;
    }
    return status;
}

memdb_status_t memdb__recall_trace(memdb__recall_t *recall, memdb_error_t *error) {
    memdb__candidates_t *candidates = &recall->candidates;
    uint32_t found = candidates->count;
    if (recall->weights[MEMDB_SIGNAL_TRACE] == 0) {
        return MEMDB_OK;
    }
    if (!memdb__candidates_reserve(candidates, 2 * MEMDB__RECALL_REACH * found)) {
        return memdb__fail(error, MEMDB_NOMEM, "no memory for the neighbours of %u memories",
                           found);
    }
    memdb_status_t status = MEMDB_OK;
    for (uint32_t i = 0; i < found && !status; i++) {
        status = lend_from(recall, i, error);
    }
    for (uint32_t i = found; i < candidates->count && !status; i++) {
        status = memdb__recall_admit(recall, &candidates->items[i], error);
    }
    if (!status && recall->vector && found < candidates->count) {
        status = memdb__recall_score_vectors(recall, found, error);
    }
    for (uint32_t i = found; i < candidates->count && !status; i++) {
        memdb__recall_rate(recall, &recall->fusion, &candidates->items[i]);
    }
    return status;
}
