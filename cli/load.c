// Loading a dump. Its lines become requests in transactions of many lines each; ids of the dump
// become those that the memories get here.
#include "cli/cli_base64.h"
#include "cli/cli_load.h"

#include <stdlib.h>
#include <string.h>

#define BATCH_LINES 1000
#define BATCH_BYTES ((size_t)32 << 20) // of lines: well below a transaction's limit

typedef struct pair {
    uint64_t theirs, ours;
} pair_t;

struct cli_load {
    cli_session_t *session;
    memdb_durability_t durability;
    size_t lines, bytes; // in the open transaction
    pair_t *ids;
    size_t count, capacity;
    bool sorted;
    cli_json_t *spaces; // their names; the last one is in hand
    uint64_t memories, links;
    bool began, ended; // the first and the last line came
    // Blobs of the memory that comes next.
    memdb_blob_t blobs[MEMDB_MAX_BLOBS];
    cli_json_t *described[MEMDB_MAX_BLOBS]; // hold their media types
    uint32_t blob_count;
    memdb_blob_writer_t *writer; // of the last one, while bytes of it are missing
    uint64_t left;
};

bool cli_is_dump(const char *line, size_t size) {
    static const char mark[] = "{\"memdb_dump\":";
    return size >= sizeof mark - 1 && !memcmp(line, mark, sizeof mark - 1);
}

cli_load_t *cli_load_begin(cli_session_t *session, memdb_durability_t durability) {
    cli_load_t *load = cli_allocate(sizeof *load);
    load->session = session;
    load->durability = durability;
    load->spaces = cli_json_new_array();
    return load;
}

// ------------------------------------------------------------------------------ ids

static void add_id(cli_load_t *load, uint64_t theirs, uint64_t ours) {
    if (load->count == load->capacity) {
        load->capacity = load->capacity ? 2 * load->capacity : 1024;
        load->ids = realloc(load->ids, load->capacity * sizeof *load->ids);
        if (!load->ids)
            cli_out_of_memory();
    }
    load->ids[load->count++] = (pair_t){theirs, ours};
    load->sorted = false;
}

static int compare(const void *a, const void *b) {
    const pair_t *left = a, *right = b;
    return (left->theirs > right->theirs) - (left->theirs < right->theirs);
}

// Put the id that the memory got here in the place of the dump's.
static memdb_status_t translate(cli_load_t *load, cli_json_t *object, const char *name,
                                uint64_t *ours_out, memdb_error_t *error) {
    const cli_json_t *value = cli_json_get(object, name);
    if (!value || cli_json_kind(value) != CLI_JSON_INTEGER)
        return cli_fail(error, MEMDB_INVALID, "%s: must be an id", name);
    if (!load->sorted && load->count)
        qsort(load->ids, load->count, sizeof *load->ids, compare);
    load->sorted = true;
    pair_t wanted = {.theirs = (uint64_t)cli_json_integer(value)};
    const pair_t *found =
        load->count ? bsearch(&wanted, load->ids, load->count, sizeof wanted, compare) : NULL;
    if (!found)
        return cli_fail(error, MEMDB_INVALID, "%s: the dump has no memory %lld before this line",
                        name, (long long)cli_json_integer(value));
    *ours_out = found->ours;
    cli_set_unsigned(object, name, found->ours);
    return MEMDB_OK;
}

// ------------------------------------------------------------------------------ lines

static memdb_status_t run(cli_load_t *load, const char *op_name, const cli_json_t *request,
                          cli_json_t *answer, memdb_error_t *error) {
    const cli_op_t *op = cli_op_find(op_name);
    memdb_status_t status = cli_fields_check(op->fields, request, error);
    return status == MEMDB_OK ? op->run(load->session, request, answer, error) : status;
}

// begin or commit, as requests do them.
static memdb_status_t transact(cli_load_t *load, const char *op, memdb_error_t *error) {
    static const char *const names[] = {"", "none", "os", "full"};
    cli_json_t *request = cli_json_new_object(), *answer = cli_json_new_object();
    if (load->durability && !strcmp(op, "commit"))
        cli_json_set(request, "durability", cli_json_new_text(names[load->durability]));
    memdb_status_t status = run(load, op, request, answer, error);
    cli_json_free(request);
    cli_json_free(answer);
    return status;
}

static memdb_status_t commit(cli_load_t *load, memdb_error_t *error) {
    load->lines = load->bytes = 0;
    return load->session->txn ? transact(load, "commit", error) : MEMDB_OK;
}

