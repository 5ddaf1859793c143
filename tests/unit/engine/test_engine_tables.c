// Goal: tables give the rows that were written, as of any snapshot, whatever was committed, given
// up, dropped, folded, compacted, reopened, backed up or salvaged meanwhile; what does not fit is
// refused.
// Method: random transactions on a model of plain arrays, with the codec of index/table; older
// snapshots are compared with copies of the model; verify must find nothing.
#include "engine/engine.h"
#include "index/table/table.h"
#include "tests/lib/database.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TABLES = 4, ROWS = 60, DIMENSION = 7, GROUP = 4, STEPS = 120, BATCH = 12 };

static uint64_t seed;

static uint32_t draw(uint32_t below) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % below;
}

typedef struct row {
    uint8_t bytes[DIMENSION * 4];
    float sum;
} row_t;

typedef struct model_table {
    bool live;
    memdb_dtype_t dtype;
    row_t rows[ROWS];
} model_table_t;

typedef struct model {
    model_table_t tables[TABLES];
} model_t;

static const uint64_t multipliers[] = {3, 5}, primes[] = {7, 11}, offsets[] = {0, 7};

static memdb_bytes_t name_of(int number) {
    static const char *const names[TABLES] = {"engram", "values", "a", "b"};
    return text(names[number]);
}

static memdb_table_info_t info_of(int number, memdb_dtype_t dtype) {
    memdb_table_info_t info = {.size = sizeof info,
                               .name = name_of(number),
                               .rows = ROWS,
                               .dimension = DIMENSION,
                               .dtype = dtype,
                               .scale_group = dtype >= MEMDB_DTYPE_E4M3 ? GROUP : 0,
                               .adagrad = number % 2 == 0};
    if (number == 0) {
        info.hashing = (memdb_hashing_t){.layers = 1,
                                         .min_order = 1,
                                         .max_order = 2,
                                         .heads = 1,
                                         .multipliers = multipliers,
                                         .primes = primes,
                                         .offsets = offsets};
    }
    return info;
}

static memdb__table_format_t format_of(memdb_dtype_t dtype) {
    memdb__table_format_t format;
    assert_true(memdb__table_format_init(&format, dtype, DIMENSION, info_of(0, dtype).scale_group));
    return format;
}

// ------------------------------------------------------------------------------ comparing

static void compare_table(memdb_snapshot_t *snapshot, memdb_t *db, const model_table_t *model,
                          int number) {
    memdb_table_t *table;
    memdb_status_t status = memdb_table_open(snapshot, name_of(number), NULL, &table);
    assert_int_equal(status, model->live ? MEMDB_OK : MEMDB_NOT_FOUND);
    if (status) {
        return;
    }
    memdb__table_format_t format = format_of(model->dtype);
    assert_int_equal(memdb_table_get_info(table)->row_bytes, format.row_bytes);
    uint64_t rows[ROWS + 1];
    float weights[ROWS + 1], decoded[ROWS + 1][DIMENSION], bag[DIMENSION], expected[DIMENSION];
    uint8_t raw[(ROWS + 1) * (DIMENSION * 4 + 3)];
    size_t stride = format.row_bytes + draw(3);
    for (size_t i = 0; i <= ROWS; i++) {
        rows[i] = i == ROWS ? MEMDB_NO_ROW : (i * 7 + 3) % ROWS;
        weights[i] = (float)draw(100) / 16;
    }
    must(db, memdb_table_gather(snapshot, table, rows, ROWS + 1, false, raw, stride));
    must(db, memdb_table_gather(snapshot, table, rows, ROWS + 1, true, decoded, sizeof decoded[0]));
    must(db, memdb_table_gather_bag(snapshot, table, rows, weights, 1, ROWS + 1, bag));
    memset(expected, 0, sizeof expected);
    for (size_t i = 0; i <= ROWS; i++) {
        row_t zeros = {0};
        const row_t *row = i == ROWS ? &zeros : &model->rows[rows[i]];
        float numbers[DIMENSION];
        memdb__table_row_decode(&format, row->bytes, numbers);
        assert_memory_equal(raw + i * stride, row->bytes, format.row_bytes);
        for (int j = 0; j < DIMENSION; j++) {
            assert_true(decoded[i][j] == numbers[j]);
            expected[j] += weights[i] * numbers[j];
        }
    }
    for (int j = 0; j < DIMENSION; j++) {
        assert_true(fabsf(bag[j] - expected[j]) <= 1e-3f * (1 + fabsf(expected[j])));
    }
    memdb_table_close(table);
}

static bool count_table(void *context, const memdb_table_info_t *info) {
    assert_int_equal(info->rows, ROWS);
    ++*(int *)context;
    return true;
}

