// Recall under failed allocations and damaged files: the right answer or an error, never another
// answer, never a leak.
#include "base/memory.h"
#include "query/query_recall.h"
#include "tests/lib/database.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MEMORIES 120
#define DIMENSION 8
#define K 20

static memdb_space_t fill(memdb_t *db) {
    memdb_space_t space = space_of(db, "main");
    uint64_t ids[MEMORIES];
    memdb_txn_t *txn;
    must(db, memdb_txn_begin(db, &txn));
    for (int i = 0; i < MEMORIES; i++) {
        char words[64], session[16], attributes[16];
        float vector[DIMENSION];
        snprintf(words, sizeof words, "word%d word%d word%d", i % 7, i % 11, i % 13);
        snprintf(session, sizeof session, "s%d", i / 10);
        snprintf(attributes, sizeof attributes, "{\"n\": %d}", i);
        for (int d = 0; d < DIMENSION; d++)
            vector[d] = (float)((i * 31 + d * 17) % 23) - 11;
        memdb_memory_t memory = {.size = sizeof memory,
                                 .fields = MEMDB_FIELD_TEXT | MEMDB_FIELD_SESSION |
                                           MEMDB_FIELD_TIME | MEMDB_FIELD_VECTOR |
                                           MEMDB_FIELD_ATTRS,
                                 .text = text(words),
                                 .session = text(session),
                                 .time = i + 1,
                                 .attrs = text(attributes),
                                 .vector = vector,
                                 .dimension = DIMENSION};
        must(db, memdb_put(txn, space, &memory, &ids[i]));
        memdb_link_t link = {
            .size = sizeof link, .space = space, .from = ids[i], .to = ids[i / 2], .weight = 1};
        must(db, memdb_put_link(txn, &link));
    }
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_NONE, NULL));
    return space;
}

#define WORDS "word3 \"word4 word5\" word6"

static memdb_status_t ask_for(memdb_snapshot_t *snapshot, memdb_space_t space, const char *words,
                              memdb__plan_kind_t plan, memdb_result_t **result) {
    static const float vector[DIMENSION] = {1, -2, 3, 4, -5, 6, 7, 8};
    memdb_query_t query = {.size = sizeof query,
                           .spaces = &space,
                           .space_count = 1,
                           .text = text(words),
                           .vector = vector,
                           .dimension = DIMENSION,
                           .k = K,
                           .fold = true,
                           .mmr = .1};
    memdb_filter_t *filter;
    memdb_status_t status =
        memdb_filter_parse(text("attr.n < 100 and text contains 'word'"), NULL, 0, &filter, NULL);
    if (status)
        return status;
    query.filter = filter;
    query.explain = true;
    query.boolean = words[0] == '+';
    status = memdb__recall_with_plan(snapshot, &query, plan, result);
    memdb_filter_free(filter);
    return status;
}

static memdb_status_t ask(memdb_snapshot_t *snapshot, memdb_space_t space,
                          memdb_result_t **result) {
    return ask_for(snapshot, space, WORDS, MEMDB__PLAN_CHOOSE, result);
}

static void fail_each_allocation(memdb_t *db, memdb_space_t space, const char *words,
                                 memdb__plan_kind_t plan) {
    memdb_snapshot_t *snapshot;
    memdb_result_t *result;
    must(db, memdb_snapshot_begin(db, NULL, &snapshot));
    must(db,
         ask_for(snapshot, space, words, plan, &result)); // builds the delta's lists, which stay
    memdb_result_free(result);
    memdb_snapshot_end(snapshot);
    uint64_t live = memdb__memory_live();
    uint64_t failures = 0;
    for (memdb_status_t status = MEMDB_NOMEM; status;) {
        must(db, memdb_snapshot_begin(db, NULL, &snapshot));
        memdb__memory_fail_after(failures);
        status = ask_for(snapshot, space, words, plan, &result);
        memdb__memory_fail_after(UINT64_MAX);
        if (status == MEMDB_OK)
            memdb_result_free(result);
        else
            assert_int_equal(status, MEMDB_NOMEM);
        memdb_snapshot_end(snapshot);
        assert_int_equal(memdb__memory_live(), live);
        failures++;
    }
    assert_true(failures > 8);
}

