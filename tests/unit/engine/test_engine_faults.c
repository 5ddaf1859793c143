// Each call to the operating system, by the engine or by LMDB, fails once, in each way that it
// knows, and each allocation fails once, in turn, through the whole life of a database
// (tests/lib/life.h). Whatever fails: it is told, or nothing was lost by it; what was acknowledged
// is there; a handle that does not know the outcome has failed; the next try, or the next opening,
// works; no memory and no descriptor leaks.
//
// MEMDB_LONG=1 makes each of them; without it one in some, which MEMDB_SEED chooses.
// MEMDB_FAULT=error:123 is a single life with one fault, as it is named where a test fails:
// KIND:NUMBER, or KIND:others:NUMBER, KIND:forever:NUMBER, KIND:uring:NUMBER, memory:NUMBER.
#include "base/memory.h"
#include "tests/lib/faults.h"
#include "tests/lib/life.h"

#include <dirent.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HANG_S 200 // a life takes a fraction of a second

static char current[80]; // how to make this life again
static char path[256];   // of the database
static life_t life;
static const char *step_met; // the step that met the fault

// ------------------------------------------------------------------------------ one life

static int descriptors(void) {
    int count = 0;
    DIR *directory = opendir("/proc/self/fd");
    while (readdir(directory)) {
        count++;
    }
    closedir(directory);
    return count;
}

static void hang(int signal) {
    static const char text[] = "it hangs: ";
    (void)signal;
    (void)!write(STDERR_FILENO, text, sizeof text - 1);
    (void)!write(STDERR_FILENO, current, strlen(current));
    abort();
}

/// Live through all steps; a fault that lasts ends with the step that met it.
static void live_through(void) {
    for (int i = 0; i < life_step_count; i++) {
        char step[120];
        snprintf(step, sizeof step, "%s (MEMDB_FAULT=%s)", life_steps[i].name, current);
        life.step = step;
        life_steps[i].run(&life);
        if (!step_met && faults_met().call) {
            step_met = life_steps[i].name;
        }
        if (life.lasting && faults_met().call) {
            if (life.db) { // refused, but not for reading
                must(life.db, life_read(&life, life.db));
            }
            life.lasting = false;
            faults_end();
        }
        life.step = current;
    }
    faults_end();
    memdb__memory_fail_after(UINT64_MAX);
    life_end(&life);
}

/// One life, and what it must leave behind: everything, and nothing.
static void live(fault_t fault, memdb_io_backend_t backend, uint64_t allocation) {
    uint64_t memory = memdb__memory_live();
    int open = descriptors();
    alarm(HANG_S);
    life_begin(&life, path);
    life.options.io_backend = backend;
    life.lasting = fault.forever;
    life.patient = fault.others;
    step_met = NULL;
    faults_begin(fault);
    memdb__memory_fail_after(allocation);
    live_through();
    assert_int_equal(memdb__memory_live(), memory);
    assert_int_equal(descriptors(), open);
    life_check_after(&life);
    alarm(0);
}

// ------------------------------------------------------------------------------ judgement

/// Calls whose failure needs no word: what they would have done is done otherwise, or later.
static bool needs_no_word(const fault_met_t *met) {
    static const struct {
        const char *call, *file, *step; // parts of the names; NULL: any
    } quiet[] = {
        {"unlinkat", NULL, NULL},    // garbage is garbage for longer
        {"fallocate", NULL, NULL},   // an advice on where to write
        {"openat", "control", NULL}, // of an earlier life: recovery writes more without it
        {"pread", "control", NULL},
        {"openat", "/boot_id", NULL},
        {"pread", "/boot_id", NULL},
        {"fstatat", "/ns/pid", NULL},
        {"fstatfs", "data.mdb", NULL}, // LMDB asks, and goes on without an answer
        {"fstatat", "recycle.", NULL}, // a segment is not used again
        {"ftruncate", "/log/", "checkpoint"},
        {"openat", "lock", NULL}, // a reader opens it another way, or does without
        {"fcntl", "lock", "salvage"},
        {"fstatat", "lock.mdb", NULL},
        {"fstatat", NULL, "backup"}, // what a copy has already is copied once more
        {"fstatat", NULL, "restore"},
        {"pread", "-backup/blob/", NULL},
        {"pread", "-restored/blob/", NULL},
        {"openat", "companion", NULL},    // a reader opens it for reading alone
        {"pthread_create", "", "verify"}, // which goes on with fewer threads
        {"pthread_create", "", "restore"},
        {"pthread_create", "", "salvage"},
        {"openat", ".", "stats"}, // files of the log, whose number the statistics do not give
        {"getdents64", "/log", "stats"},
        {"fstatat", NULL, "stats"}, // figures: how large files are
        {"fstatat", NULL, "compact"},
        {"fstatat", NULL, "purge"},
        {"fstatat", ".log", NULL},  // one, which a limit of the archive is held against
    };
    for (size_t i = 0; i < sizeof quiet / sizeof *quiet; i++) {
        if (strcmp(met->call, quiet[i].call) == 0 &&
            (!quiet[i].file || strstr(met->file, quiet[i].file)) &&
            (!quiet[i].step || strstr(step_met, quiet[i].step))) {
            return true;
        }
    }
    return false;
}

