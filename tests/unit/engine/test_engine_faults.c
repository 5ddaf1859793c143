// Each I/O call of a scenario fails once, with EIO and with ENOSPC, and each allocation fails once,
// in turn. Whatever fails: an error is told (or nothing was lost by it), no memory leaks, the next
// opening works, everything that was acknowledged is there, and verify is content. The scenario:
// open or create, puts, a checkpoint, puts with a blob and a vector, a forget with erase, a compact
// beside an older snapshot, a purge, reads, close.
#include "base/io.h"
#include "base/memory.h"
#include "tests/lib/database.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEYS 12

/// What a run of the scenario was told.
typedef struct outcome {
    char path[256];
    bool acknowledged[KEYS]; // the put of this key
    bool forgotten;          // key 0, acknowledged
    memdb_status_t first_error;
    int errors, messages;
    bool opened;
} outcome_t;

// ------------------------------------------------------------------------------ the faulty calls

static long calls, fail_at = -1;
static int fail_errno;
static const char *failed_call;
static char failed_name[64]; // of an open

static bool fails(const char *name) {
    if (calls++ != fail_at) {
        return false;
    }
    failed_call = name;
    errno = fail_errno;
    return true;
}

static int open_at(int directory, const char *name, int flags, mode_t mode) {
    if (fails("open")) {
        snprintf(failed_name, sizeof failed_name, "%s", name);
        return -1;
    }
    return memdb__io_real.open_at(directory, name, flags, mode);
}
static ssize_t pread_(int fd, void *buffer, size_t size, off_t offset) {
    return fails("pread") ? -1 : memdb__io_real.pread(fd, buffer, size, offset);
}
static ssize_t pwrite_(int fd, const void *buffer, size_t size, off_t offset) {
    return fails("pwrite") ? -1 : memdb__io_real.pwrite(fd, buffer, size, offset);
}
static int sync_data(int fd) {
    return fails("fdatasync") ? -1 : memdb__io_real.sync_data(fd);
}
static int sync_all(int fd) {
    return fails("fsync") ? -1 : memdb__io_real.sync_all(fd);
}
static int truncate_(int fd, off_t size) {
    return fails("ftruncate") ? -1 : memdb__io_real.truncate(fd, size);
}
static int allocate(int fd, off_t offset, off_t size) {
    return fails("fallocate") ? -1 : memdb__io_real.allocate(fd, offset, size);
}
static int rename_at(int from_directory, const char *from, int to_directory, const char *to) {
    return fails("rename") ? -1 : memdb__io_real.rename_at(from_directory, from, to_directory, to);
}
static int unlink_at(int directory, const char *name, int flags) {
    return fails("unlink") ? -1 : memdb__io_real.unlink_at(directory, name, flags);
}
static int make_directory_at(int directory, const char *name, mode_t mode) {
    return fails("mkdir") ? -1 : memdb__io_real.make_directory_at(directory, name, mode);
}
static int stat_(int fd, struct stat *out) {
    return fails("fstat") ? -1 : memdb__io_real.stat(fd, out);
}
static void *map(int fd, size_t size, int protection) {
    return fails("mmap") ? (void *)-1 : memdb__io_real.map(fd, size, protection);
}

static memdb__io_table_t faulty(void) {
    memdb__io_table_t table = memdb__io_real;
    table.open_at = open_at;
    table.pread = pread_;
    table.pwrite = pwrite_;
    table.sync_data = sync_data;
    table.sync_all = sync_all;
    table.truncate = truncate_;
    table.allocate = allocate;
    table.rename_at = rename_at;
    table.unlink_at = unlink_at;
    table.make_directory_at = make_directory_at;
    table.stat = stat_;
    table.map = map;
    return table;
}

// ------------------------------------------------------------------------------ the scenario

static bool told(outcome_t *outcome, memdb_status_t status) {
    if (status && status != MEMDB_NOT_FOUND && status != MEMDB_DONE) {
        outcome->first_error = outcome->first_error ? outcome->first_error : status;
        outcome->errors++;
    }
    return status != MEMDB_OK;
}

static void note_message(void *context, memdb_status_t severity, const char *message) {
    (void)message;
    ((outcome_t *)context)->messages += severity != MEMDB_OK;
}

