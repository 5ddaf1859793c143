// The memdb shell: options, the database, and one of its three ways to talk (a command, the prompt,
// JSON lines).
//
// Exit codes: 0 done, 1 a request failed, 2 wrong usage. A reader of the output that goes away ends
// the shell quietly.
#include "cli/cli_command.h"

#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct arguments {
    cli_shell_t *shell;
    int at; // the first word behind the options
    bool help, version;
} arguments_t;

static bool complain_usage(const char *format, const char *word) {
    fputs("memdb: ", stderr);
    fprintf(stderr, format, word);
    fputs("\n  memdb --help explains the options and commands\n", stderr);
    return false;
}

static bool parse_durability(arguments_t *arguments, const char *name) {
    memdb_durability_t durability = cli_durability_by_name((memdb_bytes_t){name, strlen(name)});
    if (durability == MEMDB_DURABILITY_DEFAULT || !*name)
        return complain_usage("--durability: '%s' is none of none, os, full", name);
    arguments->shell->session.durability = durability;
    return true;
}

static bool parse_mode(arguments_t *arguments, const char *name) {
    for (int mode = 0; cli_modes[mode]; mode++)
        if (!strcmp(cli_modes[mode], name)) {
            arguments->shell->screen.mode = (cli_mode_t)mode;
            return true;
        }
    return complain_usage("--mode: '%s' is none of text, table, box, line, csv, markdown, json",
                          name);
}

static bool parse_option(arguments_t *arguments, int count, char **words) {
    const char *word = words[arguments->at];
    if (!strcmp(word, "--json"))
        arguments->shell->screen.mode = CLI_MODE_JSON;
    else if (!strcmp(word, "--no-rc"))
        arguments->shell->no_rc = true;
    else if (!strncmp(word, "--mode=", 7))
        return parse_mode(arguments, word + 7);
    else if (!strcmp(word, "--mode") && arguments->at + 1 < count)
        return parse_mode(arguments, words[++arguments->at]);
    else if (!strcmp(word, "--read-only"))
        arguments->shell->session.read_only = true;
    else if (!strcmp(word, "--help") || !strcmp(word, "-h"))
        arguments->help = true;
    else if (!strcmp(word, "--version"))
        arguments->version = true;
    else if (!strncmp(word, "--durability=", 13))
        return parse_durability(arguments, word + 13);
    else if (!strcmp(word, "--durability") && arguments->at + 1 < count)
        return parse_durability(arguments, words[++arguments->at]);
    else
        return complain_usage("there is no option %s here, or its value is missing", word);
    return true;
}

static bool parse_options(arguments_t *arguments, int count, char **words) {
    for (arguments->at = 1; arguments->at < count; arguments->at++) {
        if (!strcmp(words[arguments->at], "--")) {
            arguments->at++;
            return true;
        }
        if (words[arguments->at][0] != '-' || !words[arguments->at][1])
            return true;
        if (!parse_option(arguments, count, words))
            return false;
    }
    return true;
}

static bool open_database(cli_shell_t *shell, bool create) {
    memdb_error_t *error = &shell->session.refusal;
    memdb_status_t status = cli_session_open(&shell->session, create, error);
    if (status == MEMDB_OK)
        return true;
    cli_complain(shell, memdb_status_name(status), error->message);
    if (status == MEMDB_NOT_FOUND)
        fprintf(stderr, "  there is no database at %s yet: remember or import creates one\n",
                shell->session.path);
    return false;
}

// restore stands where a database stands: `memdb restore FROM TO`. (A database of that name is
// ./restore.)
static bool is_restore(const char *word) {
    return !strcmp(word, "restore");
}

