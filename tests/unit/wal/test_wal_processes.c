// Goal: a process that is killed anywhere while it holds the writer mutex harms no other; what was
// acknowledged stays. Method: children are forked before they map anything; a faulty I/O table
// kills them at the n-th call. Shared memory counts what they were told. Threads of one process do
// the same work side by side for the thread sanitizer.
#include "base/memory.h"
#include "tests/unit/wal/wal_fixture.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/// What children tell their parent.
typedef struct told {
    _Atomic uint64_t written; // frames that a write returned for
    _Atomic uint64_t synced;
    _Atomic int stop;
} told_t;

static told_t *share(void) {
    void *at =
        mmap(NULL, sizeof(told_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(at != MAP_FAILED);
    return at;
}

/// The handle of another process: only the directory descriptors are inherited.
static void child_attach(fixture_t *child, const fixture_t *parent) {
    *child =
        (fixture_t){.options = parent->options, .directory = parent->directory, .log = parent->log};
    if (memdb__control_map(child->directory, child->options.database_id, &child->control,
                           &child->error) != MEMDB_OK ||
        memdb__wal_open(child->directory, &child->options, child->control, &child->wal,
                        &child->error) != MEMDB_OK) {
        _exit(3);
    }
}

/// Say why, and end with `code`.
static void child_quit(const fixture_t *child, int code) {
    fprintf(stderr, "child: %s\n", child->error.message);
    _exit(code);
}

static void child_append(fixture_t *child, uint64_t first, uint64_t count, uint64_t batch,
                         told_t *told) {
    static uint8_t payload[PAYLOAD_LIMIT];
    memdb__frame_t frame;
    for (uint64_t n = first; n < first + count;) {
        if (memdb__wal_lock(child->wal, &child->error) != MEMDB_OK) {
            child_quit(child, 4);
        }
        uint64_t end = n + batch < first + count ? n + batch : first + count;
        for (; n < end; n++) {
            if (memdb__wal_add(child->wal, payload, payload_make(n, payload_size(n), payload),
                               &frame, &child->error) != MEMDB_OK) {
                _exit(5);
            }
        }
        if ((n % 3 ? memdb__wal_write_through(child->wal, &child->error)
                   : memdb__wal_write(child->wal, &child->error)) != MEMDB_OK) {
            _exit(6);
        }
        atomic_store(&told->written, n);
        memdb__wal_unlock(child->wal);
        if (memdb__wal_sync(child->wal, frame.end, &child->error) != MEMDB_OK) {
            _exit(7);
        }
        atomic_store(&told->synced, n);
    }
}

/// Run appends in a child that dies at call `after` of `calls`. Returns whether it was killed.
static bool run_child(fixture_t *f, fault_kind_t kind, unsigned calls, uint64_t after,
                      uint64_t first, uint64_t count, told_t *told) {
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        fixture_t child;
        child_attach(&child, f);
        fault_install(kind, calls, after, false);
        child_append(&child, first, count, 3, told);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status)) {
        assert_int_equal(WTERMSIG(status), SIGKILL);
        return true;
    }
    assert_int_equal(WEXITSTATUS(status), 0);
    return false;
}

/// Everything in the log, in order, through the follower and through the files.
static uint64_t count_frames(fixture_t *f, uint64_t *followed) {
    seen_t seen = {0};
    uint64_t end, scanned, written = atomic_load(&f->control->written);
    EXPECT_OK(f, memdb__wal_follow(f->wal, 0, written, see, &seen, &end, &f->error));
    *followed = seen.count;
    EXPECT_OK(f, scan(f, 0, &seen, &scanned));
    return seen.count;
}

