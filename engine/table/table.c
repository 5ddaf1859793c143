// Tables by name: created, dropped, listed, opened. See tables.h.
#include "engine/table/tables.h"

/// The number of the table with a name. MEMDB_NOT_FOUND without a message: there is none.
static memdb_status_t find_number(const memdb__sight_t *sight, memdb_bytes_t name,
                                  uint32_t *number_out, memdb_error_t *error) {
    memdb__key_t key;
    memdb__entry_t entry;
    memdb__key_table_name(&key, name);
    memdb_status_t status = memdb__sight_get(sight, key.bytes, key.size, &entry, error);
    if (!status && entry.tombstone) {
        return MEMDB_NOT_FOUND;
    }
    if (!status && entry.value_size != 4) {
        return memdb__fail(error, MEMDB_CORRUPT, "a table's name is not well formed");
    }
    *number_out = status ? 0 : memdb__get_u32(entry.value);
    return status;
}

static memdb_status_t no_table(memdb_bytes_t name, memdb_error_t *error) {
    return memdb__fail(error, MEMDB_NOT_FOUND, "there is no table \"%.*s\"", (int)name.size,
                       name.data);
}

/// As find_number, for a name that a caller gave.
static memdb_status_t find_given(const memdb__sight_t *sight, memdb_bytes_t name,
                                 uint32_t *number_out, memdb_error_t *error) {
    if (!name.size || !name.data || name.size > MEMDB_MAX_NAME_BYTES) {
        return memdb__fail(error, MEMDB_INVALID, "table: a name of 1 to %d bytes is needed",
                           MEMDB_MAX_NAME_BYTES);
    }
    memdb_status_t status = find_number(sight, name, number_out, error);
    return status == MEMDB_NOT_FOUND ? no_table(name, error) : status;
}

static memdb_status_t read_description(const memdb__sight_t *sight, uint32_t number,
                                       memdb__table_description_t *description_out,
                                       memdb_error_t *error) {
    memdb__key_t key;
    memdb__entry_t entry;
    memdb__key_table(&key, number);
    memdb_status_t status = memdb__sight_get(sight, key.bytes, key.size, &entry, error);
    if (status == MEMDB_NOT_FOUND || (!status && entry.tombstone)) {
        return memdb__fail(error, MEMDB_CORRUPT, "table %u has no description", number);
    }
    status = status ? status : memdb__table_decode(entry.value, entry.value_size, description_out);
    return status == MEMDB_NOMEM ? memdb__fail(error, status, "table: out of memory")
           : status == MEMDB_CORRUPT && !error->status
               ? memdb__fail(error, status, "the description of table %u is not well formed",
                             number)
               : status;
}

static memdb_status_t create(memdb_txn_t *txn, const memdb_table_info_t *info,
                             memdb_error_t *error) {
    memdb__table_format_t format;
    uint32_t found;
    memdb_status_t status = memdb__table_check(info, &format, error);
    status = status ? status : find_number(&txn->snapshot.sight, info->name, &found, error);
    if (status != MEMDB_NOT_FOUND) {
        return status ? status
                      : memdb__fail(error, MEMDB_EXISTS, "table: \"%.*s\" exists already",
                                    (int)info->name.size, info->name.data);
    }
    // Unique is all that the number needs to be (rule 16).
    uint64_t number =
        atomic_fetch_add_explicit(&txn->snapshot.db->control->next_space, 1, memory_order_relaxed);
    if (number > UINT32_MAX) {
        return memdb__fail(error, MEMDB_LIMIT, "table: no numbers left");
    }
    memdb__buffer_t body = {0};
    bool fine = memdb__table_encode(&body, info);
    memdb__operation_t operation = {.kind = MEMDB__OPERATION_TABLE,
                                    .space = (uint32_t)number,
                                    .body = {(const char *)body.data, body.size}};
    status = fine ? memdb__txn_operate(txn, &operation, error)
                  : memdb__fail(error, MEMDB_NOMEM, "table: out of memory");
    memdb__buffer_deinit(&body);
    return status;
}

memdb_status_t memdb_table_create(memdb_txn_t *txn, const memdb_table_info_t *info) {
    memdb_error_t error = {0};
    if (!txn || !info) {
        return MEMDB_INVALID;
    }
    memdb_status_t status = memdb__snapshot_usable(&txn->snapshot, &error);
    status = status ? status : create(txn, info, &error);
    return memdb__report(txn->snapshot.db, status, &error);
}

memdb_status_t memdb_table_drop(memdb_txn_t *txn, memdb_bytes_t name) {
    memdb_error_t error = {0};
    uint32_t number;
    if (!txn) {
        return MEMDB_INVALID;
    }
    memdb_status_t status = memdb__snapshot_usable(&txn->snapshot, &error);
    status = status ? status : find_given(&txn->snapshot.sight, name, &number, &error);
    if (!status) {
        memdb__operation_t operation = {
            .kind = MEMDB__OPERATION_DROP_TABLE, .space = number, .name = name};
        status = memdb__txn_operate(txn, &operation, &error);
    }
    return memdb__report(txn->snapshot.db, status, &error);
}

