// Goal: salvage gets out of a damaged database everything that the damage did not touch, invents
// nothing, and lists what is missing.
// Method: a database with three tiers, blobs and a log is read whole once; that is the model
// (salvage_world.c). Then copies of it are damaged in known places, and at random (MEMDB_SEED;
// MEMDB_SALVAGE_ROUNDS for more of it), salvaged, and compared with the model; the new database must
// verify.
#include "tests/unit/engine/salvage_world.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

// ------------------------------------------------------------------------------ damage

/// Overwrite, or (offset < 0) cut at -offset.
static void harm(const char *database, const char *file, long offset, size_t size) {
    char path[512];
    static uint8_t garbage[65536];
    snprintf(path, sizeof path, "%s/%s", database, file);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    if (offset < 0) {
        assert_int_equal(ftruncate(fd, -offset), 0);
    } else {
        for (size_t i = 0; i < size; i++) {
            garbage[i] = (uint8_t)draw(256);
        }
        assert_int_equal(pwrite(fd, garbage, size, offset), size);
    }
    close(fd);
}

static void drop(const char *database, const char *file) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", database, file);
    assert_int_equal(unlink(path), 0);
}

/// The first (or `last`) file of a directory; in segments/ the first of a kind.
static const char *pick(const char *database, const char *directory, bool last, uint32_t kind) {
    static char best[300];
    char path[600];
    uint8_t header[16];
    snprintf(path, sizeof path, "%.250s/%s", database, directory);
    DIR *listing = opendir(path);
    assert_non_null(listing);
    best[0] = 0;
    for (struct dirent *entry; (entry = readdir(listing));) {
        char name[300];
        snprintf(name, sizeof name, "%s/%.200s", directory, entry->d_name);
        snprintf(path, sizeof path, "%.250s/%.300s", database, name);
        int order = strcmp(name, best) * (last ? 1 : -1);
        if (entry->d_name[0] != '0' || (best[0] && order < 0)) {
            continue;
        }
        int fd = open(path, O_RDONLY);
        assert_int_equal(read(fd, header, sizeof header), sizeof header);
        close(fd);
        if (!kind || header[12] == kind) {
            memcpy(best, name, sizeof best);
        }
    }
    closedir(listing);
    assert_true(best[0] != 0);
    return best;
}

typedef struct world {
    fixture_t *fixture;
    char good[256], bad[256];
} world_t;

static int setup(void **state) {
    static world_t world;
    void *fixture;
    if (fixture_setup(&fixture)) {
        return 1;
    }
    world.fixture = fixture;
    build(world.fixture, world.good);
    *state = &world;
    return 0;
}

static int teardown(void **state) {
    void *fixture = ((world_t *)*state)->fixture;
    return fixture_teardown(&fixture);
}

/// A fresh copy of the good database.
static const char *copy(world_t *world) {
    fixture_t good = {0};
    snprintf(good.path, sizeof good.path, "%s", world->good);
    fixture_copy(&good, "-bad", world->bad);
    return world->bad;
}

static void test_salvage_of_a_whole_database_loses_nothing(void **state) {
    const char *bad = copy(*state);
    assert_int_equal(salvage(bad), 0);
    assert_int_equal(losses.count, 0);
    assert_int_equal(got.count, model.count);
}

static void test_salvage_needs_neither_root_nor_control_nor_lock(void **state) {
    const char *bad = copy(*state);
    drop(bad, "root");
    drop(bad, "control");
    drop(bad, "lock");
    assert_int_equal(salvage(bad), 0);
    assert_int_equal(losses.count, 1); // the default durability
}

static void test_salvage_finds_the_base_without_a_catalog(void **state) {
    const char *bad = copy(*state);
    harm(bad, "catalog/data.mdb", 0, 16384);
    drop(bad, "catalog/companion");
    assert_int_equal(salvage(bad), 0);
    assert_int_equal(losses.count, 1); // the catalog
    assert_int_equal(got.count, model.count);
}

static void test_salvage_makes_words_anew(void **state) {
    const char *bad = copy(*state);
    harm(bad, pick(bad, "segments", false, 2), 4096, 65536);
    assert_int_equal(salvage(bad), 0);
    assert_int_equal(losses.count, 0);
}

static void test_salvage_loses_the_memories_of_a_damaged_page_alone(void **state) {
    const char *bad = copy(*state);
    harm(bad, pick(bad, "segments", false, 1), 4096 + 3 * 16384, 16384);
    size_t wrong = salvage(bad);
    assert_true(wrong > 0 && wrong < 60);
    assert_true(losses.count > 0);
}

