// Goal: every moment from the floor of history on is read exactly as it was, and no older one.
// Method: random work on two handles, folded and merged at random under settings that change, while
// a plain model keeps the whole state after each commit; random commits, positions and times are
// then read back through either handle or another process and compared with the state of then.
#include "engine/engine.h"
#include "engine/history.h"
#include "tests/unit/engine/engine_model.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define STATES 250 // as many commits are remembered

typedef struct state {
    uint64_t end;
    int64_t time;
    model_t model;
} state_t;

typedef struct world {
    fixture_t *fixture;
    memdb_t *handles[2];
    model_t model;
    transaction_t transaction;
    state_t *states; // oldest first
    size_t count;
    uint64_t floor; // of the newest checkpoint
    memdb_settings_t settings;
    uint64_t read, expired;
} world_t;

static memdb_stats_t stats_of(memdb_t *db) {
    memdb_stats_t stats;
    must(db, memdb_get_stats(db, &stats));
    return stats;
}

static void open_handles(world_t *world) {
    for (int i = 0; i < 2; i++) {
        fixture_t opened = *world->fixture;
        // With so little log a checkpoint, folds leave merging to merges of their own.
        fixture_open(&opened, (memdb_options_t){.durability = MEMDB_DURABILITY_OS,
                                                .no_background = true,
                                                .checkpoint_log_bytes = draw(2) ? 1024 : 0});
        world->handles[i] = opened.db;
    }
    world->floor = stats_of(world->handles[0]).history_lsn; // closing may have folded
}

static void close_handles(world_t *world) {
    for (int i = 0; i < 2; i++) {
        must(world->handles[i], memdb_close(world->handles[i]));
    }
}

static int64_t last_commit_time(memdb_t *db) {
    return atomic_load_explicit(&db->control->last_commit_time, memory_order_relaxed);
}

/// The times that the database chose are read while they are new.
static void learn_times(memdb_t *db, model_t *model) {
    memdb_snapshot_t *snapshot;
    must(db, memdb_snapshot_begin(db, NULL, &snapshot));
    for (int i = 0; i < MODEL_MEMORIES; i++) {
        model_memory_t *memory = &model->memories[i];
        if (memory->id && memory->time_unknown) {
            memdb_memory_t got;
            must(db, memdb_get(snapshot, model->spaces[memory->space].space, memory->id, &got));
            memory->time = got.time;
            memory->time_unknown = false;
        }
    }
    memdb_snapshot_end(snapshot);
}

static void remember(world_t *world, memdb_t *db, uint64_t end) {
    if (world->count == STATES) {
        size_t half = STATES / 2;
        memmove(world->states, world->states + half, (STATES - half) * sizeof *world->states);
        world->count -= half;
    }
    learn_times(db, &world->model);
    state_t *state = &world->states[world->count++];
    state->end = end;
    state->time = last_commit_time(db);
    state->model = world->model;
}

static void step_transaction(world_t *world) {
    memdb_t *db = world->handles[draw(2)];
    memdb_txn_t *txn;
    uint64_t end = 0;
    transaction_t *transaction = &world->transaction;
    must(db, memdb_txn_begin(db, &txn));
    transaction->model = world->model;
    transaction->count = 0;
    transaction->touches = (touches_t){0};
    for (uint32_t i = 1 + draw(MODEL_OPERATIONS); i > 0; i--) {
        model_operate(db, txn, transaction);
    }
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_DEFAULT, &end));
    if (!transaction->count) {
        return;
    }
    for (int i = 0; i < transaction->count; i++) {
        model_apply(&world->model, &transaction->operations[i]);
    }
    remember(world, db, end);
}

static memdb_status_t begin_at(memdb_t *db, uint64_t lsn, int64_t time, memdb_snapshot_t **out) {
    memdb_snapshot_options_t options = {
        .size = sizeof options, .as_of_lsn = lsn, .as_of_time = time};
    return memdb_snapshot_begin(db, &options, out);
}

