// The choice of a plan. See query_plan.h, and docs/planner.md for the costs.
#include "query/query_explain.h"
#include "query/query_recall.h"

#define SURE_SHARE .2 // below this share of passing rows, a search asks as it goes

static const char *const names[] = {"", "scan of the members", "search within the members",
                                    "search, then filter"};

/// What going through rows of vectors costs, as far as vectors are asked for.
static double rows_cost(const memdb__recall_t *recall, double rows, double each) {
    return recall->vector ? rows * each * recall->space.dimension / 256 : 0;
}

static double words_cost(const memdb__recall_t *recall, double documents, double each) {
    return recall->use_words ? documents * each : 0;
}

/// A look at a record, and at its text where words are demanded.
static double look_cost(const memdb__recall_t *recall) {
    return MEMDB__COST_LOOK + (recall->gate.demand ? MEMDB__COST_MATCH : 0);
}

/// Read and score each member.
static double members_cost(const memdb__recall_t *recall, double rows) {
    double finds = recall->vector ? rows * MEMDB__COST_FIND_ROW : 0;
    return rows * look_cost(recall) + finds + rows_cost(recall, rows, MEMDB__COST_JUMP) +
           words_cost(recall, rows, MEMDB__COST_WORDS);
}

/// Look at what is found, of `rows`, until there are enough of which a share passes.
static double looks_cost(const memdb__recall_t *recall, double rows, double share) {
    double signals = (recall->vector != NULL) + (recall->use_words ? 1 : 0);
    double looks = share > 0 ? recall->capacity / share : rows;
    return signals * (looks < rows ? looks : rows) * look_cost(recall);
}

static double within_cost(const memdb__recall_t *recall, double memories, double rows,
                          double rest) {
    double alone = rows_cost(recall, rows, MEMDB__COST_JUMP);
    double all = rows_cost(recall, memories, MEMDB__COST_ROW);
    double tests = recall->vector ? memories * MEMDB__COST_TEST : 0;
    return tests + (alone < all ? alone : all) + words_cost(recall, memories, MEMDB__COST_SEARCH) +
           looks_cost(recall, rows, rest);
}

static double after_cost(const memdb__recall_t *recall, const memdb__planner_t *planner) {
    const memdb__plan_estimate_t *whole = &planner->whole;
    double memories = planner->memories;
    double share = memories > 0 ? whole->rows / memories * whole->rest : 1;
    return rows_cost(recall, memories, MEMDB__COST_ROW) +
           words_cost(recall, memories, MEMDB__COST_SEARCH) + looks_cost(recall, memories, share);
}

/// Members or within: decided by what the set turned out to hold. Where words are demanded all of
/// few members are hits, whatever they score.
static memdb__plan_kind_t choose_by_set(const memdb__recall_t *recall,
                                        const memdb__planner_t *planner, double rows) {
    bool all = memdb__words_demand_requires(recall->gate.demand) && rows <= recall->capacity;
    return all || members_cost(recall, rows) <
                       within_cost(recall, planner->memories, rows, planner->whole.rest)
               ? MEMDB__PLAN_MEMBERS
               : MEMDB__PLAN_WITHIN;
}

static bool wants_set(const memdb__recall_t *recall, const memdb__planner_t *planner) {
    const memdb__plan_estimate_t *whole = &planner->whole;
    if (whole->answerable && memdb__words_demand_requires(recall->gate.demand)) {
        return true; // a search of words reads its lists anyway
    }
    if (!whole->answerable || recall->plan.forced == MEMDB__PLAN_AFTER) {
        return false;
    }
    if (recall->plan.forced != MEMDB__PLAN_CHOOSE) {
        return true;
    }
    double members = members_cost(recall, whole->rows);
    double within = within_cost(recall, planner->memories, whole->rows, whole->rest);
    return whole->walk * MEMDB__COST_WALK + (members < within ? members : within) <
           after_cost(recall, planner);
}

