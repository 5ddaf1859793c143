// The questions: everything that the public interface can be asked about the database.
//
// An answer is a hash of all that was given: every field of every memory, link and hit, and the
// content of blobs. "There is no such thing" is an answer too; an error is none.
#include "base/checksum.h"
#include "tests/damage/damage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const damage_words[] = {
    "ember",  "harbour", "lantern", "thicket", "granite", "meadow",  "orchid",  "saffron", "willow",
    "cobalt", "tundra",  "falcon",  "juniper", "marble",  "running", "stories", "naïve",   "東京"};
const uint32_t damage_word_count = sizeof damage_words / sizeof damage_words[0];

memdb_bytes_t damage_space_name(uint32_t space) {
    static const char *const names[] = {"main", "notes", "scratch", "gone"};
    return (memdb_bytes_t){names[space], strlen(names[space])};
}

uint32_t damage_dimension(uint32_t space) {
    return space == 0 ? 16 : 8;
}

memdb_bytes_t damage_key(uint32_t number, char buffer[32]) {
    int size = snprintf(buffer, 32, "k%03u", number);
    return (memdb_bytes_t){buffer, (size_t)size};
}

memdb_bytes_t damage_session(uint32_t number) {
    static const char *const names[] = {"s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9"};
    return (memdb_bytes_t){names[number % 10], 2};
}

void damage_vector(uint64_t seed, uint32_t dimension, float *out) {
    dice_t dice = {seed};
    for (uint32_t i = 0; i < dimension; i++)
        out[i] = (float)((int)dice_below(&dice, 2001) - 1000) / 500.0f;
}

// ------------------------------------------------------------------------------ transcript

typedef struct transcript {
    uint64_t hash;
} transcript_t;

static void say(transcript_t *transcript, const void *data, size_t size) {
    transcript->hash = memdb__hash64(data, size, transcript->hash + size);
}

static void say_number(transcript_t *transcript, uint64_t number) {
    say(transcript, &number, sizeof number);
}

static void say_double(transcript_t *transcript, double number) {
    say(transcript, &number, sizeof number);
}

static void say_bytes(transcript_t *transcript, memdb_bytes_t bytes) {
    say(transcript, bytes.data, bytes.size);
}

static void say_memory(transcript_t *transcript, const memdb_memory_t *memory) {
    const uint64_t numbers[] = {memory->fields,
                                memory->space,
                                memory->id,
                                memory->version,
                                (uint64_t)memory->time,
                                (uint64_t)memory->valid_from,
                                (uint64_t)memory->valid_to,
                                (uint64_t)memory->expires,
                                memory->tokens,
                                memory->dimension,
                                memory->blob_count};
    say(transcript, numbers, sizeof numbers);
    say_double(transcript, memory->importance);
    say_bytes(transcript, memory->key);
    say_bytes(transcript, memory->text);
    say_bytes(transcript, memory->kind);
    say_bytes(transcript, memory->session);
    say_bytes(transcript, memory->actor);
    say_bytes(transcript, memory->attrs);
    for (uint32_t i = 0; i < memory->blob_count; i++) {
        say(transcript, memory->blobs[i].reference, sizeof memory->blobs[i].reference);
        say_number(transcript, memory->blobs[i].size_bytes);
        say_bytes(transcript, memory->blobs[i].media_type);
    }
}

// ------------------------------------------------------------------------------ answers

static bool say_space(void *context, const memdb_space_info_t *info) {
    transcript_t *transcript = context;
    memdb_bytes_t scratch = damage_space_name(2);
    say_bytes(transcript, info->name);
    if (info->name.size == scratch.size && memcmp(info->name.data, scratch.data, 4) == 0)
        return true; // the rounds themselves write there
    const uint64_t numbers[] = {info->space,     info->dimension, info->metric,
                                info->tokenizer, info->memories,  info->text_bytes};
    say(transcript, numbers, sizeof numbers);
    return true;
}

