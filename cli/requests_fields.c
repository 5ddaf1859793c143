// The rules of the fields: each kind of field is checked here once, for all operations.
#include "cli/cli_base64.h"
#include "cli/cli_request.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static memdb_status_t wrong_type(memdb_error_t *error, const char *name, const char *wanted,
                                 const cli_json_t *value) {
    return cli_fail(error, MEMDB_INVALID, "%s: must be %s, not %s", name, wanted,
                    cli_json_kind_name(cli_json_kind(value)));
}

static memdb_status_t check_string(const cli_field_t *field, const char *name,
                                   const cli_json_t *value, memdb_error_t *error) {
    if (cli_json_kind(value) != CLI_JSON_STRING)
        return wrong_type(error, name, "a string", value);
    memdb_bytes_t bytes = cli_json_bytes(value);
    if ((double)bytes.size > field->high)
        return cli_fail(error, MEMDB_LIMIT, "%s: has %zu bytes, more than %.0f", name, bytes.size,
                        field->high);
    if ((double)bytes.size < field->low)
        return cli_fail(error, MEMDB_INVALID, "%s: is empty", name);
    if (field->kind == CLI_FIELD_NAME && memchr(bytes.data, 0, bytes.size))
        return cli_fail(error, MEMDB_INVALID, "%s: holds a NUL", name);
    return MEMDB_OK;
}

static memdb_status_t check_time(const char *name, const cli_json_t *value, memdb_error_t *error) {
    int64_t time;
    if (cli_json_kind(value) != CLI_JSON_STRING)
        return wrong_type(error, name, "a time such as \"2023-05-08T13:56:00Z\"", value);
    memdb_bytes_t text = cli_json_bytes(value);
    memdb_error_t why;
    if (memdb_time_parse(text, &time, &why) != MEMDB_OK)
        return cli_fail(error, MEMDB_INVALID, "%s: %.100s: '%.60s'", name, why.message, text.data);
    return MEMDB_OK;
}

static memdb_status_t check_moment(const char *name, const cli_json_t *value,
                                   memdb_error_t *error) {
    if (cli_json_kind(value) == CLI_JSON_STRING)
        return check_time(name, value, error);
    if (cli_json_kind(value) != CLI_JSON_INTEGER)
        return wrong_type(error, name, "a position (an lsn) or a time", value);
    return cli_json_integer(value) > 0
               ? MEMDB_OK
               : cli_fail(error, MEMDB_INVALID, "%s: a position is above 0", name);
}

static memdb_status_t check_number(const cli_field_t *field, const char *name,
                                   const cli_json_t *value, memdb_error_t *error) {
    cli_json_kind_t kind = cli_json_kind(value);
    bool integer = field->kind == CLI_FIELD_INTEGER;
    if (kind != CLI_JSON_INTEGER && (integer || kind != CLI_JSON_REAL))
        return wrong_type(error, name, integer ? "an integer" : "a number", value);
    double number = cli_json_number(value);
    // An id may be any positive integer: bounds beyond 2^53 are not compared as doubles.
    bool above = number > field->high && field->high < 9007199254740992.0;
    if (number < field->low || above)
        return cli_fail(error, MEMDB_INVALID, "%s: %.17g is not within %.17g to %.17g", name,
                        number, field->low, field->high);
    return MEMDB_OK;
}

static memdb_status_t check_choice(const cli_field_t *field, const char *name,
                                   const cli_json_t *value, memdb_error_t *error) {
    if (cli_json_kind(value) != CLI_JSON_STRING)
        return wrong_type(error, name, "a string", value);
    memdb_bytes_t text = cli_json_bytes(value);
    char list[128] = "";
    for (size_t i = 0; field->choices[i]; i++) {
        if (strlen(field->choices[i]) == text.size &&
            !memcmp(field->choices[i], text.data, text.size))
            return MEMDB_OK;
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", field->choices[i]);
    }
    return cli_fail(error, MEMDB_INVALID, "%s: '%.60s' is none of %s", name, text.data, list);
}

static memdb_status_t check_object(const char *name, const cli_json_t *value,
                                   memdb_error_t *error) {
    if (cli_json_kind(value) != CLI_JSON_OBJECT)
        return wrong_type(error, name, "an object", value);
    return MEMDB_OK; // its size is known once it is written: cli_get_attrs
}

