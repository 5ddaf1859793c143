// memdb_interrupt: what is open ends, what begins later does not, and a recall ends in its midst.
// The embedder, which a recall calls after its own first checks, stands in for the signal.
#include "tests/lib/database.h"

#include <stdio.h>
#include <string.h>

#define DIMENSION 8

typedef struct world {
    fixture_t *fixture;
    memdb_space_t space;
    bool strikes; // the embedder interrupts
} world_t;

static bool embed(void *context, const memdb_bytes_t *texts, size_t count, float *vectors_out) {
    world_t *world = context;
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < DIMENSION; j++)
            vectors_out[i * DIMENSION + j] = (float)(texts[i].size % (j + 2)) + 1;
    if (world->strikes)
        memdb_interrupt(world->fixture->db);
    return true;
}

static world_t world_of(void **state) {
    world_t world = {.fixture = *state};
    world.space = space_of(world.fixture->db, "main");
    return world;
}

static void fill(world_t *world) {
    must(world->fixture->db,
         memdb_embedder_register(world->fixture->db, text("main"), DIMENSION, embed, world));
    for (int i = 0; i < 50; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        put_text(world->fixture->db, world->space, key, "a lantern by the door");
    }
}

static memdb_status_t ask(world_t *world, memdb_recall_mode_t mode) {
    memdb_snapshot_t *snapshot;
    memdb_result_t *result = NULL;
    memdb_query_t query = {.size = sizeof query,
                           .spaces = &world->space,
                           .space_count = 1,
                           .text = text("lantern"),
                           .mode = mode};
    must(world->fixture->db, memdb_snapshot_begin(world->fixture->db, NULL, &snapshot));
    memdb_status_t status = memdb_recall(snapshot, &query, &result);
    memdb_result_free(result);
    memdb_snapshot_end(snapshot);
    return status;
}

static void test_recall_ends_in_its_midst_and_the_next_one_does_not(void **state) {
    world_t world = world_of(state);
    fill(&world);
    for (memdb_recall_mode_t mode = MEMDB_RECALL_AUTO; mode <= MEMDB_RECALL_VECTOR; mode++) {
        bool embeds = mode != MEMDB_RECALL_WORDS;
        char message[200];
        world.strikes = true;
        assert_int_equal(ask(&world, mode), embeds ? MEMDB_INTERRUPTED : MEMDB_OK);
        if (embeds) {
            memdb_last_error(world.fixture->db, message, sizeof message);
            assert_non_null(strstr(message, "interrupted"));
        }
        world.strikes = false;
        assert_int_equal(ask(&world, mode), MEMDB_OK);
    }
    must(world.fixture->db, memdb_checkpoint(world.fixture->db)); // and over segments
    world.strikes = true;
    assert_int_equal(ask(&world, MEMDB_RECALL_AUTO), MEMDB_INTERRUPTED);
}

static void test_snapshots_cursors_and_transactions_that_are_open_end(void **state) {
    world_t world = world_of(state);
    memdb_t *db = world.fixture->db;
    uint64_t id = put_text(db, world.space, "k", "before");
    memdb_snapshot_t *snapshot;
    memdb_cursor_t *cursor;
    memdb_cursor_options_t options = {.size = sizeof options};
    memdb_memory_t memory = {.size = sizeof memory};
    memdb_txn_t *txn;
    must(db, memdb_snapshot_begin(db, NULL, &snapshot));
    must(db, memdb_cursor_open(snapshot, world.space, &options, &cursor));
    must(db, memdb_txn_begin(db, &txn));
    must(db, memdb_forget(txn, world.space, id));
    memdb_interrupt(db);
    assert_int_equal(memdb_cursor_next(cursor, &memory), MEMDB_INTERRUPTED);
    assert_int_equal(memdb_get(snapshot, world.space, id, &memory), MEMDB_INTERRUPTED);
    assert_int_equal(memdb_txn_commit(txn, MEMDB_DURABILITY_OS, NULL), MEMDB_INTERRUPTED);
    memdb_cursor_close(cursor);
    memdb_snapshot_end(snapshot);
    assert_string_equal(get_text(db, world.space, "k"),
                        "before"); // nothing was written, and a new one reads
    memdb_interrupt(NULL);
}

static void strike(void *context, uint64_t done, uint64_t total) {
    (void)done;
    (void)total;
    memdb_interrupt(context);
}

static void test_verify_ends(void **state) {
    world_t world = world_of(state);
    memdb_t *db = world.fixture->db;
    put_text(db, world.space, "k", "one");
    must(db, memdb_checkpoint(db));
    memdb_verify_options_t options = {.size = sizeof options, .context = db, .progress = strike};
    assert_int_equal(memdb_verify_with(db, &options), MEMDB_INTERRUPTED);
    must(db, memdb_verify(db, NULL, NULL));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_recall_ends_in_its_midst_and_the_next_one_does_not,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_snapshots_cursors_and_transactions_that_are_open_end,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_verify_ends, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
