// Search: the driver, the heap of the best, and exact scores of given documents.
#include "index/lexical/lexical_search.h"

// Whether `a` ranks below `b`. Scores are compared as they are given out, so that equal ones are
// ties.
static bool is_worse(const memdb__search_best_t *a, const memdb__search_best_t *b) {
    if (a->score != b->score) {
        return a->score < b->score;
    }
    return a->id != b->id ? a->id > b->id : a->version > b->version;
}

static void sift_up(memdb__search_best_t *heap, uint32_t at) {
    memdb__search_best_t moving = heap[at];
    while (at > 0 && is_worse(&moving, &heap[(at - 1) / 2])) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = moving;
}

static void sift_down(memdb__search_best_t *heap, uint32_t count) {
    memdb__search_best_t moving = heap[0];
    uint32_t at = 0;
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= count) {
            break;
        }
        if (child + 1 < count && is_worse(&heap[child + 1], &heap[child])) {
            child++;
        }
        if (!is_worse(&heap[child], &moving)) {
            break;
        }
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moving;
}

// The share of the question that a document covers.
static float coverage_of(const memdb__search_t *search, double held) {
    return search->whole > 0 ? (float)(held / search->whole) : 0;
}

void memdb__search_offer(memdb__search_t *search, double score, double held, uint64_t id,
                         uint64_t version) {
    const memdb__words_search_t *asked = search->asked;
    memdb__search_best_t offered = {(float)memdb__search_covered(search, score, held),
                                    coverage_of(search, held), id, version};
    bool full = memdb__search_full(search);
    if (full && !is_worse(&search->best[0], &offered)) {
        return;
    }
    search->examined++;
    if ((asked->accept && !asked->accept(asked->context, id)) ||
        !asked->live(asked->context, asked->space, id, version)) {
        search->refused++;
        return;
    }
    if (full) {
        search->best[0] = offered;
        sift_down(search->best, search->best_count);
    } else {
        search->best[search->best_count] = offered;
        sift_up(search->best, search->best_count++);
    }
    if (memdb__search_full(search)) {
        search->bar = memdb__search_key(search, search->best[0].score);
    }
}

// Best first: the worst leaves the heap for the place that it frees, again and again.
static void sort_heap(memdb__search_best_t *heap, uint32_t count) {
    while (count > 1) {
        memdb__search_best_t worst = heap[0];
        heap[0] = heap[--count];
        sift_down(heap, count);
        heap[count] = worst;
    }
}

static uint64_t postings_of(const memdb__search_t *search) {
    uint64_t postings = 0;
    for (uint32_t i = 0; i < search->term_count; i++) {
        postings += search->terms[i].postings;
    }
    return postings;
}

memdb_status_t memdb__words_search(memdb__words_query_t *query, const memdb__words_search_t *asked,
                                   memdb__words_hit_t *hits_out, size_t capacity, size_t *count_out,
                                   memdb_error_t *error) {
    memdb__search_t search = {.query = query, .asked = asked};
    if (capacity == 0 || memdb__words_query_terms(query) == 0) {
        *count_out = 0;
        return MEMDB_OK;
    }
    memdb_status_t status = memdb__search_resolve(&search, error);
    if (status) {
        return status;
    }
    // No more documents can be found than there are postings, however many are asked for.
    uint64_t postings = postings_of(&search);
    if (postings == 0) {
        *count_out = 0;
        return MEMDB_OK;
    }
    capacity = postings < capacity ? (size_t)postings : capacity;
    if (capacity > UINT32_MAX / 2) {
        return memdb__fail(error, MEMDB_LIMIT, "%zu results asked for", capacity);
    }
    search.capacity = (uint32_t)capacity;
    search.best = memdb__search_allocate(query, capacity * sizeof *search.best);
    if (!search.best) {
        return memdb__fail(error, MEMDB_NOMEM, "no memory for %zu results", capacity);
    }
    status = memdb__search_scan(&search, error);
    if (status) {
        return status;
    }
    sort_heap(search.best, search.best_count);
    for (uint32_t i = 0; i < search.best_count; i++) {
        const memdb__search_best_t *best = &search.best[i];
        hits_out[i] = (memdb__words_hit_t){best->id, best->version, best->score, best->coverage};
    }
    *count_out = search.best_count;
    return MEMDB_OK;
}

