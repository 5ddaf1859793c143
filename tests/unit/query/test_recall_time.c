// Goal: recall keeps to the times that a query or its question names (docs/time.md).
// Method: cases over a few memories, and random ones against a plain list of all memories.
#include "tests/lib/database.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_US INT64_C(86400000000)
#define MAY_2023 (INT64_C(19478) * DAY_US) // 2023-05-01
#define NOW (MAY_2023 + 30 * DAY_US)

static uint64_t put(memdb_t *db, memdb_space_t space, const char *words, const char *session,
                    int64_t time) {
    memdb_txn_t *txn;
    uint64_t id;
    must(db, memdb_txn_begin(db, &txn));
    memdb_memory_t memory = {.size = sizeof memory,
                             .fields = MEMDB_FIELD_TEXT | MEMDB_FIELD_TIME | MEMDB_FIELD_SESSION,
                             .text = text(words),
                             .session = text(session),
                             .time = time};
    must(db, memdb_put(txn, space, &memory, &id));
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_NONE, NULL));
    return id;
}

static memdb_query_t ask(const memdb_space_t *space, const char *words) {
    return (memdb_query_t){.size = sizeof(memdb_query_t),
                           .spaces = space,
                           .space_count = 1,
                           .text = text(words),
                           .now = NOW};
}

static memdb_result_t *recall(memdb_t *db, const memdb_query_t *query) {
    memdb_snapshot_t *snapshot;
    memdb_result_t *result;
    must(db, memdb_snapshot_begin(db, NULL, &snapshot));
    must(db, memdb_recall(snapshot, query, &result));
    memdb_snapshot_end(snapshot);
    return result;
}

/// The ids that a query must find, in order, ended by 0.
static void expect(memdb_t *db, const memdb_query_t *query, const uint64_t *ids,
                   const char *fewer) {
    memdb_result_t *result = recall(db, query);
    size_t count = 0;
    for (; ids[count]; count++) {
        assert_true(count < memdb_result_count(result));
        assert_int_equal(memdb_result_hit(result, count)->id, ids[count]);
    }
    assert_int_equal(memdb_result_count(result), count);
    if (fewer)
        assert_string_equal(memdb_result_fewer(result), fewer);
    memdb_result_free(result);
}

static void test_a_question_for_a_time_alone_finds_what_lies_in_it(void **state) {
    memdb_t *db = ((fixture_t *)*state)->db;
    memdb_space_t space = space_of(db, "main");
    uint64_t first = put(db, space, "a house", "s", MAY_2023);
    uint64_t noon = put(db, space, "the sea", "s", MAY_2023 + DAY_US / 2);
    uint64_t next = put(db, space, "we talk of what happened", "s", MAY_2023 + DAY_US);
    memdb_query_t query = ask(&space, "What happened on May 1st?");
    expect(db, &query, (uint64_t[]){first, noon, 0},
           "only 2 live memories of the time that is asked for");
    query = ask(&space, "what did we do on 2023-05-02");
    expect(db, &query, (uint64_t[]){next, 0}, NULL);
    query = ask(&space, "yesterday");
    expect(db, &query, (uint64_t[]){0}, "only 0 live memories of the time that is asked for");
    query = ask(&space, "the talk of the day before yesterday");
    query.now = MAY_2023 + 3 * DAY_US;
    expect(db, &query, (uint64_t[]){next, 0}, NULL);
    query = ask(&space, "30 days ago"); // nothing lies there, but a day further back
    query.now = MAY_2023 + 32 * DAY_US;
    expect(db, &query, (uint64_t[]){next, 0}, NULL);
}