/// Read one remembered state: by its end, by a position inside its last frame, or by a time.
static void check_state(world_t *world, memdb_t *db, size_t number, uint64_t floor) {
    state_t *state = &world->states[number];
    memdb_snapshot_t *snapshot;
    memdb_status_t status;
    uint32_t how = draw(4);
    bool newest = number + 1 == world->count;
    if (how == 0) {
        // Anything up to the next commit's time: seals and settings in between change nothing.
        int64_t until = newest ? state->time + 5 : world->states[number + 1].time - 1;
        status = begin_at(db, 0, state->time + (int64_t)draw((uint32_t)(until - state->time) + 1),
                          &snapshot);
    } else if (how == 1) {
        status = begin_at(db, 0, state->time, &snapshot);
    } else if (how == 2) {
        status = begin_at(db, state->end - draw(8), 0, &snapshot); // a frame is longer than that
    } else {
        status = begin_at(db, state->end, 0, &snapshot);
    }
    if (status == MEMDB_EXPIRED) {
        assert_true(state->end < floor);
        world->expired++;
        return;
    }
    must(db, status);
    assert_true(state->end >= floor ||
                how == 0); // a later moment with the same content may be kept
    assert_true(how == 0 || memdb_snapshot_lsn(snapshot) == state->end);
    model_check_snapshot(db, snapshot, &state->model, chance(10));
    memdb_snapshot_end(snapshot);
    world->read++;
}

static void check_random_states(world_t *world, memdb_t *db, uint32_t times) {
    uint64_t floor = stats_of(db).history_lsn;
    for (; world->count && times > 0; times--) {
        check_state(world, db, draw((uint32_t)world->count), floor);
    }
}

/// Fold, and see that the floor is where the settings say.
static void step_checkpoint(world_t *world) {
    memdb_t *db = world->handles[draw(2)];
    must(db, memdb_checkpoint(db));
    memdb_stats_t stats = stats_of(db);
    uint64_t bytes = world->settings.history_bytes, last = stats.applied_lsn;
    int64_t horizon = world->settings.history_us
                          ? last_commit_time(db) - (int64_t)world->settings.history_us
                          : INT64_MIN;
    assert_true(stats.history_lsn >= world->floor);
    if (!bytes && !world->settings.history_us) {
        assert_int_equal(stats.history_lsn, last);
    }
    for (size_t i = 0; i < world->count; i++) {
        const state_t *state = &world->states[i];
        bool kept_by_bytes = !bytes || bytes >= last || state->end >= last - bytes;
        bool kept_by_time = state->time >= horizon;
        if (state->end >= world->floor && kept_by_bytes && kept_by_time &&
            (bytes || world->settings.history_us)) {
            assert_true(state->end >= stats.history_lsn);
        }
        if (i + 1 < world->count &&
            ((bytes && bytes < last && state[1].end <= last - bytes) || state[1].time <= horizon)) {
            assert_true(state->end < stats.history_lsn); // a newer one is old enough already
        }
    }
    world->floor = stats.history_lsn;
}

static void step_settings(world_t *world) {
    static const uint64_t bytes[] = {0, 1, 400000, 4000000, UINT64_C(1) << 40};
    memdb_t *db = world->handles[draw(2)], *other = world->handles[draw(2)];
    memdb_settings_t got;
    world->settings.history_bytes = bytes[draw(5)];
    world->settings.history_us = chance(75) ? 0 : UINT64_C(1) << (15 + draw(30));
    must(db, memdb_configure(db, &world->settings));
    must(other, memdb_get_settings(other, &got));
    assert_memory_equal(&got, &world->settings, sizeof got);
}

