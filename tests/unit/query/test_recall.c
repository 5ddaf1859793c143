// Recall case by case: what is found, in which order, what is refused, and what the answer says
// when it is short.
#include "tests/lib/database.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const float EAST[2] = {1, 0}, NORTH[2] = {0, 1}, NORTH_EAST[2] = {1, 1};

/// Put one memory; `session` and `vector` may be NULL.
static uint64_t put(memdb_t *db, memdb_space_t space, const char *words, const char *session,
                    int64_t time, const float *vector, int64_t expires) {
    memdb_txn_t *txn;
    uint64_t id;
    must(db, memdb_txn_begin(db, &txn));
    memdb_memory_t memory = {.size = sizeof memory,
                             .fields = MEMDB_FIELD_TEXT | MEMDB_FIELD_TIME | MEMDB_FIELD_EXPIRES |
                                       (session ? MEMDB_FIELD_SESSION : 0u) |
                                       (vector ? MEMDB_FIELD_VECTOR : 0u),
                             .text = text(words),
                             .time = time,
                             .expires = expires,
                             .vector = vector,
                             .dimension = vector ? 2 : 0};
    if (session)
        memory.session = text(session);
    must(db, memdb_put(txn, space, &memory, &id));
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_NONE, NULL));
    return id;
}

static uint64_t put_plain(memdb_t *db, memdb_space_t space, const char *words) {
    return put(db, space, words, NULL, 1, NULL, MEMDB_TIME_NONE);
}

static memdb_query_t ask(const memdb_space_t *space, const char *words) {
    return (memdb_query_t){
        .size = sizeof(memdb_query_t), .spaces = space, .space_count = 1, .text = text(words)};
}

static memdb_status_t recall(memdb_t *db, const memdb_query_t *query, memdb_result_t **result) {
    memdb_snapshot_t *snapshot;
    must(db, memdb_snapshot_begin(db, NULL, &snapshot));
    memdb_status_t status = memdb_recall(snapshot, query, result);
    memdb_snapshot_end(snapshot);
    return status;
}

/// The ids that a query must find, in order, ended by 0; and why there are no more (NULL: whatever
/// it says).
static void expect(memdb_t *db, const memdb_query_t *query, const uint64_t *ids,
                   const char *fewer) {
    memdb_result_t *result;
    must(db, recall(db, query, &result));
    size_t count = 0;
    for (; ids[count]; count++) {
        assert_true(count < memdb_result_count(result));
        assert_int_equal(memdb_result_hit(result, count)->id, ids[count]);
    }
    assert_int_equal(memdb_result_count(result), count);
    assert_null(memdb_result_hit(result, count));
    if (fewer)
        assert_string_equal(memdb_result_fewer(result), fewer);
    memdb_result_free(result);
}

static void refuse(memdb_t *db, const memdb_query_t *query, memdb_status_t status,
                   const char *message) {
    memdb_result_t *result = NULL;
    char last[512];
    assert_int_equal(recall(db, query, &result), status);
    assert_null(result);
    memdb_last_error(db, last, sizeof last);
    assert_string_equal(last, message);
}

static void test_recall_refuses_what_it_cannot_ask(void **state) {
    memdb_t *db = ((fixture_t *)*state)->db;
    memdb_space_t space = space_of(db, "main");
    put(db, space, "a house", NULL, 1, EAST, MEMDB_TIME_NONE);
    memdb_query_t query = ask(&space, "");
    refuse(db, &query, MEMDB_INVALID, "recall: a text or a vector is needed");
    query.vector = EAST;
    query.dimension = 2;
    query.mode = MEMDB_RECALL_WORDS;
    refuse(db, &query, MEMDB_INVALID, "recall: mode words: a text is needed");
    query.mode = MEMDB_RECALL_AUTO;
    query.dimension = 1;
    refuse(db, &query, MEMDB_INVALID, "recall: vector: dimension 1, the space main has 2");
    const float nan[2] = {0, NAN};
    query.vector = nan;
    query.dimension = 2;
    refuse(db, &query, MEMDB_INVALID, "recall: vector: number 1 is not finite");
    query = ask(&space, "house");
    query.mode = MEMDB_RECALL_VECTOR;
    refuse(db, &query, MEMDB_INVALID,
           "recall: mode vector: a vector is needed, or an embedder of the space main");
    query = ask(&space, "house");
    query.has_weights = true;
    refuse(db, &query, MEMDB_INVALID,
           "recall: weights: words or vector must be above 0, else nothing is asked");
    query.weights[MEMDB_SIGNAL_TRACE] = -1;
    refuse(db, &query, MEMDB_INVALID, "recall: weights: trace: -1 is not a weight");
    query = ask(&space, "house");
    query.k = 10001;
    refuse(db, &query, MEMDB_INVALID, "recall: k: 10001, at most 10000");
    memdb_space_t none = 4711;
    query = ask(&none, "house");
    refuse(db, &query, MEMDB_NOT_FOUND, "recall: there is no space 4711");
    query = ask(&space, "\xff");
    refuse(db, &query, MEMDB_INVALID, "recall: text: not UTF-8");
    char session[MEMDB_MAX_NAME_BYTES + 2];
    memset(session, 's', sizeof session);
    query = ask(&space, "house");
    query.session = (memdb_bytes_t){session, MEMDB_MAX_NAME_BYTES + 1};
    refuse(db, &query, MEMDB_LIMIT, "recall: session: 1025 bytes, the limit is 1024");
}

