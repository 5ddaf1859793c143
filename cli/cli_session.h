// A session: one open database and at most one transaction.
//
// Requests read and write through cli_read_* and cli_write_*, which use the session's open
// transaction where there is one and else a snapshot or a transaction of their own. Errors are
// filled in with the engine's own message.
#ifndef MEMDB_CLI_SESSION_H
#define MEMDB_CLI_SESSION_H

#include "cli/cli_json.h"

typedef struct cli_session {
    const char *path;
    memdb_durability_t durability; // of the session; at creation also of the database
    bool read_only;
    int output_fd;    // standard output, or what stands in for it
    bool output_gone; // its reader went away
    bool hides_notes; // of the engine: what went as it should, such as a recovery
    memdb_t *db;
    memdb_txn_t *txn;       // between begin and commit
    memdb_snapshot_t *view; // between begin with snapshot and commit: reads only
    cli_json_t *ids;        // of the puts of `txn`, in order
    memdb_error_t refusal;  // why there is no `db`: the answer to every request then
} cli_session_t;

/// Fill `error` and return `status`.
memdb_status_t cli_fail(memdb_error_t *error, memdb_status_t status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/// The same with the engine's last message behind the formatted one. MEMDB_OK passes unharmed.
memdb_status_t cli_engine(cli_session_t *session, memdb_status_t status, memdb_error_t *error,
                          const char *format, ...) __attribute__((format(printf, 4, 5)));

/// Open the database at session->path. create: also where there is none.
memdb_status_t cli_session_open(cli_session_t *session, bool create, memdb_error_t *error);
/// Abort what is open (true: there was an open transaction) and close.
bool cli_session_close(cli_session_t *session);

bool cli_session_in_transaction(const cli_session_t *session);
/// End the transaction or view without writing.
void cli_session_abort(cli_session_t *session);

memdb_status_t cli_read_begin(cli_session_t *session, memdb_snapshot_t **snapshot_out,
                              memdb_error_t *error);
void cli_read_end(cli_session_t *session, memdb_snapshot_t *snapshot);

typedef struct cli_write {
    memdb_txn_t *txn;
    memdb_durability_t durability;
    bool own;     // not the session's: it is committed at the end
    bool spoiled; // part of one request has been written: a failure cannot keep the transaction
} cli_write_t;

/// `durability` is the request's, or MEMDB_DURABILITY_DEFAULT; in an open transaction only the
/// latter is valid.
memdb_status_t cli_write_begin(cli_session_t *session, memdb_durability_t durability,
                               cli_write_t *write_out, memdb_error_t *error);
/// Commit (status MEMDB_OK) or abort what is the request's own. lsn_out is 0 while a transaction
/// stays open.
memdb_status_t cli_write_end(cli_session_t *session, cli_write_t *write, memdb_status_t status,
                             uint64_t *lsn_out, memdb_error_t *error);

#endif
