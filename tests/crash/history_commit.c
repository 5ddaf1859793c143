// See history.h: making a transaction.
#include "tests/crash/history.h"

static memdb_status_t put_slot(memdb_txn_t *txn, memdb_space_t space, const history_t *history,
                               uint32_t writer, uint32_t number, const operation_t *operation) {
    float vector[DIMENSION];
    memdb_blob_t blob;
    memdb_memory_t memory = {
        .size = sizeof memory,
        .fields = MEMDB_FIELD_KEY | MEMDB_FIELD_TEXT | MEMDB_FIELD_SESSION | MEMDB_FIELD_VECTOR |
                  MEMDB_FIELD_BLOBS,
        .key = history_key(operation->slot),
        .text = history_text(history, writer, operation->slot, number),
        .session = {operation->slot % 2 ? "odd" : "even", operation->slot % 2 ? 3 : 4}};
    if (operation->vector) {
        history_vector(history, writer, operation->slot, number, vector);
        memory.vector = vector;
        memory.dimension = DIMENSION;
    }
    if (operation->blob_bytes) {
        memdb_bytes_t bytes =
            history_blob(history, writer, operation->slot, number, operation->blob_bytes);
        memdb_status_t status = memdb_blob_put(txn, bytes.data, bytes.size, &blob);
        if (status) {
            return status;
        }
        memory.blobs = &blob;
        memory.blob_count = 1;
    }
    return memdb_put(txn, space, &memory, NULL);
}

static memdb_status_t change_link(memdb_txn_t *txn, memdb_space_t space, uint32_t number,
                                  const operation_t *operation) {
    memdb_memory_t from, to;
    memdb_snapshot_t *snapshot = memdb_txn_snapshot(txn);
    memdb_status_t status = memdb_get_by_key(snapshot, space, history_key(operation->slot), &from);
    status = status ? status : memdb_get_by_key(snapshot, space, history_key(operation->to), &to);
    if (status) {
        return status;
    }
    if (operation->kind == OPERATION_UNLINK) {
        return memdb_remove_link(txn, space, from.id, to.id, (memdb_bytes_t){"next", 4});
    }
    memdb_link_t link = {.size = sizeof link,
                         .space = space,
                         .from = from.id,
                         .to = to.id,
                         .type = {"next", 4},
                         .weight = number + 1,
                         .valid_from = MEMDB_TIME_NONE,
                         .valid_to = MEMDB_TIME_NONE};
    return memdb_put_link(txn, &link);
}

static memdb_status_t change_scratch(memdb_txn_t *txn, const history_t *history, uint32_t writer,
                                     uint32_t number, bool drop) {
    memdb_space_t scratch;
    memdb_bytes_t name = history_space(writer, true);
    if (drop) {
        return memdb_space_drop(txn, name);
    }
    memdb_status_t status = memdb_space_ensure(txn, name, &scratch);
    for (uint32_t slot = 0; slot < 2 && !status; slot++) {
        const operation_t operation = {.kind = OPERATION_PUT, .slot = slot};
        status = put_slot(txn, scratch, history, writer, number, &operation);
    }
    return status;
}

static memdb_status_t forget(memdb_txn_t *txn, memdb_space_t space, uint32_t slot) {
    memdb_memory_t memory;
    memdb_status_t status =
        memdb_get_by_key(memdb_txn_snapshot(txn), space, history_key(slot), &memory);
    return status ? status : memdb_forget(txn, space, memory.id);
}

static memdb_status_t operate(memdb_txn_t *txn, memdb_space_t space, const history_t *history,
                              uint32_t writer, const content_t *after,
                              const operation_t *operation) {
    uint32_t number = after->count - 1;
    switch (operation->kind) {
    case OPERATION_PUT:
        return put_slot(txn, space, history, writer, number, operation);
    case OPERATION_FORGET:
        return forget(txn, space, operation->slot);
    case OPERATION_SCRATCH:
        return change_scratch(txn, history, writer, number, after->scratch == 0);
    default:
        return change_link(txn, space, number, operation);
    }
}

static memdb_status_t put_count(memdb_txn_t *txn, memdb_space_t space, const history_t *history,
                                uint32_t writer, uint32_t count) {
    memdb_memory_t memory = {.size = sizeof memory,
                             .fields = MEMDB_FIELD_KEY | MEMDB_FIELD_TEXT,
                             .key = {"n", 1},
                             .text = history_count_text(history, writer, count)};
    return memdb_put(txn, space, &memory, NULL);
}

memdb_status_t history_commit(memdb_t *db, history_t *history, uint32_t writer, content_t *content,
                              memdb_durability_t durability, bool survives) {
    memdb_txn_t *txn;
    memdb_space_t space;
    uint64_t lsn = 0;
    content_t after = *content;
    operation_t operations[MOST_OPERATIONS];
    size_t count = history_next(history, writer, &after, operations);
    memdb_status_t status = memdb_txn_begin(db, &txn);
    if (status) {
        return status;
    }
    status = memdb_space_ensure(txn, history_space(writer, false), &space);
    for (size_t i = 0; i < count && !status; i++) {
        status = operate(txn, space, history, writer, &after, &operations[i]);
    }
    status = status ? status : put_count(txn, space, history, writer, after.count);
    if (status) {
        memdb_txn_abort(txn);
        return status;
    }
    history_mark(history, MARK_BEGIN, writer, content->count, 0);
    status = memdb_txn_commit(txn, durability, &lsn);
    if (!status) {
        history_mark(history, survives ? MARK_FULL : MARK_DONE, writer, content->count, lsn);
        *content = after;
    }
    return status;
}
