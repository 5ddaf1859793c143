// Collecting the arena: which extents are emptied, and where their blobs go.
//
// A merge that rewrites all tiers reads every record, so it can say which blobs are named. Extents
// that are mostly dead, and small ones when there are many, are emptied: the blobs that the new
// base will name are copied to extents of their own (survivors live long, and do not share an
// extent with what is young), and the records get the new references under their old versions.
//
// Steps, each of which may be the last before a crash:
//   1. choose extents, by what is named now (memdb__collect_choose);
//   2. fold what the log holds (fold.c). The fold's seal carries a frame operation that retires the
//      extents: from then on no transaction that names a blob in them is let in, by any process
//      (memdb__names_retired); what a put would carry along is stored again (memdb__renew_blobs).
//      The fold's switch lists them in the catalog, for whoever opens when the log is cut;
//   3. begin to merge all tiers, which hold now whatever may name the extents: find out exactly
//      what is named, and copy what lies in them; synced (collect_copy.c). Commits, folds and their
//      cuts of the log go on;
//   4. the switch: the catalog names the new base, and since when the extents wait to be unlinked;
//   5. unlink those whose last older view is gone, in this process and others (pins.h); the rest is
//      looked at again by later folds.
// After a crash before 2 is switched the frame means nothing, after one before 4 the extents stay
// listed, and still hold what the base names: the next collection empties them. The copies are
// extents that nothing names, which it chooses too. An extent that nothing names needs no other
// rule: whoever might still name it, by a blob that no frame names yet, has it locked, or is
// refused after step 2.
#include "engine/fold/fold.h"

#include <stdlib.h>

#define SMALL_EXTENT_BYTES (8u << 20)
#define SMALL_EXTENTS 8 // so many small ones are made one

// ------------------------------------------------------------------------------ names

int memdb__collect_by_place(const void *a, const void *b) {
    for (size_t at = 0; at < MEMDB__REFERENCE; at += 8) {
        uint64_t x = memdb__get_u64((const uint8_t *)a + at);
        uint64_t y = memdb__get_u64((const uint8_t *)b + at);
        if (x != y) {
            return x < y ? -1 : 1;
        }
    }
    return 0;
}

static int by_id(const void *a, const void *b) {
    uint64_t x = memdb__get_u64(a), y = memdb__get_u64(b);
    return (x > y) - (x < y);
}

bool memdb__collect_has(const memdb__buffer_t *ids, uint64_t id) {
    uint8_t key[8];
    memdb__put_u64(key, id);
    return ids->size && bsearch(key, ids->data, ids->size / 8, 8, by_id) != NULL;
}

memdb_status_t memdb__collect_no_memory(memdb_error_t *error) {
    return memdb__fail(error, MEMDB_NOMEM, "collect: out of memory");
}

memdb_status_t memdb__collect_goes_on(const memdb_t *db, memdb_error_t *error) {
    // Relaxed: a flag alone; whoever sets it joins the thread.
    return atomic_load_explicit(&db->closing, memory_order_relaxed)
               ? memdb__fail(error, MEMDB_BUSY, "collect: given up, since the handle closes")
               : MEMDB_OK;
}

memdb_status_t memdb__collect_add_names(memdb__buffer_t *names, const memdb__entry_t *entry,
                                        memdb_error_t *error) {
    memdb__record_t record;
    memdb_blob_t blob;
    if (!memdb__record_decode(entry->value, entry->value_size, &record)) {
        return memdb__fail(error, MEMDB_CORRUPT, "collect: a record is not well formed");
    }
    for (uint32_t i = 0; i < record.blob_count; i++) {
        memdb__record_next_blob(&record.blobs, &blob); // checked when the record was decoded
        if (!memdb__buffer_append(names, blob.reference, MEMDB__REFERENCE)) {
            return memdb__collect_no_memory(error);
        }
    }
    return MEMDB_OK;
}

void memdb__collect_finish_names(memdb__collection_t *c) {
    uint8_t *data = c->names.data;
    size_t count = c->names.size / MEMDB__REFERENCE, kept = 0;
    if (count) {
        qsort(data, count, MEMDB__REFERENCE, memdb__collect_by_place);
    }
    c->named_bytes = 0;
    for (size_t i = 0; i < count; i++) {
        if (!kept || memcmp(data + (kept - 1) * MEMDB__REFERENCE, data + i * MEMDB__REFERENCE,
                            MEMDB__REFERENCE) != 0) {
            memmove(data + kept++ * MEMDB__REFERENCE, data + i * MEMDB__REFERENCE,
                    MEMDB__REFERENCE);
            c->named_bytes +=
                memdb__blob_footprint(memdb__get_u64(data + i * MEMDB__REFERENCE + 16));
        }
    }
    c->names.size = kept * MEMDB__REFERENCE;
}

