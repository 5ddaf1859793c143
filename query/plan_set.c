// What a filter lets through, as a set of ids: estimated first, then made.
//
// `not` is pushed down to the tests, so the tree is one of "all of" and "any of". Of "all of" the
// most selective child is walked, and each further one if its walk costs less than looking at the
// members that are left; what is not walked, or cannot be, makes the set inexact. Of "any of" every
// child must have a set.
#include "query/query_explain.h"
#include "query/query_plan.h"

#define SEEK 50u               // finding a range costs as much as so many of its entries
#define SAMPLED 32u            // ranges of one test whose sizes are looked up
#define UNKNOWN_REST (1.0 / 3) // what a test passes of which nothing is known

// ------------------------------------------------------------------------------ estimates

typedef struct sample {
    const memdb__planner_t *planner;
    uint32_t ranges;
    double rows;
} sample_t;

static memdb_status_t sample_range(void *context, const memdb__key_range_t *range) {
    sample_t *sample = context;
    uint64_t count = 0;
    memdb_status_t status = MEMDB_OK;
    if (sample->ranges++ < SAMPLED) {
        status =
            memdb__range_estimate(sample->planner->sight, range, &count, sample->planner->error);
        sample->rows += (double)count;
    }
    return status;
}

static double within(double value, double most) {
    return value < most ? value : most;
}

/// Of all ranges, of which some were sampled.
static memdb__plan_estimate_t estimate_of(const sample_t *sample) {
    double ids = sample->rows;
    ids *= sample->ranges > SAMPLED ? (double)sample->ranges / SAMPLED : 1;
    return (memdb__plan_estimate_t){.answerable = true,
                                    .ids = ids,
                                    .rows = within(ids, sample->planner->memories),
                                    .walk = ids + sample->ranges * SEEK,
                                    .rest = 1};
}

static memdb_status_t estimate_leaf(memdb__planner_t *planner, const memdb__filter_node_t *node,
                                    bool negated, memdb__plan_estimate_t *out) {
    memdb__plan_leaf_t leaf;
    sample_t sample = {.planner = planner};
    *out = (memdb__plan_estimate_t){.rows = planner->memories, .rest = UNKNOWN_REST};
    if (!memdb__plan_leaf_find(planner, node, negated, &leaf)) {
        return MEMDB_OK;
    }
    memdb_status_t status = memdb__plan_leaf_each(planner, &leaf, sample_range, &sample);
    *out = estimate_of(&sample);
    out->exact = leaf.exact;
    out->rows = leaf.inverted ? planner->memories - out->rows : out->rows;
    return status;
}

/// Whether the children must all be true (else: any of them).
static bool is_all(const memdb__filter_node_t *node, bool negated) {
    return (node->kind == MEMDB__FILTER_AND) != negated;
}

/// The child that is answerable, not chosen yet, and has the fewest members; NONE.
static uint32_t most_selective(const memdb__planner_t *planner, const memdb__filter_node_t *node) {
    uint32_t best = MEMDB__FILTER_NONE;
    for (uint32_t child = node->first; child != MEMDB__FILTER_NONE;
         child = planner->filter->nodes[child].next) {
        const memdb__plan_estimate_t *estimate = &planner->estimates[child];
        if (estimate->answerable && !estimate->chosen &&
            (best == MEMDB__FILTER_NONE || estimate->rows < planner->estimates[best].rows)) {
            best = child;
        }
    }
    return best;
}

static double share_of(const memdb__planner_t *planner, double rows) {
    return planner->memories > 0 ? within(rows / planner->memories, 1) : 1;
}

/// Take a part into a set that all parts must be in, if its walk is worth it.
static void take_part(const memdb__planner_t *planner, memdb__plan_estimate_t *part,
                      memdb__plan_estimate_t *whole) {
    part->chosen = part->answerable && (!whole->answerable || part->walk * MEMDB__COST_WALK <
                                                                  whole->rows * MEMDB__COST_LOOK);
    if (part->chosen) {
        whole->exact = whole->exact && part->exact;
        whole->answerable = true;
        whole->walk += part->walk;
        whole->rows *= share_of(planner, part->rows);
        whole->rest *= part->rest;
    }
}

