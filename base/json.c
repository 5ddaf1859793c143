// The library's Jansson adapter. See json.h.
#include "base/json.h"

#include <jansson.h>

memdb_status_t memdb__json_is_object(const char *text, size_t size, memdb_error_t *error) {
    json_error_t why;
    json_t *value = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &why);
    if (!value) {
        return memdb__fail(error, MEMDB_INVALID, "attrs: not a JSON object: %s at byte %d",
                           why.text, why.position);
    }
    bool object = json_is_object(value);
    json_decref(value);
    return object ? MEMDB_OK : memdb__fail(error, MEMDB_INVALID, "attrs: a JSON object is needed");
}
