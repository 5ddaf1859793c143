// export: every memory of one space, or of all, as one snapshot sees them, in the format that
// import reads.
//
// Links and blobs are not exported: a dump has the links, a backup has everything.
#include "cli/cli_command.h"
#include "cli/cli_import.h"
#include "cli/cli_output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const cli_field_t export_fields[] = {
    {"file", CLI_FIELD_NAME, false, 1, 4000, NULL},
    {"space", CLI_FIELD_NAME, false, 1, MEMDB_MAX_NAME_BYTES, NULL},
    {"vectors", CLI_FIELD_NAME, false, 1, 4000, NULL},
    {"force", CLI_FIELD_BOOL, false, 0, 0, NULL},
    {NULL, CLI_FIELD_TEXT, false, 0, 0, NULL}};

typedef struct export {
    cli_session_t *session;
    memdb_snapshot_t *snapshot;
    cli_output_t lines, vectors;
    float *vector;
    uint32_t dimension; // of the first vector
    uint64_t exported;
}
export_t;

static memdb_status_t export_vector(export_t *export, memdb_space_t space,
                                    const memdb_memory_t *memory, memdb_error_t *error) {
    unsigned long long id = memory->id;
    if (!(memory->fields & MEMDB_FIELD_VECTOR) || !memory->dimension)
        return cli_fail(error, MEMDB_INVALID,
                        "vectors: memory %llu has none, and each line needs a row", id);
    if (!export->vector) {
        export->dimension = memory->dimension;
        export->vector = cli_allocate(export->dimension * sizeof(float));
    }
    if (memory->dimension != export->dimension)
        return cli_fail(error, MEMDB_INVALID,
                        "vectors: memory %llu has dimension %u, not %u; name one space", id,
                        memory->dimension, export->dimension);
    memdb_status_t status = cli_engine(
        export->session,
        memdb_get_vector(export->snapshot, space, memory->id, export->vector, export->dimension),
        error, "vectors: memory %llu", id);
    if (status == MEMDB_OK)
        cli_buffer_append(&export->vectors.buffer, export->vector,
                          export->dimension * sizeof(float));
    return status;
}

static memdb_status_t export_memory(export_t *export, memdb_space_t space, memdb_bytes_t ns,
                                    const memdb_memory_t *memory, memdb_error_t *error) {
    memdb_status_t status = cli_export_line(memory, ns, &export->lines.buffer, error);
    if (status != MEMDB_OK)
        return status;
    cli_buffer_char(&export->lines.buffer, '\n');
    status = cli_output_flush(&export->lines, CLI_OUTPUT_BYTES, error);
    if (status == MEMDB_OK && export->vectors.fd >= 0)
        status = export_vector(export, space, memory, error);
    if (status == MEMDB_OK && export->vectors.fd >= 0)
        status = cli_output_flush(&export->vectors, CLI_OUTPUT_BYTES, error);
    export->exported += status == MEMDB_OK;
    return status;
}

static memdb_status_t export_space(export_t *export, memdb_bytes_t name, memdb_bytes_t ns,
                                   memdb_error_t *error) {
    memdb_space_t space;
    memdb_cursor_t *cursor;
    memdb_cursor_options_t options = {.size = sizeof options};
    memdb_status_t status = cli_space_find(export->session, export->snapshot, name, &space, error);
    if (status != MEMDB_OK || !space)
        return status;
    status =
        cli_engine(export->session, memdb_cursor_open(export->snapshot, space, &options, &cursor),
                   error, "read");
    if (status != MEMDB_OK)
        return status;
    for (;;) {
        memdb_memory_t memory = {.size = sizeof memory};
        status = memdb_cursor_next(cursor, &memory);
        if (status != MEMDB_OK)
            break;
        status = export_memory(export, space, ns, &memory, error);
        if (status != MEMDB_OK) {
            memdb_cursor_close(cursor);
            return status;
        }
    }
    memdb_cursor_close(cursor);
    return status == MEMDB_DONE ? MEMDB_OK : cli_engine(export->session, status, error, "read");
}

// Space main goes out without `ns`: that is where import puts such lines.
static memdb_status_t export_all(export_t *export, memdb_error_t *error) {
    cli_json_t *answer = cli_json_new_object(), *nothing = cli_json_new_object();
    memdb_status_t status = cli_run_spaces(export->session, nothing, answer, error);
    const cli_json_t *spaces = cli_json_get(answer, "spaces");
    for (size_t i = 0; status == MEMDB_OK && i < cli_json_count(spaces); i++) {
        memdb_bytes_t name = cli_json_bytes(cli_json_get(cli_json_at(spaces, i), "name"));
        bool is_main = name.size == 4 && !memcmp(name.data, "main", 4);
        status = export_space(export, name, is_main ? (memdb_bytes_t){0} : name, error);
    }
    cli_json_free(answer);
    cli_json_free(nothing);
    return status;
}

static memdb_status_t run_export(cli_session_t *session, const cli_json_t *request,
                                 cli_json_t *answer, memdb_error_t *error) {
    const cli_json_t *file = cli_json_get(request, "file"),
                     *vectors = cli_json_get(request, "vectors");
    const cli_json_t *space = cli_json_get(request, "space");
    bool force = cli_json_get(request, "force") != NULL;
    bool to_screen = !file || !strcmp(cli_json_bytes(file).data, "-");
    export_t export = {.session = session,
                       .lines = {.fd = to_screen ? session->output_fd : -1},
                       .vectors = {.fd = -1}};
    // A snapshot of the session's own, so that all spaces are read at one moment.
    bool own = !cli_session_in_transaction(session);
    memdb_status_t status = MEMDB_OK;
    if (own)
        status = cli_engine(session, memdb_snapshot_begin(session->db, NULL, &session->view), error,
                            "snapshot");
    if (status == MEMDB_OK)
        status = cli_read_begin(session, &export.snapshot, error);
    if (status == MEMDB_OK && !to_screen)
        status = cli_output_open(&export.lines, file, force, error);
    if (status == MEMDB_OK && vectors)
        status = cli_output_open(&export.vectors, vectors, force, error);
    if (status == MEMDB_OK && space)
        status = export_space(&export, cli_json_bytes(space), (memdb_bytes_t){0}, error);
    else if (status == MEMDB_OK)
        status = export_all(&export, error);
    status = cli_output_close(&export.vectors, status, error);
    status = cli_output_close(&export.lines, status, error);
    if (own)
        cli_session_abort(session);
    free(export.vector);
    session->output_gone = to_screen && export.lines.gone;
    if (status != MEMDB_OK)
        return status;
    if (to_screen)
        cli_json_set(answer, "quiet",
                     cli_json_new_bool(true)); // standard output belongs to the lines
    cli_set_unsigned(answer, "exported", export.exported);
    if (vectors)
        cli_set_unsigned(answer, "dimension", export.dimension);
    return MEMDB_OK;
}

const cli_op_t cli_export_op = {"export", export_fields, run_export, false};
