// Candidates: the best memories of a space by words, and by vector, with the scores of both.
//
// The searches ask their callbacks whether the snapshot sees a document or row, whether it is of
// the session that is asked for, and whether it holds the words that the query demands.
// Damage that a callback meets is kept in gate.live.error and ends the recall: an answer is right,
// or it is an error.
#include "query/query_recall.h"

#include <math.h>

// ------------------------------------------------------------------------------ the table

static uint32_t slot_of(const memdb__candidates_t *candidates, uint64_t id) {
    return (uint32_t)((id * UINT64_C(0x9E3779B97F4A7C15)) >> 32) & candidates->mask;
}

static void enter(memdb__candidates_t *candidates, uint32_t number) {
    uint32_t slot = slot_of(candidates, candidates->items[number].id);
    while (candidates->slots[slot]) {
        slot = (slot + 1) & candidates->mask;
    }
    candidates->slots[slot] = number + 1;
}

bool memdb__candidates_reserve(memdb__candidates_t *candidates, uint32_t more) {
    uint32_t needed = candidates->count + more, size = 64;
    if (needed <= candidates->capacity) {
        return true;
    }
    while (size < 2 * needed) {
        size *= 2;
    }
    uint32_t *slots = memdb__allocate_zeroed(size, sizeof *slots);
    memdb__candidate_t *items =
        slots ? memdb__reallocate(candidates->items, needed * sizeof *items) : NULL;
    if (!items) {
        memdb__free(slots);
        return false;
    }
    memdb__free(candidates->slots);
    candidates->items = items;
    candidates->slots = slots;
    candidates->mask = size - 1;
    candidates->capacity = needed;
    for (uint32_t i = 0; i < candidates->count; i++) {
        enter(candidates, i);
    }
    return true;
}

memdb__candidate_t *memdb__candidates_take(memdb__candidates_t *candidates, uint64_t id,
                                           bool *new_out) {
    uint32_t slot = slot_of(candidates, id);
    for (; candidates->slots[slot]; slot = (slot + 1) & candidates->mask) {
        memdb__candidate_t *candidate = &candidates->items[candidates->slots[slot] - 1];
        if (candidate->id == id) {
            *new_out = false;
            return candidate;
        }
    }
    *new_out = true;
    candidates->slots[slot] = ++candidates->count;
    memdb__candidate_t *candidate = &candidates->items[candidates->count - 1];
    *candidate = (memdb__candidate_t){.id = id};
    return candidate;
}

void memdb__candidates_deinit(memdb__candidates_t *candidates) {
    memdb__free(candidates->items);
    memdb__free(candidates->slots);
    *candidates = (memdb__candidates_t){0};
}

// ------------------------------------------------------------------------------ what a candidate
// must be

static void keep_error(memdb__recall_gate_t *gate, const memdb_error_t *error) {
    if (!gate->live.error.status) {
        gate->live.error = *error;
    }
}

static bool meets(memdb__recall_gate_t *gate, const memdb__record_t *record) {
    memdb_error_t error;
    bool meets = false;
    memdb__error_clear(&error);
    if (!gate->demand) {
        return true;
    }
    if (memdb__words_demand_meets(gate->demand, record->text, record->actor, &meets, &error)) {
        keep_error(gate, &error);
    }
    return meets;
}

bool memdb__recall_shows(memdb__recall_gate_t *gate, memdb_space_t space, uint64_t id,
                         uint64_t version, const memdb__record_t *record) {
    const memdb__live_t *live = &gate->live;
    return record->space == space && (!gate->set || memdb__plan_set_has(gate->set, id)) &&
           (record->expires == MEMDB_TIME_NONE || record->expires > live->now) &&
           (!gate->session.size || memdb__compare(record->session.data, record->session.size,
                                                  gate->session.data, gate->session.size) == 0) &&
           (gate->valid_at == MEMDB_TIME_NONE ||
            memdb_is_valid(record->valid_from, record->valid_to, gate->valid_at)) &&
           memdb__recall_within(gate, record) &&
           memdb__filter_passes(gate->filter, id, version, record) && meets(gate, record);
}

