// A file in the making: "NAME.partial" until it is complete, so that a file appears under its name
// only when it is whole.
#ifndef MEMDB_CLI_OUTPUT_H
#define MEMDB_CLI_OUTPUT_H

#include "cli/cli_session.h"

typedef struct cli_output {
    const char *name; // NULL: a descriptor that was open before
    char *partial;
    int fd;    // -1: there is none
    bool gone; // its reader went away
    cli_buffer_t buffer;
} cli_output_t;

/// Open the file `name`, a string; `force` replaces one that exists.
memdb_status_t cli_output_open(cli_output_t *output, const cli_json_t *name, bool force,
                               memdb_error_t *error);
/// Write the buffer when it has more than `above` bytes.
memdb_status_t cli_output_flush(cli_output_t *output, size_t above, memdb_error_t *error);
#define CLI_OUTPUT_BYTES ((size_t)1 << 20)
/// Write the rest and give the file its name, or remove it when `status` is a failure.
memdb_status_t cli_output_close(cli_output_t *output, memdb_status_t status, memdb_error_t *error);

#endif
