// The tokens of a question, and numbers in words.
//
// What is between words matters only where it is one character that stands alone: "2023-05-08",
// "3-5", "twenty-first".
#include "query/query_when.h"

#include <string.h>

#define LONGEST 15 // of a word in the vocabulary

// ------------------------------------------------------------------------------ tokens

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/// The reader of a text: what is between tokens has become one character each.
typedef struct scanner {
    const char *text;
    size_t size, at;
} scanner_t;

/// U+2013, U+2014 and U+2019 stand for a dash and an apostrophe, others of U+2000 to U+203F for a
/// space; 0: none of them is here.
static char typographic(const scanner_t *s) {
    static const char bytes[] = "\xE2\x80";
    if (s->size - s->at < 3 || memcmp(s->text + s->at, bytes, 2) != 0) {
        return 0;
    }
    unsigned char last = (unsigned char)s->text[s->at + 2];
    return last == 0x99 ? '\'' : last == 0x93 || last == 0x94 ? '-' : ' ';
}

/// Step over what is no token. The character that stands alone there; ' ' for any other case.
static char skip_gap(scanner_t *s) {
    char glue = 0;
    while (s->at < s->size) {
        char other = typographic(s), c = s->text[s->at];
        if (!other && (is_letter(c) || is_digit(c))) {
            break;
        }
        glue = glue ? ' ' : other ? other : c;
        s->at += other ? 3 : 1;
        // " - " is a dash too: spaces around one do not count against it.
        while (glue == ' ' && s->at < s->size && s->text[s->at] == ' ') {
            s->at++;
        }
        char next = s->at < s->size ? typographic(s) : 0;
        if (glue == ' ' && s->at < s->size && (next == '-' || s->text[s->at] == '-')) {
            s->at += next ? 3 : 1;
            glue = '-';
        }
        while (glue == '-' && s->at < s->size && s->text[s->at] == ' ') {
            s->at++;
        }
    }
    return glue ? glue : ' ';
}

static void read_word(scanner_t *s, memdb__token_t *token) {
    char name[LONGEST + 1];
    size_t size = 0;
    while (s->at < s->size && !typographic(s) && is_letter(s->text[s->at])) {
        char c = s->text[s->at++];
        if (size <= LONGEST) {
            name[size < LONGEST ? size : LONGEST] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
        }
        size++;
    }
    for (; s->at < s->size && is_digit(s->text[s->at]); s->at++) {
        size = LONGEST + 1; // "Oct4" is a name
    }
    // "yesterday's", "what's": what an apostrophe leads is no word of its own.
    if (s->at + 1 < s->size && (s->text[s->at] == '\'' || typographic(s) == '\'')) {
        s->at += s->text[s->at] == '\'' ? 1 : 3;
        while (s->at < s->size && is_letter(s->text[s->at]) && !typographic(s)) {
            s->at++;
        }
    }
    if (size > LONGEST) {
        return;
    }
    name[size] = 0;
    memdb__when_word(name, &token->class, &token->value);
}

/// The letters that follow a number at once: "th" makes an ordinal, "s" a decade, "T12:00" is the
/// time of a day and is passed over; with others it is no number.
static void read_suffix(scanner_t *s, memdb__token_t *token) {
    const char *from = s->text + s->at;
    size_t left = s->size - s->at, size = 0;
    if (left > 1 && (*from == 'T' || *from == 't') && is_digit(from[1])) {
        while (size < left &&
               (is_digit(from[size]) || (from[size] && strchr("TtZz:.+-", from[size])))) {
            size++;
        }
        s->at += size;
        return;
    }
    while (size < left && is_letter(from[size])) {
        size++;
    }
    s->at += size;
    char first = size ? (char)(from[0] | 32) : 0, second = size > 1 ? (char)(from[1] | 32) : 0;
    bool ordinal =
        size == 2 && ((first == 't' && second == 'h') || (first == 's' && second == 't') ||
                      (first == 'n' && second == 'd') || (first == 'r' && second == 'd'));
    if (ordinal) {
        token->class = MEMDB__WORD_ORDINAL;
    } else if (size == 1 && first == 's' && token->digits == 4) {
        token->class = MEMDB__WORD_DECADE;
    } else if (size) {
        token->class = MEMDB__WORD_CONTENT;
    }
}

static void read_digits(scanner_t *s, memdb__token_t *token) {
    token->class = MEMDB__WORD_NUMBER;
    for (; s->at < s->size && is_digit(s->text[s->at]); s->at++) {
        token->digits++;
        if (token->digits <= 9) {
            token->value = token->value * 10 + (s->text[s->at] - '0');
        }
    }
    read_suffix(s, token);
    if (token->digits > 9) {
        token->class = MEMDB__WORD_CONTENT;
    }
}

void memdb__when_tokens(const char *text, size_t size, memdb__question_t *question) {
    scanner_t s = {text, size, 0};
    question->count = 0;
    while (question->count < MEMDB__WHEN_TOKENS) {
        char glue = skip_gap(&s);
        if (s.at == s.size) {
            break;
        }
        memdb__token_t *token = &question->tokens[question->count++];
        *token = (memdb__token_t){.glue = glue};
        if (is_digit(s.text[s.at])) {
            read_digits(&s, token);
        } else {
            read_word(&s, token);
        }
    }
}

// ------------------------------------------------------------------------------ numbers

/// Tens and units: "twenty-two" is two tokens; the second one is of class `second`.
static size_t compound(const memdb__question_t *question, size_t at, memdb__word_class_t second,
                       int32_t *value_out) {
    const memdb__token_t *tens = &question->tokens[at], *units = tens + 1;
    if (memdb__when_class(question, at) != MEMDB__WORD_NUMBER || tens->digits || tens->value < 20 ||
        memdb__when_class(question, at + 1) != second || units->digits || units->value > 9 ||
        (units->glue != ' ' && units->glue != '-')) {
        return 0;
    }
    *value_out = tens->value + units->value;
    return 2;
}

size_t memdb__when_number(const memdb__question_t *question, size_t at, int32_t *value_out) {
    size_t taken = compound(question, at, MEMDB__WORD_NUMBER, value_out);
    if (!taken && memdb__when_class(question, at) == MEMDB__WORD_NUMBER) {
        *value_out = question->tokens[at].value;
        taken = 1;
    }
    return taken;
}

size_t memdb__when_ordinal(const memdb__question_t *question, size_t at, int32_t *value_out) {
    size_t taken = compound(question, at, MEMDB__WORD_ORDINAL, value_out);
    if (!taken && memdb__when_class(question, at) == MEMDB__WORD_ORDINAL) {
        *value_out = question->tokens[at].value;
        taken = 1;
    }
    return taken;
}
