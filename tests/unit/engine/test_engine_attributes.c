// Goal: an attribute index has, at every position, exactly the memories that have a value in a
// range, whatever was put, changed, forgotten, dropped, folded or reopened.
// Method: random transactions on a model of plain values; indexes come and go meanwhile; ranges are
// drawn and compared with the model, of now and as it was at older moments; verify must agree.
#include "engine/engine.h"
#include "tests/lib/database.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEMORIES 90
#define STATES 160
#define TEXTS 12
#define LONG_BYTES 300

static uint64_t seed;

static uint32_t draw(uint32_t below) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % below;
}

// ------------------------------------------------------------------------------ values

typedef struct value {
    memdb__attribute_type_t type; // 0: none
    long double number;           // of a truth, number or time: exact
    bool integer;
    int text;
} value_t;

/// Texts in order of bytes.
static memdb_bytes_t text_of(int number) {
    static char long_text[TEXTS][LONG_BYTES + 1];
    static const char *const texts[TEXTS] = {"",   "a", NULL,          "a b",       "ab", NULL,
                                             NULL, "b", "m\xc3\xa4rz", "m\xc3\xa9", "zz", "zzz"};
    if (number == 2) {
        return (memdb_bytes_t){"a\0b", 3};
    }
    if (number == 5 || number == 6) { // alike in what an entry holds of them
        memset(long_text[number], 'a', LONG_BYTES);
        long_text[number][1] = 'c';
        long_text[number][LONG_BYTES - 1] = (char)('0' + number);
        return (memdb_bytes_t){long_text[number], LONG_BYTES};
    }
    return text(texts[number]);
}

static value_t draw_number(void) {
    static const int64_t integers[] = {0,
                                       -1,
                                       7,
                                       INT64_C(9007199254740992),
                                       INT64_C(9007199254740993),
                                       INT64_MAX,
                                       INT64_MAX - 1,
                                       INT64_MIN,
                                       -INT64_C(9007199254740993)};
    static const double reals[] = {0.0,    -0.0,    .5,    -2.25,  7.0, 9007199254740992.0,
                                   0x1p63, -0x1p63, 1e300, -1e-300};
    value_t value = {.type = MEMDB__ATTRIBUTE_NUMBER};
    value.integer = draw(2);
    value.number = value.integer ? (long double)integers[draw(9)] : (long double)reals[draw(10)];
    return value;
}

static value_t draw_value(void) {
    switch (draw(6)) {
    case 0:
        return (value_t){0};
    case 1:
        return (value_t){.type = MEMDB__ATTRIBUTE_TRUTH, .number = draw(2)};
    case 2:
        return (value_t){.type = MEMDB__ATTRIBUTE_OTHER};
    case 3:
    case 4:
        return draw_number();
    default:
        return (value_t){.type = MEMDB__ATTRIBUTE_TEXT, .text = (int)draw(TEXTS)};
    }
}

static void print_text(char *out, size_t size, memdb_bytes_t bytes) {
    size_t at = (size_t)snprintf(out, size, "\"");
    for (size_t i = 0; i < bytes.size; i++) { // some characters with escapes
        bool escape = bytes.data[i] == 0 || bytes.data[i] == 'b';
        at += (size_t)snprintf(out + at, size - at, escape ? "\\u%04x" : "%c",
                               (unsigned char)bytes.data[i]);
    }
    snprintf(out + at, size - at, "\"");
}

static void print_value(char *out, size_t size, value_t value) {
    switch ((int)value.type) {
    case 0:
        snprintf(out, size, "null");
        break;
    case MEMDB__ATTRIBUTE_TRUTH:
        snprintf(out, size, value.number > 0 ? "true" : "false");
        break;
    case MEMDB__ATTRIBUTE_NUMBER:
        if (value.integer) {
            snprintf(out, size, "%lld", (long long)value.number);
        } else {
            snprintf(out, size, "%.17e", (double)value.number);
        }
        break;
    case MEMDB__ATTRIBUTE_TEXT:
        print_text(out, size, text_of(value.text));
        break;
    default:
        snprintf(out, size, "[1, {\"n\": 2}]");
    }
}

