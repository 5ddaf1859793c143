/// The database as a whole: opening, settings, figures, snapshots, transactions. Include memdb.h.
#ifndef MEMDB_INCLUDE_MEMDB_DATABASE_H
#define MEMDB_INCLUDE_MEMDB_DATABASE_H

#include "memdb_types.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Limits of what one database accepts. Above them: MEMDB_LIMIT, nothing changed.
#define MEMDB_MAX_KEY_BYTES 4096
#define MEMDB_MAX_NAME_BYTES 1024 ///< space, kind, session, actor, link type, media type
#define MEMDB_MAX_TEXT_BYTES (32u << 20)
#define MEMDB_MAX_ATTRS_BYTES (1u << 20)
#define MEMDB_MAX_DIMENSION 4096
#define MEMDB_MAX_BLOBS 64               ///< blobs of one memory
#define MEMDB_MAX_SEEDS 1000             ///< seeds of one recall
#define MEMDB_MAX_TXN_BYTES (256u << 20) ///< one transaction's frame

typedef enum memdb_open_flags {
    MEMDB_OPEN_CREATE = 1,    ///< create the database where the directory is missing or empty
    MEMDB_OPEN_READ_ONLY = 2, ///< never recovers, never writes (but a lock, where it can)
} memdb_open_flags_t;

typedef enum memdb_io_backend {
    MEMDB_IO_AUTO = 0, ///< what works best here (pwrite and fdatasync)
    MEMDB_IO_PWRITE = 1,
    MEMDB_IO_URING = 2 ///< MEMDB_UNSUPPORTED at open where the kernel refuses io_uring
} memdb_io_backend_t;

/// Receives what the engine wants a person to know: recovery, damage, a checkpoint that fails.
/// Called from any thread of the process; must not call back into memdb.
typedef void (*memdb_log_fn)(void *context, memdb_status_t severity, const char *message);

typedef struct memdb_options {
    size_t size;
    uint32_t flags; ///< memdb_open_flags_t
    memdb_durability_t
        durability; ///< at creation: the database's default; else: this handle's default
    memdb_io_backend_t io_backend;
    memdb_log_fn log;
    void *log_context;
    uint64_t checkpoint_log_bytes; ///< log above the base that starts a checkpoint; default 32 MiB;
                                   ///< memdb_close checkpoints from an eighth of it on
    uint64_t log_limit_bytes;      ///< log above the base at which writers wait; default 1 GiB
    uint32_t busy_timeout_ms;      ///< how long they wait before MEMDB_BUSY; default 10,000
    bool no_background;         ///< no background threads: the caller runs memdb_checkpoint itself
    uint64_t delta_limit_bytes; ///< memory of this handle's delta at which its writers wait; half
                                ///< of it starts a checkpoint; default 1 GiB
    uint64_t archive_limit_bytes; ///< of log kept for the next backup, see memdb_backup; default
                                  ///< 1 GiB
} memdb_options_t;

/// Open the database in directory `path`.
///
/// options     optional; NULL: an existing database, default limits.
/// error_out   optional; filled on failure.
/// Ownership   release with memdb_close. Several handles on one database in one process are fine.
/// Blocks      while another process recovers; a lone opener recovers the log itself.
/// Errors      MEMDB_NOT_FOUND      no such directory, and no MEMDB_OPEN_CREATE.
///             MEMDB_NOT_DATABASE   a directory with other things in it.
///             MEMDB_VERSION        another format version.
///             MEMDB_UNSUPPORTED    a network file system, or the database is open in another pid
///             namespace.
MEMDB_API memdb_status_t memdb_open(const char *path, const memdb_options_t *options,
                                    memdb_t **db_out, memdb_error_t *error_out);

/// Close `db`. All its transactions, snapshots and other handles must have been released.
///
/// Ownership   consumes `db` on every path. In a forked child it frees memory and nothing else.
/// Errors      MEMDB_BUSY  something of it is still in use; nothing was closed.
MEMDB_API memdb_status_t memdb_close(memdb_t *db);

