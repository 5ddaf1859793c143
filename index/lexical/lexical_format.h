// The words segment: its bytes.
//
// Sections of the container (all integers little-endian):
//   0 head        64 bytes, below
//   1 spaces      a row of 64 bytes for each space, rising
//   2 ids         of each document, less the space's base id: a rising column (lexical_column.h)
//   3 versions    a rising column
//   4 lengths     in tokens: a column
//   5 dictionary  records of terms; contiguous by space, rising by bytes
//   6 sparse      u32 position (within the dictionary) of every 32nd record of a space, beginning
//   with its first 7 hash        buckets of 64 bytes: 12 x u32 record position, 12 x u8 tag (0:
//   free), 4 zero bytes 8 postings    runs
//
// Documents of a space are contiguous and rise by (id, version); a document's number is relative to
// the first of its space, and its chunk is number >> 16.
//
//   head  0 u32 layout, 2 | 4 u32 flags, 0 | 8 u64 documents | 16 u64 spaces | 24 u64 terms
//        32 u64 base version, 0 | 40 u64 hash buckets, 1 to 2^32 | 48 zero
//
//   space 0 u32 space | 4 u32 documents | 8 u64 first document | 16 i64 net documents | 24 i64 net
//   tokens
//        32 u64 base id | 40 u32 dictionary begin | 44 u32 dictionary end | 48 u32 terms | 52 u32
//        first sparse 56 zero
//
//   record  u8 size (1 to 64), the term, varint zigzag net df, varint postings, then
//        up to 3 postings: each varint document less the one before (the first: itself), u8 code,
//        varint tf if the
//                          code asks for it
//        more: u8 codes of the best posting and, if there are so many, of the 10th, 50th and 250th
//        best;
//              varint position of the first run / 2; varint runs; each run: varint chunk less the
//              one before (the first: itself), varint postings less 1, varint exceptions
//
//   run   u16 offset in the chunk for each posting, rising | u8 code for each | u16 offset, u32 tf
//   for each
//         exception (a code of tf 8 or more), rising | a zero byte if the size is odd
//
// A term without postings holds only its net df, which may be negative: removals of documents in
// older segments. A term's hash is XXH3-64 of its bytes, seeded with the space. Its bucket is (hash
// >> 32) * buckets >> 32 or, where that is full, the next one with room, after the last the first;
// its tag is the low byte of the hash, made odd. A search ends at the first free tag.
//
// Layout 1, which is still read, has plain arrays for columns: ids u32 (u64 where flag 1 is set),
// versions less the base version u32 (u64 where flag 2 is set), lengths u16 (u32 where flag 4 is).
#ifndef MEMDB_INDEX_LEXICAL_FORMAT_H
#define MEMDB_INDEX_LEXICAL_FORMAT_H

#include "base/bytes.h"
#include "index/lexical/lexical.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the arrays of a segment are used in place: little-endian machines only"
#endif

enum {
    MEMDB__WORDS_HEAD = 0,
    MEMDB__WORDS_SPACES = 1,
    MEMDB__WORDS_IDS = 2,
    MEMDB__WORDS_VERSIONS = 3,
    MEMDB__WORDS_LENGTHS = 4,
    MEMDB__WORDS_DICTIONARY = 5,
    MEMDB__WORDS_SPARSE = 6,
    MEMDB__WORDS_HASH = 7,
    MEMDB__WORDS_POSTINGS = 8,
    MEMDB__WORDS_SECTIONS = 9,
};

#define MEMDB__WORDS_LAYOUT 2u
#define MEMDB__WORDS_HEAD_BYTES 64u
#define MEMDB__WORDS_SPACE_BYTES 64u
#define MEMDB__WORDS_BUCKET_BYTES 64u
#define MEMDB__WORDS_BUCKET_SLOTS 12u
#define MEMDB__WORDS_SPARSE_STEP 32u
#define MEMDB__WORDS_INLINE 3u
#define MEMDB__WORDS_CHUNK 65536u
#define MEMDB__WORDS_EXCEPTION_BYTES 6u

