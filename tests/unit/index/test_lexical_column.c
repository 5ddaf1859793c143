// Columns of words segments: any numbers come back, numbers that rise by one cost nothing, a block
// that says what it should not is found, and a segment of layout 1, from before columns, reads as
// ever.
#include "index/lexical/lexical_column.h"
#include "tests/unit/index/test_lexical_fixture.h"

// A file with one column, seen as a segment.
typedef struct column_file {
    folder_t folder;
    memdb__words_segment_t segment;
} column_file_t;

static void write_column(column_file_t *file, const memdb__buffer_t *bytes, uint64_t numbers) {
    memdb_error_t error;
    memdb__segment_identity_t identity = identity_of(0);
    memdb__container_writer_t *writer;
    uint64_t size, checksum;
    folder_init(&file->folder);
    must(memdb__container_create(file->folder.fd, "0.words", &identity, &writer, &error), &error);
    must(memdb__container_begin(writer, MEMDB__WORDS_IDS, &error), &error);
    must(memdb__container_append(writer, bytes->data, bytes->size, &error), &error);
    must(memdb__container_finish(writer, &size, &checksum, &error), &error);
    file->segment = (memdb__words_segment_t){.head = {.layout = 2, .documents = numbers}};
    must(memdb__container_open(file->folder.fd, "0.words", &identity, size, checksum,
                               &file->segment.container, &error),
         &error);
    file->segment.sections[MEMDB__WORDS_IDS] = memdb__container_section(
        file->segment.container, MEMDB__WORDS_IDS, &file->segment.sizes[MEMDB__WORDS_IDS]);
}

static void close_column(column_file_t *file) {
    memdb__container_close(file->segment.container);
    folder_deinit(&file->folder);
}

static memdb__buffer_t encode(const uint64_t *numbers, size_t count, bool rising) {
    memdb__column_t *column = calloc(1, sizeof *column);
    memdb__buffer_t bytes = {0};
    assert_non_null(column);
    column->rising = rising;
    for (size_t i = 0; i < count; i++) {
        memdb__column_add(column, numbers[i]);
    }
    memdb__column_end(column);
    memdb__buffer_append(&bytes, column->heads.data, column->heads.size);
    memdb__buffer_append(&bytes, column->bits.data, column->bits.size);
    assert_false(column->heads.failed || column->bits.failed || bytes.failed);
    memdb__column_deinit(column);
    free(column);
    return bytes;
}

// Numbers that rise now and then, some of them from anywhere below a limit of any size.
static void random_numbers(uint64_t *numbers, size_t count, uint64_t *seed) {
    uint64_t limit = UINT64_MAX >> random_next(seed) % 64, step = random_next(seed) % 4;
    uint64_t kind = random_next(seed) % 3, number = random_next(seed);
    for (size_t i = 0; i < count; i++) {
        number += kind == 0 ? step : random_next(seed) % (1 + (random_next(seed) & limit));
        numbers[i] = kind == 2 ? random_next(seed) & limit : number;
    }
}

static void test_column_gives_back_any_numbers(void **state) {
    (void)state;
    uint64_t seed = test_seed(), numbers[700];
    for (int round = 0; round < 300; round++) {
        memdb_error_t error;
        bool rising = round % 2;
        size_t count = random_next(&seed) % (sizeof numbers / sizeof *numbers + 1);
        random_numbers(numbers, count, &seed);
        memdb__buffer_t bytes = encode(numbers, count, rising);
        column_file_t file;
        write_column(&file, &bytes, count);
        assert_true(memdb__column_fits(bytes.size, count));
        for (size_t i = 0; i < count; i++) {
            uint64_t number;
            must(memdb__column_read(&file.segment, MEMDB__WORDS_IDS, i, rising, &number, &error),
                 &error);
            if (number != numbers[i]) {
                fail_msg("number %zu of %zu in round %d", i, count, round);
            }
        }
        uint64_t position;
        must(memdb__column_verify(&file.segment, MEMDB__WORDS_IDS, &position, &error), &error);
        close_column(&file);
        memdb__buffer_deinit(&bytes);
    }
}

static void test_column_of_numbers_that_rise_by_one_is_heads_alone(void **state) {
    (void)state;
    uint64_t numbers[1000];
    for (uint64_t i = 0; i < 1000; i++) {
        numbers[i] = 77 + i;
    }
    memdb__buffer_t bytes = encode(numbers, 1000, true);
    assert_int_equal(bytes.size, 8 * MEMDB__COLUMN_HEAD_BYTES + MEMDB__COLUMN_END_BYTES);
    memdb__buffer_deinit(&bytes);
}

