// Growing bytes for lines, answers and screens.
#include "cli/cli_buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void cli_out_of_memory(void) {
    fputs("memdb: MEMDB_NOMEM: out of memory\n", stderr);
    exit(1);
}

void *cli_allocate(size_t size) {
    void *data = calloc(1, size ? size : 1);
    if (!data)
        cli_out_of_memory();
    return data;
}

char *cli_duplicate(const char *text, size_t size) {
    char *copy = cli_allocate(size + 1);
    if (size)
        memcpy(copy, text, size);
    return copy;
}

void cli_buffer_reserve(cli_buffer_t *buffer, size_t more) {
    if (more >= SIZE_MAX / 4 - buffer->size)
        cli_out_of_memory();
    size_t needed = buffer->size + more + 1; // the terminator
    if (needed <= buffer->capacity)
        return;
    size_t capacity = buffer->capacity ? buffer->capacity : 256;
    while (capacity < needed)
        capacity *= 2;
    char *data = realloc(buffer->data, capacity);
    if (!data)
        cli_out_of_memory();
    buffer->data = data;
    buffer->capacity = capacity;
}

void cli_buffer_append(cli_buffer_t *buffer, const void *data, size_t size) {
    cli_buffer_reserve(buffer, size);
    if (size)
        memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
    buffer->data[buffer->size] = 0;
}

void cli_buffer_text(cli_buffer_t *buffer, const char *text) {
    cli_buffer_append(buffer, text, strlen(text));
}

void cli_buffer_char(cli_buffer_t *buffer, char c) {
    cli_buffer_append(buffer, &c, 1);
}

void cli_buffer_printf(cli_buffer_t *buffer, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (size < 0)
        return;
    cli_buffer_reserve(buffer, (size_t)size);
    va_start(arguments, format);
    vsnprintf(buffer->data + buffer->size, (size_t)size + 1, format, arguments);
    va_end(arguments);
    buffer->size += (size_t)size;
}

void cli_buffer_clear(cli_buffer_t *buffer) {
    buffer->size = 0;
    if (buffer->data)
        buffer->data[0] = 0;
}

void cli_buffer_free(cli_buffer_t *buffer) {
    free(buffer->data);
    *buffer = (cli_buffer_t){0};
}
