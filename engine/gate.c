// Gates: what a space asks of memories that are put into it.
//
// A quota is compared with the counts that the transaction sees. Likeness is measured against the
// memories that a search by the new text's own words ranks first: a text of the same words is among
// them unless dozens of others hold all of its words, and more often. So gates keep junk out, and
// are no constraint that a reader may build on.
//
// Two transactions that look, and then put, must not miss each other: the first put of each writes
// the space's descriptor anew, unchanged, and of two that write one key the second conflicts.
#include "engine/engine.h"

#include <inttypes.h>

#define LIKE_CANDIDATES 64
#define LIKE_ROUNDING 1e-9

static memdb_status_t refuse(memdb_txn_t *txn, memdb_error_t *error) {
    atomic_fetch_add_explicit(&txn->snapshot.db->refused, 1, memory_order_relaxed); // a figure
    return error->status;
}

static memdb_status_t check_quota(memdb_txn_t *txn, const memdb_space_info_t *space,
                                  const memdb__record_t *record, const memdb__record_t *old,
                                  memdb_error_t *error) {
    const memdb_gates_t *gates = &space->gates;
    memdb_space_info_t counted = *space;
    if (!gates->most_memories && !gates->most_text_bytes) {
        return MEMDB_OK;
    }
    memdb_status_t status = memdb__space_count(&txn->snapshot.sight, &counted, error);
    if (status) {
        return status;
    }
    if (!old && gates->most_memories && counted.memories >= gates->most_memories) {
        memdb__fail(error, MEMDB_REFUSED,
                    "put: the space holds %" PRIu64 " memories, at most %" PRIu64, counted.memories,
                    gates->most_memories);
        return refuse(txn, error);
    }
    size_t before = old ? old->text.size : 0;
    if (gates->most_text_bytes && record->text.size > before &&
        counted.text_bytes + (record->text.size - before) > gates->most_text_bytes) {
        memdb__fail(error, MEMDB_REFUSED,
                    "put: the space holds %" PRIu64 " bytes of text, at most %" PRIu64,
                    counted.text_bytes, gates->most_text_bytes);
        return refuse(txn, error);
    }
    return MEMDB_OK;
}

// ------------------------------------------------------------------------------ likeness

static memdb_status_t no_memory(memdb_error_t *error) {
    return memdb__fail(error, MEMDB_NOMEM, "put: no memory to compare texts");
}

/// Compare with one memory that is there.
static memdb_status_t compare(memdb_txn_t *txn, const memdb_space_info_t *space, uint64_t id,
                              const memdb__buffer_t *terms, memdb__buffer_t *others,
                              memdb_error_t *error) {
    memdb__record_t record;
    uint64_t version;
    memdb_status_t status = memdb__read_record(&txn->snapshot.sight, id, &record, &version, error);
    if (status) {
        return status;
    }
    if (!memdb__terms_of(space->tokenizer, record.text.data, record.text.size, others)) {
        return no_memory(error);
    }
    double alike = memdb__terms_likeness(terms, others);
    if (alike < space->gates.most_alike - LIKE_ROUNDING) {
        return MEMDB_OK;
    }
    memdb__fail(error, MEMDB_REFUSED, "put: the text is like that of memory %" PRIu64 " (%.2f)", id,
                alike);
    return refuse(txn, error);
}

static memdb_status_t search(memdb_txn_t *txn, const memdb_space_info_t *space,
                             const memdb__record_t *record, memdb__words_hit_t *hits,
                             size_t *count_out, memdb_error_t *error) {
    memdb__words_query_t *words;
    memdb__live_t live = {.sight = &txn->snapshot.sight, .now = memdb__now_us()};
    memdb__words_source_t *sources;
    memdb__words_search_t asked = {.space = space->space,
                                   .visible = memdb__snapshot_visible(&txn->snapshot),
                                   .live = memdb__document_live,
                                   .context = &live};
    memdb_status_t status = memdb__words_query_create(space->tokenizer, record->text.data,
                                                      record->text.size, &words, error);
    if (status) {
        return status;
    }
    status = memdb__snapshot_words(&txn->snapshot, &sources, &asked.source_count, error);
    asked.sources = sources;
    if (!status) {
        status = memdb__words_search(words, &asked, hits, LIKE_CANDIDATES, count_out, error);
    }
    memdb__words_query_destroy(words);
    if (!status && live.error.status) {
        *error = live.error;
        status = error->status;
    }
    return status;
}

static memdb_status_t check_likeness(memdb_txn_t *txn, const memdb_space_info_t *space, uint64_t id,
                                     const memdb__record_t *record, memdb_error_t *error) {
    memdb__words_hit_t hits[LIKE_CANDIDATES];
    memdb__buffer_t terms = {0}, others = {0};
    size_t count = 0;
    memdb_status_t status = search(txn, space, record, hits, &count, error);
    if (!status &&
        !memdb__terms_of(space->tokenizer, record->text.data, record->text.size, &terms)) {
        status = no_memory(error);
    }
    for (size_t i = 0; i < count && !status; i++) {
        if (hits[i].id != id) {
            status = compare(txn, space, hits[i].id, &terms, &others, error);
        }
    }
    memdb__buffer_deinit(&terms);
    memdb__buffer_deinit(&others);
    return status;
}

// ------------------------------------------------------------------------------ both

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
    if (txn->as_given ||
        (!(gates->most_alike > 0) && !gates->most_memories && !gates->most_text_bytes)) {
        return MEMDB_OK;
    }
    bool changed =
        record->text.size && (!old || memdb__compare(old->text.data, old->text.size,
                                                     record->text.data, record->text.size) != 0);
    memdb_status_t status = check_quota(txn, space, record, old, error);
    if (!status && changed && gates->most_alike > 0) {
        status = check_likeness(txn, space, id, record, error);
    }
    return status ? status : exclude_others(txn, space, error);
}

memdb_status_t memdb_space_set_gates(memdb_txn_t *txn, memdb_space_t space,
                                     const memdb_gates_t *gates) {
    memdb_error_t error = {0};
    memdb_space_info_t info;
    if (!txn || !gates) {
        return MEMDB_INVALID;
    }
    memdb_status_t status = memdb__snapshot_usable(&txn->snapshot, &error);
    status = status ? status : memdb__read_space(&txn->snapshot.sight, space, &info, &error);
    if (status == MEMDB_NOT_FOUND) {
        status = memdb__fail(&error, MEMDB_NOT_FOUND, "there is no space %u", space);
    } else if (!status && !memdb__gates_valid(gates)) {
        status = memdb__fail(&error, MEMDB_INVALID, "gates: likeness %g, expiry after %lld us",
                             gates->most_alike, (long long)gates->expire_after_us);
    }
    if (!status) {
        info.gates = *gates;
        txn->gated = 0;
        status = exclude_others(txn, &info, &error);
    }
    return memdb__report(txn->snapshot.db, status, &error);
}
