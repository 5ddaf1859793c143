// See recorder.h.
//
// Everything that processes share lies in one anonymous shared mapping: the lock, the table of
// nodes, and the events, one behind the other. A node is found by device and inode number. The
// number is free for another file once the last name and the last descriptor are gone, so a
// creation takes the number away from whoever had it. Mappings are known to each process by itself.
#include "tests/crash/recorder_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ARENA_BYTES (UINT64_C(1) << 30)
#define MOST_NODES 16384
#define MOST_MAPPINGS 64
#define SECTOR 512

typedef struct known {
    dev_t device;
    ino_t number;
} known_t;

typedef struct shared {
    pthread_mutex_t lock;
    atomic_bool active;
    uint32_t nodes;
    known_t known[MOST_NODES];
    size_t count, base, used;
    _Alignas(16) uint8_t arena[];
} shared_t;

/// A shared writable mapping of this process, and its content when it was last looked at.
typedef struct mapping {
    uint32_t node;
    const uint8_t *address;
    uint8_t *seen;
    size_t size;
    uint64_t offset;
} mapping_t;

static shared_t *shared;
static mapping_t mappings[MOST_MAPPINGS];
static uint32_t calls_left; // until this process dies; 0: it does not
static recorder_death_t its_death;

void recorder_give_up(const char *what) {
    fprintf(stderr, "recorder: %s: %s\n", what, strerror(errno));
    abort();
}

