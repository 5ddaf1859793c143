// Rows of tables: gathered, summed, changed. See tables.h.
//
// A row is asked for like any key: one line of the hash of each run and tier, then its entry. Which
// lines those are is known long before they are needed, so they are fetched AHEAD rows ahead.
#include "engine/table/tables.h"

#include <math.h>

#define AHEAD 8

static memdb_status_t out_of_memory(memdb_error_t *error) {
    return memdb__fail(error, MEMDB_NOMEM, "table: out of memory");
}

/// That the snapshot sees the table, and that the rows are in it.
static memdb_status_t check_rows(const memdb_snapshot_t *snapshot, const memdb_table_t *table,
                                 const uint64_t *rows, size_t count, bool none_allowed,
                                 memdb_error_t *error) {
    memdb__key_t key;
    memdb__entry_t entry;
    if (table->db != snapshot->db) {
        return memdb__fail(error, MEMDB_INVALID, "the table was opened through another handle");
    }
    for (size_t i = 0; i < count; i++) {
        if (rows[i] >= table->description.info.rows && !(none_allowed && rows[i] == MEMDB_NO_ROW)) {
            return memdb__fail(error, MEMDB_INVALID, "row %llu: the table has %llu",
                               (unsigned long long)rows[i],
                               (unsigned long long)table->description.info.rows);
        }
    }
    memdb__key_table(&key, table->number);
    memdb_status_t status = memdb__sight_get(&snapshot->sight, key.bytes, key.size, &entry, error);
    return status == MEMDB_NOT_FOUND || (!status && entry.tombstone)
               ? memdb__fail(error, MEMDB_NOT_FOUND, "the table is not there at this moment")
               : status;
}

/// The value of a row; NULL in *value_out: it was never written.
static memdb_status_t find_row(const memdb__sight_t *sight, const memdb_table_t *table,
                               uint64_t row, const uint8_t **value_out, memdb_error_t *error) {
    memdb__key_t key;
    memdb__entry_t entry;
    memdb__key_row(&key, table->number, row);
    memdb_status_t status = memdb__sight_get(sight, key.bytes, key.size, &entry, error);
    if (!status && entry.value_size != memdb__table_value_bytes(&table->description)) {
        return memdb__fail(error, MEMDB_CORRUPT, "row %llu of table %u has %zu bytes",
                           (unsigned long long)row, table->number, entry.value_size);
    }
    *value_out = status ? NULL : entry.value;
    return status == MEMDB_NOT_FOUND ? MEMDB_OK : status;
}

static void expect_row(const memdb__sight_t *sight, const memdb_table_t *table, uint64_t row) {
    memdb__key_t key;
    if (row != MEMDB_NO_ROW) {
        memdb__key_row(&key, table->number, row);
        memdb__sight_expect(sight, key.bytes, key.size);
    }
}

/// Visit the values of rows in order; NULL for what was never written, and for MEMDB_NO_ROW.
static memdb_status_t each_row(const memdb__sight_t *sight, const memdb_table_t *table,
                               const uint64_t *rows, size_t count,
                               void (*visit)(void *context, size_t number, const uint8_t *value),
                               void *context, memdb_error_t *error) {
    memdb_status_t status = MEMDB_OK;
    for (size_t i = 0; i < AHEAD && i < count; i++) {
        expect_row(sight, table, rows[i]);
    }
    for (size_t i = 0; !status && i < count; i++) {
        const uint8_t *value = NULL;
        if (i + AHEAD < count) {
            expect_row(sight, table, rows[i + AHEAD]);
        }
        if (rows[i] != MEMDB_NO_ROW) {
            status = find_row(sight, table, rows[i], &value, error);
        }
        if (!status) {
            visit(context, i, value);
        }
    }
    return status;
}

// ------------------------------------------------------------------------------ gathering

typedef struct gather {
    const memdb__table_format_t *format;
    bool decode;
    uint8_t *out;
    size_t stride;
} gather_t;

static void gather_row(void *context, size_t number, const uint8_t *value) {
    gather_t *gather = context;
    uint8_t *out = gather->out + number * gather->stride;
    size_t bytes =
        gather->decode ? gather->format->dimension * sizeof(float) : gather->format->row_bytes;
    if (!value) {
        memset(out, 0, bytes);
    } else if (gather->decode) {
        memdb__table_row_decode(gather->format, value, (float *)(void *)out);
    } else {
        memcpy(out, value, bytes);
    }
}

memdb_status_t memdb_table_gather(memdb_snapshot_t *snapshot, const memdb_table_t *table,
                                  const uint64_t *rows, size_t count, bool decode, void *out,
                                  size_t stride) {
    memdb_error_t error = {0};
    if (!snapshot || !table || (count && (!rows || !out))) {
        return MEMDB_INVALID;
    }
    const memdb__table_format_t *format = &table->description.format;
    gather_t gather = {.format = format, .decode = decode, .out = out, .stride = stride};
    size_t least = decode ? format->dimension * sizeof(float) : format->row_bytes;
    memdb_status_t status = memdb__snapshot_usable(snapshot, &error);
    if (!status && (stride < least || (decode && (stride | (uintptr_t)out) % sizeof(float)))) {
        status = memdb__fail(&error, MEMDB_INVALID,
                             "gather: a stride of %zu bytes, where a row has %zu (floats are "
                             "aligned)",
                             stride, least);
    }
    status = status ? status : check_rows(snapshot, table, rows, count, true, &error);
    status = status ? status
                    : each_row(&snapshot->sight, table, rows, count, gather_row, &gather, &error);
    return memdb__report(snapshot->db, status, &error);
}

