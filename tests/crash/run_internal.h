// Between run.c, run_many.c and run_check.c.
#ifndef MEMDB_TESTS_RUN_INTERNAL_H
#define MEMDB_TESTS_RUN_INTERNAL_H

#include "tests/crash/run.h"

/// Always false: describes the failure.
bool run_failed(char what_out[400], memdb_t *db, memdb_status_t status, const char *what);
bool run_open(const run_t *run, memdb_t **db_out, char what_out[400]);
bool run_count(const run_t *run, memdb_t *db, uint32_t writer, uint32_t *count_out,
               char what_out[400]);
bool run_begin(run_t *run, memdb_t *db, uint32_t writer, content_t *content_out,
               char what_out[400]);
bool run_commit(run_t *run, memdb_t *db, uint32_t writer, content_t *content, choice_t *choice,
                char what_out[400]);
bool run_abort(memdb_t *db, choice_t *choice, char what_out[400]);
bool run_live_threads(run_t *run, choice_t *choice, uint32_t steps, char what_out[400]);
/// One process, killed in its creation or after a few commits, or none of these.
bool run_live_killed(run_t *run, choice_t *choice, char what_out[400]);
bool run_live_processes(run_t *run, choice_t *choice, uint32_t steps, char what_out[400]);

#endif
