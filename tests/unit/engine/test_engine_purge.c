// Erasure: what was forgotten with erase is in no file of the database once a purge has returned:
// texts and terms, old versions too, key, kind, session, actor, attributes, vector codes, links,
// blobs. The files are searched for needles, byte by byte, before (they must be there) and after.
// Other processes are attached meanwhile: one that does nothing, one that keeps an older snapshot,
// one that is killed; and another memory holds some of the same. What was not erased is still
// there, and verify is content.
#include "base/io.h"
#include "base/memory.h"
#include "index/atlas/atlas.h"
#include "index/lexical/lexical.h"
#include "index/lexical/lexical_bag.h"
#include "tests/lib/database.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define DIMENSION 64
#define OTHERS 60
#define BLOB_BYTES 200000

// ------------------------------------------------------------------------------ needles

typedef struct needle {
    char what[48];
    uint8_t bytes[128];
    size_t size;
    int found; // files that hold it
    char where[256];
} needle_t;

static needle_t needles[64];
static size_t needle_count;

static void add_needle(const char *what, const void *bytes, size_t size) {
    assert_true(needle_count < 64 && size <= sizeof needles[0].bytes && size >= 6);
    needle_t *needle = &needles[needle_count++];
    *needle = (needle_t){.size = size};
    snprintf(needle->what, sizeof needle->what, "%s", what);
    memcpy(needle->bytes, bytes, size);
}

static int search_file(const char *path, const struct stat *about, int kind, struct FTW *at) {
    (void)at;
    if (kind != FTW_F || about->st_size == 0) {
        return 0;
    }
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    void *data = mmap(NULL, (size_t)about->st_size, PROT_READ, MAP_SHARED, fd, 0);
    assert_true(data != MAP_FAILED);
    for (size_t i = 0; i < needle_count; i++) {
        if (memmem(data, (size_t)about->st_size, needles[i].bytes, needles[i].size)) {
            needles[i].found++;
            snprintf(needles[i].where, sizeof needles[i].where, "%s", path);
        }
    }
    munmap(data, (size_t)about->st_size);
    close(fd);
    return 0;
}

/// Search all files. `there`: each needle must be found, else none.
static void search(const char *path, bool there) {
    int wrong = 0;
    for (size_t i = 0; i < needle_count; i++) {
        needles[i].found = 0;
    }
    assert_int_equal(nftw(path, search_file, 16, FTW_PHYS), 0);
    for (size_t i = 0; i < needle_count; i++) {
        if ((needles[i].found != 0) != there) {
            wrong++;
            print_error("%s: %s%s\n", needles[i].what, there ? "not there" : "still in ",
                        there ? "" : needles[i].where);
        }
    }
    assert_int_equal(wrong, 0);
}

/// All terms of a text as the index has them: folded, stemmed.
static void add_terms(const char *what, const char *words) {
    memdb__buffer_t encoded = {0};
    memdb__bag_t bag;
    memdb_error_t error = {0};
    assert_int_equal(
        memdb__bag_encode(MEMDB_TOKENIZER_ENGLISH, words, strlen(words), "", 0, &encoded, &error),
        MEMDB_OK);
    assert_true(memdb__bag_open(&bag, encoded.data, encoded.size));
    size_t terms = 0;
    while (memdb__bag_next(&bag)) {
        if (bag.size >= 6) {
            add_needle(what, bag.term, bag.size);
            terms++;
        }
    }
    assert_true(terms > 0);
    memdb__buffer_deinit(&encoded);
}

// ------------------------------------------------------------------------------ the memories

static uint8_t *contents; // of blobs
static const char old_words[] = "Quibblefrotzian marmaladekins were never spoken of";
static const char new_words[] = "Zorblaxitation happens beneath the Vexiphonic balustradery";

/// Bytes of which no run is in another seed's.
static void fill(uint8_t *at, size_t size, uint32_t seed) {
    uint64_t state = (uint64_t)seed << 32;
    for (size_t i = 0; i < size; i++) { // splitmix64 (Steele, Lea, Flood)
        uint64_t z = state += UINT64_C(0x9E3779B97F4A7C15);
        z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
        at[i] = (uint8_t)(z >> 27);
    }
}

