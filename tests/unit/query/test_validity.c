// Goal: a fact that supersedes another ends its validity in the same commit, and what holds at any
// moment can be read as of any moment: both axes of time.
// Method: cases, and random facts that are put, changed, superseded and forgotten, beside a plain
// model that keeps a copy of all of them after each commit; listings and recalls at a random
// position and a random moment of validity must have exactly what the copy says.
#include "base/memory.h"
#include "tests/lib/database.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FACTS 40
#define STATES 150
#define NONE MEMDB_TIME_NONE

typedef struct fact {
    uint64_t id;
    bool live;
    int64_t time, from, to;
} fact_t;

typedef struct state {
    uint64_t end; // position after its commit
    fact_t facts[FACTS];
} state_t;

typedef struct world {
    memdb_t *db;
    memdb_space_t space;
    uint64_t seed;
    fact_t facts[FACTS];
    state_t states[STATES];
    size_t count;
} world_t;

static uint32_t draw(world_t *world, uint32_t below) {
    world->seed = world->seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(world->seed >> 33) % below;
}

static uint64_t put_fact(memdb_t *db, memdb_txn_t *txn, memdb_space_t space, uint64_t id,
                         int64_t time, int64_t from, int64_t to) {
    memdb_memory_t memory = {.size = sizeof memory,
                             .fields = MEMDB_FIELD_TEXT | MEMDB_FIELD_TIME |
                                       MEMDB_FIELD_VALID_FROM | MEMDB_FIELD_VALID_TO,
                             .id = id,
                             .text = text("fact"),
                             .time = time,
                             .valid_from = from,
                             .valid_to = to};
    must(db, memdb_put(txn, space, &memory, &id));
    return id;
}

static memdb_status_t supersede(memdb_txn_t *txn, memdb_space_t space, uint64_t from, uint64_t to,
                                int64_t moment) {
    memdb_link_t link = {.size = sizeof link,
                         .space = space,
                         .from = from,
                         .to = to,
                         .type = text(MEMDB_LINK_SUPERSEDES),
                         .weight = 1,
                         .valid_from = moment};
    return memdb_put_link(txn, &link);
}

// ------------------------------------------------------------------------------ cases

static uint64_t put_one(memdb_t *db, memdb_space_t space, int64_t time, int64_t from, int64_t to) {
    memdb_txn_t *txn;
    must(db, memdb_txn_begin(db, &txn));
    uint64_t id = put_fact(db, txn, space, 0, time, from, to);
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_NONE, NULL));
    return id;
}

static memdb_status_t supersede_now(memdb_t *db, memdb_space_t space, uint64_t from, uint64_t to,
                                    int64_t moment) {
    memdb_txn_t *txn;
    must(db, memdb_txn_begin(db, &txn));
    memdb_status_t status = supersede(txn, space, from, to, moment);
    if (status)
        memdb_txn_abort(txn);
    else
        must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_NONE, NULL));
    return status;
}

static void expect_validity(memdb_t *db, memdb_space_t space, uint64_t id, int64_t from,
                            int64_t to) {
    memdb_snapshot_t *snapshot;
    memdb_memory_t memory = {.size = sizeof memory};
    must(db, memdb_snapshot_begin(db, NULL, &snapshot));
    must(db, memdb_get(snapshot, space, id, &memory));
    assert_true(memory.valid_from == from && memory.valid_to == to);
    assert_int_equal(!!(memory.fields & MEMDB_FIELD_VALID_FROM), from != NONE);
    assert_int_equal(!!(memory.fields & MEMDB_FIELD_VALID_TO), to != NONE);
    memdb_snapshot_end(snapshot);
}

static void test_superseding_closes_one_validity_where_the_other_begins(void **state) {
    memdb_t *db = ((fixture_t *)*state)->db;
    memdb_space_t space = space_of(db, "main");
    uint64_t old = put_one(db, space, 10, NONE, NONE), new = put_one(db, space, 50, NONE, NONE);
    must(db, supersede_now(db, space, new, old, 0)); // from the new one's time on
    expect_validity(db, space, old, NONE, 50);
    expect_validity(db, space, new, 50, NONE);
    must(db, supersede_now(db, space, new, old, 0)); // once more: nothing changes
    expect_validity(db, space, old, NONE, 50);
    must(db, supersede_now(db, space, new, old, 30)); // it was earlier
    expect_validity(db, space, old, NONE, 30);
    expect_validity(db, space, new, 50, NONE);
    uint64_t third = put_one(db, space, 70, 60, 90);
    must(db, supersede_now(db, space, third, new, NONE)); // from its validity on
    expect_validity(db, space, new, 50, 60);
    expect_validity(db, space, third, 60, 90);
    uint64_t late = put_one(db, space, 5, 100, NONE);
    must(db, supersede_now(db, space, third, late, NONE)); // that never held
    expect_validity(db, space, late, 100, 100);
    uint64_t ended = put_one(db, space, 5, NONE, 20);
    must(db, supersede_now(db, space, third, ended, NONE)); // that ended by itself
    expect_validity(db, space, ended, NONE, 20);
}

