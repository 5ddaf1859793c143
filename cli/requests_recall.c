// recall: the query from its fields, and the hits with what a reader wants to see of each memory.
#include "cli/cli_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct spaces {
    memdb_space_t *ids;
    memdb_bytes_t *names; // of ids, side by side
    size_t count;
    memdb_snippet_options_t *snippets; // the same; NULL: none is wanted
} spaces_t;

// Space `main` may be missing, and then has no place among the ids.
static memdb_status_t find_spaces(cli_session_t *session, memdb_snapshot_t *snapshot,
                                  const cli_json_t *request, spaces_t *spaces,
                                  memdb_error_t *error) {
    const cli_json_t *list = cli_json_get(request, "spaces");
    size_t count = list ? cli_json_count(list) : 1;
    if (list && cli_json_get(request, "space"))
        return cli_fail(error, MEMDB_INVALID, "spaces: give it or space, not both");
    spaces->ids = cli_allocate(count * sizeof *spaces->ids);
    spaces->names = cli_allocate(count * sizeof *spaces->names);
    for (size_t i = 0; i < count; i++) {
        memdb_bytes_t name = list ? cli_json_bytes(cli_json_at(list, i)) : cli_space_name(request);
        memdb_space_t space;
        memdb_status_t status = cli_space_find(session, snapshot, name, &space, error);
        if (status != MEMDB_OK)
            return status;
        if (!space)
            continue;
        spaces->names[spaces->count] = name;
        spaces->ids[spaces->count++] = space;
    }
    return MEMDB_OK;
}

// A score is float32 at heart: nine digits say all of it, and a reader wants no more.
static cli_json_t *score_json(double score) {
    char digits[40];
    snprintf(digits, sizeof digits, "%.9g", score);
    return cli_json_new_number(strtod(digits, NULL));
}

// What snippets of each space need.
static memdb_status_t plan_snippets(cli_session_t *session, memdb_snapshot_t *snapshot,
                                    const memdb_query_t *query, size_t most, spaces_t *spaces,
                                    memdb_error_t *error) {
    memdb_status_t status = MEMDB_OK;
    if (most && spaces->count)
        spaces->snippets = cli_allocate(spaces->count * sizeof *spaces->snippets);
    for (size_t i = 0; spaces->snippets && i < spaces->count && status == MEMDB_OK; i++) {
        memdb_space_info_t info;
        status = cli_engine(session, memdb_space_get_info(snapshot, spaces->ids[i], &info), error,
                            "space");
        spaces->snippets[i] = (memdb_snippet_options_t){.size = sizeof *spaces->snippets,
                                                        .tokenizer = info.tokenizer,
                                                        .question = query->text,
                                                        .boolean = query->boolean,
                                                        .max_bytes = most};
    }
    return status;
}

static void add_piece(cli_json_t *pieces, memdb_bytes_t text, size_t from, size_t to) {
    cli_json_append(pieces, cli_bytes_json((memdb_bytes_t){text.data + from, to - from}));
}

// {"from":12,"to":60,"pieces":["the ","key"," is under the ","pot",""]}: words of the question are
// the second piece, the fourth, and so on.
static memdb_status_t add_snippet(const memdb_snippet_options_t *options, memdb_bytes_t text,
                                  cli_json_t *hit, memdb_error_t *error) {
    size_t capacity = options->max_bytes / 2 + 1;
    memdb_mark_t *marks = cli_allocate(capacity * sizeof *marks);
    memdb_snippet_t snippet;
    memdb_status_t status = memdb_snippet_find(options, text, marks, capacity, &snippet, error);
    if (status == MEMDB_OK) {
        cli_json_t *object = cli_json_new_object(), *pieces = cli_json_new_array();
        size_t at = snippet.from;
        for (size_t i = 0; i < snippet.mark_count; i++) {
            size_t end = marks[i].offset + marks[i].size;
            add_piece(pieces, text, at, marks[i].offset);
            add_piece(pieces, text, marks[i].offset, end);
            at = end;
        }
        add_piece(pieces, text, at, snippet.to);
        cli_set_unsigned(object, "from", snippet.from);
        cli_set_unsigned(object, "to", snippet.to);
        cli_json_set(object, "pieces", pieces);
        cli_json_set(hit, "snippet", object);
    }
    free(marks);
    return status;
}

static cli_json_t *lent_or_null(bool there, memdb_bytes_t bytes) {
    return there && bytes.size ? cli_bytes_json(bytes) : cli_json_new_null();
}