static void check_in_another_process(world_t *world) {
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        fixture_t opened = *world->fixture;
        fixture_open(&opened, (memdb_options_t){.no_background = true});
        check_random_states(world, opened.db, 6);
        memdb_settings_t got;
        must(opened.db, memdb_get_settings(opened.db, &got));
        bool same = memcmp(&got, &world->settings, sizeof got) == 0;
        memdb_close(opened.db);
        _exit(same ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void step(world_t *world) {
    uint32_t what = draw(1000);
    if (what < 60) {
        step_checkpoint(world);
    } else if (what < 80) {
        step_settings(world);
    } else if (what < 88) {
        close_handles(world);
        open_handles(world);
    } else if (what < 94) {
        check_in_another_process(world);
    } else {
        step_transaction(world);
    }
    if (chance(40)) {
        check_random_states(world, world->handles[draw(2)], 1);
    }
}

static void test_random_moments_are_read_as_they_were(void **state) {
    world_t *world = calloc(1, sizeof *world);
    assert_non_null(world);
    world->states = calloc(STATES, sizeof *world->states);
    assert_non_null(world->states);
    world->fixture = *state;
    fixture_close(world->fixture);
    remove_tree(world->fixture->path);
    world->settings = (memdb_settings_t){.size = sizeof world->settings};
    open_handles(world);
    const char *steps = getenv("MEMDB_HISTORY_STEPS"); // more of them: see docs/testing.md
    for (uint64_t i = steps ? strtoull(steps, NULL, 0) : 1500; i > 0; i--) {
        step(world);
    }
    check_random_states(world, world->handles[0], 40);
    must(world->handles[0], memdb_verify(world->handles[0], NULL, NULL));
    printf("%llu moments read, %llu expired\n", (unsigned long long)world->read,
           (unsigned long long)world->expired);
    assert_true(world->read > 10);
    close_handles(world);
    free(world->states);
    free(world);
}

// ------------------------------------------------------------------------------ edges

static void configure(memdb_t *db, uint64_t history_us, uint64_t history_bytes) {
    memdb_settings_t settings = {
        .size = sizeof settings, .history_us = history_us, .history_bytes = history_bytes};
    must(db, memdb_configure(db, &settings));
}

static memdb_status_t text_at(memdb_t *db, uint64_t lsn, int64_t time, memdb_space_t space,
                              const char *key, char text_out[64]) {
    memdb_snapshot_t *snapshot;
    memdb_memory_t memory;
    memdb_status_t status = begin_at(db, lsn, time, &snapshot);
    if (status) {
        return status;
    }
    status = memdb_get_by_key(snapshot, space, text(key), &memory);
    if (!status) {
        snprintf(text_out, 64, "%.*s", (int)memory.text.size, memory.text.data);
    }
    memdb_snapshot_end(snapshot);
    return status;
}

static void test_moments_that_are_not_folded_are_read_without_history(void **state) {
    fixture_t *fixture = *state;
    memdb_t *db = fixture->db;
    char got[64];
    memdb_space_t space = space_of(db, "main");
    put_text(db, space, "k", "one");
    int64_t first = last_commit_time(db);
    uint64_t position = stats_of(db).visible_lsn;
    put_text(db, space, "k", "two");
    must(db, text_at(db, position, 0, space, "k", got));
    assert_string_equal(got, "one");
    must(db, text_at(db, 0, last_commit_time(db) - 1, space, "k", got));
    assert_string_equal(got, "one");
    must(db, text_at(db, 0, last_commit_time(db), space, "k", got));
    assert_string_equal(got, "two");
    // Before the first commit there was nothing, and a future time is now.
    assert_int_equal(text_at(db, 1, 0, space, "k", got), MEMDB_NOT_FOUND);
    assert_int_equal(text_at(db, 0, 1, space, "k", got), MEMDB_NOT_FOUND);
    must(db, text_at(db, 0, INT64_MAX, space, "k", got));
    assert_string_equal(got, "two");
    assert_int_equal(text_at(db, stats_of(db).visible_lsn + 1, 0, space, "k", got), MEMDB_INVALID);
    must(db, memdb_checkpoint(db));
    assert_int_equal(text_at(db, position, 0, space, "k", got), MEMDB_EXPIRED);
    assert_int_equal(text_at(db, 0, first, space, "k", got), MEMDB_EXPIRED);
    must(db, text_at(db, stats_of(db).history_lsn, 0, space, "k", got));
    must(db, text_at(db, 0, stats_of(db).history_time, space, "k", got));
    assert_string_equal(got, "two");
    assert_int_equal(text_at(db, 0, stats_of(db).history_time - 1, space, "k", got), MEMDB_EXPIRED);
    char message[400], wanted[64];
    memdb_last_error(db, message, sizeof message);
    snprintf(wanted, sizeof wanted, "%llu", (unsigned long long)stats_of(db).history_lsn);
    assert_non_null(strstr(message, wanted)); // the message names the oldest position
}

static void test_the_version_of_a_memory_is_a_position_that_sees_it(void **state) {
    fixture_t *fixture = *state;
    memdb_t *db = fixture->db;
    configure(db, 0, UINT64_C(1) << 40);
    memdb_space_t space = space_of(db, "main");
    uint64_t id = put_text(db, space, "k", "one");
    memdb_snapshot_t *snapshot;
    memdb_memory_t memory;
    must(db, memdb_snapshot_begin(db, NULL, &snapshot));
    must(db, memdb_get(snapshot, space, id, &memory));
    uint64_t version = memory.version;
    memdb_snapshot_end(snapshot);
    put_text(db, space, "k", "two");
    must(db, memdb_checkpoint(db));
    char got[64];
    must(db, text_at(db, version, 0, space, "k", got));
    assert_string_equal(got, "one");
    assert_int_equal(text_at(db, version - 1, 0, space, "k", got), MEMDB_NOT_FOUND);
}

static void test_a_dropped_space_is_read_as_before_within_history(void **state) {
    fixture_t *fixture = *state;
    memdb_t *db = fixture->db;
    configure(db, 0, UINT64_C(1) << 40);
    memdb_space_t space = space_of(db, "gone"), found;
    put_text(db, space, "k", "one");
    uint64_t before = stats_of(db).visible_lsn;
    memdb_txn_t *txn;
    must(db, memdb_txn_begin(db, &txn));
    must(db, memdb_space_drop(txn, text("gone")));
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_DEFAULT, NULL));
    memdb_space_t again = space_of(db, "gone");
    assert_int_not_equal(space, again);
    for (int round = 0; round < 3; round++) {
        memdb_snapshot_t *snapshot;
        memdb_space_info_t info;
        memdb_memory_t memory;
        must(db, begin_at(db, before, 0, &snapshot));
        must(db, memdb_space_find(snapshot, text("gone"), &found));
        assert_int_equal(found, space);
        must(db, memdb_space_get_info(snapshot, space, &info));
        assert_int_equal(info.memories, 1);
        assert_int_equal(info.text_bytes, 3);
        must(db, memdb_get_by_key(snapshot, space, text("k"), &memory));
        memdb_snapshot_end(snapshot);
        must(db, memdb_checkpoint(db));
    }
    configure(db, 0, 0);
    must(db, memdb_checkpoint(db));
    char got[64];
    assert_int_equal(text_at(db, before, 0, space, "k", got), MEMDB_EXPIRED);
}