static memdb_status_t take_space(cli_load_t *load, cli_json_t *space, memdb_error_t *error) {
    cli_json_t *answer = cli_json_new_object();
    memdb_status_t status = commit(load, error); // a space is made by a transaction of its own
    if (status == MEMDB_OK)
        status = run(load, "create_space", space, answer, error);
    cli_json_free(answer);
    if (status == MEMDB_EXISTS)
        return cli_fail(error, status,
                        "space '%.200s' exists: a dump wants a database without its spaces",
                        cli_json_bytes(cli_json_get(space, "name")).data);
    if (status != MEMDB_OK)
        return status;
    cli_json_append(load->spaces, cli_json_share(cli_json_get(space, "name")));
    return MEMDB_OK;
}

// ------------------------------------------------------------------------------ blobs

static void forget_blobs(cli_load_t *load) {
    memdb_blob_writer_abort(load->writer);
    load->writer = NULL;
    for (uint32_t i = 0; i < load->blob_count; i++)
        cli_json_free(load->described[i]);
    load->blob_count = 0;
}

static memdb_status_t finish_blob(cli_load_t *load, memdb_error_t *error) {
    memdb_blob_t *blob = &load->blobs[load->blob_count - 1];
    memdb_blob_writer_t *writer = load->writer;
    load->writer = NULL; // consumed on every path
    memdb_status_t status =
        cli_engine(load->session, memdb_blob_writer_finish(writer, blob), error, "blob");
    if (status == MEMDB_OK)
        blob->media_type = cli_get_bytes(load->described[load->blob_count - 1], "media_type");
    return status;
}

static memdb_status_t take_blob(cli_load_t *load, cli_json_t *blob, memdb_error_t *error) {
    int64_t size = cli_get_integer(blob, "size", -1);
    const cli_json_t *type = cli_json_get(blob, "media_type");
    if (load->writer)
        return cli_fail(error, MEMDB_INVALID, "the blob before this line is not whole");
    if (load->blob_count == MEMDB_MAX_BLOBS)
        return cli_fail(error, MEMDB_LIMIT, "a memory has at most %d blobs", MEMDB_MAX_BLOBS);
    if (size < 0 || !type || cli_json_kind(type) != CLI_JSON_STRING)
        return cli_fail(error, MEMDB_INVALID, "blob: size and media_type are needed");
    memdb_status_t status = cli_engine(
        load->session, memdb_blob_writer_open(load->session->txn, &load->writer), error, "blob");
    if (status != MEMDB_OK)
        return status;
    load->described[load->blob_count++] = cli_json_share(blob);
    load->left = (uint64_t)size;
    return size ? MEMDB_OK : finish_blob(load, error);
}

static memdb_status_t take_bytes(cli_load_t *load, cli_json_t *bytes, memdb_error_t *error) {
    cli_buffer_t data = {0};
    const cli_json_t *text = cli_json_get(bytes, "base64");
    bool is_text = text && cli_json_kind(text) == CLI_JSON_STRING;
    bool good = load->writer && is_text &&
                cli_base64_decode(cli_json_bytes(text).data, cli_json_bytes(text).size, &data) &&
                data.size && data.size <= load->left;
    memdb_status_t status =
        good ? cli_engine(load->session,
                          memdb_blob_writer_append(load->writer, data.data, data.size), error,
                          "blob")
             : cli_fail(error, MEMDB_INVALID,
                        "bytes: base64 of bytes that the blob before this line has left");
    if (status == MEMDB_OK) {
        load->left -= data.size;
        status = load->left ? MEMDB_OK : finish_blob(load, error);
    }
    cli_buffer_free(&data);
    return status;
}

// Give the memory that was put the blobs that stood before it.
static memdb_status_t name_blobs(cli_load_t *load, const cli_json_t *memory, uint64_t id,
                                 memdb_error_t *error) {
    memdb_memory_t change = {.size = sizeof change,
                             .fields = MEMDB_FIELD_BLOBS,
                             .id = id,
                             .blobs = load->blobs,
                             .blob_count = load->blob_count};
    memdb_space_t space = 0;
    memdb_status_t status = cli_space_find(load->session, memdb_txn_snapshot(load->session->txn),
                                           cli_space_name(memory), &space, error);
    if (status == MEMDB_OK)
        status = cli_engine(load->session, memdb_put(load->session->txn, space, &change, NULL),
                            error, "blobs");
    forget_blobs(load);
    return status;
}