static memdb_status_t add_hit(cli_session_t *session, memdb_snapshot_t *snapshot,
                              const memdb_query_t *query, const spaces_t *spaces,
                              const memdb_hit_t *hit, cli_json_t *hits, memdb_error_t *error) {
    memdb_memory_t memory = {.size = sizeof memory};
    size_t number = 0;
    memdb_status_t status = memdb_get(snapshot, hit->space, hit->id, &memory);
    if (status != MEMDB_OK)
        return cli_engine(session, status, error, "hit %llu", (unsigned long long)hit->id);
    while (number + 1 < spaces->count && spaces->ids[number] != hit->space)
        number++;
    cli_json_t *one = cli_json_new_object(), *signals = cli_json_new_object();
    cli_set_unsigned(one, "id", hit->id);
    cli_json_set(one, "key", lent_or_null(memory.fields & MEMDB_FIELD_KEY, memory.key));
    cli_json_set(one, "space", cli_bytes_json(spaces->names[number]));
    cli_json_set(one, "score", score_json(hit->score));
    for (int signal = 0; signal < MEMDB_SIGNAL_COUNT; signal++)
        cli_json_set(signals, memdb_signal_name((memdb_signal_t)signal),
                     score_json(hit->signals[signal]));
    cli_json_set(one, "signals", signals);
    cli_json_set(
        one, "text",
        cli_bytes_json(memory.fields & MEMDB_FIELD_TEXT ? memory.text : (memdb_bytes_t){0}));
    cli_json_set(one, "time",
                 cli_time_json(memory.fields & MEMDB_FIELD_TIME ? memory.time : MEMDB_TIME_NONE));
    cli_json_set(one, "session", lent_or_null(memory.fields & MEMDB_FIELD_SESSION, memory.session));
    cli_json_set(one, "actor", lent_or_null(memory.fields & MEMDB_FIELD_ACTOR, memory.actor));
    if (memory.fields & MEMDB_FIELD_VALID_FROM)
        cli_json_set(one, "valid_from", cli_time_json(memory.valid_from));
    if (memory.fields & MEMDB_FIELD_VALID_TO)
        cli_json_set(one, "valid_to", cli_time_json(memory.valid_to));
    if (query->fold)
        cli_set_unsigned(one, "folded", hit->folded);
    if (query->token_budget)
        cli_set_unsigned(one, "tokens", hit->tokens);
    cli_json_append(hits, one);
    return spaces->snippets ? add_snippet(&spaces->snippets[number], memory.text, one, error)
                            : MEMDB_OK;
}

static void set_weights(const cli_json_t *request, memdb_query_t *query) {
    const cli_json_t *weights = cli_json_get(request, "weights");
    query->has_weights = weights != NULL;
    for (int signal = 0; weights && signal < MEMDB_SIGNAL_COUNT; signal++)
        query->weights[signal] =
            cli_get_number(weights, memdb_signal_name((memdb_signal_t)signal), 0);
}

static memdb_recall_mode_t mode_of(const cli_json_t *request) {
    memdb_bytes_t mode = cli_get_bytes(request, "mode");
    if (!mode.size || mode.data[0] == 'a')
        return MEMDB_RECALL_AUTO;
    return mode.data[0] == 'w' ? MEMDB_RECALL_WORDS : MEMDB_RECALL_VECTOR;
}

static cli_json_t *plan_json(const memdb_plan_t *plan) {
    cli_json_t *object = cli_json_new_object(), *steps = cli_json_new_array(),
               *weights = cli_json_new_object();
    for (size_t i = 0; i < plan->step_count; i++) {
        const memdb_plan_step_t *step = &plan->steps[i];
        cli_json_t *one = cli_json_new_object();
        memdb_bytes_t what = {step->what, strlen(step->what)};
        cli_json_set(one, "what", cli_bytes_json(what));
        cli_set_unsigned(one, "depth", step->depth);
        cli_json_set(one, "estimated",
                     step->estimated < 0 ? cli_json_new_null()
                                         : cli_json_new_integer((int64_t)(step->estimated + .5)));
        cli_set_unsigned(one, "rows", step->rows);
        cli_json_set(one, "us", cli_json_new_number(step->us));
        cli_json_append(steps, one);
    }
    for (int signal = 0; signal < MEMDB_SIGNAL_COUNT; signal++)
        cli_json_set(weights, memdb_signal_name((memdb_signal_t)signal),
                     cli_json_new_number(plan->weights[signal]));
    cli_json_set(object, "steps", steps);
    cli_json_set(object, "weights", weights);
    return object;
}

