// Gates: what a space asks of memories that are put into it.
//
// A quota is compared with the counts that the transaction sees. What is compared with memories is
// in gate_alike.c. All of it looks through the transaction's own snapshot, own puts included.
//
// Two transactions that look, and then put, must not miss each other: the first put of each writes
// the space's descriptor anew, unchanged, and of two that write one key the second conflicts.
#include "engine/gate.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const names[MEMDB_GATE_COUNT] = {
    [MEMDB_GATE_MOST_ALIKE] = "most_alike",           [MEMDB_GATE_MOST_MEMORIES] = "most_memories",
    [MEMDB_GATE_MOST_TEXT_BYTES] = "most_text_bytes", [MEMDB_GATE_NO_COPIES] = "no_copies",
    [MEMDB_GATE_NO_RECALLED] = "no_recalled",         [MEMDB_GATE_MOST_NEAR] = "most_near",
};

const char *memdb_gate_name(memdb_gate_t gate) {
    return (unsigned)gate < MEMDB_GATE_COUNT ? names[gate] : "unknown";
}

/// What a message says of a put that is like a memory.
static void describe(const memdb__gate_put_t *put, const memdb_refusal_t *refusal,
                     memdb_error_t *error) {
    char where[32] = "";
    if (refusal->like_space != put->space->space) {
        snprintf(where, sizeof where, " of space %u", refusal->like_space);
    }
    switch (refusal->gate) {
    case MEMDB_GATE_NO_COPIES:
        memdb__fail(error, MEMDB_REFUSED, "put: the text is that of memory %" PRIu64,
                    refusal->like);
        break;
    case MEMDB_GATE_NO_RECALLED:
        memdb__fail(error, MEMDB_REFUSED, "put: the text was recalled from memory %" PRIu64 "%s",
                    refusal->like, where);
        break;
    default:
        memdb__fail(error, MEMDB_REFUSED, "put: the %s is like that of memory %" PRIu64 " (%.2f)",
                    refusal->gate == MEMDB_GATE_MOST_NEAR ? "vector" : "text", refusal->like,
                    refusal->likeness);
    }
}

memdb_status_t memdb__gate_refuse(const memdb__gate_put_t *put, memdb_refusal_t refusal,
                                  memdb_error_t *error) {
    memdb_t *db = put->txn->snapshot.db;
    memdb_error_t lost = {0};
    refusal.text = put->record->text;
    refusal.time = memdb__now_us();
    if (refusal.like) {
        describe(put, &refusal, error);
    }
    if (memdb__gate_note_refusal(db, put->space->space, &refusal, &lost)) {
        *error = lost;
        return lost.status;
    }
    atomic_fetch_add_explicit(&db->refused, 1, memory_order_relaxed); // a figure
    return MEMDB_REFUSED;
}

static memdb_status_t check_quota(const memdb__gate_put_t *put, memdb_error_t *error) {
    const memdb_gates_t *gates = &put->space->gates;
    memdb_space_info_t counted = *put->space;
    if (!gates->most_memories && !gates->most_text_bytes) {
        return MEMDB_OK;
    }
    memdb_status_t status = memdb__space_count(&put->txn->snapshot.sight, &counted, error);
    if (status) {
        return status;
    }
    if (!put->old && gates->most_memories && counted.memories >= gates->most_memories) {
        memdb__fail(error, MEMDB_REFUSED,
                    "put: the space holds %" PRIu64 " memories, at most %" PRIu64, counted.memories,
                    gates->most_memories);
        return memdb__gate_refuse(put, (memdb_refusal_t){.gate = MEMDB_GATE_MOST_MEMORIES}, error);
    }
    size_t before = put->old ? put->old->text.size : 0, after = put->record->text.size;
    if (gates->most_text_bytes && after > before &&
        counted.text_bytes + (after - before) > gates->most_text_bytes) {
        memdb__fail(error, MEMDB_REFUSED,
                    "put: the space holds %" PRIu64 " bytes of text, at most %" PRIu64,
                    counted.text_bytes, gates->most_text_bytes);
        return memdb__gate_refuse(put, (memdb_refusal_t){.gate = MEMDB_GATE_MOST_TEXT_BYTES},
                                  error);
    }
    return MEMDB_OK;
}

static memdb_status_t check_recalled(const memdb__gate_put_t *put, memdb_error_t *error) {
    memdb_refusal_t refusal = {.gate = MEMDB_GATE_NO_RECALLED, .likeness = 1};
    return memdb__gate_was_recalled(put->txn->snapshot.db, put->record->text, &refusal.like_space,
                                    &refusal.like)
               ? memdb__gate_refuse(put, refusal, error)
               : MEMDB_OK;
}

