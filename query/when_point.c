// One point of the calendar, as a question says it.
//
// Each rule reads one form from a place on and says how many tokens it took. The rules are tried in
// the order of the table at the end, so that a longer form stands before one that begins alike. A
// form that comes again (May 8th, Friday, the 8th) stays open here: memdb__when_fix chooses the
// year, month or week once it is known what stands beside it.
#include "query/query_when.h"

typedef memdb__question_t question_t;
typedef memdb__point_t point_t;

#define CLASS(at) memdb__when_class(q, at)

// ------------------------------------------------------------------------------ days to windows

void memdb__when_set_days(point_t *point, memdb__grain_t grain, int64_t from, int64_t to) {
    point->grain = grain;
    point->recurs = MEMDB__RECURS_NOT;
    if (point->third && grain == MEMDB__GRAIN_YEAR) {
        int32_t year = memdb__calendar_date(from).year;
        from = memdb__calendar_days(year, 4 * point->third - 3, 1);
        to = memdb__calendar_month_begin((int64_t)year * 12 + 4 * (int64_t)point->third);
    } else if (point->third && grain == MEMDB__GRAIN_MONTH) {
        from += 10 * (int64_t)(point->third - 1);
        to = point->third < 3 ? from + 10 : to;
    }
    point->from = from * MEMDB__DAY_US;
    point->to = to * MEMDB__DAY_US;
    if (point->part) {
        point->to = point->from + point->part % 100 * MEMDB__HOUR_US;
        point->from += point->part / 100 * MEMDB__HOUR_US;
    }
}

static void set_day(point_t *point, int64_t day) {
    memdb__when_set_days(point, MEMDB__GRAIN_DAY, day, day + 1);
}

/// `count` months, or years, from month `first` on.
static void set_months(point_t *point, memdb__grain_t grain, int64_t first, int64_t count) {
    memdb__when_set_days(point, grain, memdb__calendar_month_begin(first),
                         memdb__calendar_month_begin(first + count));
}

static bool is_date(int32_t year, int32_t month, int32_t day) {
    return year >= 1 && year <= 9999 && month >= 1 && month <= 12 && day >= 1 &&
           day <= memdb__calendar_month_length(year, month);
}

int64_t memdb__when_day(int64_t time) {
    return time / MEMDB__DAY_US - (time % MEMDB__DAY_US < 0);
}

bool memdb__when_fix(point_t *point, int64_t anchor, bool forward) {
    int64_t base = memdb__when_day(anchor), step = forward ? 1 : -1;
    memdb__date_t date = memdb__calendar_date(base);
    if (point->recurs == MEMDB__RECURS_NOT) {
        return true;
    }
    if (point->recurs == MEMDB__RECURS_WEEKLY) {
        int32_t away = (memdb__calendar_weekday(base) - point->weekday + 7) % 7;
        set_day(point, forward ? base + (7 - away) % 7 : base - away);
        return true;
    }
    // At most eight years lie between two days of February 29th, and a month between two 31sts.
    bool monthly = point->recurs == MEMDB__RECURS_MONTHLY;
    int64_t month = (int64_t)date.year * 12 + (monthly ? date.month : point->month) - 1;
    for (int tries = 0; tries < 10; tries++, month += monthly ? step : 12 * step) {
        int32_t year = (int32_t)(month / 12), of_year = (int32_t)(month % 12) + 1;
        int32_t day = point->day ? point->day : 1;
        if (!is_date(year, of_year, day)) {
            continue;
        }
        int64_t begin = memdb__calendar_days(year, of_year, day);
        if (forward ? begin < base : begin > base) {
            continue;
        }
        if (point->day) {
            set_day(point, begin);
        } else {
            set_months(point, MEMDB__GRAIN_MONTH, month, 1);
        }
        return true;
    }
    return false;
}

bool memdb__when_fix_in(point_t *point, const point_t *unit) {
    return memdb__when_fix(point, unit->to - 1, false) && point->from >= unit->from;
}

// ------------------------------------------------------------------------------ dates

/// A month (and day) with its year, or for now without.
static void set_date(point_t *point, int32_t year, int32_t month, int32_t day) {
    point->month = month;
    point->day = day;
    point->grain = day ? MEMDB__GRAIN_DAY : MEMDB__GRAIN_MONTH;
    if (!year) {
        point->recurs = MEMDB__RECURS_YEARLY;
    } else if (day) {
        set_day(point, memdb__calendar_days(year, month, day));
    } else {
        set_months(point, MEMDB__GRAIN_MONTH, (int64_t)year * 12 + month - 1, 1);
    }
}

static bool is_digits(const question_t *q, size_t at, uint32_t least, uint32_t most) {
    return CLASS(at) == MEMDB__WORD_NUMBER && q->tokens[at].digits >= least &&
           q->tokens[at].digits <= most;
}