static memdb_status_t ask(cli_session_t *session, memdb_snapshot_t *snapshot,
                          const memdb_query_t *query, const spaces_t *spaces, cli_json_t *answer,
                          memdb_error_t *error) {
    memdb_result_t *result = NULL;
    cli_json_t *hits = cli_json_new_array();
    cli_json_set(answer, "hits", hits);
    if (!spaces->count) {
        cli_json_set(answer, "fewer", cli_json_new_text("the space main is empty"));
        return MEMDB_OK;
    }
    memdb_status_t status =
        cli_engine(session, memdb_recall(snapshot, query, &result), error, "recall");
    if (status != MEMDB_OK)
        return status;
    for (size_t i = 0; status == MEMDB_OK && i < memdb_result_count(result); i++)
        status =
            add_hit(session, snapshot, query, spaces, memdb_result_hit(result, i), hits, error);
    const char *fewer = memdb_result_fewer(result);
    if (fewer)
        cli_json_set(answer, "fewer", cli_json_new_text(fewer));
    if (memdb_result_page(result))
        cli_json_set(answer, "next_page", cli_json_new_text(memdb_result_page(result)));
    if (memdb_result_plan(result))
        cli_json_set(answer, "plan", plan_json(memdb_result_plan(result)));
    memdb_result_free(result);
    return status;
}

// A page goes on at its own position, unless the session holds a snapshot, or the request says.
static memdb_status_t begin_read(cli_session_t *session, const cli_json_t *request,
                                 memdb_bytes_t page, memdb_snapshot_t **snapshot_out,
                                 memdb_error_t *error) {
    memdb_snapshot_options_t then = {.size = sizeof then};
    if (!page.size || cli_json_get(request, "as_of") || cli_session_in_transaction(session))
        return cli_read_begin_at(session, request, snapshot_out, error);
    if (memdb_page_lsn(page, &then.as_of_lsn) != MEMDB_OK)
        return cli_fail(error, MEMDB_INVALID, "page: this is none, or it is damaged");
    return cli_engine(
        session, memdb_snapshot_begin(session->db, &then, snapshot_out), error,
        "page: begin a snapshot before the first page, or keep history; its position");
}

// The search of this version is exact over the stored vectors, so that it meets any recall_target.
memdb_status_t cli_run_recall(cli_session_t *session, const cli_json_t *request, cli_json_t *answer,
                              memdb_error_t *error) {
    memdb_snapshot_t *snapshot;
    spaces_t spaces = {0};
    float *vector = NULL;
    uint64_t *seeds = NULL;
    memdb_query_t query = {.size = sizeof query,
                           .text = cli_get_bytes(request, "text"),
                           .session = cli_get_bytes(request, "session"),
                           .k = (uint32_t)cli_get_integer(request, "k", 0),
                           .skip = (uint32_t)cli_get_integer(request, "skip", 0),
                           .fold = cli_json_truth(cli_json_get(request, "fold")),
                           .mmr = cli_get_number(request, "mmr", 0),
                           .token_budget = (uint32_t)cli_get_integer(request, "token_budget", 0),
                           .mode = mode_of(request)};
    memdb_filter_t *filter;
    memdb_status_t status = cli_get_filter(request, &filter, error);
    if (status == MEMDB_OK)
        status = cli_get_vector(request, &vector, &query.dimension, error);
    if (status != MEMDB_OK) {
        memdb_filter_free(filter);
        return status;
    }
    query.filter = filter;
    query.vector = vector;
    query.boolean = cli_json_truth(cli_json_get(request, "boolean"));
    query.page = cli_get_bytes(request, "page");
    query.explain = cli_json_truth(cli_json_get(request, "explain"));
    query.now = cli_get_moment(request, "now");
    query.valid_at = cli_get_moment(request, "valid_at");
    if (!query.valid_at && cli_json_get(request, "valid_at"))
        query.valid_at = MEMDB_TIME_NONE; // null: whenever
    query.has_window = cli_get_window(request, "window", &query.window_from, &query.window_to);
    set_weights(request, &query);
    if (!vector && !query.text.size)
        status = cli_fail(error, MEMDB_INVALID, "text: give a text or a vector to ask for");
    if (status == MEMDB_OK)
        status = begin_read(session, request, query.page, &snapshot, error);
    if (status == MEMDB_OK) {
        status = find_spaces(session, snapshot, request, &spaces, error);
        query.spaces = spaces.ids;
        query.space_count = spaces.count;
        if (status == MEMDB_OK)
            status = plan_snippets(session, snapshot, &query,
                                   (size_t)cli_get_integer(request, "snippet", 0), &spaces, error);
        if (status == MEMDB_OK)
            status = cli_find_memories(session, snapshot, spaces.ids, spaces.count, request,
                                       "seeds", &seeds, &query.seed_count, error);
        query.seeds = seeds;
        if (status == MEMDB_OK)
            status = ask(session, snapshot, &query, &spaces, answer, error);
        if (status == MEMDB_OK && cli_json_get(request, "skip") && !cli_json_get(answer, "fewer"))
            cli_set_unsigned(answer, "next", query.skip + (query.k ? query.k : 10));
        cli_read_end(session, snapshot);
    }
    memdb_filter_free(filter);
    free(seeds);
    free(spaces.ids);
    free(spaces.names);
    free(spaces.snippets);
    free(vector);
    return status;
}
