// Bags: the terms of a document with their counts.
//
//   varint tokens | varint terms | terms times: varint size (1 to 64), bytes, varint tf
//
// Terms rise strictly by bytes and the sum of tf is the token count, so that one text has one bag.
#include "index/lexical/lexical_bag.h"

#include "index/lexical/lexical_token.h"

#include <stdlib.h>

bool memdb__bag_open(memdb__bag_t *bag, const uint8_t *data, size_t size) {
    *bag = (memdb__bag_t){.reader = memdb__reader(data, size)};
    uint64_t tokens = memdb__read_varint(&bag->reader);
    uint64_t terms = memdb__read_varint(&bag->reader);
    if (bag->reader.bad || tokens > UINT32_MAX || terms > tokens || (terms == 0) != (tokens == 0)) {
        bag->bad = true;
        return false;
    }
    bag->tokens = (uint32_t)tokens;
    bag->terms = bag->left = (uint32_t)terms;
    bag->bad = terms == 0 && memdb__reader_left(&bag->reader) != 0;
    return !bag->bad;
}

bool memdb__bag_next(memdb__bag_t *bag) {
    if (bag->bad || bag->left == 0) {
        return false;
    }
    size_t size;
    const uint8_t *term = memdb__read_sized(&bag->reader, &size);
    uint64_t tf = memdb__read_varint(&bag->reader);
    if (bag->reader.bad || size == 0 || size > MEMDB__MAX_TERM_BYTES || tf == 0 ||
        tf > bag->tokens - bag->counted ||
        (bag->term && memdb__compare(bag->term, bag->size, term, size) >= 0)) {
        bag->bad = true;
        return false;
    }
    bag->term = term;
    bag->size = (uint32_t)size;
    bag->tf = (uint32_t)tf;
    bag->counted += tf;
    bag->left--;
    if (bag->left == 0 && (bag->counted != bag->tokens || memdb__reader_left(&bag->reader) != 0)) {
        bag->bad = true;
        return false;
    }
    return true;
}

bool memdb__bag_verify(const uint8_t *bag, size_t size) {
    memdb__bag_t reader;
    memdb__bag_open(&reader, bag, size);
    while (memdb__bag_next(&reader)) {
    }
    return !reader.bad;
}

// A token of the text: `key` is its first 8 bytes as a big-endian number, which decides most
// comparisons.
typedef struct occurrence {
    uint64_t key;
    uint32_t offset, size;
} occurrence_t;

typedef struct collector {
    memdb__buffer_t bytes;
    occurrence_t *occurrences;
    size_t count, capacity;
    bool failed;
} collector_t;

static bool collect(void *context, const memdb__token_t *token) {
    collector_t *c = context;
    if (c->count == c->capacity) {
        size_t capacity = c->capacity ? 2 * c->capacity : 64;
        occurrence_t *grown = memdb__reallocate(c->occurrences, capacity * sizeof *grown);
        if (!grown) {
            c->failed = true;
            return false;
        }
        c->occurrences = grown;
        c->capacity = capacity;
    }
    uint8_t head[8] = {0};
    memcpy(head, token->term, token->size < 8 ? token->size : 8);
    c->occurrences[c->count++] =
        (occurrence_t){memdb__get_be64(head), (uint32_t)c->bytes.size, (uint32_t)token->size};
    c->failed = !memdb__buffer_append(&c->bytes, token->term, token->size);
    return !c->failed && c->bytes.size < UINT32_MAX - MEMDB__MAX_TERM_BYTES;
}

static int compare_terms(const occurrence_t *a, const occurrence_t *b, const uint8_t *bytes) {
    if (a->key != b->key) {
        return a->key < b->key ? -1 : 1;
    }
    return memdb__compare(bytes + a->offset, a->size, bytes + b->offset, b->size);
}

static int compare_occurrences(const void *a, const void *b, void *bytes) {
    return compare_terms(a, b, bytes);
}

static void sort_occurrences(collector_t *c) {
    if (c->count > 32) {
        qsort_r(c->occurrences, c->count, sizeof *c->occurrences, compare_occurrences,
                c->bytes.data);
        return;
    }
    for (size_t i = 1; i < c->count; i++) {
        occurrence_t moving = c->occurrences[i];
        size_t at = i;
        for (; at > 0 && compare_terms(&c->occurrences[at - 1], &moving, c->bytes.data) > 0; at--) {
            c->occurrences[at] = c->occurrences[at - 1];
        }
        c->occurrences[at] = moving;
    }
}

static bool same(const collector_t *c, size_t a, size_t b) {
    return compare_terms(&c->occurrences[a], &c->occurrences[b], c->bytes.data) == 0;
}

static bool write_bag(const collector_t *c, memdb__buffer_t *bag) {
    size_t terms = 0;
    for (size_t i = 0; i < c->count; i++) {
        terms += i == 0 || !same(c, i - 1, i);
    }
    memdb__buffer_append_varint(bag, c->count);
    memdb__buffer_append_varint(bag, terms);
    for (size_t i = 0; i < c->count;) {
        size_t next = i + 1;
        while (next < c->count && same(c, i, next)) {
            next++;
        }
        memdb__buffer_append_sized(bag, c->bytes.data + c->occurrences[i].offset,
                                   c->occurrences[i].size);
        memdb__buffer_append_varint(bag, next - i);
        i = next;
    }
    return !bag->failed;
}

memdb_status_t memdb__bag_encode(memdb_tokenizer_kind_t kind, const char *text, size_t size,
                                 const char *actor, size_t actor_size, memdb__buffer_t *bag,
                                 memdb_error_t *error) {
    collector_t c = {0};
    size_t before = bag->size;
    bool ok = memdb__tokenize_each(kind, (const uint8_t *)text, size, collect, &c) && !c.failed &&
              memdb__tokenize_each(kind, (const uint8_t *)actor, actor_size, collect, &c) &&
              !c.failed;
    if (ok) {
        sort_occurrences(&c);
        ok = write_bag(&c, bag);
    }
    memdb__buffer_deinit(&c.bytes);
    memdb__free(c.occurrences);
    if (!ok) {
        bag->size = before;
        return memdb__fail(error, MEMDB_NOMEM, "no memory for the terms of a text of %zu bytes",
                           size);
    }
    return MEMDB_OK;
}
