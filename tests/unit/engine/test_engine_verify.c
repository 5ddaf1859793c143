// Goal: verify finds each way in which the stores can disagree, names file and offset of damaged
// pages whoever of its threads reads them, names garbage as such, and hinders no checkpoint.
// Method: each fault is planted into a segment with right checksums (tests/lib/tamper.h) or, for
// pages, into the bytes of a file.
#include "engine/keys.h"
#include "engine/record.h"
#include "tests/lib/database.h"
#include "tests/lib/tamper.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

// ------------------------------------------------------------------------------ findings

typedef struct findings {
    size_t count;
    char file[64][128], what[64][512];
    uint64_t offset[64];
    size_t garbage;
    char garbage_file[16][128];
    uint64_t done, total, calls;
    bool fell, past; // progress fell, or passed its total
    memdb_t *fold;   // checkpoint it behind the log's bytes; NULL: no
    uint64_t fold_at;
    memdb_status_t folded;
} findings_t;

static void found(void *context, const char *file, uint64_t offset, const char *what) {
    findings_t *findings = context;
    size_t i = findings->count++;
    if (i < 64) {
        snprintf(findings->file[i], sizeof findings->file[i], "%s", file);
        snprintf(findings->what[i], sizeof findings->what[i], "%s", what);
        findings->offset[i] = offset;
    }
}

static void garbage(void *context, const char *file, uint64_t bytes) {
    findings_t *findings = context;
    (void)bytes;
    if (findings->garbage < 16) {
        snprintf(findings->garbage_file[findings->garbage++], 128, "%s", file);
    }
}

static void *fold(void *context) {
    findings_t *findings = context;
    findings->folded = memdb_checkpoint(findings->fold);
    return NULL;
}

