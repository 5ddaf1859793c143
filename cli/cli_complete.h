// Completion at the prompt.
#ifndef MEMDB_CLI_COMPLETE_H
#define MEMDB_CLI_COMPLETE_H

#include "cli/cli_command.h"

/// What the last word of `line` could become: "offers" and how much of the line they replace. The
/// words are appended to `offers`, each with its terminator; `from_out` is where the word begins.
void cli_complete(cli_shell_t *shell, const char *line, cli_buffer_t *offers, size_t *from_out);

#endif
