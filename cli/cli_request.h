// Requests: one table of operations serves JSON lines, one-shot commands and the prompt.
//
// An operation is a name, the fields that it knows, and a function. cli_request_check refuses
// whatever a field's rule does not allow before the function runs, so that the functions read
// well-formed fields and a refused request has changed nothing.
#ifndef MEMDB_CLI_REQUEST_H
#define MEMDB_CLI_REQUEST_H

#include "cli/cli_session.h"

typedef enum cli_field_kind {
    CLI_FIELD_TEXT,    // a string; may hold NUL; up to `high` bytes
    CLI_FIELD_NAME,    // a string without NUL, `low` to `high` bytes
    CLI_FIELD_TIME,    // RFC 3339
    CLI_FIELD_MOMENT,  // a position in the log, or RFC 3339
    CLI_FIELD_INTEGER, // low..high
    CLI_FIELD_NUMBER,  // low..high, an integer or a real
    CLI_FIELD_BOOL,
    CLI_FIELD_CHOICE, // one of `choices`
    CLI_FIELD_OBJECT,
    CLI_FIELD_REFERENCE, // an id or a key
    CLI_FIELD_NAMES,     // an array of names
    CLI_FIELD_VECTOR,    // an array of numbers
    CLI_FIELD_VECTOR64,  // base64 of float32
    CLI_FIELD_POSITION,  // base64
    CLI_FIELD_LINKS,     // an array of {to, type, weight}
    CLI_FIELD_WEIGHTS,   // an object of numbers by signal
    CLI_FIELD_PARAMS,    // an array of values, or of arrays of values
    CLI_FIELD_WHEN,      // a time, or null: whenever
    CLI_FIELD_WINDOW,    // [from, to]: two times, null where it is open
    CLI_FIELD_REFERENCES // an array of ids and keys
} cli_field_kind_t;

typedef struct cli_field {
    const char *name;
    cli_field_kind_t kind;
    bool required;
    double low, high;
    const char *const *choices;
} cli_field_t;

/// Adds what is to be answered to `answer`, and takes nothing back: the caller drops it when the
/// status is not MEMDB_OK, but for `errors`.
typedef memdb_status_t (*cli_run_fn)(cli_session_t *session, const cli_json_t *request,
                                     cli_json_t *answer, memdb_error_t *error);

typedef struct cli_op {
    const char *name;
    const cli_field_t *fields; // ends with a NULL name
    cli_run_fn run;            // NULL: not in this version
    bool creates;              // as a command: creates a missing database
} cli_op_t;

extern const cli_op_t cli_ops[]; // ends with a NULL name
const cli_op_t *cli_op_find(const char *name);
const cli_field_t *cli_op_field(const cli_op_t *op, const char *name);

/// Check one value by its field's rule; `name` is what messages call it.
memdb_status_t cli_field_check(const cli_field_t *field, const char *name, const cli_json_t *value,
                               memdb_error_t *error);
/// Check every field of a request, `op` and `re` excepted.
memdb_status_t cli_fields_check(const cli_field_t *fields, const cli_json_t *request,
                                memdb_error_t *error);
/// Find the operation and check all fields.
memdb_status_t cli_request_check(const cli_json_t *request, const cli_op_t **op_out,
                                 memdb_error_t *error);
/// Run a request, and make its answer: ok, or ok false with code and message.
cli_json_t *cli_request_run(cli_session_t *session, const cli_json_t *request);
/// The same from a line of JSON.
cli_json_t *cli_request_line(cli_session_t *session, const char *line, size_t size);
/// {"ok":false,...} of `error`.
cli_json_t *cli_refusal(const memdb_error_t *error);
#define CLI_MAX_LINE_BYTES ((size_t)64 << 20)

// What the functions of the operations share (requests_common.c). Names of absent fields give the
// default.

memdb_bytes_t cli_get_bytes(const cli_json_t *request, const char *name);
int64_t cli_get_integer(const cli_json_t *request, const char *name, int64_t otherwise);
double cli_get_number(const cli_json_t *request, const char *name, double otherwise);
bool cli_get_time(const cli_json_t *request, const char *name, int64_t *time_out);
/// A time for which 0 means "not set".
int64_t cli_get_moment(const cli_json_t *request, const char *name);
/// [from, to]; MEMDB_TIME_NONE for null.
bool cli_get_window(const cli_json_t *request, const char *name, int64_t *from_out,
                    int64_t *to_out);
/// A snapshot for a request that only reads: of its `as_of`, or of the session. End it with
/// cli_read_end.
memdb_status_t cli_read_begin_at(cli_session_t *session, const cli_json_t *request,
                                 memdb_snapshot_t **snapshot_out, memdb_error_t *error);
