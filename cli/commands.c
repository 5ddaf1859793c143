// The table of commands, and the way from words to a request.
#include "cli/cli_command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const cli_command_t cli_commands[] = {
    {"remember", "put", NULL, CLI_WORDS_TEXT, "text", "TEXT|-",
     "store a memory; -: read from standard input", cli_print_put},
    {"recall", "recall", NULL, CLI_WORDS_TEXT, "text", "QUESTION",
     "find memories by words and vectors", cli_print_recall},
    {"get", "get", NULL, CLI_WORDS_REFERENCE, NULL, "ID|KEY", "show one memory", cli_print_memory},
    {"trace", "trace", NULL, CLI_WORDS_REFERENCE, NULL, "ID|KEY",
     "show what was said before and after it", cli_print_trace},
    {"list", "list", NULL, CLI_WORDS_NONE, NULL, "", "list memories by time, session or key",
     cli_print_memories},
    {"link", "link", NULL, CLI_WORDS_ENDS, NULL, "FROM TO [TYPE]", "link one memory to another",
     cli_print_done},
    {"unlink", "unlink", NULL, CLI_WORDS_ENDS, NULL, "FROM TO [TYPE]", "remove a link",
     cli_print_done},
    {"neighbours", "neighbours", NULL, CLI_WORDS_REFERENCE, NULL, "ID|KEY",
     "show what a memory is linked to", cli_print_neighbours},
    {"forget", "forget", NULL, CLI_WORDS_REFERENCE, NULL, "ID|KEY",
     "forget one memory, or all that pass --filter", cli_print_forgotten},
    {"spaces", "spaces", NULL, CLI_WORDS_NONE, NULL, "", "list the spaces", cli_print_spaces},
    {"indexes", "indexes", NULL, CLI_WORDS_NONE, NULL, "", "list the attribute indexes of a space",
     cli_print_indexes},
    {"index", "create_index", NULL, CLI_WORDS_PATH, "on", "FIELD|attr.PATH",
     "make an attribute index, which filters are answered from", cli_print_done},
    {"drop-index", "drop_index", NULL, CLI_WORDS_PATH, "on", "FIELD|attr.PATH",
     "drop an attribute index", cli_print_done},
    {"import", NULL, &cli_import_op, CLI_WORDS_PATH, "file", "FILE.jsonl",
     "read memories from JSON lines; can be run again", cli_print_figures},
    {"export", NULL, &cli_export_op, CLI_WORDS_MAYBE_PATH, "file", "[FILE.jsonl]",
     "write memories as JSON lines", cli_print_figures},
    {"stats", "stats", NULL, CLI_WORDS_NONE, NULL, "", "show the figures of the database",
     cli_print_figures},
    {"verify", "verify", NULL, CLI_WORDS_NONE, NULL, "", "read and check every byte",
     cli_print_verify},
    {"backup", "backup", NULL, CLI_WORDS_PATH, "to", "DIRECTORY",
     "copy it while it is in use; again: what is new", cli_print_figures},
    {"restore", NULL, &cli_restore_op, CLI_WORDS_PATHS, NULL, "FROM TO",
     "build a database from a backup: memdb restore FROM TO", cli_print_figures},
    {"settings", "settings", NULL, CLI_WORDS_NONE, NULL, "",
     "show the settings of the database, or change them", cli_print_figures},
    {"checkpoint", "checkpoint", NULL, CLI_WORDS_NONE, NULL, "", "fold the log into segments",
     cli_print_figures},
    {"compact", "compact", NULL, CLI_WORDS_NONE, NULL, "", "give space back to the file system",
     cli_print_space},
    {"purge", "purge", NULL, CLI_WORDS_NONE, NULL, "",
     "erase what was forgotten with --erase from all files", cli_print_space},
    {NULL, NULL, NULL, CLI_WORDS_NONE, NULL, NULL, NULL, NULL},
};

const cli_command_t *cli_command_find(const char *name) {
    for (const cli_command_t *command = cli_commands; command->name; command++)
        if (!strcmp(command->name, name))
            return command;
    return NULL;
}

const cli_op_t *cli_command_op(const cli_command_t *command) {
    return command->op ? cli_op_find(command->op) : command->own;
}

// The field of an option: "--valid-from" is valid_from.
static const cli_field_t *option_field(const cli_command_t *command, const char *name,
                                       size_t size) {
    char field[64];
    if (size >= sizeof field)
        return NULL;
    for (size_t i = 0; i < size; i++)
        field[i] = name[i] == '-' ? '_' : name[i];
    field[size] = 0;
    return cli_op_field(cli_command_op(command), field);
}

