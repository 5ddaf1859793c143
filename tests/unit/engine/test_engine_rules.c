// Rules 12 and 13 of the log and its followers.
//
// Rule 12: a handle that opens or closes with more than its threshold of log above the base folds
// it, so that the next opener replays little. What an opener replayed is read from what it tells
// its log callback.
//
// Rule 13: frames carry terms and codes, so that followers neither tokenise nor embed; and a run
// builds its lists of words and vectors at the first query that needs them. To prove that terms are
// taken from the frame, one frame is given the terms of another text than its own.
#include "engine/engine.h"
#include "engine/run/run_internal.h"
#include "tests/lib/database.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define THRESHOLD (64u << 10) // bytes of log
#define DIMENSION 4

// ------------------------------------------------------------------------------ rule 12

static void note_replayed(void *context, memdb_status_t severity, const char *message) {
    unsigned long long commits;
    (void)severity;
    if (sscanf(message, "recovered %llu commits", &commits) == 1) {
        *(unsigned long long *)context = commits;
    }
}

static memdb_stats_t stats_of(memdb_t *db) {
    memdb_stats_t stats = {0};
    must(db, memdb_get_stats(db, &stats));
    return stats;
}

/// Open and close without folding anything: what an opener replays, and the base it finds.
static unsigned long long replayed(fixture_t *fixture, uint64_t *applied_out) {
    unsigned long long commits = 0;
    fixture_open(
        fixture,
        (memdb_options_t){.log = note_replayed, .log_context = &commits, .no_background = true});
    memdb_stats_t stats = stats_of(fixture->db);
    assert_int_equal(stats.memories, 1);
    assert_int_equal(stats.checkpoints, 0);
    *applied_out = stats.applied_lsn;
    fixture_close(fixture);
    return commits;
}

/// One commit that is larger than the threshold: nothing folds before it is whole.
static void put_much(memdb_t *db) {
    char *words = malloc(2 * THRESHOLD + 1);
    assert_non_null(words);
    for (size_t i = 0; i < 2 * THRESHOLD; i++) {
        words[i] = i % 8 == 7 ? ' ' : (char)('a' + i / 8 % 20);
    }
    words[2 * THRESHOLD] = 0;
    put_text(db, space_of(db, "main"), "much", words);
    free(words);
}

/// A database with much log above its base, closed by a handle whose threshold is higher.
static void leave_much_log(fixture_t *fixture, uint64_t *applied_out) {
    put_much(fixture->db);
    fixture_close(fixture);
    assert_int_equal(replayed(fixture, applied_out), 2); // the space, the memory
}

static void close_with_much_log(fixture_t *fixture, bool no_background) {
    uint64_t before = stats_of(fixture->db).applied_lsn, after;
    fixture_close(fixture);
    fixture_open(fixture, (memdb_options_t){.checkpoint_log_bytes = THRESHOLD,
                                            .no_background = no_background});
    put_much(fixture->db);
    memdb_stats_t stats = stats_of(fixture->db);
    assert_true(stats.log_bytes > THRESHOLD);
    assert_int_equal(stats.checkpoints, 0); // so it is the close that folds
    fixture_close(fixture);
    assert_int_equal(replayed(fixture, &after), 0);
    assert_true(after > before && after >= stats.written_lsn);
    fixture_open(fixture, (memdb_options_t){0});
    assert_non_null(get_text(fixture->db, space_of(fixture->db, "main"), "much"));
}

static void test_a_close_with_much_log_folds_it(void **state) {
    close_with_much_log(*state, false);
}

static void test_a_close_with_much_log_folds_it_without_background(void **state) {
    close_with_much_log(*state, true);
}

static void test_a_close_with_little_log_leaves_it(void **state) {
    fixture_t *fixture = *state;
    uint64_t before = stats_of(fixture->db).applied_lsn, after;
    fixture_close(fixture);
    fixture_open(fixture, (memdb_options_t){.checkpoint_log_bytes = THRESHOLD});
    put_text(fixture->db, space_of(fixture->db, "main"), "little", "few words");
    fixture_close(fixture);
    assert_int_equal(replayed(fixture, &after), 2);
    assert_int_equal(after, before);
    fixture_open(fixture, (memdb_options_t){0});
}

/// A close folds from an eighth of the threshold on.
static void test_a_close_folds_less_than_starts_a_checkpoint(void **state) {
    fixture_t *fixture = *state;
    uint64_t before = stats_of(fixture->db).applied_lsn, after;
    fixture_close(fixture);
    fixture_open(fixture, (memdb_options_t){.checkpoint_log_bytes = 4 * THRESHOLD});
    put_much(fixture->db);
    memdb_stats_t stats = stats_of(fixture->db);
    assert_true(stats.log_bytes > THRESHOLD / 2 && stats.log_bytes < 4 * THRESHOLD);
    assert_int_equal(stats.checkpoints, 0);
    fixture_close(fixture);
    assert_int_equal(replayed(fixture, &after), 0);
    assert_true(after > before);
    fixture_open(fixture, (memdb_options_t){0});
}

