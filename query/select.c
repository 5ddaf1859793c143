// Selection: from the ranked hits to those that are worth their place in an answer.
//
// Hits whose texts are nearly equal are folded into the best of them. Maximal marginal relevance
// (Carbonell and Goldstein, SIGIR 1998) then takes one hit after another: each time the one with
// the greatest (1 - mmr) * relevance - mmr * likeness, where relevance is the score brought to 0
// to 1 over the pool, and likeness that to the most similar hit before it: the cosine of their
// vectors, or, where either has none, the share of words in common. Both make one order of the pool
// that does not depend on k, of which a page is a cut, and which a budget is filled from: from the
// best on, passing over what does not fit.
#include "query/query_recall.h"

#include <math.h>
#include <stdlib.h>

/// What is known of a hit beside its score.
typedef struct entry {
    memdb_hit_t hit;
    memdb__buffer_t terms;
    float *vector; // of length 1; NULL: none
    uint32_t dimension;
    double relevance, likeness; // likeness: to what was taken so far
} entry_t;

static bool compares(const memdb_query_t *query) {
    return query->mmr > 0 || query->fold;
}

memdb_status_t memdb__select_check(const memdb_query_t *query, memdb_error_t *error) {
    if (!(query->mmr >= 0 && query->mmr <= 1)) {
        return memdb__fail(error, MEMDB_INVALID, "mmr: %g, 0 to 1", query->mmr);
    }
    if (query->skip > MEMDB__RECALL_MAX_K) {
        return memdb__fail(error, MEMDB_INVALID, "skip: %u, at most %u", query->skip,
                           MEMDB__RECALL_MAX_K);
    }
    if (query->skip && query->token_budget) {
        return memdb__fail(error, MEMDB_INVALID,
                           "skip: a token_budget passes over hits, so it has no pages");
    }
    if (compares(query) && query->k > MEMDB__SELECT_POOL) {
        return memdb__fail(error, MEMDB_INVALID, "k: %u, with mmr or fold at most %u", query->k,
                           MEMDB__SELECT_POOL);
    }
    return MEMDB_OK;
}

size_t memdb__select_depth(const memdb_query_t *query, uint32_t k) {
    if (compares(query)) {
        return MEMDB__SELECT_POOL;
    }
    if (query->token_budget) {
        return k > MEMDB__SELECT_POOL ? k : MEMDB__SELECT_POOL; // some are passed over
    }
    return (size_t)k + query->skip;
}

// ------------------------------------------------------------------------------ likeness

static memdb_status_t read_vector(memdb__recall_t *recall, entry_t *entry, uint32_t dimension,
                                  memdb_error_t *error) {
    double squares = 0;
    entry->vector = memdb__allocate(dimension * sizeof *entry->vector);
    if (!entry->vector) {
        return memdb__fail(error, MEMDB_NOMEM, "no memory for the vector of a hit");
    }
    memdb_status_t status = memdb_get_vector(recall->snapshot, entry->hit.space, entry->hit.id,
                                             entry->vector, dimension);
    if (status) {
        return memdb__fail(error, status, "the vector of memory %llu",
                           (unsigned long long)entry->hit.id);
    }
    entry->dimension = dimension;
    for (uint32_t i = 0; i < dimension; i++) {
        squares += (double)entry->vector[i] * entry->vector[i];
    }
    for (uint32_t i = 0; i < dimension && squares > 0; i++) {
        entry->vector[i] = (float)(entry->vector[i] / sqrt(squares));
    }
    return MEMDB_OK;
}

static memdb_status_t read_entry(memdb__recall_t *recall, entry_t *entry, memdb_error_t *error) {
    const memdb__sight_t *sight = &recall->snapshot->sight;
    memdb__record_t record;
    memdb_space_info_t space;
    uint64_t version;
    memdb_status_t status = memdb__read_record(sight, entry->hit.id, &record, &version, error);
    status = status ? status : memdb__read_space(sight, entry->hit.space, &space, error);
    if (!status &&
        !memdb__terms_of(space.tokenizer, record.text.data, record.text.size, &entry->terms)) {
        status = memdb__fail(error, MEMDB_NOMEM, "no memory for the words of a hit");
    }
    if (!status && recall->query->mmr > 0 && record.vector_version) {
        status = read_vector(recall, entry, record.dimension, error);
    }
    return status;
}

static double likeness(const entry_t *a, const entry_t *b) {
    if (!a->vector || !b->vector || a->hit.space != b->hit.space || a->dimension != b->dimension) {
        return memdb__terms_likeness(&a->terms, &b->terms);
    }
    double dot = 0;
    for (uint32_t i = 0; i < a->dimension; i++) {
        dot += (double)a->vector[i] * b->vector[i];
    }
    return dot > 0 ? dot : 0;
}

// ------------------------------------------------------------------------------ fold, mmr

/// Sets of such different sizes share too little, whatever is in them.
static bool may_be_alike(const entry_t *a, const entry_t *b) {
    double x = (double)a->terms.size, y = (double)b->terms.size;
    return x >= MEMDB__SELECT_ALIKE * y && y >= MEMDB__SELECT_ALIKE * x;
}

static size_t fold(entry_t *entries, size_t count) {
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        size_t like = 0;
        while (like < kept && !(may_be_alike(&entries[like], &entries[i]) &&
                                memdb__terms_likeness(&entries[like].terms, &entries[i].terms) >=
                                    MEMDB__SELECT_ALIKE)) {
            like++;
        }
        if (like < kept) {
            entries[like].hit.folded++;
            continue;
        }
        entry_t entry = entries[kept]; // swapped: each one's memory is freed in the end
        entries[kept++] = entries[i];
        entries[i] = entry;
    }
    return kept;
}

