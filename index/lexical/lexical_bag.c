// Bags: the terms of a document with their counts.
//
//   varint tokens | varint terms | terms times: varint size (1 to 64), bytes, varint tf
//
// Terms rise strictly by bytes and the sum of tf is the token count, so that one text has one bag.
#include "index/lexical/lexical_bag.h"

#include "index/lexical/lexical_token.h"

#include <string.h>

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

// A token of the text; `key` is memdb__term_key.
typedef struct occurrence {
    uint64_t key;
    uint32_t offset, size;
} occurrence_t;

// Tokens and their bytes lie in place until there are more of them.
#define FIRST_TOKENS 128u
#define FIRST_BYTES 1024u

typedef struct collector {
    occurrence_t *occurrences;
    uint8_t *bytes;
    size_t count, capacity, size, byte_capacity;
    bool failed;
    occurrence_t first_occurrences[FIRST_TOKENS];
    uint8_t first_bytes[FIRST_BYTES];
} collector_t;

// Twice the room; `first` is where the block began in place.
static void *grow(void *block, const void *first, size_t bytes) {
    void *grown = memdb__reallocate(block == first ? NULL : block, 2 * bytes);
    if (grown && block == first) {
        memcpy(grown, block, bytes);
    }
    return grown;
}

static bool make_room(collector_t *c) {
    if (c->count == c->capacity) {
        occurrence_t *grown =
            grow(c->occurrences, c->first_occurrences, c->capacity * sizeof *c->occurrences);
        if (!grown) {
            return false;
        }
        c->occurrences = grown;
        c->capacity *= 2;
    }
    if (c->byte_capacity - c->size < MEMDB__MAX_TERM_BYTES) {
        uint8_t *grown = grow(c->bytes, c->first_bytes, c->byte_capacity);
        if (!grown) {
            return false;
        }
        c->bytes = grown;
        c->byte_capacity *= 2;
    }
    return true;
}

static bool collect(void *context, const memdb__token_t *token) {
    collector_t *c = context;
    if ((c->count == c->capacity || c->byte_capacity - c->size < MEMDB__MAX_TERM_BYTES) &&
        !make_room(c)) {
        c->failed = true;
        return false;
    }
    c->occurrences[c->count++] = (occurrence_t){memdb__term_key(token->term, token->size),
                                                (uint32_t)c->size, (uint32_t)token->size};
    memcpy(c->bytes + c->size, token->term, token->size);
    c->size += token->size;
    return c->size < UINT32_MAX - MEMDB__MAX_TERM_BYTES;
}

static bool is_below(const occurrence_t *a, const occurrence_t *b, const uint8_t *bytes) {
    if (a->key != b->key || (a->size <= 8 && b->size <= 8)) {
        return a->key < b->key;
    }
    return memdb__compare(bytes + a->offset, a->size, bytes + b->offset, b->size) < 0;
}

static bool is_same(const occurrence_t *a, const occurrence_t *b, const uint8_t *bytes) {
    return a->key == b->key && a->size == b->size &&
           (a->size <= 8 || memcmp(bytes + a->offset, bytes + b->offset, a->size) == 0);
}

static void insertion_sort(occurrence_t *occurrences, size_t count, const uint8_t *bytes) {
    for (size_t i = 1; i < count; i++) {
        occurrence_t moving = occurrences[i];
        size_t at = i;
        for (; at > 0 && is_below(&moving, &occurrences[at - 1], bytes); at--) {
            occurrences[at] = occurrences[at - 1];
        }
        occurrences[at] = moving;
    }
}

static void merge(const occurrence_t *left, size_t left_count, const occurrence_t *right,
                  size_t right_count, occurrence_t *to, const uint8_t *bytes) {
    while (left_count && right_count) {
        bool takes_right = is_below(right, left, bytes);
        *to++ = takes_right ? *right : *left;
        right += takes_right;
        right_count -= takes_right;
        left += !takes_right;
        left_count -= !takes_right;
    }
    memcpy(to, left, left_count * sizeof *to);
    memcpy(to + left_count, right, right_count * sizeof *to);
}

