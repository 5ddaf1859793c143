// Times in a question: any bytes at any moment. The first eight bytes are the moment.
//
// A window begins before it ends, and a window of sessions counts from one side.
#include "query/query_when.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int64_t now;
    memdb__when_t when;
    if (size < sizeof now) {
        return 0;
    }
    memcpy(&now, data, sizeof now);
    memdb__when_read((const char *)data + sizeof now, size - sizeof now, now, &when);
    if (when.count > MEMDB__WHEN_WINDOWS) {
        abort();
    }
    for (size_t i = 0; i < when.count; i++) {
        const memdb__window_t *window = &when.windows[i];
        bool sessions = window->first_session != 0;
        if (sessions ? (window->first_session < 0) != (window->last_session < 0) ||
                           window->first_session > window->last_session
                     : window->from >= window->to) {
            abort();
        }
    }
    return 0;
}
