// The recorder and the model of a disk that the test of power cuts stands on: what calls do is what
// the disk replays, and after a cut all that may be there is seen in some state, and nothing else
// in any. Each case makes real calls in a new directory and looks at some hundred cuts of them.
#include "tests/crash/disk.h"
#include "tests/lib/database.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define CUTS 600
#define BLOCK 4096
#define SECTOR 512

static char home[200];
static int home_fd;
static uint8_t old_bytes[2 * BLOCK], new_bytes[2 * BLOCK];

static int setup(void **state) {
    (void)state;
    const char *parent = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    snprintf(home, sizeof home, "%.100s/memdb-disk-XXXXXX", parent);
    memset(old_bytes, 'o', sizeof old_bytes);
    memset(new_bytes, 'n', sizeof new_bytes);
    home_fd = mkdtemp(home) ? open(home, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    return home_fd < 0;
}

static int teardown(void **state) {
    (void)state;
    close(home_fd);
    remove_tree(home);
    return 0;
}

static int make(const char *name, int flags) {
    int fd = openat(home_fd, name, O_RDWR | O_CREAT | O_CLOEXEC | flags, 0600);
    assert_true(fd >= 0);
    return fd;
}

static void put(int fd, const void *bytes, size_t size, off_t offset) {
    assert_int_equal(pwrite(fd, bytes, size, offset), size);
}

static void sync_both(int fd) {
    assert_int_equal(fsync(fd), 0);
    assert_int_equal(fsync(home_fd), 0);
}

/// A file with the old bytes, all of it durable.
static int make_old(const char *name) {
    int fd = make(name, 0);
    put(fd, old_bytes, sizeof old_bytes, 0);
    sync_both(fd);
    return fd;
}

static const disk_node_t *named(const disk_t *disk, const char *name) {
    for (size_t i = 0; disk->count && i < disk->nodes[0].entry_count; i++) {
        if (strcmp(disk->nodes[0].entries[i].name, name) == 0) {
            return &disk->nodes[disk->nodes[0].entries[i].node];
        }
    }
    return NULL;
}

/// End the recording and give the disks of cuts at its end to `look`, which returns which of up to
/// 32 things it sees. Returns all that were seen.
static uint32_t see(uint32_t (*look)(const disk_t *disk)) {
    trace_t trace;
    disk_t disk = {0};
    uint32_t seen = 0;
    recorder_end(&trace);
    disk_replay(&disk, &trace, trace.count);
    for (uint64_t i = 0; i < CUTS; i++) {
        choice_t choice = choice_of(7, i);
        disk_t image;
        disk_cut(&disk, &choice, &image);
        seen |= look(&image);
        disk_free(&image);
    }
    disk_free(&disk);
    trace_free(&trace);
    return seen;
}

enum {
    ABSENT = 1,
    OLD = 2,
    NEW = 4,
    TORN_SECTOR = 8,
    SHORT = 16,
    OTHER = 32,
    SECOND = 64,
    BOTH = 128
};

static bool all(const disk_node_t *file, size_t at, size_t size, uint8_t byte) {
    for (size_t i = at; i < at + size; i++) {
        if (file->bytes[i] != byte) {
            return false;
        }
    }
    return true;
}

/// What "a" holds, of two blocks that were old and became new.
static uint32_t look_at_blocks(const disk_t *disk) {
    const disk_node_t *file = named(disk, "a");
    if (!file) {
        return ABSENT;
    }
    if (file->size < sizeof old_bytes) {
        return SHORT;
    }
    uint32_t seen = 0, changes = 0;
    for (size_t at = 0; at < sizeof old_bytes; at += SECTOR) {
        bool is_old = all(file, at, SECTOR, 'o'), is_new = all(file, at, SECTOR, 'n');
        seen |= is_old ? OLD : is_new ? NEW : OTHER;
        changes += at % BLOCK && file->bytes[at] != file->bytes[at - 1];
    }
    return (seen == (OLD | NEW) ? 0 : seen) | (seen == (OLD | NEW) && changes ? TORN_SECTOR : 0);
}

static void test_bytes_that_are_not_synced_are_old_new_or_torn(void **state) {
    (void)state;
    recorder_begin(home);
    int fd = make_old("a");
    put(fd, new_bytes, sizeof new_bytes, 0);
    assert_int_equal(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE), 0); // promises nothing
    close(fd);
    assert_int_equal(see(look_at_blocks), OLD | NEW | TORN_SECTOR);
}

static void test_bytes_that_are_synced_are_there(void **state) {
    (void)state;
    recorder_begin(home);
    int fd = make_old("a");
    put(fd, new_bytes, sizeof new_bytes, 0);
    assert_int_equal(fdatasync(fd), 0);
    close(fd);
    assert_int_equal(see(look_at_blocks), NEW);
}