/// 2023-05-08, 2023/05/08, 2023-05.
static size_t read_iso(const question_t *q, size_t at, bool led, point_t *point) {
    (void)led;
    char glue = at + 1 < q->count ? q->tokens[at + 1].glue : ' ';
    if (!is_digits(q, at, 4, 4) || !is_digits(q, at + 1, 1, 2) || (glue != '-' && glue != '/')) {
        return 0;
    }
    bool has_day = is_digits(q, at + 2, 1, 2) && q->tokens[at + 2].glue == glue;
    int32_t day = has_day ? memdb__when_value(q, at + 2) : 0;
    if (!is_date(memdb__when_value(q, at), memdb__when_value(q, at + 1), has_day ? day : 1) ||
        (!has_day && q->tokens[at + 1].digits != 2)) {
        return 0;
    }
    set_date(point, memdb__when_value(q, at), memdb__when_value(q, at + 1), day);
    return has_day ? 3 : 2;
}

/// 5/8/2023 and 13/5/2023; 8.5.2023.
static size_t read_numeric(const question_t *q, size_t at, bool led, point_t *point) {
    (void)led;
    char glue = at + 1 < q->count ? q->tokens[at + 1].glue : ' ';
    if (!is_digits(q, at, 1, 2) || !is_digits(q, at + 1, 1, 2) || !is_digits(q, at + 2, 4, 4) ||
        (glue != '/' && glue != '.') || q->tokens[at + 2].glue != glue) {
        return 0;
    }
    int32_t first = memdb__when_value(q, at), second = memdb__when_value(q, at + 1),
            year = memdb__when_value(q, at + 2);
    bool day_first = glue == '.' || first > 12;
    int32_t month = day_first ? second : first, day = day_first ? first : second;
    if (!is_date(year, month, day)) {
        return 0;
    }
    set_date(point, year, month, day);
    return 3;
}

/// "2023", ", 2023", "of 2023", "last year", "this year" behind a month or day.
static size_t read_year_behind(const question_t *q, size_t at, int32_t *year_out) {
    size_t of = CLASS(at) == MEMDB__WORD_OF || CLASS(at) == MEMDB__WORD_LEAD, from = at + of;
    if (is_digits(q, from, 4, 4) && memdb__when_value(q, from) >= 1 &&
        q->tokens[from].glue == ' ') {
        *year_out = memdb__when_value(q, from);
        return of + 1;
    }
    memdb__word_class_t which = CLASS(from);
    int32_t step = which == MEMDB__WORD_LAST ? -1 : which == MEMDB__WORD_NEXT;
    if ((step || which == MEMDB__WORD_THIS) && CLASS(from + 1) == MEMDB__WORD_UNIT &&
        memdb__when_value(q, from + 1) == MEMDB__GRAIN_YEAR) {
        int32_t year = memdb__calendar_date(q->today).year + step;
        *year_out = year < 1 ? 1 : year > 9999 ? 9999 : year;
        return of + 2;
    }
    return 0;
}

/// The day of a month: "8", "8th", "eighth", "twenty-first"; of a number in words only an ordinal.
static size_t read_day_number(const question_t *q, size_t at, int32_t *day_out) {
    size_t taken = memdb__when_ordinal(q, at, day_out);
    if (!taken && is_digits(q, at, 1, 2)) {
        *day_out = memdb__when_value(q, at);
        taken = 1;
    }
    return taken && *day_out >= 1 && *day_out <= 31 ? taken : 0;
}

/// 8 May, the 8th of May, 8 May 2023.
static size_t read_day_month(const question_t *q, size_t at, bool led, point_t *point) {
    (void)led;
    size_t taken = CLASS(at) == MEMDB__WORD_THE;
    int32_t day, year = 0;
    size_t number = read_day_number(q, at + taken, &day);
    taken += number;
    taken += CLASS(at + taken) == MEMDB__WORD_OF;
    if (!number || CLASS(at + taken) != MEMDB__WORD_MONTH) {
        return 0;
    }
    int32_t month = memdb__when_value(q, at + taken++);
    taken += read_year_behind(q, at + taken, &year);
    if (!is_date(year ? year : 2000, month, day)) {
        return 0;
    }
    set_date(point, year, month, day);
    return taken;
}

/// May 8th, May 8 2023, May the 8th.
static size_t read_month_day(const question_t *q, size_t at, bool led, point_t *point) {
    (void)led;
    int32_t day, year = 0;
    if (CLASS(at) != MEMDB__WORD_MONTH) {
        return 0;
    }
    size_t taken = 1 + (CLASS(at + 1) == MEMDB__WORD_THE);
    size_t number = read_day_number(q, at + taken, &day);
    taken += number;
    if (!number) {
        return 0;
    }
    taken += read_year_behind(q, at + taken, &year);
    if (!is_date(year ? year : 2000, memdb__when_value(q, at), day)) {
        return 0;
    }
    set_date(point, year, memdb__when_value(q, at), day);
    return taken;
}

bool memdb__when_led(const question_t *q, size_t at, bool led) {
    memdb__word_class_t before = at > 0 ? CLASS(at - 1) : MEMDB__WORD_CONTENT;
    return led || before == MEMDB__WORD_LEAD || before == MEMDB__WORD_OF ||
           before == MEMDB__WORD_THIRD;
}

