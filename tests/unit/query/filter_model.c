// Drawing and writing random filters and memories. See filter_model.h.
#include "tests/unit/query/filter_model.h"

#include <stdlib.h>
#include <string.h>

uint64_t filter_model_state;

static uint32_t draw(uint32_t limit) { // xorshift64*
    filter_model_state ^= filter_model_state >> 12;
    filter_model_state ^= filter_model_state << 25;
    filter_model_state ^= filter_model_state >> 27;
    return (uint32_t)((filter_model_state * 2685821657736338717u) >> 33) % limit;
}

#define PICK(array) ((array)[draw(sizeof(array) / sizeof *(array))])

const model_time_t filter_model_times[MODEL_TIMES] = {
    {"2023-05-08", 1683504000000000},
    {"2023-05-08T13:56:00Z", 1683554160000000},
    {"2023-05-08T13:56:00.000001+02:00", 1683546960000001},
    {"1969-12-31T23:59:59Z", -1000000}};

static const char *const words[] = {"",          "a",         "ab",          "abc",  "b",
                                    "it's",      "say \"a\"", "back\\slash", "über", "日本",
                                    "new\nline", "true",      "2023-05-08",  "A"};
static const char *const names[] = {"a", "b", "c", "odd name", "qu\"ote", "über", "and", "7"};
static const char *const texts[] = {"key", "text", "kind", "session", "actor"};
static const char *const moments[] = {"time", "valid_from", "valid_to", "expires"};
static const char *const numbers[] = {"id",     "version",   "importance",
                                      "tokens", "dimension", "blobs"};

static json_t *draw_number(void) {
    static const double reals[] = {0.5, -1.0, 2.0, 1e18, -0.0, 9007199254740993.0, 1e300};
    static const int64_t integers[] = {INT64_MAX, INT64_MIN, 9007199254740993, 1000000000000000000};
    switch (draw(4)) {
    case 0:
        return json_real(PICK(reals));
    case 1:
        return json_integer(PICK(integers));
    default:
        return json_integer((json_int_t)draw(7) - 2);
    }
}

// ------------------------------------------------------------------------------ memories

static json_t *draw_attribute(int depth) {
    json_t *value;
    switch (draw(depth > 0 ? 9 : 6)) {
    case 0:
        return json_null();
    case 1:
        return json_boolean(draw(2));
    case 2:
    case 3:
        return draw_number();
    case 4:
        return json_string(PICK(words));
    case 5:
        return json_string(PICK(filter_model_times).text);
    case 6:
        value = json_array();
        for (uint32_t i = draw(4); i > 0; i--)
            json_array_append_new(value, draw_attribute(depth - 1));
        return value;
    default:
        value = json_object();
        for (uint32_t i = draw(5); i > 0; i--)
            json_object_set_new(value, PICK(names), draw_attribute(depth - 1));
        return value;
    }
}

static memdb_bytes_t set_text(memory_t *memory, const char *name) {
    const char *text = draw(3) ? PICK(words) : "";
    if (*text)
        json_object_set_new(memory->json, name, json_string(text));
    return (memdb_bytes_t){text, strlen(text)};
}

static int64_t set_time(memory_t *memory, const char *name) {
    if (draw(3) == 0)
        return MEMDB_TIME_NONE;
    int64_t time = PICK(filter_model_times).time + (int64_t)draw(2);
    json_object_set_new(memory->json, name, json_integer(time));
    return time;
}

static void set_number(memory_t *memory, const char *name, double number) {
    json_object_set_new(memory->json, name, json_real(number));
}

void filter_model_draw_memory(memory_t *memory) {
    memdb__record_t *record = &memory->record;
    *memory = (memory_t){.json = json_object(), .id = 1 + draw(4), .version = draw(5)};
    record->key = set_text(memory, "key");
    record->text = set_text(memory, "text");
    record->kind = set_text(memory, "kind");
    record->session = set_text(memory, "session");
    record->actor = set_text(memory, "actor");
    record->time = set_time(memory, "time");
    record->valid_from = set_time(memory, "valid_from");
    record->valid_to = set_time(memory, "valid_to");
    record->expires = set_time(memory, "expires");
    set_number(memory, "id", (double)memory->id);
    set_number(memory, "version", (double)memory->version);
    record->blob_count = draw(3);
    set_number(memory, "blobs", record->blob_count);
    if (draw(2)) {
        record->fields |= MEMDB_FIELD_IMPORTANCE;
        set_number(memory, "importance", record->importance = (double)draw(9) / 2 - 1);
    }
    if (draw(2)) {
        record->fields |= MEMDB_FIELD_TOKENS;
        set_number(memory, "tokens", record->tokens = draw(5));
    }
    if (draw(2)) {
        record->fields |= MEMDB_FIELD_VECTOR;
        set_number(memory, "dimension", record->dimension = draw(5));
    }
    if (draw(8)) {
        json_t *attributes = json_object();
        for (uint32_t i = draw(6); i > 0; i--)
            json_object_set_new(attributes, PICK(names), draw_attribute(2));
        json_object_set_new(memory->json, "attr", attributes);
        memory->attrs =
            json_dumps(attributes, (draw(2) ? JSON_ENSURE_ASCII : 0) | JSON_INDENT(draw(3)) |
                                       (draw(2) ? JSON_ESCAPE_SLASH : 0));
        assert_non_null(memory->attrs);
        record->attrs = (memdb_bytes_t){memory->attrs, strlen(memory->attrs)};
    }
}

