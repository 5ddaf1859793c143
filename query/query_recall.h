// Recall in one space: what the files of this folder share.
//
// The order of use: collect the candidates of a space, fuse their signals, add what neighbours in a
// trace lend to each other, take the best. docs/recall.md tells the formula and why each parameter
// is what it is.
#ifndef MEMDB_QUERY_RECALL_H
#define MEMDB_QUERY_RECALL_H

#include "engine/engine.h"
#include "index/atlas/atlas.h"
#include "index/lexical/lexical.h"
#include "query/query_boolean.h"
#include "query/query_explain.h"
#include "query/query_page.h"
#include "query/query_plan.h"
#include "query/query_when.h"

#define MEMDB__RECALL_DEFAULT_K 10u
#define MEMDB__RECALL_MAX_K 10000u
#define MEMDB__SELECT_POOL 500u       // hits among which mmr and fold choose
#define MEMDB__SELECT_EVEN 1e-6       // what is worth more by less than rounding makes is not
#define MEMDB__SELECT_ALIKE 0.8       // likeness from which texts are folded
#define MEMDB__RECALL_CANDIDATES 200u // by words, and by vector; k where that is more
#define MEMDB__RECALL_LISTED 1000u    // where only a time is asked for; k where that is more
#define MEMDB__RECALL_K1 1.2
#define MEMDB__RECALL_B 0.4
#define MEMDB__RECALL_RARE 1.25        // power on idf
#define MEMDB__RECALL_COVER 0.25       // power on hit.coverage
#define MEMDB__RECALL_WEIGHT_WORDS 0.5 // of the z-scores
#define MEMDB__RECALL_WEIGHT_VECTOR 0.5
#define MEMDB__RECALL_WEIGHT_GRAPH 0.5
#define MEMDB__RECALL_LINK_SEEDS 3u      // hits from which links are followed
#define MEMDB__RECALL_LINK_FLOOR 1e-3    // a smaller rank is none
#define MEMDB__RECALL_LINKED 20u         // memories that enter by their links
#define MEMDB__RECALL_LINK_TRIES 200u    // and that are asked whether they may be shown
#define MEMDB__RECALL_LINK_LIMIT 100000u // links that are followed
#define MEMDB__RECALL_FEEDBACK 10u       // hits whose words are looked for, too
#define MEMDB__RECALL_FEEDBACK_WORDS 20u
#define MEMDB__RECALL_NEXT 0.4  // share of a hit's score for the memory after it
#define MEMDB__RECALL_NEAR 0.2  // for the one before it, and those two away
#define MEMDB__RECALL_REACH 2u  // neighbours on each side
#define MEMDB__RECALL_FLAT 1e-9 // up to this deviation z is 1 for a value above 0, else 0
#define MEMDB__RECALL_IDS 4096u // ids of windows that are listed where only they are asked for
#define MEMDB__RECALL_WEIGHT_TIME 2.0 // of a memory inside a window that the question names
#define MEMDB__RECALL_TOLD_US (7 * MEMDB__DAY_US) // after a window: how long it is still told of

/// Why a candidate is one.
typedef enum memdb__candidate_state {
    MEMDB__CANDIDATE_FOUND = 0,     // by words or by vector
    MEMDB__CANDIDATE_NEIGHBOUR = 1, // entered through the trace
    MEMDB__CANDIDATE_REFUSED = 2,   // a neighbour that may not be shown
} memdb__candidate_state_t;

/// A memory that may become a hit.
typedef struct memdb__candidate {
    uint64_t id;
    uint64_t row;    // version of its vector; 0: none, or not known before has_record
    double words;    // words(d); 0 unless it is among the best by words
    double feedback; // what it has of the words of the best hits
    double vector;   // score by the space's metric, when has_vector
    double shares[MEMDB_SIGNAL_COUNT];
    memdb__candidate_state_t state;
    bool has_record, has_vector;
    uint64_t version;       // of the record
    memdb__record_t record; // when has_record; lent by the snapshot
} memdb__candidate_t;

