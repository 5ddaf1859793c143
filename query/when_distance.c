// Points that are told by a distance: two weeks ago, the last 3 days, the Monday before May 8th.
#include "query/query_when.h"

#define MINUTE_US (MEMDB__HOUR_US / 60)
#define MOST_UNITS 9999 // 9999 fortnights are 383 years
#define FEW_TO 5        // "a few" is 2 to 5

typedef memdb__question_t question_t;
typedef memdb__point_t point_t;

#define CLASS(at) memdb__when_class(q, at)

/// How many: "3", "three", "a", "a couple of", "a few".
static size_t read_quantity(const question_t *q, size_t at, int32_t *low_out, int32_t *high_out) {
    size_t a = CLASS(at) == MEMDB__WORD_A, taken = memdb__when_number(q, at, low_out);
    *high_out = *low_out;
    if (!taken && CLASS(at + a) == MEMDB__WORD_FEW) {
        *low_out = 2;
        *high_out = memdb__when_value(q, at + a) == 2 ? 2 : FEW_TO;
        taken = a + 1;
        return taken + (CLASS(at + taken) == MEMDB__WORD_OF);
    }
    if (!taken && a) {
        *low_out = *high_out = 1;
        return 1;
    }
    return taken && *low_out >= 1 && *low_out <= MOST_UNITS ? taken : 0;
}

/// From the unit that lies `high` of them back to the one `low` back: a month and a year are those
/// of the calendar, a week is seven days around the day that is meant, shorter units reach a
/// quarter of the distance to both sides.
static void set_distance(const question_t *q, memdb__grain_t grain, int32_t low, int32_t high,
                         int64_t sign, point_t *point) {
    int64_t weeks = grain == MEMDB__GRAIN_FORTNIGHT ? 14 : 7, today = q->today;
    if (grain == MEMDB__GRAIN_MINUTE || grain == MEMDB__GRAIN_HOUR) {
        int64_t unit = grain == MEMDB__GRAIN_HOUR ? MEMDB__HOUR_US : MINUTE_US;
        int64_t near = q->now + sign * low * unit, far = q->now + sign * high * unit;
        int64_t slack = low > 2 ? low * unit / 4 : unit / 2;
        *point = (point_t){.grain = grain,
                           .from = (sign < 0 ? far : near) - slack,
                           .to = (sign < 0 ? near : far) + slack};
        return;
    }
    if (grain == MEMDB__GRAIN_WEEK || grain == MEMDB__GRAIN_FORTNIGHT) {
        int64_t near = today + sign * low * weeks, far = today + sign * high * weeks;
        memdb__when_set_days(point, grain, (sign < 0 ? far : near) - 3,
                             (sign < 0 ? near : far) + 4);
        return;
    }
    if (grain == MEMDB__GRAIN_WEEKEND && sign < 0 && memdb__calendar_weekday(today) >= 5) {
        low--; // one that has begun is the first of them
        high--;
    }
    point_t far = *point;
    memdb__when_set_unit(q, grain, sign * low, point);
    memdb__when_set_unit(q, grain, sign * high, &far);
    point->from = far.from < point->from ? far.from : point->from;
    point->to = far.to > point->to ? far.to : point->to;
}

/// More than one of a unit is often counted by one too few or too many.
static int64_t slack_of(memdb__grain_t grain) {
    switch (grain) {
    case MEMDB__GRAIN_DAY:
        return MEMDB__DAY_US;
    case MEMDB__GRAIN_WEEK:
    case MEMDB__GRAIN_FORTNIGHT:
    case MEMDB__GRAIN_WEEKEND:
        return 7 * MEMDB__DAY_US;
    case MEMDB__GRAIN_MONTH:
        return 31 * MEMDB__DAY_US;
    case MEMDB__GRAIN_YEAR:
        return 366 * MEMDB__DAY_US;
    case MEMDB__GRAIN_MINUTE:
    case MEMDB__GRAIN_HOUR:
    case MEMDB__GRAIN_SPAN:
        break;
    }
    return 0; // their windows have it already
}

