// Times that a question names: "on May 8th", "two weeks ago", "in our first session".
//
// A question is read once, from left to right, by a table of rules (docs/time.md lists them all);
// each rule makes a window of what it reads. There is no dictionary of a language's whole grammar
// behind it, and no locale: ASCII English, the Gregorian calendar, UTC, weeks that begin on Monday.
// What no rule knows is left alone.
//
//   when_vocabulary.c  words and their classes
//   when_words.c       tokens, numbers
//   when_calendar.c    days, months and years
//   when_point.c       one point of the calendar: a date, a month, a year
//   when_relative.c    one that is told by where it stands beside now: last Friday, this month
//   when_distance.c    one that is told by a distance: 3 days ago, the Monday before May 8th
//   when_part.c        a part of another one: early May, the last week of May
//   when.c             spans of points, open sides, sessions; whether anything else is asked
#ifndef MEMDB_QUERY_WHEN_H
#define MEMDB_QUERY_WHEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEMDB__WHEN_BYTES 1024u // a longer text is no question: it has no windows
#define MEMDB__WHEN_TOKENS 256u // of a question; the rest is not read
#define MEMDB__WHEN_WINDOWS 4u  // of a question; further ones are not used

/// A window: of time, or of sessions in the order in which they began.
typedef struct memdb__window {
    int64_t from, to; // [from, to), microseconds; INT64_MIN and INT64_MAX: open
    // 1 is the oldest session, -1 the newest; 0 and 0: this is a window of time.
    int32_t first_session, last_session;
    int64_t slack; // a distance: by how much both ends may be off
} memdb__window_t;

typedef struct memdb__when {
    size_t count;
    memdb__window_t windows[MEMDB__WHEN_WINDOWS];
    bool alone; // beside the windows the question has only words of asking and of talking
} memdb__when_t;

/// Read the windows that `text` (`size` bytes, any) names, at the moment `now`. Where nothing names
/// one, count is 0, and `alone` says whether the text asks for nothing that can be looked for.
void memdb__when_read(const char *text, size_t size, int64_t now, memdb__when_t *when_out);

/// The first moment of the day after that of `now`, which is brought into the calendar.
int64_t memdb__when_end_of_day(int64_t now);

// ------------------------------------------------------------------------------ when_calendar.c

#define MEMDB__DAY_US INT64_C(86400000000)
#define MEMDB__HOUR_US (MEMDB__DAY_US / 24)
#define MEMDB__MONTHS_FIRST (12 * 1)        // January of year 1, as year * 12 + month - 1
#define MEMDB__MONTHS_LAST (12 * 9999 + 11) // December of year 9999

typedef struct memdb__date {
    int32_t year, month, day; // 1..9999, 1..12, 1..31
} memdb__date_t;

/// Days from 1970-01-01 to a date; a day beyond the month's end runs on into the next.
int64_t memdb__calendar_days(int32_t year, int32_t month, int32_t day);
/// The date of a day, which is brought into the calendar.
memdb__date_t memdb__calendar_date(int64_t days);
int32_t memdb__calendar_month_length(int32_t year, int32_t month);
/// The first day of a month (year * 12 + month - 1), which is brought into the calendar.
int64_t memdb__calendar_month_begin(int64_t month);
/// 0: Monday.
int32_t memdb__calendar_weekday(int64_t days);
int64_t memdb__calendar_monday(int64_t days);   // of its week
int64_t memdb__calendar_month_of(int64_t days); // as year * 12 + month - 1
/// The day that is so many months away, or the last one of a shorter month.
int64_t memdb__calendar_months_away(int64_t days, int64_t months);

// ------------------------------------------------------------------------------ when_words.c