static void test_a_synced_file_needs_its_directory_synced(void **state) {
    (void)state;
    recorder_begin(home);
    int fd = make("a", 0);
    put(fd, new_bytes, sizeof new_bytes, 0);
    assert_int_equal(fsync(fd), 0);
    close(fd);
    assert_int_equal(see(look_at_blocks), ABSENT | NEW);
}

static void test_a_named_file_needs_its_bytes_synced(void **state) {
    (void)state;
    recorder_begin(home);
    int fd = make("a", 0);
    put(fd, new_bytes, sizeof new_bytes, 0);
    assert_int_equal(fsync(home_fd), 0);
    close(fd);
    assert_int_equal(see(look_at_blocks) & (ABSENT | NEW | SHORT | OTHER), NEW | SHORT | OTHER);
}

/// The first block is old or new, and there is a second one.
static uint32_t look_at_two_writes(const disk_t *disk) {
    const disk_node_t *file = named(disk, "a");
    uint32_t first = all(file, 0, BLOCK, 'o') ? OLD : all(file, 0, BLOCK, 'n') ? NEW : OTHER;
    return first | (file->size == 3 * BLOCK && all(file, 2 * BLOCK, BLOCK, 'n') ? SECOND : SHORT);
}

static void test_a_write_through_dsync_is_durable_alone(void **state) {
    (void)state;
    recorder_begin(home);
    int fd = make_old("a"), durable = make("a", O_DSYNC);
    put(fd, new_bytes, BLOCK, 0);
    put(durable, new_bytes, BLOCK, 2 * BLOCK); // behind the end: with its size
    close(durable);
    close(fd);
    uint32_t seen = see(look_at_two_writes);
    assert_int_equal(seen & ~(uint32_t)OTHER, OLD | NEW | SECOND);
}

static uint32_t look_at_rename(const disk_t *disk) {
    const disk_node_t *a = named(disk, "a"), *b = named(disk, "b"), *folder = named(disk, "folder");
    bool inner = folder && folder->entry_count == 1;
    return (a ? OLD : 0) | (b ? NEW : 0) | (inner ? SECOND : 0) |
           ((a != NULL) + (b != NULL) + inner != 1 ? BOTH : 0);
}

static void test_a_rename_is_whole(void **state) {
    (void)state;
    recorder_begin(home);
    close(make_old("a"));
    assert_int_equal(renameat(home_fd, "a", home_fd, "b"), 0);
    assert_int_equal(see(look_at_rename), OLD | NEW);
    recorder_begin(home);
    assert_int_equal(mkdirat(home_fd, "folder", 0700), 0);
    assert_int_equal(fsync(home_fd), 0);
    assert_int_equal(renameat(home_fd, "b", home_fd, "folder/a"), 0);
    assert_int_equal(see(look_at_rename), NEW | SECOND);
}