static void progress(void *context, uint64_t done, uint64_t total) {
    findings_t *findings = context;
    findings->fell |= done < findings->done;
    findings->past |= done > total;
    findings->done = done;
    findings->total = total;
    findings->calls++;
    if (findings->fold && done > findings->fold_at) {
        pthread_t thread; // a callback must not call back: somebody else does, and verify waits
        assert_int_equal(pthread_create(&thread, NULL, fold, findings), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        findings->fold = NULL;
    }
}

static memdb_status_t verify(memdb_t *db, findings_t *findings, uint32_t threads) {
    memdb_verify_options_t options = {.size = sizeof options,
                                      .threads = threads,
                                      .found = found,
                                      .context = findings,
                                      .progress = progress,
                                      .garbage = garbage};
    return memdb_verify_with(db, &options);
}

/// Fail unless some finding says `what`, in a file whose name begins with `file`.
static void assert_found(const findings_t *findings, const char *file, const char *what) {
    for (size_t i = 0; i < findings->count && i < 64; i++) {
        if (strstr(findings->what[i], what) &&
            strncmp(findings->file[i], file, strlen(file)) == 0) {
            return;
        }
    }
    fail_msg("no finding '%s' among %zu, the first: %s: %s", what, findings->count,
             findings->file[0], findings->what[0]);
}

// ------------------------------------------------------------------------------ the database

/// Three linked memories with all that can be wrong, folded into one tier, and closed.
static void fill(fixture_t *fixture) {
    memdb_space_t space = space_of(fixture->db, "main");
    uint64_t ids[3];
    memdb_txn_t *txn;
    must(fixture->db,
         memdb_index_create(fixture->db, space, text("session"), MEMDB_DURABILITY_DEFAULT));
    must(fixture->db, memdb_txn_begin(fixture->db, &txn));
    for (int i = 0; i < 3; i++) {
        char key[8];
        float vector[4] = {1, (float)i, 2, 3};
        snprintf(key, sizeof key, "k%d", i);
        memdb_memory_t memory = {.size = sizeof memory,
                                 .fields = MEMDB_FIELD_KEY | MEMDB_FIELD_TEXT | MEMDB_FIELD_TIME |
                                           MEMDB_FIELD_SESSION | MEMDB_FIELD_VECTOR,
                                 .key = text(key),
                                 .text = text("a lantern in the harbour"),
                                 .session = text("s"),
                                 .time = 1000 + i,
                                 .vector = vector,
                                 .dimension = 4};
        must(fixture->db, memdb_put(txn, space, &memory, &ids[i]));
    }
    memdb_link_t link = {.size = sizeof link,
                         .space = space,
                         .from = ids[0],
                         .to = ids[1],
                         .type = text("next"),
                         .weight = 1,
                         .valid_from = MEMDB_TIME_NONE,
                         .valid_to = MEMDB_TIME_NONE};
    must(fixture->db, memdb_put_link(txn, &link));
    must(fixture->db, memdb_txn_commit(txn, MEMDB_DURABILITY_DEFAULT, NULL));
    must(fixture->db, memdb_checkpoint(fixture->db));
}

// ------------------------------------------------------------------------------ planted faults

typedef enum fault_kind { DROP, SHORTEN, RAISE, SAME_KEY, NO_DOCUMENT, OTHER_ID } fault_kind_t;

typedef struct fault {
    char entry;
    fault_kind_t kind;
    const char *what; // that is found
    bool planted;
} fault_t;

static bool plant(void *context, memdb__entry_t *entry) {
    fault_t *fault = context;
    if (fault->planted || entry->key[0] != (uint8_t)fault->entry) {
        return true;
    }
    fault->planted = true;
    static uint8_t key[64];
    uint8_t *value = (uint8_t *)entry->value;
    switch (fault->kind) {
    case DROP:
        return false;
    case SHORTEN:
        entry->value_size -= entry->value_size > 0;
        return true;
    case RAISE:
        value[0]++;
        return true;
    case SAME_KEY: // of the first record: sized bytes behind space, fields and two versions
        assert_memory_equal(value + 24, "\2k0", 3);
        value[26] = '1';
        return true;
    case OTHER_ID: // at the end of the key; keys still rise
        assert_true(entry->key_size < sizeof key);
        memcpy(key, entry->key, entry->key_size);
        key[entry->key_size - 1]--;
        entry->key = key;
        return true;
    default: // NO_DOCUMENT
        memset(value + 8, 0, 8);
        return true;
    }
}

static void test_verify_finds_each_disagreement_of_the_stores(void **state) {
    fixture_t *fixture = *state;
    fault_t faults[] = {
        {.entry = 'K', .kind = DROP, .what = "memory 1: its key does not lead to it"},
        {.entry = 'K', .kind = SHORTEN, .what = "an index entry is not well formed"},
        {.entry = 'T', .kind = DROP, .what = "memory 1: its time does not lead to it"},
        {.entry = 'S', .kind = DROP, .what = "memory 1: its session does not lead to it"},
        {.entry = 'I', .kind = DROP, .what = "memory 2: a link to it is not found from it"},
        {.entry = 'L', .kind = SHORTEN, .what = "a link is not well formed"},
        {.entry = 'C', .kind = RAISE, .what = "space 1 counts 4 memories"},
        {.entry = 'N', .kind = DROP, .what = "a space's name does not lead to it"},
        {.entry = 'N', .kind = RAISE, .what = "the name of a space leads to none of that name"},
        {.entry = 'V', .kind = DROP, .what = "memory 1: an attribute index does not lead to it"},
        {.entry = 'V', .kind = OTHER_ID, .what = "memory 0: an attribute index has a value for it"},
        {.entry = 'X',
         .kind = SHORTEN,
         .what = "the list of indexes of space 1 is not well formed"},
        {.entry = 'R', .kind = SHORTEN, .what = "memory 1: its record is not well formed"},
        {.entry = 'R', .kind = SAME_KEY, .what = "its key is that of another memory too"},
        {.entry = 'R', .kind = NO_DOCUMENT, .what = "the words of space 1 count 3 documents, and"},
    };
    fill(fixture);
    fixture_close(fixture);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        fixture_t bad = {0};
        findings_t findings = {0};
        fixture_copy(fixture, "-bad", bad.path);
        tamper_entries(bad.path, plant, &faults[i]);
        assert_true(faults[i].planted);
        fixture_open(&bad, (memdb_options_t){0});
        assert_int_equal(verify(bad.db, &findings, 2), MEMDB_CORRUPT);
        assert_found(&findings, "segments", faults[i].what);
        fixture_close(&bad);
        remove_tree(bad.path);
    }
}

static bool first_is_not_live(void *context, memdb_space_t space, uint64_t id, uint64_t version) {
    (void)context;
    (void)space;
    (void)version;
    return id != 1;
}

static void test_verify_finds_missing_words_and_rows(void **state) {
    fixture_t *fixture = *state;
    static const char *const what[] = {"memory 1: the words of its text are missing",
                                       "memory 1: the row of its vector is missing"};
    fill(fixture);
    fixture_close(fixture);
    for (int i = 0; i < 2; i++) {
        fixture_t bad = {0};
        findings_t findings = {0};
        fixture_copy(fixture, "-bad", bad.path);
        if (i == 0) {
            tamper_words(bad.path, first_is_not_live, NULL);
        } else {
            tamper_vectors(bad.path, first_is_not_live, NULL);
        }
        fixture_open(&bad, (memdb_options_t){0});
        assert_int_equal(verify(bad.db, &findings, 2), MEMDB_CORRUPT);
        assert_int_equal(findings.count, 1);
        assert_found(&findings, "segments/", what[i]);
        fixture_close(&bad);
        remove_tree(bad.path);
    }
}

