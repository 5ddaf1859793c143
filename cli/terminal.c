// The screen: colour, widths of characters, wrapping with the question's words in bold.
#include "cli/cli_lines.h"
#include "cli/cli_terminal.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define DEFAULT_WIDTH 80
#define MIN_WIDTH 40
#define MAX_WIDTH 400

static size_t columns_by_environment(void) {
    const char *columns = getenv("COLUMNS");
    char *end;
    unsigned long width = columns ? strtoul(columns, &end, 10) : 0;
    return columns && *columns && !*end && width > 0 && width < 10000 ? width : DEFAULT_WIDTH;
}

void cli_screen_init(cli_screen_t *screen) {
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    struct winsize size = {0};
    bool terminal = isatty(STDOUT_FILENO);
    *screen = (cli_screen_t){.width = DEFAULT_WIDTH};
    screen->colour = terminal && !(no_color && *no_color) && !(term && !strcmp(term, "dumb"));
    if (terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col)
        screen->width = size.ws_col;
    else
        screen->width = columns_by_environment();
    screen->width = screen->width < MIN_WIDTH   ? MIN_WIDTH
                    : screen->width > MAX_WIDTH ? MAX_WIDTH
                                                : screen->width;
}

void cli_screen_deinit(cli_screen_t *screen) {
    cli_buffer_free(&screen->out);
}

bool cli_screen_flush(cli_screen_t *screen) {
    bool written = cli_write_all(STDOUT_FILENO, screen->out.data, screen->out.size);
    cli_buffer_clear(&screen->out);
    return written;
}

// One character of UTF-8 and its size; the library hands out valid UTF-8, and other bytes count as
// one character.
static uint32_t decode(const char *text, size_t left, size_t *size_out) {
    const unsigned char *at = (const unsigned char *)text;
    size_t size = at[0] < 0x80 ? 1 : at[0] < 0xE0 ? 2 : at[0] < 0xF0 ? 3 : 4;
    if (size == 1 || at[0] < 0xC0 || size > left) {
        *size_out = 1;
        return at[0] < 0x80 ? at[0] : 0xFFFD;
    }
    uint32_t code = at[0] & (0x7Fu >> size);
    for (size_t i = 1; i < size; i++)
        code = code << 6 | (at[i] & 0x3Fu);
    *size_out = size;
    return code;
}

typedef struct range {
    uint32_t first, last;
} range_t;

static bool within(const range_t *ranges, size_t count, uint32_t code) {
    for (size_t i = 0; i < count; i++)
        if (code >= ranges[i].first && code <= ranges[i].last)
            return true;
    return false;
}

// The blocks that matter in running text; a rare character that is missed only moves a column.
static size_t columns_of(uint32_t code) {
    static const range_t none[] = {{0x300, 0x36F},   {0x483, 0x489},   {0x591, 0x5BD},
                                   {0x610, 0x61A},   {0x64B, 0x65F},   {0x200B, 0x200F},
                                   {0x202A, 0x202E}, {0x2060, 0x2064}, {0x20D0, 0x20FF},
                                   {0xFE00, 0xFE0F}, {0xFE20, 0xFE2F}, {0xFEFF, 0xFEFF}};
    static const range_t wide[] = {{0x1100, 0x115F},   {0x2E80, 0x303E},  {0x3041, 0x33FF},
                                   {0x3400, 0x4DBF},   {0x4E00, 0x9FFF},  {0xA000, 0xA4CF},
                                   {0xAC00, 0xD7A3},   {0xF900, 0xFAFF},  {0xFE30, 0xFE4F},
                                   {0xFF00, 0xFF60},   {0xFFE0, 0xFFE6},  {0x1F300, 0x1F64F},
                                   {0x1F900, 0x1F9FF}, {0x20000, 0x3FFFD}};
    if (code < 0x300)
        return 1;
    if (within(none, sizeof none / sizeof *none, code))
        return 0;
    return within(wide, sizeof wide / sizeof *wide, code) ? 2 : 1;
}

// Control characters, and those that turn the direction of the line.
static bool is_control(uint32_t code) {
    return code < 0x20 || (code >= 0x7F && code < 0xA0) || (code >= 0x202A && code <= 0x202E) ||
           (code >= 0x2066 && code <= 0x2069) || code == 0xFFFD;
}

size_t cli_text_columns(memdb_bytes_t text) {
    size_t columns = 0, step;
    for (size_t at = 0; at < text.size; at += step) {
        uint32_t code = decode(text.data + at, text.size - at, &step);
        columns += is_control(code) ? 1 : columns_of(code);
    }
    return columns;
}

void cli_clean(memdb_bytes_t text, cli_buffer_t *out) {
    size_t step;
    for (size_t at = 0; at < text.size; at += step) {
        uint32_t code = decode(text.data + at, text.size - at, &step);
        if (is_control(code))
            cli_buffer_char(out, code == '\n' || code == '\t' || code == '\r' ? ' ' : '?');
        else
            cli_buffer_append(out, text.data + at, step);
    }
}

