// A part of another point: early May, the last week of May, the first half of 2022, the morning of
// May 8th.
#include "query/query_when.h"

typedef memdb__question_t question_t;
typedef memdb__point_t point_t;

#define CLASS(at) memdb__when_class(q, at)

/// The month or year behind "of", one that has begun where it comes again.
static size_t read_whole(const question_t *q, size_t at, point_t *whole) {
    size_t taken = CLASS(at) == MEMDB__WORD_OF ? memdb__when_point(q, at + 1, true, whole) : 0;
    if (!taken || (whole->grain != MEMDB__GRAIN_MONTH && whole->grain != MEMDB__GRAIN_YEAR) ||
        whole->third || !memdb__when_fix(whole, (q->today + 1) * MEMDB__DAY_US - 1, false)) {
        return 0;
    }
    return taken + 1;
}

/// Early May, mid-2022, the end of last month: a third of a month or a year.
size_t memdb__when_read_third(const question_t *q, size_t at, bool led, point_t *point) {
    size_t taken = CLASS(at) == MEMDB__WORD_THE;
    (void)led;
    if (CLASS(at + taken) != MEMDB__WORD_THIRD) {
        return 0;
    }
    int32_t third = memdb__when_value(q, at + taken++) + 1;
    taken += CLASS(at + taken) == MEMDB__WORD_OF;
    point_t inner = {0};
    size_t the = CLASS(at + taken) == MEMDB__WORD_THE;
    if (CLASS(at + taken + the) == MEMDB__WORD_THIRD) {
        return 0; // one third only, so that this rule does not call itself again and again
    }
    size_t rest = memdb__when_point(q, at + taken, true, &inner);
    if (!rest || (inner.grain != MEMDB__GRAIN_MONTH && inner.grain != MEMDB__GRAIN_YEAR)) {
        return 0;
    }
    *point = inner;
    point->third = third;
    if (inner.recurs == MEMDB__RECURS_NOT) {
        memdb__when_set_days(point, inner.grain, memdb__when_day(inner.from),
                             memdb__when_day(inner.to));
    }
    return taken + rest;
}

/// The `number`-th of a unit within the days [from, to), or the last one.
static bool set_nth(point_t *point, memdb__grain_t grain, int32_t number, bool last, int64_t from,
                    int64_t to) {
    int64_t size = grain == MEMDB__GRAIN_DAY ? 1 : grain == MEMDB__GRAIN_WEEKEND ? 2 : 7;
    int64_t step = grain == MEMDB__GRAIN_DAY ? 1 : 7;
    int64_t first = from + (number - 1) * step, final = to - size;
    if (grain == MEMDB__GRAIN_WEEKEND) { // Saturdays
        first += (5 - memdb__calendar_weekday(from) + 7) % 7;
        final -= (memdb__calendar_weekday(to - 1) - 6 + 7) % 7;
    }
    int64_t begin = last ? final : first;
    if (begin < from || begin >= to) {
        return false;
    }
    int64_t end = begin + size < to || grain == MEMDB__GRAIN_WEEKEND ? begin + size : to;
    memdb__when_set_days(point, grain, begin, end);
    return true;
}

/// The same of months in a year, and of halves of both.
static bool set_share(point_t *point, int32_t number, int32_t count, const point_t *whole) {
    int64_t from = memdb__when_day(whole->from), to = memdb__when_day(whole->to);
    if (number < 1 || number > count) {
        return false;
    }
    if (whole->grain == MEMDB__GRAIN_YEAR) {
        int64_t month = memdb__calendar_month_of(from), size = 12 / count;
        memdb__when_set_days(point, MEMDB__GRAIN_MONTH,
                             memdb__calendar_month_begin(month + size * (number - 1)),
                             memdb__calendar_month_begin(month + size * number));
    } else {
        int64_t middle = from + 15;
        memdb__when_set_days(point, MEMDB__GRAIN_SPAN, number == 1 ? from : middle,
                             number == 1 ? middle : to);
    }
    return true;
}

/// The first week of June, the last weekend of 2022, the second half of last year.
size_t memdb__when_read_within(const question_t *q, size_t at, bool led, point_t *point) {
    size_t taken = CLASS(at) == MEMDB__WORD_THE;
    int32_t number = 1;
    (void)led;
    size_t ordinal = memdb__when_ordinal(q, at + taken, &number);
    bool last =
        !ordinal && CLASS(at + taken) == MEMDB__WORD_LAST && !memdb__when_value(q, at + taken);
    taken += ordinal + last;
    memdb__word_class_t noun = CLASS(at + taken);
    point_t whole = {0};
    size_t rest = (ordinal || last) && (noun == MEMDB__WORD_UNIT || noun == MEMDB__WORD_HALF)
                      ? read_whole(q, at + taken + 1, &whole)
                      : 0;
    if (!rest) {
        return 0;
    }
    int32_t unit = memdb__when_value(q, at + taken);
    int64_t from = memdb__when_day(whole.from), to = memdb__when_day(whole.to);
    bool known = false;
    if (noun == MEMDB__WORD_HALF) {
        known = set_share(point, last ? 2 : number, 2, &whole);
    } else if (unit == MEMDB__GRAIN_MONTH && whole.grain == MEMDB__GRAIN_YEAR) {
        known = set_share(point, last ? 12 : number, 12, &whole);
    } else if (unit == MEMDB__GRAIN_DAY || unit == MEMDB__GRAIN_WEEK ||
               unit == MEMDB__GRAIN_WEEKEND) {
        known = set_nth(point, (memdb__grain_t)unit, number, last, from, to);
    }
    return known ? taken + 1 + rest : 0;
}

/// The morning of May 8th.
size_t memdb__when_read_part_of(const question_t *q, size_t at, bool led, point_t *point) {
    size_t the = CLASS(at) == MEMDB__WORD_THE;
    point_t day = {0};
    (void)led;
    if (CLASS(at + the) != MEMDB__WORD_PART || CLASS(at + the + 1) != MEMDB__WORD_OF) {
        return 0;
    }
    size_t rest = memdb__when_point(q, at + the + 2, true, &day);
    if (!rest || day.grain != MEMDB__GRAIN_DAY || day.part ||
        !memdb__when_fix(&day, (q->today + 1) * MEMDB__DAY_US - 1, false)) {
        return 0;
    }
    int32_t hours = memdb__when_value(q, at + the);
    *point = day;
    point->from = day.from + hours / 100 * MEMDB__HOUR_US;
    point->to = day.from + hours % 100 * MEMDB__HOUR_US;
    return the + 2 + rest;
}
