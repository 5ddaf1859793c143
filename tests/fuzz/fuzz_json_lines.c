// Fuzz target: lines of JSON as requests, against a real database in memory (a directory of
// /dev/shm, durability none).
//
// The input is split at newlines and each line is answered. What must hold: no crash, no sanitizer
// report, every answer is one line of JSON with ok, and a refusal has a code and a message. backup
// is checked but not run, since the fuzzer would choose where it writes. The database is made anew
// after a number of inputs, so that it stays small.
#include "cli/cli_request.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INPUTS_OF_ONE_DATABASE 200

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static cli_session_t session = {.durability = MEMDB_DURABILITY_NONE};
static char directory[64];
static unsigned inputs;

static void remove_tree(const char *path) {
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        char inner[4096];
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
        remove_tree(inner);
    }
    if (folder)
        closedir(folder);
    remove(path);
}

static void close_database(void) {
    if (!session.db)
        return;
    cli_session_close(&session);
    remove_tree(directory);
}

static void open_database(void) {
    memdb_error_t error;
    static bool registered;
    if (!registered)
        atexit(close_database);
    registered = true;
    snprintf(directory, sizeof directory, "/dev/shm/memdb-fuzz-XXXXXX");
    if (!mkdtemp(directory))
        abort();
    session.path = directory;
    if (cli_session_open(&session, true, &error) != MEMDB_OK) {
        fprintf(stderr, "%s\n", error.message);
        abort();
    }
}

static bool is_backup(const char *line, size_t size) {
    const cli_op_t *op = NULL;
    memdb_error_t error;
    cli_json_t *request = cli_json_parse(line, size, NULL, NULL);
    bool backup = request && cli_request_check(request, &op, &error) == MEMDB_OK &&
                  !strcmp(op->name, "backup");
    cli_json_free(request);
    return backup;
}

static void check_answer(const cli_json_t *answer) {
    cli_buffer_t text = {0};
    memdb_error_t error;
    cli_json_write(answer, &text);
    cli_json_t *back = cli_json_parse(text.data, text.size, NULL, &error);
    const cli_json_t *ok = back ? cli_json_get(back, "ok") : NULL;
    if (!ok || memchr(text.data, '\n', text.size))
        abort();
    if (!cli_json_truth(ok) &&
        (!cli_json_get(back, "code") || !cli_json_bytes(cli_json_get(back, "message")).size))
        abort();
    cli_json_free(back);
    cli_buffer_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *at = (const char *)data, *end = at + size;
    if (inputs++ % INPUTS_OF_ONE_DATABASE == 0) {
        close_database();
        open_database();
    }
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t length = (size_t)((newline ? newline : end) - at);
        if (!is_backup(at, length)) {
            cli_json_t *answer = cli_request_line(&session, at, length);
            check_answer(answer);
            cli_json_free(answer);
        }
        at += length + 1;
    }
    cli_session_abort(&session);
    return 0;
}
