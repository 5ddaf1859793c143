// Spaces: named collections, each with a dimension, a metric and a tokenizer; and the embedders of
// a handle.
//
// A space is two entries of the ordered map: name -> id, and id -> descriptor. Ids are never
// reused, so what a dropped space held can stay in old segments without ever being taken for
// something else.
#include "engine/engine.h"

static memdb_status_t check_name(memdb_bytes_t name, memdb_error_t *error) {
    if (!name.size || !name.data || name.size > MEMDB_MAX_NAME_BYTES) {
        return memdb__fail(error, name.size > MEMDB_MAX_NAME_BYTES ? MEMDB_LIMIT : MEMDB_INVALID,
                           "space: a name of 1 to %d bytes is needed, not %zu",
                           MEMDB_MAX_NAME_BYTES, name.size);
    }
    if (!memdb__is_utf8(name.data, name.size) || memchr(name.data, 0, name.size)) {
        return memdb__fail(error, MEMDB_INVALID,
                           "space: the name is not UTF-8, or holds a zero byte");
    }
    return MEMDB_OK;
}

static memdb_status_t create(memdb_txn_t *txn, memdb_bytes_t name,
                             const memdb_space_options_t *options, memdb_space_t *space_out,
                             memdb_error_t *error) {
    memdb_space_info_t info = {.name = name};
    if (options) {
        if (options->size < sizeof *options || options->dimension > MEMDB_MAX_DIMENSION ||
            (uint32_t)options->metric > MEMDB_METRIC_L2 ||
            (uint32_t)options->tokenizer > MEMDB_TOKENIZER_NONE) {
            return memdb__fail(error, MEMDB_INVALID,
                               "space: dimension %u (at most %d), metric %d, tokenizer %d",
                               options->dimension, MEMDB_MAX_DIMENSION, (int)options->metric,
                               (int)options->tokenizer);
        }
        if (options->index_count && !options->indexes) {
            return memdb__fail(error, MEMDB_INVALID, "indexes: a count without data");
        }
        info.dimension = options->dimension;
        info.metric = options->metric;
        info.tokenizer = options->tokenizer;
        info.gates = options->gates;
        memdb_status_t status = memdb__gates_check(&info.gates, error);
        if (status) {
            return status;
        }
    }
    // Unique is all that the id needs to be (rule 16).
    uint64_t id =
        atomic_fetch_add_explicit(&txn->snapshot.db->control->next_space, 1, memory_order_relaxed);
    if (id > UINT32_MAX) {
        return memdb__fail(error, MEMDB_LIMIT, "space: no ids left");
    }
    memdb__buffer_t body = {0};
    memdb__space_encode(&body, &info);
    memdb__operation_t operation = {.kind = MEMDB__OPERATION_SPACE,
                                    .space = (memdb_space_t)id,
                                    .body = {(const char *)body.data, body.size}};
    memdb_status_t status = body.failed ? memdb__fail(error, MEMDB_NOMEM, "space: out of memory")
                                        : memdb__txn_operate(txn, &operation, error);
    memdb__buffer_deinit(&body);
    if (!status && options) {
        status = memdb__attributes_create(txn, (memdb_space_t)id, options->indexes,
                                          options->index_count, info.gates.no_copies, error);
    }
    if (!status) {
        *space_out = (memdb_space_t)id;
    }
    return status;
}

memdb_status_t memdb_space_create(memdb_txn_t *txn, memdb_bytes_t name,
                                  const memdb_space_options_t *options, memdb_space_t *space_out) {
    memdb_error_t error = {0};
    memdb_space_t found;
    if (!txn || !space_out) {
        return MEMDB_INVALID;
    }
    memdb_status_t status = memdb__snapshot_usable(&txn->snapshot, &error);
    status = status ? status : check_name(name, &error);
    if (!status) {
        status = memdb__find_space(&txn->snapshot.sight, name, &found, &error);
        if (status == MEMDB_OK) {
            status = memdb__fail(&error, MEMDB_EXISTS, "space: \"%.*s\" exists already",
                                 (int)name.size, name.data);
        } else if (status == MEMDB_NOT_FOUND) {
            status = create(txn, name, options, space_out, &error);
        }
    }
    return memdb__report(txn->snapshot.db, status, &error);
}

memdb_status_t memdb_space_ensure(memdb_txn_t *txn, memdb_bytes_t name, memdb_space_t *space_out) {
    memdb_error_t error = {0};
    if (!txn || !space_out) {
        return MEMDB_INVALID;
    }
    memdb_status_t status = memdb__snapshot_usable(&txn->snapshot, &error);
    status = status ? status : check_name(name, &error);
    status = status ? status : memdb__find_space(&txn->snapshot.sight, name, space_out, &error);
    if (status == MEMDB_NOT_FOUND) {
        status = create(txn, name, NULL, space_out, &error);
    }
    return memdb__report(txn->snapshot.db, status, &error);
}

