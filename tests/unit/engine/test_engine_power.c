// Power cuts, simulated behind the I/O seam (power_disk.h): at random moments, in the midst of
// commits, checkpoints, openings and between them, build the directory that a power cut could
// leave, and open it under another boot; now and then the run itself goes on with one. Transaction
// n puts the keys "cn.0".."cn.2" (1 to 3 memories, by n). In what is found after a cut each
// transaction is whole or absent, none is there without all before it, and every one that was
// acknowledged at full, with all before it, is there; verify is content, and the database goes on.
// Not covered: a cut in LMDB's own commit, whose writes the seam does not see. The same seed
// replays the run (MEMDB_SEED).
#include "tests/lib/database.h"
#include "tests/unit/engine/power_disk.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define STATES 150        // cuts of a run
#define STATES_LYING 2000 // at most, until a planted fault is found
#define MOST_TEXT 20000
#define QUEUE 16

/// A directory that a cut left, and what must be in it.
typedef struct state {
    char path[256];
    int promised;  // so many transactions, acknowledged at full or before one that was
    int attempted; // none above
} state_t;

typedef struct run {
    char path[256];
    memdb_t *db;
    memdb_space_t space;
    unsigned boot, lives; // power cuts that the run itself went through
    bool cuts;            // the database is there: cut from now on
    int promised, attempted, transactions;
    int most, states, losses; // checked; in which something was wrong
    state_t queue[QUEUE];     // built inside of a call, checked after it
    int queued;
    char first_loss[700];
} run_t;

static char root[200]; // of a run: the database and the directories that cuts left

// ------------------------------------------------------------------------------ the content

static int memories_of(int number) {
    return 1 + number % 3;
}

static bool has_blob(int number) {
    return number % 5 == 1;
}

static memdb_bytes_t words_of(int number, int part) {
    static char words[MOST_TEXT];
    static const size_t sizes[] = {10, 300, 3000, 5000, MOST_TEXT, 60, 100};
    size_t size = sizes[(number * 3 + part) % 7];
    for (size_t i = 0; i < size; i++) {
        words[i] =
            i % 6 == 5 ? ' ' : (char)('a' + (i * 7 + (size_t)number * 31 + (size_t)part * 3) % 26);
    }
    return (memdb_bytes_t){words, size};
}

static memdb_bytes_t key_of(int number, int part) {
    static char key[32];
    snprintf(key, sizeof key, "c%d.%d", number, part);
    return text(key);
}

static memdb_status_t put_transaction(memdb_t *db, memdb_space_t space, int number,
                                      memdb_durability_t durability) {
    memdb_txn_t *txn;
    memdb_blob_t blob;
    memdb_status_t status = memdb_txn_begin(db, &txn);
    if (status) {
        return status;
    }
    for (int part = 0; part < memories_of(number) && !status; part++) {
        memdb_memory_t memory = {.size = sizeof memory,
                                 .fields = MEMDB_FIELD_KEY | MEMDB_FIELD_TEXT,
                                 .key = key_of(number, part),
                                 .text = words_of(number, part)};
        if (has_blob(number) && part == 0) {
            status = memdb_blob_put(txn, memory.text.data, memory.text.size, &blob);
            memory.fields |= MEMDB_FIELD_BLOBS;
            memory.blobs = &blob;
            memory.blob_count = 1;
        }
        status = status ? status : memdb_put(txn, space, &memory, NULL);
    }
    if (status) {
        memdb_txn_abort(txn);
        return status;
    }
    return memdb_txn_commit(txn, durability, NULL);
}

/// How many of its memories are there, in `found_out`; an error where one is not what was put.
static memdb_status_t read_transaction(memdb_snapshot_t *snapshot, memdb_space_t space, int number,
                                       int *found_out) {
    memdb_status_t status = MEMDB_OK;
    *found_out = 0;
    for (int part = 0; part < memories_of(number); part++) {
        memdb_memory_t memory;
        memdb_blob_reader_t *reader;
        static char bytes[MOST_TEXT];
        size_t read = 0;
        status = memdb_get_by_key(snapshot, space, key_of(number, part), &memory);
        if (status == MEMDB_NOT_FOUND) {
            continue;
        }
        memdb_bytes_t words = words_of(number, part);
        if (!status && (memory.text.size != words.size ||
                        memcmp(memory.text.data, words.data, words.size) != 0)) {
            status = MEMDB_CORRUPT;
        }
        if (!status && has_blob(number) && part == 0) {
            status = memory.blob_count == 1
                         ? memdb_blob_reader_open(snapshot, &memory.blobs[0], &reader)
                         : MEMDB_CORRUPT;
            if (!status) {
                status = memdb_blob_reader_read(reader, 0, bytes, sizeof bytes, &read);
                memdb_blob_reader_close(reader);
            }
            if (!status && (read != words.size || memcmp(bytes, words.data, read) != 0)) {
                status = MEMDB_CORRUPT;
            }
        }
        if (status) {
            return status;
        }
        ++*found_out;
    }
    return MEMDB_OK;
}

