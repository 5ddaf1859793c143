// The companion of the catalog: which transaction LMDB's newest meta page must name, and the hash
// of what it holds.
//
// Two slots, a block of 4 KiB each, so that a torn write of one leaves the other whole; transaction
// t writes slot t % 2. The record is written and synced before LMDB commits, so with N the newest
// committed transaction
//
//   slot N % 2        always holds N;
//   the other slot    holds N - 1; or N + 1, whole or torn, after a crash before the commit.
//
//   slot   0 magic "MEMDBCMP", 8 format version u32 (1), 12 reserved u32, 16 transaction id u64,
//          24 hash u64, 32 XXH3-64 of bytes 0 to 31 seeded with the slot's offset u64,
//          40 zero to 4096
#include "base/bytes.h"
#include "base/checksum.h"
#include "engine/catalog/engine_catalog.h"

#include <fcntl.h>
#include <inttypes.h>

#define COMPANION_VERSION 1
enum { RECORD_END = 40 };

static const char MAGIC[8] = {'M', 'E', 'M', 'D', 'B', 'C', 'M', 'P'};

void memdb__companion_encode(uint64_t txnid, uint64_t hash,
                             uint8_t slot_out[MEMDB__COMPANION_SLOT_BYTES]) {
    memset(slot_out, 0, MEMDB__COMPANION_SLOT_BYTES);
    memcpy(slot_out, MAGIC, sizeof MAGIC);
    memdb__put_u32(slot_out + 8, COMPANION_VERSION);
    memdb__put_u64(slot_out + 16, txnid);
    memdb__put_u64(slot_out + 24, hash);
    memdb__put_u64(slot_out + 32,
                   memdb__hash64(slot_out, 32, (txnid % 2) * MEMDB__COMPANION_SLOT_BYTES));
}

memdb__companion_record_t memdb__companion_decode(const uint8_t slot[MEMDB__COMPANION_SLOT_BYTES],
                                                  uint64_t number) {
    memdb__companion_record_t bad = {0};
    if (memcmp(slot, MAGIC, sizeof MAGIC) != 0 || memdb__get_u32(slot + 8) != COMPANION_VERSION ||
        memdb__get_u32(slot + 12) != 0 ||
        memdb__get_u64(slot + 32) != memdb__hash64(slot, 32, number * MEMDB__COMPANION_SLOT_BYTES))
        return bad;
    for (size_t i = RECORD_END; i < MEMDB__COMPANION_SLOT_BYTES; i++)
        if (slot[i])
            return bad;
    memdb__companion_record_t record = {true, memdb__get_u64(slot + 16), memdb__get_u64(slot + 24)};
    return record.txnid % 2 == number ? record : bad;
}

memdb_status_t memdb__companion_write(int fd, uint64_t txnid, uint64_t hash, memdb_error_t *error) {
    uint8_t slot[MEMDB__COMPANION_SLOT_BYTES];
    memdb__companion_encode(txnid, hash, slot);
    memdb_status_t status =
        memdb__io_write(fd, slot, sizeof slot, (txnid % 2) * MEMDB__COMPANION_SLOT_BYTES,
                        MEMDB__CATALOG_COMPANION, error);
    return status ? status : memdb__io_sync_data(fd, MEMDB__CATALOG_COMPANION, error);
}

memdb_status_t memdb__companion_read(int catalog_directory,
                                     memdb__companion_record_t records_out[2],
                                     memdb__catalog_damage_t *damage, memdb_error_t *error) {
    uint8_t slots[MEMDB__COMPANION_BYTES];
    uint64_t size;
    int fd;
    damage->file = MEMDB__CATALOG_COMPANION;
    damage->offset = 0;
    memdb_status_t status = memdb__io_open(catalog_directory, "companion", O_RDONLY, &fd, error);
    if (status == MEMDB_NOT_FOUND)
        return memdb__fail(error, MEMDB_CORRUPT, MEMDB__CATALOG_COMPANION " is missing");
    if (status)
        return status;
    status = memdb__io_size(fd, &size, MEMDB__CATALOG_COMPANION, error);
    if (!status && size != MEMDB__COMPANION_BYTES) {
        damage->offset = size;
        status = memdb__fail(error, MEMDB_CORRUPT,
                             MEMDB__CATALOG_COMPANION " at %" PRIu64 ": the file ends", size);
    }
    if (!status)
        status = memdb__io_read(fd, slots, sizeof slots, 0, MEMDB__CATALOG_COMPANION, error);
    memdb__io_close(fd);
    if (status)
        return status;
    for (uint64_t i = 0; i < 2; i++)
        records_out[i] = memdb__companion_decode(slots + i * MEMDB__COMPANION_SLOT_BYTES, i);
    return MEMDB_OK;
}

memdb_status_t memdb__companion_create(int catalog_directory, int *fd_out, memdb_error_t *error) {
    uint8_t slots[MEMDB__COMPANION_BYTES] = {0};
    int fd;
    memdb_status_t status =
        memdb__io_open(catalog_directory, "companion", O_RDWR | O_CREAT | O_EXCL, &fd, error);
    if (status)
        return status;
    // Transaction 0 is the empty environment. Slot 1 stays zero until transaction 1 writes it.
    memdb__companion_encode(0, memdb__hash64(NULL, 0, 0), slots);
    status = memdb__io_write(fd, slots, sizeof slots, 0, MEMDB__CATALOG_COMPANION, error);
    if (status)
        memdb__io_close(fd);
    else
        *fd_out = fd;
    return status;
}
