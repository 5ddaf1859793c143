// See disk.h: one of the disks that a power cut may leave.
//
// Purely random choices seldom lose exactly one thing, or keep exactly one, and these find most: so
// a cut has a fate first, which says how the choices are made.
#include "tests/crash/disk.h"

#include <stdlib.h>
#include <string.h>

#define SECTOR 512
#define BLOCK 4096
#define WHOLE SIZE_MAX

typedef enum fate {
    FATE_NOTHING,    // nothing that was not synced
    FATE_EVERYTHING, // all of it: a process that was killed
    FATE_METADATA,   // names and sizes, and no data
    FATE_DATA,       // data inside of the old sizes, and no names
    FATE_LOSE_ONE,   // all but one thing
    FATE_KEEP_ONE,   // one thing alone
    FATE_IN_ORDER,   // all up to a moment
    FATE_MIXED,      // each thing by itself
    FATES
} fate_t;

typedef struct cut {
    const disk_t *disk;
    choice_t *choice;
    fate_t fate;
    size_t chosen; // sequence of the one thing, or of the moment
    bool garbage;  // what is lost behind the old end of a file reads as any bytes
    disk_t *out;
} cut_t;

// ------------------------------------------------------------------------------ choices

/// A change that may be lost, chosen among all but the many that mappings make: its sequence.
static size_t choose_change(const disk_t *disk, choice_t *choice) {
    size_t count = 0, chosen = 0;
    for (size_t i = 0; i < disk->count; i++) {
        for (size_t j = 0; !disk->nodes[i].mapped && j < disk->nodes[i].change_count; j++) {
            const change_t *change = &disk->nodes[i].changes[j];
            if (!change->durable && choose(choice, ++count) == 0) {
                chosen = change->sequence;
            }
        }
    }
    return chosen;
}

static size_t choose_unit(choice_t *choice) {
    static const size_t units[] = {WHOLE, SECTOR, BLOCK};
    return units[choose(choice, 3)];
}

/// How much of a change arrives: 0 nothing, WHOLE, or each unit of so many bytes by itself.
/// `mixed`: what FATE_MIXED says for the file or directory.
static size_t arrives(const cut_t *cut, const change_t *change, unsigned mixed) {
    bool names = change->event->kind <= EVENT_RENAME;
    if (change->durable) {
        return WHOLE;
    }
    switch (cut->fate) {
    case FATE_EVERYTHING:
        return WHOLE;
    case FATE_METADATA:
        return names ? WHOLE : 0;
    case FATE_DATA:
        return names ? 0 : WHOLE;
    case FATE_LOSE_ONE:
        return change->sequence != cut->chosen ? WHOLE
               : choose(cut->choice, 2)        ? 0
                                               : choose_unit(cut->choice) % WHOLE;
    case FATE_KEEP_ONE:
        return change->sequence == cut->chosen ? choose_unit(cut->choice) : 0;
    case FATE_IN_ORDER:
        return change->sequence < cut->chosen    ? WHOLE
               : change->sequence == cut->chosen ? choose_unit(cut->choice)
                                                 : 0;
    case FATE_MIXED:
        // Of ten: three get nothing, two everything, five a part.
        return mixed < 3                ? 0
               : mixed < 5              ? WHOLE
               : choose(cut->choice, 2) ? choose_unit(cut->choice)
                                        : 0;
    default:
        return 0;
    }
}

// ------------------------------------------------------------------------------ names

typedef struct names {
    const change_t **changes; // of all directories, in order
    size_t count;
    const event_t **lost; // changes that are lost, and with them what follows under their names
    size_t lost_count;
} names_t;

static int compare_changes(const void *left, const void *right) {
    const change_t *a = *(const change_t *const *)left, *b = *(const change_t *const *)right;
    return a->sequence < b->sequence ? -1 : a->sequence > b->sequence;
}

static void collect_names(const disk_t *disk, names_t *names) {
    for (size_t i = 0; i < disk->count; i++) {
        const disk_node_t *node = &disk->nodes[i];
        for (size_t j = 0; node->directory && j < node->change_count; j++) {
            if (node->changes[j].event->node == i) { // a rename stands in both directories
                names->changes = disk_grow(names->changes, names->count, sizeof *names->changes);
                names->changes[names->count++] = &node->changes[j];
            }
        }
    }
    if (names->count) {
        qsort(names->changes, names->count, sizeof *names->changes, compare_changes);
    }
}

static bool same_name(const event_t *event, uint32_t node, const char *name) {
    return (event->node == node && strcmp(event->name, name) == 0) ||
           (event->kind == EVENT_RENAME && event->to_node == node &&
            strcmp(event->to_name, name) == 0);
}

static bool follows_lost(const names_t *names, const event_t *event) {
    for (size_t i = 0; i < names->lost_count; i++) {
        const event_t *lost = names->lost[i];
        if (same_name(lost, event->node, event->name) ||
            (event->kind == EVENT_RENAME && same_name(lost, event->to_node, event->to_name))) {
            return true;
        }
    }
    return false;
}

static void cut_names(const cut_t *cut) {
    names_t names = {0};
    unsigned mixed[64]; // by directory
    for (size_t i = 0; i < 64; i++) {
        mixed[i] = (unsigned)choose(cut->choice, 10);
    }
    collect_names(cut->disk, &names);
    for (size_t i = 0; i < names.count; i++) {
        const event_t *event = names.changes[i]->event;
        if (!follows_lost(&names, event) &&
            arrives(cut, names.changes[i], mixed[event->node % 64]) != 0) {
            disk_change_names(cut->out, event);
        } else {
            names.lost = disk_grow(names.lost, names.lost_count, sizeof *names.lost);
            names.lost[names.lost_count++] = event;
        }
    }
    free(names.changes);
    free(names.lost);
}

