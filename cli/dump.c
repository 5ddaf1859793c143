// dump: everything of a database as JSON lines that import reads into another one, as one snapshot
// sees it.
//
//   {"memdb_dump":1}            the first line
//   {"space":{...}}             as create_space takes it
//   {"blob":{"size":7,...}}     of the next memory, with its media type
//   {"bytes":{"base64":"..."}}  the next bytes of it, 48 KiB at most, until it has its size
//   {"memory":{"id":12,...}}    as put takes it, but for its validity; the id is known in the dump;
//                               `blobs`: how many came before it
//   {"link":{...}}              its ends are ids
//   {"validity":{"id":12,...}}  behind the links, because a link of type supersedes changes it
//   {"gates":{...}}             of the space, behind its memories
//   {"end":{...}}               how many memories and links: a dump without it is not whole
//
// Vectors are those of the INT8 codes; a cosine space brings them to the length of one again, so
// that scores may differ in the third digit.
#include "cli/cli_base64.h"
#include "cli/cli_command.h"
#include "cli/cli_output.h"
#include "include/memdb_runtime.h"

#include <stdlib.h>
#include <string.h>

static const cli_field_t dump_fields[] = {{"file", CLI_FIELD_NAME, false, 1, 4000, NULL},
                                          {"force", CLI_FIELD_BOOL, false, 0, 0, NULL},
                                          {NULL, CLI_FIELD_TEXT, false, 0, 0, NULL}};

#define PIECE_BYTES ((size_t)48 << 10) // of a blob in a line

typedef struct dump {
    cli_session_t *session;
    memdb_snapshot_t *snapshot;
    cli_output_t lines;
    memdb_bytes_t name; // of the space in hand
    memdb_space_t space;
    uint64_t memories, links;
} dump_t;

// The line {"kind":object}; consumes `object`.
static memdb_status_t write_line(dump_t *dump, const char *kind, cli_json_t *object,
                                 memdb_error_t *error) {
    cli_json_t *line = cli_json_new_object();
    cli_json_set(line, kind, object);
    cli_json_write(line, &dump->lines.buffer);
    cli_buffer_char(&dump->lines.buffer, '\n');
    cli_json_free(line);
    return cli_output_flush(&dump->lines, CLI_OUTPUT_BYTES, error);
}

static memdb_status_t add_vector(dump_t *dump, const memdb_memory_t *memory, cli_json_t *line,
                                 memdb_error_t *error) {
    if (!(memory->fields & MEMDB_FIELD_VECTOR) || !memory->dimension)
        return MEMDB_OK;
    float *vector = cli_allocate(memory->dimension * sizeof *vector);
    memdb_status_t status = cli_engine(
        dump->session,
        memdb_get_vector(dump->snapshot, dump->space, memory->id, vector, memory->dimension), error,
        "vector of memory %llu", (unsigned long long)memory->id);
    if (status == MEMDB_OK) {
        cli_buffer_t text = {0};
        cli_base64_encode(vector, memory->dimension * sizeof *vector, &text);
        cli_json_set(line, "vector_b64", cli_json_new_text(text.data));
        cli_buffer_free(&text);
    }
    free(vector);
    return status;
}

static memdb_status_t write_bytes(dump_t *dump, memdb_blob_reader_t *reader, uint64_t size,
                                  memdb_error_t *error) {
    char *piece = cli_allocate(PIECE_BYTES);
    memdb_status_t status = MEMDB_OK;
    for (uint64_t at = 0; at < size && status == MEMDB_OK;) {
        size_t got;
        status =
            cli_engine(dump->session, memdb_blob_reader_read(reader, at, piece, PIECE_BYTES, &got),
                       error, "blob at %llu", (unsigned long long)at);
        if (status != MEMDB_OK)
            break;
        cli_json_t *line = cli_json_new_object();
        cli_buffer_t text = {0};
        cli_base64_encode(piece, got, &text);
        cli_json_set(line, "base64", cli_json_new_text(text.data));
        cli_buffer_free(&text);
        status = write_line(dump, "bytes", line, error);
        at += got;
    }
    free(piece);
    return status;
}

