// The damages, and what may be lost by each.
//
// The one allowance (docs/durability.md): damage at the log's end may look like a power loss. Here
// that is: in the newest log segment, bytes at or behind the last commit's batch were changed; then
// the commits that end behind the first changed byte may be missing, as an unbroken suffix. A
// damage before the last batch, and one to any other file, costs nothing silently.
#include "tests/damage/damage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t dice_next(dice_t *dice) { // splitmix64
    uint64_t x = dice->state += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

uint64_t dice_below(dice_t *dice, uint64_t below) {
    return below ? dice_next(dice) % below : 0;
}

bool dice_percent(dice_t *dice, unsigned percent) {
    return dice_below(dice, 100) < percent;
}

void dice_bytes(dice_t *dice, uint8_t *out, size_t size) {
    for (size_t i = 0; i < size; i++)
        out[i] = (uint8_t)(dice_next(dice) >> 24);
}

/// A place in a file: most often in what is used of it, sometimes in its first block.
static size_t draw_offset(dice_t *dice, const damage_file_t *file) {
    size_t size = dice_percent(dice, 90) && file->now.used ? file->now.used : file->now.size;
    if (dice_percent(dice, 20) && size > 4096)
        size = 4096;
    return (size_t)dice_below(dice, size);
}

static size_t draw_length(dice_t *dice, size_t left) {
    static const size_t lengths[] = {1, 2, 8, 64, 512, 4096, 16384};
    size_t length = lengths[dice_below(dice, sizeof lengths / sizeof lengths[0])];
    return length < left ? length : left;
}

static damage_file_t *draw_file(damage_world_t *world, dice_t *dice) {
    return &world->image.files[dice_below(dice, world->image.count)];
}

static damage_bytes_t copy_of(const damage_bytes_t *bytes, size_t more) {
    damage_bytes_t copy = *bytes;
    copy.data = malloc(bytes->size + more + 1);
    if (!copy.data)
        exit(2);
    copy.used = bytes->gap_at;
    memcpy(copy.data, bytes->data, bytes->size);
    return copy;
}

/// What may be lost when a log segment's bytes become `bytes`.
static uint64_t allowed_after(const damage_world_t *world, const damage_file_t *file,
                              const damage_bytes_t *bytes) {
    size_t last = world->state_count - 1;
    uint64_t allowed = UINT64_C(1) << last;
    if (strcmp(file->name, world->newest_log) != 0)
        return allowed;
    size_t begin, end;
    damage_difference(&file->now, bytes, &begin, &end);
    if (end <= world->commits[last].begin)
        return allowed;
    for (size_t i = last; i > 0 && world->commits[i].end > begin; i--)
        allowed |= UINT64_C(1) << (i - 1);
    return allowed;
}

typedef enum harm {
    HARM_FLIP,
    HARM_ZERO,
    HARM_GARBAGE,
    HARM_TRUNCATE,
    HARM_EXTEND,
    HARM_OTHER_PLACE,
    HARM_SWAP,
    HARM_REMOVE,
    HARM_OLDER,
    HARM_OLDER_BLOCK,
    HARM_OTHER_FILE,
    HARM_COUNT
} harm_t;

static const char *const harm_names[HARM_COUNT] = {
    "flip",  "zero",          "garbage",       "truncate", "extend", "block of another place",
    "swap",  "remove",        "older version", "older block", "another file"};

