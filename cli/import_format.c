// Lines to put requests, and memories to lines: two directions of one mapping, side by side.
#include "cli/cli_import.h"
#include "cli/cli_lines.h"
#include "cli/cli_request.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *theirs, *ours;
} names[] = {
    {"id", "key"},          {"text", "text"},     {"time", "time"},
    {"session", "session"}, {"speaker", "actor"}, {"ns", "space"},
};
#define NAMES (sizeof names / sizeof *names)
static const char *const extras[] = {"kind",       "importance", "tokens",
                                     "valid_from", "valid_to",   "expires"};
#define EXTRAS (sizeof extras / sizeof *extras)

static bool is_absent(const cli_json_t *value) {
    return cli_json_kind(value) == CLI_JSON_NULL ||
           (cli_json_kind(value) == CLI_JSON_STRING && !cli_json_bytes(value).size);
}

// Members of `memdb`: only those that export writes.
static memdb_status_t take_extras(const cli_json_t *from, cli_json_t *put, cli_json_t *attrs,
                                  memdb_error_t *error) {
    if (cli_json_kind(from) != CLI_JSON_OBJECT)
        return cli_fail(error, MEMDB_INVALID, "memdb: must be an object");
    for (void *at = cli_json_first(from); at; at = cli_json_next(from, at)) {
        const char *name = cli_json_name_at(at);
        const cli_json_t *value = cli_json_value_at(at);
        size_t i = 0;
        while (i < EXTRAS && strcmp(extras[i], name))
            i++;
        if (i < EXTRAS) {
            cli_json_set(put, name, cli_json_share(value));
        } else if (!strcmp(name, "attrs") && cli_json_kind(value) == CLI_JSON_OBJECT) {
            for (void *inner = cli_json_first(value); inner; inner = cli_json_next(value, inner))
                cli_json_set(attrs, cli_json_name_at(inner),
                             cli_json_share(cli_json_value_at(inner)));
        } else {
            return cli_fail(error, MEMDB_INVALID, "memdb.%.100s: there is no such field here",
                            name);
        }
    }
    return MEMDB_OK;
}

static memdb_status_t take_member(const char *name, const cli_json_t *value, bool has_space,
                                  cli_json_t *put, cli_json_t *attrs, memdb_error_t *error) {
    if (!strcmp(name, "memdb"))
        return take_extras(value, put, attrs, error);
    for (size_t i = 0; i < NAMES; i++) {
        if (strcmp(names[i].theirs, name))
            continue;
        bool is_text = !strcmp(name, "text"), is_id = !strcmp(name, "id");
        if ((is_absent(value) && !is_text) || (has_space && !strcmp(name, "ns")))
            return MEMDB_OK;
        if (is_id && cli_json_kind(value) == CLI_JSON_INTEGER) {
            char digits[24];
            snprintf(digits, sizeof digits, "%lld", (long long)cli_json_integer(value));
            cli_json_set(put, "key", cli_json_new_text(digits));
            return MEMDB_OK;
        }
        const cli_field_t *field = cli_op_field(cli_op_find("put"), names[i].ours);
        cli_json_set(put, names[i].ours, cli_json_share(value));
        return cli_field_check(field, name, value,
                               error); // here, so that the message has their name
    }
    cli_json_set(attrs, name, cli_json_share(value));
    return MEMDB_OK;
}

