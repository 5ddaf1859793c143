// What a recall did, step by step. See query_explain.h.
#include "base/io.h"
#include "query/query_explain.h"

#include <stdarg.h>
#include <stdio.h>

#define TEXT_BYTES 400 // of a step; what is longer is cut

memdb__explain_t *memdb__explain_create(void) {
    memdb__explain_t *explain = memdb__allocate_zeroed(1, sizeof *explain);
    if (explain) {
        memdb__arena_init(&explain->arena);
    }
    return explain;
}

void memdb__explain_destroy(memdb__explain_t *explain) {
    if (explain) {
        memdb__buffer_deinit(&explain->steps);
        memdb__arena_deinit(&explain->arena);
        memdb__free(explain);
    }
}

static double now_us(void) {
    return (double)memdb__monotonic_ns() / 1e3;
}

static uint32_t open_step(memdb__explain_t *explain, const char *what) {
    memdb_plan_step_t step = {.what = memdb__arena_copy(&explain->arena, what, strlen(what) + 1),
                              .depth = explain->depth++,
                              .estimated = MEMDB__EXPLAIN_UNKNOWN};
    step.us = now_us();
    explain->failed |= !step.what || !memdb__buffer_append(&explain->steps, &step, sizeof step);
    return (uint32_t)(explain->steps.size / sizeof step);
}

uint32_t memdb__explain_open(memdb__explain_t *explain, const char *format, ...) {
    char what[TEXT_BYTES];
    va_list arguments;
    if (!explain) {
        return 0;
    }
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    return open_step(explain, what);
}

uint32_t memdb__explain_open_test(memdb__explain_t *explain, const memdb_filter_t *filter,
                                  uint32_t node, bool negated) {
    memdb__buffer_t text = {0};
    if (!explain) {
        return 0;
    }
    memdb__filter_print(filter, node, &text);
    explain->failed |= text.failed;
    bool cut = text.size > TEXT_BYTES - 32;
    uint32_t step = memdb__explain_open(explain, "ids by index: %s%.*s%s%s", negated ? "not (" : "",
                                        (int)(cut ? TEXT_BYTES - 32 : text.size),
                                        text.data ? (const char *)text.data : "", cut ? "..." : "",
                                        negated ? ")" : "");
    memdb__buffer_deinit(&text);
    return step;
}

void memdb__explain_name(memdb__explain_t *explain, uint32_t step, const char *format, ...) {
    char what[TEXT_BYTES];
    va_list arguments;
    if (!explain || explain->failed) {
        return;
    }
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    memdb_plan_step_t *named = (memdb_plan_step_t *)explain->steps.data + (step - 1);
    named->what = memdb__arena_copy(&explain->arena, what, strlen(what) + 1);
    explain->failed |= !named->what;
}

void memdb__explain_close(memdb__explain_t *explain, uint32_t step, double estimated,
                          uint64_t rows) {
    if (!explain || explain->failed) {
        return;
    }
    memdb_plan_step_t *closed = (memdb_plan_step_t *)explain->steps.data + (step - 1);
    closed->estimated = estimated;
    closed->rows = rows;
    closed->us = now_us() - closed->us;
    explain->depth = closed->depth;
}

void memdb__explain_close_set(memdb__explain_t *explain, uint32_t step, double estimated,
                              const memdb__bitmap_t *set) {
    if (explain) {
        memdb__explain_close(explain, step, estimated, memdb__bitmap_count(set));
    }
}
