// The prompt: plain text asks, "+ text" stores, and a line that begins with a dot is a command.
//
// Without a terminal on standard input the same lines are read as they come, with no greeting and
// no prompt, and the program ends with 1 when one of them failed. The lines of ~/.memdbrc come
// first either way.
#include "cli/cli_command.h"
#include "cli/cli_complete.h"
#include "cli/cli_edit.h"
#include "cli/cli_interrupt.h"
#include "cli/cli_lines.h"
#include "cli/cli_words.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static cli_outcome_t run_text(cli_shell_t *shell, const char *name, const char *text) {
    char *words[] = {(char *)(uintptr_t) "--", (char *)(uintptr_t)text};
    return cli_command_run(shell, cli_command_find(name), 2, words);
}

static cli_outcome_t run_act(cli_shell_t *shell, const cli_command_t *command, const char *rest) {
    size_t size = strlen(rest);
    while (size && isspace((unsigned char)rest[size - 1]))
        size--;
    char *trimmed = cli_duplicate(rest, size);
    cli_outcome_t outcome = command->act(shell, trimmed);
    free(trimmed);
    return outcome;
}

static cli_outcome_t run_command(cli_shell_t *shell, const char *line) {
    char name[32];
    size_t size = strcspn(line, " \t");
    snprintf(name, sizeof name, "%.*s", (int)(size < sizeof name ? size : sizeof name - 1), line);
    const cli_command_t *command = cli_command_find(strcmp(name, "quit") ? name : "exit");
    if (!command) {
        const cli_command_t *nearest = cli_command_nearest(name, true);
        fprintf(stderr, "there is no command .%s\n  ", name);
        if (nearest)
            fprintf(stderr, "did you mean .%s? ", nearest->name);
        fputs(".help lists them all\n", stderr);
        return CLI_MISUSED;
    }
    const char *rest = line + size;
    while (isspace((unsigned char)*rest))
        rest++;
    if (command->act)
        return run_act(shell, command, rest);
    cli_words_list_t words = {0};
    cli_words_split(command, rest, &words);
    cli_outcome_t outcome = cli_command_run(shell, command, words.count, words.items);
    cli_words_free(&words);
    return outcome;
}

static cli_outcome_t run_line(cli_shell_t *shell, const char *line) {
    if (line[0] == '.' && isalpha((unsigned char)line[1]))
        return run_command(shell, line + 1);
    if (line[0] == '+' && isspace((unsigned char)line[1])) {
        const char *text = line + 1;
        while (isspace((unsigned char)*text))
            text++;
        return run_text(shell, "remember", text);
    }
    return run_text(shell, "recall", line);
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

cli_outcome_t cli_prompt_line(cli_shell_t *shell, const char *line) {
    while (isspace((unsigned char)*line))
        line++;
    if (!*line || (line[0] == '#' && (!line[1] || isspace((unsigned char)line[1]))))
        return CLI_DONE; // nothing, or a remark
    bool timed = shell->timer, once = shell->once;
    double began = seconds();
    cli_screen_aim(&shell->screen, shell->screen.fd); // the terminal may have another size now
    cli_outcome_t outcome = run_line(shell, line);
    if (timed)
        fprintf(stderr, "time: %.1f ms\n", 1e3 * (seconds() - began));
    if (once && !cli_output_end(shell))
        outcome = CLI_REFUSED;
    return outcome;
}

// ------------------------------------------------------------------------------ where lines come
// from

static void complete(void *context, const char *line, cli_buffer_t *offers, size_t *from_out) {
    cli_complete(context, line, offers, from_out);
}

static void run_edited(cli_shell_t *shell, cli_edit_t *edit) {
    const char *line;
    size_t size;
    cli_interrupt_begin(NULL); // the editor takes Ctrl-C as a key, but for moments around a line
    while (!shell->ended &&
           (line = cli_edit_line(edit, shell->prompt ? shell->prompt : "memdb> ", &size))) {
        cli_interrupt_begin(shell->session.db);
        if (cli_prompt_line(shell, line) == CLI_CLOSED)
            shell->ended = true;
        cli_interrupt_end();
    }
    if (!shell->ended)
        putchar('\n'); // Ctrl-D leaves the cursor behind the prompt
}

static cli_outcome_t run_terminal(cli_shell_t *shell) {
    char *history = cli_history_path();
    cli_edit_t *edit = cli_edit_open(history, complete, shell);
    free(history);
    if (!edit) {
        fputs("memdb: this terminal cannot edit lines\n", stderr);
        return CLI_REFUSED;
    }
    printf("memdb %s, %s\n"
           "Ask in plain words. A line that begins with \"+ \" is remembered.\n"
           ".help lists the commands, Tab completes them, .exit ends.\n",
           memdb_version(), shell->session.path);
    fflush(stdout);
    run_edited(shell, edit);
    cli_edit_close(edit);
    return CLI_DONE;
}

cli_outcome_t cli_prompt_lines(cli_shell_t *shell, int fd, const char *name) {
    cli_lines_t lines;
    cli_line_kind_t kind = CLI_LINE;
    const char *line;
    size_t size;
    cli_outcome_t worst = CLI_DONE;
    cli_lines_init(&lines, fd, CLI_MAX_LINE_BYTES);
    lines.interruptible = fd != STDIN_FILENO;
    for (unsigned long long number = 1;
         !shell->ended && worst != CLI_CLOSED && kind != CLI_LINE_FAILED && !cli_interrupted();
         number++) {
        cli_outcome_t outcome = CLI_REFUSED;
        kind = cli_lines_next(&lines, &line, &size);
        if (kind == CLI_LINE_END)
            break;
        if (kind == CLI_LINE && !memchr(line, 0, size)) {
            char *copy = cli_duplicate(line, size);
            outcome = cli_prompt_line(shell, copy);
            free(copy);
        } else {
            fputs(kind == CLI_LINE ? "a line holds a NUL; use --json for such texts\n"
                                   : "a line could not be read\n",
                  stderr);
        }
        if (outcome != CLI_DONE && outcome != CLI_CLOSED && name)
            fprintf(stderr, "  that was line %llu of %s\n", number, name);
        if (outcome != CLI_DONE)
            worst = outcome == CLI_CLOSED ? CLI_CLOSED : CLI_REFUSED;
    }
    cli_lines_deinit(&lines);
    return worst;
}

// ~/.memdbrc, where there is one.
static void read_rc(cli_shell_t *shell) {
    char *path = cli_rc_path();
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        cli_prompt_lines(shell, fd, path);
        close(fd);
    } else if (path && errno != ENOENT) {
        fprintf(stderr, "memdb: %s: %s\n", path, strerror(errno));
    }
    free(path);
}

cli_outcome_t cli_prompt_run(cli_shell_t *shell) {
    shell->interactive = isatty(STDIN_FILENO);
    if (!shell->no_rc)
        read_rc(shell);
    cli_outcome_t outcome =
        shell->interactive ? run_terminal(shell) : cli_prompt_lines(shell, STDIN_FILENO, NULL);
    if (!cli_output_end(shell) && outcome == CLI_DONE)
        outcome = CLI_REFUSED;
    free(shell->prompt);
    shell->prompt = NULL;
    return outcome;
}
