// Help: what the shell is for, its commands with their options from the table of operations, and
// its exit codes.
#include "cli/cli_command.h"

#include <stdio.h>
#include <string.h>

static const char usage[] =
    "memdb: a memory for agents, from the command line\n"
    "\n"
    "usage: memdb [options] DB [command [words] [--option value]]\n"
    "\n"
    "  memdb DB                   a prompt: ask in plain words, \"+ text\" remembers\n"
    "  memdb DB COMMAND ...       one command\n"
    "  memdb --json DB            JSON lines on standard input and output, for\n"
    "                             programs\n"
    "  memdb salvage FROM TO      a new database TO from what is whole of a damaged\n"
    "                             one\n"
    "\n"
    "DB is a directory. remember, import, the prompt and --json create it; commands\n"
    "that read do not.\n"
    "\n";
static const char options[] =
    "\n"
    "options\n"
    "  --json                     answers as JSON lines; without a command: requests\n"
    "                             too\n"
    "  --mode MODE                how answers look: text, table, box, line, csv,\n"
    "                             markdown, json\n"
    "  --no-rc                    the prompt does not begin with the lines of\n"
    "                             ~/.memdbrc\n"
    "  --durability LEVEL         none, os (survives kill -9) or full (survives power\n"
    "                             loss) of this session, and of a database that it\n"
    "                             creates\n"
    "  --read-only                never write, not even to recover\n"
    "  --help [COMMAND]           this page, or a command with its options\n"
    "  --version                  the version\n"
    "\n"
    "An ID is a number (12 or #12), anything else is a key; --key names a key that\n"
    "is a number.\n"
    "\n"
    "examples\n"
    "  memdb notes remember \"Ann keeps the key under the pot\" --actor Ann\n"
    "  memdb notes recall \"where is the spare key?\"\n"
    "  memdb notes import talk.jsonl --vectors talk.f32 --dimension 384\n"
    "  memdb notes trace 12 --before 2 --after 5\n"
    "\n"
    "exit codes: 0 done, 1 a request failed (salvage: something is lost), 2 wrong\n"
    "usage. NO_COLOR turns colour off.\n";
static const char prompt[] =
    "Plain text asks. A line that begins with \"+ \" is remembered; one that begins\n"
    "with \"# \" is a remark.\n"
    "In a question pre* is a prefix; with --boolean +word must occur, -word must not.\n"
    "Options of a command come before its text:\n"
    "  .remember --session may --actor Ann the key is under the pot\n"
    "Ctrl-C drops the line, or interrupts the command; Ctrl-D ends; Tab completes.\n"
    "\n";

#define NOTE_COLUMN 29 // where the notes of a list begin

// A line of a list, its note wrapped beside it; below it, where it leaves no room.
static void show_entry(cli_screen_t *screen, const char *entry, memdb_bytes_t note) {
    cli_buffer_printf(&screen->out, "  %-*s", note.size ? NOTE_COLUMN - 2 : 0, entry);
    if (note.size && strlen(entry) > NOTE_COLUMN - 3)
        cli_buffer_printf(&screen->out, "\n%*s", NOTE_COLUMN, "");
    if (note.size)
        cli_show_hanging(screen, note, NOTE_COLUMN, NULL);
    else
        cli_buffer_char(&screen->out, '\n');
}

static void list_commands(cli_screen_t *screen, const char *dot) {
    for (const cli_command_t *command = cli_commands; command->name; command++) {
        char line[80];
        if (command->act && !*dot)
            continue;
        snprintf(line, sizeof line, "%s%s %s", dot, command->name, command->usage);
        show_entry(screen, line, (memdb_bytes_t){command->summary, strlen(command->summary)});
    }
}

void cli_help(cli_screen_t *screen) {
    cli_buffer_text(&screen->out, usage);
    cli_buffer_text(&screen->out, "commands\n");
    list_commands(screen, "");
    cli_buffer_text(&screen->out, options);
}

void cli_help_prompt(cli_screen_t *screen) {
    cli_buffer_text(&screen->out, prompt);
    list_commands(screen, ".");
}

