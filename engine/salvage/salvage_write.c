// Salvage: writing the new database, through the public calls.
//
// Of each key the newest version counts. Spaces come first, then memories by rising id, then links,
// in transactions of moderate size. Ids stay what they were: the handle's lease of ids and the
// control file's next space, which nobody else uses here, are set before each creation. A vector is
// put with its coded row, so that it stays the same bit for bit.
#include "base/checksum.h"
#include "engine/salvage/salvage.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#define BATCH_OPERATIONS 1000
#define BATCH_BYTES (16u << 20)
#define COPY_BYTES (1u << 20)

typedef struct space {
    memdb_space_t space;
    bool live;
    uint32_t dimension;
} space_t;

/// A blob that was copied already.
typedef struct copied {
    uint8_t reference[MEMDB__BLOB_REFERENCE_BYTES];
    memdb_blob_t blob; // its media type is not set
} copied_t;

typedef struct writer {
    memdb__salvage_t *salvage;
    memdb_t *db;
    memdb_txn_t *txn;
    memdb__blobs_t *blobs;       // of the damaged database
    uint8_t *buffer;             // COPY_BYTES
    memdb__buffer_t spaces, ids; // space_t; u64 of the memories that were written
    copied_t *copied;            // a table that is filled at most half
    size_t copied_count, copied_room;
    memdb__buffer_t row;
    memdb_error_t *error;
} writer_t;

static memdb_status_t engine(writer_t *writer, memdb_status_t status, const char *what) {
    if (status) {
        char message[512] = "";
        memdb_last_error(writer->db, message, sizeof message);
        memdb__fail(writer->error, status, "%s: %s", what, message);
    }
    return status;
}

static memdb_status_t no_memory(writer_t *writer) {
    return memdb__fail(writer->error, MEMDB_NOMEM, "out of memory");
}

// ------------------------------------------------------------------------------ transactions

static memdb_status_t commit(writer_t *writer) {
    memdb_txn_t *txn = writer->txn;
    writer->txn = NULL;
    return txn ? engine(writer, memdb_txn_commit(txn, MEMDB_DURABILITY_OS, NULL), "commit")
               : MEMDB_OK;
}

/// A transaction with room for one more operation.
static memdb_status_t ready(writer_t *writer) {
    memdb_status_t status = MEMDB_OK;
    if (writer->txn && (writer->txn->own.operations >= BATCH_OPERATIONS ||
                        writer->txn->own.payload.size >= BATCH_BYTES)) {
        status = commit(writer);
    }
    if (!status && !writer->txn) {
        status = engine(writer, memdb_txn_begin(writer->db, &writer->txn), "begin");
        if (!status) {
            writer->txn->as_given = true;
        }
    }
    return status;
}

// ------------------------------------------------------------------------------ spaces

static space_t *find_space(writer_t *writer, memdb_space_t space) {
    space_t *spaces = (space_t *)writer->spaces.data;
    for (size_t i = MEMDB__SALVAGE_COUNT(writer->spaces, space_t); i-- > 0;) {
        if (spaces[i].space == space) {
            return &spaces[i];
        }
    }
    return NULL;
}

static int by_key(const void *a, const void *b);

/// The attribute indexes of a space that was made just now; its memories bring their entries.
static memdb_status_t add_indexes(writer_t *writer, memdb_space_t space) {
    const memdb__buffer_t *entries = &writer->salvage->entries;
    const memdb__salvage_entry_t *first = (const memdb__salvage_entry_t *)entries->data;
    memdb__attributes_t attributes;
    memdb__key_t key;
    memdb__key_attributes(&key, space);
    memdb__salvage_entry_t wanted = {.key = key.bytes, .key_size = (uint32_t)key.size};
    const memdb__salvage_entry_t *found =
        bsearch(&wanted, first, entries->size / sizeof wanted, sizeof wanted, by_key);
    while (found && found > first && by_key(found - 1, found) == 0) {
        found--; // the newest version
    }
    if (!found) {
        return MEMDB_OK;
    }
    if (!memdb__attributes_decode(found->value, found->value_size, &attributes)) {
        memdb__salvage_lost(writer->salvage, "segments", 0, 0, 0, (memdb_bytes_t){0},
                            "the indexes of space %u: they are not well formed", space);
        return MEMDB_OK;
    }
    for (uint32_t i = 0; i < attributes.count; i++) {
        attributes.items[i].ready = true; // from its first memory on
    }
    return memdb__attributes_write(writer->txn, space, &attributes, writer->error);
}

