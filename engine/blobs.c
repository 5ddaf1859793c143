// Blobs of memories: the arena behind the public functions, with deduplication by content hash.
//
// The ordered map keeps hash -> reference for every blob that a committed transaction stored; equal
// content is found there before it is written a second time.
#include "base/checksum.h"
#include "engine/engine.h"

struct memdb_blob_writer {
    memdb_txn_t *txn;
    memdb__blob_stream_t *stream;
};

struct memdb_blob_reader {
    memdb_snapshot_t *snapshot;
    memdb__blob_view_t *view;
    uint64_t size;
};

/// The blob with this content, if the transaction can see one.
static memdb_status_t find_equal(memdb_t *db, const memdb__sight_t *sight, const uint8_t hash[16],
                                 uint64_t size, memdb_blob_t *blob_out, memdb_error_t *error) {
    memdb__key_t key;
    memdb__entry_t entry;
    memdb__key_blob(&key, hash);
    memdb_status_t status = memdb__sight_get(sight, key.bytes, key.size, &entry, error);
    if (status || entry.tombstone) {
        return status ? status : MEMDB_NOT_FOUND;
    }
    if (entry.value_size != 40) {
        return memdb__fail(error, MEMDB_CORRUPT, "a blob's entry is not well formed");
    }
    if (memdb__get_u64(entry.value + 32) != size ||
        memdb__blobs_is_retired(db->blobs, entry.value)) {
        return MEMDB_NOT_FOUND;
    }
    *blob_out = (memdb_blob_t){.size_bytes = size};
    memcpy(blob_out->reference, entry.value, sizeof blob_out->reference);
    return MEMDB_OK;
}

static memdb_status_t add_blob(memdb_txn_t *txn, const uint8_t reference[32], uint64_t size,
                               const uint8_t hash[16], memdb_blob_t *blob_out,
                               memdb_error_t *error) {
    memdb__operation_t operation = {
        .kind = MEMDB__OPERATION_BLOB, .hash = hash, .reference = reference, .size = size};
    memdb_status_t status = memdb__txn_operate(txn, &operation, error);
    if (!status) {
        if (!txn->has_blobs) {
            // Counted until the transaction ends: see memdb_txn_abort.
            atomic_fetch_add_explicit(&txn->snapshot.db->naming, 1, memory_order_acq_rel);
        }
        txn->has_blobs = true;
        atomic_fetch_add_explicit(&txn->snapshot.db->stored, size, memory_order_relaxed); // a hint
        *blob_out = (memdb_blob_t){.size_bytes = size};
        memcpy(blob_out->reference, reference, sizeof blob_out->reference);
    }
    return status;
}

static memdb_status_t put_blob(memdb_txn_t *txn, const void *data, size_t size,
                               memdb_blob_t *blob_out, memdb_error_t *error) {
    uint8_t hash[16], reference[MEMDB__BLOB_REFERENCE_BYTES];
    uint64_t stored;
    memdb__hash128(data, size, hash);
    memdb_status_t status =
        find_equal(txn->snapshot.db, &txn->snapshot.sight, hash, size, blob_out, error);
    if (status != MEMDB_NOT_FOUND) {
        return status;
    }
    memdb__blob_stream_t *stream;
    status = memdb__blob_begin(txn->snapshot.db->blobs, &stream, error);
    if (status) {
        return status;
    }
    status = memdb__blob_append(stream, data, size, error);
    if (status) {
        memdb__blob_abandon(stream);
        return status;
    }
    status = memdb__blob_finish(stream, reference, &stored, hash, error);
    return status ? status : add_blob(txn, reference, stored, hash, blob_out, error);
}

// ------------------------------------------------------------------------------ retired extents