static memdb_status_t check_reference(const char *name, const cli_json_t *value,
                                      memdb_error_t *error) {
    static const cli_field_t id = {"id", CLI_FIELD_INTEGER, false, 1, 9007199254740992.0, NULL};
    static const cli_field_t key = {"key", CLI_FIELD_NAME, false, 1, MEMDB_MAX_KEY_BYTES, NULL};
    if (cli_json_kind(value) == CLI_JSON_INTEGER)
        return check_number(&id, name, value, error);
    if (cli_json_kind(value) == CLI_JSON_STRING)
        return check_string(&key, name, value, error);
    return wrong_type(error, name, "an id or a key", value);
}

static memdb_status_t check_names(const cli_field_t *field, const char *name,
                                  const cli_json_t *value, memdb_error_t *error) {
    static const cli_field_t one = {"", CLI_FIELD_NAME, false, 1, MEMDB_MAX_NAME_BYTES, NULL};
    if (cli_json_kind(value) != CLI_JSON_ARRAY)
        return wrong_type(error, name, "an array of names", value);
    size_t count = cli_json_count(value);
    if (!count || count > 4096)
        return cli_fail(error, MEMDB_INVALID, "%s: must hold 1 to 4,096 names", name);
    for (size_t i = 0; i < count; i++) {
        memdb_status_t status = check_string(&one, name, cli_json_at(value, i), error);
        if (status != MEMDB_OK)
            return status;
        for (size_t j = 0; j < i; j++)
            if (cli_json_equal(cli_json_at(value, i), cli_json_at(value, j)))
                return cli_fail(error, MEMDB_INVALID, "%s: '%.100s' is named twice", field->name,
                                cli_json_bytes(cli_json_at(value, i)).data);
    }
    return MEMDB_OK;
}

static memdb_status_t check_vector(const char *name, const cli_json_t *value,
                                   memdb_error_t *error) {
    if (cli_json_kind(value) != CLI_JSON_ARRAY)
        return wrong_type(error, name, "an array of numbers", value);
    size_t count = cli_json_count(value);
    if (!count || count > MEMDB_MAX_DIMENSION)
        return cli_fail(error, MEMDB_INVALID, "%s: has %zu numbers, not 1 to %d", name, count,
                        MEMDB_MAX_DIMENSION);
    for (size_t i = 0; i < count; i++) {
        const cli_json_t *number = cli_json_at(value, i);
        cli_json_kind_t kind = cli_json_kind(number);
        if (kind != CLI_JSON_INTEGER && kind != CLI_JSON_REAL)
            return cli_fail(error, MEMDB_INVALID, "%s: number %zu is %s", name, i,
                            cli_json_kind_name(kind));
        if (fabs(cli_json_number(number)) > FLT_MAX)
            return cli_fail(error, MEMDB_INVALID, "%s: number %zu is outside float32", name, i);
    }
    return MEMDB_OK;
}

static memdb_status_t check_vector64(const char *name, const cli_json_t *value,
                                     memdb_error_t *error) {
    if (cli_json_kind(value) != CLI_JSON_STRING)
        return wrong_type(error, name, "a string of base64", value);
    memdb_bytes_t text = cli_json_bytes(value);
    cli_buffer_t bytes = {0};
    memdb_status_t status = MEMDB_OK;
    if (text.size > (size_t)MEMDB_MAX_DIMENSION * 4 / 3 * 4 + 8)
        status = cli_fail(error, MEMDB_INVALID, "%s: has more than %d numbers", name,
                          MEMDB_MAX_DIMENSION);
    else if (!cli_base64_decode(text.data, text.size, &bytes))
        status = cli_fail(error, MEMDB_INVALID, "%s: is not base64 with padding", name);
    else if (!bytes.size || bytes.size % 4 || bytes.size / 4 > MEMDB_MAX_DIMENSION)
        status =
            cli_fail(error, MEMDB_INVALID, "%s: has %zu bytes, not 4 for each of 1 to %d numbers",
                     name, bytes.size, MEMDB_MAX_DIMENSION);
    for (size_t i = 0; status == MEMDB_OK && i < bytes.size / 4; i++) {
        float number;
        memcpy(&number, bytes.data + 4 * i, 4);
        if (!isfinite(number))
            status = cli_fail(error, MEMDB_INVALID, "%s: number %zu is not finite", name, i);
    }
    cli_buffer_free(&bytes);
    return status;
}