static void begin_style(cli_screen_t *screen, cli_style_t style) {
    static const char *const codes[] = {"", "\x1b[1m", "\x1b[2m", "\x1b[32m"};
    if (screen->colour)
        cli_buffer_text(&screen->out, codes[style]);
}

static void end_style(cli_screen_t *screen, cli_style_t style) {
    if (screen->colour && style != CLI_PLAIN)
        cli_buffer_text(&screen->out, "\x1b[0m");
}

void cli_show(cli_screen_t *screen, cli_style_t style, memdb_bytes_t text) {
    begin_style(screen, style);
    cli_clean(text, &screen->out);
    end_style(screen, style);
}

void cli_show_text(cli_screen_t *screen, cli_style_t style, const char *text) {
    cli_show(screen, style, (memdb_bytes_t){text, strlen(text)});
}

static bool is_word_byte(char c) {
    return isalnum((unsigned char)c) || (unsigned char)c >= 0x80;
}

static bool same_letters(const char *a, const char *b, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (tolower((unsigned char)a[i]) != tolower((unsigned char)b[i]))
            return false;
    return true;
}

// Whether two words are one for a reader: equal but for case, or one begins with the other and has
// up to three letters more (paint, painted). The engine's stems decide what is found; this only
// shows it.
static bool alike(memdb_bytes_t a, memdb_bytes_t b) {
    size_t small = a.size < b.size ? a.size : b.size, large = a.size < b.size ? b.size : a.size;
    if (!small || (large != small && (small < 4 || large - small > 3)))
        return false;
    return same_letters(a.data, b.data, small);
}

// Words that are in every question and say nothing about the answer.
static bool is_filler(memdb_bytes_t word) {
    static const char fillers[] =
        " a an and are as at be by did do does for from had has have how i in is it its me "
        "my of on or our she that the their they this to was we were what when where which "
        "who why will with you your ";
    char padded[12];
    if (word.size > sizeof padded - 3)
        return false;
    padded[0] = ' ';
    for (size_t i = 0; i < word.size; i++)
        padded[i + 1] = (char)tolower((unsigned char)word.data[i]);
    memcpy(padded + word.size + 1, " ", 2);
    return strstr(fillers, padded) != NULL;
}

static bool is_asked(memdb_bytes_t word, memdb_bytes_t question) {
    while (word.size && !is_word_byte(word.data[0]))
        word.data++, word.size--;
    size_t end = 0;
    while (end < word.size && is_word_byte(word.data[end]))
        end++;
    word.size = end;
    if (is_filler(word))
        return false;
    for (size_t at = 0; at < question.size;) {
        size_t from = at;
        while (at < question.size && is_word_byte(question.data[at]))
            at++;
        if (at > from && alike((memdb_bytes_t){question.data + from, at - from}, word))
            return true;
        at += at == from;
    }
    return false;
}

// How many bytes of the word fit into `columns`: all of them, or as many characters as do (at least
// one).
static size_t fitting(memdb_bytes_t word, size_t columns) {
    size_t step, used = 0, at = 0;
    while (at < word.size) {
        used += columns_of(decode(word.data + at, word.size - at, &step));
        if (used > columns && at)
            break;
        at += step;
    }
    return at;
}

static void break_line(cli_screen_t *screen, size_t indent) {
    cli_buffer_printf(&screen->out, "\n%*s", (int)indent, "");
}

void cli_show_wrapped(cli_screen_t *screen, memdb_bytes_t text, size_t indent,
                      memdb_bytes_t question) {
    size_t room = screen->width > indent + 10 ? screen->width - indent - 1 : 10, used = 0;
    cli_buffer_printf(&screen->out, "%*s", (int)indent, "");
    for (size_t at = 0; at < text.size;) {
        if (isspace((unsigned char)text.data[at])) {
            at++;
            continue;
        }
        size_t from = at;
        while (at < text.size && !isspace((unsigned char)text.data[at]))
            at++;
        memdb_bytes_t word = {text.data + from, at - from};
        size_t columns = cli_text_columns(word);
        if (used && used + 1 + columns > room) {
            break_line(screen, indent);
            used = 0;
        } else if (used) {
            cli_buffer_char(&screen->out, ' ');
            used++;
        }
        cli_style_t style = is_asked(word, question) ? CLI_BOLD : CLI_PLAIN;
        while (word.size) { // a word longer than a line, or a text without spaces
            memdb_bytes_t part = {word.data, fitting(word, room - used)};
            cli_show(screen, style, part);
            used += cli_text_columns(part);
            word.data += part.size;
            word.size -= part.size;
            if (word.size) {
                break_line(screen, indent);
                used = 0;
            }
        }
    }
    cli_buffer_char(&screen->out, '\n');
}
