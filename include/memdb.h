/// memdb: a memory and retrieval database engine for agents.
///
/// A database is a directory. In it, named spaces hold memories: text with attributes, a vector,
/// blobs, a place in a session and in time, and typed links to other memories. One transaction
/// commits changes of all of these together; one recall ranks over all of them. Any number of
/// threads and processes may have one database open, and read and write it at the same time.
///
/// The order of use: memdb_open, then transactions (memdb_txn_begin .. memdb_txn_commit) and
/// snapshots (memdb_snapshot_begin .. memdb_snapshot_end), then memdb_close.
///
/// Defaults, which each function's comment leaves out:
///   Threads     a database handle and a filter may be used by many threads at once; every other
///               handle (transaction, snapshot, cursor, result, blob reader or writer) by one at a
///               time.
///   Ownership   arguments are borrowed for the call only. Handles are released with the function
///               that their comment names; releasing NULL does nothing.
///   Errors      every function may also return MEMDB_INVALID (an argument is wrong, nothing
///               changed), MEMDB_NOMEM, MEMDB_IO, MEMDB_CORRUPT (a file is damaged; the message
///               names file and offset), MEMDB_FAILED (an earlier write or sync failed; close and
///               reopen) and MEMDB_FORKED (the handle was inherited through fork); what takes a
///               snapshot or transaction, also MEMDB_EXPIRED (it is older than the limit). Outputs
///               stay untouched on failure.
///   Times       int64 microseconds since 1970-01-01T00:00:00Z. MEMDB_TIME_NONE means "not set".
///   Text        UTF-8, sized, not terminated. Memory that the library lends ends with the
///               snapshot, cursor step, transaction or result that it was read from.
///   Structs     options and inputs begin with `size`, which the caller sets to sizeof the struct;
///               zero in any other field is its default.
#ifndef MEMDB_H
#define MEMDB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define MEMDB_API __attribute__((visibility("default")))
#else
#define MEMDB_API
#endif

#define MEMDB_VERSION_MAJOR 0
#define MEMDB_VERSION_MINOR 1
#define MEMDB_VERSION_PATCH 0

/// The status codes: enumerator, value (fixed for ever), text.
#define MEMDB_STATUS_TABLE(X)                                                                      \
    X(MEMDB_OK, 0, "ok")                                                                           \
    X(MEMDB_INVALID, 1, "an argument is not valid")                                                \
    X(MEMDB_NOT_FOUND, 2, "there is no such thing")                                                \
    X(MEMDB_EXISTS, 3, "it exists already")                                                        \
    X(MEMDB_CONFLICT, 4, "another commit changed the same thing; nothing was written, retry")      \
    X(MEMDB_BUSY, 5, "a limit was reached and stayed reached until the deadline; retry later")     \
    X(MEMDB_LIMIT, 6, "larger than the database accepts")                                          \
    X(MEMDB_READ_ONLY, 7, "the database is open for reading only")                                 \
    X(MEMDB_UNSUPPORTED, 8, "this version cannot do that")                                         \
    X(MEMDB_NOT_DATABASE, 9, "the directory holds no memdb database")                              \
    X(MEMDB_VERSION, 10, "the database was written in a format that this version does not know")   \
    X(MEMDB_CORRUPT, 11, "a file of the database is damaged")                                      \
    X(MEMDB_IO, 12, "the operating system refused an operation")                                   \
    X(MEMDB_FULL, 13, "the file system is full")                                                   \
    X(MEMDB_NOMEM, 14, "out of memory")                                                            \
    X(MEMDB_FAILED, 15, "an earlier write or sync failed; close the database and open it again")   \
    X(MEMDB_FORKED, 16, "the handle was opened before fork, in the parent process")                \
    X(MEMDB_DONE, 17, "there is nothing more")                                                     \
    X(MEMDB_EXPIRED, 18, "it is older than what is kept")                                          \
    X(MEMDB_INTERRUPTED, 19, "memdb_interrupt ended it")                                           \
    X(MEMDB_REFUSED, 20, "a gate of the space refused it")

typedef enum memdb_status {
#define MEMDB_STATUS_ENUMERATOR(name, value, text) name = value,
    MEMDB_STATUS_TABLE(MEMDB_STATUS_ENUMERATOR)
#undef MEMDB_STATUS_ENUMERATOR
} memdb_status_t;

/// The enumerator's name ("MEMDB_CONFLICT") and its text. Static storage.
MEMDB_API const char *memdb_status_name(memdb_status_t status);
MEMDB_API const char *memdb_status_text(memdb_status_t status);

/// "0.1.0". Static storage.
MEMDB_API const char *memdb_version(void);

typedef struct memdb memdb_t;
typedef struct memdb_txn memdb_txn_t;
typedef struct memdb_snapshot memdb_snapshot_t;
typedef struct memdb_cursor memdb_cursor_t;
typedef struct memdb_link_cursor memdb_link_cursor_t;
typedef struct memdb_result memdb_result_t;
typedef struct memdb_blob_writer memdb_blob_writer_t;
typedef struct memdb_blob_reader memdb_blob_reader_t;

/// Sized bytes; `data` may be NULL when `size` is 0.
typedef struct memdb_bytes {
    const char *data;
    size_t size;
} memdb_bytes_t;

/// Why a call failed that has no handle to ask.
typedef struct memdb_error {
    memdb_status_t status;
    char message[512];
} memdb_error_t;

