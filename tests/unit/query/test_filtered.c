// Filters in use: lists, recall and forgetting show and take exactly the memories that pass.
//
// The oracle is what is asked without a filter, sifted by a property that the test gave each
// memory.
#include "base/memory.h"
#include "tests/lib/database.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEMORIES 3000
#define DIMENSION 8

/// Memory number i (its id is number[i]) has "share" i * 7919 % MEMORIES: each of them once.
static uint32_t share_of(uint32_t i) {
    return i * 7919 % MEMORIES;
}

static memdb_filter_t *parse(const char *words, int64_t param) {
    memdb_value_t value = {.kind = MEMDB_VALUE_INTEGER, .integer = param};
    memdb_filter_t *filter = NULL;
    memdb_error_t error = {0};
    if (memdb_filter_parse(text(words), &value, param >= 0, &filter, &error))
        fail_msg("%s", error.message);
    return filter;
}

static memdb_space_t fill(memdb_t *db, uint32_t count) {
    memdb_space_t space = space_of(db, "main");
    memdb_txn_t *txn;
    must(db, memdb_txn_begin(db, &txn));
    for (uint32_t i = 0; i < count; i++) {
        char words[64], session[16], attributes[64], key[16];
        float vector[DIMENSION];
        snprintf(words, sizeof words, "word%u word%u rare%u", i % 5, i % 11, i % 97);
        snprintf(session, sizeof session, "s%u", i / 10);
        snprintf(attributes, sizeof attributes, "{\"n\": {\"share\": %u}}", share_of(i));
        snprintf(key, sizeof key, "k%05u", i);
        for (uint32_t d = 0; d < DIMENSION; d++)
            vector[d] = (float)((i * 31 + d * 17 + i / 7) % 23) - 11;
        memdb_memory_t memory = {.size = sizeof memory,
                                 .fields = MEMDB_FIELD_TEXT | MEMDB_FIELD_SESSION |
                                           MEMDB_FIELD_TIME | MEMDB_FIELD_VECTOR |
                                           MEMDB_FIELD_ATTRS | MEMDB_FIELD_TOKENS |
                                           (i % 2 ? MEMDB_FIELD_KEY : 0u),
                                 .key = text(key),
                                 .text = text(words),
                                 .session = text(session),
                                 .time = 1 + i,
                                 .tokens = i,
                                 .attrs = text(attributes),
                                 .vector = vector,
                                 .dimension = DIMENSION};
        must(db, memdb_put(txn, space, &memory, NULL));
        if (i == count / 2) { // a tier, a run, and the transaction's own writes
            must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_NONE, NULL));
            must(db, memdb_checkpoint(db));
            must(db, memdb_txn_begin(db, &txn));
        }
    }
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_NONE, NULL));
    return space;
}

// ------------------------------------------------------------------------------ lists

/// The tokens of the memories of a listing, which number them; a position is taken up after each
/// `page` of them.
static uint32_t list(memdb_t *db, memdb_snapshot_t *snapshot, memdb_space_t space,
                     memdb_cursor_options_t options, uint32_t page, uint32_t *numbers) {
    uint32_t count = 0;
    char position[8192];
    for (bool more = true; more;) {
        memdb_cursor_t *cursor;
        must(db, memdb_cursor_open(snapshot, space, &options, &cursor));
        for (uint32_t i = 0; i < page && more; i++) {
            memdb_memory_t memory = {.size = sizeof memory};
            memdb_status_t status = memdb_cursor_next(cursor, &memory);
            more = status != MEMDB_DONE;
            if (more) {
                must(db, status);
                numbers[count++] = memory.tokens;
            }
        }
        memdb_bytes_t at = memdb_cursor_position(cursor);
        assert_true(at.size <= sizeof position);
        memcpy(position, at.data, at.size);
        options.after = (memdb_bytes_t){position, at.size};
        memdb_cursor_close(cursor);
    }
    return count;
}

static void test_filtered_list_is_the_list_sifted(void **state) {
    memdb_t *db = ((fixture_t *)*state)->db;
    memdb_space_t space = fill(db, MEMORIES);
    static uint32_t all[MEMORIES + 1], sifted[MEMORIES + 1];
    static const uint32_t shares[] = {MEMORIES / 2, MEMORIES / 10, 30, 3, 0};
    memdb_snapshot_t *snapshot;
    must(db, memdb_snapshot_begin(db, NULL, &snapshot));
    for (size_t s = 0; s < sizeof shares / sizeof *shares; s++) {
        memdb_filter_t *filter = parse("attr.n.share < ?", shares[s]);
        for (int order = MEMDB_ORDER_TIME; order <= MEMDB_ORDER_KEY; order++) {
            memdb_cursor_options_t options = {.size = sizeof options,
                                              .order = (memdb_order_t)order};
            if (order == MEMDB_ORDER_SESSION)
                options.session = text("s7");
            uint32_t count = list(db, snapshot, space, options, MEMORIES, all), kept = 0;
            assert_true(count == (order == MEMDB_ORDER_SESSION ? 10
                                  : order == MEMDB_ORDER_KEY   ? MEMORIES / 2
                                                               : MEMORIES));
            for (uint32_t i = 0; i < count; i++)
                if (share_of(all[i]) < shares[s])
                    all[kept++] = all[i];
            options.filter = filter;
            assert_int_equal(list(db, snapshot, space, options, 1 + (uint32_t)s * 7, sifted), kept);
            assert_memory_equal(all, sifted, kept * sizeof *all);
        }
        memdb_filter_free(filter);
    }
    memdb_snapshot_end(snapshot);
}

