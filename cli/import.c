// import: memories from JSON lines, in batches.
//
// Each batch is one transaction. A line's id becomes the memory's key, and a line whose key is
// there already with the same content is skipped, so that an import that was interrupted anywhere
// can be run again as it is. A batch that meets another process's change is tried again against
// what that process wrote.
#include "cli/cli_command.h"
#include "cli/cli_import.h"
#include "cli/cli_interrupt.h"
#include "cli/cli_lines.h"
#include "cli/cli_load.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAX_BATCH 100000
#define BATCH_BYTES                                                                                \
    ((size_t)32 << 20) // of lines: well below a transaction's limit with vectors and attributes
#define ATTEMPTS 10

static const cli_field_t import_fields[] = {
    {"file", CLI_FIELD_NAME, true, 1, 4095, NULL},
    {"space", CLI_FIELD_NAME, false, 1, MEMDB_MAX_NAME_BYTES, NULL},
    {"vectors", CLI_FIELD_NAME, false, 1, 4095, NULL},
    {"dimension", CLI_FIELD_INTEGER, false, 1, MEMDB_MAX_DIMENSION, NULL},
    {"batch", CLI_FIELD_INTEGER, false, 1, MAX_BATCH, NULL},
    {"durability", CLI_FIELD_CHOICE, false, 0, 0,
     (const char *const[]){"none", "os", "full", NULL}},
    {"progress", CLI_FIELD_BOOL, false, 0, 0, NULL},
    {NULL, CLI_FIELD_TEXT, false, 0, 0, NULL}};

typedef struct import {
    cli_session_t *session;
    const cli_json_t *space; // for all lines; NULL: each line's `ns`
    memdb_durability_t durability;
    int vectors_fd; // -1: none
    uint32_t dimension;
    cli_json_t **puts; // the batch: put requests, their line numbers, and their rows of vectors
    uint64_t *numbers;
    float *rows;
    size_t count, capacity, bytes;
    uint64_t line, row; // lines read; vectors read
    uint64_t imported, changed, skipped;
    cli_load_t *load; // the file is a dump
    bool progress;
    double started, shown;
} import_t;

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void show_progress(import_t *import, bool last) {
    double now = seconds();
    if (!import->progress || (!last && now - import->shown < 0.2))
        return;
    char count[32], rate[32];
    import->shown = now;
    uint64_t done = import->imported + import->changed + import->skipped;
    cli_print_grouped((int64_t)done, count);
    cli_print_grouped((int64_t)((double)done / (now - import->started + 1e-6)), rate);
    fprintf(stderr, "\r%s lines, %s/s %s", count, rate, last ? "\n" : "");
    fflush(stderr);
}

// Whether two vectors are the same one, as far as INT8 codes can tell: each number within a bit
// more than half a step of the code. A cosine space keeps vectors at unit length.
static bool same_vector(const float *given, const float *stored, uint32_t dimension, bool cosine) {
    double length = 0, largest = 0;
    for (uint32_t i = 0; i < dimension; i++) {
        length += (double)given[i] * given[i];
        if (fabs((double)given[i]) > largest)
            largest = fabs((double)given[i]);
    }
    double factor = cosine && length > 0 ? 1 / sqrt(length) : 1;
    double step = 0.55 * largest * factor / 127 + 1e-6;
    for (uint32_t i = 0; i < dimension; i++)
        if (fabs(given[i] * factor - stored[i]) > step)
            return false;
    return true;
}

static bool same_bytes(memdb_bytes_t a, memdb_bytes_t b) {
    return a.size == b.size && (!a.size || !memcmp(a.data, b.data, a.size));
}

static bool same_attrs(memdb_bytes_t stored, memdb_bytes_t given) {
    if (same_bytes(stored, given))
        return true;
    cli_json_t *a = cli_json_parse(stored.data, stored.size, NULL, NULL);
    cli_json_t *b = cli_json_parse(given.data, given.size, NULL, NULL);
    bool same = a && b && cli_json_equal(a, b);
    cli_json_free(a);
    cli_json_free(b);
    return same;
}

