// Words of a line at the prompt.
#ifndef MEMDB_CLI_WORDS_H
#define MEMDB_CLI_WORDS_H

#include "cli/cli_command.h"

#define CLI_MAX_WORDS 64

typedef struct cli_words_list {
    char *items[CLI_MAX_WORDS];
    int count;
} cli_words_list_t;

/// The next word from *at on; double quotes hold words with spaces together, and "" in them is a
/// quote. false: there is none.
bool cli_next_word(const char **at, cli_buffer_t *word);
/// Words of a command. For a command that takes a text, options come first and the rest of the line
/// is the text as it stands: a person's quotes and apostrophes are part of it.
void cli_words_split(const cli_command_t *command, const char *line, cli_words_list_t *list);
void cli_words_free(cli_words_list_t *list);

#endif