static void expect_corrupt(size_t at, uint8_t byte, uint64_t position) {
    uint64_t numbers[130], found_at = 0;
    for (uint64_t i = 0; i < 130; i++) {
        numbers[i] = i % 5;
    }
    memdb__buffer_t bytes = encode(numbers, 130, false); // two heads, 48 bytes, 16 bytes, 8 zeros
    memdb_error_t error;
    column_file_t file;
    assert_int_equal(bytes.size, 2 * 16 + 48 + 16 + 8);
    bytes.data[at] ^= byte;
    write_column(&file, &bytes, 130);
    assert_int_equal(memdb__column_verify(&file.segment, MEMDB__WORDS_IDS, &found_at, &error),
                     MEMDB_CORRUPT);
    assert_int_equal(found_at, position);
    close_column(&file);
    memdb__buffer_deinit(&bytes);
}

static void test_column_with_bytes_that_mean_nothing_is_corrupt(void **state) {
    (void)state;
    expect_corrupt(8, 1, 0);   // where the bits of the first block begin
    expect_corrupt(14, 60, 0); // 63 bits a number
    expect_corrupt(15, 1, 0);  // reserved
    expect_corrupt(30, 2, 16); // 3 bits instead of 1: the section is too short
    expect_corrupt(85, 1, 85); // behind the numbers of the last block
    expect_corrupt(96, 1, 96); // the zeros at the end
}

static void add_documents_of_the_golden_segment(memdb__words_list_t *list) {
    for (uint64_t i = 0; i < 300; i++) {
        char text[128];
        snprintf(text, sizeof text, "red fox number %llu of %llu%s", (unsigned long long)(i % 10),
                 (unsigned long long)i, i % 7 ? "" : " again again");
        add(list, 1 + (memdb_space_t)(i % 3), 1000 + 3 * (i / 2), 10 * i + 1, text);
    }
}

static void expect_same_answers(const memdb__words_source_t *a, const memdb__words_source_t *b) {
    static const char *const questions[] = {"red fox", "number 7", "again 14", "numb* 2*", "299"};
    for (size_t q = 0; q < 5; q++) {
        size_t all = 0;
        for (memdb_space_t space = 1; space <= 3; space++) {
            memdb_error_t error;
            memdb__words_hit_t hits[2][120];
            size_t found[2];
            const memdb__words_source_t *sources[2] = {a, b};
            for (int i = 0; i < 2; i++) {
                memdb__words_search_t search = {.space = space,
                                                .visible = UINT64_MAX,
                                                .sources = sources[i],
                                                .source_count = 1,
                                                .live = live_always};
                memdb__words_query_t *query = query_of(questions[q]);
                must(memdb__words_search(query, &search, hits[i], 120, &found[i], &error), &error);
                memdb__words_query_destroy(query);
            }
            assert_int_equal(found[0], found[1]);
            assert_memory_equal(hits[0], hits[1], found[0] * sizeof hits[0][0]);
            all += found[0];
        }
        assert_true(all > 0);
    }
}

static void test_words_layout_1_is_read_and_is_written_anew_as_layout_2(void **state) {
    (void)state;
    memdb_error_t error;
    folder_t folder;
    memdb__words_source_t golden = {0}, list = {.list = memdb__words_list_create()}, anew = {0};
    memdb__segment_identity_t identity = identity_of(1);
    int directory = open(MEMDB_GOLDEN, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(directory >= 0);
    must(memdb__words_segment_open(directory, "words_layout_1.seg", &identity, 0, 0,
                                   &golden.segment, &error),
         &error);
    close(directory);
    assert_int_equal(golden.segment->head.layout, 1);
    must(memdb__words_segment_verify(golden.segment, NULL, NULL, &error), &error);
    add_documents_of_the_golden_segment(list.list);
    expect_same_answers(&golden, &list);
    folder_init(&folder);
    must(write_and_open(&folder, &golden, 1, UINT64_MAX, live_always, NULL, &anew.segment, &error),
         &error);
    assert_int_equal(anew.segment->head.layout, 2);
    must(memdb__words_segment_verify(anew.segment, NULL, NULL, &error), &error);
    expect_same_answers(&anew, &list);
    memdb__words_segment_close(anew.segment);
    memdb__words_segment_close(golden.segment);
    memdb__words_list_destroy(list.list);
    folder_deinit(&folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_column_gives_back_any_numbers),
        cmocka_unit_test(test_column_of_numbers_that_rise_by_one_is_heads_alone),
        cmocka_unit_test(test_column_with_bytes_that_mean_nothing_is_corrupt),
        cmocka_unit_test(test_words_layout_1_is_read_and_is_written_anew_as_layout_2),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
