// Values of a filter: literals and parameters, in the type of what they are compared with.
//
// Types are checked here, once: a field of a type takes values of that type alone, so that a slip
// is an error with a place and not a filter that is never true. A text becomes a time where a time
// is wanted. A path into the attributes takes any value, and is null for values of another type.
#include "base/time.h"
#include "query/query_filter_lex.h"

#include <math.h>
#include <stdlib.h>

memdb__filter_type_t memdb__filter_type(const memdb_value_t *value) {
    switch (value->kind) {
    case MEMDB_VALUE_BOOL:
        return MEMDB__FILTER_TYPE_BOOL;
    case MEMDB_VALUE_INTEGER:
    case MEMDB_VALUE_NUMBER:
        return MEMDB__FILTER_TYPE_NUMBER;
    case MEMDB_VALUE_TEXT:
        return MEMDB__FILTER_TYPE_TEXT;
    case MEMDB_VALUE_TIME:
        return MEMDB__FILTER_TYPE_TIME;
    default:
        return MEMDB__FILTER_TYPE_ANY;
    }
}

static const char *type_name(memdb__filter_type_t type) {
    static const char *const names[] = {"a value", "true or false", "a number", "a text in quotes",
                                        "a time such as '2023-05-08T13:56:00Z'"};
    return names[type];
}

// ------------------------------------------------------------------------------ order

static int sign(bool less, bool greater) {
    return greater - less;
}

int memdb__filter_compare_numbers(int64_t integer, double real) {
    // 2^63 is a double; what lies within is compared as an integer first, then by the fraction.
    if (real >= 9223372036854775808.0 || real < -9223372036854775808.0) {
        return real > 0 ? -1 : 1;
    }
    int64_t whole = (int64_t)real;
    double fraction = real - (double)whole;
    return integer != whole ? sign(integer<whole, integer> whole)
                            : sign(fraction > 0, fraction < 0);
}

int memdb__filter_compare(const memdb_value_t *left, const memdb_value_t *right) {
    bool left_real = left->kind == MEMDB_VALUE_NUMBER,
         right_real = right->kind == MEMDB_VALUE_NUMBER;
    if (left->kind == MEMDB_VALUE_NULL || right->kind == MEMDB_VALUE_NULL) {
        return sign(right->kind != MEMDB_VALUE_NULL, left->kind != MEMDB_VALUE_NULL);
    }
    if (left->kind == MEMDB_VALUE_TEXT) {
        return memdb__compare(left->text.data, left->text.size, right->text.data, right->text.size);
    }
    if (left->kind == MEMDB_VALUE_BOOL) {
        return (int)left->truth - (int)right->truth;
    }
    if (left_real && right_real) {
        return sign(left->number<right->number, left->number> right->number);
    }
    if (left_real || right_real) {
        return left_real ? -memdb__filter_compare_numbers(right->integer, left->number)
                         : memdb__filter_compare_numbers(left->integer, right->number);
    }
    return sign(left->integer<right->integer, left->integer> right->integer);
}

static int compare_values(const void *left, const void *right) {
    return memdb__filter_compare(left, right);
}

void memdb__filter_sort_values(memdb_filter_t *filter, uint32_t first) {
    uint32_t count = filter->value_count - first, kept = 0;
    if (count == 0) {
        return;
    }
    memdb_value_t *values = &filter->values[first];
    qsort(values, count, sizeof *values, compare_values);
    for (uint32_t i = 0; i < count; i++) {
        if (!kept || memdb__filter_compare(&values[kept - 1], &values[i]) != 0) {
            values[kept++] = values[i];
        }
    }
    filter->value_count = first + kept;
}

// ------------------------------------------------------------------------------ reading

bool memdb__filter_grow(memdb__filter_parser_t *parser, void *array, uint32_t count,
                        uint32_t *capacity, size_t size) {
    if (count < *capacity) {
        return true;
    }
    uint32_t wanted = *capacity ? 2 * *capacity : 8;
    void *old, *grown;
    memcpy(&old, array, sizeof old);
    grown = memdb__reallocate(old, wanted * size);
    if (!grown) {
        return memdb__filter_fail(parser, MEMDB_NOMEM, parser->token.place, "out of memory");
    }
    memcpy(array, &grown, sizeof grown);
    *capacity = wanted;
    return true;
}

