// JSON lines: one request a line, one answer a line, in order.
#include "cli/cli_command.h"
#include "cli/cli_lines.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static cli_json_t *too_long(void) {
    memdb_error_t error;
    cli_fail(&error, MEMDB_INVALID, "the line is longer than 64 MiB");
    return cli_refusal(&error);
}

cli_outcome_t cli_json_loop(cli_shell_t *shell) {
    cli_lines_t lines;
    cli_line_kind_t kind = CLI_LINE_END;
    const char *line;
    size_t size;
    bool open = true;
    int held = cli_lines_outlive(STDIN_FILENO);
    cli_lines_init(&lines, STDIN_FILENO, CLI_MAX_LINE_BYTES);
    while (open) {
        kind = cli_lines_next(&lines, &line, &size);
        if (kind == CLI_LINE_END || kind == CLI_LINE_FAILED)
            break;
        cli_json_t *answer =
            kind == CLI_LINE ? cli_request_line(&shell->session, line, size) : too_long();
        cli_json_write(answer, &shell->screen.out);
        cli_buffer_char(&shell->screen.out, '\n');
        cli_json_free(answer);
        open = cli_screen_flush(&shell->screen);
    }
    cli_lines_deinit(&lines);
    if (held >= 0)
        close(held);
    if (kind == CLI_LINE_FAILED)
        fprintf(stderr, "memdb: standard input: %s\n", strerror(errno));
    return !open ? CLI_CLOSED : kind == CLI_LINE_FAILED ? CLI_REFUSED : CLI_DONE;
}
