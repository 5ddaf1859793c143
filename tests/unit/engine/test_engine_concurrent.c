// Threads on one handle and on two handles of one process, with a thread that checkpoints all the
// while: what one transaction wrote is seen together or not at all; read-modify-write with a retry
// on conflict loses no increment; what a commit acknowledged is in the next snapshot of every
// handle; lists of words and vectors are built by readers meanwhile.
#include "engine/engine.h"
#include "tests/lib/database.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAIRS 8
#define PAIR_COMMITS 400
#define INCREMENTS 200
#define READERS 2
#define WRITERS 3

typedef struct shared {
    memdb_t *handles[2];
    memdb_space_t space;
    memdb_durability_t durability;
    _Atomic bool stop;
    _Atomic int faults;
    _Atomic uint64_t counted, conflicts, reads, checkpoints;
} shared_t;

typedef struct worker {
    shared_t *shared;
    pthread_t thread;
    int number;
} worker_t;

/// cmocka's asserts belong to the main thread: others count what goes wrong, and say it.
static bool fine(shared_t *shared, memdb_t *db, memdb_status_t status, const char *what) {
    if (status) {
        char message[512] = "";
        memdb_last_error(db, message, sizeof message);
        fprintf(stderr, "%s: %s: %s\n", what, memdb_status_name(status), message);
        atomic_fetch_add(&shared->faults, 1);
    }
    return status == MEMDB_OK;
}

static void expect(shared_t *shared, bool condition, const char *what) {
    if (!condition) {
        fprintf(stderr, "not so: %s\n", what);
        atomic_fetch_add(&shared->faults, 1);
    }
}

static memdb_status_t put_number(memdb_txn_t *txn, memdb_space_t space, const char *key,
                                 uint64_t number, bool with_vector) {
    char words[64];
    float vector[4] = {(float)number, 1, 2, 3};
    snprintf(words, sizeof words, "%llu of many words", (unsigned long long)number);
    memdb_memory_t memory = {.size = sizeof memory,
                             .fields = MEMDB_FIELD_KEY | MEMDB_FIELD_TEXT | MEMDB_FIELD_TOKENS,
                             .key = text(key),
                             .text = text(words),
                             .tokens = (uint32_t)number};
    if (with_vector) {
        memory.fields |= MEMDB_FIELD_VECTOR;
        memory.vector = vector;
        memory.dimension = 4;
    }
    return memdb_put(txn, space, &memory, NULL);
}

static uint64_t number_of(shared_t *shared, memdb_t *db, memdb_snapshot_t *snapshot,
                          const char *key) {
    memdb_memory_t memory;
    memdb_status_t status = memdb_get_by_key(snapshot, shared->space, text(key), &memory);
    if (status == MEMDB_NOT_FOUND || !fine(shared, db, status, key)) {
        return 0;
    }
    expect(shared, strtoull(memory.text.data, NULL, 10) == memory.tokens,
           "a memory's fields belong together");
    return memory.tokens;
}

/// Each writer owns some pairs, so that its commits do not conflict.
static void *write_pairs(void *context) {
    worker_t *worker = context;
    shared_t *shared = worker->shared;
    char a[32], b[32];
    for (uint64_t i = 1; i <= PAIR_COMMITS; i++) {
        memdb_t *db = shared->handles[i % 2], *other = shared->handles[(i + 1) % 2];
        memdb_txn_t *txn;
        memdb_snapshot_t *snapshot;
        snprintf(a, sizeof a, "pair-%d-%d-a", worker->number, (int)(i % PAIRS));
        snprintf(b, sizeof b, "pair-%d-%d-b", worker->number, (int)(i % PAIRS));
        if (!fine(shared, db, memdb_txn_begin(db, &txn), "begin")) {
            return NULL;
        }
        fine(shared, db, put_number(txn, shared->space, a, i, i % 5 == 0), "put");
        fine(shared, db, put_number(txn, shared->space, b, i, false), "put");
        if (!fine(shared, db, memdb_txn_commit(txn, shared->durability, NULL), "commit") ||
            !fine(shared, other, memdb_snapshot_begin(other, NULL, &snapshot), "snapshot")) {
            return NULL;
        }
        expect(shared, number_of(shared, other, snapshot, a) == i,
               "an acknowledged commit is in the next snapshot of the other handle");
        memdb_snapshot_end(snapshot);
    }
    return NULL;
}

static void *increment(void *context) {
    worker_t *worker = context;
    shared_t *shared = worker->shared;
    for (int done = 0; done < INCREMENTS;) {
        memdb_t *db = shared->handles[(worker->number + done) % 2];
        memdb_txn_t *txn;
        if (!fine(shared, db, memdb_txn_begin(db, &txn), "begin")) {
            return NULL;
        }
        uint64_t number = number_of(shared, db, memdb_txn_snapshot(txn), "counter");
        fine(shared, db, put_number(txn, shared->space, "counter", number + 1, false), "put");
        memdb_status_t status = memdb_txn_commit(txn, shared->durability, NULL);
        if (status == MEMDB_CONFLICT) {
            atomic_fetch_add(&shared->conflicts, 1);
        } else if (fine(shared, db, status, "commit")) {
            atomic_fetch_add(&shared->counted, 1);
            done++;
        } else {
            return NULL;
        }
    }
    return NULL;
}

