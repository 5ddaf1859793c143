// The calendar of docs/time.md: proleptic Gregorian, years 1 to 9999, UTC.
#include "query/query_when.h"

#define DAYS_TO_1970 719162 // from 0001-01-01

static const int32_t days_before[13] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};

static bool is_leap(int32_t year) {
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/// Days from 0001-01-01 to the first day of a year.
static int64_t days_before_year(int64_t year) {
    int64_t whole = year - 1;
    return whole * 365 + whole / 4 - whole / 100 + whole / 400;
}

int32_t memdb__calendar_month_length(int32_t year, int32_t month) {
    return days_before[month] - days_before[month - 1] + (month == 2 && is_leap(year));
}

int64_t memdb__calendar_days(int32_t year, int32_t month, int32_t day) {
    bool leaped = month > 2 && is_leap(year);
    return days_before_year(year) + days_before[month - 1] + leaped + day - 1 - DAYS_TO_1970;
}

memdb__date_t memdb__calendar_date(int64_t days) {
    int64_t left = days + DAYS_TO_1970, last = days_before_year(10000) - 1;
    left = left < 0 ? 0 : left > last ? last : left;
    int32_t year = (int32_t)(left / 366) + 1, month = 1; // never beyond the year that is sought
    while (days_before_year((int64_t)year + 1) <= left) {
        year++;
    }
    left -= days_before_year(year);
    while (left >= memdb__calendar_month_length(year, month)) {
        left -= memdb__calendar_month_length(year, month++);
    }
    return (memdb__date_t){year, month, (int32_t)left + 1};
}

int64_t memdb__calendar_month_begin(int64_t month) {
    if (month < MEMDB__MONTHS_FIRST) {
        month = MEMDB__MONTHS_FIRST;
    }
    if (month > MEMDB__MONTHS_LAST + 1) {
        month = MEMDB__MONTHS_LAST + 1;
    }
    return memdb__calendar_days((int32_t)(month / 12), (int32_t)(month % 12) + 1, 1);
}

int32_t memdb__calendar_weekday(int64_t days) {
    int64_t of_week = (days + 3) % 7; // 1970-01-01 was a Thursday
    return (int32_t)(of_week < 0 ? of_week + 7 : of_week);
}

int64_t memdb__calendar_monday(int64_t days) {
    return days - memdb__calendar_weekday(days);
}

int64_t memdb__calendar_month_of(int64_t days) {
    memdb__date_t date = memdb__calendar_date(days);
    return (int64_t)date.year * 12 + date.month - 1;
}

int64_t memdb__calendar_months_away(int64_t day, int64_t months) {
    memdb__date_t date = memdb__calendar_date(day);
    int64_t month = memdb__calendar_month_of(day) + months,
            begin = memdb__calendar_month_begin(month);
    int64_t end = memdb__calendar_month_begin(month + 1);
    return begin + date.day - 1 < end ? begin + date.day - 1 : end > begin ? end - 1 : begin;
}
