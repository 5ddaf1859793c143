/// Recall: ranking the memories of spaces by everything that is known of them. Include memdb.h.
#ifndef MEMDB_INCLUDE_MEMDB_RECALL_H
#define MEMDB_INCLUDE_MEMDB_RECALL_H

#include "memdb_memory.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum memdb_recall_mode {
    MEMDB_RECALL_AUTO = 0,  ///< all signals that the query has
    MEMDB_RECALL_WORDS = 1, ///< words alone: BM25 and coverage; nothing else
    MEMDB_RECALL_VECTOR = 2 ///< vectors alone: exact order by the space's metric
} memdb_recall_mode_t;

/// The signals of recall; a hit carries each one's share of its score.
typedef enum memdb_signal {
    MEMDB_SIGNAL_WORDS = 0,
    MEMDB_SIGNAL_VECTOR = 1,
    MEMDB_SIGNAL_TRACE = 2,
    MEMDB_SIGNAL_TIME = 3,    ///< its time, or session, is one that the question names
    MEMDB_SIGNAL_RECENCY = 4, ///< how young it is at `now`; weight 0 unless the query has weights
    MEMDB_SIGNAL_IMPORTANCE = 5, ///< its importance; the same
    MEMDB_SIGNAL_FEEDBACK = 6,   ///< words that the best memories of a first look have in common
    MEMDB_SIGNAL_GRAPH = 7,      ///< how closely it is linked to the best memories, and to `seeds`
    MEMDB_SIGNAL_COUNT = 8
} memdb_signal_t;

MEMDB_API const char *memdb_signal_name(memdb_signal_t signal);

typedef struct memdb_query {
    size_t size;
    const memdb_space_t *spaces; ///< one or more
    size_t space_count;
    memdb_bytes_t text;  ///< words; pre* is a prefix
    const float *vector; ///< optional
    uint32_t dimension;
    memdb_bytes_t session; ///< size > 0: only memories of this session
    uint32_t k;            ///< default 10, at most 10,000
    memdb_recall_mode_t mode;
    double weights[MEMDB_SIGNAL_COUNT]; ///< used when has_weights
    bool has_weights;
    bool phrase_required; ///< each "quoted phrase" of the text must occur as such, and each prefix
    const memdb_filter_t *filter; ///< only memories that pass are hits
    const uint64_t *seeds; ///< memories of the spaces that the question is about: what is linked
                           ///< to them counts (docs/recall.md, graph)
    size_t seed_count;     ///< at most MEMDB_MAX_SEEDS
    bool explain;          ///< keep what was done, for memdb_result_plan
    int64_t now; ///< the moment of the question, for "last week" in it; 0: the snapshot's time,
                 ///< of a transaction the present
    bool has_window;
    int64_t window_from, window_to; ///< used when has_window: only memories whose time lies in
                                    ///< [from, to); MEMDB_TIME_NONE: open on that side
    int64_t valid_at; ///< only memories that are valid then; 0: `now`. MEMDB_TIME_NONE: all
    uint32_t skip; ///< leave out the first so many: in one snapshot, the next page (docs/recall.md)
    bool fold;     ///< hits whose texts share four fifths of their words count as one, the best
    double mmr;    ///< 0 to 1: how much likeness to the hits before it counts against a hit; 0: off
    uint32_t token_budget; ///< above 0: the best that cost so much at most together; without skip
    bool boolean; ///< in the text +word must occur and -word must not; so may a "phrase", a prefix,
                  ///< and (a group), of which any counts (docs/recall.md)
    memdb_bytes_t page; ///< with data, "" too: the result tells its page (memdb_result_page); with
                        ///< one that a result told: go on where that ended
} memdb_query_t;

typedef struct memdb_hit {
    uint64_t id;
    memdb_space_t space;
    double score;
    double signals[MEMDB_SIGNAL_COUNT]; ///< shares; their sum is the score
    uint32_t folded;                    ///< hits that were folded into this one
    uint32_t tokens; ///< where a budget is given: what it costs, or an estimate from its text
} memdb_hit_t;

/// Rank the memories of the given spaces; best first, ties by id. A memory that expired before the
/// snapshot's time is not found.
///
/// Ownership   release with memdb_result_free; it does not depend on the snapshot.
/// Errors      MEMDB_INVALID    nothing is asked, NaN, or another dimension than the space's.
///             MEMDB_NOT_FOUND  a space is not there, or a seed in none of them.
MEMDB_API memdb_status_t memdb_recall(memdb_snapshot_t *snapshot, const memdb_query_t *query,
                                      memdb_result_t **result_out);
