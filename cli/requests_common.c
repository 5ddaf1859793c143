// What the operations share: reading checked fields, finding spaces and memories, and writing
// memories as JSON.
#include "cli/cli_base64.h"
#include "cli/cli_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

memdb_bytes_t cli_get_bytes(const cli_json_t *request, const char *name) {
    const cli_json_t *value = cli_json_get(request, name);
    return value ? cli_json_bytes(value) : (memdb_bytes_t){0};
}

int64_t cli_get_integer(const cli_json_t *request, const char *name, int64_t otherwise) {
    const cli_json_t *value = cli_json_get(request, name);
    return value ? cli_json_integer(value) : otherwise;
}

double cli_get_number(const cli_json_t *request, const char *name, double otherwise) {
    const cli_json_t *value = cli_json_get(request, name);
    return value ? cli_json_number(value) : otherwise;
}

bool cli_get_time(const cli_json_t *request, const char *name, int64_t *time_out) {
    const cli_json_t *value = cli_json_get(request, name);
    return value && cli_json_kind(value) == CLI_JSON_STRING &&
           memdb_time_parse(cli_json_bytes(value), time_out, NULL) == MEMDB_OK;
}

int64_t cli_get_moment(const cli_json_t *request, const char *name) {
    int64_t time = 0;
    // 1970-01-01T00:00:00Z itself would mean "not set": the next microsecond stands for it.
    return cli_get_time(request, name, &time) && !time ? 1 : time;
}

static int64_t time_or_none(const cli_json_t *value) {
    int64_t time = MEMDB_TIME_NONE;
    if (cli_json_kind(value) == CLI_JSON_STRING)
        memdb_time_parse(cli_json_bytes(value), &time, NULL);
    return time;
}

bool cli_get_window(const cli_json_t *request, const char *name, int64_t *from_out,
                    int64_t *to_out) {
    const cli_json_t *window = cli_json_get(request, name);
    if (!window)
        return false;
    *from_out = time_or_none(cli_json_at(window, 0));
    *to_out = time_or_none(cli_json_at(window, 1));
    return true;
}

memdb_durability_t cli_durability_by_name(memdb_bytes_t name) {
    static const char *const names[] = {"", "none", "os", "full"};
    for (int i = MEMDB_DURABILITY_NONE; i <= MEMDB_DURABILITY_FULL; i++)
        if (strlen(names[i]) == name.size && !memcmp(names[i], name.data, name.size))
            return (memdb_durability_t)i;
    return MEMDB_DURABILITY_DEFAULT;
}

memdb_status_t cli_read_begin_at(cli_session_t *session, const cli_json_t *request,
                                 memdb_snapshot_t **snapshot_out, memdb_error_t *error) {
    const cli_json_t *value = cli_json_get(request, "as_of");
    memdb_snapshot_options_t options = {.size = sizeof options};
    if (!value)
        return cli_read_begin(session, snapshot_out, error);
    if (cli_json_kind(value) == CLI_JSON_INTEGER)
        options.as_of_lsn = (uint64_t)cli_json_integer(value);
    else
        cli_get_time(request, "as_of", &options.as_of_time);
    // 1970-01-01T00:00:00Z itself would mean "not set"; nothing was committed a moment before it.
    if (!options.as_of_lsn && !options.as_of_time)
        options.as_of_time = -1;
    return cli_engine(session, memdb_snapshot_begin(session->db, &options, snapshot_out), error,
                      "as_of");
}

memdb_durability_t cli_get_durability(const cli_json_t *request) {
    return cli_durability_by_name(cli_get_bytes(request, "durability"));
}

memdb_status_t cli_get_vector(const cli_json_t *request, float **vector_out,
                              uint32_t *dimension_out, memdb_error_t *error) {
    const cli_json_t *numbers = cli_json_get(request, "vector");
    const cli_json_t *text = cli_json_get(request, "vector_b64");
    *vector_out = NULL;
    *dimension_out = 0;
    if (numbers && text)
        return cli_fail(error, MEMDB_INVALID, "vector_b64: give it or vector, not both");
    if (numbers) {
        size_t count = cli_json_count(numbers);
        float *vector = cli_allocate(count * sizeof *vector);
        for (size_t i = 0; i < count; i++)
            vector[i] = (float)cli_json_number(cli_json_at(numbers, i));
        *vector_out = vector;
        *dimension_out = (uint32_t)count;
    } else if (text) {
        cli_buffer_t bytes = {0};
        memdb_bytes_t digits = cli_json_bytes(text);
        cli_base64_decode(digits.data, digits.size, &bytes);
        *vector_out =
            (float *)(void *)
                bytes.data; // malloc's alignment; float32 little-endian as on every target
        *dimension_out = (uint32_t)(bytes.size / 4);
    }
    return MEMDB_OK;
}

