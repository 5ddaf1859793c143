// create_index, drop_index, indexes.
#include "cli/cli_request.h"

/// The space that a request names, at a snapshot. MEMDB_NOT_FOUND: space main does not exist yet.
static memdb_status_t find_space(cli_session_t *session, memdb_snapshot_t *snapshot,
                                 const cli_json_t *request, memdb_space_t *space_out,
                                 memdb_error_t *error) {
    memdb_status_t status =
        cli_space_find(session, snapshot, cli_space_name(request), space_out, error);
    return status == MEMDB_OK && !*space_out
               ? cli_fail(error, MEMDB_NOT_FOUND, "space: there is no space 'main' yet")
               : status;
}

memdb_status_t cli_run_create_index(cli_session_t *session, const cli_json_t *request,
                                    cli_json_t *answer, memdb_error_t *error) {
    memdb_snapshot_t *snapshot;
    memdb_space_t space = 0;
    (void)answer;
    if (cli_session_in_transaction(session))
        return cli_fail(error, MEMDB_INVALID,
                        "create_index: it commits in steps of its own; commit or abort the open "
                        "transaction first");
    memdb_status_t status = cli_read_begin(session, &snapshot, error);
    if (status != MEMDB_OK)
        return status;
    status = find_space(session, snapshot, request, &space, error);
    cli_read_end(session, snapshot);
    return status != MEMDB_OK
               ? status
               : cli_engine(session,
                            memdb_index_create(session->db, space, cli_get_bytes(request, "on"),
                                               cli_get_durability(request)),
                            error, "create_index");
}

memdb_status_t cli_run_drop_index(cli_session_t *session, const cli_json_t *request,
                                  cli_json_t *answer, memdb_error_t *error) {
    cli_write_t write;
    uint64_t lsn;
    memdb_space_t space = 0;
    memdb_status_t status = cli_write_begin(session, cli_get_durability(request), &write, error);
    if (status != MEMDB_OK)
        return status;
    status = find_space(session, memdb_txn_snapshot(write.txn), request, &space, error);
    if (status == MEMDB_OK)
        status =
            cli_engine(session, memdb_index_drop(write.txn, space, cli_get_bytes(request, "on")),
                       error, "drop_index");
    status = cli_write_end(session, &write, status, &lsn, error);
    if (status == MEMDB_OK)
        cli_answer_lsn(answer, lsn);
    return status;
}

static bool add_index(void *context, const memdb_index_info_t *info) {
    cli_json_t *index = cli_json_new_object();
    cli_json_set(index, "on", cli_bytes_json(info->on));
    cli_json_set(index, "ready", cli_json_new_bool(info->ready));
    cli_set_unsigned(index, "memories", info->memories);
    cli_json_append(context, index);
    return true;
}

memdb_status_t cli_run_indexes(cli_session_t *session, const cli_json_t *request,
                               cli_json_t *answer, memdb_error_t *error) {
    memdb_snapshot_t *snapshot;
    memdb_space_t space = 0;
    cli_json_t *indexes = cli_json_new_array();
    cli_json_set(answer, "indexes", indexes);
    memdb_status_t status = cli_read_begin(session, &snapshot, error);
    if (status != MEMDB_OK)
        return status;
    status = find_space(session, snapshot, request, &space, error);
    if (status == MEMDB_OK)
        status = cli_engine(session, memdb_index_list(snapshot, space, add_index, indexes), error,
                            "indexes");
    cli_read_end(session, snapshot);
    return status;
}
