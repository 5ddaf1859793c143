// Writing words segments.
//
// The postings section comes first in the file, since it is the largest and is complete as it is
// written; the hash table can only be made at the end.
#include "index/lexical/lexical_writer.h"

#include "index/lexical/lexical_code.h"
#include "index/lexical/lexical_column.h"
#include "index/lexical/lexical_list.h"

#include <stdlib.h>

// Three quarters of the slots are used: some 8 % of the lookups then go on to a second bucket.
#define SLOTS_USED_OF_BUCKET 9u

typedef struct hash_entry {
    uint64_t hash;
    uint32_t position;
} hash_entry_t;

struct memdb__words_writer {
    memdb__container_writer_t *container;
    memdb__column_t ids, versions, lengths;
    memdb__buffer_t spaces, dictionary, sparse, hashes;
    memdb__buffer_t run, table; // of the term in hand
    uint64_t document_count, space_count, term_count;
    // the space in hand
    memdb__words_space_t space;
    double average_length;
    bool ranked;
    uint8_t by_weight[MEMDB__CODE_COUNT]; // codes, heaviest first, at the space's average length
    uint8_t place_of[MEMDB__CODE_COUNT];  // of a code in it
};

static memdb_status_t no_memory(memdb_error_t *error) {
    return memdb__fail(error, MEMDB_NOMEM, "no memory to write a words segment");
}

memdb_status_t memdb__words_writer_create(int directory, const char *name,
                                          const memdb__segment_identity_t *identity,
                                          memdb__words_writer_t **writer_out,
                                          memdb_error_t *error) {
    memdb__words_writer_t *writer = memdb__allocate_zeroed(1, sizeof *writer);
    if (!writer) {
        return no_memory(error);
    }
    memdb_status_t status =
        memdb__container_create(directory, name, identity, &writer->container, error);
    if (status) {
        memdb__free(writer);
        return status;
    }
    writer->ids.rising = writer->versions.rising = true;
    status = memdb__container_begin(writer->container, MEMDB__WORDS_POSTINGS, error);
    if (status) {
        memdb__words_writer_abandon(writer);
        return status;
    }
    *writer_out = writer;
    return MEMDB_OK;
}

static void free_writer(memdb__words_writer_t *writer) {
    memdb__column_deinit(&writer->ids);
    memdb__column_deinit(&writer->versions);
    memdb__column_deinit(&writer->lengths);
    memdb__buffer_t *buffers[] = {&writer->spaces, &writer->dictionary, &writer->sparse,
                                  &writer->hashes, &writer->run,        &writer->table};
    for (size_t i = 0; i < sizeof buffers / sizeof buffers[0]; i++) {
        memdb__buffer_deinit(buffers[i]);
    }
    memdb__free(writer);
}

void memdb__words_writer_abandon(memdb__words_writer_t *writer) {
    if (writer) {
        memdb__container_abandon(writer->container);
        free_writer(writer);
    }
}

static bool columns_failed(const memdb__words_writer_t *writer) {
    const memdb__column_t *columns[] = {&writer->ids, &writer->versions, &writer->lengths};
    bool failed = false;
    for (size_t i = 0; i < 3; i++) {
        failed = failed || columns[i]->heads.failed || columns[i]->bits.failed;
    }
    return failed;
}

memdb_status_t memdb__words_writer_begin_space(memdb__words_writer_t *writer, memdb_space_t space,
                                               const memdb__words_document_t *documents,
                                               uint32_t count, memdb_error_t *error) {
    uint64_t base = count ? documents[0].id : 0, tokens = 0;
    for (uint32_t i = 0; i < count; i++) {
        memdb__column_add(&writer->ids, documents[i].id - base);
        memdb__column_add(&writer->versions, documents[i].version);
        memdb__column_add(&writer->lengths, documents[i].length);
        tokens += documents[i].length;
    }
    if (columns_failed(writer)) {
        return no_memory(error);
    }
    writer->space = (memdb__words_space_t){
        .space = space,
        .documents = count,
        .first_document = writer->document_count,
        .base_id = base,
        .dictionary_begin = (uint32_t)writer->dictionary.size,
        .first_sparse = (uint32_t)(writer->sparse.size / 4),
    };
    writer->average_length = count && tokens ? (double)tokens / count : 1;
    writer->ranked = false;
    writer->document_count += count;
    return MEMDB_OK;
}

