// The words segment: encoding and decoding of its parts. Decoders take hostile bytes;
// lexical_format.h has the tables.
#include "index/lexical/lexical_format.h"

#include "index/lexical/lexical_code.h"

const uint32_t memdb__words_ranks[MEMDB__WORDS_RANKS] = {1, 10, 50, 250};

static bool all_zero(const uint8_t *bytes, size_t size) {
    uint8_t seen = 0;
    for (size_t i = 0; i < size; i++) {
        seen |= bytes[i];
    }
    return seen == 0;
}

void memdb__words_head_encode(const memdb__words_head_t *head,
                              uint8_t bytes_out[MEMDB__WORDS_HEAD_BYTES]) {
    memset(bytes_out, 0, MEMDB__WORDS_HEAD_BYTES);
    memdb__put_u32(bytes_out, MEMDB__WORDS_LAYOUT);
    memdb__put_u64(bytes_out + 8, head->documents);
    memdb__put_u64(bytes_out + 16, head->spaces);
    memdb__put_u64(bytes_out + 24, head->terms);
    memdb__put_u64(bytes_out + 40, head->buckets);
}

bool memdb__words_head_decode(const uint8_t *bytes, size_t size, memdb__words_head_t *head_out) {
    if (size != MEMDB__WORDS_HEAD_BYTES || !all_zero(bytes + 48, MEMDB__WORDS_HEAD_BYTES - 48)) {
        return false;
    }
    head_out->layout = memdb__get_u32(bytes);
    head_out->flags = memdb__get_u32(bytes + 4);
    head_out->documents = memdb__get_u64(bytes + 8);
    head_out->spaces = memdb__get_u64(bytes + 16);
    head_out->terms = memdb__get_u64(bytes + 24);
    head_out->base_version = memdb__get_u64(bytes + 32);
    head_out->buckets = memdb__get_u64(bytes + 40);
    return head_out->layout == 1 ? head_out->flags < 8
                                 : head_out->layout == MEMDB__WORDS_LAYOUT &&
                                       head_out->flags == 0 && head_out->base_version == 0;
}

void memdb__words_space_encode(const memdb__words_space_t *space,
                               uint8_t bytes_out[MEMDB__WORDS_SPACE_BYTES]) {
    memset(bytes_out, 0, MEMDB__WORDS_SPACE_BYTES);
    memdb__put_u32(bytes_out, space->space);
    memdb__put_u32(bytes_out + 4, space->documents);
    memdb__put_u64(bytes_out + 8, space->first_document);
    memdb__put_u64(bytes_out + 16, (uint64_t)space->net_documents);
    memdb__put_u64(bytes_out + 24, (uint64_t)space->net_tokens);
    memdb__put_u64(bytes_out + 32, space->base_id);
    memdb__put_u32(bytes_out + 40, space->dictionary_begin);
    memdb__put_u32(bytes_out + 44, space->dictionary_end);
    memdb__put_u32(bytes_out + 48, space->terms);
    memdb__put_u32(bytes_out + 52, space->first_sparse);
}

bool memdb__words_space_decode(const uint8_t *bytes, memdb__words_space_t *space_out) {
    space_out->space = memdb__get_u32(bytes);
    space_out->documents = memdb__get_u32(bytes + 4);
    space_out->first_document = memdb__get_u64(bytes + 8);
    space_out->net_documents = (int64_t)memdb__get_u64(bytes + 16);
    space_out->net_tokens = (int64_t)memdb__get_u64(bytes + 24);
    space_out->base_id = memdb__get_u64(bytes + 32);
    space_out->dictionary_begin = memdb__get_u32(bytes + 40);
    space_out->dictionary_end = memdb__get_u32(bytes + 44);
    space_out->terms = memdb__get_u32(bytes + 48);
    space_out->first_sparse = memdb__get_u32(bytes + 52);
    return all_zero(bytes + 56, 8);
}