static bool is_flag(const cli_field_t *field) {
    return field->kind == CLI_FIELD_BOOL || field->kind == CLI_FIELD_LATER_FLAG;
}

bool cli_option_takes_value(const cli_command_t *command, const char *name, size_t size) {
    const cli_field_t *field = option_field(command, name, size);
    return field && !is_flag(field);
}

static cli_json_t *string_of(const char *text) {
    return cli_json_new_string((memdb_bytes_t){text, strlen(text)});
}

// A word that is a number is an id, "#12" too; anything else is a key.
static cli_json_t *reference_of(const char *word) {
    const char *digits = word[0] == '#' ? word + 1 : word;
    size_t size = strlen(digits);
    if (size && size <= 18 && strspn(digits, "0123456789") == size)
        return cli_json_new_integer(strtoll(digits, NULL, 10));
    return string_of(word);
}

static cli_json_t *names_of(const char *words) {
    cli_json_t *names = cli_json_new_array();
    for (const char *at = words; *at;) {
        size_t size = strcspn(at, ",");
        cli_json_t *name = cli_json_new_string((memdb_bytes_t){at, size});
        if (!name) {
            cli_json_free(names);
            return NULL;
        }
        cli_json_append(names, name);
        at += size + (at[size] == ',');
    }
    return names;
}

// The JSON of one option's word, or NULL: not of the field's kind.
static cli_json_t *value_of(const cli_field_t *field, const char *word) {
    char *end;
    errno = 0;
    switch (field->kind) {
    case CLI_FIELD_INTEGER: {
        long long number = strtoll(word, &end, 10);
        return *word && !*end && !errno ? cli_json_new_integer(number) : NULL;
    }
    case CLI_FIELD_NUMBER: {
        double number = strtod(word, &end);
        return *word && !*end && !errno && number == number ? cli_json_new_number(number) : NULL;
    }
    case CLI_FIELD_REFERENCE:
    case CLI_FIELD_MOMENT: // a position is a number, a time is not
        return reference_of(word);
    case CLI_FIELD_NAMES:
        return names_of(word);
    case CLI_FIELD_OBJECT:
    case CLI_FIELD_VECTOR:
    case CLI_FIELD_LINKS:
    case CLI_FIELD_WEIGHTS:
    case CLI_FIELD_PARAMS:
    case CLI_FIELD_WINDOW:
        return cli_json_parse(word, strlen(word), NULL, NULL);
    default:
        return string_of(word);
    }
}

typedef struct parse {
    const cli_command_t *command;
    cli_json_t *request;
    cli_buffer_t text;    // the words that are not options, for CLI_WORDS_TEXT
    const char *plain[3]; // and for the others
    size_t count;
    bool *json_out;
    char *why;
    size_t why_size;
} parse_t;

static bool wrong(parse_t *parse, const char *format, const char *name) {
    snprintf(parse->why, parse->why_size, format, name);
    return false;
}

// An option at words[*at]; moves *at over its value.
static bool parse_option(parse_t *parse, int count, char *const *words, int *at) {
    const char *name = words[*at] + 2;
    size_t size = strcspn(name, "=");
    const char *value = name[size] == '=' ? name + size + 1 : NULL;
    if (!strcmp(name, "json")) {
        *parse->json_out = true;
        return true;
    }
    const cli_field_t *field = option_field(parse->command, name, size);
    if (!field)
        return wrong(parse, "there is no option --%s", name);
    if (is_flag(field)) {
        if (value)
            return wrong(parse, "--%s takes no value", field->name);
        cli_json_set(parse->request, field->name, cli_json_new_bool(true));
        return true;
    }
    if (!value && *at + 1 >= count)
        return wrong(parse, "--%s needs a value", name);
    if (!value)
        value = words[++*at];
    cli_json_t *json = value_of(field, value);
    if (!json)
        return wrong(parse, "--%s: its value is not of the right kind", field->name);
    cli_json_set(parse->request, field->name, json);
    return true;
}

static bool parse_plain(parse_t *parse, const char *word) {
    if (parse->command->words == CLI_WORDS_TEXT) {
        if (parse->text.size)
            cli_buffer_char(&parse->text, ' ');
        cli_buffer_text(&parse->text, word);
        return true;
    }
    if (parse->count == 3)
        return wrong(parse, "too many words, from '%s' on", word);
    parse->plain[parse->count++] = word;
    return true;
}

static bool set_string(parse_t *parse, const char *name, const char *word) {
    cli_json_t *value = string_of(word);
    if (!value)
        return wrong(parse, "%s: not UTF-8", name);
    cli_json_set(parse->request, name, value);
    return true;
}