/// Candidates with a hash table over their ids. A candidate keeps its number; pointers hold until
/// the next reserve.
typedef struct memdb__candidates {
    memdb__candidate_t *items;
    uint32_t count, capacity;
    uint32_t *slots; // number + 1; 0: free
    uint32_t mask;
} memdb__candidates_t;

/// A window in the space in hand: of time, or of sessions by name.
typedef struct memdb__span {
    int64_t from, to;              // [from, to); INT64_MIN and INT64_MAX: open
    int64_t slack;                 // by which both ends may be off
    const memdb_bytes_t *sessions; // in order of their bytes; NULL: a window of time
    size_t session_count;
} memdb__span_t;

/// What a search may show: the context of its callbacks.
typedef struct memdb__recall_gate {
    memdb__live_t live;
    const memdb__stop_t *stop;     // asked for each memory
    memdb_bytes_t session;         // size > 0: only that session
    const memdb_filter_t *filter;  // NULL: every memory passes, or every one of the set
    memdb__words_demand_t *demand; // NULL: no words are demanded
    int64_t valid_at;              // only what holds then; MEMDB_TIME_NONE: all
    int64_t from, to;              // the query's own window
    const memdb__span_t *spans;    // only memories in one of them; span_count 0: all
    size_t span_count;
    const memdb__plan_set_t *set; // NULL: all; else none outside it is shown
} memdb__recall_gate_t;

/// How the memories of a space are found that filter, session and windows let through.
typedef struct memdb__recall_plan {
    memdb__plan_kind_t forced; // by a test; else CHOOSE
    memdb__plan_kind_t kind;
    memdb__plan_set_t set; // of MEMBERS and WITHIN
    uint64_t members;      // of the set, or outside it where it is inverted
    double share;          // of what a search finds, the part that passes the rest of the filter
} memdb__recall_plan_t;

/// Mean and deviation of one signal over the candidates that were found.
typedef struct memdb__spread {
    double mean, deviation;
} memdb__spread_t;

typedef struct memdb__fusion {
    memdb__spread_t words, vector; // words: those of the question and of feedback, summed
    double feedback;               // mean
} memdb__fusion_t;

typedef struct memdb__recall {
    // Of the whole query.
    memdb_snapshot_t *snapshot;
    const memdb_query_t *query; // checked
    memdb__boolean_t question;  // its text
    memdb_query_t turned;       // the query as it goes on from its page
    memdb__page_t page;         // that page; `before` is 0 where there is none
    uint64_t asked;             // hash of the query
    int64_t time;               // decides what has expired
    uint32_t k;
    uint32_t capacity;  // candidates of one signal
    int64_t now;        // when the question is asked
    memdb__when_t when; // windows that the question names
    double weights[MEMDB_SIGNAL_COUNT];
    memdb__words_source_t *word_sources;
    size_t word_source_count;
    memdb__vector_source_t *vector_sources;
    size_t vector_source_count;
    bool notes; // a space's gates want to know what is given
    // Of the space in hand.
    memdb_space_info_t space;
    memdb__arena_t arena;
    memdb__words_query_t *words;              // the parsed question; NULL: it holds no word
    bool use_words;                           // words count in the score
    memdb__span_t spans[MEMDB__WHEN_WINDOWS]; // `when` in this space
    size_t span_count;
    bool only_windows;      // nothing is asked for but what lies in the windows
    const uint64_t *listed; // then: the ids in them, by time, MEMDB__RECALL_IDS at most
    size_t listed_count;
    const float *vector; // NULL: no vector is asked, or none is there
    memdb__recall_gate_t gate;
    memdb__recall_plan_t plan;
    memdb__candidates_t candidates;
    memdb__fusion_t fusion;    // the last one, which rates who enters later
    memdb__explain_t *explain; // of the whole query; NULL: not asked for
} memdb__recall_t;

