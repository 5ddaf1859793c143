// Filters against a plain interpreter: random filters over random memories.
//
// A filter is drawn as a tree and written as text, with random spaces, parentheses, capitals and
// parameters. The interpreter walks that tree over the memory as a Jansson object, in the rules of
// docs/filters.md, without any of the engine's code. All three truth values must agree; so must a
// filter that is printed and parsed again.
#include "tests/unit/query/filter_model.h"

#include <stdlib.h>
#include <string.h>

// ------------------------------------------------------------------------------ the interpreter

typedef enum truth { NO, YES, UNKNOWN } truth_t;

static truth_t truth_of(bool truth) {
    return truth ? YES : NO;
}

/// False: of different types, or null.
static bool order(const json_t *subject, bool is_time, const literal_t *literal, int *order_out) {
    const json_t *value = literal->json;
    if (literal->type == TYPE_TIME) {
        int64_t time = json_integer_value(subject);
        for (size_t i = 0; !is_time && json_is_string(subject) && i < MODEL_TIMES; i++)
            if (!strcmp(filter_model_times[i].text, json_string_value(subject))) {
                time = filter_model_times[i].time;
                is_time = true;
            }
        int64_t other = json_integer_value(value);
        *order_out = (time > other) - (time < other);
        return is_time && !json_is_null(subject);
    }
    if (literal->type == TYPE_NUMBER && json_is_number(subject) && !is_time) {
        // 64 bits of mantissa hold every int64 and every double.
        long double a = json_is_real(subject) ? (long double)json_real_value(subject)
                                              : (long double)json_integer_value(subject);
        long double b = json_is_real(value) ? (long double)json_real_value(value)
                                            : (long double)json_integer_value(value);
        *order_out = (a > b) - (a < b);
        return true;
    }
    if (literal->type == TYPE_TEXT && json_is_string(subject)) {
        *order_out = strcmp(json_string_value(subject), json_string_value(value));
        return true;
    }
    *order_out = json_is_true(subject) - json_is_true(value);
    return literal->type == TYPE_BOOL && json_is_boolean(subject);
}

static truth_t compare(const expression_t *test, shape_t shape, const json_t *subject,
                       const literal_t *literal) {
    int found;
    if (!order(subject, test->is_time, literal, &found))
        return UNKNOWN;
    switch (shape) {
    case EQ:
        return truth_of(found == 0);
    case NE:
        return truth_of(found != 0);
    case LT:
        return truth_of(found < 0);
    case LE:
        return truth_of(found <= 0);
    case GT:
        return truth_of(found > 0);
    default:
        return truth_of(found >= 0);
    }
}

static truth_t negate(truth_t truth) {
    return truth == UNKNOWN ? UNKNOWN : truth_of(truth == NO);
}

static truth_t both(truth_t a, truth_t b) {
    return a == NO || b == NO ? NO : a == YES && b == YES ? YES : UNKNOWN;
}

static truth_t either(truth_t a, truth_t b) {
    return negate(both(negate(a), negate(b)));
}

static truth_t holds(const expression_t *test, json_t *subject) {
    const literal_t *part = &test->values[0];
    if (part->type == TYPE_NULL)
        return UNKNOWN;
    if (json_is_string(subject) && part->type == TYPE_TEXT)
        return truth_of(strstr(json_string_value(subject), json_string_value(part->json)) != NULL);
    if (!json_is_array(subject))
        return UNKNOWN;
    for (size_t i = 0; i < json_array_size(subject); i++)
        if (compare(test, EQ, json_array_get(subject, i), part) == YES)
            return YES;
    return NO;
}

static truth_t interpret_test(const expression_t *test, const json_t *memory) {
    json_t *subject =
        test->field ? json_object_get(memory, test->field) : json_object_get(memory, "attr");
    truth_t truth;
    for (int i = 0; i < test->path_count; i++)
        subject = json_object_get(subject, test->path[i]);
    if (!subject)
        subject = json_null();
    switch (test->shape) {
    case BETWEEN:
        truth = both(compare(test, GE, subject, &test->values[0]),
                     compare(test, LE, subject, &test->values[1]));
        break;
    case IN:
        truth = NO;
        for (int i = 0; i < test->value_count; i++)
            truth = either(truth, compare(test, EQ, subject, &test->values[i]));
        break;
    case NULLS:
        truth = truth_of(json_is_null(subject));
        break;
    case STARTS:
        truth = !json_is_string(subject) || test->values[0].type == TYPE_NULL
                    ? UNKNOWN
                    : truth_of(!strncmp(json_string_value(subject),
                                        json_string_value(test->values[0].json),
                                        json_string_length(test->values[0].json)));
        break;
    case CONTAINS:
        truth = holds(test, subject);
        break;
    default:
        truth = compare(test, test->shape, subject, &test->values[0]);
    }
    return test->negated ? negate(truth) : truth;
}