#define MEMDB_TIME_NONE INT64_MIN

/// Parse an RFC 3339 time: a date ("2023-05-08": midnight), or a date and time with an optional
/// fraction of up to six digits and an optional zone ("Z", "+02:00"; without: UTC). Years 0001 to
/// 9999 in UTC.
///
/// error_out   optional; filled on failure.
MEMDB_API memdb_status_t memdb_time_parse(memdb_bytes_t text, int64_t *time_out,
                                          memdb_error_t *error_out);
/// Longest text: "9999-12-31T23:59:59.999999Z" and the terminator.
#define MEMDB_TIME_TEXT_BYTES 32
/// Print in UTC with Z; the fraction only when it is not zero. A time outside the years 0001 to
/// 9999 is printed as the microseconds themselves.
MEMDB_API void memdb_time_print(int64_t time, char out[MEMDB_TIME_TEXT_BYTES]);

/// How much a commit survives. Commits of all kinds form one history in one order.
typedef enum memdb_durability {
    MEMDB_DURABILITY_DEFAULT = 0, ///< what the database was created with (full unless chosen)
    MEMDB_DURABILITY_NONE = 1,    ///< ordered; may be lost with the process
    MEMDB_DURABILITY_OS = 2,      ///< survives the death of the process (kill -9)
    MEMDB_DURABILITY_FULL = 3     ///< survives power loss
} memdb_durability_t;

typedef enum memdb_metric {
    MEMDB_METRIC_COSINE = 0,
    MEMDB_METRIC_DOT = 1,
    MEMDB_METRIC_L2 = 2
} memdb_metric_t;

// ---------------------------------------------------------------------------------- the database

/// Limits of what one database accepts. Above them: MEMDB_LIMIT, nothing changed.
#define MEMDB_MAX_KEY_BYTES 4096
#define MEMDB_MAX_NAME_BYTES 1024 ///< space, kind, session, actor, link type, media type
#define MEMDB_MAX_TEXT_BYTES (32u << 20)
#define MEMDB_MAX_ATTRS_BYTES (1u << 20)
#define MEMDB_MAX_DIMENSION 4096
#define MEMDB_MAX_BLOBS 64               ///< blobs of one memory
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

typedef struct memdb_space_report {
    size_t size;
    uint64_t bytes_before, bytes_after; ///< what the files occupy on the disk
    uint64_t extents_collected;         ///< extents of blobs that were copied or given up
    uint64_t extents_waiting;           ///< collected, but still read by an older snapshot
    uint64_t waiting_bytes;             ///< what those occupy; they are in bytes_after
    uint64_t memories_erased;           ///< purge: forgotten with erase, and now gone
    uint64_t archived_files_removed;    ///< purge: of the log's archive
} memdb_space_report_t;

/// Give space back to the file system: fold everything into one tier, copy the live part of every
/// extent that holds dead blobs, give back the log's files, and begin a small one.
///
/// report_out  optional; the caller sets its size.
/// Blocks      until it is done; readers and writers of all processes go on meanwhile. A
/// transaction
///             that stored blobs and has not committed may get MEMDB_CONFLICT, once.
/// Durability  nothing is lost wherever it is interrupted.
MEMDB_API memdb_status_t memdb_compact(memdb_t *db, memdb_space_report_t *report_out);

/// Compact, and erase: when it returns MEMDB_OK, no file of the database holds a byte of a memory
/// that was forgotten with memdb_forget_erase before the call (unless another memory holds the
/// same): segments, log, arena, kept-aside tails, and the archive of the log, which it ends (the
/// next backup copies everything).
///
/// Promises    for the files, by name. Other processes may have files mapped that have no name any
///             more, until their next snapshot begins; blocks that the file system has freed, and
///             what a device remaps, are not overwritten.
/// Snapshots   that are older keep what they see, but for blobs that no memory names any more.
/// Blocks      as memdb_compact.
/// Errors      as memdb_compact; on any error the erasure is not complete: call it again.
MEMDB_API memdb_status_t memdb_purge(memdb_t *db, memdb_space_report_t *report_out);

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

/// Called for each damage that memdb_verify finds. `file` is relative to the database.
typedef void (*memdb_verify_fn)(void *context, const char *file, uint64_t offset, const char *what);

/// Read and check every byte that counts: root, catalog, log, every page of every segment, every
/// piece of every blob that a memory names, and that the stores agree with each other: every memory
/// is found by its key, time and session and by the words and the vector that it has, links both
/// ways, counters are exact. (Through a read-only handle: all but catalog and log.)
///
/// Blocks      as long as reading all takes; writers and checkpoints go on but for its beginning.
/// Errors      MEMDB_CORRUPT  something is damaged; each finding went to `found`.
MEMDB_API memdb_status_t memdb_verify(memdb_t *db, memdb_verify_fn found, void *context);

/// How memdb_verify_with verifies. Callbacks are called from any of its threads, one at a time, and
/// must not call back into memdb.
typedef struct memdb_verify_options {
    size_t size;
    uint32_t threads; ///< at most 64; 0: one a processor, at most 4
    memdb_verify_fn found;
    void *context; ///< of all three callbacks
    /// Bytes read so far, of how many; the total grows when blobs are met that many memories name.
    void (*progress)(void *context, uint64_t done_bytes, uint64_t total_bytes);
    /// A file that nothing names, which the next checkpoint or collection removes: no damage.
    void (*garbage)(void *context, const char *file, uint64_t bytes);
} memdb_verify_options_t;