/// What is named now: good enough to choose by.
static memdb_status_t survey_now(memdb__collection_t *c, memdb_error_t *error) {
    static const uint8_t first = MEMDB__KEY_RECORD;
    memdb_snapshot_t snapshot = {0};
    memdb__merge_t merge = {0};
    pthread_mutex_lock(&c->db->fold); // for memdb_close, which counts the snapshots of others
    memdb_status_t status = memdb__snapshot_init(c->db, &snapshot, error);
    c->db->surveys += !status;
    pthread_mutex_unlock(&c->db->fold);
    if (status) {
        return status;
    }
    memdb__buffer_clear(&c->names);
    status = memdb__merge_open(&merge, &snapshot.sight, &first, 1, error);
    while (!status && merge.valid && merge.entry.key[0] == MEMDB__KEY_RECORD) {
        status = memdb__collect_goes_on(c->db, error);
        if (!status && !merge.entry.tombstone) {
            status = memdb__collect_add_names(&c->names, &merge.entry, error);
        }
        status = status ? status : memdb__merge_next(&merge, error);
    }
    memdb__merge_close(&merge);
    pthread_mutex_lock(&c->db->fold);
    memdb__snapshot_deinit(&snapshot);
    c->db->surveys--;
    pthread_mutex_unlock(&c->db->fold);
    if (!status) {
        memdb__collect_finish_names(c);
    }
    return status;
}

// ------------------------------------------------------------------------------ choosing

/// Extents and what of them is named, in one pass over both: each rises by id.
typedef struct choice {
    memdb__collection_t *c;
    size_t at;             // in c->names
    memdb__buffer_t small; // ids
    uint64_t small_bytes;
    size_t room; // ids that may still be chosen
} choice_t;

static uint64_t named_in(choice_t *choice, uint64_t extent_id) {
    const memdb__buffer_t *names = &choice->c->names;
    uint64_t bytes = 0;
    while (choice->at < names->size && memdb__get_u64(names->data + choice->at) < extent_id) {
        choice->at += MEMDB__REFERENCE; // a name whose extent is missing: whoever reads it is told
    }
    while (choice->at < names->size && memdb__get_u64(names->data + choice->at) == extent_id) {
        bytes += memdb__blob_footprint(memdb__get_u64(names->data + choice->at + 16));
        choice->at += MEMDB__REFERENCE;
    }
    return bytes;
}

/// Its place among the retired extents; NULL: it is none.
static const memdb__retired_extent_t *waiting_in(const memdb__manifest_t *manifest,
                                                 uint64_t extent_id) {
    for (uint64_t i = 0; i < manifest->retired_count; i++) {
        if (manifest->retired[i].extent_id == extent_id) {
            return &manifest->retired[i];
        }
    }
    return NULL;
}

static memdb_status_t consider(void *context, const memdb__extent_info_t *extent,
                               memdb_error_t *error) {
    choice_t *choice = context;
    memdb__collection_t *c = choice->c;
    bool whole = c->work != NULL;
    const memdb__retired_extent_t *waiting = waiting_in(&c->before, extent->id);
    uint64_t named = named_in(choice, extent->id);
    uint64_t held =
        extent->bytes > MEMDB__EXTENT_HEADER_BYTES ? extent->bytes - MEMDB__EXTENT_HEADER_BYTES : 0;
    if (waiting && waiting->generation == MEMDB__NAMED_BY_BASE) { // a collection was cut off
        return memdb__buffer_append_u64(&c->extents, extent->id) ? MEMDB_OK
                                                                 : memdb__collect_no_memory(error);
    }
    if (waiting || choice->room == 0 || (extent->locked && !whole)) {
        return MEMDB_OK;
    }
    // An empty one of a dead creator counts as dead, too.
    bool dead =
        whole ? named < held || (!extent->locked && !held) : named < held / 2 || (!named && !held);
    bool small = !dead && !extent->locked && extent->bytes < SMALL_EXTENT_BYTES;
    c->arena_bytes -= dead ? extent->bytes : 0;
    choice->small_bytes += small ? extent->bytes : 0;
    if (dead || small) {
        choice->room--;
        if (!memdb__buffer_append_u64(dead ? &c->extents : &choice->small, extent->id)) {
            return memdb__collect_no_memory(error);
        }
    }
    return MEMDB_OK;
}

static memdb_status_t choose(memdb__collection_t *c, memdb_error_t *error) {
    choice_t choice = {.c = c, .room = MEMDB__MAX_RETIRED - (size_t)c->before.retired_count};
    size_t many = c->work ? 2 : SMALL_EXTENTS;
    memdb_status_t status = memdb__blobs_each(c->db->blobs, consider, &choice, error);
    if (!status && choice.small.size / 8 >= many) {
        c->arena_bytes -= choice.small_bytes;
        if (memdb__buffer_append(&c->extents, choice.small.data, choice.small.size)) {
            qsort(c->extents.data, c->extents.size / 8, 8, by_id);
        } else {
            status = memdb__collect_no_memory(error);
        }
    }
    memdb__buffer_deinit(&choice.small);
    return status;
}