/// The record of a memory that a search met, when the query may show it.
static bool read_shown(memdb__recall_gate_t *gate, memdb_space_t space, uint64_t id,
                       memdb__record_t *record) {
    memdb_error_t error;
    uint64_t version;
    memdb__error_clear(&error); // a hot path: the message is not zeroed
    memdb_status_t status = memdb__stop_check(gate->stop, &error);
    status = status ? status : memdb__read_record(gate->live.sight, id, record, &version, &error);
    if (status && status != MEMDB_NOT_FOUND) {
        keep_error(gate, &error);
    }
    return !status && memdb__recall_shows(gate, space, id, version, record);
}

static bool document_passes(void *context, memdb_space_t space, uint64_t id, uint64_t version) {
    memdb__record_t record;
    return read_shown(context, space, id, &record) && record.text_version == version;
}

static bool row_passes(void *context, memdb_space_t space, uint64_t id, uint64_t version) {
    memdb__record_t record;
    return read_shown(context, space, id, &record) && record.vector_version == version;
}

memdb_status_t memdb__recall_read(memdb__recall_t *recall, memdb__candidate_t *candidate,
                                  memdb_error_t *error) {
    if (candidate->has_record) {
        return MEMDB_OK;
    }
    memdb_status_t status = memdb__read_record(&recall->snapshot->sight, candidate->id,
                                               &candidate->record, &candidate->version, error);
    if (status == MEMDB_OK) {
        candidate->has_record = true;
        candidate->row = candidate->record.vector_version;
    }
    return status == MEMDB_NOT_FOUND ? MEMDB_OK : status;
}

// ------------------------------------------------------------------------------ by words

static bool in_set(void *context, uint64_t id) {
    const memdb__recall_gate_t *gate = context;
    return memdb__plan_set_has(gate->set, id);
}

memdb__words_search_t memdb__recall_words_search(memdb__recall_t *recall) {
    static const memdb__words_parameters_t candidates = {
        .k1 = MEMDB__RECALL_K1, .b = MEMDB__RECALL_B, .rare = MEMDB__RECALL_RARE};
    static const memdb__words_parameters_t hits = {.k1 = MEMDB__RECALL_K1,
                                                   .b = MEMDB__RECALL_B,
                                                   .rare = MEMDB__RECALL_RARE,
                                                   .cover = MEMDB__RECALL_COVER};
    return (memdb__words_search_t){
        .space = recall->space.space,
        .visible = memdb__snapshot_visible(recall->snapshot),
        .sources = recall->word_sources,
        .source_count = recall->word_source_count,
        .live = document_passes,
        .accept = recall->gate.set ? in_set : NULL,
        .context = &recall->gate,
        .stop = recall->snapshot->stop,
        .parameters = recall->query->mode == MEMDB_RECALL_WORDS ? &hits : &candidates,
    };
}

memdb_status_t memdb__recall_score_words(memdb__recall_t *recall, memdb__words_hit_t *hits,
                                         size_t count, memdb_error_t *error) {
    memdb__words_search_t search = memdb__recall_words_search(recall);
    return memdb__words_score(recall->words, &search, hits, count, error);
}

static bool any_version(void *context, memdb_space_t space, uint64_t id, uint64_t version) {
    (void)context, (void)space, (void)id, (void)version;
    return true;
}

/// Keep those that pass, `capacity` of them at most, in their order.
static size_t keep_passing(memdb__recall_t *recall, memdb__words_hit_t *hits, size_t count,
                           size_t capacity) {
    const uint64_t *ids = count ? &hits->id : NULL;
    size_t kept = 0;
    for (size_t i = 0; i < count && kept < capacity; i++) {
        memdb__expect_records(&recall->snapshot->sight, ids, sizeof *hits, count, i);
        if (document_passes(&recall->gate, recall->space.space, hits[i].id, hits[i].version)) {
            hits[kept++] = hits[i];
        }
    }
    return kept;
}