static void compare(memdb_snapshot_t *snapshot, memdb_t *db, const model_t *model) {
    int live = 0, listed = 0;
    for (int i = 0; i < TABLES; i++) {
        compare_table(snapshot, db, &model->tables[i], i);
        live += model->tables[i].live;
    }
    must(db, memdb_table_list(snapshot, count_table, &listed));
    assert_int_equal(listed, live);
}

static void compare_now(memdb_t *db, const model_t *model) {
    memdb_snapshot_t *snapshot;
    must(db, memdb_snapshot_begin(db, NULL, &snapshot));
    compare(snapshot, db, model);
    memdb_snapshot_end(snapshot);
}

// ------------------------------------------------------------------------------ changing

static void change_model(model_table_t *table, uint64_t number, memdb_rows_mode_t mode,
                         const uint8_t *raw, const float *given, float rate) {
    memdb__table_format_t format = format_of(table->dtype);
    row_t *row = &table->rows[number];
    float numbers[DIMENSION], square = 0;
    if (mode == MEMDB_ROWS_RAW) {
        memcpy(row->bytes, raw, format.row_bytes);
        return;
    }
    memdb__table_row_decode(&format, row->bytes, numbers);
    for (int i = 0; i < DIMENSION; i++) {
        square += given[i] * given[i];
    }
    if (mode == MEMDB_ROWS_ADAGRAD) {
        row->sum += square / DIMENSION;
        rate = -rate / (sqrtf(row->sum) + 1e-10f);
    }
    for (int i = 0; i < DIMENSION; i++) {
        numbers[i] = mode == MEMDB_ROWS_SET ? given[i] : numbers[i] + rate * given[i];
    }
    assert_true(memdb__table_row_encode(&format, numbers, row->bytes));
}

static void change(memdb_t *db, memdb_txn_t *txn, model_table_t *model, int number) {
    static const memdb_rows_mode_t modes[] = {MEMDB_ROWS_RAW, MEMDB_ROWS_SET, MEMDB_ROWS_ADD,
                                              MEMDB_ROWS_ADAGRAD};
    memdb_rows_mode_t mode = modes[draw(number % 2 ? 3 : 4)]; // even ones keep the sum
    memdb__table_format_t format = format_of(model->dtype);
    memdb_table_t *table;
    uint64_t rows[BATCH];
    uint8_t raw[BATCH * DIMENSION * 4];
    float numbers[BATCH * DIMENSION], rate = (float)draw(8) / 8;
    size_t count = draw(BATCH + 1);
    for (size_t i = 0; i < count; i++) {
        rows[i] = draw(draw(3) ? ROWS : 5); // some twice
        for (size_t j = 0; j < DIMENSION; j++) {
            numbers[i * DIMENSION + j] = (float)draw(2000) / 64 - 15;
        }
        assert_true(
            memdb__table_row_encode(&format, numbers + i * DIMENSION, raw + i * format.row_bytes));
    }
    must(db, memdb_table_open(memdb_txn_snapshot(txn), name_of(number), NULL, &table));
    must(db, memdb_table_update(txn, table, rows, count, mode,
                                mode == MEMDB_ROWS_RAW ? (void *)raw : numbers, rate));
    memdb_table_close(table);
    for (size_t i = 0; i < count; i++) {
        change_model(model, rows[i], mode, raw + i * format.row_bytes, numbers + i * DIMENSION,
                     rate);
    }
}

static void step(memdb_t *db, memdb_txn_t *txn, model_t *model) {
    int number = (int)draw(TABLES);
    model_table_t *table = &model->tables[number];
    if (!table->live) {
        memset(table, 0, sizeof *table);
        table->live = true;
        table->dtype = (memdb_dtype_t)draw(MEMDB_DTYPE_Q4 + 1);
        memdb_table_info_t info = info_of(number, table->dtype);
        must(db, memdb_table_create(txn, &info));
        assert_int_equal(memdb_table_create(txn, &info), MEMDB_EXISTS);
    } else if (draw(15) == 0) {
        must(db, memdb_table_drop(txn, name_of(number)));
        assert_int_equal(memdb_table_drop(txn, name_of(number)), MEMDB_NOT_FOUND);
        table->live = false;
    } else {
        change(db, txn, table, number);
    }
}

static void look_after(fixture_t *fixture) {
    switch (draw(12)) {
    case 0:
        fixture_close(fixture);
        fixture_open(fixture, (memdb_options_t){.no_background = true});
        break;
    case 1:
        must(fixture->db, memdb_compact(fixture->db, NULL));
        break;
    case 2:
    case 3:
        must(fixture->db, memdb_checkpoint(fixture->db));
        break;
    default:
        break;
    }
}

