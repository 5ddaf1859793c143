// Tables: plain, in a box, as Markdown, as CSV, and one cell a line.
//
// A grid fits the screen: each column is as wide as its widest cell, and where that is too much in
// all, the widest ones are cut. Markdown and CSV are for other programs and lose nothing.
#include "cli/cli_terminal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEAST_WIDTH 1 // a column is not cut below this

const char *const cli_modes[] = {"text", "table", "box", "line", "csv", "markdown", "json", NULL};

typedef struct cell {
    char *data; // terminated, but may hold NUL
    size_t size;
} cell_t;

struct cli_table {
    const char *titles[CLI_MAX_COLUMNS];
    bool right[CLI_MAX_COLUMNS];
    size_t columns, count, capacity;
    cell_t *cells; // row by row
};

// What stands around the cells of a grid.
typedef struct frame {
    const char *left, *between, *right;
    const char *top[4], *below_titles[4],
        *bottom[4]; // begin, repeat, cross, end; NULL: no such line
    bool cuts;
} frame_t;

cli_table_t *cli_table_create(const char *const *titles, size_t columns) {
    cli_table_t *table = cli_allocate(sizeof *table);
    table->columns = columns < CLI_MAX_COLUMNS ? columns : CLI_MAX_COLUMNS;
    for (size_t i = 0; i < table->columns; i++) {
        table->right[i] = titles[i][0] == '>';
        table->titles[i] = titles[i] + table->right[i];
    }
    return table;
}

void cli_table_destroy(cli_table_t *table) {
    if (!table)
        return;
    for (size_t i = 0; i < table->count; i++)
        free(table->cells[i].data);
    free(table->cells);
    free(table);
}

void cli_table_cell(cli_table_t *table, memdb_bytes_t text) {
    if (table->count == table->capacity) {
        table->capacity = table->capacity ? table->capacity * 2 : 64;
        table->cells = realloc(table->cells, table->capacity * sizeof *table->cells);
        if (!table->cells)
            cli_out_of_memory();
    }
    table->cells[table->count++] = (cell_t){cli_duplicate(text.data, text.size), text.size};
}

void cli_table_text(cli_table_t *table, const char *text) {
    cli_table_cell(table, (memdb_bytes_t){text, strlen(text)});
}

