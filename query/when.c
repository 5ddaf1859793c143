// The windows of a question: spans, open sides, sessions, points; and whether the question asks for
// anything else.
#include "query/query_when.h"

#define MOST_SESSIONS 1000000

typedef memdb__question_t question_t;
typedef memdb__point_t point_t;
typedef memdb__window_t window_t;

#define CLASS(at) memdb__when_class(q, at)

static int64_t end_of_today(const question_t *q) {
    return (q->today + 1) * MEMDB__DAY_US;
}

// ------------------------------------------------------------------------------ sessions

static window_t sessions(int64_t first, int64_t last) {
    return (window_t){.first_session = (int32_t)first, .last_session = (int32_t)last};
}

static bool is_count(int32_t number) {
    return number >= 1 && number <= MOST_SESSIONS;
}

/// 20 sessions ago, a session ago, our last session, the last 3 sessions, the session before last.
static size_t read_sessions_back(const question_t *q, size_t at, window_t *window) {
    int32_t count = 1;
    size_t number = memdb__when_number(q, at, &count);
    size_t taken = number || CLASS(at) != MEMDB__WORD_A ? number : 1;
    if (taken && is_count(count) && CLASS(at + taken) == MEMDB__WORD_SESSION &&
        CLASS(at + taken + 1) == MEMDB__WORD_AGO) {
        *window = sessions(-count, -count);
        return taken + 2;
    }
    if (CLASS(at) == MEMDB__WORD_SESSION && CLASS(at + 1) == MEMDB__WORD_BEFORE &&
        CLASS(at + 2) == MEMDB__WORD_LAST) {
        *window = sessions(-2, -2);
        return 3;
    }
    if (CLASS(at) != MEMDB__WORD_LAST && CLASS(at) != MEMDB__WORD_PAST) {
        return 0;
    }
    count = 1;
    taken = 1 + memdb__when_number(q, at + 1, &count);
    if (is_count(count) && CLASS(at + taken) == MEMDB__WORD_SESSION) {
        *window = sessions(-count, -1);
        return taken + 1;
    }
    return 0;
}

/// Our third session, the first two sessions, the second to last session.
static size_t read_sessions_on(const question_t *q, size_t at, window_t *window) {
    int32_t ordinal, count = 1;
    size_t taken = memdb__when_ordinal(q, at, &ordinal);
    if (!taken || !is_count(ordinal)) {
        return 0;
    }
    if (CLASS(at + taken) == MEMDB__WORD_TO && CLASS(at + taken + 1) == MEMDB__WORD_LAST &&
        CLASS(at + taken + 2) == MEMDB__WORD_SESSION) {
        *window = sessions(-ordinal, -ordinal);
        return taken + 3;
    }
    size_t number = ordinal == 1 ? memdb__when_number(q, at + taken, &count) : 0;
    taken += number;
    if (CLASS(at + taken) != MEMDB__WORD_SESSION || !is_count(count)) {
        return 0;
    }
    *window = number ? sessions(1, count) : sessions(ordinal, ordinal);
    return taken + 1;
}

/// A session's number, as a word or an ordinal.
static size_t read_rank(const question_t *q, size_t at, int32_t *rank_out) {
    size_t the = CLASS(at) == MEMDB__WORD_THE;
    size_t taken = memdb__when_ordinal(q, at + the, rank_out);
    taken = taken ? the + taken : memdb__when_number(q, at, rank_out);
    return taken && is_count(*rank_out) ? taken : 0;
}