// ------------------------------------------------------------------------------ recall

static memdb_result_t *recall(memdb_t *db, memdb_snapshot_t *snapshot, memdb_space_t space,
                              memdb_recall_mode_t mode, uint32_t k, const memdb_filter_t *filter) {
    static const float vector[DIMENSION] = {1, -2, 3, 4, -5, 6, 7, 8};
    memdb_result_t *result;
    memdb_query_t query = {.size = sizeof query,
                           .spaces = &space,
                           .space_count = 1,
                           .text = {"word1 word3 rare13", 18},
                           .vector = mode == MEMDB_RECALL_WORDS ? NULL : vector,
                           .dimension = mode == MEMDB_RECALL_WORDS ? 0 : DIMENSION,
                           .k = k,
                           .mode = mode,
                           .filter = filter};
    must(db, memdb_recall(snapshot, &query, &result));
    return result;
}

static bool passes(memdb_t *db, memdb_snapshot_t *snapshot, const memdb_hit_t *hit,
                   uint32_t below) {
    memdb_memory_t memory = {.size = sizeof memory};
    must(db, memdb_get(snapshot, hit->space, hit->id, &memory));
    return share_of(memory.tokens) < below;
}

/// Scores of one signal do not depend on what else is found, so the whole answer is that without a
/// filter, sifted.
static void compare_sifted(memdb_t *db, memdb_snapshot_t *snapshot, memdb_space_t space,
                           memdb_recall_mode_t mode, uint32_t below, const memdb_filter_t *filter) {
    memdb_result_t *all = recall(db, snapshot, space, mode, MEMORIES, NULL);
    memdb_result_t *sifted = recall(db, snapshot, space, mode, MEMORIES, filter);
    size_t kept = 0;
    for (size_t i = 0; i < memdb_result_count(all); i++) {
        const memdb_hit_t *hit = memdb_result_hit(all, i);
        if (!passes(db, snapshot, hit, below))
            continue;
        assert_true(kept < memdb_result_count(sifted));
        assert_int_equal(memdb_result_hit(sifted, kept)->id, hit->id);
        assert_true(memdb_result_hit(sifted, kept++)->score == hit->score);
    }
    assert_int_equal(memdb_result_count(sifted), kept);
    assert_non_null(memdb_result_fewer(sifted));
    memdb_result_free(all);
    memdb_result_free(sifted);
}

static void test_filtered_recall_finds_k_whenever_k_pass(void **state) {
    memdb_t *db = ((fixture_t *)*state)->db;
    memdb_space_t space = fill(db, MEMORIES);
    static const uint32_t shares[] = {MEMORIES / 2, MEMORIES / 10, 30, 3, 0};
    memdb_snapshot_t *snapshot;
    must(db, memdb_snapshot_begin(db, NULL, &snapshot));
    for (size_t s = 0; s < sizeof shares / sizeof *shares; s++) {
        memdb_filter_t *filter = parse("tokens >= 0 and attr.n.share < ?", shares[s]);
        compare_sifted(db, snapshot, space, MEMDB_RECALL_WORDS, shares[s], filter);
        compare_sifted(db, snapshot, space, MEMDB_RECALL_VECTOR, shares[s], filter);
        for (int mode = MEMDB_RECALL_AUTO; mode <= MEMDB_RECALL_VECTOR; mode++) {
            memdb_result_t *result =
                recall(db, snapshot, space, (memdb_recall_mode_t)mode, 10, filter);
            size_t count = memdb_result_count(result);
            for (size_t i = 0; i < count; i++)
                assert_true(passes(db, snapshot, memdb_result_hit(result, i), shares[s]));
            if (mode != MEMDB_RECALL_WORDS) // every memory has a vector, not every one the words
                assert_int_equal(count, shares[s] < 10 ? shares[s] : 10);
            else
                assert_int_equal(memdb_result_fewer(result) == NULL, count == 10);
            memdb_result_free(result);
        }
        memdb_filter_free(filter);
    }
    memdb_filter_t *filter = parse("id = ?", 0);
    memdb_result_t *result = recall(db, snapshot, space, MEMDB_RECALL_WORDS, 10, filter);
    assert_string_equal(memdb_result_fewer(result), "only 0 live memories within the filter with a "
                                                    "word that is asked for");
    memdb_result_free(result);
    memdb_filter_free(filter);
    memdb_snapshot_end(snapshot);
}

