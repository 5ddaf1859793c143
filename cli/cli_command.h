// Commands: what a person types becomes a request, and its answer a screen.
//
// A command names an operation, says where its words go, and how its answer looks. Its options are
// the fields of the operation: field `valid_from` is --valid-from. import and export are operations
// of the shell alone.
#ifndef MEMDB_CLI_COMMAND_H
#define MEMDB_CLI_COMMAND_H

#include "cli/cli_request.h"
#include "cli/cli_terminal.h"

typedef enum cli_words {
    CLI_WORDS_NONE,
    CLI_WORDS_TEXT,       // all words together are the field
    CLI_WORDS_REFERENCE,  // one word: id or key
    CLI_WORDS_ENDS,       // two or three words: from, to, type
    CLI_WORDS_PATH,       // one word
    CLI_WORDS_MAYBE_PATH, // one word or none
    CLI_WORDS_PATHS       // from and to
} cli_words_t;

typedef void (*cli_print_fn)(cli_screen_t *screen, const cli_json_t *request,
                             const cli_json_t *answer);

typedef struct cli_shell cli_shell_t;
typedef enum cli_outcome {
    CLI_DONE = 0,
    CLI_REFUSED = 1, // the request failed
    CLI_MISUSED = 2, // the words are no command
    CLI_CLOSED = 3   // standard output is gone
} cli_outcome_t;
/// What a command of the prompt does with the rest of its line, which has no space at either end.
typedef cli_outcome_t (*cli_act_fn)(cli_shell_t *shell, const char *rest);

typedef struct cli_command {
    const char *name;
    const char *op; // in cli_ops; NULL: `own`
    const cli_op_t *own;
    cli_words_t words;
    const char *field; // of TEXT and PATH
    const char *usage, *summary;
    cli_print_fn print;  // as text for people
    const char *rows;    // the member of the answer that holds the rows of a table: an array of
                         // objects, or one; NULL: each member is a row
    const char *columns; // members of a row; '>': right-aligned, '-': in CSV alone, '?': in others
                         // only where several spaces are asked
    cli_act_fn act;      // of the prompt alone: no request, no operation
} cli_command_t;

extern const cli_command_t cli_commands[]; // ends with a NULL name
const cli_command_t *cli_command_find(const char *name);
/// Only what can be run without the prompt.
const cli_command_t *cli_request_find(const char *name);
/// What somebody may have meant who typed `name`, or NULL.
const cli_command_t *cli_command_nearest(const char *name, bool at_prompt);
const cli_op_t *cli_command_op(const cli_command_t *command);

#define CLI_SNIPPET_BYTES 600 // of a hit's text on a screen, unless --snippet says otherwise

struct cli_shell {
    cli_session_t session;
    cli_screen_t screen;
    bool interactive;
    bool no_rc;   // leave ~/.memdbrc alone
    bool explain; // recalls say what was done for them
    bool timer;   // say how long each command took
    bool once;    // the screen's file is for one answer
    bool ended;   // by .exit
    char *prompt; // NULL: the default
    int depth;    // of files that read files
};

/// Make the request of a command from its words. NULL: `why` (of `size`) says what is wrong with
/// them.
cli_json_t *cli_command_parse(const cli_command_t *command, int count, char *const *words,
                              bool *json_out, char *why, size_t size);
/// Whether the option `name` (without dashes) of the command takes the next word as its value.
bool cli_option_takes_value(const cli_command_t *command, const char *name, size_t size);
/// Parse and run; the database must be open.
cli_outcome_t cli_command_run(cli_shell_t *shell, const cli_command_t *command, int count,
                              char *const *words);
cli_outcome_t cli_request_show(cli_shell_t *shell, const cli_command_t *command,
                               const cli_json_t *request);
/// Say on standard error why something failed, and what to do next.
void cli_complain(const cli_shell_t *shell, const char *code, const char *message);

/// `memdb salvage FROM TO`, which opens no database: the words behind "salvage".
cli_outcome_t cli_salvage(cli_shell_t *shell, int count, char *const *words);