static void test_a_time_beside_other_words_raises_what_lies_in_it(void **state) {
    memdb_t *db = ((fixture_t *)*state)->db;
    memdb_space_t space = space_of(db, "main");
    uint64_t other = put(db, space, "the dog and the dog", "a", MAY_2023 - 90 * DAY_US);
    uint64_t inside = put(db, space, "one dog of many that we saw", "b", MAY_2023 + DAY_US);
    uint64_t after = put(db, space, "one dog of more than we saw", "c", MAY_2023 + 3 * DAY_US);
    put(db, space, "a cat", "d", MAY_2023 + DAY_US);
    memdb_query_t query = ask(&space, "which dog did Ann see on May 2nd?");
    expect(db, &query, (uint64_t[]){inside, after, other, 0}, NULL);
    memdb_result_t *result = recall(db, &query);
    assert_true(memdb_result_hit(result, 0)->signals[MEMDB_SIGNAL_TIME] == 2.0);
    double share = memdb_result_hit(result, 1)->signals[MEMDB_SIGNAL_TIME];
    assert_true(fabs(share - 2.0 * 6 / 7) < 1e-9); // a day after the window
    assert_true(memdb_result_hit(result, 2)->signals[MEMDB_SIGNAL_TIME] == 0);
    memdb_result_free(result);
    query.has_weights = true;
    query.weights[MEMDB_SIGNAL_WORDS] = 1;
    expect(db, &query, (uint64_t[]){other, inside, after, 0}, NULL); // and no signal of time
    query = ask(&space, "which dog on May 2nd");
    query.mode = MEMDB_RECALL_WORDS;
    expect(db, &query, (uint64_t[]){other, inside, after, 0}, NULL);
}

static void test_feedback_learns_words_from_what_lies_in_the_time(void **state) {
    memdb_t *db = ((fixture_t *)*state)->db;
    memdb_space_t space = space_of(db, "main");
    put(db, space, "dog dog collar", "a", MAY_2023 - 90 * DAY_US); // the best by words
    put(db, space, "dog leash", "b", MAY_2023 + DAY_US);
    uint64_t collar = put(db, space, "some dog of whom we saw the collar", "c", MAY_2023);
    uint64_t leash = put(db, space, "some dog of whom we saw the leash", "d", MAY_2023);
    put(db, space, "granite", "e", MAY_2023);
    double shares[2] = {0};
    memdb_query_t query = ask(&space, "which dog on May 2nd?");
    memdb_result_t *result = recall(db, &query);
    for (size_t i = 0; i < memdb_result_count(result); i++) {
        const memdb_hit_t *hit = memdb_result_hit(result, i);
        for (int which = 0; which < 2; which++)
            if (hit->id == (which ? leash : collar))
                shares[which] = hit->signals[MEMDB_SIGNAL_FEEDBACK];
    }
    memdb_result_free(result);
    assert_true(shares[1] > shares[0]);
}

static void test_a_window_of_the_query_hides_what_lies_outside(void **state) {
    memdb_t *db = ((fixture_t *)*state)->db;
    memdb_space_t space = space_of(db, "main");
    uint64_t one = put(db, space, "dog", "a", MAY_2023);
    uint64_t two = put(db, space, "dog", "a", MAY_2023 + 1);
    uint64_t three = put(db, space, "dog", "b", MAY_2023 + 2);
    uint64_t cat = put(db, space, "cat", "b", MAY_2023 + 1);
    memdb_query_t query = ask(&space, "dog");
    query.has_window = true;
    query.window_from = MAY_2023;
    query.window_to = MAY_2023 + 2;
    expect(db, &query, (uint64_t[]){two, one, 0}, // the one lends to the other
           "only 2 live memories of the time that is asked for with a word that is asked for");
    query.mode = MEMDB_RECALL_WORDS;
    expect(db, &query, (uint64_t[]){one, two, 0}, NULL);
    query.window_from = MAY_2023 + 1;
    query.window_to = MEMDB_TIME_NONE;
    expect(db, &query, (uint64_t[]){two, three, 0}, NULL);
    query.window_from = MEMDB_TIME_NONE;
    query.window_to = MAY_2023 + 1;
    expect(db, &query, (uint64_t[]){one, 0}, NULL);
    query.window_to = MAY_2023 + 2;
    query.session = text("a");
    expect(db, &query, (uint64_t[]){one, two, 0}, NULL);
    query = ask(&space, "What did we talk about?");
    query.has_window = true;
    query.window_from = MAY_2023 + 1;
    query.window_to = MAY_2023 + 2;
    expect(db, &query, (uint64_t[]){two, cat, 0}, NULL);
    query.window_to = MAY_2023;
    memdb_snapshot_t *snapshot;
    memdb_result_t *result;
    char message[256];
    must(db, memdb_snapshot_begin(db, NULL, &snapshot));
    assert_int_equal(memdb_recall(snapshot, &query, &result), MEMDB_INVALID);
    memdb_snapshot_end(snapshot);
    memdb_last_error(db, message, sizeof message);
    assert_string_equal(message, "recall: window: its end is before its beginning");
}