/// 167 days ago, a week ago, a few months ago; three days from now.
size_t memdb__when_read_distance(const question_t *q, size_t at, bool led, point_t *point) {
    int32_t low, high;
    (void)led;
    size_t taken = read_quantity(q, at, &low, &high);
    if (!taken || CLASS(at + taken) != MEMDB__WORD_UNIT) {
        return 0;
    }
    memdb__grain_t grain = (memdb__grain_t)memdb__when_value(q, at + taken++);
    memdb__word_class_t next = CLASS(at + taken);
    bool ahead =
        next == MEMDB__WORD_FROM &&
        (CLASS(at + taken + 1) == MEMDB__WORD_NOW ||
         (CLASS(at + taken + 1) == MEMDB__WORD_TODAY && memdb__when_value(q, at + taken + 1) == 0));
    if (next != MEMDB__WORD_AGO && !ahead) {
        return 0;
    }
    set_distance(q, grain, low, high, ahead ? 1 : -1, point);
    point->slack = low > 1 ? slack_of(grain) : 0;
    return taken + (ahead ? 2 : 1);
}

// ------------------------------------------------------------------------------ up to now

bool memdb__when_set_rolling(const question_t *q, memdb__grain_t grain, int64_t count, bool next,
                             point_t *point) {
    int64_t sign = next ? 1 : -1, today = q->today, other = today;
    switch (grain) {
    case MEMDB__GRAIN_MINUTE:
    case MEMDB__GRAIN_HOUR: {
        int64_t span = count * (grain == MEMDB__GRAIN_HOUR ? MEMDB__HOUR_US : MINUTE_US);
        *point = (point_t){.grain = MEMDB__GRAIN_SPAN,
                           .from = next ? q->now : q->now - span,
                           .to = next ? q->now + span : q->now + 1};
        return true;
    }
    case MEMDB__GRAIN_WEEKEND:
        other = memdb__calendar_monday(today) + 5 + (next ? 1 : 0);
        other += 7 * sign * (count - 1) - (!next && other > today ? 7 : 0);
        break;
    case MEMDB__GRAIN_MONTH:
    case MEMDB__GRAIN_YEAR:
        other = memdb__calendar_months_away(today,
                                            sign * count * (grain == MEMDB__GRAIN_YEAR ? 12 : 1));
        break;
    case MEMDB__GRAIN_DAY:
    case MEMDB__GRAIN_WEEK:
    case MEMDB__GRAIN_FORTNIGHT:
    case MEMDB__GRAIN_SPAN:
        other = today + sign * count *
                            (grain == MEMDB__GRAIN_DAY    ? 1
                             : grain == MEMDB__GRAIN_WEEK ? 7
                                                          : 14);
        break;
    }
    memdb__when_set_days(point, MEMDB__GRAIN_SPAN, next ? today : other,
                         (next ? other : today) + 1);
    return true;
}

/// The last 3 days, the past few weeks, the next two months.
size_t memdb__when_read_rolling(const question_t *q, size_t at, bool led, point_t *point) {
    size_t taken = CLASS(at) == MEMDB__WORD_THE || CLASS(at) == MEMDB__WORD_THIS;
    memdb__word_class_t which = memdb__when_which(q, at + taken);
    int32_t low, high;
    (void)led;
    if (which == MEMDB__WORD_CONTENT || which == MEMDB__WORD_THIS) {
        return 0;
    }
    taken++;
    size_t number = read_quantity(q, at + taken, &low, &high);
    taken += number;
    if (!number || CLASS(at + taken) != MEMDB__WORD_UNIT) {
        return 0;
    }
    memdb__grain_t grain = (memdb__grain_t)memdb__when_value(q, at + taken);
    return memdb__when_set_rolling(q, grain, high, which == MEMDB__WORD_NEXT, point) ? taken + 1
                                                                                     : 0;
}

// ------------------------------------------------------------------------------ from another point

/// The days of a unit that lies `count` of them before or after the day `day`.
static bool set_beside(memdb__grain_t grain, int64_t day, int64_t count, int64_t sign,
                       point_t *point) {
    int64_t away = sign * count, around = 0, target = day + away;
    switch (grain) {
    case MEMDB__GRAIN_DAY:
        break;
    case MEMDB__GRAIN_WEEK:
    case MEMDB__GRAIN_FORTNIGHT:
        target = day + away * (grain == MEMDB__GRAIN_WEEK ? 7 : 14);
        around = 3;
        break;
    case MEMDB__GRAIN_WEEKEND:
        target = memdb__calendar_monday(day) + 5 + 7 * (sign < 0 ? away : away - 1);
        memdb__when_set_days(point, grain, target, target + 2);
        return true;
    case MEMDB__GRAIN_MONTH:
    case MEMDB__GRAIN_YEAR:
        target = memdb__calendar_months_away(day, away * (grain == MEMDB__GRAIN_MONTH ? 1 : 12));
        around = grain == MEMDB__GRAIN_MONTH ? 15 : 182;
        break;
    case MEMDB__GRAIN_MINUTE:
    case MEMDB__GRAIN_HOUR:
    case MEMDB__GRAIN_SPAN:
        return false;
    }
    memdb__when_set_days(point, grain, target - around, target + around + 1);
    return true;
}