static memdb_status_t take_memory(cli_load_t *load, cli_json_t *memory, memdb_error_t *error) {
    cli_json_t *id = cli_json_get(memory, "id");
    if (!id || cli_json_kind(id) != CLI_JSON_INTEGER)
        return cli_fail(error, MEMDB_INVALID, "id: must be an id");
    if (load->writer || cli_get_integer(memory, "blobs", 0) != load->blob_count)
        return cli_fail(error, MEMDB_INVALID, "blobs: %u stand whole before this line",
                        load->blob_count - (load->writer != NULL));
    uint64_t theirs = (uint64_t)cli_json_integer(id), ours = 0;
    cli_json_t *answer = cli_json_new_object();
    cli_json_remove(memory, "id");
    cli_json_remove(memory, "blobs");
    memdb_status_t status = run(load, "put", memory, answer, error);
    if (status == MEMDB_OK)
        ours = (uint64_t)cli_json_integer(cli_json_get(answer, "id"));
    if (status == MEMDB_OK && load->blob_count)
        status = name_blobs(load, memory, ours, error);
    if (status == MEMDB_OK)
        add_id(load, theirs, ours);
    load->memories += status == MEMDB_OK;
    cli_json_free(answer);
    return status;
}

// In the space in hand.
static memdb_status_t set_validity(cli_load_t *load, uint64_t id, int64_t from, int64_t to,
                                   memdb_error_t *error) {
    memdb_memory_t memory = {.size = sizeof memory,
                             .fields = MEMDB_FIELD_VALID_FROM | MEMDB_FIELD_VALID_TO,
                             .id = id,
                             .valid_from = from,
                             .valid_to = to};
    memdb_space_t space = 0;
    size_t count = cli_json_count(load->spaces);
    if (!count)
        return cli_fail(error, MEMDB_INVALID, "no space came before this line");
    memdb_status_t status =
        cli_space_find(load->session, memdb_txn_snapshot(load->session->txn),
                       cli_json_bytes(cli_json_at(load->spaces, count - 1)), &space, error);
    return status == MEMDB_OK
               ? cli_engine(load->session, memdb_put(load->session->txn, space, &memory, NULL),
                            error, "validity")
               : status;
}

// A link of type supersedes changes the validity of its ends, and is refused where that leaves
// nothing of one. What they have come to be comes behind the links: until then they have none.
static memdb_status_t clear_validity(cli_load_t *load, const cli_json_t *link, uint64_t from,
                                     uint64_t to, memdb_error_t *error) {
    memdb_bytes_t type = cli_get_bytes(link, "type");
    if (type.size != sizeof MEMDB_LINK_SUPERSEDES - 1 ||
        memcmp(type.data, MEMDB_LINK_SUPERSEDES, type.size) != 0)
        return MEMDB_OK;
    memdb_status_t status = set_validity(load, from, MEMDB_TIME_NONE, MEMDB_TIME_NONE, error);
    return status == MEMDB_OK ? set_validity(load, to, MEMDB_TIME_NONE, MEMDB_TIME_NONE, error)
                              : status;
}

static memdb_status_t take_link(cli_load_t *load, cli_json_t *link, memdb_error_t *error) {
    uint64_t from, to;
    cli_json_t *answer = cli_json_new_object();
    memdb_status_t status = translate(load, link, "from", &from, error);
    if (status == MEMDB_OK)
        status = translate(load, link, "to", &to, error);
    if (status == MEMDB_OK)
        status = clear_validity(load, link, from, to, error);
    if (status == MEMDB_OK)
        status = run(load, "link", link, answer, error);
    load->links += status == MEMDB_OK;
    cli_json_free(answer);
    return status;
}

static memdb_status_t take_validity(cli_load_t *load, cli_json_t *validity, memdb_error_t *error) {
    static const char *const names[] = {"valid_from", "valid_to"};
    int64_t times[2] = {MEMDB_TIME_NONE, MEMDB_TIME_NONE};
    uint64_t id;
    memdb_status_t status = translate(load, validity, "id", &id, error);
    for (size_t i = 0; status == MEMDB_OK && i < 2; i++) {
        const cli_json_t *value = cli_json_get(validity, names[i]);
        if (!value || cli_json_kind(value) == CLI_JSON_NULL)
            continue;
        status =
            cli_field_check(cli_op_field(cli_op_find("put"), names[i]), names[i], value, error);
        cli_get_time(validity, names[i], &times[i]);
    }
    return status == MEMDB_OK ? set_validity(load, id, times[0], times[1], error) : status;
}

