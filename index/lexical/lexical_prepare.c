// Search: what a scan needs before its first chunk: the unit of the accumulators, the first
// threshold, and the tables.
//
// A table gives, for each code, its bound in units, rounded up (of what is added, see
// memdb__search_key). The unit only decides how fine the
// bounds are: sums saturate, and a saturated sum is always a candidate.
#include "index/lexical/lexical_search.h"

// The place of the rank that serves `capacity` results; MEMDB__WORDS_RANKS: none does.
static uint32_t rank_for(uint32_t capacity) {
    uint32_t rank = 1;
    while (rank < MEMDB__WORDS_RANKS && memdb__words_ranks[rank] < capacity) {
        rank++;
    }
    return rank;
}

// The greatest weight of a term in a source, about; and a guess at the score of its k-th best
// posting.
static void estimate(memdb__search_t *search, const memdb__search_source_t *source, uint32_t term,
                     const float *bounds, float *greatest) {
    const memdb__term_view_t *view = &source->views[term];
    if (view->count == 0) {
        return;
    }
    float weight = 0;
    if (source->list) {
        uint32_t length = (uint32_t)(search->bm25.average_length / 2) + 1;
        weight = bounds[memdb__code_of(1, length)];
    } else if (view->record.runs == 0) {
        for (uint32_t i = 0; i < view->count; i++) {
            float bound = bounds[view->record.codes[i]];
            weight = bound > weight ? bound : weight;
        }
    } else {
        uint32_t rank = rank_for(search->capacity);
        weight = bounds[view->record.best[0]];
        if (rank < MEMDB__WORDS_RANKS && view->count >= memdb__words_ranks[rank]) {
            double idf = search->terms[term].idf;
            double least = memdb__search_covered(
                search, idf * memdb__bm25_least(&search->bm25, view->record.best[rank]), idf);
            search->guess = least > search->guess ? least : search->guess;
        }
    }
    *greatest = weight > *greatest ? weight : *greatest;
}

static void fill_table(memdb__search_t *search, uint32_t term, const float *bounds) {
    float factor = (float)(search->terms[term].idf / search->unit * (1 + MEMDB__SEARCH_SLACK));
    if (search->wide) {
        uint16_t *table = (uint16_t *)search->tables + (size_t)term * MEMDB__CODE_COUNT;
        for (uint32_t i = 0; i < MEMDB__CODE_COUNT; i++) {
            float value = bounds[i] * factor;
            table[i] = (uint16_t)(value < 65534 ? (int32_t)value + 1 : 65535);
        }
        return;
    }
    uint8_t *table = (uint8_t *)search->tables + (size_t)term * MEMDB__CODE_COUNT;
    for (uint32_t i = 0; i < MEMDB__CODE_COUNT; i++) {
        float value = bounds[i] * factor;
        value = value < 254 ? value : 254;
        table[i] = (uint8_t)((int32_t)value + 1);
    }
}

// Bounds of what one unit of idf adds to an accumulator, by code.
static void make_bounds(const memdb__search_t *search, float bounds[MEMDB__CODE_COUNT]) {
    memdb__bm25_bounds(&search->bm25, bounds);
    if (search->bm25.cover == 0) {
        return;
    }
    double p = 1 / (1 + search->bm25.cover), scale = pow(search->whole, p - 1);
    for (uint32_t i = 0; i < MEMDB__CODE_COUNT; i++) {
        bounds[i] = (float)((p * bounds[i] + (1 - p)) * scale);
    }
}

memdb_status_t memdb__search_prepare(memdb__search_t *search, memdb_error_t *error) {
    float bounds[MEMDB__CODE_COUNT];
    double sum = 0;
    uint32_t used = 0, most_documents = 0;
    make_bounds(search, bounds);
    for (uint32_t i = 0; i < search->term_count; i++) {
        float greatest = 0;
        for (uint32_t s = 0; s < search->source_count; s++) {
            estimate(search, &search->sources[s], i, bounds, &greatest);
        }
        sum += search->terms[i].idf * greatest;
        used += search->terms[i].postings > 0;
    }
    for (uint32_t s = 0; s < search->source_count; s++) {
        uint32_t documents = search->sources[s].documents;
        most_documents = documents > most_documents ? documents : most_documents;
    }
    search->wide = used > MEMDB__SEARCH_NARROW_TERMS;
    uint32_t limit = memdb__search_limit(search);
    search->unit = sum / (limit - (used < limit / 2 ? used : limit / 2));
    size_t lane = search->wide ? 2 : 1;
    size_t block = MEMDB__SEARCH_BLOCK_BYTES / lane;
    size_t lanes = most_documents < block ? most_documents : block;
    lanes = (lanes + 63) & ~(size_t)63;
    search->lanes = lanes;
    search->is_clear = false;
    size_t table_bytes = lane * search->term_count * MEMDB__CODE_COUNT;
    size_t key_bytes = 2 * MEMDB__SEARCH_ROOM * sizeof *search->keys;
    size_t place_bytes = MEMDB__SEARCH_ROOM * sizeof *search->places;
    size_t term_bytes = search->term_count * sizeof *search->chunk_terms;
    uint8_t *part = memdb__search_allocate(search->query, table_bytes + lane * lanes + key_bytes +
                                                              place_bytes + term_bytes);
    if (!part) {
        return memdb__fail(error, MEMDB_NOMEM, "no memory for a search of words");
    }
    search->values = part; // sizes before the last are multiples of 64
    search->tables = part += lane * lanes;
    search->keys = (uint32_t *)(void *)(part += table_bytes);
    search->places = (uint16_t *)(void *)(part += key_bytes);
    search->chunk_terms = (memdb__chunk_term_t *)(void *)(part + place_bytes);
    for (uint32_t i = 0; i < search->term_count; i++) {
        if (search->terms[i].postings) {
            fill_table(search, i, bounds);
        }
    }
    search->kernels = memdb__words_kernels();
    return MEMDB_OK;
}
