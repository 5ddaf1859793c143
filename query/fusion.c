// Fusion: the signals of the candidates made comparable, weighted, added.
//
// A BM25 score and a cosine have no common scale, and neither has one of its own: both depend on
// the question. So each is told as its distance from the mean of the candidates, in deviations (the
// z-score; Fox and Shaw's combination of scores, TREC-2, with Lee's normalisation). What a
// candidate gets from each signal stays apart, so that a hit's shares add up to its score.
#include "query/query_recall.h"

#include <math.h>

typedef struct sum {
    double total;
    uint32_t count;
} sum_t;

static void add(sum_t *sum, double value) {
    sum->total += value;
    sum->count++;
}

static double mean_of(const sum_t *sum) {
    return sum->count ? sum->total / sum->count : 0;
}

/// What a candidate has of words, those of the question and those of the best hits.
static double all_words(const memdb__recall_t *recall, const memdb__candidate_t *candidate) {
    return candidate->words + recall->weights[MEMDB_SIGNAL_FEEDBACK] * candidate->feedback;
}

/// Two passes: the squares of differences from the mean do not cancel as differences of squares
/// would.
static memdb__spread_t spread_of_words(const memdb__recall_t *recall, double *feedback_out) {
    const memdb__candidates_t *candidates = &recall->candidates;
    sum_t sum = {0}, squares = {0}, feedback = {0};
    for (uint32_t i = 0; i < candidates->count; i++) {
        add(&sum, all_words(recall, &candidates->items[i]));
        add(&feedback, candidates->items[i].feedback);
    }
    double mean = mean_of(&sum);
    for (uint32_t i = 0; i < candidates->count; i++) {
        double difference = all_words(recall, &candidates->items[i]) - mean;
        add(&squares, difference * difference);
    }
    *feedback_out = mean_of(&feedback);
    return (memdb__spread_t){mean, sqrt(mean_of(&squares))};
}

/// Only over those that have a vector.
static memdb__spread_t spread_of_vectors(const memdb__candidates_t *candidates) {
    sum_t sum = {0}, squares = {0};
    for (uint32_t i = 0; i < candidates->count; i++) {
        if (candidates->items[i].has_vector) {
            add(&sum, candidates->items[i].vector);
        }
    }
    double mean = mean_of(&sum);
    for (uint32_t i = 0; i < candidates->count; i++) {
        if (candidates->items[i].has_vector) {
            double difference = candidates->items[i].vector - mean;
            add(&squares, difference * difference);
        }
    }
    return (memdb__spread_t){mean, sqrt(mean_of(&squares))};
}

/// Where all candidates have the same value there is nothing to compare, but it is still evidence
/// against a memory without any: a question that only one memory matches must be able to vouch for
/// that memory's neighbours.
static double z_score(const memdb__spread_t *spread, double value) {
    return spread->deviation > MEMDB__RECALL_FLAT ? (value - spread->mean) / spread->deviation
                                                  : value > 0;
}

void memdb__recall_rate(const memdb__recall_t *recall, const memdb__fusion_t *fusion,
                        memdb__candidate_t *candidate) {
    double weight = recall->use_words ? recall->weights[MEMDB_SIGNAL_WORDS] : 0;
    double words = z_score(&fusion->words, all_words(recall, candidate)), feedback = 0;
    if (fusion->words.deviation > MEMDB__RECALL_FLAT) { // the part of the sum that is feedback's
        feedback = recall->weights[MEMDB_SIGNAL_FEEDBACK] *
                   (candidate->feedback - fusion->feedback) / fusion->words.deviation;
    }
    candidate->shares[MEMDB_SIGNAL_WORDS] = weight * (words - feedback);
    candidate->shares[MEMDB_SIGNAL_FEEDBACK] = weight * feedback;
    candidate->shares[MEMDB_SIGNAL_VECTOR] =
        recall->vector && candidate->has_vector
            ? recall->weights[MEMDB_SIGNAL_VECTOR] * z_score(&fusion->vector, candidate->vector)
            : 0;
}

void memdb__recall_fuse(memdb__recall_t *recall) {
    memdb__candidates_t *candidates = &recall->candidates;
    recall->fusion.words = spread_of_words(recall, &recall->fusion.feedback);
    recall->fusion.vector = spread_of_vectors(candidates);
    for (uint32_t i = 0; i < candidates->count; i++) {
        memdb__recall_rate(recall, &recall->fusion, &candidates->items[i]);
    }
}

double memdb__candidate_fused(const memdb__candidate_t *candidate) {
    return candidate->shares[MEMDB_SIGNAL_WORDS] + candidate->shares[MEMDB_SIGNAL_FEEDBACK] +
           candidate->shares[MEMDB_SIGNAL_VECTOR];
}

double memdb__candidate_score(const memdb__candidate_t *candidate) {
    double score = 0;
    for (int signal = 0; signal < MEMDB_SIGNAL_COUNT; signal++) {
        score += candidate->shares[signal];
    }
    return score;
}
