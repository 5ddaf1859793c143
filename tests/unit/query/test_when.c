// Goal: each rule of docs/time.md makes the window that it says, what is no time makes none, and no
// text whatever makes a window that ends before it begins.
// Method: a table of questions, each with its windows written down; then random questions of the
// words that the rules know, read at random moments.
#include "query/query_when.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SUNDAY "2023-10-22" // at noon: the moment of the table, unless a row has its own

typedef struct row {
    const char *question, *windows;
    const char *now;
} row_t;

static int64_t day_of(const char *date) {
    int year, month, day;
    assert_int_equal(sscanf(date, "%d-%d-%d", &year, &month, &day), 3);
    return memdb__calendar_days(year, month, day);
}

static void print_time(char *out, size_t size, int64_t time) {
    char clock[16] = "";
    if (time == INT64_MIN || time == INT64_MAX) {
        snprintf(out, size, "open");
        return;
    }
    int64_t day = memdb__when_day(time), minutes = (time - day * MEMDB__DAY_US) / 60000000;
    memdb__date_t date = memdb__calendar_date(day);
    if (minutes) {
        snprintf(clock, sizeof clock, " %02d:%02d", (int)(minutes / 60), (int)(minutes % 60));
    }
    snprintf(out, size, "%04d-%02d-%02d%s", date.year, date.month, date.day, clock);
}

/// "2023-05-08 2023-05-09; sessions 1 3", and " +" where the question asks for more than that.
static void describe(const memdb__when_t *when, char *out, size_t size) {
    size_t used = 0;
    out[0] = 0;
    for (size_t i = 0; i < when->count; i++) {
        const memdb__window_t *window = &when->windows[i];
        char from[32], to[32];
        print_time(from, sizeof from, window->from);
        print_time(to, sizeof to, window->to);
        const char *between = i ? "; " : "";
        int written = window->first_session
                          ? snprintf(out + used, size - used, "%ssessions %d %d", between,
                                     window->first_session, window->last_session)
                          : snprintf(out + used, size - used, "%s%s, %s", between, from, to);
        used += (size_t)written;
    }
    snprintf(out + used, size - used, "%s", when->alone ? "" : used ? " +" : "+");
}