// Short runs are sorted in place and merged upwards, to and fro between two arrays.
static bool sort_occurrences(collector_t *c) {
    enum { RUN = 16 };
    if (c->count <= 2 * RUN) {
        insertion_sort(c->occurrences, c->count, c->bytes);
        return true;
    }
    occurrence_t first_other[FIRST_TOKENS], *from = c->occurrences, *other = first_other;
    size_t count = c->count;
    if (count > FIRST_TOKENS) {
        other = memdb__allocate(count * sizeof *other);
        if (!other) {
            return false;
        }
    }
    for (size_t i = 0; i < count; i += RUN) {
        insertion_sort(from + i, count - i < RUN ? count - i : RUN, c->bytes);
    }
    occurrence_t *to = other;
    for (size_t width = RUN; width < count; width *= 2) {
        for (size_t i = 0; i < count; i += 2 * width) {
            size_t left = count - i < width ? count - i : width;
            size_t right = count - i - left < width ? count - i - left : width;
            merge(from + i, left, from + i + left, right, to + i, c->bytes);
        }
        occurrence_t *sorted = to;
        to = from;
        from = sorted;
    }
    if (from != c->occurrences) {
        memcpy(c->occurrences, from, count * sizeof *from);
    }
    if (other != first_other) {
        memdb__free(other);
    }
    return true;
}

static uint8_t *put_varint(uint8_t *at, uint64_t value) {
    for (; value >= 0x80; value >>= 7) {
        *at++ = (uint8_t)(value | 0x80);
    }
    *at++ = (uint8_t)value;
    return at;
}

static bool write_bag(collector_t *c, memdb__buffer_t *bag) {
    occurrence_t *all = c->occurrences;
    size_t terms = 0;
    // Two varints, and for each term a byte of size and a varint of its count.
    if (!memdb__buffer_reserve(bag, 2 * 10 + c->size + 6 * c->count)) {
        return false;
    }
    for (size_t i = 0; i < c->count; i++) {
        terms += i == 0 || !is_same(&all[i - 1], &all[i], c->bytes);
    }
    uint8_t *at = put_varint(put_varint(bag->data + bag->size, c->count), terms);
    for (size_t i = 0, next; i < c->count; i = next) {
        for (next = i + 1; next < c->count && is_same(&all[i], &all[next], c->bytes);) {
            next++;
        }
        *at++ = (uint8_t)all[i].size;
        memcpy(at, c->bytes + all[i].offset, all[i].size);
        at = put_varint(at + all[i].size, next - i);
    }
    bag->size = (size_t)(at - bag->data);
    return true;
}

memdb_status_t memdb__bag_encode(memdb_tokenizer_kind_t kind, const char *text, size_t size,
                                 const char *actor, size_t actor_size, memdb__buffer_t *bag,
                                 memdb_error_t *error) {
    collector_t c;
    c.occurrences = c.first_occurrences;
    c.bytes = c.first_bytes;
    c.count = c.size = 0;
    c.capacity = FIRST_TOKENS;
    c.byte_capacity = FIRST_BYTES;
    c.failed = false;
    bool ok = memdb__tokenize_each(kind, (const uint8_t *)text, size, collect, &c) && !c.failed &&
              memdb__tokenize_each(kind, (const uint8_t *)actor, actor_size, collect, &c) &&
              !c.failed && sort_occurrences(&c) && write_bag(&c, bag);
    if (c.bytes != c.first_bytes) {
        memdb__free(c.bytes);
    }
    if (c.occurrences != c.first_occurrences) {
        memdb__free(c.occurrences);
    }
    return ok ? MEMDB_OK
              : memdb__fail(error, MEMDB_NOMEM, "no memory for the terms of a text of %zu bytes",
                            size);
}
