// Words: tokenizer, term bags, and an inverted index in the one shape: lists in memory over
// immutable segments.
//
// A document is one version of a memory's text: (space, id, version). Its *bag* is its terms with
// their counts, made once by the writer and carried in the log, so that followers never tokenise.
// Sources (delta lists and segments) are never changed where a reader looks; a newer version of a
// memory is a newer document, and the search asks `live` which of them the snapshot sees.
// Statistics are exact at a current snapshot: a delete carries the old bag.
//
// Bag encoding: varint token count (the document's length), varint count of distinct terms, then
// for each term in rising order of bytes: varint size, bytes, varint tf (1 or more).
//
// Segment layout (Lucene and the BitFunnel/impact literature name the parts; docs/file_format.md
// has the bytes): documents of a space are contiguous, sorted by id, in chunks of 65,536; a posting
// is u16 offset in the chunk + u8 code of a (tf, quantised length) pair, so that a score is one
// lookup in a table of 256 that the query builds from the average length; scores are added as u8
// into a byte array of the chunk, scanned with SIMD, and the few documents that can matter are
// scored exactly with exact tf and length.
#ifndef MEMDB_INDEX_LEXICAL_LEXICAL_H
#define MEMDB_INDEX_LEXICAL_LEXICAL_H

#include "base/bitmap.h"
#include "base/container.h"
#include "base/memory.h"
#include "base/stop.h"

// ------------------------------------------------------------------------------ tokenizer

#define MEMDB__MAX_TERM_BYTES 64 // longer words are cut at a character boundary

/// Called for each token in order. Returns false to stop.
typedef bool (*memdb__token_fn)(void *context, const char *term, size_t size, uint32_t position);

/// NFKC case folding, accents stripped, runs of letters and digits; CJK as unigrams and bigrams;
/// English stems if `kind` says. Any bytes are accepted (bad UTF-8 separates words). Thread-safe.
/// False: out of memory.
bool memdb__tokenize(memdb_tokenizer_kind_t kind, const char *text, size_t size,
                     memdb__token_fn token, void *context);

/// Append the bag of `text` (with the actor's name, if that is indexed) to `bag`. An empty text
/// gives an empty bag (0, 0).
memdb_status_t memdb__bag_encode(memdb_tokenizer_kind_t kind, const char *text, size_t size,
                                 const char *actor, size_t actor_size, memdb__buffer_t *bag,
                                 memdb_error_t *error);
/// Whether hostile bytes are a well-formed bag.
bool memdb__bag_verify(const uint8_t *bag, size_t size);

// ------------------------------------------------------------------------------ likeness

/// The distinct terms of a text into `terms`, in a form of its own. False: out of memory.
bool memdb__terms_of(memdb_tokenizer_kind_t kind, const char *text, size_t size,
                     memdb__buffer_t *terms);
/// The part of all terms of two texts that they share: 0 (also where neither has any) to 1.
double memdb__terms_likeness(const memdb__buffer_t *a, const memdb__buffer_t *b);

// ------------------------------------------------------------------------------ delta lists

/// The words of one run of the delta. One writer (the caller serialises), any number of readers
/// beside it without a lock. Memory is freed as a whole.
typedef struct memdb__words_list memdb__words_list_t;

memdb__words_list_t *memdb__words_list_create(void); // NULL: out of memory
void memdb__words_list_destroy(memdb__words_list_t *list);
/// Add a document. Versions rise from call to call. Copies what it needs.
memdb_status_t memdb__words_list_add(memdb__words_list_t *list, memdb_space_t space, uint64_t id,
                                     uint64_t version, const uint8_t *bag, size_t bag_size,
                                     memdb_error_t *error);
/// The document with this bag, wherever it is, is dead from `version` on: statistics only.
memdb_status_t memdb__words_list_remove(memdb__words_list_t *list, memdb_space_t space,
                                        uint64_t version, const uint8_t *bag, size_t bag_size,
                                        memdb_error_t *error);
size_t memdb__words_list_bytes(const memdb__words_list_t *list);

// ------------------------------------------------------------------------------ segments

typedef struct memdb__words_segment memdb__words_segment_t;

memdb_status_t memdb__words_segment_open(int directory, const char *name,
                                         const memdb__segment_identity_t *identity,
                                         uint64_t file_size, uint64_t checksum,
                                         memdb__words_segment_t **segment_out,
                                         memdb_error_t *error);
