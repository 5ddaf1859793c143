// The gates of a space: set by their fields, those that are left out keep what they are; and what
// they refused.
#include "cli/cli_request.h"

static void set_number(cli_json_t *object, const char *name, double value) {
    if (value > 0)
        cli_json_set(object, name, cli_json_new_number(value));
}

static void set_count(cli_json_t *object, const char *name, uint64_t value) {
    if (value)
        cli_set_unsigned(object, name, value);
}

static void set_flag(cli_json_t *object, const char *name, bool value) {
    if (value)
        cli_json_set(object, name, cli_json_new_bool(true));
}

cli_json_t *cli_gates_json(const memdb_gates_t *gates) {
    cli_json_t *object = cli_json_new_object();
    set_number(object, "most_alike", gates->most_alike);
    set_count(object, "most_memories", gates->most_memories);
    set_count(object, "most_bytes", gates->most_text_bytes);
    set_count(object, "expire_after_us", (uint64_t)gates->expire_after_us);
    set_flag(object, "no_copies", gates->no_copies);
    set_flag(object, "no_recalled", gates->no_recalled);
    set_number(object, "most_near", gates->most_near);
    set_number(object, "near_words", gates->near_words);
    if (cli_json_count(object))
        return object;
    cli_json_free(object);
    return NULL;
}

static bool get_flag(const cli_json_t *request, const char *name, bool otherwise) {
    const cli_json_t *value = cli_json_get(request, name);
    return value ? cli_json_truth(value) : otherwise;
}

/// Lay the request's fields over the gates that there are, or, with `open`, over none.
static memdb_gates_t lay_over(const cli_json_t *request, memdb_gates_t gates) {
    if (get_flag(request, "open", false))
        gates = (memdb_gates_t){0};
    gates.most_alike = cli_get_number(request, "most_alike", gates.most_alike);
    gates.most_memories =
        (uint64_t)cli_get_integer(request, "most_memories", (int64_t)gates.most_memories);
    gates.most_text_bytes =
        (uint64_t)cli_get_integer(request, "most_bytes", (int64_t)gates.most_text_bytes);
    gates.expire_after_us = cli_get_integer(request, "expire_after_us", gates.expire_after_us);
    gates.no_copies = get_flag(request, "no_copies", gates.no_copies);
    gates.no_recalled = get_flag(request, "no_recalled", gates.no_recalled);
    gates.most_near = cli_get_number(request, "most_near", gates.most_near);
    gates.near_words = cli_get_number(request, "near_words", gates.near_words);
    return gates;
}

static void answer_gates(cli_json_t *answer, const memdb_gates_t *gates) {
    cli_json_t *json = cli_gates_json(gates);
    cli_json_set(answer, "gates", json ? json : cli_json_new_object());
}

/// A request that names no gate asks which there are.
static memdb_status_t show(cli_session_t *session, const cli_json_t *request, cli_json_t *answer,
                           memdb_error_t *error) {
    memdb_snapshot_t *snapshot;
    memdb_space_t space;
    memdb_space_info_t info = {0};
    memdb_status_t status = cli_read_begin(session, &snapshot, error);
    if (status != MEMDB_OK)
        return status;
    status = cli_space_find(session, snapshot, cli_space_name(request), &space, error);
    if (status == MEMDB_OK && space)
        status = cli_engine(session, memdb_space_get_info(snapshot, space, &info), error, "gates");
    cli_read_end(session, snapshot);
    answer_gates(answer, &info.gates);
    return status;
}

