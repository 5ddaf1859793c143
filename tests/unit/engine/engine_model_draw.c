// Drawing operations and sending them; what they touch. See engine_model.h.
#include "tests/unit/engine/engine_model.h"

#include <string.h>

// Tags of touches: 'R' memory, 'K' key (space id, number), 'L' link (from, to, type), 'D' space id,
// 'N' name.

static void wrote(transaction_t *transaction, char tag, uint64_t a, uint64_t b, int c, bool gone) {
    touches_t *touches = &transaction->touches;
    touches->written[touches->written_count++] = (struct touch){tag, a, b, c, gone};
}

static void guards(transaction_t *transaction, char tag, uint64_t a) {
    touches_t *touches = &transaction->touches;
    touches->guarded[touches->guarded_count++] = (struct touch){tag, a, 0, 0, false};
}

static bool same_touch(const struct touch *x, const struct touch *y) {
    return x->tag == y->tag && x->a == y->a && x->b == y->b && x->c == y->c;
}

/// Whether the last thing that `first` did to what `touch` names buried it.
static bool is_gone(const touches_t *first, const struct touch *touch) {
    bool gone = false;
    for (int i = 0; i < first->written_count; i++) {
        gone = same_touch(&first->written[i], touch) ? first->written[i].gone : gone;
    }
    return gone;
}

bool model_conflicts(const touches_t *first, const touches_t *second) {
    for (int i = 0; i < second->written_count; i++) {
        for (int j = 0; j < first->written_count; j++) {
            if (same_touch(&second->written[i], &first->written[j])) {
                return true;
            }
        }
    }
    for (int i = 0; i < second->guarded_count; i++) {
        if (is_gone(first, &second->guarded[i])) {
            return true;
        }
    }
    return false;
}

// ------------------------------------------------------------------------------ put

static int64_t draw_time(void) {
    return (int64_t)draw(60) * 1000 - 30000;
}

static void draw_fields(model_memory_t *set) {
    set->text_size = chance(10) ? 0 : chance(5) ? draw(MODEL_TEXT_BYTES) : draw(120);
    set->text_seed = draw(1u << 30);
    set->kind = (int)draw(4);
    set->session = (int)draw(MODEL_SESSIONS);
    set->actor = (int)draw(4);
    set->time = chance(10) ? MEMDB_TIME_NONE : draw_time();
    set->valid_from = chance(30) ? MEMDB_TIME_NONE : draw_time() - 100000;
    set->valid_to = chance(30) ? MEMDB_TIME_NONE : draw_time() + 100000;
    set->expires = chance(30) ? MEMDB_TIME_NONE : draw_time();
    set->importance = (double)draw(1000) / 7;
    set->tokens = draw(5000);
    set->attrs = (int)draw(4);
    set->vector_seed = chance(20) ? 0 : 1 + draw(1u << 30);
    const uint32_t optional[] = {MEMDB_FIELD_TEXT,     MEMDB_FIELD_KIND,    MEMDB_FIELD_SESSION,
                                 MEMDB_FIELD_ACTOR,    MEMDB_FIELD_TIME,    MEMDB_FIELD_VALID_FROM,
                                 MEMDB_FIELD_VALID_TO, MEMDB_FIELD_EXPIRES, MEMDB_FIELD_IMPORTANCE,
                                 MEMDB_FIELD_TOKENS,   MEMDB_FIELD_ATTRS,   MEMDB_FIELD_VECTOR};
    for (size_t i = 0; i < sizeof optional / sizeof optional[0]; i++) {
        set->fields |=
            chance(optional[i] == MEMDB_FIELD_TEXT || optional[i] == MEMDB_FIELD_SESSION ? 70
                   : optional[i] == MEMDB_FIELD_VECTOR                                   ? 15
                                                                                         : 30)
                ? optional[i]
                : 0;
    }
}

