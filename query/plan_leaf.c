// Tests of a filter as ranges of keys.
//
// A test is true for the values of one type in some ranges, its contrary for those of the same type
// outside them, and neither for what is absent or of another type: so both are ranges, and a `not`
// above needs no set of all memories. Only `is null` is true of what has no entry. Where a text is
// longer than what an entry holds of it, or an entry is but a hint, ranges take in more than pass.
#include "query/query_plan.h"

static const uint8_t attribute_fields[MEMDB__FILTER_FIELD_COUNT] = {
    [MEMDB__FILTER_KEY] = MEMDB__ATTRIBUTE_KEY,
    [MEMDB__FILTER_KIND] = MEMDB__ATTRIBUTE_KIND,
    [MEMDB__FILTER_SESSION] = MEMDB__ATTRIBUTE_SESSION,
    [MEMDB__FILTER_ACTOR] = MEMDB__ATTRIBUTE_ACTOR,
    [MEMDB__FILTER_TIME] = MEMDB__ATTRIBUTE_TIME,
    [MEMDB__FILTER_VALID_FROM] = MEMDB__ATTRIBUTE_VALID_FROM,
    [MEMDB__FILTER_VALID_TO] = MEMDB__ATTRIBUTE_VALID_TO,
    [MEMDB__FILTER_EXPIRES] = MEMDB__ATTRIBUTE_EXPIRES,
    [MEMDB__FILTER_IMPORTANCE] = MEMDB__ATTRIBUTE_IMPORTANCE,
    [MEMDB__FILTER_TOKENS] = MEMDB__ATTRIBUTE_TOKENS,
    [MEMDB__FILTER_ATTR] = MEMDB__ATTRIBUTE_PATH,
};

// ------------------------------------------------------------------------------ who answers

static bool same_path(const memdb_filter_t *filter, const memdb__filter_node_t *node,
                      const memdb__attribute_index_t *index) {
    memdb__reader_t reader = memdb__reader(index->steps.data, index->steps.size);
    bool same = index->step_count == node->step_count;
    for (uint32_t i = 0; same && i < index->step_count; i++) {
        size_t size = 0;
        const uint8_t *step = memdb__read_sized(&reader, &size);
        const memdb_bytes_t *asked = &filter->steps[node->first_step + i];
        same = memdb__compare(step, size, asked->data, asked->size) == 0;
    }
    return same;
}

static const memdb__attribute_index_t *find_index(const memdb__planner_t *planner,
                                                  const memdb__filter_node_t *node) {
    for (uint32_t i = 0; i < planner->attributes.count; i++) {
        const memdb__attribute_index_t *index = &planner->attributes.items[i];
        if (index->ready && index->field == attribute_fields[node->field] &&
            (index->field != MEMDB__ATTRIBUTE_PATH || same_path(planner->filter, node, index))) {
            return index;
        }
    }
    return NULL;
}

static memdb__attribute_type_t type_of(const memdb_value_t *value) {
    switch (memdb__filter_type(value)) {
    case MEMDB__FILTER_TYPE_BOOL:
        return MEMDB__ATTRIBUTE_TRUTH;
    case MEMDB__FILTER_TYPE_NUMBER:
        return MEMDB__ATTRIBUTE_NUMBER;
    case MEMDB__FILTER_TYPE_TEXT:
        return MEMDB__ATTRIBUTE_TEXT;
    case MEMDB__FILTER_TYPE_TIME:
        return MEMDB__ATTRIBUTE_MOMENT;
    default:
        return 0;
    }
}

static bool is_long(const memdb_value_t *value) {
    return value->kind == MEMDB_VALUE_TEXT && value->text.size > MEMDB__ATTRIBUTE_TEXT_BYTES;
}

static bool has_null(const memdb__plan_leaf_t *leaf) {
    for (uint32_t i = 0; i < leaf->value_count; i++) {
        if (leaf->values[i].kind == MEMDB_VALUE_NULL) {
            return true;
        }
    }
    return false;
}

/// What the keys of times and sessions, which every space has, can answer. They are hints.
static bool is_built_in(memdb__plan_leaf_t *leaf) {
    memdb__filter_kind_t kind = leaf->node->kind;
    leaf->exact = false;
    if (leaf->node->field == MEMDB__FILTER_TIME) {
        leaf->by = MEMDB__PLAN_BY_TIME;
        return kind != MEMDB__FILTER_IS_NULL;
    }
    leaf->by = MEMDB__PLAN_BY_SESSION;
    return leaf->node->field == MEMDB__FILTER_SESSION && !leaf->negated &&
           (kind == MEMDB__FILTER_EQUAL || kind == MEMDB__FILTER_IN);
}

