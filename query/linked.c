// What is linked to the best memories, and to those that the question is about.
//
// Some questions are answered in two steps: what they say leads to a memory, and a link of that one
// to the answer. The best memories so far, and the query's seeds, are where walkers begin who
// follow links both ways (personalised PageRank, graph_rank.c); where many of them come to rest is
// likelier to be good. (Retrieval over a graph of facts by PageRank from what the question names:
// HippoRAG, 2024.) Ranks fall by powers from hop to hop, so that they are told by their logarithm;
// and those below MEMDB__RECALL_LINK_FLOOR are one to it. A seed's walkers that end where they
// began say nothing of it: without a link it has nothing.
//
// Memories that no search found enter with the score that the fusion would have given them, as
// neighbours in a trace do. What is not to be shown is walked through all the same: an entity that
// joins two passages need be nobody's answer.
#include "query/query_graph.h"
#include "query/query_recall.h"

#include <math.h>
#include <stdlib.h>

typedef struct ranked {
    uint64_t id;
    double score;
} ranked_t;

/// Greatest first, then by id.
static int compare_ranked(const void *a, const void *b) {
    const ranked_t *left = a, *right = b;
    if (left->score != right->score) {
        return left->score > right->score ? -1 : 1;
    }
    return (left->id > right->id) - (left->id < right->id);
}

// ------------------------------------------------------------------------------ where to begin

static memdb_status_t begin_at(memdb__walk_t *walk, uint64_t id, double weight, double *total,
                               memdb_error_t *error) {
    size_t number;
    memdb_status_t status = memdb__walk_start(walk, id, &number, error);
    memdb__heat_t *heats = status ? NULL : memdb__walk_heats(walk);
    if (!heats) {
        return status ? status : memdb__walk_no_memory(error);
    }
    heats[number].score += weight;
    *total += weight;
    return MEMDB_OK;
}

/// The best of the fusion, by their scores.
static memdb_status_t begin_at_best(memdb__recall_t *recall, memdb__walk_t *walk, double *total,
                                    memdb_error_t *error) {
    const memdb__candidates_t *candidates = &recall->candidates;
    ranked_t best[MEMDB__RECALL_LINK_SEEDS + 1];
    size_t count = 0;
    for (uint32_t i = 0; i < candidates->count; i++) {
        const memdb__candidate_t *candidate = &candidates->items[i];
        ranked_t one = {candidate->id, memdb__candidate_fused(candidate)};
        size_t place = count;
        if (candidate->state != MEMDB__CANDIDATE_FOUND || one.score <= 0) {
            continue;
        }
        for (; place && compare_ranked(&one, &best[place - 1]) < 0; place--) {
            best[place] = best[place - 1];
        }
        best[place] = one;
        count += count < MEMDB__RECALL_LINK_SEEDS;
    }
    memdb_status_t status = MEMDB_OK;
    for (size_t i = 0; !status && i < count; i++) {
        status = begin_at(walk, best[i].id, best[i].score, total, error);
    }
    return status;
}

/// The query's seeds in the space in hand; each counts as a hit that stands out by one deviation.
static memdb_status_t begin_at_seeds(memdb__recall_t *recall, memdb__walk_t *walk, double *total,
                                     memdb_error_t *error) {
    memdb_status_t status = MEMDB_OK;
    for (size_t i = 0; !status && i < recall->query->seed_count; i++) {
        status = begin_at(walk, recall->query->seeds[i], 1, total, error);
        status = status == MEMDB_NOT_FOUND ? MEMDB_OK : status; // of another space: it was checked
    }
    return status;
}

// ------------------------------------------------------------------------------ who ranks how

static memdb__heat_t *heats_of(const memdb__walk_t *walk) {
    return (memdb__heat_t *)(void *)walk->heats.data;
}

/// Take from the starts what ended there before it followed a link.
static void leave_links_alone(const memdb__walk_t *walk, const double *weights, size_t starts,
                              double total) {
    for (size_t i = 0; i < starts; i++) {
        memdb__heat_t *heat = &heats_of(walk)[i];
        double ends = heat->total > 0 ? walk->options.restart : 1;
        heat->score = fmax(heat->score - ends * weights[i] / total, 0);
    }
}

static memdb_status_t rank(memdb__recall_t *recall, memdb__walk_t *walk, memdb_error_t *error) {
    double total = 0, residual;
    memdb_status_t status = begin_at_best(recall, walk, &total, error);
    status = status ? status : begin_at_seeds(recall, walk, &total, error);
    size_t starts = walk->visited->count;
    if (status || !starts) {
        return status;
    }
    double *weights = memdb__arena_allocate(&recall->arena, starts * sizeof *weights);
    if (!weights) {
        return memdb__walk_no_memory(error);
    }
    for (size_t i = 0; i < starts; i++) {
        weights[i] = heats_of(walk)[i].score;
    }
    status = memdb__walk_rank(walk, &residual, error);
    if (!status) {
        leave_links_alone(walk, weights, starts, total);
    }
    return status;
}

static double rank_of(const memdb__walk_t *walk, uint64_t id) {
    size_t number = memdb__visited_find(walk->visited, id);
    return number == SIZE_MAX ? 0 : heats_of(walk)[number].score;
}