/// Interrupt what runs on this handle: every snapshot and transaction of it, of any thread, that is
/// open at this moment ends. The calls on it that are under way (a recall, a step of a cursor, ...)
/// and all later ones return MEMDB_INTERRUPTED; a transaction writes nothing, unless its commit has
/// begun. So does a memdb_verify that is under way. What lives outside of snapshots, such as a
/// checkpoint or a backup, goes on.
///
/// Threads     any; also a signal handler.
MEMDB_API void memdb_interrupt(memdb_t *db);

/// Copy the message of the last failure on this handle, by any thread, into `buffer` (always
/// terminated). Returns its length without the terminator.
MEMDB_API size_t memdb_last_error(memdb_t *db, char *buffer, size_t buffer_size);

/// Fold the durable log into segments, switch the catalog to them, and cut the log.
///
/// Blocks      until it is done; writers and readers go on meanwhile.
MEMDB_API memdb_status_t memdb_checkpoint(memdb_t *db);

/// Make every commit up to now survive power loss.
MEMDB_API memdb_status_t memdb_sync(memdb_t *db);

typedef struct memdb_stats {
    size_t size;
    uint64_t visible_lsn, durable_lsn, written_lsn, applied_lsn; ///< byte positions in the log
    uint64_t memories, spaces, links;
    uint64_t log_bytes;     ///< log above the base, to be replayed at the next opening
    uint64_t segment_bytes; ///< of the segments that are live
    uint64_t blob_bytes, catalog_bytes, file_bytes; ///< what files occupy on the disk
    uint64_t segments, tiers, runs;
    uint64_t delta_bytes; ///< private memory of the delta of this process
    uint64_t commits, conflicts, batches, syncs, checkpoints, merges; ///< by this handle
    uint64_t refused;                            ///< puts by this handle, by gates
    uint64_t snapshots;                          ///< open now, this handle
    int64_t oldest_snapshot_time;                ///< or MEMDB_TIME_NONE
    uint64_t views_retired, views_reclaimed;     ///< epoch-based reclamation
    uint64_t log_limit_bytes, delta_limit_bytes; ///< where writers of this handle wait
    uint64_t stalls, stalled_us;                 ///< commits that waited there, and how long in all
    /// What this handle committed, and what it wrote for that: the sum of the last two over the
    /// first is its write amplification.
    uint64_t payload_bytes, log_bytes_written, segment_bytes_written;
    uint64_t history_lsn;       ///< the oldest position that can be read
    int64_t history_time;       ///< its commit time; MEMDB_TIME_NONE: from the beginning
    uint64_t snapshots_expired; ///< of `snapshots`: older than the limit
    uint64_t erasures_pending;  ///< memories forgotten with erase and not yet purged
    uint64_t superseded_bytes;  ///< about what the segments hold of memories replaced or forgotten
    uint64_t blob_named_bytes;  ///< of the arena, when it was last looked at as a whole
    uint64_t extents_waiting;   ///< emptied extents that an older snapshot may still read
    uint64_t aside_bytes;       ///< of tails of the log that recovery cut behind a hole
    uint64_t graph_bytes;       ///< private memory of packed links and of walks over them
} memdb_stats_t;

MEMDB_API memdb_status_t memdb_get_stats(memdb_t *db, memdb_stats_t *stats_out);

/// What is chosen for the database as a whole and seen alike by every process. At most 2^63 - 1.
///
/// history_us, history_bytes  how far back older moments can be read (memdb_snapshot_options_t): so
///             many microseconds, or bytes of log, behind the newest checkpoint; with both, as far
///             as the nearer one. 0 and 0: no history, the default. It is kept from the setting on,
///             and each checkpoint gives up what lies further back.
typedef struct memdb_settings {
    size_t size;
    uint64_t history_us, history_bytes;
    uint64_t snapshot_limit_us; ///< age at which snapshots and transactions end; 0: one hour
} memdb_settings_t;

/// The settings as a new snapshot sees them.
MEMDB_API memdb_status_t memdb_get_settings(memdb_t *db, memdb_settings_t *settings_out);
/// Set all of them, in a transaction of its own; one that has the given value already is left
/// alone, so that two processes that change different settings do not undo each other's.
///
/// Blocks      as memdb_txn_commit.
/// Durability  of the handle.
MEMDB_API memdb_status_t memdb_configure(memdb_t *db, const memdb_settings_t *settings);

// ---------------------------------------------------------------------------------- snapshots

