// The gates of a space: set by their fields, those that are left out keep what they are.
#include "cli/cli_request.h"

cli_json_t *cli_gates_json(const memdb_gates_t *gates) {
    cli_json_t *object = NULL;
    const struct {
        const char *name;
        uint64_t value;
    } counts[] = {{"most_memories", gates->most_memories},
                  {"most_bytes", gates->most_text_bytes},
                  {"expire_after_us", (uint64_t)gates->expire_after_us}};
    if (gates->most_alike > 0) {
        object = cli_json_new_object();
        cli_json_set(object, "most_alike", cli_json_new_number(gates->most_alike));
    }
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if (counts[i].value) {
            object = object ? object : cli_json_new_object();
            cli_set_unsigned(object, counts[i].name, counts[i].value);
        }
    return object;
}

static memdb_status_t set(cli_session_t *session, memdb_txn_t *txn, const cli_json_t *request,
                          memdb_error_t *error) {
    memdb_bytes_t name = cli_space_name(request);
    memdb_space_t space;
    memdb_space_info_t info;
    memdb_status_t status = memdb_space_ensure(txn, name, &space);
    if (status == MEMDB_OK)
        status = memdb_space_get_info(memdb_txn_snapshot(txn), space, &info);
    if (status == MEMDB_OK) {
        memdb_gates_t gates = info.gates;
        gates.most_alike = cli_get_number(request, "most_alike", gates.most_alike);
        gates.most_memories =
            (uint64_t)cli_get_integer(request, "most_memories", (int64_t)gates.most_memories);
        gates.most_text_bytes =
            (uint64_t)cli_get_integer(request, "most_bytes", (int64_t)gates.most_text_bytes);
        gates.expire_after_us = cli_get_integer(request, "expire_after_us", gates.expire_after_us);
        status = memdb_space_set_gates(txn, space, &gates);
    }
    return cli_engine(session, status, error, "gates");
}

memdb_status_t cli_run_gates(cli_session_t *session, const cli_json_t *request, cli_json_t *answer,
                             memdb_error_t *error) {
    cli_write_t write;
    uint64_t lsn;
    memdb_status_t status = cli_write_begin(session, cli_get_durability(request), &write, error);
    if (status != MEMDB_OK)
        return status;
    status = set(session, write.txn, request, error);
    status = cli_write_end(session, &write, status, &lsn, error);
    if (status == MEMDB_OK)
        cli_answer_lsn(answer, lsn);
    return status;
}
