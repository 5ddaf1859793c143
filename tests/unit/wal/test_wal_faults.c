// Goal: a failed call loses nothing that was acknowledged, is never reported as success, and is
// never retried where retrying lies. Method: every I/O call and every allocation of a script is
// failed once, in turn; then the log is recovered and compared.
#include "base/memory.h"
#include "tests/unit/wal/wal_fixture.h"

#include <stdlib.h>
#include <string.h>

static memdb_status_t try_append(fixture_t *f, uint64_t n, bool *acknowledged) {
    static uint8_t payload[PAYLOAD_LIMIT];
    memdb__frame_t frame;
    *acknowledged = false;
    memdb_status_t status = memdb__wal_lock(f->wal, &f->error);
    if (status != MEMDB_OK) {
        return status;
    }
    status = memdb__wal_add(f->wal, payload, payload_make(n, payload_size(n), payload), &frame,
                            &f->error);
    if (status == MEMDB_OK) {
        status = memdb__wal_write(f->wal, &f->error);
    }
    memdb__wal_unlock(f->wal);
    if (status == MEMDB_OK) {
        status = memdb__wal_sync(f->wal, frame.end, &f->error);
        *acknowledged = status == MEMDB_OK;
    }
    return status;
}

static void test_wal_failed_sync_fails_the_database_for_all(void **state) {
    (void)state;
    fixture_t f, other;
    bool acknowledged;
    fixture_create(&f, 64 << 10);
    fixture_open(&f, 0, false);
    fixture_attach(&other, &f);
    memdb__frame_t durable = append(&f, 0, true);
    memdb__frame_t lost = append(&f, 1, false);
    fault_install(FAULT_EIO, CALL_SYNC, 0, false);
    EXPECT(&f, MEMDB_IO, memdb__wal_sync(f.wal, lost.end, &f.error));
    fault_remove();
    assert_int_equal(atomic_load(&f.control->failed), MEMDB_IO);
    EXPECT(&f, MEMDB_FAILED,
           memdb__wal_sync(f.wal, lost.end, &f.error)); // not retried, though it would work now
    EXPECT(&other, MEMDB_FAILED, memdb__wal_sync(other.wal, lost.end, &other.error));
    EXPECT(&other, MEMDB_FAILED, memdb__wal_lock(other.wal, &other.error));
    EXPECT(&f, MEMDB_FAILED, try_append(&f, 2, &acknowledged));
    EXPECT_OK(&f, memdb__wal_sync(f.wal, durable.end, &f.error)); // this was told before
    assert_int_equal(atomic_load(&f.control->durable), durable.end);
    fixture_close(&other);
    fixture_close(&f);
    fixture_open(&f, 0, true);
    assert_int_equal(f.recovery.frames, 2);
    append(&f, 2, true);
    fixture_destroy(&f);
}

static void test_wal_failed_write_fails_the_database(void **state) {
    (void)state;
    for (int kind = FAULT_EIO; kind <= FAULT_ENOSPC; kind++) {
        fixture_t f, other;
        bool acknowledged;
        uint64_t position;
        seen_t seen = {0};
        fixture_create(&f, 64 << 10);
        fixture_open(&f, 0, false);
        fixture_attach(&other, &f);
        append(&f, 0, true);
        fault_install((fault_kind_t)kind, CALL_PWRITE, 0, false);
        EXPECT(&f, kind == FAULT_EIO ? MEMDB_IO : MEMDB_FULL, try_append(&f, 1, &acknowledged));
        fault_remove();
        EXPECT(&f, MEMDB_FAILED, try_append(&f, 1, &acknowledged));
        EXPECT(&other, MEMDB_FAILED, try_append(&other, 1, &acknowledged));
        EXPECT_OK(&other, memdb__wal_follow(other.wal, 0, atomic_load(&f.control->written), see,
                                            &seen, &position, &other.error));
        assert_int_equal(seen.count, 1);
        fixture_close(&other);
        fixture_close(&f);
        fixture_open(&f, 0, true);
        assert_int_equal(f.recovery.frames, 1);
        fixture_destroy(&f);
    }
}