/// The best documents that pass. As with vectors, some more than are wanted are fetched unasked
/// where enough pass, and looked up in their order; only where too many of them did not, the
/// search asks as it goes.
static memdb_status_t search_words(memdb__recall_t *recall, size_t capacity,
                                   memdb__words_hit_t **hits_out, size_t *count_out,
                                   memdb_error_t *error) {
    memdb__words_search_t search = memdb__recall_words_search(recall);
    size_t count = 0, kept = 0, fetched = memdb__recall_fetch(recall, capacity);
    bool asks = memdb__recall_asks(recall);
    memdb__words_hit_t *hits = memdb__arena_allocate(&recall->arena, fetched * sizeof *hits);
    if (!hits) {
        return memdb__fail(error, MEMDB_NOMEM, "no memory for %zu candidates", fetched);
    }
    memdb_status_t status = MEMDB_OK;
    if (!asks) {
        search.live = any_version;
        status = memdb__words_search(recall->words, &search, hits, fetched, &count, error);
        kept = status ? 0 : keep_passing(recall, hits, count, capacity);
        asks = kept < capacity && count == fetched;
        search.live = document_passes;
    }
    if (asks && !status) {
        status = memdb__words_search(recall->words, &search, hits, capacity, &kept, error);
    }
    if (!status && recall->gate.live.error.status) {
        *error = recall->gate.live.error;
        return error->status;
    }
    *hits_out = hits;
    *count_out = kept;
    return status;
}

void memdb__recall_take_words(memdb__recall_t *recall, const memdb__words_hit_t *hit) {
    bool is_new;
    memdb__candidate_t *candidate = memdb__candidates_take(&recall->candidates, hit->id, &is_new);
    candidate->words = recall->query->mode == MEMDB_RECALL_WORDS
                           ? (double)hit->score // the search has counted it
                           : hit->score * pow(hit->coverage, MEMDB__RECALL_COVER);
}

static void take_words(memdb__recall_t *recall, const memdb__words_hit_t *hits, size_t count) {
    for (size_t i = 0; i < count; i++) {
        memdb__recall_take_words(recall, &hits[i]);
    }
}

// ------------------------------------------------------------------------------ by vector

static memdb__vector_search_t vector_search_of(memdb__recall_t *recall) {
    return (memdb__vector_search_t){
        .space = recall->space.space,
        .metric = recall->space.metric,
        .dimension = recall->space.dimension,
        .visible = memdb__snapshot_visible(recall->snapshot),
        .sources = recall->vector_sources,
        .source_count = recall->vector_source_count,
        .live = row_passes,
        .context = &recall->gate,
        .stop = recall->snapshot->stop,
        .members = recall->gate.set ? &recall->gate.set->ids : NULL,
        .inverted = recall->gate.set && recall->gate.set->inverted,
    };
}

memdb_status_t memdb__recall_score_rows(memdb__recall_t *recall, memdb__vector_hit_t *hits,
                                        size_t count, memdb_error_t *error) {
    memdb__vector_search_t search = vector_search_of(recall);
    memdb_status_t status = memdb__vector_score(recall->vector, &search, hits, count, error);
    for (size_t i = 0; !status && i < count; i++) {
        if (isinf(hits[i].score)) {
            return memdb__fail(error, MEMDB_CORRUPT,
                               "the vector of memory %llu, version %llu, is in no segment",
                               (unsigned long long)hits[i].id, (unsigned long long)hits[i].version);
        }
    }
    return status;
}

/// Take the hits that the snapshot sees, best first, `capacity` of them at most; each one's record
/// is read once, here.
static memdb_status_t take_vectors(memdb__recall_t *recall, const memdb__vector_hit_t *hits,
                                   size_t count, size_t *taken_out, memdb_error_t *error) {
    const uint64_t *ids = count ? &hits->id : NULL;
    size_t taken = 0;
    for (size_t i = 0; i < count && taken < recall->capacity; i++) {
        memdb__record_t record;
        uint64_t version;
        memdb__expect_records(&recall->snapshot->sight, ids, sizeof *hits, count, i);
        memdb_status_t status =
            memdb__read_record(&recall->snapshot->sight, hits[i].id, &record, &version, error);
        if (status == MEMDB_NOT_FOUND ||
            (!status && (record.vector_version != hits[i].version ||
                         !memdb__recall_shows(&recall->gate, recall->space.space, hits[i].id,
                                              version, &record)))) {
            continue;
        }
        if (status) {
            return status;
        }
        bool is_new;
        memdb__candidate_t *candidate =
            memdb__candidates_take(&recall->candidates, hits[i].id, &is_new);
        candidate->has_record = candidate->has_vector = true;
        candidate->record = record;
        candidate->version = version;
        candidate->row = hits[i].version;
        candidate->vector = hits[i].score;
        taken++;
    }
    *taken_out = taken;
    return MEMDB_OK;
}

