// Gates that compare a put with the memories of its space.
//
// A copy has the same text, byte for byte. The index on hashes of texts leads to all memories that
// may be copies, so this gate is exact. Likeness by words is measured against the memories that a
// search by the new text's own words ranks first, nearness against those whose vectors the space's
// metric puts first. A text of the same words is among them unless dozens of others hold all of its
// words, and more often; so these two keep junk out, and are no constraint that a reader may build
// on.
#include "engine/gate.h"

#include <math.h>

#define CANDIDATES 64
#define ROUNDING 1e-9

static memdb_status_t no_memory(memdb_error_t *error) {
    return memdb__fail(error, MEMDB_NOMEM, "put: no memory to compare it with others");
}

/// The context of a search: what has expired is not compared with.
static memdb__live_t live_now(const memdb__gate_put_t *put) {
    return (memdb__live_t){.sight = &put->txn->snapshot.sight, .now = memdb__now_us()};
}

// ------------------------------------------------------------------------------ copies

/// Compare with one memory whose text has the same hash.
static memdb_status_t compare_text(const memdb__gate_put_t *put, int64_t now, uint64_t id,
                                   memdb_error_t *error) {
    memdb__record_t record;
    uint64_t version;
    memdb_bytes_t text = put->record->text;
    memdb_status_t status =
        memdb__read_record(&put->txn->snapshot.sight, id, &record, &version, error);
    if (status) {
        return status == MEMDB_NOT_FOUND ? MEMDB_OK : status;
    }
    bool expired = record.expires != MEMDB_TIME_NONE && record.expires <= now;
    return expired || memdb__compare(record.text.data, record.text.size, text.data, text.size) != 0
               ? MEMDB_OK
               : memdb__gate_refuse(put,
                                    (memdb_refusal_t){.gate = MEMDB_GATE_NO_COPIES,
                                                      .like_space = put->space->space,
                                                      .like = id,
                                                      .likeness = 1},
                                    error);
}

memdb_status_t memdb__gate_check_copies(const memdb__gate_put_t *put, memdb_error_t *error) {
    const memdb__attribute_index_t *index;
    memdb__attribute_value_t value;
    memdb__key_range_t range;
    memdb__bitmap_t found = {0};
    int64_t now = memdb__now_us();
    memdb_status_t status = memdb__attributes_of_text(put->txn, put->space->space, &index, error);
    if (status) {
        return status;
    }
    memdb__attribute_of_record(&value, index, put->record);
    memdb__key_attribute_prefix(&range.from, put->space->space, index->number, &value);
    range.to = range.from;
    memdb__key_pass(&range.to);
    status = memdb__range_ids(&put->txn->snapshot.sight, &range, &found, error);
    size_t count = status ? 0 : (size_t)memdb__bitmap_count(&found);
    uint64_t *ids = count ? memdb__allocate(count * sizeof *ids) : NULL;
    if (count && !ids) {
        status = no_memory(error);
    } else if (count) {
        memdb__bitmap_list(&found, ids);
    }
    for (size_t i = 0; i < count && !status; i++) {
        status = ids[i] == put->id ? MEMDB_OK : compare_text(put, now, ids[i], error);
    }
    memdb__free(ids);
    memdb__bitmap_deinit(&found);
    return status;
}

// ------------------------------------------------------------------------------ words

/// The part of its words that the put shares with a memory. `terms` are those of the put.
static memdb_status_t shared_words(const memdb__gate_put_t *put, uint64_t id,
                                   const memdb__buffer_t *terms, memdb__buffer_t *others,
                                   double *shared_out, memdb_error_t *error) {
    memdb__record_t record;
    uint64_t version;
    memdb_status_t status =
        memdb__read_record(&put->txn->snapshot.sight, id, &record, &version, error);
    if (status) {
        return status;
    }
    if (!memdb__terms_of(put->space->tokenizer, record.text.data, record.text.size, others)) {
        return no_memory(error);
    }
    *shared_out = memdb__terms_likeness(terms, others);
    return MEMDB_OK;
}

static memdb_status_t terms_of(const memdb__gate_put_t *put, memdb__buffer_t *terms,
                               memdb_error_t *error) {
    memdb_bytes_t text = put->record->text;
    return memdb__terms_of(put->space->tokenizer, text.data, text.size, terms) ? MEMDB_OK
                                                                               : no_memory(error);
}

static memdb_status_t search_words(const memdb__gate_put_t *put, memdb__words_hit_t *hits,
                                   size_t *count_out, memdb_error_t *error) {
    memdb__words_query_t *words;
    memdb__live_t live = live_now(put);
    memdb__words_source_t *sources;
    memdb__words_search_t asked = {.space = put->space->space,
                                   .visible = memdb__snapshot_visible(&put->txn->snapshot),
                                   .live = memdb__document_live,
                                   .context = &live};
    memdb_bytes_t text = put->record->text;
    memdb_status_t status =
        memdb__words_query_create(put->space->tokenizer, text.data, text.size, &words, error);
    if (status) {
        return status;
    }
    status = memdb__snapshot_words(&put->txn->snapshot, &sources, &asked.source_count, error);
    asked.sources = sources;
    if (!status) {
        status = memdb__words_search(words, &asked, hits, CANDIDATES, count_out, error);
    }
    memdb__words_query_destroy(words);
    if (!status && live.error.status) {
        *error = live.error;
        status = error->status;
    }
    return status;
}