static memdb__attribute_value_t encode(value_t value) {
    memdb__attribute_value_t out = {0};
    switch ((int)value.type) {
    case MEMDB__ATTRIBUTE_TRUTH:
        memdb__attribute_of_truth(&out, value.number > 0);
        break;
    case MEMDB__ATTRIBUTE_NUMBER:
        if (value.integer) {
            memdb__attribute_of_integer(&out, (int64_t)value.number);
        } else {
            memdb__attribute_of_real(&out, (double)value.number);
        }
        break;
    case MEMDB__ATTRIBUTE_MOMENT:
        memdb__attribute_of_time(&out, (int64_t)value.number);
        break;
    case MEMDB__ATTRIBUTE_TEXT:
        memdb__attribute_of_text(&out, text_of(value.text));
        break;
    default:
        break;
    }
    return out;
}

static int compare(value_t a, value_t b) {
    if (a.type == MEMDB__ATTRIBUTE_TEXT) {
        memdb_bytes_t x = text_of(a.text), y = text_of(b.text);
        return memdb__compare(x.data, x.size, y.data, y.size);
    }
    return (a.number > b.number) - (a.number < b.number);
}

// ------------------------------------------------------------------------------ the model

typedef struct memory {
    uint64_t id; // 0: there is none
    value_t n, deep;
    int kind; // 0: none
    int64_t time;
} memory_t;

enum { ON_N, ON_DEEP, ON_KIND, ON_TIME, INDEXES };
static const char *const on[INDEXES] = {"attr.n", "attr.\"d.p\".t", "kind", "time"};

typedef struct state {
    uint64_t end;
    memory_t memories[MEMORIES];
} state_t;

typedef struct world {
    fixture_t *fixture;
    memdb_space_t space;
    state_t now, *states;
    size_t count;
    uint64_t answers; // compared
} world_t;

static value_t value_at(const memory_t *memory, int index) {
    if (index == ON_KIND) {
        return (value_t){.type = memory->kind ? MEMDB__ATTRIBUTE_TEXT : 0, .text = memory->kind};
    }
    if (index == ON_TIME) {
        return (value_t){.type = MEMDB__ATTRIBUTE_MOMENT, .number = (long double)memory->time};
    }
    return index == ON_N ? memory->n : memory->deep;
}

static void change_one(world_t *world, memdb_txn_t *txn) {
    char attrs[2 * 6 * LONG_BYTES + 200], n[6 * LONG_BYTES + 8], deep[6 * LONG_BYTES + 8];
    memory_t *memory = &world->now.memories[draw(MEMORIES)];
    memdb_t *db = world->fixture->db;
    if (memory->id && draw(4) == 0) {
        must(db, draw(2) ? memdb_forget(txn, world->space, memory->id)
                         : memdb_forget_erase(txn, world->space, memory->id));
        *memory = (memory_t){0};
        return;
    }
    memdb_memory_t put = {.size = sizeof put, .id = memory->id, .fields = MEMDB_FIELD_TEXT};
    put.text = text(draw(2) ? "lantern" : "harbour");
    if (!memory->id || draw(2)) {
        put.fields |= MEMDB_FIELD_ATTRS;
        memory->n = draw_value();
        memory->deep = draw_value();
        print_value(n, sizeof n, memory->n);
        print_value(deep, sizeof deep, memory->deep);
        snprintf(attrs, sizeof attrs, "{\"x\": {\"n\": 1}, \"d.p\": {\"t\": %s}, \"n\": %s}", deep,
                 n);
        put.attrs = text(attrs);
    }
    if (!memory->id || draw(3) == 0) {
        put.fields |= MEMDB_FIELD_KIND | MEMDB_FIELD_TIME;
        memory->kind = (int)draw(3) ? (int)draw(TEXTS) : 0;
        memory->kind = memory->kind == 2 ? 3 : memory->kind; // no zero byte in a name
        memory->time = put.time = (int64_t)draw(50) - 25;
        put.kind = memory->kind ? text_of(memory->kind) : (memdb_bytes_t){0};
    }
    must(db, memdb_put(txn, world->space, &put, &memory->id));
}