/// Read commands until the end of input.
cli_outcome_t cli_prompt_run(cli_shell_t *shell);
/// Answer JSON lines until the end of input.
cli_outcome_t cli_json_loop(cli_shell_t *shell);

/// One line as it is typed at the prompt: a question, "+ text", or a command with a dot.
cli_outcome_t cli_prompt_line(cli_shell_t *shell, const char *line);
/// Each line of `fd`, which messages call `name` (NULL: nothing). The worst outcome.
cli_outcome_t cli_prompt_lines(cli_shell_t *shell, int fd, const char *name);

/// Close what .output or .once opened, and write to standard output again. false: it could not be
/// written; that was said.
bool cli_output_end(cli_shell_t *shell);
/// ~/.memdbrc, and the file of the history, whose directory is made. NULL: there is no home. free()
char *cli_rc_path(void);
char *cli_history_path(void);

// The commands of the prompt alone (acts.c).
cli_outcome_t cli_act_mode(cli_shell_t *, const char *);
cli_outcome_t cli_act_width(cli_shell_t *, const char *);
cli_outcome_t cli_act_output(cli_shell_t *, const char *);
cli_outcome_t cli_act_once(cli_shell_t *, const char *);
cli_outcome_t cli_act_read(cli_shell_t *, const char *);
cli_outcome_t cli_act_explain(cli_shell_t *, const char *);
cli_outcome_t cli_act_timer(cli_shell_t *, const char *);
cli_outcome_t cli_act_prompt(cli_shell_t *, const char *);
cli_outcome_t cli_act_help(cli_shell_t *, const char *);
cli_outcome_t cli_act_exit(cli_shell_t *, const char *);

void cli_help(cli_screen_t *screen);
void cli_help_prompt(cli_screen_t *screen);
void cli_help_command(cli_screen_t *screen, const cli_command_t *command);

/// An answer as a table in the screen's mode (rows.c).
void cli_rows_show(cli_screen_t *screen, const cli_command_t *command, const cli_json_t *request,
                   const cli_json_t *answer);
/// What was done for an answer, where it was asked to say so (`explain`).
void cli_print_plan(cli_screen_t *screen, const cli_json_t *answer);
/// "words 61 %, trace 39 %": each signal's share, largest first as the answer orders them.
void cli_print_shares(const cli_json_t *signals, cli_buffer_t *out);

// The looks of answers as text (print.c).
void cli_print_put(cli_screen_t *, const cli_json_t *, const cli_json_t *);
void cli_print_recall(cli_screen_t *, const cli_json_t *, const cli_json_t *);
void cli_print_memory(cli_screen_t *, const cli_json_t *, const cli_json_t *);
void cli_print_memories(cli_screen_t *, const cli_json_t *, const cli_json_t *);
void cli_print_trace(cli_screen_t *, const cli_json_t *, const cli_json_t *);
void cli_print_neighbours(cli_screen_t *, const cli_json_t *, const cli_json_t *);
void cli_print_tables(cli_screen_t *, const cli_json_t *, const cli_json_t *);
void cli_print_spaces(cli_screen_t *, const cli_json_t *, const cli_json_t *);
void cli_print_gates(cli_screen_t *, const cli_json_t *, const cli_json_t *);
void cli_print_refused(cli_screen_t *, const cli_json_t *, const cli_json_t *);
void cli_print_indexes(cli_screen_t *, const cli_json_t *, const cli_json_t *);
void cli_print_space(cli_screen_t *, const cli_json_t *, const cli_json_t *);
void cli_print_graph(cli_screen_t *, const cli_json_t *, const cli_json_t *);
void cli_print_figures(cli_screen_t *, const cli_json_t *, const cli_json_t *);
void cli_print_verify(cli_screen_t *, const cli_json_t *, const cli_json_t *);
void cli_print_done(cli_screen_t *, const cli_json_t *, const cli_json_t *);
void cli_print_forgotten(cli_screen_t *, const cli_json_t *, const cli_json_t *);

extern const cli_op_t cli_import_op, cli_export_op, cli_dump_op, cli_graph_op, cli_restore_op;

#endif
