// Opening: what is no database, is of another version, is damaged, was left half-made, or may only
// be read, is told by its status; and the limits of a handle: open snapshots at the close, and a
// log that is at its limit.
#include "base/bytes.h"
#include "base/checksum.h"
#include "base/io.h"
#include "engine/root.h"
#include "tests/lib/database.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

static memdb_status_t try_open(const char *path, uint32_t flags) {
    memdb_options_t options = {.size = sizeof options, .flags = flags};
    memdb_t *db = NULL;
    memdb_error_t error = {0};
    memdb_status_t status = memdb_open(path, &options, &db, &error);
    if (status == MEMDB_OK) {
        must(db, memdb_close(db));
    } else {
        assert_null(db);
        assert_int_equal(error.status, status);
        assert_true(error.message[0] != 0);
    }
    return status;
}

static void write_file(const char *directory, const char *name, const void *data, size_t size) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), (ssize_t)size);
    close(fd);
}

static void read_root(const char *directory, uint8_t root[MEMDB__ROOT_BYTES]) {
    char path[512];
    snprintf(path, sizeof path, "%s/root", directory);
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, root, MEMDB__ROOT_BYTES), MEMDB__ROOT_BYTES);
    close(fd);
}

static void remove_root(const char *directory) {
    char path[512];
    snprintf(path, sizeof path, "%s/root", directory);
    assert_int_equal(unlink(path), 0);
}