/// Put the texts of a round, in one transaction, and fold.
static void put_round(memdb_t *db, memdb_space_t space, int round) {
    char key[16], words[128];
    memdb_txn_t *txn;
    must(db, memdb_txn_begin(db, &txn));
    for (int i = 0; i < 200; i++) {
        snprintf(key, sizeof key, "k%d", i);
        snprintf(words, sizeof words, "text of round %d for the memory %d, and some more", round,
                 i);
        memdb_memory_t memory = {.size = sizeof memory,
                                 .fields = MEMDB_FIELD_KEY | MEMDB_FIELD_TEXT,
                                 .key = text(key),
                                 .text = text(words)};
        must(db, memdb_put(txn, space, &memory, NULL));
    }
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_DEFAULT, NULL));
    must(db, memdb_checkpoint(db));
}

#define ROUNDS 12

/// Overwrite the same memories again and again, folding along; the bytes of segments at the end.
static uint64_t churn(memdb_t *db) {
    memdb_space_t space = space_of(db, "main");
    for (int round = 0; round < ROUNDS; round++) {
        put_round(db, space, round);
    }
    return stats_of(db).segment_bytes;
}

static void test_without_history_churn_keeps_one_version(void **state) {
    fixture_t *fixture = *state;
    memdb_t *db = fixture->db;
    uint64_t churned = churn(db);
    memdb__view_t *view = atomic_load(&db->view);
    for (size_t i = 0; i < view->tier_count; i++) {
        assert_false(memdb__sorted_has_versions(view->tiers[i]->sorted));
    }
    // A database that never was churned, with the same content.
    fixture_t fresh = {0};
    snprintf(fresh.path, sizeof fresh.path, "%.200s-fresh", fixture->path);
    fixture_open(&fresh, (memdb_options_t){.durability = MEMDB_DURABILITY_OS});
    put_round(fresh.db, space_of(fresh.db, "main"), ROUNDS - 1);
    uint64_t least = stats_of(fresh.db).segment_bytes;
    fixture_close(&fresh);
    remove_tree(fresh.path);
    printf("%llu bytes after churn, %llu fresh\n", (unsigned long long)churned,
           (unsigned long long)least);
    assert_true(churned <= 2 * least); // at most one older tier that was not worth merging
}