// ------------------------------------------------------------------------------ the checker

typedef struct finding {
    char what[700];
} finding_t;

static bool wrong(finding_t *finding, memdb_t *db, memdb_status_t status, const char *what,
                  int number) {
    char message[500] = "";
    if (db && status) {
        memdb_last_error(db, message, sizeof message);
    }
    snprintf(finding->what, sizeof finding->what, "%s %d: %s %s", what, number,
             memdb_status_name(status), message);
    return false;
}

/// Whole transactions, without a gap, at least the promised ones: their count.
static bool count_transactions(memdb_t *db, const state_t *state, memdb_space_t *space,
                               int *count_out, finding_t *finding) {
    memdb_snapshot_t *snapshot;
    memdb_status_t status = memdb_snapshot_begin(db, NULL, &snapshot);
    if (status) {
        return wrong(finding, db, status, "snapshot", 0);
    }
    int count = 0;
    bool ended = false, right = true;
    status = memdb_space_find(snapshot, text("main"), space);
    if (status) {
        right = wrong(finding, db, status, "space", 0);
    }
    for (int number = 0; number < state->attempted + QUEUE && right; number++) {
        int found;
        status = read_transaction(snapshot, *space, number, &found);
        if (status) {
            right = wrong(finding, db, status, "read of transaction", number);
        } else if (found != 0 && found != memories_of(number)) {
            right = wrong(finding, db, status, "half of transaction", number);
        } else if (found == 0 && number < state->promised) {
            right = wrong(finding, db, status, "loss of transaction", number);
        } else if (found != 0 && (ended || number >= state->attempted)) {
            right = wrong(finding, db, status, "a gap before transaction", number);
        }
        ended |= found == 0;
        count += found != 0;
    }
    memdb_snapshot_end(snapshot);
    *count_out = count;
    return right;
}

static bool open_and_verify(const char *path, memdb_t **db_out, finding_t *finding) {
    memdb_options_t options = {.size = sizeof options, .no_background = true};
    memdb_error_t error = {0};
    memdb_status_t status = memdb_open(path, &options, db_out, &error);
    if (status) {
        snprintf(finding->what, sizeof finding->what, "%s", error.message);
        return false;
    }
    status = memdb_verify(*db_out, NULL, NULL);
    if (status) {
        wrong(finding, *db_out, status, "verify", 0);
        must(NULL, memdb_close(*db_out));
        return false;
    }
    return true;
}

/// Open what the cut left, check it, go on with one commit, and find it all after a reopening.
static bool check_state(const state_t *state, finding_t *finding) {
    memdb_t *db;
    memdb_space_t space = 0;
    state_t after = *state;
    int count = 0, again = 0;
    if (!open_and_verify(state->path, &db, finding)) {
        return false;
    }
    bool right = count_transactions(db, state, &space, &count, finding);
    memdb_status_t status =
        right ? put_transaction(db, space, count, MEMDB_DURABILITY_FULL) : MEMDB_OK;
    if (!status && right && count % 4 == 0) {
        status = memdb_checkpoint(db);
    }
    if (status) {
        right = wrong(finding, db, status, "commit after the cut", count);
    }
    must(NULL, memdb_close(db));
    if (!right || !open_and_verify(state->path, &db, finding)) {
        return false;
    }
    after.promised = count + 1;
    after.attempted = state->attempted + 1;
    right = count_transactions(db, &after, &space, &again, finding);
    must(NULL, memdb_close(db));
    return right;
}

// ------------------------------------------------------------------------------ cuts

static void cut(run_t *run) {
    if (!run->cuts || run->queued == QUEUE || run->states + run->queued >= run->most) {
        return;
    }
    state_t *state = &run->queue[run->queued];
    snprintf(state->path, sizeof state->path, "%s/cut%d", root, run->states + run->queued);
    state->promised = run->promised;
    state->attempted = run->attempted;
    power_disk_build(state->path);
    run->queued++;
}

static void perhaps_cut(void *context) {
    if (power_random(8) == 0) {
        cut(context);
    }
}

/// Outside of all calls, since openings take locks of the process.
static void check_queue(run_t *run) {
    bool cuts = run->cuts;
    run->cuts = false;
    for (int i = 0; i < run->queued; i++) {
        finding_t finding = {{0}};
        power_disk_boot(UINT32_MAX - run->boot); // another one than the run's
        if (!check_state(&run->queue[i], &finding) && run->losses++ == 0) {
            snprintf(run->first_loss, sizeof run->first_loss, "cut %d: %.650s", run->states,
                     finding.what);
        }
        remove_tree(run->queue[i].path);
        run->states++;
    }
    power_disk_boot(run->boot);
    run->queued = 0;
    run->cuts = cuts;
}

