// Adapter: Jansson. Translates types and errors, and prints: Jansson's own printer writes 0.1 with
// seventeen digits.
//
// Jansson returns NULL both when memory is short and when text is not UTF-8; here the two are kept
// apart, since the first ends the shell and the second is the caller's to answer.
#include "cli/cli_json.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *jansson(const cli_json_t *value) {
    return (json_t *)(uintptr_t)value;
}

static cli_json_t *made(json_t *value) {
    if (!value)
        cli_out_of_memory();
    return (cli_json_t *)value;
}

cli_json_t *cli_json_parse(const char *data, size_t size, bool *duplicate, memdb_error_t *error) {
    json_error_t problem;
    json_t *value = json_loadb(data, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &problem);
    if (duplicate)
        *duplicate = !value && json_error_code(&problem) == json_error_duplicate_key;
    if (value)
        return (cli_json_t *)value;
    if (json_error_code(&problem) == json_error_out_of_memory)
        cli_out_of_memory();
    if (error) {
        error->status = MEMDB_INVALID;
        snprintf(error->message, sizeof error->message, "not valid JSON at byte %d: %s",
                 problem.position, problem.text);
    }
    return NULL;
}

cli_json_t *cli_json_parse_leniently(const char *data, size_t size) {
    return (cli_json_t *)json_loadb(data, size, JSON_ALLOW_NUL, NULL);
}

void cli_json_free(cli_json_t *value) {
    json_decref(jansson(value));
}

cli_json_t *cli_json_share(const cli_json_t *value) {
    return (cli_json_t *)json_incref(jansson(value));
}

cli_json_kind_t cli_json_kind(const cli_json_t *value) {
    switch (json_typeof(jansson(value))) {
    case JSON_OBJECT:
        return CLI_JSON_OBJECT;
    case JSON_ARRAY:
        return CLI_JSON_ARRAY;
    case JSON_STRING:
        return CLI_JSON_STRING;
    case JSON_INTEGER:
        return CLI_JSON_INTEGER;
    case JSON_REAL:
        return CLI_JSON_REAL;
    case JSON_TRUE:
    case JSON_FALSE:
        return CLI_JSON_BOOL;
    case JSON_NULL:
        break;
    }
    return CLI_JSON_NULL;
}

const char *cli_json_kind_name(cli_json_kind_t kind) {
    static const char *const names[] = {"null",     "true or false", "an integer", "a number",
                                        "a string", "an array",      "an object"};
    return names[kind];
}

memdb_bytes_t cli_json_bytes(const cli_json_t *string) {
    return (memdb_bytes_t){json_string_value(jansson(string)), json_string_length(jansson(string))};
}

int64_t cli_json_integer(const cli_json_t *value) {
    return json_integer_value(jansson(value));
}

double cli_json_number(const cli_json_t *value) {
    return json_number_value(jansson(value));
}

bool cli_json_truth(const cli_json_t *value) {
    return json_is_true(jansson(value));
}

size_t cli_json_count(const cli_json_t *value) {
    return json_is_array(jansson(value)) ? json_array_size(jansson(value))
                                         : json_object_size(jansson(value));
}

cli_json_t *cli_json_at(const cli_json_t *array, size_t number) {
    return (cli_json_t *)json_array_get(jansson(array), number);
}

cli_json_t *cli_json_get(const cli_json_t *object, const char *name) {
    return (cli_json_t *)json_object_get(jansson(object), name);
}

void *cli_json_first(const cli_json_t *object) {
    return json_object_iter(jansson(object));
}

void *cli_json_next(const cli_json_t *object, void *at) {
    return json_object_iter_next(jansson(object), at);
}

const char *cli_json_name_at(void *at) {
    return json_object_iter_key(at);
}

cli_json_t *cli_json_value_at(void *at) {
    return (cli_json_t *)json_object_iter_value(at);
}

cli_json_t *cli_json_new_object(void) {
    return made(json_object());
}

cli_json_t *cli_json_new_array(void) {
    return made(json_array());
}

cli_json_t *cli_json_new_null(void) {
    return made(json_null());
}

cli_json_t *cli_json_new_bool(bool truth) {
    return made(json_boolean(truth));
}

cli_json_t *cli_json_new_integer(int64_t number) {
    return made(json_integer(number));
}

cli_json_t *cli_json_new_number(double number) {
    return made(isfinite(number) ? json_real(number) : json_null());
}

// The length of the UTF-8 sequence at `at`, 0 when there is none (RFC 3629: no surrogates, no
// overlong forms).
static size_t sequence(const unsigned char *at, size_t left) {
    if (at[0] < 0x80)
        return 1;
    size_t size = at[0] >= 0xC2 && at[0] <= 0xDF   ? 2
                  : (at[0] & 0xF0) == 0xE0         ? 3
                  : at[0] >= 0xF0 && at[0] <= 0xF4 ? 4
                                                   : 0;
    if (!size || size > left)
        return 0;
    for (size_t i = 1; i < size; i++)
        if ((at[i] & 0xC0) != 0x80)
            return 0;
    if ((at[0] == 0xE0 && at[1] < 0xA0) || (at[0] == 0xED && at[1] > 0x9F) ||
        (at[0] == 0xF0 && at[1] < 0x90) || (at[0] == 0xF4 && at[1] > 0x8F))
        return 0;
    return size;
}

