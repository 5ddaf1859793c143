// What must be true of the catalog's files before LMDB may map them.
//
// A meta page of LMDB has no checksum, and a reader that falls back to the older one would lose the
// newest switch in silence. So: both meta pages must be whole and of neighbouring transactions; the
// newer one, N, must pass the walk, and its content must have the hash that the companion has for
// N. That leaves one doubt: whether N + 1 was committed and its meta page now pretends to be N - 1.
// The companion's other slot decides. If it holds N - 1, then N + 1 was never begun. If it holds N
// + 1 or nothing whole (a crash before or in the commit of N + 1 leaves that), the older meta page
// must prove itself: its tree is walked as well, and its head must say that N - 1 wrote it. LMDB
// reuses no page of tree N - 1 before N + 1 is committed (it takes only pages that were freed
// before N), so the proof never fails after a mere crash.
#include "engine/catalog/engine_catalog.h"

#include <fcntl.h>
#include <inttypes.h>

static memdb_status_t load(int catalog_directory, uint8_t **data_out, size_t *size_out,
                           memdb_error_t *error) {
    int fd;
    uint64_t size;
    uint8_t *data = NULL;
    memdb_status_t status = memdb__io_open(catalog_directory, "data.mdb", O_RDONLY, &fd, error);
    if (status == MEMDB_NOT_FOUND)
        return memdb__fail(error, MEMDB_CORRUPT, MEMDB__CATALOG_DATA " is missing");
    if (status)
        return status;
    status = memdb__io_size(fd, &size, MEMDB__CATALOG_DATA, error);
    if (status)
        goto close_file;
    // What lies beyond the map is nothing that LMDB could have written or could read.
    if (size > MEMDB__CATALOG_MAP_BYTES)
        size = MEMDB__CATALOG_MAP_BYTES;
    data = memdb__allocate((size_t)size);
    if (!data) {
        status = memdb__fail(error, MEMDB_NOMEM, MEMDB__CATALOG_DATA ": out of memory");
        goto close_file;
    }
    status = memdb__io_read(fd, data, (size_t)size, 0, MEMDB__CATALOG_DATA, error);
    if (status) {
        memdb__free(data);
        goto close_file;
    }
    *data_out = data;
    *size_out = (size_t)size;
close_file:
    memdb__io_close(fd);
    return status;
}

// Walk one transaction, decode what it holds, and give its hash.
static memdb_status_t check_transaction(const uint8_t *data, size_t size,
                                        const memdb__lmdb_meta_t *meta, uint64_t *hash_out,
                                        uint64_t *damage_out, memdb_error_t *error) {
    memdb__manifest_builder_t builder;
    memdb__manifest_t manifest = {0};
    memdb__manifest_builder_init(&builder);
    memdb_status_t status = memdb__lmdb_walk_meta(data, size, meta, memdb__manifest_builder_add,
                                                  &builder, damage_out, error);
    if (!status)
        status = memdb__manifest_builder_finish(&builder, meta->txnid, &manifest, hash_out, error);
    memdb__manifest_deinit(&manifest);
    memdb__manifest_builder_deinit(&builder);
    return status;
}

static memdb_status_t no_entry(void *context, const uint8_t *key, size_t key_size,
                               const uint8_t *value, size_t value_size, memdb_error_t *error) {
    (void)context, (void)key, (void)key_size, (void)value, (void)value_size;
    return memdb__fail(error, MEMDB_CORRUPT,
                       MEMDB__CATALOG_DATA ": an entry before the first transaction");
}

// The older meta page must be what it says; see above.
static memdb_status_t check_older(const uint8_t *data, size_t size, const memdb__lmdb_meta_t *older,
                                  uint64_t *damage_out, memdb_error_t *error) {
    uint64_t hash;
    memdb_status_t status;
    if (older->txnid == 0)
        status = memdb__lmdb_walk_meta(data, size, older, no_entry, NULL, damage_out, error);
    else
        status = check_transaction(data, size, older, &hash, damage_out, error);
    if (status == MEMDB_CORRUPT)
        return memdb__error_context(error, MEMDB_CORRUPT,
                                    "the newest transaction may be lost: transaction %" PRIu64,
                                    older->txnid);
    return status;
}

static memdb_status_t check_loaded(const uint8_t *data, size_t size,
                                   const memdb__companion_record_t records[2],
                                   memdb__catalog_damage_t *damage, memdb_error_t *error) {
    memdb__lmdb_meta_t metas[2];
    int newest;
    uint64_t hash = 0;
    damage->file = MEMDB__CATALOG_DATA;
    memdb_status_t status = memdb__lmdb_metas(data, size, metas, &newest, &damage->offset, error);
    if (status)
        return status;
    uint64_t txnid = metas[newest].txnid;
    memdb__companion_record_t record = records[txnid % 2], other = records[(txnid + 1) % 2];
    status = check_transaction(data, size, &metas[newest], &hash, &damage->offset, error);
    if (status)
        return status;
    if (!record.whole || record.txnid != txnid || record.hash != hash) {
        damage->file = MEMDB__CATALOG_COMPANION;
        damage->offset = (txnid % 2) * MEMDB__COMPANION_SLOT_BYTES;
        if (!record.whole || record.txnid != txnid)
            return memdb__fail(error, MEMDB_CORRUPT,
                               MEMDB__CATALOG_COMPANION " at %" PRIu64
                                                        ": no record of transaction %" PRIu64,
                               damage->offset, txnid);
        return memdb__fail(error, MEMDB_CORRUPT,
                           MEMDB__CATALOG_DATA " at 0: the content of transaction %" PRIu64
                                               " is not what " MEMDB__CATALOG_COMPANION
                                               " at %" PRIu64 " says",
                           txnid, damage->offset);
    }
    if (other.whole && other.txnid + 1 == txnid)
        return MEMDB_OK;
    if (other.whole && other.txnid != txnid + 1) {
        damage->file = MEMDB__CATALOG_COMPANION;
        damage->offset = ((txnid + 1) % 2) * MEMDB__COMPANION_SLOT_BYTES;
        return memdb__fail(error, MEMDB_CORRUPT,
                           MEMDB__CATALOG_COMPANION " at %" PRIu64 ": transaction %" PRIu64
                                                    " beside %" PRIu64,
                           damage->offset, other.txnid, txnid);
    }
    return check_older(data, size, &metas[!newest], &damage->offset, error);
}

memdb_status_t memdb__catalog_check(int catalog_directory, memdb__catalog_damage_t *damage,
                                    memdb_error_t *error) {
    memdb__companion_record_t records[2];
    uint8_t *data = NULL;
    size_t size = 0;
    memdb_status_t status = memdb__companion_read(catalog_directory, records, damage, error);
    if (status)
        return status;
    damage->file = MEMDB__CATALOG_DATA;
    damage->offset = 0;
    status = load(catalog_directory, &data, &size, error);
    if (status)
        return status;
    status = check_loaded(data, size, records, damage, error);
    memdb__free(data);
    return status;
}
