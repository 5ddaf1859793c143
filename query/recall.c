// Recall: check the question, rank each space by itself, merge.
//
// Spaces are ranked apart, because their statistics are their own: how rare a word is, and how near
// a vector is to others. What is merged are scores in deviations from the mean of a space's own
// candidates, which are comparable enough. In the modes of one signal alone they are BM25 scores or
// the metric's, which are comparable where the spaces are alike.
#include "base/io.h"
#include "query/query_recall.h"

#include <math.h>

// ------------------------------------------------------------------------------ checks

static memdb_status_t check_bytes(const char *what, memdb_bytes_t bytes, size_t limit,
                                  memdb_error_t *error) {
    if (bytes.size && !bytes.data) {
        return memdb__fail(error, MEMDB_INVALID, "%s: size %zu without data", what, bytes.size);
    }
    if (bytes.size > limit) {
        return memdb__fail(error, MEMDB_LIMIT, "%s: %zu bytes, the limit is %zu", what, bytes.size,
                           limit);
    }
    if (!memdb__is_utf8(bytes.data, bytes.size)) {
        return memdb__fail(error, MEMDB_INVALID, "%s: not UTF-8", what);
    }
    return MEMDB_OK;
}

static memdb_status_t check_vector(const memdb_query_t *query, memdb_error_t *error) {
    if (!query->vector) {
        return MEMDB_OK;
    }
    if (query->dimension == 0 || query->dimension > MEMDB_MAX_DIMENSION) {
        return memdb__fail(error, MEMDB_INVALID, "vector: dimension %u, 1 to %d", query->dimension,
                           MEMDB_MAX_DIMENSION);
    }
    for (uint32_t i = 0; i < query->dimension; i++) {
        if (!isfinite(query->vector[i])) {
            return memdb__fail(error, MEMDB_INVALID, "vector: number %u is not finite", i);
        }
    }
    return MEMDB_OK;
}

static memdb_status_t check_weights(const memdb_query_t *query, memdb_error_t *error) {
    for (int i = 0; query->has_weights && i < MEMDB_SIGNAL_COUNT; i++) {
        if (!isfinite(query->weights[i]) || query->weights[i] < 0) {
            return memdb__fail(error, MEMDB_INVALID, "weights: %s: %g is not a weight",
                               memdb_signal_name((memdb_signal_t)i), query->weights[i]);
        }
    }
    if (query->has_weights && query->mode == MEMDB_RECALL_AUTO &&
        query->weights[MEMDB_SIGNAL_WORDS] == 0 && query->weights[MEMDB_SIGNAL_VECTOR] == 0) {
        return memdb__fail(error, MEMDB_INVALID,
                           "weights: words or vector must be above 0, else nothing is asked");
    }
    return MEMDB_OK;
}

static memdb_status_t check_query(const memdb_query_t *query, memdb_error_t *error) {
    if (query->size < sizeof *query) {
        return memdb__fail(error, MEMDB_INVALID, "the struct's size is not set");
    }
    if (!query->space_count || !query->spaces) {
        return memdb__fail(error, MEMDB_INVALID, "a space is needed");
    }
    if ((uint32_t)query->mode > MEMDB_RECALL_VECTOR) {
        return memdb__fail(error, MEMDB_INVALID, "mode %u is not known", (unsigned)query->mode);
    }
    if (query->k > MEMDB__RECALL_MAX_K) {
        return memdb__fail(error, MEMDB_INVALID, "k: %u, at most %u", query->k,
                           MEMDB__RECALL_MAX_K);
    }
    if (!query->text.size && !query->vector) {
        return memdb__fail(error, MEMDB_INVALID, "a text or a vector is needed");
    }
    if (!query->text.size && query->mode == MEMDB_RECALL_WORDS) {
        return memdb__fail(error, MEMDB_INVALID, "mode words: a text is needed");
    }
    memdb_status_t status = check_bytes("text", query->text, MEMDB_MAX_TEXT_BYTES, error);
    status = status ? status : check_bytes("session", query->session, MEMDB_MAX_NAME_BYTES, error);
    if (!status && query->has_window && query->window_to != MEMDB_TIME_NONE &&
        query->window_from > query->window_to) {
        status = memdb__fail(error, MEMDB_INVALID, "window: its end is before its beginning");
    }
    status = status ? status : check_vector(query, error);
    status = status ? status : check_weights(query, error);
    if (!status && (query->seed_count > MEMDB_MAX_SEEDS || (query->seed_count && !query->seeds))) {
        status = memdb__fail(error, MEMDB_INVALID, "seeds: %zu of them, at most %d, or none given",
                             query->seed_count, MEMDB_MAX_SEEDS);
    }
    return status ? status : memdb__select_check(query, error);
}

