// Fuzzes the safe reader of LMDB's file format, and the manifest that it feeds.
//
// The input is the file itself, or (first byte odd) a list of changes to a whole catalog of several
// pages, made once: blind mutation seldom gets behind the magic numbers and the counters. Property:
// a file that is accepted gives its entries inside the file and in rising order, twice the same.
#include "base/bytes.h"
#include "base/checksum.h"
#include "engine/catalog/engine_catalog.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct seen {
    const uint8_t *file;
    size_t size, key_size;
    uint8_t key[512];
    uint64_t hash;
} seen_t;

static memdb_status_t visit(void *context, const uint8_t *key, size_t key_size,
                            const uint8_t *value, size_t value_size, memdb_error_t *error) {
    seen_t *seen = context;
    (void)error;
    if (key < seen->file || key + key_size > seen->file + seen->size || value < seen->file ||
        value_size > (size_t)(seen->file + seen->size - value) || key_size == 0 || key_size > 511)
        abort();
    if (seen->key_size && memdb__compare(seen->key, seen->key_size, key, key_size) >= 0)
        abort();
    memcpy(seen->key, key, key_size);
    seen->key_size = key_size;
    seen->hash = memdb__hash64(value, value_size, memdb__hash64(key, key_size, seen->hash));
    return MEMDB_OK;
}

static void walk(const uint8_t *file, size_t size) {
    seen_t first = {.file = file, .size = size}, second = {.file = file, .size = size};
    uint64_t txnid = 0, again = 0;
    memdb_status_t status = memdb__lmdb_walk(file, size, &txnid, visit, &first, NULL);
    if (status != MEMDB_OK && status != MEMDB_CORRUPT && status != MEMDB_NOMEM)
        abort();
    if (memdb__lmdb_walk(file, size, &again, visit, &second, NULL) != status || again != txnid ||
        first.hash != second.hash)
        abort();
    memdb__manifest_builder_t builder;
    memdb__manifest_t manifest = {0};
    uint64_t hash;
    memdb__manifest_builder_init(&builder);
    if (!memdb__lmdb_walk(file, size, &txnid, memdb__manifest_builder_add, &builder, NULL) &&
        !memdb__manifest_builder_finish(&builder, txnid, &manifest, &hash, NULL) &&
        memdb__manifest_check(&manifest, NULL))
        abort();
    memdb__manifest_deinit(&manifest);
    memdb__manifest_builder_deinit(&builder);
}

// A catalog after some commits: branch pages, and free lists in leaf and overflow pages.
static uint8_t *base_file;
static size_t base_size;

static void make_base(void) {
    char path[] = "/tmp/memdb-fuzz-XXXXXX";
    memdb__catalog_t *catalog;
    if (!mkdtemp(path))
        abort();
    int directory = open(path, O_RDONLY | O_DIRECTORY);
    if (memdb__catalog_create(directory, NULL) ||
        memdb__catalog_open(directory, true, false, &catalog, NULL))
        abort();
    static const uint64_t counts[] = {14000, 200, 60, 300, 120};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        memdb__manifest_t manifest = {
            .next_segment_id = 1000000, .tier_count = counts[i], .applied_lsn = counts[i]};
        manifest.tiers = memdb__allocate_zeroed(counts[i], sizeof *manifest.tiers);
        for (uint64_t j = 0; j < counts[i]; j++)
            manifest.tiers[j] = (memdb__tier_name_t){
                .first_lsn = j,
                .last_lsn = j + 1,
                .sorted = {.segment_id = i + j + 1, .file_size = 1, .checksum = i}};
        if (memdb__catalog_commit(catalog, &manifest, NULL, NULL))
            abort();
        memdb__manifest_deinit(&manifest);
    }
    memdb__catalog_close(catalog);
    if (memdb__io_read_file(directory, "catalog/data.mdb", 64 << 20, &base_file, &base_size, NULL))
        abort();
    static const char *const names[] = {"catalog/data.mdb", "catalog/lock.mdb",
                                        "catalog/companion"};
    for (size_t i = 0; i < 3; i++)
        unlinkat(directory, names[i], 0);
    unlinkat(directory, "catalog", AT_REMOVEDIR);
    close(directory);
    rmdir(path);
}

// Changes of 6 bytes: page u16, offset in the page u16, value u16, to the whole file; undone
// afterwards.
static void walk_changed(const uint8_t *data, size_t size) {
    enum { CHANGES = 16 };
    size_t places[CHANGES], count = 0;
    uint16_t before[CHANGES];
    for (; count < CHANGES && size >= 6; count++, data += 6, size -= 6) {
        size_t at =
            (memdb__get_u16(data) % (base_size / 4096)) * 4096 + memdb__get_u16(data + 2) % 4095;
        places[count] = at;
        before[count] = memdb__get_u16(base_file + at);
        memdb__put_u16(base_file + at, memdb__get_u16(data + 4));
    }
    walk(base_file, base_size);
    while (count-- > 0)
        memdb__put_u16(base_file + places[count], before[count]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!base_file)
        make_base();
    if (size == 0)
        return 0;
    if (data[0] % 2)
        walk_changed(data + 1, size - 1);
    else
        walk(data + 1, size - 1);
    return 0;
}
