// Transactions, spaces, and the database as a whole.
#include "cli/cli_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CLI_MAX_INDEXES 32 // of a space

memdb_status_t cli_run_begin(cli_session_t *session, const cli_json_t *request, cli_json_t *answer,
                             memdb_error_t *error) {
    (void)answer;
    const cli_json_t *snapshot = cli_json_get(request, "snapshot");
    if (cli_session_in_transaction(session))
        return cli_fail(error, MEMDB_INVALID,
                        "begin: a transaction is open; commit or abort it first");
    if (snapshot && cli_json_truth(snapshot))
        return cli_engine(session, memdb_snapshot_begin(session->db, NULL, &session->view), error,
                          "begin");
    memdb_status_t status =
        cli_engine(session, memdb_txn_begin(session->db, &session->txn), error, "begin");
    if (status == MEMDB_OK)
        session->ids = cli_json_new_array();
    return status;
}

memdb_status_t cli_run_commit(cli_session_t *session, const cli_json_t *request, cli_json_t *answer,
                              memdb_error_t *error) {
    uint64_t lsn = 0;
    if (!cli_session_in_transaction(session))
        return cli_fail(error, MEMDB_INVALID, "commit: no transaction is open");
    cli_json_t *ids = session->ids ? session->ids : cli_json_new_array();
    memdb_txn_t *txn = session->txn;
    session->ids = NULL;
    session->txn = NULL; // commit consumes it, whatever comes of it
    memdb_status_t status = MEMDB_OK;
    if (txn)
        status = cli_engine(session, memdb_txn_commit(txn, cli_get_durability(request), &lsn),
                            error, "commit");
    else
        lsn = memdb_snapshot_lsn(session->view);
    cli_session_abort(session); // ends a view
    if (status != MEMDB_OK) {
        cli_json_free(ids);
        return status;
    }
    cli_set_unsigned(answer, "lsn", lsn);
    cli_json_set(answer, "ids", ids);
    return MEMDB_OK;
}

memdb_status_t cli_run_abort(cli_session_t *session, const cli_json_t *request, cli_json_t *answer,
                             memdb_error_t *error) {
    (void)request;
    (void)answer;
    if (!cli_session_in_transaction(session))
        return cli_fail(error, MEMDB_INVALID, "abort: no transaction is open");
    cli_session_abort(session);
    return MEMDB_OK;
}

static memdb_status_t write_space(cli_session_t *session, const cli_json_t *request,
                                  cli_json_t *answer, bool drop, memdb_error_t *error) {
    cli_write_t write;
    uint64_t lsn;
    memdb_space_t space;
    memdb_bytes_t name = cli_get_bytes(request, "name"), metric = cli_get_bytes(request, "metric");
    memdb_space_options_t options = {
        .size = sizeof options, .dimension = (uint32_t)cli_get_integer(request, "dimension", 0)};
    if (metric.size && metric.data[0] != 'c')
        options.metric = metric.data[0] == 'd' ? MEMDB_METRIC_DOT : MEMDB_METRIC_L2;
    memdb_bytes_t tokenizer = cli_get_bytes(request, "tokenizer"), indexes[CLI_MAX_INDEXES];
    const cli_json_t *named = cli_json_get(request, "indexes");
    if (named && cli_json_count(named) > CLI_MAX_INDEXES)
        return cli_fail(error, MEMDB_LIMIT, "indexes: %zu, a space has at most %d",
                        cli_json_count(named), CLI_MAX_INDEXES);
    for (size_t i = 0; named && i < cli_json_count(named); i++)
        indexes[options.index_count++] = cli_json_bytes(cli_json_at(named, i));
    options.indexes = indexes;
    for (int i = 0; tokenizer.size && cli_tokenizers[i]; i++)
        if (tokenizer.size == strlen(cli_tokenizers[i]) &&
            memcmp(tokenizer.data, cli_tokenizers[i], tokenizer.size) == 0)
            options.tokenizer = (memdb_tokenizer_kind_t)i;
    memdb_status_t status = cli_write_begin(session, cli_get_durability(request), &write, error);
    if (status != MEMDB_OK)
        return status;
    status = drop ? memdb_space_drop(write.txn, name)
                  : memdb_space_create(write.txn, name, &options, &space);
    status = cli_engine(session, status, error, "name: '%.*s'",
                        (int)(name.size < 200 ? name.size : 200), name.data);
    status = cli_write_end(session, &write, status, &lsn, error);
    if (status == MEMDB_OK)
        cli_answer_lsn(answer, lsn);
    return status;
}

memdb_status_t cli_run_create_space(cli_session_t *session, const cli_json_t *request,
                                    cli_json_t *answer, memdb_error_t *error) {
    return write_space(session, request, answer, false, error);
}

memdb_status_t cli_run_drop_space(cli_session_t *session, const cli_json_t *request,
                                  cli_json_t *answer, memdb_error_t *error) {
    return write_space(session, request, answer, true, error);
}

