// One test of a filter: an operand, and what it is compared with.
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

// ------------------------------------------------------------------------------ the operand

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

// ------------------------------------------------------------------------------ the comparison

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

bool memdb__filter_read_test(memdb__filter_parser_t *parser, memdb__filter_node_t *node,
                             bool *negated_out) {
    memdb_filter_t *filter = parser->filter;
    *node = (memdb__filter_node_t){.first = MEMDB__FILTER_NONE, .next = MEMDB__FILTER_NONE};
    *negated_out = false;
    if (!parse_operand(parser, node)) {
        return false;
    }
    size_t place = parser->token.place;
    node->first_value = filter->value_count;
    if (!parse_comparison(parser, node, negated_out) || !check_types(parser, node, place)) {
        return false;
    }
    if (node->kind == MEMDB__FILTER_IN) {
        memdb__filter_sort_values(filter, node->first_value);
    }
    node->value_count = filter->value_count - node->first_value;
    node->dear = node->field == MEMDB__FILTER_ATTR || node->kind == MEMDB__FILTER_CONTAINS;
    return true;
}
