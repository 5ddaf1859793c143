// Fuzzes the reading of sorted segments behind right checksums.
//
// The input gives entries, then patches. The entries are written by the real writer; the patches
// change bytes of its sections; the sections then go into a container with right checksums, which
// is read in all ways. Without a patch the answers must be the entries; with patches nothing may
// crash, and every status must be one that a reader may give.
#include "base/bytes.h"
#include "base/io.h"
#include "base/memory.h"
#include "base/sorted_format.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MOST_ENTRIES 200
#define SECTIONS 8

static const memdb__segment_identity_t identity = {{1, 2, 3}, 5, MEMDB__SEGMENT_SORTED};
static int directory = -1;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(memdb_status_t status) {
    if (status)
        abort();
}

static void may_be_corrupt(memdb_status_t status) {
    if (status && status != MEMDB_CORRUPT)
        abort();
}

// Files are made and unlinked in a directory of the process; it is removed at a normal end.
static char directory_path[] = "/tmp/memdb-fuzz-sorted-XXXXXX";

static void remove_directory(void) {
    unlinkat(directory, "a", 0);
    unlinkat(directory, "b", 0);
    rmdir(directory_path);
}

static int sync_nothing(int fd) {
    (void)fd;
    return 0;
}

static void make_directory(void) {
    // Nothing here outlives the process, and a sync would take most of the time.
    static memdb__io_table_t table;
    table = memdb__io_real;
    table.sync_data = sync_nothing;
    memdb__io_install(&table);
    if (!mkdtemp(directory_path))
        abort();
    directory = open(directory_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        abort();
    atexit(remove_directory);
}

/// Write entries of the input with the real writer. Keys rise by a counter in front, and a third of
/// the shapes repeats the key before with an older version. Returns how many.
static uint64_t write_entries(memdb__reader_t *reader) {
    memdb__sorted_writer_t *writer;
    memdb_error_t error;
    must(memdb__sorted_create(directory, "a", &identity, &writer, &error));
    memdb__sorted_leave_unhashed(writer, "\3\4\7"); // some keys are found by halving
    uint64_t count = memdb__read_u8(reader) % MOST_ENTRIES;
    static uint8_t value[5000];
    uint8_t key[1 + 32] = {0};
    size_t key_size = 0;
    for (uint64_t i = 0; i < count; i++) {
        uint8_t shape = memdb__read_u8(reader);
        if (!key_size || shape % 3) {
            key[0] = (uint8_t)i;
            key_size = 1 + shape % 32u;
        }
        memdb__entry_t entry = {
            .key = key,
            .key_size = key_size,
            .value = value,
            .value_size = shape > 250 ? sizeof value : shape / 2u,
            .version = count - i,
            .tombstone = shape & 1,
        };
        must(memdb__sorted_append(writer, &entry, &error));
    }
    must(memdb__sorted_finish(writer, NULL, NULL, &error));
    return count;
}

/// Copy file "a" to "b" through a container writer, with patches: section u8, offset varint, byte
/// u8 (xor). A section number of 250 and more ends section (number % 8) at that offset.
static bool patch(memdb__reader_t *reader) {
    memdb__container_t *from;
    memdb__container_writer_t *to;
    memdb_error_t error;
    must(memdb__container_open(directory, "a", &identity, 0, 0, &from, &error));
    must(memdb__container_create(directory, "b", &identity, &to, &error));
    uint8_t *sections[SECTIONS];
    uint64_t sizes[SECTIONS];
    for (uint32_t i = 0; i < SECTIONS; i++) {
        const uint8_t *at = memdb__container_section(from, i, &sizes[i]);
        sections[i] = at ? malloc(sizes[i] + 1) : NULL; // the last one is not always there
        if (at && !sections[i])
            abort();
        if (at)
            memcpy(sections[i], at, sizes[i]);
    }
    bool patched = false;
    while (memdb__reader_left(reader)) {
        uint8_t kind = memdb__read_u8(reader);
        uint64_t offset = memdb__read_varint(reader);
        uint8_t change = memdb__read_u8(reader);
        uint32_t section = kind % SECTIONS;
        if (reader->bad || !sections[section] || !sizes[section])
            break;
        offset %= sizes[section];
        patched = true;
        if (kind >= 250)
            sizes[section] = offset;
        else
            sections[section][offset] ^= change;
    }
    for (uint32_t i = 0; i < SECTIONS; i++) {
        if (!sections[i])
            continue;
        must(memdb__container_begin(to, i, &error));
        must(memdb__container_append(to, sections[i], sizes[i], &error));
        free(sections[i]);
    }
    must(memdb__container_finish(to, NULL, NULL, &error));
    memdb__container_close(from);
    return patched;
}

static void touch(const memdb__entry_t *entry) {
    // A hash reads every byte, so that the sanitizer sees what leaves the mapping's pages.
    if (memdb__hash64(entry->key, entry->key_size, 1) == 0 &&
        memdb__hash64(entry->value, entry->value_size, 1) == 0)
        abort();
}

/// All of the map, in both directions, and each key that is met looked up.
static void walk(memdb__sorted_t *sorted, uint64_t count, bool patched) {
    memdb_error_t error;
    memdb__sorted_iterator_t iterator, other;
    memdb__entry_t entry;
    uint64_t seen = 0;
    memdb_status_t status = memdb__sorted_seek(sorted, NULL, 0, &iterator, &error);
    for (; !status && iterator.valid; status = memdb__sorted_next(&iterator, &error), seen++) {
        touch(&iterator.entry);
        const uint8_t *key = iterator.entry.key;
        size_t key_size = iterator.entry.key_size;
        memdb_status_t got =
            memdb__sorted_get_at(sorted, key, key_size, iterator.entry.version, &entry, &error);
        if (got != MEMDB_NOT_FOUND)
            may_be_corrupt(got);
        if (!got)
            touch(&entry);
        if (!patched && (got || entry.version != iterator.entry.version))
            abort();
        may_be_corrupt(memdb__sorted_seek(sorted, key, key_size / 2, &other, &error));
        may_be_corrupt(memdb__sorted_seek_before(sorted, key, key_size, &other, &error));
    }
    may_be_corrupt(status);
    if (!patched && seen != count)
        abort();
    status = memdb__sorted_seek_before(sorted, "\xff\xff", 2, &iterator, &error);
    for (; !status && iterator.valid; status = memdb__sorted_previous(&iterator, &error), seen--)
        touch(&iterator.entry);
    may_be_corrupt(status);
    if (!patched && seen)
        abort();
    status = memdb__sorted_verify(sorted, NULL, NULL, &error);
    may_be_corrupt(status);
    if (!patched && status)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (directory < 0)
        make_directory();
    memdb__reader_t reader = memdb__reader(data, size);
    uint64_t count = write_entries(&reader);
    bool patched = patch(&reader);
    memdb__sorted_t *sorted;
    memdb_error_t error;
    memdb_status_t status = memdb__sorted_open(directory, "b", &identity, 0, 0, &sorted, &error);
    if (!status) {
        walk(sorted, count, patched);
        memdb__sorted_close(sorted);
    } else if (!patched || (status != MEMDB_CORRUPT && status != MEMDB_VERSION)) {
        abort();
    }
    must(memdb__io_unlink(directory, "a", &error));
    must(memdb__io_unlink(directory, "b", &error));
    return 0;
}