static bool add_space(void *context, const memdb_space_info_t *info) {
    static const char *const metrics[] = {"cosine", "dot", "l2"};
    cli_json_t *space = cli_json_new_object();
    cli_json_set(space, "name", cli_bytes_json(info->name));
    cli_set_unsigned(space, "dimension", info->dimension);
    cli_json_set(space, "metric",
                 cli_json_new_text(metrics[info->metric <= MEMDB_METRIC_L2 ? info->metric : 0]));
    cli_json_set(space, "tokenizer", cli_json_new_text(cli_tokenizers[info->tokenizer]));
    cli_set_unsigned(space, "memories", info->memories);
    cli_set_unsigned(space, "bytes", info->text_bytes);
    cli_json_t *gates = cli_gates_json(&info->gates);
    if (gates)
        cli_json_set(space, "gates", gates);
    cli_json_append(context, space);
    return true;
}

memdb_status_t cli_run_spaces(cli_session_t *session, const cli_json_t *request, cli_json_t *answer,
                              memdb_error_t *error) {
    (void)request;
    memdb_snapshot_t *snapshot;
    cli_json_t *spaces = cli_json_new_array();
    cli_json_set(answer, "spaces", spaces);
    memdb_status_t status = cli_read_begin(session, &snapshot, error);
    if (status != MEMDB_OK)
        return status;
    status = cli_engine(session, memdb_space_list(snapshot, add_space, spaces), error, "spaces");
    cli_read_end(session, snapshot);
    return status;
}

#define UNSIGNED_STATS(X)                                                                          \
    X(visible_lsn)                                                                                 \
    X(durable_lsn)                                                                                 \
    X(written_lsn)                                                                                 \
    X(applied_lsn)                                                                                 \
    X(memories)                                                                                    \
    X(spaces)                                                                                      \
    X(links)                                                                                       \
    X(log_bytes)                                                                                   \
    X(segment_bytes)                                                                               \
    X(blob_bytes) X(catalog_bytes) X(file_bytes) X(segments) X(tiers) X(runs) X(delta_bytes)       \
        X(commits) X(conflicts) X(refused) X(batches) X(syncs) X(checkpoints) X(merges)            \
            X(snapshots) X(snapshots_expired) X(history_lsn) X(erasures_pending)                   \
                X(superseded_bytes) X(blob_named_bytes) X(extents_waiting) X(aside_bytes)          \
                    X(graph_bytes)

memdb_status_t cli_run_stats(cli_session_t *session, const cli_json_t *request, cli_json_t *answer,
                             memdb_error_t *error) {
    (void)request;
    memdb_stats_t stats = {.size = sizeof stats};
    memdb_status_t status =
        cli_engine(session, memdb_get_stats(session->db, &stats), error, "stats");
    if (status != MEMDB_OK)
        return status;
#define SET_STAT(name) cli_set_unsigned(answer, #name, stats.name);
    UNSIGNED_STATS(SET_STAT)
#undef SET_STAT
    cli_json_set(answer, "oldest_snapshot_time", cli_time_json(stats.oldest_snapshot_time));
    cli_json_set(answer, "history_time", cli_time_json(stats.history_time));
    cli_set_unsigned(answer, "views_retired", stats.views_retired);
    cli_set_unsigned(answer, "views_reclaimed", stats.views_reclaimed);
#define SET_FIGURE(name) cli_set_unsigned(answer, #name, stats.name);
    SET_FIGURE(log_limit_bytes)
    SET_FIGURE(delta_limit_bytes)
    SET_FIGURE(stalls)
    SET_FIGURE(stalled_us)
    SET_FIGURE(payload_bytes)
    SET_FIGURE(log_bytes_written)
    SET_FIGURE(segment_bytes_written)
    return MEMDB_OK;
}

/// Change the settings that are given, and answer with all of them.
memdb_status_t cli_run_settings(cli_session_t *session, const cli_json_t *request,
                                cli_json_t *answer, memdb_error_t *error) {
    memdb_settings_t settings = {.size = sizeof settings};
    memdb_status_t status =
        cli_engine(session, memdb_get_settings(session->db, &settings), error, "settings");
    if (status != MEMDB_OK)
        return status;
    const struct {
        const char *name;
        uint64_t *value;
    } table[] = {{"history_us", &settings.history_us},
                 {"history_bytes", &settings.history_bytes},
                 {"snapshot_limit_us", &settings.snapshot_limit_us}};
    bool any = false;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        any = any || cli_json_get(request, table[i].name);
        *table[i].value =
            (uint64_t)cli_get_integer(request, table[i].name, (int64_t)*table[i].value);
        cli_set_unsigned(answer, table[i].name, *table[i].value);
    }
    return any ? cli_engine(session, memdb_configure(session->db, &settings), error, "settings")
               : MEMDB_OK;
}