// ------------------------------------------------------------------------------ who enters

/// The memories above the floor, best first.
static memdb_status_t list_ranked(memdb__recall_t *recall, const memdb__walk_t *walk,
                                  ranked_t **ranked_out, size_t *count_out, memdb_error_t *error) {
    ranked_t *ranked =
        memdb__arena_allocate(&recall->arena, (walk->visited->count + 1) * sizeof *ranked);
    size_t count = 0;
    if (!ranked) {
        return memdb__walk_no_memory(error);
    }
    for (size_t i = 0; i < walk->visited->count; i++) {
        ranked_t one = {walk->visited->nodes[i].id, heats_of(walk)[i].score};
        if (one.score >= MEMDB__RECALL_LINK_FLOOR) {
            ranked[count++] = one;
        }
    }
    qsort(ranked, count, sizeof *ranked, compare_ranked);
    *ranked_out = ranked;
    *count_out = count;
    return MEMDB_OK;
}

/// Let the best that no search found enter, if they may be shown.
static memdb_status_t enter(memdb__recall_t *recall, const memdb__walk_t *walk,
                            memdb_error_t *error) {
    memdb__candidates_t *candidates = &recall->candidates;
    uint32_t before = candidates->count, entered = 0;
    ranked_t *ranked = NULL;
    size_t count = 0;
    memdb_status_t status = list_ranked(recall, walk, &ranked, &count, error);
    if (!status && !memdb__candidates_reserve(candidates, MEMDB__RECALL_LINK_TRIES)) {
        status = memdb__fail(error, MEMDB_NOMEM, "no memory for linked memories");
    }
    for (size_t i = 0; !status && i < count && entered < MEMDB__RECALL_LINKED &&
                       candidates->count - before < MEMDB__RECALL_LINK_TRIES;
         i++) {
        bool is_new;
        memdb__candidate_t *candidate = memdb__candidates_take(candidates, ranked[i].id, &is_new);
        if (is_new) {
            candidate->state = MEMDB__CANDIDATE_NEIGHBOUR;
            status = memdb__recall_admit(recall, candidate, error);
            entered += candidate->state == MEMDB__CANDIDATE_NEIGHBOUR;
        }
    }
    if (!status && recall->vector && before < candidates->count) {
        status = memdb__recall_score_vectors(recall, before, error);
    }
    for (uint32_t i = before; !status && i < candidates->count; i++) {
        memdb__recall_rate(recall, &recall->fusion, &candidates->items[i]);
    }
    return status;
}

// ------------------------------------------------------------------------------ the shares

static double value_of(const memdb__walk_t *walk, const memdb__candidate_t *candidate) {
    return log(rank_of(walk, candidate->id) + MEMDB__RECALL_LINK_FLOOR);
}

/// In deviations from the mean of what was found, as all signals are.
static void rate(memdb__recall_t *recall, const memdb__walk_t *walk) {
    memdb__candidates_t *candidates = &recall->candidates;
    double sum = 0, squares = 0, count = 0;
    for (uint32_t i = 0; i < candidates->count; i++) {
        if (candidates->items[i].state == MEMDB__CANDIDATE_FOUND) {
            sum += value_of(walk, &candidates->items[i]);
            count++;
        }
    }
    double mean = count > 0 ? sum / count : 0;
    for (uint32_t i = 0; i < candidates->count; i++) {
        if (candidates->items[i].state == MEMDB__CANDIDATE_FOUND) {
            double difference = value_of(walk, &candidates->items[i]) - mean;
            squares += difference * difference;
        }
    }
    double deviation = count > 0 ? sqrt(squares / count) : 0;
    for (uint32_t i = 0; deviation > MEMDB__RECALL_FLAT && i < candidates->count; i++) {
        memdb__candidate_t *candidate = &candidates->items[i];
        if (candidate->state != MEMDB__CANDIDATE_REFUSED) {
            candidate->shares[MEMDB_SIGNAL_GRAPH] = recall->weights[MEMDB_SIGNAL_GRAPH] *
                                                    (value_of(walk, candidate) - mean) / deviation;
        }
    }
}

memdb_status_t memdb__recall_linked(memdb__recall_t *recall, memdb_error_t *error) {
    memdb_graph_options_t options = {.size = sizeof options,
                                     .direction = MEMDB_DIRECTION_BOTH,
                                     .valid_at = recall->gate.valid_at,
                                     .link_limit = MEMDB__RECALL_LINK_LIMIT};
    memdb__walk_t walk;
    options.valid_at = options.valid_at == MEMDB_TIME_NONE ? 0 : options.valid_at;
    if (recall->weights[MEMDB_SIGNAL_GRAPH] == 0) {
        return MEMDB_OK;
    }
    memdb_status_t status =
        memdb__walk_begin(&walk, recall->snapshot, recall->space.space, &options, false, error);
    if (!status && !memdb__graph_is_empty(&walk.graph)) {
        status = rank(recall, &walk, error);
        if (!status && walk.links) {
            status = enter(recall, &walk, error);
            if (!status) {
                rate(recall, &walk);
            }
        }
    }
    memdb__walk_end(&walk);
    return status;
}