memdb_status_t memdb_space_drop(memdb_txn_t *txn, memdb_bytes_t name) {
    memdb_error_t error = {0};
    memdb_space_t space;
    if (!txn) {
        return MEMDB_INVALID;
    }
    memdb_status_t status = memdb__snapshot_usable(&txn->snapshot, &error);
    status = status ? status : check_name(name, &error);
    status = status ? status : memdb__find_space(&txn->snapshot.sight, name, &space, &error);
    if (status == MEMDB_NOT_FOUND) {
        status = memdb__fail(&error, MEMDB_NOT_FOUND, "there is no space \"%.*s\"", (int)name.size,
                             name.data);
    } else if (!status) {
        memdb__operation_t operation = {
            .kind = MEMDB__OPERATION_DROP, .space = space, .name = name};
        status = memdb__txn_operate(txn, &operation, &error);
    }
    return memdb__report(txn->snapshot.db, status, &error);
}

memdb_status_t memdb_space_find(memdb_snapshot_t *snapshot, memdb_bytes_t name,
                                memdb_space_t *space_out) {
    memdb_error_t error = {0};
    if (!snapshot || !space_out) {
        return MEMDB_INVALID;
    }
    memdb_status_t status = memdb__snapshot_usable(snapshot, &error);
    status = status ? status : check_name(name, &error);
    status = status ? status : memdb__find_space(&snapshot->sight, name, space_out, &error);
    if (status == MEMDB_NOT_FOUND) {
        status = memdb__fail(&error, MEMDB_NOT_FOUND, "there is no space \"%.*s\"", (int)name.size,
                             name.data);
    }
    return memdb__report(snapshot->db, status, &error);
}

/// Add up what tiers and runs count for a space.
memdb_status_t memdb__space_count(const memdb__sight_t *sight, memdb_space_info_t *info,
                                  memdb_error_t *error) {
    int64_t memories = 0, text_bytes = 0, more_memories, more_bytes;
    memdb__key_t key;
    memdb__key_counters(&key, info->space);
    for (size_t i = 0; i < sight->view->tier_count; i++) {
        memdb__entry_t entry;
        memdb_status_t status =
            memdb__sorted_get(sight->view->tiers[i]->sorted, key.bytes, key.size, &entry, error);
        if (status == MEMDB_OK && entry.value_size == 16) {
            memories += (int64_t)memdb__get_u64(entry.value);
            text_bytes += (int64_t)memdb__get_u64(entry.value + 8);
        } else if (status && status != MEMDB_NOT_FOUND) {
            return status;
        }
    }
    for (size_t i = 0; i < sight->view->run_count; i++) {
        memdb__run_counters(sight->view->runs[i], info->space, &more_memories, &more_bytes);
        memories += more_memories;
        text_bytes += more_bytes;
    }
    if (sight->own) {
        memdb__run_t *own;
        memdb_status_t status = memdb__own_run(sight->own, &own, error);
        if (status) {
            return status;
        }
        memdb__run_counters(own, info->space, &more_memories, &more_bytes);
        memories += more_memories;
        text_bytes += more_bytes;
    }
    info->memories = memories > 0 ? (uint64_t)memories : 0;
    info->text_bytes = text_bytes > 0 ? (uint64_t)text_bytes : 0;
    return MEMDB_OK;
}

/// Count the memories of a space at an older moment, which nothing has counted: each one has a
/// time, so a walk over the space's times meets all.
static memdb_status_t count_memories(const memdb__sight_t *sight, memdb_space_info_t *info,
                                     memdb_error_t *error) {
    memdb__key_t prefix;
    memdb__merge_t merge;
    memdb__key_time_prefix(&prefix, info->space);
    info->memories = info->text_bytes = 0;
    memdb_status_t status = memdb__merge_open(&merge, sight, prefix.bytes, prefix.size, error);
    while (!status && merge.valid && merge.entry.key_size >= prefix.size &&
           memcmp(merge.entry.key, prefix.bytes, prefix.size) == 0) {
        memdb_space_t space;
        memdb__record_t record;
        uint64_t id = 0, version;
        int64_t time = 0;
        if (!memdb__key_parse_time(merge.entry.key, merge.entry.key_size, &space, &time, &id)) {
            status = memdb__fail(error, MEMDB_CORRUPT, "an index entry is not well formed");
            break;
        }
        memdb_status_t found = merge.entry.tombstone
                                   ? MEMDB_NOT_FOUND
                                   : memdb__read_record(sight, id, &record, &version, error);
        if (!found && record.space == info->space && record.time == time) {
            info->memories++;
            info->text_bytes += record.text.size;
        }
        status = found && found != MEMDB_NOT_FOUND ? found : memdb__merge_next(&merge, error);
    }
    memdb__merge_close(&merge);
    return status;
}

static memdb_status_t add_counts(const memdb_snapshot_t *snapshot, memdb_space_info_t *info,
                                 memdb_error_t *error) {
    return snapshot->as_of ? count_memories(&snapshot->sight, info, error)
                           : memdb__space_count(&snapshot->sight, info, error);
}