static memdb_status_t create_space(writer_t *writer, memdb_space_t id, memdb_space_info_t info) {
    memdb_space_options_t options = {.size = sizeof options,
                                     .dimension = info.dimension,
                                     .metric = info.metric,
                                     .tokenizer = info.tokenizer,
                                     .gates = info.gates};
    char name[64];
    memdb_space_t made;
    space_t space = {.space = id, .live = true, .dimension = info.dimension};
    memdb_status_t status = ready(writer);
    if (status) {
        return status;
    }
    status = info.name.size ? memdb_space_find(memdb_txn_snapshot(writer->txn), info.name, &made)
                            : MEMDB_OK;
    if (status != MEMDB_NOT_FOUND) { // no name, or one that another space has
        snprintf(name, sizeof name, "salvaged-%u", id);
        memdb__salvage_lost(writer->salvage, "segments", 0, 0, 0, info.name,
                            "the name of space %u, which is %s now", id, name);
        info.name = (memdb_bytes_t){name, strlen(name)};
    }
    // Nobody else has this database open.
    atomic_store_explicit(&writer->db->control->next_space, id, memory_order_relaxed);
    status = engine(writer, memdb_space_create(writer->txn, info.name, &options, &made), "space");
    status = status ? status : add_indexes(writer, id);
    return status || memdb__buffer_append(&writer->spaces, &space, sizeof space)
               ? status
               : no_memory(writer);
}

static memdb_status_t add_space(void *context, const memdb__salvage_entry_t *entry) {
    writer_t *writer = context;
    memdb_space_info_t info = {0};
    space_t gone = {0};
    memdb_space_t id = entry->key_size == 5 ? memdb__get_be32(entry->key + 1) : 0;
    if (!id) {
        return MEMDB_OK;
    }
    if (!entry->tombstone && memdb__space_decode(entry->value, entry->value_size, &info)) {
        return create_space(writer, id, info);
    }
    gone.space = id;
    return memdb__buffer_append(&writer->spaces, &gone, sizeof gone) ? MEMDB_OK : no_memory(writer);
}

// ------------------------------------------------------------------------------ blobs

static const uint8_t none[MEMDB__BLOB_REFERENCE_BYTES]; // an unused place of the table

static copied_t *copied_place(writer_t *writer, const uint8_t *reference) {
    size_t mask = writer->copied_room - 1;
    size_t at = (size_t)memdb__hash64(reference, MEMDB__BLOB_REFERENCE_BYTES, 0) & mask;
    while (memcmp(writer->copied[at].reference, none, sizeof none) != 0 &&
           memcmp(writer->copied[at].reference, reference, sizeof none) != 0) {
        at = (at + 1) & mask;
    }
    return &writer->copied[at];
}

static memdb_status_t grow_copied(writer_t *writer) {
    copied_t *old = writer->copied;
    size_t room = writer->copied_room;
    if (writer->copied_count * 2 < room) {
        return MEMDB_OK;
    }
    writer->copied_room = room ? 2 * room : 64;
    writer->copied = memdb__allocate_zeroed(writer->copied_room, sizeof *writer->copied);
    if (!writer->copied) {
        writer->copied = old;
        writer->copied_room = room;
        return no_memory(writer);
    }
    for (size_t i = 0; i < room; i++) {
        if (memcmp(old[i].reference, none, sizeof none) != 0) {
            *copied_place(writer, old[i].reference) = old[i];
        }
    }
    memdb__free(old);
    return MEMDB_OK;
}

