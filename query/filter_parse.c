// The grammar of filters: recursive descent, one function a rule. docs/filters.md has it as EBNF.
//
//   filter = or          or = and { "or" and }      and = not { "and" not }
//   not = { "not" } ( "(" or ")" | test )
//
// Only parentheses recurse, and their depth is limited. Nodes that the tree does without (a `not`
// of a `not`, an `and` within an `and`) may stay in the array; nothing leads to them.
#include "base/json_scan.h"
#include "query/query_filter_lex.h"

const memdb__filter_operand_t memdb__filter_operands[MEMDB__FILTER_FIELD_COUNT] = {
    [MEMDB__FILTER_ID] = {"id", MEMDB__FILTER_TYPE_NUMBER},
    [MEMDB__FILTER_VERSION] = {"version", MEMDB__FILTER_TYPE_NUMBER},
    [MEMDB__FILTER_KEY] = {"key", MEMDB__FILTER_TYPE_TEXT},
    [MEMDB__FILTER_TEXT] = {"text", MEMDB__FILTER_TYPE_TEXT},
    [MEMDB__FILTER_KIND] = {"kind", MEMDB__FILTER_TYPE_TEXT},
    [MEMDB__FILTER_SESSION] = {"session", MEMDB__FILTER_TYPE_TEXT},
    [MEMDB__FILTER_ACTOR] = {"actor", MEMDB__FILTER_TYPE_TEXT},
    [MEMDB__FILTER_TIME] = {"time", MEMDB__FILTER_TYPE_TIME},
    [MEMDB__FILTER_VALID_FROM] = {"valid_from", MEMDB__FILTER_TYPE_TIME},
    [MEMDB__FILTER_VALID_TO] = {"valid_to", MEMDB__FILTER_TYPE_TIME},
    [MEMDB__FILTER_EXPIRES] = {"expires", MEMDB__FILTER_TYPE_TIME},
    [MEMDB__FILTER_IMPORTANCE] = {"importance", MEMDB__FILTER_TYPE_NUMBER},
    [MEMDB__FILTER_TOKENS] = {"tokens", MEMDB__FILTER_TYPE_NUMBER},
    [MEMDB__FILTER_DIMENSION] = {"dimension", MEMDB__FILTER_TYPE_NUMBER},
    [MEMDB__FILTER_BLOBS] = {"blobs", MEMDB__FILTER_TYPE_NUMBER},
    [MEMDB__FILTER_ATTR] = {"attr", MEMDB__FILTER_TYPE_ANY},
};

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
    memdb__filter_node_t not = {
        .kind = MEMDB__FILTER_NOT, .dear = node->dear, .first = child, .next = MEMDB__FILTER_NONE};
    return node->kind == MEMDB__FILTER_NOT ? node->first : add_node(parser, &not );
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

// ------------------------------------------------------------------------------ one test

static bool add_step(memdb__filter_parser_t *parser, memdb__filter_node_t *node) {
    memdb_filter_t *filter = parser->filter;
    if (node->step_count == MEMDB__FILTER_MAX_STEPS) {
        return memdb__filter_fail(parser, MEMDB_LIMIT, parser->token.place,
                                  "a path of more than %u steps", MEMDB__FILTER_MAX_STEPS);
    }
    if (!memdb__filter_grow(parser, &filter->steps, filter->step_count, &parser->step_capacity,
                            sizeof *filter->steps)) {
        return false;
    }
    memdb_bytes_t text = parser->token.text;
    if (parser->token.kind == MEMDB__TOKEN_NAME) { // lent by the caller's text
        text.data = memdb__arena_copy(&filter->arena, text.data, text.size);
        if (!text.data) {
            return memdb__filter_fail(parser, MEMDB_NOMEM, parser->token.place, "out of memory");
        }
    }
    filter->steps[filter->step_count++] = text;
    node->step_count++;
    return true;
}

