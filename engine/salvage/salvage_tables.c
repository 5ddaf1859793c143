// Model tables into the new database: under the numbers that they had, with the rows that are
// whole. See salvage.h.
#include "engine/salvage/salvage.h"
#include "engine/table/tables.h"

#define BATCH_BYTES (8u << 20)

/// What is being written.
typedef struct tables {
    memdb__salvage_t *salvage;
    memdb_t *db;
    memdb_txn_t *txn;
    memdb__table_description_t description; // of the table in hand
    uint32_t number;                        // 0: none
    memdb__buffer_t rows, values;           // of it, not yet in the transaction
    uint32_t *last;                         // the highest number of a table that was met
    memdb_error_t *error;
} tables_t;

static memdb_status_t engine(tables_t *t, memdb_status_t status) {
    if (status) {
        memdb_last_error(t->db, t->error->message, sizeof t->error->message);
        t->error->status = status;
    }
    return status;
}

static memdb_status_t ready(tables_t *t) {
    if (t->txn && t->txn->own.payload.size >= BATCH_BYTES) {
        memdb_txn_t *txn = t->txn;
        t->txn = NULL;
        memdb_status_t status = engine(t, memdb_txn_commit(txn, MEMDB_DURABILITY_OS, NULL));
        if (status) {
            return status;
        }
    }
    return t->txn ? MEMDB_OK : engine(t, memdb_txn_begin(t->db, &t->txn));
}

/// Put the rows that were gathered into the transaction.
static memdb_status_t flush(tables_t *t) {
    memdb__operation_t operation = {.kind = MEMDB__OPERATION_ROWS,
                                    .space = t->number,
                                    .body = {(const char *)t->rows.data, t->rows.size},
                                    .row = {(const char *)t->values.data, t->values.size}};
    memdb_status_t status = t->rows.size ? ready(t) : MEMDB_OK;
    if (!status && t->rows.size) {
        status = memdb__txn_operate(t->txn, &operation, t->error);
    }
    memdb__buffer_clear(&t->rows);
    memdb__buffer_clear(&t->values);
    return status;
}

static void lost(tables_t *t, memdb_bytes_t name, const char *what) {
    memdb__salvage_lost(t->salvage, "segments", 0, 0, 0, name, "%s", what);
}

static void note_number(tables_t *t, const memdb__salvage_entry_t *entry) {
    if (entry->key_size >= 5 && memdb__get_be32(entry->key + 1) > *t->last) {
        *t->last = memdb__get_be32(entry->key + 1);
    }
}

static memdb_status_t add_table(void *context, const memdb__salvage_entry_t *entry) {
    tables_t *t = context;
    note_number(t, entry);
    if (entry->tombstone) {
        return MEMDB_OK;
    }
    memdb__table_description_t d;
    memdb_status_t status = entry->key_size == 5
                                ? memdb__table_decode(entry->value, entry->value_size, &d)
                                : MEMDB_CORRUPT;
    if (status == MEMDB_CORRUPT) {
        lost(t, (memdb_bytes_t){0}, "a table and its rows: its description is not well formed");
        return MEMDB_OK;
    }
    if (status) {
        return memdb__fail(t->error, status, "salvage: out of memory");
    }
    status = ready(t);
    if (!status) {
        // Nobody else has this database open: the table gets the number that its rows name.
        atomic_store_explicit(&t->db->control->next_space, memdb__get_be32(entry->key + 1),
                              memory_order_relaxed);
        status = memdb_table_create(t->txn, &d.info);
        if (status == MEMDB_EXISTS) {
            lost(t, d.info.name, "a table and its rows: another has its name");
            status = MEMDB_OK;
        }
        status = engine(t, status);
    }
    memdb__table_description_deinit(&d);
    return status;
}

/// Turn to the table of a row. MEMDB_NOT_FOUND: it is not there.
static memdb_status_t turn_to(tables_t *t, uint32_t number) {
    memdb__key_t key;
    memdb__entry_t entry;
    if (t->number == number) {
        return t->description.memory ? MEMDB_OK : MEMDB_NOT_FOUND;
    }
    memdb_status_t status = flush(t);
    status = status ? status : ready(t);
    memdb__table_description_deinit(&t->description);
    t->number = number;
    if (status) {
        return status;
    }
    memdb__key_table(&key, number);
    status = memdb__sight_get(&t->txn->snapshot.sight, key.bytes, key.size, &entry, t->error);
    return status ? status : memdb__table_decode(entry.value, entry.value_size, &t->description);
}

static memdb_status_t add_row(void *context, const memdb__salvage_entry_t *entry) {
    tables_t *t = context;
    note_number(t, entry);
    if (entry->tombstone) {
        return MEMDB_OK;
    }
    if (entry->key_size != MEMDB__ROW_KEY_BYTES) {
        lost(t, (memdb_bytes_t){0}, "a row of a table: its key is not well formed");
        return MEMDB_OK;
    }
    memdb_status_t status = turn_to(t, memdb__get_be32(entry->key + 1));
    if (status) {
        return status == MEMDB_NOT_FOUND ? MEMDB_OK : status; // dropped, or told as lost
    }
    if (entry->value_size != memdb__table_value_bytes(&t->description)) {
        lost(t, t->description.info.name, "a row of a table: it has another size");
        return MEMDB_OK;
    }
    if (!memdb__buffer_append_u64(&t->rows, memdb__get_be64(entry->key + 5)) ||
        !memdb__buffer_append(&t->values, entry->value, entry->value_size)) {
        return memdb__fail(t->error, MEMDB_NOMEM, "salvage: out of memory");
    }
    return t->values.size >= BATCH_BYTES ? flush(t) : MEMDB_OK;
}

memdb_status_t memdb__salvage_tables(memdb__salvage_t *salvage, memdb_t *db, uint32_t *last_out,
                                     memdb_error_t *error) {
    tables_t t = {.salvage = salvage, .db = db, .last = last_out, .error = error};
    memdb_status_t status = memdb__salvage_each(salvage, MEMDB__KEY_TABLE, add_table, &t);
    status = status ? status : memdb__salvage_each(salvage, MEMDB__KEY_ROW, add_row, &t);
    status = status ? status : flush(&t);
    if (!status && t.txn) {
        status = engine(&t, memdb_txn_commit(t.txn, MEMDB_DURABILITY_OS, NULL));
        t.txn = NULL;
    }
    memdb_txn_abort(t.txn);
    memdb__table_description_deinit(&t.description);
    memdb__buffer_deinit(&t.rows);
    memdb__buffer_deinit(&t.values);
    return status;
}