static bool draw_put(model_t *model, operation_t *operation) {
    int space = operation->space;
    model_memory_t *set = &operation->memory, *there = model_draw_memory(model, space);
    draw_fields(set);
    operation->by_id = there && chance(40);
    if (operation->by_id) {
        operation->id = there->id;
        if (chance(25)) {
            set->fields |= MEMDB_FIELD_KEY;
            set->key = chance(30) ? -1 : (int)draw(MODEL_KEYS);
            model_memory_t *owner = set->key < 0 ? NULL : model_find_key(model, space, set->key);
            return !owner || owner->id == there->id; // else MEMDB_EXISTS: test_engine_inputs
        }
        return true;
    }
    if (chance(85)) {
        set->fields |= MEMDB_FIELD_KEY;
        set->key = (int)draw(MODEL_KEYS);
        there = model_find_key(model, space, set->key);
        operation->id = there ? there->id : 0;
    }
    operation->is_new = operation->id == 0;
    return !operation->is_new ||
           model_free_memories(model) > MODEL_OPERATIONS * 2; // room for a replay
}

static memdb_memory_t public_form(const operation_t *operation, char *text_buffer, float *vector) {
    const model_memory_t *set = &operation->memory;
    memdb_memory_t memory = {.size = sizeof memory,
                             .fields = set->fields,
                             .id = operation->by_id ? operation->id : 0,
                             .kind = model_word(set->kind),
                             .session = model_session(set->session),
                             .actor = model_word(set->actor),
                             .time = set->time,
                             .valid_from = set->valid_from,
                             .valid_to = set->valid_to,
                             .expires = set->expires,
                             .importance = set->importance,
                             .tokens = set->tokens,
                             .attrs = model_attrs(set->attrs),
                             .text = model_text(set->text_seed, set->text_size, text_buffer)};
    if (set->fields & MEMDB_FIELD_KEY && set->key >= 0) {
        memory.key = model_key(set->key);
    }
    if (set->fields & MEMDB_FIELD_VECTOR && set->vector_seed) {
        model_vector(set->vector_seed, vector);
        memory.vector = vector;
        memory.dimension = MODEL_DIMENSION;
    }
    return memory;
}

static void send_put(memdb_t *db, memdb_txn_t *txn, transaction_t *transaction,
                     operation_t *operation) {
    static char text_buffer[MODEL_TEXT_BYTES];
    float vector[MODEL_DIMENSION];
    model_space_t *space = &transaction->model.spaces[operation->space];
    memdb_memory_t memory = public_form(operation, text_buffer, vector);
    uint64_t id = 0;
    must(db, memdb_put(txn, space->space, &memory, &id));
    if (!operation->is_new) {
        assert_int_equal(id, operation->id);
    }
    model_memory_t *old = operation->is_new ? NULL : model_find(&transaction->model, id);
    operation->id = id;
    wrote(transaction, 'R', id, 0, 0, false);
    guards(transaction, 'D', space->space);
    bool had = old && old->fields & MEMDB_FIELD_KEY;
    if (operation->memory.fields & MEMDB_FIELD_KEY && operation->memory.key >= 0 &&
        (!had || old->key != operation->memory.key)) {
        wrote(transaction, 'K', space->space, (uint64_t)operation->memory.key, 0, false);
    }
    if (memory.dimension && !space->dimension) { // fixes the dimension
        wrote(transaction, 'D', space->space, 0, 0, false);
        wrote(transaction, 'N', (uint64_t)operation->space, 0, 0, false);
    }
}

// ------------------------------------------------------------------------------ the others

static bool draw_link(model_t *model, operation_t *operation) {
    model_memory_t *from = model_draw_memory(model, operation->space),
                   *to = model_draw_memory(model, operation->space);
    if (!from || !to) {
        return false;
    }
    int free_places = 0;
    for (int i = 0; i < MODEL_LINKS; i++) {
        free_places += model->links[i].from == 0;
    }
    operation->link =
        (model_link_t){.from = from->id,
                       .to = to->id,
                       .type = (int)draw(MODEL_TYPES),
                       .weight = (double)draw(100) / 3 - 10,
                       .valid_from = chance(50) ? MEMDB_TIME_NONE : draw_time() - 100000,
                       .valid_to = chance(50) ? MEMDB_TIME_NONE : draw_time() + 100000,
                       .attrs = (int)draw(4)};
    return free_places >
           MODEL_OPERATIONS * 2; // room for a transaction that is replayed after this one
}