// ------------------------------------------------------------------------------ one space

/// The question's vector for the space in hand: the given one, or its embedder's.
static memdb_status_t find_vector(memdb__recall_t *recall, memdb_error_t *error) {
    const memdb_query_t *query = recall->query;
    memdb__embedder_t embedder;
    uint32_t dimension = query->dimension;
    if (query->mode == MEMDB_RECALL_WORDS || recall->weights[MEMDB_SIGNAL_VECTOR] == 0) {
        return MEMDB_OK;
    }
    const float *vector = query->vector;
    if (!vector && !recall->question.text.size) {
        return MEMDB_OK; // it only forbids
    }
    if (!vector) {
        if (!memdb__embedder_of(recall->snapshot->db, recall->space.name, &embedder)) {
            return query->mode == MEMDB_RECALL_AUTO
                       ? MEMDB_OK
                       : memdb__fail(error, MEMDB_INVALID,
                                     "mode vector: a vector is needed, or an embedder of the "
                                     "space %.*s",
                                     (int)recall->space.name.size, recall->space.name.data);
        }
        dimension = embedder.dimension;
    }
    if (recall->space.dimension == 0) {
        return MEMDB_OK; // it holds no vector to compare with
    }
    if (dimension != recall->space.dimension) {
        return memdb__fail(error, MEMDB_INVALID, "vector: dimension %u, the space %.*s has %u",
                           dimension, (int)recall->space.name.size, recall->space.name.data,
                           recall->space.dimension);
    }
    if (!vector) {
        float *embedded = memdb__arena_allocate(&recall->arena, dimension * sizeof *embedded);
        if (!embedded) {
            return memdb__fail(error, MEMDB_NOMEM, "no memory for a vector");
        }
        if (!embedder.embed(embedder.context, &recall->question.text, 1, embedded)) {
            return memdb__fail(error, MEMDB_INVALID, "the space's embedder failed");
        }
        for (uint32_t i = 0; i < dimension; i++) {
            if (!isfinite(embedded[i])) {
                return memdb__fail(error, MEMDB_INVALID,
                                   "the space's embedder gave a number that is not finite");
            }
        }
        vector = embedded;
    }
    recall->vector = vector;
    return MEMDB_OK;
}

/// Parse the question as the space's documents are parsed, and what it demands.
static memdb_status_t find_words(memdb__recall_t *recall, memdb_error_t *error) {
    const memdb_query_t *query = recall->query;
    memdb_bytes_t text = recall->question.text;
    memdb_status_t status = memdb__boolean_demand(&recall->question, recall->space.tokenizer,
                                                  &recall->gate.demand, error);
    if (status || !text.size || query->mode == MEMDB_RECALL_VECTOR) {
        return status;
    }
    status = memdb__words_query_create(recall->space.tokenizer, text.data, text.size,
                                       &recall->words, error);
    if (!status && recall->gate.demand) {
        status = memdb__words_demand_require(recall->gate.demand, recall->words, error);
    }
    if (status) {
        return status;
    }
    if (memdb__words_query_terms(recall->words) == 0) {
        memdb__words_query_destroy(recall->words);
        recall->words = NULL;
        return MEMDB_OK;
    }
    recall->use_words =
        query->mode == MEMDB_RECALL_WORDS || recall->weights[MEMDB_SIGNAL_WORDS] > 0;
    return MEMDB_OK;
}

/// A part of ranking, as a step of the explanation. It may add candidates.
static memdb_status_t step_of(memdb__recall_t *recall, const char *what,
                              memdb_status_t (*part)(memdb__recall_t *recall, memdb_error_t *error),
                              memdb_error_t *error) {
    uint32_t step = memdb__explain_open(recall->explain, "%s", what);
    uint32_t before = recall->candidates.count;
    memdb_status_t status = part(recall, error);
    memdb__explain_close(recall->explain, step, before, recall->candidates.count);
    return status;
}

static memdb_status_t fuse_and_trace(memdb__recall_t *recall, memdb_error_t *error) {
    memdb__recall_fuse(recall);
    return memdb__recall_trace(recall, error);
}

