// The scan of members: each memory of a small set is read, asked for what the set leaves open, and
// scored by words and by vector, and the best by each are the candidates, as a search would have
// found them.
#include "query/query_recall.h"

#include <math.h>
#include <stdlib.h>

#define STOP_EVERY 256 // members between two looks at whether somebody wants it to end

typedef struct members {
    uint64_t *ids;
    size_t count;
    memdb__words_hit_t *documents;
    size_t document_count;
    memdb__vector_hit_t *rows;
    size_t row_count;
} members_t;

static memdb_status_t make_room(memdb__recall_t *recall, members_t *members, memdb_error_t *error) {
    size_t count = recall->plan.members;
    members->count = count;
    members->ids = memdb__arena_allocate(&recall->arena, count * sizeof *members->ids);
    members->documents = memdb__arena_allocate(&recall->arena, count * sizeof *members->documents);
    members->rows = memdb__arena_allocate(&recall->arena, count * sizeof *members->rows);
    return members->ids && members->documents && members->rows
               ? MEMDB_OK
               : memdb__fail(error, MEMDB_NOMEM, "no memory for %zu members", count);
}

/// Read each member; those that may be shown are to be scored.
static memdb_status_t read_members(memdb__recall_t *recall, members_t *members,
                                   memdb_error_t *error) {
    for (size_t i = 0; i < members->count; i++) {
        memdb__record_t record;
        uint64_t id = members->ids[i], version;
        memdb_status_t status =
            i % STOP_EVERY ? MEMDB_OK : memdb__stop_check(&recall->snapshot->stop, error);
        status = status
                     ? status
                     : memdb__read_record(&recall->snapshot->sight, id, &record, &version, error);
        if (status == MEMDB_NOT_FOUND ||
            (!status &&
             !memdb__recall_shows(&recall->gate, recall->space.space, id, version, &record))) {
            continue;
        }
        if (status) {
            return status;
        }
        if (recall->use_words && record.text_version) {
            members->documents[members->document_count++] =
                (memdb__words_hit_t){.id = id, .version = record.text_version};
        }
        if (recall->vector && record.vector_version) {
            members->rows[members->row_count++] =
                (memdb__vector_hit_t){.id = id, .version = record.vector_version};
        }
    }
    return MEMDB_OK;
}

static int by_id(uint64_t a, uint64_t b) {
    return (a > b) - (a < b);
}

static int best_document(const void *a, const void *b) {
    const memdb__words_hit_t *left = a, *right = b;
    return left->score != right->score ? (left->score < right->score ? 1 : -1)
                                       : by_id(left->id, right->id);
}

static int best_row(const void *a, const void *b) {
    const memdb__vector_hit_t *left = a, *right = b;
    return left->score != right->score ? (left->score < right->score ? 1 : -1)
                                       : by_id(left->id, right->id);
}

static memdb_status_t take_documents(memdb__recall_t *recall, members_t *members,
                                     memdb_error_t *error) {
    uint32_t step = memdb__explain_open(recall->explain, "words of the members");
    size_t taken = 0;
    memdb_status_t status =
        memdb__recall_score_words(recall, members->documents, members->document_count, error);
    if (!status && members->document_count) {
        qsort(members->documents, members->document_count, sizeof *members->documents,
              best_document);
    }
    bool demanded = memdb__words_demand_requires(recall->gate.demand);
    while (!status && taken < members->document_count && taken < recall->capacity &&
           (demanded || members->documents[taken].score > 0)) {
        memdb__recall_take_words(recall, &members->documents[taken++]);
    }
    memdb__explain_close(recall->explain, step, (double)members->document_count, taken);
    return status;
}

static memdb_status_t take_rows(memdb__recall_t *recall, members_t *members, memdb_error_t *error) {
    uint32_t step = memdb__explain_open(recall->explain, "vectors of the members");
    memdb_status_t status =
        memdb__recall_score_rows(recall, members->rows, members->row_count, error);
    if (!status && members->row_count) {
        qsort(members->rows, members->row_count, sizeof *members->rows, best_row);
    }
    size_t taken = 0;
    for (; !status && taken < members->row_count && taken < recall->capacity; taken++) {
        const memdb__vector_hit_t *row = &members->rows[taken];
        bool is_new;
        memdb__candidate_t *candidate =
            memdb__candidates_take(&recall->candidates, row->id, &is_new);
        candidate->has_vector = true;
        candidate->row = row->version;
        candidate->vector = row->score;
    }
    memdb__explain_close(recall->explain, step, (double)members->row_count, taken);
    return status;
}

memdb_status_t memdb__recall_collect_members(memdb__recall_t *recall, memdb_error_t *error) {
    members_t members = {0};
    uint32_t step = memdb__explain_open(recall->explain, "read the members");
    memdb_status_t status = make_room(recall, &members, error);
    if (!status && !memdb__candidates_reserve(&recall->candidates, 2 * recall->capacity)) {
        status = memdb__fail(error, MEMDB_NOMEM, "no memory for %u candidates", recall->capacity);
    }
    if (status) {
        return status;
    }
    memdb__bitmap_list(&recall->plan.set.ids, members.ids);
    status = read_members(recall, &members, error);
    memdb__explain_close(recall->explain, step, (double)members.count,
                         members.document_count > members.row_count ? members.document_count
                                                                    : members.row_count);
    if (!status && recall->use_words) {
        status = take_documents(recall, &members, error);
    }
    return status || !recall->vector ? status : take_rows(recall, &members, error);
}