/// Session 3, sessions 1 through 3; between sessions 2 and 5, from the second to the fifth session.
static size_t read_session_numbers(const question_t *q, size_t at, window_t *window) {
    bool between = CLASS(at) == MEMDB__WORD_BETWEEN, led = between || CLASS(at) == MEMDB__WORD_FROM;
    size_t taken = led, named = CLASS(at + taken) == MEMDB__WORD_SESSION;
    int32_t first, last;
    taken += named;
    size_t number = named || led ? read_rank(q, at + taken, &first) : 0;
    taken += number;
    if (!number) {
        return 0;
    }
    bool again = CLASS(at + taken) == MEMDB__WORD_SESSION && !named;
    size_t joined = taken + again;
    bool dash = joined + at < q->count && q->tokens[at + joined].glue == '-';
    bool to = CLASS(at + joined) == MEMDB__WORD_TO ||
              (CLASS(at + joined) == MEMDB__WORD_AND && (between || named));
    if (to || dash) {
        joined += to;
        joined += CLASS(at + joined) == MEMDB__WORD_SESSION;
        number = read_rank(q, at + joined, &last);
        joined += number;
        bool behind = CLASS(at + joined) == MEMDB__WORD_SESSION;
        if (number && (named || again || behind) && first <= last) {
            *window = sessions(first, last);
            return joined + behind;
        }
    }
    if (!named || led) {
        return 0;
    }
    *window = sessions(first, first);
    return taken;
}

/// The last time we talked.
static size_t read_last_time(const question_t *q, size_t at, window_t *window) {
    if (CLASS(at) != MEMDB__WORD_LAST || CLASS(at + 1) != MEMDB__WORD_TIME ||
        CLASS(at + 2) != MEMDB__WORD_ASK ||
        (CLASS(at + 3) != MEMDB__WORD_ASK && CLASS(at + 3) != MEMDB__WORD_SESSION)) {
        return 0;
    }
    *window = sessions(-1, -1);
    return 4;
}

// ------------------------------------------------------------------------------ time

static bool set_window(window_t *window, int64_t from, int64_t to) {
    *window = (window_t){.from = from, .to = to};
    return from < to;
}

/// A point that comes again, in a question about what was: the last one that has begun.
static bool fix_past(const question_t *q, point_t *point) {
    return memdb__when_fix(point, end_of_today(q) - 1, false);
}

/// Two points: the one that says which year it is helps the other one.
static bool fix_both(const question_t *q, point_t *first, point_t *last) {
    bool open_first = first->recurs != MEMDB__RECURS_NOT;
    bool open_last = last->recurs != MEMDB__RECURS_NOT;
    // "May 3 to 11": the day alone takes its month from the date before it.
    bool follows = open_last && (!open_first || (last->recurs == MEMDB__RECURS_MONTHLY &&
                                                 first->recurs == MEMDB__RECURS_YEARLY));
    if (follows) {
        return fix_past(q, first) && memdb__when_fix(last, first->from, true);
    }
    return fix_past(q, last) && memdb__when_fix(first, last->from, false);
}

/// Between May 3rd and June 5th, from March to May 2022, May 3-11.
static size_t read_span(const question_t *q, size_t at, window_t *window) {
    bool between = CLASS(at) == MEMDB__WORD_BETWEEN, led = between || CLASS(at) == MEMDB__WORD_FROM;
    point_t first, last;
    size_t taken = led, rest = memdb__when_point(q, at + taken, led, &first);
    taken += rest;
    if (!rest) {
        return 0;
    }
    bool dash = at + taken < q->count && q->tokens[at + taken].glue == '-';
    bool to =
        CLASS(at + taken) == MEMDB__WORD_TO || (between && CLASS(at + taken) == MEMDB__WORD_AND);
    if (!to && !dash) {
        return 0;
    }
    taken += to;
    rest = memdb__when_point(q, at + taken, true, &last);
    if (rest && last.recurs == MEMDB__RECURS_MONTHLY && first.recurs == MEMDB__RECURS_YEARLY) {
        rest += memdb__when_read_year(q, at + taken + rest, &first); // May 3-11, 2022
    }
    bool days_alone = first.recurs == MEMDB__RECURS_MONTHLY && last.recurs == MEMDB__RECURS_MONTHLY;
    if (!rest || (days_alone && CLASS(at + taken) != MEMDB__WORD_THE) ||
        !fix_both(q, &first, &last) || !set_window(window, first.from, last.to)) {
        return 0;
    }
    return taken + rest;
}