static void test_recall_says_why_there_are_fewer(void **state) {
    memdb_t *db = ((fixture_t *)*state)->db;
    memdb_space_t space = space_of(db, "main");
    memdb_query_t query = ask(&space, "house");
    expect(db, &query, (uint64_t[]){0}, "the space is empty");
    uint64_t house = put_plain(db, space, "a house");
    expect(db, &query, (uint64_t[]){house, 0}, "the space holds 1 memory");
    put_plain(db, space, "a tree");
    expect(db, &query, (uint64_t[]){house, 0}, "only 1 live memory with a word that is asked for");
    query = ask(&space, "?! ...");
    expect(db, &query, (uint64_t[]){0}, "the question holds no word to look for");
    query = ask(&space, "\"green house\"");
    query.phrase_required = true;
    expect(db, &query, (uint64_t[]){0}, "only 0 memories meet what the question demands");
    query = ask(&space, "");
    query.vector = EAST;
    query.dimension = 2;
    query.mode = MEMDB_RECALL_VECTOR;
    expect(db, &query, (uint64_t[]){0}, "the space holds no vector");
    query.mode = MEMDB_RECALL_AUTO;
    query.text = text("house");
    expect(db, &query, (uint64_t[]){house, 0}, NULL);
    query = ask(&space, "house");
    query.k = 1;
    memdb_result_t *result;
    must(db, recall(db, &query, &result));
    assert_null(memdb_result_fewer(result));
    memdb_result_free(result);
}

static void test_words_mode_gives_words_alone(void **state) {
    memdb_t *db = ((fixture_t *)*state)->db;
    memdb_space_t space = space_of(db, "main");
    uint64_t both = put(db, space, "red house", "s", 1, EAST, MEMDB_TIME_NONE);
    uint64_t one = put(db, space, "red tree", "s", 2, NORTH, MEMDB_TIME_NONE);
    put(db, space, "blue sky", "s", 3, EAST, MEMDB_TIME_NONE);
    memdb_query_t query = ask(&space, "red house");
    query.mode = MEMDB_RECALL_WORDS;
    expect(db, &query, (uint64_t[]){both, one, 0}, NULL);
    memdb_result_t *result;
    must(db, recall(db, &query, &result));
    const memdb_hit_t *hit = memdb_result_hit(result, 0);
    assert_true(hit->score > 0 && hit->score == hit->signals[MEMDB_SIGNAL_WORDS]);
    assert_true(hit->signals[MEMDB_SIGNAL_VECTOR] == 0 && hit->signals[MEMDB_SIGNAL_TRACE] == 0);
    memdb_result_free(result);
}

static void test_vector_mode_gives_the_metric(void **state) {
    memdb_t *db = ((fixture_t *)*state)->db;
    for (int metric = MEMDB_METRIC_COSINE; metric <= MEMDB_METRIC_L2; metric++) {
        memdb_txn_t *txn;
        memdb_space_t space;
        char name[8];
        snprintf(name, sizeof name, "m%d", metric);
        memdb_space_options_t options = {
            .size = sizeof options, .dimension = 2, .metric = (memdb_metric_t)metric};
        must(db, memdb_txn_begin(db, &txn));
        must(db, memdb_space_create(txn, text(name), &options, &space));
        must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_NONE, NULL));
        const float far_east[2] = {3, 0};
        uint64_t far = put(db, space, "x", NULL, 1, far_east, MEMDB_TIME_NONE);
        uint64_t north = put(db, space, "x", NULL, 1, NORTH, MEMDB_TIME_NONE);
        uint64_t between = put(db, space, "x", NULL, 1, NORTH_EAST, MEMDB_TIME_NONE);
        memdb_query_t query = ask(&space, "");
        query.vector = EAST;
        query.dimension = 2;
        query.mode = MEMDB_RECALL_VECTOR;
        if (metric == MEMDB_METRIC_L2) // distances 1, 2 and 4, squared
            expect(db, &query, (uint64_t[]){between, north, far, 0}, NULL);
        else
            expect(db, &query, (uint64_t[]){far, between, north, 0}, "the space holds 3 memories");
    }
}