static bool decode_inline(memdb__reader_t *reader, uint32_t documents,
                          memdb__words_record_t *record) {
    uint64_t document = 0;
    for (uint32_t i = 0; i < record->count; i++) {
        uint64_t step = memdb__read_varint(reader);
        uint8_t code = memdb__read_u8(reader);
        uint64_t tf =
            memdb__code_needs_tf(code) ? memdb__read_varint(reader) : memdb__code_tf(code);
        if (reader->bad || step >= documents || (i > 0 && step == 0) || tf == 0 ||
            tf > UINT32_MAX) {
            return false;
        }
        document += step;
        if (document >= documents) {
            return false;
        }
        record->documents[i] = (uint32_t)document;
        record->codes[i] = code;
        record->tf[i] = (uint32_t)tf;
    }
    return true;
}

static bool decode_runs(memdb__reader_t *reader, uint32_t documents,
                        memdb__words_record_t *record) {
    for (uint32_t i = 0; i < MEMDB__WORDS_RANKS && record->count >= memdb__words_ranks[i]; i++) {
        record->best[i] = memdb__read_u8(reader);
    }
    uint64_t half = memdb__read_varint(reader);
    uint64_t runs = memdb__read_varint(reader);
    uint64_t chunks = ((uint64_t)documents + MEMDB__WORDS_CHUNK - 1) / MEMDB__WORDS_CHUNK;
    if (reader->bad || half > UINT64_MAX / 4 || runs == 0 || runs > chunks) {
        return false;
    }
    record->position = 2 * half;
    record->runs = (uint32_t)runs;
    record->run_table = reader->at;
    uint64_t chunk = 0, counted = 0;
    for (uint64_t i = 0; i < runs; i++) {
        uint64_t step = memdb__read_varint(reader);
        uint64_t count = memdb__read_varint(reader);
        uint64_t exceptions = memdb__read_varint(reader);
        if (reader->bad || step >= chunks || (i > 0 && step == 0) || count >= MEMDB__WORDS_CHUNK ||
            exceptions > count + 1) {
            return false;
        }
        chunk += step;
        counted += count + 1;
        if (chunk >= chunks) {
            return false;
        }
    }
    return counted == record->count;
}

bool memdb__words_record_decode(const uint8_t *bytes, size_t size, uint32_t documents,
                                memdb__words_record_t *record_out) {
    memdb__reader_t reader = memdb__reader(bytes, size);
    memdb__words_record_t *record = record_out;
    record->term_size = memdb__read_u8(&reader);
    record->term = memdb__read_slice(&reader, record->term_size);
    record->net_df = memdb__unzigzag(memdb__read_varint(&reader));
    uint64_t count = memdb__read_varint(&reader);
    if (reader.bad || record->term_size == 0 || record->term_size > MEMDB__MAX_TERM_BYTES ||
        count > documents) {
        return false;
    }
    record->count = (uint32_t)count;
    record->runs = 0;
    bool good = count <= MEMDB__WORDS_INLINE ? decode_inline(&reader, documents, record)
                                             : decode_runs(&reader, documents, record);
    record->size = (size_t)(reader.at - bytes);
    return good && !reader.bad;
}

memdb__words_runs_t memdb__words_runs(const memdb__words_record_t *record) {
    return (memdb__words_runs_t){record->run_table, record->runs, 0, record->position};
}

// The table was verified when its record was decoded, so varints are whole here.
static uint64_t take_varint(const uint8_t **at) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = *(*at)++;
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            break;
        }
    }
    return value;
}

bool memdb__words_runs_next(memdb__words_runs_t *runs, memdb__words_run_t *run_out) {
    if (runs->left == 0) {
        return false;
    }
    run_out->chunk = runs->next_chunk + (uint32_t)take_varint(&runs->at);
    run_out->count = (uint32_t)take_varint(&runs->at) + 1;
    run_out->exceptions = (uint32_t)take_varint(&runs->at);
    run_out->position = runs->position;
    runs->next_chunk = run_out->chunk;
    runs->position += memdb__words_run_bytes(run_out->count, run_out->exceptions);
    runs->left--;
    return true;
}