static bool append(memdb__filter_parser_t *parser, const memdb_value_t *value) {
    memdb_filter_t *filter = parser->filter;
    if (filter->value_count == MEMDB__FILTER_MAX_VALUES) {
        return memdb__filter_fail(parser, MEMDB_LIMIT, parser->token.place, "more than %u values",
                                  MEMDB__FILTER_MAX_VALUES);
    }
    if (!memdb__filter_grow(parser, &filter->values, filter->value_count, &parser->value_capacity,
                            sizeof *filter->values)) {
        return false;
    }
    filter->values[filter->value_count++] = *value;
    return true;
}

/// Bring a value into the form that `field` compares with, and append it.
static bool take(memdb__filter_parser_t *parser, memdb__filter_field_t field, memdb_value_t value) {
    const memdb__filter_operand_t *operand = &memdb__filter_operands[field];
    if (value.kind == MEMDB_VALUE_TIME && value.integer == MEMDB_TIME_NONE) {
        value = (memdb_value_t){.kind = MEMDB_VALUE_NULL};
    }
    if (operand->type == MEMDB__FILTER_TYPE_TIME && value.kind == MEMDB_VALUE_TEXT) {
        memdb_bytes_t text = value.text;
        value = (memdb_value_t){.kind = MEMDB_VALUE_TIME};
        const char *why = memdb__time_parse(text, &value.integer);
        if (why) {
            return memdb__filter_fail(parser, MEMDB_INVALID, parser->token.place,
                                      "%s is compared with a time: %s", operand->name, why);
        }
    }
    if (value.kind != MEMDB_VALUE_NULL && operand->type != MEMDB__FILTER_TYPE_ANY &&
        memdb__filter_type(&value) != operand->type) {
        return memdb__filter_fail(parser, MEMDB_INVALID, parser->token.place,
                                  "%s is compared with %s, not with %s", operand->name,
                                  type_name(operand->type), type_name(memdb__filter_type(&value)));
    }
    return append(parser, &value);
}

/// A parameter's value, its text copied.
static bool take_param(memdb__filter_parser_t *parser, memdb__filter_field_t field,
                       memdb_value_t value) {
    size_t place = parser->token.place;
    switch (value.kind) {
    case MEMDB_VALUE_NULL:
    case MEMDB_VALUE_BOOL:
    case MEMDB_VALUE_INTEGER:
    case MEMDB_VALUE_TIME:
        break;
    case MEMDB_VALUE_NUMBER:
        if (!isfinite(value.number)) {
            return memdb__filter_fail(parser, MEMDB_INVALID, place,
                                      "the parameter's number is not finite");
        }
        break;
    case MEMDB_VALUE_TEXT:
        if (value.text.size > MEMDB__FILTER_MAX_BYTES) {
            return memdb__filter_fail(parser, MEMDB_LIMIT, place,
                                      "the parameter has %zu bytes, at most %u", value.text.size,
                                      MEMDB__FILTER_MAX_BYTES);
        }
        if ((value.text.size && !value.text.data) ||
            !memdb__is_utf8(value.text.data, value.text.size)) {
            return memdb__filter_fail(parser, MEMDB_INVALID, place,
                                      "the parameter's text is not UTF-8");
        }
        value.text.data =
            memdb__arena_copy(&parser->filter->arena, value.text.data, value.text.size);
        if (!value.text.data) {
            return memdb__filter_fail(parser, MEMDB_NOMEM, place, "out of memory");
        }
        break;
    default:
        return memdb__filter_fail(parser, MEMDB_INVALID, place,
                                  value.kind == MEMDB_VALUE_LIST
                                      ? "a list stands behind `in` alone, and holds no list"
                                      : "the parameter is of no kind of value");
    }
    return take(parser, field, value);
}

