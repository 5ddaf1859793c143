// Rule 16: what is handed out is never handed out again, and time only rises.
//
// Ids of memories are leased in ranges: they rise within a handle, are unique among handles and
// processes, and after a kill (a copy of the directory as it is while open), a checkpoint, the
// forgetting of the newest memory, and in a backup, new ones lie above all that were acknowledged.
// Commit times rise strictly, whatever the clock does: a clock that steps back is a control word
// that is ahead. Ids of spaces are not used again, and what was written into a dropped space
// conflicts. A snapshot's time is fixed.
#include "base/io.h"
#include "engine/engine.h"
#include "tests/lib/database.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHILDREN 3
#define COMMITS 20
#define PUTS 30 // in each commit: a child needs three leases
#define HOUR_US INT64_C(3600000000)

static memdb_t *open_at(const char *path) {
    memdb_options_t options = {.size = sizeof options, .no_background = true};
    memdb_t *db = NULL;
    memdb_error_t error = {0};
    if (memdb_open(path, &options, &db, &error)) {
        fprintf(stderr, "%s\n", error.message);
    }
    return db;
}

/// Put `count` new memories in one transaction.
static memdb_status_t put_new(memdb_t *db, memdb_space_t space, size_t count, uint64_t *ids_out) {
    memdb_txn_t *txn;
    memdb_memory_t memory = {
        .size = sizeof memory, .fields = MEMDB_FIELD_TEXT, .text = text("new")};
    memdb_status_t status = memdb_txn_begin(db, &txn);
    if (status) {
        return status;
    }
    for (size_t i = 0; i < count; i++) {
        status = memdb_put(txn, space, &memory, &ids_out[i]);
        if (status) {
            memdb_txn_abort(txn);
            return status;
        }
    }
    return memdb_txn_commit(txn, MEMDB_DURABILITY_OS, NULL);
}

static uint64_t put_one(memdb_t *db, memdb_space_t space) {
    uint64_t id = 0;
    must(db, put_new(db, space, 1, &id));
    return id;
}

static void forget(memdb_t *db, memdb_space_t space, uint64_t id) {
    memdb_txn_t *txn;
    must(db, memdb_txn_begin(db, &txn));
    must(db, memdb_forget(txn, space, id));
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_DEFAULT, NULL));
}

// ------------------------------------------------------------------------------ ids of memories

