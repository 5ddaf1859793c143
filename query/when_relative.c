// Points that are told by where they stand beside now: yesterday evening, last Friday, this month.
#include "query/query_when.h"

typedef memdb__question_t question_t;
typedef memdb__point_t point_t;

#define CLASS(at) memdb__when_class(q, at)

static bool is_unit(const question_t *q, size_t at, memdb__grain_t grain) {
    return CLASS(at) == MEMDB__WORD_UNIT && memdb__when_value(q, at) == (int32_t)grain;
}

memdb__word_class_t memdb__when_which(const question_t *q, size_t at) {
    memdb__word_class_t class = CLASS(at);
    bool known = class == MEMDB__WORD_THIS || class == MEMDB__WORD_NEXT ||
                 class == MEMDB__WORD_PAST ||
                 (class == MEMDB__WORD_LAST && memdb__when_value(q, at) < 2);
    return known ? class : MEMDB__WORD_CONTENT;
}

// ------------------------------------------------------------------------------ days

/// Today, yesterday evening, tonight, this morning, last night.
size_t memdb__when_read_today(const question_t *q, size_t at, bool led, point_t *point) {
    memdb__word_class_t first = CLASS(at);
    int64_t day = q->today;
    size_t taken = 0;
    if (first == MEMDB__WORD_TODAY) {
        day += memdb__when_value(q, at);
        taken = 1;
    } else if (first == MEMDB__WORD_TONIGHT) {
        point->part = MEMDB__TONIGHT;
        taken = 1;
    } else if (first == MEMDB__WORD_NOW && led) {
        taken = 1; // only as the end of a span
    } else if (first == MEMDB__WORD_THIS && CLASS(at + 1) == MEMDB__WORD_PART) {
        taken = 1;
    } else if (first == MEMDB__WORD_LAST && CLASS(at + 1) == MEMDB__WORD_PART) {
        day--;
        taken = 1;
    } else {
        return 0;
    }
    taken += memdb__when_read_part(q, at + taken, point);
    memdb__when_set_days(point, MEMDB__GRAIN_DAY, day, day + 1);
    return taken;
}

/// Friday, last Friday, next Friday evening, Friday of last week.
size_t memdb__when_read_weekday(const question_t *q, size_t at, bool led, point_t *point) {
    memdb__word_class_t which = memdb__when_which(q, at);
    size_t taken = which != MEMDB__WORD_CONTENT && which != MEMDB__WORD_PAST;
    bool is_short = CLASS(at + taken) == MEMDB__WORD_SHORT;
    if (CLASS(at + taken) != MEMDB__WORD_WEEKDAY &&
        !(is_short && (taken || memdb__when_led(q, at, led)))) {
        return 0;
    }
    if (at > 0 && CLASS(at - 1) == MEMDB__WORD_EVERY) {
        return 0;
    }
    int32_t weekday = memdb__when_value(q, at + taken);
    int64_t today = q->today, ahead = (weekday - memdb__calendar_weekday(today) + 7) % 7;
    bool modified = taken > 0;
    taken++;
    taken += memdb__when_read_part(q, at + taken, point);
    point->weekday = weekday;
    point->grain = MEMDB__GRAIN_DAY;
    size_t of = CLASS(at + taken) == MEMDB__WORD_OF;
    memdb__word_class_t week = memdb__when_which(q, at + taken + of);
    if (!modified && is_unit(q, at + taken + of + 1, MEMDB__GRAIN_WEEK) &&
        week != MEMDB__WORD_CONTENT && week != MEMDB__WORD_PAST) {
        int64_t weeks = (week == MEMDB__WORD_NEXT) - (week == MEMDB__WORD_LAST);
        int64_t day = memdb__calendar_monday(today) + 7 * weeks + weekday;
        memdb__when_set_days(point, MEMDB__GRAIN_DAY, day, day + 1);
        return taken + of + 2;
    }
    if (!modified) {
        point->recurs = MEMDB__RECURS_WEEKLY;
        return taken;
    }
    int64_t day = which == MEMDB__WORD_THIS   ? memdb__calendar_monday(today) + weekday
                  : which == MEMDB__WORD_NEXT ? today + (ahead ? ahead : 7)
                                              : today + ahead - 7;
    memdb__when_set_days(point, MEMDB__GRAIN_DAY, day, day + 1);
    return taken;
}

// ------------------------------------------------------------------------------ weeks, months,
// years

bool memdb__when_set_unit(const question_t *q, memdb__grain_t grain, int64_t away, point_t *point) {
    int64_t monday = memdb__calendar_monday(q->today) + 7 * away,
            month = memdb__calendar_month_of(q->today);
    switch (grain) {
    case MEMDB__GRAIN_DAY:
        memdb__when_set_days(point, grain, q->today + away, q->today + away + 1);
        return true;
    case MEMDB__GRAIN_WEEK:
        memdb__when_set_days(point, grain, monday, monday + 7);
        return true;
    case MEMDB__GRAIN_WEEKEND:
        memdb__when_set_days(point, grain, monday + 5, monday + 7);
        return true;
    case MEMDB__GRAIN_MONTH:
        memdb__when_set_days(point, grain, memdb__calendar_month_begin(month + away),
                             memdb__calendar_month_begin(month + away + 1));
        return true;
    case MEMDB__GRAIN_YEAR:
        month = month - month % 12 + 12 * away;
        memdb__when_set_days(point, grain, memdb__calendar_month_begin(month),
                             memdb__calendar_month_begin(month + 12));
        return true;
    case MEMDB__GRAIN_MINUTE:
    case MEMDB__GRAIN_HOUR:
    case MEMDB__GRAIN_FORTNIGHT:
    case MEMDB__GRAIN_SPAN:
        break;
    }
    return false;
}

