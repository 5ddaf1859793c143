// Damage to an extent, and failures of the system below.
//
// Damage: every byte of a small extent, every length, blocks moved about. A read gives
// MEMDB_CORRUPT or exactly what was written; verify finds every changed byte of a blob. Failures:
// each I/O call and each allocation of a run of writes fails once, in turn; what was reported as
// written is whole, also for who opens the arena anew.
#include "tests/unit/blob/blob_fixture.h"

enum { BLOBS = 6 };
static const uint64_t SIZES[BLOBS] = {0, 1, 700, 65536, 65537, 140000};

typedef struct extent_file {
    char name[32];
    uint8_t *data;
    size_t size;
    blob_t blobs[BLOBS];
} extent_file_t;

static void make_extent(fixture_t *fixture, extent_file_t *file) {
    // The large ones first: the shared extent of the small ones is then the one they have left.
    for (int i = BLOBS - 1; i >= 0; i--)
        file->blobs[i] = write_blob(fixture->blobs, SIZES[i], (uint64_t)i + 1, 70000);
    assert_ok(memdb__blobs_sync(fixture->blobs, error));
    memdb__blob_file(file->blobs[0].reference, file->name);
    for (int i = 1; i < BLOBS; i++) {
        char name[32];
        memdb__blob_file(file->blobs[i].reference, name);
        assert_string_equal(name, file->name);
    }
    assert_ok(memdb__io_read_file(fixture->directory, file->name, 1 << 20, &file->data, &file->size,
                                  error));
}

// Read and verify each blob of a damaged file. damaged_at: the one byte that differs, or SIZE_MAX.
static void judge(fixture_t *fixture, const extent_file_t *file, size_t damaged_at,
                  bool must_fail) {
    for (int i = 0; i < BLOBS; i++) {
        const blob_t *blob = &file->blobs[i];
        uint64_t begin = memdb__get_u64(blob->reference + 8),
                 end = begin + memdb__blob_footprint(blob->size);
        bool same = true;
        memdb_error_t failure = {0};
        memdb_status_t status =
            try_read(fixture->blobs, blob, 0, (size_t)blob->size, &same, &failure);
        if (status != MEMDB_OK && (status != MEMDB_CORRUPT || !strstr(failure.message, file->name)))
            fail_msg("read %d, byte %zu: %d %s", i, damaged_at, status, failure.message);
        assert_true(same);
        status = memdb__blob_verify(fixture->blobs, blob->reference, &failure);
        bool inside =
            (damaged_at >= begin && damaged_at < end) || damaged_at < MEMDB__EXTENT_HEADER_BYTES;
        if (inside || must_fail)
            assert_int_equal(status, MEMDB_CORRUPT);
        else if (damaged_at != SIZE_MAX)
            assert_int_equal(status, MEMDB_OK);
    }
}

static void test_blob_damaged_byte_is_found(void **state) {
    fixture_t *fixture = *state;
    extent_file_t file;
    make_extent(fixture, &file);
    int fd = openat(fixture->directory, file.name, O_RDWR);
    bool slow = getenv("MEMDB_SLOW") != NULL;
    for (size_t at = 0; at < file.size;) {
        uint8_t byte = file.data[at] ^ (uint8_t)(1u << (next_random(&fixture->random) % 8));
        assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
        if (at < MEMDB__EXTENT_HEADER_BYTES)
            reopen(fixture, true); // its header is looked at once, when it is opened
        judge(fixture, &file, at, false);
        assert_int_equal(pwrite(fd, &file.data[at], 1, (off_t)at), 1);
        // All bytes of the small blobs and of every header, a sample of the content.
        uint64_t first = memdb__get_u64(file.blobs[2].reference + 8);
        bool dense = slow || at < 100 || (at >= first && at < first + 1200) || at % 65536 < 4;
        for (int i = 0; i < BLOBS; i++) {
            uint64_t begin = memdb__get_u64(file.blobs[i].reference + 8);
            uint64_t end = begin + memdb__blob_footprint(file.blobs[i].size);
            dense |= (at >= begin && at < begin + 70) || (at + 80 >= end && at < end);
        }
        at += dense ? 1 : 97;
    }
    close(fd);
    memdb__free(file.data);
}