bool memdb__plan_leaf_find(const memdb__planner_t *planner, const memdb__filter_node_t *node,
                           bool negated, memdb__plan_leaf_t *leaf_out) {
    memdb__plan_leaf_t leaf = {.node = node,
                               .values = planner->filter->values + node->first_value,
                               .value_count = node->value_count,
                               .negated = negated,
                               .exact = true};
    for (uint32_t i = 0; i < leaf.value_count; i++) {
        memdb__attribute_type_t type = type_of(&leaf.values[i]);
        leaf.type = type ? type : leaf.type;
        leaf.exact = leaf.exact && !is_long(&leaf.values[i]);
    }
    const memdb__attribute_index_t *index = find_index(planner, node);
    // A text that is compared with a time is read as one, which no order of texts tells. `in ()` is
    // false of everything, so its contrary is true of what has no entry too.
    if (node->kind == MEMDB__FILTER_CONTAINS ||
        (node->field == MEMDB__FILTER_ATTR && leaf.type == MEMDB__ATTRIBUTE_MOMENT) ||
        (node->kind == MEMDB__FILTER_IN && !leaf.value_count && negated)) {
        return false;
    }
    if (index) {
        leaf.number = index->number;
        leaf.inverted = node->kind == MEMDB__FILTER_IS_NULL && !negated;
    } else if (!is_built_in(&leaf)) {
        return false;
    }
    *leaf_out = leaf;
    return true;
}

// ------------------------------------------------------------------------------ ranges

typedef struct ranges {
    const memdb__planner_t *planner;
    const memdb__plan_leaf_t *leaf;
    memdb__plan_visit_fn visit;
    void *context;
} ranges_t;

/// The prefix of all entries with values of the leaf's type (of all types: where there is none).
static void all_key(const ranges_t *ranges, memdb__key_t *key) {
    const memdb__plan_leaf_t *leaf = ranges->leaf;
    memdb__attribute_value_t type = {.size = leaf->type != 0, .bytes = {(uint8_t)leaf->type}};
    memdb_space_t space = ranges->planner->space;
    if (leaf->by == MEMDB__PLAN_BY_INDEX) {
        memdb__key_attribute_prefix(key, space, leaf->number, &type);
    } else {
        memdb__key_time_prefix(key, space);
    }
}

/// The prefix of all entries with a value; with `open` of a text, with all that begins with it.
static void value_key(const ranges_t *ranges, const memdb_value_t *value, bool open,
                      memdb__key_t *key) {
    const memdb__plan_leaf_t *leaf = ranges->leaf;
    memdb_space_t space = ranges->planner->space;
    memdb__attribute_value_t encoded = {0};
    if (leaf->by == MEMDB__PLAN_BY_SESSION) { // no session has a longer name
        memdb_bytes_t name = value->text;
        name.size = name.size < MEMDB_MAX_NAME_BYTES ? name.size : MEMDB_MAX_NAME_BYTES;
        memdb__key_session_prefix(key, space, name);
        return;
    }
    if (leaf->by == MEMDB__PLAN_BY_TIME) {
        memdb__key_time(key, space, value->integer, 0);
        key->size -= 8;
        return;
    }
    switch (value->kind) {
    case MEMDB_VALUE_BOOL:
        memdb__attribute_of_truth(&encoded, value->truth);
        break;
    case MEMDB_VALUE_INTEGER:
        memdb__attribute_of_integer(&encoded, value->integer);
        break;
    case MEMDB_VALUE_NUMBER:
        memdb__attribute_of_real(&encoded, value->number);
        break;
    case MEMDB_VALUE_TIME:
        memdb__attribute_of_time(&encoded, value->integer);
        break;
    default:
        memdb__attribute_of_text(&encoded, value->text);
        encoded.size -= open ? 2 : 0; // without the end of the text
    }
    memdb__key_attribute_prefix(key, space, leaf->number, &encoded);
}

typedef enum place { AT, BEHIND } place_t;