/// What one snapshot sees never changes. NULL options: now. At most one of the two is set.
///
/// as_of_lsn   every commit that begins below this log position, and none else: with the `version`
///             of a memory, or with what memdb_txn_commit gave, that commit is the newest one.
/// as_of_time  every commit whose commit time is at most this time, and none else. A time ahead of
///             the newest commit is now.
typedef struct memdb_snapshot_options {
    size_t size;
    uint64_t as_of_lsn; ///< 0: now
    int64_t as_of_time; ///< 0: now
} memdb_snapshot_options_t;

/// Begin a snapshot: everything that was acknowledged to any process before this call is in it.
///
/// A snapshot of an older moment sees what one that began then saw, and its time, which decides
/// what has expired, is that moment. Recall ranks with the word statistics of now; the counts of a
/// space take a walk over it. What no checkpoint has folded can be read, and more with
/// memdb_configure.
///
/// Ownership   release with memdb_snapshot_end.
/// Blocks      no lock is taken when nothing new was committed; else it follows the log first.
/// Errors      MEMDB_EXPIRED  history does not reach back so far; the message, and memdb_get_stats,
///                            name the oldest position and time that can be read.
///             MEMDB_INVALID  as_of_lsn lies above the newest position.
MEMDB_API memdb_status_t memdb_snapshot_begin(memdb_t *db, const memdb_snapshot_options_t *options,
                                              memdb_snapshot_t **snapshot_out);
MEMDB_API void memdb_snapshot_end(memdb_snapshot_t *snapshot);

/// A snapshot, or transaction, that lives through this handle.
typedef struct memdb_snapshot_info {
    size_t size;
    uint64_t lsn;   ///< it sees up to here
    int64_t began;  ///< real time
    int64_t age_us; ///< by a clock that nobody sets
    bool expired;   ///< older than the limit: calls on it fail
} memdb_snapshot_info_t;

/// Call `visit` for each snapshot and transaction of this handle, of any thread, until it returns
/// false. One that is older than the limit (memdb_settings_t) has ended: calls on it and on its
/// cursors answer MEMDB_EXPIRED, a commit writes nothing. What it lent is valid until its release.
MEMDB_API memdb_status_t memdb_snapshot_list(
    memdb_t *db, bool (*visit)(void *context, const memdb_snapshot_info_t *info), void *context);

/// The log position that the snapshot sees up to, and its fixed "now".
MEMDB_API uint64_t memdb_snapshot_lsn(const memdb_snapshot_t *snapshot);
MEMDB_API int64_t memdb_snapshot_time(const memdb_snapshot_t *snapshot);

// ---------------------------------------------------------------------------------- transactions

/// Begin a transaction. It reads at its snapshot, plus its own writes; the first committer of a
/// change wins.
///
/// Ownership   consumed by memdb_txn_commit or memdb_txn_abort.
MEMDB_API memdb_status_t memdb_txn_begin(memdb_t *db, memdb_txn_t **txn_out);

/// The transaction's view: for every function that takes a snapshot. Sees the transaction's own
/// writes.
///
/// Ownership   lent until the transaction ends; never pass it to memdb_snapshot_end.
MEMDB_API memdb_snapshot_t *memdb_txn_snapshot(memdb_txn_t *txn);

/// Commit `txn`.
///
/// durability  of this commit; MEMDB_DURABILITY_DEFAULT: the handle's.
/// lsn_out     optional; the log position after the commit, in bytes.
/// Ownership   consumes `txn` on every path.
/// Blocks      at most one group commit (a write, and a sync for full); under back-pressure up to
///             busy_timeout_ms.
/// Durability  as asked, once MEMDB_OK returns.
/// Errors      MEMDB_CONFLICT  a thing that it writes was changed since its snapshot; nothing
///                             written; retry.
///             MEMDB_BUSY      the log or the delta is at its limit; nothing written.
///             MEMDB_IO        outcome unknown until reopen; the database is failed.
MEMDB_API memdb_status_t memdb_txn_commit(memdb_txn_t *txn, memdb_durability_t durability,
                                          uint64_t *lsn_out);
MEMDB_API void memdb_txn_abort(memdb_txn_t *txn);

#ifdef __cplusplus
}
#endif
#endif
