// The tokenizer by tables: what comes out for what goes in, for words, accents, dense scripts and
// broken bytes.
#include "index/lexical/lexical_token.h"
#include "tests/unit/index/test_lexical_fixture.h"

typedef struct output {
    char text[4096];
    size_t size;
    uint32_t left; // tokens until it stops
} output_t;

static bool collect(void *context, const char *term, size_t size, uint32_t position) {
    output_t *output = context;
    output->size +=
        (size_t)snprintf(output->text + output->size, sizeof output->text - output->size,
                         "%s%.*s@%u", output->size ? " " : "", (int)size, term, position);
    return output->left == 0 || --output->left > 0;
}

static const char *tokens(memdb_tokenizer_kind_t kind, const char *text, size_t size) {
    static output_t output;
    memset(&output, 0, sizeof output);
    assert_true(memdb__tokenize(kind, text, size, collect, &output));
    return output.text;
}

static void expect(memdb_tokenizer_kind_t kind, const char *text, const char *expected) {
    assert_string_equal(tokens(kind, text, strlen(text)), expected);
}

static void test_tokenize_splits_words_and_folds_case(void **state) {
    (void)state;
    expect(MEMDB_TOKENIZER_PLAIN, "", "");
    expect(MEMDB_TOKENIZER_PLAIN, " .,;!? ", "");
    expect(MEMDB_TOKENIZER_PLAIN, "Hello, World-wide 42nd x86_64",
           "hello@0 world@1 wide@2 42nd@3 x86@4 64@5");
    expect(MEMDB_TOKENIZER_ENGLISH, "running Memories were painted",
           "run@0 memori@1 were@2 paint@3");
}

static void test_tokenize_apostrophes(void **state) {
    (void)state;
    expect(MEMDB_TOKENIZER_PLAIN, "Caroline's cat", "caroline@0 cat@1");
    expect(MEMDB_TOKENIZER_PLAIN, "Caroline\xE2\x80\x99s dogs' don't O'Neil 'quoted'",
           "caroline@0 dogs@1 don't@2 o'neil@3 quoted@4");
    expect(MEMDB_TOKENIZER_PLAIN, "a''b '' 's", "a@0 b@1 s@2");
    expect(MEMDB_TOKENIZER_ENGLISH, "Caroline's", "carolin@0");
}

static void test_tokenize_folds_accents_and_compatibility(void **state) {
    (void)state;
    expect(MEMDB_TOKENIZER_PLAIN,
           "\xC3\x9Cn\xC3\xAF"
           "c\xC3\xB6"
           "d\xC3\xA9 na\xC3\xAFve",
           "unicode@0 naive@1");
    expect(MEMDB_TOKENIZER_PLAIN, "e\xCC\x81t\xC3\xA9", "ete@0"); // combining and composed
    expect(MEMDB_TOKENIZER_PLAIN,
           "stra\xC3\x9F"
           "e \xEF\xAC\x81sh",
           "strasse@0 fish@1"); // sharp s, ligature
    expect(MEMDB_TOKENIZER_PLAIN, "\xEF\xBC\xA1\xEF\xBC\xA2\xEF\xBC\x93", "ab3@0"); // full width
    expect(MEMDB_TOKENIZER_PLAIN, "soft\xC2\xADhyphen", "softhyphen@0");
    expect(MEMDB_TOKENIZER_PLAIN, "\xD0\x9C\xD0\xBE\xD1\x81\xD0\xBA\xD0\xB2\xD0\xB0",
           "\xD0\xBC\xD0\xBE\xD1\x81\xD0\xBA\xD0\xB2\xD0\xB0@0");
    // Hindi: vowel signs are part of the word
    expect(MEMDB_TOKENIZER_PLAIN,
           "\xE0\xA4\xB9\xE0\xA4\xBF\xE0\xA4\xA8\xE0\xA5\x8D\xE0\xA4\xA6\xE0\xA5\x80",
           "\xE0\xA4\xB9\xE0\xA4\xBF\xE0\xA4\xA8\xE0\xA5\x8D\xE0\xA4\xA6\xE0\xA5\x80@0");
}