static void test_wal_killed_owner_is_repaired_by_the_next(void **state) {
    (void)state;
    told_t *told = share();
    for (int kind = FAULT_KILL; kind <= FAULT_HALF_KILL; kind++) {
        bool killed = true;
        for (uint64_t after = 0; killed; after++) {
            fixture_t f;
            uint64_t followed;
            fixture_create(&f, 64 << 10);
            fixture_open(&f, 0, false);
            for (uint64_t n = 0; n < 5; n++) {
                append(&f, n, true);
            }
            atomic_store(&told->written, 5);
            killed = run_child(&f, (fault_kind_t)kind, kind == FAULT_KILL ? CALL_ANY : CALL_PWRITE,
                               after, 5, 60, told);
            // The follower sees what the dead one wrote, and no more, before anybody repaired.
            assert_true(count_frames(&f, &followed) >= followed);
            assert_true(followed >= atomic_load(&told->written));
            EXPECT_OK(&f, memdb__wal_lock(f.wal, &f.error)); // repairs
            memdb__wal_unlock(f.wal);
            uint64_t count = count_frames(&f, &followed);
            assert_int_equal(count, followed);
            assert_true(count >= atomic_load(&told->written));
            assert_true(killed || count == 65);
            assert_true(atomic_load(&f.control->durable) <= atomic_load(&f.control->written));
            for (uint64_t n = count; n < count + 5; n++) {
                append(&f, n, true);
            }
            assert_int_equal(count_frames(&f, &followed), count + 5);
            assert_int_equal(followed, count + 5);
            fixture_close(&f);
            fixture_open(&f, 0, false);
            assert_int_equal(f.recovery.frames, count + 5);
            fixture_destroy(&f);
        }
    }
    munmap(told, sizeof *told);
}

