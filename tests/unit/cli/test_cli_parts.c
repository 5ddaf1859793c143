// The parts of the shell that need no database: base64, lines and JSON. Base64 and lines are
// compared with their own inverse.
#include "cli/cli_base64.h"
#include "cli/cli_json.h"
#include "cli/cli_lines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

// cmocka.h uses what the headers above declare, so it comes last.
#include <cmocka.h>

static uint64_t state;

static uint64_t dice(void) { // xorshift64*
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 2685821657736338717u;
}

static void seed_dice(void) {
    const char *given = getenv("MEMDB_SEED");
    state = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL) * 2654435761u + 1;
    printf("seed=%llu\n", (unsigned long long)state);
    state = state ? state : 1;
}

static memdb_bytes_t bytes(const char *text) {
    return (memdb_bytes_t){text, strlen(text)};
}

static void test_base64_random_bytes_come_back(void **unused) {
    (void)unused;
    seed_dice();
    for (int i = 0; i < 2000; i++) {
        unsigned char data[100];
        size_t size = dice() % sizeof data;
        cli_buffer_t text = {0}, back = {0};
        for (size_t j = 0; j < size; j++)
            data[j] = (unsigned char)dice();
        cli_base64_encode(data, size, &text);
        assert_int_equal(text.size, (size + 2) / 3 * 4);
        assert_true(cli_base64_decode(text.data, text.size, &back));
        assert_int_equal(back.size, size);
        if (size)
            assert_memory_equal(back.data, data, size);
        cli_buffer_free(&text);
        cli_buffer_free(&back);
    }
}

static void test_base64_other_texts_are_refused(void **unused) {
    static const char *const wrong[] = {
        "A",        "AA",   "AAA",   "AA=",   "A===", "====", "AB==CDEF",
        "AB==AB==", "AB==", "ABC=X", "AAA\n", "AA-_", "AAB=", " AAA"};
    (void)unused;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        cli_buffer_t out = {0};
        if (cli_base64_decode(wrong[i], strlen(wrong[i]), &out))
            fail_msg("accepted: %s", wrong[i]);
        assert_int_equal(out.size, 0);
        cli_buffer_free(&out);
    }
}

static void test_lines_long_ones_are_skipped_and_the_last_needs_no_newline(void **unused) {
    int ends[2];
    cli_lines_t lines;
    const char *line;
    size_t size;
    (void)unused;
    assert_int_equal(pipe(ends), 0);
    assert_true(cli_write_all(ends[1], "one\n\n12345678\n123456789\nlast", 28));
    close(ends[1]);
    cli_lines_init(&lines, ends[0], 8);
    assert_int_equal(cli_lines_next(&lines, &line, &size), CLI_LINE);
    assert_int_equal(size, 3);
    assert_memory_equal(line, "one", 3);
    assert_int_equal(cli_lines_next(&lines, &line, &size), CLI_LINE);
    assert_int_equal(size, 0);
    assert_int_equal(cli_lines_next(&lines, &line, &size), CLI_LINE);
    assert_int_equal(size, 8);
    assert_int_equal(cli_lines_next(&lines, &line, &size), CLI_LINE_TOO_LONG);
    assert_int_equal(cli_lines_next(&lines, &line, &size), CLI_LINE);
    assert_memory_equal(line, "last", 4);
    assert_int_equal(cli_lines_next(&lines, &line, &size), CLI_LINE_END);
    cli_lines_deinit(&lines);
    close(ends[0]);
}

static void test_lines_a_pipe_outlives_its_descriptor(void **unused) {
    int ends[2];
    (void)unused;
    assert_int_equal(pipe(ends), 0);
    int held = cli_lines_outlive(ends[0]);
    close(ends[0]);
    if (held < 0) {
        close(ends[1]);
        print_message("this process may not use io_uring\n");
        skip();
    }
    assert_true(cli_write_all(ends[1], "late", 4));
    close(ends[1]);
    close(held);
}

static void test_json_values_come_back_as_they_went(void **unused) {
    static const char text[] = "{\"a\":0.1,\"b\":[1,1.0,-2.5e300,9007199254740993],\"c\":"
                               "\"q\\\"\\\\\\n\\u0000\\u001F\xC3\xA9\","
                               "\"d\":{},\"e\":[],\"f\":null,\"g\":true,\"h\":1e-300}";
    cli_buffer_t out = {0};
    memdb_error_t error = {0};
    (void)unused;
    cli_json_t *value = cli_json_parse(text, sizeof text - 1, NULL, &error);
    assert_non_null(value);
    cli_json_write(value, &out);
    cli_json_t *back = cli_json_parse(out.data, out.size, NULL, &error);
    assert_non_null(back);
    assert_true(cli_json_equal(value, back));
    assert_non_null(strstr(out.data, "\"a\":0.1,\"b\":[1,1.0,"));
    assert_non_null(strstr(out.data, "9007199254740993"));
    cli_json_free(back);
    cli_json_free(value);
    cli_buffer_free(&out);
}

static void test_json_text_that_is_not_utf8_is_no_string(void **unused) {
    static const char *const wrong[] = {
        "\xFF",  "\xC0\x80",        "\xE2\x82", "\xED\xA0\x80", "\xF4\x90\x80\x80",
        "a\x80", "\xF0\x80\x80\x80"};
    (void)unused;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_null(cli_json_new_string(bytes(wrong[i])));
    cli_json_t *clean = cli_json_new_text("a\xFF"
                                          "b");
    assert_int_equal(cli_json_bytes(clean).size, 5);
    cli_json_free(clean);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base64_random_bytes_come_back),
        cmocka_unit_test(test_base64_other_texts_are_refused),
        cmocka_unit_test(test_lines_long_ones_are_skipped_and_the_last_needs_no_newline),
        cmocka_unit_test(test_lines_a_pipe_outlives_its_descriptor),
        cmocka_unit_test(test_json_values_come_back_as_they_went),
        cmocka_unit_test(test_json_text_that_is_not_utf8_is_no_string),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