static memdb_status_t put_one(memdb_t *db, outcome_t *outcome, int number, bool rich) {
    static char words[3000]; // longer than a page of the delta's arena, now and then
    char key[16];
    float vector[3] = {1, 2, (float)number};
    memdb_space_t space;
    memdb_txn_t *txn;
    memdb_blob_t blob;
    snprintf(key, sizeof key, "key%d", number);
    memset(words, 'a' + number, sizeof words);
    memdb_memory_t memory = {.size = sizeof memory,
                             .fields = MEMDB_FIELD_KEY | MEMDB_FIELD_TEXT | MEMDB_FIELD_SESSION,
                             .key = text(key),
                             .text = {words, rich ? sizeof words : 20},
                             .session = text("s")};
    memdb_status_t status = memdb_txn_begin(db, &txn);
    if (told(outcome, status)) {
        return status;
    }
    status = memdb_space_ensure(txn, text("main"), &space);
    if (!status && rich) {
        status = memdb_blob_put(txn, words, sizeof words, &blob);
        memory.fields |= MEMDB_FIELD_VECTOR | MEMDB_FIELD_BLOBS;
        memory.blobs = &blob;
        memory.blob_count = 1;
        memory.vector = vector;
        memory.dimension = 3;
    }
    uint64_t id;
    status = status ? status : memdb_put(txn, space, &memory, &id);
    memdb_link_t link = {.size = sizeof link, .space = space, .from = id, .to = id, .weight = 1};
    status = status ? status : memdb_put_link(txn, &link);
    if (status) {
        memdb_txn_abort(txn);
    } else {
        status = memdb_txn_commit(txn, MEMDB_DURABILITY_FULL, NULL);
    }
    outcome->acknowledged[number] |= !told(outcome, status);
    return status;
}

static void forget_first(memdb_t *db, outcome_t *outcome) {
    memdb_txn_t *txn;
    memdb_space_t space;
    memdb_memory_t memory;
    if (told(outcome, memdb_txn_begin(db, &txn))) {
        return;
    }
    memdb_status_t status = memdb_space_find(memdb_txn_snapshot(txn), text("main"), &space);
    status =
        status ? status : memdb_get_by_key(memdb_txn_snapshot(txn), space, text("key0"), &memory);
    status = status ? status : memdb_forget_erase(txn, space, memory.id);
    if (status) {
        memdb_txn_abort(txn);
    } else {
        status = memdb_txn_commit(txn, MEMDB_DURABILITY_FULL, NULL);
        outcome->forgotten |= status == MEMDB_OK;
    }
    told(outcome, status);
}

static void read_all(memdb_t *db, outcome_t *outcome) {
    memdb_snapshot_t *snapshot;
    memdb_cursor_t *cursor;
    memdb_link_cursor_t *links;
    memdb_memory_t memory;
    memdb_link_t link;
    memdb_space_t space;
    float vector[3];
    if (told(outcome, memdb_snapshot_begin(db, NULL, &snapshot))) {
        return;
    }
    memdb_status_t status = memdb_space_find(snapshot, text("main"), &space);
    if (!told(outcome, status) &&
        !told(outcome, memdb_cursor_open(snapshot, space, NULL, &cursor))) {
        while (!told(outcome, memdb_cursor_next(cursor, &memory))) {
            if (memory.dimension) {
                told(outcome, memdb_get_vector(snapshot, space, memory.id, vector, 3));
            }
            if (!told(outcome, memdb_links_open(snapshot, space, memory.id, MEMDB_DIRECTION_BOTH,
                                                text(""), &links))) {
                told(outcome, memdb_links_next(links, &link));
                memdb_links_close(links);
            }
        }
        memdb_cursor_close(cursor);
    }
    memdb_snapshot_end(snapshot);
}

static void run_scenario(outcome_t *outcome) {
    memdb_options_t options = {.size = sizeof options,
                               .flags = MEMDB_OPEN_CREATE,
                               .no_background = true,
                               .log = note_message,
                               .log_context = outcome};
    memdb_t *db;
    if (told(outcome, memdb_open(outcome->path, &options, &db, NULL))) {
        return;
    }
    outcome->opened = true;
    for (int i = 0; i < 4; i++) {
        put_one(db, outcome, i, i == 2 || i == 0); // the first is forgotten: its blob is garbage
    }
    read_all(db, outcome);
    told(outcome, memdb_checkpoint(db));
    for (int i = 4; i < 8; i++) {
        put_one(db, outcome, i, i == 5);
    }
    memdb_snapshot_t *older = NULL; // so that what the compact empties cannot be unlinked at once
    told(outcome, memdb_snapshot_begin(db, NULL, &older));
    forget_first(db, outcome);
    told(outcome, memdb_compact(db, NULL));
    for (int i = 8; i < KEYS; i++) {
        put_one(db, outcome, i, i == 9);
    }
    told(outcome, memdb_purge(db, NULL));
    memdb_snapshot_end(older);
    told(outcome, memdb_purge(db, NULL));
    read_all(db, outcome);
    told(outcome, memdb_verify(db, NULL, NULL));
    told(outcome, memdb_close(db));
}

