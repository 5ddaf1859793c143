// The blob arena: what is written is read back, also by others; what is damaged is told; what fails
// leaves no trace.
#include "tests/unit/blob/blob_fixture.h"

#include <sys/wait.h>

static void test_blob_round_trip_of_many_sizes(void **state) {
    fixture_t *fixture = *state;
    static const uint64_t sizes[] = {0,      1,      7,      8,      63,    64,
                                     65,     4096,   65535,  65536,  65537, 131071,
                                     131072, 131073, 200000, 655360, 999999};
    enum { COUNT = 3 * sizeof sizes / sizeof *sizes };
    blob_t blobs[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        size_t step = 1 + next_random(&fixture->random) % 70000;
        blobs[i] = write_blob(fixture->blobs, sizes[i / 3], i, step < 5 ? 5 : step);
        expect_blob(fixture->blobs, &blobs[i], &fixture->random);
    }
    assert_ok(memdb__blobs_sync(fixture->blobs, error));
    for (int read_only = 0; read_only < 2; read_only++) {
        reopen(fixture, read_only);
        for (size_t i = 0; i < COUNT; i++)
            expect_blob(fixture->blobs, &blobs[i], &fixture->random);
    }
    memdb_error_t failure = {0};
    memdb__blob_stream_t *stream;
    assert_int_equal(memdb__blob_begin(fixture->blobs, &stream, &failure), MEMDB_READ_ONLY);
    uint64_t extents, bytes;
    assert_ok(memdb__blobs_stat(fixture->blobs, &extents, &bytes, error));
    assert_true(extents >= 1 && extents <= 2 && bytes > 5000000);
    char name[32];
    memdb__blob_file(blobs[0].reference, name);
    assert_int_equal(faccessat(fixture->directory, name, R_OK, 0), 0);
}

static void test_blob_read_outside_is_invalid(void **state) {
    fixture_t *fixture = *state;
    blob_t blob = write_blob(fixture->blobs, 1000, 1, 1000);
    memdb__blob_view_t *view;
    uint8_t buffer[1001];
    memdb_error_t failure = {0};
    assert_ok(memdb__blob_open(fixture->blobs, blob.reference, &view, NULL, error));
    assert_int_equal(memdb__blob_read(view, 0, buffer, 1001, &failure), MEMDB_INVALID);
    assert_int_equal(memdb__blob_read(view, UINT64_MAX, buffer, 2, &failure), MEMDB_INVALID);
    assert_ok(memdb__blob_read(view, 1000, buffer, 0, error));
    memdb__blob_close(view);
}

static void test_blob_extents_end_near_their_limit(void **state) {
    fixture_t *fixture = *state;
    blob_t blobs[5];
    uint64_t extents, bytes;
    for (int i = 0; i < 5; i++)
        blobs[i] = write_blob(fixture->blobs, 20 << 20, (uint64_t)i, 65536);
    assert_ok(memdb__blobs_stat(fixture->blobs, &extents, &bytes, error));
    assert_int_equal(extents, 2);
    assert_ok(memdb__blobs_sync(fixture->blobs, error));
    memdb__blobs_settle(fixture->blobs);
    for (int i = 0; i < 5; i++)
        expect_blob(fixture->blobs, &blobs[i], &fixture->random);
}

static void test_blob_abandoned_stream_leaves_nothing(void **state) {
    fixture_t *fixture = *state;
    uint8_t part[60000];
    uint64_t extents, before, after;
    blob_t kept = write_blob(fixture->blobs, 300000, 1, 60000);
    assert_ok(memdb__blobs_stat(fixture->blobs, &extents, &before, error));
    memset(part, 0xAB, sizeof part);
    for (int i = 0; i < 10; i++) {
        memdb__blob_stream_t *stream;
        assert_ok(memdb__blob_begin(fixture->blobs, &stream, error));
        for (int j = 0; j < i; j++)
            assert_ok(memdb__blob_append(stream, part, sizeof part, error));
        memdb__blob_abandon(stream);
    }
    assert_ok(memdb__blobs_stat(fixture->blobs, &extents, &after, error));
    assert_int_equal(before, after);
    expect_blob(fixture->blobs, &kept, &fixture->random);
    blob_t next = write_blob(fixture->blobs, 100000, 2, 60000);
    expect_blob(fixture->blobs, &next, &fixture->random);
}

typedef struct worker {
    memdb__blobs_t *blobs;
    uint64_t seed;
    blob_t blobs_written[40];
} worker_t;