static void test_open_refuses_what_is_no_database(void **state) {
    fixture_t *fixture = *state;
    char path[512];
    snprintf(path, sizeof path, "%s-none", fixture->path);
    assert_int_equal(try_open(path, 0), MEMDB_NOT_FOUND);
    assert_int_equal(try_open(path, MEMDB_OPEN_READ_ONLY), MEMDB_NOT_FOUND);
    assert_int_equal(try_open(path, MEMDB_OPEN_READ_ONLY | MEMDB_OPEN_CREATE), MEMDB_NOT_FOUND);
    assert_int_not_equal(access(path, F_OK), 0); // nothing was made
    snprintf(path, sizeof path, "%s-none/below", fixture->path);
    assert_int_equal(try_open(path, MEMDB_OPEN_CREATE), MEMDB_NOT_FOUND);
    snprintf(path, sizeof path, "%s-empty", fixture->path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(try_open(path, 0), MEMDB_NOT_DATABASE);
    assert_int_equal(try_open(path, MEMDB_OPEN_READ_ONLY), MEMDB_NOT_DATABASE);
    write_file(path, "notes.txt", "mine", 4);
    assert_int_equal(try_open(path, 0), MEMDB_NOT_DATABASE);
    assert_int_equal(try_open(path, MEMDB_OPEN_CREATE), MEMDB_NOT_DATABASE);
    assert_int_equal(try_open(path, MEMDB_OPEN_READ_ONLY), MEMDB_NOT_DATABASE);
    snprintf(path, sizeof path, "%s-empty/notes.txt", fixture->path);
    memdb_status_t status = try_open(path, MEMDB_OPEN_CREATE); // a file, not a directory
    assert_true(status == MEMDB_IO || status == MEMDB_NOT_DATABASE);
}

static long file_system; // 0: what it is

/// Stands in for the C library's, so that a directory can lie on any file system.
int fstatfs(int fd, struct statfs *out) {
    int result = (int)syscall(SYS_fstatfs, fd, out);
    if (result == 0 && file_system) {
        out->f_type = file_system;
    }
    return result;
}

static void test_a_network_file_system_is_refused_and_named(void **state) {
    fixture_t *fixture = *state;
    fixture_close(fixture);
    const struct {
        long magic;
        const char *name;
    } systems[] = {{0x6969, "NFS"}, {0xFF534D42, "CIFS"}, {0x01021997, "9P"}, {0x65735546, "FUSE"}};
    for (size_t i = 0; i < sizeof systems / sizeof systems[0]; i++) {
        memdb_options_t options = {.size = sizeof options, .flags = MEMDB_OPEN_CREATE};
        memdb_t *db = NULL;
        memdb_error_t error = {0};
        file_system = systems[i].magic;
        memdb_status_t status = memdb_open(fixture->path, &options, &db, &error);
        file_system = 0;
        assert_int_equal(status, MEMDB_UNSUPPORTED);
        assert_non_null(strstr(error.message, systems[i].name));
    }
    assert_int_equal(try_open(fixture->path, 0), MEMDB_OK);
}

static void test_open_refuses_options_that_are_not_valid(void **state) {
    fixture_t *fixture = *state;
    memdb_t *db = NULL;
    memdb_error_t error;
    const memdb_options_t cases[] = {
        {.size = 0},
        {.size = 8},
        {.size = sizeof(memdb_options_t), .flags = 1u << 9},
        {.size = sizeof(memdb_options_t), .durability = (memdb_durability_t)4},
        {.size = sizeof(memdb_options_t), .io_backend = (memdb_io_backend_t)3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(memdb_open(fixture->path, &cases[i], &db, &error), MEMDB_INVALID);
        assert_int_equal(error.status, MEMDB_INVALID);
    }
    assert_int_equal(memdb_open("", NULL, &db, &error), MEMDB_INVALID);
    assert_int_equal(memdb_open(NULL, NULL, &db, NULL), MEMDB_INVALID);
    assert_int_equal(memdb_open(fixture->path, NULL, NULL, NULL), MEMDB_INVALID);
    assert_null(db);
    assert_int_equal(memdb_close(NULL), MEMDB_OK);
}

static void test_a_root_of_another_version_or_a_damaged_one_is_told(void **state) {
    fixture_t *fixture = *state;
    uint8_t whole[MEMDB__ROOT_BYTES], root[MEMDB__ROOT_BYTES];
    put_text(fixture->db, space_of(fixture->db, "main"), "k", "kept");
    fixture_close(fixture);
    read_root(fixture->path, whole);
    const struct {
        size_t at;
        uint8_t value;
        memdb_status_t wanted;
    } changes[] = {{8, 2, MEMDB_VERSION},       {9, 1, MEMDB_VERSION},   {12, 0, MEMDB_CORRUPT},
                   {12, 9, MEMDB_CORRUPT},      {100, 1, MEMDB_CORRUPT}, {503, 1, MEMDB_CORRUPT},
                   {0, 'X', MEMDB_NOT_DATABASE}};
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        for (uint32_t flags = 0; flags < 3; flags++) {
            memcpy(root, whole, sizeof root);
            root[changes[i].at] = changes[i].value;
            write_file(fixture->path, "root", root, sizeof root);
            assert_int_equal(try_open(fixture->path, flags), MEMDB_CORRUPT); // the checksum
            memdb__put_u64(root + 504, memdb__hash64(root, 504, 0));
            write_file(fixture->path, "root", root, sizeof root);
            assert_int_equal(try_open(fixture->path, flags), changes[i].wanted);
        }
    }
    for (size_t size = 0; size < sizeof whole; size += 73) {
        write_file(fixture->path, "root", whole, size);
        assert_int_equal(try_open(fixture->path, MEMDB_OPEN_CREATE), MEMDB_CORRUPT);
    }
    remove_root(fixture->path);
    assert_int_equal(try_open(fixture->path, 0),
                     MEMDB_CORRUPT); // it holds memories: no creation that was cut off
    assert_int_equal(try_open(fixture->path, MEMDB_OPEN_CREATE), MEMDB_CORRUPT);
    write_file(fixture->path, "root", whole, sizeof whole);
    fixture_open(fixture, (memdb_options_t){0});
    assert_string_equal(get_text(fixture->db, space_of(fixture->db, "main"), "k"), "kept");
}

/// Also after a checkpoint, when the log may be empty and all is in segments.
static void test_a_lost_root_is_damage_after_a_checkpoint_too(void **state) {
    fixture_t *fixture = *state;
    put_text(fixture->db, space_of(fixture->db, "main"), "k", "kept");
    must(fixture->db, memdb_checkpoint(fixture->db));
    fixture_close(fixture);
    fixture_open(fixture, (memdb_options_t){0});
    fixture_close(fixture);
    remove_root(fixture->path);
    assert_int_equal(try_open(fixture->path, MEMDB_OPEN_CREATE), MEMDB_CORRUPT);
}

static void test_a_creation_that_was_cut_off_is_begun_anew(void **state) {
    fixture_t *fixture = *state;
    static const char *const left[][3] = {{"lock"},
                                          {"lock", "log"},
                                          {"lock", "log", "catalog"},
                                          {"segments", "blob"},
                                          {"root.tmp", "lock", "control"}};
    char path[512], command[4096];
    for (size_t i = 0; i < sizeof left / sizeof left[0]; i++) {
        snprintf(path, sizeof path, "%s-cut", fixture->path);
        remove_tree(path);
        assert_int_equal(mkdir(path, 0700), 0);
        fixture_close(fixture);
        for (size_t j = 0; j < 3 && left[i][j]; j++) {
            snprintf(command, sizeof command,
                     "if [ -e '%s/%s' ]; then cp -a '%s/%s' '%s'; else : > '%s/%s'; fi",
                     fixture->path, left[i][j], fixture->path, left[i][j], path, path, left[i][j]);
            assert_int_equal(system(command), 0);
        }
        fixture_open(fixture, (memdb_options_t){0});
        assert_int_equal(try_open(path, 0), MEMDB_NOT_DATABASE);
        fixture_t made = {0};
        snprintf(made.path, sizeof made.path, "%.250s", path);
        fixture_open(&made, (memdb_options_t){0});
        put_text(made.db, space_of(made.db, "main"), "k", "new");
        must(made.db, memdb_verify(made.db, NULL, NULL));
        fixture_close(&made);
        assert_int_equal(try_open(path, 0), MEMDB_OK);
    }
    fixture_close(fixture); // all of a new database but its root
    remove_root(fixture->path);
    fixture_open(fixture, (memdb_options_t){0});
    put_text(fixture->db, space_of(fixture->db, "main"), "k", "new");
}

static void test_stray_bytes_in_a_segment_in_the_making_are_no_database(void **state) {
    fixture_t *fixture = *state;
    char command[1024];
    fixture_close(fixture); // as a power loss in a creation may leave it: nothing of `new` is synced
    remove_root(fixture->path);
    snprintf(command, sizeof command,
             "cd '%s/log' && rm -f *.log && head -c 12288 /dev/urandom >new", fixture->path);
    assert_int_equal(system(command), 0);
    fixture_open(fixture, (memdb_options_t){0});
    put_text(fixture->db, space_of(fixture->db, "main"), "k", "new");
}

// ------------------------------------------------------------------------------ reading only

static void check_read_only(const char *path) {
    memdb_options_t options = {.size = sizeof options, .flags = MEMDB_OPEN_READ_ONLY};
    memdb_error_t error = {0};
    memdb_t *db = NULL;
    if (memdb_open(path, &options, &db, &error)) {
        fail_msg("%s", error.message);
    }
    memdb_snapshot_t *snapshot;
    memdb_space_t space;
    memdb_memory_t got;
    memdb_txn_t *txn = NULL;
    memdb_blob_reader_t *reader;
    memdb_stats_t stats;
    char bytes[16] = "";
    size_t read = 0;
    must(db, memdb_snapshot_begin(db, NULL, &snapshot));
    must(db, memdb_space_find(snapshot, text("main"), &space));
    must(db, memdb_get_by_key(snapshot, space, text("folded"), &got));
    must(db, memdb_get_by_key(snapshot, space, text("with a blob"), &got));
    assert_int_equal(got.blob_count, 1);
    must(db, memdb_blob_reader_open(snapshot, &got.blobs[0], &reader));
    must(db, memdb_blob_reader_read(reader, 0, bytes, sizeof bytes, &read));
    assert_int_equal(read, 9);
    assert_memory_equal(bytes, "the bytes", 9);
    memdb_blob_reader_close(reader);
    memdb_snapshot_end(snapshot);
    assert_int_equal(memdb_txn_begin(db, &txn), MEMDB_READ_ONLY);
    assert_int_equal(memdb_checkpoint(db), MEMDB_READ_ONLY);
    assert_int_equal(memdb_sync(db), MEMDB_READ_ONLY);
    must(db, memdb_get_stats(db, &stats));
    assert_int_equal(stats.memories, 2);
    must(db, memdb_verify(db, NULL, NULL));
    must(db, memdb_close(db));
}

static void put_some(memdb_t *db) {
    memdb_space_t space = space_of(db, "main");
    memdb_txn_t *txn;
    memdb_blob_t blob;
    put_text(db, space, "folded", "words");
    must(db, memdb_checkpoint(db));
    must(db, memdb_txn_begin(db, &txn));
    must(db, memdb_blob_put(txn, "the bytes", 9, &blob));
    memdb_memory_t memory = {.size = sizeof memory,
                             .fields = MEMDB_FIELD_KEY | MEMDB_FIELD_BLOBS,
                             .key = text("with a blob"),
                             .blobs = &blob,
                             .blob_count = 1};
    must(db, memdb_put(txn, space, &memory, NULL));
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_DEFAULT, NULL));
}

