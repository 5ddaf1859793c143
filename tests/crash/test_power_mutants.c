// The test of the test of power cuts: of recordings that are changed as if the engine had left out
// a sync, or had made two steps in the wrong order (mutants.h), some state must be found wrong. And
// recordings of one seed are equal, so that a seed that fails, fails again.
//
//   MEMDB_SEED  the seed; by default the time
#include "tests/crash/cuts.h"
#include "tests/crash/mutants.h"
#include "tests/lib/database.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MUTANT_STEP 4 // slow: some of them, by the seed
#else
#define MUTANT_STEP 1
#endif

#define STEPS 60 // of a recording
#define MUTANT_STATES 8000
#define MUTANT_STATES_OF_RUN 200

static uint64_t first_seed;

static void make_root(cuts_t *cuts) {
    const char *parent = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    snprintf(cuts->root, sizeof cuts->root, "%.100s/memdb-power-XXXXXX", parent);
    assert_non_null(mkdtemp(cuts->root));
}

/// Record a run of one thread.
static run_t *record(cuts_t *cuts, run_kind_t kind, uint64_t seed, history_t *before_out,
                     trace_t *trace_out) {
    char home[200];
    snprintf(home, sizeof home, "%s/run", cuts->root);
    run_clear(home);
    run_t *run = run_create(kind, seed, home);
    *before_out = run->history;
    if (!cuts_record(cuts, run, seed, STEPS, trace_out)) {
        fail_msg("%s", cuts->what);
    }
    return run;
}

/// Cut mutants of recordings until one state is wrong.
static void find_mutant(mutant_t mutant) {
    cuts_t cuts = {.seed = first_seed + 1000 * (uint64_t)mutant, .most = MUTANT_STATES};
    run_kind_t kind = mutant_needs_os(mutant) ? RUN_OS : RUN_FULL;
    size_t changed = 0;
    make_root(&cuts);
    while (!cuts.failed && cuts.states < cuts.most) {
        trace_t trace, mutated;
        history_t before;
        size_t here;
        run_t *run = record(&cuts, kind, cuts.seed + cuts.lives, &before, &trace);
        mutant_make(mutant, &trace, &mutated, &here);
        cuts_of_trace(&cuts, kind, &before, &mutated, MUTANT_STATES_OF_RUN, MOST_POWER_CUTS);
        changed += here;
        mutant_free(&mutated);
        trace_free(&trace);
        run_destroy(run);
    }
    remove_tree(cuts.root);
    if (!cuts.failed) {
        fail_msg("%s: not found in %" PRIu64 " states, %zu events changed", mutant_name(mutant),
                 cuts.states, changed);
    }
    printf("%s: found in %" PRIu64 " states %s\n", mutant_name(mutant), cuts.states,
           strstr(cuts.what, "at event"));
    fflush(stdout);
}

static void test_power_cuts_show_each_planted_fault(void **state) {
    (void)state;
    for (uint64_t mutant = first_seed % MUTANT_STEP; mutant < MUTANTS; mutant += MUTANT_STEP) {
        find_mutant((mutant_t)mutant);
    }
}

/// Whether two events are the same, but for what processes store through mappings.
static bool same_event(const event_t *left, const event_t *right) {
    bool bytes = left->kind == EVENT_WRITE && !left->zeros;
    return left->kind == right->kind && left->node == right->node &&
           left->target == right->target && left->offset == right->offset &&
           left->size == right->size && left->value == right->value &&
           left->durable == right->durable && strcmp(left->name, right->name) == 0 &&
           strcmp(left->to_name, right->to_name) == 0 &&
           (!bytes || memcmp(left->bytes, right->bytes, left->size) == 0);
}

static void test_recordings_of_one_seed_are_equal(void **state) {
    (void)state;
    cuts_t cuts = {.seed = first_seed};
    trace_t traces[2];
    history_t before;
    make_root(&cuts);
    for (int i = 0; i < 2; i++) {
        run_destroy(record(&cuts, RUN_FULL, first_seed, &before, &traces[i]));
    }
    size_t at[2] = {0, 0};
    while (at[0] < traces[0].count && at[1] < traces[1].count) {
        for (int i = 0; i < 2; i++) {
            while (at[i] < traces[i].count && traces[i].events[at[i]]->mapped) {
                at[i]++;
            }
        }
        bool ended = at[0] == traces[0].count || at[1] == traces[1].count;
        if (!ended && !same_event(traces[0].events[at[0]++], traces[1].events[at[1]++])) {
            fail_msg("events %zu and %zu differ", at[0] - 1, at[1] - 1);
        }
    }
    assert_int_equal(traces[0].count - at[0], traces[1].count - at[1]);
    trace_free(&traces[0]);
    trace_free(&traces[1]);
    remove_tree(cuts.root);
}

int main(void) {
    if (access("/dev/shm", W_OK) == 0) {
        setenv("TMPDIR", "/dev/shm", 0); // nothing here needs a disk
    }
    const char *given = getenv("MEMDB_SEED");
    first_seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
    printf("seed=%" PRIu64 "\n", first_seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recordings_of_one_seed_are_equal),
        cmocka_unit_test(test_power_cuts_show_each_planted_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
