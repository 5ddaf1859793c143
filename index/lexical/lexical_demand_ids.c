// Demands: the ids of the memories that may meet one, from the index.
//
// Each clause that is required gives a set: of each of its phrases the postings of the rarest word,
// those of every term of a prefix. The sets hold more than what meets the demand (words apart,
// documents that are dead), and the text decides; so a common word that is required beside a rare
// one is not walked. What is forbidden gives no set: a dead document says nothing of the living
// one.
#include "index/lexical/lexical_demand.h"
#include "index/lexical/lexical_list.h"
#include "index/lexical/lexical_segment.h"

#define WORTH 16u // a posting costs so much less than a look at a memory

/// Takes a term's postings in one source: how many there are, or their ids.
typedef struct taker {
    const memdb__words_search_t *search;
    memdb__bitmap_t *ids; // NULL: count alone
    uint64_t count;
} taker_t;

static memdb_status_t no_memory(memdb_error_t *error) {
    return memdb__fail(error, MEMDB_NOMEM, "no memory for the ids of a word");
}

// ------------------------------------------------------------------------------ in a list

static memdb_status_t take_list_term(taker_t *taker, const memdb__list_view_t *view,
                                     const memdb__list_term_t *term, memdb_error_t *error) {
    uint32_t visible = memdb__list_visible_postings(term, view);
    memdb__list_spans_t spans;
    taker->count += visible;
    if (!taker->ids) {
        return MEMDB_OK;
    }
    for (memdb__list_spans_begin(&spans, &term->postings, visible); spans.count;
         memdb__list_spans_next(&spans)) {
        for (uint32_t i = 0; i < spans.count; i++) {
            uint64_t id = memdb__list_document(view->space, (uint32_t)spans.values[i])->id;
            if (!memdb__bitmap_add(taker->ids, id)) {
                return no_memory(error);
            }
        }
    }
    return MEMDB_OK;
}

static memdb_status_t take_list(taker_t *taker, const memdb__words_source_t *source, bool prefix,
                                const uint8_t *term, size_t size, memdb_error_t *error) {
    memdb_space_t space = taker->search->space;
    memdb_status_t status = MEMDB_OK;
    memdb__list_view_t view;
    memdb__list_view(source->list, space, source->whole ? UINT64_MAX : taker->search->visible,
                     &view);
    if (!view.space) {
        return MEMDB_OK;
    }
    if (!prefix) {
        const memdb__list_term_t *found =
            memdb__list_find(source->list, space, term, size, memdb__term_hash(space, term, size));
        return found ? take_list_term(taker, &view, found, error) : MEMDB_OK;
    }
    for (const memdb__list_term_t *at = memdb__list_terms(view.space); at && !status;
         at = at->next_in_space) {
        if (at->size >= size && memcmp(at->bytes, term, size) == 0) {
            status = take_list_term(taker, &view, at, error);
        }
    }
    return status;
}

// ------------------------------------------------------------------------------ in a segment

static memdb_status_t take_document(taker_t *taker, const memdb__words_segment_t *segment,
                                    const memdb__words_space_t *row, uint32_t number,
                                    memdb_error_t *error) {
    uint64_t id, version;
    memdb_status_t status = memdb__segment_document(segment, row, number, &id, &version, error);
    return status || memdb__bitmap_add(taker->ids, id) ? status : no_memory(error);
}

static memdb_status_t take_record(taker_t *taker, const memdb__words_segment_t *segment,
                                  const memdb__words_space_t *row,
                                  const memdb__words_record_t *record, memdb_error_t *error) {
    memdb_status_t status = MEMDB_OK;
    taker->count += record->count;
    if (!taker->ids) {
        return MEMDB_OK;
    }
    for (uint32_t i = 0; !status && record->runs == 0 && i < record->count; i++) {
        status = take_document(taker, segment, row, record->documents[i], error);
    }
    memdb__words_runs_t runs = memdb__words_runs(record);
    memdb__words_run_t run;
    while (!status && memdb__words_runs_next(&runs, &run)) {
        memdb__words_run_data_t data;
        status = memdb__stop_check(&taker->search->stop, error);
        status = status ? status : memdb__segment_run(segment, row, &run, &data, error);
        for (uint32_t i = 0; !status && i < run.count; i++) {
            status = take_document(taker, segment, row,
                                   run.chunk * MEMDB__WORDS_CHUNK + data.offsets[i], error);
        }
    }
    return status;
}

static memdb_status_t take_segment(taker_t *taker, const memdb__words_segment_t *segment,
                                   bool prefix, const uint8_t *term, size_t size,
                                   memdb_error_t *error) {
    memdb_space_t space = taker->search->space;
    memdb__words_space_t row;
    memdb__words_record_t record;
    uint64_t position;
    bool found;
    memdb_status_t status = memdb__segment_find_space(segment, space, &row, &found, error);
    if (status || !found) {
        return status;
    }
    if (!prefix) {
        status = memdb__segment_find_term(
            segment, &row, term, size, memdb__term_hash(space, term, size), &record, &found, error);
        return status || !found ? status : take_record(taker, segment, &row, &record, error);
    }
    status = memdb__segment_lower_bound(segment, &row, term, size, &position, error);
    while (!status && position < row.dictionary_end) {
        status = memdb__segment_record(segment, &row, position, &record, error);
        if (status || record.term_size < size || memcmp(record.term, term, size) != 0) {
            break;
        }
        status = take_record(taker, segment, &row, &record, error);
        position += record.size;
    }
    return status;
}

