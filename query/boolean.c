// Reading questions. The grammar is in query_boolean.h.
#include "query/query_boolean.h"

typedef struct reader {
    const char *text;
    size_t size, at;
    bool signs, phrases;
    char sign; // of the item in hand; 0: none
    size_t sign_place;
    bool opens;
    memdb__boolean_t *question;
    memdb_error_t *error;
} reader_t;

static bool is_blank(char byte) {
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

static memdb_status_t refuse(const reader_t *reader, const char *what) {
    return memdb__fail(reader->error, MEMDB_INVALID, "text: at byte %zu: %s", reader->sign_place,
                       what);
}

/// Note a phrase that is demanded.
static void demand(reader_t *reader, size_t from, size_t to, bool prefix) {
    memdb__boolean_phrase_t phrase = {.text = {reader->text + from, to - from},
                                      .place = reader->sign_place,
                                      .opens = reader->opens,
                                      .forbidden = reader->sign == '-',
                                      .prefix = prefix,
                                      .marked = reader->sign != 0};
    memdb__buffer_append(&reader->question->phrases, &phrase, sizeof phrase);
    reader->opens = false;
}

/// The end of the phrase that begins here, behind its closing mark; 0: none begins.
static size_t phrase_end(const reader_t *reader, size_t *inside_out, size_t *close_out) {
    const char *text = reader->text;
    size_t mark = memdb__quote_at(text + reader->at, reader->size - reader->at);
    if (!mark) {
        return 0;
    }
    *inside_out = reader->at + mark;
    *close_out = memdb__quote_find(text, *inside_out, reader->size);
    return *close_out == reader->size
               ? 0
               : *close_out + memdb__quote_at(text + *close_out, reader->size - *close_out);
}

/// Up to a blank, a phrase, or what ends a group.
static size_t word_end(reader_t *reader, bool grouped) {
    size_t begin = reader->at, inside, close;
    do {
        reader->at++;
    } while (reader->at < reader->size && !is_blank(reader->text[reader->at]) &&
             !(grouped && reader->text[reader->at] == ')') && !phrase_end(reader, &inside, &close));
    size_t end = reader->at;
    reader->at = begin;
    return end;
}

/// A phrase, word or prefix.
static memdb_status_t read_item(reader_t *reader, bool grouped) {
    size_t begin = reader->at, inside, close, end = phrase_end(reader, &inside, &close);
    if (end) {
        if (reader->sign || reader->phrases) {
            demand(reader, inside, close, false);
        }
    } else if (reader->sign && memdb__quote_at(reader->text + begin, reader->size - begin)) {
        return refuse(reader, "a quotation mark does not close");
    } else {
        end = close = word_end(reader, grouped);
        while (close > begin && reader->text[close - 1] == '*') {
            close--;
        }
        if (reader->sign || (reader->phrases && close < end && close > begin)) {
            demand(reader, begin, close, close < end);
        }
    }
    if (reader->sign != '-') {
        memdb__buffer_append(&reader->question->ranks, reader->text + begin, end - begin);
    }
    reader->at = end;
    return MEMDB_OK;
}

static memdb_status_t read_group(reader_t *reader) {
    memdb_status_t status = MEMDB_OK;
    size_t before = reader->question->phrases.size;
    reader->at++;
    while (!status && reader->at < reader->size && reader->text[reader->at] != ')') {
        char byte = reader->text[reader->at];
        if (is_blank(byte)) {
            memdb__buffer_append_u8(&reader->question->ranks, ' ');
            reader->at++;
        } else if (byte == '(' || byte == '+' || byte == '-') {
            return refuse(reader, "a group holds words, phrases and prefixes alone");
        } else {
            status = read_item(reader, true);
        }
    }
    if (status) {
        return status;
    }
    if (reader->at == reader->size) {
        return refuse(reader, "a group does not close");
    }
    reader->at++;
    memdb__buffer_append_u8(&reader->question->ranks, ' '); // what follows is another word
    bool empty = reader->question->phrases.size == before && !reader->question->phrases.failed;
    return empty ? refuse(reader, "the group is empty") : MEMDB_OK;
}

static bool is_sign(char byte) {
    return byte == '+' || byte == '-';
}

/// A sign here is one: nothing but a blank is before it, and neither a blank nor a sign behind.
static bool take_sign(reader_t *reader) {
    const char *text = reader->text;
    size_t at = reader->at;
    bool found = reader->signs && is_sign(text[at]) && (at == 0 || is_blank(text[at - 1])) &&
                 at + 1 < reader->size && !is_blank(text[at + 1]) && !is_sign(text[at + 1]);
    reader->sign = found ? text[at] : 0;
    reader->sign_place = at;
    reader->at += found;
    return found;
}

static memdb_status_t read_all(reader_t *reader) {
    memdb_status_t status = MEMDB_OK;
    while (!status && reader->at < reader->size) {
        if (is_blank(reader->text[reader->at])) {
            memdb__buffer_append_u8(&reader->question->ranks, ' ');
            reader->at++;
            continue;
        }
        reader->opens = true;
        bool grouped = take_sign(reader) && reader->text[reader->at] == '(';
        status = grouped ? read_group(reader) : read_item(reader, false);
    }
    return status;
}

memdb_status_t memdb__boolean_read(memdb_bytes_t text, bool signs, bool phrases,
                                   memdb__boolean_t *question_out, memdb_error_t *error) {
    reader_t reader = {.text = text.data,
                       .size = text.size,
                       .signs = signs,
                       .phrases = phrases,
                       .question = question_out,
                       .error = error};
    *question_out = (memdb__boolean_t){.text = text};
    if (!signs && !phrases) {
        return MEMDB_OK;
    }
    memdb_status_t status = read_all(&reader);
    if (!status && (question_out->ranks.failed || question_out->phrases.failed)) {
        status =
            memdb__fail(error, MEMDB_NOMEM, "no memory to read a question of %zu bytes", text.size);
    }
    question_out->text =
        (memdb_bytes_t){(const char *)question_out->ranks.data, question_out->ranks.size};
    return status;
}

void memdb__boolean_deinit(memdb__boolean_t *question) {
    memdb__buffer_deinit(&question->ranks);
    memdb__buffer_deinit(&question->phrases);
}

memdb_status_t memdb__boolean_demand(const memdb__boolean_t *question, memdb_tokenizer_kind_t kind,
                                     memdb__words_demand_t **demand_out, memdb_error_t *error) {
    const memdb__boolean_phrase_t *phrases = (const void *)question->phrases.data;
    size_t count = question->phrases.size / sizeof *phrases;
    memdb_status_t status = MEMDB_OK;
    memdb__words_demand_t *demand = count ? memdb__words_demand_create(kind) : NULL;
    if (count && !demand) {
        return memdb__fail(error, MEMDB_NOMEM, "no memory for what a question demands");
    }
    for (size_t i = 0; i < count && !status; i++) {
        bool empty;
        status = memdb__words_demand_phrase(demand, phrases[i].opens, phrases[i].forbidden,
                                            phrases[i].prefix, phrases[i].text.data,
                                            phrases[i].text.size, &empty, error);
        if (!status && empty && phrases[i].marked) {
            status = memdb__fail(error, MEMDB_INVALID, "text: at byte %zu: no word is demanded",
                                 phrases[i].place);
        }
    }
    if (status || !memdb__words_demand_clauses(demand)) {
        memdb__words_demand_destroy(demand);
        demand = NULL;
    }
    *demand_out = demand;
    return status;
}