static void test_sessions_are_counted_in_the_order_in_which_they_began(void **state) {
    memdb_t *db = ((fixture_t *)*state)->db;
    memdb_space_t space = space_of(db, "main");
    uint64_t late = put(db, space, "red", "a", MAY_2023 + 5 * DAY_US);
    uint64_t early = put(db, space, "green", "z", MAY_2023);
    uint64_t middle = put(db, space, "blue", "m", MAY_2023 + DAY_US);
    uint64_t again = put(db, space, "grey", "z", MAY_2023 + 6 * DAY_US);
    put(db, space, "black", "f", NOW + DAY_US); // begins after the question
    put(db, space, "white", "", MAY_2023 - DAY_US);
    uint64_t gone = put(db, space, "gone", "q", MAY_2023 - 2 * DAY_US);
    memdb_txn_t *txn;
    must(db, memdb_txn_begin(db, &txn));
    must(db, memdb_forget(txn, space, gone));
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_NONE, NULL));
    memdb_query_t query = ask(&space, "What did we discuss in our first session?");
    expect(db, &query, (uint64_t[]){early, again, 0}, NULL);
    query = ask(&space, "what was said in the last session");
    expect(db, &query, (uint64_t[]){late, 0}, NULL);
    query = ask(&space, "2 sessions ago");
    expect(db, &query, (uint64_t[]){middle, 0}, NULL);
    query = ask(&space, "sessions 2 through 9");
    expect(db, &query, (uint64_t[]){late, middle, 0}, NULL);
    query = ask(&space, "our last 20 sessions");
    expect(db, &query, (uint64_t[]){late, early, middle, again, 0}, NULL);
    query = ask(&space, "our tenth session");
    expect(db, &query, (uint64_t[]){0}, NULL);
    must(db, memdb_checkpoint(db));
    query = ask(&space, "our third session");
    expect(db, &query, (uint64_t[]){late, 0}, NULL);
    query.session = text("z"); // the session is given: there is none to count
    query.text = text("grey of our second session");
    expect(db, &query, (uint64_t[]){again, early, 0}, NULL);
}

