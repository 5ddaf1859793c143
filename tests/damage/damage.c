// A million single damages: an error of its own kind or the right answer, never a crash.
//
//     damage [--rounds N] [--workers N] [--seed N] [--round N] [--directory PATH]
//
// Without arguments: MEMDB_DAMAGE_ROUNDS (3,000) rounds. Each worker is a process with a copy of the
// database; a worker that dies or hangs is a violation of the round that it was in, and another one
// goes on behind it. `--seed S --round N` runs one round again.
//
// A round also demands that the failed opening, or the closing, leaves no block of memory and no
// descriptor behind; some rounds verify, and some checkpoint and ask again, so that damage is not
// folded into a whole segment.
#include "base/memory.h"
#include "tests/damage/damage.h"
#include "tests/lib/database.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_WORKERS 16
#define HANG_SECONDS 120

typedef struct shared {
    _Atomic uint64_t round[MAX_WORKERS]; // that the worker is in; read by the parent when it died
    _Atomic uint64_t done, unharmed, told, refused, violations;
} shared_t;

static struct {
    uint64_t rounds, seed, round;
    unsigned workers;
    bool one;
    char directory[200];
} options = {.rounds = 3000, .workers = 2};

static damage_world_t world;
static shared_t *shared;

// ------------------------------------------------------------------------------ one round

typedef struct round {
    uint64_t number, allowed, candidates;
    char path[300], what[400];
    bool erred; // some answer was an error
    unsigned violations;
} round_t;

static void violate(round_t *round, const char *what, const char *detail) {
    if (round->violations++ == 0) {
        printf("VIOLATION round %llu (--seed %llu --round %llu): %s: %s: %s\n",
               (unsigned long long)round->number, (unsigned long long)options.seed,
               (unsigned long long)round->number, round->what, what, detail);
        fflush(stdout);
    }
}

/// An error must be one of damage, and name a file.
static void check_error(round_t *round, const char *what, memdb_status_t status,
                        const char *message) {
    static const char *const names[] = {".seg", ".log", ".ext", "root", "data.mdb", "companion",
                                        "log",  "lock", "control"};
    char detail[700];
    bool named = false;
    snprintf(detail, sizeof detail, "%s: %s", memdb_status_name(status), message);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        named |= strstr(message, names[i]) != NULL;
    if (status != MEMDB_CORRUPT && status != MEMDB_IO)
        violate(round, what, detail);
    else if (!named)
        violate(round, "no file is named", detail);
    round->erred = true;
}

static void check_answer(round_t *round, size_t question, damage_answer_t answer,
                         const char *message) {
    char name[80];
    damage_question_name(&world.questions[question], name, sizeof name);
    if (answer.status) {
        check_error(round, name, answer.status, message);
        return;
    }
    uint64_t left = 0;
    for (size_t i = 0; i < world.state_count; i++)
        if (round->candidates >> i & 1 && world.expected[i][question].hash == answer.hash)
            left |= UINT64_C(1) << i;
    if (!left)
        violate(round, name, "a wrong answer");
    else
        round->candidates = left;
}

/// Ask a part of the questions, `percent` of them.
static void ask_all(round_t *round, memdb_t *db, dice_t *dice, unsigned percent) {
    memdb_snapshot_t *snapshot;
    char message[512] = "";
    memdb_status_t status = memdb_snapshot_begin(db, NULL, &snapshot);
    if (status) {
        memdb_last_error(db, message, sizeof message);
        check_error(round, "snapshot", status, message);
        return;
    }
    for (size_t i = 0; i < world.question_count; i++)
        if (dice_percent(dice, percent))
            check_answer(round, i, damage_ask(db, snapshot, &world.questions[i], message), message);
    memdb_snapshot_end(snapshot);
}

static void verify(round_t *round, memdb_t *db) {
    char message[512] = "";
    memdb_status_t status = memdb_verify(db, NULL, NULL);
    memdb_last_error(db, message, sizeof message);
    if (status == MEMDB_OK && round->erred)
        violate(round, "verify", "it is clean, but an answer was an error");
    if (status && status != MEMDB_CORRUPT && status != MEMDB_IO)
        violate(round, "verify", message);
}