void filter_model_free_memory(memory_t *memory) {
    json_decref(memory->json);
    free(memory->attrs);
}

// ------------------------------------------------------------------------------ filters

static literal_t draw_literal(type_t type) {
    literal_t literal = {.type = draw(15) ? type : TYPE_NULL};
    size_t time = draw(MODEL_TIMES);
    switch (literal.type) {
    case TYPE_BOOL:
        literal.json = json_boolean(draw(2));
        break;
    case TYPE_NUMBER:
        literal.json = draw_number();
        break;
    case TYPE_TEXT:
        literal.json = json_string(draw(6) ? PICK(words) : PICK(filter_model_times).text);
        break;
    case TYPE_TIME:
        literal.time = filter_model_times[time].text;
        literal.json = json_integer(filter_model_times[time].time);
        break;
    default:
        literal.json = json_null();
    }
    return literal;
}

static expression_t *draw_test(void) {
    static const shape_t all[] = {EQ, NE, LT,    LE,     GT,       GE,      BETWEEN,
                                  IN, IN, NULLS, STARTS, CONTAINS, CONTAINS};
    expression_t *test = calloc(1, sizeof *test);
    assert_non_null(test);
    type_t type = (type_t)(TYPE_BOOL + draw(4)); // of an attribute's values
    uint32_t sort = draw(6);
    if (sort < 3) {
        test->path_count = 1 + (int)draw(draw(2) ? 1 : 3);
        for (int i = 0; i < test->path_count; i++)
            test->path[i] = PICK(names);
    } else {
        type = sort == 3 ? TYPE_TEXT : sort == 4 ? TYPE_TIME : TYPE_NUMBER;
        test->field = sort == 3 ? PICK(texts) : sort == 4 ? PICK(moments) : PICK(numbers);
        test->is_time = sort == 4;
    }
    bool parts = !test->field || type == TYPE_TEXT;
    do {
        test->shape = PICK(all);
    } while ((test->shape >= STARTS && !parts) || (test->shape == STARTS && type != TYPE_TEXT) ||
             (type == TYPE_BOOL && ((test->shape >= LT && test->shape <= BETWEEN))));
    test->negated = test->shape >= BETWEEN && draw(3) == 0;
    test->value_count = test->shape == NULLS     ? 0
                        : test->shape == BETWEEN ? 2
                        : test->shape == IN      ? (int)draw(MOST_VALUES + 1)
                                                 : 1;
    for (int i = 0; i < test->value_count; i++)
        test->values[i] = draw_literal(type);
    return test;
}

expression_t *filter_model_draw_expression(int depth) {
    uint32_t shape = depth > 0 ? draw(5) : 4;
    if (shape > NOT)
        return draw_test();
    expression_t *node = calloc(1, sizeof *node);
    assert_non_null(node);
    node->shape = (shape_t)shape;
    node->child_count = shape == NOT ? 1 : 2 + (int)draw(MOST_CHILDREN - 1);
    for (int i = 0; i < node->child_count; i++)
        node->children[i] = filter_model_draw_expression(depth - 1);
    return node;
}

void filter_model_free_expression(expression_t *node) {
    for (int i = 0; i < node->child_count; i++)
        filter_model_free_expression(node->children[i]);
    for (int i = 0; i < node->value_count; i++)
        json_decref(node->values[i].json);
    free(node);
}

// ------------------------------------------------------------------------------ writing

static void space(writer_t *writer, bool needed) {
    static const char *const spaces[] = {" ", "  ", "\n", "\t "};
    if (needed || draw(3) == 0)
        fputs(PICK(spaces), writer->out);
}

static void write_word(writer_t *writer, const char *word) {
    bool capitals = draw(3) == 0;
    space(writer, true);
    for (; *word; word++)
        fputc(capitals && *word >= 'a' && *word <= 'z' ? *word - 'a' + 'A' : *word, writer->out);
    space(writer, true);
}

static void write_quoted(writer_t *writer, const char *text, char quote) {
    fputc(quote, writer->out);
    for (; *text; text++) {
        fputc(*text, writer->out);
        if (*text == quote)
            fputc(quote, writer->out);
    }
    fputc(quote, writer->out);
}

