/// Looking after a database: its space, its soundness, its copies. Include memdb.h.
#ifndef MEMDB_INCLUDE_MEMDB_MAINTENANCE_H
#define MEMDB_INCLUDE_MEMDB_MAINTENANCE_H

#include "memdb_database.h"

#ifdef __cplusplus
extern "C" {
#endif

// ---------------------------------------------------------------------------------- space and
// erasure

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

// ---------------------------------------------------------------------------------- verify and
// salvage

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
MEMDB_API memdb_status_t memdb_salvage(
    const char *from, const char *to, memdb_salvage_fn lost, void *context, uint64_t *losses_out,

    // ----------------------------------------------------------------------------------
    // backup and restore

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

#ifdef __cplusplus
}
#endif
#endif