/// While a search goes on, many more rows are promising than are kept in the end, and asking for
/// each one's record costs as much as the scan. Few rows are dead as a rule, and the plan knows
/// about how many pass: so some more are fetched unasked, and the best of them looked up. Only
/// where too many of them were dead, or few pass, the search asks as it goes.
static memdb_status_t search_vectors(memdb__recall_t *recall, size_t *taken_out,
                                     memdb_error_t *error) {
    memdb__vector_search_t search = vector_search_of(recall);
    size_t count = 0, taken = 0, capacity = memdb__recall_fetch(recall, recall->capacity);
    memdb__vector_hit_t *hits = memdb__arena_allocate(&recall->arena, capacity * sizeof *hits);
    memdb_status_t status = MEMDB_OK;
    if (!hits) {
        return memdb__fail(error, MEMDB_NOMEM, "no memory for %zu candidates", capacity);
    }
    if (!memdb__recall_asks(recall)) {
        search.live = any_version;
        status = memdb__vector_search(recall->vector, &search, hits, capacity, &count, error);
        status = status ? status : take_vectors(recall, hits, count, &taken, error);
        if (status || taken == recall->capacity || count < capacity) {
            *taken_out = taken;
            return status;
        }
        search.live = row_passes;
    }
    status = memdb__vector_search(recall->vector, &search, hits, recall->capacity, &count, error);
    if (!status && recall->gate.live.error.status) {
        *error = recall->gate.live.error;
        return error->status;
    }
    return status ? status : take_vectors(recall, hits, count, taken_out, error);
}

memdb_status_t memdb__recall_score_vectors(memdb__recall_t *recall, uint32_t first,
                                           memdb_error_t *error) {
    memdb__candidates_t *candidates = &recall->candidates;
    size_t count = 0, wanted = candidates->count - first;
    memdb__vector_hit_t *hits = memdb__arena_allocate(&recall->arena, wanted * sizeof *hits);
    uint32_t *numbers = memdb__arena_allocate(&recall->arena, wanted * sizeof *numbers);
    if (!hits || !numbers) {
        return memdb__fail(error, MEMDB_NOMEM, "no memory for %zu vector scores", wanted);
    }
    for (uint32_t i = first; i < candidates->count; i++) {
        memdb__candidate_t *candidate = &candidates->items[i];
        if (candidate->has_vector || candidate->state == MEMDB__CANDIDATE_REFUSED) {
            continue;
        }
        memdb_status_t status = memdb__recall_read(recall, candidate, error);
        if (status) {
            return status;
        }
        if (candidate->row) {
            hits[count] = (memdb__vector_hit_t){.id = candidate->id, .version = candidate->row};
            numbers[count++] = i;
        }
    }
    memdb_status_t status = memdb__recall_score_rows(recall, hits, count, error);
    for (size_t i = 0; !status && i < count; i++) {
        memdb__candidate_t *candidate = &candidates->items[numbers[i]];
        candidate->vector = hits[i].score;
        candidate->has_vector = true;
    }
    return status;
}

// ------------------------------------------------------------------------------ both

static memdb_status_t collect_by_words(memdb__recall_t *recall, size_t *taken_out,
                                       memdb_error_t *error) {
    memdb__words_hit_t *hits;
    size_t count = 0;
    uint32_t step = memdb__explain_open(recall->explain, "words");
    memdb_status_t status = search_words(recall, recall->capacity, &hits, &count, error);
    if (!status) {
        take_words(recall, hits, count);
    }
    memdb__explain_close(recall->explain, step, memdb__recall_expected(recall), count);
    *taken_out = count;
    return status;
}

