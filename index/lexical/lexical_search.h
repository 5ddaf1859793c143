// A search in progress: what its files share.
//
// The order of use: resolve (find the space, the terms and the statistics in all sources), then
// either score given documents, or scan the sources chunk by chunk.
#ifndef MEMDB_INDEX_LEXICAL_SEARCH_H
#define MEMDB_INDEX_LEXICAL_SEARCH_H

#include "index/lexical/lexical_code.h"
#include "index/lexical/lexical_kernels.h"
#include "index/lexical/lexical_list.h"
#include "index/lexical/lexical_query.h"
#include "index/lexical/lexical_segment.h"

#include <math.h>

typedef struct memdb__search_term {
    const uint8_t *bytes;
    uint32_t size;
    uint64_t hash;
    int64_t df;        // net, over all sources
    uint64_t postings; // over all sources; 0: the term plays no part
    double weight;
    double idf; // times the weight
} memdb__search_term_t;

/// A term in a source.
typedef struct memdb__term_view {
    uint32_t count;                 // postings that may be seen; 0: none
    const memdb__list_term_t *term; // in a list
    memdb__words_record_t record;   // in a segment
    // the run that was read last
    bool has_run;
    memdb__words_runs_t runs; // what follows it
    memdb__words_run_t run;
    memdb__words_run_data_t data;
} memdb__term_view_t;

typedef struct memdb__search_source {
    const memdb__words_list_t *list;
    const memdb__words_segment_t *segment;
    memdb__words_space_t row; // of a segment
    memdb__list_view_t view;  // of a list
    uint32_t documents;       // that may be seen; 0: skip the source
    uint64_t postings;        // of all terms
    memdb__term_view_t *views;
} memdb__search_source_t;

/// The postings of a term in the chunk in hand.
typedef struct memdb__chunk_term {
    uint32_t term;           // its number
    uint32_t count, next;    // postings; the first that no block has taken
    uint32_t from;           // the first of the block in hand
    bool left_out;           // of the accumulators
    const uint16_t *offsets; // NULL: of a list
    const uint8_t *codes;
    memdb__term_view_t *view;
    uint16_t inline_offsets[MEMDB__WORDS_INLINE];
    uint8_t inline_codes[MEMDB__WORDS_INLINE];
    uint32_t inline_tf[MEMDB__WORDS_INLINE];
} memdb__chunk_term_t;

typedef struct memdb__search_best {
    float score, coverage;
    uint64_t id, version;
} memdb__search_best_t;

typedef struct memdb__search {
    memdb__words_query_t *query;
    const memdb__words_search_t *asked;
    memdb__search_term_t *terms;
    uint32_t term_count;
    memdb__search_source_t *sources;
    uint32_t source_count;
    memdb__bm25_t bm25;
    int64_t net_documents, net_tokens;
    double whole; // idf of all terms
    // scan
    const memdb__words_kernels_t *kernels;
    bool wide;    // u16 accumulators
    double unit;  // of an accumulator
    double bar;   // what a document's accumulator must reach to beat the worst of a full heap
    void *tables; // a table of 256 accumulator values for each term
    void *values; // the accumulators
    memdb__chunk_term_t *chunk_terms;
    uint32_t chunk_term_count;
    size_t lanes;      // accumulators that there are
    bool is_clear;     // all accumulators are zero
    uint32_t left_out; // the most that the terms left out add to an accumulator
    uint32_t *keys;    // candidates of one scan
    uint16_t *places;
    double guess;      // of the least score that matters
    double most_guess; // the highest that a finished chunk was scanned with
    uint64_t examined, refused;
    // the best so far: a heap whose root is the worst of them
    memdb__search_best_t *best;
    uint32_t best_count, capacity;
} memdb__search_t;

/// The accumulators of a block, which stay in a second-level cache: blocks of half the size, for
/// the first level, need more scans and were slower. A chunk is a whole number of blocks.
#define MEMDB__SEARCH_BLOCK_BYTES 65536u
/// How many candidates one scan takes.
#define MEMDB__SEARCH_ROOM 2048u
/// So many candidates are scored at once where terms were left out of the accumulators.
#define MEMDB__SEARCH_FEW 256u
/// Up to so many terms are scored in bytes.
#define MEMDB__SEARCH_NARROW_TERMS 16u

