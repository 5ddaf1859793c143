// The JSON scanner against Jansson: random documents, written in random ways, are walked by both;
// strings are compared and searched as the plain text that Jansson gives. Damaged documents must
// be read without passing their end (the sanitizers watch).
#include "base/bytes.h"
#include "base/json_scan.h"
#include "tests/unit/base/base_test.h"

#include <jansson.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state;

static uint64_t below(uint64_t limit) {
    return test_below(&state, limit);
}

// ------------------------------------------------------------------------------ drawing

/// A short text of characters that escape, need several bytes, or repeat.
static size_t draw_text(char *out, size_t most) {
    static const char *const parts[] = {"a",    "b", "aa", "\"", "\\", "\n", "/",
                                        "\x01", "é", "你", "😀",  " ",  "."};
    size_t size = 0;
    for (uint64_t i = below(10) ? below(6) : below(most / 4); i > 0; i--) {
        const char *part = parts[below(sizeof parts / sizeof *parts)];
        memcpy(out + size, part, strlen(part));
        size += strlen(part);
    }
    if (below(12) == 0)
        out[size++] = '\0';
    return size;
}

static json_t *draw_number(void) {
    static const double reals[] = {0.0, -0.0, 0.1, 1e300, 5e-324, 1.5, -2.25, 1e22, 123456789.125};
    switch (below(5)) {
    case 0:
        return json_integer((json_int_t)below(20) - 10);
    case 1:
        return json_integer((json_int_t)test_random(&state));
    case 2:
        return json_real(reals[below(sizeof reals / sizeof *reals)]);
    case 3:
        return json_integer(below(2) ? INT64_MAX : INT64_MIN);
    default:
        return json_real((double)(int64_t)test_random(&state) / (double)(1 + below(1000000)));
    }
}

static json_t *draw_value(int depth) {
    char text[20000];
    json_t *value;
    switch (below(depth > 0 ? 8 : 6)) {
    case 0:
        return json_null();
    case 1:
        return json_boolean(below(2));
    case 2:
    case 3:
        return draw_number();
    case 4:
    case 5:
        return json_stringn(text, draw_text(text, below(40) ? 40 : sizeof text));
    case 6:
        value = json_array();
        for (uint64_t i = below(5); i > 0; i--)
            json_array_append_new(value, draw_value(depth - 1));
        return value;
    default:
        value = json_object();
        for (uint64_t i = below(5); i > 0; i--) {
            size_t size = draw_text(text, 40);
            text[size] = '\0';
            json_object_set_new(value, text, draw_value(depth - 1));
        }
        return value;
    }
}

static json_t *draw_object(void) {
    json_t *value = draw_value(4);
    while (!json_is_object(value)) {
        json_decref(value);
        value = draw_value(4);
    }
    return value;
}

/// Write it in one of several ways, into memory of exactly its size.
static char *write_object(const json_t *object, size_t *size_out) {
    size_t flags = (below(2) ? JSON_ENSURE_ASCII : 0) | (below(2) ? JSON_COMPACT : 0) |
                   (below(2) ? JSON_INDENT(below(8)) : 0) | (below(2) ? JSON_ESCAPE_SLASH : 0);
    char *text = json_dumps(object, flags);
    assert_non_null(text);
    *size_out = strlen(text);
    char *exact = malloc(*size_out);
    assert_non_null(exact);
    memcpy(exact, text, *size_out);
    free(text);
    return exact;
}

// ------------------------------------------------------------------------------ comparing

static int sign(int order) {
    return (order > 0) - (order < 0);
}

