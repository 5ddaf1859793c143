// Boolean questions against a plain evaluation: memories are drawn from a few words, changed and
// forgotten again; questions are drawn as clauses, written down, asked in each mode, and evaluated
// once more here over lists of stems. All that meet a question come back, and k of them whenever k
// exist; what a session or a link brings in meets it, too.
#include "tests/lib/database.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEMORIES 300
#define ROUNDS 60
#define LONGEST 8
#define CLAUSES 4
#define ALTERNATIVES 3

static const struct {
    const char *word, *stem;
} vocabulary[] = {{"lantern", "lantern"}, {"Lanterns", "lantern"},
                  {"harbour", "harbour"}, {"harbours", "harbour"},
                  {"red", "red"},         {"green", "green"},
                  {"the", "the"},         {"of", "of"},
                  {"fox", "fox"},         {"foxes", "fox"},
                  {"forest", "forest"},   {"moss", "moss"}};
#define WORDS (sizeof vocabulary / sizeof *vocabulary)

/// Beginnings of words, with their stems.
static const struct {
    const char *word, *stem;
} beginnings[] = {{"lant", "lant"}, {"Harbours", "harbour"}, {"fo", "fo"},
                  {"re", "re"},     {"foxes", "fox"},        {"m", "m"}};

typedef struct phrase {
    uint32_t words[3], count;
    int beginning; // -1: none; else it stands for the last word
} phrase_t;

typedef struct clause {
    char sign;
    phrase_t phrases[ALTERNATIVES];
    uint32_t count;
} clause_t;

typedef struct question {
    clause_t clauses[CLAUSES];
    uint32_t count, plain[2], plain_count;
} question_t;

typedef struct memory {
    uint64_t id;
    uint32_t words[LONGEST], count, actor[2], actor_count;
    bool has_vector;
} memory_t;

typedef struct world {
    uint64_t seed;
    memdb_t *db;
    memdb_space_t space;
    memory_t memories[MEMORIES];
    size_t count, met;
} world_t;

static uint32_t draw(world_t *world, uint32_t below) {
    world->seed = world->seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(world->seed >> 33) % below;
}

// ------------------------------------------------------------------------------ memories

static void say(char *out, size_t size, const uint32_t *words, uint32_t count) {
    size_t at = 0;
    out[0] = 0;
    for (uint32_t i = 0; i < count; i++) {
        at +=
            (size_t)snprintf(out + at, size - at, "%s%s", i ? " " : "", vocabulary[words[i]].word);
    }
}

static void put(world_t *world, memdb_txn_t *txn, memory_t *memory) {
    char words[128], actor[64];
    float vector[2] = {(float)draw(world, 9) - 4.5f, (float)draw(world, 9) - 4.5f};
    memory->count = 1 + draw(world, LONGEST);
    memory->actor_count = draw(world, 3) ? 0 : 1 + draw(world, 2);
    memory->has_vector = draw(world, 2);
    for (uint32_t i = 0; i < memory->count; i++) {
        memory->words[i] = draw(world, WORDS);
    }
    for (uint32_t i = 0; i < memory->actor_count; i++) {
        memory->actor[i] = draw(world, WORDS);
    }
    say(words, sizeof words, memory->words, memory->count);
    say(actor, sizeof actor, memory->actor, memory->actor_count);
    memdb_memory_t in = {.size = sizeof in,
                         .id = memory->id,
                         .fields = MEMDB_FIELD_TEXT | MEMDB_FIELD_ACTOR | MEMDB_FIELD_VECTOR |
                                   MEMDB_FIELD_SESSION,
                         .session = text(draw(world, 2) ? "s" : ""),
                         .text = text(words),
                         .actor = text(actor),
                         .vector = memory->has_vector ? vector : NULL,
                         .dimension = memory->has_vector ? 2 : 0};
    must(world->db, memdb_put(txn, world->space, &in, &memory->id));
}

