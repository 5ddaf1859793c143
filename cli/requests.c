// The table of operations, and the way of a request from a line to its answer.
//
// The table is the contract of the JSON lines: an operation or a field that is not in it is refused
// by name. What a later version will do is in the table too, so that it answers MEMDB_UNSUPPORTED
// and not MEMDB_INVALID.
#include "cli/cli_request.h"

#include <stdio.h>
#include <string.h>

#define BIG 9007199254740992.0 // 2^53: integers up to here compare exactly with the bounds
#define SPACE                                                                                      \
    { "space", CLI_FIELD_NAME, false, 1, MEMDB_MAX_NAME_BYTES, NULL }
#define SESSION                                                                                    \
    { "session", CLI_FIELD_NAME, false, 0, MEMDB_MAX_NAME_BYTES, NULL }
#define ID                                                                                         \
    { "id", CLI_FIELD_INTEGER, false, 1, BIG, NULL }
#define KEY                                                                                        \
    { "key", CLI_FIELD_NAME, false, 1, MEMDB_MAX_KEY_BYTES, NULL }
#define VALID_AT                                                                                   \
    { "valid_at", CLI_FIELD_TIME, false, 0, 0, NULL }
#define AS_OF                                                                                      \
    { "as_of", CLI_FIELD_MOMENT, false, 0, 0, NULL }
#define FLAG(name)                                                                                 \
    { name, CLI_FIELD_BOOL, false, 0, 0, NULL }
#define DURABILITY                                                                                 \
    { "durability", CLI_FIELD_CHOICE, false, 0, 0, durabilities }
#define FILTER                                                                                     \
    {"filter", CLI_FIELD_TEXT, false, 1, 1 << 20, NULL}, {                                         \
        "params", CLI_FIELD_PARAMS, false, 0, 0, NULL                                              \
    }
#define TIME(name)                                                                                 \
    { name, CLI_FIELD_TIME, false, 0, 0, NULL }
#define ATTRS                                                                                      \
    { "attrs", CLI_FIELD_OBJECT, false, 0, 0, NULL }
#define NUMBER(name)                                                                               \
    { name, CLI_FIELD_NUMBER, false, -1.7976931348623157e308, 1.7976931348623157e308, NULL }
#define COUNT(name, low, high)                                                                     \
    { name, CLI_FIELD_INTEGER, false, low, high, NULL }
#define NAME(name, low)                                                                            \
    { name, CLI_FIELD_NAME, false, low, MEMDB_MAX_NAME_BYTES, NULL }
#define VECTORS                                                                                    \
    {"vector", CLI_FIELD_VECTOR, false, 0, 0, NULL}, {                                             \
        "vector_b64", CLI_FIELD_VECTOR64, false, 0, 0, NULL                                        \
    }
#define REQUIRED(name, kind, low, high)                                                            \
    { name, kind, true, low, high, NULL }
#define END                                                                                        \
    { NULL, CLI_FIELD_TEXT, false, 0, 0, NULL }

static const char *const durabilities[] = {"none", "os", "full", NULL};
static const char *const modes[] = {"auto", "words", "vector", NULL};
static const char *const directions[] = {"out", "in", "both", NULL};
static const char *const metrics[] = {"cosine", "dot", "l2", NULL};
const char *const cli_tokenizers[] = {"english", "plain", "none", NULL};

const cli_field_t cli_put_fields[] = {
    SPACE,
    KEY,
    {"text", CLI_FIELD_TEXT, false, 0, MEMDB_MAX_TEXT_BYTES, NULL},
    NAME("kind", 0),
    SESSION,
    NAME("actor", 0),
    TIME("time"),
    TIME("valid_from"),
    TIME("valid_to"),
    TIME("expires"),
    NUMBER("importance"),
    COUNT("tokens", 0, UINT32_MAX),
    ATTRS,
    VECTORS,
    {"links", CLI_FIELD_LINKS, false, 0, 0, NULL},
    {"supersedes", CLI_FIELD_REFERENCE, false, 0, 0, NULL},
    DURABILITY,
    END};