/// Opening is no commit: it takes the memory that the log needs, and the first writer waits.
static void test_a_log_beyond_the_delta_limit_opens_and_is_folded(void **state) {
    fixture_t *fixture = *state;
    uint64_t before, after;
    leave_much_log(fixture, &before);
    fixture_open(fixture, (memdb_options_t){.delta_limit_bytes = 4096, .no_background = true});
    memdb_stats_t stats = stats_of(fixture->db);
    assert_int_equal(stats.memories, 1);
    assert_true(stats.delta_bytes > 4096);
    assert_non_null(get_text(fixture->db, space_of(fixture->db, "main"), "much"));
    must(fixture->db, memdb_checkpoint(fixture->db));
    assert_true(stats_of(fixture->db).applied_lsn > before);
    fixture_close(fixture);
    assert_int_equal(replayed(fixture, &after), 0);
    fixture_open(fixture, (memdb_options_t){0});
    assert_non_null(get_text(fixture->db, space_of(fixture->db, "main"), "much"));
}

static void test_an_open_with_much_log_folds_it(void **state) {
    fixture_t *fixture = *state;
    uint64_t before, after;
    leave_much_log(fixture, &before);
    fixture_open(fixture, (memdb_options_t){.checkpoint_log_bytes = THRESHOLD});
    struct timespec pause = {.tv_nsec = 1000000};
    while (stats_of(fixture->db).checkpoints == 0) { // in the background, while the handle is open
        nanosleep(&pause, NULL);
    }
    assert_true(stats_of(fixture->db).applied_lsn > before);
    fixture_close(fixture);
    assert_int_equal(replayed(fixture, &after), 0);
    assert_true(after > before);
    fixture_open(fixture, (memdb_options_t){0});
}

/// Without a background thread the opener is not kept waiting: its close folds.
static void test_an_open_without_background_leaves_the_log_to_its_close(void **state) {
    fixture_t *fixture = *state;
    uint64_t before, after;
    leave_much_log(fixture, &before);
    fixture_open(fixture,
                 (memdb_options_t){.checkpoint_log_bytes = THRESHOLD, .no_background = true});
    assert_int_equal(stats_of(fixture->db).applied_lsn, before);
    fixture_close(fixture);
    assert_int_equal(replayed(fixture, &after), 0);
    assert_true(after > before);
    fixture_open(fixture, (memdb_options_t){0});
}

static void test_a_process_that_only_opens_and_closes_folds_much_log(void **state) {
    fixture_t *fixture = *state;
    uint64_t before, after;
    leave_much_log(fixture, &before);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        memdb_options_t options = {.size = sizeof options, .checkpoint_log_bytes = THRESHOLD};
        memdb_t *db;
        _exit(memdb_open(fixture->path, &options, &db, NULL) || memdb_close(db) ? 1 : 0);
    }
    int ended;
    assert_int_equal(waitpid(child, &ended, 0), child);
    assert_true(WIFEXITED(ended) && WEXITSTATUS(ended) == 0);
    assert_int_equal(replayed(fixture, &after), 0);
    assert_true(after > before);
    fixture_open(fixture, (memdb_options_t){0});
}

/// The threshold is each handle's own; a read-only handle folds nothing.
static void test_a_handle_beside_others_folds_much_log(void **state) {
    fixture_t *fixture = *state;
    memdb_options_t options = {
        .size = sizeof options, .flags = MEMDB_OPEN_READ_ONLY, .checkpoint_log_bytes = THRESHOLD};
    memdb_t *other;
    put_much(fixture->db);
    uint64_t before = stats_of(fixture->db).applied_lsn;
    must(NULL, memdb_open(fixture->path, &options, &other, NULL));
    must(other, memdb_close(other));
    assert_int_equal(stats_of(fixture->db).applied_lsn, before);
    options.flags = 0;
    must(NULL, memdb_open(fixture->path, &options, &other, NULL));
    must(other, memdb_close(other));
    memdb_stats_t stats = stats_of(fixture->db);
    assert_true(stats.applied_lsn > before);
    assert_true(stats.log_bytes < THRESHOLD);
    assert_int_equal(stats.checkpoints, 0);
    assert_int_equal(stats.memories, 1);
}

// ------------------------------------------------------------------------------ rule 13