static memdb_blob_t put_blob(memdb_t *db, memdb_txn_t *txn, uint32_t seed, const char *media) {
    memdb_blob_t blob;
    fill(contents, BLOB_BYTES, seed);
    must(db, memdb_blob_put(txn, contents, BLOB_BYTES, &blob));
    blob.media_type = text(media);
    return blob;
}

/// One put of the memory that will be erased.
static uint64_t put_victim(memdb_t *db, memdb_space_t space, const char *words,
                           uint32_t blob_seed) {
    memdb_txn_t *txn;
    uint64_t id;
    float vector[DIMENSION];
    must(db, memdb_txn_begin(db, &txn));
    memdb_blob_t blobs[2] = {put_blob(db, txn, blob_seed, "needle/mediatype"),
                             put_blob(db, txn, 1, "")};
    for (size_t i = 0; i < DIMENSION; i++) {
        vector[i] = (float)((i * 37 + blob_seed) % 101) - 50;
    }
    memdb_memory_t memory = {.size = sizeof memory,
                             .fields = MEMDB_FIELD_KEY | MEMDB_FIELD_TEXT | MEMDB_FIELD_KIND |
                                       MEMDB_FIELD_SESSION | MEMDB_FIELD_ACTOR | MEMDB_FIELD_ATTRS |
                                       MEMDB_FIELD_VECTOR | MEMDB_FIELD_BLOBS,
                             .key = text("needle-key"),
                             .text = text(words),
                             .kind = text("needle-kind"),
                             .session = text("needle-session"),
                             .actor = text("needleactorname"),
                             .attrs = text("{\"needle-attribute\": \"needle-value\"}"),
                             .vector = vector,
                             .dimension = DIMENSION,
                             .blobs = blobs,
                             .blob_count = 2};
    must(db, memdb_put(txn, space, &memory, &id));
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_DEFAULT, NULL));
    uint8_t row[4 + DIMENSION], sample[48];
    assert_int_equal(memdb__row_encode(MEMDB_METRIC_COSINE, vector, DIMENSION, row, NULL),
                     MEMDB_OK);
    add_needle("vector codes", row + 4, DIMENSION);
    fill(contents, BLOB_BYTES, blob_seed);
    memcpy(sample, contents + 100000, sizeof sample); // in its second piece
    add_needle("blob content", sample, sizeof sample);
    add_needle("blob content, beginning", contents, 64);
    add_needle("text", words + 3, 20);
    add_terms("term", words);
    return id;
}

static void add_names(void) {
    static const char *const names[] = {
        "needle/mediatype", "needle-key",       "needle-kind",
        "needle-session",   "needleactorname",  "needle-attribute",
        "needle-value",     "needle-link-type", "needle-link-attrs"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        add_needle(names[i], names[i], strlen(names[i]));
    }
}

static void put_others(memdb_t *db, memdb_space_t space, int from, int to) {
    for (int i = from; i < to; i++) {
        char key[32], words[64];
        memdb_txn_t *txn;
        snprintf(key, sizeof key, "other%d", i);
        snprintf(words, sizeof words, "the staircase of others number %d", i);
        must(db, memdb_txn_begin(db, &txn));
        memdb_blob_t blob = put_blob(db, txn, i % 4 ? 1000 + (uint32_t)i : 1, "");
        memdb_memory_t memory = {.size = sizeof memory,
                                 .fields = MEMDB_FIELD_KEY | MEMDB_FIELD_TEXT | MEMDB_FIELD_BLOBS,
                                 .key = text(key),
                                 .text = text(words),
                                 .blobs = &blob,
                                 .blob_count = 1};
        must(db, memdb_put(txn, space, &memory, NULL));
        must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_DEFAULT, NULL));
    }
}

