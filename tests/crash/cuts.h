// Power cuts: from what a run recorded, the states that a cut may leave, each opened and compared.
//
// A trace is gone through once. At random moments the power is cut, in the midst of a durable write
// too; what a cut leaves is written to a directory, checked (run_check), and now and then a new run
// goes on from there, is recorded, and is cut in its turn: in recovery and after it.
#ifndef MEMDB_TESTS_CUTS_H
#define MEMDB_TESTS_CUTS_H

#include "tests/crash/run.h"

#define MOST_POWER_CUTS 3 // one after the other

typedef struct cuts {
    char root[160];   // scratch directory
    uint64_t seed;    // of all choices
    uint64_t most;    // states that are wanted
    uint64_t states;  // checked
    uint64_t moments; // at which the power was cut, of all traces
    uint64_t lives;   // runs recorded, the first one and those after a cut
    bool failed;
    bool keep;       // a state that fails is kept for a replay
    char what[1200]; // the failure
} cuts_t;

/// Record runs of one kind and cut them until there are `most` states, or one fails.
void cuts_of_runs(cuts_t *cuts, run_kind_t kind);
/// Cut one trace, of a run that began with the history `before`. `most` is the limit here, too.
///
/// depth  this is the power cut number `depth` in a row, from 1. At MOST_POWER_CUTS none follows.
void cuts_of_trace(cuts_t *cuts, run_kind_t kind, const history_t *before, const trace_t *trace,
                   uint64_t count, uint32_t depth);
/// Record one life; what the trace replays to must be what it left. Else it fails.
bool cuts_record(cuts_t *cuts, run_t *run, uint64_t seed, uint32_t steps, trace_t *trace_out);

/// Check a state that was kept. False: it fails again, and why.
bool cuts_replay(const char *path, char what_out[400]);

#endif
