// Every bad input is refused with its status, and nothing has changed: after each refusal the
// transaction is still empty, and the memory that was there is as it was.
#include "tests/lib/database.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BIG (64u << 10)

static char *big; // of letters, longer than every limit but that of texts

static memdb_bytes_t sized(size_t size) {
    return (memdb_bytes_t){big, size};
}

typedef struct bench {
    memdb_t *db;
    memdb_space_t space, other;
    memdb_txn_t *txn;
    uint64_t there, elsewhere; // memories of space and of other
} bench_t;

static bench_t begin(void **state) {
    fixture_t *fixture = *state;
    bench_t bench = {.db = fixture->db};
    memdb_space_options_t options = {.size = sizeof options, .dimension = 3};
    memdb_txn_t *txn;
    must(bench.db, memdb_txn_begin(bench.db, &txn));
    must(bench.db, memdb_space_create(txn, text("main"), &options, &bench.space));
    must(bench.db, memdb_txn_commit(txn, MEMDB_DURABILITY_DEFAULT, NULL));
    bench.other = space_of(bench.db, "other");
    bench.there = put_text(bench.db, bench.space, "there", "as it was");
    bench.elsewhere = put_text(bench.db, bench.other, "elsewhere", "as it was");
    must(bench.db, memdb_txn_begin(bench.db, &bench.txn));
    return bench;
}

/// Nothing was written: the commit of the transaction ends where its snapshot was.
static void end(bench_t *bench) {
    memdb_memory_t got;
    uint64_t lsn, before = memdb_snapshot_lsn(memdb_txn_snapshot(bench->txn));
    must(bench->db,
         memdb_get_by_key(memdb_txn_snapshot(bench->txn), bench->space, text("there"), &got));
    assert_int_equal(got.id, bench->there);
    assert_int_equal(got.fields, MEMDB_FIELD_KEY | MEMDB_FIELD_TEXT | MEMDB_FIELD_TIME);
    must(bench->db, memdb_txn_commit(bench->txn, MEMDB_DURABILITY_DEFAULT, &lsn));
    assert_int_equal(lsn, before);
    assert_string_equal(get_text(bench->db, bench->space, "there"), "as it was");
}

static void refuse(bench_t *bench, memdb_memory_t memory, memdb_status_t wanted) {
    uint64_t id = 12345;
    char message[512];
    memory.size = memory.size ? memory.size : sizeof memory;
    assert_int_equal(memdb_put(bench->txn, bench->space, &memory, &id), wanted);
    assert_int_equal(id, 12345);
    assert_true(memdb_last_error(bench->db, message, sizeof message) > 0);
    memory.id = bench->there; // as a change of what is there
    assert_int_equal(memdb_put(bench->txn, bench->space, &memory, &id), wanted);
    assert_int_equal(id, 12345);
}

static void test_texts_that_are_not_utf8_or_too_long_are_refused(void **state) {
    bench_t bench = begin(state);
    static const char *const bad[] = {"\xff", "ok\xc3", "\xed\xa0\x80", "\xc0\xaf",
                                      "\xf4\x90\x80\x80"};
    const uint32_t fields[] = {MEMDB_FIELD_KEY,     MEMDB_FIELD_TEXT,  MEMDB_FIELD_KIND,
                               MEMDB_FIELD_SESSION, MEMDB_FIELD_ACTOR, MEMDB_FIELD_ATTRS};
    const size_t limits[] = {MEMDB_MAX_KEY_BYTES,  MEMDB_MAX_TEXT_BYTES, MEMDB_MAX_NAME_BYTES,
                             MEMDB_MAX_NAME_BYTES, MEMDB_MAX_NAME_BYTES, MEMDB_MAX_ATTRS_BYTES};
    for (size_t i = 0; i < 6; i++) {
        memdb_memory_t memory = {.fields = fields[i]};
        memdb_bytes_t *const places[] = {&memory.key,     &memory.text,  &memory.kind,
                                         &memory.session, &memory.actor, &memory.attrs};
        for (size_t j = 0; j < sizeof bad / sizeof bad[0]; j++) {
            *places[i] = text(bad[j]);
            refuse(&bench, memory, MEMDB_INVALID);
        }
        *places[i] = sized(limits[i] + 1);
        refuse(&bench, memory, MEMDB_LIMIT);
        *places[i] = (memdb_bytes_t){NULL, 5};
        refuse(&bench, memory, MEMDB_INVALID);
        if (fields[i] != MEMDB_FIELD_TEXT) {
            *places[i] = (memdb_bytes_t){"a\0b", 3};
            refuse(&bench, memory, MEMDB_INVALID);
        }
    }
    refuse(&bench, (memdb_memory_t){.fields = MEMDB_FIELD_KEY, .key = sized(BIG)}, MEMDB_LIMIT);
    end(&bench);
}

