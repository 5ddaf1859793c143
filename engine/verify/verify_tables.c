// That names, descriptions and rows of model tables agree. See verify.h.
#include "engine/table/tables.h"
#include "engine/verify/verify.h"

/// The description of a table. MEMDB_NOT_FOUND: there is none.
static memdb_status_t find_table(const memdb__verify_t *verify, uint32_t number,
                                 memdb__entry_t *entry_out, memdb_error_t *error) {
    memdb__key_t key;
    memdb__key_table(&key, number);
    memdb_status_t status =
        memdb__sight_get(&verify->snapshot.sight, key.bytes, key.size, entry_out, error);
    return !status && entry_out->tombstone ? MEMDB_NOT_FOUND : status;
}

static memdb_status_t check_name(memdb__verify_t *verify, const memdb__entry_t *entry,
                                 memdb_error_t *error) {
    memdb__entry_t table;
    memdb_bytes_t name = {0};
    memdb_status_t status = entry->value_size == 4
                                ? find_table(verify, memdb__get_u32(entry->value), &table, error)
                                : MEMDB_NOT_FOUND;
    if (status == MEMDB_NOT_FOUND ||
        (!status && (!memdb__table_decode_name(table.value, table.value_size, &name) ||
                     memdb__compare(name.data, name.size, entry->key + 1, entry->key_size - 1)))) {
        memdb__verify_tell(verify, entry, "the name of a table leads to none of that name");
        return MEMDB_OK;
    }
    return status;
}

static memdb_status_t check_description(memdb__verify_t *verify, const memdb__entry_t *entry,
                                        memdb_error_t *error) {
    memdb__table_description_t d = {0};
    memdb__entry_t name = {0};
    memdb_status_t status = memdb__table_decode(entry->value, entry->value_size, &d);
    if (status == MEMDB_CORRUPT || (!status && entry->key_size != 5)) {
        memdb__table_description_deinit(&d);
        memdb__verify_tell(verify, entry, "a table is not well formed");
        return MEMDB_OK;
    }
    if (!status) {
        memdb__key_t key;
        memdb__key_table_name(&key, d.info.name);
        status = memdb__sight_get(&verify->snapshot.sight, key.bytes, key.size, &name, error);
    }
    memdb__table_description_deinit(&d);
    if (status == MEMDB_NOT_FOUND ||
        (!status && (name.tombstone || name.value_size != 4 ||
                     memdb__get_u32(name.value) != memdb__get_be32(entry->key + 1)))) {
        memdb__verify_tell(verify, entry, "a table's name does not lead to it");
        return MEMDB_OK;
    }
    return status;
}

/// Rows of a table that is gone are left until they are folded.
static memdb_status_t check_row(memdb__verify_t *verify, const memdb__entry_t *entry,
                                memdb_error_t *error) {
    memdb__entry_t table;
    uint64_t rows;
    size_t value_bytes;
    if (entry->key_size != MEMDB__ROW_KEY_BYTES) {
        memdb__verify_tell(verify, entry, "a row of a table is not well formed");
        return MEMDB_OK;
    }
    memdb_status_t status = find_table(verify, memdb__get_be32(entry->key + 1), &table, error);
    if (!status &&
        (!memdb__table_decode_shape(table.value, table.value_size, &rows, &value_bytes) ||
         memdb__get_be64(entry->key + 5) >= rows || entry->value_size != value_bytes)) {
        memdb__verify_tell(verify, entry, "a row does not fit its table");
    }
    return status == MEMDB_NOT_FOUND ? MEMDB_OK : status;
}

memdb_status_t memdb__verify_table(memdb__verify_t *verify, const memdb__entry_t *entry,
                                   memdb_error_t *error) {
    return entry->key[0] == MEMDB__KEY_ROW     ? check_row(verify, entry, error)
           : entry->key[0] == MEMDB__KEY_TABLE ? check_description(verify, entry, error)
                                               : check_name(verify, entry, error);
}
