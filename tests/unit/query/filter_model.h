// A model of filters: trees that are drawn at random and written as text, and memories that are
// held twice, as a record and as a Jansson object.
#ifndef MEMDB_TESTS_UNIT_QUERY_FILTER_MODEL_H
#define MEMDB_TESTS_UNIT_QUERY_FILTER_MODEL_H

#include "query/query_filter.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

// cmocka.h uses what the headers above declare, so it comes last.
#include <cmocka.h>

#define MOST_CHILDREN 4
#define MOST_VALUES 6
#define MOST_PARAMS 400

typedef enum type { TYPE_NULL, TYPE_BOOL, TYPE_NUMBER, TYPE_TEXT, TYPE_TIME } type_t;
typedef enum shape {
    AND,
    OR,
    NOT,
    EQ,
    NE,
    LT,
    LE,
    GT,
    GE,
    BETWEEN,
    IN,
    NULLS,
    STARTS,
    CONTAINS
} shape_t;

typedef struct literal {
    type_t type;
    json_t *json; // of a time: its microseconds
    const char *time;
} literal_t;

typedef struct expression {
    shape_t shape;
    struct expression *children[MOST_CHILDREN];
    int child_count;
    const char *field; // NULL: the path
    const char *path[3];
    int path_count;
    bool is_time, negated; // of the field; `not in`, `is not null` and their kin
    literal_t values[MOST_VALUES];
    int value_count;
} expression_t;

/// What may be read as a time; nothing else that is drawn is one.
typedef struct model_time {
    const char *text;
    int64_t time;
} model_time_t;
#define MODEL_TIMES 4
extern const model_time_t filter_model_times[MODEL_TIMES];

typedef struct memory {
    json_t *json; // every field that is not null; "attr"
    char *attrs;
    uint64_t id, version;
    memdb__record_t record;
} memory_t;

/// Where a filter is written, with its parameters.
typedef struct writer {
    FILE *out;
    memdb_value_t params[MOST_PARAMS], items[MOST_PARAMS];
    size_t param_count, item_count;
} writer_t;

/// The state of the random numbers; not 0.
extern uint64_t filter_model_state;

void filter_model_draw_memory(memory_t *memory);
void filter_model_free_memory(memory_t *memory);
expression_t *filter_model_draw_expression(int depth);
void filter_model_free_expression(expression_t *node);
/// Write it with random spaces, capitals, parentheses and parameters. outer: how tightly what it
/// stands in binds; 0 for the whole.
void filter_model_write(writer_t *writer, const expression_t *node, int outer);

#endif