static void compare_string(const json_t *wanted, const memdb__json_t *found) {
    const char *text = json_string_value(wanted);
    size_t size = json_string_length(wanted);
    char *copy = malloc(size + 1), other[64];
    assert_non_null(copy);
    assert_int_equal(memdb__json_copy(found, copy, size), size);
    assert_memory_equal(copy, text, size);
    free(copy);
    assert_int_equal(memdb__json_compare(found, (memdb_bytes_t){text, size}), 0);
    for (int i = 0; i < 4; i++) {
        size_t length = draw_text(other, sizeof other - 8);
        const char *part = other;
        if (i % 2 && size) { // a part of it
            size_t at = below(size);
            part = text + at;
            length = 1 + below(size - at < 1024 ? size - at : 1024);
        }
        memdb_bytes_t bytes = {part, length};
        assert_int_equal(sign(memdb__json_compare(found, bytes)),
                         sign(memdb__compare(text, size, part, length)));
        assert_int_equal(memdb__json_starts(found, bytes),
                         size >= length && memcmp(text, part, length) == 0);
        assert_int_equal(memdb__json_holds(found, bytes),
                         !length || memmem(text, size, part, length) != NULL);
    }
}

static void compare(const json_t *wanted, const memdb__json_t *found) {
    static const memdb__json_kind_t kinds[] = {
        [JSON_OBJECT] = MEMDB__JSON_OBJECT, [JSON_ARRAY] = MEMDB__JSON_ARRAY,
        [JSON_STRING] = MEMDB__JSON_STRING, [JSON_INTEGER] = MEMDB__JSON_INTEGER,
        [JSON_REAL] = MEMDB__JSON_REAL,     [JSON_TRUE] = MEMDB__JSON_BOOL,
        [JSON_FALSE] = MEMDB__JSON_BOOL,    [JSON_NULL] = MEMDB__JSON_NULL};
    memdb__json_walk_t walk;
    memdb__json_t name, value;
    size_t count = 0;
    assert_int_equal(found->kind, kinds[json_typeof(wanted)]);
    switch (found->kind) {
    case MEMDB__JSON_BOOL:
        assert_int_equal(found->truth, json_is_true(wanted));
        break;
    case MEMDB__JSON_INTEGER:
        assert_true(found->integer == json_integer_value(wanted));
        break;
    case MEMDB__JSON_REAL:
        assert_true(found->real == json_real_value(wanted));
        break;
    case MEMDB__JSON_STRING:
        compare_string(wanted, found);
        break;
    case MEMDB__JSON_ARRAY:
        for (walk = memdb__json_enter(found); memdb__json_next(&walk, NULL, &value); count++)
            compare(json_array_get(wanted, count), &value);
        assert_int_equal(count, json_array_size(wanted));
        break;
    case MEMDB__JSON_OBJECT:
        for (walk = memdb__json_enter(found); memdb__json_next(&walk, &name, &value); count++) {
            char text[64];
            size_t size = memdb__json_copy(&name, text, sizeof text - 1);
            text[size] = '\0';
            assert_non_null(json_object_get(wanted, text));
            compare(json_object_get(wanted, text), &value);
        }
        assert_int_equal(count, json_object_size(wanted));
        break;
    default:
        break;
    }
}

/// Random paths, most of which lead somewhere.
static void compare_paths(json_t *object, memdb_bytes_t text) {
    for (int i = 0; i < 10; i++) {
        memdb_bytes_t steps[6];
        size_t count = 0;
        json_t *at = object;
        while (count < 6 && (count == 0 || below(4))) {
            uint64_t skipped = json_object_size(at) ? below(json_object_size(at)) : 0;
            void *member = json_object_iter(at);
            for (; member && skipped > 0; skipped--)
                member = json_object_iter_next(at, member);
            const char *name = member && below(8) ? json_object_iter_key(member) : "absent";
            steps[count++] = (memdb_bytes_t){name, strlen(name)};
            at = json_object_get(at, name);
        }
        memdb__json_t found;
        bool there = memdb__json_find(text, steps, count, &found);
        assert_int_equal(there, at != NULL);
        if (there)
            compare(at, &found);
    }
}