static bool same_fields(const memdb_memory_t *stored, const memdb_memory_t *given) {
    uint32_t missing = given->fields & ~stored->fields;
    if (given->fields & MEMDB_FIELD_TEXT && !given->text.size)
        missing &= ~(uint32_t)MEMDB_FIELD_TEXT; // an empty text is one that is not set
    if (missing)
        return false;
#define SAME(flag, condition) (!(given->fields & (flag)) || (condition))
    return SAME(MEMDB_FIELD_TEXT, same_bytes(stored->text, given->text)) &&
           SAME(MEMDB_FIELD_KIND, same_bytes(stored->kind, given->kind)) &&
           SAME(MEMDB_FIELD_SESSION, same_bytes(stored->session, given->session)) &&
           SAME(MEMDB_FIELD_ACTOR, same_bytes(stored->actor, given->actor)) &&
           SAME(MEMDB_FIELD_TIME, stored->time == given->time) &&
           SAME(MEMDB_FIELD_VALID_FROM, stored->valid_from == given->valid_from) &&
           SAME(MEMDB_FIELD_VALID_TO, stored->valid_to == given->valid_to) &&
           SAME(MEMDB_FIELD_EXPIRES, stored->expires == given->expires) &&
           SAME(MEMDB_FIELD_IMPORTANCE, stored->importance == given->importance) &&
           SAME(MEMDB_FIELD_TOKENS, stored->tokens == given->tokens) &&
           SAME(MEMDB_FIELD_VECTOR, stored->dimension == given->dimension) &&
           SAME(MEMDB_FIELD_ATTRS, same_attrs(stored->attrs, given->attrs));
#undef SAME
}

static bool same_content(memdb_snapshot_t *snapshot, memdb_space_t space,
                         const memdb_memory_t *stored, const memdb_memory_t *given) {
    if (!same_fields(stored, given))
        return false;
    if (!(given->fields & MEMDB_FIELD_VECTOR))
        return true;
    memdb_space_info_t info = {0};
    float *vector = cli_allocate(given->dimension * sizeof *vector);
    bool same =
        memdb_space_get_info(snapshot, space, &info) == MEMDB_OK &&
        memdb_get_vector(snapshot, space, stored->id, vector, given->dimension) == MEMDB_OK &&
        same_vector(given->vector, vector, given->dimension, info.metric == MEMDB_METRIC_COSINE);
    free(vector);
    return same;
}

typedef struct tally {
    uint64_t imported, changed, skipped;
} tally_t;

static memdb_status_t put_one(import_t *import, memdb_txn_t *txn, memdb_space_t space,
                              size_t number, tally_t *tally, memdb_error_t *error) {
    cli_put_t put;
    memdb_memory_t stored = {.size = sizeof stored};
    memdb_snapshot_t *snapshot = memdb_txn_snapshot(txn);
    memdb_status_t status = cli_put_init(import->puts[number], &put, error);
    if (status != MEMDB_OK)
        return status;
    if (import->rows) {
        put.memory.fields |= MEMDB_FIELD_VECTOR;
        put.memory.vector = import->rows + number * import->dimension;
        put.memory.dimension = import->dimension;
    }
    status = memdb_get_by_key(snapshot, space, put.memory.key, &stored);
    bool known = status == MEMDB_OK;
    if (status == MEMDB_NOT_FOUND)
        status = MEMDB_OK;
    if (status != MEMDB_OK) {
        cli_engine(import->session, status, error, "id");
    } else if (known && same_content(snapshot, space, &stored, &put.memory)) {
        tally->skipped++;
    } else {
        status =
            cli_engine(import->session, memdb_put(txn, space, &put.memory, NULL), error, "put");
        tally->changed += known;
        tally->imported += !known;
    }
    cli_put_deinit(&put);
    return status;
}

static memdb_status_t put_batch(import_t *import, memdb_txn_t *txn, tally_t *tally,
                                memdb_error_t *error) {
    memdb_bytes_t last = {0};
    memdb_space_t space = 0;
    memdb_status_t status = MEMDB_OK;
    for (size_t i = 0; i < import->count && status == MEMDB_OK; i++) {
        memdb_bytes_t name = cli_space_name(import->puts[i]);
        if (!space || !same_bytes(name, last))
            status =
                cli_engine(import->session, memdb_space_ensure(txn, name, &space), error, "space");
        last = name;
        if (status == MEMDB_OK)
            status = put_one(import, txn, space, i, tally, error);
        if (status != MEMDB_OK) {
            memdb_error_t inner = *error;
            cli_fail(error, status, "line %llu: %.480s", (unsigned long long)import->numbers[i],
                     inner.message);
        }
    }
    return status;
}