void cli_print_grouped(int64_t number, char out[32]) {
    char digits[24];
    snprintf(digits, sizeof digits, "%lld", (long long)number);
    size_t size = strlen(digits), at = 0;
    for (size_t i = 0; i < size; i++) {
        if (i && (size - i) % 3 == 0 && digits[i - 1] != '-')
            out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = 0;
}

void cli_table_number(cli_table_t *table, int64_t number) {
    char text[32];
    cli_print_grouped(number, text);
    cli_table_text(table, text);
}

static memdb_bytes_t cell_at(const cli_table_t *table, size_t number) {
    return (memdb_bytes_t){table->cells[number].data, table->cells[number].size};
}

static memdb_bytes_t title_at(const cli_table_t *table, size_t column) {
    return (memdb_bytes_t){table->titles[column], strlen(table->titles[column])};
}

// ------------------------------------------------------------------------------ grids

// The widths of the columns: chosen ones, else by the cells, then cut from the widest down until
// the row fits into `room`.
static void fit(const cli_table_t *table, const cli_screen_t *screen, size_t room, size_t *widths) {
    size_t total = 0;
    for (size_t c = 0; c < table->columns; c++) {
        widths[c] = cli_text_columns(title_at(table, c));
        for (size_t i = c; i < table->count; i += table->columns) {
            size_t columns = cli_text_columns(cell_at(table, i));
            if (columns > widths[c])
                widths[c] = columns;
        }
        if (screen->widths[c])
            widths[c] = screen->widths[c];
        total += widths[c];
    }
    while (total > room) {
        size_t widest = CLI_MAX_COLUMNS, next = LEAST_WIDTH, alike = 1;
        for (size_t c = 0; c < table->columns; c++) {
            if (screen->widths[c])
                continue;
            if (widest == CLI_MAX_COLUMNS || widths[c] > widths[widest]) {
                if (widest != CLI_MAX_COLUMNS && widths[widest] > next)
                    next = widths[widest];
                widest = c;
                alike = 1;
            } else if (widths[c] == widths[widest]) {
                alike++;
            } else if (widths[c] > next) {
                next = widths[c];
            }
        }
        if (widest == CLI_MAX_COLUMNS || widths[widest] <= LEAST_WIDTH)
            return;
        // All that are as wide as the widest lose alike, down to the next one.
        size_t excess = (total - room + alike - 1) / alike, cut = widths[widest] - next;
        cut = cut < excess ? cut : excess;
        for (size_t c = 0, width = widths[widest]; c < table->columns; c++)
            if (!screen->widths[c] && widths[c] == width) {
                size_t less = cut < total - room ? cut : total - room;
                widths[c] -= less;
                total -= less;
            }
    }
}

// A cell in its width, padded but for the last of a row that ends with it.
static void show_cell(cli_screen_t *screen, memdb_bytes_t text, size_t width, bool right, bool pads,
                      cli_style_t style) {
    size_t columns = cli_text_columns(text);
    int padding = columns < width ? (int)(width - columns) : 0;
    if (right)
        cli_buffer_printf(&screen->out, "%*s", padding, "");
    size_t shown = cli_show_cut(screen, style, text, width);
    if (!right && pads)
        cli_buffer_printf(&screen->out, "%*s", (int)(width - shown), "");
}

static void show_rule(cli_screen_t *screen, const cli_table_t *table, const char *const rule[4],
                      const size_t *widths) {
    if (!rule[0])
        return;
    for (size_t c = 0; c < table->columns; c++) {
        cli_buffer_text(&screen->out, c ? rule[2] : rule[0]);
        for (size_t i = 0; i < widths[c] + 2; i++)
            cli_buffer_text(&screen->out, rule[1]);
    }
    cli_buffer_text(&screen->out, rule[3]);
    cli_buffer_char(&screen->out, '\n');
}

static void show_grid(cli_screen_t *screen, const cli_table_t *table, const frame_t *frame) {
    size_t widths[CLI_MAX_COLUMNS], edges = strlen(frame->right) ? 4 : 0; // of the outer edges
    size_t taken = edges + (table->columns - 1) * (edges ? 3 : 2);
    size_t room = frame->cuts ? (screen->width > taken ? screen->width - taken : 0) : SIZE_MAX;
    fit(table, screen, room, widths);
    show_rule(screen, table, frame->top, widths);
    for (size_t row = 0; row <= table->count / table->columns; row++) {
        cli_buffer_text(&screen->out, frame->left);
        for (size_t c = 0; c < table->columns; c++) {
            bool last = c + 1 == table->columns;
            memdb_bytes_t text =
                row ? cell_at(table, (row - 1) * table->columns + c) : title_at(table, c);
            show_cell(screen, text, widths[c], table->right[c], !last || edges,
                      row ? CLI_PLAIN : CLI_DIM);
            cli_buffer_text(&screen->out, last ? frame->right : frame->between);
        }
        cli_buffer_char(&screen->out, '\n');
        if (!row)
            show_rule(screen, table, frame->below_titles, widths);
    }
    show_rule(screen, table, frame->bottom, widths);
}

// ------------------------------------------------------------------------------ for programs

static void show_markdown(cli_screen_t *screen, const cli_table_t *table) {
    for (size_t c = 0; c < table->columns; c++)
        cli_buffer_printf(&screen->out, "%s%s", c ? " | " : "| ", table->titles[c]);
    cli_buffer_text(&screen->out, " |\n");
    for (size_t c = 0; c < table->columns; c++)
        cli_buffer_text(&screen->out, table->right[c] ? "|--:" : "|---");
    cli_buffer_text(&screen->out, "|\n");
    for (size_t i = 0; i < table->count; i++) {
        cli_buffer_t clean = {0};
        cli_clean(cell_at(table, i), &clean);
        cli_buffer_text(&screen->out, i % table->columns ? " | " : "| ");
        for (size_t at = 0; at < clean.size; at++) {
            if (clean.data[at] == '|' || clean.data[at] == '\\')
                cli_buffer_char(&screen->out, '\\');
            cli_buffer_char(&screen->out, clean.data[at]);
        }
        if ((i + 1) % table->columns == 0)
            cli_buffer_text(&screen->out, " |\n");
        cli_buffer_free(&clean);
    }
}

// RFC 4180, with a newline alone at the end of a row. What a terminal would obey is replaced there;
// a file gets the text as it is.
static void show_field(cli_screen_t *screen, memdb_bytes_t text) {
    cli_buffer_t clean = {0};
    if (screen->terminal) {
        cli_clean(text, &clean);
        text = (memdb_bytes_t){clean.data, clean.size};
    }
    bool quoted = false;
    for (size_t i = 0; i < text.size; i++)
        quoted |= memchr(",\"\r\n", text.data[i], 4) != NULL;
    if (quoted)
        cli_buffer_char(&screen->out, '"');
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '"')
            cli_buffer_char(&screen->out, '"');
        cli_buffer_char(&screen->out, text.data[i]);
    }
    if (quoted)
        cli_buffer_char(&screen->out, '"');
    cli_buffer_free(&clean);
}

static void show_csv(cli_screen_t *screen, const cli_table_t *table) {
    for (size_t c = 0; c < table->columns; c++) {
        show_field(screen, title_at(table, c));
        cli_buffer_char(&screen->out, c + 1 == table->columns ? '\n' : ',');
    }
    for (size_t i = 0; i < table->count; i++) {
        show_field(screen, cell_at(table, i));
        cli_buffer_char(&screen->out, (i + 1) % table->columns ? ',' : '\n');
    }
}

// "title = cell" below each other, and an empty line between rows.
static void show_lines(cli_screen_t *screen, const cli_table_t *table) {
    size_t width = 0;
    for (size_t c = 0; c < table->columns; c++)
        if (strlen(table->titles[c]) > width)
            width = strlen(table->titles[c]);
    for (size_t i = 0; i < table->count; i++) {
        size_t column = i % table->columns;
        if (i && !column)
            cli_buffer_char(&screen->out, '\n');
        cli_buffer_printf(&screen->out, "%*s", (int)(width - strlen(table->titles[column])), "");
        cli_show_text(screen, CLI_DIM, table->titles[column]);
        cli_buffer_text(&screen->out, " = ");
        cli_show_hanging(screen, cell_at(table, i), width + 3, NULL);
    }
}

void cli_table_show(const cli_table_t *table, cli_screen_t *screen) {
    static const frame_t plain = {.left = "", .between = "  ", .right = "", .cuts = true};
    static const frame_t box = {.left = "│ ",
                                .between = " │ ",
                                .right = " │",
                                .top = {"┌", "─", "┬", "┐"},
                                .below_titles = {"├", "─", "┼", "┤"},
                                .bottom = {"└", "─", "┴", "┘"},
                                .cuts = true};
    switch (screen->mode) {
    case CLI_MODE_LINE:
        show_lines(screen, table);
        return;
    case CLI_MODE_CSV:
        show_csv(screen, table);
        return;
    case CLI_MODE_MARKDOWN:
        show_markdown(screen, table);
        return;
    default:
        show_grid(screen, table, screen->mode == CLI_MODE_BOX ? &box : &plain);
    }
}