cli_json_t *cli_import_line(const char *line, size_t size, const cli_json_t *space,
                            memdb_error_t *error) {
    cli_json_t *object = cli_json_parse(line, size, NULL, error);
    if (!object)
        return NULL;
    cli_json_t *put = cli_json_new_object(), *attrs = cli_json_new_object();
    memdb_status_t status = MEMDB_OK;
    if (cli_json_kind(object) != CLI_JSON_OBJECT)
        status = cli_fail(error, MEMDB_INVALID, "a line is an object, not an array");
    for (void *at = status == MEMDB_OK ? cli_json_first(object) : NULL; at && status == MEMDB_OK;
         at = cli_json_next(object, at))
        status = take_member(cli_json_name_at(at), cli_json_value_at(at), space != NULL, put, attrs,
                             error);
    if (status == MEMDB_OK && !cli_json_get(put, "key"))
        status = cli_fail(error, MEMDB_INVALID, "id: is missing");
    if (status == MEMDB_OK && !cli_json_get(put, "text"))
        status = cli_fail(error, MEMDB_INVALID, "text: is missing");
    if (space)
        cli_json_set(put, "space", cli_json_share(space));
    if (cli_json_count(attrs))
        cli_json_set(put, "attrs", cli_json_share(attrs));
    if (status == MEMDB_OK)
        status = cli_fields_check(cli_put_fields, put, error);
    cli_json_free(attrs);
    cli_json_free(object);
    if (status == MEMDB_OK)
        return put;
    cli_json_free(put);
    return NULL;
}

static bool is_reserved(const char *name) {
    bool found = !strcmp(name, "memdb");
    for (size_t i = 0; i < NAMES; i++)
        found |= !strcmp(names[i].theirs, name);
    return found;
}

// Attributes go beside the other fields, or into memdb.attrs when one of them has the name of a
// field.
static void place_attrs(const cli_json_t *memory, cli_json_t *line, cli_json_t *extra) {
    cli_json_t *attrs = cli_json_get(memory, "attrs");
    bool apart = false;
    for (void *at = cli_json_first(attrs); at; at = cli_json_next(attrs, at))
        apart |= is_reserved(cli_json_name_at(at));
    if (apart) {
        cli_json_set(extra, "attrs", cli_json_share(attrs));
        return;
    }
    for (void *at = cli_json_first(attrs); at; at = cli_json_next(attrs, at))
        cli_json_set(line, cli_json_name_at(at), cli_json_share(cli_json_value_at(at)));
}

memdb_status_t cli_export_line(const memdb_memory_t *memory, memdb_bytes_t ns, cli_buffer_t *out,
                               memdb_error_t *error) {
    cli_json_t *from = cli_memory_json(memory, ns, error);
    if (!from)
        return error->status;
    cli_json_t *line = cli_json_new_object(), *extra = cli_json_new_object();
    for (size_t i = 0; i < NAMES; i++) {
        const cli_json_t *value = cli_json_get(from, names[i].ours);
        if (!is_absent(value) || !strcmp(names[i].ours, "text"))
            cli_json_set(line, names[i].theirs, cli_json_share(value));
    }
    if (!cli_json_get(line, "id")) { // import wants a key: a memory without one gets one of its id
        char id[40];
        snprintf(id, sizeof id, "memory-%llu", (unsigned long long)memory->id);
        cli_json_set(line, "id", cli_json_new_text(id));
    }
    for (size_t i = 0; i < EXTRAS; i++) {
        const cli_json_t *value = cli_json_get(from, extras[i]);
        if (value && !is_absent(value))
            cli_json_set(extra, extras[i], cli_json_share(value));
    }
    place_attrs(from, line, extra);
    if (cli_json_count(extra))
        cli_json_set(line, "memdb", cli_json_share(extra));
    cli_json_write(line, out);
    cli_json_free(extra);
    cli_json_free(line);
    cli_json_free(from);
    return MEMDB_OK;
}

bool cli_is_blank(const char *line, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (line[i] != ' ' && line[i] != '\t' && line[i] != '\r')
            return false;
    return true;
}

bool cli_count_lines(int fd, uint64_t *count_out) {
    cli_lines_t lines;
    const char *line;
    size_t size;
    cli_line_kind_t kind;
    uint64_t count = 0;
    cli_lines_init(&lines, fd, CLI_MAX_LINE_BYTES);
    while ((kind = cli_lines_next(&lines, &line, &size)) == CLI_LINE || kind == CLI_LINE_TOO_LONG)
        count += kind == CLI_LINE_TOO_LONG || !cli_is_blank(line, size);
    cli_lines_deinit(&lines);
    *count_out = count;
    return kind == CLI_LINE_END && lseek(fd, 0, SEEK_SET) == 0;
}