static void test_salvage_reads_a_segment_without_header_and_footer(void **state) {
    const char *bad = copy(*state);
    struct stat about;
    const char *file = pick(bad, "segments", false, 1);
    char path[600];
    snprintf(path, sizeof path, "%s/%s", bad, file);
    assert_int_equal(stat(path, &about), 0);
    harm(bad, file, 0, 4096);
    harm(bad, file, about.st_size - 64, 64);
    assert_int_equal(salvage(bad), 0);
    assert_int_equal(losses.count, 0);
}

static void test_salvage_leaves_out_a_damaged_vector_and_a_damaged_blob(void **state) {
    const char *bad = copy(*state);
    harm(bad, pick(bad, "segments", false, 3), 4096, 64); // the ids of the first rows
    harm(bad, pick(bad, "blob", false, 0), 40000, 64);
    size_t wrong = salvage(bad);
    assert_true(wrong > 0);
    assert_int_equal(got.count, model.count); // the memories are there
    for (size_t i = 0; i < losses.count; i++) {
        assert_true(losses.list[i].first_id != 0 && losses.list[i].key.size != 0);
    }
}

static void test_salvage_reads_behind_a_hole_in_the_log(void **state) {
    const char *bad = copy(*state);
    const char *file = pick(bad, "log", true, 0);
    char path[600];
    uint64_t start;
    snprintf(path, sizeof path, "%s/%s", bad, file);
    int fd = open(path, O_RDONLY);
    assert_int_equal(pread(fd, &start, sizeof start, 40), sizeof start); // its header says so
    close(fd);
    harm(bad, file, (long)(4096 + base_lsn / 4096 * 4096 - start + 4 * 4096), 8192);
    salvage(bad);
    assert_true(losses.count > 0 && losses.unknown > 0);
    // The last commit is there nevertheless: its memories are those of the model.
    size_t same = 0;
    for (size_t i = 0; i < model.count; i++) {
        const memory_t *is = find(&got, model.memories[i].id);
        same += is && is->body == model.memories[i].body;
    }
    assert_true(same > model.count - 10 && same <= model.count);
}

static void test_salvage_refuses_what_is_no_database_or_in_use(void **state) {
    world_t *world = *state;
    memdb_error_t error = {0};
    char to[300], empty[300];
    snprintf(to, sizeof to, "%s-to", world->good);
    snprintf(empty, sizeof empty, "%s-empty", world->good);
    assert_int_equal(memdb_salvage("/nonexistent", to, NULL, NULL, NULL, &error), MEMDB_NOT_FOUND);
    assert_int_equal(mkdir(empty, 0700), 0);
    assert_int_equal(memdb_salvage(empty, to, NULL, NULL, NULL, &error), MEMDB_NOT_DATABASE);
    assert_int_equal(memdb_salvage(world->good, world->good, NULL, NULL, NULL, &error),
                     MEMDB_EXISTS);
    assert_int_equal(memdb_salvage(world->fixture->path, to, NULL, NULL, NULL, &error), MEMDB_BUSY);
    assert_int_equal(memdb_salvage(NULL, to, NULL, NULL, NULL, &error), MEMDB_INVALID);
}

static void test_salvage_keeps_ids_and_gives_new_ones_above(void **state) {
    const char *bad = copy(*state);
    fixture_t fixture = {0};
    uint64_t largest = 0;
    snprintf(fixture.path, sizeof fixture.path, "%.200s-to", bad);
    assert_int_equal(memdb_salvage(bad, fixture.path, NULL, NULL, NULL, NULL), MEMDB_OK);
    for (size_t i = 0; i < model.count; i++) {
        largest = model.memories[i].id > largest ? model.memories[i].id : largest;
    }
    fixture_open(&fixture, (memdb_options_t){0});
    assert_true(put_text(fixture.db, space_of(fixture.db, "main"), "new", "new") > largest);
    assert_true(space_of(fixture.db, "another") > 3); // 3 was dropped
    fixture_close(&fixture);
    remove_tree(fixture.path);
}

