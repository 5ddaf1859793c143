// Recall against a plain model: the formula of docs/recall.md written down once more, slowly, over
// all memories.
//
// Random memories (words of a small vocabulary, vectors of +1 and -1, which INT8 codes hold
// exactly, sessions, expiry, an attribute) are put, changed and forgotten, with checkpoints in
// between, read by snapshots and inside transactions, some through filters that half of them pass,
// a tenth, a hundredth or a thousandth. Every hit must have the model's score, and the scores must
// be the model's best k.
#include "tests/lib/database.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS 40
#define DIMENSION 16
#define SESSIONS 6
#define MOST 700
#define MOST_WORDS 14
#define EXPIRED 1000 // long ago

typedef struct memory {
    uint64_t id;
    bool live, has_vector;
    uint32_t counts[WORDS], length;
    int session;    // 0: none
    uint32_t share; // attr.share, below 1000
    int64_t time, expires;
    float vector[DIMENSION];
    // of one question
    bool in_words, found, entered;
    float bm25;
    double coverage, words, feedback, vector_score, shares[MEMDB_SIGNAL_COUNT], total;
} memory_t;

typedef struct question {
    uint32_t counts[WORDS];
    bool has_text, has_vector, has_weights;
    float vector[DIMENSION];
    int session;
    uint32_t below; // only memories whose attr.share is; 0: all
    uint32_t k;
    double weights[MEMDB_SIGNAL_COUNT];
} question_t;

typedef struct model {
    uint64_t seed;
    size_t count;
    memory_t memories[MOST];
    // of one question
    double idf[WORDS], whole, average_length; // whole: of the question's words
} model_t;

static uint32_t draw(model_t *model, uint32_t below) {
    model->seed = model->seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(model->seed >> 33) % below;
}

static int draw_text(model_t *model, uint32_t *counts, uint32_t most, char *text) {
    uint32_t length = 1 + draw(model, most);
    char *at = text;
    memset(counts, 0, WORDS * sizeof *counts);
    for (uint32_t i = 0; i < length; i++) {
        uint32_t word = draw(model, 1 + draw(model, WORDS)); // small numbers are frequent
        counts[word]++;
        at += snprintf(at, 16, "w%u ", word);
    }
    return (int)length;
}

static void draw_vector(model_t *model, float *vector) {
    for (int i = 0; i < DIMENSION; i++)
        vector[i] = draw(model, 2) ? 1 : -1;
}

// ------------------------------------------------------------------------------ changes

static void put(model_t *model, fixture_t *fixture, memdb_txn_t *txn, memdb_space_t space,
                memory_t *memory) {
    char words[256], session[16], attributes[32];
    memory->length = (uint32_t)draw_text(model, memory->counts, MOST_WORDS, words);
    memory->session = (int)draw(model, SESSIONS);
    memory->time = 1 + draw(model, 300);
    memory->share = draw(model, 1000);
    memory->expires = draw(model, 12) ? MEMDB_TIME_NONE : EXPIRED;
    memory->has_vector = draw(model, 5) != 0;
    memory->live = true;
    draw_vector(model, memory->vector);
    snprintf(session, sizeof session, "s%d", memory->session);
    snprintf(attributes, sizeof attributes, "{\"share\": %u}", memory->share);
    memdb_memory_t in = {.size = sizeof in,
                         .fields = MEMDB_FIELD_TEXT | MEMDB_FIELD_SESSION | MEMDB_FIELD_TIME |
                                   MEMDB_FIELD_EXPIRES | MEMDB_FIELD_VECTOR | MEMDB_FIELD_ATTRS,
                         .id = memory->id,
                         .text = text(words),
                         .session = text(memory->session ? session : ""),
                         .time = memory->time,
                         .expires = memory->expires,
                         .attrs = text(attributes),
                         .vector = memory->has_vector ? memory->vector : NULL,
                         .dimension = memory->has_vector ? DIMENSION : 0};
    must(fixture->db, memdb_put(txn, space, &in, &memory->id));
}

static void change(model_t *model, fixture_t *fixture, memdb_txn_t *txn, memdb_space_t space) {
    for (uint32_t i = 0, steps = 1 + draw(model, 60); i < steps; i++) {
        bool is_new = model->count < MOST && (model->count == 0 || draw(model, 3));
        size_t number = is_new ? model->count++ : draw(model, (uint32_t)model->count);
        memory_t *memory = &model->memories[number];
        if (is_new) {
            put(model, fixture, txn, space, memory);
        } else if (memory->live && draw(model, 2)) {
            must(fixture->db, memdb_forget(txn, space, memory->id));
            memory->live = false;
        } else if (memory->live) {
            put(model, fixture, txn, space, memory);
        }
    }
}

