// Crashes and failures in the midst of a commit.
//
// Method: every call that changes a file in a commit is numbered: those of the companion, which go
// through the I/O seam, and LMDB's own, which this program stands in for (pwrite, pwritev,
// fdatasync: an executable's functions come before the C library's). A child is killed at each
// number, before the call, after it, or with half of it done; or the call fails. Afterwards the
// catalog must open with the old manifest or, if the call may have been the one that counts, the
// new one, and further commits must work. Where a commit was reported, it must be there.
#include "tests/unit/engine/catalog_fixture.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

typedef enum action { KILL_BEFORE, KILL_TORN, KILL_AFTER, FAIL } action_t;

static uint64_t calls, act_at = UINT64_MAX;
static action_t action;
static int fail_with;

static bool is_due(void) {
    return calls++ == act_at;
}

static void die(void) {
    raise(SIGKILL);
}

static ssize_t real_pwrite(int fd, const void *data, size_t size, off_t offset) {
    return syscall(SYS_pwrite64, fd, data, size, offset);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
    if (!is_due())
        return real_pwrite(fd, data, size, offset);
    if (action == KILL_TORN)
        real_pwrite(fd, data, size / 2 / 512 * 512, offset); // sectors are whole or not
    if (action == KILL_AFTER)
        real_pwrite(fd, data, size, offset);
    if (action != FAIL)
        die();
    errno = fail_with;
    return -1;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    if (!is_due())
        return syscall(SYS_writev, fd, parts, count);
    if (action == KILL_TORN)
        syscall(SYS_write, fd, parts[0].iov_base, parts[0].iov_len / 2);
    if (action == KILL_AFTER)
        syscall(SYS_writev, fd, parts, count);
    if (action != FAIL)
        die();
    errno = fail_with;
    return -1;
}

int fdatasync(int fd) {
    if (!is_due())
        return (int)syscall(SYS_fdatasync, fd);
    if (action != FAIL)
        die();
    errno = fail_with;
    return -1;
}

static int counted_allocate(int fd, off_t offset, off_t size) {
    if (!is_due())
        return memdb__io_real.allocate(fd, offset, size);
    if (action != FAIL)
        die();
    errno = fail_with;
    return -1;
}

static ssize_t seam_pwrite(int fd, const void *data, size_t size, off_t offset) {
    return pwrite(fd, data, size, offset);
}

static int seam_sync(int fd) {
    return fdatasync(fd);
}

static int setup(void **state) {
    static fixture_t fixture;
    static memdb__io_table_t table;
    fixture_open(&fixture);
    assert_ok(memdb__catalog_create(fixture.directory, error));
    table = memdb__io_real;
    table.pwrite = seam_pwrite;
    table.sync_data = seam_sync;
    table.allocate = counted_allocate;
    memdb__io_install(&table);
    *state = &fixture;
    return 0;
}

static int teardown(void **state) {
    memdb__io_install(NULL);
    fixture_close(*state);
    return 0;
}

enum { OLD = 30, NEW = 33 };

// Bring the catalog to the manifest (OLD, salt 1).
static void prepare(fixture_t *fixture, uint64_t *generation_out) {
    memdb__catalog_t *catalog;
    assert_ok(memdb__catalog_open(fixture->directory, true, false, &catalog, error));
    commit_manifest(catalog, OLD + 400, 0, NULL);
    commit_manifest(catalog, OLD, 1, generation_out);
    expect_manifest(catalog, OLD, 1);
    memdb__catalog_close(catalog);
}

// What is there now: true for the new manifest, false for the old one; nothing else is allowed.
static bool judge(fixture_t *fixture, bool alone, uint64_t generation) {
    memdb__catalog_t *catalog;
    memdb__manifest_t found = {0};
    assert_ok(memdb__catalog_open(fixture->directory, alone, false, &catalog, error));
    assert_ok(memdb__catalog_read(catalog, &found, error));
    bool is_new = found.tier_count == NEW;
    assert_int_equal(found.generation, generation + is_new);
    memdb__manifest_deinit(&found);
    expect_manifest(catalog, is_new ? NEW : OLD, is_new ? 2 : 1);
    for (uint64_t i = 0; i < 3; i++) {
        commit_manifest(catalog, 10 * i, 50 + i, NULL);
        assert_ok(memdb__catalog_verify(catalog, NULL, NULL, error));
    }
    memdb__catalog_close(catalog);
    return is_new;
}

