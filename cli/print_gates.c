// How gates, and what they refused, look to people.
#include "cli/cli_command.h"
#include "cli/cli_time.h"

#include <stdio.h>

void cli_print_gates(cli_screen_t *screen, const cli_json_t *request, const cli_json_t *answer) {
    static const char *const titles[] = {"gate", ">value"};
    const cli_json_t *gates = cli_json_get(answer, "gates");
    cli_table_t *table = cli_table_create(titles, 2);
    (void)request;
    for (void *at = cli_json_first(gates); at; at = cli_json_next(gates, at)) {
        const cli_json_t *value = cli_json_value_at(at);
        char number[32];
        cli_table_text(table, cli_json_name_at(at));
        if (cli_json_kind(value) == CLI_JSON_BOOL) {
            cli_table_text(table, cli_json_truth(value) ? "yes" : "no");
        } else {
            snprintf(number, sizeof number, "%.15g", cli_json_number(value));
            cli_table_text(table, number);
        }
    }
    if (cli_json_count(gates))
        cli_table_show(table, screen);
    else
        cli_show_text(screen, CLI_DIM, "all gates are open"), cli_buffer_char(&screen->out, '\n');
    cli_table_destroy(table);
}

void cli_print_refused(cli_screen_t *screen, const cli_json_t *request, const cli_json_t *answer) {
    static const char *const titles[] = {"gate", ">like", "text"};
    const cli_json_t *refused = cli_json_get(answer, "refused");
    cli_table_t *table = cli_table_create(titles, 3);
    (void)request;
    for (size_t i = 0; i < cli_json_count(refused); i++) {
        const cli_json_t *refusal = cli_json_at(refused, i), *like = cli_json_get(refusal, "like");
        char number[32] = "";
        if (like)
            snprintf(number, sizeof number, "#%lld", (long long)cli_json_integer(like));
        cli_table_cell(table, cli_json_bytes(cli_json_get(refusal, "gate")));
        cli_table_text(table, number);
        cli_table_cell(table, cli_json_bytes(cli_json_get(refusal, "text")));
    }
    if (cli_json_count(refused))
        cli_table_show(table, screen);
    else
        cli_show_text(screen, CLI_DIM, "nothing was refused since this shell opened the database"),
            cli_buffer_char(&screen->out, '\n');
    cli_table_destroy(table);
}