static void test_superseding_refuses_what_makes_no_sense(void **state) {
    memdb_t *db = ((fixture_t *)*state)->db;
    memdb_space_t space = space_of(db, "main");
    uint64_t old = put_one(db, space, 10, NONE, NONE), new = put_one(db, space, 50, NONE, 40);
    char message[256];
    assert_int_equal(supersede_now(db, space, old, old, 0), MEMDB_INVALID);
    memdb_last_error(db, message, sizeof message);
    assert_string_equal(message, "link: a memory cannot supersede itself");
    assert_int_equal(supersede_now(db, space, new, old, 0), MEMDB_INVALID);
    memdb_last_error(db, message, sizeof message);
    assert_non_null(strstr(message, "ceases to hold before it supersedes another"));
    assert_int_equal(supersede_now(db, space, new, 77777, 0), MEMDB_NOT_FOUND);
    expect_validity(db, space, old, NONE, NONE);
    expect_validity(db, space, new, NONE, 40);
    memdb_link_t link = {.size = sizeof link, // over before it begins, at the time of `from`
                         .space = space,
                         .from = put_one(db, space, 50, NONE, NONE),
                         .to = old,
                         .type = text(MEMDB_LINK_SUPERSEDES),
                         .weight = 1,
                         .valid_from = NONE,
                         .valid_to = 30};
    memdb_txn_t *txn;
    must(db, memdb_txn_begin(db, &txn));
    assert_int_equal(memdb_put_link(txn, &link), MEMDB_INVALID);
    memdb_txn_abort(txn);
}

static void test_superseding_conflicts_with_other_changes_of_both(void **state) {
    memdb_t *db = ((fixture_t *)*state)->db;
    memdb_space_t space = space_of(db, "main");
    uint64_t old = put_one(db, space, 10, NONE, NONE), one = put_one(db, space, 20, NONE, NONE);
    uint64_t two = put_one(db, space, 30, 30, NONE);
    for (int round = 0; round < 4; round++) {
        memdb_txn_t *first, *second;
        must(db, memdb_txn_begin(db, &first));
        must(db, memdb_txn_begin(db, &second));
        must(db, supersede(second, space, two, old, 0));
        if (round == 0)
            must(db, supersede(first, space, one, old, 0)); // of the same fact
        else if (round == 1)
            put_fact(db, first, space, old, 11, NONE, NONE);
        else if (round == 2)
            put_fact(db, first, space, two, 31, 35, NONE); // another beginning of the new one
        else
            put_one(db, space, 1, NONE, NONE);
        must(db, memdb_txn_commit(first, MEMDB_DURABILITY_NONE, NULL));
        assert_int_equal(memdb_txn_commit(second, MEMDB_DURABILITY_NONE, NULL),
                         round < 3 ? MEMDB_CONFLICT : MEMDB_OK);
    }
    expect_validity(db, space, old, NONE, 35);
}

static void test_a_superseding_that_fails_half_way_is_not_committed(void **state) {
    memdb_t *db = ((fixture_t *)*state)->db;
    memdb_space_t space = space_of(db, "main");
    uint64_t old = put_one(db, space, 10, NONE, NONE), new = put_one(db, space, 50, NONE, NONE);
    uint64_t failures = 0, refused = 0;
    for (memdb_status_t status = MEMDB_NOMEM; status; failures++) {
        memdb_txn_t *txn;
        must(db, memdb_txn_begin(db, &txn));
        memdb__memory_fail_after(failures);
        status = supersede(txn, space, new, old, 0);
        memdb__memory_fail_after(UINT64_MAX);
        assert_true(status == MEMDB_OK || status == MEMDB_NOMEM);
        refused += memdb_txn_commit(txn, MEMDB_DURABILITY_NONE, NULL) == MEMDB_FAILED;
        if (status)
            expect_validity(db, space, old, NONE, NONE);
        if (status)
            expect_validity(db, space, new, NONE, NONE);
    }
    expect_validity(db, space, old, NONE, 50);
    expect_validity(db, space, new, 50, NONE);
    assert_true(failures > 3 && refused > 0);
}

