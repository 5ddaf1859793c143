// Two processes, killed at random moments: one puts memories with blobs, changes and forgets them,
// the other compacts, purges and checkpoints without a pause. Nothing acknowledged is lost, nothing
// forgotten comes back, every blob is read back whole, and verify is content; after a purge at the
// end, no file holds a byte of what was forgotten with erase. MEMDB_SEED chooses the moments,
// MEMDB_ROUNDS how many.
#include "tests/lib/database.h"

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KEPT 12 // memories that are there at one time
#define BLOB_BYTES 70000

static uint64_t random_state;

static uint32_t draw(uint32_t below) {
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(random_state >> 33) % below;
}

static void fill(uint8_t *content, uint32_t number) {
    uint64_t state = (uint64_t)number << 32;
    for (size_t i = 0; i < BLOB_BYTES; i++) { // splitmix64 (Steele, Lea, Flood)
        uint64_t z = state += UINT64_C(0x9E3779B97F4A7C15);
        z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
        content[i] = (uint8_t)(z >> 27);
    }
    memcpy(content, "erased-needle", 13);
}

static memdb_t *open_here(const char *path) {
    // With so little log a checkpoint, half of the processes leave merging to merges of their own.
    memdb_options_t options = {.size = sizeof options,
                               .no_background = true,
                               .checkpoint_log_bytes = getpid() % 2 ? 4096 : 0};
    memdb_t *db = NULL;
    memdb_error_t error = {0};
    if (memdb_open(path, &options, &db, &error)) {
        fprintf(stderr, "%s\n", error.message);
        _exit(2);
    }
    return db;
}

static void demand(memdb_t *db, memdb_status_t status, const char *what) {
    if (status) {
        char message[512];
        memdb_last_error(db, message, sizeof message);
        fprintf(stderr, "%s: %s\n", what, message);
        _exit(2);
    }
}

// ------------------------------------------------------------------------------ the children

/// Memory `number`: put, or (with its blob kept) given another text; and the one KEPT before it is
/// forgotten with erase, all in one transaction.
static memdb_status_t advance(memdb_t *db, memdb_space_t space, uint32_t number) {
    static uint8_t content[BLOB_BYTES];
    char key[32], words[64];
    memdb_txn_t *txn;
    memdb_blob_t blob;
    memdb_memory_t memory = {.size = sizeof memory,
                             .fields = MEMDB_FIELD_KEY | MEMDB_FIELD_TEXT | MEMDB_FIELD_BLOBS,
                             .key = {key, 0},
                             .blobs = &blob,
                             .blob_count = 1};
    memdb_status_t status = memdb_txn_begin(db, &txn);
    if (status) {
        return status;
    }
    memory.key.size = (size_t)snprintf(key, sizeof key, "k%u", number);
    memory.text = (memdb_bytes_t){words, (size_t)snprintf(words, sizeof words, "new %u", number)};
    memdb_memory_t known;
    if (memdb_get_by_key(memdb_txn_snapshot(txn), space, memory.key, &known) == MEMDB_OK) {
        memdb_txn_abort(txn); // a killed writer had written it, and nobody knew whether it counts
        return MEMDB_OK;
    }
    fill(content, number);
    status = memdb_blob_put(txn, content, BLOB_BYTES, &blob);
    blob.media_type = (memdb_bytes_t){0};
    status = status ? status : memdb_put(txn, space, &memory, NULL);
    if (!status && number > 3) { // the text of an older one changes, its blob is carried along
        memory.fields = MEMDB_FIELD_KEY | MEMDB_FIELD_TEXT;
        memory.key.size = (size_t)snprintf(key, sizeof key, "k%u", number - 3);
        memory.text.size = (size_t)snprintf(words, sizeof words, "old %u", number - 3);
        status = memdb_put(txn, space, &memory, NULL);
    }
    if (!status && number > KEPT) {
        memory.key.size = (size_t)snprintf(key, sizeof key, "k%u", number - KEPT);
        status = memdb_get_by_key(memdb_txn_snapshot(txn), space, memory.key, &memory);
        status = status ? status : memdb_forget_erase(txn, space, memory.id);
    }
    if (status) {
        memdb_txn_abort(txn);
        return status;
    }
    return memdb_txn_commit(txn, number % 2 ? MEMDB_DURABILITY_OS : MEMDB_DURABILITY_FULL, NULL);
}

