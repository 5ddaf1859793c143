// Processes: a writer that is killed at a random moment loses nothing that it acknowledged, and
// hinders nobody; processes that count together lose no increment; a handle in a forked child is of
// no use, harms nothing and keeps nobody out; another pid namespace is refused. Children write what
// they were told into a pipe. The seed (MEMDB_SEED) chooses the moments.
#include "tests/lib/database.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 10
#define CHILDREN 2
#define INCREMENTS 60

static uint64_t random_state;

static uint32_t draw(uint32_t below) {
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(random_state >> 33) % below;
}

static void pause_ms(uint32_t ms) {
    struct timespec time = {.tv_nsec = (long)ms * 1000000};
    nanosleep(&time, NULL);
}

static memdb_t *open_here(const char *path) {
    // With so little log a checkpoint, half of the processes leave merging to merges of their own.
    memdb_options_t options = {.size = sizeof options,
                               .no_background = true,
                               .checkpoint_log_bytes = getpid() % 2 ? 4096 : 0};
    memdb_t *db = NULL;
    memdb_error_t error = {0};
    if (memdb_open(path, &options, &db, &error)) {
        fprintf(stderr, "%s\n", error.message);
    }
    return db;
}

static memdb_status_t put_number(memdb_t *db, memdb_space_t space, const char *key, uint32_t number,
                                 memdb_durability_t durability) {
    memdb_txn_t *txn;
    memdb_memory_t memory = {.size = sizeof memory,
                             .fields = MEMDB_FIELD_KEY | MEMDB_FIELD_TOKENS | MEMDB_FIELD_TEXT,
                             .key = text(key),
                             .tokens = number,
                             .text = text("some words")};
    memdb_status_t status = memdb_txn_begin(db, &txn);
    if (status) {
        return status;
    }
    status = memdb_put(txn, space, &memory, NULL);
    if (status) {
        memdb_txn_abort(txn);
        return status;
    }
    return memdb_txn_commit(txn, durability, NULL);
}

static uint32_t get_number(memdb_t *db, memdb_space_t space, const char *key) {
    memdb_snapshot_t *snapshot;
    memdb_memory_t memory = {0};
    must(db, memdb_snapshot_begin(db, NULL, &snapshot));
    memdb_status_t status = memdb_get_by_key(snapshot, space, text(key), &memory);
    memdb_snapshot_end(snapshot);
    assert_true(status == MEMDB_OK || status == MEMDB_NOT_FOUND);
    return status ? 0 : memory.tokens;
}

// ------------------------------------------------------------------------------ killed writers

/// A child: keys "<number>-<i>", and the last of them under "<number>"; tells each acknowledged i.
static void write_until_killed(const char *path, memdb_space_t space, int number, uint32_t from,
                               int pipe_end) {
    memdb_t *db = open_here(path);
    char key[32], last[32];
    snprintf(last, sizeof last, "%d", number);
    for (uint32_t i = from + 1; db; i++) {
        snprintf(key, sizeof key, "%d-%u", number, i);
        memdb_durability_t durability = i % 3 ? MEMDB_DURABILITY_OS : MEMDB_DURABILITY_FULL;
        if (put_number(db, space, key, i, durability) ||
            put_number(db, space, last, i, durability) || (i % 25 == 0 && memdb_checkpoint(db)) ||
            write(pipe_end, &i, sizeof i) != sizeof i) {
            char message[512];
            memdb_last_error(db, message, sizeof message);
            fprintf(stderr, "child: %s\n", message);
            break;
        }
    }
    _exit(1);
}

typedef struct child {
    pid_t pid;
    int pipe_end;
    uint32_t acknowledged;
} child_t;

static void start_child(child_t *child, const char *path, memdb_space_t space, int number) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    child->pid = fork();
    assert_true(child->pid >= 0);
    if (child->pid == 0) {
        close(ends[0]);
        write_until_killed(path, space, number, child->acknowledged, ends[1]);
    }
    close(ends[1]);
    child->pipe_end = ends[0];
}