static void check_others(memdb_t *db, memdb_space_t space, int count) {
    static uint8_t read_back[BLOB_BYTES];
    memdb_snapshot_t *snapshot;
    must(db, memdb_snapshot_begin(db, NULL, &snapshot));
    for (int i = 0; i < count; i++) {
        char key[32], words[64];
        memdb_memory_t memory;
        memdb_blob_reader_t *reader;
        size_t read;
        snprintf(key, sizeof key, "other%d", i);
        snprintf(words, sizeof words, "the staircase of others number %d", i);
        must(db, memdb_get_by_key(snapshot, space, text(key), &memory));
        assert_int_equal(memory.text.size, strlen(words));
        assert_memory_equal(memory.text.data, words, memory.text.size);
        assert_int_equal(memory.blob_count, 1);
        must(db, memdb_blob_reader_open(snapshot, &memory.blobs[0], &reader));
        must(db, memdb_blob_reader_read(reader, 0, read_back, BLOB_BYTES, &read));
        assert_int_equal(read, BLOB_BYTES);
        fill(contents, BLOB_BYTES, i % 4 ? 1000 + (uint32_t)i : 1);
        assert_memory_equal(read_back, contents, BLOB_BYTES);
        memdb_blob_reader_close(reader);
    }
    memdb_snapshot_end(snapshot);
}

static void link_victim(memdb_t *db, memdb_space_t space, uint64_t victim, uint64_t other) {
    memdb_txn_t *txn;
    must(db, memdb_txn_begin(db, &txn));
    memdb_link_t link = {.size = sizeof link,
                         .space = space,
                         .from = victim,
                         .to = other,
                         .weight = 1,
                         .type = text("needle-link-type"),
                         .attrs = text("{\"needle-link-attrs\": 1}")};
    must(db, memdb_put_link(txn, &link));
    link.from = other;
    link.to = victim;
    must(db, memdb_put_link(txn, &link));
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_DEFAULT, NULL));
}

static void erase(memdb_t *db, memdb_space_t space, uint64_t id) {
    memdb_txn_t *txn;
    must(db, memdb_txn_begin(db, &txn));
    must(db, memdb_forget_erase(txn, space, id));
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_DEFAULT, NULL));
}

static uint64_t pending(memdb_t *db) {
    memdb_stats_t stats = {.size = sizeof stats};
    must(db, memdb_get_stats(db, &stats));
    return stats.erasures_pending;
}

// ------------------------------------------------------------------------------ other processes

typedef struct other {
    pid_t pid;
    int orders, answers;
} other_t;

/// What the other process does: 'i' nothing, 's' keeps a snapshot, 'r' is open for reading only,
/// 'w' has put a blob into an extent of its own, and keeps it open.
static void be_other(const char *path, char what, int orders, int answers) {
    memdb_options_t options = {.size = sizeof options,
                               .flags = what == 'r' ? MEMDB_OPEN_READ_ONLY : 0,
                               .no_background = true};
    memdb_t *db;
    memdb_snapshot_t *snapshot = NULL;
    memdb_space_t space;
    memdb_memory_t memory;
    memdb_blob_reader_t *reader;
    uint8_t bytes[100];
    size_t read_bytes;
    char order;
    must(NULL, memdb_open(path, &options, &db, NULL));
    contents = malloc(BLOB_BYTES);
    if (what == 'w') {
        space = space_of(db, "main");
        put_others(db, space, OTHERS, OTHERS + 4);
    }
    if (what != 'i') {
        must(db, memdb_snapshot_begin(db, NULL, &snapshot));
    }
    assert_int_equal(write(answers, "+", 1), 1);
    assert_int_equal(read(orders, &order, 1), 1);
    // After the purge. An older snapshot keeps the records; the blob is gone, the shared one is
    // not.
    if (what == 's' || what == 'r') {
        must(db, memdb_space_find(snapshot, text("main"), &space));
        must(db, memdb_get_by_key(snapshot, space, text("needle-key"), &memory));
        assert_memory_equal(memory.text.data, new_words, memory.text.size);
        memdb_status_t status = memdb_blob_reader_open(snapshot, &memory.blobs[0], &reader);
        assert_int_equal(status, MEMDB_NOT_FOUND);
        must(db, memdb_blob_reader_open(snapshot, &memory.blobs[1], &reader));
        must(db, memdb_blob_reader_read(reader, 0, bytes, sizeof bytes, &read_bytes));
        memdb_blob_reader_close(reader);
    }
    memdb_snapshot_end(snapshot);
    if (what != 'r') {
        space = space_of(db, "main");
        check_others(db, space, OTHERS);
        assert_null(get_text(db, space, "needle-key"));
    }
    must(db, memdb_close(db));
    free(contents);
    _exit(0);
}