/// A part that was not taken: members are looked at.
static void leave_part(const memdb__planner_t *planner, const memdb__plan_estimate_t *part,
                       memdb__plan_estimate_t *whole) {
    if (!part->chosen) {
        whole->exact = false;
        whole->rest *= share_of(planner, part->rows) * part->rest;
    }
}

static void combine_all(memdb__planner_t *planner, const memdb__filter_node_t *node,
                        memdb__plan_estimate_t *out) {
    uint32_t best;
    *out = (memdb__plan_estimate_t){.exact = true, .rows = planner->memories, .rest = 1};
    while ((best = most_selective(planner, node)) != MEMDB__FILTER_NONE) {
        take_part(planner, &planner->estimates[best], out);
        if (!planner->estimates[best].chosen) {
            break; // the others are less selective, and have as much to walk
        }
    }
    for (uint32_t child = node->first; child != MEMDB__FILTER_NONE;
         child = planner->filter->nodes[child].next) {
        leave_part(planner, &planner->estimates[child], out);
    }
}

static void combine_any(memdb__planner_t *planner, const memdb__filter_node_t *node,
                        memdb__plan_estimate_t *out) {
    double passing = 0;
    *out = (memdb__plan_estimate_t){.answerable = true, .exact = true};
    for (uint32_t child = node->first; child != MEMDB__FILTER_NONE;
         child = planner->filter->nodes[child].next) {
        memdb__plan_estimate_t *estimate = &planner->estimates[child];
        estimate->chosen = true;
        out->answerable = out->answerable && estimate->answerable;
        out->exact = out->exact && estimate->exact;
        out->rows += estimate->rows;
        out->walk += estimate->walk;
        passing += estimate->rows * estimate->rest;
    }
    out->rest = out->rows > 0 ? passing / out->rows : 1;
    out->rows = within(out->rows, planner->memories);
    if (!out->answerable) {
        out->rest = share_of(planner, passing);
        out->rows = planner->memories;
    }
}

static memdb_status_t estimate_node(memdb__planner_t *planner, uint32_t number, bool negated) {
    const memdb__filter_node_t *node = &planner->filter->nodes[number];
    memdb__plan_estimate_t *out = &planner->estimates[number];
    if (node->kind > MEMDB__FILTER_NOT) {
        return estimate_leaf(planner, node, negated, out);
    }
    bool child_negated = negated != (node->kind == MEMDB__FILTER_NOT);
    memdb_status_t status = MEMDB_OK;
    for (uint32_t child = node->first; !status && child != MEMDB__FILTER_NONE;
         child = planner->filter->nodes[child].next) {
        status = estimate_node(planner, child, child_negated);
    }
    if (!status && node->kind == MEMDB__FILTER_NOT) {
        *out = planner->estimates[node->first];
        planner->estimates[node->first].chosen = true;
    } else if (!status && is_all(node, negated)) {
        combine_all(planner, node, out);
    } else if (!status) {
        combine_any(planner, node, out);
    }
    return status;
}

/// What the set leaves open of a demand is asked of every record in any case, so the set counts as
/// exact. Nothing is known of how words go together.
static memdb_status_t estimate_demand(memdb__planner_t *planner) {
    memdb__words_demand_t *demand = planner->demand;
    memdb__words_demand_estimate_t words;
    memdb_status_t status =
        memdb__words_demand_estimate(demand, planner->words, &words, planner->error);
    if (status) {
        return status;
    }
    bool requires = memdb__words_demand_requires(demand);
    double memories = planner->memories > 1 ? planner->memories : 1;
    planner->scope[MEMDB__PLAN_DEMAND] = (memdb__plan_estimate_t){
        .answerable = requires,
        .exact = true,
        .ids = (double)words.rows,
        .rows = requires ? within((double)words.rows, planner->memories) : planner->memories,
        .walk = (double)words.walked,
        .rest = 1 - within((double)words.forbidden / memories, 1)};
    return MEMDB_OK;
}