static void test_read_only_handles_see_the_data_and_refuse_changes(void **state) {
    fixture_t *fixture = *state;
    put_some(fixture->db);
    check_read_only(fixture->path); // beside a writer
    fixture_close(fixture);
    check_read_only(fixture->path); // alone
    fixture_open(fixture, (memdb_options_t){0});
}

/// A child without rights to write opens for reading: in a process of its own, as it gives up being
/// root.
static void test_read_only_works_in_a_directory_without_write_permission(void **state) {
    fixture_t *fixture = *state;
    char command[1024];
    put_some(fixture->db);
    fixture_close(fixture);
    snprintf(command, sizeof command, "chmod -R a-w,a+rX '%s' && chmod a+rX '%s/..'", fixture->path,
             fixture->path);
    assert_int_equal(system(command), 0);
    pid_t child = fork();
    if (child == 0) {
        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0)) {
            _exit(2);
        }
        memdb_options_t options = {.size = sizeof options};
        memdb_t *db;
        memdb_error_t error = {0};
        memdb_status_t status = memdb_open(fixture->path, &options, &db, &error);
        if (status != MEMDB_IO) {
            _exit(3);
        }
        check_read_only(fixture->path);
        _exit(0);
    }
    int ended;
    assert_int_equal(waitpid(child, &ended, 0), child);
    snprintf(command, sizeof command, "chmod -R u+w '%s'", fixture->path);
    assert_int_equal(system(command), 0);
    assert_true(WIFEXITED(ended));
    assert_int_equal(WEXITSTATUS(ended), 0);
    fixture_open(fixture, (memdb_options_t){0});
}

