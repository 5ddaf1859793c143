// From the words of a command to its request.
#include "cli/cli_command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    return field->kind == CLI_FIELD_BOOL;
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

// Ids and keys, split at commas; a key that has one, or is a number, needs JSON lines.
static cli_json_t *references_of(const char *words) {
    cli_json_t *names = names_of(words), *references = names ? cli_json_new_array() : NULL;
    for (size_t i = 0; i < cli_json_count(names); i++)
        cli_json_append(references, reference_of(cli_json_bytes(cli_json_at(names, i)).data));
    cli_json_free(names);
    return references;
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
    case CLI_FIELD_REFERENCES:
        return references_of(word);
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