static bool is_utf8(memdb_bytes_t bytes) {
    for (size_t at = 0; at < bytes.size;) {
        size_t step = sequence((const unsigned char *)bytes.data + at, bytes.size - at);
        if (!step)
            return false;
        at += step;
    }
    return true;
}

cli_json_t *cli_json_new_string(memdb_bytes_t bytes) {
    if (!is_utf8(bytes))
        return NULL;
    return made(json_stringn_nocheck(bytes.size ? bytes.data : "", bytes.size));
}

cli_json_t *cli_json_new_text(const char *text) {
    size_t left = strlen(text);
    cli_buffer_t clean = {0};
    for (const char *at = text; left;) {
        size_t step = sequence((const unsigned char *)at, left);
        cli_buffer_append(&clean, step ? at : "\xEF\xBF\xBD", step ? step : 3);
        at += step ? step : 1;
        left -= step ? step : 1;
    }
    json_t *value = json_stringn_nocheck(clean.data ? clean.data : "", clean.size);
    cli_buffer_free(&clean);
    return made(value);
}

void cli_json_set(cli_json_t *object, const char *name, cli_json_t *value) {
    if (json_object_set_new_nocheck(jansson(object), name, jansson(value)))
        cli_out_of_memory();
}

void cli_json_append(cli_json_t *array, cli_json_t *value) {
    if (json_array_append_new(jansson(array), jansson(value)))
        cli_out_of_memory();
}

void cli_json_remove(cli_json_t *object, const char *name) {
    json_object_del(jansson(object), name);
}

bool cli_json_equal(const cli_json_t *a, const cli_json_t *b) {
    return json_equal(jansson(a), jansson(b));
}

void cli_json_write_string(memdb_bytes_t bytes, cli_buffer_t *out) {
    cli_buffer_reserve(out, bytes.size + 2);
    cli_buffer_char(out, '"');
    size_t plain = 0; // start of the bytes that go out as they are
    for (size_t at = 0; at < bytes.size; at++) {
        unsigned char c = (unsigned char)bytes.data[at];
        if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7F)
            continue;
        cli_buffer_append(out, bytes.data + plain, at - plain);
        plain = at + 1;
        const char *found = c ? strchr("\"\\\nn\tt\rr\bb\ff", c) : NULL;
        if (c == '"' || c == '\\')
            cli_buffer_append(out, (char[]){'\\', (char)c}, 2);
        else if (found)
            cli_buffer_append(out, (char[]){'\\', found[1]}, 2);
        else
            cli_buffer_printf(out, "\\u%04X", c);
    }
    cli_buffer_append(out, bytes.data + plain, bytes.size - plain);
    cli_buffer_char(out, '"');
}

static void write_real(double number, cli_buffer_t *out) {
    char digits[40];
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, number);
        if (strtod(digits, NULL) == number)
            break;
    }
    cli_buffer_text(out, digits);
    if (!strpbrk(digits, ".eE"))
        cli_buffer_text(out, ".0"); // a real stays a real
}

static void write_members(const json_t *object, cli_buffer_t *out) {
    json_t *members = jansson((const cli_json_t *)object);
    const char *separator = "{";
    for (void *at = json_object_iter(members); at; at = json_object_iter_next(members, at)) {
        const char *name = json_object_iter_key(at);
        cli_buffer_text(out, separator);
        cli_json_write_string((memdb_bytes_t){name, strlen(name)}, out);
        cli_buffer_char(out, ':');
        cli_json_write((const cli_json_t *)json_object_iter_value(at), out);
        separator = ",";
    }
    cli_buffer_text(out, *separator == '{' ? "{}" : "}");
}

// Recursion ends: Jansson parses at most 2,048 levels, and what the shell builds itself is flat.
void cli_json_write(const cli_json_t *value, cli_buffer_t *out) {
    const json_t *json = jansson(value);
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        write_members(json, out);
        break;
    case JSON_ARRAY:
        cli_buffer_char(out, '[');
        for (size_t i = 0; i < json_array_size(json); i++) {
            if (i)
                cli_buffer_char(out, ',');
            cli_json_write((const cli_json_t *)json_array_get(json, i), out);
        }
        cli_buffer_char(out, ']');
        break;
    case JSON_STRING:
        cli_json_write_string(cli_json_bytes(value), out);
        break;
    case JSON_INTEGER:
        cli_buffer_printf(out, "%lld", (long long)json_integer_value(json));
        break;
    case JSON_REAL:
        write_real(json_real_value(json), out);
        break;
    case JSON_TRUE:
        cli_buffer_text(out, "true");
        break;
    case JSON_FALSE:
        cli_buffer_text(out, "false");
        break;
    case JSON_NULL:
        cli_buffer_text(out, "null");
        break;
    }
}
