// Goal: a segment gives back what was folded into it, damage is reported and never changes an
// answer, and no failed allocation or I/O call leaves a file, a leak or a wrong answer behind.
// Method: a small segment of several spaces; each byte of it damaged in turn (sampled); each
// allocation and each call of the I/O table failed in turn.
#include "base/io.h"
#include "tests/unit/index/test_atlas_fixture.h"

#include <errno.h>
#include <pthread.h>

#define DIMENSION 100
#define ROWS 60
#define SPACES 4

typedef struct files {
    int directory;
    char path[64];
    memdb__vector_list_t *list;
    uint64_t size, checksum;
} files_t;

static const memdb__segment_identity_t identity = {
    .database_id = {1, 2, 3}, .segment_id = 7, .kind = MEMDB__SEGMENT_VECTORS};

static void list_fill(memdb__vector_list_t *list) {
    random_t random = {11};
    uint64_t version = 0;
    for (int i = 0; i < ROWS; i++)
        for (memdb_space_t space = 1; space <= SPACES; space++) {
            float vector[DIMENSION];
            uint8_t row[4 + DIMENSION];
            uint32_t dimension = DIMENSION - space;
            random_vector(&random, vector, dimension);
            memdb_error_t error;
            assert_ok(memdb__row_encode(MEMDB_METRIC_COSINE, vector, dimension, row, &error),
                      &error);
            uint64_t id = (uint64_t)(i * 37 % ROWS);
            assert_ok(memdb__vector_list_add(list, space, dimension, id, ++version, row, &error),
                      &error);
        }
}

static bool no_space_two(void *context, memdb_space_t space) {
    (void)context;
    return space != 2;
}

static memdb_status_t write_segment(files_t *files, const char *name, memdb_error_t *error) {
    memdb__vector_source_t source = {.list = files->list};
    return memdb__vector_segment_write(files->directory, name, &identity, &source, 1, UINT64_MAX,
                                       every_row, no_space_two, NULL, &files->size,
                                       &files->checksum, error);
}

static int setup(void **state) {
    static files_t files;
    files.directory = directory_create(files.path);
    files.list = memdb__vector_list_create();
    list_fill(files.list);
    memdb_error_t error;
    assert_ok(write_segment(&files, "whole", &error), &error);
    *state = &files;
    return 0;
}

static int teardown(void **state) {
    files_t *files = *state;
    memdb__vector_list_destroy(files->list);
    unlinkat(files->directory, "whole", 0);
    unlinkat(files->directory, "damaged", 0);
    directory_destroy(files->directory, files->path);
    return 0;
}

static memdb__vector_search_t search_of(const memdb__vector_source_t *source, memdb_space_t space) {
    return (memdb__vector_search_t){.space = space,
                                    .metric = MEMDB_METRIC_COSINE,
                                    .dimension = DIMENSION - space,
                                    .visible = UINT64_MAX,
                                    .sources = source,
                                    .source_count = 1,
                                    .live = every_row};
}

/// Search all spaces; the answers of the segment are those of the list, or it says why not.
static memdb_status_t compare(files_t *files, memdb__vector_segment_t *segment,
                              memdb_error_t *error) {
    const memdb__vector_source_t kept = {.segment = segment}, listed = {.list = files->list};
    float query[DIMENSION];
    random_t random = {5};
    random_vector(&random, query, DIMENSION);
    for (memdb_space_t space = 1; space <= SPACES; space++) {
        memdb__vector_search_t search = search_of(&kept, space),
                               reference = search_of(&listed, space);
        memdb__vector_hit_t hits[ROWS], expected[ROWS];
        size_t count, total;
        memdb_status_t status = memdb__vector_search(query, &search, hits, ROWS, &count, error);
        if (status != MEMDB_OK)
            return status;
        if (space == 2) {
            assert_int_equal(count, 0);
            continue;
        }
        status = memdb__vector_search(query, &reference, expected, ROWS, &total, error);
        if (status != MEMDB_OK)
            return status;
        assert_int_equal(count, total);
        for (size_t i = 0; i < count; i++)
            assert_true(hits[i].id == expected[i].id && hits[i].version == expected[i].version &&
                        hits[i].score == expected[i].score);
    }
    return MEMDB_OK;
}

