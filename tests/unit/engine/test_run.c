// The skip list of a run against a sorted array: exact gets, walks forwards and backwards, at any
// visible version; and readers beside the writer, who see each frame whole. Entries come in as
// operations, the only way that there is.
#include "engine/keys.h"
#include "engine/run/run.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ENTRIES 3000
#define HASHES 400 // distinct keys, about

static uint64_t random_state;

static uint32_t draw(uint32_t below) {
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(random_state >> 33) % below;
}

typedef struct entry {
    memdb__key_t key;
    uint64_t version, value;
    bool tombstone;
} entry_t;

/// Keys rising, versions falling.
static int by_place(const void *a, const void *b) {
    const entry_t *x = a, *y = b;
    int order = memdb__compare(x->key.bytes, x->key.size, y->key.bytes, y->key.size);
    return order ? order : (x->version < y->version) - (x->version > y->version);
}

static void apply(memdb__run_t *run, const memdb__operation_t *operations, size_t count,
                  uint64_t base) {
    memdb__buffer_t payload = {0};
    memdb_error_t error = {0};
    for (size_t i = 0; i < count; i++) {
        assert_true(memdb__operation_encode(&payload, &operations[i]));
    }
    assert_int_equal(memdb__run_apply(run, payload.data, payload.size, base, 0, NULL, &error),
                     MEMDB_OK);
    memdb__buffer_deinit(&payload);
}

/// A blob's entry (with a value), or the removal of a link (two tombstones) or a memory (one),
/// under a few keys. Ids of memories rise on the whole, in steps of all sizes, as those of new
/// memories do. Returns how many entries it is.
static size_t add_random(memdb__run_t *run, uint64_t version, entry_t *entry) {
    uint8_t hash[16] = {0}, reference[32] = {0};
    memdb__operation_t operation = {0};
    size_t count = 1;
    *entry = (entry_t){.version = version, .value = draw(1u << 30), .tombstone = draw(4) == 0};
    if (entry->tombstone && draw(2)) {
        operation = (memdb__operation_t){.kind = MEMDB__OPERATION_FORGET,
                                         .id = version / 2 + draw(draw(8) ? 10 : ENTRIES)};
        memdb__key_record(&entry->key, operation.id);
    } else if (entry->tombstone) {
        operation = (memdb__operation_t){.kind = MEMDB__OPERATION_UNLINK,
                                         .id = 1 + draw(20),
                                         .to = 1 + draw(20),
                                         .name = {"type", draw(5)}};
        memdb__key_link(&entry->key, operation.id, operation.name, operation.to);
        entry[1] = entry[0];
        memdb__key_link_in(&entry[1].key, operation.id, operation.name, operation.to);
        count = 2;
    } else {
        hash[draw(16)] = (uint8_t)draw(HASHES / 16);
        operation = (memdb__operation_t){.kind = MEMDB__OPERATION_BLOB,
                                         .hash = hash,
                                         .reference = reference,
                                         .size = entry->value};
        memdb__key_blob(&entry->key, hash);
    }
    apply(run, &operation, 1, version);
    return count;
}

static void same_entry(const memdb__entry_t *got, const entry_t *wanted) {
    assert_int_equal(got->key_size, wanted->key.size);
    assert_memory_equal(got->key, wanted->key.bytes, wanted->key.size);
    assert_int_equal(got->version, wanted->version);
    assert_int_equal(got->tombstone, wanted->tombstone);
    if (!wanted->tombstone) {
        assert_int_equal(got->value_size, 40);
        assert_int_equal(memdb__get_u64(got->value + 32), wanted->value);
    }
}

/// The entries that a reader at `visible` sees: the newest version of each key. Returns their
/// count.
static size_t visible_entries(const entry_t *all, size_t count, uint64_t visible,
                              const entry_t **out) {
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        bool first =
            !found || memdb__compare(all[i].key.bytes, all[i].key.size, out[found - 1]->key.bytes,
                                     out[found - 1]->key.size) != 0;
        if (all[i].version <= visible && first) {
            out[found++] = &all[i];
        }
    }
    return found;
}

