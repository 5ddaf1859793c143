// See history.h: what marks say, the drawing of transactions, the bytes of things.
#include "tests/crash/history.h"

#include "tests/crash/choice.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_BLOB (200u << 10)
#define MOST_TEXT 9000

// ------------------------------------------------------------------------------ marks

static void begin_life(writer_history_t *writer, uint32_t number) {
    if (writer->lives == MOST_LIVES) {
        abort();
    }
    writer->first[writer->lives++] = number;
    writer->attempted = number;
    for (uint32_t i = number; i < MOST_TRANSACTIONS; i++) {
        writer->lsn[i] = 0;
    }
}

void history_apply(history_t *history, const event_t *mark) {
    writer_history_t *writer = &history->writers[mark->writer];
    switch ((history_mark_t)mark->mark) {
    case MARK_LIFE:
        begin_life(writer, mark->number);
        break;
    case MARK_BEGIN:
        writer->attempted = mark->number + 1;
        break;
    case MARK_FULL:
        writer->promised = mark->number + 1;
        writer->lsn[mark->number] = mark->value;
        break;
    case MARK_DONE:
        writer->lsn[mark->number] = mark->value;
        break;
    case MARK_KEPT:
        writer->promised = mark->number > writer->promised ? mark->number : writer->promised;
        break;
    }
}

void history_mark(history_t *history, history_mark_t mark, uint32_t writer, uint32_t number,
                  uint64_t value) {
    event_t event = {
        .kind = EVENT_MARK, .mark = mark, .writer = writer, .number = number, .value = value};
    history_apply(history, &event);
    recorder_mark(mark, writer, number, value);
}

void history_learn(history_t *history, const trace_t *trace, size_t at) {
    bool ended[WRITERS] = {false};
    for (; at < trace->count; at++) {
        const event_t *mark = trace->events[at];
        if (mark->kind != EVENT_MARK || ended[mark->writer]) {
            continue;
        }
        if (mark->mark == MARK_LIFE) {
            ended[mark->writer] = true; // it speaks of others from here on
        } else if (mark->mark == MARK_FULL || mark->mark == MARK_DONE) {
            history->writers[mark->writer].lsn[mark->number] = mark->value;
        }
    }
}

uint32_t history_life(const history_t *history, uint32_t writer, uint32_t number) {
    const writer_history_t *of = &history->writers[writer];
    uint32_t life = of->lives;
    while (life > 1 && of->first[life - 1] > number) {
        life--;
    }
    return life;
}

// ------------------------------------------------------------------------------ transactions

static choice_t choice_for(const history_t *history, uint32_t writer, uint32_t number,
                           uint32_t what) {
    return choice_of(history->seed + (uint64_t)what * 1000003,
                     ((uint64_t)writer << 48) +
                         ((uint64_t)history_life(history, writer, number) << 32) + number);
}

static uint32_t choose_blob_bytes(choice_t *choice) {
    uint64_t kind = choose(choice, 20);
    return kind < 14   ? 0
           : kind < 19 ? 1 + (uint32_t)choose(choice, 5000)
                       : (60u << 10) + (uint32_t)choose(choice, 100u << 10);
}

static void draw(choice_t *choice, content_t *content, uint32_t number, operation_t *operation) {
    uint64_t kind = choose(choice, 20);
    uint32_t slot = (uint32_t)choose(choice, SLOTS), from = slot % ANCHORS,
             to = (uint32_t)choose(choice, ANCHORS);
    *operation = (operation_t){.kind = OPERATION_PUT, .slot = slot};
    if (kind < 3 && slot >= ANCHORS && content->slots[slot].there) {
        operation->kind = OPERATION_FORGET;
        content->slots[slot] = (slot_t){0};
        return;
    }
    if (kind < 6 && from != to && content->slots[from].there && content->slots[to].there) {
        bool linked = content->links[from][to] != 0;
        operation->kind = linked ? OPERATION_UNLINK : OPERATION_LINK;
        operation->slot = from;
        operation->to = to;
        content->links[from][to] = linked ? 0 : number + 1;
        return;
    }
    if (kind == 19) {
        operation->kind = OPERATION_SCRATCH;
        content->scratch = content->scratch ? 0 : number + 1;
        return;
    }
    operation->vector = choose(choice, 2);
    operation->blob_bytes = choose_blob_bytes(choice);
    content->slots[slot] = (slot_t){true, operation->vector, number, operation->blob_bytes};
}