static void test_blob_truncated_extent_is_corrupt(void **state) {
    fixture_t *fixture = *state;
    extent_file_t file;
    make_extent(fixture, &file);
    int fd = openat(fixture->directory, file.name, O_RDWR);
    memdb__blob_view_t *views[BLOBS];
    uint8_t *buffer = malloc(file.size);
    for (int i = 0; i < BLOBS; i++)
        assert_ok(
            memdb__blob_open(fixture->blobs, file.blobs[i].reference, &views[i], NULL, error));
    for (size_t size = file.size; size > 0;) {
        size -= size < 512 ? size : 512;
        assert_int_equal(ftruncate(fd, (off_t)size), 0);
        for (int i = 0; i < BLOBS;
             i++) { // views that were open before, on a mapping that reaches behind the end
            uint64_t end = memdb__get_u64(file.blobs[i].reference + 8) +
                           memdb__blob_footprint(file.blobs[i].size);
            memdb_error_t failure = {0};
            memdb_status_t status =
                memdb__blob_read(views[i], 0, buffer, (size_t)file.blobs[i].size, &failure);
            assert_true(status == MEMDB_OK || status == MEMDB_CORRUPT);
            status = memdb__blob_verify(fixture->blobs, file.blobs[i].reference, &failure);
            assert_int_equal(status, end <= size ? MEMDB_OK : MEMDB_CORRUPT);
        }
    }
    for (int i = 0; i < BLOBS; i++)
        memdb__blob_close(views[i]);
    reopen(fixture, true);
    judge(fixture, &file, SIZE_MAX, true);
    unlinkat(fixture->directory, file.name, 0);
    reopen(fixture, true);
    judge(fixture, &file, SIZE_MAX, true);
    close(fd);
    free(buffer);
    memdb__free(file.data);
}

static void test_blob_block_of_another_place_is_found(void **state) {
    fixture_t *fixture = *state;
    extent_file_t file;
    make_extent(fixture, &file);
    int fd = openat(fixture->directory, file.name, O_RDWR);
    for (int i = 0; i < 500; i++) {
        size_t to = (size_t)(next_random(&fixture->random) % (file.size / 64)) * 64;
        size_t from = (size_t)(next_random(&fixture->random) % (file.size / 64)) * 64;
        size_t size = 64 << next_random(&fixture->random) % 12;
        size = size < file.size - to ? size : file.size - to;
        size = size < file.size - from ? size : file.size - from;
        assert_int_equal(pwrite(fd, file.data + from, size, (off_t)to), (ssize_t)size);
        reopen(fixture, true);
        judge(fixture, &file, SIZE_MAX, false);
        assert_int_equal(pwrite(fd, file.data, file.size, 0), (ssize_t)file.size);
    }
    // A whole extent under another name, and a reference that is a little off.
    char other[32] = "blob/00000000000fffff.ext";
    assert_int_equal(linkat(fixture->directory, file.name, fixture->directory, other, 0), 0);
    memdb_error_t failure = {0};
    for (size_t at = 0; at < 32 * 8; at++) {
        blob_t blob = file.blobs[4];
        bool same;
        blob.reference[at / 8] ^= (uint8_t)(1u << (at % 8));
        assert_int_equal(try_read(fixture->blobs, &blob, 0, 1, &same, &failure), MEMDB_CORRUPT);
    }
    blob_t blob = file.blobs[4];
    memdb__put_u64(blob.reference, 0xfffff);
    assert_int_equal(memdb__blob_verify(fixture->blobs, blob.reference, &failure), MEMDB_CORRUPT);
    close(fd);
    memdb__free(file.data);
}

// A table that lets one call fail: number `fail_at` from now, with `fail_with`.
static uint64_t calls, fail_at = UINT64_MAX;
static int fail_with;
static memdb__io_table_t failing;

static bool fails(void) {
    if (calls++ != fail_at)
        return false;
    errno = fail_with;
    return true;
}

static int failing_open(int directory, const char *name, int flags, mode_t mode) {
    return fails() ? -1 : memdb__io_real.open_at(directory, name, flags, mode);
}

static ssize_t failing_pread(int fd, void *buffer, size_t size, off_t offset) {
    return fails() ? -1 : memdb__io_real.pread(fd, buffer, size, offset);
}

