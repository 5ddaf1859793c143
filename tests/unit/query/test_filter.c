// The filter language case by case: what is refused and where, how a filter prints, nulls, limits,
// parameters, and failed allocations.
#include "query/query_filter.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// cmocka.h uses what the headers above declare, so it comes last.
#include <cmocka.h>

static memdb_bytes_t bytes(const char *text) {
    return (memdb_bytes_t){text, strlen(text)};
}

static memdb_filter_t *parse(const char *text) {
    memdb_filter_t *filter = NULL;
    memdb_error_t error = {0};
    if (memdb_filter_parse(bytes(text), NULL, 0, &filter, &error))
        fail_msg("%s: %s", text, error.message);
    return filter;
}

static void refuse_with(const char *text, const memdb_value_t *params, size_t count,
                        memdb_status_t status, const char *message) {
    memdb_filter_t *filter = NULL;
    memdb_error_t error = {0};
    assert_int_equal(memdb_filter_parse(bytes(text), params, count, &filter, &error), status);
    assert_null(filter);
    assert_string_equal(error.message, message);
    assert_int_equal(error.status, status);
}

static void refuse(const char *text, const char *message) {
    refuse_with(text, NULL, 0, MEMDB_INVALID, message);
}

#define FIELDS                                                                                     \
    "a field (id, key, text, kind, session, actor, time, valid_from, valid_to, expires, "          \
    "importance, tokens, dimension, blobs, version) or attr.name"
#define COMPARISON "a comparison (= != < <= > >=, between, in, is null, starts with, contains)"
#define VALUE "a value (a text in single quotes, a number, true, false, null, time or ?)"

static void test_filter_errors_name_the_place(void **unused) {
    (void)unused;
    refuse("", "filter: byte 0: expected " FIELDS ", but the text ends");
    refuse("  kin = 'a'", "filter: byte 2: expected " FIELDS ", not kin");
    refuse("Kind = 'a'", "filter: byte 0: expected " FIELDS ", not Kind");
    refuse("kind", "filter: byte 4: expected " COMPARISON ", but the text ends");
    refuse("kind == 'a'", "filter: byte 6: expected " VALUE ", not =");
    refuse("kind = )", "filter: byte 7: expected " VALUE ", not )");
    refuse("kind = \"a\"", "filter: byte 7: expected " VALUE ", not \"a\"");
    refuse("kind = 'a' or", "filter: byte 13: expected " FIELDS ", but the text ends");
    refuse("kind = 'a' kind = 'b'", "filter: byte 11: expected and, or, or the end, not kind");
    refuse("(kind = 'a'", "filter: byte 11: expected and, or, or ), but the text ends");
    refuse("kind = 'a')", "filter: byte 10: expected and, or, or the end, not )");
    refuse("kind = 'a", "filter: byte 7: the quote ' is not closed");
    refuse("kind = 'it''s", "filter: byte 7: the quote ' is not closed");
    refuse("kind ~ 'a'", "filter: byte 5: nothing begins with the character 0x7e");
    refuse("kind in 'a'", "filter: byte 8: expected a list in parentheses, or ?, not 'a'");
    refuse("kind in ('a' 'b')",
           "filter: byte 13: expected a comma, or ) at the end of the list, not 'b'");
    refuse("kind in ('a', ", "filter: byte 14: expected " VALUE ", but the text ends");
    refuse("kind is 'a'", "filter: byte 8: expected null or not null, not 'a'");
    refuse("kind is not 5", "filter: byte 12: expected null, not 5");
    refuse("kind starts 'a'", "filter: byte 12: expected `with` of `starts with`, not 'a'");
    refuse("tokens between 1 or 2", "filter: byte 17: expected `and` of between, not or");
    refuse("tokens = 012", "filter: byte 9: a number is written as in JSON: 12, -0.5 or 1e6");
    refuse("tokens = 1e400", "filter: byte 9: the number is beyond 1.8e308, the largest there is");
    refuse("tokens in (-9e999)",
           "filter: byte 11: the number is beyond 1.8e308, the largest there is");
    refuse("tokens = 12x", "filter: byte 9: a number is written as in JSON: 12, -0.5 or 1e6");
    refuse("tokens = -", "filter: byte 9: a number is written as in JSON: 12, -0.5 or 1e6");
    refuse("attr = 1", "filter: byte 5: expected a dot and a name, as in attr.place.city, not =");
    refuse("attr.a. = 1", "filter: byte 8: expected a name, if need be in double quotes,, not =");
    refuse("attr.a-b = 1", "filter: byte 6: a number is written as in JSON: 12, -0.5 or 1e6");
    refuse("kind = 'a' and 日本日本日本日本日本日本日本日本日本日本日本",
           "filter: byte 15: expected " FIELDS ", not 日本日本日本日本日本日本日");
    memdb_filter_t *filter = NULL;
    memdb_error_t error;
    assert_int_equal(memdb_filter_parse((memdb_bytes_t){"kind = \0", 8}, NULL, 0, &filter, &error),
                     MEMDB_INVALID);
    assert_string_equal(error.message, "filter: byte 7: nothing begins with the character 0x00");
    refuse("kind = '\xff'", "filter: not UTF-8");
    assert_int_equal(memdb_filter_parse(bytes("id = 1"), NULL, 1, &filter, NULL), MEMDB_INVALID);
    assert_int_equal(memdb_filter_parse(bytes("id = 1"), NULL, 0, NULL, NULL), MEMDB_INVALID);
    assert_int_equal(memdb_filter_parse((memdb_bytes_t){NULL, 3}, NULL, 0, &filter, NULL),
                     MEMDB_INVALID);
}

