// See cuts.h.
#include "tests/crash/cuts.h"

#include "tests/crash/disk.h"
#include "tests/lib/database.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEPS 60            // of a first run
#define STEPS_AFTER 8       // of one that goes on after a cut
#define STATES_OF_RUN 200   // of a first run
#define STATES_AFTER 12     // of one that goes on
#define LIFE_EVERY 16       // states: then one is gone on with
#define CHECK_BOOT 1000000u // no run has such a boot

static void note_failure(cuts_t *cuts, const char *format, const char *what, const char *more) {
    if (!cuts->failed) {
        cuts->failed = true;
        snprintf(cuts->what, sizeof cuts->what, format, what, more);
    }
}

// ------------------------------------------------------------------------------ kept states

static void keep_state(cuts_t *cuts, const disk_t *image, const history_t *history,
                       const char *what) {
    char path[256], inner[300];
    const char *parent = getenv("MEMDB_POWER_KEEP") ? getenv("MEMDB_POWER_KEEP") : "/tmp";
    snprintf(path, sizeof path, "%.200s/memdb-power-cut-XXXXXX", parent);
    if (!mkdtemp(path)) {
        note_failure(cuts, "%s (cannot be kept in %s)", what, parent);
        return;
    }
    snprintf(inner, sizeof inner, "%s/home", path);
    run_clear(inner);
    disk_save(image, inner);
    snprintf(inner, sizeof inner, "%s/history", path);
    FILE *file = fopen(inner, "wb");
    bool kept = file && fwrite(history, sizeof *history, 1, file) == 1;
    kept = file && fclose(file) == 0 && kept;
    note_failure(cuts, kept ? "%s\n  again: test_power_cuts --replay %s" : "%s (not kept: %s)",
                 what, path);
}

bool cuts_replay(const char *path, char what_out[400]) {
    char inner[300], home[] = "/tmp/memdb-power-replay-XXXXXX";
    history_t history;
    uint32_t counts[WRITERS];
    trace_t trace;
    disk_t disk;
    snprintf(inner, sizeof inner, "%.200s/history", path);
    FILE *file = fopen(inner, "rb");
    bool read = file && fread(&history, sizeof history, 1, file) == 1;
    if (file) {
        fclose(file);
    }
    if (!read || !mkdtemp(home)) {
        snprintf(what_out, 400, "%.300s is not a kept state", path);
        return false;
    }
    snprintf(inner, sizeof inner, "%.200s/home", path);
    disk_load(inner, &disk, &trace);
    disk_save(&disk, home);
    recorder_world(CHECK_BOOT, history.seed);
    bool right = run_check(home, &history, true, counts, what_out);
    remove_tree(home);
    disk_free(&disk);
    trace_free(&trace);
    return right;
}

// ------------------------------------------------------------------------------ recording

bool cuts_record(cuts_t *cuts, run_t *run, uint64_t seed, uint32_t steps, trace_t *trace_out) {
    char what[400] = "";
    disk_t replayed = {0}, left;
    trace_t now;
    if (!run_live(run, seed, steps, trace_out, what)) {
        note_failure(cuts, "the run fails: %s%s", what, "");
        trace_free(trace_out);
        return false;
    }
    disk_replay(&replayed, trace_out, trace_out->count);
    disk_settle(&replayed);
    disk_load(run->home, &left, &now);
    bool right = disk_equals(&replayed, &left, what);
    disk_free(&replayed);
    disk_free(&left);
    trace_free(&now);
    if (!right) {
        note_failure(cuts, "the recording missed something: %s%s", what, "");
        trace_free(trace_out);
    }
    cuts->lives++;
    return right;
}

// ------------------------------------------------------------------------------ states

typedef struct passage {
    cuts_t *cuts;
    run_kind_t kind;
    const trace_t *trace;
    uint32_t depth;
    disk_t disk;
    history_t history; // as far as the disk is
    size_t at;         // events applied
} passage_t;

/// A state is right: go on from it, record that, and cut it.
static void go_on(passage_t *passage, const disk_t *image, const history_t *history,
                  const uint32_t counts[WRITERS], choice_t *choice) {
    cuts_t *cuts = passage->cuts;
    char home[200];
    trace_t trace;
    snprintf(home, sizeof home, "%s/life%u", cuts->root, passage->depth);
    run_clear(home);
    disk_save(image, home);
    run_kind_t kind = passage->kind >= RUN_THREADS ? RUN_FULL : passage->kind;
    run_t *run = run_create(kind, history->seed, home);
    run->history = *history;
    run->boot = passage->depth + 1;
    for (uint32_t i = 0; i < WRITERS; i++) { // recovery finds the same, however often it is cut
        run->history.writers[i].promised = run->history.writers[i].attempted = counts[i];
    }
    history_t before = run->history;
    if (cuts_record(cuts, run, choose_bits(choice), STEPS_AFTER, &trace)) {
        cuts_of_trace(cuts, kind, &before, &trace, STATES_AFTER, passage->depth + 1);
        trace_free(&trace);
    }
    run_destroy(run);
}