memdb_status_t cli_get_attrs(const cli_json_t *request, cli_buffer_t *out, memdb_error_t *error) {
    const cli_json_t *attrs = cli_json_get(request, "attrs");
    if (attrs)
        cli_json_write(attrs, out);
    if (out->size > MEMDB_MAX_ATTRS_BYTES)
        return cli_fail(error, MEMDB_LIMIT, "attrs: has %zu bytes, more than %u", out->size,
                        MEMDB_MAX_ATTRS_BYTES);
    return MEMDB_OK;
}

memdb_bytes_t cli_space_name(const cli_json_t *request) {
    const cli_json_t *name = cli_json_get(request, "space");
    return name ? cli_json_bytes(name) : (memdb_bytes_t){"main", 4};
}

memdb_status_t cli_space_find(cli_session_t *session, memdb_snapshot_t *snapshot,
                              memdb_bytes_t name, memdb_space_t *space_out, memdb_error_t *error) {
    memdb_status_t status = memdb_space_find(snapshot, name, space_out);
    if (status != MEMDB_NOT_FOUND)
        return cli_engine(session, status, error, "space");
    if (name.size == 4 && !memcmp(name.data, "main", 4)) {
        *space_out = 0; // it is there for everybody, and empty until the first put
        return MEMDB_OK;
    }
    return cli_fail(error, MEMDB_NOT_FOUND, "space: there is no space '%.*s'",
                    (int)(name.size < 200 ? name.size : 200), name.data);
}

memdb_status_t cli_reference(const cli_json_t *request, const cli_json_t **reference_out,
                             memdb_error_t *error) {
    const cli_json_t *id = cli_json_get(request, "id"), *key = cli_json_get(request, "key");
    if (!id == !key)
        return cli_fail(error, MEMDB_INVALID,
                        id ? "key: give an id or a key, not both" : "key: give an id or a key");
    *reference_out = id ? id : key;
    return MEMDB_OK;
}

memdb_status_t cli_find_memory(cli_session_t *session, memdb_snapshot_t *snapshot,
                               memdb_space_t space, const char *name, const cli_json_t *reference,
                               memdb_memory_t *memory_out, memdb_error_t *error) {
    bool by_id = cli_json_kind(reference) == CLI_JSON_INTEGER;
    memdb_memory_t memory = {.size = sizeof memory};
    memdb_status_t status = MEMDB_NOT_FOUND;
    if (space && by_id)
        status = memdb_get(snapshot, space, (uint64_t)cli_json_integer(reference), &memory);
    else if (space)
        status = memdb_get_by_key(snapshot, space, cli_json_bytes(reference), &memory);
    if (status == MEMDB_OK)
        *memory_out = memory;
    if (status != MEMDB_NOT_FOUND)
        return cli_engine(session, status, error, "%s", name);
    if (by_id)
        return cli_fail(error, status, "%s: there is no memory with the id %lld", name,
                        (long long)cli_json_integer(reference));
    return cli_fail(error, status, "%s: there is no memory with the key '%.200s'", name,
                    cli_json_bytes(reference).data);
}

memdb_status_t cli_find_memories(cli_session_t *session, memdb_snapshot_t *snapshot,
                                 const memdb_space_t *spaces, size_t space_count,
                                 const cli_json_t *request, const char *name, uint64_t **ids_out,
                                 size_t *count_out, memdb_error_t *error) {
    const cli_json_t *list = cli_json_get(request, name);
    size_t count = list ? cli_json_count(list) : 0;
    memdb_status_t status = MEMDB_OK;
    *ids_out = count ? cli_allocate(count * sizeof **ids_out) : NULL;
    *count_out = 0;
    for (size_t i = 0; status == MEMDB_OK && i < count; i++) {
        memdb_memory_t memory = {.id = 0};
        status = MEMDB_NOT_FOUND;
        for (size_t j = 0; status == MEMDB_NOT_FOUND && j < (space_count ? space_count : 1); j++)
            status = cli_find_memory(session, snapshot, space_count ? spaces[j] : 0, name,
                                     cli_json_at(list, i), &memory, error);
        if (status == MEMDB_OK)
            (*ids_out)[(*count_out)++] = memory.id;
    }
    return status;
}