static void test_tables_give_what_was_written(void **state) {
    fixture_t *fixture = *state;
    const char *given = getenv("MEMDB_SEED");
    seed = given ? strtoull(given, NULL, 10) : 20261125;
    printf("seed=%llu\n", (unsigned long long)seed);
    static model_t model, tried, kept;
    memset(&model, 0, sizeof model);
    for (int i = 0; i < STEPS; i++) {
        memdb_txn_t *txn;
        memdb_snapshot_t *snapshot = NULL;
        if (draw(4) == 0) {
            must(fixture->db, memdb_snapshot_begin(fixture->db, NULL, &snapshot));
            kept = model;
        }
        tried = model;
        must(fixture->db, memdb_txn_begin(fixture->db, &txn));
        for (uint32_t j = draw(4); j-- > 0;) {
            step(fixture->db, txn, &tried);
        }
        compare(memdb_txn_snapshot(txn), fixture->db, &tried); // its own writes
        if (draw(5) == 0) {
            memdb_txn_abort(txn);
        } else {
            must(fixture->db, memdb_txn_commit(txn, MEMDB_DURABILITY_OS, NULL));
            model = tried;
        }
        if (snapshot) {
            if (draw(2)) {
                must(fixture->db, memdb_checkpoint(fixture->db));
            }
            compare(snapshot, fixture->db, &kept);
            memdb_snapshot_end(snapshot);
        }
        look_after(fixture);
        compare_now(fixture->db, &model);
    }
    must(fixture->db, memdb_verify(fixture->db, NULL, NULL));

    // A backup, and a salvage of what is not damaged, have the same.
    char copy[300];
    memdb_t *other;
    memdb_options_t options = {.size = sizeof options};
    memdb_copied_t copied = {.size = sizeof copied};
    snprintf(copy, sizeof copy, "%s.backup", fixture->path);
    must(fixture->db, memdb_backup(fixture->db, copy, NULL, &copied));
    assert_int_equal(memdb_open(copy, &options, &other, NULL), MEMDB_OK);
    compare_now(other, &model);
    assert_int_equal(memdb_close(other), MEMDB_OK);
    fixture_close(fixture);
    snprintf(copy, sizeof copy, "%s.salvaged", fixture->path);
    uint64_t losses = 0;
    assert_int_equal(memdb_salvage(fixture->path, copy, NULL, NULL, &losses, NULL), MEMDB_OK);
    assert_int_equal(losses, 0);
    assert_int_equal(memdb_open(copy, &options, &other, NULL), MEMDB_OK);
    compare_now(other, &model);
    must(other, memdb_verify(other, NULL, NULL));
    memdb_space_t space = space_of(other, "new"); // its number is nobody else's
    assert_true(space > 0);
    compare_now(other, &model);
    assert_int_equal(memdb_close(other), MEMDB_OK);
    fixture_open(fixture, (memdb_options_t){0});
}

// ------------------------------------------------------------------------------ commits, refusals

static memdb_table_t *make_table(memdb_t *db, const memdb_table_info_t *info) {
    memdb_txn_t *txn;
    memdb_table_t *table;
    must(db, memdb_txn_begin(db, &txn));
    must(db, memdb_table_create(txn, info));
    must(db, memdb_table_open(memdb_txn_snapshot(txn), info->name, info, &table));
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_OS, NULL));
    return table;
}

static memdb_status_t add_one(memdb_txn_t *txn, const memdb_table_t *table, uint64_t row) {
    const float ones[DIMENSION] = {1, 1, 1, 1, 1, 1, 1};
    return memdb_table_update(txn, table, &row, 1, MEMDB_ROWS_ADD, ones, 1);
}

static void test_tables_who_commits_a_row_second_is_told(void **state) {
    fixture_t *fixture = *state;
    memdb_t *db = fixture->db;
    memdb_table_info_t info = info_of(1, MEMDB_DTYPE_F32);
    memdb_table_t *table = make_table(db, &info);
    memdb_txn_t *first, *second, *third, *last;
    must(db, memdb_txn_begin(db, &first));
    must(db, memdb_txn_begin(db, &second));
    must(db, memdb_txn_begin(db, &third));
    must(db, memdb_txn_begin(db, &last));
    must(db, add_one(first, table, 3));
    must(db, add_one(second, table, 3));
    must(db, add_one(third, table, 4));
    must(db, add_one(last, table, 5));
    must(db, memdb_txn_commit(first, MEMDB_DURABILITY_OS, NULL));
    assert_int_equal(memdb_txn_commit(second, MEMDB_DURABILITY_OS, NULL), MEMDB_CONFLICT);
    must(db, memdb_txn_commit(third, MEMDB_DURABILITY_OS, NULL)); // another row
    must(db, memdb_txn_begin(db, &first));
    must(db, memdb_table_drop(first, info.name));
    must(db, memdb_txn_commit(first, MEMDB_DURABILITY_OS, NULL));
    assert_int_equal(memdb_txn_commit(last, MEMDB_DURABILITY_OS, NULL), MEMDB_CONFLICT);
    memdb_snapshot_t *now;
    float row[DIMENSION];
    must(db, memdb_snapshot_begin(db, NULL, &now));
    assert_int_equal(memdb_table_gather(now, table, (uint64_t[]){3}, 1, true, row, sizeof row),
                     MEMDB_NOT_FOUND);
    memdb_snapshot_end(now);
    memdb_table_close(table);
}

