// Random work on a database, compared with a plain model after each step: transactions of several
// operations, aborts, pairs of transactions of which the second conflicts exactly when the model
// says so, checkpoints, merges that end some steps after they began, reopening, and copies taken as
// a kill would leave them. Two handles take turns. The same seed replays the run (MEMDB_SEED).
#include "engine/fold/fold.h"
#include "tests/unit/engine/engine_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct world {
    fixture_t *fixture;
    memdb_t *handles[2];
    memdb_options_t options;
    model_t model;
    transaction_t first, second;
    memdb_t *merging; // the handle that merges; NULL: none does
    memdb__fold_t merge;
    memdb__space_work_t work;
    uint64_t commits, conflicts, merges, collections;
} world_t;

static void open_handles(world_t *world) {
    for (int i = 0; i < 2; i++) {
        fixture_t opened = *world->fixture;
        fixture_open(&opened, world->options);
        world->handles[i] = opened.db;
    }
}

/// A fold; with the merges that are due, if asked and no merge goes on already.
static void checkpoint(world_t *world, bool with_merges) {
    memdb_t *db = world->handles[draw(2)];
    memdb_error_t error = {0};
    with_merges = with_merges && !world->merging;
    must(db, with_merges ? memdb_checkpoint(db) : memdb__checkpoint(db, &error));
}

static void begin_merge(world_t *world) {
    memdb_t *db = world->handles[draw(2)];
    memdb_error_t error = {0};
    bool found = false;
    memdb__space_work_t *work = chance(30) ? &world->work : NULL; // of all tiers, as a compact
    assert_int_equal(memdb__merge_exclude(db, &error), MEMDB_OK);
    assert_int_equal(memdb__merge_begin(db, work, UINT64_MAX, &world->merge, &found, &error),
                     MEMDB_OK);
    if (found) {
        assert_int_equal(memdb__merge_write(&world->merge, &error), MEMDB_OK);
        world->merging = db;
    } else {
        memdb__merge_end(&world->merge);
        memdb__merge_admit(db);
    }
}

static void end_merge(world_t *world) {
    memdb_error_t error = {0};
    if (world->merging) {
        assert_int_equal(memdb__merge_switch(&world->merge, &error), MEMDB_OK);
        memdb__merge_end(&world->merge);
        memdb__merge_admit(world->merging);
        world->merging = NULL;
        world->merges++;
        world->collections += world->merge.collection.whole;
    }
}

static void close_handles(world_t *world) {
    end_merge(world);
    for (int i = 0; i < 2; i++) {
        must(world->handles[i], memdb_close(world->handles[i]));
    }
}

static memdb_durability_t draw_durability(void) {
    return chance(5) ? MEMDB_DURABILITY_FULL : (memdb_durability_t)draw(3);
}

static memdb_txn_t *begin(world_t *world, memdb_t *db, transaction_t *transaction) {
    memdb_txn_t *txn;
    must(db, memdb_txn_begin(db, &txn));
    transaction->model = world->model;
    transaction->count = 0;
    transaction->touches = (touches_t){0};
    return txn;
}

static void operate(memdb_t *db, memdb_txn_t *txn, transaction_t *transaction, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        model_operate(db, txn, transaction);
    }
}

static void step_transaction(world_t *world) {
    memdb_t *db = world->handles[draw(2)];
    memdb_txn_t *txn = begin(world, db, &world->first);
    operate(db, txn, &world->first, 1 + draw(MODEL_OPERATIONS));
    if (chance(20)) {
        model_check_snapshot(db, memdb_txn_snapshot(txn), &world->first.model, chance(5));
    }
    if (chance(10)) {
        memdb_txn_abort(txn);
        return;
    }
    must(db, memdb_txn_commit(txn, draw_durability(), NULL));
    for (int i = 0; i < world->first.count; i++) {
        model_apply(&world->model, &world->first.operations[i]);
    }
    world->commits++;
}

