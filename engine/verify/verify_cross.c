// Verify: that the stores agree with each other, at one snapshot.
//
// For every live memory: it is found by its key, its time and its session; the document of its text
// and the row of its vector are in the word and vector stores. For every link: it decodes, and is
// found from its other end. For every entry of an attribute index: the memory that it leads to has
// that value, and each memory that has a value there has its entry. For every space: its name leads
// to it, and the counters and the word statistics say what was counted. An index entry that leads
// nowhere is a hint that outlived what it led to: readers check each, so it is no damage; one that
// is not well formed is.
//
// The memories are shared among the threads by ranges of their ids, the other entries by their
// kind.
#include "engine/history.h"
#include "engine/verify/verify.h"

#include <stdio.h>
#include <stdlib.h>

#define SHARDS 64

// ------------------------------------------------------------------------------ telling

/// Where an entry lies: the segment of a tier, or the log.
void memdb__verify_tell(memdb__verify_t *verify, const memdb__entry_t *entry, const char *what) {
    const memdb__view_t *view = verify->snapshot.sight.view;
    for (size_t i = 0; i < view->tier_count; i++) {
        memdb__container_t *container = memdb__sorted_container(view->tiers[i]->sorted);
        uint64_t offset = memdb__container_offset(container, entry->key);
        if (offset < memdb__container_file_size(container)) {
            char name[64];
            snprintf(name, sizeof name, "segments/%s", memdb__container_name(container));
            memdb__verify_found(verify, name, offset, what);
            return;
        }
    }
    memdb__verify_found(verify, "log", entry->version, what);
}

static void tell_of_memory(memdb__verify_t *verify, const memdb__entry_t *entry, uint64_t id,
                           const char *what) {
    char text[160];
    snprintf(text, sizeof text, "memory %llu: %s", (unsigned long long)id, what);
    memdb__verify_tell(verify, entry, text);
}

// ------------------------------------------------------------------------------ spaces

typedef struct gather {
    memdb__verify_t *verify;
    memdb__buffer_t spaces;
} gather_t;

static bool add_space(void *context, const memdb_space_info_t *info) {
    gather_t *gather = context;
    memdb__verify_space_t space = {.info = *info};
    return memdb__buffer_append(&gather->spaces, &space, sizeof space);
}

static int by_space(const void *a, const void *b) {
    memdb_space_t x = ((const memdb__verify_space_t *)a)->info.space;
    memdb_space_t y = ((const memdb__verify_space_t *)b)->info.space;
    return (x > y) - (x < y);
}

static memdb_status_t read_attributes(memdb__verify_t *verify, memdb__verify_space_t *space,
                                      memdb_error_t *error) {
    memdb__attributes_t *attributes =
        memdb__arena_allocate(&verify->snapshot.arena, sizeof *attributes);
    if (!attributes) {
        return memdb__fail(error, MEMDB_NOMEM, "verify: out of memory");
    }
    memdb_status_t status =
        memdb__read_attributes(&verify->snapshot.sight, space->info.space, attributes, error);
    if (status == MEMDB_CORRUPT) {
        memdb__verify_found(verify, "segments", 0, error->message);
        *error = (memdb_error_t){0};
        return MEMDB_OK;
    }
    space->attributes = attributes;
    return status;
}

memdb_status_t memdb__verify_spaces(memdb__verify_t *verify, memdb_error_t *error) {
    gather_t gather = {.verify = verify};
    memdb_status_t status = memdb_space_list(&verify->snapshot, add_space, &gather);
    char message[512];
    if (status) {
        memdb_last_error(verify->db, message, sizeof message);
    }
    if (status == MEMDB_CORRUPT) { // those before it are there
        memdb__verify_found(verify, "segments", 0, message);
    } else if (status || gather.spaces.failed) {
        memdb__buffer_deinit(&gather.spaces);
        return status ? memdb__fail(error, status, "%s", message)
                      : memdb__fail(error, MEMDB_NOMEM, "verify: out of memory");
    }
    verify->spaces = (memdb__verify_space_t *)gather.spaces.data;
    verify->space_count = gather.spaces.size / sizeof *verify->spaces;
    if (verify->space_count) {
        qsort(verify->spaces, verify->space_count, sizeof *verify->spaces, by_space);
    }
    status = MEMDB_OK;
    for (size_t i = 0; !status && i < verify->space_count; i++) {
        status = read_attributes(verify, &verify->spaces[i], error);
    }
    return status;
}