/// As memdb_recall, with a plan that is followed wherever it can be.
memdb_status_t memdb__recall_with_plan(memdb_snapshot_t *snapshot, const memdb_query_t *query,
                                       memdb__plan_kind_t plan, memdb_result_t **result_out);

// ------------------------------------------------------------------------------ plan.c

/// Plan the search of the space in hand, as the gate stands: recall->plan, gate.set and
/// gate.filter.
memdb_status_t memdb__recall_plan(memdb__recall_t *recall, memdb_error_t *error);
/// Forget the plan: the gate asks each record for everything.
void memdb__recall_unplan(memdb__recall_t *recall);
/// How many rows or documents a search fetches unasked, so that `capacity` of them pass as a rule.
size_t memdb__recall_fetch(const memdb__recall_t *recall, size_t capacity);
/// How many candidates one signal should find.
double memdb__recall_expected(const memdb__recall_t *recall);
/// Whether so few of them pass that the search asks as it goes.
bool memdb__recall_asks(const memdb__recall_t *recall);

// ------------------------------------------------------------------------------ members.c

/// Fill recall->candidates from the members of recall->plan.set: each is read and scored.
memdb_status_t memdb__recall_collect_members(memdb__recall_t *recall, memdb_error_t *error);

// ------------------------------------------------------------------------------ candidates.c

/// Fill recall->candidates from words and vectors.
memdb_status_t memdb__recall_collect(memdb__recall_t *recall, memdb_error_t *error);
/// How the words of the space in hand are searched.
memdb__words_search_t memdb__recall_words_search(memdb__recall_t *recall);
/// Room for `more` candidates.
bool memdb__candidates_reserve(memdb__candidates_t *candidates, uint32_t more);
/// The candidate with this id, added when it is new. There is room.
memdb__candidate_t *memdb__candidates_take(memdb__candidates_t *candidates, uint64_t id,
                                           bool *new_out);
void memdb__candidates_deinit(memdb__candidates_t *candidates);
/// Read the record of a candidate, once. A memory that is gone leaves has_record false.
memdb_status_t memdb__recall_read(memdb__recall_t *recall, memdb__candidate_t *candidate,
                                  memdb_error_t *error);
/// Whether the query may show the memory of this record: its space, its expiry, its session,
/// its window, its filter and what its words demand. What goes wrong is kept in gate->live.error.
bool memdb__recall_shows(memdb__recall_gate_t *gate, memdb_space_t space, uint64_t id,
                         uint64_t version, const memdb__record_t *record);
/// Exact scores of documents by words, and of rows by vector: as the searches give them.
/// MEMDB_CORRUPT: a row is nowhere.
memdb_status_t memdb__recall_score_words(memdb__recall_t *recall, memdb__words_hit_t *hits,
                                         size_t count, memdb_error_t *error);
memdb_status_t memdb__recall_score_rows(memdb__recall_t *recall, memdb__vector_hit_t *hits,
                                        size_t count, memdb_error_t *error);
/// Take a document as a candidate. There is room.
void memdb__recall_take_words(memdb__recall_t *recall, const memdb__words_hit_t *hit);
/// Exact vector scores of the candidates from number `first` on that have a vector and no score
/// yet.
memdb_status_t memdb__recall_score_vectors(memdb__recall_t *recall, uint32_t first,
                                           memdb_error_t *error);

// ------------------------------------------------------------------------------ windows.c

/// Bring the windows of the question into the space in hand: recall->spans.
memdb_status_t memdb__recall_scope(memdb__recall_t *recall, memdb_error_t *error);
/// Widen the windows by their slack; false: none has any.
bool memdb__recall_widen(memdb__recall_t *recall);

// ------------------------------------------------------------------------------ scope.c

/// Names of sessions (memdb_bytes_t), for qsort.
int memdb__compare_sessions(const void *a, const void *b);
/// Whether the gate asks more of a record than memdb__live_t does.
bool memdb__recall_bounded(const memdb__recall_gate_t *gate);
bool memdb__recall_within(const memdb__recall_gate_t *gate, const memdb__record_t *record);
/// Where only windows are asked for: list the ids in the narrowest of them, the first ones.
memdb_status_t memdb__recall_list(memdb__recall_t *recall, memdb_error_t *error);
/// Give the candidates their share of the windows that the question names beside other things.
memdb_status_t memdb__recall_time(memdb__recall_t *recall, memdb_error_t *error);