static void diversify(entry_t *entries, size_t count, double mmr) {
    double most = entries[0].hit.score, range = most - entries[count - 1].hit.score;
    for (size_t i = 0; i < count; i++) {
        entries[i].relevance = range > 0 ? 1 - (most - entries[i].hit.score) / range : 1;
        entries[i].likeness = 0;
    }
    for (size_t taken = 0; taken + 1 < count; taken++) {
        size_t best = taken;
        double best_worth = -INFINITY;
        for (size_t i = taken; i < count; i++) {
            if (taken) {
                entries[i].likeness =
                    fmax(entries[i].likeness, likeness(&entries[taken - 1], &entries[i]));
            }
            double worth = (1 - mmr) * entries[i].relevance - mmr * entries[i].likeness;
            if (worth > best_worth + MEMDB__SELECT_EVEN) {
                best = i;
                best_worth = worth;
            }
        }
        entry_t entry = entries[best]; // the others keep their order
        memmove(entries + taken + 1, entries + taken, (best - taken) * sizeof *entries);
        entries[taken] = entry;
    }
}

/// Put the best of the hits into the order that fold and mmr make of them.
static memdb_status_t reorder(memdb__recall_t *recall, memdb_result_t *result,
                              memdb__recall_tally_t *tally, memdb_error_t *error) {
    const memdb_query_t *query = recall->query;
    size_t count = result->count < MEMDB__SELECT_POOL ? result->count : MEMDB__SELECT_POOL;
    entry_t *entries = memdb__allocate_zeroed(count, sizeof *entries);
    if (!entries) {
        return memdb__fail(error, MEMDB_NOMEM, "no memory to choose among %zu hits", count);
    }
    memdb_status_t status = MEMDB_OK;
    for (size_t i = 0; i < count && !status; i++) {
        entries[i].hit = result->hits[i];
        status = read_entry(recall, &entries[i], error);
    }
    size_t kept = count;
    if (!status && query->fold) {
        kept = fold(entries, count);
        tally->folded = count - kept;
    }
    if (!status && query->mmr > 0) {
        diversify(entries, kept, query->mmr);
    }
    for (size_t i = 0; i < count; i++) {
        if (!status && i < kept) {
            result->hits[i] = entries[i].hit;
        }
        memdb__buffer_deinit(&entries[i].terms);
        memdb__free(entries[i].vector);
    }
    memdb__free(entries);
    result->count = status ? result->count : kept;
    return status;
}

// ------------------------------------------------------------------------------ budget

/// A word of English is about four characters and a space, and about one token; a character of a
/// script that writes no spaces is about one.
static uint32_t estimate(memdb_bytes_t text) {
    uint64_t ascii = 0, others = 0;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = (uint8_t)text.data[i];
        ascii += byte < 0x80;
        others += byte >= 0xC0;
    }
    return (uint32_t)((ascii + 3) / 4 + others);
}

uint32_t memdb__record_tokens(const memdb__record_t *record) {
    return record->fields & MEMDB_FIELD_TOKENS ? record->tokens : estimate(record->text);
}

static memdb_status_t fill(memdb__recall_t *recall, memdb_result_t *result,
                           memdb__recall_tally_t *tally, memdb_error_t *error) {
    uint32_t left = recall->query->token_budget;
    size_t kept = 0;
    for (size_t i = 0; i < result->count && kept < recall->k; i++) {
        memdb_hit_t *hit = &result->hits[i];
        memdb__record_t record;
        uint64_t version;
        memdb_status_t status =
            memdb__read_record(&recall->snapshot->sight, hit->id, &record, &version, error);
        if (status) {
            return status;
        }
        hit->tokens = memdb__record_tokens(&record);
        if (hit->tokens > left) {
            tally->too_large++;
            continue;
        }
        left -= hit->tokens;
        result->hits[kept++] = *hit;
    }
    result->count = kept;
    return MEMDB_OK;
}

memdb_status_t memdb__recall_select(memdb__recall_t *recall, memdb_result_t *result,
                                    memdb__recall_tally_t *tally, memdb_error_t *error) {
    const memdb_query_t *query = recall->query;
    memdb_status_t status = MEMDB_OK;
    tally->found = result->count;
    if (compares(query) && result->count) {
        status = reorder(recall, result, tally, error);
    }
    if (status) {
        return status;
    }
    if (query->token_budget) {
        return fill(recall, result, tally, error);
    }
    size_t first = query->skip < result->count ? query->skip : result->count;
    size_t count = result->count - first < recall->k ? result->count - first : recall->k;
    if (recall->page.before && (first < recall->page.before ||
                                memdb__page_order(result->hits, first) != recall->page.order)) {
        return memdb__fail(error, MEMDB_EXPIRED,
                           "page: the hits before it do not come out the same any more: ask from "
                           "the first page on, in a snapshot that is held");
    }
    if (query->page.data && count == recall->k && first + count <= MEMDB__RECALL_MAX_K) {
        memdb__page_t next = {.lsn = memdb__snapshot_visible(recall->snapshot),
                              .time = recall->time,
                              .now = recall->now,
                              .question = recall->asked,
                              .order = memdb__page_order(result->hits, first + count),
                              .before = (uint32_t)(first + count)};
        memdb__page_encode(&next, result->page);
    }
    if (count) {
        memmove(result->hits, result->hits + first, count * sizeof *result->hits);
    }
    result->count = count;
    return MEMDB_OK;
}