static void test_trace_brings_the_answer_after_the_question(void **state) {
    memdb_t *db = ((fixture_t *)*state)->db;
    memdb_space_t space = space_of(db, "main");
    const char *turns[] = {"good morning", "where did you buy the bicycle", "at the market",
                           "and what else", "nothing else today"};
    uint64_t ids[5];
    for (int i = 0; i < 5; i++)
        ids[i] = put(db, space, turns[i], "talk", i + 1, NULL, MEMDB_TIME_NONE);
    for (int i = 0; i < 20; i++)
        put(db, space, i % 2 ? "you buy nothing" : "where is it", "other", i, NULL,
            MEMDB_TIME_NONE);
    memdb_query_t query = ask(&space, "where did you buy the bicycle");
    query.k = 2;
    expect(db, &query, (uint64_t[]){ids[1], ids[2], 0}, NULL);
    query.k = 100;
    query.session = text("talk");
    memdb_result_t *result;
    must(db, recall(db, &query, &result));
    assert_int_equal(memdb_result_hit(result, 0)->id, ids[1]);
    memdb_result_free(result);
    query = ask(&space, "bicycle");
    query.has_weights = true;
    query.weights[MEMDB_SIGNAL_WORDS] = 1;
    expect(db, &query, (uint64_t[]){ids[1], 0}, NULL); // without the trace: it alone
}

static void test_expired_and_forgotten_memories_are_not_found(void **state) {
    memdb_t *db = ((fixture_t *)*state)->db;
    memdb_space_t space = space_of(db, "main");
    uint64_t kept = put(db, space, "red house", "s", 1, EAST, INT64_MAX);
    put(db, space, "red tree", "s", 2, EAST, 1000);
    uint64_t gone = put(db, space, "red wall", "s", 3, EAST, MEMDB_TIME_NONE);
    put(db, space, "sky", "t", 3, NORTH, 1000); // entered only through the trace, were it alive
    put(db, space, "red", "t", 4, NORTH, 1000);
    memdb_txn_t *txn;
    must(db, memdb_txn_begin(db, &txn));
    must(db, memdb_forget(txn, space, gone));
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_NONE, NULL));
    memdb_query_t query = ask(&space, "red");
    for (int mode = MEMDB_RECALL_AUTO; mode <= MEMDB_RECALL_VECTOR; mode++) {
        query.mode = (memdb_recall_mode_t)mode;
        query.vector = EAST;
        query.dimension = 2;
        expect(db, &query, (uint64_t[]){kept, 0}, NULL);
    }
}

static void test_many_dead_vectors_do_not_hide_the_live_ones(void **state) {
    memdb_t *db = ((fixture_t *)*state)->db;
    memdb_space_t space = space_of(db, "main");
    uint64_t live[3];
    for (int i = 0; i < 3; i++)
        live[i] = put(db, space, "x", NULL, 1, NORTH, MEMDB_TIME_NONE);
    for (int i = 0; i < 400; i++)
        put(db, space, "x", NULL, 1, EAST, 1000);
    memdb_query_t query = ask(&space, "");
    query.vector = EAST;
    query.dimension = 2;
    query.k = 2;
    query.mode = MEMDB_RECALL_VECTOR;
    expect(db, &query, (uint64_t[]){live[0], live[1], 0}, NULL);
    query.mode = MEMDB_RECALL_AUTO;
    expect(db, &query, (uint64_t[]){live[0], live[1], 0}, NULL);
}

static void test_demanded_phrases_and_prefixes_hold_for_every_hit(void **state) {
    memdb_t *db = ((fixture_t *)*state)->db;
    memdb_space_t space = space_of(db, "main");
    uint64_t exact = put(db, space, "the green house stands", "s", 1, EAST, MEMDB_TIME_NONE);
    put(db, space, "a house that is green", "s", 2, EAST, MEMDB_TIME_NONE);
    put(db, space, "nothing", "s", 3, EAST, MEMDB_TIME_NONE);
    uint64_t other =
        put(db, space, "a green house and its garden, all of it", NULL, 1, NORTH, MEMDB_TIME_NONE);
    memdb_query_t query = ask(&space, "\"green house\"");
    query.phrase_required = true;
    expect(db, &query, (uint64_t[]){exact, other, 0}, NULL);
    query.vector = NORTH;
    query.dimension = 2;
    query.mode = MEMDB_RECALL_VECTOR;
    expect(db, &query, (uint64_t[]){other, exact, 0}, NULL);
    query = ask(&space, "house gard*");
    query.phrase_required = true;
    expect(db, &query, (uint64_t[]){other, 0}, NULL);
}

