// The planner of filtered recall: how the memories are found that a filter, or a session, lets
// through.
//
// The attribute indexes of a space, and its places in time and in sessions, answer tests of a
// filter with sets of ids. From those that are worth their walk a set is made that holds every
// memory that passes: exactly these, or some more, which are then looked at one by one. What is
// done with it is one of memdb__plan_kind_t, whichever should cost least (docs/planner.md). The
// answer is the same in each case.
//   plan_leaf.c  tests as ranges of keys      plan_set.c  estimates, and the set
//   plan.c       the choice                   members.c   the scan of members
//   explain.c    what was done, for people          plan_list.c  listings
#ifndef MEMDB_QUERY_PLAN_H
#define MEMDB_QUERY_PLAN_H

#include "engine/engine.h"
#include "index/lexical/lexical.h"
#include "query/query_filter.h"

typedef enum memdb__plan_kind {
    MEMDB__PLAN_CHOOSE,  // of the next three the cheapest
    MEMDB__PLAN_MEMBERS, // read and score each member of the set
    MEMDB__PLAN_WITHIN,  // search words and vectors within the set
    MEMDB__PLAN_AFTER,   // search all, and look at what is found
} memdb__plan_kind_t;

/// Ids of memories.
typedef struct memdb__plan_set {
    memdb__bitmap_t ids;
    bool inverted; // all but these
} memdb__plan_set_t;
static inline bool memdb__plan_set_has(const memdb__plan_set_t *set, uint64_t id) {
    return memdb__bitmap_has(&set->ids, id) != set->inverted;
}

/// What is thought of a part of a filter before anything is walked.
typedef struct memdb__plan_estimate {
    bool answerable; // there is a set that holds all that pass
    bool exact;      // and no other
    bool chosen;     // it is to be walked: of a child of what all must be true
    double rows;     // members of the set
    double ids;      // of a test: in its ranges
    double walk;     // entries that are walked for it, and what it costs to find them
    double rest;     // the part of the members that pass
} memdb__plan_estimate_t;

/// What else a query may be bounded by.
typedef enum memdb__plan_scope {
    MEMDB__PLAN_SESSION,
    MEMDB__PLAN_WINDOW, // the query's own
    MEMDB__PLAN_SPANS,  // windows that its text names
    MEMDB__PLAN_DEMAND, // words that it demands; their ids come from the index of words
    MEMDB__PLAN_SCOPES,
} memdb__plan_scope_t;

typedef struct memdb__planner {
    const memdb__sight_t *sight;
    memdb_space_t space;
    const memdb_filter_t *filter;          // or NULL
    const struct memdb__recall_gate *gate; // session and windows
    memdb__words_demand_t *demand;         // or NULL
    const memdb__words_search_t *words;    // of the space, where there is a demand
    memdb__attributes_t attributes;
    double memories;                   // of the space, about
    memdb__plan_estimate_t *estimates; // of each node of the filter
    memdb__plan_estimate_t scope[MEMDB__PLAN_SCOPES], whole;
    struct memdb__explain *explain; // or NULL
    memdb_error_t *error;
} memdb__planner_t;

// Costs in nanoseconds, as measured by bench/recall --explain (docs/planner.md). Only their ratios
// matter, and only to speed.
#define MEMDB__COST_WALK 14.0      // an entry of an index
#define MEMDB__COST_LOOK 250.0     // a record: found, read, and asked for a filter
#define MEMDB__COST_ROW 11.0       // a row that is scored in its turn, with 256 dimensions
#define MEMDB__COST_JUMP 20.0      // one that is scored between others that are passed over
#define MEMDB__COST_TEST 1.0       // whether a row is in a set
#define MEMDB__COST_FIND_ROW 100.0 // a row that is found by its id
#define MEMDB__COST_WORDS 250.0    // the words of a document that is found and scored alone
#define MEMDB__COST_MATCH 1000.0   // whether a text holds the words that are demanded
#define MEMDB__COST_SEARCH 1.8     // a search of words, for each memory of the space

// ------------------------------------------------------------------------------ plan_leaf.c

/// A test, or its contrary, as ranges of keys.
typedef struct memdb__plan_leaf {
    const memdb__filter_node_t *node;
    const memdb_value_t *values;
    uint32_t value_count;
    bool negated;
    enum { MEMDB__PLAN_BY_INDEX, MEMDB__PLAN_BY_SESSION, MEMDB__PLAN_BY_TIME } by;
    uint32_t number;              // of the index
    memdb__attribute_type_t type; // of the values; 0: there is none but nulls
    bool inverted;                // the ranges hold those that do not pass
    bool exact;
} memdb__plan_leaf_t;
/// False: nothing answers it.
bool memdb__plan_leaf_find(const memdb__planner_t *planner, const memdb__filter_node_t *node,
                           bool negated, memdb__plan_leaf_t *leaf_out);
/// Call `visit` for each range of the leaf.
typedef memdb_status_t (*memdb__plan_visit_fn)(void *context, const memdb__key_range_t *range);
memdb_status_t memdb__plan_leaf_each(const memdb__planner_t *planner,
                                     const memdb__plan_leaf_t *leaf, memdb__plan_visit_fn visit,
                                     void *context);

// ------------------------------------------------------------------------------ scope.c

/// Whether a query is bounded so, and (but for a demand) by which ranges of keys: hints, as those
/// of times and sessions are.
bool memdb__recall_scope_has(const struct memdb__recall_gate *gate, memdb__plan_scope_t part);
memdb_status_t memdb__recall_scope_each(const struct memdb__recall_gate *gate, memdb_space_t space,
                                        memdb__plan_scope_t part, memdb__plan_visit_fn visit,
                                        void *context);

// ------------------------------------------------------------------------------ plan_set.c

/// Estimate the filter and the session of the planner, as planner->whole.
memdb_status_t memdb__plan_estimate(memdb__planner_t *planner, memdb__arena_t *arena);
/// Make the set; planner->whole is answerable. The caller releases the set's ids on every path.
memdb_status_t memdb__plan_make_set(memdb__planner_t *planner, memdb__plan_set_t *set_out);

// ------------------------------------------------------------------------------ plan_list.c

/// What a listing knows of the set that passes its filter. Zeroed storage: nothing yet.
typedef struct memdb__plan_sieve {
    memdb__plan_set_t set;
    bool made;
    uint64_t refused, patience; // memories; at so many a set is considered
    uint64_t operations;        // of the transaction when the set was made
} memdb__plan_sieve_t;
/// Whether a memory may pass, for all that is known.
bool memdb__plan_sieve_has(const memdb__plan_sieve_t *sieve, const memdb_snapshot_t *snapshot,
                           uint64_t id);
/// A memory was read, and refused.
memdb_status_t memdb__plan_sieve_refused(memdb__plan_sieve_t *sieve,
                                         const memdb_snapshot_t *snapshot, memdb_space_t space,
                                         const memdb_filter_t *filter, memdb_error_t *error);
void memdb__plan_sieve_deinit(memdb__plan_sieve_t *sieve);

#endif
