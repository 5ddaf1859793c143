// RFC 3339 times, for the files of the library; memdb_time_parse and memdb_time_print are public.
#ifndef MEMDB_BASE_TIME_H
#define MEMDB_BASE_TIME_H

#include "include/memdb.h"

/// memdb_time_parse without a message of its own: why `text` is no time, in static storage, or NULL
/// when it is one.
const char *memdb__time_parse(memdb_bytes_t text, int64_t *time_out);

#endif