/// Copy one blob. MEMDB_CORRUPT, with the reason in `why`: it is not whole.
static memdb_status_t copy_blob(writer_t *writer, const uint8_t *reference, memdb_blob_t *blob_out,
                                memdb_error_t *why) {
    memdb__blob_view_t *view;
    memdb_blob_writer_t *stream;
    uint64_t size = 0;
    if (memdb__blob_open(writer->blobs, reference, &view, &size, why)) {
        return MEMDB_CORRUPT;
    }
    memdb_status_t status = engine(writer, memdb_blob_writer_open(writer->txn, &stream), "blob");
    if (status) {
        memdb__blob_close(view);
        return status;
    }
    for (uint64_t at = 0; !status && at < size;) {
        size_t part = size - at < COPY_BYTES ? (size_t)(size - at) : COPY_BYTES;
        status = memdb__blob_read(view, at, writer->buffer, part, why) ? MEMDB_CORRUPT : MEMDB_OK;
        status =
            status ? status
                   : engine(writer, memdb_blob_writer_append(stream, writer->buffer, part), "blob");
        at += part;
    }
    memdb__blob_close(view);
    if (status) {
        memdb_blob_writer_abort(stream);
        return status;
    }
    return engine(writer, memdb_blob_writer_finish(stream, blob_out), "blob");
}

/// The blobs of a record that can be read, in the snapshot's arena.
static memdb_status_t add_blobs(writer_t *writer, uint64_t id, const memdb__record_t *record,
                                memdb_memory_t *memory) {
    memdb_blob_t *blobs =
        memdb__arena_allocate(&writer->salvage->arena, (record->blob_count + 1) * sizeof *blobs);
    memdb__reader_t reader = record->blobs;
    memdb_blob_t named;
    memdb_status_t status = blobs ? MEMDB_OK : no_memory(writer);
    memory->blobs = blobs;
    for (uint32_t i = 0; !status && i < record->blob_count; i++) {
        memdb_error_t why = {0};
        if (!memdb__record_next_blob(&reader, &named)) {
            break;
        }
        status = grow_copied(writer);
        if (status) {
            break;
        }
        copied_t *place = copied_place(writer, named.reference), found = *place;
        if (memcmp(place->reference, named.reference, sizeof named.reference) != 0 ||
            memcmp(named.reference, none, sizeof none) == 0) {
            status = copy_blob(writer, named.reference, &found.blob, &why);
            if (status == MEMDB_CORRUPT && why.status) {
                char file[32];
                memdb__blob_file(named.reference, file);
                memdb__salvage_lost(writer->salvage, file, memdb__get_u64(named.reference + 8), id,
                                    id, record->key, "a blob of a memory: %s", why.message);
                status = MEMDB_OK;
                continue;
            }
            if (status) {
                break;
            }
            memcpy(found.reference, named.reference, sizeof found.reference);
            *place = found;
            writer->copied_count++;
        }
        blobs[memory->blob_count] = found.blob;
        blobs[memory->blob_count++].media_type = named.media_type;
    }
    return status;
}

// ------------------------------------------------------------------------------ memories

static int by_version(const void *a, const void *b) {
    const memdb__salvage_row_t *x = a, *y = b;
    return x->id != y->id ? (x->id > y->id) - (x->id < y->id)
                          : (x->version > y->version) - (x->version < y->version);
}

/// The vector of a memory, where its row is whole.
static memdb_status_t add_vector(writer_t *writer, uint64_t id, const memdb__record_t *record,
                                 space_t *space, memdb_memory_t *memory, float *decoded) {
    const memdb__buffer_t *rows = &writer->salvage->rows;
    memdb__salvage_row_t wanted = {.id = id, .version = record->vector_version};
    const memdb__salvage_row_t *row =
        rows->size ? bsearch(&wanted, rows->data, MEMDB__SALVAGE_COUNT(*rows, memdb__salvage_row_t),
                             sizeof wanted, by_version)
                   : NULL;
    memory->fields &= ~(uint32_t)MEMDB_FIELD_VECTOR;
    if (!record->vector_version) {
        return MEMDB_OK;
    }
    memdb__buffer_clear(&writer->row);
    if (row && row->dimension == record->dimension &&
        (!space->dimension || space->dimension == row->dimension)) {
        memdb__buffer_append(&writer->row, &row->scale, sizeof row->scale);
        memdb__buffer_append(&writer->row, row->codes, row->dimension);
        if (writer->row.failed) {
            return no_memory(writer);
        }
        if (memdb__row_verify(writer->row.data, writer->row.size, row->dimension)) {
            memdb__row_decode(writer->row.data, row->dimension, decoded);
            memory->fields |= MEMDB_FIELD_VECTOR;
            memory->vector = decoded;
            memory->dimension = space->dimension = row->dimension;
            return MEMDB_OK;
        }
    }
    memdb__salvage_lost(writer->salvage, "segments", 0, id, id, record->key,
                        "the vector of a memory");
    return MEMDB_OK;
}