static void check_from(const memdb__run_t *run, const entry_t **wanted, size_t count,
                       const memdb__key_t *key, uint64_t visible) {
    size_t at = 0;
    memdb__entry_t got;
    while (at < count &&
           memdb__compare(wanted[at]->key.bytes, wanted[at]->key.size, key->bytes, key->size) < 0) {
        at++;
    }
    bool there = at < count && memdb__compare(wanted[at]->key.bytes, wanted[at]->key.size,
                                              key->bytes, key->size) == 0;
    assert_int_equal(memdb__run_get(run, key->bytes, key->size, visible, &got), there);
    if (there) {
        same_entry(&got, wanted[at]);
    }
    const memdb__node_t *before = memdb__run_before(run, key->bytes, key->size, visible);
    assert_int_equal(before != NULL, at > 0);
    if (at > 0) {
        memdb__node_entry(before, &got);
        same_entry(&got, wanted[at - 1]);
    }
    const memdb__node_t *node = memdb__run_seek(run, key->bytes, key->size, visible);
    for (; at < count; at++) {
        assert_non_null(node);
        memdb__node_entry(node, &got);
        same_entry(&got, wanted[at]);
        node = memdb__run_next(node, visible);
    }
    assert_null(node);
}

static void test_run_matches_a_sorted_array_at_every_version(void **state) {
    (void)state;
    static entry_t entries[2 * ENTRIES];
    static const entry_t *wanted[2 * ENTRIES];
    memdb__run_t *run = memdb__run_create(1, NULL);
    size_t all = 0;
    assert_non_null(run);
    for (size_t i = 0; i < ENTRIES; i++) {
        all += add_random(run, 10 + i * 3, &entries[all]);
    }
    qsort(entries, all, sizeof entries[0], by_place);
    for (int round = 0; round < 60; round++) {
        uint64_t visible = round == 0 ? UINT64_MAX : round == 1 ? 0 : draw(ENTRIES * 3 + 20);
        size_t count = visible_entries(entries, all, visible, wanted);
        memdb__key_t key = entries[draw((uint32_t)all)].key;
        if (round % 3 == 1) {
            key.size = draw((uint32_t)key.size + 1);
        } else if (round % 3 == 2) {
            key.bytes[key.size++] = (uint8_t)draw(256);
        }
        check_from(run, wanted, count, &key, visible);
        key.size = 0;
        check_from(run, wanted, count, &key, visible);
    }
    memdb__run_release(run);
}

static void test_run_knows_whether_it_writes_a_record_twice(void **state) {
    (void)state;
    memdb__run_t *run = memdb__run_create(0, NULL);
    memdb__operation_t operation = {.kind = MEMDB__OPERATION_FORGET};
    for (uint64_t id = 1; id < 500; id++) { // over several sizes of the table
        operation.id = id;
        apply(run, &operation, 1, id);
    }
    assert_false(memdb__run_rewrites(run));
    operation.id = 250;
    apply(run, &operation, 1, 500);
    assert_true(memdb__run_rewrites(run));
    memdb__run_release(run);
}

static void test_run_after_another_has_room_for_as_many_keys(void **state) {
    (void)state;
    enum { KEYS = 1000 };
    memdb__run_t *runs[2] = {memdb__run_create(1, NULL)};
    memdb__operation_t operation = {.kind = MEMDB__OPERATION_FORGET};
    for (int i = 0; i < 2; i++) {
        for (uint64_t id = 1; id <= KEYS; id++) {
            operation.id = id;
            apply(runs[i], &operation, 1, id);
        }
        runs[1] = runs[1] ? runs[1] : memdb__run_create(KEYS + 1, runs[0]);
        assert_non_null(runs[1]);
    }
    // Without the tables that the first one grew out of.
    assert_true(memdb__run_bytes(runs[1]) < memdb__run_bytes(runs[0]));
    for (uint64_t id = KEYS + 1; id <= 4 * KEYS; id++) { // more than was expected
        operation.id = id;
        apply(runs[1], &operation, 1, id);
    }
    for (uint64_t id = 1; id <= 5 * KEYS; id++) {
        memdb__key_t key;
        memdb__entry_t entry;
        memdb__key_record(&key, id);
        bool found = memdb__run_get(runs[1], key.bytes, key.size, UINT64_MAX, &entry);
        assert_int_equal(found, id <= 4 * KEYS);
        assert_true(!found || (entry.tombstone && entry.version == id));
    }
    memdb__run_release(runs[0]);
    memdb__run_release(runs[1]);
}