static void test_tables_refuse_what_does_not_fit(void **state) {
    fixture_t *fixture = *state;
    memdb_t *db = fixture->db;
    memdb_table_info_t info = info_of(0, MEMDB_DTYPE_F16), wrong = info;
    memdb_table_t *table = make_table(db, &info), *other;
    memdb_snapshot_t *now;
    memdb_txn_t *txn;
    const uint64_t rows[2] = {3, ROWS};
    float numbers[2 * DIMENSION] = {0};
    char message[512];
    must(db, memdb_snapshot_begin(db, NULL, &now));
    assert_int_equal(memdb_table_gather(now, table, rows, 2, true, numbers, 28), MEMDB_INVALID);
    memdb_last_error(db, message, sizeof message);
    assert_string_equal(message, "row 60: the table has 60");
    assert_int_equal(memdb_table_gather(now, table, rows, 1, true, numbers, 27), MEMDB_INVALID);
    const uint64_t other_primes[] = {7, 13};
    wrong.hashing.primes = other_primes;
    assert_int_equal(memdb_table_open(now, info.name, &wrong, &other), MEMDB_INVALID);
    memdb_last_error(db, message, sizeof message);
    assert_string_equal(message, "the table \"engram\" hashes otherwise than expected: every row "
                                 "would be another one's");
    wrong = info;
    wrong.dtype = MEMDB_DTYPE_BF16;
    assert_int_equal(memdb_table_open(now, info.name, &wrong, &other), MEMDB_INVALID);
    wrong = info;
    wrong.name = text("by another name"); // plays no part
    must(db, memdb_table_open(now, info.name, &wrong, &other));
    memdb_table_close(other);
    assert_int_equal(memdb_table_open(now, text("nobody"), NULL, &other), MEMDB_NOT_FOUND);
    memdb_snapshot_end(now);

    must(db, memdb_txn_begin(db, &txn));
    assert_int_equal(memdb_table_update(txn, table, rows, 2, MEMDB_ROWS_SET, numbers, 1),
                     MEMDB_INVALID);
    numbers[4] = NAN;
    assert_int_equal(memdb_table_update(txn, table, rows, 1, MEMDB_ROWS_ADD, numbers, 1),
                     MEMDB_INVALID);
    assert_int_equal(memdb_table_update(txn, table, rows, 1, (memdb_rows_mode_t)4, numbers, 1),
                     MEMDB_INVALID);
    assert_int_equal(memdb_table_update(txn, table, rows, 1, MEMDB_ROWS_SET, numbers, INFINITY),
                     MEMDB_INVALID);
    const uint64_t no_row = MEMDB_NO_ROW;
    assert_int_equal(memdb_table_update(txn, table, &no_row, 1, MEMDB_ROWS_SET, numbers, 1),
                     MEMDB_INVALID);
    struct {
        memdb_table_info_t info;
        memdb_status_t status;
    } bad[] = {{info_of(1, (memdb_dtype_t)9), MEMDB_INVALID},
               {info_of(1, 0), MEMDB_LIMIT},
               {info_of(1, 0), MEMDB_INVALID},
               {info_of(1, 0), MEMDB_INVALID},
               {info_of(1, 0), MEMDB_LIMIT},
               {info_of(0, 0), MEMDB_INVALID}};
    bad[1].info.rows = (UINT64_C(1) << 40) + 1;
    bad[2].info.rows = 0;
    bad[3].info.name = text("");
    bad[4].info.dimension = MEMDB_MAX_TABLE_DIMENSION + 1;
    bad[5].info.rows = 17; // less than the hash reaches
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(memdb_table_create(txn, &bad[i].info), bad[i].status);
    }
    memdb_txn_abort(txn);
    memdb_table_close(table);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_tables_give_what_was_written, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_tables_who_commits_a_row_second_is_told, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_tables_refuse_what_does_not_fit, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
