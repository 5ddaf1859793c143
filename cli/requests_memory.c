// put, get, list, trace, forget.
#include "cli/cli_base64.h"
#include "cli/cli_request.h"

#include <stdlib.h>
#include <string.h>

typedef struct string_field {
    const char *name;
    uint32_t field;
    size_t offset;
} string_field_t;

static const string_field_t string_fields[] = {
    {"key", MEMDB_FIELD_KEY, offsetof(memdb_memory_t, key)},
    {"text", MEMDB_FIELD_TEXT, offsetof(memdb_memory_t, text)},
    {"kind", MEMDB_FIELD_KIND, offsetof(memdb_memory_t, kind)},
    {"session", MEMDB_FIELD_SESSION, offsetof(memdb_memory_t, session)},
    {"actor", MEMDB_FIELD_ACTOR, offsetof(memdb_memory_t, actor)},
};
static const string_field_t time_fields[] = {
    {"time", MEMDB_FIELD_TIME, offsetof(memdb_memory_t, time)},
    {"valid_from", MEMDB_FIELD_VALID_FROM, offsetof(memdb_memory_t, valid_from)},
    {"valid_to", MEMDB_FIELD_VALID_TO, offsetof(memdb_memory_t, valid_to)},
    {"expires", MEMDB_FIELD_EXPIRES, offsetof(memdb_memory_t, expires)},
};
#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

memdb_status_t cli_put_init(const cli_json_t *request, cli_put_t *put, memdb_error_t *error) {
    *put = (cli_put_t){.memory = {.size = sizeof put->memory}};
    memdb_memory_t *memory = &put->memory;
    for (size_t i = 0; i < COUNT_OF(string_fields); i++) {
        const cli_json_t *value = cli_json_get(request, string_fields[i].name);
        if (!value)
            continue;
        memdb_bytes_t bytes = cli_json_bytes(value);
        memcpy((char *)memory + string_fields[i].offset, &bytes, sizeof bytes);
        memory->fields |= string_fields[i].field;
    }
    for (size_t i = 0; i < COUNT_OF(time_fields); i++) {
        int64_t time;
        if (!cli_get_time(request, time_fields[i].name, &time))
            continue;
        memcpy((char *)memory + time_fields[i].offset, &time, sizeof time);
        memory->fields |= time_fields[i].field;
    }
    if (cli_json_get(request, "importance"))
        memory->fields |= MEMDB_FIELD_IMPORTANCE;
    memory->importance = cli_get_number(request, "importance", 0);
    if (cli_json_get(request, "tokens"))
        memory->fields |= MEMDB_FIELD_TOKENS;
    memory->tokens = (uint32_t)cli_get_integer(request, "tokens", 0);
    memdb_status_t status = cli_get_attrs(request, &put->attrs, error);
    if (put->attrs.size)
        memory->fields |= MEMDB_FIELD_ATTRS;
    memory->attrs = (memdb_bytes_t){put->attrs.data, put->attrs.size};
    if (status == MEMDB_OK)
        status = cli_get_vector(request, &put->vector, &memory->dimension, error);
    if (put->vector)
        memory->fields |= MEMDB_FIELD_VECTOR;
    memory->vector = put->vector;
    if (status != MEMDB_OK)
        cli_put_deinit(put);
    return status;
}

void cli_put_deinit(cli_put_t *put) {
    cli_buffer_free(&put->attrs);
    free(put->vector);
    put->vector = NULL;
}

// The ids that the links go to, before anything is written: 0 stands for the memory that is being
// put.
static memdb_status_t resolve_links(cli_session_t *session, memdb_snapshot_t *snapshot,
                                    const cli_json_t *request, const cli_json_t *links,
                                    uint64_t *to, memdb_error_t *error) {
    memdb_space_t space = 0;
    memdb_status_t status = memdb_space_find(snapshot, cli_space_name(request), &space);
    if (status != MEMDB_OK && status != MEMDB_NOT_FOUND)
        return cli_engine(session, status, error, "space");
    const cli_json_t *own = cli_json_get(request, "key");
    for (size_t i = 0; i < cli_json_count(links); i++) {
        memdb_memory_t memory;
        const cli_json_t *other = cli_json_get(cli_json_at(links, i), "to");
        to[i] = 0;
        if (own && cli_json_equal(own, other))
            continue;
        status = cli_find_memory(session, snapshot, space, "links", other, &memory, error);
        if (status != MEMDB_OK)
            return status;
        to[i] = memory.id;
    }
    return MEMDB_OK;
}