static void test_a_rename_is_durable_with_either_directory(void **state) {
    (void)state;
    recorder_begin(home);
    close(make_old("a"));
    assert_int_equal(mkdirat(home_fd, "folder", 0700), 0);
    int folder = openat(home_fd, "folder", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(fsync(home_fd), 0);
    assert_int_equal(renameat(home_fd, "a", folder, "a"), 0);
    assert_int_equal(fsync(folder), 0);
    close(folder);
    assert_int_equal(see(look_at_rename), SECOND);
}

/// A name that was made, taken away and made again: the changes of one name keep their order.
static uint32_t look_at_order(const disk_t *disk) {
    const disk_node_t *a = named(disk, "a"), *b = named(disk, "b");
    return (!a ? ABSENT : a->size == sizeof old_bytes ? OLD : NEW) | (b ? SECOND : 0);
}

static void test_changes_of_a_name_keep_their_order(void **state) {
    (void)state;
    recorder_begin(home);
    close(make_old("a"));
    assert_int_equal(unlinkat(home_fd, "a", 0), 0);
    close(make("a", 0));
    close(make("b", 0)); // another name: it may be there without the others
    assert_int_equal(see(look_at_order), ABSENT | OLD | NEW | SECOND);
    recorder_begin(home);
    assert_int_equal(unlinkat(home_fd, "a", 0), 0);
    close(make("a", 0));
    assert_int_equal(fsync(home_fd), 0);
    assert_int_equal(see(look_at_order), NEW | SECOND);
}

static uint32_t look_at_size(const disk_t *disk) {
    const disk_node_t *file = named(disk, "a");
    return file->size == sizeof old_bytes ? OLD : file->size == 10 ? SHORT : OTHER;
}

static void test_a_size_is_synced_with_the_file(void **state) {
    (void)state;
    recorder_begin(home);
    int fd = make_old("a");
    assert_int_equal(ftruncate(fd, 10), 0);
    assert_int_equal(see(look_at_size), OLD | SHORT);
    recorder_begin(home);
    assert_int_equal(ftruncate(fd, sizeof old_bytes), 0);
    assert_int_equal(fdatasync(fd), 0);
    assert_int_equal(see(look_at_size), OLD);
    close(fd);
}

static uint32_t look_at_store(const disk_t *disk) {
    const disk_node_t *file = named(disk, "a");
    return file->bytes[BLOCK] == 'x' ? NEW : OLD;
}

static void test_stores_through_a_mapping_need_msync(void **state) {
    (void)state;
    recorder_begin(home);
    int fd = make_old("a");
    char *bytes = mmap(NULL, sizeof old_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(bytes, MAP_FAILED);
    bytes[BLOCK] = 'x';
    assert_int_equal(see(look_at_store), OLD | NEW);
    munmap(bytes, sizeof old_bytes);
    recorder_begin(home);
    put(fd, old_bytes, sizeof old_bytes, 0);
    bytes = mmap(NULL, sizeof old_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(bytes, MAP_FAILED);
    bytes[BLOCK] = 'x';
    assert_int_equal(msync(bytes, sizeof old_bytes, MS_SYNC), 0);
    assert_int_equal(see(look_at_store), NEW);
    munmap(bytes, sizeof old_bytes);
    close(fd);
}

/// All the ways to change a file.
static void change_bytes(void) {
    struct iovec parts[2] = {{old_bytes, 100}, {new_bytes, 200}};
    int fd = make("bytes", 0), appending = make("bytes", O_APPEND), from = make_old("from");
    put(fd, new_bytes, 5000, 3000);
    assert_int_equal(write(fd, "position", 8), 8);
    assert_int_equal(writev(fd, parts, 2), 300);
    assert_int_equal(pwritev(fd, parts, 2, 9000), 300);
    assert_int_equal(write(appending, "end", 3), 3);
    assert_int_equal(fallocate(fd, 0, 12000, 700), 0);
    assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4000, 500), 0);
    assert_int_equal(posix_fallocate(fd, 0, 20000), 0);
    assert_int_equal(copy_file_range(from, NULL, fd, &(off_t){15000}, 1000, 0), 1000);
    assert_int_equal(ftruncate(fd, 18000), 0);
    assert_int_equal(ftruncate(fd, 19000), 0);
    close(from);
    close(appending);
    close(fd);
}

static void change_names(void) {
    char path[300], other[300];
    assert_int_equal(mkdirat(home_fd, "one", 0700), 0);
    snprintf(path, sizeof path, "%s/two", home);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(linkat(home_fd, "bytes", home_fd, "one/link", 0), 0);
    assert_int_equal(renameat2(home_fd, "from", home_fd, "two/from", RENAME_NOREPLACE), 0);
    snprintf(path, sizeof path, "%s/one/link", home);
    snprintf(other, sizeof other, "%s/two/link", home);
    assert_int_equal(link(path, other), 0);
    assert_int_equal(rename(other, path), 0); // two names of one file: nothing happens
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir((snprintf(path, sizeof path, "%s/one", home), path)), 0);
    assert_int_equal(close(openat(home_fd, "bytes", O_WRONLY | O_TRUNC | O_CLOEXEC)), 0);
}

static void test_what_is_recorded_is_what_happened(void **state) {
    (void)state;
    void (*const changes[])(void) = {change_bytes, change_names};
    for (int i = 0; i < 2; i++) {
        trace_t trace, now;
        disk_t replayed = {0}, left;
        char what[200] = "";
        recorder_begin(home);
        changes[i]();
        recorder_end(&trace);
        disk_replay(&replayed, &trace, trace.count);
        disk_settle(&replayed);
        disk_load(home, &left, &now);
        if (!disk_equals(&replayed, &left, what)) {
            fail_msg("%s", what);
        }
        disk_free(&replayed);
        disk_free(&left);
        trace_free(&trace);
        trace_free(&now);
    }
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_bytes_that_are_not_synced_are_old_new_or_torn),
        CASE(test_bytes_that_are_synced_are_there),
        CASE(test_a_synced_file_needs_its_directory_synced),
        CASE(test_a_named_file_needs_its_bytes_synced),
        CASE(test_a_write_through_dsync_is_durable_alone),
        CASE(test_a_rename_is_whole),
        CASE(test_a_rename_is_durable_with_either_directory),
        CASE(test_changes_of_a_name_keep_their_order),
        CASE(test_a_size_is_synced_with_the_file),
        CASE(test_stores_through_a_mapping_need_msync),
        CASE(test_what_is_recorded_is_what_happened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