static void test_numbers_and_structs_that_are_not_valid_are_refused(void **state) {
    bench_t bench = begin(state);
    const double not_finite[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3; i++) {
        float vector[3] = {1, (float)not_finite[i], 2};
        refuse(&bench,
               (memdb_memory_t){.fields = MEMDB_FIELD_IMPORTANCE, .importance = not_finite[i]},
               MEMDB_INVALID);
        refuse(&bench,
               (memdb_memory_t){.fields = MEMDB_FIELD_VECTOR, .vector = vector, .dimension = 3},
               MEMDB_INVALID);
    }
    float ones[4] = {1, 1, 1, 1};
    refuse(&bench, (memdb_memory_t){.fields = MEMDB_FIELD_VECTOR, .vector = ones, .dimension = 4},
           MEMDB_INVALID);
    refuse(&bench, (memdb_memory_t){.fields = MEMDB_FIELD_VECTOR, .vector = NULL, .dimension = 3},
           MEMDB_INVALID);
    refuse(&bench,
           (memdb_memory_t){
               .fields = MEMDB_FIELD_VECTOR, .vector = ones, .dimension = MEMDB_MAX_DIMENSION + 1},
           MEMDB_INVALID);
    refuse(&bench,
           (memdb_memory_t){.fields = MEMDB_FIELD_VALID_FROM | MEMDB_FIELD_VALID_TO,
                            .valid_from = 5,
                            .valid_to = 4},
           MEMDB_INVALID);
    refuse(&bench, (memdb_memory_t){.fields = 1u << 14}, MEMDB_INVALID);
    refuse(&bench,
           (memdb_memory_t){
               .size = sizeof(memdb_memory_t) - 8, .fields = MEMDB_FIELD_TEXT, .text = text("x")},
           MEMDB_INVALID);
    refuse(&bench, (memdb_memory_t){.fields = MEMDB_FIELD_BLOBS, .blob_count = MEMDB_MAX_BLOBS + 1},
           MEMDB_LIMIT);
    refuse(&bench, (memdb_memory_t){.fields = MEMDB_FIELD_ATTRS, .attrs = text("[1]")},
           MEMDB_INVALID);
    refuse(&bench,
           (memdb_memory_t){.fields = MEMDB_FIELD_ATTRS, .attrs = text("{\"a\":1,\"a\":2}")},
           MEMDB_INVALID);
    refuse(&bench, (memdb_memory_t){.fields = MEMDB_FIELD_ATTRS, .attrs = text("{\"a\":")},
           MEMDB_INVALID);
    refuse(&bench, (memdb_memory_t){.fields = MEMDB_FIELD_ATTRS, .attrs = text("{} {}")},
           MEMDB_INVALID);
    end(&bench);
}