// ------------------------------------------------------------------------------ bytes

/// Bytes that were never written to this file.
static void spoil(const cut_t *cut, uint8_t **bytes, size_t *size, size_t end) {
    size_t at = *size;
    if (end > at) {
        disk_resize(bytes, size, end);
        while (cut->garbage && at < end) {
            (*bytes)[at++] = (uint8_t)choose_bits(cut->choice);
        }
    }
}

static void write_units(const cut_t *cut, uint8_t **bytes, size_t *size, const event_t *event,
                        size_t unit) {
    size_t end = event->offset + event->size;
    if (event->offset > *size && event->size) {
        disk_resize(bytes, size, event->offset); // a hole
    }
    for (size_t at = event->offset, part; at < end; at += part) {
        part = unit - at % unit < end - at ? unit - at % unit : end - at;
        if (choose(cut->choice, 2)) {
            disk_resize(bytes, size, at + part > *size ? at + part : *size);
            if (event->zeros) {
                memset(*bytes + at, 0, part);
            } else {
                memcpy(*bytes + at, event->bytes + (at - event->offset), part);
            }
        } else {
            spoil(cut, bytes, size, at + part);
        }
    }
}

/// Up to which change the size of the file has followed, `durable` of them at least.
static size_t choose_size(const cut_t *cut, const disk_node_t *node, size_t durable) {
    size_t count = node->change_count, followed = 0;
    switch (cut->fate) {
    case FATE_EVERYTHING:
    case FATE_METADATA:
    case FATE_LOSE_ONE:
        return count;
    case FATE_IN_ORDER:
        while (followed < count && node->changes[followed].sequence <= cut->chosen) {
            followed++;
        }
        break;
    case FATE_KEEP_ONE:
    case FATE_MIXED:
        followed = choose(cut->choice, 3) ? choose(cut->choice, count + 1) : count;
        break;
    default:
        break;
    }
    return followed > durable ? followed : durable;
}

static void cut_file(const cut_t *cut, const disk_node_t *node, disk_node_t *out) {
    size_t durable = 0, size = node->size, final;
    unsigned mixed = (unsigned)choose(cut->choice, 10);
    for (size_t i = 0; i < node->change_count; i++) {
        durable = node->changes[i].durable ? i + 1 : durable;
    }
    size_t followed = choose_size(cut, node, durable);
    disk_resize(&out->bytes, &out->size, node->size);
    if (node->size) {
        memcpy(out->bytes, node->bytes, node->size);
    }
    final = size;
    for (size_t i = 0; i < node->change_count; i++) {
        const event_t *event = node->changes[i].event;
        size_t unit = arrives(cut, &node->changes[i], mixed), end = event->offset + event->size;
        size = event->kind == EVENT_TRUNCATE ? event->size : end > size && event->size ? end : size;
        final = i < followed ? size : final;
        if (event->kind != EVENT_WRITE) { // sizes go their own way
            if (i < followed) {
                disk_change_bytes(&out->bytes, &out->size, event);
            }
        } else if (unit == WHOLE) {
            disk_change_bytes(&out->bytes, &out->size, event);
        } else if (unit) {
            write_units(cut, &out->bytes, &out->size, event, unit);
        } else if (i < followed) {
            disk_resize(&out->bytes, &out->size,
                        out->size < event->offset ? event->offset : out->size);
            spoil(cut, &out->bytes, &out->size, end);
        }
    }
    disk_resize(&out->bytes, &out->size, final);
}

static void cut_tree(const cut_t *cut, uint32_t number) {
    const disk_node_t *directory = &cut->out->nodes[number];
    for (size_t i = 0; i < directory->entry_count; i++) {
        uint32_t inner = directory->entries[i].node;
        if (cut->disk->nodes[inner].directory) {
            cut_tree(cut, inner);
        } else if (!cut->out->nodes[inner].bytes) { // a file may have two names
            cut_file(cut, &cut->disk->nodes[inner], &cut->out->nodes[inner]);
        }
    }
}

void disk_cut(const disk_t *disk, choice_t *choice, disk_t *cut_out) {
    cut_t cut = {.disk = disk, .choice = choice, .out = cut_out};
    cut.fate = (fate_t)choose(choice, FATES + 3); // mixed more often
    cut.fate = cut.fate < FATES ? cut.fate : FATE_MIXED;
    cut.chosen = choose_change(disk, choice);
    cut.garbage = choose(choice, 8) == 0;
    *cut_out = (disk_t){.count = disk->count};
    cut_out->nodes = calloc(disk->count ? disk->count : 1, sizeof *cut_out->nodes);
    if (!cut_out->nodes) {
        disk_fail("memory");
    }
    for (size_t i = 0; i < disk->count; i++) {
        const disk_node_t *node = &disk->nodes[i];
        disk_node_t *out = &cut_out->nodes[i];
        out->directory = node->directory;
        for (size_t j = 0; j < node->entry_count; j++) {
            out->entries = disk_grow(out->entries, out->entry_count, sizeof *out->entries);
            out->entries[out->entry_count++] = node->entries[j];
        }
    }
    cut_names(&cut);
    cut_tree(&cut, 0);
}