/// The score of each candidate, by mode.
static memdb_status_t rank(memdb__recall_t *recall, memdb_error_t *error) {
    memdb__candidates_t *candidates = &recall->candidates;
    if (recall->query->mode == MEMDB_RECALL_AUTO) {
        memdb__recall_fuse(recall);
        memdb_status_t status = memdb__recall_time(recall, error);
        status =
            status ? status : step_of(recall, "words of the best", memdb__recall_feedback, error);
        status = status ? status : step_of(recall, "traces", fuse_and_trace, error);
        status = status ? status : step_of(recall, "links", memdb__recall_linked, error);
        status = status ? status : memdb__recall_time(recall, error);
        return status ? status : memdb__recall_prior(recall, error);
    }
    for (uint32_t i = 0; i < candidates->count; i++) {
        memdb__candidate_t *candidate = &candidates->items[i];
        if (recall->query->mode == MEMDB_RECALL_WORDS) {
            candidate->shares[MEMDB_SIGNAL_WORDS] = candidate->words;
        } else if (candidate->has_vector) {
            candidate->shares[MEMDB_SIGNAL_VECTOR] = candidate->vector;
        } else {
            candidate->state = MEMDB__CANDIDATE_REFUSED;
        }
    }
    return MEMDB_OK;
}

static memdb_status_t search_space(memdb__recall_t *recall, memdb_result_t *result,
                                   memdb__recall_tally_t *tally, memdb_error_t *error) {
    memdb_status_t status = find_words(recall, error);
    status = status ? status : find_vector(recall, error);
    if (status) {
        return status;
    }
    // Only what is asked of: a run builds its lists when they are first needed (rule 13).
    if ((recall->words || recall->gate.demand) && !recall->word_sources) {
        status = memdb__snapshot_words(recall->snapshot, &recall->word_sources,
                                       &recall->word_source_count, error);
    }
    if (!status && recall->vector && !recall->vector_sources) {
        status = memdb__snapshot_vectors(recall->snapshot, &recall->vector_sources,
                                         &recall->vector_source_count, error);
    }
    if (status) {
        return status;
    }
    tally->words = tally->words || recall->use_words;
    tally->vector = tally->vector || recall->vector;
    tally->demands = tally->demands || recall->gate.demand;
    status = memdb__recall_scope(recall, error);
    if (status) {
        return status;
    }
    tally->windows = tally->windows || recall->only_windows || memdb__recall_bounded(&recall->gate);
    tally->only_windows = tally->only_windows || recall->only_windows;
    if (!recall->use_words && !recall->vector && !recall->only_windows) {
        return MEMDB_OK; // nothing is asked that this space could answer
    }
    status = memdb__recall_collect(recall, error);
    uint32_t step = memdb__explain_open(recall->explain, "rank");
    uint32_t found = recall->candidates.count;
    status = status ? status : rank(recall, error);
    if (!status && recall->gate.live.error.status) { // met where a memory was looked at
        *error = recall->gate.live.error;
        status = error->status;
    }
    memdb__explain_close(recall->explain, step, found, recall->candidates.count);
    return status ? status : memdb__result_add(result, recall, error);
}

static memdb_status_t recall_space(memdb__recall_t *recall, memdb_space_t space,
                                   memdb_result_t *result, memdb__recall_tally_t *tally,
                                   memdb_error_t *error) {
    memdb_status_t status =
        memdb__read_space(&recall->snapshot->sight, space, &recall->space, error);
    if (status == MEMDB_NOT_FOUND) {
        return memdb__fail(error, MEMDB_NOT_FOUND, "there is no space %u", space);
    }
    if (status) {
        return status;
    }
    recall->words = NULL;
    recall->use_words = false;
    recall->vector = NULL;
    recall->gate = (memdb__recall_gate_t){
        .live = {.sight = &recall->snapshot->sight, .now = recall->time},
        .stop = &recall->snapshot->stop,
        .session = recall->query->session,
        .filter = recall->query->filter,
        .valid_at = recall->query->valid_at ? recall->query->valid_at : recall->now,
        .from = INT64_MIN,
        .to = INT64_MAX};
    recall->span_count = 0;
    recall->only_windows = false;
    recall->listed_count = 0;
    memdb__arena_init(&recall->arena);
    size_t before = result->count;
    recall->notes = recall->notes || recall->space.gates.no_recalled;
    uint32_t step = memdb__explain_open(recall->explain, "space %.*s", (int)recall->space.name.size,
                                        recall->space.name.data);
    status = search_space(recall, result, tally, error);
    memdb__explain_close(recall->explain, step, recall->k, result->count - before);
    memdb__candidates_deinit(&recall->candidates);
    memdb__recall_unplan(recall);
    memdb__words_demand_destroy(recall->gate.demand);
    memdb__words_query_destroy(recall->words);
    memdb__arena_deinit(&recall->arena);
    tally->spaces++;
    return status;
}