static void test_filter_types_are_checked(void **unused) {
    (void)unused;
    refuse("time > 5", "filter: byte 7: time is compared with a time such as "
                       "'2023-05-08T13:56:00Z', not with a number");
    refuse("time > '2023-02-29'", "filter: byte 7: time is compared with a time: no such day");
    refuse("expires = true", "filter: byte 10: expires is compared with a time such as "
                             "'2023-05-08T13:56:00Z', not with true or false");
    refuse("attr.t = time 'noon'",
           "filter: byte 14: this is no time: not a time such as 2023-05-08T13:56:00Z");
    refuse("attr.t = time 1.5",
           "filter: byte 14: expected a time in quotes, or its microseconds, not 1.5");
    refuse("kind = 5", "filter: byte 7: kind is compared with a text in quotes, not with a number");
    refuse("kind in ('a', 5)",
           "filter: byte 14: kind is compared with a text in quotes, not with a number");
    refuse("tokens < 'a'",
           "filter: byte 9: tokens is compared with a number, not with a text in quotes");
    refuse("id = time '2023-05-08'", "filter: byte 10: id is compared with a number, not with a "
                                     "time such as '2023-05-08T13:56:00Z'");
    refuse("attr.a between 1 and 'z'",
           "filter: byte 7: the values of one test must be of one type");
    refuse("attr.a in (1, 'z')", "filter: byte 7: the values of one test must be of one type");
    refuse("attr.a < true", "filter: byte 7: true and false have no order");
    refuse("attr.a starts with 5", "filter: byte 19: a prefix is a text in quotes");
    refuse("tokens contains 5",
           "filter: byte 16: tokens is no text, so it neither starts with nor contains one");
}

// ------------------------------------------------------------------------------ parameters

static memdb_value_t text_value(const char *text) {
    return (memdb_value_t){.kind = MEMDB_VALUE_TEXT, .text = bytes(text)};
}

static void expect_print(const char *text, const memdb_value_t *params, size_t count,
                         const char *printed) {
    memdb_filter_t *filter = NULL;
    memdb_error_t error = {0};
    memdb__buffer_t out = {0};
    if (memdb_filter_parse(bytes(text), params, count, &filter, &error))
        fail_msg("%s: %s", text, error.message);
    memdb__filter_print(filter, filter->root, &out);
    memdb__buffer_append_u8(&out, 0);
    assert_string_equal((char *)out.data, printed);
    memdb__buffer_deinit(&out);
    memdb_filter_free(filter);
}