static bool names_a_gate(const cli_json_t *request) {
    static const char *const names[] = {"most_alike", "most_memories", "most_bytes",
                                        "no_copies",  "no_recalled",   "expire_after_us",
                                        "most_near",  "near_words",    "open"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (cli_json_get(request, names[i]))
            return true;
    return false;
}

static memdb_status_t set(cli_session_t *session, memdb_txn_t *txn, const cli_json_t *request,
                          cli_json_t *answer, memdb_error_t *error) {
    memdb_space_t space;
    memdb_space_info_t info;
    memdb_status_t status = memdb_space_ensure(txn, cli_space_name(request), &space);
    if (status == MEMDB_OK)
        status = memdb_space_get_info(memdb_txn_snapshot(txn), space, &info);
    if (status == MEMDB_OK) {
        memdb_gates_t gates = lay_over(request, info.gates);
        status = memdb_space_set_gates(txn, space, &gates);
        answer_gates(answer, &gates);
    }
    return cli_engine(session, status, error, "gates");
}

/// The index that no_copies needs, unless a transaction is open: then it must be there.
static memdb_status_t index_texts(cli_session_t *session, const cli_json_t *request,
                                  memdb_error_t *error) {
    cli_write_t write;
    memdb_space_t space = 0;
    uint64_t lsn;
    if (!get_flag(request, "no_copies", false) || cli_session_in_transaction(session))
        return MEMDB_OK;
    memdb_status_t status = cli_write_begin(session, cli_get_durability(request), &write, error);
    if (status != MEMDB_OK)
        return status;
    status = cli_engine(session, memdb_space_ensure(write.txn, cli_space_name(request), &space),
                        error, "gates");
    status = cli_write_end(session, &write, status, &lsn, error);
    if (status != MEMDB_OK)
        return status;
    status = memdb_index_create(session->db, space, (memdb_bytes_t){"text_hash", 9},
                                cli_get_durability(request));
    return status == MEMDB_EXISTS ? MEMDB_OK : cli_engine(session, status, error, "gates");
}

memdb_status_t cli_run_gates(cli_session_t *session, const cli_json_t *request, cli_json_t *answer,
                             memdb_error_t *error) {
    cli_write_t write;
    uint64_t lsn;
    if (!names_a_gate(request))
        return show(session, request, answer, error);
    memdb_status_t status = index_texts(session, request, error);
    if (status == MEMDB_OK)
        status = cli_write_begin(session, cli_get_durability(request), &write, error);
    if (status != MEMDB_OK)
        return status;
    status = set(session, write.txn, request, answer, error);
    status = cli_write_end(session, &write, status, &lsn, error);
    if (status == MEMDB_OK)
        cli_answer_lsn(answer, lsn);
    return status;
}

// ------------------------------------------------------------------------------ refusals

typedef struct refused {
    cli_json_t *list;
    size_t left;
    memdb_space_t space;
} refused_t;

static bool add_refusal(void *context, const memdb_refusal_t *refusal) {
    refused_t *refused = context;
    cli_json_t *object = cli_json_new_object();
    if (refused->left == 0) {
        cli_json_free(object);
        return false;
    }
    refused->left--;
    const char *name = memdb_gate_name(refusal->gate);
    if (refusal->gate == MEMDB_GATE_MOST_TEXT_BYTES)
        name = "most_bytes"; // as requests call it
    cli_json_set(object, "gate", cli_json_new_text(name));
    if (refusal->like) {
        cli_set_unsigned(object, "like", refusal->like);
        cli_json_set(object, "likeness", cli_json_new_number(refusal->likeness));
    }
    if (refusal->like && refusal->like_space != refused->space)
        cli_json_set(object, "elsewhere", cli_json_new_bool(true));
    cli_json_set(object, "time", cli_time_json(refusal->time));
    cli_json_set(object, "text", cli_bytes_json(refusal->text));
    cli_json_append(refused->list, object);
    return true;
}

memdb_status_t cli_run_refused(cli_session_t *session, const cli_json_t *request,
                               cli_json_t *answer, memdb_error_t *error) {
    memdb_snapshot_t *snapshot;
    refused_t refused = {.list = cli_json_new_array(),
                         .left = (size_t)cli_get_integer(request, "limit", MEMDB_MAX_REFUSALS)};
    cli_json_set(answer, "refused", refused.list);
    memdb_status_t status = cli_read_begin(session, &snapshot, error);
    if (status != MEMDB_OK)
        return status;
    status = cli_space_find(session, snapshot, cli_space_name(request), &refused.space, error);
    cli_read_end(session, snapshot);
    return status != MEMDB_OK
               ? status
               : cli_engine(session,
                            memdb_refusal_list(session->db, refused.space, add_refusal, &refused),
                            error, "refused");
}
