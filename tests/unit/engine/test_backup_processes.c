// Backups in a loop, while other processes write, checkpoint, close, open and are killed.
//
// Each writer owns keys of its own and counts up one value after the other in each of them; after
// an acknowledgement it writes down (LSN, key, value). So what a restored database must show at an
// LSN is known: of each key the last value noted at or below it, or one that a killed writer
// committed and could not note any more. The same seed gives the same kills, not the same order of
// commits.
#include "tests/unit/engine/backup_story.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WRITERS 3
#define KEYS_EACH 4
#define BACKUPS 12

typedef struct note {
    uint64_t lsn;
    int32_t key, value;
} note_t;

typedef struct world {
    fixture_t *fixture;
    story_t *story; // for its random numbers
    char to[256], notes[WRITERS][256];
    pid_t writers[WRITERS], folder;
} world_t;

/// The last value that a writer noted for its keys: it goes on from there.
static void last_values(const char *name, int writer, int values[KEYS_EACH]) {
    note_t note;
    int fd = open(name, O_RDONLY | O_CREAT, 0600);
    memset(values, 0, KEYS_EACH * sizeof *values);
    while (read(fd, &note, sizeof note) == sizeof note) {
        int number = note.key - writer * KEYS_EACH;
        values[number] = note.value > values[number] ? note.value : values[number];
    }
    close(fd);
}

static memdb_t *open_it(const world_t *world, bool background) {
    memdb_t *db = NULL;
    memdb_options_t options = {
        .size = sizeof options, .checkpoint_log_bytes = 200000, .no_background = !background};
    return memdb_open(world->fixture->path, &options, &db, NULL) ? NULL : db;
}

static void give_up(memdb_t *db, int code) {
    char message[600] = "";
    if (db) {
        memdb_last_error(db, message, sizeof message);
    }
    print_error("process %d: %s\n", code, message);
    _exit(code);
}

/// A writer's life: until it is killed.
static void write_on(const world_t *world, int writer) {
    int values[KEYS_EACH], fd;
    last_values(world->notes[writer], writer, values);
    for (int i = 0; i < KEYS_EACH; i++) {
        values[i]++; // the next one may be committed already, without a note
    }
    fd = open(world->notes[writer], O_WRONLY | O_APPEND);
    for (int turn = 0;; turn++) {
        memdb_t *db = open_it(world, writer == 0);
        for (int i = 0; db && i < 200; i++) {
            memdb_space_t space;
            memdb_txn_t *txn;
            int number = (turn * 7 + i) % KEYS_EACH;
            note_t note = {0, writer * KEYS_EACH + number, values[number]};
            if (memdb_txn_begin(db, &txn)) {
                give_up(db, 2);
            }
            memdb_status_t status = memdb_space_ensure(txn, text("main"), &space);
            status = status ? status : story_put(txn, space, note.key, note.value);
            if (status) {
                give_up(db, 3);
            }
            status = memdb_txn_commit(txn, i % 3 ? MEMDB_DURABILITY_OS : MEMDB_DURABILITY_FULL,
                                      &note.lsn);
            if (status == MEMDB_BUSY || status == MEMDB_CONFLICT) {
                continue;
            }
            if (status || write(fd, &note, sizeof note) != sizeof note) {
                give_up(db, 4);
            }
            values[number]++;
        }
        if (!db || memdb_close(db)) {
            give_up(db, 5);
        }
    }
}

static void fold_on(const world_t *world) {
    memdb_t *db = open_it(world, false);
    while (db && memdb_checkpoint(db) == MEMDB_OK) {
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    give_up(db, 6);
}

static void start(world_t *world, int writer) {
    pid_t child = fork();
    if (child == 0) {
        writer < WRITERS ? write_on(world, writer) : fold_on(world);
    }
    *(writer < WRITERS ? &world->writers[writer] : &world->folder) = child;
}

static void stop(pid_t child) {
    int how;
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &how, 0), child);
    if (!WIFSIGNALED(how)) {
        fail_msg("a process ended by itself: %d", WEXITSTATUS(how));
    }
}