static other_t start_other(const char *path, char what) {
    other_t other;
    int orders[2], answers[2];
    char answer;
    assert_int_equal(pipe(orders) | pipe(answers), 0);
    other.pid = fork();
    assert_true(other.pid >= 0);
    if (other.pid == 0) {
        close(orders[1]);
        close(answers[0]);
        be_other(path, what, orders[0], answers[1]);
    }
    close(orders[0]);
    close(answers[1]);
    other.orders = orders[1];
    other.answers = answers[0];
    assert_int_equal(read(other.answers, &answer, 1), 1);
    return other;
}

static void end_other(other_t *other) {
    int ended;
    assert_int_equal(write(other->orders, "+", 1), 1);
    assert_int_equal(waitpid(other->pid, &ended, 0), other->pid);
    assert_true(WIFEXITED(ended) && WEXITSTATUS(ended) == 0);
    close(other->orders);
    close(other->answers);
}

// ------------------------------------------------------------------------------ tests

/// A database in which a memory was put, changed and linked, with checkpoints between.
static uint64_t prepare(fixture_t *fixture, memdb_space_t *space_out) {
    needle_count = 0;
    add_names();
    fixture_close(fixture);
    fixture_open(fixture, (memdb_options_t){.no_background = true});
    memdb_t *db = fixture->db;
    memdb_space_t space = space_of(db, "main");
    put_others(db, space, 0, OTHERS / 2);
    uint64_t other = put_text(db, space, "linked", "another end");
    uint64_t victim = put_victim(db, space, old_words, 77);
    link_victim(db, space, victim, other);
    must(db, memdb_checkpoint(db));
    assert_int_equal(put_victim(db, space, new_words, 78), victim);
    put_others(db, space, OTHERS / 2, OTHERS);
    *space_out = space;
    return victim;
}

/// Everything but the erased memory is there, in this handle and in the next one.
static void check_after(fixture_t *fixture, memdb_space_t space) {
    for (int round = 0; round < 2; round++) {
        check_others(fixture->db, space, OTHERS);
        assert_string_equal(get_text(fixture->db, space, "linked"), "another end");
        assert_null(get_text(fixture->db, space, "needle-key"));
        must(fixture->db, memdb_verify(fixture->db, NULL, NULL));
        assert_int_equal(pending(fixture->db), 0);
        fixture_close(fixture);
        search(fixture->path, false);
        fixture_open(fixture, (memdb_options_t){.no_background = true});
    }
}

static void test_a_purge_leaves_no_byte_of_what_was_erased(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space;
    memdb_space_report_t report = {.size = sizeof report};
    uint64_t victim = prepare(fixture, &space);
    erase(fixture->db, space, victim);
    assert_int_equal(pending(fixture->db), 1);
    search(fixture->path, true); // a test of this test: all needles are there
    must(fixture->db, memdb_checkpoint(fixture->db));
    assert_int_equal(pending(fixture->db), 1); // a checkpoint is no purge
    fixture_close(fixture);
    fixture_open(fixture, (memdb_options_t){.no_background = true});
    must(fixture->db, memdb_purge(fixture->db, &report));
    assert_int_equal(report.memories_erased, 1);
    assert_int_equal(report.extents_waiting, 0);
    search(fixture->path, false);
    check_after(fixture, space);
}