static memdb_status_t collect_by_vector(memdb__recall_t *recall, memdb_error_t *error) {
    uint32_t step = memdb__explain_open(recall->explain, "vectors");
    size_t taken = 0;
    memdb_status_t status = search_vectors(recall, &taken, error);
    memdb__explain_close(recall->explain, step, memdb__recall_expected(recall), taken);
    return status;
}

/// The best by words, and the best by vector. A search of words finds what has a score; a memory
/// that is demanded by the rarest terms of a prefix may have none, so where the search comes to its
/// end the members are read.
static memdb_status_t collect_best(memdb__recall_t *recall, memdb_error_t *error) {
    size_t taken = recall->capacity;
    if (!memdb__candidates_reserve(&recall->candidates, 2 * recall->capacity)) {
        return memdb__fail(error, MEMDB_NOMEM, "no memory for %u candidates", recall->capacity);
    }
    memdb_status_t status = recall->use_words ? collect_by_words(recall, &taken, error) : MEMDB_OK;
    if (!status && taken < recall->capacity && memdb__words_demand_requires(recall->gate.demand)) {
        return memdb__recall_collect_members(recall, error);
    }
    return status || !recall->vector ? status : collect_by_vector(recall, error);
}

/// A question that asks for nothing but a time: all that lies in it, the first ones where these are
/// many.
static memdb_status_t take_listed(memdb__recall_t *recall, memdb_error_t *error) {
    size_t taken = 0, most = recall->k > MEMDB__RECALL_LISTED ? recall->k : MEMDB__RECALL_LISTED;
    most = most < recall->listed_count ? most : recall->listed_count;
    if (!memdb__candidates_reserve(&recall->candidates, (uint32_t)most)) {
        return memdb__fail(error, MEMDB_NOMEM, "no memory for %zu candidates", most);
    }
    for (size_t i = 0; i < recall->listed_count && taken < most; i++) {
        memdb__record_t record;
        uint64_t version;
        bool is_new;
        memdb_status_t status = memdb__read_record(&recall->snapshot->sight, recall->listed[i],
                                                   &record, &version, error);
        if (status && status != MEMDB_NOT_FOUND) {
            return status;
        }
        if (!status && memdb__recall_shows(&recall->gate, recall->space.space, recall->listed[i],
                                           version, &record)) {
            memdb__candidates_take(&recall->candidates, recall->listed[i], &is_new);
            taken++;
        }
    }
    return MEMDB_OK;
}

static memdb_status_t collect(memdb__recall_t *recall, memdb_error_t *error) {
    memdb_status_t status = memdb__recall_plan(recall, error);
    if (!status) {
        status = recall->plan.kind == MEMDB__PLAN_MEMBERS
                     ? memdb__recall_collect_members(recall, error)
                     : collect_best(recall, error);
    }
    if (!status && recall->only_windows) {
        status = memdb__recall_list(recall, error);
        status = status ? status : take_listed(recall, error);
    }
    return status;
}

memdb_status_t memdb__recall_collect(memdb__recall_t *recall, memdb_error_t *error) {
    memdb__recall_gate_t *gate = &recall->gate;
    memdb_status_t status = MEMDB_OK;
    bool soft = recall->span_count && !recall->only_windows;
    if (soft || !recall->span_count) {
        status = collect(recall, error);
    }
    if (!status && recall->span_count) {
        gate->spans = recall->spans;
        gate->span_count = recall->span_count;
        status = collect(recall, error);
    }
    // "10 days ago" is often told a little off: where nothing lies there, what is near it counts.
    if (!status && recall->only_windows && !recall->candidates.count &&
        memdb__recall_widen(recall)) {
        status = collect(recall, error);
    }
    if (soft) { // both, the best of all and the best inside, and from here on nothing is hidden
        gate->span_count = 0;
        memdb__recall_unplan(recall);
    }
    return status || !recall->vector ? status : memdb__recall_score_vectors(recall, 0, error);
}