/// The same with options. Errors as memdb_verify.
MEMDB_API memdb_status_t memdb_verify_with(memdb_t *db, const memdb_verify_options_t *options);

/// Something that memdb_salvage could not get out. Strings are lent for the call.
typedef struct memdb_loss {
    size_t size;
    const char *file; ///< relative to the damaged database
    uint64_t offset;
    const char *what;
    uint64_t first_id, last_id; ///< memories that are concerned, or some of them; 0, 0: not known
    memdb_bytes_t key;          ///< of the one memory, where it can be told
} memdb_loss_t;

typedef void (*memdb_salvage_fn)(void *context, const memdb_loss_t *loss);

/// Write what is whole of the damaged database `from`, which nobody has open, into a new database
/// `to`: root, catalog, log, segments and extents may each be missing or damaged in part. The
/// newest version of each memory, link and space that can be read is taken; ids stay, versions are
/// new. Words are made anew from the texts; a vector or a blob that is damaged is left out. `from`
/// is not changed. Needs about 100 bytes of memory for each memory, link and vector.
///
/// lost        optional; told of each thing that is lost, and of each memory that may be older than
///             it was, or forgotten, because what could say so is lost.
/// losses_out  optional; how many those were.
/// error_out   optional; filled on failure.
/// Errors      MEMDB_NOT_FOUND     there is no such directory.
///             MEMDB_NOT_DATABASE  no file in it says to which database it belongs.
///             MEMDB_EXISTS        `to` exists and is not an empty directory.
MEMDB_API memdb_status_t memdb_salvage(const char *from, const char *to, memdb_salvage_fn lost,
                                       void *context, uint64_t *losses_out,
                                       memdb_error_t *error_out);

/// Called now and then during long work, by the thread that asked for it: bytes done, and bytes
/// that are known to be needed in all, which may rise. Must not call back into memdb.
typedef void (*memdb_progress_fn)(void *context, uint64_t done_bytes, uint64_t total_bytes);

typedef enum memdb_backup_flags {
    MEMDB_BACKUP_ONCE = 1, ///< no increment will follow: keep no archive, end one that is kept
    MEMDB_BACKUP_FULL = 2, ///< copy everything, also where an increment would do
} memdb_backup_flags_t;

typedef struct memdb_backup_options {
    size_t size;
    uint32_t flags; ///< memdb_backup_flags_t
    memdb_progress_fn progress;
    void *progress_context;
} memdb_backup_options_t;

/// What a backup or a restore brought.
typedef struct memdb_copied {
    size_t size;
    uint64_t lsn;          ///< the copy holds everything up to here
    int64_t time;          ///< commit time of the last commit in it, as far as that is known
    uint64_t base_lsn;     ///< a backup can be restored to any log position from here to `lsn`
    uint64_t bytes, files; ///< written by this call
    bool incremental;      ///< only what was new
} memdb_copied_t;

/// Copy the database to the directory `path` while it is in use: to a new one everything, to an
/// earlier backup of it what is new since. The copy holds at least every commit that was
/// acknowledged before the call. All that is copied is checked on the way.
///
/// A backup is a database that can be opened. As long as it was opened for reading only, increments
/// can be added to it, and memdb_restore builds the database as it was at any log position or time
/// from its first full copy on. While backups are taken, the database keeps the log that it would
/// give up otherwise in its directory `archive`, until the next backup has it, at most
/// memdb_options_t.archive_limit_bytes; beyond that it is given up, the log function is told
/// (MEMDB_LIMIT), and the next backup copies everything once more. The archive serves one backup
/// directory: where two take turns, each time the other's chain may be broken.
///
/// options     optional.
/// copied_out  optional; `size` is set by the caller.
/// Blocks      no other thread or process: commits, reads and checkpoints go on.
/// Durability  synced once MEMDB_OK returns. An interrupted backup goes on when it is asked for
///             again.
/// Errors      MEMDB_EXISTS   `path` holds other things, or a backup of another database, or one
///                            that was opened for writing since; nothing was changed.
///             MEMDB_BUSY     another backup to `path` is running, or somebody opens it.
///             MEMDB_CORRUPT  database or backup are damaged; the message names file and offset.
///             MEMDB_FULL     no room at `path`; what was copied stays for the next try.
MEMDB_API memdb_status_t memdb_backup(memdb_t *db, const char *path,
                                      const memdb_backup_options_t *options,
                                      memdb_copied_t *copied_out);

typedef struct memdb_restore_options {
    size_t size;
    uint64_t until_lsn; ///< leave out what was committed above; 0: nothing
    int64_t until_time; ///< leave out what was committed later; 0: nothing
    memdb_progress_fn progress;
    void *progress_context;
} memdb_restore_options_t;