static cli_outcome_t run(cli_shell_t *shell, int count, char **words) {
    if (is_restore(shell->session.path))
        return cli_command_run(shell, cli_request_find("restore"), count, words);
    const cli_command_t *command = count ? cli_request_find(words[0]) : NULL;
    if (count && !command) {
        const cli_command_t *nearest = cli_command_nearest(words[0], false);
        if (nearest)
            fprintf(stderr, "memdb: there is no command '%s'; did you mean %s?\n", words[0],
                    nearest->name);
        else
            complain_usage("there is no command '%s'", words[0]);
        return CLI_MISUSED;
    }
    if (command) { // wrong words are reported before a database is created for them
        char why[200];
        bool json = shell->screen.mode == CLI_MODE_JSON;
        cli_json_t *request =
            cli_command_parse(command, count - 1, words + 1, &json, why, sizeof why);
        cli_json_free(request);
        if (!request)
            return cli_command_run(shell, command, count - 1, words + 1);
    }
    shell->session.hides_notes = command || shell->screen.mode != CLI_MODE_JSON;
    if (!open_database(shell, !command || cli_command_op(command)->creates)) {
        // A program that waits for one answer a request gets it: the reason, each time.
        if (!command && shell->screen.mode == CLI_MODE_JSON)
            cli_json_loop(shell);
        return CLI_REFUSED;
    }
    cli_outcome_t outcome;
    if (command)
        outcome = cli_command_run(shell, command, count - 1, words + 1);
    else
        outcome =
            shell->screen.mode == CLI_MODE_JSON ? cli_json_loop(shell) : cli_prompt_run(shell);
    if (cli_session_close(&shell->session))
        fputs("memdb: warning: a transaction was open at the end of input; it was aborted\n",
              stderr);
    return outcome;
}

// The page of the first word that is a command, else of them all.
static int help(cli_shell_t *shell, int count, char **words) {
    const cli_command_t *command = NULL;
    for (int i = 0; i < count && !command; i++)
        command = cli_command_find(words[i]);
    if (command)
        cli_help_command(&shell->screen, command);
    else
        cli_help(&shell->screen);
    bool open = cli_screen_flush(&shell->screen);
    cli_screen_deinit(&shell->screen);
    return open ? CLI_DONE : CLI_REFUSED;
}

// Texts are UTF-8 wherever the shell runs: editing lines and the widths of characters follow.
// Numbers stay as programs write them.
static void use_utf8(void) {
    if (!setlocale(LC_CTYPE, "") || strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
        setlocale(LC_CTYPE, "C.UTF-8");
}

int main(int count, char **words) {
    cli_shell_t shell = {.session.output_fd = STDOUT_FILENO};
    arguments_t arguments = {.shell = &shell};
    use_utf8();
    signal(SIGPIPE, SIG_IGN);
    cli_screen_aim(&shell.screen, STDOUT_FILENO);
    if (!parse_options(&arguments, count, words))
        return CLI_MISUSED;
    if (arguments.version) {
        printf("memdb %s\n", memdb_version());
        return 0;
    }
    int first = arguments.at < count && is_restore(words[arguments.at]) ? 0 : 1;
    for (int i = arguments.at + first; i < count && strcmp(words[i], "--"); i++)
        arguments.help |= !strcmp(words[i], "--help");
    if (arguments.help)
        return help(&shell, count - arguments.at, words + arguments.at);
    if (arguments.at >= count) {
        complain_usage("%s", "name a database");
        return CLI_MISUSED;
    }
    // "memdb salvage recall ..." is still the database named salvage.
    if (!strcmp(words[arguments.at], "salvage") &&
        (arguments.at + 1 == count || !cli_request_find(words[arguments.at + 1]))) {
        cli_outcome_t salvaged =
            cli_salvage(&shell, count - arguments.at - 1, words + arguments.at + 1);
        cli_screen_deinit(&shell.screen);
        return (int)salvaged;
    }
    shell.session.path = words[arguments.at];
    cli_outcome_t outcome = run(&shell, count - arguments.at - 1, words + arguments.at + 1);
    cli_screen_deinit(&shell.screen);
    return outcome == CLI_CLOSED ? CLI_REFUSED : (int)outcome;
}
