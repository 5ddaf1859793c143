// RFC 3339 times, as microseconds since 1970.
#ifndef MEMDB_CLI_TIME_H
#define MEMDB_CLI_TIME_H

#include "include/memdb.h"

/// Longest text: "9999-12-31T23:59:59.999999Z" and the terminator.
#define CLI_TIME_SIZE 32

/// Parse a date ("2023-05-08": midnight), or a date and time with an optional fraction of up to six
/// digits and an optional zone ("Z", "+02:00"; without: UTC). Years 0001 to 9999. Returns why not,
/// or NULL when it is well.
const char *cli_time_parse(memdb_bytes_t text, int64_t *time_out);
/// Print in UTC with Z; the fraction only when it is not zero. A time outside the years 0001 to
/// 9999 is printed as the microseconds themselves.
void cli_time_print(int64_t time, char out[CLI_TIME_SIZE]);
/// For people: "8 May 2023 13:56".
void cli_time_print_short(int64_t time, char out[CLI_TIME_SIZE]);

#endif