void memdb__words_segment_close(memdb__words_segment_t *segment);
memdb__container_t *memdb__words_segment_container(memdb__words_segment_t *segment);
memdb_status_t memdb__words_segment_verify(memdb__words_segment_t *segment, memdb_verify_fn found,
                                           void *context, memdb_error_t *error);

/// Whether document (id, version) is what the asker sees: for a search its snapshot, for a merge
/// the LSN that it folds to.
typedef bool (*memdb__live_fn)(void *context, memdb_space_t space, uint64_t id, uint64_t version);

/// One source of words; exactly one of the pointers is set. A list counts only up to the query's
/// `visible` version, or `whole` (the own writes of a transaction).
typedef struct memdb__words_source {
    memdb__words_list_t *list;
    memdb__words_segment_t *segment;
    bool whole;
} memdb__words_source_t;

/// Write one segment from lists and segments (oldest first): documents that are live; per space and
/// term the *net* counts (documents added less removed, summed over the sources, dead or not),
/// which stay exact when dead documents are dropped. Spaces for which `space_live` says no are left
/// out whole. Lists are taken up to `visible`. An empty result still makes a file.
memdb_status_t memdb__words_segment_write(int directory, const char *name,
                                          const memdb__segment_identity_t *identity,
                                          const memdb__words_source_t *sources, size_t source_count,
                                          uint64_t visible, memdb__live_fn live,
                                          bool (*space_live)(void *context, memdb_space_t space),
                                          void *context, uint64_t *file_size_out,
                                          uint64_t *checksum_out, memdb_error_t *error);

// ------------------------------------------------------------------------------ search

typedef struct memdb__words_query memdb__words_query_t;

#define MEMDB__WORDS_QUERY_WORDS 4096u // words of a question that are read; the rest is ignored
#define MEMDB__WORDS_PREFIX_TERMS                                                                  \
    64u // a prefix stands for so many of its terms, the most frequent ones

/// Parse a question: terms (stop words dropped, unless nothing is left; a repeated term counts
/// once), and prefix* terms: each term that begins with the prefix, and the stem of the prefix
/// itself. What is quoted is words alone. A query may be used for many searches, by one thread at
/// a time.
memdb_status_t memdb__words_query_create(memdb_tokenizer_kind_t kind, const char *text, size_t size,
                                         memdb__words_query_t **query_out, memdb_error_t *error);
void memdb__words_query_destroy(memdb__words_query_t *query);
size_t memdb__words_query_terms(const memdb__words_query_t *query); // 0: nothing to ask
/// Call `seen` for each word of `text` that the query asks for, in their order: its number among
/// the query's terms, and its bytes. Where the query has pairs of characters of a dense script,
/// single ones do not count. It returns false to stop.
typedef bool (*memdb__words_seen_fn)(void *context, uint32_t term, size_t from, size_t to);
memdb_status_t memdb__words_query_find(const memdb__words_query_t *query, memdb_bytes_t text,
                                       memdb__words_seen_fn seen, void *context,
                                       memdb_error_t *error);
/// Bytes of the quotation mark that `text` begins with: " or one of U+201C, U+201D; 0: none.
size_t memdb__quote_at(const char *text, size_t size);
/// The place of the next quotation mark; `size` when there is none.
size_t memdb__quote_find(const char *text, size_t from, size_t size);

typedef struct memdb__words_hit {
    uint64_t id, version;
    float score;
    float
        coverage; // the idf of the question's terms that the document has, over that of all of them
} memdb__words_hit_t;

/// What BM25 leaves open. `rare` is an exponent of idf: above 1, rare terms count for more. `cover`
/// is one of a hit's coverage, which its score is multiplied by: above 0, documents with more of
/// the question rank higher.
typedef struct memdb__words_parameters {
    double k1, b, rare, cover;
} memdb__words_parameters_t;

/// k1 = 1.2, b = 0.75, rare = 1, cover = 0.
extern const memdb__words_parameters_t memdb__words_plain;

typedef struct memdb__words_search {
    memdb_space_t space;
    uint64_t visible; // documents of lists with a version up to this
    const memdb__words_source_t *sources;
    size_t source_count;
    memdb__live_fn live;                        // called for promising documents only
    bool (*accept)(void *context, uint64_t id); // optional filter, called before `live`
    void *context;
    memdb__stop_t stop;                          // asked once a chunk of documents
    const memdb__words_parameters_t *parameters; // NULL: memdb__words_plain
} memdb__words_search_t;