/// One range. `from` and `to` are values; NULL is the first, or the last, of the type.
static memdb_status_t give(const ranges_t *ranges, const memdb_value_t *from, place_t from_place,
                           const memdb_value_t *to, place_t to_place) {
    memdb__key_range_t range;
    bool open = ranges->leaf->node->kind == MEMDB__FILTER_STARTS;
    if (from) {
        value_key(ranges, from, open, &range.from);
    } else {
        all_key(ranges, &range.from);
    }
    // What an entry holds of a long text may be that of a smaller or a larger one too.
    if (from && from_place == BEHIND && !is_long(from)) {
        memdb__key_pass(&range.from);
    }
    if (to) {
        value_key(ranges, to, open, &range.to);
    } else {
        all_key(ranges, &range.to);
    }
    if (!to || to_place == BEHIND || is_long(to)) {
        memdb__key_pass(&range.to);
    }
    return ranges->visit(ranges->context, &range);
}

/// Values from number `first` on; or, of the leaf's type, all others.
static memdb_status_t give_values(const ranges_t *ranges, uint32_t first) {
    const memdb__plan_leaf_t *leaf = ranges->leaf;
    memdb_status_t status = MEMDB_OK;
    if (!leaf->negated) {
        for (uint32_t i = first; !status && i < leaf->value_count; i++) {
            status = give(ranges, &leaf->values[i], AT, &leaf->values[i], BEHIND);
        }
        return status;
    }
    const memdb_value_t *before = NULL; // values rise
    for (uint32_t i = first; !status && i < leaf->value_count; i++) {
        status = give(ranges, before, BEHIND, &leaf->values[i], AT);
        before = &leaf->values[i];
    }
    return status ? status : give(ranges, before, BEHIND, NULL, BEHIND);
}

/// As SQL has it, a between is false when one of its sides is, even if the other is null.
static memdb_status_t give_between(const ranges_t *ranges) {
    const memdb__plan_leaf_t *leaf = ranges->leaf;
    const memdb_value_t *low = &leaf->values[0], *high = &leaf->values[1];
    memdb_status_t status = MEMDB_OK;
    if (!leaf->negated) {
        return has_null(leaf) ? MEMDB_OK : give(ranges, low, AT, high, BEHIND);
    }
    if (low->kind != MEMDB_VALUE_NULL) {
        status = give(ranges, NULL, AT, low, AT);
    }
    return !status && high->kind != MEMDB_VALUE_NULL ? give(ranges, high, BEHIND, NULL, BEHIND)
                                                     : status;
}

static memdb__filter_kind_t contrary(memdb__filter_kind_t kind) {
    return kind == MEMDB__FILTER_LESS         ? MEMDB__FILTER_GREATER_EQUAL
           : kind == MEMDB__FILTER_GREATER    ? MEMDB__FILTER_LESS_EQUAL
           : kind == MEMDB__FILTER_LESS_EQUAL ? MEMDB__FILTER_GREATER
                                              : MEMDB__FILTER_LESS;
}

static memdb_status_t give_ordered(const ranges_t *ranges) {
    const memdb__plan_leaf_t *leaf = ranges->leaf;
    const memdb_value_t *value = &leaf->values[0];
    switch (leaf->negated ? contrary(leaf->node->kind) : leaf->node->kind) {
    case MEMDB__FILTER_LESS:
        return give(ranges, NULL, AT, value, AT);
    case MEMDB__FILTER_LESS_EQUAL:
        return give(ranges, NULL, AT, value, BEHIND);
    case MEMDB__FILTER_GREATER:
        return give(ranges, value, BEHIND, NULL, BEHIND);
    default:
        return give(ranges, value, AT, NULL, BEHIND);
    }
}

memdb_status_t memdb__plan_leaf_each(const memdb__planner_t *planner,
                                     const memdb__plan_leaf_t *leaf, memdb__plan_visit_fn visit,
                                     void *context) {
    ranges_t ranges = {planner, leaf, visit, context};
    bool null = has_null(leaf);
    switch (leaf->node->kind) {
    case MEMDB__FILTER_IS_NULL: // all entries, of which it is not true
        return give(&ranges, NULL, AT, NULL, BEHIND);
    case MEMDB__FILTER_BETWEEN:
        return give_between(&ranges);
    case MEMDB__FILTER_IN: // a null among the values leaves unknown what is not found
        return null && leaf->negated ? MEMDB_OK : give_values(&ranges, null);
    case MEMDB__FILTER_EQUAL:
    case MEMDB__FILTER_STARTS:
        return null ? MEMDB_OK : give_values(&ranges, 0);
    default:
        return null ? MEMDB_OK : give_ordered(&ranges);
    }
}
