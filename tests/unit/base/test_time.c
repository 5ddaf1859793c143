// Times: the accepted forms, what is refused, and random moments against the C library's calendar.
#include "tests/unit/base/base_test.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static memdb_bytes_t bytes(const char *text) {
    return (memdb_bytes_t){text, strlen(text)};
}

static void check_time(const char *text, const char *utc) {
    char printed[MEMDB_TIME_TEXT_BYTES];
    int64_t moment = 0;
    assert_int_equal(memdb_time_parse(bytes(text), &moment, NULL), MEMDB_OK);
    memdb_time_print(moment, printed);
    assert_string_equal(printed, utc);
}

static void test_time_accepted_forms_print_in_utc(void **unused) {
    (void)unused;
    check_time("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z");
    check_time("2023-05-08T13:56:00", "2023-05-08T13:56:00Z");
    check_time("2023-05-08", "2023-05-08T00:00:00Z");
    check_time("2023-05-08T13:56:00+02:00", "2023-05-08T11:56:00Z");
    check_time("2024-02-29T23:30:00-01:45", "2024-03-01T01:15:00Z");
    check_time("1969-12-31t23:59:59.999999z", "1969-12-31T23:59:59.999999Z");
    check_time("0001-01-01T00:00:00.1", "0001-01-01T00:00:00.100000Z");
    check_time("9999-12-31T23:59:59.000001Z", "9999-12-31T23:59:59.000001Z");
    check_time("2000-02-29T00:00:00Z", "2000-02-29T00:00:00Z");
}

static void test_time_other_forms_are_refused(void **unused) {
    static const char *const wrong[] = {"",
                                        "2023",
                                        "2023-5-8",
                                        "2023-13-01",
                                        "2023-00-10",
                                        "2023-02-29",
                                        "1900-02-29",
                                        "0000-01-01",
                                        "2023-04-31",
                                        "2023-05-08T",
                                        "2023-05-08 13:56:00",
                                        "2023-05-08T13:56",
                                        "2023-05-08T24:00:00",
                                        "2023-05-08T13:60:00",
                                        "2023-05-08T13:56:60",
                                        "2023-05-08T13:56:00.",
                                        "2023-05-08T13:56:00.1234567",
                                        "2023-05-08T13:56:00+2",
                                        "2023-05-08T13:56:00+24:00",
                                        "2023-05-08T13:56:00+02:60",
                                        "2023-05-08T13:56:00Zx",
                                        "2023-05-08Z",
                                        "+2023-05-08",
                                        "0001-01-01T00:00:00+00:01",
                                        "9999-12-31T23:59:59-00:01",
                                        " 2023-05-08"};
    int64_t moment;
    (void)unused;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (memdb_time_parse(bytes(wrong[i]), &moment, NULL) == MEMDB_OK)
            fail_msg("accepted: %s", wrong[i]);
}

static void test_time_random_moments_agree_with_the_c_library(void **unused) {
    (void)unused;
    uint64_t state = test_seed();
    for (int i = 0; i < 20000; i++) {
        time_t seconds = (time_t)(test_random(&state) % 315537897600u) - 62135596800;
        int64_t back, moment = (int64_t)seconds * 1000000 +
                               (i % 2 ? (int64_t)(test_random(&state) % 1000000) : 0);
        char printed[MEMDB_TIME_TEXT_BYTES], expected[80];
        struct tm parts;
        memdb_time_print(moment, printed);
        gmtime_r(&seconds, &parts);
        snprintf(expected, sizeof expected, "%04d-%02d-%02dT%02d:%02d:%02d", parts.tm_year + 1900,
                 parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
        assert_memory_equal(printed, expected, 19);
        assert_int_equal(memdb_time_parse(bytes(printed), &back, NULL), MEMDB_OK);
        assert_int_equal(back, moment);
    }
}

static void test_time_refusal_says_why(void **unused) {
    memdb_error_t error;
    int64_t moment = 7;
    (void)unused;
    assert_int_equal(memdb_time_parse(bytes("2023-02-29"), &moment, &error), MEMDB_INVALID);
    assert_string_equal(error.message, "no such day");
    assert_int_equal(moment, 7);
    assert_int_equal(memdb_time_parse(bytes("2023-02-28"), NULL, &error), MEMDB_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_time_accepted_forms_print_in_utc),
        cmocka_unit_test(test_time_other_forms_are_refused),
        cmocka_unit_test(test_time_random_moments_agree_with_the_c_library),
        cmocka_unit_test(test_time_refusal_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