static void kill_child(child_t *child) {
    int ended;
    uint32_t number;
    kill(child->pid, SIGKILL);
    while (read(child->pipe_end, &number, sizeof number) == sizeof number) {
        child->acknowledged = number;
    }
    close(child->pipe_end);
    assert_int_equal(waitpid(child->pid, &ended, 0), child->pid);
    assert_true(WIFSIGNALED(ended)); // it did not stop by itself
}

static void check_child(memdb_t *db, memdb_space_t space, child_t *child, int number) {
    char key[32];
    snprintf(key, sizeof key, "%d", number);
    uint32_t last = get_number(db, space, key);
    assert_true(last >= child->acknowledged && last <= child->acknowledged + 1);
    for (uint32_t i = 1; i <= child->acknowledged; i++) {
        snprintf(key, sizeof key, "%d-%u", number, i);
        assert_int_equal(get_number(db, space, key), i);
    }
    child->acknowledged = last; // the next one goes on there
}

/// beside: the parent has the database open, and goes on beside the dead.
static void kill_writers(fixture_t *fixture, bool beside) {
    child_t children[CHILDREN] = {0};
    memdb_space_t space = space_of(fixture->db, "main");
    uint32_t written = 0;
    fixture_close(fixture);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < CHILDREN; i++) { // forked while nothing is open here
            start_child(&children[i], fixture->path, space, i);
        }
        memdb_t *db = beside ? open_here(fixture->path) : NULL;
        uint32_t wait = 10 + draw(60);
        for (uint32_t at = 0; at < wait; at += 5) {
            pause_ms(5);
            if (beside) {
                must(db, put_number(db, space, "mine", ++written, MEMDB_DURABILITY_FULL));
            }
        }
        kill_child(&children[0]);
        if (beside) {
            must(db, put_number(db, space, "mine", ++written, MEMDB_DURABILITY_FULL));
        }
        kill_child(&children[1]);
        db = db ? db : open_here(fixture->path);
        assert_non_null(db);
        for (int i = 0; i < CHILDREN; i++) {
            check_child(db, space, &children[i], i);
        }
        assert_int_equal(get_number(db, space, "mine"), written);
        must(db, put_number(db, space, "mine", ++written, MEMDB_DURABILITY_FULL));
        must(db, memdb_verify(db, NULL, NULL));
        must(db, memdb_close(db));
    }
    printf("acknowledged %u and %u\n", children[0].acknowledged, children[1].acknowledged);
    fixture_open(fixture, (memdb_options_t){.no_background = true});
}

static void test_killed_writers_lose_nothing_acknowledged(void **state) {
    kill_writers(*state, false);
}

static void test_killed_writers_hinder_nobody(void **state) {
    kill_writers(*state, true);
}

// ------------------------------------------------------------------------------ counting together

static void count_up(const char *path, memdb_space_t space) {
    memdb_t *db = open_here(path);
    for (int done = 0; db && done < INCREMENTS;) {
        memdb_txn_t *txn;
        memdb_memory_t memory = {0};
        if (memdb_txn_begin(db, &txn)) {
            _exit(2);
        }
        memdb_status_t status =
            memdb_get_by_key(memdb_txn_snapshot(txn), space, text("counter"), &memory);
        memdb_memory_t next = {.size = sizeof next,
                               .fields = MEMDB_FIELD_KEY | MEMDB_FIELD_TOKENS,
                               .key = text("counter"),
                               .tokens = status ? 1 : memory.tokens + 1};
        if ((status && status != MEMDB_NOT_FOUND) || memdb_put(txn, space, &next, NULL)) {
            _exit(3);
        }
        status =
            memdb_txn_commit(txn, done % 2 ? MEMDB_DURABILITY_FULL : MEMDB_DURABILITY_OS, NULL);
        if (status && status != MEMDB_CONFLICT) {
            _exit(4);
        }
        done += status == MEMDB_OK;
        if (done % 16 == 9 && memdb_checkpoint(db)) {
            _exit(5);
        }
    }
    _exit(db && memdb_close(db) == MEMDB_OK ? 0 : 1);
}

