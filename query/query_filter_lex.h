// What the parser of filters shares with its tokens and values.
#ifndef MEMDB_QUERY_FILTER_LEX_H
#define MEMDB_QUERY_FILTER_LEX_H

#include "query/query_filter.h"

typedef enum memdb__filter_token_kind {
    MEMDB__TOKEN_END,
    MEMDB__TOKEN_NAME,      // text: as written
    MEMDB__TOKEN_QUOTED,    // text: of a name in double quotes, resolved
    MEMDB__TOKEN_STRING,    // text: resolved
    MEMDB__TOKEN_NUMBER,    // value
    MEMDB__TOKEN_PARAMETER, // number; 0: the next one
    MEMDB__TOKEN_OPEN,
    MEMDB__TOKEN_CLOSE,
    MEMDB__TOKEN_COMMA,
    MEMDB__TOKEN_DOT,
    MEMDB__TOKEN_EQUAL,
    MEMDB__TOKEN_NOT_EQUAL,
    MEMDB__TOKEN_LESS,
    MEMDB__TOKEN_LESS_EQUAL,
    MEMDB__TOKEN_GREATER,
    MEMDB__TOKEN_GREATER_EQUAL,
} memdb__filter_token_kind_t;

typedef struct memdb__filter_token {
    memdb__filter_token_kind_t kind;
    size_t place, end; // where it stands in the text
    memdb_bytes_t text;
    memdb_value_t value;
    uint32_t number;
} memdb__filter_token_t;

typedef struct memdb__filter_parser {
    memdb_filter_t *filter;
    const char *text; // terminated
    size_t size;
    const memdb_value_t *params;
    size_t param_count, params_used; // the highest number that was used
    memdb__filter_token_t token;     // the one in hand
    uint32_t depth;
    uint32_t node_capacity, value_capacity, step_capacity;
    memdb_status_t status; // the first failure; nothing is read after it
    memdb_error_t *error;
} memdb__filter_parser_t;

/// Fail at a place of the text: "byte N: <formatted>". Keeps the first failure. Returns false.
bool memdb__filter_fail(memdb__filter_parser_t *parser, memdb_status_t status, size_t place,
                        const char *format, ...) __attribute__((format(printf, 4, 5)));
/// Fail at the token in hand: "expected <what>, not '<token>'".
bool memdb__filter_expected(memdb__filter_parser_t *parser, const char *what);

/// Read the next token.
bool memdb__filter_advance(memdb__filter_parser_t *parser);
/// Read the next token as a step of a path: a bare name may be any word, and begin with a digit.
bool memdb__filter_advance_step(memdb__filter_parser_t *parser);
/// Whether the token in hand is this keyword (in any case).
bool memdb__filter_at_word(const memdb__filter_parser_t *parser, const char *word);
/// Go over the keyword, if it is in hand.
bool memdb__filter_take_word(memdb__filter_parser_t *parser, const char *word);

// ------------------------------------------------------------------------------
// filter_comparison.c

/// Read a test: its operand, comparison and values. Negated: what was read is the `not` of the
/// node.
bool memdb__filter_read_test(memdb__filter_parser_t *parser, memdb__filter_node_t *node,
                             bool *negated_out);

// ------------------------------------------------------------------------------ filter_value.c

/// Read a literal or a parameter, and append it to the filter's values in the form that `field`
/// compares with. `list`: a parameter may be a list, which appends all of its values.
bool memdb__filter_read_value(memdb__filter_parser_t *parser, memdb__filter_field_t field,
                              bool list);
/// Sort the values from number `first` on, each once.
void memdb__filter_sort_values(memdb_filter_t *filter, uint32_t first);
/// Room for one more of an array. False: out of memory, said in the parser.
bool memdb__filter_grow(memdb__filter_parser_t *parser, void *array, uint32_t count,
                        uint32_t *capacity, size_t size);

#endif