static memdb_status_t write_blob(dump_t *dump, const memdb_blob_t *blob, memdb_error_t *error) {
    memdb_blob_reader_t *reader;
    memdb_status_t status = cli_engine(
        dump->session, memdb_blob_reader_open(dump->snapshot, blob, &reader), error, "blob");
    if (status != MEMDB_OK)
        return status;
    cli_json_t *line = cli_json_new_object();
    cli_set_unsigned(line, "size", blob->size_bytes);
    cli_json_set(line, "media_type", cli_bytes_json(blob->media_type));
    status = write_line(dump, "blob", line, error);
    if (status == MEMDB_OK)
        status = write_bytes(dump, reader, blob->size_bytes, error);
    memdb_blob_reader_close(reader);
    return status;
}

static memdb_status_t write_memory(dump_t *dump, const memdb_memory_t *memory,
                                   memdb_error_t *error) {
    uint32_t blobs = memory->fields & MEMDB_FIELD_BLOBS ? memory->blob_count : 0;
    for (uint32_t i = 0; i < blobs; i++)
        if (write_blob(dump, &memory->blobs[i], error) != MEMDB_OK)
            return error->status;
    cli_json_t *from = cli_memory_json(memory, dump->name, error);
    if (!from)
        return error->status;
    cli_json_t *line = cli_json_new_object();
    cli_json_set(line, "id", cli_json_share(cli_json_get(from, "id")));
    for (const cli_field_t *field = cli_put_fields; field->name; field++) {
        cli_json_t *value = cli_json_get(from, field->name);
        bool empty = !value || cli_json_kind(value) == CLI_JSON_NULL ||
                     (cli_json_kind(value) == CLI_JSON_OBJECT && !cli_json_count(value));
        if (!empty && strncmp(field->name, "valid_", 6) != 0)
            cli_json_set(line, field->name, cli_json_share(value));
    }
    cli_json_free(from);
    if (blobs)
        cli_set_unsigned(line, "blobs", blobs);
    dump->memories++;
    memdb_status_t status = add_vector(dump, memory, line, error);
    if (status == MEMDB_OK)
        return write_line(dump, "memory", line, error);
    cli_json_free(line);
    return status;
}

static memdb_status_t write_link(dump_t *dump, const memdb_link_t *link, memdb_error_t *error) {
    cli_json_t *line = cli_link_json(link);
    cli_json_set(line, "space", cli_bytes_json(dump->name));
    dump->links++;
    return write_line(dump, "link", line, error);
}

static memdb_status_t write_links(dump_t *dump, const memdb_memory_t *memory,
                                  memdb_error_t *error) {
    memdb_link_cursor_t *cursor;
    memdb_status_t status = memdb_links_open(dump->snapshot, dump->space, memory->id,
                                             MEMDB_DIRECTION_OUT, (memdb_bytes_t){0}, &cursor);
    if (status != MEMDB_OK)
        return cli_engine(dump->session, status, error, "links");
    for (;;) {
        memdb_link_t link = {.size = sizeof link};
        status = memdb_links_next(cursor, &link);
        if (status == MEMDB_OK)
            status = write_link(dump, &link, error);
        else
            break;
        if (status != MEMDB_OK) {
            memdb_links_close(cursor);
            return status;
        }
    }
    memdb_links_close(cursor);
    return status == MEMDB_DONE ? MEMDB_OK : cli_engine(dump->session, status, error, "links");
}

static memdb_status_t has_superseded(dump_t *dump, uint64_t id, bool *has_out,
                                     memdb_error_t *error) {
    static const memdb_bytes_t type = {MEMDB_LINK_SUPERSEDES, sizeof MEMDB_LINK_SUPERSEDES - 1};
    memdb_link_cursor_t *cursor;
    memdb_link_t link = {.size = sizeof link};
    memdb_status_t status =
        memdb_links_open(dump->snapshot, dump->space, id, MEMDB_DIRECTION_BOTH, type, &cursor);
    if (status == MEMDB_OK) {
        status = memdb_links_next(cursor, &link);
        memdb_links_close(cursor);
    }
    *has_out = status == MEMDB_OK;
    return status == MEMDB_DONE ? MEMDB_OK : cli_engine(dump->session, status, error, "links");
}

