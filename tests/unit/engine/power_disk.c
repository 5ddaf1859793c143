// Test helper. See power_disk.h.
//
// A file is known by device and inode number. A number is free for another file once the last name
// is gone, so a file loses its number here when it is unlinked or replaced, and when a file outside
// of the database turns up with it; what a durable entry still names stays as it was at that
// moment.
#include "tests/unit/engine/power_disk.h"

#include "tests/lib/database.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BLOCK 4096
#define SECTOR 512

typedef enum change_kind { CHANGE_WRITE, CHANGE_ALLOCATE, CHANGE_TRUNCATE } change_kind_t;

/// A change of a file since its last sync.
typedef struct change {
    change_kind_t kind;
    size_t offset, size;
    uint8_t *bytes;
} change_t;

/// An entry of a directory; as a change: `node` NULL takes `name` away, `from` is the old name of a
/// rename.
typedef struct entry {
    char name[64], from[64];
    struct node *node;
} entry_t;

typedef struct node {
    struct node *next;
    dev_t device;
    ino_t number; // 0: known by no descriptor any more
    bool directory;
    uint8_t *bytes; // what is synced
    size_t size;
    change_t *changes; // of a file, not synced
    entry_t *entries;  // of a directory, synced
    entry_t *moves;    // of a directory, not synced
    size_t change_count, entry_count, move_count;
} node_t;

static struct disk {
    char path[256];
    power_lie_t lie;
    void (*before)(void *context);
    void *context;
    node_t *nodes, *root;
    unsigned boot;
} disk;

static uint64_t random_state;

void power_seed(uint64_t seed) {
    random_state = seed;
}

uint64_t power_random(uint64_t below) { // splitmix64
    uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (z ^ z >> 31) % below;
}

static void require(bool holds, const char *what) {
    if (!holds) {
        fail_msg("power disk: %s: %s", what, strerror(errno));
    }
}

static void *grow(void *array, size_t count, size_t size) {
    void *grown = realloc(array, (count + 1) * size);
    require(grown, "memory");
    return grown;
}

// ------------------------------------------------------------------------------ the record

static node_t *find(const struct stat *about) {
    for (node_t *node = disk.nodes; node; node = node->next) {
        if (node->number == about->st_ino && node->device == about->st_dev) {
            return node;
        }
    }
    return NULL;
}

static node_t *find_open(int fd) {
    struct stat about;
    return fd >= 0 && fstat(fd, &about) == 0 ? find(&about) : NULL;
}

static node_t *find_named(int directory, const char *name) {
    struct stat about;
    return fstatat(directory, name, &about, 0) == 0 ? find(&about) : NULL;
}

static void lose_number(node_t *node) {
    if (node) {
        node->number = 0;
    }
}

static node_t *add_node(const struct stat *about) {
    lose_number(find(about));
    node_t *node = calloc(1, sizeof *node);
    require(node, "memory");
    node->device = about->st_dev;
    node->number = about->st_ino;
    node->directory = S_ISDIR(about->st_mode);
    node->next = disk.nodes;
    return disk.nodes = node;
}

static void add_move(node_t *directory, const char *from, const char *name, node_t *node) {
    directory->moves = grow(directory->moves, directory->move_count, sizeof *directory->moves);
    entry_t *move = &directory->moves[directory->move_count++];
    *move = (entry_t){.node = node};
    snprintf(move->name, sizeof move->name, "%s", name);
    snprintf(move->from, sizeof move->from, "%s", from);
}

static void add_change(node_t *node, change_kind_t kind, size_t offset, size_t size,
                       const void *bytes) {
    node->changes = grow(node->changes, node->change_count, sizeof *node->changes);
    change_t *change = &node->changes[node->change_count++];
    *change = (change_t){.kind = kind, .offset = offset, .size = size};
    if (kind == CHANGE_WRITE) {
        change->bytes = malloc(size);
        require(change->bytes, "memory");
        memcpy(change->bytes, bytes, size);
    }
}

static void resize(uint8_t **bytes, size_t *size, size_t wanted) {
    if (wanted > *size) {
        *bytes = realloc(*bytes, wanted);
        require(*bytes, "memory");
        memset(*bytes + *size, 0, wanted - *size);
    }
    *size = wanted;
}

