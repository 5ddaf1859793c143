// Failures at awkward moments: the log's write that fails in the midst of a batch fails every
// commit that it carried; and who opens while another opening fails is not misled by the control
// file of an earlier life.
//
// The I/O table holds one write of the log until the batch behind it is complete, and fails the
// next one; or it fails the opening's last step and stops the clean-up half-way.
#include "base/io.h"
#include "engine/engine.h"
#include "tests/lib/database.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LARGE (30u << 20) // two of them nearly fill a segment of the log, three do not fit

static memdb__io_table_t table;

static void pause_ms(long ms) {
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

static bool descriptor_is(int fd, const char *ending) {
    char link[64], path[512];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path);
    size_t length = strlen(ending);
    return size >= (ssize_t)length && memcmp(path + size - length, ending, length) == 0;
}

static int install(void **state) {
    table = memdb__io_real;
    memdb__io_install(&table);
    return fixture_setup(state);
}

static int restore(void **state) {
    int result = fixture_teardown(state);
    memdb__io_install(NULL);
    return result;
}

// ------------------------------------------------------------------------------ a failed write

static _Atomic int
    phase; // 1: hold the next write of the log; 2: it waits; 3: go on, the next fails

static ssize_t held_write(int fd, const void *buffer, size_t size, off_t offset) {
    if (!descriptor_is(fd, ".log")) {
        return memdb__io_real.pwrite(fd, buffer, size, offset);
    }
    int expected = 1;
    if (atomic_compare_exchange_strong(&phase, &expected, 2)) {
        while (atomic_load(&phase) == 2) {
            pause_ms(1);
        }
    } else if (expected == 3) {
        errno = EIO;
        return -1;
    }
    return memdb__io_real.pwrite(fd, buffer, size, offset);
}

typedef struct put {
    memdb_t *db;
    memdb_space_t space;
    size_t texts, bytes;
    memdb_status_t status;
} put_t;

static void *put_and_commit(void *context) {
    put_t *put = context;
    memdb_txn_t *txn;
    char *blanks = malloc(put->bytes); // no words: nothing but bytes for the log
    memset(blanks, ' ', put->bytes);
    memdb_memory_t memory = {
        .size = sizeof memory, .fields = MEMDB_FIELD_TEXT, .text = {blanks, put->bytes}};
    put->status = memdb_txn_begin(put->db, &txn);
    for (size_t i = 0; !put->status && i < put->texts; i++) {
        put->status = memdb_put(txn, put->space, &memory, NULL);
    }
    put->status = put->status ? put->status : memdb_txn_commit(txn, MEMDB_DURABILITY_OS, NULL);
    free(blanks);
    return NULL;
}

/// Start a commit and wait until it is in the queue behind `before`.
static memdb__request_t *start(pthread_t *thread, put_t *put, const memdb__request_t *before) {
    memdb__request_t *last = NULL;
    assert_int_equal(pthread_create(thread, NULL, put_and_commit, put), 0);
    do {
        pause_ms(1);
        pthread_mutex_lock(&put->db->queue);
        last = put->db->last_request;
        pthread_mutex_unlock(&put->db->queue);
    } while (last == before || !last);
    return last;
}