static void test_run_counts_and_seals(void **state) {
    (void)state;
    memdb__run_t *run = memdb__run_create(77, NULL);
    memdb__operation_t seal = {.kind = MEMDB__OPERATION_SEAL};
    memdb__operation_t forget = {
        .kind = MEMDB__OPERATION_FORGET, .id = 3, .space = 9, .text_difference = -12};
    memdb__buffer_t payload = {0};
    memdb_error_t error;
    int64_t memories, text_bytes;
    bool sealed = false;
    assert_true(memdb__operation_encode(&payload, &forget) &&
                memdb__operation_encode(&payload, &seal));
    assert_int_equal(memdb__run_apply(run, payload.data, payload.size, 80, 0, &sealed, &error),
                     MEMDB_OK);
    assert_true(sealed);
    memdb__run_counters(run, 9, &memories, &text_bytes);
    assert_int_equal(memories, -1);
    assert_int_equal(text_bytes, -12);
    memdb__run_counters(run, 9 + 64, &memories, &text_bytes); // the same bucket
    assert_int_equal(memories, 0);
    assert_int_equal(memdb__run_first_lsn(run), 77);
    assert_int_equal(memdb__run_sealed_lsn(run), 0);
    memdb__run_seal(run, 90);
    assert_int_equal(memdb__run_sealed_lsn(run), 90);
    assert_true(memdb__run_bytes(run) > 0);
    memdb__run_retain(run);
    memdb__run_release(run);
    memdb__run_release(run);
    memdb__buffer_deinit(&payload);
}

// ------------------------------------------------------------------------------ readers beside the
// writer

#define FRAMES 4000
#define PAIRS 50

typedef struct shared {
    memdb__run_t *run;
    _Atomic uint64_t published; // all versions up to it are applied
    _Atomic bool stop;
    _Atomic int faults;
} shared_t;

static void hash_of(uint32_t pair, uint8_t half, uint8_t hash_out[16]) {
    memset(hash_out, 0, 16);
    hash_out[half ? 15 : 0] = (uint8_t)(pair + 1);
    hash_out[8] = half;
}

static uint64_t value_of(const memdb__run_t *run, uint32_t pair, uint8_t half, uint64_t visible) {
    uint8_t hash[16];
    memdb__key_t key;
    memdb__entry_t entry;
    hash_of(pair, half, hash);
    memdb__key_blob(&key, hash);
    return memdb__run_get(run, key.bytes, key.size, visible, &entry)
               ? memdb__get_u64(entry.value + 32)
               : 0;
}

static void *read_pairs(void *context) {
    shared_t *shared = context;
    uint32_t turn = 0;
    while (!atomic_load_explicit(&shared->stop, memory_order_acquire)) {
        uint64_t visible = atomic_load_explicit(&shared->published, memory_order_acquire);
        uint32_t pair = turn++ % PAIRS;
        bool fine =
            value_of(shared->run, pair, 0, visible) == value_of(shared->run, pair, 1, visible);
        size_t count = 0;
        for (const memdb__node_t *node = memdb__run_seek(shared->run, NULL, 0, visible); node;
             node = memdb__run_next(node, visible)) {
            memdb__entry_t entry;
            memdb__node_entry(node, &entry);
            fine &= entry.version <= visible;
            count++;
        }
        fine &= count % 2 == 0;
        if (!fine) {
            atomic_fetch_add(&shared->faults, 1);
        }
    }
    return NULL;
}

static void test_run_readers_see_frames_whole_beside_the_writer(void **state) {
    (void)state;
    static shared_t shared;
    pthread_t readers[2];
    shared.run = memdb__run_create(1, NULL);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&readers[i], NULL, read_pairs, &shared), 0);
    }
    for (uint64_t frame = 1; frame <= FRAMES; frame++) {
        uint8_t hashes[2][16], reference[32] = {0};
        uint32_t pair = draw(PAIRS);
        hash_of(pair, 0, hashes[0]);
        hash_of(pair, 1, hashes[1]);
        memdb__operation_t operations[] = {
            {.kind = MEMDB__OPERATION_BLOB,
             .hash = hashes[0],
             .reference = reference,
             .size = frame},
            {.kind = MEMDB__OPERATION_BLOB,
             .hash = hashes[1],
             .reference = reference,
             .size = frame},
        };
        apply(shared.run, operations, 2, frame * 10);
        atomic_store_explicit(&shared.published, frame * 10 + 9,
                              memory_order_release); // as db->position
    }
    atomic_store(&shared.stop, true);
    for (int i = 0; i < 2; i++) {
        pthread_join(readers[i], NULL);
    }
    assert_int_equal(atomic_load(&shared.faults), 0);
    memdb__run_release(shared.run);
}

int main(void) {
    const char *given = getenv("MEMDB_SEED");
    random_state = given ? strtoull(given, NULL, 0) : 7;
    printf("seed=%llu\n", (unsigned long long)random_state);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_run_matches_a_sorted_array_at_every_version),
        cmocka_unit_test(test_run_knows_whether_it_writes_a_record_twice),
        cmocka_unit_test(test_run_after_another_has_room_for_as_many_keys),
        cmocka_unit_test(test_run_counts_and_seals),
        cmocka_unit_test(test_run_readers_see_frames_whole_beside_the_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