static memdb_t *open_beside(fixture_t *fixture) {
    memdb_options_t options = {.size = sizeof options, .no_background = true};
    memdb_t *db = NULL;
    must(NULL, memdb_open(fixture->path, &options, &db, NULL));
    return db;
}

/// An embedder that counts its calls: the vector says how often each of four letters occurs.
static bool embed_letters(void *calls, const memdb_bytes_t *texts, size_t count, float *vectors) {
    for (size_t i = 0; i < count; i++) {
        for (size_t d = 0; d < DIMENSION; d++) {
            vectors[i * DIMENSION + d] = 0.25f;
            for (size_t at = 0; at < texts[i].size; at++) {
                vectors[i * DIMENSION + d] += texts[i].data[at] == "aeio"[d];
            }
        }
    }
    ++*(int *)calls;
    return true;
}

/// The best hit for words, or (words NULL) for a vector; 0: none.
static uint64_t best(memdb_t *db, memdb_space_t space, const char *words, const float *vector) {
    memdb_query_t query = {.size = sizeof query,
                           .spaces = &space,
                           .space_count = 1,
                           .text = text(words ? words : ""),
                           .vector = vector,
                           .dimension = vector ? DIMENSION : 0,
                           .mode = words ? MEMDB_RECALL_WORDS : MEMDB_RECALL_VECTOR};
    memdb_snapshot_t *snapshot;
    memdb_result_t *result;
    must(db, memdb_snapshot_begin(db, NULL, &snapshot));
    must(db, memdb_recall(snapshot, &query, &result));
    uint64_t id = memdb_result_count(result) ? memdb_result_hit(result, 0)->id : 0;
    memdb_result_free(result);
    memdb_snapshot_end(snapshot);
    return id;
}

static void test_followers_find_vectors_that_they_could_not_embed(void **state) {
    fixture_t *fixture = *state;
    memdb_t *follower = open_beside(fixture);
    int calls = 0;
    memdb_space_t space = space_of(fixture->db, "main");
    must(fixture->db,
         memdb_embedder_register(fixture->db, text("main"), DIMENSION, embed_letters, &calls));
    uint64_t first = put_text(fixture->db, space, "first", "banana salad");
    uint64_t second = put_text(fixture->db, space, "second", "green trees");
    assert_int_equal(calls, 2);
    static const float many_a[DIMENSION] = {1, 0, 0, 0}, many_e[DIMENSION] = {0, 1, 0, 0};
    for (int round = 0; round < 3; round++) { // in the delta, folded by the follower, reopened
        assert_int_equal(best(follower, space, NULL, many_a), first);
        assert_int_equal(best(follower, space, NULL, many_e), second);
        assert_int_equal(best(follower, space, "tree", NULL), second);
        must(follower, memdb_checkpoint(follower));
        if (round == 1) {
            must(follower, memdb_close(follower));
            fixture_close(fixture);
            fixture_open(fixture, (memdb_options_t){0});
            follower = open_beside(fixture);
        }
    }
    assert_int_equal(calls, 2);
    must(follower, memdb_close(follower));
}

/// Give the only operation of `txn`, a put, the terms of another text.
static void replace_terms(memdb_txn_t *txn, const char *words) {
    memdb__reader_t reader = memdb__reader(txn->own.payload.data, txn->own.payload.size);
    memdb__operation_t operation;
    memdb__buffer_t bag = {0}, payload = {0};
    memdb_error_t error = {0};
    assert_true(memdb__operation_decode(&reader, &operation));
    assert_int_equal(operation.kind, MEMDB__OPERATION_PUT);
    assert_true(operation.flags & MEMDB__PUT_BAG);
    assert_int_equal(
        memdb__bag_encode(MEMDB_TOKENIZER_ENGLISH, words, strlen(words), NULL, 0, &bag, &error),
        MEMDB_OK);
    operation.bag = (memdb_bytes_t){(const char *)bag.data, bag.size};
    assert_true(memdb__operation_encode(&payload, &operation));
    memdb__buffer_deinit(&txn->own.payload);
    txn->own.payload = payload;
    memdb__buffer_deinit(&bag);
}

static void test_followers_take_terms_from_the_frame_not_from_the_text(void **state) {
    fixture_t *fixture = *state;
    memdb_t *follower = open_beside(fixture);
    memdb_space_t space = space_of(fixture->db, "main");
    memdb_txn_t *txn;
    uint64_t id;
    memdb_memory_t memory = {
        .size = sizeof memory, .fields = MEMDB_FIELD_TEXT, .text = text("apple pie")};
    must(fixture->db, memdb_txn_begin(fixture->db, &txn));
    must(fixture->db, memdb_put(txn, space, &memory, &id));
    replace_terms(txn, "pear tart");
    must(fixture->db, memdb_txn_commit(txn, MEMDB_DURABILITY_DEFAULT, NULL));
    for (int round = 0; round < 3; round++) { // followed, replayed by recovery, folded
        assert_int_equal(best(follower, space, "pear", NULL), id);
        assert_int_equal(best(follower, space, "apple", NULL), 0);
        must(follower, memdb_close(follower));
        if (round == 0) {
            fixture_close(fixture); // nobody is present: the follower recovers
        }
        follower = open_beside(fixture);
        if (round == 1) {
            must(follower, memdb_checkpoint(follower));
        }
    }
    must(follower, memdb_close(follower));
    fixture_open(fixture, (memdb_options_t){0});
}