static bool draw_unlink(model_t *model, operation_t *operation) {
    uint32_t start = draw(MODEL_LINKS);
    for (uint32_t i = 0; i < MODEL_LINKS; i++) {
        const model_link_t *link = &model->links[(start + i) % MODEL_LINKS];
        if (link->from) {
            operation->link = *link;
            operation->space = model_find(model, link->from)->space;
            return true;
        }
    }
    return false;
}

static void send_link(memdb_t *db, memdb_txn_t *txn, transaction_t *transaction,
                      const operation_t *operation) {
    memdb_space_t space = transaction->model.spaces[operation->space].space;
    const model_link_t *link = &operation->link;
    if (operation->kind == DO_UNLINK) {
        must(db, memdb_remove_link(txn, space, link->from, link->to, model_type(link->type)));
    } else {
        memdb_link_t sent = {.size = sizeof sent,
                             .space = space,
                             .from = link->from,
                             .to = link->to,
                             .type = model_type(link->type),
                             .weight = link->weight,
                             .attrs = model_attrs(link->attrs),
                             .valid_from = link->valid_from,
                             .valid_to = link->valid_to};
        must(db, memdb_put_link(txn, &sent));
    }
    guards(transaction, 'D', space);
    guards(transaction, 'R', link->from);
    guards(transaction, 'R', link->to);
    wrote(transaction, 'L', link->from, link->to, link->type, operation->kind == DO_UNLINK);
}

static void send_space(memdb_t *db, memdb_txn_t *txn, transaction_t *transaction,
                       operation_t *operation) {
    memdb_bytes_t name = model_space_name(operation->space);
    model_space_t *space = &transaction->model.spaces[operation->space];
    bool drop = operation->kind == DO_DROP;
    if (drop) {
        must(db, memdb_space_drop(txn, name));
    } else {
        must(db, chance(50) ? memdb_space_create(txn, name, NULL, &operation->created)
                            : memdb_space_ensure(txn, name, &operation->created));
    }
    wrote(transaction, 'N', (uint64_t)operation->space, 0, 0, drop);
    wrote(transaction, 'D', drop ? space->space : operation->created, 0, 0, drop);
}

static bool draw_operation(model_t *model, operation_t *operation) {
    *operation = (operation_t){.space = (int)draw(MODEL_SPACES)};
    if (!model->spaces[operation->space].space) {
        operation->kind = DO_CREATE;
        return true;
    }
    uint32_t kind = draw(1000);
    if (kind < 12) {
        operation->kind = DO_DROP;
        return true;
    }
    if (kind < 150) {
        model_memory_t *memory = model_draw_memory(model, operation->space);
        operation->kind = DO_FORGET;
        operation->id = memory ? memory->id : 0;
        return memory != NULL;
    }
    operation->kind = kind < 350 ? DO_LINK : kind < 420 ? DO_UNLINK : DO_PUT;
    return operation->kind == DO_LINK     ? draw_link(model, operation)
           : operation->kind == DO_UNLINK ? draw_unlink(model, operation)
                                          : draw_put(model, operation);
}

bool model_operate(memdb_t *db, memdb_txn_t *txn, transaction_t *transaction) {
    operation_t *operation = &transaction->operations[transaction->count];
    if (transaction->count == MODEL_OPERATIONS || !draw_operation(&transaction->model, operation)) {
        return false;
    }
    switch (operation->kind) {
    case DO_PUT:
        send_put(db, txn, transaction, operation);
        break;
    case DO_FORGET:
        must(db,
             memdb_forget(txn, transaction->model.spaces[operation->space].space, operation->id));
        wrote(transaction, 'R', operation->id, 0, 0, true);
        guards(transaction, 'D', transaction->model.spaces[operation->space].space);
        break;
    case DO_LINK:
    case DO_UNLINK:
        send_link(db, txn, transaction, operation);
        break;
    case DO_CREATE:
    case DO_DROP:
        send_space(db, txn, transaction, operation);
        break;
    }
    model_apply(&transaction->model, operation);
    transaction->count++;
    return true;
}