static bool parse_path(memdb__filter_parser_t *parser, memdb__filter_node_t *node) {
    const memdb__filter_token_t *token = &parser->token;
    node->first_step = parser->filter->step_count;
    if (token->kind != MEMDB__TOKEN_DOT) {
        return memdb__filter_expected(parser, "a dot and a name, as in attr.place.city");
    }
    while (token->kind == MEMDB__TOKEN_DOT) {
        if (!memdb__filter_advance_step(parser)) {
            return false;
        }
        if (token->kind != MEMDB__TOKEN_NAME && token->kind != MEMDB__TOKEN_QUOTED) {
            return memdb__filter_expected(parser, "a name, if need be in double quotes,");
        }
        if (!add_step(parser, node) || !memdb__filter_advance(parser)) {
            return false;
        }
    }
    return true;
}

static bool parse_operand(memdb__filter_parser_t *parser, memdb__filter_node_t *node) {
    const memdb__filter_token_t *token = &parser->token;
    for (uint32_t i = 0; token->kind == MEMDB__TOKEN_NAME && i < MEMDB__FILTER_FIELD_COUNT; i++) {
        const char *name = memdb__filter_operands[i].name;
        if (strlen(name) == token->text.size &&
            memcmp(name, token->text.data, token->text.size) == 0) {
            node->field = (memdb__filter_field_t)i;
            return memdb__filter_advance(parser) &&
                   (node->field != MEMDB__FILTER_ATTR || parse_path(parser, node));
        }
    }
    return memdb__filter_expected(
        parser, "a field (id, key, text, kind, session, actor, time, valid_from, valid_to, "
                "expires, importance, tokens, dimension, blobs, version) or attr.name");
}

/// The values of a test must be of one type among them; nulls are of any.
static bool check_types(memdb__filter_parser_t *parser, const memdb__filter_node_t *node,
                        size_t place) {
    const memdb_filter_t *filter = parser->filter;
    memdb__filter_type_t type = MEMDB__FILTER_TYPE_ANY;
    for (uint32_t i = node->first_value; i < filter->value_count; i++) {
        memdb__filter_type_t other = memdb__filter_type(&filter->values[i]);
        if (type != MEMDB__FILTER_TYPE_ANY && other != MEMDB__FILTER_TYPE_ANY && other != type) {
            return memdb__filter_fail(parser, MEMDB_INVALID, place,
                                      "the values of one test must be of one type");
        }
        type = other != MEMDB__FILTER_TYPE_ANY ? other : type;
    }
    bool order = node->kind != MEMDB__FILTER_EQUAL && node->kind != MEMDB__FILTER_IN &&
                 node->kind != MEMDB__FILTER_CONTAINS;
    if (order && type == MEMDB__FILTER_TYPE_BOOL) {
        return memdb__filter_fail(parser, MEMDB_INVALID, place, "true and false have no order");
    }
    return true;
}

static bool parse_list(memdb__filter_parser_t *parser, memdb__filter_node_t *node) {
    const memdb__filter_token_t *token = &parser->token;
    if (token->kind == MEMDB__TOKEN_PARAMETER) {
        return memdb__filter_read_value(parser, node->field, true);
    }
    if (token->kind != MEMDB__TOKEN_OPEN) {
        return memdb__filter_expected(parser, "a list in parentheses, or ?");
    }
    if (!memdb__filter_advance(parser)) {
        return false;
    }
    while (token->kind != MEMDB__TOKEN_CLOSE) {
        if (!memdb__filter_read_value(parser, node->field, false)) {
            return false;
        }
        if (token->kind == MEMDB__TOKEN_COMMA) {
            if (!memdb__filter_advance(parser)) {
                return false;
            }
        } else if (token->kind != MEMDB__TOKEN_CLOSE) {
            return memdb__filter_expected(parser, "a comma, or ) at the end of the list");
        }
    }
    return memdb__filter_advance(parser);
}

/// What `starts with` and `contains` look for.
static bool parse_part(memdb__filter_parser_t *parser, memdb__filter_node_t *node) {
    memdb__filter_type_t type = memdb__filter_operands[node->field].type;
    size_t place = parser->token.place;
    if (type != MEMDB__FILTER_TYPE_TEXT && type != MEMDB__FILTER_TYPE_ANY) {
        return memdb__filter_fail(parser, MEMDB_INVALID, place,
                                  "%s is no text, so it neither starts with nor contains one",
                                  memdb__filter_operands[node->field].name);
    }
    if (!memdb__filter_read_value(parser, node->field, false)) {
        return false;
    }
    const memdb_value_t *part = &parser->filter->values[node->first_value];
    if (node->kind == MEMDB__FILTER_STARTS && part->kind != MEMDB_VALUE_TEXT &&
        part->kind != MEMDB_VALUE_NULL) {
        return memdb__filter_fail(parser, MEMDB_INVALID, place, "a prefix is a text in quotes");
    }
    if (part->kind == MEMDB_VALUE_TEXT && part->text.size > MEMDB__JSON_PART_BYTES) {
        return memdb__filter_fail(parser, MEMDB_LIMIT, place,
                                  "a text to look for has at most %d bytes, this one %zu",
                                  MEMDB__JSON_PART_BYTES, part->text.size);
    }
    return true;
}