static int by_id(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/// Ids of one handle rise; together they are unique.
static void check_ids(uint64_t *ids, size_t handles, size_t per_handle) {
    for (size_t i = 0; i < handles * per_handle; i++) {
        assert_true(ids[i] != 0);
        assert_true(i % per_handle == 0 || ids[i] > ids[i - 1]);
    }
    qsort(ids, handles * per_handle, sizeof *ids, by_id);
    for (size_t i = 1; i < handles * per_handle; i++) {
        assert_true(ids[i] > ids[i - 1]);
    }
}

static void test_ids_of_two_handles_rise_and_are_unique(void **state) {
    fixture_t *fixture = *state;
    memdb_t *other = open_at(fixture->path);
    memdb_space_t space = space_of(fixture->db, "main");
    static uint64_t ids[2 * COMMITS * PUTS];
    for (size_t i = 0; i < COMMITS; i++) {
        must(fixture->db, put_new(fixture->db, space, PUTS, ids + i * PUTS));
        must(other, put_new(other, space, PUTS, ids + (COMMITS + i) * PUTS));
    }
    check_ids(ids, 2, COMMITS * PUTS);
    must(other, memdb_close(other));
}

static void test_ids_of_processes_rise_and_are_unique(void **state) {
    fixture_t *fixture = *state;
    const size_t each = COMMITS * PUTS;
    memdb_space_t space = space_of(fixture->db, "main");
    uint64_t *ids = mmap(NULL, CHILDREN * each * sizeof *ids, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t children[CHILDREN];
    assert_true(ids != MAP_FAILED);
    fixture_close(fixture); // forked while nothing is open here
    for (size_t number = 0; number < CHILDREN; number++) {
        children[number] = fork();
        assert_true(children[number] >= 0);
        if (children[number] == 0) {
            memdb_t *db = open_at(fixture->path);
            for (size_t i = 0; db && i < COMMITS; i++) {
                if (put_new(db, space, PUTS, ids + number * each + i * PUTS)) {
                    _exit(2);
                }
            }
            _exit(db && memdb_close(db) == MEMDB_OK ? 0 : 1);
        }
    }
    for (size_t number = 0; number < CHILDREN; number++) {
        int ended;
        assert_int_equal(waitpid(children[number], &ended, 0), children[number]);
        assert_true(WIFEXITED(ended) && WEXITSTATUS(ended) == 0);
    }
    check_ids(ids, CHILDREN, each);
    fixture_open(fixture, (memdb_options_t){.no_background = true});
    assert_true(put_one(fixture->db, space) > ids[CHILDREN * each - 1]); // they are sorted now
    munmap(ids, CHILDREN * each * sizeof *ids);
}

/// What a database gives first after it was left as it is now, by a kill.
static void check_after_kill(const fixture_t *fixture, memdb_space_t space, uint64_t last) {
    char path[256];
    fixture_copy(fixture, "-killed", path);
    memdb_t *db = open_at(path);
    assert_non_null(db);
    assert_true(put_one(db, space) > last);
    must(db, memdb_close(db));
}

static void test_ids_are_not_reused_after_a_kill(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space = space_of(fixture->db, "main");
    uint64_t last = 0;
    for (int i = 0; i < 3; i++) {
        static uint64_t ids[MEMDB__LEASE];
        must(fixture->db, put_new(fixture->db, space, MEMDB__LEASE, ids)); // into the next lease
        last = ids[MEMDB__LEASE - 1];
        check_after_kill(fixture, space, last);
        must(fixture->db, memdb_checkpoint(fixture->db));
        check_after_kill(fixture, space, last);
        last = put_one(fixture->db, space); // the base is below it
        check_after_kill(fixture, space, last);
    }
}

static void test_the_id_of_a_forgotten_memory_is_not_reused(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space = space_of(fixture->db, "main");
    uint64_t last = 0;
    for (int checkpoints = 0; checkpoints < 4; checkpoints++) {
        uint64_t id = put_one(fixture->db, space);
        assert_true(id > last);
        forget(fixture->db, space, id);
        for (int i = 0; i < checkpoints; i++) {
            must(fixture->db, memdb_checkpoint(fixture->db));
        }
        check_after_kill(fixture, space, id);
        fixture_close(fixture);
        fixture_open(fixture, (memdb_options_t){.no_background = true});
        last = id;
    }
    assert_true(put_one(fixture->db, space) > last);
}

static void test_ids_in_a_backup_lie_above_those_of_its_origin(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space = space_of(fixture->db, "main");
    space_of(fixture->db, "newest space");
    uint64_t last = put_one(fixture->db, space);
    forget(fixture->db, space, last);
    char path[256];
    snprintf(path, sizeof path, "%.200s-backup", fixture->path);
    must(fixture->db, memdb_backup(fixture->db, path, NULL, NULL));
    memdb_t *backup = open_at(path);
    assert_non_null(backup);
    assert_true(put_one(backup, space) > last);
    assert_true(space_of(backup, "another") > space_of(fixture->db, "newest space"));
    must(backup, memdb_close(backup));
}

// ------------------------------------------------------------------------------ commit times

typedef struct times {
    int64_t last;
    uint64_t frames;
} times_t;

static memdb_status_t check_time(void *context, const memdb__frame_t *frame, memdb_error_t *error) {
    times_t *times = context;
    (void)error;
    assert_true(frame->commit_time > times->last);
    times->last = frame->commit_time;
    times->frames++;
    return MEMDB_OK;
}

/// The time of the newest commit above the base; all of them rise strictly from `least` on.
static int64_t newest_time(memdb_t *db, int64_t least, uint64_t frames) {
    memdb__wal_options_t options = {0};
    memdb_error_t error = {0};
    times_t times = {.last = least};
    uint64_t end;
    memcpy(options.database_id, db->database_id, 16);
    uint64_t applied = atomic_load_explicit(&db->control->applied, memory_order_acquire);
    memdb_status_t status =
        memdb__wal_scan(db->directory, &options, applied, check_time, &times, &end, &error);
    if (status) {
        fail_msg("%s", error.message);
    }
    assert_int_equal(times.frames, frames);
    return times.last;
}

static void test_commit_times_rise_though_the_clock_steps_back(void **state) {
    fixture_t *fixture = *state;
    memdb_t *other = open_at(fixture->path);
    int64_t before = memdb__now_us() - HOUR_US;
    memdb_space_t space = space_of(fixture->db, "main");
    int64_t first = newest_time(fixture->db, before, 1);
    assert_true(first >= before + HOUR_US); // the clock's own time, as long as it rises
    // As if the last commit had been made when the clock was an hour ahead.
    int64_t ahead = memdb__now_us() + HOUR_US;
    atomic_store_explicit(&fixture->db->control->last_commit_time, ahead, memory_order_release);
    for (int i = 0; i < 10; i++) {
        put_one(i % 2 ? other : fixture->db, space);
    }
    assert_int_equal(newest_time(fixture->db, before, 11), ahead + 10);
    must(other, memdb_close(other));

    fixture_close(fixture); // from the log
    fixture_open(fixture, (memdb_options_t){.no_background = true});
    put_one(fixture->db, space);
    assert_int_equal(newest_time(fixture->db, before, 12), ahead + 11);
    must(fixture->db, memdb_checkpoint(fixture->db)); // itself a commit, of the seal
    fixture_close(fixture);                           // from the catalog: the log is empty
    fixture_open(fixture, (memdb_options_t){.no_background = true});
    put_one(fixture->db, space);
    assert_int_equal(newest_time(fixture->db, ahead + 12, 1), ahead + 13);
    char path[256];
    fixture_copy(fixture, "-killed", path);
    memdb_t *copy = open_at(path);
    assert_non_null(copy);
    put_one(copy, space);
    assert_int_equal(newest_time(copy, ahead + 12, 2), ahead + 14);
    must(copy, memdb_close(copy));
}

static void test_a_snapshots_time_is_fixed(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space = space_of(fixture->db, "main");
    memdb_memory_t memory = {.size = sizeof memory,
                             .fields = MEMDB_FIELD_KEY | MEMDB_FIELD_TEXT | MEMDB_FIELD_EXPIRES,
                             .key = text("short-lived"),
                             .text = text("an apple")};
    memdb_query_t query = {.size = sizeof query,
                           .spaces = &space,
                           .space_count = 1,
                           .text = text("apple"),
                           .mode = MEMDB_RECALL_WORDS};
    memdb_snapshot_t *snapshot = NULL;
    for (int64_t life = 50000; !snapshot; life *= 2) { // until a snapshot is begun in time
        memdb_txn_t *txn;
        memory.expires = memdb__now_us() + life;
        must(fixture->db, memdb_txn_begin(fixture->db, &txn));
        must(fixture->db, memdb_put(txn, space, &memory, NULL));
        must(fixture->db, memdb_txn_commit(txn, MEMDB_DURABILITY_DEFAULT, NULL));
        must(fixture->db, memdb_snapshot_begin(fixture->db, NULL, &snapshot));
        if (memdb_snapshot_time(snapshot) >= memory.expires) {
            memdb_snapshot_end(snapshot);
            snapshot = NULL;
        }
    }
    int64_t time = memdb_snapshot_time(snapshot);
    while (memdb__now_us() <= memory.expires) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    for (size_t found = 2; found-- > 0;) { // in the old snapshot, then in a new one
        memdb_result_t *result;
        must(fixture->db, memdb_recall(snapshot, &query, &result));
        assert_int_equal(memdb_result_count(result), found);
        memdb_result_free(result);
        assert_true((memdb_snapshot_time(snapshot) == time) == (found == 1));
        memdb_snapshot_end(snapshot);
        if (found) {
            must(fixture->db, memdb_snapshot_begin(fixture->db, NULL, &snapshot));
        }
    }
}

// ------------------------------------------------------------------------------ spaces

static void drop(memdb_t *db, const char *name) {
    memdb_txn_t *txn;
    must(db, memdb_txn_begin(db, &txn));
    must(db, memdb_space_drop(txn, text(name)));
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_DEFAULT, NULL));
}