// ------------------------------------------------------------------------------ the formula

static bool shows(const memory_t *memory, const question_t *question) {
    return memory->live && memory->expires == MEMDB_TIME_NONE &&
           (!question->session || memory->session == question->session) &&
           (!question->below || memory->share < question->below);
}

static void score_words(model_t *model, const question_t *question) {
    double documents = 0, tokens = 0;
    for (size_t i = 0; i < model->count; i++)
        if (model->memories[i].live) {
            documents++;
            tokens += model->memories[i].length;
        }
    model->average_length = documents ? fmax(tokens / documents, 1) : 1;
    model->whole = 0;
    for (int w = 0; w < WORDS; w++) {
        double df = 0;
        for (size_t i = 0; i < model->count; i++)
            df += model->memories[i].live && model->memories[i].counts[w];
        model->idf[w] = pow(log(1 + (documents - df + 0.5) / (df + 0.5)), 1.25);
        model->whole += question->counts[w] ? model->idf[w] : 0;
    }
    for (size_t i = 0; i < model->count; i++) {
        memory_t *memory = &model->memories[i];
        double sum = 0, held = 0;
        double norm = 1.2 * (1 - 0.4 + 0.4 * memory->length / model->average_length);
        for (int w = 0; w < WORDS; w++) {
            double tf = question->counts[w] ? memory->counts[w] : 0;
            sum += tf ? model->idf[w] * tf * 2.2 / (tf + norm) : 0;
            held += tf ? model->idf[w] : 0;
        }
        memory->bm25 = (float)sum;
        memory->coverage = model->whole > 0 ? held / model->whole : 0;
        memory->feedback = 0;
    }
}

static int by_words(const void *a, const void *b) {
    const memory_t *left = *(memory_t *const *)a, *right = *(memory_t *const *)b;
    if (left->bm25 != right->bm25)
        return left->bm25 > right->bm25 ? -1 : 1;
    return (left->id > right->id) - (left->id < right->id);
}

static int by_vector(const void *a, const void *b) {
    const memory_t *left = *(memory_t *const *)a, *right = *(memory_t *const *)b;
    if (left->vector_score != right->vector_score)
        return left->vector_score > right->vector_score ? -1 : 1;
    return (left->id > right->id) - (left->id < right->id);
}

/// Mark the best by words and by vector. False: the cut falls between scores that are nearly equal.
static bool find(model_t *model, const question_t *question) {
    static memory_t *order[MOST];
    size_t cut = question->k > 200 ? question->k : 200, count = 0;
    bool clear = true;
    for (size_t i = 0; i < model->count; i++)
        if (shows(&model->memories[i], question) && model->memories[i].bm25 > 0)
            order[count++] = &model->memories[i];
    qsort(order, count, sizeof *order, by_words);
    if (count > cut)
        clear = order[cut - 1]->bm25 == order[cut]->bm25 ||
                order[cut - 1]->bm25 > order[cut]->bm25 * 1.00001f;
    for (size_t i = 0; question->has_text && i < count && i < cut; i++)
        order[i]->found = order[i]->in_words = true;
    count = 0;
    for (size_t i = 0; i < model->count; i++) {
        memory_t *memory = &model->memories[i];
        double dot = 0;
        for (int d = 0; d < DIMENSION; d++)
            dot += memory->vector[d] * question->vector[d];
        memory->vector_score = dot / DIMENSION;
        if (shows(memory, question) && memory->has_vector)
            order[count++] = memory;
    }
    qsort(order, count, sizeof *order, by_vector);
    for (size_t i = 0; question->has_vector && i < count && i < cut; i++)
        order[i]->found = true;
    for (size_t i = 0; i < model->count; i++) {
        memory_t *memory = &model->memories[i];
        memory->words = memory->in_words ? memory->bm25 * pow(memory->coverage, 0.25) : 0;
    }
    return clear;
}

typedef struct spread {
    double mean, deviation, count;
} spread_t;

static double words_of(const memory_t *memory, const question_t *question) {
    return memory->words + question->weights[MEMDB_SIGNAL_FEEDBACK] * memory->feedback;
}