static void test_wal_death_during_repair_is_repaired(void **state) {
    (void)state;
    told_t *told = share();
    bool killed = true;
    for (uint64_t after = 0; killed; after++) {
        fixture_t f;
        uint64_t followed;
        fixture_create(&f, 64 << 10);
        fixture_open(&f, 0, false);
        append(&f, 0, true);
        assert_true(run_child(&f, FAULT_HALF_KILL, CALL_PWRITE, 4, 1, 60, told));
        uint64_t written = atomic_load(&told->written);
        pid_t pid = fork();
        if (pid == 0) {
            fixture_t child;
            child_attach(&child, &f);
            fault_install(FAULT_KILL, CALL_ANY, after, false);
            if (memdb__wal_lock(child.wal, &child.error) != MEMDB_OK) {
                _exit(4);
            }
            memdb__wal_unlock(child.wal);
            _exit(0);
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        killed = WIFSIGNALED(status);
        assert_true(killed || WEXITSTATUS(status) == 0);
        EXPECT_OK(&f, memdb__wal_lock(f.wal, &f.error));
        memdb__wal_unlock(f.wal);
        uint64_t count = count_frames(&f, &followed);
        assert_int_equal(count, followed);
        assert_true(count >= written);
        append(&f, count, true);
        assert_int_equal(count_frames(&f, &followed), count + 1);
        fixture_close(&f);
        fixture_open(&f, 0, after % 2);
        assert_int_equal(f.recovery.frames, count + 1);
        fixture_destroy(&f);
    }
    munmap(told, sizeof *told);
}

static void test_wal_late_write_of_the_dead_owns_nothing(void **state) {
    (void)state;
    // A second handle plays the dead owner's other thread: it writes behind the repaired end, in
    // the old segment.
    fixture_t f;
    told_t *told = share();
    uint64_t followed;
    char name[32];
    size_t size;
    fixture_create(&f, 64 << 10);
    fixture_open(&f, 0, false);
    append(&f, 0, true);
    newest_name(&f, name);
    assert_true(run_child(&f, FAULT_KILL, CALL_PWRITE, 0, 1, 3, told));
    EXPECT_OK(&f, memdb__wal_lock(f.wal, &f.error));
    memdb__wal_unlock(f.wal);
    append(&f, 1, true);
    append(&f, 2, true);
    uint8_t *data = file_read(&f, name, &size);
    for (size_t at = 12288; at < size - 4096; at++) {
        data[at] = (uint8_t)(at * 7 | 1);
    }
    file_write(&f, name, data, size);
    assert_int_equal(count_frames(&f, &followed), 3);
    assert_int_equal(followed, 3);
    memdb__free(data);
    // Its file is unlinked when it is cut, never recycled.
    for (uint64_t n = 3; file_count(&f, ".log") < 4; n++) {
        append(&f, n, true);
    }
    EXPECT_OK(&f, memdb__wal_cut(f.wal, atomic_load(&f.control->durable), &f.error));
    assert_int_equal(file_count(&f, name), 0);
    assert_int_equal(file_count(&f, "recycle"), 2); // those after it were left by a living owner
    fixture_destroy(&f);
    munmap(told, sizeof *told);
}

static uint64_t block_up(uint64_t lsn) {
    return (lsn + 4095) & ~(uint64_t)4095;
}

/// Which LSNs were written again: the offsets of writes into the one segment.
static uint64_t again_from, again_to;

static ssize_t note_pwrite(int fd, const void *data, size_t size, off_t offset) {
    again_from = (uint64_t)offset < again_from ? (uint64_t)offset : again_from;
    again_to = (uint64_t)offset + size > again_to ? (uint64_t)offset + size : again_to;
    return memdb__io_real.pwrite(fd, data, size, offset);
}

static void note_writes(bool on) {
    static memdb__io_table_t table;
    if (on) {
        table = memdb__io_real;
        table.pwrite = note_pwrite;
        again_from = UINT64_MAX;
        again_to = 0;
    }
    memdb__io_install(on ? &table : NULL);
}

/// A child that dies in a sync; the bytes that were not durable, as offsets.
static void die_in_a_sync(fixture_t *f, uint64_t *from_out, uint64_t *to_out) {
    fixture_create(f, 1 << 20);
    fixture_open(f, 0, false);
    append(f, 0, true);
    *from_out = 4096 + block_up(atomic_load(&f->control->durable));
    for (uint64_t n = 1; n < 6; n++) {
        append(f, n, false);
    }
    *to_out = 4096 + block_up(atomic_load(&f->control->written));
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        fixture_t child;
        child_attach(&child, f);
        fault_install(FAULT_KILL, CALL_SYNC, 0, false);
        memdb__wal_sync(child.wal, atomic_load(&child.control->written), &child.error);
        _exit(1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
}

/// The kernel tells of a failed sync once: who inherits the mutex of one that died in a sync writes
/// again what is not durable, so that its own sync takes it to the disk.
static void test_wal_what_the_dead_may_have_lost_is_written_again(void **state) {
    (void)state;
    fixture_t f;
    uint64_t from, to, followed;
    die_in_a_sync(&f, &from, &to);
    note_writes(true);
    EXPECT_OK(&f, memdb__wal_sync(f.wal, atomic_load(&f.control->written), &f.error));
    assert_int_equal(again_from, from);
    assert_int_equal(again_to, to);
    assert_int_equal(atomic_load(&f.control->durable), atomic_load(&f.control->written));
    note_writes(true);
    append(&f, 6, false);
    EXPECT_OK(&f, memdb__wal_sync(f.wal, atomic_load(&f.control->written), &f.error));
    assert_true(again_from >= to); // once
    note_writes(false);
    assert_int_equal(count_frames(&f, &followed), 7);
    fixture_destroy(&f);
}

/// The same, where the page cache does not have it any more: then nobody is told that it is safe.
static void test_wal_what_the_dead_lost_fails_the_database(void **state) {
    (void)state;
    fixture_t f;
    uint64_t from, to;
    char name[32];
    size_t size;
    die_in_a_sync(&f, &from, &to);
    newest_name(&f, name);
    uint8_t *data = file_read(&f, name, &size);
    memset(data + from, 0, 4096);
    file_write(&f, name, data, size);
    memdb__free(data);
    memdb_status_t status = memdb__wal_sync(f.wal, atomic_load(&f.control->written), &f.error);
    assert_int_equal(status, MEMDB_CORRUPT);
    assert_true(atomic_load(&f.control->failed) != 0);
    EXPECT(&f, MEMDB_FAILED, memdb__wal_lock(f.wal, &f.error));
    fixture_destroy(&f);
}

/// The same for a recovery, when all are dead.
static void test_wal_a_recovery_writes_again_what_the_dead_may_have_lost(void **state) {
    (void)state;
    fixture_t f;
    uint64_t from, to;
    seen_t seen = {0};
    die_in_a_sync(&f, &from, &to);
    memdb__control_past_t past = memdb__control_past(f.directory);
    assert_false(past.failed);
    assert_int_equal(past.unsure, atomic_load(&f.control->durable));
    fixture_close(&f);
    note_writes(true);
    EXPECT_OK(&f, memdb__wal_recover(f.directory, &f.options, 0, 0, past, see, &seen, &f.recovery,
                                     &f.error));
    note_writes(false);
    assert_true(again_from <= from && again_to >= to);
    assert_int_equal(seen.count, 6);
    fixture_destroy(&f);
}

#define WORKERS 3
#define WORKER_FRAMES 150

/// Appends in turn: each frame's number is the count of frames before it, which each worker learns
/// by following.
static void work(fixture_t *f, uint64_t until) {
    static _Thread_local uint8_t payload[PAYLOAD_LIMIT];
    seen_t seen = {0};
    uint64_t position = 0;
    while (seen.count < until) {
        memdb__frame_t frame = {0};
        EXPECT_OK(f, memdb__wal_lock(f->wal, &f->error));
        EXPECT_OK(f, memdb__wal_follow(f->wal, position, atomic_load(&f->control->written), see,
                                       &seen, &position, &f->error));
        if (seen.count < until) {
            EXPECT_OK(f, memdb__wal_add(f->wal, payload,
                                        payload_make(seen.count, payload_size(seen.count), payload),
                                        &frame, &f->error));
            EXPECT_OK(f, memdb__wal_write(f->wal, &f->error));
        }
        memdb__wal_unlock(f->wal);
        EXPECT_OK(f, memdb__wal_sync(f->wal, frame.end, &f->error));
        EXPECT_OK(f, memdb__wal_follow(f->wal, position, atomic_load(&f->control->durable), see,
                                       &seen, &position, &f->error));
    }
}

static void test_wal_processes_append_in_turn_and_follow_each_other(void **state) {
    (void)state;
    fixture_t f;
    uint64_t followed;
    pid_t pids[WORKERS];
    fixture_create(&f, 64 << 10);
    fixture_open(&f, 0, false);
    for (int i = 0; i < WORKERS; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            fixture_t child;
            child_attach(&child, &f);
            work(&child, WORKERS * WORKER_FRAMES);
            _exit(0);
        }
    }
    for (int i = 0; i < WORKERS; i++) {
        int status;
        waitpid(pids[i], &status, 0);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    assert_int_equal(count_frames(&f, &followed), WORKERS * WORKER_FRAMES);
    assert_int_equal(followed, WORKERS * WORKER_FRAMES);
    fixture_destroy(&f);
}

static void *thread_work(void *context) {
    work(context, WORKERS * WORKER_FRAMES);
    return NULL;
}

static void test_wal_handles_in_threads_append_in_turn(void **state) {
    (void)state;
    fixture_t f, handles[WORKERS];
    pthread_t threads[WORKERS];
    uint64_t followed;
    fixture_create(&f, 64 << 10);
    fixture_open(&f, 0, false);
    for (int i = 0; i < WORKERS; i++) {
        fixture_attach(&handles[i], &f);
        // One mapping for all, so that the thread sanitizer sees one mutex and one set of words.
        memdb__wal_close(handles[i].wal);
        EXPECT_OK(&f,
                  memdb__wal_open(f.directory, &f.options, f.control, &handles[i].wal, &f.error));
        assert_int_equal(pthread_create(&threads[i], NULL, thread_work, &handles[i]), 0);
    }
    for (int i = 0; i < WORKERS; i++) {
        pthread_join(threads[i], NULL);
        fixture_close(&handles[i]);
    }
    assert_int_equal(count_frames(&f, &followed), WORKERS * WORKER_FRAMES);
    fixture_destroy(&f);
}

/// Rounds of children killed at random moments while others go on.
static void test_wal_random_kills_lose_nothing_acknowledged(void **state) {
    (void)state;
    uint64_t random = test_seed(), followed;
    fixture_t f;
    told_t *told = share();
    fixture_create(&f, 64 << 10);
    fixture_open(&f, 0, false);
    for (int round = 0; round < 40; round++) {
        pid_t pids[2];
        for (int i = 0; i < 2; i++) {
            uint64_t after = next_random(&random) % 60,
                     kind = FAULT_KILL + next_random(&random) % 2;
            pids[i] = fork();
            if (pids[i] == 0) {
                fixture_t child;
                child_attach(&child, &f);
                fault_install((fault_kind_t)kind, CALL_PWRITE | CALL_SYNC | CALL_RENAME, after,
                              false);
                seen_t seen = {0};
                uint64_t position = 0;
                uint8_t payload[PAYLOAD_LIMIT];
                for (int n = 0; n < 40; n++) {
                    memdb__frame_t frame;
                    if (memdb__wal_lock(child.wal, &child.error) != MEMDB_OK ||
                        memdb__wal_follow(child.wal, position, atomic_load(&child.control->written),
                                          see, &seen, &position, &child.error) != MEMDB_OK ||
                        memdb__wal_add(child.wal, payload,
                                       payload_make(seen.count, payload_size(seen.count), payload),
                                       &frame, &child.error) != MEMDB_OK ||
                        memdb__wal_write(child.wal, &child.error) != MEMDB_OK) {
                        child_quit(&child, 9);
                    }
                    memdb__wal_unlock(child.wal);
                    if (memdb__wal_sync(child.wal, frame.end, &child.error) != MEMDB_OK) {
                        child_quit(&child, 10);
                    }
                    memdb__raise(&told->synced, seen.count + 1);
                }
                _exit(0);
            }
        }
        for (int i = 0; i < 2; i++) {
            int status;
            waitpid(pids[i], &status, 0);
            assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
        }
        if (round % 8 == 7) {
            fixture_close(&f);
            fixture_open(&f, 0, round % 16 == 7);
        }
        EXPECT_OK(&f, memdb__wal_lock(f.wal, &f.error));
        memdb__wal_unlock(f.wal);
        uint64_t count = count_frames(&f, &followed);
        assert_int_equal(count, followed);
        assert_true(count >= atomic_load(&told->synced));
    }
    fixture_destroy(&f);
    munmap(told, sizeof *told);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wal_what_the_dead_may_have_lost_is_written_again),
        cmocka_unit_test(test_wal_what_the_dead_lost_fails_the_database),
        cmocka_unit_test(test_wal_a_recovery_writes_again_what_the_dead_may_have_lost),
        cmocka_unit_test(test_wal_killed_owner_is_repaired_by_the_next),
        cmocka_unit_test(test_wal_death_during_repair_is_repaired),
        cmocka_unit_test(test_wal_late_write_of_the_dead_owns_nothing),
        cmocka_unit_test(test_wal_processes_append_in_turn_and_follow_each_other),
        cmocka_unit_test(test_wal_handles_in_threads_append_in_turn),
        cmocka_unit_test(test_wal_random_kills_lose_nothing_acknowledged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