// ------------------------------------------------------------------------------ prior.c

/// Give the candidates their shares of recency and importance, where the query weighs these.
memdb_status_t memdb__recall_prior(memdb__recall_t *recall, memdb_error_t *error);

// ------------------------------------------------------------------------------ fusion.c

/// Give every candidate its shares of words, feedback and vector; recall->fusion rates later ones
/// alike.
void memdb__recall_fuse(memdb__recall_t *recall);
/// The same for one candidate.
void memdb__recall_rate(const memdb__recall_t *recall, const memdb__fusion_t *fusion,
                        memdb__candidate_t *candidate);
/// The sum of the shares that the fusion gave.
double memdb__candidate_fused(const memdb__candidate_t *candidate);
double memdb__candidate_score(const memdb__candidate_t *candidate);

// ------------------------------------------------------------------------------ feedback.c

/// Tell of each candidate what it has of the words of the best ones. The shares are those of the
/// first fusion; fuse again.
memdb_status_t memdb__recall_feedback(memdb__recall_t *recall, memdb_error_t *error);

// ------------------------------------------------------------------------------ trace.c

/// Let each found candidate with a score above 0 lend to its neighbours in its session.
memdb_status_t memdb__recall_trace(memdb__recall_t *recall, memdb_error_t *error);
/// Refuse a neighbour that a search which met it would not have shown.
memdb_status_t memdb__recall_admit(memdb__recall_t *recall, memdb__candidate_t *candidate,
                                   memdb_error_t *error);

// ------------------------------------------------------------------------------ linked.c

/// Give the candidates their shares of the graph; some enter by it.
memdb_status_t memdb__recall_linked(memdb__recall_t *recall, memdb_error_t *error);

// ------------------------------------------------------------------------------ result.c

struct memdb_result {
    size_t count, capacity;
    memdb_hit_t *hits;
    char fewer[128];                   // "": there are k
    char page[MEMDB__PAGE_DIGITS + 1]; // "": nothing follows
    memdb__explain_t *explain;         // NULL: not asked for
    memdb_plan_t plan;
};

/// What is known of an answer that may be short.
typedef struct memdb__recall_tally {
    size_t spaces;
    uint64_t memories;  // in the spaces, expired ones too
    bool words, vector; // a space was searched so
    bool asked_words;
    bool demands;                    // words must be there, or must not
    bool windows;                    // only what lies in windows of time or of sessions
    bool only_windows;               // and all of that
    size_t found, folded, too_large; // by memdb__recall_select; found is 0 where nothing selects
} memdb__recall_tally_t;

/// Take the best k candidates of a space into the result.
memdb_status_t memdb__result_add(memdb_result_t *result, memdb__recall_t *recall,
                                 memdb_error_t *error);
/// Order the hits of all spaces.
void memdb__result_order(memdb_result_t *result);
/// Say why there are fewer than k hits.
void memdb__result_explain(memdb_result_t *result, const memdb_query_t *query,
                           const memdb__recall_tally_t *tally);

// ------------------------------------------------------------------------------ select.c

/// What a memory costs in a model's context: its tokens, or an estimate from its text.
uint32_t memdb__record_tokens(const memdb__record_t *record);
/// Refuse what cannot be selected so.
memdb_status_t memdb__select_check(const memdb_query_t *query, memdb_error_t *error);
/// How many hits of a space may matter.
size_t memdb__select_depth(const memdb_query_t *query, uint32_t k);
/// From all hits in order to those of the answer: fold, mmr, skip, budget, k.
memdb_status_t memdb__recall_select(memdb__recall_t *recall, memdb_result_t *result,
                                    memdb__recall_tally_t *tally, memdb_error_t *error);

#endif