/// How a change arrives on the disk: whole, or each unit of so many bytes by itself.
static void apply_change(uint8_t **bytes, size_t *size, const change_t *change, size_t unit) {
    size_t end = change->offset + change->size;
    if (change->kind == CHANGE_TRUNCATE) {
        resize(bytes, size, change->size);
        return;
    }
    if (change->kind == CHANGE_ALLOCATE) {
        resize(bytes, size, end > *size ? end : *size);
        return;
    }
    for (size_t at = change->offset, part; at < end; at += part) {
        part = unit ? unit - at % unit : end - at;
        part = part < end - at ? part : end - at;
        if (unit == 0 || power_random(2)) {
            resize(bytes, size, at + part > *size ? at + part : *size);
            memcpy(*bytes + at, change->bytes + (at - change->offset), part);
        }
    }
}

static void remove_entry(entry_t *entries, size_t *count, const char *name) {
    for (size_t i = 0; i < *count; i++) {
        if (strcmp(entries[i].name, name) == 0) {
            entries[i] = entries[--*count];
            return;
        }
    }
}

static void apply_move(entry_t **entries, size_t *count, const entry_t *move) {
    remove_entry(*entries, count, move->name);
    if (move->from[0]) {
        remove_entry(*entries, count, move->from);
    }
    if (move->node) {
        *entries = grow(*entries, *count, sizeof **entries);
        (*entries)[(*count)++] = *move;
    }
}

static void sync_node(node_t *node) {
    for (size_t i = 0; i < node->change_count; i++) {
        apply_change(&node->bytes, &node->size, &node->changes[i], 0);
        free(node->changes[i].bytes);
    }
    for (size_t i = 0; i < node->move_count; i++) {
        apply_move(&node->entries, &node->entry_count, &node->moves[i]);
    }
    node->change_count = node->move_count = 0;
}

// ------------------------------------------------------------------------------ the calls

static void before(const node_t *node) {
    if (node && disk.before) {
        disk.before(disk.context);
    }
}

static int open_boot(void) {
    char text[64];
    int fd = memfd_create("boot_id", MFD_CLOEXEC);
    int size = snprintf(text, sizeof text, "00000000-0000-4000-8000-%012x\n", disk.boot);
    require(fd >= 0 && write(fd, text, (size_t)size) == size, "boot_id");
    return fd;
}

static int open_at(int directory, const char *name, int flags, mode_t mode) {
    if (strcmp(name, "/proc/sys/kernel/random/boot_id") == 0) {
        return open_boot();
    }
    node_t *parent = find_open(directory);
    struct stat about;
    bool existed = fstatat(directory, name, &about, 0) == 0;
    if (flags & (O_CREAT | O_TRUNC)) {
        before(parent);
    }
    int fd = memdb__io_real.open_at(directory, name, flags, mode);
    if (fd < 0 || fstat(fd, &about)) {
        return fd;
    }
    if (!parent) {
        if (find(&about) && !find(&about)->directory) {
            lose_number(find(&about));
        }
    } else if (!existed) {
        add_move(parent, "", name, add_node(&about));
    } else if ((flags & O_TRUNC) && find(&about)) {
        add_change(find(&about), CHANGE_TRUNCATE, 0, 0, NULL);
    }
    return fd;
}

static ssize_t write_at(int fd, const void *buffer, size_t size, off_t offset) {
    node_t *node = find_open(fd);
    before(node);
    ssize_t put = memdb__io_real.pwrite(fd, buffer, size, offset);
    if (node && put > 0 && (fcntl(fd, F_GETFL) & O_DSYNC) && disk.lie != POWER_LIES_ABOUT_DATA) {
        // On the disk when the call returns, whatever else of the file is not.
        change_t change = {.kind = CHANGE_WRITE, .offset = (size_t)offset, .size = (size_t)put};
        change.bytes = (uint8_t *)(uintptr_t)buffer;
        apply_change(&node->bytes, &node->size, &change, 0);
    } else if (node && put > 0) {
        add_change(node, CHANGE_WRITE, (size_t)offset, (size_t)put, buffer);
    }
    return put;
}