static void change(world_t *world) {
    memdb_txn_t *txn;
    must(world->db, memdb_txn_begin(world->db, &txn));
    for (uint32_t i = 1 + draw(world, 20); i > 0; i--) {
        uint32_t which = world->count ? draw(world, (uint32_t)world->count) : 0;
        if (world->count < MEMORIES && (!world->count || draw(world, 2))) {
            world->memories[world->count].id = 0;
            put(world, txn, &world->memories[world->count++]);
        } else if (draw(world, 3)) {
            put(world, txn, &world->memories[which]);
        } else {
            must(world->db, memdb_forget(txn, world->space, world->memories[which].id));
            world->memories[which] = world->memories[--world->count];
        }
    }
    if (world->count) {
        uint32_t from = draw(world, (uint32_t)world->count);
        memdb_link_t link = {.size = sizeof link,
                             .space = world->space,
                             .from = world->memories[from].id,
                             .to = world->memories[draw(world, from + 1)].id,
                             .weight = 1};
        must(world->db, memdb_put_link(txn, &link));
    }
    must(world->db, memdb_txn_commit(txn, MEMDB_DURABILITY_NONE, NULL));
    if (draw(world, 5) == 0) {
        must(world->db, memdb_checkpoint(world->db));
    }
}

// ------------------------------------------------------------------------------ questions

static phrase_t draw_phrase(world_t *world) {
    phrase_t phrase = {.count = draw(world, 4) ? 1 : 2 + draw(world, 2), .beginning = -1};
    for (uint32_t i = 0; i < phrase.count; i++) {
        phrase.words[i] = draw(world, WORDS);
    }
    if (phrase.count == 1 && draw(world, 4) == 0) {
        phrase.beginning = (int)draw(world, sizeof beginnings / sizeof *beginnings);
    }
    return phrase;
}

static question_t draw_question(world_t *world) {
    question_t question = {.count = draw(world, CLAUSES + 1), .plain_count = 1 + draw(world, 2)};
    for (uint32_t i = 0; i < question.count; i++) {
        clause_t *clause = &question.clauses[i];
        clause->sign = draw(world, 3) ? '+' : '-';
        clause->count = draw(world, 3) ? 1 : 1 + draw(world, ALTERNATIVES);
        for (uint32_t p = 0; p < clause->count; p++) {
            clause->phrases[p] = draw_phrase(world);
        }
    }
    for (uint32_t i = 0; i < question.plain_count; i++) {
        do { // a stop word counts or not by what stands beside it
            question.plain[i] = draw(world, WORDS);
        } while (question.plain[i] == 6 || question.plain[i] == 7);
    }
    return question;
}

static size_t write_phrase(const phrase_t *phrase, bool dashed, char *out, size_t size) {
    char words[96];
    if (phrase->beginning >= 0) {
        return (size_t)snprintf(out, size, "%s*", beginnings[phrase->beginning].word);
    }
    say(words, sizeof words, phrase->words, phrase->count);
    if (phrase->count == 1) {
        return (size_t)snprintf(out, size, "%s", words);
    }
    for (char *at = words; dashed && *at; at++) { // words that hang together are a phrase
        *at = *at == ' ' ? '-' : *at;
    }
    return (size_t)snprintf(out, size, dashed ? "%s" : "\"%s\"", words);
}

/// Plain words stand first or last.
static void write_question(world_t *world, const question_t *question, char *out, size_t size) {
    size_t at = 0;
    char plain[64];
    bool first = draw(world, 2);
    say(plain, sizeof plain, question->plain, question->plain_count);
    at += (size_t)snprintf(out, size, "%s", first ? plain : "");
    for (uint32_t i = 0; i < question->count; i++) {
        const clause_t *clause = &question->clauses[i];
        bool group = clause->count > 1 || draw(world, 4) == 0;
        at += (size_t)snprintf(out + at, size - at, " %c%s", clause->sign, group ? "(" : "");
        for (uint32_t p = 0; p < clause->count; p++) {
            at += (size_t)snprintf(out + at, size - at, "%s", p ? "  " : "");
            at += write_phrase(&clause->phrases[p], draw(world, 2), out + at, size - at);
        }
        at += (size_t)snprintf(out + at, size - at, "%s", group ? ")" : "");
    }
    snprintf(out + at, size - at, " %s", first ? "" : plain);
}

// ------------------------------------------------------------------------------ evaluation

static bool is_word(const phrase_t *phrase, uint32_t at, uint32_t word) {
    const char *stem = vocabulary[word].stem;
    if (phrase->beginning < 0) {
        return strcmp(vocabulary[phrase->words[at]].stem, stem) == 0;
    }
    const char *begins = beginnings[phrase->beginning].word;
    return strncasecmp(stem, begins, strlen(begins)) == 0 ||
           strcmp(stem, beginnings[phrase->beginning].stem) == 0;
}

static bool holds(const phrase_t *phrase, const uint32_t *words, uint32_t count) {
    for (uint32_t from = 0; from + phrase->count <= count; from++) {
        uint32_t i = 0;
        while (i < phrase->count && is_word(phrase, i, words[from + i])) {
            i++;
        }
        if (i == phrase->count) {
            return true;
        }
    }
    return false;
}