/// Build a new database in the directory `to` from the backup `from`, or from a database that
/// nobody has open, as of a log position or a time, and verify it. It is a database of its own:
/// ids of new memories lie above all that `from` knows of, also above those left out.
///
/// options     optional; NULL: everything.
/// copied_out  optional; `size` is set by the caller.
/// error_out   optional; filled on failure.
/// Blocks      an opening of `from` waits.
/// Durability  synced once MEMDB_OK returns. An interrupted one goes on when it is asked for again
///             with the same options.
/// Errors      MEMDB_EXISTS        `to` holds something else than the same restore, interrupted.
///             MEMDB_INVALID       the bound lies before the first full copy.
///             MEMDB_NOT_DATABASE  `from` is none, or a backup whose first copy was not finished.
///             MEMDB_BUSY          somebody has `from` open.
///             MEMDB_CORRUPT       `from` is damaged; the message names file and offset, and for
///             the
///                                 log up to where it is whole.
MEMDB_API memdb_status_t memdb_restore(const char *from, const char *to,
                                       const memdb_restore_options_t *options,
                                       memdb_copied_t *copied_out, memdb_error_t *error_out);

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

// ---------------------------------------------------------------------------------- spaces

typedef uint32_t memdb_space_t; ///< never 0, never reused

typedef enum memdb_tokenizer_kind {
    MEMDB_TOKENIZER_ENGLISH =
        0,                     ///< case and accents folded, English stems, CJK unigrams and bigrams
    MEMDB_TOKENIZER_PLAIN = 1, ///< the same without stemming
    MEMDB_TOKENIZER_NONE = 2   ///< texts are stored, and not found by words
} memdb_tokenizer_kind_t;

/// What a space asks of memories that are put into it; 0: nothing. docs/gates.md has the rules.
typedef struct memdb_gates {
    double most_alike; ///< 0 to 1: the part of its words that a new text may not share with another
    uint64_t most_memories, most_text_bytes;
    int64_t expire_after_us; ///< a new memory without an expiry expires so long after its put
} memdb_gates_t;

typedef struct memdb_space_options {
    size_t size;
    uint32_t dimension; ///< of vectors; 0: fixed by the first vector
    memdb_metric_t metric;
    memdb_tokenizer_kind_t tokenizer;
    const memdb_bytes_t *indexes; ///< what its attribute indexes are on, as for memdb_index_create
    size_t index_count;           ///< at most 32
    memdb_gates_t gates;
} memdb_space_options_t;

typedef struct memdb_space_info {
    memdb_space_t space;
    memdb_bytes_t name; ///< lent as the function says
    uint32_t dimension; ///< 0: no vector yet
    memdb_metric_t metric;
    memdb_tokenizer_kind_t tokenizer;
    uint64_t memories;
    uint64_t text_bytes; ///< bytes of text in live memories
    memdb_gates_t gates;
} memdb_space_info_t;

/// Create a space. Errors: MEMDB_EXISTS.
MEMDB_API memdb_status_t memdb_space_create(memdb_txn_t *txn, memdb_bytes_t name,
                                            const memdb_space_options_t *options,
                                            memdb_space_t *space_out);
/// Replace the gates of a space, for later puts. Errors: MEMDB_NOT_FOUND.
MEMDB_API memdb_status_t memdb_space_set_gates(memdb_txn_t *txn, memdb_space_t space,
                                               const memdb_gates_t *gates);
/// Find a space, or create it with default options.
MEMDB_API memdb_status_t memdb_space_ensure(memdb_txn_t *txn, memdb_bytes_t name,
                                            memdb_space_t *space_out);
/// Drop a space with all in it. Commits into it meanwhile conflict. Errors: MEMDB_NOT_FOUND.
MEMDB_API memdb_status_t memdb_space_drop(memdb_txn_t *txn, memdb_bytes_t name);
/// Find a space by name. Errors: MEMDB_NOT_FOUND.
MEMDB_API memdb_status_t memdb_space_find(memdb_snapshot_t *snapshot, memdb_bytes_t name,
                                          memdb_space_t *space_out);
/// Attribute indexes: filters that ask for a value, a range of values, a beginning of a text, or
/// whether there is a value, can be answered from them instead of from the memories themselves.
///
/// on          a field (key, kind, session, actor, time, valid_from, valid_to, expires, importance,
///             tokens), or a path into the attributes: "attr.topic", "attr.user.name",
///             "attr.\"a b\"". A space has at most 32.
///
/// Make an index of a space with all that it holds. It commits in steps of its own, beside which
/// others read and write; where it is interrupted, calling it again goes on.
///
/// durability  of its commits.
/// Blocks      until it is made.
/// Errors      MEMDB_EXISTS     there is one.
///             MEMDB_NOT_FOUND  no such space.
///             MEMDB_CONFLICT   it was dropped meanwhile, or others change the same memories
///                              without end.
MEMDB_API memdb_status_t memdb_index_create(memdb_t *db, memdb_space_t space, memdb_bytes_t on,
                                            memdb_durability_t durability);
/// Drop an index; the space that it takes comes back with checkpoints. Errors: MEMDB_NOT_FOUND.
MEMDB_API memdb_status_t memdb_index_drop(memdb_txn_t *txn, memdb_space_t space, memdb_bytes_t on);

typedef struct memdb_index_info {
    size_t size;
    memdb_bytes_t on;  ///< lent for the call
    bool ready;        ///< false: it is being made, or its making was interrupted
    uint64_t memories; ///< about how many have a value there
} memdb_index_info_t;
/// Call `visit` for each index of a space, oldest first, until it returns false. Errors:
/// MEMDB_NOT_FOUND.
MEMDB_API memdb_status_t memdb_index_list(memdb_snapshot_t *snapshot, memdb_space_t space,
                                          bool (*visit)(void *context,
                                                        const memdb_index_info_t *info),
                                          void *context);