static void test_history_that_is_given_up_gives_its_bytes_back(void **state) {
    fixture_t *fixture = *state;
    memdb_t *db = fixture->db;
    uint64_t without = churn(db);
    configure(db, 0, UINT64_C(1) << 40);
    uint64_t with = churn(db);
    assert_true(with > 4 * without);
    configure(db, 0, 0);
    uint64_t after = churn(db);
    assert_true(after < 2 * without);
}

// ------------------------------------------------------------------------------ threads

#define WRITERS 2
#define COMMITS 150

typedef struct writer {
    memdb_t *db;
    memdb_space_t space;
    char key[8];
    uint64_t ends[COMMITS]; // after commit i the text is the number i
    atomic_int done;
} writer_t;

static void *write_on(void *context) {
    writer_t *writer = context;
    for (int i = 0; i < COMMITS; i++) {
        char number[16];
        memdb_txn_t *txn;
        memdb_memory_t memory = {.size = sizeof memory,
                                 .fields = MEMDB_FIELD_KEY | MEMDB_FIELD_TEXT,
                                 .key = text(writer->key)};
        snprintf(number, sizeof number, "%d", i);
        memory.text = text(number);
        must(writer->db, memdb_txn_begin(writer->db, &txn));
        must(writer->db, memdb_put(txn, writer->space, &memory, NULL));
        must(writer->db, memdb_txn_commit(txn, MEMDB_DURABILITY_OS, &writer->ends[i]));
        atomic_store_explicit(&writer->done, i + 1, memory_order_release);
    }
    return NULL;
}

static void *read_back(void *context) {
    writer_t *writers = context;
    bool all;
    uint32_t turn = 0;
    do {
        all = true;
        for (int w = 0; w < WRITERS; w++) {
            writer_t *writer = &writers[w];
            int done = atomic_load_explicit(&writer->done, memory_order_acquire);
            all &= done == COMMITS;
            if (done) {
                int number = (int)((turn++ * 7919u) % (uint32_t)done);
                char got[64], wanted[16];
                snprintf(wanted, sizeof wanted, "%d", number);
                must(writer->db,
                     text_at(writer->db, writer->ends[number], 0, writer->space, writer->key, got));
                assert_string_equal(got, wanted);
            }
        }
    } while (!all || turn < 200);
    return NULL;
}

static void test_older_moments_are_read_beside_writers_and_checkpoints(void **state) {
    fixture_t *fixture = *state;
    fixture_close(fixture);
    remove_tree(fixture->path);
    fixture_open(fixture, (memdb_options_t){.durability = MEMDB_DURABILITY_OS});
    memdb_t *db = fixture->db;
    configure(db, 0, UINT64_C(1) << 40);
    static writer_t writers[WRITERS];
    pthread_t threads[WRITERS], reader;
    memdb_space_t space = space_of(db, "main");
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (writer_t){.db = db, .space = space};
        snprintf(writers[i].key, sizeof writers[i].key, "w%d", i);
        assert_int_equal(pthread_create(&threads[i], NULL, write_on, &writers[i]), 0);
    }
    assert_int_equal(pthread_create(&reader, NULL, read_back, writers), 0);
    for (int i = 0; i < 6; i++) {
        must(db, memdb_checkpoint(db));
    }
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_join(reader, NULL);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void) {
    const char *given = getenv("MEMDB_SEED");
    model_random_state = given ? strtoull(given, NULL, 0) : 20240901;
    printf("seed=%llu\n", (unsigned long long)model_random_state);
    const struct CMUnitTest tests[] = {
        CASE(test_random_moments_are_read_as_they_were),
        CASE(test_moments_that_are_not_folded_are_read_without_history),
        CASE(test_the_version_of_a_memory_is_a_position_that_sees_it),
        CASE(test_a_dropped_space_is_read_as_before_within_history),
        CASE(test_older_moments_are_read_beside_writers_and_checkpoints),
        CASE(test_without_history_churn_keeps_one_version),
        CASE(test_history_that_is_given_up_gives_its_bytes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