static spread_t spread_of(model_t *model, const question_t *question, bool vector) {
    double sum = 0, squares = 0, count = 0;
    for (size_t i = 0; i < model->count; i++) {
        memory_t *memory = &model->memories[i];
        double value = vector ? memory->vector_score : words_of(memory, question);
        if (memory->found && (!vector || memory->has_vector)) {
            sum += value;
            squares += value * value;
            count++;
        }
    }
    double mean = count ? sum / count : 0;
    return (spread_t){mean, count ? sqrt(fmax(squares / count - mean * mean, 0)) : 0, count};
}

static double z_of(const spread_t *spread, double value) {
    return spread->deviation > 1e-6 ? (value - spread->mean) / spread->deviation : value > 0;
}

static void rate(model_t *model, const question_t *question) {
    spread_t words = spread_of(model, question, false), vector = spread_of(model, question, true);
    double feedback = 0;
    for (size_t i = 0; i < model->count; i++)
        feedback += model->memories[i].found ? model->memories[i].feedback / words.count : 0;
    for (size_t i = 0; i < model->count; i++) {
        memory_t *memory = &model->memories[i];
        double all = z_of(&words, words_of(memory, question)), part = 0;
        if (words.deviation > 1e-6)
            part = question->weights[MEMDB_SIGNAL_FEEDBACK] * (memory->feedback - feedback) /
                   words.deviation;
        double weight = question->has_text ? question->weights[MEMDB_SIGNAL_WORDS] : 0;
        memory->shares[MEMDB_SIGNAL_WORDS] = weight * (all - part);
        memory->shares[MEMDB_SIGNAL_FEEDBACK] = weight * part;
        memory->shares[MEMDB_SIGNAL_VECTOR] =
            question->has_vector && memory->has_vector
                ? question->weights[MEMDB_SIGNAL_VECTOR] * z_of(&vector, memory->vector_score)
                : 0;
    }
}

static double fused(const memory_t *memory) {
    return memory->shares[MEMDB_SIGNAL_WORDS] + memory->shares[MEMDB_SIGNAL_FEEDBACK] +
           memory->shares[MEMDB_SIGNAL_VECTOR];
}

static int by_fused(const void *a, const void *b) {
    const memory_t *left = *(memory_t *const *)a, *right = *(memory_t *const *)b;
    if (fused(left) != fused(right))
        return fused(left) > fused(right) ? -1 : 1;
    return (left->id > right->id) - (left->id < right->id);
}

/// The ten best of the first look; -1: the cut falls between scores that are nearly equal.
static int best_of(model_t *model, memory_t **best) {
    static memory_t *order[MOST];
    int count = 0;
    for (size_t i = 0; i < model->count; i++)
        if (model->memories[i].found && fused(&model->memories[i]) > 1e-9)
            order[count++] = &model->memories[i];
    qsort(order, (size_t)count, sizeof *order, by_fused);
    if (count > 10 && fused(order[9]) - fused(order[10]) < 1e-4)
        return -1;
    count = count < 10 ? count : 10;
    memcpy(best, order, (size_t)count * sizeof *best);
    return count;
}

typedef struct worth {
    double weight, worth;
    int word;
} worth_t;

static int by_worth(const void *a, const void *b) {
    const worth_t *left = a, *right = b;
    return (left->worth < right->worth) - (left->worth > right->worth);
}

/// The twenty words that the best hits have most in common. False: the cut is not clear.
static bool common_words(const model_t *model, const question_t *question, memory_t **best,
                         int count, worth_t *words, int *word_count) {
    double squares = 0, whole = 0;
    *word_count = 0;
    for (int i = 0; i < count; i++)
        squares += fused(best[i]) * fused(best[i]);
    for (int w = 0; w < WORDS; w++) {
        worth_t word = {.word = w};
        for (int i = 0; i < count; i++) {
            double tf = best[i]->counts[w], share = fused(best[i]) * fused(best[i]) / squares;
            double norm = 1.2 * (1 - 0.4 + 0.4 * best[i]->length / model->average_length);
            word.weight += share * tf / (tf + norm);
        }
        word.worth = word.weight * model->idf[w];
        if (word.weight > 0 && !question->counts[w])
            words[(*word_count)++] = word;
    }
    qsort(words, (size_t)*word_count, sizeof *words, by_worth);
    if (*word_count > 20 && words[19].worth - words[20].worth < 1e-4)
        return false;
    *word_count = *word_count < 20 ? *word_count : 20;
    for (int i = 0; i < *word_count; i++)
        whole += words[i].worth;
    for (int i = 0; i < *word_count && whole > model->whole; i++)
        words[i].weight *= model->whole / whole;
    return true;
}