/// Write something, fold, and ask again.
static void fold(round_t *round, memdb_t *db, dice_t *dice) {
    memdb_txn_t *txn;
    memdb_space_t space;
    char message[512] = "";
    memdb_memory_t memory = {.size = sizeof memory,
                             .fields = MEMDB_FIELD_TEXT,
                             .text = {"ember harbour", 13}};
    memdb_status_t status = memdb_txn_begin(db, &txn);
    if (!status) {
        status = memdb_space_ensure(txn, damage_space_name(2), &space);
        status = status ? status : memdb_put(txn, space, &memory, NULL);
        if (status)
            memdb_txn_abort(txn);
        else
            status = memdb_txn_commit(txn, MEMDB_DURABILITY_OS, NULL);
    }
    status = status ? status : memdb_checkpoint(db);
    if (status) {
        memdb_last_error(db, message, sizeof message);
        check_error(round, "checkpoint", status, message);
    }
    ask_all(round, db, dice, 20);
}

static void open_and_ask(round_t *round, dice_t *dice) {
    bool read_only = dice_percent(dice, 40);
    memdb_error_t error = {0};
    memdb_t *db;
    memdb_options_t how = {.size = sizeof how,
                           .flags = read_only ? MEMDB_OPEN_READ_ONLY : 0,
                           .no_background = true,
                           .checkpoint_log_bytes = UINT64_C(1) << 29};
    memdb_status_t status = memdb_open(round->path, &how, &db, &error);
    if (status) {
        check_error(round, "open", status, error.message);
        atomic_fetch_add_explicit(&shared->refused, 1, memory_order_relaxed);
        return;
    }
    ask_all(round, db, dice, dice_percent(dice, 10) ? 100 : 12);
    if (dice_percent(dice, 20))
        verify(round, db);
    if (!read_only && dice_percent(dice, 15))
        fold(round, db, dice);
    if (memdb_close(db))
        violate(round, "close", "it failed");
    atomic_fetch_add_explicit(round->erred ? &shared->told : &shared->unharmed, 1,
                              memory_order_relaxed);
}

static int next_descriptor(void) {
    int fd = dup(0);
    close(fd);
    return fd;
}

static void run_round(unsigned worker, uint64_t number) {
    dice_t dice = {options.seed ^ (number * UINT64_C(0xd6e8feb86659fd93))};
    round_t round = {.number = number};
    snprintf(round.path, sizeof round.path, "%s/%u", options.directory, worker);
    int descriptor = next_descriptor();
    uint64_t blocks = memdb__memory_live();
    alarm(HANG_SECONDS);
    damage_harm(&world, round.path, &dice, &round.allowed, round.what);
    round.candidates = round.allowed;
    open_and_ask(&round, &dice);
    if (memdb__memory_live() != blocks)
        violate(&round, "memory", "blocks are left");
    if (next_descriptor() != descriptor)
        violate(&round, "descriptors", "some are left open");
    damage_image_restore(&world.image, round.path);
    alarm(0);
    atomic_fetch_add_explicit(&shared->violations, round.violations != 0, memory_order_relaxed);
    atomic_fetch_add_explicit(&shared->done, 1, memory_order_relaxed);
}

// ------------------------------------------------------------------------------ workers

static void make_copy(unsigned worker) {
    static const char *const folders[] = {"", "/log", "/catalog", "/segments", "/blob"};
    char path[300];
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        snprintf(path, sizeof path, "%s/%u%s", options.directory, worker, folders[i]);
        if (mkdir(path, 0700) != 0 && errno != EEXIST)
            exit(2);
    }
    snprintf(path, sizeof path, "%s/%u", options.directory, worker);
    for (size_t i = 0; i < world.image.count; i++)
        world.image.files[i].inode = 0; // another directory: everything is to be written
    damage_image_restore(&world.image, path);
}

/// The rounds of a worker: every one whose number is `worker` modulo their count, from `first` on.
static pid_t start(unsigned worker, uint64_t first) {
    fflush(stdout);
    pid_t child = fork();
    if (child != 0)
        return child;
    make_copy(worker);
    for (uint64_t number = first; number < options.rounds; number += options.workers) {
        atomic_store_explicit(&shared->round[worker], number, memory_order_relaxed);
        run_round(worker, number);
        if (worker == 0 && number / options.workers % 10000 == 9999) {
            printf("%llu rounds done\n", (unsigned long long)atomic_load(&shared->done));
            fflush(stdout);
        }
    }
    _exit(0);
}

