// What a recall did, step by step, for who asked: operators, what was thought that each would find,
// what it found, and how long it took. Nothing is noted, and no clock is read, where the
// explanation is NULL.
#ifndef MEMDB_QUERY_EXPLAIN_H
#define MEMDB_QUERY_EXPLAIN_H

#include "base/bitmap.h"
#include "query/query_filter.h"

#define MEMDB__EXPLAIN_UNKNOWN -1.0 // nothing was thought

typedef struct memdb__explain {
    memdb__buffer_t steps; // memdb_plan_step_t; while one is open `us` is when it began
    memdb__arena_t arena;  // of the texts
    uint32_t depth;        // of the next step
    bool failed;           // out of memory
} memdb__explain_t;

memdb__explain_t *memdb__explain_create(void); // NULL: out of memory
void memdb__explain_destroy(memdb__explain_t *explain);

/// Begin a step; those that begin until it ends are parts of it. Returns its number.
uint32_t memdb__explain_open(memdb__explain_t *explain, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/// The same for a test of a filter.
uint32_t memdb__explain_open_test(memdb__explain_t *explain, const memdb_filter_t *filter,
                                  uint32_t node, bool negated);
/// Name a step anew, once it is known what it was.
void memdb__explain_name(memdb__explain_t *explain, uint32_t step, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void memdb__explain_close(memdb__explain_t *explain, uint32_t step, double estimated,
                          uint64_t rows);
/// The same, with the members of a set as rows.
void memdb__explain_close_set(memdb__explain_t *explain, uint32_t step, double estimated,
                              const memdb__bitmap_t *set);

#endif