/// What is known of a space; the name is lent until the snapshot ends.
MEMDB_API memdb_status_t memdb_space_get_info(memdb_snapshot_t *snapshot, memdb_space_t space,
                                              memdb_space_info_t *info_out);
/// Call `visit` for each space by name, until it returns false. Names are lent by the snapshot.
MEMDB_API memdb_status_t memdb_space_list(memdb_snapshot_t *snapshot,
                                          bool (*visit)(void *context,
                                                        const memdb_space_info_t *info),
                                          void *context);

/// Turns texts into vectors: `count` texts in, count x dimension floats out, row-major. Returns
/// false on failure. Called by the thread that puts or recalls, never under a lock of memdb.
typedef bool (*memdb_embed_fn)(void *context, const memdb_bytes_t *texts, size_t count,
                               float *vectors_out);

/// Use `embed` for texts that are put into, or asked of, the space `name` without a vector, through
/// this handle. NULL `embed` ends that. The space need not exist yet.
MEMDB_API memdb_status_t memdb_embedder_register(memdb_t *db, memdb_bytes_t name,
                                                 uint32_t dimension, memdb_embed_fn embed,
                                                 void *context);

// ---------------------------------------------------------------------------------- filters

/// A condition on the fields and attributes of a memory: parsed once, never changed, usable by any
/// number of threads and databases at once.
typedef struct memdb_filter memdb_filter_t;

typedef enum memdb_value_kind {
    MEMDB_VALUE_NULL = 0,
    MEMDB_VALUE_BOOL = 1,
    MEMDB_VALUE_INTEGER = 2,
    MEMDB_VALUE_NUMBER = 3, ///< finite
    MEMDB_VALUE_TEXT = 4,
    MEMDB_VALUE_TIME = 5, ///< microseconds, in `integer`; MEMDB_TIME_NONE is a null
    MEMDB_VALUE_LIST = 6  ///< of the other kinds, for `in ?`
} memdb_value_kind_t;

typedef struct memdb_value_list {
    const struct memdb_value *items;
    size_t count;
} memdb_value_list_t;

/// The value of a parameter.
typedef struct memdb_value {
    memdb_value_kind_t kind;
    union {
        bool truth;
        int64_t integer;
        double number;
        memdb_bytes_t text;
        memdb_value_list_t list;
    };
} memdb_value_t;

/// Parse a filter, such as `kind = 'fact' and attr.user in ? and time >= '2026-01-01'`.
///
///   comparisons  = != < <= > >=, between A and B, in (A, B, ...), is null, is not null,
///                starts with A, contains A (of a text, or an element of a JSON array); joined by
///                and, or, not and parentheses
///   operands     id, key, text, kind, session, actor, time, valid_from, valid_to, expires,
///                importance, tokens, dimension, blobs, version; attr.name.name (attr."a name") for
///                a value in the JSON attributes
///   values       'text', 12, -0.5, true, false, null, time '2026-01-01T12:00:00Z'; `?` for the
///                next parameter, `?2` for the second
///
/// Where something is null, or an attribute is of another type than what it is compared with, the
/// comparison is unknown, as in SQL; only what is true passes. docs/filters.md has the grammar.
///
/// params      `count` values, each used; copied.
/// error_out   optional; filled on failure: "filter: byte 12: expected a value, not )".
/// Ownership   release with memdb_filter_free, when nothing uses it any more.
/// Errors      MEMDB_INVALID  it is no filter, or compares a field with a value of another type.
///             MEMDB_LIMIT    it is too long, or nested too deeply.
MEMDB_API memdb_status_t memdb_filter_parse(memdb_bytes_t text, const memdb_value_t *params,
                                            size_t count, memdb_filter_t **filter_out,
                                            memdb_error_t *error_out);
MEMDB_API void memdb_filter_free(memdb_filter_t *filter);

// ---------------------------------------------------------------------------------- memories

/// Which fields of a memdb_memory_t are set: by the caller (put), or by the library (get).
typedef enum memdb_fields {
    MEMDB_FIELD_KEY = 1u << 0,
    MEMDB_FIELD_TEXT = 1u << 1,
    MEMDB_FIELD_KIND = 1u << 2,
    MEMDB_FIELD_SESSION = 1u << 3,
    MEMDB_FIELD_ACTOR = 1u << 4,
    MEMDB_FIELD_TIME = 1u << 5,
    MEMDB_FIELD_VALID_FROM = 1u << 6,
    MEMDB_FIELD_VALID_TO = 1u << 7,
    MEMDB_FIELD_EXPIRES = 1u << 8,
    MEMDB_FIELD_IMPORTANCE = 1u << 9,
    MEMDB_FIELD_TOKENS = 1u << 10,
    MEMDB_FIELD_ATTRS = 1u << 11,
    MEMDB_FIELD_VECTOR = 1u << 12,
    MEMDB_FIELD_BLOBS = 1u << 13
} memdb_fields_t;

/// A blob of a memory: `reference` names its bytes in the arena (from memdb_blob_put or a blob
/// writer).
typedef struct memdb_blob {
    uint8_t reference[32];
    uint64_t size_bytes;
    memdb_bytes_t media_type;
} memdb_blob_t;