static int compare_weights(const void *a, const void *b, void *weights) {
    const float *w = weights;
    float left = w[*(const uint8_t *)a], right = w[*(const uint8_t *)b];
    return (left < right) - (left > right);
}

static void rank_codes(memdb__words_writer_t *writer) {
    memdb__bm25_t bm25;
    float weights[MEMDB__CODE_COUNT];
    memdb__bm25_init(&bm25, NULL, 1000, (int64_t)(1000 * writer->average_length));
    memdb__bm25_bounds(&bm25, weights);
    for (uint32_t i = 0; i < MEMDB__CODE_COUNT; i++) {
        writer->by_weight[i] = (uint8_t)i;
    }
    qsort_r(writer->by_weight, MEMDB__CODE_COUNT, 1, compare_weights, weights);
    for (uint32_t i = 0; i < MEMDB__CODE_COUNT; i++) {
        writer->place_of[writer->by_weight[i]] = (uint8_t)i;
    }
    writer->ranked = true;
}

static bool encode_inline(memdb__words_writer_t *writer, const memdb__words_posting_t *postings,
                          uint32_t count) {
    uint32_t before = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint8_t code = postings[i].code;
        memdb__buffer_append_varint(&writer->dictionary, postings[i].document - before);
        memdb__buffer_append_u8(&writer->dictionary, code);
        if (memdb__code_needs_tf(code)) {
            memdb__buffer_append_varint(&writer->dictionary, postings[i].tf);
        }
        before = postings[i].document;
    }
    return !writer->dictionary.failed;
}

// One run into writer->run. Returns how many exceptions it has.
static uint32_t encode_run(memdb__words_writer_t *writer, const memdb__words_posting_t *postings,
                           uint32_t count) {
    memdb__buffer_t *run = &writer->run;
    memdb__buffer_clear(run);
    if (!memdb__buffer_reserve(run, (size_t)count * (3 + MEMDB__WORDS_EXCEPTION_BYTES) + 1)) {
        return 0;
    }
    uint8_t *offsets = run->data, *codes = offsets + 2 * (size_t)count, *exception = codes + count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t document = postings[i].document;
        uint8_t code = postings[i].code;
        memdb__put_u16(offsets + 2 * (size_t)i, (uint16_t)document);
        codes[i] = code;
        if (memdb__code_needs_tf(code)) {
            memdb__put_u16(exception, (uint16_t)document);
            memdb__put_u32(exception + 2, postings[i].tf);
            exception += MEMDB__WORDS_EXCEPTION_BYTES;
        }
    }
    run->size = (size_t)(exception - run->data);
    uint32_t exceptions =
        (uint32_t)((run->size - 3 * (size_t)count) / MEMDB__WORDS_EXCEPTION_BYTES);
    if (run->size & 1) {
        memdb__buffer_append_u8(run, 0);
    }
    return exceptions;
}

static void encode_ranks(memdb__words_writer_t *writer, const memdb__words_posting_t *postings,
                         uint32_t count) {
    uint32_t histogram[MEMDB__CODE_COUNT] = {0}; // by place in the order of weights
    if (!writer->ranked) {
        rank_codes(writer);
    }
    uint32_t ranks = 1, place = MEMDB__CODE_COUNT, seen = 0;
    while (ranks < MEMDB__WORDS_RANKS && memdb__words_ranks[ranks] <= count) {
        ranks++;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t here = writer->place_of[postings[i].code];
        histogram[here]++;
        place = here < place ? here : place;
    }
    for (uint32_t rank = 0; rank < ranks; rank++) {
        while (seen + histogram[place] < memdb__words_ranks[rank]) {
            seen += histogram[place++];
        }
        memdb__buffer_append_u8(&writer->dictionary, writer->by_weight[place]);
    }
}