/// The parameter that the token in hand names; NULL: it was not given.
static const memdb_value_t *find_param(memdb__filter_parser_t *parser) {
    const memdb__filter_token_t *token = &parser->token;
    size_t number = token->number ? token->number : parser->params_used + 1;
    if (number > parser->param_count) {
        memdb__filter_fail(parser, MEMDB_INVALID, token->place,
                           "parameter %zu is asked for, %zu are given", number,
                           parser->param_count);
        return NULL;
    }
    if (number > parser->params_used) {
        parser->params_used = number;
    }
    return &parser->params[number - 1];
}

static bool read_param(memdb__filter_parser_t *parser, memdb__filter_field_t field, bool list) {
    const memdb__filter_token_t *token = &parser->token;
    const memdb_value_t *param = find_param(parser);
    if (!param) {
        return false;
    }
    if (!list || param->kind != MEMDB_VALUE_LIST) {
        return take_param(parser, field, *param);
    }
    if (param->list.count && !param->list.items) {
        return memdb__filter_fail(parser, MEMDB_INVALID, token->place,
                                  "the parameter has a count without values");
    }
    for (size_t i = 0; i < param->list.count; i++) {
        if (!take_param(parser, field, param->list.items[i])) {
            return false;
        }
    }
    return true;
}

/// What stands behind the word `time`: a text, microseconds since 1970, or a parameter of these.
static bool read_time(memdb__filter_parser_t *parser, memdb__filter_field_t field) {
    memdb_value_t given = {.kind = MEMDB_VALUE_LIST}, value = {.kind = MEMDB_VALUE_TIME};
    const memdb__filter_token_t *token = &parser->token;
    if (!memdb__filter_advance(parser)) {
        return false;
    }
    if (token->kind == MEMDB__TOKEN_NUMBER) {
        given = token->value;
    } else if (token->kind == MEMDB__TOKEN_STRING) {
        given = (memdb_value_t){.kind = MEMDB_VALUE_TEXT, .text = token->text};
    } else if (token->kind == MEMDB__TOKEN_PARAMETER) {
        const memdb_value_t *param = find_param(parser);
        if (!param) {
            return false;
        }
        given = *param;
    }
    if (given.kind == MEMDB_VALUE_TEXT) {
        const char *why = memdb__time_parse(given.text, &value.integer);
        return why ? memdb__filter_fail(parser, MEMDB_INVALID, token->place, "this is no time: %s",
                                        why)
                   : take(parser, field, value);
    }
    if (given.kind == MEMDB_VALUE_INTEGER || given.kind == MEMDB_VALUE_TIME) {
        value.integer = given.integer;
    } else if (given.kind == MEMDB_VALUE_NULL) {
        value = given;
    } else {
        return memdb__filter_expected(parser, "a time in quotes, or its microseconds");
    }
    return take(parser, field, value);
}

bool memdb__filter_read_value(memdb__filter_parser_t *parser, memdb__filter_field_t field,
                              bool list) {
    const memdb__filter_token_t *token = &parser->token;
    memdb_value_t value = {.kind = MEMDB_VALUE_NULL};
    bool truth = memdb__filter_at_word(parser, "true"), good;
    if (token->kind == MEMDB__TOKEN_PARAMETER) {
        good = read_param(parser, field, list);
    } else if (token->kind == MEMDB__TOKEN_NUMBER) {
        good = take(parser, field, token->value);
    } else if (token->kind == MEMDB__TOKEN_STRING) {
        value = (memdb_value_t){.kind = MEMDB_VALUE_TEXT, .text = token->text};
        good = take(parser, field, value);
    } else if (truth || memdb__filter_at_word(parser, "false")) {
        value = (memdb_value_t){.kind = MEMDB_VALUE_BOOL, .truth = truth};
        good = take(parser, field, value);
    } else if (memdb__filter_at_word(parser, "null")) {
        good = take(parser, field, value);
    } else if (memdb__filter_at_word(parser, "time")) {
        good = read_time(parser, field);
    } else {
        good = memdb__filter_expected(
            parser, "a value (a text in single quotes, a number, true, false, null, time or ?)");
    }
    return good && memdb__filter_advance(parser);
}
