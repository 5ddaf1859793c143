// Snippets: properties over random texts, and the choice of the window against trying all of them.
#include "base/memory.h"
#include "include/memdb.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MARKS 400

static uint64_t state_of_chance;

static uint32_t draw(uint32_t below) {
    state_of_chance = state_of_chance * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state_of_chance >> 33) % below;
}

static void begin(void) {
    const char *seed = getenv("MEMDB_SEED");
    state_of_chance = seed ? strtoull(seed, NULL, 0) : 20261125;
    print_message("seed=%llu\n", (unsigned long long)state_of_chance);
}

static memdb_bytes_t bytes(const char *terminated) {
    return (memdb_bytes_t){terminated, strlen(terminated)};
}

static memdb_snippet_t find(const char *question, const char *text, size_t most,
                            memdb_mark_t marks[MARKS]) {
    memdb_snippet_options_t options = {.size = sizeof options,
                                       .tokenizer = MEMDB_TOKENIZER_ENGLISH,
                                       .question = bytes(question),
                                       .boolean = true,
                                       .max_bytes = most};
    memdb_snippet_t snippet;
    memdb_error_t error;
    if (memdb_snippet_find(&options, bytes(text), marks, MARKS, &snippet, &error)) {
        fail_msg("%s", error.message);
    }
    return snippet;
}

/// The piece, with its marks in brackets.
static void expect(const char *question, const char *text, size_t most, const char *expected) {
    char shown[2000];
    memdb_mark_t marks[MARKS];
    memdb_snippet_t snippet = find(question, text, most, marks);
    size_t at = snippet.from, used = 0;
    for (size_t i = 0; i < snippet.mark_count; i++) {
        used += (size_t)snprintf(shown + used, sizeof shown - used, "%.*s[%.*s]",
                                 (int)(marks[i].offset - at), text + at, (int)marks[i].size,
                                 text + marks[i].offset);
        at = marks[i].offset + marks[i].size;
    }
    snprintf(shown + used, sizeof shown - used, "%.*s", (int)(snippet.to - at), text + at);
    assert_string_equal(shown, expected);
}

static void test_snippets_show_the_words_of_the_question(void **state) {
    (void)state;
    const char *long_text = "It was a long day. The keys of the shed hang in the kitchen, as they "
                            "ever did. Ann's key is under the blue pot by the door of the shed.";
    expect("where is Ann's key?", long_text, 40, "they ever did. [Ann's] [key] is under the");
    expect("the keys", long_text, 24, "day. The [keys] of the");
    expect("shed pot blue", long_text, 60,
           "Ann's key is under the [blue] [pot] by the door of the [shed].");
    expect("nothing of it", long_text, 30, "It was a long day. The keys of");
    expect("", "short", 30, "short");
    expect("key", "", 30, "");
    expect("painted", "She paints. PAINTING, he painted!", 100,
           "She [paints]. [PAINTING], he [painted]!");
    expect("pain*", "pains, painted", 100, "[pains], [painted]");
    expect("+(pot shed) -door key", "pot door key", 100, "[pot] door [key]");
    expect("cafe", "au caf\xC3\xA9, cafe\xCC\x81 noir", 100,
           "au [caf\xC3\xA9], [cafe\xCC\x81] noir");
    expect("\xE6\x9D\xB1\xE4\xBA\xAC\xE9\x83\xBD",
           "\xE5\x9C\xA8\xE6\x9D\xB1\xE4\xBA\xAC\xE9\x83\xBD\xE4\xBA\xAC", 100,
           "\xE5\x9C\xA8[\xE6\x9D\xB1\xE4\xBA\xAC\xE9\x83\xBD]\xE4\xBA\xAC");
}

static bool is_inside(const char *text, size_t at) {
    return ((uint8_t)text[at] & 0xC0) == 0x80;
}

static void check(const char *question, const char *text, size_t most) {
    memdb_mark_t marks[MARKS], few[2], one[MARKS];
    memdb_snippet_t snippet = find(question, text, most, marks), again;
    size_t size = strlen(text), end = snippet.from;
    assert_true(snippet.from <= snippet.to && snippet.to <= size);
    assert_true(snippet.to - snippet.from <= most);
    assert_true(size > most || (snippet.from == 0 && snippet.to == size));
    assert_false(is_inside(text, snippet.from) || is_inside(text, snippet.to));
    assert_true(snippet.mark_count <= most / 2 + 1 &&
                (snippet.mark_count > 0) == (snippet.words > 0));
    for (size_t i = 0; i < snippet.mark_count; i++) {
        char word[256];
        assert_true(marks[i].size > 0 && marks[i].offset >= end + (i > 0));
        end = marks[i].offset + marks[i].size;
        assert_true(end <= snippet.to);
        assert_false(is_inside(text, marks[i].offset) || is_inside(text, end));
        snprintf(word, sizeof word, "%.*s", (int)marks[i].size, text + marks[i].offset);
        assert_true(find(question, word, 250, one).words > 0);
    }
    memdb_snippet_options_t options = {.size = sizeof options,
                                       .tokenizer = MEMDB_TOKENIZER_ENGLISH,
                                       .question = bytes(question),
                                       .boolean = true,
                                       .max_bytes = most};
    assert_int_equal(memdb_snippet_find(&options, bytes(text), few, 2, &again, NULL), MEMDB_OK);
    assert_memory_equal(&again, &snippet, sizeof snippet);
    assert_memory_equal(few, marks, (again.mark_count < 2 ? again.mark_count : 2) * sizeof *few);
}

