// The grammar of filters: recursive descent, one function a rule. docs/filters.md has it as EBNF;
// filter_comparison.c reads a test.
//
//   filter = or          or = and { "or" and }      and = not { "and" not }
//   not = { "not" } ( "(" or ")" | test )
//
// Only parentheses recurse, and their depth is limited. Nodes that the tree does without (a `not`
// of a `not`, an `and` within an `and`) may stay in the array; nothing leads to them.
#include "query/query_filter_lex.h"

// ------------------------------------------------------------------------------ nodes

/// A new node, or NONE.
static uint32_t add_node(memdb__filter_parser_t *parser, const memdb__filter_node_t *node) {
    memdb_filter_t *filter = parser->filter;
    if (filter->node_count == MEMDB__FILTER_MAX_NODES) {
        memdb__filter_fail(parser, MEMDB_LIMIT, parser->token.place, "more than %u tests",
                           MEMDB__FILTER_MAX_NODES);
        return MEMDB__FILTER_NONE;
    }
    if (!memdb__filter_grow(parser, &filter->nodes, filter->node_count, &parser->node_capacity,
                            sizeof *filter->nodes)) {
        return MEMDB__FILTER_NONE;
    }
    filter->nodes[filter->node_count] = *node;
    return filter->node_count++;
}

static uint32_t negate(memdb__filter_parser_t *parser, uint32_t child) {
    if (child == MEMDB__FILTER_NONE) {
        return child;
    }
    const memdb__filter_node_t *node = &parser->filter->nodes[child];
    memdb__filter_node_t negation = {
        .kind = MEMDB__FILTER_NOT, .dear = node->dear, .first = child, .next = MEMDB__FILTER_NONE};
    return node->kind == MEMDB__FILTER_NOT ? node->first : add_node(parser, &negation);
}

/// Siblings in a row.
typedef struct row {
    uint32_t first, last, count;
} row_t;

static void add_to_row(memdb_filter_t *filter, row_t *row, uint32_t node) {
    if (row->count++) {
        filter->nodes[row->last].next = node;
    } else {
        row->first = node;
    }
    row->last = node;
    filter->nodes[node].next = MEMDB__FILTER_NONE;
}

/// Add a child; those of a node of the parent's own kind instead of it.
static void add_child(memdb_filter_t *filter, memdb__filter_kind_t kind, row_t *row,
                      uint32_t child) {
    if (filter->nodes[child].kind != kind) {
        add_to_row(filter, row, child);
        return;
    }
    for (uint32_t at = filter->nodes[child].first; at != MEMDB__FILTER_NONE;) {
        uint32_t next = filter->nodes[at].next;
        add_to_row(filter, row, at);
        at = next;
    }
}

/// `and` and `or` mean the same in any order, so the dear ones come last.
static uint32_t join(memdb__filter_parser_t *parser, memdb__filter_kind_t kind, const row_t *row) {
    memdb_filter_t *filter = parser->filter;
    row_t cheap = {0}, dear = {0};
    for (uint32_t at = row->first, next; at != MEMDB__FILTER_NONE; at = next) {
        next = filter->nodes[at].next;
        add_to_row(filter, filter->nodes[at].dear ? &dear : &cheap, at);
    }
    if (cheap.count && dear.count) {
        filter->nodes[cheap.last].next = dear.first;
    }
    memdb__filter_node_t node = {.kind = kind,
                                 .dear = dear.count > 0,
                                 .first = cheap.count ? cheap.first : dear.first,
                                 .next = MEMDB__FILTER_NONE};
    return add_node(parser, &node);
}

// ------------------------------------------------------------------------------ the tree

static uint32_t parse_test(memdb__filter_parser_t *parser) {
    memdb__filter_node_t node;
    bool negated;
    if (!memdb__filter_read_test(parser, &node, &negated)) {
        return MEMDB__FILTER_NONE;
    }
    uint32_t number = add_node(parser, &node);
    return negated ? negate(parser, number) : number;
}

static uint32_t parse_chain(memdb__filter_parser_t *parser, memdb__filter_kind_t kind);