/// Since May, before last week, after 2022, until yesterday.
static size_t read_open(const question_t *q, size_t at, window_t *window) {
    memdb__word_class_t side = CLASS(at);
    point_t point;
    bool known = side == MEMDB__WORD_SINCE || side == MEMDB__WORD_BEFORE ||
                 side == MEMDB__WORD_AFTER || side == MEMDB__WORD_TO;
    size_t taken = known ? 1 : 0; // "prior to": two words
    taken += side == MEMDB__WORD_BEFORE && CLASS(at + 1) == MEMDB__WORD_TO;
    size_t rest = known ? memdb__when_point(q, at + taken, true, &point) : 0;
    bool bare_day =
        rest && point.recurs == MEMDB__RECURS_MONTHLY && CLASS(at + taken) != MEMDB__WORD_THE;
    if (!rest || bare_day || !fix_past(q, &point)) {
        return 0;
    }
    int64_t from = side == MEMDB__WORD_SINCE   ? point.from
                   : side == MEMDB__WORD_AFTER ? point.to
                                               : INT64_MIN;
    int64_t to = side == MEMDB__WORD_BEFORE ? point.from
                 : side == MEMDB__WORD_TO   ? point.to
                                            : INT64_MAX;
    set_window(window, from, to);
    return taken + rest;
}

static size_t read_point(const question_t *q, size_t at, window_t *window) {
    point_t point;
    size_t taken = memdb__when_point(q, at, false, &point);
    if (!taken || !fix_past(q, &point) || !set_window(window, point.from, point.to)) {
        return 0;
    }
    window->slack = point.slack;
    return taken;
}

// ------------------------------------------------------------------------------ the question

/// Whether a word that no rule took asks for something.
static bool asks(memdb__word_class_t class) {
    switch (class) {
    case MEMDB__WORD_CONTENT:
    case MEMDB__WORD_NUMBER:
    case MEMDB__WORD_ORDINAL:
    case MEMDB__WORD_MONTH:
    case MEMDB__WORD_WEEKDAY:
    case MEMDB__WORD_SHORT:
    case MEMDB__WORD_UNIT:
    case MEMDB__WORD_DECADE:
    case MEMDB__WORD_HALF:
    case MEMDB__WORD_EVERY:
        return true;
    default:
        return false;
    }
}

/// The moment of the question, brought into the calendar.
static void set_now(question_t *q, int64_t now) {
    int64_t first = memdb__calendar_days(1, 1, 1) * MEMDB__DAY_US;
    int64_t last = (memdb__calendar_days(9999, 12, 31) + 1) * MEMDB__DAY_US - 1;
    q->now = now < first ? first : now > last ? last : now;
    q->today = q->now / MEMDB__DAY_US - (q->now % MEMDB__DAY_US < 0);
}

int64_t memdb__when_end_of_day(int64_t now) {
    question_t question;
    set_now(&question, now);
    return end_of_today(&question);
}

void memdb__when_read(const char *text, size_t size, int64_t now, memdb__when_t *when_out) {
    static size_t (*const rules[])(const question_t *, size_t, window_t *) = {
        read_session_numbers, read_sessions_back, read_sessions_on,
        read_last_time,       read_span,          read_open,
        read_point,
    };
    question_t question, *q = &question;
    *when_out = (memdb__when_t){0};
    if (size > MEMDB__WHEN_BYTES) {
        return;
    }
    set_now(q, now);
    memdb__when_tokens(text, size, q);
    when_out->alone = q->count < MEMDB__WHEN_TOKENS;
    for (size_t at = 0; at < q->count;) {
        size_t taken = 0;
        window_t window;
        bool begins = CLASS(at) > MEMDB__WORD_LEAD; // no rule begins with a class up to there
        for (size_t i = 0; begins && !taken && i < sizeof rules / sizeof *rules; i++) {
            taken = rules[i](q, at, &window);
        }
        if (taken && when_out->count < MEMDB__WHEN_WINDOWS) {
            when_out->windows[when_out->count++] = window;
        } else if (!taken && asks(CLASS(at))) {
            when_out->alone = false;
        }
        at += taken ? taken : 1;
    }
}