static void check_state(passage_t *passage, choice_t *choice) {
    cuts_t *cuts = passage->cuts;
    disk_t image;
    history_t history = passage->history;
    char home[200], what[400] = "", whole[800];
    uint32_t counts[WRITERS] = {0};
    history_learn(&history, passage->trace, passage->at);
    disk_cut(&passage->disk, choice, &image);
    snprintf(home, sizeof home, "%s/state", cuts->root);
    run_clear(home);
    disk_save(&image, home);
    recorder_world(CHECK_BOOT, history.seed);
    bool right = run_check(home, &history, choose(choice, 3) == 0, counts, what);
    cuts->states++;
    if (!right) {
        snprintf(whole, sizeof whole,
                 "seed %llu, %s, power cut number %u in a row, at event %zu of %zu: %s",
                 (unsigned long long)cuts->seed, run_kind_name(passage->kind), passage->depth,
                 passage->at, passage->trace->count, what);
        if (cuts->keep) {
            keep_state(cuts, &image, &history, whole);
        } else {
            note_failure(cuts, "%s%s", whole, "");
        }
    } else if (passage->depth < MOST_POWER_CUTS && choose(choice, LIFE_EVERY) == 0) {
        go_on(passage, &image, &history, counts, choice);
    }
    disk_free(&image);
}

static bool is_weak(const trace_t *trace, size_t at) {
    return trace->weak && trace->weak[at];
}

static void pass(passage_t *passage, size_t until) {
    for (; passage->at < until; passage->at++) {
        const event_t *event = passage->trace->events[passage->at];
        disk_apply(&passage->disk, event, is_weak(passage->trace, passage->at));
        if (event->kind == EVENT_MARK) {
            history_apply(&passage->history, event);
        }
    }
}

static int compare_sizes(const void *left, const void *right) {
    size_t a = *(const size_t *)left, b = *(const size_t *)right;
    return a < b ? -1 : a > b;
}

void cuts_of_trace(cuts_t *cuts, run_kind_t kind, const history_t *before, const trace_t *trace,
                   uint64_t count, uint32_t depth) {
    passage_t passage = {
        .cuts = cuts, .kind = kind, .trace = trace, .depth = depth, .history = *before};
    choice_t choice = choice_of(cuts->seed, cuts->states);
    size_t *moments = malloc((count + 1) * sizeof *moments);
    if (!moments) {
        disk_fail("memory");
    }
    for (uint64_t i = 0; i < count; i++) {
        moments[i] = trace->base + choose(&choice, trace->count - trace->base + 1);
    }
    qsort(moments, count, sizeof *moments, compare_sizes);
    cuts->moments += trace->count - trace->base + 1;
    for (uint64_t i = 0; i < count && !cuts->failed && cuts->states < cuts->most; i++) {
        pass(&passage, moments[i]);
        const event_t *next = moments[i] < trace->count ? trace->events[moments[i]] : NULL;
        bool in_flight = next && next->kind == EVENT_WRITE && next->durable &&
                         !is_weak(trace, moments[i]) && choose(&choice, 2);
        if (in_flight) {
            disk_apply(&passage.disk, next, true);
        }
        check_state(&passage, &choice);
        if (in_flight) {
            disk_finish(&passage.disk, next);
            passage.at++;
        }
    }
    disk_free(&passage.disk);
    free(moments);
}

void cuts_of_runs(cuts_t *cuts, run_kind_t kind) {
    char home[200];
    snprintf(home, sizeof home, "%s/run", cuts->root);
    while (cuts->states < cuts->most && !cuts->failed) {
        trace_t trace;
        choice_t choice = choice_of(cuts->seed, (cuts->lives + 1) << 40);
        uint64_t seed = choose_bits(&choice);
        run_clear(home);
        run_t *run = run_create(kind, seed, home);
        history_t before = run->history;
        if (cuts_record(cuts, run, seed, STEPS, &trace)) {
            cuts_of_trace(cuts, kind, &before, &trace, STATES_OF_RUN, 1);
            trace_free(&trace);
        }
        run_destroy(run);
    }
}