size_t memdb__when_read_part(const question_t *q, size_t at, point_t *point) {
    if (CLASS(at) != MEMDB__WORD_PART) {
        return 0;
    }
    point->part = memdb__when_value(q, at);
    return 1;
}

/// May 2023, May of last year; in May.
static size_t read_month(const question_t *q, size_t at, bool led, point_t *point) {
    int32_t year = 0;
    if (CLASS(at) != MEMDB__WORD_MONTH) {
        return 0;
    }
    size_t behind = read_year_behind(q, at + 1, &year);
    if (!behind && !memdb__when_led(q, at, led)) {
        return 0; // "may", "march" and "mar" are other words, too
    }
    set_date(point, year, memdb__when_value(q, at), 0);
    return 1 + behind;
}

/// In 2022, the year 2022, in the 1990s.
static size_t read_year(const question_t *q, size_t at, bool led, point_t *point) {
    size_t the = CLASS(at) == MEMDB__WORD_THE, from = at + the;
    bool named = CLASS(from) == MEMDB__WORD_UNIT && memdb__when_value(q, from) == MEMDB__GRAIN_YEAR;
    size_t taken = the + named + 1;
    int32_t year = memdb__when_value(q, from + named);
    bool decade = CLASS(from + named) == MEMDB__WORD_DECADE && year % 10 == 0;
    bool led_here = named || memdb__when_led(q, at, led);
    size_t next = at + taken; // "2023-02-29" is no date, and no year either
    bool cut = is_digits(q, next, 1, 2) && q->tokens[next].glue != ' ';
    if (!led_here || cut || year < 1900 || year > 2100 ||
        !(decade || (is_digits(q, from + named, 4, 4) && (named || !the)))) {
        return 0;
    }
    set_months(point, MEMDB__GRAIN_YEAR, (int64_t)year * 12, decade ? 120 : 12);
    return taken;
}

size_t memdb__when_read_year(const question_t *q, size_t at, point_t *point) {
    int32_t year;
    size_t taken = read_year_behind(q, at, &year);
    if (!taken || !is_date(year, point->month, point->day ? point->day : 1)) {
        return 0;
    }
    set_date(point, year, point->month, point->day);
    return taken;
}

/// The 8th of last month.
static size_t read_day_of_unit(const question_t *q, size_t at, point_t *point) {
    point_t unit = {0};
    size_t taken = CLASS(at) == MEMDB__WORD_OF ? memdb__when_read_unit(q, at + 1, true, &unit) : 0;
    if (!taken || unit.grain != MEMDB__GRAIN_MONTH) {
        return 0;
    }
    point->recurs = MEMDB__RECURS_MONTHLY;
    return memdb__when_fix_in(point, &unit) ? taken + 1 : 0;
}

/// On the 8th: a day of the month alone, where nothing follows that it could count.
static size_t read_day(const question_t *q, size_t at, bool led, point_t *point) {
    size_t the = CLASS(at) == MEMDB__WORD_THE, number = at + the;
    // In digits: "on the first" goes on more often than not ("point", "try").
    bool ordinal = CLASS(number) == MEMDB__WORD_ORDINAL && q->tokens[number].digits;
    if (!ordinal && !(led && is_digits(q, number, 1, 2))) {
        return 0;
    }
    point->day = memdb__when_value(q, number);
    if (point->day < 1 || point->day > 31) {
        return 0;
    }
    size_t of = read_day_of_unit(q, number + 1, point);
    if (of) {
        return the + 1 + of;
    }
    memdb__word_class_t next = CLASS(number + 1);
    bool ends = number + 1 >= q->count || next == MEMDB__WORD_ASK || next == MEMDB__WORD_TO ||
                next == MEMDB__WORD_AND || is_digits(q, number + 1, 4, 4);
    if (!memdb__when_led(q, at, led) || (!the && !led) || !ends) {
        return 0;
    }
    point->grain = MEMDB__GRAIN_DAY;
    point->recurs = MEMDB__RECURS_MONTHLY;
    return the + 1;
}

// ------------------------------------------------------------------------------ the table

size_t memdb__when_point(const question_t *q, size_t at, bool led, point_t *point_out) {
    static size_t (*const rules[])(const question_t *, size_t, bool, point_t *) = {
        read_iso,
        read_numeric,
        memdb__when_read_anchored,
        memdb__when_read_distance,
        memdb__when_read_rolling,
        read_day_month,
        read_month_day,
        memdb__when_read_third,
        memdb__when_read_within,
        memdb__when_read_part_of,
        read_month,
        read_year,
        memdb__when_read_today,
        memdb__when_read_weekday,
        memdb__when_read_unit,
        memdb__when_read_weekend,
        read_day,
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        point_t point = {0};
        size_t taken = rules[i](q, at, led, &point);
        if (taken) {
            *point_out = point;
            return taken;
        }
    }
    return 0;
}