static memdb_status_t take_gates(cli_load_t *load, cli_json_t *gates, memdb_error_t *error) {
    cli_json_t *answer = cli_json_new_object();
    memdb_status_t status = run(load, "gates", gates, answer, error);
    cli_json_free(answer);
    return status;
}

static memdb_status_t take_end(cli_load_t *load, cli_json_t *end, memdb_error_t *error) {
    bool whole = cli_get_integer(end, "memories", -1) == (int64_t)load->memories &&
                 cli_get_integer(end, "links", -1) == (int64_t)load->links;
    load->ended = true;
    return whole ? MEMDB_OK
                 : cli_fail(error, MEMDB_INVALID,
                            "the dump has another number of memories and links than it says");
}

static memdb_status_t take_line(cli_load_t *load, cli_json_t *line, memdb_error_t *error) {
    static const struct {
        const char *kind;
        memdb_status_t (*take)(cli_load_t *load, cli_json_t *object, memdb_error_t *error);
    } kinds[] = {{"memory", take_memory}, {"link", take_link},   {"validity", take_validity},
                 {"space", take_space},   {"gates", take_gates}, {"end", take_end},
                 {"blob", take_blob},     {"bytes", take_bytes}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        cli_json_t *object = cli_json_get(line, kinds[i].kind);
        if (!object || cli_json_count(line) != 1 || cli_json_kind(object) != CLI_JSON_OBJECT)
            continue;
        memdb_status_t status = MEMDB_OK;
        bool of_memory = kinds[i].take == take_blob || kinds[i].take == take_bytes ||
                         kinds[i].take == take_memory;
        if (load->blob_count && !of_memory)
            return cli_fail(error, MEMDB_INVALID, "the memory of the blobs before is missing");
        if (!load->session->txn && kinds[i].take != take_space)
            status = transact(load, "begin", error);
        return status == MEMDB_OK ? kinds[i].take(load, object, error) : status;
    }
    return cli_fail(error, MEMDB_INVALID, "this is no line of a dump");
}

memdb_status_t cli_load_line(cli_load_t *load, const char *line, size_t size,
                             memdb_error_t *error) {
    cli_json_t *json = cli_json_parse(line, size, NULL, error);
    if (!json)
        return error->status;
    memdb_status_t status = MEMDB_OK;
    if (!load->began) {
        load->began = true;
        if (cli_get_integer(json, "memdb_dump", 0) != 1)
            status = cli_fail(error, MEMDB_VERSION, "this version reads dumps of version 1");
    } else if (load->ended) {
        status = cli_fail(error, MEMDB_INVALID, "something stands behind the end of the dump");
    } else {
        status = take_line(load, json, error);
    }
    cli_json_free(json);
    load->bytes += size;
    bool full = ++load->lines >= BATCH_LINES || load->bytes > BATCH_BYTES;
    if (status == MEMDB_OK && full && !load->blob_count) // blobs are named in their transaction
        status = commit(load, error);
    return status;
}

// What was committed before the failure goes again: the spaces are the load's own.
static void drop_spaces(cli_load_t *load) {
    for (size_t i = 0; i < cli_json_count(load->spaces); i++) {
        memdb_error_t ignored;
        cli_json_t *request = cli_json_new_object(), *answer = cli_json_new_object();
        cli_json_set(request, "name", cli_json_share(cli_json_at(load->spaces, i)));
        cli_run_drop_space(load->session, request, answer, &ignored);
        cli_json_free(request);
        cli_json_free(answer);
    }
}

memdb_status_t cli_load_end(cli_load_t *load, memdb_status_t status, cli_json_t *answer,
                            memdb_error_t *error) {
    if (status == MEMDB_OK && !load->ended)
        status = cli_fail(error, MEMDB_INVALID, "the dump is not whole: its end is missing");
    if (status == MEMDB_OK)
        status = commit(load, error);
    forget_blobs(load);
    if (status != MEMDB_OK) {
        cli_session_abort(load->session);
        drop_spaces(load);
    } else {
        cli_set_unsigned(answer, "memories", load->memories);
        cli_set_unsigned(answer, "links", load->links);
        cli_set_unsigned(answer, "spaces", cli_json_count(load->spaces));
    }
    cli_json_free(load->spaces);
    free(load->ids);
    free(load);
    return status;
}