/// Ranks of the codes that a record keeps as a hint for a search's first threshold.
#define MEMDB__WORDS_RANKS 4u
extern const uint32_t memdb__words_ranks[MEMDB__WORDS_RANKS]; // 1, 10, 50, 250

typedef struct memdb__words_head {
    uint32_t layout, flags;
    uint64_t documents, spaces, terms, base_version, buckets;
} memdb__words_head_t;

typedef struct memdb__words_space {
    memdb_space_t space;
    uint32_t documents;
    uint64_t first_document;
    int64_t net_documents, net_tokens;
    uint64_t base_id;
    uint32_t dictionary_begin, dictionary_end;
    uint32_t terms, first_sparse;
} memdb__words_space_t;

/// A decoded record; its pointers go into the dictionary.
typedef struct memdb__words_record {
    const uint8_t *term;
    uint32_t term_size;
    uint32_t count; // postings
    int64_t net_df;
    size_t size; // of the record
    // up to MEMDB__WORDS_INLINE postings
    uint32_t documents[MEMDB__WORDS_INLINE], tf[MEMDB__WORDS_INLINE];
    uint8_t codes[MEMDB__WORDS_INLINE];
    // more
    uint8_t best[MEMDB__WORDS_RANKS]; // as many as `count` has ranks for
    uint32_t runs;
    uint64_t position;        // of the first run, in the postings section
    const uint8_t *run_table; // encoded
} memdb__words_record_t;

/// One run of a record, with its place in the postings section.
typedef struct memdb__words_run {
    uint32_t chunk, count, exceptions;
    uint64_t position; // bytes from the start of the section
} memdb__words_run_t;

void memdb__words_head_encode(const memdb__words_head_t *head,
                              uint8_t bytes_out[MEMDB__WORDS_HEAD_BYTES]);
bool memdb__words_head_decode(const uint8_t *bytes, size_t size, memdb__words_head_t *head_out);
/// Bytes of a number of the ids, versions or lengths in layout 1.
static inline uint32_t memdb__words_width(const memdb__words_head_t *head, uint32_t section) {
    uint32_t narrow = section == MEMDB__WORDS_LENGTHS ? 2 : 4;
    return head->flags >> (section - MEMDB__WORDS_IDS) & 1 ? 2 * narrow : narrow;
}
void memdb__words_space_encode(const memdb__words_space_t *space,
                               uint8_t bytes_out[MEMDB__WORDS_SPACE_BYTES]);
/// False: the reserved bytes are not zero.
bool memdb__words_space_decode(const uint8_t *bytes, memdb__words_space_t *space_out);

/// Decode the record at the start of `bytes`; false: malformed, or longer than `size`. `documents`
/// bounds its numbers.
bool memdb__words_record_decode(const uint8_t *bytes, size_t size, uint32_t documents,
                                memdb__words_record_t *record_out);

/// Bytes of a run, with its padding.
static inline uint64_t memdb__words_run_bytes(uint32_t count, uint32_t exceptions) {
    uint64_t bytes = (uint64_t)count * 3 + (uint64_t)exceptions * MEMDB__WORDS_EXCEPTION_BYTES;
    return bytes + (bytes & 1);
}

/// Walks a record's run table, which memdb__words_record_decode has verified.
typedef struct memdb__words_runs {
    const uint8_t *at;
    uint32_t left, next_chunk;
    uint64_t position;
} memdb__words_runs_t;
memdb__words_runs_t memdb__words_runs(const memdb__words_record_t *record);
bool memdb__words_runs_next(memdb__words_runs_t *runs, memdb__words_run_t *run_out);

static inline uint64_t memdb__zigzag(int64_t value) {
    return (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
}
static inline int64_t memdb__unzigzag(uint64_t value) {
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

/// Bucket and tag of a term's hash.
static inline uint64_t memdb__words_bucket(uint64_t hash, uint64_t buckets) {
    return (hash >> 32) * buckets >> 32;
}
static inline uint8_t memdb__words_tag(uint64_t hash) {
    return (uint8_t)(hash | 1);
}

#endif