static void test_processes_that_count_lose_no_increment(void **state) {
    fixture_t *fixture = *state;
    pid_t children[3];
    memdb_space_t space = space_of(fixture->db, "main");
    fixture_close(fixture);
    for (int i = 0; i < 3; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            count_up(fixture->path, space);
        }
    }
    for (int i = 0; i < 3; i++) {
        int ended;
        assert_int_equal(waitpid(children[i], &ended, 0), children[i]);
        assert_true(WIFEXITED(ended));
        assert_int_equal(WEXITSTATUS(ended), 0);
    }
    fixture_open(fixture, (memdb_options_t){.no_background = true});
    assert_int_equal(get_number(fixture->db, space, "counter"), 3 * INCREMENTS);
    must(fixture->db, memdb_verify(fixture->db, NULL, NULL));
}

// ------------------------------------------------------------------------------ forked handles

typedef struct inherited {
    memdb_t *db;
    memdb_space_t space;
    memdb_snapshot_t *snapshot;
    memdb_txn_t *txn;
    memdb_cursor_t *cursor;
    const char *path;
} inherited_t;

/// What the child finds; 0: all as it must be, else the line.
static int use_inherited(inherited_t *in) {
    memdb_snapshot_t *snapshot;
    memdb_txn_t *txn;
    memdb_memory_t memory = {
        .size = sizeof memory, .fields = MEMDB_FIELD_TEXT, .text = text("child")};
    memdb_stats_t stats;
    memdb_space_t space;
    char message[256];
#define EXPECT(call)                                                                               \
    if ((call) != MEMDB_FORKED) {                                                                  \
        return __LINE__;                                                                           \
    }
    EXPECT(memdb_snapshot_begin(in->db, NULL, &snapshot))
    EXPECT(memdb_txn_begin(in->db, &txn))
    EXPECT(memdb_get_by_key(in->snapshot, in->space, text("k"), &memory))
    EXPECT(memdb_cursor_next(in->cursor, &memory))
    memory =
        (memdb_memory_t){.size = sizeof memory, .fields = MEMDB_FIELD_TEXT, .text = text("child")};
    EXPECT(memdb_put(in->txn, in->space, &memory, NULL))
    EXPECT(memdb_space_ensure(in->txn, text("child"), &space))
    EXPECT(memdb_checkpoint(in->db))
    EXPECT(memdb_sync(in->db))
    EXPECT(memdb_verify(in->db, NULL, NULL))
    EXPECT(memdb_get_stats(in->db, &stats))
    EXPECT(memdb_backup(in->db, "/nonexistent", NULL, NULL))
    EXPECT(memdb_txn_commit(in->txn, MEMDB_DURABILITY_DEFAULT, NULL))
    if (memdb_last_error(in->db, message, sizeof message) == 0) {
        return __LINE__;
    }
    memdb_cursor_close(in->cursor);
    memdb_snapshot_end(in->snapshot);
    if (memdb_close(in->db) != MEMDB_OK) {
        return __LINE__;
    }
    memdb_t *own = open_here(in->path); // a handle of its own is fine
    if (!own || put_number(own, in->space, "child", 7, MEMDB_DURABILITY_FULL) || memdb_close(own)) {
        return __LINE__;
    }
    return 0;
}

static void note_recovery(void *context, memdb_status_t severity, const char *message) {
    (void)severity;
    *(bool *)context |= strncmp(message, "recovered", 9) == 0;
}