// ------------------------------------------------------------------------------ forgetting

static uint64_t count_in(memdb_t *db, memdb_space_t space, const memdb_filter_t *filter) {
    static uint32_t numbers[MEMORIES + 1];
    memdb_snapshot_t *snapshot;
    must(db, memdb_snapshot_begin(db, NULL, &snapshot));
    memdb_cursor_options_t options = {.size = sizeof options, .filter = filter};
    uint64_t count = list(db, snapshot, space, options, MEMORIES, numbers);
    memdb_snapshot_end(snapshot);
    return count;
}

static void test_forget_where_takes_what_passes(void **state) {
    memdb_t *db = ((fixture_t *)*state)->db;
    memdb_space_t space = fill(db, MEMORIES);
    memdb_filter_t *filter = parse("attr.n.share < ?", 300), *rest = parse("tokens >= 0", -1);
    memdb_txn_t *txn;
    uint64_t forgotten = 99;
    memdb_memory_t own = {
        .size = sizeof own, .fields = MEMDB_FIELD_ATTRS, .attrs = text("{\"n\": {\"share\": 5}}")};
    must(db, memdb_txn_begin(db, &txn));
    must(db, memdb_put(txn, space, &own, NULL));
    must(db, memdb_forget_where(txn, space, filter, false, &forgotten));
    assert_int_equal(forgotten, 301); // its own write too
    must(db, memdb_forget_where(txn, space, filter, false, &forgotten));
    assert_int_equal(forgotten, 0);
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_NONE, NULL));
    assert_int_equal(count_in(db, space, filter), 0);
    assert_int_equal(count_in(db, space, NULL), MEMORIES - 300);
    must(db, memdb_txn_begin(db, &txn));
    must(db, memdb_forget_where(txn, space, rest, true, NULL));
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_NONE, NULL));
    assert_int_equal(count_in(db, space, NULL), 0);
    memdb_stats_t stats = {.size = sizeof stats};
    must(db, memdb_get_stats(db, &stats));
    assert_int_equal(stats.erasures_pending, MEMORIES - 300);
    must(db, memdb_txn_begin(db, &txn));
    assert_int_equal(memdb_forget_where(txn, space, NULL, false, NULL), MEMDB_INVALID);
    assert_int_equal(memdb_forget_where(txn, 4711, filter, false, NULL), MEMDB_NOT_FOUND);
    memdb_txn_abort(txn);
    must(db, memdb_verify(db, NULL, NULL));
    memdb_filter_free(filter);
    memdb_filter_free(rest);
}

static void test_forget_where_conflicts_with_a_change(void **state) {
    memdb_t *db = ((fixture_t *)*state)->db;
    memdb_space_t space = fill(db, 50);
    memdb_filter_t *filter = parse("tokens < ?", 10);
    memdb_txn_t *txn;
    must(db, memdb_txn_begin(db, &txn));
    must(db, memdb_forget_where(txn, space, filter, false, NULL));
    put_text(db, space, "k00005", "changed meanwhile");
    assert_int_equal(memdb_txn_commit(txn, MEMDB_DURABILITY_NONE, NULL), MEMDB_CONFLICT);
    assert_int_equal(count_in(db, space, filter), 10);
    memdb_filter_free(filter);
}

static void test_forget_where_failed_allocations_are_errors_and_no_leak(void **state) {
    memdb_t *db = ((fixture_t *)*state)->db;
    memdb_space_t space = fill(db, 400); // enough are refused for a set to be made
    memdb_filter_t *filter = parse("tokens < ?", 20);
    uint64_t live = 0, failures = 0;
    must(db, memdb_index_create(db, space, text("tokens"), MEMDB_DURABILITY_NONE));
    for (memdb_status_t status = MEMDB_NOMEM; status; failures++) {
        memdb_txn_t *txn;
        must(db, memdb_txn_begin(db, &txn));
        memdb__memory_fail_after(failures);
        status = memdb_forget_where(txn, space, filter, false, NULL);
        memdb__memory_fail_after(UINT64_MAX);
        if (status)
            assert_int_equal(status, MEMDB_NOMEM);
        memdb_txn_abort(txn);
        live = live ? live : memdb__memory_live();
        assert_int_equal(memdb__memory_live(), live);
    }
    assert_true(failures > 5);
    assert_int_equal(count_in(db, space, filter), 20); // aborted each time
    memdb_filter_free(filter);
}

int main(void) {
#define TEST(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_filtered_list_is_the_list_sifted),
        TEST(test_filtered_recall_finds_k_whenever_k_pass),
        TEST(test_forget_where_takes_what_passes),
        TEST(test_forget_where_conflicts_with_a_change),
        TEST(test_forget_where_failed_allocations_are_errors_and_no_leak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
