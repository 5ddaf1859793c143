// What a memory is worth whatever is asked: how recent it is, and how important it was said to be.
//
// Both are off unless the query gives them a weight. Recency falls with the logarithm of the age,
// as the strength of a memory does (the power law of forgetting: Anderson and Schooler, Reflections
// of the Environment in Memory, 1991): between an hour and a day lies about as much as between
// three weeks and a year, so no half-life has to be chosen. Importance has whatever scale its
// writers gave it. Each is told in deviations from the mean of the found candidates, as words and
// vectors are, and is lent to nobody.
#include "query/query_recall.h"

#include <math.h>

#define HOUR_US ((double)MEMDB__DAY_US / 24)

static double value_of(const memdb__recall_t *recall, memdb_signal_t signal,
                       const memdb__record_t *record) {
    if (signal == MEMDB_SIGNAL_IMPORTANCE) {
        return record->importance; // 0 where none was given
    }
    double age = (double)recall->now - (double)record->time;
    return -log1p(fmax(age, 0) / HOUR_US); // what is to come is as recent as can be
}

static memdb__spread_t spread_of(const memdb__recall_t *recall, memdb_signal_t signal) {
    const memdb__candidates_t *candidates = &recall->candidates;
    double sum = 0, squares = 0, count = 0;
    for (uint32_t i = 0; i < candidates->count; i++) {
        const memdb__candidate_t *candidate = &candidates->items[i];
        if (candidate->state == MEMDB__CANDIDATE_FOUND && candidate->has_record) {
            sum += value_of(recall, signal, &candidate->record);
            count++;
        }
    }
    double mean = count > 0 ? sum / count : 0;
    for (uint32_t i = 0; i < candidates->count; i++) {
        const memdb__candidate_t *candidate = &candidates->items[i];
        if (candidate->state == MEMDB__CANDIDATE_FOUND && candidate->has_record) {
            double difference = value_of(recall, signal, &candidate->record) - mean;
            squares += difference * difference;
        }
    }
    return (memdb__spread_t){mean, count > 0 ? sqrt(squares / count) : 0};
}

static void rate(memdb__recall_t *recall, memdb_signal_t signal) {
    memdb__candidates_t *candidates = &recall->candidates;
    memdb__spread_t spread = spread_of(recall, signal);
    for (uint32_t i = 0; spread.deviation > MEMDB__RECALL_FLAT && i < candidates->count; i++) {
        memdb__candidate_t *candidate = &candidates->items[i];
        if (candidate->state != MEMDB__CANDIDATE_REFUSED && candidate->has_record) {
            double value = value_of(recall, signal, &candidate->record);
            candidate->shares[signal] =
                recall->weights[signal] * (value - spread.mean) / spread.deviation;
        }
    }
}

memdb_status_t memdb__recall_prior(memdb__recall_t *recall, memdb_error_t *error) {
    static const memdb_signal_t signals[] = {MEMDB_SIGNAL_RECENCY, MEMDB_SIGNAL_IMPORTANCE};
    memdb__candidates_t *candidates = &recall->candidates;
    if (recall->weights[MEMDB_SIGNAL_RECENCY] == 0 &&
        recall->weights[MEMDB_SIGNAL_IMPORTANCE] == 0) {
        return MEMDB_OK;
    }
    for (uint32_t i = 0; i < candidates->count; i++) {
        memdb_status_t status = memdb__recall_read(recall, &candidates->items[i], error);
        if (status) {
            return status;
        }
    }
    for (size_t s = 0; s < sizeof signals / sizeof *signals; s++) {
        if (recall->weights[signals[s]] > 0) {
            rate(recall, signals[s]);
        }
    }
    return MEMDB_OK;
}
