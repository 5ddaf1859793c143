// Files of a person: where they are by the XDG base directory specification.
#include "cli/cli_command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *home(void) {
    const char *path = getenv("HOME");
    return path && *path ? path : NULL;
}

char *cli_rc_path(void) {
    cli_buffer_t path = {0};
    if (home())
        cli_buffer_printf(&path, "%s/.memdbrc", home());
    return path.data;
}

// Make each missing directory of the path. One that cannot be made shows when the file is opened.
static void make_directories(const char *path) {
    char *copy = cli_duplicate(path, strlen(path));
    for (char *at = strchr(copy + 1, '/'); at; at = strchr(at + 1, '/')) {
        *at = 0;
        mkdir(copy, 0700);
        *at = '/';
    }
    free(copy);
}

char *cli_history_path(void) {
    cli_buffer_t path = {0};
    const char *state = getenv("XDG_STATE_HOME");
    if (state && state[0] == '/') // by the specification, a relative one counts as not set
        cli_buffer_printf(&path, "%s/memdb/history", state);
    else if (home())
        cli_buffer_printf(&path, "%s/.local/state/memdb/history", home());
    if (path.data)
        make_directories(path.data);
    return path.data;
}