typedef struct sums {
    long lives, met, untold, wrong;
} sums_t;

static void judge(fault_t fault, sums_t *sums) {
    fault_met_t met = faults_met();
    bool told = life.errors || life.messages || life.losses;
    sums->lives++;
    if (!met.call) {
        assert_int_equal(life.errors + life.messages + life.losses, 0);
        return;
    }
    sums->met++;
    // The engine's own calls are asked again, and whole transfers made; LMDB's need not be, and a
    // sync never is.
    bool harmless = fault.kind == FAULT_INTERRUPTED || fault.kind == FAULT_SHORT;
    if (harmless && told && !met.by_a_library && !met.is_sync) {
        print_error("%s: %s: %s of %s: %s: %s\n", current, step_met, met.call, met.file,
                    memdb_status_name(life.first), life.first_text);
        sums->wrong++;
    }
    if (!told) {
        sums->untold++;
        bool ahead = fault.kind == FAULT_FULL && strcmp(met.call, "pwrite") == 0 &&
                     strstr(met.file, "/log/"); // more zeros than are needed now
        if (!harmless && !ahead && !needs_no_word(&met)) {
            print_error("%s: %s: %s of %s: nobody was told\n", current, step_met, met.call,
                        met.file);
            sums->wrong++;
        }
    }
}

// ------------------------------------------------------------------------------ all of them

static uint64_t seed;

/// One in how many is made.
static long step_of(long count, long most) {
    return getenv("MEMDB_LONG") || count <= most ? 1 : (count + most - 1) / most;
}

static void name_fault(const char *kind, const char *how, long number) {
    snprintf(current, sizeof current, "%s:%s%ld", kind, how, number);
}

static void fail_each_of(const char *how, fault_t fault, memdb_io_backend_t backend, long most,
                         sums_t *sums) {
    long count = 0, chosen = 0;
    for (long number = 0; number < faults_count(fault.others); number++) {
        count += faults_knows(number, fault.others, fault.kind);
    }
    long step = step_of(count, most), all = faults_count(fault.others);
    for (long number = 0; number < all; number++) {
        if (faults_knows(number, fault.others, fault.kind) &&
            chosen++ % step == (long)(seed % (uint64_t)step)) {
            fault.number = number;
            name_fault(fault_kind_name(fault.kind), how, number);
            live(fault, backend, UINT64_MAX);
            judge(fault, sums);
        }
    }
}

static void count_calls(memdb_io_backend_t backend, sums_t *sums) {
    name_fault("none", "", 0);
    live((fault_t){0}, backend, UINT64_MAX);
    judge((fault_t){0}, sums);
    assert_int_equal(life.errors + life.messages + life.losses, 0);
}

static void finish(const char *what, long calls, const sums_t *sums) {
    printf("%s: %ld calls; %ld lives, %ld met their fault, %ld of these were not told\n", what,
           calls, sums->lives, sums->met, sums->untold);
    assert_int_equal(sums->wrong, 0);
}

static void fail_each(const char *what, fault_t fault, const char *how, memdb_io_backend_t backend,
                      long most) {
    sums_t sums = {0};
    count_calls(backend, &sums);
    long calls = faults_count(fault.others);
    for (fault_kind_t kind = FAULT_ERROR; kind < FAULT_KILL; kind++) {
        if (!fault.forever || kind == FAULT_FULL) {
            fault.kind = kind;
            fail_each_of(how, fault, backend, most, &sums);
        }
    }
    finish(what, calls, &sums);
}

static void test_each_io_call_fails_once(void **state) {
    (void)state;
    fail_each("one thread", (fault_t){0}, "", MEMDB_IO_AUTO, 24);
}

static void test_each_io_call_of_the_other_threads_fails_once(void **state) {
    (void)state;
    fail_each("other threads", (fault_t){.others = true}, "others:", MEMDB_IO_AUTO, 8);
}