static void test_wal_full_disk_refuses_and_goes_on_later(void **state) {
    (void)state;
    static const size_t large = 9u << 20; // beyond one fill step: allocated
    fixture_t f;
    memdb__frame_t frame;
    uint64_t n = 0, refused = 0;
    bool acknowledged;
    uint8_t *payload = calloc(1, large);
    fixture_create(&f, 3u << 20);
    fixture_open(&f, 0, false);
    // The disk is full for all but what was written before: writes into filled space still work,
    // and zeros ahead, new segments and allocations are refused.
    while (refused < 3) {
        // Fill writes are those of 64 KiB and more here; a batch is one smaller write, so fail by
        // turns.
        uint64_t written = atomic_load(&f.control->written);
        fault_install(FAULT_ENOSPC, CALL_PWRITE | CALL_ALLOCATE, 0, true);
        EXPECT_OK(&f, memdb__wal_lock(f.wal, &f.error));
        memdb_status_t status = memdb__wal_add(
            f.wal, payload, payload_make(n, payload_size(n), payload), &frame, &f.error);
        memdb__wal_unlock(f.wal); // the batch is dropped: nothing was written
        fault_remove();
        assert_int_equal(atomic_load(&f.control->written), written);
        assert_int_equal(atomic_load(&f.control->failed), 0);
        if (status != MEMDB_OK) {
            EXPECT(&f, MEMDB_FULL, status);
            refused++;
        }
        EXPECT_OK(&f, try_append(&f, n++, &acknowledged)); // space has come back
        if (refused == 2 && n % 2 == 0) {
            fault_install(FAULT_ENOSPC, CALL_ALLOCATE | CALL_PWRITE, 0, true);
            EXPECT_OK(&f, memdb__wal_lock(f.wal, &f.error));
            EXPECT(&f, MEMDB_FULL, memdb__wal_add(f.wal, payload, large, &frame, &f.error));
            memdb__wal_unlock(f.wal);
            fault_remove();
        }
    }
    assert_int_equal(file_count(&f, "new"), 0);
    fixture_close(&f);
    fixture_open(&f, 0, false);
    assert_int_equal(f.recovery.frames, n);
    free(payload);
    fixture_destroy(&f);
}

/// Appends over segment switches, with a cut; then recovery. Each call is failed once.
static void fail_each(fault_kind_t kind, unsigned calls) {
    uint64_t total = 1;
    for (uint64_t after = 0; after < total; after += 1 + after / 40) {
        fixture_t f;
        uint64_t n = 0, last_acknowledged = 0, applied = 0, attempts = 0;
        fixture_create(&f, 64 << 10);
        fixture_open(&f, 0, false);
        fault_install(kind, calls, after, false);
        for (; attempts < 45; attempts++) {
            bool acknowledged;
            memdb_status_t status = try_append(&f, n, &acknowledged);
            if (acknowledged) {
                last_acknowledged = ++n;
            } else if (status == MEMDB_FULL && atomic_load(&f.control->failed) == 0) {
                continue; // refused: the same frame again
            } else if (atomic_load(&f.control->failed) != 0) {
                break;
            } else if (status == MEMDB_OK) {
                n++;
            }
            if (attempts == 30) {
                memdb__wal_cut(f.wal, 0,
                               &f.error); // may fail; nothing of the log may be lost by that
            }
        }
        total = fault_count() > after ? fault_count() + 1 : after;
        fault_remove();
        assert_true(atomic_load(&f.control->failed) != 0 || attempts == 45);
        fixture_close(&f);
        fixture_open(&f, applied, true);
        assert_true(f.recovery.frames >= last_acknowledged);
        append(&f, f.recovery.frames, true);
        fixture_destroy(&f);
    }
}

static void test_wal_every_failed_call_while_appending_loses_nothing(void **state) {
    (void)state;
    fail_each(FAULT_EIO, CALL_PWRITE | CALL_SYNC | CALL_RENAME | CALL_UNLINK | CALL_TRUNCATE);
    fail_each(FAULT_ENOSPC, CALL_PWRITE | CALL_ALLOCATE);
}