/// What the found memories have of the words of the best of them.
static bool feed_back(model_t *model, const question_t *question) {
    memory_t *best[10];
    worth_t words[WORDS];
    int word_count, count = best_of(model, best);
    if (count < 0 || !common_words(model, question, best, count, words, &word_count))
        return false;
    for (size_t i = 0; i < model->count; i++) {
        memory_t *memory = &model->memories[i];
        double norm = 1.2 * (1 - 0.4 + 0.4 * memory->length / model->average_length);
        for (int w = 0; memory->found && w < word_count; w++) {
            double tf = memory->counts[words[w].word];
            memory->feedback +=
                words[w].weight * model->idf[words[w].word] * tf * 2.2 / (tf + norm);
        }
    }
    rate(model, question);
    return true;
}

static int by_place(const void *a, const void *b) {
    const memory_t *left = *(memory_t *const *)a, *right = *(memory_t *const *)b;
    if (left->time != right->time)
        return left->time < right->time ? -1 : 1;
    return (left->id > right->id) - (left->id < right->id);
}

static void lend(model_t *model, const question_t *question) {
    static const struct {
        int offset;
        double part;
    } near[] = {{-2, 0.2}, {-1, 0.2}, {1, 0.4}, {2, 0.2}};
    for (int session = 1; session < SESSIONS; session++) {
        memory_t *order[MOST];
        int count = 0;
        for (size_t i = 0; i < model->count; i++)
            if (model->memories[i].live && model->memories[i].session == session)
                order[count++] = &model->memories[i];
        qsort(order, (size_t)count, sizeof *order, by_place);
        for (int i = 0; i < count; i++) {
            double score = fused(order[i]);
            for (int n = 0; order[i]->found && score > 0 && n < 4; n++) {
                int to = i + near[n].offset;
                if (to < 0 || to >= count)
                    continue;
                order[to]->entered = question->weights[2] > 0;
                order[to]->shares[2] += question->weights[2] * near[n].part * score;
            }
        }
    }
}

// ------------------------------------------------------------------------------ comparing

static int by_total(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left < right) - (left > right);
}

static void compare(model_t *model, const question_t *question, const memdb_result_t *result) {
    static double totals[MOST];
    size_t count = 0;
    for (size_t i = 0; i < model->count; i++) {
        memory_t *memory = &model->memories[i];
        memory->total = 0;
        for (int signal = 0; signal < MEMDB_SIGNAL_COUNT; signal++)
            memory->total += memory->shares[signal];
        memory->found = (memory->found || memory->entered) && shows(memory, question);
        if (memory->found)
            totals[count++] = memory->total;
    }
    qsort(totals, count, sizeof *totals, by_total);
    size_t expected = count < question->k ? count : question->k;
    assert_int_equal(memdb_result_count(result), expected);
    assert_int_equal(memdb_result_fewer(result) != NULL, expected < question->k);
    for (size_t i = 0; i < expected; i++) {
        const memdb_hit_t *hit = memdb_result_hit(result, i);
        const memory_t *memory = NULL;
        for (size_t m = 0; m < model->count; m++)
            if (model->memories[m].live && model->memories[m].id == hit->id)
                memory = &model->memories[m];
        assert_non_null(memory);
        assert_true(memory->found);
        double sum = 0;
        for (int s = 0; s < MEMDB_SIGNAL_COUNT; s++) {
            assert_true(fabs(hit->signals[s] - memory->shares[s]) < 1e-4);
            sum += hit->signals[s];
        }
        assert_true(fabs(hit->score - sum) < 1e-12);
        assert_true(fabs(hit->score - totals[i]) < 3e-4);
        for (size_t before = 0; before < i; before++)
            assert_true(memdb_result_hit(result, before)->id != hit->id);
    }
}