MEMDB_API size_t memdb_result_count(const memdb_result_t *result);
MEMDB_API const memdb_hit_t *memdb_result_hit(const memdb_result_t *result, size_t number);
/// Why there are fewer than k hits; NULL when there are k. Lent until the result is freed.
MEMDB_API const char *memdb_result_fewer(const memdb_result_t *result);
/// Where the result ended, as a text of digits: the same query with it as its `page` gives the next
/// k hits, without one that came before and without leaving one out, whatever was committed
/// meanwhile. NULL: nothing follows, or the query asked for no page. Lent until the result is
/// freed.
///
/// A page goes on in the snapshot of the first one, or in one as of its position (memdb_page_lsn),
/// as far back as that can be read (docs/history.md).
///
/// Errors      of the memdb_recall that goes on:
///             MEMDB_INVALID  the page is damaged, or of another query or position.
///             MEMDB_EXPIRED  the hits before do not come out the same: as of a position, words are
///                            weighed by statistics that later commits may have changed. Hold the
///                            snapshot of the first page to be safe from that.
MEMDB_API const char *memdb_result_page(const memdb_result_t *result);
/// The position that the first page saw. MEMDB_INVALID: it is no page.
MEMDB_API memdb_status_t memdb_page_lsn(memdb_bytes_t page, uint64_t *lsn_out);

/// One step of what a recall did.
typedef struct memdb_plan_step {
    const char *what; ///< "plan: search within the members", "ids by index: kind = 'fact'"
    uint32_t depth;   ///< it is a part of the last step before it with a smaller depth
    double estimated; ///< rows, before it ran; negative: there was no estimate
    uint64_t rows;    ///< what it gave
    double us;        ///< how long it took
} memdb_plan_step_t;

typedef struct memdb_plan {
    size_t size;
    const memdb_plan_step_t *steps; ///< in the order in which they began
    size_t step_count;
    double weights[MEMDB_SIGNAL_COUNT]; ///< of the signals
} memdb_plan_t;

/// What was done for a result (docs/planner.md); NULL when the query did not ask for it. Lent until
/// the result is freed.
MEMDB_API const memdb_plan_t *memdb_result_plan(const memdb_result_t *result);
MEMDB_API void memdb_result_free(memdb_result_t *result);

// ---------------------------------------------------------------------------------- snippets

/// Bytes of a text.
typedef struct memdb_mark {
    size_t offset, size;
} memdb_mark_t;

typedef struct memdb_snippet_options {
    size_t size;
    memdb_tokenizer_kind_t tokenizer; ///< of the space
    memdb_bytes_t question;           ///< as memdb_query_t has it
    bool boolean;                     ///< as memdb_query_t has it
    size_t max_bytes;                 ///< of the piece, at least 16; 0: MEMDB_SNIPPET_BYTES
} memdb_snippet_options_t;
#define MEMDB_SNIPPET_BYTES 240

/// A piece of a text.
typedef struct memdb_snippet {
    size_t size;
    size_t from, to;   ///< its bytes, [from, to): whole characters, as a rule whole words
    uint32_t words;    ///< different words of the question in it
    size_t mark_count; ///< their places
} memdb_snippet_t;

/// Find the piece of `text` that has the most different words of the question, of these the one
/// that has them closest together, of these the first; with what stands around it. Words are found
/// as recall finds them: by their stems, without stop words, prefixes too. Without any it is the
/// beginning of the text.
///
/// marks    receives the places of the words in the piece, rising and apart; offsets are those of
///          `text`. Room for max_bytes / 2 + 1 is always enough; those without room are left out.
/// Threads  any; no database is needed.
/// Errors   MEMDB_INVALID  a text is not UTF-8; a boolean question is malformed.
MEMDB_API memdb_status_t memdb_snippet_find(const memdb_snippet_options_t *options,
                                            memdb_bytes_t text, memdb_mark_t *marks,
                                            size_t mark_capacity, memdb_snippet_t *snippet_out,
                                            memdb_error_t *error_out);

#ifdef __cplusplus
}
#endif
#endif
