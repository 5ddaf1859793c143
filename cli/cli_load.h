// Loading a dump (dump.c has the format): all of it, or nothing.
#ifndef MEMDB_CLI_LOAD_H
#define MEMDB_CLI_LOAD_H

#include "cli/cli_request.h"

typedef struct cli_load cli_load_t;

/// Whether a file that begins with this line is a dump.
bool cli_is_dump(const char *line, size_t size);
/// The session must have no open transaction; until the end it has the load's.
cli_load_t *cli_load_begin(cli_session_t *session, memdb_durability_t durability);
/// One more line, from the first on.
memdb_status_t cli_load_line(cli_load_t *load, const char *line, size_t size, memdb_error_t *error);
/// Commit the rest and say in `answer` what came; or, when `status` is a failure, drop what came.
memdb_status_t cli_load_end(cli_load_t *load, memdb_status_t status, cli_json_t *answer,
                            memdb_error_t *error);

#endif
