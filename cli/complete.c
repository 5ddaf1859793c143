// Completion at the prompt: commands, options, spaces, keys, words that an option or a command
// allows, and files.
#include "cli/cli_complete.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_KEYS 50

typedef struct completion {
    cli_shell_t *shell;
    const char *line, *word; // the word begun, within the line
    const cli_command_t *command;
    cli_buffer_t *offers;
} completion_t;

// `text` and what stands behind it, when the word begins it.
static void offer(completion_t *completion, const char *text, const char *behind) {
    if (strncmp(text, completion->word, strlen(completion->word)) != 0)
        return;
    cli_buffer_text(completion->offers, text);
    cli_buffer_append(completion->offers, behind, strlen(behind) + 1);
}

static void offer_names(completion_t *completion, const char *const *names) {
    for (size_t i = 0; names && names[i]; i++)
        offer(completion, names[i], " ");
}

static void offer_commands(completion_t *completion, const char *dot) {
    for (const cli_command_t *command = cli_commands; command->name; command++) {
        char name[32];
        snprintf(name, sizeof name, "%s%s", dot, command->name);
        offer(completion, name, command->usage[0] ? " " : "");
    }
}

static void offer_options(completion_t *completion) {
    const cli_op_t *op = cli_command_op(completion->command);
    for (const cli_field_t *field = op ? op->fields : NULL; field && field->name; field++) {
        char name[64];
        snprintf(name, sizeof name, "--%s", field->name);
        for (char *c = name; *c; c++)
            *c = *c == '_' ? '-' : *c;
        offer(completion, name, " ");
    }
}

// A request of completion's own; what fails offers nothing.
static cli_json_t *ask(completion_t *completion, cli_json_t *request) {
    cli_json_t *answer = cli_request_run(&completion->shell->session, request);
    cli_json_free(request);
    return answer;
}

static void offer_each(completion_t *completion, cli_json_t *answer, const char *rows,
                       const char *name) {
    const cli_json_t *list = cli_json_get(answer, rows);
    for (size_t i = 0; list && i < cli_json_count(list); i++) {
        const cli_json_t *value = cli_json_get(cli_json_at(list, i), name);
        memdb_bytes_t text = value && cli_json_kind(value) == CLI_JSON_STRING
                                 ? cli_json_bytes(value)
                                 : (memdb_bytes_t){0};
        cli_buffer_t clean = {0};
        cli_clean(text, &clean);
        // A name that would have to be quoted, or shown otherwise, is left to the person.
        if (text.size && clean.size == text.size && !memcmp(clean.data, text.data, text.size) &&
            !strpbrk(clean.data, " \""))
            offer(completion, clean.data, " ");
        cli_buffer_free(&clean);
    }
    cli_json_free(answer);
}

static void offer_spaces(completion_t *completion) {
    cli_json_t *request = cli_json_new_object();
    cli_json_set(request, "op", cli_json_new_text("spaces"));
    offer_each(completion, ask(completion, request), "spaces", "name");
}

// The value that the line gives to `--space`, appended; main otherwise.
static void space_of_line(const completion_t *completion, cli_buffer_t *space) {
    const char *at = strstr(completion->line, "--space");
    size_t skip = at ? strspn(at + 7, "= ") : 0;
    if (skip)
        cli_buffer_append(space, at + 7 + skip, strcspn(at + 7 + skip, " "));
    else
        cli_buffer_text(space, "main");
}

// Keys that begin with the word. Every key begins with nothing: that is the first ones.
static void offer_keys(completion_t *completion) {
    cli_buffer_t space = {0};
    cli_json_t *request = cli_json_new_object();
    space_of_line(completion, &space);
    cli_json_set(request, "op", cli_json_new_text("list"));
    cli_json_set(request, "space", cli_json_new_text(space.data));
    cli_json_set(request, "prefix", cli_json_new_text(completion->word));
    cli_json_set(request, "limit", cli_json_new_integer(MAX_KEYS));
    offer_each(completion, ask(completion, request), "memories", "key");
    cli_buffer_free(&space);
}