static void test_every_failed_allocation_is_an_error_and_no_leak(void **state) {
    memdb_t *db = ((fixture_t *)*state)->db;
    memdb_space_t space = fill(db);
    fail_each_allocation(db, space, WORDS, MEMDB__PLAN_CHOOSE);
    fail_each_allocation(db, space, "word3 in our first session", MEMDB__PLAN_CHOOSE);
    fail_each_allocation(db, space, "What did we discuss on 1970-01-01 and in the last 3 sessions?",
                         MEMDB__PLAN_CHOOSE);
    fail_each_allocation(db, space, "+(word3 wor*) word4 -\"word8 word9\" -word7",
                         MEMDB__PLAN_CHOOSE);
    must(db, memdb_index_create(db, space, text("attr.n"), MEMDB_DURABILITY_NONE));
    for (int plan = MEMDB__PLAN_MEMBERS; plan <= MEMDB__PLAN_AFTER; plan++) {
        fail_each_allocation(db, space, "word3 in our first session", (memdb__plan_kind_t)plan);
    }
}

// ------------------------------------------------------------------------------ damage

typedef struct answer {
    size_t count;
    memdb_hit_t hits[K];
} answer_t;

/// Opens the copy, asks, closes. Any status but OK is fine; an answer must be the right one.
static bool answers_rightly_or_not(const char *path, memdb_space_t space, const answer_t *right) {
    memdb_t *db;
    memdb_error_t error;
    memdb_options_t options = {.size = sizeof options, .no_background = true};
    if (memdb_open(path, &options, &db, &error))
        return false;
    memdb_snapshot_t *snapshot;
    memdb_result_t *result = NULL;
    bool answered = false;
    if (memdb_snapshot_begin(db, NULL, &snapshot) == MEMDB_OK) {
        answered = ask(snapshot, space, &result) == MEMDB_OK;
        memdb_snapshot_end(snapshot);
    }
    if (answered) {
        assert_int_equal(memdb_result_count(result), right->count);
        for (size_t i = 0; i < right->count; i++)
            assert_memory_equal(memdb_result_hit(result, i), &right->hits[i], sizeof(memdb_hit_t));
        memdb_result_free(result);
    }
    memdb_close(db);
    return answered;
}

static void flip(const char *path, off_t offset) {
    uint8_t byte;
    int file = open(path, O_RDWR | O_CLOEXEC);
    assert_true(file >= 0);
    assert_int_equal(pread(file, &byte, 1, offset), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(file, &byte, 1, offset), 1);
    close(file);
}

static void test_damage_to_segments_gives_an_error_or_the_right_answer(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space = fill(fixture->db);
    memdb_snapshot_t *snapshot;
    memdb_result_t *result;
    must(fixture->db, memdb_checkpoint(fixture->db));
    must(fixture->db, memdb_snapshot_begin(fixture->db, NULL, &snapshot));
    must(fixture->db, ask(snapshot, space, &result));
    answer_t right = {.count = memdb_result_count(result)};
    for (size_t i = 0; i < right.count; i++)
        right.hits[i] = *memdb_result_hit(result, i);
    memdb_result_free(result);
    memdb_snapshot_end(snapshot);
    fixture_close(fixture);
    assert_int_equal(right.count, K);
    char segments[300], path[600];
    snprintf(segments, sizeof segments, "%s/segments", fixture->path);
    DIR *directory = opendir(segments);
    assert_non_null(directory);
    size_t refused = 0, flips = 0;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        struct stat about;
        snprintf(path, sizeof path, "%s/%s", segments, entry->d_name);
        if (stat(path, &about) || !S_ISREG(about.st_mode))
            continue;
        for (off_t offset = 7; offset < about.st_size; offset += about.st_size / 40 + 1) {
            flip(path, offset);
            refused += !answers_rightly_or_not(fixture->path, space, &right);
            flip(path, offset);
            flips++;
        }
    }
    closedir(directory);
    print_message("%zu of %zu damages were met\n", refused, flips);
    assert_true(refused > 0);
    assert_true(answers_rightly_or_not(fixture->path, space, &right));
    fixture_open(fixture, (memdb_options_t){0});
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(test_every_failed_allocation_is_an_error_and_no_leak),
        CASE(test_damage_to_segments_gives_an_error_or_the_right_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