static void test_the_id_of_a_dropped_space_is_not_reused(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t last = 0;
    for (int round = 0; round < 8; round++) {
        memdb_space_t space = space_of(fixture->db, "main");
        assert_true(space > last);
        put_one(fixture->db, space);
        drop(fixture->db, "main");
        last = space;
        for (int i = 0; i < round / 2; i++) {
            must(fixture->db, memdb_checkpoint(fixture->db));
        }
        char path[256];
        fixture_copy(fixture, "-killed", path);
        memdb_t *killed = open_at(path);
        assert_non_null(killed);
        assert_true(space_of(killed, "main") > last);
        must(killed, memdb_close(killed));
        if (round % 2) {
            fixture_close(fixture);
            fixture_open(fixture, (memdb_options_t){.no_background = true});
        }
    }
}

/// One way to write into a space in which memories 0 and 1 of `ids` are linked.
static void write_into(memdb_txn_t *txn, memdb_space_t space, int way, const uint64_t ids[2]) {
    memdb_t *db = txn->snapshot.db;
    memdb_memory_t memory = {.size = sizeof memory, .fields = MEMDB_FIELD_TEXT, .text = text("w")};
    static const float vector[2] = {1, 0};
    memdb_link_t link = {.size = sizeof link,
                         .space = space,
                         .from = ids[1],
                         .to = ids[0],
                         .weight = 1,
                         .valid_from = MEMDB_TIME_NONE,
                         .valid_to = MEMDB_TIME_NONE};
    memory.id = way == 1 ? ids[0] : 0;
    if (way == 2) {
        memory.fields |= MEMDB_FIELD_VECTOR; // the first of the space
        memory.vector = vector;
        memory.dimension = 2;
    }
    if (way <= 2) {
        must(db, memdb_put(txn, space, &memory, NULL));
    } else if (way == 3) {
        must(db, memdb_forget(txn, space, ids[0]));
    } else if (way == 4) {
        must(db, memdb_put_link(txn, &link));
    } else {
        must(db, memdb_remove_link(txn, space, ids[0], ids[1], text("")));
    }
}

