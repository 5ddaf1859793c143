// The prompt: plain text asks, "+ text" stores, and a line that begins with a dot is a command.
//
// Without a terminal on standard input the same lines are read as they come, with no greeting and
// no prompt, and the program ends with 1 when one of them failed.
#include "cli/cli_command.h"
#include "cli/cli_edit.h"
#include "cli/cli_lines.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_WORDS 64

typedef struct words {
    char *items[MAX_WORDS];
    int count;
} words_t;

static void add_word(words_t *words, const char *text, size_t size) {
    if (words->count < MAX_WORDS)
        words->items[words->count++] = cli_duplicate(text, size);
}

// The next word from *at on; double quotes hold words with spaces together, and "" in them is a
// quote.
static bool next_word(const char **at, cli_buffer_t *word) {
    const char *c = *at;
    bool quoted = false;
    cli_buffer_clear(word);
    while (isspace((unsigned char)*c))
        c++;
    if (!*c)
        return false;
    for (; *c && (quoted || !isspace((unsigned char)*c)); c++) {
        if (*c != '"')
            cli_buffer_char(word, *c);
        else if (quoted && c[1] == '"')
            cli_buffer_char(word, *c++);
        else
            quoted = !quoted;
    }
    *at = c;
    cli_buffer_append(word, "", 0);
    return true;
}

// Words of a command. For a command that takes a text, options come first and the rest of the line
// is the text as it stands: a person's quotes and apostrophes are part of it.
static void split(const cli_command_t *command, const char *line, words_t *words) {
    cli_buffer_t word = {0};
    const char *at = line;
    for (;;) {
        while (isspace((unsigned char)*at))
            at++;
        bool option = at[0] == '-' && at[1] == '-' && isalpha((unsigned char)at[2]);
        if (command->words == CLI_WORDS_TEXT && !option) {
            size_t size = strlen(at);
            while (size && isspace((unsigned char)at[size - 1]))
                size--;
            if (size) {
                add_word(words, "--", 2);
                add_word(words, at, size);
            }
            break;
        }
        if (!next_word(&at, &word))
            break;
        add_word(words, word.data, word.size);
        bool wants = option && !strchr(word.data, '=') &&
                     cli_option_takes_value(command, word.data + 2, word.size - 2);
        if (wants && next_word(&at, &word))
            add_word(words, word.data, word.size);
    }
    cli_buffer_free(&word);
}

static cli_outcome_t run_text(cli_shell_t *shell, const char *name, const char *text) {
    char *words[] = {(char *)(uintptr_t) "--", (char *)(uintptr_t)text};
    return cli_command_run(shell, cli_command_find(name), 2, words);
}

static cli_outcome_t show_help(cli_shell_t *shell, const char *rest) {
    while (isspace((unsigned char)*rest) || *rest == '.')
        rest++;
    const cli_command_t *command = cli_command_find(rest);
    if (command)
        cli_help_command(&shell->screen, command);
    else
        cli_help_prompt(&shell->screen);
    return cli_screen_flush(&shell->screen) ? CLI_DONE : CLI_CLOSED;
}

static cli_outcome_t run_command(cli_shell_t *shell, const char *line, bool *ended) {
    char name[32];
    size_t size = strcspn(line, " \t");
    snprintf(name, sizeof name, "%.*s", (int)(size < sizeof name ? size : sizeof name - 1), line);
    if (!strcmp(name, "exit") || !strcmp(name, "quit")) {
        *ended = true;
        return CLI_DONE;
    }
    if (!strcmp(name, "help"))
        return show_help(shell, line + size);
    const cli_command_t *command = cli_command_find(name);
    if (!command) {
        fprintf(stderr, "there is no command .%s\n  .help lists them\n", name);
        return CLI_MISUSED;
    }
    words_t words = {0};
    split(command, line + size, &words);
    cli_outcome_t outcome = cli_command_run(shell, command, words.count, words.items);
    for (int i = 0; i < words.count; i++)
        free(words.items[i]);
    return outcome;
}

static cli_outcome_t run_line(cli_shell_t *shell, const char *line, bool *ended) {
    while (isspace((unsigned char)*line))
        line++;
    if (!*line)
        return CLI_DONE;
    if (line[0] == '.' && isalpha((unsigned char)line[1]))
        return run_command(shell, line + 1, ended);
    if (line[0] == '+' && isspace((unsigned char)line[1])) {
        const char *text = line + 1;
        while (isspace((unsigned char)*text))
            text++;
        return run_text(shell, "remember", text);
    }
    return run_text(shell, "recall", line);
}

static cli_outcome_t run_terminal(cli_shell_t *shell) {
    const char *home = getenv("HOME");
    cli_buffer_t history = {0};
    if (home && *home)
        cli_buffer_printf(&history, "%s/.memdb_history", home);
    cli_edit_t *edit = cli_edit_open("memdb> ", history.data);
    cli_buffer_free(&history);
    if (!edit) {
        fputs("memdb: this terminal cannot edit lines\n", stderr);
        return CLI_REFUSED;
    }
    printf("memdb %s, %s\n"
           "Ask in plain words. A line that begins with \"+ \" is stored. .help lists the "
           "commands, .exit ends.\n",
           memdb_version(), shell->session.path);
    fflush(stdout);
    const char *line;
    size_t size;
    bool ended = false;
    cli_outcome_t outcome = CLI_DONE;
    while (!ended && outcome != CLI_CLOSED && (line = cli_edit_line(edit, &size)))
        outcome = run_line(shell, line, &ended);
    if (!ended)
        putchar('\n');
    cli_edit_close(edit);
    return outcome == CLI_CLOSED ? CLI_CLOSED : CLI_DONE;
}

static cli_outcome_t run_pipe(cli_shell_t *shell) {
    cli_lines_t lines;
    cli_line_kind_t kind;
    const char *line;
    size_t size;
    bool ended = false;
    cli_outcome_t worst = CLI_DONE;
    cli_lines_init(&lines, STDIN_FILENO, CLI_MAX_LINE_BYTES);
    while (!ended && worst != CLI_CLOSED &&
           (kind = cli_lines_next(&lines, &line, &size)) != CLI_LINE_END) {
        cli_outcome_t outcome = CLI_REFUSED;
        if (kind == CLI_LINE_FAILED)
            ended = true;
        if (kind == CLI_LINE && memchr(line, 0, size)) {
            fputs("memdb: a line holds a NUL; use --json for such texts\n", stderr);
        } else if (kind == CLI_LINE) {
            char *copy = cli_duplicate(line, size);
            outcome = run_line(shell, copy, &ended);
            free(copy);
        } else {
            fputs("memdb: a line could not be read\n", stderr);
        }
        if (outcome != CLI_DONE)
            worst = outcome == CLI_CLOSED ? CLI_CLOSED : CLI_REFUSED;
    }
    cli_lines_deinit(&lines);
    return worst;
}

cli_outcome_t cli_prompt_run(cli_shell_t *shell) {
    shell->interactive = isatty(STDIN_FILENO);
    return shell->interactive ? run_terminal(shell) : run_pipe(shell);
}