/// Write the descriptor, once for a space after another.
static memdb_status_t exclude_others(memdb_txn_t *txn, const memdb_space_info_t *space,
                                     memdb_error_t *error) {
    memdb__buffer_t body = {0};
    if (txn->gated == space->space) {
        return MEMDB_OK;
    }
    memdb__space_encode(&body, space);
    memdb__operation_t operation = {.kind = MEMDB__OPERATION_SPACE,
                                    .space = space->space,
                                    .body = {(const char *)body.data, body.size}};
    memdb_status_t status = body.failed ? memdb__fail(error, MEMDB_NOMEM, "put: out of memory")
                                        : memdb__txn_operate(txn, &operation, error);
    memdb__buffer_deinit(&body);
    txn->gated = status ? txn->gated : space->space;
    return status;
}

memdb_status_t memdb__gate_put(memdb_txn_t *txn, const memdb_space_info_t *space, uint64_t id,
                               const memdb__record_t *record, const memdb__record_t *old,
                               memdb_error_t *error) {
    const memdb_gates_t *gates = &space->gates;
    const memdb__gate_put_t put = {txn, space, id, record, old};
    if (txn->as_given) {
        return MEMDB_OK;
    }
    bool looks =
        gates->most_alike > 0 || gates->no_copies || gates->most_memories || gates->most_text_bytes;
    bool changed =
        record->text.size && (!old || memdb__compare(old->text.data, old->text.size,
                                                     record->text.data, record->text.size) != 0);
    memdb_status_t status = check_quota(&put, error);
    if (!status && changed && gates->no_recalled) {
        status = check_recalled(&put, error);
    }
    if (!status && changed && gates->no_copies) {
        status = memdb__gate_check_copies(&put, error);
    }
    if (!status && changed && gates->most_alike > 0) {
        status = memdb__gate_check_words(&put, error);
    }
    return status || !looks ? status : exclude_others(txn, space, error);
}

memdb_status_t memdb__gate_row(memdb_txn_t *txn, const memdb_space_info_t *space, uint64_t id,
                               const memdb__record_t *record, const memdb__record_t *old,
                               const uint8_t *row, memdb_error_t *error) {
    const memdb__gate_put_t put = {txn, space, id, record, old};
    if (txn->as_given || !(space->gates.most_near > 0)) {
        return MEMDB_OK;
    }
    memdb_status_t status = memdb__gate_check_near(&put, row, error);
    return status ? status : exclude_others(txn, space, error);
}

// ------------------------------------------------------------------------------ setting them

memdb_status_t memdb__gates_check(const memdb_gates_t *gates, memdb_error_t *error) {
    return memdb__gates_valid(gates)
               ? MEMDB_OK
               : memdb__fail(error, MEMDB_INVALID,
                             "gates: most_alike %g, most_near %g, near_words %g (each 0 to 1), "
                             "expire_after_us %lld",
                             gates->most_alike, gates->most_near, gates->near_words,
                             (long long)gates->expire_after_us);
}

static memdb_status_t set(memdb_txn_t *txn, memdb_space_t space, const memdb_gates_t *gates,
                          memdb_error_t *error) {
    memdb_space_info_t info;
    memdb_status_t status = memdb__read_space(&txn->snapshot.sight, space, &info, error);
    if (status == MEMDB_NOT_FOUND) {
        status = memdb__fail(error, MEMDB_NOT_FOUND, "there is no space %u", space);
    }
    status = status ? status : memdb__gates_check(gates, error);
    if (!status && gates->no_copies) {
        const memdb__attribute_index_t *index;
        status = memdb__attributes_of_text(txn, space, &index, error);
    }
    if (!status) {
        info.gates = *gates;
        txn->gated = 0;
        status = exclude_others(txn, &info, error);
    }
    return status;
}

memdb_status_t memdb_space_set_gates(memdb_txn_t *txn, memdb_space_t space,
                                     const memdb_gates_t *gates) {
    memdb_error_t error = {0};
    if (!txn || !gates) {
        return MEMDB_INVALID;
    }
    memdb_status_t status = memdb__snapshot_usable(&txn->snapshot, &error);
    status = status ? status : set(txn, space, gates, &error);
    return memdb__report(txn->snapshot.db, status, &error);
}