static void test_salvage_takes_validities_as_they_are(void **state) {
    fixture_t *fixture = *state;
    memdb_t *db = fixture->db;
    memdb_space_t space = space_of(db, "main");
    uint64_t old = put_one(db, space, 10, NONE, NONE), new = put_one(db, space, 50, NONE, NONE);
    char salvaged[300];
    memdb_txn_t *txn;
    memdb_error_t error;
    must(db, supersede_now(db, space, new, old, 0));
    must(db, memdb_txn_begin(db, &txn));
    put_fact(db, txn, space, old, 10, NONE, NONE); // it holds again, though the link is there
    must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_FULL, NULL));
    fixture_close(fixture);
    snprintf(salvaged, sizeof salvaged, "%s-salvaged", fixture->path);
    assert_int_equal(memdb_salvage(fixture->path, salvaged, NULL, NULL, NULL, &error), MEMDB_OK);
    assert_int_equal(memdb_open(salvaged, NULL, &db, &error), MEMDB_OK);
    expect_validity(db, space_of(db, "main"), old, NONE, NONE);
    expect_validity(db, space_of(db, "main"), new, 50, NONE);
    assert_int_equal(memdb_close(db), MEMDB_OK);
    remove_tree(salvaged);
    fixture_open(fixture, (memdb_options_t){0});
}

static void test_links_are_open_where_they_are_not_bounded(void **state) {
    memdb_t *db = ((fixture_t *)*state)->db;
    memdb_space_t space = space_of(db, "main");
    uint64_t one = put_one(db, space, 10, NONE, NONE), two = put_one(db, space, 20, NONE, NONE);
    memdb_txn_t *txn;
    memdb_link_t link = {.size = sizeof link, .space = space, .from = one, .to = two, .weight = 1};
    memdb_link_cursor_t *cursor;
    must(db, memdb_txn_begin(db, &txn));
    must(db, memdb_put_link(txn, &link));
    must(db, memdb_links_open(memdb_txn_snapshot(txn), space, one, MEMDB_DIRECTION_OUT,
                              (memdb_bytes_t){0}, &cursor));
    must(db, memdb_links_next(cursor, &link));
    assert_true(link.valid_from == NONE && link.valid_to == NONE);
    assert_true(memdb_is_valid(link.valid_from, link.valid_to, INT64_MAX));
    assert_true(memdb_is_valid(5, 7, 5) && memdb_is_valid(5, 7, 6) && !memdb_is_valid(5, 7, 7) &&
                !memdb_is_valid(5, NONE, 4) && !memdb_is_valid(5, 5, 5));
    memdb_links_close(cursor);
    memdb_txn_abort(txn);
}

// ------------------------------------------------------------------------------ the model

/// The rule, once more.
static void model_supersede(fact_t *from, fact_t *to, int64_t moment) {
    int64_t begin = moment ? moment : from->from != NONE ? from->from : from->time;
    int64_t end = to->from != NONE && to->from > begin ? to->from : begin;
    if (from->from == NONE)
        from->from = begin;
    if (to->to == NONE || to->to > end)
        to->to = end;
}

static void change(world_t *world, memdb_txn_t *txn) {
    uint32_t at = draw(world, FACTS), other = draw(world, FACTS);
    fact_t *fact = &world->facts[at], *old = &world->facts[other];
    if (!fact->live || draw(world, 4) == 0) {
        fact->time = 1 + draw(world, 100);
        fact->from = draw(world, 2) ? NONE : 1 + draw(world, 100);
        fact->to = draw(world, 3)       ? NONE
                   : fact->from == NONE ? 1 + draw(world, 100)
                                        : fact->from + draw(world, 50);
        fact->id = put_fact(world->db, txn, world->space, fact->live ? fact->id : 0, fact->time,
                            fact->from, fact->to);
        fact->live = true;
    } else if (draw(world, 8) == 0) {
        must(world->db, memdb_forget(txn, world->space, fact->id));
        fact->live = false;
    } else if (old->live && at != other) {
        int64_t moment = draw(world, 2) ? 0 : 1 + draw(world, 100);
        int64_t begin = moment ? moment : fact->from != NONE ? fact->from : fact->time;
        memdb_status_t status = supersede(txn, world->space, fact->id, old->id, moment);
        if (fact->to != NONE && fact->to < begin) {
            assert_int_equal(status, MEMDB_INVALID);
        } else {
            must(world->db, status);
            model_supersede(fact, old, moment);
        }
    }
}