static memdb__verify_space_t *find_space(memdb__verify_space_t *spaces, size_t count,
                                         memdb_space_t space) {
    memdb__verify_space_t wanted = {.info.space = space};
    return count ? bsearch(&wanted, spaces, count, sizeof *spaces, by_space) : NULL;
}

// ------------------------------------------------------------------------------ memories

/// One thread's share of the memories.
typedef struct shard {
    memdb__verify_t *verify;
    memdb__verify_space_t *counts; // of this shard
    memdb__buffer_t blobs;
} shard_t;

static memdb_status_t check_key(memdb__verify_t *verify, const memdb__entry_t *entry, uint64_t id,
                                const memdb__record_t *record, memdb_error_t *error) {
    memdb__record_t other;
    uint64_t found = 0, version;
    if (!(record->fields & MEMDB_FIELD_KEY) || !record->key.size) {
        return MEMDB_OK;
    }
    memdb_status_t status = memdb__read_by_key(&verify->snapshot.sight, record->space, record->key,
                                               &found, &other, &version, error);
    if (status == MEMDB_NOT_FOUND) {
        tell_of_memory(verify, entry, id, "its key does not lead to it");
    } else if (!status && found != id) {
        tell_of_memory(verify, entry, id, "its key is that of another memory too");
    }
    return status == MEMDB_NOT_FOUND ? MEMDB_OK : status;
}

/// That a hint which must be there is there.
static memdb_status_t check_hint(memdb__verify_t *verify, const memdb__entry_t *entry, uint64_t id,
                                 const memdb__key_t *key, const char *what, memdb_error_t *error) {
    memdb__entry_t hint;
    memdb_status_t status =
        memdb__sight_get(&verify->snapshot.sight, key->bytes, key->size, &hint, error);
    if (status == MEMDB_NOT_FOUND || (!status && hint.tombstone)) {
        tell_of_memory(verify, entry, id, what);
        return MEMDB_OK;
    }
    return status;
}

static memdb_status_t check_places(memdb__verify_t *verify, const memdb__entry_t *entry,
                                   uint64_t id, const memdb__record_t *record,
                                   memdb_error_t *error) {
    memdb__key_t key;
    memdb_status_t status = MEMDB_OK;
    if (record->time != MEMDB_TIME_NONE) {
        memdb__key_time(&key, record->space, record->time, id);
        status = check_hint(verify, entry, id, &key, "its time does not lead to it", error);
    }
    if (!status && record->session.size) {
        memdb__key_session(&key, record->space, record->session, record->time, id);
        status = check_hint(verify, entry, id, &key, "its session does not lead to it", error);
    }
    return status;
}

/// That its entries in the attribute indexes are there.
static memdb_status_t check_attributes(memdb__verify_t *verify, const memdb__entry_t *entry,
                                       uint64_t id, const memdb__record_t *record,
                                       const memdb__attributes_t *attributes,
                                       memdb_error_t *error) {
    memdb_status_t status = MEMDB_OK;
    for (uint32_t i = 0; !status && attributes && i < attributes->count; i++) {
        const memdb__attribute_index_t *index = &attributes->items[i];
        memdb__attribute_value_t value;
        memdb__key_t key;
        memdb__attribute_of_record(&value, index, record);
        if (value.size && index->ready) {
            memdb__key_attribute(&key, record->space, index->number, value.bytes, value.size, id);
            status = check_hint(verify, entry, id, &key, "an attribute index does not lead to it",
                                error);
        }
    }
    return status;
}

static memdb_status_t check_document(memdb__verify_t *verify, const memdb__entry_t *entry,
                                     uint64_t id, const memdb__record_t *record,
                                     memdb_error_t *error) {
    memdb__words_search_t search = {.space = record->space,
                                    .visible = verify->snapshot.sight.visible,
                                    .sources = verify->words,
                                    .source_count = verify->word_count};
    bool has = true;
    if (!record->text_version || !verify->words_whole) {
        return MEMDB_OK;
    }
    memdb_status_t status = memdb__words_has(&search, id, record->text_version, &has, error);
    if (!status && !has) {
        tell_of_memory(verify, entry, id, "the words of its text are missing");
    }
    return status;
}