static void test_without_a_purge_erased_bytes_stay(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space;
    uint64_t victim = prepare(fixture, &space);
    erase(fixture->db, space, victim);
    search(fixture->path, true);
    fixture_close(fixture);
    search(fixture->path, true);
    fixture_open(fixture, (memdb_options_t){.no_background = true});
    must(fixture->db, memdb_purge(fixture->db, NULL));
    must(fixture->db, memdb_purge(fixture->db, NULL)); // again: nothing to do, nothing lost
    search(fixture->path, false);
    check_after(fixture, space);
}

static void test_a_purge_after_a_crash_and_recovery(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space;
    fixture_t copy = {0};
    uint64_t victim = prepare(fixture, &space);
    erase(fixture->db, space, victim);
    fixture_copy(fixture, "-killed", copy.path);
    fixture_open(&copy, (memdb_options_t){.no_background = true});
    assert_int_equal(pending(copy.db), 1);
    search(copy.path, true);
    must(copy.db, memdb_purge(copy.db, NULL));
    search(copy.path, false);
    check_after(&copy, space);
    fixture_close(&copy);
}

static void test_a_purge_beside_other_processes(void **state) {
    fixture_t *fixture = *state;
    static const char kinds[] = "isrw";
    memdb_space_t space;
    for (const char *kind = kinds; *kind; kind++) {
        uint64_t victim = prepare(fixture, &space);
        other_t other = start_other(fixture->path, *kind);
        erase(fixture->db, space, victim);
        search(fixture->path, true);
        must(fixture->db, memdb_purge(fixture->db, NULL));
        search(fixture->path, false);
        end_other(&other);
        check_after(fixture, space);
        must(fixture->db, memdb_compact(fixture->db, NULL)); // what waited goes
        memdb_stats_t stats = {.size = sizeof stats};
        must(fixture->db, memdb_get_stats(fixture->db, &stats));
        assert_int_equal(stats.extents_waiting, 0);
        fixture_close(fixture);
        remove_tree(fixture->path);
        fixture_open(fixture, (memdb_options_t){0});
    }
}

/// History keeps what was replaced and forgotten, but not beyond a purge what was erased: the older
/// moment is still there, without that memory.
static void test_a_purge_erases_from_history_too(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space;
    memdb_snapshot_t *now, *then;
    memdb_memory_t memory;
    memdb_settings_t settings = {.size = sizeof settings, .history_bytes = UINT64_C(1) << 40};
    must(fixture->db, memdb_configure(fixture->db, &settings));
    uint64_t victim = prepare(fixture, &space);
    put_text(fixture->db, space, "linked", "as it was before");
    must(fixture->db, memdb_snapshot_begin(fixture->db, NULL, &now));
    memdb_snapshot_options_t as_of = {.size = sizeof as_of, .as_of_lsn = memdb_snapshot_lsn(now)};
    memdb_snapshot_end(now);
    put_text(fixture->db, space, "linked", "another end");
    erase(fixture->db, space, victim);
    must(fixture->db, memdb_compact(fixture->db, NULL));
    must(fixture->db, memdb_snapshot_begin(fixture->db, &as_of, &then));
    must(fixture->db, memdb_get_by_key(then, space, text("needle-key"), &memory)); // not yet purged
    memdb_snapshot_end(then);
    search(fixture->path, true);
    must(fixture->db, memdb_purge(fixture->db, NULL));
    search(fixture->path, false);
    must(fixture->db, memdb_snapshot_begin(fixture->db, &as_of, &then));
    assert_int_equal(memdb_get_by_key(then, space, text("needle-key"), &memory), MEMDB_NOT_FOUND);
    must(fixture->db, memdb_get_by_key(then, space, text("linked"), &memory));
    assert_memory_equal(memory.text.data, "as it was before", memory.text.size);
    memdb_snapshot_end(then);
    check_after(fixture, space);
}