/// The values that a key may have at `lsn`: the last one noted, and the one after it where no note
/// says that it came later.
static void check_writer(const world_t *world, memdb_t *db, int writer, uint64_t lsn) {
    note_t note;
    int below[KEYS_EACH] = {0}, first_above[KEYS_EACH] = {0};
    int fd = open(world->notes[writer], O_RDONLY);
    while (read(fd, &note, sizeof note) == sizeof note) {
        int number = note.key - writer * KEYS_EACH;
        int *slot = note.lsn <= lsn ? &below[number] : &first_above[number];
        bool newer = note.lsn <= lsn || *slot == 0;
        *slot = newer ? note.value : *slot;
    }
    close(fd);
    for (int i = 0; i < KEYS_EACH; i++) {
        int key = writer * KEYS_EACH + i;
        bool good = story_shows(db, key, below[i]);
        // A killed writer's last commit, without a note; its successor puts the same value again.
        good = good || (first_above[i] <= below[i] + 1 && story_shows(db, key, below[i] + 1));
        if (!good) {
            fail_msg("key %d is neither value %d nor an unnoted %d at LSN %llu", key, below[i],
                     below[i] + 1, (unsigned long long)lsn);
        }
    }
}

static void check_at(const world_t *world, uint64_t lsn) {
    char path[300];
    memdb_t *db;
    memdb_options_t options = {.size = sizeof options, .flags = MEMDB_OPEN_READ_ONLY};
    snprintf(path, sizeof path, "%.200s-restored", world->to);
    restore(world->to, path, lsn, 0);
    assert_int_equal(memdb_open(path, &options, &db, NULL), MEMDB_OK);
    for (int writer = 0; writer < WRITERS; writer++) {
        check_writer(world, db, writer, lsn);
    }
    must(db, memdb_close(db));
    remove_tree(path);
}

static void test_backups_beside_writers_that_are_killed(void **state) {
    world_t world = {.fixture = *state, .story = calloc(1, sizeof(story_t))};
    struct {
        uint64_t lsn, base;
    } taken[BACKUPS];
    world.story->seed = story_seed(21);
    int backups = BACKUPS, increments = 0;
    snprintf(world.to, sizeof world.to, "%.200s-backup", world.fixture->path);
    fixture_close(world.fixture);
    for (int i = 0; i <= WRITERS; i++) {
        if (i < WRITERS) {
            snprintf(world.notes[i], 256, "%.200s-notes-%d", world.fixture->path, i);
            close(open(world.notes[i], O_WRONLY | O_CREAT, 0600));
        }
        start(&world, i);
    }
    fixture_open(world.fixture, (memdb_options_t){.no_background = true});
    for (int i = 0; i < backups; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 20000000 + story_draw(world.story, 40000000)},
                  NULL);
        int victim = (int)story_draw(world.story, WRITERS);
        if (story_draw(world.story, 2)) {
            stop(world.writers[victim]);
            start(&world, victim);
        }
        memdb_copied_t copied =
            back_up(world.fixture->db, world.to, i == backups / 2 ? MEMDB_BACKUP_FULL : 0);
        taken[i].lsn = copied.lsn;
        taken[i].base = copied.base_lsn;
        increments += copied.incremental;
    }
    for (int i = 0; i < WRITERS; i++) {
        stop(world.writers[i]);
    }
    stop(world.folder);
    must(world.fixture->db, memdb_verify(world.fixture->db, NULL, NULL));
    memdb_copied_t last = back_up(world.fixture->db, world.to, 0);
    assert_int_equal(increments, backups - 2);
    for (int i = backups / 2; i < backups; i++) {
        assert_int_equal(taken[i].base, last.base_lsn);
        check_at(&world, taken[i].lsn);
        uint64_t span = last.lsn - last.base_lsn;
        check_at(&world, last.base_lsn + story_draw(world.story, (uint32_t)span + 1));
    }
    check_at(&world, last.lsn);
    printf("%d increments, %llu bytes of log\n", increments + 1,
           (unsigned long long)(last.lsn - taken[0].base));
    free(world.story);
}

int main(void) {
    if (access("/dev/shm", W_OK) == 0) {
        setenv("TMPDIR", "/dev/shm", 0);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_backups_beside_writers_that_are_killed, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
