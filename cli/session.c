// Opening the database, and the transaction that requests run in.
#include "cli/cli_session.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

memdb_status_t cli_fail(memdb_error_t *error, memdb_status_t status, const char *format, ...) {
    va_list arguments;
    error->status = status;
    va_start(arguments, format);
    vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    return status;
}

memdb_status_t cli_engine(cli_session_t *session, memdb_status_t status, memdb_error_t *error,
                          const char *format, ...) {
    if (status == MEMDB_OK)
        return status;
    char reason[384];
    if (!memdb_last_error(session->db, reason, sizeof reason))
        snprintf(reason, sizeof reason, "%s", memdb_status_text(status));
    va_list arguments;
    error->status = status;
    va_start(arguments, format);
    int size = vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    if (size >= 0 && (size_t)size < sizeof error->message)
        snprintf(error->message + size, sizeof error->message - (size_t)size, ": %s", reason);
    return status;
}

static void print_log(void *context, memdb_status_t severity, const char *message) {
    const cli_session_t *session = context;
    if (severity == MEMDB_OK && session->hides_notes)
        return;
    if (severity == MEMDB_OK)
        fprintf(stderr, "memdb: note: %s\n", message);
    else
        fprintf(stderr, "memdb: warning: %s: %s\n", memdb_status_name(severity), message);
}

memdb_status_t cli_session_open(cli_session_t *session, bool create, memdb_error_t *error) {
    memdb_options_t options = {
        .size = sizeof options,
        .flags = (create && !session->read_only ? MEMDB_OPEN_CREATE : 0u) |
                 (session->read_only ? MEMDB_OPEN_READ_ONLY : 0u),
        .durability = session->durability,
        .log = print_log,
        .log_context = session,
    };
    *error = (memdb_error_t){0};
    memdb_status_t status = memdb_open(session->path, &options, &session->db, error);
    if (status == MEMDB_OK)
        return status;
    error->status = status;
    if (!error->message[0])
        snprintf(error->message, sizeof error->message, "%s", memdb_status_text(status));
    return status;
}

bool cli_session_in_transaction(const cli_session_t *session) {
    return session->txn || session->view;
}

void cli_session_abort(cli_session_t *session) {
    if (session->txn)
        memdb_txn_abort(session->txn);
    memdb_snapshot_end(session->view);
    cli_json_free(session->ids);
    session->txn = NULL;
    session->view = NULL;
    session->ids = NULL;
}

bool cli_session_close(cli_session_t *session) {
    bool open = session->txn != NULL;
    cli_session_abort(session);
    if (session->db)
        memdb_close(session->db);
    session->db = NULL;
    return open;
}

memdb_status_t cli_read_begin(cli_session_t *session, memdb_snapshot_t **snapshot_out,
                              memdb_error_t *error) {
    if (session->txn) {
        *snapshot_out = memdb_txn_snapshot(session->txn);
        return MEMDB_OK;
    }
    if (session->view) {
        *snapshot_out = session->view;
        return MEMDB_OK;
    }
    return cli_engine(session, memdb_snapshot_begin(session->db, NULL, snapshot_out), error,
                      "snapshot");
}

void cli_read_end(cli_session_t *session, memdb_snapshot_t *snapshot) {
    if (snapshot != session->view) // one of a transaction is not ended by this
        memdb_snapshot_end(snapshot);
}

memdb_status_t cli_write_begin(cli_session_t *session, memdb_durability_t durability,
                               cli_write_t *write_out, memdb_error_t *error) {
    if (session->view)
        return cli_fail(error, MEMDB_READ_ONLY,
                        "the open transaction is a snapshot, which only reads; abort it first");
    if (session->txn && durability != MEMDB_DURABILITY_DEFAULT)
        return cli_fail(error, MEMDB_INVALID,
                        "durability: inside a transaction it belongs to commit");
    *write_out = (cli_write_t){session->txn, durability, !session->txn, false};
    if (session->txn)
        return MEMDB_OK;
    return cli_engine(session, memdb_txn_begin(session->db, &write_out->txn), error, "begin");
}

memdb_status_t cli_write_end(cli_session_t *session, cli_write_t *write, memdb_status_t status,
                             uint64_t *lsn_out, memdb_error_t *error) {
    *lsn_out = 0;
    if (write->own && status == MEMDB_OK)
        return cli_engine(session, memdb_txn_commit(write->txn, write->durability, lsn_out), error,
                          "commit");
    if (write->own) {
        memdb_txn_abort(write->txn);
    } else if (status != MEMDB_OK && write->spoiled) {
        static const char note[] = " (half written, so the transaction was aborted)";
        size_t room = sizeof error->message - sizeof note;
        size_t size = strlen(error->message);
        cli_session_abort(session);
        memcpy(error->message + (size < room ? size : room), note, sizeof note);
    }
    return status;
}