/// A map in which the versions of a key lie in several blocks has one section more.
static void test_salvage_of_a_database_with_history_loses_nothing(void **state) {
    fixture_t fixture = {0}, salvaged = {0};
    uint64_t lost = 1;
    memdb_settings_t settings = {.size = sizeof settings, .history_bytes = 1u << 30};
    snprintf(fixture.path, sizeof fixture.path, "%.200s-history",
             ((world_t *)*state)->fixture->path);
    snprintf(salvaged.path, sizeof salvaged.path, "%.200s-to", fixture.path);
    fixture_open(&fixture, (memdb_options_t){.no_background = true});
    must(fixture.db, memdb_configure(fixture.db, &settings));
    memdb_space_t space = space_of(fixture.db, "main");
    put_text(fixture.db, space, "kept", "kept");
    for (int i = 0; i < 400; i++) { // so many that they fill blocks
        put_text(fixture.db, space, "changed", i < 399 ? "older" : "newest");
    }
    must(fixture.db, memdb_checkpoint(fixture.db));
    fixture_close(&fixture);
    assert_int_equal(memdb_salvage(fixture.path, salvaged.path, NULL, NULL, &lost, NULL), MEMDB_OK);
    assert_int_equal(lost, 0);
    fixture_open(&salvaged, (memdb_options_t){0});
    assert_string_equal(get_text(salvaged.db, space_of(salvaged.db, "main"), "changed"), "newest");
    assert_string_equal(get_text(salvaged.db, space_of(salvaged.db, "main"), "kept"), "kept");
    must(salvaged.db, memdb_verify(salvaged.db, NULL, NULL));
    fixture_close(&salvaged);
    remove_tree(salvaged.path);
    remove_tree(fixture.path);
}

// ------------------------------------------------------------------------------ at random

typedef struct names {
    char list[64][300];
    size_t count;
} names_t;

static void list_files(const char *path, const char *below, names_t *names) {
    char at[600];
    snprintf(at, sizeof at, "%.250s/%.250s", path, below);
    DIR *directory = opendir(at);
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory));) {
        char inner[300];
        if (entry->d_name[0] == '.') {
            continue;
        }
        snprintf(inner, sizeof inner, "%.100s%s%.100s", below, *below ? "/" : "", entry->d_name);
        if (entry->d_type == DT_DIR) {
            list_files(path, inner, names);
        } else if (names->count < 64) {
            memcpy(names->list[names->count++], inner, sizeof inner);
        }
    }
    closedir(directory);
}

static void harm_at_random(const char *bad) {
    names_t names = {0};
    char path[600];
    struct stat about;
    list_files(bad, "", &names);
    const char *file = names.list[draw(names.count)];
    snprintf(path, sizeof path, "%.250s/%.300s", bad, file);
    assert_int_equal(stat(path, &about), 0);
    long size = about.st_size > 400000 ? 400000 : about.st_size;
    long offset = size ? (long)draw((uint64_t)size) : 0;
    size_t length = (size_t[]){1, 64, 4096, 20000}[draw(4)];
    snprintf(harmed + strlen(harmed), sizeof harmed - strlen(harmed), "%s at %ld; ", file, offset);
    if (draw(12) == 0) {
        drop(bad, file);
    } else if (draw(12) == 0 && offset) {
        harm(bad, file, -offset, 0);
    } else if (size) {
        harm(bad, file, offset, length < (size_t)(size - offset) ? length : (size_t)(size - offset));
    }
}

static void test_random_damages_lose_only_what_is_listed(void **state) {
    const char *seed = getenv("MEMDB_SEED"), *more = getenv("MEMDB_SALVAGE_ROUNDS");
    uint64_t start = seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL);
    unsigned rounds = more ? (unsigned)strtoul(more, NULL, 0) : 60;
    size_t wrong = 0;
    print_message("seed=%llu\n", (unsigned long long)start);
    for (unsigned i = 0; i < rounds; i++) {
        const char *bad = copy(*state);
        dice_state = start + i * 1000003u;
        for (uint64_t count = 1 + draw(4); count > 0; count--) {
            harm_at_random(bad);
        }
        wrong += salvage(bad);
        harmed[0] = 0;
    }
    print_message("%u rounds: %zu of %zu memories lost or doubtful\n", rounds, wrong,
                  rounds * model.count);
    assert_true(wrong < rounds * model.count / 4); // most of it comes back
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_salvage_of_a_whole_database_loses_nothing),
        cmocka_unit_test(test_salvage_needs_neither_root_nor_control_nor_lock),
        cmocka_unit_test(test_salvage_finds_the_base_without_a_catalog),
        cmocka_unit_test(test_salvage_makes_words_anew),
        cmocka_unit_test(test_salvage_loses_the_memories_of_a_damaged_page_alone),
        cmocka_unit_test(test_salvage_reads_a_segment_without_header_and_footer),
        cmocka_unit_test(test_salvage_leaves_out_a_damaged_vector_and_a_damaged_blob),
        cmocka_unit_test(test_salvage_reads_behind_a_hole_in_the_log),
        cmocka_unit_test(test_salvage_refuses_what_is_no_database_or_in_use),
        cmocka_unit_test(test_salvage_keeps_ids_and_gives_new_ones_above),
        cmocka_unit_test(test_salvage_of_a_database_with_history_loses_nothing),
        cmocka_unit_test(test_random_damages_lose_only_what_is_listed),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