static memdb_status_t list(memdb_snapshot_t *snapshot,
                           bool (*visit)(void *context, const memdb_table_info_t *info),
                           void *context, memdb_error_t *error) {
    static const uint8_t first = MEMDB__KEY_TABLE_NAME;
    memdb__merge_t merge;
    memdb_status_t status = memdb__merge_open(&merge, &snapshot->sight, &first, 1, error);
    bool more = true;
    while (!status && more && merge.valid && merge.entry.key[0] == MEMDB__KEY_TABLE_NAME) {
        if (!merge.entry.tombstone && merge.entry.value_size == 4) {
            memdb__table_description_t description;
            status = read_description(&snapshot->sight, memdb__get_u32(merge.entry.value),
                                      &description, error);
            if (!status) {
                more = visit(context, &description.info);
                memdb__table_description_deinit(&description);
            }
        }
        status = status ? status : memdb__merge_next(&merge, error);
    }
    memdb__merge_close(&merge);
    return status;
}

memdb_status_t memdb_table_list(memdb_snapshot_t *snapshot,
                                bool (*visit)(void *context, const memdb_table_info_t *info),
                                void *context) {
    memdb_error_t error = {0};
    if (!snapshot || !visit) {
        return MEMDB_INVALID;
    }
    memdb_status_t status = memdb__snapshot_usable(snapshot, &error);
    status = status ? status : list(snapshot, visit, context, &error);
    return memdb__report(snapshot->db, status, &error);
}

// ------------------------------------------------------------------------------ opening

/// Whether the table is what the runtime was built for. The encodings are compared, not what the
/// caller says of them.
static memdb_status_t check_expected(const memdb_table_t *table, const memdb_table_info_t *expected,
                                     memdb_error_t *error) {
    const memdb_table_info_t *info = &table->description.info;
    memdb_table_info_t named = *expected;
    memdb__table_description_t wanted;
    memdb__table_format_t format;
    memdb__buffer_t body = {0};
    named.name = info->name;
    memdb_status_t status = memdb__table_check(&named, &format, error);
    if (status) {
        return memdb__error_context(error, status, "what is expected");
    }
    status = memdb__table_encode(&body, &named) ? memdb__table_decode(body.data, body.size, &wanted)
                                                : MEMDB_NOMEM;
    memdb__buffer_deinit(&body);
    if (status) {
        return memdb__fail(error, status, "table: what is expected cannot be compared");
    }
    const memdb_table_info_t *other = &wanted.info;
    if (other->rows != info->rows || other->dimension != info->dimension ||
        other->dtype != info->dtype || wanted.format.group != table->description.format.group) {
        status = memdb__fail(
            error, MEMDB_INVALID,
            "the table \"%.*s\" has %llu rows of %u numbers of dtype %d in groups of %u; expected "
            "are %llu of %u of %d in %u",
            (int)info->name.size, info->name.data, (unsigned long long)info->rows, info->dimension,
            (int)info->dtype, table->description.format.group, (unsigned long long)other->rows,
            other->dimension, (int)other->dtype, wanted.format.group);
    } else if (memcmp(other->identity, info->identity, sizeof info->identity) != 0) {
        status =
            memdb__fail(error, MEMDB_INVALID,
                        "the table \"%.*s\" hashes otherwise than expected: every row would be "
                        "another one's",
                        (int)info->name.size, info->name.data);
    }
    memdb__table_description_deinit(&wanted);
    return status;
}

static memdb_status_t open_table(memdb_snapshot_t *snapshot, memdb_bytes_t name,
                                 const memdb_table_info_t *expected, memdb_table_t *table,
                                 memdb_error_t *error) {
    table->db = snapshot->db;
    memdb_status_t status = find_given(&snapshot->sight, name, &table->number, error);
    status = status ? status
                    : read_description(&snapshot->sight, table->number, &table->description, error);
    if (!status && !memdb__hasher_init(&table->hasher, &table->description.info.hashing)) {
        status = memdb__fail(error, MEMDB_NOMEM, "table: out of memory");
    }
    return !status && expected ? check_expected(table, expected, error) : status;
}

memdb_status_t memdb_table_open(memdb_snapshot_t *snapshot, memdb_bytes_t name,
                                const memdb_table_info_t *expected, memdb_table_t **table_out) {
    memdb_error_t error = {0};
    if (!snapshot || !table_out) {
        return MEMDB_INVALID;
    }
    memdb_status_t status = memdb__snapshot_usable(snapshot, &error);
    memdb_table_t *table = status ? NULL : memdb__allocate_zeroed(1, sizeof *table);
    if (!status) {
        status = table ? open_table(snapshot, name, expected, table, &error)
                       : memdb__fail(&error, MEMDB_NOMEM, "table: out of memory");
    }
    if (status) {
        memdb_table_close(table);
        return memdb__report(snapshot->db, status, &error);
    }
    *table_out = table;
    return MEMDB_OK;
}

const memdb_table_info_t *memdb_table_get_info(const memdb_table_t *table) {
    return table ? &table->description.info : NULL;
}

void memdb_table_close(memdb_table_t *table) {
    if (table) {
        memdb__hasher_deinit(&table->hasher);
        memdb__table_description_deinit(&table->description);
        memdb__free(table);
    }
}

memdb_status_t memdb_table_hash(const memdb_table_t *table, const int32_t *tokens,
                                const uint8_t *mask, size_t sequences, size_t length,
                                int32_t *history, uint64_t *rows_out) {
    memdb_error_t error = {0};
    if (!table || (sequences && length && (!tokens || !rows_out))) {
        return MEMDB_INVALID;
    }
    memdb_status_t status = memdb__hasher_run(&table->hasher, tokens, mask, sequences, length,
                                              history, rows_out, &error);
    return memdb__report(table->db, status, &error);
}