static void read_lists(shared_t *shared, memdb_t *db, memdb_snapshot_t *snapshot) {
    memdb__words_source_t *words;
    memdb__vector_source_t *vectors;
    size_t count;
    memdb_error_t error = {0};
    expect(shared, memdb__snapshot_words(snapshot, &words, &count, &error) == MEMDB_OK,
           "words are there");
    expect(shared, memdb__snapshot_vectors(snapshot, &vectors, &count, &error) == MEMDB_OK,
           "vectors are there");
    memdb_memory_t memory;
    float vector[4];
    if (memdb_get_by_key(snapshot, shared->space, text("pair-0-0-a"), &memory) == MEMDB_OK &&
        memory.dimension) {
        fine(shared, db, memdb_get_vector(snapshot, shared->space, memory.id, vector, 4), "vector");
    }
}

static void *read_on(void *context) {
    worker_t *worker = context;
    shared_t *shared = worker->shared;
    uint64_t last_lsn[2] = {0}, last_counter = 0;
    for (uint64_t turn = 0; !atomic_load(&shared->stop); turn++) {
        memdb_t *db = shared->handles[turn % 2];
        memdb_snapshot_t *snapshot;
        if (!fine(shared, db, memdb_snapshot_begin(db, NULL, &snapshot), "snapshot")) {
            return NULL;
        }
        expect(shared, memdb_snapshot_lsn(snapshot) >= last_lsn[turn % 2],
               "snapshots of a handle go forward");
        last_lsn[turn % 2] = memdb_snapshot_lsn(snapshot);
        uint64_t counter = number_of(shared, db, snapshot, "counter");
        expect(shared, turn % 2 || counter >= last_counter, "the counter rises");
        last_counter = turn % 2 ? last_counter : counter;
        for (int pass = 0; pass < 2;
             pass++) { // the second pass: what a snapshot sees never changes
            for (int i = 0; i < WRITERS * PAIRS; i++) {
                char a[32], b[32];
                snprintf(a, sizeof a, "pair-%d-%d-a", i / PAIRS, i % PAIRS);
                snprintf(b, sizeof b, "pair-%d-%d-b", i / PAIRS, i % PAIRS);
                expect(shared,
                       number_of(shared, db, snapshot, a) == number_of(shared, db, snapshot, b),
                       "pairs are seen together");
            }
            expect(shared, number_of(shared, db, snapshot, "counter") == counter,
                   "a snapshot does not change");
        }
        memdb_cursor_options_t options = {
            .size = sizeof options, .order = MEMDB_ORDER_KEY, .prefix = text("pair-")};
        memdb_cursor_t *cursor;
        memdb_memory_t memory;
        size_t count = 0;
        if (fine(shared, db, memdb_cursor_open(snapshot, shared->space, &options, &cursor),
                 "cursor")) {
            while (memdb_cursor_next(cursor, &memory) == MEMDB_OK) {
                count++;
            }
            memdb_cursor_close(cursor);
        }
        expect(shared, count % 2 == 0, "a cursor sees pairs");
        read_lists(shared, db, snapshot);
        memdb_snapshot_end(snapshot);
        atomic_fetch_add(&shared->reads, 1);
    }
    return NULL;
}

static void *checkpoint_on(void *context) {
    worker_t *worker = context;
    shared_t *shared = worker->shared;
    for (uint64_t turn = 0; !atomic_load(&shared->stop); turn++) {
        memdb_t *db = shared->handles[turn % 2];
        memdb_stats_t stats;
        fine(shared, db, memdb_checkpoint(db), "checkpoint");
        fine(shared, db, memdb_get_stats(db, &stats), "stats");
        if (turn % 8 == 7) {
            fine(shared, db, memdb_verify(db, NULL, NULL), "verify");
        }
        atomic_fetch_add(&shared->checkpoints, 1);
        struct timespec pause = {0, 3000000};
        nanosleep(&pause, NULL);
    }
    return NULL;
}

static void start(worker_t *worker, shared_t *shared, int number, void *(*work)(void *context)) {
    worker->shared = shared;
    worker->number = number;
    assert_int_equal(pthread_create(&worker->thread, NULL, work, worker), 0);
}

static void work_together(shared_t *shared) {
    worker_t writers[WRITERS], counters[2], readers[READERS], folder;
    for (int i = 0; i < READERS; i++) {
        start(&readers[i], shared, i, read_on);
    }
    start(&folder, shared, 0, checkpoint_on);
    for (int i = 0; i < WRITERS; i++) {
        start(&writers[i], shared, i, write_pairs);
    }
    for (int i = 0; i < 2; i++) {
        start(&counters[i], shared, i, increment);
    }
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(writers[i].thread, NULL);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(counters[i].thread, NULL);
    }
    atomic_store(&shared->stop, true);
    for (int i = 0; i < READERS; i++) {
        pthread_join(readers[i].thread, NULL);
    }
    pthread_join(folder.thread, NULL);
}