static void make_shared(void) {
    if (shared) {
        return;
    }
    void *address = mmap(NULL, sizeof *shared + ARENA_BYTES, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (address == MAP_FAILED) {
        recorder_give_up("shared memory");
    }
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    shared_t *made = address;
    pthread_mutex_init(&made->lock, &attributes);
    pthread_mutexattr_destroy(&attributes);
    shared = made;
}

// ------------------------------------------------------------------------------ nodes

uint32_t recorder_find(const struct stat *about) {
    for (uint32_t node = shared->nodes; node-- > 0;) {
        if (shared->known[node].number == about->st_ino &&
            shared->known[node].device == about->st_dev) {
            return node;
        }
    }
    return NO_NODE;
}

uint32_t recorder_find_open(int fd) {
    struct stat about;
    return fd >= 0 && fstat(fd, &about) == 0 ? recorder_find(&about) : NO_NODE;
}

uint32_t recorder_add(const struct stat *about) {
    uint32_t before = recorder_find(about);
    if (before != NO_NODE) {
        shared->known[before].number = 0;
    }
    if (shared->nodes == MOST_NODES) {
        errno = ENOSPC;
        recorder_give_up("too many files");
    }
    shared->known[shared->nodes] = (known_t){about->st_dev, about->st_ino};
    return shared->nodes++;
}

void recorder_forget(uint32_t node) {
    shared->known[node].number = 0;
}

void recorder_append_sync_of_all(void) {
    for (uint32_t node = 0; node < shared->nodes; node++) {
        recorder_append(EVENT_SYNC, node, 0);
    }
}

// ------------------------------------------------------------------------------ events

event_t *recorder_append(event_kind_t kind, uint32_t node, size_t size) {
    size_t whole = (sizeof(event_t) + size + 15) & ~(size_t)15;
    if (shared->used + whole > ARENA_BYTES) {
        errno = ENOSPC;
        recorder_give_up("the recording is too long");
    }
    event_t *event = (event_t *)(void *)(shared->arena + shared->used);
    memset(event, 0, sizeof *event);
    event->kind = kind;
    event->node = node;
    shared->used += whole;
    shared->count++;
    return event;
}

static bool is_zero(const uint8_t *bytes, size_t size) {
    return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

event_t *recorder_append_write(uint32_t node, const struct iovec *parts, int count, uint64_t offset,
                               uint64_t size, bool durable) {
    bool zeros = true;
    uint64_t left = size;
    for (int i = 0; i < count && left && zeros; i++) {
        size_t part = parts[i].iov_len < left ? parts[i].iov_len : left;
        zeros = is_zero(parts[i].iov_base, part);
        left -= part;
    }
    event_t *event = recorder_append(EVENT_WRITE, node, zeros ? 0 : size);
    event->offset = offset;
    event->size = size;
    event->durable = durable;
    event->zeros = zeros;
    size_t at = 0;
    for (int i = 0; i < count && at < size && !zeros; i++) {
        size_t part = parts[i].iov_len < size - at ? parts[i].iov_len : size - at;
        memcpy(event->bytes + at, parts[i].iov_base, part);
        at += part;
    }
    return event;
}

// ------------------------------------------------------------------------------ mappings

/// Copy what other threads and processes may be storing meanwhile: any mixture is what the page
/// cache could have written out.
__attribute__((no_sanitize("thread", "address"))) static void look(uint8_t *to, const uint8_t *from,
                                                                   size_t size) {
    for (size_t i = 0; i < size; i++) {
        to[i] = from[i];
    }
}

static void append_stores(void) {
    for (mapping_t *mapping = mappings; mapping < mappings + MOST_MAPPINGS; mapping++) {
        for (size_t at = 0; mapping->address && at < mapping->size; at += SECTOR) {
            uint8_t now[SECTOR];
            size_t part = mapping->size - at < SECTOR ? mapping->size - at : SECTOR;
            look(now, mapping->address + at, part);
            if (memcmp(now, mapping->seen + at, part) != 0) {
                struct iovec stored = {now, part};
                recorder_append_write(mapping->node, &stored, 1, mapping->offset + at, part, false)
                    ->mapped = true;
                memcpy(mapping->seen + at, now, part);
            }
        }
    }
}

void recorder_add_mapping(uint32_t node, const uint8_t *address, size_t size, uint64_t offset) {
    mapping_t *mapping = mappings;
    while (mapping < mappings + MOST_MAPPINGS && mapping->address) {
        mapping++;
    }
    if (mapping == mappings + MOST_MAPPINGS) {
        errno = ENOSPC;
        recorder_give_up("too many mappings");
    }
    uint8_t *seen = malloc(size);
    if (!seen) {
        recorder_give_up("memory");
    }
    look(seen, address, size);
    *mapping = (mapping_t){node, address, seen, size, offset};
    event_t *event = recorder_append(EVENT_WRITE, node, 0);
    event->mapped = event->zeros = true; // of nothing: it only says that the file is mapped
}

void recorder_remove_mapping(const uint8_t *address, size_t size) {
    for (mapping_t *mapping = mappings; mapping < mappings + MOST_MAPPINGS; mapping++) {
        if (mapping->address && (uintptr_t)mapping->address - (uintptr_t)address < size) {
            free(mapping->seen);
            *mapping = (mapping_t){0};
        }
    }
}

uint32_t recorder_find_mapping(const uint8_t *address) {
    for (mapping_t *mapping = mappings; mapping < mappings + MOST_MAPPINGS; mapping++) {
        if (mapping->address && (uintptr_t)address - (uintptr_t)mapping->address < mapping->size) {
            return mapping->node;
        }
    }
    return NO_NODE;
}

// ------------------------------------------------------------------------------ the lock, death

bool recorder_enter(void) {
    // Acquire: pairs with the release of begin and end; the tables are seen as they were made.
    if (!shared || !atomic_load_explicit(&shared->active, memory_order_acquire)) {
        return false;
    }
    pthread_mutex_lock(&shared->lock);
    append_stores();
    return true;
}

void recorder_leave(void) {
    pthread_mutex_unlock(&shared->lock);
}

void recorder_die_at(uint32_t calls, recorder_death_t death) {
    calls_left = calls;
    its_death = death;
}

void recorder_die(void) {
    recorder_leave(); // nobody else may wait for the dead
    kill(getpid(), SIGKILL);
    for (;;) {
        pause();
    }
}

bool recorder_dies(recorder_death_t death) {
    if (calls_left == 0 || death != its_death || --calls_left != 0) {
        return false;
    }
    if (death != DEATH_HALF_WRITTEN) {
        recorder_die();
    }
    return true;
}

// ------------------------------------------------------------------------------ begin and end

static void record_tree(const char *path, uint32_t node);

static void record_file(const char *path, uint32_t node, size_t size) {
    event_t *event = recorder_append(EVENT_WRITE, node, size);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    event->size = size;
    if (fd < 0 || pread(fd, event->bytes, size, 0) != (ssize_t)size) {
        recorder_give_up(path);
    }
    close(fd);
    recorder_append(EVENT_SYNC, node, 0);
}

static void record_entry(const char *path, const char *name, uint32_t parent) {
    char inner[512];
    struct stat about;
    snprintf(inner, sizeof inner, "%s/%s", path, name);
    if (lstat(inner, &about) != 0) {
        recorder_give_up(inner);
    }
    uint32_t node = recorder_find(&about);
    bool linked = node != NO_NODE;
    node = linked ? node : recorder_add(&about);
    event_t *event = recorder_append(linked ? EVENT_LINK : EVENT_CREATE, parent, 0);
    event->target = node;
    event->directory = S_ISDIR(about.st_mode);
    snprintf(event->name, sizeof event->name, "%s", name);
    if (S_ISDIR(about.st_mode)) {
        record_tree(inner, node);
    } else if (!linked) {
        record_file(inner, node, (size_t)about.st_size);
    }
}

/// As if somebody had made the tree just now and synced all of it.
static void record_tree(const char *path, uint32_t node) {
    struct dirent **names;
    int count = scandir(path, &names, NULL, alphasort);
    if (count < 0) {
        recorder_give_up(path);
    }
    for (int i = 0; i < count; i++) {
        if (strcmp(names[i]->d_name, ".") != 0 && strcmp(names[i]->d_name, "..") != 0) {
            record_entry(path, names[i]->d_name, node);
        }
        free(names[i]);
    }
    free(names);
    recorder_append(EVENT_SYNC, node, 0);
}

void recorder_begin(const char *home) {
    struct stat about;
    make_shared();
    shared->nodes = 0;
    shared->count = shared->used = 0;
    if (stat(home, &about) != 0) {
        recorder_give_up(home);
    }
    record_tree(home, recorder_add(&about));
    shared->base = shared->count;
    // Release: pairs with recorder_enter.
    atomic_store_explicit(&shared->active, true, memory_order_release);
}

void recorder_end(trace_t *trace_out) {
    if (recorder_enter()) { // what was stored last
        recorder_leave();
    }
    atomic_store_explicit(&shared->active, false, memory_order_release);
    recorder_remove_mapping(NULL, SIZE_MAX);
    *trace_out = (trace_t){.count = shared->count, .base = shared->base};
    trace_out->events = malloc((shared->count + 1) * sizeof *trace_out->events);
    uint8_t *bytes = malloc(shared->used + 1);
    if (!trace_out->events || !bytes) {
        recorder_give_up("memory");
    }
    memcpy(bytes, shared->arena, shared->used);
    trace_out->events[0] = (event_t *)(void *)bytes; // the block, freed by it
    for (size_t i = 0, at = 0; i < shared->count; i++) {
        event_t *event = (event_t *)(void *)(bytes + at);
        size_t size = event->kind == EVENT_WRITE && !event->zeros ? event->size : 0;
        trace_out->events[i] = event;
        at += (sizeof *event + size + 15) & ~(size_t)15;
    }
}

void trace_free(trace_t *trace) {
    if (trace->events) {
        free(trace->events[0]);
    }
    free(trace->events);
    *trace = (trace_t){0};
}

void recorder_mark(uint32_t mark, uint32_t writer, uint32_t number, uint64_t value) {
    if (recorder_enter()) {
        event_t *event = recorder_append(EVENT_MARK, 0, 0);
        event->mark = mark;
        event->writer = writer;
        event->number = number;
        event->value = value;
        recorder_leave();
    }
}