static memdb_status_t write_batch(import_t *import, memdb_error_t *error) {
    memdb_status_t status = MEMDB_OK;
    for (int attempt = 0; import->count && attempt < ATTEMPTS; attempt++) {
        tally_t tally = {0};
        memdb_txn_t *txn;
        status =
            cli_engine(import->session, memdb_txn_begin(import->session->db, &txn), error, "begin");
        if (status != MEMDB_OK)
            break;
        status = put_batch(import, txn, &tally, error);
        if (status == MEMDB_OK)
            status = cli_engine(import->session, memdb_txn_commit(txn, import->durability, NULL),
                                error, "commit");
        else
            memdb_txn_abort(txn);
        if (status == MEMDB_OK) {
            import->imported += tally.imported;
            import->changed += tally.changed;
            import->skipped += tally.skipped;
        }
        if (status != MEMDB_CONFLICT && status != MEMDB_BUSY)
            break;
    }
    for (size_t i = 0; i < import->count; i++)
        cli_json_free(import->puts[i]);
    import->count = 0;
    import->bytes = 0;
    return status;
}

static memdb_status_t read_row(import_t *import, memdb_error_t *error) {
    if (import->vectors_fd < 0)
        return MEMDB_OK;
    size_t size = import->dimension * sizeof(float), done = 0;
    char *row = (char *)(import->rows + import->count * import->dimension);
    while (done < size) {
        ssize_t got =
            pread(import->vectors_fd, row + done, size - done, (off_t)(import->row * size + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return cli_fail(error, got ? MEMDB_IO : MEMDB_INVALID, "vectors: no row for line %llu",
                            (unsigned long long)import->line);
        done += (size_t)got;
    }
    import->row++;
    return MEMDB_OK;
}

static memdb_status_t take_line(import_t *import, const char *line, size_t size,
                                memdb_error_t *error) {
    memdb_error_t inner = {0};
    cli_json_t *put = cli_import_line(line, size, import->space, &inner);
    if (!put)
        return cli_fail(error, inner.status, "line %llu: %.480s", (unsigned long long)import->line,
                        inner.message);
    memdb_status_t status = read_row(import, error);
    if (status != MEMDB_OK) {
        cli_json_free(put);
        return status;
    }
    import->puts[import->count] = put;
    import->numbers[import->count++] = import->line;
    import->bytes += size + import->dimension * sizeof(float);
    return MEMDB_OK;
}

static memdb_status_t load_line(import_t *import, const char *line, size_t size,
                                memdb_error_t *error) {
    memdb_error_t inner = {0};
    memdb_status_t status = MEMDB_OK;
    if (import->space || import->rows)
        return cli_fail(error, MEMDB_INVALID, "%s: a dump names its own",
                        import->space ? "space" : "vectors");
    status = cli_load_line(import->load, line, size, &inner);
    import->imported += status == MEMDB_OK;
    return status == MEMDB_OK ? status
                              : cli_fail(error, status, "line %llu: %.480s",
                                         (unsigned long long)import->line, inner.message);
}

static memdb_status_t read_lines(import_t *import, int fd, memdb_error_t *error) {
    cli_lines_t lines;
    const char *line;
    size_t size;
    cli_line_kind_t kind;
    memdb_status_t status = MEMDB_OK;
    cli_lines_init(&lines, fd, CLI_MAX_LINE_BYTES);
    lines.interruptible = true;
    while (status == MEMDB_OK && (kind = cli_lines_next(&lines, &line, &size)) != CLI_LINE_END) {
        import->line++;
        if (import->line == 1 && kind == CLI_LINE && cli_is_dump(line, size))
            import->load = cli_load_begin(import->session, import->durability);
        if (cli_interrupted())
            status = cli_fail(error, MEMDB_INTERRUPTED, "at line %llu",
                              (unsigned long long)import->line);
        else if (kind == CLI_LINE_TOO_LONG)
            status = cli_fail(error, MEMDB_INVALID, "line %llu: longer than 64 MiB",
                              (unsigned long long)import->line);
        else if (kind == CLI_LINE_FAILED)
            status = cli_fail(error, MEMDB_IO, "line %llu: %s", (unsigned long long)import->line,
                              strerror(errno));
        else if (!cli_is_blank(line, size))
            status = import->load ? load_line(import, line, size, error)
                                  : take_line(import, line, size, error);
        if (status == MEMDB_OK &&
            (import->count == import->capacity || import->bytes > BATCH_BYTES))
            status = write_batch(import, error);
        show_progress(import, false);
    }
    cli_lines_deinit(&lines);
    memdb_error_t ignored;
    memdb_status_t last =
        write_batch(import, status == MEMDB_OK ? error : &ignored); // keep what was good
    return status == MEMDB_OK ? last : status;
}

// A file of vectors must have one row for each line: otherwise it belongs to another file, and
// nothing is imported.
static memdb_status_t open_vectors(import_t *import, const cli_json_t *request, int fd,
                                   memdb_error_t *error) {
    const cli_json_t *path = cli_json_get(request, "vectors");
    struct stat vectors, file;
    import->dimension = (uint32_t)cli_get_integer(request, "dimension", 0);
    if (!path != !import->dimension)
        return cli_fail(error, MEMDB_INVALID,
                        path ? "dimension: is missing" : "vectors: is missing");
    if (!path)
        return MEMDB_OK;
    import->vectors_fd = open(cli_json_bytes(path).data, O_RDONLY | O_CLOEXEC);
    if (import->vectors_fd < 0 || fstat(import->vectors_fd, &vectors) || fstat(fd, &file))
        return cli_fail(error, MEMDB_IO, "vectors: %.200s: %s", cli_json_bytes(path).data,
                        strerror(errno));
    import->rows = cli_allocate(import->capacity * import->dimension * sizeof(float));
    if (!S_ISREG(file.st_mode) || !S_ISREG(vectors.st_mode))
        return MEMDB_OK;
    uint64_t lines = 0, row = import->dimension * sizeof(float);
    if (!cli_count_lines(fd, &lines))
        return cli_fail(error, MEMDB_IO, "file: %s", strerror(errno));
    if ((uint64_t)vectors.st_size != lines * row)
        return cli_fail(
            error, MEMDB_INVALID,
            "vectors: has %llu bytes, not %llu for each of %llu lines; is the dimension right?",
            (unsigned long long)vectors.st_size, (unsigned long long)row,
            (unsigned long long)lines);
    return MEMDB_OK;
}

static memdb_status_t run_import(cli_session_t *session, const cli_json_t *request,
                                 cli_json_t *answer, memdb_error_t *error) {
    const char *path = cli_json_bytes(cli_json_get(request, "file")).data;
    import_t import = {.session = session,
                       .space = cli_json_get(request, "space"),
                       .durability = cli_get_durability(request),
                       .vectors_fd = -1,
                       .capacity = (size_t)cli_get_integer(request, "batch", 1000),
                       .progress = cli_json_get(request, "progress") || isatty(STDERR_FILENO),
                       .started = seconds()};
    if (cli_session_in_transaction(session))
        return cli_fail(error, MEMDB_INVALID,
                        "import: a transaction is open; commit or abort it first");
    int fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
    if (fd < 0)
        return cli_fail(error, errno == ENOENT ? MEMDB_NOT_FOUND : MEMDB_IO, "file: %.200s: %s",
                        path, strerror(errno));
    import.puts = cli_allocate(import.capacity * sizeof *import.puts);
    import.numbers = cli_allocate(import.capacity * sizeof *import.numbers);
    memdb_status_t status = open_vectors(&import, request, fd, error);
    if (status == MEMDB_OK)
        status = read_lines(&import, fd, error);
    if (import.line)
        show_progress(&import, true);
    if (fd != STDIN_FILENO)
        close(fd);
    if (import.vectors_fd >= 0)
        close(import.vectors_fd);
    free(import.puts);
    free(import.numbers);
    free(import.rows);
    if (import.load)
        return cli_load_end(import.load, status, answer, error);
    if (status != MEMDB_OK)
        return status;
    cli_set_unsigned(answer, "imported", import.imported);
    cli_set_unsigned(answer, "changed", import.changed);
    cli_set_unsigned(answer, "skipped", import.skipped);
    return MEMDB_OK;
}

const cli_op_t cli_import_op = {"import", import_fields, run_import, true};