/// Tell where a newer version may have been lost.
static void tell_doubts(writer_t *writer, uint64_t id, uint64_t version, memdb_bytes_t key) {
    memdb__salvage_t *salvage = writer->salvage;
    const memdb__salvage_hole_t *holes = (const memdb__salvage_hole_t *)salvage->holes.data;
    for (size_t i = 0; i < MEMDB__SALVAGE_COUNT(salvage->holes, memdb__salvage_hole_t); i++) {
        uint64_t last = holes[i].last_lsn == UINT64_MAX ? salvage->applied : holes[i].last_lsn;
        if (id >= holes[i].first_id && id <= holes[i].last_id && version <= last) {
            memdb__salvage_lost(salvage, holes[i].file, holes[i].offset, id, id, key,
                                "what would be newer than the memory, if anything was: it may be "
                                "older than it was, or have been forgotten");
            return;
        }
    }
}

static memdb_memory_t memory_of(const memdb__record_t *record) {
    return (memdb_memory_t){.size = sizeof(memdb_memory_t),
                            .fields = record->fields & (MEMDB_FIELD_BLOBS * 2u - 1),
                            .key = record->key,
                            .text = record->text,
                            .kind = record->kind,
                            .session = record->session,
                            .actor = record->actor,
                            .time = record->time,
                            .valid_from = record->valid_from,
                            .valid_to = record->valid_to,
                            .expires = record->expires,
                            .importance = record->importance,
                            .tokens = record->tokens,
                            .attrs = record->attrs};
}

/// Two memories cannot have one key: the one that comes later loses it.
static void check_key(writer_t *writer, uint64_t id, memdb_space_t space, memdb_memory_t *memory) {
    memdb_memory_t other = {.size = sizeof other};
    if ((memory->fields & MEMDB_FIELD_KEY) && memory->key.size &&
        memdb_get_by_key(memdb_txn_snapshot(writer->txn), space, memory->key, &other) == MEMDB_OK) {
        memdb__salvage_lost(writer->salvage, "segments", 0, id, id, memory->key,
                            "the key of a memory, which memory %llu has too",
                            (unsigned long long)other.id);
        memory->fields &= ~(uint32_t)MEMDB_FIELD_KEY;
    }
}

static memdb_status_t put_memory(writer_t *writer, uint64_t id, const memdb__record_t *record,
                                 space_t *space, const memdb_memory_t *memory) {
    memdb_t *db = writer->db;
    uint64_t given = 0;
    pthread_mutex_lock(&db->lease);
    db->lease_next = id; // the next new memory gets it
    db->lease_end = id + 1;
    pthread_mutex_unlock(&db->lease);
    memdb__raise(&db->control->next_id, id + 1);
    writer->txn->given_row = memory->fields & MEMDB_FIELD_VECTOR ? writer->row.data : NULL;
    memdb_status_t status = memdb_put(writer->txn, space->space, memory, &given);
    writer->txn->given_row = NULL;
    if (status == MEMDB_INVALID || status == MEMDB_LIMIT) { // what no database would have accepted
        char message[512];
        memdb_last_error(db, message, sizeof message);
        memdb__salvage_lost(writer->salvage, "segments", 0, id, id, record->key, "a memory: %s",
                            message);
        return MEMDB_OK;
    }
    return status || memdb__buffer_append(&writer->ids, &id, sizeof id)
               ? engine(writer, status, "put")
               : no_memory(writer);
}

static memdb_status_t add_memory(void *context, const memdb__salvage_entry_t *entry) {
    writer_t *writer = context;
    static const memdb_space_info_t unknown = {0};
    float decoded[MEMDB_MAX_DIMENSION];
    memdb__record_t record;
    uint64_t id = 0;
    if (entry->tombstone || !memdb__key_parse_id(entry->key, entry->key_size, &id) || !id ||
        id == UINT64_MAX) {
        return MEMDB_OK;
    }
    if (!memdb__record_decode(entry->value, entry->value_size, &record)) {
        memdb__salvage_lost(writer->salvage, "segments", 0, id, id, (memdb_bytes_t){0},
                            "a memory: its record is not well formed");
        return MEMDB_OK;
    }
    memdb_status_t status = ready(writer);
    space_t *space = find_space(writer, record.space);
    if (!status && !space) {
        status = create_space(writer, record.space, unknown);
        space = status ? NULL : find_space(writer, record.space);
    }
    if (status || !space->live) {
        return status;
    }
    memdb_memory_t memory = memory_of(&record);
    check_key(writer, id, record.space, &memory);
    status = add_vector(writer, id, &record, space, &memory, decoded);
    if (!status && (memory.fields & MEMDB_FIELD_BLOBS)) {
        status = add_blobs(writer, id, &record, &memory);
        memory.fields &= memory.blob_count ? UINT32_MAX : ~(uint32_t)MEMDB_FIELD_BLOBS;
    }
    if (!status) {
        tell_doubts(writer, id, entry->version, record.key);
        status = put_memory(writer, id, &record, space, &memory);
    }
    return status;
}

