// Fuzz target: the commits that an entry of the history remembers.
//
// The first 8 bytes are the time of the entry's key, the rest its value. What decodes must rise in
// every respect, and encode to something that decodes to the same.
#include "engine/history.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool condition) {
    if (!condition) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static memdb__moment_t moments[MEMDB__HISTORY_MOMENTS], again[MEMDB__HISTORY_MOMENTS];
    size_t count = 0, count_again = 0;
    if (size < 8) {
        return 0;
    }
    int64_t time = (int64_t)memdb__get_u64(data);
    if (!memdb__moments_decode(data + 8, size - 8, time, moments, &count)) {
        return 0;
    }
    demand(count >= 1 && count <= MEMDB__HISTORY_MOMENTS && moments[0].time == time);
    for (size_t i = 0; i < count; i++) {
        demand(moments[i].end > moments[i].lsn && moments[i].end < MEMDB__PRIVATE);
        demand(i == 0 ||
               (moments[i].lsn >= moments[i - 1].end && moments[i].time > moments[i - 1].time));
    }
    memdb__buffer_t out = {0};
    demand(memdb__moments_encode(&out, moments, count));
    demand(memdb__moments_decode(out.data, out.size, time, again, &count_again));
    demand(count_again == count && memcmp(moments, again, count * sizeof *moments) == 0);
    memdb__buffer_deinit(&out);
    return 0;
}
