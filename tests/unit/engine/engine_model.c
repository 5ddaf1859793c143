// Drawing, sending and applying operations. See engine_model.h.
#include "tests/unit/engine/engine_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t model_random_state = 1;

uint32_t draw(uint32_t below) {
    model_random_state += 0x9E3779B97F4A7C15; // splitmix64 (Steele et al. 2014)
    uint64_t z = model_random_state;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return (uint32_t)((z ^ (z >> 31)) % below);
}

bool chance(uint32_t percent) {
    return draw(100) < percent;
}

memdb_bytes_t model_space_name(int number) {
    static const char *const names[MODEL_SPACES] = {"a", "ab", "b", "über", "z"};
    return text(names[number]);
}

memdb_bytes_t model_key(int number) {
    static _Thread_local char keys[4][64];
    static _Thread_local int next;
    char *key = keys[next++ % 4];
    static const char *const stems[] = {"k", "k/", "key/long/", "ключ", "\x01"};
    snprintf(key, 64, "%s%d", stems[number % 5], number / 5);
    return text(key);
}

memdb_bytes_t model_session(int number) {
    static const char *const names[MODEL_SESSIONS] = {"", "s", "s1", "\x01s"};
    return text(names[number]);
}

memdb_bytes_t model_type(int number) {
    static const char *const names[MODEL_TYPES] = {"", "knows", "knows of", "\x01"};
    return text(names[number]);
}

memdb_bytes_t model_word(int number) {
    static const char *const names[] = {"", "user", "tool", "Ω"};
    return text(names[number]);
}

memdb_bytes_t model_attrs(int number) {
    static const char *const objects[] = {"", "{}", "{\"a\":1}",
                                          "{\"b\":[1,2,{\"c\":null}],\"d\":\"\\u00e9\"}"};
    return text(objects[number]);
}

memdb_bytes_t model_text(uint32_t seed, uint32_t size, char *buffer) {
    uint32_t x = seed | 1;
    for (uint32_t i = 0; i < size; i++) {
        x = x * 1664525 + 1013904223;
        buffer[i] = (x >> 24) % 6 == 0 ? ' ' : (char)('a' + (x >> 16) % 8);
    }
    return (memdb_bytes_t){buffer, size};
}

void model_vector(uint32_t seed, float vector_out[MODEL_DIMENSION]) {
    uint32_t x = seed | 1;
    for (int i = 0; i < MODEL_DIMENSION; i++) {
        x = x * 1664525 + 1013904223;
        vector_out[i] = (float)((int)((x >> 16) % 2001) - 1000) / 250 + .001f;
    }
}

model_memory_t *model_find(model_t *model, uint64_t id) {
    for (int i = 0; i < MODEL_MEMORIES; i++) {
        if (model->memories[i].id == id) {
            return &model->memories[i];
        }
    }
    return NULL;
}

model_memory_t *model_find_key(model_t *model, int space, int key) {
    for (int i = 0; i < MODEL_MEMORIES; i++) {
        model_memory_t *memory = &model->memories[i];
        if (memory->id && memory->space == space && memory->fields & MEMDB_FIELD_KEY &&
            memory->key == key) {
            return memory;
        }
    }
    return NULL;
}

model_memory_t *model_draw_memory(model_t *model, int space) {
    uint32_t start = draw(MODEL_MEMORIES);
    for (int i = 0; i < MODEL_MEMORIES; i++) {
        model_memory_t *memory = &model->memories[(start + (uint32_t)i) % MODEL_MEMORIES];
        if (memory->id && memory->space == space) {
            return memory;
        }
    }
    return NULL;
}

model_link_t *model_find_link(model_t *model, uint64_t from, int type, uint64_t to) {
    for (int i = 0; i < MODEL_LINKS; i++) {
        model_link_t *link = &model->links[i];
        if (link->from && link->from == from && link->to == to && link->type == type) {
            return link;
        }
    }
    return NULL;
}

int model_free_memories(const model_t *model) {
    int count = 0;
    for (int i = 0; i < MODEL_MEMORIES; i++) {
        count += model->memories[i].id == 0;
    }
    return count;
}

// ------------------------------------------------------------------------------ applying

