// A scanner for JSON that was checked before. See json_scan.h.
//
// A value that is not wanted is skipped by its outer shape alone: a string to its closing quote, a
// container to the bracket that closes its depth, anything else to the next comma, bracket or
// space. So there is no recursion, and a hostile depth costs no stack.
#include "base/json_scan.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>

// ------------------------------------------------------------------------------ skipping

static const char *skip_space(const char *at, const char *end) {
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) {
        at++;
    }
    return at;
}

/// From behind the opening quote to the closing one. NULL: there is none.
static const char *skip_string(const char *at, const char *end, bool *escaped_out) {
    *escaped_out = false;
    for (;;) {
        const char *quote = memchr(at, '"', (size_t)(end - at));
        if (!quote) {
            return NULL;
        }
        while (at <= quote) {
            const char *slash = memchr(at, '\\', (size_t)(quote - at));
            if (!slash) {
                return quote;
            }
            *escaped_out = true;
            at = slash + 2; // the escaped byte may be that quote
        }
    }
}

static const char *skip_scalar(const char *at, const char *end) {
    while (at < end && *at != ',' && *at != ']' && *at != '}' && *at != ' ' && *at != '\n' &&
           *at != '\r' && *at != '\t') {
        at++;
    }
    return at;
}

static const char *skip_container(const char *at, const char *end) {
    size_t depth = 0;
    bool escaped;
    for (; at < end; at++) {
        if (*at == '"') {
            at = skip_string(at + 1, end, &escaped);
            if (!at) {
                return NULL;
            }
        } else if (*at == '{' || *at == '[') {
            depth++;
        } else if ((*at == '}' || *at == ']') && --depth == 0) {
            return at + 1;
        }
    }
    return NULL;
}

static const char *skip_value(const char *at, const char *end) {
    bool escaped;
    if (at == end) {
        return NULL;
    }
    if (*at == '"') {
        at = skip_string(at + 1, end, &escaped);
        return at ? at + 1 : NULL;
    }
    return *at == '{' || *at == '[' ? skip_container(at, end) : skip_scalar(at, end);
}

// ------------------------------------------------------------------------------ values

static const char *skip_digits(const char *at, const char *end) {
    while (at < end && *at >= '0' && *at <= '9') {
        at++;
    }
    return at;
}