static void test_random_texts_give_pieces_of_whole_characters(void **state) {
    static const char *const parts[] = {"fox",
                                        "foxes ",
                                        " ",
                                        "  ",
                                        "\n",
                                        ", ",
                                        "-",
                                        "'s ",
                                        "caf\xC3\xA9 ",
                                        "e\xCC\x81",
                                        "\xE6\x9D\xB1",
                                        "\xE4\xBA\xAC",
                                        "\xF0\x9F\x91\x8D",
                                        "the ",
                                        "longish",
                                        "red "};
    static const char *const questions[] = {
        "fox",     "the",         "red foxes fo*", "\xE6\x9D\xB1\xE4\xBA\xAC", "cafe \"red fox\"",
        "nothing", "\xE6\x9D\xB1"};
    (void)state;
    begin();
    for (int round = 0; round < 20000; round++) {
        char words[1024] = "";
        size_t used = 0;
        for (uint32_t i = draw(80); i > 0; i--) {
            used += (size_t)snprintf(words + used, sizeof words - used, "%s",
                                     parts[draw(sizeof parts / sizeof *parts)]);
        }
        check(questions[draw(sizeof questions / sizeof *questions)], words, 16 + draw(120));
    }
}

// ------------------------------------------------------------------------------ the choice

#define TOKENS 60

/// The most different words of the question in a window, and the least bytes of one with so many:
/// every window is tried.
static void try_all(const uint32_t *words, const size_t *from, size_t count, uint32_t asked,
                    size_t most, uint32_t *best_out, size_t *width_out) {
    *best_out = 0;
    *width_out = SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
        bool seen[26] = {0};
        uint32_t different = 0;
        for (size_t j = i; j < count && from[j] + 2 - from[i] <= most; j++) {
            different += words[j] < asked && !seen[words[j]];
            seen[words[j]] = true;
            size_t width = from[j] + 2 - from[i];
            if (different > *best_out || (different == *best_out && width < *width_out)) {
                *best_out = different;
                *width_out = width;
            }
        }
    }
}

/// Words of two letters; the question asks for the first few of them.
static void test_the_piece_has_the_most_different_words(void **state) {
    (void)state;
    begin();
    for (int round = 0; round < 3000; round++) {
        uint32_t words[TOKENS], asked = 1 + draw(6), best;
        size_t from[TOKENS], used = 0, count = 1 + draw(TOKENS), most = 16 + draw(60), width;
        char text[1024] = "", question[64] = "";
        memdb_mark_t marks[MARKS];
        for (uint32_t i = 0; i < asked; i++) {
            snprintf(question + 3 * i, sizeof question - 3 * i, "q%c ", 'a' + (int)i);
        }
        for (size_t i = 0; i < count; i++) {
            words[i] = draw(26);
            from[i] = used;
            used += (size_t)snprintf(text + used, sizeof text - used, "q%c%*s", 'a' + (int)words[i],
                                     1 + (int)draw(6), "");
        }
        try_all(words, from, count, asked, most, &best, &width);
        memdb_snippet_t snippet = find(question, text, most, marks);
        assert_int_equal(snippet.words, best);
    }
}

static void test_snippets_refuse_what_they_cannot_read(void **state) {
    (void)state;
    memdb_snippet_options_t options = {.size = sizeof options, .question = bytes("a")};
    memdb_snippet_t snippet;
    memdb_error_t error;
    assert_int_equal(memdb_snippet_find(&options, bytes("\xFF"), NULL, 0, &snippet, &error),
                     MEMDB_INVALID);
    options.max_bytes = 15;
    assert_int_equal(memdb_snippet_find(&options, bytes("a"), NULL, 0, &snippet, &error),
                     MEMDB_INVALID);
    assert_string_equal(error.message, "snippet: max_bytes: 15, at least 16");
    options.max_bytes = 0;
    options.boolean = true;
    options.question = bytes("+(a");
    assert_int_equal(memdb_snippet_find(&options, bytes("a"), NULL, 0, &snippet, &error),
                     MEMDB_INVALID);
    assert_non_null(strstr(error.message, "does not close"));
    options.size = 0;
    assert_int_equal(memdb_snippet_find(&options, bytes("a"), NULL, 0, &snippet, &error),
                     MEMDB_INVALID);
}

static void test_every_failed_allocation_is_an_error_and_no_leak(void **state) {
    (void)state;
    memdb_snippet_options_t options = {
        .size = sizeof options, .question = bytes("+(red \"old fox\") hous*"), .boolean = true};
    memdb_snippet_t snippet;
    uint64_t live = memdb__memory_live(), failures = 0;
    for (memdb_status_t status = MEMDB_NOMEM; status; failures++) {
        memdb__memory_fail_after(failures);
        status = memdb_snippet_find(&options, bytes("a fox, red, in its house"), NULL, 0, &snippet,
                                    NULL);
        memdb__memory_fail_after(UINT64_MAX);
        assert_true(status == MEMDB_OK || status == MEMDB_NOMEM);
        assert_int_equal(memdb__memory_live(), live);
    }
    assert_true(failures > 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_snippets_show_the_words_of_the_question),
        cmocka_unit_test(test_random_texts_give_pieces_of_whole_characters),
        cmocka_unit_test(test_the_piece_has_the_most_different_words),
        cmocka_unit_test(test_snippets_refuse_what_they_cannot_read),
        cmocka_unit_test(test_every_failed_allocation_is_an_error_and_no_leak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
