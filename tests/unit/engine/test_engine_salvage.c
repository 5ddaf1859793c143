// Goal: salvage gets out of a damaged database everything that the damage did not touch, invents
// nothing, and lists what is missing.
// Method: a database with three tiers, blobs and a log is read whole once; that is the model. Then
// copies of it are damaged in known places, and at random (MEMDB_SEED; MEMDB_SALVAGE_ROUNDS more of
// it), salvaged, and compared with the model; the new database must verify.
#include "base/checksum.h"
#include "tests/lib/database.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MEMORIES 400
#define LINKS 64

// ------------------------------------------------------------------------------ dice

static uint64_t dice_state;

static uint64_t draw(uint64_t below) {
    uint64_t x = dice_state += UINT64_C(0x9e3779b97f4a7c15); // splitmix64
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return below ? (x ^ (x >> 31)) % below : 0;
}

// ------------------------------------------------------------------------------ what is read

typedef struct memory {
    uint64_t id;
    uint64_t body, vector, blobs, links; // hashes; 0: has none
    uint64_t version;                    // a new database has new ones
} memory_t;

typedef struct contents {
    memory_t memories[MEMORIES];
    size_t count;
} contents_t;

static uint64_t add_bytes(uint64_t hash, memdb_bytes_t bytes) {
    return memdb__hash64(bytes.data, bytes.size, hash + bytes.size + 1);
}

static uint64_t hash_body(const memdb_memory_t *m) {
    const uint64_t numbers[] = {m->space,
                                m->id,
                                m->fields & ~(uint32_t)(MEMDB_FIELD_VECTOR | MEMDB_FIELD_BLOBS),
                                (uint64_t)m->time,
                                (uint64_t)m->expires,
                                m->tokens};
    uint64_t hash = memdb__hash64(numbers, sizeof numbers, 1);
    hash = add_bytes(hash, m->key);
    hash = add_bytes(hash, m->text);
    hash = add_bytes(hash, m->kind);
    hash = add_bytes(hash, m->session);
    hash = add_bytes(hash, m->actor);
    return add_bytes(hash, m->attrs);
}

static uint64_t hash_blobs(memdb_t *db, memdb_snapshot_t *snapshot, const memdb_memory_t *m) {
    static uint8_t buffer[200000];
    uint64_t hash = 2;
    for (uint32_t i = 0; i < m->blob_count; i++) {
        memdb_blob_reader_t *reader;
        size_t read = 0;
        must(db, memdb_blob_reader_open(snapshot, &m->blobs[i], &reader));
        must(db, memdb_blob_reader_read(reader, 0, buffer, sizeof buffer, &read));
        memdb_blob_reader_close(reader);
        hash = add_bytes(memdb__hash64(buffer, read, hash), m->blobs[i].media_type);
    }
    return hash;
}

static uint64_t hash_links(memdb_t *db, memdb_snapshot_t *snapshot, const memdb_memory_t *m) {
    memdb_link_cursor_t *cursor;
    memdb_link_t link = {.size = sizeof link};
    memdb_status_t status;
    uint64_t hash = 0;
    must(db, memdb_links_open(snapshot, m->space, m->id, MEMDB_DIRECTION_OUT, (memdb_bytes_t){0},
                              &cursor));
    while (!(status = memdb_links_next(cursor, &link))) {
        hash = add_bytes(hash + link.to + (uint64_t)link.weight, link.type);
    }
    assert_int_equal(status, MEMDB_DONE);
    memdb_links_close(cursor);
    return hash;
}

static bool read_space(void *context, const memdb_space_info_t *info) {
    memdb_space_t *spaces = context;
    spaces[++spaces[0]] = info->space;
    return spaces[0] < 8;
}

static void read_all(memdb_t *db, contents_t *out) {
    memdb_snapshot_t *snapshot;
    memdb_space_t spaces[10] = {0};
    out->count = 0;
    must(db, memdb_snapshot_begin(db, NULL, &snapshot));
    must(db, memdb_space_list(snapshot, read_space, spaces));
    for (memdb_space_t i = 1; i <= spaces[0]; i++) {
        memdb_cursor_options_t options = {.size = sizeof options};
        memdb_cursor_t *cursor;
        memdb_memory_t m = {.size = sizeof m};
        must(db, memdb_cursor_open(snapshot, spaces[i], &options, &cursor));
        while (memdb_cursor_next(cursor, &m) == MEMDB_OK) {
            memory_t *memory = &out->memories[out->count++];
            *memory = (memory_t){.id = m.id, .body = hash_body(&m), .version = m.version};
            if (m.dimension) {
                float vector[64];
                must(db, memdb_get_vector(snapshot, m.space, m.id, vector, m.dimension));
                memory->vector = memdb__hash64(vector, m.dimension * sizeof *vector, 3);
            }
            memory->blobs = m.blob_count ? hash_blobs(db, snapshot, &m) : 0;
            memory->links = hash_links(db, snapshot, &m);
            assert_true(out->count < MEMORIES);
        }
        memdb_cursor_close(cursor);
    }
    memdb_snapshot_end(snapshot);
}