// ------------------------------------------------------------------------------ links

static int by_number(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static int by_key(const void *a, const void *b) {
    const memdb__salvage_entry_t *x = a, *y = b;
    return memdb__compare(x->key, x->key_size, y->key, y->key_size);
}

/// Keys rise; versions of one key fall.
static int by_key_and_version(const void *a, const void *b) {
    const memdb__salvage_entry_t *x = a, *y = b;
    int order = by_key(a, b);
    return order ? order : (x->version < y->version) - (x->version > y->version);
}

static bool is_written(const writer_t *writer, uint64_t id) {
    return writer->ids.size &&
           bsearch(&id, writer->ids.data, writer->ids.size / sizeof id, sizeof id, by_number);
}

/// Whether a memory was there once: so it was forgotten, or its space was dropped, and a link that
/// leads to it means nothing.
static bool is_known(const writer_t *writer, uint64_t id) {
    const memdb__buffer_t *entries = &writer->salvage->entries;
    memdb__key_t key;
    memdb__key_record(&key, id);
    memdb__salvage_entry_t wanted = {.key = key.bytes, .key_size = (uint32_t)key.size};
    return bsearch(&wanted, entries->data, entries->size / sizeof wanted, sizeof wanted, by_key);
}

static memdb_status_t add_link(void *context, const memdb__salvage_entry_t *entry) {
    writer_t *writer = context;
    uint8_t type[MEMDB__KEY_MAX_BYTES];
    size_t type_size;
    uint64_t from, to;
    memdb_link_t link = {0};
    if (entry->tombstone) {
        return MEMDB_OK;
    }
    if (entry->key_size > sizeof type ||
        !memdb__key_parse_link(entry->key, entry->key_size, &from, type, &type_size, &to) ||
        !memdb__link_decode(entry->value, entry->value_size, &link)) {
        memdb__salvage_lost(writer->salvage, "segments", 0, 0, 0, (memdb_bytes_t){0},
                            "a link: it is not well formed");
        return MEMDB_OK;
    }
    if (!is_written(writer, from) || !is_written(writer, to)) {
        uint64_t gone = is_written(writer, from) ? to : from;
        if (!is_known(writer, gone)) {
            memdb__salvage_lost(writer->salvage, "segments", 0, from, from, (memdb_bytes_t){0},
                                "the link from memory %llu to %llu: memory %llu is lost",
                                (unsigned long long)from, (unsigned long long)to,
                                (unsigned long long)gone);
        }
        return MEMDB_OK;
    }
    link.size = sizeof link;
    link.from = from;
    link.to = to;
    link.type = (memdb_bytes_t){(const char *)type, type_size};
    memdb_status_t status = ready(writer);
    status = status ? status : memdb_put_link(writer->txn, &link);
    if (status == MEMDB_INVALID || status == MEMDB_NOT_FOUND || status == MEMDB_LIMIT) {
        memdb__salvage_lost(writer->salvage, "segments", 0, from, from, (memdb_bytes_t){0},
                            "the link from memory %llu to %llu: its ends do not fit",
                            (unsigned long long)from, (unsigned long long)to);
        return MEMDB_OK;
    }
    return engine(writer, status, "link");
}

// ------------------------------------------------------------------------------ all of it

memdb_status_t memdb__salvage_each(const memdb__salvage_t *salvage, uint8_t kind,
                                   memdb_status_t (*add)(void *context,
                                                         const memdb__salvage_entry_t *entry),
                                   void *context) {
    const memdb__salvage_entry_t *entries = (const memdb__salvage_entry_t *)salvage->entries.data;
    size_t count = MEMDB__SALVAGE_COUNT(salvage->entries, memdb__salvage_entry_t);
    memdb_status_t status = MEMDB_OK;
    for (size_t i = 0; !status && i < count; i++) {
        if (entries[i].key[0] == kind && (!i || by_key(&entries[i - 1], &entries[i]) != 0)) {
            status = add(context, &entries[i]);
        }
    }
    return status;
}

static memdb_status_t saw(void *context, const char *name, memdb_error_t *error) {
    (void)name;
    (void)error;
    *(bool *)context = true;
    return MEMDB_OK;
}

memdb_status_t memdb__salvage_target(const char *to, memdb_error_t *error) {
    int directory = -1;
    bool used = false;
    memdb_status_t status = memdb__io_make_directory(AT_FDCWD, to, error);
    status =
        status ? status : memdb__io_open(AT_FDCWD, to, O_RDONLY | O_DIRECTORY, &directory, error);
    status = status ? status : memdb__io_list(directory, saw, &used, error);
    memdb__io_close(directory);
    return !status && used
               ? memdb__fail(error, MEMDB_EXISTS, "%s is not empty; choose a new directory", to)
               : status;
}

static memdb_status_t write_all(writer_t *writer) {
    memdb__buffer_t *entries = &writer->salvage->entries, *rows = &writer->salvage->rows;
    memdb_space_t last_space = 0;
    if (entries->size) {
        qsort(entries->data, entries->size / sizeof(memdb__salvage_entry_t),
              sizeof(memdb__salvage_entry_t), by_key_and_version);
    }
    if (rows->size) {
        qsort(rows->data, rows->size / sizeof(memdb__salvage_row_t), sizeof(memdb__salvage_row_t),
              by_version);
    }
    memdb_status_t status =
        memdb__salvage_each(writer->salvage, MEMDB__KEY_SPACE, add_space, writer);
    status = status ? status
                    : memdb__salvage_each(writer->salvage, MEMDB__KEY_RECORD, add_memory, writer);
    status = status ? status : commit(writer);
    status =
        status ? status : memdb__salvage_each(writer->salvage, MEMDB__KEY_LINK, add_link, writer);
    status = status ? status : commit(writer);
    status = status
                 ? status
                 : memdb__salvage_tables(writer->salvage, writer->db, &last_space, writer->error);
    for (size_t i = 0; i < MEMDB__SALVAGE_COUNT(writer->spaces, space_t); i++) {
        memdb_space_t space = ((space_t *)writer->spaces.data)[i].space;
        last_space = space > last_space ? space : last_space;
    }
    atomic_store_explicit(&writer->db->control->next_space, (uint64_t)last_space + 1,
                          memory_order_relaxed); // nobody else has it open
    if (writer->salvage->has_manifest) {
        memdb__raise(&writer->db->control->next_id, writer->salvage->manifest.next_id);
        memdb__raise(&writer->db->control->next_space, writer->salvage->manifest.next_space);
    }
    return status ? status : engine(writer, memdb_checkpoint(writer->db), "checkpoint");
}

memdb_status_t memdb__salvage_write(memdb__salvage_t *salvage, const char *to,
                                    memdb_error_t *error) {
    writer_t writer = {.salvage = salvage, .error = error};
    memdb_status_t status = memdb__blobs_open(salvage->directory, salvage->database_id, NULL, NULL,
                                              true, &writer.blobs, error);
    if (!status) {
        memdb__blobs_trust_pieces(writer.blobs);
        writer.buffer = memdb__allocate(COPY_BYTES);
        status = writer.buffer ? MEMDB_OK : no_memory(&writer);
    }
    memdb_options_t options = {
        .size = sizeof options, .flags = MEMDB_OPEN_CREATE, .durability = salvage->durability};
    status = status ? status : memdb_open(to, &options, &writer.db, error);
    status = status ? status : write_all(&writer);
    memdb_txn_abort(writer.txn);
    memdb_status_t closed = memdb_close(writer.db);
    memdb__blobs_close(writer.blobs);
    memdb__free(writer.buffer);
    memdb__free(writer.copied);
    memdb__buffer_deinit(&writer.spaces);
    memdb__buffer_deinit(&writer.ids);
    memdb__buffer_deinit(&writer.row);
    return status ? status : closed;
}