/// The whole unit that ends, or begins, at a point: "the week before May 8th".
static bool set_adjacent(memdb__grain_t grain, int64_t first, int64_t end, int64_t sign,
                         point_t *point) {
    int64_t at = sign < 0 ? first : end, months = 0, days = 0;
    switch (grain) {
    case MEMDB__GRAIN_DAY:
        days = 1;
        break;
    case MEMDB__GRAIN_WEEK:
        days = 7;
        break;
    case MEMDB__GRAIN_FORTNIGHT:
        days = 14;
        break;
    case MEMDB__GRAIN_WEEKEND:
        return set_beside(grain, sign < 0 ? first : end - 1, 1, sign, point);
    case MEMDB__GRAIN_MONTH:
        months = 1;
        break;
    case MEMDB__GRAIN_YEAR:
        months = 12;
        break;
    case MEMDB__GRAIN_MINUTE:
    case MEMDB__GRAIN_HOUR:
    case MEMDB__GRAIN_SPAN:
        return false;
    }
    int64_t other = months ? memdb__calendar_months_away(at, sign * months) : at + sign * days;
    memdb__when_set_days(point, grain, sign < 0 ? other : at, sign < 0 ? at : other);
    return true;
}

/// The Monday before May 8th, the week after last Friday, two days before May 8th.
size_t memdb__when_read_anchored(const question_t *q, size_t at, bool led, point_t *point) {
    int32_t low = 0, high = 0;
    size_t the = CLASS(at) == MEMDB__WORD_THE, number = read_quantity(q, at, &low, &high);
    size_t noun = number ? at + number : at + the;
    memdb__word_class_t class = CLASS(noun), side = CLASS(noun + 1);
    (void)led;
    if ((class != MEMDB__WORD_UNIT && (class != MEMDB__WORD_WEEKDAY || number)) ||
        (side != MEMDB__WORD_BEFORE && side != MEMDB__WORD_AFTER)) {
        return 0;
    }
    int64_t sign = side == MEMDB__WORD_BEFORE ? -1 : 1;
    size_t behind = noun + 2 + (CLASS(noun + 2) == MEMDB__WORD_THE);
    if (CLASS(behind + 1) == MEMDB__WORD_BEFORE || CLASS(behind + 1) == MEMDB__WORD_AFTER) {
        return 0; // one step only, so that this rule does not call itself again and again
    }
    point_t anchor;
    size_t rest = memdb__when_point(q, noun + 2, true, &anchor);
    bool bare_day = anchor.recurs == MEMDB__RECURS_MONTHLY && CLASS(noun + 2) != MEMDB__WORD_THE;
    if (!rest || bare_day || !memdb__when_fix(&anchor, (q->today + 1) * MEMDB__DAY_US - 1, false)) {
        return 0;
    }
    int64_t first = memdb__when_day(anchor.from), end = memdb__when_day(anchor.to - 1) + 1;
    if (class == MEMDB__WORD_WEEKDAY) {
        int32_t weekday = memdb__when_value(q, noun);
        int64_t back = (memdb__calendar_weekday(first - 1) - weekday + 7) % 7;
        int64_t on = (weekday - memdb__calendar_weekday(end) + 7) % 7;
        int64_t day = sign < 0 ? first - 1 - back : end + on;
        memdb__when_set_days(point, MEMDB__GRAIN_DAY, day, day + 1);
        return noun + 2 + rest - at;
    }
    memdb__grain_t grain = (memdb__grain_t)memdb__when_value(q, noun);
    bool known = number ? set_beside(grain, sign < 0 ? first : end - 1, low, sign, point)
                        : set_adjacent(grain, first, end, sign, point);
    if (known && high > low) {
        point_t far = *point;
        set_beside(grain, sign < 0 ? first : end - 1, high, sign, &far);
        point->from = far.from < point->from ? far.from : point->from;
        point->to = far.to > point->to ? far.to : point->to;
    }
    return known ? noun + 2 + rest - at : 0;
}