static void test_recency_and_importance_count_where_they_have_a_weight(void **state) {
    static const double importances[] = {1, 2, 6};
    static const int64_t ages[] = {0, 24, 24 * 24}; // hours
    memdb_t *db = ((fixture_t *)*state)->db;
    memdb_space_t space = space_of(db, "main");
    memdb_txn_t *txn;
    uint64_t ids[3];
    must(db, memdb_txn_begin(db, &txn));
    for (int i = 0; i < 3; i++) {
        memdb_memory_t memory = {.size = sizeof memory,
                                 .fields =
                                     MEMDB_FIELD_TEXT | MEMDB_FIELD_TIME | MEMDB_FIELD_IMPORTANCE,
                                 .text = text("dog"),
                                 .time = NOW - ages[i] * (DAY_US / 24),
                                 .importance = importances[i]};
        must(db, memdb_put(txn, space, &memory, &ids[i]));
    }
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_NONE, NULL));
    memdb_query_t query = ask(&space, "dog");
    memdb_result_t *result = recall(db, &query);
    for (size_t i = 0; i < 3; i++) {
        assert_true(memdb_result_hit(result, i)->signals[MEMDB_SIGNAL_RECENCY] == 0);
        assert_true(memdb_result_hit(result, i)->signals[MEMDB_SIGNAL_IMPORTANCE] == 0);
    }
    memdb_result_free(result);
    query.has_weights = true;
    query.weights[MEMDB_SIGNAL_WORDS] = 1;
    for (int signal = MEMDB_SIGNAL_RECENCY; signal <= MEMDB_SIGNAL_IMPORTANCE; signal++) {
        bool by_age = signal == MEMDB_SIGNAL_RECENCY;
        double values[3], mean = 0, squares = 0;
        for (int i = 0; i < 3; i++) {
            values[i] = by_age ? -log(1 + (double)ages[i]) : importances[i];
            mean += values[i] / 3;
        }
        for (int i = 0; i < 3; i++)
            squares += (values[i] - mean) * (values[i] - mean) / 3;
        query.weights[MEMDB_SIGNAL_RECENCY] = by_age ? 0.5 : 0;
        query.weights[MEMDB_SIGNAL_IMPORTANCE] = by_age ? 0 : 0.5;
        result = recall(db, &query);
        for (int i = 0; i < 3; i++) { // the youngest first, the most important first
            int number = by_age ? i : 2 - i;
            const memdb_hit_t *hit = memdb_result_hit(result, (size_t)i);
            assert_int_equal(hit->id, ids[number]);
            double share = 0.5 * (values[number] - mean) / sqrt(squares);
            assert_true(fabs(hit->signals[signal] - share) < 1e-9);
        }
        memdb_result_free(result);
    }
    query.weights[MEMDB_SIGNAL_RECENCY] = 0.5;
    query.now = NOW - 400 * DAY_US; // all are still to come: none is more recent
    result = recall(db, &query);
    assert_true(memdb_result_hit(result, 0)->signals[MEMDB_SIGNAL_RECENCY] == 0);
    memdb_result_free(result);
}

// ------------------------------------------------------------------------------ many memories

#define MANY 6000 // more than a list of ids holds
#define DAYS 40

typedef struct world {
    uint64_t seed, ids[MANY];
    int64_t times[MANY];
    int sessions[MANY];
} world_t;

static uint32_t draw(world_t *world, uint32_t below) {
    world->seed = world->seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(world->seed >> 33) % below;
}

static void fill(world_t *world, memdb_t *db, memdb_space_t space) {
    memdb_txn_t *txn;
    must(db, memdb_txn_begin(db, &txn));
    for (int i = 0; i < MANY; i++) {
        char words[32], session[16];
        world->times[i] = MAY_2023 + (int64_t)draw(world, DAYS * 24) * (DAY_US / 24);
        world->sessions[i] = (int)((world->times[i] - MAY_2023) / (4 * DAY_US));
        snprintf(words, sizeof words, "w%u w%u", draw(world, 3), draw(world, 300));
        snprintf(session, sizeof session, "%d", 977 * world->sessions[i] % 1000);
        memdb_memory_t memory = {.size = sizeof memory,
                                 .fields =
                                     MEMDB_FIELD_TEXT | MEMDB_FIELD_TIME | MEMDB_FIELD_SESSION,
                                 .text = text(words),
                                 .session = text(session),
                                 .time = world->times[i]};
        must(db, memdb_put(txn, space, &memory, &world->ids[i]));
    }
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_NONE, NULL));
}