static void write_until_killed(const char *path, memdb_space_t space, uint32_t from, int pipe_end) {
    memdb_t *db = open_here(path);
    for (uint32_t number = from + 1;; number++) {
        memdb_status_t status;
        while ((status = advance(db, space, number)) == MEMDB_CONFLICT) {
        }
        demand(db, status, "writer");
        if (write(pipe_end, &number, sizeof number) != sizeof number) {
            _exit(2);
        }
    }
}

static void collect_until_killed(const char *path, uint32_t seed) {
    memdb_t *db = open_here(path);
    for (uint32_t i = seed;; i++) {
        demand(db,
               i % 3 == 0   ? memdb_compact(db, NULL)
               : i % 3 == 1 ? memdb_purge(db, NULL)
                            : memdb_checkpoint(db),
               "collector");
    }
}

// ------------------------------------------------------------------------------ the parent

typedef struct child {
    pid_t pid;
    int pipe_end;
} child_t;

static child_t start(const char *path, memdb_space_t space, bool writes, uint32_t number) {
    int ends[2];
    child_t child;
    assert_int_equal(pipe(ends), 0);
    child.pid = fork();
    assert_true(child.pid >= 0);
    if (child.pid == 0) {
        close(ends[0]);
        if (writes) {
            write_until_killed(path, space, number, ends[1]);
        }
        collect_until_killed(path, number);
    }
    close(ends[1]);
    child.pipe_end = ends[0];
    return child;
}

/// Kill it; the last number that it acknowledged, or `number`.
static uint32_t end(child_t *child, uint32_t number) {
    int ended;
    uint32_t told;
    kill(child->pid, SIGKILL);
    while (read(child->pipe_end, &told, sizeof told) == sizeof told) {
        number = told;
    }
    close(child->pipe_end);
    assert_int_equal(waitpid(child->pid, &ended, 0), child->pid);
    assert_true(WIFSIGNALED(ended)); // it did not stop by itself
    return number;
}

/// Wait until it has acknowledged something.
static uint32_t first_told(const child_t *child) {
    uint32_t told = 0;
    assert_int_equal(read(child->pipe_end, &told, sizeof told), sizeof told);
    return told;
}

static bool check_memory(memdb_t *db, memdb_snapshot_t *snapshot, memdb_space_t space,
                         uint32_t number) {
    static uint8_t content[BLOB_BYTES], read_back[BLOB_BYTES];
    char key[32];
    memdb_memory_t memory;
    memdb_blob_reader_t *reader;
    size_t size;
    snprintf(key, sizeof key, "k%u", number);
    memdb_status_t status = memdb_get_by_key(snapshot, space, text(key), &memory);
    if (status == MEMDB_NOT_FOUND) {
        return false;
    }
    must(db, status);
    assert_int_equal(memory.blob_count, 1);
    must(db, memdb_blob_reader_open(snapshot, &memory.blobs[0], &reader));
    must(db, memdb_blob_reader_read(reader, 0, read_back, BLOB_BYTES, &size));
    memdb_blob_reader_close(reader);
    fill(content, number);
    assert_int_equal(size, BLOB_BYTES);
    assert_memory_equal(read_back, content, BLOB_BYTES);
    return true;
}

