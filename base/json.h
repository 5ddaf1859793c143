// The library's Jansson adapter: is a text a JSON object?
#ifndef MEMDB_BASE_JSON_H
#define MEMDB_BASE_JSON_H

#include "base/status.h"

/// MEMDB_OK when `text` is one JSON object without duplicate keys; MEMDB_INVALID with the place and
/// the reason.
memdb_status_t memdb__json_is_object(const char *text, size_t size, memdb_error_t *error);

#endif
