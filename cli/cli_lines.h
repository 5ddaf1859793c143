// Lines of a file descriptor, of bounded length, and whole writes to one.
#ifndef MEMDB_CLI_LINES_H
#define MEMDB_CLI_LINES_H

#include "cli/cli_buffer.h"

#include <stdbool.h>

typedef enum cli_line_kind {
    CLI_LINE,
    CLI_LINE_TOO_LONG, // it was read over; the next call gives the next line
    CLI_LINE_END,
    CLI_LINE_FAILED // errno says why
} cli_line_kind_t;

typedef struct cli_lines {
    int fd;
    bool interruptible;  // a signal ends the waiting: CLI_LINE_FAILED, EINTR
    size_t limit;        // bytes of one line
    cli_buffer_t buffer; // [at, size) is read and not yet given
    size_t at, scanned;  // [at, scanned) holds no newline
    bool ended;
} cli_lines_t;

void cli_lines_init(cli_lines_t *lines, int fd, size_t limit);
void cli_lines_deinit(cli_lines_t *lines);
/// The next line without its newline, lent until the next call. The last line may lack the newline.
cli_line_kind_t cli_lines_next(cli_lines_t *lines, const char **line_out, size_t *size_out);

/// Have the kernel hold the file of `fd` until shortly after this process has ended, however it
/// ends: who writes into a pipe then learns of the end when it can be waited for (cli/outlive.c
/// tells why). The descriptor to close, to let go sooner; -1 where the kernel has no io_uring for
/// this process, which changes nothing else.
int cli_lines_outlive(int fd);

/// Write all bytes; false when the other side is gone or the device refuses.
bool cli_write_all(int fd, const void *data, size_t size);

#endif