static memdb_status_t check_position(const char *name, const cli_json_t *value,
                                     memdb_error_t *error) {
    cli_buffer_t bytes = {0};
    if (cli_json_kind(value) != CLI_JSON_STRING)
        return wrong_type(error, name, "a string", value);
    memdb_bytes_t text = cli_json_bytes(value);
    bool good = text.size && cli_base64_decode(text.data, text.size, &bytes);
    cli_buffer_free(&bytes);
    return good ? MEMDB_OK
                : cli_fail(error, MEMDB_INVALID, "%s: is not what an answer gave as next", name);
}

static memdb_status_t check_references(const cli_field_t *field, const char *name,
                                       const cli_json_t *value, memdb_error_t *error) {
    if (cli_json_kind(value) != CLI_JSON_ARRAY)
        return wrong_type(error, name, "an array of ids and keys", value);
    size_t count = cli_json_count(value);
    if ((double)count < field->low || (double)count > field->high)
        return cli_fail(error, MEMDB_INVALID, "%s: must hold %.0f to %.0f memories", name,
                        field->low, field->high);
    memdb_status_t status = MEMDB_OK;
    for (size_t i = 0; status == MEMDB_OK && i < count; i++)
        status = check_reference(name, cli_json_at(value, i), error);
    return status;
}

static memdb_status_t check_links(const char *name, const cli_json_t *value, memdb_error_t *error) {
    static const cli_field_t fields[] = {
        {"to", CLI_FIELD_REFERENCE, true, 0, 0, NULL},
        {"type", CLI_FIELD_NAME, false, 0, MEMDB_MAX_NAME_BYTES, NULL},
        {"weight", CLI_FIELD_NUMBER, false, -DBL_MAX, DBL_MAX, NULL},
        {NULL, CLI_FIELD_TEXT, false, 0, 0, NULL}};
    if (cli_json_kind(value) != CLI_JSON_ARRAY)
        return wrong_type(error, name, "an array of links", value);
    for (size_t i = 0; i < cli_json_count(value); i++) {
        const cli_json_t *link = cli_json_at(value, i);
        if (cli_json_kind(link) != CLI_JSON_OBJECT)
            return wrong_type(error, name, "an array of objects", link);
        if (cli_json_get(link, "op") || cli_json_get(link, "re"))
            return cli_fail(error, MEMDB_INVALID, "%s: a link has to, type and weight only", name);
        memdb_error_t inner;
        if (cli_fields_check(fields, link, &inner) != MEMDB_OK)
            return cli_fail(error, inner.status, "%s: link %zu: %.400s", name, i, inner.message);
    }
    return MEMDB_OK;
}

static memdb_status_t check_weights(const char *name, const cli_json_t *value,
                                    memdb_error_t *error) {
    if (cli_json_kind(value) != CLI_JSON_OBJECT)
        return wrong_type(error, name, "an object", value);
    for (void *at = cli_json_first(value); at; at = cli_json_next(value, at)) {
        static const cli_field_t weight = {"", CLI_FIELD_NUMBER, false, 0, DBL_MAX, NULL};
        char path[64];
        int signal = 0;
        while (signal < MEMDB_SIGNAL_COUNT &&
               strcmp(memdb_signal_name((memdb_signal_t)signal), cli_json_name_at(at)))
            signal++;
        snprintf(path, sizeof path, "%s.%.40s", name, cli_json_name_at(at));
        if (signal == MEMDB_SIGNAL_COUNT)
            return cli_fail(error, MEMDB_INVALID, "%s: there is no such signal", path);
        memdb_status_t status = check_number(&weight, path, cli_json_value_at(at), error);
        if (status != MEMDB_OK)
            return status;
    }
    return MEMDB_OK;
}

static bool is_value(const cli_json_t *value) {
    cli_json_kind_t kind = cli_json_kind(value);
    return kind != CLI_JSON_ARRAY && kind != CLI_JSON_OBJECT;
}