static memdb_status_t check_row(memdb__verify_t *verify, const memdb__entry_t *entry, uint64_t id,
                                const memdb__record_t *record, memdb_error_t *error) {
    uint8_t row[4 + MEMDB_MAX_DIMENSION];
    memdb__vector_search_t search = {.space = record->space,
                                     .dimension = record->dimension,
                                     .visible = verify->snapshot.sight.visible,
                                     .sources = verify->vectors,
                                     .source_count = verify->vector_count};
    if (!record->vector_version || !verify->vectors_whole) {
        return MEMDB_OK;
    }
    if (!record->dimension || record->dimension > MEMDB_MAX_DIMENSION) {
        tell_of_memory(verify, entry, id, "its vector has no dimension");
        return MEMDB_OK;
    }
    memdb_status_t status = memdb__vector_get(&search, id, record->vector_version, row, error);
    if (status == MEMDB_NOT_FOUND) {
        tell_of_memory(verify, entry, id, "the row of its vector is missing");
        return MEMDB_OK;
    }
    return status;
}

static memdb_status_t add_blobs(shard_t *shard, uint64_t id, const memdb__record_t *record,
                                memdb_error_t *error) {
    memdb__reader_t blobs = record->blobs;
    memdb_blob_t blob;
    for (uint32_t i = 0; i < record->blob_count && memdb__record_next_blob(&blobs, &blob); i++) {
        memdb__verify_blob_t named = {.id = id};
        memcpy(named.reference, blob.reference, sizeof named.reference);
        memdb__buffer_append(&shard->blobs, &named, sizeof named);
    }
    return shard->blobs.failed ? memdb__fail(error, MEMDB_NOMEM, "verify: out of memory")
                               : MEMDB_OK;
}

static memdb_status_t check_memory(shard_t *shard, const memdb__entry_t *entry,
                                   memdb_error_t *error) {
    memdb__verify_t *verify = shard->verify;
    memdb__record_t record;
    uint64_t id = 0;
    if (!memdb__key_parse_id(entry->key, entry->key_size, &id) ||
        !memdb__record_decode(entry->value, entry->value_size, &record)) {
        tell_of_memory(verify, entry, id, "its record is not well formed");
        return MEMDB_OK;
    }
    memdb__verify_space_t *count = find_space(shard->counts, verify->space_count, record.space);
    if (!count) {
        return MEMDB_OK; // of a space that was dropped
    }
    count->memories++;
    count->text_bytes += record.text.size;
    count->documents += record.text_version != 0;
    memdb_status_t status = check_key(verify, entry, id, &record, error);
    status = status ? status : check_places(verify, entry, id, &record, error);
    status =
        status ? status : check_attributes(verify, entry, id, &record, count->attributes, error);
    status = status ? status : check_document(verify, entry, id, &record, error);
    status = status ? status : check_row(verify, entry, id, &record, error);
    return status ? status : add_blobs(shard, id, &record, error);
}

/// Give what a shard counted to the whole.
static memdb_status_t add_shard(shard_t *shard, memdb_error_t *error) {
    memdb__verify_t *verify = shard->verify;
    pthread_mutex_lock(&verify->mutex);
    for (size_t i = 0; i < verify->space_count; i++) {
        verify->spaces[i].memories += shard->counts[i].memories;
        verify->spaces[i].text_bytes += shard->counts[i].text_bytes;
        verify->spaces[i].documents += shard->counts[i].documents;
    }
    memdb__buffer_append(&verify->blobs, shard->blobs.data, shard->blobs.size);
    bool failed = verify->blobs.failed;
    pthread_mutex_unlock(&verify->mutex);
    return failed ? memdb__fail(error, MEMDB_NOMEM, "verify: out of memory") : MEMDB_OK;
}

/// The first and last id of all memories.
typedef struct range {
    uint64_t first, last;
} range_t;

/// An older version that can still be read: its blobs must be there too.
static memdb_status_t check_older(shard_t *shard, const memdb__entry_t *entry, uint64_t id,
                                  memdb_error_t *error) {
    memdb__record_t record;
    if (!memdb__record_decode(entry->value, entry->value_size, &record)) {
        tell_of_memory(shard->verify, entry, id, "an older record is not well formed");
        return MEMDB_OK;
    }
    return add_blobs(shard, id, &record, error);
}

