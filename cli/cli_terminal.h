// What people see: width, colour, wrapped text and tables. Everything is composed in a buffer and
// written at once.
//
// Text out of a database is shown, never obeyed: control characters, among them those that begin
// terminal sequences, are replaced before anything is printed.
#ifndef MEMDB_CLI_TERMINAL_H
#define MEMDB_CLI_TERMINAL_H

#include "cli/cli_buffer.h"
#include "include/memdb.h"

typedef struct cli_screen {
    cli_buffer_t out;
    size_t width;
    bool colour;
} cli_screen_t;

typedef enum cli_style { CLI_PLAIN, CLI_BOLD, CLI_DIM, CLI_GREEN } cli_style_t;

/// Width of the terminal on standard output (80 where there is none); colour when it is a terminal
/// and NO_COLOR is not set.
void cli_screen_init(cli_screen_t *screen);
void cli_screen_deinit(cli_screen_t *screen);
/// Write what was composed to standard output, and empty the screen. false: the output is closed.
bool cli_screen_flush(cli_screen_t *screen);

/// Columns that cleaned text takes: wide characters two, combining ones none.
size_t cli_text_columns(memdb_bytes_t text);
/// Append text with control characters replaced; newlines become spaces.
void cli_clean(memdb_bytes_t text, cli_buffer_t *out);
/// Clean text in a style.
void cli_show(cli_screen_t *screen, cli_style_t style, memdb_bytes_t text);
void cli_show_text(cli_screen_t *screen, cli_style_t style, const char *text);
/// Wrap text to the width behind `indent` spaces. Words that the question has too are bold.
void cli_show_wrapped(cli_screen_t *screen, memdb_bytes_t text, size_t indent,
                      memdb_bytes_t question);

typedef struct cli_table cli_table_t;
/// `columns` titles; a title that begins with '>' is right-aligned, with '*' shrinks when the table
/// is too wide.
cli_table_t *cli_table_create(const char *const *titles, size_t columns);
void cli_table_destroy(cli_table_t *table);
/// Cells go row by row.
void cli_table_cell(cli_table_t *table, memdb_bytes_t text);
void cli_table_text(cli_table_t *table, const char *text);
void cli_table_number(cli_table_t *table, int64_t number);
void cli_table_show(cli_table_t *table, cli_screen_t *screen);

/// "12,345"
void cli_print_grouped(int64_t number, char out[32]);

#endif