bool cli_shows(const cli_json_t *request, const memdb_snapshot_t *snapshot,
               const memdb_memory_t *memory) {
    int64_t moment, from = MEMDB_TIME_NONE, to = MEMDB_TIME_NONE;
    if (memory->fields & MEMDB_FIELD_EXPIRES && memory->expires <= memdb_snapshot_time(snapshot))
        return false;
    if (memory->fields & MEMDB_FIELD_VALID_FROM)
        from = memory->valid_from;
    if (memory->fields & MEMDB_FIELD_VALID_TO)
        to = memory->valid_to;
    return !cli_get_time(request, "valid_at", &moment) || memdb_is_valid(from, to, moment);
}

cli_json_t *cli_time_json(int64_t time) {
    if (time == MEMDB_TIME_NONE)
        return cli_json_new_null();
    char text[MEMDB_TIME_TEXT_BYTES];
    memdb_time_print(time, text);
    return cli_json_new_text(text);
}

cli_json_t *cli_bytes_json(memdb_bytes_t bytes) {
    cli_json_t *value = cli_json_new_string(bytes);
    return value ? value
                 : cli_json_new_text("(not UTF-8)"); // the library checked it when it was put
}

void cli_set_unsigned(cli_json_t *object, const char *name, uint64_t number) {
    cli_json_set(object, name,
                 cli_json_new_integer(number > INT64_MAX ? INT64_MAX : (int64_t)number));
}

void cli_answer_lsn(cli_json_t *answer, uint64_t lsn) {
    if (lsn)
        cli_set_unsigned(answer, "lsn", lsn);
}

static void set_optional(cli_json_t *object, const char *name, bool there, memdb_bytes_t bytes) {
    cli_json_set(object, name, there && bytes.size ? cli_bytes_json(bytes) : cli_json_new_null());
}

static cli_json_t *attrs_json(const memdb_memory_t *memory, memdb_error_t *error) {
    if (!(memory->fields & MEMDB_FIELD_ATTRS) || !memory->attrs.size)
        return cli_json_new_object();
    cli_json_t *attrs = cli_json_parse(memory->attrs.data, memory->attrs.size, NULL, error);
    if (!attrs)
        cli_fail(error, MEMDB_CORRUPT, "attrs: memory %llu: not the JSON that was put",
                 (unsigned long long)memory->id);
    return attrs;
}

// The fields of every memory are always there, null when they are not set; the rarer ones only when
// they are.
cli_json_t *cli_memory_json(const memdb_memory_t *memory, memdb_bytes_t space_name,
                            memdb_error_t *error) {
    uint32_t fields = memory->fields;
    cli_json_t *attrs = attrs_json(memory, error);
    if (!attrs)
        return NULL;
    cli_json_t *object = cli_json_new_object();
    cli_set_unsigned(object, "id", memory->id);
    set_optional(object, "key", fields & MEMDB_FIELD_KEY, memory->key);
    cli_json_set(object, "space", cli_bytes_json(space_name));
    cli_json_set(object, "text",
                 cli_bytes_json(fields & MEMDB_FIELD_TEXT ? memory->text : (memdb_bytes_t){0}));
    set_optional(object, "kind", fields & MEMDB_FIELD_KIND, memory->kind);
    set_optional(object, "session", fields & MEMDB_FIELD_SESSION, memory->session);
    set_optional(object, "actor", fields & MEMDB_FIELD_ACTOR, memory->actor);
    cli_json_set(object, "time",
                 cli_time_json(fields & MEMDB_FIELD_TIME ? memory->time : MEMDB_TIME_NONE));
    if (fields & MEMDB_FIELD_VALID_FROM)
        cli_json_set(object, "valid_from", cli_time_json(memory->valid_from));
    if (fields & MEMDB_FIELD_VALID_TO)
        cli_json_set(object, "valid_to", cli_time_json(memory->valid_to));
    if (fields & MEMDB_FIELD_EXPIRES)
        cli_json_set(object, "expires", cli_time_json(memory->expires));
    if (fields & MEMDB_FIELD_IMPORTANCE)
        cli_json_set(object, "importance", cli_json_new_number(memory->importance));
    if (fields & MEMDB_FIELD_TOKENS)
        cli_set_unsigned(object, "tokens", memory->tokens);
    if (fields & MEMDB_FIELD_VECTOR)
        cli_set_unsigned(object, "dimension", memory->dimension);
    cli_json_set(object, "attrs", attrs);
    cli_set_unsigned(object, "version", memory->version);
    return object;
}