static void test_spaces_are_merged_by_score(void **state) {
    memdb_t *db = ((fixture_t *)*state)->db;
    memdb_space_t spaces[3] = {space_of(db, "one"), space_of(db, "two"), 0};
    spaces[2] = spaces[0]; // named twice: searched once
    uint64_t first[2], second[2];
    for (int i = 0; i < 2; i++) {
        first[i] = put_plain(db, spaces[i], "red house");
        second[i] = put_plain(db, spaces[i], "red tree with a long tail of words");
        put_plain(db, spaces[i], "sky");
    }
    memdb_query_t query = ask(spaces, "red house");
    query.space_count = 3;
    memdb_result_t *result;
    must(db, recall(db, &query, &result));
    assert_int_equal(memdb_result_count(result), 4);
    for (size_t i = 0; i < 4; i++) {
        const memdb_hit_t *hit = memdb_result_hit(result, i);
        assert_int_equal(hit->space, spaces[i % 2]);
        assert_int_equal(hit->id, i < 2 ? first[i] : second[i - 2]);
    }
    assert_string_equal(memdb_result_fewer(result),
                        "only 4 live memories with a word that is asked for");
    memdb_result_free(result);
}

static bool embed(void *context, const memdb_bytes_t *texts, size_t count, float *vectors_out) {
    int *calls = context;
    for (size_t i = 0; i < count; i++) {
        bool north = texts[i].size && texts[i].data[0] == 'n';
        memcpy(vectors_out + 2 * i, north ? NORTH : EAST, sizeof NORTH);
        if (texts[i].size && texts[i].data[0] == '!')
            return false;
    }
    ++*calls;
    return true;
}

static void test_embedder_turns_the_question_into_a_vector(void **state) {
    memdb_t *db = ((fixture_t *)*state)->db;
    memdb_space_t space = space_of(db, "main");
    int calls = 0;
    must(db, memdb_embedder_register(db, text("main"), 2, embed, &calls));
    uint64_t north = put_plain(db, space, "north pole");
    uint64_t east = put_plain(db, space, "east coast");
    assert_int_equal(calls, 2);
    memdb_query_t query = ask(&space, "nowhere");
    expect(db, &query, (uint64_t[]){north, east, 0}, NULL);
    query = ask(&space, "elsewhere");
    query.mode = MEMDB_RECALL_VECTOR;
    expect(db, &query, (uint64_t[]){east, north, 0}, NULL);
    assert_int_equal(calls, 4);
    query.mode = MEMDB_RECALL_WORDS;
    expect(db, &query, (uint64_t[]){0}, NULL);
    assert_int_equal(calls, 4);
    query = ask(&space, "!");
    refuse(db, &query, MEMDB_INVALID, "recall: the space's embedder failed");
}

static void test_result_outlives_the_snapshot_and_the_memory(void **state) {
    memdb_t *db = ((fixture_t *)*state)->db;
    memdb_space_t space = space_of(db, "main");
    uint64_t id = put_plain(db, space, "house");
    memdb_query_t query = ask(&space, "house");
    memdb_result_t *result;
    must(db, recall(db, &query, &result));
    memdb_txn_t *txn;
    must(db, memdb_txn_begin(db, &txn));
    must(db, memdb_space_drop(txn, text("main")));
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_NONE, NULL));
    must(db, memdb_checkpoint(db));
    assert_int_equal(memdb_result_hit(result, 0)->id, id);
    memdb_result_free(result);
    memdb_result_free(NULL);
    assert_int_equal(memdb_result_count(NULL), 0);
    refuse(db, &query, MEMDB_NOT_FOUND, "recall: there is no space 1");
}

static void test_signals_have_names(void **state) {
    (void)state;
    assert_string_equal(memdb_signal_name(MEMDB_SIGNAL_WORDS), "words");
    assert_string_equal(memdb_signal_name(MEMDB_SIGNAL_VECTOR), "vector");
    assert_string_equal(memdb_signal_name(MEMDB_SIGNAL_TRACE), "trace");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(test_recall_refuses_what_it_cannot_ask),
        CASE(test_recall_says_why_there_are_fewer),
        CASE(test_words_mode_gives_words_alone),
        CASE(test_vector_mode_gives_the_metric),
        CASE(test_trace_brings_the_answer_after_the_question),
        CASE(test_expired_and_forgotten_memories_are_not_found),
        CASE(test_many_dead_vectors_do_not_hide_the_live_ones),
        CASE(test_demanded_phrases_and_prefixes_hold_for_every_hit),
        CASE(test_spaces_are_merged_by_score),
        CASE(test_embedder_turns_the_question_into_a_vector),
        CASE(test_result_outlives_the_snapshot_and_the_memory),
        cmocka_unit_test(test_signals_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
