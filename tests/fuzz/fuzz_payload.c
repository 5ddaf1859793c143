// Fuzz target: what a frame's payload and a segment's keys and values are decoded by.
//
// The first byte chooses the decoder; the rest are its bytes. What decodes must encode to something
// that decodes alike, and a payload that was applied to a run can be walked, with every byte that
// is lent readable. Nothing may crash.
#include "engine/attribute/attribute.h"
#include "engine/keys.h"
#include "engine/run/run.h"
#include "engine/table/description.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static _Atomic uint64_t sink; // relaxed: only so that the reads are not left out

static void touch(const void *data, size_t size) {
    for (size_t i = 0; i < size; i++) {
        atomic_fetch_add_explicit(&sink, ((const uint8_t *)data)[i], memory_order_relaxed);
    }
}

static void demand(bool condition) {
    if (!condition) {
        abort();
    }
}

static void check_record(const uint8_t *data, size_t size) {
    memdb__record_t record, again;
    if (!memdb__record_decode(data, size, &record)) {
        return;
    }
    const memdb_bytes_t texts[] = {record.key,     record.text,  record.kind,
                                   record.session, record.actor, record.attrs};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        touch(texts[i].data, texts[i].size);
    }
    memdb__reader_t blobs = record.blobs;
    memdb_blob_t blob;
    for (uint32_t i = 0; i < record.blob_count; i++) {
        demand(memdb__record_next_blob(&blobs, &blob)); // checked when the record was decoded
        touch(blob.media_type.data, blob.media_type.size);
    }
    memdb__buffer_t out = {0};
    demand(memdb__record_encode(&out, &record, NULL));
    demand(memdb__record_decode(out.data, out.size, &again));
    demand(again.space == record.space && again.blob_count == record.blob_count &&
           again.text.size == record.text.size);
    memdb__record_resolve(out.data, 4096);
    demand(memdb__record_decode(out.data, out.size, &again));
    memdb__buffer_deinit(&out);
}

static void check_link_and_space(const uint8_t *data, size_t size) {
    memdb_link_t link = {0};
    memdb_space_info_t info = {0};
    memdb__buffer_t out = {0};
    if (memdb__link_decode(data, size, &link)) {
        touch(link.attrs.data, link.attrs.size);
        demand(memdb__link_encode(&out, &link) && memdb__link_decode(out.data, out.size, &link));
    }
    memdb__buffer_clear(&out);
    if (memdb__space_decode(data, size, &info)) {
        touch(info.name.data, info.name.size);
        demand(memdb__space_encode(&out, &info) && memdb__space_decode(out.data, out.size, &info));
    }
    memdb__buffer_deinit(&out);
}

static void check_keys(const uint8_t *data, size_t size) {
    uint64_t id, last;
    memdb_space_t space;
    int64_t time;
    size_t text_size = 0;
    uint8_t *name = malloc(size ? size : 1); // as large as the contract says, not larger
    memdb__key_t *key = malloc(sizeof *key);
    demand(name && key);
    memdb__key_parse_id(data, size, &id);
    if (memdb__key_parse_time(data, size, &space, &time, &id)) {
        memdb__key_time(key, space, time, id);
        demand(key->size == size && memcmp(key->bytes + 1, data + 1, size - 1) == 0);
    }
    if (memdb__key_parse_session(data, size, &space, name, &text_size, &time, &id) &&
        text_size <= MEMDB_MAX_NAME_BYTES) {
        memdb__key_session(key, space, (memdb_bytes_t){(const char *)name, text_size}, time, id);
        demand(key->size == size &&
               memcmp(key->bytes + 1, data + 1, size - 1) == 0); // one way to write a key
    }
    if (memdb__key_parse_link(data, size, &id, name, &text_size, &last) &&
        text_size <= MEMDB_MAX_NAME_BYTES) {
        memdb__key_link(key, id, (memdb_bytes_t){(const char *)name, text_size}, last);
        demand(key->size == size && memcmp(key->bytes + 1, data + 1, size - 1) == 0);
    }
    free(key);
    free(name);
}

