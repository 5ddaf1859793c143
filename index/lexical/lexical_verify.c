// Verifying words segments: that every part says the same as the others.
//
// Beyond the checksums: spaces, documents and terms rise; ranges adjoin without gaps; each term is
// found through the hash table and the sparse index; postings rise, their codes follow from tf and
// length, and the counts of a document's terms sum up to its length. The walk stops at the first
// thing that is wrong.
#include "index/lexical/lexical_code.h"
#include "index/lexical/lexical_column.h"
#include "index/lexical/lexical_list.h"
#include "index/lexical/lexical_segment.h"

typedef struct verifier {
    const memdb__words_segment_t *segment;
    memdb__words_space_t space;
    uint32_t *sums; // of tf, for each document of the space
    uint64_t next_document, next_dictionary, next_sparse, next_posting, terms;
    // where the walk stands, for the finding
    uint32_t section;
    uint64_t position;
    memdb_error_t *error;
} verifier_t;

static memdb_status_t wrong(verifier_t *v, const char *what) {
    return memdb__segment_corrupt(v->segment, v->section, v->position, what, v->error);
}

static void stand(verifier_t *v, uint32_t section, uint64_t position) {
    v->section = section;
    v->position = position;
}

static memdb_status_t verify_documents(verifier_t *v) {
    uint64_t id_before = 0, version_before = 0;
    for (uint32_t i = 0; i < v->space.documents; i++) {
        uint64_t id, version;
        stand(v, MEMDB__WORDS_IDS, 0);
        memdb_status_t status =
            memdb__segment_document(v->segment, &v->space, i, &id, &version, v->error);
        if (status) {
            return status;
        }
        if (i > 0 && (id < id_before || (id == id_before && version <= version_before))) {
            return wrong(v, "documents do not rise");
        }
        id_before = id;
        version_before = version;
    }
    return MEMDB_OK;
}

// One posting: its code follows from its tf and the document's length.
static memdb_status_t verify_posting(verifier_t *v, uint32_t document, uint8_t code, uint32_t tf) {
    uint32_t length;
    memdb_status_t status =
        memdb__segment_length(v->segment, &v->space, document, &length, v->error);
    if (status) {
        return status;
    }
    if (tf == 0 || tf > length - v->sums[document]) {
        return wrong(v, "the counts of a document's terms pass its length");
    }
    if (memdb__code_of(tf, length) != code) {
        return wrong(v, "the code of a posting does not follow from its count and length");
    }
    v->sums[document] += tf;
    return MEMDB_OK;
}

static memdb_status_t verify_run(verifier_t *v, const memdb__words_run_t *run) {
    memdb__words_run_data_t data;
    uint64_t bytes = memdb__words_run_bytes(run->count, run->exceptions);
    uint64_t used =
        3 * (uint64_t)run->count + MEMDB__WORDS_EXCEPTION_BYTES * (uint64_t)run->exceptions;
    stand(v, MEMDB__WORDS_POSTINGS, run->position);
    if (run->position != v->next_posting) {
        return wrong(v, "postings do not adjoin");
    }
    memdb_status_t status = memdb__segment_run(v->segment, &v->space, run, &data, v->error);
    uint32_t exceptions = 0;
    for (uint32_t i = 0; i < run->count && !status; i++) {
        if (i > 0 && data.offsets[i] <= data.offsets[i - 1]) {
            return wrong(v, "postings do not rise");
        }
        if (memdb__code_needs_tf(data.codes[i])) {
            const uint8_t *exception =
                data.exceptions + (size_t)exceptions * MEMDB__WORDS_EXCEPTION_BYTES;
            if (exceptions == run->exceptions || memdb__get_u16(exception) != data.offsets[i]) {
                return wrong(v, "a posting lacks its count");
            }
            exceptions++;
        }
        status = verify_posting(v, run->chunk * MEMDB__WORDS_CHUNK + data.offsets[i], data.codes[i],
                                memdb__run_tf(run, &data, i));
    }
    if (status) {
        return status;
    }
    if (exceptions != run->exceptions ||
        (used < bytes && data.exceptions[used - 3 * (uint64_t)run->count])) {
        return wrong(v, "a run has bytes without a meaning");
    }
    v->next_posting += bytes;
    return MEMDB_OK;
}