static void test_a_forked_child_cannot_use_the_handle_and_keeps_nobody_out(void **state) {
    fixture_t *fixture = *state;
    inherited_t in = {.db = fixture->db, .path = fixture->path};
    int ready[2], done[2], ended;
    char byte;
    in.space = space_of(fixture->db, "main");
    put_text(fixture->db, in.space, "k", "words");
    must(fixture->db, memdb_txn_begin(fixture->db, &in.txn));
    must(fixture->db, memdb_snapshot_begin(fixture->db, NULL, &in.snapshot));
    must(fixture->db, memdb_cursor_open(in.snapshot, in.space, NULL, &in.cursor));
    assert_int_equal(pipe(ready) | pipe(done), 0);
    pid_t child = fork();
    if (child == 0) {
        close(done[1]);
        int line = use_inherited(&in);
        byte = line == 0;
        fprintf(stderr, line ? "child: line %d\n" : "", line);
        _exit(write(ready[1], &byte, 1) == 1 && read(done[0], &byte, 1) == 0 && line == 0 ? 0 : 1);
    }
    close(done[0]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 1);
    assert_string_equal(get_text(fixture->db, in.space, "k"),
                        "words"); // nothing of the parent's was harmed
    put_text(fixture->db, in.space, "k", "more words");
    memdb_cursor_close(in.cursor);
    memdb_snapshot_end(in.snapshot);
    memdb_txn_abort(in.txn);
    fixture_close(fixture);
    bool recovered = false; // told by who is alone only; the child still lives
    fixture_open(fixture, (memdb_options_t){.log = note_recovery, .log_context = &recovered});
    assert_true(recovered);
    assert_string_equal(get_text(fixture->db, in.space, "k"), "more words");
    assert_int_equal(get_number(fixture->db, in.space, "child"), 7);
    close(done[1]);
    assert_int_equal(waitpid(child, &ended, 0), child);
    assert_true(WIFEXITED(ended));
    assert_int_equal(WEXITSTATUS(ended), 0);
    close(ready[0]);
    close(ready[1]);
}

/// In a pid namespace of its own: the opener's status as the exit status; 99: no such namespace is
/// to be had.
static int open_in_namespace(const char *path) {
    int ended;
    if (unshare(CLONE_NEWPID) != 0) {
        return 99;
    }
    pid_t inner = fork();
    if (inner == 0) {
        memdb_options_t options = {.size = sizeof options, .no_background = true};
        memdb_t *db;
        _exit((int)memdb_open(path, &options, &db, NULL));
    }
    return waitpid(inner, &ended, 0) == inner && WIFEXITED(ended) ? WEXITSTATUS(ended) : 98;
}

static int run_in_child(int (*work)(const char *path), const char *path) {
    int ended;
    pid_t child = fork();
    if (child == 0) {
        _exit(work(path));
    }
    assert_int_equal(waitpid(child, &ended, 0), child);
    assert_true(WIFEXITED(ended));
    return WEXITSTATUS(ended);
}

static void test_another_pid_namespace_is_refused_while_open(void **state) {
    fixture_t *fixture = *state;
    int status = run_in_child(open_in_namespace, fixture->path);
    if (status == 99) {
        print_message("skipped: no pid namespace may be made here\n");
        return;
    }
    assert_int_equal(status, MEMDB_UNSUPPORTED);
    put_text(fixture->db, space_of(fixture->db, "main"), "k", "goes on");
    fixture_close(fixture);
    assert_int_equal(run_in_child(open_in_namespace, fixture->path), MEMDB_OK); // alone, it may
    fixture_open(fixture, (memdb_options_t){0});
    assert_string_equal(get_text(fixture->db, space_of(fixture->db, "main"), "k"), "goes on");
}

int main(void) {
    const char *given = getenv("MEMDB_SEED");
    random_state = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
    printf("seed=%llu\n", (unsigned long long)random_state);
    signal(SIGPIPE, SIG_IGN);
    if (access("/dev/shm", W_OK) == 0) {
        setenv("TMPDIR", "/dev/shm",
               0); // more commits, and so more moments, than with a disk's syncs
    }
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_killed_writers_lose_nothing_acknowledged),
        TEST(test_killed_writers_hinder_nobody),
        TEST(test_processes_that_count_lose_no_increment),
        TEST(test_a_forked_child_cannot_use_the_handle_and_keeps_nobody_out),
        TEST(test_another_pid_namespace_is_refused_while_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