static _Atomic bool holds_syncs;

/// Syncs of files wait while they are held.
static int sync_when_let(int fd) {
    while (atomic_load(&holds_syncs)) {
        usleep(1000);
    }
    return memdb__io_real.sync_data(fd);
}

static bool sees(const char *path, memdb_space_t space, const char *key) {
    memdb_options_t options = {.size = sizeof options, .flags = MEMDB_OPEN_READ_ONLY};
    memdb_t *db = NULL;
    must(NULL, memdb_open(path, &options, &db, NULL));
    bool seen = get_text(db, space, key) != NULL;
    must(db, memdb_close(db));
    return seen;
}

static void test_read_only_opening_sees_nothing_that_power_loss_could_take(void **state) {
    static memdb__io_table_t table;
    fixture_t *fixture = *state;
    fixture_close(fixture);
    table = memdb__io_real;
    table.sync_data = sync_when_let;
    memdb__io_install(&table);
    fixture_open(fixture, (memdb_options_t){0});
    memdb_space_t space = space_of(fixture->db, "main");
    put_text(fixture->db, space, "durable", "words");
    atomic_store(&holds_syncs, true);
    memdb_txn_t *txn;
    memdb_memory_t memory = {.size = sizeof memory,
                             .fields = MEMDB_FIELD_KEY | MEMDB_FIELD_TEXT,
                             .key = text("written"),
                             .text = text("words")};
    must(fixture->db, memdb_txn_begin(fixture->db, &txn));
    must(fixture->db, memdb_put(txn, space, &memory, NULL));
    must(fixture->db, memdb_txn_commit(txn, MEMDB_DURABILITY_OS, NULL));
    assert_non_null(get_text(fixture->db, space, "written")); // its own
    assert_true(sees(fixture->path, space, "durable"));
    assert_false(sees(fixture->path, space, "written"));
    atomic_store(&holds_syncs, false);
    must(fixture->db, memdb_sync(fixture->db));
    assert_true(sees(fixture->path, space, "written"));
    fixture_close(fixture);
    memdb__io_install(NULL);
    fixture_open(fixture, (memdb_options_t){0});
}

