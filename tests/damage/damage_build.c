// The database that is damaged: three tiers in the base, several extents' worth of blobs in the
// arena, and a log of three segments above the base, the last two made by recoveries.
//
// A life ends as by kill -9: the files are read while the handle is open, the handle is closed, and
// the files are put back.
#include "tests/damage/damage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct builder {
    const char *path;
    memdb_t *db;
    dice_t dice;
    memdb_space_t spaces[3];
    damage_image_t *image, *earlier;
} builder_t;

static void must(builder_t *builder, memdb_status_t status, const char *what) {
    char message[512] = "";
    if (status == MEMDB_OK)
        return;
    if (builder->db)
        memdb_last_error(builder->db, message, sizeof message);
    fprintf(stderr, "damage: building: %s: %s: %s\n", what, memdb_status_name(status), message);
    exit(2);
}

static void open_builder(builder_t *builder) {
    memdb_options_t options = {.size = sizeof options,
                               .flags = MEMDB_OPEN_CREATE,
                               .no_background = true,
                               .checkpoint_log_bytes = UINT64_C(1) << 29};
    must(builder, memdb_open(builder->path, &options, &builder->db, NULL), "open");
}

/// The files as they are now become the image, and what they held before its older versions.
static void photograph(builder_t *builder) {
    damage_image_t *last = builder->image;
    builder->image = builder->earlier;
    builder->earlier = last;
    damage_image_read(builder->image, builder->path, last);
}

static void die_and_live_again(builder_t *builder) {
    photograph(builder);
    must(builder, memdb_close(builder->db), "close");
    damage_image_restore(builder->image, builder->path);
    open_builder(builder);
}

#define TEXT_BYTES 40000

static memdb_bytes_t draw_text(builder_t *builder, char *buffer, uint32_t words) {
    size_t size = 0;
    for (uint32_t i = 0; i < words; i++) {
        const char *word = damage_words[dice_below(&builder->dice, damage_word_count)];
        size += (size_t)snprintf(buffer + size, TEXT_BYTES - size, "%s ", word);
        if (i % 9 == 8)
            size += (size_t)snprintf(buffer + size, TEXT_BYTES - size, "unique%u ",
                                     (uint32_t)dice_below(&builder->dice, 100000));
    }
    return (memdb_bytes_t){buffer, size};
}

static void put_blobs(builder_t *builder, memdb_txn_t *txn, uint32_t number, memdb_blob_t *blobs) {
    size_t sizes[2] = {200 + number * 11, number % 21 == 0 ? 150000 : 3000};
    for (int i = 0; i < 2; i++) {
        uint8_t *data = malloc(sizes[i]);
        dice_bytes(&(dice_t){i ? number : number % 3}, data, sizes[i]);
        must(builder, memdb_blob_put(txn, data, sizes[i], &blobs[i]), "blob");
        blobs[i].media_type = (memdb_bytes_t){"image/png", 9};
        free(data);
    }
}

static void put_one(builder_t *builder, memdb_txn_t *txn, uint32_t space, uint32_t number,
                    uint32_t words) {
    static char text[TEXT_BYTES];
    char key[32], attrs[64];
    float vector[16];
    memdb_blob_t blobs[2];
    uint64_t id;
    dice_t *dice = &builder->dice;
    memdb_memory_t memory = {.size = sizeof memory, .key = damage_key(number, key)};
    memory.fields = MEMDB_FIELD_KEY | MEMDB_FIELD_TEXT | MEMDB_FIELD_SESSION | MEMDB_FIELD_TIME |
                    MEMDB_FIELD_KIND | MEMDB_FIELD_IMPORTANCE;
    memory.text = draw_text(builder, text, words);
    memory.session = damage_session((uint32_t)dice_below(dice, 10));
    memory.kind = number % 2 ? (memdb_bytes_t){"fact", 4} : (memdb_bytes_t){"event", 5};
    memory.time = 1600000000000000 + (int64_t)dice_below(dice, 100) * 1000000;
    memory.importance = (double)dice_below(dice, 100) / 10;
    if (!dice_percent(dice, 20)) {
        memory.fields |= MEMDB_FIELD_VECTOR;
        memory.dimension = damage_dimension(space);
        damage_vector(dice_next(dice), memory.dimension, vector);
        memory.vector = vector;
    }
    if (dice_percent(dice, 40)) {
        memory.fields |= MEMDB_FIELD_ATTRS | MEMDB_FIELD_ACTOR | MEMDB_FIELD_TOKENS;
        memory.attrs = (memdb_bytes_t){attrs, (size_t)snprintf(attrs, sizeof attrs, "{\"n\":%u}", number)};
        memory.actor = (memdb_bytes_t){"Ann", 3};
        memory.tokens = number;
    }
    if (number % 7 == 0) {
        put_blobs(builder, txn, number, blobs);
        memory.fields |= MEMDB_FIELD_BLOBS;
        memory.blobs = blobs;
        memory.blob_count = 2;
    }
    must(builder, memdb_put(txn, builder->spaces[space], &memory, &id), "put");
}

/// Link the memories of two keys, or forget the first: where they are there.
static void touch_two(builder_t *builder, memdb_txn_t *txn, uint32_t space, uint32_t from,
                      uint32_t to, bool forget) {
    char key[32];
    memdb_memory_t a = {.size = sizeof a}, b = {.size = sizeof b};
    memdb_snapshot_t *view = memdb_txn_snapshot(txn);
    if (memdb_get_by_key(view, builder->spaces[space], damage_key(from, key), &a) ||
        memdb_get_by_key(view, builder->spaces[space], damage_key(to, key), &b))
        return;
    if (forget) {
        must(builder, memdb_forget(txn, builder->spaces[space], a.id), "forget");
        return;
    }
    memdb_link_t link = {.size = sizeof link,
                         .space = builder->spaces[space],
                         .from = a.id,
                         .to = b.id,
                         .type = {"next", 4},
                         .weight = (double)to,
                         .valid_from = MEMDB_TIME_NONE,
                         .valid_to = MEMDB_TIME_NONE};
    must(builder, memdb_put_link(txn, &link), "link");
}