static memdb_status_t check_memories(memdb__verify_t *verify, size_t number, const range_t *range,
                                     memdb_error_t *error) {
    uint64_t width = (range->last - range->first) / SHARDS + 1;
    uint64_t from = range->first + number * width;
    shard_t shard = {.verify = verify};
    memdb__key_t key;
    memdb__merge_t merge = {0};
    if (from > range->last || from < range->first) {
        return MEMDB_OK; // fewer ids than shards
    }
    shard.counts = memdb__allocate_zeroed(verify->space_count + 1, sizeof *shard.counts);
    if (!shard.counts) {
        return memdb__fail(error, MEMDB_NOMEM, "verify: out of memory");
    }
    for (size_t i = 0; i < verify->space_count; i++) {
        shard.counts[i].info.space = verify->spaces[i].info.space;
        shard.counts[i].attributes = verify->spaces[i].attributes;
    }
    memdb__key_record(&key, from);
    memdb__moment_t floor;
    memdb_status_t status = memdb__history_floor(verify->snapshot.sight.view, &floor, error);
    status = status ? status
                    : memdb__merge_open_retained(&merge, &verify->snapshot.sight, floor.end,
                                                 key.bytes, key.size, error);
    uint64_t last = 0; // ids begin at 1
    while (!status && merge.valid && merge.entry.key[0] == MEMDB__KEY_RECORD) {
        uint64_t id = 0;
        // Behind the last live memory may be older versions of forgotten ones.
        if (memdb__key_parse_id(merge.entry.key, merge.entry.key_size, &id) && id - from >= width &&
            number != SHARDS - 1) {
            break;
        }
        status = merge.entry.tombstone ? MEMDB_OK
                 : id && id == last    ? check_older(&shard, &merge.entry, id, error)
                                       : check_memory(&shard, &merge.entry, error);
        last = id;
        status = status ? status : memdb__merge_next(&merge, error);
    }
    memdb__merge_close(&merge);
    status = status ? status : add_shard(&shard, error);
    memdb__free(shard.counts);
    memdb__buffer_deinit(&shard.blobs);
    return status;
}

static memdb_status_t find_range(memdb__verify_t *verify, range_t *range, memdb_error_t *error) {
    static const uint8_t record = MEMDB__KEY_RECORD, behind = MEMDB__KEY_RECORD + 1;
    memdb__entry_t last;
    memdb__merge_t merge;
    *range = (range_t){1, 0};
    memdb_status_t status =
        memdb__sight_before(&verify->snapshot.sight, &behind, 1, &record, 1, &last, error);
    if (status) {
        return status == MEMDB_NOT_FOUND ? MEMDB_OK : status;
    }
    status = memdb__merge_open(&merge, &verify->snapshot.sight, &record, 1, error);
    if (!status && (!merge.valid ||
                    !memdb__key_parse_id(merge.entry.key, merge.entry.key_size, &range->first) ||
                    !memdb__key_parse_id(last.key, last.key_size, &range->last))) {
        memdb__verify_tell(verify, &last, "the key of a record is not well formed");
    }
    memdb__merge_close(&merge);
    return status;
}

// ------------------------------------------------------------------------------ other entries

static memdb_status_t check_link(memdb__verify_t *verify, const memdb__entry_t *entry,
                                 memdb_error_t *error) {
    uint8_t *type = memdb__allocate(entry->key_size);
    uint64_t from, to;
    size_t type_size;
    memdb_link_t link;
    memdb_status_t status = MEMDB_OK;
    if (!type) {
        return memdb__fail(error, MEMDB_NOMEM, "verify: out of memory");
    }
    if (!memdb__key_parse_link(entry->key, entry->key_size, &from, type, &type_size, &to) ||
        !memdb__link_decode(entry->value, entry->value_size, &link)) {
        memdb__verify_tell(verify, entry, "a link is not well formed");
    } else {
        memdb__key_t key;
        memdb__record_t record;
        memdb_bytes_t name = {(const char *)type, type_size};
        uint64_t version, ends[2] = {from, to};
        for (size_t i = 0; !status && i < 2; i++) {
            status = memdb__read_record(&verify->snapshot.sight, ends[i], &record, &version, error);
        }
        if (!status) { // both ends are there: readers show it from either
            memdb__key_link_in(&key, from, name, to);
            status =
                check_hint(verify, entry, to, &key, "a link to it is not found from it", error);
        }
        status = status == MEMDB_NOT_FOUND ? MEMDB_OK : status;
    }
    memdb__free(type);
    return status;
}