memdb_status_t memdb__gate_check_words(const memdb__gate_put_t *put, memdb_error_t *error) {
    memdb__words_hit_t hits[CANDIDATES];
    memdb__buffer_t terms = {0}, others = {0};
    size_t count = 0;
    memdb_status_t status = search_words(put, hits, &count, error);
    status = status ? status : terms_of(put, &terms, error);
    for (size_t i = 0; i < count && !status; i++) {
        double shared = 0;
        if (hits[i].id == put->id) {
            continue;
        }
        status = shared_words(put, hits[i].id, &terms, &others, &shared, error);
        if (!status && shared >= put->space->gates.most_alike - ROUNDING) {
            status = memdb__gate_refuse(put,
                                        (memdb_refusal_t){.gate = MEMDB_GATE_MOST_ALIKE,
                                                          .like_space = put->space->space,
                                                          .like = hits[i].id,
                                                          .likeness = shared},
                                        error);
        }
    }
    memdb__buffer_deinit(&terms);
    memdb__buffer_deinit(&others);
    return status;
}

// ------------------------------------------------------------------------------ vectors

/// The cosine of two rows, from their codes alone: scales do not change an angle. 0 where one has
/// no length.
static double cosine_of(const uint8_t *a, const uint8_t *b, uint32_t dimension) {
    const int8_t *left = (const int8_t *)a + 4, *right = (const int8_t *)b + 4; // behind the scale
    int64_t dot = 0, left_square = 0, right_square = 0;
    for (uint32_t i = 0; i < dimension; i++) {
        dot += left[i] * right[i];
        left_square += left[i] * left[i];
        right_square += right[i] * right[i];
    }
    double lengths = sqrt((double)left_square) * sqrt((double)right_square);
    return lengths > 0 ? (double)dot / lengths : 0;
}

typedef struct near {
    const memdb__gate_put_t *put;
    const uint8_t *row; // of the put
    uint8_t *other;     // room for one
    memdb__vector_search_t search;
    memdb__live_t live;
    memdb__vector_hit_t hits[CANDIDATES];
    size_t count;
    memdb__buffer_t terms, others;
} near_t;

static memdb_status_t search_rows(near_t *near, memdb_error_t *error) {
    const memdb_space_info_t *space = near->put->space;
    memdb_snapshot_t *snapshot = &near->put->txn->snapshot;
    memdb__vector_source_t *sources;
    near->live = live_now(near->put);
    near->search = (memdb__vector_search_t){.space = space->space,
                                            .metric = space->metric,
                                            .dimension = space->dimension,
                                            .visible = memdb__snapshot_visible(snapshot),
                                            .live = memdb__row_live,
                                            .context = &near->live,
                                            .stop = snapshot->stop};
    memdb_status_t status =
        memdb__snapshot_vectors(snapshot, &sources, &near->search.source_count, error);
    near->search.sources = sources;
    float *vector = status ? NULL : memdb__allocate(space->dimension * sizeof *vector);
    if (!status && !vector) {
        status = no_memory(error);
    }
    if (!status) {
        memdb__row_decode(near->row, space->dimension, vector);
        status = memdb__vector_search(vector, &near->search, near->hits, CANDIDATES, &near->count,
                                      error);
    }
    memdb__free(vector);
    if (!status && near->live.error.status) {
        *error = near->live.error;
        status = error->status;
    }
    return status;
}

/// Compare with a memory that the search found.
static memdb_status_t compare_row(near_t *near, const memdb__vector_hit_t *hit,
                                  memdb_error_t *error) {
    const memdb__gate_put_t *put = near->put;
    const memdb_gates_t *gates = &put->space->gates;
    double shared = 1;
    memdb_status_t status =
        memdb__vector_get(&near->search, hit->id, hit->version, near->other, error);
    if (status) {
        return status;
    }
    double cosine = cosine_of(near->row, near->other, put->space->dimension);
    if (cosine < gates->most_near - ROUNDING) {
        return MEMDB_OK;
    }
    if (gates->near_words > 0) {
        status = shared_words(put, hit->id, &near->terms, &near->others, &shared, error);
    }
    if (status || shared < gates->near_words - ROUNDING) {
        return status;
    }
    return memdb__gate_refuse(put,
                              (memdb_refusal_t){.gate = MEMDB_GATE_MOST_NEAR,
                                                .like_space = put->space->space,
                                                .like = hit->id,
                                                .likeness = cosine},
                              error);
}

/// Whether the put leaves its memory the vector that it has.
static memdb_status_t is_unchanged(near_t *near, bool *unchanged_out, memdb_error_t *error) {
    const memdb__record_t *old = near->put->old;
    *unchanged_out = false;
    if (!old || !old->vector_version) {
        return MEMDB_OK;
    }
    memdb_status_t status =
        memdb__vector_get(&near->search, near->put->id, old->vector_version, near->other, error);
    *unchanged_out = !status && memcmp(near->row, near->other,
                                       memdb__row_bytes(near->put->space->dimension)) == 0;
    return status;
}

memdb_status_t memdb__gate_check_near(const memdb__gate_put_t *put, const uint8_t *row,
                                      memdb_error_t *error) {
    near_t near = {.put = put, .row = row};
    bool unchanged = false;
    if (!put->space->dimension) {
        return MEMDB_OK; // it is the first
    }
    near.other = memdb__allocate(memdb__row_bytes(put->space->dimension));
    if (!near.other) {
        return no_memory(error);
    }
    memdb_status_t status = search_rows(&near, error);
    status = status ? status : is_unchanged(&near, &unchanged, error);
    status = status ? status : terms_of(put, &near.terms, error);
    for (size_t i = 0; i < near.count && !status && !unchanged; i++) {
        status = near.hits[i].id == put->id ? MEMDB_OK : compare_row(&near, &near.hits[i], error);
    }
    memdb__buffer_deinit(&near.terms);
    memdb__buffer_deinit(&near.others);
    memdb__free(near.other);
    return status;
}
