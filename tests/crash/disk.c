// See disk.h: applying events, settling, writing a tree, comparing two.
#include "tests/crash/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK 4096

void disk_fail(const char *what) {
    fprintf(stderr, "disk: %s: %s\n", what, strerror(errno));
    abort();
}

void *disk_grow(void *array, size_t count, size_t size) {
    if (count & (count - 1)) {
        return array; // there is room up to the next power of two
    }
    void *grown = realloc(array, (count ? 2 * count : 1) * size);
    if (!grown) {
        disk_fail("memory");
    }
    return grown;
}

void disk_resize(uint8_t **bytes, size_t *size, size_t wanted) {
    if (wanted > *size) {
        *bytes = realloc(*bytes, wanted);
        if (!*bytes) {
            disk_fail("memory");
        }
        memset(*bytes + *size, 0, wanted - *size);
    }
    *size = wanted;
}

// ------------------------------------------------------------------------------ events

static void remove_entry(disk_node_t *directory, const char *name) {
    for (size_t i = 0; i < directory->entry_count; i++) {
        if (strcmp(directory->entries[i].name, name) == 0) {
            directory->entries[i] = directory->entries[--directory->entry_count];
            return;
        }
    }
}

static void add_entry(disk_node_t *directory, const char *name, uint32_t node) {
    remove_entry(directory, name);
    directory->entries =
        disk_grow(directory->entries, directory->entry_count, sizeof *directory->entries);
    entry_t *entry = &directory->entries[directory->entry_count++];
    snprintf(entry->name, sizeof entry->name, "%s", name);
    entry->node = node;
}

void disk_change_names(disk_t *disk, const event_t *event) {
    disk_node_t *directory = &disk->nodes[event->node];
    if (event->kind == EVENT_UNLINK) {
        remove_entry(directory, event->name);
    } else if (event->kind == EVENT_RENAME) {
        remove_entry(directory, event->name);
        add_entry(&disk->nodes[event->to_node], event->to_name, event->target);
    } else {
        add_entry(directory, event->name, event->target);
    }
}

void disk_change_bytes(uint8_t **bytes, size_t *size, const event_t *event) {
    size_t end = event->offset + event->size;
    if (event->kind == EVENT_TRUNCATE) {
        disk_resize(bytes, size, event->size);
        return;
    }
    if (event->size == 0) {
        return;
    }
    if (end > *size) {
        disk_resize(bytes, size, end);
    }
    if (event->kind == EVENT_WRITE && event->zeros) {
        memset(*bytes + event->offset, 0, event->size);
    } else if (event->kind == EVENT_WRITE) {
        memcpy(*bytes + event->offset, event->bytes, event->size);
    }
}

static void see_node(disk_t *disk, uint32_t node) {
    while (disk->count <= node) {
        disk->nodes = disk_grow(disk->nodes, disk->count, sizeof *disk->nodes);
        disk->nodes[disk->count] = (disk_node_t){.directory = disk->count == 0};
        disk->count++;
    }
}

static void add_change(disk_t *disk, uint32_t node, const event_t *event, bool durable) {
    disk_node_t *at = &disk->nodes[node];
    at->changes = disk_grow(at->changes, at->change_count, sizeof *at->changes);
    at->changes[at->change_count++] = (change_t){event, disk->sequence, durable};
}

static void drop_first(disk_node_t *node, size_t count) {
    if (count) {
        node->change_count -= count;
        memmove(node->changes, node->changes + count, node->change_count * sizeof *node->changes);
        // What disk_grow has made room for is known by the count alone.
        size_t room = 1;
        while (room < node->change_count) {
            room *= 2;
        }
        node->changes = realloc(node->changes, room * sizeof *node->changes);
        if (!node->changes) {
            disk_fail("memory");
        }
    }
}

/// Make the names of a directory durable up to a moment. A rename takes along what stands before it
/// in the other directory.
static void sync_names(disk_t *disk, uint32_t number, size_t until) {
    disk_node_t *node = &disk->nodes[number];
    size_t done = 0;
    while (done < node->change_count && node->changes[done].sequence <= until) {
        change_t change = node->changes[done++];
        const event_t *event = change.event;
        if (event->kind == EVENT_RENAME && event->node != event->to_node) {
            // The other one meets this change, too: it is dropped here first.
            drop_first(node, done);
            done = 0;
            sync_names(disk, event->node == number ? event->to_node : event->node, change.sequence);
        }
        disk_change_names(disk, event);
    }
    drop_first(node, done);
}

static void sync_node(disk_t *disk, uint32_t number) {
    disk_node_t *node = &disk->nodes[number];
    if (node->directory) {
        sync_names(disk, number, SIZE_MAX);
        return;
    }
    for (size_t i = 0; i < node->change_count; i++) {
        disk_change_bytes(&node->bytes, &node->size, node->changes[i].event);
    }
    drop_first(node, node->change_count);
}

/// What is durable and has nothing before it that is not.
static void fold_durable(disk_node_t *node) {
    size_t done = 0;
    while (done < node->change_count && node->changes[done].durable) {
        disk_change_bytes(&node->bytes, &node->size, node->changes[done++].event);
    }
    drop_first(node, done);
}