static const memory_t *find(const contents_t *contents, uint64_t id) {
    for (size_t i = 0; i < contents->count; i++) {
        if (contents->memories[i].id == id) {
            return &contents->memories[i];
        }
    }
    return NULL;
}

// ------------------------------------------------------------------------------ the database

static uint64_t base_lsn; // where its base ends

static void put_one(fixture_t *fixture, memdb_txn_t *txn, memdb_space_t space, uint32_t number) {
    static uint8_t bytes[150000];
    static char words[3000];
    char key[16], attrs[32];
    float vector[8];
    size_t size = 0, wanted = 100 + draw(draw(10) ? 500 : 2800);
    memdb_blob_t blob;
    snprintf(key, sizeof key, "k%u", number);
    snprintf(attrs, sizeof attrs, "{\"n\":%u}", number);
    while (size < wanted) {
        size += (size_t)snprintf(words + size, sizeof words - size, "w%u ", (unsigned)draw(500));
    }
    for (int i = 0; i < 8; i++) {
        vector[i] = (float)draw(1000) - 500;
    }
    memdb_memory_t m = {.size = sizeof m,
                        .fields = MEMDB_FIELD_KEY | MEMDB_FIELD_TEXT | MEMDB_FIELD_SESSION |
                                  MEMDB_FIELD_TIME | MEMDB_FIELD_ATTRS,
                        .key = text(key),
                        .text = {words, size},
                        .session = text(number % 2 ? "odd" : "even"),
                        .time = 1000000 + number,
                        .attrs = text(attrs)};
    if (number % 3) {
        m.fields |= MEMDB_FIELD_VECTOR;
        m.vector = vector;
        m.dimension = 8;
    }
    if (number % 5 == 0) {
        size_t blob_size = number % 25 ? 3000 : sizeof bytes;
        for (size_t i = 0; i < blob_size; i += 8) {
            bytes[i] = (uint8_t)(draw(256) + number);
        }
        must(fixture->db, memdb_blob_put(txn, bytes, blob_size, &blob));
        blob.media_type = text("image/png");
        m.fields |= MEMDB_FIELD_BLOBS;
        m.blobs = &blob;
        m.blob_count = 1;
    }
    must(fixture->db, memdb_put(txn, space, &m, NULL));
}

static void change_one(fixture_t *fixture, memdb_txn_t *txn, memdb_space_t space, uint32_t from,
                       uint32_t to, bool forget) {
    char key[16];
    memdb_memory_t a = {.size = sizeof a}, b = {.size = sizeof b};
    snprintf(key, sizeof key, "k%u", from);
    memdb_status_t status = memdb_get_by_key(memdb_txn_snapshot(txn), space, text(key), &a);
    snprintf(key, sizeof key, "k%u", to);
    if (status || memdb_get_by_key(memdb_txn_snapshot(txn), space, text(key), &b)) {
        return;
    }
    memdb_link_t link = {.size = sizeof link,
                         .space = space,
                         .from = a.id,
                         .to = b.id,
                         .type = text("next"),
                         .weight = 2,
                         .valid_from = MEMDB_TIME_NONE,
                         .valid_to = MEMDB_TIME_NONE};
    must(fixture->db,
         forget ? memdb_forget(txn, space, a.id) : memdb_put_link(txn, &link));
}

static void commit_some(fixture_t *fixture, const memdb_space_t *spaces, uint32_t puts,
                        uint32_t keys) {
    memdb_txn_t *txn;
    must(fixture->db, memdb_txn_begin(fixture->db, &txn));
    for (uint32_t i = 0; i < puts; i++) {
        uint32_t number = (uint32_t)draw(keys);
        put_one(fixture, txn, spaces[number % 7 == 0], number);
    }
    for (uint32_t i = 0; i < puts / 3 + 1; i++) {
        change_one(fixture, txn, spaces[0], (uint32_t)draw(keys), (uint32_t)draw(keys),
                   draw(8) == 0);
    }
    must(fixture->db, memdb_txn_commit(txn, MEMDB_DURABILITY_DEFAULT, NULL));
}

