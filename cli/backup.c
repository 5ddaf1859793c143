// backup and restore: the requests, and their progress on standard error.
#include "cli/cli_command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const cli_field_t restore_fields[] = {
    {"from", CLI_FIELD_NAME, true, 1, 4095, NULL}, {"to", CLI_FIELD_NAME, true, 1, 4095, NULL},
    {"until", CLI_FIELD_NAME, false, 1, 64, NULL}, {"progress", CLI_FIELD_BOOL, false, 0, 0, NULL},
    {NULL, CLI_FIELD_TEXT, false, 0, 0, NULL},
};

typedef struct progress {
    bool shown; // at all
    double last;
} progress_t;

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void show_progress(void *context, uint64_t done, uint64_t total) {
    progress_t *progress = context;
    char left[32], right[32];
    double now = seconds();
    if (now - progress->last < 0.2)
        return;
    progress->last = now;
    progress->shown = true;
    cli_print_grouped((int64_t)done, left);
    cli_print_grouped((int64_t)total, right);
    fprintf(stderr, "\r%s of %s bytes ", left, right);
    fflush(stderr);
}

static memdb_progress_fn progress_of(const cli_json_t *request) {
    return cli_json_truth(cli_json_get(request, "progress")) || isatty(STDERR_FILENO)
               ? show_progress
               : NULL;
}

static void end_progress(const progress_t *progress) {
    if (progress->shown)
        fputc('\n', stderr);
}

static void answer_copied(const cli_json_t *request, const memdb_copied_t *copied,
                          cli_json_t *answer) {
    cli_json_set(answer, "to", cli_json_share(cli_json_get(request, "to")));
    cli_set_unsigned(answer, "lsn", copied->lsn);
    cli_json_set(answer, "time", cli_time_json(copied->time));
    cli_set_unsigned(answer, "base_lsn", copied->base_lsn);
    cli_set_unsigned(answer, "bytes", copied->bytes);
    cli_set_unsigned(answer, "files", copied->files);
}

memdb_status_t cli_run_backup(cli_session_t *session, const cli_json_t *request, cli_json_t *answer,
                              memdb_error_t *error) {
    progress_t progress = {.last = seconds()};
    memdb_copied_t copied = {.size = sizeof copied};
    memdb_backup_options_t options = {
        .size = sizeof options,
        .flags = (cli_json_truth(cli_json_get(request, "once")) ? MEMDB_BACKUP_ONCE : 0u) |
                 (cli_json_truth(cli_json_get(request, "full")) ? MEMDB_BACKUP_FULL : 0u),
        .progress = progress_of(request),
        .progress_context = &progress,
    };
    const char *to = cli_json_bytes(cli_json_get(request, "to")).data;
    memdb_status_t status = memdb_backup(session->db, to, &options, &copied);
    end_progress(&progress);
    if (status != MEMDB_OK)
        return cli_engine(session, status, error, "to");
    answer_copied(request, &copied, answer);
    cli_json_set(answer, "incremental", cli_json_new_bool(copied.incremental));
    return MEMDB_OK;
}

// A number is a log position, anything else a time.
static memdb_status_t parse_until(const char *word, memdb_restore_options_t *options,
                                  memdb_error_t *error) {
    char *end;
    errno = 0;
    unsigned long long lsn = strtoull(word, &end, 10);
    if (!*end && !errno && word[0] != '-' && lsn) {
        options->until_lsn = lsn;
        return MEMDB_OK;
    }
    memdb_error_t why;
    memdb_bytes_t text = {word, strlen(word)};
    return memdb_time_parse(text, &options->until_time, &why)
               ? cli_fail(error, MEMDB_INVALID,
                          "until: '%s' is neither a log position nor a time: %.100s", word,
                          why.message)
               : MEMDB_OK;
}

static memdb_status_t run_restore(cli_session_t *session, const cli_json_t *request,
                                  cli_json_t *answer, memdb_error_t *error) {
    (void)session;
    progress_t progress = {.last = seconds()};
    memdb_copied_t copied = {.size = sizeof copied};
    memdb_restore_options_t options = {
        .size = sizeof options, .progress = progress_of(request), .progress_context = &progress};
    const cli_json_t *until = cli_json_get(request, "until");
    memdb_status_t status =
        until ? parse_until(cli_json_bytes(until).data, &options, error) : MEMDB_OK;
    if (status != MEMDB_OK)
        return status;
    status =
        memdb_restore(cli_json_bytes(cli_json_get(request, "from")).data,
                      cli_json_bytes(cli_json_get(request, "to")).data, &options, &copied, error);
    end_progress(&progress);
    if (status == MEMDB_OK)
        answer_copied(request, &copied, answer);
    return status;
}

const cli_op_t cli_restore_op = {"restore", restore_fields, run_restore, false};