memdb_status_t memdb_space_get_info(memdb_snapshot_t *snapshot, memdb_space_t space,
                                    memdb_space_info_t *info_out) {
    memdb_error_t error = {0};
    memdb_space_info_t info;
    if (!snapshot || !info_out) {
        return MEMDB_INVALID;
    }
    memdb_status_t status = memdb__snapshot_usable(snapshot, &error);
    status = status ? status : memdb__read_space(&snapshot->sight, space, &info, &error);
    if (status == MEMDB_NOT_FOUND) {
        status = memdb__fail(&error, MEMDB_NOT_FOUND, "there is no space %u", space);
    }
    status = status ? status : add_counts(snapshot, &info, &error);
    if (!status) {
        *info_out = info;
    }
    return memdb__report(snapshot->db, status, &error);
}

static memdb_status_t list(memdb_snapshot_t *snapshot,
                           bool (*visit)(void *context, const memdb_space_info_t *info),
                           void *context, memdb_error_t *error) {
    static const uint8_t first = MEMDB__KEY_NAME;
    memdb__merge_t merge;
    memdb_status_t status = memdb__merge_open(&merge, &snapshot->sight, &first, 1, error);
    bool more = true;
    while (!status && more && merge.valid && merge.entry.key[0] == MEMDB__KEY_NAME) {
        memdb_space_info_t info;
        if (!merge.entry.tombstone && merge.entry.value_size == 4) {
            status = memdb__read_space(&snapshot->sight, memdb__get_u32(merge.entry.value), &info,
                                       error);
            status = status ? status : add_counts(snapshot, &info, error);
            more = status == MEMDB_OK && visit(context, &info);
            status = status == MEMDB_NOT_FOUND
                         ? memdb__fail(error, MEMDB_CORRUPT, "a space's name has no descriptor")
                         : status;
        }
        status = status ? status : memdb__merge_next(&merge, error);
    }
    memdb__merge_close(&merge);
    return status;
}

memdb_status_t memdb_space_list(memdb_snapshot_t *snapshot,
                                bool (*visit)(void *context, const memdb_space_info_t *info),
                                void *context) {
    memdb_error_t error = {0};
    if (!snapshot || !visit) {
        return MEMDB_INVALID;
    }
    memdb_status_t status = memdb__snapshot_usable(snapshot, &error);
    status = status ? status : list(snapshot, visit, context, &error);
    return memdb__report(snapshot->db, status, &error);
}

// ------------------------------------------------------------------------------ embedders

static memdb__embedder_t **find_embedder(memdb_t *db, memdb_bytes_t name) {
    memdb__embedder_t **at = &db->embedders;
    while (*at && memdb__compare((*at)->name, (*at)->name_size, name.data, name.size) != 0) {
        at = &(*at)->next;
    }
    return at;
}

bool memdb__embedder_of(memdb_t *db, memdb_bytes_t name, memdb__embedder_t *embedder_out) {
    pthread_mutex_lock(&db->embedders_mutex);
    memdb__embedder_t *embedder = *find_embedder(db, name);
    if (embedder) {
        *embedder_out = *embedder;
    }
    pthread_mutex_unlock(&db->embedders_mutex);
    return embedder != NULL;
}

static memdb_status_t set_embedder(memdb_t *db, memdb_bytes_t name, uint32_t dimension,
                                   memdb_embed_fn embed, void *context, memdb_error_t *error) {
    memdb__embedder_t **at = find_embedder(db, name), *embedder = *at;
    if (!embed) {
        if (embedder) {
            *at = embedder->next;
            memdb__free(embedder->name);
            memdb__free(embedder);
        }
        return MEMDB_OK;
    }
    if (!embedder) {
        embedder = memdb__allocate_zeroed(1, sizeof *embedder);
        char *copy = embedder ? memdb__allocate(name.size) : NULL;
        if (!copy) {
            memdb__free(embedder);
            return memdb__fail(error, MEMDB_NOMEM, "embedder: out of memory");
        }
        memcpy(copy, name.data, name.size);
        embedder->name = copy;
        embedder->name_size = name.size;
        *at = embedder;
    }
    embedder->dimension = dimension;
    embedder->embed = embed;
    embedder->context = context;
    return MEMDB_OK;
}

memdb_status_t memdb_embedder_register(memdb_t *db, memdb_bytes_t name, uint32_t dimension,
                                       memdb_embed_fn embed, void *context) {
    memdb_error_t error = {0};
    if (!db) {
        return MEMDB_INVALID;
    }
    memdb_status_t status = memdb__usable(db, &error);
    status = status ? status : check_name(name, &error);
    if (!status && embed && (dimension == 0 || dimension > MEMDB_MAX_DIMENSION)) {
        status = memdb__fail(&error, MEMDB_INVALID, "embedder: dimension %u, at most %d", dimension,
                             MEMDB_MAX_DIMENSION);
    }
    if (!status) {
        pthread_mutex_lock(&db->embedders_mutex);
        status = set_embedder(db, name, dimension, embed, context, &error);
        pthread_mutex_unlock(&db->embedders_mutex);
    }
    return memdb__report(db, status, &error);
}