/// The next opening finds what was acknowledged, and the database goes on.
static void check_after(outcome_t *outcome) {
    fixture_t again = {0};
    snprintf(again.path, sizeof again.path, "%s", outcome->path);
    fixture_open(&again, (memdb_options_t){.no_background = true});
    must(again.db, memdb_verify(again.db, NULL, NULL));
    memdb_space_t space = space_of(again.db, "main");
    for (int i = 0; i < KEYS; i++) {
        char key[16];
        snprintf(key, sizeof key, "key%d", i);
        const char *words = get_text(again.db, space, key);
        if (outcome->acknowledged[i] && !(i == 0 && (outcome->forgotten || !words))) {
            assert_non_null(words);
            assert_int_equal(words[0], 'a' + i);
        }
        if (i == 0 && outcome->forgotten) {
            assert_null(words);
        }
    }
    put_text(again.db, space, "after", "fine");
    assert_string_equal(get_text(again.db, space, "after"), "fine");
    must(again.db, memdb_checkpoint(again.db));
    fixture_close(&again);
}

static outcome_t begin(fixture_t *fixture) {
    outcome_t outcome = {0};
    if (fixture->db) {
        fixture_close(fixture);
    }
    remove_tree(fixture->path);
    snprintf(outcome.path, sizeof outcome.path, "%s", fixture->path);
    return outcome;
}

static void test_each_io_call_fails_once(void **state) {
    fixture_t *fixture = *state;
    memdb__io_table_t table = faulty();
    const int errors[] = {EIO, ENOSPC};
    long count = 0, untold = 0, faults = 0;
    for (int e = 0; e < 2; e++) {
        fail_errno = errors[e];
        fail_at = -1;
        do {
            outcome_t outcome = begin(fixture);
            calls = 0;
            failed_call = NULL;
            memdb__io_install(&table);
            run_scenario(&outcome);
            memdb__io_install(NULL);
            if (fail_at < 0) {
                assert_int_equal(outcome.errors, 0);
                count = calls;
            } else if (failed_call && outcome.errors == 0 && outcome.messages == 0) {
                untold++; // allowed where nothing was lost, as for a file that is garbage
                // What cannot be read of the last control file only makes recovery write more.
                bool witness =
                    (strcmp(failed_call, "open") == 0 || strcmp(failed_call, "pread") == 0) &&
                    (strcmp(failed_name, "control") == 0 ||
                     strcmp(failed_name, "/proc/sys/kernel/random/boot_id") == 0);
                bool harmless = witness || strcmp(failed_call, "unlink") == 0 ||
                                strcmp(failed_call, "fallocate") == 0;
                if (!harmless) {
                    faults++;
                    print_error("call %ld (%s %s) failed, and nobody was told\n", fail_at,
                                failed_call, failed_name);
                }
            }
            check_after(&outcome);
        } while (++fail_at < count);
    }
    fail_at = -1;
    assert_int_equal(faults, 0);
    printf("%ld calls failed with each of 2 errors; %ld were not told\n", count, untold);
}

static void test_each_allocation_fails_once(void **state) {
    fixture_t *fixture = *state;
    begin(fixture);
    uint64_t live = memdb__memory_live(), count = 0;
    long refused = 0;
    for (uint64_t number = 0; number == 0 || number < count; number++) {
        outcome_t outcome = begin(fixture);
        uint64_t before = memdb__memory_count();
        memdb__memory_fail_after(number ? number - 1 : UINT64_MAX);
        run_scenario(&outcome);
        memdb__memory_fail_after(UINT64_MAX);
        assert_int_equal(memdb__memory_live(), live);
        if (number == 0) {
            assert_int_equal(outcome.errors, 0);
            count = memdb__memory_count() - before;
        }
        // MEMDB_FAILED: the frame was written, and this handle could not apply it.
        if (outcome.first_error && outcome.first_error != MEMDB_NOMEM &&
            outcome.first_error != MEMDB_FAILED) {
            fail_msg("allocation %llu: %s", (unsigned long long)number,
                     memdb_status_name(outcome.first_error));
        }
        refused += outcome.errors > 0;
        check_after(&outcome);
    }
    printf("%llu allocations failed, %ld were told\n", (unsigned long long)count, refused);
}

int main(void) {
    if (access("/dev/shm", W_OK) == 0) {
        setenv("TMPDIR", "/dev/shm", 0);
    } // thousands of syncs: nothing here needs a disk
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_each_io_call_fails_once, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_each_allocation_fails_once, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