// What an option wants, and what it is for where its name does not say it.
static const struct {
    const char *field, *wants, *note;
} notes[] = {
    {"space", "NAME", NULL},
    {"spaces", "NAME,NAME,...", "several spaces together"},
    {"key", "TEXT", "a name of your own, unique in its space"},
    {"id", "ID", "the number of a memory"},
    {"kind", "TEXT", "what sort of memory it is"},
    {"session", "NAME", "the session (a conversation, a task)"},
    {"actor", "NAME", "who said or did it"},
    {"time", "TIME",
     "when it happened: 2023-05-08T13:56:00Z, 2023-05-08T15:56:00+02:00 or 2023-05-08"},
    {"valid_from", "TIME", "when it began to hold"},
    {"valid_to", "TIME", "when it ceased to hold"},
    {"expires", "TIME", "from then on it is not found any more"},
    {"supersedes", "ID|KEY", "the memory that this one takes the place of: it ceases to hold"},
    {"valid_at", "TIME", "only what holds then; recall without it: now"},
    {"importance", "NUMBER", NULL},
    {"tokens", "INTEGER", "its cost in a model's context"},
    {"attrs", "JSON", "an object of your own, '{\"place\":\"Rome\"}'"},
    {"vector", "JSON", "an array of numbers"},
    {"vector_b64", "TEXT", "base64 of little-endian float32"},
    {"links", "JSON", "[{\"to\": id or key, \"type\": text, \"weight\": number}]"},
    {"k", "INTEGER", "how many; 10 when left out"},
    {"skip", "INTEGER", "leave out the first so many: the next page"},
    {"page", "TEXT", "next_page of the answer before; empty: of the first one"},
    {"token_budget", "INTEGER", "the best that cost at most so many tokens together"},
    {"mmr", "NUMBER", "0 to 1: how much likeness to hits before it counts against one"},
    {"fold", "", "hits with nearly the same text count as one"},
    {"boolean", "", "in the question +word must occur and -word must not; +(a b): one of them"},
    {"snippet", "INTEGER", "show so many bytes around the words of the question at most"},
    {"filter", "TEXT", "only those of which it is true: \"kind = 'fact' and attr.place = 'Rome'\""},
    {"params", "JSON", "values for each ? of the filter, '[\"Rome\", 5]'"},
    {"seeds", "ID|KEY,...", "memories that the question is about: what is linked to them counts"},
    {"weights", "JSON",
     "'{\"words\":1}': of words, vector, trace, time, graph, recency, importance; 0 when left out"},
    {"recall_target", "NUMBER", "0 to 1; the search is exact and meets any"},
    {"before", "INTEGER", "memories before it; 3 when left out"},
    {"prefix", "TEXT", "only keys that begin so, in order of key"},
    {"from", "TIME", "from then on"},
    {"to", "TIME", "before then"},
    {"limit", "INTEGER", "at most so many; 100 when left out"},
    {"window", "JSON", "only from then, up to then: '[\"2023-05-01\",null]'; null: open"},
    {"now", "TIME",
     "the moment of the question, for \"last week\" in it; the present when left out"},
    {"as_of", "LSN|TIME", "as it was then, as far back as history is kept: see settings"},
    {"history_us", "INTEGER", "keep older moments for so many microseconds; 0: not by time"},
    {"history_bytes", "INTEGER", "for so many bytes of log; 0: not by bytes; both 0: no history"},
    {"snapshot_limit_us", "INTEGER", "the age at which snapshots end; 0: one hour"},
    {"type", "TEXT", "the type of the link"},
    {"weight", "NUMBER", "1 when left out"},
    {"hops", "INTEGER", "neighbours: 1 when left out, graph: 2, path: any"},
    {"format", "WORD", NULL},
    {"vectors", "FILE", "float32, little-endian, one row for each line"},
    {"dimension", "INTEGER", "numbers in a row of --vectors"},
    {"batch", "INTEGER", "lines in a transaction; 1,000 when left out"},
    {"full", "", "copy everything, also where what is new would do"},
    {"once", "", "no backup will follow to the same place: keep no log for it"},
    {"until", "LSN|TIME", "leave out what was committed later; everything when left out"},
    {"progress", "", "show progress though standard error is no terminal"},
    {"force", "", "replace files that exist"},
    {"threads", "INTEGER", "so many read at once; one a processor, at most 4, when left out"},
};

static void print_choices(const cli_field_t *field, cli_buffer_t *out) {
    for (size_t i = 0; field->choices[i]; i++)
        cli_buffer_printf(out, "%s%s", i ? ", " : "", field->choices[i]);
}

static void show_option(cli_screen_t *screen, const cli_command_t *command,
                        const cli_field_t *field) {
    const char *wants = "", *note = NULL;
    char left[48];
    bool position = !strcmp(field->name, "after") && field->kind == CLI_FIELD_POSITION;
    for (size_t i = 0; i < sizeof notes / sizeof *notes; i++)
        if (!strcmp(notes[i].field, field->name)) {
            wants = notes[i].wants;
            note = notes[i].note;
        }
    bool own = command->own != NULL; // import and export: lines may name their spaces
    if (!strcmp(field->name, "space"))
        note = own ? "one space for all; when left out, each line's ns" : "main when left out";
    if (!strcmp(field->name, "after")) {
        wants = position ? "TEXT" : "INTEGER";
        note = position ? "what the last list gave as next" : "memories after it; 3 when left out";
    }
    wants = field->kind == CLI_FIELD_CHOICE ? "WORD" : wants;
    snprintf(left, sizeof left, "--%s%s%s", field->name, *wants ? " " : "", wants);
    for (char *c = left; *c && *c != ' '; c++)
        *c = *c == '_' ? '-' : *c;
    cli_buffer_t text = {0};
    if (field->kind == CLI_FIELD_CHOICE)
        print_choices(field, &text);
    else if (note)
        cli_buffer_text(&text, note);
    show_entry(screen, left, (memdb_bytes_t){text.data, text.size});
    cli_buffer_free(&text);
}

void cli_help_command(cli_screen_t *screen, const cli_command_t *command) {
    cli_buffer_t head = {0};
    cli_buffer_printf(&head, "%s%s%s%s: %s", command->act ? "." : "", command->name,
                      command->usage[0] ? " " : "", command->usage, command->summary);
    cli_show_wrapped(screen, (memdb_bytes_t){head.data, head.size}, 0, NULL);
    cli_buffer_free(&head);
    if (command->act)
        return;
    for (const cli_field_t *field = cli_command_op(command)->fields; field->name; field++) {
        bool placed = command->words == CLI_WORDS_PATHS
                          ? field->required
                          : command->field && !strcmp(field->name, command->field);
        if (!placed && field->kind != CLI_FIELD_REFERENCE)
            show_option(screen, command, field);
    }
}