// ------------------------------------------------------------------------------ comparing

static bool is_within(value_t value, const value_t *from, bool past_from, const value_t *to,
                      bool past_to, memdb__attribute_type_t type) {
    if (value.type != type) {
        return false;
    }
    int low = from ? compare(value, *from) : 1, high = to ? compare(value, *to) : -1;
    return (past_from ? low > 0 : low >= 0) && (past_to ? high <= 0 : high < 0);
}

/// Whether an entry holds less of a text than its bounds would need.
static bool is_cut(const value_t *value) {
    return value && value->type == MEMDB__ATTRIBUTE_TEXT &&
           text_of(value->text).size > MEMDB__ATTRIBUTE_TEXT_BYTES;
}

static void check_range(world_t *world, memdb_snapshot_t *snapshot, const state_t *state, int index,
                        uint32_t number) {
    memdb_error_t error = {0};
    memdb__bitmap_t ids = {0};
    uint64_t estimate, expected = 0;
    const value_t from = value_at(&state->memories[draw(MEMORIES)], index);
    value_t to = value_at(&state->memories[draw(MEMORIES)], index);
    if (!from.type || from.type == MEMDB__ATTRIBUTE_OTHER || is_cut(&from) || is_cut(&to)) {
        return;
    }
    to = to.type == from.type ? to : from;
    const memdb__attribute_value_t any = {0}, low = encode(from), high = encode(to);
    bool everything = draw(8) == 0, past_from = draw(2), past_to = draw(2) || everything;
    memdb__key_range_t range;
    memdb__key_attribute_prefix(&range.from, world->space, number, everything ? &any : &low);
    memdb__key_attribute_prefix(&range.to, world->space, number, everything ? &any : &high);
    if (past_from && !everything) {
        memdb__key_pass(&range.from);
    }
    if (past_to) {
        memdb__key_pass(&range.to);
    }
    must(world->fixture->db, memdb__range_ids(&snapshot->sight, &range, &ids, &error));
    must(world->fixture->db, memdb__range_estimate(&snapshot->sight, &range, &estimate, &error));
    for (int i = 0; i < MEMORIES; i++) {
        const memory_t *memory = &state->memories[i];
        value_t value = memory->id ? value_at(memory, index) : (value_t){0};
        bool in = everything ? value.type != 0
                             : is_within(value, &from, past_from, &to, past_to, from.type);
        expected += in;
        if (memory->id && in != memdb__bitmap_has(&ids, memory->id)) {
            fail_msg("index on %s: memory %llu %s", on[index], (unsigned long long)memory->id,
                     in ? "is missing" : "should not be there");
        }
    }
    assert_int_equal(memdb__bitmap_count(&ids), expected);
    world->answers++;
    memdb__bitmap_deinit(&ids);
}

static void check_state(world_t *world, memdb_snapshot_t *snapshot, const state_t *state) {
    memdb__attributes_t attributes;
    memdb_error_t error = {0};
    must(world->fixture->db,
         memdb__read_attributes(&snapshot->sight, world->space, &attributes, &error));
    for (uint32_t i = 0; i < attributes.count; i++) {
        memdb__buffer_t name = {0};
        int index = 0;
        memdb__attribute_print(&name, &attributes.items[i]);
        while (memdb__compare(name.data, name.size, on[index], strlen(on[index])) != 0) {
            index++;
            assert_true(index < INDEXES);
        }
        memdb__buffer_deinit(&name);
        for (int times = 0; attributes.items[i].ready && times < 4; times++) {
            check_range(world, snapshot, state, index, attributes.items[i].number);
        }
    }
}