static const cli_field_t get_fields[] = {SPACE, ID, KEY, AS_OF, VALID_AT, END};
static const cli_field_t recall_fields[] = {
    SPACE,
    {"spaces", CLI_FIELD_NAMES, false, 1, MEMDB_MAX_NAME_BYTES, NULL},
    {"text", CLI_FIELD_TEXT, false, 0, MEMDB_MAX_TEXT_BYTES, NULL},
    VECTORS,
    {"seeds", CLI_FIELD_REFERENCES, false, 1, MEMDB_MAX_SEEDS, NULL},
    FILTER,
    SESSION,
    AS_OF,
    {"window", CLI_FIELD_WINDOW, false, 0, 0, NULL},
    TIME("now"),
    {"valid_at", CLI_FIELD_WHEN, false, 0, 0, NULL},
    COUNT("k", 1, 10000),
    COUNT("skip", 0, 10000),
    COUNT("token_budget", 1, UINT32_MAX),
    {"mode", CLI_FIELD_CHOICE, false, 0, 0, modes},
    {"weights", CLI_FIELD_WEIGHTS, false, 0, 0, NULL},
    {"mmr", CLI_FIELD_NUMBER, false, 0, 1, NULL},
    FLAG("fold"),
    FLAG("boolean"),
    {"page", CLI_FIELD_TEXT, false, 0, 200, NULL},
    COUNT("snippet", 16, 100000),
    {"recall_target", CLI_FIELD_NUMBER, false, 0, 1, NULL},
    FLAG("explain"),
    END};
static const cli_field_t list_fields[] = {
    SPACE,
    SESSION,
    {"prefix", CLI_FIELD_NAME, false, 0, MEMDB_MAX_KEY_BYTES, NULL},
    TIME("from"),
    TIME("to"),
    FILTER,
    COUNT("limit", 1, 100000),
    {"after", CLI_FIELD_POSITION, false, 0, 0, NULL},
    AS_OF,
    VALID_AT,
    END};
static const cli_field_t trace_fields[] = {
    SPACE, ID, KEY, COUNT("before", 0, 100000), COUNT("after", 0, 100000), AS_OF, VALID_AT, END};
static const cli_field_t link_fields[] = {SPACE,
                                          REQUIRED("from", CLI_FIELD_REFERENCE, 0, 0),
                                          REQUIRED("to", CLI_FIELD_REFERENCE, 0, 0),
                                          NAME("type", 0),
                                          NUMBER("weight"),
                                          ATTRS,
                                          TIME("valid_from"),
                                          TIME("valid_to"),
                                          DURABILITY,
                                          END};
static const cli_field_t neighbours_fields[] = {
    SPACE,
    ID,
    KEY,
    NAME("type", 0),
    {"direction", CLI_FIELD_CHOICE, false, 0, 0, directions},
    COUNT("hops", 1, 1000000),
    COUNT("limit", 1, 100000),
    FILTER,
    AS_OF,
    VALID_AT,
    END};
static const cli_field_t path_fields[] = {SPACE,
                                          REQUIRED("from", CLI_FIELD_REFERENCE, 0, 0),
                                          REQUIRED("to", CLI_FIELD_REFERENCE, 0, 0),
                                          NAME("type", 0),
                                          {"direction", CLI_FIELD_CHOICE, false, 0, 0, directions},
                                          COUNT("hops", 1, 1000000),
                                          FILTER,
                                          AS_OF,
                                          VALID_AT,
                                          END};
static const cli_field_t rank_fields[] = {
    SPACE,
    REQUIRED("seeds", CLI_FIELD_REFERENCES, 1, MEMDB_MAX_SEEDS),
    NAME("type", 0),
    {"direction", CLI_FIELD_CHOICE, false, 0, 0, directions},
    COUNT("limit", 1, 100000),
    FILTER,
    AS_OF,
    VALID_AT,
    END};
