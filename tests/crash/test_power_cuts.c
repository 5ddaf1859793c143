// Power cuts: of runs of every kind, states that a cut may leave are rebuilt from a recording of
// all file-system calls (recorder.h, disk.h), opened, and compared with the history (history.h).
//
// What must hold of each: it opens; verify is content; every transaction that was acknowledged at
// full, or that a reader of a full database saw, is there; each is whole or absent; none is there
// without all before it; none that was lost comes back; texts, vectors, links, blobs, spaces,
// counts and recall are those of the history; and it can be written to, and cut again.
// test_power_mutants shows that this test is not blind.
//
//   MEMDB_SEED            the first seed; by default the time
//   MEMDB_POWER_SEEDS     how many seeds, one after the other; kinds of runs take turns
//   MEMDB_POWER_STATES    states, of all seeds together
//   MEMDB_POWER_KIND      one kind of runs alone (run.h), by its number
//   MEMDB_POWER_KEEP      where a state that fails is kept; --replay DIRECTORY checks it again
#include "base/uring.h"
#include "tests/crash/cuts.h"
#include "tests/lib/database.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STATES 140
#define CALL_STEP 5
#else
#define STATES 700
#define CALL_STEP 1
#endif

#define CREATION_CALLS 50

static uint64_t first_seed;

static uint64_t number_of(const char *name, uint64_t otherwise) {
    const char *given = getenv(name);
    return given ? strtoull(given, NULL, 0) : otherwise;
}

static void make_root(cuts_t *cuts) {
    const char *parent = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    snprintf(cuts->root, sizeof cuts->root, "%.100s/memdb-power-XXXXXX", parent);
    assert_non_null(mkdtemp(cuts->root));
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/// Where the kernel refuses io_uring, runs write as others do.
static run_kind_t kind_of(uint64_t number) {
    run_kind_t kind = (run_kind_t)(number % RUN_KINDS);
    memdb_error_t error = {0};
    memdb__uring_t *ring = NULL;
    if (kind != RUN_URING || memdb__uring_create(&ring, &error) == MEMDB_OK) {
        memdb__uring_destroy(ring);
        return kind;
    }
    printf("without io_uring: %s\n", error.message);
    return RUN_FULL;
}

static void test_power_cuts_lose_nothing_that_was_promised(void **state) {
    (void)state;
    uint64_t seeds = number_of("MEMDB_POWER_SEEDS", RUN_KINDS);
    uint64_t wanted = number_of("MEMDB_POWER_STATES", STATES), states = 0, lives = 0;
    double began = seconds();
    for (uint64_t i = 0; i < seeds; i++) {
        run_kind_t kind = kind_of(number_of("MEMDB_POWER_KIND", i));
        cuts_t cuts = {
            .seed = first_seed + i, .keep = true, .most = (wanted - states) / (seeds - i)};
        make_root(&cuts);
        cuts_of_runs(&cuts, kind);
        remove_tree(cuts.root);
        if (cuts.failed) {
            fail_msg("%s", cuts.what);
        }
        states += cuts.states;
        lives += cuts.lives;
        printf("seed %" PRIu64 ", %s: %" PRIu64 " states of %" PRIu64 " runs, %" PRIu64
               " moments\n",
               cuts.seed, run_kind_name(kind), cuts.states, cuts.lives, cuts.moments);
        fflush(stdout);
    }
    printf("%" PRIu64 " states of %" PRIu64 " seeds and %" PRIu64 " runs, %.0f a second\n", states,
           seeds, lives, (double)states / (seconds() - began));
}

/// A creation that is killed behind each of its calls (under sanitizers behind some), a process
/// that goes on after it, and cuts.
static void test_power_cuts_after_a_killed_creation_lose_nothing(void **state) {
    (void)state;
    cuts_t cuts = {.seed = first_seed, .keep = true, .most = UINT64_MAX};
    char home[200];
    make_root(&cuts);
    snprintf(home, sizeof home, "%s/run", cuts.root);
    for (uint32_t call = 1 + (uint32_t)(first_seed % CALL_STEP);
         call <= CREATION_CALLS && !cuts.failed; call += CALL_STEP) {
        trace_t trace;
        run_clear(home);
        run_t *run = run_create(RUN_KILLED, first_seed + call, home);
        run->kill_at = call;
        history_t before = run->history;
        if (cuts_record(&cuts, run, first_seed + call, 8, &trace)) {
            while (trace.base < trace.count && trace.events[trace.base]->kind != EVENT_MARK) {
                trace.base++; // the process that was killed, and the opening
            }
            cuts_of_trace(&cuts, RUN_KILLED, &before, &trace, 4, MOST_POWER_CUTS);
            trace_free(&trace);
        }
        run_destroy(run);
    }
    remove_tree(cuts.root);
    if (cuts.failed) {
        fail_msg("%s", cuts.what);
    }
    printf("%" PRIu64 " states after %" PRIu64 " killed creations\n", cuts.states, cuts.lives);
}

static int replay(const char *path) {
    char what[400] = "";
    if (cuts_replay(path, what)) {
        printf("%s: nothing is wrong\n", path);
        return 0;
    }
    printf("%s: %s\n", path, what);
    return 1;
}

int main(int count, char **arguments) {
    if (count == 3 && strcmp(arguments[1], "--replay") == 0) {
        return replay(arguments[2]);
    }
    if (access("/dev/shm", W_OK) == 0) {
        setenv("TMPDIR", "/dev/shm", 0); // nothing here needs a disk
    }
    first_seed = number_of("MEMDB_SEED", (uint64_t)time(NULL));
    printf("seed=%" PRIu64 "\n", first_seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_power_cuts_lose_nothing_that_was_promised),
        cmocka_unit_test(test_power_cuts_after_a_killed_creation_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
