// Settings. See settings.h.
#include "engine/settings.h"

typedef struct setting {
    const char *name;
    size_t offset; // of a uint64_t in memdb_settings_t
} setting_t;

static const setting_t settings_table[] = {
    {"history_us", offsetof(memdb_settings_t, history_us)},
    {"history_bytes", offsetof(memdb_settings_t, history_bytes)},
    {"snapshot_limit_us", offsetof(memdb_settings_t, snapshot_limit_us)},
};
#define SETTING_COUNT (sizeof settings_table / sizeof *settings_table)

static uint64_t *value_of(memdb_settings_t *settings, size_t number) {
    return (uint64_t *)(void *)((char *)settings + settings_table[number].offset);
}

static memdb_bytes_t name_of(size_t number) {
    return (memdb_bytes_t){settings_table[number].name, strlen(settings_table[number].name)};
}

memdb_status_t memdb__settings_read(const memdb__sight_t *sight, memdb_settings_t *settings_out,
                                    memdb_error_t *error) {
    memdb_settings_t settings = {.size = sizeof settings};
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        memdb__key_t key;
        memdb__entry_t entry;
        memdb__key_setting(&key, name_of(i));
        memdb_status_t status = memdb__sight_get(sight, key.bytes, key.size, &entry, error);
        if (status && status != MEMDB_NOT_FOUND) {
            return status;
        }
        if (!status && (entry.value_size != 8 || memdb__get_u64(entry.value) > INT64_MAX)) {
            return memdb__fail(error, MEMDB_CORRUPT, "the setting %s is not well formed",
                               settings_table[i].name);
        }
        *value_of(&settings, i) = status ? 0 : memdb__get_u64(entry.value);
    }
    *settings_out = settings;
    return MEMDB_OK;
}

memdb_status_t memdb__settings_refresh(memdb_t *db, memdb_error_t *error) {
    memdb_settings_t settings;
    memdb__sight_t sight = {.view = atomic_load_explicit(&db->view, memory_order_relaxed),
                            .visible = UINT64_MAX}; // only changed under db->apply
    memdb_status_t status = memdb__settings_read(&sight, &settings, error);
    if (!status) {
        int64_t limit = (int64_t)settings.snapshot_limit_us;
        // Relaxed: a limit alone; whoever sees the old one is as right as a moment before.
        atomic_store_explicit(&db->snapshot_limit_us,
                              limit ? limit : MEMDB__DEFAULT_SNAPSHOT_LIMIT_US,
                              memory_order_relaxed);
    }
    return status;
}

memdb_status_t memdb_get_settings(memdb_t *db, memdb_settings_t *settings_out) {
    memdb_error_t error = {0};
    memdb_snapshot_t snapshot = {0};
    if (!db || !settings_out) {
        return MEMDB_INVALID;
    }
    memdb_status_t status = memdb__snapshot_init(db, &snapshot, &error);
    if (!status) {
        status = memdb__settings_read(&snapshot.sight, settings_out, &error);
        memdb__snapshot_deinit(&snapshot);
    }
    return memdb__report(db, status, &error);
}

/// Write what differs from what the transaction sees.
static memdb_status_t write_settings(memdb_txn_t *txn, const memdb_settings_t *wanted,
                                     memdb_error_t *error) {
    memdb_settings_t now, given = *wanted;
    memdb_status_t status = memdb__settings_read(&txn->snapshot.sight, &now, error);
    for (size_t i = 0; !status && i < SETTING_COUNT; i++) {
        uint64_t value = *value_of(&given, i);
        if (value > INT64_MAX) {
            return memdb__fail(error, MEMDB_INVALID, "settings: %s: %llu is above 2^63 - 1",
                               settings_table[i].name, (unsigned long long)value);
        }
        if (value != *value_of(&now, i)) {
            memdb__operation_t operation = {
                .kind = MEMDB__OPERATION_SETTING, .name = name_of(i), .size = value};
            status = memdb__txn_operate(txn, &operation, error);
        }
    }
    return status;
}

memdb_status_t memdb_configure(memdb_t *db, const memdb_settings_t *settings) {
    memdb_error_t error = {0};
    memdb_txn_t *txn;
    if (!db || !settings) {
        return MEMDB_INVALID;
    }
    if (settings->size < sizeof *settings) {
        memdb_status_t status =
            memdb__fail(&error, MEMDB_INVALID, "settings: the struct's size is not set");
        return memdb__report(db, status, &error);
    }
    memdb_status_t status = memdb_txn_begin(db, &txn);
    if (status) {
        return status; // reported there
    }
    status = write_settings(txn, settings, &error);
    if (status) {
        memdb_txn_abort(txn);
        return memdb__report(db, status, &error);
    }
    return memdb_txn_commit(txn, MEMDB_DURABILITY_DEFAULT, NULL);
}
