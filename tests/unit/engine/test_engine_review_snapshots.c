// What one snapshot sees never changes, also that of a transaction with writes of its own: scores
// of words do not move when others commit meanwhile. And a handle that is opened for reading only
// waits while another opening may recover the log.
#include "engine/engine.h"
#include "tests/lib/database.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/// Documents that the snapshot's statistics count, and the score of one for a question.
static uint64_t ask(memdb_snapshot_t *snapshot, memdb_space_t space, uint64_t id,
                    const char *question, float *score_out) {
    memdb__words_totals_t totals;
    memdb__words_query_t *query;
    memdb__words_hit_t hits[50];
    memdb__live_t live = {.sight = &snapshot->sight, .now = MEMDB_TIME_NONE};
    memdb_error_t error = {0};
    size_t count;
    memdb__words_search_t search = {.space = space,
                                    .visible = memdb__snapshot_visible(snapshot),
                                    .live = memdb__document_live,
                                    .context = &live};
    memdb__words_source_t *sources;
    assert_int_equal(memdb__snapshot_words(snapshot, &sources, &search.source_count, &error), 0);
    search.sources = sources;
    assert_int_equal(memdb__words_totals(&search, &totals, &error), MEMDB_OK);
    assert_int_equal(memdb__words_query_create(MEMDB_TOKENIZER_ENGLISH, question, strlen(question),
                                               &query, &error),
                     MEMDB_OK);
    assert_int_equal(memdb__words_search(query, &search, hits, 50, &count, &error), MEMDB_OK);
    memdb__words_query_destroy(query);
    *score_out = 0;
    for (size_t i = 0; i < count; i++) {
        *score_out = hits[i].id == id ? hits[i].score : *score_out;
    }
    return totals.documents;
}

static void test_statistics_of_a_transaction_leave_out_later_commits(void **state) {
    fixture_t *fixture = *state;
    memdb_t *db = fixture->db;
    memdb_space_t space = space_of(db, "main");
    uint64_t apple = put_text(db, space, "apple", "an apple and a pear");
    put_text(db, space, "pear", "a pear and a plum and another plum");
    memdb_txn_t *txn;
    memdb_memory_t memory = {
        .size = sizeof memory, .fields = MEMDB_FIELD_TEXT, .text = text("a cherry of its own")};
    must(db, memdb_txn_begin(db, &txn));
    must(db, memdb_put(txn, space, &memory, NULL));
    memdb_snapshot_t *snapshot = memdb_txn_snapshot(txn);
    float before, after;
    assert_int_equal(ask(snapshot, space, apple, "apple plum", &before), 3);
    assert_true(before > 0);
    for (int i = 0; i < 30; i++) {
        char key[16];
        snprintf(key, sizeof key, "later %d", i);
        put_text(db, space, key, i % 2 ? "apple and apple" : "something else that is longer");
    }
    assert_int_equal(ask(snapshot, space, apple, "apple plum", &after), 3);
    assert_true(after == before);
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_DEFAULT, NULL));
    must(db, memdb_snapshot_begin(db, NULL, &snapshot));
    assert_int_equal(ask(snapshot, space, apple, "apple plum", &after), 33);
    memdb_snapshot_end(snapshot);
}

// ------------------------------------------------------------------------------ reading only

typedef struct reader {
    const char *path;
    memdb_status_t status;
    _Atomic bool done;
} reader_t;

static void *open_read_only(void *context) {
    reader_t *reader = context;
    memdb_options_t options = {.size = sizeof options, .flags = MEMDB_OPEN_READ_ONLY};
    memdb_error_t error = {0};
    memdb_t *db = NULL;
    reader->status = memdb_open(reader->path, &options, &db, &error);
    atomic_store(&reader->done, true);
    if (db) {
        memdb_close(db);
    }
    return NULL;
}

static void test_read_only_opening_waits_for_one_that_may_recover(void **state) {
    fixture_t *fixture = *state;
    char path[300];
    memdb_error_t error = {0};
    reader_t reader = {.path = fixture->path};
    pthread_t thread;
    put_text(fixture->db, space_of(fixture->db, "main"), "key", "words");
    fixture_close(fixture);
    snprintf(path, sizeof path, "%s/lock", fixture->path);
    int lock = open(path, O_RDWR | O_CLOEXEC);
    assert_true(lock >= 0);
    assert_int_equal(
        memdb__lock_acquire(lock, MEMDB__LOCK_GATE, MEMDB__LOCK_EXCLUSIVE, true, &error), MEMDB_OK);
    assert_int_equal(pthread_create(&thread, NULL, open_read_only, &reader), 0);
    nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL); // too short a nap finds no fault
    assert_false(atomic_load(&reader.done));
    memdb__lock_release(lock, MEMDB__LOCK_GATE);
    pthread_join(thread, NULL);
    assert_int_equal(reader.status, MEMDB_OK);
    close(lock);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_statistics_of_a_transaction_leave_out_later_commits,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_read_only_opening_waits_for_one_that_may_recover,
                                        fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
