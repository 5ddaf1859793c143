// Strict base64 (RFC 4648, section 4): padding is required, and bits that no byte uses must be
// zero.
#ifndef MEMDB_CLI_BASE64_H
#define MEMDB_CLI_BASE64_H

#include "cli/cli_buffer.h"

#include <stdbool.h>

/// Append the decoded bytes; false (and `out` unchanged in size) when the text is not base64.
bool cli_base64_decode(const char *text, size_t size, cli_buffer_t *out);
void cli_base64_encode(const void *data, size_t size, cli_buffer_t *out);

#endif