static bool meets(const question_t *question, const memory_t *memory) {
    for (uint32_t i = 0; i < question->count; i++) {
        const clause_t *clause = &question->clauses[i];
        bool any = false;
        for (uint32_t p = 0; p < clause->count; p++) {
            any = any || holds(&clause->phrases[p], memory->words, memory->count) ||
                  holds(&clause->phrases[p], memory->actor, memory->actor_count);
        }
        if (any != (clause->sign == '+')) {
            return false;
        }
    }
    return true;
}

/// Whether a search has a reason to give it: its words, if not what is required alone.
static bool is_hit(const question_t *question, const memory_t *memory, memdb_recall_mode_t mode) {
    bool worded = false;
    for (uint32_t i = 0; i < question->count; i++) {
        worded = worded || question->clauses[i].sign == '+';
    }
    for (uint32_t i = 0; i < question->plain_count; i++) {
        phrase_t plain = {.words = {question->plain[i]}, .count = 1, .beginning = -1};
        worded = worded || holds(&plain, memory->words, memory->count) ||
                 holds(&plain, memory->actor, memory->actor_count);
    }
    return meets(question, memory) && ((mode != MEMDB_RECALL_VECTOR && worded) ||
                                       (mode != MEMDB_RECALL_WORDS && memory->has_vector));
}

// ------------------------------------------------------------------------------ asking

static bool is_in(const memdb_result_t *result, uint64_t id) {
    for (size_t i = 0; i < memdb_result_count(result); i++) {
        if (memdb_result_hit(result, i)->id == id) {
            return true;
        }
    }
    return false;
}

/// All that meet it, with a k above all; then fewer of them.
static void compare(world_t *world, memdb_snapshot_t *snapshot, const question_t *question,
                    memdb_query_t query) {
    memdb_result_t *all, *some;
    size_t expected = 0;
    query.k = 2 * MEMORIES;
    must(world->db, memdb_recall(snapshot, &query, &all));
    for (size_t i = 0; i < world->count; i++) {
        const memory_t *memory = &world->memories[i];
        bool hit = is_hit(question, memory, query.mode), found = is_in(all, memory->id);
        bool brought_in = found && query.mode == MEMDB_RECALL_AUTO && meets(question, memory);
        if (hit != found && !brought_in) {
            fail_msg("mode %d, %.*s: memory %llu %s", query.mode, (int)query.text.size,
                     query.text.data, (unsigned long long)memory->id,
                     hit ? "is missing" : "should not be a hit");
        }
        expected += found;
    }
    assert_int_equal(memdb_result_count(all), expected);
    world->met += expected;
    query.k = 1 + draw(world, 12);
    must(world->db, memdb_recall(snapshot, &query, &some));
    assert_int_equal(memdb_result_count(some), query.k < expected ? query.k : expected);
    for (size_t i = 0; i < memdb_result_count(some); i++) {
        assert_true(is_in(all, memdb_result_hit(some, i)->id));
        if (query.mode == MEMDB_RECALL_WORDS) {
            assert_int_equal(memdb_result_hit(some, i)->id, memdb_result_hit(all, i)->id);
        }
    }
    memdb_result_free(all);
    memdb_result_free(some);
}

static void ask(world_t *world, memdb_snapshot_t *snapshot) {
    static const float vector[2] = {1, .5f};
    char written[1024];
    question_t question = draw_question(world);
    write_question(world, &question, written, sizeof written);
    for (int mode = MEMDB_RECALL_AUTO; mode <= MEMDB_RECALL_VECTOR; mode++) {
        compare(world, snapshot, &question,
                (memdb_query_t){.size = sizeof(memdb_query_t),
                                .spaces = &world->space,
                                .space_count = 1,
                                .text = text(written),
                                .vector = mode == MEMDB_RECALL_WORDS ? NULL : vector,
                                .dimension = mode == MEMDB_RECALL_WORDS ? 0 : 2,
                                .mode = (memdb_recall_mode_t)mode,
                                .boolean = true});
    }
}