/// Lists of attribute indexes, names of what they are on, entries.
static void check_attributes(const uint8_t *data, size_t size) {
    memdb__attributes_t list, again;
    memdb__attribute_index_t index, same;
    memdb__buffer_t out = {0}, steps = {0}, more = {0};
    memdb_error_t error = {0};
    if (memdb__attributes_decode(data, size, &list)) {
        demand(memdb__attributes_encode(&out, &list));
        demand(memdb__attributes_decode(out.data, out.size, &again) && again.count == list.count);
        for (uint32_t i = 0; i < list.count; i++) {
            touch(list.items[i].steps.data, list.items[i].steps.size);
        }
    }
    if (memdb__attribute_parse((memdb_bytes_t){(const char *)data, size}, &index, &steps, &error) ==
        MEMDB_OK) {
        memdb__buffer_clear(&out);
        demand(memdb__attribute_print(&out, &index));
        demand(memdb__attribute_parse((memdb_bytes_t){(const char *)out.data, out.size}, &same,
                                      &more, &error) == MEMDB_OK);
        demand(memdb__attribute_same(&index, &same));
    }
    memdb__reader_t reader = memdb__reader(data, size);
    memdb__attribute_entry_t entry;
    while (memdb__attribute_next_entry(&reader, &entry)) {
        touch(entry.value.data, entry.value.size);
    }
    memdb__buffer_deinit(&out);
    memdb__buffer_deinit(&steps);
    memdb__buffer_deinit(&more);
}

/// A description that decodes is encoded to bytes that decode to the same.
static void check_table(const uint8_t *data, size_t size) {
    memdb__table_description_t table, again;
    memdb__buffer_t out = {0};
    memdb_bytes_t name;
    uint64_t rows;
    size_t bytes;
    if (memdb__table_decode(data, size, &table) == MEMDB_OK) {
        demand(memdb__table_decode_name(data, size, &name));
        demand(memdb__table_decode_shape(data, size, &rows, &bytes));
        demand(rows == table.info.rows && bytes == memdb__table_value_bytes(&table));
        demand(memdb__table_encode(&out, &table.info));
        demand(memdb__table_decode(out.data, out.size, &again) == MEMDB_OK);
        demand(memcmp(table.info.identity, again.info.identity, 16) == 0);
        touch(table.info.hashing.token_map, table.info.hashing.token_count * sizeof(int32_t));
        memdb__table_description_deinit(&again);
        memdb__table_description_deinit(&table);
    }
    memdb__buffer_deinit(&out);
}

static void check_payload(const uint8_t *data, size_t size, bool with_lists) {
    memdb_error_t error = {0};
    memdb__run_t *run = memdb__run_create(100, NULL);
    bool sealed = false;
    demand(run != NULL);
    memdb_status_t status = memdb__run_apply(run, data, size, 4097, 0, &sealed, &error);
    demand(status == MEMDB_OK || status == MEMDB_CORRUPT);
    for (const memdb__node_t *node = memdb__run_seek(run, NULL, 0, UINT64_MAX); node;
         node = memdb__run_next(node, UINT64_MAX)) {
        memdb__entry_t entry;
        memdb__node_entry(node, &entry);
        touch(entry.key, entry.key_size);
        touch(entry.value, entry.value_size);
        if (entry.key[0] == MEMDB__KEY_RECORD && !entry.tombstone) {
            memdb__record_t record;
            demand(memdb__record_decode(entry.value, entry.value_size,
                                        &record)); // only what decodes is let in
        }
        if (entry.key[0] == MEMDB__KEY_ATTRIBUTE) {
            memdb_space_t space;
            memdb_bytes_t value;
            uint32_t number;
            uint64_t id;
            demand(memdb__key_parse_attribute(entry.key, entry.key_size, &space, &number, &value,
                                              &id));
        }
        demand(entry.key[0] != MEMDB__KEY_ROW || entry.key_size == MEMDB__ROW_KEY_BYTES);
        if (entry.key[0] == MEMDB__KEY_SETTING) {
            demand(entry.value_size == 8 && entry.key_size > 1 &&
                   entry.key_size <= 1 + MEMDB__SETTING_NAME_BYTES);
        }
    }
    if (status == MEMDB_OK && with_lists) {
        memdb__words_list_t *words;
        memdb__vector_list_t *vectors;
        memdb__run_words(run, UINT64_MAX, &words, &error);
        memdb__run_vectors(run, UINT64_MAX, &vectors, &error);
    }
    memdb__run_release(run);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    switch (data[0] % 7) {
    case 0:
        check_record(data + 1, size - 1);
        break;
    case 1:
        check_link_and_space(data + 1, size - 1);
        break;
    case 2:
        check_keys(data + 1, size - 1);
        break;
    case 5:
        check_attributes(data + 1, size - 1);
        break;
    case 6:
        check_table(data + 1, size - 1);
        break;
    default:
        check_payload(data + 1, size - 1, data[0] % 7 == 4);
        break;
    }
    return 0;
}