typedef struct memdb_memory {
    size_t size;
    uint32_t fields;     ///< memdb_fields_t
    memdb_space_t space; ///< out
    uint64_t id;         ///< in: 0, or the memory to change. out: its id
    uint64_t version;    ///< out: log position of the commit that wrote this version
    memdb_bytes_t key;   ///< unique in its space
    memdb_bytes_t text, kind, session, actor;
    int64_t time; ///< of the event; by default the time of the put
    int64_t valid_from, valid_to, expires;
    double importance;         ///< finite
    uint32_t tokens;           ///< cost in a model's context
    memdb_bytes_t attrs;       ///< a JSON object
    const float *vector;       ///< in; out: NULL (see memdb_get_vector)
    uint32_t dimension;        ///< in and out
    const memdb_blob_t *blobs; ///< out: lent; at most MEMDB_MAX_BLOBS
    uint32_t blob_count;
} memdb_memory_t;

/// Put a memory into a space.
///
/// memory      with `id`: changes that memory. Else with a key that the space knows: changes that
/// one (upsert).
///             Else a new memory. A change keeps the fields that are not set in `fields`.
///             MEMDB_FIELD_TEXT with size 0 clears the text; the same for other fields and
///             MEMDB_TIME_NONE.
/// id_out      optional.
/// Errors      MEMDB_NOT_FOUND  `id` is given and not there. MEMDB_REFUSED    by a gate of the
/// space.
///             MEMDB_INVALID    not UTF-8; NaN; another dimension; attrs not a JSON object;
///             valid_to before valid_from. MEMDB_EXISTS     the key belongs to another memory than
///             `id`. MEMDB_LIMIT      a field or the transaction is too large.
MEMDB_API memdb_status_t memdb_put(memdb_txn_t *txn, memdb_space_t space,
                                   const memdb_memory_t *memory, uint64_t *id_out);

/// Forget a memory: it is in no later snapshot. Errors: MEMDB_NOT_FOUND.
MEMDB_API memdb_status_t memdb_forget(memdb_txn_t *txn, memdb_space_t space, uint64_t id);

/// Forget a memory, and mark it for erasure: the next memdb_purge, by any process, removes every
/// byte of it from the files of the database. Errors: MEMDB_NOT_FOUND.
MEMDB_API memdb_status_t memdb_forget_erase(memdb_txn_t *txn, memdb_space_t space, uint64_t id);

/// Forget every memory of the space that passes the filter, as the transaction sees them.
///
/// erase       as memdb_forget_erase.
/// forgotten_out  optional; how many.
/// Errors      as memdb_forget. On any error some of them may be forgotten in the transaction:
/// abort
///             it. Memories that other commits add meanwhile are not looked at; one that another
///             commit changes makes the transaction's commit MEMDB_CONFLICT.
MEMDB_API memdb_status_t memdb_forget_where(memdb_txn_t *txn, memdb_space_t space,
                                            const memdb_filter_t *filter, bool erase,
                                            uint64_t *forgotten_out);

/// Read a memory by id, or by key.
///
/// memory_out  its pointers are lent until the snapshot or transaction ends.
/// Errors      MEMDB_NOT_FOUND
MEMDB_API memdb_status_t memdb_get(memdb_snapshot_t *snapshot, memdb_space_t space, uint64_t id,
                                   memdb_memory_t *memory_out);
MEMDB_API memdb_status_t memdb_get_by_key(memdb_snapshot_t *snapshot, memdb_space_t space,
                                          memdb_bytes_t key, memdb_memory_t *memory_out);

/// The vector of a memory, from its INT8 codes: `dimension` floats. Errors: MEMDB_NOT_FOUND.
MEMDB_API memdb_status_t memdb_get_vector(memdb_snapshot_t *snapshot, memdb_space_t space,
                                          uint64_t id, float *vector_out, uint32_t dimension);

typedef enum memdb_order {
    MEMDB_ORDER_TIME = 0,    ///< (time, id)
    MEMDB_ORDER_SESSION = 1, ///< the memories of one session, (time, id)
    MEMDB_ORDER_KEY = 2      ///< keys by bytes; memories with a key only
} memdb_order_t;

typedef struct memdb_cursor_options {
    size_t size;
    memdb_order_t order;
    memdb_bytes_t session; ///< MEMDB_ORDER_SESSION
    memdb_bytes_t prefix;  ///< MEMDB_ORDER_KEY: only keys that begin so
    int64_t from, to; ///< time range [from, to); 0 and 0: all. MEMDB_TIME_NONE: open on that side
    bool has_from, has_to;
    memdb_bytes_t after;          ///< go on after the position that memdb_cursor_position gave
    const memdb_filter_t *filter; ///< only memories that pass; must outlive the cursor
    int64_t valid_at;             ///< only those that are valid then; 0: all
    bool unexpired;               ///< only those that have not expired at the snapshot's time
} memdb_cursor_options_t;

/// Iterate over the memories of a space.
///
/// Ownership   release with memdb_cursor_close, before the snapshot ends.
MEMDB_API memdb_status_t memdb_cursor_open(memdb_snapshot_t *snapshot, memdb_space_t space,
                                           const memdb_cursor_options_t *options,
                                           memdb_cursor_t **cursor_out);