static memdb_status_t check_name(memdb__verify_t *verify, const memdb__entry_t *entry,
                                 memdb_error_t *error) {
    memdb_space_info_t info;
    memdb_space_t space = entry->value_size == 4 ? memdb__get_u32(entry->value) : 0;
    memdb_status_t status =
        space ? memdb__read_space(&verify->snapshot.sight, space, &info, error) : MEMDB_NOT_FOUND;
    if (status == MEMDB_NOT_FOUND ||
        (!status &&
         memdb__compare(info.name.data, info.name.size, entry->key + 1, entry->key_size - 1))) {
        memdb__verify_tell(verify, entry, "the name of a space leads to none of that name");
        return MEMDB_OK;
    }
    return status;
}

static memdb_status_t check_descriptor(memdb__verify_t *verify, const memdb__entry_t *entry,
                                       memdb_error_t *error) {
    memdb_space_info_t info;
    memdb_space_t found = 0;
    if (entry->key_size != 5 || !memdb__space_decode(entry->value, entry->value_size, &info)) {
        memdb__verify_tell(verify, entry, "a space is not well formed");
        return MEMDB_OK;
    }
    memdb_status_t status = memdb__find_space(&verify->snapshot.sight, info.name, &found, error);
    if (status == MEMDB_NOT_FOUND || (!status && found != memdb__get_be32(entry->key + 1))) {
        memdb__verify_tell(verify, entry, "a space's name does not lead to it");
        return MEMDB_OK;
    }
    return status;
}

/// An entry of an attribute index is no hint: the memory must have that value. Of an index that is
/// gone entries are left until they are folded.
static memdb_status_t check_attribute(memdb__verify_t *verify, const memdb__entry_t *entry,
                                      memdb_error_t *error) {
    memdb_space_t space;
    memdb_bytes_t bytes;
    uint32_t number;
    uint64_t id, version;
    memdb__record_t record;
    memdb__attribute_value_t value = {0};
    if (!memdb__key_parse_attribute(entry->key, entry->key_size, &space, &number, &bytes, &id)) {
        memdb__verify_tell(verify, entry, "an index entry is not well formed");
        return MEMDB_OK;
    }
    const memdb__verify_space_t *found = find_space(verify->spaces, verify->space_count, space);
    const memdb__attribute_index_t *index = NULL;
    for (uint32_t i = 0; found && found->attributes && i < found->attributes->count; i++) {
        if (found->attributes->items[i].number == number) {
            index = &found->attributes->items[i];
        }
    }
    if (!index) {
        return MEMDB_OK;
    }
    memdb_status_t status =
        memdb__read_record(&verify->snapshot.sight, id, &record, &version, error);
    if (!status && record.space == space) {
        memdb__attribute_of_record(&value, index, &record);
    }
    if (memdb__compare(value.bytes, value.size, bytes.data, bytes.size) != 0) {
        tell_of_memory(verify, entry, id, "an attribute index has a value for it that it has not");
    }
    return status == MEMDB_NOT_FOUND ? MEMDB_OK : status;
}

/// Whether an entry that is a hint is well formed.
static bool is_formed(const memdb__entry_t *entry, uint8_t *scratch) {
    uint64_t a, b;
    int64_t time;
    memdb_space_t space;
    size_t size;
    switch (entry->key[0]) {
    case MEMDB__KEY_BLOB:
        return entry->key_size == 17 && entry->value_size == 40;
    case MEMDB__KEY_KEY:
        return entry->key_size > 5 && entry->value_size == 8;
    case MEMDB__KEY_TIME:
        return memdb__key_parse_time(entry->key, entry->key_size, &space, &time, &a);
    case MEMDB__KEY_SESSION:
        return memdb__key_parse_session(entry->key, entry->key_size, &space, scratch, &size, &time,
                                        &a);
    case MEMDB__KEY_LINK_IN:
        return memdb__key_parse_link(entry->key, entry->key_size, &a, scratch, &size, &b);
    default:
        return true;
    }
}

static const uint8_t kinds[] = {MEMDB__KEY_BLOB, MEMDB__KEY_SPACE,   MEMDB__KEY_LINK_IN,
                                MEMDB__KEY_KEY,  MEMDB__KEY_LINK,    MEMDB__KEY_NAME,
                                MEMDB__KEY_TIME, MEMDB__KEY_SESSION, MEMDB__KEY_ATTRIBUTE,
                                MEMDB__KEY_ROW,  MEMDB__KEY_TABLE,   MEMDB__KEY_TABLE_NAME};
