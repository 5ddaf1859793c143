// A vector segment of hostile bytes: no crash, no read outside the mapping.
//
// The checksums of a container stop nearly every mutation, so the input is not a file but the
// sections of one: they are written into a container with right checksums, and then everything that
// reads a segment runs over it. One input in two hundred and fifty-six is taken as the file itself.
//
// Input: a selector byte; then for sections 1 to 6 a u16 size each; then their bytes, in turn, the
// codes' size in units of 64.
#include "base/bytes.h"
#include "base/memory.h"
#include "index/atlas/atlas_internal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *count, char ***arguments);

static int directory;
static const memdb__segment_identity_t identity = {.segment_id = 3, .kind = MEMDB__SEGMENT_VECTORS};

int LLVMFuzzerInitialize(int *count, char ***arguments) {
    (void)count, (void)arguments;
    // On a memory file system where there is one: each input is a file.
    char path[] = "/dev/shm/memdb-fuzz-XXXXXX", other[] = "/tmp/memdb-fuzz-XXXXXX";
    const char *made = mkdtemp(path) ? path : mkdtemp(other);
    directory = made ? open(made, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (directory < 0)
        abort();
    return 0;
}

static bool every_row(void *context, memdb_space_t space, uint64_t id, uint64_t version) {
    (void)context, (void)space, (void)version;
    return id % 3 != 1;
}

static bool every_space(void *context, memdb_space_t space) {
    (void)context, (void)space;
    return true;
}

static void found(void *context, const char *file, uint64_t offset, const char *what) {
    (void)file, (void)offset, (void)what;
    ++*(size_t *)context;
}

static void search_space(memdb__vector_segment_t *segment, const memdb__segment_space_t *space) {
    static float query[MEMDB_MAX_DIMENSION];
    static uint8_t row[4 + MEMDB_MAX_DIMENSION];
    for (uint32_t i = 0; i < space->dimension; i++)
        query[i] = (float)(i % 7) - 2.5f;
    memdb__vector_source_t source = {.segment = segment};
    for (int metric = MEMDB_METRIC_COSINE; metric <= MEMDB_METRIC_L2; metric++) {
        memdb__vector_search_t search = {.space = space->space,
                                         .metric = (memdb_metric_t)metric,
                                         .dimension = space->dimension,
                                         .visible = UINT64_MAX,
                                         .sources = &source,
                                         .source_count = 1,
                                         .live = every_row};
        memdb__vector_hit_t hits[6];
        size_t count = 0;
        hits[5] = (memdb__vector_hit_t){.id = 5, .version = 9};
        if (memdb__vector_search(query, &search, hits, 5, &count, NULL) == MEMDB_OK)
            for (size_t i = 0; i < count; i++) {
                memdb__vector_hit_t hit = hits[i];
                if (memdb__vector_score(query, &search, &hit, 1, NULL) ||
                    hit.score != hits[i].score ||
                    memdb__vector_get(&search, hit.id, hit.version, row, NULL))
                    abort(); // a hit that is not there
            }
        memdb__vector_score(query, &search, hits + 5, 1, NULL);
    }
}

static void use(memdb__vector_segment_t *segment) {
    // A point lookup first: it checks less than a scan.
    if (memdb__segment_space_total(segment)) {
        memdb__rows_t row;
        memdb__segment_find(segment, memdb__vector_segment_space_at(segment, 0), 1, 1, &row, NULL);
    }
    for (size_t i = 0; i < memdb__segment_space_total(segment); i++)
        search_space(segment, memdb__vector_segment_space_at(segment, i));
    size_t findings = 0;
    memdb_status_t verified = memdb__vector_segment_verify(segment, found, &findings, NULL);
    if ((verified == MEMDB_OK) != (findings == 0))
        abort();
    memdb__vector_source_t source = {.segment = segment};
    uint64_t size, checksum;
    memdb_status_t status =
        memdb__vector_segment_write(directory, "merged", &identity, &source, 1, UINT64_MAX,
                                    every_row, every_space, NULL, &size, &checksum, NULL);
    if (verified == MEMDB_OK && status != MEMDB_OK)
        abort();
    unlinkat(directory, "merged", 0);
}

static void write_sections(memdb__reader_t *reader, uint64_t *size, uint64_t *checksum) {
    memdb__container_writer_t *writer;
    if (memdb__container_create(directory, "input", &identity, &writer, NULL))
        abort();
    size_t sizes[7] = {0};
    for (uint32_t i = 1; i <= 6; i++) {
        sizes[i] = memdb__read_u8(reader);
        sizes[i] |= (size_t)memdb__read_u8(reader) << 8;
    }
    sizes[MEMDB__SECTION_CODES] *= 64;
    for (uint32_t i = 1; i <= 6; i++) {
        size_t left = memdb__reader_left(reader), take = sizes[i] < left ? sizes[i] : left;
        const uint8_t *bytes = take ? memdb__read_slice(reader, take) : NULL;
        if (memdb__container_begin(writer, i, NULL) ||
            (take && memdb__container_append(writer, bytes, take, NULL)))
            abort();
        // What the input does not have is zero, so that small inputs describe large segments.
        static const uint8_t zeros[64];
        for (size_t rest = sizes[i] - take; rest > 0;) {
            size_t step = rest < 64 ? rest : 64;
            if (memdb__container_append(writer, zeros, step, NULL))
                abort();
            rest -= step;
        }
    }
    if (memdb__container_finish(writer, size, checksum, NULL))
        abort();
}

static void write_file(memdb__reader_t *reader) {
    int fd = openat(directory, "input", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    size_t left = memdb__reader_left(reader);
    if (fd < 0 || write(fd, reader->at, left) != (ssize_t)left)
        abort();
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    memdb__reader_t reader = memdb__reader(data, size);
    uint64_t file_size = 0, checksum = 0;
    if (memdb__read_u8(&reader) == 255)
        write_file(&reader);
    else
        write_sections(&reader, &file_size, &checksum);
    memdb__vector_segment_t *segment = NULL;
    memdb_status_t status = memdb__vector_segment_open(directory, "input", &identity, file_size,
                                                       checksum, &segment, NULL);
    if (status == MEMDB_OK)
        use(segment);
    memdb__vector_segment_close(segment);
    unlinkat(directory, "input", 0);
    return 0;
}