/// `between a and b`, `in (...)`, `starts with a`, `contains a`.
static bool parse_words(memdb__filter_parser_t *parser, memdb__filter_node_t *node) {
    if (memdb__filter_take_word(parser, "between")) {
        node->kind = MEMDB__FILTER_BETWEEN;
        return memdb__filter_read_value(parser, node->field, false) &&
               (memdb__filter_take_word(parser, "and") ||
                memdb__filter_expected(parser, "`and` of between")) &&
               memdb__filter_read_value(parser, node->field, false);
    }
    if (memdb__filter_take_word(parser, "in")) {
        node->kind = MEMDB__FILTER_IN;
        return parse_list(parser, node);
    }
    if (memdb__filter_take_word(parser, "starts")) {
        node->kind = MEMDB__FILTER_STARTS;
        return (memdb__filter_take_word(parser, "with") ||
                memdb__filter_expected(parser, "`with` of `starts with`")) &&
               parse_part(parser, node);
    }
    if (memdb__filter_take_word(parser, "contains")) {
        node->kind = MEMDB__FILTER_CONTAINS;
        return parse_part(parser, node);
    }
    return memdb__filter_expected(parser, "a comparison (= != < <= > >=, between, in, is null, "
                                          "starts with, contains)");
}

/// What follows the operand.
static bool parse_comparison(memdb__filter_parser_t *parser, memdb__filter_node_t *node,
                             bool *negated_out) {
    static const memdb__filter_kind_t kinds[] = {
        MEMDB__FILTER_EQUAL,      MEMDB__FILTER_EQUAL,   MEMDB__FILTER_LESS,
        MEMDB__FILTER_LESS_EQUAL, MEMDB__FILTER_GREATER, MEMDB__FILTER_GREATER_EQUAL};
    memdb__filter_token_kind_t token = parser->token.kind;
    if (token >= MEMDB__TOKEN_EQUAL) {
        node->kind = kinds[token - MEMDB__TOKEN_EQUAL];
        *negated_out = token == MEMDB__TOKEN_NOT_EQUAL;
        return memdb__filter_advance(parser) &&
               memdb__filter_read_value(parser, node->field, false);
    }
    if (memdb__filter_take_word(parser, "is")) {
        node->kind = MEMDB__FILTER_IS_NULL;
        *negated_out = memdb__filter_take_word(parser, "not");
        return memdb__filter_take_word(parser, "null") ||
               memdb__filter_expected(parser, *negated_out ? "null" : "null or not null");
    }
    *negated_out = memdb__filter_take_word(parser, "not");
    return parse_words(parser, node);
}

static uint32_t parse_test(memdb__filter_parser_t *parser) {
    memdb_filter_t *filter = parser->filter;
    memdb__filter_node_t node = {.first = MEMDB__FILTER_NONE, .next = MEMDB__FILTER_NONE};
    bool negated = false;
    if (!parse_operand(parser, &node)) {
        return MEMDB__FILTER_NONE;
    }
    size_t place = parser->token.place;
    node.first_value = filter->value_count;
    if (!parse_comparison(parser, &node, &negated) || !check_types(parser, &node, place)) {
        return MEMDB__FILTER_NONE;
    }
    if (node.kind == MEMDB__FILTER_IN) {
        memdb__filter_sort_values(filter, node.first_value);
    }
    node.value_count = filter->value_count - node.first_value;
    node.dear = node.field == MEMDB__FILTER_ATTR || node.kind == MEMDB__FILTER_CONTAINS;
    uint32_t number = add_node(parser, &node);
    return negated ? negate(parser, number) : number;
}

// ------------------------------------------------------------------------------ the tree

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