static void found(void *context, const char *file, uint64_t offset, const char *what) {
    (void)context;
    fail_msg("verify: %s at %llu: %s", file, (unsigned long long)offset, what);
}

static void check_now(world_t *world) {
    memdb_snapshot_t *snapshot;
    must(world->fixture->db, memdb_snapshot_begin(world->fixture->db, NULL, &snapshot));
    check_state(world, snapshot, &world->now);
    memdb_snapshot_end(snapshot);
}

static void check_then(world_t *world) {
    const state_t *state = &world->states[draw((uint32_t)world->count)];
    memdb_snapshot_options_t options = {.size = sizeof options, .as_of_lsn = state->end};
    memdb_snapshot_t *snapshot;
    must(world->fixture->db, memdb_snapshot_begin(world->fixture->db, &options, &snapshot));
    check_state(world, snapshot, state);
    memdb_snapshot_end(snapshot);
}

// ------------------------------------------------------------------------------ the random walk

static void change_indexes(world_t *world) {
    memdb_t *db = world->fixture->db;
    memdb_txn_t *txn;
    int index = (int)draw(INDEXES);
    memdb_status_t status =
        memdb_index_create(db, world->space, text(on[index]), MEMDB_DURABILITY_NONE);
    if (status != MEMDB_EXISTS) {
        must(db, status);
    } else if (draw(3) == 0) {
        must(db, memdb_txn_begin(db, &txn));
        must(db, memdb_index_drop(txn, world->space, text(on[index])));
        must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_NONE, NULL));
    }
}

static void change(world_t *world) {
    memdb_t *db = world->fixture->db;
    memdb_txn_t *txn;
    const state_t before = world->now;
    must(db, memdb_txn_begin(db, &txn));
    for (uint32_t i = 1 + draw(8); i > 0; i--) {
        change_one(world, txn);
    }
    check_state(world, memdb_txn_snapshot(txn), &world->now); // own writes
    if (draw(8) == 0) {
        memdb_txn_abort(txn);
        world->now = before;
        return;
    }
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_NONE, &world->now.end));
}

static void test_indexes_have_what_a_model_has(void **fixture) {
    const char *given = getenv("MEMDB_SEED");
    world_t world = {.fixture = *fixture};
    seed = given ? strtoull(given, NULL, 10) : 20261125;
    print_message("seed=%llu\n", (unsigned long long)seed);
    world.states = calloc(STATES, sizeof *world.states);
    memdb_t *db = world.fixture->db;
    memdb_settings_t settings = {.size = sizeof settings, .history_bytes = 1u << 30};
    must(db, memdb_configure(db, &settings));
    world.space = space_of(db, "main");
    space_of(db, "other");
    while (world.count < STATES) {
        change(&world);
        world.states[world.count++] = world.now;
        check_now(&world);
        check_then(&world);
        uint32_t what = draw(12);
        if (what < 2) {
            change_indexes(&world);
        } else if (what == 2) {
            must(db, memdb_checkpoint(db));
        } else if (what == 3) {
            fixture_close(world.fixture);
            fixture_open(world.fixture, (memdb_options_t){0});
            db = world.fixture->db;
        } else if (what == 4 && draw(4) == 0) {
            must(db, memdb_verify(db, found, NULL));
        }
        // An erased memory is purged later: a purge ends history.
    }
    must(db, memdb_purge(db, NULL));
    must(db, memdb_verify(db, found, NULL));
    check_now(&world);
    assert_true(world.answers > 1000);
    free(world.states);
}

// ------------------------------------------------------------------------------ beside writers

typedef struct writer {
    memdb_t *db;
    memdb_space_t space;
    uint32_t number;
    _Atomic bool stop;
    uint64_t commits;
} writer_t;

