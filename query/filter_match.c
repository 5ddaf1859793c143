// Evaluation of a filter on a record, in place. See query_filter.h.
//
// Fields and attributes become one kind of subject, a scanned JSON value, so that there is one
// comparison. A subject that is absent, or of another type than what it is compared with, makes a
// test unknown, as a null does in SQL.
#include "base/json_scan.h"
#include "base/time.h"
#include "query/query_filter.h"

/// Longest text that may be a time: nothing that memdb__time_parse takes is longer.
#define TIME_BYTES 40

typedef struct subject {
    memdb__json_t value;
    bool is_time; // value.integer is a time
} subject_t;

// ------------------------------------------------------------------------------ the subject

static void set_integer(subject_t *subject, bool there, uint64_t value) {
    subject->value.kind = there ? MEMDB__JSON_INTEGER : MEMDB__JSON_NULL;
    // A transaction's own writes have versions above all others, beyond int64.
    subject->value.integer = value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

static void set_time(subject_t *subject, int64_t time) {
    subject->value.kind = time == MEMDB_TIME_NONE ? MEMDB__JSON_NULL : MEMDB__JSON_INTEGER;
    subject->value.integer = time;
    subject->is_time = true;
}

static void set_text(subject_t *subject, memdb_bytes_t text) {
    subject->value.kind = text.size ? MEMDB__JSON_STRING : MEMDB__JSON_NULL;
    subject->value.text = text;
}

/// The value of a test's operand in a record; null where it is not set.
static void read_subject(const memdb_filter_t *filter, const memdb__filter_node_t *node,
                         uint64_t id, uint64_t version, const memdb__record_t *record,
                         subject_t *subject) {
    switch (node->field) {
    case MEMDB__FILTER_ID:
        set_integer(subject, true, id);
        break;
    case MEMDB__FILTER_VERSION:
        set_integer(subject, true, version);
        break;
    case MEMDB__FILTER_KEY:
        set_text(subject, record->key);
        break;
    case MEMDB__FILTER_TEXT:
        set_text(subject, record->text);
        break;
    case MEMDB__FILTER_KIND:
        set_text(subject, record->kind);
        break;
    case MEMDB__FILTER_SESSION:
        set_text(subject, record->session);
        break;
    case MEMDB__FILTER_ACTOR:
        set_text(subject, record->actor);
        break;
    case MEMDB__FILTER_TIME:
        set_time(subject, record->time);
        break;
    case MEMDB__FILTER_VALID_FROM:
        set_time(subject, record->valid_from);
        break;
    case MEMDB__FILTER_VALID_TO:
        set_time(subject, record->valid_to);
        break;
    case MEMDB__FILTER_EXPIRES:
        set_time(subject, record->expires);
        break;
    case MEMDB__FILTER_IMPORTANCE:
        subject->value.kind =
            record->fields & MEMDB_FIELD_IMPORTANCE ? MEMDB__JSON_REAL : MEMDB__JSON_NULL;
        subject->value.real = record->importance;
        break;
    case MEMDB__FILTER_TOKENS:
        set_integer(subject, record->fields & MEMDB_FIELD_TOKENS, record->tokens);
        break;
    case MEMDB__FILTER_DIMENSION:
        set_integer(subject, record->fields & MEMDB_FIELD_VECTOR, record->dimension);
        break;
    case MEMDB__FILTER_BLOBS:
        set_integer(subject, true, record->blob_count);
        break;
    default:
        if (!memdb__json_find(record->attrs, filter->steps + node->first_step, node->step_count,
                              &subject->value)) {
            subject->value.kind = MEMDB__JSON_NULL;
        }
    }
}

// ------------------------------------------------------------------------------ comparing

static bool time_of(const memdb__json_t *string, int64_t *time_out) {
    char text[TIME_BYTES];
    size_t size = memdb__json_copy(string, text, sizeof text);
    return size <= sizeof text && !memdb__time_parse((memdb_bytes_t){text, size}, time_out);
}

static int order_of(int64_t left, int64_t right) {
    return (left > right) - (left < right);
}

/// The order of subject and value. False: they are of different types, or one is null.
static bool compare(const subject_t *subject, const memdb_value_t *value, int *order_out) {
    const memdb__json_t *left = &subject->value;
    int64_t time = left->integer;
    switch (value->kind) {
    case MEMDB_VALUE_BOOL:
        *order_out = (int)left->truth - (int)value->truth;
        return left->kind == MEMDB__JSON_BOOL;
    case MEMDB_VALUE_INTEGER:
        *order_out = left->kind == MEMDB__JSON_REAL
                         ? -memdb__filter_compare_numbers(value->integer, left->real)
                         : order_of(left->integer, value->integer);
        return left->kind == MEMDB__JSON_REAL || left->kind == MEMDB__JSON_INTEGER;
    case MEMDB_VALUE_NUMBER:
        *order_out = left->kind == MEMDB__JSON_INTEGER
                         ? memdb__filter_compare_numbers(left->integer, value->number)
                         : (left->real > value->number) - (left->real < value->number);
        return left->kind == MEMDB__JSON_REAL || left->kind == MEMDB__JSON_INTEGER;
    case MEMDB_VALUE_TEXT:
        if (left->kind != MEMDB__JSON_STRING) {
            return false;
        }
        *order_out = memdb__json_compare(left, value->text);
        return true;
    case MEMDB_VALUE_TIME:
        if (subject->is_time ? left->kind == MEMDB__JSON_NULL
                             : left->kind != MEMDB__JSON_STRING || !time_of(left, &time)) {
            return false;
        }
        *order_out = order_of(time, value->integer);
        return true;
    default:
        return false;
    }
}

static memdb__filter_truth_t truth_of(bool truth) {
    return truth ? MEMDB__FILTER_TRUE : MEMDB__FILTER_FALSE;
}

static memdb__filter_truth_t compare_one(memdb__filter_kind_t kind, const subject_t *subject,
                                         const memdb_value_t *value) {
    int order;
    if (!compare(subject, value, &order)) {
        return MEMDB__FILTER_UNKNOWN;
    }
    switch (kind) {
    case MEMDB__FILTER_LESS:
        return truth_of(order < 0);
    case MEMDB__FILTER_LESS_EQUAL:
        return truth_of(order <= 0);
    case MEMDB__FILTER_GREATER:
        return truth_of(order > 0);
    case MEMDB__FILTER_GREATER_EQUAL:
        return truth_of(order >= 0);
    default:
        return truth_of(order == 0);
    }
}

/// As SQL has it: low <= subject and subject <= high.
static memdb__filter_truth_t compare_range(const subject_t *subject, const memdb_value_t *values) {
    memdb__filter_truth_t low = compare_one(MEMDB__FILTER_GREATER_EQUAL, subject, &values[0]);
    memdb__filter_truth_t high = compare_one(MEMDB__FILTER_LESS_EQUAL, subject, &values[1]);
    if (low == MEMDB__FILTER_FALSE || high == MEMDB__FILTER_FALSE) {
        return MEMDB__FILTER_FALSE;
    }
    return low == MEMDB__FILTER_TRUE ? high : low;
}

/// The values rise, so the one that is equal is found by halving. A null among them leaves unknown
/// what is not found.
static memdb__filter_truth_t compare_list(const subject_t *subject, const memdb_value_t *values,
                                          uint32_t count) {
    memdb__filter_truth_t absent =
        count && values[0].kind == MEMDB_VALUE_NULL ? MEMDB__FILTER_UNKNOWN : MEMDB__FILTER_FALSE;
    uint32_t low = absent == MEMDB__FILTER_UNKNOWN, high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order;
        if (!compare(subject, &values[middle], &order)) {
            return MEMDB__FILTER_UNKNOWN;
        }
        if (order == 0) {
            return MEMDB__FILTER_TRUE;
        }
        low = order > 0 ? middle + 1 : low;
        high = order > 0 ? high : middle;
    }
    return absent;
}