/// What is there after `told` was acknowledged; the commit after it may be there too. Gives the
/// last one that is.
static uint32_t check(memdb_t *db, memdb_space_t space, uint32_t told) {
    memdb_snapshot_t *snapshot;
    // Whatever the dead wrote becomes durable with this, or is cut: from here on it is decided.
    put_text(db, space, "probe", "decides");
    must(db, memdb_snapshot_begin(db, NULL, &snapshot));
    uint32_t last = told + (check_memory(db, snapshot, space, told + 1) ? 1 : 0);
    for (uint32_t number = 1; number <= last; number++) {
        assert_int_equal(check_memory(db, snapshot, space, number), number + KEPT > last);
    }
    memdb_snapshot_end(snapshot);
    must(db, memdb_verify(db, NULL, NULL));
    return last;
}

static int found;

static int look_for_needle(const char *path, const struct stat *about, int kind, struct FTW *at) {
    (void)at;
    if (kind == FTW_F && about->st_size) {
        int fd = open(path, O_RDONLY);
        void *data = mmap(NULL, (size_t)about->st_size, PROT_READ, MAP_SHARED, fd, 0);
        assert_true(data != MAP_FAILED);
        found += memmem(data, (size_t)about->st_size, "erased-needle", 13) != NULL;
        munmap(data, (size_t)about->st_size);
        close(fd);
    }
    return 0;
}

static void forget_all(memdb_t *db, memdb_space_t space, uint32_t last) {
    memdb_txn_t *txn;
    must(db, memdb_txn_begin(db, &txn));
    for (uint32_t number = last > KEPT ? last - KEPT + 1 : 1; number <= last; number++) {
        char key[32];
        memdb_memory_t memory;
        snprintf(key, sizeof key, "k%u", number);
        must(db, memdb_get_by_key(memdb_txn_snapshot(txn), space, text(key), &memory));
        must(db, memdb_forget_erase(txn, space, memory.id));
    }
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_DEFAULT, NULL));
}

static void run(fixture_t *fixture, bool beside) {
    memdb_space_t space = space_of(fixture->db, "main");
    const char *rounds_text = getenv("MEMDB_ROUNDS");
    uint32_t rounds = rounds_text ? (uint32_t)strtoul(rounds_text, NULL, 10) : 8, last = 0;
    child_t writer = {0};
    if (!beside) {
        fixture_close(fixture);
    }
    for (uint32_t round = 0; round < rounds; round++) {
        child_t collector = start(fixture->path, space, false, round);
        writer = start(fixture->path, space, true, last);
        last = first_told(&writer); // however slow the machine is
        usleep(draw(120000));
        bool writer_first = draw(2) == 0;
        if (writer_first) {
            last = end(&writer, last);
            usleep(draw(20000)); // the collector meets what the dead writer left
            end(&collector, 0);
        } else {
            end(&collector, 0);
            usleep(draw(20000)); // the writer goes on beside a half-done collection
            last = end(&writer, last);
        }
        if (!beside) {
            fixture_open(fixture, (memdb_options_t){.no_background = true});
        }
        last = check(fixture->db, space, last);
        if (!beside) {
            fixture_close(fixture);
        }
    }
    if (!beside) {
        fixture_open(fixture, (memdb_options_t){.no_background = true});
    }
    printf("%u transactions\n", last);
    assert_true(last > 0);
    forget_all(fixture->db, space, last);
    must(fixture->db, memdb_purge(fixture->db, NULL));
    found = 0;
    assert_int_equal(nftw(fixture->path, look_for_needle, 16, FTW_PHYS), 0);
    assert_int_equal(found, 0);
    must(fixture->db, memdb_verify(fixture->db, NULL, NULL));
}

static void test_kills_in_the_midst_of_collections_lose_nothing(void **state) {
    run(*state, false);
}

static void test_kills_in_the_midst_of_collections_beside_a_survivor(void **state) {
    run(*state, true);
}

int main(void) {
    const char *seed = getenv("MEMDB_SEED");
    random_state = seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL);
    printf("seed=%llu\n", (unsigned long long)random_state);
    fflush(stdout);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kills_in_the_midst_of_collections_lose_nothing,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_kills_in_the_midst_of_collections_beside_a_survivor,
                                        fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