static int truncate_at(int fd, off_t size) {
    node_t *node = find_open(fd);
    before(node);
    int result = memdb__io_real.truncate(fd, size);
    if (node && result == 0) {
        add_change(node, CHANGE_TRUNCATE, 0, (size_t)size, NULL);
    }
    return result;
}

static int allocate(int fd, off_t offset, off_t size) {
    node_t *node = find_open(fd);
    before(node);
    int result = memdb__io_real.allocate(fd, offset, size);
    if (node && result == 0) {
        add_change(node, CHANGE_ALLOCATE, (size_t)offset, (size_t)size, NULL);
    }
    return result;
}

static int sync_data(int fd) {
    node_t *node = find_open(fd);
    before(node);
    if (node && disk.lie != POWER_LIES_ABOUT_DATA) {
        sync_node(node);
    }
    return 0; // what the kernel has is never cut here
}

static int sync_all(int fd) {
    node_t *node = find_open(fd);
    before(node);
    if (node &&
        disk.lie != (node->directory ? POWER_LIES_ABOUT_DIRECTORIES : POWER_LIES_ABOUT_FILES)) {
        sync_node(node);
    }
    return 0;
}

static int rename_at(int from_directory, const char *from, int to_directory, const char *to) {
    node_t *parent = find_open(from_directory);
    before(parent);
    node_t *replaced = find_named(to_directory, to), *node = find_named(from_directory, from);
    int result = memdb__io_real.rename_at(from_directory, from, to_directory, to);
    if (parent && result == 0) {
        require(node && parent == find_open(to_directory), "a rename of something unknown");
        lose_number(replaced);
        add_move(parent, from, to, node);
    }
    return result;
}

static int unlink_at(int directory, const char *name, int flags) {
    node_t *parent = find_open(directory);
    before(parent);
    node_t *node = find_named(directory, name);
    int result = memdb__io_real.unlink_at(directory, name, flags);
    if (parent && result == 0) {
        lose_number(node);
        add_move(parent, "", name, NULL);
    }
    return result;
}

static int make_directory_at(int directory, const char *name, mode_t mode) {
    node_t *parent = find_open(directory);
    before(parent);
    struct stat about;
    int result = memdb__io_real.make_directory_at(directory, name, mode);
    if (result == 0 && (parent || strcmp(name, disk.path) == 0)) {
        require(fstatat(directory, name, &about, 0) == 0, name);
        node_t *node = add_node(&about);
        if (parent) {
            add_move(parent, "", name, node);
        } else {
            disk.root = node;
        }
    }
    return result;
}

void power_disk_watch(const char *path, void (*hook)(void *context), void *context) {
    static memdb__io_table_t table;
    disk = (struct disk){.before = hook, .context = context};
    snprintf(disk.path, sizeof disk.path, "%s", path);
    table = memdb__io_real;
    table.open_at = open_at;
    table.pwrite = write_at;
    table.truncate = truncate_at;
    table.allocate = allocate;
    table.sync_data = sync_data;
    table.sync_all = sync_all;
    table.rename_at = rename_at;
    table.unlink_at = unlink_at;
    table.make_directory_at = make_directory_at;
    memdb__io_install(&table);
}

static void forget_nodes(void) {
    while (disk.nodes) {
        node_t *node = disk.nodes;
        disk.nodes = node->next;
        for (size_t i = 0; i < node->change_count; i++) {
            free(node->changes[i].bytes);
        }
        free(node->bytes);
        free(node->changes);
        free(node->entries);
        free(node->moves);
        free(node);
    }
}

void power_disk_forget(void) {
    memdb__io_install(NULL);
    forget_nodes();
}

void power_disk_lie(power_lie_t lie) {
    disk.lie = lie;
}

void power_disk_boot(unsigned number) {
    disk.boot = number;
}

// ------------------------------------------------------------------------------ after the cut

static int create_file(const char *path) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    require(fd >= 0, path);
    return fd;
}

