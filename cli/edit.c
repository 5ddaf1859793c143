// Adapter: libedit. The history file holds what was asked and told, so it is readable by its owner
// alone.
#include "cli/cli_buffer.h"
#include "cli/cli_edit.h"

#include <fcntl.h>
#include <histedit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HISTORY_LINES 1000

struct cli_edit {
    EditLine *line;
    History *history;
    char *prompt, *history_path, *current;
};

static char *prompt_of(EditLine *line) {
    void *edit = NULL;
    el_get(line, EL_CLIENTDATA, &edit);
    return ((cli_edit_t *)edit)->prompt;
}

cli_edit_t *cli_edit_open(const char *prompt, const char *history_path) {
    HistEvent event;
    cli_edit_t *edit = cli_allocate(sizeof *edit);
    edit->prompt = cli_duplicate(prompt, strlen(prompt));
    edit->history_path = history_path ? cli_duplicate(history_path, strlen(history_path)) : NULL;
    edit->line = el_init("memdb", stdin, stdout, stderr);
    edit->history = history_init();
    if (!edit->line || !edit->history) {
        cli_edit_close(edit);
        return NULL;
    }
    history(edit->history, &event, H_SETSIZE, HISTORY_LINES);
    history(edit->history, &event, H_SETUNIQUE, 1);
    if (edit->history_path)
        history(edit->history, &event, H_LOAD, edit->history_path);
    el_set(edit->line, EL_CLIENTDATA, edit);
    el_set(edit->line, EL_PROMPT, prompt_of);
    el_set(edit->line, EL_EDITOR, "emacs");
    el_set(edit->line, EL_SIGNAL, 1);
    el_set(edit->line, EL_HIST, history, edit->history);
    el_source(edit->line, NULL); // the person's own ~/.editrc
    return edit;
}

const char *cli_edit_line(cli_edit_t *edit, size_t *size_out) {
    int count = 0;
    HistEvent event;
    const char *line = el_gets(edit->line, &count);
    if (!line || count <= 0)
        return NULL;
    size_t size = (size_t)count;
    while (size && (line[size - 1] == '\n' || line[size - 1] == '\r'))
        size--;
    free(edit->current);
    edit->current = cli_duplicate(line, size);
    if (size)
        history(edit->history, &event, H_ENTER, edit->current);
    *size_out = size;
    return edit->current;
}

static void save_history(cli_edit_t *edit) {
    HistEvent event;
    int fd = open(edit->history_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return; // a home that cannot be written to is no reason to complain
    close(fd);
    history(edit->history, &event, H_SAVE, edit->history_path);
}

void cli_edit_close(cli_edit_t *edit) {
    if (edit->history && edit->line && edit->history_path)
        save_history(edit);
    if (edit->line)
        el_end(edit->line);
    if (edit->history)
        history_end(edit->history);
    free(edit->prompt);
    free(edit->history_path);
    free(edit->current);
    free(edit);
}