// ------------------------------------------------------------------------------ all of them

static bool named_before(const memdb_query_t *query, size_t number) {
    for (size_t i = 0; i < number; i++) {
        if (query->spaces[i] == query->spaces[number]) {
            return true;
        }
    }
    return false;
}

static void set_weights(memdb__recall_t *recall) {
    const memdb_query_t *query = recall->query;
    recall->weights[MEMDB_SIGNAL_WORDS] = MEMDB__RECALL_WEIGHT_WORDS;
    recall->weights[MEMDB_SIGNAL_VECTOR] = MEMDB__RECALL_WEIGHT_VECTOR;
    recall->weights[MEMDB_SIGNAL_TRACE] = 1;
    recall->weights[MEMDB_SIGNAL_FEEDBACK] = 1;
    recall->weights[MEMDB_SIGNAL_GRAPH] = MEMDB__RECALL_WEIGHT_GRAPH;
    recall->weights[MEMDB_SIGNAL_TIME] = MEMDB__RECALL_WEIGHT_TIME;
    if (query->has_weights && query->mode == MEMDB_RECALL_AUTO) {
        memcpy(recall->weights, query->weights, sizeof recall->weights);
    }
}

/// The windows that the question names, and whether it asks for anything else.
static void read_times(memdb__recall_t *recall) {
    const memdb_query_t *query = recall->query;
    recall->now = query->now              ? query->now
                  : recall->snapshot->txn ? memdb__now_us() // what it wrote itself is past, too
                                          : recall->time;
    if (query->mode == MEMDB_RECALL_AUTO && recall->weights[MEMDB_SIGNAL_TIME] > 0) {
        memdb__when_read(recall->question.text.data, recall->question.text.size, recall->now,
                         &recall->when);
    }
}

/// Each seed must be a memory of one of the spaces.
static memdb_status_t check_seeds(const memdb__recall_t *recall, memdb_error_t *error) {
    const memdb_query_t *query = recall->query;
    for (size_t i = 0; i < query->seed_count; i++) {
        memdb__record_t record;
        uint64_t version;
        bool found = false;
        memdb_status_t status =
            memdb__read_record(&recall->snapshot->sight, query->seeds[i], &record, &version, error);
        if (status && status != MEMDB_NOT_FOUND) {
            return status;
        }
        for (size_t j = 0; !status && j < query->space_count; j++) {
            found = found || query->spaces[j] == record.space;
        }
        if (!found) {
            return memdb__fail(error, MEMDB_NOT_FOUND,
                               "seeds: there is no memory %llu in the spaces",
                               (unsigned long long)query->seeds[i]);
        }
    }
    return MEMDB_OK;
}

/// The answer is short: count what there is, and say why.
static memdb_status_t explain(memdb__recall_t *recall, memdb_result_t *result,
                              memdb__recall_tally_t *tally) {
    for (size_t i = 0; i < recall->query->space_count; i++) {
        memdb_space_info_t info;
        if (named_before(recall->query, i)) {
            continue;
        }
        memdb_status_t status =
            memdb_space_get_info(recall->snapshot, recall->query->spaces[i], &info);
        if (status) {
            return status; // reported there
        }
        tally->memories += info.memories;
    }
    memdb__result_explain(result, recall->query, tally);
    return MEMDB_OK;
}

/// Go on from the query's page, if it has one.
static memdb_status_t turn_page(memdb__recall_t *recall, memdb_error_t *error) {
    const memdb_query_t *query = recall->query;
    recall->time = recall->snapshot->time;
    if (!query->page.data) {
        return MEMDB_OK;
    }
    memdb_status_t status =
        memdb__page_question(recall->snapshot->db, query, recall->k, &recall->asked, error);
    if (status || !query->page.size) {
        return status;
    }
    status = memdb__page_read(recall->snapshot, query, recall->asked, &recall->page, error);
    recall->time = recall->page.time;
    recall->turned = *query;
    recall->turned.now = recall->page.now;
    recall->turned.skip = recall->page.before;
    recall->query = &recall->turned;
    return status;
}