static void test_memories_that_are_not_there_are_not_found(void **state) {
    bench_t bench = begin(state);
    memdb_snapshot_t *snapshot = memdb_txn_snapshot(bench.txn);
    memdb_memory_t got,
        memory = {
            .size = sizeof memory, .id = 999999, .fields = MEMDB_FIELD_TEXT, .text = text("x")};
    memdb_cursor_t *cursor;
    memdb_space_info_t info;
    float vector[3];
    assert_int_equal(memdb_put(bench.txn, bench.space, &memory, NULL), MEMDB_NOT_FOUND);
    memory.id = bench.elsewhere; // of another space
    assert_int_equal(memdb_put(bench.txn, bench.space, &memory, NULL), MEMDB_NOT_FOUND);
    memory.id = 0;
    assert_int_equal(memdb_put(bench.txn, 999, &memory, NULL), MEMDB_NOT_FOUND);
    assert_int_equal(memdb_put(bench.txn, 0, &memory, NULL), MEMDB_NOT_FOUND);
    assert_int_equal(memdb_forget(bench.txn, bench.space, bench.elsewhere), MEMDB_NOT_FOUND);
    assert_int_equal(memdb_forget(bench.txn, bench.space, 999999), MEMDB_NOT_FOUND);
    assert_int_equal(memdb_forget(bench.txn, 999, bench.there), MEMDB_NOT_FOUND);
    assert_int_equal(memdb_get(snapshot, bench.space, bench.elsewhere, &got), MEMDB_NOT_FOUND);
    assert_int_equal(memdb_get(snapshot, 999, bench.there, &got), MEMDB_NOT_FOUND);
    assert_int_equal(memdb_get_by_key(snapshot, bench.space, text("elsewhere"), &got),
                     MEMDB_NOT_FOUND);
    assert_int_equal(memdb_get_by_key(snapshot, bench.space, text("\xff"), &got), MEMDB_INVALID);
    assert_int_equal(memdb_get_by_key(snapshot, bench.space, sized(BIG), &got), MEMDB_LIMIT);
    assert_int_equal(memdb_get_vector(snapshot, bench.space, bench.there, vector, 3),
                     MEMDB_NOT_FOUND);
    assert_int_equal(memdb_trace_open(snapshot, bench.space, bench.elsewhere, 1, 1, &cursor),
                     MEMDB_NOT_FOUND);
    assert_int_equal(memdb_trace_open(snapshot, bench.space, bench.there, UINT32_MAX, 1, &cursor),
                     MEMDB_INVALID);
    assert_int_equal(memdb_cursor_open(snapshot, 999, NULL, &cursor), MEMDB_NOT_FOUND);
    assert_int_equal(memdb_space_get_info(snapshot, 999, &info), MEMDB_NOT_FOUND);
    end(&bench);
}

static void test_a_key_of_another_memory_is_refused(void **state) {
    bench_t bench = begin(state);
    memdb_memory_t memory = {
        .size = sizeof memory, .fields = MEMDB_FIELD_KEY, .key = text("second")};
    uint64_t second;
    must(bench.db, memdb_put(bench.txn, bench.space, &memory, &second));
    memory.id = second;
    memory.key = text("there");
    assert_int_equal(memdb_put(bench.txn, bench.space, &memory, NULL), MEMDB_EXISTS);
    must(bench.db, memdb_forget(bench.txn, bench.space, second));
    memdb_txn_abort(bench.txn);
}

static void refuse_link(bench_t *bench, memdb_link_t link, memdb_status_t wanted) {
    link.size = link.size ? link.size : sizeof link;
    link.space = link.space ? link.space : bench->space;
    link.from = link.from ? link.from : bench->there;
    link.to = link.to ? link.to : bench->there;
    assert_int_equal(memdb_put_link(bench->txn, &link), wanted);
}

