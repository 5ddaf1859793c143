// Listings through a filter, and forgetting by one.
//
// How far a listing will be followed is not known: a page of it may cost less than the walk that
// makes the set of all that pass. So memories are read and asked at first, and the set is made when
// as much was spent on those that were refused as it will cost (the rule for renting skis: never
// more than twice what the better way would have cost). From then on what is outside the set is
// passed over unread; the filter still decides.
#include "query/query_recall.h"

#define SOON 64u // memories that are refused before a set is thought of

/// A set that a transaction's later writes are not in is not asked any more.
static bool is_outdated(const memdb__plan_sieve_t *sieve, const memdb_snapshot_t *snapshot) {
    return snapshot->txn && snapshot->txn->own.operations != sieve->operations;
}

bool memdb__plan_sieve_has(const memdb__plan_sieve_t *sieve, const memdb_snapshot_t *snapshot,
                           uint64_t id) {
    return !sieve->made || is_outdated(sieve, snapshot) || memdb__plan_set_has(&sieve->set, id);
}

void memdb__plan_sieve_deinit(memdb__plan_sieve_t *sieve) {
    memdb__bitmap_deinit(&sieve->set.ids);
}

/// Estimate, and make the set if enough was spent.
static memdb_status_t consider(memdb__plan_sieve_t *sieve, memdb__planner_t *planner,
                               memdb__arena_t *arena) {
    memdb_status_t status = memdb__plan_estimate(planner, arena);
    const memdb__plan_estimate_t *whole = &planner->whole;
    if (status) {
        return status;
    }
    double worth = whole->walk * MEMDB__COST_WALK / MEMDB__COST_LOOK;
    if (!whole->answerable) {
        sieve->patience = UINT64_MAX;
    } else if (worth > (double)sieve->refused) {
        sieve->patience = (uint64_t)worth + 1;
    } else {
        status = memdb__plan_make_set(planner, &sieve->set);
        sieve->made = true;
    }
    return status;
}

memdb_status_t memdb__plan_sieve_refused(memdb__plan_sieve_t *sieve,
                                         const memdb_snapshot_t *snapshot, memdb_space_t space,
                                         const memdb_filter_t *filter, memdb_error_t *error) {
    const memdb__recall_gate_t gate = {.from = INT64_MIN, .to = INT64_MAX};
    memdb__planner_t planner = {
        .sight = &snapshot->sight, .space = space, .filter = filter, .gate = &gate, .error = error};
    memdb__arena_t arena;
    sieve->patience = sieve->patience ? sieve->patience : SOON;
    if (!filter || sieve->made || ++sieve->refused < sieve->patience) {
        return MEMDB_OK;
    }
    sieve->operations = snapshot->txn ? snapshot->txn->own.operations : 0;
    memdb__arena_init(&arena);
    memdb_status_t status = consider(sieve, &planner, &arena);
    memdb__arena_deinit(&arena);
    return status;
}