static memdb_status_t run(memdb__recall_t *recall, memdb_result_t *result,
                          memdb__recall_tally_t *tally, memdb_error_t *error) {
    const memdb_query_t *query = recall->query;
    memdb_status_t status = memdb__snapshot_usable(recall->snapshot, error);
    status = status ? status : check_query(query, error);
    status = status ? status : check_seeds(recall, error);
    status = status ? status
                    : memdb__boolean_read(query->text, query->boolean, query->phrase_required,
                                          &recall->question, error);
    if (status) {
        return status;
    }
    recall->k = query->k              ? query->k
                : query->token_budget ? MEMDB__RECALL_CANDIDATES
                                      : MEMDB__RECALL_DEFAULT_K;
    status = turn_page(recall, error);
    if (status) {
        return status;
    }
    query = recall->query;
    recall->capacity = recall->k;
    if (query->mode != MEMDB_RECALL_AUTO) {
        recall->capacity = (uint32_t)memdb__select_depth(query, recall->k);
    } else if (recall->k < MEMDB__RECALL_CANDIDATES) {
        recall->capacity = MEMDB__RECALL_CANDIDATES; // fusion and trace reorder them
    }
    set_weights(recall);
    read_times(recall);
    for (size_t i = 0; !status && i < query->space_count; i++) {
        if (!named_before(query, i)) {
            status = recall_space(recall, query->spaces[i], result, tally, error);
        }
    }
    if (!status) {
        memdb__result_order(result);
        status = memdb__recall_select(recall, result, tally, error);
    }
    return status;
}

/// Tell the gates of spaces that ask for it which texts were given.
static memdb_status_t note_recalled(memdb__recall_t *recall, const memdb_result_t *result,
                                    memdb_error_t *error) {
    memdb_status_t status = MEMDB_OK;
    for (size_t i = 0; recall->notes && i < result->count && !status; i++) {
        const memdb_hit_t *hit = &result->hits[i];
        memdb_space_info_t info;
        status = memdb__read_space(&recall->snapshot->sight, hit->space, &info, error);
        if (!status && info.gates.no_recalled) {
            status = memdb__gate_note_recalled(recall->snapshot, hit->space, hit->id, error);
        }
    }
    return status;
}

/// Note what is known of the plan as a whole.
static memdb_status_t describe(memdb__recall_t *recall, memdb_result_t *result,
                               memdb_error_t *error) {
    memdb__explain_t *explain = recall->explain;
    if (!explain) {
        return MEMDB_OK;
    }
    if (explain->failed) {
        return memdb__fail(error, MEMDB_NOMEM, "recall: no memory to explain it");
    }
    result->plan = (memdb_plan_t){.size = sizeof result->plan,
                                  .steps = (const memdb_plan_step_t *)explain->steps.data,
                                  .step_count = explain->steps.size / sizeof(memdb_plan_step_t)};
    memcpy(result->plan.weights, recall->weights, sizeof result->plan.weights);
    return MEMDB_OK;
}

memdb_status_t memdb_recall(memdb_snapshot_t *snapshot, const memdb_query_t *query,
                            memdb_result_t **result_out) {
    return memdb__recall_with_plan(snapshot, query, MEMDB__PLAN_CHOOSE, result_out);
}

memdb_status_t memdb__recall_with_plan(memdb_snapshot_t *snapshot, const memdb_query_t *query,
                                       memdb__plan_kind_t plan, memdb_result_t **result_out) {
    memdb_error_t error = {0};
    if (!snapshot || !query || !result_out) {
        return MEMDB_INVALID;
    }
    memdb__recall_t recall = {.snapshot = snapshot, .query = query, .plan.forced = plan};
    memdb__recall_tally_t tally = {0};
    memdb_result_t *result = memdb__allocate_zeroed(1, sizeof *result);
    if (!result) {
        memdb__fail(&error, MEMDB_NOMEM, "recall: out of memory");
        return memdb__report(snapshot->db, error.status, &error);
    }
    if (query->size >= sizeof *query && query->explain &&
        !(recall.explain = result->explain = memdb__explain_create())) {
        memdb_result_free(result);
        memdb__fail(&error, MEMDB_NOMEM, "recall: out of memory");
        return memdb__report(snapshot->db, error.status, &error);
    }
    memdb_status_t status = run(&recall, result, &tally, &error);
    memdb__boolean_deinit(&recall.question);
    status = status ? status : note_recalled(&recall, result, &error);
    status = status ? status : describe(&recall, result, &error);
    if (status) {
        memdb__error_context(&error, status, "recall");
        memdb_result_free(result);
        return memdb__report(snapshot->db, status, &error);
    }
    status = result->count < recall.k ? explain(&recall, result, &tally) : MEMDB_OK;
    if (status) {
        memdb_result_free(result);
        return status;
    }
    *result_out = result;
    return MEMDB_OK;
}
