// Adapter: libedit. The history file holds what was asked and told, so it is readable by its owner
// alone.
#include "cli/cli_buffer.h"
#include "cli/cli_edit.h"

#include <fcntl.h>
#include <histedit.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HISTORY_LINES 1000

struct cli_edit {
    EditLine *line;
    History *history;
    const char *prompt; // lent for one line
    char *history_path, *current;
    bool dropped; // the line, by Ctrl-C
};

static char *prompt_of(EditLine *line) {
    void *edit = NULL;
    el_get(line, EL_CLIENTDATA, &edit);
    return (char *)(uintptr_t)((cli_edit_t *)edit)->prompt;
}

// Ctrl-C drops the line and begins a new one. In line editing it is a key like others, so that no
// signal has to meet the editor in the midst of its work; a command that runs meets the signal.
static unsigned char drop_line(EditLine *line, int key) {
    (void)key;
    void *edit = NULL;
    el_get(line, EL_CLIENTDATA, &edit);
    ((cli_edit_t *)edit)->dropped = true;
    fputs("^C", stdout);
    return CC_NEWLINE;
}

cli_edit_t *cli_edit_open(const char *history_path) {
    HistEvent event;
    cli_edit_t *edit = cli_allocate(sizeof *edit);
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
    el_set(edit->line, EL_SIGNAL, 1); // for stopping, going on, and a new size of the terminal
    el_set(edit->line, EL_SETTY, "-d", "intr=", NULL);
    el_set(edit->line, EL_ADDFN, "memdb-drop-line", "drop the line", drop_line);
    el_set(edit->line, EL_BIND, "^C", "memdb-drop-line", NULL);
    el_set(edit->line, EL_HIST, history, edit->history);
    el_source(edit->line, NULL); // the person's own ~/.editrc
    return edit;
}

const char *cli_edit_line(cli_edit_t *edit, const char *prompt, size_t *size_out) {
    int count = 0;
    HistEvent event;
    edit->prompt = prompt;
    const char *line = el_gets(edit->line, &count);
    if (edit->dropped) {
        edit->dropped = false;
        *size_out = 0;
        return "";
    }
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
    free(edit->history_path);
    free(edit->current);
    free(edit);
}
