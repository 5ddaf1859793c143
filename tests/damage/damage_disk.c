// The image of a database's files: read, put back, write.
//
// Putting back is what makes a round cheap: a file is written again only where its inode, size or
// time of change is another one than after the last writing, and of a damaged file that nobody else
// wrote to, only the bytes that the damage changed.
#include "tests/damage/damage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void give_up(const char *what, const char *name) {
    fprintf(stderr, "damage: %s %s: %s\n", what, name, strerror(errno));
    exit(2);
}

// Whatever was read; images share it.
static uint8_t **held;
static size_t held_count;

static uint8_t *hold(size_t size) {
    uint8_t **more = realloc(held, (held_count + 1) * sizeof *held);
    uint8_t *data = malloc(size + 1);
    if (!more || !data)
        give_up("hold", "what was read");
    held = more;
    held[held_count++] = data;
    return data;
}

void damage_image_release(void) {
    while (held_count > 0)
        free(held[--held_count]);
    free(held);
    held = NULL;
}

static void read_part(int fd, const char *path, uint8_t *out, size_t size, size_t offset) {
    if (pread(fd, out, size, (off_t)offset) != (ssize_t)size)
        give_up("read", path);
}

static damage_bytes_t read_whole(const char *path) {
    struct stat about;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &about) != 0)
        give_up("open", path);
    size_t whole = (size_t)about.st_size;
    damage_bytes_t bytes = {.size = whole, .gap_at = whole};
    if (whole > 8u << 20) { // a file with a hole: the first one
        bytes.gap_at = (size_t)lseek(fd, 0, SEEK_HOLE);
        off_t behind = lseek(fd, (off_t)bytes.gap_at, SEEK_DATA);
        bytes.gap = behind < 0 ? 0 : (size_t)behind - bytes.gap_at;
        bytes.size = whole - bytes.gap;
    }
    bytes.data = hold(bytes.size);
    read_part(fd, path, bytes.data, bytes.gap_at, 0);
    read_part(fd, path, bytes.data + bytes.gap_at, bytes.size - bytes.gap_at,
              bytes.gap_at + bytes.gap);
    close(fd);
    for (bytes.used = bytes.gap_at; bytes.used && !bytes.data[bytes.used - 1];)
        bytes.used--;
    return bytes;
}

static void note(damage_file_t *file, const char *path) {
    struct stat about;
    if (stat(path, &about) != 0)
        give_up("stat", path);
    file->inode = about.st_ino;
    file->size = (uint64_t)about.st_size;
    file->changed_ns = about.st_mtim.tv_sec * INT64_C(1000000000) + about.st_mtim.tv_nsec;
}

static bool is_as_noted(const damage_file_t *file, const char *path) {
    struct stat about;
    return stat(path, &about) == 0 && file->inode == about.st_ino &&
           file->size == (uint64_t)about.st_size &&
           file->changed_ns ==
               about.st_mtim.tv_sec * INT64_C(1000000000) + about.st_mtim.tv_nsec;
}

/// Call `visit` for each file below `path`, with its name relative to it.
static void each_file(const char *path, const char *below, void (*visit)(void *, const char *),
                      void *context) {
    char name[1000];
    snprintf(name, sizeof name, "%s/%s", path, below);
    DIR *directory = opendir(name);
    if (!directory)
        give_up("list", name);
    for (struct dirent *entry; (entry = readdir(directory));) {
        char inner[640];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(inner, sizeof inner, "%.300s%s%.300s", below, *below ? "/" : "", entry->d_name);
        if (entry->d_type == DT_DIR)
            each_file(path, inner, visit, context);
        else
            visit(context, inner);
    }
    closedir(directory);
}

typedef struct reading {
    damage_image_t *image;
    const char *path;
} reading_t;

static void read_one(void *context, const char *name) {
    reading_t *reading = context;
    char path[1000];
    if (reading->image->count == DAMAGE_FILES)
        give_up("too many files", name);
    damage_file_t *file = &reading->image->files[reading->image->count++];
    *file = (damage_file_t){0};
    snprintf(file->name, sizeof file->name, "%s", name);
    snprintf(path, sizeof path, "%s/%s", reading->path, name);
    file->now = read_whole(path);
    note(file, path);
}

static bool equal(const damage_bytes_t *a, const damage_bytes_t *b) {
    return a->size == b->size && a->gap == b->gap && memcmp(a->data, b->data, a->size) == 0;
}

static void add_older(damage_file_t *file, const damage_bytes_t *bytes) {
    bool known = equal(bytes, &file->now) || file->older_count == DAMAGE_OLDER;
    for (size_t i = 0; !known && i < file->older_count; i++)
        known = equal(bytes, &file->older[i]);
    if (!known)
        file->older[file->older_count++] = *bytes;
}

damage_file_t *damage_image_find(damage_image_t *image, const char *name) {
    for (size_t i = 0; i < image->count; i++)
        if (strcmp(image->files[i].name, name) == 0)
            return &image->files[i];
    return NULL;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const damage_file_t *)a)->name, ((const damage_file_t *)b)->name);
}

