// Test helper. See tamper.h.
#include "tests/lib/tamper.h"

#include "base/io.h"
#include "engine/root.h"
#include "tests/lib/database.h"

#include <fcntl.h>
#include <string.h>

typedef struct tamper {
    int directory, segments;
    memdb__root_t root;
    memdb__catalog_t *catalog;
    memdb__manifest_t manifest;
    memdb__tier_t *tier; // the last one
    memdb__segment_identity_t identity;
    char file[32];
    memdb_error_t error;
} tamper_t;

static void fine(tamper_t *tamper, memdb_status_t status) {
    if (status) {
        fail_msg("tamper: %s: %s", memdb_status_name(status), tamper->error.message);
    }
}

static void begin(tamper_t *tamper, const char *path, memdb__segment_kind_t kind) {
    memdb_error_t *error = &tamper->error;
    *tamper = (tamper_t){0};
    fine(tamper, memdb__io_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, &tamper->directory, error));
    fine(tamper, memdb__io_open(tamper->directory, "segments", O_RDONLY | O_DIRECTORY,
                                &tamper->segments, error));
    fine(tamper, memdb__root_read(tamper->directory, &tamper->root, error));
    fine(tamper, memdb__catalog_open(tamper->directory, true, false, &tamper->catalog, error));
    fine(tamper, memdb__catalog_read(tamper->catalog, &tamper->manifest, error));
    assert_true(tamper->manifest.tier_count > 0);
    fine(tamper, memdb__tier_open(tamper->segments, tamper->root.database_id,
                                  &tamper->manifest.tiers[tamper->manifest.tier_count - 1],
                                  &tamper->tier, error));
    tamper->identity = (memdb__segment_identity_t){
        .segment_id = tamper->manifest.next_segment_id + 100, .kind = kind};
    tamper->manifest.next_segment_id += 200;
    memcpy(tamper->identity.database_id, tamper->root.database_id, 16);
    memdb__segment_file(tamper->identity.segment_id, tamper->file);
}

static void end(tamper_t *tamper, uint64_t size, uint64_t checksum) {
    memdb__tier_name_t *name = &tamper->manifest.tiers[tamper->manifest.tier_count - 1];
    memdb__segment_name_t *segment = tamper->identity.kind == MEMDB__SEGMENT_SORTED ? &name->sorted
                                     : tamper->identity.kind == MEMDB__SEGMENT_WORDS
                                         ? &name->words
                                         : &name->vectors;
    uint64_t generation;
    *segment = (memdb__segment_name_t){tamper->identity.segment_id, size, checksum};
    fine(tamper,
         memdb__catalog_commit(tamper->catalog, &tamper->manifest, &generation, &tamper->error));
    memdb__tier_release(tamper->tier);
    memdb__manifest_deinit(&tamper->manifest);
    memdb__catalog_close(tamper->catalog);
    memdb__io_close(tamper->segments);
    memdb__io_close(tamper->directory);
}

void tamper_entries(const char *path, tamper_entry_fn change, void *context) {
    static uint8_t value[1 << 16];
    tamper_t tamper;
    memdb__sorted_writer_t *writer;
    memdb__sorted_iterator_t at;
    uint64_t size, checksum;
    begin(&tamper, path, MEMDB__SEGMENT_SORTED);
    fine(&tamper, memdb__sorted_create(tamper.segments, tamper.file, &tamper.identity, &writer,
                                       &tamper.error));
    memdb__sorted_leave_unhashed(writer, MEMDB__KEYS_WALKED);
    fine(&tamper, memdb__sorted_seek(tamper.tier->sorted, NULL, 0, &at, &tamper.error));
    while (at.valid) {
        memdb__entry_t entry = at.entry;
        assert_true(entry.value_size <= sizeof value);
        memcpy(value, entry.value, entry.value_size);
        entry.value = value;
        if (change(context, &entry)) {
            fine(&tamper, memdb__sorted_append(writer, &entry, &tamper.error));
        }
        fine(&tamper, memdb__sorted_next(&at, &tamper.error));
    }
    fine(&tamper, memdb__sorted_finish(writer, &size, &checksum, &tamper.error));
    end(&tamper, size, checksum);
}

static bool every_space(void *context, memdb_space_t space) {
    (void)context;
    (void)space;
    return true;
}

void tamper_words(const char *path, memdb__live_fn live, void *context) {
    tamper_t tamper;
    uint64_t size, checksum;
    begin(&tamper, path, MEMDB__SEGMENT_WORDS);
    memdb__words_source_t source = {.segment = tamper.tier->words};
    fine(&tamper, memdb__words_segment_write(tamper.segments, tamper.file, &tamper.identity,
                                             &source, 1, UINT64_MAX, live, every_space, context,
                                             &size, &checksum, &tamper.error));
    end(&tamper, size, checksum);
}

void tamper_vectors(const char *path, memdb__row_live_fn live, void *context) {
    tamper_t tamper;
    uint64_t size, checksum;
    begin(&tamper, path, MEMDB__SEGMENT_VECTORS);
    memdb__vector_source_t source = {.segment = tamper.tier->vectors};
    fine(&tamper, memdb__vector_segment_write(tamper.segments, tamper.file, &tamper.identity,
                                              &source, 1, UINT64_MAX, live, every_space, context,
                                              &size, &checksum, &tamper.error));
    end(&tamper, size, checksum);
}