static int compare_ids(const void *a, const void *b) {
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static size_t list(world_t *world, memdb_snapshot_t *snapshot, int64_t moment, uint64_t *ids) {
    memdb_cursor_options_t options = {.size = sizeof options, .valid_at = moment};
    memdb_cursor_t *cursor;
    memdb_memory_t memory;
    size_t count = 0;
    must(world->db, memdb_cursor_open(snapshot, world->space, &options, &cursor));
    while (memdb_cursor_next(cursor, &memory) == MEMDB_OK)
        ids[count++] = memory.id;
    memdb_cursor_close(cursor);
    qsort(ids, count, sizeof *ids, compare_ids);
    return count;
}

static size_t find(world_t *world, memdb_snapshot_t *snapshot, int64_t moment, uint64_t *ids) {
    memdb_query_t query = {.size = sizeof query,
                           .spaces = &world->space,
                           .space_count = 1,
                           .text = text("fact"),
                           .k = FACTS + 1,
                           .valid_at = moment};
    memdb_result_t *result;
    must(world->db, memdb_recall(snapshot, &query, &result));
    size_t count = memdb_result_count(result);
    for (size_t i = 0; i < count; i++)
        ids[i] = memdb_result_hit(result, i)->id;
    memdb_result_free(result);
    qsort(ids, count, sizeof *ids, compare_ids);
    return count;
}

/// What holds at a moment, as of a state: by list and by recall. MEMDB_TIME_NONE: all.
static void check(world_t *world, memdb_snapshot_t *snapshot, const fact_t *facts, int64_t moment) {
    uint64_t wanted[FACTS], listed[FACTS], found[FACTS + 1];
    size_t count = 0;
    for (size_t i = 0; i < FACTS; i++) {
        const fact_t *fact = &facts[i];
        if (fact->live && (moment == NONE || ((fact->from == NONE || fact->from <= moment) &&
                                              (fact->to == NONE || moment < fact->to))))
            wanted[count++] = fact->id;
    }
    qsort(wanted, count, sizeof *wanted, compare_ids);
    assert_int_equal(list(world, snapshot, moment == NONE ? 0 : moment, listed), count);
    assert_memory_equal(listed, wanted, count * sizeof *wanted);
    assert_int_equal(find(world, snapshot, moment, found), count);
    assert_memory_equal(found, wanted, count * sizeof *wanted);
}

static void check_then(world_t *world) {
    const state_t *then = &world->states[draw(world, (uint32_t)world->count)];
    memdb_snapshot_options_t options = {.size = sizeof options, .as_of_lsn = then->end};
    memdb_snapshot_t *snapshot;
    must(world->db, memdb_snapshot_begin(world->db, &options, &snapshot));
    check(world, snapshot, then->facts, draw(world, 10) ? 1 + (int64_t)draw(world, 160) : NONE);
    for (size_t i = 0; i < FACTS; i++) {
        memdb_memory_t memory = {.size = sizeof memory};
        const fact_t *fact = &then->facts[i];
        if (fact->live) {
            must(world->db, memdb_get(snapshot, world->space, fact->id, &memory));
            assert_true(memory.valid_from == fact->from && memory.valid_to == fact->to);
        }
    }
    memdb_snapshot_end(snapshot);
}

static void test_random_facts_are_read_as_of_both_axes(void **state) {
    static world_t world = {.seed = 20260729};
    memdb_t *db = world.db = ((fixture_t *)*state)->db;
    memdb_settings_t settings = {.size = sizeof settings, .history_bytes = 1u << 30};
    must(db, memdb_configure(db, &settings));
    world.space = space_of(db, "main");
    print_message("seed=%llu\n", (unsigned long long)world.seed);
    while (world.count < STATES) {
        memdb_txn_t *txn;
        fact_t before[FACTS];
        memcpy(before, world.facts, sizeof before);
        must(db, memdb_txn_begin(db, &txn));
        for (uint32_t i = 1 + draw(&world, 5); i > 0; i--)
            change(&world, txn);
        check(&world, memdb_txn_snapshot(txn), world.facts, 1 + (int64_t)draw(&world, 120));
        if (draw(&world, 6) == 0) {
            memdb_txn_abort(txn);
            memcpy(world.facts, before, sizeof before);
            continue;
        }
        state_t *kept = &world.states[world.count++];
        must(db, memdb_txn_commit(txn, MEMDB_DURABILITY_NONE, &kept->end));
        memcpy(kept->facts, world.facts, sizeof kept->facts);
        if (draw(&world, 12) == 0)
            must(db, memdb_checkpoint(db));
        check_then(&world);
        check_then(&world);
    }
    for (int i = 0; i < 200; i++)
        check_then(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_superseding_closes_one_validity_where_the_other_begins,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_superseding_refuses_what_makes_no_sense, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_superseding_conflicts_with_other_changes_of_both,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_a_superseding_that_fails_half_way_is_not_committed,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_salvage_takes_validities_as_they_are, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_links_are_open_where_they_are_not_bounded,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_random_facts_are_read_as_of_both_axes, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