/// Two transactions from the same state; the second commits only when it touched nothing that the
/// first wrote.
static void step_pair(world_t *world) {
    memdb_t *a = world->handles[draw(2)], *b = world->handles[draw(2)];
    memdb_txn_t *txn_a = begin(world, a, &world->first), *txn_b = begin(world, b, &world->second);
    operate(a, txn_a, &world->first, 1 + draw(4));
    operate(b, txn_b, &world->second, 1 + draw(4));
    must(a, memdb_txn_commit(txn_a, draw_durability(), NULL));
    for (int i = 0; i < world->first.count; i++) {
        model_apply(&world->model, &world->first.operations[i]);
    }
    if (chance(30)) {
        checkpoint(world, true); // what was buried may be gone without a trace
    }
    bool conflict = world->first.count && world->second.count &&
                    model_conflicts(&world->first.touches, &world->second.touches);
    memdb_status_t status = memdb_txn_commit(txn_b, draw_durability(), NULL);
    if (conflict) {
        assert_int_equal(status, MEMDB_CONFLICT);
        world->conflicts++;
        return;
    }
    must(b, status);
    for (int i = 0; i < world->second.count; i++) {
        model_apply(&world->model, &world->second.operations[i]);
    }
    world->commits++;
}

static void check_copy(world_t *world) {
    fixture_t copy = {0};
    fixture_copy(world->fixture, "-copy", copy.path);
    fixture_open(&copy, world->options);
    model_check(copy.db, &world->model, true);
    must(copy.db, memdb_verify(copy.db, NULL, NULL));
    fixture_close(&copy);
    remove_tree(copy.path);
}

static void step(world_t *world) {
    uint32_t what = draw(1000);
    if (world->options.checkpoint_log_bytes && chance(8)) {
        checkpoint(world, false);
    } else if (what < 25) {
        checkpoint(world, true);
    } else if (what < 30) {
        close_handles(world);
        open_handles(world);
    } else if (what < 33) {
        check_copy(world);
    } else if (what < 38) {
        model_check(world->handles[draw(2)], &world->model, true);
    } else if (what < 54 && !world->merging) {
        begin_merge(world);
    } else if (what < 60) {
        end_merge(world);
    } else if (what < 260) {
        step_pair(world);
    } else {
        step_transaction(world);
    }
    model_check(world->handles[draw(2)], &world->model, false);
}

/// checkpoint_log_bytes: 0, so that folds merge what tiers there are, or so little that merges of
/// their own do.
static void run(void **state, memdb_durability_t durability, uint64_t checkpoint_log_bytes,
                int steps) {
    fixture_t *fixture = *state;
    world_t *world = calloc(1, sizeof *world);
    assert_non_null(world);
    fixture_close(fixture);
    remove_tree(fixture->path);
    world->fixture = fixture;
    world->options = (memdb_options_t){.durability = durability,
                                       .no_background = true,
                                       .checkpoint_log_bytes = checkpoint_log_bytes};
    open_handles(world);
    for (int i = 0; i < steps; i++) {
        step(world);
    }
    end_merge(world);
    assert_true(!checkpoint_log_bytes || world->merges > world->collections);
    assert_true(steps < 2000 || world->collections > 0);
    for (int round = 0; round < 2; round++) {
        model_check(world->handles[0], &world->model, true);
        model_check(world->handles[1], &world->model, true);
        must(world->handles[0], memdb_verify(world->handles[0], NULL, NULL));
        close_handles(world);
        open_handles(world);
    }
    printf("%d steps, %llu commits, %llu conflicts, %llu merges beside them, %llu of all tiers\n",
           steps, (unsigned long long)world->commits, (unsigned long long)world->conflicts,
           (unsigned long long)world->merges, (unsigned long long)world->collections);
    close_handles(world);
    free(world);
}

static void test_random_work_matches_the_model_os(void **state) {
    run(state, MEMDB_DURABILITY_OS, 0, 2000);
}

static void test_random_work_beside_merges_matches_the_model(void **state) {
    run(state, MEMDB_DURABILITY_OS, 1024, 2000);
}

static void test_random_work_matches_the_model_full(void **state) {
    run(state, MEMDB_DURABILITY_FULL, 0, 400);
}

static void test_random_work_matches_the_model_none(void **state) {
    run(state, MEMDB_DURABILITY_NONE, 0, 600);
}

int main(void) {
    const char *given = getenv("MEMDB_SEED");
    model_random_state = given ? strtoull(given, NULL, 0) : 20240607;
    printf("seed=%llu\n", (unsigned long long)model_random_state);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_random_work_matches_the_model_os, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_random_work_beside_merges_matches_the_model,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_random_work_matches_the_model_full, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_random_work_matches_the_model_none, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