void disk_apply(disk_t *disk, const event_t *event, bool in_flight) {
    see_node(disk, event->node);
    disk->sequence++;
    switch ((event_kind_t)event->kind) {
    case EVENT_CREATE:
        see_node(disk, event->target);
        disk->nodes[event->target].directory = event->directory;
        add_change(disk, event->node, event, false);
        break;
    case EVENT_LINK:
    case EVENT_UNLINK:
        add_change(disk, event->node, event, false);
        break;
    case EVENT_RENAME:
        add_change(disk, event->node, event, false);
        if (event->to_node != event->node) {
            add_change(disk, event->to_node, event, false);
        }
        break;
    case EVENT_WRITE:
        disk->nodes[event->node].mapped |= event->mapped;
        add_change(disk, event->node, event, event->durable && !in_flight);
        fold_durable(&disk->nodes[event->node]);
        break;
    case EVENT_TRUNCATE:
    case EVENT_ALLOCATE:
        add_change(disk, event->node, event, false);
        break;
    case EVENT_SYNC:
        if (!in_flight) {
            sync_node(disk, event->node);
        }
        break;
    case EVENT_MARK:
        break;
    }
}

void disk_replay(disk_t *disk, const trace_t *trace, size_t count) {
    for (size_t i = 0; i < count; i++) {
        disk_apply(disk, trace->events[i], false);
    }
}

void disk_finish(disk_t *disk, const event_t *event) {
    disk_node_t *node = &disk->nodes[event->node];
    for (size_t i = node->change_count; i-- > 0;) {
        if (node->changes[i].event == event) {
            node->changes[i].durable = event->durable;
            break;
        }
    }
    fold_durable(node);
}

void disk_settle(disk_t *disk) {
    for (size_t i = 0; i < disk->count; i++) {
        sync_node(disk, (uint32_t)i);
    }
}

void disk_free(disk_t *disk) {
    for (size_t i = 0; i < disk->count; i++) {
        free(disk->nodes[i].bytes);
        free(disk->nodes[i].entries);
        free(disk->nodes[i].changes);
    }
    free(disk->nodes);
    *disk = (disk_t){0};
}

// ------------------------------------------------------------------------------ trees

static void save_file(const disk_node_t *node, int folder, const char *name) {
    static const uint8_t zeros[BLOCK];
    int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, (off_t)node->size) != 0) {
        disk_fail(name);
    }
    for (size_t at = 0, end; at < node->size; at = end) { // a hole reads as zeros
        for (end = at; end < node->size; end += BLOCK) {
            size_t part = node->size - end < BLOCK ? node->size - end : BLOCK;
            if (memcmp(node->bytes + end, zeros, part) == 0) {
                break;
            }
        }
        end = end < node->size ? end : node->size;
        if (end > at && pwrite(fd, node->bytes + at, end - at, (off_t)at) != (ssize_t)(end - at)) {
            disk_fail(name);
        }
        end += BLOCK;
    }
    close(fd);
}

static void save_tree(const disk_t *disk, uint32_t number, int folder) {
    const disk_node_t *node = &disk->nodes[number];
    for (size_t i = 0; i < node->entry_count; i++) {
        const entry_t *entry = &node->entries[i];
        const disk_node_t *inner = &disk->nodes[entry->node];
        if (!inner->directory) {
            save_file(inner, folder, entry->name);
            continue;
        }
        int below = -1;
        if (mkdirat(folder, entry->name, 0700) == 0) {
            below = openat(folder, entry->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        }
        if (below < 0) {
            disk_fail(entry->name);
        }
        save_tree(disk, entry->node, below);
        close(below);
    }
}

void disk_save(const disk_t *disk, const char *path) {
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) {
        disk_fail(path);
    }
    save_tree(disk, 0, folder);
    close(folder);
}

void disk_load(const char *path, disk_t *disk_out, trace_t *trace_out) {
    *disk_out = (disk_t){0};
    recorder_begin(path);
    recorder_end(trace_out);
    disk_replay(disk_out, trace_out, trace_out->count);
    disk_settle(disk_out);
}

static const entry_t *find_entry(const disk_node_t *directory, const char *name) {
    for (size_t i = 0; i < directory->entry_count; i++) {
        if (strcmp(directory->entries[i].name, name) == 0) {
            return &directory->entries[i];
        }
    }
    return NULL;
}

static bool differ(char what_out[200], const char *name, const char *how) {
    snprintf(what_out, 200, "%s %s", name, how);
    return false;
}

static bool nodes_equal(const disk_t *left, uint32_t a, const disk_t *right, uint32_t b,
                        const char *name, char what_out[200]) {
    const disk_node_t *one = &left->nodes[a], *other = &right->nodes[b];
    if (one->directory != other->directory) {
        return differ(what_out, name, "is a directory on one side");
    }
    if (!one->directory) {
        bool same = one->size == other->size &&
                    (one->size == 0 || memcmp(one->bytes, other->bytes, one->size) == 0);
        return same || one->mapped || other->mapped || differ(what_out, name, "has other bytes");
    }
    if (one->entry_count != other->entry_count) {
        return differ(what_out, name, "has another number of entries");
    }
    for (size_t i = 0; i < one->entry_count; i++) {
        const entry_t *entry = find_entry(other, one->entries[i].name);
        if (!entry) {
            return differ(what_out, one->entries[i].name, "is on one side only");
        }
        if (!nodes_equal(left, one->entries[i].node, right, entry->node, entry->name, what_out)) {
            return false;
        }
    }
    return true;
}

bool disk_equals(const disk_t *left, const disk_t *right, char what_out[200]) {
    return nodes_equal(left, 0, right, 0, ".", what_out);
}