static memdb_status_t write_validity(dump_t *dump, const memdb_memory_t *memory,
                                     memdb_error_t *error) {
    bool changed = memory->fields & (MEMDB_FIELD_VALID_FROM | MEMDB_FIELD_VALID_TO);
    memdb_status_t status = changed ? MEMDB_OK : has_superseded(dump, memory->id, &changed, error);
    if (status != MEMDB_OK || !changed)
        return status;
    cli_json_t *line = cli_json_new_object();
    cli_set_unsigned(line, "id", memory->id);
    cli_json_set(line, "valid_from",
                 cli_time_json(memory->fields & MEMDB_FIELD_VALID_FROM ? memory->valid_from
                                                                       : MEMDB_TIME_NONE));
    cli_json_set(
        line, "valid_to",
        cli_time_json(memory->fields & MEMDB_FIELD_VALID_TO ? memory->valid_to : MEMDB_TIME_NONE));
    return write_line(dump, "validity", line, error);
}

typedef memdb_status_t (*write_fn)(dump_t *dump, const memdb_memory_t *memory,
                                   memdb_error_t *error);

// Every memory has a time, so the order of time has them all.
static memdb_status_t each_memory(dump_t *dump, write_fn write, memdb_error_t *error) {
    memdb_cursor_t *cursor;
    memdb_cursor_options_t options = {.size = sizeof options};
    memdb_status_t status = memdb_cursor_open(dump->snapshot, dump->space, &options, &cursor);
    if (status != MEMDB_OK)
        return cli_engine(dump->session, status, error, "read");
    for (;;) {
        memdb_memory_t memory = {.size = sizeof memory};
        status = memdb_cursor_next(cursor, &memory);
        if (status != MEMDB_OK)
            break;
        status = write(dump, &memory, error);
        if (status != MEMDB_OK) {
            memdb_cursor_close(cursor);
            return status;
        }
    }
    memdb_cursor_close(cursor);
    return status == MEMDB_DONE ? MEMDB_OK : cli_engine(dump->session, status, error, "read");
}

static bool add_index(void *context, const memdb_index_info_t *info) {
    cli_json_append(context, cli_bytes_json(info->on));
    return true;
}

// `space` is an element of the answer of spaces.
static memdb_status_t write_space(dump_t *dump, const cli_json_t *space, memdb_error_t *error) {
    static const char *const kept[] = {"name", "dimension", "metric", "tokenizer"};
    cli_json_t *line = cli_json_new_object(), *indexes = cli_json_new_array();
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        cli_json_t *value = cli_json_get(space, kept[i]);
        bool none = cli_json_kind(value) == CLI_JSON_INTEGER && !cli_json_integer(value);
        if (!none) // a dimension of 0: no vector has fixed it
            cli_json_set(line, kept[i], cli_json_share(value));
    }
    memdb_status_t status =
        cli_engine(dump->session, memdb_index_list(dump->snapshot, dump->space, add_index, indexes),
                   error, "indexes");
    cli_json_set(line, "indexes", indexes);
    if (!cli_json_count(indexes))
        cli_json_remove(line, "indexes");
    if (status == MEMDB_OK)
        return write_line(dump, "space", line, error);
    cli_json_free(line);
    return status;
}

// The gates of a space, as the operation gates takes them: behind its memories, which are not to be
// refused by them.
static memdb_status_t write_gates(dump_t *dump, const cli_json_t *space, memdb_error_t *error) {
    cli_json_t *gates = cli_json_get(space, "gates"), *line;
    if (!gates)
        return MEMDB_OK;
    line = cli_json_new_object();
    cli_json_set(line, "space", cli_bytes_json(dump->name));
    for (void *at = cli_json_first(gates); at; at = cli_json_next(gates, at))
        cli_json_set(line, cli_json_name_at(at), cli_json_share(cli_json_value_at(at)));
    return write_line(dump, "gates", line, error);
}