typedef struct bag {
    const memdb__table_format_t *format;
    const float *weights;
    size_t each;
    float *row, *out; // row: scratch
} bag_t;

static void add_row(void *context, size_t number, const uint8_t *value) {
    bag_t *bag = context;
    uint32_t dimension = bag->format->dimension;
    float *out = bag->out + number / bag->each * dimension, weight = bag->weights[number];
    if (number % bag->each == 0) {
        memset(out, 0, dimension * sizeof *out);
    }
    if (value) {
        memdb__table_row_decode(bag->format, value, bag->row);
        for (uint32_t i = 0; i < dimension; i++) {
            out[i] += weight * bag->row[i];
        }
    }
}

memdb_status_t memdb_table_gather_bag(memdb_snapshot_t *snapshot, const memdb_table_t *table,
                                      const uint64_t *rows, const float *weights, size_t bags,
                                      size_t each, float *out) {
    memdb_error_t error = {0};
    if (!snapshot || !table || (bags && each && (!rows || !weights || !out)) ||
        (each && bags > SIZE_MAX / each)) {
        return MEMDB_INVALID;
    }
    bag_t bag = {
        .format = &table->description.format, .weights = weights, .each = each, .out = out};
    memdb_status_t status = memdb__snapshot_usable(snapshot, &error);
    status = status ? status : check_rows(snapshot, table, rows, bags * each, true, &error);
    if (!status && each) {
        bag.row = memdb__allocate(bag.format->dimension * sizeof *bag.row);
        status = bag.row
                     ? each_row(&snapshot->sight, table, rows, bags * each, add_row, &bag, &error)
                     : out_of_memory(&error);
        memdb__free(bag.row);
    } else if (!status && bags) {
        memset(out, 0, bags * bag.format->dimension * sizeof *out); // sums of nothing
    }
    return memdb__report(snapshot->db, status, &error);
}

// ------------------------------------------------------------------------------ changing

/// An update under way. A row that is named again is changed where it stands in `values`.
typedef struct update {
    memdb_txn_t *txn;
    const memdb_table_t *table;
    memdb_rows_mode_t mode;
    float rate;
    size_t value_bytes;
    memdb__buffer_t numbers, values; // of distinct rows, in the order in which they came
    uint32_t *slots;                 // open addressing: place in `numbers` + 1, 0 is free
    size_t mask;
    float *row; // decoded
} update_t;

/// The place of a row among the distinct ones; false: it is new, and that is its slot.
static bool find_place(const update_t *update, uint64_t row, size_t *slot_out) {
    size_t slot = (size_t)(row * UINT64_C(0x9E3779B97F4A7C15) >> 32) & update->mask;
    while (update->slots[slot]) {
        if (memdb__get_u64(update->numbers.data + 8 * (size_t)(update->slots[slot] - 1)) == row) {
            break;
        }
        slot = (slot + 1) & update->mask;
    }
    *slot_out = slot;
    return update->slots[slot] != 0;
}

/// The value of a row, to be changed: as it was left in this update, or is stored, or zeros.
static memdb_status_t take_row(update_t *update, uint64_t row, uint8_t **value_out,
                               memdb_error_t *error) {
    size_t slot;
    if (!find_place(update, row, &slot)) {
        const uint8_t *old = NULL;
        bool whole = update->mode <= MEMDB_ROWS_SET && !update->table->description.info.adagrad;
        memdb_status_t status =
            whole ? MEMDB_OK
                  : find_row(&update->txn->snapshot.sight, update->table, row, &old, error);
        if (status) {
            return status;
        }
        if (!memdb__buffer_append_u64(&update->numbers, row) ||
            !memdb__buffer_reserve(&update->values, update->value_bytes)) {
            return out_of_memory(error);
        }
        uint8_t *value = update->values.data + update->values.size;
        update->values.size += update->value_bytes;
        if (old) {
            memcpy(value, old, update->value_bytes);
        } else {
            memset(value, 0, update->value_bytes);
        }
        update->slots[slot] = (uint32_t)(update->numbers.size / 8);
    }
    *value_out = update->values.data + (update->slots[slot] - 1) * update->value_bytes;
    return MEMDB_OK;
}

