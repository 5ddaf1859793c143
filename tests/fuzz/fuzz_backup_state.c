// Fuzz target: the state file of a backup. The bytes as they are, and again with a checksum that
// fits, so that the checks behind it are reached. What decodes must encode to the same bytes.
#include "base/bytes.h"
#include "base/checksum.h"
#include "engine/backup/backup_state.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const uint8_t *bytes, size_t size) {
    memdb__backup_state_t state;
    memdb_error_t error = {0};
    uint8_t again[MEMDB__BACKUP_STATE_BYTES];
    memdb_status_t status = memdb__backup_state_decode(bytes, size, "backup", &state, &error);
    if (status) {
        if (status != error.status || error.message[0] == 0) {
            abort();
        }
        return;
    }
    memdb__backup_state_encode(&state, again);
    if (memcmp(again, bytes, sizeof again) != 0) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t bytes[MEMDB__BACKUP_STATE_BYTES] = "MEMDBBAK\1\0\0\0\2";
    check(data, size);
    for (size_t i = 0; i + 2 < size; i += 3) { // edits: place, value
        bytes[memdb__get_u16(data + i) % 504] = data[i + 2];
    }
    memdb__put_u64(bytes + 504, memdb__hash64(bytes, 504, 0));
    check(bytes, sizeof bytes);
    return 0;
}