static void *write_and_fold(void *context) {
    fixture_t *fixture = context;
    memdb_space_t space = space_of(fixture->db, "main");
    for (int i = 0; i < 60; i++) {
        put_text(fixture->db, space, "k", "words");
        must(fixture->db, memdb_checkpoint(fixture->db));
    }
    return NULL;
}

static void test_read_only_opens_beside_checkpoints(void **state) {
    fixture_t *fixture = *state;
    pthread_t writer;
    assert_int_equal(pthread_create(&writer, NULL, write_and_fold, fixture), 0);
    for (int i = 0; i < 30; i++) {
        assert_int_equal(try_open(fixture->path, MEMDB_OPEN_READ_ONLY), MEMDB_OK);
    }
    pthread_join(writer, NULL);
}

// ------------------------------------------------------------------------------ limits of a handle

static void test_close_waits_for_nobody_and_says_busy(void **state) {
    fixture_t *fixture = *state;
    memdb_snapshot_t *snapshot;
    memdb_txn_t *txn;
    must(fixture->db, memdb_snapshot_begin(fixture->db, NULL, &snapshot));
    assert_int_equal(memdb_close(fixture->db), MEMDB_BUSY);
    memdb_snapshot_end(snapshot);
    must(fixture->db, memdb_txn_begin(fixture->db, &txn));
    assert_int_equal(memdb_close(fixture->db), MEMDB_BUSY);
    put_text(fixture->db, space_of(fixture->db, "main"), "k", "still open");
    memdb_txn_abort(txn);
    fixture_close(fixture);
    fixture_open(fixture, (memdb_options_t){0});
}

static memdb_status_t put_kilobytes(memdb_t *db, memdb_space_t space) {
    static const char bytes[4096] = "";
    memdb_txn_t *txn;
    memdb_memory_t memory = {
        .size = sizeof memory, .fields = MEMDB_FIELD_TEXT, .text = {bytes, sizeof bytes}};
    must(db, memdb_txn_begin(db, &txn));
    must(db, memdb_put(txn, space, &memory, NULL));
    return memdb_txn_commit(txn, MEMDB_DURABILITY_OS, NULL);
}