static memdb_value_t value_of(const literal_t *literal) {
    const json_t *json = literal->json;
    switch (literal->type) {
    case TYPE_BOOL:
        return (memdb_value_t){.kind = MEMDB_VALUE_BOOL, .truth = json_is_true(json)};
    case TYPE_NUMBER:
        if (json_is_real(json))
            return (memdb_value_t){.kind = MEMDB_VALUE_NUMBER, .number = json_real_value(json)};
        return (memdb_value_t){.kind = MEMDB_VALUE_INTEGER, .integer = json_integer_value(json)};
    case TYPE_TEXT:
        return (memdb_value_t){.kind = MEMDB_VALUE_TEXT,
                               .text = {json_string_value(json), json_string_length(json)}};
    case TYPE_TIME:
        return (memdb_value_t){.kind = MEMDB_VALUE_TIME, .integer = json_integer_value(json)};
    default:
        return (memdb_value_t){.kind = MEMDB_VALUE_NULL};
    }
}

static void write_param(writer_t *writer, memdb_value_t value) {
    assert_true(writer->param_count < MOST_PARAMS);
    writer->params[writer->param_count++] = value;
    fprintf(writer->out, draw(2) ? "?" : "?%zu", writer->param_count);
}

static void write_literal(writer_t *writer, const expression_t *test, const literal_t *literal) {
    if (draw(4) == 0) {
        write_param(writer, value_of(literal));
        return;
    }
    switch (literal->type) {
    case TYPE_BOOL:
        fputs(json_is_true(literal->json) ? "true" : "FALSE", writer->out);
        break;
    case TYPE_NUMBER:
        if (json_is_real(literal->json))
            fprintf(writer->out, "%.17e", json_real_value(literal->json));
        else
            fprintf(writer->out, "%lld", (long long)json_integer_value(literal->json));
        break;
    case TYPE_TEXT:
        write_quoted(writer, json_string_value(literal->json), '\'');
        break;
    case TYPE_TIME:
        if (!test->is_time || draw(3) == 0)
            fputs("time ", writer->out);
        else {
            write_quoted(writer, literal->time, '\'');
            break;
        }
        if (draw(2))
            write_quoted(writer, literal->time, '\'');
        else
            fprintf(writer->out, "%lld", (long long)json_integer_value(literal->json));
        break;
    default:
        fputs("null", writer->out);
    }
}

static void write_list(writer_t *writer, const expression_t *test) {
    if (draw(4) == 0) {
        memdb_value_t list = {
            .kind = MEMDB_VALUE_LIST,
            .list = {writer->items + writer->item_count, (size_t)test->value_count}};
        for (int i = 0; i < test->value_count; i++)
            writer->items[writer->item_count++] = value_of(&test->values[i]);
        assert_true(writer->item_count < MOST_PARAMS);
        write_param(writer, list);
        return;
    }
    fputc('(', writer->out);
    for (int i = 0; i < test->value_count; i++) {
        fputs(i ? "," : "", writer->out);
        space(writer, false);
        write_literal(writer, test, &test->values[i]);
        space(writer, false);
    }
    fputc(')', writer->out);
}

static void write_operand(writer_t *writer, const expression_t *test) {
    if (test->field) {
        fputs(test->field, writer->out);
        return;
    }
    fputs("attr", writer->out);
    for (int i = 0; i < test->path_count; i++) {
        bool bare = !strpbrk(test->path[i], " \"") && draw(4);
        fputc('.', writer->out);
        if (bare)
            fputs(test->path[i], writer->out);
        else
            write_quoted(writer, test->path[i], '"');
    }
}

static void write_test(writer_t *writer, const expression_t *test) {
    static const char *const symbols[] = {"=", "!=", "<", "<=", ">", ">="};
    write_operand(writer, test);
    if (test->shape < BETWEEN) {
        space(writer, false);
        fputs(test->shape == NE && draw(2) ? "<>" : symbols[test->shape - EQ], writer->out);
        space(writer, false);
        write_literal(writer, test, &test->values[0]);
        return;
    }
    if (test->shape == NULLS) {
        write_word(writer, test->negated ? "is not null" : "is null");
        return;
    }
    if (test->negated)
        write_word(writer, "not");
    write_word(writer, test->shape == BETWEEN  ? "between"
                       : test->shape == IN     ? "in"
                       : test->shape == STARTS ? "starts with"
                                               : "contains");
    if (test->shape == IN) {
        write_list(writer, test);
        return;
    }
    write_literal(writer, test, &test->values[0]);
    if (test->shape == BETWEEN) {
        write_word(writer, "and");
        write_literal(writer, test, &test->values[1]);
    }
}

void filter_model_write(writer_t *writer, const expression_t *node, int outer) {
    int rank = node->shape == OR ? 0 : node->shape == AND ? 1 : node->shape == NOT ? 2 : 3;
    bool parentheses = rank < outer || draw(6) == 0;
    if (parentheses)
        fputc('(', writer->out);
    if (rank == 3)
        write_test(writer, node);
    if (rank == 2) {
        write_word(writer, "not");
        filter_model_write(writer, node->children[0], 2);
    }
    for (int i = 0; rank < 2 && i < node->child_count; i++) {
        if (i)
            write_word(writer, rank ? "and" : "or");
        filter_model_write(writer, node->children[i], rank + (int)draw(2));
    }
    if (parentheses)
        fputc(')', writer->out);
}
