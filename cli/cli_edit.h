// Line editing and history, from libedit. edit.c is the adapter and the only file that includes it.
#ifndef MEMDB_CLI_EDIT_H
#define MEMDB_CLI_EDIT_H

#include "cli/cli_buffer.h"

typedef struct cli_edit cli_edit_t;

/// Appends to `offers` what the end of `line` could become, each with a terminator; they replace
/// the line from `*from_out` on.
typedef void (*cli_edit_complete_fn)(void *context, const char *line, cli_buffer_t *offers,
                                     size_t *from_out);

/// `history_path` may be NULL: no history is kept. NULL: the terminal cannot be used.
cli_edit_t *cli_edit_open(const char *history_path, cli_edit_complete_fn complete, void *context);
/// The next line without its newline, lent until the next call; NULL at the end of input. Ctrl-C
/// gives an empty one.
const char *cli_edit_line(cli_edit_t *edit, const char *prompt, size_t *size_out);
/// Give the terminal back.
void cli_edit_close(cli_edit_t *edit);

#endif