static void test_filter_prints_as_it_was_meant(void **unused) {
    (void)unused;
    static const char *const same[] = {
        "kind = 'it''s'",
        "kind != 'a' and tokens >= 5",
        "(kind = 'a' or kind = 'b') and not (tokens < 5 and tokens > 2)",
        "attr.a.\"b c\".\"d\"\"e\".7 is not null",
        "key not starts with 'a' and attr.tags not contains 5",
        "importance between -0.5 and 1000000.0",
        "id in (1, 2, 30)",
        "id not in ()",
        "not tokens <= 5",
        "attr.when < time '2023-05-08T13:56:00Z' or attr.when > time 9000000000000000000",
        "session is null or attr.done = true",
    };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        expect_print(same[i], NULL, 0, same[i]);
    expect_print("NOT NOT (kind='a' AND (tokens=1 And id<>2))", NULL, 0,
                 "kind = 'a' and tokens = 1 and id != 2");
    expect_print("not kind is not null", NULL, 0, "kind is null");
    expect_print("attr.x = 1 and kind = 'a' and text contains 'b' and id = 1", NULL, 0,
                 "kind = 'a' and id = 1 and attr.x = 1 and text contains 'b'");
    expect_print("time >= '2023-05-08'", NULL, 0, "time >= time '2023-05-08T00:00:00Z'");
    expect_print("id in (3, 1, null, 2, 1, 1.0)", NULL, 0, "id in (null, 1, 2, 3)");
}

static void test_filter_parameters_are_bound(void **unused) {
    (void)unused;
    const memdb_value_t ids[] = {{.kind = MEMDB_VALUE_INTEGER, .integer = 7},
                                 {.kind = MEMDB_VALUE_NUMBER, .number = 2.5}};
    const memdb_value_t params[] = {
        text_value("' or 1 = 1"),
        {.kind = MEMDB_VALUE_LIST, .list = {ids, 2}},
        {.kind = MEMDB_VALUE_TIME, .integer = 0},
        {.kind = MEMDB_VALUE_TIME, .integer = MEMDB_TIME_NONE},
        {.kind = MEMDB_VALUE_BOOL, .truth = true},
        text_value("2023-05-08"),
    };
    expect_print("kind = ? and id in ? and time > ? and expires = ? and attr.a = ? and time < ?",
                 params, 6,
                 "kind = ''' or 1 = 1' and id in (2.5, 7) and time > time '1970-01-01T00:00:00Z' "
                 "and expires = null and time < time '2023-05-08T00:00:00Z' and attr.a = true");
    expect_print("kind = ?6 or key = ?1 or attr.c in (?2, ?5) and actor = ?3 and text = ?4",
                 (memdb_value_t[]){text_value("a"), text_value("b"), text_value("c"),
                                   text_value("d"), text_value("e"), text_value("f")},
                 6,
                 "kind = 'f' or key = 'a' or actor = 'c' and text = 'd' and attr.c in ('b', 'e')");
    const memdb_value_t moments[] = {text_value("2023-05-08"),
                                     {.kind = MEMDB_VALUE_INTEGER, .integer = 1},
                                     {.kind = MEMDB_VALUE_NULL},
                                     {.kind = MEMDB_VALUE_TIME, .integer = 2}};
    expect_print("attr.a < time ? and attr.b > time ?2 and attr.c = time ? and attr.d = time ?",
                 moments, 4,
                 "attr.a < time '2023-05-08T00:00:00Z' and attr.b > time "
                 "'1970-01-01T00:00:00.000001Z' and attr.c = null and attr.d = time "
                 "'1970-01-01T00:00:00.000002Z'");
    refuse_with("attr.a = time ?", params + 4, 1, MEMDB_INVALID,
                "filter: byte 14: expected a time in quotes, or its microseconds, not ?");
    refuse_with("kind = ?", NULL, 0, MEMDB_INVALID,
                "filter: byte 7: parameter 1 is asked for, 0 are given");
    refuse_with("kind = ?3", params, 1, MEMDB_INVALID,
                "filter: byte 7: parameter 3 is asked for, 1 are given");
    refuse_with("kind = ?0", params, 1, MEMDB_INVALID,
                "filter: byte 7: parameters are counted from ?1 on");
    refuse_with("kind = ?", params, 3, MEMDB_INVALID,
                "filter: byte 8: 3 parameters are given, 1 are asked for");
    refuse_with("kind = ?", params + 1, 1, MEMDB_INVALID,
                "filter: byte 7: a list stands behind `in` alone, and holds no list");
    refuse_with("id in (?)", params + 1, 1, MEMDB_INVALID,
                "filter: byte 7: a list stands behind `in` alone, and holds no list");
    memdb_value_t bad = {.kind = MEMDB_VALUE_NUMBER, .number = NAN};
    refuse_with("id = ?", &bad, 1, MEMDB_INVALID,
                "filter: byte 5: the parameter's number is not finite");
    bad = text_value("\xff");
    refuse_with("kind = ?", &bad, 1, MEMDB_INVALID,
                "filter: byte 7: the parameter's text is not UTF-8");
    bad = text_value("noon");
    refuse_with("time = ?", &bad, 1, MEMDB_INVALID,
                "filter: byte 7: time is compared with a time: not a time such as "
                "2023-05-08T13:56:00Z");
    bad.kind = (memdb_value_kind_t)99;
    refuse_with("kind = ?", &bad, 1, MEMDB_INVALID,
                "filter: byte 7: the parameter is of no kind of value");
}