static void test_commits_whose_batch_was_not_written_are_told(void **state) {
    fixture_t *fixture = *state;
    fixture_close(fixture);
    size_t size = strlen(fixture->path); // a new database, whose durability is `os`
    snprintf(fixture->path + size, sizeof fixture->path - size, "-os");
    fixture_open(fixture, (memdb_options_t){.no_background = true,
                                            .durability = MEMDB_DURABILITY_OS,
                                            .checkpoint_log_bytes = 512u << 20});
    memdb_t *db = fixture->db;
    memdb_space_t space = space_of(db, "main");
    put_t fill = {db, space, 2, LARGE, MEMDB_OK};
    put_and_commit(&fill);
    assert_int_equal(fill.status, MEMDB_OK);
    put_t first = {db, space, 1, 10, MEMDB_OK}, small = first, large = {db, space, 1, LARGE, 0};
    pthread_t threads[3];
    put_and_commit(&first); // fills the file ahead: the next writes are those of batches alone
    assert_int_equal(first.status, MEMDB_OK);
    table.pwrite = held_write;
    atomic_store(&phase, 1);
    assert_int_equal(pthread_create(&threads[0], NULL, put_and_commit, &first), 0);
    while (atomic_load(&phase) != 2) {
        pause_ms(1);
    }
    // `small` has its place in a batch when `large` finds the segment full and has it written.
    memdb__request_t *request = start(&threads[1], &small, NULL);
    start(&threads[2], &large, request);
    atomic_store(&phase, 3);
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    atomic_store(&phase, 0);
    assert_int_equal(first.status, MEMDB_OK);
    assert_int_equal(large.status, MEMDB_IO);
    assert_int_equal(small.status, MEMDB_IO); // it is in no file
    put_t after = {db, space, 1, 10, MEMDB_OK};
    put_and_commit(&after);
    assert_int_equal(after.status, MEMDB_FAILED);
}

// ------------------------------------------------------------------------------ a failed opening

static int go_pipe[2];
static bool rename_fails, tells_child;

/// The control file is put in place last of all: by then the log has a new segment.
static int failing_rename(int from_directory, const char *from, int to_directory, const char *to) {
    if (rename_fails && strcmp(to, "control") == 0) {
        rename_fails = false;
        tells_child = true;
        errno = EIO;
        return -1;
    }
    return memdb__io_real.rename_at(from_directory, from, to_directory, to);
}

/// In the clean-up of the failed opening, between the gate's release and the last descriptor.
static int slow_close(int fd) {
    if (tells_child && descriptor_is(fd, "/segments")) {
        tells_child = false;
        assert_int_equal(write(go_pipe[1], "g", 1), 1);
        pause_ms(300); // time for the other one to look; nothing is expected of it
    }
    return memdb__io_real.close(fd);
}

static void open_and_put(const char *path, memdb_space_t space) {
    char byte;
    memdb_error_t error = {0};
    memdb_options_t options = {.size = sizeof options, .no_background = true};
    memdb_t *db = NULL;
    if (read(go_pipe[0], &byte, 1) != 1 || memdb_open(path, &options, &db, &error)) {
        fprintf(stderr, "child: %s\n", error.message);
        _exit(1);
    }
    put_text(db, space, "acknowledged", "kept");
    _exit(memdb_close(db) != MEMDB_OK);
}

static void test_opening_beside_a_failing_one_trusts_no_old_control(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space = space_of(fixture->db, "main");
    put_text(fixture->db, space, "before", "before");
    fixture_close(fixture);
    assert_int_equal(pipe(go_pipe), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        open_and_put(fixture->path, space);
    }
    table.rename_at = failing_rename;
    table.close = slow_close;
    rename_fails = true;
    memdb_options_t options = {.size = sizeof options};
    memdb_error_t error = {0};
    assert_int_equal(memdb_open(fixture->path, &options, &fixture->db, &error), MEMDB_IO);
    int ended;
    assert_int_equal(waitpid(child, &ended, 0), child);
    assert_int_equal(ended, 0);
    fixture_open(fixture, (memdb_options_t){0});
    assert_string_equal(get_text(fixture->db, space, "before"), "before");
    const char *kept = get_text(fixture->db, space, "acknowledged");
    assert_non_null(kept);
    assert_string_equal(kept, "kept");
    close(go_pipe[0]);
    close(go_pipe[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_commits_whose_batch_was_not_written_are_told, install,
                                        restore),
        cmocka_unit_test_setup_teardown(test_opening_beside_a_failing_one_trusts_no_old_control,
                                        install, restore),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