static bool ask(model_t *model, fixture_t *fixture, memdb_snapshot_t *snapshot,
                memdb_space_t space) {
    question_t question = {.weights = {0.5, 0.5, 1, [MEMDB_SIGNAL_FEEDBACK] = 1}};
    char words[256], session[16];
    static const memdb_signal_t weighted[] = {MEMDB_SIGNAL_WORDS, MEMDB_SIGNAL_VECTOR,
                                              MEMDB_SIGNAL_TRACE, MEMDB_SIGNAL_FEEDBACK};
    static const uint32_t ks[] = {1, 10, 10, 50, 300}, shares[] = {500, 100, 10, 1};
    draw_text(model, question.counts, 6, words);
    question.has_text = draw(model, 4) != 0;
    question.has_vector = !question.has_text || draw(model, 2);
    question.session = draw(model, 3) ? 0 : 1 + (int)draw(model, SESSIONS - 1);
    question.below = draw(model, 2) ? shares[draw(model, 4)] : 0;
    question.k = ks[draw(model, 5)];
    question.has_weights = question.has_text && draw(model, 4) == 0;
    draw_vector(model, question.vector);
    for (int i = 0; question.has_weights && i < 4; i++)
        question.weights[weighted[i]] = (1 + draw(model, 20)) / 10.0;
    if (question.has_weights && draw(model, 3) == 0)
        question.weights[MEMDB_SIGNAL_TRACE] = 0;
    snprintf(session, sizeof session, "s%d", question.session);
    memdb_query_t query = {.size = sizeof query,
                           .spaces = &space,
                           .space_count = 1,
                           .text = text(question.has_text ? words : ""),
                           .vector = question.has_vector ? question.vector : NULL,
                           .dimension = question.has_vector ? DIMENSION : 0,
                           .session = text(question.session ? session : ""),
                           .k = question.k,
                           .has_weights = question.has_weights};
    memcpy(query.weights, question.weights, sizeof query.weights);
    for (size_t i = 0; i < model->count; i++) {
        memory_t *memory = &model->memories[i];
        memory->in_words = memory->found = memory->entered = false;
        memset(memory->shares, 0, sizeof memory->shares);
    }
    score_words(model, &question);
    if (!find(model, &question))
        return false;
    rate(model, &question);
    if (question.has_text && question.weights[MEMDB_SIGNAL_FEEDBACK] > 0 &&
        !feed_back(model, &question))
        return false;
    lend(model, &question);
    memdb_result_t *result;
    memdb_filter_t *filter = NULL;
    memdb_value_t below = {.kind = MEMDB_VALUE_INTEGER, .integer = question.below};
    if (question.below)
        must(fixture->db, memdb_filter_parse(text("attr.share < ?"), &below, 1, &filter, NULL));
    query.filter = filter;
    must(fixture->db, memdb_recall(snapshot, &query, &result));
    compare(model, &question, result);
    memdb_result_free(result);
    memdb_filter_free(filter);
    return true;
}

static void test_recall_agrees_with_the_plain_formula(void **state) {
    fixture_t *fixture = *state;
    const char *seed = getenv("MEMDB_SEED");
    model_t *model = calloc(1, sizeof *model);
    assert_non_null(model);
    model->seed = seed ? strtoull(seed, NULL, 0) : 20250117;
    print_message("seed=%llu\n", (unsigned long long)model->seed);
    memdb_txn_t *txn;
    memdb_space_t space;
    memdb_space_options_t options = {
        .size = sizeof options, .dimension = DIMENSION, .tokenizer = MEMDB_TOKENIZER_PLAIN};
    must(fixture->db, memdb_txn_begin(fixture->db, &txn));
    must(fixture->db, memdb_space_create(txn, text("main"), &options, &space));
    must(fixture->db, memdb_txn_commit(txn, MEMDB_DURABILITY_NONE, NULL));
    int compared = 0;
    for (int round = 0; round < 60; round++) {
        must(fixture->db, memdb_txn_begin(fixture->db, &txn));
        change(model, fixture, txn, space);
        for (int i = 0; i < 4; i++)
            compared += ask(model, fixture, memdb_txn_snapshot(txn), space);
        must(fixture->db, memdb_txn_commit(txn, MEMDB_DURABILITY_NONE, NULL));
        if (draw(model, 5) == 0)
            must(fixture->db, memdb_checkpoint(fixture->db));
        if (draw(model, 15) == 0) {
            fixture_close(fixture);
            fixture_open(fixture, (memdb_options_t){0});
        }
        memdb_snapshot_t *snapshot;
        must(fixture->db, memdb_snapshot_begin(fixture->db, NULL, &snapshot));
        for (int i = 0; i < 6; i++)
            compared += ask(model, fixture, snapshot, space);
        memdb_snapshot_end(snapshot);
    }
    assert_true(compared > 400);
    free(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_recall_agrees_with_the_plain_formula, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