static void offer_files(completion_t *completion) {
    const char *slash = strrchr(completion->word, '/');
    size_t size = slash ? (size_t)(slash - completion->word) + 1 : 0;
    cli_buffer_t path = {0};
    cli_buffer_append(&path, completion->word, size);
    DIR *directory = opendir(size ? path.data : ".");
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        struct stat status;
        bool hidden = entry->d_name[0] == '.' && (!slash || slash[1] != '.');
        if (hidden || strpbrk(entry->d_name, " \""))
            continue;
        path.size = size;
        cli_buffer_text(&path, entry->d_name);
        bool folder = stat(path.data, &status) == 0 && S_ISDIR(status.st_mode);
        offer(completion, path.data, folder ? "/" : " ");
    }
    if (directory)
        closedir(directory);
    cli_buffer_free(&path);
}

// The value of an option: the word behind "--name ".
static void offer_values(completion_t *completion, const cli_field_t *field) {
    static const char *const paths[] = {"vectors", "file", NULL};
    if (!strcmp(field->name, "space") || !strcmp(field->name, "spaces"))
        offer_spaces(completion);
    else if (field->kind == CLI_FIELD_CHOICE)
        offer_names(completion, field->choices);
    else if (!strcmp(field->name, "key") || field->kind == CLI_FIELD_REFERENCE)
        offer_keys(completion);
    for (size_t i = 0; paths[i]; i++)
        if (!strcmp(paths[i], field->name))
            offer_files(completion);
}

static void offer_words(completion_t *completion) {
    static const char *const switches[] = {"on", "off", NULL};
    const cli_command_t *command = completion->command;
    bool takes_file = command->act == cli_act_read || command->act == cli_act_output ||
                      command->act == cli_act_once;
    if (takes_file || command->words == CLI_WORDS_PATHS ||
        ((command->words == CLI_WORDS_PATH || command->words == CLI_WORDS_MAYBE_PATH) &&
         strcmp(command->field, "on") != 0))
        offer_files(completion);
    else if (command->act == cli_act_mode)
        offer_names(completion, cli_modes);
    else if (command->act == cli_act_help)
        offer_commands(completion, "");
    else if (command->act == cli_act_timer || command->act == cli_act_explain)
        offer_names(completion, switches);
    else if (command->words == CLI_WORDS_REFERENCE || command->words == CLI_WORDS_ENDS)
        offer_keys(completion);
}

// The option whose value the word is, when the word before it is one that takes a value.
static const cli_field_t *option_before(const completion_t *completion) {
    const char *end = completion->word, *at;
    while (end > completion->line && end[-1] == ' ')
        end--;
    for (at = end; at > completion->line && at[-1] != ' '; at--) {
    }
    size_t size = (size_t)(end - at);
    if (size < 3 || at[0] != '-' || at[1] != '-' || memchr(at, '=', size) ||
        !cli_option_takes_value(completion->command, at + 2, size - 2))
        return NULL;
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)(size - 2), at + 2);
    for (char *c = name; *c; c++)
        *c = *c == '-' ? '_' : *c;
    return cli_op_field(cli_command_op(completion->command), name);
}

void cli_complete(cli_shell_t *shell, const char *line, cli_buffer_t *offers, size_t *from_out) {
    const char *space = strrchr(line, ' ');
    completion_t completion = {
        .shell = shell, .line = line, .word = space ? space + 1 : line, .offers = offers};
    *from_out = (size_t)(completion.word - line);
    if (line[0] != '.')
        return;
    if (!space) {
        offer_commands(&completion, ".");
        return;
    }
    char name[32];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(line + 1, " "), line + 1);
    completion.command = cli_command_find(name);
    if (!completion.command)
        return;
    const cli_field_t *field = completion.command->act ? NULL : option_before(&completion);
    if (field)
        offer_values(&completion, field);
    else if (completion.word[0] == '-' && !completion.command->act)
        offer_options(&completion);
    else
        offer_words(&completion);
}