static memdb_status_t put_links(cli_session_t *session, cli_write_t *write, memdb_space_t space,
                                uint64_t id, const cli_json_t *links, const uint64_t *to,
                                memdb_error_t *error) {
    for (size_t i = 0; i < cli_json_count(links); i++) {
        const cli_json_t *one = cli_json_at(links, i);
        memdb_link_t link = {.size = sizeof link,
                             .space = space,
                             .from = id,
                             .to = to[i] ? to[i] : id,
                             .type = cli_get_bytes(one, "type"),
                             .weight = cli_get_number(one, "weight", 1),
                             .valid_from = MEMDB_TIME_NONE,
                             .valid_to = MEMDB_TIME_NONE};
        write->spoiled = true;
        memdb_status_t status =
            cli_engine(session, memdb_put_link(write->txn, &link), error, "links");
        if (status != MEMDB_OK)
            return status;
    }
    return MEMDB_OK;
}

// The memory that the put supersedes, before anything is written; 0: none.
static memdb_status_t resolve_superseded(cli_session_t *session, memdb_snapshot_t *snapshot,
                                         const cli_json_t *request, uint64_t *id_out,
                                         memdb_error_t *error) {
    const cli_json_t *old = cli_json_get(request, "supersedes");
    const cli_json_t *own = cli_json_get(request, "key");
    memdb_space_t space = 0;
    memdb_memory_t memory, itself;
    *id_out = 0;
    if (!old)
        return MEMDB_OK;
    memdb_status_t status = memdb_space_find(snapshot, cli_space_name(request), &space);
    if (status != MEMDB_OK && status != MEMDB_NOT_FOUND)
        return cli_engine(session, status, error, "space");
    status = cli_find_memory(session, snapshot, space, "supersedes", old, &memory, error);
    if (status != MEMDB_OK)
        return status;
    *id_out = memory.id;
    if (own && memdb_get_by_key(snapshot, space, cli_json_bytes(own), &itself) == MEMDB_OK &&
        itself.id == memory.id)
        return cli_fail(error, MEMDB_INVALID, "supersedes: a memory cannot supersede itself");
    return MEMDB_OK;
}

static memdb_status_t put_all(cli_session_t *session, cli_write_t *write, const cli_json_t *request,
                              uint64_t *id_out, memdb_error_t *error) {
    cli_put_t put;
    memdb_space_t space;
    const cli_json_t *links = cli_json_get(request, "links");
    uint64_t superseded = 0;
    uint64_t *to = links ? cli_allocate(cli_json_count(links) * sizeof *to) : NULL;
    memdb_status_t status = cli_put_init(request, &put, error);
    if (status != MEMDB_OK) {
        free(to);
        return status;
    }
    if (links)
        status = resolve_links(session, memdb_txn_snapshot(write->txn), request, links, to, error);
    if (status == MEMDB_OK)
        status = resolve_superseded(session, memdb_txn_snapshot(write->txn), request, &superseded,
                                    error);
    if (status == MEMDB_OK)
        status =
            cli_engine(session, memdb_space_ensure(write->txn, cli_space_name(request), &space),
                       error, "space");
    if (status == MEMDB_OK)
        status =
            cli_engine(session, memdb_put(write->txn, space, &put.memory, id_out), error, "put");
    if (status == MEMDB_OK && links)
        status = put_links(session, write, space, *id_out, links, to, error);
    if (status == MEMDB_OK && superseded) {
        memdb_link_t link = {.size = sizeof link,
                             .space = space,
                             .from = *id_out,
                             .to = superseded,
                             .type = {MEMDB_LINK_SUPERSEDES, sizeof MEMDB_LINK_SUPERSEDES - 1},
                             .weight = 1,
                             .valid_from = MEMDB_TIME_NONE,
                             .valid_to = MEMDB_TIME_NONE};
        write->spoiled = true;
        status = cli_engine(session, memdb_put_link(write->txn, &link), error, "supersedes");
    }
    cli_put_deinit(&put);
    free(to);
    return status;
}

memdb_status_t cli_run_put(cli_session_t *session, const cli_json_t *request, cli_json_t *answer,
                           memdb_error_t *error) {
    cli_write_t write;
    uint64_t id = 0, lsn;
    memdb_status_t status = cli_write_begin(session, cli_get_durability(request), &write, error);
    if (status != MEMDB_OK)
        return status;
    status = put_all(session, &write, request, &id, error);
    status = cli_write_end(session, &write, status, &lsn, error);
    if (status != MEMDB_OK)
        return status;
    cli_set_unsigned(answer, "id", id);
    cli_answer_lsn(answer, lsn);
    if (session->txn)
        cli_json_append(session->ids, cli_json_new_integer((int64_t)id));
    return MEMDB_OK;
}