static uint64_t commit_some(builder_t *builder, uint32_t puts, uint32_t words) {
    memdb_txn_t *txn;
    uint64_t lsn = 0;
    dice_t *dice = &builder->dice;
    must(builder, memdb_txn_begin(builder->db, &txn), "begin");
    for (uint32_t i = 0; i < puts; i++) {
        uint32_t space = dice_percent(dice, 25);
        put_one(builder, txn, space, (uint32_t)dice_below(dice, space ? 55 : 150), words);
    }
    for (uint32_t i = 0; i < puts / 2 + 1; i++) {
        uint32_t space = dice_percent(dice, 25), keys = space ? 55 : 150;
        touch_two(builder, txn, space, (uint32_t)dice_below(dice, keys),
                  (uint32_t)dice_below(dice, keys), dice_percent(dice, 15));
    }
    must(builder, memdb_txn_commit(txn, MEMDB_DURABILITY_FULL, &lsn), "commit");
    return lsn;
}

static void make_spaces(builder_t *builder) {
    memdb_txn_t *txn;
    memdb_space_options_t plain = {.size = sizeof plain,
                                   .dimension = 8,
                                   .metric = MEMDB_METRIC_L2,
                                   .tokenizer = MEMDB_TOKENIZER_PLAIN};
    must(builder, memdb_txn_begin(builder->db, &txn), "begin");
    must(builder, memdb_space_ensure(txn, damage_space_name(0), &builder->spaces[0]), "space");
    must(builder, memdb_space_create(txn, damage_space_name(1), &plain, &builder->spaces[1]),
         "space");
    must(builder, memdb_space_ensure(txn, damage_space_name(2), &builder->spaces[2]), "space");
    memdb_space_t gone;
    must(builder, memdb_space_ensure(txn, damage_space_name(3), &gone), "space");
    must(builder, memdb_txn_commit(txn, MEMDB_DURABILITY_FULL, NULL), "commit");
    must(builder, memdb_txn_begin(builder->db, &txn), "begin");
    must(builder, memdb_space_drop(txn, damage_space_name(3)), "drop");
    must(builder, memdb_txn_commit(txn, MEMDB_DURABILITY_FULL, NULL), "commit");
}

/// What all questions are answered now.
static void learn(builder_t *builder, damage_world_t *world) {
    memdb_snapshot_t *snapshot;
    char error[512];
    must(builder, memdb_snapshot_begin(builder->db, NULL, &snapshot), "snapshot");
    for (size_t i = 0; i < world->question_count; i++) {
        damage_answer_t *answer = &world->expected[world->state_count][i];
        *answer = damage_ask(builder->db, snapshot, &world->questions[i], error);
        must(builder, answer->status, "ask");
    }
    memdb_snapshot_end(snapshot);
    world->state_count++;
}

/// The newest log segment in the image, and where its log begins.
static uint64_t newest_log(builder_t *builder, char name_out[64]) {
    uint64_t start = 0;
    for (size_t i = 0; i < builder->image->count; i++) {
        const damage_file_t *file = &builder->image->files[i];
        if (strncmp(file->name, "log/0", 5) == 0) { // names rise, and so do the files of the image
            memcpy(name_out, file->name, sizeof file->name);
            memcpy(&start, file->now.data + 40, sizeof start);
        }
    }
    return start;
}

void damage_build(damage_world_t *world, const char *path, uint64_t seed) {
    builder_t builder = {.path = path, .dice = {seed}};
    static damage_image_t other;
    builder.image = &world->image;
    builder.earlier = &other;
    world->question_count = damage_questions(world->questions);
    open_builder(&builder);
    make_spaces(&builder);
    static const struct {
        uint32_t commits, puts;
    } tiers[] = {{60, 8}, {2, 8}, {1, 1}}; // each too small to be merged with the one before
    for (size_t i = 0; i < sizeof tiers / sizeof tiers[0]; i++) {
        photograph(&builder);
        for (uint32_t j = 0; j < tiers[i].commits; j++)
            commit_some(&builder, tiers[i].puts, 40);
        must(&builder, memdb_checkpoint(builder.db), "checkpoint");
    }
    memdb_stats_t stats = {.size = sizeof stats};
    must(&builder, memdb_get_stats(builder.db, &stats), "stats");
    if (stats.tiers < 3) {
        fprintf(stderr, "damage: building: %llu tiers\n", (unsigned long long)stats.tiers);
        exit(2);
    }
    for (int life = 0; life < 2; life++) {
        for (int i = 0; i < 8; i++)
            commit_some(&builder, 2, 25);
        die_and_live_again(&builder);
    }
    learn(&builder, world); // the state that the newest log segment was opened on
    photograph(&builder);
    uint64_t start = newest_log(&builder, world->newest_log), end = start;
    for (int i = 0; i < 30; i++) {
        damage_commit_t *commit = &world->commits[world->state_count];
        commit->begin = 4096 + ((end + 4095) & ~UINT64_C(4095)) - start;
        end = commit_some(&builder, 2, i % 10 == 9 ? 300 : 25);
        commit->end = 4096 + end - start;
        learn(&builder, world);
        if (i % 10 == 4)
            photograph(&builder);
    }
    photograph(&builder);
    if (builder.image != &world->image)
        world->image = *builder.image;
    must(&builder, memdb_close(builder.db), "close");
    damage_image_restore(&world->image, path);
}