/// Row-wise Adagrad: the new sum, and by what the gradient is multiplied.
static float adagrad_rate(const update_t *update, uint8_t *sum_at, const float *gradient) {
    uint32_t dimension = update->table->description.format.dimension;
    float sum, square = 0;
    memcpy(&sum, sum_at, sizeof sum);
    for (uint32_t i = 0; i < dimension; i++) {
        square += gradient[i] * gradient[i];
    }
    sum += square / (float)dimension;
    memcpy(sum_at, &sum, sizeof sum);
    return -update->rate / (sqrtf(sum) + 1e-10f);
}

static memdb_status_t change_row(update_t *update, uint64_t row, const void *given,
                                 memdb_error_t *error) {
    const memdb__table_format_t *format = &update->table->description.format;
    const float *numbers = given;
    uint8_t *value = NULL;
    memdb_status_t status = take_row(update, row, &value, error);
    if (status) {
        return status;
    }
    if (update->mode == MEMDB_ROWS_RAW) {
        memcpy(value, given, format->row_bytes);
        return MEMDB_OK;
    }
    if (update->mode != MEMDB_ROWS_SET) {
        float rate = update->mode == MEMDB_ROWS_ADD
                         ? update->rate
                         : adagrad_rate(update, value + format->row_bytes, numbers);
        memdb__table_row_decode(format, value, update->row);
        for (uint32_t i = 0; i < format->dimension; i++) {
            update->row[i] += rate * numbers[i];
        }
        numbers = update->row;
    }
    return memdb__table_row_encode(format, numbers, value)
               ? MEMDB_OK
               : memdb__fail(error, MEMDB_INVALID, "row %llu: a number is not finite",
                             (unsigned long long)row);
}

static memdb_status_t change_rows(update_t *update, const uint64_t *rows, size_t count,
                                  const uint8_t *values, memdb_error_t *error) {
    const memdb__table_format_t *format = &update->table->description.format;
    const memdb__sight_t *sight = &update->txn->snapshot.sight;
    size_t given_bytes =
        update->mode == MEMDB_ROWS_RAW ? format->row_bytes : format->dimension * sizeof(float);
    memdb_status_t status = MEMDB_OK;
    for (size_t i = 0; !status && i < count; i++) {
        if (i + AHEAD < count) {
            expect_row(sight, update->table, rows[i + AHEAD]);
        }
        status = change_row(update, rows[i], values + i * given_bytes, error);
    }
    memdb__operation_t operation = {
        .kind = MEMDB__OPERATION_ROWS,
        .space = update->table->number,
        .body = {(const char *)update->numbers.data, update->numbers.size},
        .row = {(const char *)update->values.data, update->values.size}};
    memdb__key_t key;
    memdb__key_table(&key, update->table->number);
    status = status ? status : memdb__txn_guard(update->txn, &key, false, error);
    return status ? status : memdb__txn_operate(update->txn, &operation, error);
}

/// Whether the call can be what it says.
static memdb_status_t check_update(const memdb_table_t *table, size_t count, memdb_rows_mode_t mode,
                                   float rate, memdb_error_t *error) {
    if ((uint32_t)mode > MEMDB_ROWS_ADAGRAD || !isfinite(rate)) {
        return memdb__fail(error, MEMDB_INVALID, "rows: mode %d at a rate of %g", (int)mode,
                           (double)rate);
    }
    if (mode == MEMDB_ROWS_ADAGRAD && !table->description.info.adagrad) {
        return memdb__fail(error, MEMDB_INVALID, "rows: the table was not created for Adagrad");
    }
    return count > MEMDB_MAX_TXN_BYTES / 8
               ? memdb__fail(error, MEMDB_LIMIT,
                             "rows: %zu, more than a transaction of %u bytes holds; commit in "
                             "smaller parts",
                             count, MEMDB_MAX_TXN_BYTES)
               : MEMDB_OK;
}

memdb_status_t memdb_table_update(memdb_txn_t *txn, const memdb_table_t *table,
                                  const uint64_t *rows, size_t count, memdb_rows_mode_t mode,
                                  const void *values, float rate) {
    memdb_error_t error = {0};
    if (!txn || !table || (count && (!rows || !values))) {
        return MEMDB_INVALID;
    }
    update_t update = {.txn = txn,
                       .table = table,
                       .mode = mode,
                       .rate = rate,
                       .value_bytes = memdb__table_value_bytes(&table->description)};
    memdb_status_t status = memdb__snapshot_usable(&txn->snapshot, &error);
    status = status ? status : check_update(table, count, mode, rate, &error);
    status = status ? status : check_rows(&txn->snapshot, table, rows, count, false, &error);
    if (!status && count) {
        update.mask = 15;
        while (update.mask < 2 * count) {
            update.mask = 2 * update.mask + 1;
        }
        update.slots = memdb__allocate_zeroed(update.mask + 1, sizeof *update.slots);
        update.row = memdb__allocate(table->description.format.dimension * sizeof *update.row);
        status = update.slots && update.row ? change_rows(&update, rows, count, values, &error)
                                            : out_of_memory(&error);
    }
    memdb__buffer_deinit(&update.numbers);
    memdb__buffer_deinit(&update.values);
    memdb__free(update.slots);
    memdb__free(update.row);
    return memdb__report(txn->snapshot.db, status, &error);
}