/// Change memories of its own, again and again, as one that loses to another commit would.
static void *write_on(void *context) {
    writer_t *writer = context;
    for (uint32_t i = 0; !atomic_load_explicit(&writer->stop, memory_order_relaxed); i++) {
        char key[32], attrs[32];
        memdb_txn_t *txn;
        snprintf(key, sizeof key, "w%u-%u", writer->number, i % 50);
        snprintf(attrs, sizeof attrs, "{\"n\": %u}", i % 7);
        memdb_memory_t put = {.size = sizeof put,
                              .fields = MEMDB_FIELD_KEY | MEMDB_FIELD_ATTRS | MEMDB_FIELD_TIME,
                              .key = text(key),
                              .attrs = text(attrs),
                              .time = 1 + (int64_t)(i * 7919u % 1000u)};
        memdb_memory_t there = {.size = sizeof there};
        must(writer->db, memdb_txn_begin(writer->db, &txn));
        if (i % 11 == 10 &&
            memdb_get_by_key(memdb_txn_snapshot(txn), writer->space, put.key, &there) == MEMDB_OK) {
            must(writer->db, memdb_forget(txn, writer->space, there.id));
        } else {
            must(writer->db, memdb_put(txn, writer->space, &put, NULL));
        }
        memdb_status_t status = memdb_txn_commit(txn, MEMDB_DURABILITY_NONE, NULL);
        assert_true(status == MEMDB_OK || status == MEMDB_CONFLICT);
        writer->commits += status == MEMDB_OK;
    }
    return NULL;
}

static void test_an_index_is_made_beside_writers(void **state) {
    fixture_t *fixture = *state;
    memdb_t *db = fixture->db;
    memdb_space_t space = space_of(db, "main");
    writer_t writers[2];
    pthread_t threads[2];
    memdb_txn_t *txn;
    must(db, memdb_txn_begin(db, &txn));
    for (int i = 0; i < 3000; i++) {
        char attrs[32];
        snprintf(attrs, sizeof attrs, "{\"n\": %d}", i % 7);
        memdb_memory_t put = {.size = sizeof put,
                              .fields = MEMDB_FIELD_ATTRS | MEMDB_FIELD_TIME,
                              .attrs = text(attrs),
                              .time = i % 997};
        must(db, memdb_put(txn, space, &put, NULL));
    }
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_NONE, NULL));
    for (uint32_t i = 0; i < 2; i++) {
        writers[i] = (writer_t){.db = db, .space = space, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, write_on, &writers[i]), 0);
    }
    for (int round = 0; round < 3; round++) {
        must(db, memdb_index_create(db, space, text("attr.n"), MEMDB_DURABILITY_NONE));
        must(db, memdb_verify(db, found, NULL));
        memdb_status_t status;
        do { // a put may commit between snapshot and commit? The list alone decides
            must(db, memdb_txn_begin(db, &txn));
            must(db, memdb_index_drop(txn, space, text("attr.n")));
            status = memdb_txn_commit(txn, MEMDB_DURABILITY_NONE, NULL);
        } while (status == MEMDB_CONFLICT);
        must(db, status);
    }
    must(db, memdb_index_create(db, space, text("attr.n"), MEMDB_DURABILITY_NONE));
    for (uint32_t i = 0; i < 2; i++) {
        atomic_store_explicit(&writers[i].stop, true, memory_order_relaxed);
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_true(writers[i].commits > 0);
    }
    must(db, memdb_verify(db, found, NULL));
}

// ------------------------------------------------------------------------------ what callers meet

static bool count_index(void *context, const memdb_index_info_t *info) {
    int *count = context;
    *count += info->ready ? 1 : 100;
    return true;
}