typedef enum memdb__word_class {
    MEMDB__WORD_CONTENT, // anything that has no other class: it asks for something
    MEMDB__WORD_ASK,     // a word of asking, of talking, or of grammar
    MEMDB__WORD_LEAD,    // in, on, during, of ...: may stand before a point
    MEMDB__WORD_NUMBER,
    MEMDB__WORD_ORDINAL,
    MEMDB__WORD_MONTH,   // value: 1..12
    MEMDB__WORD_WEEKDAY, // value: 0..6, from Monday
    MEMDB__WORD_SHORT,   // of a weekday: fri; needs a word before it
    MEMDB__WORD_UNIT,    // value: memdb__grain_t
    MEMDB__WORD_PART,    // of a day; value: from hour * 100 + to hour
    MEMDB__WORD_SESSION, // session, conversation, chat ...
    MEMDB__WORD_TODAY,   // value: days from today
    MEMDB__WORD_THE,     // the, our, my, these ...
    MEMDB__WORD_A,
    MEMDB__WORD_OF,
    MEMDB__WORD_AND,
    MEMDB__WORD_THIS,
    MEMDB__WORD_LAST, // last; value 1: previous; 2: latest, recent (of sessions only)
    MEMDB__WORD_PAST,
    MEMDB__WORD_NEXT,
    MEMDB__WORD_AGO,
    MEMDB__WORD_FROM,
    MEMDB__WORD_BETWEEN,
    MEMDB__WORD_TO, // to, until, through, by, and a dash
    MEMDB__WORD_SINCE,
    MEMDB__WORD_BEFORE,
    MEMDB__WORD_AFTER,
    MEMDB__WORD_THIRD, // early, mid, late; value: 0..2
    MEMDB__WORD_FEW,   // value: the least
    MEMDB__WORD_NOW,
    MEMDB__WORD_EVERY,
    MEMDB__WORD_TIME,
    MEMDB__WORD_DECADE, // 1990s; value: its first year
    MEMDB__WORD_TONIGHT,
    MEMDB__WORD_HALF,
} memdb__word_class_t;

typedef enum memdb__grain {
    MEMDB__GRAIN_MINUTE,
    MEMDB__GRAIN_HOUR,
    MEMDB__GRAIN_DAY,
    MEMDB__GRAIN_WEEK,
    MEMDB__GRAIN_FORTNIGHT,
    MEMDB__GRAIN_WEEKEND,
    MEMDB__GRAIN_MONTH,
    MEMDB__GRAIN_YEAR,
    MEMDB__GRAIN_SPAN, // of no unit: two points, an open side
} memdb__grain_t;

typedef struct memdb__token {
    memdb__word_class_t class;
    int32_t value;
    uint32_t digits; // a number in digits: how many; else 0
    char glue;       // what alone stands between this token and the one before it; ' ' else
} memdb__token_t;

typedef struct memdb__question {
    memdb__token_t tokens[MEMDB__WHEN_TOKENS + 1]; // the last one: CONTENT, never consumed
    size_t count;
    int64_t now;   // brought into the calendar
    int64_t today; // its day, as days since 1970
} memdb__question_t;

/// The class and value of a word in lower case; false: it has none.
bool memdb__when_word(const char *name, memdb__word_class_t *class_out, int32_t *value_out);
void memdb__when_tokens(const char *text, size_t size, memdb__question_t *question);
/// A number from token `at` on ("12", "twelve", "twenty-two"): how many tokens it takes; 0: none.
size_t memdb__when_number(const memdb__question_t *question, size_t at, int32_t *value_out);
/// The same of an ordinal ("3rd", "third", "twenty-third").
size_t memdb__when_ordinal(const memdb__question_t *question, size_t at, int32_t *value_out);

static inline int32_t memdb__when_value(const memdb__question_t *question, size_t at) {
    return question->tokens[at].value;
}

static inline memdb__word_class_t memdb__when_class(const memdb__question_t *question, size_t at) {
    return at < question->count ? question->tokens[at].class : MEMDB__WORD_CONTENT;
}

// ------------------------------------------------------------------------------ when_point.c

/// How a point comes again, when the question does not say which one is meant.
typedef enum memdb__recurs {
    MEMDB__RECURS_NOT,     // from and to are known
    MEMDB__RECURS_WEEKLY,  // value: the weekday
    MEMDB__RECURS_MONTHLY, // day
    MEMDB__RECURS_YEARLY,  // month, and day or 0
} memdb__recurs_t;

