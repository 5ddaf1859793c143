// Tokens of the filter language. See query_filter_lex.h.
//
// The text is UTF-8 and is read byte by byte: everything that means something is ASCII, and bytes
// above that belong to names and strings.
#include "base/json_scan.h"
#include "query/query_filter_lex.h"

#include <math.h>
#include <stdio.h>
#include <strings.h>

#define SHOWN_BYTES 40 // of a token in a message

bool memdb__filter_fail(memdb__filter_parser_t *parser, memdb_status_t status, size_t place,
                        const char *format, ...) {
    char message[300];
    va_list arguments;
    if (parser->status) {
        return false;
    }
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    parser->status = memdb__fail(parser->error, status, "filter: byte %zu: %s", place, message);
    return false;
}

bool memdb__filter_expected(memdb__filter_parser_t *parser, const char *what) {
    const memdb__filter_token_t *token = &parser->token;
    size_t size = token->end - token->place;
    if (token->kind == MEMDB__TOKEN_END) {
        return memdb__filter_fail(parser, MEMDB_INVALID, token->place,
                                  "expected %s, but the text ends", what);
    }
    if (size > SHOWN_BYTES) {
        for (size = SHOWN_BYTES; ((uint8_t)parser->text[token->place + size] & 0xC0) == 0x80;) {
            size--; // not within a character
        }
    }
    return memdb__filter_fail(parser, MEMDB_INVALID, token->place, "expected %s, not %.*s", what,
                              (int)size, parser->text + token->place);
}

// ------------------------------------------------------------------------------ the kinds of
// tokens

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || is_digit(c) ||
           (uint8_t)c >= 0x80;
}

static bool read_name(memdb__filter_parser_t *parser) {
    memdb__filter_token_t *token = &parser->token;
    while (is_name(parser->text[token->end])) {
        token->end++;
    }
    token->kind = MEMDB__TOKEN_NAME;
    token->text = (memdb_bytes_t){parser->text + token->place, token->end - token->place};
    return true;
}

/// What stands between two quotes, of which one within is written twice. The text is kept by the
/// filter.
static bool read_quoted(memdb__filter_parser_t *parser, memdb__filter_token_kind_t kind) {
    memdb__filter_token_t *token = &parser->token;
    const char *text = parser->text, quote = text[token->place];
    size_t at = token->place + 1, doubled = 0;
    for (;; at++) {
        const char *found = memchr(text + at, quote, parser->size - at);
        if (!found) {
            token->end = parser->size;
            return memdb__filter_fail(parser, MEMDB_INVALID, token->place,
                                      "the quote %c is not closed", quote);
        }
        at = (size_t)(found - text) + 1;
        if (text[at] != quote) {
            break;
        }
        doubled++;
    }
    size_t size = at - token->place - 2;
    char *copy = memdb__arena_allocate(&parser->filter->arena, size + 1);
    if (!copy) {
        return memdb__filter_fail(parser, MEMDB_NOMEM, token->place, "out of memory");
    }
    size_t filled = 0;
    for (size_t from = token->place + 1; from < at - 1; from++) {
        copy[filled++] = text[from];
        from += text[from] == quote;
    }
    token->kind = kind;
    token->end = at;
    token->text = (memdb_bytes_t){copy, size - doubled};
    return true;
}

static bool read_number(memdb__filter_parser_t *parser) {
    memdb__filter_token_t *token = &parser->token;
    memdb__json_t number;
    const char *begin = parser->text + token->place;
    // The text ends with a zero byte, which ends a number too.
    const char *end = memdb__json_number(begin, parser->text + parser->size + 1, &number);
    if (!end || is_name(*end)) {
        return memdb__filter_fail(parser, MEMDB_INVALID, token->place,
                                  "a number is written as in JSON: 12, -0.5 or 1e6");
    }
    if (number.kind == MEMDB__JSON_REAL && !isfinite(number.real)) {
        return memdb__filter_fail(parser, MEMDB_INVALID, token->place,
                                  "the number is beyond 1.8e308, the largest there is");
    }
    token->kind = MEMDB__TOKEN_NUMBER;
    token->end = (size_t)(end - parser->text);
    if (number.kind == MEMDB__JSON_INTEGER) {
        token->value = (memdb_value_t){.kind = MEMDB_VALUE_INTEGER, .integer = number.integer};
    } else {
        token->value = (memdb_value_t){.kind = MEMDB_VALUE_NUMBER, .number = number.real};
    }
    return true;
}

