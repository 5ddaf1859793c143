// The database that is damaged and salvaged. See salvage_world.h.
#include "tests/unit/engine/salvage_world.h"

#include "base/checksum.h"

#include <stdio.h>
#include <string.h>

// ------------------------------------------------------------------------------ dice

uint64_t dice_state;

uint64_t draw(uint64_t below) {
    uint64_t x = dice_state += UINT64_C(0x9e3779b97f4a7c15); // splitmix64
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return below ? (x ^ (x >> 31)) % below : 0;
}

// ------------------------------------------------------------------------------ what is read

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

const memory_t *find(const contents_t *contents, uint64_t id) {
    for (size_t i = 0; i < contents->count; i++) {
        if (contents->memories[i].id == id) {
            return &contents->memories[i];
        }
    }
    return NULL;
}

// ------------------------------------------------------------------------------ the database

uint64_t base_lsn;
losses_t losses;
contents_t model, got;
char harmed[1000];

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
    must(fixture->db, forget ? memdb_forget(txn, space, a.id) : memdb_put_link(txn, &link));
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

void build(fixture_t *fixture, char path_out[256]) {
    memdb_space_t spaces[2], gone;
    dice_state = 7;
    fixture_close(fixture);
    fixture_open(fixture, (memdb_options_t){.no_background = true});
    spaces[0] = space_of(fixture->db, "main");
    spaces[1] = space_of(fixture->db, "notes");
    gone = space_of(fixture->db, "gone");
    must(fixture->db,
         memdb_index_create(fixture->db, spaces[0], text("attr.n"), MEMDB_DURABILITY_DEFAULT));
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
    read_all(fixture->db, &model);
    assert_true(model.count > 150);
    fixture_copy(fixture, "-model", path_out);
}

// ------------------------------------------------------------------------------ losses

static void lost(void *context, const memdb_loss_t *loss) {
    (void)context;
    assert_non_null(loss->file);
    if (losses.count < 4096) {
        snprintf(losses.what[losses.count], 120, "%s at %llu: %s", loss->file,
                 (unsigned long long)loss->offset, loss->what);
        losses.list[losses.count] = *loss;
    }
    losses.count++;
    losses.catalog |= strncmp(loss->file, "catalog", 7) == 0;
    losses.unknown += loss->first_id == 0 && loss->last_id == 0;
}

static bool is_listed(uint64_t id) {
    bool listed = losses.count > 4096;
    for (size_t i = 0; i < losses.count && i < 4096; i++) {
        const memdb_loss_t *loss = &losses.list[i];
        listed |= (loss->first_id || loss->last_id) && id >= loss->first_id && id <= loss->last_id;
    }
    return listed;
}

static bool count_index(void *context, const memdb_index_info_t *info) {
    *(int *)context += info->ready && info->memories > 0;
    return true;
}

/// Attribute indexes are made anew; verify compares their entries with the memories.
static void check_indexes(memdb_t *db) {
    memdb_snapshot_t *snapshot;
    memdb_space_t space;
    int count = 0;
    must(db, memdb_snapshot_begin(db, NULL, &snapshot));
    must(db, memdb_space_find(snapshot, text("main"), &space));
    must(db, memdb_index_list(snapshot, space, count_index, &count));
    assert_int_equal(count, 1);
    memdb_snapshot_end(snapshot);
}

size_t salvage(const char *bad) {
    char to[256];
    fixture_t fixture = {0};
    memdb_error_t error = {0};
    uint64_t told = UINT64_MAX;
    size_t wrong = 0;
    losses = (losses_t){0};
    snprintf(to, sizeof to, "%.200s-to", bad);
    memdb_status_t status = memdb_salvage(bad, to, lost, NULL, &told, &error);
    if (status) {
        fail_msg("%s", error.message);
    }
    assert_int_equal(told, losses.count);
    snprintf(fixture.path, sizeof fixture.path, "%s", to);
    fixture_open(&fixture, (memdb_options_t){0});
    must(fixture.db, memdb_verify(fixture.db, NULL, NULL));
    read_all(fixture.db, &got);
    if (!losses.count) {
        check_indexes(fixture.db);
    }
    for (size_t i = 0; i < model.count; i++) {
        const memory_t *is = find(&got, model.memories[i].id), *was = &model.memories[i];
        bool same =
            is && is->body == was->body && is->vector == was->vector && is->blobs == was->blobs;
        bool linked = is && is->links == was->links;
        // What is lost of the log does not concern what the base holds.
        bool excused = losses.unknown && (losses.catalog || was->version > base_lsn);
        wrong += !same || !linked;
        if (!is_listed(was->id) && ((!same && !excused) || (!linked && !losses.unknown))) {
            fail_msg("memory %llu %s%s%s%s%s, and nothing of it is listed among %zu losses, the "
                     "first: %s (%s)",
                     (unsigned long long)was->id, is ? "has another" : "is missing",
                     is && is->body != was->body ? " body" : "",
                     is && is->vector != was->vector ? " vector" : "",
                     is && is->blobs != was->blobs ? " blob" : "",
                     is && is->links != was->links ? " link" : "", losses.count, losses.what[0],
                     harmed);
        }
    }
    for (size_t i = 0; i < got.count; i++) {
        uint64_t id = got.memories[i].id;
        if (!find(&model, id) && !is_listed(id) && !losses.unknown) {
            fail_msg("memory %llu is invented", (unsigned long long)id);
        }
    }
    fixture_close(&fixture);
    remove_tree(to);
    return wrong;
}