static void *work(void *context) {
    worker_t *worker = context;
    uint64_t random = worker->seed;
    for (uint64_t i = 0; i < 40; i++) {
        uint64_t size = next_random(&random) % (i % 4 ? 3000 : 400000);
        worker->blobs_written[i] = write_blob(worker->blobs, size, worker->seed * 1000 + i, 50000);
        expect_blob(worker->blobs, &worker->blobs_written[next_random(&random) % (i + 1)], &random);
        if (i % 8 == 0)
            assert_ok(memdb__blobs_sync(worker->blobs, error));
        if (i % 16 == 0)
            memdb__blobs_settle(worker->blobs);
    }
    return NULL;
}

static void test_blob_concurrent_streams_and_readers(void **state) {
    fixture_t *fixture = *state;
    enum { THREADS = 4 };
    static worker_t workers[THREADS];
    pthread_t threads[THREADS];
    for (uint64_t i = 0; i < THREADS; i++) {
        workers[i].blobs = fixture->blobs;
        workers[i].seed = i + 1;
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS; i++)
        for (int j = 0; j < 40; j++)
            expect_blob(fixture->blobs, &workers[i].blobs_written[j], &fixture->random);
}

static void test_blob_another_handle_reads_a_growing_extent(void **state) {
    fixture_t *fixture = *state;
    memdb__blobs_t *reader;
    assert_ok(
        memdb__blobs_open(fixture->directory, DATABASE_ID, next_id, NULL, true, &reader, error));
    blob_t first = {0};
    for (uint64_t i = 0; i < 30; i++) {
        blob_t blob = write_blob(fixture->blobs, i * 20000, i, 65536);
        if (i == 0)
            first = blob;
        expect_blob(reader, &blob, &fixture->random);
        expect_blob(reader, &first, &fixture->random);
    }
    memdb__blobs_close(reader);
}

static void test_blob_lock_is_held_while_open(void **state) {
    fixture_t *fixture = *state;
    blob_t blob = write_blob(fixture->blobs, 10, 1, 10);
    char name[32];
    memdb__blob_file(blob.reference, name);
    for (int open_still = 1; open_still >= 0; open_still--) {
        int fd = openat(fixture->directory, name, O_RDWR);
        struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
        assert_int_equal(fcntl(fd, F_OFD_SETLK, &range), open_still ? -1 : 0);
        close(fd);
        if (open_still) {
            pid_t child = fork(); // a child that closes its copy does not end the lock
            if (child == 0) {
                memdb__blobs_close(fixture->blobs);
                _exit(0);
            }
            waitpid(child, NULL, 0);
            fd = openat(fixture->directory, name, O_RDWR);
            assert_int_equal(fcntl(fd, F_OFD_SETLK, &range), -1);
            close(fd);
            reopen(fixture, false);
        }
    }
}

static void test_blob_idle_extents_are_closed(void **state) {
    fixture_t *fixture = *state;
    enum { COUNT = MEMDB__BLOB_IDLE_EXTENTS + 20 };
    static blob_t blobs[COUNT];
    for (uint64_t i = 0; i < COUNT; i++) {
        reopen(fixture, false); // each a new extent
        blobs[i] = write_blob(fixture->blobs, 100 + i, i, 100);
    }
    reopen(fixture, true);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < COUNT; i++)
            expect_blob(fixture->blobs, &blobs[i], &fixture->random);
    assert_int_equal(fixture->blobs->idle, MEMDB__BLOB_IDLE_EXTENTS);
    memdb__blob_view_t *views[COUNT];
    for (int i = 0; i < COUNT; i++)
        assert_ok(memdb__blob_open(fixture->blobs, blobs[i].reference, &views[i], NULL, error));
    assert_int_equal(fixture->blobs->idle, 0);
    for (int i = 0; i < COUNT; i++)
        memdb__blob_close(views[i]);
    assert_int_equal(fixture->blobs->idle, MEMDB__BLOB_IDLE_EXTENTS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_blob_round_trip_of_many_sizes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_blob_read_outside_is_invalid, setup, teardown),
        cmocka_unit_test_setup_teardown(test_blob_extents_end_near_their_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_blob_abandoned_stream_leaves_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_blob_concurrent_streams_and_readers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_blob_another_handle_reads_a_growing_extent, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_blob_lock_is_held_while_open, setup, teardown),
        cmocka_unit_test_setup_teardown(test_blob_idle_extents_are_closed, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