/// The memories of the session of memory `id`, in order: up to `before` ones before it, itself, up
/// to `after` ones after it. A memory without a session is alone. Errors: MEMDB_NOT_FOUND.
MEMDB_API memdb_status_t memdb_trace_open(memdb_snapshot_t *snapshot, memdb_space_t space,
                                          uint64_t id, uint32_t before, uint32_t after,
                                          memdb_cursor_t **cursor_out);
/// Step. The memory is lent until the snapshot ends. MEMDB_DONE at the end.
MEMDB_API memdb_status_t memdb_cursor_next(memdb_cursor_t *cursor, memdb_memory_t *memory_out);
/// The position after the last step: opaque bytes for memdb_cursor_options_t.after, lent until the
/// next step. Valid in other snapshots and processes.
MEMDB_API memdb_bytes_t memdb_cursor_position(const memdb_cursor_t *cursor);
MEMDB_API void memdb_cursor_close(memdb_cursor_t *cursor);

// ---------------------------------------------------------------------------------- links

typedef struct memdb_link {
    size_t size;
    memdb_space_t space;
    uint64_t from, to;            ///< memories of the same space
    memdb_bytes_t type;           ///< may be empty
    double weight;                ///< finite; memdb_put_link takes 0 as 0: set it
    memdb_bytes_t attrs;          ///< a JSON object, or empty
    int64_t valid_from, valid_to; ///< when it holds; in: 0 and MEMDB_TIME_NONE are open sides
    uint64_t version;             ///< out
} memdb_link_t;

/// The type of a link from a fact to one that it takes the place of. See memdb_put_link.
#define MEMDB_LINK_SUPERSEDES "supersedes"

/// Whether something with this validity, [valid_from, valid_to), holds at `moment`.
/// MEMDB_TIME_NONE: open on that side.
MEMDB_API bool memdb_is_valid(int64_t valid_from, int64_t valid_to, int64_t moment);

/// Create or replace the link (from, to, type).
///
/// A link of the type MEMDB_LINK_SUPERSEDES says that `from` holds in the place of `to`, from its
/// valid_from on (open: from that of `from`; without one, from its time). The same
/// transaction ends the validity of `to` there, unless it ends earlier, and begins that of `from`
/// there, unless it has a beginning. A commit that changed one of them meanwhile conflicts.
/// Removing the link changes neither.
///
/// Errors      MEMDB_NOT_FOUND  an end is not there.
///             MEMDB_INVALID    a memory that supersedes itself, or ceases to hold before that.
MEMDB_API memdb_status_t memdb_put_link(memdb_txn_t *txn, const memdb_link_t *link);
/// Remove it. Errors: MEMDB_NOT_FOUND.
MEMDB_API memdb_status_t memdb_remove_link(memdb_txn_t *txn, memdb_space_t space, uint64_t from,
                                           uint64_t to, memdb_bytes_t type);

typedef enum memdb_direction {
    MEMDB_DIRECTION_OUT = 0,
    MEMDB_DIRECTION_IN = 1,
    MEMDB_DIRECTION_BOTH = 2
} memdb_direction_t;

/// The links of a memory, one hop; with `type` (size > 0) only those. Ordered by direction, type,
/// other end.
MEMDB_API memdb_status_t memdb_links_open(memdb_snapshot_t *snapshot, memdb_space_t space,
                                          uint64_t id, memdb_direction_t direction,
                                          memdb_bytes_t type, memdb_link_cursor_t **cursor_out);
/// Step; the link is lent until the snapshot ends. MEMDB_DONE at the end.
MEMDB_API memdb_status_t memdb_links_next(memdb_link_cursor_t *cursor, memdb_link_t *link_out);
MEMDB_API void memdb_links_close(memdb_link_cursor_t *cursor);

// ---------------------------------------------------------------------------------- blobs

/// Put bytes into the blob arena (stored once for equal content) and describe them in `blob_out`,
/// to be named by memdb_put in the same transaction. A blob that no committed memory names is
/// garbage.
///
/// blob_out    media_type is left empty for the caller to set.
/// Durability  the bytes are synced before the frame that names them is written at full.
MEMDB_API memdb_status_t memdb_blob_put(memdb_txn_t *txn, const void *data, size_t size,
                                        memdb_blob_t *blob_out);

/// The same as a stream, at constant memory.
///
/// Ownership   consumed by memdb_blob_writer_finish or memdb_blob_writer_abort, before the
/// transaction ends.
MEMDB_API memdb_status_t memdb_blob_writer_open(memdb_txn_t *txn, memdb_blob_writer_t **writer_out);
MEMDB_API memdb_status_t memdb_blob_writer_append(memdb_blob_writer_t *writer, const void *data,
                                                  size_t size);
MEMDB_API memdb_status_t memdb_blob_writer_finish(memdb_blob_writer_t *writer,
                                                  memdb_blob_t *blob_out);
MEMDB_API void memdb_blob_writer_abort(memdb_blob_writer_t *writer);

/// Read a blob as named by a memory of this snapshot.
///
/// Ownership   release with memdb_blob_reader_close, before the snapshot ends.
/// Errors      MEMDB_NOT_FOUND  the snapshot is older than a purge of the blob; so may reading.
MEMDB_API memdb_status_t memdb_blob_reader_open(memdb_snapshot_t *snapshot,
                                                const memdb_blob_t *blob,
                                                memdb_blob_reader_t **reader_out);