typedef struct memdb__point {
    int64_t from, to;
    memdb__grain_t grain;
    memdb__recurs_t recurs;
    int32_t month, day, weekday;
    int32_t part;  // of the day: from hour * 100 + to hour; 0: all of it
    int32_t third; // of a month or year: 1..3; 0: all of it
    int64_t slack; // as a window's
} memdb__point_t;

/// Read a point from token `at` on; how many tokens it takes, 0: none. `led`: a word such as
/// "since" or "between" stands before it, so that a month, a year or a day alone is one.
size_t memdb__when_point(const memdb__question_t *question, size_t at, bool led,
                         memdb__point_t *point_out);
/// Fix a point that comes again to its last beginning at or before `anchor`, or, forward, to its
/// first one at or after it. False: the calendar has none.
bool memdb__when_fix(memdb__point_t *point, int64_t anchor, bool forward);

/// Fix it inside a unit that is known; false: the unit has none.
bool memdb__when_fix_in(memdb__point_t *point, const memdb__point_t *unit);
/// A year that stands behind a date, for one that has none: how many tokens it takes.
size_t memdb__when_read_year(const memdb__question_t *question, size_t at, memdb__point_t *point);
int64_t memdb__when_day(int64_t time); // days since 1970
/// Set a point to the days [from, to) as a thing of this grain, then to its part or third.
void memdb__when_set_days(memdb__point_t *point, memdb__grain_t grain, int64_t from, int64_t to);
/// Whether a word stands before token `at` that a month, a year or a short weekday follows.
bool memdb__when_led(const memdb__question_t *question, size_t at, bool led);
/// Morning, evening ...: into the point.
size_t memdb__when_read_part(const memdb__question_t *question, size_t at, memdb__point_t *point);

// ------------------------------------------------------------------------------ when_relative.c

#define MEMDB__TONIGHT 1830 // from 18:00 to 6:00

/// The whole week, weekend, month or year that lies `away` of them from today's. False: the unit
/// has no place in the calendar.
bool memdb__when_set_unit(const memdb__question_t *question, memdb__grain_t grain, int64_t away,
                          memdb__point_t *point);
/// The word that says which one of a unit, a weekday or a month is meant: last, this, next, past;
/// CONTENT: none of them.
memdb__word_class_t memdb__when_which(const memdb__question_t *question, size_t at);

size_t memdb__when_read_today(const memdb__question_t *question, size_t at, bool led,
                              memdb__point_t *point);
size_t memdb__when_read_weekday(const memdb__question_t *question, size_t at, bool led,
                                memdb__point_t *point);
size_t memdb__when_read_unit(const memdb__question_t *question, size_t at, bool led,
                             memdb__point_t *point);
size_t memdb__when_read_weekend(const memdb__question_t *question, size_t at, bool led,
                                memdb__point_t *point);

// ------------------------------------------------------------------------------ when_part.c

size_t memdb__when_read_third(const memdb__question_t *question, size_t at, bool led,
                              memdb__point_t *point);
size_t memdb__when_read_within(const memdb__question_t *question, size_t at, bool led,
                               memdb__point_t *point);
size_t memdb__when_read_part_of(const memdb__question_t *question, size_t at, bool led,
                                memdb__point_t *point);

// ------------------------------------------------------------------------------ when_distance.c

/// The last `count` units up to now, or the next ones from now on; whole days but for hours and
/// minutes.
bool memdb__when_set_rolling(const memdb__question_t *question, memdb__grain_t grain, int64_t count,
                             bool next, memdb__point_t *point);

size_t memdb__when_read_distance(const memdb__question_t *question, size_t at, bool led,
                                 memdb__point_t *point);
size_t memdb__when_read_anchored(const memdb__question_t *question, size_t at, bool led,
                                 memdb__point_t *point);
size_t memdb__when_read_rolling(const memdb__question_t *question, size_t at, bool led,
                                memdb__point_t *point);

#endif
