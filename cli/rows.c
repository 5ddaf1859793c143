// Answers as tables: which rows an answer has, and what stands in a cell.
#include "cli/cli_command.h"
#include "cli/cli_time.h"

#include <stdio.h>
#include <string.h>

typedef struct columns {
    char titles[CLI_MAX_COLUMNS][64];
    const char *names[CLI_MAX_COLUMNS]; // titles, as cli_table_create takes them
    size_t count;
} columns_t;

static void add_column(columns_t *columns, const char *title, size_t size) {
    if (columns->count == CLI_MAX_COLUMNS || size >= sizeof columns->titles[0])
        return;
    char *copy = columns->titles[columns->count];
    memcpy(copy, title, size);
    copy[size] = 0;
    columns->names[columns->count++] = copy;
}

// Of a command's list.
static void add_listed(columns_t *columns, const char *list, const cli_json_t *request,
                       bool for_people) {
    for (const char *at = list; *at;) {
        size_t size = strcspn(at, " ");
        bool marked = *at == '?' || *at == '-';
        bool shown = *at == '?' ? cli_json_get(request, "spaces") != NULL : !marked;
        if (shown || !for_people)
            add_column(columns, at + marked, size - marked);
        at += size + (at[size] == ' ');
    }
}

// Of one object: its members that have a value.
static void add_members(columns_t *columns, const cli_json_t *row) {
    for (void *at = cli_json_first(row); at; at = cli_json_next(row, at)) {
        const cli_json_t *value = cli_json_value_at(at);
        cli_json_kind_t kind = cli_json_kind(value);
        bool empty =
            kind == CLI_JSON_NULL ||
            ((kind == CLI_JSON_OBJECT || kind == CLI_JSON_ARRAY) && !cli_json_count(value));
        if (!empty)
            add_column(columns, cli_json_name_at(at), strlen(cli_json_name_at(at)));
    }
}

// "to it: supports; from it: cites": the links that lead to a neighbour.
static void print_links(const cli_json_t *node, const cli_json_t *via, cli_buffer_t *out) {
    for (size_t i = 0; i < cli_json_count(via); i++) {
        const cli_json_t *link = cli_json_at(via, i);
        bool to_it = cli_json_equal(cli_json_get(link, "to"), cli_json_get(node, "id"));
        memdb_bytes_t type = cli_json_bytes(cli_json_get(link, "type"));
        cli_buffer_printf(out, "%s%s", i ? "; " : "", to_it ? "to it" : "from it");
        if (type.size) {
            cli_buffer_text(out, ": ");
            cli_buffer_append(out, type.data, type.size);
        }
    }
}

static void print_value(const cli_json_t *value, bool for_people, cli_buffer_t *out) {
    switch (cli_json_kind(value)) {
    case CLI_JSON_NULL:
        break;
    case CLI_JSON_BOOL:
        cli_buffer_text(out, cli_json_truth(value) ? "yes" : "no");
        break;
    case CLI_JSON_STRING:
        cli_buffer_append(out, cli_json_bytes(value).data, cli_json_bytes(value).size);
        break;
    case CLI_JSON_REAL:
        if (for_people) {
            cli_buffer_printf(out, "%.4g", cli_json_number(value));
            break;
        }
        cli_json_write(value, out);
        break;
    default:
        cli_json_write(value, out);
    }
}

static void add_cell(cli_table_t *table, const cli_json_t *row, const char *name, bool for_people) {
    const cli_json_t *value = cli_json_get(row, name);
    cli_buffer_t text = {0};
    char time[MEMDB_TIME_TEXT_BYTES];
    int64_t moment;
    bool is_text = value && cli_json_kind(value) == CLI_JSON_STRING;
    if (!strcmp(name, "why")) {
        cli_print_shares(cli_json_get(row, "signals"), &text);
    } else if (!strcmp(name, "via") && value) {
        print_links(row, value, &text);
    } else if (for_people && !strcmp(name, "time") && is_text &&
               memdb_time_parse(cli_json_bytes(value), &moment, NULL) == MEMDB_OK) {
        cli_time_print_short(moment, time);
        cli_buffer_text(&text, time);
    } else if (value) {
        print_value(value, for_people, &text);
    }
    cli_table_cell(table, (memdb_bytes_t){text.data, text.size});
    cli_buffer_free(&text);
}

// Answers without rows of their own: each member is one.
static void show_figures(cli_screen_t *screen, const cli_json_t *answer, bool for_people) {
    static const char *const titles[] = {"figure", ">value"};
    cli_table_t *table = cli_table_create(titles, 2);
    for (void *at = cli_json_first(answer); at; at = cli_json_next(answer, at)) {
        cli_buffer_t text = {0};
        if (!strcmp(cli_json_name_at(at), "ok"))
            continue;
        print_value(cli_json_value_at(at), for_people, &text);
        cli_table_text(table, cli_json_name_at(at));
        cli_table_cell(table, (memdb_bytes_t){text.data, text.size});
        cli_buffer_free(&text);
    }
    cli_table_show(table, screen);
    cli_table_destroy(table);
}

void cli_rows_show(cli_screen_t *screen, const cli_command_t *command, const cli_json_t *request,
                   const cli_json_t *answer) {
    bool for_people = screen->mode != CLI_MODE_CSV;
    const cli_json_t *rows = command->rows ? cli_json_get(answer, command->rows) : NULL;
    if (!rows) {
        show_figures(screen, answer, for_people);
        return;
    }
    bool single = cli_json_kind(rows) == CLI_JSON_OBJECT;
    if (!cli_json_count(rows) && screen->mode != CLI_MODE_CSV) {
        command->print(screen, request, answer); // says that there is nothing, and why
        return;
    }
    columns_t columns = {0};
    if (command->columns)
        add_listed(&columns, command->columns, request, for_people);
    else
        add_members(&columns, rows);
    cli_table_t *table = cli_table_create(columns.names, columns.count);
    for (size_t i = 0; i < (single ? 1 : cli_json_count(rows)); i++)
        for (size_t c = 0; c < columns.count; c++) {
            const char *name = columns.names[c] + (columns.names[c][0] == '>');
            add_cell(table, single ? rows : cli_json_at(rows, i), name, for_people);
        }
    cli_table_show(table, screen);
    if (for_people)
        cli_print_plan(screen, answer);
    cli_table_destroy(table);
}