static const cli_field_t forget_fields[] = {SPACE, ID, KEY, FILTER, FLAG("erase"), DURABILITY, END};
static const cli_field_t begin_fields[] = {{"snapshot", CLI_FIELD_BOOL, false, 0, 0, NULL}, END};
static const cli_field_t commit_fields[] = {DURABILITY, END};
static const cli_field_t create_space_fields[] = {
    REQUIRED("name", CLI_FIELD_NAME, 1, MEMDB_MAX_NAME_BYTES),
    COUNT("dimension", 1, MEMDB_MAX_DIMENSION),
    {"metric", CLI_FIELD_CHOICE, false, 0, 0, metrics},
    {"tokenizer", CLI_FIELD_CHOICE, false, 0, 0, cli_tokenizers},
    {"indexes", CLI_FIELD_NAMES, false, 1, MEMDB_MAX_NAME_BYTES, NULL},
    DURABILITY,
    END};
static const cli_field_t drop_space_fields[] = {
    REQUIRED("name", CLI_FIELD_NAME, 1, MEMDB_MAX_NAME_BYTES), DURABILITY, END};
static const cli_field_t gates_fields[] = {SPACE,
                                           {"most_alike", CLI_FIELD_NUMBER, false, 0, 1, NULL},
                                           COUNT("most_memories", 0, BIG),
                                           COUNT("most_bytes", 0, BIG),
                                           COUNT("expire_after_us", 0, BIG),
                                           FLAG("no_copies"),
                                           FLAG("no_recalled"),
                                           {"most_near", CLI_FIELD_NUMBER, false, 0, 1, NULL},
                                           {"near_words", CLI_FIELD_NUMBER, false, 0, 1, NULL},
                                           FLAG("open"),
                                           DURABILITY,
                                           END};
static const cli_field_t refused_fields[] = {SPACE, COUNT("limit", 1, MEMDB_MAX_REFUSALS), END};
static const cli_field_t index_fields[] = {
    SPACE, REQUIRED("on", CLI_FIELD_NAME, 1, MEMDB_MAX_NAME_BYTES), DURABILITY, END};
static const cli_field_t indexes_fields[] = {SPACE, END};
static const cli_field_t backup_fields[] = {REQUIRED("to", CLI_FIELD_NAME, 1, 4095),
                                            {"full", CLI_FIELD_BOOL, false, 0, 0, NULL},
                                            {"once", CLI_FIELD_BOOL, false, 0, 0, NULL},
                                            {"progress", CLI_FIELD_BOOL, false, 0, 0, NULL},
                                            END};
static const cli_field_t verify_fields[] = {COUNT("threads", 1, 64), END};
static const cli_field_t settings_fields[] = {COUNT("history_us", 0, BIG),
                                              COUNT("history_bytes", 0, BIG),
                                              COUNT("snapshot_limit_us", 0, BIG), END};
static const cli_field_t no_fields[] = {END};

const cli_op_t cli_ops[] = {
    {"put", cli_put_fields, cli_run_put, true},
    {"get", get_fields, cli_run_get, false},
    {"recall", recall_fields, cli_run_recall, false},
    {"list", list_fields, cli_run_list, false},
    {"trace", trace_fields, cli_run_trace, false},
    {"link", link_fields, cli_run_link, false},
    {"unlink", link_fields, cli_run_unlink, false},
    {"neighbours", neighbours_fields, cli_run_neighbours, false},
    {"path", path_fields, cli_run_path, false},
    {"rank", rank_fields, cli_run_rank, false},
    {"forget", forget_fields, cli_run_forget, false},
    {"begin", begin_fields, cli_run_begin, false},
    {"commit", commit_fields, cli_run_commit, false},
    {"abort", no_fields, cli_run_abort, false},
    {"create_space", create_space_fields, cli_run_create_space, true},
    {"drop_space", drop_space_fields, cli_run_drop_space, false},
    {"spaces", no_fields, cli_run_spaces, false},
    {"tables", no_fields, cli_run_tables, false},
    {"gates", gates_fields, cli_run_gates, true},
    {"refused", refused_fields, cli_run_refused, false},
    {"create_index", index_fields, cli_run_create_index, false},
    {"drop_index", index_fields, cli_run_drop_index, false},
    {"indexes", indexes_fields, cli_run_indexes, false},
    {"checkpoint", no_fields, cli_run_checkpoint, false},
    {"verify", verify_fields, cli_run_verify, false},
    {"stats", no_fields, cli_run_stats, false},
    {"backup", backup_fields, cli_run_backup, false},
    {"settings", settings_fields, cli_run_settings, false},
    {"compact", no_fields, cli_run_compact, false},
    {"purge", no_fields, cli_run_purge, false},
    {NULL, NULL, NULL, false},
};