/// Find the space, terms and statistics. `search` is zeroed but for query, asked and capacity.
memdb_status_t memdb__search_resolve(memdb__search_t *search, memdb_error_t *error);
/// Add the terms of the query's prefixes. Called by resolve between finding the space and the
/// terms.
memdb_status_t memdb__search_expand(memdb__search_t *search, memdb_error_t *error);
/// Memory for a search: `size` bytes of the query's scratch, 64-byte aligned; NULL: none. Earlier
/// parts stay.
void *memdb__search_allocate(memdb__words_query_t *query, size_t size);

/// Make the run of `chunk` the view's; *found_out is false where the term has none there.
memdb_status_t memdb__view_seek(const memdb__search_source_t *source, memdb__term_view_t *view,
                                uint32_t chunk, bool *found_out, memdb_error_t *error);

#define MEMDB__SEARCH_SLACK 1e-6 // covers the roundings of float bounds and scores

/// The greatest value of an accumulator.
static inline uint32_t memdb__search_limit(const memdb__search_t *search) {
    return search->wide ? UINT16_MAX : UINT8_MAX;
}

/// Choose unit and first threshold, and make tables and buffers for a scan.
memdb_status_t memdb__search_prepare(memdb__search_t *search, memdb_error_t *error);
/// Find the terms' postings in a chunk of a source.
memdb_status_t memdb__search_open_chunk(memdb__search_t *search, memdb__search_source_t *source,
                                        uint32_t chunk, memdb_error_t *error);
/// Leave out the longest lists of the open chunk, as far as what they can add is a small part of
/// `needed`, which a document must reach.
void memdb__search_leave_out(memdb__search_t *search, uint32_t needed);
/// Add what was left out to the block in hand.
void memdb__search_add_left_out(memdb__search_t *search, uint32_t first);
/// Go to the documents [first, first + documents) of the open chunk. Blocks are opened in order.
/// Returns how many postings there are to add; UINT32_MAX: not known.
uint32_t memdb__search_open_block(memdb__search_t *search, uint32_t first, uint32_t documents);
/// Clear the accumulators and add all postings of the block in hand, but for what is left out.
/// Returns whether there were any.
bool memdb__search_add_block(memdb__search_t *search, uint32_t first, uint32_t documents);
/// The same for a block of at most MEMDB__SEARCH_ROOM postings, whose documents are found through
/// them, without a scan: those that reach `low` into search->keys, in no order; returns how many.
/// The accumulators are clear afterwards.
uint32_t memdb__search_collect(memdb__search_t *search, uint32_t first, uint32_t low);
/// Scan all sources into the heap.
memdb_status_t memdb__search_scan(memdb__search_t *search, memdb_error_t *error);
/// Exact score of document `number` of a source.
memdb_status_t memdb__search_score(memdb__search_t *search, memdb__search_source_t *source,
                                   uint32_t number, double *score_out, double *held_out,
                                   memdb_error_t *error);

/// Offer a document to the heap: filter, liveness and order decide.
/// `held` is the idf of the terms that it has.
void memdb__search_offer(memdb__search_t *search, double score, double held, uint64_t id,
                         uint64_t version);
static inline bool memdb__search_full(const memdb__search_t *search) {
    return search->best_count == search->capacity;
}

/// What the accumulator of a document with this score must at least hold, but for roundings.
///
/// With S the sum of idf * weight, C the coverage and c its exponent, a score is S * C^c. Its power
/// of p = 1 / (1 + c) is S^p * C^(1 - p), which is concave and of degree 1, so it lies below its
/// tangent p * S / t^(1 - p) + (1 - p) * C * t^p for every t: a sum over the terms again. Tight
/// where S / C = t; as a weight is about 1 in a document of average length, t is the idf of the
/// whole question. Without coverage this is the score itself.
static inline double memdb__search_key(const memdb__search_t *search, double score) {
    return search->bm25.cover == 0 ? score : pow(score, 1 / (1 + search->bm25.cover));
}

/// A score with the part of the question that the document covers; never above `score`.
static inline double memdb__search_covered(const memdb__search_t *search, double score,
                                           double held) {
    if (search->bm25.cover == 0) {
        return score;
    }
    return score * pow(held < search->whole ? held / search->whole : 1, search->bm25.cover);
}

/// The share of one term in an exact score; `norm` is a + b * length.
static inline double memdb__search_share(const memdb__search_t *search,
                                         const memdb__search_term_t *term, double tf, double norm) {
    return term->idf * tf * search->bm25.gain / (tf + norm);
}

#endif