memdb_status_t cli_run_checkpoint(cli_session_t *session, const cli_json_t *request,
                                  cli_json_t *answer, memdb_error_t *error) {
    (void)request;
    memdb_stats_t stats = {.size = sizeof stats};
    memdb_status_t status = cli_engine(session, memdb_checkpoint(session->db), error, "checkpoint");
    if (status == MEMDB_OK)
        status = cli_engine(session, memdb_get_stats(session->db, &stats), error, "checkpoint");
    if (status != MEMDB_OK)
        return status;
    cli_set_unsigned(answer, "applied_lsn", stats.applied_lsn);
    cli_set_unsigned(answer, "durable_lsn", stats.durable_lsn);
    cli_set_unsigned(answer, "log_bytes", stats.log_bytes);
    cli_set_unsigned(answer, "segments", stats.segments);
    cli_set_unsigned(answer, "segment_bytes", stats.segment_bytes);
    cli_set_unsigned(answer, "file_bytes", stats.file_bytes);
    return MEMDB_OK;
}

static void answer_space(cli_json_t *answer, const memdb_space_report_t *report) {
    cli_set_unsigned(answer, "bytes_before", report->bytes_before);
    cli_set_unsigned(answer, "bytes_after", report->bytes_after);
    cli_set_unsigned(answer, "extents_collected", report->extents_collected);
    cli_set_unsigned(answer, "extents_waiting", report->extents_waiting);
    cli_set_unsigned(answer, "waiting_bytes", report->waiting_bytes);
}

memdb_status_t cli_run_compact(cli_session_t *session, const cli_json_t *request,
                               cli_json_t *answer, memdb_error_t *error) {
    (void)request;
    memdb_space_report_t report = {.size = sizeof report};
    memdb_status_t status =
        cli_engine(session, memdb_compact(session->db, &report), error, "compact");
    if (status == MEMDB_OK)
        answer_space(answer, &report);
    return status;
}

memdb_status_t cli_run_purge(cli_session_t *session, const cli_json_t *request, cli_json_t *answer,
                             memdb_error_t *error) {
    (void)request;
    memdb_space_report_t report = {.size = sizeof report};
    memdb_status_t status = cli_engine(session, memdb_purge(session->db, &report), error, "purge");
    if (status != MEMDB_OK)
        return status;
    answer_space(answer, &report);
    cli_set_unsigned(answer, "memories_erased", report.memories_erased);
    cli_set_unsigned(answer, "archived_files_removed", report.archived_files_removed);
    return MEMDB_OK;
}

// A verify under way.
typedef struct verify {
    cli_json_t *errors, *garbage;
    bool progress; // to standard error, where a person looks
    time_t started, shown;
} verify_t;

static void add_damage(void *context, const char *file, uint64_t offset, const char *what) {
    verify_t *verify = context;
    cli_json_t *damage = cli_json_new_object();
    cli_json_set(damage, "file", cli_json_new_text(file));
    cli_set_unsigned(damage, "offset", offset);
    cli_json_set(damage, "what", cli_json_new_text(what));
    cli_json_append(verify->errors, damage);
}

static void add_garbage(void *context, const char *file, uint64_t bytes) {
    verify_t *verify = context;
    cli_json_t *garbage = cli_json_new_object();
    cli_json_set(garbage, "file", cli_json_new_text(file));
    cli_set_unsigned(garbage, "bytes", bytes);
    cli_json_append(verify->garbage, garbage);
}

// Once a second, from the second one on: a short verify shows nothing.
static void show_progress(void *context, uint64_t done, uint64_t total) {
    verify_t *verify = context;
    time_t now = time(NULL);
    if (!verify->progress || now <= verify->started + 1 || now == verify->shown)
        return;
    verify->shown = now;
    fprintf(stderr, "\rverify: %llu of %llu MiB ", (unsigned long long)(done >> 20),
            (unsigned long long)(total >> 20));
    fflush(stderr);
}

memdb_status_t cli_run_verify(cli_session_t *session, const cli_json_t *request, cli_json_t *answer,
                              memdb_error_t *error) {
    verify_t verify = {.errors = cli_json_new_array(),
                       .garbage = cli_json_new_array(),
                       .progress = isatty(STDERR_FILENO),
                       .started = time(NULL)};
    memdb_verify_options_t options = {.size = sizeof options,
                                      .threads = (uint32_t)cli_get_integer(request, "threads", 0),
                                      .found = add_damage,
                                      .context = &verify,
                                      .progress = show_progress,
                                      .garbage = add_garbage};
    cli_json_set(answer, "errors", verify.errors);
    cli_json_set(answer, "garbage", verify.garbage);
    memdb_status_t status = memdb_verify_with(session->db, &options);
    size_t count = cli_json_count(verify.errors);
    if (verify.shown)
        fputc('\n', stderr);
    if (count)
        return cli_fail(error, status == MEMDB_OK ? MEMDB_CORRUPT : status,
                        "verify: %zu damage%s found", count, count == 1 ? "" : "s");
    return cli_engine(session, status, error, "verify");
}