// ------------------------------------------------------------------------------ nulls

static memdb__filter_truth_t evaluate(const char *text) {
    static const char attrs[] =
        "{\"n\": 5, \"s\": \"five\", \"none\": null, \"list\": [1, \"one\", "
        "null, [2]], \"o\": {\"k\": false}}";
    static const memdb__record_t record = {
        .fields = MEMDB_FIELD_KIND | MEMDB_FIELD_TIME | MEMDB_FIELD_ATTRS,
        .kind = {"fact", 4},
        .time = 1,
        .valid_from = MEMDB_TIME_NONE,
        .valid_to = MEMDB_TIME_NONE,
        .expires = MEMDB_TIME_NONE,
        .attrs = {attrs, sizeof attrs - 1},
    };
    memdb_filter_t *filter = parse(text);
    memdb__filter_truth_t truth =
        memdb__filter_evaluate(filter, filter->root, 7, UINT64_C(1) << 63, &record);
    memdb_filter_free(filter);
    return truth;
}

static void test_filter_nulls_are_as_in_sql(void **unused) {
    (void)unused;
    static const struct {
        const char *text;
        memdb__filter_truth_t truth;
    } cases[] = {
        {"kind = 'fact'", MEMDB__FILTER_TRUE},
        {"kind != 'fact'", MEMDB__FILTER_FALSE},
        {"actor = 'a'", MEMDB__FILTER_UNKNOWN},
        {"actor != 'a'", MEMDB__FILTER_UNKNOWN},
        {"not actor = 'a'", MEMDB__FILTER_UNKNOWN},
        {"actor is null", MEMDB__FILTER_TRUE},
        {"kind = null", MEMDB__FILTER_UNKNOWN},
        {"kind in ('a', null)", MEMDB__FILTER_UNKNOWN},
        {"kind in ('fact', null)", MEMDB__FILTER_TRUE},
        {"kind not in ('a', null)", MEMDB__FILTER_UNKNOWN},
        {"actor in ()", MEMDB__FILTER_FALSE},
        {"actor in ('a')", MEMDB__FILTER_UNKNOWN},
        {"kind = 'fact' or actor = 'a'", MEMDB__FILTER_TRUE},
        {"kind = 'fact' and actor = 'a'", MEMDB__FILTER_UNKNOWN},
        {"kind = 'x' and actor = 'a'", MEMDB__FILTER_FALSE},
        {"attr.n between null and 4", MEMDB__FILTER_FALSE},
        {"attr.n between null and 5", MEMDB__FILTER_UNKNOWN},
        {"attr.n = 5.0", MEMDB__FILTER_TRUE},
        {"attr.n = '5'", MEMDB__FILTER_UNKNOWN},
        {"attr.n != '5'", MEMDB__FILTER_UNKNOWN},
        {"attr.none is null", MEMDB__FILTER_TRUE},
        {"attr.gone is null", MEMDB__FILTER_TRUE},
        {"attr.n.k is null", MEMDB__FILTER_TRUE},
        {"attr.o is null", MEMDB__FILTER_FALSE},
        {"attr.o.k = false", MEMDB__FILTER_TRUE},
        {"attr.s contains 'iv'", MEMDB__FILTER_TRUE},
        {"attr.s contains 5", MEMDB__FILTER_UNKNOWN},
        {"attr.list contains 'one'", MEMDB__FILTER_TRUE},
        {"attr.list contains 'on'", MEMDB__FILTER_FALSE},
        {"attr.list contains 1", MEMDB__FILTER_TRUE},
        {"attr.list contains 2", MEMDB__FILTER_FALSE},
        {"attr.list contains null", MEMDB__FILTER_UNKNOWN},
        {"attr.list = 1", MEMDB__FILTER_UNKNOWN},
        {"dimension is null", MEMDB__FILTER_TRUE},
        {"blobs = 0", MEMDB__FILTER_TRUE},
        {"tokens is null", MEMDB__FILTER_TRUE},
        {"version > 9000000000000000000", MEMDB__FILTER_TRUE}, // of a transaction's own write
        {"id = 7", MEMDB__FILTER_TRUE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (evaluate(cases[i].text) != cases[i].truth)
            fail_msg("%s is %d", cases[i].text, evaluate(cases[i].text));
}

// ------------------------------------------------------------------------------ limits, failures

/// `count` times `part`, then `end`.
static char *repeat(const char *begin, size_t count, const char *part, const char *end) {
    char *text = malloc(strlen(begin) + count * strlen(part) + strlen(end) + 1);
    assert_non_null(text);
    char *at = text + strlen(begin);
    memcpy(text, begin, strlen(begin));
    for (size_t i = 0; i < count; i++, at += strlen(part))
        memcpy(at, part, strlen(part));
    memcpy(at, end, strlen(end) + 1);
    return text;
}

static void expect_limit(char *text, memdb_status_t status) {
    memdb_filter_t *filter = NULL;
    memdb_error_t error = {0};
    assert_int_equal(memdb_filter_parse(bytes(text), NULL, 0, &filter, &error), status);
    memdb_filter_free(filter);
    free(text);
}

static void test_filter_limits_hold(void **unused) {
    (void)unused;
    char *inner = repeat("", 64, "(", "id = 1");
    expect_limit(repeat(inner, 64, ")", ""), MEMDB_OK);
    free(inner);
    expect_limit(repeat("", 65, "(", "id = 1"), MEMDB_LIMIT);
    expect_limit(repeat("", 100001, "not ", "id = 1"), MEMDB_OK);
    expect_limit(repeat("id = 1", 4094, " or id = 1", ""), MEMDB_OK);
    expect_limit(repeat("id = 1", 4096, " or id = 1", ""), MEMDB_LIMIT);
    expect_limit(repeat("id in (1", 65535, ",1", ")"), MEMDB_OK);
    expect_limit(repeat("id in (1", 65536, ",1", ")"), MEMDB_LIMIT);
    expect_limit(repeat("attr", 32, ".a", " = 1"), MEMDB_OK);
    expect_limit(repeat("attr", 33, ".a", " = 1"), MEMDB_LIMIT);
    expect_limit(repeat("text contains '", 1024, "a", "'"), MEMDB_OK);
    expect_limit(repeat("text contains '", 1025, "a", "'"), MEMDB_LIMIT);
    expect_limit(repeat("id = 1", 1 << 20, " ", ""), MEMDB_LIMIT);
}

static void test_filter_failed_allocations_are_errors_and_no_leak(void **unused) {
    (void)unused;
    const memdb_value_t items[] = {text_value("a"), text_value("b")};
    const memdb_value_t params[] = {text_value("c"),
                                    {.kind = MEMDB_VALUE_LIST, .list = {items, 2}}};
    const char *text = "kind = ? and (attr.a.\"b\" in ? or not key starts with 'd') and id between "
                       "1 and 2 and id in (1,2,3,4,5,6,7,8,9) and attr.a.b.c.d.e.f.g is null";
    uint64_t live = memdb__memory_live(), failures = 0;
    for (memdb_status_t status = MEMDB_NOMEM; status; failures++) {
        memdb_filter_t *filter = NULL;
        memdb_error_t error = {0};
        memdb__memory_fail_after(failures);
        status = memdb_filter_parse(bytes(text), params, 2, &filter, &error);
        memdb__memory_fail_after(UINT64_MAX);
        assert_int_equal(status, filter ? MEMDB_OK : MEMDB_NOMEM);
        memdb_filter_free(filter);
        assert_int_equal(memdb__memory_live(), live);
    }
    assert_true(failures > 6);
}

static void test_filter_evaluation_allocates_nothing(void **unused) {
    (void)unused;
    memdb_filter_t *filter = parse("attr.a contains 'é' or attr.b < time '2023-05-08' or kind in "
                                   "('a', 'b') or not (attr.c = 1.5 and text contains 'x')");
    static const char attrs[] = "{\"a\":\"\\u00e8\",\"b\":\"2024-01-01\",\"c\":1.5}";
    const memdb__record_t record = {
        .kind = {"b", 1}, .text = {"xyz", 3}, .attrs = {attrs, sizeof attrs - 1}};
    uint64_t count = memdb__memory_count();
    assert_true(memdb__filter_passes(filter, 1, 1, &record));
    assert_int_equal(memdb__memory_count(), count);
    assert_true(memdb__filter_passes(NULL, 1, 1, &record));
    memdb_filter_free(filter);
}

static void *evaluate_often(void *context) {
    const memdb_filter_t *filter = context;
    for (uint32_t i = 0; i < 20000; i++) {
        char attributes[64];
        int size = snprintf(attributes, sizeof attributes, "{\"n\": %u.5, \"s\": \"\\u0061%u\"}",
                            i % 100, i % 7);
        memdb__record_t record = {
            .tokens = i % 50, .fields = MEMDB_FIELD_TOKENS, .attrs = {attributes, (size_t)size}};
        bool wanted = i % 50 < 25 && (i % 100 >= 50 || i % 7 == 3);
        if (memdb__filter_passes(filter, i, i, &record) != wanted)
            return "another answer";
    }
    return NULL;
}

static void test_filter_is_shared_by_threads(void **unused) {
    (void)unused;
    memdb_filter_t *filter = parse("tokens < 25 and (attr.n >= 50 or attr.s = 'a3')");
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, evaluate_often, filter), 0);
    for (size_t i = 0; i < 4; i++) {
        void *wrong;
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
    memdb_filter_free(filter);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filter_errors_name_the_place),
        cmocka_unit_test(test_filter_types_are_checked),
        cmocka_unit_test(test_filter_prints_as_it_was_meant),
        cmocka_unit_test(test_filter_parameters_are_bound),
        cmocka_unit_test(test_filter_nulls_are_as_in_sql),
        cmocka_unit_test(test_filter_limits_hold),
        cmocka_unit_test(test_filter_failed_allocations_are_errors_and_no_leak),
        cmocka_unit_test(test_filter_evaluation_allocates_nothing),
        cmocka_unit_test(test_filter_is_shared_by_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