/// Last May, this May, next May.
static size_t read_which_month(const question_t *q, size_t at, point_t *point) {
    memdb__word_class_t which = memdb__when_which(q, at);
    if (which == MEMDB__WORD_CONTENT || which == MEMDB__WORD_PAST ||
        CLASS(at + 1) != MEMDB__WORD_MONTH) {
        return 0;
    }
    int64_t now = memdb__calendar_month_of(q->today),
            month = now - now % 12 + memdb__when_value(q, at + 1) - 1;
    month += which == MEMDB__WORD_LAST && month >= now   ? -12
             : which == MEMDB__WORD_NEXT && month <= now ? 12
                                                         : 0;
    memdb__when_set_days(point, MEMDB__GRAIN_MONTH, memdb__calendar_month_begin(month),
                         memdb__calendar_month_begin(month + 1));
    return 2;
}

/// What is told inside a week, month or year that is known: last year in May, last week on Friday.
static size_t read_inside(const question_t *q, size_t at, point_t *unit) {
    point_t inner = {0};
    size_t lead = CLASS(at) == MEMDB__WORD_LEAD;
    size_t taken = lead || CLASS(at) == MEMDB__WORD_WEEKDAY
                       ? memdb__when_point(q, at + lead, true, &inner)
                       : 0;
    bool fits = (inner.recurs == MEMDB__RECURS_WEEKLY && unit->grain == MEMDB__GRAIN_WEEK) ||
                (inner.recurs == MEMDB__RECURS_MONTHLY && unit->grain == MEMDB__GRAIN_MONTH) ||
                (inner.recurs == MEMDB__RECURS_YEARLY && unit->grain == MEMDB__GRAIN_YEAR);
    if (!taken || !fits || !memdb__when_fix_in(&inner, unit)) {
        return 0;
    }
    *unit = inner;
    return lead + taken;
}

/// The week before last.
static size_t read_before_last(const question_t *q, size_t at, point_t *point) {
    size_t the = CLASS(at) == MEMDB__WORD_THE, noun = at + the;
    if (CLASS(noun) != MEMDB__WORD_UNIT || CLASS(noun + 1) != MEMDB__WORD_BEFORE ||
        CLASS(noun + 2) != MEMDB__WORD_LAST || memdb__when_value(q, noun + 2) != 0 ||
        !memdb__when_set_unit(q, (memdb__grain_t)memdb__when_value(q, noun), -2, point)) {
        return 0;
    }
    return the + 3;
}

/// Last week, this month, next year; the past week, the last month (which end today); last May.
size_t memdb__when_read_unit(const question_t *q, size_t at, bool led, point_t *point) {
    size_t other = read_which_month(q, at, point);
    other = other ? other : read_before_last(q, at, point);
    (void)led;
    if (other) {
        return other;
    }
    memdb__word_class_t second = memdb__when_which(q, at + 1);
    bool before = CLASS(at) == MEMDB__WORD_THE || // "the last week", "this past week"
                  (CLASS(at) == MEMDB__WORD_THIS &&
                   (second == MEMDB__WORD_LAST || second == MEMDB__WORD_PAST));
    size_t noun = at + before + 1;
    memdb__word_class_t which = memdb__when_which(q, at + before);
    if (which == MEMDB__WORD_CONTENT || CLASS(noun) != MEMDB__WORD_UNIT ||
        CLASS(noun + 1) == MEMDB__WORD_OF) {
        return 0; // "the last week of May" is another thing
    }
    bool previous = which == MEMDB__WORD_LAST && memdb__when_value(q, at + before) == 1;
    bool rolls = which == MEMDB__WORD_PAST || (which == MEMDB__WORD_LAST && before && !previous);
    int64_t away = which == MEMDB__WORD_THIS ? 0 : which == MEMDB__WORD_NEXT ? 1 : -1;
    memdb__grain_t grain = (memdb__grain_t)memdb__when_value(q, noun);
    bool known = rolls ? memdb__when_set_rolling(q, grain, 1, false, point)
                       : memdb__when_set_unit(q, grain, away, point);
    return known ? before + 2u + (rolls ? 0 : read_inside(q, noun + 1, point)) : 0;
}

/// The weekend, the weekend before: "over the weekend" is the last one that has begun.
size_t memdb__when_read_weekend(const question_t *q, size_t at, bool led, point_t *point) {
    (void)led;
    if (CLASS(at) != MEMDB__WORD_THE || !is_unit(q, at + 1, MEMDB__GRAIN_WEEKEND) || at == 0 ||
        CLASS(at - 1) != MEMDB__WORD_LEAD) {
        return 0;
    }
    memdb__when_set_unit(q, MEMDB__GRAIN_WEEKEND, memdb__calendar_weekday(q->today) >= 5 ? 0 : -1,
                         point);
    return 2;
}
