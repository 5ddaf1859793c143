// The commands of the prompt alone: how answers look, and where they go.
#include "cli/cli_words.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_DEPTH 16 // of files that read files
#define MAX_WIDTH 1000

static cli_outcome_t misused(const char *name, const char *why) {
    fprintf(stderr, "%s: %s\n  .help %s shows its usage\n", name, why, name);
    return CLI_MISUSED;
}

cli_outcome_t cli_act_mode(cli_shell_t *shell, const char *rest) {
    if (!*rest) {
        cli_buffer_printf(&shell->screen.out, "%s\n", cli_modes[shell->screen.mode]);
        return cli_screen_flush(&shell->screen) ? CLI_DONE : CLI_CLOSED;
    }
    for (int mode = 0; cli_modes[mode]; mode++)
        if (!strcmp(cli_modes[mode], rest)) {
            shell->screen.mode = (cli_mode_t)mode;
            return CLI_DONE;
        }
    return misused("mode", "wants one of text, table, box, line, csv, markdown, json");
}

cli_outcome_t cli_act_width(cli_shell_t *shell, const char *rest) {
    size_t widths[CLI_MAX_COLUMNS] = {0}, count = 0;
    while (*rest) {
        char *end;
        errno = 0;
        unsigned long width = strtoul(rest, &end, 10);
        bool good = end != rest && (!*end || *end == ' ') && !errno && *rest != '-';
        if (!good || width > MAX_WIDTH || count == CLI_MAX_COLUMNS)
            return misused("width", "wants up to 32 numbers from 0 to 1000");
        widths[count++] = width;
        rest = end + strspn(end, " ");
    }
    memcpy(shell->screen.widths, widths, sizeof widths);
    return CLI_DONE;
}

bool cli_output_end(cli_shell_t *shell) {
    int fd = shell->screen.fd;
    shell->once = false;
    if (fd == STDOUT_FILENO)
        return true;
    cli_screen_aim(&shell->screen, STDOUT_FILENO);
    shell->session.output_fd = STDOUT_FILENO;
    if (close(fd) == 0)
        return true;
    fprintf(stderr, "output: %s\n", strerror(errno));
    return false;
}

static cli_outcome_t aim_at(cli_shell_t *shell, const char *name, const char *rest, bool once) {
    cli_buffer_t path = {0};
    if (!cli_output_end(shell))
        return CLI_REFUSED;
    if (!cli_next_word(&rest, &path)) {
        cli_buffer_free(&path);
        return once ? misused(name, "wants a file") : CLI_DONE;
    }
    int fd = *rest ? -1 : open(path.data, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        fprintf(stderr, "%s: %s: %s\n", name, path.data,
                *rest ? "quote a name with spaces" : strerror(errno));
    } else {
        cli_screen_aim(&shell->screen, fd);
        shell->session.output_fd = fd;
        shell->once = once;
    }
    cli_buffer_free(&path);
    return fd < 0 ? CLI_REFUSED : CLI_DONE;
}

cli_outcome_t cli_act_output(cli_shell_t *shell, const char *rest) {
    return aim_at(shell, "output", rest, false);
}

cli_outcome_t cli_act_once(cli_shell_t *shell, const char *rest) {
    return aim_at(shell, "once", rest, true);
}

cli_outcome_t cli_act_read(cli_shell_t *shell, const char *rest) {
    cli_buffer_t path = {0};
    cli_outcome_t outcome = CLI_REFUSED;
    if (!cli_next_word(&rest, &path) || *rest) {
        outcome = misused("read", "wants one file; quote a name with spaces");
    } else if (shell->depth == MAX_DEPTH) {
        fprintf(stderr, "read: %s: %d files read each other: is it one that reads itself?\n",
                path.data, MAX_DEPTH);
    } else {
        int fd = open(path.data, O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
            fprintf(stderr, "read: %s: %s\n", path.data, strerror(errno));
        } else {
            shell->depth++;
            outcome = cli_prompt_lines(shell, fd, path.data);
            shell->depth--;
            close(fd);
        }
    }
    cli_buffer_free(&path);
    return outcome;
}

cli_outcome_t cli_act_explain(cli_shell_t *shell, const char *rest) {
    bool on = !strcmp(rest, "on"), before = shell->explain;
    cli_outcome_t outcome = CLI_DONE;
    if (!*rest)
        return misused("explain", "wants on, off or a question");
    shell->explain = true;
    if (!on && strcmp(rest, "off") != 0) {
        cli_words_list_t words = {0};
        const cli_command_t *recall = cli_command_find("recall");
        cli_words_split(recall, rest, &words);
        outcome = cli_command_run(shell, recall, words.count, words.items);
        cli_words_free(&words);
        shell->explain = before;
    } else {
        shell->explain = on;
    }
    return outcome;
}

cli_outcome_t cli_act_timer(cli_shell_t *shell, const char *rest) {
    bool on = !strcmp(rest, "on");
    if (!on && strcmp(rest, "off") != 0)
        return misused("timer", "wants on or off");
    shell->timer = on;
    return CLI_DONE;
}

cli_outcome_t cli_act_prompt(cli_shell_t *shell, const char *rest) {
    cli_buffer_t text = {0};
    free(shell->prompt);
    shell->prompt = NULL;
    if (cli_next_word(&rest, &text) && !*rest)
        shell->prompt = cli_duplicate(text.data, text.size);
    cli_buffer_free(&text);
    return *rest ? misused("prompt", "wants one word; quote a text with spaces: \"memory> \"")
                 : CLI_DONE;
}

cli_outcome_t cli_act_help(cli_shell_t *shell, const char *rest) {
    while (*rest == '.')
        rest++;
    const cli_command_t *command = *rest ? cli_command_find(rest) : NULL;
    if (command)
        cli_help_command(&shell->screen, command);
    else
        cli_help_prompt(&shell->screen);
    return cli_screen_flush(&shell->screen) ? CLI_DONE : CLI_CLOSED;
}

cli_outcome_t cli_act_exit(cli_shell_t *shell, const char *rest) {
    if (*rest)
        return misused("exit", "wants nothing more");
    shell->ended = true;
    return CLI_DONE;
}