// Find the memory that `id` or `key` names, in a read of its own.
static memdb_status_t find_named(cli_session_t *session, memdb_snapshot_t *snapshot,
                                 const cli_json_t *request, memdb_space_t *space_out,
                                 memdb_memory_t *memory_out, memdb_error_t *error) {
    const cli_json_t *reference;
    memdb_status_t status = cli_reference(request, &reference, error);
    if (status == MEMDB_OK)
        status = cli_space_find(session, snapshot, cli_space_name(request), space_out, error);
    if (status == MEMDB_OK)
        status = cli_find_memory(session, snapshot, *space_out,
                                 cli_json_get(request, "id") ? "id" : "key", reference, memory_out,
                                 error);
    return status;
}

memdb_status_t cli_run_get(cli_session_t *session, const cli_json_t *request, cli_json_t *answer,
                           memdb_error_t *error) {
    memdb_snapshot_t *snapshot;
    memdb_space_t space;
    memdb_memory_t memory;
    memdb_status_t status = cli_read_begin_at(session, request, &snapshot, error);
    if (status != MEMDB_OK)
        return status;
    status = find_named(session, snapshot, request, &space, &memory, error);
    if (status == MEMDB_OK && !cli_shows(request, snapshot, &memory))
        status =
            cli_fail(error, MEMDB_NOT_FOUND, "%s: the memory has expired, or is not valid then",
                     cli_json_get(request, "id") ? "id" : "key");
    if (status == MEMDB_OK) {
        cli_json_t *found = cli_memory_json(&memory, cli_space_name(request), error);
        if (found)
            cli_json_set(answer, "memory", found);
        else
            status = error->status;
    }
    cli_read_end(session, snapshot);
    return status;
}

// Append up to `limit` memories of a cursor to answer.memories, those that the request may see.
// When a memory is left of a list in pages, `next` becomes the position before it.
static memdb_status_t collect(cli_session_t *session, memdb_snapshot_t *snapshot,
                              const cli_json_t *request, memdb_cursor_t *cursor, uint64_t limit,
                              bool paged, cli_json_t *answer, memdb_error_t *error) {
    cli_json_t *memories = cli_json_new_array();
    cli_buffer_t next = {0};
    memdb_status_t status = MEMDB_OK;
    cli_json_set(answer, "memories", memories);
    for (uint64_t count = 0;; count++) {
        memdb_memory_t memory = {.size = sizeof memory};
        if (paged && count == limit) {
            memdb_bytes_t position = memdb_cursor_position(cursor);
            cli_base64_encode(position.data, position.size, &next);
        }
        status = memdb_cursor_next(cursor, &memory);
        if (status != MEMDB_OK || count == limit)
            break;
        if (!cli_shows(request, snapshot, &memory))
            continue; // in a trace: a list leaves these out itself
        cli_json_t *one = cli_memory_json(&memory, cli_space_name(request), error);
        if (!one) {
            cli_buffer_free(&next);
            return error->status;
        }
        cli_json_append(memories, one);
    }
    if (status == MEMDB_OK && next.size)
        cli_json_set(answer, "next", cli_bytes_json((memdb_bytes_t){next.data, next.size}));
    else if (paged)
        cli_json_set(answer, "next", cli_json_new_null());
    cli_buffer_free(&next);
    return status == MEMDB_DONE ? MEMDB_OK : cli_engine(session, status, error, "read");
}

static memdb_status_t list_options(const cli_json_t *request, memdb_cursor_options_t *options,
                                   cli_buffer_t *after, memdb_error_t *error) {
    const cli_json_t *prefix = cli_json_get(request, "prefix"),
                     *of = cli_json_get(request, "session");
    if (prefix && of)
        return cli_fail(error, MEMDB_INVALID, "prefix: give it or session, not both");
    if (prefix && (cli_json_get(request, "from") || cli_json_get(request, "to")))
        return cli_fail(error, MEMDB_INVALID, "prefix: a list by key has no from and to");
    memdb_bytes_t position = cli_get_bytes(request, "after");
    cli_base64_decode(position.data, position.size, after);
    *options = (memdb_cursor_options_t){
        .size = sizeof *options,
        .order = prefix ? MEMDB_ORDER_KEY
                 : of   ? MEMDB_ORDER_SESSION
                        : MEMDB_ORDER_TIME,
        .session = cli_get_bytes(request, "session"),
        .prefix = cli_get_bytes(request, "prefix"),
        .after = {after->data, after->size},
    };
    options->has_from = cli_get_time(request, "from", &options->from);
    options->has_to = cli_get_time(request, "to", &options->to);
    options->unexpired = true;
    options->valid_at = cli_get_moment(request, "valid_at");
    return MEMDB_OK;
}

