// RFC 3339, strictly: fixed widths, ranges checked, the whole text used. The calendar is the
// proleptic Gregorian one; days are counted with the era arithmetic of Howard Hinnant's
// "chrono-compatible low-level date algorithms".
#include "base/time.h"

#include "base/status.h"

#include <stdio.h>
#include <string.h>

#define SECOND_US 1000000LL
#define DAY_S 86400LL
#define FIRST_US (-62135596800LL * SECOND_US)    // 0001-01-01T00:00:00Z
#define LAST_US (253402300800LL * SECOND_US - 1) // 9999-12-31T23:59:59.999999Z

static int64_t days_from_civil(int64_t year, int month, int day) {
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void civil_from_days(int64_t days, int *year, int *month, int *day) {
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t of_era = days - era * 146097;
    int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * of_year + 2) / 153;
    *day = (int)(of_year - (153 * shifted + 2) / 5 + 1);
    *month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
    *year = (int)(year_of_era + era * 400 + (*month <= 2));
}

static int month_length(int year, int month) {
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return lengths[month - 1] + (month == 2 && leap);
}

typedef struct scanner {
    const char *at;
    size_t left;
} scanner_t;

static bool number(scanner_t *s, size_t digits, int *out) {
    if (s->left < digits)
        return false;
    int value = 0;
    for (size_t i = 0; i < digits; i++) {
        if (s->at[i] < '0' || s->at[i] > '9')
            return false;
        value = value * 10 + (s->at[i] - '0');
    }
    s->at += digits;
    s->left -= digits;
    *out = value;
    return true;
}

static bool one_of(scanner_t *s, const char *characters, char *out) {
    if (!s->left || !*s->at || !strchr(characters, *s->at))
        return false;
    if (out)
        *out = *s->at;
    s->at++;
    s->left--;
    return true;
}

static const char *parse_fraction(scanner_t *s, int64_t *us_out) {
    int64_t value = 0, unit = 100000;
    size_t digits = 0;
    int digit;
    for (; s->left && *s->at >= '0' && *s->at <= '9'; digits++, unit /= 10) {
        if (digits == 6)
            return "more than six digits in the fraction of a second";
        number(s, 1, &digit);
        value += digit * unit;
    }
    *us_out = value;
    return digits ? NULL : "a fraction without digits";
}

static const char *parse_zone(scanner_t *s, int64_t *offset_s_out) {
    char sign;
    int hours, minutes;
    if (one_of(s, "Zz", NULL))
        return NULL;
    if (!one_of(s, "+-", &sign))
        return "only Z or an offset such as +02:00 may follow the time";
    if (!number(s, 2, &hours) || !one_of(s, ":", NULL) || !number(s, 2, &minutes) || hours > 23 ||
        minutes > 59)
        return "the offset is not of the form +hh:mm";
    *offset_s_out = (sign == '-' ? -1 : 1) * (hours * 3600LL + minutes * 60LL);
    return NULL;
}

static const char *parse_clock(scanner_t *s, int64_t *seconds_out, int64_t *us_out) {
    int hour, minute, second;
    int64_t offset_s = 0;
    const char *why = NULL;
    if (!one_of(s, "Tt", NULL))
        return "the letter T must stand between date and time";
    if (!number(s, 2, &hour) || !one_of(s, ":", NULL) || !number(s, 2, &minute) ||
        !one_of(s, ":", NULL) || !number(s, 2, &second))
        return "the time of day is not of the form hh:mm:ss";
    if (hour > 23 || minute > 59 || second > 59)
        return second == 60 ? "leap seconds have no place here" : "no such time of day";
    if (one_of(s, ".", NULL) && (why = parse_fraction(s, us_out)))
        return why;
    if (s->left && (why = parse_zone(s, &offset_s)))
        return why;
    *seconds_out = hour * 3600LL + minute * 60LL + second - offset_s;
    return NULL;
}

const char *memdb__time_parse(memdb_bytes_t text, int64_t *time_out) {
    scanner_t s = {text.data, text.size};
    int year, month, day;
    int64_t seconds = 0, us = 0;
    if (!number(&s, 4, &year) || !one_of(&s, "-", NULL) || !number(&s, 2, &month) ||
        !one_of(&s, "-", NULL) || !number(&s, 2, &day))
        return "not a time such as 2023-05-08T13:56:00Z";
    if (year < 1 || month < 1 || month > 12 || day < 1 || day > month_length(year, month))
        return "no such day";
    if (s.left) {
        const char *why = parse_clock(&s, &seconds, &us);
        if (why)
            return why;
        if (s.left)
            return "something follows the time";
    }
    int64_t time = (days_from_civil(year, month, day) * DAY_S + seconds) * SECOND_US + us;
    if (time < FIRST_US || time > LAST_US)
        return "outside the years 0001 to 9999 in UTC";
    *time_out = time;
    return NULL;
}

typedef struct civil {
    int year, month, day, hour, minute, second, us;
} civil_t;

static bool split(int64_t time, civil_t *out) {
    if (time < FIRST_US || time > LAST_US)
        return false;
    int64_t seconds = time / SECOND_US - (time % SECOND_US < 0);
    int64_t days = seconds / DAY_S - (seconds % DAY_S < 0);
    int64_t of_day = seconds - days * DAY_S;
    civil_from_days(days, &out->year, &out->month, &out->day);
    out->hour = (int)(of_day / 3600);
    out->minute = (int)(of_day / 60 % 60);
    out->second = (int)(of_day % 60);
    out->us = (int)(time - seconds * SECOND_US);
    return true;
}

void memdb_time_print(int64_t time, char out[MEMDB_TIME_TEXT_BYTES]) {
    civil_t c;
    if (!split(time, &c)) {
        snprintf(out, MEMDB_TIME_TEXT_BYTES, "%lld", (long long)time);
        return;
    }
    int size = snprintf(out, MEMDB_TIME_TEXT_BYTES, "%04d-%02d-%02dT%02d:%02d:%02d", c.year % 10000,
                        c.month % 100, c.day % 100, c.hour % 100, c.minute % 100, c.second % 100);
    if (c.us)
        snprintf(out + size, MEMDB_TIME_TEXT_BYTES - (size_t)size, ".%06dZ", c.us % 1000000);
    else
        snprintf(out + size, MEMDB_TIME_TEXT_BYTES - (size_t)size, "Z");
}

memdb_status_t memdb_time_parse(memdb_bytes_t text, int64_t *time_out, memdb_error_t *error_out) {
    if (!time_out || (text.size && !text.data)) {
        return memdb__fail(error_out, MEMDB_INVALID, "an argument is missing");
    }
    const char *why = memdb__time_parse(text, time_out);
    return why ? memdb__fail(error_out, MEMDB_INVALID, "%s", why) : MEMDB_OK;
}