/// Commit the new manifest, and be killed at the call with this number.
static void commit_until_killed(fixture_t *fixture, bool alone, uint64_t number) {
    memdb__catalog_t *catalog;
    memdb__manifest_t manifest = make_manifest(NEW, 2);
    if (memdb__catalog_open(fixture->directory, alone, false, &catalog, NULL))
        _exit(2);
    calls = 0;
    act_at = number;
    _exit(memdb__catalog_commit(catalog, &manifest, NULL, NULL) ? 3 : 0); // without closing
}

static void test_catalog_killed_in_commit_is_old_or_new(void **state) {
    fixture_t *fixture = *state;
    for (int keep_lock = 0; keep_lock < 2; keep_lock++) {
        for (action = KILL_BEFORE; action <= KILL_AFTER; action++) {
            uint64_t generation, news = 0;
            bool killed = true, was_new = false;
            for (uint64_t number = 0; killed; number++) {
                act_at = UINT64_MAX;
                prepare(fixture, &generation);
                pid_t child = fork();
                if (child == 0)
                    commit_until_killed(fixture, true, number);
                int status;
                assert_int_equal(waitpid(child, &status, 0), child);
                killed = WIFSIGNALED(status);
                assert_true(killed || WEXITSTATUS(status) == 0);
                bool is_new = judge(fixture, !keep_lock, generation);
                assert_true(is_new || !was_new); // once the calls reach the commit, it stays
                assert_true(killed || is_new);
                was_new = is_new;
                news += is_new;
                if (!killed)
                    print_message("action %d: %" PRIu64 " calls, new after %" PRIu64 "\n", action,
                                  number, number - news + 1);
                assert_true(killed || number >= 5);
            }
        }
    }
    act_at = UINT64_MAX;
}

/// A process that had the catalog open before; tells how many tiers it finds after it was told to
/// go on.
static void survive(fixture_t *fixture, const int go_on[2], int answer) {
    memdb__catalog_t *catalog;
    memdb__manifest_t found = {0};
    char byte = 0;
    if (memdb__catalog_open(fixture->directory, true, false, &catalog, NULL) ||
        write(answer, &byte, 1) != 1 || read(go_on[0], &byte, 1) != 1 ||
        memdb__catalog_settle(catalog, 0, NULL) || memdb__catalog_read(catalog, &found, NULL))
        _exit(2);
    _exit(write(answer, &found.tier_count, sizeof found.tier_count) < 0);
}

/// LMDB tells readers of a commit after its last write: a process killed between the two has
/// switched, and who had the environment open reads on as if it had not, until it settles.
static void test_catalog_a_switch_of_the_dead_is_found_by_who_settles(void **state) {
    fixture_t *fixture = *state;
    bool killed = true;
    uint64_t late = 0;
    action = KILL_AFTER;
    for (uint64_t number = 0; killed; number++) {
        int go_on[2], answer[2], status;
        uint64_t generation, seen = 0;
        char byte = 0;
        act_at = UINT64_MAX;
        prepare(fixture, &generation);
        assert_int_equal(pipe(go_on), 0);
        assert_int_equal(pipe(answer), 0);
        pid_t survivor = fork();
        if (survivor == 0)
            survive(fixture, go_on, answer[1]);
        assert_int_equal(read(answer[0], &byte, 1), 1);
        pid_t child = fork();
        if (child == 0)
            commit_until_killed(fixture, false, number);
        assert_int_equal(waitpid(child, &status, 0), child);
        killed = WIFSIGNALED(status);
        assert_int_equal(write(go_on[1], &byte, 1), 1);
        assert_int_equal(read(answer[0], &seen, sizeof seen), sizeof seen);
        assert_int_equal(waitpid(survivor, &status, 0), survivor);
        for (int i = 0; i < 2; i++) {
            close(go_on[i]);
            close(answer[i]);
        }
        bool is_new = judge(fixture, true, generation);
        assert_int_equal(seen, is_new ? NEW : OLD);
        late += killed && is_new;
    }
    act_at = UINT64_MAX;
    assert_true(late > 0);
}