static void test_links_that_are_not_valid_are_refused(void **state) {
    bench_t bench = begin(state);
    memdb_link_cursor_t *cursor;
    memdb_snapshot_t *snapshot = memdb_txn_snapshot(bench.txn);
    refuse_link(&bench, (memdb_link_t){.to = 999999}, MEMDB_NOT_FOUND);
    refuse_link(&bench, (memdb_link_t){.from = 999999}, MEMDB_NOT_FOUND);
    refuse_link(&bench, (memdb_link_t){.to = bench.elsewhere}, MEMDB_NOT_FOUND);
    refuse_link(&bench, (memdb_link_t){.space = 999}, MEMDB_NOT_FOUND);
    refuse_link(&bench, (memdb_link_t){.weight = NAN}, MEMDB_INVALID);
    refuse_link(&bench, (memdb_link_t){.weight = INFINITY}, MEMDB_INVALID);
    refuse_link(&bench, (memdb_link_t){.size = 8}, MEMDB_INVALID);
    refuse_link(&bench, (memdb_link_t){.type = text("\xff")}, MEMDB_INVALID);
    refuse_link(&bench, (memdb_link_t){.type = {"a\0b", 3}}, MEMDB_INVALID);
    refuse_link(&bench, (memdb_link_t){.type = {NULL, 3}}, MEMDB_INVALID);
    refuse_link(&bench, (memdb_link_t){.type = sized(MEMDB_MAX_NAME_BYTES + 1)}, MEMDB_LIMIT);
    refuse_link(&bench, (memdb_link_t){.attrs = text("7")}, MEMDB_INVALID);
    refuse_link(&bench, (memdb_link_t){.attrs = {NULL, 3}}, MEMDB_INVALID);
    refuse_link(&bench, (memdb_link_t){.attrs = sized(MEMDB_MAX_ATTRS_BYTES + 1)}, MEMDB_LIMIT);
    refuse_link(&bench, (memdb_link_t){.valid_from = 2, .valid_to = 1}, MEMDB_INVALID);
    assert_int_equal(
        memdb_remove_link(bench.txn, bench.space, bench.there, bench.there, text("none")),
        MEMDB_NOT_FOUND);
    assert_int_equal(memdb_remove_link(bench.txn, bench.space, bench.there, bench.there,
                                       sized(MEMDB_MAX_NAME_BYTES + 1)),
                     MEMDB_LIMIT);
    assert_int_equal(memdb_remove_link(bench.txn, bench.space, bench.there, bench.there,
                                       (memdb_bytes_t){NULL, 3}),
                     MEMDB_INVALID);
    assert_int_equal(memdb_links_open(snapshot, bench.space, bench.there, (memdb_direction_t)3,
                                      text(""), &cursor),
                     MEMDB_INVALID);
    assert_int_equal(memdb_links_open(snapshot, bench.space, bench.there, MEMDB_DIRECTION_IN,
                                      (memdb_bytes_t){NULL, 3}, &cursor),
                     MEMDB_INVALID);
    end(&bench);
}

static void test_spaces_that_are_not_valid_are_refused(void **state) {
    bench_t bench = begin(state);
    memdb_space_t space = 77;
    memdb_snapshot_t *snapshot = memdb_txn_snapshot(bench.txn);
    memdb_space_options_t options = {.size = sizeof options, .dimension = MEMDB_MAX_DIMENSION + 1};
    const memdb_bytes_t bad[] = {text(""), text("\xff"), {"a\0b", 3}, {NULL, 3}};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(memdb_space_create(bench.txn, bad[i], NULL, &space), MEMDB_INVALID);
        assert_int_equal(memdb_space_ensure(bench.txn, bad[i], &space), MEMDB_INVALID);
        assert_int_equal(memdb_space_drop(bench.txn, bad[i]), MEMDB_INVALID);
        assert_int_equal(memdb_space_find(snapshot, bad[i], &space), MEMDB_INVALID);
    }
    assert_int_equal(memdb_space_create(bench.txn, sized(MEMDB_MAX_NAME_BYTES + 1), NULL, &space),
                     MEMDB_LIMIT);
    assert_int_equal(memdb_space_create(bench.txn, text("main"), NULL, &space), MEMDB_EXISTS);
    assert_int_equal(memdb_space_create(bench.txn, text("new"), &options, &space), MEMDB_INVALID);
    options = (memdb_space_options_t){.size = 4};
    assert_int_equal(memdb_space_create(bench.txn, text("new"), &options, &space), MEMDB_INVALID);
    options = (memdb_space_options_t){.size = sizeof options, .metric = (memdb_metric_t)9};
    assert_int_equal(memdb_space_create(bench.txn, text("new"), &options, &space), MEMDB_INVALID);
    options =
        (memdb_space_options_t){.size = sizeof options, .tokenizer = (memdb_tokenizer_kind_t)9};
    assert_int_equal(memdb_space_create(bench.txn, text("new"), &options, &space), MEMDB_INVALID);
    assert_int_equal(memdb_space_drop(bench.txn, text("none")), MEMDB_NOT_FOUND);
    assert_int_equal(memdb_space_find(snapshot, text("none"), &space), MEMDB_NOT_FOUND);
    assert_int_equal(space, 77);
    end(&bench);
}