/// The log and the extents that are kept for the next backup go too; it copies everything then.
static void test_a_purge_ends_the_archive_for_backups(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space;
    memdb_space_report_t report = {.size = sizeof report};
    memdb_copied_t copied = {.size = sizeof copied};
    char backup[300], archive[300];
    snprintf(backup, sizeof backup, "%s-backup", fixture->path);
    snprintf(archive, sizeof archive, "%s/archive", fixture->path);
    must(fixture->db, memdb_backup(fixture->db, backup, NULL, &copied));
    assert_int_equal(access(archive, F_OK), 0);
    uint64_t victim = prepare(fixture, &space);
    erase(fixture->db, space, victim);
    must(fixture->db, memdb_compact(fixture->db, NULL)); // into the archive with all of it
    search(archive, true);
    must(fixture->db, memdb_purge(fixture->db, &report));
    assert_true(report.archived_files_removed > 0);
    search(fixture->path, false);
    assert_int_equal(access(archive, F_OK), -1);
    must(fixture->db, memdb_backup(fixture->db, backup, NULL, &copied));
    assert_false(copied.incremental);
    check_after(fixture, space);
}

static const char *refused; // the end of a name

static bool is_refused(const char *name) {
    size_t size = strlen(name);
    errno = EIO;
    return refused && size > strlen(refused) && strcmp(name + size - strlen(refused), refused) == 0;
}

static int open_at(int directory, const char *name, int flags, mode_t mode) {
    return (flags & O_CREAT) && is_refused(name)
               ? -1
               : memdb__io_real.open_at(directory, name, flags, mode);
}

static int unlink_at(int directory, const char *name, int flags) {
    return is_refused(name) ? -1 : memdb__io_real.unlink_at(directory, name, flags);
}

static void test_a_purge_that_fails_is_still_pending(void **state) {
    fixture_t *fixture = *state;
    static const char *const names[] = {".seg", ".log"}; // in the fold; after its switch
    memdb_space_t space;
    memdb__io_table_t table = memdb__io_real;
    table.open_at = open_at;
    table.unlink_at = unlink_at;
    uint64_t victim = prepare(fixture, &space);
    erase(fixture->db, space, victim);
    for (size_t i = 0; i < 2; i++) {
        memdb__io_install(&table);
        refused = names[i];
        assert_int_equal(memdb_purge(fixture->db, NULL), MEMDB_IO);
        refused = NULL;
        memdb__io_install(NULL);
        assert_int_equal(pending(fixture->db), 1);
        if (i == 1) { // by a later life
            fixture_close(fixture);
            fixture_open(fixture, (memdb_options_t){.no_background = true});
            assert_int_equal(pending(fixture->db), 1);
        }
    }
    must(fixture->db, memdb_purge(fixture->db, NULL));
    search(fixture->path, false);
    check_after(fixture, space);
}

static void test_erasing_twice_or_after_forgetting_is_not_found(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space = space_of(fixture->db, "main");
    uint64_t id = put_text(fixture->db, space, "k", "words");
    memdb_txn_t *txn;
    must(fixture->db, memdb_txn_begin(fixture->db, &txn));
    assert_int_equal(memdb_forget_erase(txn, space, id + 1000), MEMDB_NOT_FOUND);
    must(fixture->db, memdb_forget_erase(txn, space, id));
    assert_int_equal(memdb_forget_erase(txn, space, id), MEMDB_NOT_FOUND);
    must(fixture->db, memdb_txn_commit(txn, MEMDB_DURABILITY_DEFAULT, NULL));
    assert_int_equal(memdb_purge(NULL, NULL), MEMDB_INVALID);
    memdb_space_report_t report = {0};
    assert_int_equal(memdb_compact(fixture->db, &report), MEMDB_INVALID);
}

int main(void) {
    contents = malloc(BLOB_BYTES);
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_purge_leaves_no_byte_of_what_was_erased),
        TEST(test_without_a_purge_erased_bytes_stay),
        TEST(test_a_purge_after_a_crash_and_recovery),
        TEST(test_a_purge_beside_other_processes),
        TEST(test_a_purge_erases_from_history_too),
        TEST(test_a_purge_ends_the_archive_for_backups),
        TEST(test_a_purge_that_fails_is_still_pending),
        TEST(test_erasing_twice_or_after_forgetting_is_not_found),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(contents);
    return failed;
}