static void check(const row_t *rows, size_t count) {
    int wrong = 0;
    for (size_t i = 0; i < count; i++) {
        char found[256];
        memdb__when_t when;
        const row_t *row = &rows[i];
        int64_t now = day_of(row->now ? row->now : SUNDAY) * MEMDB__DAY_US + MEMDB__DAY_US / 2;
        memdb__when_read(row->question, strlen(row->question), now, &when);
        describe(&when, found, sizeof found);
        if (strcmp(found, row->windows) != 0) {
            print_message("%s\n  expected %s\n  found    %s\n", row->question, row->windows, found);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

#define CHECK(rows) check(rows, sizeof(rows) / sizeof *(rows))

static void test_when_dates(void **state) {
    (void)state;
    static const row_t rows[] = {
        {"What happened on 2023-05-08?", "2023-05-08, 2023-05-09", NULL},
        {"on 2023/5/8", "2023-05-08, 2023-05-09", NULL},
        {"at 2023-05-08T13:56:00Z", "2023-05-08, 2023-05-09", NULL},
        {"in 2023-05", "2023-05-01, 2023-06-01", NULL},
        {"on 2023-02-29", "+", NULL},
        {"on 5/8/2023", "2023-05-08, 2023-05-09", NULL},
        {"on 13/5/2023", "2023-05-13, 2023-05-14", NULL},
        {"on 8.5.2023", "2023-05-08, 2023-05-09", NULL},
        {"Where did Ann go on May 8th?", "2023-05-08, 2023-05-09 +", NULL},
        {"on May 8, 2021", "2021-05-08, 2021-05-09", NULL},
        {"on May the eighth", "2023-05-08, 2023-05-09", NULL},
        {"on 8 May", "2023-05-08, 2023-05-09", NULL},
        {"on the 8th of May, 2022", "2022-05-08, 2022-05-09", NULL},
        {"on the twenty-first of June", "2023-06-21, 2023-06-22", NULL},
        {"on November 5th", "2022-11-05, 2022-11-06", NULL}, // the one that has begun
        {"on October 22nd", "2023-10-22, 2023-10-23", NULL},
        {"on May 8 last year", "2022-05-08, 2022-05-09", NULL},
        {"on May 8th of this year", "2023-05-08, 2023-05-09", NULL},
        {"on Feb 29", "2020-02-29, 2020-03-01", NULL},
        {"on the 8th", "2023-10-08, 2023-10-09", NULL},
        {"on the 31st", "2023-08-31, 2023-09-01", NULL},
        {"on the 8th floor", "+", NULL},
        {"on the first point", "+", NULL},
        {"the 8th of last month", "2023-09-08, 2023-09-09", NULL},
        {"the 31st of last month", "2023-09-01, 2023-10-01 +", NULL}, // it has none
        {"on the morning of May 8th", "2023-05-08, 2023-05-08 12:00", NULL},
        {"8 people and 3 dogs", "+", NULL},
    };
    CHECK(rows);
}

static void test_when_months_and_years(void **state) {
    (void)state;
    static const row_t rows[] = {
        {"in May", "2023-05-01, 2023-06-01", NULL},
        {"in December", "2022-12-01, 2023-01-01", NULL},
        {"in october", "2023-10-01, 2023-11-01", NULL},
        {"in May 2021", "2021-05-01, 2021-06-01", NULL},
        {"in May of 2021", "2021-05-01, 2021-06-01", NULL},
        {"in March of last year", "2022-03-01, 2022-04-01", NULL},
        {"last May", "2023-05-01, 2023-06-01", NULL},
        {"last November", "2022-11-01, 2022-12-01", NULL},
        {"this June", "2023-06-01, 2023-07-01", NULL},
        {"next May", "2024-05-01, 2024-06-01", NULL},
        {"in 2022", "2022-01-01, 2023-01-01", NULL},
        {"in the year 2022", "2022-01-01, 2023-01-01", NULL},
        {"in the 1990s", "1990-01-01, 2000-01-01", NULL},
        {"in early May", "2023-05-01, 2023-05-11", NULL},
        {"in mid-May", "2023-05-11, 2023-05-21", NULL},
        {"in late February 2024", "2024-02-21, 2024-03-01", NULL},
        {"at the end of 2021", "2021-09-01, 2022-01-01", NULL},
        {"at the beginning of last month", "2023-09-01, 2023-09-11", NULL},
        {"the first week of June 2022", "2022-06-01, 2022-06-08", NULL},
        {"in the last week of May", "2023-05-25, 2023-06-01", NULL},
        {"the last weekend of May 2023", "2023-05-27, 2023-05-29", NULL},
        {"on the last day of February 2024", "2024-02-29, 2024-03-01", NULL},
        {"the third month of 2022", "2022-03-01, 2022-04-01", NULL},
        {"the first half of September 2022", "2022-09-01, 2022-09-16", NULL},
        {"the second half of last year", "2022-07-01, 2023-01-01", NULL},
        {"the fifth week of February 2023", "2023-02-01, 2023-03-01 +", NULL}, // it has none
        {"the 616662676th week of May", "2023-05-01, 2023-06-01 +", NULL},
        {"May I ask what we said", "+", NULL}, // no month without a word before it
        {"we march on", "+", NULL},
        {"2022 people", "+", NULL},
        {"OCT4 and room 2022", "+", NULL},
    };
    CHECK(rows);
}

static void test_when_beside_now(void **state) {
    (void)state;
    static const row_t rows[] = {
        {"today", "2023-10-22, 2023-10-23", NULL},
        {"What did we say yesterday?", "2023-10-21, 2023-10-22", NULL},
        {"yesterday's talk", "2023-10-21, 2023-10-22", NULL},
        {"tomorrow", "2023-10-23, 2023-10-24", NULL},
        {"the day before yesterday", "2023-10-20, 2023-10-21", NULL},
        {"the day after tomorrow", "2023-10-24, 2023-10-25", NULL},
        {"earlier this morning", "2023-10-22, 2023-10-22 12:00", NULL},
        {"this afternoon", "2023-10-22 12:00, 2023-10-22 18:00", NULL},
        {"tonight", "2023-10-22 18:00, 2023-10-23 06:00", NULL},
        {"last night", "2023-10-21 18:00, 2023-10-22 06:00", NULL},
        {"yesterday evening", "2023-10-21 18:00, 2023-10-22", NULL},
        {"Friday", "2023-10-20, 2023-10-21", NULL},
        {"on Sunday", "2023-10-22, 2023-10-23", NULL},
        {"last Sunday", "2023-10-15, 2023-10-16", NULL},
        {"last Friday", "2023-10-20, 2023-10-21", NULL},
        {"last fri", "2023-10-20, 2023-10-21", NULL},
        {"this Friday", "2023-10-20, 2023-10-21", NULL},
        {"next Friday", "2023-10-27, 2023-10-28", NULL},
        {"this coming Friday", "2023-10-27, 2023-10-28", NULL},
        {"Friday evening", "2023-10-20 18:00, 2023-10-21", NULL},
        {"Friday of last week", "2023-10-13, 2023-10-14", NULL},
        {"every Friday", "+", NULL},
        {"the cat sat", "+", NULL},
        {"this week", "2023-10-16, 2023-10-23", NULL},
        {"last week", "2023-10-09, 2023-10-16", NULL},
        {"next week", "2023-10-23, 2023-10-30", NULL},
        {"the past week", "2023-10-15, 2023-10-23", NULL},
        {"over this last week", "2023-10-15, 2023-10-23", NULL},
        {"in the previous week", "2023-10-09, 2023-10-16", NULL},
        {"last weekend", "2023-10-14, 2023-10-16", NULL},
        {"over the weekend", "2023-10-21, 2023-10-23", NULL},
        {"over the weekend", "2023-10-14, 2023-10-16", "2023-10-17"},
        {"the week before last", "2023-10-02, 2023-10-09", NULL},
        {"last week on Friday", "2023-10-13, 2023-10-14", NULL},
        {"last month on the 8th", "2023-09-08, 2023-09-09", NULL},
        {"last year in May", "2022-05-01, 2022-06-01", NULL},
        {"last year on May 8th", "2022-05-08, 2022-05-09", NULL},
        {"this month", "2023-10-01, 2023-11-01", NULL},
        {"last month", "2023-09-01, 2023-10-01", NULL},
        {"in the last month", "2023-09-22, 2023-10-23", NULL},
        {"in the last month", "2023-02-28, 2023-04-01", "2023-03-31"},
        {"last year", "2022-01-01, 2023-01-01", NULL},
        {"the last week of the show", "+", NULL},
        {"half of the cake in the last half hour", "+", NULL},
    };
    CHECK(rows);
}

static void test_when_distances(void **state) {
    (void)state;
    static const row_t rows[] = {
        {"167 days ago", "2023-05-08, 2023-05-09", NULL},
        {"one day ago", "2023-10-21, 2023-10-22", NULL},
        {"three days back", "2023-10-19, 2023-10-20", NULL},
        {"twenty-two days ago", "2023-09-30, 2023-10-01", NULL},
        {"a week ago", "2023-10-12, 2023-10-19", NULL},
        {"two weeks ago", "2023-10-05, 2023-10-12", NULL},
        {"a fortnight ago", "2023-10-05, 2023-10-12", NULL},
        {"two weekends ago", "2023-10-14, 2023-10-16", NULL},
        {"5 months ago", "2023-05-01, 2023-06-01", NULL},
        {"a couple of months ago", "2023-08-01, 2023-09-01", NULL},
        {"a year ago", "2022-01-01, 2023-01-01", NULL},
        {"a few days ago", "2023-10-17, 2023-10-21", NULL},
        {"3 hours ago", "2023-10-22 08:15, 2023-10-22 09:45", NULL},
        {"an hour ago", "2023-10-22 10:30, 2023-10-22 11:30", NULL},
        {"three days from now", "2023-10-25, 2023-10-26", NULL},
        {"over the last 3 days", "2023-10-19, 2023-10-23", NULL},
        {"in the past two weeks", "2023-10-08, 2023-10-23", NULL},
        {"in the last 6 months", "2023-04-22, 2023-10-23", NULL},
        {"the past few years", "2018-10-22, 2023-10-23", NULL},
        {"in the past 2 hours", "2023-10-22 10:00, 2023-10-22 12:00", NULL},
        {"in the next 3 days", "2023-10-22, 2023-10-26", NULL},
        {"on the Monday before July 24, 2023", "2023-07-17, 2023-07-18", NULL},
        {"the Friday after May 8", "2023-05-12, 2023-05-13", NULL},
        {"the week before May 8th", "2023-05-01, 2023-05-08", NULL},
        {"the month after May 2023", "2023-06-01, 2023-07-01", NULL},
        {"the weekend before July 24, 2023", "2023-07-22, 2023-07-24", NULL},
        {"two days before May 8, 2023", "2023-05-06, 2023-05-07", NULL},
        {"a week after July 3", "2023-07-07, 2023-07-14", NULL},
        {"99999 days ago", "+", NULL},
        {"0 days ago", "+", NULL},
        {"days ago", "+", NULL},
    };
    CHECK(rows);
}

static void test_when_spans_and_open_sides(void **state) {
    (void)state;
    static const row_t rows[] = {
        {"between February 28th and March 22nd", "2023-02-28, 2023-03-23", NULL},
        {"from May 3 to May 11, 2022", "2022-05-03, 2022-05-12", NULL},
        {"from March to May 2022", "2022-03-01, 2022-06-01", NULL},
        {"from December 2022 to February", "2022-12-01, 2023-03-01", NULL},
        {"between December and February", "2022-12-01, 2023-03-01", NULL},
        {"from 2020 through 2022", "2020-01-01, 2023-01-01", NULL},
        {"May 3-11, 2022", "2022-05-03, 2022-05-12", NULL},
        {"May 3 \xE2\x80\x93 11", "2023-05-03, 2023-05-12", NULL},
        {"between the 3rd and the 11th of May", "2023-05-03, 2023-05-12", NULL},
        {"from Monday to Wednesday", "2023-10-16, 2023-10-19", NULL},
        {"from May until now", "2023-05-01, 2023-10-23", NULL},
        {"between 3 and 8", "+", NULL},
        {"between May 8 2023 and May 8 2022", "2023-05-08, 2023-05-09; 2022-05-08, 2022-05-09",
         NULL},
        {"since May", "2023-05-01, open", NULL},
        {"since last Friday", "2023-10-20, open", NULL},
        {"after May 8", "2023-05-09, open", NULL},
        {"before yesterday", "open, 2023-10-21", NULL},
        {"prior to 2021", "open, 2021-01-01", NULL},
        {"until last week", "open, 2023-10-16", NULL},
        {"by Friday", "open, 2023-10-21", NULL},
        {"since the 5th", "2023-10-05, open", NULL},
        {"since 5", "+", NULL},
        {"after the party", "+", NULL},
        {"about the party on May 8 and on June 9",
         "2023-05-08, 2023-05-09; 2023-06-09, 2023-06-10 +", NULL},
    };
    CHECK(rows);
}

static void test_when_sessions(void **state) {
    (void)state;
    static const row_t rows[] = {
        {"What did we discuss in our first session?", "sessions 1 1", NULL},
        {"in our twenty-eighth session", "sessions 28 28", NULL},
        {"in the 3rd conversation", "sessions 3 3", NULL},
        {"session 3", "sessions 3 3", NULL},
        {"session #12", "sessions 12 12", NULL},
        {"over sessions 1 through 3", "sessions 1 3", NULL},
        {"sessions 1-3", "sessions 1 3", NULL},
        {"between sessions 2 and 5", "sessions 2 5", NULL},
        {"from the second to the fifth session", "sessions 2 5", NULL},
        {"the first two sessions", "sessions 1 2", NULL},
        {"20 sessions ago", "sessions -20 -20", NULL},
        {"two chats ago", "sessions -2 -2", NULL},
        {"last session", "sessions -1 -1", NULL},
        {"our most recent conversation", "sessions -1 -1", NULL},
        {"the last 3 sessions", "sessions -3 -1", NULL},
        {"the second to last session", "sessions -2 -2", NULL},
        {"the session before last", "sessions -2 -2", NULL},
        {"the last time we talked", "sessions -1 -1", NULL},
        {"What did Ann say about cats in our last chat?", "sessions -1 -1 +", NULL},
        {"how many sessions were there", "+", NULL},
        {"the first dog", "+", NULL},
        {"sessions 3 through 1", "sessions 3 3 +", NULL},
    };
    CHECK(rows);
}

static void test_when_numbers_in_words(void **state) {
    static const char *const tens[] = {"",      "",      "twenty",  "thirty", "forty",
                                       "fifty", "sixty", "seventy", "eighty", "ninety"};
    static const char *const ones[] = {"",        "one",     "two",       "three",    "four",
                                       "five",    "six",     "seven",     "eight",    "nine",
                                       "ten",     "eleven",  "twelve",    "thirteen", "fourteen",
                                       "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"};
    static const char *const ordinals[] = {"",          "first",       "second",     "third",
                                           "fourth",    "fifth",       "sixth",      "seventh",
                                           "eighth",    "ninth",       "tenth",      "eleventh",
                                           "twelfth",   "thirteenth",  "fourteenth", "fifteenth",
                                           "sixteenth", "seventeenth", "eighteenth", "nineteenth"};
    (void)state;
    for (int number = 1; number < 100; number++) {
        bool small = number < 20;
        const char *dash = !small && number % 10 ? "-" : "";
        char question[128], expected[64], found[64];
        memdb__when_t when;
        snprintf(question, sizeof question, "%s%s%s sessions ago", small ? "" : tens[number / 10],
                 dash, ones[small ? number : number % 10]);
        snprintf(expected, sizeof expected, "sessions %d %d", -number, -number);
        memdb__when_read(question, strlen(question), 0, &when);
        describe(&when, found, sizeof found);
        assert_string_equal(found, expected);
        if (!small && number % 10 == 0) {
            continue;
        }
        snprintf(question, sizeof question, "the %s%s%s session", small ? "" : tens[number / 10],
                 dash, ordinals[small ? number : number % 10]);
        snprintf(expected, sizeof expected, "sessions %d %d", number, number);
        memdb__when_read(question, strlen(question), 0, &when);
        describe(&when, found, sizeof found);
        assert_string_equal(found, expected);
    }
}

static void test_when_names_of_months_and_weekdays(void **state) {
    static const char *const months[][2] = {
        {"January", "jan"},    {"February", "feb"}, {"March", "mar"},    {"April", "apr"},
        {"May", "may"},        {"June", "jun"},     {"July", "jul"},     {"August", "aug"},
        {"September", "sept"}, {"October", "oct"},  {"November", "nov"}, {"December", "dec"}};
    static const char *const days[][2] = {
        {"Monday", "mon"}, {"Tuesday", "tues"}, {"Wednesday", "wed"}, {"Thursday", "thurs"},
        {"Friday", "fri"}, {"Saturday", "sat"}, {"Sunday", "sun"}};
    (void)state;
    for (int i = 0; i < 24; i++) {
        char question[64];
        memdb__when_t when;
        snprintf(question, sizeof question, "in %s 2021", months[i / 2][i % 2]);
        memdb__when_read(question, strlen(question), 0, &when);
        assert_int_equal(when.count, 1);
        assert_int_equal(when.windows[0].from,
                         memdb__calendar_days(2021, i / 2 + 1, 1) * MEMDB__DAY_US);
    }
    for (int i = 0; i < 14; i++) {
        char question[64];
        memdb__when_t when;
        snprintf(question, sizeof question, "last %s", days[i / 2][i % 2]);
        memdb__when_read(question, strlen(question), 0, &when); // on a Thursday
        assert_int_equal(when.count, 1);
        assert_int_equal(memdb__calendar_weekday(memdb__when_day(when.windows[0].from)), i / 2);
        assert_true(when.windows[0].from < 0 && when.windows[0].from >= -7 * MEMDB__DAY_US);
    }
}

static void test_when_calendar_goes_both_ways(void **state) {
    (void)state;
    int64_t day = memdb__calendar_days(1, 1, 1);
    for (int year = 1; year <= 9999; year += year == 2 ? 97 : 1) {
        for (int month = 1; month <= 12; month++) {
            int length = memdb__calendar_month_length(year, month);
            memdb__date_t last = memdb__calendar_date(memdb__calendar_days(year, month, length));
            assert_true(last.year == year && last.month == month && last.day == length);
            assert_int_equal(memdb__calendar_days(year, month, length) + 1,
                             month < 12 ? memdb__calendar_days(year, month + 1, 1)
                                        : memdb__calendar_days(year + 1, 1, 1));
        }
    }
    assert_int_equal(memdb__calendar_days(1970, 1, 1), 0);
    assert_int_equal(memdb__calendar_weekday(0), 3);
    assert_int_equal(memdb__calendar_days(9999, 12, 31) - day + 1, 3652059);
}

static uint32_t draw(uint64_t *seed, uint32_t below) {
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 33) % below;
}

static void test_when_any_question_makes_whole_windows(void **state) {
    static const char *const parts[] = {
        "last",      "past",      "next",     "this",   "the",        "our",       "a",
        "few",       "couple",    "of",       "in",     "on",         "since",     "until",
        "before",    "after",     "between",  "and",    "from",       "to",        "ago",
        "day",       "days",      "weeks",    "month",  "months",     "year",      "years",
        "hour",      "minutes",   "weekend",  "Friday", "sun",        "May",       "Feb",
        "February",  "29",        "30",       "31st",   "8th",        "0",         "1",
        "2022",      "9999",      "0001",     "1990s",  "first",      "third",     "twenty",
        "-",         "session",   "sessions", "chat",   "morning",    "night",     "tonight",
        "today",     "yesterday", "tomorrow", "early",  "late",       "end",       "now",
        "half",      "time",      "we",       "talked", "2023-05-08", "13/5/2023", "8.5.2023",
        "fortnight", "cats"};
    uint64_t seed = 7;
    (void)state;
    print_message("seed=%llu\n", (unsigned long long)seed);
    for (int round = 0; round < 200000; round++) {
        char question[512];
        size_t used = 0;
        for (uint32_t i = 1 + draw(&seed, 9); i > 0; i--) {
            used += (size_t)snprintf(question + used, sizeof question - used, "%s%s",
                                     parts[draw(&seed, sizeof parts / sizeof *parts)],
                                     draw(&seed, 8) ? " " : "");
        }
        int64_t now = ((int64_t)draw(&seed, 1u << 31) - (1 << 30)) *
                      (draw(&seed, 2) ? INT64_C(1) << 33 : 1000000);
        memdb__when_t when;
        memdb__when_read(question, used, now, &when);
        assert_true(when.count <= MEMDB__WHEN_WINDOWS);
        for (size_t i = 0; i < when.count; i++) {
            const memdb__window_t *window = &when.windows[i];
            bool whole = window->first_session
                             ? (window->first_session < 0) == (window->last_session < 0) &&
                                   window->first_session <= window->last_session
                             : window->from < window->to && !window->last_session;
            if (!whole) {
                fail_msg("seed=7 round %d: %.*s", round, (int)used, question);
            }
        }
    }
}

static void test_when_a_long_text_is_no_question(void **state) {
    static char text[MEMDB__WHEN_BYTES + 2];
    memdb__when_t when;
    (void)state;
    for (size_t i = 0; i + 1 < sizeof text; i += 6) {
        memcpy(text + i, "today ", sizeof text - 1 - i < 6 ? sizeof text - 1 - i : 6);
    }
    memdb__when_read(text, MEMDB__WHEN_BYTES, 0, &when);
    assert_int_equal(when.count, MEMDB__WHEN_WINDOWS);
    memdb__when_read(text, MEMDB__WHEN_BYTES + 1, 0, &when);
    assert_int_equal(when.count, 0);
    assert_false(when.alone);
    memdb__when_read(NULL, 0, 0, &when);
    assert_int_equal(when.count, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_when_dates),
        cmocka_unit_test(test_when_months_and_years),
        cmocka_unit_test(test_when_beside_now),
        cmocka_unit_test(test_when_distances),
        cmocka_unit_test(test_when_spans_and_open_sides),
        cmocka_unit_test(test_when_sessions),
        cmocka_unit_test(test_when_numbers_in_words),
        cmocka_unit_test(test_when_names_of_months_and_weekdays),
        cmocka_unit_test(test_when_calendar_goes_both_ways),
        cmocka_unit_test(test_when_any_question_makes_whole_windows),
        cmocka_unit_test(test_when_a_long_text_is_no_question),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