static memdb__filter_truth_t contains(const subject_t *subject, const memdb_value_t *value) {
    memdb__json_walk_t walk;
    subject_t element = {0};
    int order;
    if (value->kind == MEMDB_VALUE_NULL) {
        return MEMDB__FILTER_UNKNOWN;
    }
    if (subject->value.kind == MEMDB__JSON_STRING && value->kind == MEMDB_VALUE_TEXT) {
        return truth_of(memdb__json_holds(&subject->value, value->text));
    }
    if (subject->value.kind != MEMDB__JSON_ARRAY) {
        return MEMDB__FILTER_UNKNOWN;
    }
    walk = memdb__json_enter(&subject->value);
    while (memdb__json_next(&walk, NULL, &element.value)) {
        if (compare(&element, value, &order) && order == 0) {
            return MEMDB__FILTER_TRUE;
        }
    }
    return MEMDB__FILTER_FALSE;
}

// ------------------------------------------------------------------------------ the tree

static memdb__filter_truth_t test(const memdb_filter_t *filter, const memdb__filter_node_t *node,
                                  uint64_t id, uint64_t version, const memdb__record_t *record) {
    const memdb_value_t *values = node->value_count ? &filter->values[node->first_value] : NULL;
    subject_t subject = {0};
    read_subject(filter, node, id, version, record, &subject);
    switch (node->kind) {
    case MEMDB__FILTER_IS_NULL:
        return truth_of(subject.value.kind == MEMDB__JSON_NULL);
    case MEMDB__FILTER_BETWEEN:
        return compare_range(&subject, values);
    case MEMDB__FILTER_IN:
        return compare_list(&subject, values, node->value_count);
    case MEMDB__FILTER_CONTAINS:
        return contains(&subject, values);
    case MEMDB__FILTER_STARTS:
        return subject.value.kind != MEMDB__JSON_STRING || values->kind != MEMDB_VALUE_TEXT
                   ? MEMDB__FILTER_UNKNOWN
                   : truth_of(memdb__json_starts(&subject.value, values->text));
    default:
        return compare_one(node->kind, &subject, values);
    }
}

/// One child decides `and` by being false, and `or` by being true; else an unknown one makes it
/// unknown. The recursion is as deep as the tree, whose depth the parser limits.
memdb__filter_truth_t memdb__filter_evaluate(const memdb_filter_t *filter, uint32_t number,
                                             uint64_t id, uint64_t version,
                                             const memdb__record_t *record) {
    const memdb__filter_node_t *node = &filter->nodes[number];
    if (node->kind > MEMDB__FILTER_NOT) {
        return test(filter, node, id, version, record);
    }
    memdb__filter_truth_t deciding =
        node->kind == MEMDB__FILTER_OR ? MEMDB__FILTER_TRUE : MEMDB__FILTER_FALSE;
    memdb__filter_truth_t result =
        node->kind == MEMDB__FILTER_OR ? MEMDB__FILTER_FALSE : MEMDB__FILTER_TRUE;
    for (uint32_t child = node->first; child != MEMDB__FILTER_NONE;
         child = filter->nodes[child].next) {
        memdb__filter_truth_t truth = memdb__filter_evaluate(filter, child, id, version, record);
        if (node->kind == MEMDB__FILTER_NOT) {
            return truth == MEMDB__FILTER_UNKNOWN ? truth : truth_of(truth == MEMDB__FILTER_FALSE);
        }
        if (truth == deciding) {
            return truth;
        }
        result = truth == MEMDB__FILTER_UNKNOWN ? truth : result;
    }
    return result;
}
