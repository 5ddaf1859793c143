// The engine's insides: what its files share, and what query/ needs of it.
//
// A handle (memdb_t) is one follower of the log: it has the control file mapped, a private delta,
// and the base of segments that the catalog names. Files of the folder:
//   database.c open and close      follow.c   applying the log, adopting a base, publishing views
//   commit*.c  group commit        txn.c      transactions and their private run
//   throttle.c back-pressure       background.c  checkpoints and the log's space and syncs
//   snapshot.c snapshots           history.c  older moments        settings.c settings
//   read.c     records, spaces, keys, sources of recall
//   put.c      put, forget         memory.c   get            handle.c  forks, errors
//   space.c    spaces, embedders   link.c     links             supersede.c  validity
//   gate.c     what a space refuses  stats.c, blobs.c
// and of the folders in it:
//   catalog/   the one switch: what the base is, in LMDB, checked before it is trusted
//   run/       the delta: runs, and a transaction's own writes
//   fold/      the checkpoint, and merges beside it
//   collect/   garbage of the arena, compact and purge, bases in use
//   attribute/ attribute indexes, and ids in a range of keys
//   table/     model tables: rows by number
//   verify/    reading everything     salvage/  what is whole of a damaged database
//   backup/    backup, restore, the archive of the log
//
// Lock order: gate > checkpoint > catalog (file `lock`) > db->queue > writer mutex > db->apply >
// sync mutex; db->error, db->lease and db->embedders are leaves.
#ifndef MEMDB_ENGINE_ENGINE_H
#define MEMDB_ENGINE_ENGINE_H

#include "base/stop.h"
#include "blob/blob.h"
#include "engine/attribute/attribute.h"
#include "engine/view.h"
#include "index/graph/visited.h"
#include "wal/wal.h"

#define MEMDB__LEASE 256              // ids taken from the control file at a time
#define MEMDB__BATCH_BYTES (8u << 20) // frames of one group commit, beyond the first
#define MEMDB__LESSER_SYNC_MS 50 // rule 6: a lesser commit in a full database is synced within this

/// A commit that waits in the queue, on its thread's stack.
typedef struct memdb__request {
    struct memdb__request *next;
    const uint8_t *payload;
    size_t size;
    struct memdb_txn *txn; // NULL: a seal, which conflicts with nothing
    memdb_durability_t durability;
    _Atomic uint32_t state; // see commit_queue.c
    uint64_t batch;         // that it waits for
    memdb_status_t status;
    memdb_error_t error;
    uint64_t end;  // LSN after the frame
    uint64_t help; // a conflict: the LSN that must become durable before it is told
} memdb__request_t;

typedef struct memdb__embedder {
    struct memdb__embedder *next;
    char *name;
    size_t name_size;
    uint32_t dimension;
    memdb_embed_fn embed;
    void *context;
} memdb__embedder_t;

/// A background thread.
typedef struct memdb__thread {
    pthread_t id;
    bool runs;
    pthread_cond_t wake;
} memdb__thread_t;

/// What a handle keeps for gates; see gate_notes.c.
typedef struct memdb__gate_notes {
    pthread_mutex_t mutex; // a leaf: nothing is locked under it
    struct memdb__gate_space *spaces;
    struct memdb__gate_recalled *recalled;
} memdb__gate_notes_t;

struct memdb {
    struct memdb *next_handle; // of this process; see database.c

    // Fixed at opening.
    char *path;
    int directory, segments, lock;
    uint8_t database_id[16];
    memdb_durability_t database_durability, durability;
    bool read_only;
    uint32_t fork_generation;
    _Atomic uint32_t interrupts; // calls of memdb_interrupt; here, where few writes come
    memdb_options_t options;
    memdb__control_t
        *control; // NULL: a read-only handle, which sees the database as it was at opening
    memdb__catalog_t *catalog;
    memdb__wal_t *wal;
    memdb__blobs_t *blobs;