static void test_atlas_segment_answers_as_the_list_it_was_folded_from(void **state) {
    files_t *files = *state;
    memdb__vector_segment_t *segment;
    memdb_error_t error;
    assert_ok(memdb__vector_segment_open(files->directory, "whole", &identity, files->size,
                                         files->checksum, &segment, &error),
              &error);
    assert_ok(compare(files, segment, &error), &error);
    assert_ok(memdb__vector_segment_verify(segment, NULL, NULL, &error), &error);
    // A merge with the list that it came from: each row once, so the same file.
    memdb__vector_source_t sources[2] = {{.segment = segment}, {.list = files->list}};
    uint64_t size, checksum;
    assert_ok(memdb__vector_segment_write(files->directory, "again", &identity, sources, 2,
                                          UINT64_MAX, every_row, no_space_two, NULL, &size,
                                          &checksum, &error),
              &error);
    assert_int_equal(size, files->size);
    assert_int_equal(checksum, files->checksum);
    unlinkat(files->directory, "again", 0);
    memdb__vector_segment_close(segment);
}

typedef struct reader {
    files_t *files;
    memdb__vector_segment_t *segment;
    memdb_status_t status;
} reader_t;

static void *read_whole(void *argument) {
    reader_t *reader = argument;
    reader->status = compare(reader->files, reader->segment, NULL);
    return NULL;
}

