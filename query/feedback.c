// Feedback: a second look at the candidates, with the words of the best of them.
//
// The best hits of the first ranking are taken for good answers. Their most telling words, weighted
// as index/lexical/lexical_feedback.c says, are looked for in all candidates, and what they score
// counts beside words(d). No candidate is added: what only the new words would find has drifted
// away from the question.
#include "query/query_recall.h"

#include <stdlib.h>

/// The candidates with the best scores, best first; ties by id. Only scores above 0: rounding
/// makes no difference.
static uint32_t best_of(const memdb__candidates_t *candidates, uint32_t *best) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < candidates->count; i++) {
        const memdb__candidate_t *candidate = &candidates->items[i];
        double score = memdb__candidate_score(candidate);
        uint32_t place = count;
        for (; place > 0; place--) {
            const memdb__candidate_t *before = &candidates->items[best[place - 1]];
            double other = memdb__candidate_score(before);
            if (other > score || (other == score && before->id < candidate->id)) {
                break;
            }
            if (place < MEMDB__RECALL_FEEDBACK) {
                best[place] = best[place - 1];
            }
        }
        if (score > MEMDB__RECALL_FLAT && place < MEMDB__RECALL_FEEDBACK) {
            best[place] = i;
            count += count < MEMDB__RECALL_FEEDBACK;
        }
    }
    return count;
}

/// The best hits as examples. Each one's share is that of the square of its score: a clear winner
/// is trusted for more than its lead.
static memdb_status_t find_examples(memdb__recall_t *recall, memdb__words_example_t *examples,
                                    size_t *count_out, memdb_error_t *error) {
    uint32_t best[MEMDB__RECALL_FEEDBACK], found = best_of(&recall->candidates, best);
    double whole = 0;
    size_t count = 0;
    for (uint32_t i = 0; i < found; i++) {
        memdb__candidate_t *candidate = &recall->candidates.items[best[i]];
        memdb_status_t status = memdb__recall_read(recall, candidate, error);
        if (status) {
            return status;
        }
        double score = memdb__candidate_score(candidate);
        whole += score * score;
        if (candidate->has_record) {
            examples[count++] = (memdb__words_example_t){candidate->record.text,
                                                         candidate->record.actor, score * score};
        }
    }
    for (size_t i = 0; i < count; i++) {
        examples[i].share /= whole;
    }
    *count_out = count;
    return MEMDB_OK;
}

static int by_id(const void *a, const void *b) {
    const memdb__words_hit_t *left = a, *right = b;
    return (left->id > right->id) - (left->id < right->id);
}

/// What each candidate's text scores for the words of the best hits. They are asked for in the
/// order of ids, in which documents and postings lie.
static memdb_status_t add_scores(memdb__recall_t *recall, memdb__words_query_t *words,
                                 const memdb__words_search_t *search, memdb_error_t *error) {
    memdb__candidates_t *candidates = &recall->candidates;
    memdb__words_hit_t *hits =
        memdb__arena_allocate(&recall->arena, candidates->count * sizeof *hits);
    if (!hits) {
        return memdb__fail(error, MEMDB_NOMEM, "no memory for %u scores", candidates->count);
    }
    memdb_status_t status = MEMDB_OK;
    for (uint32_t i = 0; i < candidates->count && !status; i++) {
        memdb__candidate_t *candidate = &candidates->items[i];
        status = memdb__recall_read(recall, candidate, error);
        hits[i] = (memdb__words_hit_t){
            .id = candidate->id,
            .version = candidate->has_record ? candidate->record.text_version : 0};
    }
    if (!status) {
        qsort(hits, candidates->count, sizeof *hits, by_id);
        status = memdb__words_score(words, search, hits, candidates->count, error);
    }
    for (uint32_t i = 0; i < candidates->count && !status; i++) {
        bool is_new;
        memdb__candidates_take(candidates, hits[i].id, &is_new)->feedback = hits[i].score;
    }
    return status;
}

memdb_status_t memdb__recall_feedback(memdb__recall_t *recall, memdb_error_t *error) {
    memdb__words_example_t examples[MEMDB__RECALL_FEEDBACK];
    memdb__words_search_t search = memdb__recall_words_search(recall);
    memdb__words_query_t *words;
    size_t count;
    if (!recall->use_words || recall->weights[MEMDB_SIGNAL_FEEDBACK] == 0) {
        return MEMDB_OK;
    }
    memdb_status_t status = find_examples(recall, examples, &count, error);
    status = status ? status
                    : memdb__words_feedback(recall->words, &search, examples, count,
                                            MEMDB__RECALL_FEEDBACK_WORDS, &words, error);
    if (status) {
        return status;
    }
    if (memdb__words_query_terms(words)) {
        status = add_scores(recall, words, &search, error);
    }
    memdb__words_query_destroy(words);
    return status;
}
