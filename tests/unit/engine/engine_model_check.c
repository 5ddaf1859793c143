// Comparing a database with the model. See engine_model.h.
#include "tests/unit/engine/engine_model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void same_bytes(memdb_bytes_t got, memdb_bytes_t wanted) {
    assert_int_equal(got.size, wanted.size);
    if (wanted.size) {
        assert_memory_equal(got.data, wanted.data, wanted.size);
    }
}

static void check_vector(memdb_t *db, memdb_snapshot_t *snapshot, const model_t *model,
                         const model_memory_t *wanted) {
    float got[MODEL_DIMENSION], vector[MODEL_DIMENSION];
    memdb_space_t space = model->spaces[wanted->space].space;
    if (!(wanted->fields & MEMDB_FIELD_VECTOR)) {
        assert_int_equal(memdb_get_vector(snapshot, space, wanted->id, got, MODEL_DIMENSION),
                         MEMDB_NOT_FOUND);
        return;
    }
    must(db, memdb_get_vector(snapshot, space, wanted->id, got, MODEL_DIMENSION));
    model_vector(wanted->vector_seed, vector);
    double dot = 0, a = 0, b = 0;
    for (int i = 0; i < MODEL_DIMENSION; i++) {
        dot += (double)got[i] * vector[i];
        a += (double)got[i] * got[i];
        b += (double)vector[i] * vector[i];
    }
    assert_true(dot / sqrt(a * b) > .995);
}

/// Whether `got` is the memory `wanted`, field by field.
static void same_memory(const model_t *model, const memdb_memory_t *got, model_memory_t *wanted) {
    static char buffer[MODEL_TEXT_BYTES];
    const memdb_bytes_t none = {0};
    if (wanted->time_unknown) {
        assert_true(got->time > INT64_C(1500000000000000));
        wanted->time = got->time;
        wanted->time_unknown = false;
    }
    assert_int_equal(got->id, wanted->id);
    assert_int_equal(got->space, model->spaces[wanted->space].space);
    assert_int_equal(got->fields, wanted->fields);
    same_bytes(got->key, wanted->fields & MEMDB_FIELD_KEY ? model_key(wanted->key) : none);
    same_bytes(got->text, wanted->fields & MEMDB_FIELD_TEXT
                              ? model_text(wanted->text_seed, wanted->text_size, buffer)
                              : none);
    same_bytes(got->kind, wanted->fields & MEMDB_FIELD_KIND ? model_word(wanted->kind) : none);
    same_bytes(got->session,
               wanted->fields & MEMDB_FIELD_SESSION ? model_session(wanted->session) : none);
    same_bytes(got->actor, wanted->fields & MEMDB_FIELD_ACTOR ? model_word(wanted->actor) : none);
    same_bytes(got->attrs, wanted->fields & MEMDB_FIELD_ATTRS ? model_attrs(wanted->attrs) : none);
    assert_true(got->time == wanted->time);
    assert_true(got->valid_from == wanted->valid_from);
    assert_true(got->valid_to == wanted->valid_to);
    assert_true(got->expires == wanted->expires);
    assert_true(got->importance ==
                (wanted->fields & MEMDB_FIELD_IMPORTANCE ? wanted->importance : 0));
    assert_int_equal(got->tokens, wanted->fields & MEMDB_FIELD_TOKENS ? wanted->tokens : 0);
    assert_int_equal(got->dimension, wanted->fields & MEMDB_FIELD_VECTOR ? MODEL_DIMENSION : 0);
    assert_int_equal(got->blob_count, 0);
}

// ------------------------------------------------------------------------------ orders

