// The workers of one store, threads or processes, that work in slices of time.
//
// What a device and a machine give changes from second to second by more than stores differ. So
// the stores of a comparison are all open at once, each with workers of its own that wait, and take
// short turns; a ratio is made of two turns of one round, and the middle of many ratios counts.
#ifndef MEMDB_BENCH_CREW_H
#define MEMDB_BENCH_CREW_H

#include "bench/stores.h"

#define CREW_WORKERS 65
#define CREW_ROUNDS 99
#define CREW_FIGURES 3
#define CREW_SIDES 8

typedef struct crew crew_t;
typedef struct crew_plan crew_plan_t;

typedef struct crew_worker {
    crew_t *crew;
    const crew_plan_t *plan;
    void *store, *session; ///< of the worker's own process
    unsigned number;
    uint64_t state;      ///< for the work: 0 at first
    bench_times_t times; ///< of this slice
    double finished;
} crew_worker_t;

/// How a crew is made.
struct crew_plan {
    const store_api_t *api;
    store_options_t options;
    unsigned workers;
    bool processes;
    const char *at;
    /// Fills the store before the workers begin; may be NULL.
    void (*load)(void *session, const crew_plan_t *plan);
    /// One piece of work, whose time is taken.
    void (*work)(crew_worker_t *worker);
    uint64_t records; ///< for both
    uint32_t batch;
};

/// How long a worker's pieces of work took in the last slice.
const bench_times_t *crew_times(const crew_t *crew, unsigned number);

/// A figure of each round, rising.
typedef struct crew_rounds {
    unsigned count;
    double sorted[CREW_ROUNDS];
} crew_rounds_t;
/// The one that `part` (0 to 1) of them do not pass.
double crew_rounds_at(const crew_rounds_t *rounds, double part);

/// One store among those that are compared.
typedef struct crew_side {
    crew_plan_t plan;
    crew_t *crew;
    double figures[CREW_FIGURES]; ///< of this round
    crew_rounds_t rounds[CREW_FIGURES];
    crew_rounds_t ratios[CREW_FIGURES]; ///< the first side's figure over this one's
    bench_times_t times[2];             ///< of all rounds, if `measure` gathers them
} crew_side_t;

/// Open all stores, each in a folder of its own, and let the crews take turns: a slice each to warm
/// up, then rounds, each second one in the opposite order. After each slice `measure` takes the
/// side's figures; it lasted so many seconds.
void crew_compare(crew_side_t *sides, unsigned count, unsigned rounds, double seconds,
                  void (*measure)(crew_side_t *side, double passed));
/// The middle ratio, and the two that a half of them lies between; "" without any.
const char *crew_ratio(const crew_side_t *side, unsigned figure, char *text, size_t size);

#endif