static memdb_status_t verify_postings(verifier_t *v, const memdb__words_record_t *record) {
    memdb_status_t status = MEMDB_OK;
    for (uint32_t i = 0; record->runs == 0 && i < record->count && !status; i++) {
        status = verify_posting(v, record->documents[i], record->codes[i], record->tf[i]);
    }
    memdb__words_runs_t runs = memdb__words_runs(record);
    memdb__words_run_t run;
    while (!status && memdb__words_runs_next(&runs, &run)) {
        status = verify_run(v, &run);
    }
    return status;
}

// Both ways to a term lead to this record.
static memdb_status_t verify_lookup(verifier_t *v, const memdb__words_record_t *record,
                                    uint32_t number) {
    memdb__words_record_t found;
    bool is_found;
    uint64_t hash = memdb__term_hash(v->space.space, record->term, record->term_size);
    memdb_status_t status = memdb__segment_find_term(
        v->segment, &v->space, record->term, record->term_size, hash, &found, &is_found, v->error);
    if (status) {
        return status;
    }
    if (!is_found || found.term != record->term) {
        return wrong(v, "the hash table does not lead to a term");
    }
    if (number % MEMDB__WORDS_SPARSE_STEP != 0) {
        return MEMDB_OK;
    }
    uint64_t at = 4 * v->next_sparse++;
    status = memdb__segment_touch(v->segment, MEMDB__WORDS_SPARSE, at, 4, v->error);
    if (status) {
        return status;
    }
    if (memdb__get_u32(v->segment->sections[MEMDB__WORDS_SPARSE] + at) != v->position) {
        stand(v, MEMDB__WORDS_SPARSE, at);
        return wrong(v, "the sparse index does not lead to a term");
    }
    return MEMDB_OK;
}

static memdb_status_t verify_terms(verifier_t *v) {
    memdb__words_record_t record, before = {0};
    uint32_t number = 0;
    while (v->next_dictionary < v->space.dictionary_end) {
        uint64_t position = v->next_dictionary;
        stand(v, MEMDB__WORDS_DICTIONARY, position);
        memdb_status_t status =
            memdb__segment_record(v->segment, &v->space, position, &record, v->error);
        if (status) {
            return status;
        }
        if (number > 0 &&
            memdb__compare(before.term, before.term_size, record.term, record.term_size) >= 0) {
            return wrong(v, "the terms of a space do not rise");
        }
        status = verify_lookup(v, &record, number);
        if (!status) {
            status = verify_postings(v, &record);
        }
        if (status) {
            return status;
        }
        v->next_dictionary += record.size;
        before = record;
        number++;
    }
    stand(v, MEMDB__WORDS_SPACES, 0);
    v->terms += number;
    return number == v->space.terms ? MEMDB_OK : wrong(v, "a space has another number of terms");
}

static memdb_status_t verify_lengths(verifier_t *v) {
    for (uint32_t i = 0; i < v->space.documents; i++) {
        uint32_t length;
        stand(v, MEMDB__WORDS_LENGTHS, 0);
        memdb_status_t status = memdb__segment_length(v->segment, &v->space, i, &length, v->error);
        if (status) {
            return status;
        }
        if (length != v->sums[i]) {
            return wrong(v, "the counts of a document's terms do not sum up to its length");
        }
    }
    return MEMDB_OK;
}

