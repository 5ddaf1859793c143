// The filter language, parsed: a flat array of nodes, immutable once memdb_filter_parse gave it.
//
// A filter is a tree over `nodes`: `and`, `or` and `not` have children, everything else is a test
// of one operand (a field, or a path into the attributes) against values. What the language writes
// shorter is the same in the tree: `a != b` is not (a = b), `is not null` is not (is null), `not
// not x` is x, and an `and` has no `and` among its children. docs/filters.md has the grammar and
// the rules.
//
//   filter_lex.c    tokens          filter_parse.c  the grammar     filter_value.c  values and
//   types filter_match.c  evaluation      filter_print.c  back to text
#ifndef MEMDB_QUERY_FILTER_H
#define MEMDB_QUERY_FILTER_H

#include "base/memory.h"
#include "engine/record.h"

#define MEMDB__FILTER_MAX_BYTES (1u << 20) // of the text
#define MEMDB__FILTER_MAX_NODES 4096u
#define MEMDB__FILTER_MAX_VALUES 65536u
#define MEMDB__FILTER_MAX_DEPTH 64u // of parentheses and `not`
#define MEMDB__FILTER_MAX_STEPS 32u // of one path
#define MEMDB__FILTER_NONE UINT32_MAX

/// The operands. Those before ATTR are fields of the record, each of one type.
typedef enum memdb__filter_field {
    MEMDB__FILTER_ID,
    MEMDB__FILTER_VERSION,
    MEMDB__FILTER_KEY,
    MEMDB__FILTER_TEXT,
    MEMDB__FILTER_KIND,
    MEMDB__FILTER_SESSION,
    MEMDB__FILTER_ACTOR,
    MEMDB__FILTER_TIME,
    MEMDB__FILTER_VALID_FROM,
    MEMDB__FILTER_VALID_TO,
    MEMDB__FILTER_EXPIRES,
    MEMDB__FILTER_IMPORTANCE,
    MEMDB__FILTER_TOKENS,
    MEMDB__FILTER_DIMENSION,
    MEMDB__FILTER_BLOBS,
    MEMDB__FILTER_ATTR, // a path into the attributes, of any type
    MEMDB__FILTER_FIELD_COUNT,
} memdb__filter_field_t;

/// Types order values: numbers with numbers, texts with texts. ANY: that of the value at the path.
typedef enum memdb__filter_type {
    MEMDB__FILTER_TYPE_ANY,
    MEMDB__FILTER_TYPE_BOOL,
    MEMDB__FILTER_TYPE_NUMBER, // integers and reals, compared exactly
    MEMDB__FILTER_TYPE_TEXT,
    MEMDB__FILTER_TYPE_TIME,
} memdb__filter_type_t;

typedef struct memdb__filter_operand {
    const char *name;
    memdb__filter_type_t type;
} memdb__filter_operand_t;
extern const memdb__filter_operand_t memdb__filter_operands[MEMDB__FILTER_FIELD_COUNT];

typedef enum memdb__filter_kind {
    MEMDB__FILTER_AND, // two or more children
    MEMDB__FILTER_OR,  // two or more children
    MEMDB__FILTER_NOT, // one child, no NOT
    MEMDB__FILTER_EQUAL,
    MEMDB__FILTER_LESS,
    MEMDB__FILTER_LESS_EQUAL,
    MEMDB__FILTER_GREATER,
    MEMDB__FILTER_GREATER_EQUAL,
    MEMDB__FILTER_BETWEEN,  // values: low, high, both included
    MEMDB__FILTER_IN,       // values: rising, each once, nulls (at most one) first
    MEMDB__FILTER_IS_NULL,  // no value
    MEMDB__FILTER_STARTS,   // a text
    MEMDB__FILTER_CONTAINS, // part of a text, or element of a JSON array
} memdb__filter_kind_t;

/// Children of AND and OR stand in the order in which they are asked: those that read attributes
/// or search texts come last.
typedef struct memdb__filter_node {
    memdb__filter_kind_t kind;
    memdb__filter_field_t field;       // of a test
    bool dear;                         // it, or a child, reads attributes or searches texts
    uint32_t first, next;              // nodes: the first child, the next sibling; or NONE
    uint32_t first_step, step_count;   // of ATTR, in `steps`
    uint32_t first_value, value_count; // in `values`; all of one type, or null
} memdb__filter_node_t;

struct memdb_filter {
    memdb__filter_node_t *nodes;
    memdb_value_t *values; // no lists; a time without value (MEMDB_TIME_NONE) is a null
    memdb_bytes_t *steps;
    uint32_t node_count, value_count, step_count;
    uint32_t root;
    memdb__arena_t arena; // of the texts
};

/// The type of a value that is not null.
memdb__filter_type_t memdb__filter_type(const memdb_value_t *value);
/// The order of two values of one type; nulls come first.
int memdb__filter_compare(const memdb_value_t *left, const memdb_value_t *right);
/// The exact order of an integer and a finite real.
int memdb__filter_compare_numbers(int64_t integer, double real);

// ------------------------------------------------------------------------------ filter_match.c

/// SQL's three values.
typedef enum memdb__filter_truth {
    MEMDB__FILTER_FALSE,
    MEMDB__FILTER_TRUE,
    MEMDB__FILTER_UNKNOWN,
} memdb__filter_truth_t;

/// What the part of the filter under node number `node` says of a memory. Neither allocates nor
/// fails.
memdb__filter_truth_t memdb__filter_evaluate(const memdb_filter_t *filter, uint32_t node,
                                             uint64_t id, uint64_t version,
                                             const memdb__record_t *record);
/// Whether the whole filter is true. A NULL filter is.
static inline bool memdb__filter_passes(const memdb_filter_t *filter, uint64_t id, uint64_t version,
                                        const memdb__record_t *record) {
    return !filter ||
           memdb__filter_evaluate(filter, filter->root, id, version, record) == MEMDB__FILTER_TRUE;
}

// ------------------------------------------------------------------------------ filter_print.c

/// Append the part of the filter under `node` as text that parses to the same tree.
void memdb__filter_print(const memdb_filter_t *filter, uint32_t node, memdb__buffer_t *out);

#endif
