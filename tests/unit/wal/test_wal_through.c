// Goal: a batch that is written through is durable without a sync, and only a writer that nobody
// writes beside writes through; space that was prepared spares the appends. Method: an I/O table
// that counts syncs and direct writes, two handles, and a file system that refuses.
#include "base/io.h"
#include "tests/unit/wal/wal_fixture.h"

#include <errno.h>
#include <fcntl.h>

static unsigned syncs, direct;
static bool refuses_open, refuses_write;

static int open_counted(int directory, const char *name, int flags, mode_t mode) {
    if (refuses_open && (flags & O_DIRECT)) {
        errno = EINVAL;
        return -1;
    }
    // Without O_DIRECT where the test's own file system has none: the calls are what is looked at.
    int fd = memdb__io_real.open_at(directory, name, flags, mode);
    return fd < 0 && (flags & O_DIRECT)
               ? memdb__io_real.open_at(directory, name, flags & ~O_DIRECT, mode)
               : fd;
}

static ssize_t write_counted(int fd, const void *buffer, size_t size, off_t offset) {
    if (fcntl(fd, F_GETFL) & O_DSYNC) {
        if (refuses_write) {
            errno = EINVAL;
            return -1;
        }
        assert_int_equal((uintptr_t)buffer % 4096, 0);
        assert_int_equal(size % 4096, 0);
        assert_int_equal(offset % 4096, 0);
        direct++;
    }
    return memdb__io_real.pwrite(fd, buffer, size, offset);
}

static int sync_counted(int fd) {
    syncs++;
    return memdb__io_real.sync_data(fd);
}

static int install(void **state) {
    static memdb__io_table_t table;
    (void)state;
    table = memdb__io_real;
    table.open_at = open_counted;
    table.pwrite = write_counted;
    table.sync_data = sync_counted;
    refuses_open = refuses_write = false;
    memdb__io_install(&table);
    return 0;
}

static int restore(void **state) {
    (void)state;
    memdb__io_install(NULL);
    return 0;
}

/// Append one payload through; the counters tell how it went to the disk.
static memdb__frame_t append_through(fixture_t *f, uint64_t n) {
    uint8_t payload[PAYLOAD_LIMIT];
    memdb__frame_t frame;
    EXPECT_OK(f, memdb__wal_lock(f->wal, &f->error));
    EXPECT_OK(f, memdb__wal_add(f->wal, payload, payload_make(n, payload_size(n), payload), &frame,
                                &f->error));
    syncs = direct = 0;
    EXPECT_OK(f, memdb__wal_write_through(f->wal, &f->error));
    memdb__wal_unlock(f->wal);
    EXPECT_OK(f, memdb__wal_sync(f->wal, frame.end, &f->error));
    assert_true(atomic_load(&f->control->durable) >= frame.end);
    return frame;
}

static void test_wal_lone_writer_writes_through_without_a_sync(void **state) {
    (void)state;
    fixture_t f;
    seen_t seen = {0};
    uint64_t end;
    fixture_create(&f, 64 << 10);
    fixture_open(&f, 0, false);
    for (uint64_t n = 0; n < 40; n++) { // over changes of the segment too
        append_through(&f, n);
        assert_int_equal(direct, n >= 2);
        assert_int_equal(syncs, n < 2);
    }
    EXPECT_OK(&f, scan(&f, 0, &seen, &end));
    assert_int_equal(seen.count, 40);
    fixture_close(&f);
    fixture_open(&f, 0, false);
    assert_int_equal(f.recovery.frames, 40);
    fixture_destroy(&f);
}

static void test_wal_writers_beside_each_other_share_syncs(void **state) {
    (void)state;
    fixture_t f, other;
    fixture_create(&f, 64 << 10);
    fixture_open(&f, 0, false);
    fixture_attach(&other, &f);
    for (uint64_t n = 0; n < 20; n += 2) {
        append_through(&f, n);
        assert_int_equal(direct, 0);
        append_through(&other, n + 1);
        assert_int_equal(direct, 0);
    }
    for (uint64_t n = 20; n < 23; n++) { // now one of them is alone
        append_through(&other, n);
    }
    assert_int_equal(direct, 1);
    append(&f, 23, false); // the other one again: what it wrote is not durable yet
    append_through(&other, 24);
    assert_int_equal(direct, 0);
    assert_int_equal(syncs, 1);
    fixture_close(&other);
    fixture_destroy(&f);
}