static void test_indexes_are_declared_listed_and_dropped(void **state) {
    fixture_t *fixture = *state;
    memdb_t *db = fixture->db;
    memdb_snapshot_t *snapshot;
    memdb_txn_t *txn;
    memdb_space_t space;
    int count = 0;
    const memdb_bytes_t declared[] = {text("kind"), text("attr.a.\"b\"\"c\"")};
    memdb_space_options_t options = {.size = sizeof options, .indexes = declared, .index_count = 2};
    must(db, memdb_txn_begin(db, &txn));
    must(db, memdb_space_create(txn, text("main"), &options, &space));
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_DEFAULT, NULL));
    assert_int_equal(memdb_index_create(db, space, text("kind"), 0), MEMDB_EXISTS);
    assert_int_equal(memdb_index_create(db, 77, text("kind"), 0), MEMDB_NOT_FOUND);
    static const char *const bad[] = {"",        "text",        "attr",         "attr.",
                                      "attr.a.", "attr.a b",    "attr.\"a",     "attr..a",
                                      "kinds",   "attr.a\"b\"", "attr.a.\"b\"c"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(memdb_index_create(db, space, text(bad[i]), 0), MEMDB_INVALID);
    }
    for (int i = 0; i < 30; i++) {
        char path[32];
        snprintf(path, sizeof path, "attr.p%d", i);
        must(db, memdb_index_create(db, space, text(path), MEMDB_DURABILITY_NONE));
    }
    assert_int_equal(memdb_index_create(db, space, text("actor"), 0), MEMDB_LIMIT);
    must(db, memdb_snapshot_begin(db, NULL, &snapshot));
    must(db, memdb_index_list(snapshot, space, count_index, &count));
    assert_int_equal(count, 32);
    assert_int_equal(memdb_index_list(snapshot, 77, count_index, &count), MEMDB_NOT_FOUND);
    memdb_snapshot_end(snapshot);
    must(db, memdb_txn_begin(db, &txn));
    assert_int_equal(memdb_index_drop(txn, space, text("actor")), MEMDB_NOT_FOUND);
    must(db, memdb_index_drop(txn, space, text("attr.a.\"b\"\"c\"")));
    assert_int_equal(memdb_index_drop(txn, space, text("attr.a.\"b\"\"c\"")), MEMDB_NOT_FOUND);
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_DEFAULT, NULL));
    must(db, memdb_index_create(db, space, text("actor"), 0));
}

/// A put that began before an index was declared has no entry for it: it must not commit.
static void test_a_put_from_before_an_index_conflicts(void **state) {
    fixture_t *fixture = *state;
    memdb_t *db = fixture->db;
    memdb_space_t space = space_of(db, "main");
    uint64_t id = put_text(db, space, "k", "a lantern");
    memdb_txn_t *put, *forget;
    memdb_memory_t memory = {
        .size = sizeof memory, .fields = MEMDB_FIELD_KIND, .id = id, .kind = text("fact")};
    must(db, memdb_txn_begin(db, &put));
    must(db, memdb_put(put, space, &memory, NULL));
    must(db, memdb_index_create(db, space, text("kind"), MEMDB_DURABILITY_DEFAULT));
    assert_int_equal(memdb_txn_commit(put, MEMDB_DURABILITY_DEFAULT, NULL), MEMDB_CONFLICT);
    must(db, memdb_txn_begin(db, &put));
    must(db, memdb_put(put, space, &memory, NULL));
    must(db, memdb_txn_commit(put, MEMDB_DURABILITY_DEFAULT, NULL));
    must(db, memdb_txn_begin(db, &forget));
    must(db, memdb_forget(forget, space, id));
    must(db, memdb_index_create(db, space, text("actor"), MEMDB_DURABILITY_DEFAULT));
    assert_int_equal(memdb_txn_commit(forget, MEMDB_DURABILITY_DEFAULT, NULL), MEMDB_CONFLICT);
    must(db, memdb_verify(db, found, NULL));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(test_indexes_have_what_a_model_has),
        CASE(test_an_index_is_made_beside_writers),
        CASE(test_indexes_are_declared_listed_and_dropped),
        CASE(test_a_put_from_before_an_index_conflicts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