static bool read_parameter(memdb__filter_parser_t *parser) {
    memdb__filter_token_t *token = &parser->token;
    uint32_t number = 0;
    size_t digits = 0;
    token->end++;
    for (; is_digit(parser->text[token->end]); token->end++, digits++) {
        if (digits < 7) {
            number = number * 10 + (uint32_t)(parser->text[token->end] - '0');
        }
    }
    if (digits && (!number || digits > 7)) {
        return memdb__filter_fail(parser, MEMDB_INVALID, token->place,
                                  "parameters are counted from ?1 on");
    }
    token->kind = MEMDB__TOKEN_PARAMETER;
    token->number = number;
    return true;
}

static bool read_symbol(memdb__filter_parser_t *parser) {
    static const struct {
        char text[3];
        memdb__filter_token_kind_t kind;
    } symbols[] = {
        {"<=", MEMDB__TOKEN_LESS_EQUAL}, {">=", MEMDB__TOKEN_GREATER_EQUAL},
        {"!=", MEMDB__TOKEN_NOT_EQUAL},  {"<>", MEMDB__TOKEN_NOT_EQUAL},
        {"=", MEMDB__TOKEN_EQUAL},       {"<", MEMDB__TOKEN_LESS},
        {">", MEMDB__TOKEN_GREATER},     {"(", MEMDB__TOKEN_OPEN},
        {")", MEMDB__TOKEN_CLOSE},       {",", MEMDB__TOKEN_COMMA},
        {".", MEMDB__TOKEN_DOT},
    };
    memdb__filter_token_t *token = &parser->token;
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
        size_t size = strlen(symbols[i].text);
        if (strncmp(parser->text + token->place, symbols[i].text, size) == 0) {
            token->kind = symbols[i].kind;
            token->end = token->place + size;
            return true;
        }
    }
    return memdb__filter_fail(parser, MEMDB_INVALID, token->place,
                              "nothing begins with the character 0x%02x",
                              (uint8_t)parser->text[token->place]);
}

// ------------------------------------------------------------------------------ the next one

static bool advance(memdb__filter_parser_t *parser, bool step) {
    memdb__filter_token_t *token = &parser->token;
    size_t at = token->end;
    if (parser->status) {
        return false;
    }
    while (at < parser->size && memchr(" \t\n\r", parser->text[at], 4)) {
        at++;
    }
    *token = (memdb__filter_token_t){.kind = MEMDB__TOKEN_END, .place = at, .end = at};
    if (at == parser->size) {
        return true;
    }
    char c = parser->text[at];
    if (is_name(c) && (step || !is_digit(c))) {
        return read_name(parser);
    }
    if (c == '\'' || c == '"') {
        return read_quoted(parser, c == '"' ? MEMDB__TOKEN_QUOTED : MEMDB__TOKEN_STRING);
    }
    if (is_digit(c) || c == '-') {
        return read_number(parser);
    }
    return c == '?' ? read_parameter(parser) : read_symbol(parser);
}

bool memdb__filter_advance(memdb__filter_parser_t *parser) {
    return advance(parser, false);
}

bool memdb__filter_advance_step(memdb__filter_parser_t *parser) {
    return advance(parser, true);
}

bool memdb__filter_at_word(const memdb__filter_parser_t *parser, const char *word) {
    const memdb__filter_token_t *token = &parser->token;
    return token->kind == MEMDB__TOKEN_NAME && token->text.size == strlen(word) &&
           strncasecmp(token->text.data, word, token->text.size) == 0;
}

bool memdb__filter_take_word(memdb__filter_parser_t *parser, const char *word) {
    return memdb__filter_at_word(parser, word) && memdb__filter_advance(parser);
}
