// The format of import and export: one memory a line.
//
//   id       the memory's key          text      its text
//   time     RFC 3339                  session   its session
//   speaker  its actor                 ns        its space, unless one is given for all
//   memdb    an object with what has no place above: kind, importance, tokens, valid_from,
//   valid_to, expires, attrs others   its attributes
#ifndef MEMDB_CLI_IMPORT_H
#define MEMDB_CLI_IMPORT_H

#include "cli/cli_json.h"

/// The put request, checked, of one line. `space` is for all lines, or NULL. NULL: `error` says why
/// not.
cli_json_t *cli_import_line(const char *line, size_t size, const cli_json_t *space,
                            memdb_error_t *error);
/// The line of one memory, appended without a newline. `ns` is the space's name, or empty to leave
/// it out.
memdb_status_t cli_export_line(const memdb_memory_t *memory, memdb_bytes_t ns, cli_buffer_t *out,
                               memdb_error_t *error);

bool cli_is_blank(const char *line, size_t size);
/// Count the lines of a file that are not blank, and go back to its beginning. false: errno says
/// why not.
bool cli_count_lines(int fd, uint64_t *count_out);

#endif