static int compare_bytes(memdb_bytes_t a, memdb_bytes_t b) {
    int order = memcmp(a.data, b.data, a.size < b.size ? a.size : b.size);
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

static int by_time(const void *a, const void *b) {
    const model_memory_t *x = *(model_memory_t *const *)a, *y = *(model_memory_t *const *)b;
    return x->time != y->time ? (x->time > y->time) - (x->time < y->time)
                              : (x->id > y->id) - (x->id < y->id);
}

static int by_key(const void *a, const void *b) {
    const model_memory_t *x = *(model_memory_t *const *)a, *y = *(model_memory_t *const *)b;
    return compare_bytes(model_key(x->key), model_key(y->key));
}

/// What a listing must give, in order. Returns the count.
static size_t wanted_listing(model_t *model, int space, const memdb_cursor_options_t *options,
                             int session, model_memory_t **out) {
    size_t count = 0;
    for (int i = 0; i < MODEL_MEMORIES; i++) {
        model_memory_t *memory = &model->memories[i];
        bool taken = memory->id && memory->space == space;
        if (taken && options->order == MEMDB_ORDER_KEY) {
            taken =
                memory->fields & MEMDB_FIELD_KEY &&
                model_key(memory->key).size >= options->prefix.size &&
                (!options->prefix.size || memcmp(model_key(memory->key).data, options->prefix.data,
                                                 options->prefix.size) == 0);
        } else if (taken) {
            taken =
                !(options->has_from && memory->time < options->from) &&
                !(options->has_to && options->to != MEMDB_TIME_NONE && memory->time >= options->to);
            taken &= options->order == MEMDB_ORDER_TIME ||
                     (memory->fields & MEMDB_FIELD_SESSION && memory->session == session);
        }
        if (taken) {
            out[count++] = memory;
        }
    }
    qsort(out, count, sizeof *out, options->order == MEMDB_ORDER_KEY ? by_key : by_time);
    return count;
}

/// Walk a listing; now and then it is given up and taken up again after its position.
static void check_listing(memdb_t *db, memdb_snapshot_t *snapshot, model_t *model, int space,
                          memdb_order_t order) {
    static model_memory_t *wanted[MODEL_MEMORIES];
    char position[5000];
    int session = 1 + (int)draw(MODEL_SESSIONS - 1);
    memdb_cursor_options_t options = {.size = sizeof options, .order = order};
    if (order == MEMDB_ORDER_KEY) {
        options.prefix = chance(50) ? text("") : text(chance(50) ? "k" : "key/");
    } else {
        options.session = order == MEMDB_ORDER_SESSION ? model_session(session) : text("");
        options.has_from = chance(50);
        options.has_to = chance(50);
        options.from = chance(20) ? MEMDB_TIME_NONE : (int64_t)draw(60) * 1000 - 30000;
        options.to = chance(20) ? MEMDB_TIME_NONE : (int64_t)draw(60) * 1000 - 30000;
    }
    size_t count = wanted_listing(model, space, &options, session, wanted);
    memdb_cursor_t *cursor;
    memdb_memory_t got;
    must(db, memdb_cursor_open(snapshot, model->spaces[space].space, &options, &cursor));
    for (size_t i = 0; i < count; i++) {
        must(db, memdb_cursor_next(cursor, &got));
        same_memory(model, &got, wanted[i]);
        if (chance(20)) {
            memdb_bytes_t at = memdb_cursor_position(cursor);
            memcpy(position, at.data, at.size);
            options.after = (memdb_bytes_t){position, at.size};
            memdb_cursor_close(cursor);
            must(db, memdb_cursor_open(snapshot, model->spaces[space].space, &options, &cursor));
        }
    }
    assert_int_equal(memdb_cursor_next(cursor, &got), MEMDB_DONE);
    assert_int_equal(memdb_cursor_next(cursor, &got), MEMDB_DONE);
    memdb_cursor_close(cursor);
}

static void check_trace(memdb_t *db, memdb_snapshot_t *snapshot, model_t *model,
                        model_memory_t *memory) {
    static model_memory_t *wanted[MODEL_MEMORIES];
    uint32_t before = draw(6), after = draw(6);
    size_t count = 1, at = 0;
    wanted[0] = memory;
    if (memory->fields & MEMDB_FIELD_SESSION) {
        memdb_cursor_options_t options = {.order = MEMDB_ORDER_SESSION};
        count = wanted_listing(model, memory->space, &options, memory->session, wanted);
        while (wanted[at] != memory) {
            at++;
        }
    }
    size_t first = at > before ? at - before : 0,
           last = at + after < count - 1 ? at + after : count - 1;
    memdb_cursor_t *cursor;
    memdb_memory_t got;
    must(db, memdb_trace_open(snapshot, model->spaces[memory->space].space, memory->id, before,
                              after, &cursor));
    for (size_t i = first; i <= last; i++) {
        must(db, memdb_cursor_next(cursor, &got));
        same_memory(model, &got, wanted[i]);
    }
    assert_int_equal(memdb_cursor_next(cursor, &got), MEMDB_DONE);
    memdb_cursor_close(cursor);
}

// ------------------------------------------------------------------------------ links

/// Sort key of a link as one direction lists it: type, then the other end.
static int compare_links(const model_link_t *x, const model_link_t *y, bool in) {
    int order = compare_bytes(model_type(x->type), model_type(y->type));
    uint64_t a = in ? x->from : x->to, b = in ? y->from : y->to;
    return order ? order : (a > b) - (a < b);
}

static void check_direction(memdb_t *db, memdb_link_cursor_t *cursor, model_t *model, uint64_t id,
                            int type, bool in) {
    const model_link_t *last = NULL;
    for (;;) {
        const model_link_t *best = NULL;
        for (int i = 0; i < MODEL_LINKS; i++) {
            const model_link_t *link = &model->links[i];
            if (link->from && (in ? link->to : link->from) == id && (!type || link->type == type) &&
                (!last || compare_links(link, last, in) > 0) &&
                (!best || compare_links(link, best, in) < 0)) {
                best = link;
            }
        }
        if (!best) {
            return;
        }
        memdb_link_t got;
        must(db, memdb_links_next(cursor, &got));
        assert_int_equal(got.from, best->from);
        assert_int_equal(got.to, best->to);
        same_bytes(got.type, model_type(best->type));
        same_bytes(got.attrs, model_attrs(best->attrs));
        assert_true(got.weight == best->weight && got.valid_from == best->valid_from &&
                    got.valid_to == best->valid_to);
        last = best;
    }
}

static void check_links(memdb_t *db, memdb_snapshot_t *snapshot, model_t *model,
                        const model_memory_t *memory) {
    memdb_direction_t direction = (memdb_direction_t)draw(3);
    int type = chance(50) ? 0 : (int)draw(MODEL_TYPES);
    memdb_link_cursor_t *cursor;
    memdb_link_t got;
    must(db, memdb_links_open(snapshot, model->spaces[memory->space].space, memory->id, direction,
                              model_type(type), &cursor));
    if (direction != MEMDB_DIRECTION_IN) {
        check_direction(db, cursor, model, memory->id, type, false);
    }
    if (direction != MEMDB_DIRECTION_OUT) {
        check_direction(db, cursor, model, memory->id, type, true);
    }
    assert_int_equal(memdb_links_next(cursor, &got), MEMDB_DONE);
    memdb_links_close(cursor);
}

// ------------------------------------------------------------------------------ all together

static void check_memory(memdb_t *db, memdb_snapshot_t *snapshot, model_t *model,
                         model_memory_t *memory) {
    memdb_memory_t got;
    must(db, memdb_get(snapshot, model->spaces[memory->space].space, memory->id, &got));
    same_memory(model, &got, memory);
    if (memory->fields & MEMDB_FIELD_KEY) {
        must(db, memdb_get_by_key(snapshot, model->spaces[memory->space].space,
                                  model_key(memory->key), &got));
        assert_int_equal(got.id, memory->id);
    }
    check_vector(db, snapshot, model, memory);
    check_links(db, snapshot, model, memory);
    check_trace(db, snapshot, model, memory);
}

static void check_space(memdb_t *db, memdb_snapshot_t *snapshot, model_t *model, int number) {
    memdb_space_t found = 0;
    memdb_space_info_t info;
    memdb_status_t status = memdb_space_find(snapshot, model_space_name(number), &found);
    if (!model->spaces[number].space) {
        assert_int_equal(status, MEMDB_NOT_FOUND);
        return;
    }
    must(db, status);
    assert_int_equal(found, model->spaces[number].space);
    must(db, memdb_space_get_info(snapshot, found, &info));
    uint64_t memories = 0, text_bytes = 0;
    for (int i = 0; i < MODEL_MEMORIES; i++) {
        if (model->memories[i].id && model->memories[i].space == number) {
            memories++;
            text_bytes +=
                model->memories[i].fields & MEMDB_FIELD_TEXT ? model->memories[i].text_size : 0;
        }
    }
    assert_int_equal(info.memories, memories);
    assert_int_equal(info.text_bytes, text_bytes);
    assert_int_equal(info.dimension, model->spaces[number].dimension);
    same_bytes(info.name, model_space_name(number));
}

void model_check_snapshot(memdb_t *db, memdb_snapshot_t *snapshot, model_t *model, bool all) {
    for (int i = 0; i < MODEL_MEMORIES; i++) { // first: the orders need all times
        memdb_memory_t got;
        model_memory_t *memory = &model->memories[i];
        if (memory->id && memory->time_unknown) {
            must(db, memdb_get(snapshot, model->spaces[memory->space].space, memory->id, &got));
            same_memory(model, &got, memory);
        }
    }
    for (int i = 0; i < MODEL_MEMORIES; i++) {
        if (model->memories[i].id && (all || chance(3))) {
            check_memory(db, snapshot, model, &model->memories[i]);
        }
    }
    for (int i = 0; i < MODEL_SPACES; i++) {
        if (all || chance(40)) {
            check_space(db, snapshot, model, i);
        }
        memdb_memory_t got;
        int key = (int)draw(MODEL_KEYS);
        if (model->spaces[i].space && !model_find_key(model, i, key)) {
            assert_int_equal(
                memdb_get_by_key(snapshot, model->spaces[i].space, model_key(key), &got),
                MEMDB_NOT_FOUND);
        }
        for (memdb_order_t order = MEMDB_ORDER_TIME;
             model->spaces[i].space && order <= MEMDB_ORDER_KEY; order++) {
            if (all || chance(15)) {
                check_listing(db, snapshot, model, i, order);
            }
        }
    }
}

void model_check(memdb_t *db, model_t *model, bool all) {
    memdb_snapshot_t *snapshot;
    must(db, memdb_snapshot_begin(db, NULL, &snapshot));
    model_check_snapshot(db, snapshot, model, all);
    memdb_snapshot_end(snapshot);
}