static int compare_ids(const void *a, const void *b) {
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/// Exactly the memories of these days, or sessions, are found.
static void check_all(const world_t *world, memdb_t *db, memdb_query_t *query, int64_t from,
                      int64_t to, int first, int last) {
    static uint64_t found[MANY], expected[MANY];
    size_t count = 0;
    query->k = 10000;
    memdb_result_t *result = recall(db, query);
    for (int i = 0; i < MANY; i++)
        if (first >= 0 ? world->sessions[i] >= first && world->sessions[i] <= last
                       : world->times[i] >= from && world->times[i] < to)
            expected[count++] = world->ids[i];
    for (size_t i = 0; i < memdb_result_count(result); i++)
        found[i] = memdb_result_hit(result, i)->id;
    qsort(found, memdb_result_count(result), sizeof *found, compare_ids);
    assert_int_equal(memdb_result_count(result), count);
    assert_memory_equal(found, expected, count * sizeof *found);
    memdb_result_free(result);
}

static void test_windows_over_many_memories_hold_exactly_what_lies_in_them(void **state) {
    static world_t world = {.seed = 11};
    memdb_t *db = ((fixture_t *)*state)->db;
    memdb_space_t space = space_of(db, "main");
    print_message("seed=%llu\n", (unsigned long long)world.seed);
    fill(&world, db, space);
    for (int round = 0; round < 60; round++) {
        char question[64];
        int from = (int)draw(&world, DAYS),
            to = from + 1 + (int)draw(&world, DAYS - (uint32_t)from);
        int64_t begin = MAY_2023 + from * DAY_US, end = MAY_2023 + to * DAY_US;
        memdb_query_t query = ask(&space, question);
        query.now = MAY_2023 + DAYS * DAY_US;
        if (round == 30)
            must(db, memdb_checkpoint(db));
        if (to - from <= 20) { // what a list holds is found whole
            snprintf(question, sizeof question, "between %d days ago and %d days ago", DAYS - from,
                     DAYS - to + 1);
            query.text = text(question);
            check_all(&world, db, &query, begin, end, -1, 0);
            int first = from / 4, last = (to - 1) / 4;
            snprintf(question, sizeof question, "sessions %d through %d", first + 1, last + 1);
            query.text = text(question);
            check_all(&world, db, &query, 0, 0, first, last);
        }
        query.text = text("w0 w1 w2"); // of one of which every memory has one
        query.has_window = true;
        query.window_from = begin;
        query.window_to = end;
        check_all(&world, db, &query, begin, end, -1, 0);
    }
}

static void test_the_end_of_a_long_session_is_found(void **state) {
    static const char *const questions[] = {"what did we discuss", "what did we discuss today"};
    memdb_t *db = ((fixture_t *)*state)->db;
    memdb_space_t space = space_of(db, "main");
    memdb_txn_t *txn;
    uint64_t id;
    must(db, memdb_txn_begin(db, &txn));
    for (int i = 0; i < MANY; i++) {
        memdb_memory_t memory = {.size = sizeof memory,
                                 .fields =
                                     MEMDB_FIELD_TEXT | MEMDB_FIELD_TIME | MEMDB_FIELD_SESSION,
                                 .text = text("granite"),
                                 .session = text("long"),
                                 .time = MAY_2023 + i};
        must(db, memdb_put(txn, space, &memory, &id));
    }
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_NONE, NULL));
    for (int round = 0; round < 2; round++) {
        memdb_query_t query = ask(&space, questions[round]);
        query.now = MAY_2023;
        query.session = text("long");
        query.has_window = true;
        query.window_from = MAY_2023 + MANY - 5;
        query.window_to = MEMDB_TIME_NONE;
        query.k = 100;
        memdb_result_t *result = recall(db, &query);
        assert_int_equal(memdb_result_count(result), 5);
        for (size_t i = 0; i < 5; i++)
            assert_true(memdb_result_hit(result, i)->id > id - 5);
        memdb_result_free(result);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_question_for_a_time_alone_finds_what_lies_in_it,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_a_time_beside_other_words_raises_what_lies_in_it,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_feedback_learns_words_from_what_lies_in_the_time,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_a_window_of_the_query_hides_what_lies_outside,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_sessions_are_counted_in_the_order_in_which_they_began,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_recency_and_importance_count_where_they_have_a_weight,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_the_end_of_a_long_session_is_found, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(
            test_windows_over_many_memories_hold_exactly_what_lies_in_them, fixture_setup,
            fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