static uint32_t parse_not(memdb__filter_parser_t *parser) {
    bool negated = false;
    uint32_t node;
    while (memdb__filter_take_word(parser, "not")) {
        negated = !negated;
    }
    if (parser->token.kind != MEMDB__TOKEN_OPEN) {
        node = parse_test(parser);
    } else if (parser->depth == MEMDB__FILTER_MAX_DEPTH) {
        memdb__filter_fail(parser, MEMDB_LIMIT, parser->token.place,
                           "parentheses more than %u deep", MEMDB__FILTER_MAX_DEPTH);
        return MEMDB__FILTER_NONE;
    } else {
        parser->depth++;
        node = memdb__filter_advance(parser) ? parse_chain(parser, MEMDB__FILTER_OR)
                                             : MEMDB__FILTER_NONE;
        parser->depth--;
        if (node != MEMDB__FILTER_NONE && parser->token.kind != MEMDB__TOKEN_CLOSE) {
            memdb__filter_expected(parser, "and, or, or )");
            return MEMDB__FILTER_NONE;
        }
        node = memdb__filter_advance(parser) ? node : MEMDB__FILTER_NONE;
    }
    return negated ? negate(parser, node) : node;
}

/// Terms joined by one word: `or` of `and` of `not`.
static uint32_t parse_chain(memdb__filter_parser_t *parser, memdb__filter_kind_t kind) {
    bool is_or = kind == MEMDB__FILTER_OR;
    row_t row = {0};
    do {
        uint32_t child = is_or ? parse_chain(parser, MEMDB__FILTER_AND) : parse_not(parser);
        if (child == MEMDB__FILTER_NONE) {
            return child;
        }
        add_child(parser->filter, kind, &row, child);
    } while (memdb__filter_take_word(parser, is_or ? "or" : "and"));
    return row.count > 1 ? join(parser, kind, &row) : row.first;
}

// ------------------------------------------------------------------------------ public

static memdb_status_t parse(memdb__filter_parser_t *parser) {
    memdb_filter_t *filter = parser->filter;
    if (!memdb__filter_advance(parser)) {
        return parser->status;
    }
    filter->root = parse_chain(parser, MEMDB__FILTER_OR);
    if (!parser->status && parser->token.kind != MEMDB__TOKEN_END) {
        memdb__filter_expected(parser, "and, or, or the end");
    }
    if (!parser->status && parser->params_used < parser->param_count) {
        memdb__filter_fail(parser, MEMDB_INVALID, parser->size,
                           "%zu parameters are given, %zu are asked for", parser->param_count,
                           parser->params_used);
    }
    return parser->status;
}

static memdb_status_t check_text(memdb_bytes_t text, memdb_error_t *error) {
    if (text.size > MEMDB__FILTER_MAX_BYTES) {
        return memdb__fail(error, MEMDB_LIMIT, "filter: %zu bytes, at most %u", text.size,
                           MEMDB__FILTER_MAX_BYTES);
    }
    if ((text.size && !text.data) || !memdb__is_utf8(text.data, text.size)) {
        return memdb__fail(error, MEMDB_INVALID, "filter: not UTF-8");
    }
    return MEMDB_OK;
}

memdb_status_t memdb_filter_parse(memdb_bytes_t text, const memdb_value_t *params, size_t count,
                                  memdb_filter_t **filter_out, memdb_error_t *error_out) {
    if (!filter_out || (count && !params)) {
        return memdb__fail(error_out, MEMDB_INVALID, "filter: an argument is missing");
    }
    memdb_status_t status = check_text(text, error_out);
    if (status) {
        return status;
    }
    memdb_filter_t *filter = memdb__allocate_zeroed(1, sizeof *filter);
    char *copy = memdb__allocate(text.size + 1);
    if (!filter || !copy) {
        memdb__free(filter);
        memdb__free(copy);
        return memdb__fail(error_out, MEMDB_NOMEM, "filter: out of memory");
    }
    if (text.size) {
        memcpy(copy, text.data, text.size);
    }
    copy[text.size] = '\0';
    memdb__arena_init(&filter->arena);
    memdb__filter_parser_t parser = {.filter = filter,
                                     .text = copy,
                                     .size = text.size,
                                     .params = params,
                                     .param_count = count,
                                     .error = error_out};
    status = parse(&parser);
    memdb__free(copy);
    if (status) {
        memdb_filter_free(filter);
        return status;
    }
    *filter_out = filter;
    return MEMDB_OK;
}

void memdb_filter_free(memdb_filter_t *filter) {
    if (filter) {
        memdb__arena_deinit(&filter->arena);
        memdb__free(filter->nodes);
        memdb__free(filter->values);
        memdb__free(filter->steps);
        memdb__free(filter);
    }
}