size_t history_next(const history_t *history, uint32_t writer, content_t *content,
                    operation_t operations_out[MOST_OPERATIONS]) {
    uint32_t number = content->count;
    choice_t choice = choice_for(history, writer, number, 0);
    size_t count = 1 + choose(&choice, MOST_OPERATIONS - 1), used = 0;
    bool touched[SLOTS] = {false}, scratch = false;
    for (size_t i = 0; i < count; i++) {
        content_t after = *content;
        operation_t operation;
        draw(&choice, &after, number, &operation);
        bool links = operation.kind == OPERATION_LINK || operation.kind == OPERATION_UNLINK;
        bool again = operation.kind == OPERATION_SCRATCH
                         ? scratch
                         : touched[operation.slot] || (links && touched[operation.to]);
        if (again) {
            continue; // one change of a thing in a transaction
        }
        touched[operation.slot] |= operation.kind != OPERATION_SCRATCH;
        scratch |= operation.kind == OPERATION_SCRATCH;
        *content = after;
        operations_out[used++] = operation;
    }
    content->count++;
    return used;
}

void history_content(const history_t *history, uint32_t writer, uint32_t count,
                     content_t *content_out) {
    operation_t ignored[MOST_OPERATIONS];
    *content_out = (content_t){0};
    while (content_out->count < count) {
        history_next(history, writer, content_out, ignored);
    }
}

// ------------------------------------------------------------------------------ bytes of things

memdb_bytes_t history_space(uint32_t writer, bool scratch) {
    static _Thread_local char name[32];
    int size = snprintf(name, sizeof name, "writer %u%s", writer, scratch ? " scratch" : "");
    return (memdb_bytes_t){name, (size_t)size};
}

memdb_bytes_t history_key(uint32_t slot) {
    static _Thread_local char key[16];
    int size = snprintf(key, sizeof key, "s%02u", slot);
    return (memdb_bytes_t){key, (size_t)size};
}

memdb_bytes_t history_word(const history_t *history, uint32_t writer, uint32_t slot,
                           uint32_t number) {
    static _Thread_local char word[64];
    int size = snprintf(word, sizeof word, "w%us%un%ul%u", writer, slot, number,
                        history_life(history, writer, number));
    return (memdb_bytes_t){word, (size_t)size};
}

memdb_bytes_t history_text(const history_t *history, uint32_t writer, uint32_t slot,
                           uint32_t number) {
    static _Thread_local char text[MOST_TEXT];
    static const size_t sizes[] = {60, 300, 100, 4000, 70, 900, 8200, 120};
    memdb_bytes_t word = history_word(history, writer, slot, number);
    choice_t choice = choice_for(history, writer, number, 1 + slot);
    size_t size = sizes[choose(&choice, 8)] + choose(&choice, 50);
    memcpy(text, word.data, word.size);
    uint64_t bits = 0;
    for (size_t i = word.size; i < size; i++, bits >>= 8) {
        bits = (i - word.size) % 8 == 0 ? choose_bits(&choice) : bits;
        text[i] = (i - word.size) % 8 == 0 ? ' ' : (char)('a' + (bits & 7));
    }
    return (memdb_bytes_t){text, size};
}

memdb_bytes_t history_blob(const history_t *history, uint32_t writer, uint32_t slot,
                           uint32_t number, uint32_t size) {
    static _Thread_local char blob[MOST_BLOB];
    choice_t choice = choice_for(history, writer, number, 100 + slot);
    for (uint32_t i = 0; i < size; i += 8) {
        uint64_t bits = choose_bits(&choice);
        memcpy(blob + i, &bits, 8);
    }
    return (memdb_bytes_t){blob, size};
}

memdb_bytes_t history_count_text(const history_t *history, uint32_t writer, uint32_t count) {
    static _Thread_local char text[64];
    int size = snprintf(text, sizeof text, "%u transactions, the last of life %u", count,
                        history_life(history, writer, count - 1));
    return (memdb_bytes_t){text, (size_t)size};
}

void history_vector(const history_t *history, uint32_t writer, uint32_t slot, uint32_t number,
                    float vector_out[DIMENSION]) {
    choice_t choice = choice_for(history, writer, number, 200 + slot);
    for (size_t i = 0; i < DIMENSION; i++) {
        vector_out[i] = (float)choose(&choice, 2001) / 1000.0f - 1.0f;
    }
}