void damage_image_read(damage_image_t *image, const char *path, const damage_image_t *earlier) {
    image->count = 0;
    each_file(path, "", read_one, &(reading_t){image, path});
    qsort(image->files, image->count, sizeof image->files[0], by_name); // the same in every run
    for (size_t i = 0; earlier && i < earlier->count; i++) {
        const damage_file_t *old = &earlier->files[i];
        damage_file_t *file = damage_image_find(image, old->name);
        if (!file)
            continue;
        add_older(file, &old->now);
        for (size_t j = 0; j < old->older_count; j++)
            add_older(file, &old->older[j]);
    }
}

static void write_part(int fd, const char *path, const damage_bytes_t *bytes, size_t from,
                       size_t to, size_t moved) {
    if (to > from &&
        pwrite(fd, bytes->data + from, to - from, (off_t)(from + moved)) != (ssize_t)(to - from))
        give_up("write", path);
}

/// Write dense bytes [from, to), and give the file its size.
static void write_range(int fd, const char *path, const damage_bytes_t *bytes, size_t from,
                        size_t to) {
    size_t middle = to < bytes->gap_at ? to : bytes->gap_at;
    write_part(fd, path, bytes, from, middle, 0);
    write_part(fd, path, bytes, from > middle ? from : middle, to, bytes->gap);
    if (ftruncate(fd, (off_t)(bytes->size + bytes->gap)) != 0)
        give_up("write", path);
}

static void write_whole(damage_file_t *file, const char *path, const damage_bytes_t *bytes) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        give_up("open", path);
    // Zeros at the end are a hole: cheap, and there are many in a log segment.
    write_range(fd, path, bytes, 0, bytes->used);
    write_range(fd, path, bytes, bytes->gap_at, bytes->size);
    close(fd);
    note(file, path);
}

/// How many bytes at the beginning, or (`back`) at the end, of equally long ranges are equal.
static size_t equal_bytes(const uint8_t *a, const uint8_t *b, size_t size, bool back) {
    size_t done = 0, step = 4096;
    while (done < size) {
        size_t part = size - done < step ? size - done : step, at = back ? size - done - part : done;
        if (memcmp(a + at, b + at, part) == 0)
            done += part;
        else if (step == 1)
            break;
        else
            step = step > 64 ? 64 : 1;
    }
    return done;
}

/// The same as dense bytes of two contents with the same gap.
static void dense_difference(const damage_bytes_t *a, const damage_bytes_t *b, size_t *from_out,
                             size_t *to_out) {
    size_t common = a->size < b->size ? a->size : b->size;
    size_t from = equal_bytes(a->data, b->data, common, false);
    size_t to = a->size > b->size ? a->size : b->size;
    if (a->size == b->size)
        to -= equal_bytes(a->data + from, b->data + from, common - from, true);
    *from_out = from;
    *to_out = to;
}

static bool is_alike(const damage_bytes_t *a, const damage_bytes_t *b) {
    return a->gap == b->gap && (!a->gap || a->gap_at == b->gap_at);
}

void damage_difference(const damage_bytes_t *a, const damage_bytes_t *b, size_t *from_out,
                       size_t *to_out) {
    damage_bytes_t x = *a, y = *b;
    if (is_alike(a, b)) {
        dense_difference(a, b, from_out, to_out);
        *from_out += *from_out >= a->gap_at ? a->gap : 0;
        *to_out += *to_out > a->gap_at ? a->gap : 0;
        return;
    }
    x.size = x.gap_at; // what stands before the gaps is compared; all behind counts as different
    y.size = y.gap_at;
    dense_difference(&x, &y, from_out, to_out);
    size_t one = a->size + a->gap, other = b->size + b->gap;
    *to_out = one > other ? one : other;
}

/// Make a file that holds `old`, which differs in dense bytes [file->from, file->to), hold `new`.
static void write_changes(damage_file_t *file, const char *path, const damage_bytes_t *old,
                          const damage_bytes_t *new) {
    size_t to = file->to < new->size ? file->to : new->size;
    if (!is_alike(old, new)) {
        write_whole(file, path, new);
        return;
    }
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        give_up("open", path);
    write_range(fd, path, new, file->from < to ? file->from : to, to);
    close(fd);
    note(file, path);
}

static void put_back(damage_file_t *file, const char *path) {
    if (!is_as_noted(file, path))
        write_whole(file, path, &file->now);
    else if (file->harmed.data)
        write_changes(file, path, &file->harmed, &file->now);
    free(file->harmed.data);
    file->harmed = (damage_bytes_t){0};
}

static void remove_unknown(void *context, const char *name) {
    reading_t *reading = context;
    char path[1000];
    if (damage_image_find(reading->image, name))
        return;
    snprintf(path, sizeof path, "%s/%s", reading->path, name);
    if (unlink(path) != 0)
        give_up("unlink", path);
}

void damage_image_restore(damage_image_t *image, const char *path) {
    each_file(path, "", remove_unknown, &(reading_t){image, path});
    for (size_t i = 0; i < image->count; i++) {
        char name[1000];
        snprintf(name, sizeof name, "%s/%s", path, image->files[i].name);
        put_back(&image->files[i], name);
    }
}

void damage_image_harm(const char *path, damage_file_t *file, damage_bytes_t bytes) {
    char name[1000];
    snprintf(name, sizeof name, "%s/%s", path, file->name);
    file->harmed = bytes;
    if (bytes.data && is_alike(&file->now, &bytes))
        dense_difference(&file->now, &bytes, &file->from, &file->to);
    if (bytes.data)
        write_changes(file, name, &file->now, &file->harmed);
    else if (unlink(name) != 0)
        give_up("unlink", name);
}
