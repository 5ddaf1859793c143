// The state file of a backup: encode, decode, read, replace. The offset table is in backup_state.h.
#include "engine/backup/backup_state.h"

#include "base/bytes.h"
#include "base/checksum.h"
#include "base/memory.h"

#define RESERVED_AT 112
#define CHECKSUM_AT 504

static const char state_magic[8] = "MEMDBBAK";

void memdb__backup_state_encode(const memdb__backup_state_t *state,
                                uint8_t bytes_out[MEMDB__BACKUP_STATE_BYTES]) {
    memset(bytes_out, 0, MEMDB__BACKUP_STATE_BYTES);
    memcpy(bytes_out, state_magic, 8);
    memdb__put_u32(bytes_out + 8, MEMDB__BACKUP_STATE_VERSION);
    memdb__put_u32(bytes_out + 12, (uint32_t)state->phase);
    memcpy(bytes_out + 16, state->origin_id, 16);
    memcpy(bytes_out + 32, state->own_id, 16);
    memdb__put_u64(bytes_out + 48, state->last.end);
    memdb__put_u64(bytes_out + 56, (uint64_t)state->last.time);
    memdb__put_u64(bytes_out + 64, state->last.lsn);
    memdb__put_u64(bytes_out + 72, state->last.hash);
    memdb__put_u64(bytes_out + 80, state->until_lsn);
    memdb__put_u64(bytes_out + 88, (uint64_t)state->until_time);
    memdb__put_u64(bytes_out + 96, state->increments);
    memdb__put_u64(bytes_out + 104, (uint64_t)state->written);
    memdb__put_u64(bytes_out + CHECKSUM_AT, memdb__hash64(bytes_out, CHECKSUM_AT, 0));
}

memdb_status_t memdb__backup_state_decode(const uint8_t *bytes, size_t size, const char *name,
                                          memdb__backup_state_t *state_out, memdb_error_t *error) {
    if (size != MEMDB__BACKUP_STATE_BYTES ||
        memdb__get_u64(bytes + CHECKSUM_AT) != memdb__hash64(bytes, CHECKSUM_AT, 0)) {
        return memdb__fail(error, MEMDB_CORRUPT, "%s at 0: checksum mismatch", name);
    }
    if (memcmp(bytes, state_magic, 8) != 0) {
        return memdb__fail(error, MEMDB_CORRUPT, "%s at 0: not the state of a backup", name);
    }
    uint32_t version = memdb__get_u32(bytes + 8), phase = memdb__get_u32(bytes + 12);
    if (version != MEMDB__BACKUP_STATE_VERSION) {
        return memdb__fail(error, MEMDB_VERSION, "%s: format version %u, this memdb knows %u", name,
                           version, MEMDB__BACKUP_STATE_VERSION);
    }
    if (phase < MEMDB__COPY_FIRST || phase > MEMDB__COPY_RESTORE) {
        return memdb__fail(error, MEMDB_CORRUPT, "%s at 12: phase %u", name, phase);
    }
    for (size_t i = RESERVED_AT; i < CHECKSUM_AT; i++) {
        if (bytes[i]) {
            return memdb__fail(error, MEMDB_CORRUPT, "%s at %zu: a reserved byte is not zero", name,
                               i);
        }
    }
    memdb__backup_state_t state = {
        .phase = (memdb__copy_phase_t)phase,
        .last = {.lsn = memdb__get_u64(bytes + 64),
                 .end = memdb__get_u64(bytes + 48),
                 .hash = memdb__get_u64(bytes + 72),
                 .time = (int64_t)memdb__get_u64(bytes + 56)},
        .until_lsn = memdb__get_u64(bytes + 80),
        .until_time = (int64_t)memdb__get_u64(bytes + 88),
        .increments = memdb__get_u64(bytes + 96),
        .written = (int64_t)memdb__get_u64(bytes + 104),
    };
    memcpy(state.origin_id, bytes + 16, 16);
    memcpy(state.own_id, bytes + 32, 16);
    if (state.last.lsn && (state.last.lsn % 8 || state.last.lsn >= state.last.end)) {
        return memdb__fail(error, MEMDB_CORRUPT, "%s at 64: a last frame from LSN %llu to %llu",
                           name, (unsigned long long)state.last.lsn,
                           (unsigned long long)state.last.end);
    }
    *state_out = state;
    return MEMDB_OK;
}

memdb_status_t memdb__backup_state_read(int directory, const char *name,
                                        memdb__backup_state_t *state_out, memdb_error_t *error) {
    uint8_t *data = NULL;
    size_t size = 0;
    memdb_status_t status = memdb__io_read_file(directory, name, 1 << 20, &data, &size, error);
    if (status == MEMDB_OK) {
        status = memdb__backup_state_decode(data, size, name, state_out, error);
        memdb__free(data);
    }
    return status;
}

memdb_status_t memdb__backup_state_write(int directory, const char *name,
                                         memdb__backup_state_t *state, memdb_error_t *error) {
    uint8_t bytes[MEMDB__BACKUP_STATE_BYTES];
    state->written = memdb__now_us();
    memdb__backup_state_encode(state, bytes);
    return memdb__io_replace_file(directory, name, bytes, sizeof bytes, error);
}