memdb_durability_t cli_get_durability(const cli_json_t *request);
memdb_durability_t cli_durability_by_name(memdb_bytes_t name); // DEFAULT: no such name
/// Floats of `vector` or `vector_b64`; NULL and 0 when there is none. Free with free().
memdb_status_t cli_get_vector(const cli_json_t *request, float **vector_out,
                              uint32_t *dimension_out, memdb_error_t *error);
/// The JSON of `attrs`, appended to `out`; nothing when it is left out. MEMDB_LIMIT: too large.
memdb_status_t cli_get_attrs(const cli_json_t *request, cli_buffer_t *out, memdb_error_t *error);
/// The space of `request`, "main" when left out. Space `main` is 0 while it does not exist; another
/// unknown space is MEMDB_NOT_FOUND.
memdb_bytes_t cli_space_name(const cli_json_t *request);
memdb_status_t cli_space_find(cli_session_t *session, memdb_snapshot_t *snapshot,
                              memdb_bytes_t name, memdb_space_t *space_out, memdb_error_t *error);
/// Parse `filter` with `params`; NULL when it is left out. Free it with memdb_filter_free.
memdb_status_t cli_get_filter(const cli_json_t *request, memdb_filter_t **filter_out,
                              memdb_error_t *error);
/// The memory that `reference` (an id or a key) names.
memdb_status_t cli_find_memory(cli_session_t *session, memdb_snapshot_t *snapshot,
                               memdb_space_t space, const char *name, const cli_json_t *reference,
                               memdb_memory_t *memory_out, memdb_error_t *error);
/// The ids of the memories that the array of the field `name` names, each in one of the spaces;
/// NULL and 0 when it is left out. Free with free().
memdb_status_t cli_find_memories(cli_session_t *session, memdb_snapshot_t *snapshot,
                                 const memdb_space_t *spaces, size_t space_count,
                                 const cli_json_t *request, const char *name, uint64_t **ids_out,
                                 size_t *count_out, memdb_error_t *error);
/// The value of `id` or `key`, exactly one of which must be there.
memdb_status_t cli_reference(const cli_json_t *request, const cli_json_t **reference_out,
                             memdb_error_t *error);
/// Whether a reader sees the memory: it has not expired at the snapshot's time, and is valid at the
/// request's `valid_at`, if it has one.
bool cli_shows(const cli_json_t *request, const memdb_snapshot_t *snapshot,
               const memdb_memory_t *memory);
/// A memory as JSON; NULL and `error` when its attributes cannot be read.
cli_json_t *cli_memory_json(const memdb_memory_t *memory, memdb_bytes_t space_name,
                            memdb_error_t *error);
/// A link as JSON, with the ids of its ends.
cli_json_t *cli_link_json(const memdb_link_t *link);
/// Which links are walked, and what a message calls the walk.
typedef struct cli_links {
    cli_session_t *session;
    memdb_snapshot_t *snapshot;
    memdb_space_t space;
    memdb_direction_t direction;
    memdb_bytes_t type; // empty: all
    const char *what;
} cli_links_t;
/// Call `visit` for each of them at a memory, until it fails.
memdb_status_t cli_each_link(const cli_links_t *links, uint64_t id,
                             memdb_status_t (*visit)(void *context, const memdb_link_t *link,
                                                     memdb_error_t *error),
                             void *context, memdb_error_t *error);
/// The field `direction` of a request.
memdb_direction_t cli_get_direction(const cli_json_t *request, memdb_direction_t otherwise);

/// A walk over links, by the fields of a request: space, type, direction, filter, as_of, valid_at.
typedef struct cli_walk {
    cli_links_t links;
    memdb_graph_options_t options; // of expired memories it passes by
    memdb_filter_t *filter;
    memdb_nodes_t *nodes; // NULL: none so far
} cli_walk_t;
/// End it with cli_walk_end, on failure too.
memdb_status_t cli_walk_begin(cli_session_t *session, const cli_json_t *request,
                              memdb_direction_t otherwise, cli_walk_t *walk, memdb_error_t *error);
/// Fill `nodes` with what is around the memory that the request names.
memdb_status_t cli_walk_expand(cli_walk_t *walk, const cli_json_t *request, uint64_t *start_out,
                               memdb_error_t *error);
/// Whether a link holds when the walk asks for.
bool cli_walk_follows(const cli_walk_t *walk, const memdb_link_t *link);
void cli_walk_end(cli_walk_t *walk);
cli_json_t *cli_time_json(int64_t time);         // null for MEMDB_TIME_NONE
cli_json_t *cli_bytes_json(memdb_bytes_t bytes); // lent text of the library
void cli_set_unsigned(cli_json_t *object, const char *name, uint64_t number);
void cli_answer_lsn(cli_json_t *answer, uint64_t lsn); // nothing for 0

