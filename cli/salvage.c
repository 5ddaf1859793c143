// salvage: the one command that opens no database. `memdb salvage FROM TO`.
//
// What is lost is written as it is met, a line each; with --json one object at the end. Exit codes:
// 0 all was whole, 1 something is lost (or it could not be done), 2 wrong usage.
#include "cli/cli_command.h"

#include <stdio.h>
#include <string.h>

typedef struct salvage {
    cli_shell_t *shell;
    cli_json_t *losses; // with --json
} salvage_t;

static void show_loss(cli_screen_t *screen, const memdb_loss_t *loss) {
    cli_buffer_printf(&screen->out, "%s at %llu: %s", loss->file, (unsigned long long)loss->offset,
                      loss->what);
    if (loss->last_id == UINT64_MAX)
        cli_buffer_printf(&screen->out, " (memories from %llu on)",
                          (unsigned long long)loss->first_id);
    else if (loss->last_id != loss->first_id)
        cli_buffer_printf(&screen->out, " (memories %llu to %llu)",
                          (unsigned long long)loss->first_id, (unsigned long long)loss->last_id);
    else if (loss->first_id)
        cli_buffer_printf(&screen->out, " (memory %llu)", (unsigned long long)loss->first_id);
    if (loss->key.size) {
        cli_buffer_text(&screen->out, " key ");
        cli_buffer_append(&screen->out, loss->key.data, loss->key.size);
    }
    cli_buffer_char(&screen->out, '\n');
}

static cli_json_t *json_of(const memdb_loss_t *loss) {
    cli_json_t *object = cli_json_new_object();
    cli_json_set(object, "file", cli_json_new_text(loss->file));
    cli_set_unsigned(object, "offset", loss->offset);
    cli_json_set(object, "what", cli_json_new_text(loss->what));
    if (loss->first_id || loss->last_id) {
        cli_set_unsigned(object, "first_id", loss->first_id);
        if (loss->last_id != UINT64_MAX)
            cli_set_unsigned(object, "last_id", loss->last_id);
    }
    if (loss->key.size)
        cli_json_set(object, "key", cli_bytes_json(loss->key));
    return object;
}

static void lost(void *context, const memdb_loss_t *loss) {
    salvage_t *salvage = context;
    if (salvage->losses) {
        cli_json_append(salvage->losses, json_of(loss));
    } else {
        show_loss(&salvage->shell->screen, loss);
        cli_screen_flush(&salvage->shell->screen);
    }
}

cli_outcome_t cli_salvage(cli_shell_t *shell, int count, char *const *words) {
    salvage_t salvage = {.shell = shell,
                         .losses =
                             shell->screen.mode == CLI_MODE_JSON ? cli_json_new_array() : NULL};
    memdb_error_t error = {0};
    uint64_t losses = 0;
    if (count != 2 || !*words[0] || !*words[1]) {
        cli_json_free(salvage.losses);
        fputs("memdb: salvage: wants FROM TO\n  usage: memdb salvage FROM TO\n", stderr);
        return CLI_MISUSED;
    }
    memdb_status_t status = memdb_salvage(words[0], words[1], lost, &salvage, &losses, &error);
    if (shell->screen.mode == CLI_MODE_JSON) {
        cli_json_t *answer = cli_json_new_object();
        cli_json_set(answer, "ok", cli_json_new_bool(status == MEMDB_OK));
        if (status) {
            cli_json_set(answer, "code", cli_json_new_text(memdb_status_name(status)));
            cli_json_set(answer, "message", cli_json_new_text(error.message));
        }
        cli_json_set(answer, "losses", salvage.losses);
        cli_json_write(answer, &shell->screen.out);
        cli_buffer_char(&shell->screen.out, '\n');
        cli_json_free(answer);
    } else if (status) {
        cli_complain(shell, memdb_status_name(status), error.message);
    } else {
        cli_buffer_printf(&shell->screen.out, losses ? "%llu losses\n" : "nothing is lost\n",
                          (unsigned long long)losses);
    }
    cli_screen_flush(&shell->screen);
    return status || losses ? CLI_REFUSED : CLI_DONE;
}
