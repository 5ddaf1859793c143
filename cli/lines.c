// Reading by large pieces, and scanning each byte for a newline once.
#include "cli/cli_lines.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define PIECE_BYTES ((size_t)256 << 10)

void cli_lines_init(cli_lines_t *lines, int fd, size_t limit) {
    *lines = (cli_lines_t){.fd = fd, .limit = limit};
}

void cli_lines_deinit(cli_lines_t *lines) {
    cli_buffer_free(&lines->buffer);
}

// Read one more piece behind what is there. Bytes that were given out already make room first.
static cli_line_kind_t fill(cli_lines_t *lines) {
    cli_buffer_t *buffer = &lines->buffer;
    if (lines->at) {
        memmove(buffer->data, buffer->data + lines->at, buffer->size - lines->at);
        buffer->size -= lines->at;
        lines->scanned -= lines->at;
        lines->at = 0;
    }
    cli_buffer_reserve(buffer, PIECE_BYTES);
    ssize_t got;
    do {
        got = read(lines->fd, buffer->data + buffer->size, PIECE_BYTES);
    } while (got < 0 && errno == EINTR && !lines->interruptible);
    if (got < 0)
        return CLI_LINE_FAILED;
    lines->ended = got == 0;
    buffer->size += (size_t)got;
    return CLI_LINE;
}

cli_line_kind_t cli_lines_next(cli_lines_t *lines, const char **line_out, size_t *size_out) {
    cli_buffer_t *buffer = &lines->buffer;
    bool too_long = false;
    for (;;) {
        size_t left = buffer->size - lines->scanned;
        const char *end = left ? memchr(buffer->data + lines->scanned, '\n', left) : NULL;
        bool last = !end && lines->ended && buffer->size > lines->at;
        if (end || last) {
            size_t size = (end ? (size_t)(end - buffer->data) : buffer->size) - lines->at;
            *line_out = buffer->data + lines->at;
            *size_out = size;
            lines->at += size + (end ? 1 : 0);
            lines->scanned = lines->at;
            return too_long || size > lines->limit ? CLI_LINE_TOO_LONG : CLI_LINE;
        }
        if (lines->ended)
            return too_long ? CLI_LINE_TOO_LONG : CLI_LINE_END;
        lines->scanned = buffer->size;
        if (lines->scanned - lines->at > lines->limit) {
            too_long =
                true; // drop it piece by piece, so that no line takes more memory than the limit
            lines->at = buffer->size;
        }
        if (fill(lines) != CLI_LINE)
            return CLI_LINE_FAILED;
        if (too_long && lines->ended && buffer->size == lines->at)
            return CLI_LINE_TOO_LONG;
    }
}

bool cli_write_all(int fd, const void *data, size_t size) {
    const char *at = data;
    while (size) {
        ssize_t done = write(fd, at, size);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        at += done;
        size -= (size_t)done;
    }
    return true;
}