static bool set_reference(parse_t *parse, const char *word) {
    cli_json_t *value = reference_of(word);
    if (!value)
        return wrong(parse, "%s: not UTF-8", "key");
    cli_json_set(parse->request, cli_json_kind(value) == CLI_JSON_INTEGER ? "id" : "key", value);
    return true;
}

static bool set_ends(parse_t *parse) {
    for (size_t i = 0; i < 2; i++) {
        cli_json_t *end = reference_of(parse->plain[i]);
        if (!end)
            return wrong(parse, "%s: not UTF-8", "key");
        cli_json_set(parse->request, i ? "to" : "from", end);
    }
    return parse->count < 3 || set_string(parse, "type", parse->plain[2]);
}

// Put the plain words where the command wants them.
static bool place_words(parse_t *parse) {
    const cli_command_t *command = parse->command;
    bool named = cli_json_get(parse->request, "id") || cli_json_get(parse->request, "key") ||
                 cli_json_get(parse->request, "filter");
    switch (command->words) {
    case CLI_WORDS_NONE:
        return !parse->count || wrong(parse, "too many words, from '%s' on", parse->plain[0]);
    case CLI_WORDS_TEXT:
        if (!parse->text.size)
            return cli_json_get(parse->request, command->field) ||
                   cli_json_get(parse->request, "vector") ||
                   cli_json_get(parse->request, "vector_b64") ||
                   wrong(parse, "%s is missing", command->usage);
        return set_string(parse, command->field, parse->text.data);
    case CLI_WORDS_REFERENCE:
        if (parse->count + named != 1)
            return wrong(parse, "wants one %s", command->usage);
        return named || set_reference(parse, parse->plain[0]);
    case CLI_WORDS_ENDS:
        return parse->count >= 2 ? set_ends(parse) : wrong(parse, "wants %s", command->usage);
    case CLI_WORDS_PATH:
    case CLI_WORDS_MAYBE_PATH:
        if (parse->count > 1 || (!parse->count && command->words == CLI_WORDS_PATH))
            return wrong(parse, "wants one %s", command->usage);
        return !parse->count || set_string(parse, command->field, parse->plain[0]);
    case CLI_WORDS_PATHS:
        return parse->count == 2 ? set_string(parse, "from", parse->plain[0]) &&
                                       set_string(parse, "to", parse->plain[1])
                                 : wrong(parse, "wants %s", command->usage);
    }
    return false;
}

cli_json_t *cli_command_parse(const cli_command_t *command, int count, char *const *words,
                              bool *json_out, char *why, size_t size) {
    parse_t parse = {.command = command,
                     .request = cli_json_new_object(),
                     .json_out = json_out,
                     .why = why,
                     .why_size = size};
    bool good = true, options = true;
    for (int at = 0; good && at < count; at++) {
        if (options && !strcmp(words[at], "--"))
            options = false;
        else if (options && words[at][0] == '-' && words[at][1] == '-')
            good = parse_option(&parse, count, words, &at);
        else
            good = parse_plain(&parse, words[at]);
    }
    good = good && place_words(&parse);
    cli_buffer_free(&parse.text);
    if (good)
        return parse.request;
    cli_json_free(parse.request);
    return NULL;
}

static const char *advice(const char *code) {
    static const struct {
        const char *code, *advice;
    } table[] = {
        {"MEMDB_CONFLICT", "somebody else changed the same thing first: try again"},
        {"MEMDB_BUSY", "the log is at its limit: try again, or run checkpoint"},
        {"MEMDB_CORRUPT", "run verify to see all of the damage; restore a backup, or salvage"},
        {"MEMDB_FAILED", "end this program and open the database again"},
        {"MEMDB_FULL", "make room on the file system, then try again"},
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
    if (advice(code))
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
    if (shell->json && !quiet) {
        cli_json_write(answer, &shell->screen.out);
        cli_buffer_char(&shell->screen.out, '\n');
    } else if (!quiet && (good || has_findings(answer))) {
        command->print(&shell->screen, request, answer);
    }
    bool open = cli_screen_flush(&shell->screen);
    if (!good && !shell->json)
        cli_complain(shell, cli_json_bytes(cli_json_get(answer, "code")).data,
                     cli_json_bytes(cli_json_get(answer, "message")).data);
    cli_json_free(answer);
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
    bool json = shell->json;
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
    if (command->op)
        cli_json_set(request, "op", cli_json_new_text(command->op));
    bool before = shell->json;
    shell->json = json;
    cli_outcome_t outcome = cli_request_show(shell, command, request);
    shell->json = before;
    cli_json_free(request);
    return outcome;
}