static void test_wal_batch_above_undurable_bytes_is_not_written_through(void **state) {
    (void)state;
    fixture_t f;
    fixture_create(&f, 64 << 10);
    fixture_open(&f, 0, false);
    for (uint64_t n = 0; n < 3; n++) {
        append_through(&f, n);
    }
    assert_int_equal(direct, 1);
    append(&f, 3, false);
    append_through(&f, 4); // its sync takes both
    assert_int_equal(direct, 0);
    append_through(&f, 5);
    assert_int_equal(direct, 1);
    fixture_destroy(&f);
}

static void test_wal_file_system_without_direct_writes_is_synced(void **state) {
    (void)state;
    for (int at = 0; at < 2; at++) {
        fixture_t f;
        refuses_open = at == 0;
        refuses_write = at == 1;
        fixture_create(&f, 64 << 10);
        fixture_open(&f, 0, false);
        for (uint64_t n = 0; n < 6; n++) {
            append_through(&f, n);
            assert_int_equal(direct, 0);
        }
        fixture_close(&f);
        fixture_open(&f, 0, false);
        assert_int_equal(f.recovery.frames, 6);
        fixture_destroy(&f);
    }
}

static off_t newest_size(fixture_t *f) {
    char name[32];
    struct stat about;
    newest_name(f, name);
    assert_int_equal(fstatat(f->log, name, &about, 0), 0);
    return about.st_size;
}

static void test_wal_prepared_space_spares_appends(void **state) {
    (void)state;
    fixture_t f;
    fixture_create(&f, 16 << 20);
    fixture_open(&f, 0, false);
    append_through(&f, 0);
    assert_true(memdb__wal_wants_space(f.wal)); // a new segment has little
    EXPECT_OK(&f, memdb__wal_prepare_space(f.wal, &f.error));
    assert_false(memdb__wal_wants_space(f.wal));
    off_t prepared = newest_size(&f);
    assert_true(prepared >= 4 << 20);
    uint64_t n = 1;
    while (!memdb__wal_wants_space(f.wal)) {
        append_through(&f, n++);
        assert_true(direct + syncs == 1); // the batch, and nothing else
    }
    assert_int_equal(newest_size(&f), prepared);
    assert_true(n > 200);
    // To the segment's end, and over it.
    while (atomic_load(&f.control->segment_epoch) < 4) {
        append_through(&f, n++);
        EXPECT_OK(&f, memdb__wal_prepare_space(f.wal, &f.error));
    }
    fixture_close(&f);
    fixture_open(&f, 0, false);
    assert_int_equal(f.recovery.frames, n);
    fixture_destroy(&f);
}

static void test_wal_lesser_batches_sync_nothing_within_a_segment(void **state) {
    (void)state;
    fixture_t f;
    fixture_create(&f, 16 << 20);
    fixture_open(&f, 0, false);
    uint64_t n = 0, epoch = atomic_load(&f.control->segment_epoch);
    syncs = direct = 0;
    while (!memdb__wal_wants_sync(f.wal)) { // over the first zeros of the segment, and more
        append(&f, n++, false);
        assert_false(memdb__wal_wants_space(f.wal));
    }
    assert_int_equal(syncs, 0);
    assert_int_equal(atomic_load(&f.control->segment_epoch), epoch);
    uint64_t written = atomic_load(&f.control->written);
    assert_true(written > 4 << 20);
    EXPECT_OK(&f, memdb__wal_sync(f.wal, written, &f.error));
    assert_false(memdb__wal_wants_sync(f.wal));
    assert_int_equal(syncs, 1);
    // The first that is written through finds zeros which no sync of its own has met.
    append_through(&f, n++);
    assert_int_equal(direct, 1);
    assert_int_equal(syncs, 1);
    append_through(&f, n++);
    assert_int_equal(direct, 1);
    assert_int_equal(syncs, 0);
    fixture_close(&f);
    fixture_open(&f, 0, false);
    assert_int_equal(f.recovery.frames, n);
    fixture_destroy(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_wal_lone_writer_writes_through_without_a_sync, install,
                                        restore),
        cmocka_unit_test_setup_teardown(test_wal_writers_beside_each_other_share_syncs, install,
                                        restore),
        cmocka_unit_test_setup_teardown(test_wal_batch_above_undurable_bytes_is_not_written_through,
                                        install, restore),
        cmocka_unit_test_setup_teardown(test_wal_file_system_without_direct_writes_is_synced,
                                        install, restore),
        cmocka_unit_test_setup_teardown(test_wal_prepared_space_spares_appends, install, restore),
        cmocka_unit_test_setup_teardown(test_wal_lesser_batches_sync_nothing_within_a_segment,
                                        install, restore),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