    // Reading.
    memdb__pins_t pins; // outlives the views
    memdb__epochs_t epochs;
    _Atomic(memdb__view_t *) view;
    _Atomic uint64_t position;     // the delta holds all frames below
    _Atomic uint64_t acknowledged; // this handle's own commits end below
    pthread_mutex_t apply;         // guards the open run and the publishing of views
    _Atomic uint32_t broken;       // not 0: applying failed; a memdb_status_t

    // Committing.
    pthread_mutex_t queue;
    memdb__request_t *first_request, *last_request;
    uint32_t queued;            // requests in the queue
    uint64_t next_batch;        // that they will be
    bool leading;               // some thread is the leader
    memdb__request_t *gatherer; // it leads when its deadline has passed; NULL: none
    uint32_t expected;          // requests that the next batch will probably have
    uint64_t gather_ns;         // how long they are waited for
    uint64_t last_write_ns;     // how long the last write took; the leader's
    pthread_mutex_t lease;
    uint64_t lease_next, lease_end;

    // The background threads.
    memdb__thread_t fold_thread, merge_thread, log_thread;
    pthread_mutex_t thread_mutex;
    pthread_cond_t thread_done; // a checkpoint ended
    bool thread_stop, thread_checkpoint, thread_merge, thread_space;
    pthread_mutex_t merge; // one merge at a time in this handle; before `fold`
    pthread_mutex_t fold;  // one checkpoint at a time in this handle
    bool merging;          // tiers are chosen, and not switched yet; guarded by `fold`
    uint32_t surveys;      // snapshots that collections hold; guarded by `fold`
    _Atomic bool closing;  // merges are given up
    // Apart from the flags above, which gcc reads together: no lock guards these.
    _Atomic bool sync_due, sync_much;

    pthread_mutex_t embedders_mutex;
    memdb__embedder_t *embedders;
    memdb__gate_notes_t gate_notes;
    pthread_mutex_t error_mutex;
    memdb_error_t error;
    memdb__visited_pool_t visited;     // tables of walks over links, kept for the next one
    _Atomic int64_t snapshot_limit_us; // the age at which snapshots end; see settings.h
    _Atomic uint64_t stored;           // bytes put into the arena since its last checkpoint
    atomic_bool collection_due;        // all tiers should be rewritten, by the last fold's figures
    _Atomic uint64_t naming;           // transactions that stored blobs and have not ended
    // Figures.
    _Atomic uint64_t refused;
    _Atomic uint64_t commits, conflicts, checkpoints, merges;
    _Atomic uint64_t delta_bytes; // as throttle.c saw it last
    _Atomic uint64_t stalls, stalled_us, payload_bytes, segment_bytes_written;
};

struct memdb_snapshot {
    memdb_t *db;
    uint32_t slot;
    memdb__sight_t sight;
    memdb__stop_t stop;
    bool as_of; // it reads at an older moment than the newest
    int64_t time;
    memdb__arena_t arena;  // what reads lend beyond the database's own memory
    struct memdb_txn *txn; // NULL: a plain snapshot
    bool adopted; // a newer base at its beginning: what that replaced is given up at its end
};

/// A thing that must not be gone when the transaction commits, though it does not write it.
typedef struct memdb__guard {
    struct memdb__guard *next;
    size_t key_size;
    bool unchanged; // it must not have changed at all
    uint8_t key[];
} memdb__guard_t;

struct memdb_txn {
    memdb_snapshot_t snapshot;
    memdb__own_t own; // what it wrote
    memdb__guard_t *guards;
    bool has_blobs;           // the arena is synced first
    bool as_given;            // salvage: a link changes nothing but itself, and gates stand open
    const uint8_t *given_row; // salvage: the coded form of the next put's vector
    memdb__buffer_t record, bag, old_bag, row, entries; // scratch
    memdb__attributes_t *attributes; // of one space, in the snapshot's arena; NULL: not read
    memdb_space_t attributes_of;
    memdb_space_t gated; // the space whose descriptor it wrote last, for its gates; 0: none
};