static memdb_status_t estimate_scope(memdb__planner_t *planner, memdb__plan_scope_t part) {
    sample_t sample = {.planner = planner};
    if (part == MEMDB__PLAN_DEMAND) {
        return estimate_demand(planner);
    }
    memdb_status_t status =
        memdb__recall_scope_each(planner->gate, planner->space, part, sample_range, &sample);
    planner->scope[part] = estimate_of(&sample);
    return status;
}

static memdb_status_t count_memories(memdb__planner_t *planner) {
    memdb__key_range_t range;
    uint64_t count = 0;
    memdb__key_time_prefix(&range.from, planner->space);
    range.to = range.from;
    memdb__key_pass(&range.to);
    memdb_status_t status = memdb__range_estimate(planner->sight, &range, &count, planner->error);
    planner->memories = (double)count;
    return status;
}

static memdb_status_t estimate_filter(memdb__planner_t *planner, memdb__arena_t *arena) {
    const memdb_filter_t *filter = planner->filter;
    size_t size = filter->node_count * sizeof *planner->estimates;
    planner->estimates = memdb__arena_allocate(arena, size);
    if (!planner->estimates) {
        return memdb__fail(planner->error, MEMDB_NOMEM, "no memory for a plan");
    }
    memset(planner->estimates, 0, size);
    memdb_status_t status = memdb__read_attributes(planner->sight, planner->space,
                                                   &planner->attributes, planner->error);
    return status ? status : estimate_node(planner, filter->root, false);
}

memdb_status_t memdb__plan_estimate(memdb__planner_t *planner, memdb__arena_t *arena) {
    memdb__plan_estimate_t *whole = &planner->whole, *root = NULL;
    memdb_status_t status = count_memories(planner);
    *whole = (memdb__plan_estimate_t){.exact = true, .rows = planner->memories, .rest = 1};
    if (!status && planner->filter) {
        status = estimate_filter(planner, arena);
        root = &planner->estimates[planner->filter->root];
    }
    for (memdb__plan_scope_t part = 0; !status && part < MEMDB__PLAN_SCOPES; part++) {
        if (memdb__recall_scope_has(planner->gate, part)) {
            status = estimate_scope(planner, part);
            take_part(planner, &planner->scope[part], whole);
            leave_part(planner, &planner->scope[part], whole);
        }
    }
    if (!status && root) {
        take_part(planner, root, whole);
        leave_part(planner, root, whole);
    }
    return status;
}

// ------------------------------------------------------------------------------ sets

/// a = a and b. Consumes b.
static bool intersect(memdb__plan_set_t *a, memdb__plan_set_t *b) {
    bool fine = true;
    if (a->inverted && !b->inverted) {
        memdb__plan_set_t swapped = *a;
        *a = *b;
        *b = swapped;
    }
    if (!b->inverted) {
        memdb__bitmap_and(&a->ids, &b->ids);
    } else if (a->inverted) {
        fine = memdb__bitmap_or(&a->ids, &b->ids);
    } else {
        memdb__bitmap_subtract(&a->ids, &b->ids);
    }
    memdb__bitmap_deinit(&b->ids);
    return fine;
}

/// Take a part into a set of which it is the first, or with which it is combined: all, or any of
/// them (which is none of what is in none of them). Consumes the part.
static memdb_status_t join(memdb__planner_t *planner, memdb__plan_set_t *set, bool first, bool all,
                           memdb__plan_set_t *part) {
    bool fine = true;
    if (first) {
        *set = *part;
        return MEMDB_OK;
    }
    set->inverted ^= !all;
    part->inverted ^= !all;
    fine = intersect(set, part);
    set->inverted ^= !all;
    return fine ? MEMDB_OK
                : memdb__fail(planner->error, MEMDB_NOMEM, "no memory for the ids of a filter");
}

