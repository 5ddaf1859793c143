// Words of a line at the prompt.
#include "cli/cli_words.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static void add_word(cli_words_list_t *list, const char *text, size_t size) {
    if (list->count < CLI_MAX_WORDS)
        list->items[list->count++] = cli_duplicate(text, size);
}

bool cli_next_word(const char **at, cli_buffer_t *word) {
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

void cli_words_split(const cli_command_t *command, const char *line, cli_words_list_t *list) {
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
                add_word(list, "--", 2);
                add_word(list, at, size);
            }
            break;
        }
        if (!cli_next_word(&at, &word))
            break;
        add_word(list, word.data, word.size);
        bool wants = option && !strchr(word.data, '=') &&
                     cli_option_takes_value(command, word.data + 2, word.size - 2);
        if (wants && cli_next_word(&at, &word))
            add_word(list, word.data, word.size);
    }
    cli_buffer_free(&word);
}

void cli_words_free(cli_words_list_t *list) {
    for (int i = 0; i < list->count; i++)
        free(list->items[i]);
    list->count = 0;
}