static void build_file(const node_t *node, const char *path) {
    uint8_t *bytes = NULL;
    size_t size = 0;
    resize(&bytes, &size, node->size);
    if (size) {
        memcpy(bytes, node->bytes, size);
    }
    // Of ten files: three get nothing more, two everything, five a random part.
    uint64_t fate = power_random(10);
    for (size_t i = 0; fate >= 3 && i < node->change_count; i++) {
        static const size_t units[] = {0, SECTOR, BLOCK};
        if (fate < 5) {
            apply_change(&bytes, &size, &node->changes[i], 0);
        } else if (power_random(2)) {
            apply_change(&bytes, &size, &node->changes[i], units[power_random(3)]);
        }
    }
    int fd = create_file(path);
    static const uint8_t zeros[BLOCK];
    require(ftruncate(fd, (off_t)size) == 0, path);
    for (size_t at = 0; at < size; at += BLOCK) {
        size_t part = size - at < BLOCK ? size - at : BLOCK;
        if (memcmp(bytes + at, zeros, part) != 0) { // a hole reads as zeros
            require(pwrite(fd, bytes + at, part, (off_t)at) == (ssize_t)part, path);
        }
    }
    close(fd);
    free(bytes);
}

static void copy_file(const char *from, const char *to) {
    static uint8_t bytes[1 << 20];
    int in = open(from, O_RDONLY | O_CLOEXEC), out = create_file(to);
    require(in >= 0, from);
    for (ssize_t got; (got = read(in, bytes, sizeof bytes)) != 0;) {
        require(got > 0 && write(out, bytes, (size_t)got) == got, to);
    }
    close(in);
    close(out);
}

static void copy_folder(const char *from, const char *to) {
    DIR *folder = opendir(from);
    require(folder && mkdir(to, 0700) == 0, to);
    for (struct dirent *at; (at = readdir(folder));) {
        char source[700], target[700];
        snprintf(source, sizeof source, "%s/%s", from, at->d_name);
        snprintf(target, sizeof target, "%s/%s", to, at->d_name);
        if (at->d_name[0] != '.') {
            copy_file(source, target);
        }
    }
    closedir(folder);
}

static void adopt_bytes(node_t *node, const char *path, size_t size) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    require(fd >= 0, path);
    resize(&node->bytes, &node->size, size);
    require(size == 0 || pread(fd, node->bytes, size, 0) == (ssize_t)size, path);
    close(fd);
}

static node_t *adopt_node(const char *path) {
    struct stat about;
    require(stat(path, &about) == 0, path);
    node_t *node = add_node(&about);
    if (!node->directory) {
        adopt_bytes(node, path, (size_t)about.st_size);
        return node;
    }
    DIR *folder = opendir(path);
    require(folder, path);
    for (struct dirent *at; (at = readdir(folder));) {
        char inner[700];
        snprintf(inner, sizeof inner, "%s/%s", path, at->d_name);
        if (at->d_name[0] != '.') {
            entry_t entry = {.node = adopt_node(inner)};
            snprintf(entry.name, sizeof entry.name, "%.63s", at->d_name);
            apply_move(&node->entries, &node->entry_count, &entry);
        }
    }
    closedir(folder);
    return node;
}

void power_disk_adopt(const char *path) {
    forget_nodes();
    snprintf(disk.path, sizeof disk.path, "%s", path);
    disk.root = adopt_node(path);
}

static void build_node(const node_t *node, const char *path) {
    if (!node->directory) {
        build_file(node, path);
        return;
    }
    require(mkdir(path, 0700) == 0, path);
    entry_t *entries = NULL;
    size_t count = 0, moves = power_random(node->move_count + 1);
    for (size_t i = 0; i < node->entry_count; i++) {
        entries = grow(entries, count, sizeof *entries);
        entries[count++] = node->entries[i];
    }
    for (size_t i = 0; i < moves; i++) {
        apply_move(&entries, &count, &node->moves[i]);
    }
    for (size_t i = 0; i < count; i++) {
        char from[400], to[400];
        snprintf(from, sizeof from, "%s/%s", disk.path, entries[i].name);
        snprintf(to, sizeof to, "%s/%s", path, entries[i].name);
        if (strcmp(entries[i].name, "catalog") == 0) {
            copy_folder(from, to);
        } else if (strcmp(entries[i].name, "control") == 0 && power_random(2) &&
                   access(from, F_OK) == 0) {
            copy_file(from, to); // the processes' stores through their mapping may have arrived
        } else {
            build_node(entries[i].node, to);
        }
    }
    free(entries);
}

void power_disk_build(const char *path) {
    build_node(disk.root, path);
}