static void test_a_commit_into_a_space_that_was_dropped_conflicts(void **state) {
    fixture_t *fixture = *state;
    memdb_t *other = open_at(fixture->path);
    for (int round = 0; round < 6 * 6; round++) {
        int way = round % 6, checkpoints = round / 6 / 2;
        bool again = round / 6 % 2; // there is a space of the same name when it commits
        uint64_t ids[2];
        memdb_txn_t *txn;
        memdb_space_t space = space_of(fixture->db, "main");
        memdb_link_t link = {.size = sizeof link, .space = space, .weight = 1};
        link.valid_from = link.valid_to = MEMDB_TIME_NONE;
        must(fixture->db, put_new(fixture->db, space, 2, ids));
        link.from = ids[0];
        link.to = ids[1];
        must(fixture->db, memdb_txn_begin(fixture->db, &txn));
        must(fixture->db, memdb_put_link(txn, &link));
        must(fixture->db, memdb_txn_commit(txn, MEMDB_DURABILITY_DEFAULT, NULL));

        must(fixture->db, memdb_txn_begin(fixture->db, &txn));
        write_into(txn, space, way, ids);
        drop(other, "main");
        assert_true(!again || space_of(other, "main") > space);
        for (int i = 0; i < checkpoints; i++) {
            must(other, memdb_checkpoint(other));
        }
        memdb_status_t status = memdb_txn_commit(txn, MEMDB_DURABILITY_DEFAULT, NULL);
        if (status != MEMDB_CONFLICT) {
            fail_msg("round %d: %s", round, memdb_status_name(status));
        }
        if (again) {
            drop(other, "main");
        }
    }
    must(fixture->db, memdb_verify(fixture->db, NULL, NULL));
    must(other, memdb_close(other));
}

#define RULE_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        RULE_TEST(test_ids_of_two_handles_rise_and_are_unique),
        RULE_TEST(test_ids_of_processes_rise_and_are_unique),
        RULE_TEST(test_ids_are_not_reused_after_a_kill),
        RULE_TEST(test_the_id_of_a_forgotten_memory_is_not_reused),
        RULE_TEST(test_ids_in_a_backup_lie_above_those_of_its_origin),
        RULE_TEST(test_commit_times_rise_though_the_clock_steps_back),
        RULE_TEST(test_a_snapshots_time_is_fixed),
        RULE_TEST(test_the_id_of_a_dropped_space_is_not_reused),
        RULE_TEST(test_a_commit_into_a_space_that_was_dropped_conflicts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