static void test_atlas_segment_is_checked_by_many_threads_at_once(void **state) {
    files_t *files = *state;
    reader_t readers[4];
    pthread_t threads[4];
    memdb__vector_segment_t *segment;
    memdb_error_t error;
    assert_ok(memdb__vector_segment_open(files->directory, "whole", &identity, files->size,
                                         files->checksum, &segment, &error),
              &error);
    for (int i = 0; i < 4; i++) {
        readers[i] = (reader_t){.files = files, .segment = segment};
        assert_int_equal(pthread_create(&threads[i], NULL, read_whole, &readers[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(readers[i].status, MEMDB_OK);
    }
    memdb__vector_segment_close(segment);
}

static bool no_row(void *context, memdb_space_t space, uint64_t id, uint64_t version) {
    (void)context, (void)space, (void)id, (void)version;
    return false;
}

static void test_atlas_segment_of_nothing_opens(void **state) {
    files_t *files = *state;
    memdb__vector_source_t source = {.list = files->list};
    uint64_t size, checksum;
    memdb_error_t error;
    for (int sources = 0; sources < 2; sources++) {
        assert_ok(memdb__vector_segment_write(files->directory, "empty", &identity, &source,
                                              (size_t)sources, UINT64_MAX, no_row, every_space,
                                              NULL, &size, &checksum, &error),
                  &error);
        memdb__vector_segment_t *segment;
        assert_ok(memdb__vector_segment_open(files->directory, "empty", &identity, size, checksum,
                                             &segment, &error),
                  &error);
        assert_ok(memdb__vector_segment_verify(segment, NULL, NULL, &error), &error);
        memdb__vector_source_t kept = {.segment = segment};
        memdb__vector_search_t search = search_of(&kept, 1);
        memdb__vector_hit_t hit;
        size_t count = 9;
        const float query[DIMENSION] = {1};
        assert_ok(memdb__vector_search(query, &search, &hit, 1, &count, &error), &error);
        assert_int_equal(count, 0);
        memdb__vector_segment_close(segment);
        unlinkat(files->directory, "empty", 0);
    }
}

static void test_atlas_segment_damage_never_changes_an_answer(void **state) {
    files_t *files = *state;
    random_t random = random_seeded();
    uint8_t *bytes;
    size_t size, refused = 0, damaged = 0;
    memdb_error_t error;
    assert_ok(memdb__io_read_file(files->directory, "whole", 1 << 24, &bytes, &size, &error),
              &error);
    for (size_t at = 0; at < size; at += 1 + random_next(&random) % 60) {
        uint8_t old = bytes[at];
        bytes[at] ^= (uint8_t)(1u << random_next(&random) % 8);
        int fd = openat(files->directory, "damaged", O_WRONLY | O_CREAT | O_TRUNC, 0600);
        assert_true(write(fd, bytes, size) == (ssize_t)size);
        close(fd);
        bytes[at] = old;
        damaged++;
        memdb__vector_segment_t *segment;
        memdb_status_t status = memdb__vector_segment_open(
            files->directory, "damaged", &identity, files->size, files->checksum, &segment, &error);
        if (status == MEMDB_OK) {
            assert_int_equal(memdb__vector_segment_verify(segment, NULL, NULL, &error),
                             MEMDB_CORRUPT);
            status = compare(files, segment, &error);
            memdb__vector_segment_close(segment);
        }
        // A changed byte of the padding between sections is no byte of an answer.
        assert_true(status == MEMDB_CORRUPT || status == MEMDB_VERSION || status == MEMDB_OK);
        if (status != MEMDB_OK) {
            refused++;
            assert_non_null(strstr(error.message, "damaged"));
        }
    }
    print_message("%zu of %zu damages refused, the others in no page that was read\n", refused,
                  damaged);
    assert_true(refused * 10 > damaged * 9);
    memdb__free(bytes);
}

static void test_atlas_segment_survives_each_failed_allocation(void **state) {
    files_t *files = *state;
    uint64_t live = memdb__memory_live();
    for (uint64_t fail = 0;; fail++) {
        memdb_error_t error;
        memdb__vector_segment_t *segment = NULL;
        memdb__memory_fail_after(fail);
        memdb_status_t status = write_segment(files, "trial", &error);
        bool written = status == MEMDB_OK;
        if (status == MEMDB_OK)
            status = memdb__vector_segment_open(files->directory, "trial", &identity, files->size,
                                                files->checksum, &segment, &error);
        if (status == MEMDB_OK)
            status = compare(files, segment, &error);
        memdb__memory_fail_after(UINT64_MAX);
        memdb__vector_segment_close(segment);
        assert_int_equal(memdb__memory_live(), live);
        assert_int_equal(unlinkat(files->directory, "trial", 0) == 0, written);
        if (status == MEMDB_OK)
            break;
        assert_int_equal(status, MEMDB_NOMEM);
    }
}

// ------------------------------------------------------------------------------ failing I/O

static uint64_t calls_left;

static bool io_fails(void) {
    errno = EIO;
    return calls_left-- == 0;
}

static ssize_t failing_pwrite(int fd, const void *buffer, size_t size, off_t offset) {
    return io_fails() ? -1 : memdb__io_real.pwrite(fd, buffer, size, offset);
}

static int failing_open(int directory, const char *name, int flags, mode_t mode) {
    return io_fails() ? -1 : memdb__io_real.open_at(directory, name, flags, mode);
}

static int failing_sync_data(int fd) {
    return io_fails() ? -1 : memdb__io_real.sync_data(fd);
}

static int failing_sync_all(int fd) {
    return io_fails() ? -1 : memdb__io_real.sync_all(fd);
}

static int failing_stat(int fd, struct stat *out) {
    return io_fails() ? -1 : memdb__io_real.stat(fd, out);
}

static void *failing_map(int fd, size_t size, int protection) {
    return io_fails() ? (void *)-1 : memdb__io_real.map(fd, size, protection);
}

static void test_atlas_segment_survives_each_failed_call(void **state) {
    files_t *files = *state;
    memdb__io_table_t table = memdb__io_real;
    table.pwrite = failing_pwrite;
    table.open_at = failing_open;
    table.sync_data = failing_sync_data;
    table.sync_all = failing_sync_all;
    table.stat = failing_stat;
    table.map = failing_map;
    uint64_t live = memdb__memory_live();
    for (uint64_t call = 0;; call++) {
        memdb_error_t error;
        memdb__vector_segment_t *segment = NULL;
        calls_left = call;
        memdb__io_install(&table);
        memdb_status_t status = write_segment(files, "trial", &error);
        bool written = status == MEMDB_OK;
        if (status == MEMDB_OK)
            status = memdb__vector_segment_open(files->directory, "trial", &identity, files->size,
                                                files->checksum, &segment, &error);
        if (status == MEMDB_OK)
            status = compare(files, segment, &error);
        memdb__io_install(NULL);
        memdb__vector_segment_close(segment);
        assert_int_equal(memdb__memory_live(), live);
        assert_int_equal(unlinkat(files->directory, "trial", 0) == 0, written);
        if (status == MEMDB_OK)
            break;
        assert_int_equal(status, MEMDB_IO);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_atlas_segment_answers_as_the_list_it_was_folded_from),
        cmocka_unit_test(test_atlas_segment_is_checked_by_many_threads_at_once),
        cmocka_unit_test(test_atlas_segment_of_nothing_opens),
        cmocka_unit_test(test_atlas_segment_damage_never_changes_an_answer),
        cmocka_unit_test(test_atlas_segment_survives_each_failed_allocation),
        cmocka_unit_test(test_atlas_segment_survives_each_failed_call),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