memdb_status_t cli_run_list(cli_session_t *session, const cli_json_t *request, cli_json_t *answer,
                            memdb_error_t *error) {
    memdb_cursor_options_t options;
    memdb_cursor_t *cursor = NULL;
    memdb_snapshot_t *snapshot;
    memdb_space_t space;
    cli_buffer_t after = {0};
    memdb_filter_t *filter = NULL;
    memdb_status_t status = list_options(request, &options, &after, error);
    if (status == MEMDB_OK)
        status = cli_get_filter(request, &filter, error);
    options.filter = filter;
    if (status == MEMDB_OK)
        status = cli_read_begin_at(session, request, &snapshot, error);
    if (status != MEMDB_OK) {
        memdb_filter_free(filter);
        cli_buffer_free(&after);
        return status;
    }
    status = cli_space_find(session, snapshot, cli_space_name(request), &space, error);
    if (status == MEMDB_OK && space) {
        status = cli_engine(session, memdb_cursor_open(snapshot, space, &options, &cursor), error,
                            "list");
        if (status == MEMDB_OK)
            status = collect(session, snapshot, request, cursor,
                             (uint64_t)cli_get_integer(request, "limit", 100), true, answer, error);
    } else if (status == MEMDB_OK) {
        cli_json_set(answer, "memories", cli_json_new_array());
        cli_json_set(answer, "next", cli_json_new_null());
    }
    memdb_cursor_close(cursor);
    cli_read_end(session, snapshot);
    memdb_filter_free(filter);
    cli_buffer_free(&after);
    return status;
}

memdb_status_t cli_run_trace(cli_session_t *session, const cli_json_t *request, cli_json_t *answer,
                             memdb_error_t *error) {
    memdb_snapshot_t *snapshot;
    memdb_space_t space;
    memdb_memory_t memory;
    memdb_cursor_t *cursor = NULL;
    uint32_t before = (uint32_t)cli_get_integer(request, "before", 3);
    uint32_t after = (uint32_t)cli_get_integer(request, "after", 3);
    memdb_status_t status = cli_read_begin_at(session, request, &snapshot, error);
    if (status != MEMDB_OK)
        return status;
    status = find_named(session, snapshot, request, &space, &memory, error);
    if (status == MEMDB_OK)
        status = cli_engine(session,
                            memdb_trace_open(snapshot, space, memory.id, before, after, &cursor),
                            error, "trace");
    if (status == MEMDB_OK)
        status = collect(session, snapshot, request, cursor, UINT64_MAX, false, answer, error);
    memdb_cursor_close(cursor);
    cli_read_end(session, snapshot);
    return status;
}

static memdb_status_t forget_one(cli_session_t *session, cli_write_t *write,
                                 const cli_json_t *request, bool erase, uint64_t *count_out,
                                 memdb_error_t *error) {
    memdb_space_t space;
    memdb_memory_t memory;
    memdb_status_t status =
        find_named(session, memdb_txn_snapshot(write->txn), request, &space, &memory, error);
    if (status == MEMDB_OK)
        status = cli_engine(session,
                            erase ? memdb_forget_erase(write->txn, space, memory.id)
                                  : memdb_forget(write->txn, space, memory.id),
                            error, "forget");
    *count_out = 1;
    return status;
}

static memdb_status_t forget_where(cli_session_t *session, cli_write_t *write,
                                   const cli_json_t *request, const memdb_filter_t *filter,
                                   bool erase, uint64_t *count_out, memdb_error_t *error) {
    memdb_space_t space;
    memdb_status_t status = cli_space_find(session, memdb_txn_snapshot(write->txn),
                                           cli_space_name(request), &space, error);
    *count_out = 0;
    if (status != MEMDB_OK || !space) // space `main` may be missing
        return status;
    write->spoiled = true;
    return cli_engine(session, memdb_forget_where(write->txn, space, filter, erase, count_out),
                      error, "forget");
}

memdb_status_t cli_run_forget(cli_session_t *session, const cli_json_t *request, cli_json_t *answer,
                              memdb_error_t *error) {
    cli_write_t write;
    uint64_t lsn, count = 0;
    memdb_filter_t *filter;
    bool erase = cli_json_truth(cli_json_get(request, "erase"));
    memdb_status_t status = cli_get_filter(request, &filter, error);
    if (filter && (cli_json_get(request, "id") || cli_json_get(request, "key")))
        status = cli_fail(error, MEMDB_INVALID, "filter: give it, or id or key, not both");
    if (status == MEMDB_OK)
        status = cli_write_begin(session, cli_get_durability(request), &write, error);
    if (status == MEMDB_OK) {
        status = filter ? forget_where(session, &write, request, filter, erase, &count, error)
                        : forget_one(session, &write, request, erase, &count, error);
        status = cli_write_end(session, &write, status, &lsn, error);
    }
    memdb_filter_free(filter);
    if (status != MEMDB_OK)
        return status;
    cli_set_unsigned(answer, "forgotten", count);
    cli_answer_lsn(answer, lsn);
    return MEMDB_OK;
}
