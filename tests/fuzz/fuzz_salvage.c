// Fuzzes salvage's reading of maps and vector segments, whose pages are whole and whose bytes lie.
//
// The input gives the sizes and the bytes of a segment's sections. They go into a container with
// right checksums; then bytes of the file are changed, so that some pages are damaged, or the tail.
// Nothing may crash, and every entry and row that is given must lie inside the file.
#include "base/io.h"
#include "engine/salvage/salvage.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTION_BYTES 40000

static const char name[] = "0000000000000005.seg";
static _Atomic uint64_t touched; // so that touching is not left out
static char directory_path[] = "/tmp/memdb-fuzz-salvage-XXXXXX";
static int directory = -1, segments = -1;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(memdb_status_t status) {
    if (status)
        abort();
}

static void remove_directory(void) {
    unlinkat(segments, name, 0);
    unlinkat(directory, "segments", AT_REMOVEDIR);
    rmdir(directory_path);
}

static int sync_nothing(int fd) {
    (void)fd;
    return 0;
}

static void make_directory(void) {
    static memdb__io_table_t table;
    table = memdb__io_real;
    table.sync_data = sync_nothing; // nothing here outlives the process
    memdb__io_install(&table);
    if (!mkdtemp(directory_path))
        abort();
    directory = open(directory_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0 || mkdirat(directory, "segments", 0700) != 0)
        abort();
    segments = openat(directory, "segments", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    atexit(remove_directory);
}

/// Sections of a map (0 to 6) or of vectors (1 to 6): each of a size and with bytes of the input,
/// repeated.
static void write_segment(memdb__reader_t *reader) {
    static uint8_t bytes[SECTION_BYTES];
    memdb__container_writer_t *writer;
    memdb_error_t error;
    bool map = memdb__read_u8(reader) & 1;
    memdb__segment_identity_t identity = {
        {1, 2, 3}, 5, map ? MEMDB__SEGMENT_SORTED : MEMDB__SEGMENT_VECTORS};
    unlinkat(segments, name, 0);
    must(memdb__container_create(segments, name, &identity, &writer, &error));
    for (uint32_t section = map ? 0 : 1; section <= 6; section++) {
        size_t size = (size_t)memdb__read_u32(reader) % SECTION_BYTES;
        size_t given = memdb__read_u8(reader);
        given = given < memdb__reader_left(reader) ? given : memdb__reader_left(reader);
        const uint8_t *slice = memdb__read_slice(reader, given);
        for (size_t i = 0; i < size; i++)
            bytes[i] = given ? slice[i % given] : 0;
        must(memdb__container_begin(writer, section, &error));
        must(memdb__container_append(writer, bytes, size, &error));
    }
    uint64_t file_size, checksum;
    must(memdb__container_finish(writer, &file_size, &checksum, &error));
}

static void damage(memdb__reader_t *reader) {
    int fd = openat(segments, name, O_RDWR | O_CLOEXEC);
    struct stat about;
    if (fd < 0 || fstat(fd, &about) != 0)
        abort();
    for (unsigned i = memdb__read_u8(reader) % 4; i > 0; i--) {
        uint8_t byte = memdb__read_u8(reader);
        uint32_t at = memdb__read_u32(reader) % (uint32_t)about.st_size;
        at = byte & 1 ? (uint32_t)about.st_size - 1 - at % 300 : at; // often in the tail
        if (pwrite(fd, &byte, 1, at) != 1)
            abort();
    }
    close(fd);
}

/// Touch every byte that was given: the sanitizer sees those outside.
static uint64_t touch(const uint8_t *bytes, size_t size) {
    uint64_t sum = 0;
    for (size_t i = 0; i < size; i++)
        sum += bytes[i];
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    memdb__reader_t reader = memdb__reader(data, size);
    memdb__salvage_t salvage = {.database_id = {1, 2, 3}};
    memdb_error_t error = {0};
    uint64_t sum = 0;
    if (directory < 0)
        make_directory();
    write_segment(&reader);
    damage(&reader);
    salvage.directory = directory;
    memdb__arena_init(&salvage.arena);
    must(memdb__salvage_segments(&salvage, &error));
    const memdb__salvage_entry_t *entries = (const memdb__salvage_entry_t *)salvage.entries.data;
    for (size_t i = 0; i < MEMDB__SALVAGE_COUNT(salvage.entries, memdb__salvage_entry_t); i++)
        sum += touch(entries[i].key, entries[i].key_size) +
               touch(entries[i].value, entries[i].value_size);
    const memdb__salvage_row_t *rows = (const memdb__salvage_row_t *)salvage.rows.data;
    for (size_t i = 0; i < MEMDB__SALVAGE_COUNT(salvage.rows, memdb__salvage_row_t); i++)
        sum += touch((const uint8_t *)rows[i].codes, rows[i].dimension);
    atomic_store_explicit(&touched, sum, memory_order_relaxed); // one thread
    memdb__rescue_t *rescues = (memdb__rescue_t *)salvage.rescues.data;
    for (size_t i = 0; i < MEMDB__SALVAGE_COUNT(salvage.rescues, memdb__rescue_t); i++)
        memdb__rescue_close(&rescues[i]);
    memdb__buffer_deinit(&salvage.rescues);
    memdb__buffer_deinit(&salvage.entries);
    memdb__buffer_deinit(&salvage.rows);
    memdb__buffer_deinit(&salvage.holes);
    memdb__arena_deinit(&salvage.arena);
    return 0;
}