// ------------------------------------------------------------------------------ terms and clauses

static memdb_status_t take_term(taker_t *taker, bool prefix, const uint8_t *term, size_t size,
                                memdb_error_t *error) {
    memdb_status_t status = MEMDB_OK;
    for (size_t i = 0; !status && i < taker->search->source_count; i++) {
        const memdb__words_source_t *source = &taker->search->sources[i];
        status = source->list ? take_list(taker, source, prefix, term, size, error)
                              : take_segment(taker, source->segment, prefix, term, size, error);
    }
    return status;
}

static memdb_status_t take_word(taker_t *taker, const memdb__words_demand_t *demand,
                                const memdb__demand_word_t *word, memdb_error_t *error) {
    memdb_status_t status = take_term(taker, word->prefix, memdb__demand_bytes(demand, word->term),
                                      word->term.size, error);
    if (!status && word->prefix) {
        status = take_term(taker, false, memdb__demand_bytes(demand, word->stem), word->stem.size,
                           error);
    }
    return status;
}

/// The word of a phrase with the fewest postings, and how many these are.
static memdb_status_t rarest_word(const memdb__words_demand_t *demand,
                                  const memdb__demand_phrase_t *phrase,
                                  const memdb__words_search_t *search,
                                  const memdb__demand_word_t **word_out, uint64_t *postings_out,
                                  memdb_error_t *error) {
    const memdb__demand_word_t *words = memdb__demand_words(demand) + phrase->first;
    *postings_out = UINT64_MAX;
    for (uint32_t i = 0; i < phrase->count; i++) {
        taker_t taker = {.search = search};
        memdb_status_t status = take_word(&taker, demand, &words[i], error);
        if (status) {
            return status;
        }
        if (taker.count < *postings_out) {
            *postings_out = taker.count;
            *word_out = &words[i];
        }
    }
    return MEMDB_OK;
}

/// Go over the phrases of a clause: count their postings, and take the ids where `ids` is given.
static memdb_status_t take_clause(const memdb__words_demand_t *demand,
                                  const memdb__demand_clause_t *clause,
                                  const memdb__words_search_t *search, memdb__bitmap_t *ids,
                                  uint64_t *postings_out, memdb_error_t *error) {
    const memdb__demand_phrase_t *phrases = memdb__demand_phrases(demand) + clause->first;
    memdb_status_t status = MEMDB_OK;
    *postings_out = 0;
    for (uint32_t i = 0; !status && i < clause->count; i++) {
        const memdb__demand_word_t *word = NULL;
        uint64_t postings;
        status = rarest_word(demand, &phrases[i], search, &word, &postings, error);
        if (!status && ids) {
            taker_t taker = {.search = search, .ids = ids};
            status = take_word(&taker, demand, word, error);
        }
        *postings_out += status ? 0 : postings;
    }
    return status;
}

memdb_status_t memdb__words_demand_estimate(memdb__words_demand_t *demand,
                                            const memdb__words_search_t *search,
                                            memdb__words_demand_estimate_t *estimate_out,
                                            memdb_error_t *error) {
    memdb__demand_clause_t *clauses = memdb__demand_clauses(demand);
    uint32_t count = memdb__demand_clause_count(demand);
    uint64_t least = UINT64_MAX;
    memdb__words_demand_estimate_t estimate = {0};
    for (uint32_t i = 0; i < count; i++) {
        memdb_status_t status =
            take_clause(demand, &clauses[i], search, NULL, &clauses[i].postings, error);
        if (status) {
            return status;
        }
        if (clauses[i].forbidden) {
            estimate.forbidden += clauses[i].postings;
        } else if (clauses[i].postings < least) {
            least = clauses[i].postings;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        clauses[i].walked = !clauses[i].forbidden && clauses[i].postings / WORTH <= least;
        estimate.walked += clauses[i].walked ? clauses[i].postings : 0;
    }
    estimate.rows = demand->requires ? least : 0;
    *estimate_out = estimate;
    return MEMDB_OK;
}

memdb_status_t memdb__words_demand_ids(const memdb__words_demand_t *demand,
                                       const memdb__words_search_t *search, memdb__bitmap_t *ids,
                                       memdb_error_t *error) {
    const memdb__demand_clause_t *clauses = memdb__demand_clauses(demand);
    memdb_status_t status = MEMDB_OK;
    bool first = true;
    for (uint32_t i = 0; !status && i < memdb__demand_clause_count(demand); i++) {
        memdb__bitmap_t part = {0};
        uint64_t postings;
        if (!clauses[i].walked) {
            continue;
        }
        status = take_clause(demand, &clauses[i], search, first ? ids : &part, &postings, error);
        if (!status && !first) {
            memdb__bitmap_and(ids, &part);
        }
        memdb__bitmap_deinit(&part);
        first = false;
    }
    return status;
}