static void test_a_log_at_its_limit_is_busy_until_a_checkpoint(void **state) {
    fixture_t *fixture = *state;
    memdb_status_t status;
    fixture_close(fixture);
    fixture_open(fixture,
                 (memdb_options_t){.no_background = true,
                                   .log_limit_bytes = 100000,
                                   .busy_timeout_ms = 30}); // the checkpoint's limit is far above
    memdb_space_t space = space_of(fixture->db, "main");
    int commits = 0;
    while ((status = put_kilobytes(fixture->db, space)) == MEMDB_OK && commits < 100) {
        commits++;
    }
    assert_int_equal(status, MEMDB_BUSY);
    assert_int_equal(put_kilobytes(fixture->db, space), MEMDB_BUSY);
    must(fixture->db, memdb_checkpoint(fixture->db));
    must(fixture->db, put_kilobytes(fixture->db, space));
    memdb_stats_t stats;
    must(fixture->db, memdb_get_stats(fixture->db, &stats));
    assert_int_equal(stats.memories, commits + 1);
}

static void test_a_delta_at_its_limit_is_busy_until_a_checkpoint(void **state) {
    fixture_t *fixture = *state;
    memdb_status_t status;
    memdb_stats_t stats;
    fixture_close(fixture);
    fixture_open(fixture, (memdb_options_t){.no_background = true,
                                            .delta_limit_bytes = 300000,
                                            .busy_timeout_ms = 30});
    memdb_space_t space = space_of(fixture->db, "main");
    int commits = 0;
    while ((status = put_kilobytes(fixture->db, space)) == MEMDB_OK && commits < 1000) {
        commits++;
    }
    assert_int_equal(status, MEMDB_BUSY);
    must(fixture->db, memdb_get_stats(fixture->db, &stats));
    assert_true(stats.delta_bytes >= stats.delta_limit_bytes);
    assert_int_equal(stats.stalls, 1);
    assert_true(stats.stalled_us >= 30000);
    must(fixture->db, memdb_checkpoint(fixture->db));
    must(fixture->db, put_kilobytes(fixture->db, space));
    must(fixture->db, memdb_get_stats(fixture->db, &stats));
    assert_int_equal(stats.memories, commits + 1);
    assert_true(stats.delta_bytes < stats.delta_limit_bytes);
    // What was committed went to the log once, in whole blocks, and to a segment once.
    assert_true(stats.log_bytes_written >= stats.payload_bytes && stats.payload_bytes > 0);
    assert_true(stats.segment_bytes_written > 0 &&
                stats.segment_bytes_written < 10 * stats.payload_bytes);
}

/// With the background thread the writers wait, and go on.
static void test_a_log_at_its_limit_is_folded_in_the_background(void **state) {
    fixture_t *fixture = *state;
    fixture_close(fixture);
    fixture_open(fixture,
                 (memdb_options_t){.log_limit_bytes = 100000, .checkpoint_log_bytes = 50000});
    memdb_space_t space = space_of(fixture->db, "main");
    for (int i = 0; i < 150; i++) {
        must(fixture->db, put_kilobytes(fixture->db, space));
    }
    memdb_stats_t stats;
    must(fixture->db, memdb_get_stats(fixture->db, &stats));
    assert_true(stats.checkpoints > 0);
    assert_int_equal(stats.memories, 150);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_open_refuses_what_is_no_database),
        TEST(test_a_network_file_system_is_refused_and_named),
        TEST(test_open_refuses_options_that_are_not_valid),
        TEST(test_a_root_of_another_version_or_a_damaged_one_is_told),
        TEST(test_a_lost_root_is_damage_after_a_checkpoint_too),
        TEST(test_a_creation_that_was_cut_off_is_begun_anew),
        TEST(test_stray_bytes_in_a_segment_in_the_making_are_no_database),
        TEST(test_read_only_handles_see_the_data_and_refuse_changes),
        TEST(test_read_only_works_in_a_directory_without_write_permission),
        TEST(test_read_only_opening_sees_nothing_that_power_loss_could_take),
        TEST(test_read_only_opens_beside_checkpoints),
        TEST(test_close_waits_for_nobody_and_says_busy),
        TEST(test_a_log_at_its_limit_is_busy_until_a_checkpoint),
        TEST(test_a_delta_at_its_limit_is_busy_until_a_checkpoint),
        TEST(test_a_log_at_its_limit_is_folded_in_the_background),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