#define KINDS (sizeof kinds / sizeof kinds[0])

static memdb_status_t check_entry(memdb__verify_t *verify, const memdb__entry_t *entry,
                                  memdb_error_t *error) {
    uint8_t scratch[MEMDB__KEY_MAX_BYTES];
    if (entry->key_size > sizeof scratch || !is_formed(entry, scratch)) {
        memdb__verify_tell(verify, entry, "an index entry is not well formed");
        return MEMDB_OK;
    }
    switch (entry->key[0]) {
    case MEMDB__KEY_LINK:
        return check_link(verify, entry, error);
    case MEMDB__KEY_NAME:
        return check_name(verify, entry, error);
    case MEMDB__KEY_SPACE:
        return check_descriptor(verify, entry, error);
    case MEMDB__KEY_ATTRIBUTE:
        return check_attribute(verify, entry, error);
    case MEMDB__KEY_ROW:
    case MEMDB__KEY_TABLE:
    case MEMDB__KEY_TABLE_NAME:
        return memdb__verify_table(verify, entry, error);
    default:
        return MEMDB_OK;
    }
}

static memdb_status_t check_kind(memdb__verify_t *verify, uint8_t kind, memdb_error_t *error) {
    memdb__merge_t merge;
    memdb_status_t status = memdb__merge_open(&merge, &verify->snapshot.sight, &kind, 1, error);
    while (!status && merge.valid && merge.entry.key[0] == kind) {
        status = merge.entry.tombstone ? MEMDB_OK : check_entry(verify, &merge.entry, error);
        status = status ? status : memdb__merge_next(&merge, error);
    }
    memdb__merge_close(&merge);
    return status;
}

// ------------------------------------------------------------------------------ counters

static memdb_status_t check_counters(memdb__verify_t *verify, const memdb__verify_space_t *space,
                                     memdb_error_t *error) {
    memdb__words_search_t search = {.space = space->info.space,
                                    .visible = verify->snapshot.sight.visible,
                                    .sources = verify->words,
                                    .source_count = verify->word_count};
    memdb__words_totals_t totals;
    char what[200];
    if (verify->counters_exact &&
        (space->info.memories != space->memories || space->info.text_bytes != space->text_bytes)) {
        snprintf(what, sizeof what,
                 "space %u counts %llu memories of %llu bytes, and has %llu of %llu",
                 space->info.space, (unsigned long long)space->info.memories,
                 (unsigned long long)space->info.text_bytes, (unsigned long long)space->memories,
                 (unsigned long long)space->text_bytes);
        memdb__verify_found(verify, "segments", 0, what);
    }
    memdb_status_t status =
        verify->words_whole ? memdb__words_totals(&search, &totals, error) : MEMDB_OK;
    if (!status && verify->words_whole && totals.documents != space->documents) {
        snprintf(what, sizeof what,
                 "the words of space %u count %llu documents, and there are %llu",
                 space->info.space, (unsigned long long)totals.documents,
                 (unsigned long long)space->documents);
        memdb__verify_found(verify, "segments", 0, what);
    }
    return status;
}

// ------------------------------------------------------------------------------ all of it

static memdb_status_t check_share(memdb__verify_t *verify, size_t number, void *context,
                                  memdb_error_t *error) {
    memdb_status_t status = number < KINDS ? check_kind(verify, kinds[number], error)
                                           : check_memories(verify, number - KINDS, context, error);
    if (status != MEMDB_CORRUPT) {
        return status;
    }
    memdb__verify_found(verify, "segments", 0, error->message); // this share ends; others go on
    *error = (memdb_error_t){0};
    return MEMDB_OK;
}

memdb_status_t memdb__verify_cross(memdb__verify_t *verify, memdb_error_t *error) {
    range_t range;
    memdb_status_t status = find_range(verify, &range, error);
    if (!status) {
        size_t shares = KINDS + (range.first <= range.last ? SHARDS : 0);
        status = memdb__verify_parallel(verify, shares, check_share, &range, error);
    }
    for (size_t i = 0; !status && i < verify->space_count; i++) {
        status = check_counters(verify, &verify->spaces[i], error);
    }
    return status;
}