/// Three tiers and a log, as kill -9 would leave them, at fixture->path + "-model".
static void build(fixture_t *fixture, contents_t *model, char path_out[256]) {
    memdb_space_t spaces[2], gone;
    dice_state = 7;
    fixture_close(fixture);
    fixture_open(fixture, (memdb_options_t){.no_background = true});
    spaces[0] = space_of(fixture->db, "main");
    spaces[1] = space_of(fixture->db, "notes");
    gone = space_of(fixture->db, "gone");
    put_text(fixture->db, gone, "k1", "of a space that is dropped");
    for (int i = 0; i < 40; i++) {
        commit_some(fixture, spaces, 10, 220);
    }
    must(fixture->db, memdb_checkpoint(fixture->db));
    memdb_txn_t *txn;
    must(fixture->db, memdb_txn_begin(fixture->db, &txn));
    must(fixture->db, memdb_space_drop(txn, text("gone")));
    must(fixture->db, memdb_txn_commit(txn, MEMDB_DURABILITY_DEFAULT, NULL));
    commit_some(fixture, spaces, 9, 240);
    must(fixture->db, memdb_checkpoint(fixture->db));
    commit_some(fixture, spaces, 1, 250);
    must(fixture->db, memdb_checkpoint(fixture->db));
    for (int i = 0; i < 20; i++) {
        commit_some(fixture, spaces, 2, 260);
    }
    memdb_stats_t stats = {.size = sizeof stats};
    must(fixture->db, memdb_get_stats(fixture->db, &stats));
    assert_int_equal(stats.tiers, 3);
    base_lsn = stats.applied_lsn;
    read_all(fixture->db, model);
    assert_true(model->count > 150);
    fixture_copy(fixture, "-model", path_out);
}

// ------------------------------------------------------------------------------ losses

typedef struct losses {
    size_t count, unknown; // unknown: of the log, or of nobody knows what
    bool catalog;          // without it nobody knows whether a segment is missing
    memdb_loss_t list[4096];
    char what[4096][120];
} losses_t;

static void lost(void *context, const memdb_loss_t *loss) {
    losses_t *losses = context;
    assert_non_null(loss->file);
    if (losses->count < 4096) {
        snprintf(losses->what[losses->count], 120, "%s at %llu: %s", loss->file,
                 (unsigned long long)loss->offset, loss->what);
        losses->list[losses->count] = *loss;
    }
    losses->count++;
    losses->catalog |= strncmp(loss->file, "catalog", 7) == 0;
    losses->unknown += loss->first_id == 0 && loss->last_id == 0;
}

static bool is_listed(const losses_t *losses, uint64_t id) {
    bool listed = losses->count > 4096;
    for (size_t i = 0; i < losses->count && i < 4096; i++) {
        const memdb_loss_t *loss = &losses->list[i];
        listed |= (loss->first_id || loss->last_id) && id >= loss->first_id && id <= loss->last_id;
    }
    return listed;
}

static losses_t losses;
static char harmed[1000]; // what was done to the database, for people
static contents_t model, got;

/// Salvage the database at `bad`, check the new one, and read it into `got`. Gives how many
/// memories are not as in the model.
static size_t salvage(const char *bad) {
    char to[256];
    fixture_t fixture = {0};
    memdb_error_t error = {0};
    uint64_t told = UINT64_MAX;
    size_t wrong = 0;
    losses = (losses_t){0};
    snprintf(to, sizeof to, "%.200s-to", bad);
    memdb_status_t status = memdb_salvage(bad, to, lost, &losses, &told, &error);
    if (status) {
        fail_msg("%s", error.message);
    }
    assert_int_equal(told, losses.count);
    snprintf(fixture.path, sizeof fixture.path, "%s", to);
    fixture_open(&fixture, (memdb_options_t){0});
    must(fixture.db, memdb_verify(fixture.db, NULL, NULL));
    read_all(fixture.db, &got);
    for (size_t i = 0; i < model.count; i++) {
        const memory_t *is = find(&got, model.memories[i].id), *was = &model.memories[i];
        bool same = is && is->body == was->body && is->vector == was->vector &&
                    is->blobs == was->blobs;
        bool linked = is && is->links == was->links;
        // What is lost of the log does not concern what the base holds.
        bool excused = losses.unknown && (losses.catalog || was->version > base_lsn);
        wrong += !same || !linked;
        if (!is_listed(&losses, was->id) &&
            ((!same && !excused) || (!linked && !losses.unknown))) {
            fail_msg("memory %llu %s%s%s%s%s, and nothing of it is listed among %zu losses, the "
                     "first: %s (%s)",
                     (unsigned long long)was->id, is ? "has another" : "is missing",
                     is && is->body != was->body ? " body" : "",
                     is && is->vector != was->vector ? " vector" : "",
                     is && is->blobs != was->blobs ? " blob" : "",
                     is && is->links != was->links ? " link" : "", losses.count, losses.what[0], harmed);
        }
    }
    for (size_t i = 0; i < got.count; i++) {
        uint64_t id = got.memories[i].id;
        if (!find(&model, id) && !is_listed(&losses, id) && !losses.unknown) {
            fail_msg("memory %llu is invented", (unsigned long long)id);
        }
    }
    fixture_close(&fixture);
    remove_tree(to);
    return wrong;
}

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
    build(world.fixture, &model, world.good);
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
        cmocka_unit_test(test_random_damages_lose_only_what_is_listed),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
