// What the catalog's files share: catalog.c (the LMDB adapter), catalog_environment.c (the life
// cycle), catalog_check.c (what must be true before LMDB may map the file), catalog_walk.c (the
// safe reader), catalog_companion.c (the companion file), catalog_manifest.c (encoding).
#ifndef MEMDB_ENGINE_ENGINE_CATALOG_H
#define MEMDB_ENGINE_ENGINE_CATALOG_H

#include "base/memory.h"
#include "engine/catalog/catalog.h"

#define MEMDB__CATALOG_DATA "catalog/data.mdb"
#define MEMDB__CATALOG_COMPANION "catalog/companion"
#define MEMDB__CATALOG_MAP_BYTES (16u << 20) // the fixed map size of the environment

// Where the last check found damage; for verify's findings.
typedef struct memdb__catalog_damage {
    const char *file;
    uint64_t offset;
} memdb__catalog_damage_t;

#define MEMDB__LMDB_NO_PAGE UINT64_MAX // the root of an empty tree
#define MEMDB__LMDB_MAX_DEPTH 32       // LMDB's cursor stack
#define MEMDB__LMDB_MAX_PAGE 32768
#define MEMDB__LMDB_META_END 152 // page header and meta data

// One of the two trees of an LMDB environment, as a meta page names it.
typedef struct memdb__lmdb_tree {
    uint16_t depth;
    uint64_t branch_pages, leaf_pages, overflow_pages, entries, root;
} memdb__lmdb_tree_t;

// A decoded meta page.
typedef struct memdb__lmdb_meta {
    uint32_t page_size;
    uint64_t last_page, txnid;
    memdb__lmdb_tree_t free, main;
} memdb__lmdb_meta_t;

typedef memdb_status_t (*memdb__lmdb_visit_fn)(void *context, const uint8_t *key, size_t key_size,
                                               const uint8_t *value, size_t value_size,
                                               memdb_error_t *error);

/// Decode both meta pages; newest_out: the index of the newer one. Both must be whole, and their
/// transaction ids must be neighbours (or both 0: an environment without any commit).
memdb_status_t memdb__lmdb_metas(const uint8_t *file, size_t size, memdb__lmdb_meta_t metas_out[2],
                                 int *newest_out, uint64_t *damage_out, memdb_error_t *error);
/// Walk the transaction that `meta` names: every page up to the last one exactly once, counters
/// exact.
memdb_status_t memdb__lmdb_walk_meta(const uint8_t *file, size_t size,
                                     const memdb__lmdb_meta_t *meta, memdb__lmdb_visit_fn visit,
                                     void *context, uint64_t *damage_out, memdb_error_t *error);

#define MEMDB__MANIFEST_KEY_BYTES 9
#define MEMDB__MANIFEST_HEAD_BYTES 104
#define MEMDB__MANIFEST_TIER_BYTES 104
#define MEMDB__MANIFEST_RETIRED_BYTES 16
#define MEMDB__MANIFEST_VALUE_BYTES 104 // the largest of them

// One entry of the main database.
typedef struct memdb__manifest_entry {
    uint8_t key[MEMDB__MANIFEST_KEY_BYTES], value[MEMDB__MANIFEST_VALUE_BYTES];
    size_t key_size, value_size;
} memdb__manifest_entry_t;

/// How many entries a manifest has: the head, the tiers, the retired extents.
static inline uint64_t memdb__manifest_entries(const memdb__manifest_t *manifest) {
    return 1 + manifest->tier_count + manifest->retired_count;
}
/// Entry number `index`, below that count, in key order, as transaction `txnid` writes it.
void memdb__manifest_encode(const memdb__manifest_t *manifest, uint64_t txnid, uint64_t index,
                            memdb__manifest_entry_t *entry_out);

