// The table of commands.
#include "cli/cli_command.h"

#include <string.h>

const cli_command_t cli_commands[] = {
    {.name = "remember",
     .op = "put",
     .words = CLI_WORDS_TEXT,
     .field = "text",
     .usage = "TEXT|-",
     .summary = "store a memory; -: read from standard input",
     .print = cli_print_put},
    {.name = "recall",
     .op = "recall",
     .words = CLI_WORDS_TEXT,
     .field = "text",
     .usage = "QUESTION",
     .summary = "find memories by words and vectors",
     .print = cli_print_recall,
     .rows = "hits",
     .columns = ">id key ?space time actor -session >score why text"},
    {.name = "get",
     .op = "get",
     .words = CLI_WORDS_REFERENCE,
     .usage = "ID|KEY",
     .summary = "show one memory",
     .print = cli_print_memory,
     .rows = "memory"},
    {.name = "trace",
     .op = "trace",
     .words = CLI_WORDS_REFERENCE,
     .usage = "ID|KEY",
     .summary = "show what was said before and after it",
     .print = cli_print_trace,
     .rows = "memories",
     .columns = ">id key time actor -session text"},
    {.name = "list",
     .op = "list",
     .words = CLI_WORDS_NONE,
     .usage = "",
     .summary = "list memories by time, session or key",
     .print = cli_print_memories,
     .rows = "memories",
     .columns = ">id key time actor -session text"},
    {.name = "link",
     .op = "link",
     .words = CLI_WORDS_ENDS,
     .usage = "FROM TO [TYPE]",
     .summary = "link one memory to another",
     .print = cli_print_done},
    {.name = "unlink",
     .op = "unlink",
     .words = CLI_WORDS_ENDS,
     .usage = "FROM TO [TYPE]",
     .summary = "remove a link",
     .print = cli_print_done},
    {.name = "neighbours",
     .op = "neighbours",
     .words = CLI_WORDS_REFERENCE,
     .usage = "ID|KEY",
     .summary = "show what a memory is linked to, --hops links far",
     .print = cli_print_neighbours,
     .rows = "nodes",
     .columns = ">id key >hops via"},
    {.name = "path",
     .op = "path",
     .words = CLI_WORDS_ENDS,
     .usage = "FROM TO [TYPE]",
     .summary = "show a shortest way over links from one to another",
     .print = cli_print_neighbours,
     .rows = "nodes",
     .columns = ">id key >hops via"},
    {.name = "graph",
     .own = &cli_graph_op,
     .words = CLI_WORDS_REFERENCE,
     .usage = "ID|KEY",
     .summary = "draw what is around a memory: a tree, DOT or SVG",
     .print = cli_print_graph,
     .rows = "links",
     .columns = ">from type >to >weight"},
    {.name = "forget",
     .op = "forget",
     .words = CLI_WORDS_REFERENCE,
     .usage = "ID|KEY",
     .summary = "forget one memory, or all that pass --filter",
     .print = cli_print_forgotten},
    {.name = "spaces",
     .op = "spaces",
     .words = CLI_WORDS_NONE,
     .usage = "",
     .summary = "list the spaces",
     .print = cli_print_spaces,
     .rows = "spaces",
     .columns = "name >memories >bytes >dimension metric tokenizer"},
    {.name = "tables",
     .op = "tables",
     .words = CLI_WORDS_NONE,
     .usage = "",
     .summary = "list the tables of rows that serve a model",
     .print = cli_print_tables,
     .rows = "tables",
     .columns = "name >rows >dimension dtype >row_bytes"},
    {.name = "indexes",
     .op = "indexes",
     .words = CLI_WORDS_NONE,
     .usage = "",
     .summary = "list the attribute indexes of a space",
     .print = cli_print_indexes,
     .rows = "indexes",
     .columns = "on >memories ready"},
    {.name = "index",
     .op = "create_index",
     .words = CLI_WORDS_PATH,
     .field = "on",
     .usage = "FIELD|attr.PATH",
     .summary = "make an attribute index, which filters are answered from",
     .print = cli_print_done},
    {.name = "drop-index",
     .op = "drop_index",
     .words = CLI_WORDS_PATH,
     .field = "on",
     .usage = "FIELD|attr.PATH",
     .summary = "drop an attribute index",
     .print = cli_print_done},
    {.name = "import",
     .own = &cli_import_op,
     .words = CLI_WORDS_PATH,
     .field = "file",
     .usage = "FILE.jsonl",
     .summary = "read memories from JSON lines, or a dump",
     .print = cli_print_figures},
    {.name = "export",
     .own = &cli_export_op,
     .words = CLI_WORDS_MAYBE_PATH,
     .field = "file",
     .usage = "[FILE.jsonl]",
     .summary = "write memories as JSON lines",
     .print = cli_print_figures},
    {.name = "dump",
     .own = &cli_dump_op,
     .words = CLI_WORDS_MAYBE_PATH,
     .field = "file",
     .usage = "[FILE.jsonl]",
     .summary = "write everything, links and vectors too; import reads it",
     .print = cli_print_figures},
    {.name = "stats",
     .op = "stats",
     .words = CLI_WORDS_NONE,
     .usage = "",
     .summary = "show the figures of the database",
     .print = cli_print_figures},
    {.name = "verify",
     .op = "verify",
     .words = CLI_WORDS_NONE,
     .usage = "",
     .summary = "read and check every byte",
     .print = cli_print_verify,
     .rows = "errors",
     .columns = "file >offset what"},
    {.name = "backup",
     .op = "backup",
     .words = CLI_WORDS_PATH,
     .field = "to",
     .usage = "DIRECTORY",
     .summary = "copy it while it is in use; again: what is new",
     .print = cli_print_figures},
    {.name = "restore",
     .own = &cli_restore_op,
     .words = CLI_WORDS_PATHS,
     .usage = "FROM TO",
     .summary = "build a database from a backup: memdb restore FROM TO",
     .print = cli_print_figures},
    {.name = "settings",
     .op = "settings",
     .words = CLI_WORDS_NONE,
     .usage = "",
     .summary = "show the settings of the database, or change them",
     .print = cli_print_figures},
    {.name = "checkpoint",
     .op = "checkpoint",
     .words = CLI_WORDS_NONE,
     .usage = "",
     .summary = "fold the log into segments",
     .print = cli_print_figures},
    {.name = "compact",
     .op = "compact",
     .words = CLI_WORDS_NONE,
     .usage = "",
     .summary = "give space back to the file system",
     .print = cli_print_space},
    {.name = "purge",
     .op = "purge",
     .words = CLI_WORDS_NONE,
     .usage = "",
     .summary = "erase what was forgotten with --erase from all files",
     .print = cli_print_space},
    // Of the prompt alone: how it looks and where it writes.
    {.name = "mode",
     .act = cli_act_mode,
     .usage = "[MODE]",
     .summary = "how answers look: text, table, box, line, csv, markdown, json"},
    {.name = "width",
     .act = cli_act_width,
     .usage = "[N ...]",
     .summary = "columns of a table, one number each; 0: as wide as needed"},
    {.name = "output",
     .act = cli_act_output,
     .usage = "[FILE]",
     .summary = "write answers to a file from now on; alone: to the screen"},
    {.name = "once",
     .act = cli_act_once,
     .usage = "FILE",
     .summary = "write the next answer to a file"},
    {.name = "read", .act = cli_act_read, .usage = "FILE", .summary = "run the lines of a file"},
    {.name = "explain",
     .act = cli_act_explain,
     .usage = "on|off|QUESTION",
     .summary = "show what recalls do: all from now on, or this one"},
    {.name = "timer",
     .act = cli_act_timer,
     .usage = "[on|off]",
     .summary = "say how long each command took"},
    {.name = "prompt",
     .act = cli_act_prompt,
     .usage = "TEXT",
     .summary = "what stands before each line"},
    {.name = "help",
     .act = cli_act_help,
     .usage = "[COMMAND]",
     .summary = "this page, or a command with its options"},
    {.name = "exit", .act = cli_act_exit, .usage = "", .summary = "end; so does Ctrl-D"},
    {.name = NULL},
};