/// Change one byte of a file.
static void harm(const char *database, const char *file, off_t offset) {
    char path[512];
    uint8_t byte;
    snprintf(path, sizeof path, "%s/%s", database, file);
    int fd = open(path, O_RDWR);
    assert_int_equal(pread(fd, &byte, 1, offset), 1);
    byte ^= 16;
    assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
    close(fd);
}

static void test_verify_names_file_and_offset_of_every_bad_page(void **state) {
    fixture_t *fixture = *state;
    memdb_space_t space = space_of(fixture->db, "main");
    for (int i = 0; i < 200; i++) { // a map of several pages
        char key[16], words[700];
        snprintf(key, sizeof key, "k%d", i);
        for (size_t at = 0; at + 8 < sizeof words; at += 8) {
            snprintf(words + at, 9, "%07d ", i * 1000 + (int)at);
        }
        put_text(fixture->db, space, key, words);
    }
    must(fixture->db, memdb_checkpoint(fixture->db));
    for (uint32_t threads = 1; threads <= 8; threads *= 8) {
        findings_t findings = {0};
        must(fixture->db, verify(fixture->db, &findings, threads));
        assert_int_equal(findings.count, 0);
        assert_false(findings.fell || findings.past);
        assert_true(findings.calls > 3 && findings.done > 150000);
    }
    // Mapped pages show the change at once.
    harm(fixture->path, "segments/0000000000000001.seg", 4096 + 2 * 16384 + 77);
    harm(fixture->path, "segments/0000000000000001.seg", 4096 + 5 * 16384 + 1);
    harm(fixture->path, "segments/0000000000000002.seg", 4096 + 9);
    for (uint32_t threads = 1; threads <= 8; threads *= 8) {
        findings_t findings = {0};
        assert_int_equal(verify(fixture->db, &findings, threads), MEMDB_CORRUPT);
        assert_int_equal(findings.count, 3);
        uint64_t sum = 0;
        for (size_t i = 0; i < 3; i++) {
            assert_string_equal(findings.what[i], "checksum mismatch of a page");
            assert_true(strncmp(findings.file[i], "segments/000000000000000", 24) == 0);
            sum += findings.offset[i];
        }
        assert_int_equal(sum, 3 * 4096 + 7 * 16384);
    }
}

static void test_verify_lets_checkpoints_go_on(void **state) {
    fixture_t *fixture = *state;
    findings_t findings = {.folded = MEMDB_BUSY};
    memdb_stats_t stats = {.size = sizeof stats};
    fill(fixture);
    put_text(fixture->db, space_of(fixture->db, "main"), "new", "a falcon over the tundra");
    must(fixture->db, memdb_get_stats(fixture->db, &stats));
    findings.fold = fixture->db;
    findings.fold_at = stats.visible_lsn - stats.applied_lsn; // behind the log
    must(fixture->db, verify(fixture->db, &findings, 2));
    must(fixture->db, findings.folded); // the tier under verification was merged away meanwhile
    must(fixture->db, verify(fixture->db, &findings, 2));
    assert_int_equal(findings.count, 0);
}

static void make_file(const char *database, const char *file) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", database, file);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_int_equal(write(fd, "?", 1), 1);
    close(fd);
}

static void test_verify_names_garbage_as_such(void **state) {
    fixture_t *fixture = *state;
    findings_t findings = {0};
    fill(fixture);
    memdb_txn_t *txn; // a blob that its transaction gave up, in an extent that is still locked
    memdb_blob_t blob;
    must(fixture->db, memdb_txn_begin(fixture->db, &txn));
    must(fixture->db, memdb_blob_put(txn, "bytes", 5, &blob));
    memdb_txn_abort(txn);
    make_file(fixture->path, "segments/0000000000000077.seg");
    make_file(fixture->path, "blob/0000000000000002.ext");
    must(fixture->db, verify(fixture->db, &findings, 2));
    assert_int_equal(findings.garbage, 2);
    assert_string_equal(findings.garbage_file[0], "segments/0000000000000077.seg");
    assert_string_equal(findings.garbage_file[1], "blob/0000000000000002.ext");
}

static void test_verify_refuses_options_without_a_size(void **state) {
    fixture_t *fixture = *state;
    memdb_verify_options_t options = {0};
    assert_int_equal(memdb_verify_with(fixture->db, &options), MEMDB_INVALID);
    assert_int_equal(memdb_verify_with(fixture->db, NULL), MEMDB_INVALID);
    options = (memdb_verify_options_t){.size = sizeof options, .threads = 1000};
    assert_int_equal(memdb_verify_with(fixture->db, &options), MEMDB_INVALID);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(test_verify_finds_each_disagreement_of_the_stores),
        CASE(test_verify_finds_missing_words_and_rows),
        CASE(test_verify_names_file_and_offset_of_every_bad_page),
        CASE(test_verify_lets_checkpoints_go_on),
        CASE(test_verify_names_garbage_as_such),
        CASE(test_verify_refuses_options_without_a_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