typedef struct making {
    memdb__planner_t *planner;
    memdb__bitmap_t *ids;
} making_t;

static memdb_status_t add_range(void *context, const memdb__key_range_t *range) {
    making_t *making = context;
    return memdb__range_ids(making->planner->sight, range, making->ids, making->planner->error);
}

static memdb_status_t make_leaf(memdb__planner_t *planner, uint32_t number, bool negated,
                                memdb__plan_set_t *out) {
    memdb__plan_leaf_t leaf;
    making_t making = {planner, &out->ids};
    uint32_t step = memdb__explain_open_test(planner->explain, planner->filter, number, negated);
    if (!memdb__plan_leaf_find(planner, &planner->filter->nodes[number], negated, &leaf)) {
        return memdb__fail(planner->error, MEMDB_FAILED, "a test that no index answers was chosen");
    }
    out->inverted = leaf.inverted;
    memdb_status_t status = memdb__plan_leaf_each(planner, &leaf, add_range, &making);
    memdb__explain_close_set(planner->explain, step, planner->estimates[number].ids, &out->ids);
    return status;
}

static memdb_status_t make_node(memdb__planner_t *planner, uint32_t number, bool negated,
                                memdb__plan_set_t *out) {
    const memdb__filter_node_t *node = &planner->filter->nodes[number];
    bool first = true;
    *out = (memdb__plan_set_t){0};
    if (node->kind > MEMDB__FILTER_NOT) {
        return make_leaf(planner, number, negated, out);
    }
    memdb_status_t status = MEMDB_OK;
    bool child_negated = negated != (node->kind == MEMDB__FILTER_NOT);
    for (uint32_t child = node->first; !status && child != MEMDB__FILTER_NONE;
         child = planner->filter->nodes[child].next) {
        memdb__plan_set_t part;
        if (!planner->estimates[child].chosen) {
            continue;
        }
        status = make_node(planner, child, child_negated, &part);
        if (status) {
            memdb__bitmap_deinit(&part.ids);
        } else {
            status = join(planner, out, first, is_all(node, negated), &part);
        }
        first = false;
    }
    return status;
}

static memdb_status_t make_scope(memdb__planner_t *planner, memdb__plan_scope_t part,
                                 memdb__plan_set_t *out) {
    static const char *const names[MEMDB__PLAN_SCOPES] = {"ids of the session", "ids of the window",
                                                          "ids of the windows of the question",
                                                          "ids of the words that are demanded"};
    making_t making = {planner, &out->ids};
    uint32_t step = memdb__explain_open(planner->explain, "%s", names[part]);
    memdb_status_t status =
        part == MEMDB__PLAN_DEMAND
            ? memdb__words_demand_ids(planner->demand, planner->words, &out->ids, planner->error)
            : memdb__recall_scope_each(planner->gate, planner->space, part, add_range, &making);
    memdb__explain_close_set(planner->explain, step, planner->scope[part].ids, &out->ids);
    return status;
}

memdb_status_t memdb__plan_make_set(memdb__planner_t *planner, memdb__plan_set_t *set_out) {
    memdb_status_t status = MEMDB_OK;
    const memdb_filter_t *filter = planner->filter;
    bool first = true;
    *set_out = (memdb__plan_set_t){0};
    for (uint32_t i = 0; !status && i <= MEMDB__PLAN_SCOPES; i++) { // the filter is the last part
        memdb__plan_set_t part = {0};
        bool scope = i < MEMDB__PLAN_SCOPES;
        if (scope ? !planner->scope[i].chosen
                  : !filter || !planner->estimates[filter->root].chosen) {
            continue;
        }
        status = scope ? make_scope(planner, (memdb__plan_scope_t)i, &part)
                       : make_node(planner, filter->root, false, &part);
        if (status) {
            memdb__bitmap_deinit(&part.ids);
        } else {
            status = join(planner, set_out, first, true, &part);
        }
        first = false;
    }
    return status;
}