/// The best `capacity` live documents, best first, ties by id; exact BM25 with statistics of the
/// whole snapshot.
memdb_status_t memdb__words_search(memdb__words_query_t *query, const memdb__words_search_t *search,
                                   memdb__words_hit_t *hits_out, size_t capacity, size_t *count_out,
                                   memdb_error_t *error);
/// Exact BM25 of given documents: hits[i].id and .version are in, .score and .coverage
/// are out (0: no term matches, or not there).
memdb_status_t memdb__words_score(memdb__words_query_t *query, const memdb__words_search_t *search,
                                  memdb__words_hit_t *hits, size_t count, memdb_error_t *error);

#define MEMDB__WORDS_FEEDBACK_BYTES 16384u // of a text that counts in feedback

/// A document that is taken for a good answer, and its share of the trust; the shares sum to 1.
typedef struct memdb__words_example {
    memdb_bytes_t text, actor;
    double share;
} memdb__words_example_t;

/// Make a query of the `most` words that the documents have most in common and that `question` does
/// not ask for, weighted (lexical_feedback.c). It may be empty. Release with
/// memdb__words_query_destroy.
memdb_status_t memdb__words_feedback(memdb__words_query_t *question,
                                     const memdb__words_search_t *search,
                                     const memdb__words_example_t *documents, size_t document_count,
                                     size_t most, memdb__words_query_t **query_out,
                                     memdb_error_t *error);

// ------------------------------------------------------------------------------ demands

/// What a question demands of a document: that it holds one of some phrases, for each clause that
/// is required, and none for each that is forbidden. Used by one thread at a time.
typedef struct memdb__words_demand memdb__words_demand_t;

memdb__words_demand_t *memdb__words_demand_create(memdb_tokenizer_kind_t kind); // NULL: no memory
void memdb__words_demand_destroy(memdb__words_demand_t *demand);
/// Add a phrase (a word is one, too), which opens a clause or is one more alternative of the last
/// one. `prefix`: its last word is the beginning of one, which matches each term that begins with
/// it, and its own stem. A text without a word is empty, and nothing is added.
memdb_status_t memdb__words_demand_phrase(memdb__words_demand_t *demand, bool opens, bool forbidden,
                                          bool prefix, const char *text, size_t size,
                                          bool *empty_out, memdb_error_t *error);
size_t memdb__words_demand_clauses(const memdb__words_demand_t *demand); // NULL has none
bool memdb__words_demand_requires(const memdb__words_demand_t *demand);  // and not only forbids
/// Let the query ask for each word that is required, stop words too.
memdb_status_t memdb__words_demand_require(const memdb__words_demand_t *demand,
                                           memdb__words_query_t *query, memdb_error_t *error);
/// Whether a document meets the demand. A phrase is found in the text or in the actor's name.
memdb_status_t memdb__words_demand_meets(memdb__words_demand_t *demand, memdb_bytes_t text,
                                         memdb_bytes_t actor, bool *meets_out,
                                         memdb_error_t *error);

typedef struct memdb__words_demand_estimate {
    uint64_t rows;      // memories that may hold what is required; 0 where nothing is
    uint64_t walked;    // postings that memdb__words_demand_ids walks
    uint64_t forbidden; // postings of what is forbidden
} memdb__words_demand_estimate_t;
/// How much of the search's space may meet the demand; `live` and `accept` are not asked.
memdb_status_t memdb__words_demand_estimate(memdb__words_demand_t *demand,
                                            const memdb__words_search_t *search,
                                            memdb__words_demand_estimate_t *estimate_out,
                                            memdb_error_t *error);
/// Add the ids of all memories that may hold what is required to the empty set `ids`. An estimate
/// was made, and something is required.
memdb_status_t memdb__words_demand_ids(const memdb__words_demand_t *demand,
                                       const memdb__words_search_t *search, memdb__bitmap_t *ids,
                                       memdb_error_t *error);

/// Whether one of the search's sources holds document (id, version); `live` and `accept` are not
/// asked.
memdb_status_t memdb__words_has(const memdb__words_search_t *search, uint64_t id, uint64_t version,
                                bool *has_out, memdb_error_t *error);

/// Statistics of a space at `visible`: exact.
typedef struct memdb__words_totals {
    uint64_t documents, tokens;
} memdb__words_totals_t;
memdb_status_t memdb__words_totals(const memdb__words_search_t *search,
                                   memdb__words_totals_t *totals_out, memdb_error_t *error);

#endif
