// The screen: colour, widths of characters, wrapping with marked places in bold.
#include "cli/cli_interrupt.h"
#include "cli/cli_lines.h"
#include "cli/cli_terminal.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#define DEFAULT_WIDTH 80
#define PIECE_BYTES ((size_t)16 << 10)
#define MIN_WIDTH 40
#define MAX_WIDTH 400

static size_t columns_by_environment(void) {
    const char *columns = getenv("COLUMNS");
    char *end;
    unsigned long width = columns ? strtoul(columns, &end, 10) : 0;
    return columns && *columns && !*end && width > 0 && width < 10000 ? width : DEFAULT_WIDTH;
}

void cli_screen_aim(cli_screen_t *screen, int fd) {
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    struct winsize size = {0};
    screen->fd = fd;
    screen->terminal = isatty(fd);
    screen->colour =
        screen->terminal && !(no_color && *no_color) && !(term && !strcmp(term, "dumb"));
    if (screen->terminal && ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col)
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
    bool written = true;
    // Who interrupts a long answer wants no more of it.
    for (size_t at = 0; at < screen->out.size && written && !(at && cli_interrupted());) {
        size_t left = screen->out.size - at, piece = left < PIECE_BYTES ? left : PIECE_BYTES;
        written = cli_write_all(screen->fd, screen->out.data + at, piece);
        at += piece;
    }
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

// Columns of one character. The C library knows them (Unicode's East Asian Width); what it has no
// width for, such as a character of a newer Unicode, most likely takes one.
static size_t columns_of(uint32_t code) {
    int columns = code < 0x80 ? 1 : wcwidth((wchar_t)code);
    return columns < 0 ? 1 : (size_t)columns;
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

size_t cli_text_fitting(memdb_bytes_t text, size_t columns) {
    size_t step, used = 0, at = 0;
    for (; at < text.size; at += step) {
        uint32_t code = decode(text.data + at, text.size - at, &step);
        used += is_control(code) ? 1 : columns_of(code);
        if (used > columns)
            break;
    }
    return at;
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

size_t cli_show_cut(cli_screen_t *screen, cli_style_t style, memdb_bytes_t text, size_t columns) {
    size_t whole = cli_text_columns(text);
    if (whole <= columns) {
        cli_show(screen, style, text);
        return whole;
    }
    text.size = cli_text_fitting(text, columns - 1);
    begin_style(screen, style);
    cli_clean(text, &screen->out);
    cli_buffer_text(&screen->out, "…");
    end_style(screen, style);
    return cli_text_columns(text) + 1;
}

static void break_line(cli_screen_t *screen, size_t indent) {
    cli_buffer_printf(&screen->out, "\n%*s", (int)indent, "");
}

void cli_show_wrapped(cli_screen_t *screen, memdb_bytes_t text, size_t indent,
                      const cli_marks_t *marks) {
    cli_buffer_printf(&screen->out, "%*s", (int)indent, "");
    cli_show_hanging(screen, text, indent, marks);
}

// Part of a text, with what is marked of it in bold. `next` is the first mark that ends behind
// `from`.
static void show_part(cli_screen_t *screen, memdb_bytes_t text, size_t from, size_t to,
                      const cli_marks_t *marks, size_t *next) {
    while (from < to) {
        const memdb_mark_t *mark = marks && *next < marks->count ? &marks->items[*next] : NULL;
        bool bold = mark && mark->offset <= from;
        size_t turn = !mark ? to : bold ? mark->offset + mark->size : mark->offset;
        size_t end = turn < to ? turn : to;
        cli_show(screen, bold ? CLI_BOLD : CLI_PLAIN,
                 (memdb_bytes_t){text.data + from, end - from});
        *next += bold && end == turn;
        from = end;
    }
}

void cli_show_hanging(cli_screen_t *screen, memdb_bytes_t text, size_t indent,
                      const cli_marks_t *marks) {
    size_t next_mark = 0;
    size_t room = screen->width > indent + 10 ? screen->width - indent - 1 : 10, used = 0;
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
        while (word.size) { // a word longer than a line, or a text without spaces
            size_t begin = (size_t)(word.data - text.data);
            memdb_bytes_t part = {word.data, cli_text_fitting(word, room - used)};
            show_part(screen, text, begin, begin + part.size, marks, &next_mark);
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