static ssize_t failing_pwrite(int fd, const void *buffer, size_t size, off_t offset) {
    if (!fails())
        return memdb__io_real.pwrite(fd, buffer, size, offset);
    memdb__io_real.pwrite(fd, buffer, size / 2, offset); // a torn write
    errno = fail_with;
    return -1;
}

static int failing_sync(int fd) {
    return fails() ? -1 : memdb__io_real.sync_data(fd);
}

static int failing_truncate(int fd, off_t size) {
    return fails() ? -1 : memdb__io_real.truncate(fd, size);
}

static int failing_stat(int fd, struct stat *out) {
    return fails() ? -1 : memdb__io_real.stat(fd, out);
}

static int failing_make_directory(int directory, const char *name, mode_t mode) {
    return fails() ? -1 : memdb__io_real.make_directory_at(directory, name, mode);
}

static void *failing_map(int fd, size_t size, int protection) {
    return fails() ? (void *)-1 : memdb__io_real.map(fd, size, protection);
}

// Open, write, sync, read. Fills `blobs` with what was reported as written; returns how many, or -1
// when the arena did not open.
static int run(fixture_t *fixture, blob_t blobs[BLOBS], bool *synced_out, memdb_error_t *failure) {
    int count = 0;
    memdb__blobs_t *arena;
    *synced_out = false;
    if (memdb__blobs_open(fixture->directory, DATABASE_ID, next_id, NULL, false, &arena, failure))
        return -1;
    for (int i = 0; i < BLOBS; i++)
        count += try_write(arena, SIZES[BLOBS - 1 - i], (uint64_t)i, 60000, &blobs[count],
                           failure) == MEMDB_OK;
    *synced_out = memdb__blobs_sync(arena, failure) == MEMDB_OK;
    if (!*synced_out)
        assert_int_equal(memdb__blobs_sync(arena, failure), MEMDB_FAILED);
    for (int i = 0; i < count; i++) {
        bool same = true;
        try_read(arena, &blobs[i], 0, (size_t)blobs[i].size, &same, failure);
        assert_true(same);
    }
    memdb__blobs_close(arena);
    return count;
}

static void test_blob_failed_calls_lose_nothing_reported(void **state) {
    fixture_t *fixture = *state;
    static const int errors[] = {EIO, ENOSPC, EINTR};
    failing = memdb__io_real;
    failing.open_at = failing_open;
    failing.pread = failing_pread;
    failing.pwrite = failing_pwrite;
    failing.sync_data = failing.sync_all = failing_sync;
    failing.truncate = failing_truncate;
    failing.stat = failing_stat;
    failing.make_directory_at = failing_make_directory;
    failing.map = failing_map;
    for (size_t kind = 0; kind < 4; kind++) {
        uint64_t number = 0;
        for (bool failed = true; failed; number++) {
            blob_t blobs[BLOBS];
            bool synced;
            memdb_error_t failure = {0};
            memdb__blobs_close(fixture->blobs);
            fixture->blobs = NULL;
            remove_extents(fixture);
            unlinkat(fixture->directory, "blob", AT_REMOVEDIR);
            uint64_t live = memdb__memory_live();
            if (kind < 3) {
                calls = 0;
                fail_at = number;
                fail_with = errors[kind];
                memdb__io_install(&failing);
            } else {
                memdb__memory_fail_after(number);
            }
            uint64_t allocations = memdb__memory_count();
            int count = run(fixture, blobs, &synced, &failure);
            failed = kind < 3 ? calls > number : memdb__memory_count() - allocations > number;
            memdb__memory_fail_after(UINT64_MAX);
            memdb__io_install(NULL);
            assert_int_equal(memdb__memory_live(), live);
            reopen(fixture, false);
            for (int i = 0; i < count; i++)
                expect_blob(fixture->blobs, &blobs[i], &fixture->random);
            if (!failed)
                assert_true(count == BLOBS && synced);
            assert_true(count >= BLOBS - 1 || count == -1);
        }
        print_message("kind %zu: %" PRIu64 " calls failed in turn\n", kind, number - 1);
        assert_true(number > 10);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_blob_damaged_byte_is_found, setup, teardown),
        cmocka_unit_test_setup_teardown(test_blob_truncated_extent_is_corrupt, setup, teardown),
        cmocka_unit_test_setup_teardown(test_blob_block_of_another_place_is_found, setup, teardown),
        cmocka_unit_test_setup_teardown(test_blob_failed_calls_lose_nothing_reported, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