static void test_tokenize_dense_scripts_as_characters_and_pairs(void **state) {
    (void)state;
    expect(MEMDB_TOKENIZER_ENGLISH, "\xE6\x9D\xB1\xE4\xBA\xAC",
           "\xE6\x9D\xB1@0 \xE6\x9D\xB1\xE4\xBA\xAC@0 \xE4\xBA\xAC@1");
    expect(MEMDB_TOKENIZER_ENGLISH,
           "in \xE6\x9D\xB1, \xE4\xBA\xAC"
           "abc",
           "in@0 \xE6\x9D\xB1@1 \xE4\xBA\xAC@2 abc@3");
    // half-width KA and a voicing mark become GA; so do KA and a combining one
    expect(MEMDB_TOKENIZER_PLAIN, "\xEF\xBD\xB6\xEF\xBE\x9E", "\xE3\x82\xAC@0");
    expect(MEMDB_TOKENIZER_PLAIN, "\xE3\x81\x8B\xE3\x82\x99", "\xE3\x81\x8C@0");
    expect(MEMDB_TOKENIZER_PLAIN, "\xE3\x81\x8C", "\xE3\x81\x8C@0");
    // Hangul letters become one syllable
    expect(MEMDB_TOKENIZER_PLAIN, "\xE1\x84\x92\xE1\x85\xA1\xE1\x86\xAB", "\xED\x95\x9C@0");
    expect(MEMDB_TOKENIZER_PLAIN, "\xE0\xB8\x94\xE0\xB8\xB5",
           "\xE0\xB8\x94@0 \xE0\xB8\x94\xE0\xB8\xB5@0 \xE0\xB8\xB5@1"); // Thai
}

static void test_tokenize_bad_utf8_separates(void **state) {
    (void)state;
    expect(MEMDB_TOKENIZER_PLAIN, "one\xFF\xFEtwo\xC3", "one@0 two@1");
    expect(MEMDB_TOKENIZER_PLAIN, "\xED\xA0\x80x\xF5\x80y\xC0\xAFz", "x@0 y@1 z@2");
    assert_string_equal(tokens(MEMDB_TOKENIZER_PLAIN, "nul\0byte", 8), "nul@0 byte@1");
    assert_string_equal(tokens(MEMDB_TOKENIZER_PLAIN, "cut\xE6\x9D", 5), "cut@0");
}

// Bytes are read several at a time: each byte of ASCII, at each place of a word, before texts that
// end soon and late.
static void test_tokenize_each_ascii_byte_at_each_place(void **state) {
    (void)state;
    for (int byte = 0; byte < 128; byte++) {
        for (size_t place = 1; place < 19; place++) {
            char text[64] = "abcdefghijklmnopqrst", expected[96];
            bool upper = byte >= 'A' && byte <= 'Z', digit = byte >= '0' && byte <= '9';
            text[place] = (char)byte;
            memcpy(expected, text, sizeof text);
            expected[place] = (char)(upper ? byte + 'a' - 'A' : byte);
            memcpy(expected + 20, "@0", 3);
            if (!upper && !digit && !(byte >= 'a' && byte <= 'z') && byte != '\'') {
                snprintf(expected, sizeof expected, "%.*s@0 %s@1", (int)place, text,
                         text + place + 1);
            }
            assert_string_equal(tokens(MEMDB_TOKENIZER_PLAIN, text, 20), expected);
            memset(text + 20, ' ', 20);
            assert_string_equal(tokens(MEMDB_TOKENIZER_PLAIN, text, 40), expected);
        }
    }
}

static void test_tokenize_long_words_are_cut_at_a_character(void **state) {
    (void)state;
    char text[400], expected[80];
    memset(text, 'x', 300);
    memcpy(text + 300, " y", 3);
    memset(expected, 'x', MEMDB__MAX_TERM_BYTES);
    memcpy(expected + MEMDB__MAX_TERM_BYTES, "@0 y@1", 7);
    expect(MEMDB_TOKENIZER_PLAIN, text, expected);
    memset(text, 'x', 63); // a character of two bytes does not fit any more
    memcpy(text + 63, "\xD0\xB6z y", 6);
    memset(expected, 'x', 63);
    memcpy(expected + 63, "@0 y@1", 7);
    expect(MEMDB_TOKENIZER_PLAIN, text, expected);
}

static void test_tokenize_stops_when_told(void **state) {
    (void)state;
    output_t output = {.left = 2};
    assert_true(memdb__tokenize(MEMDB_TOKENIZER_PLAIN, "a b c d", 7, collect, &output));
    assert_string_equal(output.text, "a@0 b@1");
}

static void test_tokenize_random_bytes_give_bounded_terms(void **state) {
    (void)state;
    uint64_t seed = test_seed();
    for (int round = 0; round < 3000; round++) {
        char text[64];
        size_t size = random_next(&seed) % sizeof text;
        for (size_t i = 0; i < size; i++) {
            text[i] = (char)random_next(&seed);
        }
        memdb__buffer_t bag = {0};
        memdb_error_t error;
        must(memdb__bag_encode((memdb_tokenizer_kind_t)(round & 1), text, size, NULL, 0, &bag,
                               &error),
             &error);
        assert_true(memdb__bag_verify(bag.data, bag.size));
        memdb__buffer_deinit(&bag);
    }
}