/// Store a blob of a retired extent again, or find it where that was done before.
static memdb_status_t renew_blob(memdb_txn_t *txn, memdb_blob_t *blob, memdb_error_t *error) {
    memdb_t *db = txn->snapshot.db;
    memdb_blob_t renewed;
    uint8_t hash[16], reference[MEMDB__BLOB_REFERENCE_BYTES];
    memdb_status_t status =
        memdb__blob_duplicate(db->blobs, blob->reference, db->blobs, reference, hash, error);
    if (status == MEMDB_NOT_FOUND) {
        return memdb__fail(error, MEMDB_CONFLICT,
                           "a blob was erased by a purge meanwhile; nothing was written, retry");
    }
    status = status ? status
                    : find_equal(db, &txn->snapshot.sight, hash, blob->size_bytes, &renewed, error);
    if (status == MEMDB_NOT_FOUND) {
        status = add_blob(txn, reference, blob->size_bytes, hash, &renewed, error);
    }
    if (!status) {
        memcpy(blob->reference, renewed.reference, sizeof blob->reference);
    }
    return status;
}

memdb_status_t memdb__renew_blobs(memdb_txn_t *txn, const memdb__record_t *record,
                                  const memdb_blob_t *given, const memdb_blob_t **blobs_out,
                                  memdb_error_t *error) {
    memdb_t *db = txn->snapshot.db;
    memdb__reader_t kept = record->blobs;
    memdb_blob_t *renewed = NULL, blob;
    bool any = false;
    for (uint32_t i = 0; i < record->blob_count; i++) {
        if (given) {
            blob = given[i];
        } else {
            memdb__record_next_blob(&kept, &blob); // checked when the record was decoded
        }
        any |= memdb__blobs_is_retired(db->blobs, blob.reference);
    }
    if (!any) {
        return MEMDB_OK;
    }
    renewed = memdb__arena_allocate(&txn->snapshot.arena, record->blob_count * sizeof *renewed);
    if (!renewed) {
        return memdb__fail(error, MEMDB_NOMEM, "put: out of memory");
    }
    kept = record->blobs;
    for (uint32_t i = 0; i < record->blob_count; i++) {
        if (given) {
            renewed[i] = given[i];
        } else {
            memdb__record_next_blob(&kept, &renewed[i]);
        }
        memdb_status_t status = memdb__blobs_is_retired(db->blobs, renewed[i].reference)
                                    ? renew_blob(txn, &renewed[i], error)
                                    : MEMDB_OK;
        if (status) {
            return status;
        }
    }
    *blobs_out = renewed;
    return MEMDB_OK;
}

bool memdb__names_retired(memdb_t *db, const memdb__entry_t *entry) {
    memdb__record_t record;
    memdb_blob_t blob;
    if (entry->key[0] == MEMDB__KEY_BLOB) {
        return memdb__blobs_is_retired(db->blobs, entry->value);
    }
    if (entry->key[0] != MEMDB__KEY_RECORD || entry->tombstone ||
        !memdb__record_decode(entry->value, entry->value_size, &record)) {
        return false;
    }
    for (uint32_t i = 0; i < record.blob_count; i++) {
        memdb__record_next_blob(&record.blobs, &blob);
        if (memdb__blobs_is_retired(db->blobs, blob.reference)) {
            return true;
        }
    }
    return false;
}

// ------------------------------------------------------------------------------ writing and
// reading

memdb_status_t memdb_blob_put(memdb_txn_t *txn, const void *data, size_t size,
                              memdb_blob_t *blob_out) {
    memdb_error_t error = {0};
    if (!txn || !blob_out || (size && !data)) {
        return MEMDB_INVALID;
    }
    memdb_status_t status = memdb__writable(txn->snapshot.db, &error);
    status = status ? status : put_blob(txn, data, size, blob_out, &error);
    return memdb__report(txn->snapshot.db, status, &error);
}

memdb_status_t memdb_blob_writer_open(memdb_txn_t *txn, memdb_blob_writer_t **writer_out) {
    memdb_error_t error = {0};
    if (!txn || !writer_out) {
        return MEMDB_INVALID;
    }
    memdb_status_t status = memdb__writable(txn->snapshot.db, &error);
    memdb_blob_writer_t *writer = status ? NULL : memdb__allocate_zeroed(1, sizeof *writer);
    if (!status && !writer) {
        status = memdb__fail(&error, MEMDB_NOMEM, "blob: out of memory");
    }
    status = status ? status : memdb__blob_begin(txn->snapshot.db->blobs, &writer->stream, &error);
    if (status) {
        memdb__free(writer);
        return memdb__report(txn->snapshot.db, status, &error);
    }
    writer->txn = txn;
    *writer_out = writer;
    return MEMDB_OK;
}