static memdb_status_t term_frequency(memdb__search_source_t *source, memdb__term_view_t *view,
                                     uint32_t number, uint32_t *tf_out, memdb_error_t *error) {
    *tf_out = 0;
    if (view->term) {
        *tf_out = memdb__list_tf(view->term, view->count, number);
        return MEMDB_OK;
    }
    if (view->record.runs == 0) {
        for (uint32_t i = 0; i < view->count; i++) {
            *tf_out = view->record.documents[i] == number ? view->record.tf[i] : *tf_out;
        }
        return MEMDB_OK;
    }
    bool found;
    memdb_status_t status =
        memdb__view_seek(source, view, number / MEMDB__WORDS_CHUNK, &found, error);
    if (status || !found) {
        return status;
    }
    uint32_t place = memdb__find_offset(view->data.offsets, view->run.count, (uint16_t)number);
    if (place < view->run.count) {
        *tf_out = memdb__run_tf(&view->run, &view->data, place);
    }
    return MEMDB_OK;
}

memdb_status_t memdb__search_score(memdb__search_t *search, memdb__search_source_t *source,
                                   uint32_t number, double *score_out, double *held_out,
                                   memdb_error_t *error) {
    uint32_t length = 0;
    memdb_status_t status = MEMDB_OK;
    if (source->list) {
        length = memdb__list_document(source->view.space, number)->length;
    } else {
        status = memdb__segment_length(source->segment, &source->row, number, &length, error);
    }
    double norm = search->bm25.a + search->bm25.b * length, score = 0, held = 0;
    for (uint32_t i = 0; i < search->term_count && !status; i++) {
        uint32_t tf = 0;
        if (source->views[i].count) {
            status = term_frequency(source, &source->views[i], number, &tf, error);
        }
        if (tf) {
            score += memdb__search_share(search, &search->terms[i], tf, norm);
            held += search->terms[i].idf;
        }
    }
    if (!status) {
        *score_out = score;
        *held_out = held;
    }
    return status;
}

memdb_status_t memdb__words_score(memdb__words_query_t *query, const memdb__words_search_t *asked,
                                  memdb__words_hit_t *hits, size_t count, memdb_error_t *error) {
    memdb__search_t search = {.query = query, .asked = asked};
    memdb_status_t status = memdb__search_resolve(&search, error);
    for (size_t i = 0; i < count && !status; i++) {
        double score = 0, held = 0;
        bool found = false;
        for (uint32_t s = 0; s < search.source_count && !status && !found; s++) {
            memdb__search_source_t *source = &search.sources[s];
            uint32_t number = UINT32_MAX;
            if (source->documents == 0) {
                continue;
            }
            if (source->list) {
                number = memdb__list_locate(&source->view, hits[i].id, hits[i].version);
            } else {
                status = memdb__segment_locate(source->segment, &source->row, hits[i].id,
                                               hits[i].version, &number, error);
            }
            found = !status && number != UINT32_MAX;
            if (found) {
                status = memdb__search_score(&search, source, number, &score, &held, error);
            }
        }
        score = memdb__search_covered(&search, score, held);
        hits[i].score = status ? hits[i].score : (float)score;
        hits[i].coverage = status ? hits[i].coverage : coverage_of(&search, held);
    }
    return status;
}

memdb_status_t memdb__words_totals(const memdb__words_search_t *asked,
                                   memdb__words_totals_t *totals_out, memdb_error_t *error) {
    int64_t documents = 0, tokens = 0;
    for (size_t i = 0; i < asked->source_count; i++) {
        const memdb__words_source_t *source = &asked->sources[i];
        if (source->list) {
            memdb__list_view_t view;
            memdb__list_view(source->list, asked->space,
                             source->whole ? UINT64_MAX : asked->visible, &view);
            documents += view.net_documents;
            tokens += view.net_tokens;
            continue;
        }
        memdb__words_space_t row;
        bool found;
        memdb_status_t status =
            memdb__segment_find_space(source->segment, asked->space, &row, &found, error);
        if (status) {
            return status;
        }
        documents =
            found ? (int64_t)((uint64_t)documents + (uint64_t)row.net_documents) : documents;
        tokens = found ? (int64_t)((uint64_t)tokens + (uint64_t)row.net_tokens) : tokens;
    }
    totals_out->documents = documents > 0 ? (uint64_t)documents : 0;
    totals_out->tokens = tokens > 0 ? (uint64_t)tokens : 0;
    return MEMDB_OK;
}