typedef struct places {
    memdb_tokenizer_kind_t kind;
    const char *text;
    size_t size, tokens;
    const memdb__token_t *wanted; // inside: look for it
    bool found;
} places_t;

static bool look(void *context, const memdb__token_t *token) {
    places_t *places = context;
    places->found = places->found || (token->size == places->wanted->size &&
                                      memcmp(token->term, places->wanted->term, token->size) == 0);
    return true;
}

/// The bytes of a token, taken alone, give it again.
static bool check_place(void *context, const memdb__token_t *token) {
    places_t *places = context;
    uint8_t term[MEMDB__MAX_TERM_BYTES];
    memdb__token_t copy = *token;
    memcpy(term, token->term, token->size);
    copy.term = term; // the inner pass uses the same stemmer
    places_t inside = {.wanted = &copy};
    assert_true(token->from < token->to && token->to <= places->size);
    assert_true(((uint8_t)places->text[token->from] & 0xC0) != 0x80);
    assert_true(memdb__tokenize_each(places->kind, (const uint8_t *)places->text + token->from,
                                     token->to - token->from, look, &inside));
    if (!inside.found) {
        fail_msg("%.*s: bytes %zu to %zu are not '%.*s'", (int)places->size, places->text,
                 token->from, token->to, (int)copy.size, copy.term);
    }
    places->tokens++;
    return true;
}

static void test_tokens_know_their_bytes(void **state) {
    (void)state;
    static const char *const parts[] = {"a",
                                        "Foxes",
                                        " ",
                                        "  ",
                                        "-",
                                        "'",
                                        "'s ",
                                        "9",
                                        "\xC3\x89",
                                        "e\xCC\x81", // E acute, twice
                                        "\xEF\xAC\x81",
                                        "\xE6\x9D\xB1",
                                        "\xE4\xBA\xAC",
                                        "\xE3\x82\xAB\xE3\x82\x99", // fi, dense
                                        "\xE3\x8C\x80",
                                        "\xF0\x9F\x91\x8D",
                                        "\xE2\x80\x99",
                                        "running",
                                        "\xD0\xB6"};
    uint64_t seed = test_seed();
    size_t tokens = 0;
    for (int round = 0; round < 20000; round++) {
        char words[200] = "";
        size_t used = 0;
        for (uint64_t i = random_next(&seed) % 12; i > 0; i--) {
            used += (size_t)snprintf(words + used, sizeof words - used, "%s",
                                     parts[random_next(&seed) % (sizeof parts / sizeof *parts)]);
        }
        places_t places = {
            .kind = (memdb_tokenizer_kind_t)(round & 1), .text = words, .size = strlen(words)};
        assert_true(memdb__tokenize_each(places.kind, (const uint8_t *)words, places.size,
                                         check_place, &places));
        tokens += places.tokens;
    }
    assert_true(tokens > 50000);
}

static void test_query_keeps_stop_words_only_when_alone(void **state) {
    (void)state;
    const struct {
        const char *text;
        size_t terms;
    } rows[] = {{"", 0},
                {"?!", 0},
                {"What did Caroline paint?", 2},
                {"to be or not to be", 4},
                {"who is the", 3},
                {"cat cat CAT cats", 1},
                {"\"new york\" pizza", 3},
                {"\"to be\" or not", 4},
                {"an open \" quote", 2},
                {"mem* the", 1},
                {"* ** foo*bar", 2},
                {"\"red* the\" fox", 2},
                {"\xE2\x80\x9Cred fox\xE2\x80\x9D \"blue\" \"\"", 3}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        memdb__words_query_t *query = query_of(rows[i].text);
        print_message("%s\n", rows[i].text);
        assert_int_equal(memdb__words_query_terms(query), rows[i].terms);
        memdb__words_query_destroy(query);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokenize_splits_words_and_folds_case),
        cmocka_unit_test(test_tokenize_apostrophes),
        cmocka_unit_test(test_tokenize_folds_accents_and_compatibility),
        cmocka_unit_test(test_tokenize_dense_scripts_as_characters_and_pairs),
        cmocka_unit_test(test_tokenize_bad_utf8_separates),
        cmocka_unit_test(test_tokenize_each_ascii_byte_at_each_place),
        cmocka_unit_test(test_tokenize_long_words_are_cut_at_a_character),
        cmocka_unit_test(test_tokenize_stops_when_told),
        cmocka_unit_test(test_tokenize_random_bytes_give_bounded_terms),
        cmocka_unit_test(test_tokens_know_their_bytes),
        cmocka_unit_test(test_query_keeps_stop_words_only_when_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