static void test_cursor_and_snapshot_options_that_are_not_valid_are_refused(void **state) {
    bench_t bench = begin(state);
    memdb_snapshot_t *snapshot = memdb_txn_snapshot(bench.txn), *none = NULL;
    memdb_cursor_t *cursor;
    const struct {
        memdb_cursor_options_t options;
        memdb_status_t wanted;
    } cases[] = {
        {{.size = 8}, MEMDB_INVALID},
        {{.size = sizeof(memdb_cursor_options_t), .order = (memdb_order_t)3}, MEMDB_INVALID},
        {{.size = sizeof(memdb_cursor_options_t), .order = MEMDB_ORDER_KEY, .has_from = true},
         MEMDB_INVALID},
        {{.size = sizeof(memdb_cursor_options_t), .after = {"\0\0\0", 3}}, MEMDB_INVALID},
        {{.size = sizeof(memdb_cursor_options_t), .after = {big, BIG}}, MEMDB_INVALID},
        {{.size = sizeof(memdb_cursor_options_t),
          .order = MEMDB_ORDER_SESSION,
          .session = {big, BIG}},
         MEMDB_LIMIT},
        {{.size = sizeof(memdb_cursor_options_t), .order = MEMDB_ORDER_KEY, .prefix = {big, BIG}},
         MEMDB_LIMIT},
        {{.size = sizeof(memdb_cursor_options_t), .order = MEMDB_ORDER_KEY, .prefix = {NULL, 3}},
         MEMDB_INVALID},
        {{.size = sizeof(memdb_cursor_options_t),
          .order = MEMDB_ORDER_SESSION,
          .session = {NULL, 3}},
         MEMDB_INVALID},
        {{.size = sizeof(memdb_cursor_options_t), .after = {NULL, 3}}, MEMDB_INVALID},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(memdb_cursor_open(snapshot, bench.space, &cases[i].options, &cursor),
                         cases[i].wanted);
    }
    memdb_snapshot_options_t options = {.size = 4};
    assert_int_equal(memdb_snapshot_begin(bench.db, &options, &none), MEMDB_INVALID);
    options = (memdb_snapshot_options_t){.size = sizeof options, .as_of_lsn = UINT64_MAX};
    assert_int_equal(memdb_snapshot_begin(bench.db, &options, &none), MEMDB_INVALID);
    options = (memdb_snapshot_options_t){.size = sizeof options, .as_of_lsn = 1, .as_of_time = 1};
    assert_int_equal(memdb_snapshot_begin(bench.db, &options, &none), MEMDB_INVALID);
    assert_null(none);
    assert_int_equal(memdb_snapshot_begin(NULL, NULL, &none), MEMDB_INVALID);
    assert_int_equal(memdb_embedder_register(bench.db, text(""), 3, NULL, NULL), MEMDB_INVALID);
    end(&bench);
}

