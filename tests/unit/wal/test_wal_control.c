// Goal: a control file is trusted only where it was made, and the byte ranges of `lock` exclude as
// their modes say.
#include "base/checksum.h"
#include "tests/unit/wal/wal_fixture.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_control_is_shared_by_its_mappings(void **state) {
    (void)state;
    fixture_t f;
    memdb__control_t *other;
    fixture_create(&f, 64 << 10);
    fixture_open(&f, 0, false);
    EXPECT_OK(&f, memdb__control_map(f.directory, f.options.database_id, &other, &f.error));
    memdb__raise(&f.control->next_id, 500);
    memdb__raise(&f.control->next_id, 400);
    assert_int_equal(atomic_load(&other->next_id), 500);
    assert_int_equal(atomic_load(&other->segment_epoch), 2);
    assert_int_equal(atomic_load(&other->next_epoch), 3);
    // Replaced by rename: who has the old one keeps it.
    memdb__control_t *fresh;
    memdb__control_start_t start = {.end_lsn = 77};
    memcpy(start.database_id, f.options.database_id, 16);
    EXPECT_OK(&f, memdb__control_create(f.directory, &start, &fresh, &f.error));
    assert_int_equal(atomic_load(&other->next_id), 500);
    assert_int_equal(atomic_load(&fresh->written), 77);
    memdb__control_unmap(fresh);
    memdb__control_unmap(other);
    fixture_destroy(&f);
}

static void test_control_of_another_place_is_refused(void **state) {
    (void)state;
    fixture_t f;
    fixture_create(&f, 64 << 10);
    fixture_open(&f, 0, false);
    int fd = openat(f.directory, "control", O_RDWR);
    memdb__control_t whole, changed, *mapped;
    assert_int_equal(pread(fd, &whole, sizeof whole, 0), sizeof whole);
    for (size_t at = 0; at < 64; at++) { // any changed byte of the static part
        changed = whole;
        ((uint8_t *)&changed)[at] ^= 1;
        assert_int_equal(pwrite(fd, &changed, 64, 0), 64);
        EXPECT(&f, MEMDB_CORRUPT,
               memdb__control_map(f.directory, f.options.database_id, &mapped, &f.error));
    }
    static const struct {
        size_t at;
        memdb_status_t status;
    } cases[] = {
        {8, MEMDB_VERSION}, {16, MEMDB_CORRUPT}, {32, MEMDB_UNSUPPORTED}, {48, MEMDB_UNSUPPORTED}};
    for (size_t i = 0; i < 4; i++) { // with a checksum that fits
        changed = whole;
        ((uint8_t *)&changed)[cases[i].at] ^= 1;
        changed.static_checksum =
            memdb__hash64(&changed, offsetof(memdb__control_t, static_checksum), 0);
        assert_int_equal(pwrite(fd, &changed, 64, 0), 64);
        EXPECT(&f, cases[i].status,
               memdb__control_map(f.directory, f.options.database_id, &mapped, &f.error));
    }
    assert_int_equal(ftruncate(fd, 100), 0);
    EXPECT(&f, MEMDB_CORRUPT,
           memdb__control_map(f.directory, f.options.database_id, &mapped, &f.error));
    assert_int_equal(ftruncate(fd, 4096), 0);
    close(fd);
    assert_int_equal(unlinkat(f.directory, "control", 0), 0);
    EXPECT(&f, MEMDB_CORRUPT,
           memdb__control_map(f.directory, f.options.database_id, &mapped, &f.error));
    fixture_destroy(&f);
}