static memdb_status_t ask_cursor(memdb_snapshot_t *snapshot, memdb_space_t space,
                                 const memdb_cursor_options_t *options, transcript_t *transcript) {
    memdb_cursor_t *cursor;
    memdb_memory_t memory = {.size = sizeof memory};
    memdb_status_t status = memdb_cursor_open(snapshot, space, options, &cursor);
    if (status)
        return status;
    while (!(status = memdb_cursor_next(cursor, &memory)))
        say_memory(transcript, &memory);
    memdb_cursor_close(cursor);
    return status == MEMDB_DONE ? MEMDB_OK : status;
}

static memdb_status_t ask_links(memdb_snapshot_t *snapshot, memdb_space_t space, uint64_t id,
                                transcript_t *transcript) {
    memdb_link_cursor_t *cursor;
    memdb_link_t link = {.size = sizeof link};
    memdb_status_t status = memdb_links_open(snapshot, space, id, MEMDB_DIRECTION_BOTH,
                                             (memdb_bytes_t){0}, &cursor);
    if (status)
        return status;
    while (!(status = memdb_links_next(cursor, &link))) {
        const uint64_t numbers[] = {link.space,
                                    link.from,
                                    link.to,
                                    link.version,
                                    (uint64_t)link.valid_from,
                                    (uint64_t)link.valid_to};
        say(transcript, numbers, sizeof numbers);
        say_double(transcript, link.weight);
        say_bytes(transcript, link.type);
        say_bytes(transcript, link.attrs);
    }
    memdb_links_close(cursor);
    return status == MEMDB_DONE ? MEMDB_OK : status;
}

static memdb_status_t ask_blob(memdb_snapshot_t *snapshot, const memdb_blob_t *blob,
                               transcript_t *transcript) {
    static uint8_t buffer[50000];
    memdb_blob_reader_t *reader;
    memdb_status_t status = memdb_blob_reader_open(snapshot, blob, &reader);
    if (status)
        return status;
    size_t read = 1;
    for (uint64_t at = 0; !status && read; at += read) {
        status = memdb_blob_reader_read(reader, at, buffer, sizeof buffer, &read);
        if (!status)
            say(transcript, buffer, read);
    }
    memdb_blob_reader_close(reader);
    return status;
}

/// A question about the memory of one key.
static memdb_status_t ask_memory(memdb_snapshot_t *snapshot, memdb_space_t space,
                                 const damage_question_t *question, transcript_t *transcript) {
    char key[32];
    float vector[64];
    memdb_memory_t memory = {.size = sizeof memory};
    memdb_status_t status =
        memdb_get_by_key(snapshot, space, damage_key(question->number, key), &memory);
    if (status)
        return status;
    switch (question->kind) {
    case ASK_VECTOR:
        status = memdb_get_vector(snapshot, space, memory.id, vector, memory.dimension);
        if (!status)
            say(transcript, vector, memory.dimension * sizeof *vector);
        return status;
    case ASK_LINKS:
        return ask_links(snapshot, space, memory.id, transcript);
    case ASK_BLOBS:
        for (uint32_t i = 0; !status && i < memory.blob_count; i++)
            status = ask_blob(snapshot, &memory.blobs[i], transcript);
        return status;
    default:
        say_memory(transcript, &memory);
        return MEMDB_OK;
    }
}

static memdb_status_t ask_recall(memdb_snapshot_t *snapshot, memdb_space_t space,
                                 const damage_question_t *question, transcript_t *transcript) {
    static const char *const forms[] = {"%s %s", "\"%s %s\"", "%s har*"};
    char text[128];
    float vector[16];
    memdb_result_t *result;
    const char *one = damage_words[question->number % damage_word_count];
    const char *two = damage_words[question->number * 5 % damage_word_count];
    memdb_query_t query = {.size = sizeof query, .spaces = &space, .space_count = 1, .k = 8};
    if (question->kind == ASK_NEAR || question->number % 3 == 0) {
        query.dimension = damage_dimension(question->space);
        damage_vector(question->number + 7000, query.dimension, vector);
        query.vector = vector;
    }
    if (question->kind == ASK_WORDS) {
        snprintf(text, sizeof text, forms[question->number % 3], one, two);
        query.text = (memdb_bytes_t){text, strlen(text)};
    } else {
        query.mode = MEMDB_RECALL_VECTOR;
    }
    memdb_status_t status = memdb_recall(snapshot, &query, &result);
    if (status)
        return status;
    for (size_t i = 0; i < memdb_result_count(result); i++) {
        const memdb_hit_t *hit = memdb_result_hit(result, i);
        say_number(transcript, hit->id);
        say_double(transcript, hit->score);
        say(transcript, hit->signals, sizeof hit->signals);
    }
    memdb_result_free(result);
    return MEMDB_OK;
}

