// JSON values, as the shell needs them. json.c is the adapter to Jansson and the only file that
// includes it.
//
// A value is owned by whoever made it until it is set into an object or appended to an array, which
// then owns it. Getters lend: their results end with the value. Integers are 64-bit; an integer
// that does not fit is refused.
#ifndef MEMDB_CLI_JSON_H
#define MEMDB_CLI_JSON_H

#include "cli/cli_buffer.h"
#include "include/memdb.h"

typedef struct cli_json cli_json_t;

typedef enum cli_json_kind {
    CLI_JSON_NULL,
    CLI_JSON_BOOL,
    CLI_JSON_INTEGER,
    CLI_JSON_REAL,
    CLI_JSON_STRING,
    CLI_JSON_ARRAY,
    CLI_JSON_OBJECT
} cli_json_kind_t;

/// Parse one object or array. Strict: UTF-8, no duplicate key, numbers in range. NULL: `error` says
/// where and why, and a duplicate key sets *duplicate (optional).
cli_json_t *cli_json_parse(const char *data, size_t size, bool *duplicate, memdb_error_t *error);
/// The same, but the last of several equal keys counts: only to answer a refused request with its
/// own `re`.
cli_json_t *cli_json_parse_leniently(const char *data, size_t size);
void cli_json_free(cli_json_t *value);               // NULL does nothing
cli_json_t *cli_json_share(const cli_json_t *value); // another owner of the same value

cli_json_kind_t cli_json_kind(const cli_json_t *value);
const char *cli_json_kind_name(cli_json_kind_t kind); // "a string"
memdb_bytes_t cli_json_bytes(const cli_json_t *string);
int64_t cli_json_integer(const cli_json_t *value);
double cli_json_number(const cli_json_t *value); // of an integer or a real
bool cli_json_truth(const cli_json_t *value);
size_t cli_json_count(const cli_json_t *array_or_object);
cli_json_t *cli_json_at(const cli_json_t *array, size_t number);
cli_json_t *cli_json_get(const cli_json_t *object, const char *name); // NULL: absent

/// The members of an object in order: for (void *at = cli_json_first(o); at; at = cli_json_next(o,
/// at)).
void *cli_json_first(const cli_json_t *object);
void *cli_json_next(const cli_json_t *object, void *at);
const char *cli_json_name_at(void *at);
cli_json_t *cli_json_value_at(void *at);

cli_json_t *cli_json_new_object(void);
cli_json_t *cli_json_new_array(void);
cli_json_t *cli_json_new_null(void);
cli_json_t *cli_json_new_bool(bool truth);
cli_json_t *cli_json_new_integer(int64_t number);
cli_json_t *cli_json_new_number(double number); // not finite: null
/// NULL when the bytes are not UTF-8.
cli_json_t *cli_json_new_string(memdb_bytes_t bytes);
/// For messages: what is not UTF-8 becomes U+FFFD.
cli_json_t *cli_json_new_text(const char *text);

void cli_json_set(cli_json_t *object, const char *name, cli_json_t *value); // consumes value
void cli_json_append(cli_json_t *array, cli_json_t *value);                 // consumes value
void cli_json_remove(cli_json_t *object, const char *name);
bool cli_json_equal(const cli_json_t *a, const cli_json_t *b);

/// Append compact JSON. Reals are printed with the fewest digits that read back as the same number.
void cli_json_write(const cli_json_t *value, cli_buffer_t *out);
void cli_json_write_string(memdb_bytes_t bytes, cli_buffer_t *out);

#endif