const cli_command_t *cli_command_find(const char *name) {
    for (const cli_command_t *command = cli_commands; command->name; command++)
        if (!strcmp(command->name, name))
            return command;
    return NULL;
}

const cli_command_t *cli_request_find(const char *name) {
    const cli_command_t *command = cli_command_find(name);
    return command && !command->act ? command : NULL;
}

const cli_op_t *cli_command_op(const cli_command_t *command) {
    return command->op ? cli_op_find(command->op) : command->own;
}

// Edits that make one word of the other (Levenshtein), or more than words of this size need.
static size_t distance(const char *a, const char *b) {
    size_t row[33], size = strlen(b);
    if (size >= sizeof row / sizeof *row || strlen(a) >= sizeof row / sizeof *row)
        return SIZE_MAX;
    for (size_t j = 0; j <= size; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= size; j++) {
            size_t kept = diagonal + (a[i - 1] != b[j - 1]),
                   other = row[j] < row[j - 1] ? row[j] : row[j - 1];
            diagonal = row[j];
            row[j] = kept < other + 1 ? kept : other + 1;
        }
    }
    return row[size];
}

const cli_command_t *cli_command_nearest(const char *name, bool at_prompt) {
    const cli_command_t *nearest = NULL;
    size_t least = strlen(name) < 4 ? 2 : 3; // with so many edits it is another word
    for (const cli_command_t *command = cli_commands; command->name; command++) {
        if (command->act && !at_prompt)
            continue;
        bool begins = strlen(name) >= 2 && !strncmp(command->name, name, strlen(name));
        size_t edits = begins ? 1 : distance(name, command->name);
        if (edits < least) {
            least = edits;
            nearest = command;
        }
    }
    return nearest;
}