static memdb_status_t encode_runs(memdb__words_writer_t *writer,
                                  const memdb__words_posting_t *postings, uint32_t count,
                                  memdb_error_t *error) {
    uint64_t position = memdb__container_position(writer->container);
    uint32_t runs = 0, chunk_before = 0;
    memdb__buffer_clear(&writer->table);
    for (uint32_t i = 0; i < count;) {
        uint32_t chunk = postings[i].document / MEMDB__WORDS_CHUNK, end = i;
        while (end < count && postings[end].document / MEMDB__WORDS_CHUNK == chunk) {
            end++;
        }
        uint32_t exceptions = encode_run(writer, postings + i, end - i);
        if (writer->run.failed) {
            return no_memory(error);
        }
        memdb_status_t status =
            memdb__container_append(writer->container, writer->run.data, writer->run.size, error);
        if (status) {
            return status;
        }
        memdb__buffer_append_varint(&writer->table, chunk - chunk_before);
        memdb__buffer_append_varint(&writer->table, end - i - 1);
        memdb__buffer_append_varint(&writer->table, exceptions);
        chunk_before = chunk;
        runs++;
        i = end;
    }
    encode_ranks(writer, postings, count);
    memdb__buffer_append_varint(&writer->dictionary, position / 2);
    memdb__buffer_append_varint(&writer->dictionary, runs);
    memdb__buffer_append(&writer->dictionary, writer->table.data, writer->table.size);
    return writer->table.failed ? no_memory(error) : MEMDB_OK;
}

memdb_status_t memdb__words_writer_term(memdb__words_writer_t *writer, const uint8_t *term,
                                        size_t size, int64_t net_df,
                                        const memdb__words_posting_t *postings, uint32_t count,
                                        memdb_error_t *error) {
    memdb__buffer_t *dictionary = &writer->dictionary;
    if (dictionary->size > UINT32_MAX - (1u << 24)) {
        return memdb__fail(error, MEMDB_LIMIT, "the terms of a words segment pass 4 GiB");
    }
    hash_entry_t entry = {memdb__term_hash(writer->space.space, term, size),
                          (uint32_t)dictionary->size};
    memdb__buffer_append(&writer->hashes, &entry, sizeof entry);
    if (writer->space.terms % MEMDB__WORDS_SPARSE_STEP == 0) {
        memdb__buffer_append_u32(&writer->sparse, entry.position);
    }
    memdb__buffer_append_u8(dictionary, (uint8_t)size);
    memdb__buffer_append(dictionary, term, size);
    memdb__buffer_append_varint(dictionary, memdb__zigzag(net_df));
    memdb__buffer_append_varint(dictionary, count);
    memdb_status_t status = MEMDB_OK;
    if (count <= MEMDB__WORDS_INLINE) {
        encode_inline(writer, postings, count);
    } else {
        status = encode_runs(writer, postings, count, error);
    }
    writer->space.terms++;
    writer->term_count++;
    if (!status && (dictionary->failed || writer->sparse.failed || writer->hashes.failed)) {
        status = no_memory(error);
    }
    return status;
}

memdb_status_t memdb__words_writer_end_space(memdb__words_writer_t *writer, int64_t net_documents,
                                             int64_t net_tokens, memdb_error_t *error) {
    memdb__words_space_t *space = &writer->space;
    if (!space->documents && !space->terms && !net_documents && !net_tokens) {
        return MEMDB_OK;
    }
    uint8_t row[MEMDB__WORDS_SPACE_BYTES];
    space->net_documents = net_documents;
    space->net_tokens = net_tokens;
    space->dictionary_end = (uint32_t)writer->dictionary.size;
    memdb__words_space_encode(space, row);
    writer->space_count++;
    return memdb__buffer_append(&writer->spaces, row, sizeof row) ? MEMDB_OK : no_memory(error);
}

static memdb_status_t write_section(memdb__words_writer_t *writer, uint32_t section,
                                    const void *data, size_t size, memdb_error_t *error) {
    memdb_status_t status = memdb__container_begin(writer->container, section, error);
    return status || !size ? status : memdb__container_append(writer->container, data, size, error);
}