/// A range of one file becomes something else; `copy` is changed.
static void harm_range(damage_world_t *world, dice_t *dice, harm_t harm, const damage_file_t *file,
                       damage_bytes_t *copy, size_t offset, size_t length) {
    damage_file_t *other = draw_file(world, dice);
    size_t from;
    switch (harm) {
    case HARM_FLIP:
        copy->data[offset] ^= (uint8_t)(1u << dice_below(dice, 8));
        break;
    case HARM_ZERO:
        memset(copy->data + offset, 0, length);
        break;
    case HARM_GARBAGE:
        dice_bytes(dice, copy->data + offset, length);
        break;
    case HARM_OTHER_PLACE:
        other = dice_percent(dice, 50) ? other : NULL;
        const damage_bytes_t *source = other ? &other->now : &file->now;
        from = (size_t)dice_below(dice, source->size) & ~(size_t)63;
        offset &= ~(size_t)63;
        for (size_t i = 0; i < length && from + i < source->size && offset + i < copy->size; i++)
            copy->data[offset + i] = source->data[from + i];
        break;
    case HARM_SWAP:
        from = draw_offset(dice, file) & ~(size_t)63;
        offset &= ~(size_t)63;
        for (size_t i = 0; i < length && from + i < copy->size && offset + i < copy->size; i++) {
            copy->data[offset + i] = file->now.data[from + i];
            copy->data[from + i] = file->now.data[offset + i];
        }
        break;
    default: { // HARM_OLDER_BLOCK
        const damage_bytes_t *old = &file->older[dice_below(dice, file->older_count)];
        offset &= ~(size_t)4095;
        for (size_t i = 0; i < 4096 && offset + i < old->size && offset + i < copy->size; i++)
            copy->data[offset + i] = old->data[offset + i];
    }
    }
}

/// The file as a whole.
static damage_bytes_t harm_whole(damage_world_t *world, dice_t *dice, harm_t harm,
                                 const damage_file_t *file, size_t offset) {
    damage_bytes_t copy;
    size_t more = (size_t)(1 + dice_below(dice, 8192));
    switch (harm) {
    case HARM_TRUNCATE:
        copy = copy_of(&file->now, 0);
        copy.size = offset;
        if (offset < copy.gap_at) {
            copy.gap_at = copy.used = offset;
            copy.gap = 0;
        }
        return copy;
    case HARM_EXTEND:
        copy = copy_of(&file->now, more);
        for (size_t i = 0; i < more; i++)
            copy.data[copy.size + i] =
                offset % 3 == 0 ? 0
                : offset % 3 == 1 && file->now.size
                    ? file->now.data[i % file->now.size]
                    : (uint8_t)(dice_next(dice) >> 24);
        copy.size += more;
        if (!copy.gap)
            copy.gap_at = copy.used = copy.size;
        return copy;
    case HARM_OLDER:
        return copy_of(&file->older[dice_below(dice, file->older_count)], 0);
    default: // HARM_OTHER_FILE
        return copy_of(&draw_file(world, dice)->now, 0);
    }
}

void damage_harm(damage_world_t *world, const char *path, dice_t *dice, uint64_t *allowed_out,
                 char what_out[400]) {
    damage_file_t *file = draw_file(world, dice);
    harm_t harm = (harm_t)dice_below(dice, HARM_COUNT);
    if ((harm == HARM_OLDER || harm == HARM_OLDER_BLOCK) && !file->older_count)
        harm = HARM_GARBAGE;
    if (!file->now.size && harm != HARM_REMOVE && harm != HARM_OTHER_FILE)
        harm = HARM_EXTEND;
    size_t offset = draw_offset(dice, file);
    size_t length = draw_length(dice, file->now.size - offset);
    snprintf(what_out, 400, "%s %s at %zu, %zu bytes, of %zu", harm_names[harm], file->name, offset,
             length, file->now.size);
    if (harm == HARM_REMOVE) {
        *allowed_out = UINT64_C(1) << (world->state_count - 1);
        damage_image_harm(path, file, (damage_bytes_t){0});
        return;
    }
    damage_bytes_t copy;
    if (harm == HARM_TRUNCATE || harm == HARM_EXTEND || harm == HARM_OLDER ||
        harm == HARM_OTHER_FILE) {
        copy = harm_whole(world, dice, harm, file, offset);
    } else {
        copy = copy_of(&file->now, 0);
        harm_range(world, dice, harm, file, &copy, offset, length);
    }
    *allowed_out = allowed_after(world, file, &copy);
    damage_image_harm(path, file, copy);
}
