// Bags: round trip through the reader, and every kind of malformed bytes.
#include "index/lexical/lexical_bag.h"
#include "index/lexical/lexical_code.h"
#include "tests/unit/index/test_lexical_fixture.h"

static void encode(const char *text, const char *actor, memdb__buffer_t *bag) {
    memdb_error_t error;
    memdb__buffer_clear(bag);
    must(memdb__bag_encode(MEMDB_TOKENIZER_PLAIN, text, strlen(text), actor, strlen(actor), bag,
                           &error),
         &error);
}

static void test_bag_holds_terms_in_order_with_counts(void **state) {
    (void)state;
    memdb__buffer_t data = {0};
    encode("the cat and the hat and the bat", "Ann", &data);
    const struct {
        const char *term;
        uint32_t tf;
    } expected[] = {{"and", 2}, {"ann", 1}, {"bat", 1}, {"cat", 1}, {"hat", 1}, {"the", 3}};
    memdb__bag_t bag;
    assert_true(memdb__bag_open(&bag, data.data, data.size));
    assert_int_equal(bag.tokens, 9);
    for (size_t i = 0; i < 6; i++) {
        assert_true(memdb__bag_next(&bag));
        assert_int_equal(bag.size, strlen(expected[i].term));
        assert_memory_equal(bag.term, expected[i].term, bag.size);
        assert_int_equal(bag.tf, expected[i].tf);
    }
    assert_false(memdb__bag_next(&bag));
    assert_false(bag.bad);
    memdb__buffer_deinit(&data);
}

static void test_bag_of_nothing_is_two_zeros(void **state) {
    (void)state;
    memdb__buffer_t data = {0};
    encode("...", "", &data);
    assert_int_equal(data.size, 2);
    assert_int_equal(data.data[0] | data.data[1], 0);
    assert_true(memdb__bag_verify(data.data, data.size));
    assert_false(memdb__bag_verify(data.data, 0));
    memdb__buffer_deinit(&data);
}

static void test_bag_of_many_words_is_sorted(void **state) {
    (void)state;
    uint64_t seed = test_seed();
    char *text = malloc(200000);
    size_t size = 0;
    for (int i = 0; i < 20000; i++) {
        size += (size_t)snprintf(text + size, 200000 - size, "w%llu ",
                                 (unsigned long long)(random_next(&seed) % 5000));
    }
    memdb__buffer_t data = {0};
    encode(text, "", &data);
    assert_true(memdb__bag_verify(data.data, data.size)); // checks order and sum
    memdb__bag_t bag;
    memdb__bag_open(&bag, data.data, data.size);
    assert_int_equal(bag.tokens, 20000);
    memdb__buffer_deinit(&data);
    free(text);
}

static void test_bag_malformed_bytes_are_refused(void **state) {
    (void)state;
    const struct {
        const char *bytes;
        size_t size;
        bool good;
    } rows[] = {
        {"\x01\x01\x01"
         "a\x01",
         5, true},
        {"\x01\x01\x01"
         "a\x01x",
         6, false}, // something follows
        {"\x01\x01\x01"
         "a",
         4, false}, // ends early
        {"\x02\x01\x01"
         "a\x01",
         5, false}, // sum of tf is not the length
        {"\x01\x01\x01"
         "a\x02",
         5, false},
        {"\x02\x02\x01"
         "a\x01\x01"
         "a\x01",
         8, false}, // twice the same
        {"\x02\x02\x01"
         "b\x01\x01"
         "a\x01",
         8, false}, // falling
        {"\x02\x02\x01"
         "a\x01\x01"
         "b\x01",
         8, true},
        {"\x01\x01\x00\x01", 4, false}, // empty term
        {"\x00\x01\x01"
         "a\x00",
         5, false},             // tf 0
        {"\x01\x00", 2, false}, // length without terms
        {"\x00\x00\x00", 3, false},
        {"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01\x01", 12, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(memdb__bag_verify((const uint8_t *)rows[i].bytes, rows[i].size),
                         rows[i].good);
    }
}

static void test_bag_damaged_anywhere_never_misleads_the_list(void **state) {
    (void)state;
    memdb__buffer_t data = {0};
    encode("a quick brown fox jumps over the lazy dog again and again", "Bob", &data);
    for (size_t i = 0; i < data.size; i++) {
        for (int bit = 0; bit < 8; bit++) {
            data.data[i] ^= (uint8_t)(1 << bit);
            memdb_error_t error;
            memdb__words_list_t *list = memdb__words_list_create();
            memdb_status_t status =
                memdb__words_list_add(list, 1, 1, 1, data.data, data.size, &error);
            assert_int_equal(status == MEMDB_OK, memdb__bag_verify(data.data, data.size));
            memdb__words_source_t source = {.list = list};
            memdb__words_search_t search = {.space = 1,
                                            .visible = 9,
                                            .sources = &source,
                                            .source_count = 1,
                                            .live = live_always};
            memdb__words_totals_t totals;
            must(memdb__words_totals(&search, &totals, &error), &error);
            assert_int_equal(totals.documents, status == MEMDB_OK);
            memdb__words_list_destroy(list);
            data.data[i] ^= (uint8_t)(1 << bit);
        }
    }
    memdb__buffer_deinit(&data);
}

static void test_code_bounds_hold_for_all_pairs(void **state) {
    (void)state;
    const int64_t averages[] = {1, 5, 9, 60, 700, 20000};
    for (size_t a = 0; a < sizeof averages / sizeof averages[0]; a++) {
        memdb__bm25_t bm25;
        float bounds[MEMDB__CODE_COUNT];
        memdb__bm25_init(&bm25, NULL, 1, averages[a]);
        memdb__bm25_bounds(&bm25, bounds);
        for (uint32_t tf = 1; tf < 40; tf++) {
            for (uint32_t length = tf; length < 200000; length += 1 + length / 7) {
                uint8_t code = memdb__code_of(tf, length);
                assert_int_equal(memdb__code_tf(code), tf < 8 ? tf : 8);
                assert_int_equal(memdb__code_needs_tf(code), tf >= 8);
                assert_true(memdb__code_length[code] <= length);
                assert_true(bounds[code] >= memdb__bm25_weight(&bm25, tf, length));
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bag_holds_terms_in_order_with_counts),
        cmocka_unit_test(test_bag_of_nothing_is_two_zeros),
        cmocka_unit_test(test_bag_of_many_words_is_sorted),
        cmocka_unit_test(test_bag_malformed_bytes_are_refused),
        cmocka_unit_test(test_bag_damaged_anywhere_never_misleads_the_list),
        cmocka_unit_test(test_code_bounds_hold_for_all_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
