// The control file: the one piece of memory that processes on a database share.
//
// 4 KiB, mapped shared. It is created anew by a lone opener (written aside, renamed) and trusted
// only while another process is present, in the same boot. Nothing in it is durable. It holds two
// robust, process-shared mutexes and words that only move forward; a process that dies anywhere
// leaves it usable.
//
// Lock order: gate > merge > checkpoint (ranges of the file `lock`) > writer > sync. The sync mutex
// may be taken without the writer mutex.
#ifndef MEMDB_WAL_CONTROL_H
#define MEMDB_WAL_CONTROL_H

#include "base/status.h"

#include <pthread.h>
#include <stdatomic.h>

#define MEMDB__CONTROL_BYTES 4096

/// Fields are grouped by writer, a cache line (or more) each.
typedef struct memdb__control {
    // Written once, covered by the checksum.
    uint8_t magic[8]; // "MEMDBCTL"
    uint32_t format_version;
    uint32_t reserved;
    uint8_t database_id[16];
    uint8_t boot_id[16];      // of the boot that made it
    uint64_t pid_namespace;   // inode number of /proc/self/ns/pid
    uint64_t static_checksum; // XXH3-64 of all above

    _Alignas(64) pthread_mutex_t writer; // robust, shared: appends to the log
    _Alignas(64) pthread_mutex_t sync;   // robust, shared: syncs the log

    // Holder of the writer mutex.
    _Alignas(64) _Atomic uint64_t written; // LSN: all below is in the page cache
    _Atomic uint64_t segment_epoch;        // of the newest log segment
    _Atomic uint64_t next_epoch;           // never used before
    _Atomic int64_t last_commit_time;      // microseconds
    _Atomic uint64_t repair_needed;        // not 0: a writer died, and the log was not ended yet
    _Atomic uint64_t last_writer;          // number of the handle that wrote the last batch

    // Holder of the sync mutex.
    _Alignas(64) _Atomic uint64_t durable; // LSN: all below survives power loss
    _Atomic uint32_t synced_batches;       // `batches` when the last sync began
    _Atomic uint32_t expected_batches;     // that the next sync will probably be for
    _Atomic uint32_t gathering;            // somebody waits on `batches`
    _Atomic uint32_t syncs;   // ended so far, modulo 2^32: who waits for one sleeps on it
    _Atomic uint32_t syncing; // the mutex is held, or its owner died with it
    _Alignas(64) _Atomic uint32_t batches; // written so far, modulo 2^32; holder of the writer

    // Holder of the checkpoint lock.
    _Alignas(64) _Atomic uint64_t applied; // LSN: all below is in the base
    _Atomic uint64_t base_generation;      // catalog transaction id of that base
    _Atomic uint64_t merging; // LSN: tiers below may be in a merge, while range MERGE is held

    // Anyone, by fetch-add.
    _Atomic uint64_t next_segment_id;      // of segment and extent files
    _Alignas(64) _Atomic uint64_t next_id; // of memories; leased in ranges
    _Atomic uint64_t next_space;           // of spaces
    _Atomic uint64_t next_writer;          // of handles: nothing but their inequality counts
    _Atomic uint64_t contended_ns;         // monotonic clock: somebody last waited for `writer`

    _Alignas(64) _Atomic uint64_t failed; // not 0: a write or a sync failed; the status
} memdb__control_t;

_Static_assert(sizeof(memdb__control_t) <= MEMDB__CONTROL_BYTES, "control fits its page");

/// Values that a lone opener starts the control file with.
typedef struct memdb__control_start {
    uint8_t database_id[16];
    uint64_t end_lsn; // written and durable after recovery: memdb__wal_recovery_t.end
    uint64_t applied, base_generation;
    uint64_t segment_epoch, next_epoch;
    int64_t last_commit_time;
    uint64_t next_segment_id, next_id, next_space;
} memdb__control_start_t;

/// Write a new control file into `directory` and map it. The caller holds the gate and is alone.
memdb_status_t memdb__control_create(int directory, const memdb__control_start_t *start,
                                     memdb__control_t **control_out, memdb_error_t *error);
/// What the last control file tells of the processes that had it open. After a failed sync the page
/// cache shows bytes that the disk does not have, so recovery must write again what it keeps
/// (rule 8). Where the file cannot tell, a sync may have failed. A file of an earlier boot is no
/// witness, and none is needed: its page cache is gone.
typedef struct memdb__control_past {
    bool failed;     // a sync may have failed: all is in doubt
    uint64_t unsure; // the last owner of the sync mutex died with it, and may have been told of a
                     // failure: what lies above this LSN is in doubt; UINT64_MAX: nothing is
} memdb__control_past_t;
memdb__control_past_t memdb__control_past(int directory);
/// Read how far the log of an open database may be read by one who has no handle: `durable`, or
/// `written`. The caller holds the gate while another process is present.
memdb_status_t memdb__control_read_end(int directory, const uint8_t database_id[16], bool durable,
                                       uint64_t *end_out, memdb_error_t *error);
/// Map the existing one. The caller holds the gate while another process is present.
/// Errors  MEMDB_UNSUPPORTED  made in another pid namespace, or another boot (a shared file
/// system);
///         MEMDB_CORRUPT.
memdb_status_t memdb__control_map(int directory, const uint8_t database_id[16],
                                  memdb__control_t **control_out, memdb_error_t *error);
void memdb__control_unmap(memdb__control_t *control);

/// Move `word` up to `value`, never down. Release order.
static inline void memdb__raise(_Atomic uint64_t *word, uint64_t value) {
    uint64_t old = atomic_load_explicit(word, memory_order_relaxed);
    while (old < value && !atomic_compare_exchange_weak_explicit(
                              word, &old, value, memory_order_release, memory_order_relaxed)) {
    }
}

/// The byte ranges of the file `lock`; those from 2^32 on are the engine's, see
/// engine/collect/pins.h (open-file-description locks: they end with the descriptor, so with the
/// process).
typedef enum memdb__lock_range {
    MEMDB__LOCK_GATE = 0,       // exclusive while opening
    MEMDB__LOCK_PRESENCE = 1,   // shared while open; exclusive to find out that one is alone
    MEMDB__LOCK_CHECKPOINT = 2, // exclusive while folding or collecting, and around a merge's ends
    MEMDB__LOCK_CATALOG = 3, // exclusive around a catalog commit; shared while a process checks and
                             // copies the catalog
    MEMDB__LOCK_MERGE = 4,   // exclusive while tiers are merged
} memdb__lock_range_t;

typedef enum memdb__lock_mode { MEMDB__LOCK_SHARED, MEMDB__LOCK_EXCLUSIVE } memdb__lock_mode_t;

/// Take a range. wait false: MEMDB_BUSY at once when another descriptor holds it. Converts a lock
/// that is held already. `fd` is open for reading and writing (for reading: shared locks only).
memdb_status_t memdb__lock_acquire(int fd, memdb__lock_range_t range, memdb__lock_mode_t mode,
                                   bool wait, memdb_error_t *error);
void memdb__lock_release(int fd, memdb__lock_range_t range);
/// Whether another descriptor holds a range, in any mode. `fd` may be open for reading only.
memdb_status_t memdb__lock_is_held(int fd, memdb__lock_range_t range, bool *held_out,
                                   memdb_error_t *error);

#endif