memdb_status_t memdb_blob_writer_append(memdb_blob_writer_t *writer, const void *data,
                                        size_t size) {
    memdb_error_t error = {0};
    if (!writer || (size && !data)) {
        return MEMDB_INVALID;
    }
    memdb_status_t status = memdb__snapshot_usable(&writer->txn->snapshot, &error);
    status = status ? status : memdb__blob_append(writer->stream, data, size, &error);
    return memdb__report(writer->txn->snapshot.db, status, &error);
}

memdb_status_t memdb_blob_writer_finish(memdb_blob_writer_t *writer, memdb_blob_t *blob_out) {
    if (!writer) {
        return MEMDB_INVALID;
    }
    memdb_txn_t *txn = writer->txn;
    memdb_error_t error = {0};
    uint8_t hash[16], reference[MEMDB__BLOB_REFERENCE_BYTES];
    uint64_t size = 0;
    memdb_status_t status = memdb__snapshot_usable(&txn->snapshot, &error);
    if (status || !blob_out) {
        memdb__blob_abandon(writer->stream);
        status =
            status ? status : memdb__fail(&error, MEMDB_INVALID, "blob: no place for the result");
    } else {
        status = memdb__blob_finish(writer->stream, reference, &size, hash, &error);
    }
    // The content is written already; an equal blob is named instead, and this one is left as
    // garbage.
    if (!status && (status = find_equal(txn->snapshot.db, &txn->snapshot.sight, hash, size,
                                        blob_out, &error)) == MEMDB_NOT_FOUND) {
        status = add_blob(txn, reference, size, hash, blob_out, &error);
    }
    memdb__free(writer);
    return memdb__report(txn->snapshot.db, status, &error);
}

void memdb_blob_writer_abort(memdb_blob_writer_t *writer) {
    if (writer) {
        memdb__blob_abandon(writer->stream);
        memdb__free(writer);
    }
}

memdb_status_t memdb_blob_reader_open(memdb_snapshot_t *snapshot, const memdb_blob_t *blob,
                                      memdb_blob_reader_t **reader_out) {
    memdb_error_t error = {0};
    if (!snapshot || !blob || !reader_out) {
        return MEMDB_INVALID;
    }
    memdb_status_t status = memdb__snapshot_usable(snapshot, &error);
    memdb_blob_reader_t *reader = status ? NULL : memdb__allocate_zeroed(1, sizeof *reader);
    if (!status && !reader) {
        status = memdb__fail(&error, MEMDB_NOMEM, "blob: out of memory");
    }
    status = status ? status
                    : memdb__blob_open(snapshot->db->blobs, blob->reference, &reader->view,
                                       &reader->size, &error);
    if (!status && reader->size != blob->size_bytes) {
        memdb__blob_close(reader->view);
        status =
            memdb__fail(&error, MEMDB_CORRUPT, "blob: %llu bytes stored, the memory says %llu",
                        (unsigned long long)reader->size, (unsigned long long)blob->size_bytes);
    }
    if (status) {
        memdb__free(reader);
        return memdb__report(snapshot->db, status, &error);
    }
    reader->snapshot = snapshot;
    *reader_out = reader;
    return MEMDB_OK;
}

memdb_status_t memdb_blob_reader_read(memdb_blob_reader_t *reader, uint64_t offset, void *buffer,
                                      size_t size, size_t *read_out) {
    memdb_error_t error = {0};
    if (!reader || (size && !buffer) || !read_out) {
        return MEMDB_INVALID;
    }
    uint64_t left = offset < reader->size ? reader->size - offset : 0;
    size_t wanted = size < left ? size : (size_t)left;
    memdb_status_t status = memdb__snapshot_usable(reader->snapshot, &error);
    status =
        status || !wanted ? status : memdb__blob_read(reader->view, offset, buffer, wanted, &error);
    if (!status) {
        *read_out = wanted;
    }
    return memdb__report(reader->snapshot->db, status, &error);
}

void memdb_blob_reader_close(memdb_blob_reader_t *reader) {
    if (reader) {
        memdb__blob_close(reader->view);
        memdb__free(reader);
    }
}