// Collects entries in key order into a manifest, and their bytes for the hash.
typedef struct memdb__manifest_builder {
    memdb__manifest_t manifest;
    uint64_t head_tiers, head_retired, head_txnid, capacity, retired_capacity;
    bool has_head;
    memdb__buffer_t bytes;
} memdb__manifest_builder_t;

void memdb__manifest_builder_init(memdb__manifest_builder_t *builder);
void memdb__manifest_builder_deinit(memdb__manifest_builder_t *builder);
/// A memdb__lmdb_visit_fn; `context` is the builder. Hostile bytes give MEMDB_CORRUPT.
memdb_status_t memdb__manifest_builder_add(void *context, const uint8_t *key, size_t key_size,
                                           const uint8_t *value, size_t value_size,
                                           memdb_error_t *error);
/// Check the whole. The entries must say that transaction `txnid` wrote them. Gives the manifest
/// away.
memdb_status_t memdb__manifest_builder_finish(memdb__manifest_builder_t *builder, uint64_t txnid,
                                              memdb__manifest_t *manifest_out, uint64_t *hash_out,
                                              memdb_error_t *error);

#define MEMDB__COMPANION_SLOT_BYTES 4096
#define MEMDB__COMPANION_BYTES (2 * MEMDB__COMPANION_SLOT_BYTES)

// What the companion says of one transaction. `whole` is false for a slot that does not decode.
typedef struct memdb__companion_record {
    bool whole;
    uint64_t txnid, hash;
} memdb__companion_record_t;

/// The slot of transaction t is t % 2.
void memdb__companion_encode(uint64_t txnid, uint64_t hash,
                             uint8_t slot_out[MEMDB__COMPANION_SLOT_BYTES]);
memdb__companion_record_t memdb__companion_decode(const uint8_t slot[MEMDB__COMPANION_SLOT_BYTES],
                                                  uint64_t number);
/// Write and sync the record of a transaction that is about to be committed.
memdb_status_t memdb__companion_write(int fd, uint64_t txnid, uint64_t hash, memdb_error_t *error);
memdb_status_t memdb__companion_read(int catalog_directory,
                                     memdb__companion_record_t records_out[2],
                                     memdb__catalog_damage_t *damage, memdb_error_t *error);
/// Make the companion of an environment without commits. Not synced.
memdb_status_t memdb__companion_create(int catalog_directory, int *fd_out, memdb_error_t *error);

// LMDB's environment, behind the adapter.
typedef struct memdb__lmdb memdb__lmdb_t;
typedef enum memdb__lmdb_mode {
    MEMDB__LMDB_WRITE,
    MEMDB__LMDB_READ,
    MEMDB__LMDB_READ_UNLOCKED, // without lock.mdb
} memdb__lmdb_mode_t;

/// `directory` is the catalog's own. refused_out: whether the failure was one of permission.
memdb_status_t memdb__lmdb_open(int directory, memdb__lmdb_mode_t mode, memdb__lmdb_t **lmdb_out,
                                bool *refused_out, memdb_error_t *error);
/// foreign: in a forked child; LMDB is left alone.
void memdb__lmdb_close(memdb__lmdb_t *lmdb, bool foreign);
/// See memdb__catalog_settle.
memdb_status_t memdb__lmdb_settle(memdb__lmdb_t *lmdb, uint64_t told, memdb_error_t *error);
memdb_status_t memdb__lmdb_read(memdb__lmdb_t *lmdb, memdb__manifest_t *manifest_out,
                                memdb_error_t *error);
memdb_status_t memdb__lmdb_commit(memdb__lmdb_t *lmdb, int companion,
                                  const memdb__manifest_t *manifest, uint64_t *generation_out,
                                  memdb_error_t *error);

/// Read data.mdb and the companion from the disk and find out whether LMDB may be trusted with the
/// file. No commit may run meanwhile. `damage` is set when the status is MEMDB_CORRUPT.
memdb_status_t memdb__catalog_check(int catalog_directory, memdb__catalog_damage_t *damage,
                                    memdb_error_t *error);

#endif
