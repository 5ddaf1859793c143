// Delta lists as the folder's files see them.
//
// A reader first takes a view of a space at its visible version: how many documents and removals of
// the list it may see. Postings and removals of a term name documents and removals by number, so a
// reader needs only compare numbers.
#ifndef MEMDB_INDEX_LEXICAL_LIST_H
#define MEMDB_INDEX_LEXICAL_LIST_H

#include "index/lexical/lexical.h"

typedef struct memdb__list_document {
    uint64_t id, version;
    uint64_t tokens_after; // of this document and all before it in the space
    uint32_t length;
} memdb__list_document_t;

typedef struct memdb__list_block {
    _Atomic(struct memdb__list_block *) next;
    uint32_t capacity;
    uint64_t values[];
} memdb__list_block_t;

/// A sequence of numbers that only grows: one in place, then blocks of doubling size.
typedef struct memdb__list_sequence {
    _Atomic uint32_t count;
    uint32_t room; // the writer's: free values in the last block
    uint64_t first_value;
    _Atomic(memdb__list_block_t *) first;
    memdb__list_block_t *last; // the writer's
} memdb__list_sequence_t;

typedef struct memdb__list_space memdb__list_space_t;

typedef struct memdb__list_term {
    uint64_t hash;
    memdb__list_space_t *space;
    struct memdb__list_term *next_in_space;
    memdb__list_sequence_t postings;            // memdb__list_posting values, documents rising
    _Atomic(memdb__list_sequence_t *) removals; // numbers of removals, rising; NULL: none
    uint8_t size;
    uint8_t bytes[];
} memdb__list_term_t;

/// A posting: document in bits 0 to 31, tf (at most 2^24 - 1) in 32 to 55, code in 56 to 63.
static inline uint64_t memdb__list_posting(uint32_t document, uint32_t tf, uint8_t code) {
    uint64_t kept = tf < 0xFFFFFF ? tf : 0xFFFFFF;
    return document | kept << 32 | (uint64_t)code << 56;
}

/// What a reader sees of one space.
typedef struct memdb__list_view {
    const memdb__list_space_t *space; // NULL: the list knows nothing of it
    uint32_t documents, removals;     // visible ones
    int64_t net_documents, net_tokens;
} memdb__list_view_t;

/// The hash of a term in a space, in lists and segments alike.
uint64_t memdb__term_hash(memdb_space_t space, const uint8_t *term, size_t size);

void memdb__list_view(const memdb__words_list_t *list, memdb_space_t space, uint64_t visible,
                      memdb__list_view_t *view_out);
const memdb__list_term_t *memdb__list_find(const memdb__words_list_t *list, memdb_space_t space,
                                           const uint8_t *term, size_t size, uint64_t hash);
const memdb__list_document_t *memdb__list_document(const memdb__list_space_t *space,
                                                   uint32_t number);
/// The number of the visible document (id, version); UINT32_MAX: not there.
uint32_t memdb__list_locate(const memdb__list_view_t *view, uint64_t id, uint64_t version);

/// Newest term of a space, for a walk along next_in_space; it may meet terms without a visible
/// posting.
const memdb__list_term_t *memdb__list_terms(const memdb__list_space_t *space);
/// Call `visit` for each space of the list, in no order, until it returns false.
void memdb__list_spaces(const memdb__words_list_t *list,
                        bool (*visit)(void *context, memdb_space_t space), void *context);

/// How many values of a sequence have a number (their low 32 bits) below `limit`.
uint32_t memdb__list_count_below(const memdb__list_sequence_t *sequence, uint32_t limit);
/// Visible postings and removals of a term.
uint32_t memdb__list_visible_postings(const memdb__list_term_t *term,
                                      const memdb__list_view_t *view);
uint32_t memdb__list_visible_removals(const memdb__list_term_t *term,
                                      const memdb__list_view_t *view);

/// Contiguous pieces of the first `left` values of a sequence.
typedef struct memdb__list_spans {
    const memdb__list_block_t *next;
    const uint64_t *values;
    uint32_t count; // of this piece
    uint32_t left;  // after this piece
} memdb__list_spans_t;

/// Stand on the first piece; `count` 0 when there is none.
void memdb__list_spans_begin(memdb__list_spans_t *spans, const memdb__list_sequence_t *sequence,
                             uint32_t limit);
/// Go on to the next; `count` 0 at the end.
void memdb__list_spans_next(memdb__list_spans_t *spans);

/// The first place in a piece whose number is at least `limit`; `count` if there is none.
uint32_t memdb__list_place(const uint64_t *values, uint32_t count, uint32_t limit);
/// tf of `document` in the first `count` postings of a term; 0: not there.
uint32_t memdb__list_tf(const memdb__list_term_t *term, uint32_t count, uint32_t document);

#endif