static memdb_status_t check_params(const char *name, const cli_json_t *value,
                                   memdb_error_t *error) {
    if (cli_json_kind(value) != CLI_JSON_ARRAY)
        return wrong_type(error, name, "an array of values", value);
    for (size_t i = 0; i < cli_json_count(value); i++) {
        const cli_json_t *one = cli_json_at(value, i);
        bool good = cli_json_kind(one) != CLI_JSON_OBJECT;
        for (size_t j = 0; good && !is_value(one) && j < cli_json_count(one); j++)
            good = is_value(cli_json_at(one, j));
        if (!good)
            return cli_fail(error, MEMDB_INVALID,
                            "%s: value %zu is neither a value nor a list of values", name, i + 1);
    }
    return MEMDB_OK;
}

static memdb_status_t check_window(const char *name, const cli_json_t *value,
                                   memdb_error_t *error) {
    static const char *const ends[] = {"from", "to"};
    if (cli_json_kind(value) != CLI_JSON_ARRAY || cli_json_count(value) != 2)
        return cli_fail(error, MEMDB_INVALID, "%s: must be [from, to], null where it is open",
                        name);
    for (size_t i = 0; i < 2; i++) {
        char path[64];
        snprintf(path, sizeof path, "%s: %s", name, ends[i]);
        const cli_json_t *end = cli_json_at(value, i);
        memdb_status_t status =
            cli_json_kind(end) == CLI_JSON_NULL ? MEMDB_OK : check_time(path, end, error);
        if (status != MEMDB_OK)
            return status;
    }
    return MEMDB_OK;
}

memdb_status_t cli_field_check(const cli_field_t *field, const char *name, const cli_json_t *value,
                               memdb_error_t *error) {
    switch (field->kind) {
    case CLI_FIELD_TEXT:
    case CLI_FIELD_NAME:
        return check_string(field, name, value, error);
    case CLI_FIELD_TIME:
        return check_time(name, value, error);
    case CLI_FIELD_MOMENT:
        return check_moment(name, value, error);
    case CLI_FIELD_INTEGER:
    case CLI_FIELD_NUMBER:
        return check_number(field, name, value, error);
    case CLI_FIELD_BOOL:
        return cli_json_kind(value) == CLI_JSON_BOOL
                   ? MEMDB_OK
                   : wrong_type(error, name, "true or false", value);
    case CLI_FIELD_CHOICE:
        return check_choice(field, name, value, error);
    case CLI_FIELD_OBJECT:
        return check_object(name, value, error);
    case CLI_FIELD_REFERENCE:
        return check_reference(name, value, error);
    case CLI_FIELD_NAMES:
        return check_names(field, name, value, error);
    case CLI_FIELD_VECTOR:
        return check_vector(name, value, error);
    case CLI_FIELD_VECTOR64:
        return check_vector64(name, value, error);
    case CLI_FIELD_POSITION:
        return check_position(name, value, error);
    case CLI_FIELD_LINKS:
        return check_links(name, value, error);
    case CLI_FIELD_WEIGHTS:
        return check_weights(name, value, error);
    case CLI_FIELD_PARAMS:
        return check_params(name, value, error);
    case CLI_FIELD_WHEN:
        return cli_json_kind(value) == CLI_JSON_NULL ? MEMDB_OK : check_time(name, value, error);
    case CLI_FIELD_WINDOW:
        return check_window(name, value, error);
    case CLI_FIELD_REFERENCES:
        return check_references(field, name, value, error);
    }
    return MEMDB_OK;
}

static const cli_field_t *find_field(const cli_field_t *fields, const char *name) {
    for (; fields->name; fields++)
        if (!strcmp(fields->name, name))
            return fields;
    return NULL;
}

memdb_status_t cli_fields_check(const cli_field_t *fields, const cli_json_t *request,
                                memdb_error_t *error) {
    for (void *at = cli_json_first(request); at; at = cli_json_next(request, at)) {
        const char *name = cli_json_name_at(at);
        const cli_json_t *value = cli_json_value_at(at);
        if (!strcmp(name, "op") || !strcmp(name, "re"))
            continue;
        const cli_field_t *field = find_field(fields, name);
        if (!field)
            return cli_fail(error, MEMDB_INVALID, "%.100s: there is no such field here", name);
        memdb_status_t status = cli_field_check(field, name, value, error);
        if (status != MEMDB_OK)
            return status;
    }
    for (const cli_field_t *field = fields; field->name; field++)
        if (field->required && !cli_json_get(request, field->name))
            return cli_fail(error, MEMDB_INVALID, "%s: is missing", field->name);
    return MEMDB_OK;
}