static int open_lock(fixture_t *f) {
    int fd = openat(f->directory, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    return fd;
}

static void test_lock_ranges_exclude_by_open_file(void **state) {
    (void)state;
    fixture_t f;
    fixture_create(&f, 64 << 10);
    int a = open_lock(&f), b = open_lock(&f), c = open_lock(&f);
    EXPECT_OK(&f,
              memdb__lock_acquire(a, MEMDB__LOCK_PRESENCE, MEMDB__LOCK_SHARED, false, &f.error));
    EXPECT_OK(&f,
              memdb__lock_acquire(b, MEMDB__LOCK_PRESENCE, MEMDB__LOCK_SHARED, false, &f.error));
    EXPECT(&f, MEMDB_BUSY,
           memdb__lock_acquire(a, MEMDB__LOCK_PRESENCE, MEMDB__LOCK_EXCLUSIVE, false, &f.error));
    EXPECT_OK(&f, memdb__lock_acquire(c, MEMDB__LOCK_GATE, MEMDB__LOCK_EXCLUSIVE, false,
                                      &f.error)); // another range
    EXPECT(&f, MEMDB_BUSY,
           memdb__lock_acquire(a, MEMDB__LOCK_GATE, MEMDB__LOCK_SHARED, false, &f.error));
    memdb__lock_release(b, MEMDB__LOCK_PRESENCE);
    EXPECT_OK(&f, memdb__lock_acquire(a, MEMDB__LOCK_PRESENCE, MEMDB__LOCK_EXCLUSIVE, false,
                                      &f.error)); // converted
    EXPECT_OK(&f,
              memdb__lock_acquire(a, MEMDB__LOCK_PRESENCE, MEMDB__LOCK_SHARED, false, &f.error));
    EXPECT_OK(&f,
              memdb__lock_acquire(b, MEMDB__LOCK_PRESENCE, MEMDB__LOCK_SHARED, false, &f.error));
    close(open_lock(&f)); // closing another descriptor drops nothing
    EXPECT(&f, MEMDB_BUSY,
           memdb__lock_acquire(b, MEMDB__LOCK_GATE, MEMDB__LOCK_EXCLUSIVE, false, &f.error));
    close(c); // ends with the descriptor
    EXPECT_OK(&f, memdb__lock_acquire(b, MEMDB__LOCK_GATE, MEMDB__LOCK_EXCLUSIVE, true, &f.error));
    close(a);
    close(b);
    fixture_destroy(&f);
}

static void test_lock_of_a_killed_process_is_free(void **state) {
    (void)state;
    fixture_t f;
    fixture_create(&f, 64 << 10);
    pid_t pid = fork();
    if (pid == 0) {
        int fd = open_lock(&f);
        memdb__lock_acquire(fd, MEMDB__LOCK_CHECKPOINT, MEMDB__LOCK_EXCLUSIVE, true, &f.error);
        raise(SIGKILL);
    }
    waitpid(pid, NULL, 0);
    int fd = open_lock(&f);
    EXPECT_OK(&f, memdb__lock_acquire(fd, MEMDB__LOCK_CHECKPOINT, MEMDB__LOCK_EXCLUSIVE, false,
                                      &f.error));
    close(fd);
    fixture_destroy(&f);
}

typedef struct waiter {
    int fd;
    memdb_status_t status;
} waiter_t;

static void *wait_for_gate(void *context) {
    waiter_t *waiter = context;
    waiter->status =
        memdb__lock_acquire(waiter->fd, MEMDB__LOCK_GATE, MEMDB__LOCK_EXCLUSIVE, true, NULL);
    return NULL;
}

static void test_lock_waits_until_it_is_released(void **state) {
    (void)state;
    fixture_t f;
    pthread_t thread;
    fixture_create(&f, 64 << 10);
    int fd = open_lock(&f);
    waiter_t waiter = {.fd = open_lock(&f), .status = MEMDB_BUSY};
    EXPECT_OK(&f, memdb__lock_acquire(fd, MEMDB__LOCK_GATE, MEMDB__LOCK_EXCLUSIVE, true, &f.error));
    assert_int_equal(pthread_create(&thread, NULL, wait_for_gate, &waiter), 0);
    memdb__lock_release(fd, MEMDB__LOCK_GATE);
    pthread_join(thread, NULL);
    EXPECT_OK(&f, waiter.status);
    close(fd);
    close(waiter.fd);
    fixture_destroy(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_control_is_shared_by_its_mappings),
        cmocka_unit_test(test_control_of_another_place_is_refused),
        cmocka_unit_test(test_lock_ranges_exclude_by_open_file),
        cmocka_unit_test(test_lock_of_a_killed_process_is_free),
        cmocka_unit_test(test_lock_waits_until_it_is_released),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