/// A set is there: what to do with it. All but some are never gone through one by one.
static memdb__plan_kind_t settle(const memdb__recall_t *recall, const memdb__planner_t *planner,
                                 uint64_t rows) {
    bool chooses = !recall->plan.forced || recall->plan.forced == MEMDB__PLAN_AFTER;
    if (recall->plan.set.inverted) {
        return MEMDB__PLAN_WITHIN;
    }
    return chooses ? choose_by_set(recall, planner, (double)rows) : recall->plan.forced;
}

void memdb__recall_unplan(memdb__recall_t *recall) {
    memdb__recall_plan_t *plan = &recall->plan;
    memdb__bitmap_deinit(&plan->set.ids);
    *plan = (memdb__recall_plan_t){.forced = plan->forced, .kind = MEMDB__PLAN_AFTER, .share = 1};
    recall->gate.set = NULL;
    recall->gate.filter = recall->query->filter;
}

static bool is_bounded(const memdb__recall_t *recall) {
    bool bounded = recall->query->filter != NULL;
    for (memdb__plan_scope_t part = 0; part < MEMDB__PLAN_SCOPES; part++) {
        bounded = bounded || memdb__recall_scope_has(&recall->gate, part);
    }
    return bounded;
}

/// Make the set, and decide what to do with it.
static memdb_status_t follow(memdb__recall_t *recall, memdb__planner_t *planner) {
    memdb__recall_plan_t *plan = &recall->plan;
    memdb_status_t status = memdb__plan_make_set(planner, &plan->set);
    if (status) {
        return status;
    }
    plan->members = memdb__bitmap_count(&plan->set.ids);
    plan->kind = settle(recall, planner, plan->members);
    plan->share = planner->whole.rest;
    recall->gate.set = &plan->set;
    if (planner->whole.exact) {
        recall->gate.filter = NULL; // nothing is left to ask
    }
    return MEMDB_OK;
}

memdb_status_t memdb__recall_plan(memdb__recall_t *recall, memdb_error_t *error) {
    memdb__words_search_t words = memdb__recall_words_search(recall);
    memdb__planner_t planner = {.sight = &recall->snapshot->sight,
                                .space = recall->space.space,
                                .filter = recall->query->filter,
                                .gate = &recall->gate,
                                .demand = recall->gate.demand,
                                .words = &words,
                                .explain = recall->explain,
                                .error = error};
    const memdb__plan_estimate_t *whole = &planner.whole;
    memdb__recall_unplan(recall);
    if (!is_bounded(recall)) {
        return MEMDB_OK;
    }
    uint32_t step = memdb__explain_open(recall->explain, "plan");
    memdb_status_t status = memdb__plan_estimate(&planner, &recall->arena);
    double passing = whole->rows * whole->rest;
    if (!status && wants_set(recall, &planner)) {
        status = follow(recall, &planner);
    } else if (!status && planner.memories > 0) {
        recall->plan.share = passing / planner.memories;
    }
    memdb__explain_close(recall->explain, step, passing,
                         recall->gate.set ? recall->plan.members : (uint64_t)planner.memories);
    memdb__explain_name(recall->explain, step, "plan: %s%s", names[recall->plan.kind],
                        recall->gate.set && !whole->exact ? ", filter the rest" : "");
    return status;
}

size_t memdb__recall_fetch(const memdb__recall_t *recall, size_t capacity) {
    double share = recall->plan.share;
    double wanted = (double)capacity / (share > SURE_SHARE ? share : SURE_SHARE);
    return (size_t)(wanted * 1.25) + 8;
}

double memdb__recall_expected(const memdb__recall_t *recall) {
    const memdb__recall_plan_t *plan = &recall->plan;
    double most = (double)plan->members * plan->share;
    bool bounded = recall->gate.set && !plan->set.inverted && most < recall->capacity;
    return bounded ? most : recall->capacity;
}

bool memdb__recall_asks(const memdb__recall_t *recall) {
    return recall->plan.share < SURE_SHARE;
}