static void run_all(void) {
    pid_t workers[MAX_WORKERS] = {0};
    unsigned running = options.workers;
    for (unsigned i = 0; i < options.workers; i++)
        workers[i] = start(i, i);
    while (running) {
        int how;
        pid_t child = wait(&how);
        unsigned worker = 0;
        while (worker < options.workers && workers[worker] != child)
            worker++;
        if (worker == options.workers)
            continue;
        running--;
        if (WIFEXITED(how) && WEXITSTATUS(how) == 0)
            continue;
        uint64_t number = atomic_load_explicit(&shared->round[worker], memory_order_relaxed);
        printf("VIOLATION round %llu (--seed %llu --round %llu): the process %s %d\n",
               (unsigned long long)number, (unsigned long long)options.seed,
               (unsigned long long)number,
               WIFSIGNALED(how) && WTERMSIG(how) == SIGALRM ? "hangs, signal"
               : WIFSIGNALED(how)                           ? "crashed, signal"
                                                            : "ended with",
               WIFSIGNALED(how) ? WTERMSIG(how) : WEXITSTATUS(how));
        atomic_fetch_add(&shared->violations, 1);
        atomic_fetch_add(&shared->done, 1);
        if (WIFEXITED(how) && WEXITSTATUS(how) == 2) // the test itself cannot go on
            exit(2);
        workers[worker] = start(worker, number + options.workers);
        running++;
    }
}

static uint64_t number_of(const char *text) {
    char *end;
    uint64_t number = strtoull(text, &end, 0);
    if (!*text || *end) {
        fprintf(stderr, "damage: %s is not a number\n", text);
        exit(2);
    }
    return number;
}

static void parse(int count, char **words) {
    const char *seed = getenv("MEMDB_SEED"), *rounds = getenv("MEMDB_DAMAGE_ROUNDS");
    const char *parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    parent = getenv("TMPDIR") ? getenv("TMPDIR") : parent;
    options.seed = seed ? number_of(seed) : (uint64_t)time(NULL) * 1000003 + (uint64_t)getpid();
    options.rounds = rounds ? number_of(rounds) : options.rounds;
    for (int i = 1; i < count; i++) {
        if (i + 1 == count) {
            fprintf(stderr, "usage: damage [--rounds N] [--workers N] [--seed N] [--round N] "
                            "[--directory PATH]\n");
            exit(2);
        }
        const char *name = words[i], *value = words[++i];
        if (strcmp(name, "--rounds") == 0)
            options.rounds = number_of(value);
        else if (strcmp(name, "--workers") == 0)
            options.workers = (unsigned)number_of(value);
        else if (strcmp(name, "--seed") == 0)
            options.seed = number_of(value);
        else if (strcmp(name, "--round") == 0)
            options.one = true, options.round = number_of(value);
        else if (strcmp(name, "--directory") == 0)
            parent = value;
        else
            exit(2);
    }
    options.workers = options.workers < 1 || options.workers > MAX_WORKERS ? 2 : options.workers;
    snprintf(options.directory, sizeof options.directory, "%.150s/memdb-damage-XXXXXX", parent);
    if (!mkdtemp(options.directory)) {
        perror(options.directory);
        exit(2);
    }
}

int main(int count, char **words) {
    char path[300];
    parse(count, words);
    printf("seed=%llu\n", (unsigned long long)options.seed);
    fflush(stdout);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    snprintf(path, sizeof path, "%s/db", options.directory);
    damage_build(&world, path, 20); // one database for all seeds, so that only damages differ
    if (options.one) {
        make_copy(0);
        run_round(0, options.round);
    } else {
        run_all();
    }
    uint64_t bad = atomic_load(&shared->violations);
    printf("%llu violations in %llu rounds: %llu refused to open, %llu told later, %llu unharmed\n",
           (unsigned long long)bad, (unsigned long long)atomic_load(&shared->done),
           (unsigned long long)atomic_load(&shared->refused),
           (unsigned long long)atomic_load(&shared->told),
           (unsigned long long)atomic_load(&shared->unharmed));
    remove_tree(options.directory);
    damage_image_release();
    return bad ? 1 : 0;
}