static memdb_status_t ask(memdb_snapshot_t *snapshot, const damage_question_t *question,
                          transcript_t *transcript) {
    memdb_space_t space;
    memdb_cursor_options_t options = {.size = sizeof options};
    if (question->kind == ASK_SPACES)
        return memdb_space_list(snapshot, say_space, transcript);
    memdb_status_t status =
        memdb_space_find(snapshot, damage_space_name(question->space), &space);
    if (status)
        return status;
    switch (question->kind) {
    case ASK_KEYS:
        options.order = MEMDB_ORDER_KEY;
        options.prefix = (memdb_bytes_t){"k1", 2};
        return ask_cursor(snapshot, space, &options, transcript);
    case ASK_SESSION:
        options.order = MEMDB_ORDER_SESSION;
        options.session = damage_session(question->number);
        return ask_cursor(snapshot, space, &options, transcript);
    case ASK_TIMES:
        return ask_cursor(snapshot, space, &options, transcript);
    case ASK_WORDS:
    case ASK_NEAR:
        return ask_recall(snapshot, space, question, transcript);
    default:
        return ask_memory(snapshot, space, question, transcript);
    }
}

damage_answer_t damage_ask(memdb_t *db, memdb_snapshot_t *snapshot,
                           const damage_question_t *question, char error_out[512]) {
    transcript_t transcript = {question->kind};
    damage_answer_t answer = {.status = ask(snapshot, question, &transcript)};
    if (answer.status == MEMDB_NOT_FOUND) { // nothing was said yet, or a part of it: also an answer
        say_number(&transcript, MEMDB_NOT_FOUND);
        answer.status = MEMDB_OK;
    }
    if (answer.status)
        memdb_last_error(db, error_out, 512);
    answer.hash = transcript.hash;
    return answer;
}

// ------------------------------------------------------------------------------ the list

static const uint32_t keys_of[] = {160, 60}; // of the spaces 0 and 1

size_t damage_questions(damage_question_t questions_out[DAMAGE_QUESTIONS]) {
    size_t count = 0;
    questions_out[count++] = (damage_question_t){ASK_SPACES, 0, 0};
    for (uint32_t space = 0; space < 2; space++) {
        questions_out[count++] = (damage_question_t){ASK_TIMES, space, 0};
        questions_out[count++] = (damage_question_t){ASK_KEYS, space, 0};
        for (uint32_t i = 0; i < 10; i++)
            questions_out[count++] = (damage_question_t){ASK_SESSION, space, i};
        for (uint32_t i = 0; i < keys_of[space]; i++) {
            questions_out[count++] = (damage_question_t){ASK_MEMORY, space, i};
            questions_out[count++] = (damage_question_t){ASK_VECTOR, space, i};
            questions_out[count++] = (damage_question_t){ASK_LINKS, space, i};
            if (i % 7 == 0)
                questions_out[count++] = (damage_question_t){ASK_BLOBS, space, i};
        }
        for (uint32_t i = 0; i < DAMAGE_RECALLS; i++)
            questions_out[count++] = (damage_question_t){ASK_WORDS, space, i};
        for (uint32_t i = 0; i < 6; i++)
            questions_out[count++] = (damage_question_t){ASK_NEAR, space, i};
    }
    return count;
}

void damage_question_name(const damage_question_t *question, char *out, size_t size) {
    static const char *const names[] = {"spaces", "times", "keys",  "session", "memory",
                                        "vector", "links", "blobs", "words",   "near"};
    snprintf(out, size, "%s of %s, number %u", names[question->kind],
             damage_space_name(question->space).data, question->number);
}
