// Superseding: a fact that takes the place of another ends the time for which that one holds.
//
// Validity is the second axis of time: [valid_from, valid_to) says when something holds, whatever
// the log says about when it was told. A link of the type MEMDB_LINK_SUPERSEDES from the new fact
// to the old one closes the old one's validity where the new one's begins, in the same transaction.
// Both are ordinary puts, so that they conflict with other changes of these memories, and the
// versions before them can be read as of older moments. (The temporal update of Snodgrass,
// Developing Time-Oriented Database Applications in SQL, chapter 7, for one successor.)
#include "engine/engine.h"

static bool is_set(int64_t time) {
    return time != MEMDB_TIME_NONE;
}

bool memdb_is_valid(int64_t valid_from, int64_t valid_to, int64_t moment) {
    return (!is_set(valid_from) || valid_from <= moment) &&
           (!is_set(valid_to) || moment < valid_to);
}

/// Where the new fact begins to hold: where the link says, or it itself, or at its time.
static int64_t begin_of(const memdb_link_t *link, const memdb__record_t *from) {
    if (is_set(link->valid_from)) {
        return link->valid_from;
    }
    return is_set(from->valid_from) ? from->valid_from : from->time;
}

/// The record of an end; a commit that changes it meanwhile conflicts.
static memdb_status_t read_end(memdb_txn_t *txn, uint64_t id, memdb__record_t *record,
                               memdb_error_t *error) {
    uint64_t version;
    memdb__key_t key;
    memdb_status_t status = memdb__read_record(&txn->snapshot.sight, id, record, &version, error);
    memdb__key_record(&key, id);
    return status ? status : memdb__txn_guard(txn, &key, true, error);
}

static memdb_status_t set_bound(memdb_txn_t *txn, memdb_space_t space, uint64_t id, uint32_t field,
                                int64_t moment, memdb_error_t *error) {
    memdb_memory_t memory = {
        .size = sizeof memory, .fields = field, .id = id, .valid_from = moment, .valid_to = moment};
    return memdb__put(txn, space, &memory, NULL, error);
}

memdb_status_t memdb__supersede(memdb_txn_t *txn, memdb_link_t *link, memdb_error_t *error) {
    memdb__record_t from, to;
    if (link->from == link->to) {
        return memdb__fail(error, MEMDB_INVALID, "link: a memory cannot supersede itself");
    }
    memdb_status_t status = read_end(txn, link->from, &from, error);
    status = status ? status : read_end(txn, link->to, &to, error);
    if (status) {
        return status;
    }
    int64_t begin = begin_of(link, &from);
    if (is_set(from.valid_to) && from.valid_to < begin) {
        return memdb__fail(error, MEMDB_INVALID,
                           "link: memory %llu ceases to hold before it supersedes another",
                           (unsigned long long)link->from);
    }
    if (is_set(link->valid_to) && link->valid_to < begin) {
        return memdb__fail(error, MEMDB_INVALID,
                           "link: valid_to is before the moment at which it supersedes");
    }
    int64_t end = is_set(to.valid_from) && to.valid_from > begin ? to.valid_from : begin;
    bool opens = !is_set(from.valid_from), closes = !is_set(to.valid_to) || to.valid_to > end;
    link->valid_from = begin;
    if (opens) {
        status = set_bound(txn, link->space, link->from, MEMDB_FIELD_VALID_FROM, begin, error);
    }
    if (!status && closes) {
        status = set_bound(txn, link->space, link->to, MEMDB_FIELD_VALID_TO, end, error);
    }
    if (status && opens && !txn->own.failure) {
        txn->own.failure = status; // the one without the other means nothing
    }
    return status;
}