const cli_op_t *cli_op_find(const char *name) {
    for (const cli_op_t *op = cli_ops; op->name; op++)
        if (!strcmp(op->name, name))
            return op;
    return NULL;
}

const cli_field_t *cli_op_field(const cli_op_t *op, const char *name) {
    for (const cli_field_t *field = op->fields; field->name; field++)
        if (!strcmp(field->name, name))
            return field;
    return NULL;
}

memdb_status_t cli_request_check(const cli_json_t *request, const cli_op_t **op_out,
                                 memdb_error_t *error) {
    if (cli_json_kind(request) != CLI_JSON_OBJECT)
        return cli_fail(error, MEMDB_INVALID, "a request is an object, not an array");
    const cli_json_t *name = cli_json_get(request, "op");
    if (!name || cli_json_kind(name) != CLI_JSON_STRING)
        return cli_fail(error, MEMDB_INVALID, name ? "op: must be a string" : "op: is missing");
    memdb_bytes_t bytes = cli_json_bytes(name);
    const cli_op_t *op = strlen(bytes.data) == bytes.size ? cli_op_find(bytes.data) : NULL;
    if (!op)
        return cli_fail(error, MEMDB_INVALID, "op: there is no operation '%.100s'", bytes.data);
    memdb_status_t status = cli_fields_check(op->fields, request, error);
    if (status != MEMDB_OK)
        return status;
    if (!op->run)
        return cli_fail(error, MEMDB_UNSUPPORTED, "op: this version cannot %s yet", op->name);
    *op_out = op;
    return MEMDB_OK;
}

cli_json_t *cli_refusal(const memdb_error_t *error) {
    cli_json_t *answer = cli_json_new_object();
    cli_json_set(answer, "ok", cli_json_new_bool(false));
    cli_json_set(answer, "code", cli_json_new_text(memdb_status_name(error->status)));
    cli_json_set(answer, "message", cli_json_new_text(error->message));
    return answer;
}

static void bring_back(const cli_json_t *request, cli_json_t *answer) {
    const cli_json_t *re = request ? cli_json_get(request, "re") : NULL;
    if (re)
        cli_json_set(answer, "re", cli_json_share(re));
}

cli_json_t *cli_request_run(cli_session_t *session, const cli_json_t *request) {
    memdb_error_t error = {0};
    const cli_op_t *op = NULL;
    cli_json_t *answer = cli_json_new_object();
    cli_json_set(answer, "ok", cli_json_new_bool(true));
    memdb_status_t status = cli_request_check(request, &op, &error);
    if (status == MEMDB_OK && !session->db) {
        error = session->refusal; // the database could not be opened
        status = error.status;
    }
    if (status == MEMDB_OK)
        status = op->run(session, request, answer, &error);
    if (status != MEMDB_OK) {
        const cli_json_t *errors = cli_json_get(answer, "errors");
        cli_json_t *refusal = cli_refusal(&error);
        if (errors)
            cli_json_set(refusal, "errors", cli_json_share(errors));
        cli_json_free(answer);
        answer = refusal;
    }
    bring_back(request, answer);
    return answer;
}

cli_json_t *cli_request_line(cli_session_t *session, const char *line, size_t size) {
    memdb_error_t error = {0};
    bool duplicate = false;
    cli_json_t *request = cli_json_parse(line, size, &duplicate, &error);
    cli_json_t *answer;
    if (request) {
        answer = cli_request_run(session, request);
    } else {
        // A repeated key is refused, but the request can be read far enough to give back its `re`.
        request = duplicate ? cli_json_parse_leniently(line, size) : NULL;
        answer = cli_refusal(&error);
        bring_back(request, answer);
    }
    cli_json_free(request);
    return answer;
}
