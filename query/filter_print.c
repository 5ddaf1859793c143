// A filter as text: what parses to the same tree, parameters written as literals.
#include "query/query_filter.h"

#include <inttypes.h>
#include <stdio.h>

static void print(memdb__buffer_t *out, const char *text) {
    memdb__buffer_append(out, text, strlen(text));
}

/// In quotes, those within doubled.
static void print_quoted(memdb__buffer_t *out, memdb_bytes_t text, char quote) {
    memdb__buffer_append(out, &quote, 1);
    for (size_t i = 0; i < text.size; i++) {
        memdb__buffer_append(out, &text.data[i], 1);
        if (text.data[i] == quote) {
            memdb__buffer_append(out, &quote, 1);
        }
    }
    memdb__buffer_append(out, &quote, 1);
}

static bool is_bare(memdb_bytes_t step) {
    for (size_t i = 0; i < step.size; i++) {
        char c = step.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || (uint8_t)c >= 0x80)) {
            return false;
        }
    }
    return step.size > 0;
}

/// Seventeen digits read back as the same number. The program's locale may have put a comma.
static void print_real(memdb__buffer_t *out, double number) {
    char digits[40];
    bool whole = true;
    snprintf(digits, sizeof digits, "%.17g", number);
    for (char *c = digits; *c; c++) {
        if (!strchr("0123456789+-e", *c)) {
            *c = '.';
        }
        whole = whole && *c != '.' && *c != 'e';
    }
    print(out, digits);
    print(out, whole ? ".0" : "");
}

static void print_value(memdb__buffer_t *out, const memdb_value_t *value) {
    char text[64];
    switch (value->kind) {
    case MEMDB_VALUE_BOOL:
        print(out, value->truth ? "true" : "false");
        break;
    case MEMDB_VALUE_INTEGER:
        snprintf(text, sizeof text, "%" PRId64, value->integer);
        print(out, text);
        break;
    case MEMDB_VALUE_NUMBER:
        print_real(out, value->number);
        break;
    case MEMDB_VALUE_TEXT:
        print_quoted(out, value->text, '\'');
        break;
    case MEMDB_VALUE_TIME: {
        char time[MEMDB_TIME_TEXT_BYTES];
        memdb_time_print(value->integer, time);
        bool dated = strchr(time, 'T') != NULL; // outside the calendar: microseconds
        snprintf(text, sizeof text, dated ? "time '%s'" : "time %s", time);
        print(out, text);
        break;
    }
    default:
        print(out, "null");
    }
}

static void print_operand(memdb__buffer_t *out, const memdb_filter_t *filter,
                          const memdb__filter_node_t *node) {
    print(out, memdb__filter_operands[node->field].name);
    for (uint32_t i = 0; i < node->step_count; i++) {
        memdb_bytes_t step = filter->steps[node->first_step + i];
        print(out, ".");
        if (is_bare(step)) {
            memdb__buffer_append(out, step.data, step.size);
        } else {
            print_quoted(out, step, '"');
        }
    }
}

static void print_test(memdb__buffer_t *out, const memdb_filter_t *filter,
                       const memdb__filter_node_t *node, bool negated) {
    static const char *const words[][2] = {
        [MEMDB__FILTER_EQUAL] = {" = ", " != "},
        [MEMDB__FILTER_LESS] = {" < ", NULL},
        [MEMDB__FILTER_LESS_EQUAL] = {" <= ", NULL},
        [MEMDB__FILTER_GREATER] = {" > ", NULL},
        [MEMDB__FILTER_GREATER_EQUAL] = {" >= ", NULL},
        [MEMDB__FILTER_BETWEEN] = {" between ", " not between "},
        [MEMDB__FILTER_IN] = {" in (", " not in ("},
        [MEMDB__FILTER_IS_NULL] = {" is null", " is not null"},
        [MEMDB__FILTER_STARTS] = {" starts with ", " not starts with "},
        [MEMDB__FILTER_CONTAINS] = {" contains ", " not contains "},
    };
    const char *word = words[node->kind][negated];
    if (!word) {
        print(out, "not ");
        word = words[node->kind][0];
    }
    print_operand(out, filter, node);
    print(out, word);
    for (uint32_t i = 0; i < node->value_count; i++) {
        print(out, i == 0 ? "" : node->kind == MEMDB__FILTER_BETWEEN ? " and " : ", ");
        print_value(out, &filter->values[node->first_value + i]);
    }
    print(out, node->kind == MEMDB__FILTER_IN ? ")" : "");
}

void memdb__filter_print(const memdb_filter_t *filter, uint32_t number, memdb__buffer_t *out) {
    const memdb__filter_node_t *node = &filter->nodes[number];
    if (node->kind > MEMDB__FILTER_NOT) {
        print_test(out, filter, node, false);
        return;
    }
    const memdb__filter_node_t *first = &filter->nodes[node->first];
    if (node->kind == MEMDB__FILTER_NOT && first->kind > MEMDB__FILTER_NOT) {
        print_test(out, filter, first, true);
        return;
    }
    if (node->kind == MEMDB__FILTER_NOT) {
        print(out, "not (");
        memdb__filter_print(filter, node->first, out);
        print(out, ")");
        return;
    }
    for (uint32_t at = node->first; at != MEMDB__FILTER_NONE; at = filter->nodes[at].next) {
        bool within = node->kind == MEMDB__FILTER_AND && filter->nodes[at].kind == MEMDB__FILTER_OR;
        print(out, at == node->first ? "" : node->kind == MEMDB__FILTER_AND ? " and " : " or ");
        print(out, within ? "(" : "");
        memdb__filter_print(filter, at, out);
        print(out, within ? ")" : "");
    }
}
