// The state file of a backup (`backup`), and of a restore that is not finished (`restore`).
//
// 512 bytes, replaced whole:
//   0    magic "MEMDBBAK"
//   8    format version, u32
//   12   phase, u32 (memdb__copy_phase_t)
//   16   id of the database that it is a copy of
//   32   id of the copy itself
//   48   LSN up to which the backup is complete, u64
//   56   commit time of the last commit in it, i64
//   64   LSN of its last frame, u64; 0: none is known
//   72   hash of that frame's payload, u64
//   80   bound of a restore: LSN, u64; 0: none
//   88   bound of a restore: time, i64; 0: none
//   96   increments since the last full copy, u64
//   104  when it was written, i64
//   112  reserved, zero, to 504
//   504  XXH3-64 of the 504 bytes before
#ifndef MEMDB_ENGINE_BACKUP_STATE_H
#define MEMDB_ENGINE_BACKUP_STATE_H

#include "base/io.h"

#define MEMDB__BACKUP_STATE_BYTES 512
#define MEMDB__BACKUP_STATE_VERSION 1

typedef enum memdb__copy_phase {
    MEMDB__COPY_FIRST = 1,    // the first full copy is being made: there is no root yet
    MEMDB__COPY_COMPLETE = 2, // complete up to `lsn`
    MEMDB__COPY_AGAIN = 3,    // a new full copy is being made in the place of an older one
    MEMDB__COPY_RESTORE = 4,  // a restore is being made
} memdb__copy_phase_t;

/// The last frame of a backup: whoever goes on must have the same one.
typedef struct memdb__last_frame {
    uint64_t lsn, end; // lsn 0: not known
    uint64_t hash;     // of the payload, seeded with the LSN
    int64_t time;
} memdb__last_frame_t;

typedef struct memdb__backup_state {
    memdb__copy_phase_t phase;
    uint8_t origin_id[16], own_id[16];
    memdb__last_frame_t last; // end: up to where it is complete
    uint64_t until_lsn;
    int64_t until_time;
    uint64_t increments;
    int64_t written;
} memdb__backup_state_t;

void memdb__backup_state_encode(const memdb__backup_state_t *state,
                                uint8_t bytes_out[MEMDB__BACKUP_STATE_BYTES]);
/// `name` is for messages. Errors: MEMDB_CORRUPT, MEMDB_VERSION.
memdb_status_t memdb__backup_state_decode(const uint8_t *bytes, size_t size, const char *name,
                                          memdb__backup_state_t *state_out, memdb_error_t *error);

/// MEMDB_NOT_FOUND: there is none.
memdb_status_t memdb__backup_state_read(int directory, const char *name,
                                        memdb__backup_state_t *state_out, memdb_error_t *error);
memdb_status_t memdb__backup_state_write(int directory, const char *name,
                                         memdb__backup_state_t *state, memdb_error_t *error);

#endif