static void test_each_io_call_with_io_uring_fails_once(void **state) {
    (void)state;
    fail_each("io_uring", (fault_t){0}, "uring:", MEMDB_IO_URING, 8);
}

static void test_a_disk_that_is_full_for_a_step_refuses_and_goes_on(void **state) {
    (void)state;
    fail_each("full", (fault_t){.forever = true}, "forever:", MEMDB_IO_AUTO, 30);
}

static void fail_allocation(long number, sums_t *sums) {
    name_fault("memory", "", number);
    live((fault_t){0}, MEMDB_IO_AUTO, (uint64_t)number);
    // MEMDB_FAILED: the frame was written, and this handle could not apply it.
    if (life.first && life.first != MEMDB_NOMEM && life.first != MEMDB_FAILED) {
        fail_msg("%s: %s: %s", current, memdb_status_name(life.first), life.first_text);
    }
    sums->lives++;
    sums->met++;
    sums->untold += life.errors + life.messages + life.losses == 0;
}

static void test_each_allocation_fails_once(void **state) {
    (void)state;
    sums_t sums = {0};
    uint64_t before = memdb__memory_count();
    life_begin(&life, path);
    live_through();
    long count = (long)(memdb__memory_count() - before), step = step_of(count, 100);
    for (long number = (long)(seed % (uint64_t)step); number < count; number += step) {
        fail_allocation(number, &sums);
    }
    finish("allocations", count, &sums);
}

/// MEMDB_FAULT: the one that it names.
static void test_the_named_fault(void **state) {
    (void)state;
    sums_t sums = {0};
    const char *name = getenv("MEMDB_FAULT");
    fault_t fault = {.number = strtol(strrchr(name, ':') + 1, NULL, 10),
                     .others = strstr(name, ":others:") != NULL,
                     .forever = strstr(name, ":forever:") != NULL};
    if (strncmp(name, "memory:", 7) == 0) {
        fail_allocation(fault.number, &sums);
    }
    for (fault_kind_t kind = FAULT_NONE; kind < FAULT_KINDS; kind++) {
        const char *word = fault_kind_name(kind);
        if (strncmp(name, word, strlen(word)) == 0 && name[strlen(word)] == ':') {
            fault.kind = kind;
            snprintf(current, sizeof current, "%s", name);
            live(fault, strstr(name, ":uring:") ? MEMDB_IO_URING : MEMDB_IO_AUTO, UINT64_MAX);
            judge(fault, &sums);
        }
    }
    fault_met_t met = faults_met();
    printf("%s %s: %d errors (%s), %d messages\n", met.call ? met.call : "nothing", met.file,
           life.errors, life.first_text, life.messages);
    assert_int_equal(sums.lives, 1);
    assert_int_equal(sums.wrong, 0);
}

static int set_up(void **state) {
    if (fixture_setup(state)) {
        return 1;
    }
    snprintf(path, sizeof path, "%s", ((fixture_t *)*state)->path);
    fixture_close(*state);
    name_fault("none", "", 0);
    life_begin(&life, path);
    live_through(); // what a thread or the process keeps from the first time on is there now
    return 0;
}

static int tear_down(void **state) {
    faults_end();
    memdb__memory_fail_after(UINT64_MAX);
    alarm(0);
    print_message("the last life: MEMDB_FAULT=%s\n", current);
    return fixture_teardown(state);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int count, char **arguments) {
    const char *given = getenv("MEMDB_SEED");
    const struct CMUnitTest one[] = {CASE(test_the_named_fault)};
    const struct CMUnitTest tests[] = {
        CASE(test_each_io_call_fails_once),
        CASE(test_each_io_call_of_the_other_threads_fails_once),
        CASE(test_each_io_call_with_io_uring_fails_once),
        CASE(test_a_disk_that_is_full_for_a_step_refuses_and_goes_on),
        CASE(test_each_allocation_fails_once),
    };
    if (access("/dev/shm", W_OK) == 0) {
        setenv("TMPDIR", "/dev/shm", 0);
    } // thousands of syncs: nothing here needs a disk
    seed = given ? strtoull(given, NULL, 10) : (uint64_t)getpid();
    printf("seed=%" PRIu64 "\n", seed);
    signal(SIGALRM, hang);
    if (count > 1) {
        cmocka_set_test_filter(arguments[1]); // a pattern of names
    }
    return getenv("MEMDB_FAULT") ? cmocka_run_group_tests(one, NULL, NULL)
                                 : cmocka_run_group_tests(tests, NULL, NULL);
}
