// Results: the best hits of each space, put in one order, and why there are fewer than were asked
// for.
#include "query/query_recall.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/// Best first; then by space and id, so that an answer has one order.
static int compare_hits(const void *a, const void *b) {
    const memdb_hit_t *left = a, *right = b;
    if (left->score != right->score) {
        return left->score > right->score ? -1 : 1;
    }
    if (left->space != right->space) {
        return left->space < right->space ? -1 : 1;
    }
    return (left->id > right->id) - (left->id < right->id);
}

static bool reserve(memdb_result_t *result, size_t more) {
    if (result->capacity - result->count >= more) {
        return true;
    }
    memdb_hit_t *hits = memdb__reallocate(result->hits, (result->count + more) * sizeof *hits);
    if (!hits) {
        return false;
    }
    result->hits = hits;
    result->capacity = result->count + more;
    return true;
}

memdb_status_t memdb__result_add(memdb_result_t *result, memdb__recall_t *recall,
                                 memdb_error_t *error) {
    const memdb__candidates_t *candidates = &recall->candidates;
    if (candidates->count == 0) {
        return MEMDB_OK;
    }
    if (!reserve(result, candidates->count)) {
        return memdb__fail(error, MEMDB_NOMEM, "no memory for %u hits", candidates->count);
    }
    memdb_hit_t *hits = result->hits + result->count;
    size_t count = 0;
    for (uint32_t i = 0; i < candidates->count; i++) {
        const memdb__candidate_t *candidate = &candidates->items[i];
        if (candidate->state == MEMDB__CANDIDATE_REFUSED) {
            continue;
        }
        memdb_hit_t *hit = &hits[count++];
        *hit = (memdb_hit_t){.id = candidate->id,
                             .space = recall->space.space,
                             .score = memdb__candidate_score(candidate)};
        memcpy(hit->signals, candidate->shares, sizeof hit->signals);
    }
    qsort(hits, count, sizeof *hits, compare_hits);
    size_t depth = memdb__select_depth(recall->query, recall->k);
    result->count += count < depth ? count : depth;
    return MEMDB_OK;
}

void memdb__result_order(memdb_result_t *result) {
    if (result->count) {
        qsort(result->hits, result->count, sizeof *result->hits, compare_hits);
    }
}

static const char *memories(uint64_t count) {
    return count == 1 ? "memory" : "memories";
}

void memdb__result_explain(memdb_result_t *result, const memdb_query_t *query,
                           const memdb__recall_tally_t *tally) {
    size_t size = sizeof result->fewer, count = result->count;
    bool one = tally->spaces == 1;
    char *fewer = result->fewer;
    if (tally->memories == 0) {
        snprintf(fewer, size, one ? "the space is empty" : "the spaces are empty");
    } else if (tally->memories == count) {
        snprintf(fewer, size, "the %s %" PRIu64 " %s", one ? "space holds" : "spaces hold",
                 tally->memories, memories(tally->memories));
    } else if (tally->found > count) {
        snprintf(fewer, size, "of %zu hits %u are left out, %zu folded, %zu too large",
                 tally->found, query->skip, tally->folded, tally->too_large);
    } else if (!tally->words && !tally->vector && !tally->windows) {
        snprintf(fewer, size,
                 query->mode == MEMDB_RECALL_VECTOR
                     ? (one ? "the space holds no vector" : "the spaces hold no vector")
                     : "the question holds no word to look for");
    } else if (tally->only_windows && !tally->demands) {
        snprintf(fewer, size, "only %zu live %s%s%s of the time that is asked for", count,
                 memories(count), query->session.size ? " of the session" : "",
                 query->filter ? " within the filter" : "");
    } else if (tally->demands) {
        snprintf(fewer, size, "only %zu %s%s %s what the question demands", count, memories(count),
                 query->filter ? " within the filter" : "", count == 1 ? "meets" : "meet");
    } else {
        snprintf(fewer, size, "only %zu live %s%s%s%s %s", count, memories(count),
                 query->session.size ? " of the session" : "",
                 query->filter ? " within the filter" : "",
                 tally->windows ? " of the time that is asked for" : "",
                 tally->words && tally->vector ? "with a vector, or a word that is asked for"
                 : tally->words                ? "with a word that is asked for"
                                               : "with a vector");
    }
}

size_t memdb_result_count(const memdb_result_t *result) {
    return result ? result->count : 0;
}

const memdb_hit_t *memdb_result_hit(const memdb_result_t *result, size_t number) {
    return result && number < result->count ? &result->hits[number] : NULL;
}

const char *memdb_result_fewer(const memdb_result_t *result) {
    return result && result->fewer[0] ? result->fewer : NULL;
}

const char *memdb_result_page(const memdb_result_t *result) {
    return result && result->page[0] ? result->page : NULL;
}

const memdb_plan_t *memdb_result_plan(const memdb_result_t *result) {
    return result && result->explain ? &result->plan : NULL;
}

void memdb_result_free(memdb_result_t *result) {
    if (result) {
        memdb__free(result->hits);
        memdb__explain_destroy(result->explain);
        memdb__free(result);
    }
}

const char *memdb_signal_name(memdb_signal_t signal) {
    static const char *const names[MEMDB_SIGNAL_COUNT] = {
        "words", "vector", "trace", "time", "recency", "importance", "feedback", "graph"};
    return (unsigned)signal < MEMDB_SIGNAL_COUNT ? names[signal] : "unknown";
}