/// A memory to put, from the fields of a checked request. `attrs` is its JSON.
typedef struct cli_put {
    memdb_memory_t memory;
    cli_buffer_t attrs;
    float *vector;
} cli_put_t;
memdb_status_t cli_put_init(const cli_json_t *request, cli_put_t *put, memdb_error_t *error);
void cli_put_deinit(cli_put_t *put);
extern const cli_field_t cli_put_fields[];
/// Names of memdb_tokenizer_kind_t, in its order; NULL at the end.
extern const char *const cli_tokenizers[];

memdb_status_t cli_run_put(cli_session_t *, const cli_json_t *, cli_json_t *, memdb_error_t *);
memdb_status_t cli_run_get(cli_session_t *, const cli_json_t *, cli_json_t *, memdb_error_t *);
memdb_status_t cli_run_list(cli_session_t *, const cli_json_t *, cli_json_t *, memdb_error_t *);
memdb_status_t cli_run_trace(cli_session_t *, const cli_json_t *, cli_json_t *, memdb_error_t *);
memdb_status_t cli_run_forget(cli_session_t *, const cli_json_t *, cli_json_t *, memdb_error_t *);
memdb_status_t cli_run_recall(cli_session_t *, const cli_json_t *, cli_json_t *, memdb_error_t *);
memdb_status_t cli_run_link(cli_session_t *, const cli_json_t *, cli_json_t *, memdb_error_t *);
memdb_status_t cli_run_unlink(cli_session_t *, const cli_json_t *, cli_json_t *, memdb_error_t *);
memdb_status_t cli_run_neighbours(cli_session_t *, const cli_json_t *, cli_json_t *,
                                  memdb_error_t *);
memdb_status_t cli_run_path(cli_session_t *, const cli_json_t *, cli_json_t *, memdb_error_t *);
memdb_status_t cli_run_rank(cli_session_t *, const cli_json_t *, cli_json_t *, memdb_error_t *);
memdb_status_t cli_run_begin(cli_session_t *, const cli_json_t *, cli_json_t *, memdb_error_t *);
memdb_status_t cli_run_commit(cli_session_t *, const cli_json_t *, cli_json_t *, memdb_error_t *);
memdb_status_t cli_run_abort(cli_session_t *, const cli_json_t *, cli_json_t *, memdb_error_t *);
memdb_status_t cli_run_create_space(cli_session_t *, const cli_json_t *, cli_json_t *,
                                    memdb_error_t *);
memdb_status_t cli_run_drop_space(cli_session_t *, const cli_json_t *, cli_json_t *,
                                  memdb_error_t *);
/// The gates that are set; NULL: none.
cli_json_t *cli_gates_json(const memdb_gates_t *gates);
memdb_status_t cli_run_gates(cli_session_t *, const cli_json_t *, cli_json_t *, memdb_error_t *);
memdb_status_t cli_run_refused(cli_session_t *, const cli_json_t *, cli_json_t *, memdb_error_t *);
memdb_status_t cli_run_spaces(cli_session_t *, const cli_json_t *, cli_json_t *, memdb_error_t *);
memdb_status_t cli_run_create_index(cli_session_t *, const cli_json_t *, cli_json_t *,
                                    memdb_error_t *);
memdb_status_t cli_run_drop_index(cli_session_t *, const cli_json_t *, cli_json_t *,
                                  memdb_error_t *);
memdb_status_t cli_run_tables(cli_session_t *, const cli_json_t *, cli_json_t *, memdb_error_t *);
memdb_status_t cli_run_indexes(cli_session_t *, const cli_json_t *, cli_json_t *, memdb_error_t *);
memdb_status_t cli_run_checkpoint(cli_session_t *, const cli_json_t *, cli_json_t *,
                                  memdb_error_t *);
memdb_status_t cli_run_compact(cli_session_t *, const cli_json_t *, cli_json_t *, memdb_error_t *);
memdb_status_t cli_run_purge(cli_session_t *, const cli_json_t *, cli_json_t *, memdb_error_t *);
memdb_status_t cli_run_verify(cli_session_t *, const cli_json_t *, cli_json_t *, memdb_error_t *);
memdb_status_t cli_run_stats(cli_session_t *, const cli_json_t *, cli_json_t *, memdb_error_t *);
memdb_status_t cli_run_settings(cli_session_t *, const cli_json_t *, cli_json_t *, memdb_error_t *);
memdb_status_t cli_run_backup(cli_session_t *, const cli_json_t *, cli_json_t *, memdb_error_t *);

#endif