// ------------------------------------------------------------------------------ what is due

/// The arena is looked at, for what was stored and never named, when it has grown by so much and
/// what is named.
#define ARENA_SLACK_BYTES (UINT64_C(64) << 20)

typedef struct listing {
    const memdb__manifest_t *before;
    memdb__arena_size_t size;
} listing_t;

static memdb_status_t add_extent(void *context, const memdb__extent_info_t *extent,
                                 memdb_error_t *error) {
    (void)error;
    listing_t *listing = context;
    memdb__arena_size_t *size = &listing->size;
    if (!waiting_in(listing->before, extent->id)) {
        size->extents++;
        size->bytes += extent->bytes;
        size->free_bytes += extent->locked ? 0 : extent->bytes;
        size->small += !extent->locked && extent->bytes < SMALL_EXTENT_BYTES;
    }
    return MEMDB_OK;
}

memdb_status_t memdb__collect_look(memdb__collection_t *c, memdb_error_t *error) {
    listing_t listing = {.before = &c->before};
    memdb_status_t status = memdb__catalog_read(c->db->catalog, &c->before, error);
    status = status ? status : memdb__blobs_each(c->db->blobs, add_extent, &listing, error);
    c->arena = listing.size;
    return status;
}

static uint64_t tiers_bytes(const memdb__manifest_t *manifest) {
    uint64_t bytes = 0;
    for (uint64_t i = 0; i < manifest->tier_count; i++) {
        bytes += memdb__fold_tier_bytes(&manifest->tiers[i]);
    }
    return bytes;
}

/// Whether the tiers hold as much of what was replaced as of what counts; or their sizes ask for a
/// merge of all, which is a collection where there is an arena.
static bool tiers_are_due(const memdb__collection_t *c, const memdb__manifest_t *manifest) {
    uint64_t superseded = 0, bytes = tiers_bytes(manifest);
    for (uint64_t i = 0; i < manifest->tier_count; i++) {
        superseded += manifest->tiers[i].superseded_bytes;
    }
    uint64_t oldest = manifest->tier_count ? memdb__fold_tier_bytes(&manifest->tiers[0]) : 0;
    return superseded > bytes / 2 || (c->arena.extents && manifest->tier_count > 1 &&
                                      oldest <= MEMDB__MERGE_RATIO * (bytes - oldest));
}

/// Whether extents were retired by a collection that was cut off.
static bool is_unfinished(const memdb__manifest_t *manifest) {
    for (uint64_t i = 0; i < manifest->retired_count; i++) {
        if (manifest->retired[i].generation == MEMDB__NAMED_BY_BASE) {
            return true;
        }
    }
    return false;
}

/// Whether half of the arena is dead, by what records named at the last look and dropped since; or,
/// for what was stored and never named, it has grown by what is named and a slack. Where a rewrite
/// is cheap, also when nobody looked yet, or for small extents alone.
static bool arena_is_due(const memdb__collection_t *c, const memdb__manifest_t *manifest) {
    uint64_t named = manifest->named_blob_bytes, then = manifest->arena_bytes;
    uint64_t dropped = then > named ? then - named : 0;
    for (uint64_t i = 0; i < manifest->tier_count; i++) {
        dropped += manifest->tiers[i].dropped_blob_bytes;
    }
    bool cheap = tiers_bytes(manifest) <= memdb__merge_along_limit(c->db);
    return is_unfinished(manifest) ||
           (c->arena.free_bytes &&
            (dropped > c->arena.bytes / 2 || c->arena.bytes > then + named + ARENA_SLACK_BYTES ||
             (cheap && (!then || c->arena.small >= SMALL_EXTENTS))));
}

bool memdb__collect_is_due(const memdb__collection_t *c, const memdb__manifest_t *manifest) {
    return tiers_are_due(c, manifest) || arena_is_due(c, manifest);
}

memdb_status_t memdb__collect_choose(memdb__collection_t *c, uint64_t limit_bytes,
                                     memdb_error_t *error) {
    memdb_status_t status = memdb__collect_look(c, error);
    bool tiers = c->work || tiers_are_due(c, &c->before);
    uint64_t bytes = tiers_bytes(&c->before) + c->arena.bytes;
    if (status || bytes > limit_bytes || !(tiers || arena_is_due(c, &c->before))) {
        return status;
    }
    c->arena_bytes = c->arena.bytes;
    if (c->arena.extents || c->before.retired_count) { // a database without blobs pays nothing
        status = survey_now(c, error);
        status = status ? status : choose(c, error);
    }
    c->whole = !status && (tiers || c->extents.size);
    return status;
}

bool memdb__collect_encode(const memdb__collection_t *c, memdb__buffer_t *payload) {
    memdb__operation_t operation = {.kind = MEMDB__OPERATION_RETIRE,
                                    .body = {(const char *)c->extents.data, c->extents.size}};
    return !c->extents.size || memdb__operation_encode(payload, &operation);
}
