// Fuzzes the manifest's and the companion's decoders. The input is a list of entries: key size u8,
// value size u8, key, value. Property: what is accepted encodes to the same entries again.
#include "base/bytes.h"
#include "engine/catalog/engine_catalog.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_round_trip(const memdb__manifest_t *manifest, const uint8_t *data, size_t size) {
    memdb__manifest_entry_t entry;
    for (uint64_t i = 0; i < memdb__manifest_entries(manifest); i++) {
        memdb__manifest_encode(manifest, manifest->generation, i, &entry);
        if (size < 2 || data[0] != entry.key_size || data[1] != entry.value_size ||
            memcmp(data + 2, entry.key, entry.key_size) != 0 ||
            memcmp(data + 2 + entry.key_size, entry.value, entry.value_size) != 0)
            abort();
        data += 2 + entry.key_size + entry.value_size;
        size -= 2 + entry.key_size + entry.value_size;
    }
    if (memdb__manifest_check(manifest, NULL))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    memdb__manifest_builder_t builder;
    memdb__manifest_t manifest = {0};
    memdb_status_t status = MEMDB_OK;
    uint64_t hash;
    uint8_t slot[MEMDB__COMPANION_SLOT_BYTES] = {0};
    memcpy(slot, data, size < sizeof slot ? size : sizeof slot);
    memdb__companion_record_t record = memdb__companion_decode(slot, slot[16] % 2);
    if (record.whole) {
        uint8_t again[MEMDB__COMPANION_SLOT_BYTES];
        memdb__companion_encode(record.txnid, record.hash, again);
        if (memcmp(slot, again, sizeof slot) != 0)
            abort();
    }
    memdb__manifest_builder_init(&builder);
    size_t at = 0;
    while (!status && size - at >= 2 && size - at - 2 >= (size_t)data[at] + data[at + 1]) {
        const uint8_t *key = data + at + 2;
        status = memdb__manifest_builder_add(&builder, key, data[at], key + data[at], data[at + 1],
                                             NULL);
        at += 2 + (size_t)data[at] + data[at + 1];
    }
    if (!status)
        status =
            memdb__manifest_builder_finish(&builder, builder.head_txnid, &manifest, &hash, NULL);
    if (!status)
        check_round_trip(&manifest, data, at);
    else if (status != MEMDB_CORRUPT && status != MEMDB_NOMEM)
        abort();
    memdb__manifest_deinit(&manifest);
    memdb__manifest_builder_deinit(&builder);
    return 0;
}
