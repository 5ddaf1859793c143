// What people see: width, colour, wrapped text and tables. Everything is composed in a buffer and
// written at once.
//
// Text out of a database is shown, never obeyed: control characters, among them those that begin
// terminal sequences, are replaced before anything is printed.
#ifndef MEMDB_CLI_TERMINAL_H
#define MEMDB_CLI_TERMINAL_H

#include "cli/cli_buffer.h"
#include "include/memdb.h"

typedef enum cli_mode {
    CLI_MODE_TEXT, // as each command finds best for people
    CLI_MODE_TABLE,
    CLI_MODE_BOX,
    CLI_MODE_LINE,
    CLI_MODE_CSV,
    CLI_MODE_MARKDOWN,
    CLI_MODE_JSON
} cli_mode_t;
extern const char *const cli_modes[]; // names, in that order; ends with NULL

#define CLI_MAX_COLUMNS 32

typedef struct cli_screen {
    cli_buffer_t out;
    int fd; // what is written to
    size_t width;
    bool colour;
    bool terminal;
    cli_mode_t mode;
    size_t widths[CLI_MAX_COLUMNS]; // that somebody chose for columns of tables; 0: by their cells
} cli_screen_t;

typedef enum cli_style { CLI_PLAIN, CLI_BOLD, CLI_DIM, CLI_GREEN } cli_style_t;

/// Write to `fd` from now on: the width of the terminal there (80 where there is none), and colour
/// when it is a terminal and NO_COLOR is not set. Again for the same one: its width may have
/// changed.
void cli_screen_aim(cli_screen_t *screen, int fd);
void cli_screen_deinit(cli_screen_t *screen);
/// Write what was composed, and empty the screen. false: the output is closed.
bool cli_screen_flush(cli_screen_t *screen);

/// Columns that cleaned text takes: wide characters two, combining ones none.
size_t cli_text_columns(memdb_bytes_t text);
/// Append text with control characters replaced; newlines become spaces.
void cli_clean(memdb_bytes_t text, cli_buffer_t *out);
/// How many bytes of cleaned text fit into `columns`.
size_t cli_text_fitting(memdb_bytes_t text, size_t columns);
/// Clean text in a style.
void cli_show(cli_screen_t *screen, cli_style_t style, memdb_bytes_t text);
void cli_show_text(cli_screen_t *screen, cli_style_t style, const char *text);
/// The same in at most `columns`, at least one: a longer text ends with an ellipsis. What it took.
size_t cli_show_cut(cli_screen_t *screen, cli_style_t style, memdb_bytes_t text, size_t columns);
/// Places of a text that are bold, rising and apart.
typedef struct cli_marks {
    const memdb_mark_t *items;
    size_t count;
} cli_marks_t;
/// Wrap text to the width behind `indent` spaces. `marks` may be NULL.
void cli_show_wrapped(cli_screen_t *screen, memdb_bytes_t text, size_t indent,
                      const cli_marks_t *marks);

/// The same from where the line stands, which is `indent` columns in: only further lines are
/// indented.
void cli_show_hanging(cli_screen_t *screen, memdb_bytes_t text, size_t indent,
                      const cli_marks_t *marks);

typedef struct cli_table cli_table_t;
/// `columns` titles, at most CLI_MAX_COLUMNS; a title that begins with '>' is right-aligned.
cli_table_t *cli_table_create(const char *const *titles, size_t columns);
void cli_table_destroy(cli_table_t *table);
/// Cells go row by row; they are copied.
void cli_table_cell(cli_table_t *table, memdb_bytes_t text);
void cli_table_text(cli_table_t *table, const char *text);
void cli_table_number(cli_table_t *table, int64_t number);
/// In the screen's mode; as plain table in those that are none.
void cli_table_show(const cli_table_t *table, cli_screen_t *screen);

/// "12,345"
void cli_print_grouped(int64_t number, char out[32]);

#endif