static void lay_over(model_memory_t *memory, const model_memory_t *set) {
    const int *const numbers_in[] = {&set->key, NULL, &set->kind, &set->session, &set->actor};
    int *const numbers[] = {&memory->key, NULL, &memory->kind, &memory->session, &memory->actor};
    const int64_t times_in[] = {set->time, set->valid_from, set->valid_to, set->expires};
    int64_t *const times[] = {&memory->time, &memory->valid_from, &memory->valid_to,
                              &memory->expires};
    for (uint32_t i = 0; i < 5; i++) {
        uint32_t bit = 1u << i;
        if (!(set->fields & bit)) {
            continue;
        }
        bool empty = i == 1 ? set->text_size == 0 : i != 0 && *numbers_in[i] == 0;
        empty |= i == 0 && *numbers_in[0] < 0;
        if (i == 1) {
            memory->text_seed = set->text_seed;
            memory->text_size = set->text_size;
        } else {
            *numbers[i] = *numbers_in[i];
        }
        memory->fields = empty ? memory->fields & ~bit : memory->fields | bit;
    }
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t bit = MEMDB_FIELD_TIME << i;
        if (set->fields & bit &&
            (i || set->time != MEMDB_TIME_NONE)) { // a time is kept, not cleared
            *times[i] = times_in[i];
            memory->fields =
                times_in[i] == MEMDB_TIME_NONE ? memory->fields & ~bit : memory->fields | bit;
            memory->time_unknown &= i != 0;
        }
    }
    if (set->fields & MEMDB_FIELD_IMPORTANCE) {
        memory->importance = set->importance;
    }
    if (set->fields & MEMDB_FIELD_TOKENS) {
        memory->tokens = set->tokens;
    }
    memory->fields |= set->fields & (MEMDB_FIELD_IMPORTANCE | MEMDB_FIELD_TOKENS);
    if (set->fields & MEMDB_FIELD_ATTRS) {
        memory->attrs = set->attrs;
        memory->fields = set->attrs ? memory->fields | MEMDB_FIELD_ATTRS
                                    : memory->fields & ~(uint32_t)MEMDB_FIELD_ATTRS;
    }
    if (set->fields & MEMDB_FIELD_VECTOR) {
        memory->vector_seed = set->vector_seed;
        memory->fields = set->vector_seed ? memory->fields | MEMDB_FIELD_VECTOR
                                          : memory->fields & ~(uint32_t)MEMDB_FIELD_VECTOR;
    }
}

static void apply_put(model_t *model, const operation_t *operation) {
    model_memory_t *memory = model_find(model, operation->is_new ? 0 : operation->id);
    assert_non_null(memory);
    if (operation->is_new) {
        *memory = (model_memory_t){.id = operation->id,
                                   .space = operation->space,
                                   .fields = MEMDB_FIELD_TIME,
                                   .time = MEMDB_TIME_NONE,
                                   .time_unknown = true,
                                   .valid_from = MEMDB_TIME_NONE,
                                   .valid_to = MEMDB_TIME_NONE,
                                   .expires = MEMDB_TIME_NONE};
    }
    lay_over(memory, &operation->memory);
    if (operation->memory.fields & MEMDB_FIELD_VECTOR && operation->memory.vector_seed) {
        model->spaces[operation->space].dimension = MODEL_DIMENSION;
    }
}

static void drop_links_of(model_t *model, uint64_t id) {
    for (int i = 0; i < MODEL_LINKS; i++) {
        if (model->links[i].from == id || model->links[i].to == id) {
            model->links[i] = (model_link_t){0};
        }
    }
}

void model_apply(model_t *model, const operation_t *operation) {
    model_link_t *link = NULL;
    switch (operation->kind) {
    case DO_PUT:
        apply_put(model, operation);
        break;
    case DO_FORGET:
        drop_links_of(model, operation->id);
        if (model_find(model, operation->id)) { // not when its space was dropped before a replay
            *model_find(model, operation->id) = (model_memory_t){0};
        }
        break;
    case DO_LINK:
    case DO_UNLINK:
        link =
            model_find_link(model, operation->link.from, operation->link.type, operation->link.to);
        for (int i = 0; !link && i < MODEL_LINKS; i++) {
            link = model->links[i].from ? NULL : &model->links[i];
        }
        assert_non_null(link);
        *link = operation->kind == DO_LINK ? operation->link : (model_link_t){0};
        break;
    case DO_CREATE:
        model->spaces[operation->space] = (model_space_t){.space = operation->created};
        break;
    case DO_DROP:
        for (int i = 0; i < MODEL_MEMORIES; i++) {
            if (model->memories[i].id && model->memories[i].space == operation->space) {
                drop_links_of(model, model->memories[i].id);
                model->memories[i] = (model_memory_t){0};
            }
        }
        model->spaces[operation->space] = (model_space_t){0};
        break;
    }
}