static truth_t interpret(const expression_t *node, const json_t *memory) {
    if (node->shape == NOT)
        return negate(interpret(node->children[0], memory));
    if (node->shape > NOT)
        return interpret_test(node, memory);
    truth_t truth = node->shape == AND ? YES : NO;
    for (int i = 0; i < node->child_count; i++) {
        truth_t child = interpret(node->children[i], memory);
        truth = node->shape == AND ? both(truth, child) : either(truth, child);
    }
    return truth;
}

// ------------------------------------------------------------------------------ comparing

static memdb_filter_t *parse(memdb_bytes_t text, const memdb_value_t *params, size_t count) {
    memdb_filter_t *filter = NULL;
    memdb_error_t error = {0};
    if (memdb_filter_parse(text, params, count, &filter, &error) != MEMDB_OK)
        fail_msg("%.*s\n%s", (int)text.size, text.data, error.message);
    return filter;
}

static void check_round_trip(const memdb_filter_t *filter, memdb_filter_t **again_out) {
    memdb__buffer_t first = {0}, second = {0};
    memdb__filter_print(filter, filter->root, &first);
    *again_out = parse((memdb_bytes_t){(char *)first.data, first.size}, NULL, 0);
    memdb__filter_print(*again_out, (*again_out)->root, &second);
    assert_int_equal(first.size, second.size);
    assert_memory_equal(first.data, second.data, first.size);
    memdb__buffer_deinit(&first);
    memdb__buffer_deinit(&second);
}

static int check(const expression_t *node, const char *text, const memdb_filter_t *filter,
                 const memdb_filter_t *again) {
    memory_t memory;
    filter_model_draw_memory(&memory);
    truth_t wanted = interpret(node, memory.json);
    truth_t found = (truth_t)memdb__filter_evaluate(filter, filter->root, memory.id, memory.version,
                                                    &memory.record);
    truth_t printed = (truth_t)memdb__filter_evaluate(again, again->root, memory.id, memory.version,
                                                      &memory.record);
    if (wanted != found || wanted != printed) {
        char *json = json_dumps(memory.json, 0);
        fail_msg("%s\non %s\nis %d, not %d, nor printed %d", text, json, wanted, found, printed);
    }
    assert_int_equal(memdb__filter_passes(filter, memory.id, memory.version, &memory.record),
                     wanted == YES);
    filter_model_free_memory(&memory);
    return wanted;
}

static void test_filter_agrees_with_a_plain_interpreter(void **unused) {
    const char *given = getenv("MEMDB_SEED");
    const char *longer = getenv("MEMDB_LONG");
    int pairs = longer && *longer == '1' ? 1000000 : 8000;
    size_t counts[3] = {0};
    (void)unused;
    filter_model_state = given ? strtoull(given, NULL, 0) : 20251125;
    print_message("seed=%llu\n", (unsigned long long)filter_model_state);
    for (int i = 0; i < pairs; i += 4) {
        static writer_t writer;
        char *text = NULL;
        size_t size;
        expression_t *node = filter_model_draw_expression(i / 4 % 4);
        writer.param_count = writer.item_count = 0;
        writer.out = open_memstream(&text, &size);
        assert_non_null(writer.out);
        filter_model_write(&writer, node, 0);
        fclose(writer.out);
        memdb_filter_t *filter =
                           parse((memdb_bytes_t){text, size}, writer.params, writer.param_count),
                       *again;
        check_round_trip(filter, &again);
        for (int m = 0; m < 4; m++)
            counts[check(node, text, filter, again)]++;
        memdb_filter_free(filter);
        memdb_filter_free(again);
        filter_model_free_expression(node);
        free(text);
    }
    print_message("%d pairs: %zu false, %zu true, %zu unknown\n", pairs, counts[NO], counts[YES],
                  counts[UNKNOWN]);
    assert_true(counts[NO] > (size_t)pairs / 10 && counts[YES] > (size_t)pairs / 10 &&
                counts[UNKNOWN] > (size_t)pairs / 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filter_agrees_with_a_plain_interpreter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