// ------------------------------------------------------------------------------ errors and guards
// of the handle

/// What a public function returns: `status`, with `error` kept as the handle's last error when it
/// is not MEMDB_OK. (A function that recovered from a failure may have left its message in `error`:
/// the status alone says what happened.)
memdb_status_t memdb__report(memdb_t *db, memdb_status_t status, const memdb_error_t *error);
/// MEMDB_OK, or why nothing may be done through this handle any more (forked, failed).
memdb_status_t memdb__usable(memdb_t *db, memdb_error_t *error);
/// The same for a change: also read-only, and failed for all.
memdb_status_t memdb__writable(memdb_t *db, memdb_error_t *error);
/// Tell the log callback.
void memdb__tell(memdb_t *db, memdb_status_t severity, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/// Counts forks of this process (in the children).
uint32_t memdb__fork_generation(void);
/// The list of this process's handles, which the fork handler walks.
void memdb__handle_add(memdb_t *db);
void memdb__handle_remove(memdb_t *db);

// ------------------------------------------------------------------------------ follow.c

/// Apply the log up to `lsn`, adopting a newer base where the cut has passed. Takes db->apply.
memdb_status_t memdb__follow(memdb_t *db, uint64_t lsn, memdb_error_t *error);
/// The same for a caller that holds db->apply.
memdb_status_t memdb__follow_locked(memdb_t *db, uint64_t lsn, memdb_error_t *error);
/// Apply one frame; the caller holds db->apply. Also the visitor of recovery (context: the handle).
memdb_status_t memdb__apply_frame(void *db, const memdb__frame_t *frame, memdb_error_t *error);
/// Read the catalog and publish a view on its tiers, without the runs that they hold. Takes
/// db->apply.
memdb_status_t memdb__adopt(memdb_t *db, memdb_error_t *error);
memdb_status_t memdb__adopt_locked(memdb_t *db, const memdb__manifest_t *manifest,
                                   memdb_error_t *error);
/// The LSN that a new snapshot of this handle sees up to.
uint64_t memdb__visible(memdb_t *db);

// ------------------------------------------------------------------------------ snapshot.c

memdb_status_t memdb__snapshot_init(memdb_t *db, memdb_snapshot_t *snapshot, memdb_error_t *error);
void memdb__snapshot_deinit(memdb_snapshot_t *snapshot);
/// MEMDB_OK, or why nothing may be read through the snapshot any more: its handle's reasons, or its
/// age (MEMDB_EXPIRED).
memdb_status_t memdb__snapshot_usable(const memdb_snapshot_t *snapshot, memdb_error_t *error);
/// The lowest LSN that a snapshot or transaction of this handle, which lives now, may still read
/// at; UINT64_MAX: there is none. One that outlived its limit does not count. A snapshot that
/// begins later reads at or above the floor of the view that is published then (history.h).
uint64_t memdb__snapshots_lowest(memdb_t *db);

/// The record of a live memory; `error` gets a message only for damage. MEMDB_NOT_FOUND: not there,
/// or forgotten.
memdb_status_t memdb__read_record(const memdb__sight_t *sight, uint64_t id,
                                  memdb__record_t *record_out, uint64_t *version_out,
                                  memdb_error_t *error);
/// For who reads the records of `count` ids one after the other, each `stride` bytes behind the one
/// before: called ahead of reading number `at`, from 0 on, it has those fetched that come soon.
void memdb__expect_records(const memdb__sight_t *sight, const uint64_t *ids, size_t stride,
                           size_t count, size_t at);
/// A live space. MEMDB_NOT_FOUND without a message.
memdb_status_t memdb__read_space(const memdb__sight_t *sight, memdb_space_t space,
                                 memdb_space_info_t *info_out, memdb_error_t *error);
memdb_status_t memdb__find_space(const memdb__sight_t *sight, memdb_bytes_t name,
                                 memdb_space_t *space_out, memdb_error_t *error);
/// The attribute indexes of a space; none where nothing says so.
memdb_status_t memdb__read_attributes(const memdb__sight_t *sight, memdb_space_t space,
                                      memdb__attributes_t *attributes_out, memdb_error_t *error);
/// The live memory that has a key. MEMDB_NOT_FOUND without a message.
memdb_status_t memdb__read_by_key(const memdb__sight_t *sight, memdb_space_t space,
                                  memdb_bytes_t key, uint64_t *id_out, memdb__record_t *record_out,
                                  uint64_t *version_out, memdb_error_t *error);
/// A record as the public struct; blobs come from the snapshot's arena.
memdb_status_t memdb__lend_memory(memdb_snapshot_t *snapshot, uint64_t id,
                                  const memdb__record_t *record, uint64_t version,
                                  memdb_memory_t *memory_out, memdb_error_t *error);

/// Check a text that a caller gave: size, UTF-8, and (unless allowed) no zero byte. `what` names
/// it.
memdb_status_t memdb__check_text(const char *what, memdb_bytes_t text, size_t limit, bool allow_nul,
                                 memdb_error_t *error);

// ------------------------------------------------------------------------------ for query/

/// The sources of words or vectors of a snapshot, oldest first, in the snapshot's arena; lists are
/// built as far as needed.
memdb_status_t memdb__snapshot_words(memdb_snapshot_t *snapshot,
                                     memdb__words_source_t **sources_out, size_t *count_out,
                                     memdb_error_t *error);
memdb_status_t memdb__snapshot_vectors(memdb_snapshot_t *snapshot,
                                       memdb__vector_source_t **sources_out, size_t *count_out,
                                       memdb_error_t *error);
/// The visible version for searches in lists: the snapshot's LSN. (A transaction's own list is a
/// source that counts whole.)
uint64_t memdb__snapshot_visible(const memdb_snapshot_t *snapshot);

/// Count a space's memories and bytes of text from what tiers and runs have of it.
memdb_status_t memdb__space_count(const memdb__sight_t *sight, memdb_space_info_t *info,
                                  memdb_error_t *error);

// ------------------------------------------------------------------------------ gate.c

/// Let a put of `record`, as memory `id`, pass the gates of its space. `old`: what it replaces;
/// NULL: it is new.
memdb_status_t memdb__gate_put(memdb_txn_t *txn, const memdb_space_info_t *space, uint64_t id,
                               const memdb__record_t *record, const memdb__record_t *old,
                               memdb_error_t *error);
/// The same for its vector, coded, which is known later.
memdb_status_t memdb__gate_row(memdb_txn_t *txn, const memdb_space_info_t *space, uint64_t id,
                               const memdb__record_t *record, const memdb__record_t *old,
                               const uint8_t *row, memdb_error_t *error);
/// MEMDB_INVALID: a gate is out of range.
memdb_status_t memdb__gates_check(const memdb_gates_t *gates, memdb_error_t *error);
/// Note that a memory of a space with the gate no_recalled was recalled.
memdb_status_t memdb__gate_note_recalled(memdb_snapshot_t *snapshot, memdb_space_t space,
                                         uint64_t id, memdb_error_t *error);
void memdb__gate_notes_init(memdb__gate_notes_t *notes);
void memdb__gate_notes_deinit(memdb__gate_notes_t *notes);

/// Context of the live callbacks below. Damage met on the way is kept in `error` and ends in "not
/// live".
typedef struct memdb__live {
    const memdb__sight_t *sight;
    int64_t now; // memories that expired before are not live; MEMDB_TIME_NONE: all
    memdb_error_t error;
} memdb__live_t;
/// Whether (id, version) is the current document, or row, of a live memory of the space.
bool memdb__document_live(void *live, memdb_space_t space, uint64_t id, uint64_t version);
bool memdb__row_live(void *live, memdb_space_t space, uint64_t id, uint64_t version);

/// The memories next to `record` (of memory `id`) in its session: up to `before` and `after` ids in
/// order of the session, nearest first.
memdb_status_t memdb__session_neighbours(const memdb__sight_t *sight, uint64_t id,
                                         const memdb__record_t *record, uint32_t before,
                                         uint32_t after, uint64_t *before_out,
                                         uint32_t *before_count, uint64_t *after_out,
                                         uint32_t *after_count, memdb_error_t *error);

// ------------------------------------------------------------------------------ attribute*.c

memdb__attribute_index_t *memdb__attributes_find(memdb__attributes_t *attributes,
                                                 const memdb__attribute_index_t *index);
/// Give an index a number, and a place in the list.
memdb_status_t memdb__attributes_add(memdb__attributes_t *attributes,
                                     memdb__attribute_index_t index, memdb_error_t *error);
/// The index on hashes of texts, which must be there and ready: MEMDB_INVALID. It stays so until
/// the transaction commits. Lent by the transaction, until it changes a list.
memdb_status_t memdb__attributes_of_text(memdb_txn_t *txn, memdb_space_t space,
                                         const memdb__attribute_index_t **index_out,
                                         memdb_error_t *error);
/// Make a list that of the space.
memdb_status_t memdb__attributes_write(memdb_txn_t *txn, memdb_space_t space,
                                       const memdb__attributes_t *attributes, memdb_error_t *error);
/// The indexes of a space that the transaction has just created; with `text`, also the one on
/// hashes of texts.
memdb_status_t memdb__attributes_create(memdb_txn_t *txn, memdb_space_t space,
                                        const memdb_bytes_t *on, size_t count, bool text,
                                        memdb_error_t *error);

/// Keys of a space, of 'V', 'S' or 'T': from `from` on, below `to`.
typedef struct memdb__key_range {
    memdb__key_t from, to;
} memdb__key_range_t;
/// Of the entries of an index whose values begin with these bytes: none, a type, or a whole value.
void memdb__key_attribute_prefix(memdb__key_t *key, memdb_space_t space, uint32_t number,
                                 const memdb__attribute_value_t *value);
/// Make of a prefix the first key that is behind all keys with it.
void memdb__key_pass(memdb__key_t *key);

/// Add the ids at the ends of the keys in a range, as the sight sees them. Those of values are
/// exact, and expired memories are among them; those of 'S' and 'T' are hints. On failure the set
/// holds some of them.
memdb_status_t memdb__range_ids(const memdb__sight_t *sight, const memdb__key_range_t *range,
                                memdb__bitmap_t *ids, memdb_error_t *error);
/// About how many they are, from the places of the bounds in the tiers and a bounded walk over the
/// runs.
memdb_status_t memdb__range_estimate(const memdb__sight_t *sight, const memdb__key_range_t *range,
                                     uint64_t *count_out, memdb_error_t *error);

/// The id of a new extent; context: the handle.
uint64_t memdb__next_extent(void *context);

/// Bytes that the database's files take on the disk.
memdb_status_t memdb__files_bytes(memdb_t *db, uint64_t *bytes_out, memdb_error_t *error);

/// The embedder of a space's name on this handle; false: none. Copied out.
bool memdb__embedder_of(memdb_t *db, memdb_bytes_t name, memdb__embedder_t *embedder_out);

// ------------------------------------------------------------------------------ txn.c, commit.c,
// fold.c

/// Add one operation to what the transaction wrote. Its number is txn->own.operations before the
/// call.
memdb_status_t memdb__txn_operate(memdb_txn_t *txn, const memdb__operation_t *operation,
                                  memdb_error_t *error);
/// The same for a put; `record` is what its body encodes.
memdb_status_t memdb__txn_put(memdb_txn_t *txn, const memdb__operation_t *put,
                              const memdb__record_t *record, memdb_error_t *error);
/// The attribute indexes of a space as the transaction sees them, which the commit demands to be
/// unchanged. Lent until the transaction reads those of another space, or changes them.
memdb_status_t memdb__txn_attributes(memdb_txn_t *txn, memdb_space_t space,
                                     const memdb__attributes_t **attributes_out,
                                     memdb_error_t *error);
/// memdb_put without keeping the message in the handle.
memdb_status_t memdb__put(memdb_txn_t *txn, memdb_space_t space, const memdb_memory_t *memory,
                          uint64_t *id_out, memdb_error_t *error);
/// What a link of the type MEMDB_LINK_SUPERSEDES, whose ends are there, does to the validity of its
/// ends; its own begins with that.
memdb_status_t memdb__supersede(memdb_txn_t *txn, memdb_link_t *link, memdb_error_t *error);
/// Demand at commit that `key` is not gone (or, unchanged: not changed) since the snapshot.
memdb_status_t memdb__txn_guard(memdb_txn_t *txn, const memdb__key_t *key, bool unchanged,
                                memdb_error_t *error);

/// Run a request through the group commit; its status.
memdb_status_t memdb__commit(memdb_t *db, memdb__request_t *request, memdb_error_t *error);
/// Wait while log or delta are at their limit.
memdb_status_t memdb__throttle(memdb_t *db, memdb_error_t *error);

/// Take the checkpoint lock, in this handle and among the processes: the catalog that is read then
/// is the newest, whoever died in a switch. A read-only handle has none, and is alone with itself.
memdb_status_t memdb__checkpoint_lock(memdb_t *db, memdb_error_t *error);
void memdb__checkpoint_unlock(memdb_t *db);
/// Seal, and fold what is durable into a new base.
memdb_status_t memdb__checkpoint(memdb_t *db, memdb_error_t *error);
/// Merge tiers, and collect the arena, until nothing needs it, except for what is more than
/// `limit_bytes`. Waits for another thread of the handle that merges; does nothing where another
/// process merges.
memdb_status_t memdb__merge(memdb_t *db, uint64_t limit_bytes, memdb_error_t *error);
/// Whether tiers need a merge, or the arena a collection.
bool memdb__merge_is_due(memdb_t *db);
/// Bytes of log above the base.
uint64_t memdb__log_above_base(memdb_t *db);
/// Whether log or delta have grown so far that a checkpoint should begin.
bool memdb__wants_checkpoint(memdb_t *db);

// ------------------------------------------------------------------------------ collect.c

/// The extents that a frame's payload, or a base, says are retired: nothing names them any more.
memdb_status_t memdb__collect_note_retired(memdb_t *db, const uint8_t *payload, size_t size,
                                           memdb_error_t *error);
memdb_status_t memdb__collect_note_base(memdb_t *db, const memdb__manifest_t *manifest,
                                        memdb_error_t *error);

/// The retired extents that still have a file: how many, and their bytes.
memdb_status_t memdb__collect_waiting(memdb_t *db, const memdb__manifest_t *manifest,
                                      uint64_t *count_out, uint64_t *bytes_out,
                                      memdb_error_t *error);

// ------------------------------------------------------------------------------ blobs.c

/// Blobs of a record that a put is about to write: those in retired extents are stored again. NULL
/// in *blobs_out: none is. Else an array in the snapshot's arena.
memdb_status_t memdb__renew_blobs(memdb_txn_t *txn, const memdb__record_t *record,
                                  const memdb_blob_t *given, const memdb_blob_t **blobs_out,
                                  memdb_error_t *error);
/// Whether an entry, a record or a blob's, names a blob in a retired extent.
bool memdb__names_retired(memdb_t *db, const memdb__entry_t *entry);

void memdb__background_stop(memdb_t *db);
/// Ask the background thread for a checkpoint; does not wait.
void memdb__background_checkpoint(memdb_t *db);
/// Ask another one to merge what needs it.
void memdb__background_merge(memdb_t *db);
/// Ask a third one to prepare space for the log, if that is getting short.
void memdb__background_space(memdb_t *db);
/// Ask it for a sync of what lesser commits left, if that is much.
void memdb__background_sync_much(memdb_t *db);
/// Ask it for a sync within MEMDB__LESSER_SYNC_MS.
void memdb__background_sync(memdb_t *db);

#endif
