// The catalog: the small LMDB environment that names the live segments and the LSN that they hold.
// Committing it is the checkpoint's one switch.
//
// LMDB trusts its pages, so the file is never mapped before it was checked: catalog.c walks it
// first with a reader of its own for LMDB's format (bounds, page types, key order, and that tree
// pages, overflow pages and free pages together are every page exactly once) and compares the hash
// of all keys and values with a *companion*: a small checksummed file, one record a transaction,
// written and synced before the switch, the last two kept. A catalog whose newest transaction has
// no matching record is MEMDB_CORRUPT.
//
// Rules (design, rule 10): one environment a database a process, found by device and inode and
// shared by all handles; nothing else ever opens lock.mdb; mdb_reader_check before each write; read
// transactions are short, the manifest is copied out; a fixed map size. A lone opener removes
// lock.mdb first. Fork: the child only forgets the environment. A damaged newest meta page is
// refused, never answered with the older one. (The whole old page in its place, a write that the
// disk lost, is byte for byte a crash before the commit.)
#ifndef MEMDB_ENGINE_CATALOG_H
#define MEMDB_ENGINE_CATALOG_H

#include "base/container.h"
#include "base/io.h"

typedef struct memdb__catalog memdb__catalog_t;

/// One file of a tier, as the catalog names it. segment_id 0: the tier has no such segment.
typedef struct memdb__segment_name {
    uint64_t segment_id; // file `segments/<16 hex digits>.seg`
    uint64_t file_size, checksum;
} memdb__segment_name_t;

/// A tier: what the frames in (first_lsn, last_lsn] left behind. Tiers are adjacent; newest last.
typedef struct memdb__tier_name {
    uint64_t first_lsn, last_lsn;
    memdb__segment_name_t sorted, words, vectors;
    uint64_t superseded_bytes;   // about what older tiers hold of memories that this one replaces
    uint64_t dropped_blob_bytes; // what those named in the arena, and their successors do not
} memdb__tier_name_t;

/// An extent of the blob arena that no frame names any more. It is unlinked when no view of
/// `generation` or an older one is left in any process; MEMDB__NAMED_BY_BASE: it is not empty yet.
#define MEMDB__NAMED_BY_BASE UINT64_MAX
typedef struct memdb__retired_extent {
    uint64_t extent_id, generation;
} memdb__retired_extent_t;

/// Everything that the catalog holds. `applied_lsn` is the last tier's last_lsn, or 0.
typedef struct memdb__manifest {
    uint64_t generation; // LMDB transaction id; out
    uint64_t applied_lsn;
    uint64_t next_id, next_space, next_segment_id,
        epoch_floor; // floors: nothing at or above was ever used when this was written
    int64_t last_commit_time;
    uint64_t tier_count;
    memdb__tier_name_t *tiers; // from memdb__allocate
    uint64_t retired_count;
    memdb__retired_extent_t *retired;       // by rising id; from memdb__allocate
    uint64_t named_blob_bytes, arena_bytes; // when a fold last looked at all of the arena
    uint64_t purged_lsn; // what was forgotten with erase up to here is in no file any more
} memdb__manifest_t;

#define MEMDB__MAX_RETIRED 4096 // so that the catalog stays small

void memdb__manifest_deinit(memdb__manifest_t *manifest);
/// Exposed for tests and the fuzzer: to and from the bytes of LMDB values.
memdb_status_t memdb__manifest_check(const memdb__manifest_t *manifest, memdb_error_t *error);

/// Make the catalog of a new database (`directory`/catalog, synced) with an empty manifest.
memdb_status_t memdb__catalog_create(int directory, memdb_error_t *error);
/// Check the catalog and open the environment, or share the one that this process has open.
/// alone: the caller holds the gate and nobody is present: lock.mdb is removed first. The caller
/// holds MEMDB__LOCK_CATALOG shared or the gate alone, so that no commit runs meanwhile. read_only:
/// never writes; on a read-only file system it works without lock.mdb (MDB_NOLOCK).
memdb_status_t memdb__catalog_open(int directory, bool alone, bool read_only,
                                   memdb__catalog_t **catalog_out, memdb_error_t *error);
void memdb__catalog_close(memdb__catalog_t *catalog);
/// Copy the manifest out. Any thread.
memdb_status_t memdb__catalog_read(memdb__catalog_t *catalog, memdb__manifest_t *manifest_out,
                                   memdb_error_t *error);
/// See that a read finds the newest transaction. One that was killed in a commit may have switched
/// without telling the readers, who go on with the manifest before; that does them no harm, but who
/// unlinks what the manifest does not name must not be among them. `told`: the newest generation
/// that its committer told of; a later one is synced here. The caller holds the checkpoint lock.
memdb_status_t memdb__catalog_settle(memdb__catalog_t *catalog, uint64_t told,
                                     memdb_error_t *error);
/// The one switch: replace the manifest in one synced transaction, companion first. generation_out:
/// its transaction id. The caller holds the checkpoint lock, and MEMDB__LOCK_CATALOG exclusively
/// around this call. On failure the outcome is the old manifest (MEMDB_NOMEM, MEMDB_FULL,
/// MEMDB_CORRUPT before the commit; MEMDB_INVALID: a manifest that contradicts itself) or unknown
/// (MEMDB_IO: the database is failed).
memdb_status_t memdb__catalog_commit(memdb__catalog_t *catalog, const memdb__manifest_t *manifest,
                                     uint64_t *generation_out, memdb_error_t *error);
/// Check file and companion again from the disk; findings go to `found`. The caller holds
/// MEMDB__LOCK_CATALOG, so that no commit runs meanwhile.
memdb_status_t memdb__catalog_verify(memdb__catalog_t *catalog, memdb_verify_fn found,
                                     void *context, memdb_error_t *error);
uint64_t memdb__catalog_bytes(memdb__catalog_t *catalog);

/// The safe reader of LMDB's file format (0.9, 64-bit little-endian), on a copy of the file in
/// memory: walks the newest whole transaction. For each entry of the main database `visit` is
/// called in order. txnid_out: the transaction. Hostile bytes give MEMDB_CORRUPT. Fuzzed.
memdb_status_t memdb__lmdb_walk(const uint8_t *file, size_t size, uint64_t *txnid_out,
                                memdb_status_t (*visit)(void *context, const uint8_t *key,
                                                        size_t key_size, const uint8_t *value,
                                                        size_t value_size, memdb_error_t *error),
                                void *context, memdb_error_t *error);

#endif
