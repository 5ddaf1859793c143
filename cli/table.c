// Tables that fit the terminal: columns as wide as their widest cell, and one of them cut where
// that is too much.
#include "cli/cli_terminal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_COLUMNS 12

struct cli_table {
    const char *titles[MAX_COLUMNS];
    bool right[MAX_COLUMNS], shrinks[MAX_COLUMNS];
    size_t columns, count, capacity;
    char **cells; // row by row, cleaned
};

cli_table_t *cli_table_create(const char *const *titles, size_t columns) {
    cli_table_t *table = cli_allocate(sizeof *table);
    table->columns = columns < MAX_COLUMNS ? columns : MAX_COLUMNS;
    for (size_t i = 0; i < table->columns; i++) {
        table->right[i] = titles[i][0] == '>';
        table->shrinks[i] = titles[i][0] == '*';
        table->titles[i] = titles[i] + (table->right[i] || table->shrinks[i]);
    }
    return table;
}

void cli_table_destroy(cli_table_t *table) {
    if (!table)
        return;
    for (size_t i = 0; i < table->count; i++)
        free(table->cells[i]);
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
    cli_buffer_t clean = {0};
    cli_buffer_append(&clean, "", 0);
    cli_clean(text, &clean);
    table->cells[table->count++] = clean.data;
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

static size_t columns_of_text(const char *text) {
    return cli_text_columns((memdb_bytes_t){text, strlen(text)});
}

static void fit(const cli_table_t *table, size_t width, size_t *widths) {
    size_t total = 0;
    for (size_t c = 0; c < table->columns; c++) {
        widths[c] = columns_of_text(table->titles[c]);
        for (size_t i = c; i < table->count; i += table->columns) {
            size_t columns = columns_of_text(table->cells[i]);
            if (columns > widths[c])
                widths[c] = columns;
        }
        total += widths[c] + 2;
    }
    for (size_t c = 0; c < table->columns && total > width; c++) {
        size_t excess = total - width, least = 12;
        if (!table->shrinks[c] || widths[c] <= least)
            continue;
        size_t cut = widths[c] - least < excess ? widths[c] - least : excess;
        widths[c] -= cut;
        total -= cut;
    }
}

static void show_cell(cli_screen_t *screen, const char *text, size_t width, bool right, bool last,
                      cli_style_t style) {
    size_t columns = columns_of_text(text);
    char *cut = NULL;
    if (columns > width) {
        size_t size = strlen(text);
        cut = cli_duplicate(text, size + 3);
        while (size && columns + 3 > width) {
            do {
                size--;
            } while (size && ((unsigned char)cut[size] & 0xC0) == 0x80);
            columns = cli_text_columns((memdb_bytes_t){cut, size});
        }
        memcpy(cut + size, "...", 4);
        text = cut;
        columns += 3;
    }
    size_t padding = columns < width ? width - columns : 0;
    if (right)
        cli_buffer_printf(&screen->out, "%*s", (int)padding, "");
    cli_show_text(screen, style, text);
    if (!last)
        cli_buffer_printf(&screen->out, "%*s", (int)((right ? 0 : padding) + 2), "");
    free(cut);
}

void cli_table_show(cli_table_t *table, cli_screen_t *screen) {
    size_t widths[MAX_COLUMNS];
    fit(table, screen->width, widths);
    for (size_t c = 0; c < table->columns; c++)
        show_cell(screen, table->titles[c], widths[c], table->right[c], c + 1 == table->columns,
                  CLI_DIM);
    cli_buffer_char(&screen->out, '\n');
    for (size_t i = 0; i < table->count; i++) {
        size_t c = i % table->columns;
        show_cell(screen, table->cells[i], widths[c], table->right[c], c + 1 == table->columns,
                  CLI_PLAIN);
        if (c + 1 == table->columns)
            cli_buffer_char(&screen->out, '\n');
    }
}