/// Read up to `size` bytes at `offset`; *read_out is less than `size` at the end only. Checked
/// before it is given.
MEMDB_API memdb_status_t memdb_blob_reader_read(memdb_blob_reader_t *reader, uint64_t offset,
                                                void *buffer, size_t size, size_t *read_out);
MEMDB_API void memdb_blob_reader_close(memdb_blob_reader_t *reader);

// ---------------------------------------------------------------------------------- recall

typedef enum memdb_recall_mode {
    MEMDB_RECALL_AUTO = 0,  ///< all signals that the query has
    MEMDB_RECALL_WORDS = 1, ///< words alone: BM25 and coverage; nothing else
    MEMDB_RECALL_VECTOR = 2 ///< vectors alone: exact order by the space's metric
} memdb_recall_mode_t;

/// The signals of recall; a hit carries each one's share of its score.
typedef enum memdb_signal {
    MEMDB_SIGNAL_WORDS = 0,
    MEMDB_SIGNAL_VECTOR = 1,
    MEMDB_SIGNAL_TRACE = 2,
    MEMDB_SIGNAL_TIME = 3,    ///< its time, or session, is one that the question names
    MEMDB_SIGNAL_RECENCY = 4, ///< how young it is at `now`; weight 0 unless the query has weights
    MEMDB_SIGNAL_IMPORTANCE = 5, ///< its importance; the same
    MEMDB_SIGNAL_FEEDBACK = 6,   ///< words that the best memories of a first look have in common
    MEMDB_SIGNAL_COUNT = 7
} memdb_signal_t;

MEMDB_API const char *memdb_signal_name(memdb_signal_t signal);

typedef struct memdb_query {
    size_t size;
    const memdb_space_t *spaces; ///< one or more
    size_t space_count;
    memdb_bytes_t text;  ///< words; "a phrase" in quotes counts extra, pre* is a prefix
    const float *vector; ///< optional
    uint32_t dimension;
    memdb_bytes_t session; ///< size > 0: only memories of this session
    uint32_t k;            ///< default 10, at most 10,000
    memdb_recall_mode_t mode;
    double weights[MEMDB_SIGNAL_COUNT]; ///< used when has_weights
    bool has_weights;
    bool phrase_required; ///< a quoted phrase must occur as such, and every prefix must match
    const memdb_filter_t *filter; ///< only memories that pass are hits
    bool explain;                 ///< keep what was done, for memdb_result_plan
    int64_t now; ///< the moment of the question, for "last week" in it; 0: the snapshot's time,
                 ///< of a transaction the present
    bool has_window;
    int64_t window_from, window_to; ///< used when has_window: only memories whose time lies in
                                    ///< [from, to); MEMDB_TIME_NONE: open on that side
    int64_t valid_at; ///< only memories that are valid then; 0: `now`. MEMDB_TIME_NONE: all
    uint32_t skip; ///< leave out the first so many: in one snapshot, the next page (docs/recall.md)
    bool fold;     ///< hits whose texts share four fifths of their words count as one, the best
    double mmr;    ///< 0 to 1: how much likeness to the hits before it counts against a hit; 0: off
    uint32_t token_budget; ///< above 0: the best that cost so much at most together; without skip
} memdb_query_t;

typedef struct memdb_hit {
    uint64_t id;
    memdb_space_t space;
    double score;
    double signals[MEMDB_SIGNAL_COUNT]; ///< shares; their sum is the score
    uint32_t folded;                    ///< hits that were folded into this one
    uint32_t tokens; ///< where a budget is given: what it costs, or an estimate from its text
} memdb_hit_t;

/// Rank the memories of the given spaces; best first, ties by id. A memory that expired before the
/// snapshot's time is not found.
///
/// Ownership   release with memdb_result_free; it does not depend on the snapshot.
/// Errors      MEMDB_INVALID    nothing is asked, NaN, or another dimension than the space's.
///             MEMDB_NOT_FOUND  a space is not there.
MEMDB_API memdb_status_t memdb_recall(memdb_snapshot_t *snapshot, const memdb_query_t *query,
                                      memdb_result_t **result_out);
MEMDB_API size_t memdb_result_count(const memdb_result_t *result);
MEMDB_API const memdb_hit_t *memdb_result_hit(const memdb_result_t *result, size_t number);
/// Why there are fewer than k hits; NULL when there are k. Lent until the result is freed.
MEMDB_API const char *memdb_result_fewer(const memdb_result_t *result);
/// One step of what a recall did.
typedef struct memdb_plan_step {
    const char *what; ///< "plan: search within the members", "ids by index: kind = 'fact'"
    uint32_t depth;   ///< it is a part of the last step before it with a smaller depth
    double estimated; ///< rows, before it ran; negative: there was no estimate
    uint64_t rows;    ///< what it gave
    double us;        ///< how long it took
} memdb_plan_step_t;

typedef struct memdb_plan {
    size_t size;
    const memdb_plan_step_t *steps; ///< in the order in which they began
    size_t step_count;
    double weights[MEMDB_SIGNAL_COUNT]; ///< of the signals
} memdb_plan_t;

/// What was done for a result (docs/planner.md); NULL when the query did not ask for it. Lent until
/// the result is freed.
MEMDB_API const memdb_plan_t *memdb_result_plan(const memdb_result_t *result);
MEMDB_API void memdb_result_free(memdb_result_t *result);

#ifdef __cplusplus
}
#endif
#endif
