// See run.h: what must be true of the directory that a power cut left.
#include "tests/crash/run_internal.h"

#include <stdio.h>

static bool open_state(const char *home, const history_t *history, uint32_t flags, memdb_t **db_out,
                       char what_out[400]) {
    char path[256];
    memdb_error_t error = {0};
    memdb_options_t options = {.size = sizeof options,
                               .flags = flags,
                               .durability =
                                   history->full ? MEMDB_DURABILITY_FULL : MEMDB_DURABILITY_OS,
                               .no_background = true};
    if (flags & MEMDB_OPEN_READ_ONLY) {
        options.durability = MEMDB_DURABILITY_DEFAULT;
    }
    snprintf(path, sizeof path, "%s/db", home);
    if (memdb_open(path, &options, db_out, &error)) {
        snprintf(what_out, 400, "%.390s", error.message);
        return false;
    }
    return true;
}

static bool is_promised(const history_t *history) {
    uint32_t promised = 0;
    for (uint32_t i = 0; i < WRITERS; i++) {
        promised += history->writers[i].promised;
    }
    return promised != 0;
}

static bool check_read_only(const char *home, const history_t *history, char what[400]) {
    memdb_t *db;
    uint32_t counts[WRITERS];
    if (!open_state(home, history, MEMDB_OPEN_READ_ONLY, &db, what)) {
        return false;
    }
    bool right = history_check(db, history, counts, what);
    return memdb_close(db) == MEMDB_OK && right;
}

/// Open, verify, compare. The handle stays open.
static bool open_checked(const char *home, const history_t *history, uint32_t counts_out[WRITERS],
                         memdb_t **db_out, char what_out[400]) {
    if (!open_state(home, history, MEMDB_OPEN_CREATE, db_out, what_out)) {
        return false;
    }
    memdb_status_t status = memdb_verify(*db_out, NULL, NULL);
    bool right = status == MEMDB_OK ? history_check(*db_out, history, counts_out, what_out)
                                    : run_failed(what_out, *db_out, status, "verify");
    if (!right) {
        memdb_close(*db_out);
    }
    return right;
}

bool run_check(const char *home, const history_t *history, bool thorough,
               uint32_t counts_out[WRITERS], char what_out[400]) {
    history_t after = *history;
    content_t content;
    uint32_t counts[WRITERS];
    memdb_t *db;
    if (thorough && is_promised(history) && !check_read_only(home, history, what_out)) {
        return false;
    }
    if (!open_checked(home, history, counts_out, &db, what_out)) {
        return false;
    }
    for (uint32_t i = 0; i < WRITERS; i++) {
        history_mark(&after, MARK_LIFE, i, counts_out[i], 0);
        history_mark(&after, MARK_KEPT, i, counts_out[i], 0);
    }
    history_content(&after, 0, counts_out[0], &content);
    memdb_status_t status = history_commit(db, &after, 0, &content, MEMDB_DURABILITY_FULL, true);
    if (!status && thorough) {
        status = memdb_checkpoint(db);
    }
    bool right =
        status == MEMDB_OK || run_failed(what_out, db, status, "commit after the power cut");
    right = memdb_close(db) == MEMDB_OK && right;
    if (!right || !thorough) {
        return right;
    }
    return open_checked(home, &after, counts, &db, what_out) && memdb_close(db) == MEMDB_OK;
}
