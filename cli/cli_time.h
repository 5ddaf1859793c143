// Times for people.
#ifndef MEMDB_CLI_TIME_H
#define MEMDB_CLI_TIME_H

#include "include/memdb.h"

/// "8 May 2023 13:56"; outside the years 0001 to 9999 the microseconds themselves.
void cli_time_print_short(int64_t time, char out[MEMDB_TIME_TEXT_BYTES]);

#endif
