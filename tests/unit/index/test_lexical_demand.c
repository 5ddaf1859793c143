// Demands: which texts meet one, and which ids the index gives for it. test_boolean has the random
// tests, through recall.
#include "tests/unit/index/test_lexical_fixture.h"

static void phrase(memdb__words_demand_t *demand, bool opens, bool forbidden, bool prefix,
                   const char *words) {
    memdb_error_t error;
    bool empty;
    assert_int_equal(memdb__words_demand_phrase(demand, opens, forbidden, prefix, words,
                                                strlen(words), &empty, &error),
                     MEMDB_OK);
    assert_false(empty);
}

static bool meets(memdb__words_demand_t *demand, const char *text, const char *actor) {
    memdb_error_t error;
    bool first, again;
    memdb_bytes_t t = {text, strlen(text)}, a = {actor, strlen(actor)};
    assert_int_equal(memdb__words_demand_meets(demand, t, a, &first, &error), MEMDB_OK);
    assert_int_equal(memdb__words_demand_meets(demand, t, a, &again, &error), MEMDB_OK);
    assert_int_equal(first, again); // the state is reset
    return first;
}

static void expect(const char *words, bool prefix, const char *text, bool holds) {
    memdb__words_demand_t *demand = memdb__words_demand_create(MEMDB_TOKENIZER_ENGLISH);
    print_message("%s%s in %s\n", words, prefix ? "*" : "", text);
    phrase(demand, true, false, prefix, words);
    assert_int_equal(meets(demand, text, ""), holds);
    memdb__words_demand_destroy(demand);
    demand = memdb__words_demand_create(MEMDB_TOKENIZER_ENGLISH);
    phrase(demand, true, true, prefix, words);
    assert_int_equal(meets(demand, text, ""), !holds);
    memdb__words_demand_destroy(demand);
}

static void test_demand_finds_phrases_words_and_prefixes(void **state) {
    (void)state;
    expect("red fox", false, "The red foxes met a Red Fox.", true);
    expect("red fox", false, "the fox is red", false);
    expect("red fox", false, "red, fox", true);
    expect("a b a", false, "a b b a b a", true);
    expect("a a b", false, "a a a b", true);
    expect("the", false, "on the road", true); // stop words are words here
    expect("FOXES", false, "a fox", true);
    expect("blu", true, "bluish", true);
    expect("blu", true, "a blow", false);
    expect("red fo", true, "a red forest", true);
    expect("red fo", true, "red or forest", false);
    expect("memory", true, "old memories", true); // by its stem
    expect("runni", true, "running", false);      // a stem does not reach so far
    expect("\xE6\x9D\xB1\xE4\xBA\xAC", false, "\xE5\x9C\xA8\xE6\x9D\xB1\xE4\xBA\xAC", true);
    expect("\xE6\x9D\xB1\xE4\xBA\xAC", false, "\xE4\xBA\xAC\xE6\x9D\xB1", false);
}

static void test_demand_joins_clauses_and_alternatives(void **state) {
    (void)state;
    memdb__words_demand_t *demand = memdb__words_demand_create(MEMDB_TOKENIZER_PLAIN);
    assert_false(memdb__words_demand_requires(demand));
    phrase(demand, true, true, false, "dog");
    assert_false(memdb__words_demand_requires(demand));
    phrase(demand, true, false, false, "fox");
    phrase(demand, false, false, false, "red wolf");
    phrase(demand, true, false, false, "ann");
    assert_true(memdb__words_demand_requires(demand));
    assert_int_equal(memdb__words_demand_clauses(demand), 3);
    assert_true(meets(demand, "a fox", "Ann"));
    assert_true(meets(demand, "ann saw a red wolf", ""));
    assert_false(meets(demand, "a red", "wolf ann")); // the actor's name is a text of its own
    assert_false(meets(demand, "a fox and a dog", "Ann"));
    assert_false(meets(demand, "a fox", "Ann's dog"));
    assert_false(meets(demand, "a fox", "Bob"));
    memdb__words_demand_destroy(demand);
}

static void test_demand_without_words_is_empty_and_too_many_are_refused(void **state) {
    (void)state;
    static char many[3 * (MEMDB__WORDS_QUERY_WORDS + 1)];
    memdb_error_t error;
    bool empty;
    memdb__words_demand_t *demand = memdb__words_demand_create(MEMDB_TOKENIZER_PLAIN);
    assert_int_equal(
        memdb__words_demand_phrase(demand, true, false, false, "?!", 2, &empty, &error), MEMDB_OK);
    assert_true(empty);
    assert_int_equal(memdb__words_demand_clauses(demand), 0);
    for (size_t i = 0; i + 2 < sizeof many; i += 3) {
        memcpy(many + i, "ab ", 3);
    }
    assert_int_equal(
        memdb__words_demand_phrase(demand, true, false, false, many, sizeof many, &empty, &error),
        MEMDB_LIMIT);
    memdb__words_demand_destroy(demand);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_demand_finds_phrases_words_and_prefixes),
        cmocka_unit_test(test_demand_joins_clauses_and_alternatives),
        cmocka_unit_test(test_demand_without_words_is_empty_and_too_many_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