static bool integer_of(const char *at, const char *end, int64_t *integer_out) {
    bool negative = *at == '-';
    uint64_t value = 0;
    for (at += negative; at < end; at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    if (value > (uint64_t)INT64_MAX + negative) {
        return false;
    }
    *integer_out = (int64_t)(negative ? -value : value);
    return true;
}

const char *memdb__json_number(const char *at, const char *end, memdb__json_t *value_out) {
    const char *begin = at, *digits = at + (at < end && *at == '-');
    const char *whole = skip_digits(digits, end), *last = whole;
    if (whole == digits || (*digits == '0' && whole - digits > 1)) {
        return NULL;
    }
    if (last < end && *last == '.') {
        const char *fraction = last + 1;
        last = skip_digits(fraction, end);
        if (last == fraction) {
            return NULL;
        }
    }
    if (last < end && (*last == 'e' || *last == 'E')) {
        const char *exponent = last + 1;
        exponent += exponent < end && (*exponent == '-' || *exponent == '+');
        last = skip_digits(exponent, end);
        if (last == exponent) {
            return NULL;
        }
    }
    if (last == end) {
        return NULL; // strtod_l would read on
    }
    if (last == whole && integer_of(begin, last, &value_out->integer)) {
        value_out->kind = MEMDB__JSON_INTEGER;
        return last;
    }
    // The C library keeps the locale "C" as a constant: this neither allocates nor fails, and the
    // program's own locale may write numbers with a comma.
    value_out->kind = MEMDB__JSON_REAL;
    value_out->real = strtod_l(begin, NULL, newlocale(LC_ALL_MASK, "C", (locale_t)0));
    return last;
}

static bool is_word(const char *at, const char *last, const char *word, size_t size) {
    return (size_t)(last - at) == size && memcmp(at, word, size) == 0;
}

/// The value at `at`; returns where it ends.
static const char *read_value(const char *at, const char *end, memdb__json_t *value) {
    const char *last;
    *value = (memdb__json_t){.kind = MEMDB__JSON_NULL};
    if (at == end) {
        return NULL;
    }
    if (*at == '"') {
        last = skip_string(at + 1, end, &value->escaped);
        value->kind = MEMDB__JSON_STRING;
        value->text = (memdb_bytes_t){at + 1, last ? (size_t)(last - at - 1) : 0};
        return last ? last + 1 : NULL;
    }
    if (*at == '{' || *at == '[') {
        last = skip_container(at, end);
        value->kind = *at == '{' ? MEMDB__JSON_OBJECT : MEMDB__JSON_ARRAY;
        value->text = (memdb_bytes_t){at, last ? (size_t)(last - at) : 0};
        return last;
    }
    if (*at == '-' || (*at >= '0' && *at <= '9')) {
        return memdb__json_number(at, end, value);
    }
    last = skip_scalar(at, end);
    if (is_word(at, last, "null", 4)) {
        return last;
    }
    value->kind = MEMDB__JSON_BOOL;
    value->truth = is_word(at, last, "true", 4);
    return value->truth || is_word(at, last, "false", 5) ? last : NULL;
}

bool memdb__json_read(memdb_bytes_t text, memdb__json_t *value_out) {
    const char *end = text.data + text.size;
    return text.size && read_value(skip_space(text.data, end), end, value_out);
}

// ------------------------------------------------------------------------------ walking

memdb__json_walk_t memdb__json_enter(const memdb__json_t *container) {
    memdb__json_walk_t walk = {.object = container->kind == MEMDB__JSON_OBJECT};
    if (walk.object || container->kind == MEMDB__JSON_ARRAY) {
        walk.at = container->text.data + 1;
        walk.end = container->text.data + container->text.size;
    }
    return walk;
}

/// The name of a member, and where its value begins.
static const char *read_name(const char *at, const char *end, memdb__json_t *name) {
    if (at == end || *at != '"') {
        return NULL;
    }
    const char *last = skip_string(at + 1, end, &name->escaped);
    if (!last) {
        return NULL;
    }
    name->kind = MEMDB__JSON_STRING;
    name->text = (memdb_bytes_t){at + 1, (size_t)(last - at - 1)};
    at = skip_space(last + 1, end);
    return at < end && *at == ':' ? skip_space(at + 1, end) : NULL;
}

bool memdb__json_next(memdb__json_walk_t *walk, memdb__json_t *name_out, memdb__json_t *value_out) {
    memdb__json_t name;
    const char *at = walk->at ? skip_space(walk->at, walk->end) : NULL;
    if (at && walk->object) {
        at = read_name(at, walk->end, name_out ? name_out : &name);
    }
    at = at ? read_value(at, walk->end, value_out) : NULL;
    if (!at) {
        return false;
    }
    at = skip_space(at, walk->end);
    walk->at = at < walk->end && *at == ',' ? at + 1 : NULL;
    return true;
}

/// Whether the member's name is `step`.
static bool is_named(const memdb__json_t *name, memdb_bytes_t step) {
    if (name->escaped) {
        return memdb__json_compare(name, step) == 0;
    }
    return name->text.size == step.size && memcmp(name->text.data, step.data, step.size) == 0;
}

/// Where the value of the member `step` of the object at `at` begins.
static const char *find_member(const char *at, const char *end, memdb_bytes_t step) {
    memdb__json_t name;
    if (at == end || *at != '{') {
        return NULL;
    }
    do {
        at = read_name(skip_space(at + 1, end), end, &name);
        if (!at || is_named(&name, step)) {
            return at;
        }
        at = skip_value(at, end);
        at = at ? skip_space(at, end) : NULL;
    } while (at && at < end && *at == ',');
    return NULL;
}

bool memdb__json_find(memdb_bytes_t text, const memdb_bytes_t *steps, size_t count,
                      memdb__json_t *value_out) {
    if (!text.size) {
        return false;
    }
    const char *end = text.data + text.size, *at = skip_space(text.data, end);
    for (size_t i = 0; at && i < count; i++) {
        at = find_member(at, end, steps[i]);
    }
    return at && read_value(at, end, value_out);
}