static memdb__run_t *only_run(memdb_t *db) {
    memdb__view_t *view = atomic_load_explicit(&db->view, memory_order_seq_cst);
    assert_int_equal(view->run_count, 1);
    return view->runs[0];
}

static bool has_words(memdb_t *db) {
    return atomic_load_explicit(&only_run(db)->words, memory_order_acquire) != NULL;
}

static bool has_vectors(memdb_t *db) {
    return atomic_load_explicit(&only_run(db)->vectors, memory_order_acquire) != NULL;
}

/// What a search in words, or in vectors, begins with.
static void ask_for(memdb_t *db, bool words) {
    memdb_snapshot_t *snapshot;
    memdb__words_source_t *word_sources;
    memdb__vector_source_t *vector_sources;
    memdb_error_t error = {0};
    size_t count = 0;
    must(db, memdb_snapshot_begin(db, NULL, &snapshot));
    must(NULL, words ? memdb__snapshot_words(snapshot, &word_sources, &count, &error)
                     : memdb__snapshot_vectors(snapshot, &vector_sources, &count, &error));
    assert_int_equal(count, 1);
    memdb_snapshot_end(snapshot);
}

static void test_lists_are_built_at_the_first_query_that_needs_them(void **state) {
    fixture_t *fixture = *state;
    memdb_t *follower = open_beside(fixture), *writer = fixture->db;
    int calls = 0;
    char key[32];
    memdb_space_t space = space_of(writer, "main");
    static const float vector[DIMENSION] = {1, 0, 0, 0};
    must(writer, memdb_embedder_register(writer, text("main"), DIMENSION, embed_letters, &calls));
    for (int i = 0; i < 50; i++) {
        snprintf(key, sizeof key, "key %d", i);
        put_text(writer, space, key, "some words about an apple");
    }
    assert_non_null(get_text(follower, space, "key 49"));
    assert_false(has_words(follower) || has_vectors(follower));
    uint64_t followed = stats_of(follower).delta_bytes;
    ask_for(follower, true);
    assert_true(has_words(follower) && !has_vectors(follower));
    uint64_t with_words = stats_of(follower).delta_bytes;
    assert_true(with_words > followed);
    ask_for(follower, false);
    assert_true(has_vectors(follower));
    assert_true(stats_of(follower).delta_bytes > with_words);
    assert_true(best(follower, space, "apples", NULL) != 0);
    assert_true(best(follower, space, NULL, vector) != 0);
    assert_false(has_words(writer) || has_vectors(writer)); // who only writes builds nothing

    // The same for what comes later: it waits until a query asks.
    memdb__run_t *run = only_run(follower);
    uint64_t built = atomic_load_explicit(&run->words_built, memory_order_acquire);
    uint64_t last = put_text(writer, space, "last", "a pear");
    assert_non_null(get_text(follower, space, "last"));
    assert_int_equal(atomic_load_explicit(&run->words_built, memory_order_acquire), built);
    assert_int_equal(best(follower, space, "pears", NULL), last);
    assert_true(atomic_load_explicit(&run->words_built, memory_order_acquire) > built);
    must(follower, memdb_close(follower));
}

#define RULE_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        RULE_TEST(test_a_close_with_much_log_folds_it),
        RULE_TEST(test_a_close_with_much_log_folds_it_without_background),
        RULE_TEST(test_a_close_with_little_log_leaves_it),
        RULE_TEST(test_a_close_folds_less_than_starts_a_checkpoint),
        RULE_TEST(test_a_log_beyond_the_delta_limit_opens_and_is_folded),
        RULE_TEST(test_an_open_with_much_log_folds_it),
        RULE_TEST(test_an_open_without_background_leaves_the_log_to_its_close),
        RULE_TEST(test_a_process_that_only_opens_and_closes_folds_much_log),
        RULE_TEST(test_a_handle_beside_others_folds_much_log),
        RULE_TEST(test_followers_find_vectors_that_they_could_not_embed),
        RULE_TEST(test_followers_take_terms_from_the_frame_not_from_the_text),
        RULE_TEST(test_lists_are_built_at_the_first_query_that_needs_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