static void test_catalog_failed_call_in_commit_is_old_or_unknown(void **state) {
    fixture_t *fixture = *state;
    static const int errors[] = {EIO, ENOSPC};
    action = FAIL;
    for (size_t kind = 0; kind < 2; kind++) {
        bool failed = true;
        for (uint64_t number = 0; failed; number++) {
            memdb__catalog_t *catalog;
            memdb_error_t failure = {0};
            uint64_t generation;
            act_at = UINT64_MAX;
            prepare(fixture, &generation);
            memdb__manifest_t manifest = make_manifest(NEW, 2);
            assert_ok(memdb__catalog_open(fixture->directory, true, false, &catalog, error));
            calls = 0;
            act_at = number;
            fail_with = errors[kind];
            memdb_status_t status = memdb__catalog_commit(catalog, &manifest, NULL, &failure);
            failed = calls > number;
            act_at = UINT64_MAX;
            memdb__manifest_deinit(&manifest);
            assert_true(status == MEMDB_IO || status == MEMDB_FULL || (!failed && !status));
            assert_true(status != MEMDB_FULL || errors[kind] == ENOSPC);
            if (status == MEMDB_FULL) // promised: nothing has happened, and the handle goes on
                expect_manifest(catalog, OLD, 1);
            if (status == MEMDB_FULL)
                commit_manifest(catalog, OLD, 1, &generation);
            memdb__catalog_close(catalog);
            bool is_new = judge(fixture, true, generation);
            assert_true(status != MEMDB_FULL || !is_new);
            assert_true(status || is_new);
        }
    }
}

// Room for the commit is asked for first; a full file system is noticed there.
static void test_catalog_full_file_system_is_noticed_before_the_commit(void **state) {
    fixture_t *fixture = *state;
    memdb__catalog_t *catalog;
    memdb_error_t failure = {0};
    assert_ok(memdb__catalog_open(fixture->directory, true, false, &catalog, error));
    commit_manifest(catalog, 5, 1, NULL);
    memdb__manifest_t manifest = make_manifest(4000, 2);
    calls = 0;
    act_at = 0;
    action = FAIL;
    fail_with = ENOSPC;
    assert_int_equal(memdb__catalog_commit(catalog, &manifest, NULL, &failure), MEMDB_FULL);
    assert_int_equal(calls, 1);
    act_at = UINT64_MAX;
    memdb__manifest_deinit(&manifest);
    expect_manifest(catalog, 5, 1);
    memdb__catalog_close(catalog);
}

static void test_catalog_failed_allocation_leaves_the_old_manifest(void **state) {
    fixture_t *fixture = *state;
    uint64_t generation, number = 0;
    act_at = UINT64_MAX;
    for (bool failed = true; failed; number++) {
        prepare(fixture, &generation);
        memdb__manifest_t manifest = make_manifest(NEW, 2), found = {0};
        memdb__catalog_t *catalog = NULL;
        memdb_error_t failure = {0};
        uint64_t live = memdb__memory_live(), before = memdb__memory_count();
        memdb__memory_fail_after(number);
        memdb_status_t status =
            memdb__catalog_open(fixture->directory, true, false, &catalog, &failure);
        if (!status)
            status = memdb__catalog_commit(catalog, &manifest, NULL, &failure);
        bool committed = status == MEMDB_OK;
        if (!status)
            status = memdb__catalog_read(catalog, &found, &failure);
        memdb__memory_fail_after(UINT64_MAX);
        failed = memdb__memory_count() - before > number;
        assert_int_equal(status, failed ? MEMDB_NOMEM : MEMDB_OK);
        memdb__manifest_deinit(&found);
        memdb__catalog_close(catalog);
        assert_int_equal(memdb__memory_live(), live);
        memdb__manifest_deinit(&manifest);
        assert_int_equal(judge(fixture, true, generation), committed);
    }
    assert_true(number > 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_catalog_a_switch_of_the_dead_is_found_by_who_settles,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_catalog_killed_in_commit_is_old_or_new, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_catalog_failed_call_in_commit_is_old_or_unknown, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_catalog_full_file_system_is_noticed_before_the_commit,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_catalog_failed_allocation_leaves_the_old_manifest,
                                        setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
