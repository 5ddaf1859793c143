// Status codes and error messages.
//
// Invariants: a message is always terminated and never longer than its array; a message that does
// not fit is cut at its end, so the context, which stands in front, survives.
#include "base/status.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define VERSION_TEXT_OF(number) #number
#define VERSION_TEXT(number) VERSION_TEXT_OF(number)

const char *memdb_status_name(memdb_status_t status) {
    switch (status) {
#define STATUS_NAME(name, value, text)                                                             \
    case name:                                                                                     \
        return #name;
        MEMDB_STATUS_TABLE(STATUS_NAME)
#undef STATUS_NAME
    }
    return "MEMDB_UNKNOWN"; // a caller may pass any integer
}

const char *memdb_status_text(memdb_status_t status) {
    switch (status) {
#define STATUS_TEXT(name, value, text)                                                             \
    case name:                                                                                     \
        return text;
        MEMDB_STATUS_TABLE(STATUS_TEXT)
#undef STATUS_TEXT
    }
    return "a status that this version does not know";
}

const char *memdb_version(void) {
    return VERSION_TEXT(MEMDB_VERSION_MAJOR) "." VERSION_TEXT(MEMDB_VERSION_MINOR) "." VERSION_TEXT(
        MEMDB_VERSION_PATCH);
}

memdb_status_t memdb__fail(memdb_error_t *error, memdb_status_t status, const char *format, ...) {
    if (!error)
        return status;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    error->status = status;
    return status;
}

static memdb_status_t status_of_errno(int errno_value) {
    switch (errno_value) {
    case ENOSPC:
    case EDQUOT:
        return MEMDB_FULL;
    case ENOMEM:
        return MEMDB_NOMEM;
    case ENOENT:
        return MEMDB_NOT_FOUND;
    case EEXIST:
        return MEMDB_EXISTS;
    default:
        return MEMDB_IO;
    }
}

memdb_status_t memdb__fail_errno(memdb_error_t *error, int errno_value, const char *format, ...) {
    memdb_status_t status = status_of_errno(errno_value);
    if (!error)
        return status;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    error->status = status;
    size_t used = length < 0 ? 0 : (size_t)length;
    if (used < sizeof error->message) {
        char text[128];
        snprintf(error->message + used, sizeof error->message - used, ": %s",
                 strerror_r(errno_value, text, sizeof text));
    }
    return status;
}

memdb_status_t memdb__error_context(memdb_error_t *error, memdb_status_t status, const char *format,
                                    ...) {
    if (!error)
        return status;
    if (error->status != status) // what is there belongs to a failure that was recovered from
        memdb__fail(error, status, "%s", memdb_status_text(status));
    char inner[sizeof error->message];
    memcpy(inner, error->message, sizeof inner);
    inner[sizeof inner - 1] = 0;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    size_t used = length < 0 ? 0 : (size_t)length;
    size_t room = used < sizeof error->message ? sizeof error->message - 1 - used : 0;
    if (room > 2) {
        size_t size = strnlen(inner, room - 2);
        memcpy(error->message + used, ": ", 2);
        memcpy(error->message + used + 2, inner, size);
        error->message[used + 2 + size] = 0;
    }
    return status;
}
