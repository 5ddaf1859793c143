// Growing bytes, and the one answer of the shell to an allocation that fails.
//
// The shell is a program of its own, in front of the library: when it has no memory for a request
// it can do nothing sensible but say so and end. (The library reports MEMDB_NOMEM; that is answered
// like any other failure.)
#ifndef MEMDB_CLI_BUFFER_H
#define MEMDB_CLI_BUFFER_H

#include <stddef.h>
#include <stdint.h>

typedef struct cli_buffer {
    char *data; // always terminated once anything was appended
    size_t size, capacity;
} cli_buffer_t;

void cli_buffer_append(cli_buffer_t *buffer, const void *data, size_t size);
void cli_buffer_text(cli_buffer_t *buffer, const char *text);
void cli_buffer_char(cli_buffer_t *buffer, char c);
void cli_buffer_printf(cli_buffer_t *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/// Room for `more` bytes behind `size`.
void cli_buffer_reserve(cli_buffer_t *buffer, size_t more);
void cli_buffer_clear(cli_buffer_t *buffer);
void cli_buffer_free(cli_buffer_t *buffer);

void *cli_allocate(size_t size);
char *cli_duplicate(const char *text, size_t size); // terminated
_Noreturn void cli_out_of_memory(void);

#endif
