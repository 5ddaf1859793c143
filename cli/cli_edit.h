// Line editing and history, from libedit. edit.c is the adapter and the only file that includes it.
#ifndef MEMDB_CLI_EDIT_H
#define MEMDB_CLI_EDIT_H

#include <stddef.h>

typedef struct cli_edit cli_edit_t;

/// `history_path` may be NULL: no history is kept. NULL: the terminal cannot be used.
cli_edit_t *cli_edit_open(const char *history_path);
/// The next line without its newline, lent until the next call; NULL at the end of input. Ctrl-C
/// gives an empty one.
const char *cli_edit_line(cli_edit_t *edit, const char *prompt, size_t *size_out);
/// Save the history and give the terminal back.
void cli_edit_close(cli_edit_t *edit);

#endif
