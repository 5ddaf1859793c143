// From a request to what is seen of its answer.
#include "cli/cli_command.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *advice(const char *code) {
    static const struct {
        const char *code, *advice;
    } table[] = {
        {"MEMDB_CONFLICT", "somebody else changed the same thing first: try again"},
        {"MEMDB_BUSY", "the log is at its limit: try again, or run checkpoint"},
        {"MEMDB_CORRUPT", "run verify to see all of the damage; restore a backup, or salvage"},
        {"MEMDB_NOT_FOUND", "list and spaces show what is there"},
        {"MEMDB_FAILED", "end this program and open the database again"},
        {"MEMDB_FULL", "make room on the file system, then try again"},
        {"MEMDB_INTERRUPTED", "what was committed before stays; an import can be run again"},
        {"MEMDB_NOT_DATABASE", "name a directory that is a memdb database, or an empty or missing "
                               "one to make it with remember"},
        {"MEMDB_UNSUPPORTED", "leave that out: this version cannot do it"},
        {"MEMDB_READ_ONLY", "leave out --read-only to write"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!strcmp(table[i].code, code))
            return table[i].advice;
    return NULL;
}

void cli_complain(const cli_shell_t *shell, const char *code, const char *message) {
    cli_buffer_t clean = {0};
    cli_clean((memdb_bytes_t){message, strlen(message)}, &clean);
    fprintf(stderr, "%s%s: %s\n", shell->interactive ? "" : "memdb: ", code,
            clean.data ? clean.data : "");
    if (advice(code) && (shell->session.db || strcmp(code, "MEMDB_NOT_FOUND") != 0))
        fprintf(stderr, "  %s\n", advice(code));
    cli_buffer_free(&clean);
}

static cli_json_t *run_op(cli_session_t *session, const cli_op_t *op, const cli_json_t *request) {
    memdb_error_t error = {0};
    cli_json_t *answer = cli_json_new_object();
    cli_json_set(answer, "ok", cli_json_new_bool(true));
    memdb_status_t status = cli_fields_check(op->fields, request, &error);
    if (status == MEMDB_OK)
        status = op->run(session, request, answer, &error);
    if (status == MEMDB_OK)
        return answer;
    cli_json_free(answer);
    return cli_refusal(&error);
}

// A verify that fails still has a table to show.
static bool has_findings(const cli_json_t *answer) {
    const cli_json_t *errors = cli_json_get(answer, "errors");
    return errors && cli_json_count(errors);
}

static void show(cli_screen_t *screen, const cli_command_t *command, const cli_json_t *request,
                 const cli_json_t *answer) {
    if (screen->mode == CLI_MODE_JSON) {
        cli_json_write(answer, &screen->out);
        cli_buffer_char(&screen->out, '\n');
    } else if (screen->mode == CLI_MODE_TEXT || cli_json_get(request, "format")) {
        command->print(screen, request, answer);
    } else {
        cli_rows_show(screen, command, request, answer);
    }
}

cli_outcome_t cli_request_show(cli_shell_t *shell, const cli_command_t *command,
                               const cli_json_t *request) {
    cli_json_t *answer;
    if (command->op)
        answer = cli_request_run(&shell->session, request);
    else
        answer = run_op(&shell->session, command->own, request);
    bool good = cli_json_truth(cli_json_get(answer, "ok"));
    bool quiet = cli_json_get(answer, "quiet") !=
                 NULL; // what was asked for has gone to standard output already
    if (!quiet && (good || has_findings(answer) || shell->screen.mode == CLI_MODE_JSON))
        show(&shell->screen, command, request, answer);
    bool open = cli_screen_flush(&shell->screen) && !shell->session.output_gone;
    if (!good && open && shell->screen.mode != CLI_MODE_JSON)
        cli_complain(shell, cli_json_bytes(cli_json_get(answer, "code")).data,
                     cli_json_bytes(cli_json_get(answer, "message")).data);
    cli_json_free(answer);
    if (!open && shell->screen.fd != STDOUT_FILENO && !shell->session.output_gone) {
        fprintf(stderr, "output: %s\n", strerror(errno));
        return CLI_REFUSED;
    }
    return !open ? CLI_CLOSED : good ? CLI_DONE : CLI_REFUSED;
}

// "-" stands for standard input: a text may be larger than the words of a command can be.
static bool read_text(const cli_command_t *command, cli_json_t *request) {
    memdb_bytes_t text = cli_json_bytes(cli_json_get(request, "text"));
    cli_buffer_t input = {0};
    char part[65536];
    ssize_t size = 1;
    if (strcmp(command->name, "remember") != 0 || text.size != 1 || text.data[0] != '-')
        return true;
    while (size > 0 && input.size <= MEMDB_MAX_TEXT_BYTES) { // the engine refuses what is larger
        size = read(STDIN_FILENO, part, sizeof part);
        if (size > 0)
            cli_buffer_append(&input, part, (size_t)size);
    }
    cli_json_t *whole =
        size < 0 ? NULL : cli_json_new_string((memdb_bytes_t){input.data, input.size});
    if (whole)
        cli_json_set(request, "text", whole);
    cli_buffer_free(&input);
    return whole != NULL;
}

cli_outcome_t cli_command_run(cli_shell_t *shell, const cli_command_t *command, int count,
                              char *const *words) {
    char why[200];
    cli_mode_t mode = shell->screen.mode;
    bool json = mode == CLI_MODE_JSON;
    cli_json_t *request = cli_command_parse(command, count, words, &json, why, sizeof why);
    if (!request) {
        fprintf(stderr, "%s%s: %s\n", shell->interactive ? "" : "memdb: ", command->name, why);
        const char *before_name = command->words == CLI_WORDS_PATHS ? "memdb " : "memdb DB ";
        fprintf(stderr, "  usage: %s%s %s [options]\n", shell->interactive ? "." : before_name,
                command->name, command->usage);
        return CLI_MISUSED;
    }
    if (!read_text(command, request)) {
        cli_complain(shell, "MEMDB_INVALID", "text: standard input is not UTF-8, or not readable");
        cli_json_free(request);
        return CLI_REFUSED;
    }
    if (shell->explain && cli_op_field(cli_command_op(command), "explain"))
        cli_json_set(request, "explain", cli_json_new_bool(true));
    if (mode == CLI_MODE_TEXT && !json && !cli_json_get(request, "snippet") &&
        cli_op_field(cli_command_op(command), "snippet"))
        cli_json_set(request, "snippet", cli_json_new_integer(CLI_SNIPPET_BYTES));
    if (command->op)
        cli_json_set(request, "op", cli_json_new_text(command->op));
    if (json)
        shell->screen.mode = CLI_MODE_JSON;
    cli_outcome_t outcome = cli_request_show(shell, command, request);
    shell->screen.mode = mode;
    cli_json_free(request);
    return outcome;
}