static void open_run(run_t *run, memdb_durability_t durability) {
    memdb_options_t options = {.size = sizeof options,
                               .flags = MEMDB_OPEN_CREATE,
                               .durability = durability,
                               .no_background = true};
    memdb_error_t error = {0};
    if (memdb_open(run->path, &options, &run->db, &error)) {
        fail_msg("%s", error.message);
    }
}

/// One transaction at a random level.
static void step(run_t *run) {
    static const memdb_durability_t levels[] = {MEMDB_DURABILITY_FULL, MEMDB_DURABILITY_FULL,
                                                MEMDB_DURABILITY_OS, MEMDB_DURABILITY_NONE};
    memdb_durability_t level = levels[power_random(4)];
    int number = run->attempted++;
    run->transactions++;
    must(run->db, put_transaction(run->db, run->space, number, level));
    if (level == MEMDB_DURABILITY_FULL) {
        run->promised = number + 1; // with all before it
    }
    if (power_random(3) == 0) {
        cut(run);
    }
}

/// The run itself loses its power, and goes on with what is left; the opening may be cut again.
/// What is found after it stays.
static void lose_power(run_t *run, memdb_durability_t durability) {
    char path[256];
    int count = 0;
    finding_t finding = {{0}};
    snprintf(path, sizeof path, "%s/life%u", root, ++run->lives);
    power_disk_build(path);
    run->cuts = false;
    must(run->db, memdb_close(run->db));
    remove_tree(run->path);
    snprintf(run->path, sizeof run->path, "%s", path);
    power_disk_adopt(path);
    power_disk_boot(++run->boot);
    run->cuts = true;
    open_run(run, durability);
    check_queue(run);
    state_t now = {.promised = run->promised, .attempted = run->attempted};
    if (!count_transactions(run->db, &now, &run->space, &count, &finding) && run->losses++ == 0) {
        snprintf(run->first_loss, sizeof run->first_loss, "life %u: %.650s", run->lives,
                 finding.what);
    }
    run->promised = run->attempted = count;
}

/// Transactions, checkpoints and reopenings until enough cuts are checked, or one shows a loss.
static void run_cuts(run_t *run, power_lie_t lie, memdb_durability_t durability) {
    const char *parent = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    *run = (run_t){.most = lie == POWER_HONEST ? STATES : STATES_LYING};
    snprintf(root, sizeof root, "%s/memdb-power-XXXXXX", parent);
    assert_non_null(mkdtemp(root));
    snprintf(run->path, sizeof run->path, "%s/db", root);
    power_disk_watch(run->path, perhaps_cut, run);
    open_run(run, durability);
    run->space = space_of(run->db, "main");
    must(run->db, memdb_sync(run->db));
    power_disk_lie(lie);
    run->cuts = true;
    while (run->states < run->most && run->losses == 0) {
        step(run);
        check_queue(run);
        if (power_random(12) == 0) {
            must(run->db, memdb_checkpoint(run->db));
            run->promised = run->attempted; // a checkpoint makes all before it durable
            cut(run);
            check_queue(run);
        }
        if (power_random(20) == 0) {
            must(run->db, memdb_close(run->db));
            open_run(run, durability);
            check_queue(run);
        }
        if (lie == POWER_HONEST && run->losses == 0 && power_random(15) == 0) {
            lose_power(run, durability);
        }
    }
    must(run->db, memdb_close(run->db));
    power_disk_forget();
    remove_tree(root);
}

static void test_power_cuts_lose_nothing_acknowledged_at_full(void **state) {
    (void)state;
    static const memdb_durability_t defaults[] = {MEMDB_DURABILITY_FULL, MEMDB_DURABILITY_OS};
    for (int i = 0; i < 2; i++) {
        run_t run;
        run_cuts(&run, POWER_HONEST, defaults[i]);
        if (run.losses) {
            fail_msg("%s", run.first_loss);
        }
        printf("%d cuts over %d transactions and %u lives in a database of level %s\n", run.states,
               run.transactions, run.lives + 1, i ? "os" : "full");
    }
}

static void test_power_cuts_show_a_sync_that_was_left_out(void **state) {
    (void)state;
    static const power_lie_t lies[] = {POWER_LIES_ABOUT_DATA, POWER_LIES_ABOUT_FILES,
                                       POWER_LIES_ABOUT_DIRECTORIES};
    for (int i = 0; i < 3; i++) {
        run_t run;
        run_cuts(&run, lies[i], MEMDB_DURABILITY_FULL);
        printf("planted fault %d: %s\n", lies[i], run.losses ? run.first_loss : "not found");
        assert_int_not_equal(run.losses, 0);
    }
}

int main(void) {
    if (access("/dev/shm", W_OK) == 0) {
        setenv("TMPDIR", "/dev/shm", 0); // thousands of syncs: nothing here needs a disk
    }
    const char *given = getenv("MEMDB_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
    printf("seed=%" PRIu64 "\n", seed);
    power_seed(seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_power_cuts_lose_nothing_acknowledged_at_full),
        cmocka_unit_test(test_power_cuts_show_a_sync_that_was_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