static void test_json_scan_agrees_with_jansson(void **unused) {
    (void)unused;
    state = test_seed();
    int rounds = getenv("MEMDB_LONG") ? 100000 : 4000;
    for (int i = 0; i < rounds; i++) {
        size_t size;
        json_t *object = draw_object();
        char *text = write_object(object, &size);
        memdb__json_t found;
        assert_true(memdb__json_read((memdb_bytes_t){text, size}, &found));
        compare(object, &found);
        compare_paths(object, (memdb_bytes_t){text, size});
        free(text);
        json_decref(object);
    }
}

/// Go everywhere that the scanner leads to.
static size_t roam(const memdb__json_t *value, int depth) {
    memdb__json_walk_t walk = memdb__json_enter(value);
    memdb__json_t name, inner;
    char text[64];
    size_t count = 1;
    if (value->kind == MEMDB__JSON_STRING) {
        memdb__json_holds(value, (memdb_bytes_t){"ab", 2});
        memdb__json_starts(value, (memdb_bytes_t){"ab", 2});
        memdb__json_compare(value, (memdb_bytes_t){"ab", 2});
        memdb__json_copy(value, text, sizeof text);
    }
    while (depth < 20 && memdb__json_next(&walk, &name, &inner))
        count += roam(&inner, depth + 1);
    return count;
}

static void test_json_scan_never_passes_the_end(void **unused) {
    (void)unused;
    state = test_seed();
    for (int i = 0; i < 4000; i++) {
        size_t size;
        json_t *object = draw_object();
        char *text = write_object(object, &size);
        for (uint64_t harm = 1 + below(4); harm > 0; harm--)
            text[below(size)] = below(2) ? "\"\\{}[],:0-.eu"[below(13)] : (char)below(256);
        size_t cut = 1 + below(size);
        char *exact = malloc(cut);
        assert_non_null(exact);
        memcpy(exact, text, cut);
        memdb__json_t found;
        memdb_bytes_t steps[] = {{"a", 1}, {"b", 1}};
        if (memdb__json_read((memdb_bytes_t){exact, cut}, &found))
            assert_true(roam(&found, 0) > 0);
        memdb__json_find((memdb_bytes_t){exact, cut}, steps, 2, &found);
        free(exact);
        free(text);
        json_decref(object);
    }
}

static void test_json_scan_numbers_follow_the_grammar(void **unused) {
    static const char *const wrong[] = {"", "-", "01", "1.", ".5", "1e", "1e+", "--1", "+1", "-.1"};
    memdb__json_t value;
    (void)unused;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_null(memdb__json_number(wrong[i], wrong[i] + strlen(wrong[i]) + 1, &value));
    const char *last = "9223372036854775807 ", *beyond = "9223372036854775808 ";
    assert_ptr_equal(memdb__json_number(last, last + 20, &value), last + 19);
    assert_int_equal(value.kind, MEMDB__JSON_INTEGER);
    assert_true(value.integer == INT64_MAX);
    assert_non_null(memdb__json_number(beyond, beyond + 20, &value));
    assert_int_equal(value.kind, MEMDB__JSON_REAL);
    assert_true(value.real == 9223372036854775808.0);
    assert_null(memdb__json_number("12", "12" + 2, &value)); // nothing ends it
}

static void test_json_scan_reads_a_point_in_any_locale(void **unused) {
    (void)unused;
    const char *names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "C.UTF-8"};
    for (size_t i = 0; i < 3; i++) {
        memdb__json_t value;
        const char *text = "[1.5]";
        if (!setlocale(LC_ALL, names[i]))
            continue;
        assert_non_null(memdb__json_number(text + 1, text + 5, &value));
        assert_true(value.real == 1.5);
    }
    setlocale(LC_ALL, "C");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_scan_agrees_with_jansson),
        cmocka_unit_test(test_json_scan_never_passes_the_end),
        cmocka_unit_test(test_json_scan_numbers_follow_the_grammar),
        cmocka_unit_test(test_json_scan_reads_a_point_in_any_locale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