static memdb_status_t verify_space(verifier_t *v, uint64_t number) {
    memdb_space_t before = v->space.space;
    stand(v, MEMDB__WORDS_SPACES, number * MEMDB__WORDS_SPACE_BYTES);
    memdb_status_t status = memdb__segment_space_at(v->segment, number, &v->space, v->error);
    if (status) {
        return status;
    }
    if (number > 0 && v->space.space <= before) {
        return wrong(v, "spaces do not rise");
    }
    if (v->space.first_document != v->next_document ||
        v->space.dictionary_begin != v->next_dictionary ||
        v->space.first_sparse != v->next_sparse) {
        return wrong(v, "the parts of spaces do not adjoin");
    }
    v->next_document += v->space.documents;
    v->sums = memdb__allocate_zeroed(v->space.documents, sizeof *v->sums);
    if (!v->sums) {
        return memdb__fail(v->error, MEMDB_NOMEM, "no memory to verify a words segment");
    }
    status = verify_documents(v);
    if (!status) {
        status = verify_terms(v);
    }
    if (!status) {
        status = verify_lengths(v);
    }
    memdb__free(v->sums);
    return status;
}

// As many slots are taken as there are terms, and padding is zero.
static memdb_status_t verify_hash(verifier_t *v) {
    uint64_t taken = 0;
    for (uint64_t i = 0; i < v->segment->head.buckets; i++) {
        stand(v, MEMDB__WORDS_HASH, i * MEMDB__WORDS_BUCKET_BYTES);
        memdb_status_t status = memdb__segment_touch(v->segment, v->section, v->position,
                                                     MEMDB__WORDS_BUCKET_BYTES, v->error);
        if (status) {
            return status;
        }
        const uint8_t *bucket = v->segment->sections[MEMDB__WORDS_HASH] + v->position;
        for (uint32_t slot = 0; slot < MEMDB__WORDS_BUCKET_SLOTS; slot++) {
            bool used = bucket[4 * MEMDB__WORDS_BUCKET_SLOTS + slot] != 0;
            if (!used && memdb__get_u32(bucket + 4 * slot)) {
                return wrong(v, "a free slot is not zero");
            }
            taken += used;
        }
        if (memdb__get_u32(bucket + MEMDB__WORDS_BUCKET_BYTES - 4)) {
            return wrong(v, "a reserved byte is not zero");
        }
    }
    return taken == v->terms ? MEMDB_OK : wrong(v, "the hash table has another number of terms");
}

static memdb_status_t verify_ends(verifier_t *v) {
    const memdb__words_segment_t *segment = v->segment;
    stand(v, MEMDB__WORDS_HEAD, 0);
    if (v->next_document != segment->head.documents || v->terms != segment->head.terms ||
        v->next_dictionary != segment->sizes[MEMDB__WORDS_DICTIONARY] ||
        4 * v->next_sparse != segment->sizes[MEMDB__WORDS_SPARSE] ||
        v->next_posting != segment->sizes[MEMDB__WORDS_POSTINGS]) {
        return wrong(v, "a section has more than the spaces name");
    }
    return MEMDB_OK;
}

memdb_status_t memdb__words_segment_verify(memdb__words_segment_t *segment, memdb_verify_fn found,
                                           void *context, memdb_error_t *error) {
    memdb_error_t own = {0};
    memdb_status_t status = memdb__container_verify(segment->container, found, context, error);
    if (status) {
        return status;
    }
    verifier_t v = {.segment = segment, .error = error ? error : &own};
    for (uint32_t i = MEMDB__WORDS_IDS; i <= MEMDB__WORDS_LENGTHS && !status; i++) {
        v.section = i;
        status = segment->head.layout == 1 ? MEMDB_OK
                                           : memdb__column_verify(segment, i, &v.position, v.error);
    }
    for (uint64_t i = 0; i < segment->head.spaces && !status; i++) {
        status = verify_space(&v, i);
    }
    if (!status) {
        status = verify_hash(&v);
    }
    if (!status) {
        status = verify_ends(&v);
    }
    if (status == MEMDB_CORRUPT && found) {
        found(context, memdb__container_name(segment->container),
              memdb__segment_offset(segment, v.section, v.position), v.error->message);
    }
    return status;
}