/// With its dimension: else the writers' first vectors would fix it, and all but one of them
/// conflict.
static memdb_space_t create_space(memdb_t *db) {
    memdb_space_options_t options = {.size = sizeof options, .dimension = 4};
    memdb_space_t space;
    memdb_txn_t *txn;
    must(db, memdb_txn_begin(db, &txn));
    must(db, memdb_space_create(txn, text("main"), &options, &space));
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_DEFAULT, NULL));
    return space;
}

static void run(void **state, bool two_handles, memdb_durability_t durability) {
    fixture_t *fixture = *state, other = *fixture;
    shared_t shared = {.handles = {fixture->db, fixture->db}, .durability = durability};
    shared.space = create_space(fixture->db);
    if (two_handles) {
        // With so little log a checkpoint, folds and merges go on in the background all the time.
        fixture_open(&other, (memdb_options_t){.checkpoint_log_bytes = 4096});
        shared.handles[1] = other.db;
    }
    work_together(&shared);
    assert_int_equal(atomic_load(&shared.faults), 0);
    assert_int_equal(atomic_load(&shared.counted), 2 * INCREMENTS);
    printf("reads %llu, checkpoints %llu, conflicts %llu\n",
           (unsigned long long)atomic_load(&shared.reads),
           (unsigned long long)atomic_load(&shared.checkpoints),
           (unsigned long long)atomic_load(&shared.conflicts));
    for (int round = 0; round < 2; round++) {
        memdb_snapshot_t *snapshot;
        must(fixture->db, memdb_snapshot_begin(fixture->db, NULL, &snapshot));
        assert_int_equal(number_of(&shared, fixture->db, snapshot, "counter"), 2 * INCREMENTS);
        memdb_snapshot_end(snapshot);
        must(fixture->db, memdb_verify(fixture->db, NULL, NULL));
        if (two_handles && round == 0) {
            fixture_close(&other);
        }
        fixture_close(fixture);
        fixture_open(fixture, (memdb_options_t){0});
    }
    assert_int_equal(atomic_load(&shared.faults), 0);
}

static void test_threads_on_one_handle(void **state) {
    run(state, false, MEMDB_DURABILITY_FULL);
}

static void test_threads_on_two_handles(void **state) {
    run(state, true, MEMDB_DURABILITY_FULL);
}

static memdb_status_t open_once(const char *path, int turn) {
    memdb_t *db;
    memdb_options_t options = {
        .size = sizeof options, .flags = MEMDB_OPEN_CREATE, .no_background = turn % 2};
    memdb_status_t status = memdb_open(path, &options, &db, NULL);
    return status ? status : memdb_close(db);
}

typedef struct opener {
    const char *path;
    pthread_t thread;
    _Atomic int faults;
} opener_t;

static void *open_and_close(void *context) {
    opener_t *opener = context;
    for (int i = 0; i < 10; i++) {
        if (open_once(opener->path, i)) {
            atomic_fetch_add(&opener->faults, 1);
        }
    }
    return NULL;
}

static void test_handles_open_and_close_beside_writers(void **state) {
    fixture_t *fixture = *state;
    opener_t openers[2] = {{.path = fixture->path}, {.path = fixture->path}};
    memdb_space_t space = space_of(fixture->db, "main");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&openers[i].thread, NULL, open_and_close, &openers[i]), 0);
    }
    for (int i = 0; i < 60; i++) {
        char key[32];
        snprintf(key, sizeof key, "key%d", i);
        put_text(fixture->db, space, key, key);
        if (i % 20 == 10) {
            must(fixture->db, memdb_checkpoint(fixture->db));
        }
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(openers[i].thread, NULL);
        assert_int_equal(atomic_load(&openers[i].faults), 0);
    }
    assert_string_equal(get_text(fixture->db, space, "key59"), "key59");
}

static void test_close_waits_for_the_handles_own_checkpoint(void **state) {
    fixture_t *fixture = *state;
    // Each commit is above the limit that asks the background thread for a checkpoint.
    memdb_options_t options = {.size = sizeof options,
                               .flags = MEMDB_OPEN_CREATE,
                               .durability = MEMDB_DURABILITY_OS,
                               .checkpoint_log_bytes = 1};
    for (int i = 0; i < 30; i++) {
        memdb_t *db;
        assert_int_equal(memdb_open(fixture->path, &options, &db, NULL), MEMDB_OK);
        memdb_space_t space = space_of(db, "main");
        put_text(db, space, "key", "text");
        put_text(db, space, "key", "another");
        usleep((useconds_t)i * 100); // so that closing meets it at all its stages
        assert_int_equal(memdb_close(db), MEMDB_OK);
    }
    assert_string_equal(get_text(fixture->db, space_of(fixture->db, "main"), "key"), "another");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_threads_on_one_handle),
        TEST(test_threads_on_two_handles),
        TEST(test_handles_open_and_close_beside_writers),
        TEST(test_close_waits_for_the_handles_own_checkpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