static void test_a_commit_of_an_unknown_durability_is_refused(void **state) {
    bench_t bench = begin(state);
    memdb_memory_t memory = {.size = sizeof memory, .fields = MEMDB_FIELD_KEY, .key = text("x")};
    must(bench.db, memdb_put(bench.txn, bench.space, &memory, NULL));
    assert_int_equal(memdb_txn_commit(bench.txn, (memdb_durability_t)9, NULL), MEMDB_INVALID);
    assert_null(get_text(bench.db, bench.space, "x"));
    assert_int_equal(memdb_txn_commit(NULL, MEMDB_DURABILITY_DEFAULT, NULL), MEMDB_INVALID);
}

static bool fail_embedding(void *context, const memdb_bytes_t *texts, size_t count,
                           float *vectors) {
    (void)texts;
    for (size_t i = 0; i < count * 3; i++) {
        vectors[i] = *(float *)context;
    }
    return *(float *)context != 0;
}

static void test_an_embedder_that_fails_or_gives_nan_refuses_the_put(void **state) {
    bench_t bench = begin(state);
    float gives = 0;
    must(bench.db, memdb_embedder_register(bench.db, text("main"), 3, fail_embedding, &gives));
    refuse(&bench, (memdb_memory_t){.fields = MEMDB_FIELD_TEXT, .text = text("words")},
           MEMDB_INVALID);
    gives = NAN;
    refuse(&bench, (memdb_memory_t){.fields = MEMDB_FIELD_TEXT, .text = text("words")},
           MEMDB_INVALID);
    end(&bench);
}

/// Eight texts of spaces fit one frame, the ninth does not; the others can still be committed.
static void test_a_transaction_above_the_limit_is_refused_and_stays_usable(void **state) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    (void)state;
    print_message("skipped: slow under a sanitizer\n");
#else
    bench_t bench = begin(state);
    char *spaces = malloc(MEMDB_MAX_TEXT_BYTES);
    assert_non_null(spaces);
    memset(spaces, ' ', MEMDB_MAX_TEXT_BYTES);
    memdb_memory_t memory = {.size = sizeof memory,
                             .fields = MEMDB_FIELD_TEXT,
                             .text = {spaces, MEMDB_MAX_TEXT_BYTES - 4096}};
    for (int i = 0; i < 8; i++) {
        must(bench.db, memdb_put(bench.txn, bench.space, &memory, NULL));
    }
    assert_int_equal(memdb_put(bench.txn, bench.space, &memory, NULL), MEMDB_LIMIT);
    memory.text.size = 10;
    must(bench.db, memdb_put(bench.txn, bench.space, &memory, NULL));
    must(bench.db, memdb_txn_commit(bench.txn, MEMDB_DURABILITY_OS, NULL));
    free(spaces);
    memdb_stats_t stats;
    must(bench.db, memdb_get_stats(bench.db, &stats));
    assert_int_equal(stats.memories, 2 + 9);
#endif
}

int main(void) {
    big = malloc(MEMDB_MAX_TEXT_BYTES + 2);
    memset(big, 'x', MEMDB_MAX_TEXT_BYTES + 2);
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_texts_that_are_not_utf8_or_too_long_are_refused),
        TEST(test_numbers_and_structs_that_are_not_valid_are_refused),
        TEST(test_memories_that_are_not_there_are_not_found),
        TEST(test_a_key_of_another_memory_is_refused),
        TEST(test_links_that_are_not_valid_are_refused),
        TEST(test_spaces_that_are_not_valid_are_refused),
        TEST(test_cursor_and_snapshot_options_that_are_not_valid_are_refused),
        TEST(test_a_commit_of_an_unknown_durability_is_refused),
        TEST(test_an_embedder_that_fails_or_gives_nan_refuses_the_put),
        TEST(test_a_transaction_above_the_limit_is_refused_and_stays_usable),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(big);
    return failed;
}