static memdb_status_t write_column(memdb__words_writer_t *writer, uint32_t section,
                                   memdb__column_t *column, memdb_error_t *error) {
    memdb__column_end(column);
    if (columns_failed(writer)) {
        return no_memory(error);
    }
    memdb_status_t status =
        write_section(writer, section, column->heads.data, column->heads.size, error);
    return status ? status
                  : memdb__container_append(writer->container, column->bits.data, column->bits.size,
                                            error);
}

static memdb_status_t write_hash(memdb__words_writer_t *writer, uint64_t buckets,
                                 memdb_error_t *error) {
    uint8_t *table = memdb__allocate_zeroed((size_t)buckets, MEMDB__WORDS_BUCKET_BYTES);
    if (!table) {
        return no_memory(error);
    }
    const hash_entry_t *entries = (const hash_entry_t *)writer->hashes.data;
    for (uint64_t i = 0; i < writer->term_count; i++) {
        uint64_t bucket = memdb__words_bucket(entries[i].hash, buckets);
        uint32_t slot = 0;
        uint8_t *tags;
        for (;;) {
            tags = table + bucket * MEMDB__WORDS_BUCKET_BYTES + 4 * MEMDB__WORDS_BUCKET_SLOTS;
            for (slot = 0; slot < MEMDB__WORDS_BUCKET_SLOTS && tags[slot]; slot++) {
            }
            if (slot < MEMDB__WORDS_BUCKET_SLOTS) {
                break;
            }
            bucket = bucket + 1 < buckets ? bucket + 1 : 0;
        }
        tags[slot] = memdb__words_tag(entries[i].hash);
        memdb__put_u32(table + bucket * MEMDB__WORDS_BUCKET_BYTES + 4 * (size_t)slot,
                       entries[i].position);
    }
    memdb_status_t status = write_section(writer, MEMDB__WORDS_HASH, table,
                                          (size_t)buckets * MEMDB__WORDS_BUCKET_BYTES, error);
    memdb__free(table);
    return status;
}

static memdb_status_t write_sections(memdb__words_writer_t *writer, memdb_error_t *error) {
    memdb__words_head_t head = {.documents = writer->document_count,
                                .spaces = writer->space_count,
                                .terms = writer->term_count,
                                .buckets = writer->term_count / SLOTS_USED_OF_BUCKET + 1};
    uint8_t bytes[MEMDB__WORDS_HEAD_BYTES];
    memdb__words_head_encode(&head, bytes);
    memdb_status_t status = write_section(writer, MEMDB__WORDS_HEAD, bytes, sizeof bytes, error);
    if (!status) {
        status = write_section(writer, MEMDB__WORDS_SPACES, writer->spaces.data,
                               writer->spaces.size, error);
    }
    if (!status) {
        status = write_column(writer, MEMDB__WORDS_IDS, &writer->ids, error);
    }
    if (!status) {
        status = write_column(writer, MEMDB__WORDS_VERSIONS, &writer->versions, error);
    }
    if (!status) {
        status = write_column(writer, MEMDB__WORDS_LENGTHS, &writer->lengths, error);
    }
    if (!status) {
        status = write_section(writer, MEMDB__WORDS_DICTIONARY, writer->dictionary.data,
                               writer->dictionary.size, error);
    }
    if (!status) {
        status = write_section(writer, MEMDB__WORDS_SPARSE, writer->sparse.data,
                               writer->sparse.size, error);
    }
    return status ? status : write_hash(writer, head.buckets, error);
}

memdb_status_t memdb__words_writer_finish(memdb__words_writer_t *writer, uint64_t *file_size_out,
                                          uint64_t *checksum_out, memdb_error_t *error) {
    memdb_status_t status = write_sections(writer, error);
    if (status) {
        memdb__words_writer_abandon(writer);
        return status;
    }
    status = memdb__container_finish(writer->container, file_size_out, checksum_out, error);
    free_writer(writer);
    return status;
}