static bool saw_table(void *context, const memdb_table_info_t *info) {
    (void)info;
    *(bool *)context = true;
    return false;
}

/// A dump without the tables would not be everything.
static memdb_status_t refuse_tables(dump_t *dump, memdb_error_t *error) {
    bool saw = false;
    memdb_status_t status = cli_engine(
        dump->session, memdb_table_list(dump->snapshot, saw_table, &saw), error, "tables");
    return status == MEMDB_OK && saw
               ? cli_fail(error, MEMDB_UNSUPPORTED,
                          "the database has tables, which a dump does not hold: take a backup")
               : status;
}

static memdb_status_t write_all(dump_t *dump, memdb_error_t *error) {
    static const write_fn passes[] = {write_memory, write_links, write_validity};
    cli_json_t *answer = cli_json_new_object(), *nothing = cli_json_new_object();
    cli_buffer_text(&dump->lines.buffer, "{\"memdb_dump\":1}\n");
    memdb_status_t status = refuse_tables(dump, error);
    if (status == MEMDB_OK)
        status = cli_run_spaces(dump->session, nothing, answer, error);
    const cli_json_t *spaces = cli_json_get(answer, "spaces");
    for (size_t i = 0; status == MEMDB_OK && i < cli_json_count(spaces); i++) {
        const cli_json_t *space = cli_json_at(spaces, i);
        dump->name = cli_json_bytes(cli_json_get(space, "name"));
        status = cli_space_find(dump->session, dump->snapshot, dump->name, &dump->space, error);
        if (status == MEMDB_OK)
            status = write_space(dump, space, error);
        for (size_t pass = 0; status == MEMDB_OK && pass < sizeof passes / sizeof *passes; pass++)
            status = each_memory(dump, passes[pass], error);
        if (status == MEMDB_OK)
            status = write_gates(dump, space, error);
    }
    if (status == MEMDB_OK) {
        cli_json_t *end = cli_json_new_object();
        cli_set_unsigned(end, "memories", dump->memories);
        cli_set_unsigned(end, "links", dump->links);
        status = write_line(dump, "end", end, error);
    }
    cli_json_free(answer);
    cli_json_free(nothing);
    return status;
}

static memdb_status_t run_dump(cli_session_t *session, const cli_json_t *request,
                               cli_json_t *answer, memdb_error_t *error) {
    const cli_json_t *file = cli_json_get(request, "file");
    bool to_screen = !file || !strcmp(cli_json_bytes(file).data, "-");
    dump_t dump = {.session = session, .lines = {.fd = to_screen ? session->output_fd : -1}};
    bool own = !cli_session_in_transaction(session); // one snapshot for all spaces
    memdb_status_t status = MEMDB_OK;
    if (own)
        status = cli_engine(session, memdb_snapshot_begin(session->db, NULL, &session->view), error,
                            "snapshot");
    if (status == MEMDB_OK)
        status = cli_read_begin(session, &dump.snapshot, error);
    if (status == MEMDB_OK && !to_screen)
        status = cli_output_open(&dump.lines, file, cli_json_get(request, "force") != NULL, error);
    if (status == MEMDB_OK)
        status = write_all(&dump, error);
    status = cli_output_close(&dump.lines, status, error);
    session->output_gone = to_screen && dump.lines.gone;
    if (own)
        cli_session_abort(session);
    if (status != MEMDB_OK)
        return status;
    if (to_screen)
        cli_json_set(answer, "quiet", cli_json_new_bool(true));
    cli_set_unsigned(answer, "memories", dump.memories);
    cli_set_unsigned(answer, "links", dump.links);
    return MEMDB_OK;
}

const cli_op_t cli_dump_op = {"dump", dump_fields, run_dump, false};
