// Adapter: libedit. The history file holds what was asked and told, so it is readable by its owner
// alone.
#include "cli/cli_edit.h"

#include <fcntl.h>
#include <histedit.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HISTORY_LINES 1000
#define LIST_COLUMNS 79

struct cli_edit {
    EditLine *line;
    History *history;
    const char *prompt; // lent for one line
    char *history_path, *current;
    cli_edit_complete_fn complete;
    void *context;
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
    const LineInfo *info = el_line(line);
    el_cursor(line, (int)(info->lastchar - info->cursor));
    el_insertstr(line, "^C");
    el_push(line, "\n"); // ends the line as a person would, so that the screen is right
    return CC_REFRESH;
}

// Ctrl-Z too is a key, which then does what the terminal would have done.
static unsigned char stop_shell(EditLine *line, int key) {
    (void)line;
    (void)key;
    raise(SIGTSTP); // the editor gives the terminal back, and takes it again
    return CC_REFRESH;
}

// How many bytes all offers begin with alike.
static size_t common(const cli_buffer_t *offers) {
    size_t size = strlen(offers->data);
    for (const char *at = offers->data; at < offers->data + offers->size; at += strlen(at) + 1) {
        size_t same = 0;
        while (same < size && at[same] == offers->data[same])
            same++;
        size = same;
    }
    while (size && ((unsigned char)offers->data[size] & 0xC0) == 0x80)
        size--; // between characters
    return size;
}

// Below the line, as many in a row as fit; the editor then draws its line anew.
static void list_offers(const cli_buffer_t *offers) {
    size_t used = 0;
    putchar('\n');
    for (const char *at = offers->data; at < offers->data + offers->size; at += strlen(at) + 1) {
        size_t size = strcspn(at, " ");
        if (used && used + size + 2 > LIST_COLUMNS) {
            putchar('\n');
            used = 0;
        }
        printf("%.*s  ", (int)size, at);
        used += size + 2;
    }
    putchar('\n');
    fflush(stdout);
}

static unsigned char complete(EditLine *line, int key) {
    (void)key;
    void *object = NULL;
    el_get(line, EL_CLIENTDATA, &object);
    cli_edit_t *edit = object;
    const LineInfo *info = el_line(line);
    cli_buffer_t offers = {0};
    size_t size = (size_t)(info->cursor - info->buffer), from = 0;
    unsigned char result = CC_ERROR; // rings the bell
    char *before = cli_duplicate(info->buffer, size);
    edit->complete(edit->context, before, &offers, &from);
    free(before);
    if (offers.size) {
        size_t known = size - from, shared = common(&offers);
        offers.data[offers.size - 1] = 0;
        bool several = strlen(offers.data) + 1 < offers.size;
        char *more = cli_duplicate(offers.data + known, shared - known);
        result = CC_REFRESH;
        if (shared > known && el_insertstr(line, more))
            result = CC_ERROR;
        if (shared == known && several) {
            list_offers(&offers);
            result = CC_REDISPLAY;
        }
        free(more);
    }
    cli_buffer_free(&offers);
    return result;
}

cli_edit_t *cli_edit_open(const char *history_path, cli_edit_complete_fn complete_line,
                          void *context) {
    HistEvent event;
    cli_edit_t *edit = cli_allocate(sizeof *edit);
    edit->history_path = history_path ? cli_duplicate(history_path, strlen(history_path)) : NULL;
    edit->complete = complete_line;
    edit->context = context;
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
    el_set(edit->line, EL_SETTY, "-d", "-isig", NULL);
    el_set(edit->line, EL_ADDFN, "memdb-stop", "stop the shell", stop_shell);
    el_set(edit->line, EL_BIND, "^Z", "memdb-stop", NULL);
    el_set(edit->line, EL_ADDFN, "memdb-drop-line", "drop the line", drop_line);
    el_set(edit->line, EL_BIND, "^C", "memdb-drop-line", NULL);
    el_set(edit->line, EL_ADDFN, "memdb-complete", "complete the word", complete);
    el_set(edit->line, EL_BIND, "^I", "memdb-complete", NULL);
    el_set(edit->line, EL_HIST, history, edit->history);
    el_source(edit->line, NULL); // the person's own ~/.editrc
    return edit;
}

static void save_history(cli_edit_t *edit) {
    HistEvent event;
    int fd = open(edit->history_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return; // a home that cannot be written to is no reason to complain
    close(fd);
    history(edit->history, &event, H_SAVE, edit->history_path);
}

const char *cli_edit_line(cli_edit_t *edit, const char *prompt, size_t *size_out) {
    int count = 0;
    HistEvent event;
    edit->prompt = prompt;
    const char *line = el_gets(edit->line, &count);
    if (edit->dropped && line) {
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
    if (size && edit->history_path)
        save_history(edit); // now: a shell that is killed has lost nothing
    *size_out = size;
    return edit->current;
}

void cli_edit_close(cli_edit_t *edit) {
    if (edit->line)
        el_end(edit->line);
    if (edit->history)
        history_end(edit->history);
    free(edit->history_path);
    free(edit->current);
    free(edit);
}