static void test_boolean_questions_give_what_a_plain_evaluation_gives(void **state) {
    const char *seed = getenv("MEMDB_SEED");
    world_t world = {.db = ((fixture_t *)*state)->db,
                     .seed = seed ? strtoull(seed, NULL, 0) : 20261125};
    print_message("seed=%llu\n", (unsigned long long)world.seed);
    world.space = space_of(world.db, "main");
    for (int round = 0; round < ROUNDS; round++) {
        memdb_snapshot_t *snapshot;
        memdb_txn_t *txn;
        do {
            change(&world);
        } while (!world.count);
        must(world.db, memdb_snapshot_begin(world.db, NULL, &snapshot));
        for (int i = 0; i < 20; i++) {
            ask(&world, snapshot);
        }
        memdb_snapshot_end(snapshot);
        memory_t kept = world.memories[0];
        must(world.db, memdb_txn_begin(world.db, &txn)); // own writes
        put(&world, txn, &world.memories[0]);
        ask(&world, memdb_txn_snapshot(txn));
        memdb_txn_abort(txn);
        world.memories[0] = kept;
    }
    print_message("%zu met\n", world.met);
    assert_true(world.met > 10000);
}

// ------------------------------------------------------------------------------ single ones

static memdb_query_t query_of(const memdb_space_t *space, const char *question) {
    return (memdb_query_t){.size = sizeof(memdb_query_t),
                           .spaces = space,
                           .space_count = 1,
                           .text = text(question),
                           .k = 200,
                           .mode = MEMDB_RECALL_WORDS,
                           .boolean = true};
}

static size_t count_of(memdb_t *db, const memdb_query_t *query) {
    memdb_snapshot_t *snapshot;
    memdb_result_t *result;
    must(db, memdb_snapshot_begin(db, NULL, &snapshot));
    must(db, memdb_recall(snapshot, query, &result));
    size_t count = memdb_result_count(result);
    memdb_result_free(result);
    memdb_snapshot_end(snapshot);
    return count;
}

static void test_a_prefix_with_many_terms_is_demanded_of_all(void **state) {
    memdb_t *db = ((fixture_t *)*state)->db;
    memdb_space_t space = space_of(db, "main");
    for (int i = 0; i < 150; i++) { // a search of words takes the 64 most frequent ones
        char words[32];
        snprintf(words, sizeof words, "zz%d moss", i);
        put_text(db, space, words, words);
    }
    memdb_query_t query = query_of(&space, "+zz*");
    assert_int_equal(count_of(db, &query), 150);
    query.text = text("+zz* -zz7*");
    assert_int_equal(count_of(db, &query), 139);
    query.text = text("zz*");
    assert_int_equal(count_of(db, &query), 64);
}

static void test_signs_mean_nothing_unless_asked(void **state) {
    memdb_t *db = ((fixture_t *)*state)->db;
    memdb_space_t space = space_of(db, "main");
    put_text(db, space, "a", "fox");
    put_text(db, space, "b", "wolf");
    memdb_query_t query = query_of(&space, "+fox -wolf");
    assert_int_equal(count_of(db, &query), 1);
    query.boolean = false;
    assert_int_equal(count_of(db, &query), 2);
    query.boolean = true; // a blank behind, or none before it: punctuation
    query.text = text("+ fox - wolf-fox+wolf -- ++ ---fox (");
    assert_int_equal(count_of(db, &query), 2);
    query.text = text("-wolf"); // nothing to look for
    assert_int_equal(count_of(db, &query), 0);
}

static void refuse(memdb_t *db, const char *question, const char *expected) {
    memdb_space_t space = space_of(db, "main");
    memdb_query_t query = query_of(&space, question);
    memdb_snapshot_t *snapshot;
    memdb_result_t *result;
    char message[256];
    must(db, memdb_snapshot_begin(db, NULL, &snapshot));
    assert_int_equal(memdb_recall(snapshot, &query, &result), MEMDB_INVALID);
    memdb_last_error(db, message, sizeof message);
    assert_string_equal(message, expected);
    memdb_snapshot_end(snapshot);
}

static void test_malformed_questions_are_refused_with_the_place(void **state) {
    memdb_t *db = ((fixture_t *)*state)->db;
    refuse(db, "fox +\"red", "recall: text: at byte 4: a quotation mark does not close");
    refuse(db, "-(a b", "recall: text: at byte 0: a group does not close");
    refuse(db, "-(a +b)",
           "recall: text: at byte 0: a group holds words, phrases and prefixes alone");
    refuse(db, "a +( )", "recall: text: at byte 2: the group is empty");
    refuse(db, "fox +?!", "recall: text: at byte 4: no word is demanded");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_boolean_questions_give_what_a_plain_evaluation_gives),
        TEST(test_a_prefix_with_many_terms_is_demanded_of_all),
        TEST(test_signs_mean_nothing_unless_asked),
        TEST(test_malformed_questions_are_refused_with_the_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