static void test_wal_every_failed_call_of_recovery_can_be_repeated(void **state) {
    (void)state;
    for (int rewrite = 0; rewrite < 2; rewrite++) {
        fixture_t f;
        uint64_t n = 0;
        fixture_create(&f, 64 << 10);
        fixture_open(&f, 0, false);
        while (file_count(&f, ".log") < 3) {
            append(&f, n++, false);
        }
        fixture_close(&f);
        bool failed = true;
        for (uint64_t after = 0; failed; after++) {
            seen_t seen = {0};
            fault_install(after % 2 ? FAULT_EIO : FAULT_ENOSPC, CALL_ANY, after, false);
            memdb_status_t status = memdb__wal_recover(f.directory, &f.options, 0, 0, past(rewrite),
                                                       see, &seen, &f.recovery, &f.error);
            failed = fault_count() > after;
            fault_remove();
            if (status == MEMDB_OK) {
                assert_int_equal(f.recovery.frames, n);
            }
            // Once more, undisturbed: it finds the same, and removes what the disturbed one left.
            seen = (seen_t){0};
            EXPECT_OK(&f, memdb__wal_recover(f.directory, &f.options, 0, 0, past(false), see, &seen,
                                             &f.recovery, &f.error));
            assert_int_equal(seen.count, n);
        }
        fixture_open(&f, 0, false);
        assert_int_equal(f.recovery.frames, n);
        fixture_destroy(&f);
    }
}

static void test_wal_every_failed_allocation_is_reported(void **state) {
    (void)state;
    uint64_t live = memdb__memory_live();
    bool reached = true;
    for (uint64_t after = 0; reached; after++) {
        fixture_t f;
        seen_t seen = {0};
        uint64_t end;
        memdb__frame_t frame;
        uint8_t *payload = calloc(1, 1 << 20);
        fixture_create(&f, 64 << 10);
        memdb__control_start_t start = {0};
        memcpy(start.database_id, f.options.database_id, 16);
        uint64_t before = memdb__memory_count();
        memdb__memory_fail_after(after);
        memdb_status_t status = memdb__wal_recover(f.directory, &f.options, 0, 0, past(true), see,
                                                   &seen, &f.recovery, &f.error);
        start.segment_epoch = f.recovery.segment_epoch;
        start.next_epoch = f.recovery.next_epoch;
        if (status == MEMDB_OK) {
            EXPECT_OK(&f, memdb__control_create(f.directory, &start, &f.control, &f.error));
            status = memdb__wal_open(f.directory, &f.options, f.control, &f.wal, &f.error);
        }
        if (status == MEMDB_OK) {
            EXPECT_OK(&f, memdb__wal_lock(f.wal, &f.error));
            status =
                memdb__wal_add(f.wal, payload, payload_make(0, 50000, payload), &frame, &f.error);
            status = status ? status
                            : memdb__wal_add(f.wal, payload, payload_make(1, 1 << 20, payload),
                                             &frame, &f.error);
            status = status ? status : memdb__wal_write(f.wal, &f.error);
            memdb__wal_unlock(f.wal);
            status = status ? status : memdb__wal_sync(f.wal, frame.end, &f.error);
            status = status ? status
                            : memdb__wal_follow(f.wal, 0, frame.end, see, &seen, &end, &f.error);
            status = status ? status : memdb__wal_cut(f.wal, 0, &f.error);
        }
        reached = memdb__memory_count() - before > after;
        memdb__memory_fail_after(UINT64_MAX);
        EXPECT(&f, reached ? MEMDB_NOMEM : MEMDB_OK, status);
        if (f.control != NULL) {
            assert_int_equal(atomic_load(&f.control->failed), 0);
            fixture_close(&f);
        }
        free(payload);
        fixture_destroy(&f);
        assert_int_equal(memdb__memory_live(), live);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wal_failed_sync_fails_the_database_for_all),
        cmocka_unit_test(test_wal_failed_write_fails_the_database),
        cmocka_unit_test(test_wal_full_disk_refuses_and_goes_on_later),
        cmocka_unit_test(test_wal_every_failed_call_while_appending_loses_nothing),
        cmocka_unit_test(test_wal_every_failed_call_of_recovery_can_be_repeated),
        cmocka_unit_test(test_wal_every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
